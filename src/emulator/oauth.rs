//! The token endpoint: codes, refresh tokens and device codes in, access tokens out.
//!
//! The checks come in the order in which Google makes them, with its texts. What is decided under the
//! world's lock is a [`Granted`]; tokens are sealed and signed after the lock is gone.

use std::sync::Arc;

use serde::Serialize;

use super::access_tokens::Opens;
use super::faults::Endpoint;
use super::form::Form;
use super::grants::{Code, Refresh, UNUSED_LIMIT};
use super::id_tokens::{CacheKey, Statement};
use super::keys::pkce_s256;
use super::people::{ChallengeMethod, ClientKind, RegisteredClient};
use super::reply::{Refusal, Reply};
use super::world::{State, World};
use crate::clock::Timestamp;
use crate::scopes::ScopeSet;

/// The `grant_type` of RFC 8628 §3.4.
pub(super) const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// Seven days less a second: what a project in Testing gives its refresh tokens.
const TESTING_LIMIT: i64 = 604_799;
/// `4/0Ab` and 51 random bytes.
const CODE_LENGTH: usize = 73;

/// A POST to the token endpoint.
#[derive(Clone, Debug, Default)]
pub struct TokenRequest {
    /// The body.
    pub form: Form,
    /// Client id and secret of an `Authorization: Basic` header.
    pub basic: Option<(String, String)>,
}

impl<const N: usize> From<[(&str, &str); N]> for TokenRequest {
    fn from(pairs: [(&str, &str); N]) -> Self {
        Self { form: pairs.into(), basic: None }
    }
}

#[derive(Debug)]
struct Credentials<'a> {
    client_id: &'a str,
    secret: Option<&'a str>,
}

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

#[derive(Debug)]
enum Identity {
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

impl Refresh {
    /// Whether it lay unused too long or its time-based access is over.
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        now.since(self.last_used) > UNUSED_LIMIT || self.expires.is_some_and(|end| end <= now)
    }
}

/// Counts an arriving request and says whose faults it meets.
pub(super) fn arrive(world: &World, request: &TokenRequest) -> &'static [Endpoint] {
    let state = &mut *world.state();
    state.counts.token += 1;
    match request.form.field("grant_type") {
        Some("authorization_code") => {
            state.counts.exchanges += 1;
            &[Endpoint::Exchange, Endpoint::Token]
        }
        Some("refresh_token") => {
            state.counts.refreshes += 1;
            let token = request.form.field("refresh_token").unwrap_or_default();
            if let Some(refresh) = state.grants.refresh(token) {
                refresh.shown += 1;
                match state.refreshes_of.get_mut(&refresh.sub) {
                    Some(count) => *count += 1,
                    None => drop(state.refreshes_of.insert(refresh.sub.clone(), 1)),
                }
            }
            &[Endpoint::Refresh, Endpoint::Token]
        }
        Some(DEVICE_GRANT) => {
            state.counts.device_polls += 1;
            &[Endpoint::DevicePoll, Endpoint::Token]
        }
        _ => &[Endpoint::Token],
    }
}

/// Answers a token request.
pub fn token(world: &World, request: &TokenRequest) -> Reply {
    match decide(world, request) {
        Ok(granted) => answer(world, granted),
        Err(refusal) => refusal.into(),
    }
}

fn decide(world: &World, request: &TokenRequest) -> Result<Granted, Refusal> {
    let form = &request.form;
    form.single_valued()?;
    let now = world.now();
    match form.field("grant_type").unwrap_or_default() {
        "authorization_code" => exchange(world, request, now),
        "refresh_token" => refresh(world, request, now),
        DEVICE_GRANT => device(world, request, now),
        other => Err(Refusal::new(400, "unsupported_grant_type", format!("Invalid grant_type: {other}"))),
    }
}

/// Who the client says it is. Whether that is true comes later in Google's order.
fn credentials<'a>(state: &State, request: &'a TokenRequest) -> Result<Credentials<'a>, Refusal> {
    let form = &request.form;
    let found = match &request.basic {
        Some(_) if form.field("client_secret").is_some() => {
            return Err(Refusal::request(
                "The client must authenticate either in the body or in the Authorization header, not in both.",
            ));
        }
        Some((id, secret)) => {
            Credentials { client_id: id, secret: Some(secret).filter(|s| !s.is_empty()).map(|s| &**s) }
        }
        None => {
            let id = form.filled("client_id");
            let client_id =
                id.ok_or_else(|| Refusal::request("Could not determine client ID from request."))?;
            Credentials { client_id, secret: form.filled("client_secret") }
        }
    };
    let public = state.clients.find(found.client_id).is_some_and(|(_, client)| client.kind.is_public());
    if found.secret.is_none() && !public {
        return Err(Refusal::request("client_secret is missing."));
    }
    Ok(found)
}

