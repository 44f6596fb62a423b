//! The one reading of an answer that is not a success.
//!
//! The order matters: a status that means an outage wins over any word in the body, a word that
//! means an outage wins over the rest, and only then does the call decide what `invalid_grant`
//! says. Google's descriptions are not part of its contract, so each has a fallback that does no
//! harm when the wording changes.

use std::time::Duration;

use serde_json::Value;

use super::error::{Call, ClientFault, CodeRefusal, GoogleError, Outage};
use crate::grant::{BlockCause, ConsentCause, DeathCause};

/// What an answer with this status and body means for this call.
///
/// A 2xx status given here is a success whose content could not be read.
pub(super) fn classify(call: Call, status: u16, body: &[u8], retry_after: Option<Duration>) -> GoogleError {
    let unavailable = |what, outcome_unknown| GoogleError::Unavailable { retry_after, outcome_unknown, what };
    match status {
        200..=299 => return GoogleError::NotAnAnswer,
        300..=399 => return unavailable(Outage::Redirected(status), false),
        // Google may have done its work before it failed.
        408 | 500.. => return unavailable(Outage::ServerError(status), true),
        429 => return unavailable(Outage::RateLimited, false),
        _ => {}
    }
    let Some(refusal) = Refusal::parse(body).filter(|_| call != Call::Fetch) else {
        return unavailable(Outage::Unintelligible(status), false);
    };
    match refusal.outage() {
        Some(Pressure::Failure) => unavailable(Outage::ServerError(status), true),
        Some(Pressure::Overload) => unavailable(Outage::RateLimited, false),
        None => refusal.meaning(call),
    }
}

/// What an outage's word says about the request: perhaps carried out, or turned away.
enum Pressure {
    Failure,
    Overload,
}

/// An OAuth error (RFC 6749 §5.2), in lower case.
struct Refusal {
    error: String,
    description: String,
    subtype: String,
}

impl Refusal {
    /// Reads the forms Google uses: `error` as a word, `error` as the object of its other APIs, or
    /// `error_code` alone (device quota). `None` when there is no word in any of them.
    fn parse(body: &[u8]) -> Option<Self> {
        let body: Value = serde_json::from_slice(body).ok()?;
        let text = |name| body.get(name).and_then(Value::as_str);
        let error = match body.get("error") {
            Some(Value::String(word)) => Some(word.as_str()),
            Some(Value::Object(object)) => object
                .get("status")
                .and_then(Value::as_str)
                .or_else(|| object.get("errors")?.get(0)?.get("reason")?.as_str()),
            None | Some(Value::Null) => text("error_code"),
            Some(_) => None,
        };
        let lower = |text: &str| text.trim().to_ascii_lowercase();
        let error = error.map(lower).filter(|word| !word.is_empty())?;
        Some(Self {
            error,
            description: text("error_description").map(lower).unwrap_or_default(),
            subtype: text("error_subtype").map(lower).unwrap_or_default(),
        })
    }

    /// Words that mean "later", in either field and under any status: the three that Google's own
    /// libraries retry on, the device endpoint's, and those of Google's other APIs.
    fn outage(&self) -> Option<Pressure> {
        [&self.error, &self.description].into_iter().find_map(|word| match word.as_str() {
            "internal_failure" | "server_error" | "internal" | "deadline_exceeded" | "backenderror" => {
                Some(Pressure::Failure)
            }
            "temporarily_unavailable"
            | "unavailable"
            | "rate_limit_exceeded"
            | "ratelimitexceeded"
            | "userratelimitexceeded"
            | "resource_exhausted" => Some(Pressure::Overload),
            _ => None,
        })
    }

    fn meaning(&self, call: Call) -> GoogleError {
        match (self.error.as_str(), call) {
            ("invalid_grant", Call::Exchange) => GoogleError::CodeRefused(self.code_refusal()),
            ("invalid_grant", Call::Refresh) => self.grant_refusal(),
            ("redirect_uri_mismatch", Call::Exchange) => {
                GoogleError::CodeRefused(CodeRefusal::RedirectUriMismatch)
            }
            ("invalid_scope", _) => GoogleError::ScopeRefused,
            ("admin_policy_enforced", _) => GoogleError::Blocked(BlockCause::AdminPolicy),
            ("org_internal", _) => GoogleError::Blocked(BlockCause::OrgInternal),
            _ => match self.client_fault() {
                Some(fault) => GoogleError::ClientFault(fault),
                None => GoogleError::Refused { error: self.sanitised() },
            },
        }
    }

    fn says(&self, words: &str) -> bool {
        self.description.contains(words)
    }

    fn code_refusal(&self) -> CodeRefusal {
        if self.says("malformed auth code") {
            CodeRefusal::Malformed
        } else if self.says("missing code verifier") {
            CodeRefusal::VerifierMissing
        } else if self.says("invalid code verifier") {
            CodeRefusal::VerifierWrong
        } else {
            CodeRefusal::SpentOrExpired
        }
    }

    fn grant_refusal(&self) -> GoogleError {
        let rapt = |text: &str| text.contains("invalid_rapt") || text.contains("rapt_required");
        if rapt(&self.subtype) || rapt(&self.description) {
            return GoogleError::NeedsUser(ConsentCause::ReauthRequired);
        }
        GoogleError::GrantDead(if self.says("expired or revoked") {
            DeathCause::ExpiredOrRevoked
        } else if self.says("account") && self.says("deleted") {
            DeathCause::AccountDeleted
        } else if self.says("account") && self.says("disabled") {
            DeathCause::AccountDisabled
        } else {
            DeathCause::Rejected
        })
    }

    fn client_fault(&self) -> Option<ClientFault> {
        match self.error.as_str() {
            "invalid_client" if self.says("oauth client was not found") => Some(ClientFault::NotFound),
            "invalid_client" if self.says("client was deleted") => Some(ClientFault::Deleted),
            "invalid_client" if self.says("client was disabled") => Some(ClientFault::Disabled),
            "invalid_client" => Some(ClientFault::WrongSecret),
            "invalid_request" if self.says("client_secret is missing") => Some(ClientFault::WrongSecret),
            "deleted_client" => Some(ClientFault::Deleted),
            "disabled_client" => Some(ClientFault::Disabled),
            "unauthorized_client" => Some(ClientFault::Unauthorized),
            _ => None,
        }
    }

    /// The error word if it is one; a text that could echo something else is not passed on at all.
    fn sanitised(&self) -> String {
        let word = self.error.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        if word && self.error.len() <= 64 { self.error.clone() } else { "unknown".to_owned() }
    }
}

#[cfg(test)]
mod tests;
