//! `GET /api/tail`: what is sent to sockets, as it is sent (docs/contract/rest.md#operations).

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::support::{TestApp, app::API_KEY, eventually, http_client, poll::Poll, within};

/// One who listens.
struct Listener {
    answer: Response,
    unread: String,
}

impl Listener {
    async fn of(app: &TestApp, query: &str) -> Self {
        Self::shows(app, query, ("x-api-key", API_KEY)).await
    }

    async fn shows(app: &TestApp, query: &str, (name, value): (&str, &str)) -> Self {
        let url = format!("http://{}/api/tail?{query}", app.address());
        let answer = http_client().get(url).header(name, value).send().await;
        let answer = answer.expect("an answer");
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Self { answer, unread: String::new() }
    }

    /// The next event's name and data; none when the server has ended the answer.
    async fn next(&mut self) -> Option<(String, Value)> {
        within("an event", async {
            loop {
                if let Some(end) = self.unread.find("\n\n") {
                    let block: String = self.unread.drain(..end + 2).collect();
                    let lines: Vec<_> = block.trim_end().lines().collect();
                    let [name, data] = lines.as_slice() else { continue };
                    let data = data.strip_prefix("data: ").expect("data");
                    let name = name.strip_prefix("event: ").expect("a name");
                    return Some((name.to_owned(), serde_json::from_str(data).expect("JSON")));
                }
                let more = self.answer.chunk().await.expect("no break")?;
                self.unread.push_str(str::from_utf8(&more).expect("text"));
            }
        })
        .await
    }

    async fn sent(&mut self) -> Value {
        let (name, data) = self.next().await.expect("an event");
        assert_eq!(name, "sent", "{data}");
        data
    }
}

async fn emit(app: &TestApp, to: Value, event: &str, data: Value) {
    let answer = app.post("/api/emit", json!({ "to": to, "event": event, "data": data })).await;
    assert_eq!(answer.status, 202, "{answer:?}");
}

#[tokio::test]
async fn what_is_sent_is_told_with_whom_it_is_for_and_where_it_is_kept() {
    let app = TestApp::start().await;
    let mut all = Listener::of(&app, "").await;
    emit(&app, json!({ "user": "ann" }), "news", json!({ "a": 1, "token": "x" })).await;
    let told = all.sent().await;
    assert_eq!((&told["event"], &told["rooms"]), (&json!("news"), &json!(["user-ann"])));
    assert_eq!(told["data"], json!({ "a": 1, "token": "***" }), "no secret is shown");
    assert_eq!(told["streams"], json!(["user/ann:1"]));
    let why = app.get(&format!("/api/why?user=ann&event={}", told["position"])).await.ok();
    assert_eq!(why["event"]["position"], told["position"]);
    emit(&app, json!("everyone"), "long", json!("x".repeat(9000))).await;
    let told = all.sent().await;
    assert_eq!((told.get("rooms"), told.get("data")), (None, None), "for everyone, and too long");
    assert_eq!(told["bytes"], 9002);
    let body = json!({ "to": { "user": "ann" }, "event": "tick", "volatile": true });
    app.post("/api/emit", body).await;
    let told = all.sent().await;
    assert_eq!((told.get("position"), &told["streams"]), (None, &json!([])), "it is not kept");
}

#[tokio::test]
async fn filters_narrow_it_and_a_user_hears_rooms_that_they_are_in() {
    let app = TestApp::start().await;
    let member = "/api/rooms/conversation:x1/members/ann";
    assert_eq!(app.request(Method::PUT, member, Some(API_KEY), None).await.status, 204);
    let mut ann = app.user("ann").await;
    ann.join("conversation:join", "x1").await;
    let mut by_name = Listener::of(&app, "event=news:*").await;
    let mut by_room = Listener::of(&app, "room=conversation:x2").await;
    // Not what everyone hears of who is here, which comes when it comes.
    let mut by_user = Listener::of(&app, "user=ann&event=news*").await;
    let room = |id: &str| json!({ "room": format!("conversation:{id}") });
    emit(&app, room("x2"), "other", json!(1)).await;
    emit(&app, room("x2"), "news", json!(6)).await;
    emit(&app, room("x1"), "news:a", json!(2)).await;
    emit(&app, json!({ "rooms": ["conversation:x1"], "except": ["user-ann"] }), "news:b", json!(3))
        .await;
    emit(&app, json!({ "user": "bob" }), "news", json!(4)).await;
    emit(&app, json!({ "user": "ann" }), "news", json!(5)).await;
    assert_eq!(by_name.sent().await["data"], 2);
    assert_eq!(by_name.sent().await["data"], 3);
    assert_eq!(by_room.sent().await["data"], 1);
    assert_eq!(by_user.sent().await["data"], 2);
    assert_eq!(by_user.sent().await["data"], 5, "not what leaves her out, nor what is another's");
}

