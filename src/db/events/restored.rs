//! A store that was restored from a backup does not know what its clients have heard since: its
//! streams start anew, with numbers that nobody has heard of.

use super::{Result, Tx};
use crate::{id::Ids, params};

/// How far the numbers of a new life are from those of the one before: more than any stream had.
const GAP: i64 = 1_000_000_000;

/// Starts every stream anew.
///
/// # Errors
/// The store's.
pub(in crate::db) async fn start_anew(tx: &mut Tx<'_>) -> Result<()> {
    const NOTE: &str = "
        INSERT INTO restores (restored_at, after_seq)
        SELECT $1, COALESCE(MAX(after_seq), 0) + $2 FROM restores";
    const RENEW: &str = "UPDATE streams SET epoch = $1, seq = seq + $2";
    let now = tx.now();
    tx.execute(NOTE, &params![now, GAP]).await?;
    tx.execute(RENEW, &params![Ids.next(), GAP]).await?;
    Ok(())
}

/// The number after which a stream begins that there was none of before.
///
/// # Errors
/// The store's.
pub(in crate::db) async fn begin_after(tx: &mut Tx<'_>) -> Result<i64> {
    const AFTER: &str = "SELECT COALESCE(MAX(after_seq), 0) AS after_seq FROM restores";
    tx.one(AFTER, &[]).await?.get("after_seq")
}
