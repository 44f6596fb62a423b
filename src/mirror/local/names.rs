//! Operations on names. Each takes or makes one name and replaces none that it has not been told of.

use std::fs::File;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;

use rustix::fs::{AtFlags, FileType, Mode, RenameFlags};
use rustix::io::Errno;

use super::super::path::{RelPath, shortened};
use super::{CREATE, Folder, Found, LocalError, is_same_file};
use crate::vault::LocalMark;

impl Folder {
    /// Makes a folder; one that is there already will do.
    pub(in super::super) fn make_folder(&self, path: &RelPath) -> Result<Found, LocalError> {
        match rustix::fs::mkdirat(&self.parent(path)?, path.name(), Mode::RWXU | Mode::RWXG | Mode::RWXO) {
            Ok(()) => self.note_unsynced(path.parent()),
            Err(Errno::EXIST) => {}
            Err(other) => return Err(other.into()),
        }
        self.stat(path)?.filter(|found| found.kind == FileType::Directory).ok_or(LocalError::Changed)
    }

    /// Removes an empty folder; one that is gone already is success.
    pub(in super::super) fn remove_folder(&self, path: &RelPath) -> Result<(), LocalError> {
        let outcome = self
            .parent(path)
            .and_then(|parent| Ok(rustix::fs::unlinkat(&parent, path.name(), AtFlags::REMOVEDIR)?));
        match outcome {
            Ok(()) => self.note_unsynced(path.parent()),
            Err(LocalError::Gone) => {}
            Err(other) => return Err(other),
        }
        Ok(())
    }

    /// Renames what was seen; nothing may stand at the new path.
    pub(in super::super) fn rename(
        &self,
        from: &RelPath,
        to: &RelPath,
        seen: &LocalMark,
    ) -> Result<(), LocalError> {
        let found = self.stat(from)?.ok_or(LocalError::Gone)?;
        let is_it = match found.kind {
            FileType::Directory => found.mark.inode == seen.inode,
            _ => is_same_file(&found.mark, seen),
        };
        if !is_it {
            return Err(LocalError::Changed);
        }
        rename_free(&self.parent(from)?, from.name(), &self.parent(to)?, to.name())?;
        self.note_unsynced(from.parent());
        self.note_unsynced(to.parent());
        Ok(())
    }

    /// A new, empty file in the private folder.
    pub(in super::super) fn temporary(&self) -> Result<(String, File), LocalError> {
        let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::WGRP | Mode::ROTH | Mode::WOTH;
        loop {
            let name = self.private_name("tmp");
            match rustix::fs::openat(self.private()?, &name, CREATE, mode) {
                Ok(file) => return Ok((name, File::from(file))),
                // A killed one left it behind; the next run sweeps it up.
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn private_name(&self, kind: &str) -> String {
        format!("{kind}-{}", self.names.fetch_add(1, Ordering::Relaxed))
    }

    /// A name in the private folder that tells a later run what to call the file.
    fn private_name_of(&self, kind: &str, path: &RelPath) -> String {
        shortened(format!("{}-{}", self.private_name(kind), path.name()))
    }

    /// Says of a finished temporary file that what lies under its name from now on may be the only one of
    /// its content. Returns the new name.
    pub(in super::super) fn promote(&self, name: &str, path: &RelPath) -> Result<String, LocalError> {
        let (private, new) = (self.private()?, self.private_name_of("swap", path));
        rename_free(private, name, private, &new)?;
        Ok(new)
    }

    /// Moves a file of the private folder to a path where nothing stands.
    pub(in super::super) fn place(&self, name: &str, path: &RelPath) -> Result<(), LocalError> {
        rename_free(self.private()?, name, &self.parent(path)?, path.name())?;
        self.note_unsynced(path.parent());
        Ok(())
    }

    /// Moves a file of the private folder to the first of the paths where nothing stands.
    pub(in super::super) fn place_first(
        &self,
        name: &str,
        paths: impl Iterator<Item = RelPath>,
    ) -> Result<RelPath, LocalError> {
        for path in paths {
            match self.place(name, &path) {
                Err(LocalError::Exists) => {}
                outcome => return outcome.map(|()| path),
            }
        }
        Err(LocalError::Exists)
    }

    /// Puts a file of the private folder at the path and what stood there in its place.
    pub(in super::super) fn exchange(&self, name: &str, path: &RelPath) -> Result<(), LocalError> {
        let (private, parent) = (self.private()?, self.parent(path)?);
        match rustix::fs::renameat_with(private, name, &parent, path.name(), RenameFlags::EXCHANGE) {
            Ok(()) => {}
            // Old and foreign file systems: aside, then in. A crash between the two leaves the old content to be
            // kept by the next run, which brings the new one again.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                let aside = self.private_name_of("swap", path);
                rename_free(&parent, path.name(), private, &aside)?;
                if let Err(error) = rename_free(private, name, &parent, path.name()) {
                    rename_free(private, &aside, &parent, path.name())?;
                    return Err(error);
                }
                rename_free(private, &aside, private, name)?;
            }
            Err(other) => return Err(other.into()),
        }
        self.note_unsynced(path.parent());
        Ok(())
    }

    /// Moves what stands at the path into the private folder, whatever it is. Returns its name there.
    pub(in super::super) fn take(&self, path: &RelPath) -> Result<String, LocalError> {
        let name = self.private_name_of("out", path);
        rename_free(&self.parent(path)?, path.name(), self.private()?, &name)?;
        self.note_unsynced(path.parent());
        Ok(name)
    }

    /// Gives a file at the path a second name in another folder; it is looked at afterwards.
    pub(in super::super) fn link(&self, path: &RelPath, to: impl AsFd, name: &str) -> Result<(), LocalError> {
        Ok(rustix::fs::linkat(&self.parent(path)?, path.name(), to, name, AtFlags::empty())?)
    }

    /// Gives a file of the private folder a second name in another folder.
    pub(in super::super) fn link_private(
        &self,
        from: &str,
        to: impl AsFd,
        name: &str,
    ) -> Result<(), LocalError> {
        Ok(rustix::fs::linkat(self.private()?, from, to, name, AtFlags::empty())?)
    }
}

/// Renames where nothing stands at the new name.
pub(in super::super) fn rename_free(
    from: impl AsFd,
    name: &str,
    to: impl AsFd,
    new: &str,
) -> Result<(), LocalError> {
    match rustix::fs::renameat_with(&from, name, &to, new, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {}
        outcome => return Ok(outcome?),
    }
    // A second name fails where a rename would overwrite. Folders have none: an empty folder is the most
    // that the rename of one replaces.
    match rustix::fs::linkat(&from, name, &to, new, AtFlags::empty()) {
        Ok(()) => Ok(rustix::fs::unlinkat(&from, name, AtFlags::empty())?),
        Err(Errno::PERM) => match rustix::fs::statat(&to, new, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => Ok(rustix::fs::renameat(&from, name, &to, new)?),
            Ok(_) => Err(LocalError::Exists),
            Err(other) => Err(other.into()),
        },
        Err(other) => Err(other.into()),
    }
}
