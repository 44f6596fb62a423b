//! Signing with ES256 (ECDSA on P-256 with SHA-256, RFC 7518 §3.4).
//!
//! The key pair is parsed once and kept: parsing checks the point, which costs as much as a
//! signature, and jsonwebtoken would parse it again for each token.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use zeroize::Zeroizing;

/// A private key that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an ES256 private key in PKCS#8")]
pub struct InvalidKey;

/// A key pair ready to sign.
pub struct SigningKey(EcdsaKeyPair);

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

impl SigningKey {
    /// A new private key in PKCS#8.
    ///
    /// # Panics
    /// When the operating system has no randomness to give, as [`crate::rng::Rng::fill`].
    pub fn generate() -> Zeroizing<Vec<u8>> {
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
            .expect("the operating system's random generator failed");
        Zeroizing::new(document.as_ref().to_vec())
    }

    /// Parses a private key.
    ///
    /// # Errors
    /// [`InvalidKey`] when it is not one.
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, InvalidKey> {
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, &SystemRandom::new())
            .map(Self)
            .map_err(|_| InvalidKey)
    }

    /// The public key as an uncompressed point: 0x04 and two coordinates of 32 bytes.
    pub fn public_point(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }

    /// A JWS in its compact form (RFC 7515 §7.1) of a header and claims that are JSON already.
    pub fn sign(&self, header: &[u8], claims: &[u8]) -> String {
        let mut token = URL_SAFE_NO_PAD.encode(header);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let signature = self
            .0
            .sign(&SystemRandom::new(), token.as_bytes())
            .expect("the operating system's random generator failed");
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature.as_ref(), &mut token);
        token
    }
}
