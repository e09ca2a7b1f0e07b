//! What only SQLite can go through: one writer, one file, one disk.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, pin::pin, sync::mpsc, time::Duration};

use futures_util::{FutureExt, future::join_all};
use stoa::{
    clock::Clock,
    db::Tx,
    error::{Code, Error, Result},
    params,
};
use tokio::sync::oneshot;

use super::engine::{BlockedWriter, Store, happened, in_time};

const NOTE: &str = "INSERT INTO notes (id, text) VALUES ($1, $2)";

async fn with_notes() -> Store {
    let store = Store::sqlite(Clock::system()).await;
    store.run(&["CREATE TABLE notes (id BIGINT NOT NULL PRIMARY KEY, text TEXT NOT NULL)"]).await;
    store
}

async fn note(store: &Store, id: i64, bytes: usize) -> Result<()> {
    let text = "x".repeat(bytes);
    let unit = async move |tx: &mut Tx<'_>| {
        tx.announce(happened("c1", id));
        tx.execute(NOTE, &params![id, text]).await?;
        Ok(())
    };
    store.db.write(unit).await
}

fn unavailable(error: &Error) {
    assert_eq!(error.code(), Code::Unavailable, "{error:?}");
    assert!(error.retry_after().is_some());
}

#[tokio::test]
async fn a_unit_awaits_nothing_but_its_transaction() {
    let store = with_notes().await;
    let sleeps = async |tx: &mut Tx<'_>| {
        tx.execute(NOTE, &params![1, "a"]).await?;
        tokio::task::yield_now().await;
        Ok(())
    };
    assert_eq!(store.db.write(sleeps).await.expect_err("a refusal").code(), Code::Internal);
    let reads = async |_: &mut Tx<'_>| {
        tokio::task::yield_now().await;
        Ok(())
    };
    assert_eq!(store.db.read(reads).await.expect_err("a refusal").code(), Code::Internal);
    assert_eq!(store.number("SELECT COUNT(*) FROM notes").await, 0);
}

#[tokio::test]
async fn a_full_disk_is_told_and_passes() {
    let store = with_notes().await;
    let limit = async |tx: &mut Tx<'_>| Ok(tx.all("PRAGMA max_page_count = 40", &[]).await?);
    store.db.write(limit).await.expect("a limit");
    let blocked = BlockedWriter::block(&store.db).await;
    let small = note(&store, 1, 10);
    let large = note(&store, 2, 1_000_000);
    let (small, large, ()) = tokio::join!(small, large, blocked.release());
    // SQLite gives up the transaction, so the one that had room is told the same.
    unavailable(&large.expect_err("there is no room"));
    unavailable(&small.expect_err("it is lost with the other"));
    assert!(!store.db.is_available());
    assert_eq!(store.number("SELECT COUNT(*) FROM notes").await, 0, "it can still be read");

    let more = async |tx: &mut Tx<'_>| Ok(tx.all("PRAGMA max_page_count = 4000", &[]).await?);
    store.db.write(more).await.expect("room");
    store.becomes(true).await;
    note(&store, 2, 1_000_000).await.expect("there is room");
    let sent: Vec<_> = store.sent().into_iter().map(|(_, seq, data)| (seq, data)).collect();
    assert_eq!(sent, [(1, "2".to_owned())]);
}

