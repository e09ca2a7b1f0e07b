//! A look at a database from outside: no file is made beside it.

use std::{fs, path::Path};

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use rusqlite::{Connection, OpenFlags};

use super::{
    files::{named, unavailable, with_suffix},
    session::BUSY_TIMEOUT,
};
use crate::db::{Error, Kind, Result, SqliteExamined, migrations};

/// A file of more bytes is not looked through: that reads all of it.
const LOOKED_THROUGH: u64 = 1 << 30;

/// What may not stand in the path of a URI.
const NO_PATH: &AsciiSet = &CONTROLS.add(b'%').add(b'?').add(b'#');

/// Looks at a database that is there.
pub(in crate::db) fn look_at(path: &Path) -> Result<SqliteExamined> {
    // Where a link leads to it, its log is beside the file itself.
    let path = named(path, fs::canonicalize(path)).map_err(unavailable)?;
    let log = with_suffix(&path, "-wal");
    let bytes = named(&path, fs::metadata(&path)).map_err(unavailable)?.len();
    let log_bytes = fs::metadata(&log).map_or(0, |log| log.len());
    // One that nobody works with has no log, and SQLite would make one to read it.
    let has_log = log.exists() && with_suffix(&path, "-shm").exists();
    let connection = open(&path, has_log)?;
    let schema = migrations::sqlite_schema(&connection)?;
    let is_whole = has_log || log_bytes == 0;
    let damage = (is_whole && bytes <= LOOKED_THROUGH).then(|| look_through(&connection));
    Ok(SqliteExamined { schema, bytes, log_bytes, damage: damage.transpose()? })
}

fn open(path: &Path, has_log: bool) -> Result<Connection> {
    let name = path.to_str().ok_or_else(|| Error::new(Kind::Other, "its path is no text"))?;
    let path = utf8_percent_encode(name, NO_PATH);
    let mode = if has_log { "mode=ro" } else { "mode=ro&immutable=1" };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(format!("file:{path}?{mode}"), flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}

/// What is broken, of which there may be much: the first of it.
fn look_through(connection: &Connection) -> Result<Vec<String>> {
    let mut check = connection.prepare("PRAGMA quick_check(3)")?;
    let found = check.query_map([], |row| row.get(0))?;
    let mut found = found.collect::<rusqlite::Result<Vec<String>>>()?;
    found.retain(|line| line != "ok");
    Ok(found)
}
