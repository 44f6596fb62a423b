//! The configured mirrors at work: which one a caller means, when each is due, and its runs.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::over_drive::OverDrive;
use super::progress::Progress;
use super::{
    KeptVersion, LastRun, MirrorError, MirrorProgress, Mirrors, RelPath, RemoteError, Report, RunOptions,
    Stop, Target,
};
use crate::app_data::{AppData, Person};
use crate::clock::{Clock, Timestamp};
use crate::config::{Config, Direction, MirrorSection};
use crate::events::{Actor, Events, Kind, NewEvent};
use crate::ids::{ClientName, UserId};
use crate::lifecycle::Lifecycle;
use crate::tokens::Reach;

/// The shortest wait after a run that could not be finished.
const SOONEST: i64 = 60;

/// The mirrors of the configuration. Cheap to clone; clones share what they know of the runs.
#[derive(Clone, Debug)]
pub struct MirrorKeeper(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Arc<Config>,
    mirrors: Mirrors,
    app_data: AppData,
    clock: Clock,
    lifecycle: Lifecycle,
    /// When each section runs next; one that is not in it is due.
    due: Mutex<HashMap<usize, Timestamp>>,
    /// How far the section's run has come, while there is one.
    running: Mutex<HashMap<usize, Arc<Progress>>>,
    events: Events,
    /// The sections whose last run failed in a way that waits for a person.
    failing: Mutex<HashSet<usize>>,
}

/// A section's entry among the running ones, however the run ends.
struct Underway<'k> {
    inner: &'k Inner,
    index: usize,
}

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        lock(&self.inner.running).remove(&self.index);
    }
}

/// A configured mirror and where it stands.
#[derive(Clone, Debug)]
pub struct MirrorState {
    /// Which one it is.
    pub client: ClientName,
    /// Whose, and which folder.
    pub target: Target,
    /// How often it runs.
    pub interval: Duration,
    /// When the last run ended, whatever came of it.
    pub last_run_at: Option<Timestamp>,
    /// When both sides were last seen to agree.
    pub last_ok_at: Option<Timestamp>,
    /// Why it waits for a person, as a word: see [`super::Held::code`].
    pub held: Option<String>,
    /// The numbers of the last run.
    pub last_run: Option<LastRun>,
    /// How far a run has come that is under way in this process.
    pub running: Option<MirrorProgress>,
}

impl MirrorKeeper {
    /// All of them are due at once.
    pub fn new(
        config: Arc<Config>,
        mirrors: Mirrors,
        app_data: AppData,
        events: Events,
        clock: Clock,
        lifecycle: Lifecycle,
    ) -> Self {
        let (due, running, failing) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self(Arc::new(Inner { config, mirrors, app_data, clock, lifecycle, due, running, events, failing }))
    }

    /// The person's mirror with this client, or their only one.
    ///
    /// # Errors
    /// [`MirrorError::NotFound`] when there is none, [`MirrorError::Ambiguous`] when there are several.
    pub async fn find(&self, user: UserId, client: Option<&ClientName>) -> Result<MirrorState, MirrorError> {
        let (section, target) = self.0.find(user, client).await?;
        self.0.state_of(section, target).await
    }

    /// Every configured mirror, in the order of the configuration; an error stands for one whose person
    /// is not connected.
    pub async fn list(&self) -> Vec<(MirrorSection, Result<MirrorState, MirrorError>)> {
        let mut all = Vec::new();
        for section in &self.0.config.mirrors {
            let state = match self.0.target(section).await {
                Ok(target) => self.0.state_of(section, target).await,
                Err(error) => Err(error),
            };
            all.push((section.clone(), state));
        }
        all
    }

    /// Runs a mirror now. Goes on when the caller goes away.
    ///
    /// # Errors
    /// See [`MirrorError`]; [`MirrorError::Interrupted`] when locum stops meanwhile, and then the next run
    /// goes on.
    pub async fn run(
        &self,
        user: UserId,
        client: Option<&ClientName>,
        options: RunOptions,
        actor: &Actor,
    ) -> Result<Report, MirrorError> {
        let (section, target) = self.0.find(user, client).await?;
        let index = self.0.index_of(section);
        let (inner, actor) = (self.0.clone(), actor.clone());
        let run = async move { inner.run(index, &target, options, &actor).await };
        self.0.lifecycle.run(run).await.unwrap_or(Err(MirrorError::Interrupted))
    }

    /// Runs what is due, each as a task of its own. Called by a job.
    pub fn run_due(&self) -> Vec<tokio::task::JoinHandle<()>> {
        let now = self.0.clock.now();
        let mut runs = Vec::new();
        for (index, section) in self.0.config.mirrors.iter().enumerate() {
            let mut due = lock(&self.0.due);
            if due.get(&index).is_some_and(|due| *due > now) {
                continue;
            }
            // Until it is over; a task that dies is tried again after the interval.
            due.insert(index, now.plus(seconds(section.interval).max(SOONEST)));
            drop(due);
            let inner = self.0.clone();
            runs.push(self.0.lifecycle.spawn(async move { inner.run_by_itself(index).await }));
        }
        runs
    }

