//! The two tables of sealed facts: what was agreed on, by path, and what Drive holds, by id.

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::super::keyring::{Keyring, Lookup};
use super::super::seal::{Place, RowFields, Sealed};
use super::super::{VaultError, sql, whole_row};
use crate::ids::MirrorId;
use crate::rng::Rng;

/// A folder, or a file by its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MirrorContent {
    /// Has no content.
    #[serde(rename = "d")]
    Folder,
    /// Has content.
    #[serde(rename = "f")]
    File {
        /// In bytes.
        size: u64,
        /// MD5 of the content.
        md5: [u8; 16],
    },
}

/// By what a local file is known to be unchanged without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalMark {
    /// The inode.
    pub inode: u64,
    /// Size in bytes.
    pub size: u64,
    /// Last change of the content; nanoseconds since the Unix epoch.
    pub mtime_ns: i64,
    /// Last change of the inode; nanoseconds since the Unix epoch.
    pub ctime_ns: i64,
    /// The file system's own time when the three above were read; nanoseconds since the Unix epoch.
    pub seen_ns: i64,
}

/// What both sides agreed on at one path. `Debug` leaves the path out: it is personal.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MirrorEntry {
    /// Below the folder, parts between `/`.
    pub path: String,
    /// Drive's id.
    pub remote: String,
    /// What is there.
    pub content: MirrorContent,
    /// The local file; `None` when it must be read to know it.
    pub local: Option<LocalMark>,
}

impl std::fmt::Debug for MirrorEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MirrorEntry")
            .field("remote", &self.remote)
            .field("content", &self.content)
            .finish_non_exhaustive()
    }
}

/// A file or folder at Drive. `Debug` leaves the name out: it is personal.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteRecord {
    /// Drive's id.
    pub id: String,
    /// The name.
    pub name: String,
    /// The folder it is in.
    pub parent: Option<String>,
    /// What it is; `None` for what has no content of its own (a Google document, a shortcut).
    pub content: Option<MirrorContent>,
    /// When its content last changed; Unix milliseconds.
    pub modified_ms: i64,
    /// When it was made; Unix milliseconds.
    pub created_ms: i64,
    /// Grows with every change.
    pub version: u64,
}

impl std::fmt::Debug for RemoteRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteRecord")
            .field("id", &self.id)
            .field("content", &self.content)
            .finish_non_exhaustive()
    }
}

/// A kind of facts with a table of its own.
pub(super) trait Kept: Serialize + DeserializeOwned {
    const TABLE: &'static str;
    const LOOKUP: Lookup;
    const SELECT: &'static str;
    const REPLACE: &'static str;
    const DELETE: &'static str;
    const CLEAR: &'static str;

    fn key(&self) -> &str;

    fn load(conn: &Connection, keys: &Keyring, mirror: MirrorId) -> Result<Vec<Self>, VaultError> {
        let mut statement = conn.prepare_cached(Self::SELECT).map_err(sql)?;
        let rows = statement
            .query_map([mirror.0], |row| {
                whole_row(Self::TABLE, row, |row| {
                    Ok(SealedRow {
                        id: row.get(0)?,
                        lookup: row.get(1)?,
                        facts: Sealed(row.get(2)?),
                        mac: row.get(3)?,
                    })
                })
            })
            .map_err(sql)?;
        rows.map(|row| row.map_err(sql)??.open::<Self>(keys, mirror)).collect()
    }

    fn clear(conn: &Connection, mirror: MirrorId) -> Result<(), VaultError> {
        conn.prepare_cached(Self::CLEAR).and_then(|mut s| s.execute([mirror.0])).map(drop).map_err(sql)
    }
}

impl Kept for MirrorEntry {
    const TABLE: &'static str = "mirror_entries";
    const LOOKUP: Lookup = Lookup::MirrorPath;
    const SELECT: &'static str = "SELECT id, lookup, facts, mac FROM mirror_entries WHERE mirror_id = ?";
    const REPLACE: &'static str =
        "INSERT OR REPLACE INTO mirror_entries (id, mirror_id, lookup, facts, mac) VALUES (?, ?, ?, ?, ?)";
    const DELETE: &'static str = "DELETE FROM mirror_entries WHERE mirror_id = ? AND lookup = ?";
    const CLEAR: &'static str = "DELETE FROM mirror_entries WHERE mirror_id = ?";

