//! One flight: from what the vault holds to a token that meets the goal.

use std::sync::Arc;
use std::time::Duration;

use super::pauses::Pause;
use super::{Goal, HandedToken, Inner, RETRY_AFTER, TokenError, TokenSource};
use crate::config::Client;
use crate::events::{Actor, Kind, NewEvent};
use crate::google::{ClientCredentials, ClientFault, GoogleError, TokenAnswer};
use crate::grant::{BlockCause, ConsentCause, DeathCause, GrantEvent, GrantState};
use crate::ids::GrantId;
use crate::metrics::RefreshOutcome;
use crate::provider::ProviderError;
use crate::scopes::ScopeSet;
use crate::vault::{AccessChange, Grant, GrantChange, RefreshChange, VaultError};

/// How often, and each time how long, a full queue of writes is waited for: 5 s in all.
const BUSY_WAITS: u32 = 50;
const BUSY_PAUSE: Duration = Duration::from_millis(100);

/// How a flight ended.
#[derive(Clone, Debug)]
pub(super) struct Landed {
    pub(super) outcome: Result<HandedToken, TokenError>,
    /// Whether Google was asked (or is not to be asked now), rather than what is stored told.
    pub(super) asked: bool,
}

impl Inner {
    /// The work of a flight. An outcome that is not the row's own any more (the person connected anew
    /// or is being forgotten) is discarded, and the row is looked at again.
    pub(super) async fn refresh(
        self: Arc<Self>,
        id: GrantId,
        narrow: Option<ScopeSet>,
        goal: Goal,
    ) -> Landed {
        let mut asked = false;
        loop {
            let (grant, client) = match self.look(id, narrow.as_ref(), goal).await {
                Ok((grant, client, None)) => (grant, client),
                Ok((.., Some(token))) => return Landed { outcome: Ok(token), asked },
                Err(error) => return Landed { outcome: Err(error), asked },
            };
            asked = true;
            let outcome = match self.ask_google(&grant, client, narrow.as_ref()).await {
                Ok(answer) => self.accept(grant, answer, narrow.clone()).await,
                Err(Refusal::Grant(event)) => self.settle(grant, event).await,
                Err(Refusal::TryLater(error)) => {
                    self.drop_refused(&grant, narrow.clone(), goal).await.map_err(Into::into).and(Err(error))
                }
            };
            match outcome {
                Ok(Some(token)) => return Landed { outcome: Ok(token), asked },
                Ok(None) => self.metrics.refreshed(RefreshOutcome::Discarded),
                Err(error) => return Landed { outcome: Err(error), asked },
            }
        }
    }

    /// The grant as the vault has it, if it may be tried, and the token that will do without asking
    /// Google: another flight may have landed since the caller looked.
    async fn look(
        &self,
        id: GrantId,
        narrow: Option<&ScopeSet>,
        goal: Goal,
    ) -> Result<(Grant, &Client, Option<HandedToken>), TokenError> {
        let grant = self.vault.load_grant(id).await?.ok_or(TokenError::NotFound)?;
        let Some(client) = self.config.client_by_id(&grant.client_id) else {
            return Err(self.unusable(&grant, grant.state.seen_without_client()));
        };
        if !may_be_tried(grant.state, goal) {
            return Err(self.unusable(&grant, grant.state));
        }
        let stored = match narrow {
            None => self.stored(&grant)?,
            Some(narrow) => self.narrowed.get(&(grant.id, grant.token_generation, narrow.clone())),
        };
        let token = stored.filter(|token| token.meets(goal, self.clock.now()));
        Ok((grant, client, token))
    }

