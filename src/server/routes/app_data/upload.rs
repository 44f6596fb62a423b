//! `PUT` of a file.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::StreamExt as _;

use super::super::super::context::Context;
use super::super::super::problem::{Code, Problem};
use super::super::super::query;
use super::conditions::Conditions;
use super::view::{EntryView, WrittenView};
use super::{Asker, invalid_header, tag_value};
use crate::app_data::{AppDataError, Feed, Unwanted, feed};
use crate::google::drive::{InvalidMediaType, MediaType};

/// 201 where there was no such file, else 200; both with the entry.
pub(super) async fn answer(
    asker: Asker<'_>,
    context: &Context,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let [client] = query::parameters(request.query_string(), ["client"])?;
    let path = super::path(request)?;
    let precondition = Conditions::read(request.headers())?.of_write()?;
    let mime_type = mime_type(request)?;
    let length = length(request, context.state.app_data.max_bytes())?;
    let person = asker.person(context, request, client.as_deref()).await?;

    let (feed, content) = feed(length);
    let idle = (!asker.is_owner()).then_some(context.state.config.server.body_timeout);
    let mut bringing = std::pin::pin!(bring(payload, feed, idle));
    let mut writing = Box::pin(context.state.app_data.write(person, path, content, mime_type, precondition));
    let written = tokio::select! {
        // First: what was decided before the content was all here is what the caller should hear.
        biased;
        outcome = &mut writing => outcome,
        brought = &mut bringing => match (brought, writing.await) {
            // The write only knows that its content broke off; here is known why.
            (Err(problem), Err(AppDataError::ContentBroke)) => return Err(problem),
            (_, outcome) => outcome,
        },
    };
    let written = written.map_err(|error| context.app_data_problem(error))?;
    let status = if written.created { StatusCode::CREATED } else { StatusCode::OK };
    let view = WrittenView { created: written.created, entry: EntryView::of(&written.entry) };
    let mut response = super::super::json(status, &view)?;
    if let Some(tag) = written.entry.etag() {
        response.headers_mut().insert(header::ETAG, tag_value(&tag));
    }
    Ok(response)
}

/// Hands the body on piece by piece. Only its end in good order finishes the feed: whoever hangs up, or sends
/// nothing for `idle`, leaves nothing behind. Waiting until a piece is taken counts for nobody.
async fn bring(mut payload: web::Payload, feed: Feed, idle: Option<Duration>) -> Result<(), Problem> {
    loop {
        let next = payload.next();
        let piece = match idle {
            None => next.await,
            Some(idle) => tokio::time::timeout(idle, next).await.map_err(|_| {
                Problem::new(Code::BodyTimeout).detail(
                    "Nothing of the body came for as long as `server.body_timeout` allows. Nothing was stored; send the request again.",
                )
            })?,
        };
        // What becomes of an unwanted content is told where it is written.
        match piece {
            Some(Ok(bytes)) => match feed.send(bytes).await {
                Ok(()) => {}
                Err(Unwanted) => return Ok(()),
            },
            Some(Err(error)) => return Err(Problem::new(Code::ContentBroke).because(error)),
            None => {
                let _ = feed.finish().await;
                return Ok(());
            }
        }
    }
}

/// How long the content will be; `None` where that is not announced.
fn length(request: &HttpRequest, most: u64) -> Result<Option<u64>, Problem> {
    let headers = request.headers();
    if headers.contains_key(header::CONTENT_RANGE) {
        return Err(invalid_header("Content-Range", "cannot be used: a file is written whole"));
    }
    if headers.get(header::CONTENT_ENCODING).is_some_and(|value| value != "identity") {
        return Err(Problem::new(Code::ContentEncoding));
    }
    if headers.contains_key(header::IF_UNMODIFIED_SINCE) {
        return Err(invalid_header("If-Unmodified-Since", "is not known here: use `If-Match`"));
    }
    if headers.contains_key(header::TRANSFER_ENCODING) {
        return Ok(None);
    }
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    // Without either field there is no body (RFC 9112 §6.3).
    let length = announced.unwrap_or(0);
    if length > most { Err(too_large(most)) } else { Ok(Some(length)) }
}

/// 413 with the limit.
fn too_large(most: u64) -> Problem {
    Problem::new(Code::ContentTooLarge).with("max_bytes", most)
}

fn mime_type(request: &HttpRequest) -> Result<MediaType, Problem> {
    let Some(value) = request.headers().get(header::CONTENT_TYPE) else { return Ok(MediaType::unknown()) };
    let parsed = value.to_str().map_err(|_| InvalidMediaType::Malformed).and_then(str::parse);
    parsed.map_err(|error| match error {
        InvalidMediaType::Malformed => invalid_header(
            "Content-Type",
            "must be a media type such as `text/plain`, in at most 255 characters",
        ),
        InvalidMediaType::Googles => invalid_header(
            "Content-Type",
            "cannot be one of Google's own (application/vnd.google-apps…): they name what has no content",
        ),
    })
}
