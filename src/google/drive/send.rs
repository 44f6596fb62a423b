//! Sending one request: with a token, with a second one after a 401, and again after an outage.

use std::time::Duration;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use url::Url;

use super::super::error::Outage;
use super::super::freshness;
use super::bearer::{Bearer, Cost};
use super::classify::classify;
use super::error::{CallError, DriveError};
use super::{Drive, PageToken};
use crate::clock::Stopwatch;
use crate::outbound::{Answer, Incoming, Outbound, OutboundError};
use crate::secret::AccessToken;

/// The longest pause before another attempt that Google's formula gives.
const MAX_PAUSE: Duration = Duration::from_secs(32);

/// How long an outage of Drive's is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Somebody waits for the answer: up to four repeats, none of which begins later than 20 s after the
    /// first attempt.
    Caller,
    /// Nobody waits: up to eight repeats within three minutes.
    Background,
}

impl Patience {
    const fn repeats(self) -> u32 {
        match self {
            Self::Caller => 4,
            Self::Background => 8,
        }
    }

    const fn window(self) -> Duration {
        match self {
            Self::Caller => Duration::from_secs(20),
            Self::Background => Duration::from_secs(180),
        }
    }
}

/// One request, which can be sent any number of times.
#[derive(Clone)]
pub(super) struct Request {
    pub(super) cost: Cost,
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Option<Vec<Bytes>>,
    /// Whether content moves, so that only its standing still is limited.
    moving: bool,
    paged: bool,
}

impl Request {
    pub(super) fn new(cost: Cost, method: Method, url: Url) -> Self {
        Self { cost, method, url, headers: HeaderMap::new(), body: None, moving: false, paged: false }
    }

    pub(super) fn get(cost: Cost, url: Url) -> Self {
        Self::new(cost, Method::GET, url)
    }

    pub(super) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// With a page token, if there is one. A 400 may then be about it.
    pub(super) fn page(mut self, token: Option<&PageToken>) -> Self {
        if let Some(PageToken(token)) = token {
            self.url.query_pairs_mut().append_pair("pageToken", token);
            self.paged = true;
        }
        self
    }

    pub(super) fn json(self, body: &serde_json::Value) -> Self {
        let body = Bytes::from(body.to_string());
        let kind = HeaderValue::from_static("application/json; charset=UTF-8");
        Self { body: Some(vec![body]), ..self }.header(http::header::CONTENT_TYPE, kind)
    }

    /// With content as its body, or for content as its answer.
    pub(super) fn moving(self, body: Option<Vec<Bytes>>) -> Self {
        Self { body, moving: true, ..self }
    }
}

/// Why a request that may have been sent several times failed.
pub(super) struct Failure<E> {
    pub(super) error: CallError<E>,
    /// Whether an earlier attempt may have been carried out all the same.
    pub(super) doubtful: bool,
}

impl<E> From<Failure<E>> for CallError<E> {
    fn from(failure: Failure<E>) -> Self {
        failure.error
    }
}

impl Drive {
    /// Sends `request`, and again after an outage that a moment may cure. `Ok` is an answer with a success
    /// status. Only for requests that may be carried out twice.
    pub(super) async fn call<B: Bearer>(
        &self,
        bearer: &B,
        request: &Request,
    ) -> Result<Answer, Failure<B::Error>> {
        let mut backoff = self.backoff();
        let mut doubtful = false;
        loop {
            let error = match self.once(bearer, request).await {
                Ok(answer) => return Ok(answer),
                Err(CallError::Drive(error)) => error,
                Err(error) => return Err(Failure { error, doubtful }),
            };
            let may_be_done = matches!(
                &error,
                DriveError::Unavailable { what, .. } if !matches!(what, Outage::Unreachable { .. })
            );
            if !backoff.pause(&error).await {
                return Err(Failure { error: error.into(), doubtful });
            }
            doubtful |= may_be_done;
        }
    }

    /// One attempt, and a second one with a fresh token if Drive refuses the first token. `Ok` is a whole
    /// answer with a success status.
    pub(super) async fn once<B: Bearer>(
        &self,
        bearer: &B,
        request: &Request,
    ) -> Result<Answer, CallError<B::Error>> {
        let incoming = self.open(bearer, request).await?;
        let answer = incoming.whole().await.map_err(failed)?;
        match answer.status {
            200..=299 => Ok(answer),
            _ => Err(self.refusal(&answer, request.paged).into()),
        }
    }

