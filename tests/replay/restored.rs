//! A store that was restored from a backup knows less than its clients.

use std::{fs, path::Path};

use serde_json::{Value, json};

use super::{DIALECTS, group, say_all, unlimited};
use crate::support::{DEADLINE, TestApp, User, app::SECRET, within_time};

async fn join(user: &mut User, conversation: &str, since: Option<i64>) -> Value {
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
        bob.into_client().close().await;
        say_all(app, conversation, 1..=2).await;
        let mut bob = app.user("bob").await;
        let ack = dialect.join(&mut bob, conversation, seq).await;
        assert_eq!((&ack["recovered"], &ack["replayed"]), (&json!(true), &json!(2)), "{ack}");
    }
}

#[tokio::test]
async fn a_file_that_is_older_than_its_mark_is_noticed() {
    let app = unlimited().await;
    let conversation = group(&app, &["bob"]).await;
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
        group(&app, &["carol"]).await;
    }
    let mut carol = app.user("carol").await;
    let own = |since: i64| json!({ "userId": "carol", "since": since });
    assert_eq!(carol.emit_ack("join-user-room", own(2)).await["recovered"], true);

    let app = app.restart_after(copy("backup", "stoa.db")).await;
    say_all(&app, &conversation, 1..=50).await;
    starts_anew(&app, &conversation, 8, &epoch).await;
    for _ in 0..3 {
        group(&app, &["carol"]).await;
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
    let app = unlimited().await;
    let conversation = group(&app, &["bob"]).await;
    say_all(&app, &conversation, 1..=3).await;
    let mut bob = app.user("bob").await;
    let epoch = join(&mut bob, &conversation, None).await["epoch"].clone();
    let remove = |data: &Path| fs::remove_file(data.join("stoa.db-mark")).expect("the mark");
    let app = app.restart_after(remove).await;
    starts_anew(&app, &conversation, 3, &epoch).await;
}

#[tokio::test]
async fn an_operator_says_that_the_store_was_restored() {
    let app = unlimited().await;
    let conversation = group(&app, &["bob"]).await;
    say_all(&app, &conversation, 1..=3).await;
    let mut bob = app.user("bob").await;
    let epoch = join(&mut bob, &conversation, None).await["epoch"].clone();
    let url = app.database_url();
    let restored = |data: &Path| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_stoa"));
        command.arg("restored").env_clear().current_dir(data);
        command.env("STOA_DATA", data).env("JWT_SECRET", SECRET);
        command.envs(url.map(|url| ("DATABASE_URL", url)));
        let done = command.output().expect("the verb");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    let restarted = Box::pin(app.restart_after(restored));
    let app = within_time(2 * DEADLINE, "a restart", restarted).await;
    starts_anew(&app, &conversation, 3, &epoch).await;
}
