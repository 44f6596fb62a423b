//! An OAuth client of the owner's Google Cloud project, and the `redirect_uri` each source of codes needs.

use std::fmt;
use std::str::FromStr;

use url::Url;

use crate::ids::{ClientName, OAuthClientId};
use crate::scopes::ScopeSet;
use crate::secret::ClientSecret;

/// Where an authorization code was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// GoogleSignIn on iOS or macOS (`serverAuthCode`).
    Ios,
    /// Android's `AuthorizationClient` or the older GoogleSignIn.
    Android,
    /// A redirect to a registered URI.
    Web,
    /// Google Identity Services' code client with `ux_mode: "popup"`.
    Popup,
    /// A program on the person's own machine, redirected to loopback.
    Desktop,
    /// The device flow, which has no code to exchange.
    Device,
}

impl Source {
    /// Every source there is.
    pub const ALL: [Self; 6] =
        [Self::Ios, Self::Android, Self::Web, Self::Popup, Self::Desktop, Self::Device];

    /// The name of the source in the configuration and in requests.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ios => "ios",
            Self::Android => "android",
            Self::Web => "web",
            Self::Popup => "popup",
            Self::Desktop => "desktop",
            Self::Device => "device",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no source of codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not one of ios, android, web, popup, desktop, device")]
pub struct UnknownSource;

impl FromStr for Source {
    type Err = UnknownSource;

    fn from_str(text: &str) -> Result<Self, UnknownSource> {
        Self::ALL.into_iter().find(|source| source.as_str() == text).ok_or(UnknownSource)
    }
}

/// One `[[clients]]` table.
#[derive(Clone, Debug)]
pub struct Client {
    /// The owner's name for it.
    pub name: ClientName,
    /// Its id at Google. One client has one name and the other way round.
    pub client_id: OAuthClientId,
    /// Its secrets in the order they are tried: one, or two while one replaces the other.
    pub secrets: Vec<ClientSecret>,
    /// Where its codes come from; never empty.
    pub sources: Vec<Source>,
    /// The redirect URIs registered for it at Google that locum may send, compared byte for byte.
    pub redirect_uris: Vec<String>,
    /// The JavaScript origins registered for it at Google.
    pub javascript_origins: Vec<String>,
    /// What is sent for codes of the popup when the request names nothing: `postmessage` or an origin.
    pub popup_redirect_uri: String,
    /// The scopes the owner wants from every person.
    pub scopes: ScopeSet,
    /// Other clients (iOS, Android) whose SDKs obtain ID tokens for this one: their `azp`.
    pub authorized_parties: Vec<OAuthClientId>,
}

/// The `redirect_uri` of a code exchange. Empty for mobile codes, and then still sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedirectUri(Box<str>);

impl RedirectUri {
    /// The address of locum's own sign-in.
    pub(super) fn own(callback: &Url) -> Self {
        Self(callback.as_str().into())
    }

    /// What to send, byte for byte.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a code of this source cannot be exchanged with what the request says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedirectProblem {
    /// The client's `sources` lack this one.
    #[error("the client does not take codes of this source; add the source to the client's `sources`")]
    SourceNotConfigured,
    /// The request has to say which URI it used.
    #[error(
        "several redirect URIs are possible for this source; send the `redirect_uri` the code was made with"
    )]
    Needed,
    /// The URI is not one that the configuration lists.
    #[error(
        "the `redirect_uri` is not configured for this client; it must be equal, byte for byte, to a configured one"
    )]
    NotConfigured,
    /// Desktop codes come through a loopback address only.
    #[error(
        "a desktop code needs the `redirect_uri` it was made with: http on 127.0.0.1, [::1] or localhost"
    )]
    NotLoopback,
    /// The device flow has no code.
    #[error("the device flow gives no authorization code; there is nothing to exchange")]
    NoCode,
}

impl Client {
    /// The value Google wants to see in the exchange of a code of `source`, where the request asked for
    /// `asked`. Google compares it with the authorization request (RFC 6749 §4.1.3) and a wrong value may
    /// burn the code, so there is one answer and no second try.
    ///
    /// # Errors
    /// See [`RedirectProblem`]; each is the request's or the owner's to mend.
    pub fn redirect_uri_for(
        &self,
        source: Source,
        asked: Option<&str>,
    ) -> Result<RedirectUri, RedirectProblem> {
        if !self.sources.contains(&source) {
            return Err(RedirectProblem::SourceNotConfigured);
        }
        let registered = |uri: &str| self.redirect_uris.iter().any(|known| known == uri);
        let answer = match (source, asked) {
            // Google's page allows the registered web URI too, where the product has a web version.
            (Source::Ios | Source::Android, None | Some("")) => "",
            (Source::Ios | Source::Android, Some(uri)) if registered(uri) => uri,
            (Source::Web, None) => match &*self.redirect_uris {
                [only] => only,
                _ => return Err(RedirectProblem::Needed),
            },
            (Source::Web, Some(uri)) if registered(uri) => uri,
            (Source::Popup, None) => &self.popup_redirect_uri,
            (Source::Popup, Some(uri))
                if uri == "postmessage"
                    || uri == self.popup_redirect_uri
                    || self.javascript_origins.iter().any(|known| known == uri) =>
            {
                uri
            }
            (Source::Desktop, Some(uri)) if is_loopback_redirect(uri) => uri,
            (Source::Desktop, _) => return Err(RedirectProblem::NotLoopback),
            (Source::Device, _) => return Err(RedirectProblem::NoCode),
            (Source::Ios | Source::Android | Source::Web | Source::Popup, Some(_)) => {
                return Err(RedirectProblem::NotConfigured);
            }
        };
        Ok(RedirectUri(answer.into()))
    }
}

