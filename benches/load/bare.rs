//! What locum is compared with: the same stack with nothing on it, and the provider both speak to.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;

use actix_web::{App, HttpResponse, HttpServer, web};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use locum::outbound::{Limits, Outbound};

pub const WORKERS: usize = 2;
pub const CLIENT_ID: &str = "402839145520-loadloadloadloadloadloadloadload.apps.googleusercontent.com";
pub const CLIENT_SECRET: &str = "GOCSPX-load";
/// Different people who sign in during the exchange run.
pub const PEOPLE: u64 = 2_000;

/// A token answer of the size of Google's, and of locum's.
pub fn access_token(n: u64) -> String {
    format!("ya29.a0{n:0>20}{}", "x".repeat(190))
}

/// The `sub` of the `n`th person: 21 digits, as Google's.
pub fn sub(n: u64) -> String {
    format!("1{n:0>20}")
}

/// `GET /` answers one JSON object of the size of a token answer.
pub async fn json() -> std::io::Result<()> {
    #[derive(serde::Serialize)]
    struct Answer<'a> {
        access_token: &'a str,
        token_type: &'a str,
        expires_in: u32,
        expires_at: &'a str,
        scope: &'a str,
    }
    let token = Arc::new(access_token(1));
    let listener = listen()?;
    let address = listener.local_addr()?;
    let server = HttpServer::new(move || {
        let token = token.clone();
        App::new().route(
            "/",
            web::get().to(move || {
                let token = token.clone();
                async move {
                    HttpResponse::Ok().json(Answer {
                        access_token: &token,
                        token_type: "Bearer",
                        expires_in: 3599,
                        expires_at: "2026-11-22T17:36:12Z",
                        scope: "https://www.googleapis.com/auth/drive.appdata openid",
                    })
                }
            }),
        )
    })
    .workers(WORKERS)
    .listen(listener)?
    .run();
    ready(address, "");
    server.await
}

/// `POST /` makes the same call upstream that an exchange makes, and answers its status.
pub async fn post(token_endpoint: String) -> std::io::Result<()> {
    let outbound = Outbound::new(Limits::default());
    let listener = listen()?;
    let address = listener.local_addr()?;
    let server = HttpServer::new(move || {
        let (outbound, endpoint) = (outbound.clone(), token_endpoint.clone());
        App::new().route(
            "/",
            web::post().to(move |body: web::Bytes| {
                let (outbound, endpoint) = (outbound.clone(), endpoint.clone());
                async move {
                    let Ok(client) = outbound.client() else {
                        return HttpResponse::InternalServerError().finish();
                    };
                    let request = client
                        .post(endpoint)
                        .header("content-type", "application/x-www-form-urlencoded")
                        .body(body.to_vec());
                    match outbound.send(request).await {
                        Ok(answer) if answer.status == 200 => {
                            HttpResponse::Ok().content_type("application/json").body(answer.body.to_vec())
                        }
                        _ => HttpResponse::BadGateway().finish(),
                    }
                }
            }),
        )
    })
    .workers(WORKERS)
    .listen(listener)?
    .run();
    ready(address, "");
    server.await
}

