//! The policy: who may enter which room, by any right there is.

mod recheck;

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::{
    grants::Grants,
    rights::{Entrant, Membership, Records},
    store,
};
use crate::{
    auth::{Identity, Role},
    batch::Batches,
    config::RoomPolicy,
    db::{Db, Tx},
    error::{Code, Error, Result},
    realtime::{
        self, Connection, JoinRequest, Sockets,
        events::{Position, RoomChanged},
    },
    room::Room,
    tasks::Tasks,
};

/// The policy. Cheap to clone.
#[derive(Clone)]
pub struct Access {
    policy: RoomPolicy,
    records: Arc<dyn Records>,
    grants: Grants,
    memberships: Batches<Entrant, Membership>,
    db: Db,
    sockets: Sockets,
}

/// Entrants who are looked up together, and how many such reads there are at a time.
const TOGETHER: (usize, usize) = (100, 4);

impl Access {
    /// The policy over what is stored; who loses a right leaves the rooms of these.
    #[must_use]
    pub fn new(
        policy: RoomPolicy,
        records: Arc<dyn Records>,
        db: &Db,
        sockets: &Sockets,
        tasks: &Tasks,
    ) -> Self {
        let (db, sockets) = (db.clone(), sockets.clone());
        let (store, known) = (db.clone(), records.clone());
        let memberships = Batches::new("memberships", TOGETHER, tasks, move |entrants| {
            look_up(store.clone(), known.clone(), entrants)
        });
        Self { policy, records, grants: Grants::new(db.clone()), memberships, db, sockets }
    }

    /// Lets a connection into a room.
    ///
    /// # Errors
    /// [`Code::Forbidden`], in the same words for a room that exists and one that does not; or what
    /// [`Connection::join`] says.
    pub async fn join(&self, connection: &Arc<Connection>, room: Room) -> Result<()> {
        self.join_all(connection, &[room]).await
    }

    /// Lets a connection into a room whose events are kept, with what it missed of it.
    ///
    /// # Errors
    /// As [`Access::join`], and what the store says.
    pub async fn join_with_replay(
        &self,
        connection: &Arc<Connection>,
        mut join: JoinRequest,
    ) -> Result<Position> {
        let evictions = self.sockets.hub().evictions();
        let room = join.room.clone();
        self.check_all(connection, std::slice::from_ref(&room)).await?;
        let siblings = match &mut join.since {
            Some(since) => {
                *since = self.own_since(connection, &room, *since).await?;
                self.sibling_rooms(connection, &room).await?
            }
            None => Vec::new(),
        };
        let new = not_in(connection, [&room]);
        let position = realtime::join_with_replay(&self.db, connection, join, siblings).await?;
        let checked = self.check_again(connection, &[room], evictions).await;
        checked.inspect_err(|_| leave_all(connection, &new)).map(|()| position)
    }

    /// From where on someone hears a room's events again: not what came before they took part.
    async fn own_since(&self, connection: &Connection, room: &Room, since: i64) -> Result<i64> {
        let identity = connection.known_identity()?;
        if since < 0 || identity.has(Role::Admin) {
            return Ok(since);
        }
        Ok(since.max(self.records.heard_after(&identity, room).await?))
    }

    /// The rooms whose events are kept in the stream of a user's room, those that the connection may
    /// enter, too: what it missed of them comes with what it missed of the user's.
    async fn sibling_rooms(&self, connection: &Connection, room: &Room) -> Result<Vec<Room>> {
        let Room::User(id) = room else { return Ok(Vec::new()) };
        let identity = connection.known_identity()?;
        let mut siblings = Vec::new();
        for room in [Room::Seller(id.clone()), Room::Buyer(id.clone())] {
            match self.check(&identity, &room).await {
                Ok(()) => siblings.push(room),
                Err(error) if error.code() == Code::Forbidden => {}
                Err(error) => return Err(error),
            }
        }
        Ok(siblings)
    }

    /// Lets a connection into a room, with what it missed of it when it says since when.
    ///
    /// # Errors
    /// As [`Access::join_with_replay`].
    pub async fn join_since(
        &self,
        connection: &Arc<Connection>,
        room: Room,
        since: Option<i64>,
    ) -> Result<RoomChanged> {
        if since.is_none() {
            self.join(connection, room.clone()).await?;
            return Ok(RoomChanged::of(room));
        }
        let position =
            self.join_with_replay(connection, JoinRequest { room: room.clone(), since }).await?;
        Ok(RoomChanged { position, ..RoomChanged::of(room) })
    }

    /// Lets a connection into several rooms, or into none of them.
    ///
    /// # Errors
    /// As [`Access::join`].
    pub async fn join_all(&self, connection: &Arc<Connection>, rooms: &[Room]) -> Result<()> {
        let evictions = self.sockets.hub().evictions();
        self.check_all(connection, rooms).await?;
        let new = not_in(connection, rooms);
        let joined = async {
            rooms.iter().try_for_each(|room| connection.join(room.clone()))?;
            connection.rooms_kept().await?;
            self.check_again(connection, rooms, evictions).await
        };
        joined.await.inspect_err(|_| leave_all(connection, &new))
    }

