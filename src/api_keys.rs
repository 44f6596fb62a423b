//! API keys: made, verified, rotated, revoked, and what each may reach.
//!
//! All keys live in memory; the vault is read at the start and after each change. What must stay
//! true:
//!
//! - [`ApiKeys::verify`] touches no disk, allocates nothing, and compares in constant time;
//! - the secret of a key is shown once and kept nowhere: the vault holds its HMAC;
//! - a row that does not match its seal admits nobody and is said aloud;
//! - a refusal says whether a key has ended only to somebody who holds the whole key.

mod action;
mod text;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use subtle::ConstantTimeEq as _;

pub use self::action::{Action, Actions, UnknownAction};
pub use self::text::{MalformedApiKey, PlainApiKey};
pub use crate::vault::UserBinding;

use self::text::Presented;
use crate::clock::{Clock, Timestamp};
use crate::ids::{ApiKeyId, ClientName, UserId};
use crate::rng::Rng;
use crate::scopes::ScopeSet;
use crate::tokens::Reach;
use crate::vault::{ApiKeyRecord, Vault, VaultError};

/// Why a presented key does not admit its bearer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyRefused {
    /// Not the text of a key: cut, mistyped, or something else.
    #[error("the text is not an API key")]
    Malformed,
    /// No such key, or its secret is wrong.
    #[error("there is no such API key")]
    Unknown,
    /// The right key, after its end.
    #[error("the API key has expired")]
    Expired,
    /// The right key, revoked.
    #[error("the API key was revoked")]
    Revoked,
}

/// Why a key cannot be made or changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiKeysError {
    /// There is no such key.
    #[error("there is no such API key")]
    NotFound,
    /// The key has ended; make a new one.
    #[error("the API key has ended already")]
    Ended,
    /// What was asked for makes no key. Says what and why.
    #[error("{what} {problem}")]
    Invalid {
        /// The part of the request.
        what: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The vault could not be read or written.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// What a new key is to be.
#[derive(Clone, Debug)]
pub struct NewApiKey {
    /// What the owner calls it.
    pub name: String,
    /// What it may be used for; not empty.
    pub actions: Actions,
    /// Whose grants it reaches.
    pub users: UserBinding,
    /// Which clients' grants it reaches; `None` for all.
    pub clients: Option<Vec<ClientName>>,
    /// The most a token handed to it may open; `None` for the whole grant.
    pub scopes: Option<ScopeSet>,
    /// Which Google hosts the proxy carries its calls to; `None` for all allowed ones.
    pub hosts: Option<Vec<String>>,
    /// When it ends; `None` for never.
    pub expires_at: Option<Timestamp>,
}

impl NewApiKey {
    /// The most characters a name may have.
    const NAME_LIMIT: usize = 100;

    fn check(&self, now: Timestamp) -> Result<(), ApiKeysError> {
        let invalid = |what, problem| Err(ApiKeysError::Invalid { what, problem });
        let name = &self.name;
        if name.trim() != name || name.is_empty() || name.chars().count() > Self::NAME_LIMIT {
            return invalid("name", "must have 1 to 100 characters and no space at its ends");
        }
        if name.chars().any(char::is_control) {
            return invalid("name", "must not have control characters");
        }
        if self.actions.is_empty() {
            return invalid("actions", "must name at least one action");
        }
        if matches!(&self.users, UserBinding::Only(users) if users.is_empty()) {
            return invalid("users", "must be \"all\" or name at least one person");
        }
        if self.clients.as_ref().is_some_and(Vec::is_empty) {
            return invalid("clients", "must name at least one client, or be left out for all");
        }
        if self.scopes.as_ref().is_some_and(ScopeSet::is_empty) {
            return invalid("scopes", "must name at least one scope, or be left out for the whole grant");
        }
        if let Some(hosts) = &self.hosts {
            let is_host = |host: &String| {
                !host.is_empty()
                    && host
                        .bytes()
                        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.')
            };
            if hosts.is_empty() || !hosts.iter().all(is_host) {
                return invalid("hosts", "must be host names in lower case, at least one");
            }
        }
        if self.expires_at.is_some_and(|end| end <= now) {
            return invalid("expiry", "must lie in the future");
        }
        Ok(())
    }
}

/// A key as it is in force.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// The public half.
    pub id: ApiKeyId,
    /// What the owner calls it.
    pub name: String,
    /// What it may be used for.
    pub actions: Actions,
    /// Whose grants it reaches.
    pub users: UserBinding,
    /// Which clients and scopes it reaches, as [`crate::tokens`] wants it.
    pub reach: Reach,
    /// Which Google hosts the proxy carries its calls to; `None` for all allowed ones.
    pub hosts: Option<Vec<String>>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was made to end.
    pub expires_at: Option<Timestamp>,
    /// When it is revoked; after a rotation that may lie ahead.
    pub revoked_at: Option<Timestamp>,
    hash: [u8; 32],
    last_used: Arc<LastUse>,
}

