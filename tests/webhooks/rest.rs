//! Webhooks over REST: who may ask, and what is refused.

use serde_json::{Value, json};

use super::{Receiver, admin, health, replay, tick, until_health};
use crate::{
    proxy::backend::{Reply, SECRET},
    support::TestApp,
};

const PATH: &str = "/api/webhook-endpoints";

#[tokio::test]
async fn admins_alone_look_after_webhooks() {
    let receiver = Receiver::start().await;
    let app = receiver.server(&["*"]).await;
    let seller = app.person_as("sam", &["seller"]);
    for path in [PATH.to_owned(), format!("{PATH}/default/failures")] {
        assert_eq!(seller.get(&path).await.problem(403), "forbidden");
        assert_eq!(app.get(&path).await.problem(403), "forbidden", "nor a backend");
        assert_eq!(admin(&app).get(&path).await.status, 200);
    }
    let since = json!({ "since": "2025-01-01T00:00:00Z" });
    let replayed = seller.post(&format!("{PATH}/default/replay"), since.clone()).await;
    assert_eq!(replayed.problem(403), "forbidden");
    for (path, body) in [("other/failures", None), ("other/replay", Some(since))] {
        let path = format!("{PATH}/{path}");
        let answer = match body {
            Some(body) => admin(&app).post(&path, body).await,
            None => admin(&app).get(&path).await,
        };
        assert_eq!(answer.problem(404), "not_found");
    }
}

#[tokio::test]
async fn what_is_no_replay_is_refused() {
    let receiver = Receiver::start().await;
    let app = receiver.server(&["*"]).await;
    tick(&app, "red", 1..=1).await;
    receiver.until_taken(1).await;
    let id = receiver.backend.asked()[0].headers["webhook-id"].to_str().expect("an id").to_owned();
    let moved = id.replacen("msg_1", "msg_2", 1);
    for (body, pointer) in [
        (json!({}), "/since"),
        (json!({ "since": "2025-01-01T00:00:00Z", "ids": [id] }), "/since"),
        (json!({ "since": "yesterday" }), "/since"),
        (json!({ "ids": [] }), "/ids"),
        (json!({ "ids": vec![id.as_str(); 101] }), "/ids"),
        (json!({ "ids": [id, "msg_1_2"] }), "/ids/1"),
        (json!({ "ids": ["nonsense"] }), "/ids/0"),
        (json!({ "ids": [format!("msg_1_{}", i64::MIN)] }), "/ids/0"),
        (json!({ "ids": [moved] }), "/ids/0"),
    ] {
        replay(&app, body).await.invalid(pointer);
    }
    assert_eq!(receiver.taken().len(), 1);
    assert_eq!(replay(&app, json!({ "ids": [id] })).await.status, 204);
    receiver.until_numbers("other/red", &[1, 1]).await;
}

#[tokio::test]
async fn a_webhook_shows_neither_its_secret_nor_the_query_of_its_url() {
    let receiver = Receiver::start().await;
    let url = receiver.backend.url();
    let app = TestApp::with(|config| {
        receiver.configure(config, &["*"]);
        config.webhooks.url = Some(format!("{url}?token=hush"));
    })
    .await;
    let shown = health(&app).await;
    assert_eq!((&shown["name"], &shown["url"]), (&json!("default"), &json!(url)));
    assert_eq!(shown["events"], json!(["*"]));
    receiver.backend.die();
    tick(&app, "red", 1..=1).await;
    let failed = |health: &Value| health["lastError"].is_string();
    let shown = until_health(&app, "it to fail", failed).await.to_string();
    assert!(!shown.contains("hush") && !shown.contains(&SECRET[6..]), "{shown}");
}

#[tokio::test]
async fn metrics_count_what_became_of_events() {
    let receiver = Receiver::start().await;
    let app = receiver.server(&["*"]).await;
    receiver.answer(|_| Reply::Status(500));
    tick(&app, "red", 1..=1).await;
    until_health(&app, "a failure", |health| health["retrying"] == 1).await;
    receiver.answer(|_| Reply::Status(200));
    receiver.until_numbers("other/red", &[1]).await;
    let metrics = app.get("/api/metrics").await.body.to_string();
    for counted in ["status", "delivered"] {
        let line = format!(
            r#"stoa_webhook_deliveries_total{{webhook=\"default\",outcome=\"{counted}\"}}"#
        );
        assert!(metrics.contains(&line), "{line}: {metrics}");
    }
    assert!(metrics.contains("stoa_webhook_behind_events"), "{metrics}");
}
