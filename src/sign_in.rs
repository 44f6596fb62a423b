//! From a code to a verified user and a grant.
//!
//! What must stay true:
//!
//! - a code goes to Google once, whatever clients do: requests that come while the first is under
//!   way wait for its answer or are refused, and what Google said of it is remembered for an hour;
//! - nothing is stored before the ID token is verified and the person is allowed;
//! - the person, the grant and the remembered answer are one commit, and the answer leaves only after
//!   it is on disk;
//! - a stored refresh token is never replaced by none, nor by one of fewer scopes while it works, and
//!   the grant's scopes are those of the refresh token it has;
//! - the exchange runs as a task of its own: a caller that goes away cancels nothing.

mod answer;
mod claims;
mod decide;
mod exchange;
pub mod own_account;
mod owner;
mod renew;
pub mod web_flow;

use std::sync::Arc;
use std::time::Duration;

pub use self::answer::{ExchangeAnswer, Warning};
pub use self::renew::Renewed;

use self::claims::Claims;
use crate::clock::Clock;
use crate::config::{Config, Source};
use crate::events::Events;
use crate::google::{ClientFault, CodeRefusal, Google, GoogleError, IdTokenError};
use crate::grant::BlockCause;
use crate::ids::{ClientName, Email, Sub, UserId};
use crate::lifecycle::Lifecycle;
use crate::metrics::ExchangeOutcome;
use crate::provider::{Provider, ProviderError};
use crate::secret::{AuthorizationCode, CodeVerifier};
use crate::tokens::Tokens;
use crate::vault::{Vault, VaultError};

/// What an app posts.
#[derive(Clone, Debug)]
pub struct ExchangeRequest {
    /// The code.
    pub code: AuthorizationCode,
    /// Which client; may be left out where only one is configured.
    pub client: Option<ClientName>,
    /// Where the code came from; may be left out where the client has only one source.
    pub source: Option<Source>,
    /// PKCE's verifier, if the authorization request had a challenge.
    pub code_verifier: Option<CodeVerifier>,
    /// The nonce that the ID token must carry.
    pub nonce: Option<String>,
    /// The `redirect_uri` of the authorization request; must be configured.
    pub redirect_uri: Option<String>,
    /// The `Idempotency-Key` header.
    pub idempotency_key: Option<String>,
}

/// A person by the name under which they are awaited.
#[derive(Clone, PartialEq, Eq)]
pub enum NamedPerson {
    /// By Google's id; the address is for people to read.
    Sub(Sub, Option<Email>),
    /// By an address, which Google must have verified.
    Email(Email),
}

/// Personal data has no place in logs.
impl std::fmt::Debug for NamedPerson {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NamedPerson(…)")
    }
}

impl NamedPerson {
    /// The name itself: what Google takes as `login_hint`.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Sub(sub, _) => sub.as_str(),
            Self::Email(email) => email.as_str(),
        }
    }

    /// The name that people know.
    pub fn shown(&self) -> &str {
        match self {
            Self::Sub(_, Some(email)) | Self::Email(email) => email.as_str(),
            Self::Sub(sub, None) => sub.as_str(),
        }
    }
}

/// A redeemed code.
#[derive(Clone, Debug)]
pub struct Exchanged {
    /// What the app is told.
    pub answer: ExchangeAnswer,
    /// Whose it was.
    pub user: UserId,
    /// The epoch a new session carries.
    pub session_epoch: i64,
    /// The client.
    pub client: ClientName,
}

/// Why a code was not redeemed or a session not renewed, by what can be done about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignInError {
    /// There is no code in the request.
    #[error("no code")]
    CodeMissing,
    /// The code is still percent-encoded.
    #[error("the code is still percent-encoded")]
    CodeEncoded,
    /// What was sent cannot be a code.
    #[error("not a code: {0}")]
    CodeMalformed(&'static str),
    /// The configuration has no client of this name.
    #[error("unknown client")]
    UnknownClient {
        /// The configured ones.
        known: Vec<ClientName>,
    },
    /// Several clients are configured; name one.
    #[error("a client must be named")]
    ClientRequired {
        /// The configured ones.
        clients: Vec<ClientName>,
    },
    /// The client has several sources of codes; name one.
    #[error("a source must be named")]
    SourceRequired {
        /// The client.
        client: ClientName,
        /// Its sources.
        sources: Vec<Source>,
    },
    /// The client is not configured for codes from this source.
    #[error("the client has no such source")]
    SourceNotAllowed {
        /// The client.
        client: ClientName,
        /// Its sources.
        sources: Vec<Source>,
    },
    /// The `redirect_uri` is not among the configured ones, or one is needed.
    #[error("the redirect_uri is not configured")]
    RedirectUriNotAllowed,
    /// The idempotency key was used for another request.
    #[error("the idempotency key was used for another request")]
    IdempotencyKeyReused,
    /// The code was redeemed already, or is being redeemed.
    #[error("the code is spent")]
    CodeSpent,
    /// Google refused the code.
    #[error("Google refused the code: {0}")]
    CodeRefused(CodeRefusal),
    /// Google sent no ID token: no identity scope was granted.
    #[error("Google sent no ID token")]
    NoIdToken,
    /// The ID token was refused.
    #[error("the ID token was refused: {0}")]
    IdTokenRefused(IdTokenError),
    /// The person is not on the list.
    #[error("the person is not allowed")]
    UserNotAllowed,
    /// Not one of the accounts that may open the dashboard, or an address that Google has not verified.
    #[error("the account may not open the dashboard")]
    OwnerNotListed,
    /// Somebody else than the person whom the sign-in was for.
    #[error("another account than the one the sign-in was for")]
    WrongAccount,
    /// Nobody of this `sub` is connected.
    #[error("not connected")]
    NotConnected,
    /// A set-up at Google forbids it.
    #[error("blocked at Google: {}", .0.code())]
    Blocked(BlockCause),
    /// Google refuses the OAuth client itself.
    #[error("Google refuses the client: {fault}")]
    ClientFault {
        /// The client.
        client: ClientName,
        /// What Google says.
        fault: ClientFault,
    },
    /// Google refused for another reason.
    #[error("Google refused: {error}")]
    GoogleRefused {
        /// Google's error word.
        error: String,
    },
    /// Google gave no usable answer.
    #[error("Google is unavailable")]
    GoogleUnavailable {
        /// When to try again, if Google said so.
        retry_after: Option<Duration>,
        /// Whether Google may have carried out the exchange all the same.
        code_may_be_spent: bool,
    },
    /// There are no keys to verify ID tokens with.
    #[error("no keys to verify the ID token with")]
    KeysUnavailable {
        /// Whether a code was exchanged before this was found out.
        code_spent: bool,
    },
    /// The vault failed.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The work was torn down.
    #[error("the work was interrupted")]
    Interrupted,
}

