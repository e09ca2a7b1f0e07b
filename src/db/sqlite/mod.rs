//! SQLite inside the process: one thread that writes, in groups, and a few that read.

mod query;
mod readers;
mod session;
mod space;
mod writer;

use std::{
    fs, io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
};

use futures_util::FutureExt;
use tokio::{sync::mpsc, task};

pub(super) use self::{
    query::{execute, insert_all, rows},
    session::Session,
};
use self::{readers::Readers, writer::Writer};
use super::{
    Error, Kind, Result, Shared, migrations,
    unit::{Lost, Unit, guard},
};
use crate::config::DatabaseConfig;

/// Commits that may wait to be told; then the writer waits, and its queue fills.
const UNTOLD: usize = 4;

/// What a thread is asked.
enum Job {
    Unit(Box<dyn Unit>),
    /// Does what is queued and ends.
    End,
}

/// An open database.
pub(super) struct Sqlite {
    writer: mpsc::Sender<Job>,
    readers: Readers,
    writer_thread: Mutex<Option<JoinHandle<()>>>,
    teller: Mutex<Option<task::JoinHandle<()>>>,
}

impl Sqlite {
    /// Opens the database, made where there is none, and brings its tables up to date. Called in a
    /// runtime, in which its news are told.
    pub(super) fn open(path: &Path, config: &DatabaseConfig, shared: &Arc<Shared>) -> Result<Self> {
        create(path).map_err(|error| {
            Error::new(Kind::Unavailable, format_args!("{}: {error}", path.display()))
        })?;
        let mut session = Session::to_write(path)?;
        migrations::sqlite(&mut session.connection, shared.clock.now())?;
        space::prepare(path, &session)?;
        let (writer, units) = mpsc::channel(places(config.queue_length));
        let (committed, told) = mpsc::channel(UNTOLD);
        let teller = tokio::spawn(writer::tell(shared.clone(), told));
        let limit = config.write_timeout;
        let session = session.for_units()?;
        let thread = Writer::new(path.to_owned(), session, limit, shared.clone(), committed);
        let writer_thread = spawn("stoa-db-writer", move || thread.run(units))?;
        Ok(Self {
            writer,
            readers: Readers::start(path.to_owned(), config, shared.clone())?,
            writer_thread: Mutex::new(Some(writer_thread)),
            teller: Mutex::new(Some(teller)),
        })
    }

    /// Makes the file anew, as small as it can be. Nobody may have it open.
    pub(super) fn compact(path: &Path) -> Result<()> {
        space::remake(&Session::to_write(path)?)
    }

    /// Queues a unit that writes.
    pub(super) fn write(&self, unit: Box<dyn Unit>) {
        queue(&self.writer, unit);
    }

    /// Queues a unit that reads.
    pub(super) fn read(&self, unit: Box<dyn Unit>) {
        self.readers.read(unit);
    }

    /// Whether it takes nothing more.
    pub(super) fn is_closed(&self) -> bool {
        self.writer.is_closed()
    }

    /// Does what is queued and closes the files.
    pub(super) async fn close(&self) {
        self.readers.close().await;
        let writer = lock(&self.writer_thread).take();
        // A queue that is closed already has no thread behind it.
        let _ = self.writer.send(Job::End).await;
        join(writer).await;
        let teller = lock(&self.teller).take();
        if let Some(Err(error)) = futures_util::future::OptionFuture::from(teller).await {
            tracing::error!(%error, "the last commits were not told");
        }
    }
}

/// How many a configured number is here; one at least.
fn places(number: u32) -> usize {
    usize::try_from(number.max(1)).unwrap_or(usize::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn join(threads: impl IntoIterator<Item = JoinHandle<()>> + Send + 'static) {
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

fn queue(to: &mpsc::Sender<Job>, unit: Box<dyn Unit>) {
    let (job, why) = match to.try_send(Job::Unit(unit)) {
        Ok(()) => return,
        Err(mpsc::error::TrySendError::Full(job)) => (job, "too much is waiting for it"),
        Err(mpsc::error::TrySendError::Closed(job)) => (job, "it is closed"),
    };
    if let Job::Unit(unit) = job {
        unit.answer(Err(Error::new(Kind::Unavailable, why)));
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    let thread = thread::Builder::new().name(name.to_owned()).spawn(body);
    thread.map_err(|error| Error::new(Kind::Unavailable, error))
}

/// Makes the folder and the file, for the owner's eyes only. SQLite gives the files that it makes
/// beside it the same permissions.
fn create(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.recursive(true).create(folder)?;
    }
    let mut options = fs::OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.append(true).create(true).open(path).map(drop)
}

/// Statements on SQLite are done when they are asked for, so a unit that has to be waited for
/// waits for something else, with everyone behind it.
fn at_once<T>(unit: impl Future<Output = Result<T, Lost>>) -> Result<T, Lost> {
    guard(unit).now_or_never().unwrap_or_else(|| {
        Err(Lost::By(Error::new(Kind::Other, "a unit of work awaited something else")))
    })
}
