//! A person's browser, as against a program: its language, its cookies, and how it is answered.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use url::Url;

use super::context::Context;
use super::pages::{Ending, Facts, Language, Page};
use super::problem::{Code, Problem};
use crate::secret::SecretText;
use crate::sign_in::web_flow::{Begun, LIFETIME};

/// Who looks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visitor {
    pub(super) language: Language,
    /// Whether it asks for JSON and not for pages.
    pub(super) is_program: bool,
}

impl Visitor {
    pub(super) fn of(request: &HttpRequest) -> Self {
        let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
        let accept = accept.unwrap_or_default();
        Self {
            language: Language::of(request.headers()),
            is_program: accept.contains("json") && !accept.contains("text/html"),
        }
    }

    /// The problem as this visitor wants it: a page, or JSON.
    pub(super) fn told(&self, problem: Problem, facts: &Facts<'_>) -> Problem {
        if self.is_program {
            return problem;
        }
        let code = problem.code();
        let ending = ending_of(code);
        // What only the person can mend needs no name.
        let name = matches!(ending, Ending::Owner | Ending::Site | Ending::Failed | Ending::Later);
        let facts = Facts {
            account: facts.account,
            client: facts.client,
            code: name.then_some(code.as_str()),
            again: facts.again,
            back: facts.back,
            missing: None,
        };
        problem.paged(Page::end(self.language, ending, &facts))
    }
}

/// Which page a problem has.
fn ending_of(code: Code) -> Ending {
    match code {
        Code::ConsentDenied => Ending::Denied,
        Code::SignInExpired => Ending::Expired,
        Code::SignInOtherBrowser => Ending::OtherBrowser,
        Code::WrongAccount => Ending::WrongAccount,
        Code::ConnectLinkGone => Ending::LinkGone,
        Code::UserNotAllowed => Ending::NotAllowed,
        Code::LoginLinkGone => Ending::LoginLinkGone,
        Code::OwnerNotListed => Ending::NotOwner,
        Code::ForeignRequest | Code::HostNotServed => Ending::Foreign,
        Code::GoogleBlocked => Ending::Blocked,
        Code::SignInNotConfigured
        | Code::ClientMisconfigured
        | Code::RedirectUriMismatch
        | Code::RedirectUriNotAllowed
        | Code::SourceNotAllowed => Ending::Owner,
        Code::ReturnToNotAllowed
        | Code::ChallengeUnusable
        | Code::ClientUnknown
        | Code::ClientRequired
        | Code::ParameterUnknown
        | Code::ParameterInvalid
        | Code::DuplicateField => Ending::Site,
        other if other.retryable() => Ending::Later,
        _ => Ending::Failed,
    }
}

/// The cookie that ties a sign-in to its browser: one for each, named by the sign-in.
///
/// `__Host-` keeps other hosts of the domain from setting it; browsers know it only with `Secure`, which plain
/// http on loopback cannot have. `Lax` lets it come along when Google sends the browser back, and not with
/// a form that another site posts.
fn cookie_name(id: &str, secure: bool) -> String {
    format!("{}locum-sign-in-{id}", if secure { "__Host-" } else { "" })
}

fn is_secure(context: &Context) -> bool {
    context.state.config.server.public_url.as_ref().is_some_and(|url| url.scheme() == "https")
}

fn set_cookie(context: &Context, id: &str, value: &str, seconds: i64) -> HeaderValue {
    let secure = is_secure(context);
    let (name, end) = (cookie_name(id, secure), if secure { "; Secure" } else { "" });
    let cookie = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{end}");
    HeaderValue::from_str(&cookie).expect("names, numbers and base64url are a header value")
}

/// The cookie of a sign-in, if the browser has it.
pub(super) fn cookie_of(context: &Context, request: &HttpRequest, id: &str) -> Option<SecretText> {
    let name = cookie_name(id, is_secure(context));
    let lines = request.headers().get_all(header::COOKIE).filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(own, _)| *own == name).map(|(_, value)| SecretText::new(value))
}

/// Tells the browser what to keep of a sign-in that begins.
pub(super) fn keep_cookie(context: &Context, begun: &Begun, response: &mut HttpResponse) {
    let cookie = set_cookie(context, &begun.id, begun.browser.expose(), LIFETIME);
    response.headers_mut().append(header::SET_COOKIE, cookie);
}

/// Tells the browser to forget what it has of a sign-in that is over.
pub(super) fn drop_cookie(context: &Context, id: &str, response: &mut HttpResponse) {
    response.headers_mut().append(header::SET_COOKIE, set_cookie(context, id, "", 0));
}

/// To another address, by GET.
pub(super) fn redirect(to: &Url) -> HttpResponse {
    let to = HeaderValue::from_str(to.as_str()).expect("a URL is ASCII without controls");
    HttpResponse::build(StatusCode::SEE_OTHER).insert_header((header::LOCATION, to)).finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn a_browser_and_a_program_are_told_apart() {
        for (accept, is_program) in [
            ("", false),
            ("*/*", false),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", false),
            ("application/json", true),
            ("application/problem+json, */*", true),
            ("text/html, application/json", false),
        ] {
            let request = TestRequest::default().insert_header(("accept", accept)).to_http_request();
            assert_eq!(Visitor::of(&request).is_program, is_program, "{accept}");
        }
    }

    #[test]
    fn every_problem_has_a_page() {
        let pages: Vec<Ending> = Code::ALL.iter().map(|code| ending_of(*code)).collect();
        assert!(pages.contains(&Ending::Denied) && pages.contains(&Ending::Later));
        assert!(!pages.contains(&Ending::Connected) && !pages.contains(&Ending::UnderWay));
    }
}
