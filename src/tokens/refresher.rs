//! One flight: from what the vault holds to a token that meets the goal.

use std::sync::Arc;

use super::{
    DEFAULT_MIN_TTL, HandedToken, Inner, RETRY_AFTER, TokenError, TokenRequest, TokenSource, is_token,
};
use crate::clock::Timestamp;
use crate::config::Client;
use crate::google::{ClientCredentials, GoogleError, TokenAnswer};
use crate::grant::{BlockCause, ConsentCause, DeathCause, GrantEvent, GrantState};
use crate::ids::GrantId;
use crate::metrics::RefreshOutcome;
use crate::provider::ProviderError;
use crate::scopes::ScopeSet;
use crate::secret::AccessToken;
use crate::vault::{AccessChange, Grant, GrantChange, RefreshChange, VaultError};

/// When a token will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// It lives at least so many seconds.
    AtLeast(i64),
    /// It is another one than the refused one with this SHA-256, and lives at least so many seconds.
    NotThis([u8; 32], i64),
    /// Google has just been asked, whatever is stored.
    Now,
}

impl Goal {
    pub(super) fn new(request: &TokenRequest<'_>) -> Self {
        let min_ttl = request.min_ttl.unwrap_or(DEFAULT_MIN_TTL);
        match request.rejected {
            Some(hash) => Self::NotThis(hash, min_ttl),
            None => Self::AtLeast(min_ttl),
        }
    }

    pub(super) fn is_met(self, token: &AccessToken, expires_at: Timestamp, now: Timestamp) -> bool {
        let lives = |min_ttl| expires_at.since(now) >= min_ttl && expires_at > now;
        match self {
            Self::AtLeast(min_ttl) => lives(min_ttl),
            Self::NotThis(_, min_ttl) => lives(min_ttl) && !self.is_refused(token),
            Self::Now => false,
        }
    }

    /// Whether this is the very token that an API refused.
    pub(super) fn is_refused(self, token: &AccessToken) -> bool {
        matches!(self, Self::NotThis(hash, _) if is_token(token, &hash))
    }
}

impl Inner {
    /// The work of a flight.
    pub(super) async fn refresh(
        self: Arc<Self>,
        id: GrantId,
        narrow: Option<ScopeSet>,
        goal: Goal,
    ) -> Result<HandedToken, TokenError> {
        let grant = self.vault.load_grant(id).await?.ok_or(TokenError::NotFound)?;
        let Some(client) = self.config.client_by_id(&grant.client_id) else {
            return Err(self.unusable(&grant, grant.state.seen_without_client()));
        };
        if !may_be_tried(grant.state, goal) {
            return Err(self.unusable(&grant, grant.state));
        }
        if narrow.is_none()
            && let Some(token) = self.stored(&grant)?
            && goal.is_met(&token.access_token, token.expires_at, self.clock.now())
        {
            return Ok(token);
        }
        let asked = self.ask_google(&grant, client, narrow.as_ref()).await;
        match asked {
            Ok(answer) => self.accept(grant, answer, narrow).await,
            Err(Refusal::Grant(event)) => Err(self.settle(grant, event).await?),
            Err(Refusal::TryLater(error)) => {
                self.drop_refused(&grant, narrow, goal).await?;
                Err(error)
            }
        }
    }

