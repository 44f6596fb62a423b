//! The HTTP side: paths to functions. Handlers only carry.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};

use super::faults::Endpoint;
use super::form::{self, Form};
use super::oauth::TokenRequest;
use super::people::Counts;
use super::reply::Reply;
use super::serving::{serve, whole};
use super::world::World;
use super::{consent, control, device, drive, fault_orders, inspect, oauth, pages};

/// The largest body that is read.
const MAX_BODY: usize = 256 * 1024;

/// Method, path and purpose of what the emulator answers, for its index page.
const ENDPOINTS: &[(&str, &str, &str)] = &[
    ("GET", "/.well-known/openid-configuration", "discovery document"),
    ("GET", "/o/oauth2/v2/auth", "authorization, with a consent page"),
    ("POST", "/token", "codes, refresh tokens and device codes for access tokens"),
    ("POST", "/revoke", "ends the grant of a person for the whole project"),
    ("GET", "/oauth2/v3/certs", "signing keys as a JWK set; /oauth2/v1/certs has them as certificates"),
    ("GET", "/v1/userinfo", "who an access token belongs to"),
    ("GET", "/tokeninfo", "what an access token or ID token says"),
    ("POST", "/device/code", "begins the device flow"),
    ("GET", "/device", "where a person types the code of a device"),
    (
        "GET",
        "/drive/v3/files",
        "app data: list, get, create, change, delete; uploads under /upload/drive/v3/files",
    ),
    (
        "GET",
        "/drive/v3/changes",
        "what changed in the app data since a token of /drive/v3/changes/startPageToken",
    ),
    ("GET", "/emulator/state", "people, clients, counts and settings"),
    (
        "POST",
        "/emulator/codes",
        "a code as an SDK would hand it to an app: {\"person\": \"alice@example.org\"}",
    ),
    ("POST", "/emulator/people", "adds or changes a person: {\"email\": …, \"name\": …}"),
    (
        "POST",
        "/emulator/clients",
        "registers or changes a client: {\"kind\": \"web\", \"redirect_uris\": […]}",
    ),
    (
        "POST",
        "/emulator/faults",
        "{\"endpoint\": \"token\", \"fault\": \"status\", \"status\": 503, \"times\": 2}, {\"clear\": \"all\"}",
    ),
    (
        "POST",
        "/emulator/drive",
        "app data from outside: {\"person\": …, \"action\": \"put\", \"path\": \"a/b.txt\", \"text\": …}; \
         list, read, remove, rename, erase, quota, …",
    ),
    ("POST", "/emulator/keys/rotate", "signs with a new key from now on"),
    ("POST", "/emulator/withdraw", "ends a grant as on the account page: {\"person\": …, \"project\": …}"),
    ("POST", "/emulator/settings", "lifetimes, caching, issuer: any member of settings in /emulator/state"),
];

fn count(world: &World, which: impl FnOnce(&mut Counts) -> &mut u64) {
    *which(&mut world.state().counts) += 1;
}

fn query(request: &HttpRequest) -> Form {
    Form::parse(request.query_string().as_bytes())
}

fn authorization(request: &HttpRequest) -> Option<&str> {
    request.headers().get(header::AUTHORIZATION)?.to_str().ok()
}

/// The body's parameters; a body of another type has none.
fn body_form(request: &HttpRequest, body: &[u8]) -> Form {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let form = kind.is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
    if form { Form::parse(body) } else { Form::default() }
}

async fn token(world: web::Data<World>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let basic = authorization(&request).and_then(form::basic_credentials);
    let asked = TokenRequest { form: body_form(&request, &body), basic };
    let endpoints = oauth::arrive(&world, &asked);
    serve(&world, endpoints, &request, || oauth::token(&world, &asked)).await
}

async fn only_post() -> HttpResponse {
    HttpResponse::MethodNotAllowed().insert_header((header::ALLOW, "POST")).finish()
}

async fn revoke(world: web::Data<World>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    count(&world, |counts| &mut counts.revokes);
    let form = body_form(&request, &body);
    let form = if form.field("token").is_some() { form } else { query(&request) };
    serve(&world, &[Endpoint::Revoke], &request, || inspect::revoke(&world, &form)).await
}

async fn discovery(world: web::Data<World>, request: HttpRequest) -> HttpResponse {
    count(&world, |counts| &mut counts.discovery);
    serve(&world, &[Endpoint::Discovery], &request, || inspect::discovery(&world)).await
}

async fn jwks(world: web::Data<World>, request: HttpRequest) -> HttpResponse {
    count(&world, |counts| &mut counts.jwks);
    serve(&world, &[Endpoint::Jwks], &request, || inspect::jwks(&world)).await
}

async fn certificates(world: web::Data<World>, request: HttpRequest) -> HttpResponse {
    count(&world, |counts| &mut counts.jwks);
    serve(&world, &[Endpoint::Jwks], &request, || inspect::certificates(&world)).await
}

async fn tokeninfo(world: web::Data<World>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    count(&world, |counts| &mut counts.tokeninfo);
    let form = body_form(&request, &body);
    let named = form.field("access_token").is_some() || form.field("id_token").is_some();
    let form = if named { form } else { query(&request) };
    let bearer = authorization(&request).and_then(form::bearer);
    serve(&world, &[Endpoint::Tokeninfo], &request, || inspect::tokeninfo(&world, &form, bearer)).await
}

async fn userinfo(world: web::Data<World>, request: HttpRequest) -> HttpResponse {
    count(&world, |counts| &mut counts.userinfo);
    let bearer = authorization(&request).and_then(form::bearer);
    serve(&world, &[Endpoint::Userinfo], &request, || inspect::userinfo(&world, bearer)).await
}

