//! What the official Admin UI of Socket.IO is told in `/admin`, and what an operator does with it
//! (docs/operating.md#the-admin-ui).

use std::collections::BTreeSet;

use serde_json::{Value, json};
use stoa::config::{Config, Environment};

use crate::support::{Client, Options, TestApp};

const ADMIN: &str = "/admin";
const PASSWORD: &str = "changeit";
const INVALID: &str = "invalid credentials";

/// The hash of the password, of the least cost.
const HASH: &str = "$2b$04$oPF3IuoJlBRcqjQ7bJRI0.FzLhuXhSCHC5yW7K1vhEBm0CILVdSPm";

fn watched(config: &mut Config) {
    config.admin_ui.user = Some("admin".to_owned());
    config.admin_ui.hash = Some(HASH.into());
}

fn showing(auth: Value) -> Options {
    Options::websocket().namespace(ADMIN).auth(auth)
}

fn credentials() -> Value {
    json!({ "username": "admin", "password": PASSWORD })
}

/// An operator's socket, and the sockets that it was told of.
async fn operator(app: &TestApp) -> (Client, Vec<Value>) {
    let mut operator = app.connect(showing(credentials())).await.expect("an operator");
    let sockets = operator.expect("all_sockets").await;
    (operator, sockets.as_array().expect("a list").clone())
}

/// The next such event, all of its arguments.
async fn told(operator: &mut Client, event: &str) -> Vec<Value> {
    operator.expect_args(ADMIN, event).await
}

/// The next such event of a socket, whose id is the argument at this place.
async fn told_of(operator: &mut Client, event: &str, at: usize, id: &str) -> Vec<Value> {
    loop {
        let arguments = told(operator, event).await;
        if arguments[at] == id {
            return arguments;
        }
    }
}

/// Does something, and awaits the answer.
async fn act(operator: &mut Client, id: u64, event: Value) -> Value {
    operator.send_raw(format!("42{ADMIN},{id}{event}"));
    operator.ack(id).await
}

/// The id by which a socket is known, of a user who has one.
async fn id_of(operator: &mut Client, user: &str) -> String {
    loop {
        let socket = told(operator, "socket_connected").await.swap_remove(0);
        if socket["data"]["userId"] == user {
            return socket["id"].as_str().expect("an id").to_owned();
        }
    }
}

fn strings(texts: [&str; 2]) -> BTreeSet<String> {
    texts.into_iter().map(|text| json!(text).to_string()).collect()
}

#[tokio::test]
async fn there_is_no_such_namespace_where_nobody_set_it_up() {
    let app = TestApp::start().await;
    for options in [Options::websocket(), Options::polling(), Options::upgrade()] {
        let options = options.namespace(ADMIN);
        let token = app.token("root", &["admin"]);
        for shown in [options.clone().auth(credentials()), options.token(&token)] {
            assert_eq!(app.refusal(shown).await, "Invalid namespace");
        }
    }
}

#[tokio::test]
async fn the_password_lets_an_operator_in_and_nothing_else_does() {
    let app = TestApp::with(watched).await;
    let admin = app.token("root", &["admin"]);
    for options in [Options::websocket(), Options::polling(), Options::upgrade()] {
        let options = options.namespace(ADMIN);
        for auth in [
            Value::Null,
            json!({ "token": admin }),
            json!({ "username": "admin", "password": "changeit!" }),
            json!({ "sessionId": "ecc8bb32aae3a01e" }),
        ] {
            assert_eq!(app.refusal(options.clone().auth(auth)).await, INVALID);
        }
        let bearer = format!("Bearer {admin}");
        assert_eq!(app.refusal(options.clone().header("authorization", &bearer)).await, INVALID);
        let mut operator = app.connect(options.auth(credentials())).await.unwrap();
        let session = told(&mut operator, "session").await;
        let config = told(&mut operator, "config").await.swap_remove(0);
        let features = config["supportedFeatures"].as_array().unwrap().clone();
        for feature in ["EMIT", "MDISCONNECT", "AGGREGATED_EVENTS", "ALL_EVENTS"] {
            assert!(features.contains(&feature.into()), "{features:?}");
        }
        let again = showing(json!({ "sessionId": session[0] }));
        let mut again = app.connect(again).await.unwrap();
        told(&mut again, "server_stats").await;
        assert!(!again.unread_events().contains("session"), "it has one");
    }
}

