//! `GET` and `HEAD` of a file.

use std::io;
use std::pin::pin;
use std::time::Duration;

use actix_web::body::SizedStream;
use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use futures_util::{Stream, StreamExt as _};
use tokio::sync::mpsc;

use super::super::super::context::Context;
use super::super::super::problem::Problem;
use super::super::super::query;
use super::conditions::{self, Conditions, Verdict};
use super::{Asker, precondition_failed, tag_value};
use crate::app_data::{AppDataError, Entry, Reading};
use crate::google::drive::FileKind;
use crate::lifecycle::Lifecycle;

pub(super) async fn answer(
    asker: Asker<'_>,
    context: &Context,
    request: &HttpRequest,
) -> Result<HttpResponse, Problem> {
    let [client] = query::parameters(request.query_string(), ["client"])?;
    let path = super::path(request)?;
    let conditions = Conditions::read(request.headers())?;
    let person = asker.person(context, request, client.as_deref()).await?;
    let app_data = &context.state.app_data;
    let mut again = true;
    loop {
        let found = app_data.stat(person.clone(), &path).await;
        let entry = found.map_err(|error| context.app_data_problem(error))?;
        let tag = entry.etag();
        match conditions.of_read(tag.as_ref()) {
            Verdict::Failed => return Err(precondition_failed(tag)),
            Verdict::NotModified => return Ok(head(StatusCode::NOT_MODIFIED, &entry).finish()),
            Verdict::Go => {}
        }
        if *request.method() == Method::HEAD {
            let mut response = head(StatusCode::OK, &entry);
            describe(&mut response, &entry);
            return Ok(response.body(SizedStream::new(size(&entry), futures_util::stream::empty::<Piece>())));
        }
        let range = conditions::range(request.headers(), tag.as_ref());
        match app_data.open(person.clone(), entry, range).await {
            Ok(reading) => {
                let patience = (!asker.is_a_command()).then_some(PATIENCE);
                return Ok(content(&context.state.lifecycle, reading, range.is_some(), patience));
            }
            // Written or removed between the two calls: once more, what there is now.
            Err(AppDataError::Changed | AppDataError::NotFound) if again => again = false,
            Err(error) => return Err(context.app_data_problem(error)),
        }
    }
}

type Piece = Result<Bytes, io::Error>;

fn size(entry: &Entry) -> u64 {
    match entry.file.kind {
        FileKind::File { size, .. } => size,
        FileKind::Folder | FileKind::Other => 0,
    }
}

fn head(status: StatusCode, entry: &Entry) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    if let Some(tag) = entry.etag() {
        response.insert_header((header::ETAG, tag_value(&tag)));
    }
    response
}

