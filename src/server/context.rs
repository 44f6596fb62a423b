//! What every request of a server shares.

use std::sync::Arc;

use actix_web::{HttpMessage as _, HttpRequest};

use super::addresses::OwnAddresses;
use super::auth::ShownKey;
use super::client_address::TrustedProxies;
use super::problem::{Code, Problem};
use super::rate_limit::RateLimits;
use super::remembered::Remembered;
use super::request_id::RequestIds;
use super::routes;
use crate::app_data::AppDataError;
use crate::clock::Timestamp;
use crate::config::Source;
use crate::events::Actor;
use crate::metrics::RouteMetrics;
use crate::state::AppState;
use crate::tokens::TokenError;
use crate::vault::{GrantCounts, GrantsInNeed};

/// Which listener a request came through, and so what its caller is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// Where apps and programs come in; everybody shows who they are.
    Public,
    /// The admin socket; whoever the file system and the peer check let in is the owner.
    Admin,
    /// The metrics listener, loopback only; it knows `/metrics` and the health routes.
    Metrics,
}

/// Shared by all workers of all listeners.
pub(super) struct Context {
    pub(super) state: AppState,
    pub(super) ids: RequestIds,
    pub(super) limits: RateLimits,
    pub(super) proxies: TrustedProxies,
    pub(super) addresses: OwnAddresses,
    /// One for each row of [`routes::TABLE`], and one more for what matches none.
    pub(super) routes: Vec<RouteMetrics>,
    pub(super) started_at: Timestamp,
    /// The last count of grants.
    pub(super) counts: Remembered<GrantCounts>,
    /// The grants that somebody may have to look after.
    pub(super) in_need: Remembered<Arc<GrantsInNeed>>,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Context(…)")
    }
}

impl Context {
    /// `listens_on` is the address of the public listener, where it has one.
    pub(super) fn new(state: AppState, listens_on: Option<std::net::SocketAddr>) -> Self {
        let names = routes::TABLE.iter().map(|resource| resource.path).chain([routes::UNMATCHED]);
        Self {
            ids: RequestIds::new(&state.rng),
            limits: RateLimits::new(&state.config.limits, state.metrics.clone()),
            addresses: OwnAddresses::new(state.config.server.public_url.clone(), listens_on),
            proxies: TrustedProxies::new(state.config.server.trusted_proxies.clone()),
            routes: names.map(|name| state.metrics.route(name)).collect(),
            started_at: state.clock.now(),
            counts: Remembered::default(),
            in_need: Remembered::default(),
            state,
        }
    }

    /// Why there is no token. Where the person must sign in again, it says at which address, if there is one.
    pub(super) fn token_problem(&self, error: TokenError) -> Problem {
        let client = match &error {
            TokenError::ConsentRequired { client, .. } => client.clone(),
            _ => None,
        };
        let config = &self.state.config;
        let usable = client
            .filter(|name| config.client(name).is_some_and(|client| client.sources.contains(&Source::Web)));
        let url = config.server.public_route(&["v1", "sign-in"]);
        let problem = Problem::from(error);
        match url.zip(usable) {
            Some((mut url, client)) => {
                url.query_pairs_mut().append_pair("client", client.as_str());
                problem.with("connect_url", url.as_str())
            }
            None => problem,
        }
    }

    /// As [`Context::token_problem`], for what could not be done for want of a token.
    pub(super) fn app_data_problem(&self, error: AppDataError) -> Problem {
        match error {
            AppDataError::Token(error) => self.token_problem(error),
            error => error.into(),
        }
    }

    /// Does something and tells of it, to its end: a caller who goes away must not make an event get lost.
    pub(super) async fn to_the_end<T, E>(
        &self,
        work: impl Future<Output = Result<T, E>> + Send + 'static,
    ) -> Result<T, Problem>
    where
        T: Send + 'static,
        E: Send + 'static,
        Problem: From<E>,
    {
        let outcome = self.state.lifecycle.run(work).await;
        Ok(outcome.map_err(|died| Problem::new(Code::Interrupted).because(died))??)
    }

    /// Somebody who is not known, or the person themself.
    pub(super) fn visitor(&self, request: &HttpRequest) -> Actor {
        Actor::user(Some(self.client_address(request)))
    }

    /// Counts a request for what no key opens under its address: one that shows a key was counted under that alone.
    pub(super) fn count_visitor(&self, request: &HttpRequest) -> Result<(), Problem> {
        if request.extensions().get::<ShownKey>().is_none() {
            return Ok(());
        }
        self.limits.check_address(self.client_address(request))
    }

    /// The address that rate limits count the request under.
    pub(super) fn client_address(&self, request: &HttpRequest) -> std::net::IpAddr {
        self.proxies.client_address(request.peer_addr().map(|peer| peer.ip()), request.headers())
    }
}
