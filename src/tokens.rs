//! The only road to an access token.
//!
//! A token still fresh in memory is handed out without touching the disk. What memory lacks comes
//! from the vault, and what the vault lacks from Google, in a single flight per grant and scope set.
//!
//! What must stay true:
//!
//! - at most one refresh per grant and scope set is under way, however many ask;
//! - the row is read again inside the flight and written back by compare-and-set; an outcome for
//!   another token generation is discarded;
//! - only an answer of Google's changes a grant's state, never an outage or a fault of the client;
//! - a caller that reports a token refused never gets the same one again;
//! - a key bound to scopes never gets a token that opens more.

mod ask;
mod cache;
mod flight;
mod held;
mod keep_alive;
mod pauses;
mod refresher;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ring::digest::{SHA256, digest};
use subtle::ConstantTimeEq as _;

pub use self::ask::{
    DEFAULT_MIN_TTL, HandedToken, MAX_MIN_TTL, PausedClient, Reach, ResolveError, TokenError, TokenRequest,
    TokenSource,
};

use self::cache::ReadThrough;
use self::flight::{Flights, Joined};
use self::held::{Held, narrowing};
use self::pauses::Pauses;
use self::refresher::Goal;
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::google::Google;
use crate::ids::{ClientName, GrantId, OAuthClientId, UserId, UserRef};
use crate::lifecycle::Lifecycle;
use crate::metrics::Metrics;
use crate::provider::Provider;
use crate::scopes::ScopeSet;
use crate::secret::AccessToken;
use crate::vault::Vault;

/// A token with less than this left is not handed out even when Google is down.
const USELESS_BELOW: i64 = 5;
/// How long a caller should wait when Google gives no hint.
const RETRY_AFTER: Duration = Duration::from_secs(10);
/// After a refresh ahead of time was started, the next one of the same grant waits this long.
const AHEAD_PAUSE: i64 = 30;

/// The road to tokens. Cheap to clone; clones share memory and flights.
#[derive(Clone, Debug)]
pub struct Tokens(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Arc<Config>,
    vault: Vault,
    google: Google,
    provider: Provider,
    metrics: Metrics,
    clock: Clock,
    lifecycle: Lifecycle,
    refs: ReadThrough<UserRef, UserId>,
    users: ReadThrough<UserId, Arc<[Held]>>,
    narrowed: ReadThrough<(GrantId, ScopeSet), HandedToken>,
    flights: Flights<(GrantId, Option<ScopeSet>), Result<HandedToken, TokenError>>,
    refreshing: tokio::sync::Semaphore,
    pauses: Pauses,
}

fn to_u32(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

impl Tokens {
    /// Nothing is loaded yet; memory fills as tokens are asked for.
    pub fn new(
        config: Arc<Config>,
        vault: Vault,
        google: Google,
        provider: Provider,
        metrics: Metrics,
        clock: Clock,
        lifecycle: Lifecycle,
    ) -> Self {
        let settings = config.tokens;
        // Most of the memory is the tokens; names and narrowed tokens get an eighth each.
        let part = settings.cache_bytes / 8;
        Self(Arc::new(Inner {
            refs: ReadThrough::new(part, |name: &UserRef, _| {
                let len = match name {
                    UserRef::Sub(sub) => sub.as_str().len(),
                    UserRef::Email(email) => email.as_str().len(),
                    UserRef::Me => 0,
                };
                to_u32(128 + len)
            }),
            users: ReadThrough::new(settings.cache_bytes - 2 * part, |_, grants: &Arc<[Held]>| {
                to_u32(96 + grants.iter().map(Held::weight).sum::<usize>())
            }),
            narrowed: ReadThrough::new(part, |_, token: &HandedToken| {
                to_u32(256 + token.access_token.expose().len() + 3 * token.scopes.len())
            }),
            flights: Flights::new(),
            refreshing: tokio::sync::Semaphore::new(settings.concurrent_refreshes.max(1)),
            pauses: Pauses::default(),
            config,
            vault,
            google,
            provider,
            metrics,
            clock,
            lifecycle,
        }))
    }

    /// The row of the person a caller names. `me` is not a name that this can resolve.
    ///
    /// # Errors
    /// See [`ResolveError`].
    pub async fn resolve(&self, user: &UserRef) -> Result<UserId, ResolveError> {
        if let Some(id) = self.0.refs.get(user) {
            return Ok(id);
        }
        let ticket = self.0.refs.ticket(user);
        let id = match user {
            UserRef::Me => return Err(ResolveError::NotFound),
            UserRef::Sub(sub) => self.0.vault.find_user_by_sub(sub).await?.ok_or(ResolveError::NotFound)?,
            UserRef::Email(email) => match self.0.vault.find_users_by_email(email).await?.as_slice() {
                [] => return Err(ResolveError::NotFound),
                [only] => *only,
                _ => return Err(ResolveError::Ambiguous),
            },
        };
        self.0.refs.fill(user.clone(), id, ticket);
        Ok(id)
    }

    /// Forgets what memory holds of a user. Called after each commit that changes them, with every
    /// name that may now lead elsewhere.
    pub fn changed(&self, user: UserId, names: impl IntoIterator<Item = UserRef>) {
        self.0.users.drop_key(&user);
        for name in names {
            self.0.refs.drop_key(&name);
        }
    }

    /// An access token that lives long enough and opens what was asked for.
    ///
    /// Costs nothing but memory while the cached token will do; else one read of the vault, one call
    /// to Google and one write.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub async fn token(&self, request: TokenRequest<'_>) -> Result<HandedToken, TokenError> {
        let inner = &self.0;
        let (held, source) = match inner.users.get(&request.user) {
            Some(held) => (held, TokenSource::Memory),
            None => (inner.load_held(request.user).await?, TokenSource::Vault),
        };
        let grant = inner.select(&held, &request)?;
        if let Some(error) = grant.unusable() {
            return Err(error);
        }
        let now = inner.clock.now();
        let goal = Goal::new(&request);
        match narrowing(&request, &grant.scopes)? {
            None => {
                if let Some(token) = grant.token(source).filter(|token| token.meets(goal, now)) {
                    inner.refresh_ahead(grant, token.expires_at, now);
                    return Ok(token);
                }
                inner.fly_until_met(grant, None, goal, &request).await
            }
            Some(narrow) => {
                let key = (grant.id, narrow);
                if let Some(token) = inner.narrowed.get(&key).filter(|token| token.meets(goal, now)) {
                    return Ok(token);
                }
                inner.fly_until_met(grant, Some(key.1), goal, &request).await
            }
        }
    }

    /// Asks Google now, whatever is stored; may revive a dead grant.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub async fn refresh_now(
        &self,
        user: UserId,
        client: Option<&ClientName>,
        reach: &Reach,
    ) -> Result<HandedToken, TokenError> {
        let inner = &self.0;
        let request = TokenRequest { user, client, scopes: None, min_ttl: None, rejected: None, reach };
        let held = inner.load_held(user).await?;
        let grant = inner.select(&held, &request)?;
        inner.fly(grant.id, None, Goal::Now).await.1
    }

    /// The clients that Google refuses.
    pub fn paused_clients(&self) -> Vec<PausedClient> {
        let paused = self.0.pauses.all().into_iter();
        paused
            .map(|(client_id, pause)| PausedClient {
                client: self.0.client_name(&client_id),
                client_id,
                fault: pause.fault,
                since: pause.since,
                next_probe: pause.next_probe,
            })
            .collect()
    }
}

