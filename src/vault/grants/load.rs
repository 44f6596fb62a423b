//! Finding grants and counting them.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::super::keyring::Keyring;
use super::super::records::Records;
use super::super::rows::Cluster;
use super::super::{Vault, VaultError, sql};
use super::row::{day, select_grants};
use super::{ACCESS_TOKEN, Grant, GrantCounts, REFRESH_TOKEN, TABLE, place};
use crate::clock::Timestamp;
use crate::grant::GrantState;
use crate::ids::{GrantId, OAuthClientId, Sub, UserId};

/// The grants that a look-up found, told apart by whether they can be relied on.
#[derive(Clone, Debug, Default)]
pub struct FoundGrants {
    /// Those that match their seals.
    pub sound: Vec<Grant>,
    /// The rows that do not: whose client's they are nobody can tell.
    pub damaged: Vec<GrantId>,
}

impl FoundGrants {
    /// All of them, for who cannot do with less.
    ///
    /// # Errors
    /// [`VaultError::Damaged`] when a row is.
    pub fn whole(self) -> Result<Vec<Grant>, VaultError> {
        self.damage().map_or(Ok(self.sound), Err)
    }

    /// The damage to the first damaged row, if there is one.
    pub fn damage(&self) -> Option<VaultError> {
        self.damaged.first().map(|id| VaultError::damaged(TABLE, id.0))
    }

    /// The sound ones; the others are logged.
    pub(super) fn sound(self) -> Vec<Grant> {
        for id in self.damaged {
            tracing::error!(damage = %VaultError::damaged(TABLE, id.0), "a grant was left out");
        }
        self.sound
    }

    fn by_client(mut self) -> Self {
        self.sound.sort_by(|one, other| one.client_id.cmp(&other.client_id));
        self
    }
}

impl Vault {
    /// One grant.
    ///
    /// # Errors
    /// When the vault cannot be read or the row is damaged.
    pub async fn load_grant(&self, id: GrantId) -> Result<Option<Grant>, VaultError> {
        self.read(|conn| {
            let mut statement = conn.prepare_cached(select_grants!("WHERE id = ?")).map_err(sql)?;
            let grant = statement
                .query_row([id.0], |row| Grant::from_sql(row, &self.0.records.keys))
                .optional()
                .map_err(sql)?;
            grant.transpose()
        })
    }

    /// Every grant of a user, in the order of the clients' ids.
    ///
    /// # Errors
    /// When the vault cannot be read.
    pub async fn load_grants_of(&self, user: UserId) -> Result<FoundGrants, VaultError> {
        self.read(|conn| self.0.records.read_grants_of(conn, user))
    }

    /// Every grant of the person with this `sub`, in the order of the clients' ids, by one look-up:
    /// whoever is known has a grant. Nothing is opened.
    ///
    /// # Errors
    /// When the vault cannot be read.
    pub async fn load_grants_by_sub(&self, sub: &Sub) -> Result<FoundGrants, VaultError> {
        let lookup = self.0.records.sub_lookup(sub);
        let cluster = Cluster::of_lookup(&lookup);
        self.read(|conn| {
            let found = self.0.records.select_grants(
                conn,
                select_grants!("NOT INDEXED WHERE id BETWEEN ? AND ? AND sub_lookup = ?"),
                params![cluster.first(), cluster.last(), lookup],
            )?;
            Ok(found.by_client())
        })
    }

