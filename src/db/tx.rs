//! What a unit of work is given: statements, and the announcement of what happened.

use sqlx::PgConnection;

use super::{Error, Kind, Result, Row, Value, postgres, sqlite};
use crate::{clock::Timestamp, stream::DomainEvent};

/// One unit of work. All of it is kept or nothing, with the events that it announces.
///
/// A failed statement ends the unit: whatever it gives back afterwards, nothing of it is kept. To
/// go on where a row may be there already, say `ON CONFLICT DO NOTHING` and look at how many rows
/// changed.
pub struct Tx<'a> {
    engine: Engine<'a>,
    now: Timestamp,
    /// The first statement that failed.
    failure: Option<Error>,
    pub(super) announced: Vec<Box<dyn DomainEvent>>,
}

enum Engine<'a> {
    Sqlite(&'a rusqlite::Connection),
    Postgres(&'a mut PgConnection),
}

impl<'a> Tx<'a> {
    pub(super) fn sqlite(connection: &'a rusqlite::Connection, now: Timestamp) -> Self {
        Self::new(Engine::Sqlite(connection), now)
    }

    pub(super) fn postgres(connection: &'a mut PgConnection, now: Timestamp) -> Self {
        Self::new(Engine::Postgres(connection), now)
    }

    fn new(engine: Engine<'a>, now: Timestamp) -> Self {
        Self { engine, now, failure: None, announced: Vec::new() }
    }

    /// When the unit began.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Carries out a statement; how many rows it changed.
    ///
    /// # Errors
    /// The kinds of [`Kind`].
    pub async fn execute(&mut self, sql: &'static str, params: &[Value]) -> Result<u64> {
        self.ensure_sound(params)?;
        let done = match &mut self.engine {
            Engine::Sqlite(connection) => sqlite::execute(connection, sql, params),
            Engine::Postgres(connection) => postgres::execute(connection, sql, params).await,
        };
        done.inspect_err(|error| self.fail(error))
    }

    /// Every row of the answer.
    ///
    /// # Errors
    /// The kinds of [`Kind`].
    pub async fn all(&mut self, sql: &'static str, params: &[Value]) -> Result<Vec<Row>> {
        self.ensure_sound(params)?;
        let rows = match &mut self.engine {
            Engine::Sqlite(connection) => sqlite::rows(connection, sql, params),
            Engine::Postgres(connection) => postgres::rows(connection, sql, params).await,
        };
        rows.inspect_err(|error| self.fail(error))
    }

    /// The only row of the answer, when there is one.
    ///
    /// # Errors
    /// The kinds of [`Kind`]; [`Kind::Other`] when there are several rows.
    pub async fn optional(&mut self, sql: &'static str, params: &[Value]) -> Result<Option<Row>> {
        let rows = self.all(sql, params).await?;
        at_most_one(rows).inspect_err(|error| self.fail(error))
    }

    /// The only row that a `SELECT` finds, when there is one, held until the end of the unit: what
    /// was read stays true. For units that write: SQLite has one of them at a time, and needs
    /// nothing for it.
    ///
    /// # Errors
    /// The kinds of [`Kind`]; [`Kind::Other`] when there are several rows.
    pub async fn hold(&mut self, sql: &'static str, params: &[Value]) -> Result<Option<Row>> {
        self.ensure_sound(params)?;
        let rows = match &mut self.engine {
            Engine::Sqlite(connection) => sqlite::rows(connection, sql, params),
            Engine::Postgres(connection) => postgres::hold(connection, sql, params).await,
        };
        rows.and_then(at_most_one).inspect_err(|error| self.fail(error))
    }

    /// The row of the answer.
    ///
    /// # Errors
    /// The kinds of [`Kind`]; [`Kind::Other`] when there is not exactly one row.
    pub async fn one(&mut self, sql: &'static str, params: &[Value]) -> Result<Row> {
        let row = self.optional(sql, params).await?;
        row.ok_or_else(|| Error::new(Kind::Other, "no row instead of one"))
            .inspect_err(|error| self.fail(error))
    }

    /// Says what happened. At the end of the unit it is numbered in its stream and kept; after the
    /// commit, and only then, it is sent.
    pub fn announce<E: DomainEvent>(&mut self, event: E) {
        self.announced.push(Box::new(event));
    }

    /// Refuses what only a unit that writes may do.
    pub(super) fn ensure_silent(&self) -> Result<()> {
        if self.announced.is_empty() {
            return Ok(());
        }
        Err(Error::new(Kind::Other, "a unit that reads announced an event"))
    }

    /// The first statement that failed.
    pub(super) fn failure(&self) -> Option<&Error> {
        self.failure.as_ref()
    }

    /// Postgres refuses what comes after a failed statement, so SQLite is not asked either.
    /// Nothing more is done after a failure, and both engines take the same texts.
    fn ensure_sound(&mut self, params: &[Value]) -> Result<()> {
        if let Some(first) = &self.failure {
            return Err(Error::new(Kind::Other, format_args!("after a failure: {first}")));
        }
        let nul = |value: &Value| matches!(value, Value::Text(text) if text.contains('\0'));
        if params.iter().any(nul) {
            let error = Error::new(Kind::Nul, "in a parameter");
            self.fail(&error);
            return Err(error);
        }
        Ok(())
    }

    fn fail(&mut self, error: &Error) {
        if self.failure.is_none() {
            self.failure = Some(error.clone());
        }
    }
}

fn at_most_one(mut rows: Vec<Row>) -> Result<Option<Row>> {
    if rows.len() < 2 {
        return Ok(rows.pop());
    }
    Err(Error::new(Kind::Other, format_args!("{} rows instead of one", rows.len())))
}
