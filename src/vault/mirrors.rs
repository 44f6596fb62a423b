//! Mirrors: what each knows of its two sides, and the contents it kept.
//!
//! A mirror's row says which folder, which app data and how far the changes feed was read; its entries
//! are the last state both sides agreed on, its remote rows what Drive holds as of the page token, its
//! versions the contents kept in a store outside the database. Names are sealed. All rows of a mirror go
//! with it, and a mirror goes with its user.
//!
//! What must stay true: a batch is written only while the mirror has the revision its writer saw, so
//! that what a run that was cut short still has queued cannot land in the run after it.

mod rows;
mod versions;

use rusqlite::{Connection, OptionalExtension as _, Row, params};

pub use self::rows::{LocalMark, MirrorContent, MirrorEntry, RemoteRecord};
pub use self::versions::{MirrorVersion, NewMirrorVersion};

use self::rows::Kept as _;
use super::keyring::Keyring;
use super::seal::RowFields;
use super::{Vault, VaultError, sql, whole_row};
use crate::clock::Timestamp;
use crate::ids::{MirrorId, UserId};

/// The schema that first has the tables.
pub(super) const SINCE: i64 = 2;

const TABLE: &str = "mirrors";

/// How far a mirror has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MirrorStage {
    /// No run has changed anything yet.
    New,
    /// The first sync may run, and has not come to its end.
    Accepted,
    /// The first sync is done.
    Settled,
}

impl MirrorStage {
    const fn code(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Accepted => "accepted",
            Self::Settled => "settled",
        }
    }

    fn from_code(code: &str) -> Option<Self> {
        [Self::New, Self::Accepted, Self::Settled].into_iter().find(|stage| stage.code() == code)
    }
}

/// One mirror: of one person's app data in one Google Cloud project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// The row.
    pub id: MirrorId,
    /// Whose app data.
    pub user: UserId,
    /// The number of the Google Cloud project.
    pub project: String,
    /// What the folder's marker file must say; random.
    pub marker: String,
    /// The name of the folder that holds the kept versions; random.
    pub store: String,
    /// The direction of the last run, in the configuration's word.
    pub direction: String,
    /// How far it has come.
    pub stage: MirrorStage,
    /// The real id of the appDataFolder.
    pub root: Option<String>,
    /// Where the changes feed goes on.
    pub page_token: Option<String>,
    /// Why the last run waits for a person, as a word.
    pub held: Option<String>,
    /// Numbers of the last run, as JSON.
    pub last_run: Option<String>,
    /// When the last run ended.
    pub last_run_at: Option<Timestamp>,
    /// When a run last came to its end with nothing left over.
    pub last_ok_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Counts the writes of this row.
    pub revision: i64,
}

/// What a run has to say about a mirror's rows, written in one transaction.
#[derive(Clone, Debug, Default)]
pub struct MirrorBatch {
    /// Drops every entry first.
    pub clear_entries: bool,
    /// Drops every remote row first.
    pub clear_remote: bool,
    /// Paths that are no longer agreed on.
    pub drop_entries: Vec<String>,
    /// The agreed state, each in the place of its path's former one.
    pub put_entries: Vec<MirrorEntry>,
    /// Ids that Drive no longer has.
    pub drop_remote: Vec<String>,
    /// What Drive has, each in the place of its id's former row.
    pub put_remote: Vec<RemoteRecord>,
    /// Versions whose files are in the store already.
    pub put_versions: Vec<NewMirrorVersion>,
    /// Rows of versions to drop.
    pub drop_versions: Vec<i64>,
}

impl MirrorBatch {
    /// How many rows it is about.
    pub fn len(&self) -> usize {
        self.drop_entries.len()
            + self.put_entries.len()
            + self.drop_remote.len()
            + self.put_remote.len()
            + self.put_versions.len()
            + self.drop_versions.len()
    }

    /// Whether it would change nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0 && !self.clear_entries && !self.clear_remote
    }
}

const COLUMNS: &str = "id, user_id, project, marker, store, direction, stage, root_id, page_token, held, last_run, \
     last_run_at, last_ok_at, created_at, revision, mac";

/// A row as it stands in the table: the mirror, or `None` for a stage that is no word, and the MAC.
struct MirrorRow {
    mirror: Mirror,
    stage: String,
    mac: Vec<u8>,
}

