//! The folder, reached by directory handles only.
//!
//! Every path is walked name by name from the folder's own handle and no symbolic link is followed, so
//! that a directory swapped for a link leads nowhere. Nothing here removes a name without having looked
//! at what it removed: a file is first moved into the private folder or exchanged with the new one, and
//! then compared with what was expected; what turns out to be something else can be put back.
//!
//! The handle is locked while it is open. Work on another thread holds the folder too, so a run that is
//! dropped is over only when its last operation is.

mod names;
pub(super) mod scan;

pub(super) use self::names::rename_free;

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, OnceLock, PoisonError};

use rustix::fs::{AtFlags, Dir, FileType, FlockOperation, Mode, OFlags, Stat, Timespec, Timestamps};
use rustix::io::Errno;

use super::path::{Likeness, MARKER, PRIVATE, RelPath};
use crate::vault::LocalMark;

/// First word of the marker file, before the mirror's id.
const MARKER_WORD: &str = "locum-mirror";
/// What else the marker file says.
const MARKER_WORDS: &str = "\nThis file says whose mirror the folder is. Without it locum takes the folder for another one\n(or for a disk that is not mounted) and leaves it alone. Do not copy it into another folder.\n";

/// Why something local could not be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LocalError {
    /// It is not there (any more).
    #[error("it is not there")]
    Gone,
    /// Something is there already.
    #[error("something is there already")]
    Exists,
    /// It is not what it was.
    #[error("it is not what it was")]
    Changed,
    /// It is no folder.
    #[error("it is no folder")]
    NotAFolder,
    /// Another run has the folder.
    #[error("another run is under way in the folder")]
    Busy,
    /// The disk is full.
    #[error("the disk is full; free some space, the next run goes on")]
    Full,
    /// The system says something else.
    #[error("{0}")]
    Io(String),
}

impl From<Errno> for LocalError {
    fn from(error: Errno) -> Self {
        match error {
            Errno::NOENT => Self::Gone,
            Errno::EXIST | Errno::NOTEMPTY => Self::Exists,
            // A directory on the way was swapped for a file or a link.
            Errno::NOTDIR | Errno::LOOP | Errno::ISDIR => Self::Changed,
            Errno::NOSPC | Errno::DQUOT => Self::Full,
            other => Self::Io(std::io::Error::from(other).to_string()),
        }
    }
}

impl From<std::io::Error> for LocalError {
    fn from(error: std::io::Error) -> Self {
        match error.raw_os_error() {
            Some(code) => Errno::from_raw_os_error(code).into(),
            None => Self::Io(error.to_string()),
        }
    }
}

/// What stands at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) kind: FileType,
    pub(super) mark: LocalMark,
    pub(super) device: u64,
    pub(super) links: u64,
    pub(super) mode: u32,
}

/// An integer of the system's, whose width depends on the system.
fn number<T: TryInto<i64>>(value: T) -> i64 {
    value.try_into().unwrap_or_default()
}

impl From<&Stat> for Found {
    fn from(stat: &Stat) -> Self {
        let nanoseconds = |s: i64, ns: i64| s.saturating_mul(1_000_000_000).saturating_add(ns);
        Self {
            kind: FileType::from_raw_mode(stat.st_mode),
            mark: LocalMark {
                inode: stat.st_ino,
                size: number(stat.st_size).unsigned_abs(),
                mtime_ns: nanoseconds(number(stat.st_mtime), number(stat.st_mtime_nsec)),
                ctime_ns: nanoseconds(number(stat.st_ctime), number(stat.st_ctime_nsec)),
                seen_ns: 0,
            },
            device: number(stat.st_dev).unsigned_abs(),
            links: number(stat.st_nlink).unsigned_abs(),
            mode: u32::try_from(number(stat.st_mode)).unwrap_or_default() & 0o7777,
        }
    }
}

/// Whether two looks at a file saw the same content. The ctime does not count: a new link, such as one
/// in the version store, changes it.
pub(super) fn is_same_file(a: &LocalMark, b: &LocalMark) -> bool {
    (a.inode, a.size, a.mtime_ns) == (b.inode, b.size, b.mtime_ns)
}

const HERE: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::RDONLY);
const READ: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);
const CREATE: OFlags =
    OFlags::RDWR.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The folder of a mirror, open and locked.
