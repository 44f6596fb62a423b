//! A type for every secret.
//!
//! Each type wipes its memory when dropped, prints only its name in `Debug`, has no `Display` and no
//! `Serialize`, and gives its content through one greppable method, `expose`. Comparing two secrets
//! takes the same time wherever they differ.

use std::fmt;
use std::sync::Arc;

use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

macro_rules! secret_text {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name(Arc<Zeroizing<String>>);

        impl $name {
            /// Takes ownership of the text; the caller's copy is moved, not copied.
            pub fn new(text: impl Into<String>) -> Self {
                Self(Arc::new(Zeroizing::new(text.into())))
            }

            /// The secret itself. Never pass it to a log, an error, a URL or `format!` for people.
            pub fn expose(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.expose().as_bytes().ct_eq(other.expose().as_bytes()).into()
            }
        }

        impl Eq for $name {}

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer).map(Self::new)
            }
        }
    )+};
}

secret_text! {
    /// The one-time code an app receives from Google (`serverAuthCode`), RFC 6749 §4.1.2.
    AuthorizationCode,
    /// What opens a Google API for about an hour, RFC 6749 §1.4.
    AccessToken,
    /// What a new access token is bought with, RFC 6749 §1.5.
    RefreshToken,
    /// A signed statement about who signed in, OpenID Connect Core §2, in its compact form.
    IdToken,
    /// The client's own secret at Google (`GOCSPX-…`).
    ClientSecret,
    /// PKCE's `code_verifier`, RFC 7636 §4.1.
    CodeVerifier,
    /// A session token that an app's user shows to locum.
    SessionToken,
    /// A pass-phrase or another secret text from the configuration.
    SecretText,
}

/// Thirty-two secret bytes: a root key, a data key, a hash that stands for a secret.
#[derive(Clone)]
pub struct SecretKey(Arc<Zeroizing<[u8; 32]>>);

impl SecretKey {
    /// Takes the bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Arc::new(Zeroizing::new(bytes)))
    }

    /// The bytes themselves.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(…)")
    }
}

/// Appends to bytes that are wiped when dropped. A plain `Vec` leaves a copy behind where it has to move to
/// grow; here that is wiped, too.
pub fn append(bytes: &mut Zeroizing<Vec<u8>>, more: &[u8]) {
    let wanted = bytes.len() + more.len();
    if wanted > bytes.capacity() {
        let mut larger = Zeroizing::new(Vec::with_capacity(wanted.max(2 * bytes.capacity())));
        larger.extend_from_slice(bytes);
        *bytes = larger;
    }
    bytes.extend_from_slice(more);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_prints_no_secret() {
        let token = RefreshToken::new("1//0EXAMPLE-locum-test-vector");
        assert_eq!(format!("{token:?}"), "RefreshToken(…)");
        assert_eq!(format!("{:?}", SecretKey::new([7; 32])), "SecretKey(…)");
    }

    #[test]
    fn equal_secrets_are_equal() {
        assert_eq!(AccessToken::new("a"), AccessToken::new("a"));
        assert_ne!(AccessToken::new("a"), AccessToken::new("ab"));
    }

    #[test]
    fn bytes_grow_and_stay_the_same() {
        let whole: Vec<u8> = (0..=255).cycle().take(10_000).collect();
        for size in [1, 7, 4096, whole.len()] {
            let mut bytes = Zeroizing::new(Vec::new());
            whole.chunks(size).for_each(|more| append(&mut bytes, more));
            append(&mut bytes, &[]);
            assert_eq!(*bytes, whole, "in pieces of {size}");
        }
    }
}
