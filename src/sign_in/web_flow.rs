//! Signing in by a browser: out to Google, back with a code, and on from there.
//!
//! What must stay true:
//!
//! - a code that comes back goes the one road that every code goes ([`SignIn::redeem`]);
//! - a sign-in belongs to the browser that began it: whoever has no cookie of it can neither end it, nor
//!   learn anything of it, nor be signed in by it;
//! - the browser is sent on only to an address that the configuration allows, exactly as it was checked;
//! - whoever is asked for fewer scopes, or anew, is known by a link that the owner gave out, never by what
//!   the browser says: the address at Google would tell a stranger what somebody has granted.

mod codes;
mod links;
mod pending;
mod recent;

use std::sync::Arc;

use url::Url;

pub use self::links::{LinkId, LinkOrder, LinkView, MadeLink};
pub use self::pending::{End, Ended, LIFETIME};

use self::codes::Codes;
use self::pending::{Found, Opened, Pending, Waiting};
use super::exchange::Terms;
use super::{ExchangeRequest, Exchanged, NamedPerson, SignIn, SignInError, outcome_of};
use crate::clock::Clock;
use crate::config::{Client, Config, ReturnAddress, Source};
use crate::google::{AuthorizationRequest, pkce};
use crate::ids::{ClientName, Email};
use crate::lifecycle::Lifecycle;
use crate::metrics::Metrics;
use crate::provider::Provider;
use crate::rng::Rng;
use crate::scopes::ScopeSet;
use crate::secret::{AuthorizationCode, CodeVerifier, SecretText};
use crate::vault::{Grant, Vault, VaultError};

/// What a sign-in is for.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The client.
    pub client: ClientName,
    /// Where the site wants the browser back; without it the browser stays on a page of locum's.
    pub return_to: Option<ReturnAddress>,
    /// The site's S256 challenge, for a site that wants to know who signed in.
    pub challenge: Option<String>,
    /// The only person who will do.
    pub person: Option<NamedPerson>,
    /// What to ask for instead of the client's scopes.
    pub scopes: Option<ScopeSet>,
}

/// A sign-in that has begun.
pub struct Begun {
    /// Its public name.
    pub id: String,
    /// What the browser keeps in a cookie.
    pub browser: SecretText,
    /// Google's page. Holds the `state`.
    pub location: Url,
}

/// Where the browser goes that came back from Google.
pub enum Completed {
    /// To the page that says how it ended.
    End {
        /// The sign-in's public name.
        id: String,
    },
    /// Back to the site that it came from.
    Return {
        /// The sign-in's public name; its cookie is of no use any more.
        id: String,
        /// The site's own address, with a code where it sent a challenge.
        location: Url,
    },
    /// To Google once more: nothing came that lasts, and only a person who is asked anew brings it.
    OnceMore {
        /// The sign-in that is over.
        id: String,
        /// The one that takes its place.
        begun: Begun,
    },
}

/// What came back with the browser.
#[derive(Debug)]
pub struct Callback {
    /// As it was sent to Google.
    pub state: String,
    /// The code, if Google gave one.
    pub code: Option<AuthorizationCode>,
    /// Google's error, if it gave that.
    pub error: Option<String>,
    /// The cookie of this sign-in, if the browser has it.
    pub browser: Option<SecretText>,
}

/// Somebody is connected.
#[derive(Clone)]
pub struct Success {
    /// Their address.
    pub email: Option<Email>,
    /// What was asked for and not granted.
    pub missing: ScopeSet,
    /// Whether locum can act for them while they are offline.
    pub offline: bool,
}

/// Personal data has no place in logs.
impl std::fmt::Debug for Success {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Success(…)")
    }
}

