//! How fast one caller may ask over REST: a user by what they do, a backend, an address without
//! credentials.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;
use stoa::config::{Config, Rate};

use crate::support::{
    Person, TestApp,
    app::{API_KEY, Answer},
    but_for_time, raw,
};

/// How many requests a bucket of these tests holds.
const BURST: usize = 3;

/// More of them.
const FLOOD: usize = 30;

/// A server with small buckets for everyone but operators.
async fn start() -> TestApp {
    TestApp::with(small).await
}

fn small(config: &mut Config) {
    let rate = Rate { per_second: 1, burst: u32::try_from(BURST).expect("few") };
    config.limits.messages = rate;
    config.limits.rest_writes = rate;
    config.limits.rest_reads = rate;
    config.limits.rest_strangers = rate;
}

async fn say(person: &Person, conversation: &str) -> Answer {
    let path = format!("/api/conversations/{conversation}/messages");
    person.post(&path, json!({ "content": "Hello" })).await
}

/// Asserts that of many at once no more are let through than the bucket holds.
async fn expect_limit<F: Future<Output = Answer>>(ask: impl Fn() -> F) {
    expect_limit_of((0..FLOOD).map(|_| ask())).await;
}

async fn expect_limit_of<F: Future<Output = Answer>>(asked: impl Iterator<Item = F>) {
    let begun = Instant::now();
    let refused = refused_of(asked).await;
    let least = but_for_time(FLOOD - BURST, begun);
    assert!((least..=FLOOD).contains(&refused), "{refused} of {FLOOD}");
}

/// Many at once; those that were told to wait.
async fn refused<F: Future<Output = Answer>>(ask: impl Fn() -> F) -> usize {
    refused_of((0..FLOOD).map(|_| ask())).await
}

async fn refused_of<F: Future<Output = Answer>>(asked: impl Iterator<Item = F>) -> usize {
    let answers = futures_util::future::join_all(asked).await;
    let refused = answers.iter().filter(|answer| answer.status == 429);
    refused
        .inspect(|answer| {
            assert_eq!(answer.problem(429), "rate_limited");
            let seconds = answer.headers["retry-after"].to_str().expect("a text");
            assert!(seconds.parse::<u64>().is_ok_and(|seconds| seconds >= 1), "{seconds}");
        })
        .count()
}

#[tokio::test]
async fn a_user_who_floods_a_conversation_is_told_to_wait_and_nobody_else() {
    let app = start().await;
    let (ann, bob) = (app.person("ann"), app.person("bob"));
    let id = ann.group(&["bob"]).await;
    expect_limit(|| say(&bob, &id)).await;
    let message = say(&ann, &id).await.ok()["message"]["id"].as_str().unwrap().to_owned();
    let reaction = format!("/api/messages/{message}/reactions/%F0%9F%91%8D");
    expect_limit(|| bob.put(&reaction)).await;
    let path = format!("/api/conversations/{id}/messages");
    let read = bob.get(&path).await;
    assert_eq!(read.status, 200, "reading is another class");
    assert_eq!(say(&ann, &id).await.status, 201, "another user");
}

#[tokio::test]
async fn messages_have_one_bucket_of_a_user_over_both_doors_and_their_own_class() {
    let app = TestApp::with(|config| {
        small(config);
        config.limits.messages = Rate { per_second: 1, burst: 20 };
    })
    .await;
    let ann = app.person("ann");
    let id = ann.group(&["bob"]).await;
    let mut bob = app.user("bob").await;
    let begun = Instant::now();
    for n in 0..10 {
        let draft = json!({ "conversationId": id, "content": n.to_string() });
        assert_eq!(bob.emit_ack("message:send", draft).await["success"], true, "{n}");
    }
    // Ten are left, and more come only by time; there are three for other changes.
    let refused = refused(|| say(&bob, &id)).await;
    assert!((but_for_time(20, begun)..=20).contains(&refused), "{refused}");
}

#[tokio::test]
async fn a_user_who_only_reads_has_a_rate_too() {
    let app = start().await;
    let (ann, bob) = (app.person("ann"), app.person("bob"));
    let list = || bob.get("/api/conversations");
    expect_limit(list).await;
    assert!(!ann.group(&["bob"]).await.is_empty(), "another user");
}

