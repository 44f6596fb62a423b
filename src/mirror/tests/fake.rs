//! A Drive in memory: a changes feed that may lag, requests counted, faults before and after the deed.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Mutex, MutexGuard};

use md5::{Digest as _, Md5};
use tokio::io::AsyncWriteExt as _;

use super::super::RemoteNode;
use super::super::remote::{Downloaded, NewRemoteFile, Outgoing, Remote, RemoteError};
use crate::google::drive::{Change, ChangePage, ChangesEnd, DriveFile, FileId, FileKind, Page, PageToken};

/// What goes wrong with a request.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// Nothing is done.
    Before(RemoteError),
    /// It is done, and the answer is lost.
    After(RemoteError),
}

type Faults = Box<dyn FnMut(&'static str) -> Option<Fault> + Send>;

/// Cheap to clone; clones are the same Drive.
#[derive(Clone)]
pub(super) struct FakeDrive(Arc<Mutex<World>>);

pub(super) struct World {
    pub(super) root: FileId,
    pub(super) files: BTreeMap<FileId, (DriveFile, Vec<u8>)>,
    /// Which file changed, and whether the mirror did it.
    log: Vec<(FileId, bool)>,
    /// How many of the mirror's own latest changes the feed does not show yet.
    pub(super) lag: usize,
    made: u64,
    promised: BTreeSet<FileId>,
    pub(super) requests: Vec<&'static str>,
    pub(super) faults: Faults,
    pub(super) page_size: usize,
    /// What the local disk has room for, in one download.
    pub(super) disk: usize,
    /// What falls between the pages of the next listing.
    pub(super) hidden: Option<FileId>,
}

fn id(text: &str) -> FileId {
    text.parse().expect("an id")
}

pub(super) fn md5(content: &[u8]) -> [u8; 16] {
    Md5::digest(content).into()
}

impl World {
    fn next(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    fn touch(&mut self, file: &FileId, own: bool) {
        let n = self.next();
        if let Some((facts, _)) = self.files.get_mut(file) {
            facts.version = n;
        }
        self.log.push((file.clone(), own));
    }

    fn insert(&mut self, new: (FileId, String, FileId), content: Option<&[u8]>, own: bool) -> DriveFile {
        let (file, name, parent) = new;
        let n = i64::try_from(self.next()).expect("small");
        let kind = content.map_or(FileKind::Folder, |content| kind(content, self.made));
        let facts = DriveFile {
            id: file.clone(),
            name,
            parent: Some(parent),
            kind,
            modified_ms: 1_700_000_000_000 + n,
            created_ms: n,
            version: 0,
        };
        self.files.insert(file.clone(), (facts, content.unwrap_or_default().to_vec()));
        self.touch(&file, own);
        self.files[&file].0.clone()
    }

    fn fill(&mut self, file: &FileId, content: &[u8], own: bool) -> DriveFile {
        let n = self.next();
        let entry = self.files.get_mut(file).expect("there");
        entry.0.kind = kind(content, n);
        entry.0.modified_ms = 1_700_000_000_000 + i64::try_from(n).expect("small");
        entry.1 = content.to_vec();
        self.touch(file, own);
        self.files[file].0.clone()
    }

    fn remove(&mut self, file: &FileId, own: bool) {
        if self.files.remove(file).is_none() {
            return;
        }
        self.touch(file, own);
        let inside: Vec<FileId> = self
            .files
            .values()
            .filter(|(facts, _)| facts.parent.as_ref() == Some(file))
            .map(|(facts, _)| facts.id.clone())
            .collect();
        inside.iter().for_each(|file| self.remove(file, own));
    }

    // What another program of the person's does.

    pub(super) fn add(&mut self, name: &str, parent: Option<&FileId>, content: Option<&[u8]>) -> FileId {
        let n = self.next();
        let parent = parent.cloned().unwrap_or_else(|| self.root.clone());
        self.insert((id(&format!("other{n:09}")), name.to_owned(), parent), content, false).id
    }

    pub(super) fn write(&mut self, file: &FileId, content: &[u8]) {
        self.fill(file, content, false);
    }

    pub(super) fn delete(&mut self, file: &FileId) {
        self.remove(file, false);
    }

    pub(super) fn relocate(&mut self, file: &FileId, name: &str, parent: Option<&FileId>) {
        let parent = parent.cloned().unwrap_or_else(|| self.root.clone());
        let facts = &mut self.files.get_mut(file).expect("there").0;
        facts.name = name.to_owned();
        facts.parent = Some(parent);
        self.touch(file, false);
    }

    /// The first file that is at the path, as names alone say.
    pub(super) fn find(&self, path: &str) -> Option<FileId> {
        let mut here = self.root.clone();
        for name in path.split('/') {
            let is_it = |facts: &DriveFile| facts.parent.as_ref() == Some(&here) && facts.name == name;
            here = self.files.values().find(|(facts, _)| is_it(facts))?.0.id.clone();
        }
        Some(here)
    }

    /// Makes a file at the path and the folders above it, or replaces its content.
    pub(super) fn put(&mut self, path: &str, content: &[u8]) -> FileId {
        if let Some(file) = self.find(path).filter(|file| !self.is_folder(file)) {
            self.write(&file, content);
            return file;
        }
        let mut parent = None;
        let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
        for (at, _) in folders.match_indices('/').chain([(folders.len(), "")]).filter(|(at, _)| *at > 0) {
            parent = Some(self.folder(&folders[..at]));
        }
        self.add(name, parent.as_ref(), Some(content))
    }

    /// The folder at the path, made if there is none; Drive does not mind a file of its name.
    pub(super) fn folder(&mut self, path: &str) -> FileId {
        if let Some(file) = self.find(path).filter(|file| self.is_folder(file)) {
            return file;
        }
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        let parent = (!above.is_empty()).then(|| self.folder(above));
        self.add(name, parent.as_ref(), None)
    }

    /// Every path with its content, as names alone say; `None` when two files have one name.
    pub(super) fn tree(&self) -> Option<BTreeMap<String, Option<Vec<u8>>>> {
        let mut found = BTreeMap::new();
        let mut open = vec![(String::new(), self.root.clone())];
        while let Some((path, folder)) = open.pop() {
            for (facts, content) in self.files.values() {
                if facts.parent.as_ref() != Some(&folder) {
                    continue;
                }
                let path =
                    if path.is_empty() { facts.name.clone() } else { format!("{path}/{}", facts.name) };
                let is_folder = facts.kind == FileKind::Folder;
                if is_folder {
                    open.push((path.clone(), facts.id.clone()));
                }
                if found.insert(path, (!is_folder).then(|| content.clone())).is_some() {
                    return None;
                }
            }
        }
        Some(found)
    }

    /// How much of the log the feed shows.
    fn shown(&self) -> usize {
        let own = self.log.iter().rev().take_while(|(_, own)| *own).count();
        self.log.len() - own.min(self.lag)
    }

    fn list(&mut self, page: Option<&PageToken>) -> Page<DriveFile> {
        let after = |file: &&FileId| page.is_none_or(|page| file.as_str() > page.0.as_str());
        let left: Vec<&FileId> = self.files.keys().filter(after).collect();
        let on_page = &left[..left.len().min(self.page_size)];
        let next =
            (on_page.len() < left.len()).then(|| on_page.last().map(|file| PageToken(file.to_string())));
        let shown = on_page.iter().filter(|file| self.hidden.as_ref() != Some(**file));
        let items = shown.map(|file| self.files[*file].0.clone()).collect();
        let next = next.flatten();
        if next.is_none() {
            self.hidden = None;
        }
        Page { items, next }
    }

    fn changes(&self, from: &PageToken) -> Result<ChangePage, RemoteError> {
        let from: usize = from.0.parse().map_err(|_| RemoteError::PageTokenRefused)?;
        let shown = self.shown().max(from.min(self.log.len()));
        let until = shown.min(from + self.page_size);
        let changed: BTreeSet<&FileId> = self.log[from..until].iter().map(|(file, _)| file).collect();
        let changes = changed
            .into_iter()
            .map(|file| Change {
                id: file.clone(),
                file: self.files.get(file).map(|(facts, _)| facts.clone()),
            })
            .collect();
        let token = PageToken(until.to_string());
        let end = if until < shown { ChangesEnd::More(token) } else { ChangesEnd::Done(token) };
        Ok(ChangePage { changes, end })
    }
}

fn kind(content: &[u8], revision: u64) -> FileKind {
    FileKind::File {
        size: content.len() as u64,
        md5: md5(content),
        head_revision: Some(revision.to_string()),
        mime_type: "application/octet-stream".into(),
    }
}

impl FakeDrive {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(World {
            root: id("root-1"),
            files: BTreeMap::new(),
            log: vec![],
            lag: 0,
            made: 0,
            promised: BTreeSet::new(),
            requests: vec![],
            faults: Box::new(|_| None),
            page_size: 1000,
            disk: usize::MAX,
            hidden: None,
        })))
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().expect("no test panicked in it")
    }

    /// The requests since the last time somebody asked.
    pub(super) fn take_requests(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.world().requests)
    }

    pub(super) fn fail(&self, faults: impl FnMut(&'static str) -> Option<Fault> + Send + 'static) {
        self.world().faults = Box::new(faults);
    }

    fn answer<T>(
        &self,
        request: &'static str,
        deed: impl FnOnce(&mut World) -> Result<T, RemoteError>,
    ) -> Result<T, RemoteError> {
        let mut world = self.world();
        world.requests.push(request);
        match (world.faults)(request) {
            Some(Fault::Before(error)) => Err(error),
            Some(Fault::After(error)) => deed(&mut world).and(Err(error)),
            None => deed(&mut world),
        }
    }
}

