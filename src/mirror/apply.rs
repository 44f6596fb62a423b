//! Carries out a plan, one file at a time, and records what both sides agree on as it goes.
//!
//! What must stay true: a name is touched only after what it stood for is in the version store; a state
//! is recorded only after both sides have been seen or made to have it, and its names are on disk; an
//! action that fails takes those that build on it out of the run, and no others. What was done and not
//! recorded is seen by the next run, since then both sides are equal.

mod contents;
mod names;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::StreamExt as _;

use super::MirrorError;
use super::hook::Hook;
use super::local::{Folder, LocalError};
use super::path::RelPath;
use super::plan::{Action, Agreed, Plan};
use super::problem::{Matter, Problem};
use super::remote::{Remote, RemoteError};
use super::report::{Done, Stop};
use super::state::record_of;
use super::versions::{KeepError, Versions};
use crate::config::Direction;
use crate::google::drive::{DriveFile, FileId};
use crate::vault::{
    LocalMark, Mirror, MirrorBatch, MirrorContent as Content, MirrorEntry, Vault, VaultError,
};

/// Files under way at one time.
const AT_ONCE: usize = 4;
/// Rows written at one time: one commit for this many files.
const BATCH: usize = 64;
/// The most ids Drive makes at a time.
const IDS: usize = 1000;

/// Why an action did not happen.
#[derive(Debug)]
enum Trouble {
    /// For this file only.
    Here(Matter),
    /// For the whole run.
    Stop(Stop),
    /// The run cannot even say what it did.
    Fatal(VaultError),
}

impl From<LocalError> for Trouble {
    fn from(error: LocalError) -> Self {
        match error {
            LocalError::Full => Self::Stop(Stop::LocalFull),
            LocalError::Gone | LocalError::Exists | LocalError::Changed | LocalError::NotAFolder => {
                Self::Here(Matter::Changed)
            }
            LocalError::Busy => Self::Here(Matter::Busy),
            LocalError::Io(why) => Self::Here(Matter::Failed(why)),
        }
    }
}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Self {
        LocalError::from(error).into()
    }
}

impl From<RemoteError> for Trouble {
    fn from(error: RemoteError) -> Self {
        match error {
            RemoteError::Gone | RemoteError::Exists | RemoteError::Changed => Self::Here(Matter::Changed),
            RemoteError::Mismatch | RemoteError::Refused(_) => Self::Here(Matter::Failed(error.to_string())),
            RemoteError::Full => Self::Stop(Stop::RemoteFull),
            RemoteError::LocalFull => Self::Stop(Stop::LocalFull),
            RemoteError::TryLater { after } => Self::Stop(Stop::TryLater { after }),
            // Of the changes feed, which is asked again from the start by the next run.
            RemoteError::PageTokenRefused => Self::Stop(Stop::TryLater { after: std::time::Duration::ZERO }),
            RemoteError::NeedsPerson(what) => Self::Stop(Stop::NeedsPerson(what)),
        }
    }
}

impl From<KeepError> for Trouble {
    fn from(error: KeepError) -> Self {
        match error {
            KeepError::Local(error) => error.into(),
            KeepError::Remote(error) => error.into(),
            KeepError::Vault(error) => Self::Fatal(error),
        }
    }
}

/// What a run acts on.
pub(super) struct Applier<'a, R> {
    pub(super) remote: &'a R,
    pub(super) folder: &'a Arc<Folder>,
    pub(super) versions: &'a Versions,
    pub(super) vault: &'a Vault,
    pub(super) mirror: &'a Mirror,
    pub(super) hook: &'a Hook,
    pub(super) direction: Direction,
    pub(super) root: &'a FileId,
    /// The file system's time of the scan.
    pub(super) seen_ns: i64,
    /// Now, as it stands in names.
    pub(super) stamp: &'a str,
    pub(super) state: Mutex<Running>,
}

/// What a run has come to so far.
#[derive(Default)]
pub(super) struct Running {
    /// Ids of folders at Drive by the path they have at this moment.
    pub(super) folders: HashMap<RelPath, FileId>,
    ids: Vec<FileId>,
    batch: MirrorBatch,
    failed: Vec<RelPath>,
    pub(super) problems: Vec<Problem>,
    pub(super) done: Done,
    pub(super) stopped: Option<Stop>,
    fatal: Option<VaultError>,
}

