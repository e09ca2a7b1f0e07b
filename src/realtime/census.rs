//! Rooms and who is in them over all nodes: each counts its own, and users who are on several are counted
//! once.

use std::collections::{BTreeMap, HashSet};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use sha2::{Digest as _, Sha256};

use super::hub::{Hub, RoomMember, RoomSize};
use crate::{
    cluster::{Answers, Cluster},
    id::Id,
    room::Room,
};

/// Bytes by which users are told apart.
const HASH: usize = 8;

/// Bytes of an answer: one that is longer is not given.
const MAX_ANSWER: usize = 8_000_000;

/// What a node asks the others.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Question {
    /// Rooms in the order of their names.
    Rooms { prefix: String, after: Option<String>, limit: usize },
    /// Members of a room in the order of their ids.
    Members { room: Room, after: Option<Id>, limit: usize },
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
    hub: Hub,
    /// The other nodes, where there are some.
    pub(super) cluster: Option<Cluster>,
}

impl Census {
    pub(super) fn new(hub: Hub) -> Self {
        Self { hub, cluster: None }
    }

    /// Up to `limit` rooms whose names begin with `prefix`, from the one after `after`.
    pub(super) async fn rooms(
        &self,
        prefix: String,
        after: Option<String>,
        limit: usize,
    ) -> OfAll<RoomSize> {
        let question = Question::Rooms { prefix: prefix.clone(), after: after.clone(), limit };
        let (own, others) =
            tokio::join!(self.hub.rooms(&prefix, after, limit), self.ask(&question));
        // Of each room this many are with it or before it on any node, so none is counted in part.
        let mut partial = others.partial;
        let mut rooms: BTreeMap<String, (usize, HashSet<[u8; HASH]>)> = BTreeMap::new();
        if others.answers.is_empty() {
            let size = |(room, sockets, users): (String, usize, Vec<Id>)| RoomSize {
                room,
                sockets,
                users: users.len(),
            };
            return OfAll { items: own.into_iter().map(size).collect(), partial };
        }
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
        OfAll { items: rooms.into_iter().map(size).take(limit).collect(), partial }
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
        let members = self.hub.members(room).await.into_iter();
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
            Question::Rooms { prefix, after, limit } => {
                let mut counted = Vec::new();
                let mut bytes = 0;
                for (room, sockets, users) in self.hub.rooms(&prefix, after, limit).await {
                    bytes += users.len() * HASH;
                    if bytes > MAX_ANSWER {
                        return None;
                    }
                    let hashes: Vec<u8> = users.iter().flat_map(hash).collect();
                    counted.push(Counted(room, sockets, STANDARD_NO_PAD.encode(hashes)));
                    // Others are heard meanwhile.
                    tokio::task::yield_now().await;
                }
                to_raw_value(&counted)
            }
            Question::Members { room, after, limit } => {
                to_raw_value(&self.own_members(&room, after.as_ref(), limit).await)
            }
        };
        answer.ok().filter(|answer| answer.get().len() <= MAX_ANSWER)
    }
}

/// A user as nodes tell them apart where they count.
fn hash(user: &Id) -> [u8; HASH] {
    let digest = Sha256::digest(user.as_str());
    let mut hash = [0; HASH];
    hash.copy_from_slice(&digest[..HASH]);
    hash
}