#[tokio::test]
async fn passwords_are_tried_a_few_times_and_a_session_holds_meanwhile() {
    let app = TestApp::with(|config| {
        watched(config);
        config.limits.logins.burst = 3;
        config.limits.logins.per_minute = 1;
    })
    .await;
    let mut operator = app.connect(showing(credentials())).await.unwrap();
    let session = told(&mut operator, "session").await.swap_remove(0);
    let wrong = || showing(json!({ "username": "admin", "password": "x" }));
    assert_eq!(app.refusal(wrong()).await, INVALID);
    assert_eq!(app.refusal(wrong()).await, INVALID);
    let too_many = "Too many passwords were tried; try again in a minute.";
    assert_eq!(app.refusal(wrong()).await, too_many);
    assert_eq!(app.refusal(showing(credentials())).await, too_many, "the right one, too");
    app.connect(showing(json!({ "sessionId": session }))).await.unwrap();
}

#[tokio::test]
async fn a_session_lasts_over_a_restart() {
    let app = TestApp::with(watched).await;
    let mut operator = app.connect(showing(credentials())).await.unwrap();
    let session = told(&mut operator, "session").await.swap_remove(0);
    drop(operator);
    let app = app.restart().await;
    app.connect(showing(json!({ "sessionId": session }))).await.unwrap();
}

