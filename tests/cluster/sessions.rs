//! Who comes back on another node finds the session that the first one kept, which has one owner.

use serde_json::{Value, json};

use super::two_nodes;
use crate::support::{Client, Options, TestApp, within};

/// A client of the current library in a browser, which is told offsets.
fn browser() -> Options {
    Options::websocket().header("sec-websocket-extensions", "permessage-deflate")
}

/// One that connects, or comes back with this; what CONNECT answered.
async fn connect(app: &TestApp, user: &str, with: Value) -> (Client, Value) {
    let mut client = Client::open(app.address(), browser()).await.expect("a websocket");
    let mut auth = json!({ "token": app.token(user, &[]) });
    auth.as_object_mut().expect("an object").extend(with.as_object().cloned().unwrap_or_default());
    let answer = client.join_namespace("/", &auth).await.expect("CONNECT's answer");
    (client, answer)
}

#[tokio::test]
async fn who_comes_back_on_another_node_goes_on_and_the_connection_before_ends() {
    let [one, other] = two_nodes(|_| {}).await;
    let (mut first, at_first) = connect(&one, "ann", json!({})).await;
    let sent = async |app: &TestApp, n: i64| {
        app.emit(json!({ "user": "ann" }), "tick", json!(n)).await;
    };
    sent(&other, 1).await;
    let mut offset = Value::Null;
    let mut heard = async |client: &mut Client, expected: i64| {
        let arguments = within("a tick", client.expect_args("/", "tick")).await;
        assert_eq!(arguments[0], expected);
        offset = arguments[1].clone();
        offset.clone()
    };
    let mut at_other = true;
    let mut last = heard(&mut first, 1).await;
    let (mut connected, pid) = (first, at_first["pid"].clone());
    for n in 2..8 {
        // It is still connected to the other when it comes back.
        let node = if at_other { &other } else { &one };
        sent(node, n).await;
        let (mut again, answer) = connect(node, "ann", json!({ "pid": pid, "offset": last })).await;
        assert_eq!((&answer["pid"], &answer["sid"]), (&pid, &at_first["sid"]), "not recovered");
        within("the earlier one to end", connected.closed()).await;
        // Sent to it or missed: once.
        let came = heard(&mut again, n).await;
        last = came;
        connected = again;
        at_other = !at_other;
    }
    sent(&one, 8).await;
    heard(&mut connected, 8).await;
}

#[tokio::test]
async fn who_missed_more_than_a_stream_keeps_gets_a_new_session() {
    for (kept, missed, is_recovered) in [(20, 40, false), (20, 5, true), (2000, 40, true)] {
        let app = TestApp::with(|config| config.database.event_count = kept).await;
        let (mut first, at_first) = connect(&app, "ann", json!({})).await;
        app.emit(json!({ "user": "ann" }), "tick", json!(0)).await;
        let offset = first.expect_args("/", "tick").await[1].clone();
        first.abort().await;
        for n in 1..=missed {
            app.emit(json!({ "user": "ann" }), "tick", json!(n)).await;
        }
        let back = json!({ "pid": at_first["pid"], "offset": offset });
        let (mut again, answer) = connect(&app, "ann", back).await;
        assert_eq!(answer["pid"] == at_first["pid"], is_recovered, "{kept} {missed}");
        for n in 1..=if is_recovered { missed } else { 0 } {
            assert_eq!(again.expect_args("/", "tick").await[0], n);
        }
    }
}

#[tokio::test]
async fn another_users_session_is_not_given_by_another_node() {
    let [one, other] = two_nodes(|_| {}).await;
    let (_first, at_first) = connect(&one, "ann", json!({})).await;
    let (_thief, answer) = connect(&other, "eve", json!({ "pid": at_first["pid"] })).await;
    assert_ne!(answer["pid"], at_first["pid"]);
    assert_ne!(answer["sid"], at_first["sid"]);
}
