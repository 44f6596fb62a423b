//! The only module that builds HTTP clients.
//!
//! Every call locum makes has a connect limit, a total limit and a limit on the size of the answer,
//! follows no redirect (Drive's 308 is not one, and a token call must never follow one), and sends
//! a plain `User-Agent`. The TLS configuration is built once, on first use; each worker thread has
//! its own client on it, since a client's connections live on the runtime that opened them and one
//! client per thread costs less CPU than a shared one.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::HeaderMap;

/// Limits of one kind of call.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long opening a connection may take.
    pub connect: Duration,
    /// How long the whole call may take, answer included.
    pub total: Duration,
    /// The most bytes an answer's body may have.
    pub max_body: usize,
}

impl Default for Limits {
    /// 5 s to connect, 15 s in all, 1 MiB: a token answer has a few kB and takes under a second.
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), total: Duration::from_secs(15), max_body: 1 << 20 }
    }
}

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
        reqwest::Client::builder()
            .user_agent(concat!("locum/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(self.0.limits.connect)
            .timeout(self.0.limits.total)
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
        let mut response = request.send().await.map_err(classify)?;
        let limit = self.0.limits.max_body;
        let announced = response.content_length().unwrap_or(0);
        if announced > limit as u64 {
            return Err(OutboundError::TooLarge(limit));
        }
        // In one piece: what a growing body leaves behind is not wiped.
        let room = usize::try_from(announced).unwrap_or(limit);
        let mut body = zeroize::Zeroizing::new(Vec::with_capacity(room));
        while let Some(chunk) = response.chunk().await.map_err(classify)? {
            if body.len() + chunk.len() > limit {
                return Err(OutboundError::TooLarge(limit));
            }
            body.extend_from_slice(&chunk);
        }
        let status = response.status().as_u16();
        let headers = std::mem::take(response.headers_mut());
        Ok(Answer { status, headers, body })
    }
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
