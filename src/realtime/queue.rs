//! The queue of one connection: what its events ask for is done one after another, in the order
//! they came. It says what is to be done and does nothing itself; that is `inbound`'s. Nothing is
//! kept while nothing waits.

use std::{collections::VecDeque, pin::Pin};

/// The work of one event. It catches its own panics.
pub(super) type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// From how many waiting events on the client's socket is not read.
const PAUSE_AT: usize = 16;

/// From how many bytes in them on.
const PAUSE_AT_BYTES: usize = 256 * 1024;

/// Below the part of either that is one of so many it is read again: a client whose events take long is heard, its answers to
/// pings, too, before all of them are done.
const RESUME_BELOW: usize = 2;

/// Work that is done in its order.
pub(super) struct Queue<W> {
    running: bool,
    /// What waits for the work that runs; nothing is kept while nothing does.
    backlog: Option<Box<Backlog<W>>>,
}

struct Backlog<W> {
    work: VecDeque<(W, usize)>,
    /// Bytes of the payloads in it.
    bytes: usize,
    /// Whether reading waits for this queue.
    pausing: bool,
}

/// What becomes of work that is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pushed<W> {
    /// It is to be done now; then what [`Queue::next`] says.
    RunNow(W),
    /// It is done after what was asked for before.
    Waits {
        /// So much waits that reading is to pause until [`Queue::next`] says otherwise.
        pause: bool,
    },
}

/// What is to be done when the work that runs is done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<W> {
    /// This.
    Work {
        /// It.
        work: W,
        /// Reading was paused and is to go on.
        resume: bool,
    },
    /// Nothing.
    Idle,
}

/// More events wait than may.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Overflow;

impl<W> Default for Queue<W> {
    fn default() -> Self {
        Self { running: false, backlog: None }
    }
}

impl<W> Default for Backlog<W> {
    fn default() -> Self {
        Self { work: VecDeque::new(), bytes: 0, pausing: false }
    }
}

impl<W> Queue<W> {
    /// Asks for work after all that was asked for before, of which no more than `most` may wait;
    /// `bytes` is what its payload takes.
    pub(super) fn push(
        &mut self,
        work: W,
        bytes: usize,
        most: usize,
    ) -> Result<Pushed<W>, Overflow> {
        if !std::mem::replace(&mut self.running, true) {
            return Ok(Pushed::RunNow(work));
        }
        let backlog = self.backlog.get_or_insert_default();
        if backlog.work.len() >= most {
            return Err(Overflow);
        }
        backlog.work.push_back((work, bytes));
        backlog.bytes += bytes;
        let long = backlog.work.len() >= PAUSE_AT || backlog.bytes >= PAUSE_AT_BYTES;
        let pause = long && !std::mem::replace(&mut backlog.pausing, true);
        Ok(Pushed::Waits { pause })
    }

    /// The work that runs is done: what is to be done next.
    pub(super) fn next(&mut self) -> Next<W> {
        if let Some(backlog) = &mut self.backlog
            && let Some((work, bytes)) = backlog.work.pop_front()
        {
            backlog.bytes -= bytes;
            let short = backlog.work.len() < PAUSE_AT / RESUME_BELOW
                && backlog.bytes < PAUSE_AT_BYTES / RESUME_BELOW;
            let resume = short && std::mem::take(&mut backlog.pausing);
            return Next::Work { work, resume };
        }
        *self = Self::default();
        Next::Idle
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work<W>(work: W) -> Next<W> {
        Next::Work { work, resume: false }
    }

    /// More than any of these tests has waiting.
    const MOST: usize = 100;

    #[test]
    fn work_is_done_in_its_order_one_after_another() {
        let mut queue = Queue::default();
        assert_eq!(queue.push('a', 0, MOST), Ok(Pushed::RunNow('a')));
        assert_eq!(queue.push('b', 0, MOST), Ok(Pushed::Waits { pause: false }));
        assert_eq!(queue.push('c', 0, MOST), Ok(Pushed::Waits { pause: false }));
        assert_eq!(queue.next(), work('b'));
        assert_eq!(queue.push('d', 0, MOST), Ok(Pushed::Waits { pause: false }));
        assert_eq!(queue.next(), work('c'));
        assert_eq!(queue.next(), work('d'));
        assert_eq!(queue.next(), Next::Idle);
        assert_eq!(queue.push('e', 0, MOST), Ok(Pushed::RunNow('e')));
    }

    #[test]
    fn nothing_is_kept_while_nothing_waits() {
        let mut queue = Queue::default();
        queue.push((), 1, MOST).unwrap();
        assert!(queue.backlog.is_none());
        queue.push((), 1, MOST).unwrap();
        assert!(queue.backlog.is_some());
        assert_eq!(queue.next(), work(()));
        assert_eq!(queue.next(), Next::Idle);
        assert!(queue.backlog.is_none());
    }

    #[test]
    fn more_than_may_wait_is_refused_and_what_waits_is_done() {
        let mut queue = Queue::default();
        for number in 0..=2 {
            queue.push(number, 0, 2).unwrap();
        }
        assert_eq!(queue.push(3, 0, 2), Err(Overflow));
        assert_eq!((queue.next(), queue.next()), (work(1), work(2)));
        assert_eq!(queue.next(), Next::Idle);
    }

    #[test]
    fn reading_pauses_once_for_many_events_or_bytes_and_goes_on_when_half_of_them_are_done() {
        for (bytes, pauses_at, goes_on_at) in
            [(0, PAUSE_AT, PAUSE_AT / 2 - 1), (PAUSE_AT_BYTES / 2, 2, 0)]
        {
            let mut queue = Queue::default();
            assert_eq!(queue.push((), bytes, MOST), Ok(Pushed::RunNow(())));
            for number in 1..=PAUSE_AT + 1 {
                let pause = number == pauses_at;
                assert_eq!(queue.push((), bytes, MOST), Ok(Pushed::Waits { pause }), "{number}");
            }
            for left in (0..=PAUSE_AT).rev() {
                let resume = left == goes_on_at;
                assert_eq!(queue.next(), Next::Work { work: (), resume }, "{left}");
            }
            assert_eq!(queue.next(), Next::Idle);
        }
    }

    #[test]
    fn a_pause_may_begin_again() {
        let mut queue = Queue::default();
        let push = |queue: &mut Queue<()>| queue.push((), PAUSE_AT_BYTES, MOST).unwrap();
        push(&mut queue);
        for _ in 0..2 {
            assert_eq!(push(&mut queue), Pushed::Waits { pause: true });
            assert_eq!(queue.next(), Next::Work { work: (), resume: true });
        }
        assert_eq!(queue.next(), Next::Idle);
    }
}
