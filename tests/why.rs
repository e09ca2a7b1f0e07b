//! Whether somebody heard an event, and why or why not (docs/contract/rest.md#operations): right for whoever
//! was there, away, put out, left out, or too slow.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    Client, Options, TestApp, app::API_KEY, eventually, postgres::Postgres, within,
};

/// Emits to a room; the event's id.
async fn sent(app: &TestApp, to: Value) -> String {
    let body = json!({ "to": to, "event": "news", "data": 1 });
    let answer = app.post("/api/emit", body).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.body["id"].as_str().expect("an id").to_owned()
}

async fn ask(app: &TestApp, user: &str, event: &str) -> Value {
    app.get(&format!("/api/why?user={user}&event={event}")).await.ok()
}

/// Asks until that is known, which is noted soon after it was so.
async fn becomes(app: &TestApp, user: &str, event: &str, verdict: &str) -> Value {
    let mut last = Value::Null;
    let ask = async || {
        last = ask(app, user, event).await;
        (last["verdict"] == verdict).then(|| last.clone())
    };
    within(verdict, eventually(ask)).await
}

async fn grant(app: &TestApp, method: Method, user: &str) {
    let path = format!("/api/rooms/conversation:x1/members/{user}");
    assert_eq!(app.request(method, &path, Some(API_KEY), None).await.status, 204);
}

fn room() -> Value {
    json!({ "room": "conversation:x1" })
}

#[tokio::test]
async fn who_was_in_the_room_was_written_to_and_an_outsider_was_not() {
    let app = TestApp::start().await;
    grant(&app, Method::PUT, "ann").await;
    let (mut ann, _bob) = (app.user("ann").await, app.user("bob").await);
    ann.join("conversation:join", "x1").await;
    let event = sent(&app, room()).await;
    ann.expect("news").await;
    let why = ask(&app, "ann", &event).await;
    assert_eq!((&why["verdict"], &why["complete"]), (&json!("written"), &json!(true)), "{why}");
    assert_eq!(why["event"]["streams"], json!([{ "stream": "conversation/x1", "seq": 1 }]));
    assert_eq!(why["event"]["sent"][0]["rooms"], json!(["conversation:x1"]));
    assert_eq!(why["sockets"].as_array().map(Vec::len), Some(1), "{why}");
    let position = why["event"]["position"].to_string();
    for name in [position.as_str(), "conversation/x1:1"] {
        assert_eq!(ask(&app, "ann", name).await["event"], why["event"], "{name}");
    }

    let why = ask(&app, "bob", &event).await;
    assert_eq!((&why["verdict"], &why["mayEnter"]), (&json!("outside"), &json!(false)), "{why}");
    assert_eq!(ask(&app, "nobody", &event).await["verdict"], "offline");
}

#[tokio::test]
async fn who_was_put_out_or_left_is_told_from_who_never_was_there() {
    let app = TestApp::start().await;
    for user in ["ann", "bob"] {
        grant(&app, Method::PUT, user).await;
    }
    let (mut ann, mut bob) = (app.user("ann").await, app.user("bob").await);
    for user in [&mut ann, &mut bob] {
        user.join("conversation:join", "x1").await;
    }
    let before = sent(&app, room()).await;
    grant(&app, Method::DELETE, "ann").await;
    assert_eq!(bob.emit_ack("conversation:leave", "x1").await["success"], true);
    let event = sent(&app, room()).await;
    let why = becomes(&app, "ann", &event, "evicted").await;
    assert!(why["says"].as_str().is_some_and(|says| says.contains("taken out")), "{why}");
    becomes(&app, "bob", &event, "left").await;
    assert_eq!(ask(&app, "ann", &before).await["verdict"], "written", "it was there then");
}

#[tokio::test]
async fn who_is_left_out_is_told_so() {
    let app = TestApp::start().await;
    let mut ann = app.user("ann").await;
    grant(&app, Method::PUT, "ann").await;
    ann.join("conversation:join", "x1").await;
    let event = sent(&app, json!({ "rooms": ["conversation:x1"], "except": ["user-ann"] })).await;
    assert_eq!(ask(&app, "ann", &event).await["verdict"], "excluded");
}

