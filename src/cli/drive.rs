//! `locum drive`: a person's app data, file by file, and the folders kept in step with it.
//!
//! Content goes to or from a file or a pipe as it comes and is never held whole. What is fetched takes its
//! place under its name only when all of it is here and its checksum was right.

mod fetched_file;
mod mirror;
mod progress;
mod transfer;

use std::ffi::OsString;

use clap::{Args, Subcommand};
use http::Method;
use http::header::{IF_MATCH, IF_NONE_MATCH};

use super::admin::{Admin, Request, Vault};
use super::running::until_signalled;
use super::user::{self, Who};
use super::{Context, Exit, Failure, output};
use crate::app_data::{AppDataPath, ETag};
use crate::google::drive::MediaType;
use crate::ids::ClientName;
use crate::server::{EntryKind, EntryPage, EntryView, RemovedView};
use crate::users::UserPage;

#[derive(Debug, Subcommand)]
pub(super) enum DriveCommand {
    /// List the files and folders
    Ls {
        /// An e-mail address or a user id; may be left out where one person is connected
        #[arg(value_name = "WHO", value_parser = user::who)]
        who: Option<String>,
        /// Only what begins with this, such as notes/
        #[arg(value_name = "PREFIX")]
        prefix: Option<String>,
        #[command(flatten)]
        grant: Grant,
    },
    /// Fetch a file; it is there whole or not at all
    Get {
        #[command(flatten)]
        who: Who,
        /// Where it is, such as notes/2026/a.txt
        #[arg(value_name = "PATH")]
        path: AppDataPath,
        /// Where to put it: a file, a folder, or - for standard output [default: its own name, here]
        #[arg(value_name = "FILE")]
        file: Option<OsString>,
        /// Replace FILE if it exists
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        grant: Grant,
    },
    /// Write a file; nothing is stored before all of it is there
    Put {
        #[command(flatten)]
        who: Who,
        /// What to write: a file, or - for standard input
        #[arg(value_name = "FILE")]
        file: OsString,
        /// Where to, such as notes/2026/a.txt; folders on the way are made
        #[arg(value_name = "PATH")]
        path: AppDataPath,
        /// What it is [default: application/octet-stream]
        #[arg(long = "type", value_name = "TYPE")]
        mime_type: Option<MediaType>,
        #[command(flatten)]
        condition: Condition,
        /// Only if there is none yet
        #[arg(long, conflicts_with = "if_match")]
        if_absent: bool,
        #[command(flatten)]
        grant: Grant,
    },
    /// Remove a file for good: app data knows no trash
    Rm {
        #[command(flatten)]
        who: Who,
        /// Where it is, such as notes/2026/a.txt
        #[arg(value_name = "PATH")]
        path: AppDataPath,
        #[command(flatten)]
        condition: Condition,
        #[command(flatten)]
        grant: Grant,
    },
    /// Bring mirrors in step now
    Sync(mirror::Sync),
    /// List the contents a mirror kept before they were replaced or deleted
    Versions(mirror::Versions),
    /// Put a kept version back into the folder
    Restore(mirror::Restore),
}

#[derive(Debug, Args)]
pub(super) struct Grant {
    /// By which client's grant, where the person has several
    #[arg(long, value_name = "NAME")]
    client: Option<ClientName>,
}

#[derive(Debug, Args)]
pub(super) struct Condition {
    /// Only if the file still has this tag, as an earlier command or answer gave it
    #[arg(long, value_name = "ETAG", value_parser = tag)]
    if_match: Option<ETag>,
}

/// A tag with its quotes, or as a shell leaves it.
fn tag(text: &str) -> Result<ETag, String> {
    let quoted = format!("\"{}\"", text.trim_matches('"'));
    quoted.parse().map_err(|_| "an entity tag, as an answer gave it".to_owned())
}

pub(super) fn run(context: &Context<'_>, command: DriveCommand) -> Result<Exit, Failure> {
    transfer::check(context, &command)?;
    until_signalled(async {
        let admin = Admin::reach(context, Vault::MustExist).await?;
        let outcome = perform(context, &admin, command).await;
        admin.leave().await;
        outcome
    })
}

async fn perform(context: &Context<'_>, admin: &Admin, command: DriveCommand) -> Result<Exit, Failure> {
    match command {
        DriveCommand::Ls { who, prefix, grant } => list(context, admin, who, prefix, grant.client).await,
        DriveCommand::Get { who: Who { who }, path, file, force, grant } => {
            let request = at(admin, Method::GET, &who, &path).query("client", grant.client);
            transfer::get(context, request, &path, file, force).await
        }
        DriveCommand::Put { who: Who { who }, file, path, mime_type, condition, if_absent, grant } => {
            let request = at(admin, Method::PUT, &who, &path).query("client", grant.client);
            let request = demanding(request, &condition);
            let request = if if_absent { request.header(IF_NONE_MATCH, "*") } else { request };
            transfer::put(context, request, &file, mime_type.unwrap_or_else(MediaType::unknown)).await
        }
        DriveCommand::Rm { who: Who { who }, path, condition, grant } => {
            let request = at(admin, Method::DELETE, &who, &path).query("client", grant.client);
            remove(context, demanding(request, &condition), &path).await
        }
        DriveCommand::Sync(order) => mirror::sync(context, admin, order).await,
        DriveCommand::Versions(order) => mirror::versions(context, admin, order).await,
        DriveCommand::Restore(order) => mirror::restore(context, admin, order).await,
    }
}

