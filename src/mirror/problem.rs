//! What a mirror cannot do for a file, in words for its owner. Nothing here stops a run.

use std::fmt;

/// One file or folder that is not as its owner may expect it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Which: its path below the folder, or its name at Drive where it has none here.
    pub path: String,
    /// What is the matter.
    pub matter: Matter,
}

/// What is the matter with a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Matter {
    /// A name at Drive that no local file can have.
    Unholdable(&'static str),
    /// One of the mirror's own names, in use at Drive.
    Reserved,
    /// A Google document or a shortcut: no content of its own.
    NoContent,
    /// It is in no folder that can be reached from the top.
    Detached,
    /// Another file of the same folder has its name; here it goes by this path.
    Duplicate,
    /// Its name differs from another's only in case or Unicode form.
    Alike {
        /// The other's path.
        other: String,
    },
    /// A symbolic link.
    SymbolicLink,
    /// A socket, pipe or device.
    Special,
    /// Another file system is mounted there.
    OtherFileSystem,
    /// A folder that is a mirror of its own.
    OtherMirror,
    /// A local name that is not UTF-8.
    NotUtf8,
    /// It cannot be read.
    Unreadable(String),
    /// It is being written to.
    Busy,
    /// It changed while the run was about it.
    Changed,
    /// A file at Drive stands in the way of a folder here, or a folder of a file, and was not agreed on.
    InTheWay,
    /// Both sides changed; the local version was renamed to this.
    Conflict {
        /// The new path.
        kept_as: String,
    },
    /// It waits for another path that failed.
    Waits,
    /// The action failed.
    Failed(String),
}

impl Matter {
    /// Whether it is only worth knowing: nothing is left to do.
    pub fn is_note(&self) -> bool {
        matches!(self, Self::Duplicate | Self::Alike { .. } | Self::Conflict { .. })
    }
}

impl fmt::Display for Matter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unholdable(why) => {
                write!(f, "cannot be a local file: {why}; rename it in the app that made it")
            }
            Self::Reserved => {
                f.write_str("has a name that the mirror uses itself; rename it in the app that made it")
            }
            Self::NoContent => {
                f.write_str("is a Google document or a shortcut, which has no content to mirror")
            }
            Self::Detached => {
                f.write_str("is in no folder that can be reached; the app that made it can move it")
            }
            Self::Duplicate => {
                f.write_str("has the same name as another file at Drive, and goes by this name here")
            }
            Self::Alike { other } => {
                write!(f, "differs from {other} only in case or accents: some systems take them for one file")
            }
            Self::SymbolicLink => {
                f.write_str("is a symbolic link, which is not followed; put the file itself here")
            }
            Self::Special => f.write_str("is no regular file and no folder; it is left alone"),
            Self::OtherFileSystem => f.write_str(
                "is another file system mounted here; it is left alone, give it a mirror of its own",
            ),
            Self::OtherMirror => f.write_str(
                "holds the marker file of another mirror (or a copy of one, to be removed); it is left alone",
            ),
            Self::NotUtf8 => f.write_str("has a name that is not UTF-8, which Drive cannot hold; rename it"),
            Self::Unreadable(why) => {
                write!(f, "cannot be read ({why}); it is left alone at Drive until it can")
            }
            Self::Busy => f.write_str("is being written to; the next run looks at it again"),
            Self::Changed => f.write_str("changed during the run; the next run looks at it again"),
            Self::InTheWay => f.write_str(
                "cannot replace what has this name at Drive, which holds what was never here; rename one of them",
            ),
            Self::Conflict { kept_as } => {
                write!(
                    f,
                    "changed on both sides: Drive's version has the name, the local one is now {kept_as}"
                )
            }
            Self::Waits => {
                f.write_str("waits for another file or folder that failed; the next run tries again")
            }
            Self::Failed(why) => write!(f, "{why}"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.path, self.matter)
    }
}

/// The path is personal.
impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Problem({:?})", std::mem::discriminant(&self.matter))
    }
}
