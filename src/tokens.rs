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

mod cache;
mod flight;
mod keep_alive;
mod pauses;
mod refresher;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use ring::digest::{SHA256, digest};
use subtle::ConstantTimeEq as _;

use self::cache::ReadThrough;
use self::flight::{Flights, Joined};
use self::pauses::Pauses;
use self::refresher::Goal;
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::google::{ClientFault, Google};
use crate::grant::GrantState;
use crate::ids::{ClientName, GrantId, OAuthClientId, UserId, UserRef};
use crate::lifecycle::Lifecycle;
use crate::provider::Provider;
use crate::scopes::ScopeSet;
use crate::secret::AccessToken;
use crate::vault::{Grant, Vault, VaultError};

/// How long a token is good for when the caller does not say: Google's own libraries refresh at 225
/// or 300 seconds before the end, so a shorter rest would make them ask again at once.
pub const DEFAULT_MIN_TTL: i64 = 300;
/// The longest rest a caller may ask for, in seconds. Google's tokens live about an hour.
pub const MAX_MIN_TTL: i64 = 1800;
/// A token with less than this left is not handed out even when Google is down.
const USELESS_BELOW: i64 = 5;
/// How long a caller should wait when Google gives no hint.
const RETRY_AFTER: Duration = Duration::from_secs(10);
/// After a refresh ahead of time was started, the next one of the same grant waits this long.
const AHEAD_PAUSE: i64 = 30;

/// What a caller may reach, from its API key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// The clients whose grants it reaches; `None` for all.
    pub clients: Option<Vec<ClientName>>,
    /// The most its tokens may open; `None` for whatever the grant holds.
    pub scopes: Option<ScopeSet>,
}

impl Reach {
    /// A caller without bounds.
    pub const EVERYTHING: Self = Self { clients: None, scopes: None };

    /// Whether grants of `client` are within reach. A client that is no longer configured has no name,
    /// and only callers without bounds reach its grants.
    pub fn includes(&self, client: Option<&ClientName>) -> bool {
        match (&self.clients, client) {
            (None, _) => true,
            (Some(bound), Some(client)) => bound.contains(client),
            (Some(_), None) => false,
        }
    }
}

/// Which token is asked for.
#[derive(Clone, Debug)]
pub struct TokenRequest<'a> {
    /// Whose.
    pub user: UserId,
    /// Of which client's grant; may be left out where there is only one.
    pub client: Option<&'a ClientName>,
    /// What it must open.
    pub scopes: Option<ScopeSet>,
    /// How many seconds it must still live, 0 to [`MAX_MIN_TTL`]. Said explicitly it is a demand, left
    /// out a wish.
    pub min_ttl: Option<i64>,
    /// SHA-256 of a token that a Google API refused.
    pub rejected: Option<[u8; 32]>,
    /// What the caller may reach.
    pub reach: &'a Reach,
}

/// Where a token came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenSource {
    /// From memory.
    Memory,
    /// From the vault.
    Vault,
    /// Fresh from Google.
    Google,
}

/// A token on its way to the caller.
#[derive(Clone, Debug)]
pub struct HandedToken {
    /// The token.
    pub access_token: AccessToken,
    /// When it runs out.
    pub expires_at: Timestamp,
    /// What it opens, space-separated.
    pub scopes: Arc<str>,
    /// Google could not be asked for a fresher one.
    pub stale: bool,
    /// Where it came from.
    pub source: TokenSource,
}

impl HandedToken {
    fn meets(&self, goal: Goal, now: Timestamp) -> bool {
        goal.is_met(&self.access_token, self.expires_at, now)
    }
}

/// Why there is no token, by what the caller can do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// No such user or grant within the caller's reach.
    #[error("no such user or grant within reach")]
    NotFound,
    /// The configuration has no client of this name.
    #[error("the configuration has no client of this name")]
    UnknownClient,
    /// The person has to go through consent, or somebody has to mend a set-up.
    #[error("the grant cannot be used: {state}")]
    ConsentRequired {
        /// The client, if it is still configured.
        client: Option<ClientName>,
        /// Where the grant stands.
        state: GrantState,
        /// Since when.
        since: Timestamp,
    },
    /// The user has grants with several clients; name one.
    #[error("several clients' grants match")]
    ClientAmbiguous {
        /// The clients to choose from.
        clients: Vec<ClientName>,
    },
    /// The grant or the key does not cover what was asked for.
    #[error("scopes are missing")]
    ScopeMissing {
        /// What is missing.
        missing: ScopeSet,
    },
    /// Google answered with a token that opens more than the key allows.
    #[error("Google answered with a wider token than the key allows")]
    ScopeWithheld,
    /// Google cannot be reached and no token is left that would do.
    #[error("Google is unavailable")]
    GoogleUnavailable {
        /// When to try again.
        retry_after: Duration,
    },
    /// Google refuses the OAuth client.
    #[error("the client is paused: {fault}")]
    ClientPaused {
        /// The client.
        client: ClientName,
        /// What Google says.
        fault: ClientFault,
        /// When the next probe is due.
        retry_after: Duration,
    },
    /// The vault failed.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The work was torn down; try again.
    #[error("the work was interrupted")]
    Interrupted,
}

/// Why a user could not be named.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// There is no such person here.
    #[error("no such user")]
    NotFound,
    /// Several people have this as their latest verified address; use the `sub`.
    #[error("several users have this address")]
    Ambiguous,
    /// The vault failed.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// A client that Google refuses, for `status`.
