//! When tokens end: a socket is told before its token does, and closed when that is no longer
//! valid, which is a little later (`auth.leeway`). It says what is due and does nothing itself;
//! that is for `expiries`.

use std::{collections::BTreeMap, time::Duration};

use crate::clock::Timestamp;

/// Whose token ends when. `T` is one of those that are looked after.
pub(super) struct Deadlines<T> {
    due: BTreeMap<Key, T>,
    notice: Duration,
    leeway: Duration,
}

/// When, what, and with whom. Each has one entry, of what is to be done next, since that costs memory
/// for as long as they are there.
type Key = (Timestamp, Step, usize);

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// To say that the token ends.
    Tell,
    /// To close the socket.
    Close,
}

/// What is to be done now, or when to ask again.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due<T> {
    /// This, with this one.
    Now(Step, T),
    /// Nothing, for so long.
    In(Duration),
    /// Nothing, as long as nobody comes.
    Never,
}

impl<T: Clone> Deadlines<T> {
    /// They are told so long before the end of their tokens, which are valid for so long after it.
    pub(super) fn new(notice: Duration, leeway: Duration) -> Self {
        Self { due: BTreeMap::new(), notice, leeway }
    }

    /// Looks after one, by a number that is no other's meanwhile, until its token has ended. Whether
    /// that is due before all that was.
    pub(super) fn watch(&mut self, number: usize, expires_at: Timestamp, one: T) -> bool {
        let first = self.first();
        let [tell, _] = self.keys(number, expires_at);
        self.due.insert(tell, one);
        self.first() != first
    }

    /// No longer.
    pub(super) fn forget(&mut self, number: usize, expires_at: Timestamp) {
        for key in self.keys(number, expires_at) {
            self.due.remove(&key);
        }
    }

    /// What is due, one after another.
    pub(super) fn due(&mut self, now: Timestamp) -> Due<T> {
        let ((at, step, number), one) = match self.due.first_entry() {
            Some(first) if first.key().0 <= now => first.remove_entry(),
            Some(first) => return Due::In(now.until(first.key().0)),
            None => return Due::Never,
        };
        if step == Step::Tell {
            let close_at = at.millis().saturating_add(self.between_ms());
            let close = (Timestamp::from_millis(close_at), Step::Close, number);
            self.due.insert(close, one.clone());
        }
        Due::Now(step, one)
    }

    fn first(&self) -> Option<Timestamp> {
        self.due.first_key_value().map(|((at, ..), _)| *at)
    }

    /// From telling to closing, in milliseconds.
    fn between_ms(&self) -> i64 {
        i64::try_from((self.notice + self.leeway).as_millis()).unwrap_or(i64::MAX)
    }

    fn keys(&self, number: usize, expires_at: Timestamp) -> [Key; 2] {
        let close_at = expires_at + self.leeway;
        let tell_at = Timestamp::from_millis(close_at.millis().saturating_sub(self.between_ms()));
        [(tell_at, Step::Tell, number), (close_at, Step::Close, number)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    /// Who is told a minute before the end of their token, which is valid for five seconds after
    /// it.
    fn deadlines() -> Deadlines<char> {
        Deadlines::new(Duration::from_mins(1), Duration::from_secs(5))
    }

    #[test]
    fn each_is_told_and_then_closed_when_the_token_has_ceased_to_hold() {
        let mut deadlines = deadlines();
        assert_eq!(deadlines.due(at(0)), Due::Never);
        assert!(deadlines.watch(1, at(100), 'a'));
        assert!(!deadlines.watch(2, at(130), 'b'), "another one comes before");
        assert_eq!(deadlines.due(at(10)), Due::In(Duration::from_secs(30)));
        assert_eq!(deadlines.due(at(40)), Due::Now(Step::Tell, 'a'));
        assert_eq!(deadlines.due(at(40)), Due::In(Duration::from_secs(30)));
        assert_eq!(deadlines.due(at(104)), Due::Now(Step::Tell, 'b'));
        assert_eq!(deadlines.due(at(104)), Due::In(Duration::from_secs(1)));
        assert_eq!(deadlines.due(at(200)), Due::Now(Step::Close, 'a'));
        assert_eq!(deadlines.due(at(200)), Due::Now(Step::Close, 'b'));
        assert_eq!(deadlines.due(at(200)), Due::Never);
    }

    #[test]
    fn a_token_that_ends_soon_is_told_of_at_once() {
        let mut deadlines = deadlines();
        deadlines.watch(1, at(100), 'a');
        assert_eq!(deadlines.due(at(99)), Due::Now(Step::Tell, 'a'));
        assert_eq!(deadlines.due(at(99)), Due::In(Duration::from_secs(6)));
    }

    #[test]
    fn who_is_forgotten_is_neither_told_nor_closed() {
        let mut deadlines = deadlines();
        deadlines.watch(1, at(100), 'a');
        deadlines.watch(2, at(100), 'b');
        deadlines.forget(1, at(100));
        assert_eq!(deadlines.due(at(50)), Due::Now(Step::Tell, 'b'));
        deadlines.forget(2, at(100));
        assert_eq!(deadlines.due(at(200)), Due::Never);
        assert!(deadlines.due.is_empty());
    }
}
