//! `GET` and `HEAD` of a file.

use std::io;

use actix_web::body::SizedStream;
use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use futures_util::{Stream, StreamExt as _};

use super::super::super::context::Context;
use super::super::super::problem::Problem;
use super::super::super::query;
use super::conditions::{self, Conditions, Verdict};
use super::{Asker, precondition_failed, tag_value};
use crate::app_data::{AppDataError, Entry, Reading};
use crate::google::drive::FileKind;

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
            Ok(reading) => return Ok(content(reading, range.is_some())),
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

fn content(reading: Reading, partial: bool) -> HttpResponse {
    let Reading { entry, download } = reading;
    let (span, size) = (download.span(), download.size());
    let status = if partial { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let mut response = head(status, &entry);
    describe(&mut response, &entry);
    if partial {
        // A range that is given has at least one byte.
        response
            .insert_header((header::CONTENT_RANGE, format!("bytes {}-{}/{size}", span.first, span.end - 1)));
    }
    response.body(SizedStream::new(span.len(), pieces(download.into_stream())))
}

/// The content, taken from Google only as fast as the caller takes it. What breaks off breaks the connection,
/// before the length that was announced: a caller never takes a part for the whole.
fn pieces<E: std::fmt::Display>(stream: impl Stream<Item = Result<Bytes, E>>) -> impl Stream<Item = Piece> {
    stream.map(|piece| {
        piece.map_err(|error| {
            tracing::warn!(%error, "a download of app data broke off");
            io::Error::other("the content broke off")
        })
    })
}
