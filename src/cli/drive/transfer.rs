//! `get` and `put`: content between a file or a pipe and the server.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::fd::AsFd as _;
use std::path::PathBuf;

use anyhow::Context as _;
use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::DriveCommand;
use super::fetched_file::{self, FetchedFile};
use super::progress::Progress;
use crate::app_data::AppDataPath;
use crate::cli::admin::{Request, absolute};
use crate::cli::{Context, Exit, Failure, output};
use crate::google::drive::MediaType;
use crate::server::WrittenView;

/// Bytes read from a file or a pipe at a time.
const PIECE: usize = 256 << 10;

/// Refuses what cannot be done before a server is reached, or one of our own started.
pub(super) fn check(context: &Context<'_>, command: &DriveCommand) -> Result<(), Failure> {
    match command {
        DriveCommand::Get { path, file, force, .. } => match place(context, path, file.as_deref()) {
            Some(place) => fetched_file::check(&place, *force),
            None if context.json => Err(Failure::usage(anyhow::anyhow!(
                "standard output is the content or JSON, not both; name a file, or leave out --json"
            ))),
            None => Ok(()),
        },
        DriveCommand::Put { file, .. } if file != "-" => {
            let file = absolute(context, file.as_ref());
            let opened = std::fs::File::open(&file).and_then(|opened| opened.metadata());
            let there = opened.map_err(|error| Failure::usage(unreadable(&file, error)))?;
            if there.is_dir() {
                return Err(Failure::usage(anyhow::anyhow!(
                    "{} is a folder; files are written one by one",
                    file.display()
                )));
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn unreadable(file: &std::path::Path, error: std::io::Error) -> anyhow::Error {
    anyhow::Error::from(error).context(format!("{} cannot be read", file.display()))
}

/// Where a file goes; `None` for standard output.
fn place(context: &Context<'_>, path: &AppDataPath, file: Option<&OsStr>) -> Option<PathBuf> {
    let place = match file {
        Some(file) if file == "-" => return None,
        Some(file) => absolute(context, file.as_ref()),
        None => absolute(context, path.name().as_str().as_ref()),
    };
    let is_folder = file.is_some() && place.is_dir();
    Some(if is_folder { place.join(path.name().as_str()) } else { place })
}

pub(super) async fn get(
    context: &Context<'_>,
    request: Request<'_>,
    path: &AppDataPath,
    file: Option<OsString>,
    force: bool,
) -> Result<Exit, Failure> {
    let Some(place) = place(context, path, file.as_deref()) else {
        let response = request.stream().await?;
        let mut out = std::io::stdout().lock();
        receive(context, response, &mut out).await?;
        out.flush()?;
        return Ok(Exit::Done);
    };
    let response = request.stream().await?;
    let field = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (tag, mime_type) = (field(ETAG), field(CONTENT_TYPE));
    let mut fetched = FetchedFile::create(&place, force)?;
    let size = receive(context, response, &mut fetched.file).await?;
    let place = fetched.keep()?;
    if context.json {
        output::json(&json!({
            "path": path.to_string(), "file": place, "size": size, "etag": tag, "mime_type": mime_type,
        }))?;
    } else {
        let tag = tag.unwrap_or_default();
        output::note(&format!(
            "{size} bytes in {}; its tag is {tag}",
            output::escaped(&place.to_string_lossy())
        ));
    }
    Ok(Exit::Done)
}

/// Writes the whole content to `to`. The server ends the connection early when what comes from Google is not
/// what it should be, so whatever arrives whole is right.
async fn receive(
    context: &Context<'_>,
    mut response: reqwest::Response,
    to: &mut impl Write,
) -> Result<u64, Failure> {
    let length = response.content_length();
    let progress = Progress::new(context, length);
    let mut size = 0;
    loop {
        let broken = |error: reqwest::Error| {
            Failure::later(anyhow::anyhow!(
                "the content broke off after {size} bytes: {}; try again",
                error.without_url()
            ))
        };
        let Some(piece) = response.chunk().await.map_err(broken)? else { return Ok(size) };
        to.write_all(&piece)?;
        size += piece.len() as u64;
        progress.moved(piece.len());
    }
}

pub(super) async fn put(
    context: &Context<'_>,
    request: Request<'_>,
    file: &OsStr,
    mime_type: MediaType,
) -> Result<Exit, Failure> {
    let request = request.header(CONTENT_TYPE, mime_type.as_str());
    let request = if file == "-" {
        let progress = Progress::new(context, None);
        let stdin = std::io::stdin().as_fd().try_clone_to_owned()?;
        let stdin = tokio::fs::File::from_std(stdin.into());
        request.body(reqwest::Body::wrap_stream(pieces(stdin, progress)))
    } else {
        let file = absolute(context, file.as_ref());
        let opened = tokio::fs::File::open(&file).await.map_err(|error| unreadable(&file, error))?;
        let there = opened.metadata().await.map_err(|error| unreadable(&file, error))?;
        // Of a pipe or a device nobody knows beforehand.
        let length = there.is_file().then_some(there.len());
        let progress = Progress::new(context, length);
        let body = reqwest::Body::wrap_stream(pieces(opened, progress));
        match length {
            Some(length) => request.header(CONTENT_LENGTH, &length.to_string()).body(body),
            None => request.body(body),
        }
    };
    let response = request.stream().await?;
    let body = response.bytes().await.map_err(|error| anyhow::Error::from(error.without_url()))?;
    let written: WrittenView = serde_json::from_slice(&body)
        .context("the server's answer is not what this locum expects; is it another version?")?;
    if context.json {
        output::json(&written)?;
        return Ok(Exit::Done);
    }
    let entry = &written.entry;
    output::note(&format!(
        "{}: {}, {} bytes; its tag is {}",
        if written.created { "Made" } else { "Replaced" },
        output::escaped(&entry.path),
        entry.size.unwrap_or_default(),
        entry.etag.as_deref().unwrap_or_default(),
    ));
    Ok(Exit::Done)
}

/// What is read, piece by piece, as fast as it is taken.
fn pieces(
    source: impl AsyncRead + Unpin + Send + 'static,
    progress: Progress,
) -> impl Stream<Item = std::io::Result<Bytes>> + Send {
    futures_util::stream::try_unfold((source, progress), |(mut source, progress)| async {
        let mut piece = BytesMut::with_capacity(PIECE);
        let count = source.read_buf(&mut piece).await?;
        progress.moved(count);
        Ok((count > 0).then(|| (piece.freeze(), (source, progress))))
    })
}
