//! A user's grants as memory holds them, and which of them a request means.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use super::cache::Ticket;
use super::{HandedToken, Inner, Person, ResolveError, TokenError, TokenRequest, TokenSource};
use crate::clock::Timestamp;
use crate::grant::GrantState;
use crate::ids::{ClientName, GrantId, Sub, UserId};
use crate::scopes::ScopeSet;
use crate::secret::AccessToken;
use crate::vault::{FoundGrants, Grant, VaultError};

/// Under what a narrowed token is held: a new sign-in makes a new token generation, and nobody looks
/// for the tokens of the one before.
pub(super) type NarrowKey = (GrantId, i64, ScopeSet);

/// What a request means and what is at hand for it.
pub(super) struct Found<'h> {
    pub(super) grant: &'h Held,
    /// The scope set to narrow to; `None` for the whole grant.
    pub(super) narrow: Option<ScopeSet>,
    pub(super) token: Option<HandedToken>,
}

/// A person's grants as they are held in memory.
#[derive(Clone, Debug)]
pub(super) struct HeldGrants {
    pub(super) sound: Arc<[Held]>,
    /// There is another one whose row is damaged, so that nobody can tell which client's it is. Boxed, since
    /// memory holds one of these for each person.
    damage: Option<Box<VaultError>>,
}

/// A grant as it is held in memory.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) id: GrantId,
    pub(super) client: Option<ClientName>,
    pub(super) scopes: ScopeSet,
    pub(super) state: GrantState,
    pub(super) since: Timestamp,
    pub(super) token_generation: i64,
    pub(super) refreshed_at: Timestamp,
    pub(super) access: Option<(AccessToken, Timestamp)>,
    /// When the next refresh ahead of time may start.
    pub(super) ahead_after: AtomicI64,
}

impl Held {
    pub(super) fn weight(&self) -> usize {
        let token = self.access.as_ref().map_or(0, |(token, _)| token.expose().len());
        // The struct, the allocations' own bookkeeping, and what they hold.
        size_of::<Self>() + 160 + token + self.scopes.as_str().len()
    }

    fn token(&self, source: TokenSource) -> Option<HandedToken> {
        let (access_token, expires_at) = self.access.clone()?;
        let scopes = self.scopes.clone();
        let obtained_at = self.refreshed_at;
        Some(HandedToken { access_token, expires_at, scopes, stale: false, source, obtained_at })
    }
}

impl Inner {
    /// A user's grants, from memory or else from the vault.
    pub(super) async fn held(&self, user: UserId) -> Result<(HeldGrants, TokenSource), TokenError> {
        match self.users.get(&user) {
            Some(held) => Ok((held, TokenSource::Memory)),
            None => Ok((self.load_held(user).await?, TokenSource::Vault)),
        }
    }

