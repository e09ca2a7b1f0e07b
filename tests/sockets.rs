//! Sockets as operators see them over REST, and what they do about them.

use reqwest::Method;
use serde_json::{Value, json};
use stoa::config::RoomPolicy;

use crate::support::{Options, TestApp, eventually};

/// Where rooms that are not known here are everyone's.
async fn open() -> TestApp {
    TestApp::with(|config| config.rooms.policy = RoomPolicy::Open).await
}

/// Whose sockets the server tells of, the latest first.
async fn users(app: &TestApp, query: &str) -> Vec<String> {
    let page = app.get(&format!("/api/sockets{query}")).await.ok();
    let items = page["items"].as_array().expect("items").clone();
    items.iter().map(|socket| socket["userId"].as_str().expect("a user").to_owned()).collect()
}

async fn socket_of(app: &TestApp, user: &str) -> Value {
    app.get(&format!("/api/sockets?user={user}")).await.ok()["items"][0].clone()
}

#[tokio::test]
async fn sockets_are_told_of_the_latest_first_with_whose_they_are_and_where() {
    let app = open().await;
    let mut alice = app.user_with("alice", &["buyer"], Options::websocket()).await;
    alice.join("conversation:join", "night").await;
    let _bob = app.user_with("bob", &[], Options::polling()).await;
    let _carol = app.user_with("carol", &[], Options::websocket().namespace("/chat")).await;
    assert_eq!(users(&app, "").await, ["carol", "bob", "alice"]);

    let told = socket_of(&app, "alice").await;
    assert_eq!(told["roles"], json!(["buyer"]));
    assert_eq!(told["namespace"], "/");
    assert_eq!(told["transport"], "websocket");
    assert_eq!(told["protocol"], 4);
    assert_eq!(told["address"], "127.0.0.1");
    let rooms = told["rooms"].as_array().expect("rooms");
    assert!(rooms.contains(&json!("conversation:night")), "{told}");
    assert!(rooms.contains(&json!("user-alice")), "{told}");
    assert!(!rooms.contains(&told["id"]), "{told}");
    assert_eq!(told["roomCount"], rooms.len());
    let since = told["since"].as_str().expect("since");

    for (query, expected) in [
        ("?user=ali", &["alice"][..]),
        ("?transport=polling", &["bob"]),
        ("?namespace=/chat", &["carol"]),
        ("?address=127.0.", &["carol", "bob", "alice"]),
        ("?address=10.", &[]),
        ("?protocol=3", &[]),
        ("?room=conversation:night", &["alice"]),
        (&format!("?since={since}"), &["carol", "bob", "alice"]),
        ("?since=2100-01-01T00:00:00.000Z", &[]),
        ("?user=ali&transport=polling", &[]),
    ] {
        assert_eq!(users(&app, query).await, expected, "{query}");
    }
    // What no socket can be is said, and is no empty list.
    for (query, detail) in [
        ("?transport=websockets", "transport: is one of websocket, polling"),
        ("?namespace=chat", "namespace: not the path of a namespace"),
        ("?protocol=300", "protocol: is too large a number"),
        ("?protocol=-4", "protocol: is no whole number, or less than may be"),
    ] {
        let answer = app.get(&format!("/api/sockets{query}")).await;
        assert_eq!(answer.problem(422), "invalid_payload");
        assert_eq!(answer.body["detail"], detail, "{query}");
    }
}

#[tokio::test]
async fn a_list_of_sockets_has_pages() {
    let app = TestApp::start().await;
    let mut people = Vec::new();
    for user in ["a", "b", "c", "d", "e"] {
        people.push(app.user(user).await);
    }
    let (mut seen, mut query) = (Vec::new(), "?limit=2".to_owned());
    loop {
        let page = app.get(&format!("/api/sockets{query}")).await.ok();
        let items = page["items"].as_array().expect("items").clone();
        seen.extend(
            items.iter().map(|socket| socket["userId"].as_str().expect("a user").to_owned()),
        );
        let Some(next) = page["nextCursor"].as_str() else { break };
        query = format!("?limit=2&cursor={next}");
    }
    assert_eq!(seen, ["e", "d", "c", "b", "a"]);
}

