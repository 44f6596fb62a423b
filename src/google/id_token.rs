//! The check of an ID token (OpenID Connect Core §3.1.3.7), stricter than the libraries' defaults.
//!
//! What must stay true: RS256 is pinned before anything else is looked at; nothing of the claims is
//! read before the signature has been checked; times are compared with our clock only; a token of
//! another kind (a session token, an access token, a security event) never passes, whoever signed it.
//!
//! Whether the person may connect at all (`hd`, addresses) is not decided here.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use subtle::ConstantTimeEq as _;

use super::jwks::{KeySet, VerifyingKey};
use super::strict_json::StrictObject;
use crate::clock::Timestamp;
use crate::ids::{Email, OAuthClientId, Sub};
use crate::secret::{AccessToken, IdToken};

/// Google's tokens have about 1 kB.
const MAX_BYTES: usize = 16 * 1024;

/// How far Google's clock and ours may differ, in seconds.
const LEEWAY: i64 = 60;

/// The longest time from `iat` to `exp` that is believed, in seconds. Google's tokens live an hour.
const MAX_LIFETIME: i64 = 24 * 60 * 60;

/// The last second of the year 9999: a larger number is no time.
const LAST_SECOND: i64 = 253_402_300_799;

/// What the token must say.
#[derive(Clone, Copy, Debug)]
pub struct Expectation<'a> {
    /// `aud` must be exactly one of these.
    pub audiences: &'a [OAuthClientId],
    /// `azp`, if there is one, must be one of these or of the same project number as `aud`.
    pub authorized_parties: &'a [OAuthClientId],
    /// `iss` must be this. Google's two forms count as one.
    pub issuer: &'a str,
    /// `nonce` must be this. A token may carry one that was not expected.
    pub nonce: Option<&'a str>,
    /// The access token that came along; `at_hash`, if there is one, must be its hash.
    pub access_token: Option<&'a AccessToken>,
}

/// What a verified token says. `Debug` leaves out everything about the person.
#[derive(Clone, PartialEq, Eq)]
pub struct IdClaims {
    /// The person. The only identity key.
    pub sub: Sub,
    /// The client the token is for.
    pub audience: OAuthClientId,
    /// The client that asked for it, if that is told.
    pub azp: Option<OAuthClientId>,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// The address, if it is told and is one.
    pub email: Option<Email>,
    /// Whether Google has verified the address; false without one.
    pub email_verified: bool,
    /// The full name. This and the following are data of the person's making: any characters.
    pub name: Option<String>,
    /// The given name.
    pub given_name: Option<String>,
    /// The family name.
    pub family_name: Option<String>,
    /// The address of a picture.
    pub picture: Option<String>,
    /// The language.
    pub locale: Option<String>,
    /// The organisation's domain in lower case. Its absence means a consumer account; the only valid
    /// ground for a restriction by domain.
    pub hd: Option<String>,
}

impl fmt::Debug for IdClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdClaims")
            .field("audience", &self.audience)
            .field("azp", &self.azp)
            .field("issued_at", &self.issued_at)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// Why a token is not accepted. No variant holds anything of the token's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum IdTokenError {
    /// No key of this id: the keys may be fetched again, once.
    #[error("the ID token is signed with a key that is not in the provider's key set")]
    UnknownKey,
    /// `exp` has passed: a new token is needed.
    #[error("the ID token has expired")]
    Expired,
    /// `iat` or `nbf` lies ahead: one of the two clocks is wrong.
    #[error("the ID token is not valid yet; the clock of this machine may be slow")]
    NotYetValid,
    /// Issued for another client.
    #[error("the ID token is for another client than the configured ones (aud)")]
    WrongAudience,
    /// Issued by somebody else.
    #[error("the ID token is from another issuer than the configured one (iss)")]
    WrongIssuer,
    /// Asked for by a client of another project.
    #[error(
        "the ID token was asked for by a client that is neither configured nor of the same project (azp)"
    )]
    WrongAuthorizedParty,
    /// Of another sign-in.
    #[error("the ID token belongs to another sign-in (nonce)")]
    NonceMismatch,
    /// Of another access token.
    #[error("the ID token does not belong to the access token it came with (at_hash)")]
    AccessTokenMismatch,
    /// The signature is not the key's.
    #[error("the signature of the ID token is wrong")]
    WrongSignature,
    /// `alg` is not RS256.
    #[error("the ID token is not signed with RS256")]
    WrongAlgorithm,
    /// `typ` names another kind of token.
    #[error("this is another kind of token than an ID token (typ)")]
    WrongType,
    /// More than 16 KiB.
    #[error("the ID token is larger than 16 KiB")]
    TooLarge,
    /// Not the form of an ID token.
    #[error("the ID token is malformed: {0}")]
    Malformed(&'static str),
}

