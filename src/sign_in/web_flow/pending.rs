//! Sign-ins that are under way in somebody's browser, and how they ended.
//!
//! Kept in memory and not in the vault: anybody may begin one, and a stranger must not be able to make the
//! disk write. A restart costs whoever is at Google's page at that moment a second try. One address begins
//! at most some 6,000 in ten minutes under the default rate limit, so it alone cannot push others out.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::recent::Recent;
use super::{Ask, Success, WebError};
use crate::clock::{Clock, Timestamp};
use crate::rng::Rng;
use crate::scopes::ScopeSet;
use crate::secret::{CodeVerifier, SecretText};

/// How long a person may take at Google's page, and how long the end page can be looked at, in seconds.
pub const LIFETIME: i64 = 600;
/// How many are kept; the oldest goes first. A few MB.
const LIMIT: usize = 10_000;

/// What is needed once the browser is back.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) ask: Ask,
    pub(super) asked: ScopeSet,
    pub(super) verifier: CodeVerifier,
    pub(super) nonce: String,
    /// Whether Google was told to ask the person anew.
    pub(super) forced: bool,
}

/// How a sign-in ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// What it was for, so that it can be tried again.
    pub ask: Ask,
    /// What came of it.
    pub outcome: Result<Success, WebError>,
}

#[derive(Debug)]
enum Phase {
    Waiting(Box<Waiting>),
    Redeeming(Ask),
    Ended(Arc<Ended>),
}

struct Entry {
    secret: SecretText,
    browser: SecretText,
    phase: Phase,
}

/// What a browser that comes back finds.
pub(super) enum Found {
    /// Its sign-in, which is its own from now on and nobody else's.
    Waiting(Box<Waiting>),
    /// It was here before.
    Known,
}

/// What an end page shows.
#[derive(Clone, Debug)]
pub enum End {
    /// Google is being asked at this moment.
    UnderWay(Ask),
    /// It is over.
    Over(Arc<Ended>),
}

/// The names and secrets of a sign-in that begins.
pub(super) struct Opened {
    /// Public: it stands in the name of the cookie and in the address of the end page.
    pub(super) id: String,
    /// Goes to Google and comes back.
    pub(super) state: SecretText,
    /// The cookie's value.
    pub(super) browser: SecretText,
}

/// Every sign-in that is under way.
pub(super) struct Pending {
    table: Mutex<Recent<Entry>>,
    clock: Clock,
    rng: Rng,
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pending(…)")
    }
}

impl Pending {
    pub(super) fn new(clock: Clock, rng: Rng) -> Self {
        Self { table: Mutex::new(Recent::new(LIFETIME, LIMIT)), clock, rng }
    }

    fn table(&self) -> (MutexGuard<'_, Recent<Entry>>, Timestamp) {
        (self.table.lock().unwrap_or_else(PoisonError::into_inner), self.clock.now())
    }

    /// Keeps a sign-in that begins.
    pub(super) fn open(&self, waiting: Waiting) -> Opened {
        let id = self.rng.token(9);
        let secret = SecretText::new(self.rng.token(24));
        let browser = SecretText::new(self.rng.token(24));
        let state = SecretText::new(format!("{id}.{}", secret.expose()));
        let phase = Phase::Waiting(Box::new(waiting));
        let (mut table, now) = self.table();
        table.put(&id, Entry { secret, browser: browser.clone(), phase }, now);
        Opened { id, state, browser }
    }

    /// The sign-in of this `state`, for the browser that began it and once. Another browser's visit changes
    /// nothing.
    pub(super) fn claim(&self, state: &str, browser: Option<&SecretText>) -> Result<Found, WebError> {
        let (id, secret) = state.split_once('.').ok_or(WebError::Expired)?;
        let (mut table, now) = self.table();
        let entry = table
            .get_mut(id, now)
            .filter(|entry| entry.secret == SecretText::new(secret))
            .ok_or(WebError::Expired)?;
        if browser != Some(&entry.browser) {
            return Err(WebError::OtherBrowser);
        }
        let Phase::Waiting(waiting) = &entry.phase else { return Ok(Found::Known) };
        let waiting = waiting.clone();
        entry.phase = Phase::Redeeming(waiting.ask.clone());
        Ok(Found::Waiting(waiting))
    }

    /// Notes how it ended.
    pub(super) fn close(&self, id: &str, ended: Ended) {
        let (mut table, now) = self.table();
        if let Some(entry) = table.get_mut(id, now) {
            entry.phase = Phase::Ended(Arc::new(ended));
        }
    }

    /// How it ended, for the browser that began it.
    pub(super) fn end(&self, id: &str, browser: Option<&SecretText>) -> Option<End> {
        let (mut table, now) = self.table();
        let entry = table.get_mut(id, now).filter(|entry| browser == Some(&entry.browser))?;
        match &entry.phase {
            Phase::Waiting(_) => None,
            Phase::Redeeming(ask) => Some(End::UnderWay(ask.clone())),
            Phase::Ended(ended) => Some(End::Over(ended.clone())),
        }
    }
}
