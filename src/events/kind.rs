//! Every kind of event, once: its stable name, how much it matters, its words. `docs/events.md` is held
//! against this table by a test.

use std::fmt;

use crate::grant::GrantState;

/// How much an event matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Day to day.
    Info,
    /// Somebody may want to know.
    Notice,
    /// Something does not work until a person acts.
    Warning,
}

impl Severity {
    /// All of them, the least first.
    pub const ALL: [Self; 3] = [Self::Info, Self::Notice, Self::Warning];

    /// The stable name.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Notice => "notice",
            Self::Warning => "warning",
        }
    }

    /// Reads a name.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|severity| severity.code() == code)
    }

    /// As it is kept: 0 to 2.
    pub const fn rank(self) -> u8 {
        self as u8
    }

    pub(super) fn from_rank(rank: u8) -> Self {
        Self::ALL.into_iter().find(|severity| severity.rank() == rank).unwrap_or(Self::Warning)
    }
}

macro_rules! kinds {
    ($($name:ident = $code:literal, $severity:ident, $words:literal;)+) => {
        /// What happened.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Kind { $(#[doc = $words] $name),+ }

        impl Kind {
            /// Every kind there is, in the order of the documents.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The stable name: a group, a dot, and what happened.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code),+ }
            }

            /// How much it matters.
            pub const fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity),+ }
            }

            /// What happened, in one sentence with nothing personal in it.
            pub const fn words(self) -> &'static str {
                match self { $(Self::$name => $words),+ }
            }
        }
    };
}

kinds! {
    UserConnected = "user.connected", Info, "The person signed in, and a grant was made or renewed.";
    UserRefused = "user.refused", Notice, "A sign-in was refused, and nothing was stored.";
    UserForgetRequested = "user.forget_requested", Notice, "It was asked to forget the person.";
    UserForgotten = "user.forgotten", Notice, "A grant of the person was deleted.";
    GrantNeedsConsent = "grant.needs_consent", Warning, "The person must go through Google's consent again.";
    GrantDied = "grant.died", Warning, "Google no longer honours the refresh token.";
    GrantBlocked = "grant.blocked", Warning, "A setting keeps the grant from being used.";
    GrantSuspended = "grant.suspended", Warning, "A security event put the grant on hold.";
    GrantRevived = "grant.revived", Info, "Access tokens can be had again.";
    GrantRefreshed = "grant.refreshed", Info, "The grant was refreshed by hand.";
    ClientPaused = "client.paused", Warning, "Google refuses the OAuth client, and its refreshes are paused.";
    ClientResumed = "client.resumed", Notice, "Google accepts the OAuth client again.";
    ClientChecked = "client.checked", Info, "Google was asked whether it takes the OAuth client.";
    ConnectLinkCreated = "connect_link.created", Info, "A connect link was made.";
    ConnectLinkWithdrawn = "connect_link.withdrawn", Info, "A connect link was withdrawn.";
    ConnectLinkFollowed = "connect_link.followed", Info, "A connect link was followed to Google's page.";
    KeyCreated = "key.created", Notice, "An API key was made.";
    KeyRotated = "key.rotated", Notice, "An API key was replaced by a new one.";
    KeyRevoked = "key.revoked", Notice, "An API key was revoked.";
    MirrorHeld = "mirror.held", Warning, "A mirror's run waits for the owner to accept it.";
    MirrorAccepted = "mirror.accepted", Notice, "The owner accepted a mirror's run.";
    MirrorFailed = "mirror.failed", Warning, "A mirror cannot run.";
    MirrorRecovered = "mirror.recovered", Info, "A mirror runs again.";
    MirrorRan = "mirror.ran", Info, "A mirror was run by hand.";
    AppDataWritten = "app_data.written", Info, "The owner wrote a file of the person's app data.";
    AppDataDeleted = "app_data.deleted", Notice, "The owner deleted a file of the person's app data.";
    AppDataRestored = "app_data.restored", Info, "The owner put a kept version of a file back.";
    VaultBackedUp = "vault.backed_up", Info, "A backup of the vault was made and verified.";
    LocumStarted = "locum.started", Info, "locum started.";
    LocumStopped = "locum.stopped", Info, "locum stopped in good order.";
    DashboardLinkMade = "dashboard.link_made", Notice, "A link that opens the dashboard was made.";
    DashboardSignedIn = "dashboard.signed_in", Notice, "The owner signed in to the dashboard.";
    DashboardSignedOut = "dashboard.signed_out", Info, "The owner signed out of the dashboard.";
    DashboardRefused = "dashboard.refused", Warning, "A sign-in to the dashboard was refused.";
}

impl Kind {
    /// The kind of this name.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.code() == code)
    }

    /// What stands before the dot.
    pub fn group(self) -> &'static str {
        self.code().split('.').next().unwrap_or_default()
    }

    /// What it is that a grant has come into this state; nothing, where that is told otherwise.
    pub const fn of_state(state: GrantState) -> Option<Self> {
        match state {
            GrantState::Active => Some(Self::GrantRevived),
            GrantState::NeedsConsent(_) => Some(Self::GrantNeedsConsent),
            GrantState::Dead(_) => Some(Self::GrantDied),
            GrantState::Blocked(_) => Some(Self::GrantBlocked),
            GrantState::Suspended(_) => Some(Self::GrantSuspended),
            GrantState::Revoking => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
