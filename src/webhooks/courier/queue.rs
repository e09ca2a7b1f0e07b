//! What a courier has in hand: events in the order of all of them, and whose turn it is.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use crate::{
    clock::Timestamp,
    stream::Stream,
    webhooks::{
        delivery::Delivery,
        store::deliveries::{Pending, Tried},
    },
};

/// Events that are neither delivered nor held, at most, and their bytes.
const MOST_OPEN: usize = 2000;
const MOST_BYTES: usize = 8 * 1024 * 1024;

/// Events after the position, at most: the first is under way, or waits.
const MOST: usize = 20_000;

/// Events that are tried again, at most: with more the backend fails as a whole, and no others are begun.
pub(super) const MOST_HEADS: usize = 256;

/// Events on their way to a backend.
#[derive(Default)]
pub(super) struct Queue {
    /// Those after the position, by theirs.
    window: BTreeMap<i64, Item>,
    open: usize,
    bytes: usize,
    /// All up to there is in the window, or is nothing to tell.
    read: i64,
    /// Those that are tried again: of each stream that is held the first.
    heads: BTreeMap<i64, Head>,
    /// The streams that are held, each with the lowest position for which it is.
    held: HashMap<Stream, i64>,
    changes: Changes,
}

enum Item {
    Waiting(Arc<Delivery>),
    Flying(Arc<Delivery>),
    /// It is delivered, or has a row.
    Settled,
}

/// An event that is tried again.
#[derive(Clone)]
pub(super) struct Head {
    pub(super) streams: Arc<[Stream]>,
    pub(super) tried: Tried,
    pub(super) flying: bool,
}

/// What has changed since it was last written down.
#[derive(Clone, Default)]
pub(super) struct Changes {
    /// Events that are told later: one that failed, and those behind it.
    pub(super) held: Vec<Held>,
    /// Events that failed again.
    pub(super) failed: Vec<(i64, Tried)>,
    /// Events that have been tried for long enough.
    pub(super) aside: Vec<(i64, Tried)>,
    /// Rows of events that were delivered after all, or of which there is nothing to tell any more.
    pub(super) finished: Vec<i64>,
}

/// An event that is told later, and the streams that wait for it.
#[derive(Clone)]
pub(super) struct Held {
    pub(super) pending: Pending,
    pub(super) streams: Arc<[Stream]>,
}

/// Whose turn it is.
pub(super) enum Turn {
    /// An event of the window.
    First(Arc<Delivery>),
    /// One that failed, or was held: its position, and how many of its calls were answered.
    Again(i64, usize),
}

impl Changes {
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
            && self.failed.is_empty()
            && self.aside.is_empty()
            && self.finished.is_empty()
    }
}

impl Queue {
    /// One that begins after a position, with what is held already.
    pub(super) fn new(
        position: i64,
        held: HashMap<Stream, i64>,
        heads: BTreeMap<i64, Head>,
    ) -> Self {
        Self { read: position, held, heads, ..Self::default() }
    }

    /// Up to where it has read.
    pub(super) fn read(&self) -> i64 {
        self.read
    }

    /// Whether it takes more.
    pub(super) fn has_room(&self) -> bool {
        self.open < MOST_OPEN && self.bytes < MOST_BYTES && self.window.len() < MOST
    }

    /// Takes what was read up to a position.
    pub(super) fn take(&mut self, deliveries: Vec<Delivery>, upto: i64) {
        for delivery in deliveries {
            self.open += 1;
            self.bytes += delivery.bytes();
            self.window.insert(delivery.position, Item::Waiting(Arc::new(delivery)));
        }
        self.read = self.read.max(upto);
    }

    /// All up to there is delivered, or has a row or is about to have one.
    pub(super) fn position(&mut self) -> i64 {
        while let Some(first) = self.window.first_entry()
            && matches!(first.get(), Item::Settled)
        {
            first.remove();
        }
        self.window.first_key_value().map_or(self.read, |(position, _)| position - 1)
    }

    /// Whose turn it is, as far as there are so many places, and of those that were not tried yet so many:
    /// an event after all that come before it in each of its streams. What stands behind an event that is
    /// held is held, too.
    pub(super) fn turns(&mut self, now: Timestamp, places: usize, new: usize) -> Vec<Turn> {
        let mut turns = Vec::new();
        let mut blocked = HashSet::new();
        // Where nothing is tried again, the next is as good to see whether it answers.
        let new = if self.heads.is_empty() { usize::MAX } else { new };
        let mut new = if self.heads.len() < MOST_HEADS { new } else { 0 };
        let positions: Vec<i64> = self.positions().collect();
        for position in positions {
            if turns.len() >= places {
                break;
            }
            if let Some(head) = self.heads.get_mut(&position) {
                let is_free = head.streams.iter().all(|stream| !blocked.contains(stream));
                let is_due = head.tried.next_at.is_some_and(|next| next <= now);
                if is_free && is_due && !head.flying {
                    head.flying = true;
                    turns
                        .push(Turn::Again(position, usize::try_from(head.tried.sent).unwrap_or(0)));
                }
                blocked.extend(head.streams.iter().cloned());
                continue;
            }
            match self.window.get(&position) {
                Some(Item::Waiting(delivery)) => {
                    let delivery = delivery.clone();
                    if self.is_behind(&delivery) {
                        self.hold(&delivery, Tried::default());
                    } else if new > 0 && delivery.streams.iter().all(|own| !blocked.contains(own)) {
                        self.window.insert(position, Item::Flying(delivery.clone()));
                        turns.push(Turn::First(delivery.clone()));
                        new -= 1;
                    }
                    blocked.extend(delivery.streams.iter().cloned());
                }
                Some(Item::Flying(delivery)) => blocked.extend(delivery.streams.iter().cloned()),
                _ => {}
            }
        }
        turns
    }

