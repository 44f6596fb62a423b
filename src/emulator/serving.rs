//! How an answer leaves: whole, or as a scripted fault wants it.

use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use actix_web::http::{StatusCode, header};
use actix_web::rt::net::TcpStream;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use futures_util::stream;

use super::drive::Transfer;
use super::faults::{Endpoint, Fault};
use super::reply::Reply;
use super::world::World;

/// Piece of a huge answer.
const CHUNK: usize = 64 * 1024;

/// A second handle to the connection's socket, with which a fault can cut it.
#[derive(Clone, Debug)]
pub(super) struct Socket(Arc<OwnedFd>);

impl Socket {
    /// The socket that a request came by.
    pub(super) fn of(request: &HttpRequest) -> Option<Self> {
        request.conn_data::<Self>().cloned()
    }

    /// Cuts the connection in both directions.
    pub(super) fn shut(&self) {
        // The peer may have gone already, which is what is wanted.
        let _gone = rustix::net::shutdown(&self.0, rustix::net::Shutdown::Both);
    }
}

/// What an endpoint answers.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// A text that is there.
    Whole(Reply),
    /// The content of a file.
    Content(Box<Transfer>),
    /// A connection that ends.
    Cut,
}

impl From<Reply> for Outgoing {
    fn from(reply: Reply) -> Self {
        Self::Whole(reply)
    }
}

impl Outgoing {
    /// Sends it as it is.
    pub(super) fn send(self, request: &HttpRequest) -> HttpResponse {
        match self {
            Self::Whole(reply) => whole(reply),
            Self::Content(transfer) => transfer.send(),
            Self::Cut => cut(request),
        }
    }

    fn halved(self) -> Self {
        match self {
            Self::Whole(mut reply) => {
                let middle = reply.body.len() / 2;
                let cut = (0..=middle).rev().find(|place| reply.body.is_char_boundary(*place));
                reply.body.truncate(cut.unwrap_or(0));
                Self::Whole(reply)
            }
            Self::Content(transfer) => Self::Content(Box::new(transfer.halved())),
            Self::Cut => Self::Cut,
        }
    }
}

/// Keeps a handle to each connection's socket; given to the server's `on_connect`.
pub(super) fn remember_socket(connection: &dyn std::any::Any, data: &mut actix_web::dev::Extensions) {
    if let Some(stream) = connection.downcast_ref::<TcpStream>()
        && let Ok(socket) = stream.as_fd().try_clone_to_owned()
    {
        data.insert(Socket(Arc::new(socket)));
    }
}

fn cut(request: &HttpRequest) -> HttpResponse {
    if let Some(socket) = Socket::of(request) {
        socket.shut();
    }
    HttpResponse::NoContent().force_close().finish()
}

/// Status and header fields.
pub(super) fn begin(reply: &Reply) -> HttpResponseBuilder {
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
    match world.faults().take(endpoints) {
        None => whole(work()),
        Some(fault) => under(fault, request, async { work().into() }).await,
    }
}

/// Carries a request out under a fault.
pub(super) async fn under(
    fault: Fault,
    request: &HttpRequest,
    work: impl Future<Output = Outgoing>,
) -> HttpResponse {
    match fault {
        Fault::Delay(wait) => {
            tokio::time::sleep(wait).await;
            work.await.send(request)
        }
        Fault::Hold(gate) => {
            gate.pass().await;
            work.await.send(request)
        }
        Fault::HoldAnswer(gate) => {
            let outgoing = work.await;
            gate.pass().await;
            outgoing.send(request)
        }
        Fault::Drop => cut(request),
        Fault::DropAfterDoing => {
            work.await;
            cut(request)
        }
        Fault::Status { code, body, headers } => scripted(code, body, &headers),
        Fault::Malformed => work.await.halved().send(request),
        Fault::Html(code) => {
            let body = "<!DOCTYPE html><html><title>Error</title><p>That's an error.</html>".to_owned();
            scripted(code, body, &[("Content-Type".to_owned(), "text/html; charset=UTF-8".to_owned())])
        }
        Fault::Huge(bytes) => huge(bytes),
        Fault::SlowDrip { piece, every } => match work.await {
            Outgoing::Whole(reply) => drip(reply, piece.max(1), every),
            Outgoing::Content(transfer) => transfer.dripping(piece.max(1), every).send(),
            Outgoing::Cut => cut(request),
        },
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
        Fault::Drive(refusal) => whole(refusal.into()),
        // These are looked for by the endpoints that they concern.
        Fault::CutUpload { .. }
        | Fault::KeepUpTo { .. }
        | Fault::ForgetUpload
        | Fault::CutDownload { .. }
        | Fault::FlipByte { .. } => work.await.send(request),
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
