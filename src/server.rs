//! The HTTP server: listeners in, a handle out.
//!
//! What must stay true:
//!
//! - nothing below this module decides an HTTP status; one file maps every error to a problem
//!   (`problem/from.rs`);
//! - each route stands in one table with who may call it (`routes.rs`), and a handler's signature shows
//!   the same authority (`auth.rs`);
//! - an API key or session that reaches outside its bindings sees what it would see of nothing;
//! - a request that panics, hangs up or is too slow harms no other.

mod addresses;
mod admin_peer;
mod auth;
mod body;
mod client_address;
mod context;
mod dashboard;
mod middleware;
mod pages;
mod problem;
mod query;
mod rate_limit;
mod remembered;
mod request_id;
mod routes;
mod visitor;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, web};
use tokio_util::sync::CancellationToken;

pub use self::problem::Code;
pub use self::routes::{
    ApiKeyStatus, Attention, AttentionKind, ClientList, ClientStatus, ClientView, ConnectLinkList,
    ConnectLinkMade, ConnectLinkView, EntryKind, EntryPage, EntryView, GoogleStatus, GrantCount, KeyUsers,
    KeyView, LinkedUser, LoginLinkMade, MirrorList, MirrorView, Overview, Pause, RemovedView, ReportView,
    Restored, Severity, Status, VaultStatus, VersionList, VersionView, WrittenView,
};

use self::admin_peer::AdminRule;
use self::context::{Context, Door};
use self::middleware::Edge;
use crate::events::{Actor, Kind, NewEvent};
use crate::lifecycle::Lifecycle;
use crate::state::AppState;

/// How long a client may take to close a connection that is to be closed.
const DISCONNECT: Duration = Duration::from_secs(5);
/// How often idle rate limit buckets are dropped.
const FORGET_BUCKETS: Duration = Duration::from_secs(10);

/// A bound socket.
#[derive(Debug)]
pub enum Listener {
    /// An address and port.
    Tcp(TcpListener),
    /// A unix socket; its peers' addresses count as 127.0.0.1.
    Unix(UnixListener),
}

/// Where a server listens. The sockets are bound by the caller, who also removes the files of unix ones.
#[derive(Debug)]
pub struct Listeners {
    /// For apps and programs; a command that serves only itself has none.
    pub public: Option<Listener>,
    /// For the owner's commands: a socket file of mode 0600 or 0660.
    pub admin: Option<UnixListener>,
    /// For scrapes without an API key; loopback only.
    pub metrics: Option<TcpListener>,
}

/// The HTTP server.
#[derive(Debug)]
pub struct Server;

/// A server that listens.
#[derive(Debug)]
pub struct RunningServer {
    /// The address apps and programs reach it at, unless that is a unix socket.
    pub address: Option<SocketAddr>,
    /// The address of the metrics listener.
    pub metrics_address: Option<SocketAddr>,
    state: AppState,
    context: web::Data<Context>,
    handles: Vec<ServerHandle>,
    tasks: Lifecycle,
    died: CancellationToken,
}

impl Server {
    /// Starts serving `state` on the listeners, which accept from now on. Needs a running tokio runtime.
    ///
    /// # Errors
    /// When a listener cannot be used, the metrics listener is not on loopback, or the admin socket is
    /// open to every user of the machine ([`io::ErrorKind::PermissionDenied`]).
    pub fn start(state: AppState, listeners: Listeners) -> io::Result<RunningServer> {
        let Listeners { public, admin, metrics } = listeners;
        let local = |listener: &TcpListener| listener.local_addr();
        let address = match &public {
            Some(Listener::Tcp(listener)) => Some(local(listener)?),
            Some(Listener::Unix(_)) | None => None,
        };
        let metrics_address = metrics.as_ref().map(local).transpose()?;
        if metrics_address.is_some_and(|address| !address.ip().is_loopback()) {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "the metrics listener asks nobody who they are and must be on a loopback address",
            ));
        }
        let rule = admin.as_ref().map(AdminRule::of).transpose()?;
        routes::remove_leftovers(state.vault.path());
        let context = web::Data::new(Context::new(state.clone(), address));
        let mut running = RunningServer {
            address,
            metrics_address,
            handles: Vec::new(),
            context: context.clone(),
            tasks: Lifecycle::new(),
            died: CancellationToken::new(),
            state,
        };
        let opened = [
            public.map(|listener| (Door::Public, listener, None)),
            admin.map(|listener| (Door::Admin, Listener::Unix(listener), rule)),
            metrics.map(|listener| (Door::Metrics, Listener::Tcp(listener), None)),
        ]
        .into_iter()
        .flatten()
        .try_for_each(|(door, listener, rule)| running.open(door, listener, &context, rule));
        if let Err(error) = opened {
            // Asking is enough: those that listen already end by themselves.
            running.handles.iter().for_each(|handle| drop(handle.stop(false)));
            return Err(error);
        }
        running.state.lifecycle.job("rate_limits", FORGET_BUCKETS, FORGET_BUCKETS, move || {
            context.limits.forget_idle();
            async {}
        });
        Ok(running)
    }
}

