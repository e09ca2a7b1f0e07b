//! Statements on a SQLite connection.

use std::sync::Arc;

use rusqlite::{
    CachedStatement, Connection, ErrorCode, ToSql, ffi,
    types::{ToSqlOutput, ValueRef},
};

use super::Session;
use crate::db::{Error, Kind, Result, Row, Value};

/// Carries out a statement; how many rows it changed.
pub(in crate::db) fn execute(session: &Session, sql: &str, params: &[Value]) -> Result<u64> {
    let done = prepare(&session.connection, sql, params)?.raw_execute();
    done.map(|rows| rows as u64).map_err(|error| session.explain(error))
}

/// Every row of the answer.
pub(in crate::db) fn rows(session: &Session, sql: &str, params: &[Value]) -> Result<Vec<Row>> {
    let mut statement = prepare(&session.connection, sql, params)?;
    let columns: Arc<[Box<str>]> = statement.column_names().into_iter().map(Box::from).collect();
    let mut answer = Vec::new();
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next().map_err(|error| session.explain(error))? {
        let values = (0..columns.len()).map(|place| value(row.get_ref(place)?));
        answer.push(Row::new(columns.clone(), values.collect::<Result<_>>()?));
    }
    Ok(answer)
}

/// The same for each of these rows of parameters.
pub(in crate::db) fn insert_all<const N: usize>(
    session: &Session,
    sql: &str,
    params: &[[Value; N]],
) -> Result<Vec<Row>> {
    let mut answers = Vec::new();
    for params in params {
        answers.extend(rows(session, sql, params)?);
    }
    Ok(answers)
}

/// A statement with its parameters. SQLite takes `$1` for a name and counts by first appearance,
/// so each is looked up by its number.
fn prepare<'c>(
    connection: &'c Connection,
    sql: &str,
    params: &[Value],
) -> Result<CachedStatement<'c>> {
    let mut statement = connection.prepare_cached(sql)?;
    for place in 1..=statement.parameter_count() {
        let number = statement.parameter_name(place).and_then(|name| name[1..].parse().ok());
        let param = number.and_then(|number: usize| params.get(number.checked_sub(1)?));
        let Some(param) = param else {
            return Err(Error::new(Kind::Other, "a parameter is missing"));
        };
        statement.raw_bind_parameter(place, param)?;
    }
    Ok(statement)
}

fn value(value: ValueRef<'_>) -> Result<Value> {
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(n) => Value::Int(n),
        ValueRef::Text(text) => Value::Text(
            std::str::from_utf8(text).map_err(|error| Error::new(Kind::Other, error))?.to_owned(),
        ),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
        ValueRef::Real(_) => {
            return Err(Error::new(Kind::Other, "a column is a floating point number"));
        }
    })
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(n) => ValueRef::Integer(*n),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        let code = error.sqlite_error().copied();
        let kind = code.map_or(Kind::Other, |code| match (code.code, code.extended_code) {
            (_, ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY) => Kind::Unique,
            (_, ffi::SQLITE_CONSTRAINT_FOREIGNKEY) => Kind::ForeignKey,
            (_, ffi::SQLITE_CONSTRAINT_CHECK | ffi::SQLITE_CONSTRAINT_NOTNULL) => Kind::Check,
            (ErrorCode::DiskFull, _) => Kind::Full,
            (ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked, _) => Kind::Busy,
            (ErrorCode::OperationInterrupted, _) => Kind::Timeout,
            (
                ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::OutOfMemory
                | ErrorCode::PermissionDenied,
                _,
            ) => Kind::Unavailable,
            _ => Kind::Other,
        });
        Self::new(kind, error)
    }
}
