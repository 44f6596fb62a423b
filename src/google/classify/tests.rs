//! Google's error table row by row, and what else may come.

use serde_json::json;

use super::*;
use BlockCause::{AdminPolicy, OrgInternal};
use Call::{Exchange, Fetch, Refresh, Revoke};
use GoogleError::{
    Blocked, ClientFault as Client, CodeRefused, GrantDead, NeedsUser, NotAnAnswer, ScopeRefused,
};

fn read(call: Call, status: u16, error: &str, description: &str) -> GoogleError {
    let body = json!({ "error": error, "error_description": description }).to_string();
    classify(call, status, body.as_bytes(), None)
}

fn refused(error: &str) -> GoogleError {
    GoogleError::Refused { error: error.to_owned() }
}

fn outage(what: Outage, outcome_unknown: bool) -> GoogleError {
    GoogleError::Unavailable { retry_after: None, outcome_unknown, what }
}

/// Every row of the table with the calls it can answer.
#[test]
fn the_error_table() {
    let dead = |cause| GrantDead(cause);
    let rapt = || NeedsUser(ConsentCause::ReauthRequired);
    let rows = [
        (Exchange, 400, "invalid_grant", "Malformed auth code.", CodeRefused(CodeRefusal::Malformed)),
        (Exchange, 400, "invalid_grant", "Bad Request", CodeRefused(CodeRefusal::SpentOrExpired)),
        (Refresh, 400, "invalid_grant", "Bad Request", dead(DeathCause::Rejected)),
        (
            Refresh,
            400,
            "invalid_grant",
            "Token has been expired or revoked.",
            dead(DeathCause::ExpiredOrRevoked),
        ),
        (Exchange, 400, "invalid_grant", "Missing code verifier.", CodeRefused(CodeRefusal::VerifierMissing)),
        (Exchange, 400, "invalid_grant", "Invalid code verifier.", CodeRefused(CodeRefusal::VerifierWrong)),
        (Refresh, 400, "invalid_grant", "reauth related error (invalid_rapt)", rapt()),
        (Refresh, 400, "invalid_grant", "reauth related error (rapt_required)", rapt()),
        (Refresh, 400, "invalid_grant", "Account has been deleted", dead(DeathCause::AccountDeleted)),
        (Refresh, 400, "invalid_grant", "Account disabled", dead(DeathCause::AccountDisabled)),
        (
            Exchange,
            400,
            "redirect_uri_mismatch",
            "Bad Request",
            CodeRefused(CodeRefusal::RedirectUriMismatch),
        ),
        (Exchange, 400, "invalid_request", "Missing required parameter: code", refused("invalid_request")),
        (Exchange, 400, "invalid_request", "Missing parameter: redirect_uri", refused("invalid_request")),
        (
            Exchange,
            400,
            "invalid_request",
            "Could not determine client ID from request.",
            refused("invalid_request"),
        ),
        (Exchange, 400, "invalid_request", "client_secret is missing.", Client(ClientFault::WrongSecret)),
        (Exchange, 400, "invalid_request", "Bad Request", refused("invalid_request")),
        (
            Exchange,
            400,
            "unsupported_grant_type",
            "Invalid grant_type: foo",
            refused("unsupported_grant_type"),
        ),
        (Refresh, 400, "invalid_scope", "Some requested scopes were invalid.", ScopeRefused),
        (Refresh, 400, "admin_policy_enforced", "", Blocked(AdminPolicy)),
        (Exchange, 401, "invalid_client", "The OAuth client was not found.", Client(ClientFault::NotFound)),
        (Exchange, 401, "invalid_client", "Unauthorized", Client(ClientFault::WrongSecret)),
        (
            Exchange,
            401,
            "invalid_client",
            "The provided client secret is invalid.",
            Client(ClientFault::WrongSecret),
        ),
        (Exchange, 401, "deleted_client", "The OAuth client was deleted.", Client(ClientFault::Deleted)),
        (Exchange, 401, "invalid_client", "The OAuth client was deleted.", Client(ClientFault::Deleted)),
        (Exchange, 401, "disabled_client", "The OAuth client was disabled.", Client(ClientFault::Disabled)),
        (Exchange, 401, "invalid_client", "The OAuth client was disabled.", Client(ClientFault::Disabled)),
        (Exchange, 401, "unauthorized_client", "Unauthorized", Client(ClientFault::Unauthorized)),
        (Exchange, 403, "org_internal", "", Blocked(OrgInternal)),
        (Exchange, 403, "access_denied", "Forbidden", refused("access_denied")),
        (Exchange, 403, "slow_down", "Forbidden", refused("slow_down")),
        (Exchange, 428, "authorization_pending", "Precondition Required", refused("authorization_pending")),
        (Revoke, 400, "invalid_token", "Token expired or revoked", refused("invalid_token")),
        (Revoke, 400, "invalid_request", "", refused("invalid_request")),
    ];
    for (call, status, error, description, expected) in rows {
        assert_eq!(read(call, status, error, description), expected, "{call:?} {error} {description}");
    }
}

