//! The hub: rooms and fan-out. Its shards own the rooms of their connections, so joins,
//! acknowledgements and broadcasts have one order and no lock is held over a room.

mod bundle;
mod catch_up;
mod members;
mod shard;
mod sink;
mod slot;
mod turn;

use std::{
    collections::BTreeMap,
    hash::{BuildHasher, RandomState},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use serde::Serialize;
use smallvec::SmallVec;
use tokio::sync::{mpsc, oneshot};

pub use bundle::{Bundle, Part, Picks};

use super::{connection::Connection, frame::Outgoing, lane::Lane};
use crate::{event::Namespaces, id::Id, metrics, room::Room, stream::Stream};

/// Locks that give concurrent broadcasts to a room one order over all shards.
const STRIPES: usize = 64;

/// Where rooms are, and what is sent to them goes in. Cheap to clone.
#[derive(Clone)]
pub struct Hub(Arc<Inner>);

struct Inner {
    shards: Box<[mpsc::UnboundedSender<Item>]>,
    stripes: [Mutex<()>; STRIPES],
    hasher: RandomState,
    next_shard: AtomicUsize,
    max_rooms_per_connection: usize,
    evictions: AtomicU64,
}

/// What a shard does, in the order in which it is asked.
pub(super) enum Item {
    /// A connection that is not open yet; with its websocket, when it has one.
    Enter(Arc<Connection>, Option<Arc<Lane>>),
    /// Its CONNECT has been sent.
    Opened(Arc<Connection>),
    /// Its owner has become known, or newly known.
    Identify(Arc<Connection>),
    /// It goes on over a websocket.
    ChangeOver(Arc<Connection>, Arc<Lane>),
    /// The engine may have room for what it goes over with.
    GoOver(Arc<Connection>),
    Join(Arc<Connection>, Room),
    /// Joins a room, whose kept events, and those of the rooms beside it, wait for what is replayed
    /// first.
    JoinHeld(Arc<Connection>, Room, Vec<Room>),
    Replay(Arc<Connection>, Room, Replay),
    Leave(Arc<Connection>, Room),
    Gone(Arc<Connection>, Vec<Room>),
    Send(Arc<Connection>, Arc<Outgoing>),
    Acknowledge(Arc<Connection>, i64, Box<str>),
    Close(Arc<Connection>, Option<Arc<Outgoing>>),
    Broadcast(Arc<Broadcast>),
    /// Tells everyone, and says who everyone is.
    CloseAll(Arc<Outgoing>, oneshot::Sender<Vec<Arc<Connection>>>),
    Rooms(RoomsQuestion),
    All(oneshot::Sender<Vec<Arc<Connection>>>),
    Members(Room, oneshot::Sender<Vec<Arc<Connection>>>),
}

/// What a connection missed of a room, or a portion of it.
pub(super) struct Replay {
    /// In their order, with their numbers and the room in which each was heard.
    pub(super) events: Vec<(i64, Room, Arc<Outgoing>)>,
    pub(super) then: Then,
    /// Told once it is on its way; not at all when the connection has ended.
    pub(super) answer: oneshot::Sender<Replayed>,
}

/// A replay, or a portion of it, that is on its way to the client.
pub(super) struct Replayed {
    /// Whether it was the last of it. Else more is to be read.
    pub(super) caught_up: bool,
    /// Told when the client can take more; not at all when the connection has ended.
    pub(super) when_taken: oneshot::Receiver<()>,
}

/// What comes after a portion of a replay.
#[derive(Clone, Copy, Debug)]
pub(super) enum Then {
    /// Another portion.
    More,
    /// What waited, from the number after this one: of what has one up to it, all that is for this
    /// connection was replayed.
    Live { upto: i64 },
    /// All that waited, since what was missed can't be read.
    Unread,
}

/// An event for many.
pub(super) struct Broadcast {
    pub(super) to: Audience,
    pub(super) except: Except,
    pub(super) namespaces: Namespaces,
    pub(super) message: Message,
    /// Dropped for a socket for which bytes wait already.
    pub(super) volatile: bool,
    /// Its number in each stream that keeps it, in their order.
    pub(super) numbers: Arc<[(Stream, i64)]>,
    /// Counts the sockets, for a caller who wants to know.
    pub(super) receipt: Option<Receipt>,
}

/// Who hears it. Rooms are in their order.
pub(super) enum Audience {
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
pub(super) enum Except {
    #[default]
    Nobody,
    /// Every connection of a user.
    User(Id),
    /// Whoever is in one of these rooms.
    Rooms(Vec<Room>),
}

/// What they hear.
pub(super) enum Message {
    One(Arc<Outgoing>),
    Bundle(Box<Bundle>),
}

impl Message {
    fn is_bundle(&self) -> bool {
        matches!(self, Self::Bundle(_))
    }

    /// Counts deliveries to as many sockets, by event.
    fn count(&self, sockets: usize) {
        match self {
            Self::One(event) => metrics::events_out(event.label()).increment(sockets as u64),
            Self::Bundle(bundle) => bundle.count(sockets),
        }
    }
}

/// How many sockets of this node an event was written to.
pub(super) struct Receipt {
    sockets: AtomicUsize,
    shards_left: AtomicUsize,
    done: Mutex<Option<oneshot::Sender<usize>>>,
}

impl Receipt {
    /// One shard has written to `sockets` sockets.
    fn add(&self, sockets: usize) {
        self.sockets.fetch_add(sockets, Ordering::AcqRel);
        if self.shards_left.fetch_sub(1, Ordering::AcqRel) == 1
            && let Some(done) = self.done.lock().unwrap_or_else(PoisonError::into_inner).take()
        {
            // Whoever asked may have gone.
            let _ = done.send(self.sockets.load(Ordering::Acquire));
        }
    }
}

/// Which rooms there are.
pub(super) struct RoomsQuestion {
    /// Only rooms whose name begins so.
    prefix: Arc<str>,
    /// Only rooms whose name sorts after this one.
    after: Option<Arc<str>>,
    limit: usize,
    answer: oneshot::Sender<Vec<(String, Vec<Option<Id>>)>>,
}

/// A room and who is in it, on this node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct RoomSize {
    /// The room's name.
    pub room: String,
    /// Sockets in it.
    pub sockets: usize,
    /// Different users in it.
    pub users: usize,
}

/// A user in a room, on this node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoomMember {
    /// The user.
    #[schema(value_type = String)]
    pub user_id: Id,
    /// How many of the user's sockets are in the room.
    pub sockets: usize,
}

