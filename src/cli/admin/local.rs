//! A server of the command's own, for when none is running.

use std::path::{Path, PathBuf};

use crate::cli::private_folder::PrivateFolder;
use crate::cli::serve::bind;
use crate::cli::{Context, Failure, assembly};
use crate::config::Config;
use crate::server::{Listener, Listeners, RunningServer, Server};
use crate::vault::VaultLock;

/// The same server, on sockets in a folder that only this user can enter, without background jobs.
pub(super) struct LocalServer {
    server: RunningServer,
    socket: PathBuf,
    _folder: PrivateFolder,
}

impl LocalServer {
    pub(super) async fn start(context: &Context<'_>, lock: VaultLock) -> Result<Self, Failure> {
        let mut config = Config::load(context.config.as_deref(), context.environment)?.config;
        // One command is one caller.
        config.server.workers = Some(1);
        let state = assembly::assemble(config, context.environment, lock).await?;
        let folder = PrivateFolder::create(context.environment.temporary(), "locum")?;
        let socket = folder.path().join("admin");
        // The files of both go with the folder.
        let admin = bind(&socket, 0o600)?;
        let public = bind(&folder.path().join("public"), 0o600)?;
        let listeners = Listeners { public: Listener::Unix(public), admin: Some(admin), metrics: None };
        let server = Server::start(state, listeners)?;
        Ok(Self { server, socket, _folder: folder })
    }

    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    pub(super) async fn stop(self) {
        self.server.stop().await;
    }
}
