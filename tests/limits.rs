//! What one user and one address may hold, and what is no event: who sends it without end is told,
//! and closed.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stoa::config::{Config, Rate};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{
    Client, ConnectError, DEADLINE, Options, TestApp, but_for_time,
    poll::Poll,
    raw::{self, frame},
    within, within_time,
};

const TOO_MANY: &str = "Too many connections of this user.";

#[tokio::test]
async fn a_user_has_so_many_connections_over_whatever_transport_and_no_more() {
    let app = TestApp::with(|config| config.limits.connections_per_user = 3).await;
    let token = app.token("alice", &[]);
    let mut websocket = app.user("alice").await;
    let polling = app.user_with("alice", &[], Options::polling()).await;
    websocket.join_namespace("/chat", &json!({ "token": token })).await.unwrap();
    for options in [Options::websocket(), Options::polling(), Options::upgrade()] {
        assert_eq!(app.refusal(options.clone().token(&token)).await, TOO_MANY);
        let v3 = options.protocol(3).header("authorization", &format!("Bearer {token}"));
        assert_eq!(app.refusal(v3).await, TOO_MANY);
    }
    app.user("bob").await;
    polling.close().await;
    let back = async { while app.connect(Options::websocket().token(&token)).await.is_err() {} };
    within("a place to come free", Box::pin(back)).await;
    let metrics = app.get("/metrics").await.body;
    assert!(metrics.as_str().unwrap().contains(r#"reason="user_limit""#));
}

#[tokio::test]
async fn what_others_hear_of_a_user_has_one_rate_over_all_of_their_sockets() {
    let app = TestApp::with(|config| {
        let rate = Rate { per_second: 1, burst: 4 };
        (config.limits.typing, config.limits.user_joins) = (rate, rate);
    })
    .await;
    let mut sockets = Vec::new();
    for _ in 0..10 {
        sockets.push(app.user("alice").await);
    }
    let mut bob = app.user("bob").await;
    for (event, argument) in [
        ("typing:start", json!({ "conversationId": "none" })),
        ("join-chat-room", json!("none")),
        ("leave-chat-room", json!("none")),
    ] {
        let (begun, mut limited) = (Instant::now(), 0);
        for _ in 0..4 {
            for socket in &mut sockets {
                let code = socket.emit_ack(event, argument.clone()).await["code"].clone();
                limited += usize::from(code == "rate_limited");
            }
        }
        assert!(limited >= but_for_time(36, begun), "{event}: {limited} of 40");
        assert_ne!(bob.emit_ack(event, argument).await["code"], "rate_limited", "{event}");
    }
}

#[tokio::test]
async fn somebody_with_many_tabs_enters_all_rooms_again_at_once() {
    let app = TestApp::start().await;
    let id = app.person("alice").talk_to("bob").await;
    for _ in 0..10 {
        let mut tab = app.user("alice").await;
        for _ in 0..100 {
            let ack = tab.emit_ack("conversation:join", json!({ "conversationId": id })).await;
            assert_eq!(ack["success"], true, "{ack}");
        }
    }
}

#[tokio::test]
async fn what_a_user_has_stored_has_one_rate_over_all_of_their_sockets() {
    let app = TestApp::with(|config| {
        config.limits.messages = Rate { per_second: 1, burst: 3 };
    })
    .await;
    let (mut one, mut other) = (app.user("alice").await, app.user("alice").await);
    // Nothing is stored, and each counts: a rate is taken before anything is done.
    let message = json!({ "conversationId": "none", "content": "x" });
    let mut codes = Vec::new();
    for _ in 0..2 {
        for socket in [&mut one, &mut other] {
            codes.push(socket.emit_ack("message:send", message.clone()).await["code"].clone());
        }
    }
    assert_eq!(codes, ["not_found", "not_found", "not_found", "rate_limited"]);
    let mut bob = app.user("bob").await;
    assert_eq!(bob.emit_ack("message:send", message).await["code"], "not_found");
}

#[tokio::test]
async fn a_trusting_server_counts_whom_it_believes() {
    let app = TestApp::with(|config| {
        config.auth.handshake = stoa::config::Handshake::Trusting;
        config.limits.connections_per_user = 1;
    })
    .await;
    let mut first = app.connect(Options::websocket()).await.unwrap();
    assert_eq!(first.emit_ack("join-user-room", "alice").await["success"], true);
    let mut second = app.connect(Options::websocket()).await.unwrap();
    assert_eq!(second.emit_ack("join-user-room", "alice").await["code"], "rate_limited");
    assert_eq!(second.emit_ack("join-user-room", "bob").await["success"], true);
}

#[tokio::test]
async fn without_limits_a_user_has_as_many_connections_as_they_like() {
    let app = TestApp::with(|config| {
        config.limits.connections_per_user = 1;
        config.limits.enabled = false;
    })
    .await;
    let _first = app.user("alice").await;
    app.user("alice").await;
}

#[tokio::test]
async fn polling_sessions_of_an_address_are_capped_with_its_websockets() {
    let app = TestApp::with(|config| config.limits.connections_per_address = 2).await;
    let _websocket = app.user("alice").await;
    let _polling = app.user_with("bob", &[], Options::polling()).await;
    for options in [Options::websocket(), Options::polling()] {
        match Client::open(app.address(), options).await {
            Err(ConnectError::Http { status: 429, .. }) => {}
            other => panic!("the third: {:?}", other.err()),
        }
    }
}

/// A connection that shows that it is open: half a request was answered by nothing so far.
async fn idle(app: &TestApp, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(app.address()).await.expect("a connection");
    stream.write_all(bytes).await.expect("an open connection");
    stream
}

#[tokio::test]
async fn connections_of_an_address_that_are_no_websocket_are_capped() {
    let app = TestApp::with(|config| {
        config.limits.http_connections_per_address = 4;
        config.server.first_byte_timeout = Duration::from_mins(1);
        config.server.header_timeout = Duration::from_mins(1);
    })
    .await;
    // A websocket does not count among them.
    let mut alice = app.user("alice").await;
    let mut held = vec![idle(&app, b"").await, idle(&app, b"GET / HT").await];
    let get = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for _ in 0..2 {
        let mut kept = idle(&app, get).await;
        raw::until(&mut kept, "HTTP/1.1 200").await;
        held.push(kept);
    }
    let refused = raw::until_closed(app.address(), get, DEADLINE).await;
    assert!(refused.starts_with("HTTP/1.1 429") && refused.contains("Retry-After"), "{refused}");
    let (headers, problem) = refused.split_once("\r\n\r\n").expect("a body");
    assert!(headers.contains("Content-Type: application/problem+json"), "{headers}");
    let problem: Value = serde_json::from_str(problem).expect("JSON");
    assert_eq!((&problem["status"], &problem["code"]), (&json!(429), &json!("rate_limited")));
    assert_eq!(alice.emit_ack("join-user-room", "alice").await["success"], true);
    held.pop();
    let free = async {
        while raw::status(app.address(), std::str::from_utf8(get).expect("text")).await != 200 {}
    };
    within("a place to come free", free).await;
}

#[tokio::test]
async fn proxies_of_ours_have_as_many_connections_as_they_like() {
    let app = TestApp::with(|config| {
        config.limits.http_connections_per_address = 1;
        config.server.trusted_proxies = vec!["127.0.0.0/8".parse().expect("a range")];
        config.server.first_byte_timeout = Duration::from_mins(1);
    })
    .await;
    let _held = [idle(&app, b"").await, idle(&app, b"").await];
    let get = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(raw::status(app.address(), get).await, 200);
}

/// A server where floods end soon.
async fn strict() -> TestApp {
    TestApp::with(|config| {
        config.limits.packets = Rate { per_second: 1, burst: 40 };
        config.limits.joins = Rate { per_second: 1, burst: 40 };
        config.presence.grace = Duration::ZERO;
    })
    .await
}

/// Writes one thing again and again after another, and reads to the end of the connection; what came.
async fn flood(app: &TestApp, first: &[u8], bytes: &[u8]) -> String {
    let mut stream =
        raw::raw_connect(app.address(), &app.token("alice", &[])).await.expect("a websocket");
    raw::until(&mut stream, "40{").await;
    let (mut reader, mut writer) = stream.split();
    let mut came = Vec::new();
    let write = async {
        writer.write_all(first).await.expect("an open connection");
        // It ends when the server closes; until then there is always more.
        while writer.write_all(bytes).await.is_ok() {
            tokio::task::yield_now().await;
        }
        std::future::pending::<()>().await;
    };
    let read = async {
        // A reset is an end as good as any.
        let _ = reader.read_to_end(&mut came).await;
    };
    within_time(4 * DEADLINE, "the server to close", async {
        tokio::select! {
            () = read => {}
            () = write => {}
        }
    })
    .await;
    String::from_utf8_lossy(&came).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sends_what_is_no_event_without_end_is_told_and_closed() {
    let app = strict().await;
    let again = "42[\"join-user-room\",\"alice\"]";
    for (what, bytes) in [
        ("pings of Engine.IO", frame(0x81, "2")),
        ("pongs of Engine.IO", frame(0x81, "3")),
        ("pings of the websocket", frame(0x89, "")),
        ("pongs of the websocket", frame(0x8a, "x")),
        ("a CONNECT once more", frame(0x81, "40")),
        ("a CONNECT to nowhere", frame(0x81, "40/nowhere,")),
        ("an event to nowhere", frame(0x81, "42/nowhere,[\"x\"]")),
        ("an acknowledgement that nobody asked for", frame(0x81, "437[1]")),
        ("parts of a message", frame(0x00, "")),
        (
            "an event in parts",
            [frame(0x01, "42"), frame(0x00, "[\"x"), frame(0x80, "\"]")].concat(),
        ),
        ("events beyond their rate", frame(0x81, again)),
    ] {
        let first = if what == "parts of a message" { frame(0x01, "4") } else { Vec::new() };
        let came = flood(&app, &first, &bytes).await;
        let told = came.contains(r#""reason":"rate_limited""#);
        assert!(told, "{what}: {:?}", &came[came.len().saturating_sub(300)..]);
        app.until_offline("alice", DEADLINE).await;
    }
}

#[tokio::test]
async fn who_left_every_namespace_or_was_refused_does_not_stay() {
    let app =
        TestApp::with(|config| config.realtime.connect_timeout = Duration::from_millis(300)).await;
    for options in [Options::websocket(), Options::polling()] {
        let mut alice = app.user_with("alice", &[], options.clone()).await;
        alice.send_raw("41");
        alice.closed().await;
        let mut refused = Client::open(app.address(), options.protocol(3)).await.unwrap();
        refused.closed().await;
        // Who is connected stays.
        let mut bob = app.user("bob").await;
        let auth = json!({ "token": app.token("bob", &[]) });
        bob.join_namespace("/chat", &auth).await.unwrap();
        bob.send_raw("41/chat,");
        let mut late = app.user("carol").await;
        late.send_raw("41");
        late.closed().await;
        assert_eq!(bob.emit_ack("join-user-room", "bob").await["success"], true);
    }
}

#[tokio::test]
async fn who_comes_and_goes_without_end_is_told_and_closed() {
    let app = strict().await;
    let auth = json!({ "token": app.token("alice", &[]) });
    for options in [Options::websocket(), Options::polling()] {
        let mut alice = app.user_with("alice", &[], options).await;
        let mut times = 0;
        while alice.join_namespace("/chat", &auth).await.is_ok() {
            alice.send_raw("41/chat,");
            times += 1;
            assert!(times < 100, "it is never closed");
        }
        assert_eq!(alice.expect("session:closing").await["reason"], "rate_limited");
        app.until_offline("alice", DEADLINE).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_never_connects_is_not_heard_without_end_either() {
    let app = strict().await;
    let key = format!("Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {}\r\n", raw::KEY);
    let mut stream = TcpStream::connect(app.address()).await.expect("a connection");
    stream.write_all(raw::upgrade_request(&key).as_bytes()).await.unwrap();
    raw::until(&mut stream, "pingInterval").await;
    let (mut reader, mut writer) = stream.split();
    let write = async { while writer.write_all(&frame(0x81, "40/nowhere,")).await.is_ok() {} };
    let mut came = Vec::new();
    within("the server to close", async {
        tokio::join!(write, async { reader.read_to_end(&mut came).await.is_ok() })
    })
    .await;
    let refused = String::from_utf8_lossy(&came).matches("44/nowhere,").count();
    assert!(refused < 200, "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_packets_in_polling_bodies_ends_too() {
    let app = strict().await;
    for protocol in [4, 3] {
        for packet in [
            "2",
            "3",
            "40/nowhere,",
            "42/nowhere,[\"x\"]",
            "437[1]",
            "42[\"join-user-room\",\"alice\"]",
        ] {
            let token = app.token("alice", &[]);
            let alice = Poll::connected(app.address(), protocol, &token).await;
            for _ in 0..20 {
                alice.post_many(packet, 20).await;
            }
            let told = alice.until("session:closing").await.concat();
            assert!(told.contains("rate_limited"), "{packet}: {told}");
            app.until_offline("alice", DEADLINE).await;
        }
    }
}

#[tokio::test]
async fn events_within_their_rate_and_some_beyond_it_close_nobody() {
    let app = TestApp::with(|config| {
        config.limits.packets = Rate { per_second: 1, burst: 40 };
        config.limits.joins = Rate { per_second: 1, burst: 300 };
    })
    .await;
    for options in [Options::websocket(), Options::polling()] {
        let mut alice = app.user_with("alice", &[], options).await;
        let (begun, mut refused) = (Instant::now(), 0);
        for _ in 0..320 {
            let answer = alice.emit_ack("join-user-room", "alice").await;
            refused += usize::from(answer["code"] == "rate_limited");
        }
        assert!((but_for_time(20, begun)..=20).contains(&refused), "{refused}");
    }
}

#[tokio::test]
async fn without_limits_nothing_is_counted() {
    let app = TestApp::with(|config| {
        config.limits.packets = Rate { per_second: 1, burst: 1 };
        config.limits.enabled = false;
    })
    .await;
    for options in [Options::websocket(), Options::polling()] {
        let mut alice = app.user_with("alice", &[], options).await;
        for _ in 0..50 {
            alice.send_raw("437[1]");
        }
        assert_eq!(alice.emit_ack("join-user-room", "alice").await["success"], true);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_office_that_comes_back_at_once_is_let_in() {
    // A client and the server share one thread here, and the first byte may come late.
    let patient = |config: &mut Config| config.server.first_byte_timeout = Duration::from_mins(1);
    let app = TestApp::with(patient).await;
    let tokens: Vec<_> = (0..300).map(|n| app.token(&format!("clerk{n}"), &[])).collect();
    let connects = tokens.iter().map(|token| app.connect(Options::websocket().token(token)));
    let all = Box::pin(futures_util::future::join_all(connects));
    let refused = within("everyone", all).await.into_iter().filter_map(Result::err).count();
    assert_eq!(refused, 0);
    // As browsers do it: by polling, whose connections they keep, and then by an upgrade.
    let app = TestApp::with(patient).await;
    let upgrades = (0..300).map(async |n| {
        let (user, options) = (format!("clerk{n}"), Options::polling());
        let mut clerk = app.user_with(&user, &[], options).await;
        clerk.upgrade().await;
        clerk
    });
    let all = Box::pin(futures_util::future::join_all(upgrades));
    for mut clerk in within_time(4 * DEADLINE, "everyone by polling", all).await {
        assert_eq!(clerk.emit_ack("nothing", 1).await["code"], "unknown_event");
    }
}

#[tokio::test]
async fn who_comes_out_of_a_tunnel_enters_and_sends_all_at_once() {
    let app = TestApp::with(|config| config.rooms.policy = stoa::config::RoomPolicy::Open).await;
    let mut alice = app.user("alice").await;
    for room in 0..260 {
        let ack = alice.emit_ack("conversation:join", format!("c{room}")).await;
        assert_eq!(ack["success"], true, "{room}: {ack}");
    }
    let conversation = alice.talk_to("bob").await;
    for message in 0..150 {
        let draft = json!({ "conversationId": conversation, "content": message.to_string() });
        let ack = alice.emit_ack("message:send", draft).await;
        assert_eq!(ack["success"], true, "{message}: {ack}");
    }
    // The same over REST, out of the same bucket: 300 at once, and not once more for each door.
    let path = format!("/api/conversations/{conversation}/messages");
    let send = |content: String| alice.post(&path, json!({ "content": content }));
    for message in 150..300 {
        let answer = send(message.to_string()).await;
        assert_eq!(answer.status, 201, "{message}: {answer:?}");
    }
}
