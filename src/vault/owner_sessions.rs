//! Browsers in which the owner is signed in. The secret of a session is kept as a keyed hash only; the
//! address of an account is sealed.

use rusqlite::{Connection, Row, params};
use serde::{Deserialize, Serialize};

use super::keyring::{Keyring, Lookup};
use super::seal::{Place, RowFields, Sealed};
use super::{Vault, VaultError, sql, whole_row};
use crate::clock::Timestamp;
use crate::ids::Email;
use crate::secret::SecretText;

/// The schema that first has the table.
pub(super) const SINCE: i64 = 5;

const TABLE: &str = "owner_sessions";
const SIGNED_IN_BY: &str = "signed_in_by";

/// How the owner showed that it is them.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignedInBy {
    /// By a one-time link.
    Link,
    /// By this Google account.
    Google(Email),
}

/// Personal data has no place in logs.
impl std::fmt::Debug for SignedInBy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Link => "Link",
            Self::Google(_) => "Google(…)",
        })
    }
}

/// A session as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerSessionRecord {
    /// The vault's own number of it, which opens nothing.
    pub id: i64,
    /// Keyed hash of the cookie's value.
    pub lookup: [u8; 32],
    /// How the owner signed in.
    pub signed_in_by: SignedInBy,
    /// When.
    pub signed_in_at: Timestamp,
    /// When the session was last used, to the minute.
    pub seen_at: Timestamp,
}

const COLUMNS: &str = "id, secret_lookup, signed_in_by, signed_in_at, seen_at, mac";

/// The row, exactly as stored.
struct SessionRow {
    id: i64,
    secret_lookup: [u8; 32],
    signed_in_by: Sealed,
    signed_in_at: i64,
    seen_at: i64,
    mac: Vec<u8>,
}

const fn place(row: i64) -> Place {
    Place { table: TABLE, column: SIGNED_IN_BY, row }
}

impl SessionRow {
    fn from_sql(row: &Row<'_>) -> rusqlite::Result<Result<Self, VaultError>> {
        whole_row(TABLE, row, |row| {
            Ok(Self {
                id: row.get(0)?,
                secret_lookup: row.get(1)?,
                signed_in_by: Sealed(row.get(2)?),
                signed_in_at: row.get(3)?,
                seen_at: row.get(4)?,
                mac: row.get(5)?,
            })
        })
    }

    /// Seals a record anew.
    fn of(record: &OwnerSessionRecord, keys: &Keyring) -> Self {
        let by = zeroize::Zeroizing::new(
            serde_json::to_vec(&record.signed_in_by).expect("a plain name and text, which JSON can hold"),
        );
        let mut row = Self {
            id: record.id,
            secret_lookup: record.lookup,
            signed_in_by: keys.seal(place(record.id), &by),
            signed_in_at: record.signed_in_at.unix(),
            seen_at: record.seen_at.unix(),
            mac: Vec::new(),
        };
        row.mac = keys.row_mac(&row.fields(keys));
        row
    }

    fn fields(&self, keys: &Keyring) -> RowFields {
        keys.row(TABLE, self.id)
            .bytes(&self.secret_lookup)
            .sealed(Some(&self.signed_in_by))
            .int(self.signed_in_at)
            .int(self.seen_at)
    }

    fn open(self, keys: &Keyring) -> Result<OwnerSessionRecord, VaultError> {
        keys.verify_row(TABLE, self.id, &self.fields(keys), &self.mac)?;
        let by = keys.open_sealed(place(self.id), &self.signed_in_by)?;
        Ok(OwnerSessionRecord {
            id: self.id,
            lookup: self.secret_lookup,
            signed_in_by: serde_json::from_slice(&by).map_err(|_| VaultError::damaged(TABLE, self.id))?,
            signed_in_at: Timestamp::from_unix(self.signed_in_at),
            seen_at: Timestamp::from_unix(self.seen_at),
        })
    }
}

