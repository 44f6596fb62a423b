//! The client through which every command works.
//!
//! It speaks HTTP over the admin socket of the running server. When none runs, the command takes the
//! vault's lock, starts the same server in this process on a socket beside the vault, and speaks to that: each
//! command is written once, there is one writer at a time, and no file of the vault gets a foreign owner.

mod local;
mod problem;

use std::io::{ErrorKind, IsTerminal as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::Method;
use http::header::HeaderName;
use serde_json::Value;
use url::Url;

use self::local::LocalServer;
use super::{Context, Failure, assembly, output};
use crate::config::{Config, Place};
use crate::outbound::{Limits, Outbound, TimeLimit};
use crate::vault::{VaultError, VaultLock};

/// How long a command waits for a server that is just starting, or for another command.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Whether a command may make the vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vault {
    /// It works on what is there.
    MustExist,
    /// It may be the first thing that is ever done.
    MayBeMade,
}

/// A server to work with: the running one, or one of our own.
pub(super) struct Admin {
    outbound: Outbound,
    client: reqwest::Client,
    local: Option<LocalServer>,
}

/// As long as it takes: a transfer that goes on is no fault, and one that does not is ended by hand.
const TRANSFER: Duration = Duration::from_secs(7 * 86_400);

/// Limits of an admin call: a refresh at Google may have to wait its turn, and a list may be long.
const LIMITS: Limits = Limits {
    connect: Duration::from_secs(5),
    time: TimeLimit::Whole(Duration::from_secs(120)),
    max_body: 64 << 20,
};

impl Admin {
    /// Finds the running server, or starts one in this process; says on standard error which.
    ///
    /// # Errors
    /// When neither works: the message says what to do.
    pub(super) async fn reach(context: &Context<'_>, vault: Vault) -> Result<Self, Failure> {
        let place = Config::locate(context.config.as_deref(), context.environment)?;
        let outbound = Outbound::new(LIMITS);
        let Some(lock) = lock_unless_served(&place, vault).await? else {
            tell(context, &place, &format!("the server at {}", place.admin_socket.display()));
            let client = outbound.unix_client(&place.admin_socket).map_err(anyhow::Error::from)?;
            return Ok(Self { outbound, client, local: None });
        };
        tell(context, &place, "no server is running: opened by this command");
        let local = LocalServer::start(context, lock).await?;
        let client = outbound.unix_client(local.socket()).map_err(anyhow::Error::from)?;
        Ok(Self { outbound, client, local: Some(local) })
    }

    /// Finds the running server; says on standard error which.
    ///
    /// # Errors
    /// [`super::Exit::Failed`] when none runs; one of this command's own would not do.
    pub(super) fn reach_running(context: &Context<'_>) -> Result<Self, Failure> {
        let place = Config::locate(context.config.as_deref(), context.environment)?;
        match UnixStream::connect(&place.admin_socket) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                return Err(not_admitted(&place.admin_socket));
            }
            Err(_) => {
                return Err(anyhow::anyhow!(
                    "no server answers on {}: start one with `locum serve` or your service manager, and try again",
                    place.admin_socket.display()
                )
                .into());
            }
        }
        tell(context, &place, &format!("the server at {}", place.admin_socket.display()));
        let outbound = Outbound::new(LIMITS);
        let client = outbound.unix_client(&place.admin_socket).map_err(anyhow::Error::from)?;
        Ok(Self { outbound, client, local: None })
    }

    /// Whether this is the running server, and not one that lives as long as the command.
    pub(super) const fn is_running(&self) -> bool {
        self.local.is_none()
    }

    /// Ends the server of our own, if there is one. What it holds is safe on disk without it.
    pub(super) async fn leave(self) {
        // Its connections first: a stop waits for the open ones.
        drop(self.client);
        if let Some(local) = self.local {
            local.stop().await;
        }
    }

    /// Begins a request to the path made of `segments`.
    pub(super) fn request(&self, method: Method, segments: &[&str]) -> Request<'_> {
        let mut url = Url::parse("http://locum/").expect("a constant URL");
        url.path_segments_mut().expect("an http URL has a path").clear().extend(segments);
        Request { admin: self, builder: self.client.request(method, url) }
    }

    pub(super) fn get(&self, segments: &[&str]) -> Request<'_> {
        self.request(Method::GET, segments)
    }
}

/// A request on its way.
pub(super) struct Request<'a> {
    admin: &'a Admin,
    builder: reqwest::RequestBuilder,
}

