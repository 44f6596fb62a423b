//! The cryptography of JSON Web Tokens: jsonwebtoken's provider, on ring.
//!
//! Two algorithms exist here: RS256, only to verify and only with moduli of 2048 to 8192 bits
//! (Google's ID tokens), and ES256, to sign and to verify (locum's own session tokens). Every other
//! algorithm is an error, so a caller that forgets to pin one still cannot be talked into HMAC,
//! PSS or EdDSA.
//!
//! This is the one exception to "only `rng` draws randomness": ring's ECDSA takes its own sealed
//! generator for the per-signature nonce and for blinding. A repeatable nonce would give the private
//! key away, so there must be no seeded form of it, not even in tests.
//!
//! What must not be here: reading claims. Times, audiences and types are checked by the module that
//! knows what kind of token it expects; jsonwebtoken's own checks are too lenient for that.

pub mod es256;

use std::sync::OnceLock;

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result, new_error};
use jsonwebtoken::jwk::{EllipticCurve, ThumbprintHash};
use jsonwebtoken::signature::{self, Signer, Verifier};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, EncodingKey};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
    RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: signer,
    verifier_factory: verifier,
    key_utils: KeyUtils {
        rsa_pub_components_from_private_key: |_| Err(new_error(ErrorKind::UnsupportedAlgorithm)),
        rsa_pub_components_from_public_key: |_| Err(new_error(ErrorKind::UnsupportedAlgorithm)),
        ec_pub_components_from_private_key: ec_public_components,
        ed_pub_components_from_private_key: |_, _| Err(new_error(ErrorKind::UnsupportedAlgorithm)),
        compute_digest: digest,
    },
};

/// Makes jsonwebtoken use this module, once per process; later calls do nothing.
///
/// Whoever uses jsonwebtoken calls this first, each time: a use before it would fix jsonwebtoken on
/// a provider that panics, for the rest of the process.
pub fn install() {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        if PROVIDER.install_default().is_err() {
            tracing::error!("jsonwebtoken was used before jwt::install; its tokens cannot be checked");
        }
    });
}

fn signer(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    match (algorithm, key.family()) {
        (Algorithm::ES256, AlgorithmFamily::Ec) => Ok(Box::new(Es256Signer(key_pair(key.as_bytes())?))),
        (Algorithm::ES256, _) => Err(new_error(ErrorKind::InvalidKeyFormat)),
        _ => Err(new_error(ErrorKind::UnsupportedAlgorithm)),
    }
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    match (algorithm, key.family(), key.kind()) {
        (Algorithm::RS256, AlgorithmFamily::Rsa, _) => Ok(Box::new(Rs256Verifier(key.kind().clone()))),
        (Algorithm::ES256, AlgorithmFamily::Ec, DecodingKeyKind::SecretOrDer(point)) => {
            Ok(Box::new(Es256Verifier(point.clone())))
        }
        (Algorithm::RS256 | Algorithm::ES256, ..) => Err(new_error(ErrorKind::InvalidKeyFormat)),
        _ => Err(new_error(ErrorKind::UnsupportedAlgorithm)),
    }
}

fn key_pair(pkcs8: &[u8]) -> Result<EcdsaKeyPair> {
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, &SystemRandom::new())
        .map_err(|_| new_error(ErrorKind::InvalidEcdsaKey))
}

struct Es256Signer(EcdsaKeyPair);

impl Signer<Vec<u8>> for Es256Signer {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, signature::Error> {
        let signature = self.0.sign(&SystemRandom::new(), message).map_err(|_| signature::Error::new())?;
        Ok(signature.as_ref().to_vec())
    }
}

impl JwtSigner for Es256Signer {
    fn algorithm(&self) -> Algorithm {
        Algorithm::ES256
    }
}

struct Es256Verifier(Vec<u8>);

impl Verifier<Vec<u8>> for Es256Verifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), signature::Error> {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &self.0)
            .verify(message, signature)
            .map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Es256Verifier {
    fn algorithm(&self) -> Algorithm {
        Algorithm::ES256
    }
}

struct Rs256Verifier(DecodingKeyKind);

impl Verifier<Vec<u8>> for Rs256Verifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), signature::Error> {
        let outcome = match &self.0 {
            DecodingKeyKind::SecretOrDer(der) => {
                UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der).verify(message, signature)
            }
            DecodingKeyKind::RsaModulusExponent { n, e } => {
                RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            }
        };
        outcome.map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Rs256Verifier {
    fn algorithm(&self) -> Algorithm {
        Algorithm::RS256
    }
}

/// The curve and the coordinates of a private key's public half, for publishing it as a JWK.
fn ec_public_components(pkcs8: &[u8], algorithm: Algorithm) -> Result<(EllipticCurve, Vec<u8>, Vec<u8>)> {
    if algorithm != Algorithm::ES256 {
        return Err(new_error(ErrorKind::UnsupportedAlgorithm));
    }
    let pair = key_pair(pkcs8)?;
    // SEC 1 §2.3.3: 0x04, then both coordinates of 32 bytes.
    match pair.public_key().as_ref() {
        [4, point @ ..] if point.len() == 64 => {
            Ok((EllipticCurve::P256, point[..32].to_vec(), point[32..].to_vec()))
        }
        _ => Err(new_error(ErrorKind::InvalidEcdsaKey)),
    }
}