async fn device_code(world: web::Data<World>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    count(&world, |counts| &mut counts.device);
    let form = body_form(&request, &body);
    serve(&world, &[Endpoint::Device], &request, || device::request_code(&world, &form)).await
}

async fn device_page(world: web::Data<World>, request: HttpRequest) -> HttpResponse {
    whole(device::show(&world, &query(&request)))
}

async fn device_answer(world: web::Data<World>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    whole(device::submit(&world, &body_form(&request, &body)))
}

async fn authorize(world: web::Data<World>, request: HttpRequest) -> HttpResponse {
    count(&world, |counts| &mut counts.authorize);
    let query = query(&request);
    serve(&world, &[Endpoint::Authorize], &request, || consent::show(&world, &query)).await
}

async fn authorize_answer(world: web::Data<World>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    count(&world, |counts| &mut counts.authorize);
    let (query, answer) = (query(&request), body_form(&request, &body));
    serve(&world, &[Endpoint::Authorize], &request, || consent::submit(&world, &query, &answer)).await
}

async fn index(world: web::Data<World>) -> HttpResponse {
    let clients: Vec<String> = world.clients().iter().map(|client| client.client_id.to_string()).collect();
    whole(Reply::page(200, pages::index(ENDPOINTS, &world.people(), &clients)))
}

async fn css() -> HttpResponse {
    HttpResponse::Ok().content_type("text/css; charset=utf-8").body(pages::CSS)
}

async fn nothing() -> HttpResponse {
    whole(Reply::refuse(404, "not_found", "the emulator has no such page; / lists what it has"))
}

/// Lets only local programs through: a web page that reaches loopback by a name of its own, or posts
/// from another site without asking first, may not steer the emulator.
fn may_control(request: &HttpRequest) -> Result<(), Reply> {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    let name = name.map_or(host, |(name, _)| name);
    let loopback = name.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback());
    if !loopback && !matches!(name, "localhost" | "[::1]") {
        return Err(Reply::refuse(403, "not_local", "reach the emulator by 127.0.0.1, localhost or [::1]"));
    }
    let json = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if request.method() == actix_web::http::Method::POST
        && !json.is_some_and(|kind| kind.starts_with("application/json"))
    {
        return Err(Reply::refuse(415, "not_json", "send JSON with Content-Type: application/json"));
    }
    Ok(())
}

fn controlled(request: &HttpRequest, work: impl FnOnce() -> Reply) -> HttpResponse {
    whole(may_control(request).map_or_else(|refusal| refusal, |()| work()))
}

async fn state(world: web::Data<World>, request: HttpRequest) -> HttpResponse {
    controlled(&request, || control::state(&world))
}

async fn rotate(world: web::Data<World>, request: HttpRequest) -> HttpResponse {
    controlled(&request, || control::rotate_keys(&world))
}

async fn codes(world: web::Data<World>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    controlled(&request, || control::issue_code(&world, &body))
}

async fn people(world: web::Data<World>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    controlled(&request, || control::add_person(&world, &body))
}

async fn clients(world: web::Data<World>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    controlled(&request, || control::add_client(&world, &body))
}

async fn withdraw(world: web::Data<World>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    controlled(&request, || control::withdraw(&world, &body))
}

async fn settings(world: web::Data<World>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    controlled(&request, || control::change_settings(&world, &body))
}

async fn app_data(world: web::Data<World>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    controlled(&request, || drive::control::steer(&world, &body))
}

async fn faults(world: web::Data<World>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    controlled(&request, || fault_orders::script_fault(&world, &body))
}

/// Puts every path in place.
pub(super) fn configure(config: &mut web::ServiceConfig) {
    config.app_data(web::PayloadConfig::new(MAX_BODY));
    for path in ["/token", "/oauth2/v4/token", "/o/oauth2/token"] {
        config.service(web::resource(path).post(token).default_service(web::to(only_post)));
    }
    for path in ["/revoke", "/o/oauth2/revoke"] {
        config.service(web::resource(path).get(revoke).post(revoke));
    }
    for path in ["/tokeninfo", "/oauth2/v3/tokeninfo"] {
        config.service(web::resource(path).get(tokeninfo).post(tokeninfo));
    }
    for path in ["/v1/userinfo", "/oauth2/v3/userinfo"] {
        config.service(web::resource(path).get(userinfo).post(userinfo));
    }
    for path in ["/o/oauth2/v2/auth", "/o/oauth2/auth"] {
        config.service(web::resource(path).get(authorize).post(authorize_answer));
    }
    drive::configure(config);
    config
        .service(web::resource("/").get(index))
        .service(web::resource("/emulator.css").get(css))
        .service(web::resource("/.well-known/openid-configuration").get(discovery))
        .service(web::resource("/oauth2/v3/certs").get(jwks))
        .service(web::resource("/oauth2/v1/certs").get(certificates))
        .service(web::resource("/device/code").post(device_code))
        .service(web::resource("/device").get(device_page).post(device_answer))
        .service(web::resource("/emulator/state").get(state))
        .service(web::resource("/emulator/codes").post(codes))
        .service(web::resource("/emulator/people").post(people))
        .service(web::resource("/emulator/clients").post(clients))
        .service(web::resource("/emulator/drive").post(app_data))
        .service(web::resource("/emulator/faults").post(faults))
        .service(web::resource("/emulator/keys/rotate").post(rotate))
        .service(web::resource("/emulator/withdraw").post(withdraw))
        .service(web::resource("/emulator/settings").post(settings))
        .default_service(web::to(nothing));
}
