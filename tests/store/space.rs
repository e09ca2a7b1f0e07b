//! SQLite's file and its log take no more room than what is in them.

use std::{fs, path::PathBuf, sync::mpsc, time::Duration};

use futures_util::future::join_all;
use rusqlite::Connection;
use stoa::{
    clock::Clock,
    db::{Db, Tx},
    params,
};
use tokio::sync::oneshot;

use super::engine::{Store, in_time};

const MB: u64 = 1_000_000;

fn file(store: &Store, name: &str) -> PathBuf {
    store.folder.path().join(name)
}

fn bytes(store: &Store, name: &str) -> u64 {
    fs::metadata(file(store, name)).map_or(0, |file| file.len())
}

/// Waits until a file is smaller than that.
async fn shrinks(store: &Store, name: &str, below: u64) {
    let smaller = async {
        while bytes(store, name) >= below {
            tokio::task::yield_now().await;
        }
    };
    in_time(smaller).await;
}

/// Writes so many notes of a hundred thousand bytes.
async fn fill(db: &Db, notes: i64) {
    let notes = (0..notes).map(|id| {
        let note = "INSERT INTO notes (id, text) VALUES ($1, $2)";
        db.write(async move |tx| Ok(tx.execute(note, &params![id, "x".repeat(100_000)]).await?))
    });
    for done in join_all(notes).await {
        done.expect("a note");
    }
}

const NOTES: &str = "CREATE TABLE notes (id BIGINT NOT NULL PRIMARY KEY, text TEXT NOT NULL)";

fn gives_back(store: &Store) -> bool {
    let connection = Connection::open(file(store, "stoa.db")).expect("the file");
    let mode: i64 =
        connection.query_row("PRAGMA auto_vacuum", [], |row| row.get(0)).expect("a mode");
    mode == 2
}

#[tokio::test]
async fn what_is_deleted_is_given_back_to_the_disk_while_others_write() {
    let store = Store::sqlite(Clock::system()).await;
    store.run(&[NOTES]).await;
    fill(&store.db, 300).await;
    store.run(&["DELETE FROM notes WHERE id > 9"]).await;
    let writing = async {
        for id in 1000..1050 {
            let note = "INSERT INTO notes (id, text) VALUES ($1, 'a')";
            let unit = async move |tx: &mut Tx<'_>| Ok(tx.execute(note, &params![id]).await?);
            store.db.write(unit).await.expect("a note");
        }
    };
    tokio::join!(writing, shrinks(&store, "stoa.db", 4 * MB));
    assert_eq!(store.number("SELECT COUNT(*) FROM notes").await, 60);
    let length = "SELECT CAST(SUM(LENGTH(text)) AS BIGINT) FROM notes WHERE id <= 9";
    assert_eq!(store.number(length).await, 1_000_000);
    let whole = async |tx: &mut Tx<'_>| {
        Ok(tx
            .one("SELECT integrity_check FROM pragma_integrity_check", &[])
            .await?
            .get::<String>(0)?)
    };
    assert_eq!(store.db.read(whole).await.expect("a check"), "ok");
}

#[tokio::test]
async fn what_is_taken_back_is_soon_in_no_file() {
    let store = Store::sqlite(Clock::system()).await;
    store.run(&[NOTES]).await;
    let secret = "a secret of the tests";
    let holds = |name: &str| {
        let bytes = fs::read(file(&store, name)).unwrap_or_default();
        bytes.windows(secret.len()).any(|window| window == secret.as_bytes())
    };
    // With pages of its own.
    let text = secret.repeat(1000);
    let insert = "INSERT INTO notes (id, text) VALUES (1, $1)";
    let write = async move |tx: &mut Tx<'_>| Ok(tx.execute(insert, &params![text]).await?);
    store.db.write(write).await.expect("a note");
    assert!(holds("stoa.db-wal"));
    let take_back = async |tx: &mut Tx<'_>| {
        tx.take_back();
        Ok(tx.execute("UPDATE notes SET text = ''", &[]).await?)
    };
    store.db.write(take_back).await.expect("a note");
    let forgotten = async {
        while holds("stoa.db-wal") {
            tokio::task::yield_now().await;
        }
    };
    in_time(forgotten).await;
    assert_eq!(store.number("SELECT COUNT(*) FROM notes").await, 1);
    store.db.close().await;
    assert!(!holds("stoa.db"));
}

