//! What an older store held, once its tables are brought up to date.

use rusqlite::Connection;
use secrecy::SecretString;
use sqlx::{AssertSqlSafe, Connection as _, Executor, PgConnection, migrate::Migrator};
use stoa::{
    clock::{Clock, Timestamp},
    config::Config,
    db::{self, Db, Tx},
    params,
    stream::Stream,
};
use tempfile::TempDir;

use crate::support::postgres::Postgres;

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// The first version whose payments know their transactions by one key.
const KEYS: i64 = 8;

/// A transaction's name.
const HASH: &str = "5c504ed432cb51138bcf09aa5e8a410dd4a1e204ef84bfed1be16dfba1b22060";

/// Payments with their transactions, in the order of their ids; and a payout.
fn rows() -> Vec<String> {
    let request = "INSERT INTO purchase_requests (id, buyer_id, title, description, budget_amount,
        budget_currency, metadata, status, code_tries, created_at, updated_at)
        VALUES ('r', 'ann', 'A lamp', '', '1', 'USD', '{}', 'paid', 5, 0, 0)";
    let payment = |id: &str, provider: &str, tx_hash: &str| {
        format!(
            "INSERT INTO payments (id, request_id, buyer_id, seller_id, provider, amount, currency,
                status, received, ledger_entries, tx_hash, created_at, updated_at)
            VALUES ('{id}', 'r', 'ann', 'sam', '{provider}', '1', 'USD', 'confirmed', '1', 1,
                {tx_hash}, 0, 0)"
        )
    };
    vec![
        request.to_owned(),
        payment("p1", "decentralized", &format!("'{HASH}'")),
        payment("p2", "decentralized", &format!("'0x{HASH}'")),
        payment("p3", "shkeeper", &format!("'0x{HASH}'")),
        payment("p4", "decentralized", "'ABC'"),
        payment("p5", "decentralized", "'5VERv8NM'"),
        payment("p6", "decentralized", "NULL"),
        "INSERT INTO payment_ledger (payment_id, ordinal, kind, amount, currency, created_at)
            VALUES ('p3', 1, 'invoiced', '1', 'BTC', 0), ('p3', 2, 'invoiced', '1', 'BTC', 0),
                ('p3', 3, 'received', '1', 'USD', 0)"
            .to_owned(),
        format!(
            "INSERT INTO payouts (id, seller_id, amount, currency, destination, provider, status,
                tx_hash, created_at, updated_at)
            VALUES ('o', 'sam', '1', 'USD', '0x1', 'decentralized', 'completed', '0X{}', 0, 0)",
            HASH.to_uppercase()
        ),
    ]
}

/// A stream that went on after a restore, while that changed the stream's row.
const RESTORED: i64 = 11;

fn restored_rows() -> Vec<String> {
    [
        "INSERT INTO restores (restored_at, after_seq) VALUES (4, 1000000000), (5, 2000000000)",
        "INSERT INTO streams (stream, seq, epoch) VALUES ('conversation/c1', 2000000002, 'e2')",
        "INSERT INTO events (stream, seq, wire, created_at)
            VALUES ('conversation/c1', 2000000002, '[]', 5)",
    ]
    .map(str::to_owned)
    .to_vec()
}

fn before(version: i64) -> impl Iterator<Item = &'static sqlx::migrate::Migration> {
    MIGRATIONS.iter().filter(move |migration| migration.version < version)
}

/// What the versions before this one kept.
fn older_sqlite(folder: &TempDir, version: i64, rows: Vec<String>) {
    let file = Connection::open(folder.path().join("stoa.db")).expect("a file");
    let table = "CREATE TABLE migrations (version BIGINT NOT NULL PRIMARY KEY,
        description TEXT NOT NULL, checksum BLOB NOT NULL, applied_at BIGINT NOT NULL)";
    file.execute_batch(table).expect("a table");
    for migration in before(version) {
        file.execute_batch(migration.sql.as_str()).expect("a migration");
        let applied = (migration.version, &*migration.description, &*migration.checksum);
        let insert = "INSERT INTO migrations VALUES (?1, ?2, ?3, 0)";
        file.execute(insert, applied).expect("a row");
    }
    for row in rows {
        file.execute(&row, []).unwrap_or_else(|error| panic!("{row}: {error}"));
    }
}

async fn older_postgres(url: &str, version: i64, rows: Vec<String>) {
    let mut connection = PgConnection::connect(url).await.expect("a connection");
    let older = Migrator::with_migrations(before(version).cloned().collect());
    older.run(&mut connection).await.expect("the older tables");
    for row in rows {
        let done = connection.execute(AssertSqlSafe(row.clone())).await;
        done.unwrap_or_else(|error| panic!("{row}: {error}"));
    }
    connection.close().await.expect("a connection that ends");
}

async fn texts(db: &Db, sql: &'static str) -> Vec<Option<String>> {
    let read = async move |tx: &mut Tx<'_>| {
        let rows = tx.all(sql, &params![]).await?;
        rows.iter().map(|row| Ok(row.get(0)?)).collect()
    };
    db.read(read).await.expect("rows")
}

