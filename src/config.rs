//! The configuration: layers, sections, secrets.

mod allow_users;
mod client;
pub mod secret_source;
mod sections;
mod values;

pub use allow_users::{Admission, AllowUsers, InvalidEntry};
pub use client::{Client, RedirectProblem, RedirectUri, Source, UnknownSource};
pub use secret_source::{RootKeySource, RootSecret, SecretSource};
pub use sections::{
    GoogleSection, InvalidListen, LimitsSection, Listen, LogSection, MetricsSection, Rate, Server,
    SessionsSection, TokensSection, VaultSection,
};

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
    /// Rate limits.
    pub limits: LimitsSection,
    /// Logs.
    pub log: LogSection,
    /// Metrics.
    pub metrics: MetricsSection,
}

impl Config {
    /// The client of this name.
    pub fn client(&self, name: &ClientName) -> Option<&Client> {
        self.clients.iter().find(|client| client.name == *name)
    }

    /// The client with this id at Google.
    pub fn client_by_id(&self, id: &OAuthClientId) -> Option<&Client> {
        self.clients.iter().find(|client| client.client_id == *id)
    }
}
