//! A complete locum on a temporary vault, beside an emulator, in one process.
//!
//! Both live on one manual clock. A test steers the emulator's world and its faults, asks locum through
//! its services or over HTTP, and then looks into both.

use locum::clock::{Clock, Timestamp};
use locum::config::{Config, Environment, Loaded};
use locum::emulator::{CodeRequest, Emulator, EmulatorSettings, Person, Seeded};
use locum::events::Actor;
use locum::ids::{ClientName, UserId};
use locum::lifecycle::Lifecycle;
use locum::rng::Rng;
use locum::secret::{AuthorizationCode, SecretKey};
use locum::sign_in::{ExchangeRequest, Exchanged, SignInError};
use locum::state::AppState;
use locum::tokens::{HandedToken, Reach, TokenError, TokenRequest};
use locum::vault::{RootSecret, Vault, VaultSettings};
use tempfile::TempDir;

/// 2026-11-22T17:36:12Z, the moment of the fact sheet's examples.
pub const START: Timestamp = Timestamp::from_unix(1_795_368_972);
pub const SCOPES: &str = "openid email profile https://www.googleapis.com/auth/drive.appdata";

pub struct TestLocum {
    pub emulator: Emulator,
    pub seeded: Seeded,
    pub clock: Clock,
    pub state: AppState,
    pub dir: TempDir,
    extra: String,
    seed: u64,
}

impl TestLocum {
    /// One client, `main`, that takes codes from iOS and everybody.
    pub async fn start() -> Self {
        Self::start_with("").await
    }

    /// As [`TestLocum::start`], with more configuration.
    pub async fn start_with(extra: &str) -> Self {
        let clock = Clock::manual(START);
        let emulator = Emulator::start(EmulatorSettings::new(clock.clone(), Rng::seeded(1)))
            .await
            .expect("a free loopback port");
        let seeded = emulator.world.seed_demo();
        let dir = tempfile::tempdir().expect("a temporary directory");
        let state = open(&emulator, &seeded, &clock, &dir, extra, 2).await;
        Self { emulator, seeded, clock, state, dir, extra: extra.to_owned(), seed: 2 }
    }

    /// Closes the vault and opens everything anew on the same file, as a restart does.
    pub async fn restart(self) -> Self {
        let extra = self.extra.clone();
        self.restart_with(&extra).await
    }

    /// As [`TestLocum::restart`], with another configuration.
    pub async fn restart_with(self, extra: &str) -> Self {
        self.state.lifecycle.stop(std::time::Duration::from_secs(10)).await;
        self.state.vault.close().await;
        let Self { emulator, seeded, clock, state, dir, seed, .. } = self;
        drop(state);
        let state = open(&emulator, &seeded, &clock, &dir, extra, seed + 1).await;
        Self { emulator, seeded, clock, state, dir, extra: extra.to_owned(), seed: seed + 1 }
    }

    pub fn alice(&self) -> &Person {
        &self.seeded.people[0]
    }

    pub fn bob(&self) -> &Person {
        &self.seeded.people[1]
    }

    /// A code as an app's SDK would get it.
    pub fn code(&self, person: &Person) -> AuthorizationCode {
        self.code_with(person, |_| {})
    }

    pub fn code_with(&self, person: &Person, change: impl FnOnce(&mut CodeRequest)) -> AuthorizationCode {
        let mut request = CodeRequest::mobile(&self.seeded.web.client_id, &person.sub, SCOPES);
        change(&mut request);
        self.emulator.world.issue_code(request)
    }

    pub async fn redeem(&self, code: AuthorizationCode) -> Result<Exchanged, SignInError> {
        self.state.sign_in.redeem(request(code), &Actor::locum()).await
    }

    /// Signs a person in and returns their row.
    pub async fn connect(&self, person: &Person) -> UserId {
        self.redeem(self.code(person)).await.expect("a good code").user
    }

