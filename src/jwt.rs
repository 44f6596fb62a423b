//! The cryptography of JSON Web Tokens, on ring.
//!
//! jsonwebtoken verifies through the provider here, with two algorithms: RS256 with moduli of 2048 to
//! 8192 bits (Google's ID tokens) and ES256 (locum's own session tokens). Every other algorithm is an
//! error, so a caller that forgets to pin one still cannot be talked into HMAC, PSS or EdDSA. Signing
//! is in [`es256`] alone.
//!
//! This is the one exception to "only `rng` draws randomness": ring's ECDSA takes its own sealed
//! generator for the per-signature nonce. A repeatable nonce would give the private key away, so there
//! must be no seeded form of it, not even in tests.
//!
//! What must not be here: reading claims. Times, audiences and types are checked by the module that
//! knows what kind of token it expects; jsonwebtoken's own checks are too lenient for that.

pub mod es256;

use std::sync::OnceLock;

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result, new_error};
use jsonwebtoken::signature::{self, Verifier};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, EncodingKey};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: signer,
    verifier_factory: verifier,
    key_utils: KeyUtils {
        rsa_pub_components_from_private_key: |_| Err(unsupported()),
        rsa_pub_components_from_public_key: |_| Err(unsupported()),
        ec_pub_components_from_private_key: |_, _| Err(unsupported()),
        ed_pub_components_from_private_key: |_, _| Err(unsupported()),
        compute_digest: |_, _| Err(unsupported()),
    },
};

fn unsupported() -> jsonwebtoken::errors::Error {
    new_error(ErrorKind::UnsupportedAlgorithm)
}

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

fn signer(_: &Algorithm, _: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    Err(unsupported())
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    match (algorithm, key.family(), key.kind()) {
        (Algorithm::RS256, AlgorithmFamily::Rsa, _) => Ok(Box::new(Rs256Verifier(key.kind().clone()))),
        (Algorithm::ES256, AlgorithmFamily::Ec, DecodingKeyKind::SecretOrDer(point)) => {
            Ok(Box::new(Es256Verifier(point.clone())))
        }
        (Algorithm::RS256 | Algorithm::ES256, ..) => Err(new_error(ErrorKind::InvalidKeyFormat)),
        _ => Err(unsupported()),
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

#[cfg(test)]
mod tests {
    use super::es256::SigningKey;
    use super::*;
    use jsonwebtoken::crypto::verify;
    use ring::rand::SystemRandom;

    const RSA_PRIVATE: &[u8] = include_bytes!("google/testdata/rsa_a.der");

    fn ec_pair() -> SigningKey {
        SigningKey::from_pkcs8(&SigningKey::generate()).expect("a fresh key")
    }

    fn rsa_pair() -> ring::rsa::KeyPair {
        ring::rsa::KeyPair::from_der(RSA_PRIVATE).expect("the test key")
    }

    #[test]
    fn es256_verifies_what_it_signed_and_nothing_else() {
        install();
        let (pair, other) = (ec_pair(), ec_pair());
        let token = pair.sign(br#"{"alg":"ES256"}"#, b"{}");
        let (message, signature) = token.rsplit_once('.').expect("three parts");
        let check = |message: &str, point: &[u8]| {
            verify(signature, message.as_bytes(), &DecodingKey::from_ec_der(point), Algorithm::ES256)
        };
        assert_eq!(check(message, pair.public_point()), Ok(true));
        assert_eq!(check(&format!("{message}x"), pair.public_point()), Ok(false));
        assert_eq!(check(message, other.public_point()), Ok(false));
        assert_eq!(check(message, &[4; 12]), Ok(false));
        assert!(SigningKey::from_pkcs8(b"not a key").is_err());
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
            DecodingKey::from_ec_der(ec_pair().public_point()),
            DecodingKey::from_ed_der(&[0; 32]),
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
            let signs = jsonwebtoken::crypto::sign(b"a.b", &EncodingKey::from_secret(b"secret"), algorithm);
            assert!(signs.is_err(), "{name}");
        }
    }
}
