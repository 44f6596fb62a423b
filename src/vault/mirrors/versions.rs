//! Rows about kept contents; the contents themselves lie in the version store, outside the database.

use rusqlite::{Connection, Row, params};
use serde::{Deserialize, Serialize};

use super::super::keyring::Keyring;
use super::super::seal::{Place, RowFields, Sealed};
use super::super::{Vault, VaultError, sql, whole_row};
use crate::clock::Timestamp;
use crate::ids::MirrorId;
use crate::rng::Rng;

const TABLE: &str = "mirror_versions";
const COLUMNS: &str = "id, file, why, size, kept_at, facts, mac";

/// What is said of a content when it is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct NewMirrorVersion {
    /// The file's name in the store; random.
    pub file: String,
    /// Where the content was, below the folder.
    pub path: String,
    /// Its MD5.
    pub md5: [u8; 16],
    /// Its size in bytes.
    pub size: u64,
    /// Why it was kept, as a word.
    pub why: String,
    /// When.
    pub kept_at: Timestamp,
    /// Whether the file in the store has been a name of its own from the start, and no second name of a
    /// file that others could still write to.
    pub own: bool,
}

/// A kept content.
#[derive(Clone, PartialEq, Eq)]
pub struct MirrorVersion {
    /// The row.
    pub id: i64,
    /// What was said of it.
    pub kept: NewMirrorVersion,
}

/// File names have no place in logs.
impl std::fmt::Debug for NewMirrorVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewMirrorVersion")
            .field("why", &self.why)
            .field("kept_at", &self.kept_at)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for MirrorVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MirrorVersion({}, {:?})", self.id, self.kept)
    }
}

/// The sealed part.
#[derive(Serialize, Deserialize)]
struct Facts {
    path: String,
    md5: [u8; 16],
    own: bool,
}

struct VersionRow {
    id: i64,
    file: String,
    why: String,
    size: i64,
    kept_at: i64,
    facts: Sealed,
    mac: Vec<u8>,
}

const fn place(row: i64) -> Place {
    Place { table: TABLE, column: "facts", row }
}

impl VersionRow {
    fn from_sql(row: &Row<'_>) -> rusqlite::Result<Result<Self, VaultError>> {
        whole_row(TABLE, row, |row| {
            Ok(Self {
                id: row.get(0)?,
                file: row.get(1)?,
                why: row.get(2)?,
                size: row.get(3)?,
                kept_at: row.get(4)?,
                facts: Sealed(row.get(5)?),
                mac: row.get(6)?,
            })
        })
    }

    fn fields(&self, keys: &Keyring, mirror: MirrorId) -> RowFields {
        keys.row(TABLE, self.id)
            .int(mirror.0)
            .text(&self.file)
            .text(&self.why)
            .int(self.size)
            .int(self.kept_at)
            .sealed(Some(&self.facts))
    }

    fn seal(keys: &Keyring, rng: &Rng, mirror: MirrorId, version: NewMirrorVersion) -> Self {
        let id = rng.row_id();
        let facts = Facts { path: version.path, md5: version.md5, own: version.own };
        let json = serde_json::to_vec(&facts).expect("a path and a sum, which JSON can hold");
        let mut row = Self {
            id,
            file: version.file,
            why: version.why,
            size: i64::try_from(version.size).unwrap_or(i64::MAX),
            kept_at: version.kept_at.unix(),
            facts: keys.seal(place(id), &json),
            mac: Vec::new(),
        };
        row.mac = keys.row_mac(&row.fields(keys, mirror));
        row
    }

    fn open(self, keys: &Keyring, mirror: MirrorId) -> Result<MirrorVersion, VaultError> {
        keys.verify_row(TABLE, self.id, &self.fields(keys, mirror), &self.mac)?;
        let json = keys.open_sealed(place(self.id), &self.facts)?;
        let facts: Facts = serde_json::from_slice(&json).map_err(|_| VaultError::damaged(TABLE, self.id))?;
        Ok(MirrorVersion {
            id: self.id,
            kept: NewMirrorVersion {
                file: self.file,
                path: facts.path,
                md5: facts.md5,
                size: self.size.unsigned_abs(),
                why: self.why,
                kept_at: Timestamp::from_unix(self.kept_at),
                own: facts.own,
            },
        })
    }
}

pub(super) fn prepare(
    keys: &Keyring,
    rng: &Rng,
    mirror: MirrorId,
    put: Vec<NewMirrorVersion>,
    drop: Vec<i64>,
) -> impl FnOnce(&Connection) -> Result<(), VaultError> + Send + 'static {
    let put: Vec<_> = put.into_iter().map(|version| VersionRow::seal(keys, rng, mirror, version)).collect();
    move |conn| {
        let mut delete =
            conn.prepare_cached("DELETE FROM mirror_versions WHERE id = ? AND mirror_id = ?").map_err(sql)?;
        for id in drop {
            delete.execute([id, mirror.0]).map_err(sql)?;
        }
        let mut insert = conn
            .prepare_cached(
                "INSERT INTO mirror_versions (id, mirror_id, file, why, size, kept_at, facts, mac) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            )
            .map_err(sql)?;
        for row in put {
            insert
                .execute(params![
                    row.id,
                    mirror.0,
                    row.file,
                    row.why,
                    row.size,
                    row.kept_at,
                    row.facts.0,
                    row.mac
                ])
                .map_err(sql)?;
        }
        Ok(())
    }
}

pub(super) fn load(
    conn: &Connection,
    keys: &Keyring,
    mirror: MirrorId,
) -> Result<Vec<MirrorVersion>, VaultError> {
    let mut statement = conn
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM mirror_versions WHERE mirror_id = ? ORDER BY kept_at, id"
        ))
        .map_err(sql)?;
    let rows = statement.query_map([mirror.0], VersionRow::from_sql).map_err(sql)?;
    rows.map(|row| row.map_err(sql)??.open(keys, mirror)).collect()
}

impl Vault {
    /// Every kept content of a mirror, oldest first.
    ///
    /// # Errors
    /// When the vault cannot be read or a row is damaged.
    pub async fn load_mirror_versions(&self, mirror: MirrorId) -> Result<Vec<MirrorVersion>, VaultError> {
        self.read(|conn| load(conn, &self.0.records.keys, mirror))
    }

    /// The names of the files that a mirror's store should hold. Nothing is opened: a name that somebody
    /// wrote into the table can at most leave a file where it is.
    ///
    /// # Errors
    /// When the vault cannot be read.
    pub async fn load_mirror_version_files(&self, mirror: MirrorId) -> Result<Vec<String>, VaultError> {
        self.read(|conn| {
            let mut statement =
                conn.prepare_cached("SELECT file FROM mirror_versions WHERE mirror_id = ?").map_err(sql)?;
            let rows = statement.query_map([mirror.0], |row| row.get(0)).map_err(sql)?;
            rows.collect::<Result<_, _>>().map_err(sql)
        })
    }
}
