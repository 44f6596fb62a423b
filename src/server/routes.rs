//! The table of routes: each path and method once, with who may call it. Registration is made from the
//! table, so no route can exist beside it; a test walks it with every kind of caller.

mod app_data;
mod backup;
mod clients;
mod configuration;
mod connect;
mod connect_links;
mod counts;
mod dashboard;
mod events;
mod exchange;
mod keys;
mod me;
mod mirror;
mod ops;
mod overview;
mod own_account;
mod people;
mod session;
mod sign_in;
mod status;
mod tokens;
mod users;

use actix_cors::Cors;
use actix_web::dev::RequestHead;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderValue};
use actix_web::middleware::Condition;
use actix_web::{HttpResponse, guard, web};

use super::context::{Context, Door};
use super::problem::{Code, Problem};
use crate::api_keys::Action;

pub use self::app_data::{EntryKind, EntryPage, EntryView, RemovedView, WrittenView};
pub(super) use self::backup::remove_leftovers;
pub use self::clients::{ClientList, ClientView};
pub use self::connect_links::{ConnectLinkList, ConnectLinkMade, ConnectLinkView, LinkedUser};
pub use self::dashboard::LoginLinkMade;
pub use self::keys::{KeyUsers, KeyView};
pub use self::mirror::{MirrorList, MirrorView, ReportView, Restored, VersionList, VersionView};
pub use self::overview::{Attention, AttentionKind, Overview, Severity};
pub use self::status::{ApiKeyStatus, ClientStatus, GoogleStatus, GrantCount, Pause, Status, VaultStatus};

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Everybody.
    Public,
    /// The user of a session.
    Session,
    /// An API key with this action, and the owner.
    Key(Action),
    /// A browser that is signed in to the dashboard.
    Dashboard,
    /// The owner, and an unbound API key with `admin`.
    Owner,
}

/// One method of a resource.
pub(super) struct Route {
    pub(super) method: Method,
    /// What the handler's extractors enforce; a test holds the two together.
    #[cfg_attr(
        not(test),
        expect(
            dead_code,
            reason = "who gets in is decided by what a handler takes; tests hold them to this"
        )
    )]
    pub(super) access: Access,
    handler: fn() -> actix_web::Route,
}

/// One path.
pub(super) struct Resource {
    pub(super) path: &'static str,
    /// Whether web pages of allowed origins may call it.
    pub(super) cors: bool,
    pub(super) routes: &'static [Route],
}

/// The name of requests that match no path, in metrics and the log.
pub(super) const UNMATCHED: &str = "(none)";

macro_rules! table {
    ($($path:literal $($cors:ident)? { $($method:ident $access:expr => $handler:expr;)+ })+) => {
        /// Every route there is. The order matters where two paths match: the first wins.
        pub(super) static TABLE: &[Resource] = &[$(Resource {
            path: $path,
            cors: table!(@cors $($cors)?),
            routes: &[$(Route {
                method: Method::$method,
                access: $access,
                handler: || web::method(Method::$method).to($handler),
            }),+],
        }),+];
    };
    (@cors) => { false };
    (@cors pages) => { true };
}

