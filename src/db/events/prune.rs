//! Giving old events up: found by their age, and removed a few at a time, so that nobody who writes
//! waits for it.

use std::time::Duration;

use tokio::time::sleep;

use crate::{
    clock::Timestamp,
    db::{Db, Tx},
    error::Result,
    params,
};

/// Rows that one unit removes, at most.
const MAX_ROWS: i64 = 100;

/// Bytes after which a unit removes no more.
const MAX_BYTES: u64 = 512 * 1024;

/// How long those who write have the store to themselves between two units: removing goes on for a
/// while, and makes SQLite fold its log in, too.
const PAUSE: Duration = Duration::from_millis(50);

/// Gives up the events that are older than `keep_for`; how many. What several streams shared goes
/// after what streams keep of it, which are as old.
///
/// # Errors
/// The store's.
pub async fn prune_events(db: &Db, keep_for: Duration) -> Result<u64> {
    const OLD: &str = "
        SELECT OCTET_LENGTH(wire) AS bytes FROM events WHERE created_at <= $1
        ORDER BY created_at LIMIT $2";
    const REMOVE: &str = "
        DELETE FROM events WHERE (stream, seq) IN (
            SELECT stream, seq FROM events WHERE created_at <= $1 ORDER BY created_at LIMIT $2)";
    const OLD_SHARED: &str = "
        SELECT OCTET_LENGTH(wire) AS bytes FROM shared_events WHERE created_at <= $1
        ORDER BY created_at LIMIT $2";
    const REMOVE_SHARED: &str = "
        DELETE FROM shared_events WHERE id IN (
            SELECT id FROM shared_events WHERE created_at <= $1 ORDER BY created_at LIMIT $2)";
    let now = db.read(async |tx: &mut Tx<'_>| Ok(tx.now())).await?;
    let old = now - keep_for;
    let pruned = prune(db, old, OLD, REMOVE).await?;
    prune(db, old, OLD_SHARED, REMOVE_SHARED).await?;
    Ok(pruned)
}

/// Removes what is that old: what `find` finds, by `remove`.
async fn prune(db: &Db, old: Timestamp, find: &'static str, remove: &'static str) -> Result<u64> {
    let mut pruned = 0;
    loop {
        let rows = db.read(async move |tx: &mut Tx<'_>| oldest(tx, old, find).await).await?;
        if rows == 0 {
            return Ok(pruned);
        }
        let unit = async move |tx: &mut Tx<'_>| Ok(tx.execute(remove, &params![old, rows]).await?);
        pruned += db.write(unit).await?;
        sleep(PAUSE).await;
    }
}

/// How many of the oldest are removed together.
async fn oldest(tx: &mut Tx<'_>, old: Timestamp, find: &'static str) -> Result<i64> {
    let (mut rows, mut bytes) = (0, 0);
    for row in tx.all(find, &params![old, MAX_ROWS]).await? {
        bytes += row.get::<u64>("bytes")?;
        if rows > 0 && bytes > MAX_BYTES {
            break;
        }
        rows += 1;
    }
    Ok(rows)
}
