//! The device flow (RFC 8628), as Google has it: for clients of the type "TVs and Limited Input devices".

use serde::Deserialize;

use super::error::{Call, GoogleError};
use super::strict_json::read_object;
use super::wire::post_form;
use super::{ClientCredentials, Endpoints, Google, TokenAnswer};
use crate::ids::OAuthClientId;
use crate::scopes::ScopeSet;
use crate::secret::SecretText;

/// What Google lets a device ask for.
const ALLOWED: &str = "openid email profile https://www.googleapis.com/auth/drive.appdata \
     https://www.googleapis.com/auth/drive.file https://www.googleapis.com/auth/youtube \
     https://www.googleapis.com/auth/youtube.readonly";

/// A sign-in that waits for its person.
#[derive(Clone, Debug)]
pub struct DeviceCode {
    /// What is polled with.
    pub device_code: SecretText,
    /// What the person types, shown as it is.
    pub user_code: String,
    /// Where they type it.
    pub verification_url: String,
    /// Seconds until it is over.
    pub expires_in: i64,
    /// Seconds between two polls.
    pub interval: i64,
}

/// What one poll brings.
#[derive(Clone, Debug)]
pub enum DevicePoll {
    /// The person has not answered yet.
    Pending,
    /// The same, and the polls come too fast.
    SlowDown,
    /// The person said no.
    Denied,
    /// The person said yes.
    Granted(Box<TokenAnswer>),
}

#[derive(Deserialize)]
struct Document {
    device_code: SecretText,
    user_code: String,
    /// RFC 8628 calls it `verification_uri`.
    #[serde(alias = "verification_uri")]
    verification_url: String,
    expires_in: i64,
    interval: Option<i64>,
}

/// The scopes that Google refuses to devices.
pub fn refused_to_devices(scopes: &ScopeSet) -> ScopeSet {
    scopes.minus(&ScopeSet::parse(ALLOWED))
}

impl Google {
    /// Asks for a code that a person can type elsewhere. One POST; `None` where the provider has no device
    /// flow.
    ///
    /// # Errors
    /// [`GoogleError`]; a client of another type is a [`GoogleError::ClientFault`], although no secret is sent.
    pub async fn begin_device(
        &self,
        endpoints: &Endpoints,
        client: &OAuthClientId,
        scopes: &ScopeSet,
    ) -> Result<Option<DeviceCode>, GoogleError> {
        let Some(url) = &endpoints.device_authorization else { return Ok(None) };
        let scope = scopes.to_string();
        let fields = [("client_id", client.as_str()), ("scope", scope.as_str())];
        let answer = self.send_once(Call::Exchange, |http| post_form(http, url, &fields)).await?;
        let document: Document = read_object(&answer.body).ok_or(GoogleError::NotAnAnswer)?;
        Ok(Some(DeviceCode {
            device_code: document.device_code,
            user_code: document.user_code,
            verification_url: document.verification_url,
            expires_in: document.expires_in.clamp(0, 86_400),
            interval: document.interval.unwrap_or(5).clamp(1, 60),
        }))
    }

    /// Asks whether the person has answered. One POST, and a second one with the client's second secret.
    ///
    /// # Errors
    /// [`GoogleError::CodeRefused`] once the code is over.
    pub async fn poll_device(
        &self,
        endpoints: &Endpoints,
        client: &ClientCredentials,
        device_code: &SecretText,
    ) -> Result<DevicePoll, GoogleError> {
        let fields = vec![
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("device_code", device_code.expose()),
        ];
        match self.ask_for_tokens(Call::Exchange, endpoints, client, fields).await {
            Ok(answer) => Ok(DevicePoll::Granted(Box::new(answer))),
            Err(GoogleError::Refused { error }) => match error.as_str() {
                "authorization_pending" => Ok(DevicePoll::Pending),
                "slow_down" => Ok(DevicePoll::SlowDown),
                "access_denied" => Ok(DevicePoll::Denied),
                _ => Err(GoogleError::Refused { error }),
            },
            Err(error) => Err(error),
        }
    }
}
