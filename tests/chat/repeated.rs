//! A POST that is sent again tells of its message as that is by then: what was taken back does not
//! come back with the key that it was written under, and is not in the file.

use std::{fs, path::Path};

use serde_json::{Value, json};

use super::{named, text};
use crate::support::{Person, TestApp, app::Answer};

/// What is taken back.
const SECRET: &str = "a-secret-that-nobody-reads-again";

/// What stays.
const PUBLIC: &str = "what-everybody-may-read";

impl Person {
    async fn send(&self, conversation: &str, key: &str, body: &Value) -> Answer {
        let path = format!("/api/conversations/{conversation}/messages");
        self.post_keyed(&path, key, body).await
    }
}

/// The status and the message of an answer that was given before.
fn repeated(answer: &Answer) -> (u16, &Value) {
    assert_eq!(answer.headers["idempotency-replayed"], "true", "{answer:?}");
    assert_eq!(answer.headers["content-type"], "application/json");
    (answer.status.as_u16(), &answer.body["message"])
}

#[tokio::test]
async fn a_deleted_message_is_not_in_a_repeated_answer() {
    let app = TestApp::start().await;
    let (ann, root) = (named(&app, "ann"), app.admin());
    let id = ann.group(&["bob"]).await;
    let file = json!({ "url": SECRET, "name": SECRET, "mimeType": "a/b", "size": 1 });
    let body = json!({ "content": SECRET, "attachments": [file] });
    for (key, by) in [("own", &ann), ("of an admin", &root)] {
        let key = key.replace(' ', "-");
        let first = ann.send(&id, &key, &body).await;
        assert_eq!(first.status, 201, "{first:?}");
        assert_eq!(repeated(&ann.send(&id, &key, &body).await), (201, &first.body["message"]));
        let path = format!("/api/messages/{}", text(&first.body["message"]["id"]));
        assert_eq!(by.delete(&path).await.status, 204);
        let again = ann.send(&id, &key, &body).await;
        let (status, message) = repeated(&again);
        assert!(status == 201 && message["deletedAt"].is_string(), "{again:?}");
        let listed = ann.get(&format!("/api/conversations/{id}/messages?limit=1")).await.ok();
        assert_eq!(*message, listed["items"][0]);
        assert!(!again.body.to_string().contains(SECRET), "{again:?}");
    }
    let listed = ann.get(&format!("/api/conversations/{id}/messages")).await.ok();
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(2), "none was written twice");
}

#[tokio::test]
async fn an_edited_message_is_repeated_as_it_is() {
    let app = TestApp::start().await;
    let [ann, bob] = ["ann", "bob"].map(|name| named(&app, name));
    let id = ann.group(&["bob"]).await;
    let (body, other) = (json!({ "content": SECRET }), json!({ "content": PUBLIC }));
    let first = ann.send(&id, "k", &body).await.ok();
    let untouched = ann.send(&id, "other", &other).await.ok();
    let message = text(&first["message"]["id"]);
    assert_eq!(bob.put(&format!("/api/messages/{message}/reactions/👍")).await.status, 204);
    let path = format!("/api/messages/{message}");
    for content in ["a second secret", "the truth"] {
        let edited = ann.patch(&path, json!({ "content": content })).await.ok();
        let again = ann.send(&id, "k", &body).await;
        assert_eq!(repeated(&again), (201, &edited["message"]), "{content}");
        assert_eq!(again.body["message"]["content"], content);
    }
    let again = ann.send(&id, "other", &other).await;
    assert_eq!(repeated(&again), (201, &untouched["message"]));
}

#[tokio::test]
async fn a_message_is_taken_back_under_each_key_that_gave_it() {
    let app = TestApp::with(|config| config.limits.enabled = false).await;
    let ann = named(&app, "ann");
    let id = ann.group(&["bob"]).await;
    let body = json!({ "content": SECRET, "clientMessageId": "c1" });
    let keys: Vec<_> = (0..20).map(|number| format!("k{number}")).collect();
    let mut message = String::new();
    for (key, status) in keys.iter().zip([201].into_iter().chain([200; 19])) {
        let sent = ann.send(&id, key, &body).await;
        assert_eq!(sent.status, status, "{key}: {sent:?}");
        message = text(&sent.body["message"]["id"]);
    }
    assert_eq!(ann.delete(&format!("/api/messages/{message}")).await.status, 204);
    drop(ann);
    let app = app.restart().await;
    let ann = named(&app, "ann");
    for (number, key) in keys.iter().enumerate() {
        let again = ann.send(&id, key, &body).await;
        assert!(!again.body.to_string().contains(SECRET), "{key}: {again:?}");
        if number < 8 {
            let (status, deleted) = repeated(&again);
            assert_eq!(status, if number == 0 { 201 } else { 200 });
            assert!(deleted["deletedAt"].is_string(), "{again:?}");
        } else {
            // Of one message so many answers are kept, so that taking it back stays small.
            assert_eq!(again.problem(409), "conflict", "{key}");
        }
    }
}

/// Where a text is in a folder's files.
fn holds(folder: &Path, text: &str) -> Vec<String> {
    let files = fs::read_dir(folder).expect("a folder").map(|file| file.expect("a file").path());
    let text = text.as_bytes();
    let has = |path: &Path| {
        let bytes = fs::read(path).expect("a file");
        bytes.windows(text.len()).any(|window| window == text)
    };
    files
        .filter(|path| path.is_file() && has(path))
        .map(|path| path.display().to_string())
        .collect()
}

#[tokio::test]
async fn a_file_holds_nothing_of_what_was_taken_back() {
    let app = TestApp::on_sqlite(|config| config.limits.enabled = false).await;
    let ann = named(&app, "ann");
    let id = ann.group(&["bob"]).await;
    let long = |text: &str, times: usize| json!({ "content": format!("{text} ").repeat(times) });
    let mut secrets = Vec::new();
    for number in 0..60_usize {
        // Among them some that take pages of their own.
        let times = 1 + number * number % 101;
        for (kind, words) in [("secret", SECRET), ("public", PUBLIC)] {
            let sent = ann.send(&id, &format!("{kind}{number}"), &long(words, times)).await;
            assert_eq!(sent.status, 201, "{sent:?}");
            if words == SECRET {
                secrets.push((number, text(&sent.body["message"]["id"])));
            }
        }
    }
    for (number, message) in secrets {
        let path = format!("/api/messages/{message}");
        if number % 3 > 0 {
            let content = long(if number % 3 == 1 { SECRET } else { PUBLIC }, number);
            ann.patch(&path, content).await.ok();
        }
        if number % 3 < 2 {
            assert_eq!(ann.delete(&path).await.status, 204);
        }
    }
    drop(ann);
    let look = |folder: &Path| {
        assert!(!holds(folder, PUBLIC).is_empty(), "what is there is found");
        assert_eq!(holds(folder, SECRET), [""; 0]);
    };
    app.restart_after(look).await;
}
