//! Problems: the one place that turns an error into an HTTP status, a code and words (RFC 9457).
//!
//! `detail` is written for the reader and says what to do next; it is never the text of an error. The
//! error itself, with everything behind it, is logged once, by [`Problem::render`], under the request's
//! id. Nothing in a problem is secret, and nothing of a refused body is in it.

mod code;
mod from;

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use serde_json::Value;

use super::pages::Page;

pub use self::code::Code;
pub(super) use self::from::fault_code;

/// The media type of a problem.
pub(super) const CONTENT_TYPE: &str = "application/problem+json";

/// A problem on its way to the client.
pub(super) struct Problem(Box<Inner>);

struct Inner {
    code: Code,
    status: StatusCode,
    detail: Cow<'static, str>,
    members: Vec<(&'static str, Value)>,
    headers: Vec<(HeaderName, HeaderValue)>,
    page: Option<Page>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl Problem {
    /// The problem with the words of its code.
    pub(super) fn new(code: Code) -> Self {
        let mut headers = Vec::new();
        if code.status() == StatusCode::UNAUTHORIZED {
            // RFC 6750 §3.1: no error attribute where nothing was presented.
            let challenge = match code {
                Code::CredentialsMissing => "Bearer realm=\"locum\"",
                _ => "Bearer realm=\"locum\", error=\"invalid_token\"",
            };
            headers.push((header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge)));
        }
        Self(Box::new(Inner {
            code,
            status: code.status(),
            detail: Cow::Borrowed(code.detail()),
            members: Vec::new(),
            headers,
            page: None,
            source: None,
        }))
    }

    /// Words of its own instead of the code's.
    pub(super) fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.0.detail = detail.into();
        self
    }

    /// The other status that the code's row allows.
    pub(super) fn status(mut self, status: StatusCode) -> Self {
        self.0.status = status;
        self
    }

    /// An extension member (RFC 9457 §3.2).
    pub(super) fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.0.members.push((name, value.into()));
        self
    }

    /// A header.
    pub(super) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// When to try again, in whole seconds, at least one.
    pub(super) fn retry_after(self, after: Duration) -> Self {
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        self.header(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)))
    }

    /// Shown as this page: a browser asks.
    pub(super) fn paged(mut self, page: Page) -> Self {
        self.0.page = Some(page);
        self
    }

    /// What led to it, for the log alone.
    pub(super) fn because(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.0.source = Some(Box::new(source));
        self
    }

    /// Its code.
    pub(super) fn code(&self) -> Code {
        self.0.code
    }

    /// An extension member, to look at.
    #[cfg(test)]
    pub(super) fn member(&self, name: &str) -> Option<&Value> {
        self.0.members.iter().find(|(own, _)| *own == name).map(|(_, value)| value)
    }

    /// The answer with the id of its request.
    pub(super) fn render(&self, request_id: &str) -> Rendered {
        let inner = &*self.0;
        let mut headers = HeaderMap::new();
        let body = match &inner.page {
            Some(page) => {
                page.put_headers(&mut headers);
                page.body().into()
            }
            None => {
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
                self.body(request_id)
            }
        };
        for (name, value) in &inner.headers {
            headers.insert(name.clone(), value.clone());
        }
        Rendered { status: inner.status, headers, body }
    }

    fn body(&self, request_id: &str) -> Vec<u8> {
        let inner = &*self.0;
        let body = Body {
            r#type: format_args!("urn:locum:problem:{}", inner.code.as_str()),
            title: inner.code.title(),
            status: inner.status.as_u16(),
            detail: &inner.detail,
            code: inner.code.as_str(),
            request_id,
            retryable: inner.code.retryable(),
            members: inner.members.iter().map(|(name, value)| (*name, value)).collect(),
        };
        serde_json::to_vec(&body).expect("texts, numbers and JSON values are always JSON")
    }

    /// Says in the log what went wrong: once, here, with the whole chain behind it.
    pub(super) fn log(&self, request_id: &str, route: &str) {
        let inner = &*self.0;
        let (code, status) = (inner.code.as_str(), inner.status.as_u16());
        let because = Chain(inner.source.as_deref().map(|source| source as &dyn Error));
        if inner.status.is_server_error() && !inner.code.retryable() || inner.code == Code::Internal {
            tracing::error!(request_id, route, status, code, "a request failed{because}");
        } else if inner.status.is_server_error() {
            tracing::warn!(request_id, route, status, code, "a request failed for now{because}");
        } else if inner.code == Code::RateLimited {
            tracing::debug!(request_id, route, status, code, "a request was refused{because}");
        } else {
            tracing::info!(request_id, route, status, code, "a request was refused{because}");
        }
    }
}

/// A problem ready to be put into a response.
pub(super) struct Rendered {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Rendered {
    /// Makes `response` this answer. Keeps the headers it has: CORS's above all.
    pub(super) fn put_into<B>(self, response: HttpResponse<B>) -> HttpResponse {
        let mut response = response.set_body(self.body).map_into_boxed_body();
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        for (name, value) in self.headers {
            headers.insert(name, value);
        }
        response
    }
}

#[derive(serde::Serialize)]
struct Body<'a> {
    r#type: fmt::Arguments<'a>,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    request_id: &'a str,
    retryable: bool,
    #[serde(flatten)]
    members: std::collections::BTreeMap<&'static str, &'a Value>,
}

/// An error with everything behind it, each once.
struct Chain<'a>(Option<&'a dyn Error>);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last = String::new();
        let mut next = self.0;
        while let Some(error) = next {
            let text = error.to_string();
            // A transparent error says what its source says.
            if text != last {
                write!(f, ": {text}")?;
            }
            last = text;
            next = error.source();
        }
        Ok(())
    }
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Problem({}{})", self.0.code.as_str(), Chain(self.0.source.as_deref().map(|e| e as _)))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.code.as_str())
    }
}

/// What actix asks for. The middleware renders every problem anew, with the request's id; this form is
/// seen only if a problem arises outside of it.
impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.0.status
    }

    fn error_response(&self) -> HttpResponse {
        self.render("").put_into(HttpResponse::new(self.0.status))
    }
}

#[cfg(test)]
mod tests;
