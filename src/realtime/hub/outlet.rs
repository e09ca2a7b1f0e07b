//! Where a member's frames go: into its lane, or, for a polling session, to where they wait for the
//! next poll.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use socketioxide::socket::Socket;
use tokio::sync::oneshot;

use crate::{
    event::Namespace,
    realtime::{
        frame::{self, MARKER, Outgoing},
        lane::{Lane, Run},
        polls::{LAST_WORDS, PollItem, Polls, Wish},
    },
};

/// Where a member's frames go.
pub(in crate::realtime) enum Outlet {
    /// A websocket.
    Lane(Arc<Lane>),
    /// A polling session.
    Polls(Box<Polled>),
    /// Nowhere any more.
    Closed,
}

/// A socket of a polling session.
pub(in crate::realtime) struct Polled {
    /// Those of the session, of all its namespaces together.
    polls: Arc<Polls>,
    namespace: Namespace,
    /// How the engine knows it. Weak, since that holds what keeps it.
    engine: Weak<Socket>,
    /// Bytes that may wait.
    most: usize,
    /// What waits for the CONNECT; nothing once that has been sent.
    before: Option<Vec<Bytes>>,
    /// The websocket that it changes over to, while the engine has no space for the marker.
    next: Option<Arc<Lane>>,
    /// The last has been said; nothing more is taken.
    leaving: bool,
}

impl Polled {
    /// A socket whose CONNECT has not been sent; no more bytes than `most` may wait for its session.
    pub(in crate::realtime) fn new(
        polls: Arc<Polls>,
        namespace: Namespace,
        engine: Weak<Socket>,
        most: usize,
    ) -> Self {
        let before = Some(Vec::new());
        Self { polls, namespace, engine, most, before, next: None, leaving: false }
    }

    /// The next poll gets them; how many bytes wait for that.
    fn push(&mut self, frames: &[Bytes]) -> usize {
        match &mut self.before {
            Some(before) => {
                before.extend_from_slice(frames);
                before.iter().map(Bytes::len).sum()
            }
            None => self.polls.push(self.namespace, frames),
        }
    }

    fn clear(&mut self) {
        drop(self.polls.take(self.namespace));
        if let Some(before) = &mut self.before {
            before.clear();
        }
    }
}

impl Drop for Polled {
    fn drop(&mut self) {
        self.clear();
    }
}

/// What goes out to one member alone.
pub(super) enum Outbound {
    Event(Arc<Outgoing>),
    Ack(i64, Box<str>),
}

impl Outbound {
    pub(super) fn frame(&self, namespace: Namespace) -> Bytes {
        match self {
            Self::Event(event) => event.frame(namespace).clone(),
            Self::Ack(id, data) => frame::ack(namespace, *id, data),
        }
    }
}

impl Outlet {
    /// Whether anything is still taken: nothing is after the last words.
    pub(super) fn takes(&self) -> bool {
        match self {
            Self::Lane(_) => true,
            Self::Polls(polled) => !polled.leaving,
            Self::Closed => false,
        }
    }

    /// Sends frames. A client by polling for which too much waits, in all its namespaces together,
    /// is told so and closed, as a lane does it; it catches up when it comes back.
    pub(super) fn send(&mut self, namespace: Namespace, run: Run<'_>) {
        match self {
            Self::Lane(lane) => lane.send(namespace, run),
            Self::Polls(polled) if !polled.leaving => {
                if polled.push(run.frames) > polled.most {
                    polled.clear();
                    polled.polls.wish(Wish::TooMuch);
                }
            }
            Self::Polls(_) | Self::Closed => {}
        }
    }

    /// Sends a frame unless it would wait behind others; whether it did.
    pub(super) fn send_volatile(&mut self, namespace: Namespace, frame: &Bytes) -> bool {
        match self {
            Self::Lane(lane) => lane.send_volatile(namespace, frame),
            Self::Polls(polled) if polled.polls.keeps_waiting() => false,
            Self::Polls(_) => {
                self.send(namespace, frame.into());
                true
            }
            Self::Closed => false,
        }
    }

    /// Tells when the client has taken what waits for it now, or at once where that is no more than
    /// `few` bytes. Not at all when the connection ends before.
    pub(super) fn watch(&mut self, taken: oneshot::Sender<()>, few: usize) {
        match self {
            Self::Lane(lane) => lane.watch(taken, few),
            Self::Polls(polled) => polled.polls.watch(polled.namespace, taken, few),
            Self::Closed => {}
        }
    }

    /// The CONNECT has been sent: what waited for it goes out.
    pub(super) fn open(&mut self) {
        if let Self::Polls(polled) = self {
            let before = polled.before.take();
            polled.push(&before.unwrap_or_default());
            self.go_over();
        }
    }

    /// Goes on over a websocket, after all that is still in the engine's queue.
    pub(super) fn change_over(&mut self, lane: Arc<Lane>) {
        if let Self::Polls(polled) = self {
            polled.next = Some(lane);
            self.go_over();
        }
    }

    /// Goes over to the next websocket, if there is one and it can.
    pub(super) fn go_over(&mut self) {
        let Self::Polls(polled) = self else { return };
        let Some(lane) = polled.next.as_ref().filter(|_| polled.before.is_none()) else { return };
        // The marker is the last that goes into the engine's queue; the lane keeps back this
        // namespace's frames until it comes by.
        let namespace = polled.namespace;
        let engine = polled.engine.upgrade().filter(|engine| engine.connected());
        let marked = engine.map(|engine| {
            lane.await_marker(namespace);
            engine.emit(MARKER, &()).is_ok()
        });
        match marked {
            Some(true) => {
                let lane = lane.clone();
                for waiting in polled.polls.take(namespace) {
                    match waiting {
                        PollItem::Frame(frame) => lane.send(namespace, (&frame).into()),
                        PollItem::Watch(taken) => lane.watch(taken, 0),
                    }
                }
                *self = Self::Lane(lane);
            }
            // The engine's queue is full; there is space as soon as it has written something.
            Some(false) => {}
            // This namespace has ended; others over the same websocket go on.
            None => *self = Self::Closed,
        }
    }

    /// Says why, then closes the transport under it.
    pub(super) fn close(&mut self, namespace: Namespace, farewell: Option<&Arc<Outgoing>>) {
        match self {
            Self::Lane(lane) => {
                lane.close(farewell.map(|farewell| (namespace, farewell.frame(namespace).clone())));
            }
            Self::Polls(polled) if !polled.leaving => {
                polled.leaving = true;
                if polled.polls.is_closing() {
                    polled.clear();
                }
                let (taken, when_taken) = oneshot::channel();
                if let Some(farewell) = farewell {
                    polled.push(std::slice::from_ref(farewell.frame(polled.namespace)));
                    if polled.before.is_none() {
                        polled.polls.watch(polled.namespace, taken, 0);
                    }
                }
                let polls = polled.polls.clone();
                polled.polls.tasks().spawn_until_stopped("last words", async move {
                    // Who polls again has heard it.
                    tokio::select! {
                        Ok(()) = when_taken => {}
                        () = tokio::time::sleep(LAST_WORDS) => {}
                    }
                    polls.wish(Wish::End);
                });
                return;
            }
            Self::Polls(_) | Self::Closed => return,
        }
        *self = Self::Closed;
    }
}
