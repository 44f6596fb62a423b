//! How often things happened, by the hour. No person is in it.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::keyring::Keyring;
use super::records::Records;
use super::seal::RowFields;
use super::{Vault, VaultError, sql, whole_row};

const TABLE: &str = "counts";
const COLUMNS: &str = "id, hour, what, n, mac";

/// How often something happened in an hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HourCount {
    /// Hours since the Unix epoch, in UTC.
    pub hour: i64,
    /// What, by a word.
    pub what: String,
    /// How often.
    pub n: u64,
}

/// A row as it stands in the table.
struct CountRow {
    id: i64,
    hour: i64,
    what: String,
    n: i64,
    mac: Vec<u8>,
}

impl CountRow {
    fn from_sql(row: &Row<'_>) -> rusqlite::Result<Result<Self, VaultError>> {
        whole_row(TABLE, row, |row| {
            Ok(Self {
                id: row.get(0)?,
                hour: row.get(1)?,
                what: row.get(2)?,
                n: row.get(3)?,
                mac: row.get(4)?,
            })
        })
    }

    fn fields(&self, keys: &Keyring) -> RowFields {
        keys.row(TABLE, self.id).int(self.hour).text(&self.what).int(self.n)
    }

    fn open(self, keys: &Keyring) -> Result<HourCount, VaultError> {
        keys.verify_row(TABLE, self.id, &self.fields(keys), &self.mac)?;
        let n = u64::try_from(self.n).map_err(|_| VaultError::damaged(TABLE, self.id))?;
        Ok(HourCount { hour: self.hour, what: self.what, n })
    }
}

impl Vault {
    /// Adds to what was counted, all of it in one transaction.
    ///
    /// # Errors
    /// When the vault cannot be written, or a row that is added to is damaged; then nothing is added.
    pub async fn add_counts(&self, counts: Vec<HourCount>) -> Result<(), VaultError> {
        let records = self.0.records.clone();
        self.write(move |conn| counts.into_iter().try_for_each(|count| add(conn, &records, count))).await
    }

    /// What was counted in the hours from `first` to `last`; an error stands for a row that is damaged.
    ///
    /// # Errors
    /// When the vault cannot be read.
    pub async fn load_counts(
        &self,
        first: i64,
        last: i64,
    ) -> Result<Vec<Result<HourCount, VaultError>>, VaultError> {
        let rows = self.read(|conn| {
            let mut statement = conn
                .prepare_cached(&format!("SELECT {COLUMNS} FROM counts WHERE hour BETWEEN ? AND ?"))
                .map_err(sql)?;
            let rows = statement.query_map([first, last], CountRow::from_sql).map_err(sql)?;
            rows.collect::<Result<Vec<_>, _>>().map_err(sql)
        })?;
        Ok(rows.into_iter().map(|row| row?.open(&self.0.records.keys)).collect())
    }

    /// Deletes what was counted before an hour.
    ///
    /// # Errors
    /// When the vault cannot be written.
    pub async fn purge_counts(&self, before: i64) -> Result<(), VaultError> {
        self.write(move |conn| {
            conn.prepare_cached("DELETE FROM counts WHERE hour < ?")
                .and_then(|mut s| s.execute([before]))
                .map(drop)
                .map_err(sql)
        })
        .await
    }

    /// Checks every count of a file.
    pub(super) fn verify_counts(conn: &Connection, keys: &Keyring) -> Result<(), VaultError> {
        let mut statement =
            conn.prepare(&format!("SELECT {COLUMNS} FROM counts ORDER BY id")).map_err(sql)?;
        let mut rows = statement.query([]).map_err(sql)?;
        while let Some(row) = rows.next().map_err(sql)? {
            CountRow::from_sql(row).map_err(sql)??.open(keys)?;
        }
        Ok(())
    }
}

fn add(conn: &Connection, records: &Records, count: HourCount) -> Result<(), VaultError> {
    let keys = &records.keys;
    let found = conn
        .prepare_cached(&format!("SELECT {COLUMNS} FROM counts WHERE hour = ? AND what = ?"))
        .and_then(|mut s| s.query_row(params![count.hour, count.what], CountRow::from_sql).optional())
        .map_err(sql)?;
    let (id, before) = match found {
        Some(row) => {
            let row = row?;
            (row.id, row.open(keys)?.n)
        }
        None => (records.rng.row_id(), 0),
    };
    let n = i64::try_from(before.saturating_add(count.n)).unwrap_or(i64::MAX);
    let mut row = CountRow { id, hour: count.hour, what: count.what, n, mac: Vec::new() };
    row.mac = keys.row_mac(&row.fields(keys));
    conn.prepare_cached(&format!("INSERT OR REPLACE INTO counts ({COLUMNS}) VALUES (?, ?, ?, ?, ?)"))
        .and_then(|mut s| s.execute(params![row.id, row.hour, row.what, row.n, row.mac]))
        .map(drop)
        .map_err(sql)
}
