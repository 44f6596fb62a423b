//! The only door to the database: what is kept, sealed and found again.
//!
//! Methods are async and speak locum's own types; nobody else sees SQL or ciphertext. One thread owns
//! the only connection that writes and commits what has queued up together; several connections
//! read beside it. An exchange ([`Vault::connect`]) and a deletion look and write in one transaction; other
//! changes of a grant or a user are compare-and-set by `revision`.
//!
//! What must stay true:
//!
//! - a write is acknowledged only after its commit is on disk (`synchronous=FULL`);
//! - every secret and everything personal is sealed to its place, and every row that decides
//!   something carries a MAC over all of it ([`seal`]);
//! - a corrupt, foreign or unreadable vault is an error for a person; nothing here repairs one by
//!   deleting anything;
//! - one process at a time holds a vault's lock, and no file of it is touched by other means.

mod api_keys;
mod backup;
mod changes;
mod connect_links;
mod counts;
mod documents;
mod events;
mod grants;
mod keyring;
mod lock;
mod mirrors;
mod owner_sessions;
mod readers;
mod records;
mod redemptions;
mod rows;
mod schema;
mod seal;
mod signing_keys;
mod users;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use rusqlite::Connection;

pub use self::api_keys::{ApiKeyRecord, UserBinding};
pub use self::backup::BackupFacts;
pub use self::connect_links::{ConnectLinkRecord, LinkedPerson};
pub use self::counts::HourCount;
pub use self::documents::{DocumentKind, StoredDocument};
pub use self::events::{EventQuery, EventRecord, FoundEvents, Order, PersonalFacts};
pub use self::grants::{
    AccessChange, FoundGrants, Grant, GrantChange, GrantCounts, GrantsInNeed, NewGrant, RefreshChange,
};
pub use self::keyring::{RootId, RootSecret};
pub use self::lock::VaultLock;
pub use self::mirrors::{
    LocalMark, Mirror, MirrorBatch, MirrorContent, MirrorEntry, MirrorStage, MirrorVersion, NewMirrorVersion,
    RemoteRecord,
};
pub use self::owner_sessions::{OwnerSessionRecord, SignedInBy};
pub use self::redemptions::{CodeMarks, NewRedemption, Redemption};
pub use self::schema::SCHEMA_VERSION;
pub use self::signing_keys::SigningKeyRecord;
pub use self::users::{Connected, Connection as NewConnection, Profile, ReadPerson, User, WholePerson};

use self::changes::Changes;
use self::readers::Readers;
use self::records::Records;
use self::writer::Writer;
use crate::clock::Clock;
use crate::rng::Rng;

/// What went wrong with the vault, by what can be done about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// Somebody else changed the row first; load it again and decide again.
    #[error("the row changed in the meantime")]
    Conflict,
    /// What should be changed is not there (any more).
    #[error("no such row")]
    Gone,
    /// Too many writes are waiting; try again in a moment.
    #[error("too many writes are waiting")]
    Busy,
    /// The disk is full. Nothing was lost; free some space.
    #[error("the disk that holds the vault is full; free some space, locum goes on by itself")]
    Full,
    /// The file or its directory cannot be written.
    #[error(
        "the vault cannot be written: the file, its directory or the whole file system is read-only for this \
         user; see who owns the vault's directory, and whether the disk is mounted read-only"
    )]
    ReadOnly,
    /// The disk failed under a commit. Writing has stopped; locum ends for a clean restart.
    #[error("the disk failed while the vault was written ({0}); locum stops writing and needs a restart")]
    DiskFailed(String),
    /// A row was changed by other means than locum, or the disk altered it.
    #[error(
        "row {row} of {table} does not match its seal: it was altered outside locum or damaged; restore a backup"
    )]
    Damaged {
        /// The table that holds the row.
        table: &'static str,
        /// The row's id.
        row: i64,
    },
    /// SQLite finds the file itself corrupt.
    #[error("the vault file is corrupt ({0}); nothing was changed; keep the file and restore a backup")]
    Corrupt(String),
    /// The configured root key is not the one this vault was made with.
    #[error(
        "this vault does not open with the configured root key (its id is {given}{}); put the right root key back, \
         nothing was changed",
        .wanted.map(|id| format!(", the vault wants {id}")).unwrap_or_default()
    )]
    WrongRootKey {
        /// The id of the configured root key.
        given: RootId,
        /// The id of a root key that opens the vault.
        wanted: Option<RootId>,
    },
    /// The root key is of another kind than the vault's.
    #[error("{0}")]
    UnusableRootKey(&'static str),
    /// The file was written by a newer locum.
    #[error("this vault has schema {found}, and this locum knows schemas up to {known}; run the newer locum")]
    Newer {
        /// The file's schema.
        found: i64,
        /// The newest schema this build knows.
        known: i64,
    },
    /// The file is something else.
    #[error("this file is not a locum vault; nothing was changed")]
    NotAVault,
    /// There is no vault at the path.
    #[error("there is no vault at {}", .0.display())]
    Missing(PathBuf),
    /// There is something at the path already.
    #[error("{} exists already and is never overwritten; move it away first", .0.display())]
    Exists(PathBuf),
    /// Another process holds the vault.
    #[error("another locum (process {holder}) holds the vault {}", path.display())]
    InUse {
        /// The vault's file.
        path: PathBuf,
        /// The other process's id, as its lock file says.
        holder: String,
    },
    /// The path cannot hold a vault.
    #[error("{} cannot hold a vault: {problem}", path.display())]
    Unsuitable {
        /// The path in question.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: String,
    },
    /// Another error of the operating system or SQLite.
    #[error("the vault could not be read or written: {0}")]
    Io(String),
    /// The vault is closed; only seen during a stop.
    #[error("the vault is closed")]
    Closed,
}