/// The client, once it has proven to be it.
fn authenticate<'a>(
    state: &'a State,
    credentials: &Credentials<'_>,
) -> Result<(u32, &'a RegisteredClient), Refusal> {
    let client = |error, description: &str| Refusal::new(401, error, description);
    let (position, found) = state
        .clients
        .find(credentials.client_id)
        .ok_or_else(|| client("invalid_client", "The OAuth client was not found."))?;
    if found.deleted {
        return Err(client("deleted_client", "The OAuth client was deleted."));
    }
    if found.disabled {
        return Err(client("disabled_client", "The OAuth client was disabled."));
    }
    let right = match credentials.secret {
        Some(secret) => found.secrets.iter().any(|known| known.expose() == secret),
        None => found.kind.is_public(),
    };
    if !right {
        return Err(client("invalid_client", "The provided client secret is invalid."));
    }
    Ok((position, found))
}

fn exchange(world: &World, request: &TokenRequest, now: Timestamp) -> Result<Granted, Refusal> {
    let (form, state) = (&request.form, &mut *world.state());
    let credentials = credentials(state, request)?;
    let redirect_uri =
        form.field("redirect_uri").ok_or_else(|| Refusal::request("Missing parameter: redirect_uri"))?;
    let text = form.required("code")?;
    if !well_formed(text) {
        return Err(Refusal::grant("Malformed auth code."));
    }
    let (position, client) = authenticate(state, &credentials)?;
    if client.kind == ClientKind::Device {
        return Err(Refusal::new(401, "unauthorized_client", "Unauthorized"));
    }
    let code = state
        .grants
        .code(text)
        .filter(|code| {
            code.client == position && code.expires > now && state.grants.grant(code.grant).is_some()
        })
        .ok_or_else(|| Refusal::grant("Bad Request"))?;
    let fits = redirect_fits(code, client, redirect_uri)
        .and_then(|()| pkce_fits(code.request.code_challenge.as_ref(), form.filled("code_verifier")));
    let always_offline = client.kind == ClientKind::Desktop;
    if let Err(refusal) = fits {
        if state.settings.failed_tries_spend_codes {
            state.grants.spend_code(text);
        }
        return Err(refusal);
    }
    let code = state.grants.spend_code(text).ok_or_else(|| Refusal::grant("Bad Request"))?;
    state.counts.codes_redeemed += 1;
    let wants_refresh = always_offline
        || code.request.offline && (code.consented || !state.grants.had_refresh_token(code.grant, position));
    grant(world, state, now, code, wants_refresh)
}

/// Google's codes all have one shape; a text that is still percent-encoded or cut off has not.
fn well_formed(code: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    code.len() == CODE_LENGTH && code.strip_prefix("4/").is_some_and(|rest| rest.bytes().all(allowed))
}

/// Equal to the value of the sign-in; a code of a phone or of the popup may also name a registered
/// redirect URI or origin, as Google's pages say.
fn redirect_fits(code: &Code, client: &RegisteredClient, shown: &str) -> Result<(), Refusal> {
    let wanted = code.request.redirect_uri.as_str();
    let also = match wanted {
        "" => &client.redirect_uris[..],
        "postmessage" => &client.javascript_origins[..],
        _ => &[],
    };
    if shown == wanted || also.iter().any(|uri| uri == shown) {
        Ok(())
    } else {
        Err(Refusal::new(400, "redirect_uri_mismatch", "Bad Request"))
    }
}

fn pkce_fits(challenge: Option<&(ChallengeMethod, String)>, verifier: Option<&str>) -> Result<(), Refusal> {
    let Some((method, challenge)) = challenge else { return Ok(()) };
    let verifier = verifier.ok_or_else(|| Refusal::grant("Missing code verifier."))?;
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let made = match method {
        ChallengeMethod::Plain => verifier.to_owned(),
        ChallengeMethod::S256 => pkce_s256(verifier),
    };
    if (43..=128).contains(&verifier.len()) && verifier.bytes().all(allowed) && made == *challenge {
        Ok(())
    } else {
        Err(Refusal::grant("Invalid code verifier."))
    }
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
    let identity = ScopeSet::parse("openid email profile");
    let testing =
        || (state.clients.at(client).testing && !scopes.is_subset(&identity)).then_some(TESTING_LIMIT);
    state.settings.refresh_token_expires_in.or_else(testing)
}

