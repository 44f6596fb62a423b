//! `/v1/sign-in`: out to Google by a browser, back, and the page at the end.
//!
//! What must stay true: the address that stays in the browser holds neither a code nor a state.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use url::Url;

use super::super::context::Context;
use super::super::pages::{Ending, Facts, Page};
use super::super::problem::{Code, Problem};
use super::super::query;
use super::super::visitor::{Visitor, cookie_of, drop_cookie, keep_cookie, redirect};
use super::dashboard;
use crate::scopes::ScopeSet;
use crate::secret::AuthorizationCode;
use crate::sign_in::web_flow::{Ask, Begun, Callback, Completed, End, Ended, Success, WebError};

/// Ends of sign-ins that this browser knows nothing of have addresses of their own.
const EXPIRED: &str = "expired";
const OTHER_BROWSER: &str = "other-browser";

pub(super) async fn begin(
    context: web::Data<Context>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    match ask_and_begin(&context, &request).await {
        Ok(begun) => {
            let mut response = redirect(&begun.location);
            keep_cookie(&context, &begun, &mut response);
            Ok(response)
        }
        Err(problem) => Err(Visitor::of(&request).told(problem, &Facts::default())),
    }
}

async fn ask_and_begin(context: &Context, request: &HttpRequest) -> Result<Begun, Problem> {
    context.count_visitor(request)?;
    let [client, return_to, challenge] =
        query::parameters(request.query_string(), ["client", "return_to", "challenge"])?;
    let client = query::client(client.as_deref())?;
    let flow = &context.state.web_flow;
    let ask = flow.ask_of_site(client, return_to.as_deref(), challenge.as_deref())?;
    Ok(flow.begin(ask).await?)
}

pub(super) async fn callback(
    context: web::Data<Context>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let visitor = Visitor::of(&request);
    let outcome = match came_back(&context, &request) {
        Some(callback) => context.state.web_flow.complete(callback).await,
        None => Err(WebError::Expired),
    };
    match outcome {
        Ok(Completed::End { id }) if visitor.is_program => ended(&context, &request, visitor, &id),
        Ok(Completed::End { id }) => Ok(redirect(&end_address(&context, &id)?)),
        Ok(Completed::Return { id, location }) => {
            let mut response = redirect(&location);
            drop_cookie(&context, &id, &mut response);
            Ok(response)
        }
        Ok(Completed::Owner { id, email }) => {
            dashboard::owner_came_back(&context, &request, visitor, &id, email).await
        }
        Ok(Completed::OnceMore { id, begun }) => {
            let mut response = redirect(&begun.location);
            drop_cookie(&context, &id, &mut response);
            keep_cookie(&context, &begun, &mut response);
            Ok(response)
        }
        Err(error) if visitor.is_program => Err(error.into()),
        // The code in the address is of no use to anybody now, and is led out of sight all the same.
        Err(WebError::Expired) => Ok(redirect(&end_address(&context, EXPIRED)?)),
        Err(WebError::OtherBrowser) => Ok(redirect(&end_address(&context, OTHER_BROWSER)?)),
        Err(error) => Err(visitor.told(error.into(), &Facts::default())),
    }
}

/// What Google sent along. It may add parameters of its own at any time; of those known here a second one
/// makes the whole of it worthless.
fn came_back(context: &Context, request: &HttpRequest) -> Option<Callback> {
    let [mut state, mut code, mut error] = [None, None, None];
    for (name, value) in url::form_urlencoded::parse(request.query_string().as_bytes()) {
        let place = match name.as_ref() {
            "state" => &mut state,
            "code" => &mut code,
            "error" => &mut error,
            _ => continue,
        };
        if place.replace(value.into_owned()).is_some() {
            return None;
        }
    }
    let state = state?;
    let browser = cookie_of(context, request, state.split('.').next()?);
    Some(Callback {
        state,
        code: code.map(AuthorizationCode::new),
        error,
        browser,
        actor: context.visitor(request),
    })
}

