//! Answers as plain values: what an endpoint says before HTTP carries it. Logic returns them, routes
//! send them, tests read them.

use serde_json::{Value, json};

use crate::clock::Timestamp;

/// A complete answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The media type of the body.
    pub content_type: &'static str,
    /// Further header fields.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
}

impl Reply {
    /// JSON with the header fields Google puts on every answer that may hold a token.
    pub fn private(status: u16, body: &impl serde::Serialize) -> Self {
        let fixed = [
            ("cache-control", "no-cache, no-store, max-age=0, must-revalidate"),
            ("pragma", "no-cache"),
            ("expires", "Mon, 01 Jan 1990 00:00:00 GMT"),
            ("vary", "Origin, X-Origin, Referer"),
            ("x-content-type-options", "nosniff"),
        ];
        let headers = fixed.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
        Self { headers, ..Self::json(status, body) }
    }

    /// JSON that a cache may keep for `max_age` seconds, of which `age` have gone by (RFC 9111 §5).
    /// Without `max_age` there is no caching header at all.
    pub fn cacheable(now: Timestamp, max_age: Option<u64>, age: u64, body: &impl serde::Serialize) -> Self {
        let mut reply = Self::json(200, body);
        if let Some(max_age) = max_age {
            let seconds = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
            let made = now.plus(-seconds(age));
            reply.headers = vec![
                ("cache-control", format!("public, max-age={max_age}, must-revalidate, no-transform")),
                ("age", age.to_string()),
                ("date", http_date(made)),
                ("expires", http_date(made.plus(seconds(max_age)))),
            ];
        }
        reply
    }

    /// Plain JSON.
    pub fn json(status: u16, body: &impl serde::Serialize) -> Self {
        let body = serde_json::to_string(body).expect("values made here have text keys and finite numbers");
        Self { status, content_type: "application/json; charset=utf-8", headers: Vec::new(), body }
    }

    /// No body.
    pub fn empty(status: u16) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", headers: Vec::new(), body: String::new() }
    }

    /// A page.
    pub fn page(status: u16, page: maud::Markup) -> Self {
        Self {
            status,
            content_type: "text/html; charset=utf-8",
            headers: Vec::new(),
            body: page.into_string(),
        }
    }

    /// A redirect of a browser (RFC 9110 §15.4.3).
    pub fn redirect(to: &url::Url) -> Self {
        let headers = vec![("location", to.to_string()), ("cache-control", "no-store".to_owned())];
        Self { status: 302, content_type: "text/plain; charset=utf-8", headers, body: String::new() }
    }

    /// An error of the control interface: a code and a sentence that says what to do.
    pub fn refuse(status: u16, code: &str, detail: &str) -> Self {
        Self::json(status, &json!({ "error": code, "detail": detail }))
    }

    /// The value of a header field.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The body as JSON; `null` when it is none.
    pub fn value(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }
}

/// An IMF-fixdate (RFC 9110 §5.6.7).
pub(super) fn http_date(time: Timestamp) -> String {
    jiff::Timestamp::from_second(time.unix())
        .ok()
        .and_then(|time| jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&time).ok())
        .unwrap_or_else(|| "Thu, 01 Jan 1970 00:00:00 GMT".to_owned())
}

/// An error of an OAuth endpoint, worded as Google words it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// `error`.
    pub error: &'static str,
    /// `error_description`; left out when empty.
    pub description: String,
    /// `error_subtype`.
    pub subtype: Option<&'static str>,
}

impl Refusal {
    /// An error without subtype.
    pub fn new(status: u16, error: &'static str, description: impl Into<String>) -> Self {
        Self { status, error, description: description.into(), subtype: None }
    }

    /// `invalid_grant`.
    pub fn grant(description: &str) -> Self {
        Self::new(400, "invalid_grant", description)
    }

    /// `invalid_request`.
    pub fn request(description: impl Into<String>) -> Self {
        Self::new(400, "invalid_request", description)
    }

    /// A Workspace session that ran out (`invalid_rapt`).
    pub fn reauth() -> Self {
        Self { subtype: Some("invalid_rapt"), ..Self::grant("reauth related error (invalid_rapt)") }
    }
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Self {
        let mut body = json!({ "error": refusal.error });
        if !refusal.description.is_empty() {
            body["error_description"] = refusal.description.into();
        }
        if let Some(subtype) = refusal.subtype {
            body["error_subtype"] = subtype.into();
            body["error_uri"] = "https://support.google.com/a/answer/9368756".into();
        }
        Self::private(refusal.status, &body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cached_answer_was_made_in_the_past() {
        let now = Timestamp::from_unix(1_795_368_972);
        let reply = Reply::cacheable(now, Some(600), 60, &json!({}));
        assert_eq!(reply.header("Age"), Some("60"));
        assert_eq!(reply.header("Date"), Some("Sun, 22 Nov 2026 17:35:12 GMT"));
        assert_eq!(reply.header("Expires"), Some("Sun, 22 Nov 2026 17:45:12 GMT"));
        assert!(Reply::cacheable(now, None, 60, &json!({})).headers.is_empty());
    }
}
