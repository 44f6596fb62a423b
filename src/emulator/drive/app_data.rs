//! A person's app data as another of their devices, or a test, reaches it: directly, without requests.

use std::collections::BTreeMap;

use actix_web::web::Bytes;

use super::content::Content;
use super::counts::DriveCounts;
use super::drives::Owner;
use super::file::{FOLDER, File};
use super::metadata::Metadata;
use super::plan::{Plan, Target};
use super::refusal::Refused;
use super::store::Store;
use super::times;
use crate::emulator::world::World;
use crate::ids::Sub;

/// The app data of one person in one Google project. Paths are names joined by slashes.
#[derive(Clone, Debug)]
pub struct AppData {
    world: World,
    owner: Owner,
}

/// A file or folder as a test sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenFile {
    /// Its id.
    pub id: String,
    /// Names from the top folder down, joined by slashes.
    pub path: String,
    /// The id of its folder.
    pub parent: String,
    /// Whether it is a folder.
    pub is_folder: bool,
    /// The media type.
    pub mime_type: String,
    /// In bytes; 0 for folders.
    pub size: u64,
    /// Hexadecimal MD5 of the content; empty for folders.
    pub md5: String,
    /// Unix milliseconds.
    pub modified_ms: i64,
    /// Grows with every change.
    pub version: u64,
    /// New with each content.
    pub head_revision: Option<String>,
    /// What the app keeps with it.
    pub app_properties: BTreeMap<String, String>,
}

impl SeenFile {
    fn of(store: &Store, file: &File) -> Self {
        Self {
            id: file.id.to_string(),
            path: store.path(file),
            parent: file.parent.as_deref().unwrap_or_default().to_owned(),
            is_folder: file.is_folder(),
            mime_type: file.mime_type.clone(),
            size: file.size(),
            md5: file.content.as_ref().map(|content| content.md5.clone()).unwrap_or_default(),
            modified_ms: file.modified_ms,
            version: file.version,
            head_revision: file.head_revision.clone(),
            app_properties: file.app_properties.clone(),
        }
    }

    /// When its content last changed, as Drive writes it.
    pub fn modified_time(&self) -> String {
        times::text(self.modified_ms)
    }
}

impl World {
    /// Looks at, or changes, an app data.
    pub(super) fn on_app_data<T>(&self, owner: &Owner, work: impl FnOnce(&mut Store) -> T) -> T {
        let (now, mut state) = (self.now(), self.state());
        work(state.drive.store(self.rng(), now, owner))
    }

    /// The app data of a person in a project, empty if nobody has written any.
    pub fn app_data(&self, sub: &Sub, project: &str) -> AppData {
        AppData { world: self.clone(), owner: Owner { sub: sub.clone(), project: project.into() } }
    }

    /// Removes a person's app data as disconnecting the app in Drive's settings does, or deleting its hidden
    /// app data there. The top folder has a new id afterwards.
    pub fn erase_app_data(&self, sub: &Sub, project: &str) {
        let now = self.now();
        let owner = Owner { sub: sub.clone(), project: project.into() };
        self.on_app_data(&owner, |store| store.erase(self.rng(), now));
    }

    /// Limits what a person may keep, in bytes, over all projects; `None` is without limit.
    pub fn set_drive_quota(&self, sub: &Sub, limit: Option<u64>) {
        let quotas = &mut self.state().drive.quotas;
        match limit {
            Some(limit) => quotas.insert(sub.clone(), limit),
            None => quotas.remove(sub),
        };
    }

    /// What Drive was asked for since the start, or since [`World::reset_drive_counts`].
    pub fn drive_counts(&self) -> DriveCounts {
        self.state().drive.counts
    }

    /// Counts from zero again.
    pub fn reset_drive_counts(&self) {
        self.state().drive.counts = DriveCounts::default();
    }

    /// How many resumable uploads are known, finished ones included.
    pub fn drive_uploads(&self) -> usize {
        self.state().drive.sessions.len()
    }
}

/// Where a path leads: its folder and the last name.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

impl AppData {
    fn on_store<T>(&self, work: impl FnOnce(&mut Store) -> T) -> T {
        self.world.on_app_data(&self.owner, work)
    }

    /// The real id of the top folder.
    pub fn root(&self) -> String {
        self.on_store(|store| store.root.to_string())
    }

    /// Everything in it, sorted by path; of equal paths the oldest file first.
    pub fn files(&self) -> Vec<SeenFile> {
        self.on_store(|store| {
            let mut files: Vec<_> =
                store.files().map(|file| (file.number, SeenFile::of(store, file))).collect();
            files.sort_by(|(one, a), (other, b)| (&a.path, one).cmp(&(&b.path, other)));
            files.into_iter().map(|(_, file)| file).collect()
        })
    }

    /// The oldest file at a path.
    pub fn file(&self, path: &str) -> Option<SeenFile> {
        self.on_store(|store| find(store, path).map(|file| SeenFile::of(store, file)))
    }

