//! Ids of other backends: any string of 1–256 characters without white space and control
//! characters, wherever an id stands (docs/contract/events.md#times-ids-money).

use reqwest::Method;
use serde_json::{Value, json};
use stoa::config::RoomPolicy;

use crate::support::{Options, TestApp};

/// Ids as identity providers and other stores make them.
fn ids() -> Vec<String> {
    let mut ids: Vec<String> = [
        "auth0|5f7c8ec7c33c6c004bbafe82",
        "ann+shop@example.com",
        "+14155550123",
        "google-oauth2|100",
        "a/b",
        "a%2Fb",
        "50%",
        "a?b#c&d=e;f",
        "søren~\"quoted\"\\",
        "{\"$oid\":\"64f1c0ffee\"}",
        "用户🎉",
        "*",
        "';--",
    ]
    .map(str::to_owned)
    .into();
    ids.push("é".repeat(256));
    ids
}

/// A segment of a path.
fn segment(id: &str) -> String {
    percent_encoding::utf8_percent_encode(id, percent_encoding::NON_ALPHANUMERIC).to_string()
}

#[tokio::test]
async fn a_user_of_any_id_is_let_in_and_reached_everywhere() {
    let app = TestApp::start().await;
    for id in ids() {
        for options in [Options::websocket(), Options::polling(), Options::upgrade()] {
            let mut user = app.user_with(&id, &["seller"], options).await;
            let ack = user.emit_ack("join-user-room", id.as_str()).await;
            assert_eq!(ack["room"], format!("user-{id}"), "{ack}");
            let ack = user.emit_ack("join-seller-room", id.as_str()).await;
            assert_eq!(ack["rooms"], json!([format!("seller-{id}"), "sellers"]), "{ack}");
            assert_eq!(app.emit(json!({ "user": id }), "news", json!(1)).await, 1);
            assert_eq!(user.expect("news").await, 1);
            let presence = app.get(&format!("/api/presence/{}", segment(&id))).await.ok();
            assert_eq!((&presence["userId"], &presence["status"]), (&json!(id), &json!("online")));
            let room = segment(&format!("user-{id}"));
            let members = app.get(&format!("/api/rooms/{room}/members")).await.ok();
            assert_eq!(members["items"][0]["userId"], json!(id), "{members}");
            user.close().await;
        }
        let ack = app
            .user(&id)
            .await
            .emit_ack("join-user-room", json!({ "userId": id, "since": 0 }))
            .await;
        assert_eq!((&ack["recovered"], &ack["replayed"]), (&json!(true), &json!(3)), "{id}: {ack}");
    }
}

#[tokio::test]
async fn people_of_any_ids_talk_to_each_other() {
    let app = TestApp::start().await;
    let ids = ids();
    for (ann, bob) in ids.iter().zip(ids.iter().skip(1)) {
        let conversation = app.person(ann).talk_to(bob).await;
        assert_eq!(app.person(ann).talk_to(bob).await, conversation);
        let mut bobs = app.user(bob).await;
        let ack = bobs.emit_ack("conversation:join", conversation.as_str()).await;
        assert_eq!(ack["success"], true, "{bob}: {ack}");
        let mut anns = app.user(ann).await;
        let message =
            json!({ "conversationId": conversation, "content": "hi", "clientMessageId": ann });
        assert_eq!(anns.emit_ack("message:send", message).await["success"], true);
        let heard = bobs.expect("message:new").await;
        assert_eq!((&heard["sender"]["id"], &heard["clientMessageId"]), (&json!(ann), &json!(ann)));
        let path = format!("/api/conversations/{conversation}/participants/{}", segment(bob));
        let refused = anns.delete(&path).await;
        assert_eq!(refused.problem(409), "conflict", "of two people nobody is removed");
    }
}

#[tokio::test]
async fn a_grant_names_a_room_and_a_user_of_any_id() {
    let app = TestApp::with(|config| config.rooms.policy = RoomPolicy::Strict).await;
    for id in ids() {
        let path =
            format!("/api/rooms/{}/members/{}", segment(&format!("chat-{id}")), segment(&id));
        let granted =
            app.request(Method::PUT, &path, Some(crate::support::app::API_KEY), None).await;
        assert!(granted.status.is_success(), "{id}: {granted:?}");
        let mut user = app.user(&id).await;
        let ack = user.emit_ack("join-chat-room", id.as_str()).await;
        assert_eq!(ack["room"], format!("chat-{id}"), "{ack}");
    }
}

#[tokio::test]
async fn what_is_no_id_is_refused_in_the_same_words_everywhere() {
    let app = TestApp::with(|config| config.rooms.policy = RoomPolicy::Open).await;
    let mut alice = app.user("alice").await;
    let long = "é".repeat(257);
    for bad in ["", "a b", "a\u{a0}b", "a\u{2003}b", "a\tb", "\u{0}", "a\u{7f}", "a\u{85}", &long] {
        let ack = alice.emit_ack("conversation:join", bad).await;
        assert_eq!(ack["code"], "invalid_payload", "{bad:?}: {ack}");
        let body = json!({ "to": { "user": bad }, "event": "news" });
        assert_eq!(app.post("/api/emit", body).await.problem(422), "invalid_payload", "{bad:?}");
        let nobody = app.person(bad);
        let refused = app.refusal(Options::websocket().token(&nobody.token)).await;
        assert_eq!(refused, "Authentication error: invalid user id", "{bad:?}");
        let answer = nobody.get("/api/presence/alice").await;
        assert_eq!(answer.problem(401), "token_user_invalid");
        assert_eq!(answer.body["detail"], "Authentication error: invalid user id");
    }
    for claims in [json!({ "userId": null }), json!({ "userId": {} }), json!({ "userId": true })] {
        let refused =
            app.refusal(Options::polling().token(&app.token_with("x", claims.clone()))).await;
        assert_eq!(refused, "Authentication error: invalid user id", "{claims}");
    }
    let mut numbered = app.person_with("42", json!({ "userId": 42 })).connect().await;
    assert_eq!(numbered.emit_ack("join-user-room", 42).await["room"], "user-42");
    assert_eq!(numbered.emit_ack("join-user-room", Value::Null).await["code"], "invalid_payload");
}
