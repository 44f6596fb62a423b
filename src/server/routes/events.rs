//! `GET /v1/events`: the log as pages, as a live stream, or whole as JSON lines.
//!
//! What must stay true: to a key that is bound, events about people or clients out of its reach do not
//! exist, and neither do those about nobody; a stream ends when its reader may no longer read.

use std::io;
use std::time::Duration;

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::Stream;
use serde::Serialize;

use super::super::auth::{Allowed, Caller, EventsRead};
use super::super::context::Context;
use super::super::problem::{Code, Problem};
use super::super::query;
use super::tokens::within_reach;
use crate::events::{Actor, Event, EventQuery, Fed, Feed, Kind, Reading, Severity};
use crate::ids::{OAuthClientId, UserId, UserRef};

/// Events on one page unless the caller says otherwise, and at most.
const PAGE: usize = 100;
const LARGEST_PAGE: usize = 500;
/// When a reader that found no place may come again.
const RETRY_AFTER: Duration = Duration::from_secs(30);

static LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// nginx would hold a stream back until it has a buffer full of it.
static X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

#[derive(Serialize)]
struct Page {
    events: Vec<Event>,
    next: Option<String>,
}

/// In which form the log is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Page,
    Stream,
    Lines,
}

pub(super) async fn list(
    caller: Allowed<EventsRead>,
    context: web::Data<Context>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let [kind, user, client, actor, severity, before, after, limit, format] = query::parameters(
        request.query_string(),
        ["kind", "user", "client", "actor", "severity", "before", "after", "limit", "format"],
    )?;
    let form = form(request.headers(), format.as_deref())?;
    let wanted = EventQuery {
        kind: kind.as_deref().map(known_kind).transpose()?,
        user: match user.as_deref() {
            None => None,
            Some(user) => Some(named(&caller, &context, user).await?),
        },
        only_users: caller.only_users().map(<[UserId]>::to_vec),
        only_clients: clients(&caller, &context, client.as_deref())?,
        actor: actor.as_deref().map(known_actor).transpose()?,
        severity: match severity.as_deref() {
            None => 0,
            Some(code) => Severity::from_code(code)
                .ok_or_else(|| query::invalid("severity", "must be info, notice or warning"))?
                .rank(),
        },
    };
    let reading = Reading { query: wanted, bound_key: caller.bound_key() };
    let (before, after) = (id("before", before.as_deref())?, id("after", after.as_deref())?);
    if form != Form::Page && limit.is_some() {
        return Err(query::invalid(
            "limit",
            "goes with a page only: a stream and a file have no end of their own",
        ));
    }
    match form {
        Form::Page => {
            const LIMIT: &str = "must be a whole number from 1 to 500";
            let limit = query::parsed("limit", limit.as_deref(), LIMIT)?.unwrap_or(PAGE);
            if !(1..=LARGEST_PAGE).contains(&limit) {
                return Err(query::invalid("limit", LIMIT));
            }
            let (after, before) = (after.unwrap_or(0), before.unwrap_or(i64::MAX));
            let page = context.state.events.page(&reading, after, before, limit).await?;
            super::ok(&Page { events: page.events, next: page.next.map(|id| id.to_string()) })
        }
        Form::Stream => {
            if before.is_some() {
                return Err(query::invalid("before", "does not go with a stream"));
            }
            // What the browser says by itself when it connects again is newer than the address.
            let after = last_event_id(request.headers())?.or(after);
            let feed =
                context.state.events.feed(reading, after, caller.key().cloned()).map_err(|full| {
                    Problem::new(Code::TooManyStreams).because(full).retry_after(RETRY_AFTER)
                })?;
            Ok(HttpResponse::Ok()
                .insert_header((header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")))
                .insert_header((X_ACCEL_BUFFERING.clone(), HeaderValue::from_static("no")))
                .streaming(stream(feed, (*caller).clone(), context)))
        }
        Form::Lines => Ok(HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson")))
            .insert_header((
                header::CONTENT_DISPOSITION,
                HeaderValue::from_static("attachment; filename=\"locum-events.jsonl\""),
            ))
            .streaming(lines(context, reading, after.unwrap_or(0), before.unwrap_or(i64::MAX)))),
    }
}

fn form(headers: &HeaderMap, format: Option<&str>) -> Result<Form, Problem> {
    match format {
        Some("jsonl") => return Ok(Form::Lines),
        Some(_) => return Err(query::invalid("format", "must be jsonl, or be left out")),
        None => {}
    }
    let accepts = |media: &str| {
        let accept = headers.get_all(header::ACCEPT).filter_map(|value| value.to_str().ok());
        accept
            .flat_map(|value| value.split(','))
            .any(|entry| entry.split(';').next().is_some_and(|name| name.trim().eq_ignore_ascii_case(media)))
    };
    Ok(if accepts("text/event-stream") {
        Form::Stream
    } else if accepts("application/x-ndjson") {
        Form::Lines
    } else {
        Form::Page
    })
}

fn known_kind(text: &str) -> Result<String, Problem> {
    if Kind::ALL.iter().any(|kind| kind.code() == text || kind.group() == text) {
        return Ok(text.to_owned());
    }
    let mut groups: Vec<_> = Kind::ALL.iter().map(|kind| kind.group()).collect();
    groups.dedup();
    Err(query::invalid(
        "kind",
        &format!("must be a kind of docs/events.md, or a group: {}", groups.join(", ")),
    ))
}

fn known_actor(text: &str) -> Result<&'static str, Problem> {
    let found = Actor::CODES.into_iter().find(|code| *code == text);
    found.ok_or_else(|| query::invalid("actor", &format!("must be one of {}", Actor::CODES.join(", "))))
}

async fn named(caller: &Caller, context: &Context, user: &str) -> Result<UserId, Problem> {
    const WANTED: &str = "must be a user's id or e-mail address";
    let user: UserRef = user.parse().map_err(|_| query::invalid("user", WANTED))?;
    if user == UserRef::Me {
        return Err(query::invalid("user", WANTED));
    }
    caller.resolve(context, &user).await
}

/// The clients that are wanted and within reach; `None` for all, and what is about none.
fn clients(
    caller: &Caller,
    context: &Context,
    client: Option<&str>,
) -> Result<Option<Vec<OAuthClientId>>, Problem> {
    let client = query::client(client)?;
    within_reach(client.as_ref(), caller.reach())?;
    let config = &context.state.config;
    if let Some(name) = client {
        let client = config.client(&name).ok_or_else(|| Problem::new(Code::ClientUnknown))?;
        return Ok(Some(vec![client.client_id.clone()]));
    }
    let bound = caller.reach().clients.as_ref();
    Ok(bound.map(|names| {
        names.iter().filter_map(|name| config.client(name)).map(|client| client.client_id.clone()).collect()
    }))
}

fn id(name: &'static str, text: Option<&str>) -> Result<Option<i64>, Problem> {
    const WANTED: &str = "must be the id of an event, as an answer gave it";
    let id: Option<i64> = query::parsed(name, text, WANTED)?;
    if id.is_some_and(|id| id < 0) { Err(query::invalid(name, WANTED)) } else { Ok(id) }
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<i64>, Problem> {
    let Some(value) = headers.get(&LAST_EVENT_ID) else { return Ok(None) };
    let id = value.to_str().ok().and_then(|text| text.parse().ok()).filter(|id: &i64| *id >= 0);
    id.map(Some).ok_or_else(|| {
        Problem::new(Code::HeaderInvalid)
            .detail("`Last-Event-ID` must be the id of the last event that came, or be left out.")
            .with("header", "Last-Event-ID")
    })
}

type Piece = Result<Bytes, io::Error>;

/// Server-sent events (HTML Living Standard §9.2).
fn stream(feed: Feed, caller: Caller, context: web::Data<Context>) -> impl Stream<Item = Piece> {
    // The first piece opens the stream at once, whatever there is to come.
    let begun = (feed, caller, context, true);
    futures_util::stream::try_unfold(begun, |(mut feed, caller, context, first)| async move {
        if first {
            return Ok(Some((Bytes::from_static(b"retry: 3000\n\n"), (feed, caller, context, false))));
        }
        let fed = feed.next().await.map_err(|error| {
            tracing::warn!(%error, "a stream of events ended early");
            io::Error::other(error)
        })?;
        let piece = match fed {
            _ if !caller.is_in_force(&context) => return Ok(None),
            None => return Ok(None),
            Some(Fed::Quiet) => Bytes::from_static(b": still here\n\n"),
            Some(Fed::Event(event)) => {
                let json = serde_json::to_string(&event).map_err(io::Error::other)?;
                Bytes::from(format!("id: {}\nevent: event\ndata: {json}\n\n", event.id))
            }
        };
        Ok(Some((piece, (feed, caller, context, false))))
    })
}

/// Everything there is by now, oldest first, a batch at a time.
fn lines(
    context: web::Data<Context>,
    reading: Reading,
    after: i64,
    before: i64,
) -> impl Stream<Item = Piece> {
    futures_util::stream::try_unfold(
        (context, reading, Some(after)),
        move |(context, reading, next)| async move {
            let Some(after) = next else { return Ok(None) };
            let (events, rest) =
                context.state.events.read_on(&reading, after, before).await.map_err(|error| {
                    tracing::warn!(%error, "the log of events could not be read to its end");
                    io::Error::other(error)
                })?;
            let mut piece = Vec::new();
            for event in events {
                serde_json::to_writer(&mut piece, &event).map_err(io::Error::other)?;
                piece.push(b'\n');
            }
            tokio::task::yield_now().await;
            Ok(Some((Bytes::from(piece), (context, reading, rest))))
        },
    )
}
