//! `Idempotency-Key`: what is sent again is answered again, and done once.

use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use stoa::clock::{Clock, Timestamp};

use crate::support::{
    TestApp,
    app::{API_KEY, Answer, NARROW_KEY},
    eventually,
    postgres::Postgres,
    within,
};

fn to_alice(data: u32) -> Value {
    json!({ "to": { "user": "alice" }, "event": "payment-news", "data": data })
}

async fn emit(app: &TestApp, api_key: &str, key: &str, body: &Value) -> Answer {
    let headers = [("x-api-key", api_key), ("idempotency-key", key)];
    app.post_with("/api/emit", &headers, body).await
}

fn is_replay(answer: &Answer) -> bool {
    answer.headers.get("idempotency-replayed").is_some_and(|value| value == "true")
}

#[tokio::test]
async fn the_same_key_and_body_are_answered_alike_and_emit_once() {
    let app = TestApp::start().await;
    let mut alice = app.user("alice").await;
    let first = emit(&app, API_KEY, "k1", &to_alice(1)).await;
    assert_eq!((first.status.as_u16(), is_replay(&first)), (202, false), "{first:?}");
    for key in ["k1", "\"k1\""] {
        let again = emit(&app, API_KEY, key, &to_alice(1)).await;
        assert_eq!((again.status.as_u16(), is_replay(&again)), (202, true), "{again:?}");
        assert_eq!(again.body, first.body);
        assert_eq!(again.headers["content-type"], first.headers["content-type"]);
    }
    let other = emit(&app, API_KEY, "k2", &to_alice(1)).await;
    assert_ne!(other.body["id"], first.body["id"]);
    for _ in 0..2 {
        assert_eq!(alice.expect("payment-news").await, 1);
    }
    alice.expect_nothing().await;
}

#[tokio::test]
async fn a_refusal_is_answered_alike_as_a_problem() {
    let app = TestApp::start().await;
    let bad = json!({ "to": "everyone", "event": "disconnect" });
    let first = emit(&app, API_KEY, "k1", &bad).await;
    assert_eq!(first.problem(422), "invalid_payload");
    let again = emit(&app, API_KEY, "k1", &bad).await;
    assert_eq!((again.problem(422), is_replay(&again)), ("invalid_payload", true));
    assert_eq!(again.body, first.body);
}

#[tokio::test]
async fn the_same_key_with_another_body_is_refused() {
    let app = TestApp::start().await;
    let mut alice = app.user("alice").await;
    assert_eq!(emit(&app, API_KEY, "k1", &to_alice(1)).await.status, 202);
    let other = emit(&app, API_KEY, "k1", &to_alice(2)).await;
    assert_eq!(other.problem(422), "invalid_payload");
    assert_eq!(alice.expect("payment-news").await, 1);
    alice.expect_nothing().await;
}

#[tokio::test]
async fn of_many_at_once_one_is_carried_out() {
    let app = TestApp::start().await;
    let mut alice = app.user("alice").await;
    let body = to_alice(1);
    let all = (0..20).map(|_| emit(&app, API_KEY, "k1", &body));
    let answers = futures_util::future::join_all(all).await;
    let first: Vec<_> = answers.iter().filter(|a| a.status == 202 && !is_replay(a)).collect();
    assert_eq!(first.len(), 1, "{answers:?}");
    for answer in answers.iter().filter(|answer| answer.status != 202) {
        assert_eq!(answer.problem(409), "conflict");
        assert_eq!(answer.headers["retry-after"], "1");
    }
    assert_eq!(alice.expect("payment-news").await, 1);
    alice.expect_nothing().await;
}

#[tokio::test]
async fn a_key_belongs_to_its_caller_and_its_path() {
    let app = TestApp::start().await;
    let mut alice = app.user("alice").await;
    let service = format!("Bearer {}", app.token("orders", &["service"]));
    let headers = [("authorization", service.as_str()), ("idempotency-key", "k1")];
    for api_key in [API_KEY, NARROW_KEY] {
        assert!(!is_replay(&emit(&app, api_key, "k1", &to_alice(1)).await));
    }
    let answer = app.post_with("/api/emit", &headers, &to_alice(1)).await;
    assert_eq!((answer.status.as_u16(), is_replay(&answer)), (202, false));
    for _ in 0..3 {
        assert_eq!(alice.expect("payment-news").await, 1);
    }
    let batch = json!({ "emits": [to_alice(2)] });
    let answer = app.post_with("/api/emit/batch", &headers, &batch).await;
    assert_eq!((answer.status.as_u16(), is_replay(&answer)), (207, false), "{answer:?}");
    assert_eq!(alice.expect("payment-news").await, 2);
    alice.expect_nothing().await;
}

