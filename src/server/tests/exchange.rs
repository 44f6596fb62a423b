//! What bad input to `/v1/exchange` and `/v1/session` gets, and what good input gets.

use serde_json::{Value, json};

use super::site::{Reply, Site};

/// A body as it is, posted as `content_type`.
async fn post(site: &Site, content_type: &str, body: impl Into<Vec<u8>>) -> Reply {
    let request = site
        .post("/v1/exchange")
        .header("x-requested-with", "test")
        .header("content-type", content_type)
        .body(body.into());
    site.send(request).await
}

#[tokio::test]
async fn a_code_under_any_of_its_names_connects_and_opens_a_session() {
    let site = Site::start().await;
    for name in ["code", "serverAuthCode", "server_auth_code", "authCode", "auth_code"] {
        let reply =
            site.send(site.exchange(&json!({ name: site.code(site.alice()), "more": [1, {}] }))).await;
        assert_eq!(reply.status, 200, "{name} {}", reply.text);
        assert_eq!(reply.header("cache-control"), "no-store");
        assert_eq!(reply.json["user"]["id"], site.alice().sub.as_str());
        assert_eq!(reply.json["session"]["token_type"], "Bearer");
    }
    let form = format!("serverAuthCode={}&source=ios", site.code(site.alice()).replace('/', "%2F"));
    let reply = post(&site, "application/x-www-form-urlencoded; charset=UTF-8", form).await;
    assert_eq!(reply.status, 200, "{}", reply.text);

    let session = reply.json["session"]["token"].as_str().expect("a session");
    let me = site.send(site.get("/v1/users/me").bearer_auth(session)).await;
    assert_eq!((me.status, &me.json["id"]), (200, &json!(site.alice().sub.as_str())));
    assert!(!reply.text.contains("ya29.") && !reply.text.contains("1//"), "no token of Google's");
}

