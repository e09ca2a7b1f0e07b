//! Statements on a connection to Postgres.

use std::sync::Arc;

use sqlx::{
    AssertSqlSafe, Column as _, Encode, Postgres as Engine, Row as _, SqlSafeStr, Type,
    TypeInfo as _, ValueRef as _,
    encode::IsNull,
    error::BoxDynError,
    postgres::{PgArgumentBuffer, PgArguments, PgRow, PgTypeInfo, types::Oid},
    query::Query,
};

use super::session::Session;
use crate::db::{Error, Kind, Result, Row, Value, bulk};

/// The server's time, in milliseconds.
pub(in crate::db) const NOW: &str =
    "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT) AS now";

/// So many positions.
pub(in crate::db) const NEXT_POSITIONS: &str =
    "SELECT nextval('positions_last_seq') AS position FROM generate_series(1, $1)";

/// Has positions begin so much higher.
pub(in crate::db) const SKIP_POSITIONS: &str =
    "SELECT setval('positions_last_seq', nextval('positions_last_seq') + $1) AS last";

/// Rows of one statement. One has at most 65,535 parameters.
const ROWS_AT_ONCE: usize = 500;

/// Carries out a statement; how many rows it changed.
pub(in crate::db) async fn execute(
    session: &mut Session<'_>,
    sql: &'static str,
    params: &[Value],
) -> Result<u64> {
    session.progress.doing.set(sql);
    Ok(query(sql, params).execute(&mut *session.connection).await?.rows_affected())
}

/// Every row of the answer.
pub(in crate::db) async fn rows(
    session: &mut Session<'_>,
    sql: &'static str,
    params: &[Value],
) -> Result<Vec<Row>> {
    session.progress.doing.set(sql);
    read(&query(sql, params).fetch_all(&mut *session.connection).await?)
}

/// The same, with every row locked until the end of the transaction, as strongly as an `UPDATE`
/// that leaves its keys alone: rows that refer to it can still be added.
pub(in crate::db) async fn lock_row(
    session: &mut Session<'_>,
    sql: &'static str,
    params: &[Value],
) -> Result<Vec<Row>> {
    session.progress.doing.set(sql);
    let guard = session.locks.row(sql, params, session.patience).await?;
    // Both parts are written out in the source.
    let holding = AssertSqlSafe(format!("{sql} FOR NO KEY UPDATE"));
    let rows = query(holding, params).fetch_all(&mut *session.connection).await?;
    guard.got();
    drop(guard);
    read(&rows)
}

/// Carries a statement with one row of `VALUES` out for each of these rows, many of them as one.
pub(in crate::db) async fn for_each<const N: usize>(
    session: &mut Session<'_>,
    sql: &'static str,
    params: &[[Value; N]],
) -> Result<Vec<Row>> {
    session.progress.doing.set(sql);
    let mut answers = Vec::new();
    for some in params.chunks(ROWS_AT_ONCE) {
        let inserted = match some {
            [one] => query(sql, one).fetch_all(&mut *session.connection).await?,
            some => {
                let many = bulk::of_rows(sql, N, some.len())?;
                // Both parts are written out in the source. The text is another for each number of
                // rows, so it is not kept prepared.
                let statement = query(AssertSqlSafe(many), some.as_flattened()).persistent(false);
                statement.fetch_all(&mut *session.connection).await?
            }
        };
        answers.extend(read(&inserted)?);
    }
    Ok(answers)
}

pub(super) fn read(rows: &[PgRow]) -> Result<Vec<Row>> {
    let Some(first) = rows.first() else { return Ok(Vec::new()) };
    let columns: Arc<[Box<str>]> =
        first.columns().iter().map(|column| Box::from(column.name())).collect();
    rows.iter()
        .map(|row| {
            let values = (0..columns.len()).map(|index| value(row, index)).collect::<Result<_>>();
            Ok(Row::new(columns.clone(), values?))
        })
        .collect()
}

fn query(sql: impl SqlSafeStr, params: &[Value]) -> Query<'_, Engine, PgArguments> {
    params.iter().fold(sqlx::query(sql), Query::bind)
}

fn value(row: &PgRow, index: usize) -> Result<Value> {
    let raw = row.try_get_raw(index)?;
    if raw.is_null() {
        return Ok(Value::Null);
    }
    let kind = raw.type_info();
    Ok(match kind.name() {
        "INT8" => Value::Int(row.try_get(index)?),
        "INT4" => Value::Int(row.try_get::<i32, _>(index)?.into()),
        "BOOL" => Value::Int(row.try_get::<bool, _>(index)?.into()),
        "TEXT" | "VARCHAR" | "NAME" => Value::Text(row.try_get(index)?),
        "BYTEA" => Value::Blob(row.try_get(index)?),
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
            "57014" => Kind::Timeout,
            // A lock not had in time, a conflict of transactions, a deadlock.
            "55P03" | "40001" | "40P01" => Kind::Busy,
            // A server that only reads, that has too many connections, that goes or comes.
            "25006" | "53300" | "57P01" | "57P02" | "57P03" => Kind::Unavailable,
            code if code.starts_with("08") => Kind::Unavailable,
            _ => Kind::Other,
        };
        Self::new(kind, format_args!("{code}: {}", refusal.message()))
    }
}
