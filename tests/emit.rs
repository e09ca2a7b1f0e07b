//! The emit API: whom an event reaches, and what is refused.

use reqwest::Method;
use serde_json::{Value, json};
use stoa::config::RoomPolicy;

use crate::support::{
    Options, Person, TestApp,
    app::{API_KEY, NARROW_KEY},
};

async fn open() -> TestApp {
    TestApp::with(|config| config.rooms.policy = RoomPolicy::Open).await
}

async fn in_conversations(app: &TestApp, user: &str, conversations: &[&str]) -> Person {
    let mut user = app.user(user).await;
    for id in conversations {
        assert_eq!(user.emit_ack("conversation:join", *id).await["success"], true);
    }
    user
}

#[expect(clippy::needless_pass_by_value, reason = "what is built in place is given away")]
fn body(to: Value, event: &str, data: Value) -> Value {
    json!({ "to": to, "event": event, "data": data })
}

#[tokio::test]
async fn an_event_reaches_its_room_and_nobody_else() {
    let app = open().await;
    let mut alice = in_conversations(&app, "alice", &["c1"]).await;
    let mut bob = in_conversations(&app, "bob", &["c2"]).await;
    let data = json!({ "text": "é", "n": [1.5, null] });
    assert_eq!(app.emit_to_room("conversation:c1", "news", data.clone()).await, 1);
    assert_eq!(alice.expect("news").await, data);
    alice.expect_nothing().await;
    bob.expect_nothing().await;
    assert_eq!(app.emit_to_room("conversation:empty", "news", json!(1)).await, 0);
}

#[tokio::test]
async fn a_socket_in_several_of_the_rooms_gets_one_copy() {
    let app = open().await;
    let mut alice = in_conversations(&app, "alice", &["c1", "c2", "c3"]).await;
    let mut bob = in_conversations(&app, "bob", &["c3"]).await;
    let rooms =
        json!({ "rooms": ["conversation:c1", "conversation:c2", "user-alice", "conversation:c3"] });
    assert_eq!(app.emit(rooms, "news", json!(1)).await, 2);
    for user in [&mut alice, &mut bob] {
        assert_eq!(user.expect("news").await, 1);
        user.expect_nothing().await;
    }
}

#[tokio::test]
async fn except_leaves_out_the_sockets_of_a_room() {
    let app = open().await;
    let mut alice = in_conversations(&app, "alice", &["c1"]).await;
    let mut bob = in_conversations(&app, "bob", &["c1"]).await;
    let to = json!({ "rooms": ["conversation:c1"], "except": ["user-bob"] });
    assert_eq!(app.emit(to, "news", json!(1)).await, 1);
    assert_eq!(alice.expect("news").await, 1);
    bob.expect_nothing().await;
}

#[tokio::test]
async fn a_user_is_reached_on_every_socket_and_several_users_at_once() {
    let app = TestApp::start().await;
    let mut alice = [
        app.user("alice").await,
        app.user_with("alice", &[], Options::polling().namespace("/chat")).await,
        app.user_with("alice", &[], Options::upgrade().namespace("/marketplace")).await,
    ];
    let mut bob = app.user("bob").await;
    let mut carol = app.user("carol").await;
    assert_eq!(app.emit(json!({ "user": "alice" }), "one", json!(1)).await, 3);
    assert_eq!(app.emit(json!({ "users": ["alice", "bob", "nobody"] }), "two", json!(2)).await, 4);
    assert_eq!(app.emit(json!("everyone"), "all", json!(3)).await, 5);
    for (tab, namespace) in alice.iter_mut().zip(["/", "/chat", "/marketplace"]) {
        for (event, value) in [("one", 1), ("two", 2), ("all", 3)] {
            assert_eq!(tab.expect_in(namespace, event).await, value);
        }
        tab.expect_nothing().await;
    }
    assert_eq!((bob.expect("two").await, bob.expect("all").await), (json!(2), json!(3)));
    bob.expect_nothing().await;
    assert_eq!(carol.expect("all").await, 3);
    carol.expect_nothing().await;
}

