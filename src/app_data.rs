//! A person's app data, file by file: what an app keeps in a folder of the person's Drive that only it sees.
//!
//! What must stay true:
//!
//! - a path is parsed before it comes here, and a name goes to Drive as it is or not at all;
//! - writes of one person take turns, so a precondition still holds when the write it allows is done. That
//!   binds the callers of this locum; other programs of the same Google Cloud project write when they
//!   like. A turn is a person's, all projects together: which project a request without a client means is
//!   only known once it has a token;
//! - a write or a removal that has begun is finished, whoever hangs up, and a content that breaks off is
//!   not stored at all;
//! - nothing is overwritten or deleted but the one file that a path leads to; which that is where Drive
//!   has several of one name, and what the others are, every answer tells;
//! - memory is bounded: one piece of each content that is being written, and so many of those at a time.
//!
//! Nothing here decides an HTTP status.

mod entry;
mod error;
mod feed;
mod listing;
mod meter;
mod path;
mod person;
mod resolve;
#[cfg(test)]
mod tests;
mod write;

pub use entry::{ETag, Entry, InvalidETag, Precondition};
pub use error::AppDataError;
pub use feed::{Feed, Unwanted, feed};
pub use listing::{After, ListRequest, Listing, MAX_PAGE};
pub use meter::Units;
pub use path::{AppDataName, AppDataPath, InvalidPath, MAX_DEPTH, MAX_NAME, MAX_PATH};
pub use person::{Person, PersonBearer, SCOPE};
pub use write::{Removed, Written};

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::meter::Meter;
use self::resolve::resolve;
use crate::clock::Clock;
use crate::config::AppDataSection;
use crate::events::Events;
use crate::google::drive::{ByteRange, Download, Drive, Quota};
use crate::ids::UserId;
use crate::lifecycle::Lifecycle;
use crate::metrics::Metrics;
use crate::tokens::Tokens;
use crate::turns::{Turn, Turns};

/// How many contents may be written at one time; each holds up to 8 MiB.
const UPLOADS: usize = 16;
/// How many of them may be one person's: no app's user keeps the others from writing.
const UPLOADS_OF_ONE: usize = 4;
/// How many contents may be read at one time; each holds a piece here and what the connections buffer, some 1 MB.
const DOWNLOADS: usize = 64;
/// How many of them may be one person's.
const DOWNLOADS_OF_ONE: usize = 8;

/// People's app data. Cheap to clone; clones share turns and counts.
#[derive(Clone, Debug)]
pub struct AppData(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    drive: Drive,
    tokens: Tokens,
    metrics: Metrics,
    events: Events,
    lifecycle: Lifecycle,
    turns: Turns<UserId>,
    meter: Meter,
    uploads: Semaphore,
    shares: Turns<UserId>,
    downloads: Arc<Semaphore>,
    shares_of_downloads: Turns<UserId>,
    max_bytes: u64,
}

/// A file's content on its way to a caller.
#[derive(Debug)]
pub struct Reading {
    /// The file.
    pub entry: Entry,
    /// Its content, or the part that was asked for.
    pub download: Download<PersonBearer>,
    /// To be kept until the content is read.
    pub place: ReadingPlace,
}

/// A place among those who read at one time, until it is dropped.
#[derive(Debug)]
pub struct ReadingPlace {
    _place: OwnedSemaphorePermit,
    _share: Turn<UserId>,
}

impl AppData {
    /// Nothing is asked of Drive yet.
    pub fn new(
        settings: AppDataSection,
        drive: Drive,
        tokens: Tokens,
        metrics: Metrics,
        events: Events,
        clock: Clock,
        lifecycle: Lifecycle,
    ) -> Self {
        Self(Arc::new(Inner {
            drive,
            tokens,
            metrics,
            events,
            lifecycle,
            turns: Turns::new(1),
            meter: Meter::new(clock),
            uploads: Semaphore::new(UPLOADS),
            shares: Turns::new(UPLOADS_OF_ONE),
            downloads: Arc::new(Semaphore::new(DOWNLOADS)),
            shares_of_downloads: Turns::new(DOWNLOADS_OF_ONE),
            max_bytes: settings.max_bytes,
        }))
    }

