//! `locum key`: API keys for back-end programs.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::admin::{self, Admin, Vault};
use super::running::until_signalled;
use super::{Context, Exit, Failure, output, words};
use crate::api_keys::Action;
use crate::clock::{Clock, Timestamp};
use crate::ids::{ApiKeyId, ClientName};
use crate::server::{KeyUsers, KeyView};

#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Make a key and show it, once
    Create(Create),
    /// List keys, what they may do and when they end
    List,
    /// Replace a key by a new one with the same rights; the old one ends after the overlap
    Rotate {
        /// The key's id, as `key list` shows it
        id: ApiKeyId,
        /// How long the old key goes on working, such as 24h
        #[arg(long, value_name = "TIME", default_value = "24h", value_parser = words::duration)]
        overlap: i64,
        /// Write the key to a new file that only you can read, instead of showing it
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// End a key at once
    Revoke {
        /// The key's id, as `key list` shows it
        id: ApiKeyId,
    },
}

#[derive(Debug, Args)]
pub(super) struct Create {
    /// What you call it, such as the program's name
    name: String,
    /// What it may do: tokens:read, users:read, users:write, proxy, app-data:read, app-data:write,
    /// events:read, metrics:read, admin [repeat or separate by commas]
    #[arg(long, value_name = "ACTION", required = true, value_delimiter = ',', hide_possible_values = true)]
    allow: Vec<Action>,
    /// Whose grants it reaches: all, or people by e-mail address or user id [repeat or separate by commas]
    #[arg(long, value_name = "WHO", required = true, value_delimiter = ',')]
    user: Vec<String>,
    /// Only this client's grants [repeat or separate by commas]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    client: Vec<ClientName>,
    /// The most its tokens may open [repeat or separate by commas]
    #[arg(long, value_name = "SCOPE", value_delimiter = ',')]
    scope: Vec<String>,
    /// Only this Google host, for proxied calls [repeat or separate by commas]
    #[arg(long, value_name = "HOST", value_delimiter = ',')]
    host: Vec<String>,
    /// When it ends: a time such as 90d, or never
    #[arg(long, value_name = "TIME", default_value = "365d", value_parser = expiry)]
    expires: Expiry,
    /// Write the key to a new file that only you can read, instead of showing it
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Do nothing when a key of this name is in force
    #[arg(long)]
    if_absent: bool,
}

/// The state of a key in force.
const ACTIVE: &str = "active";

/// When a key ends.
#[derive(Clone, Copy, Debug)]
enum Expiry {
    In(i64),
    Never,
}

fn expiry(text: &str) -> Result<Expiry, &'static str> {
    match text {
        "never" => Ok(Expiry::Never),
        text => match words::duration(text)? {
            0 => Err("a key has to live for a while"),
            seconds => Ok(Expiry::In(seconds)),
        },
    }
}

#[derive(Debug, Deserialize)]
struct KeyList {
    keys: Vec<KeyView>,
    damaged: usize,
}

/// The answer that holds a key, the one time it is shown.
#[derive(Debug, Deserialize)]
struct Made {
    id: ApiKeyId,
    key: crate::secret::SecretText,
    expires_at: Option<Timestamp>,
}

pub(super) fn run(context: &Context<'_>, command: KeyCommand) -> Result<Exit, Failure> {
    until_signalled(async {
        // A key may be wanted before anything was served.
        let vault = match command {
            KeyCommand::Create(_) => Vault::MayBeMade,
            _ => Vault::MustExist,
        };
        let admin = Admin::reach(context, vault).await?;
        let outcome = perform(context, &admin, command).await;
        admin.leave().await;
        outcome
    })
}

async fn perform(context: &Context<'_>, admin: &Admin, command: KeyCommand) -> Result<Exit, Failure> {
    match command {
        KeyCommand::Create(order) => create(context, admin, order).await,
        KeyCommand::List => list(context, admin).await,
        KeyCommand::Rotate { id, overlap, output } => {
            let file = KeyFile::prepare(context, output.as_deref())?;
            let request = admin.request(Method::POST, &["v1", "keys", id.as_str(), "rotate"]);
            let answer = request.json(&json!({ "overlap": overlap })).send().await?;
            show(context, answer, file)?;
            output::note(&format!(
                "The old key {id} ends {}.",
                words::relative(Timestamp::EPOCH.plus(overlap), Timestamp::EPOCH)
            ));
            Ok(Exit::Done)
        }
        KeyCommand::Revoke { id } => {
            let answer = admin.request(Method::DELETE, &["v1", "keys", id.as_str()]).send().await?;
            if context.json {
                output::json(&answer)?;
            }
            output::note(&format!("The key {id} is revoked; programs that use it are refused from now on."));
            Ok(Exit::Done)
        }
    }
}

