//! Where a member's share goes: its lane, or, for a polling session, the engine's queue.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use socketioxide::extract::AckSender;
use socketioxide::handler::FromMessageParts;

use crate::{
    event::Namespace,
    metrics,
    realtime::{
        connection::Connection,
        frame::{self, MARKER, Outgoing},
        lane::Lane,
    },
};

/// What may wait for a polling client's CONNECT.
const MAX_HELD: usize = 256;

/// Where a member's share goes.
pub(super) enum Sink {
    /// A websocket.
    Lane(Arc<Lane>),
    /// A polling session: through the engine, once its CONNECT has been sent.
    Engine {
        /// What waits for that; none afterwards.
        held: Option<Vec<Share>>,
        /// The websocket that it changes over to as soon as it is open.
        next: Option<Arc<Lane>>,
    },
    /// Nowhere any more.
    Closed,
}

/// What one member gets.
pub(super) enum Share {
    Event(Arc<Outgoing>),
    Ack(i64, Box<str>),
}

impl Share {
    pub(super) fn frame(&self, namespace: Namespace) -> Bytes {
        match self {
            Self::Event(event) => event.frame(namespace),
            Self::Ack(id, data) => frame::ack(namespace, *id, data),
        }
    }
}

impl Sink {
    pub(super) fn new(lane: Option<Arc<Lane>>) -> Self {
        lane.map_or(Self::Engine { held: Some(Vec::new()), next: None }, Self::Lane)
    }

    /// Sends a share by way of the engine. A client that polls too slowly is closed.
    pub(super) fn send_through_engine(&mut self, connection: &Arc<Connection>, share: Share) {
        let Self::Engine { held, .. } = self else { return };
        let taken = match held {
            Some(held) => {
                held.push(share);
                held.len() <= MAX_HELD
            }
            None => emit(connection, &share),
        };
        if !taken {
            metrics::slow_consumers().increment(1);
            *self = Self::Closed;
            connection.link.close_polling();
        }
    }

    /// The CONNECT has been sent: what waited for it goes out.
    pub(super) fn open(&mut self, connection: &Arc<Connection>) {
        let Self::Engine { held, next } = self else { return };
        let (held, next) = (held.take(), next.take());
        match next {
            None => {
                for share in held.into_iter().flatten() {
                    self.send_through_engine(connection, share);
                }
            }
            Some(lane) => {
                self.change_over(connection, lane.clone());
                let frames: Vec<Bytes> = held
                    .into_iter()
                    .flatten()
                    .map(|share| share.frame(connection.namespace()))
                    .collect();
                lane.send(connection.namespace(), &frames);
            }
        }
    }

    /// Goes on over a websocket, after all that is still in the engine's queue: the marker is the
    /// last that goes in there, and the lane holds this namespace's frames until it sees it.
    pub(super) fn change_over(&mut self, connection: &Arc<Connection>, lane: Arc<Lane>) {
        match self {
            Self::Engine { held: Some(_), next } => *next = Some(lane),
            Self::Engine { held: None, .. } => {
                lane.hold(connection.namespace());
                let marked = connection.engine.upgrade().map(|engine| engine.emit(MARKER, &()));
                if matches!(marked, Some(Ok(()))) {
                    *self = Self::Lane(lane);
                } else {
                    // The engine's queue is full or gone; without the marker the order is lost.
                    metrics::slow_consumers().increment(1);
                    lane.close(&[]);
                    *self = Self::Closed;
                }
            }
            Self::Lane(_) | Self::Closed => {}
        }
    }

    /// Says why, then closes the transport under it.
    pub(super) fn close(&mut self, connection: &Arc<Connection>, farewell: Option<&Arc<Outgoing>>) {
        match self {
            Self::Lane(lane) => {
                let last = farewell.map(|farewell| farewell.frame(connection.namespace()));
                lane.close(last.as_slice());
            }
            Self::Engine { .. } => {
                if let Some(farewell) = farewell {
                    self.send_through_engine(connection, Share::Event(farewell.clone()));
                }
                connection.link.close_polling();
            }
            Self::Closed => {}
        }
        *self = Self::Closed;
    }
}

/// Whether the engine took it.
fn emit(connection: &Arc<Connection>, share: &Share) -> bool {
    let Some(engine) = connection.engine.upgrade() else { return true };
    let (data, ack) = match share {
        Share::Event(event) => (event.data().get(), None),
        Share::Ack(id, data) => (&**data, Some(*id)),
    };
    let Ok(data) = serde_json::from_str::<Value>(data) else { return true };
    let sent = match share {
        Share::Event(event) => engine.emit(event.event(), &data).is_ok(),
        Share::Ack(..) => {
            let mut unused = socketioxide::handler::Value::Bytes(Bytes::new());
            match AckSender::from_message_parts(&engine, &mut unused, &ack) {
                Ok(sender) => sender.send(&data).is_ok(),
                Err(never) => match never {},
            }
        }
    };
    sent || !engine.connected()
}
