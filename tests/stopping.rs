//! From the order to stop until everything has ended.

use std::time::Duration;

use serde_json::json;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::support::{Options, TestApp, raw};

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
        assert!(app.connect(options.token(&token)).await.is_err());
    }
}

#[tokio::test]
async fn requests_under_way_are_answered_and_no_new_ones_after() {
    let app = TestApp::start().await;
    let conversation = json!({ "participantIds": ["bob"] });
    let mut kept = TcpStream::connect(app.address()).await.unwrap();
    kept.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    raw::until(&mut kept, r#"{"status":"ok"}"#).await;
    // Another writer makes the request wait for the store.
    let other = app.database();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let request = app.post("/api/conversations", conversation);
    let stop = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        app.stop();
        raw::rest(&mut kept, ROOM).await;
        assert!(TcpStream::connect(app.address()).await.is_err(), "it still listens");
        other.execute_batch("COMMIT").unwrap();
    };
    let (answer, ()) = tokio::join!(request, stop);
    assert_eq!(answer.status, 201, "{}", answer.body);
    app.shutdown(ROOM).await;
}

#[tokio::test]
async fn an_idle_server_ends_at_once() {
    let app = TestApp::with(|config| config.server.drain_timeout = Duration::from_mins(1)).await;
    let address = app.address();
    app.shutdown(ROOM).await;
    assert!(TcpStream::connect(address).await.is_err(), "it still listens");
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