/// Why a sign-in by a browser did not begin or did not end well.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebError {
    /// The owner has not set it up.
    #[error("sign-in by a browser is not set up for this client")]
    NotConfigured,
    /// The site's address is not on the list.
    #[error("return_to is not allowed")]
    ReturnToNotAllowed,
    /// The site's challenge cannot be one, or nobody would get the code.
    #[error("the challenge cannot be used")]
    ChallengeUnusable,
    /// No such sign-in is under way (any more).
    #[error("no such sign-in is under way")]
    Expired,
    /// It was begun in another browser.
    #[error("the sign-in was begun in another browser")]
    OtherBrowser,
    /// The person said no.
    #[error("the person said no at Google's page")]
    Denied,
    /// The link is unknown, used, withdrawn or over.
    #[error("the connect link is no longer good")]
    LinkGone,
    /// The code of a site is unknown, used or older than a minute.
    #[error("the locum_code is spent or unknown")]
    LocumCodeSpent,
    /// The verifier is not the challenge's.
    #[error("the code_verifier does not belong to the challenge")]
    VerifierWrong,
    /// As with every code.
    #[error(transparent)]
    SignIn(#[from] SignInError),
}

impl From<VaultError> for WebError {
    fn from(error: VaultError) -> Self {
        Self::SignIn(error.into())
    }
}

/// Signs people in by their browsers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct WebFlow(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Arc<Config>,
    vault: Vault,
    provider: Provider,
    sign_in: SignIn,
    metrics: Metrics,
    clock: Clock,
    lifecycle: Lifecycle,
    rng: Rng,
    pending: Pending,
    codes: Codes,
}

/// What the flow is made of.
#[derive(Debug)]
pub struct WebFlowParts {
    /// The configuration.
    pub config: Arc<Config>,
    /// The vault.
    pub vault: Vault,
    /// Discovery.
    pub provider: Provider,
    /// The road of a code.
    pub sign_in: SignIn,
    /// What is counted.
    pub metrics: Metrics,
    /// The time.
    pub clock: Clock,
    /// Tasks.
    pub lifecycle: Lifecycle,
    /// Randomness.
    pub rng: Rng,
}

impl WebFlow {
    /// Nothing is under way.
    pub fn new(parts: WebFlowParts) -> Self {
        let WebFlowParts { config, vault, provider, sign_in, metrics, clock, lifecycle, rng } = parts;
        let pending = Pending::new(clock.clone(), rng.clone());
        let codes = Codes::new(clock.clone(), rng.clone());
        Self(Arc::new(Inner {
            config,
            vault,
            provider,
            sign_in,
            metrics,
            clock,
            lifecycle,
            rng,
            pending,
            codes,
        }))
    }

    /// What a site asks for, checked.
    ///
    /// # Errors
    /// [`WebError::ReturnToNotAllowed`], [`WebError::ChallengeUnusable`], and those of a client that is
    /// unknown, not named, or not set up.
    pub fn ask_of_site(
        &self,
        client: Option<ClientName>,
        return_to: Option<&str>,
        challenge: Option<&str>,
    ) -> Result<Ask, WebError> {
        let client = self.0.client(client)?.name.clone();
        let return_to = match return_to {
            None => None,
            Some(text) => {
                let allowed = &self.0.config.sign_in.return_to;
                let address = ReturnAddress::parse(text)
                    .filter(|address| allowed.iter().any(|entry| entry.allows(address)));
                Some(address.ok_or(WebError::ReturnToNotAllowed)?)
            }
        };
        // S256 makes 43 characters (RFC 7636 §4.2). Without an address back nobody would get the code.
        if challenge.is_some_and(|text| text.len() != 43 || !pkce::is_verifier(text) || return_to.is_none()) {
            return Err(WebError::ChallengeUnusable);
        }
        Ok(Ask { client, return_to, challenge: challenge.map(str::to_owned), person: None, scopes: None })
    }