/// What the content is. Whoever wrote it chose the type, so it must not be shown as a page of locum's.
fn describe(response: &mut HttpResponseBuilder, entry: &Entry) {
    let mime_type = match &entry.file.kind {
        FileKind::File { mime_type, .. } => HeaderValue::from_str(mime_type).ok(),
        FileKind::Folder | FileKind::Other => None,
    };
    let unknown = HeaderValue::from_static("application/octet-stream");
    response
        .insert_header((header::CONTENT_TYPE, mime_type.unwrap_or(unknown)))
        .insert_header((header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment")))
        .insert_header((header::ACCEPT_RANGES, HeaderValue::from_static("bytes")));
}

fn content(
    lifecycle: &Lifecycle,
    reading: Reading,
    partial: bool,
    patience: Option<Duration>,
) -> HttpResponse {
    let Reading { entry, download, place } = reading;
    let (span, size) = (download.span(), download.size());
    let status = if partial { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let mut response = head(status, &entry);
    describe(&mut response, &entry);
    if partial {
        // A range that is given has at least one byte.
        response
            .insert_header((header::CONTENT_RANGE, format!("bytes {}-{}/{size}", span.first, span.end - 1)));
    }
    let pieces = pieces(lifecycle, download.into_stream(), span.len(), place, patience);
    response.body(SizedStream::new(span.len(), pieces))
}

/// How long a caller may take for a piece before the place is given to others: what lies in buffers on the way
/// is then some 64 KiB, and who takes 1 KiB a second has no use for it.
const PATIENCE: Duration = Duration::from_secs(60);

/// The content, taken from Google only as fast as the caller takes it. What breaks off breaks the connection,
/// before the length that was announced: a caller never takes a part for the whole.
///
/// A caller who takes nothing is not asked again by the server, so that it is a task of its own that loses patience
/// and lets go of the content and the place.
fn pieces<S, E, P>(
    lifecycle: &Lifecycle,
    stream: S,
    length: u64,
    place: P,
    patience: Option<Duration>,
) -> impl Stream<Item = Piece> + use<S, E, P>
where
    S: Stream<Item = Result<Bytes, E>> + Send + 'static,
    E: std::fmt::Display + Send,
    P: Send + 'static,
{
    let (sender, receiver) = mpsc::channel(1);
    lifecycle.spawn(async move {
        let _place = place;
        let mut stream = pin!(stream);
        loop {
            let piece = tokio::select! {
                piece = stream.next() => piece,
                // Whoever hangs up is not read for any longer.
                () = sender.closed() => None,
            };
            let Some(piece) = piece else { break };
            let piece = piece.map_err(|error| {
                tracing::warn!(%error, "a download of app data broke off");
                io::Error::other("the content broke off")
            });
            let taken = sender.send(piece);
            let taken = match patience {
                None => taken.await.is_ok(),
                Some(patience) => matches!(tokio::time::timeout(patience, taken).await, Ok(Ok(()))),
            };
            if !taken {
                break;
            }
        }
    });
    futures_util::stream::unfold((receiver, length), |(mut receiver, left)| async move {
        let piece: Piece = match receiver.recv().await {
            Some(piece) => piece,
            None if left == 0 => return None,
            None => Err(io::Error::other("the content was taken too slowly")),
        };
        // An error is the end.
        let left = piece.as_ref().map_or(0, |bytes| left.saturating_sub(bytes.len() as u64));
        Some((piece, (receiver, left)))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn content(pieces: usize) -> impl Stream<Item = Result<Bytes, io::Error>> {
        futures_util::stream::iter((0..pieces).map(|_| Ok(Bytes::from_static(b"0123456789"))))
    }

    #[actix_web::test]
    async fn the_place_is_kept_until_the_content_is_taken() {
        let (place, lifecycle) = (Arc::new(()), Lifecycle::new());
        let taken: Vec<_> = pieces(&lifecycle, content(3), 30, place.clone(), Some(PATIENCE)).collect().await;
        assert!(taken.iter().all(Result::is_ok) && taken.len() == 3);
        assert_eq!(Arc::strong_count(&place), 1);
        let hung_up = pieces(&lifecycle, content(3), 30, place.clone(), None);
        tokio::task::yield_now().await;
        assert_eq!(Arc::strong_count(&place), 2);
        drop(hung_up);
        tokio::task::yield_now().await;
        assert_eq!(Arc::strong_count(&place), 1);
        let stalled = futures_util::stream::pending::<Result<Bytes, io::Error>>();
        let hung_up = pieces(&lifecycle, stalled, 30, place.clone(), None);
        tokio::task::yield_now().await;
        assert_eq!(Arc::strong_count(&place), 2);
        drop(hung_up);
        tokio::task::yield_now().await;
        assert_eq!(Arc::strong_count(&place), 1);
    }

    #[actix_web::test]
    async fn who_takes_nothing_loses_the_place_and_hears_of_no_end() {
        tokio::time::pause();
        let place = Arc::new(());
        let mut taking = pin!(pieces(&Lifecycle::new(), content(100), 1000, place.clone(), Some(PATIENCE)));
        assert!(taking.next().await.expect("the first").is_ok());
        tokio::time::sleep(PATIENCE / 2).await;
        assert_eq!(Arc::strong_count(&place), 2, "slow is allowed");
        assert!(taking.next().await.expect("the second").is_ok());
        tokio::time::sleep(2 * PATIENCE).await;
        assert_eq!(Arc::strong_count(&place), 1);
        let rest: Vec<_> = taking.collect().await;
        let (last, before) = rest.split_last().expect("an end");
        assert!(last.is_err() && before.iter().all(Result::is_ok) && before.len() < 4, "{}", rest.len());
    }
}