#[tokio::test]
async fn a_room_is_heard_in_the_namespaces_of_its_dialect_or_in_the_one_named() {
    let app = open().await;
    let mut sockets = Vec::new();
    for (namespace, event) in [
        ("/", "conversation:join"),
        ("/chat", "conversation:join"),
        ("/", "join-chat-room"),
        ("/marketplace", "join-chat-room"),
    ] {
        let options = Options::websocket().namespace(namespace);
        let mut user = app.user_with("alice", &[], options).await;
        assert_eq!(user.emit_ack(event, "c1").await["success"], true, "{event} in {namespace}");
        sockets.push(user);
    }
    assert_eq!(app.emit_to_room("conversation:c1", "chat", json!(1)).await, 2);
    assert_eq!(app.emit_to_room("chat-c1", "market", json!(1)).await, 2);
    let mut narrowed = body(json!({ "room": "conversation:c1" }), "narrow", json!(1));
    narrowed["namespace"] = json!("/chat");
    assert_eq!(app.post("/api/emit", narrowed).await.body["sockets"], 1);
    for (socket, events) in
        sockets.iter_mut().zip([&["chat"][..], &["chat", "narrow"], &["market"], &["market"]])
    {
        for event in events {
            socket.expect(event).await;
        }
        socket.expect_nothing().await;
    }
    let mut unknown = body(json!("everyone"), "news", json!(1));
    unknown["namespace"] = json!("/elsewhere");
    assert_eq!(app.post("/api/emit", unknown).await.problem(422), "invalid_payload");
}

#[tokio::test]
async fn emits_reach_a_socket_in_the_order_in_which_they_were_answered() {
    let app = TestApp::start().await;
    let mut alice = app.user("alice").await;
    for n in 0..200 {
        let to = if n % 2 == 0 { json!({ "user": "alice" }) } else { json!("everyone") };
        app.emit(to, "tick", json!(n)).await;
    }
    for n in 0..200 {
        assert_eq!(alice.expect("tick").await, n);
    }
}

#[tokio::test]
async fn reserved_and_malformed_names_are_refused() {
    let app = TestApp::start().await;
    let mut alice = app.user("alice").await;
    for event in [
        "connect",
        "connect_error",
        "disconnect",
        "disconnecting",
        "newListener",
        "removeListener",
        "",
        "a\nb",
        "\u{0}",
        "\u{7f}",
        "\u{85}",
        &"é".repeat(129),
    ] {
        let answer = app.post("/api/emit", body(json!("everyone"), event, json!(1))).await;
        assert_eq!(answer.problem(422), "invalid_payload", "{event:?}");
        assert_eq!(answer.body["errors"][0]["pointer"], "/event", "{answer:?}");
    }
    alice.expect_nothing().await;
}

#[tokio::test]
async fn a_batch_answers_for_each_of_its_items() {
    let app = TestApp::start().await;
    let mut alice = app.user("alice").await;
    let to_alice = |event: &str| body(json!({ "user": "alice" }), event, json!(event));
    let emits = json!({ "emits": [to_alice("one"), to_alice("disconnect"), to_alice("two")] });
    let answer = app.post("/api/emit/batch", emits).await;
    assert_eq!(answer.status, 207, "{answer:?}");
    let results = answer.body["results"].as_array().expect("results");
    let statuses: Vec<_> = results.iter().map(|result| result["status"].as_u64()).collect();
    assert_eq!(statuses, [Some(202), Some(422), Some(202)], "{answer:?}");
    assert_eq!(
        (alice.expect("one").await, alice.expect("two").await),
        (json!("one"), json!("two"))
    );
    alice.expect_nothing().await;
    let many = json!({ "emits": vec![to_alice("many"); 101] });
    assert_eq!(app.post("/api/emit/batch", many).await.problem(422), "invalid_payload");
    alice.expect_nothing().await;
}

