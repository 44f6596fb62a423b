//! The calls over real sockets, against a server that says what it is told to.

use std::time::Duration;

use url::Url;

use super::NOW;
use super::key::TestKey;
use super::server::{Server, Step, answer};
use crate::clock::Clock;
use crate::google::{
    ClientCredentials, ClientFault, CodeExchange, CodeRefusal, DiscoveryFault, Endpoints, Google,
    GoogleError, KeySetError, Outage, RevocableToken, Revocation, TokenAnswer,
};
use crate::grant::DeathCause;
use crate::outbound::{Limits, Outbound, TimeLimit};
use crate::rng::Rng;
use crate::scopes::ScopeSet;
use crate::secret::{AccessToken, AuthorizationCode, ClientSecret, CodeVerifier, RefreshToken};

const TOKENS: &str = r#"{"access_token":"ya29.EXAMPLE","expires_in":3599,"refresh_token":"1//0EXAMPLE",
    "scope":"openid https://www.googleapis.com/auth/userinfo.email","token_type":"Bearer","id_token":"e30.e30.e30"}"#;
const INVALID_CLIENT: &str = r#"{"error":"invalid_client","error_description":"Unauthorized"}"#;
const DEAD: &str = r#"{"error":"invalid_grant","error_description":"Token has been expired or revoked."}"#;

fn google_with(limits: Limits) -> Google {
    Google::new(Outbound::new(limits), Clock::manual(NOW), Rng::seeded(1))
}

fn google() -> Google {
    google_with(Limits::default())
}

fn endpoints(base: &Url) -> Endpoints {
    let at = |path: &str| base.join(path).expect("a URL");
    Endpoints {
        issuer: "https://accounts.google.com".to_owned(),
        authorization: at("auth"),
        token: at("token"),
        revocation: Some(at("revoke")),
        userinfo: None,
        jwks: at("certs"),
        device_authorization: None,
    }
}

fn client(secrets: &[&str]) -> ClientCredentials {
    ClientCredentials {
        client_id: "402839145520-r7d1s.apps.googleusercontent.com".parse().expect("an id"),
        secrets: secrets.iter().map(|secret| ClientSecret::new(*secret)).collect(),
    }
}

fn code() -> CodeExchange {
    CodeExchange {
        code: AuthorizationCode::new("4/0AEXAMPLE+&=%2F code"),
        redirect_uri: String::new(),
        code_verifier: None,
    }
}

async fn exchange(server: &Server, secrets: &[&str]) -> Result<TokenAnswer, GoogleError> {
    google().exchange(&endpoints(&server.base), &client(secrets), &code()).await
}

async fn refresh(google: &Google, server: &Server, secrets: &[&str]) -> Result<TokenAnswer, GoogleError> {
    let token = RefreshToken::new("1//0EXAMPLE");
    google.refresh(&endpoints(&server.base), &client(secrets), &token, None).await
}

fn unavailable(what: Outage, outcome_unknown: bool) -> GoogleError {
    GoogleError::Unavailable { retry_after: None, outcome_unknown, what }
}

