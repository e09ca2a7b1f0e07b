//! SQLite inside the process: one thread that writes, in groups, and a few that read.

mod backup;
mod examine;
mod files;
mod mark;
mod query;
mod readers;
mod session;
mod space;
mod threads;
mod writer;

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use futures_util::future::OptionFuture;
use parking_lot::Mutex;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::{
    sync::mpsc,
    task,
    time::{Instant, sleep},
};

pub(super) use self::{
    backup::{backup, copy_aside},
    examine::look_at,
    files::is_there,
    query::{execute, for_each, rows},
    session::Session,
};
use self::{
    files::{Files, unavailable},
    mark::Mark,
    readers::Readers,
    threads::{Job, at_once, join, permits, queue, spawn},
    writer::Writer,
};
use super::{
    Error, Kind, Result, Tx, events, migrations,
    opening::Opening,
    reach::Reach,
    shared::Shared,
    unit::{Lost, Unit},
};
use crate::config::DatabaseConfig;

/// Commits that may wait to be told; then the writer waits, and its queue fills.
const UNTOLD: usize = 4;

/// How often it is asked whether another process still works with the files.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// Why what is asked of it is refused when its files are gone.
pub(super) const GONE: &str = "the database's files were removed or replaced";

/// An open database.
pub(super) struct Sqlite {
    files: Arc<Files>,
    /// Whether the files are gone: what is asked of it is refused.
    gone: AtomicBool,
    writer: mpsc::Sender<Job>,
    readers: Readers,
    writer_thread: Mutex<Option<JoinHandle<()>>>,
    teller: Mutex<Option<task::JoinHandle<()>>>,
}

impl Sqlite {
    /// Opens the database as it is to be opened. Called in a runtime, in which its news are told. As
    /// long as another process works with it, it waits.
    pub(super) async fn open(
        path: &Path,
        config: &DatabaseConfig,
        shared: &Arc<Shared>,
        patience: Duration,
        opening: Opening,
    ) -> Result<Self> {
        if opening == Opening::AsItIs {
            files::ensure_there(path)?;
        }
        let files = take(path, patience).await?;
        let (config, shared) = (config.clone(), shared.clone());
        let open = move || Self::open_files(files, &config, &shared, opening);
        task::spawn_blocking(open).await.map_err(|error| Error::new(Kind::Other, error))?
    }

    fn open_files(
        files: Files,
        config: &DatabaseConfig,
        shared: &Arc<Shared>,
        opening: Opening,
    ) -> Result<Self> {
        let mut mark = Mark::open(&files).map_err(unavailable)?;
        let path = files.path();
        let session = if opening == Opening::AsItIs {
            // Before anything is set in it.
            migrations::sqlite_as_it_is(&Session::to_look(path)?.connection)?;
            Session::to_write(path)?
        } else {
            let mut session = Session::to_write(path)?;
            migrations::sqlite(&mut session.connection, shared.clock.now(), opening)?;
            space::prepare(path, &session)?;
            session
        };
        let session = session.for_units(opening)?;
        begin(&session, &mut mark, shared, opening)?;
        let reach = Reach::upto(last_position(&session.connection)?);
        shared.reached(&reach);
        files.opened();
        let (writer, units) = mpsc::channel(permits(config.queue_length));
        let (committed, told) = mpsc::channel(UNTOLD);
        let teller = shared.tasks.spawn("store teller", writer::tell(shared.clone(), reach, told));
        let readers = Readers::start(path.to_owned(), config, shared.clone())?;
        let files = Arc::new(files);
        let limit = config.write_timeout;
        let thread =
            Writer::new(files.clone(), session, mark, (limit, opening), shared.clone(), committed);
        let writer_thread = spawn("stoa-db-writer", move || thread.run(units))?;
        Ok(Self {
            files,
            gone: AtomicBool::new(false),
            writer,
            readers,
            writer_thread: Mutex::new(Some(writer_thread)),
            teller: Mutex::new(Some(teller)),
        })
    }

    /// Makes the file anew, as small as it can be. As long as another process works with it, it
    /// waits.
    pub(super) async fn compact(path: &Path, patience: Duration) -> Result<()> {
        let files = take(path, patience).await?;
        let remade = task::spawn_blocking(move || {
            let _mark = Mark::open(&files).map_err(unavailable)?;
            space::remake(&Session::to_write(files.path())?)
        });
        remade.await.map_err(|error| Error::new(Kind::Other, error))?
    }

