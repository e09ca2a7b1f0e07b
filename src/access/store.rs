//! The grants, in the table `grants`.

pub(super) mod moved;

use std::collections::HashSet;

use crate::{
    clock::Timestamp,
    db::{Result, Row, Tx},
    id::Id,
    params,
    room::Room,
};

/// For which of these there is a grant.
pub(super) async fn which_are_granted(
    tx: &mut Tx<'_>,
    asked: &[(&Room, &Id)],
) -> Result<HashSet<(Room, Id)>> {
    const GRANTS: &str = "
        WITH asked (room, user_id) AS (VALUES ($1, $2))
        SELECT g.room, g.user_id
        FROM asked JOIN grants g ON g.room = asked.room AND g.user_id = asked.user_id";
    let rows: Vec<_> = asked.iter().map(|(room, user)| params![*room, *user]).collect();
    let granted = tx.for_each(GRANTS, &rows).await?;
    granted.iter().map(|row| Ok((row.get("room")?, row.get("user_id")?))).collect()
}

/// Who may enter a room by grant, at most so many.
pub(super) async fn granted(tx: &mut Tx<'_>, room: &Room, most: i64) -> Result<Vec<Id>> {
    const GRANTED: &str = "
        SELECT user_id FROM grants WHERE room = $1 ORDER BY user_id LIMIT $2";
    tx.all(GRANTED, &params![room, most]).await?.iter().map(|row| row.get("user_id")).collect()
}

/// Keeps a grant that is given now; one that is there stays as it is.
pub(super) async fn grant(tx: &mut Tx<'_>, room: &Room, user: &Id, by: &Id) -> Result<()> {
    let grant = Grant { room: room.clone(), granted_by: by.clone(), granted_at: tx.now() };
    insert(tx, user, &grant).await
}

/// Keeps a grant as it was given; one that is there stays as it is.
pub(super) async fn insert(tx: &mut Tx<'_>, user: &Id, grant: &Grant) -> Result<()> {
    const GRANT: &str = "
        INSERT INTO grants (room, user_id, granted_by, granted_at) VALUES ($1, $2, $3, $4)
        ON CONFLICT (room, user_id) DO NOTHING";
    let Grant { room, granted_by, granted_at } = grant;
    tx.execute(GRANT, &params![room, user, granted_by, *granted_at]).await?;
    Ok(())
}

/// Gives a grant up, if there is one.
pub(super) async fn revoke(tx: &mut Tx<'_>, room: &Room, user: &Id) -> Result<()> {
    const REVOKE: &str = "DELETE FROM grants WHERE room = $1 AND user_id = $2";
    tx.execute(REVOKE, &params![room, user]).await?;
    Ok(())
}

/// A right to enter a room that a user was given.
pub(super) struct Grant {
    pub(super) room: Room,
    pub(super) granted_by: Id,
    pub(super) granted_at: Timestamp,
}

/// The grants of a user, by room.
pub(super) async fn grants_of(
    tx: &mut Tx<'_>,
    user: &Id,
    after: &str,
    limit: i64,
) -> Result<Vec<Grant>> {
    const OF_USER: &str = "
        SELECT room, granted_by, granted_at FROM grants WHERE user_id = $1 AND room > $2
        ORDER BY room LIMIT $3";
    let rows = tx.all(OF_USER, &params![user, after, limit]).await?;
    rows.iter().map(read).collect()
}

fn read(row: &Row) -> Result<Grant> {
    Ok(Grant {
        room: row.get("room")?,
        granted_by: row.get("granted_by")?,
        granted_at: row.get("granted_at")?,
    })
}

/// Gives some grants of a user up; how many.
pub(super) async fn erase(tx: &mut Tx<'_>, user: &Id, limit: i64) -> Result<u64> {
    const ERASE: &str = "
        DELETE FROM grants WHERE (room, user_id) IN (
            SELECT room, user_id FROM grants WHERE user_id = $1 ORDER BY room LIMIT $2)";
    tx.execute(ERASE, &params![user, limit]).await
}