    fn key(&self) -> &str {
        &self.path
    }
}

impl Kept for RemoteRecord {
    const TABLE: &'static str = "mirror_remote";
    const LOOKUP: Lookup = Lookup::MirrorFile;
    const SELECT: &'static str = "SELECT id, lookup, facts, mac FROM mirror_remote WHERE mirror_id = ?";
    const REPLACE: &'static str =
        "INSERT OR REPLACE INTO mirror_remote (id, mirror_id, lookup, facts, mac) VALUES (?, ?, ?, ?, ?)";
    const DELETE: &'static str = "DELETE FROM mirror_remote WHERE mirror_id = ? AND lookup = ?";
    const CLEAR: &'static str = "DELETE FROM mirror_remote WHERE mirror_id = ?";

    fn key(&self) -> &str {
        &self.id
    }
}

fn lookup<T: Kept>(keys: &Keyring, mirror: MirrorId, key: &str) -> [u8; 32] {
    keys.lookup(T::LOOKUP, &[&mirror.0.to_be_bytes(), key.as_bytes()])
}

/// A row as it stands in its table.
struct SealedRow {
    id: i64,
    lookup: [u8; 32],
    facts: Sealed,
    mac: Vec<u8>,
}

impl SealedRow {
    fn fields<T: Kept>(&self, keys: &Keyring, mirror: MirrorId) -> RowFields {
        keys.row(T::TABLE, self.id).int(mirror.0).bytes(&self.lookup).sealed(Some(&self.facts))
    }

    fn seal<T: Kept>(keys: &Keyring, rng: &Rng, mirror: MirrorId, facts: &T) -> Self {
        let id = rng.row_id();
        let json = serde_json::to_vec(facts).expect("facts are texts and numbers, which JSON can hold");
        let place = Place { table: T::TABLE, column: "facts", row: id };
        let mut row = Self {
            id,
            lookup: lookup::<T>(keys, mirror, facts.key()),
            facts: keys.seal(place, &json),
            mac: Vec::new(),
        };
        row.mac = keys.row_mac(&row.fields::<T>(keys, mirror));
        row
    }

    fn open<T: Kept>(self, keys: &Keyring, mirror: MirrorId) -> Result<T, VaultError> {
        keys.verify_row(T::TABLE, self.id, &self.fields::<T>(keys, mirror), &self.mac)?;
        let place = Place { table: T::TABLE, column: "facts", row: self.id };
        let json = keys.open_sealed(place, &self.facts)?;
        serde_json::from_slice(&json).map_err(|_| VaultError::damaged(T::TABLE, self.id))
    }
}

/// Rows ready to be written: sealed on the caller's thread, not on the writer's.
pub(super) struct Prepared<T> {
    mirror: MirrorId,
    drop: Vec<[u8; 32]>,
    put: Vec<SealedRow>,
    kind: std::marker::PhantomData<fn() -> T>,
}

impl<T: Kept> Prepared<T> {
    pub(super) fn new(keys: &Keyring, rng: &Rng, mirror: MirrorId, drop: &[String], put: &[T]) -> Self {
        Self {
            mirror,
            drop: drop.iter().map(|key| lookup::<T>(keys, mirror, key)).collect(),
            put: put.iter().map(|facts| SealedRow::seal(keys, rng, mirror, facts)).collect(),
            kind: std::marker::PhantomData,
        }
    }

    pub(super) fn write(self, conn: &Connection) -> Result<(), VaultError> {
        let mirror = self.mirror.0;
        let mut delete = conn.prepare_cached(T::DELETE).map_err(sql)?;
        for lookup in self.drop {
            delete.execute(params![mirror, lookup]).map_err(sql)?;
        }
        let mut replace = conn.prepare_cached(T::REPLACE).map_err(sql)?;
        for row in self.put {
            replace.execute(params![row.id, mirror, row.lookup, row.facts.0, row.mac]).map_err(sql)?;
        }
        Ok(())
    }
}