async fn assert_up_to_date(url: Option<String>, folder: &TempDir) {
    let mut config = Config::for_tests().database;
    config.url = url.map(SecretString::from);
    let clock = Clock::manual(Timestamp::from_millis(1_764_000_000_000));
    let db =
        Db::open(&config, folder.path(), clock, std::time::Duration::ZERO).await.expect("a store");
    let keys = texts(&db, "SELECT tx_key FROM payments ORDER BY id").await;
    let hash = Some(HASH.to_owned());
    let of_one_name = |name: &str| Some(name.to_owned());
    assert_eq!(
        keys,
        [hash.clone(), None, hash, of_one_name("abc"), of_one_name("5VERv8NM"), None],
        "the second payment of a transaction has no claim to it"
    );
    // What was shown is shown.
    let shown = texts(&db, "SELECT tx_hash FROM payments WHERE id = 'p2'").await;
    assert_eq!(shown, [Some(format!("0x{HASH}"))]);
    let payouts = texts(&db, "SELECT tx_hash FROM payouts").await;
    assert_eq!(payouts, [Some(format!("0x{HASH}"))]);
    let coins = texts(&db, "SELECT crypto FROM payment_coins WHERE payment_id = 'p3'").await;
    assert_eq!(coins, [Some("BTC".to_owned())]);
    db.close().await;
}

/// Opens it twice: it is counted from the first start on.
async fn assert_stands(url: Option<String>, folder: &TempDir, seq: i64, epoch: &str) {
    let mut config = Config::for_tests().database;
    config.url = url.map(SecretString::from);
    let stream = Stream::Conversation("c1".parse().expect("an id"));
    for _ in 0..2 {
        let patience = std::time::Duration::ZERO;
        let db = Db::open(&config, folder.path(), Clock::system(), patience).await;
        let (db, stream) = (db.expect("a store"), stream.clone());
        let read = async move |tx: &mut Tx<'_>| Ok(db::position(tx, &stream).await?);
        let position = db.read(read).await.expect("an answer").expect("a position");
        assert_eq!((position.seq, position.oldest), (seq, seq));
        assert_eq!(position.epoch.as_str(), epoch);
        db.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_streams_of_an_older_sqlite_store_go_on() {
    let folder = TempDir::new().expect("a folder");
    let said = "INSERT INTO streams (stream, seq, epoch) VALUES ('conversation/c1', 1, 'e1')";
    let kept = "INSERT INTO events (stream, seq, wire, created_at)
        VALUES ('conversation/c1', 1, '[]', 5)";
    older_sqlite(&folder, KEYS, vec![said.to_owned(), kept.to_owned()]);
    assert_stands(None, &folder, 1, "e1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_streams_of_a_sqlite_store_that_was_restored_go_on() {
    let folder = TempDir::new().expect("a folder");
    older_sqlite(&folder, RESTORED, restored_rows());
    assert_stands(None, &folder, 2_000_000_002, "e2").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_streams_of_a_postgres_store_that_was_restored_go_on() {
    let postgres = Postgres::shared();
    let (url, folder) = (postgres.database().await, TempDir::new().expect("a folder"));
    older_postgres(&url, RESTORED, restored_rows()).await;
    assert_stands(Some(url), &folder, 2_000_000_002, "e2").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payments_of_an_older_sqlite_store_have_one_key_for_a_transaction() {
    let folder = TempDir::new().expect("a folder");
    older_sqlite(&folder, KEYS, rows());
    assert_up_to_date(None, &folder).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payments_of_an_older_postgres_store_have_one_key_for_a_transaction() {
    let postgres = Postgres::shared();
    let url = postgres.database().await;
    older_postgres(&url, KEYS, rows()).await;
    let folder = TempDir::new().expect("a folder");
    assert_up_to_date(Some(url), &folder).await;
}

/// The first version that knows people by one name, wherever they take part.
const PROFILES: i64 = 17;

/// Ann was called otherwise where she came first; Bob has no name.
fn people() -> Vec<String> {
    [
        "INSERT INTO conversations (id, kind, metadata, created_by, created_at, messages,
            last_activity_at)
            VALUES ('c1', 'group', 'null', 'ann', 1, 0, 1), ('c2', 'group', 'null', 'ann', 2, 0, 2)",
        "INSERT INTO participants (conversation_id, user_id, first_name, last_name, joined_at,
            last_read, place)
            VALUES ('c1', 'ann', 'Ann', 'Old', 1, 0, 1), ('c2', 'ann', 'Ann', 'New', 2, 0, 1),
                ('c2', 'bob', NULL, NULL, 2, 0, 2), ('c2', 'cat', NULL, 'Cat', 2, 0, 3)",
    ]
    .map(str::to_owned)
    .to_vec()
}

async fn assert_named(url: Option<String>, folder: &TempDir) {
    let mut config = Config::for_tests().database;
    config.url = url.map(SecretString::from);
    let db = Db::open(&config, folder.path(), Clock::system(), std::time::Duration::ZERO).await;
    let db = db.expect("a store");
    let names = "SELECT user_id || ' ' || COALESCE(first_name, '-') || ' ' || last_name
        FROM profiles ORDER BY user_id";
    let names = texts(&db, names).await;
    assert_eq!(names, [Some("ann Ann New".to_owned()), Some("cat - Cat".to_owned())]);
    db.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_of_an_older_sqlite_store_have_the_names_they_came_with_last() {
    let folder = TempDir::new().expect("a folder");
    older_sqlite(&folder, PROFILES, people());
    assert_named(None, &folder).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_of_an_older_postgres_store_have_the_names_they_came_with_last() {
    let postgres = Postgres::shared();
    let (url, folder) = (postgres.database().await, TempDir::new().expect("a folder"));
    older_postgres(&url, PROFILES, people()).await;
    assert_named(Some(url), &folder).await;
}
