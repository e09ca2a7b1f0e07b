//! Below the events: handshakes, limits, timeouts and peers that do not behave.

use std::time::Duration;

use serde_json::json;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::support::{
    Client, ConnectError, Options, TestApp, eventually, http_client,
    poll::Poll,
    raw::{self, KEY, upgrade_request},
    within, within_time,
};

const ALLOWED: &str = "http://localhost:5175";
const FOREIGN: &str = "http://elsewhere.example";
const SHORT: Duration = Duration::from_millis(300);

/// Closes a TCP connection that was left alone too long, with room for a busy machine.
const CUT: Duration = Duration::from_secs(5);

async fn limited() -> TestApp {
    TestApp::with(|config| config.server.max_payload_bytes = 100_000).await
}

#[tokio::test]
async fn a_200_kb_frame_over_a_100_kb_limit_closes_that_socket_only() {
    let app = limited().await;
    let (mut alice, mut bob) = (app.user("alice").await, app.user("bob").await);
    let below = alice.emit_ack("no-such-event", "x".repeat(90_000)).await;
    assert_eq!(below["code"], "unknown_event");
    alice.send_raw("4".to_owned() + &"x".repeat(200_000));
    alice.closed().await;
    assert_eq!(bob.emit_ack("join-user-room", "bob").await["success"], true);
}

#[tokio::test]
async fn a_message_in_parts_may_not_be_larger_than_the_limit_either() {
    let app = limited().await;
    let mut stream = raw::raw_connect(app.address(), &app.token("alice", &[])).await.unwrap();
    let part = "x".repeat(60_000);
    for head in [0x01, 0x00, 0x00] {
        // The server may close before it has read them all.
        let _ = stream.write_all(&raw::frame(head, &part)).await;
    }
    raw::rest(&mut stream, CUT).await;
}

#[tokio::test]
async fn a_polling_body_over_the_limit_is_refused() {
    let app = limited().await;
    let mut alice = app.user_with("alice", &[], Options::polling()).await;
    alice.send_raw("4".to_owned() + &"x".repeat(200_000));
    assert_eq!(alice.closed().await, "POST answered 413");
}

#[tokio::test]
async fn an_event_announces_at_most_ten_attachments() {
    let app = TestApp::start().await;
    let mut client = Client::open(app.address(), Options::websocket()).await.unwrap();
    let holders: Vec<_> = (0..11).map(|n| json!({ "_placeholder": true, "num": n })).collect();
    client.send_raw(format!("4511-[\"upload\",{}]", json!(holders)));
    client.closed_within(CUT).await;
}

#[tokio::test]
async fn an_attachment_that_comes_too_late_ends_the_connection() {
    let app = TestApp::with(|config| {
        config.realtime.connect_timeout = SHORT;
        config.realtime.ping_interval = SHORT * 4;
    })
    .await;
    // On polling an attachment is text: `b` and base64.
    let announced = r#"451-["upload",{"_placeholder":true,"num":0}]"#;
    let mut alice = app.user_with("alice", &[], Options::polling()).await;
    alice.send_raw(announced);
    alice.send_raw("bAQID");
    assert_eq!(alice.expect("error").await["event"], "upload");
    alice.send_raw(announced);
    for _ in 0..2 {
        while alice.next_raw().await != "2" {}
    }
    alice.send_raw("bAQID");
    alice.closed_within(CUT).await;
}

#[tokio::test]
async fn a_foreign_origin_gets_403_on_upgrade_and_on_polling() {
    let app = TestApp::with(|config| config.server.client_url = vec![ALLOWED.to_owned()]).await;
    let token = app.token("alice", &[]);
    for options in [Options::websocket, Options::polling, Options::upgrade] {
        let from = |origin| options().token(&token).header("origin", origin);
        for origin in [FOREIGN, "null", "http://localhost:5175.elsewhere.example"] {
            match app.connect(from(origin)).await {
                Err(ConnectError::Http { status: 403, .. }) => {}
                other => panic!("{origin}: {:?}", other.err()),
            }
        }
        assert!(app.connect(from(ALLOWED)).await.is_ok());
        assert!(app.connect(options().token(&token)).await.is_ok());
    }
}

