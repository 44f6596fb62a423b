//! PKCE's S256 challenge (RFC 7636 §4).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::rng::Rng;
use crate::secret::CodeVerifier;

/// A new verifier: 32 random bytes as 43 base64url characters, as RFC 7636 §4.1 suggests.
pub fn new_verifier(rng: &Rng) -> CodeVerifier {
    CodeVerifier::new(rng.token(32))
}

/// The `code_challenge` of a verifier for `code_challenge_method=S256`.
pub fn challenge(verifier: &CodeVerifier) -> String {
    URL_SAFE_NO_PAD.encode(ring::digest::digest(&ring::digest::SHA256, verifier.expose().as_bytes()))
}

/// Whether the text may be a verifier: 43 to 128 unreserved characters (RFC 7636 §4.1).
pub fn is_verifier(text: &str) -> bool {
    let unreserved = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    (43..=128).contains(&text.len()) && text.bytes().all(unreserved)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vector_of_rfc_7636_appendix_b() {
        let verifier = CodeVerifier::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(challenge(&verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        assert!(is_verifier(verifier.expose()));
    }

    #[test]
    fn a_new_verifier_is_one_and_differs_each_time() {
        let rng = Rng::seeded(1);
        let (a, b) = (new_verifier(&rng), new_verifier(&rng));
        assert!(is_verifier(a.expose()) && is_verifier(b.expose()));
        assert_ne!(a, b);
    }

    #[test]
    fn what_is_not_a_verifier() {
        for bad in ["", &"a".repeat(42), &"a".repeat(129), &format!("{}+", "a".repeat(43)), &"ä".repeat(43)]
        {
            assert!(!is_verifier(bad), "{bad:?}");
        }
    }
}