    /// Begins a sign-in. No call to Google; discovery is fetched if it is not at hand.
    ///
    /// # Errors
    /// As [`WebFlow::ask_of_site`], and when discovery or the vault cannot be read.
    pub async fn begin(&self, ask: Ask) -> Result<Begun, WebError> {
        let client = self.0.client(Some(ask.client.clone()))?;
        let (scopes, force) = self.0.scopes_for(client, &ask).await?;
        let hint = ask.person.clone();
        self.0.begin(client, ask, scopes, force, hint.as_ref()).await
    }

    /// Goes on when the browser is back. Whoever hangs up cancels nothing.
    ///
    /// # Errors
    /// [`WebError::Expired`] and [`WebError::OtherBrowser`]; every other end has a page of its own.
    pub async fn complete(&self, callback: Callback) -> Result<Completed, WebError> {
        let inner = self.0.clone();
        let work = async move { inner.complete(callback).await };
        self.0.lifecycle.run(work).await.unwrap_or(Err(WebError::SignIn(SignInError::Interrupted)))
    }

    /// How a sign-in ended, for the browser that began it; `None` for everybody else and after ten minutes.
    pub fn end(&self, id: &str, browser: Option<&SecretText>) -> Option<End> {
        self.0.pending.end(id, browser)
    }

    /// Who signed in, told to the site that began it.
    ///
    /// # Errors
    /// [`WebError::LocumCodeSpent`], also when the person's sessions were ended since, and
    /// [`WebError::VerifierWrong`].
    pub async fn redeem_locum_code(
        &self,
        code: &str,
        verifier: &CodeVerifier,
    ) -> Result<Exchanged, WebError> {
        let exchanged = self.0.codes.redeem(code, verifier)?;
        let user = self.0.vault.load_user(exchanged.user).await?;
        if user.is_some_and(|user| user.session_epoch == exchanged.session_epoch) {
            Ok(exchanged)
        } else {
            Err(WebError::LocumCodeSpent)
        }
    }
}

/// Without them nobody could tell who signed in.
fn identity() -> ScopeSet {
    ScopeSet::parse("openid email")
}

impl Inner {
    /// The client of this name, or the only one that browsers can use; set up for it.
    fn client(&self, name: Option<ClientName>) -> Result<&Client, WebError> {
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
    async fn scopes_for(&self, client: &Client, ask: &Ask) -> Result<(ScopeSet, bool), WebError> {
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
            NamedPerson::Sub(sub, _) => self.vault.load_grants_by_sub(sub).await?,
            NamedPerson::Email(email) => match self.vault.find_users_by_email(email).await?.as_slice() {
                [only] => self.vault.load_grants_of(*only).await?,
                _ => Vec::new(),
            },
        };
        Ok(grants.into_iter().find(|grant| grant.client_id == client.client_id))
    }

    async fn begin(
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
            login_hint: hint.map(NamedPerson::as_str),
            force_consent: forced,
            incremental: true,
        }
        .url(&endpoints);
        Ok(Begun { id, browser, location })
    }

    async fn complete(&self, callback: Callback) -> Result<Completed, WebError> {
        let id = callback.state.split('.').next().unwrap_or_default().to_owned();
        let waiting = match self.pending.claim(&callback.state, callback.browser.as_ref())? {
            Found::Waiting(waiting) => *waiting,
            Found::Known => return Ok(Completed::End { id }),
        };
        let ask = waiting.ask.clone();
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

    async fn redeem(&self, waiting: Waiting, callback: Callback) -> Result<Redeemed, WebError> {
        let Waiting { ask, asked, verifier, nonce, forced } = waiting;
        let code = match (callback.error, callback.code) {
            (Some(error), _) => return Err(refused(&error)),
            (None, code) => code.ok_or(SignInError::CodeMissing)?,
        };
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
        let outcome = self.sign_in.redeem_on(request, terms).await;
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

/// What one visit of Google's page has brought.
enum Redeemed {
    Connected(Box<Exchanged>, Success),
    OnceMore(Begun),
}

fn wanted(client: &Client, ask: &Ask) -> ScopeSet {
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
