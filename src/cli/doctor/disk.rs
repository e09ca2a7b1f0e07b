//! The folder of what is kept here: whether it can be written, what is free, and what kind of disk it is.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Access, access, statfs, statvfs},
    io::Errno,
};
use stoa::{config::Config, db::Db};

use super::finding::{Check, Finding, size};

const MIB: u64 = 1 << 20;

/// Filesystems by their numbers (statfs(2)): those of other machines, those in memory, and a container's
/// own layer.
const NETWORK: [(u64, &str); 9] = [
    (0x6969, "NFS"),
    (0x517B, "SMB"),
    (0xFE53_4D42, "SMB"),
    (0xFF53_4D42, "SMB"),
    (0x5346_414F, "AFS"),
    (0x00C3_6400, "Ceph"),
    (0x0BD0_0BD0, "Lustre"),
    (0x0102_1997, "9p"),
    (0x7461_636F, "OCFS2"),
];
const MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58F6];
const LAYER: u64 = 0x794C_7630;

pub(super) fn look(config: &Config) -> Vec<Finding> {
    let file = Db::file(&config.database, &config.data);
    let folder = match &file {
        Some(file) => folder_of(file),
        None if config.auth.has_key() => {
            return vec![Check::Disk.ok("nothing is kept on this machine: the store is Postgres")];
        }
        // The development secret is there.
        None => config.data.clone(),
    };
    let shown = folder.display();
    let (is_there, nearest) = nearest(&folder);
    match fs::metadata(nearest) {
        Ok(file) if !file.is_dir() => {
            return vec![Check::Disk.problem(
                format!("{shown} can't be made: {} is no folder", nearest.display()),
                "name another folder with STOA_DATA, or take that file away",
            )];
        }
        Ok(_) => {}
        Err(why) => {
            return vec![Check::Disk.problem(
                format!("{} can't be looked into: {why}", nearest.display()),
                "look where it leads, and whether the user that the server runs as may go through all folders \
                 around it (`namei -l` shows both); or name another folder with STOA_DATA",
            )];
        }
    }
    let mut found = vec![match access(nearest, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) if is_there => Check::Disk.ok(format!("{shown} can be written")),
        Ok(()) => Check::Disk.ok(format!("{shown} is not there yet, and can be made")),
        Err(why) => unwritable(nearest, why),
    }];
    if is_there {
        found.extend(file.as_deref().and_then(foreign));
    }
    if let Ok(disk) = statvfs(nearest) {
        let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
        found.push(space(bytes(disk.f_bavail), bytes(disk.f_blocks)));
    }
    if let (Some(_), Ok(disk)) = (&file, statfs(nearest)) {
        // Of the numbers only the low half counts.
        #[expect(clippy::cast_sign_loss, reason = "a number that is compared with numbers alone")]
        found.extend(kind(disk.f_type as u64 & 0xFFFF_FFFF));
    }
    found
}

/// The folder that a file is in.
fn folder_of(file: &Path) -> PathBuf {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new(".")).to_owned()
}

/// Whether a folder is there; it, or what is there of the path to it.
fn nearest(folder: &Path) -> (bool, &Path) {
    // A link that leads nowhere is there, too, and so is what may not be looked for.
    let is_there = |place: &Path| {
        let why = fs::symlink_metadata(place).err().map(|why| why.kind());
        !matches!(why, Some(ErrorKind::NotFound | ErrorKind::NotADirectory))
    };
    let mut places = folder.ancestors().filter(|place| !place.as_os_str().is_empty());
    let there = places.find(|place| is_there(place));
    (there == Some(folder), there.unwrap_or(Path::new(".")))
}

fn unwritable(folder: &Path, why: Errno) -> Finding {
    let found = format!("{} can't be written: {why}", folder.display());
    let advice = match why {
        Errno::ROFS => {
            "it is mounted read-only: in systemd's unit StateDirectory= or ReadWritePaths=, in \
                        docker a volume (-v stoa:/data), then STOA_DATA names it"
                .to_owned()
        }
        _ => format!(
            "give it to the user that the server runs as: chown -R USER {}",
            folder.display()
        ),
    };
    Check::Disk.problem(found, advice)
}