#[derive(Clone, Debug)]
pub struct PausedClient {
    /// Its name, if it is still configured.
    pub client: Option<ClientName>,
    /// Its id at Google.
    pub client_id: OAuthClientId,
    /// What Google says.
    pub fault: ClientFault,
    /// Since when.
    pub since: Timestamp,
    /// When the next refresh is let through.
    pub next_probe: Timestamp,
}

/// The road to tokens. Cheap to clone; clones share memory and flights.
#[derive(Clone, Debug)]
pub struct Tokens(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Arc<Config>,
    vault: Vault,
    google: Google,
    provider: Provider,
    clock: Clock,
    lifecycle: Lifecycle,
    refs: ReadThrough<UserRef, UserId>,
    users: ReadThrough<UserId, Arc<[Held]>>,
    narrowed: ReadThrough<(GrantId, ScopeSet), HandedToken>,
    flights: Flights<(GrantId, Option<ScopeSet>), Result<HandedToken, TokenError>>,
    refreshing: tokio::sync::Semaphore,
    pauses: Pauses,
}

/// A grant as it is held in memory.
#[derive(Debug)]
struct Held {
    id: GrantId,
    client: Option<ClientName>,
    scopes: ScopeSet,
    scope_text: Arc<str>,
    state: GrantState,
    since: Timestamp,
    access: Option<(AccessToken, Timestamp)>,
    /// When the next refresh ahead of time may start.
    ahead_after: AtomicI64,
}

impl Held {
    fn weight(&self) -> usize {
        let token = self.access.as_ref().map_or(0, |(token, _)| token.expose().len());
        // The struct, the allocations' own bookkeeping, and each scope twice (set and text).
        size_of::<Self>() + 160 + token + 2 * self.scope_text.len() + 48 * self.scopes.len()
    }

    fn token(&self, source: TokenSource) -> Option<HandedToken> {
        let (access_token, expires_at) = self.access.clone()?;
        let scopes = self.scope_text.clone();
        Some(HandedToken { access_token, expires_at, scopes, stale: false, source })
    }

    fn unusable(&self) -> Option<TokenError> {
        (!self.state.is_usable()).then(|| TokenError::ConsentRequired {
            client: self.client.clone(),
            state: self.state,
            since: self.since,
        })
    }
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

    async fn load_held(&self, user: UserId) -> Result<Arc<[Held]>, TokenError> {
        let ticket = self.users.ticket(&user);
        let grants = self.vault.load_grants_of(user).await?;
        let held: Arc<[Held]> =
            grants.iter().map(|grant| self.hold(grant)).collect::<Result<Vec<_>, _>>()?.into();
        self.users.fill(user, held.clone(), ticket);
        Ok(held)
    }

    fn hold(&self, grant: &Grant) -> Result<Held, VaultError> {
        let client = self.client_name(&grant.client_id);
        let state = if client.is_some() { grant.state } else { grant.state.seen_without_client() };
        // What can't be handed out needs not be opened.
        let access = match grant.access_expires_at {
            Some(expires_at) if state.is_usable() => {
                self.vault.open_access_token(grant)?.map(|token| (token, expires_at))
            }
            _ => None,
        };
        Ok(Held {
            id: grant.id,
            client,
            scope_text: grant.scopes.to_string().into(),
            scopes: grant.scopes.clone(),
            state,
            since: grant.since,
            access,
            ahead_after: AtomicI64::new(i64::MIN),
        })
    }

    /// The one grant that a request means.
    fn select<'h>(&self, held: &'h [Held], request: &TokenRequest<'_>) -> Result<&'h Held, TokenError> {
        if let Some(client) = request.client
            && self.config.client(client).is_none()
        {
            return Err(TokenError::UnknownClient);
        }
        let within = |grant: &&Held| {
            request.reach.includes(grant.client.as_ref())
                && request.client.is_none_or(|client| grant.client.as_ref() == Some(client))
        };
        let mut found: Vec<&Held> = held.iter().filter(within).collect();
        // Left-overs of removed clients, and grants that lack what is asked for, give way to others.
        for prefer in [&|grant: &&Held| grant.client.is_some(), &|grant: &&Held| {
            request.scopes.as_ref().is_none_or(|scopes| scopes.is_subset(&grant.scopes))
        }] as [&dyn Fn(&&Held) -> bool; 2]
        {
            if found.len() > 1 && found.iter().any(prefer) {
                found.retain(prefer);
            }
        }
        match found.as_slice() {
            [] => Err(TokenError::NotFound),
            [only] => Ok(only),
            several => Err(TokenError::ClientAmbiguous {
                clients: several.iter().filter_map(|grant| grant.client.clone()).collect(),
            }),
        }
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

/// The scope set to narrow a token to, for a key that is bound to scopes; `None` for the whole grant.
fn narrowing(request: &TokenRequest<'_>, granted: &ScopeSet) -> Result<Option<ScopeSet>, TokenError> {
    let asked = request.scopes.as_ref();
    if let Some(asked) = asked
        && !asked.is_subset(granted)
    {
        return Err(TokenError::ScopeMissing { missing: asked.minus(granted) });
    }
    let Some(bound) = &request.reach.scopes else { return Ok(None) };
    if let Some(asked) = asked
        && !asked.is_subset(bound)
    {
        return Err(TokenError::ScopeMissing { missing: asked.minus(bound) });
    }
    let narrow = asked.unwrap_or(granted).intersection(bound);
    if narrow.is_empty() {
        return Err(TokenError::ScopeMissing { missing: bound.clone() });
    }
    Ok((narrow != *granted).then_some(narrow))
}

fn is_token(token: &AccessToken, hash: &[u8; 32]) -> bool {
    digest(&SHA256, token.expose().as_bytes()).as_ref().ct_eq(hash).into()
}
