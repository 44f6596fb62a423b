//! What there is: a file or folder with its path, its entity tag, and what a caller demands of it.

use std::fmt;
use std::str::FromStr;

use crate::google::drive::{DriveFile, FileKind};

/// A strong entity tag (RFC 9110 §8.8.3): the file's id and its head revision. Its text has its quotes.
///
/// Every upload makes another one, and so does a file that was deleted and made anew. A new name or place
/// does not.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ETag(Box<str>);

/// The text is no strong entity tag: `"…"` in printable ASCII. A weak one (`W/`) never matches anything here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a strong entity tag: write it as it was given, with its quotes")]
pub struct InvalidETag;

fn is_tag(text: &str) -> bool {
    text.bytes().all(|b| b == b'!' || (b'#'..=b'~').contains(&b))
}

impl FromStr for ETag {
    type Err = InvalidETag;

    fn from_str(text: &str) -> Result<Self, InvalidETag> {
        let tag = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        match tag {
            Some(tag) if text.len() <= 1024 && is_tag(tag) => Ok(Self(text.into())),
            _ => Err(InvalidETag),
        }
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl ETag {
    /// The tag of a file's content; `None` for what has no content.
    pub fn of(file: &DriveFile) -> Option<Self> {
        let FileKind::File { md5, head_revision, .. } = &file.kind else { return None };
        // A server that names no revisions, or in letters that a header field cannot have.
        let revision = head_revision.as_deref().filter(|text| !text.is_empty() && is_tag(text));
        let revision = revision.map_or_else(|| u128::from_be_bytes(*md5).to_string(), str::to_owned);
        Some(Self(format!("\"{}.{revision}\"", file.id).into()))
    }
}

/// What must hold for a write or a removal to be done (RFC 9110 §13.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Precondition {
    /// Nothing.
    #[default]
    None,
    /// The file has one of these tags (`If-Match: "…"`).
    Match(Vec<ETag>),
    /// There is such a file (`If-Match: *`).
    Exists,
    /// There is no such file or folder (`If-None-Match: *`).
    Absent,
}

impl Precondition {
    /// Whether it holds where `file` is what the path leads to, and `folder` says whether it leads to a
    /// folder.
    pub(super) fn holds(&self, file: Option<&DriveFile>, folder: bool) -> bool {
        match self {
            Self::None => true,
            Self::Match(tags) => file.and_then(ETag::of).is_some_and(|tag| tags.contains(&tag)),
            Self::Exists => file.is_some(),
            Self::Absent => file.is_none() && !folder,
        }
    }
}

/// A file or folder in a person's app data. `Debug` leaves its path out.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// The names on the way and its own, with `/` between them. Two files may have the same.
    pub path: String,
    /// Whether the path, parsed, leads here. Names that other programs gave may break the rules of
    /// [`super::AppDataPath`], and a shadowed file is not where its path leads.
    pub addressable: bool,
    /// Another file of the same path, modified later, hides this one.
    pub shadowed: bool,
    /// What Drive says about it.
    pub file: DriveFile,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("file", &self.file)
            .field("shadowed", &self.shadowed)
            .finish_non_exhaustive()
    }
}

impl Entry {
    /// Its entity tag; `None` for folders.
    pub fn etag(&self) -> Option<ETag> {
        ETag::of(&self.file)
    }

    /// Whether it is a folder.
    pub fn is_folder(&self) -> bool {
        self.file.kind == FileKind::Folder
    }
}

/// Of several files or folders of one name the one modified last comes first, then the one of the smaller id.
pub(super) fn winner_first(a: &DriveFile, b: &DriveFile) -> std::cmp::Ordering {
    b.modified_ms.cmp(&a.modified_ms).then_with(|| a.id.cmp(&b.id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app_data::tests::{file, folder};

    #[test]
    fn a_tag_names_file_and_revision() {
        let mut a = file("f1", "a", "top", 5);
        let tag = ETag::of(&a).expect("a tag");
        assert_eq!(tag.to_string(), "\"f1.r-f1\"");
        assert_eq!(tag.to_string().parse(), Ok(tag));
        assert_eq!(ETag::of(&folder("d", "d", "top", 1)), None);
        for odd in [Some("a\"b".to_owned()), Some("ü".to_owned()), Some(String::new()), None] {
            if let FileKind::File { head_revision, .. } = &mut a.kind {
                *head_revision = odd;
            }
            let tag = ETag::of(&a).expect("a tag").to_string();
            assert!(tag.parse::<ETag>().is_ok(), "{tag}");
        }
        for bad in ["", "a", "\"", "W/\"a\"", "\"a\"b\"", "\"a b\"", "\"ü\""] {
            assert_eq!(bad.parse::<ETag>(), Err(InvalidETag), "{bad}");
        }
    }

    #[test]
    fn preconditions() {
        let a = file("f1", "a", "top", 5);
        let tag = || ETag::of(&a).expect("a tag");
        let other: ETag = "\"f1.r0\"".parse().expect("a tag");
        for (condition, with, without) in [
            (Precondition::None, true, true),
            (Precondition::Exists, true, false),
            (Precondition::Absent, false, true),
            (Precondition::Match(vec![other.clone(), tag()]), true, false),
            (Precondition::Match(vec![other]), false, false),
        ] {
            assert_eq!(condition.holds(Some(&a), false), with, "{condition:?}");
            assert_eq!(condition.holds(None, false), without, "{condition:?}");
        }
        assert!(!Precondition::Absent.holds(None, true));
    }
}
