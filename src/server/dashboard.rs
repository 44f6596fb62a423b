//! The owner's browser: its cookie, and whether it is signed in.
//!
//! What must stay true:
//!
//! - the cookie is set at a sign-in only, to a value that was drawn for it, and no script can read it;
//! - on https it is a `__Host-` cookie, which neither plain http nor another host of the domain can set;
//!   the plain name counts under addresses of this machine only;
//! - it is read from requests on the public listener that show no `Authorization`, and its caller is
//!   checked as `addresses.rs` says.

pub(super) mod assets;

use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use url::Url;

use super::addresses::{Own, check_call};
use super::context::{Context, Door};
use super::problem::{Code, Problem};
use crate::clock::Timestamp;
use crate::owner_sessions::{OwnerSession, SignedIn};
use crate::secret::SecretText;

const SECURE_NAME: &str = "__Host-locum_dashboard";
const PLAIN_NAME: &str = "locum_dashboard";
/// Several cookies of one name are somebody's meddling or another port's; a few are looked at.
const MOST_COOKIES: usize = 4;
/// What the dashboard's pages say in `X-Requested-With` when nobody has touched them for a while.
const UNATTENDED: &str = "locum-unattended";

/// What a request shows of the dashboard. Kept with it, since the rate limit asks before its handler does.
#[derive(Clone)]
pub(super) enum Shown {
    /// No cookie, or one that does not count.
    Nothing,
    /// A cookie of no session.
    Over,
    /// A browser that is signed in.
    Session(OwnerSession),
}

fn name_of(secure: bool) -> &'static str {
    if secure { SECURE_NAME } else { PLAIN_NAME }
}

fn cookies<'h>(headers: &'h HeaderMap, name: &'h str) -> impl Iterator<Item = &'h str> {
    let lines = headers.get_all(header::COOKIE).filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(move |(own, _)| *own == name).map(|(_, value)| value).take(MOST_COOKIES)
}

/// Looks at the cookie of a request. What it finds is no authority yet: see [`owner_of`].
pub(super) fn shown(context: &Context, request: &HttpRequest) -> Shown {
    let headers = request.headers();
    if headers.contains_key(header::AUTHORIZATION) || !headers.contains_key(header::COOKIE) {
        return Shown::Nothing;
    }
    // Under an address that is not ours either name is looked at, so as to be refused and not overlooked.
    let names = match context.addresses.of(headers) {
        Some(own) => [Some(name_of(own.secure)), None],
        None => [Some(SECURE_NAME), Some(PLAIN_NAME)],
    };
    // The live feed is opened again by the browser itself.
    let says = |name: &str, word: &str| headers.get(name).is_some_and(|value| value == word);
    let attended = !says("x-requested-with", UNATTENDED) && !says("accept", "text/event-stream");
    let mut shown = Shown::Nothing;
    for value in names.into_iter().flatten().flat_map(|name| cookies(headers, name)) {
        match context.state.owner_sessions.verify(&SecretText::new(value), attended) {
            Some(session) => return Shown::Session(session),
            None => shown = Shown::Over,
        }
    }
    shown
}

/// The session of a request that may be answered by it; `None` where it shows no cookie.
///
/// # Errors
/// When the session is over, or the request was not made by the dashboard's own pages.
pub(super) fn owner_of(request: &HttpRequest, context: &Context) -> Result<Option<OwnerSession>, Problem> {
    if request.app_data() != Some(&Door::Public) {
        return Ok(None);
    }
    let shown = request.extensions().get::<Shown>().cloned();
    match shown.unwrap_or(Shown::Nothing) {
        Shown::Nothing => Ok(None),
        Shown::Over => Err(Problem::new(Code::DashboardSessionOver)),
        Shown::Session(session) => {
            let own = own(context, request)?;
            check_call(request.method().is_safe(), request.headers(), &own)?;
            Ok(Some(session))
        }
    }
}

/// The address of ours that the request was sent to.
pub(super) fn own(context: &Context, request: &HttpRequest) -> Result<Own, Problem> {
    context.addresses.of(request.headers()).ok_or_else(|| Problem::new(Code::HostNotServed))
}

fn set_cookie(response: &mut HttpResponse, own: &Own, value: &str, seconds: i64) {
    let (name, end) = (name_of(own.secure), if own.secure { "; Secure" } else { "" });
    let cookie = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{end}");
    let cookie = HeaderValue::from_str(&cookie).expect("names, numbers and base64url are a header value");
    response.headers_mut().append(header::SET_COOKIE, cookie);
}

/// Tells the browser that it is signed in.
pub(super) fn keep_cookie(response: &mut HttpResponse, own: &Own, signed_in: &SignedIn) {
    let SignedIn { secret, session } = signed_in;
    set_cookie(response, own, secret.expose(), session.ends_at.since(session.signed_in_at));
}

/// Tells the browser that it is signed in no more.
pub(super) fn drop_cookie(response: &mut HttpResponse, own: &Own) {
    set_cookie(response, own, "", 0);
}

/// A new login link and when it ends; `None` where nobody knows an address for it.
pub(super) fn login_link(context: &Context) -> Option<(Url, Timestamp)> {
    let mut url = context.addresses.base()?;
    let link = context.state.owner_sessions.make_link();
    url.path_segments_mut().ok()?.pop_if_empty().extend(["dashboard", "enter", link.secret.expose()]);
    Some((url, link.expires_at))
}
