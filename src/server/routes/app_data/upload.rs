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
use crate::clock::Clock;
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
    let mut bringing = std::pin::pin!(bring(payload, feed, &context.state.clock, idle));
    let actor = asker.actor(context, request);
    let app_data = &context.state.app_data;
    let mut writing = Box::pin(app_data.write(person, path, content, mime_type, precondition, &actor));
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

/// Bytes a second that a sender must reach in the long run: half of the slowest phone connection there is.
const LEAST_RATE: u64 = 4 << 10;

/// How much longer a sender is waited for.
struct Patience {
    /// For the next piece at the most, and for all of them beyond what those that came have earned.
    idle: Duration,
    waited: Duration,
    arrived: u64,
}

impl Patience {
    fn left(&self) -> Duration {
        let earned = Duration::from_secs(self.arrived / LEAST_RATE);
        (self.idle + earned).saturating_sub(self.waited).min(self.idle)
    }
}

/// Hands the body on piece by piece. Only its end in good order finishes the feed: whoever hangs up, sends
/// nothing for `idle`, or keeps a place with next to nothing, leaves nothing behind. Waiting until a piece is taken
/// counts for nobody.
async fn bring(
    mut payload: web::Payload,
    feed: Feed,
    clock: &Clock,
    idle: Option<Duration>,
) -> Result<(), Problem> {
    let mut patience = idle.map(|idle| Patience { idle, waited: Duration::ZERO, arrived: 0 });
    loop {
        let (next, stopwatch) = (payload.next(), clock.stopwatch());
        let piece = match &mut patience {
            None => next.await,
            Some(patience) => {
                let piece = tokio::time::timeout(patience.left(), next).await.map_err(|_| {
                    Problem::new(Code::BodyTimeout).detail(
                        "Nothing of the body came for as long as `server.body_timeout` allows, or for long so little that it would keep others waiting. Nothing was stored; send the request again.",
                    )
                })?;
                patience.waited += stopwatch.elapsed();
                if let Some(Ok(bytes)) = &piece {
                    patience.arrived += bytes.len() as u64;
                }
                piece
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_is_waited_for_as_long_as_enough_comes() {
        let left = |waited, arrived| {
            let idle = Duration::from_secs(10);
            Patience { idle, waited: Duration::from_secs(waited), arrived }.left().as_secs()
        };
        assert_eq!((left(0, 0), left(4, 100), left(10, 100)), (10, 6, 0), "next to nothing");
        assert_eq!(left(1_000, 1_000 * LEAST_RATE), 10, "the least that will do");
        assert_eq!(left(1_005, 1_000 * LEAST_RATE), 5);
        assert_eq!(left(1, u64::MAX), 10);
    }
}
