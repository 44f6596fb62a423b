//! A file that is being fetched: under another name until it is whole.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;

use crate::cli::Failure;
use crate::rng::Rng;

/// A new file beside its place, which it takes when it is kept. Else it is removed.
#[derive(Debug)]
pub(super) struct FetchedFile {
    place: PathBuf,
    part: PathBuf,
    force: bool,
    pub(super) file: File,
    kept: bool,
}

/// Refuses a place that is taken.
///
/// # Errors
/// [`crate::cli::Exit::Usage`] with what to do.
pub(super) fn check(place: &Path, force: bool) -> Result<(), Failure> {
    let shown = place.display();
    match std::fs::metadata(place) {
        Ok(there) if !there.is_file() => Err(Failure::usage(anyhow::anyhow!(
            "{shown} is no regular file and is left alone; write to - and send standard output there"
        ))),
        Ok(_) if !force => {
            Err(Failure::usage(anyhow::anyhow!("{shown} exists already; add --force to replace it")))
        }
        // A link that leads nowhere is something, too.
        Err(_) if !force && std::fs::symlink_metadata(place).is_ok() => {
            Err(Failure::usage(anyhow::anyhow!("{shown} is a link that leads nowhere; remove it first")))
        }
        _ => Ok(()),
    }
}

impl FetchedFile {
    /// Readable by its owner alone: it is somebody's.
    pub(super) fn create(place: &Path, force: bool) -> Result<Self, Failure> {
        check(place, force)?;
        // A link stays one, and what it leads to is replaced.
        let place = place.canonicalize().unwrap_or_else(|_| place.to_owned());
        let name = format!(".locum-{:016x}.part", u64::from_be_bytes(Rng::system().bytes()));
        let part = place.with_file_name(name);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part);
        let file = file.with_context(|| format!("no file can be made beside {}", place.display()))?;
        Ok(Self { place, part, force, file, kept: false })
    }

    /// Puts it in its place, whole and on disk.
    pub(super) fn keep(mut self) -> Result<PathBuf, Failure> {
        let placed = self.file.sync_all().and_then(|()| self.rename());
        placed.with_context(|| format!("{} cannot be put in place", self.place.display()))?;
        self.kept = true;
        Ok(std::mem::take(&mut self.place))
    }

    /// What appeared in its place meanwhile is not overwritten.
    fn rename(&self) -> io::Result<()> {
        if self.force {
            return std::fs::rename(&self.part, &self.place);
        }
        match rustix::fs::renameat_with(CWD, &self.part, CWD, &self.place, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(()),
            // A file system that cannot: look first, which is nearly as good.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                match std::fs::symlink_metadata(&self.place) {
                    Ok(_) => Err(ErrorKind::AlreadyExists.into()),
                    Err(_) => std::fs::rename(&self.part, &self.place),
                }
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for FetchedFile {
    fn drop(&mut self) {
        if !self.kept {
            let _ = std::fs::remove_file(&self.part);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn fetch(place: &Path, force: bool, content: &str) -> Result<PathBuf, Failure> {
        let mut fetched = FetchedFile::create(place, force)?;
        fetched.file.write_all(content.as_bytes())?;
        fetched.keep()
    }

    #[test]
    fn it_is_there_whole_or_not_at_all() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("a");
        let names = || std::fs::read_dir(folder.path()).expect("there").count();
        let mut part = FetchedFile::create(&place, false).expect("free");
        part.file.write_all(b"half").expect("written");
        assert!(!place.exists());
        drop(part);
        assert_eq!(names(), 0);

        fetch(&place, false, "one").expect("free");
        assert!(fetch(&place, false, "two").is_err());
        assert_eq!(std::fs::read_to_string(&place).expect("there"), "one");
        fetch(&place, true, "three").expect("forced");
        assert_eq!(std::fs::read_to_string(&place).expect("there"), "three");

        let other = folder.path().join("b");
        let late = FetchedFile::create(&other, false).expect("free");
        std::fs::write(&other, "somebody else's").expect("written");
        assert!(late.keep().is_err());
        assert_eq!(std::fs::read_to_string(&other).expect("there"), "somebody else's");
        assert!(fetch(folder.path(), true, "x").is_err(), "a folder is left alone");
        assert!(fetch(Path::new("/dev/null"), true, "x").is_err());

        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&place, &link).expect("made");
        fetch(&link, true, "four").expect("forced");
        assert!(link.is_symlink());
        assert_eq!(std::fs::read_to_string(&place).expect("there"), "four");
        assert_eq!(names(), 3);
    }
}
