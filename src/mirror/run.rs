//! One run of a mirror, from its folder's marker to its report.

mod recover;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::apply::{Applier, Running};
use super::local::scan::scan;
use super::local::{Folder, LocalError};
use super::path::{Likeness, MARKER, RelPath};
use super::plan::{self, Agreed, AgreedTree, Given, Held, Plan};
use super::remote::Remote;
use super::report::{Done, Report};
use super::state::RemoteState;
use super::tree::RemoteTree;
use super::versions::{KeepError, Versions, blocking};
use super::{Inner, MirrorError, Mirrors, Target};
use crate::clock::Timestamp;
use crate::config::Direction;
use crate::metrics::MirrorOutcome;
use crate::vault::{Mirror, MirrorBatch, MirrorContent as Content, MirrorStage, VaultError};

/// How often, and with what pause between, a run asks for its folder's lock: half a second in all.
const LOCK_TRIES: u32 = 25;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// What a run may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunOptions {
    /// Only says what it would do; changes nothing on either side.
    pub dry_run: bool,
    /// A person has looked: what would be held is done, and a folder without its marker is taken as it is.
    pub accept: bool,
}

/// Numbers of a run, as they are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastRun {
    /// What was done.
    pub done: Done,
    /// Problems that were reported, notes apart.
    pub problems: usize,
    /// Why it ended early, in words.
    pub stopped: Option<String>,
    /// Why the run failed, in words.
    pub failed: Option<String>,
    /// Local files there were.
    pub files: usize,
}

impl Mirrors {
    /// Runs a mirror once.
    ///
    /// Costs two requests to Drive when nothing changed there. The future may be dropped: what it was
    /// about is finished by the next run. Until its last operation on the disk is over, other runs are
    /// refused.
    ///
    /// # Errors
    /// When nothing could be compared, so that nothing was done; see [`MirrorError`]. What goes wrong with
    /// single files, or after that, is in the report.
    pub async fn run<R: Remote>(
        &self,
        target: &Target,
        remote: &R,
        options: RunOptions,
    ) -> Result<Report, MirrorError> {
        let outcome = self.try_run(target, remote, options).await;
        if !options.dry_run {
            self.0.metrics.mirrored(match &outcome {
                Ok(report) if report.held.is_some() => MirrorOutcome::Held,
                Ok(report) if report.stopped.is_some() => MirrorOutcome::Stopped,
                Ok(report) if report.is_complete() => MirrorOutcome::Complete,
                Ok(_) => MirrorOutcome::Problems,
                Err(_) => MirrorOutcome::Failed,
            });
        }
        outcome
    }

    async fn try_run<R: Remote>(
        &self,
        target: &Target,
        remote: &R,
        options: RunOptions,
    ) -> Result<Report, MirrorError> {
        let folder = self.0.take_folder(&target.folder).await?;
        let vault = &self.0.vault;
        let mirror = self.0.load_or_create(target).await?;
        let is_restart = check_marker(&folder, &mirror, &target.folder, options)?;
        if options.dry_run {
            let state = RemoteState::fetch(vault, &mirror, remote, &self.0.hook).await?;
            let mut mirror = mirror;
            if is_restart || starts_over(&mirror, &state, target) {
                mirror.stage = MirrorStage::New;
            }
            let found = self.0.compare(target, &folder, &mirror, &state, None).await?;
            return Ok(Report { dry_run: true, ..found.report(needs_acceptance(target, &mirror)) });
        }
        let mirror = self.0.begin(mirror, target).await?;
        let run = Run { inner: &self.0, target, folder: &folder, options };
        let outcome = run.go(mirror, remote, is_restart).await;
        if let Err(error) = &outcome {
            run.note_failure(error).await;
        }
        outcome
    }

    /// The numbers of a mirror's last run and why it waits, if it does.
    ///
    /// # Errors
    /// When the vault cannot be read.
    pub async fn state(&self, target: &Target) -> Result<Option<(Mirror, Option<LastRun>)>, MirrorError> {
        let Some(mirror) = self.0.vault.load_mirror(target.user, &target.project).await? else {
            return Ok(None);
        };
        let last = mirror.last_run.as_deref().and_then(|json| serde_json::from_str(json).ok());
        Ok(Some((mirror, last)))
    }
}

/// Whether the marker says that the folder is the mirror's. Returns whether a person takes a folder
/// without one for a new start.
fn check_marker(
    folder: &Folder,
    mirror: &Mirror,
    path: &Path,
    options: RunOptions,
) -> Result<bool, MirrorError> {
    let marker = folder.marker().map_err(MirrorError::local("the marker file cannot be read"))?;
    match marker {
        Some(id) if id == mirror.marker => Ok(false),
        Some(_) => Err(MirrorError::OtherMirror(path.to_owned())),
        None if mirror.stage == MirrorStage::New => Ok(false),
        None if options.accept => Ok(true),
        None => Err(MirrorError::NoMarker(path.to_owned())),
    }
}

