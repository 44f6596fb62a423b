//! Taking turns: so many at a time for each person.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::ids::UserId;

type Table = Arc<Mutex<HashMap<UserId, Arc<Semaphore>>>>;

/// Whose turn it is and who waits. Cheap to clone; clones share their turns. A person of whom nobody waits
/// takes no memory.
#[derive(Clone, Debug)]
pub(super) struct Turns {
    at_once: usize,
    table: Table,
}

/// The right to do something on a person's behalf, until it is dropped.
#[derive(Debug)]
pub struct Turn {
    // Dropped in this order: the next in line is let in before the place is looked at.
    _permit: OwnedSemaphorePermit,
    _place: Place,
}

/// A place in the line, which takes itself out of the table when it is the last.
#[derive(Debug)]
struct Place {
    user: UserId,
    table: Table,
}

impl Turns {
    /// Turns that so many have at one time for one person.
    pub(super) fn new(at_once: usize) -> Self {
        Self { at_once, table: Table::default() }
    }

    /// Waits for the turn. Whoever stops waiting leaves the line.
    pub(super) async fn take(&self, user: UserId) -> Turn {
        let line = {
            let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
            table.entry(user).or_insert_with(|| Arc::new(Semaphore::new(self.at_once))).clone()
        };
        let place = Place { user, table: self.table.clone() };
        let permit = line.acquire_owned().await.expect("nobody closes a line");
        Turn { _permit: permit, _place: place }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        // A permit and every waiter hold the line itself; when only the table does, nobody needs it.
        if table.get(&self.user).is_some_and(|line| Arc::strong_count(line) == 1) {
            table.remove(&self.user);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: UserId = UserId(1);
    const BOB: UserId = UserId(2);

    fn waiting(turns: &Turns) -> usize {
        turns.table.lock().expect("not poisoned").len()
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
        drop(first);
        drop((second, third.await));
        assert_eq!(waiting(&turns), 0);
    }
}
