//! How a single value is read, from a file's value or from a variable's text, and how it is shown.
//!
//! A reader only says yes or no: the words of a mistake come from the key's kind, so no message can
//! repeat a value.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use figment::value::Value;
use ipnet::IpNet;
use serde_json::Value as Json;
use url::{Host, Url};

use super::allow_users::{Admission, AllowUsers};
use super::client::Source;
use super::keys::{self, Kind};
use super::return_to::AllowedReturn;
use super::sections::{Direction, Listen};
use crate::ids::{ClientName, Email, OAuthClientId, UserRef};
use crate::scopes::ScopeSet;
use crate::telemetry::LogFormat;

/// A value as it was given.
#[derive(Clone, Copy)]
pub(super) enum Given<'a> {
    /// In a file: of one type, and paths start at the file's folder.
    Typed(&'a Value, &'a Path),
    /// In a variable, or a default: text for every kind.
    Text(&'a str, &'a Path),
}

impl Given<'_> {
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Typed(value, _) => value.as_str(),
            Self::Text(text, _) => Some(text),
        }
    }

    /// Both a number and its text will do in a variable; in a file only the number is a number.
    fn number(&self) -> Option<u64> {
        match self {
            Self::Typed(value, _) => value.to_i128().and_then(|number| u64::try_from(number).ok()),
            Self::Text(text, _) => text.trim().parse().ok(),
        }
    }

    /// A TOML list, or in a variable also words between commas.
    pub(super) fn list(&self) -> Option<Vec<String>> {
        match self {
            Self::Typed(value, _) => {
                value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
            }
            Self::Text(text, _) if text.trim_start().starts_with('[') => {
                let table: toml::Table = format!("list = {text}").parse().ok()?;
                table.get("list")?.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
            }
            Self::Text(text, _) => Some(
                text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect(),
            ),
        }
    }

    /// A path, made absolute from where it was written.
    pub(super) fn path(&self) -> Option<PathBuf> {
        let (Self::Typed(_, base) | Self::Text(_, base)) = self;
        self.text().filter(|text| !text.is_empty() && !text.contains('\0')).map(|text| base.join(text))
    }
}

/// A type a value can be read as.
pub(super) trait Setting: Sized {
    /// `None` when the value is not what `kind` expects.
    fn read(given: Given<'_>, kind: Kind) -> Option<Self>;
    /// As `config show` prints it.
    fn show(&self) -> Json;
}

/// A type that is one text, alone or in a list.
trait Item: Sized {
    fn of(text: &str, kind: Kind) -> Option<Self>;
    fn text(&self) -> String;
}

macro_rules! single_items {
    ($($item:ty),+) => {$(
        impl Setting for $item {
            fn read(given: Given<'_>, kind: Kind) -> Option<Self> {
                Self::of(given.text()?, kind)
            }
            fn show(&self) -> Json {
                Json::String(self.text())
            }
        }
    )+};
}

single_items!(Listen, SocketAddr, Url, String, ClientName, OAuthClientId, LogFormat, UserRef, Direction);

impl<T: Item + PartialEq> Setting for Vec<T> {
    fn read(given: Given<'_>, kind: Kind) -> Option<Self> {
        let mut items = Self::new();
        for text in given.list()? {
            let item = T::of(&text, kind)?;
            if !items.contains(&item) {
                items.push(item);
            }
        }
        (kind != Kind::Sources || !items.is_empty()).then_some(items)
    }
    fn show(&self) -> Json {
        self.iter().map(T::text).collect()
    }
}

macro_rules! items {
    ($($item:ty: |$text:ident, $kind:ident| $parse:expr, |$value:ident| $show:expr;)+) => {$(
        impl Item for $item {
            fn of($text: &str, $kind: Kind) -> Option<Self> {
                let _ = $kind;
                $parse
            }
            fn text(&self) -> String {
                let $value = self;
                $show
            }
        }
    )+};
}

items! {
    Listen: |text, kind| text.parse().ok(), |value| value.to_string();
    SocketAddr: |text, kind| text.parse::<Self>().ok().filter(|address| address.ip().is_loopback()),
        |value| value.to_string();
    Url: |text, kind| web_url(text).filter(|url| url.query().is_none() && url.fragment().is_none()),
        |value| value.to_string();
    String: |text, kind| text_of(text, kind), |value| value.clone();
    ClientName: |text, kind| text.parse().ok(), |value| value.to_string();
    Email: |text, kind| text.parse().ok(), |value| value.to_string();
    OAuthClientId: |text, kind| text.parse().ok(), |value| value.to_string();
    IpNet: |text, kind| text.parse().ok().or_else(|| text.parse::<std::net::IpAddr>().ok().map(Self::from)),
        |value| value.to_string();
    Source: |text, kind| text.parse().ok(), |value| value.to_string();
    UserRef: |text, kind| text.parse().ok().filter(|user| *user != Self::Me), |value| match value {
        Self::Sub(sub) => sub.to_string(),
        Self::Email(email) => email.to_string(),
        Self::Me => "me".to_owned(),
    };
    Direction: |text, kind| Self::from_code(text), |value| value.code().to_owned();
    AllowedReturn: |text, kind| Self::parse(text), |value| value.text();
    LogFormat: |text, kind| match text {
        "human" => Some(Self::Human),
        "json" => Some(Self::Json),
        _ => None,
    }, |value| match value { Self::Human => "human".to_owned(), Self::Json => "json".to_owned() };
}

/// The kinds that stay text, each with its own check.
fn text_of(text: &str, kind: Kind) -> Option<String> {
    let valid = match kind {
        Kind::Issuer => {
            web_url(text).is_some_and(|url| url.query().is_none() && url.fragment().is_none())
                && !text.ends_with('/')
        }
        Kind::Origins => is_origin(text),
        Kind::PopupRedirect => text == "postmessage" || is_origin(text),
        Kind::RedirectUris => web_url(text).is_some_and(|url| url.fragment().is_none()),
        Kind::LogFilter => crate::telemetry::is_filter(text),
        _ => false,
    };
    valid.then(|| text.to_owned())
}

/// `https`, or `http` on loopback; no user name, no spaces or controls that parsers treat differently.
pub(super) fn web_url(text: &str) -> Option<Url> {
    if !text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\') {
        return None;
    }
    let url = Url::parse(text).ok()?;
    let scheme = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url));
    (scheme && url.host().is_some() && url.username().is_empty() && url.password().is_none()).then_some(url)
}

