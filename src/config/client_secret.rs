//! Google's `client_secret_*.json`, read as it is downloaded.
//!
//! A file that names another place to send codes to could steal them together with the secret, so
//! `token_uri` and `auth_uri` must be Google's, unless the provider is on this machine anyway. Fields that
//! locum does not know are ignored, as Google asks.

use serde_json::Value as Json;
use url::Url;
use zeroize::Zeroize as _;

use super::values::is_loopback;
use crate::ids::OAuthClientId;
use crate::secret::ClientSecret;

/// What the file says.
#[derive(Clone, Debug)]
pub(super) struct ClientFile {
    pub(super) client_id: OAuthClientId,
    pub(super) secret: ClientSecret,
    pub(super) redirect_uris: Vec<String>,
    pub(super) javascript_origins: Vec<String>,
    /// Whether it is the file of a desktop client.
    pub(super) installed: bool,
}

/// Why the file is not what is needed. Each says which file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ClientFileProblem {
    #[error("not JSON; {WANTED}")]
    NotJson,
    #[error("the property list of an iOS client, which has no secret; {WANTED}")]
    PropertyList,
    #[error("a service account's key, which cannot stand in for people who sign in; {WANTED}")]
    ServiceAccount,
    #[error("neither \"web\" nor \"installed\" is in it; {WANTED}")]
    UnknownForm,
    #[error("there is no client_id in it; {WANTED}")]
    NoClientId,
    #[error("there is no client_secret in it. {NO_SECRET}")]
    NoSecret,
    #[error(
        "its {0} is not Google's: locum would send people's codes and the client's secret there. Download the file again from Google's console"
    )]
    ForeignUri(&'static str),
}

/// Which file is the right one.
pub(super) const WANTED: &str = "needed is the JSON of the *Web application* client, the one in GIDServerClientID, as Google's console offers it for download";

/// What a client without a secret means.
pub(super) const NO_SECRET: &str = "Needed is the *Web application* client, the one in GIDServerClientID; iOS and Android clients have no secret and are not needed here";

/// Hosts that are Google's token and authorization endpoints, old ones included.
const GOOGLE: [&str; 3] = ["oauth2.googleapis.com", "accounts.google.com", "www.googleapis.com"];

/// Reads the content of the file. `provider_is_loopback` admits endpoints on this machine.
pub(super) fn parse(content: &[u8], provider_is_loopback: bool) -> Result<ClientFile, ClientFileProblem> {
    let mut json: Json = serde_json::from_slice(content).map_err(|_| {
        if content.starts_with(b"bplist") || content.trim_ascii_start().starts_with(b"<") {
            ClientFileProblem::PropertyList
        } else {
            ClientFileProblem::NotJson
        }
    })?;
    let parsed = client(&json, provider_is_loopback);
    wipe(&mut json);
    parsed
}

fn client(json: &Json, provider_is_loopback: bool) -> Result<ClientFile, ClientFileProblem> {
    if json["type"] == "service_account" || json.get("private_key").is_some() {
        return Err(ClientFileProblem::ServiceAccount);
    }
    let (form, installed) = match (json.get("web"), json.get("installed")) {
        (Some(web), _) => (web, false),
        (None, Some(installed)) => (installed, true),
        (None, None) => return Err(ClientFileProblem::UnknownForm),
    };
    for name in ["token_uri", "auth_uri"] {
        if form.get(name).is_some_and(|uri| !is_google(uri, provider_is_loopback)) {
            return Err(ClientFileProblem::ForeignUri(name));
        }
    }
    let client_id = form["client_id"].as_str().and_then(|id| id.parse().ok());
    let secret = form["client_secret"].as_str().filter(|secret| !secret.is_empty());
    let list = |name: &str| {
        form[name].as_array().into_iter().flatten().filter_map(Json::as_str).map(str::to_owned).collect()
    };
    Ok(ClientFile {
        client_id: client_id.ok_or(ClientFileProblem::NoClientId)?,
        secret: ClientSecret::new(secret.ok_or(ClientFileProblem::NoSecret)?),
        redirect_uris: list("redirect_uris"),
        javascript_origins: list("javascript_origins"),
        installed,
    })
}

