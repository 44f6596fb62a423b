//! `locum key`: API keys for back-end programs.

use std::collections::BTreeSet;
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
use crate::ids::{ApiKeyId, ClientName, Sub};
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
    /// What it may do: tokens:read, users:read, users:write, app-data:read, app-data:write, events:read,
    /// metrics:read, admin [repeat or separate by commas]
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
    /// When it ends: a time such as 90d, or never
    #[arg(long, value_name = "TIME", default_value = "365d", value_parser = expiry)]
    expires: Expiry,
    /// Write the key to a new file that only you can read, instead of showing it
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Do nothing when a key of this name and these rights is in force
    #[arg(long)]
    if_absent: bool,
}

/// The state of a key in force.
const ACTIVE: &str = "active";

/// Seconds that are more than a key may live: a hundred years and one second.
const LONGER: i64 = 36_500 * 86_400 + 1;

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
            LONGER.. => Err("at most 36500d, or never"),
            seconds => Ok(Expiry::In(seconds)),
        },
    }
}

#[derive(Debug, Deserialize)]
struct KeyList {
    keys: Vec<KeyView>,
    damaged: usize,
}

/// A person, as far as a binding names them.
#[derive(Debug, Deserialize)]
struct Named {
    id: Sub,
}

/// The answer that holds a key, the one time it is shown.
#[derive(Debug, Deserialize)]
struct Made {
    id: ApiKeyId,
    key: crate::secret::SecretText,
    expires_at: Option<Timestamp>,
}

/// What such an answer says after a rotation.
#[derive(Debug, Deserialize)]
struct Replacing {
    replaces: Replaced,
}

#[derive(Debug, Deserialize)]
struct Replaced {
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
            // The key comes first: nothing about the old one may stand in the way of its being shown.
            let end = Replacing::deserialize(&answer).ok().and_then(|said| said.replaces.expires_at);
            show(context, answer, file)?;
            if let Some(end) = end {
                let now = Clock::system().now();
                output::note(&if end > now {
                    format!("The old key {id} ends {}.", words::relative(end, now))
                } else {
                    format!("The old key {id} has ended.")
                });
            }
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
    let users = match order.user.as_slice() {
        [only] if only == "all" => json!("all"),
        several if several.iter().any(|who| who == "all") => {
            return Err(Failure::usage(anyhow::anyhow!("--user all stands alone: it names everybody")));
        }
        several => json!(several),
    };
    if order.if_absent
        && let Some(key) = in_force(context, admin, &order).await?
    {
        if context.json {
            let mut answer = serde_json::to_value(&key).context("a key is JSON")?;
            answer["created"] = false.into();
            output::json(&answer)?;
        }
        output::note(&format!("The key {} ({}) is in force; nothing was made.", key.name, key.id));
        return Ok(Exit::Done);
    }
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
    for (name, list) in
        [("clients", order.client.iter().map(ToString::to_string).collect()), ("scopes", order.scope)]
    {
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

/// The key of this name that is in force, if it is what is asked for and at hand.
///
/// # Errors
/// When it may do something else, or is not where it should be: a script would go on with the wrong one.
async fn in_force(context: &Context<'_>, admin: &Admin, order: &Create) -> Result<Option<KeyView>, Failure> {
    let mut keys = admin.get(&["v1", "keys"]).read::<KeyList>().await?.keys;
    keys.retain(|key| key.name == order.name && key.state == ACTIVE);
    let Some(one) = keys.first().map(|key| key.id.clone()) else { return Ok(None) };
    let mut wanted_users = BTreeSet::new();
    for who in order.user.iter().filter(|who| *who != "all") {
        let user: Named = admin.get(&["v1", "users", who]).read().await?;
        wanted_users.insert(user.id);
    }
    let same = |key: &KeyView| {
        let actions: BTreeSet<&str> = key.actions.iter().map(String::as_str).collect();
        let clients: BTreeSet<_> = key.clients.iter().flatten().collect();
        let scopes = key.scopes.clone().unwrap_or_default();
        let users = match &key.users {
            KeyUsers::All => BTreeSet::new(),
            KeyUsers::Only { ids, .. } => ids.iter().cloned().collect(),
        };
        actions == order.allow.iter().map(|action| action.code()).collect()
            && matches!(key.users, KeyUsers::All) == wanted_users.is_empty()
            && users == wanted_users
            && clients == order.client.iter().collect()
            && scopes == order.scope.iter().map(String::as_str).collect()
            && key.hosts.is_none()
    };
    let Some(key) = keys.into_iter().find(same) else {
        return Err(anyhow::anyhow!(
            "the key {} ({one}) is in force and has other rights; nothing was made. `locum key list` shows them: \
             revoke it first, or choose another name",
            order.name
        )
        .into());
    };
    match order.output.as_deref().map(|path| admin::absolute(context, path)) {
        Some(path) if !path.exists() => Err(anyhow::anyhow!(
            "the key {} ({}) is in force, but {} is not there, and no key can be shown again; nothing was made. \
             `locum key rotate {} --output {}` makes another in its place",
            key.name,
            key.id,
            path.display(),
            key.id,
            path.display()
        )
        .into()),
        _ => Ok(Some(key)),
    }
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
        [
            key.id.to_string(),
            key.name.clone(),
            key.actions.join(", "),
            users,
            bounds(key),
            key.state.clone(),
            when(key.expires_at),
            when(key.last_used_at),
        ]
    });
    let head = ["ID", "NAME", "MAY", "USERS", "BOUND TO", "STATE", "ENDS", "LAST USED"];
    output::data(&output::table(head, rows))?;
    if list.damaged > 0 {
        output::warn(&format!(
            "{} keys admit nobody: their records are damaged; make new ones or restore a backup",
            list.damaged
        ));
    }
    Ok(Exit::Done)
}

/// What narrows a key besides whose grants it reaches.
fn bounds(key: &KeyView) -> String {
    // Google's scopes are told apart by their ends.
    let short = |scope: &str| scope.trim_start_matches("https://www.googleapis.com/auth/").to_owned();
    let kinds = [
        ("client", key.clients.as_ref().map(|names| names.iter().map(ToString::to_string).collect())),
        ("scope", key.scopes.as_ref().map(|scopes| scopes.iter().map(short).collect())),
        ("host", key.hosts.clone()),
    ];
    let bounds = kinds.into_iter().filter_map(|(kind, names): (_, Option<Vec<String>>)| {
        names.map(|names| format!("{kind} {}", names.join(", ")))
    });
    let bounds: Vec<_> = bounds.collect();
    if bounds.is_empty() { "nothing".to_owned() } else { bounds.join("; ") }
}
