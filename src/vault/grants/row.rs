//! A grant as it stands in its row: reading, the columns its MAC covers, writing.

use rusqlite::{Connection, Row, params};

use super::super::keyring::Keyring;
use super::super::seal::{RowFields, Sealed};
use super::super::{VaultError, sql, whole_row};
use super::{Grant, SealedTokens, TABLE};
use crate::clock::Timestamp;
use crate::grant::GrantState;
use crate::ids::{GrantId, UserId};
use crate::scopes::ScopeSet;

/// The statement that selects whole rows, in the order in which [`Grant::read`] takes their columns.
macro_rules! select_grants {
    ($rest:literal) => {
        concat!(
            "SELECT id, user_id, client_id, scopes, state, cause, since, token_generation, revision, \
             refresh_token, refresh_expires_at, refresh_prefix, refresh_hash, refresh_hash_b64, \
             access_token, access_expires_at, connected_at, refreshed_at, revoke_until, mac, sub_lookup, \
             refreshed_day FROM grants ",
            $rest
        )
    };
}

pub(super) use select_grants;

/// Days since the epoch.
pub(super) const fn day(time: Timestamp) -> i64 {
    time.unix().div_euclid(86_400)
}

impl Grant {
    /// Reads a row and checks its MAC. The outer error is SQLite's, the inner one a damaged row.
    pub(super) fn from_sql(row: &Row<'_>, keys: &Keyring) -> rusqlite::Result<Result<Self, VaultError>> {
        let read = whole_row(TABLE, row, |row| Self::read(row, keys))?;
        let damaged = || VaultError::damaged(TABLE, row.get(0).unwrap_or_default());
        Ok(read.and_then(|grant| grant.ok_or_else(damaged)))
    }

    /// The grant; `None` when the state, the client or the day cannot be right, or the MAC is not the row's.
    fn read(row: &Row<'_>, keys: &Keyring) -> rusqlite::Result<Option<Self>> {
        let state = row.get_ref(4)?.as_str()?;
        let cause = row.get_ref(5)?.as_str_or_null()?;
        let client_id = row.get_ref(2)?.as_str()?;
        let scopes = row.get_ref(3)?.as_str()?;
        let time = |seconds: Option<i64>| seconds.map(Timestamp::from_unix);
        let (Some(state), Ok(client_id)) = (GrantState::from_codes(state, cause), client_id.parse()) else {
            return Ok(None);
        };
        let refreshed_at = Timestamp::from_unix(row.get(17)?);
        if row.get::<_, i64>(21)? != day(refreshed_at) {
            return Ok(None);
        }
        let grant = Self {
            id: GrantId(row.get(0)?),
            user: UserId(row.get(1)?),
            client_id,
            scopes: ScopeSet::parse(scopes),
            state,
            since: Timestamp::from_unix(row.get(6)?),
            token_generation: row.get(7)?,
            refresh_expires_at: time(row.get(10)?),
            access_expires_at: time(row.get(15)?),
            connected_at: Timestamp::from_unix(row.get(16)?),
            refreshed_at,
            revoke_until: time(row.get(18)?),
            revision: row.get(8)?,
            sub_lookup: row.get(20)?,
            sealed: SealedTokens {
                refresh: row.get::<_, Option<Vec<u8>>>(9)?.map(Sealed),
                prefix: row.get(11)?,
                hash: row.get(12)?,
                hash_b64: row.get(13)?,
                access: row.get::<_, Option<Vec<u8>>>(14)?.map(Sealed),
            },
        };
        let mac = row.get_ref(19)?.as_blob()?;
        let sound = keys.verify_row(TABLE, grant.id.0, &grant.fields(keys, scopes), mac).is_ok();
        Ok(sound.then_some(grant))
    }

    /// The columns in the order in which the MAC covers them. `scopes` is the column's own text: a
    /// later locum may normalise scopes differently and must still read old rows.
    pub(super) fn fields(&self, keys: &Keyring, scopes: &str) -> RowFields {
        fn lookup(lookup: Option<&[u8; 32]>) -> Option<&[u8]> {
            lookup.map(<[u8; 32]>::as_slice)
        }
        let time = |time: Option<Timestamp>| time.map(Timestamp::unix);
        keys.row(TABLE, self.id.0)
            .int(self.user.0)
            .bytes(&self.sub_lookup)
            .text(self.client_id.as_str())
            .text(scopes)
            .text(self.state.code())
            .maybe_text(self.state.cause())
            .int(self.since.unix())
            .int(self.token_generation)
            .int(self.revision)
            .sealed(self.sealed.refresh.as_ref())
            .maybe_int(time(self.refresh_expires_at))
            .maybe_bytes(lookup(self.sealed.prefix.as_ref()))
            .maybe_bytes(lookup(self.sealed.hash.as_ref()))
            .maybe_bytes(lookup(self.sealed.hash_b64.as_ref()))
            .sealed(self.sealed.access.as_ref())
            .maybe_int(time(self.access_expires_at))
            .int(self.connected_at.unix())
            .int(self.refreshed_at.unix())
            .maybe_int(time(self.revoke_until))
    }