    pub async fn token(&self, user: UserId) -> Result<HandedToken, TokenError> {
        self.token_with(user, |_| {}).await
    }

    /// A token of the grant that the user gave to this client.
    pub async fn token_of(&self, user: UserId, name: &str) -> Result<HandedToken, TokenError> {
        let (client, reach) = (client(name), Reach::EVERYTHING);
        let client = Some(&client);
        let request = TokenRequest {
            person: user.into(),
            client,
            scopes: None,
            min_ttl: None,
            rejected: None,
            reach: &reach,
        };
        self.state.tokens.token(request).await
    }

    pub async fn token_with(
        &self,
        user: UserId,
        change: impl FnOnce(&mut TokenRequest<'_>),
    ) -> Result<HandedToken, TokenError> {
        let mut request = TokenRequest {
            person: user.into(),
            client: None,
            scopes: None,
            min_ttl: None,
            rejected: None,
            reach: &Reach::EVERYTHING,
        };
        change(&mut request);
        self.state.tokens.token(request).await
    }
}

/// A request with nothing but its code.
pub fn request(code: AuthorizationCode) -> ExchangeRequest {
    ExchangeRequest {
        code,
        client: None,
        source: None,
        code_verifier: None,
        nonce: None,
        redirect_uri: None,
        idempotency_key: None,
    }
}

pub fn client(name: &str) -> ClientName {
    name.parse().expect("a client name")
}

pub const ROOT_KEY: [u8; 32] = [0x5a; 32];

async fn open(
    emulator: &Emulator,
    seeded: &Seeded,
    clock: &Clock,
    dir: &TempDir,
    extra: &str,
    seed: u64,
) -> AppState {
    let loaded = configuration(emulator, seeded, dir, extra);
    let config = &loaded.config;
    let vault = VaultSettings {
        path: config.vault.path.clone(),
        root: RootSecret::Key(SecretKey::new(ROOT_KEY)),
        issuer: config.google.issuer.clone(),
        readers: 2,
    };
    let vault = Vault::open(vault, clock.clone(), Rng::seeded(seed)).expect("a fresh vault");
    AppState::build(loaded, vault, clock.clone(), Rng::seeded(seed + 1000), Lifecycle::new())
        .await
        .expect("an open vault")
}

/// `extra` comes first, so that it may set top-level keys and add tables of its own. What it sets
/// itself is left out of the defaults.
fn configuration(emulator: &Emulator, seeded: &Seeded, dir: &TempDir, extra: &str) -> Loaded {
    let mut text = String::new();
    if !extra.contains("allow_users") {
        text.push_str("allow_users = \"anyone\"\n");
    }
    text.push_str(extra);
    // With an address of its own it takes the codes of its own sign-in, too.
    let sources = if extra.contains("public_url") { r#"["ios", "web"]"# } else { r#"["ios"]"# };
    if !extra.contains("name = \"main\"") {
        text.push_str(&format!(
            "\n[[clients]]\nname = \"main\"\nclient_id = \"{}\"\nclient_secret = \"{}\"\nsources = {sources}\n\
             scopes = [{}]\n",
            seeded.web.client_id,
            seeded.web.secrets[0].expose(),
            SCOPES.split(' ').map(|scope| format!("{scope:?}")).collect::<Vec<_>>().join(", "),
        ));
    }
    let path = dir.path().join("locum.toml");
    text.push_str(&format!(
        "\n[google]\ndiscovery_url = \"{}\"\ndrive_url = \"{}\"\n\n[vault]\npath = \"{}\"\nroot_key = \"{}\"\n",
        emulator.discovery_url(),
        emulator.base_url(),
        dir.path().join("locum.db").display(),
        "5a".repeat(32),
    ));
    let environment = Environment::given(dir.path(), Vec::<(String, String)>::new());
    match Config::parse(&text, &path, &environment) {
        Ok(loaded) => loaded,
        Err(error) => panic!("{error}\n{text}"),
    }
}
