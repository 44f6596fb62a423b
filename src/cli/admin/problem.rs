//! What the server refused, as words and an exit code.

use std::collections::BTreeMap;

use http::HeaderMap;
use http::header::RETRY_AFTER;
use serde::Deserialize;
use serde_json::Value;

use crate::cli::{Exit, Failure, output};

/// The members of a problem (RFC 9457) that a command looks at.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Problem {
    title: String,
    detail: String,
    code: String,
    retryable: bool,
    /// What the detail may speak of.
    #[serde(flatten)]
    more: BTreeMap<String, Value>,
}

/// Members that say nothing that the words and the exit code do not.
const SAID: [&str; 2] = ["type", "status"];

/// Turns an answer that is no success into a failure.
pub(super) fn failure(status: u16, headers: &HeaderMap, body: &[u8]) -> Failure {
    let document: Option<Value> = serde_json::from_slice(body).ok();
    let problem: Problem =
        document.clone().and_then(|document| serde_json::from_value(document).ok()).unwrap_or_default();
    let exit = exit(status, &problem);
    let words = if problem.title.is_empty() {
        format!("the server answered {status} without saying why; is it another version of locum?")
    } else {
        words(status, headers, &problem)
    };
    Failure { exit, error: anyhow::Error::msg(words), problem: document }
}

/// The problem, and under it a line for each member that its detail may speak of.
fn words(status: u16, headers: &HeaderMap, problem: &Problem) -> String {
    let Problem { title, detail, code, more, .. } = problem;
    let mut words =
        if detail.is_empty() { format!("{title} ({code})") } else { format!("{title}: {detail} ({code})") };
    let mut line = |name: &str, value: &str| {
        words.push_str(&format!("\n  {name}: {}", output::plain(value)));
    };
    for (name, value) in more {
        // The log has more to say under this id only where the server is at fault.
        if SAID.contains(&name.as_str()) || name == "request_id" && status < 500 {
            continue;
        }
        if let Some(text) = text(value) {
            line(name, &text);
        }
    }
    if let Some(seconds) = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()) {
        line("try again", &format!("in {seconds} seconds"));
    }
    words
}

/// A member as a person reads it; `None` for what only programs do.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(is) => Some(is.to_string()),
        Value::Array(list) if !list.is_empty() => {
            list.iter().map(text).collect::<Option<Vec<_>>>().map(|texts| texts.join(", "))
        }
        Value::Array(_) | Value::Object(_) | Value::Null => None,
    }
}

fn exit(status: u16, problem: &Problem) -> Exit {
    match (status, problem.code.as_str()) {
        (
            _,
            "client_paused"
            | "consent_required"
            | "consent_denied"
            | "scope_missing"
            | "storage_full"
            | "drive_setting_needed"
            | "mirror_held"
            | "mirror_needs_person",
        ) => Exit::NeedsPerson,
        (429 | 503, _) => Exit::TryLater,
        _ if problem.retryable => Exit::TryLater,
        (400 | 422, _) | (_, "client_ambiguous" | "client_unknown" | "user_ambiguous") => Exit::Usage,
        _ => Exit::Failed,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_problem_becomes_words_and_an_exit_code() {
        for (status, code, retryable, expected) in [
            (409, "consent_required", false, Exit::NeedsPerson),
            (403, "scope_missing", false, Exit::NeedsPerson),
            (507, "storage_full", false, Exit::NeedsPerson),
            (502, "drive_setting_needed", false, Exit::NeedsPerson),
            (503, "client_paused", true, Exit::NeedsPerson),
            (412, "precondition_failed", false, Exit::Failed),
            (503, "google_unavailable", true, Exit::TryLater),
            (429, "rate_limited", true, Exit::TryLater),
            (409, "client_ambiguous", false, Exit::Usage),
            (404, "client_unknown", false, Exit::Usage),
            (404, "user_not_found", false, Exit::Failed),
            (500, "internal_error", false, Exit::Failed),
            (500, "interrupted", true, Exit::TryLater),
        ] {
            let body = json!({ "title": "T", "detail": "D.", "code": code, "retryable": retryable });
            let failure = failure(status, &HeaderMap::new(), body.to_string().as_bytes());
            assert_eq!(failure.exit, expected, "{code}");
            assert_eq!(failure.error.to_string(), format!("T: D. ({code})"));
        }
    }

    #[test]
    fn what_the_detail_speaks_of_is_there() {
        let problem = |status| {
            json!({
                "type": "urn:locum:problem:c", "title": "T", "detail": "D.", "status": status, "code": "c", "retryable": false,
                "request_id": "r1", "clients": ["main", "second"], "connect_url": null, "cause": "a\u{1b}[2J", "left": 3,
            })
        };
        let told = |status: u16, headers: &HeaderMap| {
            failure(status, headers, problem(status).to_string().as_bytes()).error.to_string()
        };
        let lines = "T: D. (c)\n  cause: a\u{fffd}[2J\n  clients: main, second\n  left: 3";
        assert_eq!(told(409, &HeaderMap::new()), lines);
        let headers = HeaderMap::from_iter([(RETRY_AFTER, http::HeaderValue::from_static("7"))]);
        assert_eq!(told(503, &headers), format!("{lines}\n  request_id: r1\n  try again: in 7 seconds"));
    }

    #[test]
    fn an_answer_without_a_problem_is_told_as_such() {
        for body in ["", "<html>", "[]", "{}"] {
            let failure = failure(502, &HeaderMap::new(), body.as_bytes());
            assert_eq!(failure.exit, Exit::Failed);
            assert!(failure.error.to_string().contains("502"), "{body}");
        }
    }
}
