//! A connection: one Socket.IO socket in one namespace, by our own id, with who it belongs to,
//! the rooms it is in, and the queue of what it asked for.

mod closing;
mod rooms;
mod seen;

use std::{
    fmt,
    net::IpAddr,
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use parking_lot::{Mutex, MutexGuard};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;
use uuid::Uuid;

pub(super) use self::rooms::counts_on;
use super::{
    catalogue::Catalogue,
    events::{ClosingReason, SessionClosing},
    frame::{self, Outgoing},
    heartbeats::Heartbeats,
    hub::{Hub, Item, Outlet, Polled, Registration},
    link::Link,
    polls::Polls,
    queue::{Queue, Work},
    recovery::{Recovery, Session},
    seats::{Member, Seats},
    watch::Watch,
};
use crate::{
    auth::{Identity, TokenError, Verifier, given_token},
    clock::{Clock, Timestamp},
    config::{EventAudience, LimitsConfig},
    error::{Code, Error, Result},
    event::Namespace,
    id::Id,
    limits::{CallerRates, EventRates},
    room::Room,
    tasks::Tasks,
};

/// One Socket.IO socket of ours.
pub struct Connection {
    id: Uuid,
    namespace: Namespace,
    identity: ArcSwapOption<Identity>,
    own: Box<Own>,
    pub(super) link: Arc<Link>,
    context: Arc<Context>,
    /// How the hub knows it.
    member: Member,
    /// What it may come back to.
    session: Option<Session>,
}

/// What every connection needs of its server: one value, which all of them have.
pub(super) struct Context {
    pub(super) hub: Hub,
    /// Who those are that the hub knows by number.
    pub(super) seats: Seats<Connection>,
    /// The heartbeats of websockets.
    pub(super) heartbeats: Heartbeats,
    pub(super) times: Times,
    pub(super) clock: Clock,
    pub(super) tasks: Tasks,
    pub(super) limits: LimitsConfig,
    /// What a user changes over all of their sockets.
    pub(super) callers: CallerRates,
    pub(super) verifier: Verifier,
    pub(super) catalogue: Arc<Catalogue>,
    pub(super) audience: EventAudience,
    pub(super) queue_length: usize,
    pub(super) max_pending_bytes: usize,
    /// Where sessions are kept, once there is a store.
    pub(super) recovery: OnceLock<Recovery>,
    /// For how long a token is still valid after its end.
    pub(super) leeway: Duration,
    /// Weak, since it has this.
    pub(super) hooks: OnceLock<Weak<dyn Hooks>>,
    pub(super) watch: Watch,
}

/// How long a client may take.
#[derive(Clone, Copy)]
pub(super) struct Times {
    /// Until somebody has connected over a session, and for all of one packet.
    pub(super) connect: Duration,
    /// For a change of transport.
    pub(super) upgrade: Duration,
}

/// What is decided above.
pub(super) trait Hooks: Send + Sync {
    /// Somebody asks to be let into a namespace over a websocket, and is answered there. The connection,
    /// if there is one, ends when nobody has it any more.
    fn connect(
        self: Arc<Self>,
        link: Arc<Link>,
        namespace: Namespace,
        auth: Option<Box<str>>,
    ) -> BoxFuture<'static, Option<Arc<Connection>>>;

    /// The CONNECT was answered.
    fn begin(&self, connection: &Arc<Connection>);

    /// An event of the client's: its name and arguments as a list, as JSON, and the id of its callback.
    fn hear(
        &self,
        connection: &Arc<Connection>,
        arguments: &str,
        is_binary: bool,
        ack: Option<i64>,
    );

    /// The client has left the namespace.
    fn left(&self, connection: &Arc<Connection>);

    /// The connection has ended, with its transport.
    fn ended(&self, connection: &Arc<Connection>);

    /// As [`Connection::claim`].
    fn claim(&self, connection: &Arc<Connection>, user: &Id) -> Result<Arc<Identity>>;

    /// As [`Connection::renew`].
    fn renew(&self, connection: &Arc<Connection>, identity: Arc<Identity>) -> Result<()>;
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
    /// Nothing it asks for is done any more, for this reason.
    shut_out: Option<ClosingReason>,
    rooms: Vec<Room>,
    /// Those of them that a backend let it into. Boxed, since few have any.
    admitted: Option<Box<Admitted>>,
}

#[derive(Default)]
struct Admitted(Vec<Room>);

/// A connection's life. The engine may report its end before its beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    New,
    Added,
    Gone,
}

