//! Much was missed: it comes in portions, as the client takes them, over every transport.

use reqwest::Method;
use serde_json::{Value, json};

use super::{replayed, unlimited};
use crate::support::{DEADLINE, Options, Person, TestApp, app::API_KEY, within_time};

/// Sends numbered events of that size to sam.
async fn send(app: &TestApp, numbers: std::ops::Range<u64>, bytes: usize) {
    let text = "x".repeat(bytes);
    let at_once = (500_000 / bytes.max(1)).clamp(1, 100);
    for some in numbers.collect::<Vec<_>>().chunks(at_once) {
        let emit = |number: &u64| {
            json!({
                "to": { "user": "sam" }, "event": "ops.note",
                "data": { "number": number, "text": text },
            })
        };
        let body = json!({ "emits": some.iter().map(emit).collect::<Vec<_>>() });
        let sent = app.request(Method::POST, "/api/emit/batch", Some(API_KEY), Some(body)).await;
        let results = sent.ok()["results"].as_array().expect("results").clone();
        assert!(results.iter().all(|result| result["status"] == 202), "{results:?}");
    }
}

fn numbers(notes: &[Value]) -> Vec<u64> {
    notes.iter().map(|note| note["number"].as_u64().expect("a number")).collect()
}

async fn come_back(sam: &mut Person, since: u64) -> Value {
    sam.emit_ack("join-user-room", json!({ "userId": "sam", "since": since })).await
}

#[tokio::test]
async fn what_was_missed_comes_in_order_however_much_it_is() {
    for (count, bytes) in [(1000, 6_000), (4, 900_000)] {
        let app = unlimited().await;
        send(&app, 0..count, bytes).await;
        for (name, options) in [
            ("websocket", Options::websocket()),
            ("polling", Options::polling()),
            ("upgrade", Options::upgrade()),
            ("websocket of version 3", Options::websocket().protocol(3)),
            ("polling of version 3", Options::polling().protocol(3)),
            ("a small window", Options::websocket().receive_buffer(4096)),
        ] {
            // Version 3 carries its token in a header.
            let options =
                options.header("authorization", &format!("Bearer {}", app.token("sam", &[])));
            let mut sam = app.user_with("sam", &[], options).await;
            let ack = come_back(&mut sam, 0).await;
            assert_eq!(replayed(&ack), Some(count), "{name}: {ack}");
            let heard = numbers(&sam.queued("ops.note"));
            assert_eq!(heard, (0..count).collect::<Vec<_>>(), "{name}");
            // And nothing of it again. Volatile, so that the next does not miss this.
            let end = json!({ "to": { "user": "sam" }, "event": "ops.end", "volatile": true });
            assert_eq!(app.post("/api/emit", end).await.status, 202);
            sam.expect("ops.end").await;
            assert_eq!(sam.queued("ops.note").len(), 0, "{name}");
        }
    }
}

/// More comes meanwhile than may wait for the end of the replay.
#[tokio::test]
async fn what_comes_while_much_is_replayed_comes_after_it_and_once() {
    const MISSED: u64 = 600;
    const LATER: u64 = 300;
    for options in [Options::websocket().receive_buffer(4096), Options::polling()] {
        let app = unlimited().await;
        send(&app, 0..MISSED, 6_000).await;
        let mut sam = app.user_with("sam", &[], options).await;
        let (ack, ()) = within_time(4 * DEADLINE, "the replay", async {
            tokio::join!(come_back(&mut sam, 0), send(&app, MISSED..MISSED + LATER, 6_000))
        })
        .await;
        assert_eq!(ack["recovered"], true, "{ack}");
        app.emit(json!({ "user": "sam" }), "ops.end", Value::Null).await;
        sam.expect("ops.end").await;
        let heard = numbers(&sam.queued("ops.note"));
        assert_eq!(heard.iter().filter(|number| **number < MISSED).count() as u64, MISSED);
        assert_eq!(heard, (0..MISSED + LATER).collect::<Vec<_>>());
    }
}

/// Each room alone would be little.
#[tokio::test]
async fn who_comes_back_to_many_rooms_at_once_hears_all_of_them() {
    for options in [Options::websocket().receive_buffer(4096), Options::polling()] {
        let app = unlimited().await;
        let mut rooms = Vec::new();
        for _ in 0..12 {
            let id = app.person("ann").group(&["sam"]).await;
            let room = json!({ "room": format!("conversation:{id}") });
            let emit = json!({ "to": room, "event": "ops.note", "data": "x".repeat(6_000) });
            let body = json!({ "emits": vec![emit; 40] });
            app.post("/api/emit/batch", body).await.ok();
            rooms.push(id);
        }
        let mut sam = app.user_with("sam", &[], options).await;
        let joins: Vec<u64> = rooms
            .iter()
            .map(|id| {
                let join = json!({ "conversationId": id, "since": 0 });
                sam.emit_with_ack("conversation:join", join)
            })
            .collect();
        for id in joins {
            assert_eq!(replayed(&sam.ack(id).await), Some(40));
        }
        assert_eq!(sam.queued("ops.note").len(), 12 * 40);
        sam.expect_nothing().await;
    }
}

#[tokio::test]
async fn who_missed_more_than_is_replayed_is_told_so_and_hears_what_comes() {
    let app = unlimited().await;
    send(&app, 0..1001, 10).await;
    let mut sam = app.user("sam").await;
    assert_eq!(replayed(&come_back(&mut sam, 0).await), None);
    assert_eq!(replayed(&come_back(&mut sam, 1).await), Some(1000));
    assert_eq!(numbers(&sam.queued("ops.note")), (1..1001).collect::<Vec<_>>());
    send(&app, 1001..1002, 10).await;
    assert_eq!(sam.expect("ops.note").await["number"], 1001);
    sam.expect_nothing().await;
}
