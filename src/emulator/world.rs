//! The state of the emulated Google, which tests steer and inspect directly.
//!
//! Everything is behind one mutex that is never held across an await or a signature, and the way of
//! a token through it takes no search: a [`World`] also stands behind load tests.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value};
use url::Url;

use super::access_tokens::{Opens, Sealer};
use super::device::Devices;
use super::drive::Drives;
use super::faults::Faults;
use super::grants::{Code, Grants};
use super::id_tokens::Cache;
use super::keys::KeyRing;
use super::people::{CannotIssue, CodeRequest, Counts, Person, RegisteredClient};
use super::registry::{Clients, People, Trouble};
use super::settings::Settings;
use crate::clock::{Clock, Timestamp};
use crate::ids::{OAuthClientId, Sub};
use crate::rng::Rng;
use crate::scopes::ScopeSet;
use crate::secret::{AccessToken, AuthorizationCode, RefreshToken};

/// The emulated Google. Clones are the same world.
#[derive(Clone, Debug)]
pub struct World(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: Clock,
    rng: Rng,
    base: Url,
    sealer: Sealer,
    faults: Faults,
    keys: Mutex<KeyRing>,
    state: Mutex<State>,
}

/// What the mutex guards.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) settings: Settings,
    pub(super) people: People,
    pub(super) clients: Clients,
    pub(super) grants: Grants,
    pub(super) devices: Devices,
    pub(super) id_tokens: Cache,
    pub(super) drive: Drives,
    pub(super) counts: Counts,
    pub(super) refreshes_of: HashMap<Sub, u64>,
}