impl RunningServer {
    fn open(
        &mut self,
        door: Door,
        listener: Listener,
        context: &web::Data<Context>,
        rule: Option<AdminRule>,
    ) -> io::Result<()> {
        let settings = &self.state.config.server;
        let data = context.clone();
        let mut server = HttpServer::new(move || {
            let context = data.clone();
            App::new()
                .app_data(data.clone())
                .app_data(door)
                .configure(move |app| routes::configure(app, door, &context))
                .wrap(Edge { context: data.clone(), door })
        })
        .disable_signals()
        .keep_alive(settings.keep_alive)
        .client_request_timeout(settings.header_timeout)
        .client_disconnect_timeout(DISCONNECT)
        .max_connections(settings.max_connections)
        .shutdown_timeout(settings.shutdown_timeout.as_secs());
        if let Some(rule) = rule {
            server = server.on_connect(move |connection, data| rule.judge(connection, data));
        }
        // Commands and scrapes are few; a worker of their own answers them under any load.
        match (door, settings.workers) {
            (Door::Public, None) => {}
            (Door::Public, Some(workers)) => server = server.workers(workers),
            (Door::Admin | Door::Metrics, _) => server = server.workers(1),
        }
        let server = match listener {
            Listener::Tcp(listener) => server.listen(listener)?,
            Listener::Unix(listener) => server.listen_uds(listener)?,
        }
        .run();
        self.handles.push(server.handle());
        let died = self.died.clone();
        self.tasks.spawn(async move {
            if let Err(error) = server.await {
                tracing::error!(%error, "a listener failed");
            }
            died.cancel();
        });
        Ok(())
    }

    /// A one-time link that opens the dashboard, for whoever is the owner; `None` where browsers cannot reach
    /// this server at an address that is known. It is a secret: for the owner's own terminal alone.
    pub async fn login_link(&self) -> Option<String> {
        let (url, _) = dashboard::login_link(&self.context)?;
        self.state.events.record(NewEvent::new(Kind::DashboardLinkMade, &Actor::locum())).await;
        Some(url.into())
    }

    /// Resolves when the server cannot go on: a listener ended, or the disk failed under the vault. The
    /// process should then stop, for a clean restart.
    pub async fn failed(&self) {
        tokio::select! {
            () = self.died.cancelled() => {}
            () = self.state.vault.failed() => {}
        }
    }

    /// Accepts nothing more, finishes what is under way within `server.shutdown_timeout`, then closes the
    /// listeners and the vault. Returns whether everything under way was finished. Dropping the future
    /// leaves at once; nothing acknowledged is lost by it.
    pub async fn stop(self) -> bool {
        let Self { state, handles, tasks, .. } = self;
        let limit = state.config.server.shutdown_timeout;
        state.lifecycle.begin_stop();
        for handle in &handles {
            handle.pause().await;
        }
        // Before the workers: what they have begun may outlive its connection, but not its worker.
        let finished = state.lifecycle.stop(limit).await;
        futures_util::future::join_all(handles.iter().map(|handle| handle.stop(finished))).await;
        tasks.stop(DISCONNECT).await;
        state.write_down().await;
        state.vault.close().await;
        finished
    }
}

#[cfg(test)]
mod tests;
