//! When rights change: whoever is in a room and may not be any more is taken out of it, and nobody
//! else is.

use std::sync::Arc;

use futures_util::future::join_all;
use secrecy::SecretString;

use super::Access;
use crate::{
    access::rights::Membership,
    db::{Listener, News},
    error::{Code, Result},
    event::Success,
    id::Id,
    realtime::{Connection, events::AuthRefreshed},
    room::Room,
};

/// Connections whose right is checked again at once.
const RECHECKED_AT_ONCE: usize = 64;

impl Access {
    /// Lets a user enter a room from now on.
    ///
    /// # Errors
    /// The store's.
    pub async fn grant(&self, user: Id, room: Room, by: Id) -> Result<()> {
        self.grants.give(user, room, by).await
    }

    /// Takes the right back, and the user's sockets out of the room, as far as they may not be in
    /// it by another right; even when the caller has hung up.
    ///
    /// # Errors
    /// The store's.
    pub async fn revoke(&self, user: Id, room: Room) -> Result<()> {
        let access = self.clone();
        self.db
            .run_to_completion(async move {
                access.grants.take(user.clone(), room.clone()).await?;
                access.records.taken_back(&user, &room);
                access.evict(&user, &[room]).await;
                Ok(())
            })
            .await
    }

    /// Takes everyone out of a room who may not enter it any more, since what is stored has changed.
    pub async fn recheck(&self, room: &Room) {
        self.sockets.hub().note_eviction();
        let connections = self.sockets.in_room(room).await;
        let rooms = std::slice::from_ref(room);
        self.take_out(&connections, rooms, |membership| self.admits(membership)).await;
    }

    /// Does so for the rooms of which another process has begun to keep a record, as long as it hears of
    /// them: an import beside this server.
    pub async fn follow_records(self, mut listener: Listener) {
        loop {
            match listener.next().await {
                News::Of(rooms) => {
                    for room in &rooms {
                        self.recheck(room).await;
                    }
                }
                News::Missed => self.recheck_all().await,
            }
        }
    }

    /// Does so for every room that may have a record, where it is in the store by now: there is nothing
    /// to ask a backend, whose rooms are the others. Whom the store can't tell of stays.
    async fn recheck_all(&self) {
        self.sockets.hub().note_eviction();
        for connection in self.sockets.all().await {
            let mut rooms = connection.rooms();
            rooms.retain(Room::may_be_recorded);
            for room in &rooms {
                let Some(identity) = connection.identity() else { continue };
                if matches!(self.stored(&identity, room).await, Ok(Membership::Stranger)) {
                    connection.evict(room);
                }
            }
        }
    }

    /// Takes a user's sockets out of rooms that the user has lost a right to, each as far as it has
    /// no other. That anyone might enter is none; they may come back by it.
    pub async fn evict(&self, user: &Id, rooms: &[Room]) {
        self.sockets.hub().note_eviction();
        // All of theirs are in there, and so are the sockets of whoever watches them.
        let mut connections = self.sockets.in_room(&Room::User(user.clone())).await;
        connections.retain(|connection| connection.user_id().as_ref() == Some(user));
        for connection in &connections {
            for room in rooms {
                connection.dismiss(room);
            }
        }
        self.take_out(&connections, rooms, |membership| membership == Membership::Member).await;
    }

    /// Takes a user's sockets out of a room that a backend lets the user enter no longer, as far as they
    /// have no other right: another of its answers let some in, which this one does not take back.
    pub async fn end_lease(&self, user: &Id, room: &Room) {
        self.sockets.hub().note_eviction();
        for connection in self.sockets.in_room(room).await {
            let identity = connection.identity().filter(|identity| identity.user_id == *user);
            let Some(identity) = identity.filter(|_| !connection.is_admitted(room)) else {
                continue;
            };
            // By what is kept here: the backend was just asked.
            match self.stored(&identity, room).await {
                Ok(Membership::Member) => {}
                Ok(_) => connection.evict(room),
                Err(_) => connection.cut(),
            }
        }
    }

    /// A connection goes on under a new token: it is out of each room that this one may not enter.
    ///
    /// # Errors
    /// Why the token is refused, or [`Code::Unavailable`] while the store is away and the token does
    /// not say the same as the one before; then nothing has changed.
    pub(in crate::access) async fn refresh(
        &self,
        connection: &Arc<Connection>,
        token: &SecretString,
    ) -> Result<AuthRefreshed> {
        let identity = connection.verify_again(token).await?;
        let old = connection.known_identity()?;
        let same = identity.gives_all_of(&old);
        let evictions = self.sockets.hub().evictions();
        let before = connection.rooms();
        let mut lost = Vec::new();
        for room in &before {
            match self.membership_of(connection, &identity, room).await {
                Ok(membership) if self.admits(membership) => {}
                Ok(_) => lost.push(room),
                // Then there is nothing that this token could take away.
                Err(error) if error.code() == Code::Unavailable && same => {}
                Err(error) => return Err(error),
            }
        }
        connection.renew(identity.clone())?;
        for room in lost {
            connection.evict(room);
        }
        // Whoever took a right back meanwhile may have seen what the old token allowed.
        if self.sockets.hub().evictions() != evictions {
            let rooms = connection.rooms();
            let connections = std::slice::from_ref(connection);
            self.take_out(connections, &rooms, |membership| self.admits(membership)).await;
        }
        let mut left_rooms = before;
        left_rooms.retain(|room| !connection.is_in(room));
        left_rooms.sort_by_cached_key(Room::to_string);
        let expires_at = identity.expires_at;
        Ok(AuthRefreshed { success: Success, expires_at, left_rooms })
    }

    /// Takes a connection out again whose right was taken back while it entered: the eviction may
    /// have looked for sockets before this one was in.
    pub(in crate::access) async fn check_again(
        &self,
        connection: &Arc<Connection>,
        rooms: &[Room],
        evictions: u64,
    ) -> Result<()> {
        if self.sockets.hub().evictions() == evictions {
            return Ok(());
        }
        let checked = self.check_all(connection, rooms).await;
        // Where that can't be told it stays where it was before: the eviction has seen it there.
        if checked.as_ref().is_err_and(|error| error.code() == Code::Forbidden) {
            for room in rooms {
                connection.evict(room);
            }
        }
        checked
    }

    /// Takes connections out of rooms, each unless its membership lets it stay. Of whom that can't be told
    /// is cut: who comes back enters what they may enter then, and has missed nothing of it.
    async fn take_out(
        &self,
        connections: &[Arc<Connection>],
        rooms: &[Room],
        stays: impl Fn(Membership) -> bool + Copy,
    ) {
        for some in connections.chunks(RECHECKED_AT_ONCE) {
            let rechecks = some.iter().map(async |connection| {
                for room in rooms.iter().filter(|room| connection.is_in(room)) {
                    self.take_one_out(connection, room, stays).await;
                }
            });
            join_all(rechecks).await;
        }
    }

    async fn take_one_out(
        &self,
        connection: &Arc<Connection>,
        room: &Room,
        stays: impl Fn(Membership) -> bool,
    ) {
        let mut identity = connection.identity();
        while let Some(asked) = identity {
            match self.membership_of(connection, &asked, room).await {
                Ok(membership) if stays(membership) => return,
                Ok(_) => {}
                Err(_) => return connection.cut(),
            }
            // A newer token that came meanwhile may have the right that the older one lacks.
            identity = connection.identity().filter(|newer| !Arc::ptr_eq(&asked, newer));
        }
        connection.evict(room);
    }
}
