//! What a unit of work is given: statements, and the announcement of what happened.

use std::sync::Arc;

use futures_util::future::LocalBoxFuture;
use uuid::Uuid;

use super::{Error, Kind, Result, Row, Value, postgres, sqlite};
use crate::{
    clock::Timestamp,
    control::{Control, Said},
    error,
    room::Room,
    stream::{DomainEvent, Stream, WireEvent},
};

/// An event that names what it shows.
#[derive(Clone, Debug)]
pub struct Source {
    /// The only stream that keeps it.
    pub stream: Stream,
    /// Its number there.
    pub seq: i64,
    /// When it was announced.
    pub created_at: Timestamp,
    /// What it shows, as whoever announced it [named it](crate::stream::DomainEvent::source).
    pub name: String,
}

/// Whoever has the rows that events name.
pub trait Retell: Send + Sync {
    /// The wire events that each of them becomes by what its row has now; none where nothing of it is to
    /// be shown any more.
    fn retell<'a>(
        &'a self,
        tx: &'a mut Tx<'_>,
        sources: &'a [Source],
    ) -> LocalBoxFuture<'a, error::Result<Vec<Vec<WireEvent>>>>;
}

/// One unit of work. All of it is kept or nothing, with the events that it announces.
///
/// A failed statement ends the unit: whatever it gives back afterwards, nothing of it is kept. To
/// go on where a row may be there already, say `ON CONFLICT DO NOTHING` and look at how many rows
/// changed.
pub struct Tx<'a> {
    engine: Engine<'a>,
    retell: Option<&'a Arc<dyn Retell>>,
    /// Who this process is to the others that work with the store, if there are any.
    process: Option<Uuid>,
    now: Timestamp,
    /// The first statement that failed.
    failure: Option<Error>,
    pub(super) announced: Vec<Box<dyn DomainEvent>>,
    /// Whether it takes something back.
    pub(super) takes_back: bool,
    /// Rooms of which there is a record now that other processes know nothing of.
    recorded: Vec<Room>,
}

