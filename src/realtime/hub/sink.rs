//! Where a member's share goes: its lane, or, for a polling session, the engine's queue as soon as
//! the client polls.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use serde_json::value::RawValue;
use socketioxide::extract::AckSender;
use socketioxide::handler::FromMessageParts;
use tokio::sync::oneshot;

use crate::{
    event::Namespace,
    metrics,
    realtime::{
        connection::Connection,
        events::ClosingReason,
        frame::{self, MARKER, Outgoing},
        lane::Lane,
        link::{LAST_WORDS, Link},
    },
};

/// What a share takes beside its text.
const SHARE_BYTES: usize = 64;

/// Where a member's share goes.
pub(super) enum Sink {
    /// A websocket.
    Lane(Arc<Lane>),
    /// A polling session: through the engine.
    Engine(Box<Waiting>),
    /// Nowhere any more.
    Closed,
}

/// What waits for a polling session: for its CONNECT, for a poll, or for its change to a websocket.
pub(super) struct Waiting {
    shares: VecDeque<Share>,
    /// Where the bytes of all namespaces are counted.
    link: Arc<Link>,
    /// CONNECT has been sent.
    open: bool,
    /// The websocket that it changes over to.
    next: Option<Arc<Lane>>,
    /// The last has been said; nothing more is taken.
    leaving: bool,
    /// Whether the engine was given something since the client has last fetched.
    unfetched: bool,
    /// Who wants to know when the client has taken what waits.
    watched: Vec<Watched>,
}

/// Someone who wants to know.
struct Watched {
    /// Whether all of it is the engine's.
    handed_over: bool,
    taken: oneshot::Sender<()>,
}

impl Waiting {
    fn push(&mut self, share: Share) {
        self.link.polls().add(share.len());
        self.shares.push_back(share);
    }

    fn pop(&mut self) -> Option<Share> {
        let share = self.shares.pop_front()?;
        self.link.polls().remove(share.len());
        Some(share)
    }

    fn clear(&mut self) {
        while self.pop().is_some() {}
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.clear();
    }
}

/// What one member gets.
pub(super) enum Share {
    Event(Arc<Outgoing>),
    Ack(i64, Box<str>),
}

impl Share {
    /// Bytes that it takes, roughly.
    fn len(&self) -> usize {
        let text = match self {
            Self::Event(event) => event.event().len() + event.data().get().len(),
            Self::Ack(_, data) => data.len(),
        };
        text + SHARE_BYTES
    }

    pub(super) fn frame(&self, namespace: Namespace) -> Bytes {
        match self {
            Self::Event(event) => event.frame(namespace).clone(),
            Self::Ack(id, data) => frame::ack(namespace, *id, data),
        }
    }
}

impl Sink {
    pub(super) fn new(connection: &Connection, lane: Option<Arc<Lane>>) -> Self {
        let waiting = || Waiting {
            shares: VecDeque::new(),
            link: connection.link.clone(),
            open: false,
            next: None,
            leaving: false,
            unfetched: false,
            watched: Vec::new(),
        };
        lane.map_or_else(|| Self::Engine(Box::new(waiting())), Self::Lane)
    }

    /// Whether something waits for the client to poll.
    pub(super) fn keeps_waiting(&self) -> bool {
        matches!(self, Self::Engine(waiting) if !waiting.shares.is_empty())
    }

    /// Sends a share by way of the engine. A client for which too much waits, in all its namespaces
    /// together, is told so and closed; it catches up when it comes back.
    pub(super) fn send_through_engine(&mut self, connection: &Arc<Connection>, share: Share) {
        let Self::Engine(waiting) = self else { return };
        if waiting.leaving {
            return;
        }
        waiting.push(share);
        self.pump(connection);
        let Self::Engine(waiting) = self else { return };
        if waiting.link.polls().waiting() > connection.max_pending_bytes() {
            waiting.clear();
            if waiting.link.close_because(ClosingReason::SlowConsumer) {
                metrics::slow_consumers().increment(1);
            }
        }
    }

    /// Tells when the client has taken what waits for it now, or at once where that is no more than
    /// `few` bytes. What a polling session has taken is not known: there it is told when the client
    /// has fetched something after the engine had it all. Not at all when the connection ends before.
    pub(super) fn watch(&mut self, taken: oneshot::Sender<()>, few: usize) {
        match self {
            Self::Lane(lane) => lane.watch(taken, few),
            Self::Engine(waiting) => {
                let handed_over = waiting.shares.is_empty();
                if handed_over && !waiting.unfetched {
                    // Whoever asked may have gone.
                    let _ = taken.send(());
                } else {
                    waiting.watched.push(Watched { handed_over, taken });
                }
            }
            Self::Closed => {}
        }
    }

