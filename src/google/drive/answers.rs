//! Drive's JSON, read: sizes that are strings, times that are text, fields that may be absent.

use serde::Deserialize;
use serde_json::Value;

use super::error::DriveError;
use super::file::{Change, ChangePage, ChangesEnd, DriveFile, FileId, FileKind, Page, PageToken};

/// The fields of a file that are asked for; what is not named does not come.
pub(super) const FILE_FIELDS: &str =
    "id,name,mimeType,parents,size,md5Checksum,headRevisionId,modifiedTime,createdTime,version,trashed";

/// What a folder's media type is.
pub(super) const FOLDER: &str = "application/vnd.google-apps.folder";

/// How full the person's storage is, app data and everything else together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Bytes there are; `None` when there is no limit.
    pub limit: Option<u64>,
    /// Bytes taken, in all of Google's services.
    pub usage: u64,
    /// Bytes taken in Drive.
    pub usage_in_drive: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    id: String,
    name: String,
    mime_type: String,
    #[serde(default)]
    parents: Vec<String>,
    size: Option<Value>,
    md5_checksum: Option<String>,
    head_revision_id: Option<String>,
    modified_time: Option<String>,
    created_time: Option<String>,
    version: Option<Value>,
    #[serde(default)]
    trashed: bool,
}

impl File {
    /// The file; `None` for one in the trash, which counts as gone. App data knows no trash, but servers
    /// that stand in for Drive may.
    fn read(self) -> Result<Option<DriveFile>, DriveError> {
        let id: FileId = self.id.parse().map_err(|_| DriveError::NotAnAnswer)?;
        let parent = self.parents.first().map(|parent| parent.parse()).transpose();
        let (created, modified) = (millis(self.created_time)?, millis(self.modified_time)?);
        let kind = match (self.size, self.md5_checksum) {
            _ if self.mime_type == FOLDER => FileKind::Folder,
            (Some(size), Some(md5)) => FileKind::File {
                size: int(&size)?,
                md5: md5_of(&md5).ok_or(DriveError::NotAnAnswer)?,
                head_revision: self.head_revision_id,
                mime_type: self.mime_type,
            },
            _ => FileKind::Other,
        };
        let file = DriveFile {
            id,
            name: self.name,
            parent: parent.map_err(|_| DriveError::NotAnAnswer)?,
            kind,
            modified_ms: modified,
            created_ms: created,
            version: self.version.as_ref().map(int).transpose()?.unwrap_or_default(),
        };
        Ok((!self.trashed).then_some(file))
    }
}

/// One file's metadata.
pub(super) fn file(body: &[u8]) -> Result<DriveFile, DriveError> {
    read::<File>(body)?.read()?.ok_or(DriveError::NotFound)
}

/// A page of `files.list`.
pub(super) fn list(body: &[u8]) -> Result<Page<DriveFile>, DriveError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct List {
        files: Vec<File>,
        next_page_token: Option<String>,
        #[serde(default)]
        incomplete_search: bool,
    }
    let list: List = read(body)?;
    if list.incomplete_search {
        let what = super::super::error::Outage::ServerError(200);
        return Err(DriveError::Unavailable { retry_after: None, what });
    }
    let items =
        list.files.into_iter().filter_map(|file| file.read().transpose()).collect::<Result<_, _>>()?;
    Ok(Page { items, next: list.next_page_token.map(PageToken) })
}

/// A page of `changes.list`.
pub(super) fn changes(body: &[u8]) -> Result<ChangePage, DriveError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Entry {
        file_id: Option<String>,
        #[serde(default)]
        removed: bool,
        file: Option<File>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct List {
        changes: Vec<Entry>,
        next_page_token: Option<String>,
        new_start_page_token: Option<String>,
    }
    let list: List = read(body)?;
    let mut changes = Vec::with_capacity(list.changes.len());
    for entry in list.changes {
        // A change of a shared drive has no file.
        let Some(id) = entry.file_id else { continue };
        let file = match entry.file {
            Some(file) if !entry.removed => file.read()?,
            _ => None,
        };
        changes.push(Change { id: id.parse().map_err(|_| DriveError::NotAnAnswer)?, file });
    }
    let end = match (list.new_start_page_token, list.next_page_token) {
        (Some(start), _) => ChangesEnd::Done(PageToken(start)),
        (None, Some(next)) => ChangesEnd::More(PageToken(next)),
        (None, None) => return Err(DriveError::NotAnAnswer),
    };
    Ok(ChangePage { changes, end })
}

/// `changes.getStartPageToken`.
pub(super) fn start_page_token(body: &[u8]) -> Result<PageToken, DriveError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Start {
        start_page_token: String,
    }
    read::<Start>(body).map(|start| PageToken(start.start_page_token))
}

/// `files.generateIds`: exactly `count` of them.
pub(super) fn ids(body: &[u8], count: usize) -> Result<Vec<FileId>, DriveError> {
    #[derive(Deserialize)]
    struct Ids {
        ids: Vec<String>,
    }
    let ids = read::<Ids>(body)?.ids;
    if ids.len() != count {
        return Err(DriveError::NotAnAnswer);
    }
    ids.into_iter().map(|id| id.parse().map_err(|_| DriveError::NotAnAnswer)).collect()
}

