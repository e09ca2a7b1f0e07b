//! The room that the file takes: what became free is given back, and the log is folded in, in steps
//! so small that nobody notices.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rusqlite::{Connection, Row};

use super::{
    mark::Mark,
    session::{BUSY_TIMEOUT, Session},
};
use crate::db::{Error, Result, opening::Opening};

/// Bytes of a file that is made anew at the start so that it can give room back; it takes about a
/// second. A larger one waits for `stoa migrate --compact`.
const REMADE_AT_START: u64 = 64 << 20;

/// Free pages that the file keeps in any case: a megabyte.
const KEPT_PAGES: i64 = 256;

/// How often the log is folded in while somebody writes all the time. As soon as nobody does for a moment, it
/// is folded in at once: what is copied without it lacks little.
const FOLD_INTERVAL: Duration = Duration::from_secs(5);

/// Of how many pages one may be free: what was freed is mostly needed again.
const KEPT_FRACTION: i64 = 10;

/// How long one step of giving back works, without its commit.
const STEP: Duration = Duration::from_millis(4);

/// Bytes of the log above which it is cut off, whoever reads: it is folded in at 16 MB, but as long
/// as someone reads an older moment, it grows.
const LOG_BYTES: u64 = 32 << 20;

/// The same where much is taken in, and the log is folded in at 256 MB.
const FILL_LOG_BYTES: u64 = 512 << 20;

/// How long the writer waits for who reads, to cut the log off.
const CUT_WAIT: Duration = Duration::from_millis(20);

/// After how much more it tries again.
const CUT_AGAIN: u64 = 16 << 20;

pub(super) struct Space {
    log: PathBuf,
    /// Bytes of the log above which it is cut off, and at which that is to be tried next.
    most: u64,
    cut_at: u64,
    /// Whether there may be something to give back.
    due: bool,
    /// Whether the log has what was taken back.
    forgets: bool,
    folding: Folding,
}

/// How far the log is folded in.
struct Folding {
    /// Whether it has what the file has not.
    is_behind: bool,
    /// Whether nobody has written since the last rest.
    is_quiet: bool,
    /// When it was last folded in.
    last: Instant,
}

impl Space {
    pub(super) fn new(log: PathBuf, opening: Opening) -> Self {
        let most = match opening {
            Opening::Work | Opening::AsItIs => LOG_BYTES,
            Opening::Fill | Opening::Aside => FILL_LOG_BYTES,
        };
        Self {
            log,
            most,
            cut_at: most,
            due: true,
            forgets: false,
            folding: Folding { is_behind: false, is_quiet: false, last: Instant::now() },
        }
    }

    /// Notes that something was written.
    pub(super) fn touch(&mut self) {
        self.due = true;
        (self.folding.is_behind, self.folding.is_quiet) = (true, false);
    }

    /// Folds the log in, once nobody writes, or somebody has for long. Where someone reads an older moment,
    /// the rest of it is for the next time.
    pub(super) fn rest(&mut self, connection: &Connection, mark: &mut Mark) {
        let Folding { is_behind, is_quiet, last } = &mut self.folding;
        let was_quiet = std::mem::replace(is_quiet, true);
        if !*is_behind || !(was_quiet || last.elapsed() >= FOLD_INTERVAL) {
            return;
        }
        *last = Instant::now();
        match fold_a_part(connection) {
            Ok(is_whole) => *is_behind = !is_whole,
            Err(error) => tracing::warn!(%error, "the database's log was not folded in"),
        }
        mark.note_folded();
    }

    /// Notes that something was taken back.
    pub(super) fn forget(&mut self) {
        self.forgets = true;
    }

    /// Whether a quiet moment is of use.
    pub(super) fn is_due(&self) -> bool {
        self.due
    }

    /// Gives a little back, and cuts a log off that has what was taken back: where someone reads an
    /// older moment, after the next commit.
    pub(super) fn step(&mut self, connection: &Connection, mark: &mut Mark) {
        if self.forgets {
            match cut_off(connection) {
                Ok(is_whole) => self.forgets = !is_whole,
                Err(error) => tracing::warn!(%error, "the database's log was not folded in"),
            }
        }
        let done = give_back(connection, mark);
        self.due = matches!(done, Ok(true));
        if let Err(error) = done {
            tracing::warn!(%error, "the database's file could not be made smaller");
        }
    }

