//! Where in the order of all kept events a time is, and where in a stream.

use crate::{
    clock::Timestamp,
    db::{Result, Row, Tx},
    params,
    stream::Stream,
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

/// The number of a stream's last event at or below a position, as positions rise with numbers; one below
/// its first where all are above. None when no event of it is kept.
///
/// # Errors
/// The store's.
pub async fn number_at(tx: &mut Tx<'_>, stream: &Stream, position: i64) -> Result<Option<i64>> {
    const ENDS: &str = "
        SELECT (SELECT MIN(seq) FROM events WHERE stream = $1) AS first,
            (SELECT MAX(seq) FROM events WHERE stream = $1) AS last";
    const NEXT: &str = "
        SELECT seq, position FROM events WHERE stream = $1 AND seq >= $2 ORDER BY seq LIMIT 1";
    let ends = tx.one(ENDS, &params![stream]).await?;
    let (Some(first), Some(last)): (Option<i64>, Option<i64>) =
        (ends.get("first")?, ends.get("last")?)
    else {
        return Ok(None);
    };
    let (mut at, mut above) = (first - 1, last + 1);
    while above - at > 1 {
        let middle = at + (above - at) / 2;
        match tx.optional(NEXT, &params![stream, middle]).await? {
            Some(next) if next.get::<i64>("position")? <= position => at = next.get("seq")?,
            _ => above = middle,
        }
    }
    Ok(Some(at))
}
