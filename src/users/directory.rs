//! Everybody in memory, so that people can be searched, counted and sorted: what that needs is sealed in
//! the vault, and opening it for each question would take too long.
//!
//! What must stay true:
//!
//! - personal data is in memory only while somebody looks: the directory is read from the vault when the owner
//!   opens the dashboard or first asks, and dropped [`IDLE`] seconds after it was last asked;
//! - whoever was told that a change is done finds it in the next answer: the vault notes which rows
//!   change, and those are read again before each answer;
//! - whoever cannot be read is counted, not hidden;
//! - there is an end to it: [`MOST`] people.
//!
//! It decides only who is on a page; the page itself is read from the vault. It blocks, and so is asked
//! beside the threads that serve requests.

mod entry;
mod search;

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, TryLockError};

use self::entry::{Clients, Entry};
pub use self::search::{PeopleQuery, PeopleSort};
use super::{Inner, Users, UsersError};
use crate::clock::Timestamp;
use crate::grant::StateCounts;
use crate::ids::UserId;
use crate::vault::{VaultError, WholePerson};

/// Seconds after which what nobody asks is dropped.
pub(super) const IDLE: i64 = 600;
/// People among whom can be searched: some 60 MB.
pub(super) const MOST: u64 = 200_000;
/// People read at a time, so that a stop need not wait and nobody waits long for a connection.
const CHUNK: usize = 200;

/// The place of the directory, which is usually empty.
#[derive(Debug, Default)]
pub(super) struct Directory(Mutex<Option<Loaded>>);

/// Everybody.
#[derive(Default)]
struct Loaded {
    entries: Vec<Entry>,
    /// Where each is.
    places: HashMap<UserId, usize>,
    damaged: HashSet<UserId>,
    clients: Clients,
    asked_at: Option<Timestamp>,
}

/// Personal data has no place in logs.
impl std::fmt::Debug for Loaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Loaded({} people)", self.entries.len())
    }
}

/// Who is on a page, and the numbers around it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// In the order asked for.
    pub(super) page: Vec<UserId>,
    pub(super) total: u64,
    pub(super) states: StateCounts,
    pub(super) all: u64,
    pub(super) damaged: u64,
}

impl Loaded {
    fn put(&mut self, id: UserId, person: Result<Option<WholePerson>, VaultError>) {
        self.damaged.remove(&id);
        match person {
            Ok(Some((user, grants))) => {
                let entry = Entry::new(&user, &grants, &mut self.clients);
                match self.places.get(&id) {
                    Some(place) => self.entries[*place] = entry,
                    None => {
                        self.places.insert(id, self.entries.len());
                        self.entries.push(entry);
                    }
                }
            }
            Ok(None) => self.remove(id),
            Err(error) => {
                tracing::error!(%error, "a person cannot be listed");
                self.remove(id);
                self.damaged.insert(id);
            }
        }
    }

    fn remove(&mut self, id: UserId) {
        let Some(place) = self.places.remove(&id) else { return };
        self.entries.swap_remove(place);
        if let Some(moved) = self.entries.get(place) {
            self.places.insert(moved.id, place);
        }
    }

    fn people(&self) -> u64 {
        (self.entries.len() + self.damaged.len()) as u64
    }
}

impl Directory {
    /// What a panic left behind is not trusted.
    fn lock(&self) -> MutexGuard<'_, Option<Loaded>> {
        self.0.lock().unwrap_or_else(|poisoned| {
            self.0.clear_poison();
            let mut place = poisoned.into_inner();
            *place = None;
            place
        })
    }
}

impl Inner {
    /// Who is on the page that `query` asks for. Blocks; the first call reads everybody.
    pub(super) fn find_people(&self, query: &PeopleQuery) -> Result<Found, UsersError> {
        let mut place = self.directory.lock();
        // Put back only when all went well: a change that was taken is not noted again.
        let loaded = self.loaded(place.take()).inspect_err(|_| self.vault.unwatch_people())?;
        let loaded = place.insert(loaded);
        loaded.asked_at = Some(self.clock.now());
        Ok(search::search(&loaded.entries, &loaded.clients, &self.config, query).beside(loaded))
    }

    /// Everybody as they are now.
    fn loaded(&self, before: Option<Loaded>) -> Result<Loaded, UsersError> {
        let loaded = match before.map(|loaded| self.catch_up(loaded)).transpose()?.flatten() {
            Some(loaded) => loaded,
            None => self.read_everybody()?,
        };
        if loaded.people() > MOST { Err(UsersError::TooMany { most: MOST }) } else { Ok(loaded) }
    }

    /// Reads those again who changed; `None` when that is not known.
    fn catch_up(&self, mut loaded: Loaded) -> Result<Option<Loaded>, UsersError> {
        let Some(changed) = self.vault.take_changed_people() else { return Ok(None) };
        for id in changed {
            loaded.put(id, damage(self.vault.read_person(id))?);
        }
        Ok(Some(loaded))
    }

    fn read_everybody(&self) -> Result<Loaded, UsersError> {
        self.vault.watch_people();
        let mut loaded = Loaded::default();
        let mut after = None;
        loop {
            if self.lifecycle.is_stopping() {
                return Err(UsersError::Interrupted);
            }
            let chunk = self.vault.read_people(after, CHUNK)?;
            let last = chunk.len() < CHUNK;
            for (id, person) in chunk {
                after = Some(id);
                loaded.put(id, person.map(Some));
            }
            if loaded.people() > MOST {
                return Err(UsersError::TooMany { most: MOST });
            }
            if last {
                break;
            }
        }
        // Whoever changed while the others were read.
        self.catch_up(loaded)?.ok_or(UsersError::Interrupted)
    }
}

impl Found {
    fn beside(mut self, loaded: &Loaded) -> Self {
        self.all = loaded.people();
        self.damaged = loaded.damaged.len() as u64;
        self
    }
}

/// Tells damage to one person from a failure of the vault.
fn damage<T>(read: Result<T, VaultError>) -> Result<Result<T, VaultError>, VaultError> {
    match read {
        Err(error @ VaultError::Damaged { .. }) => Ok(Err(error)),
        Err(error) => Err(error),
        Ok(read) => Ok(Ok(read)),
    }
}

impl Users {
    /// Drops the directory when nobody has asked it for a while. Called by a job. Returns whether there is
    /// one afterwards.
    pub fn forget_idle_directory(&self) -> bool {
        let inner = &self.0;
        let mut place = match inner.directory.0.try_lock() {
            Ok(place) => place,
            // Somebody is asking.
            Err(TryLockError::WouldBlock) => return true,
            Err(TryLockError::Poisoned(_)) => inner.directory.lock(),
        };
        let now = inner.clock.now();
        let idle = |loaded: &mut Loaded| loaded.asked_at.is_none_or(|at| !(0..IDLE).contains(&now.since(at)));
        if place.take_if(idle).is_some() {
            inner.vault.unwatch_people();
        }
        place.is_some()
    }
}
