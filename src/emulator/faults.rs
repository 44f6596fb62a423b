//! Scripted faults: what an endpoint does instead of, or around, its proper answer.
//!
//! Faults queue up per endpoint and are used in the order they were added. A fault on
//! [`Endpoint::Token`] meets every request there; [`Endpoint::Exchange`] and [`Endpoint::Refresh`]
//! meet only theirs, and go first. Holding a request is how a test makes concurrency certain without
//! waiting for time to pass.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::drive::{DriveReason, DriveRefusal};
use super::holds::{Gate, Hold};
use serde::{Deserialize, Serialize};

/// Where a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// The token endpoint, whatever the grant type.
    Token,
    /// The token endpoint with `grant_type=authorization_code`.
    Exchange,
    /// The token endpoint with `grant_type=refresh_token`.
    Refresh,
    /// The token endpoint with a device code.
    DevicePoll,
    /// The revocation endpoint.
    Revoke,
    /// The signing keys, both forms.
    Jwks,
    /// The discovery document.
    Discovery,
    /// Userinfo.
    Userinfo,
    /// Tokeninfo.
    Tokeninfo,
    /// The request for a device code.
    Device,
    /// The authorization page.
    Authorize,
    /// Drive, whatever the call.
    Drive,
    /// A page of a listing.
    DriveList,
    /// The metadata of a file.
    DriveGet,
    /// The content of a file.
    DriveDownload,
    /// A creation without content: a folder or an empty file.
    DriveCreate,
    /// A change of metadata alone.
    DriveUpdate,
    /// Content with `uploadType=media` or `multipart`.
    DriveUpload,
    /// The start of a resumable upload.
    DriveStart,
    /// Content for a resumable upload.
    DriveChunk,
    /// The question how far a resumable upload has come.
    DriveStatus,
    /// The end of a resumable upload by its caller.
    DriveCancel,
    /// A deletion.
    DriveDelete,
    /// New ids.
    DriveIds,
    /// The start page token.
    DriveStartToken,
    /// A page of changes.
    DriveChanges,
    /// `about`.
    DriveAbout,
}

/// What happens to a request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Waits, then carries on as usual.
    Delay(Duration),
    /// Waits until released, then carries on as usual. Made by [`Faults::hold`].
    Hold(Gate),
    /// Carries the request out, and keeps the answer back until released. Made by [`Faults::hold_answer`].
    HoldAnswer(Gate),
    /// Closes the connection without doing or answering anything.
    Drop,
    /// Carries the request out, then closes the connection without an answer.
    DropAfterDoing,
    /// Does nothing and answers this.
    Status {
        /// The HTTP status.
        code: u16,
        /// The body as it is.
        body: String,
        /// Header fields, for example `("Retry-After", "7")`. `Content-Type` is `application/json`
        /// unless one is given.
        headers: Vec<(String, String)>,
    },
    /// Carries the request out and answers with the first half of the true body.
    Malformed,
    /// Does nothing and answers a page of HTML with this status, as a proxy in between does.
    Html(u16),
    /// Does nothing and answers 200 with a JSON text of this many bytes, sent in chunks.
    Huge(usize),
    /// Carries the request out and sends the true answer in pieces.
    SlowDrip {
        /// Bytes in a piece, at least 1.
        piece: usize,
        /// Wait before each piece.
        every: Duration,
    },
    /// Does nothing and answers an OAuth error as Google words them.
    OAuthError {
        /// The HTTP status.
        status: u16,
        /// `error`.
        error: String,
        /// `error_description`.
        description: Option<String>,
        /// `error_subtype`, for example `invalid_rapt`.
        subtype: Option<String>,
    },
    /// Does nothing and answers a refusal of Drive, in its own words. A refused page token
    /// ([`DriveReason::Invalid`]) meets only requests that carry one.
    Drive(DriveRefusal),
    /// Keeps the content of an upload up to this byte of the whole, then breaks the connection. A resumable
    /// upload waits for the request that brings the byte; a multipart upload keeps nothing.
    CutUpload {
        /// How many bytes of the content are kept.
        at: u64,
    },
    /// Drops what a resumable upload brings from this byte on, and says so: 308 with what is kept.
    KeepUpTo {
        /// How many bytes of the content are kept.
        at: u64,
    },
    /// Forgets the resumable upload that the request belongs to: 404.
    ForgetUpload,
    /// Breaks the connection of a download before this byte of the file.
    CutDownload {
        /// How many bytes of the content are sent.
        at: u64,
    },
    /// Sends one byte of a file wrong, so that its checksum does not match.
    FlipByte {
        /// Which byte of the content.
        at: u64,
    },
}

