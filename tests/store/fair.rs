//! What one asks of the store costs the others nothing: reads that take long, rows that are held,
//! units that never end, and more than there is room for.

use std::{error::Error as _, sync::mpsc, time::Duration};

use futures_util::future::join_all;
use secrecy::ExposeSecret;
use sqlx::{Connection, PgConnection, Row};
use stoa::{
    clock::Clock,
    db::{self, Kind, Tx},
    error::{Code, Error, Result},
    params,
};
use tokio::{sync::oneshot, task::JoinHandle};

use super::{
    both::clock,
    engine::{BlockedWriter, Store, happened, in_time},
};

on_both! {
    reads_that_take_long_keep_no_small_one_waiting,
    of_too_many_long_reads_the_last_are_refused,
    a_read_without_an_end_is_ended_and_its_statement_named,
    a_write_without_an_end_is_ended_and_loses_only_itself,
    more_bytes_than_may_wait_are_refused,
}

/// Much work for either engine, with a text that has no value in it.
const SQLITE_WORK: &str = "
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 20000)
    SELECT MAX(i) FROM n WHERE i <> $1";
const POSTGRES_WORK: &str = "SELECT 1 FROM pg_sleep(0.02) WHERE $1 > 0";

/// Work without an end.
const SQLITE_ENDLESS: &str = "
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
    SELECT MAX(i) FROM n WHERE i <> $1";
const POSTGRES_ENDLESS: &str = "SELECT 1 FROM pg_sleep(60) WHERE $1 > 0";

fn endless(store: &Store) -> &'static str {
    if store.is_postgres() { POSTGRES_ENDLESS } else { SQLITE_ENDLESS }
}

/// A read that works until it is told to end.
struct Long {
    end: mpsc::Sender<()>,
    read: JoinHandle<Result<()>>,
}

impl Long {
    /// Returns when the read has worked for longer than small ones do.
    async fn begin(store: &Store) -> Self {
        let work = if store.is_postgres() { POSTGRES_WORK } else { SQLITE_WORK };
        let (end, ended) = mpsc::channel();
        let (at_work, is_at_work) = oneshot::channel();
        let mut at_work = Some(at_work);
        let unit = async move |tx: &mut Tx<'_>| {
            let mut rounds = 0;
            while ended.try_recv() == Err(mpsc::TryRecvError::Empty) {
                tx.all(work, &params![7_654_321]).await?;
                rounds += 1;
                if rounds == 20
                    && let Some(at_work) = at_work.take()
                {
                    let _ = at_work.send(());
                }
            }
            Ok(())
        };
        let db = store.db.clone();
        let read = tokio::spawn(async move { db.read(unit).await });
        let _ = is_at_work.await;
        Self { end, read }
    }

    async fn end(self) -> Result<()> {
        // One that was refused hears nothing.
        let _ = self.end.send(());
        self.read.await.expect("no panic")
    }
}

fn unavailable(error: &Error) -> Kind {
    assert_eq!(error.code(), Code::Unavailable, "{error:?}");
    assert!(error.retry_after().is_some());
    let cause = error.source().and_then(|cause| cause.downcast_ref::<db::Error>());
    cause.expect("a cause").kind()
}

async fn small_reads(store: &Store) {
    let reads = (0..100).map(|_| store.db.read(async |tx| Ok(tx.one("SELECT 1", &[]).await?)));
    for read in in_time(join_all(reads)).await {
        read.expect("a small read");
    }
}

async fn reads_that_take_long_keep_no_small_one_waiting(store: Store) {
    let store = store.again(|config| config.read_timeout = Duration::from_secs(8)).await;
    let mut long = Vec::new();
    for _ in 0..3 {
        long.push(Long::begin(&store).await);
    }
    small_reads(&store).await;
    for long in long {
        assert!(!long.read.is_finished(), "it still works");
        long.end().await.expect("a read that takes long");
    }
}

async fn of_too_many_long_reads_the_last_are_refused(store: Store) {
    let store = store
        .again(|config| (config.read_timeout, config.pool_size) = (Duration::from_secs(8), 4))
        .await;
    let long = [Long::begin(&store).await, Long::begin(&store).await];
    for _ in 0..3 {
        let refused = Long::begin(&store).await.read.await.expect("no panic");
        assert_eq!(unavailable(&refused.expect_err("too many")), Kind::Timeout);
    }
    small_reads(&store).await;
    for long in long {
        long.end().await.expect("one of the first");
    }
    Long::begin(&store).await.end().await.expect("there is room again");
    assert!(store.db.is_available());
}

