//! locum against its own emulator, in one process: manual clock, seeded randomness, free ports.

mod exchange;
mod harness;
mod refresh;
