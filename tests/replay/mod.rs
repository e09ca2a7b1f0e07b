//! What was missed comes again, in order and once: both dialects of a conversation, users' rooms
//! (docs/contract/events.md#missed-events).

mod large;
mod restored;
mod rewritten;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{Client, DEADLINE, Options, Person, TestApp, http_client, within_time};

/// The dialects: how to join, and what a message is called there.
const DIALECTS: [Dialect; 2] = [
    Dialect { join: "conversation:join", id: "conversationId", message: "message:new" },
    Dialect { join: "join-chat-room", id: "chatId", message: "new-message" },
];

/// Who writes at once, and how many messages each.
const WRITERS: usize = 20;
const MESSAGES: usize = 3;

struct Dialect {
    join: &'static str,
    id: &'static str,
    message: &'static str,
}

impl Dialect {
    async fn join(&self, client: &mut Client, conversation: &str, since: i64) -> Value {
        client.emit_ack(self.join, json!({ (self.id): conversation, "since": since })).await
    }
}

/// A server on which nobody writes too much.
async fn unlimited() -> TestApp {
    TestApp::with(|config| config.limits.enabled = false).await
}

/// Ann writes.
async fn say_all(app: &TestApp, conversation: &str, contents: std::ops::RangeInclusive<i64>) {
    for content in contents {
        app.person("ann").say(conversation, &content.to_string()).await;
    }
}

fn seqs(events: &[Value]) -> Vec<i64> {
    events.iter().map(|event| event["seq"].as_i64().expect("a seq")).collect()
}

/// A refusal to replay, or what came again: all that a join that was acknowledged has to say.
fn replayed(ack: &Value) -> Option<u64> {
    assert_eq!(ack["success"], true, "{ack}");
    assert!(ack["epoch"].is_string() && ack["seq"].is_i64(), "{ack}");
    let replayed = ack["replayed"].as_u64();
    assert_eq!(ack["recovered"], replayed.is_some(), "{ack}");
    replayed
}

#[tokio::test]
async fn both_dialects_hear_each_other_with_the_same_numbers() {
    let app = TestApp::start().await;
    let id = app.person("ann").group(&["bob", "cat"]).await;
    let mut ann = app.user("ann").await;
    let chat = Options::websocket().namespace("/chat");
    let mut bob = app.user_with("bob", &[], chat).await;
    let market = Options::websocket().namespace("/marketplace");
    let mut carol = app.user_with("cat", &[], market.clone()).await;
    let mut anns_market = app.user_with("ann", &[], market).await;
    for client in [&mut ann, &mut bob] {
        assert_eq!(client.emit_ack("conversation:join", id.as_str()).await["success"], true);
    }
    for client in [&mut carol, &mut anns_market] {
        assert_eq!(client.emit_ack("join-chat-room", id.as_str()).await["success"], true);
    }
    let body = json!({ "conversationId": id, "content": "by event", "clientMessageId": "x1" });
    assert_eq!(ann.emit_ack("message:send", body).await["success"], true);
    app.person("ann").say(&id, "over REST").await;
    for (seq, content) in [(1, "by event"), (2, "over REST")] {
        let heard = bob.expect("message:new").await;
        assert_eq!((&heard["seq"], &heard["content"]), (&json!(seq), &json!(content)));
        assert_eq!((&heard["conversationId"], &heard["sender"]["id"]), (&json!(id), &json!("ann")));
        for hearer in [&mut carol, &mut anns_market] {
            let message = hearer.expect("new-message").await;
            assert_eq!((&message["seq"], &message["senderId"]), (&json!(seq), &json!("ann")));
            assert_eq!(message["chatId"], json!(id));
            let message = &message["message"];
            assert_eq!(
                (&message["content"], &message["_id"]),
                (&json!(content), &heard["messageId"])
            );
        }
    }
    for client in [&mut ann, &mut bob, &mut carol, &mut anns_market] {
        client.expect_nothing().await;
    }
}

