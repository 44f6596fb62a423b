//! Discovery document and key set: fetched when due, kept in memory and in the vault.
//!
//! What must stay true:
//!
//! - at most one fetch of a document is under way, and after a failed one none starts for
//!   [`COOL_DOWN`], whatever key ids callers show: nobody can make locum hammer Google;
//! - a failed or unusable fetch never replaces or empties what is there; an old document serves on
//!   until [`HARD_LIMIT`] after it was fetched;
//! - a restart without network still verifies, from the vault.

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

    fn cooling(&self, now: Timestamp) -> bool {
        now.unix() < self.not_before.load(Ordering::SeqCst)
    }

    fn cool_down(&self, now: Timestamp) {
        self.not_before.store(now.plus(COOL_DOWN).unix(), Ordering::SeqCst);
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
        inner.recall(&inner.discovery, |body| Endpoints::parse(body, &inner.settings.issuer).ok()).await;
        inner.recall(&inner.keys, |body| KeySet::parse(body).ok()).await;
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
        if let Some(held) = self.0.discovery.held.load_full().filter(|held| now < held.fresh_until) {
            return Ok(held.value.clone());
        }
        let inner = self.0.clone();
        let fetched = self.0.lifecycle.run(async move { inner.discovery(Reason::Due).await }).await;
        fetched.map_err(|_| ProviderError::Interrupted)?.map(|held| held.value.clone())
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
            && let Some(held) = self.0.keys.held.load_full().filter(|held| now < held.fresh_until)
        {
            return Ok(held);
        }
        let inner = self.0.clone();
        let fetched = self.0.lifecycle.run(async move { inner.keys(reason).await }).await;
        fetched.map_err(|_| ProviderError::Interrupted)?
    }

    /// Fetches what will run out soon. Called by a job, so that no sign-in waits for it.
    pub async fn refetch_step(&self) {
        let soon = self.0.clock.now().plus(AHEAD);
        let due = |fresh_until: Option<Timestamp>| fresh_until.is_none_or(|until| until <= soon);
        // Failures are remembered by the documents and shown by `status`.
        if due(self.0.discovery.held.load().as_ref().map(|held| held.fresh_until)) {
            let _ = self.0.discovery(Reason::Due).await;
        }
        if due(self.0.keys.held.load().as_ref().map(|held| held.fresh_until)) {
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
        let settings = &self.settings;
        let fetch = || self.google.fetch_discovery(&settings.discovery_url, &settings.issuer);
        self.document(&self.discovery, reason, fetch).await
    }

    async fn keys(&self, reason: Reason) -> Result<Arc<Held<KeySet>>, ProviderError> {
        let endpoints = self.discovery(Reason::Due).await?;
        self.document(&self.keys, reason, || self.google.fetch_keys(&endpoints.value.jwks)).await
    }

    /// The document, fetched first if that is called for and allowed.
    async fn document<T, F>(
        &self,
        document: &Document<T>,
        reason: Reason,
        fetch: impl FnOnce() -> F,
    ) -> Result<Arc<Held<T>>, ProviderError>
    where
        F: Future<Output = Result<Fetched<T>, GoogleError>>,
    {
        let asked_with = document.held.load_full();
        let _one_at_a_time = document.fetching.lock().await;
        let now = self.clock.now();
        let held = document.held.load_full();
        let came_meanwhile = match (&asked_with, &held) {
            (Some(before), Some(after)) => !Arc::ptr_eq(before, after),
            (before, after) => before.is_none() != after.is_none(),
        };
        let soon = now.plus(AHEAD);
        let still_good =
            held.filter(|held| came_meanwhile || (reason == Reason::Due && soon < held.fresh_until));
        if let Some(held) = still_good {
            return Ok(held);
        }
        if document.cooling(now)
            && let Some(held) = document.serving(now)
        {
            return Ok(held);
        }
        if document.cooling(now)
            && let Some(error) = document.error()
        {
            return Err(error.into());
        }
        match fetch().await {
            Ok(fetched) => {
                document.note(None);
                if reason == Reason::UnknownKey {
                    document.cool_down(now);
                }
                Ok(self.keep(document, fetched).await)
            }
            Err(error) => {
                tracing::warn!(document = ?document.kind, %error, "a document of the provider could not be fetched");
                document.note(Some(error.clone()));
                document.cool_down(now);
                document.serving(now).ok_or(ProviderError::Unavailable(error))
            }
        }
    }

    async fn keep<T>(&self, document: &Document<T>, fetched: Fetched<T>) -> Arc<Held<T>> {
        let Fetched { value, raw, fetched_at, fresh_until, server_date } = fetched;
        if let Some(theirs) = server_date {
            *self.skew.lock().unwrap_or_else(PoisonError::into_inner) = Some(theirs.since(fetched_at));
        }
        // A set that may not be cached still serves the callers that are waiting for it.
        let fresh_until = fresh_until.max(fetched_at.plus(AHEAD + 1));
        let held = Arc::new(Held { value: Arc::new(value), fetched_at, fresh_until });
        document.held.store(Some(held.clone()));
        let stored = StoredDocument { body: raw, fetched_at, fresh_until };
        if let Err(error) = self.vault.save_document(document.kind, stored).await {
            tracing::warn!(document = ?document.kind, %error, "a document of the provider could not be kept");
        }
        held
    }

    async fn recall<T>(&self, document: &Document<T>, parse: impl Fn(&[u8]) -> Option<T>) {
        match self.vault.load_document(document.kind).await {
            Ok(None) => {}
            Ok(Some(stored)) => {
                if let Some(value) = parse(&stored.body) {
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
