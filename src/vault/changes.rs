//! Which people changed, for whoever keeps something about all of them in memory.
//!
//! A change is noted by the writer's thread between the commit and the answer to whoever made it. So
//! whoever was told that a change is done finds it noted, and a caller that went away loses no note. Nothing
//! is noted while nobody watches, but for a number that says that something moved.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Vault;
use crate::ids::UserId;

/// Rows noted at the most. Whoever takes them so seldom reads everything anew.
const MOST: usize = 100_000;

/// What was noted since it was last taken.
#[derive(Debug, Default)]
enum Noted {
    /// Nobody watches.
    #[default]
    Nothing,
    Rows(HashSet<UserId>),
    /// More than [`MOST`].
    TooMuch,
}

/// Shared with the jobs of the writer's thread.
#[derive(Debug, Default)]
pub(super) struct Changes {
    noted: Mutex<Noted>,
    moves: AtomicU64,
}

impl Changes {
    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a person. `moved` says whether it may show in what is counted or listed by state and time.
    pub(super) fn note(&self, user: UserId, moved: bool) {
        if moved {
            self.moves.fetch_add(1, Ordering::SeqCst);
        }
        let mut noted = self.noted();
        if let Noted::Rows(rows) = &mut *noted {
            rows.insert(user);
            if rows.len() > MOST {
                *noted = Noted::TooMuch;
            }
        }
    }
}

impl Vault {
    pub(super) fn changes(&self) -> Arc<Changes> {
        self.0.changes.clone()
    }

    /// From now on it is noted which people change. What is read after this call and what
    /// [`Vault::take_changed_people`] says together miss nothing.
    pub fn watch_people(&self) {
        *self.0.changes.noted() = Noted::Rows(HashSet::new());
    }

    /// Nothing is noted any more.
    pub fn unwatch_people(&self) {
        *self.0.changes.noted() = Noted::Nothing;
    }

    /// Whoever was changed or erased since the last call or since [`Vault::watch_people`]; `None` when that
    /// is not known, and everything has to be watched and read anew.
    pub fn take_changed_people(&self) -> Option<Vec<UserId>> {
        match &mut *self.0.changes.noted() {
            Noted::Rows(rows) => Some(rows.drain().collect()),
            Noted::Nothing | Noted::TooMuch => None,
        }
    }

    /// A number that grows whenever a grant changes its state, its end or its client, or comes or goes. What
    /// was counted while it was the same is still true.
    pub fn people_moves(&self) -> u64 {
        self.0.changes.moves.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_can_be_noted_is_said_to_be_unknown() {
        let changes = Changes { noted: Mutex::new(Noted::Rows(HashSet::new())), moves: AtomicU64::new(0) };
        for id in 0..=i64::try_from(MOST).expect("a small number") {
            changes.note(UserId(id), false);
        }
        assert!(matches!(*changes.noted(), Noted::TooMuch));
        changes.note(UserId(1), true);
        assert!(matches!(*changes.noted(), Noted::TooMuch));
        assert_eq!(changes.moves.load(Ordering::SeqCst), 1);
    }
}