    /// As [`Drive::once`], but any status is `Ok` and the body is still to come.
    pub(super) async fn open<B: Bearer>(
        &self,
        bearer: &B,
        request: &Request,
    ) -> Result<Incoming, CallError<B::Error>> {
        let token = bearer.token(None).await.map_err(CallError::Token)?;
        let incoming = self.send(bearer, &token, request).await?;
        if incoming.status != 401 {
            return Ok(incoming);
        }
        drop(incoming);
        let fresh = bearer.token(Some(&token)).await.map_err(CallError::Token)?;
        let incoming = self.send(bearer, &fresh, request).await?;
        if incoming.status == 401 { Err(DriveError::TokenRefused.into()) } else { Ok(incoming) }
    }

    async fn send<B: Bearer>(
        &self,
        bearer: &B,
        token: &AccessToken,
        request: &Request,
    ) -> Result<Incoming, CallError<B::Error>> {
        let outbound: &Outbound = if request.moving { &self.0.moving } else { &self.0.calls };
        let client = outbound.client().map_err(failed)?;
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
            .map_err(|_| DriveError::TokenRefused)?;
        authorization.set_sensitive(true);
        let builder = client
            .request(request.method.clone(), request.url.clone())
            .headers(request.headers.clone())
            .header(AUTHORIZATION, authorization);
        bearer.spent(request.cost);
        Ok(outbound.open(builder, request.body.clone()).await.map_err(failed)?)
    }

    /// What an answer that is no success means.
    pub(super) fn refusal(&self, answer: &Answer, paged: bool) -> DriveError {
        let retry_after = freshness::retry_after(&answer.headers, self.0.clock.now());
        classify(answer.status, &answer.headers, &answer.body, retry_after, paged)
    }

    pub(super) fn backoff(&self) -> Backoff {
        Backoff {
            drive: self.clone(),
            stopwatch: self.0.clock.stopwatch(),
            waited: Duration::ZERO,
            attempt: 0,
        }
    }
}

/// Pauses between the attempts of one operation, until patience runs out.
pub(super) struct Backoff {
    drive: Drive,
    stopwatch: Stopwatch,
    waited: Duration,
    attempt: u32,
}

impl Backoff {
    /// Waits before another attempt. `false`, at once, when there should be none.
    pub(super) async fn pause(&mut self, error: &DriveError) -> bool {
        let Some(pause) = self.next(error) else { return false };
        tracing::debug!(attempt = self.attempt, %error, "asking Drive again");
        self.drive.0.clock.sleep(pause).await;
        self.attempt += 1;
        self.waited += pause;
        true
    }

    /// Something moved: the next outage is waited for as the first was.
    pub(super) fn progress(&mut self) {
        *self = self.drive.backoff();
    }

    /// Google's formula, `min(2^n s + up to 1 s, 32 s)`, or what Drive asks for if that is longer.
    fn next(&self, error: &DriveError) -> Option<Duration> {
        let retry_after = match error {
            // A redirect does not go away.
            DriveError::Unavailable { what: Outage::Redirected(_), .. } => return None,
            DriveError::Unavailable { retry_after, .. } | DriveError::RateLimited { retry_after } => {
                retry_after.unwrap_or_default()
            }
            _ => return None,
        };
        let patience = self.drive.0.patience;
        if self.attempt >= patience.repeats() {
            return None;
        }
        let step = Duration::from_secs(1 << self.attempt.min(10));
        let pause = (step + self.drive.0.rng.jitter(Duration::from_secs(1))).min(MAX_PAUSE).max(retry_after);
        // A manual clock does not sleep, so what was waited is counted too.
        let passed = self.stopwatch.elapsed().max(self.waited);
        (passed + pause <= patience.window()).then_some(pause)
    }
}

/// No answer, or no whole one.
pub(super) fn failed(error: OutboundError) -> DriveError {
    let what = match error {
        OutboundError::Connect(reason) | OutboundError::Tls(reason) => Outage::Unreachable { reason },
        OutboundError::Timeout => Outage::TimedOut,
        OutboundError::Broken => Outage::ConnectionBroke,
        OutboundError::TooLarge(_) => return DriveError::NotAnAnswer,
    };
    DriveError::Unavailable { retry_after: None, what }
}