/// Scheme, host and port as a browser writes them in `Origin` (RFC 6454 §6.1).
fn is_origin(text: &str) -> bool {
    web_url(text).is_some_and(|url| url.origin().ascii_serialization() == text)
}

/// Whether the host is this machine: `localhost` or a loopback address. Names are not looked up.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

impl Setting for PathBuf {
    fn read(given: Given<'_>, _: Kind) -> Option<Self> {
        given.path()
    }
    fn show(&self) -> Json {
        Json::String(self.display().to_string())
    }
}

impl Setting for bool {
    fn read(given: Given<'_>, _: Kind) -> Option<Self> {
        match given {
            Given::Typed(value, _) => value.to_bool(),
            Given::Text(text, _) => text.trim().parse().ok(),
        }
    }
    fn show(&self) -> Json {
        Json::Bool(*self)
    }
}

impl Setting for u64 {
    fn read(given: Given<'_>, kind: Kind) -> Option<Self> {
        match kind {
            Kind::Count { min, max } => given.number().filter(|number| (min..=max).contains(number)),
            Kind::Size { min, max } => given
                .number()
                .or_else(|| read_size(given.text()?))
                .filter(|number| (min..=max).contains(number)),
            _ => None,
        }
    }
    fn show(&self) -> Json {
        Json::from(*self)
    }
}

impl Setting for usize {
    fn read(given: Given<'_>, kind: Kind) -> Option<Self> {
        u64::read(given, kind).and_then(|number| Self::try_from(number).ok())
    }
    fn show(&self) -> Json {
        Json::from(*self)
    }
}

impl Setting for NonZeroU32 {
    fn read(given: Given<'_>, kind: Kind) -> Option<Self> {
        u64::read(given, kind).and_then(|number| u32::try_from(number).ok()).and_then(Self::new)
    }
    fn show(&self) -> Json {
        Json::from(self.get())
    }
}

impl Setting for Duration {
    fn read(given: Given<'_>, kind: Kind) -> Option<Self> {
        let Kind::Duration { min, max } = kind else { return None };
        given
            .number()
            .map(Self::from_secs)
            .or_else(|| read_duration(given.text()?))
            .filter(|duration| (min..=max).contains(duration))
    }
    fn show(&self) -> Json {
        Json::String(keys::duration(*self))
    }
}

