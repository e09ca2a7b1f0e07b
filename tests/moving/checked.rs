//! A check tells what an import would tell, and changes nothing.

use std::{fs, path::Path};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::verb::{self, conversation, message};
use crate::support::{TestApp, postgres::Postgres};

fn points(id: &str, reference: &str, points: i64) -> Value {
    json!({
        "type": "points", "id": id, "userId": "ann", "points": points, "reason": "a sale",
        "reference": reference, "createdAt": "2020-05-01T10:00:00Z",
    })
}

fn notification(id: &str, user: &str, title: &str) -> Value {
    json!({
        "type": "notification", "id": id, "userId": user, "kind": "news", "title": title,
        "createdAt": "2020-05-01T10:00:00Z",
    })
}

fn account(user: &str, email: &str) -> Value {
    json!({
        "type": "user", "id": user,
        "account": { "email": email, "firstName": "A", "lastName": "B",
            "createdAt": "2020-01-01T00:00:00Z" },
    })
}

fn request(id: &str, title: &str) -> Value {
    json!({
        "type": "request", "id": id, "buyerId": "ann", "title": title, "description": "Green",
        "budget": { "amount": "40", "currency": "USD" }, "status": "open",
        "createdAt": "2020-05-01T10:00:00Z", "updatedAt": "2020-05-01T10:00:00Z",
    })
}

/// What is there already.
fn old() -> Vec<Value> {
    vec![
        conversation("c1", &["ann", "bob"]),
        message("m1", "c1", "ann", 1),
        points("p1", "r1", 10),
        notification("n1", "ann", "Hello"),
        account("ann", "ann@example.org"),
        request("q1", "A lamp"),
    ]
}

/// Lines that are right by themselves, each with what is told of it.
fn conflicts() -> Vec<(Value, &'static str)> {
    let mut edited = message("m1", "c1", "ann", 1);
    edited["content"] = "something else".into();
    edited["createdAt"] = "2020-05-01T10:00:02Z".into();
    vec![
        (edited, "message m1: is there with other content, in /content, /createdAt"),
        (
            conversation("c2", &["bob", "ann"]),
            "conversation c2: its two people have another direct conversation",
        ),
        (points("p1", "r2", 10), "points p1: is there with other content, in /reference"),
        (points("p2", "r3", -11), "points p2: takes more points than there are"),
        (
            notification("n1", "bob", "Goodbye"),
            "notification n1 bob: is there with other content, in /title",
        ),
        (notification("n2", "ann", "One"), ""),
        (
            notification("n2", "bob", "Two"),
            "notification n2 bob: is there with other content, in /title",
        ),
        (account("bob", "ann@example.org"), "user bob: has the e-mail address of another account"),
        (request("q1", "A desk"), "request q1: is there with other content, in /title"),
    ]
}

/// A conversation that is taken in in several portions.
fn long() -> Vec<Value> {
    let mut lines = vec![conversation("long", &["ann", "bob", "carol"])];
    lines.extend((0..4_100).map(|number| {
        let mut line = message(&format!("l{number}"), "long", "ann", number % 3_600);
        line["number"] = (number + 1).into();
        line
    }));
    lines
}

fn faults(complained: &str) -> Vec<&str> {
    complained.lines().filter(|line| line.starts_with("lines.jsonl:")).collect()
}

