//! Giving old events up: found by their age, and removed a few at a time, so that nobody who writes
//! waits for it.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::{
    clock::Timestamp,
    db::{Db, Tx},
    error::Result,
    params,
};

/// Rows that a unit removes: as many as take [`UNIT_TIME`].
const LEAST_ROWS: i64 = 50;
const FIRST_ROWS: i64 = 100;
const MOST_ROWS: i64 = 2000;

/// How long a unit works, about: those who write wait for it, and for its commit.
const UNIT_TIME: Duration = Duration::from_millis(4);

/// Bytes after which a unit removes no more.
const MAX_BYTES: u64 = 512 * 1024;

/// How long those who write have the store to themselves between two units: as long as the last took
/// and they waited for it, within these.
const SHORTEST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// For how long at most is kept what somebody needs.
const NEEDED: Duration = Duration::from_hours(7 * 24);

/// What is to go: what is older, and what is that old whether it is needed or not.
#[derive(Clone, Copy)]
struct Old {
    at: Timestamp,
    though_needed: Timestamp,
    needed_after: i64,
}

impl Old {
    fn is(&self, position: i64, created_at: Timestamp) -> bool {
        let is_needed = position > self.needed_after;
        created_at <= if is_needed { self.though_needed } else { self.at }
    }
}

/// Gives up the events that are older than `keep_for`, and what is still needed when it is much older;
/// how many. They are found in the order of their positions, which is that of their age. What several
/// streams shared goes with what they keep of it.
///
/// # Errors
/// The store's.
pub async fn prune_events(db: &Db, keep_for: Duration) -> Result<u64> {
    let needed_after = db.needed_after();
    let now = db.read(async |tx: &mut Tx<'_>| Ok(tx.now())).await?;
    let old = Old { at: now - keep_for, though_needed: now - keep_for.max(NEEDED), needed_after };
    let (mut pruned, mut rows) = (0, FIRST_ROWS);
    // What was removed is passed over: Postgres's index has it for a while.
    let mut after = i64::MIN;
    loop {
        let next = async move |tx: &mut Tx<'_>| oldest(tx, old, after, rows).await;
        let Some(upto) = db.read(next).await? else { return Ok(pruned) };
        let from = std::mem::replace(&mut after, upto);
        let asked = Instant::now();
        let unit = async move |tx: &mut Tx<'_>| {
            let began = Instant::now();
            Ok((remove(tx, from, upto, old.at).await?, began.elapsed()))
        };
        let (removed, took) = db.write(unit).await?;
        pruned += removed;
        rows = if took > UNIT_TIME { rows / 2 } else { rows + rows / 8 + 1 };
        rows = rows.clamp(LEAST_ROWS, MOST_ROWS);
        sleep(asked.elapsed().clamp(SHORTEST_PAUSE, LONGEST_PAUSE)).await;
    }
}

/// The position up to which the events after one are removed together.
async fn oldest(tx: &mut Tx<'_>, old: Old, after: i64, rows: i64) -> Result<Option<i64>> {
    const OLDEST: &str = "
        SELECT e.position, e.created_at,
            OCTET_LENGTH(e.wire) + COALESCE(OCTET_LENGTH(s.wire), 0) AS bytes
        FROM events e LEFT JOIN shared_events s ON s.id = e.shared
        WHERE e.position > $1 ORDER BY e.position LIMIT $2";
    let (mut last, mut bytes) = (None, 0);
    for row in tx.all(OLDEST, &params![after, rows]).await? {
        let position = row.get("position")?;
        if last == Some(position) {
            continue;
        }
        bytes += row.get::<u64>("bytes")?;
        let is_full = last.is_some() && bytes > MAX_BYTES;
        if is_full || !old.is(position, row.get("created_at")?) {
            break;
        }
        last = Some(position);
    }
    Ok(last)
}

async fn remove(tx: &mut Tx<'_>, after: i64, upto: i64, old: Timestamp) -> Result<u64> {
    const REMOVE: &str =
        "DELETE FROM events WHERE position > $1 AND position <= $2 AND created_at <= $3";
    const REMOVE_SHARED: &str =
        "DELETE FROM shared_events WHERE position > $1 AND position <= $2 AND created_at <= $3";
    const NOTE: &str = "UPDATE positions SET pruned = $1 WHERE pruned < $1";
    let removed = tx.execute(REMOVE, &params![after, upto, old]).await?;
    tx.execute(REMOVE_SHARED, &params![after, upto, old]).await?;
    tx.execute(NOTE, &params![upto]).await?;
    Ok(removed)
}
