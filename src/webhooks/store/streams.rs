//! Which streams wait for what, in the table `webhook_streams`.

use crate::{
    db::{Result, Tx},
    params,
    stream::Stream,
};

/// Has streams wait for an event.
pub(in crate::webhooks) async fn hold(
    tx: &mut Tx<'_>,
    webhook: &str,
    position: i64,
    streams: &[Stream],
) -> Result<()> {
    const HOLD: &str = "
        INSERT INTO webhook_streams (webhook, stream, position) VALUES ($1, $2, $3)
        ON CONFLICT DO NOTHING";
    let rows: Vec<_> = streams.iter().map(|stream| params![webhook, stream, position]).collect();
    tx.for_each(HOLD, &rows).await?;
    Ok(())
}

/// Has none wait for an event any more; those that did.
pub(in crate::webhooks) async fn release(
    tx: &mut Tx<'_>,
    webhook: &str,
    position: i64,
) -> Result<Vec<Stream>> {
    const RELEASE: &str = "DELETE FROM webhook_streams WHERE webhook = $1 AND position = $2";
    let streams = of(tx, webhook, position).await?;
    tx.execute(RELEASE, &params![webhook, position]).await?;
    Ok(streams)
}

/// The streams that wait for an event.
pub(in crate::webhooks) async fn of(
    tx: &mut Tx<'_>,
    webhook: &str,
    position: i64,
) -> Result<Vec<Stream>> {
    const OF: &str = "
        SELECT stream FROM webhook_streams WHERE webhook = $1 AND position = $2 ORDER BY stream";
    let rows = tx.all(OF, &params![webhook, position]).await?;
    rows.iter().map(|row| row.get("stream")).collect()
}

/// The lowest position that a stream waits for.
pub(in crate::webhooks) async fn lowest(
    tx: &mut Tx<'_>,
    webhook: &str,
    stream: &Stream,
) -> Result<Option<i64>> {
    const LOWEST: &str = "
        SELECT position FROM webhook_streams WHERE webhook = $1 AND stream = $2
        ORDER BY position LIMIT 1";
    let row = tx.optional(LOWEST, &params![webhook, stream]).await?;
    row.map(|row| row.get("position")).transpose()
}

/// The next after a stream and a position of what streams wait for, in their order.
pub(in crate::webhooks) async fn held_after(
    tx: &mut Tx<'_>,
    webhook: &str,
    (stream, position): (&str, i64),
    limit: i64,
) -> Result<Vec<(Stream, i64)>> {
    const HELD: &str = "
        SELECT stream, position FROM webhook_streams
        WHERE webhook = $1 AND (stream, position) > ($2, $3)
        ORDER BY stream, position LIMIT $4";
    let rows = tx.all(HELD, &params![webhook, stream, position, limit]).await?;
    rows.iter().map(|row| Ok((row.get("stream")?, row.get("position")?))).collect()
}

/// Forgets those that wait for what is after a position, some of them; how many.
pub(in crate::webhooks) async fn forget_after(
    tx: &mut Tx<'_>,
    webhook: &str,
    after: i64,
    limit: i64,
) -> Result<u64> {
    const FORGET: &str = "
        DELETE FROM webhook_streams WHERE (webhook, stream, position) IN (
            SELECT webhook, stream, position FROM webhook_streams
            WHERE webhook = $1 AND position > $2 ORDER BY position LIMIT $3)";
    tx.execute(FORGET, &params![webhook, after, limit]).await
}