fn read(outgoing: &Outgoing) -> Result<Vec<u8>, RemoteError> {
    let mut content = vec![0; usize::try_from(outgoing.size).expect("small")];
    // Shorter than it was: as a client would see it.
    outgoing.content.read_exact_at(&mut content, 0).map_err(|_| RemoteError::Mismatch)?;
    Ok(content)
}

impl Remote for FakeDrive {
    async fn root(&self) -> Result<FileId, RemoteError> {
        self.answer("root", |world| Ok(world.root.clone()))
    }

    async fn list(&self, page: Option<&PageToken>) -> Result<Page<DriveFile>, RemoteError> {
        self.answer("list", |world| Ok(world.list(page)))
    }

    async fn start_page_token(&self) -> Result<PageToken, RemoteError> {
        self.answer("start", |world| Ok(PageToken(world.shown().to_string())))
    }

    async fn changes(&self, from: &PageToken) -> Result<ChangePage, RemoteError> {
        self.answer("changes", |world| world.changes(from))
    }

    async fn generate_ids(&self, count: usize) -> Result<Vec<FileId>, RemoteError> {
        assert!((1..=1000).contains(&count), "{count} ids");
        self.answer("ids", |world| {
            let ids: Vec<_> = (0..count).map(|_| id(&format!("made{:09}", world.next()))).collect();
            world.promised.extend(ids.iter().cloned());
            Ok(ids)
        })
    }

