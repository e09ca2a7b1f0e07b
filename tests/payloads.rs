//! What Node's clients and servers may say is taken, and whatever is taken is heard: on every
//! transport, live and in a replay (docs/contract/events.md#client-to-server;
//! docs/contract/rest.md#emit).

use serde_json::{Value, json};
use stoa::config::RoomPolicy;

use crate::support::{Options, Person, TestApp, app::API_KEY, http_client, market::id_of};

/// `{}` as deep as that.
fn nested(levels: usize) -> String {
    format!("{}{}", "[".repeat(levels), "]".repeat(levels))
}

/// `POST` of this text as JSON, as the backend service.
async fn post(app: &TestApp, path: &str, body: String) -> (u16, Value) {
    let request = http_client()
        .post(format!("http://{}{path}", app.address()))
        .header("content-type", "application/json")
        .header("x-api-key", API_KEY)
        .body(body);
    let answer = request.send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

async fn emit(app: &TestApp, room: &str, event: &str, data: &str) -> (u16, Value) {
    let body = format!(r#"{{"to":{{"room":"{room}"}},"event":"{event}","data":{data}}}"#);
    post(app, "/api/emit", body).await
}

/// A user on each transport, in both protocols and two namespaces.
async fn on_every_transport(app: &TestApp, user: &str) -> Vec<(Person, &'static str)> {
    let user = app.person(user);
    let mut sockets = Vec::new();
    for options in [Options::websocket(), Options::polling(), Options::upgrade()] {
        for (protocol, namespace) in [(4, "/"), (4, "/chat"), (3, "/")] {
            let options = options.clone().protocol(protocol).namespace(namespace);
            sockets.push((user.connect_by(options).await, namespace));
        }
    }
    sockets
}

#[tokio::test]
async fn what_the_emit_door_takes_is_heard_on_every_transport() {
    let app = TestApp::start().await;
    let mut sockets = on_every_transport(&app, "alice").await;
    for (event, data, heard) in [
        ("half", r#""cut \ud83c""#, json!("cut \u{fffd}")),
        ("halves", r#"["\udf89\ud83c","\ud83c\udf89"]"#, json!(["\u{fffd}\u{fffd}", "🎉"])),
        ("key", r#"{"a\uD83C":{"\udc00":1}}"#, json!({ "a\u{fffd}": { "\u{fffd}": 1 } })),
        ("deep", &nested(100), serde_json::from_str(&nested(100)).unwrap()),
        ("escaped", r#""\\ud83c \u0000 \"""#, json!("\\ud83c \u{0} \"")),
        (r"half \ud83c", "1", json!(1)),
    ] {
        let (status, answer) = emit(&app, "user-alice", event, data).await;
        assert_eq!((status, &answer["sockets"]), (202, &json!(sockets.len())), "{event}: {answer}");
        let event = event.replace(r"\ud83c", "\u{fffd}");
        for (socket, namespace) in &mut sockets {
            assert_eq!(socket.expect_in(namespace, &event).await, heard, "{event}");
        }
    }
}

#[tokio::test]
async fn data_is_heard_in_the_bytes_in_which_it_came() {
    let app = TestApp::start().await;
    let bearer = format!("Bearer {}", app.token("alice", &[]));
    let data = r#"{"z":1.10,"a":12345678901234567890123,"a":[ 1e2 ]}"#;
    for options in [Options::websocket(), Options::polling(), Options::polling().protocol(3)] {
        let mut alice =
            app.connect(options.header("authorization", &bearer).auth(json!({}))).await.unwrap();
        assert_eq!(emit(&app, "user-alice", "news", data).await.0, 202);
        let packet = loop {
            let packet = alice.next_raw().await;
            if packet.starts_with("42[\"news\"") {
                break packet;
            }
        };
        assert_eq!(packet, format!(r#"42["news",{data}]"#));
        alice.close().await;
    }
}

#[tokio::test]
async fn data_that_nests_too_deeply_is_refused_and_spoils_nothing_else_of_a_batch() {
    let app = TestApp::start().await;
    let mut alice = app.user("alice").await;
    let (status, problem) = emit(&app, "user-alice", "deep", &nested(200)).await;
    assert_eq!((status, &problem["code"]), (422, &json!("invalid_payload")), "{problem}");
    assert_eq!(problem["errors"][0]["pointer"], "/data", "{problem}");
    let item = |data: &str| format!(r#"{{"to":{{"user":"alice"}},"event":"news","data":{data}}}"#);
    let batch = format!(r#"{{"emits":[{},{}]}}"#, item(&nested(200)), item(r#""\ud83c""#));
    let (_, answer) = post(&app, "/api/emit/batch", batch).await;
    let status = |at: usize| answer["results"][at]["status"].as_u64();
    assert_eq!((status(0), status(1)), (Some(422), Some(202)), "{answer}");
    assert_eq!(alice.expect("news").await, "\u{fffd}");
    alice.expect_nothing().await;
    // Where there is a type for it, too.
    let body = format!(r#"{{"participantIds":["bob"],"metadata":{}}}"#, nested(200));
    let answer = http_client()
        .post(format!("http://{}/api/conversations", app.address()))
        .header("content-type", "application/json")
        .bearer_auth(app.token("alice", &[]))
        .body(body)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 422);
    let problem: Value = answer.json().await.unwrap();
    assert_eq!(problem["errors"][0]["pointer"].as_str().map(|at| &at[..9]), Some("/metadata"));
}

#[tokio::test]
async fn a_replay_brings_what_was_missed_on_every_transport() {
    let app = TestApp::with(|config| config.rooms.policy = RoomPolicy::Open).await;
    for data in [r#""cut \ud83c""#, &nested(100), r#"{"\ud83c":1}"#] {
        assert_eq!(emit(&app, "chat-c1", "news", data).await.0, 202);
    }
    for (mut socket, namespace) in on_every_transport(&app, "alice").await {
        if namespace == "/chat" {
            continue;
        }
        let ack = socket.emit_ack("join-chat-room", json!({ "chatId": "c1", "since": 0 })).await;
        assert_eq!((&ack["recovered"], &ack["replayed"]), (&json!(true), &json!(3)), "{ack}");
        assert_eq!(socket.expect("news").await, "cut \u{fffd}");
        assert_eq!(socket.expect("news").await.to_string(), nested(100));
        assert_eq!(socket.expect("news").await, json!({ "\u{fffd}": 1 }));
    }
}

#[tokio::test]
async fn null_counts_as_absent() {
    let app = TestApp::start().await;
    let mut alice = app.user("alice").await;
    for to in [json!({ "user": "alice" }), json!({ "rooms": ["user-alice"], "except": null })] {
        let body =
            json!({ "to": to, "event": "news", "data": null, "namespace": null, "volatile": null });
        let answer = app.post("/api/emit", body).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.body["sockets"]),
            (202, &json!(1)),
            "{answer:?}"
        );
        assert_eq!(alice.expect("news").await, Value::Null);
    }
    let request = json!({
        "title": "A chair", "description": "Any", "budget": { "amount": 5, "currency": "EUR" },
        "category": null, "metadata": null,
    });
    app.buyer("alice").post("/api/marketplace/requests", request).await.created();
    let join = json!({ "userId": "alice", "since": null, "other": null });
    assert_eq!(alice.emit_ack("join-user-room", join).await["success"], true);
    // Where something has to be, it is missing.
    let ack =
        alice.emit_ack("message:send", json!({ "conversationId": null, "content": "a" })).await;
    assert_eq!(ack["code"], "invalid_payload");
}

/// Ann and Bob have one; its id.
async fn conversation(app: &TestApp) -> String {
    let body = json!({ "participantIds": ["bob"], "title": null, "type": null, "metadata": null });
    let made = app.person("ann").post("/api/conversations", body).await.created();
    id_of(&made["conversation"])
}

#[tokio::test]
async fn a_message_cut_in_the_middle_of_a_character_is_kept_and_heard() {
    let app = TestApp::start().await;
    let id = conversation(&app).await;
    let mut bob = app.user_with("bob", &[], Options::polling()).await;
    bob.emit_ack("conversation:join", id.as_str()).await;
    for (mut ann, namespace) in on_every_transport(&app, "ann").await {
        let namespace = if namespace == "/" { "" } else { "/chat," };
        let mut said = |ack: u64, field: &str| {
            ann.send_raw(format!(
                r#"42{namespace}{ack}["message:send",{{"conversationId":"{id}","content":"a \ud83c",{field}}}]"#
            ));
        };
        said(71, r#""attachments":null,"replyTo":null,"clientMessageId":null,"unknown":{}"#);
        said(72, r#""un\ud83cknown":"\udc00""#);
        for ack in [71, 72] {
            let ack = ann.ack(ack).await;
            assert_eq!(
                (&ack["success"], &ack["message"]["content"]),
                (&json!(true), &json!("a \u{fffd}")),
                "{ack}"
            );
            assert_eq!(bob.expect("message:new").await["content"], "a \u{fffd}");
        }
    }
    let path = format!("/api/conversations/{id}/messages");
    let body = r#"{"content":"b \ud83c","attachments":null,"replyTo":null,"clientMessageId":null}"#;
    let answer = http_client()
        .post(format!("http://{}{path}", app.address()))
        .header("content-type", "application/json")
        .bearer_auth(app.token("ann", &[]))
        .body(body)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 201, "{:?}", answer.text().await);
    assert_eq!(bob.expect("message:new").await["content"], "b \u{fffd}");
    let listed = bob.get(&path).await.ok();
    assert_eq!(listed["items"][0]["content"], "b \u{fffd}", "{listed}");
}

#[tokio::test]
async fn numbers_are_taken_as_ids_and_answered_as_they_came() {
    let app = TestApp::with(|config| config.rooms.policy = RoomPolicy::Open).await;
    let mut ann = app.user("ann").await;
    for number in [json!(42), json!(0), json!(1_764_000_000_000_i64)] {
        let joined = ann.emit_ack("conversation:join", number.clone()).await;
        assert_eq!(joined["conversationId"], number, "{joined}");
        assert_eq!(joined["room"], format!("conversation:{number}"));
        let joined = ann.emit_ack("conversation:join", json!({ "conversationId": number })).await;
        assert_eq!(joined["conversationId"], number, "{joined}");
        let left = ann.emit_ack("conversation:leave", number.clone()).await;
        assert_eq!(left, json!({ "success": true, "conversationId": number }));
        let joined = ann.emit_ack("join-chat-room", number.clone()).await;
        assert_eq!(joined["room"], format!("chat-{number}"), "{joined}");
    }
    let id = conversation(&app).await;
    let mut bob = app.user("bob").await;
    bob.emit_ack("conversation:join", id.as_str()).await;
    for own in [
        json!(1_764_000_000_000_i64),
        json!("1764000000000"),
        json!(1_764_000_000_000.25),
        json!(0.123_456_789),
        json!(-7),
    ] {
        let message = json!({ "conversationId": id, "content": "hi", "clientMessageId": own });
        let first = ann.emit_ack("message:send", message.clone()).await;
        assert_eq!(first["message"]["clientMessageId"], own, "{first}");
        let again = ann.emit_ack("message:send", message).await;
        assert_eq!(again["message"], first["message"], "the same again gives the first");
        assert_eq!(bob.expect("message:new").await["clientMessageId"], own);
    }
    bob.expect_nothing().await;
}

#[tokio::test]
async fn a_payload_that_can_not_be_read_is_invalid_and_no_more() {
    let app = TestApp::start().await;
    for options in [Options::websocket(), Options::polling(), Options::upgrade()] {
        let mut alice = app.user_with("alice", &[], options).await;
        for (ack, payload) in [
            (7, "1e999".to_owned()),
            (8, nested(200)),
            (9, format!(r#"{{"userId":{}}}"#, nested(200))),
            (10, r#""\ud83c \ud83c""#.to_owned()),
        ] {
            alice.send_raw(format!(r#"42{ack}["join-user-room",{payload}]"#));
            assert_eq!(alice.ack(ack).await["code"], "invalid_payload", "{payload}");
        }
        assert_eq!(alice.emit_ack("join-user-room", "alice").await["success"], true);
        // What is no JSON at all ends the connection, as with Node's server.
        alice.send_raw(r#"427["message:send",{bad}]"#);
        alice.closed().await;
    }
}

#[tokio::test]
async fn a_name_that_node_reads_is_answered_and_one_that_it_does_not_read_ends_the_connection() {
    let app = TestApp::start().await;
    // From socket.io-parser 4.2, `isPayloadValid`: numbers and strings that are not reserved.
    let read = [
        r"42N1",
        r"42N-1.5",
        r#"42N"\ud83c""#,
        r#"42N"caf\u00e9 \ud83c""#,
        r#"42N"a\"b""#,
        r#"42N"""#,
        r#"42N "x\\""#,
        r#"42N"error\n""#,
    ];
    let not_read = [
        "42[]",
        "42{}",
        "42[null]",
        "42[true,1]",
        "42[[]]",
        "421[{}]",
        r#"42["connect"]"#,
        r#"42["connect_error",1]"#,
        r#"421["disconnect"]"#,
        r#"42["disconnecting"]"#,
        r#"42["newListener"]"#,
        r#"42["removeListener"]"#,
        r#"42["disc\u006fnnect"]"#,
    ];
    for (mut alice, namespace) in on_every_transport(&app, "alice").await {
        let namespace = if namespace == "/" { "" } else { "/chat," };
        for (ack, packet) in (500..).zip(read) {
            let packet = packet.replace("42N", &format!("42{namespace}{ack}["));
            alice.send_raw(format!("{packet},{{\"a\":[\"{}\"]}}]", "x".repeat(200)));
            assert_eq!(alice.ack(ack).await["code"], "unknown_event", "{packet}");
        }
        let known = format!(r#"42{namespace}9["join-us\u0065r-room","alice"]"#);
        if namespace.is_empty() {
            alice.send_raw(known);
            assert_eq!(alice.ack(9).await["room"], "user-alice");
        }
        alice.send_raw(format!("42{namespace}[1,2]"));
        let error =
            alice.expect_in(if namespace.is_empty() { "/" } else { "/chat" }, "error").await;
        assert_eq!((&error["event"], &error["code"]), (&json!("1"), &json!("unknown_event")));
    }
    for options in [Options::websocket(), Options::polling(), Options::upgrade()] {
        for packet in not_read {
            let mut alice = app.user_with("alice", &[], options.clone()).await;
            alice.send_raw(packet);
            alice.closed().await;
        }
    }
}

#[tokio::test]
async fn an_event_may_have_any_name_that_node_sends() {
    let app = TestApp::start().await;
    let mut sockets = on_every_transport(&app, "alice").await;
    let long = "é".repeat(128);
    for event in ["chat message", "1st", "a\"b\\c", "события", "🎉", "-", " ", &long] {
        let sent = app.emit(json!({ "user": "alice" }), event, json!({ "n": 1 })).await;
        assert_eq!(sent, sockets.len() as u64);
        for (socket, namespace) in &mut sockets {
            assert_eq!(socket.expect_in(namespace, event).await, json!({ "n": 1 }), "{event}");
        }
    }
}