/// Unix seconds; 0 for never. Shared by all generations of a key, so that no reload loses one.
#[derive(Debug)]
struct LastUse {
    seen: AtomicI64,
    saved: AtomicI64,
}

impl ApiKey {
    /// Reads a record; `None` when it names an action that this locum does not know, which must not
    /// be ignored: the key would be something else than what was made.
    fn from_record(record: ApiKeyRecord, last_used: Option<&Arc<LastUse>>) -> Option<Self> {
        let actions = record.actions.iter().map(|code| code.parse::<Action>());
        let last_used = last_used.cloned().unwrap_or_else(|| {
            let saved = record.last_used_at.map_or(0, Timestamp::unix);
            Arc::new(LastUse { seen: AtomicI64::new(saved), saved: AtomicI64::new(saved) })
        });
        let mut users = record.users;
        if let UserBinding::Only(ids) = &mut users {
            ids.sort_unstable();
        }
        Some(Self {
            actions: actions.collect::<Result<_, _>>().ok()?,
            id: record.id,
            name: record.name,
            users,
            reach: Reach { clients: record.clients, scopes: record.scopes },
            hosts: record.hosts,
            created_at: record.created_at,
            expires_at: record.expires_at,
            revoked_at: record.revoked_at,
            hash: record.hash,
            last_used,
        })
    }

    /// Whether the key allows `action`.
    pub const fn may(&self, action: Action) -> bool {
        self.actions.allow(action)
    }

    /// Whether the key's user binding covers this person.
    pub fn reaches(&self, user: UserId) -> bool {
        match &self.users {
            UserBinding::All => true,
            UserBinding::Only(users) => users.binary_search(&user).is_ok(),
        }
    }

    /// Whether anything narrows what the key reaches.
    pub const fn is_bound(&self) -> bool {
        matches!(self.users, UserBinding::Only(_))
            || self.reach.clients.is_some()
            || self.reach.scopes.is_some()
            || self.hosts.is_some()
    }

    /// When the key ends, one way or the other; `None` for never.
    pub fn end(&self) -> Option<Timestamp> {
        match (self.expires_at, self.revoked_at) {
            (Some(made), Some(revoked)) => Some(made.min(revoked)),
            (made, revoked) => made.or(revoked),
        }
    }

    /// When the key was last shown, as far as is known.
    pub fn last_used_at(&self) -> Option<Timestamp> {
        match self.last_used.seen.load(Ordering::Relaxed) {
            0 => None,
            seconds => Some(Timestamp::from_unix(seconds)),
        }
    }

    /// Whether the key has ended, and how.
    pub fn ended(&self, now: Timestamp) -> Option<KeyRefused> {
        // Who revokes a key makes both ends the same, so that no clock that is put back brings it to life.
        if self.revoked_at.is_some_and(|at| at <= now || self.expires_at == Some(at)) {
            Some(KeyRefused::Revoked)
        } else if self.expires_at.is_some_and(|end| end <= now) {
            Some(KeyRefused::Expired)
        } else {
            None
        }
    }
}

/// What came of a rotation.
#[derive(Debug)]
pub struct Rotated {
    /// The new key.
    pub new: Arc<ApiKey>,
    /// Its text, which can be shown now and never again.
    pub plain: PlainApiKey,
    /// The old one, with the end that it has now.
    pub old: Arc<ApiKey>,
}

/// Every API key of one vault. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ApiKeys(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    vault: Vault,
    clock: Clock,
    rng: Rng,
    keys: ArcSwap<Loaded>,
    /// Held while the vault and the memory are changed together.
    changing: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Loaded {
    by_id: HashMap<Box<str>, Arc<ApiKey>>,
    /// Newest first, as the vault lists them.
    in_order: Vec<Arc<ApiKey>>,
    damaged: usize,
}

