//! Limits: sizes, times, rates; who is counted; CORS; and what stands around every answer.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;

use super::site::Site;
use crate::api_keys::Action;
use crate::server::routes;

/// Sends `bytes` and reads until the server closes.
async fn raw(site: &Site, bytes: impl Into<Vec<u8>>) -> String {
    let (address, bytes) = (site.address(), bytes.into());
    tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).expect("connected");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
        stream.write_all(&bytes).expect("sent");
        let mut answer = Vec::new();
        // A reset after the answer is as good as a close.
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    })
    .await
    .expect("read")
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_however_it_comes() {
    let site = Site::start_with("max_body = \"4KiB\"", "").await;
    let big = json!({ "code": "x".repeat(5000) });
    let reply = site.send(site.exchange(&big)).await;
    assert_eq!((reply.status, reply.code()), (413, "body_too_large"));
    let head =
        "POST /v1/exchange HTTP/1.1\r\nhost: x\r\nx-requested-with: x\r\ncontent-type: application/json\r\n";
    let announced = raw(&site, format!("{head}content-length: 99999999999\r\n\r\n")).await;
    assert!(announced.starts_with("HTTP/1.1 413"), "{announced}");
    let chunk = format!("{:x}\r\n{}\r\n", 4000, "x".repeat(4000));
    let chunked =
        raw(&site, format!("{head}transfer-encoding: chunked\r\n\r\n{chunk}{chunk}0\r\n\r\n")).await;
    assert!(chunked.starts_with("HTTP/1.1 413"), "{chunked}");
    let fits = site.send(site.exchange(&json!({ "code": "x".repeat(3000) }))).await;
    assert_eq!(fits.status, 400);
}

#[tokio::test]
async fn slow_heads_and_slow_bodies_are_cut() {
    let site = Site::start_with("header_timeout = \"1s\"\nbody_timeout = \"1s\"", "").await;
    let head = raw(&site, "GET /healthz HTTP/1.1\r\nhost: x\r\n").await;
    assert!(head.is_empty() || head.starts_with("HTTP/1.1 408"), "{head}");
    let body = raw(
        &site,
        "POST /v1/exchange HTTP/1.1\r\nhost: x\r\nx-requested-with: x\r\ncontent-type: application/json\r\n\
         content-length: 100\r\n\r\n{\"code\":",
    )
    .await;
    assert!(body.starts_with("HTTP/1.1 408") && body.contains("body_timeout"), "{body}");
}

#[tokio::test]
async fn malformed_http_harms_nobody() {
    let site = Site::start().await;
    for bytes in [
        &b"\x00\x01\x02\r\n\r\n"[..],
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n",
        b"POST /v1/exchange HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"POST /v1/exchange HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
    ] {
        let answer = raw(&site, bytes).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{bytes:?} {answer}");
    }
    assert_eq!(site.send(site.get("/healthz")).await.status, 200);
}

const STRICT: &str =
    "\n[limits]\naddress_per_second = 1\naddress_burst = 3\nkey_per_second = 1\nkey_burst = 4\n";

