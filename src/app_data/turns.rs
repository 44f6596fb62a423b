//! Taking turns: one write at a time for each person.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedMutexGuard;

use crate::ids::UserId;

type Table = Arc<Mutex<HashMap<UserId, Arc<tokio::sync::Mutex<()>>>>>;

/// Who is writing and who waits. Cheap to clone; clones share their turns. A person of whom nobody writes
/// takes no memory.
#[derive(Clone, Debug, Default)]
pub(super) struct Turns(Table);

/// The right to write a person's app data, until it is dropped.
#[derive(Debug)]
pub struct Turn {
    // Dropped in this order: the next in line is let in before the place is looked at.
    _guard: OwnedMutexGuard<()>,
    _place: Place,
}

/// A place in the line, which takes itself out of the table when it is the last.
#[derive(Debug)]
struct Place {
    user: UserId,
    table: Table,
}

impl Turns {
    /// Waits for the turn. Whoever stops waiting leaves the line.
    pub(super) async fn take(&self, user: UserId) -> Turn {
        let lock = self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(user).or_default().clone();
        let place = Place { user, table: self.0.clone() };
        Turn { _guard: lock.lock_owned().await, _place: place }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        // The guard and every waiter hold the lock itself; when only the table does, nobody needs it.
        if table.get(&self.user).is_some_and(|lock| Arc::strong_count(lock) == 1) {
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
        turns.0.lock().expect("not poisoned").len()
    }

    #[tokio::test]
    async fn one_after_the_other_and_nothing_stays() {
        let turns = Turns::default();
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
}
