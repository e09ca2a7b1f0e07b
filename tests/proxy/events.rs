//! What a backend is asked, and what is done for its answers.

use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use stoa::{
    clock::{Clock, Timestamp},
    config::{Handshake, RoomPolicy},
};

use super::{
    answer_the_first, assert_unavailable,
    backend::{Backend, Reply, SECRET},
    echo, start, start_with,
};
use crate::support::{Options, TestApp};

/// The backend's own verification: Standard Webhooks, by hand.
fn signature(id: &str, timestamp: &str, body: &[u8]) -> String {
    let key = SECRET.strip_prefix("whsec_").expect("a secret");
    let key = BASE64_STANDARD.decode(key).expect("base64");
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("a key");
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()))
}

#[tokio::test]
async fn an_event_that_is_not_known_here_is_asked_with_all_that_came_with_it() {
    let backend = Backend::start(echo).await;
    let app = start(&backend, &["cart:*"]).await;
    let ann = app.person_with("ann", json!({ "roles": ["buyer", "poet"], "tenant": { "id": 7 } }));
    let mut ann = ann.connect_by(Options::websocket().namespace("/marketplace")).await;
    ann.send_raw(r#"42/marketplace,1["cart:add",{"b":1.0,"a":[ ]},null,"\ud800x"]"#);
    let [asked] = <[Value; 1]>::try_from(ann.ack_args(1).await).unwrap();
    assert_eq!((&asked["kind"], &asked["event"]), (&json!("event"), &json!("cart:add")));
    assert_eq!(asked["args"], json!([{ "b": 1.0, "a": [] }, null, "\u{fffd}x"]));
    assert_eq!((&asked["userId"], &asked["roles"]), (&json!("ann"), &json!(["buyer"])));
    assert_eq!(asked["claims"]["tenant"], json!({ "id": 7 }));
    assert_eq!(asked["claims"]["roles"], json!(["buyer", "poet"]));
    assert_eq!(asked["namespace"], "/marketplace");
    assert_eq!(asked["rooms"], json!(["user-ann", asked["socketId"]]));
    assert_eq!(asked.as_object().unwrap().len(), 9, "{asked}");
    assert!(
        backend.asked()[0]
            .body
            .starts_with(br#"{"kind":"event","event":"cart:add","args":[{"b":1.0,"a":[ ]},"#)
    );
}

#[tokio::test]
async fn a_question_is_signed_so_that_the_backend_can_verify_it() {
    let backend = Backend::start(echo).await;
    let clock = Clock::manual(Timestamp::from_millis(1_800_000_000_999));
    let app = TestApp::with_clock(clock, |config| backend.configure(config, &["*"])).await;
    let mut ann = app.user("ann").await;
    ann.emit_ack("hello", 1).await;
    ann.emit_ack("hello", 1).await;
    let asked = backend.asked();
    let header = |at: usize, name: &str| asked[at].headers[name].to_str().unwrap();
    for (at, question) in asked.iter().enumerate() {
        let (id, timestamp) = (header(at, "webhook-id"), header(at, "webhook-timestamp"));
        assert_eq!(timestamp, "1800000000");
        assert_eq!(header(at, "webhook-signature"), signature(id, timestamp, &question.body));
        assert_eq!(header(at, "content-type"), "application/json");
    }
    assert_ne!(header(0, "webhook-id"), header(1, "webhook-id"));
}

#[tokio::test]
async fn what_the_backend_acknowledges_arrives_as_it_is() {
    let backend = Backend::start(|asked| Reply::Json(asked["args"][0].clone())).await;
    let app = start(&backend, &["*"]).await;
    for options in [Options::websocket(), Options::polling()] {
        let mut ann = app.user_with("ann", &[], options).await;
        for (answer, expected) in [
            (
                json!({ "ack": [1, { "a": null }, []] }),
                vec![json!(1), json!({ "a": null }), json!([])],
            ),
            (json!({ "ack": [] }), vec![]),
            (json!({}), vec![json!({ "success": true })]),
            (
                json!({ "error": { "code": "conflict", "error": "The name is taken." } }),
                vec![
                    json!({ "success": false, "error": "The name is taken.", "code": "conflict" }),
                ],
            ),
        ] {
            let id = ann.emit_with_ack("ask", answer.clone());
            assert_eq!(ann.ack_args(id).await, expected, "{answer}");
        }
        // Without a callback a refusal is an event.
        ann.emit("ask", json!({ "error": { "code": "not_found", "error": "No such cart." } }));
        let told = json!({ "event": "ask", "error": "No such cart.", "code": "not_found" });
        assert_eq!(ann.expect("error").await, told);
    }
}

#[tokio::test]
async fn names_of_the_catalogue_and_names_that_no_pattern_takes_are_not_asked() {
    let backend = Backend::start(echo).await;
    let app = start(&backend, &["*"]).await;
    let mut ann = app.user_with("ann", &[], Options::websocket().namespace("/chat")).await;
    // It is known on another namespace, and on this one.
    assert_eq!(ann.emit_ack("join-user-room", "ann").await["code"], "unknown_event");
    assert_eq!(ann.emit_ack("conversation:join", "c1").await["code"], "forbidden");
    assert_eq!(ann.emit_ack(&"x".repeat(129), 1).await["code"], "unknown_event");
    assert_eq!(ann.emit_ack("", 1).await["code"], "unknown_event");
    let app = start(&backend, &["cart:*"]).await;
    let mut ann = app.user("ann").await;
    assert_eq!(ann.emit_ack("carts:add", 1).await["code"], "unknown_event");
    assert_eq!(backend.asked().len(), 0);
    assert_eq!(ann.emit_ack("cart:add", 1).await["event"], "cart:add");
}

#[tokio::test]
async fn binary_data_is_refused_and_numbers_are_names() {
    let backend = Backend::start(echo).await;
    let app = start(&backend, &["*"]).await;
    let mut ann = app.user_with("ann", &[], Options::polling()).await;
    ann.send_raw(r#"451-1["upload",{"_placeholder":true,"num":0}]"#);
    ann.send_raw("bAAAA");
    assert_eq!(ann.ack(1).await["code"], "invalid_payload");
    ann.send_raw("422[7,1]");
    assert_eq!(ann.ack(2).await["event"], "7");
    ann.send_raw(r#"423["a\u0062"]"#);
    let asked = ann.ack(3).await;
    assert_eq!((&asked["event"], &asked["args"]), (&json!("ab"), &json!([])));
}

#[tokio::test]
async fn a_socket_that_was_acknowledged_is_in_its_rooms_and_the_others_have_been_told() {
    let backend = Backend::start(|asked| {
        Reply::Json(json!({
            "join": ["lobby", "cart.1"],
            "emit": [
                { "to": { "rooms": ["lobby"], "except": [asked["socketId"]] }, "event": "came", "data": 1 },
                { "to": { "room": asked["socketId"] }, "event": "welcome", "data": { "to": "you" } },
                { "to": { "room": "cart.1" }, "event": "all", "data": 2, "volatile": true },
            ],
            "ack": ["done"],
        }))
    })
    .await;
    let app = start(&backend, &["*"]).await;
    let mut bob = app.user("bob").await;
    assert_eq!(bob.emit_ack("enter", 1).await, "done");
    let mut ann = app.user("ann").await;
    let mut second = app.user("ann").await;
    ann.said();
    let id = ann.emit_with_ack("enter", 1);
    assert_eq!(ann.ack(id).await, "done");
    let said = ann.said();
    let place = |what: &str| said.find(what).unwrap_or_else(|| panic!("{what} is not in {said}"));
    assert!(
        place("[\"all\",2]") < place("431[") && place("[\"welcome\"") < place("431["),
        "{said}"
    );
    assert!(!said.contains("came"), "{said}");
    assert_eq!(bob.expect("came").await, 1);
    assert_eq!(app.emit_to_room("lobby", "news", json!(1)).await, 2);
    // Her other socket has asked for nothing.
    second.expect_nothing().await;
    // What was for one socket alone is not kept anywhere.
    let own = backend.asked()[1].json()["socketId"].as_str().unwrap().to_owned();
    let kept = "SELECT COUNT(*) FROM events WHERE stream LIKE";
    assert_eq!(app.count(&format!("{kept} '%{own}%'")).await, 0);
    assert_eq!(app.count(&format!("{kept} '%lobby%'")).await, 3);
}

#[tokio::test]
async fn a_backend_has_sockets_leave_its_rooms_and_they_stay_in_others() {
    let backend = Backend::start(|asked| Reply::Json(asked["args"][0].clone())).await;
    let app = start(&backend, &["*"]).await;
    let mut ann = app.user_with("ann", &["admin"], Options::websocket()).await;
    let rooms = async |ann: &mut crate::support::Person| {
        ann.emit_ack("ask", json!({})).await;
        backend.asked().last().unwrap().json()["rooms"].clone()
    };
    ann.emit_ack("ask", json!({ "join": ["lobby", "den"] })).await;
    ann.emit_ack("ask", json!({ "leave": ["lobby", "nowhere"] })).await;
    let now = rooms(&mut ann).await;
    let own = backend.asked()[0].json()["socketId"].clone();
    assert_eq!(now, json!(["user-ann", "admins", own, "den"]));
    for theirs in [json!("user-ann"), json!("admins"), own.clone()] {
        assert_unavailable(&ann.emit_ack("ask", json!({ "leave": ["den", theirs] })).await);
    }
    assert_eq!(rooms(&mut ann).await, json!(["user-ann", "admins", own, "den"]));
}

#[tokio::test]
async fn a_room_that_this_server_keeps_is_not_the_backends_to_open() {
    let backend = Backend::start(|asked| Reply::Json(asked["args"][0].clone())).await;
    let app = start(&backend, &["*"]).await;
    let group = app.person("ann").group(&["bob"]).await;
    let mut eve = app.user_with("eve", &["user"], Options::websocket()).await;
    for room in [
        format!("conversation:{group}"),
        format!("chat-{group}"),
        "user-ann".into(),
        "sellers".into(),
    ] {
        let answer = json!({ "join": ["lobby", room], "ack": ["in"] });
        assert_unavailable(&eve.emit_ack("ask", answer).await);
        assert_eq!(app.emit_to_room(&room, "news", json!(1)).await, 0, "{room}");
        assert_eq!(app.emit_to_room("lobby", "news", json!(1)).await, 0, "all of it or nothing");
    }
    // Where she has a right of her own, and where nothing is known here.
    let answer = json!({ "join": ["user-eve", "conversation:theirs", "request-theirs"] });
    assert_eq!(eve.emit_ack("ask", answer).await["success"], true);
    assert_eq!(app.emit_to_room("conversation:theirs", "news", json!(1)).await, 1);
    let counted = app.get("/api/metrics").await.ok();
    let refused = r#"stoa_proxy_answers_refused_total{part="join"}"#;
    assert!(counted.as_str().unwrap().contains(refused), "{counted}");
}

#[tokio::test]
async fn who_was_let_in_by_the_backend_stays_under_a_newer_token() {
    let backend = Backend::start(|asked| Reply::Json(asked["args"][0].clone())).await;
    let app = start(&backend, &["*"]).await;
    let ann = app.person_with("ann", json!({ "rooms": ["conversation:hers"] }));
    let mut ann = ann.connect().await;
    ann.join("conversation:join", "hers").await;
    ann.emit_ack("ask", json!({ "join": ["lobby"] })).await;
    let newer = json!({ "token": app.token("ann", &[]) });
    let refreshed = ann.emit_ack("auth:refresh", newer).await;
    assert_eq!(refreshed["leftRooms"], json!(["conversation:hers"]));
    assert_eq!(app.emit_to_room("lobby", "news", json!(1)).await, 1);
    // What it has given a service takes back.
    let path = "/api/rooms/lobby/members/ann";
    let taken =
        app.request(reqwest::Method::DELETE, path, Some(crate::support::app::API_KEY), None);
    assert_eq!(taken.await.status, 204);
    assert_eq!(app.emit_to_room("lobby", "news", json!(1)).await, 0);
}

#[tokio::test]
async fn events_of_a_connection_are_answered_in_the_order_in_which_they_came() {
    let gated = |asked: &Value| match asked["event"].as_str() {
        Some("slow") => Reply::Gated(Box::new(answer_the_first(asked))),
        _ => answer_the_first(asked),
    };
    let backend = Backend::start(gated).await;
    let app = start(&backend, &["*"]).await;
    let mut ann = app.user("ann").await;
    let mut bob = app.user("bob").await;
    let slow = ann.emit_with_ack("slow", 1);
    let others: Vec<_> = (2..=9)
        .map(|number| {
            let known = number % 2 == 0;
            if known {
                ann.emit_with_ack("join-user-room", "ann")
            } else {
                ann.emit_with_ack("quick", number)
            }
        })
        .collect();
    backend.until_asked(1).await;
    // Nobody else waits for it.
    assert_eq!(bob.emit_ack("quick", "mine").await, "mine");
    ann.expect_nothing().await;
    assert_eq!(backend.asked().len(), 2, "hers that came later have not been asked");
    backend.let_go(1);
    for wanted in [slow].into_iter().chain(others) {
        assert_eq!(ann.next_ack().await.0, wanted);
    }
    let asked: Vec<_> =
        backend.asked().iter().map(|asked| asked.json()["args"][0].clone()).collect();
    assert_eq!(asked, [json!(1), json!("mine"), json!(3), json!(5), json!(7), json!(9)]);
}

#[tokio::test]
async fn a_socket_that_has_not_said_whose_it_is_is_nobody() {
    let backend = Backend::start(echo).await;
    let app =
        start_with(&backend, &["*"], |config| config.auth.handshake = Handshake::Trusting).await;
    let mut stranger = app.connect(Options::websocket()).await.unwrap();
    let asked = stranger.emit_ack("add user", "ann").await;
    assert_eq!(
        (&asked["userId"], &asked["roles"], &asked["claims"]),
        (&Value::Null, &json!([]), &json!({}))
    );
    stranger.emit_ack("join-user-room", "ann").await;
    assert_eq!(stranger.emit_ack("add user", "ann").await["userId"], "ann");
}

#[tokio::test]
async fn who_asks_too_fast_is_not_asked_for() {
    let backend = Backend::start(echo).await;
    let app = start_with(&backend, &["*"], |config| {
        config.limits.other.per_second = 1;
        config.limits.other.burst = 2;
    })
    .await;
    let mut ann = app.user("ann").await;
    let ids: Vec<_> = (0..20).map(|number| ann.emit_with_ack("hello", number)).collect();
    let mut refused = 0;
    for id in ids {
        refused += usize::from(ann.ack(id).await["code"] == "rate_limited");
    }
    assert!(refused > 10, "{refused}");
    assert_eq!(backend.asked().len(), 20 - refused);
}

#[tokio::test]
async fn who_is_in_as_many_rooms_as_may_be_is_asked_for_and_its_own_room_is_none_of_them() {
    let backend = Backend::start(|asked| Reply::Json(asked["args"][0].clone())).await;
    let app = start_with(&backend, &["*"], |config| {
        config.realtime.max_rooms_per_connection = 3;
        config.rooms.policy = RoomPolicy::Open;
    })
    .await;
    let mut ann = app.user("ann").await;
    ann.join("join-request-room", "r1").await;
    ann.join("join-request-room", "r2").await;
    assert_eq!(ann.emit_ack("ask", json!({ "ack": ["heard"] })).await, "heard");
    let own = backend.asked()[0].json()["socketId"].as_str().unwrap().to_owned();
    assert_eq!(app.emit_to_room(&own, "news", json!(1)).await, 1);
    ann.emit_ack("leave-request-room", "r1").await;
    ann.join("join-request-room", "r3").await;
    let full = ann.emit_ack("join-request-room", "r4").await;
    assert_eq!(full["code"], "conflict", "{full}");
}

#[tokio::test]
async fn an_answer_whose_emits_are_too_much_is_not_done_at_all() {
    let backend = Backend::start(|asked| Reply::Json(asked["args"][0].clone())).await;
    // What one answer may be is more than that.
    let app = start_with(&backend, &["*"], |config| {
        config.database.max_unit_event_bytes = 350_000;
    })
    .await;
    let mut ann = app.user("ann").await;
    assert_eq!(ann.emit_ack("ask", json!({ "join": ["den"], "ack": [1] })).await, 1);
    backend.answer(|_| {
        let emit =
            json!({ "to": { "room": "lobby" }, "event": "news", "data": "x".repeat(100_000) });
        Reply::Json(json!({
            "join": ["lobby"], "leave": ["den"], "emit": [emit, emit, emit, emit], "ack": [1],
        }))
    });
    assert_unavailable(&ann.emit_ack("ask", json!({})).await);
    assert_eq!(app.emit_to_room("lobby", "news", json!(1)).await, 0);
    assert_eq!(app.emit_to_room("den", "news", json!(1)).await, 1);
    let counted = app.get("/api/metrics").await.ok();
    let refused = r#"stoa_proxy_answers_refused_total{part="emit"}"#;
    assert!(counted.as_str().unwrap().contains(refused), "{counted}");
}
