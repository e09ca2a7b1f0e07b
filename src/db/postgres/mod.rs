//! Postgres behind pools of connections: a transaction for each unit, and every wait has an end.
//! What reads and what writes have connections of their own, and reads that take long are few, so
//! that neither a locked row nor a slow question keeps the others waiting.

mod aside;
mod examine;
mod locks;
mod query;
mod records;
mod session;
mod tail;
mod turn;

use std::{
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use sqlx::{
    Connection as _, Executor as _, PgConnection, PgPool, Postgres as Engine,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

pub use self::records::{Listener, News};
pub(super) use self::turn::Turn;
use self::{
    locks::{Locks, OrderGuard, Patience},
    session::Progress,
    tail::{Beginning, Follower},
};
pub(super) use self::{
    query::{NEXT_POSITIONS, NOW, SKIP_POSITIONS, execute, for_each, lock_row, rows},
    records::tell,
    session::Session,
};
use super::{
    Error, Kind, PostgresExamined, Result, Tx, events, migrations,
    opening::Opening,
    shared::Shared,
    unit::{Lost, Unit, carry_out, guard},
};
use crate::config::DatabaseConfig;

/// Until a connection is free, or made.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);

/// Until a unit is done. It ends what the server's own limits do not: a peer that is gone without
/// a word.
const UNIT_TIMEOUT: Duration = Duration::from_secs(8);

/// After how long a read is one of the long ones, of which there are few.
const LONG: Duration = Duration::from_millis(250);

/// Of how many units that write one may wait for a row as long as `lock_timeout`.
const PATIENT: u32 = 4;

/// An open database. Cheap to clone.
#[derive(Clone)]
pub(super) struct Postgres(Arc<Inner>);

struct Inner {
    options: PgConnectOptions,
    writes: PgPool,
    reads: PgPool,
    /// For nothing but to ask whether the server is there.
    probes: PgPool,
    /// Whether it is a copy, of which nobody else is told.
    is_aside: bool,
    /// Permits of the units that wait for a connection.
    waiting_writes: Arc<Semaphore>,
    waiting_reads: Arc<Semaphore>,
    /// Permits of the reads that take long, and of all others.
    long: Semaphore,
    short: Arc<Semaphore>,
    /// Permits of the units that may wait long for a row.
    patient: Arc<Semaphore>,
    lock_timeout: Duration,
    read_timeout: Duration,
    locks: Arc<Locks>,
    /// Where the tail begins, until it is begun.
    beginning: Mutex<Option<Beginning>>,
    follower: Arc<Follower>,
    shared: Arc<Shared>,
}

impl Postgres {
    /// Connects to a database that is to be opened so.
    pub(super) async fn open(
        url: &str,
        config: &DatabaseConfig,
        shared: &Arc<Shared>,
        opening: Opening,
    ) -> Result<Self> {
        let options = options(url)?;
        // Not from a pool: a migration may take longer than a unit of work may.
        let mut connection = timeout(UNIT_TIMEOUT, PgConnection::connect_with(&options))
            .await
            .map_err(|_| Error::new(Kind::Unavailable, "no answer"))??;
        match opening {
            Opening::AsItIs => migrations::postgres_as_it_is(&mut connection).await?,
            _ => migrations::postgres(&mut connection, opening).await?,
        }
        connection.close().await?;
        let pool = |connections, statement_timeout| {
            let (settings, options) =
                bounded(&options, connections, statement_timeout, config.lock_timeout);
            settings.connect_lazy_with(options)
        };
        let (size, long) = (config.pool_size, (config.pool_size / 2).max(1));
        let pools = Pools {
            writes: pool(size, config.write_timeout),
            reads: pool(size + long, config.read_timeout),
            probes: pool(1, config.write_timeout),
        };
        let beginning = match opening {
            Opening::Work => Some(Beginning::of(pool(2, config.read_timeout), shared).await?),
            _ => None,
        };
        Ok(Self::new(options, pools, config, shared, beginning, false))
    }

    /// Copies a database for this process alone.
    pub(super) async fn open_aside(
        url: &str,
        config: &DatabaseConfig,
        shared: &Arc<Shared>,
    ) -> Result<Self> {
        let options = options(url)?;
        let (settings, own) = bounded(&options, 1, config.write_timeout, config.lock_timeout);
        let session = aside::open(&options, settings, own).await?;
        let pools = Pools { writes: session.clone(), reads: session.clone(), probes: session };
        Ok(Self::new(options, pools, config, shared, None, true))
    }

    /// Looks at the database of a URL from outside.
    pub(super) async fn examine(url: &str) -> Result<PostgresExamined> {
        let look = timeout(UNIT_TIMEOUT, examine::look(&options(url)?)).await;
        look.map_err(|_| Error::new(Kind::Unavailable, "no answer"))?
    }

    fn new(
        options: PgConnectOptions,
        Pools { writes, reads, probes }: Pools,
        config: &DatabaseConfig,
        shared: &Arc<Shared>,
        beginning: Option<Beginning>,
        is_aside: bool,
    ) -> Self {
        let (size, long) = (config.pool_size, (config.pool_size / 2).max(1));
        let permits = |number: u32| Semaphore::new(usize::try_from(number).unwrap_or(1));
        Self(Arc::new(Inner {
            options,
            writes,
            reads,
            probes,
            is_aside,
            waiting_writes: Arc::new(permits(config.queue_length)),
            waiting_reads: Arc::new(permits(config.queue_length)),
            long: permits(long),
            short: Arc::new(permits(size)),
            patient: Arc::new(permits((size / PATIENT).max(1))),
            lock_timeout: config.lock_timeout,
            read_timeout: config.read_timeout,
            locks: Arc::default(),
            beginning: Mutex::new(beginning),
            follower: Arc::default(),
            shared: shared.clone(),
        }))
    }

    /// Begins to hand on what is committed, once there is somebody to hear it.
    pub(super) fn follow(&self) {
        let Some(beginning) = self.0.beginning.lock().take() else { return };
        let Inner { shared, follower, .. } = &*self.0;
        follower.begin();
        let follow = tail::follow(beginning, shared.clone(), follower.clone());
        shared.tasks.spawn("store tail", follow);
    }

    /// Has the tail look at once.
    pub(super) fn wake(&self) {
        self.0.follower.look();
    }

    /// Hears what other processes tell.
    pub(super) async fn listener(&self) -> Listener {
        let Inner { options, read_timeout, lock_timeout, .. } = &*self.0;
        let (settings, options) = bounded(options, 1, *read_timeout, *lock_timeout);
        Listener::begin(settings, options).await
    }

    /// Waits for this process's turn.
    pub(super) async fn turn(&self, of: &str) -> Turn {
        Turn::take(&self.0.options, of).await
    }

    /// Begins a unit that writes, on a connection of its own.
    pub(super) async fn write(&self, unit: Box<dyn Unit>) {
        let Ok(waiting) = self.0.waiting_writes.try_acquire() else { return refuse(unit) };
        let connection = self.0.writes.acquire().await;
        drop(waiting);
        self.begin_write(connection, unit);
    }

    /// Begins a unit that finds out whether the server takes writes, whatever the others wait for.
    pub(super) async fn probe(&self, unit: Box<dyn Unit>) {
        let connection = self.0.probes.acquire().await;
        self.begin_write(connection, unit);
    }

    fn begin_write(&self, connection: sqlx::Result<PoolConnection<Engine>>, unit: Box<dyn Unit>) {
        let connection = match connection {
            Ok(connection) => connection,
            Err(error) => return unit.answer(Err(error.into())),
        };
        let permit = self.0.patient.clone().try_acquire_owned().ok();
        self.carry(connection, unit, None, async move |this, connection, unit, progress| {
            let patience = this.locks.patience(permit.is_some(), this.lock_timeout);
            let done = this.write(connection, unit, progress, &patience).await;
            if matches!(&done, Err(Lost::By(error)) if error.kind() == Kind::Busy) {
                this.locks.warn(&patience);
            }
            done
        });
    }

    /// Begins a unit that reads, at one moment of the database.
    pub(super) async fn read(&self, unit: Box<dyn Unit>) {
        const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        let Ok(waiting) = self.0.waiting_reads.try_acquire() else { return refuse(unit) };
        let permit = timeout(ACQUIRE_TIMEOUT, self.0.short.clone().acquire_owned()).await;
        let Ok(Ok(permit)) = permit else {
            return unit.answer(Err(Error::new(Kind::Busy, "too many others read")));
        };
        let connection = match self.0.reads.acquire().await {
            Ok(connection) => connection,
            Err(error) => return unit.answer(Err(error.into())),
        };
        drop(waiting);
        self.carry(
            connection,
            unit,
            Some(permit),
            async move |this, connection, unit, progress| {
                let mut transaction = connection.begin_with(SNAPSHOT).await.map_err(Error::from)?;
                let (locks, patience) =
                    (&this.locks, &this.locks.patience(true, this.lock_timeout));
                let session = Session { connection: &mut transaction, locks, patience, progress };
                let mut tx =
                    Tx::postgres(session, this.shared.clock.now()).by(this.shared.retell.get());
                carry_out(unit, &mut tx).await?;
                tx.ensure_silent()?;
                Ok(transaction.rollback().await.map_err(Error::from)?)
            },
        );
    }

    /// Lets a thread carry a unit out: its future can't move between threads, and it goes on to
    /// its end when the caller has gone. A unit that reads has its permit.
    fn carry<A>(
        &self,
        mut connection: PoolConnection<Engine>,
        mut unit: Box<dyn Unit>,
        short: Option<OwnedSemaphorePermit>,
        attempt: A,
    ) where
        A: AsyncFnOnce(
                &Inner,
                &mut PoolConnection<Engine>,
                &mut dyn Unit,
                &Progress,
            ) -> Result<(), Lost>
            + Send
            + 'static,
    {
        let this = self.0.clone();
        tokio::task::spawn_blocking(move || {
            Handle::current().block_on(async {
                let progress = Progress::default();
                let attempt = guard(attempt(&this, &mut connection, &mut *unit, &progress));
                let done = match short {
                    Some(short) => this.read_in_time(short, attempt).await,
                    None => in_time(UNIT_TIMEOUT, attempt).await,
                };
                let given_up = done.is_err();
                let done = done.unwrap_or_else(|why| {
                    let error = Error::new(Kind::Timeout, why);
                    Err(Lost::By(error.in_statement(progress.doing.get())))
                });
                if let Err(Lost::By(error)) = &done {
                    if error.is_outage() {
                        this.shared.report(false);
                    }
                    // Its state is not known any more.
                    if given_up || error.kind() == Kind::Unavailable {
                        connection.close_on_drop();
                    }
                } else {
                    this.shared.report(true);
                }
                drop(connection);
                // Who is answered has heard of it.
                if let Some(position) = progress.position.get() {
                    this.shared.herald.get().inspect(|herald| herald());
                    this.follower.passes(position, &this.shared).await;
                }
                unit.answer(done.or_else(Lost::cause));
            });
        });
    }

    /// Bytes of the database on the server.
    pub(super) async fn bytes(&self) -> Result<u64> {
        const BYTES: &str = "SELECT pg_database_size(current_database())";
        let bytes: i64 = sqlx::query_scalar(BYTES).fetch_one(&self.0.probes).await?;
        Ok(bytes.try_into().unwrap_or(0))
    }

    /// Whether it takes nothing more.
    pub(super) fn is_closed(&self) -> bool {
        self.0.writes.is_closed()
    }

    /// Waits for the units that are on their way and closes the connections.
    pub(super) async fn close(&self) {
        let Inner { writes, reads, probes, .. } = &*self.0;
        tokio::join!(writes.close(), reads.close(), probes.close());
        let never_begun = self.0.beginning.lock().take();
        if let Some(beginning) = never_begun {
            beginning.close().await;
        }
        self.0.follower.end();
    }
}

impl Inner {
    async fn write(
        &self,
        connection: &mut PoolConnection<Engine>,
        unit: &mut dyn Unit,
        progress: &Progress,
        patience: &Patience,
    ) -> Result<(), Lost> {
        let begun = connection.begin_with(patience.begin).await;
        let mut transaction = begun.map_err(Error::from)?;
        let locks = &self.locks;
        let session = Session { connection: &mut transaction, locks, patience, progress };
        let tx = Tx::postgres(session, self.shared.clock.now()).by(self.shared.retell.get());
        let mut tx = if self.is_aside { tx } else { tx.of(self.shared.process) };
        carry_out(unit, &mut tx).await?;
        if !self.is_aside {
            tx.tell_others().await?;
        }
        let kept = tx.announced.iter().filter(|event| event.kept());
        let streams = kept.flat_map(|event| event.streams());
        let guards = locks.streams(streams, patience).await?;
        let announced = events::number(&mut tx, self.shared.keep(), self.shared.after()).await?;
        self.shared.note_cause(unit, &announced);
        guards.iter().for_each(OrderGuard::got);
        let ending = Instant::now();
        transaction.commit().await.map_err(Error::from)?;
        self.shared.measures.commit.record(ending.elapsed());
        drop(guards);
        // What is kept is handed on by the tail.
        progress.position.set(announced.iter().map(|event| event.position).max());
        let unkept = announced.into_iter().filter(|event| event.numbers.is_empty());
        self.shared.hand_on_unkept(unkept);
        Ok(())
    }

    /// Waits for a read. One that takes long gives its permit to the next, where there is another
    /// for it; else it is given up.
    async fn read_in_time<T>(
        &self,
        short: OwnedSemaphorePermit,
        read: impl Future<Output = T>,
    ) -> Result<T, &'static str> {
        let mut read = pin!(read);
        if let Ok(done) = timeout(LONG.min(self.read_timeout), &mut read).await {
            return Ok(done);
        }
        let Ok(_long) = self.long.try_acquire() else {
            return Err("it takes long, as too many others do");
        };
        drop(short);
        in_time(self.read_timeout.saturating_sub(LONG), read).await
    }
}

async fn in_time<T>(limit: Duration, work: impl Future<Output = T>) -> Result<T, &'static str> {
    timeout(limit, work).await.map_err(|_| "the unit of work took too long")
}

