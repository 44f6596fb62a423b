//! From a path to what is there.
//!
//! Drive knows no paths, only names and parents, and both may occur twice. Folders of one name in one
//! place count as one folder here, so nothing below them is out of reach; of several files of one path
//! the one modified last wins, then the one of the smaller id.
//!
//! What it costs: a file at the top is one search (100 units). Deeper down it is one search for all names
//! of the path at once and, beside it, one read of the top folder's id: 105 units, however deep, against
//! 100 for each step of a walk. A walk is what is left where that search finds more than a page of a
//! thousand.

use super::entry::winner_first;
use super::error::AppDataError;
use super::path::AppDataPath;
use super::person::PersonBearer;
use crate::google::drive::{Drive, DriveFile, FileId, FileKind};

/// What a path leads to.
#[derive(Debug)]
pub(super) struct Place<'p> {
    /// The files, the winner first.
    pub(super) files: Vec<DriveFile>,
    /// Whether there is a folder of this path.
    pub(super) is_folder: bool,
    /// The deepest folder there is on the way.
    pub(super) base: FileId,
    /// The folders that are missing below it.
    pub(super) missing: &'p [super::path::AppDataName],
    /// The first missing folder's name is a file's.
    pub(super) blocked: bool,
}

/// Looks for what `path` leads to.
pub(super) async fn resolve<'p>(
    drive: &Drive,
    bearer: &PersonBearer,
    path: &'p AppDataPath,
) -> Result<Place<'p>, AppDataError> {
    let top = FileId::app_data_folder();
    let Some(first) = path.folders().first() else {
        // Whatever the top folder's own id is, these are in it.
        let mut found = drive.find(bearer, path.name().as_str(), &top).await?;
        found.sort_by(winner_first);
        return Ok(Place::of(found, top));
    };
    let names: Vec<&str> = path.names().iter().map(|name| name.as_str()).collect();
    let (named, root) =
        futures_util::future::try_join(drive.find_named(bearer, &names), drive.root(bearer)).await?;
    if let Some(found) = named {
        return Ok(place(&found, root, path));
    }
    tracing::debug!("more than a thousand files have a name of the path: walking it");
    let mut found = drive.find(bearer, first.as_str(), &root).await?;
    let mut level = folder_ids(&found);
    for name in &path.names()[1..] {
        let mut below = Vec::new();
        for parent in &level {
            below.extend(drive.find(bearer, name.as_str(), parent).await?);
        }
        level = folder_ids(&below);
        found.extend(below);
    }
    Ok(place(&found, root, path))
}

fn folder_ids(files: &[DriveFile]) -> Vec<FileId> {
    files.iter().filter(|file| file.kind == FileKind::Folder).map(|file| file.id.clone()).collect()
}

/// What `path` leads to among these, which hold everything that has one of its names on its way.
fn place<'p>(found: &[DriveFile], top: FileId, path: &'p AppDataPath) -> Place<'p> {
    let mut parents = vec![top];
    for (depth, name) in path.folders().iter().enumerate() {
        let here = among(found, name.as_str(), &parents);
        let folders: Vec<&DriveFile> =
            here.iter().copied().filter(|file| file.kind == FileKind::Folder).collect();
        if folders.is_empty() {
            let base = parents.swap_remove(0);
            let (missing, blocked) = (&path.folders()[depth..], !here.is_empty());
            return Place { files: Vec::new(), is_folder: false, base, missing, blocked };
        }
        parents = folders.iter().map(|folder| folder.id.clone()).collect();
    }
    let here = among(found, path.name().as_str(), &parents);
    Place::of(here.into_iter().cloned().collect(), parents.swap_remove(0))
}

impl Place<'_> {
    /// What is there, the winner first, in folders that all are.
    fn of(mut here: Vec<DriveFile>, base: FileId) -> Self {
        let is_folder = here.iter().any(|file| file.kind == FileKind::Folder);
        here.retain(|file| matches!(file.kind, FileKind::File { .. }));
        Self { files: here, is_folder, base, missing: &[], blocked: false }
    }
}

/// Those of this name in one of these folders, the winner first.
fn among<'f>(found: &'f [DriveFile], name: &str, parents: &[FileId]) -> Vec<&'f DriveFile> {
    let is_in = |file: &DriveFile| file.parent.as_ref().is_some_and(|parent| parents.contains(parent));
    let mut here: Vec<_> = found.iter().filter(|file| file.name == name && is_in(file)).collect();
    here.sort_by(|a, b| winner_first(a, b));
    here
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app_data::tests::{file, folder};

    fn id(text: &str) -> FileId {
        text.parse().expect("an id")
    }

    fn look<'p>(found: &[DriveFile], path: &'p AppDataPath) -> Place<'p> {
        place(found, id("top"), path)
    }

    fn path(text: &str) -> AppDataPath {
        text.parse().expect("a path")
    }

    fn ids(place: &Place<'_>) -> Vec<String> {
        place.files.iter().map(|file| file.id.to_string()).collect()
    }

    #[test]
    fn the_file_modified_last_wins_then_the_smaller_id() {
        let found = [
            file("f1", "a", "top", 5),
            file("f2", "a", "top", 7),
            file("f4", "a", "top", 6),
            file("f3", "a", "top", 6),
            file("f0", "a", "elsewhere", 9),
        ];
        assert_eq!(ids(&look(&found, &path("a"))), ["f2", "f3", "f4", "f1"]);
    }

    #[test]
    fn folders_of_one_name_count_as_one() {
        let found = [
            folder("d1", "d", "top", 1),
            folder("d2", "d", "top", 2),
            folder("dx", "d", "elsewhere", 3),
            file("f1", "a", "d1", 5),
            file("f2", "a", "d2", 4),
            file("fx", "a", "dx", 9),
            file("ft", "a", "top", 9),
        ];
        let wanted = path("d/a");
        let there = look(&found, &wanted);
        assert_eq!(ids(&there), ["f1", "f2"]);
        assert_eq!(there.base, id("d2"), "what is new goes into the one modified last");
    }

    #[test]
    fn what_is_missing_is_told() {
        let found = [folder("d1", "d", "top", 1), file("f1", "x", "d1", 1), folder("d2", "e", "d1", 1)];
        let wanted = path("d/e/f/g.txt");
        let there = look(&found, &wanted);
        assert_eq!((there.base, there.missing.len(), there.blocked), (id("d2"), 1, false));
        let wanted = path("d/x/y");
        let there = look(&found, &wanted);
        assert_eq!((there.base, there.missing.len(), there.blocked), (id("d1"), 1, true));
        let wanted = path("d/e");
        let there = look(&found, &wanted);
        assert!(there.is_folder && there.files.is_empty());
    }

    #[test]
    fn a_circle_of_folders_leads_nowhere() {
        let found = [folder("d1", "d", "d2", 1), folder("d2", "d", "d1", 1)];
        assert_eq!(look(&found, &path("d/d/d/a")).base, id("top"));
    }
}
