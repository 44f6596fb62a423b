//! locum against its own emulator, in one process: manual clock, seeded randomness, free ports.

#![expect(unreachable_pub, reason = "the harness is a module of this one binary")]

mod connect_again;
mod exchange;
mod forget;
mod harness;
mod model;
mod needles;
mod provider;
mod races;
mod refresh;