    /// Cuts the log off where it has grown long.
    pub(super) fn cut(&mut self, connection: &Connection) {
        let bytes = self.log_bytes();
        if bytes < self.cut_at {
            return;
        }
        let cut = cut_off(connection);
        let left = self.log_bytes();
        self.cut_at = if left < self.most { self.most } else { left + CUT_AGAIN };
        if left >= self.most || cut.is_err() {
            tracing::warn!(bytes = left, "the database's log grows: something reads for long");
        }
    }

    fn log_bytes(&self) -> u64 {
        fs::metadata(&self.log).map_or(0, |log| log.len())
    }
}

/// Folds the log in and cuts it off, unless someone reads an older moment for long; whether that was
/// done.
fn cut_off(connection: &Connection) -> Result<bool> {
    const CUT: &str = "PRAGMA wal_checkpoint(TRUNCATE)";
    connection.busy_timeout(CUT_WAIT)?;
    let busy = connection.query_row(CUT, [], |row| row.get::<_, i64>(0));
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(busy? == 0)
}

/// Moves pages from the file's end into free ones, for a short while; whether there is more to do.
/// The file itself ends earlier once the log is folded in.
fn give_back(connection: &Connection, mark: &mut Mark) -> Result<bool> {
    let to_free = |connection: &Connection| -> Result<i64> {
        let free = number(connection, "PRAGMA freelist_count")?;
        if free <= KEPT_PAGES {
            return Ok(0);
        }
        let kept = KEPT_PAGES.max(number(connection, "PRAGMA page_count")? / KEPT_FRACTION);
        Ok(free - kept)
    };
    if to_free(connection)? <= 0 {
        return Ok(false);
    }
    // What is in the log by now is not to be folded in within the commit.
    fold_a_part(connection)?;
    connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    let moved = (|| {
        let began = Instant::now();
        let mut left = to_free(connection)?;
        while left > 0 && began.elapsed() < STEP {
            let mut few = connection.prepare_cached("PRAGMA incremental_vacuum(8)")?;
            let mut rows = few.raw_query();
            while rows.next()?.is_some() {}
            let after = to_free(connection)?;
            if after == left {
                // A file that can't: it was not made so.
                return Ok(false);
            }
            left = after;
        }
        Ok::<_, Error>(left > 0)
    })();
    let moved = moved.and_then(|more| Ok((more, mark.raise(connection, 0)?)));
    let end = if moved.is_ok() { "COMMIT" } else { "ROLLBACK" };
    let ended = connection.prepare_cached(end)?.execute([]);
    let (more, number) = moved?;
    ended?;
    mark.note(number);
    fold_a_part(connection)?;
    Ok(more)
}

/// Folds in what nobody needs any more as it was before; whether that was all.
fn fold_a_part(connection: &Connection) -> Result<bool> {
    let mut fold = connection.prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")?;
    let folded = |row: &Row<'_>| {
        let [busy, log, folded]: [i64; 3] = [row.get(0)?, row.get(1)?, row.get(2)?];
        Ok(busy == 0 && log == folded)
    };
    Ok(fold.query_row([], folded)?)
}

fn number(connection: &Connection, pragma: &str) -> Result<i64> {
    Ok(connection.prepare_cached(pragma)?.query_row([], |row| row.get(0))?)
}

/// Makes a file that can't give room back anew, so that it can; one that is too large for that is
/// left and told of.
pub(super) fn prepare(path: &Path, session: &Session) -> Result<()> {
    let connection = &session.connection;
    if number(connection, "PRAGMA auto_vacuum")? != 0 {
        return Ok(());
    }
    let bytes = number(connection, "PRAGMA page_count")?.unsigned_abs()
        * number(connection, "PRAGMA page_size")?.unsigned_abs();
    let path = path.display();
    if bytes > REMADE_AT_START {
        tracing::warn!(
            %path, bytes,
            "the database's file keeps the room of what is deleted until it is made anew: \
             stop the server and run `stoa migrate --compact`"
        );
        return Ok(());
    }
    tracing::info!(%path, bytes, "the database's file is made anew, so that it can give room back");
    if let Err(error) = remake(session) {
        tracing::warn!(%error, "the database's file was not made anew; the next start tries again");
    }
    Ok(())
}

/// Makes the file anew: as small as it can be, and able to give room back.
pub(super) fn remake(session: &Session) -> Result<()> {
    session.connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL; VACUUM")?;
    fold(&session.connection)
}

/// Folds the whole log in, before anybody reads.
pub(super) fn fold(connection: &Connection) -> Result<()> {
    Ok(connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?)
}