impl VaultError {
    fn damaged(table: &'static str, row: i64) -> Self {
        Self::Damaged { table, row }
    }

    fn io(error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::StorageFull => Self::Full,
            std::io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            _ => Self::Io(error.to_string()),
        }
    }
}

/// Reads an error of SQLite's by its extended result code.
fn sql(error: rusqlite::Error) -> VaultError {
    use rusqlite::ErrorCode as C;
    let rusqlite::Error::SqliteFailure(failure, _) = &error else {
        return match error {
            rusqlite::Error::QueryReturnedNoRows => VaultError::Gone,
            // A column of another type than the schema's: STRICT tables make it damage, not a bug.
            other => VaultError::Corrupt(other.to_string()),
        };
    };
    match (failure.code, failure.extended_code) {
        (C::DiskFull, _) => VaultError::Full,
        (C::ReadOnly, _) => VaultError::ReadOnly,
        (C::NotADatabase, _) => VaultError::NotAVault,
        (C::DatabaseCorrupt, _) => VaultError::Corrupt(failure.to_string()),
        (
            C::SystemIoFailure,
            rusqlite::ffi::SQLITE_IOERR_FSYNC
            | rusqlite::ffi::SQLITE_IOERR_DIR_FSYNC
            | rusqlite::ffi::SQLITE_IOERR_WRITE,
        ) => VaultError::DiskFailed(failure.to_string()),
        (C::DatabaseBusy | C::DatabaseLocked, _) => VaultError::Busy,
        // The other side of a constraint was written or deleted between the decision and the write.
        (C::ConstraintViolation, _) => VaultError::Conflict,
        _ => VaultError::Io(failure.to_string()),
    }
}

