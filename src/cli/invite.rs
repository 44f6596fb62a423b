//! `locum invite`: a one-time link that leads a person, new or known, through consent.

use anyhow::Context as _;
use clap::Args;
use http::Method;
use serde::Deserialize as _;
use serde_json::{Value, json};

use super::admin::{Admin, Vault};
use super::running::until_signalled;
use super::{Context, Exit, Failure, output, words};
use crate::ids::{ClientName, Email};
use crate::server::ConnectLinkMade;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The address of their Google account; no other account will do
    email: Email,
    /// Which client; may be left out where browsers can use only one
    #[arg(long, value_name = "NAME")]
    client: Option<ClientName>,
    /// What to ask for instead of the client's scopes [repeat or separate by commas]
    #[arg(long, value_name = "SCOPE", value_delimiter = ',')]
    scopes: Vec<String>,
    /// How long the link is good, at most 30d
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = words::duration)]
    expires: i64,
}

pub(super) fn run(context: &Context<'_>, arguments: Arguments) -> Result<Exit, Failure> {
    until_signalled(async {
        // The first person may be invited before anything was served.
        let admin = Admin::reach(context, Vault::MayBeMade).await?;
        let outcome = invite(context, &admin, arguments).await;
        admin.leave().await;
        outcome
    })
}

async fn invite(context: &Context<'_>, admin: &Admin, arguments: Arguments) -> Result<Exit, Failure> {
    let Arguments { email, client, scopes, expires } = arguments;
    let mut body = json!({ "email": email, "client": client, "expires_in": expires });
    if !scopes.is_empty() {
        body["scopes"] = json!(scopes);
    }
    let answer: Value = admin.request(Method::POST, &["v1", "connect-links"]).json(&body).send().await?;
    let made = ConnectLinkMade::deserialize(&answer).context("the server's answer holds no link")?;
    if context.json {
        output::json(&answer)?;
    } else {
        output::data(&made.url)?;
    }
    output::note(&format!(
        "Send it to {} alone. It works once, for that account, until {}. locum keeps only a hash of it.",
        output::plain(email.as_str()),
        made.expires_at
    ));
    Ok(Exit::Done)
}
