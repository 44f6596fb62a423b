//! locum stands in for people at Google while they are offline: an app hands it a one-time authorization
//! code, it keeps the refresh token sealed in one SQLite file, and the owner's programs ask it for fresh
//! access tokens. This page is the map of the code; `tests/it/layers.rs` checks what it says about imports.
//!
//! # Words
//!
//! A *user* is a person, keyed by Google's `sub`. A *client* is an OAuth client of the owner's Google Cloud
//! project, named in the configuration. A *grant* is what one user gave one client: scopes, refresh token,
//! state. An *API key* is what a program shows to locum, a *session* what an app's user shows. The *vault*
//! is the database file, the *root key* opens it. The *emulator* is a loopback Google inside the binary.
//!
//! # Layers
//!
//! Imports point downwards only, and no two modules import each other, not even in a circle.
//!
//! | layer | modules | imports |
//! |---|---|---|
//! | program | `main` | [`config`], [`cli`] |
//! | commands | [`cli`] | everything below, [`emulator`] |
//! | HTTP | [`server`] | [`state`] and below |
//! | | [`state`]: all services, built once | services and below |
//! | services | [`sign_in`], [`tokens`], [`users`], [`sessions`], [`owner_sessions`], [`api_keys`], [`provider`], [`app_data`], [`mirror`], [`clients`], [`events`], [`counts`] | each other without circles, and below |
//! | doors | [`google`], [`vault`], [`config`] | ground; never each other |
//! | stand-in | [`emulator`] | ground only; reached by [`cli`] and tests only |
//! | ground | [`clock`], [`rng`], [`secret`], [`ids`], [`scopes`], [`grant`], [`jwt`], [`outbound`], [`lifecycle`], [`metrics`], [`telemetry`], [`turns`] | ground |
//!
//! A thing with one home has no other: actix-web is named in [`server`] and [`emulator`], rusqlite in [`vault`],
//! figment in [`config`], clap and anyhow in [`cli`]. Only [`config`] reads the environment, only [`clock`] the
//! time, only [`rng`] draws randomness (ring's signatures apart: see [`jwt`]), only [`outbound`] builds HTTP
//! clients, only [`lifecycle`] spawns tasks; `clippy.toml` forbids the calls elsewhere.
//!
//! # The way of a code
//!
//! `POST /v1/exchange` → [`server`] (size, rate, `X-Requested-With`, fields) → [`sign_in::SignIn::redeem`], which
//! goes on as a task of its own whether or not the caller waits → one call of [`google`] trades the code → the ID
//! token is verified with the keys of [`provider`] → one transaction of [`vault`]: it finds the person, [`sign_in`]
//! decides, and user, grant and the remembered answer are written → the answer leaves after the commit is on disk.
//! Whoever is not in `allow_users` is refused by the decision: nothing is written, and the tokens just received are
//! revoked. A code goes to Google once; where it takes a refresh to know whether a stored refresh token still works,
//! the decision waits for that and is made anew.
//!
//! # The way of a browser
//!
//! `GET /v1/sign-in`, or the button of a connect link → [`sign_in::web_flow`] keeps what only this browser may go on
//! with (a cookie, a state, a verifier, a nonce) → Google → `GET /v1/sign-in/callback` → the way of a code, from
//! [`sign_in::SignIn`] on → a clean address: the site's own with a `locum_code` for `POST /v1/session`, or a page.
//!
//! `locum connect` takes the way of a code as well: [`sign_in::own_account`] makes the address, the command waits.
//!
//! # The way of the owner
//!
//! `locum admin link` → [`owner_sessions`] keeps a link for ten minutes → its page, its button → a session of its own for that
//! browser. Or a Google account of `dashboard.emails`, by [`sign_in::web_flow`] as far as a verified address and no further.
//! From there on [`server`] takes the cookie for the owner, where a page of its own asks.
//!
//! # The way of a token
//!
//! `GET /v1/users/{user}/token` → [`server`] → [`api_keys`] say what the caller may reach → [`tokens::Tokens::token`]: from
//! memory while it is fresh; else from the vault; else one refresh at Google, however many ask, written back by
//! compare-and-set. [`grant`] holds every state of a grant and every transition between them.
//!
//! # The way of a file
//!
//! `GET` or `PUT /v1/users/{user}/app-data/{path}` → [`server`] (who asks, the path, preconditions; content goes through
//! piece by piece) → [`app_data::AppData`] → a path becomes the one file it leads to → [`google::drive`] asks its
//! bearer, and so [`tokens`], for a token before each request, moves the content a piece at a time and compares
//! size and checksum. Writes of one person take turns.
//!
//! # The way of an event
//!
//! A service that has done something says so to [`events`], which writes it at once (what the owner does) or within a
//! second (what happens by itself). A reader of `GET /v1/events` is woken by a signal and reads on in the [`vault`] behind
//! the last id it saw. [`counts`] keeps what [`metrics`] counts, by the hour.
//!
//! # What must stay true
//!
//! 1. A refresh token travels between [`google`], [`sign_in`], [`users`], [`tokens`] and [`vault`] only. It is never in a
//!    response, a log, a metric, an error or a URL.
//! 2. Nothing but [`vault`] sees SQL or ciphertext; nothing but [`google`] speaks to Google.
//! 3. Nothing below [`server`] decides an HTTP status; one file there maps every error to a problem (RFC 9457).
//! 4. An acknowledged exchange is durable.
//! 5. A grant dies only when Google says so. An outage, a wrong client secret or a wrong clock never kills one.
//! 6. A stored refresh token is never overwritten by none, nor by one of fewer scopes while it still works.
//! 7. At most one refresh per grant and set of scopes is under way, and a crash leaves no lock to clear.
//! 8. An exchange, a refresh, a revocation or a write of app data that has begun is finished, whoever hangs up; a graceful stop waits for it.
//! 9. The emulator listens on loopback only and never sees a real secret.
//! 10. A corrupt or unreadable vault is an error for a person. Nothing repairs one by deleting anything.
//!
//! Each module's own page says what it holds, what must stay true there and what it must not do.

pub mod api_keys;
pub mod app_data;
pub mod cli;
pub mod clients;
pub mod clock;
pub mod config;
pub mod counts;
pub mod emulator;
pub mod events;
pub mod google;
pub mod grant;
pub mod ids;
pub mod jwt;
pub mod lifecycle;
pub mod metrics;
pub mod mirror;
pub mod outbound;
pub mod owner_sessions;
pub mod provider;
pub mod rng;
pub mod scopes;
pub mod secret;
pub mod server;
pub mod sessions;
pub mod sign_in;
pub mod state;
pub mod telemetry;
pub mod tokens;
pub mod turns;
pub mod users;
pub mod vault;
