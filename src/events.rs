//! What happened: the audit log, and the live feed of it.
//!
//! What must stay true:
//!
//! - what the owner or a key does is on disk before it is answered ([`Events::record`]); what happens by
//!   itself, or on a busy way, is written in groups within a second ([`Events::note`]) and never makes
//!   anybody wait;
//! - nobody who reads on behind an id misses an event or sees one twice: readers go to the vault by id, and
//!   the signal only wakes them;
//! - an event says who, what and whom by row id; what is personal in it is sealed, and goes with the person;
//! - no token, code, secret or address of a link is in any event;
//! - the log is bounded in time and in number, and so are the queue and the streams.

mod actor;
mod feed;
mod kind;
#[cfg(test)]
mod tests;
mod view;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value};
use tokio::sync::{Semaphore, watch};

pub use self::actor::{Actor, Via};
pub use self::feed::{Fed, Feed, TooManyFeeds};
pub use self::kind::{Kind, Severity};
pub use self::view::{ActorView, Event, EventUser};
pub use crate::vault::{EventQuery, Order};

use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::grant::GrantState;
use crate::ids::{ApiKeyId, OAuthClientId, UserId};
use crate::lifecycle::Lifecycle;
use crate::metrics::Metrics;
use crate::turns::Turns;
use crate::vault::{EventRecord, Grant, PersonalFacts, Vault, VaultError};

/// Events that wait to be written, at the most: some seconds of the busiest machine.
const QUEUE: usize = 10_000;
/// Events written in one transaction.
const GROUP: usize = 500;
/// Events kept, at the most; the oldest go first.
const MOST: i64 = 1_000_000;
/// Events deleted in one step of the purge and for each of its reasons, so that no write waits for long.
const PURGE: usize = 2_000;
/// Events read from the vault at a time.
const BATCH: usize = 500;
/// Seconds from one event that strangers can bring about to the next.
const SELDOM: i64 = 60;
/// Streams of the owner open at one time, those of keys, and those of one key.
const FEEDS: usize = 16;
const FEEDS_OF_KEYS: usize = 48;
const FEEDS_OF_KEY: usize = 8;

/// What is told of something that happened. `Debug` leaves out what is personal.
#[derive(Clone)]
pub struct NewEvent {
    kind: Kind,
    actor: Actor,
    user: Option<UserId>,
    client: Option<OAuthClientId>,
    details: Map<String, Value>,
    path: Option<String>,
}

impl std::fmt::Debug for NewEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewEvent")
            .field("kind", &self.kind)
            .field("actor", &self.actor)
            .finish_non_exhaustive()
    }
}

impl NewEvent {
    /// Something of this kind, by somebody.
    pub fn new(kind: Kind, actor: &Actor) -> Self {
        let details = Map::new();
        Self { kind, actor: actor.clone(), user: None, client: None, details, path: None }
    }

    /// It is about this person.
    #[must_use]
    pub fn about(mut self, user: impl Into<Option<UserId>>) -> Self {
        self.user = user.into();
        self
    }

    /// It is about this client.
    #[must_use]
    pub fn client(mut self, client: &OAuthClientId) -> Self {
        self.client = Some(client.clone());
        self
    }

    /// More of it. Nothing personal and nothing secret: it is kept in clear.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }

    /// A path in somebody's app data; personal, so it is sealed.
    #[must_use]
    pub fn path(mut self, path: &str) -> Self {
        self.path = Some(path.to_owned());
        self
    }

    fn at(self, now: Timestamp) -> EventRecord {
        let (actor, via) = (self.actor.code().to_owned(), self.actor.via().map(str::to_owned));
        let (key, from, name) = self.actor.into_parts();
        let personal = PersonalFacts { from, name, path: self.path };
        EventRecord {
            id: 0,
            at: now,
            kind: self.kind.code().to_owned(),
            severity: self.kind.severity().rank(),
            actor,
            via,
            key,
            user: self.user,
            client_id: self.client,
            details: Value::Object(self.details).to_string(),
            personal: Some(personal).filter(|personal| !personal.is_empty()),
        }
    }
}

