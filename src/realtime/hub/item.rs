//! What the shards of the hub are asked.

use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::{sync::oneshot, time::Instant};

use super::{
    bundle::{Bundle, Picks},
    outlet::Outlet,
};
use crate::{
    db::Reach,
    event::{Namespace, Namespaces},
    id::Id,
    metrics,
    realtime::{frame::Outgoing, lane::Lane, seats::Member},
    room::Room,
    stream::Stream,
};

/// What a shard does, in the order in which it is asked.
pub(in crate::realtime) enum Item {
    /// A connection that is not open yet.
    Register(Member, Registration),
    /// The CONNECT is answered: by the engine, or with this.
    Opened(Member, Option<Bytes>),
    /// Whose the socket is has become known, or newly known.
    Identify(Member, Option<Id>),
    /// It goes on over a websocket.
    ChangeOver(Member, Arc<Lane>),
    Join(Member, Room),
    /// Joins a room, whose kept events, and those of its siblings, wait for what is replayed
    /// first.
    JoinBuffered(Member, Room, Vec<Room>),
    Replay(Member, Room, Replay),
    /// The kept event that was sent last here, if any was.
    LastKept(Member, oneshot::Sender<Option<Arc<Kept>>>),
    /// Who came back is sent what was missed, then what has waited for that.
    Restore(Member, Restoration),
    Leave(Member, Room),
    Gone(Member, Vec<Room>),
    Send(Member, Arc<Outgoing>),
    /// The same, and who sends it is told when the client can take more; not at all when it has ended.
    Tell(Member, Arc<Outgoing>, oneshot::Sender<()>),
    Acknowledge(Member, i64, Box<str>),
    Close(Member, Option<Arc<Outgoing>>),
    Broadcast(Arc<UnderWay>),
    /// Tells everyone, and says who everyone is.
    CloseAll(Arc<Outgoing>, oneshot::Sender<Vec<Member>>),
    Rooms(RoomsQuestion),
    /// How many sockets are in each room; without the users' own where that is false.
    Sizes(bool, oneshot::Sender<Vec<(Room, usize)>>),
    All(oneshot::Sender<Vec<Member>>),
    Members(Room, oneshot::Sender<Vec<Member>>),
    /// Whose the sockets in a room are.
    Users(Room, oneshot::Sender<Vec<Option<Id>>>),
}

/// A new connection, as the hub knows it.
pub(in crate::realtime) struct Registration {
    pub(in crate::realtime) namespace: Namespace,
    /// Whose the socket is, where that is known.
    pub(in crate::realtime) user: Option<Id>,
    /// When it came in.
    pub(in crate::realtime) since: Instant,
    pub(in crate::realtime) outlet: Outlet,
    /// It is told the offsets of kept events.
    pub(in crate::realtime) recovers: bool,
    /// It has come back: kept events wait until it is restored.
    pub(in crate::realtime) comes_back: bool,
}

/// What a connection that came back is to hear before anything else.
pub(in crate::realtime) struct Restoration {
    /// What it missed, with offsets.
    pub(in crate::realtime) events: Vec<Arc<Outgoing>>,
    /// What is up to here was among it, as far as it is for this connection.
    pub(in crate::realtime) until: Reach,
    /// From which number on it has heard all of these rooms.
    pub(in crate::realtime) heard_from: Vec<(Room, i64)>,
    /// Told whether nothing of what waited had to be dropped.
    pub(in crate::realtime) answer: oneshot::Sender<bool>,
}

/// Of an event that is kept, where.
pub(in crate::realtime) struct Kept {
    /// Its number in each stream that keeps it, in their order.
    pub(in crate::realtime) numbers: Box<[(Stream, i64)]>,
    pub(in crate::realtime) position: i64,
    /// How far all have been sent with it, with whatever it became.
    pub(in crate::realtime) reach: Reach,
}

/// What a connection missed of a room, or a portion of it.
pub(in crate::realtime) struct Replay {
    /// In their order, with their numbers and the room in which each was heard.
    pub(in crate::realtime) events: Vec<(i64, Room, Arc<Outgoing>)>,
    pub(in crate::realtime) then: Then,
    /// Told once it is on its way; not at all when the connection has ended.
    pub(in crate::realtime) answer: oneshot::Sender<Replayed>,
}

/// A replay, or a portion of it, that is on its way to the client.
pub(in crate::realtime) struct Replayed {
    pub(in crate::realtime) told: Told,
    /// Told when the client can take more; not at all when the connection has ended.
    pub(in crate::realtime) when_taken: oneshot::Receiver<()>,
}

/// What a client was told by a replay, or a portion of it.
pub(in crate::realtime) struct Told {
    /// Whether it was the last of it. Else more is to be read.
    pub(in crate::realtime) caught_up: bool,
    pub(in crate::realtime) is_nothing: bool,
    /// The kept event that had been sent last there by then, if any was.
    pub(in crate::realtime) sent: Option<Arc<Kept>>,
}

/// What comes after a portion of a replay.
#[derive(Clone, Copy, Debug)]
pub(in crate::realtime) enum Then {
    /// Another portion.
    More,
    /// What waited, from the number after this one: of what has one up to it, all that is for this
    /// connection was replayed.
    Live { upto: i64 },
    /// All that waited, since what was missed can't be read.
    Unread,
}

