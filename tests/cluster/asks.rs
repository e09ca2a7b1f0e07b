//! What nodes ask each other: rooms and who is in them, counted over all.

use serde_json::{Value, json};
use stoa::config::RoomPolicy;
use tempfile::TempDir;

use super::{Common, presence::signal};
use crate::support::{Client, DEADLINE, Options, TestApp, app::Answer, process::Process};

/// Two nodes where anybody enters any room.
async fn open(common: &Common) -> [TestApp; 2] {
    let node = async || {
        let node = Box::pin(TestApp::with(|config| {
            common.set(config);
            config.rooms.policy = RoomPolicy::Open;
        }));
        let node = node.await;
        node.joined().await;
        node
    };
    [node().await, node().await]
}

#[tokio::test]
async fn rooms_and_members_are_those_of_all_nodes() {
    let common = Common::new().await;
    let [here, there] = open(&common).await;
    let mut people = Vec::new();
    for (node, user, rooms) in [
        (&here, "ann", &["a", "b", "d"][..]),
        (&there, "ann", &["a", "c"]),
        (&there, "bob", &["a", "e"]),
        (&here, "cat", &["a"]),
    ] {
        let mut person = node.user(user).await;
        for room in rooms {
            person.join("conversation:join", room).await;
        }
        people.push(person);
    }
    // Both have to know of each other.
    for node in [&here, &there] {
        let members = "/api/rooms/conversation:a/members";
        let all =
            |answer: &Answer| answer.body["items"].as_array().is_some_and(|items| items.len() == 3);
        node.until(members, DEADLINE, "members of all nodes", all).await;
        let (mut rooms, mut path) =
            (Vec::new(), "/api/rooms?prefix=conversation:&limit=2".to_owned());
        loop {
            let page = node.get(&path).await.ok();
            assert!(page.get("partial").is_none(), "{page}");
            rooms.extend(page["items"].as_array().expect("items").clone());
            let Some(next) = page["nextCursor"].as_str() else { break };
            path = format!("/api/rooms?prefix=conversation:&limit=2&cursor={next}");
        }
        let room = |room: &str, sockets: u32, users: u32| json!({ "room": format!("conversation:{room}"), "sockets": sockets, "users": users });
        let all =
            [room("a", 4, 3), room("b", 1, 1), room("c", 1, 1), room("d", 1, 1), room("e", 1, 1)];
        assert_eq!(rooms, all);
        let member = |user: &str, sockets: u32| json!({ "userId": user, "sockets": sockets });
        let page = node.get(&format!("{members}?limit=2")).await.ok();
        assert_eq!(page["items"], json!([member("ann", 2), member("bob", 1)]));
        let next = page["nextCursor"].as_str().expect("a cursor");
        let page = node.get(&format!("{members}?limit=2&cursor={next}")).await.ok();
        assert_eq!(
            (&page["items"], &page["nextCursor"]),
            (&json!([member("cat", 1)]), &Value::Null)
        );
    }
}

#[tokio::test]
async fn what_is_missing_is_told_where_a_node_is_silent_or_redis_is_away() {
    let mut common = Common::new().await;
    let [here, _there] = open(&common).await;
    let folder = TempDir::new().expect("a folder");
    let url = common.redis.url();
    let variables = [("DATABASE_URL", common.database.as_str()), ("REDIS_URL", &url)];
    let silent = Process::start(folder.path(), &variables).await;
    let ann = Options::websocket().token(&here.token("ann", &[]));
    let _ann = Client::connect(silent.address, ann).await.expect("a socket");
    let _bob = here.user("bob").await;
    let rooms = "/api/rooms?prefix=user-";
    let names = |page: &Value| -> Vec<String> {
        let items = page["items"].as_array().expect("items").iter();
        items.map(|item| item["room"].as_str().expect("a room").to_owned()).collect()
    };
    here.until(rooms, DEADLINE, "the other node", |answer| names(&answer.body).len() == 2).await;
    signal("STOP", silent.id());
    let page = here.get(rooms).await.ok();
    assert_eq!((names(&page), &page["partial"]), (vec!["user-bob".to_owned()], &json!(true)));
    assert_eq!(here.get("/api/nodes").await.ok()["partial"], true);
    signal("CONT", silent.id());
    let whole =
        |answer: &Answer| answer.body.get("partial").is_none() && names(&answer.body).len() == 2;
    here.until(rooms, DEADLINE, "the other node again", whole).await;
    common.redis.stop();
    here.parted().await;
    let page = here.get("/api/rooms/user-bob/members").await.ok();
    let bob = json!([{ "userId": "bob", "sockets": 1 }]);
    assert_eq!((&page["items"], &page["partial"]), (&bob, &json!(true)));
}

#[tokio::test]
async fn sockets_are_those_of_all_nodes_and_closed_wherever_they_are() {
    let common = Common::new().await;
    let [here, there] = open(&common).await;
    let _ann = here.user("ann").await;
    let mut bob = there.user("bob").await;
    bob.join("conversation:join", "x").await;
    let both = |answer: &Answer| answer.body["items"].as_array().is_some_and(|it| it.len() == 2);
    for node in [&here, &there] {
        node.until("/api/sockets", DEADLINE, "sockets of both nodes", both).await;
    }
    let path = "/api/sockets?room=conversation:x";
    let one = |answer: &Answer| answer.body["items"].as_array().is_some_and(|it| it.len() == 1);
    let found = here.until(path, DEADLINE, "a room's socket elsewhere", one).await;
    let id = found.body["items"][0]["id"].as_str().expect("an id").to_owned();
    let largest = here.get("/api/rooms?order=size&users=false").await.ok();
    assert_eq!(largest["items"], json!([{ "room": "conversation:x", "sockets": 1, "users": 1 }]));
    let admin = here.person_as("olga", &["admin"]);
    assert_eq!(admin.delete(&format!("/api/sockets/{id}/rooms/conversation:x")).await.status, 204);
    here.until(path, DEADLINE, "nobody in the room", |answer| answer.body["items"] == json!([]))
        .await;
    let closed = here.post(&format!("/api/sockets/{id}/disconnect"), json!({})).await.ok();
    assert_eq!(closed, json!({ "disconnected": 1 }));
    assert_eq!(bob.expect("session:closing").await["reason"], "disconnected");
}