#[tokio::test]
async fn a_key_emits_within_its_scopes_only() {
    let app = TestApp::start().await;
    let mut alice = app.user("alice").await;
    let emit = async |to: Value, event: &str| {
        let body = body(to, event, json!(1));
        app.request(Method::POST, "/api/emit", Some(NARROW_KEY), Some(body)).await
    };
    let to_alice = || json!({ "user": "alice" });
    assert_eq!(emit(to_alice(), "payment-update").await.status, 202);
    assert_eq!(emit(to_alice(), "new-offer").await.problem(403), "forbidden");
    assert_eq!(emit(json!("everyone"), "payment-update").await.problem(403), "forbidden");
    let rooms = json!({ "rooms": ["user-alice", "sellers"] });
    assert_eq!(emit(rooms, "payment-update").await.problem(403), "forbidden");
    let presence = app.request(Method::GET, "/api/rooms", Some(NARROW_KEY), None).await;
    assert_eq!(presence.problem(403), "forbidden");
    assert_eq!(alice.expect("payment-update").await, 1);
    alice.expect_nothing().await;
}

#[tokio::test]
async fn only_services_emit() {
    let app = TestApp::start().await;
    let emit = async |key: Option<&str>| {
        let body = body(json!("everyone"), "news", json!(1));
        app.request(Method::POST, "/api/emit", key, Some(body)).await
    };
    assert_eq!(emit(None).await.problem(401), "token_missing");
    assert_eq!(emit(Some("no such key")).await.problem(401), "api_key_invalid");
    assert_eq!(emit(Some(API_KEY)).await.status, 202);
    let http = crate::support::http_client();
    for (roles, status) in [(&["admin"][..], 403), (&["seller"], 403), (&["service"], 202)] {
        let request = http
            .post(format!("http://{}/api/emit", app.address()))
            .bearer_auth(app.token("someone", roles))
            .json(&body(json!("everyone"), "news", json!(1)));
        assert_eq!(request.send().await.unwrap().status(), status, "{roles:?}");
    }
}

#[tokio::test]
async fn a_body_over_the_limit_an_unknown_field_and_what_is_not_json_are_refused() {
    let app = TestApp::with(|config| config.server.max_payload_bytes = 100_000).await;
    let data = |bytes: usize| body(json!("everyone"), "news", json!("x".repeat(bytes)));
    assert_eq!(app.post("/api/emit", data(90_000)).await.status, 202);
    assert_eq!(app.post("/api/emit", data(200_000)).await.problem(413), "too_large");
    let mut more = data(1);
    more["rom"] = json!("sellers");
    assert_eq!(app.post("/api/emit", more).await.problem(422), "invalid_payload");
    for to in [json!({}), json!("nobody"), json!({ "room": "a room" }), json!({ "rooms": [] })] {
        let answer = app.post("/api/emit", body(to.clone(), "news", json!(1))).await;
        assert_eq!(answer.problem(422), "invalid_payload", "{to}");
    }
    let http = crate::support::http_client();
    for (kind, text, status) in
        [("application/json", "{", 400), ("text/plain", "{}", 415), ("application/json", "[]", 422)]
    {
        let request = http.post(format!("http://{}/api/emit", app.address()));
        let request = request.header("x-api-key", API_KEY).header("content-type", kind).body(text);
        assert_eq!(request.send().await.unwrap().status(), status, "{kind} {text}");
    }
}

#[tokio::test]
async fn a_batch_is_heard_in_the_order_of_its_items_the_volatile_ones_last() {
    let app = TestApp::start().await;
    let mut alice = app.user("alice").await;
    let is_volatile = |at: usize| at % 10 == 4;
    let emit = |at: usize| {
        let to = json!({ "user": "alice" });
        json!({ "to": to, "event": "tick", "data": at, "volatile": is_volatile(at) })
    };
    let emits = json!({ "emits": (0..30).map(emit).collect::<Vec<_>>() });
    let answer = app.post("/api/emit/batch", emits).await;
    assert_eq!(answer.status, 207, "{answer:?}");
    let (volatile, kept): (Vec<_>, Vec<_>) = (0..30).partition(|at| is_volatile(*at));
    let heard = |at: &usize| answer.body["results"][*at]["sockets"] == 1;
    assert!(kept.iter().all(heard), "{answer:?}");
    // Those for which there was no room then are said not to have been heard.
    for at in kept.into_iter().chain(volatile.into_iter().filter(heard)) {
        assert_eq!(alice.expect("tick").await, at);
    }
    alice.expect_nothing().await;
}

