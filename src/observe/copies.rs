//! Copies of what passes, on their way to the reader. They wait in memory, up to a bound; beyond it a
//! connection is given up by the reader, and its bytes pass on as before.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
    mpsc::{Receiver, Sender, channel},
};

use bytes::Bytes;

/// How many bytes may wait for the reader, over all connections.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// What a copy takes beside its bytes.
const OF_ONE: usize = 128;

/// Who said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Side {
    Client,
    Server,
}

/// What the reader is told of a connection, by its number.
#[derive(Debug)]
pub(super) struct Copy {
    pub(super) connection: u64,
    pub(super) what: What,
}

/// What happened on a connection.
#[derive(Debug)]
pub(super) enum What {
    Said(Side, Bytes),
    /// From here on nothing is told but its end.
    Lost,
    Ended,
}

/// Where copies begin. Cheap to clone.
#[derive(Clone)]
pub(super) struct Copies {
    to: Sender<Copy>,
    waiting: Arc<AtomicUsize>,
    connections: Arc<AtomicU64>,
}

/// Where they end: once every [`Copies`] and [`Copier`] is gone, so is what follows the last copy.
pub(super) struct Copied {
    from: Receiver<Copy>,
    waiting: Arc<AtomicUsize>,
}

/// Copies what is said on one connection, in the order in which it is said.
pub(super) struct Copier {
    copies: Copies,
    connection: u64,
    lost: bool,
}

/// A way from connections to a reader.
pub(super) fn copies() -> (Copies, Copied) {
    let (to, from) = channel();
    let waiting = Arc::<AtomicUsize>::default();
    (Copies { to, waiting: waiting.clone(), connections: Arc::default() }, Copied { from, waiting })
}

impl Copies {
    /// For one more connection.
    pub(super) fn of_connection(&self) -> Copier {
        let connection = self.connections.fetch_add(1, Ordering::Relaxed);
        Copier { copies: self.clone(), connection, lost: false }
    }
}

impl Copier {
    /// Never waits: bytes for which there is no room are left out, and all that come after.
    pub(super) fn copy(&mut self, side: Side, bytes: &[u8]) {
        if self.lost || bytes.is_empty() {
            return;
        }
        let more = bytes.len() + OF_ONE;
        if self.copies.waiting.fetch_add(more, Ordering::Relaxed) + more > MOST_BYTES {
            self.copies.waiting.fetch_sub(more, Ordering::Relaxed);
            self.lost = true;
            self.tell(What::Lost);
        } else {
            self.tell(What::Said(side, Bytes::copy_from_slice(bytes)));
        }
    }

    fn tell(&self, what: What) {
        // A reader that has ended needs no more of it.
        let _ = self.copies.to.send(Copy { connection: self.connection, what });
    }
}

impl Drop for Copier {
    fn drop(&mut self) {
        self.tell(What::Ended);
    }
}

impl Iterator for Copied {
    type Item = Copy;

    /// Waits for the next; none once nothing more can come.
    fn next(&mut self) -> Option<Copy> {
        let copy = self.from.recv().ok()?;
        if let What::Said(_, bytes) = &copy.what {
            self.waiting.fetch_sub(bytes.len() + OF_ONE, Ordering::Relaxed);
        }
        Some(copy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_reader_has_no_room_for_is_left_out_and_said_to_be() {
        let (copies, mut taken) = copies();
        let mut one = copies.of_connection();
        let part = vec![0; MOST_BYTES / 4];
        for _ in 0..4 {
            one.copy(Side::Client, &part);
        }
        // Another has no room either, until the reader goes on; what is lost stays lost.
        let mut other = copies.of_connection();
        other.copy(Side::Server, &part);
        for _ in 0..3 {
            assert!(matches!(taken.next().unwrap().what, What::Said(Side::Client, _)));
        }
        one.copy(Side::Server, b"left out");
        let mut third = copies.of_connection();
        third.copy(Side::Client, b"said");
        drop((one, other, third, copies));
        let rest: Vec<_> = taken
            .map(|copy| match copy.what {
                What::Said(_, bytes) => (copy.connection, bytes.len()),
                What::Lost => (copy.connection, 0),
                What::Ended => (copy.connection, 1),
            })
            .collect();
        assert_eq!(rest, [(0, 0), (1, 0), (2, 4), (0, 1), (1, 1), (2, 1)]);
    }
}