/// Whether what was agreed on before counts no more: it was about another place, or meant something else.
fn starts_over(mirror: &Mirror, state: &RemoteState, target: &Target) -> bool {
    mirror.stage != MirrorStage::New && (state.is_new_root || mirror.direction != target.direction.code())
}

/// Whether a person must look at the run first.
fn needs_acceptance(target: &Target, mirror: &Mirror) -> bool {
    target.direction == Direction::Both && mirror.stage == MirrorStage::New
}

impl Inner {
    pub(super) fn open_folder(&self, path: &Path) -> Result<Arc<Folder>, MirrorError> {
        let bad = |problem: &str| {
            Err(MirrorError::BadFolder { folder: path.to_owned(), problem: problem.to_owned() })
        };
        if !path.is_absolute() {
            return bad("its path is not absolute; write it out in full");
        }
        let Ok(real) = path.canonicalize() else { return Err(MirrorError::FolderMissing(path.to_owned())) };
        if real.parent().is_none() {
            return bad("it is the root of the file system; name a folder below it");
        }
        if let Ok(data) = self.data.canonicalize()
            && (real.starts_with(&data) || data.starts_with(&real))
        {
            return bad("it and the vault's folder lie inside each other; name another folder");
        }
        if real.ancestors().skip(1).any(|above| above.join(MARKER).symlink_metadata().is_ok()) {
            return bad("it lies in the folder of another mirror; name another folder");
        }
        match Folder::open(path) {
            Ok(folder) => Ok(Arc::new(folder)),
            Err(LocalError::Gone) => Err(MirrorError::FolderMissing(path.to_owned())),
            Err(LocalError::NotAFolder) => bad("it is no folder"),
            Err(error) => Err(MirrorError::local("the folder cannot be opened")(error)),
        }
    }

    /// Opens the folder with its lock, and waits a moment for it: a run that was dropped ends its last operation,
    /// and a child process of ours has a copy of every lock until it has begun.
    async fn take_folder(&self, path: &Path) -> Result<Arc<Folder>, MirrorError> {
        for _ in 0..LOCK_TRIES {
            match self.open_folder(path) {
                Err(MirrorError::Busy) => tokio::time::sleep(LOCK_PAUSE).await,
                outcome => return outcome,
            }
        }
        self.open_folder(path)
    }

    async fn load_or_create(&self, target: &Target) -> Result<Mirror, MirrorError> {
        let (user, project) = (target.user, &*target.project);
        if let Some(mirror) = self.vault.load_mirror(user, project).await? {
            return Ok(mirror);
        }
        match self.vault.create_mirror(user, project, target.direction.code()).await {
            // By a run that was dropped while its write was on the way; or the person is gone.
            Err(VaultError::Conflict) => {
                self.vault.load_mirror(user, project).await?.ok_or(VaultError::Gone.into())
            }
            outcome => Ok(outcome?),
        }
    }

    /// Takes the next revision, so that whatever an earlier run still has queued is refused. The folder's
    /// lock is held: if the row has changed meanwhile, it was by such a write.
    async fn begin(&self, mut mirror: Mirror, target: &Target) -> Result<Mirror, MirrorError> {
        loop {
            self.hook.at("begin").await;
            match self.vault.save_mirror(&mirror, MirrorBatch::default()).await {
                Err(VaultError::Conflict) => {
                    let known = self.vault.load_mirror(target.user, &target.project).await?;
                    let known = known.ok_or(VaultError::Gone)?;
                    if known.id != mirror.id || known.revision == mirror.revision {
                        return Err(VaultError::Conflict.into());
                    }
                    mirror = known;
                }
                outcome => return Ok(outcome?),
            }
        }
    }