impl Running {
    /// Before the first action.
    pub(super) fn new(folders: HashMap<RelPath, FileId>, problems: Vec<Problem>) -> Self {
        Self { folders, problems, ..Self::default() }
    }
}

impl<R: Remote> Applier<'_, R> {
    /// Carries out the plan, as far as it goes.
    pub(super) async fn run(&self, plan: &Plan) -> Result<(), MirrorError> {
        self.fetch_ids(plan).await;
        self.in_order(&plan.renames).await;
        self.record_findings(plan);
        self.in_order(&plan.clearing).await;
        self.in_order(&plan.folders).await;
        self.side_by_side(&plan.transfers).await;
        self.side_by_side(&plan.deletes).await;
        self.in_order(&plan.removals).await;
        self.flush().await;
        match self.state().fatal.take() {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }

    fn state(&self) -> MutexGuard<'_, Running> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self) -> bool {
        let state = self.state();
        state.stopped.is_some() || state.fatal.is_some()
    }

    async fn in_order(&self, actions: &[Action]) {
        for action in actions {
            self.take_up(action).await;
        }
        self.flush_if_long().await;
    }

    async fn side_by_side(&self, actions: &[Action]) {
        futures_util::stream::iter(actions)
            .for_each_concurrent(AT_ONCE, async |action| {
                self.take_up(action).await;
                self.flush_if_long().await;
            })
            .await;
    }

    /// One action, unless the run is over or something it builds on failed.
    async fn take_up(&self, action: &Action) {
        if self.is_over() {
            return;
        }
        let outcome =
            if self.waits(action) { Err(Trouble::Here(Matter::Waits)) } else { self.act(action).await };
        let mut state = self.state();
        let trouble = match outcome {
            Ok(()) => return state.done.count(action),
            Err(trouble) => trouble,
        };
        state.failed.push(action.path().clone());
        state.failed.extend(action.source().cloned());
        match trouble {
            Trouble::Here(matter) => {
                // A conflict that did not come about is no conflict.
                let path = action.source().unwrap_or(action.path()).to_string();
                state.problems.retain(|problem| problem.path != path);
                state.problems.push(Problem { path, matter });
            }
            Trouble::Stop(stop) => {
                state.stopped.get_or_insert(stop);
            }
            Trouble::Fatal(error) => {
                state.fatal.get_or_insert(error);
            }
        }
    }

    fn waits(&self, action: &Action) -> bool {
        let paths = [Some(action.path()), action.source()];
        self.state().failed.iter().any(|failed| {
            paths.into_iter().flatten().any(|path| path.is_within(failed) || failed.is_below(path))
        })
    }

    async fn act(&self, action: &Action) -> Result<(), Trouble> {
        match action {
            Action::MakeLocalFolder(path) => self.make_local_folder(path).await,
            Action::MakeRemoteFolder(path) => self.make_remote_folder(path).await,
            Action::MoveLocal { from, to, node } | Action::SetAside { from, to, node } => {
                self.move_local(from, to, &node.mark).await
            }
            Action::MoveRemote { from, to, node } => self.move_remote(from, to, node).await,
            Action::Download { path, node, over } => self.download(path, node, over.as_ref()).await,
            Action::Upload { path, node, over } => self.upload(path, node, over.as_ref()).await,
            Action::DeleteLocal { path, node } => self.delete_local(path, node).await,
            Action::DeleteRemote { path, node } => self.delete_remote(path, node).await,
            Action::RemoveLocalFolder(path) => self.remove_local_folder(path).await,
            Action::RemoveRemoteFolder { path, node } => self.remove_remote_folder(path, node).await,
        }
    }

    /// One call for each thousand new files and folders.
    async fn fetch_ids(&self, plan: &Plan) {
        let new = |action: &&Action| {
            matches!(action, Action::Upload { over: None, .. } | Action::MakeRemoteFolder(_))
        };
        let mut left = plan.actions().filter(new).count();
        while left > 0 && !self.is_over() {
            self.hook.at("generate ids").await;
            match self.remote.generate_ids(left.min(IDS)).await {
                // A Drive that gives none would be asked for ever.
                Ok(ids) if ids.is_empty() => {
                    let what = "Drive gives no ids for new files; see the log".to_owned();
                    self.state().stopped = Some(Stop::NeedsPerson(what));
                }
                Ok(ids) => {
                    left -= ids.len().min(left);
                    self.state().ids.extend(ids);
                }
                Err(error) => match error.into() {
                    Trouble::Stop(stop) => self.state().stopped = Some(stop),
                    Trouble::Here(matter) => {
                        self.state().stopped =
                            Some(Stop::NeedsPerson(format!("Drive gives no ids: {matter}")));
                    }
                    Trouble::Fatal(error) => self.state().fatal = Some(error),
                },
            }
        }
    }

    fn next_id(&self) -> Result<FileId, Trouble> {
        self.state().ids.pop().ok_or_else(|| Trouble::Here(Matter::Failed("no id is left for it".into())))
    }

    /// The id of the folder that the path is in.
    fn parent_id(&self, path: &RelPath) -> Result<FileId, Trouble> {
        match path.parent() {
            None => Ok(self.root.clone()),
            Some(parent) => self.state().folders.get(&parent).cloned().ok_or(Trouble::Here(Matter::Waits)),
        }
    }

    /// What the plan found agreed on. After the renames: some of it is true only since then.
    fn record_findings(&self, plan: &Plan) {
        if self.is_over() {
            return;
        }
        let mut state = self.state();
        let failed = std::mem::take(&mut state.failed);
        let stands = |path: &RelPath| !failed.iter().any(|failed| path.is_within(failed));
        let forget = plan.forget.iter().filter(|path| stands(path)).map(ToString::to_string);
        state.batch.drop_entries.extend(forget);
        let adopt = plan.adopt.iter().filter(|(path, _)| stands(path));
        state.batch.put_entries.extend(adopt.map(|(path, agreed)| entry(path, agreed)));
        state.failed = failed;
    }

    fn record(&self, path: &RelPath, remote: &FileId, content: Content, mark: Option<LocalMark>) {
        let agreed = Agreed {
            remote: remote.to_string(),
            content,
            mark: mark.map(|mark| LocalMark { seen_ns: self.seen_ns, ..mark }),
        };
        self.state().batch.put_entries.push(entry(path, &agreed));
    }

    fn record_gone(&self, path: &RelPath) {
        self.state().batch.drop_entries.push(path.to_string());
    }

    fn record_remote(&self, file: &DriveFile) {
        self.state().batch.put_remote.push(record_of(file));
    }

    fn record_remote_gone(&self, id: &FileId) {
        self.state().batch.drop_remote.push(id.to_string());
    }

    async fn flush_if_long(&self) {
        if self.state().batch.len() >= BATCH {
            self.flush().await;
        }
    }

    /// Writes what is to be recorded, once it is true on disk.
    async fn flush(&self) {
        let batch = std::mem::take(&mut self.state().batch);
        if batch.is_empty() {
            return;
        }
        self.hook.at("sync names").await;
        let folder = self.folder.clone();
        if let Err(error) = super::versions::blocking(move || folder.sync()).await {
            // Not recorded: the next run sees for itself what the disk holds.
            tracing::warn!(%error, "a mirror's folder could not be synced");
            let mut state = self.state();
            state.stopped.get_or_insert(match error {
                LocalError::Full => Stop::LocalFull,
                error => Stop::NeedsPerson(format!("the folder's disk fails ({error}); look after it first")),
            });
            return;
        }
        self.hook.at("record").await;
        if let Err(error) = self.vault.record_mirror(self.mirror, batch).await {
            self.state().fatal.get_or_insert(error);
        }
    }
}

fn entry(path: &RelPath, agreed: &Agreed) -> MirrorEntry {
    MirrorEntry {
        path: path.to_string(),
        remote: agreed.remote.clone(),
        content: agreed.content,
        local: agreed.mark,
    }
}
