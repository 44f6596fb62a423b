//! The states of a grant, their causes, and every transition between them.
//!
//! A grant is what one user gave one OAuth client. Invariants held here:
//!
//! - only an answer of Google's kills a grant; an outage, a wrong client secret or a wrong clock has
//!   no event in this module and so cannot change a state;
//! - no transition erases a refresh token: the state says whether it may be used;
//! - `client_changed` is never stored: it is what a grant looks like while the configuration lacks
//!   the client that issued it ([`GrantState::seen_without_client`]), and ends by itself.

mod counts;

use std::fmt;

pub use self::counts::StateCounts;

macro_rules! causes {
    ($($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $code:literal, $words:literal;)+ })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// Every cause there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The stable name of the cause, in answers, metrics and the vault.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code),+ }
            }

            /// What happened and what ends it, in one sentence for people.
            pub const fn words(self) -> &'static str {
                match self { $(Self::$variant => $words),+ }
            }

            fn from_code(code: &str) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)+ _ => None }
            }
        }
    )+};
}

causes! {
    /// Why the person has to go through Google's consent again although the grant lives.
    ConsentCause {
        /// Google's answer to the code held no refresh token, and none is stored.
        NoRefreshToken = "no_refresh_token",
            "Google sent no refresh token, which it does only when the app asks for consent again; sign in with forced consent (prompt=consent, forceCodeForRefreshToken).";
        /// A Workspace session ran out (`invalid_rapt`).
        ReauthRequired = "reauth_required",
            "The organisation's session control demands a fresh sign-in; sign in again.";
    }
    /// Why Google no longer honours the refresh token.
    DeathCause {
        /// `Token has been expired or revoked.`
        ExpiredOrRevoked = "expired_or_revoked",
            "Google says the token was revoked or has expired (the person withdrew access, it lay unused for six months, or the project is in Testing and seven days have passed); sign in again.";
        /// The time-based access that Google announced has run out.
        AccessExpired = "access_expired",
            "The access was granted for a limited time, which is over (seven days for a project in Testing); sign in again.";
        /// `Account has been deleted`.
        AccountDeleted = "account_deleted",
            "The Google account was deleted; nothing brings it back here.";
        /// `Account disabled`.
        AccountDisabled = "account_disabled",
            "The Google account is disabled; once it is enabled again, sign in again.";
        /// `invalid_grant` with another or no description.
        Rejected = "rejected",
            "Google rejects the token and gives no reason; sign in again.";
    }
    /// Why Google's or the owner's set-up keeps the grant from being used.
    BlockCause {
        /// The configuration no longer has the client that issued the grant.
        ClientChanged = "client_changed",
            "The grant belongs to an OAuth client that is no longer configured; put the client back or sign in again with the new one.";
        /// A Workspace administrator blocks a scope.
        AdminPolicy = "admin_policy",
            "The organisation's administrator blocks one of the scopes; the administrator has to allow this app.";
        /// The client is limited to one organisation.
        OrgInternal = "org_internal",
            "The OAuth client is limited to one organisation and the person is outside it; make the project external at Google.";
    }
    /// Why a security event put the grant on hold.
    SuspendCause {
        /// Google disabled the account.
        AccountDisabled = "account_disabled",
            "Google announced that the account is disabled; the grant works again once Google announces that it is enabled.";
        /// Google disabled the account because somebody else had taken it over.
        Hijacking = "hijacking",
            "Google announced that the account was taken over by somebody else; the grant works again once Google announces that it is enabled.";
    }
}

/// Where a grant stands, with the cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GrantState {
    /// Access tokens can be had.
    Active,
    /// The person must go through consent; nothing else is wrong.
    NeedsConsent(ConsentCause),
    /// Google no longer honours the refresh token. It is kept, and a manual refresh may revive it.
    Dead(DeathCause),
    /// A set-up at Google or here stands in the way.
    Blocked(BlockCause),
    /// On hold by a security event.
    Suspended(SuspendCause),
    /// Being forgotten: unusable, and deleted once Google has revoked it.
    Revoking,
}

/// What can happen to a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GrantEvent {
    /// A code was exchanged; `offline` says whether a usable refresh token is now stored.
    Connected {
        /// Whether a refresh token is stored.
        offline: bool,
    },
    /// Google accepted the refresh token.
    Refreshed,
    /// Google answered that the refresh token is dead.
    Died(DeathCause),
    /// Google wants the person to sign in again but did not end the grant.
    ConsentDemanded(ConsentCause),
    /// Google refused because of a set-up.
    Blocked(BlockCause),
    /// A security event put the account on hold.
    Suspended(SuspendCause),
    /// A security event lifted the hold.
    Resumed,
    /// The owner or the user wants the grant gone.
    ForgetRequested,
}

impl GrantState {
    /// The state after `event`, or `None` when the event does not apply and is discarded.
    ///
    /// A person who connects again overrides everything, a pending forget too: it is their latest
    /// wish. Apart from that `Revoking` only ends by deletion, and only security events end
    /// `Suspended`.
    pub const fn after(self, event: GrantEvent) -> Option<Self> {
        use GrantEvent as E;
        match (self, event) {
            (_, E::Connected { offline: true }) => Some(Self::Active),
            (_, E::Connected { offline: false }) => Some(Self::NeedsConsent(ConsentCause::NoRefreshToken)),
            (Self::Revoking, _) => None,
            (_, E::ForgetRequested) => Some(Self::Revoking),
            (Self::Suspended(_), E::Resumed) => Some(Self::Active),
            (_, E::Resumed) => None,
            (_, E::Suspended(cause)) => Some(Self::Suspended(cause)),
            (Self::Suspended(_), _) => None,
            (_, E::Refreshed) => Some(Self::Active),
            (_, E::Died(cause)) => Some(Self::Dead(cause)),
            (_, E::ConsentDemanded(cause)) => Some(Self::NeedsConsent(cause)),
            (_, E::Blocked(cause)) => Some(Self::Blocked(cause)),
        }
    }

