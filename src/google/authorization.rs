//! The address at Google where a person gives consent, or says who they are (RFC 6749 §4.1.1, OpenID Connect Core §3.1.2.1).

use url::Url;

use super::Endpoints;
use crate::ids::OAuthClientId;
use crate::scopes::ScopeSet;

/// An authorization request.
#[derive(Clone, Debug)]
pub struct AuthorizationRequest<'a> {
    /// The client.
    pub client_id: &'a OAuthClientId,
    /// Where the browser comes back to; registered, byte for byte.
    pub redirect_uri: &'a str,
    /// What is asked for.
    pub scopes: &'a ScopeSet,
    /// Comes back with the browser.
    pub state: &'a str,
    /// Comes back in the ID token.
    pub nonce: &'a str,
    /// PKCE's S256.
    pub challenge: &'a str,
    /// Whether a refresh token is wanted; else the person is only to say who they are, and is asked with
    /// which account.
    pub offline: bool,
    /// Whom Google should offer first: an address or a `sub`.
    pub login_hint: Option<&'a str>,
    /// Whether the person is asked even if they have agreed before: only then does Google send another
    /// refresh token.
    pub force_consent: bool,
    /// Whether the new tokens cover what was granted to the project before, too.
    pub incremental: bool,
}

impl AuthorizationRequest<'_> {
    /// The whole address. Parameters of the endpoint's own are kept.
    pub fn url(&self, endpoints: &Endpoints) -> Url {
        let mut url = endpoints.authorization.clone();
        let mut query = url.query_pairs_mut();
        query
            .append_pair("client_id", self.client_id.as_str())
            .append_pair("redirect_uri", self.redirect_uri)
            .append_pair("response_type", "code")
            .append_pair("scope", &self.scopes.to_string())
            .append_pair("access_type", if self.offline { "offline" } else { "online" })
            .append_pair("state", self.state)
            .append_pair("nonce", self.nonce)
            .append_pair("code_challenge", self.challenge)
            .append_pair("code_challenge_method", "S256");
        if self.incremental {
            query.append_pair("include_granted_scopes", "true");
        }
        if let Some(hint) = self.login_hint {
            query.append_pair("login_hint", hint);
        }
        if self.force_consent {
            query.append_pair("prompt", "consent");
        } else if !self.offline {
            query.append_pair("prompt", "select_account");
        }
        drop(query);
        url
    }
}
