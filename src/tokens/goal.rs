//! When a token will do.

use ring::digest::{SHA256, digest};
use subtle::ConstantTimeEq as _;

use super::{DEFAULT_MIN_TTL, HandedToken, TokenRequest};
use crate::clock::Timestamp;
use crate::secret::AccessToken;

/// A token that was obtained further ahead than this many seconds comes from a time when the clock was
/// wrong, and nobody knows when it really ends.
const CLOCK_LEEWAY: i64 = 60;

/// What a caller needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// It lives long enough.
    Lives(Rest),
    /// It is another one than the refused one with this SHA-256, and lives long enough.
    NotThis([u8; 32], Rest),
    /// Google has just been asked, whatever is stored.
    Now,
}

/// How long a token must still live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// [`DEFAULT_MIN_TTL`], or a third of its life if that is shorter: a token that lives five minutes
    /// would else be refreshed for every single caller.
    Usual,
    /// So many seconds.
    AtLeast(i64),
}

impl Goal {
    pub(super) fn new(request: &TokenRequest<'_>) -> Self {
        let rest = request.min_ttl.map_or(Rest::Usual, Rest::AtLeast);
        match request.rejected {
            Some(hash) => Self::NotThis(hash, rest),
            None => Self::Lives(rest),
        }
    }

    pub(super) fn is_met(self, token: &HandedToken, now: Timestamp) -> bool {
        let (Self::Lives(rest) | Self::NotThis(_, rest)) = self else { return false };
        let needed = match rest {
            Rest::Usual => DEFAULT_MIN_TTL.min(token.lifetime() / 3),
            Rest::AtLeast(seconds) => seconds,
        };
        token.expires_at.since(now) >= needed.max(1)
            && token.obtained_at.since(now) <= CLOCK_LEEWAY
            && !self.is_refused(&token.access_token)
    }

    /// Whether this is the very token that an API refused.
    pub(super) fn is_refused(self, token: &AccessToken) -> bool {
        let Self::NotThis(refused, _) = self else { return false };
        digest(&SHA256, token.expose().as_bytes()).as_ref().ct_eq(&refused).into()
    }
}

impl HandedToken {
    /// How many seconds it lives from the first to the last.
    pub(super) fn lifetime(&self) -> i64 {
        self.expires_at.since(self.obtained_at)
    }

    pub(super) fn meets(&self, goal: Goal, now: Timestamp) -> bool {
        goal.is_met(self, now)
    }
}

#[cfg(test)]
mod tests {
    use super::super::TokenSource;
    use super::*;
    use crate::scopes::ScopeSet;

    fn token(obtained_at: i64, lifetime: i64) -> HandedToken {
        HandedToken {
            access_token: AccessToken::new("ya29.x"),
            expires_at: Timestamp::from_unix(obtained_at + lifetime),
            scopes: ScopeSet::default(),
            stale: false,
            source: TokenSource::Memory,
            obtained_at: Timestamp::from_unix(obtained_at),
        }
    }

    #[test]
    fn the_usual_rest_is_five_minutes_or_a_third_of_a_short_life() {
        let usual = |lifetime, age: i64| {
            Goal::Lives(Rest::Usual).is_met(&token(1000, lifetime), Timestamp::from_unix(1000 + age))
        };
        assert!(usual(3600, 3300) && !usual(3600, 3301));
        assert!(usual(300, 200) && !usual(300, 201));
        assert!(!usual(0, 0), "what ends now is of no use");
    }

    #[test]
    fn a_token_from_the_future_is_not_trusted() {
        let now = Timestamp::from_unix(1000);
        assert!(Goal::Lives(Rest::Usual).is_met(&token(1060, 3600), now));
        assert!(!Goal::Lives(Rest::Usual).is_met(&token(1061, 3600), now));
    }
}
