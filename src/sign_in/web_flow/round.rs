//! One round through Google's page: what is asked for, and what comes of it.

use super::pending::{Ended, Found, Opened, Waiting};
use super::{Ask, Begun, Callback, Completed, Inner, Success, WebError};
use crate::config::{Client, Source};
use crate::events::{Kind, NewEvent};
use crate::google::{AuthorizationRequest, pkce};
use crate::ids::{ClientName, Email};
use crate::scopes::ScopeSet;
use crate::secret::AuthorizationCode;
use crate::sign_in::exchange::Terms;
use crate::sign_in::owner::OwnerCode;
use crate::sign_in::{ExchangeRequest, Exchanged, NamedPerson, SignInError, outcome_of};
use crate::vault::Grant;

/// Without them nobody could tell who signed in.
fn identity() -> ScopeSet {
    ScopeSet::parse("openid email")
}

impl Inner {
    /// The client of this name, or the only one that browsers can use; set up for it.
    pub(super) fn client(&self, name: Option<ClientName>) -> Result<&Client, WebError> {
        let names = || self.config.clients.iter().map(|client| client.name.clone()).collect();
        let client = match name {
            Some(name) => {
                self.config.client(&name).ok_or_else(|| SignInError::UnknownClient { known: names() })?
            }
            None => {
                let mut usable =
                    self.config.clients.iter().filter(|client| client.sources.contains(&Source::Web));
                match (usable.next(), usable.next()) {
                    (Some(only), None) => only,
                    (Some(_), Some(_)) => Err(SignInError::ClientRequired { clients: names() })?,
                    (None, _) => return Err(WebError::NotConfigured),
                }
            }
        };
        let ready = client.sources.contains(&Source::Web) && self.config.server.public_url.is_some();
        if ready { Ok(client) } else { Err(WebError::NotConfigured) }
    }

    /// What to ask for, and whether the person must be asked although they may have agreed before.
    pub(super) async fn scopes_for(&self, client: &Client, ask: &Ask) -> Result<(ScopeSet, bool), WebError> {
        if ask.for_dashboard {
            return Ok((identity(), false));
        }
        let wanted = wanted(client, ask);
        let Some(person) = &ask.person else {
            // Nobody knows who will come. If nothing lasting comes of it, the person is asked once more.
            return Ok((wanted, false));
        };
        let usable = |grant: &Grant| grant.has_refresh_token() && grant.state.is_usable();
        match self.grant_of(person, client).await?.filter(usable) {
            None => Ok((wanted, true)),
            Some(grant) => {
                let missing = wanted.minus(&grant.scopes);
                Ok((if missing.is_empty() { wanted } else { missing.union(&identity()) }, false))
            }
        }
    }

    async fn grant_of(&self, person: &NamedPerson, client: &Client) -> Result<Option<Grant>, WebError> {
        let grants = match person {
            NamedPerson::Sub(sub, _) => self.vault.load_grants_by_sub(sub).await?.whole()?,
            NamedPerson::Email(email) => match self.vault.find_users_by_email(email).await?.as_slice() {
                [only] => self.vault.load_grants_of(*only).await?.whole()?,
                _ => Vec::new(),
            },
        };
        Ok(grants.into_iter().find(|grant| grant.client_id == client.client_id))
    }

    pub(super) async fn begin(
        &self,
        client: &Client,
        ask: Ask,
        asked: ScopeSet,
        forced: bool,
        hint: Option<&NamedPerson>,
    ) -> Result<Begun, WebError> {
        let callback = self.config.server.sign_in_callback().ok_or(WebError::NotConfigured)?;
        let endpoints = self.provider.endpoints().await.map_err(SignInError::from_discovery)?;
        let waiting = Waiting {
            ask,
            asked,
            verifier: pkce::new_verifier(&self.rng),
            nonce: self.rng.token(16),
            forced,
        };
        let Opened { id, state, browser } = self.pending.open(waiting.clone());
        let location = AuthorizationRequest {
            client_id: &client.client_id,
            redirect_uri: callback.as_str(),
            scopes: &waiting.asked,
            state: state.expose(),
            nonce: &waiting.nonce,
            challenge: &pkce::challenge(&waiting.verifier),
            offline: !waiting.ask.for_dashboard,
            login_hint: hint.map(NamedPerson::as_str),
            force_consent: forced,
            // Who says who they are grants nothing, and is not asked for it.
            incremental: !waiting.ask.for_dashboard,
        }
        .url(&endpoints);
        Ok(Begun { id, browser, location })
    }

