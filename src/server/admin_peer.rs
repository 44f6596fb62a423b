//! Who is at the other end of the admin socket.

use std::any::Any;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixListener;

use actix_web::dev::Extensions;
use tokio::net::UnixStream;

/// What a connection on the admin socket is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AdminPeer {
    Owner,
    Stranger,
}

/// Who counts as the owner on one admin socket.
#[derive(Clone, Copy, Debug)]
pub(super) struct AdminRule {
    own_uid: u32,
    /// Whether the file's mode lets the socket's group in.
    group: bool,
}

impl AdminRule {
    /// Reads the mode of the socket's file.
    ///
    /// # Errors
    /// When the socket has no file, or one that everybody may connect to.
    pub(super) fn of(listener: &UnixListener) -> io::Result<Self> {
        let invalid = |words: &str| io::Error::new(io::ErrorKind::PermissionDenied, words);
        let address = listener.local_addr()?;
        let path = address.as_pathname().ok_or_else(|| invalid("the admin socket has no file"))?;
        let mode = std::fs::symlink_metadata(path)?.mode();
        if mode & 0o007 != 0 {
            return Err(invalid(
                "the admin socket is open to every user of this machine; its mode must be 0600 or 0660",
            ));
        }
        // Connecting takes the right to write.
        Ok(Self { own_uid: rustix::process::geteuid().as_raw(), group: mode & 0o020 != 0 })
    }

    /// Judges a new connection. To be called by the server as each is accepted.
    pub(super) fn judge(self, connection: &dyn Any, data: &mut Extensions) {
        let uid = connection
            .downcast_ref::<UnixStream>()
            .and_then(|stream| stream.peer_cred().ok())
            .map(|peer| peer.uid());
        data.insert(self.peer(uid));
    }

    /// The kernel let the peer in by the file's mode, so one who is neither root nor us is a member of the
    /// group. The gid it tells is no proof of that: it is the peer's first group and may be another.
    const fn peer(self, uid: Option<u32>) -> AdminPeer {
        match uid {
            Some(uid) if uid == 0 || uid == self.own_uid || self.group => AdminPeer::Owner,
            _ => AdminPeer::Stranger,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn strangers_are_told_from_owners_by_uid_and_mode() {
        let alone = AdminRule { own_uid: 990, group: false };
        assert_eq!(alone.peer(Some(0)), AdminPeer::Owner);
        assert_eq!(alone.peer(Some(990)), AdminPeer::Owner);
        assert_eq!(alone.peer(Some(1000)), AdminPeer::Stranger);
        assert_eq!(alone.peer(None), AdminPeer::Stranger);
        let shared = AdminRule { own_uid: 990, group: true };
        assert_eq!(shared.peer(Some(1000)), AdminPeer::Owner);
        assert_eq!(shared.peer(None), AdminPeer::Stranger);
    }

    #[test]
    fn a_socket_open_to_everybody_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("admin.sock");
        let listener = UnixListener::bind(&path).expect("a socket");
        for (mode, accepted) in [(0o600, true), (0o660, true), (0o666, false), (0o662, false), (0o777, false)]
        {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("our own file");
            assert_eq!(AdminRule::of(&listener).is_ok(), accepted, "{mode:o}");
        }
    }
}
