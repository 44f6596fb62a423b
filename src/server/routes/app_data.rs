//! A person's app data in Drive over HTTP: listed, read, written and removed by path.
//!
//! Each operation has two routes: for programs with an API key, under the user's name, and for the user of
//! a session, under `me`. What must stay true:
//!
//! - a path is percent-decoded exactly once, segment by segment, and a name that holds a slash afterwards
//!   is refused: it would be another path;
//! - content goes through piece by piece in both directions, no faster than the slower end takes it;
//! - a browser never runs a file as a page of locum: it is sent as an attachment whose type is not guessed;
//! - a session reaches what its own client's grant reaches and nothing of other clients: at Google an app
//!   does not see the app data of others either.

mod conditions;
mod cursor;
mod download;
mod upload;
mod view;

use actix_web::http::header::HeaderValue;
use actix_web::{HttpRequest, HttpResponse, web};

pub use self::view::{EntryKind, EntryPage, EntryView, RemovedView, WrittenView};

use self::conditions::Conditions;
use super::super::auth::{Allowed, AppDataRead, AppDataWrite, Caller, OfSession, OwnerVia};
use super::super::context::Context;
use super::super::problem::{Code, Problem};
use super::super::query;
use super::tokens::within_reach;
use crate::app_data::{
    AppDataError, AppDataName, AppDataPath, ETag, InvalidPath, ListRequest, MAX_PAGE, Person,
};
use crate::events::Actor;
use crate::ids::ClientName;
use crate::tokens::Reach;

/// Who asks, as far as it matters whose app data is meant.
#[derive(Clone, Copy)]
enum Asker<'a> {
    /// The owner, or a program.
    Program(&'a Caller),
    /// The person.
    Themself(&'a OfSession),
}

impl Asker<'_> {
    /// Whose app data is meant, within the asker's reach.
    async fn person(
        self,
        context: &Context,
        request: &HttpRequest,
        client: Option<&str>,
    ) -> Result<Person, Problem> {
        let client = query::client(client)?;
        match self {
            Self::Program(caller) => {
                within_reach(client.as_ref(), caller.reach())?;
                let user = caller.resolve(context, &query::user(request)?).await?;
                Ok(Person { user, client, reach: caller.reach().clone() })
            }
            Self::Themself(session) => {
                let own = context.state.config.client_by_id(&session.client);
                let own: ClientName = own
                    .map(|client| client.name.clone())
                    .ok_or_else(|| Problem::new(Code::SessionInvalid))?;
                let reach = Reach { clients: Some(vec![own.clone()]), scopes: None };
                within_reach(client.as_ref(), &reach)?;
                Ok(Person { user: session.user, client: Some(own), reach })
            }
        }
    }

    fn actor(self, context: &Context, request: &HttpRequest) -> Actor {
        match self {
            Self::Program(caller) => caller.actor(context, request),
            Self::Themself(_) => context.visitor(request),
        }
    }

    /// Whether the caller is the owner, who may take as long as they like to bring something.
    const fn is_owner(self) -> bool {
        matches!(self, Self::Program(Caller::Owner(_)))
    }

    /// Whether it is a command of the owner's, whose output may go to a pipe that waits for a person.
    const fn is_a_command(self) -> bool {
        matches!(self, Self::Program(Caller::Owner(OwnerVia::Socket)))
    }
}

pub(super) async fn list(
    caller: Allowed<AppDataRead>,
    context: web::Data<Context>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    listing(Asker::Program(&caller), &context, &request).await
}

pub(super) async fn list_own(
    session: OfSession,
    context: web::Data<Context>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    listing(Asker::Themself(&session), &context, &request).await
}

pub(super) async fn read(
    caller: Allowed<AppDataRead>,
    context: web::Data<Context>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    download::answer(Asker::Program(&caller), &context, &request).await
}

pub(super) async fn read_own(
    session: OfSession,
    context: web::Data<Context>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    download::answer(Asker::Themself(&session), &context, &request).await
}

pub(super) async fn write(
    caller: Allowed<AppDataWrite>,
    context: web::Data<Context>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    upload::answer(Asker::Program(&caller), &context, &request, payload).await
}

pub(super) async fn write_own(
    session: OfSession,
    context: web::Data<Context>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    upload::answer(Asker::Themself(&session), &context, &request, payload).await
}

pub(super) async fn remove(
    caller: Allowed<AppDataWrite>,
    context: web::Data<Context>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    removal(Asker::Program(&caller), &context, &request).await
}

pub(super) async fn remove_own(
    session: OfSession,
    context: web::Data<Context>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    removal(Asker::Themself(&session), &context, &request).await
}

async fn listing(
    asker: Asker<'_>,
    context: &Context,
    request: &HttpRequest,
) -> Result<HttpResponse, Problem> {
    const LIMIT: &str = "must be a whole number from 1 to 1000";
    let [client, prefix, limit, cursor] =
        query::parameters(request.query_string(), ["client", "prefix", "limit", "cursor"])?;
    let limit = query::parsed("limit", limit.as_deref(), LIMIT)?.unwrap_or(MAX_PAGE);
    if !(1..=MAX_PAGE).contains(&limit) {
        return Err(query::invalid("limit", LIMIT));
    }
    let after = cursor.as_deref().map(cursor::read).transpose()?;
    let person = asker.person(context, request, client.as_deref()).await?;
    let wanted = ListRequest { prefix: prefix.unwrap_or_default().into_owned(), after, limit };
    let listing = context.state.app_data.list(person, &wanted).await;
    let listing = listing.map_err(|error| context.app_data_problem(error))?;
    super::ok(&EntryPage {
        entries: listing.entries.iter().map(EntryView::of).collect(),
        next: listing.next.as_ref().map(cursor::write),
    })
}