#[tokio::test]
async fn a_join_brings_what_was_missed_before_its_acknowledgement() {
    let app = TestApp::start().await;
    let id = app.person("ann").group(&["bob"]).await;
    say_all(&app, &id, 1..=6).await;
    for dialect in &DIALECTS {
        let mut epochs = Vec::new();
        for since in 0..=6 {
            let mut bob = app.user("bob").await;
            let ack = dialect.join(&mut bob, &id, since).await;
            let missed: Vec<_> = (since + 1..=6).collect();
            assert_eq!(seqs(&bob.queued(dialect.message)), missed, "since {since}");
            assert_eq!(replayed(&ack), Some(missed.len() as u64), "{ack}");
            assert_eq!(ack["seq"], 6);
            epochs.push(ack["epoch"].clone());
            bob.expect_nothing().await;
        }
        epochs.dedup();
        assert_eq!(epochs.len(), 1, "the epoch changed");
    }
    // The sender's own sockets miss nothing in one dialect, and everything in the other.
    for (dialect, count) in DIALECTS.iter().zip([0, 6]) {
        let mut ann = app.user("ann").await;
        let ack = dialect.join(&mut ann, &id, 0).await;
        assert_eq!(ann.queued(dialect.message).len(), count);
        assert_eq!(replayed(&ack), Some(count as u64), "{ack}");
        ann.expect_nothing().await;
    }
}

#[tokio::test]
async fn what_cannot_be_replayed_is_said_and_the_room_is_entered() {
    let app = TestApp::start().await;
    let id = app.person("ann").group(&["bob"]).await;
    say_all(&app, &id, 1..=6).await;
    let prune = "DELETE FROM events WHERE seq <= 3 AND stream =";
    app.execute(&format!("{prune} 'conversation/{id}'")).await;
    let mut next = 7;
    for dialect in &DIALECTS {
        // Older than what is kept; from the future.
        for since in [Some(0), Some(2), None, Some(1000), Some(-1)] {
            let since = since.unwrap_or(next);
            let mut bob = app.user("bob").await;
            let ack = dialect.join(&mut bob, &id, since).await;
            assert_eq!(replayed(&ack), None, "since {since}: {ack}");
            assert_eq!(ack["seq"], next - 1);
            assert!(bob.queued(dialect.message).is_empty(), "since {since}");
            app.person("ann").say(&id, "live").await;
            assert_eq!(bob.expect(dialect.message).await["seq"], next, "since {since}");
            next += 1;
            bob.expect_nothing().await;
        }
        let mut bob = app.user("bob").await;
        let ack = dialect.join(&mut bob, &id, 3).await;
        let kept: Vec<_> = (4..next).collect();
        assert_eq!(replayed(&ack), Some(kept.len() as u64), "{ack}");
        assert_eq!(seqs(&bob.queued(dialect.message)), kept);
    }
}

#[tokio::test]
async fn a_users_events_come_again_to_the_user() {
    let app = TestApp::start().await;
    let to = json!({ "user": "bob" });
    for n in 1..=3 {
        app.emit(to.clone(), "news", json!(n)).await;
    }
    let join = |since: i64| json!({ "userId": "bob", "since": since });
    for since in 0..=3 {
        let mut bob = app.user("bob").await;
        let ack = bob.emit_ack("join-user-room", join(since)).await;
        assert_eq!(replayed(&ack), Some(3 - since.unsigned_abs()), "{ack}");
        let missed: Vec<_> = (since + 1..=3).map(|n| json!(n)).collect();
        assert_eq!(bob.queued("news"), missed);
    }
    let mut bob = app.user("bob").await;
    let ack = bob.emit_ack("join-user-room", join(1000)).await;
    assert_eq!(replayed(&ack), None, "{ack}");
    let position = ack["seq"].as_i64().expect("a seq");

    // The socket is in the room from the start: what it has heard does not come again.
    let mut bob = app.user("bob").await;
    app.emit(to, "news", json!("live")).await;
    assert_eq!(bob.expect("news").await, "live");
    let ack = bob.emit_ack("join-user-room", join(position - 1)).await;
    assert_eq!((&ack["recovered"], &ack["seq"]), (&json!(true), &json!(position + 1)), "{ack}");
    assert_eq!(bob.queued("news"), [json!(3)]);
    bob.expect_nothing().await;

    let mut eve = app.user("eve").await;
    assert_eq!(eve.emit_ack("join-user-room", join(0)).await["code"], "forbidden");
    eve.expect_nothing().await;
}

/// `WRITERS` write to the conversation at once.
fn write(app: &TestApp, conversation: &str) -> JoinSet<()> {
    let url = format!("http://{}/api/conversations/{conversation}/messages", app.address());
    let (token, http) = (app.token("ann", &[]), http_client());
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let (url, token, http) = (url.clone(), token.clone(), http.clone());
        writers.spawn(async move {
            for _ in 0..MESSAGES {
                let request = http.post(&url).bearer_auth(&token).json(&json!({ "content": "x" }));
                let answer = request.send().await.expect("an answer");
                assert_eq!(answer.status(), 201);
            }
        });
    }
    writers
}

