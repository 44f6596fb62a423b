//! A server of the command's own, for when none is running.

use std::path::Path;

use crate::cli::serve::{SocketFile, bind};
use crate::cli::{Context, Failure, assembly};
use crate::config::Config;
use crate::server::{Listeners, RunningServer, Server};
use crate::vault::VaultLock;

/// Its name beside the vault. Whoever holds the vault's lock is the only one to use it, so that one which a
/// killed command left behind is replaced and none is ever in the way of another command.
const SOCKET: &str = "command.sock";

/// The same server, on a socket in the vault's folder, which only its owner can enter, without background jobs.
pub(super) struct LocalServer {
    server: RunningServer,
    socket: SocketFile,
}

impl LocalServer {
    pub(super) async fn start(context: &Context<'_>, lock: VaultLock) -> Result<Self, Failure> {
        let mut loaded = Config::load(context.config.as_deref(), context.environment)?;
        // One command is one caller.
        loaded.config.server.workers = Some(1);
        let state = assembly::assemble(loaded, context.environment, lock).await?;
        let socket = state.vault.path().with_file_name(SOCKET);
        let admin = bind(&socket, 0o600)?;
        let socket = SocketFile(socket);
        let listeners = Listeners { public: None, admin: Some(admin), metrics: None };
        let server = Server::start(state, listeners)?;
        Ok(Self { server, socket })
    }

    pub(super) fn socket(&self) -> &Path {
        &self.socket.0
    }

    pub(super) async fn stop(self) {
        self.server.stop().await;
    }
}
