//! Polling: its bodies, and what waits for a client that polls too slowly, or not at all.

use std::{io::Read, time::Duration};

use flate2::read::GzDecoder;
use serde_json::json;

use crate::support::{DEADLINE, TestApp, http_client, poll::Poll, within};

/// Together more than may wait for one client.
const BIG: usize = 600_000;

async fn quick() -> TestApp {
    TestApp::with(|config| config.presence.grace = Duration::ZERO).await
}

async fn emit_big(app: &TestApp, user: &str) {
    app.emit(json!({ "user": user }), "big", json!("x".repeat(BIG))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_poll_is_told_and_closed_when_too_much_waits_for_it() {
    let app = quick().await;
    for protocol in [4, 3] {
        let alice = Poll::connected(app.address(), protocol, &app.token("alice", &[])).await;
        let bob = Poll::connected(app.address(), protocol, &app.token("bob", &[])).await;
        for _ in 0..3 {
            emit_big(&app, "alice").await;
        }
        let told = alice.until("session:closing").await;
        assert!(told.iter().any(|packet| packet.contains("slow_consumer")), "{}", told.len());
        assert!(told.concat().len() < BIG, "nothing is sent before it");
        app.until_offline("alice", DEADLINE).await;
        assert_eq!(alice.get().await.0, 400);
        emit_big(&app, "bob").await;
        bob.until("big").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_in_all_namespaces_of_a_session_counts_together() {
    let app = quick().await;
    let alice = Poll::connected(app.address(), 4, &app.token("alice", &[])).await;
    assert_eq!(alice.post(&alice.connect("/chat")).await, 200);
    alice.until("40/chat").await;
    emit_big(&app, "alice").await;
    let told = alice.until("42[\"session:closing\"").await.concat();
    assert!(told.contains("42/chat,[\"session:closing\"") && told.len() < BIG, "{}", told.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waited_in_a_namespace_that_ended_does_not_count() {
    let app = quick().await;
    let alice = Poll::connected(app.address(), 4, &app.token("alice", &[])).await;
    for _ in 0..3 {
        assert_eq!(alice.post(&alice.connect("/chat")).await, 200);
        alice.until("40/chat").await;
        let data = json!({ "to": { "user": "alice" }, "event": "big", "namespace": "/chat",
            "data": "x".repeat(BIG) });
        assert_eq!(app.post("/api/emit", data).await.ok()["sockets"], 1);
        assert_eq!(alice.post("41/chat,").await, 200);
    }
    app.emit(json!({ "user": "alice" }), "small", json!(1)).await;
    alice.until("small").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_events_wait_until_they_are_polled_and_come_in_order() {
    let app = quick().await;
    for protocol in [4, 3] {
        let alice = Poll::connected(app.address(), protocol, &app.token("alice", &[])).await;
        for n in 0..500 {
            app.emit(json!({ "user": "alice" }), "tick", json!(n)).await;
        }
        let came = alice.until("[\"tick\",499").await;
        let ticks: Vec<_> = came.iter().filter(|packet| packet.contains("tick")).collect();
        assert_eq!(ticks.len(), 500);
        for (n, tick) in ticks.into_iter().enumerate() {
            assert!(tick.contains(&format!("[\"tick\",{n}")), "{tick} instead of {n}");
        }
        assert_eq!(alice.post("1").await, 200);
        app.until_offline("alice", DEADLINE).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledgements_that_nobody_fetches_count_too() {
    let app = TestApp::with(|config| {
        config.limits.enabled = false;
        config.realtime.max_pending_bytes = 10_000;
        config.presence.grace = Duration::ZERO;
    })
    .await;
    let alice = Poll::connected(app.address(), 4, &app.token("alice", &[])).await;
    for _ in 0..20 {
        alice.post_many("421[\"join-user-room\",\"alice\"]", 16).await;
    }
    let told = alice.until("session:closing").await.concat();
    assert!(told.contains("slow_consumer"), "{told}");
    app.until_offline("alice", DEADLINE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_with_an_endless_name_is_not_quoted_back() {
    let app = quick().await;
    let alice = Poll::connected(app.address(), 4, &app.token("alice", &[])).await;
    assert_eq!(alice.post("40/nowhere,").await, 200);
    alice.until("44/nowhere,").await;
    assert_eq!(alice.post(&format!("40/{},", "x".repeat(500_000))).await, 400);
    app.until_offline("alice", DEADLINE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_answer_is_compressed_for_who_takes_that() {
    let app = quick().await;
    let alice = Poll::connected(app.address(), 4, &app.token("alice", &[])).await;
    for (accepts, length, compressed) in [
        (Some("gzip, deflate, br"), 2_000, true),
        (Some("deflate, GZIP;q=0.5"), 2_000, true),
        (Some("gzip"), 100, false),
        (Some("gzip;q=0, deflate"), 2_000, false),
        (None, 2_000, false),
    ] {
        let data = "x".repeat(length);
        app.emit(json!({ "user": "alice" }), "long", json!(data)).await;
        let mut request = http_client().get(&alice.url);
        if let Some(accepts) = accepts {
            request = request.header("accept-encoding", accepts);
        }
        let answer = within("an answer", request.send()).await.unwrap();
        let is_compressed = answer.headers().get("content-encoding").is_some();
        assert_eq!(is_compressed, compressed, "{accepts:?} {length}");
        let mut body = within("a body", answer.bytes()).await.unwrap().to_vec();
        if compressed {
            assert!(body.len() < length / 2, "{}", body.len());
            let zipped = std::mem::take(&mut body);
            GzDecoder::new(&zipped[..]).read_to_end(&mut body).unwrap();
        }
        assert!(String::from_utf8(body).unwrap().contains(&data));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_version_3_may_send_octets() {
    const OCTETS: &str = "application/octet-stream";
    let app = quick().await;
    let alice = Poll::connected(app.address(), 3, &app.token("alice", &[])).await;
    let join = r#"420["conversation:join","é👋"]"#;
    let mut body = vec![0];
    body.extend(join.len().to_string().bytes().map(|digit| digit - b'0'));
    body.push(0xff);
    body.extend(join.as_bytes());
    // A ping, which is answered.
    body.extend([0, 1, 0xff, b'2']);
    assert_eq!(alice.post_bytes(OCTETS, body).await, 200);
    let heard = alice.until("430[").await;
    assert!(heard.last().unwrap().contains("success"), "{heard:?}");
    // An event with an attachment, which no event takes: it is answered all the same.
    let event = r#"451-1["conversation:join",{"_placeholder":true,"num":0}]"#;
    let mut body = vec![0];
    body.extend(event.len().to_string().bytes().map(|digit| digit - b'0'));
    body.push(0xff);
    body.extend(event.as_bytes());
    body.extend([1, 4, 0xff, 4, 1, 2, 0xfe]);
    assert_eq!(alice.post_bytes(OCTETS, body).await, 200);
    let heard = alice.until("431[").await;
    assert!(heard.last().unwrap().contains("invalid_payload"), "{heard:?}");
    let modern = Poll::connected(app.address(), 4, &app.token("alice", &[])).await;
    assert_eq!(modern.post_bytes(OCTETS, vec![0, 1, 0xff, b'2']).await, 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_no_payload_ends_the_session() {
    let app = quick().await;
    let token = app.token("alice", &[]);
    let bodies: [(u8, &str, &[u8]); 9] = [
        (3, "text/plain", b"abc"),
        (3, "text/plain", b""),
        (3, "text/plain", b"9:42[1]"),
        (3, "text/plain", b"1:2x"),
        (3, "text/plain", b"1:\xff"),
        (3, "application/octet-stream", b"1:2"),
        (4, "text/plain", b"abc"),
        (4, "text/plain", b""),
        (4, "text/plain", b"4\xff"),
    ];
    for (protocol, kind, body) in bodies {
        let alice = Poll::connected(app.address(), protocol, &token).await;
        assert_eq!(alice.post_bytes(kind, body.to_vec()).await, 400, "{protocol} {body:?}");
        assert_eq!(alice.get().await.0, 400, "{protocol} {body:?}");
    }
    app.until_offline("alice", DEADLINE).await;
}
