//! Chapters about people who talk: chat, presence, notifications, points, and events from a backend.

use serde_json::{Value, json};

use super::{
    chapter::{As, Chapter},
    description::text,
};
use crate::support::Options;

#[tokio::test]
async fn the_examples_of_chat_are_what_the_server_says() {
    let mut story = Chapter::begin("chat", |_| {}).await;
    let ann = story.token("ann", ["Ann", "Lee"], &["buyer"]);
    let (ann, eve) = (As::User(&ann), story.token("eve", ["Eve", "Moss"], &["buyer"]));
    let bob = story.token("bob", ["Bob", "Stone"], &["seller"]);
    let (bob, eve) = (As::User(&bob), As::User(&eve));

    let direct = json!({ "participantIds": ["bob"] });
    let group = json!({
        "participantIds": ["bob", "cleo"],
        "title": "Lamps",
        "metadata": { "topic": "request-17" },
    });
    let group = story.does(ann, "create_conversation", &[], group).await;
    let group = text(&group["conversation"]["id"]);
    let group = group.as_str();
    let pair = story.does(ann, "create_conversation", &[], direct.clone()).await;
    story.does(ann, "create_conversation", &[], direct).await;
    let pair = text(&pair["conversation"]["id"]);

    let hello = json!({
        "content": "Is the lamp still there?",
        "attachments": [{
            "url": "https://files.example.com/lamp.jpg",
            "name": "lamp.jpg",
            "mimeType": "image/jpeg",
            "size": 48213,
        }],
        "clientMessageId": "m-1",
    });
    let sent = story.does(ann, "send_message", &[group], hello.clone()).await;
    let message = text(&sent["message"]["id"]);
    let message = message.as_str();
    story.does(ann, "send_message", &[group], hello.clone()).await;
    story.does(bob, "add_reaction", &[message, "%F0%9F%91%8D"], None).await;
    story
        .does(ann, "edit_message", &[message], json!({ "content": "Is the lamp still here?" }))
        .await;
    story.does(bob, "mark_read", &[group], json!({ "messageId": message })).await;
    story.does(bob, "list_messages", &[group], None).await;
    story.does(bob, "list_conversations", &[], None).await;
    story.does(ann, "get_conversation", &[group], None).await;
    story.does(ann, "list_participants", &[group], None).await;
    story.does(bob, "remove_reaction", &[message, "%F0%9F%91%8D"], None).await;
    story.does(ann, "add_participants", &[group], json!({ "userIds": ["dan"] })).await;
    story.does(ann, "remove_participant", &[group, "cleo"], None).await;
    story.does(ann, "delete_message", &[message], None).await;

    let words = json!({ "content": "Once more" });
    for (operation, path, body) in [
        ("get_conversation", vec![group], None),
        ("archive_conversation", vec![group], None),
        ("list_participants", vec![group], None),
        ("add_participants", vec![group], Some(json!({ "userId": "fay" }))),
        ("remove_participant", vec![group, "bob"], None),
        ("list_messages", vec![group], None),
        ("send_message", vec![group], Some(words.clone())),
        ("mark_read", vec![group], Some(json!({ "messageId": message }))),
    ] {
        story.is_refused(eve, operation, &path, body, "not_found").await;
    }
    for (operation, path, body) in [
        ("edit_message", vec![message], Some(words.clone())),
        ("delete_message", vec![message], None),
        ("add_reaction", vec![message, "+"], None),
        ("remove_reaction", vec![message, "+"], None),
    ] {
        let path: Vec<_> =
            path.into_iter().map(|part| if part == "+" { ":+1:" } else { part }).collect();
        story.is_refused(eve, operation, &path, body, "not_found").await;
    }
    for operation in ["archive_conversation", "add_participants", "send_message", "mark_read"] {
        let body = match operation {
            "add_participants" => Some(json!({ "userId": "fay" })),
            "send_message" => Some(words.clone()),
            "mark_read" => Some(json!({ "messageId": message })),
            _ => None,
        };
        story.is_refused(As::Service, operation, &[group], body, "person_missing").await;
    }
    for (operation, path, body) in [
        ("create_conversation", vec![], Some(json!({ "participantIds": ["ann", "bob"] }))),
        ("remove_participant", vec![group, "bob"], None),
        ("edit_message", vec![message], Some(words.clone())),
        ("delete_message", vec![message], None),
        ("add_reaction", vec![message, ":+1:"], None),
        ("remove_reaction", vec![message, ":+1:"], None),
    ] {
        story.is_refused(As::Service, operation, &path, body, "person_missing").await;
    }
    let taken = json!({ "participantIds": ["fay"], "id": group });
    story.is_refused(As::ActingFor("ann"), "create_conversation", &[], taken, "conflict").await;
    story.is_refused(ann, "edit_message", &[message], words.clone(), "conflict").await;
    for operation in ["add_reaction", "remove_reaction"] {
        story.is_refused(ann, operation, &[message, ":+1:"], None, "conflict").await;
    }
    story.is_refused(ann, "remove_participant", &[&pair, "bob"], None, "conflict").await;
    story.does(ann, "archive_conversation", &[group], None).await;
    story.is_refused(ann, "send_message", &[group], words, "conflict").await;
    let fay = json!({ "userId": "fay" });
    story.is_refused(ann, "add_participants", &[group], fay, "conflict").await;
    story.end("Chat");
}

