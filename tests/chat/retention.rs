//! Old messages are given up, with all that hangs on them; what is left is as it was
//! (`MESSAGE_RETENTION`).

use std::time::Duration;

use serde_json::{Value, json};

use super::{named, text};
use crate::support::{TestApp, eventually};

const DAY: Duration = Duration::from_hours(24);

/// Has the first so many messages of every conversation be two days old.
async fn age(app: &TestApp, messages: usize) {
    let ago = 2 * DAY.as_millis();
    app.execute(&format!(
        "UPDATE messages SET created_at = created_at - {ago} WHERE ordinal <= {messages}"
    ))
    .await;
    app.execute(&format!("UPDATE conversations SET oldest_at = oldest_at - {ago}")).await;
}

/// The same server, which gives up what is older than a day; when so many messages are left.
async fn pruned(app: TestApp, left: i64) -> TestApp {
    let app =
        Box::pin(app.restart_with(|config| config.database.message_retention = Some(DAY))).await;
    eventually(async || {
        let there = app.count("SELECT COUNT(*) FROM messages").await;
        (there == left).then_some(())
    })
    .await;
    app
}

async fn view(app: &TestApp, user: &str, conversation: &str) -> (Value, Value) {
    let person = app.person(user);
    let one = person.get(&format!("/api/conversations/{conversation}")).await.ok();
    let listed = person.get("/api/conversations").await.ok();
    let found = listed["items"].as_array().expect("a list").iter();
    let found = found.filter(|listed| listed["id"] == one["id"]).count();
    assert_eq!(found, 1);
    let listed = &listed["items"][0];
    for name in ["unreadCount", "lastMessage"] {
        assert_eq!(listed[name], one[name], "{name}");
    }
    (one["unreadCount"].clone(), one["lastMessage"]["content"].clone())
}

#[tokio::test]
async fn old_messages_go_with_their_reactions_and_nobody_has_them_unread() {
    let app = TestApp::start().await;
    let [ann, bob] = ["ann", "bob"].map(|name| named(&app, name));
    let id = ann.group(&["bob", "cat"]).await;
    let mut sent = Vec::new();
    for number in 1..=6 {
        let by = if number % 2 == 0 { &bob } else { &ann };
        sent.push(by.say(&id, &format!("number {number}")).await);
    }
    ann.put(&format!("/api/messages/{}/reactions/%F0%9F%91%8D", sent[1])).await;
    assert_eq!(app.count("SELECT COUNT(*) FROM reactions").await, 1);
    let answer = json!({ "content": "number 7", "replyTo": sent[0] });
    bob.post(&format!("/api/conversations/{id}/messages"), answer).await.created();
    assert_eq!(ann.read(&id, &sent[3]).await, [2, 2]);
    // Bob has read one, Cat none.
    bob.read(&id, &sent[0]).await;
    assert_eq!(view(&app, "bob", &id).await.0, json!(2));
    assert_eq!(view(&app, "cat", &id).await.0, json!(7));

    age(&app, 5).await;
    let app = Box::pin(pruned(app, 2)).await;
    assert_eq!(app.count("SELECT COUNT(*) FROM reactions").await, 0);
    let path = format!("/api/conversations/{id}/messages");
    let listed = app.person("cat").get(&path).await.ok();
    let left: Vec<_> = listed["items"].as_array().unwrap().iter().collect();
    let contents: Vec<_> = left.iter().map(|message| text(&message["content"])).collect();
    assert_eq!(contents, ["number 7", "number 6"]);
    for (user, unread) in [("ann", 2), ("bob", 0), ("cat", 2)] {
        let last = json!("number 7");
        assert_eq!(view(&app, user, &id).await, (json!(unread), last), "{user}");
    }
    // Counted on from there.
    let [ann, cat] = ["ann", "cat"].map(|name| named(&app, name));
    ann.say(&id, "number 8").await;
    for (user, unread) in [("ann", 2), ("bob", 1), ("cat", 3)] {
        assert_eq!(view(&app, user, &id).await.0, json!(unread), "{user}");
    }
    assert_eq!(cat.read(&id, &sent[5]).await, [1, 2]);
    assert_eq!(ann.delete(&format!("/api/messages/{}", sent[0])).await.status, 404);
    assert_eq!(cat.get(&format!("{path}?after={}", sent[0])).await.status, 422);
}

#[tokio::test]
async fn what_was_given_up_is_not_heard_again() {
    let app = TestApp::start().await;
    let id = named(&app, "ann").group(&["bob"]).await;
    for text in ["a secret", "hello"] {
        named(&app, "ann").say(&id, text).await;
    }
    age(&app, 1).await;
    let app = Box::pin(pruned(app, 1)).await;
    let mut bob = app.user("bob").await;
    let since = json!({ "conversationId": id, "since": 0 });
    let ack = bob.emit_ack("conversation:join", since).await;
    assert_eq!((&ack["recovered"], &ack["seq"]), (&json!(true), &json!(2)), "{ack}");
    assert_eq!(bob.expect("message:new").await["content"], json!("hello"));
}

#[tokio::test]
async fn a_conversation_whose_messages_are_all_old_is_empty_and_goes_on() {
    let app = TestApp::start().await;
    let ann = named(&app, "ann");
    let id = ann.group(&["bob"]).await;
    // More than go at once.
    for number in 0..60 {
        ann.say(&id, &format!("number {number}")).await;
    }
    age(&app, 60).await;
    let app = Box::pin(pruned(app, 0)).await;
    for user in ["ann", "bob"] {
        assert_eq!(view(&app, user, &id).await, (json!(0), Value::Null), "{user}");
    }
    assert_eq!(app.count("SELECT COUNT(*) FROM authorships WHERE last_message > 0").await, 0);
    named(&app, "bob").say(&id, "still here").await;
    assert_eq!(view(&app, "ann", &id).await, (json!(1), json!("still here")));
    age(&app, 61).await;
    let app = Box::pin(pruned(app, 0)).await;
    assert_eq!(view(&app, "ann", &id).await, (json!(0), Value::Null));
}
