//! The keys and their answers, in the table `idempotency_keys`.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use serde::Serialize;
use uuid::Uuid;

use super::kept::{Answer, MAX_ANSWER};
use crate::{
    db::{Db, Row, Tx},
    error::{Error, Result},
    id::{Id, Ids},
    params,
};

/// How long an answer is kept.
pub const KEPT_FOR: Duration = Duration::from_hours(24);

/// After how long a request that another process carries out may be taken over.
pub(super) const LEFT_FOR: Duration = Duration::from_secs(1);

/// Rows that one unit of pruning removes, so that it holds nobody up: each may have a large answer.
const PRUNE_ROWS: i64 = 50;

/// Kept answers that show the same, at most: the unit that changes it writes all of them anew.
const MAX_ABOUT: i64 = 8;

/// What a request with a key is to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// Carry it out, in this place.
    Run(Claimed),
    /// Another carries it out now.
    Running,
    /// It came with another body before.
    OtherBody,
    /// It has been done, and this was the answer.
    Done(Answer),
    /// It has been done, and the answer was not kept.
    DoneWithoutAnswer,
}

/// A place that was taken, and the name of the attempt that has it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Claimed {
    request_hash: Vec<u8>,
    id: Uuid,
}

/// Claims a request, unless it is claimed. One whose answer is too old is free, and so is one
/// without an answer after a moment: its request does not run in this process, and is undone
/// elsewhere. One that is held from a time to come is from before a clock was set back, and free.
pub(super) async fn claim(db: &Db, request_hash: Vec<u8>, body_hash: Vec<u8>) -> Result<Claim> {
    const TAKE: &str = "
        INSERT INTO idempotency_keys (id, body_hash, attempt, started_at, held_at)
        VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (id) DO UPDATE SET body_hash = $2, attempt = $3, started_at = $4, held_at = $5,
            status = NULL, content_type = NULL, answer = NULL, subject = NULL
        WHERE idempotency_keys.started_at <= $6
            OR (idempotency_keys.status IS NULL AND idempotency_keys.body_hash = $2
                AND COALESCE(idempotency_keys.held_at, 0) NOT BETWEEN $7 AND $8)";
    const TAKEN: &str = "
        SELECT body_hash, status, content_type, answer, subject FROM idempotency_keys
        WHERE id = $1";
    db.write(async move |tx| {
        let id = Ids.next();
        let (now, old) = (tx.now(), before(tx, KEPT_FOR));
        let held_at = tx.common_now().await?;
        // Another may have asked for the time later, and been faster.
        let (left, ahead) = (held_at - LEFT_FOR, held_at + LEFT_FOR);
        let left = left.millis() + 1;
        let taken = params![&*request_hash, &*body_hash, id, now, held_at, old, left, ahead];
        let taken = tx.execute(TAKE, &taken).await?;
        if taken == 1 {
            return Ok(Claim::Run(Claimed { request_hash, id }));
        }
        match tx.optional(TAKEN, &params![&*request_hash]).await? {
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
        status: status.map_err(Error::internal)?,
        content_type: row.get("content_type")?,
        body: Some(body.into()),
        subject: row.get("subject")?,
    }))
}

/// Keeps the answer, unless another has claimed the request since.
pub(super) async fn finish(db: &Db, claimed: &Claimed, answer: Answer) -> Result<()> {
    let bytes = answer.body.as_ref().map_or(0, Bytes::len);
    let (request_hash, id) = (claimed.request_hash.clone(), claimed.id);
    db.write_sized(bytes, async move |tx| set_answer(tx, request_hash, id, &answer).await.map(drop))
        .await
}

/// Keeps the answer in the unit that does the work; false when another has claimed the request
/// since.
pub(super) async fn keep(tx: &mut Tx<'_>, claimed: &Claimed, answer: &Answer) -> Result<bool> {
    set_answer(tx, claimed.request_hash.clone(), claimed.id, answer).await
}

