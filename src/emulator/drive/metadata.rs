//! The metadata a caller sends with a create or an update, read and checked.

use std::collections::BTreeMap;

use actix_web::http::header::HeaderValue;
use serde_json::{Map, Value};

use super::file::FOLDER;
use super::refusal::{Reason, Refused};
use super::times;

/// Properties are changed one by one; `None` clears.
pub(super) type PropertyChanges = BTreeMap<String, Option<String>>;

/// UTF-8 bytes of one property, key and value together.
const MAX_PROPERTY: usize = 124;
/// Properties of one app and file.
const MAX_PROPERTIES: usize = 30;

/// What the caller wants written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Metadata {
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) mime_type: Option<String>,
    pub(super) parents: Option<Vec<String>>,
    pub(super) created_ms: Option<i64>,
    pub(super) modified_ms: Option<i64>,
    /// `Some(None)` clears it.
    pub(super) description: Option<Option<String>>,
    pub(super) properties: PropertyChanges,
    pub(super) app_properties: PropertyChanges,
    pub(super) original_filename: Option<String>,
}

/// What only the server sets.
const READ_ONLY: [&str; 7] =
    ["size", "version", "md5Checksum", "sha1Checksum", "sha256Checksum", "headRevisionId", "spaces"];

impl Metadata {
    /// Reads a JSON object; nothing at all reads as an empty one.
    ///
    /// # Errors
    /// 400 for what is no such object, 403 for what may not be written.
    pub(super) fn parse(body: &[u8]) -> Result<Self, Refused> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self::default());
        }
        let Ok(members) = serde_json::from_slice::<Map<String, Value>>(body) else {
            return Err(Reason::ParseError.into());
        };
        if READ_ONLY.iter().any(|name| members.contains_key(*name)) {
            return Err(Reason::FieldNotWritable.into());
        }
        if members.get("trashed").is_some_and(|trashed| *trashed == Value::Bool(true)) {
            return Err(Reason::NotSupportedForAppDataFolderFiles.into());
        }
        let metadata = Self {
            id: text(&members, "id")?,
            name: text(&members, "name")?,
            mime_type: text(&members, "mimeType")?,
            parents: parents(&members)?,
            created_ms: time(&members, "createdTime")?,
            modified_ms: time(&members, "modifiedTime")?,
            description: members.get("description").map(|value| value.as_str().map(str::to_owned)),
            properties: properties(&members, "properties")?,
            app_properties: properties(&members, "appProperties")?,
            original_filename: text(&members, "originalFilename")?,
        };
        if let Some(kind) = &metadata.mime_type {
            check_media_type(kind)?;
        }
        Ok(metadata)
    }
}

/// Whether app data may have this media type.
pub(super) fn check_media_type(kind: &str) -> Result<(), Refused> {
    if kind != FOLDER && kind.starts_with("application/vnd.google-apps.") {
        return Err(Reason::NotSupportedForAppDataFolderFiles.into());
    }
    if kind.is_empty() || HeaderValue::from_str(kind).is_err() {
        return Err(Refused::invalid("mimeType"));
    }
    Ok(())
}

fn wrong(name: &str) -> Refused {
    Refused::bad(&format!("Invalid value for {name}."))
}

fn text(members: &Map<String, Value>, name: &str) -> Result<Option<String>, Refused> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(wrong(name)),
    }
}

fn time(members: &Map<String, Value>, name: &str) -> Result<Option<i64>, Refused> {
    text(members, name)?.map(|text| times::parse(&text).ok_or_else(|| wrong(name))).transpose()
}

fn parents(members: &Map<String, Value>) -> Result<Option<Vec<String>>, Refused> {
    let Some(value) = members.get("parents").filter(|value| !value.is_null()) else { return Ok(None) };
    let ids = value.as_array().map(|ids| ids.iter().map(|id| id.as_str().map(str::to_owned)).collect());
    ids.flatten().map(Some).ok_or_else(|| wrong("parents"))
}

fn properties(members: &Map<String, Value>, name: &str) -> Result<PropertyChanges, Refused> {
    let Some(value) = members.get(name).filter(|value| !value.is_null()) else {
        return Ok(PropertyChanges::new());
    };
    let mut changes = PropertyChanges::new();
    for (key, value) in value.as_object().ok_or_else(|| wrong(name))? {
        let value = match value {
            Value::Null => None,
            Value::String(text) if key.len() + text.len() <= MAX_PROPERTY => Some(text.clone()),
            _ => return Err(wrong(name)),
        };
        changes.insert(key.clone(), value);
    }
    Ok(changes)
}

/// Lays changes over properties.
///
/// # Errors
/// 400 when there would be more than a file may have.
pub(super) fn change(
    properties: &BTreeMap<String, String>,
    changes: &PropertyChanges,
) -> Result<BTreeMap<String, String>, Refused> {
    let mut changed = properties.clone();
    for (key, value) in changes {
        match value {
            Some(value) => changed.insert(key.clone(), value.clone()),
            None => changed.remove(key),
        };
    }
    if changed.len() > MAX_PROPERTIES { Err(wrong("properties")) } else { Ok(changed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_read() {
        let body = br#"{"id":"1","name":"n","mimeType":"text/plain","parents":["appDataFolder"],"unknown":1,
            "modifiedTime":"2026-11-22T17:36:12.007Z","appProperties":{"a":"1","b":null},"trashed":false}"#;
        let metadata = Metadata::parse(body).expect("metadata");
        assert_eq!(metadata.modified_ms, Some(1_795_368_972_007));
        assert_eq!(metadata.parents, Some(vec!["appDataFolder".to_owned()]));
        let old = BTreeMap::from([("b".to_owned(), "2".to_owned()), ("c".to_owned(), "3".to_owned())]);
        let new = change(&old, &metadata.app_properties).expect("few");
        assert_eq!(new.keys().collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(Metadata::parse(b"").expect("nothing"), Metadata::default());
    }

    #[test]
    fn what_may_not_be_written_is_refused() {
        let reason = |body: &str| Metadata::parse(body.as_bytes()).expect_err(body).reason;
        assert_eq!(reason("{"), Reason::ParseError);
        assert_eq!(reason("[]"), Reason::ParseError);
        assert_eq!(reason(r#"{"size":"3"}"#), Reason::FieldNotWritable);
        assert_eq!(reason(r#"{"trashed":true}"#), Reason::NotSupportedForAppDataFolderFiles);
        let document = r#"{"mimeType":"application/vnd.google-apps.document"}"#;
        assert_eq!(reason(document), Reason::NotSupportedForAppDataFolderFiles);
        assert_eq!(reason(r#"{"name":3}"#), Reason::BadRequest);
        assert_eq!(reason(r#"{"modifiedTime":"soon"}"#), Reason::BadRequest);
        assert_eq!(reason(r#"{"parents":"x"}"#), Reason::BadRequest);
        assert_eq!(reason("{\"mimeType\":\"a\\nb\"}"), Reason::Invalid);
        let long = format!(r#"{{"appProperties":{{"k":"{}"}}}}"#, "v".repeat(124));
        assert_eq!(reason(&long), Reason::BadRequest);
    }
}