impl Connection {
    pub(super) fn new(
        id: Uuid,
        namespace: Namespace,
        identity: Option<Arc<Identity>>,
        link: Arc<Link>,
        context: Arc<Context>,
        session: Option<Session>,
    ) -> Arc<Self> {
        let shard = link.shard();
        let all = context.clone();
        all.seats.take(shard, |member| {
            Arc::new(Self {
                id,
                namespace,
                identity: ArcSwapOption::new(identity),
                own: Box::default(),
                link,
                context,
                member,
                session,
            })
        })
    }

    /// What it asked for and is not done yet.
    pub(super) fn queue(&self) -> MutexGuard<'_, Queue<Work>> {
        self.own.queue.lock()
    }

    /// How often it may still ask; made when it asks for the first time.
    pub(super) fn rates(&self, full: impl FnOnce() -> Box<EventRates>) -> &EventRates {
        self.own.rates.get_or_init(full)
    }

    pub(super) fn context(&self) -> &Arc<Context> {
        &self.context
    }

    fn hooks(&self) -> Result<Arc<dyn Hooks>> {
        Ok(self.context.hooks()?)
    }

    fn push(&self, item: Item) {
        self.context.hub.push(self.link.shard(), item);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.own.state.lock()
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
        self.hooks()?.claim(self, user)
    }

    /// Whom a new token for it speaks for.
    ///
    /// # Errors
    /// Why the token is refused; [`Code::Forbidden`] when it is another user's.
    pub async fn verify_again(&self, token: &SecretString) -> Result<Arc<Identity>> {
        let token = given_token(token.expose_secret()).ok_or(TokenError::Missing)?;
        let identity = Arc::new(self.context.verifier.verify(token).await?);
        if self.known_identity()?.user_id != identity.user_id {
            return Err(Error::new(Code::Forbidden, "The new token belongs to another user."));
        }
        Ok(identity)
    }

    /// Goes on as the identity of a new token, for as long as that is valid. Which of its rooms it
    /// may still be in is another's to ask.
    ///
    /// # Errors
    /// As [`Connection::join`], of the admins' room; then nothing has changed.
    pub fn renew(self: &Arc<Self>, identity: Arc<Identity>) -> Result<()> {
        self.hooks()?.renew(self, identity)
    }

    /// Gives its owner a newer token.
    pub(super) fn identify(self: &Arc<Self>, identity: Arc<Identity>) {
        let user = identity.user_id.clone();
        self.note_identity(&identity);
        self.identity.store(Some(identity));
        self.push(Item::Identify(self.member, Some(user)));
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

    /// Whether its token, if it has one, is still valid, and it is not shut out and has not ended.
    pub(super) fn may_act(&self, now: Timestamp) -> bool {
        let leeway = self.context.leeway;
        let expired = self
            .identity
            .load()
            .as_ref()
            .and_then(|identity| identity.expires_at)
            .is_some_and(|expires_at| expires_at + leeway <= now);
        !expired && !self.is_shut_out()
    }

    /// Whether its token is revoked, or its user blocked.
    pub(super) fn is_refused(&self) -> bool {
        let identity = self.identity.load();
        let revocations = self.context.verifier.revocations();
        identity.as_ref().is_some_and(|identity| revocations.check(identity).is_err())
    }

    /// Has nothing done any more that it asks for. False when that was so before.
    pub(super) fn shut_out(&self, reason: ClosingReason) -> bool {
        let mut state = self.lock();
        let is_new = state.phase != Phase::Gone && state.shut_out.is_none();
        // The first reason is what ended it.
        state.shut_out.get_or_insert(reason);
        if let Some((recovery, session)) = self.session().filter(|_| is_new) {
            recovery.forgotten(session, reason.as_kept());
        }
        is_new
    }

    /// Whether nothing that it asks for is done any more: it is shut out, or has ended.
    pub(super) fn is_shut_out(&self) -> bool {
        let state = self.lock();
        state.shut_out.is_some() || state.phase == Phase::Gone
    }

    /// Registers with the hub, unless it has ended. Frames wait until CONNECT has passed; where it comes
    /// back, kept events wait until it is restored.
    pub(super) fn register(self: &Arc<Self>, comes_back: bool) {
        let state = self.lock();
        if state.phase == Phase::Gone {
            return;
        }
        let (namespace, user) = (self.namespace, self.user_id());
        let first = self.link.register(self.member, namespace, |lane| {
            let polled = |polls: &Arc<Polls>| {
                let polled = Polled::new(polls.clone(), namespace, self.context.max_pending_bytes);
                Outlet::Polls(Box::new(polled))
            };
            let polls = || self.link.polls().map_or(Outlet::Closed, polled);
            let outlet = lane.map_or_else(polls, Outlet::coming);
            // Before the CONNECT is answered: what its client asks for from then on tells of all
            // that happened before this.
            let since = Instant::now();
            let recovers = self.recovers();
            let registration =
                Registration { namespace, user, since, outlet, recovers, comes_back };
            self.push(Item::Register(self.member, registration));
        });
        first.inspect(|carrier| self.context.watch.began(*carrier));
        let generation = self.session().map_or(0, |(_, session)| session.generation.get());
        self.context.hub.note_socket(self.id, self.link.shard(), self.member, generation);
    }

    /// CONNECT is answered, by the engine or with this: does `then` before the end can be noticed, or
    /// not at all when it has been.
    pub(super) fn begin(self: &Arc<Self>, answer: Option<Bytes>, then: impl FnOnce()) {
        let mut state = self.lock();
        if state.phase == Phase::New {
            state.phase = Phase::Added;
            self.note_beginning(&state.rooms);
            // Whoever has the answer is here, as far as anybody may ask.
            then();
            self.push(Item::Opened(self.member, answer));
        }
    }

    /// It has ended: takes it out of every room. Whether it had begun, and the rooms it was in;
    /// none when its end was known already.
    pub(super) fn end(self: &Arc<Self>, reason: &'static str) -> Option<(bool, Vec<Room>)> {
        let mut state = self.lock();
        let begun = match std::mem::replace(&mut state.phase, Phase::Gone) {
            Phase::Gone => return None,
            phase => phase == Phase::Added,
        };
        state.admitted = None;
        let rooms = std::mem::take(&mut state.rooms);
        if begun {
            self.note_end(reason, state.shut_out.is_some(), &rooms);
        }
        self.context.hub.forget_socket(self.id, self.link.shard(), self.member);
        let mut left = rooms.clone();
        // It may have come in there unasked.
        left.push(self.own_room());
        self.push(Item::Gone(self.member, left));
        self.keep_end(state.shut_out, reason);
        self.link.forget(self.member).inspect(|carrier| self.context.watch.ended(*carrier));
        // Whoever has the seat next is heard of after that.
        self.context.seats.free(self.link.shard(), self.member);
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

    /// Sends an event to this connection alone, in order with what its rooms get.
    pub(super) fn send(self: &Arc<Self>, event: Arc<Outgoing>) {
        self.push(Item::Send(self.member, event));
    }

    /// Acknowledges one of its events.
    pub(super) fn acknowledge(self: &Arc<Self>, id: i64, data: Box<str>) {
        self.push(Item::Acknowledge(self.member, id, data));
    }

    /// Says why, then closes the transport: an official client comes back by itself.
    pub fn close(self: &Arc<Self>, reason: ClosingReason) {
        let farewell = Outgoing::of(&SessionClosing::because(reason));
        self.push(Item::Close(self.member, Some(farewell)));
    }

    /// Closes the transport without a word: there was one before.
    pub(super) fn close_transport(self: &Arc<Self>) {
        self.push(Item::Close(self.member, None));
    }

    /// What answers its CONNECT.
    pub(super) fn answer(&self) -> String {
        let pid = self.session.filter(|_| self.recovers()).map(|session| session.pid.text());
        frame::connected(self.namespace, self.id, pid.as_deref(), self.link.is_v3())
    }

    /// Where its session is kept.
    pub(super) fn session(&self) -> Option<(&Recovery, Session)> {
        self.context.recovery.get().zip(self.session)
    }

    /// Whose it is, where it is known.
    #[must_use]
    pub fn user_id(&self) -> Option<Id> {
        self.identity.load().as_ref().map(|identity| identity.user_id.clone())
    }
}

/// There is no server any more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stopped;

impl From<Stopped> for Error {
    fn from(Stopped: Stopped) -> Self {
        closed()
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
    use crate::realtime::lane::Lane;

    /// With the two counts of an `Arc` it takes 128, a size that the allocator has.
    const ALLOCATION_BYTES: usize = 104;

    #[test]
    fn what_a_socket_keeps_is_small() {
        assert!(size_of::<Connection>() <= ALLOCATION_BYTES, "{}", size_of::<Connection>());
        assert!(size_of::<Own>() <= ALLOCATION_BYTES, "{}", size_of::<Own>());
        assert!(size_of::<Link>() <= ALLOCATION_BYTES, "{}", size_of::<Link>());
        assert!(size_of::<Lane>() <= ALLOCATION_BYTES, "{}", size_of::<Lane>());
        assert!(size_of::<Identity>() <= ALLOCATION_BYTES, "{}", size_of::<Identity>());
    }
}
