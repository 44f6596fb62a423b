//! Fetching content: whole or a part, resumed where it broke off, checked before its last byte is given.

use bytes::Bytes;
use futures_util::Stream;
use http::HeaderValue;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, RANGE};
use md5::{Digest as _, Md5};

use super::Drive;
use super::bearer::{Bearer, Cost};
use super::error::{CallError, DriveError};
use super::file::{DriveFile, FileId, FileKind};
use super::range::{ByteRange, ContentRange, Span};
use super::send::{Backoff, Request, failed};
use crate::outbound::{Incoming, OutboundError};

/// So much must have come before an interruption is treated as the first one again.
const PROGRESS: u64 = 1 << 20;

/// Content on its way here. What it belongs to is known before the first byte comes.
pub struct Download<B> {
    drive: Drive,
    bearer: B,
    file: DriveFile,
    span: Span,
    size: u64,
    /// The place of the next byte.
    at: u64,
    /// The answer that is being read, and how many of its bytes come before that place.
    incoming: Option<(Incoming, u64)>,
    /// Of a whole content: what its MD5 must be, and what it is so far.
    check: Option<([u8; 16], Md5)>,
    /// The pauses since the last interruption, and where that was.
    trouble: Option<(Backoff, u64)>,
}

impl<B> std::fmt::Debug for Download<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Download")
            .field("file", &self.file)
            .field("span", &self.span)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

impl Drive {
    /// Opens the content of a file. Two calls, 205 units.
    ///
    /// # Errors
    /// [`DriveError::NotAllowed`] for what has no content, [`DriveError::RangeNotSatisfiable`]. Else see
    /// [`CallError`].
    pub async fn download<B: Bearer>(
        &self,
        bearer: B,
        id: &FileId,
        range: Option<ByteRange>,
    ) -> Result<Download<B>, CallError<B::Error>> {
        let file = self.file(&bearer, id).await?;
        self.download_file(bearer, file, range).await
    }

    /// Opens the content of a file whose metadata is at hand. One call, 200 units; none for an empty file.
    ///
    /// # Errors
    /// As [`Drive::download`], and [`DriveError::Mismatch`] when the file is no longer what the metadata
    /// says.
    pub async fn download_file<B: Bearer>(
        &self,
        bearer: B,
        file: DriveFile,
        range: Option<ByteRange>,
    ) -> Result<Download<B>, CallError<B::Error>> {
        let FileKind::File { size, md5, .. } = file.kind else {
            return Err(DriveError::NotAllowed { reason: "fileNotDownloadable".to_owned() }.into());
        };
        let span = match range {
            None => Some(Span { first: 0, end: size }),
            Some(range) => range.within(size),
        };
        let span = span.ok_or(DriveError::RangeNotSatisfiable { size: Some(size) })?;
        let check = (span.len() == size).then(|| (md5, Md5::new()));
        let (drive, at) = (self.clone(), span.first);
        let mut download =
            Download { drive, bearer, file, span, size, at, incoming: None, check, trouble: None };
        if !span.is_empty() {
            let mut backoff = self.backoff();
            while let Err(error) = download.connect().await {
                let CallError::Drive(error) = error else { return Err(error) };
                if !backoff.pause(&error).await {
                    return Err(error.into());
                }
            }
        }
        Ok(download)
    }
}

impl<B: Bearer> Download<B> {
    /// The file.
    pub const fn file(&self) -> &DriveFile {
        &self.file
    }

    /// Which bytes come.
    pub const fn span(&self) -> Span {
        self.span
    }