#[tokio::test]
async fn a_transaction_that_is_given_up_takes_its_units_with_it() {
    let store = with_notes().await;
    let blocked = BlockedWriter::block(&store.db).await;
    let before = note(&store, 1, 1);
    // As SQLite itself does when it can't go on.
    let ends = store.db.write(async |tx| Ok(tx.execute("ROLLBACK", &[]).await?));
    let after = note(&store, 2, 1);
    let (before, ends, after, ()) = tokio::join!(before, ends, after, blocked.release());
    for lost in [before, ends.map(drop), after] {
        unavailable(&lost.expect_err("the transaction is lost"));
    }
    assert_eq!((store.number("SELECT COUNT(*) FROM notes").await, store.sent()), (0, vec![]));
    note(&store, 3, 1).await.expect("the next transaction");
    assert_eq!(store.sent().len(), 1);
    store.becomes(true).await;
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_is_not_done_in_its_turn_either() {
    let store = with_notes().await;
    let blocked = BlockedWriter::block(&store.db).await;
    let (begun, has_begun) = oneshot::channel();
    let (go_on, goes_on) = mpsc::channel();
    let before = async move |_: &mut Tx<'_>| {
        let _ = begun.send(());
        goes_on.recv().expect("a word to go on");
        Ok(())
    };
    let mut before = pin!(store.db.write(before));
    let mut given_up = Box::pin(note(&store, 1, 1));
    // They come into one transaction: both wait when the writer is free.
    assert!(before.as_mut().now_or_never().is_none());
    assert!(given_up.as_mut().now_or_never().is_none());
    blocked.release().await;
    has_begun.await.expect("the one before has begun");
    drop(given_up);
    go_on.send(()).expect("a unit that waits");
    before.await.expect("it is kept");
    assert_eq!((store.number("SELECT COUNT(*) FROM notes").await, store.sent()), (0, vec![]));
}

#[tokio::test]
async fn a_log_that_goes_with_its_last_connection_is_made_anew() {
    let store = with_notes().await;
    let log = store.folder.path().join("stoa.db-wal");
    let lost = async {
        while log.exists() {
            // What fails so is closed: those that read, then the one that writes.
            let reads =
                || store.db.read(async |tx| Ok(tx.execute("DELETE FROM notes", &[]).await?));
            let (one, two) = tokio::join!(reads(), reads());
            unavailable(&one.expect_err("it may only read"));
            unavailable(&two.expect_err("it may only read"));
            let ends = store.db.write(async |tx| Ok(tx.execute("ROLLBACK", &[]).await?)).await;
            unavailable(&ends.expect_err("the transaction is lost"));
        }
    };
    in_time(lost).await;
    store.becomes(true).await;
    note(&store, 1, 1).await.expect("the next transaction");
}

#[tokio::test]
async fn more_than_the_queue_holds_is_refused() {
    let store = with_notes().await;
    let blocked = BlockedWriter::block(&store.db).await;
    let units = join_all((0..5000).map(|id| note(&store, id, 1)));
    let (done, ()) = tokio::join!(units, blocked.release());
    let refused: Vec<_> = done.into_iter().filter_map(Result::err).collect();
    refused.iter().for_each(unavailable);
    assert_eq!(refused.len(), 5000 - 4096);
    assert_eq!(store.number("SELECT COUNT(*) FROM notes").await, 4096);
    assert!(store.db.is_available());
}

#[tokio::test]
async fn a_statement_that_changes_without_an_end_leaves_those_behind_it_alone() {
    const ENDLESS: &str = "
        WITH RECURSIVE n (i) AS (SELECT 1000 UNION ALL SELECT i + 1 FROM n)
        INSERT INTO notes (id, text) SELECT i, 'a' FROM n";
    let store = with_notes().await;
    let store = store.again(|config| config.write_timeout = Duration::from_millis(300)).await;
    let blocked = BlockedWriter::block(&store.db).await;
    let endless = store.db.write(async |tx| Ok(tx.execute(ENDLESS, &[]).await?));
    let (endless, behind, ()) = tokio::join!(endless, note(&store, 2, 1), blocked.release());
    unavailable(&endless.expect_err("it has no end"));
    behind.expect("the next");
    assert_eq!(store.number("SELECT COUNT(*) FROM notes").await, 1);
    assert!(store.db.is_available());
}

#[tokio::test]
async fn a_caller_who_has_gone_gets_nothing_done() {
    let store = with_notes().await;
    let blocked = BlockedWriter::block(&store.db).await;
    assert!(note(&store, 1, 1).now_or_never().is_none(), "it waits, and then nobody does");
    blocked.release().await;
    note(&store, 2, 1).await.expect("the next");
    assert_eq!(store.number("SELECT COUNT(*) FROM notes").await, 1);
}

