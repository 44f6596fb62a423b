//! Writing and removing, one at a time for each person.

use std::time::Duration;

use super::AppData;
use super::entry::{ETag, Entry, Precondition};
use super::error::AppDataError;
use super::path::AppDataPath;
use super::person::{Person, PersonBearer};
use super::resolve::{Place, resolve};
use crate::events::{Actor, Kind, NewEvent};
use crate::google::drive::{
    Content, ContentBroke, Drive, DriveError, DriveFile, FileId, MediaType, NewContent, NewFile,
};
use crate::ids::UserId;

/// So much of a content is read before its turn is taken: a small one is all here by then, so that a slow
/// sender holds nobody up.
const AHEAD: usize = 4 << 20;

/// How long a write, or a read, waits for its turn, or for room.
const WAIT: Duration = Duration::from_secs(30);

/// When one that found neither may come again.
const BUSY: Duration = Duration::from_secs(10);

/// A file that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The file as it is now.
    pub entry: Entry,
    /// Whether there was none before.
    pub created: bool,
}

/// A file that was removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// The file as it was.
    pub entry: Entry,
    /// A file of the same path that it had hidden and that is there now.
    pub uncovered: Option<Entry>,
}

impl AppData {
    /// Writes a file: makes it, with the folders on its way, or gives it new content. Goes on to its end
    /// once the whole content is here, whoever hangs up; a content that breaks off before stores nothing.
    ///
    /// 155 to 205 units, and 50 for each folder made. A precondition is looked at under the person's turn, so
    /// among the callers of one locum no write gets in between; other programs that write to the same
    /// app data are not held up, since Drive itself has no preconditions.
    ///
    /// # Errors
    /// See [`AppDataError`].
    pub async fn write(
        &self,
        person: Person,
        path: AppDataPath,
        content: Content,
        mime_type: MediaType,
        precondition: Precondition,
        actor: &Actor,
    ) -> Result<Written, AppDataError> {
        let limit = self.0.max_bytes;
        if content.length().is_some_and(|length| length > limit) {
            return Err(AppDataError::TooLarge);
        }
        let (this, actor) = (self.clone(), actor.clone());
        let work = async move {
            let user = person.user;
            // One piece of each content that is being written is held: this is the bound on that memory.
            let _share = this.within(this.0.shares.take(person.user)).await?;
            let _room = this.within(this.0.uploads.acquire()).await?;
            let content = content.at_most(limit).gathered(AHEAD).await;
            let content = content.map_err(|ContentBroke| AppDataError::ContentBroke)?;
            let _turn = this.within(this.turn(person.user)).await?;
            let bearer = this.bearer(person);
            let drive = &this.0.drive;
            let place = resolve(drive, &bearer, &path).await?;
            check(&place, &precondition)?;
            let written = match place.files.first() {
                Some(file) => replace(drive, &bearer, &file.id, content, &mime_type).await,
                None => make(drive, &bearer, &path, &place, content, &mime_type).await,
            };
            let file = written.map_err(|error| match error {
                // The file or folder that was there a moment ago.
                AppDataError::NotFound => AppDataError::Changed,
                other => other,
            })?;
            let created = place.files.is_empty();
            this.tell(Kind::AppDataWritten, &actor, user, &path, |event| event.with("created", created))
                .await;
            Ok(Written { created, entry: entry(&path, file) })
        };
        self.0.lifecycle.run(Box::pin(work)).await?
    }

    /// Removes a file for good; app data knows no trash. Where it hid another file of the same path, that
    /// one is seen afterwards, and the answer says so. Folders stay. Goes on whoever hangs up. 150 or 155
    /// units; for the precondition see [`AppData::write`].
    ///
    /// # Errors
    /// [`AppDataError::IsFolder`]; else see [`AppDataError`].
    pub async fn remove(
        &self,
        person: Person,
        path: AppDataPath,
        precondition: Precondition,
        actor: &Actor,
    ) -> Result<Removed, AppDataError> {
        let (this, actor) = (self.clone(), actor.clone());
        let work = async move {
            let user = person.user;
            let _turn = this.within(this.turn(user)).await?;
            let bearer = this.bearer(person);
            let mut place = resolve(&this.0.drive, &bearer, &path).await?;
            check(&place, &precondition)?;
            if place.files.is_empty() {
                return Err(if place.is_folder { AppDataError::IsFolder } else { AppDataError::NotFound });
            }
            let file = place.files.remove(0);
            let next = place.files.into_iter().next();
            this.0.drive.delete(&bearer, &file.id).await?;
            this.tell(Kind::AppDataDeleted, &actor, user, &path, |event| event).await;
            Ok(Removed { entry: entry(&path, file), uncovered: next.map(|next| entry(&path, next)) })
        };
        self.0.lifecycle.run(Box::pin(work)).await?
    }

    /// Tells of what the owner did; apps and programs write all day, and nobody wants to read that.
    async fn tell(
        &self,
        kind: Kind,
        actor: &Actor,
        user: UserId,
        path: &AppDataPath,
        more: impl FnOnce(NewEvent) -> NewEvent,
    ) {
        if actor.is_owner() {
            let event = NewEvent::new(kind, actor).about(user).path(&path.to_string());
            self.0.events.record(more(event)).await;
        }
    }

    /// What `wait` waits for, if it comes in time.
    pub(super) async fn within<T>(&self, wait: impl Future<Output = T>) -> Result<T, AppDataError> {
        let busy = |_| AppDataError::Busy { retry_after: BUSY };
        tokio::time::timeout(WAIT, wait).await.map_err(busy)
    }
}

/// The entry of a file that the path leads to.
pub(super) fn entry(path: &AppDataPath, file: DriveFile) -> Entry {
    Entry { path: path.to_string(), addressable: true, shadowed: false, file }
}

fn check(place: &Place<'_>, precondition: &Precondition) -> Result<(), AppDataError> {
    let file = place.files.first();
    if precondition.holds(file, place.is_folder) {
        Ok(())
    } else {
        Err(AppDataError::PreconditionFailed { current: file.and_then(ETag::of) })
    }
}

async fn replace(
    drive: &Drive,
    bearer: &PersonBearer,
    id: &FileId,
    content: Content,
    mime_type: &MediaType,
) -> Result<DriveFile, AppDataError> {
    let new = NewContent { mime_type, modified_ms: None };
    Ok(drive.update(bearer, id, &new, content).await?)
}

/// Makes the file and the folders that are missing on its way.
async fn make(
    drive: &Drive,
    bearer: &PersonBearer,
    path: &AppDataPath,
    place: &Place<'_>,
    content: Content,
    mime_type: &MediaType,
) -> Result<DriveFile, AppDataError> {
    if place.is_folder {
        return Err(AppDataError::IsFolder);
    }
    if place.blocked {
        return Err(AppDataError::NotAFolder);
    }
    let mut ids = drive.generate_ids(bearer, place.missing.len() + 1).await?;
    let file = ids.pop().ok_or(AppDataError::Refused(DriveError::NotAnAnswer))?;
    let mut parent = place.base.clone();
    for (name, id) in place.missing.iter().zip(ids) {
        parent = drive.create_folder(bearer, &id, name.as_str(), &parent).await?.id;
    }
    let new =
        NewFile { id: &file, name: path.name().as_str(), parent: &parent, mime_type, modified_ms: None };
    Ok(drive.create(bearer, &new, content).await?)
}
