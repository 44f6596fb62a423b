//! Taking turns: so many at a time for each person, or each key.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The line of each.
#[derive(Debug)]
struct Table<K>(Mutex<HashMap<K, Arc<Semaphore>>>);

impl<K> Table<K> {
    fn lines(&self) -> MutexGuard<'_, HashMap<K, Arc<Semaphore>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whose turn it is and who waits. Cheap to clone; clones share their turns. One of whom nobody waits takes no
/// memory.
#[derive(Clone, Debug)]
pub struct Turns<K> {
    at_once: usize,
    table: Arc<Table<K>>,
}

/// The right to do something on somebody's behalf, until it is dropped.
#[derive(Debug)]
pub struct Turn<K: Eq + Hash> {
    // Dropped in this order: the next in line is let in before the place is looked at.
    _permit: OwnedSemaphorePermit,
    _place: Place<K>,
}

/// A place in the line, which takes itself out of the table when it is the last.
#[derive(Debug)]
struct Place<K: Eq + Hash> {
    key: K,
    table: Arc<Table<K>>,
}

impl<K: Clone + Eq + Hash> Turns<K> {
    /// Turns that so many have at one time for each.
    pub fn new(at_once: usize) -> Self {
        Self { at_once, table: Arc::new(Table(Mutex::default())) }
    }

    /// Waits for the turn. Whoever stops waiting leaves the line.
    pub async fn take(&self, key: K) -> Turn<K> {
        let (line, place) = self.line(key);
        let permit = line.acquire_owned().await.expect("nobody closes a line");
        Turn { _permit: permit, _place: place }
    }

    /// The turn, if it is free.
    pub fn try_take(&self, key: K) -> Option<Turn<K>> {
        let (line, place) = self.line(key);
        Some(Turn { _permit: line.try_acquire_owned().ok()?, _place: place })
    }

    fn line(&self, key: K) -> (Arc<Semaphore>, Place<K>) {
        let mut lines = self.table.lines();
        let line = lines.entry(key.clone()).or_insert_with(|| Arc::new(Semaphore::new(self.at_once))).clone();
        (line, Place { key, table: self.table.clone() })
    }
}

impl<K: Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut lines = self.table.lines();
        // A permit and every waiter hold the line itself; when only the table does, nobody needs it.
        if lines.get(&self.key).is_some_and(|line| Arc::strong_count(line) == 1) {
            lines.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: i64 = 1;
    const BOB: i64 = 2;

    fn waiting(turns: &Turns<i64>) -> usize {
        turns.table.lines().len()
    }

    #[tokio::test]
    async fn one_after_the_other_and_nothing_stays() {
        let turns = Turns::new(1);
        let first = turns.take(ALICE).await;
        let mut second = Box::pin(turns.take(ALICE));
        let mut third = Box::pin(turns.take(ALICE));
        assert!(futures_util::poll!(second.as_mut()).is_pending());
        assert!(futures_util::poll!(third.as_mut()).is_pending());
        let other = turns.take(BOB).await;
        assert_eq!(waiting(&turns), 2);
        drop(second);
        drop(first);
        let last = third.await;
        drop(other);
        assert_eq!(waiting(&turns), 1);
        drop(last);
        assert_eq!(waiting(&turns), 0);
    }

    #[tokio::test]
    async fn so_many_at_a_time_as_there_are_places() {
        let turns = Turns::new(2);
        let first = turns.take(ALICE).await;
        let second = turns.take(ALICE).await;
        let mut third = Box::pin(turns.take(ALICE));
        assert!(futures_util::poll!(third.as_mut()).is_pending());
        assert!(turns.try_take(ALICE).is_none());
        drop(turns.try_take(BOB).expect("free"));
        drop(first);
        drop((second, third.await));
        assert_eq!(waiting(&turns), 0);
        drop(turns.try_take(ALICE).expect("free"));
        assert_eq!(waiting(&turns), 0);
    }
}
