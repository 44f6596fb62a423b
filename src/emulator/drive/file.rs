//! A file or folder, and how Drive shows it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::content::Content;
use super::times;

/// The media type of folders.
pub(super) const FOLDER: &str = "application/vnd.google-apps.folder";

/// A file with content, or a folder.
#[derive(Clone, Debug)]
pub(super) struct File {
    pub(super) id: Arc<str>,
    /// The order in which files were made.
    pub(super) number: u64,
    pub(super) name: String,
    pub(super) mime_type: String,
    /// `None` for the top folder alone.
    pub(super) parent: Option<Arc<str>>,
    pub(super) created_ms: i64,
    pub(super) modified_ms: i64,
    pub(super) version: u64,
    pub(super) description: Option<String>,
    pub(super) properties: BTreeMap<String, String>,
    pub(super) app_properties: BTreeMap<String, String>,
    pub(super) original_filename: Option<String>,
    /// `None` for folders.
    pub(super) content: Option<Content>,
    /// New with each upload of content.
    pub(super) head_revision: Option<String>,
}

impl File {
    /// A file without content, parent or properties.
    pub(super) fn new(id: Arc<str>, number: u64, name: String, mime_type: &str, now_ms: i64) -> Self {
        Self {
            id,
            number,
            name,
            mime_type: mime_type.to_owned(),
            parent: None,
            created_ms: now_ms,
            modified_ms: now_ms,
            version: 1,
            description: None,
            properties: BTreeMap::new(),
            app_properties: BTreeMap::new(),
            original_filename: None,
            content: None,
            head_revision: None,
        }
    }

    pub(super) fn is_folder(&self) -> bool {
        self.mime_type == FOLDER
    }

    /// What it takes of the person's storage.
    pub(super) fn size(&self) -> u64 {
        self.content.as_ref().map_or(0, |content| content.size)
    }

    /// Everything Drive says about it; a mask chooses.
    pub(super) fn shown(&self) -> Value {
        let mut shown = json!({
            "kind": "drive#file",
            "id": &*self.id,
            "name": self.name,
            "mimeType": self.mime_type,
            "starred": false,
            "trashed": false,
            "explicitlyTrashed": false,
            "spaces": ["appDataFolder"],
            "version": self.version.to_string(),
            "createdTime": times::text(self.created_ms),
            "modifiedTime": times::text(self.modified_ms),
            "modifiedByMe": true,
            "modifiedByMeTime": times::text(self.modified_ms),
            "viewedByMe": true,
            "shared": false,
            "ownedByMe": true,
            "hasThumbnail": false,
            "isAppAuthorized": true,
            "quotaBytesUsed": self.size().to_string(),
            "capabilities": {
                "canDelete": self.parent.is_some(),
                "canDownload": !self.is_folder(),
                "canEdit": true,
                "canRename": self.parent.is_some(),
                "canShare": false,
                "canTrash": false,
            },
        });
        let Value::Object(members) = &mut shown else { return shown };
        self.show_optional(members);
        shown
    }

    fn show_optional(&self, members: &mut Map<String, Value>) {
        let mut put = |name: &str, value: Value| members.insert(name.to_owned(), value);
        if let Some(parent) = &self.parent {
            put("parents", json!([&**parent]));
        }
        if let Some(description) = &self.description {
            put("description", description.as_str().into());
        }
        for (name, properties) in [("properties", &self.properties), ("appProperties", &self.app_properties)]
        {
            if !properties.is_empty() {
                put(name, json!(properties));
            }
        }
        let Some(content) = &self.content else { return };
        put("size", content.size.to_string().into());
        put("md5Checksum", content.md5.as_str().into());
        put("sha1Checksum", content.sha1.as_str().into());
        put("sha256Checksum", content.sha256.as_str().into());
        put("headRevisionId", json!(self.head_revision));
        put("originalFilename", self.original_filename.as_deref().unwrap_or(&self.name).into());
        if let Some((_, extension)) = self.name.rsplit_once('.') {
            put("fileExtension", extension.into());
            put("fullFileExtension", extension.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_64_bits_are_texts_and_folders_have_no_content() {
        let mut file = File::new("1".into(), 1, "a.tar.gz".to_owned(), "application/gzip", 1_795_368_972_007);
        file.content = Some(Content::from_bytes(b"abc").expect("memory"));
        file.head_revision = Some("0B1".to_owned());
        let shown = file.shown();
        assert_eq!((&shown["size"], &shown["version"]), (&json!("3"), &json!("1")));
        assert_eq!(shown["modifiedTime"], "2026-11-22T17:36:12.007Z");
        assert_eq!(shown["fileExtension"], "gz");
        let folder = File::new("2".into(), 2, "d".to_owned(), FOLDER, 0).shown();
        assert!(folder.get("size").is_none() && folder.get("md5Checksum").is_none());
        assert_eq!(folder["quotaBytesUsed"], "0");
    }
}
