//! What a running locum is made of.

use std::sync::Arc;
use std::time::Duration;

use crate::api_keys::ApiKeys;
use crate::app_data::AppData;
use crate::clients::Clients;
use crate::clock::Clock;
use crate::config::{Config, Effective, Loaded};
use crate::counts::Counts;
use crate::events::Events;
use crate::google::Google;
use crate::google::drive::Drive;
use crate::lifecycle::Lifecycle;
use crate::metrics::Metrics;
use crate::mirror::{MirrorKeeper, Mirrors};
use crate::outbound::{Limits, Outbound, TimeLimit};
use crate::owner_sessions::OwnerSessions;
use crate::provider::{Provider, ProviderSettings};
use crate::rng::Rng;
use crate::sessions::Sessions;
use crate::sign_in::web_flow::{WebFlow, WebFlowParts};
use crate::sign_in::{SignIn, SignInParts};
use crate::tokens::{Tokens, TokensParts};
use crate::users::{Users, UsersParts};
use crate::vault::{Vault, VaultError};

/// Everything a request can need, built once. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AppState {
    /// The configuration.
    pub config: Arc<Config>,
    /// The same as it is shown to the owner.
    pub effective: Arc<Effective>,
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
    /// What happened.
    pub events: Events,
    /// How often, by the hour.
    pub counts: Counts,
    /// Discovery document and key set.
    pub provider: Provider,
    /// The only road to an access token.
    pub tokens: Tokens,
    /// From a code to a grant.
    pub sign_in: SignIn,
    /// Signing in by a browser.
    pub web_flow: WebFlow,
    /// The people who are connected.
    pub users: Users,
    /// The OAuth clients, as their owner looks after them.
    pub clients: Clients,
    /// Session tokens for apps' users.
    pub sessions: Sessions,
    /// The owner's browsers.
    pub owner_sessions: OwnerSessions,
    /// What programs show.
    pub api_keys: ApiKeys,
    /// People's app data in Drive.
    pub app_data: AppData,
    /// Folders kept in step with it.
    pub mirrors: MirrorKeeper,
}

