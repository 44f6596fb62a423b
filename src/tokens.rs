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
//! - a key bound to scopes never gets a token that opens more;
//! - what is handed out belongs to the grant as it stands: after a forget, a death or a new sign-in no
//!   token of the time before leaves memory.

mod ask;
mod cache;
mod flight;
mod goal;
mod held;
mod keep_alive;
mod pauses;
mod refresher;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

pub use self::ask::{
    DEFAULT_MIN_TTL, HandedToken, MAX_MIN_TTL, PausedClient, Person, Reach, ResolveError, TokenError,
    TokenRequest, TokenSource,
};

use self::cache::{Bounded, ReadThrough};
use self::flight::{Flights, Joined};
use self::goal::{Goal, Rest};
use self::held::{Found, Held, HeldGrants, NarrowKey};
use self::pauses::Pauses;
use self::refresher::Landed;
use crate::clock::{Clock, Timestamp};
use crate::config::{Client, Config};
use crate::events::{Actor, Events, Kind, NewEvent};
use crate::google::{ClientFault, Google};
use crate::ids::{ClientName, GrantId, OAuthClientId, UserId, UserRef};
use crate::lifecycle::Lifecycle;
use crate::metrics::Metrics;
use crate::provider::Provider;
use crate::scopes::ScopeSet;
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
    events: Events,
    clock: Clock,
    lifecycle: Lifecycle,
    refs: ReadThrough<UserRef, UserId>,
    users: ReadThrough<UserId, HeldGrants>,
    narrowed: Bounded<NarrowKey, HandedToken>,
    flights: Flights<(GrantId, Option<ScopeSet>), Landed>,
    refreshing: tokio::sync::Semaphore,
    /// Clients that Google refuses.
    pauses: Pauses<OAuthClientId, ClientFault>,
    /// Refresh tokens (a grant and its token generation) that Google refuses without saying that they
    /// are dead, with what it has against the client, if that is it.
    troubled: Pauses<(GrantId, i64), Option<ClientFault>>,
}

/// What the road is made of.
#[derive(Debug)]
pub struct TokensParts {
    /// The configuration.
    pub config: Arc<Config>,
    /// The vault.
    pub vault: Vault,
    /// Google.
    pub google: Google,
    /// Discovery.
    pub provider: Provider,
    /// What is counted.
    pub metrics: Metrics,
    /// What is told.
    pub events: Events,
    /// The time.
    pub clock: Clock,
    /// Tasks.
    pub lifecycle: Lifecycle,
}

impl Tokens {
    /// Nothing is loaded yet; memory fills as tokens are asked for.
    pub fn new(parts: TokensParts) -> Self {
        let TokensParts { config, vault, google, provider, metrics, events, clock, lifecycle } = parts;
        let settings = config.tokens;
        // Most of the memory is the tokens; names and narrowed tokens get an eighth each.
        let part = settings.cache_bytes / 8;
        Self(Arc::new(Inner {
            refs: ReadThrough::new(part, |name, _| {
                128 + match name {
                    UserRef::Sub(sub) => sub.as_str().len(),
                    UserRef::Email(email) => email.as_str().len(),
                    UserRef::Me => 0,
                }
            }),
            users: ReadThrough::new(settings.cache_bytes - 2 * part, |_, held| {
                96 + held.sound.iter().map(Held::weight).sum::<usize>()
            }),
            narrowed: Bounded::new(part, |_, token| {
                256 + token.access_token.expose().len() + 2 * token.scopes.as_str().len()
            }),
            flights: Flights::new(),
            refreshing: tokio::sync::Semaphore::new(settings.concurrent_refreshes.max(1)),
            pauses: Pauses::default(),
            troubled: Pauses::default(),
            config,
            vault,
            google,
            provider,
            metrics,
            events,
            clock,
            lifecycle,
        }))
    }

    /// The person a caller names. `me` is not a name that this can resolve.
    ///
    /// Costs nothing but memory for somebody named before; else one read of the vault, which for a `sub`
    /// brings the grants along.
    ///
    /// # Errors
    /// See [`ResolveError`].
    pub async fn resolve(&self, user: &UserRef) -> Result<Person, ResolveError> {
        if let Some(id) = self.0.refs.get(user) {
            return Ok(id.into());
        }
        let ticket = self.0.refs.ticket();
        let person = match user {
            UserRef::Me => return Err(ResolveError::NotFound),
            UserRef::Sub(sub) => self.0.load_person(sub).await?,
            UserRef::Email(email) => match self.0.vault.find_users_by_email(email).await?.as_slice() {
                [] => return Err(ResolveError::NotFound),
                [only] => (*only).into(),
                _ => return Err(ResolveError::Ambiguous),
            },
        };
        self.0.refs.fill(user.clone(), person.id, ticket);
        Ok(person)
    }

