//! Sets of OAuth scopes, normalised so that Google's several spellings compare equal.
//!
//! Google answers `email` as `https://www.googleapis.com/auth/userinfo.email`, `profile` as
//! `…/userinfo.profile`, and knows `drive.appdata` under the older name `drive.appfolder` too
//! (RFC 6749 §3.3 lets a server return other strings than were asked for). Scopes are therefore
//! compared as sets of normalised names, never as text.

mod words;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

pub use self::words::{ScopeInWords, Sensitivity};

/// A set of normalised scope names, kept as its text form: sorted, with one space between. Sets are small, and
/// most are only carried from a row to an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScopeSet(Arc<str>);

const PREFIX: &str = "https://www.googleapis.com/auth/";

fn normalise(scope: &str) -> &str {
    match scope.strip_prefix(PREFIX).unwrap_or(scope) {
        "email" | "userinfo.email" => "https://www.googleapis.com/auth/userinfo.email",
        "profile" | "userinfo.profile" => "https://www.googleapis.com/auth/userinfo.profile",
        "drive.appfolder" | "drive.appdata" => "https://www.googleapis.com/auth/drive.appdata",
        _ => scope,
    }
}

impl ScopeSet {
    /// From a space-separated list (RFC 6749 §3.3); any white space separates.
    pub fn parse(text: &str) -> Self {
        if is_normal(text) {
            return Self(text.into());
        }
        let names: BTreeSet<&str> = text.split_whitespace().map(normalise).collect();
        Self::of_sorted(names)
    }

    fn of_sorted<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        Self(names.into_iter().collect::<Vec<_>>().join(" ").into())
    }

    /// Whether the set holds nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether every scope of `self` is in `other`.
    pub fn is_subset(&self, other: &Self) -> bool {
        self == other || self.iter().all(|scope| other.has(scope))
    }

    /// Whether the set holds `scope`, in any of its spellings.
    pub fn contains(&self, scope: &str) -> bool {
        self.has(normalise(scope))
    }

    fn has(&self, name: &str) -> bool {
        self.iter().any(|own| own == name)
    }

    /// What is in `self` and not in `other`.
    pub fn minus(&self, other: &Self) -> Self {
        Self::of_sorted(self.iter().filter(|scope| !other.has(scope)))
    }

    /// What is in both sets.
    pub fn intersection(&self, other: &Self) -> Self {
        Self::of_sorted(self.iter().filter(|scope| other.has(scope)))
    }

    /// What is in either set.
    pub fn union(&self, other: &Self) -> Self {
        Self::of_sorted(self.iter().chain(other.iter()).collect::<BTreeSet<_>>())
    }

    /// The scopes in their sorted order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.split(' ').filter(|scope| !scope.is_empty())
    }

    /// Whether a token with these scopes comes with an ID token.
    pub fn has_identity(&self) -> bool {
        self.contains("openid") || self.contains("email") || self.contains("profile")
    }
}

/// Whether the text is already that of a set, as what locum stored itself is.
fn is_normal(text: &str) -> bool {
    let mut before = "";
    text.split(' ').all(|scope| {
        let next = before < scope && normalise(scope) == scope && !scope.contains(char::is_whitespace);
        before = scope;
        next
    })
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<S: AsRef<str>> FromIterator<S> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = S>>(scopes: I) -> Self {
        let mut text = String::new();
        for scope in scopes {
            text.push_str(scope.as_ref());
            text.push(' ');
        }
        Self::parse(&text)
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
        assert_eq!(ScopeSet::parse(""), ScopeSet::default());
        let json = serde_json::to_string(&set).expect("json");
        assert_eq!(serde_json::from_str::<ScopeSet>(&json).expect("json"), set);
    }

    proptest::proptest! {
        /// The sets that the text stands for, worked out the plain way.
        #[test]
        fn it_is_a_set(
            one in proptest::collection::vec("[a-e]{0,2}|email|openid|profile", 0..6),
            two in proptest::collection::vec("[a-e]{0,2}|email|openid|profile", 0..6),
            space in "[ \t\n]{1,2}",
        ) {
            let plain = |names: &[String]| -> BTreeSet<String> {
                names.iter().filter(|name| !name.is_empty()).map(|name| normalise(name).to_owned()).collect()
            };
            let listed = |set: &ScopeSet| set.iter().map(str::to_owned).collect::<Vec<_>>();
            let (a, b) = (ScopeSet::parse(&one.join(&space)), ScopeSet::from_iter(&two));
            let (x, y) = (plain(&one), plain(&two));
            assert_eq!(listed(&a), x.iter().cloned().collect::<Vec<_>>());
            assert_eq!(listed(&a.union(&b)), x.union(&y).cloned().collect::<Vec<_>>());
            assert_eq!(listed(&a.minus(&b)), x.difference(&y).cloned().collect::<Vec<_>>());
            assert_eq!(listed(&a.intersection(&b)), x.intersection(&y).cloned().collect::<Vec<_>>());
            assert_eq!(a.is_subset(&b), x.is_subset(&y));
            assert_eq!(a == b, x == y);
            assert_eq!(ScopeSet::parse(a.as_str()), a);
        }
    }
}