#[tokio::test]
async fn what_is_too_much_for_one_batch_stops_none_of_the_others() {
    // Each stream that keeps an event costs more than its name does in the request.
    let app = TestApp::with(|config| config.database.max_unit_event_bytes = 4_000_000).await;
    let mut alice = app.user("alice").await;
    let names: Vec<_> = (0..1000).map(|user| format!("u{user}")).collect();
    let many = body(json!({ "users": names }), "many", json!(1));
    let one = body(json!({ "user": "alice" }), "one", json!(1));
    let mut emits = vec![many; 60];
    emits.push(one);
    let answer = app.post("/api/emit/batch", json!({ "emits": emits })).await;
    assert_eq!(answer.status, 207, "{answer:?}");
    let results = answer.body["results"].as_array().expect("results");
    let status = |at: usize| results[at]["status"].as_u64();
    assert_eq!((status(0), status(59), status(60)), (Some(202), Some(413), Some(202)));
    assert_eq!(results[59]["code"], "too_large", "{}", results[59]);
    alice.expect("one").await;
}

#[tokio::test]
async fn several_arguments_arrive_as_several_on_every_transport_and_once_more_later() {
    let app = open().await;
    let to = json!({ "room": "conversation:c1" });
    let args = json!([{ "n": 1 }, "two", [3, []], null]);
    let mut all = Vec::new();
    for (n, transport) in
        [Options::websocket(), Options::polling(), Options::upgrade()].into_iter().enumerate()
    {
        for protocol in [3, 4] {
            let user = format!("u-{n}-{protocol}");
            let options = transport.clone().protocol(protocol);
            let mut user = app.user_with(&user, &[], options).await;
            assert_eq!(user.emit_ack("conversation:join", "c1").await["success"], true);
            all.push(user);
        }
    }
    for (event, args) in [("chat message", args.clone()), ("nothing", json!([]))] {
        for volatile in [false, true] {
            let body = json!({ "to": to, "event": event, "args": args, "volatile": volatile });
            let answer = app.post("/api/emit", body).await;
            assert_eq!(
                (answer.status.as_u16(), &answer.body["sockets"]),
                (202, &json!(all.len())),
                "{answer:?}"
            );
            for user in &mut all {
                let heard = user.expect_args("/", event).await;
                assert_eq!(Value::Array(heard), args, "{event}");
            }
        }
    }
    let items = json!({ "emits": [{ "to": to, "event": "batch", "args": args }] });
    assert_eq!(app.post("/api/emit/batch", items).await.status, 207);
    let app = app.restart().await;
    let mut late = app.user("late").await;
    let join = json!({ "conversationId": "c1", "since": 0 });
    assert_eq!(late.emit_ack("conversation:join", join).await["replayed"], 3);
    assert_eq!(Value::Array(late.expect_args("/", "chat message").await), args);
    assert_eq!(late.expect_args("/", "nothing").await, Vec::<Value>::new());
    assert_eq!(Value::Array(late.expect_args("/", "batch").await), args);
    late.expect_nothing().await;

    for (args, data, pointer) in [
        (json!("x"), Value::Null, "/args"),
        (json!({ "0": 1 }), Value::Null, "/args"),
        (json!(vec![1; 101]), Value::Null, "/args"),
        (json!([1]), json!(1), ""),
    ] {
        let body = json!({ "to": to, "event": "news", "args": args, "data": data });
        app.post("/api/emit", body).await.invalid(pointer);
    }
    let one = json!({ "to": to, "event": "news", "args": null, "data": [1] });
    assert_eq!(app.post("/api/emit", one).await.status, 202);
    assert_eq!(late.expect_args("/", "news").await, [json!([1])]);
}
