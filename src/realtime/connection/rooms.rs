//! The rooms of a connection: which it is in, and what it missed of them.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::{Connection, Phase, State, closed};
use crate::{
    db::Reach,
    error::{Code, Error, Result},
    realtime::{
        frame::Outgoing,
        hub::{Item, Kept, Replay, Replayed, Restoration, Then, Told},
        watch::Happening,
    },
    room::Room,
};

/// How a room is entered.
enum Joining {
    /// What comes from now on is heard.
    Plain,
    /// What was missed of it, and of these siblings, comes first.
    Buffered(Vec<Room>),
    /// It was in there before it came back.
    Again,
}

impl State {
    fn is_admitted(&self, room: &Room) -> bool {
        self.admitted.as_ref().is_some_and(|admitted| admitted.0.contains(room))
    }

    fn dismiss(&mut self, room: &Room) {
        if let Some(admitted) = &mut self.admitted {
            admitted.0.retain(|other| other != room);
        }
    }
}

impl Connection {
    /// Bytes of a replay that are sent at once, and that may wait for its end.
    pub(in crate::realtime) fn replay_bytes(&self) -> usize {
        self.context.hub.replay_bytes()
    }

    /// Joins a room. What is sent to this connection afterwards comes after the join.
    ///
    /// # Errors
    /// [`Code::Conflict`] when it has ended or is in as many rooms as it may be.
    pub fn join(self: &Arc<Self>, room: Room) -> Result<()> {
        self.join_as(room, Joining::Plain).map(drop)
    }

    /// Joins a room into which a backend lets this connection, for as long as it is in there: also
    /// under a newer token.
    ///
    /// # Errors
    /// As [`Connection::join`].
    pub fn admit(self: &Arc<Self>, room: Room) -> Result<()> {
        self.join(room.clone())?;
        let mut state = self.lock();
        // It may have left, or ended, meanwhile.
        if state.rooms.contains(&room) && !state.is_admitted(&room) {
            state.admitted.get_or_insert_default().0.push(room);
        }
        Ok(())
    }

    /// Whether a backend let it into a room that it is in.
    #[must_use]
    pub fn is_admitted(&self, room: &Room) -> bool {
        self.lock().is_admitted(room)
    }

    /// A room that a backend let it into is one like the others from now on.
    pub fn dismiss(&self, room: &Room) {
        self.lock().dismiss(room);
    }

    /// The room of this socket alone, by its id.
    #[must_use]
    pub fn own_room(&self) -> Room {
        Room::Other(self.id.into())
    }

    /// Whether a room is one that the server itself has put this socket into, and counts on.
    #[must_use]
    pub fn counts_on(&self, room: &Room) -> bool {
        matches!(room, Room::User(_) | Room::Admins) || *room == self.own_room()
    }

    /// Joins a room. Its kept events, and those of its siblings as far as they come here, wait
    /// until [`Connection::replay`] has sent what was missed. False when it was in the room before.
    pub(in crate::realtime) fn join_buffered(
        self: &Arc<Self>,
        room: Room,
        siblings: Vec<Room>,
    ) -> Result<bool> {
        self.join_as(room, Joining::Buffered(siblings))
    }

    /// Sends what was missed of a room, or a portion of it, and after the last what has waited for
    /// that; returns when the client can take more.
    ///
    /// # Errors
    /// [`Code::Conflict`] when it has ended.
    pub(in crate::realtime) async fn replay(
        self: &Arc<Self>,
        room: &Room,
        events: Vec<(i64, Room, Arc<Outgoing>)>,
        then: Then,
    ) -> Result<Told> {
        let (answer, answered) = oneshot::channel();
        self.push(Item::Replay(self.member, room.clone(), Replay { events, then, answer }));
        let Replayed { told, when_taken } = answered.await.map_err(|_| closed())?;
        when_taken.await.map_err(|_| closed())?;
        Ok(told)
    }

    /// A room has been caught up with, by something that was sent or with nothing: what comes back
    /// later knows that.
    pub(in crate::realtime) fn note_caught_up(&self, room: &Room, by_something: bool, told: &Told) {
        let Some((recovery, session)) = self.session() else { return };
        let upto =
            told.sent.as_ref().map_or_else(|| recovery.db().reach(), |kept| kept.reach.clone());
        if by_something {
            recovery.caught_up(session, room.clone(), Some(upto));
        } else if !self.is_own(room) {
            recovery.joined(session, room.clone(), upto);
        } else {
            recovery.left(session, room.clone());
        }
    }

