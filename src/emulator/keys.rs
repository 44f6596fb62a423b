//! The keys that sign ID tokens, their rotation, and what is published of them.
//!
//! Four RSA-2048 keys are embedded (ring cannot generate RSA); they are public and protect nothing.
//! Rotation goes round them under fresh key ids, so that a verifier sees new kids without end. The
//! newest published key signs; older ones stay published until the set would hold too many.

use std::collections::VecDeque;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use ring::digest;
use ring::signature::{self, KeyPair as _, RsaKeyPair};
use serde_json::{Value, json};

const EMBEDDED: [(&[u8], &str); 4] = [
    (
        include_bytes!("../../assets/emulator/keys/0.pkcs8.der"),
        include_str!("../../assets/emulator/keys/0.cert.pem"),
    ),
    (
        include_bytes!("../../assets/emulator/keys/1.pkcs8.der"),
        include_str!("../../assets/emulator/keys/1.cert.pem"),
    ),
    (
        include_bytes!("../../assets/emulator/keys/2.pkcs8.der"),
        include_str!("../../assets/emulator/keys/2.cert.pem"),
    ),
    (
        include_bytes!("../../assets/emulator/keys/3.pkcs8.der"),
        include_str!("../../assets/emulator/keys/3.cert.pem"),
    ),
];

/// One signing key under one key id.
#[derive(Debug)]
pub struct SigningKey {
    kid: String,
    pair: Arc<RsaKeyPair>,
    modulus: String,
    certificate: &'static str,
}

impl SigningKey {
    fn new(rotation: usize) -> Self {
        let (der, certificate) = EMBEDDED[rotation % EMBEDDED.len()];
        let pair =
            RsaKeyPair::from_pkcs8(der).expect("the embedded keys are valid PKCS#8; a test reads all four");
        let parts = signature::RsaPublicKeyComponents::<Vec<u8>>::from(pair.public());
        let mut hash = digest::Context::new(&digest::SHA256);
        hash.update(&parts.n);
        hash.update(&rotation.to_be_bytes());
        let kid = hash.finish().as_ref()[..20].iter().map(|byte| format!("{byte:02x}")).collect();
        Self { kid, pair: Arc::new(pair), modulus: B64.encode(parts.n), certificate }
    }

    /// Forty lowercase hex characters.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// RSASSA-PKCS1-v1_5 with SHA-256 (`RS256`, RFC 7518 §3.3) over `message`.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let mut signature = vec![0; self.pair.public().modulus_len()];
        self.pair
            .sign(&signature::RSA_PKCS1_SHA256, &ring::rand::SystemRandom::new(), message, &mut signature)
            .expect("the buffer has the length of the modulus, the only thing that can be wrong");
        signature
    }

    /// A compact JWS of the two JSON values. `alg` in the header decides: `none` leaves the signature
    /// empty, `HS…` makes an HMAC keyed with the published modulus (the key confusion of RFC 8725
    /// §2.1), anything else is signed as RS256 whatever it says.
    pub fn jws(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", B64.encode(header.to_string()), B64.encode(claims.to_string()));
        let signature = match header["alg"].as_str() {
            Some("none") => Vec::new(),
            Some(alg) if alg.starts_with("HS") => {
                let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, self.modulus.as_bytes());
                ring::hmac::sign(&key, message.as_bytes()).as_ref().to_vec()
            }
            _ => self.sign(message.as_bytes()),
        };
        format!("{message}.{}", B64.encode(signature))
    }

    /// The header Google's ID tokens have.
    pub fn header(&self) -> Value {
        json!({ "alg": "RS256", "kid": self.kid, "typ": "JWT" })
    }

    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        signature::UnparsedPublicKey::new(
            &signature::RSA_PKCS1_2048_8192_SHA256,
            self.pair.public_key().as_ref(),
        )
        .verify(message, signature)
        .is_ok()
    }

    fn jwk(&self) -> Value {
        json!({ "kty": "RSA", "alg": "RS256", "use": "sig", "kid": self.kid, "n": self.modulus, "e": "AQAB" })
    }
}

/// The published keys, oldest first; the last one signs.
#[derive(Debug)]
pub struct KeyRing {
    published: VecDeque<Arc<SigningKey>>,
    rotations: usize,
    keep: usize,
}

/// Two published keys, as Google normally has.
impl Default for KeyRing {
    fn default() -> Self {
        let published = (0..2).map(|rotation| Arc::new(SigningKey::new(rotation))).collect();
        Self { published, rotations: 2, keep: 2 }
    }
}

impl KeyRing {
    /// The key that signs now.
    pub fn current(&self) -> Arc<SigningKey> {
        self.published.back().expect("the ring is made with two keys and never shrinks below one").clone()
    }

