//! Every key of the configuration, once: its kind, its default, its words.
//!
//! The reader takes kinds and defaults from here, errors take the expected type and the nearest known
//! key, and `config.toml.example` and `docs/configuration.md` are tested to be what this table says.

use std::time::Duration;

/// What a value must be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    Listen,
    LoopbackAddress,
    Url,
    Issuer,
    Path,
    Networks,
    Origins,
    RedirectUris,
    ReturnTo,
    PopupRedirect,
    Count {
        min: u64,
        max: u64,
    },
    Size {
        min: u64,
        max: u64,
    },
    Duration {
        min: Duration,
        max: Duration,
    },
    Flag,
    LogFormat,
    LogFilter,
    AllowUsers,
    Emails,
    ClientName,
    ClientId,
    ClientIds,
    Sources,
    Scopes,
    User,
    Direction,
    /// One key for each of [`SECRET_FORMS`].
    Secret,
}

/// What happens when the key is absent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Absent {
    /// This value is taken, written as in an environment variable.
    Default(&'static str),
    /// Nothing; the text is what the example shows.
    Nothing(&'static str),
    /// A mistake; the text is what the example shows.
    Mistake(&'static str),
}

/// One key.
#[derive(Debug)]
pub(super) struct Key {
    /// The section, `""` at the top.
    pub(super) section: &'static str,
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) absent: Absent,
    /// One or two sentences for the owner.
    pub(super) words: &'static str,
}

/// How a secret's key may end, and what the value then is.
pub(super) const SECRET_FORMS: [(&str, &str); 5] = [
    ("", "the secret itself, as text"),
    ("_file", "the path of a file that holds the secret"),
    ("_env", "the name of an environment variable in capitals that begins with LOCUM_"),
    ("_command", "a list of a program and its arguments, such as [\"pass\", \"show\", \"locum\"]"),
    ("_credential", "the name of a systemd credential"),
];

/// The sections in the order of the example. `clients` and `mirror` are lists of tables.
pub(super) const SECTIONS: [(&str, &str); 15] = [
    ("", "At the top of the file, before any section."),
    ("server", "The listener and its limits."),
    ("google", "The provider. Only tests and other OpenID providers need another value here."),
    ("vault", "The database file, and the root key that opens it. Give the key in exactly one of its forms."),
    (
        "clients",
        "The OAuth clients of your Google Cloud project, a table each. Give each its secret in exactly one form.",
    ),
    ("tokens", "How access tokens are kept fresh."),
    ("sessions", "Session tokens for the users of your apps."),
    ("app_data", "The files that your apps keep in a person's Google Drive, where only they see them."),
    (
        "sign_in",
        "Signing in by a browser, at `/v1/sign-in`. It needs `server.public_url`, and a client with the source web.",
    ),
    (
        "dashboard",
        "The owner's way into the dashboard. `locum admin link` always works; a Google account only where it is listed here.",
    ),
    ("limits", "Rate limits."),
    ("log", "Logs go to standard error."),
    (
        "metrics",
        "Prometheus metrics are served to API keys allowed `metrics:read`; a listener of their own needs none.",
    ),
    ("events", "The log of what happened: see docs/events.md."),
    ("mirror", "A person's Drive app data and a local folder that is kept in step with it, a table each."),
];

/// Whether a section is a list of tables, `[[section]]`.
#[cfg(test)]
pub(super) fn is_list(section: &str) -> bool {
    matches!(section, "clients" | "mirror")
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn minutes(minutes: u64) -> Duration {
    seconds(minutes * 60)
}

const fn days(days: u64) -> Duration {
    minutes(days * 24 * 60)
}

macro_rules! keys {
    ($($section:literal { $($name:literal: $kind:expr, $absent:expr, $words:literal;)+ })+) => {
        &[$($(Key { section: $section, name: $name, kind: $kind, absent: $absent, words: $words }),+),+]
    };
}

use Absent::{Default as D, Mistake as M, Nothing as N};
use Kind::{
    AllowUsers, ClientId, ClientIds, ClientName, Count, Direction, Duration as Time, Emails, Flag, Issuer,
    Listen, LogFilter, LogFormat, LoopbackAddress, Networks, Origins, Path, PopupRedirect, RedirectUris,
    ReturnTo, Scopes, Secret, Size, Sources, Url, User,
};

/// The most that a rate or a count may be where nothing narrower makes sense.
const MANY: u64 = 1_000_000;

pub(super) const KEYS: &[Key] = keys! {
    "" {
        "allow_users": AllowUsers, M(r#"["you@example.org"]"#),
            "Who may connect: e-mail addresses and Workspace domains, or \"anyone\". Domains match Google's `hd` claim, never the domain of an address.";
    }
    "server" {
        "listen": Listen, D("127.0.0.1:8787"),
            "Where apps and programs reach locum: ADDRESS:PORT, or unix:/PATH.";
        "public_url": Url, N("https://locum.example.org"),
            "The address of locum as apps and browsers see it. It names the issuer of session tokens; with /v1/sign-in/callback behind it, it is the redirect URI of locum's own sign-in.";
        "admin_socket": Path, N("admin.sock"),
            "The unix socket on which commands reach a running server. Without it: admin.sock beside the vault.";
        "trusted_proxies": Networks, D("[]"),
            "Networks of your reverse proxies. X-Forwarded-* headers count from there only.";
        "cors_origins": Origins, D("[]"),
            "Web origins whose pages may call locum. Empty turns CORS off.";
        "workers": Count { min: 1, max: 1024 }, N("2"),
            "Worker threads. Without it: one for each core.";
        "shutdown_timeout": Time { min: seconds(1), max: minutes(10) }, D("20s"),
            "How long a stop waits for work under way.";
        "max_body": Size { min: 4096, max: 16 << 20 }, D("64KiB"),
            "The largest request body.";
        "header_timeout": Time { min: seconds(1), max: minutes(5) }, D("5s"),
            "How long a caller may take to send the head of a request.";
        "body_timeout": Time { min: seconds(1), max: minutes(5) }, D("10s"),
            "How long a caller may take to send the body of a request; in a file for app data, how long nothing of it may come.";
        "keep_alive": Time { min: seconds(1), max: minutes(60) }, D("60s"),
            "How long an idle connection is kept open.";
        "max_connections": Count { min: 16, max: MANY }, D("25000"),
            "The most open connections for each worker.";
    }
    "google" {
        "issuer": Issuer, D("https://accounts.google.com"),
            "The issuer that ID tokens must name.";
        "discovery_url": Url, N("http://127.0.0.1:9090/.well-known/openid-configuration"),
            "Where the discovery document is. Without it: the issuer with /.well-known/openid-configuration.";
        "drive_url": Url, D("https://www.googleapis.com/"),
            "Where the Drive API is: /drive/v3 and /upload/drive/v3 are below it. People's access tokens are sent there.";
        "connect_timeout": Time { min: seconds(1), max: minutes(1) }, D("5s"),
            "How long opening a connection may take.";
        "timeout": Time { min: seconds(1), max: minutes(2) }, D("15s"),
            "How long a whole call may take.";
    }
    "vault" {
        "path": Path, D("vault/locum.db"),
            "The database file. Its folder must belong to locum alone (mode 0700).";
        "root_key": Secret, M("root.key"),
            "Thirty-two random bytes, raw or as hex or base64. Keep a copy in a place that is neither this machine nor beside the backups.";
        "passphrase": Secret, N("passphrase.txt"),
            "Instead of a root key: a long pass-phrase that the key is derived from.";
    }
    "clients" {
        "name": ClientName, M("main"),
            "Your name for the client. Answers, keys and commands use it.";
        "client_secret_json": Path, N("client_secret.json"),
            "The file Google offers for download when the *Web application* client is created (the one in GIDServerClientID). It gives client_id, client_secret, redirect_uris and javascript_origins.";
        "client_id": ClientId, N("402839145520-r7d1s0example.apps.googleusercontent.com"),
            "The client's id, where there is no client_secret_json.";
        "client_secret": Secret, N("client_secret.txt"),
            "The client's secret, where there is no client_secret_json.";
        "second_client_secret": Secret, N("client_secret_2.txt"),
            "Another secret of the same client, tried when Google refuses the first: for the time one replaces the other.";
        "sources": Sources, M(r#"["ios"]"#),
            "Where codes come from: ios, android, web, popup, desktop, device.";
        "redirect_uris": RedirectUris, N(r#"["https://app.example.org/oauth/callback"]"#),
            "Redirect URIs registered at Google, byte for byte. Needed for the source web, unless only locum's own sign-in uses it.";
        "javascript_origins": Origins, N(r#"["https://app.example.org"]"#),
            "JavaScript origins registered at Google, which popup codes may name.";
        "popup_redirect_uri": PopupRedirect, D("postmessage"),
            "What popup codes are exchanged with when the request says nothing: postmessage or an origin.";
        "scopes": Scopes, D(r#"["openid", "email", "profile"]"#),
            "The scopes you want from every person. Answers report those that are missing.";
        "authorized_parties": ClientIds, D("[]"),
            "Ids of your iOS and Android clients in other Google projects, whose ID tokens may renew a session. Those of the same project are accepted anyway.";
    }
    "tokens" {
        "refresh_ahead": Time { min: minutes(1), max: minutes(45) }, D("10m"),
            "How long before its end the access token of a grant in use is refreshed.";
        "keep_alive": Time { min: days(1), max: days(150) }, D("7d"),
            "How long a refresh token may lie unused before it is refreshed for its own sake. Google drops tokens unused for six months.";
        "cache_bytes": Size { min: 64 << 10, max: 64 << 30 }, D("16MiB"),
            "The most memory for cached access tokens.";
        "concurrent_refreshes": Count { min: 1, max: 10_000 }, D("64"),
            "How many refreshes may be under way at one time.";
    }
    "sessions" {
        "lifetime": Time { min: minutes(1), max: days(1) }, D("1h"),
            "How long a session token is good for.";
    }
    "app_data" {
        "max_bytes": Size { min: 1 << 10, max: 5 << 40 }, D("1GiB"),
            "The largest file that a program or an app may write. server.max_body does not apply to it.";
    }
    "sign_in" {
        "return_to": ReturnTo, D("[]"),
            "Where sites may have a browser sent back to: each entry allows its scheme, host and port, its path and the paths below it.";
    }
    "dashboard" {
        "emails": Emails, D("[]"),
            "Google accounts whose holders may open the dashboard, by their verified address. They can do whatever the owner can.";
        "client": ClientName, N("web-app"),
            "The client by which they sign in. It needs the source web, and server.public_url must be set.";
        "idle": Time { min: minutes(5), max: days(7) }, D("1h"),
            "How long a browser stays signed in that does nothing.";
        "absolute": Time { min: minutes(15), max: days(30) }, D("7d"),
            "How long a browser stays signed in at most.";
    }
    "limits" {
        "enabled": Flag, D("true"),
            "Whether rates are limited.";
        "address_per_second": Count { min: 1, max: MANY }, D("10"),
            "Requests a second from one address without an API key.";
        "address_burst": Count { min: 1, max: MANY }, D("40"),
            "How many of them at once.";
        "key_per_second": Count { min: 1, max: MANY }, D("1000"),
            "Requests a second with one API key.";
        "key_burst": Count { min: 1, max: MANY }, D("2000"),
            "How many of them at once.";
    }
    "log" {
        "format": LogFormat, D("human"),
            "human or json.";
        "filter": LogFilter, D("info"),
            "A level, or levels by module such as info,locum=debug.";
    }
    "metrics" {
        "listen": LoopbackAddress, N("127.0.0.1:9787"),
            "A listener on loopback that serves /metrics without an API key.";
    }
    "events" {
        "retention": Time { min: days(1), max: days(3650) }, D("400d"),
            "How long events are kept, and the hourly counts behind the charts. Of events the last million at most.";
    }
    "mirror" {
        "user": User, M("you@example.org"),
            "Whose app data: the e-mail address or the id (`sub`) of a connected person.";
        "client": ClientName, M("main"),
            "By which client's grant. App data belongs to the client's Google Cloud project, and one project has one mirror of a person.";
        "folder": Path, M("app-data/you"),
            "The folder. It must exist, lie outside the vault's folder and hold no other mirror.";
        "direction": Direction, D("pull"),
            "pull copies from Drive and never writes there, push copies to Drive and never writes here, both keeps the two in step.";
        "interval": Time { min: seconds(10), max: days(7) }, D("5m"),
            "How often it runs.";
        "keep_versions": Time { min: days(1), max: days(3650) }, D("90d"),
            "How long replaced and deleted contents are kept beside the vault. The last version of a file that was deleted at Drive is kept for ever by a pull.";
        "versions_size": Size { min: 1 << 20, max: 1 << 50 }, D("10GiB"),
            "The most that kept contents older than a day may take; the oldest go first.";
    }
};

/// The key of this name, whatever form its name takes.
pub(super) fn find(section: &str, name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.section == section && key.names().any(|known| known == name))
}

impl Key {
    /// The names the key goes by in a file: one, or five for a secret.
    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        let forms = if self.kind == Kind::Secret { &SECRET_FORMS[..] } else { &SECRET_FORMS[..1] };
        forms.iter().map(|(ending, _)| format!("{}{ending}", self.name))
    }
}

impl Kind {
    /// What a person is told to write.
    pub(super) fn expected(self) -> String {
        match self {
            Self::Listen => "an address and port such as 127.0.0.1:8787, or unix:/absolute/path".to_owned(),
            Self::LoopbackAddress => "a loopback address and port such as 127.0.0.1:9787".to_owned(),
            Self::Url => "an https URL without query or fragment (http for loopback hosts only)".to_owned(),
            Self::Issuer => {
                "an https URL without a slash at its end, query or fragment (http for loopback hosts only)".to_owned()
            }
            Self::Path => "a path (`~` is not expanded)".to_owned(),
            Self::Networks => "a list of networks such as [\"10.0.0.0/8\", \"::1\"]".to_owned(),
            Self::Origins => {
                "a list of origins such as [\"https://app.example.org\"]: no path, and http for loopback hosts only".to_owned()
            }
            Self::RedirectUris => {
                "a list of https URLs without fragment (http for loopback hosts only)".to_owned()
            }
            Self::ReturnTo => {
                "a list of https URLs such as [\"https://app.example.org/welcome\"], written as a browser writes them, without query or fragment (http for loopback hosts only)".to_owned()
            }
            Self::PopupRedirect => "\"postmessage\" or an origin such as \"https://app.example.org\"".to_owned(),
            Self::Count { min, max } => format!("a whole number from {min} to {max}"),
            Self::Size { min, max } => {
                format!("a size from {} to {}, such as \"64KiB\", or a number of bytes", size(min), size(max))
            }
            Self::Duration { min, max } => {
                format!("a duration such as \"{}\", at most \"{}\", or a number of seconds", duration(min), duration(max))
            }
            Self::Flag => "true or false".to_owned(),
            Self::LogFormat => "\"human\" or \"json\"".to_owned(),
            Self::LogFilter => "a level or levels by module, such as \"info\" or \"info,locum=debug\"".to_owned(),
            Self::AllowUsers => {
                "\"anyone\", or a list of e-mail addresses and Workspace domains such as [\"you@example.org\", \"example.org\"]".to_owned()
            }
            Self::Emails => "a list of e-mail addresses such as [\"you@example.org\"]".to_owned(),
            Self::ClientName => "a name of 1 to 40 characters of a-z, 0-9, - and _".to_owned(),
            Self::ClientId => "a client id as Google shows it, ending in .apps.googleusercontent.com".to_owned(),
            Self::ClientIds => {
                "a list of client ids as Google shows them, ending in .apps.googleusercontent.com".to_owned()
            }
            Self::Sources => "a list of one or more of ios, android, web, popup, desktop, device".to_owned(),
            Self::Scopes => "a list of scopes with openid, email or profile among them".to_owned(),
            Self::User => "an e-mail address, or a person's id as `locum user list` shows it".to_owned(),
            Self::Direction => "\"pull\", \"push\" or \"both\"".to_owned(),
            Self::Secret => "a secret".to_owned(),
        }
    }
}

/// `64KiB`, in the largest unit that divides it.
pub(super) fn size(bytes: u64) -> String {
    [(30, "GiB"), (20, "MiB"), (10, "KiB")]
        .into_iter()
        .find(|(shift, _)| bytes > 0 && bytes.trailing_zeros() >= *shift)
        .map_or_else(|| format!("{bytes}B"), |(shift, unit)| format!("{}{unit}", bytes >> shift))
}

/// `7d`, in the largest unit that divides it.
pub(super) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    [(86_400, "d"), (3_600, "h"), (60, "m")]
        .into_iter()
        .find(|(unit, _)| seconds > 0 && seconds.is_multiple_of(*unit))
        .map_or_else(|| format!("{seconds}s"), |(unit, name)| format!("{}{name}", seconds / unit))
}
