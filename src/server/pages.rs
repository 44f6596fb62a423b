//! The pages that people see in a browser while they sign in.
//!
//! What must stay true: a page is whole in one answer (no script, no picture, no other request), says in
//! plain words what happened and what to do, and shows what others wrote (addresses, names, hosts) as
//! isolated text. The languages are tables of one shape (`words.rs`), so none can lack a text.

mod arabic;
mod english;
mod language;
mod words;

use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use url::Url;

pub(super) use self::language::Language;
pub(super) use self::words::Ending;

use self::words::{Scope, Text};
use crate::scopes::ScopeSet;

const CSS: &str = include_str!("../../assets/pages/pages.css");

/// Only the style that stands in the page is let in, by its hash.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = STANDARD.encode(ring::digest::digest(&ring::digest::SHA256, CSS.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).expect("a policy and base64 are a header value")
});

/// What the page of an end shows beside its text.
#[derive(Debug, Default)]
pub(super) struct Facts<'a> {
    /// Whose account it is, or should be.
    pub(super) account: Option<&'a str>,
    /// The client.
    pub(super) client: Option<&'a str>,
    /// What was not granted.
    pub(super) missing: Option<&'a ScopeSet>,
    /// The problem's stable name, for whoever has to be told.
    pub(super) code: Option<&'a str>,
    /// Whether a button begins it anew, by a form that goes to the page's own address.
    pub(super) again: bool,
    /// The way back to the site.
    pub(super) back: Option<&'a Url>,
}

/// What an invitation shows.
#[derive(Debug)]
pub(super) struct Invitation<'a> {
    /// Whose account is asked for.
    pub(super) account: &'a str,
    /// The client.
    pub(super) client: &'a str,
    /// This locum's own host.
    pub(super) server: &'a str,
    /// What is asked for.
    pub(super) scopes: &'a ScopeSet,
    /// When it ends.
    pub(super) until: &'a str,
}

/// A whole page, without the headers that belong to it.
#[derive(Debug)]
pub(super) struct Page {
    language: Language,
    body: String,
}

