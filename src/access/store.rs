//! The grants, in the table `grants`.

use crate::{
    db::{Result, Tx},
    id::Id,
    params,
    room::Room,
};

/// Whether a user may enter a room by grant.
pub(super) async fn is_granted(tx: &mut Tx<'_>, room: &Room, user: &Id) -> Result<bool> {
    const GRANT: &str = "SELECT 1 AS granted FROM grants WHERE room = $1 AND user_id = $2";
    Ok(tx.optional(GRANT, &params![room, user]).await?.is_some())
}

/// Keeps a grant; one that is there stays as it is.
pub(super) async fn grant(tx: &mut Tx<'_>, room: &Room, user: &Id, by: &Id) -> Result<()> {
    const GRANT: &str = "
        INSERT INTO grants (room, user_id, granted_by, granted_at) VALUES ($1, $2, $3, $4)
        ON CONFLICT (room, user_id) DO NOTHING";
    let now = tx.now();
    tx.execute(GRANT, &params![room, user, by, now]).await?;
    Ok(())
}

/// Gives a grant up, if there is one.
pub(super) async fn revoke(tx: &mut Tx<'_>, room: &Room, user: &Id) -> Result<()> {
    const REVOKE: &str = "DELETE FROM grants WHERE room = $1 AND user_id = $2";
    tx.execute(REVOKE, &params![room, user]).await?;
    Ok(())
}