    pub(super) async fn complete(&self, callback: Callback) -> Result<Completed, WebError> {
        let id = callback.state.split('.').next().unwrap_or_default().to_owned();
        let waiting = match self.pending.claim(&callback.state, callback.browser.as_ref())? {
            Found::Waiting(waiting) => *waiting,
            Found::Known => return Ok(Completed::End { id }),
        };
        let ask = waiting.ask.clone();
        if ask.for_dashboard {
            let actor = callback.actor.clone();
            return Ok(match self.identify(waiting, callback).await {
                Ok(email) => {
                    self.pending.close(&id, Ended { ask, outcome: Err(WebError::Expired) });
                    Completed::Owner { id, email }
                }
                Err(error) => {
                    tracing::warn!(%error, "nobody was signed in to the dashboard with Google");
                    if matches!(error, WebError::SignIn(SignInError::OwnerNotListed)) {
                        let event = NewEvent::new(Kind::DashboardRefused, &actor);
                        self.events.note_seldom(event.with("by", "google"));
                    }
                    self.pending.close(&id, Ended { ask, outcome: Err(error) });
                    Completed::End { id }
                }
            });
        }
        match self.redeem(waiting, callback).await {
            Err(error) => {
                self.pending.close(&id, Ended { ask, outcome: Err(error) });
                Ok(Completed::End { id })
            }
            Ok(Redeemed::OnceMore(begun)) => {
                self.pending.close(&id, Ended { ask, outcome: Err(WebError::Expired) });
                Ok(Completed::OnceMore { id, begun })
            }
            Ok(Redeemed::Connected(exchanged, success)) => {
                let location = ask.return_to.as_ref().map(|back| match &ask.challenge {
                    Some(challenge) => {
                        back.with("locum_code", self.codes.issue(challenge, *exchanged).expose())
                    }
                    None => back.as_url().clone(),
                });
                self.pending.close(&id, Ended { ask, outcome: Ok(success) });
                Ok(match location {
                    Some(location) => Completed::Return { id, location },
                    None => Completed::End { id },
                })
            }
        }
    }

    async fn identify(&self, waiting: Waiting, callback: Callback) -> Result<Email, WebError> {
        let Waiting { ask, verifier, nonce, .. } = waiting;
        let code = code_of(callback)?;
        let own = self.config.server.sign_in_callback().ok_or(WebError::NotConfigured)?;
        let client = self.client(Some(ask.client))?;
        let came = OwnerCode { code, redirect_uri: own.into(), verifier, nonce: &nonce };
        Ok(self.sign_in.identify_owner(client, came).await?)
    }

    async fn redeem(&self, waiting: Waiting, callback: Callback) -> Result<Redeemed, WebError> {
        let Waiting { ask, asked, verifier, nonce, forced } = waiting;
        let actor = callback.actor.clone();
        let code = code_of(callback)?;
        let own = self.config.server.sign_in_callback().ok_or(WebError::NotConfigured)?;
        let request = ExchangeRequest {
            code,
            client: Some(ask.client.clone()),
            source: Some(Source::Web),
            code_verifier: Some(verifier),
            nonce: Some(nonce),
            redirect_uri: Some(own.into()),
            idempotency_key: None,
        };
        let terms = Terms { person: ask.person.clone(), asked: Some(asked) };
        let outcome = self.sign_in.redeem_on(request, terms, &actor).await;
        self.metrics.exchanged(outcome_of(outcome.as_ref().err()));
        let exchanged = outcome?;
        let client = self.client(Some(ask.client.clone()))?;
        let answer = &exchanged.answer;
        if !answer.offline_access && !forced {
            let person = NamedPerson::Sub(answer.user.id.clone(), None);
            let scopes = wanted(client, &ask);
            return Ok(Redeemed::OnceMore(self.begin(client, ask, scopes, true, Some(&person)).await?));
        }
        let success = Success {
            email: answer.user.email.clone(),
            missing: wanted(client, &ask).minus(&answer.scopes),
            offline: answer.offline_access,
        };
        Ok(Redeemed::Connected(Box::new(exchanged), success))
    }
}

/// What Google sent the browser back with.
fn code_of(callback: Callback) -> Result<AuthorizationCode, WebError> {
    match (callback.error, callback.code) {
        (Some(error), _) => Err(refused(&error)),
        (None, code) => Ok(code.ok_or(SignInError::CodeMissing)?),
    }
}

/// What one visit of Google's page has brought.
enum Redeemed {
    Connected(Box<Exchanged>, Success),
    OnceMore(Begun),
}

pub(super) fn wanted(client: &Client, ask: &Ask) -> ScopeSet {
    ask.scopes.as_ref().unwrap_or(&client.scopes).union(&identity())
}

/// Google's errors in the address (RFC 6749 §4.1.2.1, and some of its own).
fn refused(error: &str) -> WebError {
    use crate::grant::BlockCause;

    match error {
        "access_denied" => WebError::Denied,
        "admin_policy_enforced" => SignInError::Blocked(BlockCause::AdminPolicy).into(),
        "org_internal" => SignInError::Blocked(BlockCause::OrgInternal).into(),
        "temporarily_unavailable" | "server_error" => {
            SignInError::GoogleUnavailable { retry_after: None, code_may_be_spent: false }.into()
        }
        // It came through the browser: only what has the form of an error may reach a log or a page.
        other => {
            let plain = other.len() <= 64 && other.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            let error = if plain { other.to_owned() } else { "unknown".to_owned() };
            SignInError::GoogleRefused { error }.into()
        }
    }
}