async fn a_read_without_an_end_is_ended_and_its_statement_named(store: Store) {
    let store = store.again(|config| config.read_timeout = Duration::from_millis(300)).await;
    let sql = endless(&store);
    let read = store.db.read(async move |tx| Ok(tx.all(sql, &params![7_654_321]).await?));
    let error = in_time(read).await.expect_err("it has no end");
    assert_eq!(unavailable(&error), Kind::Timeout);
    let cause = error.causes().expect("a cause");
    let text = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(cause.contains(&text) && !cause.contains("7654321"), "{cause}");
    small_reads(&store).await;
    assert!(store.db.is_available());
}

async fn a_write_without_an_end_is_ended_and_loses_only_itself(store: Store) {
    let store = store.again(|config| config.write_timeout = Duration::from_millis(300)).await;
    store.run(&["CREATE TABLE notes (id BIGINT NOT NULL PRIMARY KEY)"]).await;
    let note = |id: i64| {
        let db = store.db.clone();
        async move {
            let insert = "INSERT INTO notes (id) VALUES ($1)";
            db.write(async move |tx| Ok(tx.execute(insert, &params![id]).await?)).await
        }
    };
    let sql = endless(&store);
    let blocked = BlockedWriter::block(&store.db).await;
    let endless = store.db.write(async move |tx| Ok(tx.all(sql, &params![7_654_321]).await?));
    let all = async { tokio::join!(note(1), endless, note(2), blocked.release()) };
    let (before, endless, after, ()) = in_time(all).await;
    assert_eq!(unavailable(&endless.expect_err("it has no end")), Kind::Timeout);
    before.expect("the one before it");
    after.expect("the one behind it");
    assert_eq!(store.number("SELECT COUNT(*) FROM notes").await, 2);
    assert!(store.db.is_available());
}

async fn more_bytes_than_may_wait_are_refused(store: Store) {
    const LIMIT: usize = 1_000_000;
    let store = store.again(|config| config.queue_bytes = LIMIT).await;
    let (release, released) = mpsc::channel();
    let (begun, has_begun) = oneshot::channel();
    let unit = async move |_: &mut Tx<'_>| {
        let _ = begun.send(());
        released.recv().expect("a release");
        Ok(())
    };
    let db = store.db.clone();
    let large = tokio::spawn(async move { db.write_sized(LIMIT + 1, unit).await });
    has_begun.await.expect("one alone has room, whatever its size");
    let refused = store.db.write_sized(1, async |_| Ok(())).await;
    assert_eq!(unavailable(&refused.expect_err("there is no room")), Kind::Unavailable);
    release.send(()).expect("a unit that waits");
    large.await.expect("no panic").expect("the large one");
    // It is answered just before it is gone.
    let again = async {
        while store.db.write_sized(LIMIT, async |_| Ok(())).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    in_time(again).await;
    assert!(store.db.is_available());
}

/// Somebody else in a Postgres database.
struct Other(PgConnection);

impl Other {
    async fn connect(store: &Store) -> Self {
        let url = store.config.url.as_ref().expect("a server").expose_secret();
        Self(PgConnection::connect(url).await.expect("a connection"))
    }

    async fn run(&mut self, sql: &'static str) {
        sqlx::query(sql).execute(&mut self.0).await.expect("a statement");
    }

    /// Waits until so many of the store's units wait for a row.
    async fn sees_waiting(&mut self, enough: impl Fn(i64) -> bool) {
        const WAITING: &str = "
            SELECT COUNT(*) FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let seen = async {
            // What a transaction sees of it stands still.
            while !enough(sqlx::query(WAITING).fetch_one(&mut self.0).await.expect("a row").get(0))
            {
                self.run("SELECT pg_stat_clear_snapshot()").await;
            }
        };
        in_time(seen).await;
    }
}

