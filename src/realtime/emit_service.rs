//! Events from outside on their way through the store: what is not volatile is kept in the stream
//! of each of its rooms before anyone hears it (docs/contract/events.md#missed-events).
//!
//! The broadcast is of [`Emitter::publish`], on commit, so that what sockets hear has the order of
//! the numbers; here its sockets are counted.

use std::sync::Arc;

use super::{
    connection::Connection,
    emitter::{Emitter, ExternalEvent, Target, at_home},
    frame::Outgoing,
};
use crate::{
    db::{self, Budget, Db},
    error::Result,
    room::Room,
    stream::{DomainEvent, Stream, WireEvent},
};

/// Sends events from outside. Cheap to clone.
#[derive(Clone)]
pub struct EmitService {
    db: Db,
    emitter: Emitter,
}

impl EmitService {
    /// By way of this store, whose commits [`Emitter::publish`] hears of.
    #[must_use]
    pub fn new(db: Db, emitter: Emitter) -> Self {
        Self { db, emitter }
    }

    /// How much may be sent together.
    pub(super) fn budget(&self) -> Budget {
        self.db.budget()
    }

    /// Sends events together: first those that are kept, all of them or none, then the volatile
    /// ones, both in their order. To how many sockets of this node each was written.
    ///
    /// # Errors
    /// [`TooLarge`](crate::error::Code::TooLarge) when it is more than is kept at once;
    /// [`Unavailable`](crate::error::Code::Unavailable) while the store is away, unless all of them
    /// are volatile. Then nobody has heard any of them.
    pub async fn send(&self, emits: Vec<ExternalEvent>) -> Result<Vec<usize>> {
        let mut sockets = vec![0; emits.len()];
        let all = emits.into_iter().enumerate();
        let (volatile, kept): (Vec<_>, Vec<_>) = all.partition(|(_, emit)| emit.volatile);
        // With a companion it is noted that they are sent, before they are.
        if !kept.is_empty() || db::companion().is_some() {
            let counts: Vec<_> =
                kept.iter().map(|(at, emit)| (*at, self.emitter.count(emit.id))).collect();
            let bytes = kept.iter().map(|(_, emit)| emit.data.get().len()).sum();
            // Nobody has heard them yet.
            let unheard = sockets.clone();
            self.db
                .write_sized(bytes, async move |tx| {
                    for (_, emit) in kept {
                        tx.announce(emit);
                    }
                    Ok(unheard)
                })
                .await?;
            for (at, count) in counts {
                sockets[at] = count.sockets().await;
            }
        }
        for (at, emit) in volatile {
            sockets[at] = self.emitter.emit(emit).await;
        }
        Ok(sockets)
    }

    /// Whether there is space for all that [`EmitService::answer`] would send; nothing is sent.
    ///
    /// # Errors
    /// The place of the first for which there is none.
    pub fn fit(&self, connection: &Connection, emits: &[ExternalEvent]) -> Result<(), usize> {
        let (own, mut budget) = (connection.own_room(), self.budget());
        let has_no_space = |emit: &ExternalEvent| !emit.is_for(&own) && budget.take(emit).is_err();
        emits.iter().position(has_no_space).map_or(Ok(()), Err)
    }

    /// Sends events that a backend gives in answer to one of a connection's. What is for this
    /// connection alone is not kept: nobody could ask for it again.
    ///
    /// # Errors
    /// As [`EmitService::send`].
    pub async fn answer(
        &self,
        connection: &Arc<Connection>,
        emits: Vec<ExternalEvent>,
    ) -> Result<()> {
        let own = connection.own_room();
        let (own, others): (Vec<_>, Vec<_>) = emits.into_iter().partition(|emit| emit.is_for(&own));
        if !others.is_empty() {
            self.send(others).await?;
        }
        for ExternalEvent { to, event, data, several, namespace, .. } in own {
            let catalogue = &connection.context().catalogue;
            let (namespaces, label) = at_home(catalogue, &to, &event, namespace);
            if namespaces.contains(connection.namespace()) {
                connection.send(Outgoing::named(&event, data, several, label));
            }
        }
        Ok(())
    }
}

impl ExternalEvent {
    /// Whether it is for everyone in one room, and for nobody else.
    fn is_for(&self, room: &Room) -> bool {
        match &self.to {
            Target::Rooms { rooms, except } => {
                std::slice::from_ref(room) == rooms.as_slice() && except.is_empty()
            }
            Target::Everyone | Target::EveryoneBut { .. } => false,
        }
    }
}

impl DomainEvent for ExternalEvent {
    fn streams(&self) -> Vec<Stream> {
        self.to.streams().into_iter().collect()
    }

    fn render(&self, _: i64) -> Vec<WireEvent> {
        vec![self.clone().into()]
    }

    fn kept(&self) -> bool {
        !self.volatile
    }
}
