//! What costs too much to be read from the vault for every question and is therefore remembered for a few
//! seconds, and no longer than it is true.

use std::sync::{Mutex, PoisonError};

use crate::clock::Timestamp;
use crate::state::AppState;

/// How old an answer may be, in seconds: times in it go on.
const FRESH: i64 = 10;

/// An answer, with when it was made and what [`crate::vault::Vault::people_moves`] was before.
#[derive(Debug)]
pub(super) struct Remembered<T>(Mutex<Option<(Timestamp, u64, T)>>);

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Clone> Remembered<T> {
    /// The answer that is remembered, while it is true; else a new one.
    pub(super) async fn or_else<E>(
        &self,
        state: &AppState,
        ask: impl AsyncFnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let (now, moves) = (state.clock.now(), state.vault.people_moves());
        if let Some((at, before, answer)) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner)
            && *before == moves
            && (0..FRESH).contains(&now.since(*at))
        {
            return Ok(answer.clone());
        }
        let answer = ask().await?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, moves, answer.clone()));
        Ok(answer)
    }
}
