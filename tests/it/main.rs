//! locum against its own emulator, in one process: manual clock, seeded randomness, free ports.

#![expect(unreachable_pub, reason = "the harness is a module of this one binary")]

mod exchange;
mod cli;
mod harness;
mod kill;
mod program;
mod refresh;
