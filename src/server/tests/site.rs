//! A server on a temporary vault, and the requests that tests make of it.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::super::{Listener, Listeners, RunningServer, Server};
use crate::api_keys::{Action, NewApiKey};
use crate::clock::{Clock, Timestamp};
use crate::config::{Config, Environment, Loaded};
use crate::emulator::{CodeRequest, Emulator, EmulatorSettings, Person, Seeded};
use crate::ids::UserId;
use crate::lifecycle::Lifecycle;
use crate::outbound::{Limits, Outbound, TimeLimit};
use crate::rng::Rng;
use crate::secret::SecretKey;
use crate::state::AppState;
use crate::vault::{RootSecret, UserBinding, Vault, VaultSettings};

pub(super) const START: Timestamp = Timestamp::from_unix(1_795_368_972);
pub(super) const SCOPES: &str = "openid email profile https://www.googleapis.com/auth/drive.appdata";

pub(super) struct Site {
    pub(super) emulator: Emulator,
    pub(super) seeded: Seeded,
    pub(super) state: AppState,
    /// `None` once a test has stopped it.
    pub(super) server: Option<RunningServer>,
    address: std::net::SocketAddr,
    pub(super) clock: Clock,
    pub(super) dir: TempDir,
    outbound: Outbound,
}

/// An answer with its body as JSON, `null` where it is none.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: http::HeaderMap,
    pub(super) json: Value,
    pub(super) text: String,
}

impl Reply {
    pub(super) fn code(&self) -> &str {
        self.json["code"].as_str().unwrap_or_default()
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The problem without what differs from run to run.
    pub(super) fn problem(mut self) -> Value {
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.json["status"], self.status);
        assert_eq!(self.json["request_id"], self.header("x-request-id"));
        self.json["request_id"] = "…".into();
        self.json
    }
}

impl Site {
    /// One client, `main`, codes from iOS, everybody may connect.
    pub(super) async fn start() -> Self {
        Self::start_with("", "").await
    }

    /// `server` goes into the `[server]` section, `more` before all sections.
    pub(super) async fn start_with(server: &str, more: &str) -> Self {
        let clock = Clock::manual(START);
        let emulator =
            Emulator::start(EmulatorSettings::new(clock.clone(), Rng::seeded(1))).await.expect("a free port");
        let seeded = emulator.world.seed_demo();
        let dir = tempfile::tempdir().expect("a directory");
        let loaded = configuration(&emulator, &seeded, &dir, server, more);
        let config = &loaded.config;
        let vault = VaultSettings {
            path: config.vault.path.clone(),
            root: RootSecret::Key(SecretKey::new([0x5a; 32])),
            issuer: config.google.issuer.clone(),
            readers: 2,
        };
        let vault = Vault::open(vault, clock.clone(), Rng::seeded(2)).expect("a vault");
        let state = AppState::build(loaded, vault, clock.clone(), Rng::seeded(3), Lifecycle::new())
            .await
            .expect("services");
        let admin = UnixListener::bind(dir.path().join("admin.sock")).expect("a socket");
        std::fs::set_permissions(dir.path().join("admin.sock"), std::fs::Permissions::from_mode(0o600))
            .expect("our own socket");
        let listeners = Listeners {
            public: Some(Listener::Tcp(TcpListener::bind("127.0.0.1:0").expect("a free port"))),
            admin: Some(admin),
            metrics: Some(TcpListener::bind("127.0.0.1:0").expect("a free port")),
        };
        let server = Server::start(state.clone(), listeners).expect("a server");
        let outbound =
            Outbound::new(Limits { time: TimeLimit::Whole(Duration::from_secs(30)), ..Limits::default() });
        let address = server.address.expect("a TCP listener");
        Self { emulator, seeded, state, server: Some(server), address, clock, dir, outbound }
    }

    pub(super) fn address(&self) -> std::net::SocketAddr {
        self.address
    }

