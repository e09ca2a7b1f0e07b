//! What was observed, counted.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{copies::Side, shapes::Difference, tokens::Place};

/// Names of one kind that are told apart; what goes beyond is counted together.
const MOST_NAMES: usize = 1000;

/// Differences of one event that are told apart.
const MOST_DIFFERENCES: usize = 100;

/// Counts by name, of which there may be too many.
#[derive(Clone, Debug)]
pub(super) struct ByName<T> {
    pub(super) named: BTreeMap<String, T>,
    /// How often a name was left out.
    pub(super) others: u64,
}

impl<T> Default for ByName<T> {
    fn default() -> Self {
        Self { named: BTreeMap::new(), others: 0 }
    }
}

impl<T: Default> ByName<T> {
    pub(super) fn of(&mut self, name: &str) -> Option<&mut T> {
        if !self.named.contains_key(name) {
            if self.named.len() == MOST_NAMES {
                self.others += 1;
                return None;
            }
            self.named.insert(name.to_owned(), T::default());
        }
        self.named.get_mut(name)
    }
}

/// Everything that is reported.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) connections: u64,
    /// Connections that were not read to their end, for want of room.
    pub(super) lost: u64,
    /// Connections, sessions or packets that nobody here can read.
    pub(super) unreadable: u64,
    /// Messages and bodies that are too long to be read.
    pub(super) too_long: u64,
    /// Requests that have nothing to do with Socket.IO.
    pub(super) other_requests: u64,
    /// Sessions of Engine.IO 3 and of 4.
    pub(super) sessions: BTreeMap<u8, u64>,
    pub(super) transports: Transports,
    /// Paths other than this server's.
    pub(super) paths: ByName<u64>,
    /// Pages that this server would refuse.
    pub(super) origins: ByName<u64>,
    pub(super) namespaces: ByName<Sockets>,
    pub(super) tokens: Tokens,
    pub(super) heard: ByName<Event>,
    pub(super) sent: ByName<Event>,
    sizes: [Sizes; 2],
    pub(super) heartbeat: Option<Heartbeat>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Transports {
    pub(super) polling: u64,
    pub(super) websocket: u64,
    /// From polling to a websocket.
    pub(super) upgraded: u64,
    /// Websockets whose messages are packed.
    pub(super) packed: u64,
    pub(super) jsonp: u64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Sockets {
    pub(super) connected: u64,
    pub(super) refused: u64,
}

/// What sockets showed that the upstream server let in.
#[derive(Clone, Debug, Default)]
pub(super) struct Tokens {
    /// Where this server reads the token.
    pub(super) read: BTreeMap<Place, Verdicts>,
    /// Where tokens stand that it does not read; whether it would take them.
    pub(super) unread: BTreeMap<Place, [u64; 2]>,
    /// Sockets without any.
    pub(super) none: u64,
    /// Sockets that the upstream server refused and this one would let in.
    pub(super) refused_there: u64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Verdicts {
    pub(super) taken: u64,
    /// By reason.
    pub(super) refused: BTreeMap<String, u64>,
}

/// One event.
#[derive(Clone, Debug, Default)]
pub(super) struct Event {
    pub(super) count: u64,
    /// How often an acknowledgement was asked for.
    pub(super) asked: u64,
    pub(super) namespaces: BTreeSet<String>,
    /// Whether the catalogue has it where it was said.
    pub(super) is_known: bool,
    pub(super) differences: BTreeMap<Difference, u64>,
    /// Differences of its acknowledgement.
    pub(super) answers: BTreeMap<Difference, u64>,
    pub(super) largest: usize,
}

impl Event {
    pub(super) fn differs(&mut self, differences: Vec<Difference>) {
        add(&mut self.differences, differences);
    }

    pub(super) fn answer_differs(&mut self, differences: Vec<Difference>) {
        add(&mut self.answers, differences);
    }
}

fn add(to: &mut BTreeMap<Difference, u64>, differences: Vec<Difference>) {
    for difference in differences {
        if to.len() < MOST_DIFFERENCES || to.contains_key(&difference) {
            *to.entry(difference).or_default() += 1;
        }
    }
}

/// What one side says, in packets of Socket.IO.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Sizes {
    pub(super) packets: u64,
    pub(super) bytes: u64,
    pub(super) largest: usize,
}

/// What the upstream server tells a client that opens a session, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Heartbeat {
    pub(super) interval: u64,
    pub(super) timeout: u64,
}

impl Tally {
    pub(super) fn size(&mut self, side: Side, bytes: usize) {
        let sizes = &mut self.sizes[side as usize];
        sizes.packets += 1;
        sizes.bytes += bytes as u64;
        sizes.largest = sizes.largest.max(bytes);
    }

    pub(super) fn sizes(&self, side: Side) -> Sizes {
        self.sizes[side as usize]
    }
}
