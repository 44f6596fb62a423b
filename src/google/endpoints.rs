//! Where the provider's endpoints are: OpenID Connect discovery (Discovery 1.0 §3 and §4).
//!
//! Secrets are sent to what stands here, so every URL is `https` (plain `http` only to this machine)
//! and the document must name the issuer that was configured.

use serde::Deserialize;
use url::{Host, Url};

use super::error::{Call, GoogleError};
use super::id_token::same_issuer;
use super::strict_json::read_object;
use super::{Fetched, Google};

/// The endpoints of a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// Who signs ID tokens, as configured.
    pub issuer: String,
    /// Where people give consent.
    pub authorization: Url,
    /// Where codes and refresh tokens become access tokens.
    pub token: Url,
    /// Where grants are given back (RFC 7009), if the provider has such a place.
    pub revocation: Option<Url>,
    /// Who an access token belongs to.
    pub userinfo: Option<Url>,
    /// The signing keys.
    pub jwks: Url,
    /// Where the device flow begins (RFC 8628).
    pub device_authorization: Option<Url>,
}

/// Why a discovery document cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum DiscoveryFault {
    /// Not a JSON object, or a field is not what it should be.
    #[error(
        "it is not a discovery document (an object with issuer, authorization_endpoint, token_endpoint and jwks_uri)"
    )]
    Malformed,
    /// The document speaks for somebody else.
    #[error(
        "its issuer is not the configured one; set google.issuer to what the document says, or correct google.discovery_url"
    )]
    WrongIssuer,
    /// A URL is not `https`, or carries a user name, a password or a fragment.
    #[error("its {0} is not a plain https URL (http is accepted for this machine only)")]
    InsecureUrl(&'static str),
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    revocation_endpoint: Option<String>,
    userinfo_endpoint: Option<String>,
    jwks_uri: String,
    device_authorization_endpoint: Option<String>,
}

impl Endpoints {
    /// Reads a discovery document that must speak for `issuer`. Fields it does not know are ignored.
    ///
    /// The issuer is compared with the configured one, not with the address the document came from:
    /// a document on this machine may speak for `https://accounts.google.com` if that is what the
    /// owner configured.
    ///
    /// # Errors
    /// [`DiscoveryFault`].
    pub fn parse(bytes: &[u8], issuer: &str) -> Result<Self, DiscoveryFault> {
        let document: Document = read_object(bytes).ok_or(DiscoveryFault::Malformed)?;
        if !same_issuer(&document.issuer, issuer) {
            return Err(DiscoveryFault::WrongIssuer);
        }
        let required = |text: &str, name| {
            let url = Url::parse(text).map_err(|_| DiscoveryFault::InsecureUrl(name))?;
            secure(url, name)
        };
        let optional = |text: Option<String>, name| text.map(|text| required(&text, name)).transpose();
        Ok(Self {
            issuer: issuer.to_owned(),
            authorization: required(&document.authorization_endpoint, "authorization_endpoint")?,
            token: required(&document.token_endpoint, "token_endpoint")?,
            revocation: optional(document.revocation_endpoint, "revocation_endpoint")?,
            userinfo: optional(document.userinfo_endpoint, "userinfo_endpoint")?,
            jwks: required(&document.jwks_uri, "jwks_uri")?,
            device_authorization: optional(
                document.device_authorization_endpoint,
                "device_authorization_endpoint",
            )?,
        })
    }
}

impl Google {
    /// Fetches the discovery document at `url`, which must speak for `issuer`.
    ///
    /// One GET, up to two more after an outage.
    ///
    /// # Errors
    /// [`GoogleError::Unavailable`], or [`GoogleError::Discovery`] for a document that cannot be used.
    pub async fn fetch_discovery(&self, url: &Url, issuer: &str) -> Result<Fetched<Endpoints>, GoogleError> {
        let url = secure(url.clone(), "address").map_err(GoogleError::Discovery)?;
        let answer = self.send_repeatedly(Call::Fetch, |client| client.get(url.clone())).await?;
        self.fetched(&answer, |body| Endpoints::parse(body, issuer).map_err(GoogleError::Discovery))
    }
}

/// The URL if secrets may be sent to it.
pub(super) fn secure(url: Url, name: &'static str) -> Result<Url, DiscoveryFault> {
    let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    let private = match url.scheme() {
        "https" => url.host().is_some(),
        "http" => is_loopback(&url),
        _ => false,
    };
    if plain && private { Ok(url) } else { Err(DiscoveryFault::InsecureUrl(name)) }
}

/// Whether the URL leads to this very machine.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