#[tokio::test]
async fn the_examples_of_presence_are_what_the_server_says() {
    let mut story = Chapter::begin("presence", |_| {}).await;
    let ann = story.app.user("ann").await;
    let token = story.token("bob", ["Bob", "Stone"], &["seller"]);
    let bob = As::User(&token);
    story.does(bob, "get_presence", &["ann"], None).await;
    story.does(bob, "query_presence", &[], json!({ "userIds": ["ann", "cleo"] })).await;
    drop(ann);
    story.end("Presence");
}

#[tokio::test]
async fn the_examples_of_notifications_are_what_the_server_says() {
    let mut story = Chapter::begin("notifications", |_| {}).await;
    let token = story.token("ann", ["Ann", "Lee"], &["buyer"]);
    let ann = As::User(&token);
    let offer = json!({
        "userIds": ["ann", "bob"],
        "type": "offer",
        "title": "An offer for your lamp",
        "body": "35.50 USD",
        "data": { "offerId": "o-1" },
    });
    let sent = story.does(As::Service, "send_notification", &[], offer.clone()).await;
    let id = text(&sent["notification"]["id"]);
    story.does(As::Service, "send_notification", &[], offer).await;
    story.does(ann, "get_unread_count", &[], None).await;
    story.does(ann, "list_notifications", &[], None).await;
    story.does(ann, "read_notification", &[&id], None).await;
    story.does(ann, "read_all_notifications", &[], None).await;
    story.does(ann, "delete_notification", &[&id], None).await;
    for operation in ["read_notification", "delete_notification"] {
        story.is_refused(ann, operation, &[&id], None, "not_found").await;
    }
    story.end("Notifications");
}

#[tokio::test]
async fn the_examples_of_points_are_what_the_server_says() {
    let mut story = Chapter::begin("points", |_| {}).await;
    let token = story.token("ann", ["Ann", "Lee"], &["buyer"]);
    let ann = As::User(&token);
    let award = |points: i64| json!({ "userId": "ann", "points": points, "reason": "A purchase", "reference": "order-1" });
    for _ in 0..2 {
        story.does(As::Service, "award_points", &[], award(120)).await;
    }
    let referral = json!({ "referrerId": "ann", "referredUserId": "bob", "name": "Bob Stone" });
    for _ in 0..2 {
        story.does(As::Service, "create_referral", &[], referral.clone()).await;
    }
    let reward = |user: &str, points: i64| json!({ "referredUserId": user, "points": points, "reference": "first-order" });
    for _ in 0..2 {
        story.does(As::Service, "reward_referral", &[], reward("bob", 50)).await;
    }
    story.does(ann, "get_points", &[], None).await;
    story.does(ann, "list_ledger", &[], None).await;
    story.does(ann, "list_levels", &[], None).await;

    let service = As::Service;
    story.is_refused(service, "award_points", &[], award(60), "reference_used").await;
    let mut correction = award(-1000);
    correction["reference"] = json!("correction-1");
    story.is_refused(service, "award_points", &[], correction, "insufficient_points").await;
    let mut other = referral;
    other["referrerId"] = json!("cleo");
    story.is_refused(service, "create_referral", &[], other, "referred_already").await;
    story.is_refused(service, "reward_referral", &[], reward("dan", 50), "not_found").await;
    story.is_refused(service, "reward_referral", &[], reward("bob", 60), "reference_used").await;
    story.end("Points");
}

#[tokio::test]
async fn the_examples_of_emit_are_what_the_server_says() {
    let mut story = Chapter::begin("emit", |_| {}).await;
    let service = As::Service;
    story.does(service, "grant", &["project-7", "ann"], None).await;
    let token = story.token("ann", ["Ann", "Lee"], &["buyer"]);
    let options = Options::websocket().token(&token);
    let ann = story.app.connect(options).await.expect("a connection");
    let event = |to: Value| json!({ "to": to, "event": "build:done", "data": { "number": 42 } });
    let room = event(json!({ "room": "user-ann" }));
    story.does(service, "emit", &[], room.clone()).await;
    let mut reserved = room.clone();
    reserved["event"] = json!("connect");
    story.does(service, "emit_batch", &[], json!({ "emits": [room, reserved] })).await;
    story.does(service, "list_rooms", &[], None).await;
    story.does(service, "list_members", &["user-ann"], None).await;
    let sockets = story.does(service, "list_sockets", &[], None).await;
    let socket = sockets["items"][0]["id"].as_str().expect("an id").to_owned();
    story.is_refused(service, "put_out", &[&socket, "user-ann"], None, "conflict").await;
    story.does(service, "put_out", &[&socket, "project-7"], None).await;
    story.does(service, "disconnect_socket", &[&socket], None).await;
    story.does(service, "revoke", &["project-7", "ann"], None).await;
    drop(ann);
    story.end("Emit");
}