    /// Looks at both sides and makes the plan. `prepared` is the file system's time, and which names are
    /// one to it; without it, in a dry run, the folder is not tried.
    async fn compare(
        &self,
        target: &Target,
        folder: &Arc<Folder>,
        mirror: &Mirror,
        state: &RemoteState,
        prepared: Option<(i64, Likeness)>,
    ) -> Result<Found, MirrorError> {
        let (seen_ns, likeness) = prepared.unwrap_or((0, Likeness::EXACT));
        let agreed = match mirror.stage {
            MirrorStage::New => AgreedTree::new(),
            // Of a first sync that was cut short, what it has come to counts.
            MirrorStage::Accepted | MirrorStage::Settled => self.load_agreed(mirror).await?,
        };
        self.hook.at("scan").await;
        let held = folder.clone();
        let (local, agreed, facts) = blocking(move || {
            let (local, facts) = scan(&held, &agreed, seen_ns)?;
            Ok((local, agreed, facts))
        })
        .await
        .map_err(MirrorError::local("the folder cannot be read"))?;
        let paths = agreed.iter().map(|(path, agreed)| (agreed.remote.as_str(), path)).collect();
        let tree = RemoteTree::resolve(&state.listing, &state.root, likeness, &paths);
        let stamp = stamp(self.clock.now());
        let direction = target.direction;
        let given =
            Given { local: &local, remote: &tree, agreed: &agreed, direction, likeness, stamp: &stamp };
        let plan = plan::plan(given);
        Ok(Found { plan, tree, files: facts.files, hashed: facts.hashed, seen_ns })
    }

    async fn load_agreed(&self, mirror: &Mirror) -> Result<AgreedTree, MirrorError> {
        let entries = self.vault.load_mirror_entries(mirror.id).await?;
        let parse = |entry: crate::vault::MirrorEntry| {
            let path = RelPath::parse(&entry.path)?;
            Some((path, Agreed { remote: entry.remote, content: entry.content, mark: entry.local }))
        };
        Ok(entries.into_iter().filter_map(parse).collect())
    }
}

/// Both sides, compared.
struct Found {
    plan: Plan,
    tree: RemoteTree,
    files: usize,
    hashed: usize,
    seen_ns: i64,
}

impl Found {
    /// The report before anything is done.
    fn report(&self, needs_acceptance: bool) -> Report {
        let planned: Vec<_> = self.plan.actions().cloned().collect();
        let first = (needs_acceptance && !planned.is_empty()).then_some(Held::FirstSync);
        Report {
            held: first.or(self.plan.held),
            planned,
            problems: self.plan.problems.clone(),
            files: self.files,
            hashed: self.hashed,
            ..Report::default()
        }
    }
}

/// A run that may change things.
struct Run<'a> {
    inner: &'a Inner,
    target: &'a Target,
    folder: &'a Arc<Folder>,
    options: RunOptions,
}

