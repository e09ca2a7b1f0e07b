//! What is replayed is what is true: a message as it is by then, to whom it belongs.

use serde_json::{Value, json};

use super::{DIALECTS, replayed, seqs, unlimited};
use crate::support::TestApp;

/// Ann writes; the message's id.
async fn write(app: &TestApp, conversation: &str, body: Value) -> String {
    let path = format!("/api/conversations/{conversation}/messages");
    let sent = app.person("ann").post(&path, body).await;
    sent.ok()["message"]["id"].as_str().expect("an id").to_owned()
}

async fn edit(app: &TestApp, message: &str, content: &str) {
    let (path, body) = (format!("/api/messages/{message}"), json!({ "content": content }));
    app.person("ann").patch(&path, body).await.ok();
}

async fn delete(app: &TestApp, message: &str) {
    let path = format!("/api/messages/{message}");
    let deleted = app.person("ann").delete(&path).await;
    assert_eq!(deleted.status, 204);
}

async fn add(app: &TestApp, conversation: &str, user: &str) {
    let path = format!("/api/conversations/{conversation}/participants");
    let body = json!({ "userId": user });
    app.person("ann").post(&path, body).await.ok();
}

async fn remove(app: &TestApp, conversation: &str, user: &str) {
    let path = format!("/api/conversations/{conversation}/participants/{user}");
    let removed = app.person("ann").delete(&path).await;
    assert_eq!(removed.status, 204);
}

/// What someone hears again from `since` on: each event's name and data, as text. Both dialects.
async fn hears(app: &TestApp, user: &str, conversation: &str, since: i64) -> Vec<String> {
    let mut heard = Vec::new();
    for dialect in &DIALECTS {
        let mut client = app.user(user).await;
        let ack = dialect.join(&mut client, conversation, since).await;
        assert!(replayed(&ack).is_some(), "{ack}");
        for name in client.unread_events() {
            let events = client.queued(&name);
            heard.extend(events.into_iter().map(|data| format!("{name} {data}")));
        }
    }
    heard
}

#[tokio::test]
async fn a_deleted_message_is_not_heard_again() {
    let app = TestApp::start().await;
    let id = app.person("ann").group(&["bob"]).await;
    let file = json!({ "url": "https://secret", "alt": "secret" });
    let body = json!({
        "content": "secret", "attachments": [file], "metadata": { "secret": "secret" },
    });
    let message = write(&app, &id, body).await;
    edit(&app, &message, "a second secret").await;
    app.person("ann").say(&id, "hello").await;
    assert!(hears(&app, "bob", &id, 0).await.iter().any(|heard| heard.contains("secret")));
    delete(&app, &message).await;
    let app = app.restart().await;
    let heard = hears(&app, "bob", &id, 0).await;
    assert!(!heard.iter().any(|heard| heard.contains("secret")), "{heard:?}");
    for name in
        ["message:new", "new-message", "message:edited", "message-edited", "message:deleted"]
    {
        let of_it =
            |heard: &&String| heard.starts_with(&format!("{name} ")) && heard.contains(&message);
        assert_eq!(heard.iter().filter(of_it).count(), 1, "{name}: {heard:?}");
    }
    assert_eq!(heard.iter().filter(|heard| heard.contains("hello")).count(), 2);
}

#[tokio::test]
async fn an_edited_message_is_heard_again_as_it_is() {
    let app = unlimited().await;
    let id = app.person("ann").group(&["bob"]).await;
    let message = write(&app, &id, json!({ "content": "secret" })).await;
    let other = write(&app, &id, json!({ "content": "hello" })).await;
    for number in 0..20 {
        edit(&app, &message, &format!("secret number {number}")).await;
    }
    edit(&app, &message, "the truth").await;
    edit(&app, &other, "hello there").await;
    let heard = hears(&app, "bob", &id, 0).await;
    assert!(!heard.iter().any(|heard| heard.contains("secret")), "{heard:?}");
    for name in ["message:new", "new-message", "message:edited", "message-edited"] {
        let mut of_it = heard.iter().filter(|heard| heard.starts_with(&format!("{name} ")));
        assert!(of_it.clone().any(|heard| heard.contains("hello there")), "{name}: {heard:?}");
        assert!(of_it.any(|heard| heard.contains("the truth")), "{name}: {heard:?}");
    }
    // Each number is still there, with what it showed.
    let mut bob = app.user("bob").await;
    DIALECTS[0].join(&mut bob, &id, 0).await;
    assert_eq!(seqs(&bob.queued("message:new")), [1, 2]);
    assert_eq!(seqs(&bob.queued("message:edited")).last(), Some(&24));
}

#[tokio::test]
async fn who_comes_in_later_hears_nothing_from_before() {
    let app = TestApp::start().await;
    let id = app.person("ann").group(&["bob"]).await;
    let room = json!({ "room": format!("conversation:{id}") });
    app.person("ann").say(&id, "before").await;
    app.emit(room.clone(), "news", json!("before")).await;
    add(&app, &id, "cat").await;
    app.person("ann").say(&id, "since").await;
    let of = |heard: &[String], text: &str| heard.iter().any(|heard| heard.contains(text));
    let app = app.restart().await;
    let heard = hears(&app, "cat", &id, 0).await;
    assert!(of(&heard, "since") && !of(&heard, "before"), "{heard:?}");
    let heard = hears(&app, "bob", &id, 0).await;
    assert!(of(&heard, "since") && of(&heard, "before"), "{heard:?}");

    // What was said while they were out is not theirs either.
    remove(&app, &id, "cat").await;
    app.person("ann").say(&id, "without her").await;
    add(&app, &id, "cat").await;
    app.person("ann").say(&id, "once more").await;
    let heard = hears(&app, "cat", &id, 0).await;
    assert!(of(&heard, "once more") && !of(&heard, "without her"), "{heard:?}");
    assert!(!of(&heard, "since"), "{heard:?}");
}

#[tokio::test]
async fn who_is_left_out_live_is_left_out_of_a_replay() {
    let app = TestApp::start().await;
    let id = app.person("ann").group(&["bob", "cat"]).await;
    let (room, chat) = (format!("conversation:{id}"), format!("chat-{id}"));
    app.emit(json!({ "rooms": [room], "except": ["user-bob"] }), "not-bob", json!(1)).await;
    app.emit(json!({ "rooms": [room], "except": [chat] }), "not-chat", json!(2)).await;
    app.emit(json!({ "room": room }), "all", json!(3)).await;
    for (user, in_chat, events) in [
        ("bob", false, &["not-chat", "all"][..]),
        ("bob", true, &["all"]),
        ("cat", false, &["not-bob", "not-chat", "all"]),
        ("cat", true, &["not-bob", "all"]),
    ] {
        let mut client = app.user(user).await;
        if in_chat {
            client.emit_ack("join-chat-room", id.as_str()).await;
        }
        let ack = DIALECTS[0].join(&mut client, &id, 0).await;
        assert_eq!(replayed(&ack), Some(events.len() as u64), "{user}: {ack}");
        for event in events {
            assert_eq!(client.queued(event).len(), 1, "{user}: {event}");
        }
        client.expect_nothing().await;
    }
}