/// `about.get` with `storageQuota`.
pub(super) fn quota(body: &[u8]) -> Result<Quota, DriveError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct StorageQuota {
        limit: Option<Value>,
        usage: Value,
        usage_in_drive: Option<Value>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct About {
        storage_quota: StorageQuota,
    }
    let quota = read::<About>(body)?.storage_quota;
    Ok(Quota {
        limit: quota.limit.as_ref().map(int).transpose()?,
        usage: int(&quota.usage)?,
        usage_in_drive: quota.usage_in_drive.as_ref().map(int).transpose()?.unwrap_or_default(),
    })
}

/// A time as Drive takes it: RFC 3339 with milliseconds.
pub(super) fn rfc3339(ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
    time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

fn read<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, DriveError> {
    serde_json::from_slice(body).map_err(|_| DriveError::NotAnAnswer)
}

/// Drive writes 64-bit numbers as strings; servers that stand in for it may write numbers.
fn int(value: &Value) -> Result<u64, DriveError> {
    let number = match value {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.as_u64(),
        _ => None,
    };
    number.ok_or(DriveError::NotAnAnswer)
}

fn millis(time: Option<String>) -> Result<i64, DriveError> {
    let Some(text) = time else { return Ok(0) };
    let time: jiff::Timestamp = text.parse().map_err(|_| DriveError::NotAnAnswer)?;
    Ok(time.as_millisecond())
}

fn md5_of(hex: &str) -> Option<[u8; 16]> {
    let digits = hex.as_bytes();
    let mut md5 = [0; 16];
    if digits.len() != 32 {
        return None;
    }
    for (byte, pair) in md5.iter_mut().zip(digits.chunks(2)) {
        let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(md5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_with_its_strings() {
        let body = br#"{"id":"1AbC","name":"a.txt","mimeType":"text/plain","parents":["0Top"],"size":"5",
            "md5Checksum":"5d41402abc4b2a76b9719d911017c592","headRevisionId":"r1","version":"7",
            "createdTime":"2026-11-22T17:36:12.000Z","modifiedTime":"2026-11-22T17:36:12.345Z"}"#;
        let file = file(body).expect("a file");
        assert_eq!((file.created_ms, file.modified_ms), (1_795_368_972_000, 1_795_368_972_345));
        assert_eq!(rfc3339(file.modified_ms), "2026-11-22T17:36:12.345Z");
        assert_eq!(file.version, 7);
        let FileKind::File { size: 5, md5, .. } = file.kind else { panic!("{:?}", file.kind) };
        assert_eq!(md5[..2], [0x5d, 0x41]);
        assert!(!format!("{file:?}").contains("a.txt"));
    }

    #[test]
    fn what_has_no_content_is_no_file() {
        let read = |extra: &str| file(format!(r#"{{"id":"1","name":"n",{extra}}}"#).as_bytes());
        let folder = read(r#""mimeType":"application/vnd.google-apps.folder""#).expect("a folder");
        assert_eq!(folder.kind, FileKind::Folder);
        let document =
            read(r#""mimeType":"application/vnd.google-apps.document","size":"1024""#).expect("one");
        assert_eq!(document.kind, FileKind::Other);
        assert_eq!(read(r#""mimeType":"text/plain","trashed":true"#), Err(DriveError::NotFound));
        for bad in [
            r#""mimeType":"a/b","size":"-1","md5Checksum":"5d41402abc4b2a76b9719d911017c592""#,
            r#""mimeType":"a/b","size":"1","md5Checksum":"5d41402abc4b2a76b9719d911017c59z""#,
            r#""mimeType":"a/b","size":"1","md5Checksum":"5d41""#,
            r#""mimeType":"a/b","modifiedTime":"yesterday""#,
            r#""mimeType":"a/b","parents":["../x"]"#,
        ] {
            assert_eq!(read(bad), Err(DriveError::NotAnAnswer), "{bad}");
        }
    }

    #[test]
    fn an_incomplete_list_is_no_list() {
        let body = br#"{"files":[],"incompleteSearch":true}"#;
        assert!(matches!(list(body), Err(DriveError::Unavailable { .. })));
        assert!(list(br#"{"files":[]}"#).expect("a list").next.is_none());
    }

    #[test]
    fn changes_end_with_a_token() {
        let body = br#"{"changes":[{"changeType":"file","removed":true,"fileId":"1"},{"changeType":"drive"}],
            "newStartPageToken":"9"}"#;
        let page = changes(body).expect("changes");
        assert_eq!(page.changes, [Change { id: "1".parse().expect("an id"), file: None }]);
        assert_eq!(page.end, ChangesEnd::Done(PageToken("9".to_owned())));
        assert_eq!(changes(br#"{"changes":[]}"#), Err(DriveError::NotAnAnswer));
    }

    #[test]
    fn numbers_that_are_numbers_are_read_too() {
        let body = br#"{"storageQuota":{"limit":"100","usage":7}}"#;
        assert_eq!(quota(body), Ok(Quota { limit: Some(100), usage: 7, usage_in_drive: 0 }));
        assert_eq!(ids(br#"{"ids":["a","b"]}"#, 3), Err(DriveError::NotAnAnswer));
    }
}
