//! The app data of one person in one Google project.
//!
//! Every change of a file goes through [`Store::put`] or [`Store::remove`], so that the index by folder and
//! name and the feed of changes always agree with the files. Ids are never used twice.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::feed::Feed;
use super::file::{FOLDER, File};
use super::listing::Cursors;
use super::refusal::{Reason, Refused};
use crate::clock::Timestamp;
use crate::rng::Rng;

/// Names the top folder shows; callers cannot change it.
const ROOT_NAME: &str = "AppData";

/// Everything of one person and project.
#[derive(Debug)]
pub(super) struct Store {
    /// The real id of the top folder.
    pub(super) root: Arc<str>,
    files: HashMap<Arc<str>, File>,
    /// Folder, name and number to id.
    places: BTreeMap<(Arc<str>, String, u64), Arc<str>>,
    /// Ids given out and not used, with whether they are for app data.
    unused: HashMap<Arc<str>, bool>,
    used: HashSet<Arc<str>>,
    last_number: u64,
    bytes: u64,
    pub(super) feed: Feed,
    pub(super) cursors: Cursors,
}

/// An id in Google's shape.
fn new_id(rng: &Rng) -> Arc<str> {
    format!("1{}", rng.token(32)).into()
}

impl Store {
    /// An empty app data.
    pub(super) fn new(rng: &Rng, now: Timestamp) -> Self {
        let mut store = Self {
            root: new_id(rng),
            files: HashMap::new(),
            places: BTreeMap::new(),
            unused: HashMap::new(),
            used: HashSet::new(),
            last_number: 0,
            bytes: 0,
            feed: Feed::new(1000 + rng.below(100_000)),
            cursors: Cursors::default(),
        };
        store.make_root(now);
        store
    }

    fn make_root(&mut self, now: Timestamp) {
        let number = self.next_number();
        let root = File::new(self.root.clone(), number, ROOT_NAME.to_owned(), FOLDER, now.unix() * 1000);
        self.used.insert(root.id.clone());
        self.files.insert(root.id.clone(), root);
    }

    /// The number of the next file.
    pub(super) const fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// What all contents take together.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Every file and folder but the top one.
    pub(super) fn files(&self) -> impl Iterator<Item = &File> {
        self.files.values().filter(|file| file.parent.is_some())
    }

    /// A file by its id or, the top folder, by its aliases.
    ///
    /// # Errors
    /// 404 with the id as it was asked for.
    pub(super) fn file(&self, id: &str) -> Result<&File, Refused> {
        let real = if super::is_alias(id) { &self.root } else { id };
        self.files.get(real).ok_or_else(|| Refused::no_file(id))
    }

    /// The file, if it is there.
    pub(super) fn known(&self, id: &str) -> Option<&File> {
        self.files.get(id)
    }

    /// What is in a folder, by name and then by age.
    pub(super) fn children(&self, folder: &str) -> impl Iterator<Item = &File> {
        self.range(folder, "").filter_map(|id| self.files.get(id))
    }

    /// The files of one name in a folder, oldest first.
    pub(super) fn named<'a>(&'a self, folder: &str, name: &'a str) -> impl Iterator<Item = &'a File> {
        let found = self.range(folder, name).filter_map(|id| self.files.get(id));
        found.take_while(move |file| file.name == name)
    }

    fn range(&self, folder: &str, from: &str) -> impl Iterator<Item = &Arc<str>> {
        let folder: Arc<str> = folder.into();
        let places = self.places.range((folder.clone(), from.to_owned(), 0)..);
        places.take_while(move |((parent, ..), _)| *parent == folder).map(|(_, id)| id)
    }

    /// Writes a file, new or changed, and notes the change.
    pub(super) fn put(&mut self, file: File, now: Timestamp) {
        self.take_out(&file.id);
        if let Some(parent) = &file.parent {
            self.places.insert((parent.clone(), file.name.clone(), file.number), file.id.clone());
        }
        self.bytes += file.size();
        self.used.insert(file.id.clone());
        self.feed.note(&file.id, now);
        self.files.insert(file.id.clone(), file);
    }

    fn take_out(&mut self, id: &str) -> Option<File> {
        let file = self.files.remove(id)?;
        if let Some(parent) = &file.parent {
            self.places.remove(&(parent.clone(), file.name.clone(), file.number));
        }
        self.bytes -= file.size();
        Some(file)
    }

    /// Deletes a file, or a folder with everything in it.
    ///
    /// # Errors
    /// 404, and 403 for the top folder.
    pub(super) fn remove(&mut self, id: &str, now: Timestamp) -> Result<(), Refused> {
        if self.file(id)?.parent.is_none() {
            return Err(Reason::InsufficientFilePermissions.into());
        }
        let mut open = vec![Arc::from(id)];
        while let Some(id) = open.pop() {
            open.extend(self.children(&id).map(|child| child.id.clone()));
            self.take_out(&id);
            self.feed.note(&id, now);
        }
        Ok(())
    }

    /// Deletes everything, the top folder included; a new one has a new id.
    pub(super) fn erase(&mut self, rng: &Rng, now: Timestamp) {
        let top: Vec<Arc<str>> = self.children(&self.root).map(|file| file.id.clone()).collect();
        for id in top {
            self.remove(&id, now).expect("a child of the top folder can be removed");
        }
        self.take_out(&self.root.clone());
        self.root = new_id(rng);
        self.make_root(now);
    }

    /// Ids for files to come.
    pub(super) fn generate(&mut self, rng: &Rng, count: usize, for_app_data: bool) -> Vec<Arc<str>> {
        let ids: Vec<Arc<str>> = (0..count).map(|_| new_id(rng)).collect();
        self.unused.extend(ids.iter().map(|id| (id.clone(), for_app_data)));
        ids
    }

    /// Whether a file may be made under this id.
    ///
    /// # Errors
    /// 409 for an id that is or was a file's, 400 for one that was not generated for app data.
    pub(super) fn may_use(&self, id: &str) -> Result<(), Refused> {
        if self.used.contains(id) {
            return Err(Reason::FileIdInUse.into());
        }
        match self.unused.get(id) {
            Some(true) => Ok(()),
            _ => Err(Refused {
                message: Some("The provided file ID is not usable.".to_owned()),
                ..Refused::invalid("file.id")
            }),
        }
    }

    /// The id of a new file: the one the caller has, or a new one.
    pub(super) fn use_id(&mut self, rng: &Rng, wanted: Option<&str>) -> Result<Arc<str>, Refused> {
        let Some(wanted) = wanted else { return Ok(new_id(rng)) };
        self.may_use(wanted)?;
        self.unused.remove(wanted);
        Ok(wanted.into())
    }

    /// The path of a file below the top folder, names joined by slashes.
    pub(super) fn path(&self, file: &File) -> String {
        let mut names = vec![file.name.as_str()];
        let mut above = file.parent.as_deref().and_then(|id| self.files.get(id));
        while let Some(folder) = above.filter(|folder| folder.parent.is_some()) {
            names.push(&folder.name);
            above = folder.parent.as_deref().and_then(|id| self.files.get(id));
        }
        names.reverse();
        names.join("/")
    }

    /// Whether `folder` is `of` or below it.
    pub(super) fn is_within(&self, folder: &str, of: &str) -> bool {
        let mut at = self.files.get(folder);
        while let Some(file) = at {
            if &*file.id == of {
                return true;
            }
            at = file.parent.as_deref().and_then(|id| self.files.get(id));
        }
        false
    }
}
