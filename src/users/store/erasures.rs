//! Who is to be erased, in the table `erasures`.

use crate::{
    clock::Timestamp,
    db::{Row, Tx},
    error::Result,
    id::Id,
    params,
};

/// Somebody who is to be erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::users) struct Erasure {
    pub(in crate::users) user: Id,
    /// When somebody last asked for it.
    pub(in crate::users) asked_at: Timestamp,
}

/// Notes that a user is to be erased; when that was.
pub(in crate::users) async fn ask(tx: &mut Tx<'_>, user: &Id) -> Result<Timestamp> {
    const ASK: &str = "
        INSERT INTO erasures (user_id, asked_at) VALUES ($1, $2)
        ON CONFLICT (user_id) DO UPDATE SET asked_at = $2";
    let now = tx.now();
    tx.execute(ASK, &params![user, now]).await?;
    Ok(now)
}

/// The next who are to be erased, after this user.
pub(in crate::users) async fn next(
    tx: &mut Tx<'_>,
    after: &str,
    limit: i64,
) -> Result<Vec<Erasure>> {
    const NEXT: &str = "
        SELECT user_id, asked_at FROM erasures WHERE user_id > $1 ORDER BY user_id LIMIT $2";
    tx.all(NEXT, &params![after, limit]).await?.iter().map(erasure).collect()
}

/// Whether a user is to be erased.
pub(in crate::users) async fn is_asked(tx: &mut Tx<'_>, user: &Id) -> Result<bool> {
    const ASKED: &str = "SELECT 1 FROM erasures WHERE user_id = $1";
    Ok(tx.optional(ASKED, &params![user]).await?.is_some())
}

/// Notes that it is done, unless somebody has asked again since.
pub(in crate::users) async fn end(tx: &mut Tx<'_>, done: &Erasure) -> Result<()> {
    const END: &str = "DELETE FROM erasures WHERE user_id = $1 AND asked_at = $2";
    tx.execute(END, &params![&done.user, done.asked_at]).await?;
    Ok(())
}

fn erasure(row: &Row) -> Result<Erasure> {
    Ok(Erasure { user: row.get("user_id")?, asked_at: row.get("asked_at")? })
}