impl World {
    /// An empty world whose URLs begin with `base`.
    pub fn new(clock: Clock, rng: Rng, base: Url) -> Self {
        let sealer = Sealer::new(&rng);
        let (keys, state) = (Mutex::default(), Mutex::default());
        Self(Arc::new(Inner { clock, rng, base, sealer, faults: Faults::default(), keys, state }))
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn keys(&self) -> MutexGuard<'_, KeyRing> {
        self.0.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn rng(&self) -> &Rng {
        &self.0.rng
    }

    pub(super) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    pub(super) fn sealer(&self) -> &Sealer {
        &self.0.sealer
    }

    /// Where the emulator listens, with a trailing slash.
    pub fn base_url(&self) -> &Url {
        &self.0.base
    }

    pub(super) fn url(&self, path: &str) -> Url {
        let mut url = self.0.base.clone();
        url.set_path(path);
        url
    }

    /// The scripted faults.
    pub fn faults(&self) -> &Faults {
        &self.0.faults
    }

    /// Adds a person, or changes the one with the same `sub`.
    pub fn add_person(&self, person: Person) {
        let mut state = self.state();
        state.people.put(person);
        state.id_tokens.clear();
    }

    /// Everybody with an account, in the order they were added.
    pub fn people(&self) -> Vec<Person> {
        self.state().people.iter().map(|account| account.person.clone()).collect()
    }

    /// The person with this `sub` or e-mail address.
    pub fn person(&self, who: &str) -> Option<Person> {
        self.state().people.find(who).map(|account| account.person.clone())
    }

    /// Registers a client, or changes the one with the same id.
    pub fn add_client(&self, client: RegisteredClient) {
        self.state().clients.put(client);
    }

    /// Every registered client, in the order they were added.
    pub fn clients(&self) -> Vec<RegisteredClient> {
        self.state().clients.iter().cloned().collect()
    }

    /// Changes a registered client in place. Returns whether there is one.
    pub fn change_client(&self, id: &OAuthClientId, change: impl FnOnce(&mut RegisteredClient)) -> bool {
        let mut state = self.state();
        let Some(mut client) = state.clients.find(id.as_str()).map(|(_, client)| client.clone()) else {
            return false;
        };
        change(&mut client);
        client.client_id = id.clone();
        state.clients.put(client);
        true
    }

    /// Limits a client to the members of one Workspace organisation (`org_internal`), or to nobody.
    pub fn restrict_to_organisation(&self, id: &OAuthClientId, hd: Option<&str>) {
        let mut state = self.state();
        let Some(position) = state.clients.position(id) else { return };
        match hd {
            Some(hd) => state.clients.organisations.insert(position, hd.to_owned()),
            None => state.clients.organisations.remove(&position),
        };
    }

    /// Brings a sign-in to its end as an SDK would, and gives the code it hands to the app.
    ///
    /// # Errors
    /// See [`CannotIssue`].
    pub fn try_issue_code(&self, request: CodeRequest) -> Result<AuthorizationCode, CannotIssue> {
        let (now, mut state) = (self.now(), self.state());
        let client = state.clients.position(&request.client_id).ok_or(CannotIssue::UnknownClient)?;
        let account = state.people.account(&request.sub).ok_or(CannotIssue::UnknownPerson)?;
        if account.trouble.deleted || account.trouble.disabled {
            return Err(CannotIssue::AccountClosed);
        }
        if request.scopes.is_empty() {
            return Err(CannotIssue::NoScopes);
        }
        let (grant, asked) = state.grants.consent(&request.sub, &request.client_id, &request.scopes);
        let consented = asked || request.force_consent;
        let text = format!("4/0Ab{}", self.rng().token(51));
        let expires = now.plus(state.settings.code_lifetime);
        state.grants.keep_code(&text, Code { request, client, grant, consented, expires }, now);
        Ok(AuthorizationCode::new(text))
    }

    /// [`World::try_issue_code`] for tests, which know what they seeded.
    ///
    /// # Panics
    /// When the client or the person is unknown, the account is closed, or no scope is asked for.
    pub fn issue_code(&self, request: CodeRequest) -> AuthorizationCode {
        match self.try_issue_code(request) {
            Ok(code) => code,
            Err(error) => panic!("no code can be issued: {error}"),
        }
    }

    /// Publishes a new signing key and uses it from now on; the oldest beyond the number kept
    /// disappears from the set.
    pub fn rotate_keys(&self) {
        self.keys().rotate();
        self.state().id_tokens.clear();
    }

    /// How many keys stay published, 2 unless set.
    pub fn keep_keys(&self, count: usize) {
        self.keys().keep(count);
    }

    /// The published key ids, oldest first; the last one signs.
    pub fn key_ids(&self) -> Vec<String> {
        self.keys().kids()
    }

    /// Ends the person's grant for a project, as on Google's account page: every token of every client
    /// of the project dies. Returns whether there was one.
    ///
    /// The app data stays: Google removes it when the person disconnects the app in *Drive's* settings, which
    /// [`World::erase_app_data`] does.
    pub fn withdraw_consent(&self, sub: &Sub, project: &str) -> bool {
        self.state().grants.withdraw(sub, project)
    }

    fn trouble(&self, sub: &Sub, change: impl FnOnce(&mut Trouble)) {
        if let Some(account) = self.state().people.account_mut(sub) {
            change(&mut account.trouble);
        }
    }

    /// Deletes an account for good: refreshes answer `Account has been deleted`.
    pub fn delete_account(&self, sub: &Sub) {
        self.trouble(sub, |trouble| trouble.deleted = true);
    }

    /// Disables an account, or enables it again: refreshes answer `Account disabled`.
    pub fn disable_account(&self, sub: &Sub, disabled: bool) {
        self.trouble(sub, |trouble| trouble.disabled = disabled);
    }

    /// Demands a fresh sign-in (`invalid_rapt`), or no longer.
    pub fn require_reauth(&self, sub: &Sub, required: bool) {
        self.trouble(sub, |trouble| trouble.reauth = required);
    }

    /// Has the person's administrator block the app (`admin_policy_enforced`), or no longer.
    pub fn enforce_admin_policy(&self, sub: &Sub, enforced: bool) {
        self.trouble(sub, |trouble| trouble.admin_policy = enforced);
    }

    /// A copy of the settings.
    pub fn settings(&self) -> Settings {
        self.state().settings.clone()
    }

    /// Changes settings in place.
    pub fn change_settings(&self, change: impl FnOnce(&mut Settings)) {
        let mut state = self.state();
        change(&mut state.settings);
        state.id_tokens.clear();
    }

    /// Changes settings by the body of `POST /emulator/settings`.
    ///
    /// # Errors
    /// A sentence that names the unknown field or the expected type.
    pub fn change_settings_json(&self, change: Map<String, Value>) -> Result<(), String> {
        let mut state = self.state();
        state.settings = state.settings.changed_by(change)?;
        state.id_tokens.clear();
        Ok(())
    }

    /// `expires_in` of access tokens from now on.
    pub fn set_access_token_lifetime(&self, seconds: i64) {
        self.change_settings(|settings| settings.access_token_lifetime = seconds);
    }

    /// Time-based access for refresh tokens made from now on.
    pub fn set_refresh_token_expires_in(&self, seconds: Option<i64>) {
        self.change_settings(|settings| settings.refresh_token_expires_in = seconds);
    }

    /// See [`Settings::cached_id_tokens`].
    pub fn set_cached_id_tokens(&self, cached: bool) {
        self.change_settings(|settings| settings.cached_id_tokens = cached);
    }

    /// How often the world was asked for what.
    pub fn counts(&self) -> Counts {
        self.state().counts
    }

    /// How many refreshes arrived with a live token of this person.
    pub fn refreshes_of(&self, sub: &Sub) -> u64 {
        self.state().refreshes_of.get(sub).copied().unwrap_or(0)
    }

    /// How many refreshes arrived with this token; `None` once it is dead.
    pub fn refreshes_with(&self, token: &RefreshToken) -> Option<u64> {
        self.state().grants.refresh(token.expose()).map(|refresh| refresh.shown)
    }

    /// The live refresh tokens of a person and client, oldest first.
    pub fn refresh_tokens(&self, sub: &Sub, client: &OAuthClientId) -> Vec<RefreshToken> {
        let state = self.state();
        let Some(position) = state.clients.position(client) else { return Vec::new() };
        let tokens = state.grants.refresh_tokens(sub, client, position);
        tokens.iter().map(|token| RefreshToken::new(&**token)).collect()
    }

    /// Whether a refresh token would still be honoured, its account aside.
    pub fn refresh_token_is_live(&self, token: &RefreshToken) -> bool {
        let (now, mut state) = (self.now(), self.state());
        state.grants.refresh(token.expose()).is_some_and(|refresh| !refresh.is_over(now))
    }

    /// Whether a Google API would still accept an access token.
    pub fn token_is_live(&self, token: &AccessToken) -> bool {
        self.access(token.expose()).is_some()
    }

    /// Ends one access token before its time, and nothing else; an API then refuses it.
    pub fn end_access_token(&self, token: &AccessToken) {
        self.state().grants.ended.insert(token.expose().to_owned());
    }

    /// Ends one refresh token and nothing else.
    pub fn end_refresh_token(&self, token: &RefreshToken) {
        self.state().grants.end_refresh(token.expose());
    }

    /// What a live access token opens, and whose it is.
    pub fn access(&self, token: &str) -> Option<Access> {
        let Opens { grant, client, scopes, expires } = self.sealer().open(token)?;
        let (now, state) = (self.now(), self.state());
        if expires <= now || (!state.grants.ended.is_empty() && state.grants.ended.contains(token)) {
            return None;
        }
        let account = state.people.account(&state.grants.grant(grant)?.sub)?;
        if account.trouble.deleted || account.trouble.disabled {
            return None;
        }
        Some(Access {
            person: account.person.clone(),
            client_id: state.clients.at(client).client_id.clone(),
            scopes: state.grants.scopes(scopes).set.clone(),
            expires,
        })
    }
}

/// What a live access token stands for.
#[derive(Clone, Debug)]
pub struct Access {
    /// Whose data it opens.
    pub person: Person,
    /// The client it was made for.
    pub client_id: OAuthClientId,
    /// What it may do.
    pub scopes: ScopeSet,
    /// When it ends.
    pub expires: Timestamp,
}
