//! What people have granted, and the codes and refresh tokens that stand for it.
//!
//! A consent belongs to a person and a *project*: every client of the project shares it, and ending it
//! ends every token of that person for all of them (Google, "Cross-client identity"). Codes are
//! forgotten once redeemed, since a spent code and an unknown one get the same answer.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use super::people::CodeRequest;
use crate::clock::Timestamp;
use crate::ids::{OAuthClientId, Sub};
use crate::rng::Rng;
use crate::scopes::ScopeSet;

/// Google keeps this many refresh tokens per account and client and silently drops the oldest.
pub(super) const LIVE_REFRESH_TOKENS: usize = 100;
/// A refresh token that nobody uses for six months dies.
pub(super) const UNUSED_LIMIT: i64 = 182 * 86_400;

/// The project-wide grant of one person.
#[derive(Debug)]
pub(super) struct ProjectGrant {
    pub(super) sub: Sub,
    project: Box<str>,
    scopes: ScopeSet,
    clients: HashMap<u32, Share>,
}

/// One client's part of a grant.
#[derive(Debug, Default)]
struct Share {
    /// Oldest first. The client has had a refresh token when an entry was ever made.
    live: VecDeque<Arc<str>>,
}

/// A code that has not been redeemed.
#[derive(Debug)]
pub(super) struct Code {
    pub(super) request: CodeRequest,
    pub(super) client: u32,
    pub(super) grant: u64,
    /// Whether the person went through the consent page for it.
    pub(super) consented: bool,
    pub(super) expires: Timestamp,
}

/// A live refresh token.
#[derive(Debug)]
pub(super) struct Refresh {
    pub(super) grant: u64,
    pub(super) client: u32,
    pub(super) sub: Sub,
    pub(super) scopes: u32,
    pub(super) last_used: Timestamp,
    pub(super) expires: Option<Timestamp>,
    /// How often it was shown at the token endpoint.
    pub(super) shown: u64,
}

/// A scope set and its text, kept once however many tokens have it.
#[derive(Debug)]
pub(super) struct Scopes {
    pub(super) set: ScopeSet,
    pub(super) text: Arc<str>,
}

/// Every grant, code and refresh token.
#[derive(Debug, Default)]
pub(super) struct Grants {
    last: u64,
    grants: HashMap<u64, ProjectGrant>,
    by_person: HashMap<(Sub, Box<str>), u64>,
    codes: HashMap<Box<str>, Code>,
    sweep_codes_at: usize,
    refresh: HashMap<Arc<str>, Refresh>,
    scopes: Vec<Scopes>,
    scope_positions: HashMap<ScopeSet, u32>,
    /// Access tokens that a test ended one by one.
    pub(super) ended: HashSet<String>,
}

impl Grants {
    /// Writes a consent down. Returns the grant and whether the person had to be asked: for a scope
    /// that the project does not have yet.
    pub(super) fn consent(&mut self, sub: &Sub, client: &OAuthClientId, scopes: &ScopeSet) -> (u64, bool) {
        let key = (sub.clone(), Box::from(client.project()));
        let known = self.by_person.get(&key).copied();
        if let Some((id, grant)) = known.and_then(|id| Some((id, self.grants.get_mut(&id)?))) {
            let asked = !scopes.is_subset(&grant.scopes);
            grant.scopes = grant.scopes.union(scopes);
            return (id, asked);
        }
        self.last += 1;
        let (sub, project) = key.clone();
        let grant = ProjectGrant { sub, project, scopes: scopes.clone(), clients: HashMap::new() };
        self.grants.insert(self.last, grant);
        self.by_person.insert(key, self.last);
        (self.last, true)
    }

    /// What the person has granted to the project of `client` so far.
    pub(super) fn granted(&self, sub: &Sub, client: &OAuthClientId) -> Option<&ScopeSet> {
        let id = self.by_person.get(&(sub.clone(), Box::from(client.project())))?;
        self.grants.get(id).map(|grant| &grant.scopes)
    }

    /// The grant, while it lives.
    pub(super) fn grant(&self, id: u64) -> Option<&ProjectGrant> {
        self.grants.get(&id)
    }

