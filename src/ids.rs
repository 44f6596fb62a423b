//! Names and numbers of things, each parsed once at the door and a type of its own from there on.

use std::fmt;
use std::str::FromStr;

/// Why a text is not the id it should be. The message never repeats the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} {problem}")]
pub struct InvalidId {
    what: &'static str,
    problem: &'static str,
}

impl InvalidId {
    const fn new(what: &'static str, problem: &'static str) -> Self {
        Self { what, problem }
    }
}

macro_rules! text_id {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
        #[serde(transparent)]
        pub struct $name(Box<str>);

        impl $name {
            /// The text of the id.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}

text_id! {
    /// Google's id of a person, the `sub` claim: up to 255 ASCII characters, case-sensitive, never
    /// reused (OpenID Connect Core §2). In practice 21 digits, which nothing here relies on.
    Sub,
    /// An e-mail address in the form it is compared in: trimmed, and in ASCII lower-case. It can change hands
    /// and is never an identity key.
    Email,
    /// The name the owner gave an OAuth client in the configuration, `[a-z0-9_-]{1,40}`.
    ClientName,
    /// An OAuth client's id at Google: `402839145520-….apps.googleusercontent.com`.
    OAuthClientId,
    /// The public half of an API key: 12 characters of `[a-z0-9]` (the `<id>` in `locum_<id>_<secret>`).
    ApiKeyId,
}

impl FromStr for Sub {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        match text.len() {
            0 => Err(InvalidId::new("a user id", "is empty")),
            1..=255 if text.bytes().all(|b| b.is_ascii_graphic()) => Ok(Self(text.into())),
            1..=255 => Err(InvalidId::new("a user id", "has a space or a character outside printable ASCII")),
            _ => Err(InvalidId::new("a user id", "is longer than 255 characters")),
        }
    }
}

impl FromStr for Email {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let text = text.trim();
        let invalid = |problem| Err(InvalidId::new("an e-mail address", problem));
        if text.len() > 320 {
            return invalid("is longer than 320 characters");
        }
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return invalid("has a space or a control character");
        }
        match text.rsplit_once('@') {
            Some((local, domain)) if !local.is_empty() && !domain.is_empty() => {
                // ASCII alone: elsewhere another letter may have the same small one (U+212A and `k`).
                Ok(Self(text.to_ascii_lowercase().into()))
            }
            _ => invalid("needs a name, an @ and a domain"),
        }
    }
}

impl FromStr for ClientName {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
        if (1..=40).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidId::new("a client name", "must be 1 to 40 characters of a-z, 0-9, - and _"))
        }
    }
}

impl FromStr for OAuthClientId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        if (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidId::new("a client_id", "must be 1 to 255 printable ASCII characters"))
        }
    }
}

impl OAuthClientId {
    /// The number of the Google Cloud project the client belongs to: the digits before the first
    /// dash. Ids of another shape (another provider's) are a project of their own.
    pub fn project(&self) -> &str {
        match self.0.split_once('-') {
            Some((number, _)) if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => number,
            _ => &self.0,
        }
    }
}

impl ApiKeyId {
    /// How many characters an id has.
    pub const LEN: usize = 12;
}

impl FromStr for ApiKeyId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        if text.len() == Self::LEN && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidId::new("an API key id", "must be 12 characters of a-z and 0-9"))
        }
    }
}

macro_rules! row_id {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub i64);
    )+};
}

row_id! {
    /// The vault's own random id of a user row. A person who was forgotten and comes back gets a
    /// new one, so what was bound to the old row stays dead.
    UserId,
    /// The vault's own random id of a grant row.
    GrantId,
    /// The vault's own random id of a mirror row.
    MirrorId,
}

/// How a caller names a user in a path: the `sub`, an e-mail address, or `me`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum UserRef {
    /// Google's `sub`, which is `user.id` in answers.
    Sub(Sub),
    /// The latest verified address of exactly one user.
    Email(Email),
    /// The user of the session that asks.
    Me,
}

impl FromStr for UserRef {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        if text == "me" {
            Ok(Self::Me)
        } else if text.contains('@') {
            text.parse().map(Self::Email)
        } else {
            text.parse().map(Self::Sub)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_email_is_compared_in_lower_case() {
        let email: Email = " Alice@Example.ORG ".parse().expect("valid");
        assert_eq!(email.as_str(), "alice@example.org");
        for bad in ["", "@", "a@", "@b", "a b@c", "a\u{0}@b"] {
            assert!(bad.parse::<Email>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_project_is_the_number_before_the_dash() {
        let id = |text: &str| text.parse::<OAuthClientId>().expect("valid");
        assert_eq!(id("402839145520-r7d1s0.apps.googleusercontent.com").project(), "402839145520");
        assert_eq!(id("my-client").project(), "my-client");
        assert_eq!(
            id("402839145520.apps.googleusercontent.com").project(),
            "402839145520.apps.googleusercontent.com"
        );
    }

    #[test]
    fn a_user_is_named_by_sub_address_or_me() {
        assert_eq!("me".parse(), Ok(UserRef::Me));
        assert!(matches!("a@b".parse(), Ok(UserRef::Email(_))));
        assert!(matches!("108204268033311374519".parse(), Ok(UserRef::Sub(_))));
        assert!("".parse::<UserRef>().is_err());
        assert!("x".repeat(256).parse::<UserRef>().is_err());
    }
}
