//! The keys and their answers, in the table `idempotency_keys`.

use bytes::Bytes;
use http::StatusCode;
use uuid::Uuid;

use super::{KEPT_FOR, RUNS_FOR};
use crate::{
    db::{Db, Row, Tx},
    error::Result,
    id::Ids,
    params,
};

/// Rows that one unit of pruning removes, so that it holds nobody up: each may have a large answer.
const PRUNE_ROWS: i64 = 50;

/// What a request with a key is to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// Carry it out, under this name.
    Run(Uuid),
    /// Another carries it out now.
    Running,
    /// It came with another body before.
    OtherBody,
    /// It has been done, and this was the answer.
    Done(Answer),
    /// It has been done, and the answer was not kept.
    DoneWithoutAnswer,
}

/// An answer as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) content_type: Option<String>,
    /// None is kept of an answer that is too large.
    pub(super) body: Option<Bytes>,
}

/// Takes a place, unless it is taken. One whose answer is too old, or whose request runs for so
/// long that it must have been lost, is free.
pub(super) async fn claim(db: &Db, place: Vec<u8>, body_hash: Vec<u8>) -> Result<Claim> {
    const TAKE: &str = "
        INSERT INTO idempotency_keys (id, body_hash, attempt, started_at) VALUES ($1, $2, $3, $4)
        ON CONFLICT (id) DO UPDATE SET body_hash = $2, attempt = $3, started_at = $4,
            status = NULL, content_type = NULL, answer = NULL
        WHERE idempotency_keys.started_at <= $5
            OR (idempotency_keys.status IS NULL AND idempotency_keys.body_hash = $2
                AND idempotency_keys.started_at <= $6)";
    const TAKEN: &str = "
        SELECT body_hash, status, content_type, answer FROM idempotency_keys WHERE id = $1";
    db.write(async move |tx| {
        let attempt = Ids.next();
        let (old, lost) = (before(tx, KEPT_FOR), before(tx, RUNS_FOR));
        let now = tx.now();
        let taken =
            tx.execute(TAKE, &params![&*place, &*body_hash, attempt, now, old, lost]).await?;
        if taken == 1 {
            return Ok(Claim::Run(attempt));
        }
        match tx.optional(TAKEN, &params![&*place]).await? {
            Some(row) => read(&row, &body_hash),
            // Given back in between.
            None => Ok(Claim::Running),
        }
    })
    .await
}

fn read(row: &Row, body_hash: &[u8]) -> Result<Claim> {
    if row.get::<Vec<u8>>("body_hash")? != body_hash {
        return Ok(Claim::OtherBody);
    }
    let status: Option<i64> = row.get("status")?;
    let status = status.map(|status| u16::try_from(status).unwrap_or_default());
    let Some(status) = status.map(StatusCode::from_u16) else { return Ok(Claim::Running) };
    let Some(body) = row.get::<Option<Vec<u8>>>("answer")? else {
        return Ok(Claim::DoneWithoutAnswer);
    };
    Ok(Claim::Done(Answer {
        status: status.map_err(crate::error::Error::internal)?,
        content_type: row.get("content_type")?,
        body: Some(body.into()),
    }))
}

/// Keeps the answer, unless another has taken the place since.
pub(super) async fn finish(db: &Db, place: Vec<u8>, attempt: Uuid, answer: Answer) -> Result<()> {
    const FINISH: &str = "
        UPDATE idempotency_keys SET status = $3, content_type = $4, answer = $5
        WHERE id = $1 AND attempt = $2";
    let bytes = answer.body.as_ref().map_or(0, Bytes::len);
    db.write_sized(bytes, async move |tx| {
        let status = u32::from(answer.status.as_u16());
        let body = answer.body.as_deref();
        let params = params![place, attempt, status, answer.content_type, body];
        tx.execute(FINISH, &params).await?;
        Ok(())
    })
    .await
}

/// Gives a place back, unless another has taken it since.
pub(super) async fn release(db: &Db, place: Vec<u8>, attempt: Uuid) -> Result<()> {
    const RELEASE: &str = "DELETE FROM idempotency_keys WHERE id = $1 AND attempt = $2";
    db.write(async move |tx| {
        tx.execute(RELEASE, &params![place, attempt]).await?;
        Ok(())
    })
    .await
}

/// Gives back what an earlier process was carrying out when it ended.
pub(super) async fn release_all(db: &Db) -> Result<u64> {
    const RELEASE: &str = "DELETE FROM idempotency_keys WHERE status IS NULL";
    db.write(async |tx| Ok(tx.execute(RELEASE, &[]).await?)).await
}

/// Removes old rows; whether there may be more of them.
pub(super) async fn prune(db: &Db) -> Result<bool> {
    const PRUNE: &str = "
        DELETE FROM idempotency_keys WHERE id IN (
            SELECT id FROM idempotency_keys WHERE started_at <= $1 ORDER BY started_at LIMIT $2)";
    db.write(async |tx| {
        let old = before(tx, KEPT_FOR);
        Ok(tx.execute(PRUNE, &params![old, PRUNE_ROWS]).await? > 0)
    })
    .await
}

/// The moment that long before now, in milliseconds.
fn before(tx: &Tx<'_>, duration: std::time::Duration) -> i64 {
    tx.now().millis() - i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
