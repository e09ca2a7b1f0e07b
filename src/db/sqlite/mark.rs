//! A mark beside the database: how new the newest event in it was. A database that is older than its
//! mark was restored from a backup.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
};

use rusqlite::Connection;

/// When the newest event was announced; 0 when there is none.
const NEWEST: &str = "SELECT COALESCE(MAX(created_at), 0) FROM events";

/// Digits of a mark.
const WIDTH: usize = 20;

pub(super) struct Mark {
    file: File,
    noted: Option<i64>,
}

impl Mark {
    /// Reads the mark at this path; whether the database was restored. One without a mark that has
    /// events was, too, or its mark would be here.
    pub(super) fn read(path: &Path, connection: &Connection) -> io::Result<(Self, bool)> {
        let mut options = OpenOptions::new();
        let file =
            options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let mut digits = [0; WIDTH];
        let noted = file.read_exact_at(&mut digits, 0).ok();
        let noted = noted.and_then(|()| str::from_utf8(&digits).ok()?.trim().parse().ok());
        let newest = newest(connection);
        let restored = noted.map_or(newest > 0, |noted: i64| newest < noted);
        let mut mark = Self { file, noted };
        if !restored {
            mark.note(connection);
        }
        Ok((mark, restored))
    }

    /// Notes what is in the database now. Before anybody hears of it.
    pub(super) fn note(&mut self, connection: &Connection) {
        let newest = newest(connection);
        if self.noted == Some(newest) {
            return;
        }
        match self.file.write_all_at(format!("{newest:>WIDTH$}").as_bytes(), 0) {
            Ok(()) => self.noted = Some(newest),
            // With an older mark, fewer restores are noticed.
            Err(error) => tracing::debug!(%error, "the database's mark was not written"),
        }
    }
}

fn newest(connection: &Connection) -> i64 {
    let asked = connection.prepare_cached(NEWEST);
    asked.and_then(|mut newest| newest.query_row([], |row| row.get(0))).unwrap_or_default()
}