table! {
    "/v1/users/{user}/token" {
        GET Access::Key(Action::TokensRead) => tokens::token;
    }
    "/v1/exchange" pages {
        POST Access::Public => exchange::exchange;
    }
    "/v1/session" pages {
        POST Access::Public => session::renew;
    }
    "/v1/sign-in" {
        GET Access::Public => sign_in::begin;
    }
    "/v1/sign-in/callback" {
        GET Access::Public => sign_in::callback;
    }
    "/v1/sign-in/end/{id}" {
        GET Access::Public => sign_in::end;
        POST Access::Public => sign_in::again;
    }
    "/v1/users/me" pages {
        GET Access::Session => me::show;
        DELETE Access::Session => me::disconnect;
    }
    "/v1/users/me/app-data" pages {
        GET Access::Session => app_data::list_own;
    }
    "/v1/users/me/app-data/{path:.*}" pages {
        GET Access::Session => app_data::read_own;
        HEAD Access::Session => app_data::read_own;
        PUT Access::Session => app_data::write_own;
        DELETE Access::Session => app_data::remove_own;
    }
    "/v1/people" {
        GET Access::Owner => people::list;
    }
    "/v1/users" {
        GET Access::Key(Action::UsersRead) => users::list;
    }
    "/v1/users/{user}" {
        GET Access::Key(Action::UsersRead) => users::show;
        DELETE Access::Key(Action::UsersWrite) => users::forget;
    }
    "/v1/users/{user}/refresh" {
        POST Access::Key(Action::UsersWrite) => tokens::refresh;
    }
    "/v1/users/{user}/app-data" {
        GET Access::Key(Action::AppDataRead) => app_data::list;
    }
    "/v1/users/{user}/app-data/{path:.*}" {
        GET Access::Key(Action::AppDataRead) => app_data::read;
        HEAD Access::Key(Action::AppDataRead) => app_data::read;
        PUT Access::Key(Action::AppDataWrite) => app_data::write;
        DELETE Access::Key(Action::AppDataWrite) => app_data::remove;
    }
    "/v1/users/{user}/mirror" {
        GET Access::Key(Action::AppDataRead) => mirror::show;
        POST Access::Key(Action::AppDataWrite) => mirror::run;
    }
    "/v1/users/{user}/mirror/versions" {
        GET Access::Key(Action::AppDataRead) => mirror::versions;
    }
    "/v1/users/{user}/mirror/versions/{id}/restore" {
        POST Access::Key(Action::AppDataWrite) => mirror::restore;
    }
    "/v1/mirrors" {
        GET Access::Owner => mirror::list;
    }
    "/v1/connect-links" {
        GET Access::Key(Action::UsersRead) => connect_links::list;
        POST Access::Key(Action::UsersWrite) => connect_links::create;
    }
    "/v1/connect-links/{id}" {
        DELETE Access::Key(Action::UsersWrite) => connect_links::withdraw;
    }
    "/v1/connect/{token}" {
        GET Access::Public => connect::show;
        POST Access::Public => connect::follow;
    }
    "/v1/authorizations" {
        POST Access::Owner => own_account::authorization;
    }
    "/v1/device-sign-ins" {
        POST Access::Owner => own_account::device;
    }
    "/v1/keys" {
        GET Access::Owner => keys::list;
        POST Access::Owner => keys::create;
    }
    "/v1/keys/{id}/rotate" {
        POST Access::Owner => keys::rotate;
    }
    "/v1/keys/{id}" {
        DELETE Access::Owner => keys::revoke;
    }
    "/" {
        GET Access::Public => dashboard::home;
        HEAD Access::Public => dashboard::home;
    }
    "/dashboard/assets/{file:.*}" {
        GET Access::Public => dashboard::asset;
        HEAD Access::Public => dashboard::asset;
    }
    "/dashboard/enter/{token}" {
        GET Access::Public => dashboard::look;
        HEAD Access::Public => dashboard::look;
        POST Access::Public => dashboard::enter;
    }
    "/dashboard/sign-in" {
        POST Access::Public => dashboard::sign_in;
    }
    "/v1/dashboard" {
        GET Access::Dashboard => dashboard::show;
        DELETE Access::Dashboard => dashboard::sign_out;
    }
    "/v1/dashboard/links" {
        POST Access::Owner => dashboard::make_link;
    }
    "/v1/dashboard/sessions" {
        DELETE Access::Owner => dashboard::sign_out_all;
    }
    "/v1/clients" {
        GET Access::Owner => clients::list;
    }
    "/v1/clients/{name}/check" {
        POST Access::Owner => clients::check;
    }
    "/v1/configuration" {
        GET Access::Owner => configuration::show;
    }
    "/v1/overview" {
        GET Access::Owner => overview::show;
    }
    "/v1/events" {
        GET Access::Key(Action::EventsRead) => events::list;
    }
    "/v1/counts" {
        GET Access::Owner => counts::chart;
    }
    "/v1/status" {
        GET Access::Owner => status::status;
    }
    "/v1/vault/backup" {
        POST Access::Owner => backup::backup;
    }
    "/.well-known/jwks.json" pages {
        GET Access::Public => session::published_keys;
    }
    "/metrics" {
        GET Access::Key(Action::MetricsRead) => ops::metrics;
    }
    "/healthz" {
        GET Access::Public => ops::alive;
        HEAD Access::Public => ops::alive;
    }
    "/readyz" {
        GET Access::Public => ops::ready;
        HEAD Access::Public => ops::ready;
    }
}

/// The route that all the others are there for.
const TOKEN: &str = "/v1/users/{user}/token";
const USERS: &str = "/v1/users";

