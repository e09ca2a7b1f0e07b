//! The change from polling to a websocket while events come: nothing overtakes, nothing is lost.

use std::{
    ops::RangeInclusive,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::{SinkExt, StreamExt, future::join_all};
use rand::Rng;
use serde_json::json;
use tokio::time::sleep;
use tokio_tungstenite::{connect_async, tungstenite::Message};

use crate::support::{TestApp, chance, poll::Poll, within_time};

/// Clients, half of each version of Engine.IO.
const CLIENTS: usize = 99;

/// What happens between a client and its server takes up to so long. Nothing is waited for then: the
/// moment is what is tried.
const LATENCY: Duration = Duration::from_millis(12);

/// Emits to a user's own room; the first until somebody hears it.
async fn emit(app: &TestApp, user: &str, numbers: RangeInclusive<u32>) {
    for number in numbers {
        while app.emit(json!({ "user": user }), "told", json!(number)).await == 0 {
            assert_eq!(number, 1, "{user} was there");
        }
    }
}

/// The last of a user's numbers.
const LAST: u32 = 11;

/// Polls until the websocket has been probed; what is heard by that.
async fn poll_until(session: &Poll, probed: &AtomicBool) -> Vec<String> {
    let mut heard = Vec::new();
    while !probed.load(Ordering::SeqCst) {
        let (status, packets) = session.get().await;
        assert_eq!(status, 200, "{packets:?}");
        heard.extend(packets);
    }
    heard
}

/// Opens a polling session, connects, and changes over while events come, with polls under way as the
/// official clients have them, or without; what is heard by both.
async fn change_over(
    app: &TestApp,
    (protocol, polls): (u8, bool),
    user: &str,
    latencies: [Duration; 2],
) -> Vec<String> {
    let session = Poll::open(app.address(), protocol, &app.token(user, &[])).await;
    if protocol == 4 {
        assert_eq!(session.post(&session.connect("/")).await, 200);
    }
    emit(app, user, 1..=3).await;
    sleep(latencies[0]).await;
    let url = session.url.replace("http://", "ws://").replace("=polling", "=websocket");
    let probed = AtomicBool::new(!polls);
    let probe = async {
        let (mut websocket, _) = connect_async(url).await.expect("a websocket");
        websocket.send(Message::text("2probe")).await.expect("a probe");
        let answer = websocket.next().await.expect("an answer").expect("a frame");
        assert_eq!(answer.to_text().expect("a text"), "3probe");
        probed.store(true, Ordering::SeqCst);
        emit(app, user, 4..=5).await;
        sleep(latencies[1]).await;
        websocket
    };
    let (mut heard, mut websocket) = tokio::join!(poll_until(&session, &probed), probe);
    // News of who else is there come, too.
    let counts = |packet: &str| packet.starts_with("40") || packet.starts_with("42[\"told\"");
    heard.retain(|packet| counts(packet));
    websocket.send(Message::text("5")).await.expect("the change");
    let hear = async {
        // And the CONNECT.
        while heard.len() < 1 + LAST as usize {
            let frame = websocket.next().await.expect("a frame").expect("a frame");
            let frame = frame.to_text().expect("a text");
            if counts(frame) {
                heard.push(frame.to_owned());
            }
        }
        heard
    };
    tokio::join!(hear, emit(app, user, 6..=LAST)).0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_emitted_to_users_who_change_over_comes_in_its_order() {
    let app = Arc::new(TestApp::with(|config| config.limits.enabled = false).await);
    let mut chance = chance();
    let clients = (0..CLIENTS).map(|client| {
        let app = app.clone();
        let latencies = [(); 2].map(|()| chance.random_range(Duration::ZERO..=LATENCY));
        tokio::spawn(async move {
            let (protocol, user) = (if client % 2 == 0 { 4 } else { 3 }, format!("u{client}"));
            let way = (protocol, client % 3 == 0);
            (protocol, change_over(&app, way, &user, latencies).await)
        })
    });
    let all = within_time(Duration::from_mins(1), "all clients", join_all(clients)).await;
    for client in all {
        let (protocol, mut heard) = client.expect("no panic");
        assert!(heard.remove(0).starts_with("40"), "version {protocol}: {heard:?}");
        let events: Vec<_> = (1..=LAST).map(|n| format!(r#"42["told",{n}]"#)).collect();
        assert_eq!(heard, events, "version {protocol}");
    }
}