    /// Queues a unit that writes.
    pub(super) fn write(&self, unit: Box<dyn Unit>) {
        if let Some(unit) = self.unless_gone(unit) {
            queue(&self.writer, unit);
        }
    }

    /// Queues a unit that reads.
    pub(super) fn read(&self, unit: Box<dyn Unit>) {
        if let Some(unit) = self.unless_gone(unit) {
            self.readers.read(unit);
        }
    }

    /// Looks whether the files are still there.
    pub(super) fn is_there(&self) -> bool {
        let there = self.files.are_there();
        self.gone.store(!there, Ordering::Release);
        there
    }

    /// Bytes of the file, and of its log.
    pub(super) fn bytes(&self) -> (u64, u64) {
        let bytes = |path: &Path| fs::metadata(path).map_or(0, |file| file.len());
        (bytes(self.files.path()), bytes(&self.files.log()))
    }

    fn unless_gone(&self, unit: Box<dyn Unit>) -> Option<Box<dyn Unit>> {
        if self.gone.load(Ordering::Acquire) {
            unit.answer(Err(Error::new(Kind::Unavailable, GONE)));
            return None;
        }
        Some(unit)
    }

    /// Has the writer use a moment in which it has nothing else to do.
    pub(super) fn rest(&self) {
        // One that has much to do does not rest.
        let _ = self.writer.try_send(Job::Rest);
    }

    /// Whether it takes nothing more.
    pub(super) fn is_closed(&self) -> bool {
        self.writer.is_closed()
    }

    /// Does what is queued and closes the files.
    pub(super) async fn close(&self) {
        self.readers.close().await;
        let writer = self.writer_thread.lock().take();
        // A queue that is closed already has no thread behind it.
        let _ = self.writer.send(Job::End).await;
        join(writer).await;
        let teller = self.teller.lock().take();
        if let Some(Err(error)) = OptionFuture::from(teller).await {
            tracing::error!(%error, "the last commits were not told");
        }
        self.files.give_up();
    }
}

/// Begins to work with the database. Where it was restored from a backup, its streams start anew.
/// From here on its file is another than each of its backups, without the log, too. What is aside is
/// a copy, and nobody's store.
fn begin(session: &Session, mark: &mut Mark, shared: &Shared, opening: Opening) -> Result<()> {
    let connection = &session.connection;
    let restored = mark.is_ahead_of(connection)? && opening != Opening::Aside;
    let counted = (|| {
        let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
        let mut tx = Tx::sqlite(session, shared.clock.now());
        let least = at_once(async {
            if restored {
                tracing::warn!("the database was restored from a backup: its streams start anew");
                events::start_anew(&mut tx).await?;
            }
            Ok(events::beginning(&mut tx).await?.after)
        });
        let number = mark.raise(&transaction, least.map_err(Lost::into_error)?)?;
        transaction.commit()?;
        let folded = space::fold(connection);
        mark.note(number);
        folded
    })();
    match counted {
        // A disk that is full is no reason not to read.
        Err(error) if !restored => {
            tracing::warn!(%error, "the database takes no writes");
            Ok(())
        }
        counted => counted,
    }
}

/// The position that was taken last.
fn last_position(connection: &Connection) -> Result<i64> {
    Ok(connection.query_row("SELECT last FROM positions", [], |row| row.get(0))?)
}

/// Takes a database's files, as soon as no other process works with them.
async fn take(path: &Path, patience: Duration) -> Result<Files> {
    let until = Instant::now() + patience;
    let mut told = false;
    loop {
        let taken = Files::take(path).map_err(unavailable)?;
        if let Some(files) = taken {
            return Ok(files);
        }
        let path = path.display();
        if Instant::now() >= until {
            return Err(Error::new(
                Kind::Unavailable,
                format_args!("another process works with {path}"),
            ));
        }
        if !told {
            tracing::warn!(%path, "another process works with the database; waiting for its end");
            told = true;
        }
        sleep(ASK_AGAIN).await;
    }
}
