//! Revoking one grant at Google, and what ends there with it.

use super::{Inner, UsersError};
use crate::google::{RevocableToken, Revocation};
use crate::grant::{DeathCause, GrantEvent, GrantState};
use crate::vault::{AccessChange, Grant, GrantChange, VaultError};

/// What Google did about one grant.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum AtGoogle {
    /// The person's grant to the whole project has ended.
    Revoked,
    /// No token of ours stands for anything there.
    NothingLeft,
    /// Google is not to be told: that is not wanted, or there is no way.
    NotTold,
    /// To be tried again.
    OutOfReach,
}

impl Inner {
    /// The person's other grants to the same Google project that are to stay.
    pub(super) async fn others_of_project(&self, grant: &Grant) -> Result<Vec<Grant>, UsersError> {
        // A damaged row must not keep the others from being forgotten.
        let mut others = self.vault.load_grants_of(grant.user).await?.sound;
        others.retain(|other| {
            other.id != grant.id
                && other.client_id.project() == grant.client_id.project()
                && other.state != GrantState::Revoking
        });
        Ok(others)
    }

    /// Shows Google the refresh token and, if that is dead by itself, the access token: either stands
    /// for the whole grant.
    pub(super) async fn revoke_at_google(&self, grant: &Grant) -> AtGoogle {
        let now = self.clock.now();
        let (Ok(refresh), Ok(access)) =
            (self.vault.open_refresh_token(grant), self.vault.open_access_token(grant))
        else {
            tracing::error!(
                grant = grant.id.0,
                "a damaged token cannot be shown to Google and is not revoked"
            );
            return AtGoogle::NotTold;
        };
        let access = access.filter(|_| grant.access_expires_at.is_some_and(|end| end > now));
        let Ok(endpoints) = self.provider.endpoints().await else { return AtGoogle::OutOfReach };
        if endpoints.revocation.is_none() {
            return AtGoogle::NotTold;
        }
        let tokens =
            [refresh.as_ref().map(RevocableToken::Refresh), access.as_ref().map(RevocableToken::Access)];
        for token in tokens.into_iter().flatten() {
            match self.google.revoke(&endpoints, token).await {
                Ok(Revocation::Revoked) => return AtGoogle::Revoked,
                Ok(Revocation::AlreadyGone) => {}
                Err(error) => {
                    tracing::warn!(grant = grant.id.0, %error, "a grant could not be revoked yet");
                    return AtGoogle::OutOfReach;
                }
            }
        }
        AtGoogle::NothingLeft
    }

    /// Writes down that a grant ended with another one of its project. `None` when there was nothing to
    /// write any more.
    pub(super) async fn note_ended(&self, grant: Grant) -> Result<Option<Grant>, UsersError> {
        let mut current = grant;
        while let Some(state) = current.state.after(GrantEvent::Died(DeathCause::ExpiredOrRevoked)) {
            let change =
                GrantChange { state: Some(state), access: AccessChange::Erase, ..GrantChange::default() };
            match self.vault.update_grant(&current, change).await {
                Err(VaultError::Conflict) => match self.vault.load_grant(current.id).await? {
                    // Connected anew, and so after the revocation.
                    Some(reloaded) if reloaded.token_generation != current.token_generation => break,
                    Some(reloaded) => current = reloaded,
                    None => break,
                },
                outcome => {
                    self.tokens.changed(current.user, []);
                    let ended = outcome?;
                    if ended.state != current.state {
                        self.events.tell_state(&ended, ended.state);
                    }
                    return Ok(Some(ended));
                }
            }
        }
        Ok(None)
    }
}
