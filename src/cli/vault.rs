//! `locum vault`: copies of the whole vault, and the way back.

use std::fs::OpenOptions;
use std::io::{IsTerminal as _, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Subcommand;
use http::Method;
use serde_json::json;

use super::admin::{self, Admin, Vault};
use super::running::until_signalled;
use super::{Context, Exit, Failure, assembly, output};
use crate::config::Config;
use crate::vault::BackupFacts;

#[derive(Debug, Subcommand)]
pub(super) enum VaultCommand {
    /// Copy the vault, verified, to a new file or to standard output; everything goes on meanwhile
    Backup {
        /// A file that does not exist yet, or - for standard output
        file: PathBuf,
    },
    /// Put a backup where no vault is, after opening every record of it
    Restore {
        /// The backup
        file: PathBuf,
    },
}

pub(super) fn run(context: &Context<'_>, command: VaultCommand) -> Result<Exit, Failure> {
    match command {
        VaultCommand::Backup { file } => until_signalled(async {
            let admin = Admin::reach(context, Vault::MustExist).await?;
            let outcome = backup(context, &admin, &file).await;
            admin.leave().await;
            outcome
        }),
        VaultCommand::Restore { file } => restore(context, &file),
    }
}

async fn backup(context: &Context<'_>, admin: &Admin, file: &Path) -> Result<Exit, Failure> {
    if file == Path::new("-") {
        let mut out = std::io::stdout();
        if out.is_terminal() {
            return Err(Failure::usage(anyhow::anyhow!(
                "a backup is no text for a terminal; name a file, or send standard output into one"
            )));
        }
        let facts = copy(admin, &mut out).await?;
        out.flush()?;
        note(&facts, "standard output");
        return Ok(Exit::Done);
    }
    let path = admin::absolute(context, file);
    let mut target = NewFile::create(&path)?;
    let facts = copy(admin, &mut target.file).await?;
    target.keep()?;
    if context.json {
        output::json(&json!({ "file": path, "backup": facts }))?;
    }
    note(&facts, &path.display().to_string());
    Ok(Exit::Done)
}

/// Says what was copied; `place` is where it is.
fn note(facts: &BackupFacts, place: &str) {
    output::note(&format!(
        "Every record of the copy was opened. People: {}; grants: {}; API keys: {}; bytes: {}, in {place}.\n\
         Only the root key {} opens it: keep that key elsewhere.",
        facts.users, facts.grants, facts.api_keys, facts.size, facts.root_id
    ));
}

/// Takes the copy from the server. It is whole when this succeeds: its length was told beforehand.
async fn copy(admin: &Admin, to: &mut impl Write) -> Result<BackupFacts, Failure> {
    let mut response = admin.request(Method::POST, &["v1", "vault", "backup"]).stream().await?;
    let facts: BackupFacts = response
        .headers()
        .get("locum-backup")
        .and_then(|value| serde_json::from_slice(value.as_bytes()).ok())
        .context("the server does not say what the backup holds; is it another version of locum?")?;
    let broken = |error: reqwest::Error| anyhow::anyhow!("the backup broke off: {}", error.without_url());
    let mut bytes = 0;
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        to.write_all(&chunk)?;
        bytes += chunk.len() as u64;
    }
    if bytes != facts.size {
        return Err(anyhow::anyhow!("the backup broke off after {bytes} of {} bytes", facts.size).into());
    }
    Ok(facts)
}

/// A file that is removed again unless it is kept.
struct NewFile<'a> {
    path: &'a Path,
    file: std::fs::File,
    kept: bool,
}

impl<'a> NewFile<'a> {
    fn create(path: &'a Path) -> Result<Self, Failure> {
        let file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).with_context(|| {
                format!("{} cannot be made (nothing is ever overwritten)", path.display())
            })?;
        Ok(Self { path, file, kept: false })
    }

    fn keep(mut self) -> std::io::Result<()> {
        self.file.sync_all()?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for NewFile<'_> {
    fn drop(&mut self) {
        if !self.kept {
            let _ = std::fs::remove_file(self.path);
        }
    }
}

fn restore(context: &Context<'_>, file: &Path) -> Result<Exit, Failure> {
    let loaded = Config::load(context.config.as_deref(), context.environment)?;
    let (config, vault) = (&loaded.config, &loaded.config.vault.path);
    if UnixStream::connect(&config.server.admin_socket).is_ok() {
        return Err(Failure::usage(anyhow::anyhow!(
            "a server is running; stop it and move its vault {} away first: nothing is ever overwritten",
            vault.display()
        )));
    }
    assembly::refuse_foreign_owner(vault)?;
    let root = assembly::root_secret(config, context.environment)?;
    let file = admin::absolute(context, file);
    let facts = crate::vault::Vault::restore(&file, vault, &root)
        .with_context(|| format!("{} was not restored", file.display()))?;
    if context.json {
        output::json(&json!({ "vault": vault, "backup": facts }))?;
    }
    output::note(&format!(
        "Restored to {}: every record opened with the root key {}. People: {}; grants: {}; API keys: {}.\n\
         Grants that changed after the backup may have to be renewed by signing in again. Next: `locum serve`.",
        vault.display(),
        facts.root_id,
        facts.users,
        facts.grants,
        facts.api_keys,
    ));
    Ok(Exit::Done)
}
