//! What a socket hears follows who it is: before it has said so, with each new token, and when a
//! right is taken back.

use reqwest::Method;
use serde_json::{Value, json};
use stoa::config::{Handshake, RoomPolicy};

use crate::support::{Client, Options, Person, TestApp, app::API_KEY};

const TRANSPORTS: [fn() -> Options; 3] = [Options::websocket, Options::polling, Options::upgrade];

/// Joins rooms, each of which it may enter.
async fn join(user: &mut Person, joins: &[(&str, &str)]) {
    for (event, id) in joins {
        user.join(event, id).await;
    }
}

async fn refresh(app: &TestApp, user: &mut Person, claims: Value) -> Value {
    let token = app.token_with(&user.id, claims);
    user.emit_ack("auth:refresh", json!({ "token": token })).await
}

/// How many sockets are in a room.
async fn heads(app: &TestApp, room: &str) -> u64 {
    app.emit_to_room(room, "news", json!(room)).await
}

async fn grant(app: &TestApp, method: Method, room: &str, user: &str) {
    let path = format!("/api/rooms/{room}/members/{user}");
    let answer = app.request(method, &path, Some(API_KEY), None).await;
    assert_eq!(answer.status, 204, "{answer:?}");
}

#[tokio::test]
async fn a_socket_leaves_what_its_new_token_may_not_enter_and_is_told_which() {
    let app = TestApp::start().await;
    grant(&app, Method::PUT, "request-g", "alice").await;
    let shared = app.person("alice").group(&["bob"]).await;
    let chat = format!("chat-{shared}");
    let theirs = app.person("bob").group(&["cat"]).await;
    let conversation = format!("conversation:{theirs}");
    let seller = &[("join-seller-room", "alice")][..];
    let claims = json!({ "rooms": ["chat-x1", "chat-x2"] });
    for (before, joins, after, left, stay) in [
        (
            json!({ "role": "admin" }),
            &[
                ("join-user-room", "bob"),
                ("conversation:join", &theirs),
                ("join-chat-room", &shared),
            ][..],
            json!({ "role": "user" }),
            &["admins", &conversation, "user-bob"][..],
            &["user-alice", &chat][..],
        ),
        (
            json!({ "role": "seller" }),
            seller,
            json!({ "role": "buyer" }),
            &["seller-alice", "sellers"],
            &["user-alice"],
        ),
        (
            json!({}),
            seller,
            json!({ "role": "banned" }),
            &["seller-alice", "sellers"],
            &["user-alice"],
        ),
        (json!({ "role": "seller" }), seller, json!({}), &[], &["seller-alice", "sellers"]),
        (
            claims,
            &[("join-chat-room", "x1"), ("join-chat-room", "x2"), ("join-request-room", "g")],
            json!({ "rooms": ["chat-x2"] }),
            &["chat-x1"],
            &["chat-x2", "request-g"],
        ),
    ] {
        for options in TRANSPORTS {
            let mut alice = app.person_with("alice", before.clone()).connect_by(options()).await;
            join(&mut alice, joins).await;
            for room in left.iter().chain(stay) {
                assert_eq!(heads(&app, room).await, 1, "{before} → {after}: {room} before");
                alice.expect("news").await;
            }
            let ack = refresh(&app, &mut alice, after.clone()).await;
            assert_eq!((&ack["success"], &ack["leftRooms"]), (&json!(true), &json!(left)), "{ack}");
            for room in left {
                assert_eq!(heads(&app, room).await, 0, "{before} → {after}: {room}");
            }
            for room in stay {
                assert_eq!(heads(&app, room).await, 1, "{before} → {after}: {room}");
                assert_eq!(alice.expect("news").await, *room);
            }
            alice.expect_nothing().await;
            alice.close().await;
            app.until_offline("alice", crate::support::DEADLINE).await;
        }
    }
}

#[tokio::test]
async fn a_token_that_makes_an_admin_is_in_the_admins_room() {
    let app = TestApp::start().await;
    let mut alice = app.person_with("alice", json!({ "role": "user" })).connect().await;
    let ack = refresh(&app, &mut alice, json!({ "role": "admin" })).await;
    assert_eq!(ack["leftRooms"], json!([]), "{ack}");
    assert_eq!(heads(&app, "admins").await, 1);
}

