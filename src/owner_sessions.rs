//! The owner's way into the dashboard: one-time links, and the sessions of browsers.
//!
//! All sessions live in memory; the vault is read at the start and written at each change, so that a
//! restart signs nobody out. What must stay true:
//!
//! - a session has a secret of its own that was drawn when it began: nothing that a browser brings along
//!   is ever made into one;
//! - the vault holds keyed hashes of secrets only, and a row that does not match its seal admits nobody;
//! - a link works once, for ten minutes, and is in no file;
//! - a session ends when it lies unused, when its time is over, when the owner signs out, and when the
//!   address that it was opened by leaves `dashboard.emails`;
//! - [`OwnerSessions::verify`] touches no disk.
//!
//! It does not know cookies, addresses or pages: those are the server's.

mod links;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use self::links::LINK_LIFETIME;
pub use crate::vault::SignedInBy;

use self::links::Links;
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::lifecycle::Lifecycle;
use crate::rng::Rng;
use crate::secret::SecretText;
use crate::vault::{OwnerSessionRecord, Vault, VaultError};

/// How many browsers can be signed in; the one unused for longest makes room.
const MOST_SESSIONS: usize = 50;
/// Seconds a session is in use before the vault is told again.
const NOTE_EVERY: i64 = 60;

/// A browser that is signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerSession {
    /// The vault's number of it, which opens nothing.
    pub id: i64,
    /// How the owner signed in.
    pub signed_in_by: SignedInBy,
    /// When.
    pub signed_in_at: Timestamp,
    /// When it ends, however it is used.
    pub ends_at: Timestamp,
    /// When it ends unless it is used.
    pub idle_ends_at: Timestamp,
}

/// A login link that was just made.
pub struct MadeLink {
    /// What stands in its address.
    pub secret: SecretText,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// A browser that was just signed in.
pub struct SignedIn {
    /// The cookie's value.
    pub secret: SecretText,
    /// The session.
    pub session: OwnerSession,
}

/// Why nobody was signed in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignInRefused {
    /// The link is unknown, used or over.
    #[error("the login link is no longer good")]
    LinkGone,
    /// The vault failed.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The work was torn down.
    #[error("the work was interrupted")]
    Interrupted,
}

/// Links and sessions. Cheap to clone.
#[derive(Clone)]
pub struct OwnerSessions(Arc<Inner>);

struct Inner {
    config: Arc<Config>,
    vault: Vault,
    clock: Clock,
    rng: Rng,
    lifecycle: Lifecycle,
    links: Links,
    table: Mutex<HashMap<[u8; 32], Held>>,
}

/// A session in memory.
struct Held {
    record: OwnerSessionRecord,
    /// What the vault knows of its use.
    noted_at: Timestamp,
}

impl fmt::Debug for OwnerSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnerSessions(…)")
    }
}

impl OwnerSessions {
    /// Reads the sessions that there are.
    ///
    /// # Errors
    /// When the vault cannot be read. A damaged row is said in the log, and admits nobody.
    pub async fn load(
        config: Arc<Config>,
        vault: Vault,
        clock: Clock,
        rng: Rng,
        lifecycle: Lifecycle,
    ) -> Result<Self, VaultError> {
        let mut table = HashMap::new();
        for record in vault.load_owner_sessions().await? {
            match record {
                Ok(record) => {
                    table.insert(record.lookup, Held { noted_at: record.seen_at, record });
                }
                Err(error) => tracing::error!(%error, "a session of the dashboard admits nobody"),
            }
        }
        let links = Links::default();
        Ok(Self(Arc::new(Inner { config, vault, clock, rng, lifecycle, links, table: Mutex::new(table) })))
    }

    /// Makes a link.
    pub fn make_link(&self) -> MadeLink {
        let secret = SecretText::new(self.0.rng.token(32));
        let expires_at = self.0.links.put(&secret, self.0.clock.now());
        MadeLink { secret, expires_at }
    }

    /// Whether a link is good. Uses nothing up.
    pub fn link_is_good(&self, secret: &SecretText) -> bool {
        self.0.links.is_good(secret, self.0.clock.now())
    }

    /// Uses a link up and signs a browser in. Whoever hangs up cancels nothing.
    ///
    /// # Errors
    /// [`SignInRefused`]. Where the vault failed the link stays good.
    pub async fn follow_link(&self, secret: &SecretText) -> Result<SignedIn, SignInRefused> {
        let expires_at = self.0.links.take(secret, self.0.clock.now()).ok_or(SignInRefused::LinkGone)?;
        let outcome = self.sign_in(SignedInBy::Link).await;
        if outcome.is_err() {
            self.0.links.put_back(secret, expires_at);
        }
        outcome
    }

    /// Signs a browser in whose person is known to be the owner. Whoever hangs up cancels nothing.
    ///
    /// # Errors
    /// When the vault cannot be written.
    pub async fn sign_in(&self, by: SignedInBy) -> Result<SignedIn, SignInRefused> {
        let inner = self.0.clone();
        let work = async move { inner.sign_in(by).await };
        self.0.lifecycle.run(work).await.unwrap_or(Err(SignInRefused::Interrupted))
    }