/// What somebody may read, and wants to.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// Which events.
    pub query: EventQuery,
    /// The reader, where it is a key that does not reach everything.
    pub bound_key: Option<ApiKeyId>,
}

/// A page of the log, newest first.
#[derive(Debug)]
pub struct EventPage {
    /// The events.
    pub events: Vec<Event>,
    /// Before which id the next page goes on, if there may be one.
    pub next: Option<i64>,
}

/// The log. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Events(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Arc<Config>,
    vault: Vault,
    clock: Clock,
    metrics: Metrics,
    lifecycle: Lifecycle,
    waiting: Mutex<Waiting>,
    /// Held while the queue is emptied, so that its order is kept.
    flushing: tokio::sync::Mutex<()>,
    /// The newest id that is on disk.
    newest: watch::Sender<i64>,
    feeds: Arc<Semaphore>,
    feeds_of_keys: Arc<Semaphore>,
    feeds_of_key: Turns<ApiKeyId>,
}

#[derive(Debug, Default)]
struct Waiting {
    events: VecDeque<EventRecord>,
    /// Lost since the queue was last empty.
    lost: u64,
    /// When the last of these kinds was noted.
    seldom: HashMap<Kind, Timestamp>,
    /// Whether this process said that it started, and so will say that it stopped.
    announced: bool,
}

