//! `/v1/connect/{token}`: the page of a link, and its button. GET uses nothing up, since chats and mail
//! scanners fetch what they see; POST does.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::super::context::Context;
use super::super::pages::{Facts, Invitation, Page};
use super::super::problem::Problem;
use super::super::visitor::Visitor;
use super::sign_in::on_to_google;
use crate::secret::SecretText;

pub(super) async fn show(
    context: web::Data<Context>,
    request: HttpRequest,
    token: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let visitor = Visitor::of(&request);
    let secret = SecretText::new(token.into_inner());
    let view = context.state.web_flow.look_at_link(&secret).await;
    let view = view.map_err(|error| visitor.told(error.into(), &Facts::default()))?;
    let public_url = context.state.config.server.public_url.as_ref();
    let until = view.expires_at.to_string().replace('T', " ").replace('Z', " UTC");
    let invitation = Invitation {
        account: view.ask.person.as_ref().map_or("", |person| person.shown()),
        client: view.ask.client.as_str(),
        server: public_url.and_then(|url| url.host_str()).unwrap_or_default(),
        scopes: &view.scopes,
        until: &until,
    };
    Ok(Page::invitation(visitor.language, &invitation).answer(StatusCode::OK))
}

pub(super) async fn follow(
    context: web::Data<Context>,
    request: HttpRequest,
    token: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let visitor = Visitor::of(&request);
    context.count_visitor(&request).map_err(|problem| visitor.told(problem, &Facts::default()))?;
    let begun = context
        .state
        .web_flow
        .follow_link(&SecretText::new(token.into_inner()), &context.visitor(&request))
        .await;
    let begun = begun.map_err(|error| visitor.told(error.into(), &Facts::default()))?;
    Ok(on_to_google(&context, visitor, &begun))
}
