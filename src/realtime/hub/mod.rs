//! The hub: rooms and fan-out. Its shards own the rooms of their connections, so joins,
//! acknowledgements and broadcasts have one order and no lock is held over a room.

mod bundle;
mod catch_up;
mod frame_batch;
mod item;
mod members;
mod outlet;
mod room_count;
mod shard;
mod slot;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasher, RandomState},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use dashmap::DashMap;
use parking_lot::Mutex;
use serde::Serialize;
use smallvec::SmallVec;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

pub use bundle::{Bundle, Part, Picks};
pub(super) use item::{
    Audience, Broadcast, Except, Item, Kept, Message, Outcome, Receipt, Registration, Replay,
    Replayed, Restoration, Tally, Then, Told,
};
pub(super) use outlet::{Outlet, Polled};

use self::{
    item::{RoomsQuestion, UnderWay},
    room_count::RoomCount,
};
use super::{frame::Outgoing, seats::Member, watch::Watch};
use crate::{id::Id, room::Room, tasks::Tasks};

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
    replay_bytes: usize,
    evictions: AtomicU64,
    /// Where sockets are, by their ids: each has a room of its own.
    sockets: DashMap<Uuid, Place>,
}

/// Where a socket is, and of which generation of its session.
#[derive(Clone, Copy)]
struct Place {
    shard: u32,
    member: Member,
    generation: u32,
}

/// A room and who is in it, over all nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct RoomSize {
    /// The room's name.
    pub room: String,
    /// Sockets in it.
    pub sockets: usize,
    /// Different users in it.
    pub users: usize,
}

