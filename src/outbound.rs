//! The only module that builds HTTP clients.
//!
//! Every call locum makes has a connect limit, a limit in time and a limit on the size of an answer
//! that is held whole, follows no redirect (Drive's 308 is not one, and a token call must never follow
//! one), and sends a plain `User-Agent`. A call that moves content has a limit on its pauses instead
//! of one on the whole: a gigabyte takes as long as it takes, and a line on which nothing moves is dead. The TLS configuration is built once, on first use; each worker thread has
//! its own client on it, since a client's connections live on the runtime that opened them and one
//! client per thread costs less CPU than a shared one.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_LENGTH;

use crate::secret;

/// Limits of one kind of call.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long opening a connection may take.
    pub connect: Duration,
    /// How long the call may take.
    pub time: TimeLimit,
    /// The most bytes the body of an answer may have that is held whole.
    pub max_body: usize,
}

/// How long a call may take.
#[derive(Clone, Copy, Debug)]
pub enum TimeLimit {
    /// So long in all, answer included.
    Whole(Duration),
    /// As long as it takes, but no longer than this without a byte that moves in either direction.
    Idle(Duration),
}

impl Default for Limits {
    /// 5 s to connect, 15 s in all, 1 MiB: a token answer has a few kB and takes under a second.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            time: TimeLimit::Whole(Duration::from_secs(15)),
            max_body: 1 << 20,
        }
    }
}

impl Limits {
    /// For calls that move content: 60 s without a byte end them. Drive takes some tens of seconds to
    /// answer the last piece of a large upload.
    pub const fn moving(connect: Duration) -> Self {
        Self { connect, time: TimeLimit::Idle(Duration::from_secs(60)), max_body: 1 << 20 }
    }
}

/// The pieces a body is given to the connection in. Each that is taken shows that the line is alive.
const PIECE: usize = 64 << 10;

/// A complete answer within the limits. `Debug` leaves the body out: it may hold tokens.
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The header fields.
    pub headers: HeaderMap,
    /// The whole body, wiped when dropped.
    pub body: zeroize::Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").field("status", &self.status).finish_non_exhaustive()
    }
}

/// Why there is no complete answer. No message holds a URL, a header or a body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutboundError {
    /// Nothing was sent: the name did not resolve, the connection or its TLS failed.
    #[error("could not connect: {0}")]
    Connect(String),
    /// The time limit passed. The request may have been carried out.
    #[error("no complete answer within the time limit")]
    Timeout,
    /// The connection broke. The request may have been carried out.
    #[error("the connection broke before the answer was complete")]
    Broken,
    /// The body is larger than the limit.
    #[error("the answer is larger than the limit of {0} bytes")]
    TooLarge(usize),
    /// The machine offers no usable TLS trust store.
    #[error("TLS could not be set up: {0}")]
    Tls(String),
}

impl OutboundError {
    /// Whether the other side certainly did not receive the request.
    pub const fn nothing_was_sent(&self) -> bool {
        matches!(self, Self::Connect(_) | Self::Tls(_))
    }
}

/// Builds and keeps the HTTP clients for one set of limits. Cheap to clone.
#[derive(Clone)]
pub struct Outbound(Arc<Inner>);

struct Inner {
    id: u64,
    limits: Limits,
    tls: Mutex<Option<rustls::ClientConfig>>,
}

thread_local! {
    static CLIENTS: RefCell<HashMap<u64, reqwest::Client>> = RefCell::new(HashMap::new());
}

impl std::fmt::Debug for Outbound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Outbound").field(&self.0.limits).finish()
    }
}

