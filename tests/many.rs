//! One thing for many people: it is kept once, each hears of it, and it costs the others nothing.

use serde_json::{Value, json};

use crate::support::TestApp;

/// Made-up people.
fn people(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("u{number}")).collect()
}

/// What someone finds who asks for all that they missed.
async fn missed(app: &TestApp, user: &str, event: &str) -> Vec<Value> {
    let mut client = app.user(user).await;
    let join = json!({ "userId": user, "since": 0 });
    let ack = client.emit_ack("join-user-room", join).await;
    assert_eq!(ack["recovered"], true, "{ack}");
    client.queued(event)
}

/// Bytes of the database, also of what waits to be folded in. None on Postgres.
fn bytes_kept(app: &TestApp) -> Option<i64> {
    if std::env::var_os("STOA_TEST_STORE").is_some() {
        return None;
    }
    let database = app.database();
    database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).expect("folded in");
    let size = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()";
    database.query_row(size, [], |row| row.get(0)).ok()
}

/// Asserts that no more than a megabyte came to the database since.
fn assert_small(app: &TestApp, before: Option<i64>, what: &str) {
    if let (Some(before), Some(after)) = (before, bytes_kept(app)) {
        assert!(after - before <= 1_000_000, "{what} took {} bytes", after - before);
    }
}

#[tokio::test]
async fn a_conversation_of_a_thousand_is_kept_once_and_each_is_told() {
    let app = TestApp::start().await;
    let before = bytes_kept(&app);
    let mut live = app.user("u7").await;
    let body = json!({ "participantIds": people(999), "metadata": "x".repeat(16_000) });
    let made = app.person("ann").post("/api/conversations", body).await;
    assert_eq!(made.status, 201);
    assert_small(&app, before, "a conversation");
    let made = &made.body["conversation"];
    let shown = made["participants"].as_array().expect("people");
    assert_eq!((shown.len(), &made["participantCount"]), (20, &json!(1000)));
    assert_eq!(shown[0]["id"], "ann");

    let created = live.expect("conversation:created").await;
    assert_eq!(created["conversation"], *made);
    let added = live.expect("conversation:added").await;
    assert_eq!((&added["conversationId"], &added["addedBy"]["id"]), (&made["id"], &json!("ann")));
    live.expect_nothing().await;
    for (who, times_added) in [("ann", 0), ("u0", 1), ("u998", 1)] {
        let again = missed(&app, who, "conversation:created").await;
        assert_eq!(again, std::slice::from_ref(&created), "{who}");
        assert_eq!(missed(&app, who, "conversation:added").await.len(), times_added, "{who}");
    }
    assert_eq!(missed(&app, "stranger", "conversation:created").await, [Value::Null; 0]);

    let before = bytes_kept(&app);
    let id = made["id"].as_str().expect("an id");
    let archive = format!("/api/conversations/{id}/archive");
    assert_eq!(app.person("ann").post(&archive, json!({})).await.status, 204);
    assert_small(&app, before, "its end");
    for who in ["ann", "u998"] {
        let told = missed(&app, who, "conversation:archived").await;
        assert_eq!(told, [json!({ "conversationId": id })], "{who}");
    }
}

#[tokio::test]
async fn a_thousand_people_are_added_at_once() {
    let app = TestApp::start().await;
    let body = json!({ "participantIds": ["bob"], "type": "group" });
    let made = app.person("ann").post("/api/conversations", body).await.ok();
    let id = made["conversation"]["id"].as_str().expect("an id");
    let before = bytes_kept(&app);
    let path = format!("/api/conversations/{id}/participants");
    // Some twice, and some who are in.
    let mut users = people(998);
    users.extend(["u3", "bob", "ann"].map(str::to_owned));
    assert_eq!(users.len(), 1001);
    users.swap_remove(0);
    let body = json!({ "userIds": users });
    let added = app.person("ann").post(&path, body).await.ok();
    assert_eq!(added["conversation"]["participantCount"], 999);
    assert_eq!(added["conversation"]["participants"].as_array().expect("people").len(), 20);
    assert_small(&app, before, "their coming");
    for (who, times) in [("u3", 1), ("u997", 1), ("bob", 1), ("ann", 0)] {
        assert_eq!(missed(&app, who, "conversation:added").await.len(), times, "{who}");
    }
    let mut bob = app.user("bob").await;
    let join = json!({ "conversationId": id, "since": 0 });
    assert_eq!(bob.emit_ack("conversation:join", join).await["recovered"], true);
    let mut came: Vec<String> = bob
        .queued("conversation:participant:added")
        .iter()
        .map(|added| added["participant"]["id"].as_str().expect("an id").to_owned())
        .collect();
    came.sort();
    came.dedup();
    assert_eq!(came.len(), 997);
}