/// Verifies a token at the time `now` and returns what it says.
///
/// # Errors
/// [`IdTokenError`]; the first thing that is wrong, the header before the signature before the claims.
pub fn verify(
    token: &IdToken,
    keys: &KeySet,
    expect: &Expectation<'_>,
    now: Timestamp,
) -> Result<IdClaims, IdTokenError> {
    let text = token.expose();
    if text.len() > MAX_BYTES {
        return Err(IdTokenError::TooLarge);
    }
    let parts: Vec<&str> = text.splitn(4, '.').collect();
    let &[header, payload, signature] = parts.as_slice() else {
        return Err(IdTokenError::Malformed("it does not have three parts"));
    };
    let key = signing_key(&part(header, "the header is no JSON object with unique names")?, keys)?;
    let signed = &text[..header.len() + 1 + payload.len()];
    if !key.verifies(signed.as_bytes(), signature) {
        return Err(IdTokenError::WrongSignature);
    }
    Claims(part(payload, "the claims are no JSON object with unique names")?).check(expect, now)
}

/// Whether two issuers are one: Google signs as `https://accounts.google.com` and as
/// `accounts.google.com`; any other issuer has one form.
pub(super) fn same_issuer(a: &str, b: &str) -> bool {
    let google = |issuer| matches!(issuer, "https://accounts.google.com" | "accounts.google.com");
    a == b || (google(a) && google(b))
}

fn part(text: &str, problem: &'static str) -> Result<StrictObject, IdTokenError> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| IdTokenError::Malformed(problem))?;
    StrictObject::parse(&bytes).ok_or(IdTokenError::Malformed(problem))
}

/// The key that the header names, if the header is one of an ID token (RFC 7515 §4.1).
fn signing_key<'k>(header: &StrictObject, keys: &'k KeySet) -> Result<&'k VerifyingKey, IdTokenError> {
    if header.text("alg") != Some("RS256") {
        return Err(IdTokenError::WrongAlgorithm);
    }
    // Nothing critical is understood here, and `b64` (RFC 7797) would change what is signed.
    if header.member("crit").is_some() || header.member("b64").is_some() {
        return Err(IdTokenError::Malformed("its header has extensions that must not be ignored"));
    }
    if header.member("typ").is_some_and(|typ| typ != "JWT") {
        return Err(IdTokenError::WrongType);
    }
    let kid = header.text("kid").ok_or(IdTokenError::Malformed("its header names no key (kid)"))?;
    keys.find(kid).ok_or(IdTokenError::UnknownKey)
}

/// Claims whose signature has been checked.
struct Claims(StrictObject);

impl Claims {
    fn check(&self, expect: &Expectation<'_>, now: Timestamp) -> Result<IdClaims, IdTokenError> {
        let issuer = self.required_text("iss", "iss is missing or no text")?;
        if !same_issuer(issuer, expect.issuer) {
            return Err(IdTokenError::WrongIssuer);
        }
        let audience = self.audience(expect)?;
        let azp = self.authorized_party(expect, &audience)?;
        let (issued_at, expires_at) = self.times(now)?;
        self.check_nonce(expect)?;
        self.check_access_token(expect)?;
        let sub = self.required_text("sub", "sub is missing or no text")?;
        let sub = sub.parse().map_err(|_| IdTokenError::Malformed("sub is no user id"))?;
        let email = self.optional_text("email", "email is no text")?.and_then(|text| text.parse().ok());
        let email_verified = self.email_verified()? && email.is_some();
        let hd = self.optional_text("hd", "hd is no text")?;
        // Never guaranteed and never decided upon: of another type is as good as absent.
        let profile = |name| self.0.text(name).filter(|text| !text.is_empty()).map(str::to_owned);
        Ok(IdClaims {
            sub,
            audience,
            azp,
            issued_at,
            expires_at,
            email,
            email_verified,
            name: profile("name"),
            given_name: profile("given_name"),
            family_name: profile("family_name"),
            picture: profile("picture"),
            locale: profile("locale"),
            hd: hd.filter(|domain| !domain.is_empty()).map(str::to_ascii_lowercase),
        })
    }