impl Fault {
    /// A bare status with an empty JSON object.
    pub fn status(code: u16) -> Self {
        Self::Status { code, body: "{}".to_owned(), headers: Vec::new() }
    }

    /// A status with `Retry-After` in seconds.
    pub fn retry_after(code: u16, seconds: u64) -> Self {
        let headers = vec![("Retry-After".to_owned(), seconds.to_string())];
        Self::Status { code, body: r#"{"error":"temporarily_unavailable"}"#.to_owned(), headers }
    }

    /// A refusal of Drive with its usual status and words.
    pub fn drive(reason: DriveReason) -> Self {
        Self::Drive(reason.into())
    }

    /// Whether it answers instead of the endpoint.
    pub(super) const fn answers(&self) -> bool {
        matches!(
            self,
            Self::Status { .. } | Self::Html(_) | Self::Huge(_) | Self::OAuthError { .. } | Self::Drive(_)
        )
    }

    /// Whether it changes what becomes of content, which only the endpoint itself can do.
    pub(super) const fn is_of_content(&self) -> bool {
        matches!(
            self,
            Self::CutUpload { .. }
                | Self::KeepUpTo { .. }
                | Self::ForgetUpload
                | Self::CutDownload { .. }
                | Self::FlipByte { .. }
        )
    }

    /// An OAuth error.
    pub fn oauth(status: u16, error: &str, description: &str) -> Self {
        let description = Some(description.to_owned());
        Self::OAuthError { status, error: error.to_owned(), description, subtype: None }
    }
}

#[derive(Debug)]
struct Scripted {
    fault: Fault,
    /// `None` until cleared.
    left: Option<usize>,
}

/// The scripts of all endpoints.
#[derive(Debug, Default)]
pub struct Faults {
    queues: Mutex<HashMap<Endpoint, VecDeque<Scripted>>>,
    /// Kept beside the queues so that requests without faults need no lock.
    scripted: AtomicUsize,
}

impl Faults {
    fn queues(&self) -> MutexGuard<'_, HashMap<Endpoint, VecDeque<Scripted>>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, endpoint: Endpoint, fault: Fault, left: Option<usize>) {
        if left == Some(0) {
            return;
        }
        self.queues().entry(endpoint).or_default().push_back(Scripted { fault, left });
        self.scripted.fetch_add(1, Ordering::SeqCst);
    }

    /// The next request at `endpoint` meets `fault`.
    pub fn once(&self, endpoint: Endpoint, fault: Fault) {
        self.add(endpoint, fault, Some(1));
    }

    /// The next `n` requests at `endpoint` meet `fault`.
    pub fn times(&self, n: usize, endpoint: Endpoint, fault: Fault) {
        self.add(endpoint, fault, Some(n));
    }

    /// Every request at `endpoint` meets `fault` until [`Faults::clear`].
    pub fn until_cleared(&self, endpoint: Endpoint, fault: Fault) {
        self.add(endpoint, fault, None);
    }

    /// Holds every request at `endpoint` before it is carried out, until the handle releases.
    pub fn hold(&self, endpoint: Endpoint) -> Hold {
        let (hold, gate) = Hold::pair();
        self.until_cleared(endpoint, Fault::Hold(gate));
        hold
    }

    /// Carries every request at `endpoint` out and keeps its answer back until the handle releases.
    pub fn hold_answer(&self, endpoint: Endpoint) -> Hold {
        let (hold, gate) = Hold::pair();
        self.until_cleared(endpoint, Fault::HoldAnswer(gate));
        hold
    }