impl Outbound {
    /// Clients with these limits. Nothing is built until the first call.
    pub fn new(limits: Limits) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(Arc::new(Inner { id, limits, tls: Mutex::new(None) }))
    }

    /// This thread's client.
    ///
    /// # Errors
    /// [`OutboundError::Tls`] when the machine's trust store cannot be read.
    pub fn client(&self) -> Result<reqwest::Client, OutboundError> {
        CLIENTS.with(|clients| {
            if let Some(client) = clients.borrow().get(&self.0.id) {
                return Ok(client.clone());
            }
            let client = self
                .builder()
                .tls_backend_preconfigured(self.tls()?)
                .build()
                .map_err(|error| OutboundError::Tls(error.to_string()))?;
            clients.borrow_mut().insert(self.0.id, client.clone());
            Ok(client)
        })
    }

    /// A client that speaks to a unix socket, whatever host its URLs name. It trusts nobody over TLS:
    /// a socket of this machine never speaks it, and a machine without certificates has sockets too.
    ///
    /// # Errors
    /// [`OutboundError::Tls`] when the client cannot be built.
    #[cfg(unix)]
    pub fn unix_client(&self, socket: &std::path::Path) -> Result<reqwest::Client, OutboundError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| OutboundError::Tls(error.to_string()))?
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        self.builder()
            .tls_backend_preconfigured(tls)
            .unix_socket(socket)
            .build()
            .map_err(|error| OutboundError::Tls(error.to_string()))
    }

    fn builder(&self) -> reqwest::ClientBuilder {
        #[expect(clippy::disallowed_methods, reason = "the one place that builds clients")]
        let builder = reqwest::Client::builder();
        let builder = match self.0.limits.time {
            TimeLimit::Whole(limit) => builder.timeout(limit),
            TimeLimit::Idle(_) => builder,
        };
        builder
            .user_agent(concat!("locum/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(self.0.limits.connect)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
    }

    fn tls(&self) -> Result<rustls::ClientConfig, OutboundError> {
        use rustls_platform_verifier::BuilderVerifierExt;

        let mut built = self.0.tls.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(config) = &*built {
            return Ok(config.clone());
        }
        let tls = |error: rustls::Error| OutboundError::Tls(error.to_string());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(BuilderVerifierExt::with_platform_verifier)
            .map_err(tls)?
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(built.insert(config).clone())
    }

    /// Sends `request` and reads the whole answer within the limits.
    ///
    /// # Errors
    /// See [`OutboundError`]; an HTTP error status is an answer, not an error.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> Result<Answer, OutboundError> {
        self.open(request, None).await?.whole().await
    }

    /// Sends `request`, with the pieces of `body` one after the other as its body if given, and returns
    /// as soon as the head of the answer is here.
    ///
    /// # Errors
    /// As [`Outbound::send`].
    pub async fn open(
        &self,
        mut request: reqwest::RequestBuilder,
        body: Option<Vec<Bytes>>,
    ) -> Result<Incoming, OutboundError> {
        let taken = Arc::new(AtomicU64::new(0));
        if let Some(parts) = body {
            let length: usize = parts.iter().map(Bytes::len).sum();
            request = request.header(CONTENT_LENGTH, length).body(outgoing(parts, taken.clone()));
        }
        let limits = self.0.limits;
        let response = match limits.time {
            TimeLimit::Whole(_) => request.send().await,
            TimeLimit::Idle(idle) => {
                let mut sending = Box::pin(request.send());
                let mut seen = 0;
                loop {
                    if let Ok(answered) = tokio::time::timeout(idle, &mut sending).await {
                        break answered;
                    }
                    let moved = taken.load(Ordering::Relaxed);
                    if moved == seen {
                        return Err(OutboundError::Timeout);
                    }
                    seen = moved;
                }
            }
        };
        let mut response = response.map_err(classify)?;
        let status = response.status().as_u16();
        let headers = std::mem::take(response.headers_mut());
        Ok(Incoming { status, headers, response, limits })
    }
}

/// An answer whose body is still on its way. `Debug` leaves header fields and body out.
pub struct Incoming {
    /// The HTTP status.
    pub status: u16,
    /// The header fields.
    pub headers: HeaderMap,
    response: reqwest::Response,
    limits: Limits,
}

impl std::fmt::Debug for Incoming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Incoming").field("status", &self.status).finish_non_exhaustive()
    }
}

impl Incoming {
    /// The next bytes of the body; `None` at its end.
    ///
    /// # Errors
    /// [`OutboundError::Timeout`] when the limits have passed, [`OutboundError::Broken`] when the body ends
    /// before its end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, OutboundError> {
        let chunk = self.response.chunk();
        let chunk = match self.limits.time {
            TimeLimit::Whole(_) => chunk.await,
            TimeLimit::Idle(idle) => {
                tokio::time::timeout(idle, chunk).await.map_err(|_| OutboundError::Timeout)?
            }
        };
        chunk.map_err(classify)
    }

    /// The whole answer.
    ///
    /// # Errors
    /// As [`Incoming::chunk`], and [`OutboundError::TooLarge`].
    pub async fn whole(mut self) -> Result<Answer, OutboundError> {
        let limit = self.limits.max_body;
        let announced = self.response.content_length().unwrap_or(0);
        if announced > limit as u64 {
            return Err(OutboundError::TooLarge(limit));
        }
        let room = usize::try_from(announced).unwrap_or(limit);
        let mut body = zeroize::Zeroizing::new(Vec::with_capacity(room));
        while let Some(chunk) = self.chunk().await? {
            if body.len() + chunk.len() > limit {
                return Err(OutboundError::TooLarge(limit));
            }
            secret::append(&mut body, &chunk);
        }
        Ok(Answer { status: self.status, headers: self.headers, body })
    }
}

/// A body of these parts, in small pieces, counting those that the connection has taken.
fn outgoing(parts: Vec<Bytes>, taken: Arc<AtomicU64>) -> reqwest::Body {
    let pieces = parts.into_iter().flat_map(|mut part| {
        std::iter::from_fn(move || (!part.is_empty()).then(|| part.split_to(part.len().min(PIECE))))
    });
    reqwest::Body::wrap_stream(futures_util::stream::iter(pieces.map(move |piece| {
        taken.fetch_add(1, Ordering::Relaxed);
        Ok::<_, std::convert::Infallible>(piece)
    })))
}

#[expect(clippy::needless_pass_by_value, reason = "used as a map_err argument")]
fn classify(error: reqwest::Error) -> OutboundError {
    if error.is_connect() {
        // The innermost source is the operating system's or rustls' own sentence, without the URL.
        let mut cause: &dyn std::error::Error = &error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        OutboundError::Connect(cause.to_string())
    } else if error.is_timeout() {
        OutboundError::Timeout
    } else {
        OutboundError::Broken
    }
}

#[cfg(test)]
mod tests;