#[tokio::test]
async fn an_exchange_sends_what_google_wants_in_the_body_alone() {
    let server = Server::start(vec![answer(200, &[], TOKENS)]).await;
    let tokens = exchange(&server, &["GOCSPX-one"]).await.expect("tokens");
    assert_eq!(tokens.access_token, AccessToken::new("ya29.EXAMPLE"));
    assert_eq!(tokens.refresh_token, Some(RefreshToken::new("1//0EXAMPLE")));
    assert_eq!(tokens.expires_in, 3599);
    assert_eq!(tokens.scope, Some(ScopeSet::parse("openid email")));
    assert!(tokens.id_token.is_some() && tokens.refresh_token_expires_in.is_none());

    let [request] = &server.requests()[..] else { panic!("one request") };
    assert!(request.head.starts_with("POST /token HTTP/1.1\r\n"), "{}", request.head);
    let head = request.head.to_ascii_lowercase();
    assert!(head.contains("\r\ncontent-type: application/x-www-form-urlencoded\r\n"), "{head}");
    assert!(!head.contains("authorization:") && !head.contains("gocspx") && !head.contains("4/0a"), "{head}");
    assert!(request.body.contains("&redirect_uri=&"), "{}", request.body);
    assert!(request.body.contains("code=4%2F0AEXAMPLE%2B%26%3D%252F+code&"), "{}", request.body);
    for (name, value) in [
        ("grant_type", "authorization_code"),
        ("code", "4/0AEXAMPLE+&=%2F code"),
        ("redirect_uri", ""),
        ("client_id", "402839145520-r7d1s.apps.googleusercontent.com"),
        ("client_secret", "GOCSPX-one"),
    ] {
        assert_eq!(request.field(name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(request.field("code_verifier"), None);
}

#[tokio::test]
async fn a_verifier_and_a_redirect_uri_are_sent_when_there_are_some() {
    let server = Server::start(vec![answer(200, &[], TOKENS)]).await;
    let exchange = CodeExchange {
        redirect_uri: "https://example.org/back?a=b&c".to_owned(),
        code_verifier: Some(CodeVerifier::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")),
        ..code()
    };
    google().exchange(&endpoints(&server.base), &client(&[]), &exchange).await.expect("tokens");
    let [request] = &server.requests()[..] else { panic!("one request") };
    assert_eq!(request.field("redirect_uri").as_deref(), Some("https://example.org/back?a=b&c"));
    let verifier = request.field("code_verifier");
    assert_eq!(verifier.as_deref(), Some("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"));
    assert_eq!(request.field("client_secret"), None);
}

#[tokio::test]
async fn a_refresh_may_be_narrowed() {
    let server = Server::start(vec![answer(200, &[], TOKENS)]).await;
    let narrow = ScopeSet::parse("openid email");
    let token = RefreshToken::new("1//0EXAMPLE");
    google().refresh(&endpoints(&server.base), &client(&["s"]), &token, Some(&narrow)).await.expect("tokens");
    let [request] = &server.requests()[..] else { panic!("one request") };
    assert_eq!(request.field("grant_type").as_deref(), Some("refresh_token"));
    assert_eq!(request.field("refresh_token").as_deref(), Some("1//0EXAMPLE"));
    assert_eq!(request.field("scope"), Some(narrow.to_string()));
    assert!(!request.head.contains("1//0EXAMPLE"));
}

#[tokio::test]
async fn the_second_secret_is_used_once_after_the_first_was_refused() {
    let server = Server::start(vec![answer(401, &[], INVALID_CLIENT), answer(200, &[], TOKENS)]).await;
    exchange(&server, &["one", "two", "three"]).await.expect("tokens");
    let sent: Vec<_> =
        server.requests().iter().filter_map(|request| request.field("client_secret")).collect();
    assert_eq!(sent, ["one", "two"]);

    let refusals = (0..3).map(|_| answer(401, &[], INVALID_CLIENT)).collect();
    let server = Server::start(refusals).await;
    let outcome = refresh(&google(), &server, &["one", "two", "three"]).await;
    assert_eq!(outcome.err(), Some(GoogleError::ClientFault(ClientFault::WrongSecret)));
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn no_other_refusal_is_answered_by_another_secret() {
    for body in [
        DEAD,
        r#"{"error":"invalid_client","error_description":"The OAuth client was not found."}"#,
        r#"{"error":"unauthorized_client"}"#,
        r#"{"error":"deleted_client"}"#,
        r#"{"error":"redirect_uri_mismatch"}"#,
    ] {
        let server = Server::start(vec![answer(400, &[], body), answer(200, &[], TOKENS)]).await;
        assert!(exchange(&server, &["one", "two"]).await.is_err(), "{body}");
        assert_eq!(server.requests().len(), 1, "{body}");
    }
}

#[tokio::test]
async fn an_exchange_is_never_repeated_after_an_outage() {
    let broken = || Step::Send(Vec::new());
    let steps: [(Step, GoogleError); 7] = [
        (answer(500, &[], ""), unavailable(Outage::ServerError(500), true)),
        (answer(503, &[], "<html>"), unavailable(Outage::ServerError(503), true)),
        (answer(429, &[], ""), unavailable(Outage::RateLimited, false)),
        (answer(404, &[], "<html>"), unavailable(Outage::Unintelligible(404), false)),
        (answer(200, &[], "<html>"), GoogleError::NotAnAnswer),
        (answer(400, &[], DEAD), GoogleError::CodeRefused(CodeRefusal::SpentOrExpired)),
        (broken(), unavailable(Outage::ConnectionBroke, true)),
    ];
    for (step, expected) in steps {
        let server = Server::start(vec![step, answer(200, &[], TOKENS)]).await;
        assert_eq!(exchange(&server, &["one", "two"]).await.err(), Some(expected.clone()));
        assert_eq!(server.requests().len(), 1, "{expected}");
    }
}

#[tokio::test]
async fn a_refresh_is_repeated_twice_at_most() {
    let steps = vec![answer(503, &[], ""), Step::Send(Vec::new()), answer(200, &[], TOKENS)];
    let server = Server::start(steps).await;
    refresh(&google(), &server, &["one"]).await.expect("the third attempt");
    assert_eq!(server.requests().len(), 3);

    let server = Server::start((0..4).map(|_| answer(502, &[], "")).collect()).await;
    let outcome = refresh(&google(), &server, &["one"]).await;
    assert_eq!(outcome.err(), Some(unavailable(Outage::ServerError(502), true)));
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn what_no_repetition_can_cure_is_not_repeated() {
    for (step, expected) in [
        (answer(400, &[], DEAD), GoogleError::GrantDead(DeathCause::ExpiredOrRevoked)),
        (answer(200, &[], "[]"), GoogleError::NotAnAnswer),
        (answer(307, &[("location", "/elsewhere")], ""), unavailable(Outage::Redirected(307), false)),
        (answer(308, &[("location", "/elsewhere")], ""), unavailable(Outage::Redirected(308), false)),
        (answer(302, &[("location", "/elsewhere")], ""), unavailable(Outage::Redirected(302), false)),
    ] {
        let server = Server::start(vec![step, answer(200, &[], TOKENS)]).await;
        assert_eq!(refresh(&google(), &server, &["one"]).await.err(), Some(expected.clone()));
        assert_eq!(server.requests().len(), 1, "{expected}");
    }
}

#[tokio::test]
async fn a_short_wait_is_waited_and_a_long_one_returned() {
    let busy = |wait| answer(503, &[("retry-after", wait)], "");
    let server = Server::start(vec![busy("3"), answer(200, &[], TOKENS)]).await;
    refresh(&google(), &server, &["one"]).await.expect("the second attempt");

    let server = Server::start(vec![busy("4"), answer(200, &[], TOKENS)]).await;
    let error = refresh(&google(), &server, &["one"]).await.expect_err("left to the caller");
    let asked =
        matches!(error, GoogleError::Unavailable { retry_after: Some(wait), .. } if wait.as_secs() == 4);
    assert!(asked, "{error:?}");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_silent_server_costs_the_time_limit_once() {
    let limits = Limits { time: TimeLimit::Whole(Duration::from_millis(100)), ..Limits::default() };
    let server = Server::start(vec![Step::Hang, answer(200, &[], TOKENS)]).await;
    let outcome = refresh(&google_with(limits), &server, &["one"]).await;
    assert_eq!(outcome.err(), Some(unavailable(Outage::TimedOut, true)));
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn nobody_there_means_nothing_was_sent() {
    let server = Server::start(Vec::new()).await;
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}/", closed.local_addr().expect("an address")).parse().expect("a URL");
    drop((closed, server));
    let outcome = google().exchange(&endpoints(&base), &client(&["one"]), &code()).await;
    let error = outcome.expect_err("nobody listens");
    let unsent = matches!(
        &error,
        GoogleError::Unavailable { outcome_unknown: false, what: Outage::Unreachable { .. }, .. }
    );
    assert!(unsent, "{error:?}");
}

#[tokio::test]
async fn answers_that_are_cut_off_or_too_large() {
    let cut = Step::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"access_token\":\"ya29".to_vec());
    let server = Server::start(vec![cut]).await;
    assert_eq!(exchange(&server, &["one"]).await.err(), Some(unavailable(Outage::ConnectionBroke, true)));

    let garbage = Step::Send(b"SSH-2.0-OpenSSH_9.9\r\n".to_vec());
    let server = Server::start(vec![garbage]).await;
    assert_eq!(exchange(&server, &["one"]).await.err(), Some(unavailable(Outage::ConnectionBroke, true)));

    let padded = format!("{TOKENS}{}", " ".repeat(5000));
    let unannounced = format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{padded}").into_bytes();
    for step in [answer(200, &[], &padded), Step::Send(unannounced)] {
        let server = Server::start(vec![step]).await;
        let small = google_with(Limits { max_body: 4096, ..Limits::default() });
        let outcome = small.exchange(&endpoints(&server.base), &client(&["one"]), &code()).await;
        assert_eq!(outcome.err(), Some(GoogleError::NotAnAnswer));
    }
}

#[tokio::test]
async fn a_revocation_ends_in_one_of_two_good_ways() {
    let gone = r#"{"error":"invalid_token","error_description":"Token expired or revoked"}"#;
    let token = RefreshToken::new("1//0EXAMPLE");
    for (step, expected) in [
        (answer(200, &[], "{}"), Revocation::Revoked),
        (answer(200, &[], ""), Revocation::Revoked),
        (answer(204, &[], ""), Revocation::Revoked),
        (answer(400, &[], gone), Revocation::AlreadyGone),
    ] {
        let server = Server::start(vec![answer(503, &[], ""), step]).await;
        let outcome = google().revoke(&endpoints(&server.base), RevocableToken::Refresh(&token)).await;
        assert_eq!(outcome, Ok(expected));
        let last = server.requests().pop().expect("a request");
        assert!(last.head.starts_with("POST /revoke HTTP/1.1\r\n"), "{}", last.head);
        assert_eq!(last.body, "token=1%2F%2F0EXAMPLE");
    }
    let server = Server::start(vec![answer(400, &[], r#"{"error":"invalid_request"}"#)]).await;
    let access = AccessToken::new("ya29.EXAMPLE");
    let outcome = google().revoke(&endpoints(&server.base), RevocableToken::Access(&access)).await;
    assert_eq!(outcome, Err(GoogleError::Refused { error: "invalid_request".to_owned() }));
    let without = Endpoints { revocation: None, ..endpoints(&server.base) };
    let outcome = google().revoke(&without, RevocableToken::Access(&access)).await;
    assert_eq!(outcome, Err(GoogleError::Refused { error: "no_revocation_endpoint".to_owned() }));
}

#[tokio::test]
async fn keys_are_fetched_with_what_their_headers_say() {
    let body = serde_json::json!({ "keys": [TestKey::a().jwk()] }).to_string();
    let headers = [
        ("cache-control", "public, max-age=23641, must-revalidate, no-transform"),
        ("age", "641"),
        ("date", "Sun, 22 Nov 2026 17:36:02 GMT"),
    ];
    let server = Server::start(vec![answer(500, &[], ""), answer(200, &headers, &body)]).await;
    let fetched = google().fetch_keys(&endpoints(&server.base).jwks).await.expect("keys");
    assert!(fetched.value.find("a").is_some());
    assert_eq!(fetched.raw, body.as_bytes());
    assert_eq!((fetched.fetched_at, fetched.fresh_until), (NOW, NOW.plus(23_000)));
    assert_eq!(fetched.server_date, Some(NOW.plus(-10 + 641)));
    assert!(server.requests()[0].head.starts_with("GET /certs HTTP/1.1\r\n"));

    for (step, expected) in [
        (answer(200, &[], r#"{"keys":[]}"#), GoogleError::Keys(KeySetError::NoUsableKey)),
        (answer(200, &[], "<html>"), GoogleError::Keys(KeySetError::Malformed)),
    ] {
        let server = Server::start(vec![step]).await;
        assert_eq!(google().fetch_keys(&endpoints(&server.base).jwks).await.err(), Some(expected));
    }
    let plain = "http://www.googleapis.com/oauth2/v3/certs".parse().expect("a URL");
    let refused = GoogleError::Discovery(DiscoveryFault::InsecureUrl("jwks_uri"));
    assert_eq!(google().fetch_keys(&plain).await.err(), Some(refused));
}

#[tokio::test]
async fn discovery_leads_to_the_endpoints() {
    let issuer = "https://accounts.google.com";
    let document = serde_json::json!({
        "issuer": issuer,
        "authorization_endpoint": "http://127.0.0.1:1/auth",
        "token_endpoint": "http://127.0.0.1:1/token",
        "jwks_uri": "http://127.0.0.1:1/certs",
    })
    .to_string();
    let headers = [("cache-control", "public, max-age=3600")];
    let server =
        Server::start(vec![answer(200, &headers, &document), answer(200, &headers, &document)]).await;
    let url = server.base.join(".well-known/openid-configuration").expect("a URL");
    let fetched = google().fetch_discovery(&url, issuer).await.expect("endpoints");
    assert_eq!(fetched.value.token.as_str(), "http://127.0.0.1:1/token");
    assert_eq!(fetched.fresh_until, NOW.plus(3600));
    let other = google().fetch_discovery(&url, "https://id.example.org").await;
    assert_eq!(other.err(), Some(GoogleError::Discovery(DiscoveryFault::WrongIssuer)));
}

#[tokio::test]
async fn no_secret_is_printed() {
    let server = Server::start(vec![answer(200, &[], TOKENS), answer(400, &[], DEAD)]).await;
    let (client, code) = (client(&["GOCSPX-one"]), code());
    let tokens = google().exchange(&endpoints(&server.base), &client, &code).await.expect("tokens");
    let error = google().exchange(&endpoints(&server.base), &client, &code).await.expect_err("refused");
    let printed = format!("{client:?} {code:?} {tokens:?} {error:?} {error}");
    for secret in ["GOCSPX", "4/0A", "ya29", "1//0", "e30."] {
        assert!(!printed.contains(secret), "{printed}");
    }
}

#[tokio::test]
async fn every_call_can_run_as_a_task_of_its_own() {
    let google = google();
    let endpoints = endpoints(&"http://127.0.0.1:1/".parse().expect("a URL"));
    let (client, code, token) = (client(&["one"]), code(), RefreshToken::new("1//0EXAMPLE"));
    fn is_send(_: impl Send) {}
    is_send(google.exchange(&endpoints, &client, &code));
    is_send(google.refresh(&endpoints, &client, &token, None));
    is_send(google.revoke(&endpoints, RevocableToken::Refresh(&token)));
    is_send(google.fetch_keys(&endpoints.jwks));
    is_send(google.fetch_discovery(&endpoints.jwks, &endpoints.issuer));
}
