//! `locum user`: the people who are connected.

use std::io::{IsTerminal as _, Write as _};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use http::Method;
use serde::Deserialize;
use serde_json::Value;

use super::admin::{self, Admin, Vault};
use super::running::until_signalled;
use super::{Context, Exit, Failure, output, words};
use crate::clock::{Clock, Timestamp};
use crate::ids::{ClientName, UserRef};
use crate::users::{ForgetPreview, Forgotten, GrantView, Revoke, UserPage, UserView};

#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// List people and how their grants are
    List {
        /// Only people with a grant in this state: active, needs_consent, dead, blocked, suspended, revoking
        #[arg(long)]
        state: Option<String>,
    },
    /// Show one person with every grant
    Show(Who),
    /// Print a fresh access token, and nothing else
    Token {
        #[command(flatten)]
        who: Who,
        /// Of which client's grant, where the person has several
        #[arg(long, value_name = "NAME")]
        client: Option<ClientName>,
        /// What the token must open [repeat for more]
        #[arg(long, value_name = "SCOPE")]
        scope: Vec<String>,
        /// How long it must still live at least, 0 to 1800 seconds
        #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(i64).range(0..=crate::tokens::MAX_MIN_TTL))]
        min_ttl: Option<i64>,
    },
    /// Fetch a fresh access token from Google now; a dead grant may come back to life
    Refresh {
        #[command(flatten)]
        who: Who,
        /// Of which client's grant, where the person has several
        #[arg(long, value_name = "NAME")]
        client: Option<ClientName>,
    },
    /// Disconnect a person: revoke at Google, then erase what is stored
    Forget(Forget),
}

#[derive(Debug, Args)]
pub(super) struct Who {
    /// An e-mail address or a user id
    #[arg(value_name = "WHO", value_parser = who)]
    pub(super) who: String,
}

