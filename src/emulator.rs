//! A loopback Google: sign-in, tokens, keys, revocation and the app data of Drive as Google answers them,
//! for tests, `demo` and an app's own CI.
//!
//! It listens on the loopback interface only and keeps everything in memory. Its [`World`] can be
//! steered and inspected directly; the control interface under `/emulator/` does the same over HTTP.
//! Checks, their order and their texts follow what is known of the live service. It must never see a
//! real secret, and nothing but `cli` and tests may use it.

mod access_tokens;
pub mod consent;
pub mod control;
pub mod device;
pub mod drive;
mod fault_orders;
pub mod faults;
pub mod form;
mod granting;
mod grants;
pub mod holds;
mod id_tokens;
pub mod inspect;
pub mod keys;
pub mod oauth;
mod pages;
pub mod people;
mod registry;
pub mod reply;
mod routes;
pub mod seed;
mod serving;
pub mod settings;
pub mod world;

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, web};
use url::Url;

pub use drive::{AppData, DriveCounts, DriveReason, DriveRefusal, SeenFile};
pub use faults::{Endpoint, Fault, Faults};
pub use holds::Hold;
pub use people::{CannotIssue, ChallengeMethod, ClientKind, CodeRequest, Counts, Person, RegisteredClient};
pub use seed::Seeded;
pub use settings::Settings;
pub use world::{Access, World};

use crate::clock::Clock;
use crate::lifecycle::Lifecycle;
use crate::rng::Rng;

/// How an emulator is started.
#[derive(Debug)]
pub struct EmulatorSettings {
    /// The time it lives in.
    pub clock: Clock,
    /// Where its codes, tokens and ids come from.
    pub rng: Rng,
    /// Where it listens: a loopback address; a free port of 127.0.0.1 when nothing is given.
    pub listener: Option<TcpListener>,
    /// Worker threads.
    pub workers: usize,
}

impl EmulatorSettings {
    /// One worker on a free port.
    pub const fn new(clock: Clock, rng: Rng) -> Self {
        Self { clock, rng, listener: None, workers: 1 }
    }
}

/// A running emulator.
#[derive(Debug)]
pub struct Emulator {
    /// Its state.
    pub world: World,
    handle: ServerHandle,
    lifecycle: Lifecycle,
}

impl Emulator {
    /// Starts listening. Needs a running tokio or actix runtime, on which it stays.
    ///
    /// # Errors
    /// When the address is not loopback ([`io::ErrorKind::PermissionDenied`]) or cannot be used.
    pub async fn start(settings: EmulatorSettings) -> io::Result<Self> {
        let listener = match settings.listener {
            Some(listener) => listener,
            None => TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?,
        };
        let address = listener.local_addr()?;
        if !address.ip().is_loopback() {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "the emulator listens on a loopback address only: use 127.0.0.1 or [::1]",
            ));
        }
        let base = Url::parse(&format!("http://{address}/")).map_err(io::Error::other)?;
        let world = World::new(settings.clock, settings.rng, base);
        let data = web::Data::new(world.clone());
        let server = HttpServer::new(move || App::new().app_data(data.clone()).configure(routes::configure))
            .on_connect(serving::remember_socket)
            .workers(settings.workers.max(1))
            .disable_signals()
            .shutdown_timeout(1)
            .listen(listener)?
            .run();
        let (handle, lifecycle) = (server.handle(), Lifecycle::new());
        lifecycle.spawn(server);
        Ok(Self { world, handle, lifecycle })
    }

    /// `http://127.0.0.1:PORT/`.
    pub fn base_url(&self) -> &Url {
        self.world.base_url()
    }

    /// Where its discovery document is.
    pub fn discovery_url(&self) -> Url {
        self.world.url("/.well-known/openid-configuration")
    }

    /// Stops at once; requests under way are cut.
    pub async fn stop(self) {
        self.handle.stop(false).await;
        self.lifecycle.stop(Duration::from_secs(5)).await;
    }
}

#[cfg(test)]
mod tests;
