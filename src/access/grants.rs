//! Grants: a backend service or an admin lets a user into a room, whatever its kind
//! (contract/events.md, "Who may enter a room").

use super::store;
use crate::{db::Db, error::Result, id::Id, realtime::Hub, room::Room};

/// Gives rights to enter and takes them back. Cheap to clone.
#[derive(Clone)]
pub struct Grants {
    db: Db,
    hub: Hub,
}

impl Grants {
    /// Over what is stored.
    #[must_use]
    pub fn new(db: Db, hub: Hub) -> Self {
        Self { db, hub }
    }

    /// Whether a user holds a grant to a room.
    ///
    /// # Errors
    /// The store's.
    pub async fn allow(&self, user: &Id, room: &Room) -> Result<bool> {
        let (user, room) = (user.clone(), room.clone());
        self.db.read(async move |tx| Ok(store::is_granted(tx, &room, &user).await?)).await
    }

    /// Lets a user enter a room from now on.
    ///
    /// # Errors
    /// The store's.
    pub async fn grant(&self, user: Id, room: Room, by: Id) -> Result<()> {
        self.db.write(async move |tx| Ok(store::grant(tx, &room, &user, &by).await?)).await
    }

    /// Takes the right back, and the user's sockets out of the room, by whatever right they are
    /// in it; those that hold another one may come back. A user's own room is nobody's to take.
    ///
    /// # Errors
    /// The store's.
    pub async fn revoke(&self, user: Id, room: Room) -> Result<()> {
        let (of, from) = (user.clone(), room.clone());
        self.db.write(async move |tx| Ok(store::revoke(tx, &from, &of).await?)).await?;
        if !matches!(&room, Room::User(id) if *id == user) {
            self.hub.evict(&user, &room);
        }
        Ok(())
    }

    /// Who is in which room on this node.
    pub(super) fn hub(&self) -> &Hub {
        &self.hub
    }
}
