//! The one reading of an answer of Drive's that is not a success.
//!
//! A status that means an outage wins over any word in the body, then a word that has a meaning of its own,
//! then the status. What does not look like Drive's own error (HTML, nothing, another service's JSON) is
//! an outage: a proxy's "not found" must never be taken for Drive's.

use std::time::Duration;

use http::HeaderMap;
use http::header::{CONTENT_RANGE, WWW_AUTHENTICATE};
use serde_json::Value;

use super::super::error::Outage;
use super::error::DriveError;
use super::range::ContentRange;

/// What an answer with this status means. `paged`: the request showed a page token.
///
/// A 2xx status given here is a success whose content could not be read.
pub(super) fn classify(
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
    retry_after: Option<Duration>,
    paged: bool,
) -> DriveError {
    let unavailable = |what| DriveError::Unavailable { retry_after, what };
    match status {
        200..=299 => return DriveError::NotAnAnswer,
        300..=399 => return unavailable(Outage::Redirected(status)),
        401 => return DriveError::TokenRefused,
        408 | 500.. => return unavailable(Outage::ServerError(status)),
        416 => {
            let field = headers.get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
            let size = field.and_then(ContentRange::parse).and_then(|range| range.size);
            return DriveError::RangeNotSatisfiable { size };
        }
        _ => {}
    }
    let said = Said::parse(body);
    let meaning =
        said.iter().flat_map(|said| &said.words).find_map(|word| meaning(word, status, retry_after));
    if let Some(meaning) = meaning {
        return meaning;
    }
    match (status, said) {
        (429, _) => DriveError::RateLimited { retry_after },
        (403, _) if scope_is_missing(headers) => DriveError::ScopeMissing,
        (_, None) => unavailable(Outage::Unintelligible(status)),
        (404, _) => DriveError::NotFound,
        (409, _) => DriveError::IdInUse,
        (410, _) if paged => DriveError::PageTokenRefused,
        (400, Some(said)) if paged && said.blames_page_token() => DriveError::PageTokenRefused,
        (_, Some(said)) => DriveError::Refused { status, reason: said.reason() },
    }
}

/// Drive's error object.
struct Said {
    /// Every word that may say why: `errors[].reason`, the reasons of `details`, the status.
    words: Vec<String>,
    /// The parameter that is at fault.
    location: Option<String>,
}

impl Said {
    fn parse(body: &[u8]) -> Option<Self> {
        let body: Value = serde_json::from_slice(body).ok()?;
        let error = body.get("error")?.as_object()?;
        let list = |name| error.get(name).and_then(Value::as_array).into_iter().flatten();
        let text = |value: &Value, name: &str| Some(value.get(name)?.as_str()?.to_owned());
        let reasons = list("errors").chain(list("details")).filter_map(|entry| text(entry, "reason"));
        let status = error.get("status").and_then(Value::as_str).map(str::to_owned);
        Some(Self {
            words: reasons.chain(status).collect(),
            location: list("errors").find_map(|entry| text(entry, "location")),
        })
    }

    /// Whether a 400 is about the page token: Drive says so, or blames no parameter by name. All others are
    /// constant, so it cannot be another one.
    fn blames_page_token(&self) -> bool {
        self.location.as_deref().is_none_or(|location| location.eq_ignore_ascii_case("pageToken"))
    }

    /// The first word, if it is one; a text that could echo something else is not passed on at all.
    fn reason(&self) -> String {
        self.words.first().filter(|word| is_word(word)).cloned().unwrap_or_else(|| "unknown".to_owned())
    }
}

fn is_word(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_')
}

/// What a word means, in the spelling of `errors[].reason` or of `ErrorInfo`.
fn meaning(word: &str, status: u16, retry_after: Option<Duration>) -> Option<DriveError> {
    let plain = word.replace('_', "").to_ascii_lowercase();
    Some(match plain.as_str() {
        "ratelimitexceeded" | "userratelimitexceeded" | "resourceexhausted" => {
            DriveError::RateLimited { retry_after }
        }
        "backenderror" | "internalerror" | "internal" | "unavailable" => {
            DriveError::Unavailable { retry_after, what: Outage::ServerError(status) }
        }
        "dailylimitexceeded" | "dailylimitexceededunreg" => DriveError::DailyLimit,
        "storagequotaexceeded" | "quotaexceeded" => DriveError::StorageFull,
        "insufficientpermissions" | "accesstokenscopeinsufficient" => DriveError::ScopeMissing,
        "domainpolicy" => DriveError::PolicyForbids,
        "accessnotconfigured" | "servicedisabled" => DriveError::ApiDisabled,
        "fileidinuse" => DriveError::IdInUse,
        "insufficientfilepermissions"
        | "appnotauthorizedtofile"
        | "notsupportedforappdatafolderfiles"
        | "sharingratelimitexceeded"
        | "activeitemcreationlimitexceeded"
        | "numchildreninnonrootlimitexceeded"
        | "downloadquotaexceeded"
        | "filenotdownloadable"
        | "cannotdownloadabusivefile" => DriveError::NotAllowed { reason: word.to_owned() },
        _ => return None,
    })
}

/// RFC 6750 §3.1: `WWW-Authenticate: Bearer …, error="insufficient_scope"`.
fn scope_is_missing(headers: &HeaderMap) -> bool {
    let fields = headers.get_all(WWW_AUTHENTICATE);
    fields.iter().any(|value| value.to_str().is_ok_and(|text| text.contains("insufficient_scope")))
}

#[cfg(test)]
mod tests;
