//! locum against its own emulator, in one process: manual clock, seeded randomness, free ports.

#![expect(unreachable_pub, reason = "the harness is a module of this one binary")]

mod app_data;
mod browser;
mod cli;
mod cli_help;
mod connect_again;
mod connect_links;
mod connect_own;
mod damage;
mod dashboard;
mod disk;
mod docs;
mod drive;
mod drive_cli;
mod events;
mod exchange;
mod forget;
mod harness;
mod kill;
mod layers;
mod memory;
mod mirror;
mod mirror_kill;
mod model;
mod needles;
mod people;
mod program;
mod provider;
mod races;
mod refresh;
mod sign_in_web;