impl Page {
    fn new(language: Language, tone: &str, title: &str, refresh: Option<&str>, content: &Markup) -> Self {
        let markup = html! {
            (DOCTYPE)
            html lang=(language.tag()) dir=(language.direction()) {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="robots" content="noindex";
                    meta name="color-scheme" content="light dark";
                    @if let Some(refresh) = refresh { meta http-equiv="refresh" content=(refresh); }
                    title { (title) }
                    style { (PreEscaped(CSS)) }
                }
                body { main class=(tone) { (content) } }
            }
        };
        Self { language, body: markup.into_string() }
    }

    /// How a sign-in ended.
    pub(super) fn end(language: Language, ending: Ending, facts: &Facts<'_>) -> Self {
        let words = language.words();
        let text = (words.ending)(ending);
        let refresh = (ending == Ending::UnderWay).then_some("1");
        let content = html! {
            (heading(text))
            @if facts.account.is_some() || facts.client.is_some() || facts.missing.is_some() || facts.code.is_some() {
                dl {
                    @if let Some(account) = facts.account { (fact(words.account, account)) }
                    @if let Some(client) = facts.client { (fact(words.asked_by, client)) }
                    @if let Some(missing) = facts.missing { (scopes(language, words.not_granted, missing)) }
                    @if let Some(code) = facts.code {
                        div { dt { (words.code) } dd { code dir="ltr" { (code) } } }
                    }
                }
            }
            p.hint { (text.next) }
            @if ending == Ending::LoginLinkGone { (command(LINK_COMMAND)) }
            @if facts.again || facts.back.is_some() {
                div.actions {
                    @if facts.again {
                        form method="post" { button type="submit" { (words.again) } }
                    }
                    @if let Some(back) = facts.back {
                        a.button.quiet href=(back) rel="noreferrer" { (words.back) }
                    }
                }
            }
            @if let Some(back) = facts.back {
                footer { (words.site) ": " bdi dir="ltr" { (back.host_str().unwrap_or_default()) } }
            }
        };
        Self::new(language, ending.tone(), text.title, refresh, &content)
    }

    /// On to Google by itself. A redirect would do where no form was posted: after one, browsers hold every
    /// address on the way against the page's `form-action`.
    pub(super) fn going_on(language: Language, to: &Url) -> Self {
        let (words, refresh) = (language.words(), format!("0;url={to}"));
        let content = html! {
            (heading(words.going_on))
            p.hint { (words.going_on.next) }
            div.actions { a.button href=(to) rel="noreferrer" { (words.go) } }
        };
        Self::new(language, "", words.going_on.title, Some(&refresh), &content)
    }

    /// Who asks whom for what, and a button.
    pub(super) fn invitation(language: Language, invitation: &Invitation<'_>) -> Self {
        let words = language.words();
        let content = html! {
            (heading(words.invitation))
            dl {
                (fact(words.account, invitation.account))
                (fact(words.asked_by, invitation.client))
                (fact(words.server, invitation.server))
                (scopes(language, words.asked_for, invitation.scopes))
                (fact(words.until, invitation.until))
            }
            p.hint { (words.invitation.next) }
            div.actions {
                form method="post" { button type="submit" { (words.begin) } }
            }
        };
        Self::new(language, "", words.invitation.title, None, &content)
    }

    /// The page at `/` for whoever is not signed in. With `google`, a button for accounts that are listed.
    pub(super) fn sign_in(language: Language, google: bool) -> Self {
        let words = language.words();
        let content = html! {
            (heading(words.sign_in))
            (command(LINK_COMMAND))
            p.hint { (words.sign_in.next) }
            @if google {
                div.actions {
                    // Relative, for a public address that has a path.
                    form method="post" action="dashboard/sign-in" {
                        button type="submit" { (words.begin) }
                    }
                }
            }
        };
        Self::new(language, "", words.sign_in.title, None, &content)
    }

    /// What a login link shows. Nothing is used up by looking at it.
    pub(super) fn enter(language: Language) -> Self {
        let words = language.words();
        let content = html! {
            (heading(words.enter))
            p.hint { (words.enter.next) }
            div.actions {
                form method="post" { button type="submit" { (words.enter_button) } }
            }
        };
        Self::new(language, "", words.enter.title, None, &content)
    }

    /// On to the dashboard at `to`, a relative address, by itself. A redirect would not do: a browser that
    /// was led here by another site keeps a `SameSite=Strict` cookie back until a page of this site leads on.
    pub(super) fn opening(language: Language, to: &str) -> Self {
        let (words, refresh) = (language.words(), format!("0;url={to}"));
        let content = html! {
            (heading(words.opening))
            p.hint { (words.opening.next) }
            div.actions { a.button href=(to) { (words.open) } }
        };
        Self::new(language, "", words.opening.title, Some(&refresh), &content)
    }

    /// As an answer.
    pub(super) fn answer(self, status: StatusCode) -> HttpResponse {
        let mut response = HttpResponse::new(status).set_body(Vec::new()).map_into_boxed_body();
        self.put_headers(response.headers_mut());
        response.set_body(self.body).map_into_boxed_body()
    }

    /// The text of the page.
    pub(super) fn body(&self) -> &str {
        &self.body
    }

    /// The headers that belong to the page.
    pub(super) fn put_headers(&self, headers: &mut HeaderMap) {
        let plain = HeaderValue::from_static;
        headers.insert(header::CONTENT_TYPE, plain("text/html; charset=utf-8"));
        headers.insert(header::CONTENT_SECURITY_POLICY, POLICY.clone());
        headers.insert(header::CONTENT_LANGUAGE, plain(self.language.tag()));
        headers.insert(header::VARY, plain("accept, accept-language"));
    }
}

/// What the owner types to get in.
const LINK_COMMAND: &str = "locum admin link";

fn command(words: &str) -> Markup {
    html! { p { code dir="ltr" { (words) } } }
}

fn heading(text: Text) -> Markup {
    html! { h1 { (text.title) } p { (text.what) } }
}

fn fact(name: &str, value: &str) -> Markup {
    html! { div { dt { (name) } dd { bdi { (plain(value)) } } } }
}

fn scopes(language: Language, name: &str, scopes: &ScopeSet) -> Markup {
    let words = language.words();
    html! {
        div {
            dt { (name) }
            dd { ul { @for scope in scopes.iter() {
                li { @match Scope::of(scope) {
                    Some(known) => { ((words.scope)(known)) },
                    None => { code dir="ltr" { (plain(scope)) } },
                } }
            } } }
        }
    }
}

/// Text without what would turn the text around it: isolation keeps the page's own, and this keeps the
/// reader from being shown another order than the bytes have.
fn plain(text: &str) -> String {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if steers(c) { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests;
