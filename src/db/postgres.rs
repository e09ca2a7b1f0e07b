//! Postgres behind a pool of connections: a transaction for each unit, and every wait has an end.

use std::{
    collections::BTreeSet,
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Duration,
};

use sqlx::{
    AssertSqlSafe, Column as _, Connection as _, Encode, PgConnection, PgPool, Postgres as Engine,
    Row as _, SqlSafeStr, Type, TypeInfo as _, ValueRef as _,
    encode::IsNull,
    error::BoxDynError,
    pool::PoolConnection,
    postgres::{
        PgArgumentBuffer, PgArguments, PgConnectOptions, PgPoolOptions, PgRow, PgTypeInfo,
        types::Oid,
    },
    query::Query,
};
use tokio::{
    runtime::Handle,
    sync::{Mutex, MutexGuard},
    time::timeout,
};

use super::{
    Error, Kind, Result, Row, Shared, Tx, Value, events, migrations,
    unit::{Lost, Unit, carry_out, guard},
};
use crate::stream::Stream;

/// Until a connection is free, or made.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);

/// Until a unit is done. It ends what the server's own limits do not: a peer that is gone without
/// a word.
const UNIT_TIMEOUT: Duration = Duration::from_secs(8);

/// The server's own limits: of one statement, of a wait for another's rows, of a transaction that
/// does nothing.
const LIMITS: [(&str, &str); 3] = [
    ("statement_timeout", "5s"),
    ("lock_timeout", "2s"),
    ("idle_in_transaction_session_timeout", "10s"),
];

/// Locks that give the units of a stream one order from numbering until they are sent.
const STRIPES: u64 = 256;

/// An open database. Cheap to clone.
#[derive(Clone)]
pub(super) struct Postgres {
    pool: PgPool,
    shared: Arc<Shared>,
    order: Arc<Order>,
}

impl Postgres {
    /// Connects, and brings the tables up to date.
    pub(super) async fn open(url: &str, connections: u32, shared: &Arc<Shared>) -> Result<Self> {
        let options: PgConnectOptions = url.parse()?;
        let options = options.application_name("stoa");
        // Not from the pool: a migration may take longer than a unit of work may.
        let mut connection = timeout(UNIT_TIMEOUT, PgConnection::connect_with(&options))
            .await
            .map_err(|_| Error::new(Kind::Unavailable, "no answer"))??;
        migrations::postgres(&mut connection).await?;
        connection.close().await?;
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_lazy_with(options.options(LIMITS));
        Ok(Self { pool, shared: shared.clone(), order: Arc::default() })
    }

    /// Begins a unit that writes, on a connection of its own.
    pub(super) async fn write(&self, unit: Box<dyn Unit>) {
        self.start(unit, async |this, connection, unit| {
            let mut transaction = connection.begin().await.map_err(Error::from)?;
            let mut tx = Tx::postgres(&mut transaction, this.shared.clock.now());
            carry_out(unit, &mut tx).await?;
            let kept = tx.announced.iter().filter(|event| event.kept());
            let _turn = this.order.turn(kept.flat_map(|event| event.streams())).await;
            let announced = events::number(&mut tx).await?;
            transaction.commit().await.map_err(Error::from)?;
            this.shared.send(announced);
            Ok(())
        })
        .await;
    }

    /// Begins a unit that reads, at one moment of the database.
    pub(super) async fn read(&self, unit: Box<dyn Unit>) {
        const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        self.start(unit, async |this, connection, unit| {
            let mut transaction = connection.begin_with(SNAPSHOT).await.map_err(Error::from)?;
            let mut tx = Tx::postgres(&mut transaction, this.shared.clock.now());
            carry_out(unit, &mut tx).await?;
            tx.ensure_silent()?;
            Ok(transaction.rollback().await.map_err(Error::from)?)
        })
        .await;
    }

    /// Waits for a connection and lets a thread carry the unit out: the future of a unit can't
    /// move between threads, and it goes on to its end when the caller has gone.
    async fn start<A>(&self, mut unit: Box<dyn Unit>, attempt: A)
    where
        A: AsyncFnOnce(&Self, &mut PoolConnection<Engine>, &mut dyn Unit) -> Result<(), Lost>
            + Send
            + 'static,
    {
        let mut connection = match self.pool.acquire().await {
            Ok(connection) => connection,
            Err(error) => return unit.answer(Err(error.into())),
        };
        let this = self.clone();
        tokio::task::spawn_blocking(move || {
            Handle::current().block_on(async {
                let attempt = guard(attempt(&this, &mut connection, &mut *unit));
                let done = timeout(UNIT_TIMEOUT, attempt).await.unwrap_or_else(|_| {
                    Err(Lost::By(Error::new(Kind::Timeout, "the unit of work took too long")))
                });
                if let Err(Lost::By(error)) = &done {
                    if error.is_outage() {
                        this.shared.report(false);
                    }
                    // Its state is not known any more.
                    if matches!(error.kind(), Kind::Timeout | Kind::Unavailable) {
                        connection.close_on_drop();
                    }
                } else {
                    this.shared.report(true);
                }
                drop(connection);
                unit.answer(done.or_else(Lost::cause));
            });
        });
    }

    /// Whether it takes nothing more.
    pub(super) fn is_closed(&self) -> bool {
        self.pool.is_closed()
    }

    /// Waits for the units that are on their way and closes the connections.
    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}