#[tokio::test]
async fn metadata_of_a_conversation_has_a_bound() {
    let app = TestApp::start().await;
    for (bytes, status) in [(16 * 1024 - 2, 201), (16 * 1024 - 1, 422)] {
        let body = json!({ "participantIds": ["bob", "cat"], "metadata": "x".repeat(bytes) });
        let made = app.person("ann").post("/api/conversations", body).await;
        assert_eq!(made.status, status);
        if status == 422 {
            assert_eq!(made.body["errors"][0]["pointer"], "/metadata");
        }
    }
}

/// People with ids of so many characters.
fn with_ids_of(chars: usize, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{number:0chars$}")).collect()
}

#[tokio::test]
async fn one_call_lets_a_thousand_in_for_a_megabyte_whatever_their_ids() {
    let app = TestApp::with(|config| config.limits.enabled = false).await;
    let create = async |people: Vec<String>| {
        let metadata = "x".repeat(16_000);
        let body = json!({ "participantIds": people, "type": "group", "metadata": metadata });
        app.person("ann").post("/api/conversations", body).await
    };
    let made = create(vec!["bob".to_owned()]).await.body;
    let id = made["conversation"]["id"].as_str().expect("an id").to_owned();
    let add = async |people: Vec<String>| {
        let path = format!("/api/conversations/{id}/participants");
        app.person("ann").post(&path, json!({ "userIds": people })).await
    };
    let refused = add(with_ids_of(254, 79)).await;
    assert_eq!(refused.problem(422), "invalid_payload");
    assert_eq!(refused.body["errors"][0]["pointer"], "/userIds");
    let before = bytes_kept(&app);
    assert_eq!(add(with_ids_of(20, 998)).await.status, 200);
    assert_small(&app, before, "people who come in");

    for (chars, count) in [(254, 999), (254, 158), (41, 999)] {
        let refused = create(with_ids_of(chars, count)).await;
        assert_eq!(refused.problem(422), "invalid_payload");
        assert_eq!(refused.body["errors"][0]["pointer"], "/participantIds");
    }
    for (chars, count) in [(36, 999), (40, 999), (254, 157)] {
        let before = bytes_kept(&app);
        assert_eq!(create(with_ids_of(chars, count)).await.status, 201);
        assert_small(&app, before, "a conversation");
    }
}

#[tokio::test]
async fn a_large_emit_to_a_thousand_users_is_kept_once() {
    let app = TestApp::start().await;
    let before = bytes_kept(&app);
    let data = json!("x".repeat(500_000));
    app.emit(json!({ "users": people(1000) }), "big", data.clone()).await;
    assert_small(&app, before, "an emit");
    for who in ["u0", "u999"] {
        assert_eq!(missed(&app, who, "big").await, std::slice::from_ref(&data), "{who}");
    }
}

#[tokio::test]
async fn what_is_too_much_to_be_kept_at_once_is_refused_and_nobody_hears_it() {
    let app = TestApp::with(|config| config.database.max_unit_event_bytes = 100_000).await;
    let mut sam = app.user("sam").await;
    let emit = |users: Value, bytes: usize| json!({ "to": { "users": users }, "event": "big", "data": "x".repeat(bytes) });
    let refused = app.post("/api/emit", emit(json!(["sam", "sue"]), 100_000)).await;
    assert_eq!(refused.problem(413), "too_large");
    // Many small shares are much, too.
    let mut users = people(999);
    users.push("sam".to_owned());
    let refused = app.post("/api/emit", emit(json!(users), 10)).await;
    assert_eq!(refused.problem(413), "too_large");
    sam.expect_nothing().await;
    assert_eq!(app.post("/api/emit", emit(json!(["sam", "sue"]), 90_000)).await.status, 202);
    sam.expect("big").await;
    assert_eq!(missed(&app, "sue", "big").await.len(), 1);
}
