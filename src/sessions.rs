//! locum's own session tokens for the users of apps.
//!
//! A session is an ES256 JWT of its own `typ`: `iss` is locum's public URL, `aud` the OAuth client, `sub`
//! the person. Other services of the owner's can verify it with the published keys. locum itself looks
//! the person up on each use: a session ends when they are forgotten, when their sessions are ended
//! (the `epoch` claim no longer matches), when they are no longer listed, or when its hour is over.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::config::Config;
use crate::ids::{OAuthClientId, Sub, UserId};
use crate::jwt;
use crate::jwt::es256::SigningKey;
use crate::rng::Rng;
use crate::secret::SessionToken;
use crate::vault::{SigningKeyRecord, Vault, VaultError};

/// Tells a session from every other JWT (RFC 8725 §3.11).
const TYP: &str = "locum-session+jwt";
/// A session token has some 500 bytes.
const MAX_BYTES: usize = 4096;
/// `iss` where no public URL is configured.
const NO_URL: &str = "locum";

/// Why a session does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// Not a session token of this locum.
    #[error("not a session token of this locum")]
    Invalid,
    /// Its time is over; renew it with an ID token or sign in again.
    #[error("the session has expired")]
    Expired,
    /// The person was forgotten or their sessions were ended.
    #[error("the session was ended")]
    Ended,
    /// The person is no longer listed in `allow_users`.
    #[error("the person is no longer allowed")]
    NotAllowed,
    /// The vault failed.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// A new session.
#[derive(Clone, Debug)]
pub struct IssuedSession {
    /// The token.
    pub token: SessionToken,
    /// How many seconds it is good for.
    pub expires_in: i64,
}

/// Who a session belongs to.
#[derive(Clone, Debug)]
pub struct SessionUser {
    /// The person.
    pub user: UserId,
    /// Google's id of the person.
    pub sub: Sub,
    /// The client the session was made for.
    pub client: OAuthClientId,
}

#[derive(Serialize, Deserialize)]
struct Claims<'a> {
    iss: std::borrow::Cow<'a, str>,
    aud: OAuthClientId,
    sub: Sub,
    iat: i64,
    exp: i64,
    uid: String,
    epoch: i64,
}

/// Issues and verifies sessions. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sessions(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Arc<Config>,
    vault: Vault,
    clock: Clock,
    issuer: String,
    key: SigningKey,
    header: Vec<u8>,
    /// Every key whose sessions are accepted, the signing one included.
    keys: Vec<PublicKey>,
}

struct PublicKey {
    kid: String,
    point: Vec<u8>,
    decoding: DecodingKey,
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PublicKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

impl Sessions {
    /// Loads the signing keys, making the first one in a new vault.
    ///
    /// # Errors
    /// When the vault cannot be read or written, or a key in it is damaged.
    pub async fn load(
        config: Arc<Config>,
        vault: Vault,
        clock: Clock,
        rng: &Rng,
    ) -> Result<Self, VaultError> {
        jwt::install();
        let mut records = vault.load_signing_keys().await?;
        if records.is_empty() {
            let private_key = SigningKey::generate();
            let key = parse(&private_key)?;
            let record = SigningKeyRecord {
                kid: rng.token(12),
                public_key: key.public_point().to_vec(),
                private_key,
                created_at: clock.now(),
            };
            vault.save_signing_key(&record).await?;
            records.push(record);
        }
        let newest = records.last().ok_or(VaultError::Gone)?;
        let header = serde_json::json!({ "alg": "ES256", "typ": TYP, "kid": newest.kid });
        let keys = records
            .iter()
            .map(|record| PublicKey {
                kid: record.kid.clone(),
                point: record.public_key.clone(),
                decoding: DecodingKey::from_ec_der(&record.public_key),
            })
            .collect();
        let issuer = match &config.server.public_url {
            Some(url) => url.as_str().trim_end_matches('/').to_owned(),
            None => NO_URL.to_owned(),
        };
        let key = parse(&newest.private_key)?;
        let header = header.to_string().into_bytes();
        Ok(Self(Arc::new(Inner { config, vault, clock, issuer, key, header, keys })))
    }

    /// A session for a person who has just proved who they are. `epoch` is the user row's.
    pub fn issue(&self, user: UserId, sub: &Sub, epoch: i64, client: &OAuthClientId) -> IssuedSession {
        let inner = &self.0;
        let now = inner.clock.now();
        let expires_in = i64::try_from(inner.config.sessions.lifetime.as_secs()).unwrap_or(i64::MAX);
        let claims = Claims {
            iss: inner.issuer.as_str().into(),
            aud: client.clone(),
            sub: sub.clone(),
            iat: now.unix(),
            exp: now.plus(expires_in).unix(),
            uid: format!("{:x}", user.0),
            epoch,
        };
        let claims = serde_json::to_vec(&claims).expect("claims are plain strings and numbers");
        IssuedSession { token: SessionToken::new(inner.key.sign(&inner.header, &claims)), expires_in }
    }

    /// Verifies a presented session and that the person behind it still counts. One read of the vault.
    ///
    /// # Errors
    /// See [`SessionError`].
    pub async fn verify(&self, token: &str) -> Result<SessionUser, SessionError> {
        let inner = &self.0;
        let claims = inner.verified_claims(token)?;
        if claims.exp <= inner.clock.now().unix() {
            return Err(SessionError::Expired);
        }
        let user = i64::from_str_radix(&claims.uid, 16).map(UserId).map_err(|_| SessionError::Invalid)?;
        let user = inner.vault.load_user(user).await?.ok_or(SessionError::Ended)?;
        if user.session_epoch != claims.epoch || user.profile.sub != claims.sub {
            return Err(SessionError::Ended);
        }
        if !inner.config.allow_users.still_admits(&user.profile.admitted_by) {
            return Err(SessionError::NotAllowed);
        }
        Ok(SessionUser { user: user.id, sub: claims.sub, client: claims.aud })
    }

    /// The public keys as a JSON Web Key Set (RFC 7517).
    pub fn published_keys(&self) -> serde_json::Value {
        let keys = self.0.keys.iter().map(|key| {
            let (x, y) = key.point[1..].split_at(32);
            serde_json::json!({
                "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": key.kid,
                "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
            })
        });
        serde_json::json!({ "keys": keys.collect::<Vec<_>>() })
    }
}

impl Inner {
    fn verified_claims(&self, token: &str) -> Result<Claims<'static>, SessionError> {
        if token.len() > MAX_BYTES {
            return Err(SessionError::Invalid);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| SessionError::Invalid)?;
        if header.typ.as_deref() != Some(TYP) || header.alg != Algorithm::ES256 {
            return Err(SessionError::Invalid);
        }
        let key = self.keys.iter().find(|key| header.kid.as_ref() == Some(&key.kid));
        let key = key.ok_or(SessionError::Invalid)?;
        // Times are compared with our own clock, and `aud` with the configuration.
        let mut validation = Validation::new(Algorithm::ES256);
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let claims = jsonwebtoken::decode::<Claims<'static>>(token, &key.decoding, &validation)
            .map_err(|_| SessionError::Invalid)?
            .claims;
        let ours = claims.iss == self.issuer.as_str() && self.config.client_by_id(&claims.aud).is_some();
        if ours { Ok(claims) } else { Err(SessionError::Invalid) }
    }
}

fn parse(pkcs8: &[u8]) -> Result<SigningKey, VaultError> {
    SigningKey::from_pkcs8(pkcs8).map_err(|error| VaultError::Corrupt(error.to_string()))
}
