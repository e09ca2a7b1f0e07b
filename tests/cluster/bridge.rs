//! What the emitters of other backends publish in Redis: heard once by the sockets of every node, and kept
//! once, whoever takes it (docs/bridge.md). `tests/js` and `tests/python` have the emitters themselves.

use std::ops::Range;

use rand::Rng as _;
use serde_json::{Value, json};
use sqlx::{Connection as _, Executor as _, PgConnection};
use stoa::config::Config;

use super::{Common, soft::PRESENCE};
use crate::support::{
    Client, DEADLINE, Options, Person, TestApp, chance, eventually, redis::Redis, within,
};

impl Common {
    /// A node that hears emitters.
    pub(super) async fn bridged(&self, change: impl Fn(&mut Config)) -> TestApp {
        let node = TestApp::with(|config| {
            self.set(config);
            config.bridge.enabled = true;
            change(config);
        });
        let node = Box::pin(node).await;
        node.joined().await;
        node
    }

    async fn two_bridged(&self) -> [TestApp; 2] {
        [self.bridged(|_| {}).await, self.bridged(|_| {}).await]
    }
}

/// As Node's emitter writes it.
pub(super) fn node_emit(redis: &Redis, to: &Value, data: &Value) {
    let namespace = to["nsp"].as_str().unwrap_or("/");
    let packet = json!({ "type": 2, "data": data, "nsp": namespace });
    let list = |name: &str| to[name].as_array().cloned().unwrap_or_default();
    let (rooms, except) = (list("rooms"), list("except"));
    let room = match rooms.as_slice() {
        [room] => format!("{}#", room.as_str().expect("a room")),
        _ => String::new(),
    };
    let flags = to.get("flags").cloned().unwrap_or_else(|| json!({}));
    let options = json!({ "rooms": rooms, "flags": flags, "except": except });
    let message = msgpack(&json!(["emitter", packet, options]));
    redis.publish(&format!("socket.io#{namespace}#{room}"), &message);
}

fn msgpack(json: &Value) -> Vec<u8> {
    fn value(json: &Value) -> rmpv::Value {
        match json {
            Value::Null => rmpv::Value::Nil,
            Value::Bool(is_true) => (*is_true).into(),
            Value::Number(number) => number.as_u64().expect("a whole number").into(),
            Value::String(text) => text.as_str().into(),
            Value::Array(items) => items.iter().map(value).collect(),
            Value::Object(fields) => rmpv::Value::Map(
                fields.iter().map(|(key, field)| (key.as_str().into(), value(field))).collect(),
            ),
        }
    }
    let mut bytes = Vec::new();
    rmpv::encode::write_value(&mut bytes, &value(json)).expect("bytes");
    bytes
}

/// As Node's emitter asks it.
fn node_request(redis: &Redis, request: &Value) {
    redis.publish("socket.io-request#/#", request.to_string().as_bytes());
}

/// As Python's manager writes it.
fn python(redis: &Redis, method: &str, fields: Value) {
    redis.publish("socketio", python_message(method, fields).as_bytes());
}

fn python_message(method: &str, fields: Value) -> String {
    let mut message = json!({
        "method": method, "namespace": "/", "room": null, "skip_sid": null, "callback": null,
        "binary": false, "host_id": "a1b2"
    });
    let Value::Object(fields) = fields else { panic!("fields") };
    message.as_object_mut().expect("fields").extend(fields);
    message.to_string()
}

/// What somebody has heard by now and no test has taken, presence apart.
async fn heard(person: &mut Person) -> Vec<String> {
    let mut events = person.heard().await;
    events.retain(|event| !PRESENCE.contains(&event.as_str()));
    events.into_iter().collect()
}

/// What comes of an event to somebody before the end.
async fn heard_until_end(person: &mut Person, event: &str) -> Vec<Value> {
    person.expect("end").await;
    person.queued(event)
}

#[tokio::test]
async fn what_emitters_publish_is_heard_once_on_every_node_and_kept_once() {
    let common = Common::new().await;
    let [here, there] = common.two_bridged().await;
    let mut people = [here.user("ann").await, there.user("bob").await];
    for n in 0..30 {
        // The same bytes again and again, and others in between.
        node_emit(&common.redis, &json!({}), &json!(["tick", { "a": 1 }]));
        python(&common.redis, "emit", json!({ "event": "tick", "data": [{ "a": 1 }] }));
        node_emit(&common.redis, &json!({}), &json!(["number", n]));
    }
    python(&common.redis, "emit", json!({ "event": "end", "data": [null] }));
    for person in &mut people {
        assert_eq!(heard_until_end(person, "tick").await, vec![json!({ "a": 1 }); 60]);
        let numbers: Vec<_> = (0..30).map(Value::from).collect();
        assert_eq!(person.queued("number"), numbers);
        assert_eq!(heard(person).await, [""; 0]);
    }
    assert_eq!(here.count("SELECT COUNT(*) FROM events WHERE stream = 'global'").await, 91);
}

