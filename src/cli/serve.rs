//! `locum serve`: configuration, vault, services, server; and the end of them.

use std::io::{ErrorKind, IsTerminal as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::json;

use super::running::{Signals, to_the_end};
use super::{Context, Exit, Failure, assembly, config, output};
use crate::config::{Config, Listen, Loaded, LogSection};
use crate::server::{Listener, Listeners, RunningServer, Server};
use crate::state::AppState;
use crate::telemetry::{self, LogFormat, LogSettings};
use crate::vault::VaultLock;

pub(super) fn run(context: &Context<'_>) -> Result<Exit, Failure> {
    to_the_end(async {
        let mut signals = Signals::listen()?;
        let loaded = Config::load(context.config.as_deref(), context.environment)?;
        start_logs(context, &loaded.config.log)?;
        let vault = loaded.config.vault.path.clone();
        assembly::refuse_foreign_owner(&vault)?;
        let lock = VaultLock::take(&vault).map_err(anyhow::Error::from)?;
        let state = assembly::assemble(loaded.clone(), context.environment, lock).await?;
        let serving = Serving::start(state, None).await?;
        tell(context, &loaded, &serving).await?;
        serving.until_the_end(&mut signals).await
    })
}

fn start_logs(context: &Context<'_>, log: &LogSection) -> Result<(), Failure> {
    // At the usual level the web framework tells of each of its threads, and of each stranger who does not speak
    // HTTP, and nothing of ours.
    let filter = match log.filter.as_str() {
        "info" => "info,actix_server=warn,actix_http=off",
        other => other,
    };
    let settings = LogSettings {
        format: log.format,
        filter: filter.to_owned(),
        timestamps: !context.environment.is_journal(),
        colour: std::io::stderr().is_terminal() && context.environment.var("NO_COLOR").is_none(),
    };
    Ok(telemetry::init(&settings).map_err(anyhow::Error::from)?)
}

/// A server at work, with what it listens on.
pub(super) struct Serving {
    server: RunningServer,
    root_key_id: String,
    /// Where it listens: `http://127.0.0.1:8787` or `unix:/path`.
    pub(super) address: String,
    _files: Vec<SocketFile>,
}

impl Serving {
    /// Listens where the configuration says; `listener` stands in for `server.listen` where it is given.
    pub(super) async fn start(state: AppState, listener: Option<TcpListener>) -> Result<Self, Failure> {
        let config = state.config.clone();
        let mut files = Vec::new();
        let public = match (listener, &config.server.listen) {
            (Some(listener), _) => Listener::Tcp(listener),
            (None, Listen::Tcp(address)) => Listener::Tcp(
                TcpListener::bind(address)
                    .with_context(|| format!("cannot listen on {address} (server.listen)"))?,
            ),
            (None, Listen::Unix(path)) => {
                // Who may enter the folder may connect: that is what a proxy of another user needs.
                let listener = bind(path, 0o666)?;
                files.push(SocketFile(path.clone()));
                Listener::Unix(listener)
            }
        };
        let address = match &public {
            Listener::Tcp(listener) => format!("http://{}", listener.local_addr()?),
            Listener::Unix(_) => config.server.listen.to_string(),
        };
        let admin = bind(&config.server.admin_socket, 0o660)?;
        files.push(SocketFile(config.server.admin_socket.clone()));
        let metrics = config.metrics.listen.map(|address| {
            TcpListener::bind(address).with_context(|| format!("cannot listen on {address} (metrics.listen)"))
        });
        let listeners = Listeners { public: Some(public), admin: Some(admin), metrics: metrics.transpose()? };
        let root_key_id = state.vault.root_id().to_string();
        let server = Server::start(state.clone(), listeners)?;
        state.spawn_jobs();
        state.events.started().await;
        Ok(Self { server, root_key_id, address, _files: files })
    }

    /// A one-time link to the dashboard, for the owner's eyes; `None` where no browser can come in.
    pub(super) async fn login_link(&self) -> Option<String> {
        self.server.login_link().await
    }

    /// Goes on until a signal, then finishes what is under way; a second signal cuts that short.
    pub(super) async fn until_the_end(self, signals: &mut Signals) -> Result<Exit, Failure> {
        let failed = tokio::select! {
            () = signals.next() => false,
            () = self.server.failed() => true,
        };
        tracing::info!("stopping; what is under way is finished first");
        let finished = tokio::select! {
            finished = self.server.stop() => finished,
            () = signals.next() => {
                return Err(anyhow::anyhow!("stopped at once by a second signal; nothing acknowledged is lost").into());
            }
        };
        if failed {
            return Err(anyhow::anyhow!(
                "locum cannot go on: a listener ended, or the disk failed under the vault; the log says which. \
                 Nothing acknowledged is lost"
            )
            .into());
        }
        if !finished {
            tracing::warn!("not everything under way was finished within server.shutdown_timeout");
        }
        Ok(Exit::Done)
    }
}

/// The file of a socket, removed at the end.
pub(super) struct SocketFile(pub(super) PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A unix socket at `path`. One that a killed server left is replaced; one that somebody answers on, or
/// anything that is no socket, is not.
pub(super) fn bind(path: &Path, mode: u32) -> Result<UnixListener, Failure> {
    let cannot = || format!("cannot listen on unix:{}", path.display());
    match UnixStream::connect(path) {
        Ok(_) => {
            let error = anyhow::anyhow!("{}: another server answers there", cannot());
            return Err(error.into());
        }
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            let file = std::fs::symlink_metadata(path).with_context(cannot)?;
            if !std::os::unix::fs::FileTypeExt::is_socket(&file.file_type()) {
                return Err(anyhow::anyhow!("{}: a file that is no socket is there", cannot()).into());
            }
            std::fs::remove_file(path).with_context(cannot)?;
        }
        Err(_) => {}
    }
    let listener = UnixListener::bind(path).with_context(cannot)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).with_context(cannot)?;
    Ok(listener)
}