impl MirrorRow {
    fn from_sql(row: &Row<'_>) -> rusqlite::Result<Result<Self, VaultError>> {
        whole_row(TABLE, row, |row| {
            let time = |at: Option<i64>| at.map(Timestamp::from_unix);
            let stage: String = row.get(6)?;
            Ok(Self {
                mirror: Mirror {
                    id: MirrorId(row.get(0)?),
                    user: UserId(row.get(1)?),
                    project: row.get(2)?,
                    marker: row.get(3)?,
                    store: row.get(4)?,
                    direction: row.get(5)?,
                    // Stands for a word that is none, which the MAC then refuses.
                    stage: MirrorStage::from_code(&stage).unwrap_or(MirrorStage::New),
                    root: row.get(7)?,
                    page_token: row.get(8)?,
                    held: row.get(9)?,
                    last_run: row.get(10)?,
                    last_run_at: time(row.get(11)?),
                    last_ok_at: time(row.get(12)?),
                    created_at: Timestamp::from_unix(row.get(13)?),
                    revision: row.get(14)?,
                },
                stage,
                mac: row.get(15)?,
            })
        })
    }

    fn parse(self, keys: &Keyring) -> Result<Mirror, VaultError> {
        let id = self.mirror.id.0;
        if self.stage != self.mirror.stage.code() {
            return Err(VaultError::damaged(TABLE, id));
        }
        keys.verify_row(TABLE, id, &fields(&self.mirror, keys), &self.mac)?;
        Ok(self.mirror)
    }
}

fn fields(mirror: &Mirror, keys: &Keyring) -> RowFields {
    keys.row(TABLE, mirror.id.0)
        .int(mirror.user.0)
        .text(&mirror.project)
        .text(&mirror.marker)
        .text(&mirror.store)
        .text(&mirror.direction)
        .text(mirror.stage.code())
        .maybe_text(mirror.root.as_deref())
        .maybe_text(mirror.page_token.as_deref())
        .maybe_text(mirror.held.as_deref())
        .maybe_text(mirror.last_run.as_deref())
        .maybe_int(mirror.last_run_at.map(Timestamp::unix))
        .maybe_int(mirror.last_ok_at.map(Timestamp::unix))
        .int(mirror.created_at.unix())
        .int(mirror.revision)
}

/// Writes the row; the values in the order of [`COLUMNS`].
fn execute(conn: &Connection, statement: &str, mirror: &Mirror, mac: &[u8]) -> Result<usize, VaultError> {
    let values = params![
        mirror.id.0,
        mirror.user.0,
        mirror.project,
        mirror.marker,
        mirror.store,
        mirror.direction,
        mirror.stage.code(),
        mirror.root,
        mirror.page_token,
        mirror.held,
        mirror.last_run,
        mirror.last_run_at.map(Timestamp::unix),
        mirror.last_ok_at.map(Timestamp::unix),
        mirror.created_at.unix(),
        mirror.revision,
        mac
    ];
    conn.prepare_cached(statement).and_then(|mut s| s.execute(values)).map_err(sql)
}

impl Vault {
    /// The mirror of a person's app data in a project, if there is one.
    ///
    /// # Errors
    /// When the vault cannot be read or the row is damaged.
    pub async fn load_mirror(&self, user: UserId, project: &str) -> Result<Option<Mirror>, VaultError> {
        let found = self.read(|conn| {
            conn.prepare_cached(&format!("SELECT {COLUMNS} FROM mirrors WHERE user_id = ? AND project = ?"))
                .and_then(|mut s| s.query_row(params![user.0, project], MirrorRow::from_sql).optional())
                .map_err(sql)
        })?;
        found.transpose()?.map(|row| row.parse(&self.0.records.keys)).transpose()
    }

    /// Every mirror of a person, whatever the project.
    ///
    /// # Errors
    /// When the vault cannot be read or a row is damaged.
    pub async fn load_mirrors_of(&self, user: UserId) -> Result<Vec<Mirror>, VaultError> {
        self.read(|conn| {
            let mut statement = conn
                .prepare_cached(&format!("SELECT {COLUMNS} FROM mirrors WHERE user_id = ? ORDER BY project"))
                .map_err(sql)?;
            let rows = statement.query_map([user.0], MirrorRow::from_sql).map_err(sql)?;
            rows.map(|row| row.map_err(sql)??.parse(&self.0.records.keys)).collect()
        })
    }

