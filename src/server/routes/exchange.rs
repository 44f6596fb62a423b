//! `POST /v1/exchange`: a code comes in.

use actix_web::http::header::{HeaderMap, HeaderName};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use super::super::body::{Expected, Fields};
use super::super::context::Context;
use super::super::problem::{Code, Problem};
use super::session::SessionAnswer;
use crate::secret::{AuthorizationCode, CodeVerifier};
use crate::sign_in::{ExchangeAnswer, ExchangeRequest, Exchanged, outcome_of};

static X_REQUESTED_WITH: HeaderName = HeaderName::from_static("x-requested-with");
static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

static EXPECTED: Expected = Expected {
    fields: &[
        // SDKs and back ends of other makes call it by these names.
        &["code", "serverAuthCode", "server_auth_code", "authCode", "auth_code"],
        &["client"],
        &["source"],
        &["code_verifier"],
        &["nonce"],
        &["redirect_uri"],
    ],
    forms: true,
    lenient: true,
};

#[derive(Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    answer: &'a ExchangeAnswer,
    session: SessionAnswer<'a>,
}

pub(super) async fn exchange(
    context: web::Data<Context>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    // Before the body is looked at: a form posted by another site's page must get nowhere.
    if !request.headers().contains_key(&X_REQUESTED_WITH) {
        return Err(Problem::new(Code::MissingRequestedWith));
    }
    context.count_visitor(&request)?;
    let idempotency_key = idempotency_key(request.headers())?;
    let mut fields = Fields::read(&EXPECTED, &context, &request, payload).await?;
    let asked = ExchangeRequest {
        // An empty code and none are the same mistake, which the service explains.
        code: AuthorizationCode::new(fields.text("code")?.unwrap_or_default()),
        client: fields
            .parsed("client", "must be the name of a client: 1 to 40 characters of a-z, 0-9, - and _")?,
        source: fields.parsed("source", "must be one of ios, android, web, popup, desktop and device")?,
        code_verifier: fields.text("code_verifier")?.map(CodeVerifier::new),
        nonce: fields.text("nonce")?,
        redirect_uri: fields.text("redirect_uri")?,
        idempotency_key,
    };
    let outcome = context.state.sign_in.redeem(asked, &context.visitor(&request)).await;
    context.state.metrics.exchanged(outcome_of(outcome.as_ref().err()));
    answer(&context, &outcome?)
}

/// What an app or a site is told of a person who has just signed in, with a session.
pub(super) fn answer(context: &Context, exchanged: &Exchanged) -> Result<HttpResponse, Problem> {
    let client =
        context.state.config.client(&exchanged.client).ok_or_else(|| Problem::new(Code::Internal))?;
    let session = context.state.sessions.issue(
        exchanged.user,
        &exchanged.answer.user.id,
        exchanged.session_epoch,
        &client.client_id,
    );
    super::ok(&Answer { answer: &exchanged.answer, session: SessionAnswer::of(&session) })
}

/// IETF draft-ietf-httpapi-idempotency-key-header: one header, whose text is taken as it is.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(&IDEMPOTENCY_KEY);
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    let printable = text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if values.next().is_some() || !(1..=255).contains(&text.len()) || !printable {
        return Err(Problem::new(Code::IdempotencyKeyInvalid));
    }
    Ok(Some(text.to_owned()))
}
