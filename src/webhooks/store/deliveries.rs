//! What could not be delivered, and what waits behind that, in the table `webhook_deliveries`.

use crate::{
    clock::Timestamp,
    db::{Result, Row, Tx},
    params,
};

/// An event that a webhook is still to be told.
#[derive(Clone, Debug)]
pub(in crate::webhooks) struct Pending {
    /// Which.
    pub(in crate::webhooks) position: i64,
    /// The stream in which it is told, and its number there.
    pub(in crate::webhooks) stream: String,
    pub(in crate::webhooks) seq: i64,
    /// Its name.
    pub(in crate::webhooks) event: String,
    /// When it was announced.
    pub(in crate::webhooks) created_at: Timestamp,
    /// How it went.
    pub(in crate::webhooks) tried: Tried,
}

/// How it went with an event that could not be delivered.
#[derive(Clone, Debug, Default)]
pub(in crate::webhooks) struct Tried {
    /// How many of its calls were answered.
    pub(in crate::webhooks) sent: i64,
    /// How often it was tried.
    pub(in crate::webhooks) attempts: i64,
    /// When that was first.
    pub(in crate::webhooks) first_at: Option<Timestamp>,
    /// When it is tried next; none for one that waits for its turn.
    pub(in crate::webhooks) next_at: Option<Timestamp>,
    /// Why it failed.
    pub(in crate::webhooks) reason: Option<String>,
}

/// What was put aside.
#[derive(Clone, Debug)]
pub(in crate::webhooks) struct PutAside {
    pub(in crate::webhooks) pending: Pending,
    pub(in crate::webhooks) aside_at: Timestamp,
}

/// Keeps an event that is to be told later; one that is kept stays as it is.
pub(in crate::webhooks) async fn keep(
    tx: &mut Tx<'_>,
    webhook: &str,
    pending: &Pending,
) -> Result<()> {
    const KEEP: &str = "
        INSERT INTO webhook_deliveries
            (webhook, position, stream, seq, event, created_at, sent, attempts, tried_at, next_at,
                reason)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        ON CONFLICT DO NOTHING";
    let Pending { position, stream, seq, event, created_at, tried } = pending;
    let Tried { sent, attempts, first_at, next_at, reason } = tried;
    let row = params![
        webhook,
        *position,
        stream,
        *seq,
        event,
        *created_at,
        *sent,
        *attempts,
        *first_at,
        *next_at,
        reason.as_deref()
    ];
    tx.execute(KEEP, &row).await?;
    Ok(())
}

/// Notes another failure, or that its turn has come; nothing of what was put aside.
pub(in crate::webhooks) async fn note(
    tx: &mut Tx<'_>,
    webhook: &str,
    position: i64,
    tried: &Tried,
) -> Result<()> {
    const NOTE: &str = "
        UPDATE webhook_deliveries
        SET sent = $3, attempts = $4, tried_at = $5, next_at = $6, reason = $7
        WHERE webhook = $1 AND position = $2 AND aside_at IS NULL";
    let Tried { sent, attempts, first_at, next_at, reason } = tried;
    let row = params![webhook, position, *sent, *attempts, *first_at, *next_at, reason.as_deref()];
    tx.execute(NOTE, &row).await?;
    Ok(())
}

/// Puts an event aside.
pub(in crate::webhooks) async fn put_aside(
    tx: &mut Tx<'_>,
    webhook: &str,
    position: i64,
    tried: &Tried,
) -> Result<()> {
    const PUT_ASIDE: &str = "
        UPDATE webhook_deliveries
        SET sent = $3, attempts = $4, next_at = NULL, aside_at = $5, reason = $6
        WHERE webhook = $1 AND position = $2";
    let (now, reason) = (tx.now(), tried.reason.as_deref());
    let row = params![webhook, position, tried.sent, tried.attempts, now, reason];
    tx.execute(PUT_ASIDE, &row).await?;
    Ok(())
}

/// Has an event tried now which was put aside, or may have been told before: by itself, since its stream
/// has gone on.
pub(in crate::webhooks) async fn try_again(
    tx: &mut Tx<'_>,
    webhook: &str,
    pending: &Pending,
) -> Result<()> {
    const TRY_AGAIN: &str = "
        UPDATE webhook_deliveries
        SET sent = 0, attempts = 0, tried_at = NULL, next_at = $3, aside_at = NULL
        WHERE webhook = $1 AND position = $2 AND aside_at IS NOT NULL";
    let now = tx.now();
    if tx.execute(TRY_AGAIN, &params![webhook, pending.position, now]).await? == 0 {
        keep(tx, webhook, pending).await?;
    }
    Ok(())
}

