//! Events: what happened, in the order in which it was committed.
//!
//! What must stay true:
//!
//! - ids grow in the order of commits: they are given out on the writer's thread, so whoever has read up to
//!   one misses nothing by going on behind it;
//! - an event points to a person by row id and keeps nothing of theirs in clear; with the person's row goes
//!   the sealed part of every event about them, in the same transaction, and nothing personal is written
//!   about somebody who is gone already;
//! - an event whose MAC does not match keeps its wrong MAC: erasing its sealed part must not make it good.

mod find;
mod row;

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

pub use self::find::{EventQuery, FoundEvents, Order};

use self::row::{COLUMNS, EventRow, TABLE};
use super::keyring::Keyring;
use super::{Vault, VaultError, sql};
use crate::clock::Timestamp;
use crate::ids::{ApiKeyId, OAuthClientId, UserId};

/// The schema that first has the table.
pub(super) const SINCE: i64 = 4;

/// An event as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRecord {
    /// Its place in the order; given by the vault, and whatever it is in a new one.
    pub id: i64,
    /// When it happened.
    pub at: Timestamp,
    /// What happened, by its stable name.
    pub kind: String,
    /// How much it matters: 0 to 2.
    pub severity: u8,
    /// Who did it, by a word.
    pub actor: String,
    /// By which way, by a word.
    pub via: Option<String>,
    /// The API key that was shown, and what it was called.
    pub key: Option<(ApiKeyId, String)>,
    /// Whom it is about; the row may be gone.
    pub user: Option<UserId>,
    /// The OAuth client it is about.
    pub client_id: Option<OAuthClientId>,
    /// JSON of what is not personal.
    pub details: String,
    /// What is personal; `None` also when the person is forgotten.
    pub personal: Option<PersonalFacts>,
}

/// What is personal in an event. Sealed as a whole.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonalFacts {
    /// The address it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<std::net::IpAddr>,
    /// Who did it, as people know them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A path in somebody's app data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

impl PersonalFacts {
    /// Whether there is nothing in it.
    pub const fn is_empty(&self) -> bool {
        self.from.is_none() && self.name.is_none() && self.path.is_none()
    }
}

/// Personal data has no place in logs.
impl std::fmt::Debug for PersonalFacts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PersonalFacts(…)")
    }
}

impl Vault {
    /// Appends events in their order, in one transaction. Returns the last one's id; 0 for none.
    ///
    /// # Errors
    /// When the vault cannot be written; then none is kept.
    pub async fn append_events(&self, events: Vec<EventRecord>) -> Result<i64, VaultError> {
        // Ids belong to the order of commits, so rows are sealed on the writer's thread.
        let records = self.0.records.clone();
        self.write(move |conn| {
            let newest = if events.is_empty() { 0 } else { newest(conn)? };
            events
                .into_iter()
                .try_fold(newest, |newest, event| insert(conn, &records.keys, newest + 1, event))
        })
        .await
    }

    /// The id of the newest event there ever was; 0 before the first.
    ///
    /// # Errors
    /// When the vault cannot be read.
    pub async fn newest_event(&self) -> Result<i64, VaultError> {
        self.read(newest)
    }

    /// Deletes events that happened before `before`, and those that are not among the `most` newest: up to
    /// `batch` of each. Returns how many went.
    ///
    /// # Errors
    /// When the vault cannot be written.
    pub async fn purge_events(
        &self,
        before: Timestamp,
        most: i64,
        batch: usize,
    ) -> Result<usize, VaultError> {
        let batch = i64::try_from(batch).unwrap_or(i64::MAX);
        self.0
            .writer
            .erase(move |conn| {
                let old = conn
                    .prepare_cached(
                        "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE at < ? ORDER BY at LIMIT ?)",
                    )
                    .and_then(|mut s| s.execute([before.unix(), batch]))
                    .map_err(sql)?;
                let bound = newest(conn)?.saturating_sub(most);
                let many = conn
                    .prepare_cached(
                        "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE id <= ? ORDER BY id LIMIT ?)",
                    )
                    .and_then(|mut s| s.execute([bound, batch]))
                    .map_err(sql)?;
                Ok(old + many)
            })
            .await
    }

    /// Checks every event of a file and opens what is sealed in it.
    pub(super) fn verify_events(conn: &Connection, keys: &Keyring) -> Result<(), VaultError> {
        let mut statement =
            conn.prepare(&format!("SELECT {COLUMNS} FROM events ORDER BY id")).map_err(sql)?;
        let mut rows = statement.query([]).map_err(sql)?;
        while let Some(row) = rows.next().map_err(sql)? {
            EventRow::from_sql(row).map_err(sql)??.open(keys)?;
        }
        Ok(())
    }
}

/// Also when the newest are purged: SQLite remembers the highest id that was given.
fn newest(conn: &Connection) -> Result<i64, VaultError> {
    conn.prepare_cached(
        "SELECT max(coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0), \
         coalesce((SELECT id FROM events ORDER BY id DESC LIMIT 1), 0))",
    )
    .and_then(|mut s| s.query_row([], |row| row.get(0)))
    .map_err(sql)
}

/// Writes an event on the writer's thread, as part of whatever else is being written.
pub(super) fn append(conn: &Connection, keys: &Keyring, event: EventRecord) -> Result<i64, VaultError> {
    insert(conn, keys, newest(conn)? + 1, event)
}

fn insert(conn: &Connection, keys: &Keyring, id: i64, event: EventRecord) -> Result<i64, VaultError> {
    let mut event = EventRecord { id, ..event };
    if let (Some(user), Some(_)) = (event.user, &event.personal) {
        let there = conn
            .prepare_cached("SELECT 1 FROM users WHERE id = ?")
            .and_then(|mut s| s.exists([user.0]))
            .map_err(sql)?;
        // It happened before the person was forgotten, and comes to be written after.
        event.personal = event.personal.filter(|_| there);
    }
    EventRow::seal(event, keys).insert(conn)?;
    Ok(id)
}

/// Empties the sealed part of every event about a person.
pub(super) fn erase_personal_of(conn: &Connection, keys: &Keyring, user: UserId) -> Result<(), VaultError> {
    let rows = {
        let mut statement = conn
            .prepare_cached(&format!(
                "SELECT {COLUMNS} FROM events WHERE user_id = ? AND personal IS NOT NULL"
            ))
            .map_err(sql)?;
        let rows = statement.query_map([user.0], EventRow::from_sql).map_err(sql)?;
        rows.collect::<Result<Vec<_>, _>>().map_err(sql)?
    };
    let mut renew =
        conn.prepare_cached("UPDATE events SET personal = NULL, mac = ? WHERE id = ?").map_err(sql)?;
    for row in rows {
        let (id, mac) = match row {
            Ok(row) => (row.id(), row.mac_without_personal(keys)),
            // Of a wrong type somewhere: it goes all the same, and stays damaged.
            Err(VaultError::Damaged { table: TABLE, row }) => (row, Vec::new()),
            Err(error) => return Err(error),
        };
        renew.execute(params![mac, id]).map_err(sql)?;
    }
    Ok(())
}
