//! What answers say about files and folders.

use serde::{Deserialize, Serialize};

use crate::app_data::Entry;
use crate::google::drive::FileKind;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// Has content.
    File,
    /// Holds others.
    Folder,
    /// Has no content that could be read: another program made it.
    Other,
}

/// A file or folder in a person's app data.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EntryView {
    /// Names from the top, with `/` between them.
    pub path: String,
    /// Drive's id, which tells files of one path apart.
    pub id: String,
    /// What it is.
    pub kind: EntryKind,
    /// In bytes; of files.
    pub size: Option<u64>,
    /// MD5 of the content in hex; of files.
    pub md5: Option<String>,
    /// The content's media type; of files.
    pub mime_type: Option<String>,
    /// When its content last changed, as whoever wrote it says; RFC 3339 with milliseconds.
    pub modified: String,
    /// For `If-Match` and `If-None-Match`, quotes included; of files.
    pub etag: Option<String>,
    /// Another file of the same path, modified later, is what the path leads to.
    pub shadowed: bool,
    /// Whether the path leads here.
    pub addressable: bool,
}

impl EntryView {
    pub(super) fn of(entry: &Entry) -> Self {
        let (kind, size, md5, mime_type) = match &entry.file.kind {
            FileKind::Folder => (EntryKind::Folder, None, None, None),
            FileKind::Other => (EntryKind::Other, None, None, None),
            FileKind::File { size, md5, mime_type, .. } => {
                let md5 = format!("{:032x}", u128::from_be_bytes(*md5));
                (EntryKind::File, Some(*size), Some(md5), Some(mime_type.clone()))
            }
        };
        let modified = jiff::Timestamp::from_millisecond(entry.file.modified_ms).unwrap_or_default();
        Self {
            path: entry.path.clone(),
            id: entry.file.id.to_string(),
            kind,
            size,
            md5,
            mime_type,
            modified: format!("{modified:.3}"),
            etag: entry.etag().map(|tag| tag.to_string()),
            shadowed: entry.shadowed,
            addressable: entry.addressable,
        }
    }
}

/// A page of a listing, ordered by path.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EntryPage {
    /// What is on it.
    pub entries: Vec<EntryView>,
    /// The `cursor` of the next page, if there is one.
    pub next: Option<String>,
}

/// A file that was written.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WrittenView {
    /// Whether there was none before.
    pub created: bool,
    /// The file as it is now.
    pub entry: EntryView,
}

/// What a removal brought to light.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RemovedView {
    /// The file that the path leads to now.
    pub uncovered: EntryView,
}
