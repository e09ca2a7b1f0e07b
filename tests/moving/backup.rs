//! Copies of a store that a server works with.

use std::{fs, os::unix::fs::PermissionsExt};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::verb;
use crate::support::{DEADLINE, TestApp, eventually, postgres::Postgres, within, within_time};

async fn send(app: &TestApp, content: &str) {
    let group = json!({ "participantIds": ["bob"], "type": "group", "title": content });
    app.person("ann").post("/api/conversations", group).await.created();
}

async fn titles(app: &TestApp) -> Vec<Value> {
    let listed = app.person("ann").get("/api/conversations").await.ok();
    let mut titles: Vec<Value> =
        listed["items"].as_array().expect("items").iter().map(|c| c["title"].clone()).collect();
    titles.sort_by_key(ToString::to_string);
    titles
}

#[tokio::test]
async fn a_backup_of_a_running_server_has_all_that_was_acknowledged_before() {
    let app = TestApp::with(|config| config.database.url = None).await;
    send(&app, "before").await;
    let elsewhere = TempDir::new().expect("a folder");
    let copy = elsewhere.path().join("copy.db");
    let name = copy.to_str().expect("a name").to_owned();
    let app = {
        let data = app.data().to_owned();
        let back = tokio::task::spawn_blocking({
            let name = name.clone();
            move || verb::run(&data, None, &["backup", &name])
        });
        let said = back.await.expect("the verb").ok();
        assert!(said.starts_with("The store was copied to "), "{said}");
        app
    };
    assert_eq!(fs::metadata(&copy).expect("the copy").permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(elsewhere.path()).expect("the folder").count(), 1);
    send(&app, "after").await;
    // A file that is there is left as it is.
    let complained = verb::run(app.data(), None, &["backup", &name]).failed();
    assert!(complained.contains("copy.db is there already"), "{complained}");
    // In an empty folder it is a store, whose streams start anew.
    let restored = TestApp::with(|config| config.database.url = None).await;
    let restored = restored
        .restart_after(|data| {
            for file in fs::read_dir(data).expect("the folder") {
                fs::remove_file(file.expect("a file").path()).expect("its end");
            }
            fs::copy(&copy, data.join("stoa.db")).expect("the copy");
        })
        .await;
    assert_eq!(titles(&restored).await, ["before"]);
    assert_eq!(titles(&app).await, ["after", "before"]);
}

#[tokio::test]
async fn a_bare_copy_lacks_what_was_written_a_moment_ago_and_no_more() {
    let app = TestApp::with(|config| config.database.url = None).await;
    send(&app, "before").await;
    let elsewhere = TempDir::new().expect("a folder");
    let copied = async || {
        let copy = elsewhere.path().join("stoa.db");
        fs::copy(app.data().join("stoa.db"), &copy).expect("the file");
        let copy = rusqlite::Connection::open(&copy).expect("the copy");
        let rows = copy.query_row("SELECT COUNT(*) FROM conversations", [], |row| row.get(0));
        rows.ok().filter(|rows: &i64| *rows == 1)
    };
    within("a quiet moment", eventually(copied)).await;
}

#[tokio::test]
async fn postgres_is_not_copied_by_us() {
    let url = Postgres::shared().database().await;
    let folder = TempDir::new().expect("a folder");
    let complained = verb::run(folder.path(), Some(&url), &["backup", "copy.db"]).failed();
    assert!(complained.contains("pg_dump"), "{complained}");
    assert!(!folder.path().join("copy.db").exists());
}

#[tokio::test]
async fn a_second_process_on_the_file_waits_then_says_so_and_stops() {
    let app = TestApp::with(|config| config.database.url = None).await;
    let data = app.data().to_owned();
    let export = tokio::task::spawn_blocking(move || {
        let mut command = verb::command(&data, None, &["export"]);
        verb::Done::from(command.env("DRAIN_TIMEOUT", "1s").output().expect("the verb"))
    });
    let complained = within_time(3 * DEADLINE, "the end of its patience", export)
        .await
        .expect("the verb")
        .failed();
    let told = format!("another process works with {}", app.data().join("stoa.db").display());
    assert!(complained.contains(&told), "{complained}");
    send(&app, "still").await;
}