impl ApiKeys {
    /// Reads the keys of the vault.
    ///
    /// # Errors
    /// When the vault cannot be read. A damaged row is no error here: it is left out, logged and
    /// counted by [`ApiKeys::damaged`].
    pub async fn load(vault: Vault, clock: Clock, rng: Rng) -> Result<Self, VaultError> {
        let keys = Self(Arc::new(Inner {
            vault,
            clock,
            rng,
            keys: ArcSwap::default(),
            changing: tokio::sync::Mutex::default(),
        }));
        keys.reload().await?;
        Ok(keys)
    }

    async fn reload(&self) -> Result<(), VaultError> {
        let before = self.0.keys.load();
        let mut loaded = Loaded::default();
        for row in self.0.vault.load_api_keys().await? {
            let damage = match row {
                Ok(record) => {
                    let last_used = before.by_id.get(record.id.as_str()).map(|key| &key.last_used);
                    let id = record.id.clone();
                    match ApiKey::from_record(record, last_used) {
                        Some(key) => {
                            let key = Arc::new(key);
                            loaded.by_id.insert(key.id.as_str().into(), key.clone());
                            loaded.in_order.push(key);
                            continue;
                        }
                        None => format!("key {id} allows an action that this locum does not know"),
                    }
                }
                Err(error) => error.to_string(),
            };
            loaded.damaged += 1;
            tracing::error!(alarm = "api_key_damaged", "an API key is not in force: {damage}");
        }
        self.0.keys.store(Arc::new(loaded));
        Ok(())
    }

    /// The key whose whole text this is, if it is in force. Notes the use.
    ///
    /// # Errors
    /// See [`KeyRefused`].
    pub fn verify(&self, presented: &str) -> Result<Arc<ApiKey>, KeyRefused> {
        let presented = Presented::parse(presented).map_err(|MalformedApiKey| KeyRefused::Malformed)?;
        let keys = self.0.keys.load();
        let key = keys.by_id.get(presented.id).ok_or(KeyRefused::Unknown)?;
        let hash = self.0.vault.api_key_hash(&presented.secret);
        if !bool::from(hash.ct_eq(&key.hash)) {
            return Err(KeyRefused::Unknown);
        }
        let now = self.0.clock.now();
        if let Some(refused) = key.ended(now) {
            return Err(refused);
        }
        // A plain store each second at most: the line stays shared between the workers' caches.
        if key.last_used.seen.load(Ordering::Relaxed) != now.unix() {
            key.last_used.seen.store(now.unix(), Ordering::Relaxed);
        }
        Ok(key.clone())
    }

    /// Makes a key. The plain text can be shown now and never again.
    ///
    /// # Errors
    /// [`ApiKeysError::Invalid`] or the vault's.
    pub async fn create(&self, new: NewApiKey) -> Result<(Arc<ApiKey>, PlainApiKey), ApiKeysError> {
        new.check(self.0.clock.now())?;
        let _changing = self.0.changing.lock().await;
        self.save(new).await
    }

    async fn save(&self, new: NewApiKey) -> Result<(Arc<ApiKey>, PlainApiKey), ApiKeysError> {
        let plain = PlainApiKey::generate(&self.0.rng);
        let record = ApiKeyRecord {
            id: plain.id().clone(),
            name: new.name,
            hash: self.0.vault.api_key_hash(plain.secret().expose()),
            actions: new.actions.iter().map(|action| action.code().to_owned()).collect(),
            users: new.users,
            clients: new.clients,
            scopes: new.scopes,
            hosts: new.hosts,
            created_at: self.0.clock.now(),
            expires_at: new.expires_at,
            revoked_at: None,
            last_used_at: None,
        };
        self.0.vault.save_api_key(&record).await?;
        self.reload().await?;
        let key = self.find(plain.id()).ok_or(ApiKeysError::NotFound)?;
        Ok((key, plain))
    }

    /// Every key that can be read, newest first, those that have ended too.
    pub fn list(&self) -> Vec<Arc<ApiKey>> {
        self.0.keys.load().in_order.clone()
    }

    /// How many rows do not match their seal and so admit nobody.
    pub fn damaged(&self) -> usize {
        self.0.keys.load().damaged
    }

    /// The key of this id, ended or not.
    pub fn find(&self, id: &ApiKeyId) -> Option<Arc<ApiKey>> {
        self.0.keys.load().by_id.get(id.as_str()).cloned()
    }

