//! Who may enter a room: the contract's table, row by row.

use serde_json::{Value, json};
use stoa::config::RoomPolicy;

use crate::support::{Options, Person, TestApp};

const JOINS: [(&str, &str); 4] = [
    ("conversation:join", "conversation:x1"),
    ("join-chat-room", "chat-x1"),
    ("join-request-room", "request-x1"),
    ("join-checkout-room", "template-checkout-x1"),
];

async fn open() -> TestApp {
    TestApp::with(|config| config.rooms.policy = RoomPolicy::Open).await
}

async fn with_role(app: &TestApp, user: &str, role: &str) -> Person {
    let roles: Vec<_> = (!role.is_empty()).then_some(role).into_iter().collect();
    app.user_with(user, &roles, Options::websocket()).await
}

#[tokio::test]
async fn a_users_room_is_for_that_user_and_for_admins() {
    for app in [TestApp::start().await, open().await] {
        for (role, other) in [("", false), ("seller", false), ("user", false), ("admin", true)] {
            let mut alice = with_role(&app, "alice", role).await;
            assert_eq!(alice.emit_ack("join-user-room", "alice").await["success"], true);
            let bob = alice.emit_ack("join-user-room", "bob").await;
            assert_eq!(bob["success"], other, "{role}: {bob}");
        }
    }
}

#[tokio::test]
async fn sellers_and_buyers_enter_their_own_rooms_and_the_common_one() {
    for app in [TestApp::start().await, open().await] {
        for (event, room, own_role, other_role) in [
            ("join-seller-room", "sellers", "seller", "buyer"),
            ("join-buyer-room", "buyers", "buyer", "seller"),
        ] {
            for (role, id, may) in [
                (own_role, "alice", true),
                ("", "alice", true),
                ("admin", "alice", true),
                ("admin", "bob", true),
                (other_role, "alice", false),
                ("user", "alice", false),
                (own_role, "bob", false),
                ("", "bob", false),
            ] {
                let mut alice = with_role(&app, "alice", role).await;
                let ack = alice.emit_ack(event, id).await;
                assert_eq!(ack["success"], may, "{event} {id} as {role:?}: {ack}");
                assert_eq!(app.emit_to_room(room, "news", json!(1)).await, u64::from(may));
                alice.close().await;
                app.until_offline("alice", crate::support::DEADLINE).await;
            }
        }
    }
}

#[tokio::test]
async fn under_strict_policy_nobody_enters_a_room_without_a_right() {
    let app = TestApp::start().await;
    let mut alice = with_role(&app, "alice", "").await;
    let mut admin = with_role(&app, "root", "admin").await;
    for (event, room) in JOINS {
        let ack = alice.emit_ack(event, "x1").await;
        assert_eq!((&ack["success"], &ack["code"]), (&json!(false), &json!("forbidden")), "{ack}");
        assert_eq!(app.emit_to_room(room, "news", json!(1)).await, 0);
        assert_eq!(admin.emit_ack(event, "x1").await["success"], true, "{event}");
        assert_eq!(app.emit_to_room(room, "news", json!(1)).await, 1);
        admin.expect("news").await;
    }
    alice.expect_nothing().await;
}

#[tokio::test]
async fn under_open_policy_anyone_enters_a_room_this_server_has_no_record_of() {
    let app = open().await;
    let mut alice = with_role(&app, "alice", "").await;
    for (event, room) in JOINS {
        assert_eq!(alice.emit_ack(event, "x1").await["success"], true, "{event}");
        assert_eq!(app.emit_to_room(room, "news", json!(room)).await, 1);
        assert_eq!(alice.expect("news").await, room);
    }
}

#[tokio::test]
async fn the_tokens_rooms_claim_is_a_right_to_enter_and_no_entry() {
    let app = TestApp::start().await;
    let rooms: Vec<_> = JOINS.iter().map(|(_, room)| *room).collect();
    let mut alice = app.person_with("alice", json!({ "rooms": rooms })).connect().await;
    for (event, room) in JOINS {
        assert_eq!(app.emit_to_room(room, "news", json!(1)).await, 0, "{room} was entered at once");
        assert_eq!(alice.emit_ack(event, "x1").await["success"], true, "{event}");
        assert_eq!(app.emit_to_room(room, "news", json!(1)).await, 1);
        alice.expect("news").await;
        assert_eq!(alice.emit_ack(event, "x2").await["code"], "forbidden", "{event}");
    }
    alice.expect_nothing().await;
}

