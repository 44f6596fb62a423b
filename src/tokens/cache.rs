//! A bounded cache in front of the vault that never keeps what was changed while it was read.
//!
//! A reader that misses takes a ticket, loads from the vault and fills. A writer drops the key after
//! its commit. Were that all, a reader could load the old row, the writer commit and drop, and the
//! reader then fill in the old row for good: a forgotten user's token would be handed out on. So a
//! drop ends every ticket of its shard, and a fill with an ended ticket does nothing.

use std::hash::{BuildHasher as _, Hash};
use std::sync::{Mutex, MutexGuard, PoisonError};

use moka::sync::Cache;

const SHARDS: usize = 64;

pub(super) struct ReadThrough<K, V> {
    cache: Cache<K, V>,
    shards: [Mutex<u64>; SHARDS],
    hasher: std::hash::RandomState,
}

/// The right to fill a key with what is loaded from now on.
pub(super) struct Ticket(u64);

impl<K, V> ReadThrough<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub(super) fn new(max_bytes: u64, weigh: impl Fn(&K, &V) -> u32 + Send + Sync + 'static) -> Self {
        Self {
            cache: Cache::builder().max_capacity(max_bytes).weigher(weigh).build(),
            shards: std::array::from_fn(|_| Mutex::new(0)),
            hasher: std::hash::RandomState::new(),
        }
    }

    fn shard(&self, key: &K) -> MutexGuard<'_, u64> {
        let hash = self.hasher.hash_one(key);
        #[expect(clippy::cast_possible_truncation, reason = "any bits of a hash will do")]
        let shard = hash as usize % SHARDS;
        self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, key: &K) -> Option<V> {
        self.cache.get(key)
    }

    /// Taken before the vault is read.
    pub(super) fn ticket(&self, key: &K) -> Ticket {
        Ticket(*self.shard(key))
    }

    pub(super) fn fill(&self, key: K, value: V, ticket: Ticket) {
        let shard = self.shard(&key);
        if *shard == ticket.0 {
            self.cache.insert(key, value);
        }
    }

    /// Called after the commit of a change.
    pub(super) fn drop_key(&self, key: &K) {
        let mut shard = self.shard(key);
        *shard += 1;
        self.cache.invalidate(key);
    }
}

impl<K, V> std::fmt::Debug for ReadThrough<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ReadThrough")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_loaded_before_a_change_is_not_kept() {
        let cache = ReadThrough::new(1 << 20, |_: &u8, _: &&str| 1);
        let early = cache.ticket(&1);
        cache.drop_key(&1);
        cache.fill(1, "old", early);
        assert_eq!(cache.get(&1), None);
        let late = cache.ticket(&1);
        cache.fill(1, "new", late);
        assert_eq!(cache.get(&1), Some("new"));
        cache.drop_key(&1);
        assert_eq!(cache.get(&1), None);
    }
}
