//! What happens around every request: its id, limits, headers, measurements and its line in the log.
//!
//! One middleware does all of it, since each one of its own would cost an allocation and a poll. It also
//! stops a panic at the request it happened in, and renders problems, which need the request's id.

use std::future::{Ready, ready};
use std::panic::AssertUnwindSafe;
use std::rc::Rc;

use actix_web::body::BoxBody;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::error::InternalError;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{ConnectionType, Method};
use actix_web::{Error, HttpMessage as _, HttpRequest, HttpResponse, web};
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;

use super::auth::{self, ShownKey};
use super::context::{Context, Door};
use super::dashboard::{self, Shown};
use super::pages::Facts;
use super::problem::{Code, Problem};
use super::request_id::{self, RequestId};
use super::routes::{self, Matched};
use super::visitor::Visitor;
use crate::clock::Stopwatch;

static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Wraps the whole application.
pub(super) struct Edge {
    pub(super) context: web::Data<Context>,
    pub(super) door: Door,
}

impl<S> Transform<S, ServiceRequest> for Edge
where
    S: Service<ServiceRequest, Response = ServiceResponse<BoxBody>, Error = Error> + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type InitError = ();
    type Transform = EdgeService<S>;
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(EdgeService { service: Rc::new(service), context: self.context.clone(), door: self.door }))
    }
}

pub(super) struct EdgeService<S> {
    service: Rc<S>,
    context: web::Data<Context>,
    door: Door,
}

impl<S> Service<ServiceRequest> for EdgeService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<BoxBody>, Error = Error> + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self::Response, Error>>;

    forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let (service, context, door) = (self.service.clone(), self.context.clone(), self.door);
        let answering = Answering { id: context.ids.next(), stopwatch: context.state.clock.stopwatch() };
        Box::pin(async move {
            let under_way = context.state.lifecycle.admit();
            let refused = match &under_way {
                None => Err(Problem::new(Code::Stopping).retry_after(std::time::Duration::from_secs(1))),
                Some(_) => admit(&context, door, &request),
            };
            if let Err(problem) = refused {
                let problem = if routes::is_for_browsers(request.path()) {
                    Visitor::of(request.request()).told(problem, &Facts::default())
                } else {
                    problem
                };
                let response = request.error_response(problem);
                return Ok(answering.finish(&context, response));
            }
            // A panic may leave no shared state half-changed: what services change, they change in tasks of
            // their own or under locks that survive one.
            match AssertUnwindSafe(async { service.call(request).await }).catch_unwind().await {
                Ok(Ok(response)) => Ok(answering.finish(&context, response)),
                Ok(Err(error)) => {
                    Err(answering
                        .lost(&context, &Problem::new(Code::Internal).because(Lost(error.to_string()))))
                }
                Err(_) => Err(answering.lost(
                    &context,
                    &Problem::new(Code::Internal).because(Lost("a handler panicked".into())),
                )),
            }
        })
    }
}

/// Something outside the handlers' own errors.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Lost(String);

/// What is checked before anything of the request is looked at closer.
fn admit(context: &Context, door: Door, request: &ServiceRequest) -> Result<(), Problem> {
    if door != Door::Public {
        return Ok(());
    }
    // Health is asked for often and from one address, and costs next to nothing.
    if routes::is_health(request.path()) {
        return Ok(());
    }
    // Each is counted once: under the key in force that it shows, under the session of the browser that is
    // signed in, or else, and so whoever guesses either, under its address.
    if let Some(key) = auth::shown_key(context, request.request()) {
        context.limits.check_key(&key.0.id)?;
        request.extensions_mut().insert(key);
    } else {
        let shown = dashboard::shown(context, request.request());
        match &shown {
            Shown::Session(session) => context.limits.check_session(session.id)?,
            Shown::Nothing | Shown::Over => {
                context.limits.check_address(context.client_address(request.request()))?;
            }
        }
        // Most requests show none, and keeping that would cost each of them an allocation.
        if !matches!(shown, Shown::Nothing) {
            request.extensions_mut().insert(shown);
        }
    }
    if context.state.vault.has_failed() {
        return Err(Problem::new(Code::VaultFailed));
    }
    Ok(())
}

/// One request and its answer.
struct Answering {
    id: RequestId,
    stopwatch: Stopwatch,
}

