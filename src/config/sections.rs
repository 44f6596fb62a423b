//! The sections of the configuration, as everything else sees them: parsed, checked, defaults filled in.
//!
//! The keys, their kinds and defaults are in [`super::keys`]; how a section is read from the layers is
//! in [`super::read`]. Nothing here holds text that still has to be parsed.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use url::Url;

use super::return_to::AllowedReturn;
use super::secret_source::RootKeySource;
use crate::ids::{ClientName, Email, UserRef};
use crate::telemetry::LogFormat;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// An address and port; port 0 lets the system choose.
    Tcp(SocketAddr),
    /// A unix socket, written `unix:/path`.
    Unix(PathBuf),
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// The text is neither `ADDRESS:PORT` nor `unix:/PATH`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither ADDRESS:PORT nor unix:/PATH")]
pub struct InvalidListen;

impl FromStr for Listen {
    type Err = InvalidListen;

    fn from_str(text: &str) -> Result<Self, InvalidListen> {
        match text.strip_prefix("unix:") {
            Some(path) if path.starts_with('/') => Ok(Self::Unix(path.into())),
            Some(_) => Err(InvalidListen),
            None => text.parse().map(Self::Tcp).map_err(|_| InvalidListen),
        }
    }
}

impl Listen {
    /// Whether only programs on this machine can reach it.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

/// `[server]`: the listener and its limits.
#[derive(Clone, Debug)]
pub struct Server {
    /// Where apps and programs reach locum.
    pub listen: Listen,
    /// The address apps use, as seen from outside: `https`, or `http` on loopback. No trailing slash in
    /// its text form is relied on; join with segments.
    pub public_url: Option<Url>,
    /// The unix socket on which commands reach a running server.
    pub admin_socket: PathBuf,
    /// Networks whose `X-Forwarded-*` headers count.
    pub trusted_proxies: Vec<IpNet>,
    /// Origins that browsers may call from, `https://app.example.org`; empty is off.
    pub cors_origins: Vec<String>,
    /// Worker threads; `None` is one for each core.
    pub workers: Option<usize>,
    /// How long a stop waits for what is under way.
    pub shutdown_timeout: Duration,
    /// The most bytes a request's body may have.
    pub max_body: usize,
    /// How long a client may take to send the head of a request.
    pub header_timeout: Duration,
    /// How long a client may take to send the body of a request.
    pub body_timeout: Duration,
    /// How long an idle connection is kept.
    pub keep_alive: Duration,
    /// The most open connections for each worker.
    pub max_connections: usize,
}

impl Server {
    /// The public address of a route, where there is a public address.
    pub fn public_route(&self, segments: &[&str]) -> Option<Url> {
        let mut url = self.public_url.clone()?;
        url.path_segments_mut().ok()?.pop_if_empty().extend(segments);
        Some(url)
    }

    /// Where Google sends the browser back to after locum's own sign-in: to be registered at Google as
    /// authorized redirect URI, byte for byte.
    pub fn sign_in_callback(&self) -> Option<Url> {
        self.public_route(&["v1", "sign-in", "callback"])
    }
}

/// `[google]`: the provider and the limits of calls to it.
#[derive(Clone, Debug)]
pub struct GoogleSection {
    /// The `iss` that ID tokens must carry: `https`, or `http` on loopback; never a trailing slash.
    pub issuer: String,
    /// Where the discovery document is; `{issuer}/.well-known/openid-configuration` unless given.
    pub discovery_url: Url,
    /// Where the Drive API is: `drive/v3` and `upload/drive/v3` are below it.
    pub drive_url: Url,
    /// How long opening a connection may take.
    pub connect_timeout: Duration,
    /// How long a whole call may take.
    pub timeout: Duration,
}

impl GoogleSection {
    /// Google's own issuer, the default.
    pub const GOOGLE: &str = "https://accounts.google.com";

