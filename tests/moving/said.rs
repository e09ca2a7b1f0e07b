//! What the verbs say, and to whom.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use tempfile::TempDir;

use super::verb::{self, Done, conversation, message};
use crate::support::postgres::Postgres;

const SAYING: [&[&str]; 8] = [
    &["export"],
    &["events"],
    &["events", "--json"],
    &["token", "--user", "ann"],
    &["import", "lines.jsonl"],
    &["import", "--check", "lines.jsonl"],
    &["check-config"],
    &["migrate"],
];

fn store() -> TempDir {
    let folder = TempDir::new().expect("a folder");
    verb::import(folder.path(), None, &[conversation("c1", &["ann", "bob"])]).ok();
    folder
}

fn full() -> Stdio {
    File::options().write(true).open("/dev/full").expect("a device").into()
}

/// A pipe that nobody reads.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

#[test]
fn what_nobody_takes_is_a_failure_and_no_panic() {
    let folder = store();
    for args in SAYING {
        for (to, why) in [(full(), "No space left"), (closed(), "Broken pipe")] {
            let mut command = verb::command(folder.path(), None, args);
            let output = command.stdout(to).stderr(Stdio::piped()).output().expect("the verb");
            let code = output.status.code();
            let complained = Done::from(output).failed();
            assert_eq!(code, Some(1), "{args:?}: {complained}");
            assert!(complained.contains(why), "{args:?}: {complained}");
        }
    }
}

#[test]
fn what_is_said_beside_may_be_lost() {
    let folder = store();
    let bad = [message("m1", "nowhere", "ann", 1)];
    verb::write(&folder.path().join("bad.jsonl"), &bad);
    for to in [full, closed] {
        for args in SAYING {
            let mut command = verb::command(folder.path(), None, args);
            let status = command.stderr(to()).stdout(Stdio::null()).status().expect("the verb");
            assert_eq!(status.code(), Some(0), "{args:?}");
        }
        let mut command = verb::command(folder.path(), None, &["import", "bad.jsonl"]);
        let status = command.stderr(to()).stdout(Stdio::null()).status().expect("the verb");
        assert_eq!(status.code(), Some(1));
    }
}

#[test]
fn an_observer_goes_on_whose_reports_nobody_takes() {
    let folder = TempDir::new().expect("a folder");
    let args = ["observe", "--upstream", "http://127.0.0.1:9", "--listen", "127.0.0.1:0"];
    let mut command = verb::command(folder.path(), None, &args);
    let mut observer = command.stdout(full()).stderr(Stdio::piped()).spawn().expect("the verb");
    let mut complained = BufReader::new(observer.stderr.take().expect("its errors")).lines();
    // The first report is tried at once.
    let failed = complained.find(|line| line.as_ref().is_ok_and(|line| line.contains("No space")));
    assert!(failed.is_some(), "it was told");
    assert!(observer.try_wait().expect("a process").is_none(), "it goes on");
    let id = observer.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().expect("kill").success());
    assert_eq!(observer.wait().expect("its end").code(), Some(1));
}

#[tokio::test]
async fn which_store_it_is_is_told_without_its_password() {
    let folder = store();
    let data = folder.path();
    let sqlite = format!("the store: SQLite, {}\n", data.join("stoa.db").display());
    for args in [&["export"][..], &["import", "lines.jsonl"], &["backup", "copy.db"]] {
        let done = verb::run(data, None, args);
        assert!(done.is_well && done.complained.contains(&sqlite), "{args:?}: {done:?}");
    }
    let url = Postgres::shared().database().await;
    // Nobody asks for it on this socket.
    let url = url.replacen("stoa@", "stoa:hidden-away@", 1);
    assert!(url.contains("hidden-away"), "{url}");
    for args in [&["import", "lines.jsonl"][..], &["import", "--check", "lines.jsonl"], &["export"]]
    {
        let done = verb::run(data, Some(&url), args);
        assert!(done.is_well && done.complained.contains("the store: Postgres, "), "{done:?}");
        assert!(done.complained.contains(", as stoa\n"), "{done:?}");
        assert!(!done.complained.contains("hidden-away"), "{done:?}");
    }
}
