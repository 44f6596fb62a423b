//! What is not asked of Google for a while, because Google keeps refusing it for no reason of its own.
//!
//! A *client* is paused while Google refuses the client itself. That is the owner's to mend (a wrong
//! secret, a deleted client) and no grant's fault, so every refresh of the client waits. A *grant* is
//! paused while Google refuses it in a way that says nothing about the grant's state; the client's
//! other grants go on. One refresh is let through as a probe after 1, 5 and 15 minutes, then every hour.
//! A pause lives in memory: a restart probes at once.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Timestamp;

/// Seconds from one probe to the next.
const PROBES: [i64; 4] = [60, 300, 900, 3600];
/// Pauses kept at the most. One that finds no room only means that Google is asked again sooner.
const MOST: usize = 10_000;

/// One pause, with what Google has against its subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pause<F> {
    pub(super) fault: F,
    pub(super) since: Timestamp,
    pub(super) next_probe: Timestamp,
    probes: usize,
}

impl<F> Pause<F> {
    /// A probe further ahead than any is ever put off was planned by a clock that was wrong.
    fn is_due(&self, now: Timestamp) -> bool {
        now >= self.next_probe || self.next_probe.since(now) > PROBES[PROBES.len() - 1]
    }

    pub(super) fn retry_after(&self, now: Timestamp) -> Duration {
        Duration::from_secs(self.next_probe.since(now).max(1).unsigned_abs())
    }
}

#[derive(Debug)]
pub(super) struct Pauses<K, F>(Mutex<HashMap<K, Pause<F>>>);

impl<K, F> Default for Pauses<K, F> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Hash + Eq + Ord + Clone, F: Copy> Pauses<K, F> {
    fn table(&self) -> MutexGuard<'_, HashMap<K, Pause<F>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a refresh pass, or says why not. Who is let past a pause is its probe: the next one is
    /// already put off when this returns.
    pub(super) fn pass(&self, key: &K, now: Timestamp) -> Result<(), Pause<F>> {
        match self.table().get_mut(key) {
            None => Ok(()),
            Some(pause) if pause.is_due(now) => {
                pause.probes += 1;
                pause.next_probe = now.plus(PROBES[pause.probes.min(PROBES.len() - 1)]);
                Ok(())
            }
            Some(pause) => Err(*pause),
        }
    }

    /// Google refused. Says also whether this is news.
    pub(super) fn begin(&self, key: &K, fault: F, now: Timestamp) -> (Pause<F>, bool) {
        let mut table = self.table();
        if let Some(pause) = table.get_mut(key) {
            pause.fault = fault;
            return (*pause, false);
        }
        if table.len() >= MOST {
            table.retain(|_, pause| !pause.is_due(now));
        }
        let pause = Pause { fault, since: now, next_probe: now.plus(PROBES[0]), probes: 0 };
        if table.len() < MOST {
            table.insert(key.clone(), pause);
        }
        (pause, true)
    }

    /// Google accepted. Returns whether a pause ended by it.
    pub(super) fn end(&self, key: &K) -> bool {
        self.table().remove(key).is_some()
    }

    pub(super) fn contains(&self, key: &K) -> bool {
        self.table().contains_key(key)
    }

    /// Whether a refresh would not be let through now.
    pub(super) fn holds(&self, key: &K, now: Timestamp) -> bool {
        self.table().get(key).is_some_and(|pause| !pause.is_due(now))
    }

    pub(super) fn len(&self) -> usize {
        self.table().len()
    }

    /// Every pause, in the order of its key.
    pub(super) fn all(&self) -> Vec<(K, Pause<F>)> {
        let mut all: Vec<_> = self.table().iter().map(|(key, pause)| (key.clone(), *pause)).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_unix(1_000_000);

    #[test]
    fn one_probe_at_1_5_15_and_then_every_60_minutes() {
        let pauses = Pauses::default();
        assert_eq!(pauses.pass(&"a", START), Ok(()));
        assert!(pauses.begin(&"a", 7, START).1);
        let mut passed = Vec::new();
        for minute in 0..=150 {
            let now = START.plus(minute * 60);
            for _ in 0..3 {
                if pauses.pass(&"a", now).is_ok() {
                    passed.push(minute);
                    assert!(!pauses.begin(&"a", 7, now).1);
                }
            }
        }
        assert_eq!(passed, [1, 6, 21, 81, 141]);
        assert_eq!(pauses.pass(&"b", START), Ok(()), "the others go on");
        assert!(pauses.end(&"a"));
        assert_eq!(pauses.pass(&"a", START), Ok(()));
    }

    #[test]
    fn a_clock_that_was_put_back_does_not_prolong_a_pause() {
        let pauses = Pauses::default();
        pauses.begin(&1, (), START.plus(365 * 86_400));
        assert!(!pauses.holds(&1, START));
        assert_eq!(pauses.pass(&1, START), Ok(()));
        assert!(pauses.holds(&1, START));
    }

    #[test]
    fn there_is_an_end_to_the_pauses_that_are_kept() {
        let pauses = Pauses::default();
        for key in 0..2 * MOST {
            pauses.begin(&key, (), START);
        }
        assert_eq!(pauses.len(), MOST);
        pauses.begin(&usize::MAX, (), START.plus(60));
        assert_eq!(pauses.len(), 1, "those that are due make room");
    }
}