    /// Whether every index has the same entry for `other`.
    pub(super) fn is_indexed_as(&self, other: &Self) -> bool {
        self.state == other.state
            && self.refresh_expires_at == other.refresh_expires_at
            && day(self.refreshed_at) == day(other.refreshed_at)
    }

    /// Writes a new row.
    pub(super) fn insert(&self, conn: &Connection, scopes: &str, mac: &[u8]) -> Result<(), VaultError> {
        self.write(
            "INSERT INTO grants (id, user_id, client_id, scopes, state, cause, since, token_generation, revision, \
             refresh_token, refresh_expires_at, refresh_prefix, refresh_hash, refresh_hash_b64, \
             access_token, access_expires_at, connected_at, refreshed_at, revoke_until, mac, sub_lookup, refreshed_day) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, \
             ?21, ?22) ON CONFLICT DO NOTHING",
            conn,
            scopes,
            mac,
        )
    }

    /// Writes over the revision before.
    pub(super) fn update(&self, conn: &Connection, scopes: &str, mac: &[u8]) -> Result<(), VaultError> {
        self.write(
            "UPDATE grants SET scopes = ?4, state = ?5, cause = ?6, since = ?7, token_generation = ?8, \
             revision = ?9, refresh_token = ?10, refresh_expires_at = ?11, refresh_prefix = ?12, \
             refresh_hash = ?13, refresh_hash_b64 = ?14, access_token = ?15, access_expires_at = ?16, \
             connected_at = ?17, refreshed_at = ?18, revoke_until = ?19, mac = ?20, refreshed_day = ?22 \
             WHERE id = ?1 AND user_id = ?2 AND client_id = ?3 AND revision = ?9 - 1 AND sub_lookup = ?21",
            conn,
            scopes,
            mac,
        )
    }

    /// As [`Grant::update`] where no index changes: SQLite renews the entry of each index that has a column
    /// in the statement, even with the value it had.
    pub(super) fn update_unindexed(
        &self,
        conn: &Connection,
        scopes: &str,
        mac: &[u8],
    ) -> Result<(), VaultError> {
        self.write(
            "UPDATE grants SET scopes = ?4, since = ?7, token_generation = ?8, \
             revision = ?9, refresh_token = ?10, refresh_prefix = ?12, \
             refresh_hash = ?13, refresh_hash_b64 = ?14, access_token = ?15, access_expires_at = ?16, \
             connected_at = ?17, refreshed_at = ?18, revoke_until = ?19, mac = ?20 \
             WHERE id = ?1 AND user_id = ?2 AND client_id = ?3 AND revision = ?9 - 1 AND sub_lookup = ?21 \
             AND state = ?5 AND cause IS ?6 AND refresh_expires_at IS ?11 AND refreshed_day = ?22",
            conn,
            scopes,
            mac,
        )
    }

    fn write(&self, statement: &str, conn: &Connection, scopes: &str, mac: &[u8]) -> Result<(), VaultError> {
        let time = |time: Option<Timestamp>| time.map(Timestamp::unix);
        let changed = conn
            .prepare_cached(statement)
            .and_then(|mut statement| {
                statement.execute(params![
                    self.id.0,
                    self.user.0,
                    self.client_id.as_str(),
                    scopes,
                    self.state.code(),
                    self.state.cause(),
                    self.since.unix(),
                    self.token_generation,
                    self.revision,
                    self.sealed.refresh.as_ref().map(|s| &s.0),
                    time(self.refresh_expires_at),
                    self.sealed.prefix,
                    self.sealed.hash,
                    self.sealed.hash_b64,
                    self.sealed.access.as_ref().map(|s| &s.0),
                    time(self.access_expires_at),
                    self.connected_at.unix(),
                    self.refreshed_at.unix(),
                    time(self.revoke_until),
                    mac,
                    self.sub_lookup,
                    day(self.refreshed_at),
                ])
            })
            .map_err(sql)?;
        if changed == 1 { Ok(()) } else { Err(VaultError::Conflict) }
    }
}
