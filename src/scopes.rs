//! Sets of OAuth scopes, normalised so that Google's several spellings compare equal.
//!
//! Google answers `email` as `https://www.googleapis.com/auth/userinfo.email`, `profile` as
//! `…/userinfo.profile`, and knows `drive.appdata` under the older name `drive.appfolder` too
//! (RFC 6749 §3.3 lets a server return other strings than were asked for). Scopes are therefore
//! compared as sets of normalised names, never as text.

mod words;

use std::collections::BTreeSet;
use std::fmt;

pub use self::words::{ScopeInWords, Sensitivity};

/// A set of normalised scope names. Its text form is sorted and space-separated.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScopeSet(BTreeSet<Box<str>>);

const PREFIX: &str = "https://www.googleapis.com/auth/";

fn normalise(scope: &str) -> Box<str> {
    let short = scope.strip_prefix(PREFIX).unwrap_or(scope);
    match short {
        "email" | "userinfo.email" => format!("{PREFIX}userinfo.email").into(),
        "profile" | "userinfo.profile" => format!("{PREFIX}userinfo.profile").into(),
        "drive.appfolder" | "drive.appdata" => format!("{PREFIX}drive.appdata").into(),
        _ => scope.into(),
    }
}

impl ScopeSet {
    /// From a space-separated list (RFC 6749 §3.3); any white space separates.
    pub fn parse(text: &str) -> Self {
        Self(text.split_whitespace().map(normalise).collect())
    }

    /// Whether the set holds nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many scopes the set holds.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether every scope of `self` is in `other`.
    pub fn is_subset(&self, other: &Self) -> bool {
        self.0.is_subset(&other.0)
    }

    /// Whether the set holds `scope`, in any of its spellings.
    pub fn contains(&self, scope: &str) -> bool {
        self.0.contains(&normalise(scope))
    }

    /// What is in `self` and not in `other`.
    pub fn minus(&self, other: &Self) -> Self {
        Self(self.0.difference(&other.0).cloned().collect())
    }

    /// What is in both sets.
    pub fn intersection(&self, other: &Self) -> Self {
        Self(self.0.intersection(&other.0).cloned().collect())
    }

    /// What is in either set.
    pub fn union(&self, other: &Self) -> Self {
        Self(self.0.union(&other.0).cloned().collect())
    }

    /// The scopes in their sorted order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(AsRef::as_ref)
    }

    /// Whether a token with these scopes comes with an ID token.
    pub fn has_identity(&self) -> bool {
        self.contains("openid") || self.contains("email") || self.contains("profile")
    }
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, scope) in self.iter().enumerate() {
            if i > 0 {
                f.write_str(" ")?;
            }
            f.write_str(scope)?;
        }
        Ok(())
    }
}

impl<S: AsRef<str>> FromIterator<S> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = S>>(scopes: I) -> Self {
        Self(scopes.into_iter().map(|s| normalise(s.as_ref().trim())).filter(|s| !s.is_empty()).collect())
    }
}

/// A JSON array of scope names, sorted.
impl serde::Serialize for ScopeSet {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> serde::Deserialize<'de> for ScopeSet {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<String>::deserialize(deserializer).map(|list| list.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_scope_are_equal() {
        let asked = ScopeSet::parse("openid email profile https://www.googleapis.com/auth/drive.appfolder");
        let granted = ScopeSet::parse(
            "https://www.googleapis.com/auth/drive.appdata openid \
             https://www.googleapis.com/auth/userinfo.email https://www.googleapis.com/auth/userinfo.profile",
        );
        assert_eq!(asked, granted);
        assert!(asked.contains("email"));
        assert!(asked.minus(&granted).is_empty());
    }

    #[test]
    fn a_set_reads_its_own_text() {
        let set = ScopeSet::parse("b  a\tc a");
        assert_eq!(set.to_string(), "a b c");
        assert_eq!(ScopeSet::parse(&set.to_string()), set);
        let json = serde_json::to_string(&set).expect("json");
        assert_eq!(serde_json::from_str::<ScopeSet>(&json).expect("json"), set);
    }
}
