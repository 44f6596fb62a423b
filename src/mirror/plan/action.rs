//! What a run can do, and why it may have to wait for a person.

use super::super::path::RelPath;
use super::super::tree::RemoteNode;
use super::LocalNode;

/// One thing to do. Paths are those at the time the action's turn comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Makes a folder here.
    MakeLocalFolder(RelPath),
    /// Makes a folder at Drive.
    MakeRemoteFolder(RelPath),
    /// Renames a file or folder here, as was done at Drive.
    MoveLocal {
        /// From where.
        from: RelPath,
        /// To where; nothing is there.
        to: RelPath,
        /// What is moved.
        node: LocalNode,
    },
    /// Renames a file or folder at Drive, as was done here.
    MoveRemote {
        /// From where.
        from: RelPath,
        /// To where.
        to: RelPath,
        /// What is moved.
        node: RemoteNode,
    },
    /// Renames a local file or folder out of the way of Drive's.
    SetAside {
        /// From where.
        from: RelPath,
        /// To where; nothing is there.
        to: RelPath,
        /// What is renamed.
        node: LocalNode,
    },
    /// Brings a file's content here.
    Download {
        /// Where to.
        path: RelPath,
        /// Drive's file.
        node: RemoteNode,
        /// What is replaced; nothing is there when `None`.
        over: Option<LocalNode>,
    },
    /// Brings a file's content to Drive.
    Upload {
        /// Which file.
        path: RelPath,
        /// The local file.
        node: LocalNode,
        /// What is replaced; a new file is made when `None`.
        over: Option<RemoteNode>,
    },
    /// Deletes a file here.
    DeleteLocal {
        /// Which.
        path: RelPath,
        /// As it was seen.
        node: LocalNode,
    },
    /// Deletes a file at Drive.
    DeleteRemote {
        /// Which.
        path: RelPath,
        /// As it was listed.
        node: RemoteNode,
    },
    /// Removes an empty folder here.
    RemoveLocalFolder(RelPath),
    /// Removes an empty folder at Drive.
    RemoveRemoteFolder {
        /// Which.
        path: RelPath,
        /// As it was listed.
        node: RemoteNode,
    },
}

impl Action {
    /// The path it is about; where something is moved, the one it will have.
    pub fn path(&self) -> &RelPath {
        match self {
            Self::MakeLocalFolder(path)
            | Self::MakeRemoteFolder(path)
            | Self::RemoveLocalFolder(path)
            | Self::MoveLocal { to: path, .. }
            | Self::MoveRemote { to: path, .. }
            | Self::SetAside { to: path, .. }
            | Self::Download { path, .. }
            | Self::Upload { path, .. }
            | Self::DeleteLocal { path, .. }
            | Self::DeleteRemote { path, .. }
            | Self::RemoveRemoteFolder { path, .. } => path,
        }
    }

    /// Where something is moved away from.
    pub(in super::super) fn source(&self) -> Option<&RelPath> {
        match self {
            Self::MoveLocal { from, .. } | Self::MoveRemote { from, .. } | Self::SetAside { from, .. } => {
                Some(from)
            }
            _ => None,
        }
    }
}

/// One of the two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The folder.
    Local,
    /// Drive.
    Remote,
}

/// Why a run waits for a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// The first run in both directions is looked at before it is done.
    FirstSync,
    /// So many files would be deleted on one side.
    Deletes {
        /// Where.
        side: Side,
        /// How many.
        deletes: usize,
        /// Of how many.
        of: usize,
    },
    /// No file would be left on one side.
    Empties {
        /// Which.
        side: Side,
        /// How many files it has.
        of: usize,
    },
}

impl Held {
    /// The word for it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::FirstSync => "first_sync",
            Self::Deletes { .. } => "deletes",
            Self::Empties { .. } => "empties",
        }
    }
}

impl std::fmt::Display for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let place = |side: &Side| match side {
            Side::Local => "in the folder",
            Side::Remote => "at Drive",
        };
        match self {
            Self::FirstSync => f.write_str(
                "this is the first run in both directions: look at what it would do, then accept it (`locum drive sync --accept`)",
            ),
            Self::Deletes { side, deletes, of } => write!(
                f,
                "it would delete {deletes} of {of} files {}: if that is right, accept it (`locum drive sync --accept`)",
                place(side)
            ),
            Self::Empties { side, of } => write!(
                f,
                "it would delete all {of} files {}: if that is right, accept it (`locum drive sync --accept`)",
                place(side)
            ),
        }
    }
}
