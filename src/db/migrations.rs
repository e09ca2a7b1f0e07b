//! Brings the tables up to date: `migrations/NNNN_name.sql`, one text for both engines, built into
//! the binary. A migration that has been carried out never changes, and none takes away what the version
//! before works with: that one goes on beside it, and may start again.

use std::{collections::HashMap, fmt, sync::LazyLock};

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use sqlx::{
    PgConnection,
    migrate::{MigrateError, Migrator},
};

use super::{Error, Kind, Result, opening::Opening};
use crate::clock::Timestamp;

static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrations = sqlx::migrate!("./migrations");
    migrations.set_ignore_missing(true);
    migrations
});

/// Carries out what is missing in a Postgres database; of several nodes one does it.
pub(super) async fn postgres(connection: &mut PgConnection, opening: Opening) -> Result<()> {
    const NEWEST: &str = "SELECT MAX(version) FROM _sqlx_migrations";
    MIGRATIONS.run(&mut *connection).await.map_err(|error| match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
        error => Error::new(Kind::Other, error),
    })?;
    ensure_known(sqlx::query_scalar(NEWEST).fetch_one(connection).await?, opening)
}

/// Carries out what is missing in a SQLite database.
pub(super) fn sqlite(connection: &mut Connection, now: Timestamp, opening: Opening) -> Result<()> {
    const TABLE: &str = "
        CREATE TABLE IF NOT EXISTS migrations (
            version BIGINT NOT NULL PRIMARY KEY,
            description TEXT NOT NULL,
            checksum BLOB NOT NULL,
            applied_at BIGINT NOT NULL
        )";
    const CHECKSUM: &str = "SELECT checksum FROM migrations WHERE version = ?1";
    const APPLIED: &str = "INSERT INTO migrations (version, description, checksum, applied_at) VALUES (?1, ?2, ?3, ?4)";
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(TABLE)?;
    for migration in MIGRATIONS.iter() {
        let version = migration.version;
        let applied = transaction.query_row(CHECKSUM, [version], |row| row.get::<_, Vec<u8>>(0));
        match applied.optional()? {
            Some(checksum) if checksum == *migration.checksum => {}
            Some(_) => {
                return Err(refusal(format_args!("migration {version} has changed since")));
            }
            None => {
                transaction.execute_batch(migration.sql.as_str())?;
                let (name, checksum) = (&*migration.description, &*migration.checksum);
                transaction.execute(APPLIED, (version, name, checksum, now.millis()))?;
            }
        }
    }
    let newest: i64 =
        transaction.query_row("SELECT MAX(version) FROM migrations", [], |row| row.get(0))?;
    ensure_known(newest, opening)?;
    Ok(transaction.commit()?)
}

/// Says that a newer version has changed a database: one can work with it, but not fill it with all that
/// it has by now.
fn ensure_known(newest: i64, opening: Opening) -> Result<()> {
    if MIGRATIONS.version_exists(newest) {
        return Ok(());
    }
    if opening != Opening::Work {
        return Err(unfit_newer(newest));
    }
    let known = newest_known();
    tracing::warn!(newest, known, "the store is of a newer version, which only added to it");
    Ok(())
}

/// How the tables of a database stand to those of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    /// There are none.
    Absent,
    /// They are of the migration `newest`, and this version has that of `known`.
    Older {
        /// The newest that was carried out.
        newest: i64,
        /// The newest of this version.
        known: i64,
    },
    /// They are the same.
    Current,
    /// A newer version has changed them, up to this migration.
    Newer(i64),
    /// This migration was carried out and is another in this version.
    Changed(i64),
}

/// What was carried out in a database: migrations by their number, each with its checksum.
type Applied = HashMap<i64, Vec<u8>>;

/// What is told of a database that has no tables of ours.
const NO_TABLES: &str = "there are none of this server's tables in it; `stoa migrate` makes them";

/// Whether there are tables of ours in a Postgres database.
pub(super) async fn postgres_is_there(connection: &mut PgConnection) -> Result<bool> {
    const THERE: &str = "SELECT to_regclass('_sqlx_migrations') IS NOT NULL";
    Ok(sqlx::query_scalar(THERE).fetch_one(connection).await?)
}

/// How the tables of a Postgres database stand to this version.
pub(super) async fn postgres_schema(connection: &mut PgConnection) -> Result<Schema> {
    const APPLIED: &str = "SELECT version, checksum FROM _sqlx_migrations";
    if !postgres_is_there(connection).await? {
        return Ok(Schema::Absent);
    }
    let applied: Vec<(i64, Vec<u8>)> = sqlx::query_as(APPLIED).fetch_all(connection).await?;
    Ok(schema(&applied.into_iter().collect()))
}

/// Refuses a Postgres database that is not of this version.
pub(super) async fn postgres_as_it_is(connection: &mut PgConnection) -> Result<()> {
    ensure_current(postgres_schema(connection).await?)
}

/// Whether there are tables of ours in a SQLite database.
pub(super) fn sqlite_is_there(connection: &Connection) -> Result<bool> {
    const THERE: &str = "
        SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = 'migrations'";
    Ok(connection.query_row(THERE, [], |row| row.get::<_, i64>(0))? == 1)
}

/// How the tables of a SQLite database stand to this version.
pub(super) fn sqlite_schema(connection: &Connection) -> Result<Schema> {
    const APPLIED: &str = "SELECT version, checksum FROM migrations";
    if !sqlite_is_there(connection)? {
        return Ok(Schema::Absent);
    }
    let mut applied = connection.prepare(APPLIED)?;
    let applied = applied.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(schema(&applied.collect::<rusqlite::Result<_>>()?))
}

/// Refuses a SQLite database that is not of this version.
pub(super) fn sqlite_as_it_is(connection: &Connection) -> Result<()> {
    ensure_current(sqlite_schema(connection)?)
}

fn schema(applied: &Applied) -> Schema {
    let newest = applied.keys().max().copied().unwrap_or_default();
    for migration in MIGRATIONS.iter() {
        let version = migration.version;
        match applied.get(&version) {
            Some(checksum) if *checksum == *migration.checksum => {}
            Some(_) => return Schema::Changed(version),
            None => return Schema::Older { newest, known: newest_known() },
        }
    }
    if MIGRATIONS.version_exists(newest) { Schema::Current } else { Schema::Newer(newest) }
}

fn ensure_current(schema: Schema) -> Result<()> {
    match schema {
        Schema::Current => Ok(()),
        Schema::Absent => Err(unfit(NO_TABLES)),
        Schema::Changed(version) => {
            Err(refusal(format_args!("migration {version} has changed since")))
        }
        Schema::Older { newest, known } => Err(unfit(format_args!(
            "it is of an older version ({newest}, and this is {known}); `stoa migrate` brings it up to date",
        ))),
        Schema::Newer(newest) => Err(unfit_newer(newest)),
    }
}

fn newest_known() -> i64 {
    MIGRATIONS.iter().map(|one| one.version).max().unwrap_or_default()
}

fn unfit_newer(newest: i64) -> Error {
    unfit(format_args!("it is of a newer version ({newest}); take that version's stoa"))
}

fn refusal(why: fmt::Arguments<'_>) -> Error {
    Error::new(Kind::Other, why)
}

fn unfit(why: impl fmt::Display) -> Error {
    Error::new(Kind::Unfit, why)
}