/// Whose turn it is in a stream. Units take their streams in one order, right before they are
/// numbered, and hold them until they are sent, so what is sent has the order of the numbers.
struct Order {
    stripes: Box<[Mutex<()>]>,
    hasher: RandomState,
}

impl Default for Order {
    fn default() -> Self {
        Self {
            stripes: (0..STRIPES).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
        }
    }
}

impl Order {
    async fn turn(&self, streams: impl Iterator<Item = Stream>) -> Vec<MutexGuard<'_, ()>> {
        let stripe = |stream| self.hasher.hash_one(stream) % STRIPES;
        let taken: BTreeSet<u64> = streams.map(stripe).collect();
        let mut turn = Vec::with_capacity(taken.len());
        for (stripe, place) in self.stripes.iter().zip(0..) {
            if taken.contains(&place) {
                turn.push(stripe.lock().await);
            }
        }
        turn
    }
}

/// Carries out a statement; how many rows it changed.
pub(super) async fn execute(
    connection: &mut PgConnection,
    sql: &'static str,
    params: &[Value],
) -> Result<u64> {
    Ok(query(sql, params).execute(connection).await?.rows_affected())
}

/// Every row of the answer.
pub(super) async fn rows(
    connection: &mut PgConnection,
    sql: &'static str,
    params: &[Value],
) -> Result<Vec<Row>> {
    read(&query(sql, params).fetch_all(connection).await?)
}

/// The same, with every row locked until the end of the transaction, as strongly as an `UPDATE`
/// that leaves its keys alone: rows that refer to it can still be added.
pub(super) async fn hold(
    connection: &mut PgConnection,
    sql: &'static str,
    params: &[Value],
) -> Result<Vec<Row>> {
    // Both parts are written out in the source.
    let sql = AssertSqlSafe(format!("{sql} FOR NO KEY UPDATE"));
    read(&query(sql, params).fetch_all(connection).await?)
}

fn read(rows: &[PgRow]) -> Result<Vec<Row>> {
    let Some(first) = rows.first() else { return Ok(Vec::new()) };
    let columns: Arc<[Box<str>]> =
        first.columns().iter().map(|column| Box::from(column.name())).collect();
    rows.iter()
        .map(|row| {
            let values = (0..columns.len()).map(|place| value(row, place)).collect::<Result<_>>();
            Ok(Row::new(columns.clone(), values?))
        })
        .collect()
}

fn query(sql: impl SqlSafeStr, params: &[Value]) -> Query<'_, Engine, PgArguments> {
    params.iter().fold(sqlx::query(sql), Query::bind)
}

fn value(row: &PgRow, place: usize) -> Result<Value> {
    let raw = row.try_get_raw(place)?;
    if raw.is_null() {
        return Ok(Value::Null);
    }
    let kind = raw.type_info();
    Ok(match kind.name() {
        "INT8" => Value::Int(row.try_get(place)?),
        "INT4" => Value::Int(row.try_get::<i32, _>(place)?.into()),
        "BOOL" => Value::Int(row.try_get::<bool, _>(place)?.into()),
        "TEXT" | "VARCHAR" | "NAME" => Value::Text(row.try_get(place)?),
        "BYTEA" => Value::Blob(row.try_get(place)?),
        other => {
            return Err(Error::new(Kind::Other, format_args!("a column is of the type {other}")));
        }
    })
}

/// The type of what a statement leaves to the server: nothing is known of a NULL.
const UNSPECIFIED: PgTypeInfo = PgTypeInfo::with_oid(Oid(0));

impl Type<Engine> for Value {
    fn type_info() -> PgTypeInfo {
        UNSPECIFIED
    }
}

impl Encode<'_, Engine> for Value {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(n) => <i64 as Encode<Engine>>::encode_by_ref(n, buffer),
            Self::Text(text) => <String as Encode<Engine>>::encode_by_ref(text, buffer),
            Self::Blob(bytes) => <Vec<u8> as Encode<Engine>>::encode_by_ref(bytes, buffer),
        }
    }

    fn produces(&self) -> Option<PgTypeInfo> {
        Some(match self {
            Self::Null => UNSPECIFIED,
            Self::Int(_) => <i64 as Type<Engine>>::type_info(),
            Self::Text(_) => <String as Type<Engine>>::type_info(),
            Self::Blob(_) => <Vec<u8> as Type<Engine>>::type_info(),
        })
    }
}

/// Sorted by SQLSTATE (PostgreSQL's appendix A). The text is code and message: the details may
/// hold values.
impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        let sqlx::Error::Database(refusal) = &error else {
            let kind = match &error {
                sqlx::Error::PoolTimedOut => Kind::Timeout,
                sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::Protocol(_)
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed => Kind::Unavailable,
                _ => Kind::Other,
            };
            return Self::new(kind, error);
        };
        let code = refusal.code().unwrap_or_default();
        let kind = match &*code {
            "23505" | "23P01" => Kind::Unique,
            "23503" => Kind::ForeignKey,
            "23502" | "23514" => Kind::Check,
            "53100" => Kind::Full,
            // Cancelled, a lock not had in time, a conflict of transactions, a deadlock.
            "57014" | "55P03" | "40001" | "40P01" => Kind::Timeout,
            // A server that only reads, that has too many connections, that goes or comes.
            "25006" | "53300" | "57P01" | "57P02" | "57P03" => Kind::Unavailable,
            code if code.starts_with("08") => Kind::Unavailable,
            _ => Kind::Other,
        };
        Self::new(kind, format_args!("{code}: {}", refusal.message()))
    }
}
