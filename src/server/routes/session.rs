//! `POST /v1/session`: a new session for a person already connected; and the keys that sessions are
//! verified with.

use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use super::super::body::{self, Expected, Fields};
use super::super::context::Context;
use super::super::problem::Problem;
use crate::ids::{ClientName, Sub};
use crate::secret::IdToken;
use crate::sessions::IssuedSession;

static EXPECTED: Expected = Expected { fields: &[&["id_token", "idToken"]], forms: true, lenient: true };

/// A session as apps are given it.
#[derive(Serialize)]
pub(super) struct SessionAnswer<'a> {
    token: &'a str,
    token_type: &'static str,
    expires_in: i64,
}

impl<'a> SessionAnswer<'a> {
    pub(super) fn of(session: &'a IssuedSession) -> Self {
        Self { token: session.token.expose(), token_type: "Bearer", expires_in: session.expires_in }
    }
}

#[derive(Serialize)]
struct Answer<'a> {
    user: AnswerUser<'a>,
    client: &'a ClientName,
    session: SessionAnswer<'a>,
}

#[derive(Serialize)]
struct AnswerUser<'a> {
    id: &'a Sub,
}

pub(super) async fn renew(
    context: web::Data<Context>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let mut fields = Fields::read(&EXPECTED, &context, &request, payload).await?;
    let id_token = fields.text("id_token")?.filter(|token| !token.is_empty());
    let id_token = IdToken::new(id_token.ok_or_else(|| body::missing("id_token"))?);
    let renewed = context.state.sign_in.renew(id_token).await?;
    let session =
        context.state.sessions.issue(renewed.user, &renewed.sub, renewed.session_epoch, &renewed.client_id);
    super::ok(&Answer {
        user: AnswerUser { id: &renewed.sub },
        client: &renewed.client,
        session: SessionAnswer::of(&session),
    })
}

pub(super) async fn published_keys(context: web::Data<Context>) -> Result<HttpResponse, Problem> {
    let mut response = super::ok(&context.state.sessions.published_keys())?;
    // Keys change rarely and are public; verifiers may keep them for a while.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    Ok(response)
}
