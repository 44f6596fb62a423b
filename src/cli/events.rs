//! `locum events`: what happened, and with `--follow` what happens from then on.

use clap::Args;
use serde::Deserialize;
use serde_json::Value;

use super::admin::{Admin, Request, Vault};
use super::running::{Signals, to_the_end};
use super::{Context, Exit, Failure, output, user};
use crate::events::{Event, EventUser};
use crate::ids::ClientName;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// How many of the latest, 0 to 500
    #[arg(long, short = 'n', value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u16).range(0..=500))]
    number: u16,
    /// Go on with what happens from now on, until a signal ends it
    #[arg(long, short)]
    follow: bool,
    /// Only of this kind, such as grant.died, or of a group of kinds, such as grant
    #[arg(long)]
    kind: Option<String>,
    /// Only about this person, by e-mail address or user id
    #[arg(long, value_name = "WHO", value_parser = user::who)]
    user: Option<String>,
    /// Only about this client
    #[arg(long, value_name = "NAME")]
    client: Option<ClientName>,
    /// Only by owner, key, user or locum
    #[arg(long)]
    actor: Option<String>,
    /// Only what is at least info, notice or warning
    #[arg(long)]
    severity: Option<String>,
}

#[derive(Deserialize)]
struct Page {
    /// Newest first.
    events: Vec<Event>,
}

pub(super) fn run(context: &Context<'_>, arguments: &Arguments) -> Result<Exit, Failure> {
    to_the_end(async {
        let mut signals = Signals::listen()?;
        let admin = if arguments.follow {
            // In a server of this command's own nothing would happen.
            Admin::reach_running(context)?
        } else {
            Admin::reach(context, Vault::MustExist).await?
        };
        let outcome = tokio::select! {
            outcome = perform(context, &admin, arguments) => outcome,
            // The usual end of what goes on until somebody ends it.
            () = signals.next() => Ok(Exit::Done),
        };
        admin.leave().await;
        outcome
    })
}

async fn perform(context: &Context<'_>, admin: &Admin, arguments: &Arguments) -> Result<Exit, Failure> {
    let mut last = None;
    if arguments.number > 0 {
        let page: Page = ask(admin, arguments).query("limit", Some(arguments.number)).read().await?;
        if page.events.is_empty() && !arguments.follow && !context.json {
            output::note("Nothing has happened that matches.");
        }
        // All that there is comes behind 0.
        last = Some(page.events.first().map_or_else(|| "0".to_owned(), |newest| newest.id.clone()));
        for event in page.events.iter().rev() {
            tell(context, event)?;
        }
    }
    if !arguments.follow {
        return Ok(Exit::Done);
    }
    let request = ask(admin, arguments).query("after", last);
    let mut stream = request.header(http::header::ACCEPT, "text/event-stream").stream().await?;
    let mut begun = Vec::new();
    while let Some(piece) = stream.chunk().await.map_err(|error| anyhow::Error::from(error.without_url()))? {
        begun.extend_from_slice(&piece);
        while let Some(end) = begun.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = begun.drain(..=end).collect();
            // An event is one line of data; the other lines repeat its id or say that nobody hung up.
            if let Some(data) = line.strip_prefix(b"data: ") {
                tell(context, &serde_json::from_slice(data).map_err(anyhow::Error::from)?)?;
            }
        }
    }
    Err(Failure::later(anyhow::anyhow!(
        "the server ended the stream: it stops; follow again when it is back"
    )))
}

fn ask<'a>(admin: &'a Admin, arguments: &Arguments) -> Request<'a> {
    admin
        .get(&["v1", "events"])
        .query("kind", arguments.kind.as_ref())
        .query("user", arguments.user.as_ref())
        .query("client", arguments.client.as_ref())
        .query("actor", arguments.actor.as_ref())
        .query("severity", arguments.severity.as_ref())
}

fn tell(context: &Context<'_>, event: &Event) -> std::io::Result<()> {
    if context.json { output::json_line(event) } else { output::data(&line(event)) }
}

/// `2026-11-28T20:01:02Z  notice   user.forgotten  alice@example.org main  A grant … (owner by socket; revoked=true)`
fn line(event: &Event) -> String {
    let user = event.user.as_ref().map(|user| match user {
        EventUser::Known { email: Some(email), .. } => email.to_string(),
        EventUser::Known { id, .. } => id.to_string(),
        EventUser::Forgotten { .. } => "(somebody forgotten)".to_owned(),
        EventUser::Damaged { .. } => "(somebody whose record is damaged)".to_owned(),
    });
    let about: Vec<_> = user.iter().chain(&event.client).map(String::as_str).collect();
    let actor = &event.actor;
    let mut more = match (&actor.name, &actor.via) {
        (Some(name), _) => format!("{} {name}", actor.kind),
        (None, Some(via)) => format!("{} by {via}", actor.kind),
        (None, None) => actor.kind.clone(),
    };
    if let Some(from) = event.from {
        more.push_str(&format!(" from {from}"));
    }
    for (name, value) in &event.details {
        match value {
            Value::String(text) => more.push_str(&format!("; {name}={text}")),
            Value::Bool(_) | Value::Number(_) => more.push_str(&format!("; {name}={value}")),
            // Lists are long; `--json` has them.
            Value::Null | Value::Array(_) | Value::Object(_) => {}
        }
    }
    let Event { at, severity, kind, summary, .. } = event;
    let about = if about.is_empty() { String::new() } else { format!("{}  ", about.join(" ")) };
    output::plain(&format!("{at}  {severity:<7}  {kind:<22}  {about}{summary} ({more})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_a_line() {
        let event = serde_json::json!({
            "id": "7", "at": "2026-11-22T17:36:12Z", "kind": "user.forgotten", "severity": "notice",
            "summary": "A grant of the person was deleted.",
            "actor": {"kind": "key", "via": "key", "key": "aaaaaaaaaaaa", "name": "bad\nname"},
            "from": "192.0.2.1", "user": {"id": "108204268033311370001", "email": "alice@example.org"},
            "client": "main", "details": {"revoked": true, "scopes": ["openid"]},
        });
        let event: Event = serde_json::from_value(event).expect("an event");
        assert_eq!(
            line(&event),
            "2026-11-22T17:36:12Z  notice   user.forgotten          alice@example.org main  A grant of the person was \
             deleted. (key bad\u{fffd}name from 192.0.2.1; revoked=true)"
        );
    }
}
