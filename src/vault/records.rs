//! People, grants and what belongs to them, as rows on whichever connection is at hand.

use std::sync::atomic::AtomicI64;

use super::keyring::Keyring;
use crate::clock::Clock;
use crate::rng::Rng;

/// What rows are found, opened, made and written with. A job for the writer's thread holds on to this and never
/// to the vault: the last handle of a vault that goes away closes it, and waits for the jobs.
#[derive(Debug)]
pub(super) struct Records {
    pub(super) keys: Keyring,
    /// The canonical issuer whose `sub`s are kept.
    pub(super) issuer: String,
    pub(super) clock: Clock,
    pub(super) rng: Rng,
    /// Counts the redemptions written, for their ids.
    pub(super) redemptions: AtomicI64,
}
