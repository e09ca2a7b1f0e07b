//! SQLite inside the process: one thread that writes, in groups, and a few that read.

mod query;
mod writer;

use std::{
    fs, io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use futures_util::FutureExt;
use rusqlite::{Connection, OpenFlags};
use tokio::{sync::mpsc, task};

pub(super) use self::query::{execute, rows};
use self::writer::Writer;
use super::{
    Error, Kind, Result, Shared, Tx, migrations,
    unit::{Lost, Unit, carry_out, guard},
};

/// Units that may wait for the writer, and for the readers.
const QUEUE: usize = 4096;

/// Commits that may wait to be told; then the writer waits, and its queue fills.
const UNTOLD: usize = 4;

/// How long to wait for another process that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Statements that a connection keeps prepared.
const STATEMENTS: usize = 256;

/// What a thread is asked.
enum Job {
    Unit(Box<dyn Unit>),
    /// Does what is queued and ends.
    End,
}

/// An open database.
pub(super) struct Sqlite {
    writer: mpsc::Sender<Job>,
    readers: mpsc::Sender<Job>,
    writer_thread: Mutex<Option<JoinHandle<()>>>,
    teller: Mutex<Option<task::JoinHandle<()>>>,
    reader_threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Sqlite {
    /// Opens the database, made where there is none, and brings its tables up to date. Called in a
    /// runtime, in which its news are told.
    pub(super) fn open(path: &Path, readers: u32, shared: &Arc<Shared>) -> Result<Self> {
        create(path).map_err(|error| {
            Error::new(Kind::Unavailable, format_args!("{}: {error}", path.display()))
        })?;
        let mut connection = connect(path)?;
        migrations::sqlite(&mut connection, shared.clock.now())?;
        let (writer, units) = mpsc::channel(QUEUE);
        let (committed, told) = mpsc::channel(UNTOLD);
        let teller = tokio::spawn(writer::tell(shared.clone(), told));
        let thread = Writer::new(path.to_owned(), connection, shared.clone(), committed);
        let writer_thread = spawn("stoa-db-writer", move || thread.run(units))?;
        let (sender, units) = mpsc::channel(QUEUE);
        let units = Arc::new(Mutex::new(units));
        let reader_threads = (0..readers)
            .map(|_| {
                let (path, shared, units) = (path.to_owned(), shared.clone(), units.clone());
                spawn("stoa-db-reader", move || read(&path, &shared, &units))
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            writer,
            readers: sender,
            writer_thread: Mutex::new(Some(writer_thread)),
            teller: Mutex::new(Some(teller)),
            reader_threads: Mutex::new(reader_threads),
        })
    }

    /// Queues a unit that writes.
    pub(super) fn write(&self, unit: Box<dyn Unit>) {
        queue(&self.writer, unit);
    }

    /// Queues a unit that reads.
    pub(super) fn read(&self, unit: Box<dyn Unit>) {
        queue(&self.readers, unit);
    }

    /// Whether it takes nothing more.
    pub(super) fn is_closed(&self) -> bool {
        self.writer.is_closed()
    }

    /// Does what is queued and closes the files.
    pub(super) async fn close(&self) {
        let readers = std::mem::take(&mut *lock(&self.reader_threads));
        // A queue that is closed already has no thread behind it.
        let _ = self.readers.send(Job::End).await;
        join(readers).await;
        let writer = lock(&self.writer_thread).take();
        let _ = self.writer.send(Job::End).await;
        join(writer).await;
        let teller = lock(&self.teller).take();
        if let Some(Err(error)) = futures_util::future::OptionFuture::from(teller).await {
            tracing::error!(%error, "the last commits were not told");
        }
    }
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

/// A connection that writes. A commit is on the disk before it is told (`synchronous=FULL`). The
/// log is folded in when it has 16 MB: what many commits change is then written once.
fn connect(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON;
         PRAGMA wal_autocheckpoint = 4000;
         PRAGMA journal_size_limit = 67108864;",
    )?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// A connection that reads.
fn connect_to_read(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// The life of a thread that reads.
fn read(path: &Path, shared: &Shared, units: &Mutex<mpsc::Receiver<Job>>) {
    let mut kept = None;
    loop {
        let job = {
            let mut units = lock(units);
            let job = units.blocking_recv();
            if matches!(job, Some(Job::End)) {
                units.close();
            }
            job
        };
        let mut unit = match job {
            None => return,
            Some(Job::End) => continue,
            Some(Job::Unit(unit)) => unit,
        };
        if !unit.is_wanted() {
            continue;
        }
        let connection = match kept.take() {
            Some(connection) => Ok(connection),
            None => connect_to_read(path),
        };
        let read = connection.and_then(|connection| {
            let read = snapshot(&connection, shared, &mut *unit);
            if !read.as_ref().is_err_and(Error::is_outage) {
                kept = Some(connection);
            }
            read
        });
        unit.answer(read);
    }
}

/// Reads in one transaction, so that everything is of the same moment.
fn snapshot(connection: &Connection, shared: &Shared, unit: &mut dyn Unit) -> Result<()> {
    connection.prepare_cached("BEGIN")?.execute([])?;
    let mut tx = Tx::sqlite(connection, shared.clock.now());
    let read = at_once(async {
        carry_out(unit, &mut tx).await?;
        Ok(tx.ensure_silent()?)
    });
    connection.prepare_cached("ROLLBACK")?.execute([])?;
    read.or_else(Lost::cause)
}

/// Statements on SQLite are done when they are asked for, so a unit that has to be waited for
/// waits for something else, with everyone behind it.
fn at_once<T>(unit: impl Future<Output = Result<T, Lost>>) -> Result<T, Lost> {
    guard(unit).now_or_never().unwrap_or_else(|| {
        Err(Lost::By(Error::new(Kind::Other, "a unit of work awaited something else")))
    })
}
