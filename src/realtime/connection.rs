//! A connection: one Socket.IO socket in one namespace, by our own id, with who it belongs to,
//! the rooms it is in, and the queue of what it asked for.

use std::{
    fmt,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicU32, Ordering},
    },
};

use arc_swap::ArcSwapOption;
use secrecy::SecretString;
use socketioxide::socket::Socket;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::{
    events::{ClosingReason, SessionClosing},
    frame::Outgoing,
    hub::{Item, Replay, Replayed, Then},
    lane::Lane,
    link::Link,
    queue::{Queue, Work},
    session::Sessions,
};
use crate::{
    auth::Identity,
    clock::Timestamp,
    error::{Code, Error, Result},
    event::Namespace,
    id::Id,
    limits::EventRates,
    room::Room,
};

/// One Socket.IO socket of ours. Like everything that lives as long as a socket it is made of pieces
/// of at most 104 bytes: these find room between the engine's tasks, which lie at multiples of 128.
pub struct Connection {
    id: Uuid,
    namespace: Namespace,
    identity: ArcSwapOption<Identity>,
    own: Box<Own>,
    pub(super) link: Arc<Link>,
    /// Weak, since the engine's socket holds our handlers and they hold this.
    pub(super) engine: Weak<Socket>,
    sessions: Arc<Sessions>,
    /// Where the hub's shard keeps it; only the shard reads and writes this.
    slot: AtomicU32,
}

/// What a connection alone knows.
#[derive(Default)]
struct Own {
    state: Mutex<State>,
    queue: Mutex<Queue<Work>>,
    rates: OnceLock<Box<EventRates>>,
}

#[derive(Default)]
struct State {
    phase: Phase,
    /// Nothing it asks for is done any more.
    shut_out: bool,
    rooms: Vec<Room>,
}

/// A connection's life. The engine may report its end before its beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    New,
    Added,
    Gone,
}

/// A connection that is in no shard.
const NO_SLOT: u32 = u32::MAX;

impl Connection {
    pub(super) fn new(
        id: Uuid,
        namespace: Namespace,
        identity: Option<Arc<Identity>>,
        link: Arc<Link>,
        engine: Weak<Socket>,
        sessions: Arc<Sessions>,
    ) -> Arc<Self> {
        Arc::new(Self {
            id,
            namespace,
            identity: ArcSwapOption::new(identity),
            own: Box::default(),
            link,
            engine,
            sessions,
            slot: AtomicU32::new(NO_SLOT),
        })
    }

    /// What it asked for and is not done yet.
    pub(super) fn queue(&self) -> MutexGuard<'_, Queue<Work>> {
        self.own.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often it may still ask; made when it asks for the first time.
    pub(super) fn rates(&self, full: impl FnOnce() -> Box<EventRates>) -> &EventRates {
        self.own.rates.get_or_init(full)
    }

    pub(super) fn sessions(&self) -> &Arc<Sessions> {
        &self.sessions
    }

    fn push(&self, item: Item) {
        self.sessions.hub.push(self.link.shard(), item);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.own.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Our own id of it; unlike the engine's it may be shown.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Its namespace.
    #[must_use]
    pub fn namespace(&self) -> Namespace {
        self.namespace
    }

    /// The client's address.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.link.address
    }

    /// Who it belongs to; none while a trusting handshake has not heard yet.
    #[must_use]
    pub fn identity(&self) -> Option<Arc<Identity>> {
        self.identity.load_full()
    }

    /// Who it belongs to, where that must be known.
    ///
    /// # Errors
    /// [`Code::Forbidden`] while a trusting handshake has not heard yet.
    pub fn known_identity(&self) -> Result<Arc<Identity>> {
        self.identity()
            .ok_or_else(|| Error::new(Code::Forbidden, "This socket has not said yet whose it is."))
    }

    /// The identity that it acts under when it says that it is `user`: its own, or, in a trusting
    /// handshake where nobody has said so yet, from now on this one.
    ///
    /// # Errors
    /// [`Code::Forbidden`] when it has no identity and may not choose one.
    pub fn claim(self: &Arc<Self>, user: &Id) -> Result<Arc<Identity>> {
        self.sessions.claim(self, user)
    }

    /// Whom a new token for it speaks for.
    ///
    /// # Errors
    /// Why the token is refused; [`Code::Forbidden`] when it is another user's.
    pub async fn verify_again(&self, token: &SecretString) -> Result<Arc<Identity>> {
        self.sessions.verify_again(self, token).await
    }

