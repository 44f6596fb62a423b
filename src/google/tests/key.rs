//! RSA keys made for these tests, which protect nothing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::rsa::KeyPair;
use ring::signature::{RSA_PKCS1_SHA256, RsaEncoding, RsaPublicKeyComponents};
use serde_json::{Value, json};

/// A key pair with the id it is published under.
pub(crate) struct TestKey {
    kid: &'static str,
    pair: KeyPair,
}

impl TestKey {
    /// The key that the tests' key set holds as `a`.
    pub(crate) fn a() -> Self {
        Self::read("a", include_bytes!("../testdata/rsa_a.der"))
    }

    /// Another one.
    pub(crate) fn b() -> Self {
        Self::read("b", include_bytes!("../testdata/rsa_b.der"))
    }

    fn read(kid: &'static str, der: &[u8]) -> Self {
        Self { kid, pair: KeyPair::from_der(der).expect("the test key") }
    }

    /// The public half, for confusing it with an HMAC secret.
    pub(crate) fn public_der(&self) -> &[u8] {
        self.pair.public().as_ref()
    }

    /// The JWK as Google publishes it.
    pub(crate) fn jwk(&self) -> Value {
        let parts = RsaPublicKeyComponents::<Vec<u8>>::from(self.pair.public());
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({
            "kty": "RSA", "alg": "RS256", "use": "sig", "kid": self.kid,
            "n": encode(&parts.n), "e": encode(&parts.e),
        })
    }

    /// The raw signature of a message.
    pub(crate) fn sign_with(&self, encoding: &'static dyn RsaEncoding, message: &str) -> Vec<u8> {
        let mut signature = vec![0; self.pair.public().modulus_len()];
        self.pair
            .sign(encoding, &SystemRandom::new(), message.as_bytes(), &mut signature)
            .expect("a signature");
        signature
    }

    /// A compact JWS of exactly these texts, signed with RS256 whatever the header says.
    pub(crate) fn sign(&self, header: &[u8], claims: &[u8]) -> String {
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = self.sign_with(&RSA_PKCS1_SHA256, &message);
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}
