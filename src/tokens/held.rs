//! A user's grants as memory holds them, and which of them a request means.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use super::{HandedToken, Inner, TokenError, TokenRequest, TokenSource};
use crate::clock::Timestamp;
use crate::grant::GrantState;
use crate::ids::{ClientName, GrantId, UserId};
use crate::scopes::ScopeSet;
use crate::secret::AccessToken;
use crate::vault::{Grant, VaultError};

/// A grant as it is held in memory.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) id: GrantId,
    pub(super) client: Option<ClientName>,
    pub(super) scopes: ScopeSet,
    pub(super) scope_text: Arc<str>,
    pub(super) state: GrantState,
    pub(super) since: Timestamp,
    pub(super) access: Option<(AccessToken, Timestamp)>,
    /// When the next refresh ahead of time may start.
    pub(super) ahead_after: AtomicI64,
}

impl Held {
    pub(super) fn weight(&self) -> usize {
        let token = self.access.as_ref().map_or(0, |(token, _)| token.expose().len());
        // The struct, the allocations' own bookkeeping, and each scope twice (set and text).
        size_of::<Self>() + 160 + token + 2 * self.scope_text.len() + 48 * self.scopes.len()
    }

    pub(super) fn token(&self, source: TokenSource) -> Option<HandedToken> {
        let (access_token, expires_at) = self.access.clone()?;
        let scopes = self.scope_text.clone();
        Some(HandedToken { access_token, expires_at, scopes, stale: false, source })
    }

    pub(super) fn unusable(&self) -> Option<TokenError> {
        (!self.state.is_usable()).then(|| TokenError::ConsentRequired {
            client: self.client.clone(),
            state: self.state,
            since: self.since,
        })
    }
}

impl Inner {
    pub(super) async fn load_held(&self, user: UserId) -> Result<Arc<[Held]>, TokenError> {
        let ticket = self.users.ticket(&user);
        let grants = self.vault.load_grants_of(user).await?;
        let held: Arc<[Held]> =
            grants.iter().map(|grant| self.hold(grant)).collect::<Result<Vec<_>, _>>()?.into();
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
            scope_text: grant.scopes.to_string().into(),
            scopes: grant.scopes.clone(),
            state,
            since: grant.since,
            access,
            ahead_after: AtomicI64::new(i64::MIN),
        })
    }

    /// The one grant that a request means.
    pub(super) fn select<'h>(
        &self,
        held: &'h [Held],
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
        let mut found: Vec<&Held> = held.iter().filter(within).collect();
        // Left-overs of removed clients, and grants that lack what is asked for, give way to others.
        for prefer in [&|grant: &&Held| grant.client.is_some(), &|grant: &&Held| {
            request.scopes.as_ref().is_none_or(|scopes| scopes.is_subset(&grant.scopes))
        }] as [&dyn Fn(&&Held) -> bool; 2]
        {
            if found.len() > 1 && found.iter().any(prefer) {
                found.retain(prefer);
            }
        }
        match found.as_slice() {
            [] => Err(TokenError::NotFound),
            [only] => Ok(only),
            several => Err(TokenError::ClientAmbiguous {
                clients: several.iter().filter_map(|grant| grant.client.clone()).collect(),
            }),
        }
    }
}

/// The scope set to narrow a token to, for a key that is bound to scopes; `None` for the whole grant.
pub(super) fn narrowing(
    request: &TokenRequest<'_>,
    granted: &ScopeSet,
) -> Result<Option<ScopeSet>, TokenError> {
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