/// 204; 200 with what came to light where the file had hidden another of its name.
async fn removal(
    asker: Asker<'_>,
    context: &Context,
    request: &HttpRequest,
) -> Result<HttpResponse, Problem> {
    let [client] = query::parameters(request.query_string(), ["client"])?;
    let path = path(request)?;
    let precondition = Conditions::read(request.headers())?.of_write()?;
    let person = asker.person(context, request, client.as_deref()).await?;
    let removed =
        context.state.app_data.remove(person, path, precondition, &asker.actor(context, request)).await;
    let removed = removed.map_err(|error| context.app_data_problem(error))?;
    match removed.uncovered {
        None => Ok(HttpResponse::NoContent().finish()),
        Some(uncovered) => super::ok(&RemovedView { uncovered: EntryView::of(&uncovered) }),
    }
}

/// The path that the request names: everything behind `/app-data/`, percent-decoded exactly once from what
/// was sent (see [`query::user`]).
fn path(request: &HttpRequest) -> Result<AppDataPath, Problem> {
    parse_path(request.uri().path().splitn(6, '/').nth(5).unwrap_or_default())
}

fn parse_path(sent: &str) -> Result<AppDataPath, Problem> {
    if sent.is_empty() {
        return Err(invalid_path(InvalidPath::Empty));
    }
    let mut path = String::with_capacity(sent.len());
    for segment in sent.split('/') {
        let name = query::decode(segment).ok_or_else(|| {
            Problem::new(Code::PathInvalid)
                .detail("A `%` in the path is not followed by two hex digits, or the path is not UTF-8. Percent-encode each name once.")
                .with("rule", "encoding")
        })?;
        // The names one by one: joined, a slash within one would look like one between two.
        name.parse::<AppDataName>().map_err(invalid_path)?;
        if !path.is_empty() {
            path.push('/');
        }
        path.push_str(&name);
    }
    path.parse().map_err(invalid_path)
}

fn invalid_path(rule: InvalidPath) -> Problem {
    let name = match rule {
        InvalidPath::Empty => "empty",
        InvalidPath::EmptyName => "empty_name",
        InvalidPath::Dots => "dots",
        InvalidPath::Control => "control_character",
        InvalidPath::Slash => "slash_in_name",
        InvalidPath::LongName => "name_too_long",
        InvalidPath::Long => "path_too_long",
        InvalidPath::Deep => "too_deep",
    };
    // Each rule's text is a sentence about what is wrong, and repeats nothing of the path.
    Problem::new(Code::PathInvalid)
        .detail(format!("This path cannot be used: {rule}. {}", Code::PathInvalid.detail()))
        .with("rule", name)
        .because(rule)
}

/// A header field that does not hold what it should.
fn invalid_header(name: &'static str, wanted: &str) -> Problem {
    Problem::new(Code::HeaderInvalid).detail(format!("`{name}` {wanted}.")).with("header", name)
}

fn tag_value(tag: &ETag) -> HeaderValue {
    HeaderValue::try_from(tag.to_string()).expect("an entity tag is printable ASCII")
}

/// 412 with the tag that the file has, if there is one.
fn precondition_failed(current: Option<ETag>) -> Problem {
    AppDataError::PreconditionFailed { current }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(sent: &str) -> Option<String> {
        let refused = parse_path(sent).err()?;
        assert_eq!(refused.code(), Code::PathInvalid);
        refused.member("rule").and_then(|rule| rule.as_str().map(str::to_owned))
    }

    #[test]
    fn a_path_is_decoded_once_and_a_name_stays_one_name() {
        for (sent, path) in [
            ("a.txt", "a.txt"),
            ("notes/a%20b.txt", "notes/a b.txt"),
            ("%C3%BC/%F0%9F%98%80", "ü/😀"),
            ("a%252Fb", "a%2Fb"),
            ("%252e%252e", "%2e%2e"),
            ("a+b", "a+b"),
            ("...", "..."),
        ] {
            assert_eq!(parse_path(sent).expect(sent).to_string(), path, "{sent}");
        }
        for (sent, broken) in [
            ("", "empty"),
            ("/a", "empty_name"),
            ("a//b", "empty_name"),
            ("a/", "empty_name"),
            ("..", "dots"),
            ("a/../b", "dots"),
            ("%2e%2e/a", "dots"),
            (".%2E", "dots"),
            ("a%2Fb", "slash_in_name"),
            ("..%2f..%2fetc", "slash_in_name"),
            ("a%00b", "control_character"),
            ("a%0D%0Ab", "control_character"),
            ("%", "encoding"),
            ("a%zz", "encoding"),
            ("%FF", "encoding"),
            ("%C0%AF", "encoding"),
            (&"a".repeat(256), "name_too_long"),
            (&vec!["a".repeat(200); 6].join("/"), "path_too_long"),
            (&vec!["a"; 33].join("/"), "too_deep"),
        ] {
            assert_eq!(rule(sent).as_deref(), Some(broken), "{sent}");
        }
    }
}