/// A user in a room, over all nodes.
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
    pub fn start(
        tasks: &Tasks,
        shards: usize,
        max_rooms_per_connection: usize,
        max_pending_bytes: usize,
        watch: &Watch,
    ) -> Self {
        // Up to three namespaces share a websocket, and what is sent at once and what waits for it
        // come together.
        let replay_bytes = max_pending_bytes / 8;
        let count = Arc::<RoomCount>::default();
        let start =
            |shard| shard::start(shard, (replay_bytes, count.clone()), watch.clone(), tasks);
        let shards = (0..shards).map(start).collect();
        Self(Arc::new(Inner {
            shards,
            stripes: std::array::from_fn(|_| Mutex::new(())),
            hasher: RandomState::new(),
            next_shard: AtomicUsize::new(0),
            max_rooms_per_connection,
            replay_bytes,
            evictions: AtomicU64::new(0),
            sockets: DashMap::new(),
        }))
    }

    pub(super) fn max_rooms_per_connection(&self) -> usize {
        self.0.max_rooms_per_connection
    }

    /// Bytes of a replay that are sent at once, and that may wait for its end.
    pub(super) fn replay_bytes(&self) -> usize {
        self.0.replay_bytes
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
        let _order: SmallVec<[_; 1]> = stripes.iter().map(lock).collect();
        self.enter_own_rooms(&broadcast);
        let broadcast = Arc::new(UnderWay::begin(broadcast));
        for shard in 0..self.0.shards.len() {
            self.push(shard, Item::Broadcast(broadcast.clone()));
        }
    }

    /// A socket comes into the room of its own when that is meant for the first time: few ever are.
    fn enter_own_rooms(&self, broadcast: &Broadcast) {
        let to: &[Room] = if let Audience::Rooms(rooms) = &broadcast.to { rooms } else { &[] };
        let but: &[Room] = if let Except::Rooms(rooms) = &broadcast.except { rooms } else { &[] };
        for room in to.iter().chain(but) {
            if let Room::Other(id) = room
                && let Ok(id) = id.as_str().parse()
                && let Some((shard, member)) = self.socket(id)
            {
                self.push(shard, Item::Join(member, room.clone()));
            }
        }
    }

    /// Where a socket is, by its id.
    pub(super) fn socket(&self, id: Uuid) -> Option<(usize, Member)> {
        self.0.sockets.get(&id).map(|place| (place.shard as usize, place.member))
    }

    /// A socket is here, which is of this generation of its session; one of a later generation stays.
    pub(super) fn note_socket(&self, id: Uuid, shard: usize, member: Member, generation: u32) {
        let shard = u32::try_from(shard).unwrap_or(u32::MAX);
        let place = Place { shard, member, generation };
        let mut noted = self.0.sockets.entry(id).or_insert(place);
        if noted.generation <= generation {
            *noted = place;
        }
    }

    /// It is not any more.
    pub(super) fn forget_socket(&self, id: Uuid, shard: usize, member: Member) {
        let is_it = |place: &Place| (place.shard as usize, place.member) == (shard, member);
        self.0.sockets.remove_if(&id, |_, place| is_it(place));
    }

    fn stripe(&self, room: &Room) -> usize {
        usize::try_from(self.0.hasher.hash_one(room) % STRIPES as u64).unwrap_or(0)
    }

    /// A receipt for a broadcast, and where its count arrives.
    pub(super) fn receipt(&self) -> (Receipt, oneshot::Receiver<usize>) {
        Receipt::of(self.0.shards.len())
    }

    /// How often rights to be in a room were taken back.
    #[must_use]
    pub fn evictions(&self) -> u64 {
        self.0.evictions.load(Ordering::SeqCst)
    }

    /// Has who joins a room meanwhile checked again.
    pub fn note_eviction(&self) {
        self.0.evictions.fetch_add(1, Ordering::SeqCst);
    }

    /// Everyone there is, after each has been told `farewell`: of each shard, in their order.
    pub(super) async fn close_all(&self, farewell: &Arc<Outgoing>) -> Vec<Vec<Member>> {
        self.ask(|answer| Item::CloseAll(farewell.clone(), answer)).await
    }

    /// Up to `limit` rooms whose names begin with `prefix`, in the order of their names, from the
    /// one after `after`, also those that are a user's own where they are wanted: how many sockets are in
    /// each, and which users.
    pub(super) async fn rooms(
        &self,
        prefix: &str,
        after: Option<String>,
        with_users: bool,
        limit: usize,
    ) -> Vec<(String, usize, Vec<Id>)> {
        let (prefix, after): (Arc<str>, Option<Arc<str>>) = (prefix.into(), after.map(Into::into));
        let ask = |answer| {
            let (prefix, after) = (prefix.clone(), after.clone());
            Item::Rooms(RoomsQuestion { prefix, after, with_users, limit, answer })
        };
        let answers = self.ask(ask).await;
        let mut rooms: BTreeMap<String, Vec<Option<Id>>> = BTreeMap::new();
        for (room, members) in answers.into_iter().flatten() {
            rooms.entry(room).or_default().extend(members);
        }
        let sized = rooms.into_iter().map(|(room, members)| {
            (room, members.len(), count_users(members).into_keys().collect())
        });
        sized.take(limit).collect()
    }

    /// The `limit` rooms with the most sockets, the largest first: how many are in each, and which users.
    pub(super) async fn largest(
        &self,
        with_users: bool,
        limit: usize,
    ) -> Vec<(String, usize, Vec<Id>)> {
        let mut sizes: HashMap<Room, usize> = HashMap::new();
        for (room, size) in self.ask(|answer| Item::Sizes(with_users, answer)).await.concat() {
            *sizes.entry(room).or_default() += size;
        }
        let mut sizes: Vec<_> = sizes.into_iter().collect();
        sizes.sort_unstable_by(|(room, size), (other, other_size)| {
            other_size.cmp(size).then_with(|| room.cmp(other))
        });
        sizes.truncate(limit);
        let mut largest = Vec::with_capacity(sizes.len());
        for (room, size) in sizes {
            let members = self.ask(|answer| Item::Users(room.clone(), answer)).await;
            let users = count_users(members.into_iter().flatten()).into_keys().collect();
            largest.push((room.to_string(), size, users));
        }
        largest
    }

    /// Everyone there is, of each shard, in their order.
    pub(super) async fn all(&self) -> Vec<Vec<Member>> {
        self.ask(Item::All).await
    }

    /// Everyone in a room, of each shard, in their order.
    pub(super) async fn members_of(&self, room: &Room) -> Vec<Vec<Member>> {
        self.ask(|answer| Item::Members(room.clone(), answer)).await
    }

    /// Who is in a room, in the order of their ids.
    pub async fn members(&self, room: &Room) -> Vec<RoomMember> {
        let users = self.ask(|answer| Item::Users(room.clone(), answer)).await;
        count_users(users.into_iter().flatten())
            .into_iter()
            .map(|(user_id, sockets)| RoomMember { user_id, sockets })
            .collect()
    }

    /// Asks every shard, and waits for all answers.
    async fn ask<T: Default>(&self, question: impl Fn(oneshot::Sender<T>) -> Item) -> Vec<T> {
        let mut answers = Vec::with_capacity(self.0.shards.len());
        for shard in 0..self.0.shards.len() {
            let (sender, answer) = oneshot::channel();
            self.push(shard, question(sender));
            answers.push(answer);
        }
        let answers = futures_util::future::join_all(answers).await;
        answers.into_iter().map(Result::unwrap_or_default).collect()
    }
}

fn count_users(members: impl IntoIterator<Item = Option<Id>>) -> BTreeMap<Id, usize> {
    let mut users = BTreeMap::new();
    for user in members.into_iter().flatten() {
        *users.entry(user).or_default() += 1;
    }
    users
}
