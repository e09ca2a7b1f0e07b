//! Grants: whom a backend lets into a room.

use reqwest::Method;
use serde_json::json;

use crate::support::{
    TestApp,
    app::{API_KEY, NARROW_KEY},
};

const JOINS: [(&str, &str); 4] = [
    ("conversation:join", "conversation:x1"),
    ("join-chat-room", "chat-x1"),
    ("join-request-room", "request-x1"),
    ("join-checkout-room", "template-checkout-x1"),
];

async fn change(app: &TestApp, method: Method, room: &str, user: &str) {
    let path = format!("/api/rooms/{room}/members/{user}");
    let answer = app.request(method, &path, Some(API_KEY), None).await;
    assert_eq!(answer.status, 204, "{answer:?}");
}

#[tokio::test]
async fn a_grant_lets_that_user_into_that_room() {
    let app = TestApp::start().await;
    let (mut alice, mut bob) = (app.user("alice").await, app.user("bob").await);
    for (event, room) in JOINS {
        assert!(!alice.may_join(event, "x1").await, "{room}");
        for _ in 0..2 {
            change(&app, Method::PUT, room, "alice").await;
        }
        assert_eq!(app.emit_to_room(room, "news", json!(0)).await, 0, "a right is no entry");
        assert!(alice.may_join(event, "x1").await, "{room}");
        assert!(!alice.may_join(event, "x2").await, "{room}");
        assert!(!bob.may_join(event, "x1").await, "{room}");
        assert_eq!(app.emit_to_room(room, "news", json!(room)).await, 1);
        assert_eq!(alice.expect("news").await, room);
    }
    assert!(!bob.may_join("join-user-room", "alice").await);
    change(&app, Method::PUT, "user-alice", "bob").await;
    assert!(bob.may_join("join-user-room", "alice").await, "a grant is for any room");
}

#[tokio::test]
async fn a_grant_survives_a_restart() {
    let app = TestApp::start().await;
    change(&app, Method::PUT, "conversation:x1", "alice").await;
    let app = app.restart().await;
    let mut alice = app.user("alice").await;
    assert!(alice.may_join("conversation:join", "x1").await);
}

#[tokio::test]
async fn taking_a_grant_back_takes_the_sockets_out() {
    let app = TestApp::start().await;
    for user in ["alice", "bob"] {
        change(&app, Method::PUT, "conversation:x1", user).await;
    }
    let mut users = [app.user("alice").await, app.user("alice").await, app.user("bob").await];
    for user in &mut users {
        assert!(user.may_join("conversation:join", "x1").await);
    }
    for _ in 0..2 {
        change(&app, Method::DELETE, "conversation:x1", "alice").await;
    }
    assert_eq!(app.emit_to_room("conversation:x1", "news", json!(1)).await, 1);
    let [alice, tab, bob] = &mut users;
    assert_eq!(bob.expect("news").await, 1);
    for user in [alice, tab] {
        user.expect_nothing().await;
        assert!(!user.may_join("conversation:join", "x1").await);
    }
}

#[tokio::test]
async fn nobody_is_taken_out_of_their_own_room() {
    let app = TestApp::start().await;
    let mut alice = app.user("alice").await;
    change(&app, Method::DELETE, "user-alice", "alice").await;
    assert_eq!(app.emit_to_room("user-alice", "news", json!(1)).await, 1);
    alice.expect("news").await;
}

#[tokio::test]
async fn only_services_and_admins_grant() {
    let app = TestApp::start().await;
    let path = "/api/rooms/conversation:x1/members/alice";
    for method in [Method::PUT, Method::DELETE] {
        let ask = |key| app.request(method.clone(), path, key, None);
        assert_eq!(ask(None).await.problem(401), "token_missing");
        assert_eq!(ask(Some(NARROW_KEY)).await.problem(403), "forbidden");
        let http = crate::support::http_client();
        for (roles, status) in
            [(&[][..], 403), (&["seller"], 403), (&["service"], 204), (&["admin"], 204)]
        {
            let request = http.request(method.clone(), format!("http://{}{path}", app.address()));
            let request = request.bearer_auth(app.token("someone", roles));
            assert_eq!(request.send().await.unwrap().status(), status, "{method} {roles:?}");
        }
    }
    for bad in ["/api/rooms/a%20room/members/alice", "/api/rooms/x/members/a%20user"] {
        let answer = app.request(Method::PUT, bad, Some(API_KEY), None).await;
        assert_eq!(answer.problem(422), "invalid_payload", "{bad}");
    }
}
