//! Resumable uploads: content in pieces, of which Drive says how much it has.
//!
//! The session's address is a bearer secret: whoever has it can finish the upload. It is followed only
//! to where it belongs, the origin of the configured base.

use bytes::Bytes;
use http::header::{CONTENT_RANGE, LOCATION, RANGE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use url::Url;

use super::super::error::Outage;
use super::Drive;
use super::answers;
use super::bearer::{Bearer, Cost};
use super::content::Window;
use super::error::{CallError, DriveError};
use super::file::DriveFile;
use super::range::received;
use super::send::{Request, failed};
use super::upload::{Upload, broken};

/// How often an upload is begun again after its session was lost.
const RESTARTS: u32 = 3;

/// Where the pieces go. A secret: no `Debug`, and no error or log holds it.
struct Session {
    url: Url,
}

impl Session {
    /// What the window holds, and where it belongs.
    fn piece(&self, window: &Window) -> Request {
        let (first, last) = (window.start(), window.end() - 1);
        self.put(format!("bytes {first}-{last}/{}", total(window)), window.parts())
    }

    /// How much Drive has.
    fn ask(&self, window: &Window) -> Request {
        self.put(format!("bytes */{}", total(window)), Vec::new())
    }

    fn put(&self, range: String, body: Vec<Bytes>) -> Request {
        let range = HeaderValue::try_from(range).expect("digits, letters and signs of ASCII");
        Request::new(Cost::Nothing, Method::PUT, self.url.clone())
            .header(CONTENT_RANGE, range)
            .moving(Some(body))
    }
}

fn total(window: &Window) -> String {
    window.total().map_or_else(|| "*".to_owned(), |total| total.to_string())
}

/// What an upload has come to.
enum Reply {
    /// Finished.
    Complete(DriveFile),
    /// Drive has so many bytes from the start.
    Has(u64),
    /// The session is gone, and with it what was sent.
    Gone(DriveError),
}

impl Drive {
    /// Begins sessions until one carries the whole content.
    pub(super) async fn store_in_pieces<B: Bearer>(
        &self,
        bearer: &B,
        upload: &Upload<'_>,
        window: &mut Window,
    ) -> Result<DriveFile, CallError<B::Error>> {
        let mut restarts = 0;
        loop {
            let mut session = self.begin(bearer, upload, window.total()).await?;
            match self.carry(bearer, &mut session, window).await {
                Ok(Reply::Complete(file)) => return Ok(file),
                Ok(Reply::Gone(error)) if restarts >= RESTARTS => return Err(error.into()),
                Ok(_) => {
                    restarts += 1;
                    tracing::debug!(restarts, "an upload session is gone; beginning again");
                    window.acknowledge(0).map_err(broken)?;
                }
                Err(error) => {
                    // Drive forgets the session after a week; saying so now is a courtesy.
                    let cancel = Request::new(Cost::Nothing, Method::DELETE, session.url);
                    if matches!(error, CallError::Drive(DriveError::SourceChanged(_))) {
                        let _ = self.open(bearer, &cancel).await;
                    }
                    return Err(error);
                }
            }
        }
    }

    async fn begin<B: Bearer>(
        &self,
        bearer: &B,
        upload: &Upload<'_>,
        total: Option<u64>,
    ) -> Result<Session, CallError<B::Error>> {
        const KIND: HeaderName = HeaderName::from_static("x-upload-content-type");
        const LENGTH: HeaderName = HeaderName::from_static("x-upload-content-length");
        let kind = HeaderValue::from_str(upload.mime_type.as_str()).map_err(|_| DriveError::NotAnAnswer)?;
        let mut request =
            Request::new(Cost::Edit, upload.method.clone(), self.upload_url(upload, "resumable"))
                .json(&upload.metadata)
                .header(KIND, kind);
        if let Some(total) = total {
            request = request.header(LENGTH, total.into());
        }
        let answer = self.call(bearer, &request).await?;
        Ok(Session { url: self.location(&answer.headers)?.ok_or(DriveError::NotAnAnswer)? })
    }

    /// The session's address, if the answer names one. One that leads elsewhere is no answer of Drive's.
    fn location(&self, headers: &HeaderMap) -> Result<Option<Url>, DriveError> {
        let Some(field) = headers.get(LOCATION) else { return Ok(None) };
        let url = field.to_str().ok().and_then(|text| self.0.base.join(text).ok());
        let ours = |url: &Url| {
            url.origin() == self.0.base.origin() && url.username().is_empty() && url.password().is_none()
        };
        url.filter(ours).map(Some).ok_or(DriveError::NotAnAnswer)
    }

    /// Sends piece after piece until the upload is complete, or its session gone.
    async fn carry<B: Bearer>(
        &self,
        bearer: &B,
        session: &mut Session,
        window: &mut Window,
    ) -> Result<Reply, CallError<B::Error>> {
        let mut backoff = self.backoff();
        // What Drive has beyond doubt, and the end of what was ever sent to this session.
        let (mut has, mut sent) = (0, 0);
        let mut in_doubt = false;
        loop {
            window.fill(self.0.chunk).await.map_err(broken)?;
            let request = if in_doubt || window.held_len() == 0 {
                session.ask(window)
            } else {
                sent = sent.max(window.end());
                session.piece(window)
            };
            let error = match self.put(bearer, session, &request).await {
                Ok(Reply::Has(place)) if place > sent => return Err(DriveError::NotAnAnswer.into()),
                Ok(Reply::Has(place)) => {
                    window.acknowledge(place).map_err(broken)?;
                    let asked = std::mem::take(&mut in_doubt);
                    if place > has {
                        has = place;
                        backoff.progress();
                        continue;
                    }
                    if asked && window.held_len() > 0 {
                        continue;
                    }
                    // A piece of which nothing was kept, or everything is there and yet it is no file.
                    DriveError::Unavailable { retry_after: None, what: Outage::ServerError(308) }
                }
                Ok(settled) => return Ok(settled),
                Err(CallError::Drive(error)) => {
                    in_doubt = true;
                    error
                }
                Err(error) => return Err(error),
            };
            if !backoff.pause(&error).await {
                return Err(error.into());
            }
        }
    }

    /// One request of the session, and what Drive says to it.
    async fn put<B: Bearer>(
        &self,
        bearer: &B,
        session: &mut Session,
        request: &Request,
    ) -> Result<Reply, CallError<B::Error>> {
        let answer = self.open(bearer, request).await?.whole().await.map_err(failed)?;
        match answer.status {
            200 | 201 => Ok(Reply::Complete(answers::file(&answer.body)?)),
            308 => {
                if let Some(url) = self.location(&answer.headers)? {
                    session.url = url;
                }
                let Some(field) = answer.headers.get(RANGE) else { return Ok(Reply::Has(0)) };
                let place = field.to_str().ok().and_then(received);
                Ok(Reply::Has(place.ok_or(DriveError::NotAnAnswer)?))
            }
            404 | 410 => {
                let what = Outage::ServerError(answer.status);
                Ok(Reply::Gone(DriveError::Unavailable { retry_after: None, what }))
            }
            _ => match self.refusal(&answer, false) {
                // A plain "bad request": what was sent cannot be mended, another session may go well.
                error @ (DriveError::Refused { .. }
                | DriveError::RangeNotSatisfiable { .. }
                | DriveError::IdInUse
                | DriveError::Unavailable { what: Outage::Unintelligible(_), .. }) => Ok(Reply::Gone(error)),
                error => Err(error.into()),
            },
        }
    }
}