#[tokio::test]
async fn a_file_of_an_older_version_learns_to_give_back_when_it_is_opened() {
    let store = Store::sqlite(Clock::system()).await;
    store.run(&[NOTES]).await;
    fill(&store.db, 10).await;
    store.db.close().await;
    let older = Connection::open(file(&store, "stoa.db")).expect("the file");
    older.execute_batch("PRAGMA auto_vacuum = NONE; VACUUM").expect("an older file");
    drop(older);
    assert!(!gives_back(&store));
    let store = store.again(|_| ()).await;
    assert!(gives_back(&store));
    assert_eq!(store.number("SELECT COUNT(*) FROM notes").await, 10);
}

#[tokio::test]
async fn a_store_is_made_compact_when_asked() {
    let store = Store::sqlite(Clock::system()).await;
    store.run(&[NOTES]).await;
    fill(&store.db, 100).await;
    store.db.close().await;
    let older = Connection::open(file(&store, "stoa.db")).expect("the file");
    let empty = "PRAGMA auto_vacuum = NONE; VACUUM; DELETE FROM notes";
    older.execute_batch(empty).expect("an older file");
    drop(older);
    assert!(bytes(&store, "stoa.db") > 10 * MB);
    assert!(
        Db::compact(&store.config, store.folder.path(), Duration::ZERO)
            .await
            .expect("room on the disk")
    );
    assert!(bytes(&store, "stoa.db") < MB && gives_back(&store));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_is_cut_off_though_someone_always_reads() {
    let store = Store::sqlite(Clock::system()).await;
    store.run(&[NOTES]).await;
    let (release, released) = mpsc::channel::<()>();
    let (begun, has_begun) = oneshot::channel();
    let db = store.db.clone();
    let reads = async move |tx: &mut Tx<'_>| {
        let before = tx.all("SELECT id FROM notes", &[]).await?.len();
        let _ = begun.send(());
        let _ = released.recv();
        Ok(before)
    };
    let reader = tokio::spawn(async move { db.read(reads).await });
    has_begun.await.expect("a read");
    fill(&store.db, 400).await;
    assert!(bytes(&store, "stoa.db-wal") > 36 * MB, "someone reads an older moment");
    release.send(()).expect("a read");
    let _ = reader.await.expect("no panic");
    // One reads at any time from here on.
    let (stop, stopped) = mpsc::channel::<()>();
    let db = store.db.clone();
    let readers = tokio::spawn(async move {
        while stopped.try_recv() == Err(mpsc::TryRecvError::Empty) {
            let read = || db.read(async |tx| Ok(tx.all("SELECT id FROM notes", &[]).await?.len()));
            let (one, two) = tokio::join!(read(), read());
            assert_eq!((one.expect("a read"), two.expect("a read")), (400, 400));
        }
    });
    let writing = async {
        // Another text each time: what stays as it is is not written.
        for text in ["y", "z"].into_iter().cycle() {
            if bytes(&store, "stoa.db-wal") <= 34 * MB {
                break;
            }
            let unit = async move |tx: &mut Tx<'_>| {
                let text = text.repeat(1_000_000);
                Ok(tx.execute("UPDATE notes SET text = $1 WHERE id = 1", &params![text]).await?)
            };
            store.db.write(unit).await.expect("a note");
        }
    };
    in_time(writing).await;
    stop.send(()).expect("readers");
    readers.await.expect("no panic");
}
