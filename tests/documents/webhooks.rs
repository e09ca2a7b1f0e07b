//! The chapter about webhooks: one event can't be delivered, and is told again after three days.

use std::time::Duration;

use serde_json::json;

use super::{
    chapter::{As, Chapter},
    description::text,
};
use crate::{
    proxy::backend::{Backend, Reply, SECRET},
    support::{app::API_KEY, eventually, within},
};

#[tokio::test]
async fn the_examples_of_webhooks_are_what_the_server_says() {
    let backend =
        Backend::start(|body| Reply::Status(if body["data"]["number"] == 42 { 503 } else { 204 }));
    let backend = backend.await;
    let mut story = Chapter::begin("webhooks", |config| {
        config.webhooks.url = Some(backend.url());
        config.webhooks.secret = Some(SECRET.into());
        config.webhooks.events = vec!["build:*".to_owned(), "user.offline".to_owned()];
    })
    .await;
    story.shows(&backend.url(), "https://app.example.com/stoa");
    let admin = story.app.person_as("root", &["admin"]);
    let health = async || {
        let answer = admin.at(&story.app).get("/api/webhook-endpoints").await;
        answer.body["items"][0].clone()
    };
    let until = async |field: &str, wanted: u64| {
        let ask = async || (health().await[field] == wanted).then_some(());
        within(field, eventually(ask)).await;
    };
    let event =
        json!({ "to": { "room": "project-7" }, "event": "build:done", "data": { "number": 42 } });
    let path = "/api/emit";
    let emitted = story.app.request(reqwest::Method::POST, path, Some(API_KEY), Some(event)).await;
    assert_eq!(emitted.status, 202);
    until("retrying", 1).await;
    story.clock.advance(Duration::from_hours(3 * 24));
    let token = story.token("root", ["Ruth", "Moss"], &["admin"]);
    let seen = story.app.bearer("root", &token);
    let aside = async || {
        let answer = seen.get("/api/webhook-endpoints").await;
        (answer.body["items"][0]["failures"] == 1).then_some(())
    };
    within("it to be put aside", eventually(aside)).await;

    let root = As::User(&token);
    story.does(root, "list_webhooks", &[], None).await;
    let failures = story.does(root, "list_webhook_failures", &["default"], None).await;
    let ids = json!({ "ids": [text(&failures["items"][0]["id"])] });
    story.does(root, "replay_webhook", &["default"], ids.clone()).await;
    story.is_refused(root, "list_webhook_failures", &["other"], None, "not_found").await;
    story.is_refused(root, "replay_webhook", &["other"], ids, "not_found").await;
    story.end("Webhooks");
}