#[tokio::test]
async fn it_is_told_what_became_of_it_and_found_by_that() {
    let app = TestApp::start().await;
    let mut ann = app.user("ann").await;
    let bob = Poll::connected(app.address(), 4, &app.token("bob", &[])).await;
    let mut all = Listener::of(&app, "event=news*").await;
    let mut by_outcome = Vec::new();
    for outcome in ["written", "nobody", "dropped"] {
        let query = format!("event=news*&outcome={outcome}");
        by_outcome.push(Listener::of(&app, &query).await);
    }
    let users = |users: &[&str]| json!({ "users": users });
    emit(&app, users(&["ann", "bob"]), "news:a", json!(1)).await;
    // It waits for bob to poll, so that he is behind.
    let behind = json!({ "to": users(&["ann", "bob"]), "event": "news:b", "volatile": true });
    assert_eq!(app.post("/api/emit", behind).await.status, 202);
    emit(&app, users(&["carl"]), "news:c", json!(3)).await;
    let left_out = json!({ "rooms": ["user-ann"], "except": ["user-ann"] });
    emit(&app, left_out, "news:d", json!(4)).await;
    let expected = [
        ("news:a", 2, "written"),
        ("news:b", 1, "dropped"),
        ("news:c", 0, "nobody"),
        ("news:d", 0, "nobody"),
    ];
    for (event, sockets, outcome) in expected {
        let told = all.sent().await;
        assert_eq!(told["event"], event);
        assert_eq!((&told["sockets"], &told["outcome"]), (&json!(sockets), &json!(outcome)));
    }
    let mut heard = Vec::new();
    for (listener, many) in by_outcome.iter_mut().zip([1, 2, 1]) {
        for _ in 0..many {
            heard.push(listener.sent().await["event"].clone());
        }
    }
    assert_eq!(heard, ["news:a", "news:c", "news:d", "news:b"]);
    ann.expect("news:a").await;
    bob.until("news:a").await;
    app.get("/api/tail?outcome=heard").await.invalid("/outcome");
}

#[tokio::test]
async fn of_presence_it_is_not_said_what_became_of_it() {
    let app = TestApp::start().await;
    let mut all = Listener::of(&app, "event=user:online").await;
    let _ann = app.user("ann").await;
    let told = all.sent().await;
    assert_eq!((told.get("sockets"), told.get("outcome")), (None, None), "{told}");
}

#[tokio::test]
async fn what_is_too_much_is_left_out_and_counted() {
    let app = TestApp::with(|config| config.limits.enabled = false).await;
    let mut all = Listener::of(&app, "").await;
    let emits: Vec<_> = (0..50)
        .map(|at| json!({ "to": { "user": "ann" }, "event": "tick", "data": at, "volatile": true }))
        .collect();
    let sent = 20 * emits.len() as u64;
    for _ in 0..20 {
        let body = json!({ "emits": emits });
        assert!(app.post("/api/emit/batch", body).await.status.is_success());
    }
    let (mut told, mut left_out) = (0, 0);
    while told + left_out < sent {
        match all.next().await.expect("an event") {
            (name, _) if name == "sent" => told += 1,
            (_, data) => left_out += data["leftOut"].as_u64().expect("a number"),
        }
    }
    assert_eq!(told + left_out, sent);
    assert!(left_out > 0, "{told}");
}

#[tokio::test]
async fn it_ends_after_as_many_as_were_asked_for_and_when_the_server_stops() {
    let app = TestApp::start().await;
    let (mut two, mut all) = (Listener::of(&app, "limit=2").await, Listener::of(&app, "").await);
    for at in 0..2 {
        emit(&app, json!({ "user": "ann" }), "news", json!(at)).await;
        two.sent().await;
        all.sent().await;
    }
    assert_eq!(two.next().await, None);
    app.stop();
    assert_eq!(all.next().await, None);
}

#[tokio::test]
async fn as_many_listen_as_may_and_operators_alone() {
    let app = TestApp::start().await;
    app.get("/api/tail?room=").await.invalid("/room");
    assert_eq!(app.person("ann").get("/api/tail").await.problem(403), "forbidden");
    let mut listeners = Vec::new();
    for _ in 0..16 {
        listeners.push(Listener::of(&app, "").await);
    }
    assert_eq!(app.get("/api/tail").await.problem(503), "too_many_listeners");
    listeners.pop();
    let url = format!("http://{}/api/tail", app.address());
    let again = async || {
        let answer = http_client().get(&url).header("x-api-key", API_KEY).send().await;
        answer.is_ok_and(|answer| answer.status() == 200).then_some(())
    };
    within("a place", eventually(again)).await;
}

#[tokio::test]
async fn who_is_revoked_or_blocked_hears_nothing_more() {
    let app = TestApp::start().await;
    let mut stays = Listener::of(&app, "").await;
    for (user, path, body) in [
        ("ann", "/api/auth/revocations", json!({ "userId": "ann" })),
        ("bob", "/api/users/bob/block", json!({})),
    ] {
        let bearer = format!("Bearer {}", app.token(user, &["admin"]));
        let mut goes = Listener::shows(&app, "", ("authorization", &bearer)).await;
        emit(&app, json!("everyone"), "before", json!(1)).await;
        assert_eq!(goes.sent().await["event"], "before");
        let answer = app.post(path, body).await;
        assert!(answer.status.is_success(), "{answer:?}");
        emit(&app, json!("everyone"), "after", json!(2)).await;
        assert_eq!(goes.next().await, None, "the answer has ended");
        assert_eq!(stays.sent().await["event"], "before");
        assert_eq!(stays.sent().await["event"], "after");
    }
}
