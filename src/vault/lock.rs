//! Who may use a vault's files, and one process at a time.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::Access;
use rustix::io::Errno;

use super::VaultError;

/// The lock of one vault file, held until dropped. A crash leaves nothing to clear: the operating
/// system drops the lock with the process.
#[derive(Debug)]
pub struct VaultLock {
    file: File,
}

impl VaultLock {
    /// Takes the lock, making the vault's directory first if it is missing, and checks that the
    /// directory, the file system, and the file's owner and mode can hold secrets.
    ///
    /// # Errors
    /// [`VaultError::InUse`] when another process holds it; [`VaultError::Unsuitable`] when the place
    /// is a network file system or open to other users.
    pub fn take(vault: &Path) -> Result<Self, VaultError> {
        let directory = match vault.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        Self::prepare_directory(directory)?;
        // Before the lock file: one that belongs to another user would keep the owner out.
        check_existing(vault)?;
        let path = beside(vault, ".lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
            .open(&path)
            .map_err(|error| match error.raw_os_error().map(Errno::from_raw_os_error) {
                Some(Errno::LOOP | Errno::ISDIR) => VaultError::Unsuitable {
                    path: vault.to_owned(),
                    problem: format!("{} is not a regular file; remove it", path.display()),
                },
                _ => VaultError::io(&error),
            })?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                return Err(VaultError::InUse { path: vault.to_owned(), holder: holder.trim().to_owned() });
            }
            Err(TryLockError::Error(error)) => return Err(VaultError::io(&error)),
        }
        // The id is a courtesy for the error message above; failing to write it harms nothing.
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| write!(file, "{}", std::process::id()));
        make_file_private(vault)?;
        Ok(Self { file })
    }
}

impl VaultLock {
    /// Makes the directory (0700) if it is missing and checks that it can hold a vault.
    pub(super) fn prepare_directory(directory: &Path) -> Result<(), VaultError> {
        if !directory.exists() {
            DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(|error| {
                VaultError::Unsuitable {
                    path: directory.to_owned(),
                    problem: format!("the directory cannot be made ({error})"),
                }
            })?;
        }
        require_access(directory, Access::WRITE_OK | Access::EXEC_OK)?;
        refuse_network_file_system(directory)?;
        refuse_open_directory(directory)
    }
}

impl Drop for VaultLock {
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

/// The path of a file that belongs to another one: the same with something appended.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Creates the vault's file 0600 so that SQLite's own umask-dependent creation never decides.
fn make_file_private(vault: &Path) -> Result<(), VaultError> {
    if check_existing(vault)? {
        return Ok(());
    }
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(vault)
        .map(drop)
        .map_err(|error| VaultError::io(&error))
}

/// Whether there is a vault file; refuses one that is not ours alone.
fn check_existing(vault: &Path) -> Result<bool, VaultError> {
    let unsuitable = |problem: String| Err(VaultError::Unsuitable { path: vault.to_owned(), problem });
    let metadata = match std::fs::symlink_metadata(vault) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(VaultError::io(&error)),
    };
    let owner = metadata.uid();
    if !metadata.is_file() {
        unsuitable("it is not a regular file".into())
    } else if owner != rustix::process::geteuid().as_raw() {
        unsuitable(format!(
            "it belongs to the user with id {owner}; run locum as that user (sudo -u '#{owner}')"
        ))
    } else if metadata.mode() & 0o077 != 0 {
        unsuitable("other users of this machine can read it; run chmod 600 on it".into())
    } else if metadata.len() == 0 && std::fs::metadata(beside(vault, "-wal")).is_ok_and(|log| log.len() > 0) {
        // SQLite would delete the log, which may hold all there is.
        Err(VaultError::Corrupt("the file is empty, but the log beside it is not".into()))
    } else {
        require_access(vault, Access::READ_OK | Access::WRITE_OK)?;
        Ok(true)
    }
}

/// SQLite would open a file it may not write for reading only, and call a directory it may not write
/// a file it cannot open.
fn require_access(path: &Path, access: Access) -> Result<(), VaultError> {
    match rustix::fs::access(path, access) {
        Ok(()) => Ok(()),
        Err(Errno::ACCESS | Errno::ROFS | Errno::PERM) => Err(VaultError::ReadOnly),
        Err(error) => Err(VaultError::io(&error.into())),
    }
}

/// A directory that others may write to lets them swap the file; one that is only readable is
/// narrowed by the files' own modes.
fn refuse_open_directory(directory: &Path) -> Result<(), VaultError> {
    let metadata = std::fs::metadata(directory).map_err(|error| VaultError::io(&error))?;
    if metadata.mode() & 0o022 != 0 && metadata.mode() & 0o1000 == 0 {
        return Err(VaultError::Unsuitable {
            path: directory.to_owned(),
            problem: "other users of this machine can write to the directory; run chmod 700 on it".into(),
        });
    }
    Ok(())
}

/// SQLite's locks and the write-ahead log's shared memory do not work over a network.
#[cfg(target_os = "linux")]
fn refuse_network_file_system(directory: &Path) -> Result<(), VaultError> {
    // The magic numbers of statfs(2).
    const NETWORK: [(u32, &str); 6] = [
        (0x0000_6969, "NFS"),
        (0x0000_517b, "SMB"),
        (0xff53_4d42, "CIFS"),
        (0xfe53_4d42, "SMB 2"),
        (0x5346_414f, "AFS"),
        (0x00c3_6400, "Ceph"),
    ];
    let Ok(stat) = rustix::fs::statfs(directory) else { return Ok(()) };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the magic has 32 bits")]
    let magic = stat.f_type as u32;
    match NETWORK.iter().find(|(known, _)| *known == magic) {
        None => Ok(()),
        Some((_, name)) => Err(VaultError::Unsuitable {
            path: directory.to_owned(),
            problem: format!(
                "it is on a network file system ({name}), where SQLite's locks do not hold; use a local disk"
            ),
        }),
    }
}

#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, reason = "the Linux form can refuse")]
fn refuse_network_file_system(_directory: &Path) -> Result<(), VaultError> {
    Ok(())
}