#[test]
fn what_means_the_same_for_exchange_and_refresh() {
    for (error, description) in [
        ("invalid_client", "Unauthorized"),
        ("invalid_client", "The OAuth client was not found."),
        ("deleted_client", ""),
        ("disabled_client", ""),
        ("unauthorized_client", "Unauthorized"),
        ("admin_policy_enforced", ""),
        ("org_internal", ""),
        ("invalid_scope", ""),
    ] {
        assert_eq!(
            read(Exchange, 400, error, description),
            read(Refresh, 401, error, description),
            "{error}"
        );
    }
}

#[test]
fn the_subtype_alone_demands_a_sign_in() {
    for subtype in ["invalid_rapt", "rapt_required"] {
        let body = json!({
            "error": "invalid_grant", "error_description": "Bad Request", "error_subtype": subtype,
            "error_uri": "https://support.google.com/a/answer/9368756",
        })
        .to_string();
        let expected = NeedsUser(ConsentCause::ReauthRequired);
        assert_eq!(classify(Refresh, 400, body.as_bytes(), None), expected);
    }
}

#[test]
fn an_outage_wins_over_what_the_body_says() {
    for call in [Exchange, Refresh, Revoke, Fetch] {
        for status in [500, 501, 502, 503, 504, 520, 599, 408] {
            let expected = outage(Outage::ServerError(status), true);
            assert_eq!(read(call, status, "invalid_grant", "Token has been expired or revoked."), expected);
            assert_eq!(classify(call, status, b"<html>", None), expected);
            assert_eq!(classify(call, status, b"", None), expected);
        }
        let limited = outage(Outage::RateLimited, false);
        assert_eq!(read(call, 429, "invalid_grant", "Token has been expired or revoked."), limited);
        for status in [300, 301, 302, 303, 304, 307, 308] {
            let expected = outage(Outage::Redirected(status), false);
            assert_eq!(read(call, status, "invalid_grant", ""), expected);
        }
        for status in [200, 201, 204, 206] {
            assert_eq!(read(call, status, "invalid_grant", ""), NotAnAnswer);
        }
    }
}

#[test]
fn the_retryable_words_count_in_either_field_and_under_any_status() {
    for status in [400, 401, 403, 404] {
        for word in ["internal_failure", "server_error"] {
            let expected = outage(Outage::ServerError(status), true);
            assert_eq!(read(Refresh, status, word, ""), expected);
            assert_eq!(read(Refresh, status, "invalid_grant", word), expected);
        }
        for word in ["temporarily_unavailable", "rate_limit_exceeded"] {
            let expected = outage(Outage::RateLimited, false);
            assert_eq!(read(Refresh, status, word, ""), expected);
            assert_eq!(read(Refresh, status, "invalid_grant", word), expected);
        }
    }
    let quota = br#"{"error_code":"rate_limit_exceeded"}"#;
    assert_eq!(classify(Exchange, 403, quota, None), outage(Outage::RateLimited, false));
}

#[test]
fn the_error_object_of_googles_other_apis() {
    let rows = [
        (json!({ "error": { "code": 503, "status": "UNAVAILABLE" } }), outage(Outage::RateLimited, false)),
        (json!({ "error": { "code": 500, "status": "INTERNAL" } }), outage(Outage::ServerError(400), true)),
        (json!({ "error": { "status": "RESOURCE_EXHAUSTED" } }), outage(Outage::RateLimited, false)),
        (
            json!({ "error": { "errors": [{ "reason": "rateLimitExceeded" }] } }),
            outage(Outage::RateLimited, false),
        ),
        (
            json!({ "error": { "errors": [{ "reason": "backendError" }] } }),
            outage(Outage::ServerError(400), true),
        ),
        (json!({ "error": { "code": 403, "status": "PERMISSION_DENIED" } }), refused("permission_denied")),
        (json!({ "error": { "errors": [{ "reason": "notFound" }] } }), refused("notfound")),
        (json!({ "error": null, "error_code": "invalid_scope" }), ScopeRefused),
    ];
    for (body, expected) in rows {
        assert_eq!(classify(Refresh, 400, body.to_string().as_bytes(), None), expected, "{body}");
    }
}

