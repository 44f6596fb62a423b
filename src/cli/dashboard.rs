//! `locum admin`: the owner's way into the dashboard, and out of it.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use http::Method;
use serde::Deserialize as _;
use serde_json::Value;

use super::admin::{Admin, Vault};
use super::running::until_signalled;
use super::{Context, Exit, Failure, output};
use crate::server::LoginLinkMade;

#[derive(Debug, Subcommand)]
pub(super) enum AdminCommand {
    /// Print a one-time link that opens the dashboard; good for ten minutes
    Link(LinkArguments),
    /// Sign every browser out of the dashboard
    SignOut,
}

#[derive(Debug, Args)]
pub(super) struct LinkArguments {
    /// Print it although standard output is no terminal: a log that keeps it is a way in for ten minutes
    #[arg(long)]
    print: bool,
}

pub(super) fn run(context: &Context<'_>, command: AdminCommand) -> Result<Exit, Failure> {
    until_signalled(async {
        match command {
            AdminCommand::Link(arguments) => {
                if !arguments.print && !context.json && !std::io::stdout().is_terminal() {
                    return Err(Failure::usage(anyhow::anyhow!(
                        "standard output is no terminal, and a login link does not belong into a log; add --print \
                         if it is to go there"
                    )));
                }
                // A link is in the memory of the server that will see it again.
                let admin = Admin::reach_running(context)?;
                let outcome = link(context, &admin).await;
                admin.leave().await;
                outcome
            }
            AdminCommand::SignOut => {
                let admin = Admin::reach(context, Vault::MustExist).await?;
                let outcome = sign_out(context, &admin).await;
                admin.leave().await;
                outcome
            }
        }
    })
}

async fn link(context: &Context<'_>, admin: &Admin) -> Result<Exit, Failure> {
    let answer: Value = admin.request(Method::POST, &["v1", "dashboard", "links"]).send().await?;
    let made = LoginLinkMade::deserialize(&answer).context("the server's answer holds no link")?;
    if context.json {
        output::json(&answer)?;
    } else {
        output::data(&made.url)?;
    }
    output::note(&format!("Open it in your browser. It works once, until {}.", made.expires_at));
    Ok(Exit::Done)
}

async fn sign_out(context: &Context<'_>, admin: &Admin) -> Result<Exit, Failure> {
    let answer: Value = admin.request(Method::DELETE, &["v1", "dashboard", "sessions"]).send().await?;
    if context.json {
        output::json(&answer)?;
    } else {
        output::note(match answer["signed_out"].as_u64() {
            Some(0) | None => "No browser was signed in.",
            Some(1) => "One browser was signed out.",
            Some(_) => "Every browser was signed out.",
        });
    }
    Ok(Exit::Done)
}