    /// The keys in force that have an end which their owner should know of, each with it. One that a later key of
    /// the same name outlives was rotated, and ends as was meant.
    pub fn expiring(&self) -> Vec<(Arc<ApiKey>, Timestamp)> {
        let now = self.0.clock.now();
        let keys = self.0.keys.load();
        let in_force = |key: &&Arc<ApiKey>| key.ended(now).is_none();
        let is_replaced = |key: &ApiKey, end: Timestamp| {
            keys.in_order.iter().filter(in_force).any(|other| {
                other.name == key.name
                    && other.created_at >= key.created_at
                    && other.end().is_none_or(|its| its > end)
            })
        };
        let each = keys.in_order.iter().filter(in_force);
        let ending = each.filter_map(|key| Some((key.clone(), key.end()?)));
        ending.filter(|(key, end)| !is_replaced(key, *end)).collect()
    }

    /// When the next of [`ApiKeys::expiring`] ends.
    pub fn next_expiry(&self) -> Option<Timestamp> {
        self.expiring().into_iter().map(|(_, end)| end).min()
    }

    /// Replaces a key by a new one of the same name, actions and bindings, which lives as long as the
    /// old one was made to live. The old one ends after `overlap`, or at its own end if that is sooner, and
    /// is returned as it is then.
    ///
    /// # Errors
    /// [`ApiKeysError::NotFound`], [`ApiKeysError::Ended`] or the vault's.
    pub async fn rotate(&self, id: &ApiKeyId, overlap: Duration) -> Result<Rotated, ApiKeysError> {
        let _changing = self.0.changing.lock().await;
        let now = self.0.clock.now();
        let old = self.find(id).ok_or(ApiKeysError::NotFound)?;
        if old.ended(now).is_some() {
            return Err(ApiKeysError::Ended);
        }
        // The new key first: a crash in between leaves two keys, not none.
        let (new, plain) = self
            .save(NewApiKey {
                name: old.name.clone(),
                actions: old.actions,
                users: old.users.clone(),
                clients: old.reach.clients.clone(),
                scopes: old.reach.scopes.clone(),
                hosts: old.hosts.clone(),
                expires_at: old.expires_at.map(|end| now.plus(end.since(old.created_at))),
            })
            .await?;
        // Revoked in a while, so that the end that it was made with still tells its lifetime to another rotation.
        let end = now + overlap;
        if old.end().is_none_or(|own| end < own) {
            self.0.vault.end_api_key(id, old.expires_at, Some(end)).await?;
            self.reload().await?;
        }
        let old = self.find(id).ok_or(ApiKeysError::NotFound)?;
        Ok(Rotated { new, plain, old })
    }

    /// Ends a key at once. Revoking a revoked key changes nothing.
    ///
    /// # Errors
    /// [`ApiKeysError::NotFound`] or the vault's.
    pub async fn revoke(&self, id: &ApiKeyId) -> Result<Arc<ApiKey>, ApiKeysError> {
        let _changing = self.0.changing.lock().await;
        let key = self.find(id).ok_or(ApiKeysError::NotFound)?;
        let now = self.0.clock.now();
        if key.ended(now) == Some(KeyRefused::Revoked) {
            return Ok(key);
        }
        self.0.vault.end_api_key(id, Some(now), Some(now)).await?;
        self.reload().await?;
        self.find(id).ok_or(ApiKeysError::NotFound)
    }

    /// Writes down, in one write, which keys were used since the last time. A job's step, run once a
    /// minute; what a crash loses is a hint.
    ///
    /// # Errors
    /// When the vault cannot be written.
    pub async fn save_last_uses(&self) -> Result<(), VaultError> {
        let keys = self.0.keys.load_full();
        let used: Vec<_> = keys
            .in_order
            .iter()
            .filter_map(|key| {
                let seen = key.last_used.seen.load(Ordering::Relaxed);
                (seen != key.last_used.saved.load(Ordering::Relaxed)).then_some((key, seen))
            })
            .collect();
        if used.is_empty() {
            return Ok(());
        }
        let uses = used.iter().map(|(key, seen)| (key.id.clone(), Timestamp::from_unix(*seen))).collect();
        self.0.vault.note_api_key_use(uses).await?;
        for (key, seen) in used {
            key.last_used.saved.store(seen, Ordering::Relaxed);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