    /// The Drive that everything here speaks to.
    pub fn drive(&self) -> &Drive {
        &self.0.drive
    }

    /// What opens a person's app data there, and counts on their account.
    pub fn bearer(&self, person: Person) -> PersonBearer {
        PersonBearer::new(self.clone(), person)
    }

    /// Waits until nobody else writes the person's app data, and keeps it so until the turn is dropped.
    /// Whoever writes past this module takes a turn first.
    pub async fn turn(&self, user: UserId) -> Turn<UserId> {
        self.0.turns.take(user).await
    }

    /// What the person's calls have cost.
    pub fn units(&self, user: UserId) -> Units {
        self.0.meter.of(user)
    }

    /// The largest content that may be written, in bytes.
    pub fn max_bytes(&self) -> u64 {
        self.0.max_bytes
    }

    /// A page of all files and folders. 100 units; with more than a thousand of them, 100 for each
    /// thousand and 100 more.
    ///
    /// # Errors
    /// See [`AppDataError`].
    pub async fn list(&self, person: Person, request: &ListRequest) -> Result<Listing, AppDataError> {
        Box::pin(listing::list(&self.0.drive, &self.bearer(person), request)).await
    }

    /// The file that the path leads to. 100 units at the top, 105 below.
    ///
    /// # Errors
    /// [`AppDataError::IsFolder`], [`AppDataError::NotFound`]; else see [`AppDataError`].
    pub async fn stat(&self, person: Person, path: &AppDataPath) -> Result<Entry, AppDataError> {
        let bearer = self.bearer(person);
        let mut place = Box::pin(resolve(&self.0.drive, &bearer, path)).await?;
        if place.files.is_empty() {
            return Err(if place.is_folder { AppDataError::IsFolder } else { AppDataError::NotFound });
        }
        Ok(write::entry(path, place.files.swap_remove(0)))
    }

    /// The content of the file that the path leads to, or a part of it. 200 units more than
    /// [`AppData::stat`].
    ///
    /// # Errors
    /// As [`AppData::stat`], and [`AppDataError::RangeNotSatisfiable`].
    pub async fn read(
        &self,
        person: Person,
        path: &AppDataPath,
        range: Option<ByteRange>,
    ) -> Result<Reading, AppDataError> {
        let entry = self.stat(person.clone(), path).await?;
        match self.open(person.clone(), entry, range).await {
            // Written between the two calls: once more, what there is now.
            Err(AppDataError::Changed | AppDataError::NotFound) => {
                let entry = self.stat(person.clone(), path).await?;
                self.open(person, entry, range).await
            }
            opened => opened,
        }
    }

    /// The content of a file that was just looked at, or a part of it. 200 units.
    ///
    /// # Errors
    /// [`AppDataError::Changed`] when it is no longer that file; else see [`AppDataError`].
    pub async fn open(
        &self,
        person: Person,
        entry: Entry,
        range: Option<ByteRange>,
    ) -> Result<Reading, AppDataError> {
        let share = self.within(self.0.shares_of_downloads.take(person.user)).await?;
        let place = self.within(self.0.downloads.clone().acquire_owned()).await?;
        let place = ReadingPlace { _place: place.expect("nobody closes it"), _share: share };
        let opening = self.0.drive.download_file(self.bearer(person), entry.file.clone(), range);
        match Box::pin(opening).await {
            Ok(download) => Ok(Reading { entry, download, place }),
            Err(error) => Err(error.into()),
        }
    }

    /// How full the person's Google storage is. 5 units.
    ///
    /// # Errors
    /// See [`AppDataError`].
    pub async fn quota(&self, person: Person) -> Result<Quota, AppDataError> {
        Ok(self.0.drive.quota(&self.bearer(person)).await?)
    }
}
