//! The provider's public keys, as a set that is either usable or refused.
//!
//! What must stay true: a set without a usable key is an error, so that an empty or poisoned document
//! never replaces a good one; of two keys with one id neither wins; only RSA signing keys for RS256
//! of 2048 to 8192 bits get in, so a token cannot choose a weaker key or another algorithm.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};

use super::endpoints::secure;
use super::error::{Call, GoogleError};
use super::strict_json::{StrictObject, read_object};
use super::{Fetched, Google};
use url::Url;

/// Google's set has about 1 kB.
const MAX_BYTES: usize = 64 * 1024;
/// Google's set normally has two.
const MAX_KEYS: usize = 32;
/// Google's ids have 40 characters.
const MAX_KID: usize = 256;
/// What ring verifies with.
const MODULUS_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// Why a document is no usable key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum KeySetError {
    /// More than 64 KiB.
    #[error("the document is larger than 64 KiB")]
    TooLarge,
    /// Not `{"keys": [{…}, …]}`, or an object in it repeats a name.
    #[error("the document is not a JSON Web Key Set")]
    Malformed,
    /// More than 32 keys.
    #[error("the document holds more than 32 keys")]
    TooManyKeys,
    /// Not one RSA signing key of at least 2048 bits under an id of its own.
    #[error("the document holds no RSA signing key of at least 2048 bits under an id of its own")]
    NoUsableKey,
}

/// A public RSA key for RS256.
#[derive(Clone, Debug)]
pub struct VerifyingKey(DecodingKey);

impl VerifyingKey {
    /// Whether `signature` (base64url) is this key's RS256 signature of `message`. A signature that
    /// is not base64url is none.
    pub(super) fn verifies(&self, message: &[u8], signature: &str) -> bool {
        crate::jwt::install();
        jsonwebtoken::crypto::verify(signature, message, &self.0, Algorithm::RS256).unwrap_or(false)
    }
}

/// The usable keys of a JSON Web Key Set (RFC 7517 §5), by `kid`. Never empty.
#[derive(Clone, Debug)]
pub struct KeySet(BTreeMap<Box<str>, VerifyingKey>);

#[derive(serde::Deserialize)]
struct Document {
    keys: Vec<StrictObject>,
}

impl KeySet {
    /// Reads a key set. Keys of other kinds are left out, and so is every key whose `kid` occurs
    /// twice.
    ///
    /// # Errors
    /// [`KeySetError`], after which the set at hand should be kept.
    pub fn parse(bytes: &[u8]) -> Result<Self, KeySetError> {
        if bytes.len() > MAX_BYTES {
            return Err(KeySetError::TooLarge);
        }
        let document: Document = read_object(bytes).ok_or(KeySetError::Malformed)?;
        if document.keys.len() > MAX_KEYS {
            return Err(KeySetError::TooManyKeys);
        }
        let mut seen = BTreeSet::new();
        let mut keys = BTreeMap::new();
        for entry in &document.keys {
            let Some(kid) = entry.text("kid").filter(|kid| (1..=MAX_KID).contains(&kid.len())) else {
                continue;
            };
            if !seen.insert(kid) {
                keys.remove(kid);
            } else if let Some(key) = usable(entry) {
                keys.insert(kid.into(), key);
            }
        }
        if keys.is_empty() { Err(KeySetError::NoUsableKey) } else { Ok(Self(keys)) }
    }

    /// The key of this id.
    pub fn find(&self, kid: &str) -> Option<&VerifyingKey> {
        self.0.get(kid)
    }

    /// The ids of the keys, sorted.
    pub fn kids(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(AsRef::as_ref)
    }
}

impl Google {
    /// Fetches the key set at `jwks_uri`.
    ///
    /// One GET, up to two more after an outage.
    ///
    /// # Errors
    /// [`GoogleError::Unavailable`], or [`GoogleError::Keys`] for a set that must not replace the one
    /// at hand.
    pub async fn fetch_keys(&self, jwks_uri: &Url) -> Result<Fetched<KeySet>, GoogleError> {
        let url = secure(jwks_uri.clone(), "jwks_uri").map_err(GoogleError::Discovery)?;
        let answer = self.send_repeatedly(Call::Fetch, |client| client.get(url.clone())).await?;
        self.fetched(&answer, |body| KeySet::parse(body).map_err(GoogleError::Keys))
    }
}

/// The key of a JWK (RFC 7517 §4, RFC 7518 §6.3) if it is one that may verify RS256.
fn usable(jwk: &StrictObject) -> Option<VerifyingKey> {
    let absent_or = |name: &str, value: &str| jwk.member(name).is_none_or(|member| member == value);
    let for_rs256 = jwk.text("kty") == Some("RSA") && absent_or("use", "sig") && absent_or("alg", "RS256");
    let verifies = jwk.member("key_ops").is_none_or(|operations| {
        operations.as_array().is_some_and(|list| list.iter().any(|operation| operation == "verify"))
    });
    // With its private half published, anybody can sign with it.
    let public = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"].iter().all(|name| jwk.member(name).is_none());
    if !(for_rs256 && verifies && public) {
        return None;
    }
    let n = unsigned(jwk.text("n")?)?;
    let e = unsigned(jwk.text("e")?)?;
    let bits = n.len() * 8 - n.first()?.leading_zeros() as usize;
    let odd = |number: &[u8]| number.last().is_some_and(|byte| byte & 1 == 1);
    // An exponent of 1 makes every message its own signature; ring takes at most 33 bits.
    let exponent = (1..=4).contains(&e.len()) && odd(&e) && e != [1];
    if !(MODULUS_BITS.contains(&bits) && odd(&n) && exponent) {
        return None;
    }
    Some(VerifyingKey(DecodingKey::from_rsa_raw_components(&n, &e)))
}

/// A Base64urlUInt (RFC 7518 §2). Leading zero bytes are against the text but harmless, and some
/// providers send one; ring wants none.
fn unsigned(text: &str) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let start = bytes.iter().position(|byte| *byte != 0)?;
    Some(bytes[start..].to_vec())
}
