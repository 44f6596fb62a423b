//! What the tests of this module share: a signing key whose private half is known, and a server that
//! says exactly what a test wants.

mod calls;
mod documents;
pub(super) mod key;
pub(super) mod server;

use crate::clock::Timestamp;

/// The tests' present: 2026-11-22T17:36:12Z.
pub(super) const NOW: Timestamp = Timestamp::from_unix(1_795_368_972);
