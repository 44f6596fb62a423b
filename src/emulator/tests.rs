//! What the emulator answers, seen from its clients: endpoint functions called with a seeded world,
//! and a few ways over real HTTP.

mod http;

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
}