impl AppState {
    /// Builds the services on an open vault. Speaks to nobody.
    ///
    /// # Errors
    /// When the vault cannot be read or written.
    pub async fn build(
        loaded: Loaded,
        vault: Vault,
        clock: Clock,
        rng: Rng,
        lifecycle: Lifecycle,
    ) -> Result<Self, VaultError> {
        let effective = Arc::new(loaded.effective());
        let config = Arc::new(loaded.config);
        let limits = Limits {
            connect: config.google.connect_timeout,
            time: TimeLimit::Whole(config.google.timeout),
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
        let events =
            Events::load(config.clone(), vault.clone(), clock.clone(), metrics.clone(), lifecycle.clone())
                .await?;
        let counts = Counts::new(config.clone(), vault.clone(), clock.clone(), metrics.clone());
        let tokens = Tokens::new(TokensParts {
            config: config.clone(),
            vault: vault.clone(),
            google: google.clone(),
            provider: provider.clone(),
            metrics: metrics.clone(),
            events: events.clone(),
            clock: clock.clone(),
            lifecycle: lifecycle.clone(),
        });
        let sign_in = SignIn::new(SignInParts {
            config: config.clone(),
            vault: vault.clone(),
            google: google.clone(),
            provider: provider.clone(),
            tokens: tokens.clone(),
            events: events.clone(),
            clock: clock.clone(),
            lifecycle: lifecycle.clone(),
        });
        let data = vault.path().parent().unwrap_or(vault.path()).to_owned();
        let mirrors = Mirrors::new(vault.clone(), clock.clone(), rng.clone(), metrics.clone(), &data);
        let web_flow = WebFlow::new(WebFlowParts {
            config: config.clone(),
            vault: vault.clone(),
            provider: provider.clone(),
            sign_in: sign_in.clone(),
            metrics: metrics.clone(),
            events: events.clone(),
            clock: clock.clone(),
            lifecycle: lifecycle.clone(),
            rng: rng.clone(),
        });
        let clients = Clients::new(
            config.clone(),
            vault.clone(),
            google.clone(),
            clock.clone(),
            rng.clone(),
            lifecycle.clone(),
        );
        let users = Users::new(UsersParts {
            config: config.clone(),
            vault: vault.clone(),
            google,
            provider: provider.clone(),
            tokens: tokens.clone(),
            mirrors: mirrors.clone(),
            events: events.clone(),
            clock: clock.clone(),
            lifecycle: lifecycle.clone(),
        });
        let sessions = Sessions::load(config.clone(), vault.clone(), clock.clone(), &rng).await?;
        let api_keys = ApiKeys::load(vault.clone(), clock.clone(), rng.clone()).await?;
        let owner_sessions =
            OwnerSessions::load(config.clone(), vault.clone(), clock.clone(), rng.clone(), lifecycle.clone())
                .await?;
        let app_data = AppData::new(
            config.app_data,
            drive(&config, &clock, &rng),
            tokens.clone(),
            metrics.clone(),
            events.clone(),
            clock.clone(),
            lifecycle.clone(),
        );
        let mirrors = MirrorKeeper::new(
            config.clone(),
            mirrors,
            app_data.clone(),
            events.clone(),
            clock.clone(),
            lifecycle.clone(),
        );
        Ok(Self {
            config,
            effective,
            clock,
            rng,
            lifecycle,
            metrics,
            vault,
            events,
            counts,
            provider,
            tokens,
            sign_in,
            web_flow,
            users,
            clients,
            sessions,
            owner_sessions,
            api_keys,
            app_data,
            mirrors,
        })
    }

    /// The end of a graceful stop: what was noted and counted is written down. Nothing else may follow but the
    /// closing of the vault.
    pub async fn write_down(&self) {
        report("counts", self.counts.step().await);
        self.events.close().await;
    }

    /// Starts what runs by itself. Every job is a step that tests call without it.
    pub fn spawn_jobs(&self) {
        const SOON: Duration = Duration::from_millis(50);
        const A_SECOND: Duration = Duration::from_secs(1);
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
            let (vault, events, counts) = (state.vault.clone(), state.events.clone(), state.counts.clone());
            async move {
                report("purge", vault.purge_redemptions().await);
                report("purge", vault.purge_connect_links().await);
                report("purge", events.purge_step().await);
                report("purge", counts.purge_step().await);
                report("checkpoint", vault.checkpoint_if_wanted().await);
            }
        });
        let state = self.clone();
        self.lifecycle.job("api-keys", A_MINUTE, A_MINUTE, move || {
            let api_keys = state.api_keys.clone();
            async move { report("api-keys", api_keys.save_last_uses().await) }
        });
        let state = self.clone();
        self.lifecycle.job("owner-sessions", A_MINUTE, A_MINUTE, move || {
            let sessions = state.owner_sessions.clone();
            async move { report("owner-sessions", sessions.upkeep_step().await) }
        });
        let state = self.clone();
        self.lifecycle.job("check", A_MINUTE, A_SECOND, move || {
            let users = state.users.clone();
            async move { report("check", users.check_step().await) }
        });
        let state = self.clone();
        self.lifecycle.job("people", A_MINUTE, A_MINUTE, move || {
            state.users.forget_idle_directory();
            async {}
        });
        if !self.config.mirrors.is_empty() {
            let state = self.clone();
            self.lifecycle.job("mirrors", A_SECOND, A_SECOND, move || {
                // Tasks of their own, which a stop waits for.
                drop(state.mirrors.run_due());
                async {}
            });
        }
        let state = self.clone();
        self.lifecycle.job("events", A_SECOND, A_SECOND, move || {
            let events = state.events.clone();
            async move { report("events", events.step().await) }
        });
        let state = self.clone();
        self.lifecycle.job("counts", A_MINUTE, A_MINUTE, move || {
            let counts = state.counts.clone();
            async move { report("counts", counts.step().await) }
        });
        let state = self.clone();
        self.lifecycle.job("metrics", A_SECOND, A_SECOND, move || {
            state.metrics.upkeep();
            async {}
        });
    }
}

/// Drive, with the limits of [`Google`]'s own calls for small ones, and others for content.
fn drive(config: &Config, clock: &Clock, rng: &Rng) -> Drive {
    let calls = Limits {
        connect: config.google.connect_timeout,
        time: TimeLimit::Whole(config.google.timeout),
        // A thousand files with long names.
        max_body: 4 << 20,
    };
    let moving = Limits::moving(config.google.connect_timeout);
    let base = config.google.drive_url.clone();
    Drive::new(Outbound::new(calls), Outbound::new(moving), clock.clone(), rng.clone(), base)
}

/// A job's failure is logged and the job goes on: its next step may find the trouble gone.
fn report<T, E: std::fmt::Display>(job: &'static str, outcome: Result<T, E>) {
    if let Err(error) = outcome {
        tracing::warn!(job, %error, "a background job failed and will be tried again");
    }
}
