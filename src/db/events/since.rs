//! Where in the order of all kept events a time is.

use crate::{
    clock::Timestamp,
    db::{Result, Row, Tx},
    params,
};

/// The highest position of an event that was announced before a time, as positions rise with time; one
/// below the first where all were announced since then. None when no event is kept.
///
/// # Errors
/// The store's.
pub async fn position_before(tx: &mut Tx<'_>, at: Timestamp) -> Result<Option<i64>> {
    const LAST: &str = "
        SELECT position, created_at FROM events WHERE position <= $1
        ORDER BY position DESC LIMIT 1";
    let Some(last) = tx.optional(LAST, &params![i64::MAX]).await? else { return Ok(None) };
    let (last, last_at) = read(&last)?;
    if last_at < at {
        return Ok(Some(last));
    }
    // What was announced since then begins above the one and not above the other.
    let (mut below, mut upto) = (first(tx, i64::MIN).await?.map_or(last, |(at, _)| at) - 1, last);
    while upto - below > 1 {
        let middle = below + (upto - below) / 2;
        match first(tx, middle).await? {
            Some((position, created_at)) if created_at < at => below = position,
            _ => upto = middle,
        }
    }
    Ok(Some(below))
}

/// The first event at or above a position.
async fn first(tx: &mut Tx<'_>, position: i64) -> Result<Option<(i64, Timestamp)>> {
    const FIRST: &str = "
        SELECT position, created_at FROM events WHERE position >= $1 ORDER BY position LIMIT 1";
    tx.optional(FIRST, &params![position]).await?.as_ref().map(read).transpose()
}

fn read(row: &Row) -> Result<(i64, Timestamp)> {
    Ok((row.get("position")?, row.get("created_at")?))
}
