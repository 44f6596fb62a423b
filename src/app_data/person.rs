//! Whose app data, and with what token.

use std::fmt;

use super::AppData;
use crate::google::drive::{Bearer, Cost};
use crate::ids::{ClientName, UserId};
use crate::metrics::DriveUnits;
use crate::scopes::ScopeSet;
use crate::secret::AccessToken;
use crate::tokens::{Reach, TokenError, TokenRequest};

/// The one scope that is needed.
pub const SCOPE: &str = "https://www.googleapis.com/auth/drive.appdata";

/// Whose app data a caller means. It belongs to a person and a Google Cloud project: all clients of the
/// project see the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The person.
    pub user: UserId,
    /// By which client's grant; may be left out where there is only one that will do.
    pub client: Option<ClientName>,
    /// What the caller may reach.
    pub reach: Reach,
}

/// Gives a person's tokens to Drive, and counts what it costs.
#[derive(Clone)]
pub struct PersonBearer {
    app_data: AppData,
    person: Person,
}

impl fmt::Debug for PersonBearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PersonBearer").field(&self.person).finish()
    }
}

impl PersonBearer {
    pub(super) const fn new(app_data: AppData, person: Person) -> Self {
        Self { app_data, person }
    }
}

impl Bearer for PersonBearer {
    type Error = TokenError;

    async fn token(&self, refused: Option<&AccessToken>) -> Result<AccessToken, TokenError> {
        let sha256 = |token: &AccessToken| {
            let digest = ring::digest::digest(&ring::digest::SHA256, token.expose().as_bytes());
            let mut bytes = [0; 32];
            bytes.copy_from_slice(digest.as_ref());
            bytes
        };
        let request = TokenRequest {
            person: self.person.user.into(),
            client: self.person.client.as_ref(),
            scopes: Some(ScopeSet::parse(SCOPE)),
            min_ttl: None,
            rejected: refused.map(sha256),
            reach: &self.person.reach,
        };
        Ok(self.app_data.0.tokens.token(request).await?.access_token)
    }

    fn spent(&self, cost: Cost) {
        self.app_data.0.meter.count(self.person.user, cost);
        let call = match cost {
            Cost::Nothing => return,
            Cost::Read => DriveUnits::Read,
            Cost::List => DriveUnits::List,
            Cost::Edit => DriveUnits::Edit,
            Cost::Download => DriveUnits::Download,
            Cost::Other => DriveUnits::Other,
        };
        self.app_data.0.metrics.drive_called(call, cost.units());
    }
}
