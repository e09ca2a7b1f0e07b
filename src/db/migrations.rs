//! Brings the tables up to date: `migrations/NNNN_name.sql`, one text for both engines, built into
//! the binary. A migration that has been carried out never changes.

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

fn refusal(why: std::fmt::Arguments<'_>) -> Error {
    Error::new(Kind::Other, why)
}
