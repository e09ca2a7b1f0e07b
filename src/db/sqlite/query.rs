//! Statements on a SQLite connection.

use std::sync::Arc;

use rusqlite::{
    CachedStatement, ErrorCode, ToSql, ffi,
    types::{ToSqlOutput, ValueRef},
};

use super::session::{Session, Shape};
use crate::db::{Error, Kind, Result, Row, Value};

/// Carries out a statement; how many rows it changed.
pub(in crate::db) fn execute(session: &Session, sql: &str, params: &[Value]) -> Result<u64> {
    let mut statement = Statement::prepare(session, sql)?;
    statement.bind(params)?;
    let done = statement.prepared.raw_execute();
    done.map(|rows| rows as u64).map_err(|error| session.explain(error))
}

/// Every row of the answer.
pub(in crate::db) fn rows(session: &Session, sql: &str, params: &[Value]) -> Result<Vec<Row>> {
    Statement::prepare(session, sql)?.answers(&[params])
}

/// The same for each of these rows of parameters.
pub(in crate::db) fn for_each<const N: usize>(
    session: &Session,
    sql: &str,
    params: &[[Value; N]],
) -> Result<Vec<Row>> {
    let params: Vec<&[Value]> = params.iter().map(<[Value; N]>::as_slice).collect();
    Statement::prepare(session, sql)?.answers(&params)
}

/// A statement that is carried out once or several times.
struct Statement<'c> {
    session: &'c Session,
    prepared: CachedStatement<'c>,
    shape: Arc<Shape>,
}

impl<'c> Statement<'c> {
    fn prepare(session: &'c Session, sql: &str) -> Result<Self> {
        let prepared = session.connection.prepare_cached(sql)?;
        let shape = session.shape(sql, &prepared)?;
        Ok(Self { session, prepared, shape })
    }

    fn bind(&mut self, params: &[Value]) -> Result<()> {
        for (at, parameter) in self.shape.parameters.iter().enumerate() {
            let Some(param) = params.get(*parameter) else {
                return Err(Error::new(Kind::Other, "a parameter is missing"));
            };
            self.prepared.raw_bind_parameter(at + 1, param)?;
        }
        Ok(())
    }

    /// Every row of the answers to these parameters.
    fn answers(&mut self, params: &[&[Value]]) -> Result<Vec<Row>> {
        let columns = self.shape.columns.clone();
        let mut answers = Vec::new();
        for params in params {
            self.bind(params)?;
            let mut rows = self.prepared.raw_query();
            while let Some(row) = rows.next().map_err(|error| self.session.explain(error))? {
                let values = (0..columns.len()).map(|index| value(row.get_ref(index)?));
                answers.push(Row::new(columns.clone(), values.collect::<Result<_>>()?));
            }
        }
        Ok(answers)
    }
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
