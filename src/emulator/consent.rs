//! The authorization endpoint: who asks is checked, a person answers on the consent page, and the
//! browser goes back with a code.
//!
//! The page holds no state: its form is posted to the address it came from, query included, and the
//! query is checked again.

use url::{Host, Url};

use super::form::Form;
use super::oauth::{ADMIN_POLICY, ORG_INTERNAL, invalid_scopes};
use super::pages;
use super::people::{ChallengeMethod, ClientKind, CodeRequest, Person, RegisteredClient};
use super::reply::{Refusal, Reply};
use super::world::World;
use crate::ids::OAuthClientId;
use crate::scopes::ScopeSet;
use crate::secret::AuthorizationCode;

/// A checked authorization request (google-protocol 3.1).
#[derive(Clone, Debug)]
pub struct Authorization {
    pub(super) client_id: OAuthClientId,
    redirect_uri: String,
    target: Url,
    pub(super) scopes: ScopeSet,
    state: Option<String>,
    nonce: Option<String>,
    code_challenge: Option<(ChallengeMethod, String)>,
    offline: bool,
    force_consent: bool,
    silent: bool,
    include_granted: bool,
    pub(super) login_hint: Option<String>,
}

impl Authorization {
    /// Reads and checks a query. What is wrong here is shown on a page and never redirected, since
    /// nobody knows yet whether the redirect URI can be trusted.
    ///
    /// # Errors
    /// Google's error for its page.
    pub fn parse(world: &World, query: &Form) -> Result<Self, Refusal> {
        query.single_valued()?;
        let client_id = query.required("client_id")?;
        let state = world.state();
        let unknown = || Refusal::new(401, "invalid_client", "The OAuth client was not found.");
        let (_, client) = state.clients.find(client_id).ok_or_else(unknown)?;
        if client.deleted {
            return Err(Refusal::new(401, "deleted_client", "The OAuth client was deleted."));
        }
        if client.disabled {
            return Err(Refusal::new(401, "disabled_client", "The OAuth client was disabled."));
        }
        let redirect_uri = query.required("redirect_uri")?;
        let target = Url::parse(redirect_uri).ok().filter(|url| may_redirect(client, redirect_uri, url));
        let target = target.ok_or_else(|| {
            Refusal::new(400, "redirect_uri_mismatch", "The redirect URI is not registered for this client.")
        })?;
        match query.required("response_type")? {
            "code" => {}
            other => return Err(Refusal::request(format!("Invalid response_type: {other}"))),
        }
        if let Some(mode) = query.filled("response_mode").filter(|mode| *mode != "query") {
            return Err(Refusal::request(format!("Invalid response_mode: {mode}")));
        }
        let scopes = ScopeSet::parse(query.required("scope")?);
        let invalid: Vec<_> = scopes.iter().filter(|scope| !is_scope(scope)).collect();
        if !invalid.is_empty() {
            return Err(invalid_scopes(invalid.into_iter()));
        }
        let prompt: Vec<&str> = query.filled("prompt").unwrap_or_default().split_whitespace().collect();
        if let Some(odd) = prompt.iter().find(|word| !["none", "consent", "select_account"].contains(word)) {
            return Err(Refusal::request(format!("Invalid prompt: {odd}")));
        }
        let silent = prompt.contains(&"none");
        if silent && prompt.len() > 1 {
            return Err(Refusal::request("Invalid prompt: none cannot be combined with other values"));
        }
        let text = |name| query.filled(name).map(str::to_owned);
        Ok(Self {
            client_id: client.client_id.clone(),
            redirect_uri: redirect_uri.to_owned(),
            target,
            scopes,
            state: query.field("state").map(str::to_owned),
            nonce: text("nonce"),
            code_challenge: challenge(query.filled("code_challenge"), query.filled("code_challenge_method"))?,
            offline: access_type(query.filled("access_type"))?,
            force_consent: prompt.contains(&"consent"),
            silent,
            include_granted: query.field("include_granted_scopes") == Some("true"),
            login_hint: text("login_hint"),
        })
    }

    /// Back to the app with an error.
    fn refuse(&self, error: &str) -> Reply {
        let mut url = self.target.clone();
        url.query_pairs_mut().append_pair("error", error);
        self.with_state(&mut url);
        Reply::redirect(&url)
    }

    fn with_state(&self, url: &mut Url) {
        if let Some(state) = &self.state {
            url.query_pairs_mut().append_pair("state", state);
        }
    }

    /// Back to the app with a code (google-protocol 3.2).
    fn grant(&self, world: &World, person: &Person, scopes: ScopeSet, asked: bool) -> Reply {
        let granted_text = scopes.to_string();
        let code = world.try_issue_code(CodeRequest {
            client_id: self.client_id.clone(),
            sub: person.sub.clone(),
            scopes,
            redirect_uri: self.redirect_uri.clone(),
            nonce: self.nonce.clone(),
            code_challenge: self.code_challenge.clone(),
            offline: self.offline,
            force_consent: self.force_consent,
        });
        match code {
            Ok(code) => Reply::redirect(&self.answer(world, person, &code, &granted_text, asked)),
            Err(error) => Reply::page(403, pages::error("access_denied", &error.to_string())),
        }
    }

