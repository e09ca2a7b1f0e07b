//! The store: units of work on SQLite or Postgres, whose rows and events are kept together.
//!
//! One SQL text serves both engines: `$1`… for parameters, times as BIGINT milliseconds, flags as
//! BIGINT 0 and 1, JSON and decimals as TEXT, blobs as BYTEA, `CAST(SUM(x) AS BIGINT)`, `RETURNING`,
//! `ON CONFLICT`; several ids are one parameter ([`Value::keys`]). Constraints are never deferred.
//!
//! Units that write run one after the other on SQLite, but side by side on Postgres (READ
//! COMMITTED): a change that depends on a state names that state in its `WHERE` and looks at how
//! many rows changed.
//!
//! What one unit costs, the others do not pay: how long it works, how long it waits for what another
//! holds, and how much waits in front of the store have limits, which end in a 503. Reads that take
//! long are few and have permits of their own.

mod backlog;
mod bulk;
mod companion;
mod error;
mod events;
mod examine;
mod examined;
mod measure;
mod migrations;
mod open;
mod opening;
mod postgres;
mod reach;
mod shared;
mod sqlite;
mod tables;
mod turn;
mod tx;
mod unit;
mod upkeep;
mod value;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use secrecy::ExposeSecret;
use tempfile::TempDir;
use tokio::{
    sync::{oneshot, watch},
    time::timeout,
};
use tracing::Instrument;
use uuid::Uuid;

use self::{
    backlog::Backlog, measure::Measure, postgres::Postgres, shared::Shared, sqlite::Sqlite,
    unit::Unit,
};
pub use self::{
    companion::{Companion, accompanied, companion},
    error::{Error, Kind, Result},
    events::{
        Absence, Beginning, Budget, KeptAt, KeptEvent, KeptWire, Missed, Portion, StoredEvent,
        StreamPosition, beginning, committed_after, continue_stream, empty_after, events_about,
        events_after, kept_after, kept_at, last_seq, missed_by, number_at, position,
        position_before, prune_events, rewrite, set_kept, streams_after, take_back,
    },
    examined::{Examined, PostgresExamined, SqliteExamined},
    migrations::Schema,
    postgres::{Listener, News},
    reach::{InvalidReach, Reach},
    shared::CommitListener,
    tables::Table,
    turn::Turn,
    tx::{Retell, Source, Tx},
    value::{Column, FromValue, Row, Value},
};
use crate::{
    config::DatabaseConfig,
    control::{Control, ControlListener},
    error as public, params,
    tasks::Tasks,
    traces::Cause,
};

/// The database's file in the data folder, where no URL names another.
const FILE: &str = "stoa.db";

/// Until a caller is told that the store took too long.
const UNIT_TIMEOUT: Duration = Duration::from_secs(10);

/// The open store. Cheap to clone.
#[derive(Clone)]
pub struct Db(Arc<Inner>);

struct Inner {
    engine: Engine,
    shared: Arc<Shared>,
    backlog: Backlog,
    /// Work that is carried to its end.
    begun: Tasks,
    /// The folder of a copy that is thrown away.
    _aside: Option<TempDir>,
}

enum Engine {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

impl Db {
    fn begin_after(&self, seq: i64) {
        self.0.shared.after.store(seq, Ordering::Relaxed);
    }

    /// Starts every stream anew, because the store was restored from a backup: clients may have heard
    /// of what is not in it any more. Nobody else may work with the store.
    ///
    /// # Errors
    /// [`public::Code::Unavailable`] when the store is not able to now.
    pub async fn start_anew(&self) -> public::Result<()> {
        let unit = async |tx: &mut Tx<'_>| {
            events::start_anew(tx).await?;
            Ok(beginning(tx).await?.after)
        };
        self.begin_after(self.write(unit).await?);
        Ok(())
    }

    /// Makes SQLite's file anew, as small as it can be; false for Postgres, which looks after that
    /// by itself. A file that another process works with is waited for so long.
    ///
    /// # Errors
    /// When it can't be opened or written.
    pub async fn compact(config: &DatabaseConfig, data: &Path, patience: Duration) -> Result<bool> {
        let Some(path) = file(config, data) else { return Ok(false) };
        Sqlite::compact(&path, patience).await.map(|()| true)
    }

    /// Whether a store could not be opened because its server is away, or does not answer: it may
    /// come yet.
    #[must_use]
    pub fn is_away(config: &DatabaseConfig, error: &Error) -> bool {
        file(config, Path::new("")).is_none()
            && matches!(error.kind(), Kind::Unavailable | Kind::Timeout | Kind::Busy)
    }