/// Says that it is ready, and what the owner should know.
async fn tell(context: &Context<'_>, loaded: &Loaded, serving: &Serving) -> Result<(), Failure> {
    let config = &loaded.config;
    let root_key_id = &serving.root_key_id;
    if context.json {
        output::json_line(&json!({
            "listen": serving.address,
            "admin_socket": config.server.admin_socket,
            "vault": config.vault.path,
            "root_key_id": root_key_id,
            "config_file": loaded.path,
            "warnings": loaded.warnings,
        }))?;
    }
    let who = config::who(&config.allow_users);
    if config.log.format == LogFormat::Json {
        tracing::info!(listen = serving.address, root_key_id, may_connect = who, "locum is ready");
        loaded.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        return Ok(());
    }
    let from =
        loaded.path.as_ref().map_or_else(|| "the environment".to_owned(), |path| path.display().to_string());
    let mut facts = vec![["configuration".to_owned(), from]];
    let mut fact = |name: &str, value: String| facts.push([name.to_owned(), value]);
    fact("vault", format!("{} (root key {root_key_id})", config.vault.path.display()));
    fact("may connect", who);
    if let Some(url) = &config.server.public_url {
        fact("public URL", url.to_string());
    }
    fact("admin socket", config.server.admin_socket.display().to_string());
    fact("listens on", serving.address.clone());
    // On a terminal somebody reads it; a journal or a file would keep it.
    if std::io::stderr().is_terminal()
        && !context.environment.is_journal()
        && let Some(link) = serving.login_link().await
    {
        fact("dashboard", format!("{link} (works once, for ten minutes)"));
    }
    output::note(&format!("locum {}\n{}", env!("CARGO_PKG_VERSION"), output::facts(facts)));
    loaded.warnings.iter().for_each(|warning| output::warn(warning));
    Ok(())
}
