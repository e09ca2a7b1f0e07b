//! How many rooms there are, over the shards, which each know their own.

use std::hash::{BuildHasher, RandomState};

use dashmap::{DashMap, Entry};

use crate::{metrics, room::Room};

/// Rooms with members in any shard. Shards tell it when one of theirs begins and ends.
#[derive(Default)]
pub(super) struct RoomCount {
    hasher: RandomState,
    /// In how many shards a room is, by the hash of its name.
    shards: DashMap<u64, u32>,
}

impl RoomCount {
    /// A shard has its first member of a room.
    pub(super) fn begin(&self, room: &Room) {
        let mut shards = self.shards.entry(self.hasher.hash_one(room)).or_default();
        *shards += 1;
        if *shards == 1 {
            metrics::rooms(room.kind()).increment(1);
        }
    }

    /// A shard has lost its last member of a room.
    pub(super) fn end(&self, room: &Room) {
        let Entry::Occupied(mut shards) = self.shards.entry(self.hasher.hash_one(room)) else {
            return;
        };
        *shards.get_mut() -= 1;
        if *shards.get() == 0 {
            shards.remove();
            metrics::rooms(room.kind()).decrement(1);
        }
    }
}
