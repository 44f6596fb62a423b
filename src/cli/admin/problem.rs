//! What the server refused, as words and an exit code.

use serde::Deserialize;

use crate::cli::{Exit, Failure};

/// The members of a problem (RFC 9457) that a command looks at.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Problem {
    title: String,
    detail: String,
    code: String,
    retryable: bool,
}

/// Turns an answer that is no success into a failure.
pub(super) fn failure(status: u16, body: &[u8]) -> Failure {
    let document: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let problem: Problem =
        document.clone().and_then(|document| serde_json::from_value(document).ok()).unwrap_or_default();
    let exit = exit(status, &problem);
    let error = match problem {
        Problem { title, .. } if title.is_empty() => {
            anyhow::anyhow!(
                "the server answered {status} without saying why; is it another version of locum?"
            )
        }
        Problem { title, detail, code, .. } if detail.is_empty() => anyhow::anyhow!("{title} ({code})"),
        Problem { title, detail, code, .. } => anyhow::anyhow!("{title}: {detail} ({code})"),
    };
    Failure { exit, error, problem: document }
}

fn exit(status: u16, problem: &Problem) -> Exit {
    match (status, problem.code.as_str()) {
        (
            _,
            "consent_required"
            | "consent_denied"
            | "scope_missing"
            | "storage_full"
            | "drive_setting_needed"
            | "mirror_held"
            | "mirror_needs_person",
        ) => Exit::NeedsPerson,
        (429 | 503, _) => Exit::TryLater,
        _ if problem.retryable => Exit::TryLater,
        (400 | 422, _) | (_, "client_ambiguous" | "user_ambiguous") => Exit::Usage,
        _ => Exit::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_becomes_words_and_an_exit_code() {
        for (status, code, retryable, expected) in [
            (409, "consent_required", false, Exit::NeedsPerson),
            (403, "scope_missing", false, Exit::NeedsPerson),
            (507, "storage_full", false, Exit::NeedsPerson),
            (502, "drive_setting_needed", false, Exit::NeedsPerson),
            (412, "precondition_failed", false, Exit::Failed),
            (503, "google_unavailable", true, Exit::TryLater),
            (429, "rate_limited", true, Exit::TryLater),
            (409, "client_ambiguous", false, Exit::Usage),
            (404, "user_not_found", false, Exit::Failed),
            (500, "internal_error", false, Exit::Failed),
            (500, "interrupted", true, Exit::TryLater),
        ] {
            let body = serde_json::json!({
                "title": "T", "detail": "D.", "code": code, "retryable": retryable, "request_id": "r",
            });
            let failure = failure(status, body.to_string().as_bytes());
            assert_eq!(failure.exit, expected, "{code}");
            assert_eq!(failure.error.to_string(), format!("T: D. ({code})"));
        }
    }

    #[test]
    fn an_answer_without_a_problem_is_told_as_such() {
        for body in ["", "<html>", "[]", "{}"] {
            let failure = failure(502, body.as_bytes());
            assert_eq!(failure.exit, Exit::Failed);
            assert!(failure.error.to_string().contains("502"), "{body}");
        }
    }
}
