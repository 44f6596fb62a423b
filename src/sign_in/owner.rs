//! Who somebody is, by a code, for the owner's way into the dashboard.
//!
//! What must stay true: nothing is stored, and nobody is connected by it. The tokens that come with the
//! answer are dropped and not revoked: revoking would end what the same person has granted to the Google
//! Cloud project, and what came for `openid email` opens nothing.

use super::{SignIn, SignInError};
use crate::config::Client;
use crate::google::{ClientCredentials, CodeExchange, Expectation};
use crate::ids::Email;
use crate::secret::{AuthorizationCode, CodeVerifier};

/// A code that came back, with what its sign-in was begun with.
pub(super) struct OwnerCode<'a> {
    pub(super) code: AuthorizationCode,
    pub(super) redirect_uri: String,
    pub(super) verifier: CodeVerifier,
    pub(super) nonce: &'a str,
}

impl SignIn {
    /// The verified address behind a code, if it is one of those that may open the dashboard. One call to
    /// Google (two if the client's first secret is refused).
    ///
    /// # Errors
    /// [`SignInError::OwnerNotListed`] for everybody else; and what may be wrong with a code.
    pub(super) async fn identify_owner(
        &self,
        client: &Client,
        came: OwnerCode<'_>,
    ) -> Result<Email, SignInError> {
        let inner = &*self.0;
        let endpoints = inner.provider.endpoints().await.map_err(SignInError::from_discovery)?;
        inner.provider.load_keys().await.map_err(|error| SignInError::from_verification(error, false))?;
        let credentials =
            ClientCredentials { client_id: client.client_id.clone(), secrets: client.secrets.clone() };
        let exchange = CodeExchange {
            code: came.code,
            redirect_uri: came.redirect_uri,
            code_verifier: Some(came.verifier),
        };
        let answer = inner.google.exchange(&endpoints, &credentials, &exchange).await;
        let answer = answer.map_err(|error| SignInError::from_google(error, &client.name))?;
        let id_token = answer.id_token.as_ref().ok_or(SignInError::NoIdToken)?;
        let expect = Expectation {
            audiences: std::slice::from_ref(&client.client_id),
            authorized_parties: &client.authorized_parties,
            issuer: inner.provider.issuer(),
            nonce: Some(came.nonce),
            access_token: Some(&answer.access_token),
        };
        let claims = inner.provider.verify(id_token, &expect).await;
        let claims = claims.map_err(|error| SignInError::from_verification(error, true))?;
        let listed = &inner.config.dashboard.emails;
        let email = claims.email.filter(|email| claims.email_verified && listed.contains(email));
        email.ok_or(SignInError::OwnerNotListed)
    }
}