    fn required_text(&self, name: &str, problem: &'static str) -> Result<&str, IdTokenError> {
        self.0.text(name).ok_or(IdTokenError::Malformed(problem))
    }

    fn optional_text(&self, name: &str, problem: &'static str) -> Result<Option<&str>, IdTokenError> {
        match self.0.member(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(IdTokenError::Malformed(problem)),
        }
    }

    /// `aud` may be a list by the standard; Google never sends one, and a list can name somebody
    /// else beside us.
    fn audience(&self, expect: &Expectation<'_>) -> Result<OAuthClientId, IdTokenError> {
        let audience = self.required_text("aud", "aud is missing or not exactly one text")?;
        let known = expect.audiences.iter().find(|id| id.as_str() == audience);
        known.cloned().ok_or(IdTokenError::WrongAudience)
    }

    fn authorized_party(
        &self,
        expect: &Expectation<'_>,
        audience: &OAuthClientId,
    ) -> Result<Option<OAuthClientId>, IdTokenError> {
        let Some(azp) = self.optional_text("azp", "azp is no text")? else { return Ok(None) };
        let azp: OAuthClientId = azp.parse().map_err(|_| IdTokenError::WrongAuthorizedParty)?;
        if azp.project() == audience.project() || expect.authorized_parties.contains(&azp) {
            Ok(Some(azp))
        } else {
            Err(IdTokenError::WrongAuthorizedParty)
        }
    }

    fn times(&self, now: Timestamp) -> Result<(Timestamp, Timestamp), IdTokenError> {
        let time = |name, problem| match self.0.member(name).and_then(Value::as_i64) {
            Some(seconds) if (0..=LAST_SECOND).contains(&seconds) => Ok(Timestamp::from_unix(seconds)),
            _ => Err(IdTokenError::Malformed(problem)),
        };
        let issued_at = time("iat", "iat is missing or no number of seconds")?;
        let expires_at = time("exp", "exp is missing or no number of seconds")?;
        let not_before = match self.0.member("nbf") {
            Some(_) => time("nbf", "nbf is no number of seconds")?,
            None => issued_at,
        };
        match expires_at.since(issued_at) {
            ..0 => return Err(IdTokenError::Malformed("exp lies before iat")),
            lifetime if lifetime > MAX_LIFETIME + LEEWAY => {
                return Err(IdTokenError::Malformed("exp lies more than a day after iat"));
            }
            _ => {}
        }
        if now >= expires_at.plus(LEEWAY) {
            return Err(IdTokenError::Expired);
        }
        if issued_at.max(not_before) > now.plus(LEEWAY) {
            return Err(IdTokenError::NotYetValid);
        }
        Ok((issued_at, expires_at))
    }

    fn check_nonce(&self, expect: &Expectation<'_>) -> Result<(), IdTokenError> {
        let nonce = self.optional_text("nonce", "nonce is no text")?;
        match expect.nonce {
            Some(expected) if nonce != Some(expected) => Err(IdTokenError::NonceMismatch),
            _ => Ok(()),
        }
    }

    fn check_access_token(&self, expect: &Expectation<'_>) -> Result<(), IdTokenError> {
        let at_hash = self.optional_text("at_hash", "at_hash is no text")?;
        let (Some(at_hash), Some(token)) = (at_hash, expect.access_token) else { return Ok(()) };
        if at_hash.as_bytes().ct_eq(access_token_hash(token).as_bytes()).into() {
            Ok(())
        } else {
            Err(IdTokenError::AccessTokenMismatch)
        }
    }

    /// A boolean in live tokens, a text in Google's sample.
    fn email_verified(&self) -> Result<bool, IdTokenError> {
        match self.0.member("email_verified") {
            None => Ok(false),
            Some(Value::Bool(verified)) => Ok(*verified),
            Some(Value::String(text)) if text == "true" => Ok(true),
            Some(Value::String(text)) if text == "false" => Ok(false),
            Some(_) => Err(IdTokenError::Malformed("email_verified is neither true nor false")),
        }
    }
}

/// `at_hash` (OpenID Connect Core §3.1.3.6): the left half of the token's SHA-256, base64url.
pub fn access_token_hash(token: &AccessToken) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, token.expose().as_bytes());
    URL_SAFE_NO_PAD.encode(&digest.as_ref()[..16])
}

#[cfg(test)]
mod tests;