    /// The session of this cookie. `attended` says whether somebody is at the browser: then it is in use from now
    /// on, and what a page left open asks for by itself keeps no session alive.
    pub fn verify(&self, secret: &SecretText, attended: bool) -> Option<OwnerSession> {
        // Nothing of another length was ever given out.
        if secret.expose().len() != 43 {
            return None;
        }
        let lookup = self.0.vault.owner_session_lookup(secret);
        let now = self.0.clock.now();
        let mut table = self.0.table();
        let held = table.get_mut(&lookup).filter(|held| self.0.is_live(&held.record, now))?;
        if attended {
            // A clock that was put back makes no session older than it is.
            held.record.seen_at = held.record.seen_at.max(now);
        }
        Some(self.0.view(&held.record))
    }

    /// Whether a session that was verified before is still one. Does not count as use.
    pub fn is_signed_in(&self, id: i64) -> bool {
        let now = self.0.clock.now();
        self.0.table().values().any(|held| held.record.id == id && self.0.is_live(&held.record, now))
    }

    /// Ends a session. Whoever hangs up cancels nothing.
    ///
    /// # Errors
    /// When the vault cannot be written; the session then goes on.
    pub async fn sign_out(&self, id: i64) -> Result<(), VaultError> {
        let inner = self.0.clone();
        let work = async move {
            inner.vault.delete_owner_sessions(vec![id]).await?;
            inner.table().retain(|_, held| held.record.id != id);
            Ok(())
        };
        self.0.lifecycle.run(work).await.unwrap_or(Err(VaultError::Closed))
    }

    /// Ends every session and every link. Returns how many sessions there were.
    ///
    /// # Errors
    /// When the vault cannot be written; the sessions then go on.
    pub async fn sign_out_all(&self) -> Result<usize, VaultError> {
        let inner = self.0.clone();
        let work = async move {
            inner.links.clear();
            let ended = inner.vault.delete_all_owner_sessions().await?;
            inner.table().clear();
            Ok(ended)
        };
        self.0.lifecycle.run(work).await.unwrap_or(Err(VaultError::Closed))
    }

    /// Tells the vault which sessions were used, and takes those away that are over. Part of a job.
    ///
    /// # Errors
    /// When the vault cannot be written.
    pub async fn upkeep_step(&self) -> Result<(), VaultError> {
        let now = self.0.clock.now();
        let (mut over, mut used) = (Vec::new(), Vec::new());
        for held in self.0.table().values() {
            if !self.0.is_live(&held.record, now) {
                over.push(held.record.id);
            } else if held.record.seen_at.since(held.noted_at) >= NOTE_EVERY {
                used.push(held.record.clone());
            }
        }
        if !over.is_empty() {
            self.0.vault.delete_owner_sessions(over.clone()).await?;
            self.0.table().retain(|_, held| !over.contains(&held.record.id));
        }
        if !used.is_empty() {
            self.0.vault.note_owner_sessions_seen(&used).await?;
            let mut table = self.0.table();
            for record in used {
                if let Some(held) = table.get_mut(&record.lookup) {
                    held.noted_at = record.seen_at;
                }
            }
        }
        Ok(())
    }
}

impl Inner {
    fn table(&self) -> MutexGuard<'_, HashMap<[u8; 32], Held>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn sign_in(&self, by: SignedInBy) -> Result<SignedIn, SignInRefused> {
        let secret = SecretText::new(self.rng.token(32));
        let now = self.clock.now();
        let record = OwnerSessionRecord {
            id: self.vault.new_owner_session_id(),
            lookup: self.vault.owner_session_lookup(&secret),
            signed_in_by: by,
            signed_in_at: now,
            seen_at: now,
        };
        let ended = self.in_the_way();
        self.vault.save_owner_session(&record, ended.clone()).await?;
        let session = self.view(&record);
        let mut table = self.table();
        table.retain(|_, held| !ended.contains(&held.record.id));
        table.insert(record.lookup, Held { noted_at: now, record });
        drop(table);
        Ok(SignedIn { secret, session })
    }

    /// The sessions that make room for another one.
    fn in_the_way(&self) -> Vec<i64> {
        let table = self.table();
        let mut by_use: Vec<_> = table.values().map(|held| (held.record.seen_at, held.record.id)).collect();
        by_use.sort_unstable();
        by_use.iter().rev().skip(MOST_SESSIONS - 1).map(|(_, id)| *id).collect()
    }

    fn is_live(&self, record: &OwnerSessionRecord, now: Timestamp) -> bool {
        let session = self.view(record);
        let admitted = match &record.signed_in_by {
            SignedInBy::Link => true,
            SignedInBy::Google(email) => self.config.dashboard.emails.contains(email),
        };
        admitted && now < session.ends_at && now < session.idle_ends_at
    }

    fn view(&self, record: &OwnerSessionRecord) -> OwnerSession {
        let settings = &self.config.dashboard;
        OwnerSession {
            id: record.id,
            signed_in_by: record.signed_in_by.clone(),
            signed_in_at: record.signed_in_at,
            ends_at: record.signed_in_at + settings.absolute,
            idle_ends_at: record.seen_at + settings.idle,
        }
    }
}
