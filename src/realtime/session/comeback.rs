//! Those who come back to a session get it again, whole or not at all.

use std::{num::NonZeroU32, sync::Arc};

use uuid::Uuid;

use super::{Lifecycle, said::Said};
use crate::{
    auth::{Identity, Role},
    db::Reach,
    event::Namespace,
    metrics,
    realtime::{
        connection::Connection,
        link::Link,
        recovery::{Recovery, Session, Taken},
        restore::{Past, missed},
    },
    room::Room,
};

impl Lifecycle {
    /// Lets somebody in who shows a session of theirs, in the place of who is still connected to it; none
    /// when there is none that can be brought back whole.
    pub(super) async fn come_back(
        &self,
        link: &Arc<Link>,
        namespace: Namespace,
        identity: &Arc<Identity>,
        said: Said,
    ) -> Option<Arc<Connection>> {
        let recovery = self.context.recovery.get().filter(|_| link.recovers())?;
        let Said { pid, offset, .. } = said;
        let pid = pid?;
        let brought_back = async {
            if let Some(offset) = &offset
                && !recovery.covers(offset).await
            {
                return None;
            }
            let taken =
                recovery.take(pid, &identity.user_id, namespace, offset.as_ref()).await.ok()??;
            let session = Session { pid, generation: taken.generation };
            self.displace(taken.socket, taken.generation, Some(link));
            let connection = self
                .bring_back(recovery, link, namespace, identity, session, (taken, offset))
                .await;
            if connection.is_none() {
                recovery.forgotten(session, "not restored");
            }
            connection
        };
        let connection = brought_back.await;
        let outcome = if connection.is_some() { "recovered" } else { "lost" };
        metrics::recoveries(outcome).increment(1);
        connection
    }

    /// Ends the connection here that still has a session which is of this generation now, and its link
    /// unless that is the one over which it was taken.
    pub(in crate::realtime) fn displace(
        &self,
        socket: Uuid,
        generation: NonZeroU32,
        by: Option<&Arc<Link>>,
    ) {
        let Some((shard, member)) = self.context.hub.socket(socket) else { return };
        for earlier in self.context.seats.find(shard, [member]) {
            let has_it = |(_, session): (_, Session)| session.generation >= generation;
            if earlier.session().is_some_and(has_it) {
                continue;
            }
            self.finish_because(&earlier, "came back");
            if by.is_none_or(|link| !Arc::ptr_eq(&earlier.link, link)) {
                earlier.link.close();
            }
        }
    }

    /// The rooms that it was in and may not enter any more; none when that can't be told.
    async fn forbidden(&self, identity: &Arc<Identity>, past: &Past) -> Option<Vec<Room>> {
        let mut forbidden = Vec::new();
        for room in past.rooms() {
            if !self.rights.get()?.may_enter(identity, room).await.ok()? {
                forbidden.push(room.clone());
            }
        }
        Some(forbidden)
    }

    async fn bring_back(
        &self,
        recovery: &Recovery,
        link: &Arc<Link>,
        namespace: Namespace,
        identity: &Arc<Identity>,
        session: Session,
        (taken, offset): (Taken, Option<Reach>),
    ) -> Option<Arc<Connection>> {
        let mut past = Past::of(&taken, offset)?;
        let mut evictions = self.context.hub.evictions();
        let mut forbidden = self.forbidden(identity, &past).await?;
        past.keep(|room| !forbidden.contains(room));
        if !self.users.admit(&identity.user_id) {
            return None;
        }
        link.admit();
        let (owner, context) = (Some(identity.clone()), self.context.clone());
        let connection =
            Connection::new(taken.socket, namespace, owner, link.clone(), context, Some(session));
        let coming = Coming { lifecycle: self, connection: Some(connection.clone()) };
        connection.register(true);
        let own = [Room::User(identity.user_id.clone()), Room::Admins];
        for room in own.iter().take(1 + usize::from(identity.has(Role::Admin))).chain(past.rooms())
        {
            connection.enter_again(room.clone()).ok()?;
        }
        if self.context.verifier.revocations().check(identity).is_err() {
            return None;
        }
        // Whoever takes a right back from now on finds it in its rooms; who did so before may not have.
        while evictions != self.context.hub.evictions() {
            evictions = self.context.hub.evictions();
            for room in self.forbidden(identity, &past).await? {
                connection.evict(&room);
                forbidden.push(room);
            }
            past.keep(|room| !forbidden.contains(room));
        }
        let sent = connection.sent_by_now().await.ok()?;
        let until = sent.map_or_else(|| recovery.db().reach(), |kept| kept.reach.clone());
        let restored = missed((recovery, session), &connection, &past, &until).await.ok()??;
        recovery.restored(session, until.clone());
        if !connection.restore(restored.events, until, restored.heard_from).await.ok()? {
            return None;
        }
        for room in forbidden {
            recovery.left(session, room, "evicted");
        }
        coming.arrived()
    }
}

/// A connection that is being brought back: unless it is, it ends.
struct Coming<'a> {
    lifecycle: &'a Lifecycle,
    connection: Option<Arc<Connection>>,
}

impl Coming<'_> {
    fn arrived(mut self) -> Option<Arc<Connection>> {
        self.connection.take()
    }
}

impl Drop for Coming<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.lifecycle.finish(&connection);
        }
    }
}
