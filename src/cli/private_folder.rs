//! A folder that only its owner can enter, removed when it is dropped.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use crate::rng::Rng;

/// The folder. Dropping it removes it with all that is in it.
#[derive(Debug)]
pub(super) struct PrivateFolder(PathBuf);

impl PrivateFolder {
    /// Makes a new folder (0700) of an unguessable name in `parent`. The name is short: the path of a
    /// socket in it has to fit into about 100 bytes.
    ///
    /// # Errors
    /// When `parent` does not exist or cannot be written to.
    pub(super) fn create(parent: &Path, prefix: &str) -> io::Result<Self> {
        let name = format!("{prefix}-{:016x}", u64::from_be_bytes(Rng::system().bytes()));
        let path = parent.join(name);
        // Fails when there is anything of that name, a link too.
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        // What cannot be removed is left to the system's own cleaning of temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn it_is_private_and_goes_with_its_content() {
        let parent = tempfile::tempdir().expect("folder");
        let folder = PrivateFolder::create(parent.path(), "locum").expect("made");
        let mode = std::fs::metadata(folder.path()).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        std::fs::write(folder.path().join("file"), "x").expect("written");
        let path = folder.path().to_owned();
        drop(folder);
        assert!(!path.exists());
    }
}
