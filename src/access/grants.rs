//! Grants: a backend service or an admin lets a user into a room, whatever its kind
//! (docs/contract/events.md#who-may-enter-a-room).

use super::{Access, store};
use crate::{
    db::{Db, Tx, to_the_end},
    error::Result,
    id::Id,
    room::Room,
};

/// Whom rights to enter were given. Cheap to clone.
#[derive(Clone)]
pub(super) struct Grants(pub(super) Db);

impl Grants {
    /// Whether a user holds a grant to a room.
    pub(super) async fn allow(&self, user: &Id, room: &Room) -> Result<bool> {
        let (user, room) = (user.clone(), room.clone());
        self.0.read(async move |tx| Ok(store::is_granted(tx, &room, &user).await?)).await
    }
}

impl Access {
    /// Lets a user enter a room from now on.
    ///
    /// # Errors
    /// The store's.
    pub async fn grant(&self, user: Id, room: Room, by: Id) -> Result<()> {
        let unit = async move |tx: &mut Tx<'_>| Ok(store::grant(tx, &room, &user, &by).await?);
        self.grants.0.write(unit).await
    }

    /// Takes the right back, and the user's sockets out of the room, as far as they may not be in
    /// it by another right; even when the caller has hung up.
    ///
    /// # Errors
    /// The store's.
    pub async fn revoke(&self, user: Id, room: Room) -> Result<()> {
        let access = self.clone();
        to_the_end(async move {
            let (of, from) = (user.clone(), room.clone());
            let unit = async move |tx: &mut Tx<'_>| Ok(store::revoke(tx, &from, &of).await?);
            access.grants.0.write(unit).await?;
            access.evict(&user, &[room]).await;
            Ok(())
        })
        .await
    }
}