fn opens(state: &State, now: Timestamp, grant: u64, client: u32, scopes: u32) -> Opens {
    Opens { grant, client, scopes, expires: now.plus(state.settings.access_token_lifetime) }
}

fn granted(
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

fn identity(state: &State, now: Timestamp, opens: Opens, nonce: Option<String>) -> Result<Identity, Refusal> {
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

fn answer(world: &World, granted: Granted) -> Reply {
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

fn refresh(world: &World, request: &TokenRequest, now: Timestamp) -> Result<Granted, Refusal> {
    let (form, state) = (&request.form, &mut *world.state());
    let credentials = credentials(state, request)?;
    let text = form.required("refresh_token")?;
    let (position, _) = authenticate(state, &credentials)?;
    if !text.starts_with("1//") {
        return Err(Refusal::grant("Bad Request"));
    }
    let gone = || Refusal::grant("Token has been expired or revoked.");
    let found = state.grants.refresh(text).ok_or_else(gone)?;
    if found.client != position {
        return Err(Refusal::grant("Bad Request"));
    }
    if found.is_over(now) {
        state.grants.end_refresh(text);
        return Err(gone());
    }
    let (grant, expires) = (found.grant, found.expires);
    let (sub, mut scopes) = (found.sub.clone(), found.scopes);
    troubles(state, position, &sub)?;
    if let Some(narrow) = form.filled("scope") {
        scopes = narrowed(state, scopes, narrow)?;
    }
    let opens = opens(state, now, grant, position, scopes);
    let identity = identity(state, now, opens, None)?;
    let successor = state.settings.rotate_refresh_tokens.then(|| state.grants.end_refresh(text)).flatten();
    let refresh_token = match successor {
        Some(old) => Some(state.grants.keep_refresh(world.rng(), Refresh { last_used: now, ..old })),
        None => {
            if let Some(used) = state.grants.refresh(text) {
                used.last_used = now;
            }
            None
        }
    };
    state.counts.refreshes_answered += 1;
    let left = expires.map(|end| end.since(now));
    Ok(granted(state, opens, refresh_token, left, identity))
}

/// What may be wrong with the account although the token lives.
fn troubles(state: &State, client: u32, sub: &crate::ids::Sub) -> Result<(), Refusal> {
    let account = state.people.account(sub).ok_or_else(|| Refusal::grant("Account has been deleted"))?;
    if account.trouble.deleted {
        return Err(Refusal::grant("Account has been deleted"));
    }
    if account.trouble.disabled {
        return Err(Refusal::grant("Account disabled"));
    }
    if account.trouble.admin_policy {
        return Err(Refusal::new(400, "admin_policy_enforced", ADMIN_POLICY));
    }
    if !state.clients.admits(client, &account.person) {
        return Err(Refusal::new(403, "org_internal", ORG_INTERNAL));
    }
    if account.trouble.reauth {
        return Err(Refusal::reauth());
    }
    Ok(())
}

/// Google's sentence for an app that an administrator blocks.
pub(super) const ADMIN_POLICY: &str = "The Google Account is unable to authorize one or more scopes requested due to the policies of their Google Workspace administrator.";
/// Google's sentence for an app of another organisation.
pub(super) const ORG_INTERNAL: &str = "The OAuth client is restricted to users within its organization.";

/// The position of the scopes asked for, all of which must have been granted (RFC 6749 §6).
fn narrowed(state: &mut State, granted: u32, asked: &str) -> Result<u32, Refusal> {
    let asked = ScopeSet::parse(asked);
    let foreign = asked.minus(&state.grants.scopes(granted).set);
    if foreign.is_empty() {
        return Ok(state.grants.scopes_position(&asked));
    }
    Err(invalid_scopes(foreign.iter()))
}

/// `invalid_scope` with the names, as Google writes them.
pub(super) fn invalid_scopes<'a>(invalid: impl Iterator<Item = &'a str>) -> Refusal {
    let names = invalid.collect::<Vec<_>>().join(", ");
    Refusal::new(400, "invalid_scope", format!("Some requested scopes were invalid. {{invalid=[{names}]}}"))
}

fn device(world: &World, request: &TokenRequest, now: Timestamp) -> Result<Granted, Refusal> {
    let (form, state) = (&request.form, &mut *world.state());
    let credentials = credentials(state, request)?;
    let device_code = form.required("device_code")?;
    let (position, client) = authenticate(state, &credentials)?;
    if client.kind != ClientKind::Device {
        return Err(Refusal::new(401, "invalid_client", "Invalid client type."));
    }
    let code = state.devices.poll(device_code, position, now)?;
    grant(world, state, now, code, true)
}