/// RFC 8252 §7.3: any port, `http`, a loopback host. Nothing may stand before the host or after the query.
fn is_loopback_redirect(uri: &str) -> bool {
    uri.len() <= 256
        && uri.bytes().all(|b| b.is_ascii_graphic() && b != b'\\')
        && Url::parse(uri).is_ok_and(|url| {
            url.scheme() == "http"
                && url.username().is_empty()
                && url.password().is_none()
                && url.fragment().is_none()
                && super::values::is_loopback(&url)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(sources: &[Source], redirect_uris: &[&str]) -> Client {
        Client {
            name: "main".parse().expect("name"),
            client_id: "402839145520-x.apps.googleusercontent.com".parse().expect("id"),
            secrets: vec![],
            sources: sources.to_vec(),
            redirect_uris: redirect_uris.iter().map(ToString::to_string).collect(),
            javascript_origins: vec!["https://app.example.org".to_owned()],
            popup_redirect_uri: "postmessage".to_owned(),
            scopes: ScopeSet::parse("openid"),
            authorized_parties: vec![],
        }
    }

    fn answer(client: &Client, source: Source, asked: Option<&str>) -> Result<String, RedirectProblem> {
        client.redirect_uri_for(source, asked).map(|uri| uri.as_str().to_owned())
    }

    #[test]
    fn each_source_has_its_redirect_uri() {
        const WEB: &str = "https://app.example.org/cb";
        let one = client(&Source::ALL, &[WEB]);
        let two = client(&Source::ALL, &[WEB, "https://app.example.org/cb/"]);
        let loopback = "http://127.0.0.1:51234/cb?x=1";
        for (client, source, asked, expected) in [
            (&one, Source::Ios, None, Ok("")),
            (&one, Source::Android, Some(""), Ok("")),
            (&one, Source::Ios, Some(WEB), Ok(WEB)),
            (&one, Source::Ios, Some("postmessage"), Err(RedirectProblem::NotConfigured)),
            (&one, Source::Web, None, Ok(WEB)),
            (&one, Source::Web, Some(""), Err(RedirectProblem::NotConfigured)),
            (&one, Source::Web, Some("https://app.example.org/cb/"), Err(RedirectProblem::NotConfigured)),
            (&two, Source::Web, Some("https://app.example.org/cb/"), Ok("https://app.example.org/cb/")),
            (&two, Source::Web, None, Err(RedirectProblem::Needed)),
            (&one, Source::Popup, None, Ok("postmessage")),
            (&one, Source::Popup, Some("https://app.example.org"), Ok("https://app.example.org")),
            (&one, Source::Popup, Some("https://evil.example"), Err(RedirectProblem::NotConfigured)),
            (&one, Source::Desktop, Some(loopback), Ok(loopback)),
            (&one, Source::Desktop, Some("http://[::1]:9/"), Ok("http://[::1]:9/")),
            (&one, Source::Desktop, Some("http://localhost:9"), Ok("http://localhost:9")),
            (&one, Source::Desktop, None, Err(RedirectProblem::NotLoopback)),
            (&one, Source::Device, None, Err(RedirectProblem::NoCode)),
        ] {
            let expected = expected.map(str::to_owned);
            assert_eq!(answer(client, source, asked), expected, "{source} {asked:?}");
        }
        let mobile = client(&[Source::Ios], &[]);
        assert_eq!(answer(&mobile, Source::Web, Some(WEB)), Err(RedirectProblem::SourceNotConfigured));
    }

    #[test]
    fn a_desktop_code_comes_through_loopback_only() {
        let desktop = client(&[Source::Desktop], &[]);
        for uri in [
            "https://127.0.0.1:1",
            "http://127.0.0.1.evil.example",
            "http://127.0.0.1@evil.example",
            "http://evil.example#127.0.0.1",
            "http://localhost:1/#x",
            "http://user@localhost:1/",
            "http:\\\\localhost",
            " http://localhost",
            "http://10.0.0.1/",
            "",
        ] {
            assert_eq!(
                answer(&desktop, Source::Desktop, Some(uri)),
                Err(RedirectProblem::NotLoopback),
                "{uri}"
            );
        }
    }

    #[test]
    fn a_source_reads_its_own_name() {
        for source in Source::ALL {
            assert_eq!(source.as_str().parse(), Ok(source));
            assert_eq!(serde_json::to_value(source).expect("json"), source.as_str());
        }
        assert_eq!("IOS".parse::<Source>(), Err(UnknownSource));
    }
}