    /// Whether access tokens are handed out.
    pub const fn is_usable(self) -> bool {
        matches!(self, Self::Active)
    }

    /// How a grant looks while its client is not configured. Forgetting goes on regardless.
    pub const fn seen_without_client(self) -> Self {
        match self {
            Self::Revoking => Self::Revoking,
            _ => Self::Blocked(BlockCause::ClientChanged),
        }
    }

    /// The stable name of the state.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::NeedsConsent(_) => "needs_consent",
            Self::Dead(_) => "dead",
            Self::Blocked(_) => "blocked",
            Self::Suspended(_) => "suspended",
            Self::Revoking => "revoking",
        }
    }

    /// The state's place among [`GrantState::CODES`].
    pub const fn place(self) -> usize {
        match self {
            Self::Active => 0,
            Self::NeedsConsent(_) => 1,
            Self::Dead(_) => 2,
            Self::Blocked(_) => 3,
            Self::Suspended(_) => 4,
            Self::Revoking => 5,
        }
    }

    /// The names of all states, in the order people read them.
    pub const CODES: [&'static str; 6] =
        ["active", "needs_consent", "dead", "blocked", "suspended", "revoking"];

    /// The stable name of the cause, if the state has one.
    pub const fn cause(self) -> Option<&'static str> {
        match self {
            Self::Active | Self::Revoking => None,
            Self::NeedsConsent(cause) => Some(cause.code()),
            Self::Dead(cause) => Some(cause.code()),
            Self::Blocked(cause) => Some(cause.code()),
            Self::Suspended(cause) => Some(cause.code()),
        }
    }

    /// What the state means and what ends it, in one sentence for people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Active => "Access tokens can be had.",
            Self::NeedsConsent(cause) => cause.words(),
            Self::Dead(cause) => cause.words(),
            Self::Blocked(cause) => cause.words(),
            Self::Suspended(cause) => cause.words(),
            Self::Revoking => "The grant is being forgotten; it is deleted once Google has revoked it.",
        }
    }

    /// Reads a state back from the names it is stored under.
    pub fn from_codes(state: &str, cause: Option<&str>) -> Option<Self> {
        match (state, cause) {
            ("active", None) => Some(Self::Active),
            ("revoking", None) => Some(Self::Revoking),
            ("needs_consent", Some(cause)) => ConsentCause::from_code(cause).map(Self::NeedsConsent),
            ("dead", Some(cause)) => DeathCause::from_code(cause).map(Self::Dead),
            ("blocked", Some(cause)) => BlockCause::from_code(cause).map(Self::Blocked),
            ("suspended", Some(cause)) => SuspendCause::from_code(cause).map(Self::Suspended),
            _ => None,
        }
    }
}

impl fmt::Display for GrantState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cause() {
            Some(cause) => write!(f, "{} ({cause})", self.code()),
            None => f.write_str(self.code()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_state() -> Vec<GrantState> {
        let mut all = vec![GrantState::Active, GrantState::Revoking];
        all.extend(ConsentCause::ALL.iter().map(|c| GrantState::NeedsConsent(*c)));
        all.extend(DeathCause::ALL.iter().map(|c| GrantState::Dead(*c)));
        all.extend(BlockCause::ALL.iter().map(|c| GrantState::Blocked(*c)));
        all.extend(SuspendCause::ALL.iter().map(|c| GrantState::Suspended(*c)));
        all
    }

    #[test]
    fn every_state_is_read_back_from_its_names() {
        for state in every_state() {
            assert_eq!(GrantState::from_codes(state.code(), state.cause()), Some(state));
            assert!(GrantState::CODES.contains(&state.code()));
        }
        assert_eq!(GrantState::from_codes("active", Some("rejected")), None);
        assert_eq!(GrantState::from_codes("dead", None), None);
    }

    #[test]
    fn forgetting_ends_only_by_connecting_again() {
        for event in [
            GrantEvent::Refreshed,
            GrantEvent::Resumed,
            GrantEvent::ForgetRequested,
            GrantEvent::Died(DeathCause::Rejected),
            GrantEvent::Suspended(SuspendCause::Hijacking),
        ] {
            assert_eq!(GrantState::Revoking.after(event), None);
        }
        let back = GrantState::Revoking.after(GrantEvent::Connected { offline: true });
        assert_eq!(back, Some(GrantState::Active));
    }

    #[test]
    fn a_hold_is_not_lifted_by_a_refresh() {
        let held = GrantState::Suspended(SuspendCause::Hijacking);
        assert_eq!(held.after(GrantEvent::Refreshed), None);
        assert_eq!(held.after(GrantEvent::Resumed), Some(GrantState::Active));
    }

    #[test]
    fn a_dead_grant_may_be_revived() {
        let dead = GrantState::Dead(DeathCause::Rejected);
        assert_eq!(dead.after(GrantEvent::Refreshed), Some(GrantState::Active));
    }
}
