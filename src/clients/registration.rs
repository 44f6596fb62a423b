//! What has to be registered at Google, and told to the apps, for each source of codes: the one place that
//! says it. `locum init` prints it and the dashboard shows it.

use serde::{Deserialize, Serialize};

use crate::config::{Client, Server, Source};

const CREDENTIALS: &str = "Google Cloud console → Google Auth Platform → Clients → this client";

/// One value and where it belongs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// The source of codes that it is for; `null` where it is for all.
    pub source: Option<String>,
    /// What it is.
    pub what: String,
    /// Where it belongs.
    #[serde(rename = "where")]
    pub place: String,
    /// The value, to be copied byte for byte.
    pub value: String,
    /// What else there is to know, if there is anything.
    pub note: Option<String>,
}

impl std::fmt::Display for Registration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(source) = &self.source {
            write!(f, "{source}: ")?;
        }
        write!(f, "{} ({}): {}", self.what, self.place, self.value)?;
        if let Some(note) = &self.note {
            write!(f, "; {note}")?;
        }
        Ok(())
    }
}

/// Everything to register for a client, in the order of its sources.
pub fn registrations(client: &Client, server: &Server) -> Vec<Registration> {
    let mut all: Vec<_> =
        client.sources.iter().flat_map(|source| of_source(*source, client, server)).collect();
    all.push(Registration {
        source: None,
        what: "Scopes".to_owned(),
        place: "Google Cloud console → Google Auth Platform → Data Access".to_owned(),
        value: client.scopes.to_string(),
        note: None,
    });
    all
}

fn of_source(source: Source, client: &Client, server: &Server) -> Vec<Registration> {
    let entry = |what: &str, place: &str, value: &str, note: Option<&str>| Registration {
        source: Some(source.as_str().to_owned()),
        what: what.to_owned(),
        place: place.to_owned(),
        value: value.to_owned(),
        note: note.map(str::to_owned),
    };
    let id = client.client_id.as_str();
    match source {
        Source::Ios => vec![entry(
            "server client id",
            "the app's Info.plist → GIDServerClientID",
            id,
            Some("nothing to register at this client, the app has an iOS client of its own beside it"),
        )],
        Source::Android => vec![entry(
            "server client id",
            "the app → requestOfflineAccess",
            id,
            Some("nothing to register at this client, the app has an Android client of its own beside it"),
        )],
        Source::Web => {
            const WHAT: &str = "Authorised redirect URI";
            let own = server.sign_in_callback();
            let own = own.as_ref().map(|url| {
                entry(WHAT, CREDENTIALS, url.as_str(), Some("locum's own sign-in, at /v1/sign-in"))
            });
            let listed = client.redirect_uris.iter().map(|uri| entry(WHAT, CREDENTIALS, uri, None));
            // A URI of both kinds is one entry at Google.
            let is_own = |listed: &Registration| own.as_ref().is_some_and(|own| own.value == listed.value);
            let mut all: Vec<_> = listed.filter(|listed| !is_own(listed)).collect();
            all.extend(own.clone());
            all
        }
        Source::Popup if client.javascript_origins.is_empty() => vec![entry(
            "Authorised JavaScript origin",
            CREDENTIALS,
            "the origin of each page that signs people in",
            Some("scheme, host and port, without a path"),
        )],
        Source::Popup => {
            let origins = client.javascript_origins.iter();
            origins.map(|origin| entry("Authorised JavaScript origin", CREDENTIALS, origin, None)).collect()
        }
        Source::Desktop => vec![entry(
            "client type",
            "Google Cloud console → Google Auth Platform → Clients",
            "Desktop app",
            Some(
                "loopback addresses need no registration with it; a Web application client needs each one registered",
            ),
        )],
        Source::Device => vec![entry(
            "client type",
            "Google Cloud console → Google Auth Platform → Clients",
            "TVs and Limited Input devices",
            None,
        )],
    }
}

#[cfg(test)]
mod tests {
    use super::super::sources::tests::{client, server};
    use super::*;

    #[test]
    fn each_source_says_what_to_register() {
        let client = client(&Source::ALL, "openid email");
        let all = registrations(&client, &server(Some("https://locum.example.org")));
        for (source, value) in [
            (Some("ios"), client.client_id.as_str()),
            (Some("android"), client.client_id.as_str()),
            (Some("web"), "https://app.example.org/cb"),
            (Some("web"), "https://locum.example.org/v1/sign-in/callback"),
            (Some("popup"), "https://app.example.org"),
            (Some("desktop"), "Desktop app"),
            (Some("device"), "TVs and Limited Input devices"),
            (None, "https://www.googleapis.com/auth/userinfo.email openid"),
        ] {
            assert!(
                all.iter().any(|entry| entry.source.as_deref() == source && entry.value == value),
                "{source:?} {value} {all:?}"
            );
        }
        assert!(
            registrations(&client, &server(None)).iter().all(|entry| !entry.value.contains("/v1/sign-in"))
        );
    }

    #[test]
    fn a_uri_of_both_kinds_is_told_once() {
        let mut client = client(&[Source::Web], "openid");
        client.redirect_uris = vec!["https://locum.example.org/v1/sign-in/callback".to_owned()];
        let all = registrations(&client, &server(Some("https://locum.example.org")));
        assert_eq!(all.iter().filter(|entry| entry.source.is_some()).count(), 1, "{all:?}");
    }
}