/// Whether the path is that of [`TOKEN`].
fn is_token(path: &str) -> bool {
    let mut below = path.strip_prefix(USERS).unwrap_or_default().split('/');
    let segments = [below.next(), below.next(), below.next(), below.next()];
    matches!(segments, [Some(""), Some(user), Some("token"), None] if !user.is_empty())
}

/// What only browsers open, and so only the public listener serves.
fn is_page(path: &str) -> bool {
    path == "/" || path.starts_with("/dashboard/")
}

/// What the metrics listener knows.
const METRICS_DOOR: [&str; 3] = ["/metrics", "/healthz", "/readyz"];

pub(super) fn is_health(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz")
}

/// Whether people open the address in a browser, and so are told in pages what they cannot have.
pub(super) fn is_for_browsers(path: &str) -> bool {
    is_page(path) && !path.starts_with("/dashboard/assets/")
        || path == "/v1/sign-in"
        || path.starts_with("/v1/sign-in/")
        || path.starts_with("/v1/connect/")
}

/// The row of [`TABLE`] that a request matched.
#[derive(Clone, Copy)]
pub(super) struct Matched(pub(super) usize);

/// Registers what `door` serves.
pub(super) fn configure(app: &mut web::ServiceConfig, door: Door, context: &Context) {
    let origins = &context.state.config.server.cors_origins;
    for (index, row) in TABLE.iter().enumerate() {
        if door == Door::Metrics && !METRICS_DOOR.contains(&row.path)
            || door == Door::Admin && is_page(row.path)
        {
            continue;
        }
        if row.path == TOKEN {
            // actix finds a parameter by a regular expression, which would take an eighth of a token read. What
            // is written with needless escapes, and other methods, go that way all the same.
            for route in row.routes {
                let method = route.method.clone();
                let asked = move |head: &RequestHead| head.method == method && is_token(head.uri.path());
                let straight = web::scope(USERS).guard(guard::fn_guard(move |request| asked(request.head())));
                app.service(straight.app_data(Matched(index)).default_service((route.handler)()));
            }
        }
        let mut resource = web::resource(row.path).app_data(Matched(index));
        for route in row.routes {
            resource = resource.route((route.handler)());
        }
        let resource = resource.default_service(web::to(move || async move { method_not_allowed(index) }));
        if row.cors && door == Door::Public {
            app.service(resource.wrap(Condition::new(!origins.is_empty(), cors(origins))));
        } else {
            app.service(resource);
        }
    }
    app.default_service(web::to(not_found));
}

fn cors(origins: &[String]) -> Cors {
    let listed = origins.iter().fold(Cors::default(), |cors, origin| cors.allowed_origin(origin));
    listed
        .allowed_methods([Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE])
        .allowed_headers([
            "authorization",
            "content-type",
            "idempotency-key",
            "if-match",
            "if-none-match",
            "if-range",
            "range",
            "x-requested-with",
        ])
        .expose_headers(["accept-ranges", "content-range", "etag", "retry-after", "x-request-id"])
        .block_on_origin_mismatch(true)
        .max_age(600)
}

async fn not_found() -> Result<HttpResponse, Problem> {
    Err(Problem::new(Code::NotFound))
}

fn method_not_allowed(index: usize) -> Result<HttpResponse, Problem> {
    let methods: Vec<_> = TABLE[index].routes.iter().map(|route| route.method.as_str()).collect();
    let allow = HeaderValue::from_str(&methods.join(", ")).expect("method names are a header value");
    Err(Problem::new(Code::MethodNotAllowed)
        .detail(format!("This route knows {}.", methods.join(", ")))
        .header(header::ALLOW, allow))
}

/// An answer in JSON.
fn json(status: actix_web::http::StatusCode, body: &impl serde::Serialize) -> Result<HttpResponse, Problem> {
    // As much as most answers take, so that it does not grow step by step.
    let mut written = Vec::with_capacity(1024);
    serde_json::to_writer(&mut written, body).map_err(|error| Problem::new(Code::Internal).because(error))?;
    Ok(HttpResponse::build(status)
        .insert_header((header::CONTENT_TYPE, HeaderValue::from_static("application/json")))
        .body(written))
}

fn ok(body: &impl serde::Serialize) -> Result<HttpResponse, Problem> {
    json(actix_web::http::StatusCode::OK, body)
}