#[tokio::test]
async fn a_backend_and_an_admin_have_a_class_of_their_own() {
    let app = start().await;
    assert_eq!(refused(|| app.get("/api/rooms")).await, 0, "an API key");
    for role in ["service", "admin"] {
        let ops = app.person_as("ops", &[role]);
        let ask = || ops.get("/api/rooms");
        assert_eq!(refused(ask).await, 0, "{role}");
    }
    // Who is called like the key has no share in its bucket, nor the key in theirs.
    let namesake = app.person("service:tests");
    expect_limit(|| namesake.get("/api/conversations")).await;
    assert_eq!(app.get("/api/rooms").await.status, 200);
}

#[tokio::test]
async fn an_address_without_credentials_has_one_bucket_and_locks_no_user_out() {
    let app = start().await;
    let ann = app.person("ann");
    let id = ann.group(&["bob"]).await;
    let guess = || app.request(Method::GET, "/api/rooms", Some("a guess"), None);
    expect_limit(guess).await;
    let nobody = app.bearer("ann", "a.b.c");
    let forged = || nobody.post("/api/conversations", json!({}));
    expect_limit(forged).await;
    for path in ["/api/docs", "/api/openapi.json", "/console", "/nothing"] {
        expect_limit(|| app.request(Method::GET, path, None, None)).await;
    }
    let login = || app.request(Method::POST, "/console/login", None, Some(json!({})));
    expect_limit(login).await;
    for probe in ["/livez", "/readyz"] {
        assert_eq!(refused(|| app.request(Method::GET, probe, None, None)).await, 0, "{probe}");
    }
    assert_eq!(say(&ann, &id).await.status, 201, "a user at the same address");
    assert_eq!(app.get("/api/rooms").await.status, 200, "and an API key");
}

#[tokio::test]
async fn behind_a_proxy_the_callers_address_counts() {
    let app = TestApp::with(|config| {
        small(config);
        config.server.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    let from = async |address: String| {
        let headers = [("x-forwarded-for", address.as_str())];
        app.post_with("/api/conversations", &headers, &json!({})).await
    };
    let one = (0..FLOOD).map(|_| from("203.0.113.9".to_owned()));
    expect_limit_of(one).await;
    let network = (0..FLOOD).map(|n| from(format!("2001:db8::{n}")));
    expect_limit_of(network).await;
    let many = (0..FLOOD).map(|n| from(format!("198.51.100.{n}")));
    assert_eq!(refused_of(many).await, 0, "as many addresses");
    let many = (0..FLOOD).map(|n| from(format!("2001:db8:0:{}::1", n + 1)));
    assert_eq!(refused_of(many).await, 0, "as many networks");
}

#[tokio::test]
async fn who_asks_too_fast_is_refused_before_the_body_is_read() {
    let app = TestApp::with(|config| {
        small(config);
        config.server.body_timeout = Duration::from_secs(1);
    })
    .await;
    let token = app.token("bob", &[]);
    let head = format!(
        "POST /api/conversations HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
         Idempotency-Key: k1\r\nContent-Type: application/json\r\nContent-Length: 500000\r\n\r\n"
    );
    let heads = (0..FLOOD).map(|_| raw::status(app.address(), &head));
    let begun = Instant::now();
    let statuses = futures_util::future::join_all(heads).await;
    let refused = statuses.iter().filter(|status| **status == 429).count();
    assert!(refused >= but_for_time(FLOOD - BURST, begun), "{statuses:?}");
}

#[tokio::test]
async fn without_limits_there_are_no_rates() {
    let app = TestApp::with(|config| {
        small(config);
        config.limits.enabled = false;
    })
    .await;
    let (ann, bob) = (app.person("ann"), app.person("bob"));
    let id = ann.group(&["bob"]).await;
    assert_eq!(refused(|| say(&bob, &id)).await, 0);
    let guess = || app.request(Method::GET, "/api/rooms", Some("a guess"), None);
    assert_eq!(refused(guess).await, 0);
    assert_eq!(app.request(Method::GET, "/api/rooms", Some(API_KEY), None).await.status, 200);
}