#[tokio::test]
async fn a_room_that_exists_and_one_that_does_not_are_refused_in_the_same_words() {
    let app = TestApp::start().await;
    let _bob = app.user("bob").await;
    let mut admin = with_role(&app, "root", "admin").await;
    let mut alice = with_role(&app, "alice", "").await;
    for (event, _) in JOINS {
        assert_eq!(admin.emit_ack(event, "there").await["success"], true);
        let there: Value = alice.emit_ack(event, "there").await;
        assert_eq!(there["success"], false);
        assert_eq!(there, alice.emit_ack(event, "not-there").await, "{event}");
    }
    let there = alice.emit_ack("join-user-room", "bob").await;
    assert_eq!(there, alice.emit_ack("join-user-room", "nobody").await);
}

#[tokio::test]
async fn who_has_left_a_room_hears_no_more_of_it() {
    let app = open().await;
    let mut alice = with_role(&app, "alice", "seller").await;
    for (join, leave, id, room) in [
        ("conversation:join", "conversation:leave", "x1", "conversation:x1"),
        ("join-chat-room", "leave-chat-room", "x1", "chat-x1"),
        ("join-request-room", "leave-request-room", "x1", "request-x1"),
        ("join-checkout-room", "leave-checkout-room", "x1", "template-checkout-x1"),
        ("join-seller-room", "leave-seller-room", "alice", "sellers"),
    ] {
        assert_eq!(alice.emit_ack(join, id).await["success"], true, "{join}");
        assert_eq!(app.emit_to_room(room, "news", json!(1)).await, 1, "{room}");
        alice.expect("news").await;
        assert_eq!(alice.emit_ack(leave, id).await["success"], true, "{leave}");
        assert_eq!(app.emit_to_room(room, "news", json!(1)).await, 0, "{room}");
    }
    alice.expect_nothing().await;
}

#[tokio::test]
async fn a_connection_is_in_a_limited_number_of_rooms() {
    let app = TestApp::with(|config| {
        config.rooms.policy = RoomPolicy::Open;
        config.realtime.max_rooms_per_connection = 10;
    })
    .await;
    let mut alice = app.user("alice").await;
    let mut entered = 0;
    for n in 0..20 {
        let ack = alice.emit_ack("conversation:join", format!("c{n}")).await;
        entered += u32::from(ack["success"] == true);
    }
    assert_eq!(entered, 9, "and the room of their own");
    alice.emit_ack("conversation:leave", "c0").await;
    assert_eq!(alice.emit_ack("conversation:join", "c99").await["success"], true);
}

#[tokio::test]
async fn rooms_are_listed_with_their_sockets_and_users() {
    let app = open().await;
    let (mut alice, mut tab, mut bob) =
        (app.user("alice").await, app.user("alice").await, app.user("bob").await);
    for user in [&mut alice, &mut tab, &mut bob] {
        user.emit_ack("conversation:join", "c1").await;
    }
    let rooms = app.get("/api/rooms").await.ok();
    let items = rooms["items"].as_array().expect("items");
    let room = items.iter().find(|item| item["room"] == "conversation:c1").expect("the room");
    assert_eq!((&room["sockets"], &room["users"]), (&json!(3), &json!(2)), "{rooms}");
}

/// Two rooms are entered by one event: into both, or into none.
#[tokio::test]
async fn a_join_that_fails_leaves_what_it_entered_and_nothing_else() {
    let app = TestApp::with(|config| {
        config.realtime.max_rooms_per_connection = 3;
        config.rooms.policy = RoomPolicy::Open;
    })
    .await;
    let mut sam = app.user_with("sam", &["seller"], Options::websocket()).await;
    sam.join("join-request-room", "r1").await;
    let full = sam.emit_ack("join-seller-room", "sam").await;
    assert_eq!(full["code"], "conflict", "{full}");
    for (room, sockets) in [("seller-sam", 0), ("sellers", 0), ("request-r1", 1), ("user-sam", 1)] {
        assert_eq!(app.emit_to_room(room, "news", json!(1)).await, sockets, "{room}");
    }
}