#[derive(Debug, Args)]
pub(super) struct Forget {
    #[command(flatten)]
    who: Who,
    /// Only the grant of this client
    #[arg(long, value_name = "NAME")]
    client: Option<ClientName>,
    /// auto: revoke unless that ends other grants here; project: revoke all the same; no: leave Google alone
    #[arg(long, value_name = "HOW", default_value = "auto")]
    revoke: Revoke,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

/// A person as commands name them.
pub(super) fn who(text: &str) -> Result<String, String> {
    match text.parse() {
        Ok(UserRef::Me) => Err("an e-mail address or a user id".to_owned()),
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

pub(super) fn run(context: &Context<'_>, command: UserCommand) -> Result<Exit, Failure> {
    until_signalled(async {
        let admin = Admin::reach(context, Vault::MustExist).await?;
        let outcome = perform(context, &admin, command).await;
        admin.leave().await;
        outcome
    })
}

async fn perform(context: &Context<'_>, admin: &Admin, command: UserCommand) -> Result<Exit, Failure> {
    match command {
        UserCommand::List { state } => list(context, admin, state.as_deref()).await,
        UserCommand::Show(Who { who }) => show(context, admin, &who).await,
        UserCommand::Token { who: Who { who }, client, scope, min_ttl } => {
            let scope = (!scope.is_empty()).then(|| scope.join(" "));
            let request = admin.get(&["v1", "users", &who, "token"]);
            let request = request.query("client", client).query("scope", scope).query("min_ttl", min_ttl);
            token(context, request.send().await?)
        }
        UserCommand::Refresh { who: Who { who }, client } => {
            let request = admin.request(Method::POST, &["v1", "users", &who, "refresh"]);
            refreshed(context, &request.query("client", client).send().await?)
        }
        UserCommand::Forget(order) => forget(context, admin, order).await,
    }
}

async fn list(context: &Context<'_>, admin: &Admin, state: Option<&str>) -> Result<Exit, Failure> {
    let (mut users, mut damaged, mut cursor) = (Vec::new(), 0, None::<String>);
    loop {
        let request = admin.get(&["v1", "users"]).query("limit", Some(200)).query("state", state);
        let page: UserPage = request.query("cursor", cursor.take()).read().await?;
        users.extend(page.users);
        damaged += page.damaged;
        match page.next {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    if context.json {
        output::json(&serde_json::json!({ "users": users, "damaged": damaged }))?;
    } else if users.is_empty() {
        output::note(&match state {
            Some(state) => format!("Nobody has a grant in the state {state}."),
            None => "Nobody is connected.".to_owned(),
        });
    } else {
        let now = Clock::system().now();
        let rows = users.iter().flat_map(|user| rows(user, now));
        output::data(&output::table(["USER", "EMAIL", "NAME", "CLIENT", "STATE", "SINCE"], rows))?;
    }
    if damaged > 0 {
        output::warn(&format!(
            "people with damaged records: {damaged}; `locum user show` tells of one, who is not listed cannot be \
             told; restore a backup, or forget them"
        ));
        return Ok(Exit::Failed);
    }
    Ok(Exit::Done)
}

/// A row for each grant; the person's own columns stand in the first one.
fn rows(user: &UserView, now: Timestamp) -> Vec<[String; 6]> {
    let email = user.email.as_ref().map(ToString::to_string).unwrap_or_default();
    let person = [user.id.to_string(), email, user.name.clone().unwrap_or_default()];
    if user.grants.is_empty() {
        let [id, email, name] = person;
        let state = if user.damaged > 0 { "damaged" } else { "" };
        return vec![[id, email, name, "none".to_owned(), state.to_owned(), String::new()]];
    }
    let mut rows: Vec<[String; 6]> = Vec::new();
    for grant in &user.grants {
        let [id, email, name] = if rows.is_empty() { person.clone() } else { Default::default() };
        rows.push([id, email, name, client(grant), state(grant), words::relative(grant.since, now)]);
    }
    rows
}

fn client(grant: &GrantView) -> String {
    grant.client.as_ref().map_or_else(|| grant.client_id.to_string(), ToString::to_string)
}

fn state(grant: &GrantView) -> String {
    match &grant.cause {
        Some(cause) => format!("{} ({cause})", grant.state),
        None => grant.state.clone(),
    }
}

async fn show(context: &Context<'_>, admin: &Admin, who: &str) -> Result<Exit, Failure> {
    let request = admin.get(&["v1", "users", who]);
    if context.json {
        output::json(&request.send().await?)?;
        return Ok(Exit::Done);
    }
    let user: UserView = request.read().await?;
    let now = Clock::system().now();
    let when = |time: Timestamp| format!("{time} ({})", words::relative(time, now));
    let mut facts: Vec<[String; 2]> = Vec::new();
    let mut fact = |name: &str, value: Option<String>| {
        facts.extend(value.map(|value| [name.to_owned(), value]));
    };
    let verified = if user.email_verified { "" } else { " (not verified)" };
    fact("user", Some(user.id.to_string()));
    fact("email", user.email.map(|email| format!("{email}{verified}")));
    fact("name", user.name);
    fact("organisation", user.hd);
    fact("connected", Some(when(user.created_at)));
    fact(
        "damaged records",
        (user.damaged > 0).then(|| format!("{}: restore a backup, or forget the person", user.damaged)),
    );
    for grant in &user.grants {
        fact("", Some(String::new()));
        fact("client", Some(client(grant)));
        fact("state", Some(format!("{}, since {}", state(grant), when(grant.since))));
        fact("", (grant.state != "active").then(|| grant.explanation.clone()));
        fact("scopes", Some(grant.scopes.to_string()));
        fact("offline access", Some(if grant.offline_access { "yes" } else { "no" }.to_owned()));
        fact("last sign-in", Some(when(grant.connected_at)));
        fact("last refresh", Some(when(grant.refreshed_at)));
        fact("ends", grant.refresh_token_expires_at.map(when));
    }
    output::data(&output::facts(facts))?;
    Ok(Exit::Done)
}

/// What the commands use of the answer to a token request.
#[derive(Deserialize)]
struct Token {
    access_token: crate::secret::AccessToken,
    expires_at: Timestamp,
    #[serde(default)]
    stale: bool,
}

fn token(context: &Context<'_>, answer: Value) -> Result<Exit, Failure> {
    if context.json {
        output::json(&answer)?;
        return Ok(Exit::Done);
    }
    let token: Token = serde_json::from_value(answer).context("the server's answer holds no token")?;
    // Bare, so that `$(…)` and a pipe get the token and nothing else.
    let mut out = std::io::stdout().lock();
    out.write_all(token.access_token.expose().as_bytes())?;
    if out.is_terminal() {
        out.write_all(b"\n")?;
    }
    out.flush()?;
    if token.stale {
        output::warn(&format!("Google cannot be reached; this token ends {}", token.expires_at));
    }
    Ok(Exit::Done)
}

fn refreshed(context: &Context<'_>, answer: &Value) -> Result<Exit, Failure> {
    if context.json {
        output::json(answer)?;
        return Ok(Exit::Done);
    }
    let end = answer.get("expires_at").and_then(Value::as_str).unwrap_or("an unknown time");
    output::note(&format!("Google gave a fresh access token, good until {end}."));
    Ok(Exit::Done)
}

async fn forget(context: &Context<'_>, admin: &Admin, order: Forget) -> Result<Exit, Failure> {
    let Forget { who: Who { who }, client, revoke, yes } = order;
    let path = ["v1", "users", &who];
    let revoke = match revoke {
        Revoke::Auto => "auto",
        Revoke::Project => "project",
        Revoke::No => "no",
    };
    if !yes {
        let request = admin.get(&path).query("preview", Some("forget")).query("client", client.as_ref());
        let preview: ForgetPreview = request.query("revoke", Some(revoke)).read().await?;
        if !admin::confirm(&question(&who, &preview)).await? {
            output::note("Nothing was done.");
            return Ok(Exit::Failed);
        }
    }
    let request = admin.request(Method::DELETE, &path).query("client", client).query("revoke", Some(revoke));
    let answer = request.send().await?;
    if context.json {
        output::json(&answer)?;
        return Ok(Exit::Done);
    }
    let done: Forgotten = serde_json::from_value(answer).context("the server's answer cannot be read")?;
    output::note(&outcome(&who, &done));
    Ok(Exit::Done)
}

/// Where a person ends by hand what nobody else can.
const AT_GOOGLE: &str = "the person removes the app at https://myaccount.google.com/permissions";

fn question(who: &str, preview: &ForgetPreview) -> String {
    let mut text = match preview.would_forget.as_slice() {
        [] if preview.would_delete_damaged > 0 => format!("Forget {who}?"),
        [] => format!("Forget {who}, who has no grant?"),
        clients => format!("Forget {who} (grants of {})?", clients.join(", ")),
    };
    text.push_str(if preview.would_revoke {
        " Google will be asked to revoke."
    } else {
        " Google will not be asked to revoke."
    });
    if !preview.would_also_end.is_empty() {
        let others = preview.would_also_end.join(", ");
        text.push_str(&format!("\nThat also ends the grants of {others}, which share the Google project."));
    }
    if preview.would_delete_damaged > 0 {
        text.push_str(&format!(
            "\nDamaged records that are erased too: {}. A backup may still have them whole. What they held cannot be \
             revoked from here; {AT_GOOGLE}.",
            preview.would_delete_damaged
        ));
    }
    text
}

fn outcome(who: &str, done: &Forgotten) -> String {
    let mut text = match done.forgotten.as_slice() {
        [] => format!("Forgotten: {who}."),
        clients => format!("Forgotten: {who} ({}).", clients.join(", ")),
    };
    text.push_str(match (done.pending, done.revoked) {
        (true, _) => {
            " Google cannot be reached: unusable from now on, revoked and erased as soon as it answers, in a day at the latest."
        }
        (false, true) => " Revoked at Google.",
        (false, false) => " Not revoked at Google.",
    });
    if !done.also_ended.is_empty() {
        text.push_str(&format!(" Ended with it: {}.", done.also_ended.join(", ")));
    }
    if done.damaged > 0 {
        text.push_str(&format!(" Damaged records erased: {}; {AT_GOOGLE}.", done.damaged));
    }
    text
}