#[tokio::test]
async fn nonsense_is_named_and_nothing_reaches_google() {
    let site = Site::start().await;
    let json = "application/json";
    let form = "application/x-www-form-urlencoded";
    for (content_type, body, status, code) in [
        (json, &b""[..], 400, "body_missing"),
        (form, b"", 400, "body_missing"),
        (json, b"{}", 400, "code_missing"),
        (json, br#"{"code":""}"#, 400, "code_missing"),
        (json, br#"{"code":null}"#, 400, "code_missing"),
        (form, b"client=main", 400, "code_missing"),
        (json, b"{", 400, "not_json"),
        (json, b"[]", 400, "not_json"),
        (json, b"null", 400, "not_json"),
        (json, br#""4/0Abc""#, 400, "not_json"),
        (json, br#"{"code":"4/0Abc"} x"#, 400, "not_json"),
        (json, b"code=4/0Abc", 400, "not_json"),
        (json, br#"{"code":"\ud800"}"#, 400, "not_json"),
        (json, b"{\"code\":\"\xff\"}", 400, "not_utf8"),
        (form, b"code=%ff", 400, "not_utf8"),
        (json, br#"{"code":7}"#, 400, "field_invalid"),
        (json, br#"{"code":["4/0Abc"]}"#, 400, "field_invalid"),
        (json, br#"{"code":"4/0Abc","client":"NOT A NAME"}"#, 400, "field_invalid"),
        (json, br#"{"code":"4/0Abc","source":"blackberry"}"#, 400, "field_invalid"),
        (json, br#"{"code":"a","code":"b"}"#, 400, "duplicate_field"),
        (json, br#"{"code":"a","serverAuthCode":"a"}"#, 400, "duplicate_field"),
        (json, br#"{"code":null,"code":null}"#, 400, "duplicate_field"),
        (json, br#"{"client":"main","client":"main"}"#, 400, "duplicate_field"),
        (form, b"code=a&auth_code=b", 400, "duplicate_field"),
        (json, br#"{"code":"4%2F0Abcdefghijklmnopqrstuvwxyz"}"#, 400, "code_still_encoded"),
        (json, br#"{"code":"4/0A bc"}"#, 400, "code_malformed"),
        (json, br#"{"code":"4/0Abcdefghijklmnopqrstuvwxyz","client":"nobody"}"#, 400, "client_unknown"),
        (json, br#"{"code":"4/0Abcdefghijklmnopqrstuvwxyz","source":"web"}"#, 400, "source_not_allowed"),
        (
            json,
            br#"{"code":"4/0Abcdefghijklmnopqrstuvwxyz","redirect_uri":"https://evil.example/"}"#,
            400,
            "redirect_uri_not_allowed",
        ),
        ("text/plain", br#"{"code":"4/0Abc"}"#, 415, "content_type_unsupported"),
        ("multipart/form-data; boundary=x", b"--x--", 415, "content_type_unsupported"),
        ("application/json; charset=latin1", br#"{"code":"4/0Abc"}"#, 415, "content_type_unsupported"),
        ("nonsense", br#"{"code":"4/0Abc"}"#, 415, "content_type_unsupported"),
    ] {
        let reply = post(&site, content_type, body).await;
        let seen = String::from_utf8_lossy(body);
        assert_eq!((reply.status, reply.code()), (status, code), "{content_type} {seen} {}", reply.text);
        assert!(reply.problem()["detail"].as_str().is_some_and(|detail| detail.len() > 10), "{seen}");
    }
    assert_eq!(site.emulator.world.counts().exchanges, 0);
    assert_eq!(site.state.vault.count_users().await, Ok(0));
}

#[tokio::test]
async fn a_refusal_never_quotes_what_was_sent() {
    let site = Site::start().await;
    for body in [
        r#"{"code":"4/0Aneedle-needle-needle-needle","#,
        r#"{"code":{"needle":1}}"#,
        r#"{"code":"needle","code":"needle"}"#,
        r#"{"client":"needle needle"}"#,
        r#"{"code":"4/0Aneedle-needle-needle-needle-needle-needle"}"#,
        r#"{"code":"needle needle"}"#,
    ] {
        let reply = post(&site, "application/json", body).await;
        assert!(reply.status >= 400 && !reply.text.contains("needle"), "{body} {}", reply.text);
    }
}

#[tokio::test]
async fn headers_are_asked_for_before_the_body_is_read() {
    let site = Site::start().await;
    let code = site.code(site.alice());
    let without = site.post("/v1/exchange").json(&json!({ "code": code }));
    let reply = site.send(without).await;
    assert_eq!((reply.status, reply.code()), (403, "missing_requested_with"));

    let long = "x".repeat(256);
    for key in ["", long.as_str(), "a\tb"] {
        let reply = site.send(site.exchange(&json!({ "code": code })).header("idempotency-key", key)).await;
        assert_eq!((reply.status, reply.code()), (400, "idempotency_key_invalid"), "{key:?}");
    }
    let twice =
        site.exchange(&json!({ "code": code })).header("idempotency-key", "a").header("idempotency-key", "b");
    assert_eq!(site.send(twice).await.code(), "idempotency_key_invalid");
    let squeezed = site.exchange(&json!({ "code": code })).header("content-encoding", "gzip");
    assert_eq!(site.send(squeezed).await.code(), "content_encoding_unsupported");
    assert_eq!(site.emulator.world.counts().exchanges, 0);
}

#[tokio::test]
async fn a_lost_answer_is_given_again_and_a_used_key_stays_with_its_code() {
    let site = Site::start().await;
    let code = site.code(site.alice());
    let ask = |code: &str| site.exchange(&json!({ "code": code })).header("idempotency-key", "k-1");
    let first = site.send(ask(&code)).await;
    let again = site.send(ask(&code)).await;
    assert_eq!((first.status, again.status), (200, 200), "{}", again.text);
    assert_eq!(first.json["user"], again.json["user"]);
    let other = site.send(ask(&site.code(site.bob()))).await;
    assert_eq!((other.status, other.code()), (422, "idempotency_key_reused"));
    let keyless = site.send(site.exchange(&json!({ "code": code }))).await;
    assert_eq!((keyless.status, keyless.code()), (409, "code_spent"));
    assert_eq!(site.emulator.world.counts().exchanges, 1);
}

#[tokio::test]
async fn google_down_is_a_problem_that_says_when_to_try_again() {
    use crate::emulator::{Endpoint, Fault};

    let site = Site::start().await;
    site.emulator.world.faults().once(Endpoint::Token, Fault::status(503));
    let reply = site.send(site.exchange(&json!({ "code": site.code(site.alice()) }))).await;
    assert_eq!((reply.status, reply.code()), (503, "google_unavailable"), "{}", reply.text);
    assert!(reply.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds > 0));
    assert_eq!(reply.json["retryable"], true);
}

#[tokio::test]
async fn sessions_are_renewed_with_id_tokens_only() {
    let site = Site::start().await;
    let post = |body: Value| site.post("/v1/session").json(&body);
    for (body, status, code) in [
        (json!({}), 400, "field_missing"),
        (json!({ "id_token": "" }), 400, "field_missing"),
        (json!({ "id_token": "nonsense" }), 401, "id_token_refused"),
        (json!({ "id_token": "eyJhbGciOiJub25lIn0.e30." }), 401, "id_token_refused"),
        (json!({ "id_token": 1 }), 400, "field_invalid"),
    ] {
        let reply = site.send(post(body.clone())).await;
        assert_eq!((reply.status, reply.code()), (status, code), "{body} {}", reply.text);
    }
    let keys = site.send(site.get("/.well-known/jwks.json")).await;
    assert_eq!(keys.json["keys"][0]["crv"], "P-256");
    assert!(keys.header("cache-control").contains("max-age"));
}

#[tokio::test]
async fn a_person_disconnects_themselves() {
    let site = Site::start().await;
    let (answer, _) = site.connect(site.alice()).await;
    let session = answer["session"]["token"].as_str().expect("a session");
    let gone = site.send(site.request("DELETE", "/v1/users/me").bearer_auth(session)).await;
    assert_eq!((gone.status, &gone.json["revoked"]), (200, &json!(true)), "{}", gone.text);
    assert_eq!(site.state.vault.count_users().await, Ok(0));
    let after = site.send(site.get("/v1/users/me").bearer_auth(session)).await;
    assert_eq!((after.status, after.code()), (401, "session_ended"));
    for nonsense in ["x", "a.b.c", "eyJhbGciOiJub25lIn0.e30."] {
        let reply = site.send(site.get("/v1/users/me").bearer_auth(nonsense)).await;
        assert_eq!((reply.status, reply.code()), (401, "session_invalid"), "{nonsense}");
    }
}
