//! Rooms, who is in them, and sockets, over all nodes: each tells of its own, and users who are on several
//! are counted once.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashSet},
};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use sha2::{Digest as _, Sha256};

use uuid::Uuid;

use super::{
    hub::{RoomMember, RoomSize},
    listed::{Listed, SocketFilter},
    sockets::Sockets,
};
use crate::{
    cluster::{Answers, Cluster},
    id::Id,
    room::Room,
};

/// Bytes by which users are told apart.
const HASH: usize = 8;

/// Of how many more rooms each node tells where the largest are asked for.
const LARGEST_OF_EACH: usize = 4;

/// Bytes of an answer: one that is longer is not given.
const MAX_ANSWER: usize = 8_000_000;

/// What a node asks the others.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Question {
    /// Rooms in the order of their names.
    Rooms {
        prefix: String,
        after: Option<String>,
        #[serde(default = "yes")]
        with_users: bool,
        limit: usize,
    },
    /// The rooms with the most sockets.
    LargestRooms { with_users: bool, limit: usize },
    /// Members of a room in the order of their ids.
    Members { room: Room, after: Option<Id>, limit: usize },
    /// Sockets, the latest first.
    Sockets { filter: SocketFilter, after: Option<Uuid>, limit: usize },
    /// To close one.
    CloseSocket { socket: Uuid },
    /// To put one out of a room.
    PutOut { socket: Uuid, room: Room },
}

/// What nodes ask that know of no other way.
const fn yes() -> bool {
    true
}

/// A room, its sockets, and the hashes of its users, one after another.
#[derive(Serialize, Deserialize)]
struct Counted(String, usize, String);

/// Something of all nodes, as far as they answered.
pub(super) struct OfAll<T> {
    pub(super) items: Vec<T>,
    /// Whether a node that lives did not answer.
    pub(super) partial: bool,
}

/// Who counts.
#[derive(Clone)]
pub(super) struct Census {
    sockets: Sockets,
    /// The other nodes, where there are some.
    pub(super) cluster: Option<Cluster>,
}

impl Census {
    pub(super) fn new(sockets: Sockets) -> Self {
        Self { sockets, cluster: None }
    }

    /// Up to `limit` rooms whose names begin with `prefix`, from the one after `after`, also those that are a
    /// user's own where they are wanted.
    pub(super) async fn rooms(
        &self,
        prefix: String,
        after: Option<String>,
        with_users: bool,
        limit: usize,
    ) -> OfAll<RoomSize> {
        let own = self.sockets.hub().rooms(&prefix, after.clone(), with_users, limit);
        let question = Question::Rooms { prefix: prefix.clone(), after, with_users, limit };
        let (own, others) = tokio::join!(own, self.ask(&question));
        // Of each room this many are with it or before it on any node, so none is counted in part.
        let mut rooms = sized(own, others);
        rooms.items.truncate(limit);
        rooms
    }

    /// The `limit` rooms with the most sockets, the largest first: of each node those that are among its
    /// largest.
    pub(super) async fn largest_rooms(&self, with_users: bool, limit: usize) -> OfAll<RoomSize> {
        let of_each = limit * LARGEST_OF_EACH;
        let own_limit = if self.cluster.is_some() { of_each } else { limit };
        let own = self.sockets.hub().largest(with_users, own_limit);
        let question = Question::LargestRooms { with_users, limit: of_each };
        let (own, others) = tokio::join!(own, self.ask(&question));
        let mut rooms = sized(own, others);
        rooms.items.sort_by_key(|room| Reverse(room.sockets));
        rooms.items.truncate(limit);
        rooms
    }

    /// Up to `limit` sockets, the latest first, from the one after `after`.
    pub(super) async fn sockets(
        &self,
        filter: SocketFilter,
        after: Option<Uuid>,
        limit: usize,
    ) -> OfAll<Listed> {
        let question = Question::Sockets { filter: filter.clone(), after, limit };
        let (mut items, others) =
            tokio::join!(self.sockets.listed(&filter, after, limit), self.ask(&question));
        let mut partial = others.partial;
        for answer in others.answers {
            match serde_json::from_str::<Vec<Listed>>(answer.get()) {
                Ok(more) => items.extend(more),
                Err(_) => partial = true,
            }
        }
        items.sort_by_key(|socket| Reverse(socket.id));
        items.truncate(limit);
        OfAll { items, partial }
    }

    /// Closes a socket, wherever it is. Returns whether it was there.
    pub(super) async fn close_socket(&self, socket: Uuid) -> bool {
        self.sockets.disconnect_one(socket).await
            || self.any(&Question::CloseSocket { socket }).await
    }

    /// Puts a socket out of a room, wherever it is. Returns whether it was there.
    pub(super) async fn put_out(&self, socket: Uuid, room: Room) -> bool {
        self.sockets.put_out(socket, &room) || self.any(&Question::PutOut { socket, room }).await
    }

    /// Whether a node has done it.
    async fn any(&self, question: &Question) -> bool {
        self.ask(question).await.answers.iter().any(|answer| answer.get() == "true")
    }