/// What is beside the store.
fn files(data: &Path) -> Vec<String> {
    let entries = fs::read_dir(data).expect("the folder");
    let name = |entry: fs::DirEntry| entry.file_name().into_string().expect("a name");
    let mut names: Vec<String> = entries.map(|entry| name(entry.expect("a file"))).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_check_tells_just_what_an_import_tells_then() {
    let app = TestApp::start().await;
    let url = app.database_url();
    let app = app
        .restart_after(|data| {
            let url = url.as_deref();
            verb::import(data, url, &old()).ok();
            let conflicts = conflicts();
            let mut lines: Vec<Value> = conflicts.iter().map(|(line, _)| line.clone()).collect();
            lines.extend(long());
            verb::write(&data.join("lines.jsonl"), &lines);
            let (before, beside) = (verb::exported(data, url), files(data));
            let checked = verb::run(data, url, &["import", "--check", "lines.jsonl"]).failed();
            assert_eq!(verb::exported(data, url), before);
            assert_eq!(files(data), beside);
            for (number, (line, told)) in (1..).zip(&conflicts) {
                let told = format!("lines.jsonl:{number}: {told}\n");
                let is_told = !told.ends_with(": \n");
                assert_eq!(checked.contains(&told), is_told, "{line}: {checked}");
            }
            assert!(checked.contains("8 of 4110 lines can't be taken in"), "{checked}");
            let imported = verb::run(data, url, &["import", "lines.jsonl"]).failed();
            assert_eq!(faults(&checked), faults(&imported));
            let again = verb::run(data, url, &["import", "--check", "lines.jsonl"]).failed();
            assert_eq!(faults(&checked), faults(&again));
        })
        .await;
    assert_eq!(app.count("SELECT COUNT(*) FROM messages").await, 4_101);
}

#[tokio::test]
async fn a_check_goes_beside_a_running_server_and_leaves_it_alone() {
    let app = TestApp::start().await;
    let begun = json!({ "participantIds": ["bob"] });
    let begun = app.person("ann").post("/api/conversations", begun).await.created();
    let id = begun["conversation"]["id"].as_str().expect("an id").to_owned();
    let lines = [message("m1", &id, "ann", 1), message("m2", "long", "ann", 1)];
    verb::write(&app.data().join("lines.jsonl"), &[&lines[..1], &long()].concat());
    let (data, url) = (app.data().to_owned(), app.database_url());
    let check = move || verb::run(&data, url.as_deref(), &["import", "--check", "lines.jsonl"]);
    let said = tokio::task::spawn_blocking(check).await.expect("the verb").ok();
    assert_eq!(
        said,
        "4,102 lines: 4,102 can be written, 0 are there already. Nothing is wrong with them.\n\
         conversation: 1 can be written, 0 are there already\n\
         message: 4,101 can be written, 0 are there already\n"
    );
    let path = format!("/api/conversations/{id}/messages");
    let history = app.person("ann").get(&path).await.ok();
    assert_eq!(history["items"], json!([]), "{history}");
    app.person("ann").post(&path, json!({ "content": "live" })).await.created();
}

const READING: [&[&str]; 3] =
    [&["export"], &["export", "--user", "ann"], &["import", "--check", "lines.jsonl"]];

#[test]
fn nothing_is_made_where_a_store_is_only_read() {
    let folder = TempDir::new().expect("a folder");
    let data = folder.path();
    verb::write(&data.join("lines.jsonl"), &[conversation("c1", &["ann", "bob"])]);
    for args in [READING[0], READING[1], &["backup", "copy.db"]] {
        let complained = verb::run(data, None, args).failed();
        let told = format!("there is no {}", data.join("stoa.db").display());
        assert!(complained.contains(&told), "{args:?}: {complained}");
        assert!(complained.contains("stoa migrate"), "{args:?}: {complained}");
    }
    // An import would make one.
    let said = verb::run(data, None, READING[2]).ok();
    assert!(said.contains("1 can be written"), "{said}");
    assert_eq!(files(data), ["lines.jsonl"]);
}

#[test]
fn a_store_of_another_version_is_left_as_it_is() {
    let folder = TempDir::new().expect("a folder");
    let data = folder.path();
    verb::import(data, None, &[conversation("c1", &["ann", "bob"])]).ok();
    for (change, undo, told) in [
        (
            "CREATE TABLE newest AS SELECT * FROM migrations ORDER BY version DESC LIMIT 1;
             DELETE FROM migrations WHERE version = (SELECT version FROM newest)",
            "INSERT INTO migrations SELECT * FROM newest; DROP TABLE newest",
            "`stoa migrate` brings it up to date",
        ),
        (
            "INSERT INTO migrations VALUES (9999, 'later', x'00', 1)",
            "DELETE FROM migrations WHERE version = 9999",
            "it is of a newer version (9999)",
        ),
    ] {
        let sql = |sql: &str| {
            let db = rusqlite::Connection::open(data.join("stoa.db")).expect("the store");
            db.execute_batch(sql).expect(sql);
        };
        sql(change);
        let count = "SELECT COUNT(*) FROM migrations";
        let before = verb::count(data, None, count);
        for args in READING {
            let complained = verb::run(data, None, args).failed();
            assert!(complained.contains(told), "{args:?}: {complained}");
        }
        assert_eq!(verb::count(data, None, count), before);
        if told.contains("newer") {
            let line = [conversation("c1", &["ann", "bob"])];
            let complained = verb::import(data, None, &line).failed();
            assert!(complained.contains(told), "import: {complained}");
        }
        sql(undo);
        for args in READING {
            verb::run(data, None, args).ok();
        }
    }
}

#[tokio::test]
async fn so_is_a_postgres() {
    let url = Postgres::shared().database().await;
    let folder = TempDir::new().expect("a folder");
    let data = folder.path();
    verb::write(&data.join("lines.jsonl"), &[conversation("c1", &["ann", "bob"])]);
    let url = Some(url.as_str());
    let complained = verb::run(data, url, READING[0]).failed();
    assert!(complained.contains("`stoa migrate` makes them"), "{complained}");
    let said = verb::run(data, url, READING[2]).ok();
    assert!(said.contains("1 can be written"), "{said}");
    let tables = "SELECT COUNT(*) FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(verb::count(data, url, tables), Some(0));
    verb::run(data, url, &["import", "lines.jsonl"]).ok();
    let older = "WITH gone AS (DELETE FROM _sqlx_migrations WHERE version =
        (SELECT MAX(version) FROM _sqlx_migrations) RETURNING 1) SELECT COUNT(*) FROM gone";
    assert_eq!(verb::count(data, url, older), Some(1));
    for args in READING {
        let complained = verb::run(data, url, args).failed();
        assert!(
            complained.contains("`stoa migrate` brings it up to date"),
            "{args:?}: {complained}"
        );
    }
}
