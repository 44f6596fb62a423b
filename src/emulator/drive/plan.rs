//! A create or an update, checked before content is taken in, and carried out at once.

use std::sync::Arc;

use super::content::Content;
use super::file::{FOLDER, File};
use super::metadata::{self, Metadata};
use super::refusal::{Reason, Refused};
use super::store::Store;
use crate::clock::Timestamp;
use crate::rng::Rng;

/// The media type of content that came without one.
const UNKNOWN: &str = "application/octet-stream";

/// What is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// A new file.
    New,
    /// The file of this id.
    Existing(String),
}

/// A write.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) target: Target,
    pub(super) metadata: Metadata,
    /// `addParents`, `removeParents`.
    pub(super) moves: (Vec<String>, Vec<String>),
    /// The type the content came with.
    pub(super) media_type: Option<String>,
}

/// What a write came to.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) id: Arc<str>,
    pub(super) made: bool,
    pub(super) is_folder: bool,
}

impl Plan {
    /// Whether this can be written now, and into which folder. `content` says whether content comes with it.
    ///
    /// # Errors
    /// What Drive says to it.
    pub(super) fn check(&self, store: &Store, content: bool) -> Result<Arc<str>, Refused> {
        if let Some(kind) = &self.media_type {
            metadata::check_media_type(kind)?;
        }
        let folder = |id: &str| {
            let folder = store.file(id)?;
            let real = folder.id.clone();
            if folder.is_folder() { Ok(real) } else { Err(Refused::from(Reason::ParentNotAFolder)) }
        };
        match &self.target {
            Target::New => {
                if content && self.metadata.mime_type.as_deref() == Some(FOLDER) {
                    return Err(Refused::bad("Folders have no content."));
                }
                if let Some(id) = &self.metadata.id {
                    store.may_use(id)?;
                }
                match self.metadata.parents.as_deref() {
                    // Without a parent the file would go to the person's own Drive.
                    None | Some([]) => Err(Reason::InsufficientParentPermissions.into()),
                    Some([parent]) => folder(parent),
                    Some(_) => Err(Reason::CannotAddParent.into()),
                }
            }
            Target::Existing(id) => {
                let file = store.file(id)?;
                let Some(parent) = &file.parent else {
                    return Err(Reason::InsufficientFilePermissions.into());
                };
                if self.metadata.parents.is_some() || self.metadata.id.as_deref().is_some_and(|new| new != id)
                {
                    return Err(Reason::FieldNotWritable.into());
                }
                let kind = self.metadata.mime_type.as_deref();
                if (content && file.is_folder())
                    || kind.is_some_and(|kind| (kind == FOLDER) != file.is_folder())
                {
                    return Err(Refused::bad("A file cannot become a folder, nor a folder a file."));
                }
                self.destination(store, file, parent, folder)
            }
        }
    }

    fn destination(
        &self,
        store: &Store,
        file: &File,
        parent: &Arc<str>,
        folder: impl Fn(&str) -> Result<Arc<str>, Refused>,
    ) -> Result<Arc<str>, Refused> {
        let (add, remove) = &self.moves;
        let real = |id: &str| store.file(id).map(|file| file.id.clone());
        let removed = remove.iter().map(|id| real(id)).collect::<Result<Vec<_>, _>>()?;
        let mut parents: Vec<Arc<str>> =
            [parent].into_iter().filter(|parent| !removed.contains(parent)).cloned().collect();
        for id in add {
            let id = folder(id)?;
            if !parents.contains(&id) {
                parents.push(id);
            }
        }
        match parents.as_slice() {
            [] => Err(Refused::invalid("removeParents")),
            [one] if file.is_folder() && store.is_within(one, &file.id) => {
                Err(Refused::invalid("addParents"))
            }
            [one] => Ok(one.clone()),
            _ => Err(Reason::CannotAddParent.into()),
        }
    }

    /// Writes it. `room` is what is left of the person's storage, where that is limited.
    ///
    /// # Errors
    /// As [`Plan::check`], and 403 when the storage is full.
    pub(super) fn carry_out(
        &self,
        store: &mut Store,
        rng: &Rng,
        now: Timestamp,
        content: Option<Content>,
        room: Option<u64>,
    ) -> Result<Written, Refused> {
        let parent = self.check(store, content.is_some())?;
        let now_ms = now.unix() * 1000;
        let metadata = &self.metadata;
        let (mut file, content) = match &self.target {
            Target::New => {
                let id = store.use_id(rng, metadata.id.as_deref())?;
                let mut file = File::new(id, store.next_number(), "Untitled".to_owned(), UNKNOWN, now_ms);
                file.created_ms = metadata.created_ms.unwrap_or(now_ms);
                let folder = metadata.mime_type.as_deref() == Some(FOLDER);
                let empty = || Content::from_bytes(b"").map_err(|_| Refused::from(Reason::InternalError));
                (file, if folder { None } else { Some(content.map_or_else(empty, Ok)?) })
            }
            Target::Existing(id) => (store.file(id)?.clone(), content),
        };
        if content.as_ref().is_some_and(|new| room.is_some_and(|room| new.size > file.size() + room)) {
            return Err(Reason::StorageQuotaExceeded.into());
        }
        self.describe(&mut file, parent, now_ms, content.is_some())?;
        if let Some(content) = content {
            file.content = Some(content);
            file.head_revision = Some(format!("0B{}", rng.token(36)));
        }
        let made = self.target == Target::New;
        if !made {
            file.version += 1;
        }
        let written = Written { id: file.id.clone(), made, is_folder: file.is_folder() };
        store.put(file, now);
        Ok(written)
    }

    fn describe(&self, file: &mut File, parent: Arc<str>, now_ms: i64, content: bool) -> Result<(), Refused> {
        let metadata = &self.metadata;
        file.properties = metadata::change(&file.properties, &metadata.properties)?;
        file.app_properties = metadata::change(&file.app_properties, &metadata.app_properties)?;
        file.parent = Some(parent);
        let media_type = self.media_type.as_ref().filter(|_| content);
        if let Some(kind) = metadata.mime_type.as_ref().or(media_type) {
            file.mime_type.clone_from(kind);
        }
        if let Some(name) = &metadata.name {
            file.name.clone_from(name);
        }
        if let Some(description) = &metadata.description {
            file.description.clone_from(description);
        }
        if let Some(name) = &metadata.original_filename {
            file.original_filename = Some(name.clone());
        }
        // A mere move leaves the time alone.
        if content || *metadata != Metadata::default() {
            file.modified_ms = metadata.modified_ms.unwrap_or(now_ms);
        }
        Ok(())
    }
}
