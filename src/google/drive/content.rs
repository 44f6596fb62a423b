//! What is to be uploaded: read piece by piece, counted and summed on the way.

use std::io;
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};
use md5::{Digest as _, Md5};

use super::error::SourceFault;

/// Small pieces of a stream are put together to blocks of this size.
const BLOCK: usize = 64 << 10;

/// Whoever gives the content broke off: nothing of it may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the content broke off")]
pub struct ContentBroke;

/// Content to be uploaded. `Debug` shows its length only.
pub struct Content {
    source: Source,
    length: Option<u64>,
    most: u64,
    watch: Option<Watch>,
}

/// Hears how many more bytes Drive has said it has. The end of a content is not told: the upload's success is.
type Watch = Arc<dyn Fn(u64) + Send + Sync>;

enum Source {
    File(Arc<std::fs::File>),
    Stream(Pin<Box<dyn Stream<Item = Result<Bytes, ContentBroke>> + Send>>),
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Content").field("length", &self.length).finish_non_exhaustive()
    }
}

impl Content {
    /// An open file of this size. It is read by position, from its start, and again where Drive has lost
    /// something; a file that turns out longer or shorter is a fault.
    pub fn file(file: std::fs::File, size: u64) -> Self {
        Self { source: Source::File(Arc::new(file)), length: Some(size), most: u64::MAX, watch: None }
    }

    /// Bytes that come once, and how many, if that is known.
    pub fn stream(
        length: Option<u64>,
        stream: impl Stream<Item = Result<Bytes, ContentBroke>> + Send + 'static,
    ) -> Self {
        Self { source: Source::Stream(Box::pin(stream)), length, most: u64::MAX, watch: None }
    }

    /// Bytes at hand.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let length = u64::try_from(bytes.len()).ok();
        Self::stream(length, futures_util::stream::iter([Ok(bytes)]))
    }

    /// How many bytes it has, as far as anybody has said so.
    pub const fn length(&self) -> Option<u64> {
        self.length
    }

    /// The same, but its upload fails with [`SourceFault::TooLong`] once more than `most` bytes come.
    #[must_use]
    pub fn at_most(self, most: u64) -> Self {
        Self { most, ..self }
    }

    /// The same, and `watch` hears how many more bytes have arrived each time Drive says so. What is sent again
    /// is not told again, and the last piece not at all.
    #[must_use]
    pub fn watched(self, watch: impl Fn(u64) + Send + Sync + 'static) -> Self {
        Self { watch: Some(Arc::new(watch)), ..self }
    }

    /// Reads up to about `most` bytes of a stream ahead and holds them, so that a small content is all here
    /// before anything is done with it, and its length known. A file is at hand anyway.
    ///
    /// # Errors
    /// [`ContentBroke`] when the stream breaks off before that.
    pub async fn gathered(self, most: usize) -> Result<Self, ContentBroke> {
        let Source::Stream(stream) = self.source else { return Ok(self) };
        // What has ended here is asked again when it is sent.
        let mut stream = stream.fuse();
        // In blocks: a piece may be a single byte, and each has its own cost.
        let (mut held, mut block, mut count) = (Vec::new(), BytesMut::new(), 0);
        let mut length = self.length;
        while count < most {
            let Some(bytes) = stream.next().await.transpose()? else {
                length = length.or(u64::try_from(count).ok());
                break;
            };
            count += bytes.len();
            block.extend_from_slice(&bytes);
            if block.len() >= BLOCK {
                held.push(Ok(block.split().freeze()));
            }
        }
        if !block.is_empty() {
            held.push(Ok(block.freeze()));
        }
        let source = Source::Stream(Box::pin(futures_util::stream::iter(held).chain(stream)));
        Ok(Self { source, length, most: self.most, watch: self.watch })
    }
}

/// Size and MD5 of a content that was read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) size: u64,
    pub(super) md5: [u8; 16],
}

/// The piece of a content that is held: what has been read and is not yet known to have arrived.
pub(super) struct Window {
    source: Source,
    length: Option<u64>,
    most: u64,
    /// Where the piece begins in the content.
    start: u64,
    held: Vec<Bytes>,
    held_len: usize,
    /// What came with the last piece and did not fit; of streams only.
    left: Bytes,
    /// Nothing comes after the piece.
    ended: bool,
    md5: Md5,
    /// How far the sum reaches. What is read again is not summed again.
    summed: u64,
    watch: Option<Watch>,
    /// How far it was told that the content has arrived.
    told: u64,
}

impl Window {
    pub(super) fn new(content: Content) -> Self {
        let Content { source, length, most, watch } = content;
        Self {
            source,
            length,
            most,
            start: 0,
            held: Vec::new(),
            held_len: 0,
            left: Bytes::new(),
            ended: false,
            md5: Md5::new(),
            summed: 0,
            watch,
            told: 0,
        }
    }

    pub(super) const fn start(&self) -> u64 {
        self.start
    }

    /// The place after the last byte held.
    pub(super) const fn end(&self) -> u64 {
        self.start + self.held_len as u64
    }

    pub(super) const fn held_len(&self) -> usize {
        self.held_len
    }

    /// The bytes held.
    pub(super) fn parts(&self) -> Vec<Bytes> {
        self.held.clone()
    }

    /// Whether nothing comes after what is held.
    pub(super) const fn is_last(&self) -> bool {
        self.ended
    }

    /// The size of the whole: as announced, or as found at the end.
    pub(super) const fn total(&self) -> Option<u64> {
        if self.ended { Some(self.end()) } else { self.length }
    }