#[tokio::test]
async fn a_refused_refresh_changes_nothing() {
    let app = TestApp::start().await;
    let mut alice = app.person_with("alice", json!({ "role": "seller" })).connect().await;
    join(&mut alice, &[("join-seller-room", "alice")]).await;
    for token in [app.token("bob", &["buyer"]), "nonsense".to_owned()] {
        let ack = alice.emit_ack("auth:refresh", json!({ "token": token })).await;
        assert_eq!(ack["success"], false, "{ack}");
    }
    assert_eq!(heads(&app, "sellers").await, 1);
    alice.expect("news").await;
}

#[tokio::test]
async fn what_is_asked_for_around_a_refresh_counts_by_the_token_of_its_turn() {
    let app = TestApp::start().await;
    for options in TRANSPORTS {
        let mut alice =
            app.person_with("alice", json!({ "role": "admin" })).connect_by(options()).await;
        let token = app.token("alice", &["user"]);
        let before = alice.emit_with_ack("conversation:join", "x1");
        let between = alice.emit_with_ack("auth:refresh", json!({ "token": token }));
        let after = alice.emit_with_ack("conversation:join", "x1");
        assert_eq!(alice.ack(before).await["success"], true);
        assert_eq!(alice.ack(between).await["leftRooms"], json!(["admins", "conversation:x1"]));
        assert_eq!(alice.ack(after).await["code"], "forbidden");
        assert_eq!(heads(&app, "conversation:x1").await, 0);
        alice.expect_nothing().await;
        alice.close().await;
        app.until_offline("alice", crate::support::DEADLINE).await;
    }
}

#[tokio::test]
async fn under_open_policy_a_refresh_leaves_a_socket_where_anyone_may_be() {
    let app = TestApp::with(|config| config.rooms.policy = RoomPolicy::Open).await;
    let mut alice = app.person_with("alice", json!({ "role": "admin" })).connect().await;
    join(&mut alice, &[("join-chat-room", "x1"), ("join-user-room", "bob")]).await;
    let ack = refresh(&app, &mut alice, json!({})).await;
    assert_eq!(ack["leftRooms"], json!(["admins", "user-bob"]), "{ack}");
    assert_eq!(heads(&app, "chat-x1").await, 1);
}

/// What a socket was sent so far, and that it has answered.
async fn heard(client: &mut Client) -> Vec<String> {
    client.emit_ack("no-such-event", json!({})).await;
    client.unread_events().into_iter().collect()
}

#[tokio::test]
async fn who_has_not_said_who_they_are_hears_nothing_that_is_for_everyone() {
    let app = TestApp::with(|config| config.auth.handshake = Handshake::Trusting).await;
    let mut round = 0;
    for options in TRANSPORTS {
        for namespace in ["/", "/marketplace"] {
            round += 1;
            let name = |who: &str| format!("{who}{round}");
            let mut stranger = app.connect(options().namespace(namespace)).await.unwrap();
            let mut old = app.connect(options().protocol(3)).await.unwrap();
            let mut alice = app.user(&name("alice")).await;
            let bob = app.user(&name("bob")).await;
            while alice.expect("user:online").await["userId"] != name("bob") {}
            let (buyer, seller) = (app.buyer("bea"), app.seller("sam"));
            let request = buyer.buys_from(&seller).await;
            buyer.pay(&request).await;
            alice.expect("payment-created").await;
            assert_eq!(app.emit(json!("everyone"), "news", json!(1)).await, 2);
            assert_eq!(heard(&mut stranger).await, [""; 0]);
            assert_eq!(heard(&mut old).await, [""; 0]);

            let joined = stranger.emit_ack("join-user-room", name("zoe")).await;
            assert_eq!(joined["success"], true, "{joined}");
            assert_eq!(app.emit(json!("everyone"), "news", json!(2)).await, 3);
            assert_eq!(stranger.expect("news").await, 2);
            for client in [stranger, old, alice.into_client(), bob.into_client()] {
                client.close().await;
            }
            for who in ["alice", "bob", "zoe"] {
                app.until_offline(&name(who), crate::support::DEADLINE).await;
            }
        }
    }
}

