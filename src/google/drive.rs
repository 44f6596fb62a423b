//! Drive v3, as much of it as a person's app data needs (`https://www.googleapis.com/drive/v3`).
//!
//! Each method is one operation on the app data of the person that a [`Bearer`] stands for, and says what
//! it costs. What must stay true:
//!
//! - content is never held whole: an upload holds one piece of it at a time, a download nothing;
//! - size and MD5 are counted on the way and compared with what Drive says; what differs is an error;
//! - a call is repeated only where repeating it cannot do harm, with Google's back-off, and not for long;
//! - a token that Drive refused is never shown again, and an upload goes on with the next one;
//! - an upload's session address opens the upload for whoever has it: it is followed to the configured
//!   origin only, and is in no log, no error and no `Debug`;
//! - a list that Drive calls incomplete is no list, and a "not found" that is not Drive's is an outage:
//!   what is missing from either would look as if it had been deleted;
//! - nothing of Drive's text goes into an error except one sanitised word.

mod answers;
mod bearer;
mod classify;
mod content;
mod download;
mod edit;
mod error;
mod file;
mod listing;
mod multipart;
mod names;
mod range;
mod send;
mod session;
#[cfg(test)]
mod tests;
mod upload;

pub use answers::Quota;
pub use bearer::{Bearer, Cost};
pub use content::{Content, ContentBroke};
pub use download::Download;
pub use edit::Move;
pub use error::{CallError, DriveError, SourceFault};
pub use file::{Change, ChangePage, ChangesEnd, DriveFile, FileId, FileKind, InvalidFileId, Page, PageToken};
pub use names::{InvalidMediaType, MediaType};
pub use range::{ByteRange, Span};
pub use send::Patience;
pub use upload::{NewContent, NewFile};

use std::sync::Arc;

use url::Url;

use crate::clock::Clock;
use crate::outbound::Outbound;
use crate::rng::Rng;

/// The calls to Drive. Cheap to clone; holds no state of its own.
#[derive(Clone, Debug)]
pub struct Drive(Arc<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    calls: Outbound,
    moving: Outbound,
    clock: Clock,
    rng: Rng,
    base: Url,
    patience: Patience,
    /// How many bytes of an upload are held and sent at a time.
    chunk: usize,
}

/// What the pieces of an upload, but the last, are multiples of.
const PIECE: usize = 256 << 10;

/// 8 MiB: Google's own advice for a good line, and the memory that an upload takes.
const CHUNK: usize = 32 * PIECE;

impl Drive {
    /// Drive at `base` (`https://www.googleapis.com/`). Small calls go through `calls`, content through
    /// `moving`, whose limits are those of [`crate::outbound::Limits::moving`]. A list of a thousand files
    /// is up to 4 MiB long: `calls` must take that.
    pub fn new(calls: Outbound, moving: Outbound, clock: Clock, rng: Rng, base: Url) -> Self {
        Self(Arc::new(Inner { calls, moving, clock, rng, base, patience: Patience::Caller, chunk: CHUNK }))
    }

    /// The same, with another measure of how long an outage is waited for.
    #[must_use]
    pub fn with_patience(&self, patience: Patience) -> Self {
        Self(Arc::new(Inner { patience, ..Inner::clone(&self.0) }))
    }

    /// The same, with uploads in pieces of `pieces` times 256 KiB instead of 8 MiB. At least one.
    #[must_use]
    pub fn with_pieces(&self, pieces: usize) -> Self {
        Self(Arc::new(Inner { chunk: pieces.max(1) * PIECE, ..Inner::clone(&self.0) }))
    }

    /// `{base}/{path}`, with these query parameters. `path` holds no caller's text but parsed ids.
    fn url(&self, path: &str, query: &[(&str, &str)]) -> Url {
        let mut url = self.0.base.clone();
        url.set_path(&format!("{}/{path}", self.0.base.path().trim_end_matches('/')));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }
}