impl Run<'_> {
    async fn go<R: Remote>(
        &self,
        mut mirror: Mirror,
        remote: &R,
        is_restart: bool,
    ) -> Result<Report, MirrorError> {
        let (inner, vault, hook) = (self.inner, &self.inner.vault, &self.inner.hook);
        if is_restart {
            // Under a new id: the folder that has the old one may still be somewhere, and knows another state.
            mirror.marker = inner.rng.token(18);
            mirror = self.start_over(mirror).await?;
        }
        let prepared = self.prepare(&mirror)?;
        let mut state = RemoteState::fetch(vault, &mirror, remote, hook).await?;
        if starts_over(&mirror, &state, self.target) {
            mirror = self.start_over(mirror).await?;
        }
        mirror = state.save(vault, mirror, hook).await?;
        let versions = self.open_versions(&mirror)?;
        self.recover(&versions, &state).await?;

        let found = inner.compare(self.target, self.folder, &mirror, &state, Some(prepared)).await?;
        let mut report = found.report(needs_acceptance(self.target, &mirror));
        if self.options.accept {
            report.held = None;
        }
        if report.held.is_some() {
            tracing::warn!(mirror = mirror.id.0, held = ?report.held, "a mirror's run waits for a person to accept it");
            self.finish(mirror, &report).await?;
            return Ok(report);
        }
        if mirror.stage == MirrorStage::New {
            mirror.stage = MirrorStage::Accepted;
            mirror.direction = self.target.direction.code().to_owned();
            hook.at("accept").await;
            mirror = vault.save_mirror(&mirror, MirrorBatch::default()).await?;
        }
        let versions = versions.for_revision(&mirror);
        let mut planned = Done::default();
        found.plan.actions().for_each(|action| planned.count(action));
        remote.sets_out(&planned);
        let ended = self.apply(&mirror, &versions, remote, &state, &found).await?;
        (report.done, report.stopped, report.problems) = (ended.done, ended.stopped, ended.problems);
        report.problems.sort();
        report.expired = self.expire(&versions).await?;
        if report.stopped.is_none() {
            mirror.stage = MirrorStage::Settled;
        }
        self.finish(mirror, &report).await?;
        Ok(report)
    }

    /// Forgets what was agreed on. The listing of Drive stays.
    async fn start_over(&self, mut mirror: Mirror) -> Result<Mirror, MirrorError> {
        mirror.stage = MirrorStage::New;
        let forget = MirrorBatch { clear_entries: true, ..MirrorBatch::default() };
        self.inner.hook.at("start over").await;
        Ok(self.inner.vault.save_mirror(&mirror, forget).await?)
    }

    /// Makes the marker and the private folder. Returns the file system's time and which names are one to it.
    fn prepare(&self, mirror: &Mirror) -> Result<(i64, Likeness), MirrorError> {
        let work = || {
            self.folder.prepare()?;
            // First of all: what a run that was cut short left would stand in the marker's way, and what its probe
            // left would look like an answer.
            for name in self.folder.leftovers()?.iter().filter(|name| name.starts_with("tmp-")) {
                self.folder.drop_private(name)?;
            }
            if self.folder.marker()?.is_none() {
                self.folder.write_marker(&mirror.marker)?;
            }
            Ok((self.folder.now_ns()?, self.folder.likeness()?))
        };
        work().map_err(MirrorError::local("the folder cannot be written"))
    }

    fn open_versions(&self, mirror: &Mirror) -> Result<Versions, MirrorError> {
        let Inner { vault, clock, rng, data, hook, .. } = self.inner;
        Versions::open(vault, mirror, data, (clock, rng), hook)
            .map_err(MirrorError::local("the folder of kept versions cannot be opened"))
    }

    async fn apply<R: Remote>(
        &self,
        mirror: &Mirror,
        versions: &Versions,
        remote: &R,
        state: &RemoteState,
        found: &Found,
    ) -> Result<Running, MirrorError> {
        let is_folder = |content: Content| content == Content::Folder;
        let folders: HashMap<_, _> = found
            .tree
            .nodes
            .iter()
            .filter(|(_, node)| is_folder(node.content))
            .map(|(path, node)| (path.clone(), node.id.clone()))
            .collect();
        let running = Running::new(folders, found.plan.problems.clone());
        let applier = Applier {
            remote,
            folder: self.folder,
            versions,
            vault: &self.inner.vault,
            mirror,
            hook: &self.inner.hook,
            direction: self.target.direction,
            root: &state.root,
            seen_ns: found.seen_ns,
            stamp: &stamp(self.inner.clock.now()),
            state: Mutex::new(running),
        };
        applier.run(&found.plan).await?;
        Ok(applier.state.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    async fn expire(&self, versions: &Versions) -> Result<usize, MirrorError> {
        self.inner.hook.at("expire").await;
        versions
            .expire(self.target.retention)
            .await
            .map_err(keep_error("versions past their time cannot be removed"))
    }

    async fn finish(&self, mut mirror: Mirror, report: &Report) -> Result<(), MirrorError> {
        let now = self.inner.clock.now();
        let numbers = LastRun {
            done: report.done,
            problems: report.problems.iter().filter(|problem| !problem.matter.is_note()).count(),
            stopped: report.stopped.as_ref().map(ToString::to_string),
            failed: None,
            files: report.files,
        };
        mirror.held = report.held.map(|held| held.code().to_owned());
        mirror.last_run = serde_json::to_string(&numbers).ok();
        mirror.last_run_at = Some(now);
        if report.is_complete() {
            mirror.last_ok_at = Some(now);
        }
        self.inner.hook.at("finish").await;
        self.inner.vault.save_mirror(&mirror, MirrorBatch::default()).await?;
        tracing::info!(mirror = mirror.id.0, numbers = ?numbers.done, problems = numbers.problems, "a mirror's run is over");
        Ok(())
    }

    /// So that the state of the mirror says why nothing happens. Not more than an attempt.
    async fn note_failure(&self, error: &MirrorError) {
        let Ok(Some(mut mirror)) = self.inner.vault.load_mirror(self.target.user, &self.target.project).await
        else {
            return;
        };
        let numbers = LastRun { failed: Some(error.to_string()), ..LastRun::default() };
        mirror.last_run = serde_json::to_string(&numbers).ok();
        mirror.last_run_at = Some(self.inner.clock.now());
        if let Err(error) = self.inner.vault.save_mirror(&mirror, MirrorBatch::default()).await {
            tracing::warn!(%error, "a mirror's failure could not be recorded");
        }
    }
}

/// A time as it stands in names: `2026-11-22 14.03.07`, in UTC.
pub(super) fn stamp(time: Timestamp) -> String {
    time.to_string().replace('T', " ").replace(':', ".").replace('Z', "")
}

pub(super) fn keep_error(what: &'static str) -> impl FnOnce(KeepError) -> MirrorError {
    move |error| match error {
        KeepError::Local(error) => MirrorError::local(what)(error),
        KeepError::Remote(error) => error.into(),
        KeepError::Vault(error) => error.into(),
    }
}
