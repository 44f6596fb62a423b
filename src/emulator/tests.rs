//! What the emulator answers, seen from its clients: endpoint functions called with a seeded world,
//! and a few ways over real HTTP.

mod grants;
mod http;
mod sign_in;
mod token_endpoint;

use serde_json::Value;

use super::oauth::TokenRequest;
use super::reply::Reply;
use super::*;
use crate::clock::Timestamp;
use crate::ids::{OAuthClientId, Sub};

/// A seeded world under a clock that stands still.
struct Seed {
    world: World,
    clock: Clock,
    seeded: Seeded,
}

const NOW: i64 = 1_795_368_972;

fn seed_world(world: World, clock: Clock) -> Seed {
    let seeded = world.seed_demo();
    Seed { world, clock, seeded }
}

fn seed() -> Seed {
    let clock = Clock::manual(Timestamp::from_unix(NOW));
    let base = Url::parse("http://127.0.0.1:1/").expect("a URL");
    seed_world(World::new(clock.clone(), Rng::seeded(1), base), clock)
}

impl Seed {
    fn alice(&self) -> &Sub {
        &self.seeded.people[0].sub
    }

    fn web(&self) -> &OAuthClientId {
        &self.seeded.web.client_id
    }

    fn secret(&self) -> &str {
        self.seeded.web.secrets[0].expose()
    }

    fn project(&self) -> &str {
        self.web().project()
    }

    /// A code as the SDK of a phone gets it.
    fn code(&self, scopes: &str) -> String {
        let request = CodeRequest::mobile(self.web(), self.alice(), scopes);
        self.world.issue_code(request).expose().to_owned()
    }

    fn exchange(&self, code: &str) -> Reply {
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", self.web().as_str()),
            ("client_secret", self.secret()),
            ("redirect_uri", ""),
            ("code", code),
        ];
        self.token(form.into())
    }

    fn refresh(&self, refresh_token: &str) -> Reply {
        self.token(self.refresh_request(refresh_token))
    }

    fn refresh_request(&self, refresh_token: &str) -> TokenRequest {
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", self.web().as_str()),
            ("client_secret", self.secret()),
            ("refresh_token", refresh_token),
        ];
        form.into()
    }

    /// As the route does it: counted, then answered.
    fn token(&self, request: TokenRequest) -> Reply {
        oauth::arrive(&self.world, &request);
        oauth::token(&self.world, &request)
    }

    /// The refresh token of a new sign-in with forced consent.
    fn refresh_token(&self, scopes: &str) -> String {
        let mut request = CodeRequest::mobile(self.web(), self.alice(), scopes);
        request.force_consent = true;
        let code = self.world.issue_code(request);
        text(&self.exchange(code.expose()), "refresh_token")
    }
}

/// A text member of a successful answer.
fn text(reply: &Reply, name: &str) -> String {
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.value()[name].as_str().unwrap_or_else(|| panic!("no {name} in {}", reply.body)).to_owned()
}

/// Status, error and description of a refusal.
fn refusal(reply: &Reply) -> (u16, String, String) {
    let body = reply.value();
    let member = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    (reply.status, member("error"), member("error_description"))
}

fn assert_refused(reply: &Reply, status: u16, error: &str, description: &str) {
    assert_eq!(refusal(reply), (status, error.to_owned(), description.to_owned()));
}

/// The claims of an ID token that the world's published keys signed.
fn claims(world: &World, id_token: &str) -> Value {
    world.keys().open(id_token).expect("signed by a published key").1
}
