//! `/`, `/dashboard/…` and `/v1/dashboard`: the dashboard's page and files, and the owner's way into it.
//!
//! What must stay true: GET uses no link up and signs nobody in or out; a form counts only where the
//! browser says that a page of locum's own sent it.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::super::addresses::{check_form, led_here_from_elsewhere, show_origin_of_forms};
use super::super::auth::{AsOwner, OfDashboard, owner_in_browser};
use super::super::context::Context;
use super::super::dashboard::{self, assets};
use super::super::pages::{Facts, Page};
use super::super::problem::{Code, Problem};
use super::super::query;
use super::super::visitor::{Visitor, drop_cookie};
use super::sign_in::on_to_google;
use crate::clock::Timestamp;
use crate::events::{Actor, Kind, NewEvent};
use crate::ids::Email;
use crate::owner_sessions::{SignInRefused, SignedInBy};
use crate::secret::SecretText;
use crate::vault::VaultError;

/// The dashboard; for whoever is not signed in, how they get there.
pub(super) async fn home(context: web::Data<Context>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    // The page itself holds nothing; what it asks for is checked again. So another site may lead here.
    if let dashboard::Shown::Session(_) = dashboard::shown(&context, &request)
        && dashboard::own(&context, &request).is_ok()
    {
        context.state.users.expect_search();
        return assets::index(request.headers());
    }
    let visitor = Visitor::of(&request);
    // Google leads back to the public address, where a cookie of another one does not come along.
    let own = context.addresses.of(request.headers());
    let google = context.state.config.dashboard.google().is_some() && own.is_some_and(|own| own.public);
    let mut response = if led_here_from_elsewhere(request.headers()) {
        Page::opening(visitor.language, "./").answer(StatusCode::OK)
    } else {
        Page::sign_in(visitor.language, google).answer(StatusCode::OK)
    };
    show_origin_of_forms(response.headers_mut());
    Ok(response)
}

pub(super) async fn asset(name: web::Path<String>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let [version] = query::parameters(request.query_string(), ["v"])?;
    assets::file(&name, version.as_deref(), request.headers())
}

/// What a login link shows. Chats and mail scanners may look at it as often as they like.
pub(super) async fn look(
    context: web::Data<Context>,
    request: HttpRequest,
    token: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let visitor = Visitor::of(&request);
    if !context.state.owner_sessions.link_is_good(&SecretText::new(token.into_inner())) {
        return Err(visitor.told(Problem::new(Code::LoginLinkGone), &Facts::default()));
    }
    let mut response = Page::enter(visitor.language).answer(StatusCode::OK);
    show_origin_of_forms(response.headers_mut());
    Ok(response)
}

/// Signs a browser in by a link. Whatever cookie it had before is of no account.
pub(super) async fn enter(
    context: web::Data<Context>,
    request: HttpRequest,
    token: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let visitor = Visitor::of(&request);
    let told = |problem: Problem| visitor.told(problem, &Facts::default());
    let own = dashboard::own(&context, &request).map_err(told)?;
    check_form(request.headers(), &own).map_err(told)?;
    let secret = SecretText::new(token.into_inner());
    let (state, from) = (context.state.clone(), Some(context.client_address(&request)));
    let work = async move {
        let signed_in = state.owner_sessions.follow_link(&secret).await;
        match &signed_in {
            Ok(signed_in) => {
                let actor = owner_in_browser(&signed_in.session, from);
                state.events.record(NewEvent::new(Kind::DashboardSignedIn, &actor).with("by", "link")).await;
            }
            Err(SignInRefused::LinkGone) => {
                let event = NewEvent::new(Kind::DashboardRefused, &Actor::user(from));
                state.events.note_seldom(event.with("by", "link"));
            }
            Err(_) => {}
        }
        signed_in
    };
    let signed_in = context.to_the_end(work).await.map_err(told)?;
    tracing::info!("a browser signed in to the dashboard by a link");
    let mut response = Page::opening(visitor.language, "../../").answer(StatusCode::OK);
    dashboard::keep_cookie(&mut response, &own, &signed_in);
    Ok(response)
}

/// Sends the owner to Google to say who they are.
pub(super) async fn sign_in(
    context: web::Data<Context>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let visitor = Visitor::of(&request);
    let told = |problem: Problem| visitor.told(problem, &Facts::default());
    let own = dashboard::own(&context, &request).map_err(told)?;
    check_form(request.headers(), &own).map_err(told)?;
    if !own.public {
        return Err(told(Problem::new(Code::HostNotServed)));
    }
    let flow = &context.state.web_flow;
    let begun = match flow.ask_of_owner() {
        Ok(ask) => flow.begin(ask).await,
        Err(error) => Err(error),
    };
    Ok(on_to_google(&context, visitor, &begun.map_err(|error| told(error.into()))?))
}