    /// Ends a grant with every refresh token of every client of its project.
    pub(super) fn end(&mut self, id: u64) {
        let Some(grant) = self.grants.remove(&id) else { return };
        for token in grant.clients.into_values().flat_map(|share| share.live) {
            self.refresh.remove(&token);
        }
        self.by_person.remove(&(grant.sub, grant.project));
    }

    /// Ends the grant of `sub` for `project`. Returns whether there was one.
    pub(super) fn withdraw(&mut self, sub: &Sub, project: &str) -> bool {
        let id = self.by_person.get(&(sub.clone(), Box::from(project))).copied();
        id.map(|id| self.end(id)).is_some()
    }

    /// The place of a scope set, made if it is new.
    pub(super) fn scopes_position(&mut self, set: &ScopeSet) -> u32 {
        if let Some(position) = self.scope_positions.get(set) {
            return *position;
        }
        let position = u32::try_from(self.scopes.len()).unwrap_or(u32::MAX);
        self.scopes.push(Scopes { set: set.clone(), text: set.to_string().into() });
        self.scope_positions.insert(set.clone(), position);
        position
    }

    /// The scope set at a position that [`Grants::scopes_position`] gave.
    pub(super) fn scopes(&self, position: u32) -> &Scopes {
        &self.scopes[position as usize]
    }

    /// Keeps a code until it is redeemed or has expired.
    pub(super) fn keep_code(&mut self, text: &str, code: Code, now: Timestamp) {
        if self.codes.len() >= self.sweep_codes_at {
            self.codes.retain(|_, code| code.expires > now);
            self.sweep_codes_at = (self.codes.len() * 2).max(1024);
        }
        self.codes.insert(text.into(), code);
    }

    /// A code that was neither redeemed nor swept away.
    pub(super) fn code(&self, text: &str) -> Option<&Code> {
        self.codes.get(text)
    }

    /// Spends a code.
    pub(super) fn spend_code(&mut self, text: &str) -> Option<Code> {
        self.codes.remove(text)
    }

    /// Whether the client has ever been given a refresh token under this grant.
    pub(super) fn had_refresh_token(&self, grant: u64, client: u32) -> bool {
        self.grants.get(&grant).is_some_and(|grant| grant.clients.contains_key(&client))
    }

    /// Makes a refresh token (103 characters) and drops the oldest beyond the limit.
    pub(super) fn keep_refresh(&mut self, rng: &Rng, refresh: Refresh) -> Arc<str> {
        let token: Arc<str> = format!("1//0{}", rng.token(74)).into();
        if let Some(grant) = self.grants.get_mut(&refresh.grant) {
            let live = &mut grant.clients.entry(refresh.client).or_default().live;
            live.push_back(token.clone());
            if live.len() > LIVE_REFRESH_TOKENS
                && let Some(oldest) = live.pop_front()
            {
                self.refresh.remove(&oldest);
            }
        }
        self.refresh.insert(token.clone(), refresh);
        token
    }

    /// A refresh token that lives.
    pub(super) fn refresh(&mut self, token: &str) -> Option<&mut Refresh> {
        self.refresh.get_mut(token)
    }

    /// Ends one refresh token and nothing else.
    pub(super) fn end_refresh(&mut self, token: &str) -> Option<Refresh> {
        let refresh = self.refresh.remove(token)?;
        if let Some(share) =
            self.grants.get_mut(&refresh.grant).and_then(|grant| grant.clients.get_mut(&refresh.client))
        {
            share.live.retain(|live| &**live != token);
        }
        Some(refresh)
    }

    /// How many refresh tokens live.
    pub(super) fn live_refresh_tokens(&self) -> usize {
        self.refresh.len()
    }

    /// The refresh tokens of one grant of one person and client, oldest first.
    pub(super) fn refresh_tokens(&self, sub: &Sub, client: &OAuthClientId, position: u32) -> Vec<Arc<str>> {
        let id = self.by_person.get(&(sub.clone(), Box::from(client.project())));
        let share = id.and_then(|id| self.grants.get(id)).and_then(|grant| grant.clients.get(&position));
        share.map(|share| share.live.iter().cloned().collect()).unwrap_or_default()
    }
}