    /// Whether the provider is on this machine: the emulator, or a test's own.
    pub fn is_loopback(&self) -> bool {
        super::values::is_loopback(&self.discovery_url)
    }
}

/// `[vault]`: the database file and the key that opens it.
#[derive(Clone, Debug)]
pub struct VaultSection {
    /// The database file.
    pub path: PathBuf,
    /// Where the root key comes from; nothing has been read from there yet.
    pub root_key: RootKeySource,
}

/// `[tokens]`: how access tokens are kept fresh.
#[derive(Clone, Copy, Debug)]
pub struct TokensSection {
    /// How long before its end the token of a grant in use is refreshed.
    pub refresh_ahead: Duration,
    /// How long a refresh token may lie unused before it is refreshed for its own sake.
    pub keep_alive: Duration,
    /// The most memory that cached access tokens may take, in bytes.
    pub cache_bytes: u64,
    /// How many refreshes may be under way at Google at one time.
    pub concurrent_refreshes: usize,
}

impl TokensSection {
    /// How many seconds before its end a token is refreshed that lives for so many from first to last: one that
    /// lives shorter than twice `refresh_ahead`, in the second half of its life.
    pub fn ahead(&self, lifetime: i64) -> i64 {
        i64::try_from(self.refresh_ahead.as_secs()).unwrap_or(i64::MAX).min(lifetime / 2)
    }
}

/// `[sessions]`: locum's own session tokens for apps' users.
#[derive(Clone, Copy, Debug)]
pub struct SessionsSection {
    /// How long a session token is good for.
    pub lifetime: Duration,
}

/// `[app_data]`: people's app data in Drive.
#[derive(Clone, Copy, Debug)]
pub struct AppDataSection {
    /// The most bytes that a file written through locum may have.
    pub max_bytes: u64,
}

/// `[sign_in]`: signing in by a browser.
#[derive(Clone, Debug)]
pub struct SignInSection {
    /// Where browsers may be sent back to.
    pub return_to: Vec<AllowedReturn>,
}

/// `[dashboard]`: the owner's way into the dashboard.
#[derive(Clone, Debug)]
pub struct DashboardSection {
    /// Google accounts that are the owner's.
    pub emails: Vec<Email>,
    /// The client by which they sign in; one of the configuration's, with the source web. There where
    /// `emails` are.
    pub client: Option<ClientName>,
    /// How long a browser stays signed in that does nothing.
    pub idle: Duration,
    /// How long a browser stays signed in at most.
    pub absolute: Duration,
}

impl DashboardSection {
    /// The client of the sign-in by Google, where that is set up.
    pub fn google(&self) -> Option<&ClientName> {
        self.client.as_ref().filter(|_| !self.emails.is_empty())
    }
}

/// How often something may happen: a bucket of `burst`, refilled `per_second`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many a second, in the long run.
    pub per_second: NonZeroU32,
    /// How many at once.
    pub burst: NonZeroU32,
}

/// `[limits]`: rate limits.
#[derive(Clone, Copy, Debug)]
pub struct LimitsSection {
    /// Whether rates are limited at all.
    pub enabled: bool,
    /// For each client address, of requests that show no API key.
    pub per_address: Rate,
    /// For each API key.
    pub per_key: Rate,
}

/// `[log]`: what is said on standard error.
#[derive(Clone, Debug)]
pub struct LogSection {
    /// The form of a line.
    pub format: LogFormat,
    /// A level, or levels by module.
    pub filter: String,
}

/// `[metrics]`: Prometheus metrics without an API key.
#[derive(Clone, Copy, Debug)]
pub struct MetricsSection {
    /// A listener of its own for `/metrics`, loopback only; `None` leaves `/metrics` to API keys.
    pub listen: Option<SocketAddr>,
}

/// `[events]`: the log of what happened.
#[derive(Clone, Copy, Debug)]
pub struct EventsSection {
    /// How long events and counts are kept.
    pub retention: Duration,
}

/// Which way a mirror's contents go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From Drive to the folder; nothing is written to Drive.
    Pull,
    /// From the folder to Drive; nothing is written to the folder.
    Push,
    /// Both ways.
    Both,
}

impl Direction {
    /// The word for it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Both => "both",
        }
    }

    /// The direction of this word.
    pub fn from_code(code: &str) -> Option<Self> {
        [Self::Pull, Self::Push, Self::Both].into_iter().find(|direction| direction.code() == code)
    }
}

/// `[[mirror]]`: a person's app data and a folder kept in step with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirrorSection {
    /// Whose app data; never `me`.
    pub user: UserRef,
    /// By which client's grant; one of the configuration's.
    pub client: ClientName,
    /// The folder, absolute; not nested with another mirror's, the vault's or the root.
    pub folder: PathBuf,
    /// Which way contents go.
    pub direction: Direction,
    /// How often it runs.
    pub interval: Duration,
    /// How long replaced and deleted contents are kept.
    pub keep_versions: Duration,
    /// The most bytes that kept contents older than a day may take.
    pub versions_size: u64,
}
