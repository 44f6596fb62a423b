//! What a run did, and what it left.

use std::time::Duration;

use super::plan::{Action, Held};
use super::problem::Problem;

/// Why a run ended before its plan did. Everything it had done is recorded; the next run goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Google cannot be reached or asks for a pause.
    TryLater {
        /// Not before.
        after: Duration,
    },
    /// A person must act first.
    NeedsPerson(String),
    /// The person's storage at Google is full.
    RemoteFull,
    /// The disk of the folder or of the version store is full.
    LocalFull,
}

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TryLater { .. } => {
                f.write_str("Google cannot be reached or asks for a pause; the next run goes on")
            }
            Self::NeedsPerson(what) => f.write_str(what),
            Self::RemoteFull => f.write_str(
                "the person's storage at Google is full; free some space there (one.google.com/storage), the next run goes on",
            ),
            Self::LocalFull => f.write_str(
                "the disk of the folder or of the kept versions is full; free some space, the next run goes on",
            ),
        }
    }
}

/// What was done, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Done {
    /// Files whose content was brought here.
    pub downloaded: u64,
    /// Their bytes.
    pub downloaded_bytes: u64,
    /// Files whose content was brought to Drive.
    pub uploaded: u64,
    /// Their bytes.
    pub uploaded_bytes: u64,
    /// Files deleted here.
    pub deleted_here: u64,
    /// Files deleted at Drive.
    pub deleted_at_drive: u64,
    /// Files and folders renamed on either side.
    pub moved: u64,
    /// Local files and folders renamed because both sides had changed.
    pub conflicts: u64,
    /// Folders made or removed on either side.
    pub folders: u64,
}

impl Done {
    pub(super) fn count(&mut self, action: &Action) {
        match action {
            Action::Download { node, .. } => {
                self.downloaded += 1;
                self.downloaded_bytes += size(node.content);
            }
            Action::Upload { node, .. } => {
                self.uploaded += 1;
                self.uploaded_bytes += size(node.content);
            }
            Action::DeleteLocal { .. } => self.deleted_here += 1,
            Action::DeleteRemote { .. } => self.deleted_at_drive += 1,
            Action::MoveLocal { .. } | Action::MoveRemote { .. } => self.moved += 1,
            Action::SetAside { .. } => self.conflicts += 1,
            Action::MakeLocalFolder(_)
            | Action::MakeRemoteFolder(_)
            | Action::RemoveLocalFolder(_)
            | Action::RemoveRemoteFolder { .. } => self.folders += 1,
        }
    }
}

fn size(content: crate::vault::MirrorContent) -> u64 {
    match content {
        crate::vault::MirrorContent::File { size, .. } => size,
        crate::vault::MirrorContent::Folder => 0,
    }
}

/// The outcome of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What was planned, in its order; nothing of it was done in a dry run or when the run is held.
    pub planned: Vec<Action>,
    /// What was done.
    pub done: Done,
    /// What its owner should know or do.
    pub problems: Vec<Problem>,
    /// Why the run waits for a person to accept it.
    pub held: Option<Held>,
    /// Why the run ended early.
    pub stopped: Option<Stop>,
    /// Whether it was a dry run.
    pub dry_run: bool,
    /// Local files that were found.
    pub files: usize,
    /// Local files that were read to know their content.
    pub hashed: usize,
    /// Kept versions that were past their time.
    pub expired: usize,
}

impl Report {
    /// Whether nothing was left to do, and nothing waits for anybody.
    pub fn is_complete(&self) -> bool {
        self.held.is_none()
            && self.stopped.is_none()
            && !self.dry_run
            && self.problems.iter().all(|problem| problem.matter.is_note())
    }
}
