//! `/v1/authorizations` and `/v1/device-sign-ins`: what `locum connect` needs to connect the owner's own
//! account. For the owner alone.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use serde_json::json;

use super::super::auth::AsOwner;
use super::super::body::{self, Expected, Fields};
use super::super::context::Context;
use super::super::problem::Problem;
use crate::events::Actor;
use crate::ids::ClientName;
use crate::secret::SecretText;
use crate::sign_in::own_account::{DesktopRequest, Polled};
use crate::sign_in::{ExchangeAnswer, outcome_of};

static AUTHORIZATION: Expected = Expected {
    fields: &[&["client"], &["redirect_uri"], &["challenge"], &["state"], &["nonce"]],
    forms: false,
    lenient: false,
};

static DEVICE: Expected = Expected { fields: &[&["client"], &["device_code"]], forms: false, lenient: false };

const CLIENT: &str = "must be the name of a client: 1 to 40 characters of a-z, 0-9, - and _";

fn required(fields: &mut Fields, name: &'static str) -> Result<String, Problem> {
    fields.text(name)?.filter(|text| !text.is_empty()).ok_or_else(|| body::missing(name))
}

/// The address at Google for a sign-in whose secrets the command keeps.
pub(super) async fn authorization(
    _: AsOwner,
    context: web::Data<Context>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let mut fields = Fields::read(&AUTHORIZATION, &context, &request, payload).await?;
    let asked = DesktopRequest {
        client: fields.parsed("client", CLIENT)?,
        redirect_uri: required(&mut fields, "redirect_uri")?,
        challenge: required(&mut fields, "challenge")?,
        state: required(&mut fields, "state")?,
        nonce: required(&mut fields, "nonce")?,
    };
    let (client, url) = context.state.sign_in.desktop_address(&asked).await?;
    super::ok(&json!({ "client": client, "url": url.as_str() }))
}

/// Begins the device flow, or with a `device_code` asks whether the person has answered.
pub(super) async fn device(
    owner: AsOwner,
    context: web::Data<Context>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let mut fields = Fields::read(&DEVICE, &context, &request, payload).await?;
    let client: Option<ClientName> = fields.parsed("client", CLIENT)?;
    match fields.text("device_code")? {
        None => begin(&context, client.as_ref()).await,
        Some(code) => {
            let client = client.ok_or_else(|| body::missing("client"))?;
            poll(&context, &client, SecretText::new(code), &owner.actor(&context, &request)).await
        }
    }
}

async fn begin(context: &Context, client: Option<&ClientName>) -> Result<HttpResponse, Problem> {
    let (client, code) = context.state.sign_in.begin_device(client).await?;
    super::ok(&json!({
        "client": client,
        "device_code": code.device_code.expose(),
        "user_code": code.user_code,
        "verification_url": code.verification_url,
        "expires_in": code.expires_in,
        "interval": code.interval,
    }))
}

#[derive(Serialize)]
struct Answer<'a> {
    pending: bool,
    slow_down: bool,
    #[serde(flatten)]
    answer: Option<&'a ExchangeAnswer>,
}

async fn poll(
    context: &Context,
    client: &ClientName,
    code: SecretText,
    actor: &Actor,
) -> Result<HttpResponse, Problem> {
    match context.state.sign_in.poll_device(client, code, actor).await.map_err(Problem::from)? {
        Polled::Pending { slow_down } => super::ok(&Answer { pending: true, slow_down, answer: None }),
        Polled::Connected(exchanged) => {
            context.state.metrics.exchanged(outcome_of(None));
            super::ok(&Answer { pending: false, slow_down: false, answer: Some(&exchanged.answer) })
        }
    }
}
