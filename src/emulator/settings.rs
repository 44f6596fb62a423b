//! What can be set about the emulated Google, in one value that is also the body of
//! `POST /emulator/settings`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Google's own issuer, which its discovery document names.
pub const GOOGLE_ISSUER: &str = "https://accounts.google.com";

/// The settings, with what Google does as defaults. Times are in seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// `issuer` of the discovery document.
    pub issuer: String,
    /// `iss` of ID tokens; Google also uses the form without `https://`.
    pub id_token_issuer: String,
    /// `expires_in` of access tokens.
    pub access_token_lifetime: i64,
    /// `exp` − `iat` of ID tokens.
    pub id_token_lifetime: i64,
    /// How long a code can be exchanged.
    pub code_lifetime: i64,
    /// Time-based access for everybody; without it only clients in Testing are limited, to seven days.
    pub refresh_token_expires_in: Option<i64>,
    /// Whether a refresh answers with a new refresh token and ends the old one, as Google does not.
    pub rotate_refresh_tokens: bool,
    /// Whether a code is spent by a try that fails at the redirect URI or at PKCE.
    pub failed_tries_spend_codes: bool,
    /// Signs one ID token per person and client and hands it out again for five minutes, without
    /// `at_hash`: for load tests in which signing would be what is measured.
    pub cached_id_tokens: bool,
    /// `max-age` of the signing keys; null leaves every caching header out.
    pub jwks_max_age: Option<u64>,
    /// `Age` of the signing keys.
    pub jwks_age: u64,
    /// `max-age` of the discovery document; null leaves every caching header out.
    pub discovery_max_age: Option<u64>,
    /// Laid over the discovery document; a null removes the field.
    pub discovery_changes: Map<String, Value>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            issuer: GOOGLE_ISSUER.to_owned(),
            id_token_issuer: GOOGLE_ISSUER.to_owned(),
            access_token_lifetime: 3599,
            id_token_lifetime: 3600,
            code_lifetime: 600,
            refresh_token_expires_in: None,
            rotate_refresh_tokens: false,
            failed_tries_spend_codes: false,
            cached_id_tokens: false,
            jwks_max_age: Some(23_641),
            jwks_age: 1234,
            discovery_max_age: Some(3600),
            discovery_changes: Map::new(),
        }
    }
}

impl Settings {
    /// These settings with the fields of `change` put in place.
    ///
    /// # Errors
    /// The sentence of the JSON reader that names the unknown field or the type that was expected.
    pub fn changed_by(&self, change: Map<String, Value>) -> Result<Self, String> {
        let Ok(Value::Object(mut all)) = serde_json::to_value(self) else {
            return Err("the settings are no JSON object".to_owned());
        };
        all.extend(change);
        serde_json::from_value(Value::Object(all)).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_change_touches_only_what_it_names() {
        let change = |value: Value| {
            let Value::Object(map) = value else { panic!("an object") };
            Settings::default().changed_by(map)
        };
        let changed = change(json!({ "access_token_lifetime": 5, "jwks_max_age": null })).expect("valid");
        let expected = Settings { access_token_lifetime: 5, jwks_max_age: None, ..Settings::default() };
        assert_eq!(changed, expected);
        assert!(change(json!({ "lifetime": 5 })).is_err_and(|error| error.contains("lifetime")));
        assert!(change(json!({ "jwks_age": "x" })).is_err());
    }
}