    /// Waits until it is kept which rooms it is in: it finds them again when it comes back.
    ///
    /// # Errors
    /// [`Code::Unavailable`] when that is not kept.
    pub async fn rooms_kept(&self) -> Result<()> {
        match self.session() {
            Some((recovery, _)) => recovery.kept().await,
            None => Ok(()),
        }
    }

    /// Enters a room again in which it was before it came back.
    pub(in crate::realtime) fn enter_again(self: &Arc<Self>, room: Room) -> Result<()> {
        self.join_as(room, Joining::Again).map(drop)
    }

    /// How far kept events have been sent to its part of the hub: what comes now comes here.
    ///
    /// # Errors
    /// [`Code::Conflict`] when it has ended.
    pub(in crate::realtime) async fn sent_by_now(self: &Arc<Self>) -> Result<Option<Arc<Kept>>> {
        let (answer, answered) = oneshot::channel();
        self.push(Item::LastKept(self.member, answer));
        answered.await.map_err(|_| closed())
    }

    /// Sends what was missed and what waited for that; whether all of it could be.
    ///
    /// # Errors
    /// [`Code::Conflict`] when it has ended.
    pub(in crate::realtime) async fn restore(
        self: &Arc<Self>,
        events: Vec<Arc<Outgoing>>,
        until: Reach,
        heard_from: Vec<(Room, i64)>,
    ) -> Result<bool> {
        let (answer, answered) = oneshot::channel();
        let restoration = Restoration { events, until, heard_from, answer };
        self.push(Item::Restore(self.member, restoration));
        answered.await.map_err(|_| closed())
    }

    fn join_as(self: &Arc<Self>, room: Room, joining: Joining) -> Result<bool> {
        let mut state = self.lock();
        if state.phase == Phase::Gone {
            return Err(closed());
        }
        let is_new = !state.rooms.contains(&room);
        if is_new {
            if self.has_no_space_for(&room, &state.rooms) {
                return Err(Error::new(Code::Conflict, "This socket is in too many rooms."));
            }
            state.rooms.reserve_exact(1);
            state.rooms.push(room.clone());
        }
        self.keep(&room, &joining, is_new);
        if is_new && state.phase == Phase::Added {
            self.note(|| Happening::Joined(room.clone()));
        }
        match joining {
            Joining::Buffered(siblings) => {
                self.push(Item::JoinBuffered(self.member, room, siblings));
            }
            Joining::Plain | Joining::Again if is_new => self.push(Item::Join(self.member, room)),
            Joining::Plain | Joining::Again => {}
        }
        Ok(is_new)
    }

    /// Has it kept that it is in a room, before it is: that of its user is found without.
    fn keep(&self, room: &Room, joining: &Joining, is_new: bool) {
        let Some((recovery, session)) = self.session() else { return };
        match joining {
            Joining::Buffered(_) => recovery.caught_up(session, room.clone(), None),
            Joining::Plain if is_new && !self.is_own(room) => {
                recovery.joined(session, room.clone(), recovery.db().reach());
            }
            Joining::Plain | Joining::Again => {}
        }
    }

    /// Whether a room is that of its user.
    fn is_own(&self, room: &Room) -> bool {
        matches!(room, Room::User(id) if self.user_id().as_ref() == Some(id))
    }

    /// Whether it is in as many rooms as it may be. Its own counts for none, since nobody asked for it.
    fn has_no_space_for(&self, room: &Room, rooms: &[Room]) -> bool {
        let most = self.context.hub.max_rooms_per_connection();
        if rooms.len() < most {
            return false;
        }
        let own = self.own_room();
        *room != own && rooms.iter().filter(|room| **room != own).count() >= most
    }

    /// Leaves a room; nothing happens when it is not in it.
    pub fn leave(self: &Arc<Self>, room: &Room) {
        let mut state = self.lock();
        if let Some(at) = state.rooms.iter().position(|other| other == room) {
            let room = state.rooms.swap_remove(at);
            state.dismiss(&room);
            if let Some((recovery, session)) = self.session() {
                recovery.left(session, room.clone());
            }
            self.note(|| Happening::Left(room.clone()));
            self.push(Item::Leave(self.member, room));
        }
    }

    /// Whether it is in a room.
    #[must_use]
    pub fn is_in(&self, room: &Room) -> bool {
        self.lock().rooms.contains(room)
    }

    /// The rooms it is in.
    #[must_use]
    pub fn rooms(&self) -> Vec<Room> {
        self.lock().rooms.clone()
    }
}
