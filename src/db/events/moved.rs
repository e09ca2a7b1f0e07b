//! How far streams are, for a store that takes over what another had.

use super::{Beginning, Result, Row, Tx};
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
        SELECT stream, seq, epoch FROM streams WHERE stream > $1 ORDER BY stream LIMIT $2";
    let Beginning { after: begun, epoch } = super::beginning(tx).await?;
    let begun = u64::try_from(begun).unwrap_or(0);
    let streams = tx.all(AFTER, &params![after, limit]).await?;
    let position = |row: &Row| {
        let epoch = epoch.clone().map_or_else(|| row.get("epoch"), Ok)?;
        Ok((row.get("stream")?, row.get::<u64>("seq")? + begun, epoch))
    };
    streams.iter().map(position).collect()
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
