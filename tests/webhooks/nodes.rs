//! Several servers on one Postgres: one of them delivers a webhook's events, another when it is gone.

use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Receiver, admin, health, replay, tick, until_health};
use crate::{
    proxy::backend::SECRET,
    support::{TestApp, eventually, postgres::Postgres, process::Process, within},
};

/// A server on this database that may deliver.
async fn node(receiver: &Receiver, url: &str) -> TestApp {
    TestApp::with(|config| {
        receiver.configure(config, &["tick"]);
        config.database.url = Some(url.into());
    })
    .await
}

#[tokio::test]
async fn what_any_node_commits_is_told_once() {
    let (receiver, url) = (Receiver::start().await, Postgres::shared().database().await);
    let nodes = [node(&receiver, &url).await, node(&receiver, &url).await];
    for n in 1..=20 {
        for (app, room) in nodes.iter().zip(["red", "blue"]) {
            tick(app, room, [n]).await;
        }
    }
    let all: Vec<i64> = (1..=20).collect();
    for room in ["other/red", "other/blue"] {
        receiver.until_numbers(room, &all).await;
    }
    // Whoever else tells them has told the first by the time that this one is.
    tick(&nodes[1], "red", [21]).await;
    within("the last", eventually(async || receiver.numbers("other/red").get(20).copied())).await;
    assert_eq!(receiver.taken().len(), 41);
}

#[tokio::test]
async fn another_node_delivers_when_the_first_ends() {
    let (receiver, url) = (Receiver::start().await, Postgres::shared().database().await);
    let (first, second) = (node(&receiver, &url).await, node(&receiver, &url).await);
    tick(&second, "red", [1]).await;
    receiver.until_numbers("other/red", &[1]).await;
    let first = first.shutdown(crate::support::DEADLINE);
    tick(&second, "red", [2]).await;
    first.await;
    tick(&second, "red", [3]).await;
    receiver.until_numbers("other/red", &[1, 2, 3]).await;
}

#[tokio::test]
async fn another_node_delivers_when_the_first_stands_still() {
    let (receiver, url) = (Receiver::start().await, Postgres::shared().database().await);
    let (data, backend) = (TempDir::new().expect("a folder"), receiver.backend.url());
    let variables = [
        ("DATABASE_URL", url.as_str()),
        ("WEBHOOK_URL", backend.as_str()),
        ("WEBHOOK_SECRET", SECRET),
        ("WEBHOOK_EVENTS", "tick"),
    ];
    let first = Process::start(data.path(), &variables).await;
    let second = node(&receiver, &url).await;
    tick(&second, "red", [1]).await;
    receiver.until_numbers("other/red", &[1]).await;
    written(&second, &Value::Null).await;
    let stopped = Command::new("kill").args(["-STOP", &first.id().to_string()]).status();
    assert!(stopped.expect("kill").success());
    tick(&second, "red", [2]).await;
    receiver.until_numbers("other/red", &[1, 2]).await;
    first.kill().await;
}

#[tokio::test]
async fn whichever_node_is_asked_says_how_it_goes_and_has_events_told_again() {
    let (receiver, url) = (Receiver::start().await, Postgres::shared().database().await);
    let nodes = [node(&receiver, &url).await, node(&receiver, &url).await];
    let before = json!({ "since": "2025-01-01T00:00:00Z" });
    tick(&nodes[0], "red", [1, 2]).await;
    receiver.until_numbers("other/red", &[1, 2]).await;
    let (mut expected, mut told_at) = (vec![1, 2], written(&nodes[0], &Value::Null).await);
    for app in &nodes {
        assert_eq!(health(app).await["state"], "ok");
        assert_eq!(replay(app, before.clone()).await.status, 204);
        expected.extend([1, 2]);
        receiver.until_numbers("other/red", &expected).await;
        told_at = written(app, &told_at).await;
        let id = receiver.backend.asked()[0].headers["webhook-id"].to_str().unwrap().to_owned();
        assert_eq!(replay(app, json!({ "ids": [id] })).await.status, 204);
        expected.push(1);
        receiver.until_numbers("other/red", &expected).await;
        told_at = written(app, &told_at).await;
        assert_eq!(health(app).await["state"], "ok");
    }
    let failures = "/api/webhook-endpoints/default/failures";
    assert_eq!(admin(&nodes[1]).get(failures).await.ok()["items"], json!([]));
}

/// Waits until all is delivered and that is written down, later than then; when. What is not written down
/// is told once more when another node changes what is kept.
async fn written(app: &TestApp, before: &Value) -> Value {
    let is_written = |health: &Value| {
        let told_at = &health["deliveredAt"];
        told_at.is_string()
            && told_at != before
            && health["behindBy"] == 0
            && health["retrying"] == 0
    };
    until_health(app, "what is written down", is_written).await["deliveredAt"].take()
}
