//! A connection as those see it who look at this node, and what they are told of it.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::Connection;
use crate::{
    auth::Identity,
    realtime::{
        frame::Outgoing,
        hub::Item,
        watch::{Carrier, Happening, Seen},
    },
    room::Room,
};

impl Connection {
    /// As it is now.
    #[must_use]
    pub fn seen(&self) -> Seen {
        let rooms = self.rooms();
        self.seen_in(&rooms)
    }

    fn seen_in(&self, rooms: &[Room]) -> Seen {
        let link = &self.link;
        Seen {
            id: self.id,
            namespace: self.namespace,
            client: self.context.watch.number(Arc::as_ptr(link).addr()),
            carrier: if link.is_on_websocket() { Carrier::Websocket } else { Carrier::Polling },
            protocol: if link.is_v3() { 3 } else { 4 },
            address: link.address,
            identity: self.identity(),
            rooms: rooms.iter().chain([&self.own_room()]).cloned().collect(),
        }
    }

    /// Tells it these, in order with what its rooms get; returns when the client can take more. False when
    /// it has ended.
    pub async fn tell(self: &Arc<Self>, events: &[Arc<Outgoing>]) -> bool {
        let Some((last, before)) = events.split_last() else { return true };
        for event in before {
            self.send(event.clone());
        }
        let (taken, when_taken) = oneshot::channel();
        self.push(Item::Tell(self.member, last.clone(), taken));
        when_taken.await.is_ok()
    }

    pub(super) fn note(&self, what: impl FnOnce() -> Happening) {
        self.context.watch.note(self.id, self.namespace, || Some(what()));
    }

    pub(super) fn note_beginning(&self, rooms: &[Room]) {
        self.context.watch.opened(self.namespace);
        self.note(|| Happening::Connected(Box::new(self.seen_in(rooms))));
    }

    pub(super) fn note_end(&self, reason: &'static str, shut_out: bool, rooms: &[Room]) {
        self.context.watch.closed(self.namespace);
        let reason = if shut_out { "server namespace disconnect" } else { reason };
        self.note(|| Happening::Disconnected(reason, rooms.to_vec()));
    }

    pub(super) fn note_identity(&self, identity: &Arc<Identity>) {
        self.note(|| Happening::Identified(identity.clone()));
    }

    /// It goes on over a websocket.
    pub(in crate::realtime) fn note_websocket(&self) {
        self.note(|| Happening::CameOver);
    }
}
