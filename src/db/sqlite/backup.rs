//! A copy of a database, as it is at one moment, whatever works with it meanwhile.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use tempfile::NamedTempFile;

use super::{
    files::{self, named, unavailable},
    session::Session,
};
use crate::db::{Error, Kind, Result, migrations};

/// Copies a database to a file that is not there yet; how many bytes that has. Until it is whole it has
/// another name: what is there by its own is a backup.
pub(in crate::db) fn backup(database: &Path, to: &Path) -> Result<u64> {
    let session = look(database)?;
    if !migrations::sqlite_is_there(&session.connection)? {
        return Err(refusal(database, "is no store"));
    }
    if fs::symlink_metadata(to).is_ok() {
        return Err(refusal(to, "is there already"));
    }
    let part = begin(to).map_err(unavailable)?;
    copy(&session, part.path())?;
    finish(part, to).map_err(unavailable)
}

/// Copies a database of this version to a file that is not there, for nothing but to try something
/// on it; nothing where there is no database.
pub(in crate::db) fn copy_aside(database: &Path, to: &Path) -> Result<()> {
    if !files::is_there(database)? {
        tracing::info!(path = %database.display(), "there is no store yet: an empty one is tried");
        return Ok(());
    }
    let session = look(database)?;
    migrations::sqlite_as_it_is(&session.connection)?;
    copy(&session, to)
}

fn look(database: &Path) -> Result<Session> {
    files::ensure_there(database)?;
    Session::to_look(&named(database, fs::canonicalize(database)).map_err(unavailable)?)
}

/// The file that is copied into, beside the other: for the owner's eyes only, under a name that nobody
/// knows before. A kill leaves it behind.
fn begin(to: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new().prefix(".stoa-backup-").tempfile_in(folder_of(to))
}

fn copy(session: &Session, part: &Path) -> Result<()> {
    let name = part.to_str().ok_or_else(|| refusal(part, "is no name that SQLite takes"))?;
    session.connection.execute("VACUUM INTO ?1", [name])?;
    Ok(())
}

/// Gives the copy its name once it is on the disk.
fn finish(part: NamedTempFile, to: &Path) -> io::Result<u64> {
    part.as_file().sync_all()?;
    // Nothing that came there meanwhile is written over.
    let file = part.persist_noclobber(to).map_err(|error| {
        let cause = error.error;
        match cause.kind() {
            io::ErrorKind::AlreadyExists => {
                io::Error::other(format!("{} is there already", to.display()))
            }
            _ => cause,
        }
    })?;
    File::open(folder_of(to))?.sync_all()?;
    Ok(file.metadata()?.len())
}

fn folder_of(to: &Path) -> &Path {
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

fn refusal(path: &Path, why: &str) -> Error {
    Error::new(Kind::Unavailable, format_args!("{} {why}", path.display()))
}