impl Request<'_> {
    /// Adds a query parameter, where there is a value for it.
    pub(super) fn query(self, name: &str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => Self { builder: self.builder.query(&[(name, value.to_string())]), ..self },
            None => self,
        }
    }

    pub(super) fn json(self, body: &Value) -> Self {
        Self { builder: self.builder.json(body), ..self }
    }

    pub(super) fn header(self, name: HeaderName, value: &str) -> Self {
        Self { builder: self.builder.header(name, value), ..self }
    }

    pub(super) fn body(self, body: reqwest::Body) -> Self {
        Self { builder: self.builder.body(body), ..self }
    }

    /// For work that has no limit of its own.
    pub(super) fn without_limit(self) -> Self {
        Self { builder: self.builder.timeout(TRANSFER), ..self }
    }

    /// Sends it and reads the JSON of a success.
    ///
    /// # Errors
    /// What the server's problem says, with its exit code.
    pub(super) async fn send(self) -> Result<Value, Failure> {
        let answer = self.admin.outbound.send(self.builder).await.map_err(unanswered)?;
        if !(200..300).contains(&answer.status) {
            return Err(problem::failure(answer.status, &answer.headers, &answer.body));
        }
        if answer.body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&answer.body).map_err(|_| {
            anyhow::anyhow!("the server's answer is not JSON; is it another version of locum?").into()
        })
    }

    /// Sends it and reads the JSON of a success as `T`.
    ///
    /// # Errors
    /// As [`Request::send`].
    pub(super) async fn read<T: serde::de::DeserializeOwned>(self) -> Result<T, Failure> {
        serde_json::from_value(self.send().await?).map_err(|_| {
            anyhow::anyhow!("the server's answer is not what this locum expects; is it another version?")
                .into()
        })
    }

    /// Sends it and returns a success whose body is yet to be read, however long it is.
    ///
    /// # Errors
    /// As [`Request::send`].
    pub(super) async fn stream(self) -> Result<reqwest::Response, Failure> {
        let response = self
            .without_limit()
            .builder
            .send()
            .await
            .map_err(|error| anyhow::anyhow!("the server did not answer: {}", error.without_url()))?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        if response.status().is_success() {
            return Ok(response);
        }
        let body = response.bytes().await.map_err(|error| anyhow::Error::from(error.without_url()))?;
        Err(problem::failure(status, &headers, &body))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "used as a map_err argument")]
fn unanswered(error: crate::outbound::OutboundError) -> Failure {
    anyhow::anyhow!("the server did not answer: {error}").into()
}

/// The vault's lock, or `None` when a server answers on the admin socket.
async fn lock_unless_served(place: &Place, vault: Vault) -> Result<Option<VaultLock>, Failure> {
    let mut waited = Duration::ZERO;
    loop {
        match UnixStream::connect(&place.admin_socket) {
            Ok(_) => return Ok(None),
            // No file, or one that a killed server left behind.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {}
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                return Err(not_admitted(&place.admin_socket));
            }
            Err(error) => {
                return Err(
                    anyhow::anyhow!("the admin socket {}: {error}", place.admin_socket.display()).into()
                );
            }
        }
        assembly::refuse_foreign_owner(&place.vault)?;
        if vault == Vault::MustExist && !place.vault.exists() {
            return Err(Failure::usage(anyhow::anyhow!(
                "there is no vault at {} yet: `locum serve` makes it. If there should be one, `locum config \
                 show` says where this path comes from",
                place.vault.display()
            )));
        }
        match VaultLock::take(&place.vault) {
            Ok(lock) => return Ok(Some(lock)),
            // A server that is starting or stopping, or another command: soon over.
            Err(VaultError::InUse { .. }) if waited < PATIENCE => {
                tokio::time::sleep(PAUSE).await;
                waited += PAUSE;
            }
            Err(error @ VaultError::InUse { .. }) => {
                return Err(Failure::later(anyhow::anyhow!(
                    "{error}, and nobody answers on {}: that process is another command, or its \
                     server.admin_socket is another one",
                    place.admin_socket.display()
                )));
            }
            Err(error) => return Err(anyhow::Error::from(error).into()),
        }
    }
}

fn not_admitted(socket: &Path) -> Failure {
    let owner = std::fs::metadata(socket).map_or(0, |metadata| metadata.uid());
    Failure::usage(anyhow::anyhow!(
        "a server is running, and its admin socket {} is closed to you; run the command as its user: \
         `sudo -u '#{owner}' locum …`",
        socket.display()
    ))
}

/// One line: which configuration, which vault, whose server.
fn tell(context: &Context<'_>, place: &Place, server: &str) {
    if context.quiet {
        return;
    }
    let config = place.config_file.as_deref().map_or("the environment".into(), Path::to_string_lossy);
    output::note(&format!("locum: {config}; vault {}; {server}", place.vault.display()));
}

/// Asks a question that needs a yes.
///
/// # Errors
/// [`super::Exit::Usage`] where nobody sits at a terminal: scripts say `--yes`.
pub(super) async fn confirm(question: &str) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(Failure::usage(anyhow::anyhow!(
            "{question}\nNobody can be asked here; add --yes to do it"
        )));
    }
    output::ask(&format!("{question} [y/N] "));
    // The thread may outlive the command when a signal ends it; nothing depends on it then.
    let answer = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map(|_| line)
    });
    let answer = answer.await.map_err(anyhow::Error::from)??;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// Where `path` is, seen from where the command was started.
pub(super) fn absolute(context: &Context<'_>, path: &Path) -> PathBuf {
    context.environment.directory().join(path)
}
