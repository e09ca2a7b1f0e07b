//! Everything that is kept of a user, as lines.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::Value;

use super::life::{Life, TRACE, configure};
use crate::support::TestApp;

/// The objects of an export, by their types.
pub(super) async fn export(app: &TestApp, user: &str) -> BTreeMap<String, Vec<Value>> {
    let answer = app.get(&format!("/api/users/{user}/export")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.headers["content-type"], "application/x-ndjson");
    let text = match &answer.body {
        Value::Null => String::new(),
        Value::String(lines) => lines.clone(),
        one => one.to_string(),
    };
    let mut lines = BTreeMap::<String, Vec<Value>>::new();
    for line in text.lines() {
        let object: Value = serde_json::from_str(line).expect("an object");
        let kind = object["type"].as_str().expect("a type").to_owned();
        lines.entry(kind).or_default().push(object);
    }
    lines
}

#[tokio::test]
async fn an_export_has_everything_that_somebody_left() {
    let app = TestApp::with(configure).await;
    let life = Life::live(&app).await;
    let lines = export(&app, &life.user).await;
    let counts: Vec<_> = lines.iter().map(|(kind, lines)| (kind.as_str(), lines.len())).collect();
    assert_eq!(
        counts,
        [
            ("account", 1),
            ("conversation", 2),
            ("grant", 1),
            ("message", 4),
            ("notification", 7),
            ("offer", 1),
            ("payment", 1),
            ("points", 1),
            ("reaction", 1),
            ("referral", 1),
            ("request", 3),
            ("user", 1),
        ]
    );
    assert_eq!(lines["account"][0]["email"], format!("{TRACE}@example.org"));
    assert!(!lines["account"][0].to_string().contains("argon2"));
    assert_eq!(lines["user"][0]["id"], life.user);
    assert_eq!(lines["message"][0]["content"], format!("{TRACE} says hello again"));
    assert_eq!(lines["message"][0]["metadata"]["mood"], format!("{TRACE} says hello"));
    assert_eq!(lines["message"][0]["attachments"][0]["url"], format!("https://a/{TRACE}"));
    assert_eq!(lines["reaction"][0]["messageId"], life.bobs);
    assert_eq!(lines["request"][0]["budget"]["amount"], 40.5);
    assert_eq!(lines["payment"][0]["id"], life.payment);
    assert_eq!(lines["offer"][0]["id"], life.offer);
    assert_eq!(lines["grant"][0]["room"], "backstage");
    assert_eq!(lines["points"][0]["points"], 50);
    assert_eq!(lines["referral"][0]["referrerId"], "bob");
}

#[tokio::test]
async fn an_export_of_many_rows_has_each_of_them_once() {
    let app = TestApp::with(configure).await;
    let life = Life::live(&app).await;
    let mut written = life.messages.clone();
    for number in 0..120 {
        let path = format!("/api/conversations/{}/messages", life.conversations[number % 2]);
        let body = serde_json::json!({ "content": "x" });
        let sent = app.request_as(&life.token, Method::POST, &path, Some(body)).await.ok();
        written.push(sent["message"]["id"].as_str().expect("an id").to_owned());
    }
    let lines = export(&app, &life.user).await;
    let mut told: Vec<_> = lines["message"]
        .iter()
        .map(|line| line["id"].as_str().expect("an id").to_owned())
        .collect();
    told.sort();
    written.sort();
    assert_eq!(told, written);
}

#[tokio::test]
async fn an_export_is_for_oneself_and_for_operators() {
    let app = TestApp::start().await;
    let get =
        async |token: &str| app.request_as(token, Method::GET, "/api/users/ann/export", None).await;
    assert_eq!(get(&app.token("ann", &[])).await.status, 200);
    assert_eq!(get(&app.token("root", &["admin"])).await.status, 200);
    assert_eq!(get(&app.token("bob", &["seller"])).await.problem(403), "forbidden");
    let nobody = app.request(Method::GET, "/api/users/ann/export", None, None).await;
    assert_eq!(nobody.problem(401), "token_missing");
    assert!(export(&app, "ann").await.is_empty(), "nothing is known of her");
}
