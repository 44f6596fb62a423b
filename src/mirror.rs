//! Keeps a person's Drive app data and a local folder in step.
//!
//! A run compares what the folder holds, what Drive holds and what both last agreed on, makes a plan of
//! it ([`plan`]) and carries the plan out ([`apply`]), file by file, recording what both agree on as it
//! goes. What must stay true, whatever happens in between, SIGKILL included:
//!
//! - no content is overwritten or deleted, on either side, before it is in the version store;
//! - what changed on both sides is kept on both, under two names; a change goes before a deletion;
//! - a folder that is missing, empty without its marker file or another mirror's is never read as
//!   "delete everything", and nothing is deleted before both sides have agreed once;
//! - a run that would delete much, or the first in both directions, waits for a person;
//! - two runs in one folder do not overlap, in whatever processes they are.
//!
//! Drive has no preconditions: what somebody writes there between the moment a run has kept a file's
//! content and the moment it replaces it is not seen. Drive's own revisions are all that is left of it.

mod apply;
mod hook;
mod keeper;
mod local;
mod over_drive;
mod path;
mod plan;
mod problem;
mod progress;
mod remote;
mod report;
mod run;
mod state;
mod store;
#[cfg(test)]
mod tests;
mod tree;
mod versions;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use self::keeper::{MirrorKeeper, MirrorState};
pub use self::path::RelPath;
pub use self::plan::{Action, Held, LocalNode, Side};
pub use self::problem::{Matter, Problem};
pub use self::progress::MirrorProgress;
pub use self::remote::{Downloaded, NewRemoteFile, Outgoing, Remote, RemoteError};
pub use self::report::{Done, Report, Stop};
pub use self::run::{LastRun, RunOptions};
pub use self::store::KeptVersion;
pub use self::tree::RemoteNode;
pub use self::versions::{Retention, Why};

use self::hook::Hook;
use self::local::LocalError;
use crate::clock::Clock;
use crate::config::{Client, Direction, MirrorSection};
use crate::ids::{ClientName, UserId, UserRef};
use crate::metrics::Metrics;
use crate::rng::Rng;
use crate::vault::{Vault, VaultError};

/// Why a run did nothing, or ended without knowing what it did.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MirrorError {
    /// There is no such folder.
    #[error(
        "the folder {} is not there: mount the disk it lies on, or correct `folder` in the configuration. For a \
         new mirror, make the folder first (mkdir); nothing was changed",
        .0.display()
    )]
    FolderMissing(PathBuf),
    /// The path cannot be a mirror.
    #[error("{} cannot be a mirror: {problem}", folder.display())]
    BadFolder {
        /// The folder.
        folder: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// The marker file is missing from a folder that had it.
    #[error(
        "the folder {} has no {} file, so it is not the folder this mirror knows: perhaps its disk is not mounted. \
         Nothing was changed. To go on with this folder as it is, accept the run (`locum drive sync --accept`): \
         it starts like a first one and deletes nothing",
        .0.display(), path::MARKER
    )]
    NoMarker(PathBuf),
    /// The marker file is another mirror's.
    #[error(
        "the folder {} belongs to another mirror, as its file {} says. Name another folder in the configuration; if \
         the other mirror is no more, remove that file and run again. Nothing was changed",
        .0.display(), path::MARKER
    )]
    OtherMirror(PathBuf),
    /// A run is under way in the folder.
    #[error("a run is under way in this folder already; wait for it to end")]
    Busy,
    /// The person is not connected, or not uniquely named.
    #[error("{0}")]
    UnknownUser(String),
    /// There is no such mirror or version.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The person has several mirrors; name the client.
    #[error("the person has mirrors with several clients")]
    Ambiguous {
        /// The clients to choose from.
        clients: Vec<ClientName>,
    },
    /// locum stops. The next run goes on.
    #[error("the run was interrupted; the next one goes on")]
    Interrupted,
    /// Something local failed.
    #[error("{what}: {error}")]
    Local {
        /// What could not be done.
        what: &'static str,
        /// Why.
        error: LocalError,
    },
    /// Drive gave no listing.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// The vault failed, or another run has overtaken this one.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl MirrorError {
    fn local(what: &'static str) -> impl FnOnce(LocalError) -> Self {
        move |error| match error {
            LocalError::Busy => Self::Busy,
            error => Self::Local { what, error },
        }
    }
}

/// One mirror as the configuration describes it, its person found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Whose app data.
    pub user: UserId,
    /// The number of the Google Cloud project.
    pub project: String,
    /// The folder; absolute.
    pub folder: PathBuf,
    /// Which way contents go.
    pub direction: Direction,
    /// How long and how much is kept of what was replaced.
    pub retention: Retention,
}

/// The mirrors of one vault. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Mirrors(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    vault: Vault,
    clock: Clock,
    rng: Rng,
    metrics: Metrics,
    /// Where the version stores are: the vault's directory.
    data: PathBuf,
    hook: Hook,
}

impl Mirrors {
    /// Mirrors that keep their versions in `data`, the vault's own directory.
    pub fn new(vault: Vault, clock: Clock, rng: Rng, metrics: Metrics, data: &Path) -> Self {
        Self(Arc::new(Inner { vault, clock, rng, metrics, data: data.to_owned(), hook: Hook::default() }))
    }

    /// Finds the person of a configured mirror. `client` is the one the section names.
    ///
    /// # Errors
    /// [`MirrorError::UnknownUser`] when nobody, or more than one person, has that name.
    pub async fn resolve(&self, section: &MirrorSection, client: &Client) -> Result<Target, MirrorError> {
        let vault = &self.0.vault;
        let nobody = |what: &str| {
            Err(MirrorError::UnknownUser(format!(
                "{what}: let the person connect first (`locum invite`), or correct `user` in the configuration"
            )))
        };
        let user = match &section.user {
            UserRef::Sub(sub) => vault.find_user_by_sub(sub).await?,
            UserRef::Email(email) => match &*vault.find_users_by_email(email).await? {
                [] => None,
                [one] => Some(*one),
                _ => return nobody("two people have had this address, so name the one by the id (`sub`)"),
            },
            UserRef::Me => None,
        };
        let Some(user) = user else { return nobody("nobody of this name is connected") };
        Ok(Target {
            user,
            project: client.client_id.project().to_owned(),
            folder: section.folder.clone(),
            direction: section.direction,
            retention: Retention { age: section.keep_versions, bytes: section.versions_size },
        })
    }
}
