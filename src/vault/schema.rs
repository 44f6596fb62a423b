//! How the database is opened, and its tables.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::keyring::Keyring;
use super::{RootSecret, VaultError, sql};
use crate::clock::Timestamp;
use crate::rng::Rng;

/// `PRAGMA application_id`: "locm".
const APPLICATION_ID: i64 = 0x6c6f_636d;

/// Older libraries can lose a commit when the write-ahead log is reset under a checkpoint.
const OLDEST_SQLITE: i32 = 3_051_003;

/// The schema this build writes.
pub const SCHEMA_VERSION: i64 = MIGRATIONS.len() as i64;

/// Each entry takes the schema from its index to the next. Entries never change once released.
const MIGRATIONS: &[&str] = &[
    include_str!("schema/0001.sql"),
    include_str!("schema/0002.sql"),
    include_str!("schema/0003.sql"),
    include_str!("schema/0004.sql"),
    include_str!("schema/0005.sql"),
];

/// A wait that lets a checkpoint pass a reader, and no longer.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

fn open(path: &Path, flags: OpenFlags) -> Result<Connection, VaultError> {
    if rusqlite::version_number() < OLDEST_SQLITE {
        return Err(VaultError::Io(format!(
            "SQLite {} is too old and can lose commits; build locum with its bundled SQLite",
            rusqlite::version()
        )));
    }
    let conn = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(sql)?;
    conn.busy_timeout(BUSY_TIMEOUT).map_err(sql)?;
    conn.set_prepared_statement_cache_capacity(64);
    // Before anything is read: a file that is not a database fails here with NOTADB.
    let application: i64 = conn.query_row("PRAGMA application_id", [], |row| row.get(0)).map_err(sql)?;
    let tables: i64 =
        conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(sql)?;
    if application != APPLICATION_ID && tables > 0 {
        return Err(VaultError::NotAVault);
    }
    conn.execute_batch(
        "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;
         PRAGMA temp_store = MEMORY; PRAGMA mmap_size = 0; PRAGMA secure_delete = ON;
         PRAGMA synchronous = FULL;",
    )
    .map_err(sql)?;
    // A trigger or a view can only be the work of somebody who can write the file.
    for (setting, on) in [
        (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        // Without this, SQLite plans a kept statement anew whenever another value is bound to it, which
        // costs more than the look-up itself. There are no statistics here that a plan could follow.
        (DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true),
    ] {
        conn.set_db_config(setting, on).map_err(sql)?;
    }
    #[cfg(target_vendor = "apple")]
    conn.execute_batch("PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON;").map_err(sql)?;
    Ok(conn)
}

/// Opens the file and its keys, making both for a new vault. Nothing is written to an existing file
/// before its application, its schema and the root key have been found right.
pub(super) fn open_for_writing(
    path: &Path,
    root: &RootSecret,
    rng: &Rng,
    now: Timestamp,
) -> Result<(Connection, Keyring), VaultError> {
    let mut conn = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
    let version = schema_version(&conn)?;
    let keys = if version > 0 { Some(Keyring::open(&conn, root, rng)?) } else { None };
    migrate(&mut conn, version, root, rng, now)?;
    let keys = keys.map_or_else(|| Keyring::open(&conn, root, rng), Ok)?;
    let mode: String = conn.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(sql)?;
    if mode != "wal" {
        return Err(VaultError::Unsuitable {
            path: path.to_owned(),
            problem: "its file system does not support SQLite's write-ahead log; use a local disk".into(),
        });
    }
    Ok((conn, keys))
}

pub(super) fn open_for_reading(path: &Path) -> Result<Connection, VaultError> {
    let conn = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    conn.pragma_update(None, "query_only", true).map_err(sql)?;
    Ok(conn)
}

/// Brings the schema up to this build's, all steps in one transaction, and makes the keys of a new
/// vault in it.
fn migrate(
    conn: &mut Connection,
    version: i64,
    root: &RootSecret,
    rng: &Rng,
    now: Timestamp,
) -> Result<(), VaultError> {
    if version == SCHEMA_VERSION {
        return Ok(());
    }
    let transaction =
        conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(sql)?;
    for step in MIGRATIONS.iter().skip(usize::try_from(version).unwrap_or(0)) {
        transaction.execute_batch(step).map_err(sql)?;
    }
    if version == 0 {
        Keyring::create(&transaction, root, rng, now)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(sql)?;
    }
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION).map_err(sql)?;
    transaction.commit().map_err(sql)
}

/// The file's schema version: 0 for an empty file, else one that this build knows.
pub(super) fn schema_version(conn: &Connection) -> Result<i64, VaultError> {
    let version: i64 = conn.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(sql)?;
    let tables: i64 =
        conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(sql)?;
    match version {
        0 if tables == 0 => Ok(0),
        ..=0 => Err(VaultError::Corrupt(format!("it has tables and schema version {version}"))),
        1..=SCHEMA_VERSION => Ok(version),
        found => Err(VaultError::Newer { found, known: SCHEMA_VERSION }),
    }
}