#[tokio::test]
async fn nodes_may_come_and_go_while_the_same_is_published_again_and_again() {
    let common = Common::new().await;
    let first = common.bridged(|_| {}).await;
    let mut ann = first.user("ann").await;
    let publish = async |times: usize| {
        for _ in 0..times {
            python(&common.redis, "emit", json!({ "event": "tick", "data": [1] }));
            tokio::task::yield_now().await;
        }
    };
    let mut published = 0;
    for _ in 0..3 {
        let join = common.bridged(|_| {});
        let (second, ()) = tokio::join!(join, publish(100));
        publish(50).await;
        // It has taken some; what it has is done before it ends.
        tokio::join!(second.shutdown(DEADLINE), publish(100));
        published += 250;
    }
    python(&common.redis, "emit", json!({ "event": "end", "data": [1] }));
    assert_eq!(heard_until_end(&mut ann, "tick").await.len(), published);
    let kept = first.count("SELECT COUNT(*) FROM events WHERE stream = 'global'").await;
    assert_eq!(usize::try_from(kept), Ok(published + 1));
}

/// Whose turn it is, and of which claim.
const TURN: &str = "stoa:{p}:turn";

impl Common {
    /// Until nodes have asked twenty more times whose turn it is.
    async fn asked_in_vain(&self) {
        let asked = || {
            let said: String = self.redis.ask(&["INFO", "commandstats"]);
            let said = said.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
            let calls = said.and_then(|said| said.split(',').next()).map(str::parse::<u32>);
            calls.expect("scripts").expect("a number")
        };
        let enough = asked() + 20;
        let is_enough = async || (asked() >= enough).then_some(());
        within("nodes to ask again and again", eventually(is_enough)).await;
    }
}

#[tokio::test]
async fn a_node_leaves_alone_what_comes_after_what_another_does() {
    let common = Common::new().await;
    let node = common.bridged(|_| {}).await;
    let mut ann = node.user("ann").await;
    let redis = &common.redis;
    redis.ask::<()>(&["SET", TURN, "another 1"]);
    python(redis, "emit", json!({ "event": "later", "data": [1] }));
    common.asked_in_vain().await;
    assert_eq!(heard(&mut ann).await, [""; 0]);
    redis.ask::<()>(&["SET", TURN, "another 2", "PX", "1"]);
    ann.expect("later").await;
    let is_over = async || redis.ask::<Option<String>>(&["GET", TURN]).is_none().then_some(());
    within("its turn to end", eventually(is_over)).await;
}

#[tokio::test]
async fn it_is_the_turn_of_a_node_until_all_is_done_and_the_order_is_kept() {
    let common = Common::new().await;
    let [here, there] = common.two_bridged().await;
    let mut people = [here.user("ann").await, there.user("bob").await];
    let turn =
        || common.redis.ask::<Option<String>>(&["GET", TURN]).filter(|turn| !turn.is_empty());
    let mut other = PgConnection::connect(&common.database).await.expect("a connection");
    let mut holds = other.begin().await.expect("a transaction");
    holds.execute("LOCK TABLE events IN EXCLUSIVE MODE").await.expect("a lock");
    let publish = |numbers: Range<i32>| {
        let mut together = redis::pipe();
        for n in numbers {
            let message = python_message("emit", json!({ "event": "number", "data": [n] }));
            together.cmd("PUBLISH").arg("socketio").arg(message);
        }
        together.exec(&mut common.redis.connection()).expect("an answer");
    };
    publish(0..1);
    let first = within("a turn", eventually(async || turn())).await;
    // More than it takes at a time: the other node has something to ask for.
    publish(1..400);
    common.asked_in_vain().await;
    let node = |turn: &str| turn.split(' ').next().expect("a node").to_owned();
    assert_eq!(turn().as_deref().map(node), Some(node(&first)));
    holds.rollback().await.expect("the end of the lock");
    python(&common.redis, "emit", json!({ "event": "end", "data": [1] }));
    for person in &mut people {
        let numbers: Vec<_> = (0..400).map(Value::from).collect();
        assert_eq!(heard_until_end(person, "number").await, numbers);
    }
}

