//! Everything there is, in the order of its paths, a page at a time.
//!
//! Drive lists in no order and without paths. Where everything fits on one of its pages, which is the usual
//! case, that page is all (100 units). Else the folders come first, since they make the paths, and then all
//! files go by while only those of the wanted page are kept: memory is bounded by the folders and the page,
//! and each page costs 100 units for each thousand of all files.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use super::entry::Entry;
use super::error::AppDataError;
use super::path::AppDataPath;
use super::person::PersonBearer;
use crate::google::drive::{Drive, DriveFile, FileId, FileKind};

/// The most entries of a page.
pub const MAX_PAGE: usize = 1000;

/// How many folders are kept in memory, and how many files are looked through.
const MAX_FOLDERS: usize = 50_000;
const MAX_FILES: usize = 500_000;

/// The most bytes of a path that are shown. No path that long leads anywhere, and a page of such would be larger
/// than anything else locum sends.
const LONGEST_SHOWN: usize = 4096;

/// How deep a folder is looked for before it counts as one of a circle.
const MAX_DEPTH: usize = 256;

/// Which part of the listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListRequest {
    /// What the paths begin with, letter by letter: `notes/` for what is in `notes`.
    pub prefix: String,
    /// Where the page before ended.
    pub after: Option<After>,
    /// The most entries wanted, up to [`MAX_PAGE`], which 0 means too.
    pub limit: usize,
}

/// The last entry of a page, as far as the order goes. `Debug` leaves the path out.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct After {
    /// The path.
    pub path: String,
    /// Whether it is a folder; they come after the files of the same path.
    pub folder: bool,
    /// When it was modified, Unix milliseconds, the latest first.
    pub modified_ms: Reverse<i64>,
    /// The id.
    pub id: FileId,
}

impl std::fmt::Debug for After {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("After").field(&self.id).finish()
    }
}

/// A page of the listing, ordered by path; of one path the winner first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// What is on it.
    pub entries: Vec<Entry>,
    /// Where the next page begins, if there is one.
    pub next: Option<After>,
}

pub(super) async fn list(
    drive: &Drive,
    bearer: &PersonBearer,
    request: &ListRequest,
) -> Result<Listing, AppDataError> {
    let mut page = drive.list(bearer, None).await?;
    let mut folders = Folders::default();
    folders.add(&page.items);
    if page.next.is_some() {
        let mut next = None;
        loop {
            let more = drive.list_folders(bearer, next.as_ref()).await?;
            folders.add(&more.items);
            if folders.0.len() > MAX_FOLDERS {
                return Err(AppDataError::TooMany { limit: MAX_FOLDERS });
            }
            next = more.next;
            if next.is_none() {
                break;
            }
        }
    }
    let mut wanted = Wanted::new(request);
    let mut seen = 0;
    loop {
        seen += page.items.len();
        for file in page.items {
            let (path, regular) = folders.path(&file);
            wanted.offer(path, regular, file);
        }
        match page.next {
            None => return Ok(wanted.listing()),
            Some(_) if seen > MAX_FILES => return Err(AppDataError::TooMany { limit: MAX_FILES }),
            Some(next) => page = drive.list(bearer, Some(&next)).await?,
        }
    }
}

/// The folders, by their ids: name and parent.
#[derive(Default)]
struct Folders(HashMap<FileId, (String, Option<FileId>)>);

impl Folders {
    fn add(&mut self, files: &[DriveFile]) {
        for file in files.iter().filter(|file| file.kind == FileKind::Folder) {
            self.0.insert(file.id.clone(), (file.name.clone(), file.parent.clone()));
        }
    }

    /// The names from the top, and whether they, parsed again, are the same names: other programs may give
    /// names that have a slash. What lies in no known folder lies at the top.
    fn path(&self, file: &DriveFile) -> (String, bool) {
        let mut names = vec![file.name.as_str()];
        let mut parent = file.parent.as_ref();
        while let Some((name, above)) = parent.and_then(|parent| self.0.get(parent)) {
            if names.len() > MAX_DEPTH {
                break;
            }
            names.push(name);
            parent = above.as_ref();
        }
        names.reverse();
        let path = names.join("/");
        if path.len() > LONGEST_SHOWN {
            let cut = (0..=LONGEST_SHOWN).rev().find(|at| path.is_char_boundary(*at)).unwrap_or(0);
            return (format!("{}…{}", &path[..cut], file.id), false);
        }
        let regular = path
            .parse::<AppDataPath>()
            .is_ok_and(|parsed| parsed.names().iter().map(|name| name.as_str()).eq(names));
        (path, regular)
    }
}