fn refuse(unit: Box<dyn Unit>) {
    unit.answer(Err(Error::new(Kind::Unavailable, "too much is waiting for it")));
}

/// Connections of the three kinds.
struct Pools {
    writes: PgPool,
    reads: PgPool,
    probes: PgPool,
}

fn options(url: &str) -> Result<PgConnectOptions> {
    // Why it is none has the value in it, which may be the rest of a password.
    let options = url.parse::<PgConnectOptions>().map_err(|_| {
        let why = "DATABASE_URL can't be read: a part of it, or a value behind its ?, is none that Postgres \
                   knows; special characters of a password have to be percent-encoded";
        Error::new(Kind::Other, why)
    })?;
    Ok(options.application_name("stoa"))
}

/// Which database it is, without its password.
pub(super) fn name(url: &str) -> String {
    let Ok(options) = options(url) else { return "at a URL that can't be read".to_owned() };
    let user = options.get_username();
    let database = options.get_database().unwrap_or(user);
    match options.get_socket() {
        Some(socket) => format!("{database} at {}, as {user}", socket.display()),
        None => format!("{database} at {}:{}, as {user}", options.get_host(), options.get_port()),
    }
}

/// Settings of connections on which the server itself ends what takes too long: a statement, a wait for
/// another's rows, a transaction that does nothing, a statement of which nobody will hear.
fn bounded(
    options: &PgConnectOptions,
    connections: u32,
    statement_timeout: Duration,
    lock_timeout: Duration,
) -> (PgPoolOptions, PgConnectOptions) {
    // Not every system can tell that a peer has gone.
    const UNHEARD: &str = "SET client_connection_check_interval = '250ms'";
    let options = options.clone().options([
        ("statement_timeout", format!("{}ms", statement_timeout.as_millis())),
        ("lock_timeout", format!("{}ms", lock_timeout.as_millis())),
        ("idle_in_transaction_session_timeout", "10s".to_owned()),
    ]);
    let settings = PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .after_connect(|connection, _| {
            Box::pin(async move {
                match connection.execute(UNHEARD).await {
                    Err(error) if error.as_database_error().is_none() => Err(error),
                    _ => Ok(()),
                }
            })
        });
    (settings, options)
}