    /// Makes a mirror: a marker and a store of its own, nothing agreed on.
    ///
    /// # Errors
    /// [`VaultError::Conflict`] when there is one, or no such user.
    pub async fn create_mirror(
        &self,
        user: UserId,
        project: &str,
        direction: &str,
    ) -> Result<Mirror, VaultError> {
        let mirror = Mirror {
            id: MirrorId(self.0.records.rng.row_id()),
            user,
            project: project.to_owned(),
            marker: self.0.records.rng.token(18),
            store: self.0.records.rng.token(18),
            direction: direction.to_owned(),
            stage: MirrorStage::New,
            root: None,
            page_token: None,
            held: None,
            last_run: None,
            last_run_at: None,
            last_ok_at: None,
            created_at: self.0.records.clock.now(),
            revision: 1,
        };
        let mac = self.0.records.keys.row_mac(&fields(&mirror, &self.0.records.keys));
        self.write(move |conn| {
            let insert = format!(
                "INSERT INTO mirrors ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            );
            execute(conn, &insert, &mirror, &mac).map(|_| mirror)
        })
        .await
    }

    /// Writes the mirror's row as it is given, and the batch with it, in one transaction. Returns the
    /// mirror with its next revision.
    ///
    /// # Errors
    /// [`VaultError::Conflict`] when the row has another revision by now, or is gone.
    pub async fn save_mirror(&self, mirror: &Mirror, batch: MirrorBatch) -> Result<Mirror, VaultError> {
        let (seen, mut next) = (mirror.revision, mirror.clone());
        next.revision += 1;
        let mac = self.0.records.keys.row_mac(&fields(&next, &self.0.records.keys));
        let write = self.prepare_batch(next.id, batch);
        self.write(move |conn| {
            let update = "UPDATE mirrors SET user_id = ?2, project = ?3, marker = ?4, store = ?5, direction = ?6, \
                 stage = ?7, root_id = ?8, page_token = ?9, held = ?10, last_run = ?11, last_run_at = ?12, \
                 last_ok_at = ?13, created_at = ?14, revision = ?15, mac = ?16 WHERE id = ?1 AND revision = ?15 - 1";
            debug_assert_eq!(seen + 1, next.revision);
            if execute(conn, update, &next, &mac)? != 1 {
                return Err(VaultError::Conflict);
            }
            write(conn)?;
            Ok(next)
        })
        .await
    }

    /// Writes a batch and leaves the mirror's row alone.
    ///
    /// # Errors
    /// [`VaultError::Conflict`] when the mirror has another revision than `mirror`, or is gone.
    pub async fn record_mirror(&self, mirror: &Mirror, batch: MirrorBatch) -> Result<(), VaultError> {
        let (id, revision) = (mirror.id, mirror.revision);
        let write = self.prepare_batch(id, batch);
        self.write(move |conn| {
            let mut statement =
                conn.prepare_cached("SELECT 1 FROM mirrors WHERE id = ? AND revision = ?").map_err(sql)?;
            if !statement.exists(params![id.0, revision]).map_err(sql)? {
                return Err(VaultError::Conflict);
            }
            write(conn)
        })
        .await
    }

    /// Deletes a mirror and all its rows. The kept versions' files are the caller's.
    ///
    /// # Errors
    /// When the vault cannot be written.
    pub async fn delete_mirror(&self, id: MirrorId) -> Result<(), VaultError> {
        self.0
            .writer
            .erase(move |conn| {
                conn.execute("DELETE FROM mirrors WHERE id = ?", [id.0]).map(drop).map_err(sql)
            })
            .await
    }

    /// The last state both sides agreed on.
    ///
    /// # Errors
    /// When the vault cannot be read or a row is damaged.
    pub async fn load_mirror_entries(&self, mirror: MirrorId) -> Result<Vec<MirrorEntry>, VaultError> {
        self.read(|conn| MirrorEntry::load(conn, &self.0.records.keys, mirror))
    }

    /// What Drive held as of the page token.
    ///
    /// # Errors
    /// When the vault cannot be read or a row is damaged.
    pub async fn load_mirror_remote(&self, mirror: MirrorId) -> Result<Vec<RemoteRecord>, VaultError> {
        self.read(|conn| RemoteRecord::load(conn, &self.0.records.keys, mirror))
    }

    fn prepare_batch(
        &self,
        mirror: MirrorId,
        batch: MirrorBatch,
    ) -> impl FnOnce(&Connection) -> Result<(), VaultError> + Send + 'static {
        let (keys, rng) = (&self.0.records.keys, &self.0.records.rng);
        let entries = rows::Prepared::new(keys, rng, mirror, &batch.drop_entries, &batch.put_entries);
        let remote = rows::Prepared::new(keys, rng, mirror, &batch.drop_remote, &batch.put_remote);
        let versions = versions::prepare(keys, rng, mirror, batch.put_versions, batch.drop_versions);
        move |conn| {
            if batch.clear_entries {
                MirrorEntry::clear(conn, mirror)?;
            }
            if batch.clear_remote {
                RemoteRecord::clear(conn, mirror)?;
            }
            entries.write(conn)?;
            remote.write(conn)?;
            versions(conn)
        }
    }

    /// Checks every row of every mirror of a file.
    pub(super) fn verify_mirrors(conn: &Connection, keys: &Keyring) -> Result<(), VaultError> {
        let mut statement = conn.prepare(&format!("SELECT {COLUMNS} FROM mirrors")).map_err(sql)?;
        let rows = statement.query_map([], MirrorRow::from_sql).map_err(sql)?;
        for row in rows {
            let mirror = row.map_err(sql)??.parse(keys)?;
            MirrorEntry::load(conn, keys, mirror.id)?;
            RemoteRecord::load(conn, keys, mirror.id)?;
            versions::load(conn, keys, mirror.id)?;
        }
        Ok(())
    }
}