    /// Lets a connection into rooms because a backend says so, as far as that is its to say: where
    /// this server has no record of a room. Into others it goes by its own right, or not at all.
    ///
    /// # Errors
    /// As [`Access::join`]; then it is in none of them but those it was in.
    pub async fn admit_all(&self, connection: &Arc<Connection>, rooms: Vec<Room>) -> Result<()> {
        let evictions = self.sockets.hub().evictions();
        let (mut own, mut foreign) = (Vec::new(), Vec::new());
        for room in rooms {
            // Of such a room there is no record anywhere.
            let membership = match &room {
                Room::Other(_) => Membership::Unknown,
                room => {
                    let identity = connection.known_identity()?;
                    self.stored(&identity, room).await?
                }
            };
            match membership {
                Membership::Unknown => foreign.push(room),
                Membership::Member => own.push(room),
                Membership::Stranger => return Err(refused()),
            }
        }
        let new = not_in(connection, own.iter().chain(&foreign));
        let joined = own.iter().try_for_each(|room| connection.join(room.clone()));
        let joined = joined
            .and_then(|()| foreign.iter().try_for_each(|room| connection.admit(room.clone())));
        let joined = match joined {
            Ok(()) if !own.is_empty() => self.check_again(connection, &own, evictions).await,
            joined => joined,
        };
        joined.inspect_err(|_| leave_all(connection, &new))
    }

    async fn check_all(&self, connection: &Connection, rooms: &[Room]) -> Result<()> {
        let identity = connection.known_identity()?;
        for room in rooms {
            self.decide(self.membership_of(connection, &identity, room).await?)?;
        }
        Ok(())
    }

    /// Whether someone may enter a room.
    ///
    /// # Errors
    /// [`Code::Forbidden`]; [`Code::Unavailable`] while the store is away.
    pub async fn check(&self, identity: &Identity, room: &Room) -> Result<()> {
        self.decide(self.membership(identity, room).await?)
    }

    fn decide(&self, membership: Membership) -> Result<()> {
        if self.admits(membership) { Ok(()) } else { Err(refused()) }
    }

    /// Whether the policy lets someone of this membership in.
    fn admits(&self, membership: Membership) -> bool {
        match membership {
            Membership::Member => true,
            Membership::Stranger => false,
            Membership::Unknown => self.policy == RoomPolicy::Open,
        }
    }

    /// Someone's membership of a room, by any right there is.
    async fn membership(&self, identity: &Identity, room: &Room) -> Result<Membership> {
        match self.stored(identity, room).await? {
            Membership::Unknown => self.records.elsewhere(identity, room).await,
            known => Ok(known),
        }
    }

    /// The same of a connection, into which room it may also have been let by a backend.
    async fn membership_of(
        &self,
        connection: &Connection,
        identity: &Identity,
        room: &Room,
    ) -> Result<Membership> {
        match self.stored(identity, room).await? {
            Membership::Unknown if connection.is_admitted(room) => Ok(Membership::Member),
            Membership::Unknown => self.records.elsewhere(identity, room).await,
            known => Ok(known),
        }
    }

    /// Someone's membership of a room, by what this server has.
    async fn stored(&self, identity: &Identity, room: &Room) -> Result<Membership> {
        if identity.has(Role::Admin) || identity.rooms.contains(room) || own(identity, room) {
            return Ok(Membership::Member);
        }
        self.memberships.ask(Entrant { identity: identity.clone(), room: room.clone() }).await
    }
}

/// Each one's membership of a room by what this server has. Grants and records are asked of every room, so
/// that a refusal takes the same work for all.
async fn look_up(
    db: Db,
    records: Arc<dyn Records>,
    entrants: Vec<Entrant>,
) -> Result<Vec<Membership>> {
    let read = async move |tx: &mut Tx<'_>| {
        let asked = entrants.iter().map(|entrant| (&entrant.room, &entrant.identity.user_id));
        let granted = store::which_are_granted(tx, &asked.collect::<Vec<_>>()).await?;
        let recorded = records.memberships(tx, &entrants).await?;
        let membership = |(entrant, recorded): (Entrant, Membership)| {
            let Entrant { identity: Identity { user_id, .. }, room } = entrant;
            if granted.contains(&(room.clone(), user_id)) {
                return Membership::Member;
            }
            match room {
                Room::User(_)
                | Room::Seller(_)
                | Room::Sellers
                | Room::Buyer(_)
                | Room::Buyers
                | Room::Admins => Membership::Stranger,
                Room::Conversation(_)
                | Room::Chat(_)
                | Room::Request(_)
                | Room::Checkout(_)
                | Room::Other(_) => recorded,
            }
        };
        Ok(entrants.into_iter().zip(recorded).map(membership).collect())
    };
    db.read(read).await
}

/// Those of these rooms in which a connection is not yet.
fn not_in<'a>(connection: &Connection, rooms: impl IntoIterator<Item = &'a Room>) -> Vec<Room> {
    rooms.into_iter().filter(|room| !connection.is_in(room)).cloned().collect()
}

fn leave_all(connection: &Arc<Connection>, rooms: &[Room]) {
    for room in rooms {
        connection.leave(room);
    }
}

/// Who comes back enters the rooms that they may enter now.
impl realtime::Rights for Access {
    fn may_enter<'a>(
        &'a self,
        identity: &'a Identity,
        room: &'a Room,
    ) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move { Ok(self.admits(self.membership(identity, room).await?)) })
    }
}

/// In the same words for a room that exists and one that does not.
fn refused() -> Error {
    Error::new(Code::Forbidden, "You may not enter this room.")
}

/// Whether a room is someone's by who they are.
fn own(identity: &Identity, room: &Room) -> bool {
    match room {
        Room::User(id) => *id == identity.user_id,
        Room::Seller(id) => *id == identity.user_id && identity.trades_as(Role::Seller),
        Room::Sellers => identity.trades_as(Role::Seller),
        Room::Buyer(id) => *id == identity.user_id && identity.trades_as(Role::Buyer),
        Room::Buyers => identity.trades_as(Role::Buyer),
        _ => false,
    }
}