impl Vault {
    /// The keyed hash under which a session with this cookie is kept.
    pub fn owner_session_lookup(&self, secret: &SecretText) -> [u8; 32] {
        self.0.records.keys.lookup(Lookup::OwnerSession, &[secret.expose().as_bytes()])
    }

    /// A number for a new session.
    pub fn new_owner_session_id(&self) -> i64 {
        self.0.records.rng.row_id()
    }

    /// Every session, each with its own error if its row is damaged.
    ///
    /// # Errors
    /// When the vault cannot be read.
    pub async fn load_owner_sessions(
        &self,
    ) -> Result<Vec<Result<OwnerSessionRecord, VaultError>>, VaultError> {
        self.read(|conn| Self::read_owner_sessions(conn, &self.0.records.keys))
    }

    /// Reads the sessions of a file.
    pub(super) fn read_owner_sessions(
        conn: &Connection,
        keys: &Keyring,
    ) -> Result<Vec<Result<OwnerSessionRecord, VaultError>>, VaultError> {
        let mut statement =
            conn.prepare(&format!("SELECT {COLUMNS} FROM owner_sessions ORDER BY id")).map_err(sql)?;
        let rows = statement.query_map([], SessionRow::from_sql).map_err(sql)?;
        rows.map(|row| Ok(row.map_err(sql)?.and_then(|row| row.open(keys)))).collect()
    }

    /// Keeps a session that begins, and takes away those that end to make room for it.
    ///
    /// # Errors
    /// When the vault cannot be written.
    pub async fn save_owner_session(
        &self,
        session: &OwnerSessionRecord,
        ended: Vec<i64>,
    ) -> Result<(), VaultError> {
        let row = SessionRow::of(session, &self.0.records.keys);
        self.0
            .writer
            .erase(move |conn| {
                for id in ended {
                    conn.execute("DELETE FROM owner_sessions WHERE id = ?", [id]).map_err(sql)?;
                }
                conn.execute(
                    &format!("INSERT INTO owner_sessions ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)"),
                    params![
                        row.id,
                        row.secret_lookup,
                        row.signed_in_by.0,
                        row.signed_in_at,
                        row.seen_at,
                        row.mac
                    ],
                )
                .map(drop)
                .map_err(sql)
            })
            .await
    }

    /// Notes when sessions were last used. One that has ended meanwhile stays ended.
    ///
    /// # Errors
    /// When the vault cannot be written.
    pub async fn note_owner_sessions_seen(&self, seen: &[OwnerSessionRecord]) -> Result<(), VaultError> {
        let rows: Vec<_> = seen.iter().map(|record| SessionRow::of(record, &self.0.records.keys)).collect();
        self.write(move |conn| {
            let mut statement = conn
                .prepare_cached(
                    "UPDATE owner_sessions SET signed_in_by = ?, seen_at = ?, mac = ? \
                     WHERE id = ? AND secret_lookup = ?",
                )
                .map_err(sql)?;
            for row in rows {
                statement
                    .execute(params![row.signed_in_by.0, row.seen_at, row.mac, row.id, row.secret_lookup])
                    .map_err(sql)?;
            }
            Ok(())
        })
        .await
    }

    /// Takes these sessions away.
    ///
    /// # Errors
    /// When the vault cannot be written.
    pub async fn delete_owner_sessions(&self, ids: Vec<i64>) -> Result<(), VaultError> {
        self.0
            .writer
            .erase(move |conn| {
                for id in ids {
                    conn.execute("DELETE FROM owner_sessions WHERE id = ?", [id]).map_err(sql)?;
                }
                Ok(())
            })
            .await
    }

    /// Takes every session away, damaged ones too.
    ///
    /// # Errors
    /// When the vault cannot be written.
    pub async fn delete_all_owner_sessions(&self) -> Result<usize, VaultError> {
        self.0.writer.erase(|conn| conn.execute("DELETE FROM owner_sessions", []).map_err(sql)).await
    }
}