/// A provider with prepared answers: the person is the number in the code. ID tokens are signed once,
/// before the start, so that its own cost is a look-up.
pub async fn provider() -> std::io::Result<()> {
    let key = ring::rsa::KeyPair::from_pkcs8(include_bytes!("../../assets/emulator/keys/0.pkcs8.der"))
        .map_err(|error| std::io::Error::other(error.to_string()))?;
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs();
    let answers: Arc<Vec<web::Bytes>> = Arc::new((0..PEOPLE).map(|n| answer(&key, n, now).into()).collect());
    let public = ring::rsa::PublicKeyComponents::<Vec<u8>>::from(key.public());
    let jwks = serde_json::json!({"keys": [{
        "kty": "RSA", "alg": "RS256", "use": "sig", "kid": KID,
        "n": URL_SAFE_NO_PAD.encode(&public.n), "e": URL_SAFE_NO_PAD.encode(&public.e),
    }]});
    let listener = listen()?;
    let address = listener.local_addr()?;
    let server = HttpServer::new(move || {
        let (answers, jwks) = (answers.clone(), jwks.clone());
        App::new()
                .route("/.well-known/openid-configuration", web::get().to(discovery))
                .route(
                    "/certs",
                    web::get().to(move || {
                        let jwks = jwks.clone();
                        async move {
                            HttpResponse::Ok().insert_header(("cache-control", "max-age=20000")).json(jwks)
                        }
                    }),
                )
                .route(
                    "/token",
                    web::post().to(move |body: web::Bytes| {
                        let n = person_of(&body);
                        let answer = n.and_then(|n| answers.get(n)).cloned();
                        async move {
                            match answer {
                                Some(answer) => {
                                    HttpResponse::Ok().content_type("application/json").body(answer)
                                }
                                None => HttpResponse::BadRequest()
                                    .json(serde_json::json!({"error": "invalid_grant"})),
                            }
                        }
                    }),
                )
    })
    .workers(1)
    .listen(listener)?
    .run();
    ready(address, "");
    server.await
}

const KID: &str = "0123456789abcdef0123456789abcdef01234567";

async fn discovery(request: actix_web::HttpRequest) -> HttpResponse {
    let base = format!("http://{}", request.app_config().local_addr());
    HttpResponse::Ok().insert_header(("cache-control", "max-age=20000")).json(serde_json::json!({
        "issuer": "https://accounts.google.com",
        "authorization_endpoint": format!("{base}/auth"),
        "token_endpoint": format!("{base}/token"),
        "jwks_uri": format!("{base}/certs"),
    }))
}

/// The code of the `n`th exchange: `4/0A<person>-<n>`, unique.
pub fn code(n: u64) -> String {
    format!("4/0A{}-{n:0>40}", n % PEOPLE)
}

fn person_of(body: &[u8]) -> Option<usize> {
    // "code=4%2F0A123-000…" somewhere in the form.
    let text = std::str::from_utf8(body).ok()?;
    let code = text.split('&').find_map(|pair| pair.strip_prefix("code="))?;
    let rest = code.strip_prefix("4%2F0A").or_else(|| code.strip_prefix("4/0A"))?;
    rest.split('-').next()?.parse().ok()
}

fn answer(key: &ring::rsa::KeyPair, n: u64, now: u64) -> Vec<u8> {
    let header = serde_json::json!({"alg": "RS256", "kid": KID, "typ": "JWT"});
    let claims = serde_json::json!({
        "iss": "https://accounts.google.com", "aud": CLIENT_ID, "azp": CLIENT_ID,
        "sub": sub(n), "email": format!("person{n}@example.org"), "email_verified": true,
        "name": format!("Person {n}"), "given_name": "Person", "family_name": n.to_string(),
        "picture": "https://lh3.googleusercontent.com/a/EXAMPLE=s96-c", "iat": now, "exp": now + 36_000,
    });
    let encode = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", encode(&header), encode(&claims));
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(
        &ring::signature::RSA_PKCS1_SHA256,
        &ring::rand::SystemRandom::new(),
        message.as_bytes(),
        &mut signature,
    )
    .expect("an RSA key signs");
    let id_token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature));
    let refresh = format!("1//0{}", STANDARD.encode(format!("{n:0>70}")));
    serde_json::json!({
        "access_token": access_token(n), "expires_in": 3599, "refresh_token": refresh, "token_type": "Bearer",
        "scope": "https://www.googleapis.com/auth/drive.appdata openid \
                  https://www.googleapis.com/auth/userinfo.email https://www.googleapis.com/auth/userinfo.profile",
        "id_token": id_token,
    })
    .to_string()
    .into_bytes()
}

/// A free loopback port.
pub fn listen() -> std::io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
}

/// Tells the parent where the server listens.
pub fn ready(address: SocketAddr, facts: &str) {
    println!("ready {address} {facts}");
}