#[tokio::test]
async fn addresses_and_keys_have_limits_of_their_own() {
    let site = Site::start_with(STRICT, "").await;
    let key = site.key(&[Action::UsersRead]).await;
    let other = site.key(&[Action::MetricsRead]).await;
    for _ in 0..3 {
        assert_eq!(site.send(site.get("/.well-known/jwks.json")).await.status, 200);
    }
    let limited = site.send(site.get("/.well-known/jwks.json")).await;
    assert_eq!((limited.status, limited.code()), (429, "rate_limited"));
    assert!(limited.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds >= 1));
    // Health is not counted, and a key has its own bucket.
    assert_eq!(site.send(site.get("/healthz")).await.status, 200);
    for _ in 0..4 {
        assert_eq!(site.send(site.get("/v1/users").bearer_auth(&key)).await.status, 200);
    }
    assert_eq!(site.send(site.get("/v1/users").bearer_auth(&key)).await.code(), "rate_limited");
    // Guessing keys is counted by address, which is used up.
    let guess = site.send(site.get("/v1/users").bearer_auth("locum_guess")).await;
    assert_eq!(guess.code(), "rate_limited");
    // What asks for no key is counted by address, whatever is shown.
    let public = site.send(site.get("/.well-known/jwks.json").bearer_auth("locum_guess")).await;
    assert_eq!(public.code(), "rate_limited");
    assert!(site.state.metrics.render().contains(r#"locum_rate_limited_total{by="key"} 1"#));
    // Nor does a key in force open the way to Google for strangers.
    for path in ["/v1/sign-in?client=main", "/v1/sign-in"] {
        assert_eq!(site.send(site.get(path).bearer_auth(&other)).await.status, 429, "{path}");
    }
    for path in ["/v1/exchange", "/v1/session"] {
        let request = site.request("POST", path).header("x-requested-with", "test").bearer_auth(&other);
        assert_eq!(site.send(request).await.status, 429, "{path}");
    }
    // The admin socket is the owner's.
    for _ in 0..10 {
        assert_eq!(site.send(site.as_owner("GET", "/v1/users")).await.status, 200);
    }
}

/// However a path is spelled and whatever looks like a key: who shows none in force is counted by address.
#[tokio::test]
async fn no_spelling_of_a_request_gets_around_the_limit() {
    let site = Site::start_with(STRICT, "").await;
    let running = crate::clock::Clock::system().stopwatch();
    let guess = "locum_aaaaaaaaaaaa_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let paths = routes::TABLE.iter().map(|row| row.path).filter(|path| !routes::is_health(path));
    let mut passed = Vec::new();
    for path in paths.chain(["/nowhere"]) {
        // With one letter that the router reads and a comparison of texts does not.
        let at = path.rfind(|c: char| c.is_ascii_lowercase());
        let encoded = at.map(|at| format!("{}%{:02X}{}", &path[..at], path.as_bytes()[at], &path[at + 1..]));
        for path in [Some(path.to_owned()), encoded].into_iter().flatten() {
            for keys in 0..=2 {
                let request = (0..keys).fold(site.get(&path), |request, _| request.bearer_auth(guess));
                if site.send(request).await.status != 429 {
                    passed.push(format!("{path} {keys}"));
                }
            }
        }
    }
    // The burst, and one more each second.
    let most = 3 + 1 + running.elapsed().as_secs();
    assert!(passed.len() as u64 <= most, "{passed:?}");
}

#[tokio::test]
async fn a_forwarded_address_counts_only_from_a_trusted_proxy() {
    for (trusted, first, second, shared) in [
        ("[]", "192.0.2.1", "192.0.2.2", true),
        (r#"["127.0.0.0/8"]"#, "192.0.2.1", "192.0.2.2", false),
        (r#"["127.0.0.0/8"]"#, "192.0.2.1, 203.0.113.9", "192.0.2.2, 203.0.113.9", true),
        (r#"["127.0.0.0/8"]"#, "2001:db8::1", "2001:db8::2", true),
        (r#"["10.0.0.0/8"]"#, "127.0.0.1", "10.0.0.1", true),
    ] {
        let site = Site::start_with(&format!("trusted_proxies = {trusted}{STRICT}"), "").await;
        let ask = |from: &str| site.get("/.well-known/jwks.json").header("x-forwarded-for", from);
        for _ in 0..3 {
            assert_eq!(site.send(ask(first)).await.status, 200);
        }
        assert_eq!(site.send(ask(first)).await.status, 429);
        let other = site.send(ask(second)).await.status;
        assert_eq!(other == 429, shared, "{trusted} {first} {second}");
    }
}

#[tokio::test]
async fn pages_of_listed_origins_may_call_the_app_routes_and_no_others() {
    let site = Site::start_with(r#"cors_origins = ["https://app.example.org"]"#, "").await;
    let preflight = |origin: &'static str, path: &str, method: &'static str| {
        site.request("OPTIONS", path)
            .header("origin", origin)
            .header("access-control-request-method", method)
            .header("access-control-request-headers", "content-type,x-requested-with")
    };
    let ours = site.send(preflight("https://app.example.org", "/v1/exchange", "POST")).await;
    assert_eq!((ours.status, ours.header("access-control-allow-origin")), (200, "https://app.example.org"));
    assert_eq!(ours.header("access-control-allow-credentials"), "");
    for origin in ["https://evil.example", "https://app.example.org.evil.example", "null"] {
        let theirs = site.send(preflight(origin, "/v1/exchange", "POST")).await;
        assert_eq!((theirs.status, theirs.code()), (403, "origin_not_allowed"), "{origin}");
        assert_eq!(theirs.header("access-control-allow-origin"), "", "{origin}");
        let posted = site.exchange(&json!({ "code": "x" })).header("origin", origin);
        assert_eq!(site.send(posted).await.code(), "origin_not_allowed", "{origin}");
    }
    // A problem keeps the headers that let the page read it.
    let refused = site.send(site.exchange(&json!({})).header("origin", "https://app.example.org")).await;
    assert_eq!(
        (refused.code(), refused.header("access-control-allow-origin")),
        ("code_missing", "https://app.example.org")
    );
    let program = site.send(preflight("https://app.example.org", "/v1/users", "GET")).await;
    assert_eq!((program.status, program.header("access-control-allow-origin")), (405, ""));

    let off = Site::start().await;
    let origin = off.exchange(&json!({})).header("origin", "https://app.example.org");
    let reply = off.send(origin).await;
    assert_eq!((reply.code(), reply.header("access-control-allow-origin")), ("code_missing", ""));
}

#[tokio::test]
async fn every_answer_is_dressed_and_has_an_id_of_its_own() {
    let site = Site::start().await;
    let mut ids = std::collections::BTreeSet::new();
    for (method, path, status) in [
        ("GET", "/healthz", 200),
        ("GET", "/nothing", 404),
        ("GET", "/nothing", 404),
        ("PUT", "/v1/exchange", 405),
        ("BREW", "/v1/exchange", 405),
        ("GET", "/v1/users", 401),
        ("POST", "/v1/exchange", 403),
    ] {
        let reply = site.send(site.request(method, path).header("x-request-id", "given")).await;
        assert_eq!(reply.status, status, "{method} {path}");
        assert_eq!(reply.header("x-content-type-options"), "nosniff", "{path}");
        assert!(reply.header("content-security-policy").contains("frame-ancestors 'none'"), "{path}");
        assert_eq!(reply.header("referrer-policy"), "no-referrer", "{path}");
        assert_eq!(reply.header("cache-control"), "no-store", "{path}");
        assert!(ids.insert(reply.header("x-request-id").to_owned()), "{path}");
        if status == 405 {
            assert_eq!(reply.header("allow"), "POST");
        }
        if status >= 400 {
            reply.problem();
        }
    }
    assert!(!ids.contains("given") && !ids.contains(""));
}

#[tokio::test]
async fn a_panic_stops_one_request_only() {
    use actix_web::test::{TestRequest, init_service, try_call_service};
    use actix_web::{App, HttpResponse, web};

    use super::super::context::{Context, Door};
    use super::super::middleware::Edge;

    let site = Site::start().await;
    let context = web::Data::new(Context::new(site.state.clone(), None));
    let app = init_service(
        App::new()
            .route("/panic", web::get().to(async || -> HttpResponse { panic!("on purpose") }))
            .route("/fine", web::get().to(async || HttpResponse::Ok().finish()))
            .wrap(Edge { context, door: Door::Public }),
    )
    .await;
    let lost = try_call_service(&app, TestRequest::get().uri("/panic").to_request()).await;
    let answer = lost.expect_err("the request is gone").error_response();
    assert_eq!(answer.status(), 500);
    let id = answer.headers().get("x-request-id").expect("an id").to_str().expect("text").to_owned();
    let body = actix_web::body::to_bytes(answer.into_body()).await.expect("a body");
    let body: serde_json::Value = serde_json::from_slice(&body).expect("a problem");
    assert_eq!((body["code"].as_str(), body["request_id"].as_str()), (Some("internal_error"), Some(&*id)));
    assert!(!body.to_string().contains("on purpose"));
    let fine = try_call_service(&app, TestRequest::get().uri("/fine").to_request()).await;
    assert_eq!(fine.expect("answered").status(), 200);
}

#[tokio::test]
async fn a_person_who_comes_too_often_reads_a_page() {
    let site = Site::start_with("\n[limits]\naddress_per_second = 1\naddress_burst = 1\n", "").await;
    for path in ["/v1/sign-in", "/v1/sign-in/callback", "/v1/connect/x"] {
        let (mut page, mut program) = (None, None);
        for _ in 0..3 {
            page = Some(site.send(site.get(path).header("accept", "text/html")).await);
            program = Some(site.send(site.get(path).header("accept", "application/json")).await);
        }
        let (page, program) = (page.expect("asked"), program.expect("asked"));
        assert_eq!((page.status, page.header("content-type")), (429, "text/html; charset=utf-8"));
        assert!(page.text.contains("Not at the moment") && !page.header("retry-after").is_empty());
        assert_eq!((program.status, program.code()), (429, "rate_limited"));
    }
}
