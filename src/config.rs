//! The configuration: defaults, then a TOML file over them, then environment variables over both.
//!
//! What must stay true here: nothing else reads the environment; no error and no `Debug` holds a value
//! that somebody wrote; every mistake is told in one go, with its file or variable, its key and what is
//! expected there. A [`Config`] that exists is valid.

mod allow_users;
mod client;
mod client_secret;
mod effective;
mod environment;
mod error;
mod keys;
mod layers;
mod read;
#[cfg(test)]
mod reference;
mod return_to;
mod secret_command;
mod secret_file;
mod secret_source;
mod sections;
#[cfg(test)]
mod tests;
mod values;

pub use allow_users::{Admission, AllowUsers, InvalidEntry};
pub use client::{Client, RedirectProblem, RedirectUri, Source, UnknownSource};
pub use effective::{Effective, EffectiveValue};
pub use environment::Environment;
pub use error::{ConfigError, Mistake, Origin};
pub use read::Shown;
pub use return_to::{AllowedReturn, ReturnAddress};
pub use secret_source::{RootKeySource, RootSecret, SecretProblem, SecretSource};
pub use sections::{
    AppDataSection, DashboardSection, Direction, EventsSection, GoogleSection, InvalidListen, LimitsSection,
    Listen, LogSection, MetricsSection, MirrorSection, Rate, Server, SessionsSection, SignInSection,
    TokensSection, VaultSection,
};

use std::path::{Path, PathBuf};

use crate::ids::{ClientName, OAuthClientId};

/// The whole configuration, checked: every value is in range and the sections agree with each other.
#[derive(Clone, Debug)]
pub struct Config {
    /// The listener and its limits.
    pub server: Server,
    /// The provider.
    pub google: GoogleSection,
    /// The database file and its key.
    pub vault: VaultSection,
    /// The OAuth clients; at least one, no two with one name or one id.
    pub clients: Vec<Client>,
    /// Who may connect.
    pub allow_users: AllowUsers,
    /// How access tokens are kept fresh.
    pub tokens: TokensSection,
    /// Session tokens for apps' users.
    pub sessions: SessionsSection,
    /// People's app data in Drive.
    pub app_data: AppDataSection,
    /// Signing in by a browser.
    pub sign_in: SignInSection,
    /// The owner's way into the dashboard.
    pub dashboard: DashboardSection,
    /// Rate limits.
    pub limits: LimitsSection,
    /// Logs.
    pub log: LogSection,
    /// Metrics.
    pub metrics: MetricsSection,
    /// The log of what happened.
    pub events: EventsSection,
    /// The mirrors of app data; no two nested, no two of one person and project.
    pub mirrors: Vec<MirrorSection>,
}

/// A valid configuration, and what to tell about it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// The file it was read from; `None` when variables alone describe it.
    pub path: Option<PathBuf>,
    /// What is allowed and yet worth a word to the owner.
    pub warnings: Vec<String>,
    /// Every effective value with its source, secrets redacted.
    pub shown: Vec<Shown>,
}

/// Where a running server can be reached and where the vault lies: all that a command needs to know
/// before it needs a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The configuration file, if there is one.
    pub config_file: Option<PathBuf>,
    /// The database file.
    pub vault: PathBuf,
    /// The admin socket.
    pub admin_socket: PathBuf,
}

impl Config {
    /// Loads the configuration from `explicit` (`--config`), else from `$LOCUM_CONFIG`, else from the first
    /// of the environment's places that exists, with the environment's variables over it. Reads client
    /// secrets, and so may run commands; does not read the root key.
    ///
    /// # Errors
    /// [`ConfigError::NothingConfigured`] when there is neither a file nor a variable; else what to mend.
    pub fn load(explicit: Option<&Path>, environment: &Environment) -> Result<Loaded, ConfigError> {
        with_layers(explicit, environment, read_all)
    }

    /// Where the vault and the admin socket are. Reads no secret, and mistakes in other sections do not
    /// matter to it.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn locate(explicit: Option<&Path>, environment: &Environment) -> Result<Place, ConfigError> {
        with_layers(explicit, environment, |layers, environment| {
            read::place(layers, environment).map_err(ConfigError::Mistakes)
        })
    }

    /// Where the root key comes from, whatever mistakes there are elsewhere; `None` when nothing usable
    /// says so.
    pub fn root_key_source(explicit: Option<&Path>, environment: &Environment) -> Option<RootKeySource> {
        with_layers(explicit, environment, |layers, environment| Ok(read::root_key(layers, environment)))
            .ok()
            .flatten()
    }

    /// As [`Config::load`], from text that would stand in the file at `path`.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(text: &str, path: &Path, environment: &Environment) -> Result<Loaded, ConfigError> {
        read_all(&layers::Layers::merge(Some((path, text)), environment)?, environment)
    }

    /// The client of this name.
    pub fn client(&self, name: &ClientName) -> Option<&Client> {
        self.clients.iter().find(|client| client.name == *name)
    }

    /// As [`Client::redirect_uri_for`]; the address of locum's own sign-in counts as registered, and Google
    /// refuses it where it is not.
    ///
    /// # Errors
    /// As there.
    pub fn redirect_uri_for(
        &self,
        client: &Client,
        source: Source,
        asked: Option<&str>,
    ) -> Result<RedirectUri, RedirectProblem> {
        let own = self.server.sign_in_callback().filter(|_| client.sources.contains(&Source::Web));
        match own {
            Some(own) if source == Source::Web && asked == Some(own.as_str()) => Ok(RedirectUri::own(&own)),
            _ => client.redirect_uri_for(source, asked),
        }
    }

    /// The client with this id at Google.
    pub fn client_by_id(&self, id: &OAuthClientId) -> Option<&Client> {
        self.clients.iter().find(|client| client.client_id == *id)
    }
}

fn with_layers<T>(
    explicit: Option<&Path>,
    environment: &Environment,
    read: impl FnOnce(&layers::Layers, &Environment) -> Result<T, ConfigError>,
) -> Result<T, ConfigError> {
    let Some(path) = layers::locate(explicit, environment) else {
        let layers = layers::Layers::merge(None, environment)?;
        if layers.root.is_empty() && layers.loose.is_empty() {
            return Err(ConfigError::NothingConfigured);
        }
        return read(&layers, environment);
    };
    let text = layers::text(&path, environment)?;
    read(&layers::Layers::merge(Some((&path, &text)), environment)?, environment)
}

fn read_all(layers: &layers::Layers, environment: &Environment) -> Result<Loaded, ConfigError> {
    let outcome = read::config(layers, environment).map_err(ConfigError::Mistakes)?;
    Ok(Loaded {
        config: outcome.config,
        path: layers.file.clone(),
        warnings: outcome.warnings,
        shown: outcome.shown,
    })
}