fn is_google(uri: &Json, provider_is_loopback: bool) -> bool {
    let Some(url) = uri.as_str().and_then(|uri| Url::parse(uri).ok()) else { return false };
    let google = url.scheme() == "https"
        && url.port().is_none()
        && url.username().is_empty()
        && url.host_str().is_some_and(|host| GOOGLE.contains(&host));
    google || (provider_is_loopback && is_loopback(&url))
}

fn wipe(json: &mut Json) {
    match json {
        Json::String(text) => text.zeroize(),
        Json::Array(items) => items.iter_mut().for_each(wipe),
        Json::Object(members) => members.values_mut().for_each(wipe),
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(json: &Json) -> Result<ClientFile, ClientFileProblem> {
        parse(json.to_string().as_bytes(), false)
    }

    fn web() -> Json {
        json!({"web": {
            "client_id": "402839145520-r7d1s0exampleexampleexample00000.apps.googleusercontent.com",
            "project_id": "locum-demo-471203",
            "auth_uri": "https://accounts.google.com/o/oauth2/auth",
            "token_uri": "https://oauth2.googleapis.com/token",
            "auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs",
            "client_secret": "GOCSPX-EXAMPLEexampleEXAMPLEexample",
            "redirect_uris": ["https://locum.example.org/oauth/callback"],
            "javascript_origins": ["https://app.example.org"],
        }})
    }

    #[test]
    fn both_forms_of_the_download_are_read() {
        let file = read(&web()).expect("the web form");
        assert_eq!(file.secret.expose(), "GOCSPX-EXAMPLEexampleEXAMPLEexample");
        assert_eq!(file.redirect_uris, ["https://locum.example.org/oauth/callback"]);
        assert_eq!(file.javascript_origins, ["https://app.example.org"]);
        assert!(!file.installed);

        let mut installed = json!({ "installed": web()["web"] });
        let members = installed["installed"].as_object_mut().expect("members");
        members.remove("javascript_origins");
        members.remove("redirect_uris");
        let file = read(&installed).expect("the installed form");
        assert!(file.installed && file.redirect_uris.is_empty());
    }

    #[test]
    fn a_foreign_endpoint_is_refused_unless_the_provider_is_loopback() {
        for name in ["token_uri", "auth_uri"] {
            for uri in [
                json!("https://evil.example/token"),
                json!("http://oauth2.googleapis.com/token"),
                json!("https://oauth2.googleapis.com@evil.example/token"),
                json!("https://oauth2.googleapis.com.evil.example/token"),
                json!("https://oauth2.googleapis.com:444/token"),
                json!("http://127.0.0.1:9/token"),
                json!(7),
            ] {
                let mut file = web();
                file["web"][name] = uri.clone();
                assert_eq!(read(&file).err(), Some(ClientFileProblem::ForeignUri(name)), "{uri}");
            }
            let mut file = web();
            file["web"][name] = json!("http://127.0.0.1:9/token");
            assert!(parse(file.to_string().as_bytes(), true).is_ok());
            file["web"][name] = json!("https://evil.example/token");
            assert!(parse(file.to_string().as_bytes(), true).is_err());
        }
    }

    #[test]
    fn other_files_are_refused_with_the_reason() {
        let service = json!({"type": "service_account", "client_id": "1", "private_key": "-----BEGIN"});
        assert_eq!(read(&service).err(), Some(ClientFileProblem::ServiceAccount));
        assert_eq!(read(&json!({"desktop": {}})).err(), Some(ClientFileProblem::UnknownForm));
        assert_eq!(read(&json!([])).err(), Some(ClientFileProblem::UnknownForm));
        assert_eq!(parse(b"GOCSPX-x", false).err(), Some(ClientFileProblem::NotJson));
        assert_eq!(parse(b"<?xml version=\"1.0\"?>", false).err(), Some(ClientFileProblem::PropertyList));
        let mut file = web();
        file["web"]["client_secret"] = json!("");
        assert_eq!(read(&file).err(), Some(ClientFileProblem::NoSecret));
        file["web"]["client_id"] = json!(7);
        assert_eq!(read(&file).err(), Some(ClientFileProblem::NoClientId));
    }
}