/// Forgets an event: it was delivered, or there is nothing to tell of it any more.
pub(in crate::webhooks) async fn forget(
    tx: &mut Tx<'_>,
    webhook: &str,
    position: i64,
) -> Result<()> {
    const FORGET: &str = "DELETE FROM webhook_deliveries WHERE webhook = $1 AND position = $2";
    tx.execute(FORGET, &params![webhook, position]).await?;
    Ok(())
}

/// Forgets what is after a position, some of it; how much.
pub(in crate::webhooks) async fn forget_after(
    tx: &mut Tx<'_>,
    webhook: &str,
    after: i64,
    limit: i64,
) -> Result<u64> {
    const FORGET: &str = "
        DELETE FROM webhook_deliveries WHERE (webhook, position) IN (
            SELECT webhook, position FROM webhook_deliveries
            WHERE webhook = $1 AND position > $2 ORDER BY position LIMIT $3)";
    tx.execute(FORGET, &params![webhook, after, limit]).await
}

/// Forgets what was announced before a time and put aside, some of it; how much.
pub(in crate::webhooks) async fn forget_aside(
    tx: &mut Tx<'_>,
    webhook: &str,
    before: Timestamp,
    limit: i64,
) -> Result<u64> {
    const FORGET: &str = "
        DELETE FROM webhook_deliveries WHERE (webhook, position) IN (
            SELECT webhook, position FROM webhook_deliveries
            WHERE webhook = $1 AND aside_at IS NOT NULL AND created_at <= $2
            ORDER BY position LIMIT $3)";
    tx.execute(FORGET, &params![webhook, before, limit]).await
}

/// What is to be tried, the soonest first.
pub(in crate::webhooks) async fn to_try(
    tx: &mut Tx<'_>,
    webhook: &str,
    limit: i64,
) -> Result<Vec<Pending>> {
    const TO_TRY: &str = "
        SELECT * FROM webhook_deliveries WHERE webhook = $1 AND next_at IS NOT NULL
        ORDER BY next_at LIMIT $2";
    tx.all(TO_TRY, &params![webhook, limit]).await?.iter().map(pending).collect()
}

/// One that is kept.
pub(in crate::webhooks) async fn find(
    tx: &mut Tx<'_>,
    webhook: &str,
    position: i64,
) -> Result<Option<Pending>> {
    const FIND: &str = "SELECT * FROM webhook_deliveries WHERE webhook = $1 AND position = $2";
    let row = tx.optional(FIND, &params![webhook, position]).await?;
    row.as_ref().map(pending).transpose()
}

/// The lowest position of what is kept.
pub(in crate::webhooks) async fn lowest(tx: &mut Tx<'_>, webhook: &str) -> Result<Option<i64>> {
    const LOWEST: &str = "
        SELECT position FROM webhook_deliveries WHERE webhook = $1 ORDER BY position LIMIT 1";
    tx.optional(LOWEST, &params![webhook]).await?.map(|row| row.get("position")).transpose()
}

/// What was put aside, the latest first.
pub(in crate::webhooks) async fn aside(
    tx: &mut Tx<'_>,
    webhook: &str,
    before: Option<(i64, i64)>,
    limit: i64,
) -> Result<Vec<PutAside>> {
    const ASIDE: &str = "
        SELECT * FROM webhook_deliveries
        WHERE webhook = $1 AND aside_at IS NOT NULL AND (aside_at, position) < ($2, $3)
        ORDER BY aside_at DESC, position DESC LIMIT $4";
    let (at, position) = before.unwrap_or((i64::MAX, i64::MAX));
    let rows = tx.all(ASIDE, &params![webhook, at, position, limit]).await?;
    let aside = |row: &Row| Ok(PutAside { pending: pending(row)?, aside_at: row.get("aside_at")? });
    rows.iter().map(aside).collect()
}

/// How many were put aside, counted up to a limit.
pub(in crate::webhooks) async fn count_aside(
    tx: &mut Tx<'_>,
    webhook: &str,
    limit: i64,
) -> Result<u64> {
    const COUNT: &str = "
        SELECT COUNT(*) AS many FROM (
            SELECT position FROM webhook_deliveries
            WHERE webhook = $1 AND aside_at IS NOT NULL ORDER BY aside_at LIMIT $2) AS put_aside";
    tx.one(COUNT, &params![webhook, limit]).await?.get("many")
}

fn pending(row: &Row) -> Result<Pending> {
    Ok(Pending {
        position: row.get("position")?,
        stream: row.get("stream")?,
        seq: row.get("seq")?,
        event: row.get("event")?,
        created_at: row.get("created_at")?,
        tried: Tried {
            sent: row.get("sent")?,
            attempts: row.get("attempts")?,
            first_at: row.get("tried_at")?,
            next_at: row.get("next_at")?,
            reason: row.get("reason")?,
        },
    })
}
