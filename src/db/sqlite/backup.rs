//! A copy of a database, as it is at one moment, whatever works with it meanwhile.

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use rusqlite::{Connection, OpenFlags};

use super::{
    files::{named, unavailable, with_suffix},
    session::BUSY_TIMEOUT,
};
use crate::db::{Error, Kind, Result};

/// Copies a database to a file that is not there yet; how many bytes that has. Until it is whole it has
/// another name: what is there by its own is a backup.
pub(in crate::db) fn backup(database: &Path, to: &Path) -> Result<u64> {
    let database = named(database, fs::canonicalize(database)).map_err(unavailable)?;
    if fs::symlink_metadata(to).is_ok() {
        return Err(refusal(to, "is there already"));
    }
    let part = with_suffix(to, ".part");
    let file = begin(&part)?;
    let copied =
        copy(&database, &part).and_then(|()| finish(&file, &part, to).map_err(unavailable));
    if copied.is_err() {
        // What became of it is told already.
        let _ = fs::remove_file(&part);
    }
    copied
}

/// The file that is copied into, for the owner's eyes only. One that another backup left is begun anew.
fn begin(part: &Path) -> Result<File> {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let file = named(part, options.open(part)).map_err(unavailable)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(refusal(part, "is written by another backup")),
        Err(TryLockError::Error(error)) => return Err(unavailable(error)),
    }
    file.set_len(0).map_err(unavailable)?;
    Ok(file)
}

fn copy(database: &Path, part: &Path) -> Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(database, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    let name = part.to_str().ok_or_else(|| refusal(part, "is no name that SQLite takes"))?;
    connection.execute("VACUUM INTO ?1", [name])?;
    Ok(())
}

/// Gives the copy its name once it is on the disk.
fn finish(file: &File, part: &Path, to: &Path) -> io::Result<u64> {
    file.sync_all()?;
    // Nothing that came there meanwhile is written over.
    if fs::hard_link(part, to).is_ok() {
        fs::remove_file(part)?;
    } else if fs::symlink_metadata(to).is_ok() {
        return Err(io::Error::other(format!("{} is there already", to.display())));
    } else {
        fs::rename(part, to)?;
    }
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    Ok(file.metadata()?.len())
}

fn refusal(path: &Path, why: &str) -> Error {
    Error::new(Kind::Unavailable, format_args!("{} {why}", path.display()))
}
