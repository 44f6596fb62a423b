//! Discovery document and key set: fetched when due, kept in memory and in the vault.
//!
//! What must stay true:
//!
//! - at most one fetch of a document is under way, and after a failed one none starts for
//!   [`COOL_DOWN`] (for [`START_COOL_DOWN`] while there is nothing to go on with), whatever key ids
//!   callers show: nobody can make locum hammer Google;
//! - nobody waits for a fetch who can be served with what is there;
//! - a failed or unusable fetch never replaces or empties what is there; an old document serves on
//!   until [`HARD_LIMIT`] after it was fetched;
//! - a restart without network still verifies, from the vault;
//! - what the vault kept from another place than the configured one is not used: secrets would be
//!   sent there, and its keys would sign anybody in.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use url::Url;

use crate::clock::{Clock, Timestamp};
use crate::google::{
    Endpoints, Expectation, Fetched, Google, GoogleError, IdClaims, IdTokenError, KeySet, id_token,
};
use crate::lifecycle::Lifecycle;
use crate::secret::IdToken;
use crate::vault::{DocumentKind, StoredDocument, Vault};

/// No second fetch of a document within this many seconds of one that failed, or of one that was
/// made for the sake of an unknown key id.
const COOL_DOWN: i64 = 120;
/// As [`COOL_DOWN`], after a failure that leaves nothing to serve with: nobody can sign in meanwhile.
const START_COOL_DOWN: i64 = 10;
/// A document that was fetched further ahead than this many seconds comes from a time when the clock
/// was wrong, and is not fresh.
const CLOCK_LEEWAY: i64 = 60;
/// Seconds by which a clock that differs from Google's is its owner's business: half of what ID tokens are
/// forgiven, beyond which good ones are refused.
pub const SKEW_NOTICE: i64 = 30;
/// A document is fetched anew this many seconds before its cache headers end.
const AHEAD: i64 = 300;
/// How long after it was fetched a document serves on while Google cannot be reached: three days.
/// Google keeps old keys for days after a new one signs.
const HARD_LIMIT: i64 = 3 * 86_400;

/// Where the provider is.
#[derive(Clone, Debug)]
pub struct ProviderSettings {
    /// The `iss` that ID tokens must carry.
    pub issuer: String,
    /// Where the discovery document is.
    pub discovery_url: Url,
}

/// Why there is no document, or no verdict on an ID token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// The document could not be fetched, and none is kept that may still serve.
    #[error("{0}")]
    Unavailable(#[from] GoogleError),
    /// The ID token was refused.
    #[error("{0}")]
    IdToken(#[from] IdTokenError),
    /// The fetch was torn down with its task.
    #[error("the fetch was interrupted")]
    Interrupted,
}

/// What `status`, `/readyz` and the metrics show.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ProviderStatus {
    /// Whether ID tokens can be verified now.
    pub keys_loaded: bool,
    /// When the key set was fetched.
    pub keys_fetched_at: Option<Timestamp>,
    /// Until when its cache headers call it fresh.
    pub keys_fresh_until: Option<Timestamp>,
    /// Why the last fetch of either document failed, if it did.
    pub last_error: Option<String>,
    /// Google's clock minus ours in seconds, as of the last fetch.
    pub clock_skew_seconds: Option<i64>,
}

/// The provider's documents. Cheap to clone; clones share them.
#[derive(Clone, Debug)]
pub struct Provider(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: ProviderSettings,
    google: Google,
    vault: Vault,
    clock: Clock,
    lifecycle: Lifecycle,
    discovery: Document<Endpoints>,
    keys: Document<KeySet>,
    skew: Mutex<Option<i64>>,
}

/// A document as it is held in memory.
#[derive(Debug)]
struct Held<T> {
    value: Arc<T>,
    fetched_at: Timestamp,
    fresh_until: Timestamp,
}

impl<T> Held<T> {
    fn is_fresh(&self, now: Timestamp) -> bool {
        self.is_fresh_for(0, now)
    }

    fn is_fresh_for(&self, seconds: i64, now: Timestamp) -> bool {
        now.plus(seconds) < self.fresh_until && self.fetched_at.since(now) <= CLOCK_LEEWAY
    }
}

#[derive(Debug)]
struct Document<T> {
    kind: DocumentKind,
    held: ArcSwapOption<Held<T>>,
    /// Guards the fetch; holds when the last one failed or was forced.
    fetching: tokio::sync::Mutex<()>,
    not_before: AtomicI64,
    last_error: Mutex<Option<GoogleError>>,
}

impl<T> Document<T> {
    fn new(kind: DocumentKind) -> Self {
        Self {
            kind,
            held: ArcSwapOption::empty(),
            fetching: tokio::sync::Mutex::new(()),
            not_before: AtomicI64::new(i64::MIN),
            last_error: Mutex::new(None),
        }
    }

    /// What is held, while it may serve: fresh, or old with Google out of reach.
    fn serving(&self, now: Timestamp) -> Option<Arc<Held<T>>> {
        self.held.load_full().filter(|held| now < held.fresh_until || now.since(held.fetched_at) < HARD_LIMIT)
    }