    /// Publishes a new key, signs with it from now on, and drops the oldest beyond the number kept.
    pub fn rotate(&mut self) {
        self.published.push_back(Arc::new(SigningKey::new(self.rotations)));
        self.rotations += 1;
        self.trim();
    }

    /// How many keys stay published, at least one.
    pub fn keep(&mut self, count: usize) {
        self.keep = count.max(1);
        self.trim();
    }

    fn trim(&mut self) {
        while self.published.len() > self.keep {
            self.published.pop_front();
        }
    }

    /// A key that is never published, for forged tokens.
    pub fn foreign(&self) -> SigningKey {
        SigningKey::new(self.rotations + 1)
    }

    /// The key ids in publication order; the last one signs.
    pub fn kids(&self) -> Vec<String> {
        self.published.iter().map(|key| key.kid.clone()).collect()
    }

    /// `/oauth2/v3/certs`: a JWK set (RFC 7517 §5).
    pub fn jwks(&self) -> Value {
        json!({ "keys": self.published.iter().map(|key| key.jwk()).collect::<Vec<_>>() })
    }

    /// `/oauth2/v1/certs`: kid → X.509 certificate in PEM.
    pub fn certificates(&self) -> Value {
        self.published.iter().map(|key| (key.kid.clone(), Value::from(key.certificate))).collect()
    }

    /// The header and the claims of a JWS that one of the published keys signed as RS256.
    pub fn open(&self, token: &str) -> Option<(Value, Value)> {
        let (message, signature) = token.rsplit_once('.')?;
        let (header, claims) = message.split_once('.')?;
        let signature = B64.decode(signature).ok()?;
        let header: Value = serde_json::from_slice(&B64.decode(header).ok()?).ok()?;
        let claims: Value = serde_json::from_slice(&B64.decode(claims).ok()?).ok()?;
        let key = self.published.iter().find(|key| header["kid"] == key.kid.as_str())?;
        (header["alg"] == "RS256" && key.verifies(message.as_bytes(), &signature)).then_some((header, claims))
    }
}

/// `at_hash` of an access token (OpenID Connect Core §3.1.3.6): the left half of its SHA-256.
pub fn at_hash(access_token: &str) -> String {
    B64.encode(&digest::digest(&digest::SHA256, access_token.as_bytes()).as_ref()[..16])
}

/// The S256 challenge of a PKCE verifier (RFC 7636 §4.2).
pub fn pkce_s256(verifier: &str) -> String {
    B64.encode(digest::digest(&digest::SHA256, verifier.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_vectors_hold() {
        assert_eq!(at_hash("ya29.locum-test-vector"), "501mbqe8n7HrJjOjMgZn7g");
        assert_eq!(
            pkce_s256("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }

    #[test]
    fn every_embedded_key_signs_what_its_public_half_verifies() {
        for rotation in 0..EMBEDDED.len() {
            let key = SigningKey::new(rotation);
            assert_eq!(key.kid().len(), 40);
            assert_eq!(key.jwk()["n"].as_str().map(str::len), Some(342));
            assert!(key.verifies(b"message", &key.sign(b"message")));
            assert!(!key.verifies(b"another", &key.sign(b"message")));
        }
    }

    #[test]
    fn rotation_keeps_two_keys_and_never_repeats_a_kid() {
        let mut ring = KeyRing::default();
        let mut seen: std::collections::BTreeSet<String> = ring.kids().into_iter().collect();
        for _ in 0..6 {
            let old = ring.current();
            let token = old.jws(&old.header(), &json!({ "sub": "1" }));
            ring.rotate();
            assert!(seen.insert(ring.current().kid().to_owned()), "a fresh kid");
            assert_eq!(ring.kids().len(), 2);
            assert!(ring.open(&token).is_some(), "the previous key is still published");
            ring.rotate();
            seen.insert(ring.current().kid().to_owned());
            assert!(ring.open(&token).is_none(), "the one before it is not");
        }
    }

    #[test]
    fn odd_algorithms_are_made_but_not_believed() {
        let ring = KeyRing::default();
        let key = ring.current();
        for alg in ["none", "HS256", "ES256"] {
            let mut header = key.header();
            header["alg"] = alg.into();
            let token = key.jws(&header, &json!({}));
            assert!(ring.open(&token).is_none(), "{alg}");
            assert_eq!(token.ends_with('.'), alg == "none");
        }
        assert!(ring.open(&ring.foreign().jws(&key.header(), &json!({}))).is_none());
    }

    #[test]
    fn both_forms_of_the_set_name_the_same_keys() {
        let ring = KeyRing::default();
        for kid in ring.kids() {
            assert!(ring.certificates()[&kid].as_str().is_some_and(|pem| pem.starts_with("-----BEGIN CERT")));
        }
        assert_eq!(ring.jwks()["keys"].as_array().map(Vec::len), Some(2));
    }
}
