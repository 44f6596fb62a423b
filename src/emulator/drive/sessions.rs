//! What a request to a resumable upload says of the bytes it brings (`Content-Range`), and the uploads
//! under way.

use std::sync::Arc;

use serde_json::Value;

use super::content::Sink;
use super::drives::Owner;
use super::fields::Mask;
use super::plan::Plan;
use super::refusal::Refused;
use crate::clock::Timestamp;
use crate::emulator::world::World;

/// An upload lives this long after its start.
const LIFETIME: i64 = 7 * 86_400;

/// Each chunk but the last has a multiple of this many bytes.
const GRAIN: u64 = 256 * 1024;

/// A resumable upload.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) owner: Owner,
    pub(super) plan: Plan,
    pub(super) mask: Mask,
    pub(super) started: Timestamp,
    /// One request at a time: a caller whose connection broke asks again before the server has noticed.
    pub(super) progress: tokio::sync::Mutex<Progress>,
}

/// How far an upload has come.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) received: Received,
    /// The size of the whole, once the caller has said it.
    pub(super) total: Option<u64>,
}

#[derive(Debug)]
pub(super) enum Received {
    /// Some of it.
    Part(Box<Sink>),
    /// All of it; this is the file.
    All(Value),
}

impl Progress {
    /// Keeps the size of the whole.
    ///
    /// # Errors
    /// 400 when another one was said before.
    pub(super) fn learn_total(&mut self, total: Option<u64>) -> Result<(), Refused> {
        match (self.total, total) {
            (Some(known), Some(said)) if known != said => {
                Err(Refused::bad("The total of Content-Range is not the one that was announced."))
            }
            (known, said) => {
                self.total = said.or(known);
                Ok(())
            }
        }
    }
}

impl World {
    /// The upload of this id, unless it is over.
    pub(super) fn upload(&self, id: &str) -> Option<Arc<Session>> {
        let (now, mut state) = (self.now(), self.state());
        let session = state.drive.sessions.get(id)?.clone();
        if now.since(session.started) >= LIFETIME {
            state.drive.sessions.remove(id);
            return None;
        }
        Some(session)
    }
}

/// A `Content-Range` of a request (RFC 9110 §14.4), as uploads use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ContentRange {
    /// None: the body is the whole content.
    Whole,
    /// `bytes */N`, `bytes */*`: how far is it?
    Asks(Option<u64>),
    /// `bytes a-b/N`, `bytes a-b/*`: from `a` up to, not including, the second number.
    Part(u64, u64, Option<u64>),
}

impl ContentRange {
    /// Reads the header field.
    ///
    /// # Errors
    /// 400 for what is none, and for a chunk of an odd size that is not the last.
    pub(super) fn parse(field: Option<&str>) -> Result<Self, Refused> {
        let Some(field) = field else { return Ok(Self::Whole) };
        let wrong = || Refused::bad("Invalid Content-Range.");
        let (range, total) =
            field.strip_prefix("bytes ").and_then(|rest| rest.split_once('/')).ok_or_else(wrong)?;
        let number = |text: &str| text.parse::<u64>().map_err(|_| wrong());
        let total = if total == "*" { None } else { Some(number(total)?) };
        if range == "*" {
            return Ok(Self::Asks(total));
        }
        let (first, last) = range.split_once('-').ok_or_else(wrong)?;
        let (start, end) = (number(first)?, number(last)?.saturating_add(1));
        if start >= end || total.is_some_and(|total| end > total) {
            return Err(wrong());
        }
        if total != Some(end) && (end - start) % GRAIN != 0 {
            return Err(Refused::bad("Every chunk but the last must be a multiple of 262144 bytes."));
        }
        Ok(Self::Part(start, end, total))
    }

    /// The size of the whole, if it is said.
    pub(super) const fn total(self) -> Option<u64> {
        match self {
            Self::Whole => None,
            Self::Asks(total) | Self::Part(_, _, total) => total,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges_are_read() {
        let read = |field| ContentRange::parse(Some(field));
        assert_eq!(ContentRange::parse(None), Ok(ContentRange::Whole));
        assert_eq!(read("bytes 0-524287/2000000"), Ok(ContentRange::Part(0, 524_288, Some(2_000_000))));
        assert_eq!(read("bytes 524288-1048575/*"), Ok(ContentRange::Part(524_288, 1_048_576, None)));
        assert_eq!(read("bytes 5-6/7"), Ok(ContentRange::Part(5, 7, Some(7))));
        assert_eq!(read("bytes */2000000"), Ok(ContentRange::Asks(Some(2_000_000))));
        assert_eq!(read("bytes */*"), Ok(ContentRange::Asks(None)));
        for wrong in [
            "",
            "bytes",
            "bytes 0-1",
            "bytes 1-0/5",
            "bytes 0-5/5",
            "bytes 0-99/200",
            "bytes 0-99/*",
            "bytes a-b/c",
            "items 0-1/2",
            "bytes -5/10",
            "bytes 0-262143/100",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
