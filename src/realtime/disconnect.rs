//! Sockets that the server closes: those whose token is revoked or whose user is blocked, and those
//! of a user whom an operator disconnects.

use std::{collections::HashSet, num::NonZeroU32, sync::Arc};

use uuid::Uuid;

use super::{Connection, Realtime, Sockets, events::ClosingReason};
use crate::{id::Id, metrics, room::Room};

/// Sockets that are looked at before others get the thread: each takes a microsecond.
const LOOKED_AT_ONCE: usize = 500;

impl Realtime {
    /// Closes the sockets of a user, or without one everyone's, that may not be here any more: their
    /// tokens are revoked, or they are blocked. What they have asked for and was not begun is refused.
    /// Returns how many there were.
    pub async fn close_revoked(&self, user: Option<&Id>) -> usize {
        let Some(user) = user else { return self.look_through().await };
        close_refused(&self.of(user).await)
    }

    /// Closes every socket of a user, who may come back. Returns how many there were.
    pub async fn disconnect(&self, user: &Id) -> usize {
        let is_theirs = |connection: &Connection| connection.user_id().as_ref() == Some(user);
        close(&self.of(user).await, ClosingReason::Disconnected, is_theirs)
    }

    /// Closes the sockets of a user that are of another sign-in than this, or of none. They may come
    /// back. Returns how many there were.
    pub async fn disconnect_others(&self, user: &Id, session: Option<&str>) -> usize {
        let is_other = |connection: &Connection| {
            let identity = connection.identity();
            identity.is_some_and(|identity| {
                identity.user_id == *user && (session.is_none() || identity.session() != session)
            })
        };
        close(&self.of(user).await, ClosingReason::Disconnected, is_other)
    }

    /// Closes sockets, which may come back. Returns how many there were.
    pub fn disconnect_sockets(&self, connections: &[Arc<Connection>]) -> usize {
        let ids: HashSet<Uuid> = connections.iter().map(|connection| connection.id()).collect();
        let is_one = |connection: &Connection| ids.contains(&connection.id());
        close(connections, ClosingReason::Disconnected, is_one)
    }

    /// Closes the socket here of a session that was taken on another node, and is of this generation there.
    pub fn displace(&self, socket: Uuid, generation: NonZeroU32) {
        self.lifecycle.displace(socket, generation, None);
    }

    /// A user's connections: all of theirs are in their room, and so are those of whoever watches.
    async fn of(&self, user: &Id) -> Vec<Arc<Connection>> {
        let mut connections = self.sockets.in_room(&Room::User(user.clone())).await;
        connections.retain(|connection| connection.user_id().as_ref() == Some(user));
        connections
    }

    async fn look_through(&self) -> usize {
        let sweep = async || {
            let mut closed = 0;
            for some in self.sockets.all().await.chunks(LOOKED_AT_ONCE) {
                closed += close_refused(some);
                tokio::task::yield_now().await;
            }
            closed
        };
        self.lifecycle.sweeps.run(sweep).await.unwrap_or(0)
    }
}

impl Sockets {
    /// Closes these connections for an operator, and what they share a transport with, which is told so where
    /// that is meant, too. Their clients may come back. Returns how many there were.
    pub async fn disconnect(&self, connections: &[Arc<Connection>], with_all: bool) -> usize {
        let meant: HashSet<Uuid> = connections.iter().map(|connection| connection.id()).collect();
        let is_meant = |connection: &Connection| with_all || meant.contains(&connection.id());
        let mut closed = 0;
        for some in connections.chunks(LOOKED_AT_ONCE) {
            closed += close(some, ClosingReason::Disconnected, is_meant);
            tokio::task::yield_now().await;
        }
        closed
    }
}

/// Closes those of the connections that may not be here any more.
fn close_refused(connections: &[Arc<Connection>]) -> usize {
    let closed = close(connections, ClosingReason::Revoked, Connection::is_refused);
    metrics::revoked_closed().increment(closed as u64);
    closed
}

/// Closes those of the connections that are meant, and what they share a transport with.
fn close(
    connections: &[Arc<Connection>],
    reason: ClosingReason,
    is_meant: impl Fn(&Connection) -> bool,
) -> usize {
    let mut closed = 0;
    for connection in connections {
        if is_meant(connection) {
            closed += connection.context().shut_out(&connection.link, reason, &is_meant);
        }
    }
    closed
}
