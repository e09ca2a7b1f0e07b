//! Revoked tokens and blocked users, in the tables `revocations` and `blocks`.

use crate::{
    auth::{Older, Revoked, TokenKey},
    clock::Timestamp,
    db::{Row, Tx},
    error::{Error, Result},
    id::Id,
    params,
    users::documents::BlockView,
};

/// Rows read or removed in one unit.
pub(in crate::users) const ROWS: i64 = 1000;

/// Keeps that tokens are revoked. What was kept before is not taken back.
pub(in crate::users) async fn revoke(
    tx: &mut Tx<'_>,
    revoked: &Revoked,
    until: Timestamp,
) -> Result<()> {
    const REVOKE: &str = "
        INSERT INTO revocations (kind, subject, issued_before, older_than, ends_at)
        VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (kind, subject) DO UPDATE SET
            issued_before = CASE WHEN revocations.issued_before > excluded.issued_before
                THEN revocations.issued_before ELSE excluded.issued_before END,
            older_than = CASE WHEN revocations.older_than > excluded.older_than
                THEN revocations.older_than ELSE excluded.older_than END,
            ends_at = CASE WHEN revocations.ends_at > excluded.ends_at
                THEN revocations.ends_at ELSE excluded.ends_at END";
    let (kind, subject, older) = match revoked {
        Revoked::Token(key) => ("token", key.to_string(), Older::than(Timestamp::from_millis(0))),
        Revoked::User(user, older) => ("user", user.to_string(), *older),
        Revoked::Everyone(older) => ("everyone", String::new(), *older),
    };
    tx.execute(REVOKE, &params![kind, subject, older.said, older.than, until]).await?;
    Ok(())
}

/// Before when a user's tokens are revoked, if they are.
pub(in crate::users) async fn revoked_before(
    tx: &mut Tx<'_>,
    user: &Id,
) -> Result<Option<Timestamp>> {
    const BEFORE: &str = "
        SELECT issued_before FROM revocations WHERE kind = 'user' AND subject = $1";
    let row = tx.optional(BEFORE, &params![user]).await?;
    Ok(row.map(|row| row.get("issued_before")).transpose()?)
}

/// How far a walk through the revocations is.
pub(in crate::users) type Cursor = (String, String);

/// The next revocations after a cursor, each with until when it is kept; and that of the last one.
pub(in crate::users) async fn revocations(
    tx: &mut Tx<'_>,
    (kind, subject): &Cursor,
) -> Result<(Vec<(Revoked, Timestamp)>, Option<Cursor>)> {
    const NEXT: &str = "
        SELECT kind, subject, issued_before, older_than, ends_at FROM revocations
        WHERE (kind, subject) > ($1, $2) ORDER BY kind, subject LIMIT $3";
    let rows = tx.all(NEXT, &params![kind, subject, ROWS]).await?;
    let revocations = rows.iter().map(revocation).collect::<Result<Vec<_>>>()?;
    let cursor = |row: &Row| Ok::<_, Error>((row.get("kind")?, row.get("subject")?));
    Ok((revocations, rows.last().map(cursor).transpose()?))
}

fn revocation(row: &Row) -> Result<(Revoked, Timestamp)> {
    let (kind, subject): Cursor = (row.get("kind")?, row.get("subject")?);
    let older = Older { than: row.get("older_than")?, said: row.get("issued_before")? };
    let revoked = match kind.as_str() {
        "token" => Revoked::Token(subject.parse::<TokenKey>().map_err(Error::internal)?),
        "user" => Revoked::User(row.get("subject")?, older),
        _ => Revoked::Everyone(older),
    };
    Ok((revoked, row.get("ends_at")?))
}

/// Keeps that a user is blocked, instead of an earlier block.
pub(in crate::users) async fn block(tx: &mut Tx<'_>, user: &Id, block: &BlockView) -> Result<()> {
    const BLOCK: &str = "
        INSERT INTO blocks (user_id, since, ends_at, reason, blocked_by)
        VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (user_id) DO UPDATE SET since = $2, ends_at = $3, reason = $4, blocked_by = $5";
    let BlockView { since, until, reason, blocked_by } = block.clone();
    tx.execute(BLOCK, &params![user, since, until, reason, blocked_by]).await?;
    Ok(())
}

/// Forgets why a user is blocked; the block stays.
pub(in crate::users) async fn forget_reason(tx: &mut Tx<'_>, user: &Id) -> Result<()> {
    const FORGET: &str = "UPDATE blocks SET reason = NULL WHERE user_id = $1";
    tx.execute(FORGET, &params![user]).await?;
    Ok(())
}

/// Ends a user's block, if there is one.
pub(in crate::users) async fn unblock(tx: &mut Tx<'_>, user: &Id) -> Result<()> {
    const UNBLOCK: &str = "DELETE FROM blocks WHERE user_id = $1";
    tx.execute(UNBLOCK, &params![user]).await?;
    Ok(())
}

/// A user's block, while it lasts.
pub(in crate::users) async fn block_of(tx: &mut Tx<'_>, user: &Id) -> Result<Option<BlockView>> {
    const BLOCK: &str = "SELECT * FROM blocks WHERE user_id = $1";
    let Some(row) = tx.optional(BLOCK, &params![user]).await? else { return Ok(None) };
    let block = BlockView {
        since: row.get("since")?,
        until: row.get("ends_at")?,
        reason: row.get("reason")?,
        blocked_by: row.get("blocked_by")?,
    };
    Ok(Some(block).filter(|block| block.until.is_none_or(|until| tx.now() < until)))
}

/// The blocks of the next users after `after`, each with its end.
pub(in crate::users) async fn blocks(
    tx: &mut Tx<'_>,
    after: &str,
) -> Result<Vec<(Id, Option<Timestamp>)>> {
    const NEXT: &str = "
        SELECT user_id, ends_at FROM blocks WHERE user_id > $1 ORDER BY user_id LIMIT $2";
    let rows = tx.all(NEXT, &params![after, ROWS]).await?;
    rows.iter().map(|row| Ok((row.get("user_id")?, row.get("ends_at")?))).collect()
}

/// Removes some of what has ended; whether there may be more of it.
pub(in crate::users) async fn prune(tx: &mut Tx<'_>) -> Result<bool> {
    const REVOCATIONS: &str = "
        DELETE FROM revocations WHERE (kind, subject) IN (
            SELECT kind, subject FROM revocations WHERE ends_at <= $1 ORDER BY ends_at LIMIT $2)";
    const BLOCKS: &str = "
        DELETE FROM blocks WHERE user_id IN (
            SELECT user_id FROM blocks WHERE ends_at <= $1 ORDER BY ends_at LIMIT $2)";
    let now = tx.now();
    let revocations = tx.execute(REVOCATIONS, &params![now, ROWS]).await?;
    let blocks = tx.execute(BLOCKS, &params![now, ROWS]).await?;
    Ok(revocations + blocks > 0)
}
