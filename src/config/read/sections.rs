//! The sections, in the order of the example, and where they must agree with each other.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use url::Url;

use super::super::error::Origin;
use super::super::sections::{
    AppDataSection, DashboardSection, EventsSection, GoogleSection, LimitsSection, LogSection,
    MetricsSection, Rate, Server, SessionsSection, SignInSection, TokensSection, VaultSection,
};
use super::super::values::{Setting as _, is_loopback};
use super::super::{Client, Config, RootKeySource, SecretSource, Source};
use super::{Reading, SecretGiven, clients, mirrors};

/// Everything; `None` when something that has no default is missing or wrong, which is noted.
pub(super) fn config(reading: &mut Reading<'_>) -> Option<Config> {
    let top = reading.top();
    reading.note_unknown(&top);
    let allow_users = reading.required(&top, "allow_users");
    let vault_path = vault_path(reading);
    let admin_socket = admin_socket(reading, &vault_path);
    let server = server(reading, admin_socket);
    let google = google(reading);
    let mut variables = Vec::new();
    let root_key = root_key(reading, &mut variables);
    let clients = clients::clients(reading, &google, server.public_url.is_some(), &mut variables);
    let tokens = tokens(reading);
    let sessions = sessions(reading);
    let app_data = app_data(reading);
    let sign_in = sign_in(reading);
    let dashboard = dashboard(reading, &clients, server.public_url.is_some());
    let limits = limits(reading);
    let log = log(reading);
    let metrics = metrics(reading);
    let events = events(reading);
    let mirrors = mirrors::mirrors(reading, &vault_path, &clients);
    reading.note_loose_variables(&variables);
    warn(reading, &server);
    let vault = VaultSection { path: vault_path, root_key: root_key? };
    Some(Config {
        server,
        google,
        vault,
        clients,
        allow_users: allow_users?,
        tokens,
        sessions,
        app_data,
        sign_in,
        dashboard,
        limits,
        log,
        metrics,
        events,
        mirrors,
    })
}

pub(super) fn vault_path(reading: &mut Reading<'_>) -> PathBuf {
    let vault = reading.section("vault");
    reading.defaulted(&vault, "path")
}

pub(super) fn admin_socket(reading: &mut Reading<'_>, vault: &Path) -> PathBuf {
    let server = reading.section("server");
    reading.optional(&server, "admin_socket").unwrap_or_else(|| {
        let path = vault.with_file_name("admin.sock");
        reading.show(server.key("admin_socket"), path.show(), Origin::Default);
        path
    })
}

fn server(reading: &mut Reading<'_>, admin_socket: PathBuf) -> Server {
    // Its unknown keys are noted by the reading of the admin socket.
    let table = reading.table("server");
    Server {
        listen: reading.defaulted(&table, "listen"),
        public_url: reading.optional(&table, "public_url"),
        admin_socket,
        trusted_proxies: reading.defaulted(&table, "trusted_proxies"),
        cors_origins: reading.defaulted(&table, "cors_origins"),
        workers: reading.optional(&table, "workers"),
        shutdown_timeout: reading.defaulted(&table, "shutdown_timeout"),
        max_body: reading.defaulted(&table, "max_body"),
        header_timeout: reading.defaulted(&table, "header_timeout"),
        body_timeout: reading.defaulted(&table, "body_timeout"),
        keep_alive: reading.defaulted(&table, "keep_alive"),
        max_connections: reading.defaulted(&table, "max_connections"),
    }
}

fn google(reading: &mut Reading<'_>) -> GoogleSection {
    let table = reading.section("google");
    let issuer: String = reading.defaulted(&table, "issuer");
    let discovery_url = reading.optional(&table, "discovery_url").unwrap_or_else(|| {
        // OpenID Connect Discovery §4.1: the path is appended to the issuer, its own path included.
        let url = Url::parse(&format!("{issuer}/.well-known/openid-configuration"))
            .expect("an issuer is read only where it is a URL without query or fragment");
        reading.show(table.key("discovery_url"), url.show(), Origin::Default);
        url
    });
    GoogleSection {
        issuer,
        discovery_url,
        drive_url: reading.defaulted(&table, "drive_url"),
        connect_timeout: reading.defaulted(&table, "connect_timeout"),
        timeout: reading.defaulted(&table, "timeout"),
    }
}

pub(super) fn root_key(reading: &mut Reading<'_>, variables: &mut Vec<String>) -> Option<RootKeySource> {
    let table = reading.table("vault");
    let mut found = reading.secret_forms(&table, "root_key");
    found.extend(reading.secret_forms(&table, "passphrase"));
    if found.is_empty() {
        let problem = "is missing: the vault needs a root key, best as root_key_file = \"root.key\". A new one: \
                       `(umask 077; head -c 32 /dev/urandom > root.key)`. Only where no vault exists yet: \
                       another key never opens it";
        reading.mistake(reading.layers.place(), "vault.root_key_file".to_owned(), problem);
        return None;
    }
    let SecretGiven { key, source, is_variable, .. } = reading.only_one(found)?;
    let source = source?;
    match &source {
        SecretSource::Value(_) if is_variable => reading.warnings.push(weak_variable(&key)),
        SecretSource::Value(_) => reading.warnings.push(format!(
            "{key} stands in the configuration itself, where every copy of the file carries it along; move it to a file of its own and name that by {key}_file"
        )),
        SecretSource::Env(name) => {
            variables.push(name.clone());
            reading.warnings.push(weak_variable(&key));
        }
        SecretSource::File(_) | SecretSource::Command(_) | SecretSource::Credential(_) => {}
    }
    Some(if key.starts_with("vault.root_key") {
        RootKeySource::Key(source)
    } else {
        RootKeySource::Passphrase(source)
    })
}

