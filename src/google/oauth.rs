//! The calls that carry secrets: exchange, refresh, revoke (RFC 6749 §4.1.3 and §6, RFC 7009 §2).
//!
//! The client's secret travels in the body (`client_secret_post`), never in a header or a URL.

use serde::Deserialize;

use super::error::{Call, ClientFault, GoogleError};
use super::strict_json::read_object;
use super::wire::post_form;
use super::{Endpoints, Google};
use crate::ids::OAuthClientId;
use crate::scopes::ScopeSet;
use crate::secret::{AccessToken, AuthorizationCode, ClientSecret, CodeVerifier, IdToken, RefreshToken};

/// What the OAuth client shows to Google.
#[derive(Clone, Debug)]
pub struct ClientCredentials {
    /// The client's id.
    pub client_id: OAuthClientId,
    /// Its secrets in the order they are tried. The second is for the time in which the owner
    /// replaces one by another; further ones are not used. None at all for a public client.
    pub secrets: Vec<ClientSecret>,
}

/// A code and what has to be sent with it.
#[derive(Clone, Debug)]
pub struct CodeExchange {
    /// The code, percent-decoded exactly once.
    pub code: AuthorizationCode,
    /// The `redirect_uri` of the code's source. May be empty, and is then sent as `redirect_uri=`.
    pub redirect_uri: String,
    /// The PKCE verifier, if the sign-in had a challenge.
    pub code_verifier: Option<CodeVerifier>,
}

/// Google's answer to an exchange or a refresh (RFC 6749 §5.1).
#[derive(Clone, Debug)]
pub struct TokenAnswer {
    /// The access token: printable ASCII, never empty.
    pub access_token: AccessToken,
    /// Seconds until it ends, 0 to 86,400.
    pub expires_in: i64,
    /// A refresh token. `None` means "keep the one you have".
    pub refresh_token: Option<RefreshToken>,
    /// Seconds until the refresh token ends, for access granted for a limited time; at least 0.
    pub refresh_token_expires_in: Option<i64>,
    /// What was granted. `None` means "what was asked for".
    pub scope: Option<ScopeSet>,
    /// Who signed in, not yet verified.
    pub id_token: Option<IdToken>,
}

/// A token that stands for the grant to be revoked. Either kind ends the whole grant.
#[derive(Clone, Copy, Debug)]
pub enum RevocableToken<'a> {
    /// By the refresh token.
    Refresh(&'a RefreshToken),
    /// By an access token, when there is no refresh token.
    Access(&'a AccessToken),
}

/// How a revocation ended. Both are what was wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Revocation {
    /// Google revoked the grant.
    Revoked,
    /// The token was no longer valid: there was nothing to revoke by it.
    AlreadyGone,
}

