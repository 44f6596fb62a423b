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
mod round;

use std::sync::Arc;

use url::Url;

pub use self::links::{LinkId, LinkOrder, LinkView, MadeLink, OpenLink};
pub use self::pending::{End, Ended, LIFETIME};

use self::codes::Codes;
use self::pending::Pending;
use super::{Exchanged, NamedPerson, SignIn, SignInError};
use crate::clock::Clock;
use crate::config::{Config, ReturnAddress};
use crate::events::{Actor, Events};
use crate::google::pkce;
use crate::ids::{ClientName, Email};
use crate::lifecycle::Lifecycle;
use crate::metrics::Metrics;
use crate::provider::Provider;
use crate::rng::Rng;
use crate::scopes::ScopeSet;
use crate::secret::{AuthorizationCode, CodeVerifier, SecretText};
use crate::vault::{Vault, VaultError};

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
    /// Whether it is the owner's, who wants to open the dashboard: then nobody is connected by it.
    pub for_dashboard: bool,
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
    /// To the dashboard: the owner has said who they are.
    Owner {
        /// The sign-in's public name; its cookie is of no use any more.
        id: String,
        /// The address that is listed for it.
        email: Email,
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
    /// Who brought it.
    pub actor: Actor,
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
    events: Events,
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
    /// What is told.
    pub events: Events,
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
        let WebFlowParts { config, vault, provider, sign_in, metrics, events, clock, lifecycle, rng } = parts;
        let pending = Pending::new(clock.clone(), rng.clone());
        let codes = Codes::new(clock.clone(), rng.clone());
        Self(Arc::new(Inner {
            config,
            vault,
            provider,
            sign_in,
            metrics,
            events,
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
        Ok(Ask {
            client,
            return_to,
            challenge: challenge.map(str::to_owned),
            person: None,
            scopes: None,
            for_dashboard: false,
        })
    }

    /// What the owner asks for at the dashboard.
    ///
    /// # Errors
    /// [`WebError::NotConfigured`] where the configuration lists no account for it.
    pub fn ask_of_owner(&self) -> Result<Ask, WebError> {
        let client = self.0.config.dashboard.google().ok_or(WebError::NotConfigured)?;
        let client = self.0.client(Some(client.clone()))?.name.clone();
        Ok(Ask { client, return_to: None, challenge: None, person: None, scopes: None, for_dashboard: true })
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