    async fn create_folder(
        &self,
        file: &FileId,
        name: &str,
        parent: &FileId,
    ) -> Result<DriveFile, RemoteError> {
        self.answer("folder", |world| {
            world.check_new(file, parent)?;
            Ok(world.insert((file.clone(), name.to_owned(), parent.clone()), None, true))
        })
    }

    async fn create(&self, new: &NewRemoteFile, content: Outgoing) -> Result<DriveFile, RemoteError> {
        let bytes = read(&content)?;
        self.answer("create", |world| {
            world.check_new(&new.id, &new.parent)?;
            Ok(world.insert((new.id.clone(), new.name.clone(), new.parent.clone()), Some(&bytes), true))
        })
    }

    async fn update(&self, over: &RemoteNode, content: Outgoing) -> Result<DriveFile, RemoteError> {
        let file = &over.id;
        let bytes = read(&content)?;
        self.answer("update", |world| {
            if !world.files.contains_key(file) {
                return Err(RemoteError::Gone);
            }
            Ok(world.fill(file, &bytes, true))
        })
    }

    async fn relocate(
        &self,
        file: &FileId,
        name: &str,
        from: &FileId,
        to: &FileId,
    ) -> Result<DriveFile, RemoteError> {
        self.answer("relocate", |world| {
            if !world.is_folder(to) {
                return Err(RemoteError::Gone);
            }
            let Some((facts, _)) = world.files.get_mut(file) else { return Err(RemoteError::Gone) };
            if facts.parent.as_ref() != Some(from) {
                return Err(RemoteError::Refused("it is not in that folder".into()));
            }
            facts.name = name.to_owned();
            facts.parent = Some(to.clone());
            world.touch(file, true);
            Ok(world.files[file].0.clone())
        })
    }

    async fn download(
        &self,
        file: &RemoteNode,
        into: &mut tokio::fs::File,
    ) -> Result<Downloaded, RemoteError> {
        let file = &file.id;
        let content = self.answer("download", |world| {
            world.files.get(file).map(|(_, content)| content.clone()).ok_or(RemoteError::Gone)
        })?;
        if content.len() > self.world().disk {
            return Err(RemoteError::LocalFull);
        }
        into.write_all(&content).await.expect("written");
        into.flush().await.expect("written");
        Ok(Downloaded { size: content.len() as u64, md5: md5(&content) })
    }

    async fn is_empty_folder(&self, folder: &FileId) -> Result<bool, RemoteError> {
        self.answer("children", |world| {
            if !world.is_folder(folder) {
                return Err(RemoteError::Gone);
            }
            Ok(!world.files.values().any(|(facts, _)| facts.parent.as_ref() == Some(folder)))
        })
    }

    async fn delete(&self, node: &RemoteNode) -> Result<(), RemoteError> {
        let file = &node.id;
        self.answer("delete", |world| {
            world.remove(file, true);
            Ok(())
        })
    }
}

impl World {
    pub(super) fn is_folder(&self, file: &FileId) -> bool {
        *file == self.root || self.files.get(file).is_some_and(|(facts, _)| facts.kind == FileKind::Folder)
    }

    fn check_new(&self, file: &FileId, parent: &FileId) -> Result<(), RemoteError> {
        assert!(self.promised.contains(file), "an id that Drive has not made");
        if self.files.contains_key(file) {
            return Err(RemoteError::Exists);
        }
        if self.is_folder(parent) { Ok(()) } else { Err(RemoteError::Gone) }
    }
}
