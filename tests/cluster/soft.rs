//! What is not kept: on the sockets of every node as on those of its own.

use serde_json::{Value, json};

use super::Common;
use crate::support::{Client, Options, Person, TestApp};

pub const PRESENCE: [&str; 3] = ["user:online", "user:offline", "user-status-change"];

/// Emits something that is not kept, as a backend at this node.
async fn emit(app: &TestApp, mut emit: Value) -> u64 {
    emit["volatile"] = true.into();
    app.post("/api/emit", emit).await.ok()["sockets"].as_u64().expect("how many sockets")
}

/// What somebody has heard by now, presence apart.
async fn heard(person: &mut Person) -> Vec<String> {
    let mut events = person.heard().await;
    events.retain(|event| !PRESENCE.contains(&event.as_str()));
    events.into_iter().collect()
}

#[tokio::test]
async fn who_types_is_seen_on_every_node_once_and_not_by_themselves() {
    let common = Common::new().await;
    let [here, there] = common.two().await;
    let (mut ann, mut bob) = (here.user("ann").await, there.user("bob").await);
    let (mut tab, mut cat) = (there.user("ann").await, here.user("cat").await);
    let talk = ann.group(&["bob", "cat"]).await;
    for person in [&mut ann, &mut tab, &mut bob, &mut cat] {
        person.join("conversation:join", &talk).await;
        person.join("join-chat-room", &talk).await;
    }
    ann.emit_ack("typing:start", json!({ "conversationId": talk, "userName": "Ann" })).await;
    for person in [&mut bob, &mut cat] {
        let typing = person.expect("typing:start").await;
        assert_eq!(typing, json!({ "userId": "ann", "userName": "Ann", "conversationId": talk }));
        assert_eq!(person.expect("user-typing").await["isTyping"], true);
    }
    ann.emit_ack("typing:stop", json!({ "conversationId": talk })).await;
    // Sent after all of that, on the same way.
    emit(&here, json!({ "to": "everyone", "event": "fence", "data": 1 })).await;
    for person in [&mut bob, &mut cat] {
        assert_eq!(person.expect("typing:stop").await["userId"], "ann");
        assert_eq!(person.expect("user-typing").await["isTyping"], false);
        person.expect("fence").await;
    }
    for person in [&mut ann, &mut tab] {
        person.expect("fence").await;
        let unread = person.unread_events();
        assert!(!unread.iter().any(|event| event.contains("typing")), "{unread:?}");
    }
    for person in [&mut bob, &mut cat] {
        let unread = person.unread_events();
        assert!(!unread.iter().any(|event| event.contains("typing")), "twice: {unread:?}");
    }
}

#[tokio::test]
async fn a_volatile_emit_reaches_whom_it_is_for_on_every_node() {
    let common = Common::new().await;
    let [here, there] = common.two().await;
    let mut ann = here.user("ann").await;
    let client = Client::open(there.address(), Options::websocket()).await;
    let mut client = client.expect("a transport");
    let auth = json!({ "token": there.token("bob", &[]) });
    let connected = client.join_namespace("/", &auth).await.expect("a socket");
    let mut bob = there.person("bob").on(client);
    let mut seller =
        there.user_with("sue", &["seller"], Options::websocket().namespace("/marketplace")).await;
    seller.join("join-seller-room", "sue").await;

    // How many sockets of its own.
    let to_all = json!({ "to": "everyone", "event": "to all", "args": [1, [2], "3"] });
    assert_eq!(emit(&here, to_all).await, 1);
    for person in [&mut ann, &mut bob] {
        assert_eq!(person.expect_args("/", "to all").await, [json!(1), json!([2]), json!("3")]);
    }
    seller.expect_in("/marketplace", "to all").await;
    let but = json!({ "rooms": ["user-ann", "user-bob", "user-sue"], "except": ["sellers"] });
    emit(&here, json!({ "to": but, "event": "but sellers", "data": { "a": 1 } })).await;
    assert_eq!(ann.expect("but sellers").await, json!({ "a": 1 }));
    assert_eq!(bob.expect("but sellers").await, json!({ "a": 1 }));
    let market = json!({
        "to": "everyone", "event": "at the market", "data": null, "namespace": "/marketplace"
    });
    emit(&here, market).await;
    seller.expect_in("/marketplace", "at the market").await;
    let socket = json!({ "room": connected["sid"] });
    assert_eq!(emit(&here, json!({ "to": socket, "event": "to one socket" })).await, 0);
    bob.expect("to one socket").await;

    emit(&here, json!({ "to": "everyone", "event": "fence" })).await;
    for person in [&mut ann, &mut bob] {
        person.expect("fence").await;
        assert_eq!(heard(person).await, [""; 0]);
    }
    seller.expect_in("/marketplace", "fence").await;
    assert!(seller.queued("but sellers").is_empty());
}

#[tokio::test]
async fn what_can_not_be_read_is_passed_over() {
    let common = Common::new().await;
    let node = common.node().await;
    node.joined().await;
    let mut bob = node.user("bob").await;
    let batch = |version: u32, node: &str, items: &[&str]| {
        format!(r#"{{"v":{version},"n":"{node}","b":[{}]}}"#, items.join(","))
    };
    let item = |event: &str| format!(r#"{{"to":"everyone","ns":7,"e":"{event}","d":1}}"#);
    for message in [
        "",
        "{",
        "\u{1}",
        r#"{"v":1}"#,
        &batch(2, "other", &[&item("newer")]),
        &batch(1, "other", &["1", "{}", &item("disconnect"), &item("read")]),
    ] {
        let heard_by: i64 = common.redis.ask(&["PUBLISH", "stoa:soft", message]);
        assert_eq!(heard_by, 1);
    }
    bob.expect("read").await;
    assert_eq!(heard(&mut bob).await, [""; 0]);
}

#[tokio::test]
async fn what_is_kept_is_heard_once_on_every_node_and_wakes_them() {
    let common = Common::new().await;
    let [here, there] = common.two().await;
    let (ann, mut bob) = (here.person("ann"), there.user("bob").await);
    let talk = ann.group(&["bob"]).await;
    bob.join("conversation:join", &talk).await;
    let mut connection = common.redis.connection();
    let mut wakes = connection.as_pubsub();
    wakes.subscribe("stoa:wake").expect("a subscription");
    ann.say(&talk, "hello").await;
    assert_eq!(bob.expect("message:new").await["content"], "hello");
    wakes.set_read_timeout(Some(crate::support::DEADLINE)).expect("a timeout");
    let node: String = wakes.get_message().expect("a wake").get_payload().expect("a node");
    assert_eq!(node.len(), 12);
    assert!(!heard(&mut bob).await.contains(&"message:new".to_owned()), "twice");
}
