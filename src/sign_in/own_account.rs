//! The owner's own account, connected from a command line: by a loopback address (RFC 8252), or by a code
//! that is typed elsewhere (RFC 8628). Nothing is kept between the steps: the command holds what it needs.

use url::Url;

use super::exchange::Origin;
use super::{ExchangeRequest, Exchanged, SignIn, SignInError};
use crate::config::{Client, RedirectProblem, Source};
use crate::events::Actor;
use crate::google::{
    AuthorizationRequest, ClientCredentials, CodeRefusal, DeviceCode, DevicePoll, GoogleError,
    refused_to_devices,
};
use crate::ids::ClientName;
use crate::scopes::ScopeSet;
use crate::secret::{AuthorizationCode, SecretText};

/// A sign-in that a command begins.
#[derive(Clone, Debug)]
pub struct DesktopRequest {
    /// Which client; may be left out where one has the source `desktop`.
    pub client: Option<ClientName>,
    /// The command's own loopback address.
    pub redirect_uri: String,
    /// S256 of the command's verifier.
    pub challenge: String,
    /// Comes back with the browser.
    pub state: String,
    /// Comes back in the ID token.
    pub nonce: String,
}

/// Why the owner's own account could not be connected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OwnAccountError {
    /// No client, or not this one, has the source.
    #[error("no such client has the source {0}")]
    NoClientFor(Source),
    /// Google lets devices ask for few scopes, and these are not among them.
    #[error("Google refuses these scopes to devices")]
    ScopesRefused(ScopeSet),
    /// The client is of another type at Google.
    #[error("the client is not of the type for devices")]
    WrongClientType(ClientName),
    /// The provider has no device flow.
    #[error("the provider has no device flow")]
    NoDeviceFlow,
    /// The person said no.
    #[error("the person said no")]
    Denied,
    /// As with every code.
    #[error(transparent)]
    SignIn(#[from] SignInError),
}

/// What a poll of the device flow brings.
#[derive(Clone, Debug)]
pub enum Polled {
    /// Ask again later.
    Pending {
        /// The polls come too fast.
        slow_down: bool,
    },
    /// Somebody is connected.
    Connected(Box<Exchanged>),
}

impl SignIn {
    fn client_with(&self, name: Option<&ClientName>, source: Source) -> Result<&Client, OwnAccountError> {
        let clients = &self.0.config.clients;
        let names = || clients.iter().map(|client| client.name.clone()).collect();
        if let Some(name) = name {
            let client = self.0.config.client(name);
            let client = client.ok_or_else(|| SignInError::UnknownClient { known: names() })?;
            return Some(client)
                .filter(|client| client.sources.contains(&source))
                .ok_or(OwnAccountError::NoClientFor(source));
        }
        let mut usable = clients.iter().filter(|client| client.sources.contains(&source));
        match (usable.next(), usable.next()) {
            (Some(only), None) => Ok(only),
            (Some(_), Some(_)) => Err(SignInError::ClientRequired { clients: names() }.into()),
            (None, _) => Err(OwnAccountError::NoClientFor(source)),
        }
    }

    /// The address at Google where a command's sign-in begins. Discovery is fetched if it is not at hand.
    ///
    /// # Errors
    /// [`OwnAccountError::NoClientFor`], and an address that is not on loopback.
    pub async fn desktop_address(
        &self,
        request: &DesktopRequest,
    ) -> Result<(ClientName, Url), OwnAccountError> {
        let client = self.client_with(request.client.as_ref(), Source::Desktop)?;
        let redirect_uri = client
            .redirect_uri_for(Source::Desktop, Some(&request.redirect_uri))
            .map_err(|_: RedirectProblem| SignInError::RedirectUriNotAllowed)?;
        let endpoints = self.0.provider.endpoints().await.map_err(SignInError::from_discovery)?;
        let url = AuthorizationRequest {
            client_id: &client.client_id,
            redirect_uri: redirect_uri.as_str(),
            scopes: &client.scopes.union(&ScopeSet::parse("openid email")),
            state: &request.state,
            nonce: &request.nonce,
            challenge: &request.challenge,
            offline: true,
            login_hint: None,
            force_consent: false,
            // Google has no incremental authorization for programs on people's machines.
            incremental: false,
        }
        .url(&endpoints);
        Ok((client.name.clone(), url))
    }

