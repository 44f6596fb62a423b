//! The texts that go into header fields and queries of Drive's.

use std::fmt;
use std::str::FromStr;

use super::file::FileId;

/// A content's media type as Drive keeps it, such as `text/plain; charset=utf-8`. Drive stores it as it is.
///
/// Parsed from 3 to 255 printable ASCII characters with a `/` between two tokens at their start. Google's own
/// types (`application/vnd.google-apps.…`) are none: they name documents and folders, which have no content.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MediaType(Box<str>);

/// Why a text is no [`MediaType`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMediaType {
    /// Not of the form.
    #[error("a media type is `type/subtype`, in at most 255 printable ASCII characters")]
    Malformed,
    /// One of Google's own.
    #[error("application/vnd.google-apps types name Google's own documents, which have no content")]
    Googles,
}

impl MediaType {
    /// What content is whose type nobody says.
    pub fn unknown() -> Self {
        Self("application/octet-stream".into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for MediaType {
    type Err = InvalidMediaType;

    fn from_str(text: &str) -> Result<Self, InvalidMediaType> {
        let text = text.trim();
        let token = |word: &str| {
            !word.is_empty()
                && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
        };
        let essence = text.split(';').next().unwrap_or_default().trim_end();
        let well_formed = text.len() <= 255
            && text.bytes().all(|b| (b' '..=b'~').contains(&b))
            && essence.split_once('/').is_some_and(|(kind, subtype)| token(kind) && token(subtype));
        if !well_formed {
            return Err(InvalidMediaType::Malformed);
        }
        if essence.to_ascii_lowercase().starts_with("application/vnd.google-apps") {
            return Err(InvalidMediaType::Googles);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text in a search query (`q`), quoted.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('\'');
    for letter in text.chars() {
        if matches!(letter, '\'' | '\\') {
            quoted.push('\\');
        }
        quoted.push(letter);
    }
    quoted.push('\'');
    quoted
}

/// What is in this folder.
pub(super) fn in_folder(parent: &FileId) -> String {
    format!("'{parent}' in parents")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_are_header_safe_and_not_googles_own() {
        for good in ["text/plain", "text/plain; charset=utf-8", "application/vnd.api+json", " image/png "] {
            assert_eq!(good.parse::<MediaType>().expect(good).as_str(), good.trim());
        }
        for bad in [
            "",
            "text",
            "/",
            "text/",
            "text/pl ain",
            "a/b\r\nx: y",
            "text/plain;é",
            &format!("a/{}", "b".repeat(254)),
        ] {
            assert_eq!(bad.parse::<MediaType>(), Err(InvalidMediaType::Malformed), "{bad:?}");
        }
        for googles in ["application/vnd.google-apps.folder", "Application/Vnd.Google-Apps.document;x=y"] {
            assert_eq!(googles.parse::<MediaType>(), Err(InvalidMediaType::Googles));
        }
    }

    #[test]
    fn quotes_in_names_do_not_end_the_query() {
        assert_eq!(quoted(r"it's a \ name"), r"'it\'s a \\ name'");
    }
}
