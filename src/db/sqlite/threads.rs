//! The threads of a database: begun, asked through a queue, and waited for.

use std::thread::{self, JoinHandle};

use futures_util::FutureExt;
use tokio::{sync::mpsc, task};

use crate::db::{
    error::{Error, Kind, Result},
    unit::{Lost, Unit, guard},
};

/// What a thread is asked.
pub(super) enum Job {
    Unit(Box<dyn Unit>),
    /// Tidies up where nothing else waits.
    Rest,
    /// Does what is queued and ends.
    End,
}

/// How many a configured number is here; one at least.
pub(super) fn permits(number: u32) -> usize {
    usize::try_from(number.max(1)).unwrap_or(usize::MAX)
}

/// Waits for threads that end.
pub(super) async fn join(threads: impl IntoIterator<Item = JoinHandle<()>> + Send + 'static) {
    let joined = task::spawn_blocking(move || {
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the store panicked");
            }
        }
    });
    // Its panics are those that were just told.
    let _ = joined.await;
}

/// Has a thread do a unit; one that can't be taken is answered at once.
pub(super) fn queue(to: &mpsc::Sender<Job>, unit: Box<dyn Unit>) {
    let (job, why) = match to.try_send(Job::Unit(unit)) {
        Ok(()) => return,
        Err(mpsc::error::TrySendError::Full(job)) => (job, "too much is waiting for it"),
        Err(mpsc::error::TrySendError::Closed(job)) => (job, "it is closed"),
    };
    if let Job::Unit(unit) = job {
        unit.answer(Err(Error::new(Kind::Unavailable, why)));
    }
}

/// Begins a thread.
pub(super) fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    let thread = thread::Builder::new().name(name.to_owned()).spawn(body);
    thread.map_err(|error| Error::new(Kind::Unavailable, error))
}

/// Statements on SQLite are done when they are asked for, so a unit that has to be waited for
/// waits for something else, with everyone behind it.
pub(super) fn at_once<T>(unit: impl Future<Output = Result<T, Lost>>) -> Result<T, Lost> {
    guard(unit).now_or_never().unwrap_or_else(|| {
        Err(Lost::By(Error::new(Kind::Other, "a unit of work awaited something else")))
    })
}