#[derive(Debug)]
pub(super) struct Folder {
    root: OwnedFd,
    device: u64,
    private: OnceLock<OwnedFd>,
    /// Counts names in the private folder, which is empty when a run begins.
    names: AtomicU64,
    /// Folders whose names changed since they were last synced; `None` is the top.
    unsynced: Mutex<HashSet<Option<RelPath>>>,
}

impl Folder {
    /// Opens the folder and locks it.
    pub(super) fn open(path: &Path) -> Result<Self, LocalError> {
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY;
        let root = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| match error {
            Errno::NOTDIR => LocalError::NotAFolder,
            other => other.into(),
        })?;
        match rustix::fs::flock(&root, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(LocalError::Busy),
            Err(other) => return Err(other.into()),
        }
        let device = Found::from(&rustix::fs::fstat(&root)?).device;
        Ok(Self {
            root,
            device,
            private: OnceLock::new(),
            names: AtomicU64::new(0),
            unsynced: Mutex::default(),
        })
    }

    /// The mirror's id in the marker file; an empty one when the file says something else.
    pub(super) fn marker(&self) -> Result<Option<String>, LocalError> {
        let file = match rustix::fs::openat(&self.root, MARKER, READ, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => return Ok(Some(String::new())),
            Err(other) => return Err(other.into()),
        };
        let mut text = Vec::new();
        file.take(4096).read_to_end(&mut text)?;
        let text = String::from_utf8_lossy(&text);
        let id = text.lines().next().and_then(|line| line.strip_prefix(MARKER_WORD)).unwrap_or_default();
        Ok(Some(id.trim().to_owned()))
    }

    /// Writes the marker file where there is none.
    pub(super) fn write_marker(&self, id: &str) -> Result<(), LocalError> {
        // Whole or not at all: a torn marker would be another mirror's.
        let (name, mut file) = self.temporary()?;
        write!(file, "{MARKER_WORD} {id}\n{MARKER_WORDS}")?;
        file.sync_all()?;
        let outcome = rename_free(self.private()?, &name, &self.root, MARKER);
        if outcome.is_err() {
            self.drop_private(&name)?;
        }
        outcome?;
        rustix::fs::fsync(&self.root)?;
        Ok(())
    }

    /// Makes the private folder, if it is not there, for the methods that need it.
    pub(super) fn prepare(&self) -> Result<(), LocalError> {
        match rustix::fs::mkdirat(&self.root, PRIVATE, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(other) => return Err(other.into()),
        }
        let private = rustix::fs::openat(&self.root, PRIVATE, HERE, Mode::empty())?;
        if Found::from(&rustix::fs::fstat(&private)?).device != self.device {
            return Err(LocalError::Io(format!("another file system is mounted at {PRIVATE}")));
        }
        let _ = self.private.set(private);
        Ok(())
    }

    fn private(&self) -> Result<&OwnedFd, LocalError> {
        self.private.get().ok_or(LocalError::Gone)
    }

    /// The file system's own time, which is what it stamps on files. Nanoseconds since the Unix epoch.
    pub(super) fn now_ns(&self) -> Result<i64, LocalError> {
        let private = self.private()?;
        let now = Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
        rustix::fs::futimens(private, &Timestamps { last_access: now, last_modification: now })?;
        Ok(Found::from(&rustix::fs::fstat(private)?).mark.mtime_ns)
    }

    /// Which names the file system takes for one another, tried out.
    pub(super) fn likeness(&self) -> Result<Likeness, LocalError> {
        let private = self.private()?;
        let probe = |made: &str, asked: &str| -> Result<bool, LocalError> {
            drop(rustix::fs::openat(private, made, CREATE, Mode::RUSR | Mode::WUSR)?);
            let same = rustix::fs::statat(private, asked, AtFlags::SYMLINK_NOFOLLOW).is_ok();
            rustix::fs::unlinkat(private, made, AtFlags::empty())?;
            Ok(same)
        };
        Ok(Likeness {
            ignores_case: probe("tmp-probe-a", "tmp-probe-A")?,
            ignores_form: probe("tmp-probe-\u{e9}", "tmp-probe-e\u{301}")?,
        })
    }

    /// What an earlier run left in the private folder.
    pub(super) fn leftovers(&self) -> Result<Vec<String>, LocalError> {
        let mut names = Vec::new();
        for entry in Dir::read_from(self.private()?)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// A handle of a folder; `None` is the top.
    fn folder(&self, path: Option<&RelPath>) -> Result<OwnedFd, LocalError> {
        let mut here = rustix::fs::openat(&self.root, ".", HERE, Mode::empty())?;
        for name in path.iter().flat_map(|path| path.as_str().split('/')) {
            here = rustix::fs::openat(&here, name, HERE, Mode::empty())?;
        }
        Ok(here)
    }

    fn parent(&self, path: &RelPath) -> Result<OwnedFd, LocalError> {
        self.folder(path.parent().as_ref())
    }

    /// What stands at the path; `None` when nothing does, its folder included.
    pub(super) fn stat(&self, path: &RelPath) -> Result<Option<Found>, LocalError> {
        let parent = match self.parent(path) {
            Ok(parent) => parent,
            Err(LocalError::Gone) => return Ok(None),
            Err(other) => return Err(other),
        };
        match rustix::fs::statat(&parent, path.name(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(Found::from(&stat))),
            Err(Errno::NOENT) => Ok(None),
            Err(other) => Err(other.into()),
        }
    }

    /// Opens a file for reading, if it is still the one that was seen.
    pub(super) fn open_file(&self, path: &RelPath, seen: &LocalMark) -> Result<File, LocalError> {
        let file = rustix::fs::openat(&self.parent(path)?, path.name(), READ, Mode::empty())?;
        let found = Found::from(&rustix::fs::fstat(&file)?);
        if found.kind != FileType::RegularFile || !is_same_file(&found.mark, seen) {
            return Err(LocalError::Changed);
        }
        Ok(File::from(file))
    }

    /// What lies in the private folder under the name.
    pub(super) fn stat_private(&self, name: &str) -> Result<Found, LocalError> {
        Ok(Found::from(&rustix::fs::statat(self.private()?, name, AtFlags::SYMLINK_NOFOLLOW)?))
    }

    /// Removes a file from the private folder; one that is gone already is success.
    pub(super) fn drop_private(&self, name: &str) -> Result<(), LocalError> {
        match rustix::fs::unlinkat(self.private()?, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(other) => Err(other.into()),
        }
    }

    /// Opens a file of the private folder for reading.
    pub(super) fn open_private(&self, name: &str) -> Result<File, LocalError> {
        Ok(File::from(rustix::fs::openat(self.private()?, name, READ, Mode::empty())?))
    }

    fn note_unsynced(&self, folder: Option<RelPath>) {
        self.unsynced.lock().unwrap_or_else(PoisonError::into_inner).insert(folder);
    }

    /// Makes every change of names so far durable.
    pub(super) fn sync(&self) -> Result<(), LocalError> {
        let folders = std::mem::take(&mut *self.unsynced.lock().unwrap_or_else(PoisonError::into_inner));
        for folder in folders {
            match self.folder(folder.as_ref()) {
                Ok(handle) => rustix::fs::fsync(&handle)?,
                // Removed since, or moved with the folder above it, whose own change is synced.
                Err(LocalError::Gone | LocalError::Changed) => {}
                Err(other) => return Err(other),
            }
        }
        Ok(())
    }
}