impl Answering {
    fn finish(&self, context: &Context, response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
        let (request, mut response) = response.into_parts();
        let matched = request.app_data::<Matched>().map_or(routes::TABLE.len(), |matched| matched.0);
        let route = routes::TABLE.get(matched).map_or(routes::UNMATCHED, |resource| resource.path);
        let mut code = None;
        if let Some(error) = response.error() {
            let own = error.as_error::<Problem>();
            let foreign = own.is_none().then(|| from_foreign(error));
            if let Some(problem) = own.or(foreign.as_ref()) {
                problem.log(self.id.as_str(), route);
                code = Some(problem.code());
                let rendered = problem.render(self.id.as_str());
                response = rendered.put_into(response);
            }
        }
        let unread = matches!(
            code,
            Some(
                Code::Stopping
                    | Code::BodyTimeout
                    | Code::BodyTooLarge
                    | Code::BodyBroken
                    | Code::ContentTooLarge
                    | Code::ContentBroke
            )
        );
        // A refused upload, too: it may be a long one.
        if unread || code.is_some() && *request.method() == Method::PUT {
            // What is left of the body would have to be read before the next request.
            response.head_mut().set_connection_type(ConnectionType::Close);
        }
        self.headers(response.headers_mut());
        let status = response.status().as_u16();
        context.routes[matched].answered(status, self.stopwatch.elapsed());
        self.access_line(&request, route, status);
        ServiceResponse::new(request, response)
    }

    /// An answer where the request itself is gone: after a panic, or an error outside of all handlers.
    fn lost(&self, context: &Context, problem: &Problem) -> Error {
        problem.log(self.id.as_str(), routes::UNMATCHED);
        let mut response =
            problem.render(self.id.as_str()).put_into(HttpResponse::InternalServerError().finish());
        self.headers(response.headers_mut());
        response.head_mut().set_connection_type(ConnectionType::Close);
        context.routes[routes::TABLE.len()].answered(500, self.stopwatch.elapsed());
        InternalError::from_response("a request was lost", response).into()
    }

    fn headers(&self, headers: &mut HeaderMap) {
        headers.insert(X_REQUEST_ID.clone(), self.id.header());
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        // A page has one of its own, no weaker but for its style and its form.
        if !headers.contains_key(header::CONTENT_SECURITY_POLICY) {
            headers.insert(
                header::CONTENT_SECURITY_POLICY,
                HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
            );
        }
        // Browsers hide the origin of a form whose page sends no referrer; where it is checked, the page says so.
        if !headers.contains_key(header::REFERRER_POLICY) {
            headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        }
        if !headers.contains_key(header::CACHE_CONTROL) {
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
    }

    /// The route's pattern, never the path: that may hold an address.
    fn access_line(&self, request: &HttpRequest, route: &str, status: u16) {
        if !tracing::enabled!(tracing::Level::DEBUG) {
            return;
        }
        let extensions = request.extensions();
        let key = extensions.get::<ShownKey>().map(|shown| shown.0.id.as_str());
        let given = request.headers().get(&X_REQUEST_ID).and_then(request_id::sane);
        tracing::debug!(
            request_id = self.id.as_str(),
            given_id = given,
            method = method_name(request),
            route,
            status,
            key,
            micros = u64::try_from(self.stopwatch.elapsed().as_micros()).unwrap_or(u64::MAX),
            "answered"
        );
    }
}

/// A method of one's own invention is no text for a log.
fn method_name(request: &HttpRequest) -> &str {
    match request.method().as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "OPTIONS" | "PATCH") => known,
        _ => "other",
    }
}

/// An error of actix's own or of its CORS middleware.
fn from_foreign(error: &Error) -> Problem {
    if error.as_error::<actix_cors::CorsError>().is_some() {
        return Problem::new(Code::OriginNotAllowed);
    }
    let status = error.as_response_error().status_code();
    let problem = match status.as_u16() {
        404 => Problem::new(Code::NotFound),
        405 => Problem::new(Code::MethodNotAllowed),
        408 => Problem::new(Code::BodyTimeout),
        413 => Problem::new(Code::BodyTooLarge),
        415 => Problem::new(Code::ContentType),
        400..=499 => Problem::new(Code::BadRequest),
        _ => Problem::new(Code::Internal),
    };
    problem.because(Lost(error.to_string()))
}
