//! SQLite's file, put back from a backup.

use std::{fs, os::unix::fs::MetadataExt, path::Path, time::Duration};

use futures_util::future::join_all;
use rusqlite::Connection;
use stoa::{
    clock::{Clock, Timestamp},
    config::Config,
    db::{self, Db, StreamPosition, Tx, prune_events},
    params,
};
use tempfile::TempDir;

use super::engine::{Store, happened};

/// What is beside the database.
const BESIDE: [&str; 3] = ["stoa.db-wal", "stoa.db-shm", "stoa.db-mark"];

async fn say(db: &Db, data: i64) {
    let say = async move |tx: &mut Tx<'_>| {
        tx.announce(happened("c1", data));
        Ok(())
    };
    db.write(say).await.expect("a unit");
}

/// More than the log keeps until it is folded in.
async fn say_much(db: &Db) {
    let note = |id: i64| {
        let text = "x".repeat(100_000);
        db.write(async move |tx: &mut Tx<'_>| {
            tx.execute("INSERT INTO notes (id, text) VALUES ($1, $2)", &params![id, text]).await?;
            Ok(())
        })
    };
    for done in join_all((0..300).map(note)).await {
        done.expect("a note");
    }
}

async fn with_notes() -> Store {
    let store = Store::sqlite(Clock::system()).await;
    store.run(&["CREATE TABLE notes (id BIGINT NOT NULL PRIMARY KEY, text TEXT NOT NULL)"]).await;
    store
}

async fn position(db: &Db) -> StreamPosition {
    let stream = happened("c1", 0).stream;
    let read = async move |tx: &mut Tx<'_>| Ok(db::position(tx, &stream).await?);
    db.read(read).await.expect("an answer").expect("a position")
}

async fn open(folder: &Path) -> db::Result<Db> {
    let config = Config::for_tests().database;
    Db::open(&config, folder, Clock::system(), Duration::ZERO).await
}

/// A copy of a database with its log, as one file.
fn copy_whole(folder: &Path, to: &Path) {
    fs::copy(folder.join("stoa.db"), to).expect("a copy");
    let mut log = to.as_os_str().to_owned();
    log.push("-wal");
    fs::copy(folder.join("stoa.db-wal"), log).expect("a copy of the log");
    let whole = Connection::open(to).expect("the copy");
    whole.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).expect("one file");
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Backup {
    /// `VACUUM INTO` of a running store.
    Vacuumed,
    /// A copy of the file of a stopped store.
    Stopped,
    /// A copy of all pages of a running store, made when the log was another.
    Pages,
}

