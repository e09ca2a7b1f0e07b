//! `cargo bench --bench prune`: how long writers wait while five million old events are given up, on SQLite
//! and, where it is installed, on Postgres. See benches/README.md.

#[path = "../tests/support/postgres.rs"]
#[expect(clippy::expect_used, dead_code, reason = "the tests' own, who use all of it")]
mod postgres;

use std::{
    fs,
    path::Path,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use clap::Parser;
use rusqlite::Connection;
use sqlx::{AssertSqlSafe, Connection as _, Executor, PgConnection};
use stoa::{
    clock::Clock,
    config::{Config, DatabaseConfig},
    db::{self, Db, Tx},
    event::EventName,
    room::Room,
    stream::{DomainEvent, Stream, Target, WireEvent},
};
use tokio::{
    runtime::Runtime,
    time::{Instant, sleep, timeout},
};

use postgres::Postgres;

/// Fills a store with old events, and writes into it alone, then while they are given up.
#[derive(Parser)]
struct Arguments {
    /// Old events.
    #[arg(long, default_value_t = 5_000_000)]
    events: u32,
    /// Seconds of each of the two.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Only this engine.
    #[arg(long)]
    only: Option<String>,
    /// Cargo's own.
    #[arg(long, hide = true)]
    bench: bool,
}

/// By how much the longest wait beside the pruning may be longer than the longest alone.
const LONGER_MS: f64 = 20.0;

/// Writers, and how long each waits between two writes.
const WRITERS: u32 = 8;
const PAUSE: Duration = Duration::from_millis(5);

/// For how long events are kept.
const DAY: Duration = Duration::from_hours(24);

/// A row of the `n`th event: in one of 500 streams, and one in four with what it says.
const COLUMNS: &str = "
    INSERT INTO events (stream, seq, wire, created_at, position, source)
    SELECT 'conversation/0190b5c8-0000-7000-8000-' || CAST(100000000000 + n % 500 AS TEXT), n / 500,
        CASE n % 4 WHEN 0 THEN '[' || $2 || ']' ELSE '' END, $3 + n, n + 1,
        CASE n % 4 WHEN 0 THEN NULL
            ELSE 'new 0190b5c8-0000-7000-8001-' || CAST(100000000000 + n AS TEXT) END";

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if !arguments.bench {
        println!("measures under `cargo bench` only");
        return ExitCode::SUCCESS;
    }
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all claims are met.
fn run(arguments: &Arguments) -> Result<bool> {
    let runtime = Runtime::new()?;
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load average: {load}");
    println!("| engine | | writes/s | median ms | 99.9 % ms | longest ms | events given up/s |");
    println!("|---|---|---:|---:|---:|---:|---:|");
    let mut met = true;
    for name in ["sqlite", "postgres"] {
        if arguments.only.as_ref().is_none_or(|only| only == name) {
            met &= runtime.block_on(engine(name, arguments))?;
        }
    }
    println!("\nclaim: the longest wait at most {LONGER_MS} ms longer than alone: {}", told(met));
    Ok(met)
}

fn told(met: bool) -> &'static str {
    if met { "met" } else { "MISSED" }
}

async fn engine(name: &str, arguments: &Arguments) -> Result<bool> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("prune");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let server = (name == "postgres").then(Postgres::new);
    let mut config = Config::for_tests().database;
    if let Some(server) = &server {
        config.url = Some(server.database().await.into());
    }
    let db = open(&config, &folder).await?;
    db.close().await;
    fill(&config, &folder, arguments.events).await?;
    let db = open(&config, &folder).await?;
    let time = Duration::from_secs(arguments.seconds);
    let alone = write_for(&db, time, sleep(time)).await?.0;
    println!("{}", alone.row(name, "alone", 0));
    let prune = timeout(time, prune(&db));
    let (beside, pruned) = write_for(&db, time, prune).await?;
    let is_whole = pruned.is_ok();
    if let Ok(pruned) = pruned {
        pruned?;
    }
    let upto = db.read(async |tx: &mut Tx<'_>| Ok(tx.one(GIVEN_UP, &[]).await?.get::<i64>(0)?));
    let given_up = upto.await?;
    println!("{}", beside.row(name, if is_whole { "all given up" } else { "beside" }, given_up));
    db.close().await;
    fs::remove_dir_all(&folder)?;
    Ok(beside.longest_ms() <= alone.longest_ms() + LONGER_MS)
}

/// How many are given up: positions have no holes here.
const GIVEN_UP: &str = "SELECT pruned FROM positions";

async fn open(config: &DatabaseConfig, folder: &Path) -> Result<Db> {
    Ok(Db::open(config, folder, Clock::system(), Duration::ZERO).await?)
}

