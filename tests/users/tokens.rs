//! Tokens that a backend has made for its users.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::Method;
use serde_json::{Value, json};

use super::{clock, expect_end, revoke};
use crate::support::TestApp;

const PATH: &str = "/api/auth/tokens";

/// The claims of a token.
fn claims(token: &Value) -> Value {
    let payload = token.as_str().expect("a token").split('.').nth(1).expect("claims");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).expect("base64")).expect("JSON")
}

#[tokio::test]
async fn a_service_has_tokens_made_for_its_users() {
    let clock = clock();
    let app = TestApp::with_clock(clock.clone(), |config| {
        config.auth.jwt_issuer = Some("stoa".to_owned());
        config.auth.jwt_audience = Some("web".to_owned());
    })
    .await;
    let asked = json!({
        "userId": "alice", "email": "alice@example.org", "firstName": "Alice", "lastName": "Liddell",
        "name": "Alice L.", "roles": ["buyer", "seller"], "rooms": ["ops.alerts"], "ttlSeconds": 90,
    });
    let answer = app.post(PATH, asked).await;
    assert_eq!(answer.status, 201);
    let made = answer.ok();
    let seconds = clock.now().seconds() + 90;
    assert_eq!(made["expiresAt"], stoa::clock::Timestamp::from_millis(seconds * 1000).to_string());
    let said = claims(&made["token"]);
    assert_eq!((&said["exp"], &said["roles"]), (&json!(seconds), &json!(["buyer", "seller"])));
    let mut alice = app.bearer("alice", made["token"].as_str().unwrap()).connect().await;
    for (event, argument) in [("join-seller-room", "alice"), ("join-buyer-room", "alice")] {
        assert_eq!(alice.emit_ack(event, argument).await["success"], true, "{event}");
    }
    let me = alice.look("alice").await.ok();
    assert_eq!((&me["firstName"], &me["email"]), (&json!("Alice"), &json!("alice@example.org")));
    // Each has an id of its own, by which it is revoked.
    let other = app.post(PATH, json!({ "userId": "alice" })).await.ok();
    let hour = clock.now().seconds() + 3600;
    assert_eq!(claims(&other["token"])["exp"], hour);
    revoke(&app, json!({ "jti": said["jti"] })).await;
    expect_end(&mut alice, "revoked").await;
    let other = app.bearer("alice", other["token"].as_str().unwrap());
    assert!(other.is_let_in().await);
    clock.advance(Duration::from_secs(3605));
    assert!(!other.is_let_in().await);
}

#[tokio::test]
async fn tokens_with_power_are_made_for_api_keys_alone() {
    let app = TestApp::start().await;
    let service = app.person_as("orders", &["service"]);
    for role in ["admin", "service"] {
        let asked = json!({ "userId": "x", "roles": ["user", role] });
        let answer = service.post(PATH, asked.clone()).await;
        assert_eq!(answer.problem(403), "forbidden");
        assert!(answer.body["detail"].as_str().unwrap().contains("API key"), "{answer:?}");
        let made = app.post(PATH, asked).await.ok();
        assert_eq!(claims(&made["token"])["roles"], json!(["user", role]));
    }
    let asked = json!({ "userId": "x", "roles": ["user", "buyer", "seller"] });
    assert_eq!(service.post(PATH, asked).await.status, 201);
    for person in [app.person_as("alice", &["user"]), app.person_as("olga", &["admin"])] {
        let answer = person.post(PATH, json!({ "userId": "alice" })).await;
        assert_eq!(answer.problem(403), "forbidden");
    }
    let narrow = Some(crate::support::app::NARROW_KEY);
    let asked = Some(json!({ "userId": "alice" }));
    assert_eq!(app.request(Method::POST, PATH, narrow, asked).await.problem(403), "forbidden");
}

#[tokio::test]
async fn what_is_no_token_is_told() {
    let app = TestApp::with(|config| {
        config.users.token_life = Duration::from_mins(1);
        config.users.longest_token_life = Duration::from_mins(10);
    })
    .await;
    let rooms: Vec<_> = (0..100).map(|n| format!("chat-{n}{}", "r".repeat(200))).collect();
    for (asked, pointer) in [
        (json!({}), "/userId"),
        (json!({ "userId": "a b" }), "/userId"),
        (json!({ "userId": "a", "roles": ["king"] }), "/roles/0"),
        (json!({ "userId": "a", "roles": "admin" }), "/roles"),
        (json!({ "userId": "a", "email": "nobody" }), "/email"),
        (json!({ "userId": "a", "firstName": "" }), "/firstName"),
        (json!({ "userId": "a", "rooms": ["a room"] }), "/rooms/0"),
        (json!({ "userId": "a", "rooms": rooms }), "/rooms"),
        (json!({ "userId": "a", "ttlSeconds": 0 }), "/ttlSeconds"),
        (json!({ "userId": "a", "ttlSeconds": -5 }), "/ttlSeconds"),
        (json!({ "userId": "a", "ttlSeconds": 601 }), "/ttlSeconds"),
        (json!({ "userId": "a", "exp": 5 }), "/exp"),
    ] {
        let answer = app.post(PATH, asked.clone()).await;
        assert_eq!(answer.problem(422), "invalid_payload", "{asked}");
        assert_eq!(answer.body["errors"][0]["pointer"], pointer, "{asked}: {answer:?}");
    }
    let asked = json!({ "userId": "a", "roles": null, "rooms": null, "ttlSeconds": 600 });
    assert_eq!(app.post(PATH, asked).await.status, 201);
}

#[tokio::test]
async fn without_a_secret_no_token_is_made() {
    let app = TestApp::with(|config| {
        config.auth.jwt_secret = None;
        config.auth.jwt_public_key = Some(include_str!("../keys/rsa.pub.pem").to_owned());
    })
    .await;
    let answer = app.post(PATH, json!({ "userId": "alice" })).await;
    assert_eq!(answer.problem(503), "no_signing_key");
    assert!(answer.body["detail"].as_str().unwrap().contains("JWT_SECRET"), "{answer:?}");
}
