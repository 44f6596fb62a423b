//! Storing content: new files and new content of old ones, checked when it has arrived.

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use url::Url;

use super::Drive;
use super::answers::{self, FILE_FIELDS, rfc3339};
use super::bearer::{Bearer, Cost};
use super::content::{Content, Sum, Window};
use super::error::{CallError, DriveError, SourceFault};
use super::file::{DriveFile, FileId, FileKind};
use super::multipart;
use super::names::MediaType;
use super::send::Request;

/// Drive means requests of up to 5 MB to be sent whole; the rest of that is left to the metadata.
const SMALL: usize = 5_000_000 - (64 << 10);

/// A file that does not exist yet.
#[derive(Clone, Debug)]
pub struct NewFile<'a> {
    /// Its id, from [`Drive::generate_ids`]: with it, making the file can be repeated.
    pub id: &'a FileId,
    /// Its name.
    pub name: &'a str,
    /// The folder it shall be in.
    pub parent: &'a FileId,
    /// The content's media type.
    pub mime_type: &'a MediaType,
    /// When the content was last changed, Unix milliseconds; the time of the upload if not given.
    pub modified_ms: Option<i64>,
}

/// New content of a file.
#[derive(Clone, Debug)]
pub struct NewContent<'a> {
    /// The content's media type.
    pub mime_type: &'a MediaType,
    /// When the content was last changed, Unix milliseconds; the time of the upload if not given.
    pub modified_ms: Option<i64>,
}

/// One upload, whichever way it goes.
pub(super) struct Upload<'a> {
    pub(super) method: Method,
    /// The path under the base.
    pub(super) path: String,
    pub(super) metadata: Value,
    pub(super) mime_type: &'a MediaType,
}

impl Drive {
    /// Makes a file. Up to 5 MB: one call; more: one, and one for each 8 MiB. 50 units.
    ///
    /// Repeating it is no mistake: a file that has this id, place and content already is returned.
    ///
    /// # Errors
    /// [`DriveError::IdInUse`] when the id is another file's, [`DriveError::Mismatch`] when something else
    /// arrived (what was made is deleted again), [`DriveError::SourceChanged`]. Else see [`CallError`].
    pub async fn create<B: Bearer>(
        &self,
        bearer: &B,
        new: &NewFile<'_>,
        content: Content,
    ) -> Result<DriveFile, CallError<B::Error>> {
        let mut metadata = metadata(new.mime_type, new.modified_ms);
        metadata["id"] = new.id.as_str().into();
        metadata["name"] = new.name.into();
        metadata["parents"] = json!([new.parent.as_str()]);
        let path = "upload/drive/v3/files".to_owned();
        let upload = Upload { method: Method::POST, path, metadata, mime_type: new.mime_type };
        let mut window = Window::new(content);
        match Box::pin(self.store(bearer, &upload, &mut window)).await {
            Err(CallError::Drive(DriveError::IdInUse)) => self.is_done(bearer, new, window).await,
            Err(error @ CallError::Drive(DriveError::Mismatch)) => {
                if let Err(left) = self.delete(bearer, new.id).await
                    && let Some(left) = left.drive().filter(|left| **left != DriveError::NotFound)
                {
                    tracing::warn!(error = %left, "a file that did not arrive whole could not be deleted again");
                }
                Err(error)
            }
            stored => stored,
        }
    }

    /// Gives a file new content. Costs as [`Drive::create`]. Repeating it is no mistake, and makes another
    /// revision.
    ///
    /// # Errors
    /// [`DriveError::Mismatch`] when something else arrived, which then is the file's content;
    /// [`DriveError::SourceChanged`]: the content is the old one. Else see [`CallError`].
    pub async fn update<B: Bearer>(
        &self,
        bearer: &B,
        id: &FileId,
        new: &NewContent<'_>,
        content: Content,
    ) -> Result<DriveFile, CallError<B::Error>> {
        let upload = Upload {
            method: Method::PATCH,
            path: format!("upload/drive/v3/files/{id}"),
            metadata: metadata(new.mime_type, new.modified_ms),
            mime_type: new.mime_type,
        };
        Box::pin(self.store(bearer, &upload, &mut Window::new(content))).await
    }

    async fn store<B: Bearer>(
        &self,
        bearer: &B,
        upload: &Upload<'_>,
        window: &mut Window,
    ) -> Result<DriveFile, CallError<B::Error>> {
        window.fill(self.0.chunk).await.map_err(broken)?;
        let stored = if window.is_last() && window.held_len() <= SMALL {
            self.store_whole(bearer, upload, window.parts()).await?
        } else {
            self.store_in_pieces(bearer, upload, window).await?
        };
        // A server that leaves out what was asked for is asked again.
        let stored = match stored.kind {
            FileKind::File { .. } => stored,
            _ => self.file(bearer, &stored.id).await?,
        };
        // Without a sum Drive called the upload complete before its end.
        let whole = window.sum().is_some_and(|sum| has(&stored, sum));
        if whole { Ok(stored) } else { Err(DriveError::Mismatch.into()) }
    }

    async fn store_whole<B: Bearer>(
        &self,
        bearer: &B,
        upload: &Upload<'_>,
        content: Vec<Bytes>,
    ) -> Result<DriveFile, CallError<B::Error>> {
        let (kind, body) = multipart::body(&self.0.rng, &upload.metadata, upload.mime_type, content);
        let url = self.upload_url(upload, "multipart");
        let request = Request::new(Cost::Edit, upload.method.clone(), url)
            .header(http::header::CONTENT_TYPE, kind)
            .moving(Some(body));
        let answer = self.call(bearer, &request).await?;
        Ok(answers::file(&answer.body)?)
    }

    pub(super) fn upload_url(&self, upload: &Upload<'_>, kind: &str) -> Url {
        self.url(&upload.path, &[("uploadType", kind), ("fields", FILE_FIELDS)])
    }

    /// The file, if what has the id is what was to be made: an attempt before, whose answer was lost, or a
    /// run before, which was killed.
    async fn is_done<B: Bearer>(
        &self,
        bearer: &B,
        new: &NewFile<'_>,
        mut window: Window,
    ) -> Result<DriveFile, CallError<B::Error>> {
        let there = self.file(bearer, new.id).await?;
        if there.is_at(new.name, new.parent) && has(&there, window.drain(self.0.chunk).await.map_err(broken)?)
        {
            Ok(there)
        } else {
            Err(DriveError::IdInUse.into())
        }
    }
}

fn metadata(mime_type: &MediaType, modified_ms: Option<i64>) -> Value {
    let mut metadata = json!({"mimeType": mime_type.as_str()});
    if let Some(ms) = modified_ms {
        metadata["modifiedTime"] = rfc3339(ms).into();
    }
    metadata
}

fn has(file: &DriveFile, sum: Sum) -> bool {
    matches!(&file.kind, FileKind::File { size, md5, .. } if *size == sum.size && *md5 == sum.md5)
}

pub(super) fn broken(fault: SourceFault) -> DriveError {
    DriveError::SourceChanged(fault)
}
