//! The table of answers, as Drive and what stands before it give them.

use super::*;

fn body(code: u16, reason: &str, location: Option<&str>) -> String {
    let location = location
        .map_or_else(String::new, |name| format!(r#","location":"{name}","locationType":"parameter""#));
    format!(
        r#"{{"error":{{"code":{code},"message":"Words.","errors":[{{"message":"Words.","domain":"global","reason":"{reason}"{location}}}]}}}}"#
    )
}

fn newer(code: u16, status: &str, reason: &str) -> String {
    format!(
        r#"{{"error":{{"code":{code},"message":"Words.","status":"{status}","errors":[{{"reason":"forbidden"}}],
        "details":[{{"@type":"type.googleapis.com/google.rpc.Help"}},
        {{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"{reason}","domain":"googleapis.com"}}]}}}}"#
    )
}

fn read(status: u16, body: &str) -> DriveError {
    classify(status, &HeaderMap::new(), body.as_bytes(), None, false)
}

fn unavailable(what: Outage) -> DriveError {
    DriveError::Unavailable { retry_after: None, what }
}

#[test]
fn every_reason_has_its_outcome() {
    use DriveError as E;
    let rate = || E::RateLimited { retry_after: None };
    let not_allowed = |reason: &str| E::NotAllowed { reason: reason.to_owned() };
    let refused = |status, reason: &str| E::Refused { status, reason: reason.to_owned() };
    for (status, reason, expected) in [
        (400, "badRequest", refused(400, "badRequest")),
        (400, "invalid", refused(400, "invalid")),
        (400, "invalidParameter", refused(400, "invalidParameter")),
        (401, "authError", E::TokenRefused),
        (403, "rateLimitExceeded", rate()),
        (403, "userRateLimitExceeded", rate()),
        (403, "dailyLimitExceeded", E::DailyLimit),
        (403, "sharingRateLimitExceeded", not_allowed("sharingRateLimitExceeded")),
        (403, "storageQuotaExceeded", E::StorageFull),
        (403, "quotaExceeded", E::StorageFull),
        (403, "insufficientPermissions", E::ScopeMissing),
        (403, "insufficientFilePermissions", not_allowed("insufficientFilePermissions")),
        (403, "appNotAuthorizedToFile", not_allowed("appNotAuthorizedToFile")),
        (403, "domainPolicy", E::PolicyForbids),
        (403, "accessNotConfigured", E::ApiDisabled),
        (403, "notSupportedForAppDataFolderFiles", not_allowed("notSupportedForAppDataFolderFiles")),
        (403, "numChildrenInNonRootLimitExceeded", not_allowed("numChildrenInNonRootLimitExceeded")),
        (403, "fileNotDownloadable", not_allowed("fileNotDownloadable")),
        (403, "somethingNew", refused(403, "somethingNew")),
        (404, "notFound", E::NotFound),
        (409, "fileIdInUse", E::IdInUse),
        (409, "conflict", E::IdInUse),
        (412, "conditionNotMet", refused(412, "conditionNotMet")),
        (429, "rateLimitExceeded", rate()),
        (429, "dailyLimitExceeded", E::DailyLimit),
        (500, "backendError", unavailable(Outage::ServerError(500))),
        (403, "backendError", unavailable(Outage::ServerError(403))),
        (503, "rateLimitExceeded", unavailable(Outage::ServerError(503))),
    ] {
        assert_eq!(read(status, &body(status, reason, None)), expected, "{status} {reason}");
    }
}

#[test]
fn newer_bodies_are_read_too() {
    assert_eq!(
        read(403, &newer(403, "PERMISSION_DENIED", "ACCESS_TOKEN_SCOPE_INSUFFICIENT")),
        DriveError::ScopeMissing
    );
    assert_eq!(read(403, &newer(403, "PERMISSION_DENIED", "SERVICE_DISABLED")), DriveError::ApiDisabled);
    assert_eq!(
        read(403, &newer(403, "RESOURCE_EXHAUSTED", "RATE_LIMIT_EXCEEDED")),
        DriveError::RateLimited { retry_after: None }
    );
    let mut headers = HeaderMap::new();
    let value = r#"Bearer realm="https://accounts.google.com/", error="insufficient_scope", scope="x""#;
    headers.insert(WWW_AUTHENTICATE, value.parse().expect("a value"));
    assert_eq!(classify(403, &headers, b"", None, false), DriveError::ScopeMissing);
}

#[test]
fn what_is_not_drives_is_an_outage() {
    let html = "<html><title>404</title></html>";
    for status in [400, 403, 404, 409, 410] {
        for body in [html, "", "null", "[]", r#"{"error":"not_found"}"#, r#"{"message":"gone"}"#] {
            assert_eq!(read(status, body), unavailable(Outage::Unintelligible(status)), "{status} {body}");
        }
    }
    assert_eq!(read(302, html), unavailable(Outage::Redirected(302)));
    assert_eq!(read(502, html), unavailable(Outage::ServerError(502)));
    assert_eq!(read(429, html), DriveError::RateLimited { retry_after: None });
    assert_eq!(read(401, html), DriveError::TokenRefused);
    assert_eq!(read(200, html), DriveError::NotAnAnswer);
}

#[test]
fn a_bad_request_with_a_page_token_is_about_the_token() {
    let paged = |status, body: &str| classify(status, &HeaderMap::new(), body.as_bytes(), None, true);
    assert_eq!(paged(400, &body(400, "invalid", Some("pageToken"))), DriveError::PageTokenRefused);
    assert_eq!(paged(400, &body(400, "invalid", None)), DriveError::PageTokenRefused);
    assert_eq!(paged(410, &body(410, "gone", None)), DriveError::PageTokenRefused);
    let fields = body(400, "invalidParameter", Some("fields"));
    assert_eq!(
        paged(400, &fields),
        DriveError::Refused { status: 400, reason: "invalidParameter".to_owned() }
    );
    assert!(matches!(paged(400, "<html>"), DriveError::Unavailable { .. }));
}

#[test]
fn a_range_error_names_the_size() {
    let mut headers = HeaderMap::new();
    assert_eq!(classify(416, &headers, b"", None, false), DriveError::RangeNotSatisfiable { size: None });
    headers.insert(CONTENT_RANGE, "bytes */70".parse().expect("a value"));
    assert_eq!(classify(416, &headers, b"", None, false), DriveError::RangeNotSatisfiable { size: Some(70) });
}

#[test]
fn nothing_but_a_word_gets_into_an_error() {
    for text in ["my secret file.txt", "<script>", &"x".repeat(65), "token=1"] {
        let error = read(400, &body(400, text, None));
        assert_eq!(error, DriveError::Refused { status: 400, reason: "unknown".to_owned() }, "{text}");
    }
}