    /// The kept versions of a person's mirror, oldest first.
    ///
    /// # Errors
    /// See [`MirrorError`].
    pub async fn versions(
        &self,
        user: UserId,
        client: Option<&ClientName>,
    ) -> Result<Vec<KeptVersion>, MirrorError> {
        let (_, target) = self.0.find(user, client).await?;
        self.0.mirrors.versions(&target).await
    }

    /// Puts a copy of a kept version back into the folder; see [`Mirrors::restore`].
    ///
    /// # Errors
    /// See [`MirrorError`].
    pub async fn restore(
        &self,
        user: UserId,
        client: Option<&ClientName>,
        version: i64,
        to: Option<RelPath>,
        actor: &Actor,
    ) -> Result<RelPath, MirrorError> {
        let (section, target) = self.0.find(user, client).await?;
        let index = self.0.index_of(section);
        let (inner, actor) = (self.0.clone(), actor.clone());
        let restore = async move {
            let path = inner.mirrors.restore(&target, version, to.as_ref()).await?;
            if actor.is_owner() {
                let event = inner.about(index, &target, Kind::AppDataRestored, &actor);
                inner.events.record(event.path(path.as_str())).await;
            }
            Ok(path)
        };
        self.0.lifecycle.run(restore).await.unwrap_or(Err(MirrorError::Interrupted))
    }
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX / 2)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inner {
    /// A run that comes while another one has the folder is refused soon, and is not looked at.
    fn begins(&self, index: usize, progress: Arc<Progress>) -> Option<Underway<'_>> {
        let mut running = lock(&self.running);
        let Entry::Vacant(place) = running.entry(index) else { return None };
        place.insert(progress);
        Some(Underway { inner: self, index })
    }

    fn index_of(&self, section: &MirrorSection) -> usize {
        self.config.mirrors.iter().position(|other| std::ptr::eq(other, section)).unwrap_or(usize::MAX)
    }

    async fn target(&self, section: &MirrorSection) -> Result<Target, MirrorError> {
        let client = self.config.client(&section.client).ok_or(MirrorError::NotFound("client"))?;
        self.mirrors.resolve(section, client).await
    }

    async fn find(
        &self,
        user: UserId,
        client: Option<&ClientName>,
    ) -> Result<(&MirrorSection, Target), MirrorError> {
        let mut found = Vec::new();
        for section in &self.config.mirrors {
            if client.is_some_and(|client| *client != section.client) {
                continue;
            }
            match self.target(section).await {
                Ok(target) if target.user == user => found.push((section, target)),
                Ok(_) | Err(MirrorError::UnknownUser(_)) => {}
                Err(error) => return Err(error),
            }
        }
        if found.len() > 1 {
            let clients = found.iter().map(|(section, _)| section.client.clone()).collect();
            return Err(MirrorError::Ambiguous { clients });
        }
        found.pop().ok_or(MirrorError::NotFound("mirror: the configuration has no [[mirror]] for this user"))
    }

    async fn state_of(&self, section: &MirrorSection, target: Target) -> Result<MirrorState, MirrorError> {
        let known = self.mirrors.state(&target).await?;
        let (mirror, last_run) = known.map_or((None, None), |(mirror, last)| (Some(mirror), last));
        let mirror = mirror.as_ref();
        Ok(MirrorState {
            client: section.client.clone(),
            interval: section.interval,
            last_run_at: mirror.and_then(|mirror| mirror.last_run_at),
            last_ok_at: mirror.and_then(|mirror| mirror.last_ok_at),
            held: mirror.and_then(|mirror| mirror.held.clone()),
            last_run,
            running: lock(&self.running).get(&self.index_of(section)).map(|progress| progress.now()),
            target,
        })
    }

    /// One run, which a stop of locum's ends at once: whatever it was about, the next one finishes it.
    async fn run(
        &self,
        index: usize,
        target: &Target,
        options: RunOptions,
        actor: &Actor,
    ) -> Result<Report, MirrorError> {
        let section = self.config.mirrors.get(index).ok_or(MirrorError::NotFound("mirror"))?;
        let client = Some(section.client.clone());
        let person = Person { user: target.user, client, reach: Reach::EVERYTHING };
        let progress = Arc::new(Progress::default());
        let remote = OverDrive::new(&self.app_data, person, progress.clone());
        let held = self.mirrors.state(target).await.ok().flatten().and_then(|(mirror, _)| mirror.held);
        let _underway = self.begins(index, progress);
        let outcome = tokio::select! {
            biased;
            () = self.lifecycle.stopping() => Err(MirrorError::Interrupted),
            outcome = Box::pin(self.mirrors.run(target, &remote, options)) => outcome,
        };
        if !options.dry_run {
            lock(&self.due).insert(index, self.clock.now().plus(next_after(section.interval, &outcome)));
            let told = Told { held, accept: options.accept, actor };
            self.tell(index, target, told, &outcome).await;
        }
        outcome
    }

    fn about(&self, index: usize, target: &Target, kind: Kind, actor: &Actor) -> NewEvent {
        let event = NewEvent::new(kind, actor).about(target.user);
        let section = self.config.mirrors.get(index);
        match section.and_then(|section| self.config.client(&section.client)) {
            Some(client) => event.client(&client.client_id),
            None => event,
        }
    }

    /// Tells of each run that somebody wanted, and of what has changed with one.
    async fn tell(
        &self,
        index: usize,
        target: &Target,
        told: Told<'_>,
        outcome: &Result<Report, MirrorError>,
    ) {
        let held = outcome.as_ref().ok().and_then(|report| report.held.as_ref()).map(|held| held.code());
        let locum = Actor::locum();
        match (&told.held, held) {
            (before, Some(why)) if before.as_deref() != Some(why) => {
                self.events.note(self.about(index, target, Kind::MirrorHeld, &locum).with("why", why));
            }
            (Some(why), None) if told.accept && outcome.is_ok() => {
                let event = self.about(index, target, Kind::MirrorAccepted, told.actor);
                self.events.record(event.with("why", why.clone())).await;
            }
            _ => {}
        }
        if let (Ok(report), false) = (outcome, told.actor.is_locum())
            && held.is_none()
        {
            let done = &report.done;
            let event = self.about(index, target, Kind::MirrorRan, told.actor);
            let event = event.with("downloaded", done.downloaded).with("uploaded", done.uploaded);
            self.events.record(event.with("deleted", done.deleted_here + done.deleted_at_drive)).await;
        }
        match failure(outcome) {
            Failure::Unclear => {}
            Failure::None => {
                if lock(&self.failing).remove(&index) {
                    self.events.note(self.about(index, target, Kind::MirrorRecovered, &locum));
                }
            }
            Failure::Because(cause) => {
                if lock(&self.failing).insert(index) {
                    let event = self.about(index, target, Kind::MirrorFailed, &locum);
                    self.events.note(event.with("cause", cause));
                }
            }
        }
    }

    async fn run_by_itself(&self, index: usize) {
        let Some(section) = self.config.mirrors.get(index) else { return };
        let outcome = match self.target(section).await {
            Ok(target) => self.run(index, &target, RunOptions::default(), &Actor::locum()).await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(report) => {
                if let Some(stopped) = report.stopped {
                    tracing::warn!(client = %section.client, direction = section.direction.code(), %stopped, "a mirror's run ended early");
                }
            }
            Err(MirrorError::Interrupted | MirrorError::Busy) => {}
            Err(error) => {
                tracing::warn!(client = %section.client, direction = section.direction.code(), %error, "a mirror could not run");
            }
        }
    }
}

