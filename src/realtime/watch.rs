//! What happens on this node, for whoever looks at it over the Admin UI. Nothing is noted while nobody does,
//! and what waits to be told has an end: beyond it who looks is told all anew.

use std::{
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::{sync::Notify, time::Instant};
use uuid::Uuid;

use super::{frame::Outgoing, seats::Member};
use crate::{
    auth::Identity,
    clock::Timestamp,
    event::{ByNamespace, Namespace},
    room::Room,
};

/// What may wait to be told (docs/limits.md).
const MOST_WAITING: usize = 4096;

/// Events of sockets that are shown in a second; others are not (docs/limits.md).
const EVENTS_A_SECOND: usize = 100;

/// Bytes of an event that is shown with its arguments.
const MOST_ARGUMENTS: usize = 8 * 1024;

/// What happens here, noted while somebody looks. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Watch(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Somebody looks at what is counted.
    counts: AtomicBool,
    /// Somebody looks at each socket.
    details: AtomicBool,
    waiting: Mutex<Waiting>,
    filled: Notify,
    traffic: [AtomicUsize; Traffic::ALL.len()],
    /// Open sockets.
    sockets: ByNamespace<AtomicUsize>,
    /// Sessions under them, and those of them that poll.
    clients: AtomicUsize,
    polling: AtomicUsize,
    numbers: RandomState,
}

#[derive(Debug, Default)]
struct Waiting {
    happenings: Vec<Waits>,
    /// Something was left out.
    is_too_much: bool,
    /// Events of sockets that were noted, and since when.
    events: usize,
    since: Option<Instant>,
}

/// What waits to be told.
#[derive(Debug)]
enum Waits {
    Noted(Noted),
    /// An event was sent to a member of a shard.
    Sent {
        shard: usize,
        member: Member,
        namespace: Namespace,
        event: Arc<Outgoing>,
    },
}

/// What carries a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Carrier {
    /// A websocket.
    Websocket,
    /// Long-polling.
    Polling,
}

/// What is counted of all sessions while somebody looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traffic {
    /// Sessions that somebody connected over.
    Begun,
    /// Those that ended.
    Ended,
    /// Packets from clients.
    PacketsIn,
    /// Packets to clients.
    PacketsOut,
    /// Bytes from clients.
    BytesIn,
    /// Bytes to clients.
    BytesOut,
}

impl Traffic {
    /// All that is counted.
    pub const ALL: [Self; 6] = [
        Self::Begun,
        Self::Ended,
        Self::PacketsIn,
        Self::PacketsOut,
        Self::BytesIn,
        Self::BytesOut,
    ];
}

/// A socket as it is seen.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its id.
    pub id: Uuid,
    /// Its namespace.
    pub namespace: Namespace,
    /// A number of the session under it, which says nothing else.
    pub client: u64,
    /// What carries that.
    pub carrier: Carrier,
    /// The version of Engine.IO that it speaks.
    pub protocol: u8,
    /// The client's address.
    pub address: IpAddr,
    /// Whose it is, where that is known.
    pub identity: Option<Arc<Identity>>,
    /// The rooms that it is in.
    pub rooms: Vec<Room>,
}

impl Seen {
    /// When it began, which its id tells.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        let (seconds, nanos) =
            self.id.get_timestamp().map(|time| time.to_unix()).unwrap_or_default();
        let millis = seconds.saturating_mul(1000).saturating_add(u64::from(nanos) / 1_000_000);
        Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
    }
}

impl Carrier {
    /// As clients call it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Websocket => "websocket",
            Self::Polling => "polling",
        }
    }
}

/// Something that happened to a socket.
#[derive(Debug)]
pub struct Noted {
    /// The socket.
    pub id: Uuid,
    /// Its namespace.
    pub namespace: Namespace,
    /// What.
    pub what: Happening,
}

/// What happens to a socket.
#[derive(Debug)]
pub enum Happening {
    /// It has begun.
    Connected(Box<Seen>),
    /// It has ended; it was in these rooms.
    Disconnected(&'static str, Vec<Room>),
    /// Whose it is has changed.
    Identified(Arc<Identity>),
    /// It goes on over a websocket.
    CameOver,
    /// It has entered a room.
    Joined(Room),
    /// It has left one.
    Left(Room),
    /// It sent an event: a list of its name and arguments, as JSON.
    Received(Box<str>),
    /// It was sent an event.
    Sent(Arc<Outgoing>),
}

/// All that waited to be told.
#[derive(Debug, Default)]
pub struct Told {
    /// In its order.
    pub happenings: Vec<Noted>,
    /// Something is missing.
    pub is_too_much: bool,
}

/// How many there are now.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Sessions that somebody is connected over.
    pub clients: usize,
    /// Those of them that poll.
    pub polling: usize,
}