/// The page that is wanted, while everything goes by.
struct Wanted<'r> {
    request: &'r ListRequest,
    limit: usize,
    /// The first of the order after the page before: one more than the limit, to know whether there is more.
    kept: BTreeMap<After, (bool, DriveFile)>,
}

impl<'r> Wanted<'r> {
    fn new(request: &'r ListRequest) -> Self {
        let limit = if request.limit == 0 { MAX_PAGE } else { request.limit.min(MAX_PAGE) };
        Self { request, limit, kept: BTreeMap::new() }
    }

    fn offer(&mut self, path: String, regular: bool, file: DriveFile) {
        let folder = file.kind == FileKind::Folder;
        let key = After { path, folder, modified_ms: Reverse(file.modified_ms), id: file.id.clone() };
        let before = self.request.after.as_ref().is_some_and(|after| key <= *after);
        if before || !key.path.starts_with(&self.request.prefix) {
            return;
        }
        self.kept.insert(key, (regular, file));
        if self.kept.len() > self.limit + 1 {
            self.kept.pop_last();
        }
    }

    fn listing(mut self) -> Listing {
        let more = self.kept.len() > self.limit;
        if more {
            self.kept.pop_last();
        }
        let next = if more { self.kept.last_key_value().map(|(key, _)| key.clone()) } else { None };
        // A page may begin among the files of one path, behind their winner. Folders hide nothing and
        // count as one.
        let after = self.request.after.as_ref().filter(|after| !after.folder);
        let mut hidden = after.map(|after| after.path.clone());
        let mut entries = Vec::with_capacity(self.kept.len());
        for (After { path, folder, .. }, (regular, file)) in self.kept {
            let shadowed = !folder && hidden.as_ref() == Some(&path);
            if !folder {
                hidden = Some(path.clone());
            }
            entries.push(Entry { path, addressable: regular && !shadowed, shadowed, file });
        }
        Listing { entries, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app_data::tests::{file, folder};

    fn listing(request: &ListRequest, files: &[DriveFile]) -> Listing {
        let mut folders = Folders::default();
        folders.add(files);
        let mut wanted = Wanted::new(request);
        for file in files {
            let (path, regular) = folders.path(file);
            wanted.offer(path, regular, file.clone());
        }
        wanted.listing()
    }

    fn some() -> Vec<DriveFile> {
        vec![
            file("f1", "a", "top", 5),
            folder("d1", "a", "top", 9),
            file("f2", "a", "top", 7),
            folder("d2", "sub", "d1", 1),
            file("f3", "b", "d2", 1),
            file("f4", "x/y", "top", 1),
            folder("d3", "p/q", "top", 1),
            file("f5", "z", "d3", 1),
            file("f6", "..", "top", 1),
            file("f7", "a", "top", 7),
        ]
    }

    #[test]
    fn paths_are_made_and_shadows_marked() {
        let all = listing(&ListRequest::default(), &some());
        let lines: Vec<String> = all
            .entries
            .iter()
            .map(|entry| {
                let shadowed = if entry.shadowed { " shadowed" } else { "" };
                let lost = if entry.addressable || entry.shadowed { "" } else { " no path" };
                format!("{} {}{shadowed}{lost}", entry.path, entry.file.id)
            })
            .collect();
        assert_eq!(
            lines,
            [
                ".. f6 no path",
                "a f2",
                "a f7 shadowed",
                "a f1 shadowed",
                "a d1",
                "a/sub d2",
                "a/sub/b f3",
                "p/q d3 no path",
                "p/q/z f5 no path",
                "x/y f4 no path",
            ]
        );
        assert!(all.next.is_none());
    }

    #[test]
    fn pages_of_any_size_are_the_whole() {
        let files = some();
        let whole = listing(&ListRequest::default(), &files).entries;
        for limit in 1..=files.len() + 1 {
            let mut request = ListRequest { limit, ..ListRequest::default() };
            let mut entries = Vec::new();
            loop {
                let page = listing(&request, &files);
                assert!(page.entries.len() <= limit);
                entries.extend(page.entries);
                request.after = page.next;
                if request.after.is_none() {
                    break;
                }
            }
            assert_eq!(entries, whole, "{limit}");
        }
    }

    #[test]
    fn a_prefix_is_letters_of_the_path() {
        for (prefix, expected) in [("a/", 2), ("a", 6), ("b", 0), ("", 10)] {
            let request = ListRequest { prefix: prefix.to_owned(), ..ListRequest::default() };
            assert_eq!(listing(&request, &some()).entries.len(), expected, "{prefix:?}");
        }
    }

    #[test]
    fn a_circle_of_folders_has_an_end() {
        let files = [folder("d1", "d", "d2", 1), folder("d2", "e", "d1", 1)];
        assert!(listing(&ListRequest::default(), &files).entries.iter().all(|entry| !entry.addressable));
    }
}
