//! Brings the tables up to date: `migrations/NNNN_name.sql`, one text for both engines, built into
//! the binary. A migration that has been carried out never changes.

use std::{collections::HashMap, fmt};

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use sqlx::{
    PgConnection,
    migrate::{MigrateError, Migrator},
};

use super::{Error, Kind, Result};
use crate::clock::Timestamp;

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// Carries out what is missing in a Postgres database; of several nodes one does it.
pub(super) async fn postgres(connection: &mut PgConnection) -> Result<()> {
    MIGRATIONS.run(connection).await.map_err(|error| match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
        error => Error::new(Kind::Other, error),
    })
}

/// Carries out what is missing in a SQLite database.
pub(super) fn sqlite(connection: &mut Connection, now: Timestamp) -> Result<()> {
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
    if !MIGRATIONS.version_exists(newest) {
        return Err(refusal(format_args!("the database is of a newer version ({newest})")));
    }
    Ok(transaction.commit()?)
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

/// Refuses a Postgres database that is not of this version.
pub(super) async fn postgres_as_it_is(connection: &mut PgConnection) -> Result<()> {
    const APPLIED: &str = "SELECT version, checksum FROM _sqlx_migrations";
    if !postgres_is_there(connection).await? {
        return Err(unfit(NO_TABLES));
    }
    let applied: Vec<(i64, Vec<u8>)> = sqlx::query_as(APPLIED).fetch_all(connection).await?;
    ensure_current(&applied.into_iter().collect())
}

/// Whether there are tables of ours in a SQLite database.
pub(super) fn sqlite_is_there(connection: &Connection) -> Result<bool> {
    const THERE: &str = "
        SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = 'migrations'";
    Ok(connection.query_row(THERE, [], |row| row.get::<_, i64>(0))? == 1)
}

/// Refuses a SQLite database that is not of this version.
pub(super) fn sqlite_as_it_is(connection: &Connection) -> Result<()> {
    const APPLIED: &str = "SELECT version, checksum FROM migrations";
    if !sqlite_is_there(connection)? {
        return Err(unfit(NO_TABLES));
    }
    let mut applied = connection.prepare(APPLIED)?;
    let applied = applied.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    ensure_current(&applied.collect::<rusqlite::Result<_>>()?)
}

fn ensure_current(applied: &Applied) -> Result<()> {
    let newest = applied.keys().max().copied().unwrap_or_default();
    for migration in MIGRATIONS.iter() {
        let version = migration.version;
        match applied.get(&version) {
            Some(checksum) if *checksum == *migration.checksum => {}
            Some(_) => return Err(refusal(format_args!("migration {version} has changed since"))),
            None => {
                return Err(unfit(format_args!(
                    "it is of an older version ({newest}, and this is {}); `stoa migrate` brings it up \
                     to date",
                    MIGRATIONS.iter().map(|one| one.version).max().unwrap_or_default(),
                )));
            }
        }
    }
    if !MIGRATIONS.version_exists(newest) {
        return Err(unfit(format_args!(
            "it is of a newer version ({newest}); take that version's stoa"
        )));
    }
    Ok(())
}

fn refusal(why: fmt::Arguments<'_>) -> Error {
    Error::new(Kind::Other, why)
}

fn unfit(why: impl fmt::Display) -> Error {
    Error::new(Kind::Unfit, why)
}
