//! Content on its way out, whole or a range of it (RFC 9110 §14), in pieces.

use std::io;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::body::SizedStream;
use actix_web::web::Bytes;
use futures_util::stream::{self, Stream};

use super::content::Content;
use super::refusal::{Reason, Refused};
use crate::emulator::reply::Reply;
use crate::emulator::serving::{self, Socket};
use crate::emulator::world::World;

/// How much is read at a time.
const PIECE: usize = 64 * 1024;

/// How long a cut waits so that what was sent before it gets out of the server's buffer.
const FLUSH: Duration = Duration::from_millis(20);

/// Content to send.
#[derive(Debug)]
pub(in crate::emulator) struct Transfer {
    world: World,
    head: Reply,
    content: Content,
    offset: u64,
    length: u64,
    piece: usize,
    every: Option<Duration>,
    flip: Option<u64>,
    cut: Option<(u64, Socket)>,
}

/// What a `Range` asks for of a content of `size` bytes: first byte and length.
///
/// `None` without a range, and for what is none or several, which are ignored (RFC 9110 §14.2).
///
/// # Errors
/// 416 when no byte is in it.
pub(super) fn range(field: Option<&str>, size: u64) -> Result<Option<(u64, u64)>, Refused> {
    let Some((first, last)) = field.and_then(|field| field.strip_prefix("bytes=")?.split_once('-')) else {
        return Ok(None);
    };
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let (first, last) = (first.trim(), last.trim());
    let (start, end) = match (number(first), number(last)) {
        (Some(start), Some(end)) if start <= end => (start, end.saturating_add(1).min(size)),
        (Some(start), None) if last.is_empty() => (start, size),
        (None, Some(count)) if first.is_empty() => (size.saturating_sub(count), size),
        _ => return Ok(None),
    };
    if start < end {
        Ok(Some((start, end - start)))
    } else {
        Err(Reason::RequestedRangeNotSatisfiable.into())
    }
}

impl Transfer {
    /// A content, or the part of it that `field` asks for.
    ///
    /// # Errors
    /// 416.
    pub(super) fn new(
        world: &World,
        content: Content,
        media_type: &str,
        field: Option<&str>,
    ) -> Result<Self, Reply> {
        let size = content.size;
        let range = range(field, size).map_err(|refused| {
            let mut reply = Reply::from(refused);
            reply.headers.push(("content-range", format!("bytes */{size}")));
            reply
        })?;
        let (offset, length) = range.unwrap_or((0, size));
        let mut headers =
            vec![("content-type", media_type.to_owned()), ("accept-ranges", "bytes".to_owned())];
        if range.is_some() {
            headers.push(("content-range", format!("bytes {offset}-{}/{size}", offset + length - 1)));
        }
        let status = if range.is_some() { 206 } else { 200 };
        let head = Reply { headers, ..Reply::empty(status) };
        let world = world.clone();
        Ok(Self { world, head, content, offset, length, piece: PIECE, every: None, flip: None, cut: None })
    }

    /// Whether the byte at this place of the content is sent.
    pub(super) const fn covers(&self, at: u64) -> bool {
        self.offset <= at && at < self.offset + self.length
    }

    /// Sends the byte at this place of the content with every bit turned.
    pub(super) fn flip(&mut self, at: u64) {
        self.flip = Some(at);
    }

    /// Breaks the connection before the byte at this place of the content.
    pub(super) fn cut(&mut self, at: u64, socket: Socket) {
        self.cut = Some((at, socket));
    }

    /// The first half only, announced as if it were all.
    #[must_use]
    pub(in crate::emulator) fn halved(self) -> Self {
        Self { length: self.length / 2, ..self }
    }

    /// In pieces of this size, with a wait before each.
    #[must_use]
    pub(in crate::emulator) fn dripping(self, piece: usize, every: Duration) -> Self {
        Self { piece, every: Some(every), ..self }
    }

    /// Sends it.
    pub(in crate::emulator) fn send(self) -> HttpResponse {
        let length = self.length;
        serving::begin(&self.head).no_chunking(length).body(SizedStream::new(length, self.pieces()))
    }

    fn pieces(self) -> impl Stream<Item = io::Result<Bytes>> {
        let end = self.offset + self.length;
        stream::try_unfold((self, 0), move |(transfer, sent)| async move {
            let at = transfer.offset + sent;
            if let Some((place, socket)) = &transfer.cut
                && at == *place
            {
                tokio::time::sleep(FLUSH).await;
                socket.shut();
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            if at == end {
                return Ok(None);
            }
            if let Some(every) = transfer.every {
                tokio::time::sleep(every).await;
            }
            let stop = transfer.cut.as_ref().map_or(end, |(place, _)| end.min(*place));
            let length = transfer.piece.min(usize::try_from(stop - at).unwrap_or(usize::MAX));
            let mut piece = transfer.content.piece(at, length)?;
            if let Some(place) = transfer.flip.and_then(|flip| flip.checked_sub(at))
                && let Ok(place) = usize::try_from(place)
                && place < piece.len()
            {
                let mut flipped = piece.to_vec();
                flipped[place] = !flipped[place];
                piece = flipped.into();
            }
            let length = piece.len() as u64;
            transfer.world.state().drive.counts.download_bytes += length;
            Ok(Some((piece, (transfer, sent + length))))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read() {
        let of_ten = |field| range(Some(field), 10);
        assert_eq!(of_ten("bytes=0-3"), Ok(Some((0, 4))));
        assert_eq!(of_ten("bytes=4-"), Ok(Some((4, 6))));
        assert_eq!(of_ten("bytes=8-99"), Ok(Some((8, 2))));
        assert_eq!(of_ten("bytes=-3"), Ok(Some((7, 3))));
        assert_eq!(of_ten("bytes=-30"), Ok(Some((0, 10))));
        for ignored in ["bytes=3-2", "bytes=-", "bytes=a-b", "items=0-3", "bytes=0-1,3-4", "bytes=1-x"] {
            assert_eq!(of_ten(ignored), Ok(None), "{ignored}");
        }
        assert_eq!(range(None, 10), Ok(None));
        for (field, size) in [("bytes=10-", 10), ("bytes=10-20", 10), ("bytes=-0", 10), ("bytes=0-", 0)] {
            let refused = range(Some(field), size).expect_err(field);
            assert_eq!(refused.reason, Reason::RequestedRangeNotSatisfiable);
        }
    }
}
