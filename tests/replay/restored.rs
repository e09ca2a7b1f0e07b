//! A store that was restored from a backup knows less than its clients.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use serde_json::{Value, json};

use tempfile::TempDir;

use super::{DIALECTS, say_all, unlimited};
use crate::{
    kill::{Request, Server, token},
    support::{Client, DEADLINE, Options, TestApp, app::SECRET, within_time},
};

/// A verb of the binary, with this data folder.
fn stoa(verb: &str, data: &Path, url: Option<String>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stoa"));
    command.arg(verb).env_clear().current_dir(data);
    command.env("STOA_DATA", data).env("JWT_SECRET", SECRET);
    command.envs(url.map(|url| ("DATABASE_URL", url)));
    command.output().expect("the verb")
}

async fn join(user: &mut Client, conversation: &str, since: Option<i64>) -> Value {
    let join = json!({ "conversationId": conversation, "since": since });
    user.emit_ack("conversation:join", join).await
}

/// Joins since the last that was heard, and expects to be told that it is not known any more; after
/// that what is missed comes again.
async fn starts_anew(app: &TestApp, conversation: &str, heard: i64, epoch: &Value) {
    for dialect in &DIALECTS {
        let mut bob = app.user("bob").await;
        let ack = dialect.join(&mut bob, conversation, heard).await;
        assert_eq!((&ack["success"], &ack["recovered"]), (&json!(true), &json!(false)), "{ack}");
        assert_ne!(&ack["epoch"], epoch, "another life");
        let seq = ack["seq"].as_i64().expect("a number");
        bob.close().await;
        say_all(app, conversation, 1..=2).await;
        let mut bob = app.user("bob").await;
        let ack = dialect.join(&mut bob, conversation, seq).await;
        assert_eq!((&ack["recovered"], &ack["replayed"]), (&json!(true), &json!(2)), "{ack}");
    }
}

#[tokio::test]
async fn a_file_that_is_older_than_its_mark_is_noticed() {
    let app = TestApp::on_sqlite(|config| config.limits.enabled = false).await;
    let conversation = app.person("ann").group(&["bob"]).await;
    say_all(&app, &conversation, 1..=3).await;
    let copy = |from: &str, to: &str| {
        let (from, to) = (from.to_owned(), to.to_owned());
        move |data: &Path| {
            fs::copy(data.join(from), data.join(to)).expect("a copy");
        }
    };
    let app = app.restart_after(copy("stoa.db", "backup")).await;
    let mut bob = app.user("bob").await;
    let ack = join(&mut bob, &conversation, None).await;
    assert_eq!(ack["seq"], 3, "a restart alone changes nothing");
    let epoch = ack["epoch"].clone();
    say_all(&app, &conversation, 4..=8).await;
    // Carol's own stream began after the backup.
    for _ in 0..2 {
        app.person("ann").group(&["carol"]).await;
    }
    let mut carol = app.user("carol").await;
    let own = |since: i64| json!({ "userId": "carol", "since": since });
    assert_eq!(carol.emit_ack("join-user-room", own(2)).await["recovered"], true);

    let app = app.restart_after(copy("backup", "stoa.db")).await;
    say_all(&app, &conversation, 1..=50).await;
    starts_anew(&app, &conversation, 8, &epoch).await;
    for _ in 0..3 {
        app.person("ann").group(&["carol"]).await;
    }
    let mut carol = app.user("carol").await;
    let ack = carol.emit_ack("join-user-room", own(2)).await;
    assert_eq!(ack["recovered"], false, "{ack}");
    let mut bob = app.user("bob").await;
    let now = join(&mut bob, &conversation, None).await;
    let app = app.restart().await;
    let mut bob = app.user("bob").await;
    let same = join(&mut bob, &conversation, None).await;
    assert_eq!((&same["epoch"], &same["seq"]), (&now["epoch"], &now["seq"]), "it is new once");
}

#[tokio::test]
async fn a_file_without_its_mark_counts_as_restored() {
    let app = TestApp::on_sqlite(|config| config.limits.enabled = false).await;
    let conversation = app.person("ann").group(&["bob"]).await;
    say_all(&app, &conversation, 1..=3).await;
    let mut bob = app.user("bob").await;
    let epoch = join(&mut bob, &conversation, None).await["epoch"].clone();
    let remove = |data: &Path| fs::remove_file(data.join("stoa.db-mark")).expect("the mark");
    let app = app.restart_after(remove).await;
    starts_anew(&app, &conversation, 3, &epoch).await;
}

