//! The database's files: whose they are, and whether they are still there.

use std::{
    fs::{self, File, Metadata, Permissions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown},
    path::{Path, PathBuf},
};

use parking_lot::Mutex;

use crate::db::{Error, Kind, Result};

/// A database's files, which this process alone works with: one that ends, however it does, gives
/// them up.
pub(super) struct Files {
    /// The file itself, where a link leads to it: SQLite keeps its log beside that.
    path: PathBuf,
    /// The file that was there at the start.
    identity: Identity,
    /// The log, as long as it has to be there.
    log: Mutex<Option<Identity>>,
    lock: Mutex<Option<File>>,
}

/// What a file is by, whatever its name.
type Identity = (u64, u64);

impl Files {
    /// Takes the files, made where there are none; none while another process has them.
    pub(super) fn take(path: &Path) -> io::Result<Option<Self>> {
        create(path)?;
        let path = named(path, fs::canonicalize(path))?;
        let lock_path = with_suffix(&path, "-lock");
        let lock = open(&lock_path, &metadata(&path)?)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return named(&lock_path, Err(error)),
        }
        let (identity, lock) = (identity(&path)?, Mutex::new(Some(lock)));
        Ok(Some(Self { path, identity, log: Mutex::default(), lock }))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// SQLite's log, which belongs to the database as long as it is there.
    pub(super) fn log(&self) -> PathBuf {
        with_suffix(&self.path, "-wal")
    }

    /// SQLite's index of its log.
    pub(super) fn index(&self) -> PathBuf {
        with_suffix(&self.path, "-shm")
    }

    /// Where the [`Mark`](super::mark::Mark) is.
    pub(super) fn mark(&self) -> PathBuf {
        with_suffix(&self.path, "-mark")
    }

    /// Opens a file that is beside the database, made where there is none, for who may open that.
    pub(super) fn open(&self, path: &Path) -> io::Result<File> {
        open(path, &metadata(&self.path)?)
    }

    /// Whether they are still there: what is written to a file without a name is lost with the
    /// process.
    pub(super) fn are_there(&self) -> bool {
        let is = |path: &Path, known| identity(path).is_ok_and(|identity| identity == known);
        let log = *self.log.lock();
        is(&self.path, self.identity) && log.is_none_or(|log| is(&self.log(), log))
    }

    /// Notes that the database is open, with its log: as long as it is, SQLite leaves that there.
    pub(super) fn opened(&self) {
        *self.log.lock() = identity(&self.log()).ok();
    }

    /// Notes that it is to be closed: the last connection takes the log with it.
    pub(super) fn closing(&self) {
        *self.log.lock() = None;
    }

    /// Lets another process have them.
    pub(super) fn give_up(&self) {
        *self.lock.lock() = None;
    }
}

pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Refuses a database that is not there: where it is to be as it is, none is made.
pub(super) fn ensure_there(path: &Path) -> Result<()> {
    if is_there(path)? {
        return Ok(());
    }
    let why = "which `stoa serve`, `stoa migrate` and `stoa import` make; or another is meant \
               (DATABASE_URL, STOA_DATA)";
    Err(Error::new(Kind::Unfit, format_args!("there is no {}, {why}", path.display())))
}

/// Whether there is a file. Of one that may not be looked for, nobody knows.
pub(in crate::db) fn is_there(path: &Path) -> Result<bool> {
    named(path, path.try_exists()).map_err(unavailable)
}

/// A failure that another try may not have.
pub(super) fn unavailable(error: io::Error) -> Error {
    Error::new(Kind::Unavailable, error)
}

/// A failure with the name of its file.
pub(super) fn named<T>(path: &Path, done: io::Result<T>) -> io::Result<T> {
    done.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

fn metadata(path: &Path) -> io::Result<Metadata> {
    named(path, fs::metadata(path))
}

fn identity(path: &Path) -> io::Result<Identity> {
    let metadata = metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Makes the folder and the file, for the owner's eyes only; the file is that of the folder's owner.
fn create(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    named(folder, fs::DirBuilder::new().recursive(true).mode(0o700).create(folder))?;
    if path.exists() {
        // Not opened: closing it would end the locks that SQLite has on it in this process.
        return Ok(());
    }
    make(path, &metadata(folder)?, 0o600).map(drop)
}

/// Opens a file beside the database, as SQLite does with its own: made where there is none, for
/// the same owner and with the same permissions. Who runs a verb as root locks no server out.
fn open(path: &Path, database: &Metadata) -> io::Result<File> {
    make(path, database, database.mode() & 0o666)
}

/// Opens a file, made where there is none for the owner of something else, where that is possible.
fn make(path: &Path, owned_like: &Metadata, mode: u32) -> io::Result<File> {
    let mut options = File::options();
    options.read(true).write(true).truncate(false).mode(0o600);
    let file = match options.clone().create_new(true).open(path) {
        Ok(file) => file.set_permissions(Permissions::from_mode(mode)).map(|()| {
            // Only root gives files away.
            let _ = fchown(&file, Some(owned_like.uid()), Some(owned_like.gid()));
            file
        }),
        // One that is there is whose it is; a link may lead to one that is to be made.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            options.create(true).open(path)
        }
        Err(error) => Err(error),
    };
    named(path, file)
}