impl Events {
    /// Reads how far the log has come.
    ///
    /// # Errors
    /// When the vault cannot be read.
    pub async fn load(
        config: Arc<Config>,
        vault: Vault,
        clock: Clock,
        metrics: Metrics,
        lifecycle: Lifecycle,
    ) -> Result<Self, VaultError> {
        let newest = watch::Sender::new(vault.newest_event().await?);
        Ok(Self(Arc::new(Inner {
            config,
            vault,
            clock,
            metrics,
            lifecycle,
            waiting: Mutex::default(),
            flushing: tokio::sync::Mutex::default(),
            newest,
            feeds: Arc::new(Semaphore::new(FEEDS)),
            feeds_of_keys: Arc::new(Semaphore::new(FEEDS_OF_KEYS)),
            feeds_of_key: Turns::new(FEEDS_OF_KEY),
        })))
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes an event, which is on disk when this returns. What it tells of has been done already, so a vault
    /// that cannot be written now is no reason to fail: the event then waits with the noted ones.
    pub async fn record(&self, event: NewEvent) {
        let record = event.at(self.0.clock.now());
        match self.0.vault.append_events(vec![record.clone()]).await {
            Ok(id) => self.signal(id),
            Err(error) => {
                tracing::warn!(kind = record.kind, %error, "an event could not be written yet and waits");
                self.queue(record);
            }
        }
    }

    /// Takes an event down, to be written within a second. Never waits: if the queue is full the event is
    /// lost, which is counted and logged.
    pub fn note(&self, event: NewEvent) {
        self.queue(event.at(self.0.clock.now()));
    }

    /// Takes down that a grant came into another state by itself.
    pub fn tell_state(&self, grant: &Grant, state: GrantState) {
        let Some(kind) = Kind::of_state(state) else { return };
        let event = NewEvent::new(kind, &Actor::locum()).about(grant.user).client(&grant.client_id);
        self.note(match state.cause() {
            Some(cause) => event.with("cause", cause),
            None => event,
        });
    }

    /// As [`Events::note`], for what strangers can bring about as often as they like: one of a kind in a
    /// minute, so that they cannot push everything else out of the log.
    pub fn note_seldom(&self, event: NewEvent) {
        let now = self.0.clock.now();
        let last = self.waiting().seldom.get(&event.kind).copied();
        // A clock that was put back is no reason to stay silent.
        if last.is_some_and(|last| (0..SELDOM).contains(&now.since(last))) {
            return;
        }
        self.waiting().seldom.insert(event.kind, now);
        self.queue(event.at(now));
    }

    fn queue(&self, record: EventRecord) {
        let mut waiting = self.waiting();
        if waiting.events.len() < QUEUE {
            waiting.events.push_back(record);
            return;
        }
        waiting.lost += 1;
        let first = waiting.lost == 1;
        drop(waiting);
        self.0.metrics.event_lost();
        if first {
            tracing::error!(
                alarm = "events_lost",
                "events happen faster than the vault takes them; some are lost until it has caught up"
            );
        }
    }

    /// An event as part of another write of the vault's; [`Events::committed`] tells of it afterwards.
    pub fn prepare(&self, event: NewEvent) -> EventRecord {
        event.at(self.0.clock.now())
    }

    /// Wakes the readers after a write that had an event in it.
    pub async fn committed(&self) {
        if let Ok(newest) = self.0.vault.newest_event().await {
            self.signal(newest);
        }
    }

    fn signal(&self, id: i64) {
        self.0.newest.send_if_modified(|newest| {
            let newer = id > *newest;
            *newest = id.max(*newest);
            newer
        });
    }

    /// Writes what was noted. A job's step.
    ///
    /// # Errors
    /// When the vault cannot be written; what was noted then waits for the next step.
    pub async fn step(&self) -> Result<(), VaultError> {
        let _flushing = self.0.flushing.lock().await;
        loop {
            let group: Vec<EventRecord> = {
                let waiting = self.waiting();
                waiting.events.iter().take(GROUP).cloned().collect()
            };
            if group.is_empty() {
                self.waiting().lost = 0;
                return Ok(());
            }
            let written = group.len();
            let id = self.0.vault.append_events(group).await?;
            self.waiting().events.drain(..written);
            self.signal(id);
        }
    }

    /// Deletes what is older than `events.retention`, and what is too many. A job's step.
    ///
    /// # Errors
    /// When the vault cannot be written.
    pub async fn purge_step(&self) -> Result<(), VaultError> {
        let before = self.0.clock.now() - self.0.config.events.retention;
        self.0.vault.purge_events(before, MOST, PURGE).await.map(drop)
    }

    /// Says that locum serves from now on.
    pub async fn started(&self) {
        self.waiting().announced = true;
        let version = env!("CARGO_PKG_VERSION");
        self.record(NewEvent::new(Kind::LocumStarted, &Actor::locum()).with("version", version)).await;
    }

    /// The end of a graceful stop: writes what was noted, and says that locum stopped if it said that it
    /// started.
    pub async fn close(&self) {
        if self.waiting().announced {
            self.note(NewEvent::new(Kind::LocumStopped, &Actor::locum()));
        }
        if let Err(error) = self.step().await {
            let lost = self.waiting().events.len();
            tracing::error!(%error, lost, "the last events could not be written");
        }
    }

    /// A page of the log between two ids, newest first.
    ///
    /// # Errors
    /// When the vault cannot be read.
    pub async fn page(
        &self,
        reading: &Reading,
        after: i64,
        before: i64,
        limit: usize,
    ) -> Result<EventPage, VaultError> {
        let (mut found, mut rest) = (Vec::new(), Some(before));
        while let Some(before) = rest.filter(|_| found.len() < limit) {
            let wanted = limit - found.len();
            let look =
                self.0.vault.find_events(&reading.query, after, before, Order::NewestFirst, wanted).await?;
            found.extend(look.events);
            rest = look.rest;
            // Others have their turn between two stretches of a long log.
            tokio::task::yield_now().await;
        }
        Ok(EventPage { events: self.show(found, reading).await?, next: rest })
    }

    /// The next events behind an id, oldest first, and where to go on; `None` behind the last one there is.
    ///
    /// # Errors
    /// When the vault cannot be read.
    pub async fn read_on(
        &self,
        reading: &Reading,
        after: i64,
        before: i64,
    ) -> Result<(Vec<Event>, Option<i64>), VaultError> {
        let look = self.0.vault.find_events(&reading.query, after, before, Order::OldestFirst, BATCH).await?;
        Ok((self.show(look.events, reading).await?, look.rest))
    }
}