#[tokio::test]
async fn an_eviction_touches_the_sockets_of_that_user_alone() {
    let app = TestApp::start().await;
    let id = app.person("ann").group(&["bob", "cat"]).await;
    grant(&app, Method::PUT, "user-bob", "cat").await;
    let mut root = app.user_with("root", &["admin"], Options::websocket()).await;
    let (mut bob, mut cat) = (app.user("bob").await, app.user("cat").await);
    let both = [("conversation:join", id.as_str()), ("join-chat-room", id.as_str())];
    for user in [&mut root, &mut cat, &mut bob] {
        join(user, &both).await;
        join(user, &[("join-user-room", "bob")]).await;
    }
    let path = format!("/api/conversations/{id}/participants/bob");
    assert_eq!(app.person("ann").delete(&path).await.status, 204);
    for room in [format!("conversation:{id}"), format!("chat-{id}")] {
        assert_eq!(heads(&app, &room).await, 2, "{room}");
        for user in [&mut root, &mut cat] {
            assert_eq!(user.expect("news").await, room.as_str());
        }
    }
    assert_eq!(heads(&app, "user-bob").await, 3);
}

#[tokio::test]
async fn a_seller_who_loses_takes_no_watcher_along() {
    let app = TestApp::start().await;
    let (buyer, sue, sam) = (app.buyer("bea"), app.seller("sue"), app.seller("sam"));
    let request = buyer.request().await;
    sue.offer(&request, "30").await;
    let offer = sam.offer(&request, "20").await;
    let mut root = app.user_with("root", &["admin"], Options::websocket()).await;
    let mut loser = app.user_with("sue", &["seller"], Options::websocket()).await;
    join(&mut root, &[("join-user-room", "sue")]).await;
    for user in [&mut root, &mut loser] {
        join(user, &[("join-request-room", request.as_str())]).await;
    }
    buyer.accept(&offer).await;
    assert_eq!(heads(&app, &format!("request-{request}")).await, 1);
    root.expect("news").await;
}

#[tokio::test]
async fn who_may_enter_a_room_by_another_right_stays_when_one_is_taken_back() {
    let app = TestApp::start().await;
    let id = app.person("ann").group(&["bob", "cat"]).await;
    let room = format!("conversation:{id}");
    grant(&app, Method::PUT, &room, "bob").await;
    grant(&app, Method::PUT, &room, "cat").await;
    grant(&app, Method::PUT, &room, "dan").await;
    let mut dan = [
        app.person_with("dan", json!({ "role": "admin" })).connect().await,
        app.person_with("dan", json!({ "rooms": [room] })).connect().await,
        app.user("dan").await,
    ];
    let mut bob = app.user("bob").await;
    for user in dan.iter_mut().chain([&mut bob]) {
        join(user, &[("conversation:join", id.as_str())]).await;
    }
    // His grant goes; his role and his token stay.
    grant(&app, Method::DELETE, &room, "dan").await;
    assert_eq!(heads(&app, &room).await, 3);
    let [by_role, by_token, by_grant] = &mut dan;
    for user in [by_role, by_token, &mut bob] {
        assert_eq!(user.expect("news").await, room.as_str());
    }
    by_grant.expect_nothing().await;
    // A participant needs no grant, and who has a grant need not be one.
    let mut cat = app.user("cat").await;
    join(&mut cat, &[("conversation:join", id.as_str())]).await;
    grant(&app, Method::DELETE, &room, "cat").await;
    let path = format!("/api/conversations/{id}/participants/bob");
    assert_eq!(app.person("ann").delete(&path).await.status, 204);
    assert_eq!(heads(&app, &room).await, 4);
}

#[tokio::test]
async fn a_grant_that_is_taken_back_ends_what_anyone_might_enter() {
    let app = TestApp::with(|config| config.rooms.policy = RoomPolicy::Open).await;
    grant(&app, Method::PUT, "chat-x1", "alice").await;
    let mut alice = app.user("alice").await;
    join(&mut alice, &[("join-chat-room", "x1")]).await;
    grant(&app, Method::DELETE, "chat-x1", "alice").await;
    assert_eq!(heads(&app, "chat-x1").await, 0);
    alice.expect_nothing().await;
}