    /// A cool-down that ends further ahead than any lasts was begun by a clock that was wrong.
    fn cooling(&self, now: Timestamp) -> bool {
        let left = self.not_before.load(Ordering::SeqCst).saturating_sub(now.unix());
        (1..=COOL_DOWN).contains(&left)
    }

    fn cool_down(&self, now: Timestamp, seconds: i64) {
        self.not_before.store(now.plus(seconds).unix(), Ordering::SeqCst);
    }

    fn error(&self) -> Option<GoogleError> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, error: Option<GoogleError>) {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = error;
    }
}

/// Why a fetch is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reason {
    /// What is held has run out, or will soon.
    Due,
    /// A token shows a key id that is not in the set.
    UnknownKey,
}

impl Provider {
    /// Takes what the vault keeps; fetches nothing.
    pub async fn load(
        settings: ProviderSettings,
        google: Google,
        vault: Vault,
        clock: Clock,
        lifecycle: Lifecycle,
    ) -> Self {
        let provider = Self(Arc::new(Inner {
            settings,
            google,
            vault,
            clock,
            lifecycle,
            discovery: Document::new(DocumentKind::Discovery),
            keys: Document::new(DocumentKind::KeySet),
            skew: Mutex::new(None),
        }));
        let inner = &provider.0;
        let settings = &inner.settings;
        let endpoints = |body: &[u8]| Endpoints::parse(body, &settings.issuer).ok();
        inner.recall(&inner.discovery, &settings.discovery_url, endpoints).await;
        if let Some(endpoints) = inner.discovery.held.load_full() {
            inner.recall(&inner.keys, &endpoints.value.jwks, |body| KeySet::parse(body).ok()).await;
        }
        provider
    }

    /// The `iss` that ID tokens must carry.
    pub fn issuer(&self) -> &str {
        &self.0.settings.issuer
    }

    /// Google's endpoints.
    ///
    /// # Errors
    /// [`ProviderError::Unavailable`] when none are kept and none can be fetched.
    pub async fn endpoints(&self) -> Result<Arc<Endpoints>, ProviderError> {
        let now = self.0.clock.now();
        if let Some(held) = self.0.discovery.held.load_full().filter(|held| held.is_fresh(now)) {
            return Ok(held.value.clone());
        }
        let inner = self.0.clone();
        let fetched = self.0.lifecycle.run(async move { inner.discovery(Reason::Due).await }).await;
        fetched.map_err(|_| ProviderError::Interrupted)?.map(|held| held.value.clone())
    }

    /// Makes sure that there are keys to verify with, fetching them if need be.
    ///
    /// # Errors
    /// [`ProviderError::Unavailable`] when none are kept and none can be fetched.
    pub async fn load_keys(&self) -> Result<(), ProviderError> {
        self.keys(Reason::Due).await.map(drop)
    }

    /// Verifies an ID token, with one fetch of the key set if its key is unknown and the last such
    /// fetch is long enough ago.
    ///
    /// # Errors
    /// [`ProviderError::IdToken`] when the token is refused; [`ProviderError::Unavailable`] when there
    /// are no keys to tell.
    pub async fn verify(&self, token: &IdToken, expect: &Expectation<'_>) -> Result<IdClaims, ProviderError> {
        let keys = self.keys(Reason::Due).await?;
        match id_token::verify(token, &keys.value, expect, self.0.clock.now()) {
            Err(IdTokenError::UnknownKey) => {
                let newer = self.keys(Reason::UnknownKey).await?;
                Ok(id_token::verify(token, &newer.value, expect, self.0.clock.now())?)
            }
            verdict => Ok(verdict?),
        }
    }

    async fn keys(&self, reason: Reason) -> Result<Arc<Held<KeySet>>, ProviderError> {
        let now = self.0.clock.now();
        if reason == Reason::Due
            && let Some(held) = self.0.keys.held.load_full().filter(|held| held.is_fresh(now))
        {
            return Ok(held);
        }
        let inner = self.0.clone();
        let fetched = self.0.lifecycle.run(async move { inner.keys(reason).await }).await;
        fetched.map_err(|_| ProviderError::Interrupted)?
    }

    /// Fetches what will run out soon. Called by a job, so that no sign-in waits for it.
    pub async fn refetch_step(&self) {
        let now = self.0.clock.now();
        // Failures are remembered by the documents and shown by `status`.
        if self.0.discovery.held.load().as_ref().is_none_or(|held| !held.is_fresh_for(AHEAD, now)) {
            let _ = self.0.discovery(Reason::Due).await;
        }
        if self.0.keys.held.load().as_ref().is_none_or(|held| !held.is_fresh_for(AHEAD, now)) {
            let _ = self.0.keys(Reason::Due).await;
        }
    }