    /// The grant that a request means, if it may be used, and the token at hand for it.
    pub(super) fn find<'h>(
        &self,
        held: &'h HeldGrants,
        request: &TokenRequest<'_>,
        source: TokenSource,
    ) -> Result<Found<'h>, TokenError> {
        let grant = self.select(held, request)?;
        if !grant.state.is_usable() {
            return Err(TokenError::ConsentRequired {
                client: grant.client.clone(),
                state: grant.state,
                since: grant.since,
            });
        }
        let narrow = narrowing(request, &grant.scopes)?;
        let token = match &narrow {
            None => grant.token(source),
            Some(narrow) => self.narrowed.get(&(grant.id, grant.token_generation, narrow.clone())),
        };
        Ok(Found { grant, narrow, token })
    }

    pub(super) async fn load_held(&self, user: UserId) -> Result<HeldGrants, TokenError> {
        let ticket = self.users.ticket();
        let found = self.vault.load_grants_of(user).await?;
        Ok(self.keep(user, &found, ticket)?)
    }

    /// Whoever is known has a grant.
    pub(super) async fn load_person(&self, sub: &Sub) -> Result<Person, ResolveError> {
        let ticket = self.users.ticket();
        let found = self.vault.load_grants_by_sub(sub).await?;
        let id = match found.sound.first() {
            Some(grant) => grant.user,
            // Who they are can still be told, to be shown or forgotten.
            None if !found.damaged.is_empty() => {
                let id = self.vault.find_user_by_sub(sub).await?;
                return Ok(id.ok_or(ResolveError::NotFound)?.into());
            }
            None => return Err(ResolveError::NotFound),
        };
        let held = self.keep(id, &found, ticket)?;
        Ok(Person { id, held: Some(held) })
    }

    fn keep(&self, user: UserId, found: &FoundGrants, ticket: Ticket) -> Result<HeldGrants, VaultError> {
        let sound = found.sound.iter().map(|grant| self.hold(grant)).collect::<Result<Vec<_>, _>>()?;
        let held = HeldGrants { sound: sound.into(), damage: found.damage().map(Box::new) };
        self.users.fill(user, held.clone(), ticket);
        Ok(held)
    }

    fn hold(&self, grant: &Grant) -> Result<Held, VaultError> {
        let client = self.client_name(&grant.client_id);
        let state = if client.is_some() { grant.state } else { grant.state.seen_without_client() };
        // What can't be handed out needs not be opened.
        let access = match grant.access_expires_at {
            Some(expires_at) if state.is_usable() => {
                self.vault.open_access_token(grant)?.map(|token| (token, expires_at))
            }
            _ => None,
        };
        Ok(Held {
            id: grant.id,
            client,
            scopes: grant.scopes.clone(),
            state,
            since: grant.since,
            token_generation: grant.token_generation,
            refreshed_at: grant.refreshed_at,
            access,
            ahead_after: AtomicI64::new(i64::MIN),
        })
    }

    /// The one grant that a request means.
    pub(super) fn select<'h>(
        &self,
        held: &'h HeldGrants,
        request: &TokenRequest<'_>,
    ) -> Result<&'h Held, TokenError> {
        if let Some(client) = request.client
            && self.config.client(client).is_none()
        {
            return Err(TokenError::UnknownClient);
        }
        let within = |grant: &&Held| {
            request.reach.includes(grant.client.as_ref())
                && request.client.is_none_or(|client| grant.client.as_ref() == Some(client))
        };
        let mut found: Vec<&Held> = held.sound.iter().filter(within).collect();
        if found.is_empty() && request.reach.clients.is_some() {
            // To a caller that is bound, what it does not reach does not exist.
            return Err(TokenError::NotFound);
        }
        // A client has one grant of a person. Unless a sound one was named, the damaged one may be meant.
        if let Some(damage) = &held.damage
            && (request.client.is_none() || found.is_empty())
        {
            return Err(damage.as_ref().clone().into());
        }
        // What is being forgotten, left-overs of removed clients, and grants that lack what is asked for
        // give way to others.
        for prefer in [
            &|grant: &&Held| grant.client.is_some() && grant.state != GrantState::Revoking,
            &|grant: &&Held| request.scopes.as_ref().is_none_or(|scopes| scopes.is_subset(&grant.scopes)),
        ] as [&dyn Fn(&&Held) -> bool; 2]
        {
            if found.len() > 1 && found.iter().any(prefer) {
                found.retain(prefer);
            }
        }
        match found.as_slice() {
            [] if request.client.is_some() => Err(TokenError::NoGrant),
            [] => Err(TokenError::NotFound),
            [only] => Ok(only),
            several => Err(TokenError::ClientAmbiguous {
                clients: several.iter().filter_map(|grant| grant.client.clone()).collect(),
            }),
        }
    }
}

impl TokenRequest<'_> {
    /// The token that Google gave, if it still is what was asked for: an answer may open more or less
    /// than the grant did when the caller was let through.
    pub(super) fn fitting(&self, token: HandedToken) -> Result<HandedToken, TokenError> {
        if self.scopes.is_none() && self.reach.scopes.is_none() {
            return Ok(token);
        }
        let opens = &token.scopes;
        let missing = self.scopes.as_ref().map(|asked| asked.minus(opens)).unwrap_or_default();
        if !missing.is_empty() {
            return Err(TokenError::ScopeMissing { missing });
        }
        match &self.reach.scopes {
            Some(bound) if !opens.is_subset(bound) => Err(TokenError::ScopeWithheld),
            _ => Ok(token),
        }
    }
}

/// The scope set to narrow a token to, for a key that is bound to scopes; `None` for the whole grant.
fn narrowing(request: &TokenRequest<'_>, granted: &ScopeSet) -> Result<Option<ScopeSet>, TokenError> {
    let asked = request.scopes.as_ref();
    if let Some(asked) = asked
        && !asked.is_subset(granted)
    {
        return Err(TokenError::ScopeMissing { missing: asked.minus(granted) });
    }
    let Some(bound) = &request.reach.scopes else { return Ok(None) };
    if let Some(asked) = asked
        && !asked.is_subset(bound)
    {
        return Err(TokenError::ScopeMissing { missing: asked.minus(bound) });
    }
    let narrow = asked.unwrap_or(granted).intersection(bound);
    if narrow.is_empty() {
        return Err(TokenError::ScopeMissing { missing: bound.clone() });
    }
    Ok((narrow != *granted).then_some(narrow))
}
