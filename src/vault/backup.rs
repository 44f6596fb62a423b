//! Copies of the whole vault, verified by opening every record of the copy.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::keyring::Keyring;
use super::lock::beside;
use super::{RootSecret, Vault, VaultError, VaultLock, owner_sessions, schema, sql};
use crate::rng::Rng;

/// What a verified copy holds.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct BackupFacts {
    /// The short id of the root key that opens the copy.
    pub root_id: String,
    /// People in it.
    pub users: u64,
    /// Grants in it.
    pub grants: u64,
    /// API keys in it.
    pub api_keys: u64,
    /// Its size in bytes.
    pub size: u64,
}

impl Vault {
    /// Copies the vault to `to`, a new file (0600), while everything goes on, then opens every record
    /// of the copy. A copy that does not verify is removed.
    ///
    /// # Errors
    /// [`VaultError::Exists`] when there is a file at `to`; else what the disk or the copy says.
    pub async fn backup(&self, to: &Path) -> Result<BackupFacts, VaultError> {
        create_private(to)?;
        let outcome = async {
            self.0.writer.backup(to.to_owned()).await?;
            let (copy, root) = (to.to_owned(), self.0.root.clone());
            // A whole vault is opened: seconds of work that must not stand in a request's way.
            tokio::task::spawn_blocking(move || verify(&copy, &root))
                .await
                .map_err(|error| VaultError::Io(error.to_string()))?
                .and_then(|facts| sync_directory_of(to).map(|()| facts))
        }
        .await;
        match outcome {
            Ok(facts) => {
                let now = self.0.records.clock.now().unix();
                self.write(move |conn| {
                    conn.execute("UPDATE vault SET last_backup_at = ? WHERE id = 1", [now])
                        .map(drop)
                        .map_err(sql)
                })
                .await?;
                Ok(facts)
            }
            Err(error) => {
                remove_copy(to);
                Err(error)
            }
        }
    }

    /// Puts a backup where no vault is: verifies it first, then copies it into place.
    ///
    /// # Errors
    /// [`VaultError::Exists`] when there is a vault; else what the backup or the disk says.
    pub fn restore(from: &Path, vault: &Path, root: &RootSecret) -> Result<BackupFacts, VaultError> {
        if vault.exists() {
            return Err(VaultError::Exists(vault.to_owned()));
        }
        if !from.exists() {
            return Err(VaultError::Missing(from.to_owned()));
        }
        // The copy is what gets verified: the original may lie on a medium that cannot be locked, and
        // must stay as it is.
        let partial = vault.with_extension("restoring");
        if let Some(directory) = vault.parent().filter(|directory| !directory.as_os_str().is_empty()) {
            VaultLock::prepare_directory(directory)?;
        }
        create_private(&partial)?;
        let outcome = (|| {
            let io = |error: std::io::Error| VaultError::io(&error);
            let mut source = std::fs::File::open(from).map_err(io)?;
            let mut copy = OpenOptions::new().write(true).open(&partial).map_err(io)?;
            std::io::copy(&mut source, &mut copy).map_err(io)?;
            copy.sync_all().map_err(io)?;
            drop(copy);
            let facts = verify(&partial, root)?;
            // SQLite would take a log that was left here for this file's own.
            for suffix in COMPANIONS {
                let companion = beside(vault, suffix);
                if companion.exists() {
                    return Err(VaultError::Exists(companion));
                }
            }
            // A hard link fails where a rename would overwrite.
            std::fs::hard_link(&partial, vault).map_err(|error| match error.kind() {
                std::io::ErrorKind::AlreadyExists => VaultError::Exists(vault.to_owned()),
                _ => VaultError::io(&error),
            })?;
            sync_directory_of(vault)?;
            Ok(facts)
        })();
        remove_copy(&partial);
        outcome
    }
}

fn create_private(path: &Path) -> Result<(), VaultError> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map(drop).map_err(|error| {
        match error.kind() {
            std::io::ErrorKind::AlreadyExists => VaultError::Exists(path.to_owned()),
            _ => VaultError::io(&error),
        }
    })
}

/// What SQLite may put beside a file.
const COMPANIONS: [&str; 3] = ["-journal", "-wal", "-shm"];

/// Removes a copy that was made here, with what SQLite left beside it.
fn remove_copy(copy: &Path) {
    let _ = std::fs::remove_file(copy);
    for suffix in COMPANIONS {
        let _ = std::fs::remove_file(beside(copy, suffix));
    }
}

/// Makes a new name durable: syncing a file does not sync the directory that names it.
fn sync_directory_of(path: &Path) -> Result<(), VaultError> {
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    std::fs::File::open(directory.unwrap_or(Path::new(".")))
        .and_then(|directory| directory.sync_all())
        .map_err(|error| VaultError::io(&error))
}

/// Opens every record of a file that nobody else uses.
fn verify(path: &Path, root: &RootSecret) -> Result<BackupFacts, VaultError> {
    let conn = schema::open_for_reading(path)?;
    let version = schema::schema_version(&conn)?;
    if version == 0 {
        return Err(VaultError::NotAVault);
    }
    let check: String = conn.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(sql)?;
    if check != "ok" {
        return Err(VaultError::Corrupt(check));
    }
    let keys = Keyring::open(&conn, root, &Rng::system())?;
    let users = Vault::verify_users(&conn, &keys)?;
    let grants = Vault::verify_grants(&conn, &keys)?;
    let api_keys = Vault::read_api_keys(&conn, &keys)?.into_iter().collect::<Result<Vec<_>, _>>()?;
    Vault::read_signing_keys(&conn, &keys)?;
    Vault::verify_redemptions(&conn, &keys)?;
    Vault::verify_documents(&conn, &keys)?;
    // A backup may be older than a table.
    if version >= super::mirrors::SINCE {
        Vault::verify_mirrors(&conn, &keys)?;
    }
    if version >= super::connect_links::SINCE {
        Vault::verify_connect_links(&conn, &keys)?;
    }
    if version >= super::events::SINCE {
        Vault::verify_events(&conn, &keys)?;
        Vault::verify_counts(&conn, &keys)?;
    }
    if version >= owner_sessions::SINCE {
        Vault::read_owner_sessions(&conn, &keys)?.into_iter().collect::<Result<Vec<_>, _>>()?;
    }
    drop(conn);
    let size = std::fs::metadata(path).map_err(|error| VaultError::io(&error))?.len();
    Ok(BackupFacts {
        root_id: keys.root_id().to_string(),
        users,
        grants,
        api_keys: api_keys.len() as u64,
        size,
    })
}
