//! What each table of the store takes. Postgres knows it; SQLite looks at every page for it, so that a large
//! file is not asked.

use super::{Db, Engine, Result, Row, Tx};
use crate::error as public;

/// Bytes of a SQLite file up to which its tables are weighed (docs/limits.md).
const WEIGHED: u64 = 1 << 30;

/// What a table takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Its rows; on Postgres about so many, as it was last looked at.
    pub rows: u64,
    /// Bytes, with its indexes.
    pub bytes: u64,
}

impl Db {
    /// What each table takes, the largest first; none where a file is too large to be looked through.
    ///
    /// # Errors
    /// [`public::Code::Unavailable`] when the store is not able to now.
    pub async fn tables(&self) -> public::Result<Option<Vec<Table>>> {
        match &self.0.engine {
            Engine::Sqlite(sqlite) if sqlite.bytes().0 > WEIGHED => Ok(None),
            Engine::Sqlite(_) => {
                let unit = async |tx: &mut Tx<'_>| Ok(of_sqlite(tx).await?);
                self.read(unit).await.map(Some)
            }
            Engine::Postgres(_) => {
                let unit = async |tx: &mut Tx<'_>| Ok(of_postgres(tx).await?);
                self.read(unit).await.map(Some)
            }
        }
    }
}

async fn of_sqlite(tx: &mut Tx<'_>) -> Result<Vec<Table>> {
    // The cells of the leaves of a table are its rows.
    const TABLES: &str = "
        SELECT m.tbl_name AS name, SUM(s.pgsize) AS bytes,
            SUM(CASE WHEN m.type = 'table' AND s.pagetype = 'leaf' THEN s.ncell ELSE 0 END) AS rows
        FROM dbstat s JOIN sqlite_master m ON m.name = s.name
        GROUP BY m.tbl_name ORDER BY bytes DESC, name";
    tx.all(TABLES, &[]).await?.iter().map(table).collect()
}

async fn of_postgres(tx: &mut Tx<'_>) -> Result<Vec<Table>> {
    const TABLES: &str = "
        SELECT c.relname::text AS name, pg_total_relation_size(c.oid) AS bytes,
            GREATEST(c.reltuples, 0)::bigint AS rows
        FROM pg_class c
        WHERE c.relkind = 'r'
            AND c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'streams'::regclass)
        ORDER BY bytes DESC, name";
    tx.all(TABLES, &[]).await?.iter().map(table).collect()
}

fn table(row: &Row) -> Result<Table> {
    let (rows, bytes): (i64, i64) = (row.get("rows")?, row.get("bytes")?);
    let natural = |number: i64| u64::try_from(number).unwrap_or(0);
    Ok(Table { name: row.get("name")?, rows: natural(rows), bytes: natural(bytes) })
}