/// Starts again after the operator has said that the store was restored.
async fn restored(app: TestApp) -> TestApp {
    let url = app.database_url();
    let say_so = |data: &Path| {
        let done = stoa("restored", data, url);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    let restarted = Box::pin(app.restart_after(say_so));
    within_time(2 * DEADLINE, "a restart", restarted).await
}

#[tokio::test]
async fn an_operator_says_that_the_store_was_restored() {
    let app = unlimited().await;
    let conversation = app.person("ann").group(&["bob"]).await;
    say_all(&app, &conversation, 1..=3).await;
    let mut bob = app.user("bob").await;
    let epoch = join(&mut bob, &conversation, None).await["epoch"].clone();
    let app = restored(app).await;
    starts_anew(&app, &conversation, 3, &epoch).await;
}

/// Bob, at a server of its own.
async fn bob(server: &Server) -> Client {
    let options = Options::websocket().token(&token("bob", &[]));
    Client::connect(server.address, options).await.expect("a connection")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_put_beside_the_log_of_one_that_was_killed_is_refused() {
    let data = TempDir::new().expect("a folder");
    let path = |name: &str| data.path().join(name);
    let server = Server::start(data.path(), None).await;
    let people = json!({ "participantIds": ["bob"], "type": "group" });
    let made = server.request("ann", Request::Post("/conversations", people)).await;
    let conversation = made["conversation"]["id"].as_str().expect("an id").to_owned();
    let messages = format!("/conversations/{conversation}/messages");
    let say = async |server: &Server, content: &str| {
        let body = json!({ "content": content });
        server.request("ann", Request::Post(&messages, body)).await;
    };
    say(&server, "kept").await;
    let running = rusqlite::Connection::open(path("stoa.db")).expect("the database");
    running.execute("VACUUM INTO ?1", [path("backup").to_str()]).expect("a backup");
    drop(running);
    for _ in 0..8 {
        say(&server, "lost").await;
    }
    let heard = join(&mut bob(&server).await, &conversation, None).await;
    assert_eq!(heard["seq"], 9, "{heard}");
    server.kill().await;

    fs::copy(path("backup"), path("stoa.db")).expect("the backup");
    for verb in ["migrate", "restored"] {
        let refused = stoa(verb, data.path(), None);
        let why = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success(), "{verb}");
        assert!(why.contains("stoa.db-wal") && why.contains("stoa.db-shm"), "{verb}: {why}");
    }
    for log in ["stoa.db-wal", "stoa.db-shm"] {
        fs::remove_file(path(log)).expect("the log");
    }
    let server = Server::start(data.path(), None).await;
    let kept = server.request("ann", Request::Get(&messages)).await;
    assert_eq!(kept["items"].as_array().map(Vec::len), Some(1), "{kept}");
    let again = join(&mut bob(&server).await, &conversation, heard["seq"].as_i64()).await;
    assert_eq!(again["recovered"], false, "{again}");
    assert_ne!(again["epoch"], heard["epoch"]);
}

#[tokio::test]
async fn what_begins_after_a_restore_is_known_from_its_beginning() {
    let app = unlimited().await;
    let app = restored(app).await;
    for dialect in &DIALECTS {
        let conversation = app.person("ann").group(&["bob"]).await;
        let mut bob = app.user("bob").await;
        let first = join(&mut bob, &conversation, None).await;
        bob.close().await;
        let begins = first["seq"].as_i64().expect("a number");
        let mut epochs = vec![first["epoch"].clone()];
        for since in [begins, 0] {
            let mut bob = app.user("bob").await;
            let ack = dialect.join(&mut bob, &conversation, since).await;
            assert_eq!((&ack["recovered"], &ack["replayed"]), (&json!(true), &json!(0)), "{ack}");
            assert_eq!(ack["seq"], begins);
            epochs.push(ack["epoch"].clone());
        }
        say_all(&app, &conversation, 1..=2).await;
        for (since, missed) in [(begins, Some(2)), (0, Some(2)), (begins + 1, Some(1)), (1, None)] {
            let mut bob = app.user("bob").await;
            let ack = dialect.join(&mut bob, &conversation, since).await;
            assert_eq!(ack["replayed"].as_i64(), missed, "since {since}: {ack}");
            assert_eq!(
                (&ack["recovered"], &ack["seq"]),
                (&json!(missed.is_some()), &json!(begins + 2))
            );
            epochs.push(ack["epoch"].clone());
        }
        epochs.dedup();
        assert_eq!(epochs.len(), 1, "one life: {epochs:?}");
    }
}

#[tokio::test]
async fn who_heard_nothing_before_a_restore_is_not_told_that_nothing_is_missing() {
    let app = unlimited().await;
    let conversation = app.person("ann").group(&["bob"]).await;
    say_all(&app, &conversation, 1..=2).await;
    let app = restored(app).await;
    for said in [0, 1] {
        say_all(&app, &conversation, 1..=said).await;
        for dialect in &DIALECTS {
            let mut bob = app.user("bob").await;
            let ack = dialect.join(&mut bob, &conversation, 0).await;
            assert_eq!(ack["recovered"], false, "what was before is not replayed: {ack}");
        }
    }
    // Who comes in now does not hear what was before them, and the others do.
    let path = format!("/api/conversations/{conversation}/participants");
    let body = json!({ "userId": "cat" });
    let ann = app.person("ann");
    ann.post(&path, body).await.ok();
    let mut cat = app.user("cat").await;
    let stands = join(&mut cat, &conversation, None).await;
    let seq = stands["seq"].as_i64().expect("a number");
    say_all(&app, &conversation, 1..=1).await;
    let mut cat = app.user("cat").await;
    let ack = join(&mut cat, &conversation, Some(seq - 3)).await;
    assert_eq!(ack["recovered"], true, "{ack}");
    assert_eq!(cat.queued("message:new").len(), 1);
}