async fn create(context: &Context<'_>, admin: &Admin, order: Create) -> Result<Exit, Failure> {
    if order.if_absent {
        let keys: KeyList = admin.get(&["v1", "keys"]).read().await?;
        let in_force = |key: &&KeyView| key.name == order.name && key.state == ACTIVE;
        if let Some(key) = keys.keys.iter().find(in_force) {
            output::note(&format!("The key {} ({}) is in force; nothing was made.", key.name, key.id));
            return Ok(Exit::Done);
        }
    }
    let users = match order.user.as_slice() {
        [only] if only == "all" => json!("all"),
        several if several.iter().any(|who| who == "all") => {
            return Err(Failure::usage(anyhow::anyhow!("--user all stands alone: it names everybody")));
        }
        several => json!(several),
    };
    let expires_in = match order.expires {
        Expiry::In(seconds) => json!(seconds),
        Expiry::Never => json!("never"),
    };
    let mut body = json!({
        "name": order.name,
        "actions": order.allow.iter().map(|action| action.code()).collect::<Vec<_>>(),
        "users": users,
        "expires_in": expires_in,
    });
    for (name, list) in [
        ("clients", order.client.iter().map(ToString::to_string).collect()),
        ("scopes", order.scope),
        ("hosts", order.host),
    ] {
        let list: Vec<String> = list;
        if !list.is_empty() {
            body[name] = json!(list);
        }
    }
    let file = KeyFile::prepare(context, order.output.as_deref())?;
    let answer = admin.request(Method::POST, &["v1", "keys"]).json(&body).send().await?;
    show(context, answer, file)?;
    Ok(Exit::Done)
}

/// Shows a new key the one time that it can be shown.
fn show(context: &Context<'_>, mut answer: Value, file: Option<KeyFile>) -> Result<(), Failure> {
    let made = Made::deserialize(&answer).context("the server's answer holds no key")?;
    let end = made.expires_at.map_or("never ends".to_owned(), |end| format!("ends {end}"));
    if let Some(file) = file {
        let path = file.fill(made.key.expose())?;
        if let Some(answer) = answer.as_object_mut() {
            answer.remove("key");
            answer.insert("file".to_owned(), json!(path));
        }
        if context.json {
            output::json(&answer)?;
        }
        output::note(&format!("The key {} is in {}; it {end}.", made.id, path.display()));
        return Ok(());
    }
    if context.json {
        output::json(&answer)?;
    } else {
        output::data(made.key.expose())?;
    }
    output::note(&format!(
        "The key {} {end}. It is shown this once; locum keeps only a hash of it.",
        made.id
    ));
    Ok(())
}

/// A new file for a key. It is made before the key is, so that no key is lost for want of a place; one
/// that was never filled is removed.
struct KeyFile {
    path: PathBuf,
    file: File,
    filled: bool,
}

impl KeyFile {
    fn prepare(context: &Context<'_>, path: Option<&Path>) -> Result<Option<Self>, Failure> {
        let Some(path) = path else { return Ok(None) };
        let path = admin::absolute(context, path);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("{} cannot be made; no key was made either", path.display()))?;
        Ok(Some(Self { path, file, filled: false }))
    }

    fn fill(mut self, key: &str) -> anyhow::Result<PathBuf> {
        self.filled = true;
        self.file
            .write_all(key.as_bytes())
            .and_then(|()| self.file.write_all(b"\n"))
            .and_then(|()| self.file.sync_all())
            .with_context(|| {
                format!(
                    "{} cannot be written: revoke the key just made and make another",
                    self.path.display()
                )
            })?;
        Ok(self.path.clone())
    }
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        if !self.filled {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

async fn list(context: &Context<'_>, admin: &Admin) -> Result<Exit, Failure> {
    let answer = admin.get(&["v1", "keys"]).send().await?;
    if context.json {
        output::json(&answer)?;
        return Ok(Exit::Done);
    }
    let list = KeyList::deserialize(&answer).context("the server's answer cannot be read")?;
    if list.keys.is_empty() {
        output::note("There is no key. `locum key create` makes one.");
        return Ok(Exit::Done);
    }
    let now = Clock::system().now();
    let rows = list.keys.iter().map(|key| {
        let when = |time: Option<Timestamp>| {
            time.map_or_else(|| "never".to_owned(), |time| words::relative(time, now))
        };
        let users = match &key.users {
            KeyUsers::All => "all".to_owned(),
            KeyUsers::Only { ids, .. } if ids.len() == 1 => ids[0].to_string(),
            KeyUsers::Only { ids, .. } => format!("{} people", ids.len()),
        };
        let clients = key.clients.as_ref().map_or_else(
            || "all".to_owned(),
            |clients| clients.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        );
        [
            key.id.to_string(),
            key.name.clone(),
            key.actions.join(", "),
            users,
            clients,
            key.state.clone(),
            when(key.expires_at),
            when(key.last_used_at),
        ]
    });
    let head = ["ID", "NAME", "MAY", "USERS", "CLIENTS", "STATE", "ENDS", "LAST USED"];
    output::data(&output::table(head, rows))?;
    if list.damaged > 0 {
        output::warn(&format!(
            "{} keys admit nobody: their records are damaged; make new ones or restore a backup",
            list.damaged
        ));
    }
    Ok(Exit::Done)
}
