//! What only a service says of what it does for a user: its id, its time, and who it is.

use serde_json::{Value, json};
use stoa::config::RoomPolicy;

use super::LIST;
use crate::support::{
    TestApp,
    app::{ACT_KEY, API_KEY, Answer},
};

const LONG_AGO: &str = "2019-03-01T12:00:00.000Z";

/// `POST` with the backend's key alone.
async fn post(app: &TestApp, path: &str, body: &Value) -> Answer {
    app.post_with(path, &[("x-api-key", ACT_KEY)], body).await
}

#[tokio::test]
async fn a_backend_sends_a_message_of_its_own_id_and_time_once() {
    let app = TestApp::start().await;
    let mut bob = app.user("bob").await;
    let id = app.person("ann").group(&["bob"]).await;
    bob.join("conversation:join", &id).await;
    let path = format!("{LIST}/{id}/messages");
    let first = app.person("bob").say(&id, "First").await;
    let message = json!({
        "id": "507f1f77bcf86cd799439011", "createdAt": LONG_AGO, "senderId": "ann",
        "content": "Hello", "metadata": { "from": "the old app" },
        "attachments": [{ "url": "https://files.example/a.jpg", "width": 10 }],
    });
    let sent = post(&app, &path, &message).await.created()["message"].clone();
    for name in ["id", "createdAt", "content", "metadata", "attachments"] {
        assert_eq!(sent[name], message[name], "{name}");
    }
    assert_eq!(sent["sender"]["id"], "ann");
    let heard = bob.expect("message:new").await;
    assert_eq!((&heard["messageId"], &heard["createdAt"]), (&sent["id"], &sent["createdAt"]));
    // It comes after what was there, whatever it says of its time.
    let seen = app.person("bob").get(&path).await.ok();
    let ids = |seen: &Value| [&seen["items"][0]["id"], &seen["items"][1]["id"]].map(Value::clone);
    assert_eq!(ids(&seen), [sent["id"].clone(), json!(first)]);
    let list = app.person("bob").get(LIST).await.ok();
    assert_eq!(list["items"][0]["lastMessage"]["id"], sent["id"]);

    let again = post(&app, &path, &message).await;
    assert_eq!((again.status.as_u16(), &again.body["message"]), (200, &sent));
    for (name, value) in [
        ("content", json!("Other")),
        ("createdAt", json!("2019-03-01T12:00:00.001Z")),
        ("senderId", json!("bob")),
        ("metadata", json!({})),
        ("attachments", json!([])),
        ("replyTo", json!(first)),
        ("clientMessageId", json!("c-1")),
    ] {
        let mut other = message.clone();
        other[name] = value;
        let answer = post(&app, &path, &other).await;
        assert_eq!(answer.problem(409), "conflict", "{name}");
        assert_eq!(answer.body["detail"], "Another message has this id.", "{name}");
    }
    let elsewhere = format!("{LIST}/{}/messages", app.person("ann").group(&["cat"]).await);
    assert_eq!(post(&app, &elsewhere, &message).await.problem(409), "conflict");
    let taken = json!({ "id": first, "senderId": "bob", "content": "First" });
    assert_eq!(post(&app, &path, &taken).await.status, 200, "an id that the server made");

    // What became of it since is no other content.
    let path_of_it = "/api/messages/507f1f77bcf86cd799439011";
    app.person("ann").patch(path_of_it, json!({ "content": "Hello!" })).await.ok();
    let again = post(&app, &path, &message).await;
    assert_eq!((again.status.as_u16(), &again.body["message"]["content"]), (200, &json!("Hello!")));
    bob.expect("message:edited").await;
    for (name, value) in [("metadata", json!({})), ("attachments", json!([]))] {
        let mut other = message.clone();
        other[name] = value;
        assert_eq!(post(&app, &path, &other).await.problem(409), "conflict", "{name}, edited");
    }
    app.person("ann").post_nothing(&format!("{LIST}/{id}/archive")).await.ok();
    assert_eq!(post(&app, &path, &message).await.status, 200, "an archived conversation");
    let heard = bob.heard().await;
    assert!(!heard.contains("message:new"), "{heard:?}");
}