#[tokio::test]
async fn an_operator_sees_every_socket_and_no_secret() {
    let app = TestApp::with(watched).await;
    let token = app.token("ann", &["buyer"]);
    let cookie = format!("token={token}");
    let ann = Options::polling().header("cookie", &cookie).query("token", &token);
    let mut ann = app.connect(ann).await.unwrap();
    ann.emit_ack("join-buyer-room", "ann").await;
    let _bob = app.user("bob").await;
    let (mut operator, sockets) = operator(&app).await;
    let one = |user: &str| {
        let found = sockets.iter().find(|socket| socket["data"]["userId"] == user);
        found.unwrap_or_else(|| panic!("{user} is not in {sockets:?}"))
    };
    let (ann, bob) = (one("ann"), one("bob"));
    assert_eq!((&ann["nsp"], &ann["transport"]), (&json!("/"), &json!("polling")));
    assert_eq!(bob["transport"], "websocket");
    assert_ne!(ann["clientId"], bob["clientId"]);
    assert_eq!(ann["clientId"].as_str().unwrap().len(), 12);
    assert_eq!(ann["data"]["roles"], json!(["buyer"]));
    assert_eq!(ann["handshake"]["address"], "127.0.0.1");
    assert!(ann["handshake"]["issued"].as_i64().unwrap() > 1_700_000_000_000);
    let rooms: BTreeSet<_> =
        ann["rooms"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let own = ann["id"].as_str().unwrap();
    assert_eq!(rooms, BTreeSet::from([own, "buyer-ann", "buyers", "user-ann"]));
    let own: Vec<_> = sockets.iter().filter(|socket| socket["nsp"] == ADMIN).collect();
    assert_eq!(own.len(), 1, "the operator, too");
    let shown = json!(sockets).to_string();
    assert!(!shown.contains(&token) && !shown.contains("cookie"), "{shown}");
    let stats = told(&mut operator, "server_stats").await.swap_remove(0);
    assert_eq!((&stats["clientsCount"], &stats["pollingClientsCount"]), (&json!(3), &json!(1)));
    let sizes = json!([
        { "name": "/", "socketsCount": 2 }, { "name": "/chat", "socketsCount": 0 },
        { "name": "/marketplace", "socketsCount": 0 }, { "name": ADMIN, "socketsCount": 1 },
    ]);
    assert_eq!(stats["namespaces"], sizes);
    let stats = told(&mut operator, "server_stats").await.swap_remove(0);
    let counted = stats["aggregatedEvents"].as_array().unwrap();
    assert!(counted.iter().any(|it| it["type"] == "bytesOut"), "{counted:?}");
}

#[tokio::test]
async fn what_happens_to_sockets_is_told_as_it_happens() {
    let app = TestApp::with(watched).await;
    let (mut operator, _) = operator(&app).await;
    let mut ann = app.connect(Options::upgrade().token(&app.token("ann", &[]))).await.unwrap();
    let id = id_of(&mut operator, "ann").await;
    let updated = told(&mut operator, "socket_updated").await;
    assert_eq!(updated, [json!({ "id": id, "nsp": "/", "transport": "websocket" })]);
    ann.emit_ack("join-buyer-room", "ann").await;
    let joined = told_of(&mut operator, "room_joined", 2, &id).await;
    assert_eq!((&joined[0], joined.len()), (&json!("/"), 4));
    let heard = told_of(&mut operator, "event_received", 1, &id).await;
    assert_eq!(heard[2], json!(["join-buyer-room", "ann"]));
    app.emit_to_room("buyer-ann", "told", json!({ "password": "hush", "text": "hello" })).await;
    let sent = told_of(&mut operator, "event_sent", 1, &id).await;
    assert_eq!(sent[2], json!(["told", { "password": "***", "text": "hello" }]));
    let token = app.token("ann", &["seller"]);
    ann.emit_ack("auth:refresh", json!({ "token": token })).await;
    let heard = told_of(&mut operator, "event_received", 1, &id).await;
    assert_eq!(heard[2], json!(["auth:refresh"]), "its token is not told");
    let updated = told(&mut operator, "socket_updated").await.swap_remove(0);
    assert_eq!(updated["data"]["roles"], json!(["seller"]));
    ann.emit_ack("leave-buyer-room", "ann").await;
    let left = [told(&mut operator, "room_left").await, told(&mut operator, "room_left").await];
    assert_eq!(
        BTreeSet::from(left.map(|left| left[1].to_string())),
        strings(["buyer-ann", "buyers"])
    );
    ann.close().await;
    let end = told_of(&mut operator, "socket_disconnected", 1, &id).await;
    assert_eq!(end[2], "client namespace disconnect");
    let left = [told(&mut operator, "room_left").await, told(&mut operator, "room_left").await];
    assert_eq!(BTreeSet::from(left.map(|left| left[1].to_string())), strings(["user-ann", &id]));
}

#[tokio::test]
async fn in_production_nothing_is_told_of_single_sockets() {
    let app = TestApp::with(|config| {
        watched(config);
        config.environment = Environment::Production;
    })
    .await;
    let mut operator = app.connect(showing(credentials())).await.unwrap();
    let config = told(&mut operator, "config").await.swap_remove(0);
    assert!(!config["supportedFeatures"].as_array().unwrap().contains(&"ALL_EVENTS".into()));
    let mut ann = app.user("ann").await;
    ann.emit_ack("join-buyer-room", "ann").await;
    let stats = async |operator: &mut Client| told(operator, "server_stats").await.swap_remove(0);
    while stats(&mut operator).await["namespaces"][0]["socketsCount"] != 1 {}
    stats(&mut operator).await;
    assert_eq!(operator.unread_events(), BTreeSet::from(["session".to_owned()]));
    let done = act(&mut operator, 1, json!(["_disconnect", "/", false, "user-ann"])).await;
    assert_eq!(done["sockets"], 1);
    ann.closed().await;
}

#[tokio::test]
async fn an_operator_sends_events_and_has_sockets_enter_and_leave_rooms() {
    let app = TestApp::with(watched).await;
    let (mut operator, _) = operator(&app).await;
    let (mut ann, mut bob) = (app.user("ann").await, app.user("bob").await);
    let id = id_of(&mut operator, "ann").await;
    let done = act(&mut operator, 1, json!(["emit", "/", null, "hello", 1, { "a": "b" }])).await;
    assert_eq!(done, json!({ "success": true, "sockets": 2 }));
    for client in [&mut ann, &mut bob] {
        assert_eq!(client.expect_args("/", "hello").await[..2], [json!(1), json!({ "a": "b" })]);
    }
    act(&mut operator, 2, json!(["emit", "/", id, "just.ann"])).await;
    ann.expect("just.ann").await;
    act(&mut operator, 3, json!(["join", "/", "ops.alerts", id])).await;
    assert_eq!(app.emit_to_room("ops.alerts", "alert", json!(1)).await, 1);
    ann.expect("alert").await;
    assert_eq!(act(&mut operator, 4, json!(["join", "/", "ops.alerts"])).await["sockets"], 2);
    assert_eq!(app.emit_to_room("ops.alerts", "alert", json!(2)).await, 2);
    bob.expect("alert").await;
    let left = act(&mut operator, 5, json!(["leave", "/", "ops.alerts", "user-bob"])).await;
    assert_eq!(left["sockets"], 1);
    let left = act(&mut operator, 6, json!(["leave", "/", "ops.alerts"])).await;
    assert_eq!(left["sockets"], 1, "everybody else");
    assert_eq!(app.emit_to_room("ops.alerts", "alert", json!(3)).await, 0);
    let left = act(&mut operator, 7, json!(["leave", "/", "user-ann"])).await;
    assert_eq!(left["sockets"], 0, "by their own rooms users are found");
    assert_eq!(bob.queued("just.ann"), [] as [Value; 0]);
}

#[tokio::test]
async fn an_operator_disconnects_sockets_who_may_come_back() {
    let app = TestApp::with(watched).await;
    let (mut operator, _) = operator(&app).await;
    let (mut ann, mut bob) = (app.user("ann").await, app.user("bob").await);
    let id = id_of(&mut operator, "ann").await;
    assert_eq!(act(&mut operator, 1, json!(["_disconnect", "/", false, id])).await["sockets"], 1);
    assert_eq!(ann.expect("session:closing").await["reason"], "disconnected");
    ann.closed().await;
    let end = told_of(&mut operator, "socket_disconnected", 1, &id).await;
    assert_eq!(end[2], "server namespace disconnect");
    app.user("ann").await;
    bob.join_namespace("/chat", &json!({ "token": app.token("bob", &[]) })).await.unwrap();
    let all = act(&mut operator, 2, json!(["_disconnect", "/", true])).await;
    assert!(all["sockets"].as_u64().unwrap() >= 2, "with what shares a transport: {all}");
    bob.closed().await;
    let own = act(&mut operator, 3, json!(["_disconnect", "/chat", true, "sellers"])).await;
    assert_eq!(own["sockets"], 0);
}

#[tokio::test]
async fn what_the_admin_ui_does_not_ask_is_refused() {
    let app = TestApp::with(watched).await;
    let (mut operator, _) = operator(&app).await;
    for (id, (event, code)) in [
        (json!(["message:send", {}]), "unknown_event"),
        (json!(["emit"]), "invalid_payload"),
        (json!(["emit", "/nowhere", null, "x"]), "invalid_payload"),
        (json!(["emit", "/", null]), "invalid_payload"),
        (json!(["emit", "/", null, "connect"]), "invalid_payload"),
        (json!(["emit", "/", { "a": 1 }, "x"]), "invalid_payload"),
        (json!(["emit", "/", "a room", "x"]), "invalid_payload"),
        (json!(["emit", "/admin", null, "session", "x"]), "forbidden"),
        (json!(["join", "/admin", "admins"]), "forbidden"),
        (json!(["join", "/"]), "invalid_payload"),
        (json!(["_disconnect"]), "invalid_payload"),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = act(&mut operator, id as u64, event.clone()).await;
        assert_eq!(answer["code"], code, "{event}");
    }
    // Whose socket is no operator's asks nothing of this, in whatever namespace.
    let mut ann = app.user_with("ann", &["admin"], Options::websocket()).await;
    ann.send_raw(r#"42/admin,7["_disconnect","/",true]"#);
    let answer = ann.emit_ack("_disconnect", json!(["/", true])).await;
    assert_eq!(answer["code"], "unknown_event");
}