    /// A request to the public listener.
    pub(super) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = method.parse().expect("a method");
        let client = self.outbound.client().expect("a client");
        client.request(method, format!("http://{}{path}", self.address()))
    }

    pub(super) fn get(&self, path: &str) -> reqwest::RequestBuilder {
        self.request("GET", path)
    }

    pub(super) fn post(&self, path: &str) -> reqwest::RequestBuilder {
        self.request("POST", path)
    }

    /// A request on the admin socket.
    pub(super) fn as_owner(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.through(&self.dir.path().join("admin.sock"), method, path)
    }

    /// A request through a unix socket.
    pub(super) fn through(
        &self,
        socket: &std::path::Path,
        method: &str,
        path: &str,
    ) -> reqwest::RequestBuilder {
        let client = self.outbound.unix_client(socket).expect("a client");
        client.request(method.parse().expect("a method"), format!("http://locum{path}"))
    }

    /// A GET of a whole URL.
    pub(super) fn absolute(&self, url: &str) -> reqwest::RequestBuilder {
        self.outbound.client().expect("a client").get(url)
    }

    /// The body of an answer to a POST of the owner's.
    pub(super) async fn outbound_bytes(&self, path: &str) -> Vec<u8> {
        self.outbound.send(self.as_owner("POST", path)).await.expect("an answer").body.to_vec()
    }

    pub(super) async fn send(&self, request: reqwest::RequestBuilder) -> Reply {
        let answer = self.outbound.send(request).await.expect("an answer");
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Reply { status: answer.status, headers: answer.headers, json, text }
    }

    /// The path of a new login link.
    pub(super) async fn login_link(&self) -> String {
        let reply = self.send(self.as_owner("POST", "/v1/dashboard/links")).await;
        assert_eq!(reply.status, 201, "{}", reply.text);
        let url = reply.json["url"].as_str().expect("an address").parse::<url::Url>().expect("a URL");
        url.path().to_owned()
    }

    /// The form that a login link shows, sent by a browser.
    pub(super) fn enter(&self, link: &str) -> reqwest::RequestBuilder {
        self.post(link).header("origin", format!("http://{}", self.address()))
    }

    /// The cookie of a browser that has just signed in, as it sends it.
    pub(super) async fn signed_in(&self) -> String {
        let link = self.login_link().await;
        let reply = self.send(self.enter(&link)).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        reply.header("set-cookie").split(';').next().expect("a cookie").to_owned()
    }

    /// The text of a new key that reaches everything.
    pub(super) async fn key(&self, actions: &[Action]) -> String {
        self.bound_key(actions, |_| {}).await
    }

    pub(super) async fn bound_key(&self, actions: &[Action], bind: impl FnOnce(&mut NewApiKey)) -> String {
        let mut new = NewApiKey {
            name: "test".into(),
            actions: actions.iter().copied().collect(),
            users: UserBinding::All,
            clients: None,
            scopes: None,
            hosts: None,
            expires_at: None,
        };
        bind(&mut new);
        let (_, plain) = self.state.api_keys.create(new).await.expect("a key");
        plain.expose().to_string()
    }

    pub(super) fn alice(&self) -> &Person {
        &self.seeded.people[0]
    }

    pub(super) fn bob(&self) -> &Person {
        &self.seeded.people[1]
    }

    pub(super) fn code(&self, person: &Person) -> String {
        let request = CodeRequest::mobile(&self.seeded.web.client_id, &person.sub, SCOPES);
        self.emulator.world.issue_code(request).expose().to_owned()
    }

    /// An exchange as an app makes it.
    pub(super) fn exchange(&self, body: &Value) -> reqwest::RequestBuilder {
        self.post("/v1/exchange").header("x-requested-with", "test").json(body)
    }

    /// Connects a person over HTTP; the answer and their row.
    pub(super) async fn connect(&self, person: &Person) -> (Value, UserId) {
        let reply = self.send(self.exchange(&serde_json::json!({ "code": self.code(person) }))).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        let user = self.state.vault.find_user_by_sub(&person.sub).await;
        (reply.json, user.expect("the vault").expect("connected"))
    }
}

fn configuration(emulator: &Emulator, seeded: &Seeded, dir: &TempDir, server: &str, more: &str) -> Loaded {
    // Many tests ask more often than a stranger should.
    let limits = if server.contains("[limits]") { "" } else { "[limits]\nenabled = false\n" };
    let allow = if more.contains("allow_users") { "" } else { "allow_users = \"anyone\"\n" };
    let text = format!(
        "{allow}{more}\n[server]\nworkers = 1\n{server}\n\n{limits}\n[[clients]]\nname = \"main\"\nclient_id = \"{}\"\n\
         client_secret = \"{}\"\nsources = [\"ios\"]\nscopes = [\"openid\"]\n\n[google]\ndiscovery_url = \"{}\"\ndrive_url = \"{}\"\n\n\
         [vault]\npath = \"{}\"\nroot_key = \"{}\"\n",
        seeded.web.client_id,
        seeded.web.secrets[0].expose(),
        emulator.discovery_url(),
        emulator.base_url(),
        dir.path().join("locum.db").display(),
        "5a".repeat(32),
    );
    let environment = Environment::given(dir.path(), Vec::<(String, String)>::new());
    match Config::parse(&text, &dir.path().join("locum.toml"), &environment) {
        Ok(loaded) => loaded,
        Err(error) => panic!("{error}\n{text}"),
    }
}
