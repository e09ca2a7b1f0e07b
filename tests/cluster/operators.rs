//! Operators with the Admin UI, who see and act on all nodes.

use serde_json::{Value, json};

use super::Common;
use crate::support::{Client, Options, TestApp};

const ADMIN: &str = "/admin";

async fn node(common: &Common) -> TestApp {
    let node = Box::pin(TestApp::with(|config| {
        common.set(config);
        config.admin_ui.user = Some("admin".to_owned());
        // Of "changeit".
        let hash = "$2b$04$oPF3IuoJlBRcqjQ7bJRI0.FzLhuXhSCHC5yW7K1vhEBm0CILVdSPm";
        config.admin_ui.hash = Some(hash.into());
    }));
    let node = node.await;
    node.joined().await;
    node
}

/// The next such event about this user's socket, whose document or id is the argument at this place.
async fn told_of(operator: &mut Client, event: &str, is_meant: impl Fn(&[Value]) -> bool) {
    while !is_meant(&operator.expect_args(ADMIN, event).await) {}
}

#[tokio::test]
async fn an_operator_sees_and_acts_on_the_sockets_of_all_nodes() {
    let common = Common::new().await;
    let [here, there] = [node(&common).await, node(&common).await];
    let mut ann = there.user("ann").await;
    let shown = Options::websocket().namespace(ADMIN);
    let shown = shown.auth(json!({ "username": "admin", "password": "changeit" }));
    let mut operator = here.connect(shown.clone()).await.unwrap();
    let session = operator.expect_in(ADMIN, "session").await;
    let is_of = |socket: &Value, user: &str| socket["data"]["userId"] == user;
    let has_ann = |told: &[Value]| {
        told[0].as_array().is_some_and(|all| all.iter().any(|socket| is_of(socket, "ann")))
    };
    told_of(&mut operator, "all_sockets", has_ann).await;

    // It is heard from then on.
    let elsewhere =
        |sockets: u32| move |told: &[Value]| told[0]["namespaces"][0]["socketsCount"] == sockets;
    told_of(&mut operator, "server_stats", elsewhere(1)).await;
    let mut bob = there.user("bob").await;
    told_of(&mut operator, "socket_connected", |told| is_of(&told[0], "bob")).await;
    ann.emit_ack("join-buyer-room", "ann").await;
    told_of(&mut operator, "room_joined", |told| told[1] == "buyer-ann").await;
    told_of(&mut operator, "server_stats", elsewhere(2)).await;

    let mut act = async |id: u64, event: Value| {
        operator.send_raw(format!("42{ADMIN},{id}{event}"));
        operator.ack(id).await
    };
    assert_eq!(act(1, json!(["join", "/", "lobby", "user-ann"])).await["sockets"], 1);
    act(2, json!(["emit", "/", "lobby", "to.lobby", 1])).await;
    ann.expect("to.lobby").await;
    assert_eq!(act(3, json!(["_disconnect", "/", false, "user-bob"])).await["sockets"], 1);
    bob.closed().await;
    told_of(&mut operator, "socket_disconnected", |told| told[2] == "server namespace disconnect")
        .await;

    let again = Options::websocket().namespace(ADMIN).auth(json!({ "sessionId": session }));
    there.connect(again).await.unwrap();
}