    /// Carries out a unit that writes: all of it is kept, with the events that it announces, or
    /// nothing. It awaits nothing but its transaction. When this returns, it is on the disk.
    ///
    /// # Errors
    /// The unit's own, which undoes it; [`public::Code::Unavailable`] when the store is not able
    /// to now. After that the unit may still have been kept, when the answer of its commit was
    /// lost: its events are sent then as those of any other, and what is tried again has an id of the
    /// caller's own. The task's [`Companion`] takes part.
    pub async fn write<T, F>(&self, unit: F) -> public::Result<T>
    where
        F: AsyncFnOnce(&mut Tx<'_>) -> public::Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let measure = &self.0.shared.measures.write;
        let unit = companion::with_companion(unit);
        let (unit, answer) = unit::unit(unit, Some(measure.ask()), None);
        in_time(self.0.write(unit), answer, Some(measure)).await
    }

    /// The same for a unit that carries so many bytes: when too many wait already, it is refused.
    ///
    /// # Errors
    /// Those of [`Db::write`].
    pub async fn write_sized<T, F>(&self, bytes: usize, unit: F) -> public::Result<T>
    where
        F: AsyncFnOnce(&mut Tx<'_>) -> public::Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let measure = &self.0.shared.measures.write;
        let bytes = self.0.backlog.count(bytes).inspect_err(|error| measure.fail(error))?;
        let unit = companion::with_companion(unit);
        let (unit, answer) = unit::unit(unit, Some(measure.ask()), Some(bytes));
        in_time(self.0.write(unit), answer, Some(measure)).await
    }

    /// Carries out a unit that only reads, all of it at one moment of the store.
    ///
    /// # Errors
    /// The unit's own; [`public::Code::Unavailable`] when the store is not able to now.
    pub async fn read<T, F>(&self, unit: F) -> public::Result<T>
    where
        F: AsyncFnOnce(&mut Tx<'_>) -> public::Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let measure = &self.0.shared.measures.read;
        let (unit, answer) = unit::unit(unit, Some(measure.ask()), None);
        in_time(self.0.read(unit), answer, Some(measure)).await
    }

    /// Does something in a task of its own, with the [`Companion`] of this one: a handler is dropped
    /// with its connection, and what it began and has to follow up would be left halfway.
    ///
    /// # Errors
    /// Those of the work; [`public::Code::Internal`] when it panicked.
    pub async fn run_to_completion<T: Send + 'static>(
        &self,
        work: impl Future<Output = public::Result<T>> + Send + 'static,
    ) -> public::Result<T> {
        let work = accompanied(companion(), work).in_current_span();
        self.0.begun.spawn("work", work).await.map_err(public::Error::internal)?
    }

    /// Waits for the ends of all that was begun by [`Db::run_to_completion`].
    pub async fn idle(&self) {
        self.0.begun.stop();
        self.0.begun.stopped().await;
    }

    /// How many events each stream keeps, at most.
    #[must_use]
    pub fn events_per_stream(&self) -> i64 {
        self.0.shared.keep.per_stream
    }

    /// How much one unit may announce.
    #[must_use]
    pub fn budget(&self) -> Budget {
        Budget::new(self.0.shared.keep)
    }

    /// Gives committed events to `listener`, in commit order of each stream, also those of other
    /// processes that work with the store. It is called by the store and does not wait. Before there is
    /// one, events are kept but go nowhere.
    pub fn set_commit_listener(&self, listener: CommitListener) {
        *self.0.shared.listener.write() = Some(listener);
        if let Engine::Postgres(postgres) = &self.0.engine {
            postgres.follow();
        }
    }

    /// Has what other processes say done by `controlled`, before what was announced later is given to the
    /// commit listener; the first that is given stays.
    pub fn set_control_listener(&self, controlled: ControlListener) {
        self.0.shared.controlled.get_or_init(|| controlled);
    }

    /// Who this process is to the others that work with the store; none where there is no other.
    #[must_use]
    pub fn process(&self) -> Option<Uuid> {
        (!self.is_own_file()).then_some(self.0.shared.process)
    }

    /// Has the other processes that work with the store do something of itself, where there are any.
    ///
    /// # Errors
    /// Those of a unit.
    pub async fn instruct(&self, control: Control) -> public::Result<()> {
        if self.process().is_none() {
            return Ok(());
        }
        self.write(async move |tx: &mut Tx<'_>| {
            tx.instruct(control);
            Ok(())
        })
        .await
    }

    /// Has other processes told at once that this one has committed events, as far as they share the
    /// store; the first that is given stays. It does not wait.
    pub fn set_herald(&self, herald: Arc<dyn Fn() + Send + Sync>) {
        self.0.shared.herald.get_or_init(|| herald);
    }

    /// Has it looked at once for what other processes have committed.
    pub fn wake(&self) {
        if let Engine::Postgres(postgres) = &self.0.engine {
            postgres.wake();
        }
    }

    /// Has what kept events name told again by `retell`; the first that is given stays.
    pub fn set_retell(&self, retell: Arc<dyn Retell>) {
        self.0.shared.retell.get_or_init(|| retell);
    }

    /// How far committed events have been handed on.
    #[must_use]
    pub fn reach(&self) -> Reach {
        self.0.shared.reach.borrow().clone()
    }

    /// Tells whenever more have been.
    #[must_use]
    pub fn reached(&self) -> watch::Receiver<Reach> {
        self.0.shared.reach.subscribe()
    }

    /// What a kept event follows from, where that is traced and not long ago.
    #[must_use]
    pub fn cause(&self, position: i64) -> Option<Cause> {
        self.0.shared.causes.of(position)
    }

    /// Has the events after this position kept, for some days and whatever their streams have: somebody
    /// is still to hear of them.
    pub fn need_after(&self, position: i64) {
        self.0.shared.needed_after.store(position, Ordering::Relaxed);
    }

    fn needed_after(&self) -> i64 {
        self.0.shared.needed_after.load(Ordering::Relaxed)
    }

    /// Whether the store does what it is asked, now.
    #[must_use]
    pub fn is_available(&self) -> bool {
        *self.0.shared.available.borrow()
    }

    /// Tells whenever the store goes away or is back.
    #[must_use]
    pub fn availability(&self) -> watch::Receiver<bool> {
        self.0.shared.available.subscribe()
    }

    /// Whether it is a file that no other process works with.
    #[must_use]
    pub fn is_own_file(&self) -> bool {
        matches!(self.0.engine, Engine::Sqlite(_))
    }

    /// Hears of records that other processes which work with the store begin to keep; none for a file,
    /// with which no other does.
    #[must_use]
    pub async fn listener(&self) -> Option<Listener> {
        match &self.0.engine {
            Engine::Sqlite(_) => None,
            Engine::Postgres(postgres) => Some(postgres.listener().await),
        }
    }

    /// Does what is queued, and closes. Units after that are refused.
    pub async fn close(&self) {
        self.0.shared.tasks.stop();
        match &self.0.engine {
            Engine::Sqlite(sqlite) => sqlite.close().await,
            Engine::Postgres(postgres) => postgres.close().await,
        }
        self.0.shared.tasks.stopped().await;
    }
}