/// Sets when a file's content last changed; Unix milliseconds.
pub(super) fn set_modified(file: &File, modified_ms: i64) -> Result<(), LocalError> {
    let time =
        Timespec { tv_sec: modified_ms.div_euclid(1000), tv_nsec: modified_ms.rem_euclid(1000) * 1_000_000 };
    rustix::fs::futimens(file, &Timestamps { last_access: time, last_modification: time })?;
    Ok(())
}

/// Gives a file the rights of the one it replaces.
pub(super) fn set_mode(file: &File, mode: u32) -> Result<(), LocalError> {
    rustix::fs::fchmod(file, Mode::from_raw_mode(mode & 0o777))?;
    Ok(())
}

/// What is known of an open file.
pub(super) fn stat_file(file: &File) -> Result<Found, LocalError> {
    Ok(Found::from(&rustix::fs::fstat(file)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_system_is_what_can_be_done_about_it() {
        for (error, expected) in [
            (Errno::NOSPC, LocalError::Full),
            (Errno::DQUOT, LocalError::Full),
            (Errno::NOENT, LocalError::Gone),
            (Errno::NOTEMPTY, LocalError::Exists),
            (Errno::LOOP, LocalError::Changed),
        ] {
            assert_eq!(LocalError::from(error), expected);
            assert_eq!(LocalError::from(std::io::Error::from(error)), expected);
        }
        assert!(matches!(LocalError::from(Errno::IO), LocalError::Io(_)));
    }
}