    /// The whole content of the oldest file at a path; `None` for folders too.
    ///
    /// # Panics
    /// When the machine's temporary folder cannot be read.
    pub fn read(&self, path: &str) -> Option<Bytes> {
        let content = self.on_store(|store| find(store, path)?.content.clone())?;
        let size = usize::try_from(content.size).expect("a content that is read whole fits into memory");
        Some(content.piece(0, size).expect("the temporary folder can be read"))
    }

    /// Writes a content: replaces that of the oldest file at the path, or makes the file and its folders.
    /// Returns the file's id.
    ///
    /// # Errors
    /// What Drive would say, for example to a full storage.
    pub fn put(&self, path: &str, content: impl AsRef<[u8]>) -> Result<String, Refused> {
        let existing = self.on_store(|store| find(store, path).map(|file| file.id.to_string()));
        match existing {
            Some(id) => self.write(Target::Existing(id), Metadata::default(), Some(content.as_ref())),
            None => self.put_another(path, content),
        }
    }

    /// Makes a file even where there is one of the name.
    ///
    /// # Errors
    /// As [`AppData::put`].
    pub fn put_another(&self, path: &str, content: impl AsRef<[u8]>) -> Result<String, Refused> {
        let (folder, name) = split(path);
        let parents = Some(vec![self.folder(folder)?]);
        let metadata = Metadata { name: Some(name.to_owned()), parents, ..Metadata::default() };
        self.write(Target::New, metadata, Some(content.as_ref()))
    }

    /// The id of the folder at a path, which is made if it is missing. The empty path is the top folder.
    ///
    /// # Errors
    /// As [`AppData::put`].
    pub fn folder(&self, path: &str) -> Result<String, Refused> {
        let mut at = self.root();
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let known = self.on_store(|store| {
                let found = store.named(&at, name).find(|file| file.is_folder());
                found.map(|file| file.id.to_string())
            });
            at = match known {
                Some(id) => id,
                None => {
                    let metadata = Metadata {
                        name: Some(name.to_owned()),
                        mime_type: Some(FOLDER.to_owned()),
                        parents: Some(vec![at]),
                        ..Metadata::default()
                    };
                    self.write(Target::New, metadata, None)?
                }
            };
        }
        Ok(at)
    }

    /// Gives the oldest file at a path another one; folders on the way are made.
    ///
    /// # Errors
    /// As [`AppData::put`], and 404 when there is no such file.
    pub fn rename(&self, path: &str, to: &str) -> Result<String, Refused> {
        let (folder, name) = split(to);
        let Some(file) = self.file(path) else { return Err(Refused::no_file(path)) };
        let plan = Plan {
            target: Target::Existing(file.id),
            metadata: Metadata {
                name: Some(name.to_owned()),
                modified_ms: Some(file.modified_ms),
                ..Metadata::default()
            },
            moves: (vec![self.folder(folder)?], vec![file.parent]),
            media_type: None,
        };
        self.carry_out(&plan, None)
    }

    /// Changes when the content of the oldest file at a path was last changed, in Unix milliseconds.
    ///
    /// # Errors
    /// 404 when there is no such file.
    pub fn touch(&self, path: &str, modified_ms: i64) -> Result<String, Refused> {
        let Some(file) = self.file(path) else { return Err(Refused::no_file(path)) };
        let metadata = Metadata { modified_ms: Some(modified_ms), ..Metadata::default() };
        self.write(Target::Existing(file.id), metadata, None)
    }

    fn write(&self, target: Target, metadata: Metadata, content: Option<&[u8]>) -> Result<String, Refused> {
        let plan = Plan { target, metadata, moves: Default::default(), media_type: None };
        let content = content.map(|content| {
            Content::from_bytes(content).map_err(|_| Refused::from(super::DriveReason::InternalError))
        });
        self.carry_out(&plan, content.transpose()?)
    }

    fn carry_out(&self, plan: &Plan, content: Option<Content>) -> Result<String, Refused> {
        let (now, rng, mut state) = (self.world.now(), self.world.rng(), self.world.state());
        let room = state.drive.room(&self.owner.sub);
        let store = state.drive.store(rng, now, &self.owner);
        plan.carry_out(store, rng, now, content, room).map(|written| written.id.to_string())
    }

    /// Deletes the oldest file at a path, a folder with everything in it. Returns whether there was one.
    pub fn remove(&self, path: &str) -> bool {
        let now = self.world.now();
        self.on_store(|store| {
            let id = find(store, path).map(|file| file.id.clone());
            id.is_some_and(|id| store.remove(&id, now).is_ok())
        })
    }

    /// Has every page token given out so far refused, of listings and of changes.
    pub fn refuse_page_tokens(&self) {
        self.on_store(|store| {
            store.feed.refuse_tokens();
            store.cursors.clear();
        });
    }
}

fn find<'a>(store: &'a Store, path: &str) -> Option<&'a File> {
    let mut names = path.split('/').peekable();
    let mut at = store.root.to_string();
    while let Some(name) = names.next() {
        // On the way only folders lead on; at the end anything does.
        let last = names.peek().is_none();
        let id = store.named(&at, name).find(|file| last || file.is_folder())?.id.clone();
        if last {
            return store.known(&id);
        }
        at = id.to_string();
    }
    None
}
