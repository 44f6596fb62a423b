//! `GET /v1/overview`: how everybody is and what somebody must look after, in one answer that may be asked
//! for every few seconds.

mod attention;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};

pub use self::attention::{AttentionKind, Severity};

use self::attention::{Facts, Found, KeyFact, MirrorFact};
use super::super::auth::AsOwner;
use super::super::context::Context;
use super::super::problem::{Code, Problem};
use super::super::query;
use super::status::{self, ApiKeyStatus, ClientStatus, GoogleStatus, VaultStatus};
use crate::clock::Timestamp;
use crate::grant::StateCounts;
use crate::ids::{ClientName, Email, OAuthClientId, Sub, UserId};
use crate::vault::{GrantsInNeed, VaultError};

/// Entries of `attention` at the most.
const SHOWN: usize = 50;

/// What the dashboard's first page shows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Overview {
    /// locum's time now.
    pub now: Timestamp,
    /// The version of the running locum.
    pub version: String,
    /// When it was started.
    pub started_at: Timestamp,
    /// People connected.
    pub people: u64,
    /// How many grants stand where; those of a client that is no longer configured are blocked.
    pub states: StateCounts,
    /// What somebody must look after, the most urgent first; at most fifty.
    pub attention: Vec<Attention>,
    /// How much of it there is.
    pub attention_total: u64,
    /// Google's keys.
    pub google: GoogleStatus,
    /// The configured clients.
    pub clients: Vec<ClientStatus>,
    /// The vault.
    pub vault: VaultStatus,
    /// API keys.
    pub api_keys: ApiKeyStatus,
}

/// Something that somebody must look after, or should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attention {
    /// What kind of thing.
    pub kind: AttentionKind,
    /// How bad.
    pub severity: Severity,
    /// What happened, in a few words without a name in them.
    pub title: String,
    /// What it means and what ends it.
    pub detail: String,
    /// Whose grant it is about.
    pub user: Option<AttentionUser>,
    /// Which client.
    pub client: Option<ClientName>,
    /// Since when.
    pub since: Option<Timestamp>,
    /// When time runs out: a countdown.
    pub ends_at: Option<Timestamp>,
}

/// The person whom something is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttentionUser {
    /// Google's `sub`.
    pub id: Sub,
    /// The address.
    pub email: Option<Email>,
}

pub(super) async fn show(
    _: AsOwner,
    context: web::Data<Context>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let [] = query::parameters(request.query_string(), [])?;
    let state = &context.state;
    let status = status::gather(&context).await?;
    let in_need = in_need(&context).await?;
    let keys: Vec<_> = state
        .api_keys
        .expiring()
        .into_iter()
        .map(|(key, ends_at)| KeyFact { name: key.name.clone(), ends_at })
        .collect();
    let mirrors: Vec<_> = state.mirrors.list().await.iter().map(MirrorFact::of).collect();
    let name_of = |id: &OAuthClientId| state.config.client_by_id(id).map(|client| client.name.clone());
    let facts =
        Facts { status: &status, in_need: &in_need, name_of: &name_of, keys: &keys, mirrors: &mirrors };
    let (mut found, attention_total) = attention::attention(&facts);
    found.truncate(SHOWN);
    let mut states = StateCounts::default();
    for (grant, id, count) in &super::ops::counts(&context).await?.by_state {
        let seen = if name_of(id).is_some() { *grant } else { grant.seen_without_client() };
        states.add(seen, *count);
    }
    let attention = named(&context, found).await?;
    super::ok(&Overview {
        now: status.now,
        version: status.version,
        started_at: status.started_at,
        people: status.users,
        states,
        attention,
        attention_total,
        google: status.google,
        clients: status.clients,
        vault: status.vault,
        api_keys: status.api_keys,
    })
}

async fn in_need(context: &Context) -> Result<Arc<GrantsInNeed>, Problem> {
    let state = &context.state;
    let ask = async || {
        let vault = state.vault.clone();
        let clients: Vec<_> = state.config.clients.iter().map(|client| client.client_id.clone()).collect();
        let until = state.clock.now().plus(attention::HORIZON);
        let read = move || vault.read_grants_in_need(&clients, until, SHOWN);
        let read = state.lifecycle.run_blocking(read).await;
        let interrupted = |error| Problem::new(Code::Interrupted).because(error);
        Ok(Arc::new(read.map_err(interrupted)??))
    };
    context.in_need.or_else(state, ask).await
}

/// Opens who each entry is about: only those that are shown.
async fn named(context: &Context, found: Vec<Found>) -> Result<Vec<Attention>, Problem> {
    let mut people: HashMap<UserId, Option<AttentionUser>> = HashMap::new();
    let mut named = Vec::with_capacity(found.len());
    for entry in found {
        let user = match entry.user {
            None => None,
            Some(id) => {
                if let Entry::Vacant(unknown) = people.entry(id) {
                    unknown.insert(person(context, id).await?);
                }
                people[&id].clone()
            }
        };
        named.push(Attention {
            kind: entry.kind,
            severity: entry.severity,
            title: entry.title,
            detail: entry.detail,
            user,
            client: entry.client,
            since: entry.since,
            ends_at: entry.ends_at,
        });
    }
    Ok(named)
}

async fn person(context: &Context, id: UserId) -> Result<Option<AttentionUser>, Problem> {
    match context.state.vault.load_user(id).await {
        Ok(user) => Ok(user.map(|user| AttentionUser { id: user.profile.sub, email: user.profile.email })),
        // The grant is told all the same; that a person cannot be read is told by the list of people.
        Err(VaultError::Damaged { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
