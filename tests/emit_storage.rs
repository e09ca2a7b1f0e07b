//! What of the emit API is kept, and where.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{TestApp, app::API_KEY, http_client};

/// What a stream keeps: the numbers, and the wire events.
fn kept(app: &TestApp, stream: &str) -> Vec<(i64, Value)> {
    let database = app.database();
    let events = "SELECT seq, wire FROM events WHERE stream = ?1 ORDER BY seq";
    let mut events = database.prepare(events).expect("a statement");
    let rows = events.query_map([stream], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)));
    let rows = rows.expect("rows").map(|row| row.expect("a row"));
    rows.map(|(seq, wire)| (seq, serde_json::from_str(&wire).expect("JSON"))).collect()
}

fn all_kept(app: &TestApp) -> i64 {
    let count = "SELECT COUNT(*) FROM events";
    app.database().query_row(count, [], |row| row.get(0)).expect("a number")
}

#[tokio::test]
async fn an_emit_is_kept_in_the_stream_of_its_room_user_or_everyone() {
    let app = TestApp::start().await;
    for (to, stream) in [
        (json!({ "room": "conversation:c1" }), "conversation/c1"),
        (json!({ "room": "chat-c1" }), "conversation/c1"),
        (json!({ "user": "alice" }), "user/alice"),
        (json!("everyone"), "global"),
        (json!({ "room": "ops.alerts" }), "other/ops.alerts"),
    ] {
        let before = kept(&app, stream).len();
        app.emit(to.clone(), "news", json!({ "n": 1.10 })).await;
        let events = kept(&app, stream);
        assert_eq!(events.len(), before + 1, "{to}");
        let (seq, wire) = events.last().unwrap();
        assert_eq!(*seq, i64::try_from(events.len()).unwrap());
        assert_eq!((&wire[0]["event"], &wire[0]["data"]), (&json!("news"), &json!({ "n": 1.10 })));
    }
}

#[tokio::test]
async fn an_emit_to_many_is_kept_in_each_of_their_streams_and_heard_once() {
    let app = TestApp::start().await;
    let mut alice = app.user("alice").await;
    let rooms = ["chat-c1", "user-alice", "conversation:c1", "seller-alice", "user-bob"];
    let to = json!({ "rooms": rooms, "except": ["user-carol"] });
    assert_eq!(app.emit(to, "news", json!(1)).await, 1);
    assert_eq!(alice.expect("news").await, 1);
    alice.expect_nothing().await;
    let database = app.database();
    let mut rows = Vec::new();
    for stream in ["conversation/c1", "user/alice", "user/bob"] {
        let share = "SELECT seq, shared FROM events WHERE stream = ?1";
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        rows.push(database.query_row(share, [stream], row).expect("a share"));
    }
    rows.dedup();
    let [(1, id)] = &*rows else { panic!("{rows:?}") };
    let id: &Vec<u8> = id;
    let whole = "SELECT wire FROM shared_events WHERE id = ?1";
    let wire: String = database.query_row(whole, [id], |row| row.get(0)).expect("it");
    let wire: Value = serde_json::from_str(&wire).expect("JSON");
    assert_eq!(wire[0]["to"], json!({ "rooms": rooms, "except": ["user-carol"] }));
    assert!(wire[0]["id"].is_string());
}

#[tokio::test]
async fn what_is_volatile_or_refused_is_not_kept() {
    let app = TestApp::start().await;
    let mut alice = app.user("alice").await;
    let emit = |event: &str, volatile: bool| json!({ "to": { "user": "alice" }, "event": event, "data": 1, "volatile": volatile });
    assert_eq!(app.post("/api/emit", emit("tick", true)).await.status, 202);
    alice.expect("tick").await;
    for name in
        ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"]
    {
        assert_eq!(app.post("/api/emit", emit(name, false)).await.problem(422), "invalid_payload");
    }
    let batch = json!({ "emits": [emit("disconnect", false), emit("tock", true)] });
    assert_eq!(app.post("/api/emit/batch", batch).await.status, 207);
    assert_eq!(all_kept(&app), 0);
}

#[tokio::test]
async fn while_the_store_is_away_only_volatile_emits_are_sent() {
    let app = TestApp::start().await;
    let mut alice = app.user("alice").await;
    let emit = async |event: &str, volatile: bool| {
        let body =
            json!({ "to": { "user": "alice" }, "event": event, "data": 1, "volatile": volatile });
        let request = http_client().post(format!("http://{}/api/emit", app.address()));
        let request = request.header("x-api-key", API_KEY).timeout(Duration::from_secs(30));
        request.json(&body).send().await.unwrap()
    };
    // What the server writes when it starts is written by then, and waits no more.
    assert_eq!(emit("earlier", false).await.status(), 202);
    alice.expect("earlier").await;
    // Longer than the store waits for another who writes.
    let other = app.database();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (kept, volatile) = tokio::join!(emit("kept", false), emit("volatile", true));
    assert_eq!(
        (kept.status().as_u16(), &kept.headers()["retry-after"]),
        (503, &"1".parse().unwrap())
    );
    assert_eq!(volatile.status(), 202);
    alice.expect("volatile").await;
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(emit("later", false).await.status(), 202);
    alice.expect("later").await;
    alice.expect_nothing().await;
}
