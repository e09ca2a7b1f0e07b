//! The sockets of this node, where the hub knows but their numbers.

use std::sync::Arc;

use super::{
    connection::{Connection, Context},
    frame::Outgoing,
    hub::Hub,
    seats::Member,
};
use crate::room::Room;

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

    /// The connections that are in a room.
    pub async fn in_room(&self, room: &Room) -> Vec<Arc<Connection>> {
        self.who(self.0.hub.members_of(room).await)
    }

    /// Every connection there is.
    pub async fn all(&self) -> Vec<Arc<Connection>> {
        self.who(self.0.hub.all().await)
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
