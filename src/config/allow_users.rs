//! Who may connect.
//!
//! Domains match the ID token's `hd` claim (a Workspace organisation) and never the domain of an e-mail
//! address, which anybody can write into a Google account. Addresses match a verified e-mail and only
//! decide at the first connection; afterwards the person is their `sub`, and what counts is that the
//! entry which admitted them is still listed.

use std::fmt;
use std::str::FromStr;

use crate::ids::Email;

/// The owner's answer to "who may connect?". There is no default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowUsers {
    /// Every Google account.
    Anyone,
    /// These and no others.
    Listed {
        /// Verified addresses, in lower case.
        emails: Vec<Email>,
        /// Workspace domains, in lower case, compared with `hd`.
        domains: Vec<String>,
    },
}

/// The entry that admitted a person. Its text form (`anyone`, an address, a domain) is what the vault
/// keeps, sealed, since an address is personal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// `allow_users = "anyone"`.
    Anyone,
    /// A listed address.
    Email(Email),
    /// A listed domain.
    Domain(String),
}

/// The text is no entry of `allow_users`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither \"anyone\" nor an e-mail address nor a domain")]
pub struct InvalidEntry;

impl fmt::Display for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anyone => f.write_str("anyone"),
            Self::Email(email) => f.write_str(email.as_str()),
            Self::Domain(domain) => f.write_str(domain),
        }
    }
}

impl FromStr for Admission {
    type Err = InvalidEntry;

    fn from_str(text: &str) -> Result<Self, InvalidEntry> {
        let text = text.trim();
        if text == "anyone" {
            Ok(Self::Anyone)
        } else if text.contains('@') {
            text.parse().map(Self::Email).map_err(|_| InvalidEntry)
        } else if is_domain(text) {
            Ok(Self::Domain(text.to_ascii_lowercase()))
        } else {
            Err(InvalidEntry)
        }
    }
}

fn is_domain(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.contains('.') && text.split('.').all(label)
}

impl AllowUsers {
    /// The entry that admits a person, if one does. `email` is given only when Google says it is
    /// verified; `hd` is the ID token's claim.
    pub fn admits(&self, email: Option<&Email>, hd: Option<&str>) -> Option<Admission> {
        let Self::Listed { emails, domains } = self else {
            return Some(Admission::Anyone);
        };
        if let Some(email) = email.filter(|email| emails.contains(email)) {
            return Some(Admission::Email(email.clone()));
        }
        let hd = hd?;
        let domain = domains.iter().find(|domain| domain.eq_ignore_ascii_case(hd))?;
        Some(Admission::Domain(domain.clone()))
    }

    /// Whether the person of this address may be admitted one day: by it, or by a domain, which Google
    /// tells only when they sign in.
    pub fn may_admit(&self, email: &Email) -> bool {
        match self {
            Self::Anyone => true,
            Self::Listed { emails, domains } => emails.contains(email) || !domains.is_empty(),
        }
    }

    /// Whether a person may still come in whom the entry of this text let in.
    pub fn still_admits(&self, admitted_by: &str) -> bool {
        admitted_by.parse().is_ok_and(|admission| self.still_lists(&admission))
    }

    /// Whether a person whom `admission` let in may still come in.
    pub fn still_lists(&self, admission: &Admission) -> bool {
        match (self, admission) {
            (Self::Anyone, _) => true,
            (Self::Listed { .. }, Admission::Anyone) => false,
            (Self::Listed { emails, .. }, Admission::Email(email)) => emails.contains(email),
            (Self::Listed { domains, .. }, Admission::Domain(domain)) => domains.contains(domain),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn email(text: &str) -> Email {
        text.parse().expect("address")
    }

    fn listed() -> AllowUsers {
        AllowUsers::Listed { emails: vec![email("alice@example.org")], domains: vec!["example.com".into()] }
    }

    #[test]
    fn a_domain_matches_hd_and_never_the_address() {
        let list = listed();
        let bob = email("bob@example.com");
        assert_eq!(list.admits(Some(&bob), None), None);
        assert_eq!(
            list.admits(Some(&bob), Some("Example.com")),
            Some(Admission::Domain("example.com".into()))
        );
        assert_eq!(list.admits(None, Some("sub.example.com")), None);
        assert_eq!(list.admits(None, None), None);
    }

    #[test]
    fn an_address_matches_whatever_its_case() {
        let alice = email("ALICE@example.org");
        assert_eq!(listed().admits(Some(&alice), None), Some(Admission::Email(alice)));
    }

    #[test]
    fn the_admitting_entry_must_stay_listed() {
        let list = listed();
        assert!(list.still_lists(&Admission::Email(email("alice@example.org"))));
        assert!(!list.still_lists(&Admission::Email(email("carol@example.org"))));
        assert!(!list.still_lists(&Admission::Domain("example.net".into())));
        assert!(!list.still_lists(&Admission::Anyone));
        assert!(AllowUsers::Anyone.still_lists(&Admission::Domain("example.net".into())));
    }

    #[test]
    fn an_entry_reads_its_own_text() {
        for text in ["anyone", "alice@example.org", "example.org"] {
            assert_eq!(text.parse::<Admission>().expect("entry").to_string(), text);
        }
        for bad in ["", "everyone", "-a.org", "a..org", "*.example.org", "@", "exa mple.org"] {
            assert_eq!(bad.parse::<Admission>(), Err(InvalidEntry), "{bad}");
        }
    }
}
