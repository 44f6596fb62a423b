//! The people who are connected: listed, shown, forgotten.
//!
//! Forgetting commits the state `revoking` first, so that no token is handed out from that moment on,
//! whatever happens next. Then Google is asked to revoke, and only when Google has done so (or says
//! that there is nothing left to revoke) are the rows deleted. While Google is down this is tried
//! again for a day; then the rows are deleted all the same.

mod at_google;
mod check;
mod directory;
mod forget;
mod people;
mod view;

use std::sync::Arc;

pub use self::check::Checked;
pub use self::directory::{PeopleQuery, PeopleSort};
pub use self::forget::{ForgetPreview, Forgotten, Revoke};
pub use self::people::PeoplePage;
pub use self::view::{GrantDetail, GrantView, UserFilter, UserPage, UserView};

use self::check::Check;
use self::directory::Directory;
use crate::clock::Clock;
use crate::config::Config;
use crate::events::Events;
use crate::google::Google;
use crate::lifecycle::Lifecycle;
use crate::mirror::{MirrorError, Mirrors};
use crate::provider::Provider;
use crate::tokens::Tokens;
use crate::vault::{Vault, VaultError};

/// What can go wrong, by what can be done about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsersError {
    /// No such user or grant within the caller's reach.
    #[error("no such user or grant within reach")]
    NotFound,
    /// The person has no grant with the client that was named.
    #[error("no grant with this client")]
    NoGrant,
    /// The configuration has no client of this name, and no grant belongs to a client of this id.
    #[error("unknown client")]
    UnknownClient,
    /// The cursor is not one that a list gave out.
    #[error("not a cursor")]
    BadCursor,
    /// There are more people than can be searched.
    #[error("there are more than {most} people, and no more can be searched")]
    TooMany {
        /// How many can be.
        most: u64,
    },
    /// The kept versions of the person's mirror cannot be deleted yet.
    #[error(transparent)]
    Mirror(#[from] MirrorError),
    /// The vault failed.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The work was torn down; what was committed goes on after a restart.
    #[error("the work was interrupted")]
    Interrupted,
}

/// The people. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Users(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Arc<Config>,
    vault: Vault,
    google: Google,
    provider: Provider,
    tokens: Tokens,
    mirrors: Mirrors,
    events: Events,
    clock: Clock,
    lifecycle: Lifecycle,
    directory: Directory,
    check: Check,
}

/// What knows the people.
#[derive(Debug)]
pub struct UsersParts {
    /// The configuration.
    pub config: Arc<Config>,
    /// The vault.
    pub vault: Vault,
    /// Google.
    pub google: Google,
    /// Discovery.
    pub provider: Provider,
    /// The road to tokens.
    pub tokens: Tokens,
    /// What goes with a person.
    pub mirrors: Mirrors,
    /// What is told.
    pub events: Events,
    /// The time.
    pub clock: Clock,
    /// Tasks.
    pub lifecycle: Lifecycle,
}

impl Users {
    /// Nothing is loaded.
    pub fn new(parts: UsersParts) -> Self {
        let UsersParts { config, vault, google, provider, tokens, mirrors, events, clock, lifecycle } = parts;
        Self(Arc::new(Inner {
            config,
            vault,
            google,
            provider,
            tokens,
            mirrors,
            events,
            clock,
            lifecycle,
            directory: Directory::default(),
            check: Check::default(),
        }))
    }
}