    fn answer(
        &self,
        world: &World,
        person: &Person,
        code: &AuthorizationCode,
        scope: &str,
        asked: bool,
    ) -> Url {
        let mut url = self.target.clone();
        self.with_state(&mut url);
        let mut pairs = url.query_pairs_mut();
        pairs.append_pair("iss", &world.settings().issuer);
        pairs.append_pair("code", code.expose());
        pairs.append_pair("scope", scope);
        pairs.append_pair("authuser", "0");
        if let Some(hd) = &person.hd {
            pairs.append_pair("hd", hd);
        }
        pairs.append_pair("prompt", if asked { "consent" } else { "none" });
        drop(pairs);
        url
    }
}

fn challenge(
    challenge: Option<&str>,
    method: Option<&str>,
) -> Result<Option<(ChallengeMethod, String)>, Refusal> {
    let method = match method {
        None | Some("plain") => ChallengeMethod::Plain,
        Some("S256") => ChallengeMethod::S256,
        Some(other) => return Err(Refusal::request(format!("Invalid code_challenge_method: {other}"))),
    };
    let Some(challenge) = challenge else { return Ok(None) };
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    if (43..=128).contains(&challenge.len()) && challenge.bytes().all(allowed) {
        Ok(Some((method, challenge.to_owned())))
    } else {
        Err(Refusal::request(
            "Invalid code_challenge: it must be 43 to 128 characters of A-Z a-z 0-9 - . _ ~",
        ))
    }
}

fn access_type(value: Option<&str>) -> Result<bool, Refusal> {
    match value {
        None | Some("online") => Ok(false),
        Some("offline") => Ok(true),
        Some(other) => Err(Refusal::request(format!("Invalid access_type: {other}"))),
    }
}

/// Registered byte for byte; a desktop app may use any port and path of the loopback interface.
fn may_redirect(client: &RegisteredClient, text: &str, url: &Url) -> bool {
    let loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    client.redirect_uris.iter().any(|known| known == text)
        || client.kind == ClientKind::Desktop
            && url.scheme() == "http"
            && loopback
            && url.fragment().is_none()
}

fn is_scope(scope: &str) -> bool {
    scope == "openid"
        || scope == "https://mail.google.com/"
        || scope.strip_prefix("https://www.googleapis.com/auth/").is_some_and(|name| !name.is_empty())
}

/// Scopes that only say who signs in: Google gives them no tick box.
pub(super) fn identity_scopes() -> ScopeSet {
    ScopeSet::parse("openid email profile")
}

fn error_page(refusal: &Refusal) -> Reply {
    Reply::page(refusal.status, pages::error(refusal.error, &refusal.description))
}

/// `GET` of the authorization endpoint: the page, or a redirect where nobody is to be asked.
pub fn show(world: &World, query: &Form) -> Reply {
    match Authorization::parse(world, query) {
        Err(refusal) => error_page(&refusal),
        Ok(request) if request.silent => silent(world, &request),
        Ok(request) => Reply::page(200, pages::consent(&request, &world.people())),
    }
}

/// `prompt=none`: a code without a page, if the person is named and has agreed to all of it before.
fn silent(world: &World, request: &Authorization) -> Reply {
    let Some(hint) = &request.login_hint else { return request.refuse("interaction_required") };
    let Some(person) = world.person(hint) else { return request.refuse("login_required") };
    let covered = {
        let state = world.state();
        let granted = state.grants.granted(&person.sub, &request.client_id);
        granted.is_some_and(|granted| request.scopes.is_subset(granted))
    };
    if covered {
        request.grant(world, &person, request.scopes.clone(), false)
    } else {
        request.refuse("consent_required")
    }
}

/// `POST` of the consent page's form: `person`, `scope` for every ticked box, `decision`.
pub fn submit(world: &World, query: &Form, answer: &Form) -> Reply {
    let request = match Authorization::parse(world, query) {
        Err(refusal) => return error_page(&refusal),
        Ok(request) => request,
    };
    if answer.field("decision") != Some("allow") {
        return request.refuse("access_denied");
    }
    let Some(person) = answer.filled("person").and_then(|who| world.person(who)) else {
        let problem = Refusal::request("Nobody was picked: choose one of the people on the page.");
        return error_page(&problem);
    };
    let before = match standing(world, &request, &person) {
        Err(refusal) => return error_page(&refusal),
        Ok(before) => before,
    };
    let ticked: ScopeSet = answer.all("scope").collect();
    let mut granted = request.scopes.intersection(&ticked.union(&identity_scopes()));
    if granted.is_empty() {
        return request.refuse("access_denied");
    }
    let asked = request.force_consent || !granted.is_subset(&before);
    if request.include_granted {
        granted = granted.union(&before);
    }
    request.grant(world, &person, granted, asked)
}

/// What the person has granted to the project before, if they may use the client at all.
fn standing(world: &World, request: &Authorization, person: &Person) -> Result<ScopeSet, Refusal> {
    let state = world.state();
    let position = state.clients.position(&request.client_id);
    if position.is_some_and(|position| !state.clients.admits(position, person)) {
        return Err(Refusal::new(403, "org_internal", ORG_INTERNAL));
    }
    if state.people.account(&person.sub).is_some_and(|account| account.trouble.admin_policy) {
        return Err(Refusal::new(400, "admin_policy_enforced", ADMIN_POLICY));
    }
    Ok(state.grants.granted(&person.sub, &request.client_id).cloned().unwrap_or_default())
}
