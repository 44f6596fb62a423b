//! What Drive says about a file, parsed: ids, listings and changes.

use std::fmt;
use std::str::FromStr;

/// Drive's id of a file or folder. It never changes and is never used again.
///
/// Parsed from `[A-Za-z0-9_-]{1,256}`, so that it can stand in a URL's path as it is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(Box<str>);

/// Why a text is no [`FileId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a Drive file id is 1 to 256 characters of A-Z, a-z, 0-9, - and _")]
pub struct InvalidFileId;

impl FileId {
    /// The name that the top folder goes by in requests. Drive never answers with it: the folder's own id
    /// is another ([`super::Drive::root`]).
    pub fn app_data_folder() -> Self {
        Self("appDataFolder".into())
    }

    /// The text of the id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for FileId {
    type Err = InvalidFileId;

    fn from_str(text: &str) -> Result<Self, InvalidFileId> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        if (1..=256).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidFileId)
        }
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a listing or the changes feed goes on. Opaque; belongs to one person and project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageToken(pub String);

/// A file's content or a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// Has no content.
    Folder,
    /// Has content.
    File {
        /// In bytes.
        size: u64,
        /// MD5 of the content (`md5Checksum`).
        md5: [u8; 16],
        /// The id of the content's latest revision (`headRevisionId`): a new one for each upload.
        head_revision: Option<String>,
        /// The content's media type.
        mime_type: String,
    },
    /// Something else that Drive may list: a Google document or a shortcut, without content of its own.
    Other,
}

/// A file or folder as Drive lists it. `Debug` leaves the name out: it is personal.
#[derive(Clone, PartialEq, Eq)]
pub struct DriveFile {
    /// Its id.
    pub id: FileId,
    /// Its name, any text. Two files of one folder may have the same.
    pub name: String,
    /// The folder it is in. The top folder's own parent is unknown.
    pub parent: Option<FileId>,
    /// Content or folder.
    pub kind: FileKind,
    /// When its content last changed, as whoever wrote it said; Unix milliseconds.
    pub modified_ms: i64,
    /// When it was made; Unix milliseconds.
    pub created_ms: i64,
    /// Grows with every change of the file, metadata included.
    pub version: u64,
}

impl DriveFile {
    /// Whether it is called `name` and lies in `parent`. Where that is the top folder under its request
    /// name, any parent will do: the folder's own id is not known.
    pub(super) fn is_at(&self, name: &str, parent: &FileId) -> bool {
        let top = *parent == FileId::app_data_folder();
        self.name == name && (top || self.parent.as_ref() == Some(parent))
    }
}

impl fmt::Debug for DriveFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DriveFile")
            .field("id", &self.id)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// One page of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// The next page, if there is one.
    pub next: Option<PageToken>,
}

/// A file that is not as it was. One file appears once, in its latest state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which file.
    pub id: FileId,
    /// Its state now; `None` when it was deleted.
    pub file: Option<DriveFile>,
}

/// One page of the changes feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangePage {
    /// What changed.
    pub changes: Vec<Change>,
    /// How the feed goes on.
    pub end: ChangesEnd,
}

/// How a page of changes ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangesEnd {
    /// There is another page.
    More(PageToken),
    /// That was all; ask from here next time.
    Done(PageToken),
}