#[tokio::test]
async fn a_key_belongs_to_the_kind_the_roles_and_the_scopes_of_its_caller() {
    let app = TestApp::with(|config| {
        let hash = hex::encode(Sha256::digest("a narrower key of the tests"));
        config.auth.api_keys.push(format!("tests:{hash}:event=payment-"));
    })
    .await;
    let mut alice = app.user("alice").await;
    let first = emit(&app, API_KEY, "k1", &to_alice(1)).await;
    assert_eq!((first.status.as_u16(), is_replay(&first)), (202, false));
    let as_token = async |user: &str, roles: &[&str]| {
        let token = format!("Bearer {}", app.token(user, roles));
        let headers = [("authorization", token.as_str()), ("idempotency-key", "k1")];
        app.post_with("/api/emit", &headers, &to_alice(1)).await
    };
    // By its name the same caller as the API key, and by nothing else.
    assert_eq!(as_token("service:tests", &[]).await.problem(403), "forbidden");
    let namesake = as_token("service:tests", &["service"]).await;
    assert_eq!((namesake.status.as_u16(), is_replay(&namesake)), (202, false));
    for (roles, status) in [(&["service"][..], 202), (&["service", "admin"], 202), (&[], 403)] {
        let answer = as_token("orders", roles).await;
        assert_eq!((answer.status.as_u16(), is_replay(&answer)), (status, false), "{roles:?}");
        let again = as_token("orders", roles).await;
        assert_eq!(
            (again.status.as_u16(), is_replay(&again)),
            (status, status == 202),
            "{roles:?}"
        );
    }
    let narrower = emit(&app, "a narrower key of the tests", "k1", &to_alice(1)).await;
    assert_eq!((narrower.status.as_u16(), is_replay(&narrower)), (202, false));
    for _ in 0..5 {
        assert_eq!(alice.expect("payment-news").await, 1);
    }
    alice.expect_nothing().await;
}

#[tokio::test]
async fn an_answer_survives_a_restart() {
    let app = TestApp::start().await;
    let first = emit(&app, API_KEY, "k1", &to_alice(1)).await;
    let app = app.restart().await;
    let mut alice = app.user("alice").await;
    let again = emit(&app, API_KEY, "k1", &to_alice(1)).await;
    assert_eq!((&again.body, is_replay(&again)), (&first.body, true));
    alice.expect_nothing().await;
}

#[tokio::test]
async fn an_answer_is_forgotten_after_a_day() {
    let clock = Clock::manual(Timestamp::from_millis(1_764_000_000_000));
    let app = TestApp::with_clock(clock.clone(), |_| {}).await;
    let first = emit(&app, API_KEY, "k1", &to_alice(1)).await;
    clock.advance(Duration::from_hours(24) - Duration::from_secs(1));
    assert_eq!(emit(&app, API_KEY, "k1", &to_alice(1)).await.body, first.body);
    clock.advance(Duration::from_secs(1));
    let later = emit(&app, API_KEY, "k1", &to_alice(2)).await;
    assert_eq!((later.status.as_u16(), is_replay(&later)), (202, false), "{later:?}");
}

#[tokio::test]
async fn what_is_no_key_is_refused_and_without_credentials_no_key_is_looked_at() {
    let app = TestApp::start().await;
    let long = "x".repeat(256);
    for bad in ["", "a b", "\"a", &long] {
        let answer = emit(&app, API_KEY, bad, &to_alice(1)).await;
        assert_eq!(answer.problem(400), "malformed", "{bad:?}");
        let answer = emit(&app, "no such key", bad, &to_alice(1)).await;
        assert_eq!(answer.problem(401), "api_key_invalid", "{bad:?}");
    }
    assert_eq!(emit(&app, API_KEY, &"x".repeat(255), &to_alice(1)).await.status, 202);
}

#[tokio::test]
async fn a_caller_who_may_not_is_asked_anew_each_time() {
    let app = TestApp::start().await;
    let body = json!({ "to": "everyone", "event": "news" });
    for _ in 0..2 {
        let answer = emit(&app, NARROW_KEY, "k1", &body).await;
        assert_eq!((answer.problem(403), is_replay(&answer)), ("forbidden", false));
    }
}

/// As after a kill before there was an answer.
const LOST: &str = "UPDATE idempotency_keys SET status = NULL, answer = NULL";

#[tokio::test]
async fn nodes_whose_clocks_differ_agree_on_how_long_a_key_is_held() {
    let server = Postgres::shared();
    let hour = Duration::from_hours(1);
    let now = Clock::system().now();
    for (clock, is_ahead) in [(now + hour, true), (now - hour, false)] {
        let url = server.database().await;
        let other = TestApp::with_clock(Clock::manual(clock), |config| {
            config.database.url = Some(url.clone().into());
        })
        .await;
        let app = TestApp::with(|config| config.database.url = Some(url.into())).await;
        assert_eq!(emit(&other, API_KEY, "k1", &to_alice(1)).await.status, 202);
        other.execute(LOST).await;
        let held = emit(&app, API_KEY, "k1", &to_alice(1)).await;
        assert_eq!(held.status, 409, "the other may still be at it; is it ahead: {is_ahead}");
        let again = async || {
            let answer = emit(&app, API_KEY, "k1", &to_alice(1)).await;
            (answer.status != 409).then_some(answer)
        };
        let free = within("the key to be free", eventually(again)).await;
        assert_eq!((free.status.as_u16(), is_replay(&free)), (202, false), "{free:?}");
    }
}