#[tokio::test]
async fn one_socket_is_closed_and_the_users_others_stay() {
    let app = TestApp::start().await;
    let first = app.user("alice").await;
    let mut second = app.user("alice").await;
    let told = socket_of(&app, "alice").await;
    let path = format!("/api/sockets/{}/disconnect", told["id"].as_str().expect("an id"));
    assert_eq!(app.post(&path, json!({})).await.ok(), json!({ "disconnected": 1 }));
    assert_eq!(second.expect("session:closing").await["reason"], "disconnected");
    eventually(async || (users(&app, "").await == ["alice"]).then_some(())).await;
    assert_eq!(app.post(&path, json!({})).await.ok(), json!({ "disconnected": 0 }));
    drop(first);
}

#[tokio::test]
async fn a_socket_is_put_out_of_a_room_and_may_come_back() {
    let app = open().await;
    let mut alice = app.user("alice").await;
    alice.join("conversation:join", "night").await;
    let id = socket_of(&app, "alice").await["id"].as_str().expect("an id").to_owned();
    let admin = app.person_as("olga", &["admin"]);
    let path = format!("/api/sockets/{id}/rooms/conversation:night");
    assert_eq!(admin.delete(&path).await.status, 204);
    assert_eq!(app.emit_to_room("conversation:night", "news", json!(1)).await, 0);
    alice.join("conversation:join", "night").await;
    assert_eq!(app.emit_to_room("conversation:night", "news", json!(1)).await, 1);
    for own in ["user-alice", "admins", &id] {
        let path = format!("/api/sockets/{id}/rooms/{own}");
        assert_eq!(admin.delete(&path).await.problem(409), "conflict");
    }
}

#[tokio::test]
async fn rooms_are_listed_by_size_and_without_those_of_users() {
    let app = open().await;
    let mut people = Vec::new();
    for (user, rooms) in [("a", &["x", "y", "z"][..]), ("b", &["x", "z"]), ("c", &["z"])] {
        let mut person = app.user(user).await;
        for room in rooms {
            person.join("conversation:join", room).await;
        }
        people.push(person);
    }
    let names = async |query: &str| {
        let page = app.get(&format!("/api/rooms{query}")).await.ok();
        let items = page["items"].as_array().expect("items").clone();
        let name =
            |room: &Value| format!("{}={}", room["room"].as_str().expect("a name"), room["users"]);
        items.iter().map(name).collect::<Vec<_>>()
    };
    let by_size = ["conversation:z=3", "conversation:x=2", "conversation:y=1"];
    assert_eq!(names("?order=size&users=false").await, by_size);
    assert_eq!(names("?order=size&users=false&limit=1").await, by_size[..1]);
    assert_eq!(names("?order=size").await.len(), 6);
    let by_name = ["conversation:x=2", "conversation:y=1", "conversation:z=3"];
    assert_eq!(names("?users=false").await, by_name);
    assert_eq!(names("").await.len(), 6);
    app.get("/api/rooms?order=size&prefix=conv").await.invalid("/order");
}

#[tokio::test]
async fn they_are_for_operators() {
    let app = TestApp::start().await;
    let alice = app.user("alice").await;
    let id = socket_of(&app, "alice").await["id"].as_str().expect("an id").to_owned();
    for (method, path) in [
        (Method::GET, "/api/sockets".to_owned()),
        (Method::POST, format!("/api/sockets/{id}/disconnect")),
        (Method::DELETE, format!("/api/sockets/{id}/rooms/lobby")),
    ] {
        assert_eq!(alice.call(method, &path, None).await.status, 403, "{path}");
    }
}
