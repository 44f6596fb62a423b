//! The forms in which Google's security events name a refresh token.

use ring::digest::{Digest, SHA512, digest};

/// SHA-512 applied twice to a refresh token, the form `hash_base64_sha512_sha512`. Whether the inner result is hashed raw or in base64 is not documented, so both
/// are kept.
pub(super) struct DoubleHashes {
    pub(super) raw: Digest,
    pub(super) base64: Digest,
}

impl DoubleHashes {
    pub(super) fn of(token: &[u8]) -> Self {
        use base64::Engine as _;
        let inner = digest(&SHA512, token);
        let text = base64::engine::general_purpose::STANDARD.encode(inner.as_ref());
        Self { raw: digest(&SHA512, inner.as_ref()), base64: digest(&SHA512, text.as_bytes()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;

    #[test]
    fn double_hashes_match_the_vectors() {
        let hashes = DoubleHashes::of(b"1//0EXAMPLE-locum-test-vector");
        let text = |digest: &Digest| base64::engine::general_purpose::STANDARD.encode(digest.as_ref());
        assert!(text(&hashes.raw).starts_with("Xowu7gvyDuWBoj8Jw+ssiH7u"));
        assert!(text(&hashes.base64).starts_with("ixHUELzb8mmaGmuvuKHwDTzG"));
    }
}