impl Setting for AllowUsers {
    fn read(given: Given<'_>, _: Kind) -> Option<Self> {
        if given.text() == Some("anyone") {
            return Some(Self::Anyone);
        }
        let (mut emails, mut domains) = (Vec::new(), Vec::new());
        for text in given.list()? {
            match text.parse().ok()? {
                Admission::Anyone => return None,
                Admission::Email(email) => emails.push(email),
                Admission::Domain(domain) => domains.push(domain),
            }
        }
        (!emails.is_empty() || !domains.is_empty()).then_some(Self::Listed { emails, domains })
    }
    fn show(&self) -> Json {
        match self {
            Self::Anyone => Json::from("anyone"),
            Self::Listed { emails, domains } => {
                emails.iter().map(ToString::to_string).chain(domains.iter().cloned()).collect()
            }
        }
    }
}

/// Identity scopes among them: without an ID token nobody could be told from anybody.
impl Setting for ScopeSet {
    fn read(given: Given<'_>, _: Kind) -> Option<Self> {
        let list = given.list()?;
        let scopes: Self = list.iter().collect();
        let words = |scope: &String| !scope.trim().is_empty() && !scope.trim().contains(char::is_whitespace);
        (list.iter().all(words) && scopes.has_identity()).then_some(scopes)
    }
    fn show(&self) -> Json {
        self.iter().collect()
    }
}

/// `1h30m`: numbers with the units d, h, m, s.
fn read_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut seconds: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let unit = match rest.as_bytes()[digits] {
            b'd' => 86_400,
            b'h' => 3_600,
            b'm' => 60,
            b's' => 1,
            _ => return None,
        };
        seconds = seconds.checked_add(rest[..digits].parse::<u64>().ok()?.checked_mul(unit)?)?;
        rest = &rest[digits + 1..];
    }
    (!text.trim().is_empty()).then(|| Duration::from_secs(seconds))
}

/// `64KiB`: a number with the unit B, KiB, MiB or GiB.
fn read_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let unit: u64 = match text[digits..].trim_start() {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    text[..digits].parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_read_what_they_show() {
        for (text, seconds) in [("90s", 90), ("10m", 600), ("1h30m", 5_400), ("7d", 604_800)] {
            assert_eq!(read_duration(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for bad in ["", "10", "m", "10 m", "-1s", "1.5h", "1w", "99999999999999999999s", "1d1"] {
            assert_eq!(read_duration(bad), None, "{bad}");
        }
        for bytes in [1, 1 << 10, 65_536, 1_000_000, 16 << 20, 3 << 30] {
            assert_eq!(read_size(&keys::size(bytes)), Some(bytes));
        }
        for seconds in [1, 60, 90, 3_600, 86_400] {
            let duration = Duration::from_secs(seconds);
            assert_eq!(read_duration(&keys::duration(duration)), Some(duration));
        }
        assert_eq!(read_size("64kb"), None);
    }

    #[test]
    fn plain_http_is_for_loopback_only() {
        for good in ["https://example.org", "http://localhost:1", "http://127.0.0.9", "http://[::1]:8080/x"] {
            assert!(web_url(good).is_some(), "{good}");
        }
        for bad in [
            "http://example.org",
            "http://localhost.example.org",
            "http://127.0.0.1@example.org",
            "https://user@example.org",
            "https:\\\\example.org",
            "ftp://localhost",
            "https://",
            "example.org",
            " https://example.org",
        ] {
            assert!(web_url(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn an_origin_is_written_as_a_browser_writes_it() {
        for good in ["https://app.example.org", "http://localhost:5173", "https://app.example.org:8443"] {
            assert!(is_origin(good), "{good}");
        }
        for bad in ["https://app.example.org/", "https://APP.example.org", "https://a.org:443", "*", "null"] {
            assert!(!is_origin(bad), "{bad}");
        }
    }

    #[test]
    fn a_variable_may_hold_a_list_in_either_form() {
        let here = Path::new("/");
        for text in [r#"["a", "b"]"#, "a, b", "a,b,"] {
            assert_eq!(Given::Text(text, here).list(), Some(vec!["a".to_owned(), "b".to_owned()]), "{text}");
        }
        assert_eq!(Given::Text("[a]", here).list(), None);
    }
}