/// Joins while others write; the numbers heard until `last`, and how many of them after the ack.
async fn catch_up(bob: &mut Person, dialect: &Dialect, id: &str, range: (i64, i64)) -> usize {
    let (since, last) = range;
    let ack = dialect.join(bob, id, since).await;
    let stands = ack["seq"].as_i64().expect("a seq");
    assert_eq!(replayed(&ack), Some((stands - since).unsigned_abs()), "{ack}");
    let mut heard = seqs(&bob.queued(dialect.message));
    let before = heard.len();
    assert!(heard.last().copied().unwrap_or(since) >= stands, "{heard:?} before {ack}");
    while heard.last().copied().unwrap_or(since) < last {
        heard.extend(seqs(&[bob.expect(dialect.message).await]));
    }
    bob.expect_nothing().await;
    assert_eq!(heard, (since + 1..=last).collect::<Vec<_>>(), "joined since {since}: {ack}");
    heard.len() - before
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_join_while_others_write_has_no_gap_and_no_double() {
    let app = unlimited().await;
    let id = app.person("ann").group(&["bob"]).await;
    app.person("ann").say(&id, "1").await;
    let (mut last, mut replayed, mut live) = (1, 0, 0);
    let count = WRITERS * MESSAGES;
    for round in 0..20 {
        let mut clients = Vec::new();
        for dialect in DIALECTS.iter().cycle().take(6) {
            clients.push((app.user("bob").await, dialect));
        }
        let since = last;
        last += i64::try_from(count).unwrap();
        let mut writers = write(&app, &id);
        // Another moment in each round: so many of the writers have ended.
        for _ in 0..round / 2 {
            writers.join_next().await.unwrap().unwrap();
        }
        let joins =
            clients.iter_mut().map(|(bob, dialect)| catch_up(bob, dialect, &id, (since, last)));
        let (after, ()) = within_time(4 * DEADLINE, "the writers", async {
            tokio::join!(join_all(joins), async {
                while let Some(ended) = writers.join_next().await {
                    ended.unwrap();
                }
            })
        })
        .await;
        live += after.iter().sum::<usize>();
        replayed += after.iter().map(|after| count - after).sum::<usize>();
    }
    assert!(live > 0 && replayed > 0, "{replayed} replayed, {live} live");
}

#[tokio::test]
async fn what_is_volatile_is_never_replayed() {
    let app = TestApp::start().await;
    let id = app.person("ann").group(&["bob"]).await;
    let room = json!({ "room": format!("conversation:{id}") });
    let mut ann = app.user("ann").await;
    let mut bob = app.user("bob").await;
    for client in [&mut ann, &mut bob] {
        assert_eq!(client.emit_ack("conversation:join", id.as_str()).await["success"], true);
    }
    app.emit(room.clone(), "kept", json!(1)).await;
    let tick = json!({ "to": room, "event": "tick", "data": 1, "volatile": true });
    assert_eq!(app.post("/api/emit", tick).await.status, 202);
    let typing = json!({ "conversationId": id });
    assert_eq!(ann.emit_ack("typing:start", typing.clone()).await["success"], true);
    assert_eq!(ann.emit_ack("typing:stop", typing).await["success"], true);
    for event in ["kept", "tick", "typing:start", "typing:stop"] {
        bob.expect(event).await;
    }
    let mut again = app.user("bob").await;
    let ack = DIALECTS[0].join(&mut again, &id, 0).await;
    assert_eq!((replayed(&ack), &ack["seq"]), (Some(1), &json!(1)), "{ack}");
    assert_eq!(again.queued("kept"), [json!(1)]);
    again.expect_nothing().await;
}

#[tokio::test]
async fn a_restart_loses_nothing() {
    let app = TestApp::start().await;
    let id = app.person("ann").group(&["bob"]).await;
    say_all(&app, &id, 1..=3).await;
    app.emit(json!({ "user": "bob" }), "news", json!(1)).await;
    let mut bob = app.user("bob").await;
    let before = DIALECTS[0].join(&mut bob, &id, 1).await;
    assert_eq!(replayed(&before), Some(2), "{before}");

    let app = app.restart().await;
    app.person("ann").say(&id, "4").await;
    for dialect in &DIALECTS {
        let mut bob = app.user("bob").await;
        let ack = dialect.join(&mut bob, &id, 0).await;
        assert_eq!(replayed(&ack), Some(4), "{ack}");
        assert_eq!((&ack["epoch"], &ack["seq"]), (&before["epoch"], &json!(4)));
        assert_eq!(seqs(&bob.queued(dialect.message)), [1, 2, 3, 4]);
    }
    let mut bob = app.user("bob").await;
    let ack = bob.emit_ack("join-user-room", json!({ "userId": "bob", "since": 0 })).await;
    assert_eq!((replayed(&ack), &ack["seq"]), (Some(3), &json!(2)), "{ack}");
    for event in ["conversation:created", "conversation:added", "news"] {
        assert_eq!(bob.queued(event).len(), 1, "{event}");
    }
}

#[tokio::test]
async fn who_is_removed_hears_of_it_and_nothing_more() {
    let app = TestApp::start().await;
    let id = app.person("ann").group(&["bob", "cat"]).await;
    let mut bob = app.user("bob").await;
    let mut bobs_chat = app.user("bob").await;
    let mut cat = app.user("cat").await;
    app.person("ann").say(&id, "1").await;
    for client in [&mut bob, &mut cat] {
        assert_eq!(replayed(&DIALECTS[0].join(client, &id, 1).await), Some(0));
    }
    assert_eq!(replayed(&DIALECTS[1].join(&mut bobs_chat, &id, 1).await), Some(0));
    let path = format!("/api/conversations/{id}/participants/bob");
    let removed = app.person("ann").delete(&path).await;
    assert_eq!(removed.status, 204);
    let event = "conversation:participant:removed";
    let gone = json!({ "conversationId": id, "userId": "bob" });
    assert_eq!((bob.expect(event).await, cat.expect(event).await), (gone.clone(), gone));
    let gone = json!({ "chatId": id, "removedUserId": "bob" });
    assert_eq!(bobs_chat.expect("participant-removed").await, gone);

    app.person("ann").say(&id, "3").await;
    assert_eq!(cat.expect("message:new").await["seq"], 3);
    for client in [&mut bob, &mut bobs_chat] {
        for dialect in &DIALECTS {
            let ack = dialect.join(client, &id, 0).await;
            assert_eq!(ack["code"], "forbidden", "{ack}");
            let ack = client.emit_ack(dialect.join, id.as_str()).await;
            assert_eq!(ack["code"], "forbidden", "{ack}");
        }
        client.expect_nothing().await;
    }
}

/// A socket hears its own room from the start; that it asks for what it missed takes nothing from it.
#[tokio::test]
async fn who_rejoins_their_own_room_while_events_come_loses_none_and_hears_none_twice() {
    const EVENTS: u64 = 200;
    let app = unlimited().await;
    let mut sam = app.user("sam").await;
    let emits = async {
        for number in 0..EVENTS {
            app.emit(json!({ "user": "sam" }), "ops.note", json!(number)).await;
        }
    };
    let rejoins = async {
        // From the first number that it heard live on, each time.
        let mut since = 0;
        for _ in 0..40 {
            let ack =
                sam.emit_ack("join-user-room", json!({ "userId": "sam", "since": since })).await;
            assert_eq!(ack["recovered"], true, "{ack}");
            since = ack["seq"].as_u64().expect("a seq");
        }
    };
    tokio::join!(emits, rejoins);
    app.emit(json!({ "user": "sam" }), "ops.end", Value::Null).await;
    sam.expect("ops.end").await;
    let mut heard: Vec<_> =
        sam.queued("ops.note").iter().map(|note| note.as_u64().expect("a number")).collect();
    heard.sort_unstable();
    assert_eq!(heard, (0..EVENTS).collect::<Vec<_>>());
}

#[tokio::test]
async fn many_missed_events_all_come_in_their_order() {
    const EVENTS: u64 = 150;
    let app = unlimited().await;
    for number in 0..EVENTS {
        app.emit(json!({ "user": "sam" }), "ops.note", json!(number)).await;
    }
    let mut sam = app.user("sam").await;
    let ack = sam.emit_ack("join-user-room", json!({ "userId": "sam", "since": 0 })).await;
    assert_eq!(ack["recovered"], true, "{ack}");
    let heard: Vec<_> = sam.queued("ops.note").iter().filter_map(Value::as_u64).collect();
    assert_eq!(heard, (0..EVENTS).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_replay_speaks_the_dialect_of_its_namespace() {
    let app = TestApp::start().await;
    app.person("ann").group(&["bob"]).await;
    for (namespace, told) in [("/marketplace", 0), ("/", 1)] {
        let options = Options::websocket().namespace(namespace);
        let mut bob = app.user_with("bob", &[], options).await;
        let join = json!({ "userId": "bob", "since": 0 });
        assert_eq!(bob.emit_ack("join-user-room", join).await["recovered"], true);
        assert_eq!(bob.queued("conversation:created").len(), told, "{namespace}");
    }
}