impl Hub {
    /// Starts the shards' tasks on the current runtime. They end when every clone is dropped.
    #[must_use]
    pub fn start(shards: usize, max_rooms_per_connection: usize) -> Self {
        let shards = (0..shards.max(1)).map(|_| shard::start()).collect();
        Self(Arc::new(Inner {
            shards,
            stripes: std::array::from_fn(|_| Mutex::new(())),
            hasher: RandomState::new(),
            next_shard: AtomicUsize::new(0),
            max_rooms_per_connection,
            evictions: AtomicU64::new(0),
        }))
    }

    pub(super) fn max_rooms_per_connection(&self) -> usize {
        self.0.max_rooms_per_connection
    }

    /// The shard for the next link.
    pub(super) fn assign(&self) -> usize {
        self.0.next_shard.fetch_add(1, Ordering::Relaxed) % self.0.shards.len()
    }

    /// Hands an item to a shard.
    pub(super) fn push(&self, shard: usize, item: Item) {
        // A shard ends only with the last clone of the hub.
        let _ = self.0.shards[shard].send(item);
    }

    /// Hands a broadcast to every shard, in one order for each room that it reaches.
    pub(super) fn broadcast(&self, broadcast: Broadcast) {
        let mut stripes: SmallVec<[usize; 1]> = match &broadcast.to {
            Audience::Everyone { .. } | Audience::Each(_) => (0..STRIPES).collect(),
            Audience::Rooms(rooms) => rooms.iter().map(|room| self.stripe(room)).collect(),
        };
        // Always in the same order, so that no two wait for each other.
        stripes.sort_unstable();
        stripes.dedup();
        let lock = |stripe: &usize| self.0.stripes[*stripe].lock();
        let _order: SmallVec<[_; 1]> =
            stripes.iter().map(|at| lock(at).unwrap_or_else(PoisonError::into_inner)).collect();
        let broadcast = Arc::new(broadcast);
        for shard in 0..self.0.shards.len() {
            self.push(shard, Item::Broadcast(broadcast.clone()));
        }
    }

