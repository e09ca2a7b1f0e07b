//! Sweeps over all sockets, which take long: one serves everyone who asked before it began.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

/// How many sweeps were asked for, and how many of those are done.
#[derive(Default)]
pub(super) struct SingleFlight {
    asked: AtomicU64,
    done: Mutex<u64>,
}

impl SingleFlight {
    /// Sweeps, or waits for a sweep that begins from now on; what came of it, where it was the own
    /// one.
    pub(super) async fn run<T>(&self, sweep: impl AsyncFnOnce() -> T) -> Option<T> {
        let own = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut done = self.done.lock().await;
        if *done >= own {
            return None;
        }
        let upto = self.asked.load(Ordering::SeqCst);
        let seen = sweep().await;
        *done = upto;
        Some(seen)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn a_look_serves_those_who_asked_before_it_began_and_nobody_later() {
        let flights = SingleFlight::default();
        let (go_on, wait) = oneshot::channel::<()>();
        let mut first = pin!(flights.run(async || wait.await.unwrap()));
        assert!(first.as_mut().now_or_never().is_none(), "it looks");
        let mut later = pin!(flights.run(async || "later"));
        let mut last = pin!(flights.run(async || "last"));
        assert!(later.as_mut().now_or_never().is_none());
        assert!(last.as_mut().now_or_never().is_none());
        go_on.send(()).unwrap();
        assert_eq!(first.await, Some(()));
        assert_eq!((later.await, last.await), (Some("later"), None));
        assert_eq!(flights.run(async || "another").await, Some("another"));
    }
}
