//! The threads that read. As many as there are cores do what comes; one that is long at a unit
//! leaves their number with it, and another takes its place, so nobody small waits for it.

use std::{
    num::NonZero,
    path::PathBuf,
    sync::{Arc, Weak},
    thread::{self, JoinHandle},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::{
    session::{Judge, Session},
    threads::{Job, at_once, join, permits, queue, spawn},
};
use crate::{
    config::DatabaseConfig,
    db::{
        Error, Result, Tx,
        shared::Shared,
        unit::{Lost, Unit, carry_out},
    },
};

/// Thousands of instructions of SQLite's machine after which a unit is a long one: some ten
/// milliseconds of a core. Work and not time, so that a busy machine makes nothing long.
const LONG: u32 = 200;

pub(super) struct Readers {
    jobs: mpsc::Sender<Job>,
    crew: Arc<Crew>,
}

/// What the threads have in common.
struct Crew {
    path: PathBuf,
    shared: Arc<Shared>,
    jobs: Mutex<mpsc::Receiver<Job>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Permits of the units that take long.
    long: Arc<Semaphore>,
    timeout: Duration,
}

/// That of the unit under way, once it is a long one.
type LongPermit = Arc<Mutex<Option<OwnedSemaphorePermit>>>;

impl Readers {
    pub(super) fn start(
        path: PathBuf,
        config: &DatabaseConfig,
        shared: Arc<Shared>,
    ) -> Result<Self> {
        let (jobs, receiver) = mpsc::channel(permits(config.queue_length));
        let crew = Arc::new(Crew {
            path,
            shared,
            jobs: Mutex::new(receiver),
            threads: Mutex::default(),
            long: Arc::new(Semaphore::new(permits(config.pool_size / 2))),
            timeout: config.read_timeout,
        });
        // Each keeps a cache of its own, and more of them than cores read no faster.
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        for _ in 0..permits(config.pool_size).min(cores) {
            crew.engage()?;
        }
        Ok(Self { jobs, crew })
    }

    /// Queues a unit.
    pub(super) fn read(&self, unit: Box<dyn Unit>) {
        queue(&self.jobs, unit);
    }

    /// Does what is queued and ends.
    pub(super) async fn close(&self) {
        // A queue that is closed already has no thread behind it.
        let _ = self.jobs.send(Job::End).await;
        loop {
            let threads = std::mem::take(&mut *self.crew.threads.lock());
            if threads.is_empty() {
                return;
            }
            join(threads).await;
        }
    }
}

impl Crew {
    /// Begins another thread.
    fn engage(self: &Arc<Self>) -> Result<()> {
        let crew = self.clone();
        let thread = spawn("stoa-db-reader", move || crew.serve())?;
        let mut threads = self.threads.lock();
        threads.retain(|thread| !thread.is_finished());
        threads.push(thread);
        Ok(())
    }

    /// The life of a thread.
    fn serve(self: &Arc<Self>) {
        let long_permit = LongPermit::default();
        let mut kept = None;
        while let Some(mut unit) = self.next() {
            if !unit.is_wanted() {
                continue;
            }
            let session = match kept.take() {
                Some(session) => Ok(session),
                None => Session::to_read(&self.path, self.judge(long_permit.clone())),
            };
            let read = session.and_then(|session| {
                let read = self.snapshot(&session, &mut *unit);
                if !read.as_ref().is_err_and(Error::is_outage) {
                    kept = Some(session);
                }
                read
            });
            // Given back before the answer: who has it may ask for as long a one at once.
            let took_long = long_permit.lock().take().is_some();
            unit.answer(read);
            if took_long {
                // Another has taken its place among the others.
                return;
            }
        }
    }

    /// The next unit, when there will be one.
    fn next(&self) -> Option<Box<dyn Unit>> {
        let mut jobs = self.jobs.lock();
        loop {
            match jobs.blocking_recv()? {
                Job::Unit(unit) => return Some(unit),
                // There is nothing for who reads.
                Job::Rest => {}
                Job::End => jobs.close(),
            }
        }
    }

    /// Decides about a unit that is at work for long: it leaves with its thread, where there is
    /// a permit for it.
    fn judge(self: &Arc<Self>, long_permit: LongPermit) -> Judge {
        // The connection that this is given to belongs to a thread that has the crew.
        let crew: Weak<Self> = Arc::downgrade(self);
        Box::new(move |work| {
            let mut long_permit = long_permit.lock();
            if work < LONG || long_permit.is_some() {
                return None;
            }
            let crew = crew.upgrade()?;
            match crew.long.clone().try_acquire_owned() {
                Ok(permit) => {
                    *long_permit = Some(permit);
                    crew.engage().err().map(|_| "there is no thread for it")
                }
                Err(_) => Some("it takes long, as too many others do"),
            }
        })
    }

    /// Reads in one transaction, so that everything is of the same moment.
    fn snapshot(&self, session: &Session, unit: &mut dyn Unit) -> Result<()> {
        let connection = &session.connection;
        connection.prepare_cached("BEGIN")?.execute([])?;
        session.meter.begin(self.timeout);
        let mut tx = Tx::sqlite(session, self.shared.clock.now()).by(self.shared.retell.get());
        let read = at_once(async {
            carry_out(unit, &mut tx).await?;
            Ok(tx.ensure_silent()?)
        });
        session.meter.end();
        connection.prepare_cached("ROLLBACK")?.execute([])?;
        read.or_else(Lost::cause)
    }
}
