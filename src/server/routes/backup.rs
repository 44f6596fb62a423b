//! `POST /v1/vault/backup`: a verified copy of the whole vault, streamed.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, web};

use super::super::auth::AsOwner;
use super::super::context::Context;
use super::super::problem::{Code, Problem};
use crate::events::{Kind, NewEvent};

/// What a copy under way is called, after the vault's own name.
const SUFFIX: &str = ".backup-";
/// Bytes handed to the connection at a time.
const CHUNK: usize = 256 << 10;

static FACTS: HeaderName = HeaderName::from_static("locum-backup");

/// A copy beside the vault, gone when this is.
struct TemporaryCopy(PathBuf);

impl Drop for TemporaryCopy {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The body is the copy; the `Locum-Backup` header says in JSON what it holds and which root key opens it.
pub(super) async fn backup(
    owner: AsOwner,
    context: web::Data<Context>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let state = context.state.clone();
    // A task of its own: when the caller goes away the copy is still finished, and removed.
    let actor = owner.actor(&context, &request);
    let copied = context.to_the_end(async move {
        let copy = TemporaryCopy(with_suffix(state.vault.path(), &state.rng.row_id().to_string()));
        let facts = state.vault.backup(&copy.0).await?;
        let event =
            NewEvent::new(Kind::VaultBackedUp, &actor).with("users", facts.users).with("size", facts.size);
        state.events.record(event).await;
        let file = File::open(&copy.0);
        Ok::<_, Problem>((facts, file, copy))
    });
    let (facts, file, copy) = copied.await?;
    // The open file outlives its name, so the copy vanishes however the transfer ends.
    drop(copy);
    let file = file.map_err(|error| Problem::new(Code::VaultUnavailable).because(error))?;
    let size = facts.size;
    tracing::info!(size, root_id = facts.root_id, "a backup was made and verified");
    let facts = serde_json::to_string(&facts)
        .ok()
        .and_then(|text| HeaderValue::from_str(&text).ok())
        .ok_or_else(|| Problem::new(Code::Internal))?;
    Ok(HttpResponse::Ok()
        .insert_header((FACTS.clone(), facts))
        .insert_header((header::CONTENT_TYPE, HeaderValue::from_static("application/vnd.sqlite3")))
        .insert_header((
            header::CONTENT_DISPOSITION,
            HeaderValue::from_static("attachment; filename=\"locum-backup.db\""),
        ))
        .no_chunking(size)
        .streaming(chunks(file)))
}

fn chunks(file: File) -> impl futures_util::Stream<Item = io::Result<Bytes>> {
    futures_util::stream::try_unfold(file, |mut file| async {
        let read = tokio::task::spawn_blocking(move || {
            let mut chunk = vec![0; CHUNK];
            let length = file.read(&mut chunk)?;
            chunk.truncate(length);
            Ok::<_, io::Error>((chunk, file))
        });
        let (chunk, file) = read.await.map_err(io::Error::other)??;
        Ok(if chunk.is_empty() { None } else { Some((Bytes::from(chunk), file)) })
    })
}

fn with_suffix(vault: &Path, rest: &str) -> PathBuf {
    let mut name = vault.file_name().unwrap_or_default().to_owned();
    name.push(SUFFIX);
    name.push(rest);
    vault.with_file_name(name)
}

/// Removes copies that a crash left beside the vault: they hold what may since have been forgotten.
pub(in crate::server) fn remove_leftovers(vault: &Path) {
    let start = with_suffix(vault, "");
    let (Some(directory), Some(start)) = (start.parent(), start.file_name().and_then(|name| name.to_str()))
    else {
        return;
    };
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(start)) {
            let removed = std::fs::remove_file(entry.path());
            tracing::warn!(removed = removed.is_ok(), "an unfinished backup was left beside the vault");
        }
    }
}
