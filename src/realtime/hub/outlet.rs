//! Where a member's frames go: into its lane, or, for a polling session, to where they wait for the
//! next poll.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::{
    event::Namespace,
    realtime::{
        frame::{self, Outgoing},
        lane::{Lane, Run},
        polls::{LAST_WORDS, PollItem, Polls, Wish},
    },
};

/// Where a member's frames go.
pub(in crate::realtime) enum Outlet {
    /// A websocket.
    Lane(Arc<Lane>),
    /// A websocket on which the CONNECT is not answered yet.
    Coming(Box<Coming>),
    /// A polling session.
    Polls(Box<Polled>),
    /// Nowhere any more.
    Closed,
}

/// A socket that comes in over a websocket.
pub(in crate::realtime) struct Coming {
    lane: Arc<Lane>,
    /// What waits for the answer.
    before: Vec<Bytes>,
    bytes: usize,
}

/// A socket of a polling session.
pub(in crate::realtime) struct Polled {
    /// Those of the session, of all its namespaces together.
    polls: Arc<Polls>,
    namespace: Namespace,
    /// Bytes that may wait.
    most: usize,
    /// What waits for the CONNECT; nothing once that has been sent.
    before: Option<Vec<Bytes>>,
    phase: Phase,
}

/// How far a polling session has come. What comes after something that was dropped is not heard: its
/// client would go on from there when it comes back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// Too much waited, and was dropped: nothing is taken but the last words.
    Full,
    /// The last has been said.
    Leaving,
}

impl Polled {
    /// A socket whose CONNECT has not been sent; no more bytes than `most` may wait for its session.
    pub(in crate::realtime) fn new(polls: Arc<Polls>, namespace: Namespace, most: usize) -> Self {
        Self { polls, namespace, most, before: Some(Vec::new()), phase: Phase::Open }
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
    pub(super) fn frame(&self, namespace: Namespace, recovers: bool) -> Bytes {
        match self {
            Self::Event(event) => event.frame_for(namespace, recovers).clone(),
            Self::Ack(id, data) => frame::ack(namespace, *id, data),
        }
    }
}

impl Outlet {
    /// That of a socket which comes in over a websocket.
    pub(in crate::realtime) fn coming(lane: Arc<Lane>) -> Self {
        Self::Coming(Box::new(Coming { lane, before: Vec::new(), bytes: 0 }))
    }

    /// Whether anything is still taken: nothing is after the last words.
    pub(super) fn takes(&self) -> bool {
        match self {
            Self::Lane(_) | Self::Coming(_) => true,
            Self::Polls(polled) => polled.phase == Phase::Open,
            Self::Closed => false,
        }
    }

    /// Sends frames. A client by polling for which too much waits, in all its namespaces together,
    /// is told so and closed, as a lane does it; it catches up when it comes back.
    pub(super) fn send(&mut self, run: Run<'_>) {
        match self {
            Self::Lane(lane) => lane.send(run),
            Self::Coming(coming) => {
                coming.before.extend_from_slice(run.frames);
                coming.bytes += run.bytes.len();
                if coming.bytes > coming.lane.tolerance().max_pending_bytes {
                    // It can't be told why yet.
                    coming.lane.close(None);
                    *self = Self::Closed;
                }
            }
            Self::Polls(polled) if polled.phase == Phase::Open => {
                if polled.push(run.frames) > polled.most {
                    polled.clear();
                    polled.phase = Phase::Full;
                    polled.polls.wish(Wish::TooMuch);
                }
            }
            Self::Polls(_) | Self::Closed => {}
        }
    }

    /// Sends a frame unless it would wait behind others; whether it did.
    pub(super) fn send_volatile(&mut self, frame: &Bytes) -> bool {
        match self {
            Self::Lane(lane) => lane.send_volatile(frame),
            Self::Polls(polled) if polled.polls.keeps_waiting() => false,
            Self::Polls(_) => {
                self.send(frame.into());
                true
            }
            Self::Coming(_) | Self::Closed => false,
        }
    }

    /// Tells when the client has taken what waits for it now, or at once where that is no more than
    /// `few` bytes. Not at all when the connection ends before.
    pub(super) fn watch(&mut self, taken: oneshot::Sender<()>, few: usize) {
        match self {
            Self::Lane(lane) => lane.watch(taken, few),
            Self::Polls(polled) => polled.polls.watch(polled.namespace, taken, few),
            // Nobody asks before they have come in.
            Self::Coming(_) | Self::Closed => {}
        }
    }

    /// The CONNECT is answered, by the engine or with this: what waited for it goes out.
    pub(super) fn open(&mut self, namespace: Namespace, answer: Option<&Bytes>) {
        match self {
            Self::Polls(polled) => {
                let before = polled.before.take();
                polled.push(&before.unwrap_or_default());
            }
            Self::Coming(coming) => {
                let lane = coming.lane.clone();
                let before = std::mem::take(&mut coming.before);
                for frame in answer.into_iter().chain(&before) {
                    lane.send(frame.into());
                }
                lane.open(namespace);
                *self = Self::Lane(lane);
            }
            Self::Lane(_) | Self::Closed => {}
        }
    }

    /// Goes on over a websocket, on which the CONNECT is answered by now. Whoever was told the last, or is
    /// to be, hears nothing more there, either.
    pub(super) fn change_over(&mut self, lane: Arc<Lane>) {
        let Self::Polls(polled) = self else { return };
        for frame in polled.before.iter().flatten() {
            lane.send(frame.into());
        }
        for waiting in polled.polls.take(polled.namespace) {
            match waiting {
                PollItem::Frame(frame) => lane.send((&frame).into()),
                PollItem::Watch(taken) => lane.watch(taken, 0),
            }
        }
        lane.open(polled.namespace);
        let namespace = polled.namespace;
        *self = match polled.phase {
            Phase::Open => Self::Lane(lane),
            Phase::Full => {
                lane.close(Some((namespace, lane.tolerance().farewell[namespace].clone())));
                Self::Closed
            }
            // Who has said it closes the transport, too.
            Phase::Leaving => Self::Closed,
        };
    }

    /// Says why, then closes the transport under it.
    pub(super) fn close(&mut self, namespace: Namespace, farewell: Option<&Arc<Outgoing>>) {
        match self {
            Self::Lane(lane) => {
                lane.close(farewell.map(|farewell| (namespace, farewell.frame(namespace).clone())));
            }
            Self::Coming(coming) => coming.lane.close(None),
            Self::Polls(polled) if polled.phase != Phase::Leaving => {
                polled.phase = Phase::Leaving;
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
