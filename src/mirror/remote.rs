//! What a mirror needs of Drive: the few calls it makes, and how each may fail.
//!
//! Implemented over a person's app data, and by a Drive in memory in tests. Nothing here retries: what
//! comes back is final for this run.

use std::future::Future;
use std::time::Duration;

use super::report::Done;
use super::tree::RemoteNode;
use crate::google::drive::{ChangePage, DriveFile, FileId, Page, PageToken};

/// A file to be made at Drive.
#[derive(Clone, PartialEq, Eq)]
pub struct NewRemoteFile {
    /// One of [`Remote::generate_ids`], so that a repeated create is seen to be one.
    pub id: FileId,
    /// Its name.
    pub name: String,
    /// The folder it goes into.
    pub parent: FileId,
    /// When its content last changed; Unix milliseconds.
    pub modified_ms: i64,
}

impl std::fmt::Debug for NewRemoteFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewRemoteFile").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A content to be sent, open for reading at its start and not larger than `size` as far as is known.
#[derive(Debug)]
pub struct Outgoing {
    /// The file; nobody else reads from this handle.
    pub content: std::fs::File,
    /// How many bytes it had when it was opened.
    pub size: u64,
    /// When it last changed; Unix milliseconds.
    pub modified_ms: i64,
}

/// What came of a download, as measured on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Downloaded {
    /// In bytes.
    pub size: u64,
    /// Of what was written.
    pub md5: [u8; 16],
}

/// Why a call brought nothing, by what can be done about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemoteError {
    /// The file is not there (any more).
    #[error("the file is no longer at Drive")]
    Gone,
    /// The id is taken: the create was done before.
    #[error("the file is at Drive already")]
    Exists,
    /// The page token is no longer good: list everything again.
    #[error("Drive no longer accepts the page token")]
    PageTokenRefused,
    /// The person's storage is full.
    #[error("the person's storage at Google is full; free some space there, the next run goes on")]
    Full,
    /// The disk that a download was written to is full.
    #[error("the local disk is full; free some space, the next run goes on")]
    LocalFull,
    /// The file is not what was listed any more: nothing was done to it.
    #[error("the file changed at Drive in the meantime")]
    Changed,
    /// What arrived is not what was sent, in size or sum.
    #[error("what arrived is not what was sent; the next run tries again")]
    Mismatch,
    /// Google is down or asks for a pause.
    #[error("Google cannot be reached or asks for a pause; the next run goes on")]
    TryLater {
        /// Not before.
        after: Duration,
    },
    /// Only a person can help.
    #[error("{0}")]
    NeedsPerson(String),
    /// Drive refuses this file.
    #[error("Drive refuses: {0}")]
    Refused(String),
}

impl RemoteError {
    /// Whether the next file would meet the same error.
    pub fn stops_the_run(&self) -> bool {
        match self {
            Self::Gone | Self::Exists | Self::Changed | Self::Mismatch | Self::Refused(_) => false,
            Self::PageTokenRefused
            | Self::Full
            | Self::LocalFull
            | Self::TryLater { .. }
            | Self::NeedsPerson(_) => true,
        }
    }
}

/// One person's app data. Each method is one request to Drive, apart from large contents.
pub trait Remote: Send + Sync {
    /// A run is about to do this.
    fn sets_out(&self, plan: &Done) {
        let _ = plan;
    }

    /// The real id of the appDataFolder.
    fn root(&self) -> impl Future<Output = Result<FileId, RemoteError>> + Send;

    /// Everything that is there, in pages of 1000.
    fn list(
        &self,
        page: Option<&PageToken>,
    ) -> impl Future<Output = Result<Page<DriveFile>, RemoteError>> + Send;

    /// Where the changes feed stands now.
    fn start_page_token(&self) -> impl Future<Output = Result<PageToken, RemoteError>> + Send;

    /// What changed since `from`.
    fn changes(&self, from: &PageToken) -> impl Future<Output = Result<ChangePage, RemoteError>> + Send;

    /// Unused ids; at most 1000 a call.
    fn generate_ids(&self, count: usize) -> impl Future<Output = Result<Vec<FileId>, RemoteError>> + Send;

    /// Makes a folder.
    fn create_folder(
        &self,
        id: &FileId,
        name: &str,
        parent: &FileId,
    ) -> impl Future<Output = Result<DriveFile, RemoteError>> + Send;

    /// Makes a file with content.
    fn create(
        &self,
        new: &NewRemoteFile,
        content: Outgoing,
    ) -> impl Future<Output = Result<DriveFile, RemoteError>> + Send;

    /// Replaces the content of a file that still is what was listed.
    fn update(
        &self,
        over: &RemoteNode,
        content: Outgoing,
    ) -> impl Future<Output = Result<DriveFile, RemoteError>> + Send;

    /// Renames a file or folder, moves it, or both.
    fn relocate(
        &self,
        id: &FileId,
        name: &str,
        from: &FileId,
        to: &FileId,
    ) -> impl Future<Output = Result<DriveFile, RemoteError>> + Send;

    /// Writes a file's content to `into`, which is empty.
    fn download(
        &self,
        file: &RemoteNode,
        into: &mut tokio::fs::File,
    ) -> impl Future<Output = Result<Downloaded, RemoteError>> + Send;

    /// Whether nothing is in a folder at this moment: asked of the folder itself, not of the changes feed.
    fn is_empty_folder(&self, id: &FileId) -> impl Future<Output = Result<bool, RemoteError>> + Send;

    /// Deletes a file that still is what was listed, or an empty folder, for good. One that is gone already is
    /// success.
    fn delete(&self, node: &RemoteNode) -> impl Future<Output = Result<(), RemoteError>> + Send;
}