fn digest(data: &[u8], hash: ThumbprintHash) -> Result<Vec<u8>> {
    let algorithm = match hash {
        ThumbprintHash::SHA256 => &ring::digest::SHA256,
        ThumbprintHash::SHA384 => &ring::digest::SHA384,
        ThumbprintHash::SHA512 => &ring::digest::SHA512,
        _ => return Err(new_error(ErrorKind::UnsupportedAlgorithm)),
    };
    Ok(ring::digest::digest(algorithm, data).as_ref().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonwebtoken::crypto::{sign, verify};

    const RSA_PRIVATE: &[u8] = include_bytes!("google/testdata/rsa_a.der");

    fn new_ec_key() -> Vec<u8> {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random);
        pkcs8.expect("a key").as_ref().to_vec()
    }

    fn public_half(pkcs8: &[u8]) -> DecodingKey {
        let (_, x, y) = ec_public_components(pkcs8, Algorithm::ES256).expect("a P-256 key");
        DecodingKey::from_ec_der(&[&[4][..], &x, &y].concat())
    }

    fn rsa_pair() -> ring::rsa::KeyPair {
        ring::rsa::KeyPair::from_der(RSA_PRIVATE).expect("the test key")
    }

    #[test]
    fn es256_verifies_what_it_signed_and_nothing_else() {
        install();
        let (pkcs8, other) = (new_ec_key(), new_ec_key());
        let signature = sign(b"a.b", &EncodingKey::from_ec_der(&pkcs8), Algorithm::ES256).expect("signed");
        let check = |message: &[u8], key: &DecodingKey| verify(&signature, message, key, Algorithm::ES256);
        assert_eq!(check(b"a.b", &public_half(&pkcs8)), Ok(true));
        assert_eq!(check(b"a.c", &public_half(&pkcs8)), Ok(false));
        assert_eq!(check(b"a.b", &public_half(&other)), Ok(false));
        assert_eq!(check(b"a.b", &DecodingKey::from_ec_der(&[4; 12])), Ok(false));
    }

    #[test]
    fn rs256_verifies_by_components_and_by_der() {
        install();
        let pair = rsa_pair();
        let mut signature = vec![0; pair.public().modulus_len()];
        pair.sign(&ring::signature::RSA_PKCS1_SHA256, &SystemRandom::new(), b"a.b", &mut signature)
            .expect("signed");
        let parts = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public());
        let keys = [
            DecodingKey::from_rsa_raw_components(&parts.n, &parts.e),
            DecodingKey::from_rsa_der(pair.public().as_ref()),
        ];
        for key in keys {
            let verifier = verifier(&Algorithm::RS256, &key).expect("supported");
            assert!(verifier.verify(b"a.b", &signature).is_ok());
            assert!(verifier.verify(b"a.c", &signature).is_err());
            assert!(verifier.verify(b"a.b", &signature[1..].to_vec()).is_err());
        }
    }

    #[test]
    fn every_other_algorithm_is_an_error_and_no_panic() {
        install();
        let keys = [
            DecodingKey::from_secret(b"secret"),
            DecodingKey::from_rsa_der(rsa_pair().public().as_ref()),
            public_half(&new_ec_key()),
            DecodingKey::from_ed_der(&[0; 32]),
        ];
        let pkcs8 = new_ec_key();
        let signing_keys = [
            EncodingKey::from_secret(b"secret"),
            EncodingKey::from_rsa_der(RSA_PRIVATE),
            EncodingKey::from_ec_der(&pkcs8),
            EncodingKey::from_ed_der(&pkcs8),
        ];
        for name in [
            "HS256", "HS384", "HS512", "ES256", "ES384", "RS256", "RS384", "RS512", "PS256", "PS384",
            "PS512", "EdDSA",
        ] {
            let algorithm: Algorithm = name.parse().expect("an algorithm");
            for key in &keys {
                let fits = matches!(
                    (algorithm, key.family()),
                    (Algorithm::RS256, AlgorithmFamily::Rsa) | (Algorithm::ES256, AlgorithmFamily::Ec)
                );
                assert_eq!(verify("AAAA", b"a.b", key, algorithm).is_ok(), fits, "{name} {:?}", key.family());
            }
            for key in &signing_keys {
                let fits = (algorithm, key.family()) == (Algorithm::ES256, AlgorithmFamily::Ec);
                assert_eq!(sign(b"a.b", key, algorithm).is_ok(), fits, "{name} {:?}", key.family());
            }
        }
    }

    #[test]
    fn a_broken_private_key_is_an_error() {
        install();
        for bytes in [&b""[..], b"not a key", RSA_PRIVATE] {
            assert!(sign(b"a.b", &EncodingKey::from_ec_der(bytes), Algorithm::ES256).is_err());
            assert!(ec_public_components(bytes, Algorithm::ES256).is_err());
        }
        assert!(ec_public_components(&new_ec_key(), Algorithm::ES384).is_err());
    }

    #[test]
    fn a_session_key_can_be_published_as_a_jwk() {
        install();
        let key = EncodingKey::from_ec_der(&new_ec_key());
        let jwk = jsonwebtoken::jwk::Jwk::from_encoding_key(&key, Algorithm::ES256).expect("a JWK");
        let published = DecodingKey::from_jwk(&jwk).expect("a public key");
        let signature = sign(b"a.b", &key, Algorithm::ES256).expect("signed");
        assert_eq!(verify(&signature, b"a.b", &published, Algorithm::ES256), Ok(true));
        assert_eq!(jwk.thumbprint(ThumbprintHash::SHA256).expect("a digest").len(), 43);
    }
}