    /// Goes on as the identity of a new token, for as long as that holds. Which of its rooms it may
    /// still be in is another's to ask.
    ///
    /// # Errors
    /// As [`Connection::join`], of the admins' room; then nothing has changed.
    pub fn renew(self: &Arc<Self>, identity: Arc<Identity>) -> Result<()> {
        self.sessions.renew(self, identity)
    }

    /// Gives its owner a newer token.
    pub(super) fn identify(self: &Arc<Self>, identity: Arc<Identity>) {
        self.identity.store(Some(identity));
        self.push(Item::Identify(self.clone()));
    }

    /// Gives it its owner, and does `then` before its end can be noticed. False when it has an
    /// owner or has ended.
    pub(super) fn identify_first(
        self: &Arc<Self>,
        identity: Arc<Identity>,
        then: impl FnOnce(),
    ) -> bool {
        let state = self.lock();
        if state.phase == Phase::Gone || self.identity.load().is_some() {
            return false;
        }
        self.identify(identity);
        then();
        true
    }

    /// Whether its token, if it has one, still holds, and it is not shut out and has not ended.
    pub(super) fn may_act(&self, now: Timestamp) -> bool {
        let leeway = self.sessions.leeway;
        let expired = self
            .identity
            .load()
            .as_ref()
            .and_then(|identity| identity.expires_at)
            .is_some_and(|expires_at| expires_at + leeway <= now);
        !expired && !self.is_shut_out()
    }

    /// Has nothing done any more that it asks for. False when that was so before.
    pub(super) fn shut_out(&self) -> bool {
        let mut state = self.lock();
        state.phase != Phase::Gone && !std::mem::replace(&mut state.shut_out, true)
    }

    /// Whether nothing that it asks for is done any more: it is shut out, or has ended.
    pub(super) fn is_shut_out(&self) -> bool {
        let state = self.lock();
        state.shut_out || state.phase == Phase::Gone
    }

    /// Registers with the hub. Frames wait until CONNECT has passed.
    pub(super) fn enter(self: &Arc<Self>) {
        self.link.register(self, |lane| self.push(Item::Enter(self.clone(), lane)));
    }

    /// CONNECT has been sent: does `then` before the end can be noticed, or not at all when it
    /// has been.
    pub(super) fn begin(self: &Arc<Self>, then: impl FnOnce()) {
        let mut state = self.lock();
        if state.phase == Phase::New {
            state.phase = Phase::Added;
            self.push(Item::Opened(self.clone()));
            then();
        }
    }

    /// It has ended: takes it out of every room. Whether it had begun, and the rooms it was in;
    /// none when its end was known already.
    pub(super) fn end(self: &Arc<Self>) -> Option<(bool, Vec<Room>)> {
        let mut state = self.lock();
        let begun = match std::mem::replace(&mut state.phase, Phase::Gone) {
            Phase::Gone => return None,
            phase => phase == Phase::Added,
        };
        let rooms = std::mem::take(&mut state.rooms);
        self.push(Item::Gone(self.clone(), rooms.clone()));
        Some((begun, rooms))
    }