#[tokio::test]
async fn an_upgrade_needs_version_13_and_a_key_of_16_bytes() {
    let app = TestApp::start().await;
    let answer = async |headers: &str| raw::status(app.address(), &upgrade_request(headers)).await;
    let key = format!("Sec-WebSocket-Key: {KEY}\r\n");
    assert_eq!(answer(&format!("Sec-WebSocket-Version: 13\r\n{key}")).await, 101);
    assert_eq!(answer(&format!("Sec-WebSocket-Version: 8\r\n{key}")).await, 400);
    assert_eq!(answer(&key).await, 400);
    assert_eq!(answer("Sec-WebSocket-Version: 13\r\n").await, 400);
    for key in ["AAAA", "not base64 at all, no!!!", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
        let headers = format!("Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n");
        assert_eq!(answer(&headers).await, 400, "{key}");
    }
}

#[tokio::test]
async fn half_sent_headers_are_cut_after_the_header_timeout() {
    let app = TestApp::with(|config| config.server.header_timeout = SHORT).await;
    raw::until_closed(app.address(), b"GET /livez HTTP/1.1\r\nHost: localhost\r\n", CUT).await;
}

#[tokio::test]
async fn a_kept_connection_stands_still_for_longer_than_headers_may_take() {
    let app = TestApp::with(|config| config.server.header_timeout = SHORT).await;
    let mut stream = TcpStream::connect(app.address()).await.unwrap();
    for _ in 0..2 {
        stream.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        let answer = raw::until(&mut stream, r#"{"status":"ok"}"#).await;
        assert!(answer.contains("\r\nkeep-alive: timeout=75\r\n"), "{answer}");
        // Nothing happens that could be waited for: it is not to be cut.
        tokio::time::sleep(2 * SHORT).await;
    }
    // From the first byte on they are as late as on a new connection.
    stream.write_all(b"GET /livez HTTP/1.1\r\n").await.unwrap();
    assert_eq!(raw::rest(&mut stream, CUT).await, "");
}

#[tokio::test]
async fn a_kept_connection_is_closed_in_the_end_and_at_once_when_asked_for() {
    let app = TestApp::with(|config| config.server.keep_alive = SHORT).await;
    let kept = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert!(raw::until_closed(app.address(), kept, CUT).await.ends_with('}'));
    let app = TestApp::start().await;
    for request in [
        "GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        "GET /livez HTTP/1.0\r\n\r\n",
    ] {
        let answer = raw::until_closed(app.address(), request.as_bytes(), CUT).await;
        assert!(answer.ends_with('}') && !answer.contains("keep-alive"), "{answer}");
    }
}

#[tokio::test]
async fn an_answer_that_is_read_slowly_is_read_whole() {
    // More than the kernel's buffers hold.
    const BIG: usize = 5_000_000;
    let app = TestApp::with(|config| {
        config.server.keep_alive = SHORT;
        config.server.max_payload_bytes = 2 * BIG;
        config.realtime.max_pending_bytes = 2 * BIG;
    })
    .await;
    let session = Poll::connected(app.address(), 4, &app.token("alice", &[])).await;
    session.until("user-status-change").await;
    app.emit(json!({ "user": "alice" }), "big", json!("x".repeat(BIG))).await;
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(app.address()).await.unwrap();
    let path = &session.url[session.url.find("/socket.io").unwrap()..];
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    // Nothing of it is left to be asked for when it is read.
    let mut read = raw::until(&mut stream, "\r\n\r\n").await;
    // Nothing happens that could be waited for: it is not to be cut.
    tokio::time::sleep(4 * SHORT).await;
    read += &raw::rest(&mut stream, 4 * CUT).await;
    assert!(read.len() > BIG && read.ends_with("x\"]"), "{}", read.len());
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_cut() {
    let app = TestApp::with(|config| {
        config.server.first_byte_timeout = SHORT;
        config.server.header_timeout = Duration::from_mins(1);
    })
    .await;
    assert_eq!(raw::until_closed(app.address(), b"", CUT).await, "");
}

#[tokio::test]
async fn a_slow_body_is_cut() {
    let app = TestApp::with(|config| config.server.body_timeout = SHORT).await;
    let mut polling = Client::open(app.address(), Options::polling()).await.unwrap();
    let open: serde_json::Value = serde_json::from_str(&polling.next_raw().await[1..]).unwrap();
    let session = open["sid"].as_str().unwrap();
    let key = crate::support::app::API_KEY;
    for head in [
        format!("POST /api/emit HTTP/1.1\r\nX-Api-Key: {key}\r\nContent-Type: application/json"),
        format!("POST /socket.io/?EIO=4&transport=polling&sid={session} HTTP/1.1"),
    ] {
        let request = format!("{head}\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{{");
        let answer = raw::until_closed(app.address(), request.as_bytes(), CUT).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
}

#[tokio::test]
async fn too_many_headers_and_too_long_ones_are_refused() {
    let app = TestApp::with(|config| config.server.max_headers = 20).await;
    let request = |headers: String| format!("GET /livez HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
    assert_eq!(raw::status(app.address(), &request("A: b\r\n".repeat(10))).await, 200);
    assert_eq!(raw::status(app.address(), &request("A: b\r\n".repeat(30))).await, 431);
    let long = format!("A: {}\r\n", "b".repeat(64_000));
    assert_eq!(raw::status(app.address(), &request(long)).await, 431);
}

#[tokio::test]
async fn the_first_ping_comes_after_one_interval() {
    let interval = Duration::from_secs(2);
    let app = TestApp::with(|config| config.realtime.ping_interval = interval).await;
    let token = app.token("alice", &[]);
    for options in [Options::websocket(), Options::polling()] {
        let begin = std::time::Instant::now();
        let mut client = Client::open(app.address(), options.ignoring_pings()).await.unwrap();
        assert!(client.next_raw().await.starts_with("0{"));
        client.send_raw(format!("40{}", json!({ "token": token })));
        assert!(client.next_raw().await.starts_with("40{"), "a ping came before CONNECT's answer");
        while client.next_raw().await != "2" {}
        assert!(begin.elapsed() >= interval, "the first ping came at {:?}", begin.elapsed());
    }
}

#[tokio::test]
async fn a_client_that_answers_no_ping_is_closed_and_offline() {
    let app = TestApp::with(|config| {
        config.realtime.ping_interval = SHORT;
        config.realtime.ping_timeout = SHORT;
        config.presence.grace = Duration::ZERO;
    })
    .await;
    for options in [Options::websocket(), Options::polling()] {
        let mut alice = app.user_with("alice", &[], options.ignoring_pings()).await;
        alice.closed_within(CUT).await;
        app.until_offline("alice", CUT).await;
    }
}

#[tokio::test]
async fn a_transport_without_connect_is_closed() {
    let app = TestApp::with(|config| config.realtime.connect_timeout = SHORT).await;
    for options in [Options::websocket(), Options::polling()] {
        let mut client = Client::open(app.address(), options).await.unwrap();
        client.closed_within(CUT).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_stalls_is_offline_within_its_deadline() {
    let app = TestApp::with(|config| {
        config.realtime.stall_timeout = Duration::from_secs(1);
        config.realtime.max_pending_bytes = 256_000_000;
        config.presence.grace = Duration::ZERO;
    })
    .await;
    stalls_and_goes(&app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_for_whom_too_many_bytes_wait_is_closed() {
    let app = TestApp::with(|config| {
        config.realtime.stall_timeout = Duration::from_mins(10);
        config.realtime.max_pending_bytes = 1_048_576;
        config.presence.grace = Duration::ZERO;
    })
    .await;
    stalls_and_goes(&app).await;
}

/// Alice stops reading while more is sent than the kernel takes; bob misses nothing.
async fn stalls_and_goes(app: &TestApp) {
    let mut bob = app.user("bob").await;
    let options = Options::websocket().receive_buffer(4096);
    let mut alice = app.user_with("alice", &[], options).await;
    alice.stop_reading();
    let big = "x".repeat(200_000);
    for n in 0..40 {
        let data = json!({ "n": n, "big": big });
        app.emit(json!({ "users": ["alice", "bob"] }), "big", data).await;
        assert_eq!(bob.expect("big").await["n"], n);
    }
    app.until_offline("alice", Duration::from_secs(15)).await;
    assert_eq!(bob.emit_ack("join-user-room", "bob").await["success"], true);
}

#[tokio::test]
async fn unauthenticated_sockets_of_one_address_are_capped() {
    let app = TestApp::with(|config| {
        config.limits.enabled = true;
        config.limits.unauthenticated_per_address = 5;
        config.realtime.connect_timeout = Duration::from_secs(2);
    })
    .await;
    let mut users = Vec::new();
    for n in 0..10 {
        users.push(app.user(&format!("user{n}")).await);
    }
    let mut silent = Vec::new();
    for n in 0..5 {
        let options = if n % 2 == 0 { Options::websocket() } else { Options::polling() };
        silent.push(Client::open(app.address(), options).await.unwrap());
    }
    for options in [Options::websocket(), Options::polling()] {
        match Client::open(app.address(), options).await {
            Err(ConnectError::Http { status: 429, .. }) => {}
            other => panic!("the sixth: {:?}", other.err()),
        }
    }
    silent.swap_remove(0).abort().await;
    let free = async || Client::open(app.address(), Options::websocket()).await.ok();
    Box::pin(within("a place to come free", eventually(free))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_polling_client_upgrades_and_loses_nothing() {
    let app = TestApp::start().await;
    let mut alice = app.user_with("alice", &[], Options::polling()).await;
    let mut upgraded = None;
    for n in 0..300 {
        if n == 100 {
            upgraded = Some(alice.start_upgrade());
        }
        assert_eq!(app.emit(json!({ "user": "alice" }), "tick", json!(n)).await, 1);
    }
    for n in 0..300 {
        assert_eq!(alice.expect("tick").await, n);
    }
    within("the upgrade", upgraded.unwrap()).await.unwrap();
    app.emit(json!({ "user": "alice" }), "tock", json!(true)).await;
    assert_eq!(alice.expect("tock").await, true);
    assert_eq!(alice.emit_ack("join-user-room", "alice").await["success"], true);
    alice.expect_nothing().await;
}

#[tokio::test]
async fn two_hundred_events_wait_for_a_polling_client_between_two_polls() {
    let app = TestApp::start().await;
    let http = crate::support::http_client();
    let url = format!("http://{}/socket.io/?EIO=4&transport=polling", app.address());
    let text = async |request: reqwest::RequestBuilder| {
        within("polling", request.send()).await.unwrap().text().await.unwrap()
    };
    let open = text(http.get(&url)).await;
    let open: serde_json::Value = serde_json::from_str(&open[1..]).unwrap();
    let url = format!("{url}&sid={}", open["sid"].as_str().unwrap());
    let connect = format!("40{}", json!({ "token": app.token("alice", &[]) }));
    text(http.post(&url).body(connect)).await;
    let mut bodies = text(http.get(&url)).await;
    while !bodies.contains("40{") {
        bodies = text(http.get(&url)).await;
    }
    for n in 0..200 {
        assert_eq!(app.emit(json!({ "user": "alice" }), "tick", json!(n)).await, 1);
    }
    within_time(Duration::from_secs(10), "200 events", async {
        while bodies.matches(r#""tick""#).count() < 200 {
            bodies.push_str(&text(http.get(&url)).await);
        }
    })
    .await;
}

#[tokio::test]
async fn what_the_door_refuses_is_worded_as_engine_io_does_and_a_page_may_read_it() {
    let app = TestApp::with(|config| {
        config.server.max_payload_bytes = 10_000;
        config.limits.connections_per_address = 1;
    })
    .await;
    let session = Poll::open(app.address(), 4, &app.token("alice", &[])).await;
    let http = http_client();
    let base = format!("http://{}/socket.io/", app.address());
    let url = |query: &str| format!("{base}?{query}");
    let large = http.post(&session.url).body("4".to_owned() + &"x".repeat(20_000));
    let cases = [
        (http.get(url("EIO=4&transport=polling&sid=unknown")), 400, 1, "Session ID unknown"),
        (http.get(url("EIO=4&transport=smoke")), 400, 0, "Transport unknown"),
        (http.get(base.clone()), 400, 0, "Transport unknown"),
        (http.get(url("EIO=2&transport=polling&sid=unknown")), 400, 1, "Session ID unknown"),
        (http.post(url("EIO=4&transport=polling")), 400, 2, "Bad handshake method"),
        (http.get(url("EIO=2&transport=polling")), 400, 5, "Unsupported protocol version"),
        (http.put(url("EIO=4&transport=polling")), 400, 2, "Bad handshake method"),
        (large, 413, 3, "The body is larger than this server takes."),
        (
            http.get(url("EIO=4&transport=polling")),
            429,
            3,
            "Too many connections from this address.",
        ),
    ];
    for (request, status, code, message) in cases {
        let answer = within("an answer", request.header("origin", ALLOWED).send()).await.unwrap();
        assert_eq!(answer.status(), status, "{message}");
        let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap());
        assert_eq!(header("access-control-allow-origin"), Some(ALLOWED), "{message}");
        assert_eq!(header("content-type"), Some("application/json"), "{message}");
        assert_eq!(header("retry-after").is_some(), status == 429, "{message}");
        let body: serde_json::Value = answer.json().await.unwrap();
        assert_eq!(body, json!({ "code": code, "message": message }));
    }
    let foreign = http.get(url("EIO=4&transport=polling")).header("origin", FOREIGN).send();
    let answer = within("an answer", foreign).await.unwrap();
    assert_eq!(answer.status(), 403);
    assert!(!answer.headers().contains_key("access-control-allow-origin"));
    assert_eq!(answer.json::<serde_json::Value>().await.unwrap()["code"], 4);
}

#[tokio::test]
async fn polling_answers_are_not_stored() {
    let app = TestApp::start().await;
    let url = format!("http://{}/socket.io/?EIO=4&transport=polling", app.address());
    let answer = within("an answer", http_client().get(url).send()).await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["cache-control"]),
        (200, &"no-store".parse().unwrap())
    );
}

#[tokio::test]
async fn the_first_protocol_that_a_websocket_offers_is_chosen() {
    let app = TestApp::start().await;
    let key = format!("Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n");
    for (offered, chosen) in [
        ("Sec-WebSocket-Protocol: x, y\r\n", Some("x")),
        ("Sec-WebSocket-Protocol: y\r\nSec-WebSocket-Protocol: x\r\n", Some("y")),
        ("", None),
    ] {
        let mut stream = TcpStream::connect(app.address()).await.unwrap();
        let request = upgrade_request(&format!("{key}{offered}"));
        stream.write_all(request.as_bytes()).await.unwrap();
        let head = raw::until(&mut stream, "\r\n\r\n").await;
        let line = chosen.map(|chosen| format!("sec-websocket-protocol: {chosen}\r\n"));
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        assert_eq!(head.contains("sec-websocket-protocol"), chosen.is_some(), "{head}");
        assert!(line.is_none_or(|line| head.contains(&line)), "{head}");
    }
}

#[tokio::test]
async fn a_websocket_begins_alike_however_its_request_comes() {
    let app = TestApp::start().await;
    let key = format!("Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n");
    let long = format!("X-Padding: {}\r\n", "x".repeat(5000));
    let many = (0..40).map(|n| format!("X-{n}: x\r\n")).collect::<Vec<_>>().concat();
    let connect = format!(r#"40{{"token":"{}"}}"#, app.token("alice", &[]));
    let connect = raw::frame(0x81, &connect);
    for (first, fields) in [("", ""), ("", &long), ("", &many), ("HEAD /livez HTTP/1.1", "")] {
        let mut stream = TcpStream::connect(app.address()).await.unwrap();
        if !first.is_empty() {
            let request = format!("{first}\r\nHost: localhost\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            raw::until(&mut stream, "\r\n\r\n").await;
        }
        // What comes along with the request is heard, too, whole or in part.
        let (begin, end) = connect.split_at(if fields.is_empty() { connect.len() / 2 } else { 0 });
        let request = upgrade_request(&format!("{key}{fields}"));
        stream.write_all(&[request.as_bytes(), begin].concat()).await.unwrap();
        let mut opened = raw::until(&mut stream, "\"maxPayload\":1000000}").await;
        stream.write_all(end).await.unwrap();
        opened += &raw::until(&mut stream, "40{").await;
        let (head, _) = opened.split_once("\r\n\r\n").unwrap();
        let head = head.lines().filter(|line| !line.starts_with("date: "));
        let mut head: Vec<_> = head.collect();
        head[1..].sort_unstable();
        assert_eq!(
            head,
            [
                "HTTP/1.1 101 Switching Protocols",
                "connection: Upgrade",
                "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
                "upgrade: websocket",
            ]
        );
    }
}
