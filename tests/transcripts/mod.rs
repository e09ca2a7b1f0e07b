//! What goes over the wire, told whole: `>` is what a client sends, `<` what it receives. Ids stand as
//! their numbers.
//!
//! A test waits for each event that is on its way before its client says more, so that a transcript
//! is the same in each run.

mod chat;
mod trade;

use serde_json::{Value, json};

use crate::support::{Client, Options, Person, TestApp};

/// What a client that was refused said and heard.
async fn refused(app: &TestApp, options: Options, token: &str) -> String {
    let protocol = options.version();
    let mut client = Client::open(app.address(), options.bearer(token)).await.expect("a transport");
    client.next_raw().await;
    if protocol == 4 {
        client.send_raw(format!("40{}", json!({ "token": token })));
    }
    client.next_raw().await;
    client.said()
}

#[tokio::test]
async fn a_client_opens_its_transport_and_then_its_namespaces() {
    let app = TestApp::start().await;
    let mut ann = app.user("ann").await;
    let auth = json!({ "token": ann.token });
    ann.join_namespace("/marketplace", &auth).await.expect("a namespace");
    insta::assert_snapshot!(ann.transcript().await, @r#"
    > 40{"token":"[token]"}
    < 0{"sid":"[sid]","upgrades":[],"pingInterval":25000,"pingTimeout":60000,
        "maxPayload":1000000}
    < 40{"sid":"[sid]"}
    > 40/marketplace,{"token":"[token]"}
    < 40/marketplace,{"sid":"[sid]"}
    "#);
    ann.close().await;
}

#[tokio::test]
async fn a_client_of_the_2_x_line_is_in_its_first_namespace_from_the_start() {
    let app = TestApp::start().await;
    let mut ann = app.user_with("ann", &[], Options::websocket().protocol(3)).await;
    insta::assert_snapshot!(ann.transcript().await, @r#"
    < 0{"sid":"[sid]","upgrades":[],"pingInterval":25000,"pingTimeout":60000,
        "maxPayload":1000000}
    < 40
    "#);
}

#[tokio::test]
async fn who_is_refused_is_told_why() {
    let app = TestApp::start().await;
    insta::assert_snapshot!(refused(&app, Options::websocket(), "nonsense").await, @r#"
    < 0{"sid":"[sid]","upgrades":[],"pingInterval":25000,"pingTimeout":60000,
        "maxPayload":1000000}
    > 40{"token":"[token]"}
    < 44{"message":"Authentication error: jwt malformed"}
    "#);
    insta::assert_snapshot!(refused(&app, Options::websocket().protocol(3), "nonsense").await, @r#"
    < 0{"sid":"[sid]","upgrades":[],"pingInterval":25000,"pingTimeout":60000,
        "maxPayload":1000000}
    < 44"Authentication error: jwt malformed"
    "#);
}

#[tokio::test]
async fn what_is_not_done_is_told_in_the_acknowledgement_or_in_an_error_event() {
    let app = TestApp::start().await;
    let mut eve = app.user("eve").await;
    eve.emit_ack("no-such-event", json!({})).await;
    eve.emit_ack("conversation:join", json!({ "id": 1 })).await;
    eve.emit_ack("conversation:join", "not-hers").await;
    eve.emit_ack("join-user-room", "ann").await;
    eve.emit("join-user-room", "ann");
    eve.expect("error").await;
    eve.emit("join-user-room", "eve");
    insta::assert_snapshot!(eve.transcript().await, @r#"
    > 40{"token":"[token]"}
    < 0{"sid":"[sid]","upgrades":[],"pingInterval":25000,"pingTimeout":60000,
        "maxPayload":1000000}
    < 40{"sid":"[sid]"}
    > 421["no-such-event",{}]
    < 431[{"success":false,"error":"There is no such event in this namespace.",
        "code":"unknown_event"}]
    > 422["conversation:join",{"id":1}]
    < 432[{"success":false,"error":"a conversation id or {conversationId, since}",
        "code":"invalid_payload"}]
    > 423["conversation:join","not-hers"]
    < 433[{"success":false,"error":"You may not enter this room.","code":"forbidden"}]
    > 424["join-user-room","ann"]
    < 434[{"success":false,"error":"You may not enter this room.","code":"forbidden"}]
    > 42["join-user-room","ann"]
    < 42["error",{"event":"join-user-room","error":"You may not enter this room.",
        "code":"forbidden"}]
    > 42["join-user-room","eve"]
    "#);
}

#[tokio::test]
async fn a_session_that_ends_is_told_why_and_whether_to_come_back() {
    let app = TestApp::start().await;
    let (mut ann, mut bob) = (app.user("ann").await, app.user("bob").await);
    for user in [&mut ann, &mut bob] {
        user.transcript().await;
    }
    app.post("/api/auth/revocations", json!({ "userId": "ann" })).await;
    ann.closed().await;
    insta::assert_snapshot!(ann.said(), @r#"
    < 42["session:closing",{"reason":"revoked","retryable":false}]
    < close frame 1001
    "#);
    app.stop();
    bob.closed().await;
    insta::assert_snapshot!(bob.said(), @r#"
    < 42["session:closing",{"reason":"draining","retryable":true,"retryAfterMs":10000}]
    < close frame 1001
    "#);
}

#[tokio::test]
async fn a_token_is_renewed_on_the_socket() {
    let app = TestApp::start().await;
    let mut ann = app.user("ann").await;
    ann.transcript().await;
    for token in [app.token("ann", &["seller"]), app.token("bob", &[])] {
        ann.emit_ack("auth:refresh", json!({ "token": token })).await;
    }
    insta::assert_snapshot!(ann.transcript().await, @r#"
    > 421["auth:refresh",{"token":"[token]"}]
    < 431[{"success":true,"expiresAt":"[time]","leftRooms":[]}]
    > 422["auth:refresh",{"token":"[token]"}]
    < 432[{"success":false,"error":"The new token belongs to another user.","code":"forbidden"}]
    "#);
}

#[tokio::test]
async fn a_notification_is_heard_read_and_counted() {
    let app = TestApp::start().await;
    let mut ann = app.user("ann").await;
    ann.transcript().await;
    let notice = json!({
        "userId": "ann", "type": "offer", "title": "An offer", "body": "35.50 USD",
    });
    app.post("/api/notifications", notice).await.created();
    ann.expect("unread-count-update").await;
    ann.get("/api/notifications").await;
    ann.post_nothing("/api/notifications/read-all").await;
    insta::assert_snapshot!(ann.transcript().await, @r#"
    < 42["new-notification",{"notification":{"id":"[1]","_id":"[1]","type":"offer",
        "title":"An offer","body":"35.50 USD","data":null,"createdAt":"[time]","readAt":null}}]
    < 42["unread-count-update",{"unreadCount":1}]
    > GET /api/notifications
    < 200 {"items":[{"id":"[1]","_id":"[1]","type":"offer","title":"An offer",
        "body":"35.50 USD","data":null,"createdAt":"[time]","readAt":null}],"nextCursor":null}
    > POST /api/notifications/read-all
    < 200 {"modifiedCount":1,"unreadCount":0}
    < 42["unread-count-update",{"unreadCount":0}]
    "#);
}

#[tokio::test]
async fn points_are_awarded_by_a_backend_and_a_new_level_is_told() {
    let app = TestApp::start().await;
    let mut ann = app.user("ann").await;
    ann.transcript().await;
    let award = json!({
        "userId": "ann", "points": 5000, "reason": "A purchase", "reference": "order-1",
    });
    app.post("/api/points/awards", award).await.created();
    ann.expect("level-up").await;
    ann.get("/api/points/me").await;
    ann.get("/api/points/me/ledger").await;
    insta::assert_snapshot!(ann.transcript().await, @r#"
    < 42["level-up",{"oldLevel":1,"newLevel":4,"lifetimePoints":5000,"perks":["gold_badge"]}]
    > GET /api/points/me
    < 200 {"points":5000,"lifetimePoints":5000,"level":4,"nextLevel":{"level":5,"points":10000,
        "perks":["platinum_badge"]},"perks":["gold_badge"],"referralCode":"[referralCode]"}
    > GET /api/points/me/ledger
    < 200 {"items":[{"id":"[1]","_id":"[1]","userId":"ann","points":5000,"balance":5000,
        "reason":"A purchase","reference":"order-1","referredUserId":null,
        "createdAt":"[time]"}],"nextCursor":null}
    "#);
}
