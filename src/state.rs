//! What a running locum is made of.

use std::sync::Arc;

use crate::clock::Clock;
use crate::config::Config;
use crate::google::Google;
use crate::lifecycle::Lifecycle;
use crate::outbound::{Limits, Outbound};
use crate::provider::{Provider, ProviderSettings};
use crate::rng::Rng;
use crate::sessions::Sessions;
use crate::sign_in::SignIn;
use crate::tokens::Tokens;
use crate::users::Users;
use crate::vault::{Vault, VaultError};

/// Everything a request can need, built once. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AppState {
    /// The configuration.
    pub config: Arc<Config>,
    /// The time.
    pub clock: Clock,
    /// Randomness.
    pub rng: Rng,
    /// Tasks and their end.
    pub lifecycle: Lifecycle,
    /// The database.
    pub vault: Vault,
    /// Discovery document and key set.
    pub provider: Provider,
    /// The only road to an access token.
    pub tokens: Tokens,
    /// From a code to a grant.
    pub sign_in: SignIn,
    /// The people who are connected.
    pub users: Users,
    /// Session tokens for apps' users.
    pub sessions: Sessions,
}

impl AppState {
    /// Builds the services on an open vault. Speaks to nobody.
    ///
    /// # Errors
    /// When the vault cannot be read or written.
    pub async fn build(
        config: Arc<Config>,
        vault: Vault,
        clock: Clock,
        rng: Rng,
        lifecycle: Lifecycle,
    ) -> Result<Self, VaultError> {
        let limits = Limits {
            connect: config.google.connect_timeout,
            total: config.google.timeout,
            ..Limits::default()
        };
        let google = Google::new(Outbound::new(limits), clock.clone(), rng.clone());
        let settings = ProviderSettings {
            issuer: config.google.issuer.clone(),
            discovery_url: config.google.discovery_url.clone(),
        };
        let provider =
            Provider::load(settings, google.clone(), vault.clone(), clock.clone(), lifecycle.clone()).await;
        let tokens = Tokens::new(
            config.clone(),
            vault.clone(),
            google.clone(),
            provider.clone(),
            clock.clone(),
            lifecycle.clone(),
        );
        let sign_in = SignIn::new(
            config.clone(),
            vault.clone(),
            google.clone(),
            provider.clone(),
            tokens.clone(),
            clock.clone(),
            lifecycle.clone(),
        );
        let users = Users::new(
            config.clone(),
            vault.clone(),
            google,
            provider.clone(),
            tokens.clone(),
            clock.clone(),
            lifecycle.clone(),
        );
        let sessions = Sessions::load(config.clone(), vault.clone(), clock.clone(), &rng).await?;
        Ok(Self { config, clock, rng, lifecycle, vault, provider, tokens, sign_in, users, sessions })
    }
}
