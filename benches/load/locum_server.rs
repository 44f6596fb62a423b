//! A real locum, filled with grants, as the role of a child process.

use std::convert::Infallible;
use std::path::PathBuf;
use std::time::Instant;

use locum::api_keys::{Action, Actions, NewApiKey, UserBinding};
use locum::clock::Clock;
use locum::config::{Config, Environment, Loaded};
use locum::grant::GrantState;
use locum::lifecycle::Lifecycle;
use locum::rng::Rng;
use locum::scopes::ScopeSet;
use locum::secret::{AccessToken, RefreshToken, SecretKey};
use locum::server::{Listener, Listeners, Server};
use locum::state::AppState;
use locum::vault::{
    AccessChange, GrantChange, NewConnection, NewGrant, Profile, RefreshChange, RootSecret, Vault,
    VaultError, VaultSettings,
};

use crate::bare;

pub struct Settings {
    pub directory: PathBuf,
    pub provider: String,
    pub grants: u64,
    pub cache_bytes: u64,
}

/// Fills the vault if it is new, starts, and says `ready ADDRESS KEY MILLISECONDS`.
pub async fn serve(settings: Settings) -> std::io::Result<()> {
    let begun = Instant::now();
    let loaded = configuration(&settings)?;
    let config = &loaded.config;
    let vault = VaultSettings {
        path: config.vault.path.clone(),
        root: RootSecret::Key(SecretKey::new([0x5a; 32])),
        issuer: config.google.issuer.clone(),
        readers: bare::WORKERS + 1,
    };
    let vault = Vault::open(vault, Clock::system(), Rng::system()).map_err(std::io::Error::other)?;
    if vault.count_users().await.map_err(std::io::Error::other)? < settings.grants {
        fill(&vault, settings.grants).await.map_err(std::io::Error::other)?;
    }
    let state = AppState::build(loaded, vault, Clock::system(), Rng::system(), Lifecycle::new())
        .await
        .map_err(std::io::Error::other)?;
    let key = NewApiKey {
        name: "load".into(),
        actions: [Action::TokensRead].into_iter().collect::<Actions>(),
        users: UserBinding::All,
        clients: None,
        scopes: None,
        hosts: None,
        expires_at: None,
    };
    let (_, key) = state.api_keys.create(key).await.map_err(std::io::Error::other)?;
    let listener = bare::listen()?;
    let address = listener.local_addr()?;
    state.spawn_jobs();
    let listeners = Listeners { public: Some(Listener::Tcp(listener)), admin: None, metrics: None };
    let running = Server::start(state, listeners)?;
    bare::ready(address, &format!("{} {}", *key.expose(), begun.elapsed().as_millis()));
    running.failed().await;
    Err(std::io::Error::other("locum cannot go on"))
}

fn configuration(settings: &Settings) -> std::io::Result<Loaded> {
    let text = format!(
        "allow_users = \"anyone\"\n\
         [server]\nworkers = {}\n\
         [limits]\naddress_per_second = 1000000\naddress_burst = 1000000\n\
         key_per_second = 1000000\nkey_burst = 1000000\n\
         [tokens]\ncache_bytes = {}\n\
         [google]\ndiscovery_url = \"http://{}/.well-known/openid-configuration\"\n\
         [vault]\npath = {:?}\nroot_key = \"{}\"\n\
         [[clients]]\nname = \"main\"\nclient_id = {:?}\nclient_secret = {:?}\nsources = [\"ios\"]\n\
         scopes = [\"openid\", \"email\", \"profile\", \"https://www.googleapis.com/auth/drive.appdata\"]\n",
        bare::WORKERS,
        settings.cache_bytes,
        settings.provider,
        settings.directory.join("locum.db"),
        "5a".repeat(32),
        bare::CLIENT_ID,
        bare::CLIENT_SECRET,
    );
    let nothing = Vec::<(String, String)>::new();
    let environment = Environment::given(&settings.directory, nothing);
    Config::parse(&text, &settings.directory.join("locum.toml"), &environment)
        .map_err(|error| std::io::Error::other(error.to_string()))
}

/// Writes grants whose access tokens live longer than any run.
async fn fill(vault: &Vault, grants: u64) -> Result<(), VaultError> {
    const TOGETHER: u64 = 256;
    let scopes = ScopeSet::parse("openid email profile https://www.googleapis.com/auth/drive.appdata");
    let expires_at = Clock::system().now().plus(100_000);
    for start in (0..grants).step_by(TOGETHER as usize) {
        let writes = (start..grants.min(start + TOGETHER)).map(|n| {
            let new = NewConnection {
                profile: Profile {
                    sub: bare::sub(n).parse().expect("21 digits"),
                    email: Some(format!("person{n}@example.org").parse().expect("an address")),
                    email_verified: true,
                    name: Some(format!("Person {n}")),
                    given_name: None,
                    family_name: None,
                    picture: None,
                    locale: None,
                    hd: None,
                    admitted_by: "anyone".into(),
                },
                grant: NewGrant {
                    client_id: bare::CLIENT_ID.parse().expect("a client id"),
                    change: GrantChange {
                        state: Some(GrantState::Active),
                        scopes: Some(scopes.clone()),
                        refresh: RefreshChange::Replace {
                            token: RefreshToken::new(format!("1//0{n:0>99}")),
                            expires_at: None,
                        },
                        access: AccessChange::Replace {
                            token: AccessToken::new(bare::access_token(n)),
                            expires_at,
                        },
                        refreshed: true,
                        revoke_until: None,
                    },
                },
                redemption: None,
            };
            let sub = new.profile.sub.clone();
            async move { vault.connect(&sub, |_| Ok::<_, Infallible>((new, ()))).await }
        });
        for outcome in futures_util::future::join_all(writes).await {
            outcome?.map_err(|never| match never {}).map(drop)?;
        }
    }
    vault.checkpoint().await
}
