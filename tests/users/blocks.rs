//! Blocked users, and those who are disconnected.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::{REVOKED, clock, expect_end};
use crate::support::{Options, TestApp};

#[tokio::test]
async fn a_blocked_user_is_out_whatever_their_tokens_until_they_are_let_in() {
    let app = TestApp::start().await;
    let (alice, admin) = (app.person_as("alice", &["seller"]), app.person_as("olga", &["admin"]));
    let mut all = alice.tabs().await;
    let mut bob = app.user("bob").await;
    let block = json!({ "reason": "spam" });
    let path = "/api/users/alice/block";
    assert_eq!(admin.post(path, block).await.status, 204);
    for tab in &mut all {
        expect_end(tab, "revoked").await;
    }
    bob.expect_nothing().await;
    for alice in [alice, app.person("alice"), app.person_as("alice", &["admin"])] {
        assert_eq!(app.refusal(Options::websocket().token(&alice.token)).await, REVOKED);
        let answer = alice.look("bob").await;
        assert_eq!(answer.problem(403), "user_blocked");
        assert_eq!(answer.body["detail"], "This user is blocked.");
    }
    let answer = app.post("/api/auth/tokens", json!({ "userId": "alice" })).await;
    assert_eq!(answer.problem(409), "conflict");
    // Operators see it, others do not.
    let seen = admin.look("alice").await.ok();
    assert_eq!((&seen["block"]["reason"], &seen["block"]["until"]), (&json!("spam"), &Value::Null));
    assert_eq!(seen["block"]["blockedBy"], "olga");
    assert_eq!(app.person("bob").look("alice").await.problem(404), "not_found");
    assert_eq!(admin.delete(path).await.status, 204);
    assert!(app.person("alice").is_let_in().await);
    assert_eq!(admin.look("alice").await.problem(404), "not_found");
    // Once more changes nothing.
    assert_eq!(
        app.request(Method::DELETE, path, Some(crate::support::app::API_KEY), None).await.status,
        204
    );
}

#[tokio::test]
async fn a_block_ends_by_itself_and_outlasts_a_restart() {
    let clock = clock();
    let app = TestApp::with_clock(clock.clone(), |_| {}).await;
    let until = clock.now() + Duration::from_mins(1);
    let body = json!({ "until": until.to_string() });
    assert_eq!(app.post("/api/users/alice/block", body).await.status, 204);
    assert_eq!(app.post("/api/users/bob/block", json!({})).await.status, 204);
    let app = app.restart().await;
    let (alice, bob) = (app.person("alice"), app.person("bob"));
    assert!(!alice.is_let_in().await);
    clock.advance(Duration::from_millis(59_999));
    assert!(!alice.is_let_in().await);
    assert_eq!(app.get("/api/users/alice").await.ok()["block"]["until"], until.to_string());
    clock.advance(Duration::from_millis(1));
    assert!(alice.is_let_in().await);
    assert_eq!(app.get("/api/users/alice").await.problem(404), "not_found");
    let app = app.restart().await;
    assert!(alice.at(&app).is_let_in().await);
    assert!(!bob.at(&app).is_let_in().await);
}

#[tokio::test]
async fn blocks_and_their_ends_at_once_leave_what_is_kept() {
    let app = TestApp::start().await;
    let key = Some(crate::support::app::API_KEY);
    let calls = (0..40).map(|n| {
        let method = if n % 2 == 0 { Method::POST } else { Method::DELETE };
        app.request(method, "/api/users/alice/block", key, None)
    });
    for answer in futures_util::future::join_all(calls).await {
        assert_eq!(answer.status, 204, "{answer:?}");
    }
    let let_in = app.person("alice").is_let_in().await;
    let app = app.restart().await;
    assert_eq!(app.person("alice").is_let_in().await, let_in);
}

#[tokio::test]
async fn a_disconnected_user_is_out_in_every_tab_and_may_come_back() {
    let app = TestApp::start().await;
    let alice = app.person("alice");
    let mut all = alice.tabs().await;
    let mut bob = app.user("bob").await;
    // He watches her room, and is not her.
    let mut olga = app.user_with("olga", &["admin"], Options::websocket()).await;
    assert_eq!(olga.emit_ack("join-user-room", "alice").await["success"], true);
    let answer = app.post("/api/users/alice/disconnect", json!({ "reason": "maintenance" })).await;
    assert_eq!(answer.ok(), json!({ "disconnected": all.len() }));
    for tab in &mut all {
        expect_end(tab, "disconnected").await;
    }
    bob.expect_nothing().await;
    olga.expect_nothing().await;
    assert!(alice.is_let_in().await);
    app.until_offline("alice", Duration::from_secs(10)).await;
    let nobody = app.request(
        Method::POST,
        "/api/users/alice/disconnect",
        Some(crate::support::app::API_KEY),
        None,
    );
    assert_eq!(nobody.await.ok(), json!({ "disconnected": 0 }));
}

#[tokio::test]
async fn what_is_no_block_is_told_and_only_operators_shut_out() {
    let app = TestApp::with_clock(clock(), |_| {}).await;
    for (body, pointer) in [
        (json!({ "until": "2025-01-01T00:00:00Z" }), "/until"),
        (json!({ "until": 5 }), "/until"),
        (json!({ "reason": "" }), "/reason"),
        (json!({ "reason": "x".repeat(501) }), "/reason"),
        (json!({ "reason": "a\nb" }), "/reason"),
        (json!({ "since": 5 }), "/since"),
    ] {
        let answer = app.post("/api/users/alice/block", body.clone()).await;
        assert_eq!(answer.problem(422), "invalid_payload", "{body}");
        assert_eq!(answer.body["errors"][0]["pointer"], pointer, "{body}");
    }
    let (user, service) = (app.person_as("ben", &["seller"]), app.person_as("s", &["service"]));
    for (method, path) in [
        (Method::POST, "/api/users/alice/block"),
        (Method::DELETE, "/api/users/alice/block"),
        (Method::POST, "/api/users/bob/block"),
        (Method::POST, "/api/users/alice/disconnect"),
    ] {
        let answer = user.call(method.clone(), path, None).await;
        assert_eq!(answer.problem(403), "forbidden", "{path}");
        assert!(service.call(method, path, None).await.status.is_success(), "{path}");
    }
    assert_eq!(app.post("/api/users/a%20b/block", json!({})).await.problem(422), "invalid_payload");
}

#[tokio::test]
async fn a_block_that_is_asked_for_twice_under_one_key_is_done_once() {
    let app = TestApp::start().await;
    let headers = [("x-api-key", crate::support::app::API_KEY), ("idempotency-key", "k1")];
    let path = "/api/users/alice/block";
    let first = app.post_with(path, &headers, &json!({})).await;
    assert_eq!(first.status, 204, "{first:?}");
    let key = Some(crate::support::app::API_KEY);
    assert_eq!(app.request(Method::DELETE, path, key, None).await.status, 204);
    let again = app.post_with(path, &headers, &json!({})).await;
    assert_eq!(
        (again.status.as_u16(), &again.headers["idempotency-replayed"]),
        (204, &"true".parse().unwrap())
    );
    assert!(app.person("alice").is_let_in().await);
}
