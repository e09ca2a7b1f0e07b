//! Whether a backend is asked at all: not while it fails, but once a second to see whether it answers
//! again.

use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

/// Failures in a row after which it is asked no more.
const MOST_FAILURES: u32 = 5;

/// How often it is asked then.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Lets questions through, or not.
#[derive(Debug, Default)]
pub(super) struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// In a row.
    failures: u32,
    /// While it fails: when it is asked again.
    next: Option<Instant>,
}

impl Breaker {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }

    /// Whether a question would be refused now.
    pub(super) fn refuses(&self) -> bool {
        self.lock().next.is_some_and(|next| Instant::now() < next)
    }

    /// Whether a question may be asked: while it fails, one in each second.
    pub(super) fn admits(&self) -> bool {
        let (now, mut state) = (Instant::now(), self.lock());
        match state.next {
            Some(next) if now < next => false,
            Some(_) => {
                state.next = Some(now + RETRY_INTERVAL);
                true
            }
            None => true,
        }
    }

    /// It has answered; true when it had failed before.
    pub(super) fn answered(&self) -> bool {
        std::mem::take(&mut *self.lock()).next.is_some()
    }

    /// It has failed; true when it is asked no more from now on.
    pub(super) fn failed(&self) -> bool {
        let mut state = self.lock();
        state.failures = state.failures.saturating_add(1);
        let opens = state.failures >= MOST_FAILURES && state.next.is_none();
        if opens {
            state.next = Some(Instant::now() + RETRY_INTERVAL);
        }
        opens
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn after_five_failures_in_a_row_it_is_asked_once_a_second_until_it_answers() {
        let breaker = Breaker::default();
        for _ in 1..MOST_FAILURES {
            assert!(breaker.admits() && !breaker.failed());
        }
        assert!(!breaker.answered(), "it was asked all the time");
        for failures in 1..=MOST_FAILURES {
            assert!(breaker.admits());
            assert_eq!(breaker.failed(), failures == MOST_FAILURES);
        }
        for _ in 0..3 {
            assert!(breaker.refuses() && !breaker.admits());
            tokio::time::advance(RETRY_INTERVAL).await;
            assert!(!breaker.refuses() && breaker.admits());
            assert!(!breaker.admits(), "one at a time");
            assert!(!breaker.failed(), "it was so before");
        }
        assert!(breaker.answered());
        assert!(!breaker.refuses() && breaker.admits() && breaker.admits());
        assert!(!breaker.failed(), "it counts from the beginning");
    }
}
