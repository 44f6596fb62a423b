//! `locum emulator`: the loopback Google alone, for an app's own tests.
//!
//! It takes no secret from anybody: whatever it needs it makes, so that nothing real can reach it.

use std::net::{SocketAddr, TcpListener};

use clap::Args;
use serde_json::json;

use super::running::{Signals, to_the_end};
use super::{Context, Exit, Failure, output};
use crate::clock::Clock;
use crate::emulator::{Emulator, EmulatorSettings, RegisteredClient, Seeded};
use crate::rng::Rng;

/// Where the emulator listens unless told otherwise.
pub(super) const LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9090);

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A loopback address and a port; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value_t = LISTEN, value_parser = loopback)]
    listen: SocketAddr,
    /// How long access tokens live
    #[arg(long, value_name = "SECONDS", default_value_t = 3599, value_parser = clap::value_parser!(i64).range(1..=86_400))]
    expires_in: i64,
    /// A redirect URI of the web client [repeat for more]
    #[arg(long, value_name = "URI")]
    redirect_uri: Vec<String>,
    /// The id of the web client, where an app has it built in [default: a new one]
    #[arg(long, value_name = "ID")]
    client_id: Option<crate::ids::OAuthClientId>,
    /// Not taken: the emulator makes a secret of its own and prints it
    #[arg(long, value_name = "SECRET", hide = true)]
    client_secret: Option<String>,
}

/// Reads an address on which only this machine can reach us.
pub(super) fn loopback(text: &str) -> Result<SocketAddr, &'static str> {
    match text.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_loopback() => Ok(address),
        Ok(_) => Err("only a loopback address will do, such as 127.0.0.1 or [::1]"),
        Err(_) => Err("an address and a port, such as 127.0.0.1:9090"),
    }
}

pub(super) fn run(context: &Context<'_>, arguments: Arguments) -> Result<Exit, Failure> {
    if arguments.client_secret.is_some() {
        return Err(Failure::usage(anyhow::anyhow!(
            "the emulator takes no client secret: others on this machine can read a command line, and a real \
             secret has no business here. It makes its own and prints it; `--json` prints it for programs"
        )));
    }
    to_the_end(async {
        let mut signals = Signals::listen()?;
        let listener = TcpListener::bind(arguments.listen)
            .map_err(|error| anyhow::anyhow!("cannot listen on {}: {error}", arguments.listen))?;
        let (emulator, seeded) = start(listener).await?;
        let web = RegisteredClient {
            client_id: arguments.client_id.unwrap_or_else(|| seeded.web.client_id.clone()),
            redirect_uris: arguments.redirect_uri,
            ..seeded.web.clone()
        };
        if web.client_id == seeded.web.client_id {
            emulator.world.change_client(&web.client_id, |client| *client = web.clone());
        } else {
            emulator.world.add_client(web.clone());
            emulator.world.change_client(&seeded.web.client_id, |client| client.deleted = true);
        }
        emulator.world.set_access_token_lifetime(arguments.expires_in);
        tell(context, &emulator, &Seeded { web, ..seeded })?;
        signals.next().await;
        emulator.stop().await;
        Ok(Exit::Done)
    })
}

/// An emulator with three people and a web client, in the real time.
pub(super) async fn start(listener: TcpListener) -> anyhow::Result<(Emulator, Seeded)> {
    let settings = EmulatorSettings {
        listener: Some(listener),
        ..EmulatorSettings::new(Clock::system(), Rng::system())
    };
    let emulator = Emulator::start(settings).await?;
    let seeded = emulator.world.seed_demo();
    Ok((emulator, seeded))
}

fn tell(context: &Context<'_>, emulator: &Emulator, seeded: &Seeded) -> Result<(), Failure> {
    let secret = seeded.web.secrets.first().map_or("", |secret| secret.expose());
    if context.json {
        output::json_line(&json!({
            "base_url": emulator.base_url().as_str(),
            "discovery_url": emulator.discovery_url().as_str(),
            "drive_url": emulator.base_url().as_str(),
            "client_id": seeded.web.client_id,
            "client_secret": secret,
            "people": seeded.people,
        }))?;
        return Ok(());
    }
    let people: Vec<&str> = seeded.people.iter().map(|person| person.email.as_str()).collect();
    output::data(&format!(
        "emulated Google   {base}\n\
         discovery_url     {discovery}\n\
         drive_url         {base}\n\
         client_id         {id}\n\
         client_secret     {secret}\n\
         people            {people}",
        base = emulator.base_url(),
        discovery = emulator.discovery_url(),
        id = seeded.web.client_id,
        people = people.join(", "),
    ))?;
    output::note("\nEverything is in memory and ends with Ctrl-C. The first address lists what it answers.");
    Ok(())
}