enum Engine<'a> {
    Sqlite(&'a sqlite::Session),
    Postgres(postgres::Session<'a>),
}

impl<'a> Tx<'a> {
    pub(super) fn sqlite(session: &'a sqlite::Session, now: Timestamp) -> Self {
        Self::new(Engine::Sqlite(session), now)
    }

    pub(super) fn postgres(session: postgres::Session<'a>, now: Timestamp) -> Self {
        Self::new(Engine::Postgres(session), now)
    }

    fn new(engine: Engine<'a>, now: Timestamp) -> Self {
        Self {
            engine,
            retell: None,
            process: None,
            now,
            failure: None,
            announced: Vec::new(),
            takes_back: false,
            recorded: Vec::new(),
        }
    }

    /// The same with who tells again what kept events name.
    pub(super) fn by(self, retell: Option<&'a Arc<dyn Retell>>) -> Self {
        Self { retell, ..self }
    }

    /// The same of a process that is one of several.
    pub(super) fn of(self, process: Uuid) -> Self {
        Self { process: Some(process), ..self }
    }

    /// When the unit began.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The time as everybody has it who works with the store, whose own clocks may differ: that of
    /// the server, or of the only process.
    ///
    /// # Errors
    /// The kinds of [`Kind`].
    pub async fn common_now(&mut self) -> Result<Timestamp> {
        match self.engine {
            Engine::Sqlite(_) => Ok(self.now),
            Engine::Postgres(_) => self.one(postgres::NOW, &[]).await?.get("now"),
        }
    }

    /// Carries out a statement; how many rows it changed.
    ///
    /// # Errors
    /// The kinds of [`Kind`].
    pub async fn execute(&mut self, sql: &'static str, params: &[Value]) -> Result<u64> {
        self.ensure_sound(sql, params)?;
        let done = match &mut self.engine {
            Engine::Sqlite(session) => sqlite::execute(session, sql, params),
            Engine::Postgres(session) => postgres::execute(session, sql, params).await,
        };
        done.map_err(|error| self.fail(error, sql))
    }

    /// Every row of the answer.
    ///
    /// # Errors
    /// The kinds of [`Kind`].
    pub async fn all(&mut self, sql: &'static str, params: &[Value]) -> Result<Vec<Row>> {
        self.ensure_sound(sql, params)?;
        let rows = match &mut self.engine {
            Engine::Sqlite(session) => sqlite::rows(session, sql, params),
            Engine::Postgres(session) => postgres::rows(session, sql, params).await,
        };
        rows.map_err(|error| self.fail(error, sql))
    }

    /// The only row of the answer, when there is one.
    ///
    /// # Errors
    /// The kinds of [`Kind`]; [`Kind::Other`] when there are several rows.
    pub async fn optional(&mut self, sql: &'static str, params: &[Value]) -> Result<Option<Row>> {
        let rows = self.all(sql, params).await?;
        at_most_one(rows).map_err(|error| self.fail(error, sql))
    }

    /// The only row that a `SELECT` finds, when there is one, locked until the end of the unit:
    /// what was read stays true. For units that write: SQLite has one of them at a time, and needs
    /// nothing for it.
    ///
    /// # Errors
    /// The kinds of [`Kind`]; [`Kind::Other`] when there are several rows.
    pub async fn lock_row(&mut self, sql: &'static str, params: &[Value]) -> Result<Option<Row>> {
        self.ensure_sound(sql, params)?;
        let rows = match &mut self.engine {
            Engine::Sqlite(session) => sqlite::rows(session, sql, params),
            Engine::Postgres(session) => postgres::lock_row(session, sql, params).await,
        };
        rows.and_then(at_most_one).map_err(|error| self.fail(error, sql))
    }

    /// The row of the answer.
    ///
    /// # Errors
    /// The kinds of [`Kind`]; [`Kind::Other`] when there is not exactly one row.
    pub async fn one(&mut self, sql: &'static str, params: &[Value]) -> Result<Row> {
        let row = self.optional(sql, params).await?;
        row.ok_or_else(|| self.fail(Error::new(Kind::Other, "no row instead of one"), sql))
    }

    /// Carries a statement with one row of `VALUES` out for each of these rows; every row of the
    /// answers. On Postgres many of them are one statement, so it has no other parameters: an `INSERT`,
    /// which names what it would insert `excluded` and answers in their order, or what begins `WITH asked
    /// (…) AS (VALUES ($1, …))`, whose answers say what they are about.
    ///
    /// # Errors
    /// The kinds of [`Kind`].
    pub async fn for_each<const N: usize>(
        &mut self,
        sql: &'static str,
        rows: &[[Value; N]],
    ) -> Result<Vec<Row>> {
        rows.iter().try_for_each(|row| self.ensure_sound(sql, row))?;
        let answer = match &mut self.engine {
            Engine::Sqlite(session) => sqlite::for_each(session, sql, rows),
            Engine::Postgres(session) => postgres::for_each(session, sql, rows).await,
        };
        answer.map_err(|error| self.fail(error, sql))
    }

    /// Says what happened. At the end of the unit it is numbered in its stream and kept; after the
    /// commit, and only then, it is sent.
    pub fn announce<E: DomainEvent>(&mut self, event: E) {
        self.announced.push(Box::new(event));
    }

    /// Has the other processes that work with the store do so, in the order of events. Where there is none
    /// nothing is kept of it.
    pub fn instruct(&mut self, control: Control) {
        if let Some(by) = self.process {
            self.announce(Said { by, control });
        }
    }

    /// Says that the unit deletes or replaces what nobody is to read again. SQLite's log, which still
    /// has it, is then folded in and cut off as soon as nobody writes; a server looks after its own.
    pub fn take_back(&mut self) {
        self.takes_back = true;
    }

    /// Says that there is a record of a room now which came past the servers: as soon as the unit is
    /// committed, those that work with the store look again at whom they let in while there was none. A
    /// file has no other process.
    pub fn record(&mut self, room: Room) {
        self.recorded.push(room);
    }

    /// The next positions in the order of all kept events. On Postgres other units take some between
    /// them, and a later one may be committed before.
    pub(super) async fn take_positions(&mut self, count: usize) -> Result<Vec<i64>> {
        const COUNT: &str = "UPDATE positions SET last = last + $1 RETURNING last";
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        if count == 0 {
            return Ok(Vec::new());
        }
        match self.engine {
            Engine::Sqlite(_) => {
                let last: i64 = self.one(COUNT, &[count.into()]).await?.get("last")?;
                Ok((last - count + 1..=last).collect())
            }
            Engine::Postgres(_) => {
                let rows = self.all(postgres::NEXT_POSITIONS, &[count.into()]).await?;
                rows.iter().map(|row| row.get("position")).collect()
            }
        }
    }

    /// Has the next positions begin so much higher.
    pub(super) async fn skip_positions(&mut self, many: i64) -> Result<()> {
        const COUNT: &str = "UPDATE positions SET last = last + $1";
        match self.engine {
            Engine::Sqlite(_) => self.execute(COUNT, &[many.into()]).await.map(drop),
            Engine::Postgres(_) => {
                self.one(postgres::SKIP_POSITIONS, &[many.into()]).await.map(drop)
            }
        }
    }

    /// Has the others told of the rooms that were recorded.
    pub(super) async fn tell_others(&mut self) -> Result<()> {
        let rooms = std::mem::take(&mut self.recorded);
        match &mut self.engine {
            Engine::Postgres(session) => postgres::tell(session, &rooms).await,
            Engine::Sqlite(_) => Ok(()),
        }
    }

    /// Refuses what only a unit that writes may do.
    pub(super) fn ensure_silent(&self) -> Result<()> {
        if self.announced.is_empty() {
            return Ok(());
        }
        Err(Error::new(Kind::Other, "a unit that reads announced an event"))
    }

    /// Who tells again what kept events name.
    pub(super) fn retell(&self) -> Option<Arc<dyn Retell>> {
        self.retell.cloned()
    }

    /// The first statement that failed.
    pub(super) fn failure(&self) -> Option<&Error> {
        self.failure.as_ref()
    }

    /// Postgres refuses what comes after a failed statement, so SQLite is not asked either.
    /// Nothing more is done after a failure, and both engines take the same texts.
    fn ensure_sound(&mut self, sql: &str, params: &[Value]) -> Result<()> {
        if let Some(first) = &self.failure {
            return Err(Error::new(Kind::Other, format_args!("after a failure: {first}")));
        }
        let nul = |value: &Value| matches!(value, Value::Text(text) if text.contains('\0'));
        if params.iter().any(nul) {
            return Err(self.fail(Error::new(Kind::Nul, "in a parameter"), sql));
        }
        Ok(())
    }

    /// Notes the first failure, with the statement where an operator will want to know it.
    fn fail(&mut self, error: Error, sql: &str) -> Error {
        let error = match error.kind() {
            Kind::Timeout | Kind::Busy | Kind::Other => error.in_statement(sql),
            _ => error,
        };
        self.failure.get_or_insert(error).clone()
    }
}

fn at_most_one(mut rows: Vec<Row>) -> Result<Option<Row>> {
    if rows.len() < 2 {
        return Ok(rows.pop());
    }
    Err(Error::new(Kind::Other, format_args!("{} rows instead of one", rows.len())))
}