/// SQLite's file; none where the URL names a server.
fn file(config: &DatabaseConfig, data: &Path) -> Option<PathBuf> {
    match config.url.as_ref().map(ExposeSecret::expose_secret) {
        None => Some(data.join(FILE)),
        Some(url) => url.strip_prefix("sqlite://").map(PathBuf::from),
    }
}

/// Waits until a unit is begun and for its answer, but not for ever.
async fn in_time<T>(
    begun: impl Future<Output = ()>,
    answer: oneshot::Receiver<public::Result<T>>,
    measure: Option<&Arc<Measure>>,
) -> public::Result<T> {
    let done = async {
        begun.await;
        answer.await
    };
    let error = match timeout(UNIT_TIMEOUT, done).await {
        Ok(Ok(answer)) => return answer,
        Ok(Err(_)) => Error::new(Kind::Unavailable, "it ended before it answered"),
        Err(_) => Error::new(Kind::Timeout, "it did not answer"),
    };
    if let Some(measure) = measure {
        measure.fail(&error);
    }
    Err(error.into())
}

impl Inner {
    async fn write(&self, unit: Box<dyn Unit>) {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.write(unit),
            // Boxed, so that SQLite's units do not carry what it takes around.
            Engine::Postgres(postgres) => Box::pin(postgres.write(unit)).await,
        }
    }

    async fn read(&self, unit: Box<dyn Unit>) {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.read(unit),
            Engine::Postgres(postgres) => Box::pin(postgres.read(unit)).await,
        }
    }

    fn is_closed(&self) -> bool {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.is_closed(),
            Engine::Postgres(postgres) => postgres.is_closed(),
        }
    }

    /// Writes a row, to find out whether the store takes it.
    async fn probe(&self) -> bool {
        const BEAT: &str = "
            INSERT INTO heartbeat (id, beat_at) VALUES (1, $1)
            ON CONFLICT (id) DO UPDATE SET beat_at = $1";
        let beat = async |tx: &mut Tx<'_>| {
            let now = tx.now();
            tx.execute(BEAT, &params![now]).await?;
            Ok(())
        };
        let (unit, answer) = unit::unit(beat, None, None);
        let begun = async {
            match &self.engine {
                Engine::Sqlite(sqlite) => sqlite.write(unit),
                Engine::Postgres(postgres) => postgres.probe(unit).await,
            }
        };
        match in_time(begun, answer, None).await {
            Ok(()) => true,
            // Somebody else writes that row.
            Err(error) => Error::cause_of(error).kind() == Kind::Busy,
        }
    }
}
