//! The sockets of this node, where the hub knows but their numbers.

use std::{collections::HashSet, sync::Arc};

use uuid::Uuid;

use super::{
    connection::{Connection, Context},
    frame::Outgoing,
    hub::Hub,
    seats::Member,
    watch::{Told, Watch},
};
use crate::{event::Namespace, room::Room, stream::Target};

/// The sockets of this node. Cheap to clone.
#[derive(Clone)]
pub struct Sockets(Arc<Context>);

impl Sockets {
    pub(super) fn new(context: Arc<Context>) -> Self {
        Self(context)
    }

    /// Rooms and who is in them.
    #[must_use]
    pub fn hub(&self) -> &Hub {
        &self.0.hub
    }

    /// What happens to them, for whoever looks.
    #[must_use]
    pub fn watch(&self) -> &Watch {
        &self.0.watch
    }

    /// What waits to be told of that.
    #[must_use]
    pub fn happenings(&self) -> Told {
        let seats = &self.0.seats;
        self.0.watch.take(|shard, member| seats.find(shard, [member]).pop().map(|it| it.id()))
    }

    /// The connection of this id.
    #[must_use]
    pub fn find(&self, id: Uuid) -> Option<Arc<Connection>> {
        let (shard, member) = self.0.hub.socket(id)?;
        self.0.seats.find(shard, [member]).pop()
    }

    /// The connections that are in a room.
    pub async fn in_room(&self, room: &Room) -> Vec<Arc<Connection>> {
        self.who(self.0.hub.members_of(room).await)
    }

    /// Every connection there is.
    pub async fn all(&self) -> Vec<Arc<Connection>> {
        self.who(self.0.hub.all().await)
    }

    /// The connections of a namespace, or of all, that something is for.
    pub async fn meant(&self, to: &Target, namespace: Option<Namespace>) -> Vec<Arc<Connection>> {
        let (mut meant, except) = match to {
            Target::Everyone => (self.all().await, &[][..]),
            Target::EveryoneBut { except } => (self.all().await, &except[..]),
            Target::Rooms { rooms, except } => {
                let (mut seen, mut meant) = (HashSet::new(), Vec::new());
                for room in rooms {
                    let mut some = self.in_room(room).await;
                    some.extend(self.of_id(room));
                    some.retain(|connection| seen.insert(connection.id()));
                    meant.append(&mut some);
                }
                (meant, &except[..])
            }
        };
        meant.retain(|connection| {
            let is_in = |room: &Room| connection.is_in(room) || connection.own_room() == *room;
            namespace.is_none_or(|only| connection.namespace() == only) && !except.iter().any(is_in)
        });
        meant
    }

    /// The connection whose own room this is, in which it need not be yet.
    fn of_id(&self, room: &Room) -> Option<Arc<Connection>> {
        let Room::Other(id) = room else { return None };
        let (shard, member) = self.0.hub.socket(id.as_str().parse().ok()?)?;
        self.0.seats.find(shard, [member]).pop()
    }

    /// Every connection there is, after each has been told `farewell`.
    pub(super) async fn close_all(&self, farewell: &Arc<Outgoing>) -> Vec<Arc<Connection>> {
        self.who(self.0.hub.close_all(farewell).await)
    }

    /// Whom the hub has told of, shard by shard. Those who have gone meanwhile are none of them.
    fn who(&self, members: Vec<Vec<Member>>) -> Vec<Arc<Connection>> {
        let shards = members.into_iter().enumerate();
        shards.flat_map(|(shard, members)| self.0.seats.find(shard, members)).collect()
    }
}