    /// Up to `limit` members of a room, from the one after `after`.
    pub(super) async fn members(
        &self,
        room: Room,
        after: Option<Id>,
        limit: usize,
    ) -> OfAll<RoomMember> {
        let question = Question::Members { room: room.clone(), after: after.clone(), limit };
        let (own, others) =
            tokio::join!(self.own_members(&room, after.as_ref(), limit), self.ask(&question));
        let mut partial = others.partial;
        let mut members: BTreeMap<Id, usize> = own.into_iter().collect();
        for answer in others.answers {
            let Ok(more) = serde_json::from_str::<Vec<(Id, usize)>>(answer.get()) else {
                partial = true;
                continue;
            };
            for (user, sockets) in more {
                *members.entry(user).or_default() += sockets;
            }
        }
        let member = |(user_id, sockets)| RoomMember { user_id, sockets };
        OfAll { items: members.into_iter().map(member).take(limit).collect(), partial }
    }

    async fn own_members(&self, room: &Room, after: Option<&Id>, limit: usize) -> Vec<(Id, usize)> {
        let members = self.sockets.hub().members(room).await.into_iter();
        let members = members.map(|RoomMember { user_id, sockets }| (user_id, sockets));
        members.filter(|(user, _)| after.is_none_or(|after| user > after)).take(limit).collect()
    }

    async fn ask(&self, question: &Question) -> Answers {
        match (&self.cluster, to_raw_value(question)) {
            (Some(cluster), Ok(question)) => cluster.ask_others(question).await,
            _ => Answers::default(),
        }
    }

    /// What this node answers another; none to what it does not know, or where that would be too long.
    pub(super) async fn answer(&self, question: &RawValue) -> Option<Box<RawValue>> {
        let answer = match serde_json::from_str(question.get()).ok()? {
            Question::Rooms { prefix, after, with_users, limit } => {
                counted(self.sockets.hub().rooms(&prefix, after, with_users, limit).await).await
            }
            Question::LargestRooms { with_users, limit } => {
                counted(self.sockets.hub().largest(with_users, limit).await).await
            }
            Question::Sockets { filter, after, limit } => {
                to_raw_value(&self.sockets.listed(&filter, after, limit).await).ok()
            }
            Question::CloseSocket { socket } => {
                to_raw_value(&self.sockets.disconnect_one(socket).await).ok()
            }
            Question::PutOut { socket, room } => {
                to_raw_value(&self.sockets.put_out(socket, &room)).ok()
            }
            Question::Members { room, after, limit } => {
                to_raw_value(&self.own_members(&room, after.as_ref(), limit).await).ok()
            }
        };
        answer.filter(|answer| answer.get().len() <= MAX_ANSWER)
    }
}

/// Rooms as a node tells another; none where that would be too long.
async fn counted(rooms: Vec<(String, usize, Vec<Id>)>) -> Option<Box<RawValue>> {
    let mut counted = Vec::new();
    let mut bytes = 0;
    for (room, sockets, users) in rooms {
        bytes += users.len() * HASH;
        if bytes > MAX_ANSWER {
            return None;
        }
        let hashes: Vec<u8> = users.iter().flat_map(hash).collect();
        counted.push(Counted(room, sockets, STANDARD_NO_PAD.encode(hashes)));
        // Others are heard meanwhile.
        tokio::task::yield_now().await;
    }
    to_raw_value(&counted).ok()
}

/// The rooms of this node and those that others have told of: in this node's order where it is alone, else
/// in the order of their names.
fn sized(own: Vec<(String, usize, Vec<Id>)>, others: Answers) -> OfAll<RoomSize> {
    let mut partial = others.partial;
    if others.answers.is_empty() {
        let size = |(room, sockets, users): (String, usize, Vec<Id>)| RoomSize {
            room,
            sockets,
            users: users.len(),
        };
        return OfAll { items: own.into_iter().map(size).collect(), partial };
    }
    let mut rooms: BTreeMap<String, (usize, HashSet<[u8; HASH]>)> = BTreeMap::new();
    for (room, sockets, users) in own {
        rooms.insert(room, (sockets, users.iter().map(hash).collect()));
    }
    for answer in others.answers {
        let Ok(counted) = serde_json::from_str::<Vec<Counted>>(answer.get()) else {
            partial = true;
            continue;
        };
        for Counted(room, sockets, users) in counted {
            let known = rooms.entry(room).or_default();
            known.0 += sockets;
            let users = STANDARD_NO_PAD.decode(users).unwrap_or_default();
            known.1.extend(users.as_chunks::<HASH>().0);
        }
    }
    let size = |(room, (sockets, users)): (String, (usize, HashSet<_>))| RoomSize {
        room,
        sockets,
        users: users.len(),
    };
    OfAll { items: rooms.into_iter().map(size).collect(), partial }
}

/// A user as nodes tell them apart where they count.
fn hash(user: &Id) -> [u8; HASH] {
    let digest = Sha256::digest(user.as_str());
    let mut hash = [0; HASH];
    hash.copy_from_slice(&digest[..HASH]);
    hash
}
