//! A connection to the file, and the measure of what is done on it: SQLite itself asks now and then
//! whether it is to go on.

use std::{
    cell::RefCell,
    collections::HashMap,
    ffi::c_int,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::{Mutex, MutexGuard};
use rusqlite::{Connection, OpenFlags, Statement};
use smallvec::SmallVec;

use crate::db::{Error, Kind, Result, opening::Opening};

/// How long to wait for another process that writes.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Statements that a connection keeps prepared.
const STATEMENTS: usize = 256;

/// Instructions of SQLite's machine between two looks at the meter: some ten microseconds.
const LOOK: c_int = 1000;

/// An open connection.
pub(in crate::db) struct Session {
    pub(super) connection: Connection,
    pub(super) meter: Meter,
    shapes: RefCell<HashMap<Box<str>, Arc<Shape>, foldhash::fast::RandomState>>,
}

/// What a statement takes and answers: as long as the tables are the same, so is this for its text.
pub(super) struct Shape {
    /// Which parameter each index takes: SQLite takes `$1` for a name and counts by first
    /// appearance.
    pub(super) parameters: SmallVec<[usize; 8]>,
    /// The names of its columns.
    pub(super) columns: Arc<[Box<str>]>,
}

/// What the unit under way has cost.
#[derive(Clone, Default)]
pub(super) struct Meter(Arc<Mutex<Reading>>);

#[derive(Default)]
struct Reading {
    /// None between units.
    until: Option<Instant>,
    /// Thousands of instructions.
    work: u32,
    /// Why the unit is to end.
    end: Option<&'static str>,
}

/// Decides about a unit that is still at work: by how much that is, in thousands of instructions;
/// with a reason it is ended.
pub(super) type Judge = Box<dyn FnMut(u32) -> Option<&'static str> + Send>;

impl Session {
    /// A connection that writes. A commit is on the disk before it is told (`synchronous=FULL`).
    /// The log is folded in when it has 16 MB: what many commits change is then written once.
    /// Pages that become free can be given back (`auto_vacuum`), in a file that is made so. Of what
    /// is deleted or written over nothing stays in the file (`secure_delete`).
    pub(super) fn to_write(path: &Path) -> Result<Self> {
        let session = Self::open(path, OpenFlags::SQLITE_OPEN_READ_WRITE, None)?;
        session.connection.execute_batch(
            "PRAGMA auto_vacuum = INCREMENTAL;
             PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA foreign_keys = ON;
             PRAGMA secure_delete = ON;
             PRAGMA wal_autocheckpoint = 4000;
             PRAGMA journal_size_limit = 33554432;",
        )?;
        Ok(session)
    }

    /// Keeps what a unit needs to be undone in memory, where SQLite would write each page that the
    /// unit touches to a file: units are small. Migrations and making the file anew are not. Where
    /// much is taken in, ids come in any order: the pages of their indexes stay in memory, and are
    /// written to the file once for many commits; nobody is told of one before the last.
    pub(super) fn for_units(self, opening: Opening) -> Result<Self> {
        const FILL: &str = "
            PRAGMA cache_size = -65536;
            PRAGMA synchronous = NORMAL;
            PRAGMA wal_autocheckpoint = 65536;";
        let connection = &self.connection;
        connection.execute_batch("PRAGMA temp_store = MEMORY")?;
        match opening {
            Opening::Work | Opening::AsItIs => {}
            Opening::Fill => connection.execute_batch(FILL)?,
            Opening::Aside => {
                connection.execute_batch(FILL)?;
                connection.execute_batch("PRAGMA synchronous = OFF")?;
            }
        }
        self.shapes.borrow_mut().clear();
        Ok(self)
    }

    /// A connection that reads, without a measure.
    pub(super) fn to_look(path: &Path) -> Result<Self> {
        Self::open(path, OpenFlags::SQLITE_OPEN_READ_ONLY, None)
    }

    /// A connection that reads.
    pub(super) fn to_read(path: &Path, judge: Judge) -> Result<Self> {
        Self::open(path, OpenFlags::SQLITE_OPEN_READ_ONLY, Some(judge))
    }

    fn open(path: &Path, flags: OpenFlags, mut judge: Option<Judge>) -> Result<Self> {
        let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        let meter = Meter::default();
        let looked_at = meter.clone();
        connection.progress_handler(LOOK, Some(move || looked_at.look(judge.as_mut())))?;
        Ok(Self { connection, meter, shapes: RefCell::default() })
    }

    /// The shape of a statement, which is found out once.
    pub(super) fn shape(&self, sql: &str, statement: &Statement<'_>) -> Result<Arc<Shape>> {
        let mut shapes = self.shapes.borrow_mut();
        if let Some(shape) = shapes.get(sql) {
            return Ok(shape.clone());
        }
        if shapes.len() >= STATEMENTS {
            shapes.clear();
        }
        let shape = Arc::new(Shape::of(statement)?);
        shapes.insert(sql.into(), shape.clone());
        Ok(shape)
    }

    /// What a failure was, where a statement was ended because of the meter.
    pub(super) fn explain(&self, error: rusqlite::Error) -> Error {
        let why = self.meter.reading().end;
        why.map_or_else(|| error.into(), |why| Error::new(Kind::Timeout, why))
    }
}

impl Shape {
    fn of(statement: &Statement<'_>) -> Result<Self> {
        let parameter = |index| {
            let number = statement.parameter_name(index)?[1..].parse::<usize>().ok()?;
            number.checked_sub(1)
        };
        let parameters = (1..=statement.parameter_count()).map(parameter).collect::<Option<_>>();
        let parameters =
            parameters.ok_or_else(|| Error::new(Kind::Other, "a parameter has no number"))?;
        let columns = statement.column_names().into_iter().map(Box::from).collect();
        Ok(Self { parameters, columns })
    }
}

impl Meter {
    /// Begins to measure a unit, which may take so long.
    pub(super) fn begin(&self, limit: Duration) {
        let until = Instant::now() + limit;
        *self.reading() = Reading { until: Some(until), work: 0, end: None };
    }

    /// Lets everything pass until the next unit.
    pub(super) fn end(&self) {
        *self.reading() = Reading::default();
    }

    /// Whether the statement under way is to end.
    fn look(&self, judge: Option<&mut Judge>) -> bool {
        let mut reading = self.reading();
        let Some(until) = reading.until else { return false };
        reading.work += 1;
        if Instant::now() > until {
            reading.end = Some("the unit of work took too long");
        } else if let Some(judge) = judge {
            reading.end = judge(reading.work);
        }
        reading.end.is_some()
    }

    fn reading(&self) -> MutexGuard<'_, Reading> {
        self.0.lock()
    }
}
