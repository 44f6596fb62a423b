//! A person as they stand in their row: reading, the columns its MAC covers, writing.

use rusqlite::{Connection, Row, params};

use super::super::keyring::Keyring;
use super::super::seal::{Place, RowFields, Sealed};
use super::super::{VaultError, sql, whole_row};
use super::{PROFILE, TABLE, User};
use crate::clock::Timestamp;
use crate::ids::UserId;

/// A row as it stands in the table.
pub(super) struct UserRow {
    pub(super) id: i64,
    pub(super) sub_lookup: [u8; 32],
    pub(super) email_lookup: Option<[u8; 32]>,
    pub(super) profile: Sealed,
    pub(super) session_epoch: i64,
    pub(super) created_at: i64,
    pub(super) revision: i64,
    pub(super) mac: Vec<u8>,
}

/// The statement that selects whole rows, in the order in which [`UserRow::from_sql`] takes their columns.
macro_rules! select_users {
    ($rest:literal) => {
        concat!(
            "SELECT id, sub_lookup, email_lookup, profile, session_epoch, created_at, revision, mac FROM users ",
            $rest
        )
    };
}

pub(super) use select_users;

impl UserRow {
    pub(super) fn from_sql(row: &Row<'_>) -> rusqlite::Result<Result<Self, VaultError>> {
        whole_row(TABLE, row, |row| {
            Ok(Self {
                id: row.get(0)?,
                sub_lookup: row.get(1)?,
                email_lookup: row.get(2)?,
                profile: Sealed(row.get(3)?),
                session_epoch: row.get(4)?,
                created_at: row.get(5)?,
                revision: row.get(6)?,
                mac: row.get(7)?,
            })
        })
    }

    pub(super) fn fields(&self, keys: &Keyring) -> RowFields {
        keys.row(TABLE, self.id)
            .bytes(&self.sub_lookup)
            .maybe_bytes(self.email_lookup.as_ref().map(<[u8; 32]>::as_slice))
            .sealed(Some(&self.profile))
            .int(self.session_epoch)
            .int(self.created_at)
            .int(self.revision)
    }

    pub(super) fn verify(&self, keys: &Keyring) -> Result<(), VaultError> {
        keys.verify_row(TABLE, self.id, &self.fields(keys), &self.mac)
    }

    pub(super) fn open(self, keys: &Keyring) -> Result<User, VaultError> {
        self.verify(keys)?;
        let plaintext = keys.open_sealed(place(self.id), &self.profile)?;
        let profile = serde_json::from_slice(&plaintext).map_err(|_| VaultError::damaged(TABLE, self.id))?;
        Ok(User {
            id: UserId(self.id),
            profile,
            session_epoch: self.session_epoch,
            created_at: Timestamp::from_unix(self.created_at),
            revision: self.revision,
            sub_lookup: self.sub_lookup,
        })
    }
}

pub(super) fn place(row: i64) -> Place {
    Place { table: TABLE, column: PROFILE, row }
}

impl UserRow {
    pub(super) fn insert(&self, conn: &Connection) -> Result<(), VaultError> {
        let mut statement = conn
            .prepare_cached(
                "INSERT INTO users (id, sub_lookup, email_lookup, profile, session_epoch, created_at, revision, mac) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            )
            .map_err(sql)?;
        let inserted = statement
            .execute(params![
                self.id,
                self.sub_lookup,
                self.email_lookup,
                self.profile.0,
                self.session_epoch,
                self.created_at,
                self.revision,
                self.mac
            ])
            .map_err(sql)?;
        if inserted == 1 { Ok(()) } else { Err(VaultError::Conflict) }
    }

    pub(super) fn update(&self, conn: &Connection) -> Result<(), VaultError> {
        let mut statement = conn
            .prepare_cached(
                "UPDATE users SET email_lookup = ?, profile = ?, session_epoch = ?, revision = ?, mac = ? \
                 WHERE id = ? AND revision = ?",
            )
            .map_err(sql)?;
        let updated = statement
            .execute(params![
                self.email_lookup,
                self.profile.0,
                self.session_epoch,
                self.revision,
                self.mac,
                self.id,
                self.revision - 1
            ])
            .map_err(sql)?;
        if updated == 1 { Ok(()) } else { Err(VaultError::Conflict) }
    }
}