impl SignInError {
    fn from_google(error: GoogleError, client: &ClientName) -> Self {
        match error {
            GoogleError::CodeRefused(refusal) => Self::CodeRefused(refusal),
            GoogleError::Unavailable { retry_after, outcome_unknown, .. } => {
                Self::GoogleUnavailable { retry_after, code_may_be_spent: outcome_unknown }
            }
            // A success that is no token answer: the code is spent and nothing came of it.
            GoogleError::NotAnAnswer => {
                Self::GoogleUnavailable { retry_after: None, code_may_be_spent: true }
            }
            GoogleError::Blocked(cause) => Self::Blocked(cause),
            GoogleError::ClientFault(fault) => Self::ClientFault { client: client.clone(), fault },
            GoogleError::Refused { error } => Self::GoogleRefused { error },
            GoogleError::ScopeRefused => Self::GoogleRefused { error: "invalid_scope".into() },
            GoogleError::GrantDead(_) | GoogleError::NeedsUser(_) => {
                Self::CodeRefused(CodeRefusal::SpentOrExpired)
            }
            GoogleError::Discovery(_) | GoogleError::Keys(_) => {
                Self::GoogleUnavailable { retry_after: None, code_may_be_spent: false }
            }
        }
    }

    /// Before the code was sent.
    fn from_discovery(error: ProviderError) -> Self {
        match error {
            ProviderError::Unavailable(GoogleError::Unavailable { retry_after, .. }) => {
                Self::GoogleUnavailable { retry_after, code_may_be_spent: false }
            }
            ProviderError::Unavailable(_) => {
                Self::GoogleUnavailable { retry_after: None, code_may_be_spent: false }
            }
            ProviderError::IdToken(error) => Self::IdTokenRefused(error),
            ProviderError::Interrupted => Self::Interrupted,
        }
    }

    fn from_verification(error: ProviderError, code_spent: bool) -> Self {
        match error {
            ProviderError::IdToken(error) => Self::IdTokenRefused(error),
            ProviderError::Unavailable(_) => Self::KeysUnavailable { code_spent },
            ProviderError::Interrupted => Self::Interrupted,
        }
    }
}

/// As what an exchange is counted.
pub fn outcome_of(error: Option<&SignInError>) -> ExchangeOutcome {
    match error {
        None => ExchangeOutcome::Connected,
        Some(SignInError::UserNotAllowed) => ExchangeOutcome::NotAllowed,
        Some(SignInError::ClientFault { .. }) => ExchangeOutcome::ClientFault,
        Some(SignInError::GoogleUnavailable { .. } | SignInError::KeysUnavailable { .. }) => {
            ExchangeOutcome::Unavailable
        }
        Some(SignInError::Vault(_) | SignInError::Interrupted) => ExchangeOutcome::VaultFailed,
        Some(_) => ExchangeOutcome::Refused,
    }
}

/// Signs people in. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SignIn(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Arc<Config>,
    vault: Vault,
    google: Google,
    provider: Provider,
    tokens: Tokens,
    events: Events,
    clock: Clock,
    lifecycle: Lifecycle,
    claims: Claims,
}

/// What the road of a code is made of.
#[derive(Debug)]
pub struct SignInParts {
    /// The configuration.
    pub config: Arc<Config>,
    /// The vault.
    pub vault: Vault,
    /// Google.
    pub google: Google,
    /// Discovery and keys.
    pub provider: Provider,
    /// The road to tokens.
    pub tokens: Tokens,
    /// What is told.
    pub events: Events,
    /// The time.
    pub clock: Clock,
    /// Tasks.
    pub lifecycle: Lifecycle,
}

impl SignIn {
    /// Nothing is loaded.
    pub fn new(parts: SignInParts) -> Self {
        let SignInParts { config, vault, google, provider, tokens, events, clock, lifecycle } = parts;
        let claims = Claims::default();
        Self(Arc::new(Inner { config, vault, google, provider, tokens, events, clock, lifecycle, claims }))
    }
}