    /// Begins the device flow. Scopes that Google would refuse are refused before it is asked.
    ///
    /// # Errors
    /// See [`OwnAccountError`].
    pub async fn begin_device(
        &self,
        client: Option<&ClientName>,
    ) -> Result<(ClientName, DeviceCode), OwnAccountError> {
        let client = self.client_with(client, Source::Device)?;
        let scopes = client.scopes.union(&ScopeSet::parse("openid email"));
        let refused = refused_to_devices(&scopes);
        if !refused.is_empty() {
            return Err(OwnAccountError::ScopesRefused(refused));
        }
        let endpoints = self.0.provider.endpoints().await.map_err(SignInError::from_discovery)?;
        match self.0.google.begin_device(&endpoints, &client.client_id, &scopes).await {
            Ok(Some(code)) => Ok((client.name.clone(), code)),
            Ok(None) => Err(OwnAccountError::NoDeviceFlow),
            // No secret was sent, so what Google has against the client is its type, or that it is gone.
            Err(GoogleError::ClientFault(crate::google::ClientFault::WrongSecret)) => {
                Err(OwnAccountError::WrongClientType(client.name.clone()))
            }
            Err(error) => Err(SignInError::from_google(error, &client.name).into()),
        }
    }

    /// One poll; a yes goes the way of every code from there on.
    ///
    /// # Errors
    /// See [`OwnAccountError`]; [`CodeRefusal::SpentOrExpired`] once the code is over.
    pub async fn poll_device(
        &self,
        client: &ClientName,
        device_code: SecretText,
        actor: &Actor,
    ) -> Result<Polled, OwnAccountError> {
        let client = self.client_with(Some(client), Source::Device)?.clone();
        let inner = self.0.clone();
        let origin = Origin { actor: actor.clone(), source: Source::Device };
        let work = async move {
            let endpoints = inner.provider.endpoints().await.map_err(SignInError::from_discovery)?;
            // Without keys nobody can tell whose tokens come back, and the code would be spent for nothing.
            let keys = inner.provider.load_keys().await;
            keys.map_err(|error| SignInError::from_verification(error, false))?;
            let credentials =
                ClientCredentials { client_id: client.client_id.clone(), secrets: client.secrets.clone() };
            let answer = match inner.google.poll_device(&endpoints, &credentials, &device_code).await {
                Ok(DevicePoll::Pending) => return Ok(Polled::Pending { slow_down: false }),
                Ok(DevicePoll::SlowDown) => return Ok(Polled::Pending { slow_down: true }),
                Ok(DevicePoll::Denied) => return Err(OwnAccountError::Denied),
                Ok(DevicePoll::Granted(answer)) => *answer,
                Err(GoogleError::CodeRefused(_)) => {
                    return Err(SignInError::CodeRefused(CodeRefusal::SpentOrExpired).into());
                }
                Err(error) => return Err(SignInError::from_google(error, &client.name).into()),
            };
            let marks =
                inner.vault.code_marks(device_code.expose(), None, &[device_code.expose().as_bytes()]);
            let request = ExchangeRequest {
                code: AuthorizationCode::new(device_code.expose()),
                client: Some(client.name.clone()),
                source: Some(Source::Device),
                code_verifier: None,
                nonce: None,
                redirect_uri: None,
                idempotency_key: None,
            };
            let exchanged = inner.complete(&client, &request, marks, answer, None, &origin).await?;
            Ok(Polled::Connected(Box::new(exchanged)))
        };
        let outcome = self.0.lifecycle.run(work).await;
        outcome.unwrap_or(Err(OwnAccountError::SignIn(SignInError::Interrupted)))
    }
}