    async fn ask_google(
        &self,
        grant: &Grant,
        client: &Client,
        narrow: Option<&ScopeSet>,
    ) -> Result<TokenAnswer, Refusal> {
        let paused = |fault, retry_after| {
            Refusal::TryLater(match fault {
                Some(fault) => TokenError::ClientPaused { client: client.name.clone(), fault, retry_after },
                None => TokenError::GoogleUnavailable { retry_after },
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
        let now = self.clock.now();
        let key = (grant.id, grant.token_generation);
        // The grant first: one that is held back must not use up its client's probe.
        self.troubled.pass(&key, now).map_err(|pause| paused(pause.fault, pause.retry_after(now)))?;
        self.pauses
            .pass(&grant.client_id, now)
            .map_err(|pause| paused(Some(pause.fault), pause.retry_after(now)))?;
        let credentials =
            ClientCredentials { client_id: client.client_id.clone(), secrets: client.secrets.clone() };
        let answer = self.google.refresh(&endpoints, &credentials, &refresh_token, narrow).await;
        self.metrics.refreshed(outcome_of(&answer));
        let now = self.clock.now();
        let accepted = || {
            self.troubled.end(&key);
            self.client_accepted(client);
        };
        let error = match answer {
            Ok(answer) => {
                accepted();
                return Ok(answer);
            }
            Err(error) => error,
        };
        tracing::info!(grant = grant.id.0, client = %client.name, %error, "a refresh was refused or failed");
        let event = match error {
            // Said of a refresh token of another client too, so it stands for this grant alone.
            GoogleError::ClientFault(fault @ ClientFault::Unauthorized) => {
                let (pause, _) = self.troubled.begin(&key, Some(fault), now);
                return Err(paused(pause.fault, pause.retry_after(now)));
            }
            GoogleError::ClientFault(fault) => {
                let pause = self.client_refused(client, fault);
                return Err(paused(Some(pause.fault), pause.retry_after(now)));
            }
            GoogleError::Unavailable { retry_after, .. } => {
                return Err(paused(None, retry_after.unwrap_or(RETRY_AFTER)));
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
            // Refusals that say nothing about the grant's state, and would come again at once.
            GoogleError::ScopeRefused | GoogleError::CodeRefused(_) | GoogleError::Refused { .. } => {
                let (pause, _) = self.troubled.begin(&key, None, now);
                return Err(paused(None, pause.retry_after(now)));
            }
            // As good as no answer.
            GoogleError::NotAnAnswer | GoogleError::Discovery(_) | GoogleError::Keys(_) => {
                return Err(paused(None, RETRY_AFTER));
            }
        };
        accepted();
        Err(Refusal::Grant(event))
    }

    /// Google has taken the client's credentials.
    pub(super) fn client_accepted(&self, client: &Client) {
        if self.pauses.end(&client.client_id) {
            tracing::info!(client = %client.name, "Google accepts the OAuth client again");
            let event = NewEvent::new(Kind::ClientResumed, &Actor::locum());
            self.events.note(event.client(&client.client_id));
        }
    }

    /// Google has refused the client itself.
    pub(super) fn client_refused(&self, client: &Client, fault: ClientFault) -> Pause<ClientFault> {
        let (pause, news) = self.pauses.begin(&client.client_id, fault, self.clock.now());
        if news {
            tracing::error!(client = %client.name, %fault, "Google refuses the OAuth client; its refreshes are paused until that is mended");
            let event = NewEvent::new(Kind::ClientPaused, &Actor::locum());
            self.events.note(event.client(&client.client_id).with("cause", fault.code()));
        }
        pause
    }

    /// Writes Google's answer back and hands its token out; `None` when it is not the row's any more.
    async fn accept(
        &self,
        grant: Grant,
        answer: TokenAnswer,
        narrow: Option<ScopeSet>,
    ) -> Result<Option<HandedToken>, TokenError> {
        let now = self.clock.now();
        let expires_at = now.plus(answer.expires_in);
        let token = |scopes: &ScopeSet| HandedToken {
            access_token: answer.access_token.clone(),
            expires_at,
            scopes: scopes.clone(),
            stale: false,
            source: TokenSource::Google,
            obtained_at: now,
        };
        let refresh = match (&answer.refresh_token, answer.refresh_token_expires_in) {
            (Some(token), lives) => RefreshChange::Replace {
                token: token.clone(),
                expires_at: lives.map(|seconds| now.plus(seconds)),
            },
            (None, Some(seconds)) => RefreshChange::Expires(now.plus(seconds)),
            (None, None) => RefreshChange::Keep,
        };
        // While an access token is stored, `refreshed_at` is the time it was obtained at.
        let refreshed = narrow.is_none() || grant.access_expires_at.is_none_or(|end| end <= now);
        let mut change = GrantChange { refresh, refreshed, ..GrantChange::default() };
        if narrow.is_none() {
            change.scopes = answer.scope.clone();
            change.access = AccessChange::Replace { token: answer.access_token.clone(), expires_at };
        }
        let Some(grant) = self.write_back(grant, GrantEvent::Refreshed, change).await? else {
            return Ok(None);
        };
        let Some(narrow) = narrow else { return Ok(Some(token(&grant.scopes))) };
        let opens = answer.scope.as_ref().unwrap_or(&narrow);
        if !opens.is_subset(&narrow) {
            return Err(TokenError::ScopeWithheld);
        }
        let handed = token(opens);
        let kept = HandedToken { source: TokenSource::Memory, ..handed.clone() };
        self.narrowed.insert((grant.id, grant.token_generation, narrow), kept);
        Ok(Some(handed))
    }

    /// Writes down what Google said of the grant and tells the caller; `None` when it was not said of
    /// the row as it is by now.
    async fn settle(&self, grant: Grant, event: GrantEvent) -> Result<Option<HandedToken>, TokenError> {
        match self.write_back(grant, event, GrantChange::default()).await? {
            Some(settled) => Err(self.unusable(&settled, settled.state)),
            None => Ok(None),
        }
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
        let (mut current, mut waits) = (grant, 0);
        loop {
            let Some(state) = current.state.after(event) else { return Ok(None) };
            let before = current.state;
            let change = GrantChange { state: Some(state), ..change.clone() };
            match self.vault.update_grant(&current, change).await {
                Err(VaultError::Conflict) => {}
                // What Google said is worth a wait: a provider that rotates says it once.
                Err(VaultError::Busy) if waits < BUSY_WAITS => {
                    waits += 1;
                    self.clock.sleep(BUSY_PAUSE).await;
                }
                outcome => {
                    self.users.drop_key(&user);
                    if outcome.is_ok() && state != before {
                        self.events.tell_state(&current, state);
                    }
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
            let key = (grant.id, grant.token_generation, narrow);
            if self.narrowed.get(&key).is_some_and(|token| goal.is_refused(&token.access_token)) {
                self.narrowed.remove(&key);
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
            scopes: grant.scopes.clone(),
            stale: false,
            source: TokenSource::Vault,
            obtained_at: grant.refreshed_at,
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
