//! From a configuration to a locum that is ready to serve: the same way for `serve`, `demo` and a
//! command that finds no running server.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::Context as _;

use super::Failure;
use crate::clock::Clock;
use crate::config::{self, Config, Environment, Loaded};
use crate::lifecycle::Lifecycle;
use crate::rng::Rng;
use crate::state::AppState;
use crate::vault::{RootSecret, Vault, VaultLock, VaultSettings};

/// Opens the vault under `lock` and builds the services on it. Speaks to nobody.
pub(super) async fn assemble(
    loaded: Loaded,
    environment: &Environment,
    lock: VaultLock,
) -> Result<AppState, Failure> {
    let config = &loaded.config;
    let settings = VaultSettings {
        path: config.vault.path.clone(),
        root: root_secret(config, environment)?,
        issuer: config.google.issuer.clone(),
        readers: workers(config),
    };
    let (clock, rng) = (Clock::system(), Rng::system());
    let vault = Vault::open_locked(settings, lock, clock.clone(), rng.clone())
        .with_context(|| format!("the vault {} does not open", config.vault.path.display()))?;
    let state = AppState::build(loaded, vault, clock, rng, Lifecycle::new())
        .await
        .context("the vault cannot be read")?;
    Ok(state)
}

/// The root key or pass-phrase, as the vault takes it.
pub(super) fn root_secret(config: &Config, environment: &Environment) -> Result<RootSecret, Failure> {
    Ok(match config.vault.root_key.load(environment)? {
        config::RootSecret::Key(key) => RootSecret::Key(key),
        config::RootSecret::Passphrase(text) => RootSecret::Passphrase(text),
    })
}

/// Worker threads, and so connections that read the vault.
fn workers(config: &Config) -> usize {
    config.server.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// Files made by root, or by somebody else, would lock the vault's owner out.
pub(super) fn refuse_foreign_owner(vault: &Path) -> Result<(), Failure> {
    let own = rustix::process::geteuid().as_raw();
    let nearest = vault.ancestors().find(|path| path.exists()).map(Path::to_owned);
    let owner = nearest.and_then(|path| std::fs::metadata(path).ok()).map(|metadata| metadata.uid());
    match owner {
        // A folder of root's in which the vault is yet to be made: the system itself says who may.
        Some(owner) if owner != own && (vault.exists() || own == 0) => Err(Failure::usage(anyhow::anyhow!(
            "the vault {} belongs to the user {owner}; run the command as that user: `sudo -u '#{owner}' locum …`",
            vault.display()
        ))),
        _ => Ok(()),
    }
}