    /// A client's active grants that Google last saw before `before`, longest idle (in days) first.
    /// Damaged rows are logged and left out: one of them must not keep the others from being refreshed.
    ///
    /// # Errors
    /// When the vault cannot be read.
    pub async fn load_idle_grants(
        &self,
        client: &OAuthClientId,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<Grant>, VaultError> {
        self.read(|conn| {
            self.0.records.select_grants(
                conn,
                select_grants!(
                    "WHERE state = 'active' AND client_id = ?1 AND refreshed_day <= ?2 AND refreshed_at < ?3 \
                     ORDER BY refreshed_day LIMIT ?4"
                ),
                params![client.as_str(), day(before), before.unix(), to_limit(limit)],
            )
        })
        .map(FoundGrants::sound)
    }

    /// Grants on their way out, to be revoked at Google and deleted. Damaged rows are logged and left
    /// out: one of them must not keep the others from being forgotten.
    ///
    /// # Errors
    /// When the vault cannot be read.
    pub async fn load_revoking_grants(&self, limit: usize) -> Result<Vec<Grant>, VaultError> {
        self.read(|conn| {
            let statement = select_grants!("WHERE state = 'revoking' LIMIT ?");
            self.0.records.select_grants(conn, statement, [to_limit(limit)])
        })
        .map(FoundGrants::sound)
    }

    /// How many grants stand where. Reads an index, some 50 ms for a million grants.
    ///
    /// # Errors
    /// When the vault cannot be read.
    pub async fn count_grants(&self) -> Result<GrantCounts, VaultError> {
        self.read(|conn| {
            let mut statement = conn
                .prepare_cached("SELECT state, cause, client_id, count(*) FROM grants GROUP BY 1, 2, 3")
                .map_err(sql)?;
            let rows = statement
                .query_map([], |row| {
                    let (state, cause): (String, Option<String>) = (row.get(0)?, row.get(1)?);
                    let client: String = row.get(2)?;
                    Ok((
                        GrantState::from_codes(&state, cause.as_deref()),
                        client,
                        row.get::<_, i64>(3)?.unsigned_abs(),
                    ))
                })
                .map_err(sql)?;
            let mut by_state = Vec::new();
            for row in rows {
                // Unreadable rows are reported when they are loaded; here they only miss the count.
                if let (Some(state), client, count) = row.map_err(sql)?
                    && let Ok(client) = client.parse()
                {
                    by_state.push((state, client, count));
                }
            }
            let next_expiry: Option<i64> = conn
                .prepare_cached(
                    "SELECT min(refresh_expires_at) FROM grants WHERE refresh_expires_at IS NOT NULL",
                )
                .and_then(|mut s| s.query_row([], |row| row.get(0)))
                .map_err(sql)?;
            Ok(GrantCounts { by_state, next_expiry: next_expiry.map(Timestamp::from_unix) })
        })
    }

    /// Checks every grant of a file and opens its tokens.
    pub(in super::super) fn verify_grants(conn: &Connection, keys: &Keyring) -> Result<u64, VaultError> {
        let mut statement = conn.prepare(select_grants!("")).map_err(sql)?;
        let mut rows = statement.query([]).map_err(sql)?;
        let mut count = 0;
        while let Some(row) = rows.next().map_err(sql)? {
            let grant = Grant::from_sql(row, keys).map_err(sql)??;
            let sealed = [(REFRESH_TOKEN, &grant.sealed.refresh), (ACCESS_TOKEN, &grant.sealed.access)];
            for (column, sealed) in sealed {
                if let Some(sealed) = sealed {
                    keys.open_sealed(place(grant.id, column), sealed)?;
                }
            }
            count += 1;
        }
        Ok(count)
    }
}

impl Records {
    pub(in super::super) fn read_grants_of(
        &self,
        conn: &Connection,
        user: UserId,
    ) -> Result<FoundGrants, VaultError> {
        let cluster = Cluster::of_row(user.0);
        let found = self.select_grants(
            conn,
            select_grants!("NOT INDEXED WHERE id BETWEEN ? AND ? AND user_id = ?"),
            [cluster.first(), cluster.last(), user.0],
        )?;
        Ok(found.by_client())
    }

    /// Whether the row is there and does not match its seal.
    pub(in super::super) fn is_damaged(&self, conn: &Connection, id: GrantId) -> Result<bool, VaultError> {
        let found = self.select_grants(conn, select_grants!("WHERE id = ?"), [id.0])?;
        Ok(!found.damaged.is_empty())
    }

    pub(super) fn select_grants(
        &self,
        conn: &Connection,
        statement: &str,
        arguments: impl rusqlite::Params,
    ) -> Result<FoundGrants, VaultError> {
        let mut statement = conn.prepare_cached(statement).map_err(sql)?;
        let mut rows = statement.query(arguments).map_err(sql)?;
        let mut found = FoundGrants::default();
        while let Some(row) = rows.next().map_err(sql)? {
            match Grant::from_sql(row, &self.keys).map_err(sql)? {
                Ok(grant) => found.sound.push(grant),
                Err(VaultError::Damaged { row, .. }) => found.damaged.push(GrantId(row)),
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }
}

pub(super) fn to_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
