//! The directory of one mirror's kept contents.

use std::fs::{DirBuilder, File};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use md5::{Digest as _, Md5};
use rustix::fs::{AtFlags, Dir, Mode, OFlags};
use rustix::io::Errno;

use super::super::local::{Found, LocalError, rename_free};

/// The directory of all stores, below the data directory.
const STORES: &str = "versions";
/// How the name of a file that is still being written begins; no random name does.
const UNFINISHED: &str = "new.";

pub(super) fn is_unfinished(name: &str) -> bool {
    name.starts_with(UNFINISHED)
}

/// An open store.
#[derive(Debug)]
pub(crate) struct Store {
    directory: OwnedFd,
}

impl Store {
    /// Where the store of this name is.
    pub(in super::super) fn path(data: &Path, name: &str) -> PathBuf {
        data.join(STORES).join(name)
    }

    /// Opens a store, making it if it is not there.
    pub(super) fn open(data: &Path, name: &str) -> Result<Self, LocalError> {
        let path = Self::path(data, name);
        if path.symlink_metadata().is_err() {
            DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
            // What is put into it must not go with its own name when the power fails.
            for above in path.ancestors().skip(1).take(2) {
                File::open(above)?.sync_all()?;
            }
        }
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
        Ok(Self { directory: rustix::fs::open(&path, flags, Mode::empty())? })
    }

    pub(super) fn handle(&self) -> &OwnedFd {
        &self.directory
    }

    pub(super) fn stat(&self, name: &str) -> Result<Found, LocalError> {
        Ok(Found::from(&rustix::fs::statat(&self.directory, name, AtFlags::SYMLINK_NOFOLLOW)?))
    }

    pub(super) fn names(&self) -> Result<Vec<String>, LocalError> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.directory)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// The name in the store of a file that has another one elsewhere.
    pub(super) fn name_of(&self, file: &Found) -> Result<Option<String>, LocalError> {
        for name in self.names()? {
            let found = self.stat(&name)?;
            if (found.device, found.mark.inode) == (file.device, file.mark.inode) {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }

    pub(super) fn open_file(&self, name: &str) -> Result<File, LocalError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(File::from(rustix::fs::openat(&self.directory, name, flags, Mode::empty())?))
    }

    /// A new file to be written and then finished. Returns its name for now.
    pub(super) fn begin(&self, name: &str) -> Result<(String, File), LocalError> {
        let unfinished = format!("{UNFINISHED}{name}");
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.directory, unfinished.as_str(), flags, Mode::RUSR | Mode::WUSR)?;
        Ok((unfinished, File::from(file)))
    }

    /// Makes a written file durable under its name.
    pub(super) fn finish(&self, file: &File, unfinished: &str, name: &str) -> Result<(), LocalError> {
        file.sync_all()?;
        rename_free(&self.directory, unfinished, &self.directory, name)?;
        Ok(rustix::fs::fsync(&self.directory)?)
    }

    /// Makes a linked file durable.
    pub(super) fn sync_file(&self, name: &str) -> Result<(), LocalError> {
        self.open_file(name)?.sync_all()?;
        Ok(rustix::fs::fsync(&self.directory)?)
    }

    /// Copies a file into the store; it must have the content that is expected, where one is. Returns
    /// size and MD5.
    pub(super) fn copy(
        &self,
        mut from: &File,
        name: &str,
        expected: Option<(u64, [u8; 16])>,
    ) -> Result<(u64, [u8; 16]), LocalError> {
        let (unfinished, mut to) = self.begin(name)?;
        let outcome = (|| {
            let measured = copy(&mut from, &mut to)?;
            if expected.is_some_and(|expected| expected != measured) {
                return Err(LocalError::Changed);
            }
            self.finish(&to, &unfinished, name)?;
            Ok(measured)
        })();
        if outcome.is_err() {
            self.remove(&unfinished)?;
        }
        outcome
    }

    /// Removes a file; one that is gone already is success.
    pub(super) fn remove(&self, name: &str) -> Result<(), LocalError> {
        match rustix::fs::unlinkat(&self.directory, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(other) => Err(other.into()),
        }
    }
}

/// Copies what is left to read. Returns size and MD5.
pub(in super::super) fn copy(
    from: &mut impl Read,
    to: &mut impl Write,
) -> Result<(u64, [u8; 16]), LocalError> {
    let (mut md5, mut size, mut chunk) = (Md5::new(), 0, vec![0; 64 << 10]);
    loop {
        let n = from.read(&mut chunk)?;
        if n == 0 {
            return Ok((size, md5.finalize().into()));
        }
        size += n as u64;
        md5.update(&chunk[..n]);
        to.write_all(&chunk[..n])?;
    }
}
