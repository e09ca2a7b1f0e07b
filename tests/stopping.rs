//! From the order to stop until everything has ended.

use std::{io::ErrorKind, time::Duration};

use serde_json::json;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::support::{ConnectError, Options, TestApp, raw};

/// What a drain may take longer than its deadline on a busy machine.
const ROOM: Duration = Duration::from_secs(8);

#[tokio::test]
async fn a_draining_server_is_not_ready() {
    let app = TestApp::start().await;
    // Begun before, so that it is answered even when nobody is left to wait for.
    let mut probe = TcpStream::connect(app.address()).await.unwrap();
    probe.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n").await.unwrap();
    assert_eq!(app.get("/readyz").await.status, 200);
    app.stop();
    probe.write_all(b"\r\n").await.unwrap();
    raw::until(&mut probe, "HTTP/1.1 503").await;
}

#[tokio::test]
async fn clients_are_told_and_then_closed_in_a_way_that_brings_them_back() {
    let app = TestApp::with(|config| config.server.drain_timeout = Duration::from_secs(3)).await;
    let mut clients = Vec::new();
    for options in [Options::websocket(), Options::polling(), Options::upgrade()] {
        clients.push(app.user_with("alice", &[], options).await);
    }
    app.stop();
    for client in &mut clients {
        let closing = client.expect("session:closing").await;
        let said = (&closing["reason"], &closing["retryable"]);
        assert_eq!(said, (&json!("draining"), &json!(true)), "{closing}");
        client.closed().await;
        assert!(!client.was_disconnected(), "a browser does not come back after DISCONNECT");
    }
    app.shutdown(ROOM).await;
}

#[tokio::test]
async fn nobody_new_is_taken_while_it_drains() {
    let app = TestApp::start().await;
    let mut alice = app.user("alice").await;
    app.stop();
    alice.expect("session:closing").await;
    let token = app.token("bob", &[]);
    for options in [Options::websocket(), Options::polling()] {
        let refused = app.connect(options.token(&token)).await.err();
        // It does not listen any more, or says so where it still answers.
        let is_refusal = matches!(
            refused,
            Some(ConnectError::Http { status: 503, .. } | ConnectError::Closed(_))
        );
        assert!(is_refusal, "{refused:?}");
    }
}

#[tokio::test]
async fn until_balancers_have_noticed_new_sockets_are_taken_and_nobody_is_told() {
    let app = TestApp::with(|config| {
        config.server.drain_delay = Duration::from_secs(4);
        config.server.drain_timeout = Duration::from_secs(8);
    })
    .await;
    let mut alice = app.user("alice").await;
    app.stop();
    let answer = app.get("/readyz").await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.body["status"], "draining");
    let mut bob = app.user("bob").await;
    app.emit(json!({ "user": "bob" }), "meanwhile", json!({})).await;
    bob.expect("meanwhile").await;
    app.emit(json!({ "user": "alice" }), "meanwhile", json!({})).await;
    alice.expect("meanwhile").await;
    assert!(alice.queued("session:closing").is_empty());
    for client in [&mut alice, &mut bob] {
        client.expect("session:closing").await;
        client.closed().await;
    }
    app.shutdown(ROOM).await;
}

#[tokio::test]
async fn requests_under_way_are_answered_and_no_new_ones_after() {
    let app = TestApp::start().await;
    let mut kept = TcpStream::connect(app.address()).await.unwrap();
    kept.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    raw::until(&mut kept, r#"{"status":"ok"}"#).await;
    // It is under way once the server asks for its body.
    let body = json!({ "participantIds": ["bob"] }).to_string();
    let token = app.token("ann", &[]);
    let head = format!(
        "POST /api/conversations HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        body.len(),
    );
    let mut request = TcpStream::connect(app.address()).await.unwrap();
    request.write_all(head.as_bytes()).await.unwrap();
    raw::until(&mut request, "100 Continue").await;
    app.stop();
    raw::rest(&mut kept, ROOM).await;
    let refused = TcpStream::connect(app.address()).await.expect_err("it still listens");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    request.write_all(body.as_bytes()).await.unwrap();
    let answer = raw::rest(&mut request, ROOM).await;
    assert!(answer.contains("HTTP/1.1 201"), "{answer}");
    app.shutdown(ROOM).await;
}

#[tokio::test]
async fn an_idle_server_ends_at_once() {
    let app = TestApp::with(|config| config.server.drain_timeout = Duration::from_mins(1)).await;
    let address = app.address();
    app.shutdown(ROOM).await;
    let refused = TcpStream::connect(address).await.expect_err("it still listens");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_ends_within_its_deadline_even_with_a_stalled_peer() {
    let app = TestApp::with(|config| {
        config.server.drain_timeout = Duration::from_secs(2);
        config.realtime.stall_timeout = Duration::from_mins(10);
        config.realtime.max_pending_bytes = 256_000_000;
    })
    .await;
    let options = Options::websocket().receive_buffer(4096);
    let mut alice = app.user_with("alice", &[], options).await;
    alice.stop_reading();
    let big = "x".repeat(200_000);
    for _ in 0..40 {
        app.emit(json!({ "user": "alice" }), "big", json!(big)).await;
    }
    let _silent = TcpStream::connect(app.address()).await.unwrap();
    app.shutdown(Duration::from_secs(2) + ROOM).await;
}
