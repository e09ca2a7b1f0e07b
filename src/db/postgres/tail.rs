//! The tail of a database: every committed event, whichever process committed it, read by its position
//! and handed on once. Positions are taken before a commit, so one may come after a higher one; whether
//! it still can is asked of the server.

use std::{
    mem,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sqlx::{
    PgPool, Row as _,
    pool::PoolConnection,
    postgres::{PgArguments, PgRow},
    query::Query,
};
use tokio::{runtime::Handle, sync::Notify, task::spawn_blocking, time::timeout};

use super::{
    locks::Locks,
    query::read,
    session::{Progress, Session},
};
use crate::{
    control::{Control, Said},
    db::{
        Error, Kind, Result, Row, Tx,
        events::{self, Told},
        reach::{MOST_MISSING, Reach},
        shared::Shared,
    },
    log_limit,
    stream::CommittedEvent,
};

/// How often it is looked for what others have committed.
const LOOK: Duration = Duration::from_millis(100);

/// How long a unit waits at most until what it announced has been handed on.
const HANDED_ON: Duration = Duration::from_secs(5);

/// For how long the server may say nothing: a peer that is gone without a word is not waited for.
const SILENCE: Duration = Duration::from_secs(10);

/// How long later events wait at most until what another process said is done.
const OBEYED: Duration = Duration::from_secs(5);

/// Events that are read at once, and their bytes, about.
const EVENTS: i64 = 256;
const BYTES: i64 = 4 * 1024 * 1024;

/// Where events may still come that were under way when the tail began.
const LOOK_BACK: usize = MOST_MISSING;

/// What a tail begins with, and who wakes it.
pub(super) struct Beginning {
    reach: Reach,
    asked: Option<Asked>,
    pool: PgPool,
}

/// Positions of which it was asked whether they can still come: not, once every transaction has ended
/// that was under way by then.
struct Asked {
    of: Vec<i64>,
    /// The next transaction of that moment.
    bound: i64,
}

/// Wakes the tail and waits for it.
#[derive(Default)]
pub(super) struct Follower {
    wake: Notify,
    follows: AtomicBool,
    ending: AtomicBool,
}

impl Follower {
    /// From now on there is one.
    pub(super) fn begin(&self) {
        self.follows.store(true, Ordering::Release);
    }

    /// Waits until an event that was committed has been handed on, unless the server has gone
    /// meanwhile.
    pub(super) async fn passes(&self, position: i64, shared: &Shared) {
        if !self.follows.load(Ordering::Acquire) {
            return;
        }
        let (mut reach, mut available) = (shared.reach.subscribe(), shared.available.subscribe());
        self.wake.notify_one();
        // Who is not told in time is answered, and the event comes later.
        tokio::select! {
            _ = timeout(HANDED_ON, reach.wait_for(|reach| reach.has(position))) => {}
            _ = available.wait_for(|is_available| !is_available) => {}
        }
    }

    /// Has it look at once.
    pub(super) fn look(&self) {
        self.wake.notify_one();
    }

    /// Has it look once more, and end.
    pub(super) fn end(&self) {
        self.ending.store(true, Ordering::Release);
        self.wake.notify_one();
    }
}

impl Beginning {
    /// Where the database is now: what is committed from here on is handed on.
    pub(super) async fn of(pool: PgPool, shared: &Shared) -> Result<Self> {
        const LAST: &str = "
            SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM positions_last_seq";
        const UNDER_WAY: &str = "
            SELECT position
            FROM generate_series(GREATEST(CAST($1 AS BIGINT) - $2 + 1, 1), $1) AS position
            WHERE NOT EXISTS (SELECT 1 FROM events e WHERE e.position = position.position)";
        let last: i64 = sqlx::query_scalar(LAST).fetch_one(&pool).await?;
        let under_way: Vec<i64> = sqlx::query_scalar(UNDER_WAY)
            .bind(last)
            .bind(i64::try_from(LOOK_BACK).unwrap_or(i64::MAX))
            .fetch_all(&pool)
            .await?;
        let asked = ask(&pool, under_way.clone()).await?;
        // The highest that is there.
        let top = (0..=last).rev().find(|position| !under_way.contains(position)).unwrap_or(0);
        let reach = Reach::without(top, under_way);
        shared.reached(&reach);
        Ok(Self { reach, asked, pool })
    }

    /// Nobody follows from there.
    pub(super) async fn close(self) {
        self.pool.close().await;
    }
}

/// Hands on what is committed, until there is no database any more that it belongs to.
pub(super) async fn follow(
    Beginning { reach, asked, pool }: Beginning,
    shared: Arc<Shared>,
    follower: Arc<Follower>,
) {
    let mut tail = Tail { reach, asked, pool, connection: None, shared };
    loop {
        let is_last = follower.ending.load(Ordering::Acquire) || Arc::strong_count(&follower) == 1;
        match tail.look().await {
            Ok(Looked::More) => continue,
            Ok(Looked::All) => {}
            Err(error) => warn(&error),
        }
        if is_last {
            // The pool waits for it.
            drop(tail.connection.take());
            return tail.pool.close().await;
        }
        // What others commit is looked for; what this process does is told.
        let _ = timeout(LOOK, follower.wake.notified()).await;
    }
}

struct Tail {
    reach: Reach,
    asked: Option<Asked>,
    pool: PgPool,
    /// Its own, as long as nothing failed on it.
    connection: Option<PoolConnection<sqlx::Postgres>>,
    shared: Arc<Shared>,
}

/// Whether all was read.
enum Looked {
    All,
    More,
}

impl Tail {
    /// Reads what is committed by now, and hands it on.
    async fn look(&mut self) -> Result<Looked> {
        const SIZES: &str = "
            SELECT CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS TEXT) AS BIGINT) AS under_way,
                found.position, found.bytes
            FROM (SELECT 1) one LEFT JOIN LATERAL (
                SELECT e.position,
                    OCTET_LENGTH(e.wire) + COALESCE(OCTET_LENGTH(s.wire), 0) AS bytes
                FROM events e LEFT JOIN shared_events s ON s.id = e.shared
                WHERE e.position > $1 ORDER BY e.position LIMIT $2
            ) found ON TRUE";
        const LATE: &str = "
            SELECT e.position, e.stream, e.seq, e.created_at, e.wire, e.source,
                s.wire AS shared_wire
            FROM events e LEFT JOIN shared_events s ON s.id = e.shared
            WHERE e.position = ANY($1)";
        let top = self.reach.top();
        let sizes = self.rows(sqlx::query(SIZES).bind(top).bind(EVENTS)).await?;
        let under_way = sizes.first().map_or(Ok(0), |row| row.try_get("under_way"))?;
        let found: Vec<(i64, i64)> =
            sizes.iter().map(size).filter_map(Result::transpose).collect::<sqlx::Result<_>>()?;
        let upto = upto(&found);
        let rows = match upto {
            Some(upto) => {
                read(&self.rows(sqlx::query(events::COMMITTED).bind(top).bind(upto)).await?)?
            }
            None => Vec::new(),
        };
        // Looked for after these: what comes before them in a stream was committed before.
        let mut late: Vec<i64> = self.reach.missing().collect();
        if !late.is_empty() {
            let mut rows = read(&self.rows(sqlx::query(LATE).bind(late.clone())).await?)?;
            rows.sort_by_cached_key(|row| row.get::<i64>("position").unwrap_or_default());
            self.hand_on(&rows).await?;
            late.retain(|position| !self.reach.has(*position));
        }
        self.hand_on(&rows).await?;
        let is_all = found.len() < usize::try_from(EVENTS).unwrap_or(usize::MAX)
            && upto == found.last().map(|(position, _)| *position);
        self.give_up(under_way, &late).await?;
        Ok(if is_all { Looked::All } else { Looked::More })
    }

    /// The rows of an answer, unless the server is silent for too long.
    async fn rows(&mut self, query: Query<'_, sqlx::Postgres, PgArguments>) -> Result<Vec<PgRow>> {
        let (mut connection, pool) = (self.connection.take(), &self.pool);
        let asked = async {
            let mut connection = match connection.take() {
                Some(connection) => connection,
                None => pool.acquire().await?,
            };
            match query.fetch_all(&mut *connection).await {
                Ok(rows) => Ok((connection, rows)),
                Err(error) => {
                    // Its state is not known any more.
                    connection.close_on_drop();
                    Err(error)
                }
            }
        };
        // Given up, it is closed by its drop with whatever it was about.
        let (connection, rows) = timeout(SILENCE, asked).await.map_err(|_| silent())??;
        self.connection = Some(connection);
        Ok(rows)
    }

    /// Hands on the events of these rows, in their order.
    async fn hand_on(&mut self, rows: &[Row]) -> Result<()> {
        for some in events::portions(rows) {
            match self.events(some).await {
                Ok(events) => self.hand_on_events(events).await,
                Err(error) if error.kind() == Kind::Other => self.hand_on_each(some).await?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Does so one by one. Nobody waits for what can't be read as it is.
    async fn hand_on_each(&mut self, rows: &[Row]) -> Result<()> {
        let position = |row: &Row| row.get::<i64>("position").unwrap_or_default();
        for of_one in rows.chunk_by(|one, next| position(one) == position(next)) {
            match self.events(of_one).await {
                Ok(events) => self.hand_on_events(events).await,
                Err(error) if error.kind() == Kind::Other => {
                    let position = position(&of_one[0]);
                    tracing::error!(%error, position, "a committed event could not be told");
                    self.reach.mark(position);
                    self.shared.reached(&self.reach);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The events of these rows, with what of them is told again.
    async fn events(&self, rows: &[Row]) -> Result<Vec<CommittedEvent>> {
        let is_named = rows.iter().map(events::is_named).collect::<Result<Vec<_>>>()?;
        let told = if is_named.contains(&true) {
            self.tell_again(rows.to_vec()).await?
        } else {
            Told::new()
        };
        events::grouped(rows, told)
    }

    /// Does what other processes say where its turn comes: what is after it is handed on later.
    async fn hand_on_events(&mut self, events: Vec<CommittedEvent>) {
        let mut before = Vec::with_capacity(events.len());
        for event in events {
            if let Some(Said { by, control }) = Said::read(&event)
                && by != self.shared.process
            {
                self.shared.hand_on(mem::take(&mut before), &mut self.reach);
                self.obey(control).await;
            }
            before.push(event);
        }
        self.shared.hand_on(before, &mut self.reach);
    }

    async fn obey(&self, control: Control) {
        let Some(controlled) = self.shared.controlled.get() else { return };
        // Beside, so that it goes on where it takes longer than the others wait for it.
        let done = self.shared.tasks.spawn("control", controlled(control));
        if timeout(OBEYED, done).await.is_err() {
            tracing::warn!("what another process said takes long");
        }
    }

    /// Has told again what these rows name. That can't move between threads, like a unit.
    async fn tell_again(&self, rows: Vec<Row>) -> Result<Told> {
        let (pool, shared) = (self.pool.clone(), self.shared.clone());
        let told = spawn_blocking(move || {
            Handle::current().block_on(async {
                let mut connection = pool.acquire().await?;
                let (locks, progress) = (Arc::<Locks>::default(), Progress::default());
                let patience = locks.patience(true, Duration::ZERO);
                let session = Session {
                    connection: &mut connection,
                    locks: &locks,
                    patience: &patience,
                    progress: &progress,
                };
                let tx = Tx::postgres(session, shared.clock.now());
                events::tell_again(&mut tx.by(shared.retell.get()), &rows).await
            })
        });
        let told = timeout(SILENCE, told).await.map_err(|_| silent())?;
        told.map_err(|error| Error::new(Kind::Other, error))?
    }

    /// Gives up what can't come any more: its transactions were rolled back.
    async fn give_up(&mut self, under_way: i64, late: &[i64]) -> Result<()> {
        if let Some(asked) = self.asked.take_if(|asked| asked.bound <= under_way) {
            let never = asked.of.iter().filter(|position| late.contains(position));
            never.for_each(|position| self.reach.forget(*position));
            self.shared.reached(&self.reach);
        }
        if self.asked.is_none() {
            let asked = ask(&self.pool, self.reach.missing().collect());
            self.asked = timeout(SILENCE, asked).await.map_err(|_| silent())??;
        }
        Ok(())
    }
}

/// Says what can't be done; it is tried again.
fn warn(error: &Error) {
    if error.is_outage() {
        return tracing::debug!(%error, "what is committed could not be read");
    }
    if let Some(left_out) = log_limit::admit("store tail", None, "unreadable") {
        tracing::error!(%error, left_out, "what is committed could not be read");
    }
}

fn silent() -> Error {
    Error::new(Kind::Timeout, "no answer")
}

/// An event's position and bytes, where there is an event.
fn size(row: &PgRow) -> sqlx::Result<Option<(i64, i64)>> {
    let (position, bytes): (Option<i64>, Option<i32>) =
        (row.try_get("position")?, row.try_get("bytes")?);
    Ok(position.zip(bytes.map(i64::from)))
}

/// Up to which of these positions, each with its bytes, is read at once.
fn upto(found: &[(i64, i64)]) -> Option<i64> {
    let (mut upto, mut left) = (None, BYTES);
    for (position, bytes) in found {
        // In several streams it is one event, which is counted once.
        if upto == Some(*position) {
            continue;
        }
        if upto.is_some() && *bytes > left {
            break;
        }
        (upto, left) = (Some(*position), left - bytes);
    }
    upto
}

/// Asks whether these can still come; nothing, where there are none.
async fn ask(pool: &PgPool, of: Vec<i64>) -> Result<Option<Asked>> {
    const NEXT: &str = "SELECT CAST(CAST(pg_current_xact_id() AS TEXT) AS BIGINT)";
    if of.is_empty() {
        return Ok(None);
    }
    let bound = sqlx::query_scalar(NEXT).fetch_one(pool).await?;
    Ok(Some(Asked { of, bound }))
}
