//! The mappings of docs/moving.md, on the samples beside them.

use std::{path::Path, process::Command};

use serde_json::{Value, json};

use super::verb::{self, Done};
use crate::support::{Options, TestApp, postgres::Postgres};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/moving");

/// What a program of the page makes of its samples.
fn made(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).current_dir(FOLDER).args(args).output();
    Done::from(output.unwrap_or_else(|error| panic!("{program}: {error}"))).ok()
}

fn takes(lines: &str, count: usize) -> impl Fn(&Path, Option<&str>) {
    move |data, url| {
        std::fs::write(data.join("lines.jsonl"), lines).expect("a file");
        let said = verb::run(data, url, &["import", "lines.jsonl"]).ok();
        assert_eq!(said, format!("{count} lines: {count} written, 0 were there already.\n"));
    }
}

/// `[content, sender's first name]`, the oldest first.
async fn spoken(app: &TestApp, user: &str, conversation: &str) -> Vec<(Value, Value)> {
    let path = format!("/api/conversations/{conversation}/messages");
    let history = app.person(user).get(&path).await.ok();
    let items = history["items"].as_array().expect("items").iter().rev();
    items.map(|one| (one["content"].clone(), one["sender"]["id"].clone())).collect()
}

#[tokio::test]
async fn a_mongoose_chat_goes_on_here() {
    let program = ["-c", "-f", "mongo.jq"];
    let files = ["mongo/users.json", "mongo/conversations.json", "mongo/messages.json"];
    let lines = made("jq", &[&program[..], &files[..]].concat());
    let app = TestApp::start().await;
    let url = app.database_url();
    let app = app.restart_after(|data| takes(&lines, 10)(data, url.as_deref())).await;
    let id = |kind: u32, number: u32| format!("5f0c1a2b3c4d5e6f70{}000{number}", 80 + kind);
    let (ann, bob, direct) = (id(1, 1), id(1, 2), id(2, 1));
    let said = spoken(&app, &bob, &direct).await;
    let expected = [
        ("Hello Bob", &ann),
        ("Do you have \"the\" file?\nIt is due.", &bob),
        ("Here it is", &ann),
    ];
    assert_eq!(said, expected.map(|(content, sender)| (json!(content), json!(sender))));
    let trip = spoken(&app, &ann, &id(2, 2)).await;
    assert_eq!(trip[0].0, "", "it was taken back");
    let shown = app.person(&bob).get(&format!("/api/conversations/{direct}")).await.ok();
    assert_eq!((&shown["type"], &shown["unreadCount"]), (&json!("direct"), &json!(0)), "{shown}");
    assert_eq!(shown["participants"][0]["firstName"], "Ann");
    // An app of either dialect goes on.
    let mut ann = app.user(&ann).await;
    let marketplace = Options::websocket().namespace("/marketplace");
    let mut bob = app.user_with(&bob, &[], marketplace).await;
    ann.join("conversation:join", &direct).await;
    bob.join("join-chat-room", &direct).await;
    let sent = ann.emit_ack("message:send", json!({ "conversationId": direct, "content": "ok" }));
    assert_eq!(sent.await["success"], true);
    assert_eq!(bob.expect("new-message").await["message"]["content"], "ok");
}

#[tokio::test]
async fn a_chat_in_postgres_goes_on_here() {
    let other = Postgres::shared().database().await;
    made("psql", &[&other, "-XAtq", "-v", "ON_ERROR_STOP=1", "-f", "postgres-sample.sql"]);
    let lines = made("psql", &[&other, "-XAt", "-v", "ON_ERROR_STOP=1", "-f", "postgres.sql"]);
    let app = TestApp::start().await;
    let url = app.database_url();
    let app = app.restart_after(|data| takes(&lines, 7)(data, url.as_deref())).await;
    let conversation = "0e6b8a4c-5f0c-4a2b-8c4d-5e6f70820001";
    let said = spoken(&app, "2", conversation).await;
    let expected = [
        ("Hello Bob", "1"),
        ("Do you have \"the\" \\ file?\nIt is due.", "2"),
        ("", "1"),
        ("", "1"),
    ];
    assert_eq!(said, expected.map(|(content, sender)| (json!(content), json!(sender))));
    let history = app.person("2").get(&format!("/api/conversations/{conversation}/messages")).await;
    let history = history.ok();
    assert_eq!(history["items"][0]["attachments"][0]["name"], "a.pdf");
    assert_eq!(history["items"][1]["deletedAt"], "2020-05-01T10:01:50.000Z");
    assert_eq!(history["items"][2]["createdAt"], "2020-05-01T10:01:00.007Z");
    assert_eq!(history["items"][3]["reactions"][0]["emoji"], "👋");
    // Of Ann's two last ones one is deleted, and he has read neither.
    let shown = app.person("2").get(&format!("/api/conversations/{conversation}")).await.ok();
    assert_eq!(shown["unreadCount"], 1, "{shown}");
}
