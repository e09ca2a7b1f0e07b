//! Grants that are taken in from a file, or written into one.

use super::Grant;
use crate::{
    db::{Result, Tx},
    id::Id,
    params,
    room::Room,
};

/// A grant of a room to a user.
pub(in crate::access) async fn find(
    tx: &mut Tx<'_>,
    room: &Room,
    user: &Id,
) -> Result<Option<Grant>> {
    const FIND: &str = "
        SELECT room, granted_by, granted_at FROM grants WHERE room = $1 AND user_id = $2";
    let found = tx.optional(FIND, &params![room, user]).await?;
    found.as_ref().map(super::read).transpose()
}

/// The grants after that of a room and a user, each with its user.
pub(in crate::access) async fn after(
    tx: &mut Tx<'_>,
    (room, user): (&str, &str),
    limit: i64,
) -> Result<Vec<(Id, Grant)>> {
    const AFTER: &str = "
        SELECT room, user_id, granted_by, granted_at FROM grants
        WHERE (room, user_id) > ($1, $2) ORDER BY room, user_id LIMIT $3";
    let rows = tx.all(AFTER, &params![room, user, limit]).await?;
    rows.iter().map(|row| Ok((row.get("user_id")?, super::read(row)?))).collect()
}
