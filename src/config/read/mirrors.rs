//! The `[[mirror]]` tables.

use std::path::{Component, Path};

use figment::value::Value;

use super::super::client::Client;
use super::super::error::Origin;
use super::super::sections::MirrorSection;
use super::{Reading, Table};
use crate::ids::UserRef;

/// Every mirror that is right.
pub(super) fn mirrors(reading: &mut Reading<'_>, vault: &Path, clients: &[Client]) -> Vec<MirrorSection> {
    const TABLES: &str = "expected tables, each under its own [[mirror]]";
    let layers = reading.layers;
    let tables = match layers.root.get("mirror") {
        None => return vec![],
        Some(Value::Dict(_, tables)) => tables,
        Some(other) => {
            let origin = layers.origin(other, &["mirror"]);
            reading.mistake(origin, "mirror".to_owned(), TABLES);
            return vec![];
        }
    };
    let mut mirrors: Vec<MirrorSection> = Vec::new();
    for (index, (place, value)) in tables.iter().enumerate() {
        let Some(dict) = value.as_dict() else {
            let origin = layers.origin(value, &["mirror", place]);
            let problem = match origin {
                Origin::Variable(_) => "expected a key of a mirror, as in LOCUM_MIRROR__1__FOLDER",
                Origin::File(_) | Origin::Default => TABLES,
            };
            reading.mistake(origin, "mirror".to_owned(), problem);
            continue;
        };
        let prefix = format!("mirror[{}].", index + 1);
        let table = Table { section: "mirror", path: vec!["mirror", place], prefix, dict: Some(dict) };
        reading.note_unknown(&table);
        let Some(mirror) = mirror(reading, &table) else { continue };
        check(reading, &table, &mirror, vault, clients, &mirrors);
        mirrors.push(mirror);
    }
    mirrors
}

fn mirror<'a>(reading: &mut Reading<'a>, table: &Table<'a>) -> Option<MirrorSection> {
    let user: Option<UserRef> = reading.required(table, "user");
    let client = reading.required(table, "client");
    let folder = reading.required(table, "folder");
    let (direction, interval) = (reading.defaulted(table, "direction"), reading.defaulted(table, "interval"));
    let keep_versions = reading.defaulted(table, "keep_versions");
    let versions_size = reading.defaulted(table, "versions_size");
    Some(MirrorSection {
        user: user?,
        client: client?,
        folder: folder?,
        direction,
        interval,
        keep_versions,
        versions_size,
    })
}

fn check<'a>(
    reading: &mut Reading<'a>,
    table: &Table<'a>,
    mirror: &MirrorSection,
    vault: &Path,
    clients: &[Client],
    others: &[MirrorSection],
) {
    let mut mistake = |name: &str, problem: String| {
        let origin = reading.given(table, name).map_or_else(|| reading.place_of(table), |(_, origin)| origin);
        reading.mistake(origin, table.key(name), problem);
    };
    let project = |name| {
        clients.iter().find(|client| client.name == name).map(|client| client.client_id.project().to_owned())
    };
    let own = project(mirror.client.clone());
    // Without any client the reader has said so already.
    if own.is_none() && !clients.is_empty() {
        mistake("client", "there is no client of this name under [[clients]]".to_owned());
    }
    let folder = &mirror.folder;
    if folder.components().any(|part| part == Component::ParentDir) {
        mistake("folder", "expected a path without `..`".to_owned());
    } else if folder.components().all(|part| part == Component::RootDir) {
        mistake(
            "folder",
            "the root of the file system cannot be a mirror; name a folder below it".to_owned(),
        );
    }
    if let Some(home) = vault.parent()
        && (folder.starts_with(home) || home.starts_with(folder))
    {
        mistake(
            "folder",
            "a mirror and the vault's folder must not lie inside each other; name another folder".to_owned(),
        );
    }
    if others.iter().any(|other| folder.starts_with(&other.folder) || other.folder.starts_with(folder)) {
        mistake("folder", "two mirrors must not lie inside each other; name another folder".to_owned());
    }
    if own.is_some()
        && others.iter().any(|other| other.user == mirror.user && project(other.client.clone()) == own)
    {
        mistake(
            "user",
            "a person has one mirror for each Google Cloud project, and an earlier table has this one"
                .to_owned(),
        );
    }
}
