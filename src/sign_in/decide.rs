//! What a sign-in does to the tokens that are stored.
//!
//! What must stay true: a stored refresh token is never replaced by none, nor by one that opens less
//! while it works; and the scopes of a grant are those of its refresh token.

use super::{Inner, SignInError};
use crate::config::Client;
use crate::google::TokenAnswer;
use crate::grant::{GrantEvent, GrantState};
use crate::scopes::ScopeSet;
use crate::tokens::{Reach, TokenError};
use crate::vault::{AccessChange, Grant, GrantChange, RefreshChange, VaultError};

/// What becomes of the tokens.
pub(super) struct Decided {
    pub(super) scopes: ScopeSet,
    pub(super) offline: bool,
    pub(super) expires_in: Option<i64>,
    pub(super) change: GrantChange,
    pub(super) seen: Option<Grant>,
}

impl Inner {
    /// Which refresh token, access token and scopes the grant has from now on.
    pub(super) async fn decide(
        &self,
        client: &Client,
        stored: Option<Grant>,
        answer: &TokenAnswer,
    ) -> Result<Decided, SignInError> {
        let now = self.clock.now();
        // RFC 6749 §5.1: no scope in the answer means all that were asked for.
        let granted = answer.scope.clone().unwrap_or_else(|| client.scopes.clone());
        let (stored, keeps) = self.weigh(stored, answer, &granted).await?;
        let access = AccessChange::Replace {
            token: answer.access_token.clone(),
            expires_at: now.plus(answer.expires_in),
        };
        let state = |offline| {
            let before = stored.as_ref().map_or(GrantState::Active, |grant| grant.state);
            before.after(GrantEvent::Connected { offline })
        };
        if let Some(grant) = stored.as_ref().filter(|_| keeps) {
            // The scopes stay those of the stored refresh token. A new one that opens less is let go
            // unrevoked, since revoking it would end both; an access token that opens something else is
            // not stored beside scopes that are not its own.
            let same = granted == grant.scopes && answer.refresh_token.is_none();
            let change = GrantChange {
                state: state(true),
                access: if same { access } else { AccessChange::Keep },
                ..GrantChange::default()
            };
            let (scopes, expires_in) =
                (grant.scopes.clone(), grant.refresh_expires_at.map(|at| at.since(now)));
            return Ok(Decided { scopes, offline: true, expires_in, change, seen: stored });
        }
        let offline = answer.refresh_token.is_some();
        let expires_in = answer.refresh_token_expires_in.filter(|_| offline);
        let refresh = match &answer.refresh_token {
            Some(token) => RefreshChange::Replace {
                token: token.clone(),
                expires_at: expires_in.map(|seconds| now.plus(seconds)),
            },
            None => RefreshChange::Keep,
        };
        let change = GrantChange {
            state: state(offline),
            scopes: Some(granted.clone()),
            refresh,
            access,
            refreshed: true,
            revoke_until: None,
        };
        Ok(Decided { scopes: granted, offline, expires_in, change, seen: stored })
    }

    /// Whether the stored refresh token stays, found out by using it where that is in doubt; and the
    /// grant as it is after that.
    async fn weigh(
        &self,
        stored: Option<Grant>,
        answer: &TokenAnswer,
        granted: &ScopeSet,
    ) -> Result<(Option<Grant>, bool), SignInError> {
        let Some(grant) = &stored else { return Ok((None, false)) };
        if !grant.has_refresh_token() {
            return Ok((stored, false));
        }
        let opens_less = granted != &grant.scopes && granted.is_subset(&grant.scopes);
        match (&answer.refresh_token, grant.state) {
            // Of a person who connects while they are being forgotten: Google sends none exactly because
            // the old one lives, and nothing is asked of Google with that one meanwhile.
            (sent, GrantState::Revoking) => Ok((stored, sent.is_none())),
            (Some(_), _) if !opens_less => Ok((stored, false)),
            (None, GrantState::Active | GrantState::Suspended(_)) if granted.is_subset(&grant.scopes) => {
                Ok((stored, true))
            }
            _ => {
                let works = self.still_works(grant).await?;
                let now = self.vault.load_grant(grant.id).await?.ok_or(VaultError::Conflict)?;
                if now.token_generation != grant.token_generation || now.state == GrantState::Revoking {
                    return Err(VaultError::Conflict.into());
                }
                Ok((Some(now), works))
            }
        }
    }

    /// Whether the stored refresh token is still honoured, found out by using it. An outage is no
    /// reason to give up a token that worked so far.
    async fn still_works(&self, grant: &Grant) -> Result<bool, SignInError> {
        let client = self.config.client_by_id(&grant.client_id).map(|client| client.name.clone());
        match self.tokens.refresh_now(grant.user, client.as_ref(), &Reach::EVERYTHING).await {
            Ok(_) => Ok(true),
            Err(
                TokenError::GoogleUnavailable { .. }
                | TokenError::ClientPaused { .. }
                | TokenError::Interrupted,
            ) => Ok(grant.state.is_usable()),
            Err(TokenError::Vault(error)) => Err(error.into()),
            Err(_) => Ok(false),
        }
    }
}