    /// The client has fetched what the engine had: there is room for what waits.
    pub(super) fn fetched(&mut self, connection: &Arc<Connection>) {
        if let Self::Engine(waiting) = self {
            waiting.unfetched = false;
            for watched in std::mem::take(&mut waiting.watched) {
                if watched.handed_over {
                    // Whoever asked may have gone.
                    let _ = watched.taken.send(());
                } else {
                    waiting.watched.push(watched);
                }
            }
        }
        self.pump(connection);
    }

    /// The CONNECT has been sent: what waited for it goes out.
    pub(super) fn open(&mut self, connection: &Arc<Connection>) {
        if let Self::Engine(waiting) = self {
            waiting.open = true;
            self.pump(connection);
        }
    }

    /// Goes on over a websocket, after all that is still in the engine's queue.
    pub(super) fn change_over(&mut self, connection: &Arc<Connection>, lane: Arc<Lane>) {
        if let Self::Engine(waiting) = self {
            waiting.next = Some(lane);
            self.pump(connection);
        }
    }

    /// Moves on what waits, as far as the engine has room.
    fn pump(&mut self, connection: &Arc<Connection>) {
        let Self::Engine(waiting) = self else { return };
        if !waiting.open {
            return;
        }
        if let Some(lane) = &waiting.next {
            // The marker is the last that goes into the engine's queue; the lane holds this
            // namespace's frames until it comes by.
            let namespace = connection.namespace();
            let engine = connection.engine.upgrade().filter(|engine| engine.connected());
            let marked = engine.map(|engine| {
                lane.await_marker(namespace);
                engine.emit(MARKER, &()).is_ok()
            });
            match marked {
                Some(true) => {
                    let lane = lane.clone();
                    while let Some(share) = waiting.pop() {
                        lane.send(namespace, (&share.frame(namespace)).into());
                    }
                    for watched in waiting.watched.drain(..) {
                        lane.watch(watched.taken, 0);
                    }
                    *self = Self::Lane(lane);
                }
                // The engine's queue is full; there is room as soon as it has written something.
                Some(false) => {}
                // This namespace has ended; others over the same websocket go on.
                None => *self = Self::Closed,
            }
            return;
        }
        while let Some(share) = waiting.shares.front() {
            let bytes = share.len();
            if !waiting.link.polls().has_room(bytes) || !emit(connection, share) {
                return;
            }
            waiting.unfetched = true;
            waiting.link.polls().given(bytes);
            waiting.pop();
        }
        for watched in &mut waiting.watched {
            watched.handed_over = true;
        }
    }

    /// Says why, then closes the transport under it.
    pub(super) fn close(&mut self, connection: &Arc<Connection>, farewell: Option<&Arc<Outgoing>>) {
        match self {
            Self::Lane(lane) => {
                let namespace = connection.namespace();
                lane.close(farewell.map(|farewell| (namespace, farewell.frame(namespace).clone())));
            }
            Self::Engine(waiting) if !waiting.leaving => {
                waiting.leaving = true;
                if waiting.link.polls().is_closing() {
                    waiting.clear();
                }
                if let Some(farewell) = farewell {
                    waiting.push(Share::Event(farewell.clone()));
                }
                self.pump(connection);
                let link = connection.link.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(LAST_WORDS).await;
                    link.close();
                });
                return;
            }
            Self::Engine(_) | Self::Closed => return,
        }
        *self = Self::Closed;
    }
}

/// Whether the engine took it, or the socket is gone. It is written as it is.
fn emit(connection: &Arc<Connection>, share: &Share) -> bool {
    let Some(engine) = connection.engine.upgrade() else { return true };
    let sent = match share {
        Share::Event(event) => engine.emit(event.event(), event.data()).is_ok(),
        Share::Ack(id, data) => {
            // Written by us a moment ago.
            let Ok(data) = serde_json::from_str::<&RawValue>(data) else { return true };
            let mut unused = socketioxide::handler::Value::Bytes(Bytes::new());
            match AckSender::from_message_parts(&engine, &mut unused, &Some(*id)) {
                Ok(sender) => sender.send(data).is_ok(),
                Err(never) => match never {},
            }
        }
    };
    sent || !engine.connected()
}