    /// The sum of the whole, once it was read to its end.
    pub(super) fn sum(&self) -> Option<Sum> {
        self.ended.then(|| Sum { size: self.end(), md5: self.md5.clone().finalize().into() })
    }

    /// Reads on to the end and keeps nothing: for a content that need not be sent.
    pub(super) async fn drain(&mut self, piece: usize) -> Result<Sum, SourceFault> {
        loop {
            if let Some(sum) = self.sum() {
                return Ok(sum);
            }
            self.acknowledge(self.end())?;
            self.fill(piece).await?;
        }
    }

    /// Reads until `want` bytes are held, or the end is reached. Finds out whether that is the end.
    pub(super) async fn fill(&mut self, want: usize) -> Result<(), SourceFault> {
        if self.ended {
            return Ok(());
        }
        if self.length.is_some_and(|length| length > self.most) {
            return Err(SourceFault::TooLong);
        }
        match &self.source {
            Source::File(file) => {
                let file = file.clone();
                self.fill_from_file(file, want).await
            }
            Source::Stream(_) => self.fill_from_stream(want).await,
        }
    }

    async fn fill_from_file(&mut self, file: Arc<std::fs::File>, want: usize) -> Result<(), SourceFault> {
        let (offset, size) = (self.end(), self.length.unwrap_or_default());
        let room = want.saturating_sub(self.held_len) as u64;
        // At most `want`, which is a usize.
        let count = usize::try_from(size.saturating_sub(offset).min(room)).unwrap_or(0);
        let (md5, summed) = (std::mem::take(&mut self.md5), self.summed);
        let read = tokio::task::spawn_blocking(move || read_block(&file, offset, count, size, md5, summed));
        let (bytes, md5) = read.await.map_err(|_| SourceFault::Unreadable)??;
        self.md5 = md5;
        self.hold(bytes);
        self.summed = self.summed.max(self.end());
        self.ended = self.end() == size;
        Ok(())
    }

    async fn fill_from_stream(&mut self, want: usize) -> Result<(), SourceFault> {
        let mut block = BytesMut::new();
        let outcome = loop {
            if self.left.is_empty() {
                let Source::Stream(stream) = &mut self.source else { break Ok(()) };
                match stream.next().await {
                    Some(Ok(bytes)) => self.left = bytes,
                    Some(Err(ContentBroke)) => break Err(SourceFault::Unreadable),
                    None => {
                        self.ended = true;
                        break Ok(());
                    }
                }
            }
            let room = want.saturating_sub(self.held_len + block.len());
            let fits = self.left.split_to(self.left.len().min(room));
            self.md5.update(&fits);
            self.summed += fits.len() as u64;
            let seen = self.summed + self.left.len() as u64;
            if self.length.is_some_and(|length| seen > length) {
                break Err(SourceFault::Longer);
            }
            if seen > self.most {
                break Err(SourceFault::TooLong);
            }
            block.extend_from_slice(&fits);
            if block.len() >= BLOCK || !self.left.is_empty() {
                self.hold(block.split().freeze());
            }
            // Something is left: the piece is full, and it is not the last.
            if !self.left.is_empty() {
                break Ok(());
            }
        };
        self.hold(block.freeze());
        let short = self.ended && self.length.is_some_and(|length| self.end() < length);
        outcome.and(if short { Err(SourceFault::Shorter) } else { Ok(()) })
    }

    fn hold(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.held_len += bytes.len();
            self.held.push(bytes);
        }
    }

    /// Everything before `place` has arrived and need not be held. A place before the piece means that
    /// something has to be read again.
    pub(super) fn acknowledge(&mut self, place: u64) -> Result<(), SourceFault> {
        if place < self.start {
            if matches!(self.source, Source::Stream(_)) {
                return Err(SourceFault::Spent);
            }
            self.held.clear();
            self.held_len = 0;
            self.ended = false;
            self.start = place;
            return Ok(());
        }
        if let Some(watch) = self.watch.as_ref().filter(|_| place > self.told) {
            watch(place - self.told);
            self.told = place;
        }
        let mut arrived = usize::try_from(place - self.start).unwrap_or(usize::MAX).min(self.held_len);
        self.start += arrived as u64;
        self.held_len -= arrived;
        let whole = self.held.iter().take_while(|part| {
            let covered = part.len() <= arrived;
            arrived -= if covered { part.len() } else { 0 };
            covered
        });
        let whole = whole.count();
        self.held.drain(..whole);
        if let Some(first) = self.held.first_mut() {
            drop(first.split_to(arrived));
        }
        Ok(())
    }
}

/// `count` bytes at `offset`, and the sum carried on over those that it does not cover yet. At the end of
/// the content, whether the file ends there too.
fn read_block(
    file: &std::fs::File,
    offset: u64,
    count: usize,
    size: u64,
    mut md5: Md5,
    summed: u64,
) -> Result<(Bytes, Md5), SourceFault> {
    let mut block = vec![0; count];
    file.read_exact_at(&mut block, offset).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => SourceFault::Shorter,
        _ => SourceFault::Unreadable,
    })?;
    let end = offset + count as u64;
    if end == size && file.read_at(&mut [0], size).map_err(|_| SourceFault::Unreadable)? != 0 {
        return Err(SourceFault::Longer);
    }
    let known = usize::try_from(summed.saturating_sub(offset)).unwrap_or(usize::MAX).min(count);
    md5.update(&block[known..]);
    Ok((block.into(), md5))
}

#[cfg(test)]
mod tests;
