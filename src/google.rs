//! Everything locum says to Google: discovery, keys, exchange, refresh, revocation, and the check of
//! what Google signed.
//!
//! Each function turns values into values. What must stay true:
//!
//! - nothing here keeps state, touches the vault or decides an HTTP status of locum's own;
//! - an exchange is sent once, and once more only with the client's second secret after Google
//!   refused the first; only idempotent calls are retried after an outage;
//! - secrets and tokens travel in request bodies, never in a URL, a log line or an error;
//! - no redirect is followed, and every answer has a limit in time and size.

mod authorization;
mod classify;
mod device;
pub mod drive;
mod endpoints;
mod error;
mod freshness;
pub mod id_token;
mod jwks;
mod oauth;
pub mod pkce;
mod strict_json;
mod wire;

#[cfg(test)]
mod tests;

pub use authorization::AuthorizationRequest;
pub use device::{DeviceCode, DevicePoll, refused_to_devices};
pub use endpoints::{DiscoveryFault, Endpoints};
pub use error::{ClientFault, CodeRefusal, GoogleError, Outage};
pub use id_token::{Expectation, IdClaims, IdTokenError};
pub use jwks::{KeySet, KeySetError, VerifyingKey};
pub use oauth::{ClientCredentials, CodeExchange, RevocableToken, Revocation, TokenAnswer};

use std::fmt;

use crate::clock::{Clock, Timestamp};
use crate::outbound::Outbound;
use crate::rng::Rng;

/// The calls to Google. Cheap to clone; holds no state of its own.
#[derive(Clone, Debug)]
pub struct Google {
    outbound: Outbound,
    clock: Clock,
    rng: Rng,
}

impl Google {
    /// Calls through `outbound`, with times from `clock` and retry jitter from `rng`.
    pub fn new(outbound: Outbound, clock: Clock, rng: Rng) -> Self {
        Self { outbound, clock, rng }
    }
}

/// A public document together with what is needed to keep it and to know when to ask again.
#[derive(Clone, PartialEq, Eq)]
pub struct Fetched<T> {
    /// The parsed document.
    pub value: T,
    /// The exact body, to be kept in the vault and parsed again after a restart.
    pub raw: Vec<u8>,
    /// When the answer came, on our clock.
    pub fetched_at: Timestamp,
    /// Until when the document may be used without asking again; at most a day ahead.
    pub fresh_until: Timestamp,
    /// Google's clock at that moment (the `Date` header and its `Age`), which shows how wrong ours is.
    pub server_date: Option<Timestamp>,
}

impl<T: fmt::Debug> fmt::Debug for Fetched<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetched")
            .field("value", &self.value)
            .field("fetched_at", &self.fetched_at)
            .field("fresh_until", &self.fresh_until)
            .field("server_date", &self.server_date)
            .finish_non_exhaustive()
    }
}
