//! Every person's app data, their storage, and the uploads under way: the part of the world's state that is
//! Drive's.

use std::collections::HashMap;
use std::sync::Arc;

use super::counts::DriveCounts;
use super::resumable::Session;
use super::store::Store;
use crate::clock::Timestamp;
use crate::ids::Sub;
use crate::rng::Rng;

/// Whose app data: a person's, for every client of one project.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Owner {
    pub(super) sub: Sub,
    pub(super) project: Box<str>,
}

/// The state of Drive.
#[derive(Debug, Default)]
pub(in crate::emulator) struct Drives {
    stores: HashMap<Owner, Store>,
    /// The most bytes a person may keep.
    pub(super) quotas: HashMap<Sub, u64>,
    pub(super) sessions: HashMap<String, Arc<Session>>,
    pub(in crate::emulator) counts: DriveCounts,
}

impl Drives {
    /// The app data, made when first asked for.
    pub(super) fn store(&mut self, rng: &Rng, now: Timestamp, owner: &Owner) -> &mut Store {
        self.stores.entry(owner.clone()).or_insert_with(|| Store::new(rng, now))
    }

    /// What a person keeps in all projects together, in bytes.
    pub(super) fn usage(&self, sub: &Sub) -> u64 {
        self.stores.iter().filter(|(owner, _)| owner.sub == *sub).map(|(_, store)| store.bytes()).sum()
    }

    /// What is left of a person's storage, where that is limited.
    pub(super) fn room(&self, sub: &Sub) -> Option<u64> {
        self.quotas.get(sub).map(|limit| limit.saturating_sub(self.usage(sub)))
    }
}