    async fn ask_google(
        &self,
        grant: &Grant,
        client: &Client,
        narrow: Option<&ScopeSet>,
    ) -> Result<TokenAnswer, Refusal> {
        let now = self.clock.now();
        let paused = |pause: super::pauses::Pause, now| {
            Refusal::TryLater(TokenError::ClientPaused {
                client: client.name.clone(),
                fault: pause.fault,
                retry_after: pause.retry_after(now),
            })
        };
        let vault = |error| Refusal::TryLater(TokenError::Vault(error));
        let Some(refresh_token) = self.vault.open_refresh_token(grant).map_err(vault)? else {
            return Err(Refusal::Grant(GrantEvent::ConsentDemanded(ConsentCause::NoRefreshToken)));
        };
        let endpoints = self.provider.endpoints().await.map_err(|error| {
            Refusal::TryLater(match error {
                ProviderError::Interrupted => TokenError::Interrupted,
                _ => TokenError::GoogleUnavailable { retry_after: RETRY_AFTER },
            })
        })?;
        let _permit =
            self.refreshing.acquire().await.map_err(|_| Refusal::TryLater(TokenError::Interrupted))?;
        self.pauses.pass(&grant.client_id, now).map_err(|pause| paused(pause, now))?;
        let credentials =
            ClientCredentials { client_id: client.client_id.clone(), secrets: client.secrets.clone() };
        let answer = self.google.refresh(&endpoints, &credentials, &refresh_token, narrow).await;
        self.metrics.refreshed(outcome_of(&answer));
        let now = self.clock.now();
        let error = match answer {
            Ok(answer) => {
                self.pauses.end(&grant.client_id);
                return Ok(answer);
            }
            Err(error) => error,
        };
        tracing::info!(grant = grant.id.0, client = %client.name, %error, "a refresh was refused or failed");
        let event = match error {
            GoogleError::ClientFault(fault) => {
                return Err(paused(self.pauses.begin(&grant.client_id, fault, now), now));
            }
            GoogleError::Unavailable { retry_after, .. } => {
                let retry_after = retry_after.unwrap_or(RETRY_AFTER);
                return Err(Refusal::TryLater(TokenError::GoogleUnavailable { retry_after }));
            }
            GoogleError::ScopeRefused if narrow.is_some() => {
                let missing = narrow.cloned().unwrap_or_default();
                return Err(Refusal::TryLater(TokenError::ScopeMissing { missing }));
            }
            GoogleError::GrantDead(DeathCause::ExpiredOrRevoked)
                if grant.refresh_expires_at.is_some_and(|at| at <= now) =>
            {
                GrantEvent::Died(DeathCause::AccessExpired)
            }
            GoogleError::GrantDead(cause) => GrantEvent::Died(cause),
            GoogleError::NeedsUser(cause) => GrantEvent::ConsentDemanded(cause),
            GoogleError::Blocked(cause) => GrantEvent::Blocked(cause),
            // Answers that say nothing about the grant: as good as no answer.
            GoogleError::ScopeRefused
            | GoogleError::CodeRefused(_)
            | GoogleError::Refused { .. }
            | GoogleError::NotAnAnswer
            | GoogleError::Discovery(_)
            | GoogleError::Keys(_) => {
                return Err(Refusal::TryLater(TokenError::GoogleUnavailable { retry_after: RETRY_AFTER }));
            }
        };
        self.pauses.end(&grant.client_id);
        Err(Refusal::Grant(event))
    }

    /// Writes Google's answer back and hands its token out.
    async fn accept(
        &self,
        grant: Grant,
        answer: TokenAnswer,
        narrow: Option<ScopeSet>,
    ) -> Result<HandedToken, TokenError> {
        let now = self.clock.now();
        let expires_at = now.plus(answer.expires_in);
        let token = |scopes: &ScopeSet| HandedToken {
            access_token: answer.access_token.clone(),
            expires_at,
            scopes: scopes.to_string().into(),
            stale: false,
            source: TokenSource::Google,
        };
        let refresh = match (&answer.refresh_token, answer.refresh_token_expires_in) {
            (Some(token), lives) => RefreshChange::Replace {
                token: token.clone(),
                expires_at: lives.map(|seconds| now.plus(seconds)),
            },
            (None, Some(seconds)) => RefreshChange::Expires(now.plus(seconds)),
            (None, None) => RefreshChange::Keep,
        };
        let mut change = GrantChange { refresh, refreshed: true, ..GrantChange::default() };
        if narrow.is_none() {
            change.scopes = answer.scope.clone();
            change.access = AccessChange::Replace { token: answer.access_token.clone(), expires_at };
        }
        let Some(grant) = self.write_back(grant, GrantEvent::Refreshed, change).await? else {
            // The grant was connected anew or is being forgotten: this outcome is not its own.
            self.metrics.refreshed(RefreshOutcome::Discarded);
            return Err(TokenError::GoogleUnavailable { retry_after: std::time::Duration::from_secs(1) });
        };
        let Some(narrow) = narrow else { return Ok(token(&grant.scopes)) };
        let opens = answer.scope.as_ref().unwrap_or(&narrow);
        if !opens.is_subset(&narrow) {
            return Err(TokenError::ScopeWithheld);
        }
        let handed = token(opens);
        let key = (grant.id, narrow);
        let ticket = self.narrowed.ticket(&key);
        self.narrowed.fill(key, HandedToken { source: TokenSource::Memory, ..handed.clone() }, ticket);
        Ok(handed)
    }

