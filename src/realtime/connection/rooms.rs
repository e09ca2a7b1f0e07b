//! The rooms of a connection: which it is in, and what it missed of them.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::{Connection, Phase, State, closed};
use crate::{
    error::{Code, Error, Result},
    realtime::{
        frame::Outgoing,
        hub::{Item, Replay, Replayed, Then},
    },
    room::Room,
};

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
        self.join_as(room, None).map(|_| ())
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

    /// Joins a room. Its kept events, and those of its siblings as far as they come here, wait
    /// until [`Connection::replay`] has sent what was missed. False when it was in the room before.
    pub(in crate::realtime) fn join_buffered(
        self: &Arc<Self>,
        room: Room,
        siblings: Vec<Room>,
    ) -> Result<bool> {
        self.join_as(room, Some(siblings))
    }

    /// Sends what was missed of a room, or a portion of it, and after the last what has waited for
    /// that; returns when the client can take more. False when more is to be read.
    ///
    /// # Errors
    /// [`Code::Conflict`] when it has ended.
    pub(in crate::realtime) async fn replay(
        self: &Arc<Self>,
        room: &Room,
        events: Vec<(i64, Room, Arc<Outgoing>)>,
        then: Then,
    ) -> Result<bool> {
        let (answer, answered) = oneshot::channel();
        self.push(Item::Replay(self.member, room.clone(), Replay { events, then, answer }));
        let Replayed { caught_up, when_taken } = answered.await.map_err(|_| closed())?;
        when_taken.await.map_err(|_| closed())?;
        Ok(caught_up)
    }

    fn join_as(self: &Arc<Self>, room: Room, siblings: Option<Vec<Room>>) -> Result<bool> {
        let mut state = self.lock();
        if state.phase == Phase::Gone {
            return Err(closed());
        }
        if state.rooms.contains(&room) {
            if let Some(siblings) = siblings {
                self.push(Item::JoinBuffered(self.member, room, siblings));
            }
            return Ok(false);
        }
        if self.has_no_space_for(&room, &state.rooms) {
            return Err(Error::new(Code::Conflict, "This socket is in too many rooms."));
        }
        state.rooms.reserve_exact(1);
        state.rooms.push(room.clone());
        self.push(match siblings {
            Some(siblings) => Item::JoinBuffered(self.member, room, siblings),
            None => Item::Join(self.member, room),
        });
        Ok(true)
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