/// An event for many.
pub(in crate::realtime) struct Broadcast {
    pub(in crate::realtime) to: Audience,
    pub(in crate::realtime) except: Except,
    pub(in crate::realtime) namespaces: Namespaces,
    pub(in crate::realtime) message: Message,
    /// Dropped for a socket for which bytes wait already.
    pub(in crate::realtime) volatile: bool,
    /// Where it is kept, if it is.
    pub(in crate::realtime) kept: Option<Arc<Kept>>,
    /// Counts the sockets, for a caller who wants to know.
    pub(in crate::realtime) receipt: Option<Receipt>,
    /// Is told what became of it, where somebody wants to know that.
    pub(in crate::realtime) outcome: Option<Box<Outcome>>,
}

/// A broadcast on its way through the shards; the last one that has written it lets go of it, and so
/// the time is told.
pub(in crate::realtime) struct UnderWay {
    broadcast: Broadcast,
    begun: Instant,
}

impl UnderWay {
    pub(super) fn begin(broadcast: Broadcast) -> Self {
        Self { broadcast, begun: Instant::now() }
    }
}

impl Deref for UnderWay {
    type Target = Broadcast;

    fn deref(&self) -> &Broadcast {
        &self.broadcast
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let label = match &self.broadcast.message {
            Message::One(event) => event.label(),
            Message::Bundle(_) => "bundle",
        };
        metrics::broadcast_duration(label).record(self.begun.elapsed());
        if let Some(outcome) = &self.broadcast.outcome {
            (outcome.tell)(&self.broadcast, outcome.tally());
        }
    }
}

/// Who hears it. Rooms are in their order.
pub(in crate::realtime) enum Audience {
    /// Everyone; for whoever is in these rooms it is kept in their streams too.
    Everyone {
        kept_for: Vec<Room>,
    },
    Rooms(SmallVec<[Room; 1]>),
    /// Of a bundle each user, by their own room, what is picked for them; admins all of it.
    Each(Vec<(Room, Picks)>),
}

/// Who doesn't.
#[derive(Default)]
pub(in crate::realtime) enum Except {
    #[default]
    Nobody,
    /// Every connection of a user.
    User(Id),
    /// Whoever is in one of these rooms.
    Rooms(Vec<Room>),
}

/// What they hear.
pub(in crate::realtime) enum Message {
    One(Arc<Outgoing>),
    Bundle(Box<Bundle>),
}

impl Message {
    pub(super) fn is_bundle(&self) -> bool {
        matches!(self, Self::Bundle(_))
    }
}

/// How many sockets of this node an event was written to.
pub(in crate::realtime) struct Receipt {
    sockets: AtomicUsize,
    shards_left: AtomicUsize,
    done: Mutex<Option<oneshot::Sender<usize>>>,
}

impl Receipt {
    /// A receipt of so many shards, and where its count arrives.
    pub(super) fn of(shards: usize) -> (Self, oneshot::Receiver<usize>) {
        let (done, count) = oneshot::channel();
        let (sockets, shards_left) = (AtomicUsize::new(0), AtomicUsize::new(shards));
        (Self { sockets, shards_left, done: Mutex::new(Some(done)) }, count)
    }

    /// One shard has written to `sockets` sockets.
    pub(super) fn add(&self, sockets: usize) {
        self.sockets.fetch_add(sockets, Ordering::AcqRel);
        if self.shards_left.fetch_sub(1, Ordering::AcqRel) == 1
            && let Some(done) = self.done.lock().take()
        {
            // Whoever asked may have gone.
            let _ = done.send(self.sockets.load(Ordering::Acquire));
        }
    }
}

/// Counts what becomes of a broadcast at the sockets of this node, and tells it when all shards have
/// written it.
pub(in crate::realtime) struct Outcome {
    sockets: AtomicUsize,
    dropped: AtomicUsize,
    tell: Box<Tell>,
}

/// Is told what became of a broadcast.
type Tell = dyn Fn(&Broadcast, Tally) + Send + Sync;

/// What became of a broadcast at the sockets of this node.
#[derive(Clone, Copy)]
pub(in crate::realtime) struct Tally {
    /// To so many it was written, or waits for what comes before it.
    pub(in crate::realtime) sockets: usize,
    /// For so many it was dropped, since they were behind.
    pub(in crate::realtime) dropped: usize,
}

impl Outcome {
    pub(in crate::realtime) fn new(
        tell: impl Fn(&Broadcast, Tally) + Send + Sync + 'static,
    ) -> Self {
        let none = AtomicUsize::default;
        Self { sockets: none(), dropped: none(), tell: Box::new(tell) }
    }

    /// What became of it in one shard.
    pub(super) fn add(&self, Tally { sockets, dropped }: Tally) {
        self.sockets.fetch_add(sockets, Ordering::AcqRel);
        self.dropped.fetch_add(dropped, Ordering::AcqRel);
    }

    fn tally(&self) -> Tally {
        let [sockets, dropped] =
            [&self.sockets, &self.dropped].map(|count| count.load(Ordering::Acquire));
        Tally { sockets, dropped }
    }
}

/// Which rooms there are.
pub(in crate::realtime) struct RoomsQuestion {
    /// Only rooms whose name begins so.
    pub(super) prefix: Arc<str>,
    /// Only rooms whose name sorts after this one.
    pub(super) after: Option<Arc<str>>,
    /// Also those that are a user's own.
    pub(super) with_users: bool,
    pub(super) limit: usize,
    pub(super) answer: oneshot::Sender<Vec<(String, Vec<Option<Id>>)>>,
}