/// What this user may not write of the files that are there.
fn foreign(file: &Path) -> Option<Finding> {
    if !file.exists() {
        return None;
    }
    let why = access(file, Access::READ_OK | Access::WRITE_OK).err()?;
    Some(Check::Disk.problem(
        format!("{} can't be written: {why}", file.display()),
        format!("give it to the user that the server runs as: chown USER {}*", file.display()),
    ))
}

fn space(free: u64, all: u64) -> Finding {
    let found = format!("{} of {} are free", size(free), size(all));
    let advice = "make room, or a larger disk, before writes are refused (503); EVENT_RETENTION and \
                  MESSAGE_RETENTION say for how long things are kept, `stoa migrate --compact` gives back what is \
                  free in SQLite's file";
    if free < 100 * MIB {
        Check::Disk.problem(found, advice)
    } else if free < 1024 * MIB || free < all / 10 {
        Check::Disk.warning(found, advice)
    } else {
        Check::Disk.ok(found)
    }
}

/// What is to be known of a kind of filesystem.
fn kind(number: u64) -> Option<Finding> {
    if let Some((_, name)) = NETWORK.iter().find(|(known, _)| *known == number) {
        return Some(Check::Disk.warning(
            format!("the store is on a network filesystem ({name})"),
            "SQLite can't rely on its locks there: take a disk of this machine (STOA_DATA), or Postgres \
             (DATABASE_URL)",
        ));
    }
    if MEMORY.contains(&number) {
        return Some(Check::Disk.warning(
            "the store is in memory (tmpfs), and gone with the next start of the machine",
            "take a folder on a disk (STOA_DATA)",
        ));
    }
    (number == LAYER).then(|| {
        Check::Disk.note(
            "the store is in a container's own layer (overlay), and gone with the container",
            "mount a volume, and name it with STOA_DATA",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Level, *};

    #[test]
    fn free_space_is_judged_by_what_is_there_and_by_its_share() {
        for (free, all, level) in [
            (50 << 30, 250 << 30, Level::Ok),
            (20 << 30, 250 << 30, Level::Warning),
            (1023 * MIB, 2048 * MIB, Level::Warning),
            (100 * MIB, 200 * MIB, Level::Warning),
            (100 * MIB - 1, 200 * MIB, Level::Problem),
        ] {
            assert_eq!(space(free, all).level, level, "{free} of {all}");
        }
    }

    #[test]
    fn where_sqlite_should_not_be_is_told() {
        let level = |number| kind(number).map(|found| found.level);
        assert_eq!(level(0x6969), Some(Level::Warning));
        assert_eq!(level(0xFF53_4D42), Some(Level::Warning));
        assert_eq!(level(0x0102_1994), Some(Level::Warning));
        assert_eq!(level(0x794C_7630), Some(Level::Note));
        assert_eq!(level(0xEF53), None, "ext4");
    }

    #[test]
    fn a_folder_that_is_not_there_is_judged_by_what_is_around_it() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b");
        assert_eq!(nearest(&deep), (false, folder.path()));
        assert_eq!(nearest(folder.path()), (true, folder.path()));
        assert_eq!(nearest(Path::new("none-of-that-name")), (false, Path::new(".")));
        assert_eq!(folder_of(Path::new("stoa.db")), Path::new("."));
    }

    #[test]
    fn what_can_not_be_written_is_told_with_why() {
        let read_only = unwritable(Path::new("/data"), Errno::ROFS);
        assert_eq!(read_only.level, Level::Problem);
        assert!(read_only.advice.unwrap().contains("ReadWritePaths="));
        let others = unwritable(Path::new("/data"), Errno::ACCESS);
        assert!(others.found.starts_with("/data can't be written: "), "{others}");
        assert!(others.advice.unwrap().contains("chown -R USER /data"));
    }
}
