//! What went wrong at Google, as what the caller can do about it.
//!
//! Every answer that is not a success goes through `classify`. It must stay true that an outage, a
//! proxy's error page or the owner's own mistake never becomes [`GoogleError::GrantDead`]: only a
//! 4xx answer that says `invalid_grant` to a refresh does. Nothing of Google's text goes into an
//! error except one sanitised word.

use std::time::Duration;

use super::endpoints::DiscoveryFault;
use super::jwks::KeySetError;
use crate::grant::{BlockCause, ConsentCause, DeathCause};

/// Why a call to Google did not give what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GoogleError {
    /// Try again later. Says nothing about the grant, the code or the client.
    #[error("Google is unavailable: {what}")]
    Unavailable {
        /// How long Google asks to wait, if it does.
        retry_after: Option<Duration>,
        /// Whether Google may have carried the request out all the same. After an exchange the code
        /// may then be spent.
        outcome_unknown: bool,
        /// What happened.
        what: Outage,
    },
    /// The refresh token is dead: the person has to sign in again.
    #[error("Google no longer honours the refresh token ({})", .0.code())]
    GrantDead(DeathCause),
    /// The grant lives, but the person has to sign in again before it can be used.
    #[error("Google wants the person to sign in again ({})", .0.code())]
    NeedsUser(ConsentCause),
    /// A setting of Google's or an organisation's stands in the way.
    #[error("a setting at Google blocks the grant ({})", .0.code())]
    Blocked(BlockCause),
    /// The authorization code is not accepted. A new one is needed, or another way of sending it.
    #[error("Google refused the authorization code: {0}")]
    CodeRefused(CodeRefusal),
    /// The owner's OAuth client is wrong at Google or in the configuration. No grant is at fault.
    #[error("Google refused the OAuth client: {0}")]
    ClientFault(ClientFault),
    /// A scope was asked for that the grant does not cover.
    #[error("Google refused the requested scopes: the grant does not cover them")]
    ScopeRefused,
    /// Google refused for a reason that has no meaning of its own here.
    #[error("Google refused the request ({error})")]
    Refused {
        /// Google's error word, at most 64 characters of `[a-z_]`; `unknown` if none was left.
        error: String,
    },
    /// A success whose content is not what the protocol says, or is too large. After an exchange
    /// the code is spent.
    #[error("Google's answer is not one that the protocol allows")]
    NotAnAnswer,
    /// The discovery document cannot be used: `google.issuer` or `google.discovery_url` is wrong.
    #[error("the discovery document cannot be used: {0}")]
    Discovery(DiscoveryFault),
    /// The key set cannot be used; keep the one at hand.
    #[error("the key set cannot be used: {0}")]
    Keys(KeySetError),
}

impl GoogleError {
    /// Whether the same call may succeed later with nothing changed.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

/// Why Google gave no usable answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Outage {
    /// No connection: name resolution, network or TLS. Nothing was sent.
    #[error("no connection ({reason})")]
    Unreachable {
        /// The operating system's or the TLS library's own sentence.
        reason: String,
    },
    /// No complete answer within the time limit.
    #[error("no complete answer within the time limit")]
    TimedOut,
    /// The connection broke before the answer was complete.
    #[error("the connection broke")]
    ConnectionBroke,
    /// Too many requests (429 or one of Google's words for it).
    #[error("too many requests")]
    RateLimited,
    /// A status of 500 and above, 408, or a word that means the same.
    #[error("a failure on Google's side (HTTP status {0})")]
    ServerError(u16),
    /// A redirect, which is never followed: probably a proxy or a captive portal answered.
    #[error("a redirect (HTTP status {0}); something between here and Google answers")]
    Redirected(u16),
    /// An error status without an error of Google's in it: probably not Google that answered.
    #[error("an answer that is not Google's (HTTP status {0}); something between here and Google answers")]
    Unintelligible(u16),
}

/// What is wrong with an authorization code or the way it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum CodeRefusal {
    /// Not a code: truncated, still percent-encoded, or something else.
    #[error("it is malformed, or still percent-encoded")]
    Malformed,
    /// Used before, older than about ten minutes, or issued to another client.
    #[error("it was used before, has expired, or belongs to another client")]
    SpentOrExpired,
    /// The sign-in used PKCE and no verifier came along.
    #[error("its code verifier is missing")]
    VerifierMissing,
    /// The verifier does not belong to the sign-in's challenge.
    #[error("its code verifier is wrong")]
    VerifierWrong,
    /// `redirect_uri` is not the one of the sign-in.
    #[error("the redirect_uri is not the one the code was issued for")]
    RedirectUriMismatch,
}

/// What is wrong with the OAuth client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ClientFault {
    /// Google knows no client of this id.
    #[error("there is no client with this client_id")]
    NotFound,
    /// The secret is wrong or missing.
    #[error("the client secret is wrong or missing")]
    WrongSecret,
    /// The client was deleted; it can be restored for 30 days.
    #[error("the client was deleted")]
    Deleted,
    /// The client was disabled.
    #[error("the client is disabled")]
    Disabled,
    /// The client may not do this, or the token belongs to another client.
    #[error("the client is not authorized for this, or the token belongs to another client")]
    Unauthorized,
}

impl ClientFault {
    /// The stable name.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotFound => "client_not_found",
            Self::WrongSecret => "wrong_secret",
            Self::Deleted => "client_deleted",
            Self::Disabled => "client_disabled",
            Self::Unauthorized => "client_unauthorized",
        }
    }
}

/// Which call an answer belongs to: `invalid_grant` means different things to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// Code for tokens.
    Exchange,
    /// Refresh token for an access token.
    Refresh,
    /// Giving a grant back.
    Revoke,
    /// A public document: discovery or keys.
    Fetch,
}