    /// How many bytes the whole content has.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The next bytes; `None` after the last. The last ones of a whole content are given only if its size
    /// and MD5 are right, so whoever has been given everything has the right thing.
    ///
    /// # Errors
    /// [`DriveError::Mismatch`] when the content is not the one that the metadata describes, or has been
    /// changed while it was read. Else see [`CallError`]; an interruption has then been tried to resume.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, CallError<B::Error>> {
        loop {
            if self.at == self.span.end {
                return Ok(None);
            }
            let error = match &mut self.incoming {
                None => match self.resume().await {
                    Ok(()) => continue,
                    Err(CallError::Drive(error)) => error,
                    Err(error) => return Err(error),
                },
                Some((incoming, skip)) => match incoming.chunk().await {
                    Ok(Some(mut bytes)) => {
                        let before = usize::try_from(*skip).unwrap_or(usize::MAX).min(bytes.len());
                        drop(bytes.split_to(before));
                        *skip -= before as u64;
                        if bytes.is_empty() {
                            continue;
                        }
                        return Ok(Some(self.take(bytes)?));
                    }
                    Ok(None) => failed(OutboundError::Broken),
                    Err(error) => failed(error),
                },
            };
            self.incoming = None;
            let (drive, at) = (&self.drive, self.at);
            let (backoff, _) = self.trouble.get_or_insert_with(|| (drive.backoff(), at));
            if !backoff.pause(&error).await {
                return Err(error.into());
            }
        }
    }

    /// As [`Download::chunk`], as a stream.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, CallError<B::Error>>> {
        futures_util::stream::try_unfold(self, |mut download| async move {
            Ok(download.chunk().await?.map(|bytes| (bytes, download)))
        })
    }

    /// Goes on where it broke off, if the content is still the same.
    async fn resume(&mut self) -> Result<(), CallError<B::Error>> {
        let now = self.drive.file(&self.bearer, &self.file.id).await?;
        if !same_content(&now.kind, &self.file.kind) {
            return Err(DriveError::Mismatch.into());
        }
        self.connect().await
    }

    /// One request for everything that is still missing.
    async fn connect(&mut self) -> Result<(), CallError<B::Error>> {
        let url = self.drive.url(&format!("drive/v3/files/{}", self.file.id), &[("alt", "media")]);
        // Drive may compress what is asked for without this, and a range of that is no range of the content.
        let mut request = Request::get(Cost::Download, url)
            .moving(None)
            .header(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let rest = Span { first: self.at, end: self.span.end };
        let is_part = rest.len() < self.size;
        if is_part {
            let range = HeaderValue::try_from(format!("bytes={}-{}", rest.first, rest.end - 1));
            request = request.header(RANGE, range.expect("digits and signs of ASCII"));
        }
        let incoming = self.drive.open(&self.bearer, &request).await?;
        let field = |name| incoming.headers.get(name).and_then(|value| value.to_str().ok());
        if field(CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
            return Err(DriveError::NotAnAnswer.into());
        }
        let skip = match incoming.status {
            200 => {
                if field(CONTENT_LENGTH).is_some_and(|length| length != self.size.to_string()) {
                    return Err(DriveError::Mismatch.into());
                }
                self.at
            }
            206 if is_part => {
                let range = field(CONTENT_RANGE).and_then(ContentRange::parse);
                let Some(ContentRange { span: Some(span), size }) = range else {
                    return Err(DriveError::NotAnAnswer.into());
                };
                if span != rest || size.is_some_and(|size| size != self.size) {
                    return Err(DriveError::Mismatch.into());
                }
                0
            }
            // The part lies within the size that the metadata says.
            416 => return Err(DriveError::Mismatch.into()),
            _ => {
                let answer = incoming.whole().await.map_err(failed)?;
                return Err(self.drive.refusal(&answer, false).into());
            }
        };
        self.incoming = Some((incoming, skip));
        Ok(())
    }

    /// Counts and sums bytes that came, and checks the whole before its last ones go on.
    fn take(&mut self, mut bytes: Bytes) -> Result<Bytes, DriveError> {
        let rest = self.span.end - self.at;
        if bytes.len() as u64 > rest {
            if self.check.is_some() {
                return Err(DriveError::Mismatch);
            }
            // A server that ignored the range sends on behind its end.
            bytes.truncate(usize::try_from(rest).unwrap_or(usize::MAX));
        }
        self.at += bytes.len() as u64;
        if let Some((expected, md5)) = &mut self.check {
            md5.update(&bytes);
            if self.at == self.span.end && <[u8; 16]>::from(md5.clone().finalize()) != *expected {
                return Err(DriveError::Mismatch);
            }
        }
        if self.at == self.span.end {
            self.incoming = None;
        }
        if self.trouble.as_ref().is_some_and(|(_, place)| self.at - place >= PROGRESS) {
            self.trouble = None;
        }
        Ok(bytes)
    }
}

/// Whether two states of a file have the same content, of the same revision where both name one.
fn same_content(a: &FileKind, b: &FileKind) -> bool {
    match (a, b) {
        (
            FileKind::File { size: a_size, md5: a_md5, head_revision: a_revision, .. },
            FileKind::File { size: b_size, md5: b_md5, head_revision: b_revision, .. },
        ) => {
            let known = a_revision.as_ref().zip(b_revision.as_ref());
            a_size == b_size && a_md5 == b_md5 && known.is_none_or(|(a, b)| a == b)
        }
        _ => false,
    }
}