    fn stripe(&self, room: &Room) -> usize {
        usize::try_from(self.0.hasher.hash_one(room) % STRIPES as u64).unwrap_or(0)
    }

    /// A receipt for a broadcast, and where its count arrives.
    pub(super) fn receipt(&self) -> (Receipt, oneshot::Receiver<usize>) {
        let (done, count) = oneshot::channel();
        let receipt = Receipt {
            sockets: AtomicUsize::new(0),
            shards_left: AtomicUsize::new(self.0.shards.len()),
            done: Mutex::new(Some(done)),
        };
        (receipt, count)
    }

    /// How often rights to be in a room were taken back.
    #[must_use]
    pub fn evictions(&self) -> u64 {
        self.0.evictions.load(Ordering::SeqCst)
    }

    /// Has who enters a room meanwhile checked again.
    pub fn note_eviction(&self) {
        self.0.evictions.fetch_add(1, Ordering::SeqCst);
    }

    /// Every connection there is, after each has been told `farewell`.
    pub(super) async fn close_all(&self, farewell: &Arc<Outgoing>) -> Vec<Arc<Connection>> {
        let ask = |answer| Item::CloseAll(farewell.clone(), answer);
        self.ask(ask).await.into_iter().flatten().collect()
    }

    /// Up to `limit` rooms whose names begin with `prefix`, in the order of their names, from the
    /// one after `after`.
    pub async fn rooms(&self, prefix: &str, after: Option<String>, limit: usize) -> Vec<RoomSize> {
        let (prefix, after): (Arc<str>, Option<Arc<str>>) = (prefix.into(), after.map(Into::into));
        let ask = |answer| {
            let (prefix, after) = (prefix.clone(), after.clone());
            Item::Rooms(RoomsQuestion { prefix, after, limit, answer })
        };
        let answers = self.ask(ask).await;
        let mut rooms: BTreeMap<String, Vec<Option<Id>>> = BTreeMap::new();
        for (room, members) in answers.into_iter().flatten() {
            rooms.entry(room).or_default().extend(members);
        }
        let sized = rooms.into_iter().map(|(room, members)| RoomSize {
            room,
            sockets: members.len(),
            users: count_users(members).len(),
        });
        sized.take(limit).collect()
    }

    /// Every connection there is.
    pub(super) async fn all(&self) -> Vec<Arc<Connection>> {
        self.ask(Item::All).await.into_iter().flatten().collect()
    }

    /// The connections that are in a room.
    pub async fn connections(&self, room: &Room) -> Vec<Arc<Connection>> {
        let members = self.ask(|answer| Item::Members(room.clone(), answer)).await;
        members.into_iter().flatten().collect()
    }

    /// Who is in a room, in the order of their ids.
    pub async fn members(&self, room: &Room) -> Vec<RoomMember> {
        let members = self.connections(room).await;
        count_users(members.iter().map(|connection| connection.user_id()))
            .into_iter()
            .map(|(user_id, sockets)| RoomMember { user_id, sockets })
            .collect()
    }

    /// Asks every shard, and waits for all answers.
    async fn ask<T>(&self, question: impl Fn(oneshot::Sender<T>) -> Item) -> Vec<T> {
        let mut answers = Vec::with_capacity(self.0.shards.len());
        for shard in 0..self.0.shards.len() {
            let (sender, answer) = oneshot::channel();
            self.push(shard, question(sender));
            answers.push(answer);
        }
        let answers = futures_util::future::join_all(answers).await;
        answers.into_iter().filter_map(Result::ok).collect()
    }
}

fn count_users(members: impl IntoIterator<Item = Option<Id>>) -> BTreeMap<Id, usize> {
    let mut users = BTreeMap::new();
    for user in members.into_iter().flatten() {
        *users.entry(user).or_default() += 1;
    }
    users
}
