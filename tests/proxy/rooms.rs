//! Rooms and conversations that another backend keeps (`PROXY_ROOMS`).

use serde_json::{Value, json};
use sqlx::{Connection as _, Executor as _, PgConnection};
use stoa::config::RoomPolicy;

use super::{
    assert_unavailable,
    backend::{Backend, Reply},
    start_with,
};
use crate::support::{TestApp, eventually, postgres::Postgres, within};

/// A server that asks this backend about rooms, too.
async fn start(backend: &Backend) -> TestApp {
    start_with(backend, &["*"], |config| config.proxy.rooms = true).await
}

/// The rooms that it was asked about.
fn rooms(backend: &Backend) -> Vec<Value> {
    let asked = backend.asked().into_iter().map(|asked| asked.json());
    asked.filter(|asked| asked["kind"] == "join").map(|asked| asked["room"].clone()).collect()
}

#[tokio::test]
async fn a_backend_says_who_may_enter_rooms_that_are_not_known_here() {
    let backend =
        Backend::start(|asked| Reply::Json(json!({ "allow": asked["userId"] == "ann" }))).await;
    let app = start(&backend).await;
    let group = app.person("zoe").group(&["yan"]).await;
    let (mut ann, mut eve) = (app.user("ann").await, app.user("eve").await);
    for (event, id, room) in [
        ("conversation:join", "x1", "conversation:x1"),
        ("join-chat-room", "x1", "chat-x1"),
        ("join-request-room", "x1", "request-x1"),
        ("join-checkout-room", "x1", "template-checkout-x1"),
    ] {
        assert!(ann.may_join(event, id).await, "{event}");
        assert!(!eve.may_join(event, id).await, "{event}");
        assert_eq!(app.emit_to_room(room, "news", json!(1)).await, 1);
    }
    let asked = backend.asked()[0].json();
    assert_eq!((&asked["kind"], &asked["room"]), (&json!("join"), &json!("conversation:x1")));
    assert_eq!((&asked["userId"], &asked["roles"]), (&json!("ann"), &json!([])));
    assert_eq!(asked["claims"]["userId"], "ann");
    assert_eq!(asked.as_object().unwrap().len(), 5, "{asked}");
    // What this server has a record of it decides itself, and so of people's own rooms.
    let times = backend.asked().len();
    assert!(!ann.may_join("conversation:join", &group).await);
    assert!(!ann.may_join("join-user-room", "eve").await);
    assert_eq!(backend.asked().len(), times);
}

#[tokio::test]
async fn it_is_not_asked_again_when_what_other_processes_keep_may_have_been_missed() {
    let backend = Backend::start(|_| Reply::Json(json!({ "allow": true }))).await;
    let url = Postgres::shared().database().await;
    let app = start_with(&backend, &["*"], |config| {
        config.proxy.rooms = true;
        config.database.url = Some(url.as_str().into());
    });
    let app = app.await;
    let (mut ann, mut bob) = (app.user("ann").await, app.user("bob").await);
    ann.join("conversation:join", "x1").await;
    bob.join("conversation:join", "x2").await;
    let mut store = PgConnection::connect(&url).await.unwrap();
    // It is connected anew, and hears what is said after that.
    let cut = eventually(async || {
        const CUT: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND query LIKE 'LISTEN%'";
        (!store.fetch_all(CUT).await.unwrap().is_empty()).then_some(())
    });
    within("somebody who listens", cut).await;
    let asked_again = eventually(async || {
        store.execute("SELECT pg_notify('stoa_records', 'conversation:x2')").await.unwrap();
        (rooms(&backend).len() > 2).then_some(())
    });
    within("it to be asked about what has a record by now", asked_again).await;
    let asked = rooms(&backend);
    assert_eq!(asked.iter().filter(|room| **room == "conversation:x1").count(), 1, "{asked:?}");
}

#[tokio::test]
async fn without_the_setting_it_is_not_asked() {
    let backend = Backend::start(|_| Reply::Json(json!({ "allow": true }))).await;
    let app = start_with(&backend, &["*"], |_| {}).await;
    let mut ann = app.user("ann").await;
    assert!(!ann.may_join("conversation:join", "x1").await);
    let message = json!({ "conversationId": "x1", "content": "hello" });
    assert_eq!(ann.emit_ack("message:send", message).await["code"], "not_found");
    assert_eq!(backend.asked().len(), 0);
}