    /// The positions of what is in hand, in their order.
    fn positions(&self) -> impl Iterator<Item = i64> + use<> {
        let open = self.window.iter().filter(|(_, item)| !matches!(item, Item::Settled));
        let mut positions: Vec<i64> =
            open.map(|(position, _)| *position).chain(self.heads.keys().copied()).collect();
        positions.sort_unstable();
        positions.into_iter()
    }

    /// Whether one of its streams is held for what comes before it.
    fn is_behind(&self, delivery: &Delivery) -> bool {
        let before =
            |stream: &Stream| self.held.get(stream).is_some_and(|at| *at < delivery.position);
        delivery.streams.iter().any(before)
    }

    fn hold(&mut self, delivery: &Delivery, tried: Tried) {
        let position = delivery.position;
        for stream in &*delivery.streams {
            let lowest = self.held.entry(stream.clone()).or_insert(position);
            *lowest = position.min(*lowest);
        }
        let streams = delivery.streams.clone();
        let pending = Pending {
            position,
            stream: delivery.stream.to_string(),
            seq: delivery.seq,
            event: delivery.event().to_owned(),
            created_at: delivery.created_at,
            tried,
        };
        self.changes.held.push(Held { pending, streams });
        self.settle(position);
    }

    fn settle(&mut self, position: i64) {
        let Some(item) = self.window.get_mut(&position) else { return };
        let before = std::mem::replace(item, Item::Settled);
        if let Item::Waiting(delivery) | Item::Flying(delivery) = before {
            self.open -= 1;
            self.bytes = self.bytes.saturating_sub(delivery.bytes());
        }
    }

    /// How it went with an event that was tried before; none for one of the window.
    pub(super) fn tried(&self, position: i64) -> Option<&Tried> {
        self.heads.get(&position).map(|head| &head.tried)
    }

    /// An event was delivered, or there is nothing to tell of it.
    pub(super) fn done(&mut self, position: i64) {
        if self.heads.remove(&position).is_some() {
            self.changes.finished.push(position);
        } else {
            self.settle(position);
        }
    }

    /// An event failed, and is tried again.
    pub(super) fn failed(&mut self, position: i64, tried: Tried) {
        if let Some(head) = self.heads.get_mut(&position) {
            head.flying = false;
            head.tried = tried.clone();
            self.changes.failed.push((position, tried));
        } else if let Some(Item::Flying(delivery)) = self.window.get(&position) {
            let delivery = delivery.clone();
            let streams = delivery.streams.clone();
            self.heads.insert(position, Head { streams, tried: tried.clone(), flying: false });
            self.hold(&delivery, tried);
        }
    }

    /// An event has been tried for long enough.
    pub(super) fn put_aside(&mut self, position: i64, tried: Tried) {
        self.heads.remove(&position);
        self.changes.aside.push((position, tried));
    }

    /// An event could not be tried now; a head not before a time.
    pub(super) fn put_back(&mut self, position: i64, not_before: Timestamp) {
        if let Some(head) = self.heads.get_mut(&position) {
            head.flying = false;
            head.tried.next_at = Some(not_before);
        } else if let Some(Item::Flying(delivery)) = self.window.get(&position) {
            let delivery = delivery.clone();
            self.window.insert(position, Item::Waiting(delivery));
        }
    }

    /// What failed is tried soon: the backend answers again.
    pub(super) fn hurry(&mut self, at: Timestamp) {
        for head in self.heads.values_mut().filter(|head| !head.flying) {
            head.tried.next_at = head.tried.next_at.map(|next| next.min(at));
        }
    }

    /// When the next of those that failed is to be tried.
    pub(super) fn next_at(&self) -> Option<Timestamp> {
        let waiting = self.heads.values().filter(|head| !head.flying);
        waiting.filter_map(|head| head.tried.next_at).min()
    }

    /// When the oldest event was announced that waits for its first call.
    pub(super) fn oldest(&self) -> Option<Timestamp> {
        self.window.values().find_map(|item| match item {
            Item::Waiting(delivery) | Item::Flying(delivery) => Some(delivery.created_at),
            Item::Settled => None,
        })
    }

    /// How many events of the window are not delivered, and how many have failed and are tried again.
    pub(super) fn sizes(&self) -> (usize, usize) {
        (self.open, self.heads.len())
    }

    /// Whether there is something to write down.
    pub(super) fn has_changes(&self) -> bool {
        !self.changes.is_empty()
    }

    /// What is to be written down.
    pub(super) fn changes(&self) -> Changes {
        self.changes.clone()
    }

    /// It was written down: these streams are held for what comes next in them, or for nothing any more,
    /// and these events are tried now.
    pub(super) fn wrote(&mut self, freed: Vec<(Stream, Option<i64>)>, heads: Vec<(i64, Head)>) {
        self.changes = Changes::default();
        for (stream, lowest) in freed {
            match lowest {
                Some(lowest) => self.held.insert(stream, lowest),
                None => self.held.remove(&stream),
            };
        }
        self.heads.extend(heads);
    }

    /// Adds what is to be tried and is not in hand yet.
    pub(super) fn add_heads(&mut self, heads: Vec<(i64, Head)>) {
        for (position, head) in heads {
            self.heads.entry(position).or_insert(head);
        }
    }
}
