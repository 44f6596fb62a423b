//! The token endpoint: codes, refresh tokens and device codes in, access tokens out.
//!
//! The checks come in the order in which Google makes them, with its texts.

use super::faults::Endpoint;
use super::form::Form;
use super::granting::{self, Granted};
use super::grants::{Code, Refresh, UNUSED_LIMIT};
use super::keys::pkce_s256;
use super::people::{ChallengeMethod, ClientKind, RegisteredClient};
use super::registry::Account;
use super::reply::{Refusal, Reply};
use super::world::{State, World};
use crate::clock::Timestamp;
use crate::ids::Sub;
use crate::scopes::ScopeSet;

/// The `grant_type` of RFC 8628 §3.4.
pub(super) const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
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
        Ok(granted) => granting::answer(world, granted),
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
    open_account(state, &code.request.sub)?;
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
    granting::grant(world, state, now, code, wants_refresh)
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
    let opens = granting::opens(state, now, grant, position, scopes);
    let identity = granting::identity(state, now, opens, None)?;
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
    Ok(granting::granted(state, opens, refresh_token, left, identity))
}

/// The account behind a code or token, unless it was closed.
fn open_account<'a>(state: &'a State, sub: &Sub) -> Result<&'a Account, Refusal> {
    match state.people.account(sub) {
        Some(account) if account.trouble.disabled && !account.trouble.deleted => {
            Err(Refusal::grant("Account disabled"))
        }
        Some(account) if !account.trouble.deleted => Ok(account),
        _ => Err(Refusal::grant("Account has been deleted")),
    }
}

/// What may be wrong with the account although the token lives.
fn troubles(state: &State, client: u32, sub: &Sub) -> Result<(), Refusal> {
    let account = open_account(state, sub)?;
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
    open_account(state, &code.request.sub)?;
    if state.grants.grant(code.grant).is_none() {
        return Err(Refusal::grant("Bad Request"));
    }
    granting::grant(world, state, now, code, true)
}
