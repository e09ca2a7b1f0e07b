//! Sockets as operators ask for them over REST: whose, from where, over what, in which rooms.

use std::{cmp::Reverse, net::IpAddr, sync::Arc};

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{
    connection::Connection,
    sockets::Sockets,
    watch::{Carrier, Seen},
};
use crate::{
    auth::Identity,
    clock::Timestamp,
    event::{Namespace, as_path},
    id::Id,
    room::Room,
};

/// Sockets that are looked at before others get the thread.
const AT_ONCE: usize = 500;

/// Rooms that are told of a socket; of more the number.
const MOST_ROOMS: usize = 50;

/// Which sockets.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct SocketFilter {
    /// Of users whose id begins so.
    user: Option<String>,
    /// From addresses that begin so.
    address: Option<String>,
    /// In this namespace: `/`, `/chat`, `/marketplace` or `/admin`.
    #[serde(default, with = "as_path", skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<String>)]
    namespace: Option<Namespace>,
    /// `websocket` or `polling`.
    #[param(value_type = Option<String>)]
    transport: Option<Carrier>,
    /// Of clients that speak this version of Engine.IO: 4, or 3 for `socket.io-client` 2.x.
    #[param(minimum = 3, maximum = 4)]
    protocol: Option<u8>,
    /// In this room.
    #[param(value_type = Option<String>)]
    room: Option<Room>,
    /// Connected at that moment or later.
    since: Option<Timestamp>,
}

impl SocketFilter {
    /// Those of a user, and of others whose id begins as theirs.
    pub(super) fn of(user: &Id) -> Self {
        Self { user: Some(user.to_string()), ..Self::default() }
    }
}

/// A socket.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Socket)]
pub(super) struct Listed {
    /// Its `socket.id`.
    #[schema(value_type = String, format = "uuid")]
    pub(super) id: Uuid,
    /// Whose it is; null where that is not known yet.
    #[schema(required)]
    pub(super) user_id: Option<Id>,
    /// What they may be.
    roles: Vec<String>,
    /// `/`, `/chat`, `/marketplace` or `/admin`.
    namespace: String,
    /// `websocket` or `polling`.
    transport: String,
    /// The version of Engine.IO that its client speaks.
    protocol: u8,
    /// The client's address.
    #[schema(value_type = String)]
    address: IpAddr,
    /// When it connected.
    since: Timestamp,
    /// When its token ends, where that has an end.
    #[schema(required)]
    expires_at: Option<Timestamp>,
    /// The rooms that it is in, 50 at most, but for the one that it alone is in.
    #[schema(value_type = Vec<String>)]
    pub(super) rooms: Vec<Room>,
    /// How many they are.
    room_count: usize,
}

impl SocketFilter {
    fn takes(&self, connection: &Connection) -> bool {
        let user = connection.user_id();
        let user = user.as_ref().map_or("", Id::as_str);
        self.user.as_deref().is_none_or(|begin| user.starts_with(begin))
            && self.namespace.is_none_or(|namespace| connection.namespace() == namespace)
            && self.address.as_deref().is_none_or(|begin| {
                connection.address().to_canonical().to_string().starts_with(begin)
            })
            && (self.needs_no_look() || self.takes_seen(&connection.seen()))
    }

    /// Whether it is enough to know whose it is and from where.
    const fn needs_no_look(&self) -> bool {
        self.transport.is_none() && self.protocol.is_none() && self.since.is_none()
    }

    fn takes_seen(&self, seen: &Seen) -> bool {
        self.transport.is_none_or(|transport| seen.carrier == transport)
            && self.protocol.is_none_or(|protocol| seen.protocol == protocol)
            && self.since.is_none_or(|since| seen.since() >= since)
    }
}

impl From<Seen> for Listed {
    fn from(seen: Seen) -> Self {
        let identity = seen.identity.as_deref();
        let since = seen.since();
        let own = seen.id.to_string();
        let mut rooms = seen.rooms;
        rooms.retain(|room| room.to_string() != own);
        let room_count = rooms.len();
        rooms.truncate(MOST_ROOMS);
        Self {
            id: seen.id,
            user_id: identity.map(|identity| identity.user_id.clone()),
            roles: identity.map(role_names).unwrap_or_default(),
            namespace: seen.namespace.path().to_owned(),
            transport: seen.carrier.as_str().to_owned(),
            protocol: seen.protocol,
            address: seen.address.to_canonical(),
            since,
            expires_at: identity.and_then(|identity| identity.expires_at),
            rooms,
            room_count,
        }
    }
}

fn role_names(identity: &Identity) -> Vec<String> {
    identity.roles.iter().map(|role| role.as_str().to_owned()).collect()
}

impl Sockets {
    /// Up to `limit` sockets of this node, the latest first, from the one after `after`.
    pub(super) async fn listed(
        &self,
        filter: &SocketFilter,
        after: Option<Uuid>,
        limit: usize,
    ) -> Vec<Listed> {
        let all = match &filter.room {
            Some(room) => self.in_room(room).await,
            None => self.all().await,
        };
        let mut found: Vec<&Arc<Connection>> = Vec::new();
        for some in all.chunks(AT_ONCE) {
            found.extend(some.iter().filter(|connection| {
                connection.is_open()
                    && after.is_none_or(|after| connection.id() < after)
                    && filter.takes(connection)
            }));
            // Others get the thread meanwhile.
            tokio::task::yield_now().await;
        }
        // Their ids tell their age.
        found.sort_unstable_by_key(|connection| Reverse(connection.id()));
        found.into_iter().take(limit).map(|connection| Listed::from(connection.seen())).collect()
    }

    /// Closes a socket of this node, which may come back. Returns whether it was here.
    pub(super) async fn disconnect_one(&self, socket: Uuid) -> bool {
        let Some(connection) = self.find(socket) else { return false };
        self.disconnect(&[connection], false).await > 0
    }

    /// Puts a socket of this node out of a room. Its rights stay what they are. Returns whether it was there.
    pub(super) fn put_out(&self, socket: Uuid, room: &Room) -> bool {
        let connection = self.find(socket).filter(|connection| connection.is_in(room));
        connection.inspect(|connection| connection.evict(room)).is_some()
    }
}