/// Signs a browser in whose person Google has named, and whose address is listed.
pub(super) async fn owner_came_back(
    context: &Context,
    request: &HttpRequest,
    visitor: Visitor,
    sign_in: &str,
    email: Email,
) -> Result<HttpResponse, Problem> {
    let told = |problem: Problem| visitor.told(problem, &Facts::default());
    let own = dashboard::own(context, request).map_err(told)?;
    // Google led here under the public address. If the request shows another one, a proxy has replaced it,
    // and nobody can tell whether the browser came by https.
    if !own.public {
        return Err(told(Problem::new(Code::HostNotServed)));
    }
    let (state, from) = (context.state.clone(), Some(context.client_address(request)));
    let work = async move {
        let signed_in = state.owner_sessions.sign_in(SignedInBy::Google(email)).await?;
        let actor = owner_in_browser(&signed_in.session, from);
        state.events.record(NewEvent::new(Kind::DashboardSignedIn, &actor).with("by", "google")).await;
        Ok::<_, SignInRefused>(signed_in)
    };
    let signed_in = context.to_the_end(work).await.map_err(told)?;
    tracing::info!("a browser signed in to the dashboard with Google");
    // This address holds the code and the state, both spent; the page leaves it behind.
    let mut response = Page::opening(visitor.language, "../../").answer(StatusCode::OK);
    drop_cookie(context, sign_in, &mut response);
    dashboard::keep_cookie(&mut response, &own, &signed_in);
    Ok(response)
}

/// Who is signed in, for the page itself.
#[derive(Serialize)]
struct SignedInView<'a> {
    signed_in_as: &'a str,
    signed_in_at: Timestamp,
    ends_at: Timestamp,
    idle_ends_at: Timestamp,
    version: &'static str,
}

pub(super) async fn show(session: OfDashboard, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let [] = query::parameters(request.query_string(), [])?;
    super::ok(&SignedInView {
        signed_in_as: match &session.signed_in_by {
            SignedInBy::Link => "link",
            SignedInBy::Google(email) => email.as_str(),
        },
        signed_in_at: session.signed_in_at,
        ends_at: session.ends_at,
        idle_ends_at: session.idle_ends_at,
        version: env!("CARGO_PKG_VERSION"),
    })
}

pub(super) async fn sign_out(
    session: OfDashboard,
    context: web::Data<Context>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let [] = query::parameters(request.query_string(), [])?;
    let own = dashboard::own(&context, &request)?;
    let (state, id) = (context.state.clone(), session.id);
    let actor = owner_in_browser(&session, Some(context.client_address(&request)));
    let work = async move {
        state.owner_sessions.sign_out(id).await?;
        state.events.record(NewEvent::new(Kind::DashboardSignedOut, &actor).with("sessions", 1)).await;
        Ok::<_, VaultError>(())
    };
    context.to_the_end(work).await?;
    tracing::info!("a browser signed out of the dashboard");
    let mut response = super::ok(&json!({ "signed_out": true }))?;
    dashboard::drop_cookie(&mut response, &own);
    Ok(response)
}

/// A login link that was just made. The only time it is shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LoginLinkMade {
    /// The address to open.
    pub url: String,
    /// When it ends.
    pub expires_at: Timestamp,
}

pub(super) async fn make_link(
    owner: AsOwner,
    context: web::Data<Context>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let [] = query::parameters(request.query_string(), [])?;
    let made = dashboard::login_link(&context);
    let (url, expires_at) = made.ok_or_else(|| Problem::new(Code::DashboardAddressUnknown))?;
    // Whoever hangs up does not learn the link, so that it matters little whether this is written then.
    let event = NewEvent::new(Kind::DashboardLinkMade, &owner.actor(&context, &request));
    context.state.events.record(event).await;
    tracing::info!("a login link was made");
    super::json(StatusCode::CREATED, &LoginLinkMade { url: url.into(), expires_at })
}

/// Ends every session, and the links that nobody followed yet.
pub(super) async fn sign_out_all(
    owner: AsOwner,
    context: web::Data<Context>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let [] = query::parameters(request.query_string(), [])?;
    let (state, actor) = (context.state.clone(), owner.actor(&context, &request));
    let work = async move {
        let ended = state.owner_sessions.sign_out_all().await?;
        state.events.record(NewEvent::new(Kind::DashboardSignedOut, &actor).with("sessions", ended)).await;
        Ok::<_, VaultError>(ended)
    };
    let ended = context.to_the_end(work).await?;
    tracing::info!(ended, "every browser was signed out of the dashboard");
    super::ok(&json!({ "signed_out": ended }))
}