/// A request for a file. Each name is a segment of its own; none of them is a dot segment.
fn at<'a>(admin: &'a Admin, method: Method, who: &str, path: &AppDataPath) -> Request<'a> {
    let names = path.names().iter().map(|name| name.as_str());
    let segments: Vec<&str> = ["v1", "users", who, "app-data"].into_iter().chain(names).collect();
    admin.request(method, &segments)
}

fn demanding<'a>(request: Request<'a>, condition: &Condition) -> Request<'a> {
    match &condition.if_match {
        Some(tag) => request.header(IF_MATCH, &tag.to_string()),
        None => request,
    }
}

const OURS_ONLY: &str = "Only files that apps of this Google project have written appear here; the data of \
                         other apps cannot be reached.";

async fn list(
    context: &Context<'_>,
    admin: &Admin,
    who: Option<String>,
    prefix: Option<String>,
    client: Option<ClientName>,
) -> Result<Exit, Failure> {
    let who = match who {
        Some(who) => who,
        None => only_person(admin).await?,
    };
    let (mut entries, mut cursor) = (Vec::<EntryView>::new(), None::<String>);
    loop {
        let request = admin.get(&["v1", "users", &who, "app-data"]).query("client", client.as_ref());
        let request = request.query("prefix", prefix.as_ref()).query("cursor", cursor.take());
        let page: EntryPage = request.read().await?;
        entries.extend(page.entries);
        match page.next {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    if context.json {
        output::json(&serde_json::json!({ "entries": entries }))?;
    } else if !entries.is_empty() {
        let width = entries.iter().map(|entry| size(entry).len()).max().unwrap_or_default();
        let rows = entries.iter().map(|entry| row(entry, width));
        output::data(&output::table(["SIZE", "MODIFIED", "PATH", ""], rows))?;
    }
    if entries.is_empty() {
        let begins = if prefix.is_some() { "Nothing begins with that." } else { "There is nothing." };
        output::note(&format!("{begins} {OURS_ONLY}"));
    }
    Ok(Exit::Done)
}

/// The one person who is connected.
async fn only_person(admin: &Admin) -> Result<String, Failure> {
    let page: UserPage = admin.get(&["v1", "users"]).query("limit", Some(2)).read().await?;
    match page.users.as_slice() {
        [] => Err(Failure::usage(anyhow::anyhow!("nobody is connected"))),
        [only] => Ok(only.id.to_string()),
        _ => Err(Failure::usage(anyhow::anyhow!(
            "several people are connected; say whose app data: `locum user list` shows them"
        ))),
    }
}

fn size(entry: &EntryView) -> String {
    entry.size.map_or_else(|| "-".to_owned(), |size| size.to_string())
}

fn row(entry: &EntryView, width: usize) -> [String; 4] {
    let slash = if entry.kind == EntryKind::Folder { "/" } else { "" };
    let note = match entry {
        EntryView { shadowed: true, .. } => "hidden by the one above",
        EntryView { addressable: false, .. } => "no path leads here",
        EntryView { kind: EntryKind::Other, .. } => "has no content",
        _ => "",
    };
    // Without fractions of seconds: the exact time is in the JSON.
    let modified = entry.modified.split('.').next().unwrap_or_default().replace('T', " ");
    let path = format!("{}{slash}", output::escaped(&entry.path));
    [format!("{:>width$}", size(entry)), modified, path, note.to_owned()]
}

async fn remove(context: &Context<'_>, request: Request<'_>, path: &AppDataPath) -> Result<Exit, Failure> {
    let answer = request.send().await?;
    let uncovered = match answer {
        serde_json::Value::Null => None,
        answer => Some(serde_json::from_value::<RemovedView>(answer).map_err(anyhow::Error::from)?.uncovered),
    };
    if context.json {
        output::json(&serde_json::json!({ "removed": path.to_string(), "uncovered": uncovered }))?;
        return Ok(Exit::Done);
    }
    output::note(&format!("Removed: {}.", output::escaped(&path.to_string())));
    if let Some(uncovered) = uncovered {
        output::note(&format!(
            "It had hidden another file of the same path, which is there now: {} bytes, modified {}.",
            size(&uncovered),
            uncovered.modified
        ));
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_read_with_and_without_quotes() {
        let expected: ETag = "\"f1.r1\"".parse().expect("a tag");
        assert_eq!(tag("\"f1.r1\""), Ok(expected.clone()));
        assert_eq!(tag("f1.r1"), Ok(expected));
        assert!(tag("f 1").is_err());
    }
}