impl Google {
    /// Trades a code for tokens. One POST, never retried, for a code works once; the exception is a
    /// second POST with the client's second secret after Google refused the first, which happens
    /// before Google looks at the code.
    ///
    /// # Errors
    /// [`GoogleError`]; with `outcome_unknown` or [`GoogleError::NotAnAnswer`] the code may be spent.
    pub async fn exchange(
        &self,
        endpoints: &Endpoints,
        client: &ClientCredentials,
        exchange: &CodeExchange,
    ) -> Result<TokenAnswer, GoogleError> {
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", exchange.code.expose()),
            ("redirect_uri", exchange.redirect_uri.as_str()),
        ];
        if let Some(verifier) = &exchange.code_verifier {
            fields.push(("code_verifier", verifier.expose()));
        }
        self.ask_for_tokens(Call::Exchange, endpoints, client, fields).await
    }

    /// Buys a fresh access token, with all scopes of the grant or, by `narrow_to`, with some. One
    /// POST, up to two more after an outage; a `Retry-After` of more than three seconds is returned
    /// instead of waited for.
    ///
    /// # Errors
    /// [`GoogleError`]; only [`GoogleError::GrantDead`] says anything final about the grant.
    pub async fn refresh(
        &self,
        endpoints: &Endpoints,
        client: &ClientCredentials,
        token: &RefreshToken,
        narrow_to: Option<&ScopeSet>,
    ) -> Result<TokenAnswer, GoogleError> {
        let scope = narrow_to.map(ToString::to_string);
        let mut fields = vec![("grant_type", "refresh_token"), ("refresh_token", token.expose())];
        if let Some(scope) = &scope {
            fields.push(("scope", scope));
        }
        self.ask_for_tokens(Call::Refresh, endpoints, client, fields).await
    }

    /// Gives the grant of `token` back, which at Google ends every grant of the person to the same
    /// project. One POST, up to two more after an outage.
    ///
    /// # Errors
    /// [`GoogleError::Unavailable`] to try again; [`GoogleError::Refused`] with
    /// `no_revocation_endpoint` when the provider has none.
    pub async fn revoke(
        &self,
        endpoints: &Endpoints,
        token: RevocableToken<'_>,
    ) -> Result<Revocation, GoogleError> {
        let Some(url) = &endpoints.revocation else {
            return Err(GoogleError::Refused { error: "no_revocation_endpoint".to_owned() });
        };
        let token = match token {
            RevocableToken::Refresh(token) => token.expose(),
            RevocableToken::Access(token) => token.expose(),
        };
        let request = |client: &reqwest::Client| post_form(client, url, &[("token", token)]);
        match self.send_repeatedly(Call::Revoke, request).await {
            Ok(_) => Ok(Revocation::Revoked),
            Err(GoogleError::Refused { error }) if error == "invalid_token" => Ok(Revocation::AlreadyGone),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn ask_for_tokens(
        &self,
        call: Call,
        endpoints: &Endpoints,
        client: &ClientCredentials,
        mut fields: Vec<(&str, &str)>,
    ) -> Result<TokenAnswer, GoogleError> {
        fields.push(("client_id", client.client_id.as_str()));
        let mut secrets = client.secrets.iter();
        let first = self.ask_with(call, endpoints, &fields, secrets.next()).await;
        match (first, secrets.next()) {
            (Err(GoogleError::ClientFault(ClientFault::WrongSecret)), Some(second)) => {
                tracing::debug!("Google refused the client's first secret; trying the second");
                self.ask_with(call, endpoints, &fields, Some(second)).await
            }
            (outcome, _) => outcome,
        }
    }

    async fn ask_with(
        &self,
        call: Call,
        endpoints: &Endpoints,
        fields: &[(&str, &str)],
        secret: Option<&ClientSecret>,
    ) -> Result<TokenAnswer, GoogleError> {
        let secret = secret.map(|secret| ("client_secret", secret.expose()));
        let fields: Vec<_> = fields.iter().copied().chain(secret).collect();
        let request = |client: &reqwest::Client| post_form(client, &endpoints.token, &fields);
        let answer = match call {
            Call::Exchange => self.send_once(call, request).await?,
            _ => self.send_repeatedly(call, request).await?,
        };
        TokenAnswer::parse(&answer.body).ok_or(GoogleError::NotAnAnswer)
    }
}

/// The longest token that is believed. Google's limits are 2,048 bytes for an access token and 512
/// for a refresh token; ID tokens have their own limit where they are verified.
const MAX_TOKEN: usize = 16 * 1024;

/// The lifetime of an access token that is not told, short so that it is soon renewed.
const UNTOLD_LIFETIME: i64 = 600;

/// The longest lifetime of an access token that is believed; Google's is about an hour.
const MAX_LIFETIME: i64 = 24 * 60 * 60;

/// The longest lifetime of a refresh token that is believed: a hundred years.
const MAX_REFRESH_LIFETIME: i64 = 100 * 366 * 24 * 60 * 60;

#[derive(Deserialize)]
struct Document {
    access_token: AccessToken,
    token_type: String,
    expires_in: Option<Seconds>,
    refresh_token: Option<RefreshToken>,
    refresh_token_expires_in: Option<Lenient<Seconds>>,
    scope: Option<Lenient<String>>,
    id_token: Option<IdToken>,
}

/// A number of seconds, as a number or (as some answers have it) as a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Seconds {
    Whole(i64),
    Other(f64),
    Text(String),
}

impl Seconds {
    /// The seconds within `0..=max`. Not a number at all is `None`.
    fn clamped(&self, max: i64) -> Option<i64> {
        let seconds = match self {
            Self::Whole(seconds) => *seconds,
            Self::Other(seconds) => saturating(*seconds)?,
            Self::Text(text) => saturating(text.trim().parse().ok()?)?,
        };
        Some(seconds.clamp(0, max))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "`as` saturates, and the result is clamped")]
fn saturating(seconds: f64) -> Option<i64> {
    (!seconds.is_nan()).then_some(seconds as i64)
}

/// A field that may be of any type: one that is only nice to have must not cost the answer, which
/// holds a refresh token that Google sends once.
#[derive(Deserialize)]
#[serde(untagged)]
enum Lenient<T> {
    Readable(T),
    Other(serde::de::IgnoredAny),
}

impl<T> Lenient<T> {
    fn readable(self) -> Option<T> {
        match self {
            Self::Readable(value) => Some(value),
            Self::Other(_) => None,
        }
    }
}

impl TokenAnswer {
    /// Reads a success's body. `None` when it is not one: no JSON, no access token, a token that is
    /// empty or could not stand in a header, another `token_type` than `Bearer`.
    fn parse(body: &[u8]) -> Option<Self> {
        let document: Document = read_object(body)?;
        let sound =
            |text: &str| (1..=MAX_TOKEN).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        let tokens = [
            Some(document.access_token.expose()),
            document.refresh_token.as_ref().map(RefreshToken::expose),
            document.id_token.as_ref().map(IdToken::expose),
        ];
        let all_sound = tokens.into_iter().flatten().all(sound);
        if !all_sound || !document.token_type.eq_ignore_ascii_case("bearer") {
            return None;
        }
        Some(Self {
            expires_in: match &document.expires_in {
                Some(seconds) => seconds.clamped(MAX_LIFETIME)?,
                None => UNTOLD_LIFETIME,
            },
            access_token: document.access_token,
            refresh_token: document.refresh_token,
            refresh_token_expires_in: document
                .refresh_token_expires_in
                .and_then(Lenient::readable)
                .and_then(|seconds| seconds.clamped(MAX_REFRESH_LIFETIME)),
            scope: document.scope.and_then(Lenient::readable).map(|text| ScopeSet::parse(&text)),
            id_token: document.id_token,
        })
    }
}

#[cfg(test)]
mod tests;
