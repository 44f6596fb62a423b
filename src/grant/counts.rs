//! How many stand in each state.

use serde::{Deserialize, Serialize};

use super::GrantState;

/// A number for each state, none of them left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateCounts {
    /// Access tokens can be had.
    pub active: u64,
    /// The person must go through consent.
    pub needs_consent: u64,
    /// Google no longer honours the refresh token.
    pub dead: u64,
    /// A set-up at Google or here stands in the way.
    pub blocked: u64,
    /// On hold by a security event.
    pub suspended: u64,
    /// Being forgotten.
    pub revoking: u64,
}

impl StateCounts {
    /// Adds to the number of a state.
    pub const fn add(&mut self, state: GrantState, number: u64) {
        let of = match state {
            GrantState::Active => &mut self.active,
            GrantState::NeedsConsent(_) => &mut self.needs_consent,
            GrantState::Dead(_) => &mut self.dead,
            GrantState::Blocked(_) => &mut self.blocked,
            GrantState::Suspended(_) => &mut self.suspended,
            GrantState::Revoking => &mut self.revoking,
        };
        *of += number;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::{BlockCause, ConsentCause, DeathCause, SuspendCause};

    #[test]
    fn each_state_has_its_number_under_its_name() {
        let states = [
            GrantState::Active,
            GrantState::NeedsConsent(ConsentCause::NoRefreshToken),
            GrantState::Dead(DeathCause::Rejected),
            GrantState::Blocked(BlockCause::AdminPolicy),
            GrantState::Suspended(SuspendCause::Hijacking),
            GrantState::Revoking,
        ];
        let mut counts = StateCounts::default();
        for (i, state) in states.into_iter().enumerate() {
            counts.add(state, i as u64 + 1);
        }
        let json = serde_json::to_value(counts).expect("JSON");
        for (i, state) in states.into_iter().enumerate() {
            assert_eq!(json[state.code()], i as u64 + 1);
            assert_eq!(state.place(), i);
        }
    }
}
