//! Who and what the emulated Google knows: people with accounts, registered OAuth clients, and what
//! it was asked for and how often. Plain values; nothing here changes the world.

use serde::{Deserialize, Serialize};

use crate::ids::{OAuthClientId, Sub};
use crate::scopes::ScopeSet;
use crate::secret::ClientSecret;

/// A person with an account at the emulated Google, as their ID token describes them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Person {
    /// The id that never changes, 21 digits at Google.
    pub sub: Sub,
    /// The address as the ID token spells it.
    pub email: String,
    /// Whether Google has verified the address.
    pub email_verified: bool,
    /// The full name; claims of empty names are left out.
    pub name: String,
    /// First name.
    pub given_name: String,
    /// Family name.
    pub family_name: String,
    /// Address of a picture.
    pub picture: String,
    /// BCP 47 language tag.
    pub locale: String,
    /// The domain of the Workspace organisation; `None` for a consumer account.
    pub hd: Option<String>,
}

impl Person {
    /// A verified person with the names derived from `name`, split at its last space.
    pub fn new(sub: Sub, email: &str, name: &str, hd: Option<&str>) -> Self {
        let (given, family) = name.rsplit_once(' ').unwrap_or((name, ""));
        let picture = format!("https://lh3.googleusercontent.com/a/EXAMPLE-{sub}=s96-c");
        Self {
            email: email.to_owned(),
            email_verified: true,
            name: name.to_owned(),
            given_name: given.to_owned(),
            family_name: family.to_owned(),
            picture,
            locale: "en".to_owned(),
            hd: hd.map(str::to_owned),
            sub,
        }
    }
}

/// The type of an OAuth client in Google's console.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientKind {
    /// "Web application": the one with a secret, for which codes of phones are made too.
    Web,
    /// "Desktop app": loopback redirects of any port; its secret is not secret.
    Desktop,
    /// "TVs and Limited Input devices".
    Device,
    /// "iOS": no secret.
    Ios,
    /// "Android": no secret.
    Android,
}

impl ClientKind {
    /// Whether the kind has no client secret at Google.
    pub const fn is_public(self) -> bool {
        matches!(self, Self::Ios | Self::Android)
    }
}

/// An OAuth client as it is registered in the console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredClient {
    /// Its id; the number before the dash is the project.
    pub client_id: OAuthClientId,
    /// Every secret that is accepted; two while one is being rotated, none for phones.
    pub secrets: Vec<ClientSecret>,
    /// Its type.
    pub kind: ClientKind,
    /// Registered redirect URIs, matched byte for byte.
    pub redirect_uris: Vec<String>,
    /// Registered JavaScript origins.
    pub javascript_origins: Vec<String>,
    /// Whether the project's publishing status is "Testing", which ends grants after seven days.
    pub testing: bool,
    /// Whether it was deleted in the console.
    pub deleted: bool,
    /// Whether Google disabled it.
    pub disabled: bool,
}

impl RegisteredClient {
    /// A published web client with one secret and no redirect URI.
    pub fn web(client_id: OAuthClientId, secret: ClientSecret) -> Self {
        Self {
            client_id,
            secrets: vec![secret],
            kind: ClientKind::Web,
            redirect_uris: Vec::new(),
            javascript_origins: Vec::new(),
            testing: false,
            deleted: false,
            disabled: false,
        }
    }
}

/// How a PKCE challenge was made from its verifier (RFC 7636 §4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChallengeMethod {
    /// The challenge is the verifier.
    Plain,
    /// The challenge is the unpadded base64url SHA-256 of the verifier.
    S256,
}

/// What a code is asked for: a sign-in that an SDK or the consent page has brought to its end.
#[derive(Clone, Debug)]
pub struct CodeRequest {
    /// The client the code is for (phones: the *server* client id).
    pub client_id: OAuthClientId,
    /// Who signed in.
    pub sub: Sub,
    /// What the person granted.
    pub scopes: ScopeSet,
    /// The value the exchange must repeat: `""` for codes of phones, `postmessage` for the popup.
    pub redirect_uri: String,
    /// Comes back in the ID token.
    pub nonce: Option<String>,
    /// PKCE; the exchange then needs the verifier.
    pub code_challenge: Option<(ChallengeMethod, String)>,
    /// Whether a refresh token is wanted (`access_type=offline`).
    pub offline: bool,
    /// Whether the person was asked again although they had agreed before (`prompt=consent`); only
    /// then does a repeated sign-in bring a refresh token.
    pub force_consent: bool,
}

impl CodeRequest {
    /// What the SDK of a phone asks for: offline, no redirect, no PKCE of the server's.
    pub fn mobile(client_id: &OAuthClientId, sub: &Sub, scopes: &str) -> Self {
        Self {
            client_id: client_id.clone(),
            sub: sub.clone(),
            scopes: ScopeSet::parse(scopes),
            redirect_uri: String::new(),
            nonce: None,
            code_challenge: None,
            offline: true,
            force_consent: false,
        }
    }
}

/// Why no code can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotIssue {
    /// No client has that id.
    #[error("no client is registered under this client_id; add it with POST /emulator/clients")]
    UnknownClient,
    /// Nobody has that `sub` or address.
    #[error("nobody has this sub or e-mail address; add the person with POST /emulator/people")]
    UnknownPerson,
    /// The account is deleted or disabled.
    #[error("this person's account is deleted or disabled, so they cannot sign in")]
    AccountClosed,
    /// A code without scopes makes no sense.
    #[error("no scope was granted, so there is nothing to make a code for")]
    NoScopes,
}

/// How often the emulated Google was asked for what, since it started. Requests are counted when they
/// arrive, so those that a fault answered are counted too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Requests at the token endpoint of every kind, unreadable ones included.
    pub token: u64,
    /// Of these, `grant_type=authorization_code`.
    pub exchanges: u64,
    /// Of these, `grant_type=refresh_token`.
    pub refreshes: u64,
    /// Of these, polls with a device code.
    pub device_polls: u64,
    /// Codes that were traded for tokens.
    pub codes_redeemed: u64,
    /// Refreshes that brought an access token.
    pub refreshes_answered: u64,
    /// Requests to revoke a token.
    pub revokes: u64,
    /// Fetches of the signing keys in either form.
    pub jwks: u64,
    /// Fetches of the discovery document.
    pub discovery: u64,
    /// Calls of userinfo.
    pub userinfo: u64,
    /// Calls of tokeninfo.
    pub tokeninfo: u64,
    /// Requests for a device code.
    pub device: u64,
    /// Authorization pages shown or submitted.
    pub authorize: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_split_at_its_last_space() {
        let sub: Sub = "108204268033311374519".parse().expect("digits");
        let person = Person::new(sub, "a@example.org", "Ana Maria Example", None);
        assert_eq!((person.given_name.as_str(), person.family_name.as_str()), ("Ana Maria", "Example"));
    }
}
