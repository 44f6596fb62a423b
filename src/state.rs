//! What a running locum is made of.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::api_keys::ApiKeys;
use crate::clock::Clock;
use crate::config::Config;
use crate::google::Google;
use crate::lifecycle::Lifecycle;
use crate::metrics::Metrics;
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
    /// What is counted.
    pub metrics: Metrics,
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
<<<<<<< HEAD
    /// What programs show to locum.
    pub api_keys: ApiKeys,
    /// What is counted.
    pub metrics: Metrics,
=======
    /// What programs show.
    pub api_keys: ApiKeys,
>>>>>>> main
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
        let metrics = Metrics::new();
        let tokens = Tokens::new(
            config.clone(),
            vault.clone(),
            google.clone(),
            provider.clone(),
            metrics.clone(),
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
        let api_keys = ApiKeys::load(vault.clone(), clock.clone(), rng.clone()).await?;
<<<<<<< HEAD
        let metrics = Metrics::new();
=======
>>>>>>> main
        Ok(Self {
            config,
            clock,
            rng,
            lifecycle,
<<<<<<< HEAD
=======
            metrics,
>>>>>>> main
            vault,
            provider,
            tokens,
            sign_in,
            users,
            sessions,
            api_keys,
<<<<<<< HEAD
            metrics,
        })
    }

    /// Starts the background jobs, which end with the lifecycle. A program that only runs one command
    /// does without them; tests call the steps themselves.
    pub fn spawn_jobs(&self) {
        self.job("provider", Duration::ZERO, 30, |state| async move {
            state.provider.refetch_step().await;
            Ok::<_, VaultError>(())
        });
        self.job("keep_alive", Duration::from_secs(60), 60, |state| async move {
            state.tokens.keep_alive_step().await.map(drop)
        });
        self.job("revocations", Duration::ZERO, 30, |state| async move { state.users.revoke_step().await });
        self.job("redemptions", Duration::from_secs(60), 60, |state| async move {
            state.vault.purge_redemptions().await
        });
        // Forgotten data is gone from the log, too, within a minute.
        self.job("checkpoint", Duration::from_secs(30), 30, |state| async move {
            state.vault.checkpoint_if_wanted().await
        });
        self.job("api_key_uses", Duration::from_secs(60), 60, |state| async move {
            state.api_keys.save_last_uses().await
        });
        self.job("metrics", Duration::from_secs(1), 1, |state| async move {
            state.metrics.upkeep();
            Ok::<_, VaultError>(())
        });
    }

    /// A step that fails is logged and tried again in its turn.
    fn job<F, E>(&self, name: &'static str, first: Duration, seconds: u64, step: fn(Self) -> F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: std::error::Error,
    {
        let state = self.clone();
        self.lifecycle.job(name, first, Duration::from_secs(seconds), move || {
            let step = step(state.clone());
            async move {
                if let Err(error) = step.await {
                    tracing::warn!(job = name, %error, "a background job failed and will be tried again");
                }
            }
        });
=======
        })
    }

    /// Starts what runs by itself. Every job is a step that tests call without it.
    pub fn spawn_jobs(&self) {
        const SOON: Duration = Duration::from_millis(50);
        const HALF_A_MINUTE: Duration = Duration::from_secs(30);
        const A_MINUTE: Duration = Duration::from_secs(60);

        // The first fetch of discovery and keys, and every later one, off the way of any request.
        let state = self.clone();
        self.lifecycle.job("provider", SOON, A_MINUTE, move || {
            let provider = state.provider.clone();
            async move { provider.refetch_step().await }
        });
        let state = self.clone();
        self.lifecycle.job("keep-alive", A_MINUTE, A_MINUTE, move || {
            let tokens = state.tokens.clone();
            async move { report("keep-alive", tokens.keep_alive_step().await) }
        });
        let state = self.clone();
        self.lifecycle.job("revoke", SOON, HALF_A_MINUTE, move || {
            let users = state.users.clone();
            async move { report("revoke", users.revoke_step().await) }
        });
        let state = self.clone();
        self.lifecycle.job("vault", HALF_A_MINUTE, HALF_A_MINUTE, move || {
            let vault = state.vault.clone();
            async move {
                report("purge", vault.purge_redemptions().await);
                report("checkpoint", vault.checkpoint_if_wanted().await);
            }
        });
        let state = self.clone();
        self.lifecycle.job("api-keys", A_MINUTE, A_MINUTE, move || {
            let api_keys = state.api_keys.clone();
            async move { report("api-keys", api_keys.save_last_uses().await) }
        });
    }
}

/// A job's failure is logged and the job goes on: its next step may find the trouble gone.
fn report<T, E: std::fmt::Display>(job: &'static str, outcome: Result<T, E>) {
    if let Err(error) = outcome {
        tracing::warn!(job, %error, "a background job failed and will be tried again");
>>>>>>> main
    }
}