#[tokio::test]
async fn the_files_are_for_their_owner_only() {
    let store = with_notes().await;
    let mut files: Vec<_> = fs::read_dir(store.folder.path())
        .expect("the folder")
        .map(|file| file.expect("a file"))
        .map(|file| (file.file_name().into_string().expect("a name"), file.metadata().expect("it")))
        .map(|(name, data)| (name, data.permissions().mode() & 0o777))
        .collect();
    files.sort();
    let names = ["stoa.db", "stoa.db-lock", "stoa.db-mark", "stoa.db-shm", "stoa.db-wal"];
    assert_eq!(files, names.map(|name| (name.to_owned(), 0o600)));
    store.db.close().await;
    let left = fs::read_dir(store.folder.path()).expect("the folder").count();
    assert_eq!(left, 3, "closing folds the log in");
}

#[tokio::test]
async fn a_database_whose_migrations_changed_is_refused_and_one_of_a_newer_version_is_not() {
    let store = with_notes().await;
    store.run(&["UPDATE migrations SET checksum = X'00' WHERE version = 1"]).await;
    store.db.close().await;
    let changed = store.reopen().await.err().expect("a refusal").to_string();
    assert!(changed.ends_with("migration 1 has changed since"), "{changed}");

    let store = with_notes().await;
    store.run(&["INSERT INTO migrations VALUES (9999, 'of tomorrow', X'00', 0)"]).await;
    store.db.close().await;
    let newer = store.reopen().await.expect("a store that only has more");
    let count = async |tx: &mut Tx<'_>| Ok(tx.all("SELECT id FROM notes", &[]).await?.len());
    assert_eq!(newer.read(count).await.expect("a read"), 0);
}

#[tokio::test]
async fn a_file_that_another_works_with_is_waited_for() {
    let store = with_notes().await;
    let refused = store.reopen_within(Duration::ZERO).await.err().expect("a refusal");
    assert!(refused.to_string().contains("another process works with"), "{refused}");
    let mut waiting = pin!(store.reopen_within(Duration::from_secs(20)));
    let early = tokio::time::timeout(Duration::from_millis(300), &mut waiting).await;
    assert!(early.is_err(), "the file is not free");
    note(&store, 1, 10).await.expect("a note");
    store.db.close().await;
    let db = in_time(waiting).await.expect("the file is free");
    let count = async |tx: &mut Tx<'_>| Ok(tx.all("SELECT id FROM notes", &[]).await?.len());
    assert_eq!(db.read(count).await.expect("a read"), 1);
}

#[tokio::test]
async fn files_that_were_removed_are_noticed_until_they_are_back() {
    let store = with_notes().await;
    let away = store.folder.path().join("away");
    let parts = ["stoa.db", "stoa.db-wal", "stoa.db-shm"];
    for removed in [&parts[..], &parts[..1], &parts[1..2]] {
        fs::create_dir(&away).expect("a folder");
        let move_all = |from: &Path, to: &Path| {
            for part in removed {
                fs::rename(from.join(part), to.join(part)).expect("a file");
            }
        };
        move_all(store.folder.path(), &away);
        store.becomes(false).await;
        unavailable(&note(&store, 1, 10).await.expect_err("it would be lost"));
        let read = async |tx: &mut Tx<'_>| Ok(tx.all("SELECT id FROM notes", &[]).await?.len());
        unavailable(&store.db.read(read).await.expect_err("it is not there"));
        move_all(&away, store.folder.path());
        fs::remove_dir(&away).expect("an empty folder");
        store.becomes(true).await;
    }
    note(&store, 1, 10).await.expect("a note");
}

#[tokio::test]
async fn another_file_in_its_place_is_not_taken_for_it() {
    let store = with_notes().await;
    let file = store.folder.path().join("stoa.db");
    let other = store.folder.path().join("other");
    fs::copy(&file, &other).expect("a copy");
    fs::rename(&other, &file).expect("a backup is put back");
    store.becomes(false).await;
    unavailable(&note(&store, 1, 10).await.expect_err("it would be lost"));
}