/// What a run's outcome is compared with.
struct Told<'a> {
    /// Why the mirror waited for a person before the run.
    held: Option<String>,
    accept: bool,
    actor: &'a Actor,
}

enum Failure {
    None,
    /// It may go by itself: an outage, a run under way elsewhere, a stop of locum's.
    Unclear,
    /// A person has to act.
    Because(&'static str),
}

fn failure(outcome: &Result<Report, MirrorError>) -> Failure {
    match outcome {
        Ok(report) => match &report.stopped {
            None => Failure::None,
            Some(Stop::TryLater { .. }) => Failure::Unclear,
            Some(Stop::NeedsPerson(_)) => Failure::Because("needs_person"),
            Some(Stop::RemoteFull) => Failure::Because("storage_full"),
            Some(Stop::LocalFull) => Failure::Because("disk_full"),
        },
        Err(MirrorError::Busy | MirrorError::Interrupted | MirrorError::Vault(_)) => Failure::Unclear,
        Err(MirrorError::Remote(RemoteError::TryLater { .. })) => Failure::Unclear,
        Err(MirrorError::FolderMissing(_)) => Failure::Because("folder_missing"),
        Err(MirrorError::NoMarker(_)) => Failure::Because("marker_missing"),
        Err(MirrorError::OtherMirror(_)) => Failure::Because("other_mirror"),
        Err(MirrorError::BadFolder { .. } | MirrorError::Local { .. }) => Failure::Because("folder"),
        Err(MirrorError::UnknownUser(_) | MirrorError::NotFound(_) | MirrorError::Ambiguous { .. }) => {
            Failure::Because("configuration")
        }
        Err(MirrorError::Remote(_)) => Failure::Because("drive"),
    }
}

/// Seconds to the next run: the interval, or longer where Google asked for more patience.
fn next_after(interval: Duration, outcome: &Result<Report, MirrorError>) -> i64 {
    let patience = match outcome {
        Ok(Report { stopped: Some(Stop::TryLater { after }), .. })
        | Err(MirrorError::Remote(RemoteError::TryLater { after })) => seconds(*after).max(SOONEST),
        _ => 0,
    };
    seconds(interval).max(patience)
}

impl MirrorState {
    /// The direction in words.
    pub const fn direction(&self) -> Direction {
        self.target.direction
    }
}
