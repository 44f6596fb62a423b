//! From a decision to tokens: what is decided under the world's lock is a [`Granted`]; tokens are
//! sealed and signed after the lock is gone, since a signature takes half a millisecond.

use std::sync::Arc;

use serde::Serialize;

use super::access_tokens::Opens;
use super::consent::identity_scopes;
use super::grants::{Code, Refresh};
use super::id_tokens::{CacheKey, Statement};
use super::reply::{Refusal, Reply};
use super::world::{State, World};
use crate::clock::Timestamp;
use crate::scopes::ScopeSet;

/// Seven days less a second: what a project in Testing gives its refresh tokens.
const TESTING_LIMIT: i64 = 604_799;

/// What was decided: enough to make the answer without the lock.
#[derive(Debug)]
pub(super) struct Granted {
    opens: Opens,
    expires_in: i64,
    scope: Arc<str>,
    refresh_token: Option<Arc<str>>,
    refresh_token_expires_in: Option<i64>,
    identity: Identity,
}

/// What becomes of the ID token.
#[derive(Debug)]
pub(super) enum Identity {
    Unasked,
    Cached(Arc<str>),
    Sign(Box<Statement>, Option<CacheKey>),
}

#[derive(Serialize)]
struct Answer<'a> {
    access_token: &'a str,
    expires_in: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token_expires_in: Option<i64>,
    scope: &'a str,
    token_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token: Option<&'a str>,
}

/// Makes the grant of a sign-in that is complete.
pub(super) fn grant(
    world: &World,
    state: &mut State,
    now: Timestamp,
    code: Code,
    wants_refresh: bool,
) -> Result<Granted, Refusal> {
    let Code { request, client, grant, .. } = code;
    let scopes = state.grants.scopes_position(&request.scopes);
    let limit = refresh_limit(state, client, &request.scopes);
    let refresh_token = wants_refresh.then(|| {
        let expires = limit.map(|seconds| now.plus(seconds));
        let sub = request.sub.clone();
        let refresh = Refresh { grant, client, sub, scopes, last_used: now, expires, shown: 0 };
        state.grants.keep_refresh(world.rng(), refresh)
    });
    let refresh_token_expires_in = limit.filter(|_| refresh_token.is_some());
    let opens = opens(state, now, grant, client, scopes);
    let identity = identity(state, now, opens, request.nonce)?;
    Ok(granted(state, opens, refresh_token, refresh_token_expires_in, identity))
}

/// How long the refresh tokens of a client live, where that is limited.
fn refresh_limit(state: &State, client: u32, scopes: &ScopeSet) -> Option<i64> {
    let limited = || state.clients.at(client).testing && !scopes.is_subset(&identity_scopes());
    state.settings.refresh_token_expires_in.or_else(|| limited().then_some(TESTING_LIMIT))
}

/// What an access token made now opens.
pub(super) fn opens(state: &State, now: Timestamp, grant: u64, client: u32, scopes: u32) -> Opens {
    Opens { grant, client, scopes, expires: now.plus(state.settings.access_token_lifetime) }
}

/// Gathers an answer.
pub(super) fn granted(
    state: &State,
    opens: Opens,
    refresh_token: Option<Arc<str>>,
    refresh_token_expires_in: Option<i64>,
    identity: Identity,
) -> Granted {
    let expires_in = state.settings.access_token_lifetime;
    let scope = state.grants.scopes(opens.scopes).text.clone();
    Granted { opens, expires_in, scope, refresh_token, refresh_token_expires_in, identity }
}

/// Whether an ID token belongs to the answer, and what it says.
pub(super) fn identity(
    state: &State,
    now: Timestamp,
    opens: Opens,
    nonce: Option<String>,
) -> Result<Identity, Refusal> {
    let scopes = &state.grants.scopes(opens.scopes).set;
    if !scopes.has_identity() {
        return Ok(Identity::Unasked);
    }
    let key = (opens.grant, opens.client, opens.scopes);
    let cached = state.settings.cached_id_tokens && nonce.is_none();
    if cached && let Some(token) = state.id_tokens.fresh(key, now) {
        return Ok(Identity::Cached(token));
    }
    let account = state.grants.grant(opens.grant).and_then(|grant| state.people.account(&grant.sub));
    let person = account.ok_or_else(|| Refusal::grant("Account has been deleted"))?.person.clone();
    let client_id = state.clients.at(opens.client).client_id.clone();
    let mut statement = Statement::new(person, client_id, scopes.clone(), &state.settings, now);
    statement.nonce = nonce;
    Ok(Identity::Sign(Box::new(statement), cached.then_some(key)))
}

/// Seals and signs, without the lock.
pub(super) fn answer(world: &World, granted: Granted) -> Reply {
    let access_token = world.sealer().seal(world.rng(), granted.opens);
    let id_token: Option<Arc<str>> = match granted.identity {
        Identity::Unasked => None,
        Identity::Cached(token) => Some(token),
        Identity::Sign(statement, None) => {
            let key = world.keys().current();
            Some(statement.sign(&key, Some(&access_token)).into())
        }
        Identity::Sign(statement, Some(place)) => {
            let key = world.keys().current();
            let token: Arc<str> = statement.sign(&key, None).into();
            world.state().id_tokens.keep(place, statement.issued, token.clone());
            Some(token)
        }
    };
    Reply::private(
        200,
        &Answer {
            access_token: &access_token,
            expires_in: granted.expires_in,
            refresh_token: granted.refresh_token.as_deref(),
            refresh_token_expires_in: granted.refresh_token_expires_in,
            scope: &granted.scope,
            token_type: "Bearer",
            id_token: id_token.as_deref(),
        },
    )
}
