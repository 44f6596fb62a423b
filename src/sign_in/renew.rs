//! A new session for somebody who is connected already, without a code.

use super::exchange::audiences;
use super::{SignIn, SignInError};
use crate::google::Expectation;
use crate::grant::GrantState;
use crate::ids::{ClientName, OAuthClientId, Sub, UserId};
use crate::secret::IdToken;

/// Who gets a new session.
#[derive(Clone, Debug)]
pub struct Renewed {
    /// The row.
    pub user: UserId,
    /// Google's id.
    pub sub: Sub,
    /// The epoch the session carries.
    pub session_epoch: i64,
    /// The client the ID token was for.
    pub client: ClientName,
    /// Its id at Google.
    pub client_id: OAuthClientId,
}

impl SignIn {
    /// Verifies an ID token of the app's SDK: for one of our clients, asked for by one of ours or of the
    /// same project, unexpired, and issued after the user's sessions were last ended. No grant is
    /// touched.
    ///
    /// # Errors
    /// [`SignInError::NotConnected`] for somebody unknown or being forgotten,
    /// [`SignInError::UserNotAllowed`] for somebody whose entry is no longer listed (a sign-in with a code
    /// may find another), [`SignInError::IdTokenRefused`] and [`SignInError::KeysUnavailable`].
    pub async fn renew(&self, id_token: IdToken) -> Result<Renewed, SignInError> {
        let inner = &self.0;
        let audiences = audiences(&inner.config.clients);
        let parties: Vec<OAuthClientId> =
            inner.config.clients.iter().flat_map(|client| client.authorized_parties.clone()).collect();
        let expect = Expectation {
            audiences: &audiences,
            authorized_parties: &parties,
            issuer: inner.provider.issuer(),
            nonce: None,
            access_token: None,
        };
        let claims = inner
            .provider
            .verify(&id_token, &expect)
            .await
            .map_err(|error| SignInError::from_verification(error, false))?;
        let known = inner.vault.load_connected(&claims.sub).await?;
        let (user, grants) = known.ok_or(SignInError::NotConnected)?;
        // The rule that the session will be held to.
        if !inner.config.allow_users.still_admits(&user.profile.admitted_by) {
            return Err(SignInError::UserNotAllowed);
        }
        if grants.iter().all(|grant| grant.state == GrantState::Revoking) {
            return Err(SignInError::NotConnected);
        }
        if claims.issued_at.unix() <= user.session_epoch {
            return Err(SignInError::IdTokenRefused(crate::google::IdTokenError::Expired));
        }
        let client = inner
            .config
            .client_by_id(&claims.audience)
            .ok_or(SignInError::IdTokenRefused(crate::google::IdTokenError::WrongAudience))?;
        Ok(Renewed {
            user: user.id,
            sub: claims.sub,
            session_epoch: user.session_epoch,
            client: client.name.clone(),
            client_id: client.client_id.clone(),
        })
    }
}
