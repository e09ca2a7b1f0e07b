//! Grants: a backend service or an admin lets a user into a room, whatever its kind
//! (docs/contract/events.md#who-may-enter-a-room).

use super::store;
use crate::{
    control::Control,
    db::{Db, Tx},
    error::Result,
    id::Id,
    room::Room,
};

/// Whom rights to enter were given. Cheap to clone.
#[derive(Clone)]
pub(super) struct Grants(Db);

impl Grants {
    /// Those that are kept here.
    pub(super) fn new(db: Db) -> Self {
        Self(db)
    }

    /// Gives one.
    pub(super) async fn give(&self, user: Id, room: Room, by: Id) -> Result<()> {
        let unit = async move |tx: &mut Tx<'_>| Ok(store::grant(tx, &room, &user, &by).await?);
        self.0.write(unit).await
    }

    /// Takes one back.
    pub(super) async fn take(&self, user: Id, room: Room) -> Result<()> {
        let unit = async move |tx: &mut Tx<'_>| {
            store::revoke(tx, &room, &user).await?;
            tx.instruct(Control::Evict { user, rooms: vec![room] });
            Ok(())
        };
        self.0.write(unit).await
    }
}

/// Who may enter a room by grant, at most so many.
///
/// # Errors
/// The store's.
pub async fn granted(tx: &mut Tx<'_>, room: &Room, most: i64) -> Result<Vec<Id>> {
    Ok(store::granted(tx, room, most).await?)
}