    /// How the documents stand.
    pub fn status(&self) -> ProviderStatus {
        let inner = &self.0;
        let held = inner.keys.held.load_full();
        ProviderStatus {
            keys_loaded: inner.keys.serving(inner.clock.now()).is_some(),
            keys_fetched_at: held.as_ref().map(|held| held.fetched_at),
            keys_fresh_until: held.as_ref().map(|held| held.fresh_until),
            last_error: inner.keys.error().or_else(|| inner.discovery.error()).map(|error| error.to_string()),
            clock_skew_seconds: *inner.skew.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }
}

impl Inner {
    async fn discovery(&self, reason: Reason) -> Result<Arc<Held<Endpoints>>, ProviderError> {
        let ProviderSettings { issuer, discovery_url } = &self.settings;
        let fetch = || self.google.fetch_discovery(discovery_url, issuer);
        self.document(&self.discovery, reason, discovery_url, fetch).await
    }

    async fn keys(&self, reason: Reason) -> Result<Arc<Held<KeySet>>, ProviderError> {
        let jwks = match self.discovery(Reason::Due).await {
            Ok(endpoints) => endpoints.value.jwks.clone(),
            // The keys may serve longer than what says where they are.
            Err(error) => return self.keys.serving(self.clock.now()).ok_or(error),
        };
        self.document(&self.keys, reason, &jwks, || self.google.fetch_keys(&jwks)).await
    }

    /// The document, fetched first if that is called for and allowed.
    async fn document<T, F>(
        &self,
        document: &Document<T>,
        reason: Reason,
        place: &Url,
        fetch: impl FnOnce() -> F,
    ) -> Result<Arc<Held<T>>, ProviderError>
    where
        F: Future<Output = Result<Fetched<T>, GoogleError>>,
    {
        let asked_with = document.held.load_full();
        let free = document.fetching.try_lock().ok();
        if free.is_none()
            && reason == Reason::Due
            && let Some(held) = document.serving(self.clock.now())
        {
            return Ok(held);
        }
        let _one_at_a_time = match free {
            Some(free) => free,
            None => document.fetching.lock().await,
        };
        let now = self.clock.now();
        let held = document.held.load_full();
        let came_meanwhile = match (&asked_with, &held) {
            (Some(before), Some(after)) => !Arc::ptr_eq(before, after),
            (before, after) => before.is_none() != after.is_none(),
        };
        let still_good =
            held.filter(|held| came_meanwhile || (reason == Reason::Due && held.is_fresh_for(AHEAD, now)));
        if let Some(held) = still_good {
            return Ok(held);
        }
        let serving = document.serving(now);
        if document.cooling(now) {
            if let Some(held) = serving {
                return Ok(held);
            }
            if let Some(error) = document.error() {
                return Err(error.into());
            }
        }
        match fetch().await {
            Ok(fetched) => {
                document.note(None);
                if reason == Reason::UnknownKey {
                    document.cool_down(now, COOL_DOWN);
                }
                Ok(self.keep(document, place, fetched).await)
            }
            Err(error) => {
                tracing::warn!(document = ?document.kind, %error, "a document of the provider could not be fetched");
                document.note(Some(error.clone()));
                document.cool_down(now, if serving.is_some() { COOL_DOWN } else { START_COOL_DOWN });
                serving.ok_or(ProviderError::Unavailable(error))
            }
        }
    }

    async fn keep<T>(&self, document: &Document<T>, place: &Url, fetched: Fetched<T>) -> Arc<Held<T>> {
        let Fetched { value, raw, fetched_at, fresh_until, server_date } = fetched;
        if let Some(theirs) = server_date {
            *self.skew.lock().unwrap_or_else(PoisonError::into_inner) = Some(theirs.since(fetched_at));
        }
        // A set that may not be cached still serves the callers that are waiting for it.
        let fresh_until = fresh_until.max(fetched_at.plus(AHEAD + 1));
        let held = Arc::new(Held { value: Arc::new(value), fetched_at, fresh_until });
        document.held.store(Some(held.clone()));
        let body = [&mark(place), raw.as_slice()].concat();
        let stored = StoredDocument { body, fetched_at, fresh_until };
        if let Err(error) = self.vault.save_document(document.kind, stored).await {
            tracing::warn!(document = ?document.kind, %error, "a document of the provider could not be kept");
        }
        held
    }

    async fn recall<T>(&self, document: &Document<T>, place: &Url, parse: impl Fn(&[u8]) -> Option<T>) {
        match self.vault.load_document(document.kind).await {
            Ok(None) => {}
            Ok(Some(stored)) => {
                if let Some(value) = stored.body.strip_prefix(mark(place).as_slice()).and_then(parse) {
                    let StoredDocument { fetched_at, fresh_until, .. } = stored;
                    document.held.store(Some(Arc::new(Held {
                        value: Arc::new(value),
                        fetched_at,
                        fresh_until,
                    })));
                }
            }
            Err(error) => {
                tracing::error!(document = ?document.kind, %error, "a kept document of the provider cannot be used");
            }
        }
    }
}

/// What a kept document begins with: the place it came from.
fn mark(place: &Url) -> Vec<u8> {
    format!("{place}\n").into_bytes()
}