    /// Writes down what Google said of the grant and tells the caller.
    async fn settle(&self, grant: Grant, event: GrantEvent) -> Result<TokenError, TokenError> {
        let seen = grant.clone();
        let settled = self.write_back(grant, event, GrantChange::default()).await?.unwrap_or(seen);
        Ok(self.unusable(&settled, settled.state))
    }

    /// Compare-and-set with the event applied to whatever state the row is in by now. `None` when the
    /// outcome is not for this row any more: it is gone, has another token generation, or its state
    /// does not take the event.
    async fn write_back(
        &self,
        grant: Grant,
        event: GrantEvent,
        change: GrantChange,
    ) -> Result<Option<Grant>, VaultError> {
        let (id, user, generation) = (grant.id, grant.user, grant.token_generation);
        let mut current = grant;
        loop {
            let Some(state) = current.state.after(event) else { return Ok(None) };
            let change = GrantChange { state: Some(state), ..change.clone() };
            match self.vault.update_grant(&current, change).await {
                Err(VaultError::Conflict) => {}
                outcome => {
                    self.users.drop_key(&user);
                    return outcome.map(Some);
                }
            }
            match self.vault.load_grant(id).await? {
                Some(reloaded) if reloaded.token_generation == generation => current = reloaded,
                _ => return Ok(None),
            }
        }
    }

    /// Erases a token that an API refused although Google gives no other now, so that nobody is
    /// handed it again.
    async fn drop_refused(
        &self,
        grant: &Grant,
        narrow: Option<ScopeSet>,
        goal: Goal,
    ) -> Result<(), VaultError> {
        if let Some(narrow) = narrow {
            let key = (grant.id, narrow);
            if self.narrowed.get(&key).is_some_and(|token| goal.is_refused(&token.access_token)) {
                self.narrowed.drop_key(&key);
            }
            return Ok(());
        }
        let refused = self.stored(grant)?.is_some_and(|token| goal.is_refused(&token.access_token));
        if refused {
            let change = GrantChange { access: AccessChange::Erase, ..GrantChange::default() };
            match self.vault.update_grant(grant, change).await {
                // Somebody else wrote the row, and with it another token or none.
                Ok(_) | Err(VaultError::Conflict) => {}
                Err(error) => return Err(error),
            }
            self.users.drop_key(&grant.user);
        }
        Ok(())
    }

    fn stored(&self, grant: &Grant) -> Result<Option<HandedToken>, VaultError> {
        let Some(expires_at) = grant.access_expires_at else { return Ok(None) };
        let token = self.vault.open_access_token(grant)?;
        Ok(token.map(|access_token| HandedToken {
            access_token,
            expires_at,
            scopes: grant.scopes.to_string().into(),
            stale: false,
            source: TokenSource::Vault,
        }))
    }

    fn unusable(&self, grant: &Grant, state: GrantState) -> TokenError {
        TokenError::ConsentRequired { client: self.client_name(&grant.client_id), state, since: grant.since }
    }
}

/// A refresh asked for by a person may revive what is dead; a token request tries only what lives.
const fn may_be_tried(state: GrantState, goal: Goal) -> bool {
    match state {
        GrantState::Active => true,
        GrantState::Dead(_)
        | GrantState::NeedsConsent(_)
        | GrantState::Blocked(BlockCause::AdminPolicy | BlockCause::OrgInternal) => {
            matches!(goal, Goal::Now)
        }
        GrantState::Blocked(BlockCause::ClientChanged) | GrantState::Suspended(_) | GrantState::Revoking => {
            false
        }
    }
}

const fn outcome_of(answer: &Result<TokenAnswer, GoogleError>) -> RefreshOutcome {
    match answer {
        Ok(_) => RefreshOutcome::Refreshed,
        Err(GoogleError::GrantDead(_)) => RefreshOutcome::Dead,
        Err(GoogleError::NeedsUser(_)) => RefreshOutcome::NeedsConsent,
        Err(GoogleError::Blocked(_)) => RefreshOutcome::Blocked,
        Err(GoogleError::ClientFault(_)) => RefreshOutcome::ClientFault,
        Err(GoogleError::Unavailable { .. }) => RefreshOutcome::Unavailable,
        Err(_) => RefreshOutcome::Refused,
    }
}

/// Why Google gave no token.
enum Refusal {
    /// It says something about the grant.
    Grant(GrantEvent),
    /// It says nothing about the grant.
    TryLater(TokenError),
}
