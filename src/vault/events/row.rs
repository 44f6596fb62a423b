//! An event as it stands in its row: reading, the columns its MAC covers, writing.

use rusqlite::{Connection, Row, params};

use super::super::keyring::Keyring;
use super::super::seal::{Place, RowFields, Sealed};
use super::super::{VaultError, sql, whole_row};
use super::EventRecord;
use crate::clock::Timestamp;
use crate::ids::UserId;

pub(super) const TABLE: &str = "events";

/// The columns in the order in which [`EventRow::from_sql`] takes them.
pub(super) const COLUMNS: &str =
    "id, at, kind, severity, actor, via, key_id, key_name, user_id, client_id, details, personal, mac";

const fn place(row: i64) -> Place {
    Place { table: TABLE, column: "personal", row }
}

/// A row as it stands in the table.
pub(super) struct EventRow {
    id: i64,
    at: i64,
    kind: String,
    severity: i64,
    actor: String,
    via: Option<String>,
    key_id: Option<String>,
    key_name: Option<String>,
    user: Option<i64>,
    client_id: Option<String>,
    details: String,
    personal: Option<Sealed>,
    mac: Vec<u8>,
}

impl EventRow {
    pub(super) fn from_sql(row: &Row<'_>) -> rusqlite::Result<Result<Self, VaultError>> {
        whole_row(TABLE, row, |row| {
            Ok(Self {
                id: row.get(0)?,
                at: row.get(1)?,
                kind: row.get(2)?,
                severity: row.get(3)?,
                actor: row.get(4)?,
                via: row.get(5)?,
                key_id: row.get(6)?,
                key_name: row.get(7)?,
                user: row.get(8)?,
                client_id: row.get(9)?,
                details: row.get(10)?,
                personal: row.get::<_, Option<Vec<u8>>>(11)?.map(Sealed),
                mac: row.get(12)?,
            })
        })
    }

    pub(super) const fn id(&self) -> i64 {
        self.id
    }

    fn fields(&self, keys: &Keyring) -> RowFields {
        keys.row(TABLE, self.id)
            .int(self.at)
            .text(&self.kind)
            .int(self.severity)
            .text(&self.actor)
            .maybe_text(self.via.as_deref())
            .maybe_text(self.key_id.as_deref())
            .maybe_text(self.key_name.as_deref())
            .maybe_int(self.user)
            .maybe_text(self.client_id.as_deref())
            .text(&self.details)
            .sealed(self.personal.as_ref())
    }

    pub(super) fn seal(event: EventRecord, keys: &Keyring) -> Self {
        let personal = event.personal.as_ref().map(|facts| {
            let json = serde_json::to_vec(facts).expect("facts are plain strings, which JSON can hold");
            keys.seal(place(event.id), &zeroize::Zeroizing::new(json))
        });
        let (key_id, key_name) = event.key.unzip();
        let mut row = Self {
            id: event.id,
            at: event.at.unix(),
            kind: event.kind,
            severity: event.severity.into(),
            actor: event.actor,
            via: event.via,
            key_id: key_id.map(|id| id.to_string()),
            key_name,
            user: event.user.map(|user| user.0),
            client_id: event.client_id.as_ref().map(ToString::to_string),
            details: event.details,
            personal,
            mac: Vec::new(),
        };
        row.mac = keys.row_mac(&row.fields(keys));
        row
    }

    pub(super) fn open(self, keys: &Keyring) -> Result<EventRecord, VaultError> {
        keys.verify_row(TABLE, self.id, &self.fields(keys), &self.mac)?;
        let damaged = || VaultError::damaged(TABLE, self.id);
        let personal = match &self.personal {
            Some(sealed) => {
                let json = keys.open_sealed(place(self.id), sealed)?;
                Some(serde_json::from_slice(&json).map_err(|_| damaged())?)
            }
            None => None,
        };
        let key_id = self.key_id.as_deref().map(|id| id.parse().map_err(|_| damaged())).transpose()?;
        Ok(EventRecord {
            id: self.id,
            at: Timestamp::from_unix(self.at),
            severity: u8::try_from(self.severity).map_err(|_| damaged())?,
            key: key_id.zip(self.key_name.clone()),
            user: self.user.map(UserId),
            client_id: self.client_id.as_deref().map(|id| id.parse().map_err(|_| damaged())).transpose()?,
            personal,
            kind: self.kind,
            actor: self.actor,
            via: self.via,
            details: self.details,
        })
    }

    /// The row's MAC once its sealed part is gone. One that does not match now must not match then.
    pub(super) fn mac_without_personal(mut self, keys: &Keyring) -> Vec<u8> {
        if keys.verify_row(TABLE, self.id, &self.fields(keys), &self.mac).is_err() {
            return self.mac;
        }
        self.personal = None;
        keys.row_mac(&self.fields(keys))
    }

    pub(super) fn insert(&self, conn: &Connection) -> Result<(), VaultError> {
        conn.prepare_cached(&format!(
            "INSERT INTO events ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        ))
        .and_then(|mut s| {
            s.execute(params![
                self.id,
                self.at,
                self.kind,
                self.severity,
                self.actor,
                self.via,
                self.key_id,
                self.key_name,
                self.user,
                self.client_id,
                self.details,
                self.personal.as_ref().map(|personal| &personal.0),
                self.mac
            ])
        })
        .map(drop)
        .map_err(sql)
    }
}