#[tokio::test]
async fn a_backend_that_says_no_is_heard_where_anybody_might_enter() {
    let backend = Backend::start(|_| Reply::Json(json!({ "allow": false }))).await;
    let app = start_with(&backend, &[], |config| {
        config.proxy.rooms = true;
        config.rooms.policy = RoomPolicy::Open;
    })
    .await;
    let mut ann = app.user("ann").await;
    assert!(!ann.may_join("conversation:join", "x1").await);
    backend.answer(|_| Reply::Status(500));
    assert_unavailable(&ann.emit_ack("conversation:join", "x1").await);
}

#[tokio::test]
async fn a_right_is_not_asked_about_as_long_as_it_is_remembered() {
    let backend = Backend::start(|_| Reply::Json(json!({ "allow": true, "for": 60 }))).await;
    let app = start(&backend).await;
    let (mut ann, mut second) = (app.user("ann").await, app.user("ann").await);
    ann.join("conversation:join", "x1").await;
    ann.join("conversation:join", "x1").await;
    second.join("conversation:join", "x1").await;
    let newer = json!({ "token": app.token("ann", &[]) });
    assert_eq!(second.emit_ack("auth:refresh", newer).await["leftRooms"], json!([]));
    assert_eq!(rooms(&backend), ["conversation:x1"]);
    ann.join("join-chat-room", "x1").await;
    app.user("bob").await.join("conversation:join", "x1").await;
    assert_eq!(rooms(&backend).len(), 3, "another room, another user");
    // Taken back by a service it is asked about again, also of who is in the room.
    backend.answer(|_| Reply::Json(json!({ "allow": false })));
    let path = "/api/rooms/conversation:x1/members/ann";
    let taken =
        app.request(reqwest::Method::DELETE, path, Some(crate::support::app::API_KEY), None);
    assert_eq!(taken.await.status, 204);
    assert_eq!(app.emit_to_room("conversation:x1", "news", json!(1)).await, 0);
}

#[tokio::test]
async fn a_right_without_a_time_is_for_that_once() {
    let backend = Backend::start(|_| Reply::Json(json!({ "allow": true }))).await;
    let app = start(&backend).await;
    let mut ann = app.user("ann").await;
    ann.join("conversation:join", "x1").await;
    backend.answer(|_| Reply::Json(json!({ "allow": false })));
    assert!(!app.user("ann").await.may_join("conversation:join", "x1").await);
    // A newer token is another question.
    let newer = json!({ "token": app.token("ann", &[]) });
    let refreshed = ann.emit_ack("auth:refresh", newer).await;
    assert_eq!(refreshed["leftRooms"], json!(["conversation:x1"]));
}

#[tokio::test]
async fn when_a_right_ends_who_may_no_longer_be_there_is_taken_out() {
    let backend = Backend::start(|_| Reply::Json(json!({ "allow": true, "for": 0.2 }))).await;
    let app = start(&backend).await;
    let (mut ann, mut bob) = (app.user("ann").await, app.user("bob").await);
    ann.join("conversation:join", "x1").await;
    bob.join("conversation:join", "x1").await;
    assert_eq!(app.emit_to_room("conversation:x1", "news", json!(1)).await, 2);
    backend.answer(|asked| {
        let allow = asked["userId"] == "bob";
        Reply::Json(json!({ "allow": allow, "for": 60 }))
    });
    let one = async || {
        let sockets = app.emit_to_room("conversation:x1", "news", json!(2)).await;
        (sockets == 1).then_some(())
    };
    within("her to be out of the room", eventually(one)).await;
    let members = app.get("/api/rooms/conversation:x1/members").await.ok();
    assert_eq!(members["items"], json!([{ "userId": "bob", "sockets": 1 }]));
}

#[tokio::test]
async fn who_is_in_a_room_stays_while_the_backend_does_not_answer() {
    let backend = Backend::start(|_| Reply::Json(json!({ "allow": true, "for": 0.1 }))).await;
    let app = start(&backend).await;
    let mut ann = app.user("ann").await;
    ann.join("conversation:join", "x1").await;
    backend.answer(|_| Reply::Status(500));
    backend.until_asked(2).await;
    assert_eq!(app.emit_to_room("conversation:x1", "news", json!(1)).await, 1);
    // Nobody comes in by what has ended.
    assert_unavailable(&app.user("ann").await.emit_ack("conversation:join", "x1").await);
}

