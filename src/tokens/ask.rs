//! What is asked, what is handed out, and why not.

use std::time::Duration;

use super::held::HeldGrants;
use crate::clock::Timestamp;
use crate::google::ClientFault;
use crate::grant::GrantState;
use crate::ids::{ClientName, OAuthClientId, UserId};
use crate::scopes::ScopeSet;
use crate::secret::AccessToken;
use crate::vault::VaultError;

/// How long a token is good for when the caller does not say: Google's own libraries refresh at 225
/// or 300 seconds before the end, so a shorter rest would make them ask again at once.
pub const DEFAULT_MIN_TTL: i64 = 300;
/// The longest rest a caller may ask for, in seconds. Google's tokens live about an hour.
pub const MAX_MIN_TTL: i64 = 1800;

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

/// Whom a caller means, with what was read to find out. For one request only: it is not told of changes.
#[derive(Clone, Debug)]
pub struct Person {
    /// The person's row.
    pub id: UserId,
    pub(super) held: Option<HeldGrants>,
}

impl From<UserId> for Person {
    fn from(id: UserId) -> Self {
        Self { id, held: None }
    }
}

/// Which token is asked for.
#[derive(Clone, Debug)]
pub struct TokenRequest<'a> {
    /// Whose.
    pub person: Person,
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
    /// What it opens.
    pub scopes: ScopeSet,
    /// Google could not be asked for a fresher one.
    pub stale: bool,
    /// Where it came from.
    pub source: TokenSource,
    /// When Google gave it.
    pub obtained_at: Timestamp,
}

/// Why there is no token, by what the caller can do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// No such user or grant within the caller's reach.
    #[error("no such user or grant within reach")]
    NotFound,
    /// The user has no grant with the client that was named.
    #[error("no grant with this client")]
    NoGrant,
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