    /// Whether a caller that is bound to clients reaches any grant of the person's. Costs nothing to others.
    ///
    /// # Errors
    /// When the vault cannot be read.
    pub async fn reaches(&self, user: UserId, reach: &Reach) -> Result<bool, TokenError> {
        if reach.clients.is_none() {
            return Ok(true);
        }
        let (held, _) = self.0.held(user).await?;
        Ok(held.sound.iter().any(|grant| reach.includes(grant.client.as_ref())))
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
    pub async fn token(&self, mut request: TokenRequest<'_>) -> Result<HandedToken, TokenError> {
        let inner = &self.0;
        let goal = Goal::new(&request);
        let mut widened = false;
        let mut just_loaded = request.person.held.take();
        loop {
            let (held, source) = match just_loaded.take() {
                Some(held) => (held, TokenSource::Vault),
                None => inner.held(request.person.id).await?,
            };
            let found = inner.find(&held, &request, source)?;
            let now = inner.clock.now();
            if let Some(token) = found.token.filter(|token| token.meets(goal, now)) {
                if found.narrow.is_none() {
                    inner.refresh_ahead(found.grant, &token, now);
                }
                return Ok(token);
            }
            let whole = found.narrow.is_none();
            let landed = inner.land(found.grant.id, found.narrow, goal).await;
            match landed.and_then(|token| request.fitting(token)) {
                Ok(token) if goal.is_refused(&token.access_token) => {
                    return Err(TokenError::GoogleUnavailable { retry_after: RETRY_AFTER });
                }
                Err(error @ (TokenError::GoogleUnavailable { .. } | TokenError::ClientPaused { .. })) => {
                    return inner.left_over(&request, goal, error).await;
                }
                // The whole grant has just turned out to open more than the caller may: narrow it.
                Err(TokenError::ScopeWithheld) if whole && !widened => widened = true,
                // A token that lives shorter than asked is still the freshest there is.
                settled => return settled,
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
        let (grant, _) = self.0.named(user, client, reach).await?;
        self.0.land(grant, None, Goal::Now).await
    }

    /// As [`Tokens::refresh_now`], because somebody wants it, and tells of it. Goes on whoever hangs up.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub async fn refresh_by_hand(
        &self,
        user: UserId,
        client: Option<&ClientName>,
        reach: &Reach,
        actor: &Actor,
    ) -> Result<HandedToken, TokenError> {
        let inner = &self.0;
        let (grant, client) = inner.named(user, client, reach).await?;
        let mut event = NewEvent::new(Kind::GrantRefreshed, actor).about(user);
        if let Some(client) = client.and_then(|name| inner.config.client(&name)) {
            event = event.client(&client.client_id);
        }
        let this = inner.clone();
        let work = async move {
            let landed = this.land(grant, None, Goal::Now).await;
            if landed.is_ok() {
                this.events.record(event).await;
            }
            landed
        };
        inner.lifecycle.run(work).await.unwrap_or(Err(TokenError::Interrupted))
    }

    /// What Google said of a client at another call than a refresh: it refused the client, or took its
    /// credentials. Refreshes have to know, and whoever looks after the client.
    pub fn client_answered(&self, client: &Client, fault: Option<ClientFault>) {
        match fault {
            None => self.0.client_accepted(client),
            // Said of a code of another client too.
            Some(ClientFault::Unauthorized) => {}
            Some(fault) => drop(self.0.client_refused(client, fault)),
        }
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

    /// The person's grant with this client, or their only one, and the client's name.
    async fn named(
        &self,
        user: UserId,
        client: Option<&ClientName>,
        reach: &Reach,
    ) -> Result<(GrantId, Option<ClientName>), TokenError> {
        let request =
            TokenRequest { person: user.into(), client, scopes: None, min_ttl: None, rejected: None, reach };
        let held = self.load_held(user).await?;
        let grant = self.select(&held, &request)?;
        Ok((grant.id, grant.client.clone()))
    }

    /// Starts a refresh when a token that is in use nears its end, so that no caller waits for it.
    fn refresh_ahead(self: &Arc<Self>, grant: &Held, token: &HandedToken, now: Timestamp) {
        let ahead = self.config.tokens.ahead(token.lifetime());
        if token.expires_at.since(now) >= ahead || now.unix() < grant.ahead_after.load(Ordering::Relaxed) {
            return;
        }
        grant.ahead_after.store(now.plus(AHEAD_PAUSE).unix(), Ordering::Relaxed);
        let (inner, id) = (self.clone(), grant.id);
        self.flights.start(&self.lifecycle, (id, None), move || {
            inner.refresh(id, None, Goal::Lives(Rest::AtLeast(ahead)))
        });
    }

    /// Flies until there is an outcome as good as that of a flight of one's own: another's will do if
    /// it asked Google, unless it was under way already and brought the very token that was refused.
    async fn land(
        self: &Arc<Self>,
        grant: GrantId,
        narrow: Option<ScopeSet>,
        goal: Goal,
    ) -> Result<HandedToken, TokenError> {
        let mut began_after_us = false;
        loop {
            let (inner, scopes) = (self.clone(), narrow.clone());
            let (joined, landed) = self
                .flights
                .fly(&self.lifecycle, (grant, narrow.clone()), move || inner.refresh(grant, scopes, goal))
                .await;
            let Ok(landed) = landed else { return Err(TokenError::Interrupted) };
            let refused = landed.outcome.as_ref().is_ok_and(|token| goal.is_refused(&token.access_token));
            let met = landed.outcome.as_ref().is_ok_and(|token| token.meets(goal, self.clock.now()));
            if joined == Joined::Own || met || (landed.asked && (began_after_us || !refused)) {
                return landed.outcome;
            }
            began_after_us = true;
        }
    }

    /// While Google gives no fresh token, the still-valid one, with its true end, is better than none.
    /// It is looked up anew: since the first look the grant may have been forgotten or connected again.
    async fn left_over(
        &self,
        request: &TokenRequest<'_>,
        goal: Goal,
        error: TokenError,
    ) -> Result<HandedToken, TokenError> {
        let (held, _) = self.held(request.person.id).await?;
        let Found { token, .. } = self.find(&held, request, TokenSource::Vault)?;
        let rest = Rest::AtLeast(request.min_ttl.unwrap_or(0).max(USELESS_BELOW));
        let goal = match goal {
            Goal::NotThis(refused, _) => Goal::NotThis(refused, rest),
            _ => Goal::Lives(rest),
        };
        match token.filter(|token| token.meets(goal, self.clock.now())) {
            Some(token) => Ok(HandedToken { stale: true, ..token }),
            None => Err(error),
        }
    }
}
