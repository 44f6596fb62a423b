//! `locum demo`: an emulated Google and a real locum on a vault that is thrown away at the end.
//!
//! It prepares, and does nothing behind the reader's back: people sign in when the reader makes them.

mod words;

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use serde_json::json;

use super::private_folder::PrivateFolder;
use super::running::{Signals, to_the_end};
use super::serve::Serving;
use super::{Context, Exit, Failure, assembly, emulator, output};
use crate::api_keys::{Action, NewApiKey, UserBinding};
use crate::config::{Config, Environment};
use crate::emulator::{Emulator, Seeded};
use crate::rng::Rng;
use crate::telemetry::{self, LogFormat, LogSettings};
use crate::vault::VaultLock;

/// Where the demo's locum listens unless told otherwise.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8787);

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Where locum listens [default: 127.0.0.1:8787, or a free port]
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = emulator::loopback)]
    listen: Option<SocketAddr>,
    /// Where the emulated Google listens [default: 127.0.0.1:9090, or a free port]
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = emulator::loopback)]
    emulator_listen: Option<SocketAddr>,
}

pub(super) fn run(context: &Context<'_>, arguments: &Arguments) -> Result<Exit, Failure> {
    to_the_end(async {
        let mut signals = Signals::listen()?;
        quiet_logs();
        let folder = PrivateFolder::create(context.environment.temporary(), "locum-demo")
            .context("no folder for the throw-away vault can be made")?;
        let listener = listen(arguments.emulator_listen, emulator::LISTEN)?;
        let (google, seeded) = emulator::start(listener).await?;
        let listener = listen(arguments.listen, LISTEN)?;
        let address = listener.local_addr()?;
        // What an owner registers in Google's console.
        google.world.change_client(&seeded.web.client_id, |client| {
            client.redirect_uris = vec![format!("http://{address}/v1/sign-in/callback")];
        });
        let demo = Demo { folder: folder.path(), google: &google, seeded: &seeded };
        let config_file = demo.write(address)?;

        let nothing = Environment::given(folder.path(), Vec::<(String, String)>::new());
        let loaded = Config::load(Some(&config_file), &nothing)?;
        let lock = VaultLock::take(&loaded.config.vault.path).map_err(anyhow::Error::from)?;
        let state = assembly::assemble(loaded, &nothing, lock).await?;
        let (_, key) = state
            .api_keys
            .create(NewApiKey {
                name: "demo".to_owned(),
                actions: [Action::TokensRead, Action::UsersRead, Action::AppDataRead, Action::AppDataWrite]
                    .into_iter()
                    .collect(),
                users: UserBinding::All,
                clients: None,
                scopes: None,
                hosts: None,
                expires_at: None,
            })
            .await
            .map_err(anyhow::Error::from)?;
        let serving = Serving::start(state, Some(listener)).await?;
        let link = serving.login_link().await.context("the demo listens on an address")?;
        let told = Told {
            base: &serving.address,
            link: &link,
            google: &google,
            seeded: &seeded,
            config_file: &config_file,
        };
        tell(context, &told, &key.expose())?;
        let outcome = serving.until_the_end(&mut signals).await;
        google.stop().await;
        outcome
    })
}

/// The given address or nothing; else the usual one, or a free port where that is taken.
fn listen(given: Option<SocketAddr>, usual: SocketAddr) -> Result<TcpListener, Failure> {
    let bound = match given {
        Some(address) => TcpListener::bind(address),
        None => TcpListener::bind(usual).or_else(|_| TcpListener::bind((usual.ip(), 0))),
    };
    let address = given.unwrap_or(usual);
    Ok(bound.with_context(|| format!("cannot listen on {address}"))?)
}

/// Only what goes wrong: the demo's own words are what the reader wants to see.
fn quiet_logs() {
    let settings =
        LogSettings { format: LogFormat::Human, filter: "warn".to_owned(), timestamps: false, colour: false };
    telemetry::init(&settings).expect("warn is a level");
}

/// What the demo's configuration is made of.
struct Demo<'a> {
    folder: &'a Path,
    google: &'a Emulator,
    seeded: &'a Seeded,
}

impl Demo<'_> {
    /// Writes a configuration and a root key as `init` would, so that every other command works on the
    /// running demo.
    fn write(&self, listen: SocketAddr) -> anyhow::Result<PathBuf> {
        let secret = self.seeded.web.secrets.first().map_or("", |secret| secret.expose());
        let text = format!(
            "# A demo's configuration; it goes when the demo ends.\n\
             allow_users = \"anyone\"\n\n\
             [server]\nlisten = \"{listen}\"\npublic_url = \"http://{listen}\"\n\n\
             [google]\ndiscovery_url = \"{discovery}\"\ndrive_url = \"{drive}\"\n\n\
             [vault]\npath = \"locum.db\"\nroot_key_file = \"root.key\"\n\n\
             [[clients]]\nname = \"demo\"\nclient_id = \"{id}\"\nclient_secret = \"{secret}\"\nsources = [\"ios\", \"web\"]\n\
             scopes = [\"openid\", \"email\", \"profile\", \"https://www.googleapis.com/auth/drive.appdata\"]\n",
            discovery = self.google.discovery_url(),
            drive = self.google.base_url(),
            id = self.seeded.web.client_id,
        );
        let config_file = self.folder.join("locum.toml");
        for (path, content) in [
            (&config_file, text.as_bytes()),
            (&self.folder.join("root.key"), Rng::system().bytes::<32>().as_slice()),
        ] {
            let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
            file.write_all(content)?;
        }
        Ok(config_file)
    }
}

/// What the reader is told.
struct Told<'a> {
    base: &'a str,
    link: &'a str,
    google: &'a Emulator,
    seeded: &'a Seeded,
    config_file: &'a Path,
}

fn tell(context: &Context<'_>, told: &Told<'_>, key: &str) -> Result<(), Failure> {
    if context.json {
        output::json_line(&json!({
            "base_url": told.base,
            "dashboard_url": told.link,
            "api_key": key,
            "config_file": told.config_file,
            "emulator_base_url": told.google.base_url().as_str(),
            "discovery_url": told.google.discovery_url().as_str(),
            "drive_url": told.google.base_url().as_str(),
            "people": told.seeded.people,
        }))?;
    } else {
        let people: Vec<&str> = told.seeded.people.iter().map(|person| person.email.as_str()).collect();
        let google = told.google.base_url().as_str().trim_end_matches('/');
        let page = words::Page {
            base: told.base,
            link: told.link,
            google,
            people: &people,
            key,
            config_file: told.config_file,
            program: &program(context.environment),
        };
        output::data(&words::welcome(&page))?;
    }
    Ok(())
}

/// How a shell calls this very program: by name where the search path leads to it, else by its path.
fn program(environment: &Environment) -> String {
    let Ok(own) = std::env::current_exe() else { return "locum".to_owned() };
    let path = environment.var("PATH").unwrap_or_default();
    let first = path.split(':').map(|folder| Path::new(folder).join("locum")).find(|file| file.is_file());
    let is_own = first.and_then(|file| file.canonicalize().ok()) == own.canonicalize().ok();
    if is_own { "locum".to_owned() } else { words::quoted(&own) }
}
