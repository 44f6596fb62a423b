//! `POST /v1/session`: a session for a person already connected, or for one who has just signed in by a
//! browser; and the keys that sessions are verified with.

use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use super::super::body::{self, Expected, Fields};
use super::super::context::Context;
use super::super::problem::Problem;
use crate::ids::{ClientName, Sub};
use crate::secret::{CodeVerifier, IdToken};
use crate::sessions::IssuedSession;

static EXPECTED: Expected = Expected {
    fields: &[&["id_token", "idToken"], &["locum_code"], &["code_verifier"]],
    forms: true,
    lenient: true,
};

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
    context.count_visitor(&request)?;
    let mut fields = Fields::read(&EXPECTED, &context, &request, payload).await?;
    let id_token = fields.text("id_token")?.filter(|token| !token.is_empty());
    let locum_code = fields.text("locum_code")?.filter(|code| !code.is_empty());
    let id_token = match (id_token, locum_code) {
        (Some(id_token), None) => IdToken::new(id_token),
        (None, Some(code)) => return redeem(&context, &code, fields.text("code_verifier")?).await,
        (Some(_), Some(_)) => return Err(body::invalid("locum_code", "must not stand beside `id_token`")),
        (None, None) => {
            return Err(
                body::missing("id_token").detail("Send `id_token`, or `locum_code` and `code_verifier`.")
            );
        }
    };
    let renewed = context.state.sign_in.renew(id_token).await?;
    let session =
        context.state.sessions.issue(renewed.user, &renewed.sub, renewed.session_epoch, &renewed.client_id);
    super::ok(&Answer {
        user: AnswerUser { id: &renewed.sub },
        client: &renewed.client,
        session: SessionAnswer::of(&session),
    })
}

/// A site learns who signed in at `/v1/sign-in`: what an exchange would have told it.
async fn redeem(context: &Context, code: &str, verifier: Option<String>) -> Result<HttpResponse, Problem> {
    let verifier = CodeVerifier::new(verifier.ok_or_else(|| body::missing("code_verifier"))?);
    let exchanged = context.state.web_flow.redeem_locum_code(code, &verifier).await?;
    super::exchange::answer(context, &exchanged)
}

pub(super) async fn published_keys(context: web::Data<Context>) -> Result<HttpResponse, Problem> {
    let mut response = super::ok(&context.state.sessions.published_keys())?;
    // Keys change rarely and are public; verifiers may keep them for a while.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    Ok(response)
}