    /// Whether it has begun and not ended.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.lock().phase == Phase::Added
    }

    /// Whether it has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.lock().phase == Phase::Gone
    }

    pub(super) fn max_pending_bytes(&self) -> usize {
        self.sessions.max_pending_bytes
    }

    /// Bytes of a replay that are sent at once, and that may wait for its end. An eighth of what may
    /// wait for the client: up to three namespaces share its websocket, and both come together.
    pub(super) fn replay_bytes(&self) -> usize {
        self.max_pending_bytes() / 8
    }

    /// The engine may have room for what it goes over to a websocket with.
    pub(super) fn go_over(self: &Arc<Self>) {
        self.push(Item::GoOver(self.clone()));
    }

    pub(super) fn change_over(self: &Arc<Self>, lane: Arc<Lane>) {
        self.push(Item::ChangeOver(self.clone(), lane));
    }

    /// Joins a room. What is sent to this connection afterwards comes after the join.
    ///
    /// # Errors
    /// [`Code::Conflict`] when it has ended or is in as many rooms as it may be.
    pub fn join(self: &Arc<Self>, room: Room) -> Result<()> {
        self.join_as(room, None).map(|_| ())
    }

    /// Joins a room. Its kept events, and those of the rooms beside it as far as they come here, wait
    /// until [`Connection::replay`] has sent what was missed. False when it was in the room before.
    pub(super) fn join_held(self: &Arc<Self>, room: Room, beside: Vec<Room>) -> Result<bool> {
        self.join_as(room, Some(beside))
    }

    /// Sends what was missed of a room, or a portion of it, and after the last what has waited for
    /// that; returns when the client can take more. False when more is to be read.
    ///
    /// # Errors
    /// [`Code::Conflict`] when it has ended.
    pub(super) async fn replay(
        self: &Arc<Self>,
        room: &Room,
        events: Vec<(i64, Room, Arc<Outgoing>)>,
        then: Then,
    ) -> Result<bool> {
        let (answer, answered) = oneshot::channel();
        self.push(Item::Replay(self.clone(), room.clone(), Replay { events, then, answer }));
        let Replayed { caught_up, when_taken } = answered.await.map_err(|_| closed())?;
        when_taken.await.map_err(|_| closed())?;
        Ok(caught_up)
    }

    fn join_as(self: &Arc<Self>, room: Room, held: Option<Vec<Room>>) -> Result<bool> {
        let mut state = self.lock();
        if state.phase == Phase::Gone {
            return Err(closed());
        }
        if state.rooms.contains(&room) {
            if let Some(beside) = held {
                self.push(Item::JoinHeld(self.clone(), room, beside));
            }
            return Ok(false);
        }
        if state.rooms.len() >= self.sessions.hub.max_rooms_per_connection() {
            return Err(Error::new(Code::Conflict, "This socket is in too many rooms."));
        }
        state.rooms.reserve_exact(1);
        state.rooms.push(room.clone());
        self.push(match held {
            Some(beside) => Item::JoinHeld(self.clone(), room, beside),
            None => Item::Join(self.clone(), room),
        });
        Ok(true)
    }

    /// Leaves a room; nothing happens when it is not in it.
    pub fn leave(self: &Arc<Self>, room: &Room) {
        let mut state = self.lock();
        if let Some(at) = state.rooms.iter().position(|other| other == room) {
            let room = state.rooms.swap_remove(at);
            self.push(Item::Leave(self.clone(), room));
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

    /// Sends an event to this connection alone, in order with what its rooms get.
    pub(super) fn send(self: &Arc<Self>, event: Arc<Outgoing>) {
        self.push(Item::Send(self.clone(), event));
    }

    /// Acknowledges one of its events.
    pub(super) fn acknowledge(self: &Arc<Self>, id: i64, data: Box<str>) {
        self.push(Item::Acknowledge(self.clone(), id, data));
    }

    /// Says why, then closes the transport: an official client comes back by itself.
    pub fn close(self: &Arc<Self>, reason: ClosingReason) {
        let farewell = Outgoing::of(&SessionClosing::because(reason));
        self.push(Item::Close(self.clone(), Some(farewell)));
    }

    /// Closes the transport without a word: there was one before.
    pub(super) fn close_transport(self: &Arc<Self>) {
        self.push(Item::Close(self.clone(), None));
    }

    /// Whose it is, where it is known.
    #[must_use]
    pub fn user_id(&self) -> Option<Id> {
        self.identity.load().as_ref().map(|identity| identity.user_id.clone())
    }

    pub(super) fn slot(&self) -> Option<usize> {
        let slot = self.slot.load(Ordering::Relaxed);
        (slot != NO_SLOT).then_some(slot as usize)
    }

    pub(super) fn set_slot(&self, slot: Option<usize>) {
        let slot = slot.and_then(|slot| u32::try_from(slot).ok()).unwrap_or(NO_SLOT);
        self.slot.store(slot, Ordering::Relaxed);
    }
}

fn closed() -> Error {
    Error::new(Code::Conflict, "This socket has closed.")
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("id", &self.id)
            .field("namespace", &self.namespace.path())
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What fits between two of the engine's tasks, less the two counts of an `Arc`.
    const ROOM: usize = 104 - 16;

    #[test]
    fn what_a_socket_keeps_fits_between_the_engines_tasks() {
        assert!(size_of::<Connection>() <= ROOM, "{}", size_of::<Connection>());
        assert!(size_of::<Own>() <= ROOM, "{}", size_of::<Own>());
        assert!(size_of::<Link>() <= ROOM, "{}", size_of::<Link>());
        // With debug assertions a stream knows which poll it is registered with.
        let debug = if cfg!(debug_assertions) { size_of::<usize>() } else { 0 };
        assert!(size_of::<Lane>() <= ROOM + debug, "{}", size_of::<Lane>());
        assert!(size_of::<Identity>() <= ROOM, "{}", size_of::<Identity>());
    }
}
