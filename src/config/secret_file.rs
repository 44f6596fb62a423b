//! Reading a file that holds a secret: opened once, and checked through that one descriptor.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags};
use zeroize::Zeroizing;

use super::secret_source::{Openness, SecretProblem};

/// The most bytes a secret's file may have. Google's client files have about 600.
pub(super) const LIMIT: usize = 16 * 1024;

/// A secret's file as it was read.
pub(super) struct SecretFile {
    pub(super) content: Zeroizing<Vec<u8>>,
    /// Whether users other than the owner and the group may read it.
    pub(super) readable_by_others: bool,
}

/// Reads the file at `path`. With [`Openness::Private`] the path's last part may not be a link, the owner
/// must be root or the user locum runs as, and nobody else may have a right to it.
pub(super) fn read(path: &Path, openness: Openness) -> Result<SecretFile, SecretProblem> {
    let private = openness == Openness::Private;
    // Without NONBLOCK the opening of a pipe would wait for a writer.
    let mut flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    if private {
        flags |= OFlags::NOFOLLOW;
    }
    let unreadable =
        |error: rustix::io::Errno| SecretProblem::Unreadable { path: path.to_owned(), kind: error.kind() };
    let descriptor = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| match error {
        rustix::io::Errno::NOENT => SecretProblem::NoFile(path.to_owned()),
        rustix::io::Errno::LOOP if private => SecretProblem::IsLink(path.to_owned()),
        error => unreadable(error),
    })?;
    let stat = rustix::fs::fstat(&descriptor).map_err(unreadable)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(SecretProblem::NotRegular(path.to_owned()));
    }
    if private {
        if stat.st_uid != 0 && stat.st_uid != rustix::process::geteuid().as_raw() {
            return Err(SecretProblem::ForeignOwner { path: path.to_owned(), owner: stat.st_uid });
        }
        if stat.st_mode & 0o077 != 0 {
            return Err(SecretProblem::TooOpen(path.to_owned()));
        }
    }
    let mut content = Zeroizing::new(Vec::with_capacity(LIMIT + 1));
    File::from(descriptor)
        .take(LIMIT as u64 + 1)
        .read_to_end(&mut content)
        .map_err(|error| SecretProblem::Unreadable { path: path.to_owned(), kind: error.kind() })?;
    if content.len() > LIMIT {
        return Err(SecretProblem::TooLong(format!("the file {}", path.display())));
    }
    Ok(SecretFile { content, readable_by_others: stat.st_mode & 0o004 != 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_huge_file_and_a_pipe_are_refused() {
        let directory = tempfile::tempdir().expect("directory");
        let huge = directory.path().join("huge");
        std::fs::write(&huge, vec![b'x'; LIMIT + 1]).expect("write");
        assert!(matches!(read(&huge, Openness::Any), Err(SecretProblem::TooLong(_))));
        let socket = directory.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("bind");
        assert!(read(&socket, Openness::Any).is_err());
        assert!(matches!(read(Path::new("/dev/null"), Openness::Any), Err(SecretProblem::NotRegular(_))));
    }
}