async fn set_answer(
    tx: &mut Tx<'_>,
    request_hash: Vec<u8>,
    id: Uuid,
    answer: &Answer,
) -> Result<bool> {
    // Where enough others show the same, the request has no answer yet, and gets none.
    const SET: &str = "
        UPDATE idempotency_keys SET status = $3, content_type = $4, (answer, subject) = (
            SELECT CASE WHEN about.answers < $7 THEN $5 ELSE answer END,
                CASE WHEN about.answers < $7 THEN $6 ELSE subject END
            FROM (SELECT COUNT(*) AS answers FROM (
                SELECT 1 FROM idempotency_keys WHERE subject = $6 LIMIT $7) AS same) AS about)
        WHERE id = $1 AND attempt = $2";
    let status = u32::from(answer.status.as_u16());
    let (content_type, body) = (answer.content_type.clone(), answer.body.as_deref());
    let params =
        params![request_hash, id, status, content_type, body, answer.subject.clone(), MAX_ABOUT];
    Ok(tx.execute(SET, &params).await? == 1)
}

/// Has the kept answers that show something show it as it is: who repeats the request that made it is
/// not told what was changed or taken back since.
///
/// # Errors
/// The store's.
pub async fn rewrite(tx: &mut Tx<'_>, subject: &Id, answer: &impl Serialize) -> Result<()> {
    const REWRITE: &str = "UPDATE idempotency_keys SET answer = $2 WHERE subject = $1";
    let body = serde_json::to_vec(answer).map_err(Error::internal)?;
    let body = Some(body).filter(|body| body.len() <= MAX_ANSWER);
    tx.execute(REWRITE, &params![subject, body.as_deref()]).await?;
    Ok(())
}

/// Forgets the answers that show something which nobody is to be told again: who repeats the request
/// that made it is told that it was done.
///
/// # Errors
/// The store's.
pub async fn forget(tx: &mut Tx<'_>, subject: &Id) -> Result<()> {
    const FORGET: &str = "
        UPDATE idempotency_keys SET answer = NULL, subject = NULL WHERE subject = $1";
    tx.execute(FORGET, &params![subject]).await?;
    Ok(())
}

/// The kept answers after a request's hash, each with its own; at most `limit`.
///
/// # Errors
/// The store's.
pub async fn answers_after(
    tx: &mut Tx<'_>,
    request_hash: &[u8],
    limit: i64,
) -> Result<Vec<(Vec<u8>, Option<Vec<u8>>)>> {
    const AFTER: &str = "
        SELECT id, answer FROM idempotency_keys WHERE id > $1 ORDER BY id LIMIT $2";
    let rows = tx.all(AFTER, &params![request_hash, limit]).await?;
    rows.iter().map(|row| Ok((row.get("id")?, row.get("answer")?))).collect()
}

/// The answer that is kept of a request, locked until the end of the unit.
///
/// # Errors
/// The store's.
pub async fn answer_at(tx: &mut Tx<'_>, request_hash: &[u8]) -> Result<Option<Vec<u8>>> {
    const AT: &str = "SELECT answer FROM idempotency_keys WHERE id = $1";
    let row = tx.lock_row(AT, &params![request_hash]).await?;
    Ok(row.map_or(Ok(None), |row| row.get("answer"))?)
}

/// Keeps another answer of a request instead of the one that is there.
///
/// # Errors
/// The store's.
pub async fn set_answer_at(tx: &mut Tx<'_>, request_hash: &[u8], answer: &[u8]) -> Result<()> {
    const SET: &str = "UPDATE idempotency_keys SET answer = $2 WHERE id = $1";
    tx.execute(SET, &params![request_hash, answer]).await?;
    Ok(())
}

/// Sees to it in the unit that does some of the work that nobody claims the request until its end;
/// false when another has claimed it already.
pub(super) async fn renew_claim(tx: &mut Tx<'_>, claimed: &Claimed) -> Result<bool> {
    const RENEW: &str = "
        UPDATE idempotency_keys SET held_at = $3 WHERE id = $1 AND attempt = $2";
    let now = tx.common_now().await?;
    Ok(tx.execute(RENEW, &params![&*claimed.request_hash, claimed.id, now]).await? == 1)
}

/// Gives a claim back, unless there is an answer, or another has claimed the request since.
pub(super) async fn release(db: &Db, claimed: &Claimed) -> Result<()> {
    const RELEASE: &str = "
        DELETE FROM idempotency_keys WHERE id = $1 AND attempt = $2 AND status IS NULL";
    let (request_hash, id) = (claimed.request_hash.clone(), claimed.id);
    db.write(async move |tx| {
        tx.execute(RELEASE, &params![request_hash, id]).await?;
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
fn before(tx: &Tx<'_>, duration: Duration) -> i64 {
    tx.now().millis() - i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
