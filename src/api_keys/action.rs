//! What an API key may be used for.

use std::fmt;
use std::str::FromStr;

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)+) => {
        /// One kind of thing a key can be allowed to do.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Action { $($(#[$doc])* $name),+ }

        impl Action {
            /// Every action there is.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The stable name, in commands, answers and the vault.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code),+ }
            }
        }
    };
}

actions! {
    /// Take access tokens.
    TokensRead = "tokens:read";
    /// See people and the state of their grants.
    UsersRead = "users:read";
    /// Refresh, connect links, forget.
    UsersWrite = "users:write";
    /// Have calls to Google carried with a person's token, without seeing the token.
    Proxy = "proxy";
    /// Read people's app data in Drive.
    AppDataRead = "app-data:read";
    /// Write people's app data in Drive, and run mirrors.
    AppDataWrite = "app-data:write";
    /// Read the audit log.
    EventsRead = "events:read";
    /// Read the metrics.
    MetricsRead = "metrics:read";
    /// Whatever the owner may do. It includes every other action but no user or client outside the
    /// key's bindings.
    Admin = "admin";
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// The text names no action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not one of tokens:read, users:read, users:write, proxy, app-data:read, app-data:write, events:read, metrics:read, admin"
)]
pub struct UnknownAction;

impl FromStr for Action {
    type Err = UnknownAction;

    fn from_str(text: &str) -> Result<Self, UnknownAction> {
        Self::ALL.iter().copied().find(|action| action.code() == text).ok_or(UnknownAction)
    }
}

/// A set of actions.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Actions(u16);

impl Actions {
    /// Whether the set holds nothing.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether the set itself holds `action`; what `admin` implies is [`Actions::allow`]'s business.
    pub const fn contains(self, action: Action) -> bool {
        self.0 & 1 << action as u16 != 0
    }

    /// Whether somebody with this set may do `action`.
    pub const fn allow(self, action: Action) -> bool {
        self.contains(action) || self.contains(Action::Admin)
    }

    /// The actions in their usual order.
    pub fn iter(self) -> impl Iterator<Item = Action> {
        Action::ALL.iter().copied().filter(move |action| self.contains(*action))
    }
}

impl FromIterator<Action> for Actions {
    fn from_iter<I: IntoIterator<Item = Action>>(actions: I) -> Self {
        Self(actions.into_iter().fold(0, |set, action| set | 1 << action as u16))
    }
}

impl fmt::Debug for Actions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Action::code)).finish()
    }
}

/// A JSON array of names.
impl serde::Serialize for Actions {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(Action::code))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_action_reads_its_own_name_and_is_named_in_the_error() {
        for action in Action::ALL {
            assert_eq!(action.code().parse(), Ok(*action));
            assert!(UnknownAction.to_string().contains(action.code()));
        }
        assert_eq!("tokens".parse::<Action>(), Err(UnknownAction));
        assert_eq!("Admin".parse::<Action>(), Err(UnknownAction));
    }

    #[test]
    fn admin_implies_every_action_and_no_other_implies_any() {
        for held in Action::ALL {
            let set: Actions = [*held].into_iter().collect();
            for asked in Action::ALL {
                assert_eq!(set.allow(*asked), held == asked || *held == Action::Admin, "{held} {asked}");
            }
        }
        assert!(!Actions::default().allow(Action::TokensRead));
    }
}