/// 33 units that want what another holds; what the others do meanwhile; then it is let go.
async fn behind_a_held_row(
    hold: &'static str,
    unit: impl AsyncFn(Store, &'static str) -> (Store, Vec<JoinHandle<Result<()>>>),
) {
    let store = Store::postgres(Clock::system()).await;
    store
        .run(&[
            "CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, stars BIGINT NOT NULL)",
            "INSERT INTO notes (id, stars) VALUES ('held', 0), ('free', 0)",
        ])
        .await;
    let say = async |tx: &mut Tx<'_>| {
        tx.announce(happened("held", 0));
        Ok(())
    };
    store.db.write(say).await.expect("a stream");
    let mut other = Other::connect(&store).await;
    other.run("BEGIN").await;
    other.run(hold).await;
    let availability = store.db.availability();
    let (store, behind) = unit(store, "held").await;
    other.sees_waiting(|waiting| waiting > 0).await;
    small_reads(&store).await;
    let (store, free) = unit(store, "free").await;
    for unit in in_time(join_all(free)).await {
        unit.expect("no panic").expect("a unit that wants another row");
    }
    for unit in in_time(join_all(behind)).await {
        // The server counts anew for each of its own locks, until the statement is over.
        let kind = unavailable(&unit.expect("no panic").expect_err("it is held"));
        assert!([Kind::Busy, Kind::Timeout].contains(&kind), "{kind}");
    }
    assert!(!availability.has_changed().expect("an open store"), "it is there all the time");
    other.run("COMMIT").await;
    let (store, behind) = unit(store, "held").await;
    for unit in in_time(join_all(behind)).await {
        unit.expect("no panic").expect("a unit that nobody holds up");
    }
    let numbers: Vec<_> = store.sent().into_iter().map(|(stream, seq, _)| (stream, seq)).collect();
    // What is held has been there before.
    for (stream, last) in [("conversation/held", UNITS + 1), ("conversation/free", UNITS)] {
        let of = numbers.iter().filter(|(of, _)| of == stream).map(|(_, seq)| *seq);
        assert_eq!(of.collect::<Vec<_>>(), (1..=last).collect::<Vec<_>>(), "{stream}");
    }
}

/// How many units there are of a kind.
const UNITS: i64 = 33;

fn units<U>(store: Store, unit: &U) -> (Store, Vec<JoinHandle<Result<()>>>)
where
    U: AsyncFnOnce(&mut Tx<'_>) -> Result<()> + Clone + Send + 'static,
{
    let units = (0..UNITS).map(|_| {
        let (db, unit) = (store.db.clone(), unit.clone());
        tokio::spawn(async move { db.write(unit).await })
    });
    let units = units.collect();
    (store, units)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_is_held_holds_up_only_who_wants_it() {
    behind_a_held_row("SELECT * FROM notes WHERE id = 'held' FOR UPDATE", async |store, id| {
        const FIND: &str = "SELECT * FROM notes WHERE id = $1";
        units(store, &async move |tx: &mut Tx<'_>| {
            tx.lock_row(FIND, &params![id]).await?;
            tx.announce(happened(id, 0));
            Ok(())
        })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_is_held_holds_up_only_who_changes_it() {
    behind_a_held_row("SELECT * FROM notes WHERE id = 'held' FOR UPDATE", async |store, id| {
        const STAR: &str = "UPDATE notes SET stars = stars + 1 WHERE id = $1";
        units(store, &async move |tx: &mut Tx<'_>| {
            tx.execute(STAR, &params![id]).await?;
            tx.announce(happened(id, 0));
            Ok(())
        })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_held_holds_up_only_who_announces_in_it() {
    let hold = "SELECT * FROM streams WHERE stream = 'conversation/held' FOR UPDATE";
    behind_a_held_row(hold, async |store, id| {
        units(store, &async move |tx: &mut Tx<'_>| {
            tx.announce(happened(id, 0));
            Ok(())
        })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_whose_heartbeat_another_holds_is_there() {
    let store = Store::postgres(Clock::system()).await;
    store.run(&["INSERT INTO heartbeat (id, beat_at) VALUES (1, 0) ON CONFLICT DO NOTHING"]).await;
    let mut other = Other::connect(&store).await;
    other.run("BEGIN").await;
    other.run("SELECT * FROM heartbeat FOR UPDATE").await;
    let availability = store.db.availability();
    // Two times, so that what came of the first is known.
    for _ in 0..2 {
        other.sees_waiting(|waiting| waiting > 0).await;
        other.sees_waiting(|waiting| waiting == 0).await;
    }
    assert!(store.db.is_available() && !availability.has_changed().expect("an open store"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_units_than_may_wait_for_a_server_are_refused() {
    let store = Store::postgres(Clock::system()).await;
    let store = store.again(|config| (config.pool_size, config.queue_length) = (1, 16)).await;
    let blocked = BlockedWriter::block(&store.db).await;
    let units = join_all((0..30).map(|_| store.db.write(async |_| Ok(()))));
    let (done, ()) = tokio::join!(units, blocked.release());
    let refused: Vec<_> = done.into_iter().filter_map(Result::err).collect();
    assert_eq!(refused.len(), 30 - 16);
    for error in &refused {
        assert_eq!(unavailable(error), Kind::Unavailable);
    }
    assert!(store.db.is_available());
}