#[tokio::test]
async fn who_was_away_fetches_it_by_its_number() {
    let app = TestApp::start().await;
    grant(&app, Method::PUT, "ann").await;
    let mut ann = app.user("ann").await;
    ann.join("conversation:join", "x1").await;
    ann.close().await;
    eventually(async || (sent_to(&app).await == 0).then_some(())).await;
    let event = sent(&app, room()).await;
    let why = becomes(&app, "ann", &event, "offline").await;
    let number = why["event"]["streams"][0]["seq"].as_i64().expect("a number");
    let mut ann = app.user("ann").await;
    let since = json!({ "conversationId": "x1", "since": number - 1 });
    assert_eq!(ann.emit_ack("conversation:join", since).await["replayed"], 1);
    let why = becomes(&app, "ann", &event, "replayed").await;
    assert!(why["says"].as_str().is_some_and(|says| says.contains("since")), "{why}");
}

/// To how many a volatile event goes, of which nothing is kept.
async fn sent_to(app: &TestApp) -> u64 {
    let body = json!({ "to": room(), "event": "tick", "volatile": true });
    app.post("/api/emit", body).await.body["sockets"].as_u64().expect("a number")
}

/// A client of the current library, which is told offsets, with what CONNECT answered.
async fn browser(app: &TestApp, with: Value) -> (Client, Value) {
    let options = Options::websocket().header("sec-websocket-extensions", "permessage-deflate");
    let mut client = Client::open(app.address(), options).await.expect("a websocket");
    let mut auth = json!({ "token": app.token("ann", &[]) });
    auth.as_object_mut().expect("an object").extend(with.as_object().cloned().unwrap_or_default());
    let answer = client.join_namespace("/", &auth).await.expect("CONNECT's answer");
    (client, answer)
}

#[tokio::test]
async fn who_comes_back_was_sent_it_then_and_shows_what_it_heard() {
    let url = Postgres::shared().database().await;
    let node = async |url: &str| {
        let url = url.to_owned();
        TestApp::with(move |config| config.database.url = Some(url.into())).await
    };
    let (one, other) = (node(&url).await, node(&url).await);
    let to = json!({ "user": "ann" });
    let (mut ann, at_first) = browser(&one, json!({})).await;
    let first = sent(&one, to.clone()).await;
    let offset = within("news", ann.expect_args("/", "news")).await[1].clone();
    ann.abort().await;
    let waits = async || {
        let missed = sent(&other, to.clone()).await;
        (ask(&other, "ann", &missed).await["verdict"] == "waits").then_some(missed)
    };
    let missed = eventually(waits).await;
    let pid = at_first["pid"].clone();
    let (mut ann, _) = browser(&other, json!({ "pid": pid, "offset": offset })).await;
    within("what was missed", ann.expect_args("/", "news")).await;
    let why = becomes(&one, "ann", &missed, "recovered").await;
    assert_eq!(why["sockets"][0]["id"], at_first["sid"], "{why}");
    becomes(&other, "ann", &first, "heard").await;
}

#[tokio::test]
async fn who_was_too_slow_is_told_so() {
    let app = TestApp::with(|config| {
        config.limits.enabled = false;
        config.realtime.max_pending_bytes = 10_000;
    })
    .await;
    let options = Options::websocket().receive_buffer(4096);
    let mut ann = app.user_with("ann", &[], options).await;
    ann.stop_reading();
    let body = json!({ "to": { "user": "ann" }, "event": "big", "data": "x".repeat(200_000) });
    let mut last = String::new();
    eventually(async || {
        let answer = app.post("/api/emit", body.clone()).await;
        let is_gone = answer.body["sockets"] == 0;
        if !is_gone {
            last = answer.body["id"].as_str().expect("an id").to_owned();
        }
        is_gone.then_some(())
    })
    .await;
    becomes(&app, "ann", &last, "slow").await;
}

#[tokio::test]
async fn who_was_shut_out_is_told_from_who_was_offline() {
    let app = TestApp::start().await;
    let mut ann = app.user("ann").await;
    let blocked = app.post("/api/users/ann/block", json!({})).await;
    assert!(blocked.status.is_success(), "{blocked:?}");
    ann.closed().await;
    let event = sent(&app, json!({ "user": "ann" })).await;
    becomes(&app, "ann", &event, "shut_out").await;
}

#[tokio::test]
async fn an_event_that_is_not_kept_is_said_to_be_none() {
    let app = TestApp::start().await;
    let id = "0193a5b2-7c4d-7e1f-8a2b-3c4d5e6f7a8b";
    for event in [id, "conversation/x1:7", "42"] {
        let answer = app.get(&format!("/api/why?user=ann&event={event}")).await;
        assert_eq!(answer.problem(404), "event_not_kept", "{event}");
    }
    app.get("/api/why?user=ann&event=news").await.invalid("/event");
    let refused = app.person("ann").get(&format!("/api/why?user=ann&event={id}")).await;
    assert_eq!(refused.problem(403), "forbidden");
}