/// Puts a backup in the place of a store that was killed, beside its log.
async fn beside_a_log(backup: Backup, long: bool) {
    let mut store = with_notes().await;
    say(&store.db, 1).await;
    if backup == Backup::Stopped {
        store.db.close().await;
        fs::copy(store.folder.path().join("stoa.db"), store.folder.path().join("backup"))
            .expect("a copy");
        store = store.again(|_| ()).await;
    }
    let folder = store.folder.path();
    let file = folder.join("backup");
    match backup {
        Backup::Vacuumed => {
            let connection = Connection::open(folder.join("stoa.db")).expect("the file");
            let into = format!("VACUUM INTO '{}'", file.display());
            connection.execute_batch(&into).expect("a backup");
        }
        Backup::Stopped => {}
        Backup::Pages => copy_whole(folder, &file),
    }
    let epoch = position(&store.db).await.epoch;
    say(&store.db, 2).await;
    if long {
        say_much(&store.db).await;
        say(&store.db, 3).await;
    }
    // What a kill leaves.
    let killed = TempDir::new().expect("a folder");
    for name in BESIDE {
        fs::copy(folder.join(name), killed.path().join(name)).expect("a copy");
    }
    fs::copy(&file, killed.path().join("stoa.db")).expect("the backup");

    let files = ["stoa.db", "stoa.db-wal"].map(|name| killed.path().join(name));
    let before = files.each_ref().map(|file| fs::read(file).expect("a file"));
    let refused = open(killed.path()).await.err();
    let refused = refused.unwrap_or_else(|| panic!("{backup:?}, long: {long}")).to_string();
    assert!(refused.contains("stoa.db-wal") && refused.contains("stoa.db-shm"), "{refused}");
    let after = files.each_ref().map(|file| fs::read(file).expect("a file"));
    assert!(before == after, "{backup:?}, long: {long}: nothing is touched");

    for name in ["stoa.db-wal", "stoa.db-shm"] {
        fs::remove_file(killed.path().join(name)).expect("a file");
    }
    let db = open(killed.path()).await.expect("the backup");
    let now = position(&db).await;
    assert_ne!(now.epoch, epoch, "{backup:?}, long: {long}");
    assert!(now.seq > 1_000, "its numbers are new");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_belongs_to_another_file_is_refused_and_left() {
    for backup in [Backup::Vacuumed, Backup::Stopped, Backup::Pages] {
        for long in [false, true] {
            if backup != Backup::Pages || long {
                Box::pin(beside_a_log(backup, long)).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_without_its_file_is_refused_and_left() {
    let store = with_notes().await;
    say(&store.db, 1).await;
    let killed = TempDir::new().expect("a folder");
    let log = killed.path().join("stoa.db-wal");
    fs::copy(store.folder.path().join("stoa.db-wal"), &log).expect("a copy");
    let bytes = fs::metadata(&log).expect("the log").len();
    let refused = open(killed.path()).await.err().expect("a refusal").to_string();
    assert!(refused.contains("stoa.db-wal"), "{refused}");
    assert_eq!(fs::metadata(&log).expect("the log").len(), bytes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_was_copied_after_a_kill_goes_on() {
    for long in [false, true] {
        let store = with_notes().await;
        say(&store.db, 1).await;
        if long {
            say_much(&store.db).await;
            say(&store.db, 2).await;
        }
        let before = position(&store.db).await;
        let killed = TempDir::new().expect("a folder");
        for name in BESIDE.into_iter().chain(["stoa.db"]) {
            let from = store.folder.path().join(name);
            fs::copy(from, killed.path().join(name)).expect("a copy");
        }
        let db = open(killed.path()).await.expect("a store");
        assert_eq!(position(&db).await, before, "long: {long}");
        db.close().await;
        let db = open(killed.path()).await.expect("a store");
        assert_eq!(position(&db).await, before, "long: {long}");
    }
}

/// Restores the backup of a stopped store; it is to be noticed whatever happened meanwhile.
async fn is_noticed<F: Future<Output = Store>>(
    clock: Clock,
    backup_after: impl AsyncFn(Store) -> Store,
    meanwhile: impl FnOnce(Store) -> F,
) {
    let store = backup_after(Store::sqlite(clock).await).await;
    let before = position(&store.db).await;
    store.db.close().await;
    let file = store.folder.path().join("stoa.db");
    let backup = store.folder.path().join("backup");
    fs::copy(&file, &backup).expect("a copy");
    let store = meanwhile(store.again(|_| ()).await).await;
    store.db.close().await;
    fs::copy(&backup, &file).expect("the backup");
    let store = store.again(|_| ()).await;
    let now = position(&store.db).await;
    assert_ne!((now.epoch, now.seq), (before.epoch, before.seq));
    // And once.
    let now = position(&store.db).await;
    let store = store.again(|_| ()).await;
    assert_eq!(position(&store.db).await, now);
}

async fn say_one(store: Store) -> Store {
    say(&store.db, 1).await;
    store
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_is_noticed_though_every_event_was_given_up() {
    let clock = Clock::manual(Timestamp::from_millis(1_764_000_000_000));
    let day = Duration::from_hours(24);
    is_noticed(clock.clone(), say_one, async |store: Store| {
        say(&store.db, 2).await;
        clock.advance(day);
        assert_eq!(prune_events(&store.db, day).await.expect("no events"), 2);
        say_nothing(&store).await;
        store
    })
    .await;
}

/// A unit that is kept and announces nothing.
async fn say_nothing(store: &Store) {
    store.run(&["INSERT INTO heartbeat (id, beat_at) VALUES (7, 7)"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_is_noticed_though_the_clock_was_set_back() {
    let late = Clock::manual(Timestamp::from_millis(1_764_000_000_000));
    let early = Clock::manual(Timestamp::from_millis(1_763_000_000_000));
    is_noticed(late, say_one, async |store: Store| {
        let store = store.by(early).await;
        say(&store.db, 2).await;
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_backup_of_an_earlier_life_is_noticed_too() {
    let store = say_one(Store::sqlite(Clock::system()).await).await;
    let copy = |store: &Store, from: &str, to: &str| {
        let path = |name: &str| store.folder.path().join(name);
        fs::copy(path(from), path(to)).expect("a copy");
    };
    let mut store = store;
    for backup in ["monday", "tuesday"] {
        store.db.close().await;
        copy(&store, "stoa.db", backup);
        store = store.again(|_| ()).await;
        for data in 0..9 {
            say(&store.db, data).await;
        }
    }
    let first = position(&store.db).await.epoch;
    store.db.close().await;
    copy(&store, "monday", "stoa.db");
    fs::remove_file(store.folder.path().join("stoa.db-mark")).expect("the mark");
    let store = store.again(|_| ()).await;
    let second = position(&store.db).await.epoch;
    assert_ne!(second, first);
    store.db.close().await;
    copy(&store, "tuesday", "stoa.db");
    let store = store.again(|_| ()).await;
    let third = position(&store.db).await.epoch;
    assert!(third != first && third != second);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mark_that_is_not_read_ends_the_start_by_its_name() {
    for name in ["stoa.db-mark", "stoa.db-lock"] {
        let folder = TempDir::new().expect("a folder");
        fs::create_dir(folder.path().join(name)).expect("a folder in its place");
        let refused = open(folder.path()).await.err().expect("a refusal").to_string();
        assert!(refused.contains(name), "{refused}");
    }
}

#[tokio::test]
async fn what_is_beside_the_file_has_its_owner() {
    const SERVICE: u32 = 65_534;
    let store = Store::sqlite(Clock::system()).await;
    store.db.close().await;
    let path = |name: &str| store.folder.path().join(name);
    if std::os::unix::fs::chown(path("stoa.db"), Some(SERVICE), Some(SERVICE)).is_err() {
        // Only root gives files away.
        return;
    }
    for name in ["stoa.db-lock", "stoa.db-mark"] {
        fs::remove_file(path(name)).expect("a file");
    }
    let db = store.reopen().await.expect("a store");
    let owner = |name: &str| {
        let data = fs::metadata(path(name)).expect("a file");
        (data.uid(), data.gid(), data.mode() & 0o777)
    };
    for name in ["stoa.db-lock", "stoa.db-mark", "stoa.db-wal", "stoa.db-shm"] {
        assert_eq!(owner(name), (SERVICE, SERVICE, 0o600), "{name}");
    }
    db.close().await;

    // A file that is made in the service's folder is the service's.
    let folder = TempDir::new().expect("a folder");
    std::os::unix::fs::chown(folder.path(), Some(SERVICE), Some(SERVICE)).expect("root");
    let db = open(folder.path()).await.expect("a store");
    assert_eq!(fs::metadata(folder.path().join("stoa.db")).expect("the file").uid(), SERVICE);
    drop(db);
}

#[tokio::test]
async fn a_link_is_the_file_that_it_leads_to() {
    let store = Store::sqlite(Clock::system()).await;
    say(&store.db, 1).await;
    store.db.close().await;
    let links = TempDir::new().expect("a folder");
    let link = links.path().join("stoa.db");
    std::os::unix::fs::symlink(store.folder.path().join("stoa.db"), &link).expect("a link");
    let db = open(links.path()).await.expect("a store");
    let mut availability = db.availability();
    let lost = availability.wait_for(|available| !available);
    let lost = tokio::time::timeout(Duration::from_millis(1200), lost).await;
    assert!(lost.is_err(), "its files are there");
    say(&db, 2).await;
    let refused = store.reopen().await.err().expect("a refusal").to_string();
    assert!(refused.contains("another process works with"), "{refused}");
    assert_eq!(fs::read_dir(links.path()).expect("the folder").count(), 1, "nothing beside a link");
    assert_eq!(position(&db).await.seq, 2);
    db.close().await;

    // One to a file that is not there yet makes it.
    let (other, target) = (TempDir::new().expect("a folder"), TempDir::new().expect("a folder"));
    let target = target.path().join("target.db");
    std::os::unix::fs::symlink(&target, other.path().join("stoa.db")).expect("a link");
    let db = open(other.path()).await.expect("a store");
    say(&db, 1).await;
    assert!(target.exists());
}
