//! The queue of one connection: what its events ask for is done one after another, in the order
//! they came. It costs nothing while idle: work that waits for nothing is done in the reader's
//! task, and a task exists only while something waits.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::FutureExt;

use super::connection::Connection;

/// The work of one event. It catches its own panics.
pub(super) type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// From how many waiting events on the client's socket is not read.
const PAUSE_AT: usize = 16;

/// From how many bytes in them on.
const PAUSE_AT_BYTES: usize = 256 * 1024;

#[derive(Default)]
pub(super) struct Queue(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    running: bool,
    /// What waits for the work that runs; nothing is kept while nothing does.
    more: Option<Box<More>>,
}

#[derive(Default)]
struct More {
    work: VecDeque<(Work, usize)>,
    /// Bytes of the payloads in it.
    bytes: usize,
    /// Whether reading waits for this queue.
    pausing: bool,
}

/// More events wait than may.
pub(super) struct Overflow;

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does the work after all that was asked before; `bytes` is what its payload takes.
    pub(super) fn run(
        connection: &Arc<Connection>,
        mut work: Work,
        bytes: usize,
        most: usize,
    ) -> Result<(), Overflow> {
        {
            let mut waiting = connection.queue().lock();
            if waiting.running {
                let more = waiting.more.get_or_insert_default();
                if more.work.len() >= most {
                    return Err(Overflow);
                }
                more.work.push_back((work, bytes));
                more.bytes += bytes;
                let long = more.work.len() >= PAUSE_AT || more.bytes >= PAUSE_AT_BYTES;
                if long && !more.pausing {
                    more.pausing = true;
                    connection.link.pause();
                }
                return Ok(());
            }
            waiting.running = true;
        }
        if (&mut work).now_or_never().is_some() {
            let mut waiting = connection.queue().lock();
            if waiting.more.is_none() {
                waiting.running = false;
                return Ok(());
            }
            drop(waiting);
            tokio::spawn(drain(connection.clone(), None));
        } else {
            tokio::spawn(drain(connection.clone(), Some(work)));
        }
        Ok(())
    }
}

async fn drain(connection: Arc<Connection>, mut next: Option<Work>) {
    loop {
        if let Some(work) = next.take() {
            work.await;
        }
        let mut waiting = connection.queue().lock();
        next = waiting.more.as_mut().and_then(|more| {
            let (work, bytes) = more.work.pop_front()?;
            more.bytes -= bytes;
            Some(work)
        });
        if next.is_none() {
            if std::mem::take(&mut *waiting).more.is_some_and(|more| more.pausing) {
                connection.link.resume();
            }
            return;
        }
    }
}