#[tokio::test]
async fn more_rights_than_may_be_remembered_are_not_given() {
    let backend = Backend::start(|_| Reply::Json(json!({ "allow": true, "for": 60 }))).await;
    let app = start_with(&backend, &[], |config| {
        (config.proxy.rooms, config.proxy.max_rights) = (true, 1);
    })
    .await;
    let mut ann = app.user("ann").await;
    ann.join("conversation:join", "x1").await;
    assert_eq!(ann.emit_ack("conversation:join", "x2").await["code"], "unavailable");
    assert_eq!(app.emit_to_room("conversation:x2", "news", json!(1)).await, 0);
    ann.join("conversation:join", "x1").await;
}

#[tokio::test]
async fn a_message_for_a_conversation_that_is_not_kept_here_is_the_backends() {
    let backend = Backend::start(|asked| {
        if asked["kind"] == "join" {
            return Reply::Json(json!({ "allow": true }));
        }
        let said = &asked["args"][0];
        let room = format!("conversation:{}", said["conversationId"].as_str().unwrap());
        let to = json!({ "rooms": [room], "except": [asked["socketId"]] });
        let emit = json!([{ "to": to, "event": "message:new", "data": said }]);
        Reply::Json(json!({ "ack": [{ "success": true, "message": said }], "emit": emit }))
    })
    .await;
    let app = start(&backend).await;
    let mut people = [app.user("ann").await, app.user("bob").await];
    for person in &mut people {
        person.join("conversation:join", "x1").await;
    }
    let [ann, bob] = &mut people;
    let message = json!({ "conversationId": "x1", "content": "hello", "mood": [1.0] });
    let answer = ann.emit_ack("message:send", message.clone()).await;
    assert_eq!(answer, json!({ "success": true, "message": message }));
    assert_eq!(bob.expect("message:new").await, message);
    ann.expect_nothing().await;
    let asked = backend.asked().last().unwrap().json();
    assert_eq!((&asked["kind"], &asked["event"]), (&json!("event"), &json!("message:send")));
    // Of typing there is nothing to ask: it is for who is in the room.
    ann.emit_ack("typing:start", json!({ "conversationId": "x1" })).await;
    assert_eq!(bob.expect("typing:start").await["userId"], "ann");

    let group = app.person("zoe").group(&["ann"]).await;
    let times = backend.asked().len();
    let kept = json!({ "conversationId": group, "content": "hello" });
    assert_eq!(ann.emit_ack("message:send", kept.clone()).await["success"], true);
    assert_eq!(
        bob.emit_ack("message:send", kept).await["code"],
        "not_found",
        "he may not know of it"
    );
    let empty = json!({ "conversationId": "x1" });
    assert_eq!(ann.emit_ack("message:send", empty).await["code"], "invalid_payload");
    assert_eq!(backend.asked().len(), times);
}

#[tokio::test]
async fn a_lease_that_ends_takes_nobody_out_whom_an_answer_let_in() {
    let backend = Backend::start(|asked| {
        let join = json!({ "join": ["conversation:x1"], "ack": [1] });
        let lease = json!({ "allow": true, "for": 0.2 });
        Reply::Json(if asked["kind"] == "join" { lease } else { join })
    })
    .await;
    let app = start(&backend).await;
    let mut let_in = app.user("ann").await;
    assert_eq!(let_in.emit_ack("ask", 1).await, 1);
    let mut by_lease = [app.user("ann").await, app.user("ann").await];
    for socket in &mut by_lease {
        socket.join("conversation:join", "x1").await;
    }
    assert_eq!(app.emit_to_room("conversation:x1", "news", json!(1)).await, 3);
    backend.answer(|_| Reply::Json(json!({ "allow": false })));
    let asked = rooms(&backend).len();
    let one = async || {
        let sockets = app.emit_to_room("conversation:x1", "news", json!(2)).await;
        (sockets == 1).then_some(())
    };
    within("those by lease to be out of the room", eventually(one)).await;
    assert_eq!(rooms(&backend).len(), asked + 1, "it is asked once for all sockets of a user");
    assert!(!by_lease[0].may_join("conversation:join", "x1").await);
}