#[test]
fn what_holds_no_error_word_is_an_outage_and_kills_nothing() {
    let deep = "[".repeat(10_000);
    let huge = format!("{{\"error_description\":\"{}\"}}", "x".repeat(100_000));
    let bodies = [
        "",
        " ",
        "invalid_grant",
        "\"invalid_grant\"",
        "error=invalid_grant",
        "<html><title>400</title>invalid_grant</html>",
        "{\"error\":\"invalid_grant\"",
        "{\"error\":\"invalid_gra",
        "{\"error\":\"invalid_grant\"} x",
        "{error:'invalid_grant'}",
        "[]",
        "[\"invalid_grant\"]",
        "[{\"error\":\"invalid_grant\"}]",
        "null",
        "400",
        "1e999",
        "{}",
        "{\"error\":null}",
        "{\"error\":\"\"}",
        "{\"error\":\"  \"}",
        "{\"error\":400}",
        "{\"error\":true}",
        "{\"error\":[\"invalid_grant\"]}",
        "{\"error\":{}}",
        "{\"error\":{\"code\":400}}",
        "{\"error\":{\"error\":\"invalid_grant\"}}",
        "{\"error\":{\"status\":5,\"errors\":[]}}",
        "{\"error\":123456789012345678901234567890}",
        "{\"Error\":\"invalid_grant\"}",
        "{\"errors\":[\"invalid_grant\"]}",
        "{\"error_description\":\"Token has been expired or revoked.\"}",
        "{\"error_code\":7}",
        "\u{feff}{\"error\":\"invalid_grant\"}",
        &deep,
        &huge,
    ];
    for body in bodies {
        for call in [Exchange, Refresh, Revoke, Fetch] {
            for status in [400, 401, 403, 404, 413] {
                let expected = outage(Outage::Unintelligible(status), false);
                let start = &body[..body.len().min(60)];
                assert_eq!(classify(call, status, body.as_bytes(), None), expected, "{start}");
            }
        }
    }
    let not_text = classify(Refresh, 400, b"{\"error\":\"invalid_grant\xff\"}", None);
    assert_eq!(not_text, outage(Outage::Unintelligible(400), false));
}

#[test]
fn a_public_document_has_no_oauth_errors() {
    assert_eq!(read(Fetch, 404, "invalid_grant", ""), outage(Outage::Unintelligible(404), false));
}

#[test]
fn descriptions_of_other_types_are_no_obstacle() {
    for description in ["null", "7", "[]", "{\"a\":1}", "true"] {
        let body = format!("{{\"error\":\"invalid_grant\",\"error_description\":{description}}}");
        assert_eq!(classify(Refresh, 400, body.as_bytes(), None), GrantDead(DeathCause::Rejected));
    }
    assert_eq!(
        classify(Refresh, 400, br#"{"error":"invalid_grant"}"#, None),
        GrantDead(DeathCause::Rejected)
    );
    assert_eq!(read(Refresh, 400, " Invalid_Grant ", ""), GrantDead(DeathCause::Rejected));
}

#[test]
fn no_text_of_the_answer_passes_through() {
    let long = "a".repeat(65);
    for word in ["1//0EXAMPLE-token", "ya29.secret", "with space", "line\nend", "äöü", "<b>", "a/b", &long]
    {
        assert_eq!(read(Refresh, 400, word, "secret"), refused("unknown"), "{word}");
    }
    assert_eq!(read(Refresh, 400, &"a".repeat(64), ""), refused(&"a".repeat(64)));
}

#[test]
fn the_wait_is_passed_on() {
    let wait = Some(Duration::from_secs(7));
    for (status, body) in [(503, ""), (429, ""), (400, r#"{"error":"temporarily_unavailable"}"#), (404, "")] {
        let error = classify(Refresh, status, body.as_bytes(), wait);
        assert!(
            matches!(error, GoogleError::Unavailable { retry_after, .. } if retry_after == wait),
            "{status}"
        );
    }
}