impl Watch {
    /// From now on what happens is counted, or not; and noted for each socket, or not.
    pub fn look(&self, counts: bool, details: bool) {
        self.0.counts.store(counts, Ordering::Release);
        let looked = self.0.details.swap(details, Ordering::AcqRel);
        if looked && !details {
            *self.0.waiting.lock() = Waiting::default();
        }
        if !counts {
            let _ = self.traffic();
        }
    }

    /// Whether it is noted what happens to each socket.
    #[inline]
    pub(super) fn notes(&self) -> bool {
        self.0.details.load(Ordering::Relaxed)
    }

    /// Waits until something is to be told.
    pub async fn filled(&self) {
        self.0.filled.notified().await;
    }

    /// What waits to be told, with the ids of members as far as they are there.
    pub(super) fn take(&self, id: impl Fn(usize, Member) -> Option<Uuid>) -> Told {
        let Waiting { happenings, is_too_much, .. } = &mut *self.0.waiting.lock();
        let (waits, is_too_much) = (std::mem::take(happenings), std::mem::take(is_too_much));
        let happenings = waits.into_iter().filter_map(|waits| match waits {
            Waits::Noted(noted) => Some(noted),
            Waits::Sent { shard, member, namespace, event } => {
                let what = Happening::Sent(event);
                id(shard, member).map(|id| Noted { id, namespace, what })
            }
        });
        Told { happenings: happenings.collect(), is_too_much }
    }

    /// What was counted since this was asked last, in the order of [`Traffic::ALL`].
    #[must_use]
    pub fn traffic(&self) -> [usize; Traffic::ALL.len()] {
        Traffic::ALL.map(|kind| self.0.traffic[kind as usize].swap(0, Ordering::Relaxed))
    }

    /// How many sessions there are.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let clients = self.0.clients.load(Ordering::Relaxed);
        // Two counts are never of the same moment.
        Counts { clients, polling: self.0.polling.load(Ordering::Relaxed).min(clients) }
    }

    /// How many sockets there are in a namespace.
    #[must_use]
    pub fn sockets(&self, namespace: Namespace) -> usize {
        self.0.sockets[namespace].load(Ordering::Relaxed)
    }

    /// The number of a session, of which its place in memory can't be told.
    pub(super) fn number(&self, place: usize) -> u64 {
        self.0.numbers.hash_one(place)
    }

    fn count(&self, kind: Traffic, many: usize) {
        self.0.traffic[kind as usize].fetch_add(many, Ordering::Relaxed);
    }

    /// So many packets came.
    #[inline]
    pub(super) fn heard(&self, packets: usize, bytes: usize) {
        if self.0.counts.load(Ordering::Relaxed) {
            self.count(Traffic::PacketsIn, packets);
            self.count(Traffic::BytesIn, bytes);
        }
    }

    /// So many packets were sent.
    #[inline]
    pub(super) fn told(&self, packets: usize, bytes: usize) {
        if self.0.counts.load(Ordering::Relaxed) {
            self.count(Traffic::PacketsOut, packets);
            self.count(Traffic::BytesOut, bytes);
        }
    }

    /// Somebody has connected over a session as the first.
    pub(super) fn began(&self, carrier: Carrier) {
        self.0.clients.fetch_add(1, Ordering::Relaxed);
        if carrier == Carrier::Polling {
            self.0.polling.fetch_add(1, Ordering::Relaxed);
        }
        if self.0.counts.load(Ordering::Relaxed) {
            self.count(Traffic::Begun, 1);
        }
    }

    /// Nobody is connected over a session any more.
    pub(super) fn ended(&self, carrier: Carrier) {
        self.0.clients.fetch_sub(1, Ordering::Relaxed);
        if carrier == Carrier::Polling {
            self.0.polling.fetch_sub(1, Ordering::Relaxed);
        }
        if self.0.counts.load(Ordering::Relaxed) {
            self.count(Traffic::Ended, 1);
        }
    }

    /// A session that polled goes on over a websocket.
    pub(super) fn came_over(&self) {
        self.0.polling.fetch_sub(1, Ordering::Relaxed);
    }

    /// A socket is open.
    pub(super) fn opened(&self, namespace: Namespace) {
        self.0.sockets[namespace].fetch_add(1, Ordering::Relaxed);
    }

    /// It is not any more.
    pub(super) fn closed(&self, namespace: Namespace) {
        self.0.sockets[namespace].fetch_sub(1, Ordering::Relaxed);
    }

    /// Notes what happened to a socket, if anybody looks.
    #[inline]
    pub(super) fn note(
        &self,
        id: Uuid,
        namespace: Namespace,
        what: impl FnOnce() -> Option<Happening>,
    ) {
        if self.notes()
            && let Some(what) = what()
        {
            self.push(Waits::Noted(Noted { id, namespace, what }));
        }
    }

    /// A member of a shard is sent an event.
    #[inline]
    pub(super) fn sent(
        &self,
        (shard, member): (usize, Member),
        namespace: Namespace,
        event: &Arc<Outgoing>,
    ) {
        if self.notes() {
            self.push(Waits::Sent { shard, member, namespace, event: event.clone() });
        }
    }

    fn push(&self, waits: Waits) {
        let mut waiting = self.0.waiting.lock();
        if !self.notes() {
            return;
        }
        let is_event = match &waits {
            Waits::Noted(noted) => matches!(noted.what, Happening::Received(_)),
            Waits::Sent { .. } => true,
        };
        if is_event && !waiting.takes_an_event() {
            return;
        }
        if waiting.happenings.len() >= MOST_WAITING {
            waiting.is_too_much = true;
            return;
        }
        waiting.happenings.push(waits);
        drop(waiting);
        self.0.filled.notify_one();
    }

    /// Whether an event with so many bytes of arguments is shown with them.
    #[must_use]
    pub const fn shows(bytes: usize) -> bool {
        bytes <= MOST_ARGUMENTS
    }
}

