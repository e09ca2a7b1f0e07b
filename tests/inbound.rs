//! What clients say: in order, once, each with its answer.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stoa::config::{Config, Rate, RoomPolicy};

use crate::support::{Options, TestApp, but_for_time};

fn open(config: &mut Config) {
    config.rooms.policy = RoomPolicy::Open;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_thousand_events_of_one_socket_are_handled_in_order() {
    const EVENTS: usize = 5_000;
    let app = TestApp::with(|config| {
        config.limits.enabled = false;
        config.realtime.queue_length = EVENTS;
    })
    .await;
    let mut alice = app.user("alice").await;
    let sent: Vec<_> = (0..EVENTS)
        .map(|n| match n % 3 {
            0 => (alice.emit_with_ack("join-user-room", "alice"), Value::Null),
            1 => (alice.emit_with_ack("no-such-event", n), json!("unknown_event")),
            _ => (alice.emit_with_ack("join-user-room", json!([n])), json!("invalid_payload")),
        })
        .collect();
    for (id, code) in sent {
        let (acked, answer) = alice.next_ack().await;
        assert_eq!((acked, &answer["code"]), (id, &code), "{answer}");
    }
}

/// The acknowledgements of these events in each namespace, which are the same; what went over the wire
/// in the last.
async fn acknowledged(namespaces: [&str; 2], events: &[(&str, Value)]) -> String {
    let app = TestApp::with(open).await;
    let mut seen = Vec::new();
    let mut said = String::new();
    for namespace in namespaces {
        let options = Options::websocket().namespace(namespace);
        let mut alice = app.user_with("alice", &["seller", "buyer"], options).await;
        alice.transcript().await;
        let mut acks = Vec::new();
        for (event, argument) in events {
            acks.push(alice.emit_ack(event, argument.clone()).await);
        }
        seen.push(acks);
        said = alice.transcript().await;
    }
    assert_eq!(seen[0], seen[1]);
    said
}

#[tokio::test]
async fn an_event_of_the_conversation_dialect_is_acknowledged_in_its_shape() {
    let events = [
        ("conversation:join", json!("c1")),
        ("conversation:join", json!({ "conversationId": "c2" })),
        ("typing:start", json!({ "conversationId": "c1", "userName": "Al" })),
        ("typing:stop", json!({ "conversationId": "c1" })),
        ("conversation:leave", json!("c1")),
    ];
    insta::assert_snapshot!(acknowledged(["/chat", "/"], &events).await, @r#"
    > 421["conversation:join","c1"]
    < 431[{"success":true,"conversationId":"c1","room":"conversation:c1","seq":0}]
    > 422["conversation:join",{"conversationId":"c2"}]
    < 432[{"success":true,"conversationId":"c2","room":"conversation:c2","seq":0}]
    > 423["typing:start",{"conversationId":"c1","userName":"Al"}]
    < 433[{"success":true}]
    > 424["typing:stop",{"conversationId":"c1"}]
    < 434[{"success":true}]
    > 425["conversation:leave","c1"]
    < 435[{"success":true,"conversationId":"c1"}]
    "#);
}

#[tokio::test]
async fn an_event_of_the_marketplace_dialect_is_acknowledged_in_its_shape() {
    let events = [
        ("join-user-room", json!("alice")),
        ("join-request-room", json!("r1")),
        ("leave-request-room", json!("r1")),
        ("join-seller-room", json!("alice")),
        ("leave-seller-room", json!("alice")),
        ("join-buyer-room", json!("alice")),
        ("leave-buyer-room", json!("alice")),
        ("join-chat-room", json!("c1")),
        ("typing-start", json!({ "chatId": "c1", "userId": "alice", "userName": "Al" })),
        ("typing-stop", json!({ "chatId": "c1", "userId": "alice" })),
        ("leave-chat-room", json!("c1")),
        ("join-checkout-room", json!("k1")),
        ("leave-checkout-room", json!("k1")),
        ("user-online", json!("alice")),
    ];
    insta::assert_snapshot!(acknowledged(["/marketplace", "/"], &events).await, @r#"
    > 421["join-user-room","alice"]
    < 431[{"success":true,"room":"user-alice"}]
    > 422["join-request-room","r1"]
    < 432[{"success":true,"room":"request-r1"}]
    > 423["leave-request-room","r1"]
    < 433[{"success":true,"room":"request-r1"}]
    > 424["join-seller-room","alice"]
    < 434[{"success":true,"rooms":["seller-alice","sellers"]}]
    > 425["leave-seller-room","alice"]
    < 435[{"success":true,"rooms":["seller-alice","sellers"]}]
    > 426["join-buyer-room","alice"]
    < 436[{"success":true,"rooms":["buyer-alice","buyers"]}]
    > 427["leave-buyer-room","alice"]
    < 437[{"success":true,"rooms":["buyer-alice","buyers"]}]
    > 428["join-chat-room","c1"]
    < 438[{"success":true,"room":"chat-c1"}]
    > 429["typing-start",{"chatId":"c1","userId":"alice","userName":"Al"}]
    < 439[{"success":true}]
    > 4210["typing-stop",{"chatId":"c1","userId":"alice"}]
    < 4310[{"success":true}]
    > 4211["leave-chat-room","c1"]
    < 4311[{"success":true,"room":"chat-c1"}]
    > 4212["join-checkout-room","k1"]
    < 4312[{"success":true,"room":"template-checkout-k1"}]
    > 4213["leave-checkout-room","k1"]
    < 4313[{"success":true,"room":"template-checkout-k1"}]
    > 4214["user-online","alice"]
    < 4314[{"success":true,"room":"user-alice"}]
    "#);
}

#[tokio::test]
async fn a_client_of_the_2_x_line_is_acknowledged() {
    let app = TestApp::start().await;
    for options in [Options::websocket(), Options::polling(), Options::upgrade()] {
        for namespace in ["/", "/marketplace"] {
            let options = options.clone().protocol(3).namespace(namespace);
            let mut alice = app.user_with("alice", &[], options).await;
            let ack = alice.emit_ack("join-user-room", "alice").await;
            assert_eq!(ack, json!({ "success": true, "room": "user-alice" }));
            app.emit(json!({ "user": "alice" }), "news", json!("é😀")).await;
            assert_eq!(alice.expect_in(namespace, "news").await, "é😀");
            alice.close().await;
        }
    }
}

#[tokio::test]
async fn an_unknown_event_and_a_bad_payload_are_told_in_the_acknowledgement() {
    let app = TestApp::with(open).await;
    let mut alice = app.user("alice").await;
    for (event, argument, code) in [
        ("no-such-event", json!({}), "unknown_event"),
        ("user:online", json!({ "userId": "alice" }), "unknown_event"),
        ("conversation:join", json!({}), "invalid_payload"),
        ("conversation:join", json!(""), "invalid_payload"),
        ("conversation:join", json!("a room"), "invalid_payload"),
        ("conversation:join", json!("x".repeat(257)), "invalid_payload"),
        ("conversation:join", Value::Null, "invalid_payload"),
        ("typing-start", json!("c1"), "invalid_payload"),
        ("typing:start", json!({ "conversationId": { "a": 1 } }), "invalid_payload"),
        ("auth:refresh", json!({}), "invalid_payload"),
    ] {
        let ack = alice.emit_ack(event, argument.clone()).await;
        assert_eq!(
            (&ack["success"], &ack["code"]),
            (&json!(false), &json!(code)),
            "{event} {argument}: {ack}"
        );
        assert!(ack["error"].as_str().is_some_and(|text| !text.is_empty()), "{ack}");
    }
    alice.expect_nothing().await;
}

#[tokio::test]
async fn an_event_without_an_argument_is_a_bad_payload() {
    let app = TestApp::start().await;
    let mut alice = app.user("alice").await;
    alice.send_raw(r#"42["join-user-room"]"#);
    assert_eq!(alice.expect("error").await["code"], "invalid_payload");
}

#[tokio::test]
async fn without_a_callback_a_failure_comes_as_an_error_event_and_a_success_says_nothing() {
    let app = TestApp::start().await;
    let mut alice = app.user("alice").await;
    alice.emit("join-user-room", "alice");
    alice.emit("no-such-event", json!({}));
    let error = alice.expect("error").await;
    assert_eq!(
        (&error["event"], &error["code"]),
        (&json!("no-such-event"), &json!("unknown_event"))
    );
    assert!(error["error"].is_string(), "{error}");
    alice.emit("join-user-room", "bob");
    let error = alice.expect("error").await;
    assert_eq!((&error["event"], &error["code"]), (&json!("join-user-room"), &json!("forbidden")));
    alice.expect_nothing().await;
}

#[tokio::test]
async fn an_acknowledgement_comes_exactly_once() {
    let app = TestApp::start().await;
    let mut alice = app.user("alice").await;
    for event in ["join-user-room", "no-such-event"] {
        alice.emit_ack(event, "alice").await;
    }
    alice.expect_nothing().await;
}

#[tokio::test]
async fn more_than_the_bucket_holds_is_rate_limited() {
    let app = TestApp::with(|config| {
        config.limits.enabled = true;
        config.limits.joins = Rate { per_second: 1, burst: 3 };
    })
    .await;
    let mut alice = app.user("alice").await;
    let begun = Instant::now();
    let ids: Vec<_> = (0..10).map(|_| alice.emit_with_ack("join-user-room", "alice")).collect();
    let mut answers = Vec::new();
    for id in ids {
        answers.push(alice.ack(id).await);
    }
    assert!(answers[..3].iter().all(|ack| ack["success"] == true), "{answers:?}");
    let limited = answers.iter().filter(|ack| ack["code"] == "rate_limited").count();
    assert!((but_for_time(7, begun)..=7).contains(&limited), "{answers:?}");
    let mut bob = app.user("bob").await;
    assert_eq!(bob.emit_ack("join-user-room", "bob").await["success"], true);
}

#[tokio::test]
async fn typing_is_relayed_in_both_dialects_to_all_but_the_sender() {
    let app = TestApp::with(open).await;
    let (mut alice, mut bob) = (app.user("alice").await, app.user("bob").await);
    let market = Options::websocket().namespace("/marketplace");
    let mut carol = app.user_with("carol", &[], market).await;
    alice.emit_ack("conversation:join", "c1").await;
    bob.emit_ack("conversation:join", "c1").await;
    carol.emit_ack("join-chat-room", "c1").await;

    alice.emit_ack("typing:start", json!({ "conversationId": "c1", "userName": "Al" })).await;
    let start = json!({ "userId": "alice", "userName": "Al", "conversationId": "c1" });
    assert_eq!(bob.expect("typing:start").await, start);
    let start = carol.expect("user-typing").await;
    assert_eq!((&start["userId"], &start["isTyping"]), (&json!("alice"), &json!(true)));
    assert_eq!((&start["chatId"], &start["userName"]), (&json!("c1"), &json!("Al")));

    alice.emit_ack("typing:stop", json!({ "conversationId": "c1" })).await;
    let stop = json!({ "userId": "alice", "conversationId": "c1" });
    assert_eq!(bob.expect("typing:stop").await, stop);
    assert_eq!(carol.expect("user-typing").await["isTyping"], false);

    let typing = json!({ "chatId": "c1", "userId": "carol", "userName": "Ca" });
    carol.emit_ack("typing-start", typing).await;
    assert_eq!(bob.expect("typing:start").await["userId"], "carol");
    assert_eq!(alice.expect("typing:start").await["userId"], "carol");
    carol.abort().await;
    assert_eq!(bob.expect("typing:stop").await["userId"], "carol");
    assert_eq!(alice.expect("typing:stop").await["userId"], "carol");
    alice.expect_nothing().await;
    bob.expect_nothing().await;
}

#[tokio::test]
async fn typing_ends_by_itself() {
    let app = TestApp::with(|config| {
        open(config);
        config.realtime.typing_timeout = Duration::from_millis(200);
    })
    .await;
    let (mut alice, mut bob) = (app.user("alice").await, app.user("bob").await);
    alice.emit_ack("conversation:join", "c1").await;
    bob.emit_ack("conversation:join", "c1").await;
    alice.emit_ack("typing:start", json!({ "conversationId": "c1" })).await;
    assert_eq!(bob.expect("typing:start").await["userId"], "alice");
    assert_eq!(bob.expect("typing:stop").await["userId"], "alice");
}

#[tokio::test]
async fn nobody_types_in_another_name_nor_in_a_room_they_are_not_in() {
    let app = TestApp::with(open).await;
    let (mut alice, mut bob) = (app.user("alice").await, app.user("bob").await);
    bob.emit_ack("join-chat-room", "c1").await;
    let typing = |user| json!({ "chatId": "c1", "userId": user, "userName": "Al" });
    assert_eq!(alice.emit_ack("typing-start", typing("alice")).await["code"], "forbidden");
    alice.emit_ack("join-chat-room", "c1").await;
    assert_eq!(alice.emit_ack("typing-start", typing("bob")).await["code"], "forbidden");
    bob.expect_nothing().await;
}