fn weak_variable(key: &str) -> String {
    format!(
        "{key}: a variable is the weakest place for the key of the vault, since the system keeps a copy of it for the life of the process; a file, a credential or a command is better"
    )
}

fn tokens(reading: &mut Reading<'_>) -> TokensSection {
    let table = reading.section("tokens");
    TokensSection {
        refresh_ahead: reading.defaulted(&table, "refresh_ahead"),
        keep_alive: reading.defaulted(&table, "keep_alive"),
        cache_bytes: reading.defaulted(&table, "cache_bytes"),
        concurrent_refreshes: reading.defaulted(&table, "concurrent_refreshes"),
    }
}

fn events(reading: &mut Reading<'_>) -> EventsSection {
    let table = reading.section("events");
    EventsSection { retention: reading.defaulted(&table, "retention") }
}

fn sessions(reading: &mut Reading<'_>) -> SessionsSection {
    let table = reading.section("sessions");
    SessionsSection { lifetime: reading.defaulted(&table, "lifetime") }
}

fn app_data(reading: &mut Reading<'_>) -> AppDataSection {
    let table = reading.section("app_data");
    AppDataSection { max_bytes: reading.defaulted(&table, "max_bytes") }
}

fn sign_in(reading: &mut Reading<'_>) -> SignInSection {
    let table = reading.section("sign_in");
    SignInSection { return_to: reading.defaulted(&table, "return_to") }
}

/// A list of accounts that nobody could sign in with would look like a way in and be none.
fn dashboard(reading: &mut Reading<'_>, clients: &[Client], has_url: bool) -> DashboardSection {
    let table = reading.section("dashboard");
    let section = DashboardSection {
        emails: reading.defaulted(&table, "emails"),
        client: reading.optional(&table, "client"),
        idle: reading.defaulted(&table, "idle"),
        absolute: reading.defaulted(&table, "absolute"),
    };
    let given = |name: &str| reading.given(&table, name).map(|(_, origin)| origin);
    let problem = match (&section.client, section.emails.is_empty()) {
        (None, true) => None,
        (None, false) if given("client").is_some() => None,
        (None, false) => Some((
            "emails",
            "needs `client` beside it: the name of the client by which these accounts sign in".to_owned(),
        )),
        (Some(_), true) => None,
        (Some(name), false) => match clients.iter().find(|client| client.name == *name) {
            None => Some(("client", "there is no client of this name".to_owned())),
            Some(client) if !client.sources.contains(&Source::Web) => {
                Some(("client", format!("the client {name} needs \"web\" among its sources")))
            }
            Some(_) if !has_url => {
                Some(("client", "signing in with Google needs server.public_url".to_owned()))
            }
            Some(_) => None,
        },
    };
    if let Some((name, problem)) = problem {
        let origin = given(name).unwrap_or_else(|| reading.layers.place());
        reading.mistake(origin, table.key(name), problem);
    }
    if section.client.is_some() && section.emails.is_empty() {
        reading.warnings.push("dashboard.client is set and dashboard.emails lists nobody: the dashboard is opened by `locum admin link` alone".to_owned());
    }
    section
}

fn limits(reading: &mut Reading<'_>) -> LimitsSection {
    let table = reading.section("limits");
    LimitsSection {
        enabled: reading.defaulted(&table, "enabled"),
        per_address: Rate {
            per_second: reading.defaulted(&table, "address_per_second"),
            burst: reading.defaulted(&table, "address_burst"),
        },
        per_key: Rate {
            per_second: reading.defaulted(&table, "key_per_second"),
            burst: reading.defaulted(&table, "key_burst"),
        },
    }
}

fn log(reading: &mut Reading<'_>) -> LogSection {
    let table = reading.section("log");
    LogSection { format: reading.defaulted(&table, "format"), filter: reading.defaulted(&table, "filter") }
}

fn metrics(reading: &mut Reading<'_>) -> MetricsSection {
    let table = reading.section("metrics");
    MetricsSection { listen: reading.optional(&table, "listen") }
}

/// What is allowed and yet worth a word.
fn warn(reading: &mut Reading<'_>, server: &Server) {
    if !server.listen.is_local() && server.trusted_proxies.is_empty() {
        reading.warnings.push(
            "server.listen is open to other machines and no proxy is trusted: locum speaks plain HTTP, so codes and tokens cross the network in clear. Put a TLS proxy in front, listen on loopback, and name the proxy in server.trusted_proxies".to_owned(),
        );
    }
    if server.trusted_proxies.iter().any(|network| network.prefix_len() == 0) {
        reading.warnings.push(
            "server.trusted_proxies trusts every address, so any caller can claim to be any other".to_owned(),
        );
    }
    if let Some(url) = &server.public_url
        && !is_loopback(url)
        && url.path() != "/"
    {
        reading.warnings.push(
            "server.public_url has a path: the proxy must take it away before it passes requests on"
                .to_owned(),
        );
    }
    let in_file = reading.shown.iter().any(|shown| shown.secret && shown.value == "set" && matches!(&reading.layers.file, Some(file) if shown.source == Origin::File(file.clone()).to_string()));
    if let (true, Some(file)) = (in_file, &reading.layers.file)
        && std::fs::metadata(reading.environment.directory().join(file))
            .is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
    {
        let file = file.display();
        reading.warnings.push(format!(
            "{file} holds a secret and every user of this machine may read it; run `chmod o= {file}`"
        ));
    }
}