impl Waiting {
    /// A few of a second are enough to see what goes on.
    fn takes_an_event(&mut self) -> bool {
        let now = Instant::now();
        if self.since.is_none_or(|since| now.duration_since(since).as_secs() > 0) {
            (self.events, self.since) = (0, Some(now));
        }
        self.events += 1;
        self.events <= EVENTS_A_SECOND
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(watch: &Watch) {
        watch.note(Uuid::nil(), Namespace::Root, || Some(Happening::Joined(Room::Sellers)));
    }

    fn taken(watch: &Watch) -> Told {
        watch.take(|_, _| None)
    }

    fn sent(watch: &Watch) {
        let received = || Some(Happening::Received("[]".into()));
        watch.note(Uuid::nil(), Namespace::Root, received);
    }

    #[test]
    fn nothing_is_noted_or_counted_while_nobody_looks() {
        let watch = Watch::default();
        joined(&watch);
        watch.heard(1, 10);
        assert!(taken(&watch).happenings.is_empty());
        watch.look(true, false);
        assert_eq!(watch.traffic(), [0; 6]);
        joined(&watch);
        watch.heard(1, 10);
        watch.told(2, 20);
        assert!(taken(&watch).happenings.is_empty(), "in production");
        assert_eq!(watch.traffic(), [0, 0, 1, 2, 10, 20]);
        watch.look(true, true);
        joined(&watch);
        watch.look(false, false);
        assert!(taken(&watch).happenings.is_empty(), "who looked has gone");
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_has_an_end_and_it_is_told_that_something_is_missing() {
        let watch = Watch::default();
        watch.look(true, true);
        for _ in 0..2 * EVENTS_A_SECOND {
            sent(&watch);
        }
        let told = taken(&watch);
        assert_eq!((told.happenings.len(), told.is_too_much), (EVENTS_A_SECOND, false));
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
        sent(&watch);
        assert_eq!(taken(&watch).happenings.len(), 1);
        for _ in 0..=MOST_WAITING {
            joined(&watch);
        }
        let told = taken(&watch);
        assert_eq!((told.happenings.len(), told.is_too_much), (MOST_WAITING, true));
        joined(&watch);
        let told = taken(&watch);
        assert_eq!((told.happenings.len(), told.is_too_much), (1, false));
    }
}
