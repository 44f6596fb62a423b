//! What the directory knows of one person: no more than is searched and sorted by.

use unicode_normalization::UnicodeNormalization as _;

use crate::clock::Timestamp;
use crate::config::Config;
use crate::grant::GrantState;
use crate::ids::{ClientName, OAuthClientId, UserId};
use crate::vault::{Grant, User};

/// One person.
pub(super) struct Entry {
    pub(super) id: UserId,
    pub(super) sub: Box<str>,
    /// Folded; empty when there is none.
    pub(super) email: Box<str>,
    /// Folded; empty when there is none.
    pub(super) name: Box<str>,
    pub(super) created_at: Timestamp,
    pub(super) grants: Box<[GrantEntry]>,
}

/// One grant of theirs.
pub(super) struct GrantEntry {
    /// Its place among the [`Clients`].
    pub(super) client: u16,
    /// As it is stored.
    pub(super) state: GrantState,
    pub(super) connected_at: Timestamp,
    pub(super) refreshed_at: Timestamp,
}

impl Entry {
    pub(super) fn new(user: &User, grants: &[Grant], clients: &mut Clients) -> Self {
        let folded = |text: Option<&str>| text.map(fold).unwrap_or_default().into_boxed_str();
        Self {
            id: user.id,
            sub: user.profile.sub.as_str().into(),
            email: folded(user.profile.email.as_ref().map(crate::ids::Email::as_str)),
            name: folded(user.profile.name.as_deref()),
            created_at: user.created_at,
            grants: grants
                .iter()
                .map(|grant| GrantEntry {
                    client: clients.place_of(&grant.client_id),
                    state: grant.state,
                    connected_at: grant.connected_at,
                    refreshed_at: grant.refreshed_at,
                })
                .collect(),
        }
    }
}

/// The OAuth clients that occur, each kept once.
#[derive(Default)]
pub(super) struct Clients(Vec<OAuthClientId>);

impl Clients {
    /// More clients than the number can tell apart are one: nobody has so many.
    fn place_of(&mut self, id: &OAuthClientId) -> u16 {
        let place = self.0.iter().position(|known| known == id).unwrap_or_else(|| {
            self.0.push(id.clone());
            self.0.len() - 1
        });
        u16::try_from(place).unwrap_or(u16::MAX)
    }

    /// The configured name of each, `None` for one that is not configured.
    pub(super) fn names<'c>(&self, config: &'c Config) -> Vec<Option<&'c ClientName>> {
        self.0.iter().map(|id| config.client_by_id(id).map(|client| &client.name)).collect()
    }
}

/// The form in which texts are compared: without case, and the same for every way of writing the same
/// letters. A character that only changes a direction stays what it is.
///
/// Each character goes through its small, its large and its small form, which is close to Unicode's full
/// case folding (`ß`, `ẞ` and `SS` meet, so do the three forms of sigma) and finds a little more (`ı` is `i`).
pub(super) fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.nfkc()
        .flat_map(char::to_lowercase)
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .nfkc()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reads_the_same_folds_to_the_same() {
        for (one, other) in [
            ("Alice", "aLICE"),
            ("STRASSE", "Straße"),
            ("ẞ", "ss"),
            ("ΟΔΥΣΣΕΥΣ", "οδυσσευς"),
            ("Zo\u{eb}", "ZOE\u{308}"),
            ("\u{212b}ngstro\u{308}m", "\u{e5}NGSTR\u{d6}M"),
            ("ｆｕｌｌ", "FULL"),
            ("ﬁn", "FIN"),
            ("İstanbul", "i̇stanbul"),
            ("محمد", "محمد"),
        ] {
            assert_eq!(fold(one), fold(other), "{one} {other}");
        }
        assert_ne!(fold("a\u{202e}b"), fold("ab"), "an override is data");
        assert_ne!(fold("e"), fold("é"));
    }
}