async fn prune(db: &Db) -> Result<u64> {
    db::prune_events(db, DAY).await.context("pruning")
}

/// Fills the store past Stoa.
async fn fill(config: &DatabaseConfig, folder: &Path, events: u32) -> Result<()> {
    let wire = format!(
        r#"{{"to":{{"rooms":["conversation:c"]}},"event":"news","data":"{}"}}"#,
        "x".repeat(400)
    );
    let old = (Clock::system().now() - 40 * DAY).millis();
    let filled = std::time::Instant::now();
    if let Some(url) = &config.url {
        let mut connection =
            PgConnection::connect(secrecy::ExposeSecret::expose_secret(url)).await?;
        let insert = format!("{COLUMNS} FROM generate_series(CAST(0 AS BIGINT), $1 - 1) AS n");
        sqlx::query(AssertSqlSafe(insert))
            .bind(i64::from(events))
            .bind(wire)
            .bind(old)
            .execute(&mut connection)
            .await?;
        let next = format!("SELECT setval('positions_last_seq', {events})");
        connection.execute(AssertSqlSafe(next)).await?;
        connection.execute("VACUUM ANALYZE events").await?;
    } else {
        let connection = Connection::open(folder.join("stoa.db"))?;
        connection.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -400000;")?;
        let numbers = "(WITH RECURSIVE numbers (n) AS (
            SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < $1 - 1) SELECT n FROM numbers)";
        let insert = format!("{COLUMNS} FROM {numbers}");
        // It counts parameters by first appearance.
        connection.execute(&insert, (wire, old, events))?;
        connection.execute("UPDATE positions SET last = ?1", [events])?;
        connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
    }
    eprintln!("{events} events in {:.0} s", filled.elapsed().as_secs_f64());
    Ok(())
}

/// How long writes took.
struct Waits {
    took_ms: Vec<f64>,
    time: Duration,
}

impl Waits {
    fn longest_ms(&self) -> f64 {
        self.took_ms.last().copied().unwrap_or_default()
    }

    #[expect(clippy::cast_precision_loss, reason = "what a run counts is far below 2^52")]
    fn row(&self, engine: &str, what: &str, given_up: i64) -> String {
        let at = |of_1000: usize| {
            self.took_ms.get(self.took_ms.len() * of_1000 / 1000).copied().unwrap_or_default()
        };
        let seconds = self.time.as_secs_f64();
        format!(
            "| {engine} | {what} | {:.0} | {:.2} | {:.2} | {:.2} | {:.0} |",
            self.took_ms.len() as f64 / seconds,
            at(500),
            at(999),
            self.longest_ms(),
            given_up as f64 / seconds,
        )
    }
}

/// Writes until this is done, or for so long.
async fn write_for<T>(
    db: &Db,
    time: Duration,
    beside: impl Future<Output = T>,
) -> Result<(Waits, T)> {
    let is_over = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (db, is_over) = (db.clone(), is_over.clone());
            tokio::spawn(async move {
                let mut took_ms = Vec::new();
                while !is_over.load(Ordering::Relaxed) {
                    let began = Instant::now();
                    let unit = async move |tx: &mut Tx<'_>| {
                        tx.announce(News(writer));
                        Ok(())
                    };
                    db.write(unit).await?;
                    took_ms.push(began.elapsed().as_secs_f64() * 1000.0);
                    sleep(PAUSE).await;
                }
                Ok::<_, stoa::error::Error>(took_ms)
            })
        })
        .collect();
    let began = Instant::now();
    let done = beside.await;
    is_over.store(true, Ordering::Relaxed);
    let mut took_ms = Vec::new();
    for writer in writers {
        took_ms.extend(writer.await?.context("a write")?);
    }
    took_ms.sort_by(f64::total_cmp);
    Ok((Waits { took_ms, time: began.elapsed().min(time) }, done))
}

/// What a writer tells.
struct News(u32);

impl DomainEvent for News {
    fn streams(&self) -> Vec<Stream> {
        vec![Stream::from(&self.room())]
    }

    fn render(&self, _: i64) -> Vec<WireEvent> {
        let event = EventName::new("news").map(|event| WireEvent {
            to: Target::Rooms { rooms: vec![self.room()], except: Vec::new() },
            event,
            data: serde_json::value::RawValue::NULL.to_owned(),
            several: false,
            participants: Vec::new(),
            except_user: None,
            namespace: None,
            id: None,
        });
        event.into_iter().collect()
    }
}

impl News {
    fn room(&self) -> Room {
        format!("conversation:w{}", self.0).parse().unwrap_or(Room::Sellers)
    }
}
