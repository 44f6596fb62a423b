//! The pages: what this is, the consent page, the page for devices, errors. They work without
//! JavaScript, take their style from `/emulator.css`, and say plainly that this is not Google.

use maud::{DOCTYPE, Markup, html};

use super::consent::{Authorization, identity_scopes};
use super::device::Asked;
use super::people::Person;

/// The style sheet.
pub(super) const CSS: &str = include_str!("../../assets/emulator/emulator.css");

fn page(title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " · locum emulator" }
                link rel="stylesheet" href="/emulator.css";
            }
            body {
                p.banner { "This is locum's emulator on your own machine. It is not Google, and nobody here is real." }
                main { (body) }
            }
        }
    }
}

/// The page at `/`.
pub(super) fn index(endpoints: &[(&str, &str, &str)], people: &[Person], clients: &[String]) -> Markup {
    page(
        "A loopback Google",
        &html! {
            h1 { "A loopback Google" }
            p { "This program answers like Google's sign-in so that an app can be tried and tested without a Google
                project and without a network. It listens on this machine only and forgets everything when it stops." }
            h2 { "Endpoints" }
            table {
                @for (method, path, words) in endpoints {
                    tr { td.method { (method) } td { code { (path) } } td { (words) } }
                }
            }
            h2 { "People" }
            (people_list(people))
            h2 { "Clients" }
            @if clients.is_empty() {
                p { "No client is registered yet: add one with " code { "POST /emulator/clients" } "." }
            } @else {
                ul { @for client in clients { li { code { (client) } } } }
            }
        },
    )
}

fn people_list(people: &[Person]) -> Markup {
    html! {
        @if people.is_empty() {
            p { "Nobody has an account yet: add a person with " code { "POST /emulator/people" } "." }
        } @else {
            ul { @for person in people { li { (name(person)) } } }
        }
    }
}

fn name(person: &Person) -> Markup {
    html! {
        span.name dir="auto" { (person.name) }
        " "
        span.address { (person.email) }
        @if let Some(hd) = &person.hd { " " span.domain { "member of " (hd) } }
    }
}

/// Radio buttons for everybody, the hinted one picked.
fn picker(people: &[Person], hint: Option<&str>) -> Markup {
    let hinted = |person: &Person| {
        hint.is_some_and(|hint| person.email.eq_ignore_ascii_case(hint) || person.sub.as_str() == hint)
    };
    let picked = people.iter().position(hinted).unwrap_or(0);
    html! {
        fieldset {
            legend { "Sign in as" }
            @for (position, person) in people.iter().enumerate() {
                label {
                    input type="radio" name="person" value=(person.sub) checked[position == picked] required;
                    span { (name(person)) }
                }
            }
        }
    }
}

fn buttons(enabled: bool) -> Markup {
    html! {
        p.buttons {
            button type="submit" name="decision" value="allow" disabled[!enabled] { "Allow" }
            button.quiet type="submit" name="decision" value="deny" formnovalidate { "Deny" }
        }
    }
}

/// What a scope lets an app do, where there is a plain word for it.
fn words(scope: &str) -> Option<&'static str> {
    Some(match scope.strip_prefix("https://www.googleapis.com/auth/").unwrap_or(scope) {
        "openid" => "know who you are",
        "userinfo.email" => "see your e-mail address",
        "userinfo.profile" => "see your name and picture",
        "drive.appdata" => "keep its own data in your Drive",
        "drive.file" => "see and change the Drive files you open with it",
        "drive" => "see, change and delete all your Drive files",
        "calendar" => "see and change your calendars",
        "https://mail.google.com/" => "read, send and delete your mail",
        _ => return None,
    })
}

fn scope_line(scope: &str) -> Markup {
    html! { span { @if let Some(words) = words(scope) { (words) " " } code { (scope) } } }
}

/// The consent page of an authorization request.
pub(super) fn consent(request: &Authorization, people: &[Person]) -> Markup {
    let fixed = request.scopes.intersection(&identity_scopes());
    let optional = request.scopes.minus(&fixed);
    page(
        "Sign in",
        &html! {
            h1 { "An app wants to act for you" }
            p { "Client " code { (request.client_id) } }
            // No action: the form goes back to this very address, query included.
            form method="post" {
                (picker(people, request.login_hint.as_deref()))
                @if people.is_empty() { (people_list(people)) }
                @if !fixed.is_empty() {
                    h2 { "Signing in lets it" }
                    ul { @for scope in fixed.iter() { li { (scope_line(scope)) } } }
                }
                @if !optional.is_empty() {
                    fieldset {
                        legend { "It may also" }
                        @for scope in optional.iter() {
                            label { input type="checkbox" name="scope" value=(scope) checked; (scope_line(scope)) }
                        }
                    }
                }
                (buttons(!people.is_empty()))
            }
        },
    )
}

/// The page where a person types the code that a device shows.
pub(super) fn device_entry(problem: Option<&str>) -> Markup {
    page(
        "Connect a device",
        &html! {
            h1 { "Connect a device" }
            @if let Some(problem) = problem { p.problem role="alert" { (problem) } }
            form method="get" action="/device" {
                label.stacked {
                    span { "Code shown by the device" }
                    input name="user_code" autocomplete="off" autocapitalize="characters" spellcheck="false"
                        maxlength="15" required autofocus;
                }
                p.buttons { button type="submit" { "Continue" } }
            }
        },
    )
}

/// The page where a person agrees to a device.
pub(super) fn device_consent(user_code: &str, asked: &Asked, people: &[Person]) -> Markup {
    page(
        "Connect a device",
        &html! {
            h1 { "A device wants to act for you" }
            p { "Client " code { (asked.client_id) } ", code " code { (user_code) } }
            form method="post" action="/device" {
                input type="hidden" name="user_code" value=(user_code);
                (picker(people, None))
                h2 { "It may" }
                ul { @for scope in asked.scopes.iter() { li { (scope_line(scope)) } } }
                (buttons(!people.is_empty()))
            }
        },
    )
}

/// The end of the way of a device.
pub(super) fn device_done(allowed: bool) -> Markup {
    page(
        "Connect a device",
        &html! {
            h1 { @if allowed { "The device is connected" } @else { "The device was refused" } }
            p { "You can close this page." }
        },
    )
}

/// An error that Google shows to the person instead of redirecting.
pub(super) fn error(code: &str, words: &str) -> Markup {
    page(
        "Error",
        &html! {
            h1 { "This sign-in cannot go on" }
            p.problem { "Error: " code { (code) } }
            p { (words) }
        },
    )
}
