//! A bounded cache in front of the vault that never keeps what was changed while it was read.
//!
//! A reader that misses takes a ticket, loads from the vault and fills. A writer drops the key after
//! its commit. Were that all, a reader could load the old row, the writer commit and drop, and the
//! reader then fill in the old row for good: a forgotten user's token would be handed out on. So a
//! drop ends every ticket there is, whatever its key, and a fill with an ended ticket does nothing: a reader
//! does not know whose row it will find, and a read is short beside the time between two commits.

use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use quick_cache::Weighter;
use quick_cache::sync::Cache;

/// What an entry is taken to weigh when the cache is laid out; the limit holds whatever they weigh.
const TYPICAL_WEIGHT: u64 = 512;

/// A cache limited by the bytes its entries weigh.
pub(super) struct Bounded<K, V>(Cache<K, V, Weigh<K, V>>);

struct Weigh<K, V>(fn(&K, &V) -> usize);

// By hand: a derived one would ask the same of keys and values.
impl<K, V> Clone for Weigh<K, V> {
    fn clone(&self) -> Self {
        Self(self.0)
    }
}

impl<K, V> Weighter<K, V> for Weigh<K, V> {
    fn weight(&self, key: &K, value: &V) -> u64 {
        (self.0)(key, value) as u64
    }
}

impl<K: Hash + Eq, V: Clone> Bounded<K, V> {
    pub(super) fn new(max_bytes: u64, weigh: fn(&K, &V) -> usize) -> Self {
        let items = usize::try_from(max_bytes / TYPICAL_WEIGHT).unwrap_or(usize::MAX).max(1);
        Self(Cache::with_weighter(items, max_bytes, Weigh(weigh)))
    }

    pub(super) fn get(&self, key: &K) -> Option<V> {
        self.0.get(key)
    }

    pub(super) fn insert(&self, key: K, value: V) {
        self.0.insert(key, value);
    }

    pub(super) fn remove(&self, key: &K) {
        self.0.remove(key);
    }
}

impl<K, V> std::fmt::Debug for Bounded<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bounded")
    }
}

#[derive(Debug)]
pub(super) struct ReadThrough<K, V> {
    cache: Bounded<K, V>,
    drops: AtomicU64,
    /// Held while a fill looks at the count and fills, and while a drop counts and drops.
    filling: Mutex<()>,
}

/// The right to fill in what is loaded from now on.
#[derive(Clone, Copy)]
pub(super) struct Ticket(u64);

impl<K: Hash + Eq, V: Clone> ReadThrough<K, V> {
    pub(super) fn new(max_bytes: u64, weigh: fn(&K, &V) -> usize) -> Self {
        Self { cache: Bounded::new(max_bytes, weigh), drops: AtomicU64::new(0), filling: Mutex::new(()) }
    }

    pub(super) fn get(&self, key: &K) -> Option<V> {
        self.cache.get(key)
    }

    /// Taken before the vault is read.
    pub(super) fn ticket(&self) -> Ticket {
        Ticket(self.drops.load(Ordering::SeqCst))
    }

    pub(super) fn fill(&self, key: K, value: V, ticket: Ticket) {
        let _filling = self.filling.lock().unwrap_or_else(PoisonError::into_inner);
        if self.drops.load(Ordering::SeqCst) == ticket.0 {
            self.cache.insert(key, value);
        }
    }

    /// Called after the commit of a change.
    pub(super) fn drop_key(&self, key: &K) {
        let _filling = self.filling.lock().unwrap_or_else(PoisonError::into_inner);
        self.drops.fetch_add(1, Ordering::SeqCst);
        self.cache.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_loaded_before_a_change_is_not_kept() {
        let cache = ReadThrough::new(1 << 20, |_: &u8, _: &&str| 1);
        let early = cache.ticket();
        cache.drop_key(&1);
        cache.fill(1, "old", early);
        assert_eq!(cache.get(&1), None);
        let late = cache.ticket();
        cache.fill(1, "new", late);
        assert_eq!(cache.get(&1), Some("new"));
        cache.drop_key(&1);
        assert_eq!(cache.get(&1), None);
    }

    #[test]
    fn the_limit_holds() {
        let cache = ReadThrough::new(100_000, |_: &u32, value: &String| value.len());
        for n in 0..10_000 {
            cache.fill(n, "x".repeat(100), cache.ticket());
        }
        let kept = (0..10_000).filter(|n| cache.get(n).is_some()).count();
        assert!((500..=1_000).contains(&kept), "{kept}");
    }
}