#[tokio::test]
async fn ids_of_other_backends_are_where_a_list_goes_on_even_if_they_read_as_cursors() {
    let app = TestApp::start().await;
    let id = app.person("ann").group(&["bob"]).await;
    let path = format!("{LIST}/{id}/messages");
    // The cursor of the first message is "MQ", of the second "Mg".
    for (given, content) in [("Mg", "one"), ("MQ", "two"), ("m-3", "three")] {
        let message = json!({ "id": given, "senderId": "ann", "content": content });
        post(&app, &path, &message).await.created();
    }
    let ann = app.person("ann");
    let contents = async |query: &str| {
        let seen = ann.get(&format!("{path}?{query}")).await.ok();
        let items = seen["items"].as_array().expect("a list").clone();
        items.iter().map(|item| item["content"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(contents("after=Mg").await, ["two", "three"]);
    assert_eq!(contents("before=MQ").await, ["one"]);
    let page = ann.get(&format!("{path}?limit=1")).await.ok();
    let cursor = page["nextCursor"].as_str().expect("a cursor");
    assert_eq!(contents(&format!("before={cursor}")).await, ["two", "one"]);
}

#[tokio::test]
async fn a_time_to_come_is_refused_and_a_clock_that_is_ahead_is_not() {
    let app = TestApp::start().await;
    let id = app.person("ann").group(&["bob"]).await;
    let path = format!("{LIST}/{id}/messages");
    let acted = app.acted_for("ann", &[]);
    for at in ["2190-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z"] {
        let message = json!({ "content": "x", "createdAt": at });
        acted.post(&path, message).await.invalid("/createdAt");
        let people = json!({ "participantIds": ["bob"], "createdAt": at });
        acted.post(LIST, people).await.invalid("/createdAt");
    }
    let soon = stoa::clock::Clock::system().now() + std::time::Duration::from_secs(3);
    let message = json!({ "content": "x", "createdAt": soon.to_string() });
    assert_eq!(
        acted.post(&path, message).await.created()["message"]["createdAt"],
        soon.to_string()
    );
}

#[tokio::test]
async fn only_a_service_says_who_when_and_under_which_id() {
    let app = TestApp::start().await;
    let (ann, bob) = (app.person("ann"), app.person("bob"));
    let id = ann.group(&["bob"]).await;
    let path = format!("{LIST}/{id}/messages");
    let needs = "This needs a service that acts for the user, to give id or createdAt.";
    for (name, value, needs) in [
        ("id", json!("m-1"), needs),
        ("createdAt", json!(LONG_AGO), needs),
        (
            "senderId",
            json!("bob"),
            "This needs the role service, to act for a user: a backend's API key, or its token.",
        ),
    ] {
        let mut message = json!({ "content": "x" });
        message[name] = value.clone();
        let answer = ann.post(&path, message).await;
        assert_eq!((answer.problem(403), &answer.body["detail"]), ("forbidden", &json!(needs)));
        if name != "senderId" {
            let mut people = json!({ "participantIds": ["bob"] });
            people[name] = value;
            assert_eq!(ann.post(LIST, people).await.problem(403), "forbidden", "{name}");
        }
    }
    let own = json!({ "content": "x", "senderId": "ann" });
    assert_eq!(ann.post(&path, own.clone()).await.status, 201, "themselves");
    let answer = app.post_with(&path, &[("x-api-key", API_KEY)], &own).await;
    assert_eq!(answer.body["detail"], "This needs an API key with the scope act.");
    app.acted_for("bob", &[]).post(&path, own.clone()).await.invalid("/senderId");
    assert_eq!(app.acted_for("ann", &[]).post(&path, own).await.status, 201);
    // Who takes no part sends nothing, by whomever.
    let strange = json!({ "content": "x", "senderId": "eve" });
    assert_eq!(post(&app, &path, &strange).await.problem(404), "not_found");
    assert_eq!(bob.get(&path).await.ok()["items"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn a_backend_begins_a_conversation_of_its_own_id_and_time_once() {
    let app = TestApp::start().await;
    let acted = app.acted_for("ann", &[]);
    let body = json!({
        "id": "trip-1", "createdAt": LONG_AGO, "participantIds": ["bob"], "type": "group",
        "title": "Trip", "metadata": { "a": 1 },
    });
    let begun = acted.post(LIST, body.clone()).await.created()["conversation"].clone();
    assert_eq!((&begun["id"], &begun["_id"]), (&json!("trip-1"), &json!("trip-1")));
    assert_eq!(begun["createdAt"], LONG_AGO);
    let again = acted.post(LIST, body.clone()).await;
    assert_eq!((again.status.as_u16(), &again.body["conversation"]), (200, &begun));
    for (name, value) in [
        ("createdAt", json!("2019-03-01T12:00:00.001Z")),
        ("participantIds", json!(["bob", "cat"])),
        ("participantIds", json!(["cat"])),
        ("title", json!("Trips")),
        ("metadata", json!({ "a": 2 })),
    ] {
        let mut other = body.clone();
        other[name] = value;
        assert_eq!(acted.post(LIST, other).await.problem(409), "conflict", "{name}");
    }
    let mut other = body;
    other["participantIds"] = json!(["ann"]);
    assert_eq!(app.acted_for("bob", &[]).post(LIST, other).await.problem(409), "conflict");
    // It is as new in lists as if it had been begun now.
    app.person("ann").group(&["bob"]).await;
    let newer = json!({ "id": "trip-2", "createdAt": LONG_AGO, "participantIds": ["bob", "cat"] });
    acted.post(LIST, newer).await.created();
    let list = app.person("ann").get(LIST).await.ok();
    assert_eq!(list["items"][0]["id"], "trip-2", "{list}");
    // The direct one of two is one, whatever id it would have had.
    let pair = json!({ "id": "pair-1", "participantIds": ["dan"] });
    acted.post(LIST, pair.clone()).await.created();
    let other = json!({ "id": "pair-2", "participantIds": ["dan"] });
    for body in [pair, other] {
        let found = acted.post(LIST, body).await;
        assert_eq!(
            (found.status.as_u16(), &found.body["conversation"]["id"]),
            (200, &json!("pair-1"))
        );
    }
    let message = json!({ "content": "Hello" });
    acted.post(&format!("{LIST}/pair-1/messages"), message).await.created();
}

#[tokio::test]
async fn of_many_at_once_that_give_the_same_id_one_is_sent() {
    let app = TestApp::start().await;
    let ann = app.person("ann");
    let (one, two) = (ann.group(&["bob"]).await, ann.group(&["bob"]).await);
    let send = async |n: usize| {
        let path = format!("{LIST}/{}/messages", if n.is_multiple_of(2) { &one } else { &two });
        let message = json!({ "id": "m-1", "senderId": "ann", "content": "x" });
        post(&app, &path, &message).await.status.as_u16()
    };
    let statuses = futures_util::future::join_all((0..20).map(send)).await;
    let count = |status| statuses.iter().filter(|one| **one == status).count();
    assert_eq!((count(201), count(200), count(409)), (1, 9, 10), "{statuses:?}");
}

#[tokio::test]
async fn whoever_was_in_the_room_before_there_was_a_conversation_hears_none_of_it() {
    let app = TestApp::with(|config| config.rooms.policy = RoomPolicy::Open).await;
    let mut ann = app.user("ann").await;
    let mut bob = app.user("bob").await;
    for user in [&mut ann, &mut bob] {
        user.join("conversation:join", "c-1").await;
        user.join("join-chat-room", "c-1").await;
    }
    let begun = json!({ "id": "c-1", "participantIds": ["carl"], "type": "group" });
    let headers = [("x-api-key", ACT_KEY), ("x-act-as", "bob")];
    app.post_with(LIST, &headers, &begun).await.created();
    app.person("carl").say("c-1", "for bob alone").await;
    assert_eq!(bob.expect("message:new").await["content"], "for bob alone");
    let refused = ann.emit_ack("conversation:join", "c-1").await;
    assert_eq!(refused["code"], "forbidden", "{refused}");
    ann.expect_nothing().await;
}
