//! The OAuth clients, as their owner looks after them: what has to be registered at Google, whether the
//! configuration can work, and what Google says of the client's id and secrets.
//!
//! What must stay true:
//!
//! - looking is all that happens here: no check pauses a client, touches a grant or changes a document;
//! - nothing of a secret or of Google's text is in what is told;
//! - Google is asked for one client at most once in [`COOL_DOWN`] seconds.

mod ask;
mod facts;
mod registration;
mod sources;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::facts::Facts;
pub use self::registration::{Registration, registrations};

use crate::clock::{Clock, Timestamp};
use crate::config::{Client, Config};
use crate::google::Google;
use crate::ids::ClientName;
use crate::lifecycle::Lifecycle;
use crate::rng::Rng;
use crate::vault::{Vault, VaultError};

/// Seconds between two checks of one client at Google.
const COOL_DOWN: i64 = 10;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Nothing to do.
    Ok,
    /// It works, and yet somebody should know.
    Warning,
    /// It does not work.
    Failed,
}

/// One check of a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Its stable name.
    pub id: String,
    /// How it came out.
    pub state: Outcome,
    /// What was found, in a few words.
    pub title: String,
    /// What it means and what to do.
    pub detail: String,
}

impl Check {
    fn new(id: &str, state: Outcome, title: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { id: id.to_owned(), state, title: title.into(), detail: detail.into() }
    }
}

/// What can go wrong, by what can be done about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientsError {
    /// The configuration has no client of this name.
    #[error("unknown client")]
    UnknownClient,
    /// The client was checked a moment ago.
    #[error("the client was checked a moment ago")]
    TooSoon {
        /// How long to wait.
        after: Duration,
    },
    /// The vault failed.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The work was torn down.
    #[error("the work was interrupted")]
    Interrupted,
}

/// The clients. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Clients(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Arc<Config>,
    vault: Vault,
    google: Google,
    clock: Clock,
    rng: Rng,
    lifecycle: Lifecycle,
    /// When each may be asked about again.
    not_before: Mutex<HashMap<ClientName, Timestamp>>,
}

impl Clients {
    /// Asks nobody.
    pub fn new(
        config: Arc<Config>,
        vault: Vault,
        google: Google,
        clock: Clock,
        rng: Rng,
        lifecycle: Lifecycle,
    ) -> Self {
        Self(Arc::new(Inner { config, vault, google, clock, rng, lifecycle, not_before: Mutex::default() }))
    }

    /// What the configuration and the vault tell of a client, without asking Google.
    ///
    /// # Errors
    /// When the vault cannot be read.
    pub async fn look_at(&self, client: &Client) -> Result<Vec<Check>, VaultError> {
        let inner = &self.0;
        let seven_days = inner.vault.count_seven_day_grants(&client.client_id).await?;
        Ok(sources::checks(&Facts { client, server: &inner.config.server, seven_days }))
    }

    /// Asks Google about a client: whether the documents can be had, and whether each secret is right. Goes
    /// on when the caller goes away. Costs two documents and a request for each secret.
    ///
    /// # Errors
    /// [`ClientsError::TooSoon`] shortly after the last time.
    pub async fn check(&self, name: &ClientName) -> Result<Vec<Check>, ClientsError> {
        let inner = self.0.clone();
        let client = inner.config.client(name).ok_or(ClientsError::UnknownClient)?.clone();
        inner.take_turn(name)?;
        let work = async move { inner.ask(&client).await };
        self.0.lifecycle.run(work).await.map_err(|_| ClientsError::Interrupted)
    }
}

impl Inner {
    fn take_turn(&self, name: &ClientName) -> Result<(), ClientsError> {
        let now = self.clock.now();
        let mut turns = self.not_before.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(left) = turns.get(name).map(|until| until.since(now))
            && (1..=COOL_DOWN).contains(&left)
        {
            return Err(ClientsError::TooSoon { after: Duration::from_secs(left.unsigned_abs()) });
        }
        turns.insert(name.clone(), now.plus(COOL_DOWN));
        Ok(())
    }
}
