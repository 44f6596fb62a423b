//! What an ID token says, and its signing.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::keys::{self, SigningKey};
use super::people::Person;
use super::settings::Settings;
use super::world::World;
use crate::clock::Timestamp;
use crate::ids::OAuthClientId;
use crate::scopes::ScopeSet;
use crate::secret::IdToken;

/// How long a cached ID token is handed out again.
const CACHED_FOR: i64 = 300;
/// A cache for load tests must not be what fills the memory.
const CACHED_AT_MOST: usize = 100_000;

/// Grant, client and scopes: what a cached ID token depends on.
pub(super) type CacheKey = (u64, u32, u32);

/// ID tokens kept for load tests.
#[derive(Debug, Default)]
pub(super) struct Cache(HashMap<CacheKey, (Timestamp, Arc<str>)>);

impl Cache {
    /// A token made less than five minutes ago.
    pub(super) fn fresh(&self, key: CacheKey, now: Timestamp) -> Option<Arc<str>> {
        let (made, token) = self.0.get(&key)?;
        (0..CACHED_FOR).contains(&now.since(*made)).then(|| token.clone())
    }

    /// Keeps a token.
    pub(super) fn keep(&mut self, key: CacheKey, now: Timestamp, token: Arc<str>) {
        if self.0.len() >= CACHED_AT_MOST {
            self.0.clear();
        }
        self.0.insert(key, (now, token));
    }

    /// Forgets all, after a rotation or a change of what tokens say.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// What is to be stated and about whom.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    pub(super) person: Person,
    pub(super) client_id: OAuthClientId,
    pub(super) scopes: ScopeSet,
    pub(super) nonce: Option<String>,
    pub(super) issuer: String,
    pub(super) issued: Timestamp,
    pub(super) lifetime: i64,
}

impl Statement {
    /// A statement made now under these settings.
    pub(super) fn new(
        person: Person,
        client_id: OAuthClientId,
        scopes: ScopeSet,
        settings: &Settings,
        now: Timestamp,
    ) -> Self {
        Self {
            person,
            client_id,
            scopes,
            nonce: None,
            issuer: settings.id_token_issuer.clone(),
            issued: now,
            lifetime: settings.id_token_lifetime,
        }
    }

    /// The claims in Google's shape; `at_hash` only beside an access token.
    pub(super) fn claims(&self, access_token: Option<&str>) -> Map<String, Value> {
        let mut claims = identity(&self.person, &self.scopes);
        claims.insert("iss".to_owned(), self.issuer.as_str().into());
        for name in ["azp", "aud"] {
            claims.insert(name.to_owned(), self.client_id.as_str().into());
        }
        if let Some(token) = access_token {
            claims.insert("at_hash".to_owned(), keys::at_hash(token).into());
        }
        if let Some(nonce) = &self.nonce {
            claims.insert("nonce".to_owned(), nonce.as_str().into());
        }
        claims.insert("iat".to_owned(), self.issued.unix().into());
        claims.insert("exp".to_owned(), self.issued.plus(self.lifetime).unix().into());
        claims
    }

    /// The signed token.
    pub(super) fn sign(&self, key: &SigningKey, access_token: Option<&str>) -> String {
        key.jws(&key.header(), &Value::Object(self.claims(access_token)))
    }
}

impl World {
    /// An ID token signed by the current key, about the first person and for the first client, with
    /// `claims` and `header` laid over what Google would say; a null removes a member. A `sub` or
    /// `email` of a known person among the claims makes it about them. `alg` may be `none` (no
    /// signature) or `HS256` (keyed with the published modulus).
    pub fn mint_id_token(&self, claims: Value, header: Value) -> IdToken {
        let key = self.keys().current();
        self.mint(&key, &claims, &header)
    }

    /// As [`World::mint_id_token`], but signed by a key that is never published, under the current
    /// key's id.
    pub fn forge_id_token(&self, claims: Value, header: Value) -> IdToken {
        let (current, foreign) = {
            let keys = self.keys();
            (keys.current(), keys.foreign())
        };
        let mut named = current.header().as_object().cloned().unwrap_or_default();
        overlay(&mut named, &header);
        self.mint(&foreign, &claims, &Value::Object(named))
    }

    fn mint(&self, key: &SigningKey, claims: &Value, header: &Value) -> IdToken {
        let base = {
            let state = self.state();
            let named = ["sub", "email"].iter().find_map(|name| state.people.find(claims[*name].as_str()?));
            let person = named.or_else(|| state.people.iter().next()).map(|account| account.person.clone());
            let client = state.clients.iter().next().map(|client| client.client_id.clone());
            person.zip(client).map(|(person, client)| {
                let scopes = ScopeSet::parse("openid email profile");
                Statement::new(person, client, scopes, &state.settings, self.now()).claims(None)
            })
        };
        let mut all = base.unwrap_or_default();
        overlay(&mut all, claims);
        let mut named = key.header().as_object().cloned().unwrap_or_default();
        overlay(&mut named, header);
        IdToken::new(key.jws(&Value::Object(named), &Value::Object(all)))
    }
}

/// Who the person is, as far as the scopes allow: the shared part of ID tokens and userinfo.
pub(super) fn identity(person: &Person, scopes: &ScopeSet) -> Map<String, Value> {
    let mut claims = Map::new();
    claims.insert("sub".to_owned(), json!(person.sub));
    if let Some(hd) = &person.hd {
        claims.insert("hd".to_owned(), hd.as_str().into());
    }
    if scopes.contains("email") {
        claims.insert("email".to_owned(), person.email.as_str().into());
        claims.insert("email_verified".to_owned(), person.email_verified.into());
    }
    if scopes.contains("profile") {
        let texts = [
            ("name", &person.name),
            ("given_name", &person.given_name),
            ("family_name", &person.family_name),
            ("picture", &person.picture),
            ("locale", &person.locale),
        ];
        for (name, value) in texts.into_iter().filter(|(_, value)| !value.is_empty()) {
            claims.insert(name.to_owned(), value.as_str().into());
        }
    }
    claims
}

/// Lays `changes` over `base`; a null removes the field.
pub(super) fn overlay(base: &mut Map<String, Value>, changes: &Value) {
    for (name, value) in changes.as_object().into_iter().flatten() {
        if value.is_null() {
            base.remove(name);
        } else {
            base.insert(name.clone(), value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_follow_the_scopes() {
        let sub = "108204268033311374519".parse().expect("digits");
        let person = Person::new(sub, "alice@example.org", "Alice Example", Some("example.org"));
        let names = |scopes: &str| {
            identity(&person, &ScopeSet::parse(scopes)).keys().cloned().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names("openid"), "hd sub");
        assert_eq!(names("openid email"), "email email_verified hd sub");
        assert_eq!(names("profile"), "family_name given_name hd locale name picture sub");
    }
}
