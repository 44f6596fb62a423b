//! How a reply leaves: whole, or as a scripted fault wants it.

use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use actix_web::http::{StatusCode, header};
use actix_web::rt::net::TcpStream;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use futures_util::stream;

use super::faults::{Endpoint, Fault};
use super::reply::Reply;
use super::world::World;

/// Piece of a huge answer.
const CHUNK: usize = 64 * 1024;

/// A second handle to the connection's socket, with which a fault can cut it.
struct Socket(Arc<OwnedFd>);

/// Keeps a handle to each connection's socket; given to the server's `on_connect`.
pub(super) fn remember_socket(connection: &dyn std::any::Any, data: &mut actix_web::dev::Extensions) {
    if let Some(stream) = connection.downcast_ref::<TcpStream>()
        && let Ok(socket) = stream.as_fd().try_clone_to_owned()
    {
        data.insert(Socket(Arc::new(socket)));
    }
}

fn cut(request: &HttpRequest) -> HttpResponse {
    if let Some(Socket(socket)) = request.conn_data::<Socket>() {
        // The peer may have gone already, which is what is wanted.
        let _gone = rustix::net::shutdown(socket, rustix::net::Shutdown::Both);
    }
    HttpResponse::NoContent().force_close().finish()
}

fn begin(reply: &Reply) -> HttpResponseBuilder {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    response.insert_header((header::CONTENT_TYPE, reply.content_type));
    response.insert_header((header::SERVER, "locum-emulator"));
    for (name, value) in &reply.headers {
        response.insert_header((*name, value.as_str()));
    }
    if reply.content_type.starts_with("text/html") {
        response.insert_header((header::CONTENT_SECURITY_POLICY, PAGE_POLICY));
        response.insert_header((header::CACHE_CONTROL, "no-store"));
        response.insert_header((header::REFERRER_POLICY, "no-referrer"));
    }
    response
}

/// Without `form-action`: browsers apply it to the redirect that follows the consent form too, and that
/// leads to the app.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Sends a reply as it is.
pub(super) fn whole(reply: Reply) -> HttpResponse {
    begin(&reply).body(reply.body)
}

/// Carries a request out under the next scripted fault of `endpoints`, if there is one.
pub(super) async fn serve(
    world: &World,
    endpoints: &[Endpoint],
    request: &HttpRequest,
    work: impl FnOnce() -> Reply,
) -> HttpResponse {
    let Some(fault) = world.faults().take(endpoints) else { return whole(work()) };
    match fault {
        Fault::Delay(wait) => {
            tokio::time::sleep(wait).await;
            whole(work())
        }
        Fault::Hold(gate) => {
            gate.pass().await;
            whole(work())
        }
        Fault::HoldAnswer(gate) => {
            let reply = work();
            gate.pass().await;
            whole(reply)
        }
        Fault::Drop => cut(request),
        Fault::DropAfterDoing => {
            work();
            cut(request)
        }
        Fault::Status { code, body, headers } => scripted(code, body, &headers),
        Fault::Malformed => {
            let mut reply = work();
            let middle = reply.body.len() / 2;
            let cut = (0..=middle).rev().find(|place| reply.body.is_char_boundary(*place));
            reply.body.truncate(cut.unwrap_or(0));
            whole(reply)
        }
        Fault::Html(code) => {
            let body = "<!DOCTYPE html><html><title>Error</title><p>That's an error.</html>".to_owned();
            scripted(code, body, &[("Content-Type".to_owned(), "text/html; charset=UTF-8".to_owned())])
        }
        Fault::Huge(bytes) => huge(bytes),
        Fault::SlowDrip { piece, every } => drip(work(), piece.max(1), every),
        Fault::OAuthError { status, error, description, subtype } => {
            let mut body = serde_json::json!({ "error": error });
            if let Some(description) = description {
                body["error_description"] = description.into();
            }
            if let Some(subtype) = subtype {
                body["error_subtype"] = subtype.into();
            }
            whole(Reply::private(status, &body))
        }
    }
}

fn scripted(code: u16, body: String, headers: &[(String, String)]) -> HttpResponse {
    let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    response.insert_header((header::CONTENT_TYPE, "application/json; charset=utf-8"));
    for (name, value) in headers {
        response.insert_header((name.as_str(), value.as_str()));
    }
    response.body(body)
}

/// A JSON text of `bytes` bytes in chunks, so that its length is not announced.
fn huge(bytes: usize) -> HttpResponse {
    let pieces = stream::unfold(0, move |sent| async move {
        let length = (bytes - sent).min(CHUNK);
        (length > 0).then(|| {
            let mut piece = vec![b'a'; length];
            if sent == 0 {
                piece.iter_mut().zip(b"{\"padding\":\"").for_each(|(place, byte)| *place = *byte);
            }
            if sent + length == bytes {
                piece.iter_mut().rev().zip(b"}\"").for_each(|(place, byte)| *place = *byte);
            }
            (Ok::<_, actix_web::Error>(web::Bytes::from(piece)), sent + length)
        })
    });
    HttpResponse::Ok().content_type("application/json; charset=utf-8").streaming(pieces)
}

fn drip(reply: Reply, piece: usize, every: std::time::Duration) -> HttpResponse {
    let mut response = begin(&reply);
    let body = web::Bytes::from(reply.body);
    let pieces = stream::unfold(body, move |mut left| async move {
        if left.is_empty() {
            return None;
        }
        tokio::time::sleep(every).await;
        let next = left.split_to(piece.min(left.len()));
        Some((Ok::<_, actix_web::Error>(next), left))
    });
    response.streaming(pieces)
}
