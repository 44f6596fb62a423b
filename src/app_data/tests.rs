//! What the tests of this module share: files as Drive would describe them.

use crate::google::drive::{DriveFile, FileKind};

/// A file with an id, a name, a parent and a time.
pub(super) fn file(id: &str, name: &str, parent: &str, modified_ms: i64) -> DriveFile {
    let kind = FileKind::File {
        size: 1,
        md5: [7; 16],
        head_revision: Some(format!("r-{id}")),
        mime_type: "text/plain".to_owned(),
    };
    DriveFile { kind, ..folder(id, name, parent, modified_ms) }
}

/// A folder with an id, a name, a parent and a time.
pub(super) fn folder(id: &str, name: &str, parent: &str, modified_ms: i64) -> DriveFile {
    DriveFile {
        id: id.parse().expect("an id"),
        name: name.to_owned(),
        parent: Some(parent.parse().expect("an id")),
        kind: FileKind::Folder,
        modified_ms,
        created_ms: 0,
        version: 1,
    }
}