    /// Forgets the faults of one endpoint. Requests already held stay held.
    pub fn clear(&self, endpoint: Endpoint) {
        let removed = self.queues().remove(&endpoint).map_or(0, |queue| queue.len());
        self.scripted.fetch_sub(removed, Ordering::SeqCst);
    }

    /// Forgets every fault.
    pub fn clear_all(&self) {
        let removed: usize = std::mem::take(&mut *self.queues()).values().map(VecDeque::len).sum();
        self.scripted.fetch_sub(removed, Ordering::SeqCst);
    }

    /// How many faults are scripted and not yet used up, per endpoint.
    pub fn pending(&self) -> Vec<(Endpoint, usize)> {
        self.queues()
            .iter()
            .map(|(endpoint, queue)| (*endpoint, queue.len()))
            .filter(|(_, n)| *n > 0)
            .collect()
    }

    /// What the request now arriving meets; the first of `endpoints` with a fault decides.
    pub(super) fn take(&self, endpoints: &[Endpoint]) -> Option<Fault> {
        self.take_where(endpoints, |fault| !fault.is_of_content())
    }

    /// The same for a fault that fits the request. One that does not stays where it is, and keeps those
    /// behind it waiting.
    pub(super) fn take_where(&self, endpoints: &[Endpoint], fits: impl Fn(&Fault) -> bool) -> Option<Fault> {
        if self.scripted.load(Ordering::SeqCst) == 0 {
            return None;
        }
        let mut queues = self.queues();
        for endpoint in endpoints {
            let Some(queue) = queues.get_mut(endpoint) else { continue };
            let Some(front) = queue.front_mut().filter(|front| fits(&front.fault)) else { continue };
            let fault = front.fault.clone();
            if let Some(left) = &mut front.left {
                *left -= 1;
                if *left == 0 {
                    queue.pop_front();
                    self.scripted.fetch_sub(1, Ordering::SeqCst);
                }
            }
            return Some(fault);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(fault: Option<Fault>) -> Option<u16> {
        match fault {
            Some(Fault::Status { code, .. }) => Some(code),
            _ => None,
        }
    }

    #[test]
    fn faults_come_in_order_and_run_out() {
        let faults = Faults::default();
        faults.once(Endpoint::Token, Fault::status(500));
        faults.times(2, Endpoint::Token, Fault::status(429));
        faults.once(Endpoint::Refresh, Fault::status(503));
        faults.times(0, Endpoint::Token, Fault::status(418));
        let refresh = [Endpoint::Refresh, Endpoint::Token];
        let seen: Vec<_> = (0..5).map(|_| code(faults.take(&refresh))).collect();
        assert_eq!(seen, [Some(503), Some(500), Some(429), Some(429), None]);
        assert!(faults.pending().is_empty());
    }

    #[test]
    fn a_lasting_fault_ends_when_cleared() {
        let faults = Faults::default();
        faults.until_cleared(Endpoint::Jwks, Fault::status(503));
        assert!((0..10).all(|_| code(faults.take(&[Endpoint::Jwks])) == Some(503)));
        assert!(faults.take(&[Endpoint::Revoke]).is_none());
        faults.clear(Endpoint::Jwks);
        assert!(faults.take(&[Endpoint::Jwks]).is_none());
    }

    #[tokio::test]
    async fn a_hold_counts_and_releases() {
        let faults = Faults::default();
        let hold = faults.hold(Endpoint::Refresh);
        let Some(Fault::Hold(gate)) = faults.take(&[Endpoint::Refresh]) else { panic!("held") };
        let mut held = Box::pin(gate.pass());
        assert!(futures_util::poll!(held.as_mut()).is_pending());
        hold.reached(1).await;
        assert_eq!(hold.waiting(), 1);
        hold.release();
        held.await;
        assert_eq!(hold.waiting(), 0);
        drop(hold);
        gate.pass().await;
    }
}
