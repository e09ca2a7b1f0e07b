//! The mappings of docs/moving.md, on the samples beside them.

use std::{
    fs::{self, File},
    path::Path,
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

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
        assert_eq!(
            verb::in_all(&said),
            format!("{count} lines: {count} written, 0 were there already.")
        );
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

/// Goes on for a while: an answer, a correction, something that is taken back.
async fn goes_on(
    app: &TestApp,
    [one, other]: [&str; 2],
    conversation: &str,
    [corrected, gone]: [&str; 2],
) {
    let (one, other) = (app.person(one), app.person(other));
    let path = format!("/api/conversations/{conversation}");
    let answer = json!({ "content": "Thank you", "replyTo": corrected });
    let sent = other.post(&format!("{path}/messages"), answer).await.created();
    let id = sent["message"]["id"].as_str().expect("an id").to_owned();
    one.post(&format!("{path}/read"), json!({ "messageId": id })).await.ok();
    one.post(&format!("{path}/messages"), json!({ "content": "Bye" })).await.created();
    assert_eq!(one.put(&format!("/api/messages/{id}/reactions/👍")).await.status, 204);
    one.patch(&format!("/api/messages/{corrected}"), json!({ "content": "Hi Bob" })).await.ok();
    one.delete(&format!("/api/messages/{gone}")).await;
}

/// What is seen of a conversation afterwards, wherever it is: contents, answers, reactions, what is unread.
async fn seen(app: &TestApp, user: &str, conversation: &str) -> Value {
    let person = app.person(user);
    let path = format!("/api/conversations/{conversation}");
    let history = person.get(&format!("{path}/messages")).await.ok();
    let items = history["items"].as_array().expect("items");
    let content = |id: &Value| {
        let found = items.iter().find(|one| one["id"] == *id);
        found.map(|one| one["content"].clone())
    };
    let messages: Vec<Value> = items
        .iter()
        .map(|one| {
            json!({
                "content": one["content"], "sender": one["sender"]["id"], "at": one["createdAt"],
                "edited": one["editedAt"], "deleted": one["deletedAt"],
                "answers": content(&one["replyTo"]), "reactions": one["reactions"],
                "attachments": one["attachments"],
            })
        })
        .collect();
    json!({ "messages": messages, "unread": person.get(&path).await.ok()["unreadCount"] })
}

#[tokio::test]
async fn a_mongoose_chat_goes_back() {
    let there = |args: &[&str]| made("jq", args);
    let forth = ["-c", "-f", "mongo.jq"];
    let files = ["mongo/users.json", "mongo/conversations.json", "mongo/messages.json"];
    let lines = there(&[&forth[..], &files[..]].concat());
    let app = TestApp::start().await;
    let url = app.database_url();
    let app = app.restart_after(|data| takes(&lines, 10)(data, url.as_deref())).await;
    let id = |kind: u32, number: u32| format!("5f0c1a2b3c4d5e6f70{}000{number}", 80 + kind);
    let (ann, bob, direct) = (id(1, 1), id(1, 2), id(2, 1));
    goes_on(&app, [&ann, &bob], &direct, [&id(3, 1), &id(3, 3)]).await;
    let before = seen(&app, &bob, &direct).await;
    let folder = TempDir::new().expect("a folder");
    let file = |name: &str| folder.path().join(name).to_str().expect("a name").to_owned();
    let app = app
        .restart_after(|data| {
            let told = verb::run(data, url.as_deref(), &["export"]).ok();
            fs::write(file("lines.jsonl"), told).expect("a file");
        })
        .await;
    drop(app);
    for collection in ["conversations", "messages"] {
        let program = ["-cn", "--arg", "collection", collection, "-f", "mongo-back.jq"];
        let documents = there(&[&program[..], &[&file("lines.jsonl")]].concat());
        for document in documents.lines() {
            let document: Value = serde_json::from_str(document).expect("a document");
            let own = document["_id"]["$oid"].as_str().expect("an ObjectId");
            assert_eq!(own.len(), 24, "{document}");
        }
        fs::write(file(collection), documents).expect("a file");
    }
    // The same as what was there before, as far as nothing happened to it.
    let documents = fs::read_to_string(file("messages")).expect("the documents");
    let kept = documents.lines().find(|line| line.contains(&id(3, 2))).expect("a message");
    let kept: Value = serde_json::from_str(kept).expect("a document");
    assert_eq!(kept["content"], "Do you have \"the\" file?\nIt is due.");
    assert_eq!(kept["createdAt"], json!({ "$date": "2020-05-01T10:01:00.007Z" }));
    let documents = fs::read_to_string(file("conversations")).expect("the documents");
    assert_eq!(documents.lines().count(), 2);
    let (conversations, messages) = (file("conversations"), file("messages"));
    let lines = there(&[&forth[..], &[files[0], &conversations, &messages]].concat());
    let app = TestApp::start().await;
    let url = app.database_url();
    let app = app.restart_after(|data| takes(&lines, 12)(data, url.as_deref())).await;
    let mut after = seen(&app, &bob, &direct).await;
    // There everything up to the last message counts as read, and a reaction has no time.
    after["unread"] = before["unread"].clone();
    let without_times = |seen: &Value| {
        let mut seen = seen.clone();
        for message in seen["messages"].as_array_mut().expect("messages") {
            for reaction in message["reactions"].as_array_mut().into_iter().flatten() {
                reaction["createdAt"] = Value::Null;
            }
        }
        seen
    };
    assert_eq!(without_times(&after), without_times(&before));
}

#[tokio::test]
async fn a_chat_in_postgres_goes_back() {
    let other = Postgres::shared().database().await;
    let stops = ["-v", "ON_ERROR_STOP=1"];
    let psql =
        |args: &[&str]| made("psql", &[&[other.as_str(), "-XAtq"], &stops[..], args].concat());
    psql(&["-f", "postgres-sample.sql"]);
    let lines = psql(&["-f", "postgres.sql"]);
    let app = TestApp::start().await;
    let url = app.database_url();
    let app = app.restart_after(|data| takes(&lines, 7)(data, url.as_deref())).await;
    let conversation = "0e6b8a4c-5f0c-4a2b-8c4d-5e6f70820001";
    goes_on(&app, ["1", "2"], conversation, ["1", "4"]).await;
    let before = [seen(&app, "1", conversation).await, seen(&app, "2", conversation).await];
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("lines.jsonl");
    let app = app
        .restart_after(|data| {
            let told = verb::run(data, url.as_deref(), &["export"]).ok();
            fs::write(&file, told).expect("a file");
        })
        .await;
    drop(app);
    // Twice is as good as once.
    for _ in 0..2 {
        let mut back = Command::new("psql");
        back.current_dir(FOLDER)
            .args([&other, "-Xq"])
            .args(stops)
            .args(["-f", "postgres-back.sql"]);
        let lines = File::open(&file).expect("the lines");
        Done::from(back.stdin(Stdio::from(lines)).output().expect("psql")).ok();
    }
    assert_eq!(psql(&["-c", "SELECT COUNT(*), MAX(id) FROM messages"]), "6|6\n");
    let lines = psql(&["-f", "postgres.sql"]);
    let app = TestApp::start().await;
    let url = app.database_url();
    let app = app.restart_after(|data| takes(&lines, 9)(data, url.as_deref())).await;
    let after = [seen(&app, "1", conversation).await, seen(&app, "2", conversation).await];
    assert_eq!(after, before);
}
