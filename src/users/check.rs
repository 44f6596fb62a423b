//! Reading everybody once a day, so that damage is known before anybody needs what is damaged, and
//! before the last backup that was made without it is thrown away.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Inner, Users, UsersError};
use crate::clock::Timestamp;
use crate::ids::UserId;

/// Seconds from the end of one round to the next.
const PAUSE: i64 = 86_400;
/// People read in one step: some 3 ms.
const STEP: usize = 200;

/// How far the look at everybody is.
#[derive(Debug, Default)]
pub(super) struct Check(Mutex<Round>);

#[derive(Debug, Default)]
struct Round {
    /// The last person who was looked at in the round that is under way.
    after: Option<UserId>,
    /// Whom it found damaged so far.
    found: BTreeSet<UserId>,
    /// What the last whole round found.
    damaged: BTreeSet<UserId>,
    /// When that ended.
    checked_at: Option<Timestamp>,
}

/// What the last look at everybody found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// When it ended; `None` before the first.
    pub at: Option<Timestamp>,
    /// People who cannot be read whole, and were not forgotten since.
    pub damaged: u64,
}

impl Check {
    fn round(&self) -> MutexGuard<'_, Round> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the next round is yet to begin.
    fn rests(&self, now: Timestamp) -> bool {
        let round = self.round();
        // An end that lies ahead was told by a clock that was wrong.
        let rests = |at: Timestamp| (0..PAUSE).contains(&now.since(at));
        round.after.is_none() && round.checked_at.is_some_and(rests)
    }
}

impl Inner {
    /// Looks again at somebody of whom something was deleted.
    pub(super) fn check_again(&self, user: UserId) {
        if self.vault.read_person(user).is_ok() {
            self.check.round().damaged.remove(&user);
        }
    }

    fn check_step(&self) -> Result<(), UsersError> {
        let now = self.clock.now();
        let after = self.check.round().after;
        let people = self.vault.read_people(after, STEP)?;
        let mut round = self.check.round();
        for (id, person) in &people {
            if let Err(error) = person {
                tracing::error!(%error, "a person cannot be read whole");
                round.found.insert(*id);
            }
        }
        if people.len() == STEP {
            round.after = people.last().map(|(id, _)| *id);
        } else {
            // Who was forgotten meanwhile is damaged no more.
            let found = std::mem::take(&mut round.found).into_iter();
            round.damaged = found.filter(|id| self.vault.read_person(*id).is_err()).collect();
            round.after = None;
            round.checked_at = Some(now);
        }
        Ok(())
    }
}

impl Users {
    /// Looks at the next few people, if it is time. Called by a job, every second; a million people take
    /// an hour and a half.
    ///
    /// # Errors
    /// When the vault cannot be read; the next step tries again.
    pub async fn check_step(&self) -> Result<(), UsersError> {
        if self.0.check.rests(self.0.clock.now()) {
            return Ok(());
        }
        let inner = self.0.clone();
        let read = self.0.lifecycle.run_blocking(move || inner.check_step()).await;
        read.map_err(|_| UsersError::Interrupted)?
    }

    /// What the last look at everybody found.
    pub fn checked(&self) -> Checked {
        let round = self.0.check.round();
        Checked { at: round.checked_at, damaged: round.damaged.len() as u64 }
    }
}
