//! `GET /v1/status`: how everybody is.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::super::auth::AsOwner;
use super::super::context::Context;
use super::super::problem::{Problem, fault_code};
use crate::clock::Timestamp;
use crate::ids::{ClientName, OAuthClientId};

/// What `locum status` shows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// The version of the running locum.
    pub version: String,
    /// When it was started.
    pub started_at: Timestamp,
    /// Its time now.
    pub now: Timestamp,
    /// People connected.
    pub users: u64,
    /// Grants by client, state and cause.
    pub grants: Vec<GrantCount>,
    /// When the next refresh token with an announced end runs out.
    pub next_refresh_token_expiry: Option<Timestamp>,
    /// API keys.
    pub api_keys: ApiKeyStatus,
    /// The configured clients.
    pub clients: Vec<ClientStatus>,
    /// Google's keys.
    pub google: GoogleStatus,
    /// The vault.
    pub vault: VaultStatus,
}

impl Status {
    /// An API key that ends within this many seconds is somebody's business now: two weeks.
    pub const KEY_NOTICE: i64 = 14 * 86_400;
    /// So is a refresh token that Google said will run out: two days, of the seven that a project in
    /// Testing gives.
    pub const GRANT_NOTICE: i64 = 2 * 86_400;
    /// So is a clock that is off by more than this.
    pub const SKEW_NOTICE: i64 = crate::provider::SKEW_NOTICE;
}

/// How many grants of one client stand where.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GrantCount {
    /// The client's name; `null` when it is no longer configured.
    pub client: Option<ClientName>,
    /// Its id at Google.
    pub client_id: OAuthClientId,
    /// The state.
    pub state: String,
    /// Its cause.
    pub cause: Option<String>,
    /// What the state means and what ends it.
    pub explanation: String,
    /// How many.
    pub count: u64,
}

/// The API keys.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ApiKeyStatus {
    /// In force.
    pub active: usize,
    /// Not in force because their row does not match its seal.
    pub damaged: usize,
    /// When the next one in force ends.
    pub next_expiry: Option<Timestamp>,
}

/// One configured client.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClientStatus {
    /// Its name.
    pub name: ClientName,
    /// Its id at Google.
    pub client_id: OAuthClientId,
    /// Why its refreshes are paused, if they are.
    pub paused: Option<Pause>,
}

/// A pause of all refreshes of a client.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Pause {
    /// A stable name of what Google has against the client.
    pub cause: String,
    /// The same in words.
    pub explanation: String,
    /// Since when.
    pub since: Timestamp,
    /// When the next refresh is let through.
    pub next_probe: Timestamp,
}

/// Google's keys and clock.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GoogleStatus {
    /// Whether ID tokens can be verified.
    pub keys_loaded: bool,
    /// When the keys were fetched.
    pub keys_fetched_at: Option<Timestamp>,
    /// Until when they need not be fetched again.
    pub keys_fresh_until: Option<Timestamp>,
    /// What went wrong the last time, if it did.
    pub last_error: Option<String>,
    /// Google's clock less this machine's: how far ours is behind, or ahead where it is negative.
    pub clock_skew_seconds: Option<i64>,
}

/// The vault.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VaultStatus {
    /// The short id of the root key that opens it.
    pub root_id: String,
    /// The schema version of the file.
    pub schema: i64,
    /// The newest data key's term.
    pub data_key_term: u32,
    /// When that key was made.
    pub data_key_made_at: Timestamp,
    /// Size of the database file in bytes.
    pub size: u64,
    /// When the last verified backup was made.
    pub last_backup: Option<Timestamp>,
    /// Whether the disk has failed and writing has stopped.
    pub failed: bool,
    /// When everybody was last read to see whether they can be, which is done once a day; `null` before the first
    /// time.
    pub checked_at: Option<Timestamp>,
    /// People some of whose records were damaged then.
    pub damaged_people: u64,
}

pub(super) async fn status(_: AsOwner, context: web::Data<Context>) -> Result<HttpResponse, Problem> {
    super::ok(&gather(&context).await?)
}

/// How everybody is, as of now.
pub(super) async fn gather(context: &Context) -> Result<Status, Problem> {
    let state = &context.state;
    let now = state.clock.now();
    let counts = super::ops::counts(context).await?;
    let grants = counts.by_state.iter().map(|(grant, id, count)| {
        let client = state.config.client_by_id(id).map(|client| client.name.clone());
        let seen = if client.is_some() { *grant } else { grant.seen_without_client() };
        GrantCount {
            client,
            client_id: id.clone(),
            state: seen.code().into(),
            cause: seen.cause().map(Into::into),
            explanation: seen.words().into(),
            count: *count,
        }
    });
    let clients = state.config.clients.iter().map(|client| ClientStatus {
        name: client.name.clone(),
        client_id: client.client_id.clone(),
        paused: pause_of(context, &client.client_id),
    });
    let provider = state.provider.status();
    let vault = state.vault.facts().await?;
    let checked = state.users.checked();
    Ok(Status {
        version: env!("CARGO_PKG_VERSION").into(),
        started_at: context.started_at,
        now,
        users: state.vault.count_users().await?,
        grants: grants.collect(),
        next_refresh_token_expiry: counts.next_expiry,
        api_keys: ApiKeyStatus {
            active: state.api_keys.list().iter().filter(|key| key.ended(now).is_none()).count(),
            damaged: state.api_keys.damaged(),
            next_expiry: state.api_keys.next_expiry(),
        },
        clients: clients.collect(),
        google: GoogleStatus {
            keys_loaded: provider.keys_loaded,
            keys_fetched_at: provider.keys_fetched_at,
            keys_fresh_until: provider.keys_fresh_until,
            last_error: provider.last_error,
            clock_skew_seconds: provider.clock_skew_seconds,
        },
        vault: VaultStatus {
            root_id: vault.root_id,
            schema: vault.schema,
            data_key_term: vault.data_key_term,
            data_key_made_at: vault.data_key_made_at,
            size: vault.size,
            last_backup: vault.last_backup,
            failed: state.vault.has_failed(),
            checked_at: checked.at,
            damaged_people: checked.damaged,
        },
    })
}

/// Why a client's refreshes are paused, if they are.
pub(super) fn pause_of(context: &Context, client: &OAuthClientId) -> Option<Pause> {
    let paused = context.state.tokens.paused_clients();
    paused.into_iter().find(|paused| paused.client_id == *client).map(|paused| Pause {
        cause: fault_code(paused.fault).into(),
        explanation: paused.fault.to_string(),
        since: paused.since,
        next_probe: paused.next_probe,
    })
}