#[tokio::test]
async fn what_a_node_takes_while_it_stops_is_kept() {
    let common = Common::new().await;
    let node = common.bridged(|_| {}).await;
    // Redis tells of the message, and answers nobody who would change something for a while.
    let message = python_message("emit", json!({ "event": "last", "data": [1] }));
    let mut both = redis::pipe();
    both.cmd("PUBLISH").arg("socketio").arg(message);
    both.cmd("CLIENT").arg("PAUSE").arg(1000).arg("WRITE");
    both.exec(&mut common.redis.connection()).expect("an answer");
    let is_asked = async || {
        let clients: String = common.redis.ask(&["INFO", "clients"]);
        clients.contains("\nblocked_clients:1").then_some(())
    };
    within("the node to claim it", eventually(is_asked)).await;
    node.shutdown(DEADLINE).await;

    let next = common.bridged(|_| {}).await;
    let kept = "SELECT COUNT(*) FROM events WHERE stream = 'global'";
    assert_eq!(next.count(kept).await, 1);
}

#[tokio::test]
async fn rooms_exceptions_namespaces_and_volatile_are_what_they_are_over_rest() {
    let common = Common::new().await;
    let [here, there] = common.two_bridged().await;
    let redis = &common.redis;
    let mut ann = here.user("ann").await;
    let client = Client::open(there.address(), Options::websocket()).await;
    let mut client = client.expect("a transport");
    let auth = json!({ "token": there.token("bob", &[]) });
    let connected = client.join_namespace("/", &auth).await.expect("a socket");
    let mut bob = there.person("bob").on(client);
    let mut cat = there.user_with("cat", &[], Options::websocket().namespace("/chat")).await;

    node_emit(redis, &json!({ "rooms": ["user-bob"] }), &json!(["to bob", 1, [2], "3"]));
    node_emit(
        redis,
        &json!({ "rooms": ["user-ann", "user-bob"], "except": ["user-bob"] }),
        &json!(["to ann"]),
    );
    node_emit(redis, &json!({ "except": ["user-ann"] }), &json!(["but ann", 1]));
    node_emit(redis, &json!({ "nsp": "/chat" }), &json!(["in chat", 1]));
    node_emit(redis, &json!({ "flags": { "volatile": true } }), &json!(["soft", 1]));
    python(redis, "emit", json!({ "event": "but bob", "data": [1], "skip_sid": connected["sid"] }));
    python(redis, "emit", json!({ "event": "to one", "data": [1], "room": connected["sid"] }));
    python(redis, "emit", json!({ "event": "end", "data": [1] }));
    python(redis, "emit", json!({ "event": "end", "data": [1], "namespace": "/chat" }));

    assert_eq!(bob.expect_args("/", "to bob").await, [json!(1), json!([2]), json!("3")]);
    assert_eq!(ann.expect_args("/", "to ann").await, [json!(null); 0]);
    for (person, expected) in
        [(&mut ann, &["but bob", "soft"][..]), (&mut bob, &["but ann", "soft", "to one"])]
    {
        person.expect("end").await;
        for event in expected {
            // What is not kept may come later from another node.
            if person.queued(event).is_empty() {
                person.expect(event).await;
            }
        }
        assert_eq!(heard(person).await, [""; 0]);
    }
    cat.expect_in("/chat", "in chat").await;
    cat.expect_in("/chat", "end").await;
    assert!(cat.unread_events().iter().all(|event| event.starts_with("user")));
    let soft = "SELECT COUNT(*) FROM events WHERE wire LIKE '%\"soft\"%'";
    assert_eq!(here.count(soft).await, 0);
}