fn end_address(context: &Context, id: &str) -> Result<Url, Problem> {
    let address = context.state.config.server.public_route(&["v1", "sign-in", "end", id]);
    address.ok_or_else(|| Problem::new(Code::SignInNotConfigured))
}

pub(super) async fn end(
    context: web::Data<Context>,
    request: HttpRequest,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    ended(&context, &request, Visitor::of(&request), &id)
}

/// Begins the same again, for the browser that it failed in. A form of another site comes without the
/// cookie.
pub(super) async fn again(
    context: web::Data<Context>,
    request: HttpRequest,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let visitor = Visitor::of(&request);
    let told = |error: WebError| visitor.told(error.into(), &Facts::default());
    let Some(End::Over(over)) = context.state.web_flow.end(&id, cookie_of(&context, &request, &id).as_ref())
    else {
        return Err(told(WebError::Expired));
    };
    let begun = context.state.web_flow.begin(over.ask.clone()).await.map_err(told)?;
    Ok(on_to_google(&context, visitor, &begun))
}

/// The answer to a form that begins a sign-in.
pub(super) fn on_to_google(context: &Context, visitor: Visitor, begun: &Begun) -> HttpResponse {
    let mut response = Page::going_on(visitor.language, &begun.location).answer(StatusCode::OK);
    keep_cookie(context, begun, &mut response);
    response
}

fn ended(
    context: &Context,
    request: &HttpRequest,
    visitor: Visitor,
    id: &str,
) -> Result<HttpResponse, Problem> {
    let found = context.state.web_flow.end(id, cookie_of(context, request, id).as_ref());
    let Some(end) = found else {
        let error = if id == OTHER_BROWSER { WebError::OtherBrowser } else { WebError::Expired };
        return Err(visitor.told(error.into(), &Facts::default()));
    };
    match end {
        End::UnderWay(ask) => {
            let facts = Facts { client: Some(ask.client.as_str()), ..Facts::default() };
            Ok(Page::end(visitor.language, Ending::UnderWay, &facts).answer(StatusCode::OK))
        }
        End::Over(over) => over_page(visitor, &over),
    }
}

/// How it ended, for a program.
#[derive(Serialize)]
struct Answer<'a> {
    client: &'a str,
    missing_scopes: &'a ScopeSet,
    offline_access: bool,
}

fn over_page(visitor: Visitor, over: &Ended) -> Result<HttpResponse, Problem> {
    let Ask { client, return_to, person, .. } = &over.ask;
    let client = client.as_str();
    let back = return_to.as_ref().map(|address| address.as_url().clone());
    match &over.outcome {
        Ok(Success { missing, offline, .. }) if visitor.is_program => {
            super::ok(&Answer { client, missing_scopes: missing, offline_access: *offline })
        }
        Ok(Success { email, missing, offline }) => {
            let ending = match (offline, missing.is_empty()) {
                (false, _) => Ending::Temporary,
                (true, false) => Ending::Partial,
                (true, true) => Ending::Connected,
            };
            let facts = Facts {
                account: email.as_ref().map(|email| email.as_str()),
                client: Some(client),
                missing: (!missing.is_empty()).then_some(missing),
                code: None,
                again: ending != Ending::Connected,
                back: back.as_ref(),
            };
            Ok(Page::end(visitor.language, ending, &facts).answer(StatusCode::OK))
        }
        Err(error) => {
            let problem = Problem::from(error.clone());
            // The site is told what happened; it asked.
            let back = return_to.as_ref().map(|address| address.with("locum_error", problem.code().as_str()));
            let facts = Facts {
                account: person.as_ref().map(|person| person.shown()),
                client: Some(client),
                again: true,
                back: back.as_ref(),
                ..Facts::default()
            };
            Err(visitor.told(problem, &facts))
        }
    }
}
