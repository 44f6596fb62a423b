//! What answers say about mirrors.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::config::MirrorSection;
use crate::ids::UserRef;
use crate::mirror::{
    Action, Done, KeptVersion, LastRun, MirrorError, MirrorProgress, MirrorState, Report, Stop,
};

/// More actions than these are only counted.
const SHOWN: usize = 1000;

/// Every mirror of the configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MirrorList {
    /// In its order.
    pub mirrors: Vec<MirrorView>,
}

/// A mirror and how it stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MirrorView {
    /// Whose, as the configuration names them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// By which client's grant.
    pub client: String,
    /// The folder; `null` to a key that is bound, whom the machine's paths do not concern.
    pub folder: Option<String>,
    /// `pull`, `push` or `both`.
    pub direction: String,
    /// Seconds between two runs.
    pub interval: u64,
    /// When the last run ended.
    pub last_run_at: Option<Timestamp>,
    /// When both sides were last seen to agree.
    pub last_ok_at: Option<Timestamp>,
    /// Why it waits for the owner: `first_sync`, `deletes` or `empties`.
    pub held: Option<String>,
    /// Numbers of the last run.
    pub last_run: Option<LastRun>,
    /// How far a run has come that is under way.
    pub running: Option<MirrorProgress>,
    /// Why it cannot run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl MirrorView {
    /// `whole` for who may know where on this machine the folder is.
    pub(super) fn of_state(state: &MirrorState, whole: bool) -> Self {
        Self {
            user: None,
            client: state.client.to_string(),
            folder: whole.then(|| state.target.folder.display().to_string()),
            direction: state.direction().code().to_owned(),
            interval: state.interval.as_secs(),
            last_run_at: state.last_run_at,
            last_ok_at: state.last_ok_at,
            held: state.held.clone(),
            last_run: state.last_run.clone(),
            running: state.running,
            problem: None,
        }
    }

    pub(super) fn of(section: &MirrorSection, state: Result<&MirrorState, &MirrorError>) -> Self {
        let user = Some(match &section.user {
            UserRef::Sub(sub) => sub.to_string(),
            UserRef::Email(email) => email.to_string(),
            UserRef::Me => "me".to_owned(),
        });
        match state {
            Ok(state) => Self { user, ..Self::of_state(state, true) },
            Err(error) => Self {
                user,
                client: section.client.to_string(),
                folder: Some(section.folder.display().to_string()),
                direction: section.direction.code().to_owned(),
                interval: section.interval.as_secs(),
                last_run_at: None,
                last_ok_at: None,
                held: None,
                last_run: None,
                running: None,
                problem: Some(error.to_string()),
            },
        }
    }
}

/// What a run did, or would do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReportView {
    /// Whether nothing was done because that was asked for.
    pub dry_run: bool,
    /// Whether both sides agree now.
    pub complete: bool,
    /// Why it waits for the owner.
    pub held: Option<String>,
    /// The same in words.
    pub held_because: Option<String>,
    /// Why it ended early.
    pub stopped: Option<String>,
    /// Seconds to wait before it is worth while to run again.
    pub retry_after: Option<u64>,
    /// What it set out to do, in its order; at most a thousand actions.
    pub planned: Vec<ActionView>,
    /// How many actions there were.
    pub planned_total: usize,
    /// What was done.
    pub done: Done,
    /// What could not be done or is worth knowing.
    pub problems: Vec<ProblemView>,
    /// Local files that were found.
    pub files: usize,
    /// Local files that were read to know their content.
    pub hashed: usize,
    /// Kept versions that were past their time and are gone.
    pub expired: usize,
}

/// One action of a plan.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ActionView {
    /// `download`, `upload`, `delete_here`, `delete_at_drive`, `move_here`, `move_at_drive`, `set_aside`,
    /// `make_folder_here`, `make_folder_at_drive`, `remove_folder_here` or `remove_folder_at_drive`.
    pub action: String,
    /// The path it is about.
    pub path: String,
    /// Where that was before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

/// A file that is not as its owner may expect.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProblemView {
    /// Which.
    pub path: String,
    /// What is the matter with it, after the path.
    pub matter: String,
    /// Only worth knowing: nothing is left to do.
    pub note: bool,
}

impl ActionView {
    fn of(action: &Action) -> Self {
        let (word, from) = match action {
            Action::MakeLocalFolder(_) => ("make_folder_here", None),
            Action::MakeRemoteFolder(_) => ("make_folder_at_drive", None),
            Action::MoveLocal { from, .. } => ("move_here", Some(from)),
            Action::MoveRemote { from, .. } => ("move_at_drive", Some(from)),
            Action::SetAside { from, .. } => ("set_aside", Some(from)),
            Action::Download { .. } => ("download", None),
            Action::Upload { .. } => ("upload", None),
            Action::DeleteLocal { .. } => ("delete_here", None),
            Action::DeleteRemote { .. } => ("delete_at_drive", None),
            Action::RemoveLocalFolder(_) => ("remove_folder_here", None),
            Action::RemoveRemoteFolder { .. } => ("remove_folder_at_drive", None),
        };
        Self {
            action: word.to_owned(),
            path: action.path().as_str().to_owned(),
            from: from.map(|path| path.as_str().to_owned()),
        }
    }
}

impl ReportView {
    pub(super) fn of(report: &Report) -> Self {
        Self {
            dry_run: report.dry_run,
            complete: report.is_complete(),
            held: report.held.map(|held| held.code().to_owned()),
            held_because: report.held.map(|held| held.to_string()),
            stopped: report.stopped.as_ref().map(ToString::to_string),
            retry_after: match report.stopped {
                Some(Stop::TryLater { after }) => Some(after.as_secs()),
                _ => None,
            },
            planned: report.planned.iter().take(SHOWN).map(ActionView::of).collect(),
            planned_total: report.planned.len(),
            done: report.done,
            problems: report
                .problems
                .iter()
                .map(|problem| ProblemView {
                    path: problem.path.clone(),
                    matter: problem.matter.to_string(),
                    note: problem.matter.is_note(),
                })
                .collect(),
            files: report.files,
            hashed: report.hashed,
            expired: report.expired,
        }
    }
}

/// The versions that were kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VersionList {
    /// Oldest first.
    pub versions: Vec<VersionView>,
}

/// A content that was kept before it was replaced or deleted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VersionView {
    /// By which it is restored. As text: it has more digits than a number in JavaScript can.
    pub id: String,
    /// Where it was, below the folder.
    pub path: String,
    /// In bytes.
    pub size: u64,
    /// MD5 of the content in hex.
    pub md5: String,
    /// When it was kept.
    pub kept_at: Timestamp,
    /// Why, as a word.
    pub why: String,
}

impl VersionView {
    pub(super) fn of(version: &KeptVersion) -> Self {
        Self {
            id: version.id.to_string(),
            path: version.path.clone(),
            size: version.size,
            md5: format!("{:032x}", u128::from_be_bytes(version.md5)),
            kept_at: version.kept_at,
            why: version.why.clone(),
        }
    }
}

/// Where a restored version is now.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Restored {
    /// Below the folder.
    pub path: String,
}
