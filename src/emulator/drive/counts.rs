//! What the emulated Drive was asked for, how often, and what that cost.

use serde::Serialize;

use crate::emulator::faults::Endpoint;

/// What a request is, told from its first line and header fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    List,
    Get,
    Download,
    Create,
    Update,
    Upload,
    Start,
    Chunk,
    Status,
    Cancel,
    Delete,
    Ids,
    StartToken,
    Changes,
    About,
}

/// Requests to Drive by kind, and what came of them. Requests are counted once, when they arrive, so those
/// that a fault answered or that were refused are counted too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DriveCounts {
    /// Pages of listings.
    pub lists: u64,
    /// Metadata of one file.
    pub gets: u64,
    /// Content, whole or in ranges.
    pub downloads: u64,
    /// Creations without content: folders and empty files.
    pub creates: u64,
    /// Changes of metadata alone.
    pub updates: u64,
    /// Contents with `uploadType=media` or `multipart`, new or replaced.
    pub uploads: u64,
    /// Starts of resumable uploads, new or replaced.
    pub starts: u64,
    /// Requests that bring content to a resumable upload.
    pub chunks: u64,
    /// Questions how far a resumable upload has come.
    pub statuses: u64,
    /// Resumable uploads given up by the caller.
    pub cancels: u64,
    /// Deletions.
    pub deletes: u64,
    /// Calls for new ids.
    pub id_calls: u64,
    /// Calls for a start page token.
    pub start_tokens: u64,
    /// Pages of changes.
    pub changes: u64,
    /// Calls of `about`.
    pub abouts: u64,
    /// Folders made over HTTP.
    pub folders_made: u64,
    /// Files made over HTTP.
    pub files_made: u64,
    /// Contents replaced over HTTP.
    pub contents_replaced: u64,
    /// Bytes of content that arrived, those of failed uploads included.
    pub upload_bytes: u64,
    /// Bytes of content that were sent.
    pub download_bytes: u64,
    /// What the requests cost in Google's quota units (list 100, download 200, edit or upload 50, others 5;
    /// a resumable upload pays at its start).
    pub units: u64,
}

impl DriveCounts {
    /// All requests.
    pub const fn requests(&self) -> u64 {
        self.lists
            + self.gets
            + self.downloads
            + self.creates
            + self.updates
            + self.uploads
            + self.starts
            + self.chunks
            + self.statuses
            + self.cancels
            + self.deletes
            + self.id_calls
            + self.start_tokens
            + self.changes
            + self.abouts
    }

    /// Counts a request that arrived.
    pub(super) const fn arrived(&mut self, kind: Kind) {
        let (count, units) = match kind {
            Kind::List => (&mut self.lists, 100),
            Kind::Changes => (&mut self.changes, 100),
            Kind::Download => (&mut self.downloads, 200),
            Kind::Create => (&mut self.creates, 50),
            Kind::Update => (&mut self.updates, 50),
            Kind::Upload => (&mut self.uploads, 50),
            Kind::Start => (&mut self.starts, 50),
            Kind::Delete => (&mut self.deletes, 50),
            Kind::Chunk => (&mut self.chunks, 0),
            Kind::Status => (&mut self.statuses, 0),
            Kind::Cancel => (&mut self.cancels, 0),
            Kind::Get => (&mut self.gets, 5),
            Kind::Ids => (&mut self.id_calls, 5),
            Kind::StartToken => (&mut self.start_tokens, 5),
            Kind::About => (&mut self.abouts, 5),
        };
        *count += 1;
        self.units += units;
    }
}

impl Kind {
    /// Where scripted faults for such a request are looked for, in this order.
    pub(super) const fn endpoints(self) -> [Endpoint; 2] {
        let own = match self {
            Self::List => Endpoint::DriveList,
            Self::Get => Endpoint::DriveGet,
            Self::Download => Endpoint::DriveDownload,
            Self::Create => Endpoint::DriveCreate,
            Self::Update => Endpoint::DriveUpdate,
            Self::Upload => Endpoint::DriveUpload,
            Self::Start => Endpoint::DriveStart,
            Self::Chunk => Endpoint::DriveChunk,
            Self::Status => Endpoint::DriveStatus,
            Self::Cancel => Endpoint::DriveCancel,
            Self::Delete => Endpoint::DriveDelete,
            Self::Ids => Endpoint::DriveIds,
            Self::StartToken => Endpoint::DriveStartToken,
            Self::Changes => Endpoint::DriveChanges,
            Self::About => Endpoint::DriveAbout,
        };
        [own, Endpoint::Drive]
    }
}