/// Reads a row whose id is its first column. A value of another type or length than the schema's (not
/// UTF-8, a lookup that is too short) is damage to that row alone, so that a listing can go on past
/// it; the outer error is SQLite's.
fn whole_row<T>(
    table: &'static str,
    row: &rusqlite::Row<'_>,
    read: impl FnOnce(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Result<T, VaultError>> {
    match read(row) {
        Ok(read) => Ok(Ok(read)),
        Err(error @ rusqlite::Error::SqliteFailure(..)) => Err(error),
        Err(_) => Ok(Err(VaultError::damaged(table, row.get(0).unwrap_or_default()))),
    }
}

/// How to open a vault.
#[derive(Clone, Debug)]
pub struct VaultSettings {
    /// The database file. Its directory is made (0700) if it is missing.
    pub path: PathBuf,
    /// The root key or pass-phrase.
    pub root: RootSecret,
    /// The canonical issuer whose `sub`s are kept (`https://accounts.google.com`).
    pub issuer: String,
    /// How many connections read beside the writer.
    pub readers: usize,
}

/// An open vault. Cheap to clone; clones share the connections.
#[derive(Clone, Debug)]
pub struct Vault(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    records: Arc<Records>,
    /// Proves that a backup opens with what its owner keeps.
    root: RootSecret,
    readers: Arc<Readers>,
    writer: Writer,
    changes: Arc<Changes>,
    // Last, so that the lock outlives the connections; dropping the writer waits for its own.
    _lock: VaultLock,
}

/// What a vault is, for `status` and the log.
#[derive(Clone, Debug, serde::Serialize)]
pub struct VaultFacts {
    /// The short id of the root key that opened it.
    pub root_id: String,
    /// The schema version of the file.
    pub schema: i64,
    /// The newest data key's term.
    pub data_key_term: u32,
    /// When that key was made.
    pub data_key_made_at: crate::clock::Timestamp,
    /// Size of the database file in bytes, the write-ahead log not counted.
    pub size: u64,
    /// When the last verified backup was made.
    pub last_backup: Option<crate::clock::Timestamp>,
}

impl Vault {
    /// Opens the vault, making it first if there is no file yet.
    ///
    /// # Errors
    /// Every way in which a file, a lock, a disk or a root key can be wrong; see [`VaultError`].
    pub fn open(settings: VaultSettings, clock: Clock, rng: Rng) -> Result<Self, VaultError> {
        let lock = VaultLock::take(&settings.path)?;
        Self::open_locked(settings, lock, clock, rng)
    }

    /// As [`Vault::open`], with the lock already held: a command that found no running server keeps
    /// the lock it took.
    ///
    /// # Errors
    /// As [`Vault::open`].
    pub fn open_locked(
        settings: VaultSettings,
        lock: VaultLock,
        clock: Clock,
        rng: Rng,
    ) -> Result<Self, VaultError> {
        let VaultSettings { path, root, issuer, readers } = settings;
        let (conn, keys) = schema::open_for_writing(&path, &root, &rng, clock.now())?;
        let readers = Arc::new(Readers::open(&path, readers)?);
        let writer = Writer::start(conn, readers.clone())?;
        let redemptions = AtomicI64::new(rng.row_id());
        let records = Arc::new(Records { keys, issuer, clock, rng, redemptions });
        Ok(Self(Arc::new(Inner {
            path,
            records,
            root,
            readers,
            writer,
            changes: Arc::default(),
            _lock: lock,
        })))
    }

    /// Where the database file is.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// The short id of the root key that opened the vault.
    pub fn root_id(&self) -> RootId {
        self.0.records.keys.root_id()
    }

    /// Whether writing stopped because the disk failed; the process should end for a clean restart.
    pub fn has_failed(&self) -> bool {
        self.0.writer.has_failed()
    }

    /// Resolves once the disk has failed under a write.
    pub async fn failed(&self) {
        self.0.writer.failed().await;
    }

    /// Size, schema and keys.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn facts(&self) -> Result<VaultFacts, VaultError> {
        let (last_backup, key_made_at): (Option<i64>, i64) = self.read(|conn| {
            conn.query_row(
                "SELECT last_backup_at, (SELECT min(created_at) FROM data_keys WHERE purpose = 'data' AND term = ?) \
                 FROM vault WHERE id = 1",
                [self.0.records.keys.active_term()],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .map_err(sql)
        })?;
        let size = std::fs::metadata(&self.0.path).map_err(|error| VaultError::io(&error))?.len();
        Ok(VaultFacts {
            root_id: self.root_id().to_string(),
            schema: SCHEMA_VERSION,
            data_key_term: self.0.records.keys.active_term(),
            data_key_made_at: crate::clock::Timestamp::from_unix(key_made_at),
            size,
            last_backup: last_backup.map(crate::clock::Timestamp::from_unix),
        })
    }

    /// Moves the write-ahead log into the database file and empties it, so that what was deleted is
    /// gone from both. Part of forgetting; costs a few milliseconds.
    ///
    /// # Errors
    /// When the writer is gone or the disk fails.
    pub async fn checkpoint(&self) -> Result<(), VaultError> {
        self.0.writer.checkpoint().await
    }

    /// Checkpoints if something was deleted since the last time.
    ///
    /// # Errors
    /// As [`Vault::checkpoint`].
    pub async fn checkpoint_if_wanted(&self) -> Result<(), VaultError> {
        if self.0.writer.checkpoint_wanted() { self.checkpoint().await } else { Ok(()) }
    }

    /// Waits for the queued writes, empties the log and closes the writing connection.
    pub async fn close(&self) {
        self.0.writer.close().await;
    }

    /// Runs `query` as of one moment, on the calling thread.
    fn read<T>(&self, query: impl FnOnce(&Connection) -> Result<T, VaultError>) -> Result<T, VaultError> {
        self.0.readers.read(query)
    }

    /// Runs `job` in the writer's next commit group and answers once that group is on disk.
    async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, VaultError> + Send + 'static,
    ) -> Result<T, VaultError> {
        self.0.writer.write(job).await
    }
}

#[cfg(test)]
mod tests;
