//! How far the database is: a number in its header that each commit raises and nothing lowers. It
//! is noted in a mark beside the database, too: a database that is not as far as its mark was
//! restored from a backup, and a log that is beside it may be another's.

use std::{fs, fs::File, io, os::unix::fs::FileExt};

use rusqlite::Connection;

use super::files::{Files, named};
use crate::db::{Error, Kind, Result};

/// The header of SQLite's file, and of its log (sqlite.org/fileformat2.html, 1.3 and 4.1).
const HEADER: usize = 100;
const LOG_HEADER: u64 = 32;

/// Digits of each of a mark's numbers.
const WIDTH: usize = 20;

pub(super) struct Mark {
    file: File,
    /// The database's file, for what it is without its log. It is not closed before SQLite has
    /// closed it: that would end the locks that SQLite has on it.
    database: File,
    noted: Option<Noted>,
}

/// What a mark says.
#[derive(Clone, Copy, PartialEq)]
struct Noted {
    /// The database's number.
    number: i64,
    /// That of its file without its log, which is folded in later.
    folded: i64,
}

/// What a database's file says without its log.
#[derive(Default)]
struct Header {
    /// Whether it has a log.
    has_log: bool,
    number: i64,
}

impl Mark {
    /// Opens the mark, before SQLite opens the database: with a log that is not its own, the
    /// database would be broken, or what was restored would be undone.
    pub(super) fn open(files: &Files) -> io::Result<Self> {
        let path = files.mark();
        let file = files.open(&path)?;
        let noted = named(&path, read(&file))?;
        let database = named(files.path(), File::open(files.path()))?;
        let header = named(files.path(), header(&database))?;
        let is_own = header.has_log && noted.is_none_or(|noted| noted.folded <= header.number);
        let log = files.log();
        if !is_own && fs::metadata(&log).is_ok_and(|log| log.len() > LOG_HEADER) {
            return Err(io::Error::other(format!(
                "{log} is the log of another file than the {database} that is here now, as after \
                 a backup was put in its place: remove {log} and {index} to start from that backup",
                log = log.display(),
                database = files.path().display(),
                index = files.index().display(),
            )));
        }
        Ok(Self { file, database, noted })
    }

    /// Compares it with the database, as soon as that is open; whether the database was restored.
    /// One without a mark was, too, if its commits were ever counted.
    pub(super) fn is_ahead_of(&mut self, connection: &Connection) -> Result<bool> {
        let number = number(connection)?;
        let noted =
            self.noted.map_or(if number > 0 { number + 1 } else { 0 }, |noted| noted.number);
        // What is ahead stays so until the restore is kept in the database.
        self.note(number.max(noted));
        // A mark that a power cut takes away would be missed.
        self.file.sync_all().map_err(|error| Error::new(Kind::Unavailable, error))?;
        Ok(number < noted)
    }

    /// Raises the database's number, in a transaction, above `least`, too; what it is then. Every
    /// commit begins the file's first page anew with it.
    pub(super) fn raise(&self, connection: &Connection, least: i64) -> Result<i64> {
        let before = self.noted.map_or(0, |noted| noted.number);
        let number = before.max(least) + 1;
        let ((high, low), (high_before, _)) = (halves(number), halves(before));
        if high != high_before {
            connection.pragma_update(None, "application_id", high)?;
        }
        connection.pragma_update(None, "user_version", low)?;
        Ok(number)
    }

    /// Notes how far the file is by now without its log.
    pub(super) fn note_folded(&mut self) {
        if let Some(Noted { number, .. }) = self.noted {
            self.note(number);
        }
    }

    /// Notes the number that was committed. Before anybody hears of it.
    pub(super) fn note(&mut self, number: i64) {
        let before = self.noted.map_or(0, |noted| noted.folded);
        let folded = header(&self.database).map_or(before, |header| header.number);
        let noted = Noted { number, folded };
        let digits = format!("{number:>WIDTH$}{folded:>WIDTH$}");
        if self.noted != Some(noted)
            && let Err(error) = self.file.write_all_at(digits.as_bytes(), 0)
        {
            // With an older mark, fewer restores are noticed.
            tracing::debug!(%error, "the database's mark was not written");
        }
        self.noted = Some(noted);
    }
}

/// What is noted; none in a mark that is new, or of a version that did not count.
fn read(mark: &File) -> io::Result<Option<Noted>> {
    let mut digits = [0; 2 * WIDTH];
    if !read_whole(mark, &mut digits)? {
        return Ok(None);
    }
    let number = |digits: &[u8]| str::from_utf8(digits).ok()?.trim().parse().ok();
    let (first, second) = digits.split_at(WIDTH);
    let noted = number(first).zip(number(second));
    Ok(noted.map(|(number, folded)| Noted { number, folded }))
}

/// What is read of a file without SQLite; nothing of one that is empty.
fn header(database: &File) -> io::Result<Header> {
    let mut bytes = [0; HEADER];
    if !read_whole(database, &mut bytes)? {
        return Ok(Header::default());
    }
    let number = whole(half(&bytes, 68), half(&bytes, 60));
    Ok(Header { has_log: bytes[18..20] == [2, 2], number })
}

/// Whether a file begins with so many bytes.
fn read_whole(file: &File, bytes: &mut [u8]) -> io::Result<bool> {
    match file.read_exact_at(bytes, 0) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// The database's number: SQLite keeps two halves of 32 bits for whoever uses it.
fn number(connection: &Connection) -> Result<i64> {
    let half = |name: &str| connection.pragma_query_value(None, name, |row| row.get(0));
    Ok(whole(half("application_id")?, half("user_version")?))
}

fn whole(high: i32, low: i32) -> i64 {
    (i64::from(high) << 32) | i64::from(low.cast_unsigned())
}

fn halves(number: i64) -> (i32, i32) {
    let bytes = number.to_be_bytes();
    (half(&bytes, 0), half(&bytes, 4))
}

fn half(bytes: &[u8], at: usize) -> i32 {
    i32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_two_halves() {
        for number in [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x1_0000_0000, i64::MAX] {
            let (high, low) = halves(number);
            assert_eq!(whole(high, low), number);
        }
    }
}
