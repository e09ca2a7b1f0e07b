//! How far streams are, for a store that takes over what another had.

use super::{Result, Tx};
use crate::{id::Id, params, stream::Stream};

/// The streams after this one: how far each is, and its life.
///
/// # Errors
/// The store's.
pub async fn streams_after(
    tx: &mut Tx<'_>,
    after: &str,
    limit: i64,
) -> Result<Vec<(Stream, u64, Id)>> {
    const AFTER: &str = "
        SELECT s.stream, s.seq + COALESCE(r.after_seq, 0) AS seq,
            COALESCE(r.epoch, s.epoch) AS epoch
        FROM streams s
        LEFT JOIN restores r ON r.after_seq = (SELECT MAX(after_seq) FROM restores)
        WHERE s.stream > $1 ORDER BY s.stream LIMIT $2";
    let rows = tx.all(AFTER, &params![after, limit]).await?;
    rows.iter().map(|row| Ok((row.get("stream")?, row.get("seq")?, row.get("epoch")?))).collect()
}

/// Has a stream go on after a number; false when it is there already.
///
/// # Errors
/// The store's.
pub async fn continue_stream(
    tx: &mut Tx<'_>,
    stream: &Stream,
    seq: i64,
    epoch: &Id,
) -> Result<bool> {
    const BEGIN: &str = "
        INSERT INTO streams (stream, seq, epoch) VALUES ($1, $2, $3)
        ON CONFLICT (stream) DO NOTHING";
    let after = super::beginning(tx).await?.after;
    let counted = seq.saturating_sub(after).max(0);
    Ok(tx.execute(BEGIN, &params![stream, counted, epoch]).await? == 1)
}
