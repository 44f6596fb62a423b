//! Who did something, and from where: a value that goes with the work into tasks of its own.

use std::fmt;
use std::net::IpAddr;

use crate::ids::ApiKeyId;

/// Who did it. `Debug` leaves out what is personal.
#[derive(Clone, PartialEq, Eq)]
pub struct Actor {
    who: Who,
    from: Option<IpAddr>,
}

#[derive(Clone, PartialEq, Eq)]
enum Who {
    Owner { via: Via, name: Option<String> },
    Key { id: ApiKeyId, name: String },
    User,
    Locum,
}

/// By which way the owner came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// The dashboard in a browser.
    Dashboard,
    /// The admin socket.
    Socket,
}

impl Actor {
    /// What happens by itself.
    pub const fn locum() -> Self {
        Self { who: Who::Locum, from: None }
    }

    /// The person themself, or whoever claims to be.
    pub const fn user(from: Option<IpAddr>) -> Self {
        Self { who: Who::User, from }
    }

    /// The owner; `name` is an address where the owner signed in with one.
    pub const fn owner(via: Via, name: Option<String>, from: Option<IpAddr>) -> Self {
        Self { who: Who::Owner { via, name }, from }
    }

    /// A program, by its API key; the owner, too, where the key is an `admin` one.
    pub const fn key(id: ApiKeyId, name: String, from: Option<IpAddr>) -> Self {
        Self { who: Who::Key { id, name }, from }
    }

    /// Whether it is the owner in person.
    pub const fn is_owner(&self) -> bool {
        matches!(self.who, Who::Owner { .. })
    }

    /// Whether it is locum by itself, and nobody wanted it.
    pub const fn is_locum(&self) -> bool {
        matches!(self.who, Who::Locum)
    }

    /// The words there are for actors.
    pub const CODES: [&'static str; 4] = ["owner", "key", "user", "locum"];

    /// The stable word.
    pub const fn code(&self) -> &'static str {
        match self.who {
            Who::Owner { .. } => "owner",
            Who::Key { .. } => "key",
            Who::User => "user",
            Who::Locum => "locum",
        }
    }

    pub(super) const fn via(&self) -> Option<&'static str> {
        match self.who {
            Who::Owner { via: Via::Dashboard, .. } => Some("dashboard"),
            Who::Owner { via: Via::Socket, .. } => Some("socket"),
            Who::Key { .. } => Some("key"),
            Who::User | Who::Locum => None,
        }
    }

    /// The key that was shown, taken apart from what is personal: the address, and the owner's name.
    pub(super) fn into_parts(self) -> (Option<(ApiKeyId, String)>, Option<IpAddr>, Option<String>) {
        match self.who {
            Who::Owner { name, .. } => (None, self.from, name),
            Who::Key { id, name } => (Some((id, name)), self.from, None),
            Who::User | Who::Locum => (None, self.from, None),
        }
    }
}

impl fmt::Debug for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Actor({})", self.code())
    }
}