#[tokio::test]
async fn what_is_not_allowed_or_can_not_be_read_is_passed_over_and_the_rest_goes_on() {
    let common = Common::new().await;
    let node = common.bridged(|config| {
        config.bridge.namespaces = vec!["/".to_owned()];
        config.bridge.events = ["news", "end", "cart:*"].map(str::to_owned).into();
        config.bridge.commands = false;
    });
    let node = node.await;
    let mut ann = node.user_with("ann", &[], Options::websocket()).await;
    let redis = &common.redis;
    let mut chance = chance();
    for round in 0..50 {
        node_emit(redis, &json!({}), &json!(["secret", 1]));
        node_emit(redis, &json!({}), &json!(["disconnect", 1]));
        node_emit(redis, &json!({ "nsp": "/chat" }), &json!(["news", 1]));
        node_emit(redis, &json!({ "nsp": "/elsewhere" }), &json!(["news", 1]));
        node_emit(redis, &json!({ "rooms": ["a room"] }), &json!(["news", 1]));
        node_request(redis, &json!({ "type": 4, "opts": { "rooms": [], "except": [] } }));
        python(redis, "emit", json!({ "event": "secret", "data": [1] }));
        python(redis, "fly", json!({}));
        let bytes: Vec<u8> = (0..chance.random_range(0..60)).map(|_| chance.random()).collect();
        for channel in ["socket.io#/#", "socket.io#", "socket.io-request#/#", "socketio"] {
            redis.publish(channel, &bytes);
        }
        node_emit(redis, &json!({}), &json!(["cart:add", round]));
    }
    python(redis, "emit", json!({ "event": "end", "data": [1] }));
    let rounds: Vec<_> = (0..50).map(Value::from).collect();
    assert_eq!(heard_until_end(&mut ann, "cart:add").await, rounds);
    assert_eq!(heard(&mut ann).await, [""; 0]);
    let metrics = node.get("/metrics").await.body;
    let metrics = metrics.as_str().expect("a text");
    for (emitter, outcome) in
        [("node", "sent"), ("node", "refused"), ("node", "unreadable"), ("python", "refused")]
    {
        let line =
            format!("stoa_bridge_messages_total{{emitter=\"{emitter}\",outcome=\"{outcome}\"}} ");
        assert!(metrics.contains(&line), "{line} is not in {metrics}");
    }
}

#[tokio::test]
async fn sockets_of_every_node_join_leave_and_are_closed_in_the_order_of_what_is_sent() {
    let common = Common::new().await;
    let [here, there] = common.two_bridged().await;
    let redis = &common.redis;
    let mut people = [here.user("ann").await, there.user("bob").await];
    let mut other = there.user("cat").await;
    let both = json!({ "rooms": ["user-ann", "user-bob"], "except": [] });
    node_request(redis, &json!({ "type": 2, "opts": both, "rooms": ["vip"] }));
    node_emit(redis, &json!({ "rooms": ["vip"] }), &json!(["for vips", 1]));
    node_request(redis, &json!({ "type": 3, "opts": both, "rooms": ["vip", "user-ann"] }));
    node_emit(redis, &json!({ "rooms": ["vip"] }), &json!(["for nobody", 1]));
    // Of a conversation that is kept here it is not a backend's to say who may enter.
    let talk = here.person("cat").group(&["dan"]).await;
    let room = format!("conversation:{talk}");
    node_request(redis, &json!({ "type": 2, "opts": both, "rooms": [room] }));
    node_emit(redis, &json!({ "rooms": [room] }), &json!(["secret", 1]));
    node_emit(redis, &both, &json!(["bye", 1]));
    node_request(redis, &json!({ "type": 4, "opts": both, "close": true }));
    for person in &mut people {
        person.expect("bye").await;
        assert_eq!(person.queued("for vips"), [1]);
        person.closed().await;
        let unread = person.unread_events();
        assert!(!unread.contains("for nobody") && !unread.contains("secret"), "{unread:?}");
    }
    python(redis, "emit", json!({ "event": "end", "data": [1] }));
    other.expect("end").await;
    assert!(other.queued("for vips").is_empty());
}

#[tokio::test]
async fn redis_may_go_and_come_back_and_one_node_may_be_alone() {
    let mut common = Common::with(Redis::absent()).await;
    let alone = TestApp::on_sqlite(|config| {
        config.cluster.redis_url = Some(common.redis.url().into());
        config.bridge.enabled = true;
    });
    let alone = alone.await;
    let mut ann = alone.user("ann").await;
    for round in 0..3 {
        common.redis.resume();
        alone.joined().await;
        node_emit(&common.redis, &json!({}), &json!(["round", round]));
        assert_eq!(ann.expect("round").await, round);
        common.redis.stop();
        alone.parted().await;
    }
    assert_eq!(heard(&mut ann).await, [""; 0]);
}

#[tokio::test]
async fn it_is_off_unless_it_is_turned_on() {
    let common = Common::new().await;
    let [here, _there] = common.two().await;
    let mut ann = here.user("ann").await;
    assert_eq!(common.redis.ask::<i64>(&["PUBSUB", "NUMPAT"]), 0);
    assert_eq!(common.redis.publish("socketio", b"{}"), 0);
    assert_eq!(heard(&mut ann).await, [""; 0]);
    // A node that has it on sends to all.
    let bridged = common.bridged(|_| {}).await;
    python(&common.redis, "emit", json!({ "event": "news", "data": [1] }));
    assert_eq!(ann.expect("news").await, 1);
    let patterns =
        eventually(async || (common.redis.ask::<i64>(&["PUBSUB", "NUMPAT"]) == 3).then_some(()));
    within("the patterns", patterns).await;
    drop(bridged);
}
