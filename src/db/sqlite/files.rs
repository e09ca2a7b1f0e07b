//! The database's files: whose they are, and whether they are still there.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// A database's files, which this process alone works with: one that ends, however it does, gives
/// them up.
pub(super) struct Files {
    path: PathBuf,
    log: PathBuf,
    /// The file that was there at the start.
    identity: Identity,
    lock: Mutex<Option<File>>,
}

/// What a file is by, whatever its name.
type Identity = (u64, u64);

impl Files {
    /// Takes the files, made where there are none; none while another process has them.
    pub(super) fn take(path: &Path) -> io::Result<Option<Self>> {
        create(path)?;
        let lock = private().open(beside(path, "-lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let (identity, lock) = (identity(path)?, Mutex::new(Some(lock)));
        Ok(Some(Self { path: path.to_owned(), log: beside(path, "-wal"), identity, lock }))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the [`Mark`](super::mark::Mark) is.
    pub(super) fn mark(&self) -> PathBuf {
        beside(&self.path, "-mark")
    }

    /// Whether they are still there: what is written to a file without a name is lost with the
    /// process. Asked while the database is open, when there is a log.
    pub(super) fn are_there(&self) -> bool {
        identity(&self.path).is_ok_and(|identity| identity == self.identity) && self.log.exists()
    }

    /// Lets another process have them.
    pub(super) fn give_up(&self) {
        *self.lock.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn identity(path: &Path) -> io::Result<Identity> {
    use std::os::unix::fs::MetadataExt;
    let metadata = fs::metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Makes the folder and the file, for the owner's eyes only. SQLite gives the files that it makes
/// beside it the same permissions.
fn create(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        let mut builder = fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.recursive(true).create(folder)?;
    }
    if path.exists() {
        // Not opened: closing it would end the locks that SQLite has on it in this process.
        return Ok(());
    }
    private().open(path).map(drop)
}

/// Opens a file, made where there is none, that nobody else may read.
fn private() -> fs::OpenOptions {
    let mut options = fs::OpenOptions::new();
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.append(true).create(true);
    options
}