impl Inner {
    fn client_name(&self, id: &OAuthClientId) -> Option<ClientName> {
        self.config.client_by_id(id).map(|client| client.name.clone())
    }

    /// Starts a refresh when a token that is in use nears its end, so that no caller waits for it.
    fn refresh_ahead(self: &Arc<Self>, grant: &Held, expires_at: Timestamp, now: Timestamp) {
        let ahead = i64::try_from(self.config.tokens.refresh_ahead.as_secs()).unwrap_or(i64::MAX);
        if expires_at.since(now) >= ahead || now.unix() < grant.ahead_after.load(Ordering::Relaxed) {
            return;
        }
        grant.ahead_after.store(now.plus(AHEAD_PAUSE).unix(), Ordering::Relaxed);
        let (inner, id) = (self.clone(), grant.id);
        self.flights.start(&self.lifecycle, (id, None), move || async move {
            inner.refresh(id, None, Goal::AtLeast(ahead)).await
        });
    }

    async fn fly(
        self: &Arc<Self>,
        grant: GrantId,
        narrow: Option<ScopeSet>,
        goal: Goal,
    ) -> (Joined, Result<HandedToken, TokenError>) {
        let inner = self.clone();
        let key = (grant, narrow.clone());
        let (joined, outcome) = self
            .flights
            .fly(&self.lifecycle, key, move || async move { inner.refresh(grant, narrow, goal).await })
            .await;
        (joined, outcome.unwrap_or(Err(TokenError::Interrupted)))
    }

    /// Flies until the token meets the goal. Another caller's flight may have had a lesser goal, or may
    /// have been under way when the token it brought was refused; one own flight settles it.
    async fn fly_until_met(
        self: &Arc<Self>,
        grant: &Held,
        narrow: Option<ScopeSet>,
        goal: Goal,
        request: &TokenRequest<'_>,
    ) -> Result<HandedToken, TokenError> {
        loop {
            let (joined, outcome) = self.fly(grant.id, narrow.clone(), goal).await;
            let now = self.clock.now();
            let error = match outcome {
                Ok(token) if token.meets(goal, now) => return Ok(token),
                Ok(_) if joined == Joined::Other => continue,
                // Google gave a token that lives shorter than asked: it is the freshest there is.
                Ok(token) if !goal.is_refused(&token.access_token) => return Ok(token),
                Ok(_) => return Err(TokenError::GoogleUnavailable { retry_after: RETRY_AFTER }),
                Err(error) => error,
            };
            if !matches!(error, TokenError::GoogleUnavailable { .. } | TokenError::ClientPaused { .. }) {
                return Err(error);
            }
            // The still-valid token, with its true end, is better than none.
            let left = match &narrow {
                None => grant.token(TokenSource::Vault),
                Some(narrow) => self.narrowed.get(&(grant.id, narrow.clone())),
            };
            let needed = request.min_ttl.unwrap_or(0).max(USELESS_BELOW);
            return match left {
                Some(token)
                    if token.expires_at.since(now) >= needed && !goal.is_refused(&token.access_token) =>
                {
                    Ok(HandedToken { stale: true, ..token })
                }
                _ => Err(error),
            };
        }
    }
}

fn is_token(token: &AccessToken, hash: &[u8; 32]) -> bool {
    digest(&SHA256, token.expose().as_bytes()).as_ref().ct_eq(hash).into()
}
