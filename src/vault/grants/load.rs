//! Finding grants and counting them.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::super::keyring::Keyring;
use super::super::records::Records;
use super::super::rows::Cluster;
use super::super::{Vault, VaultError, sql};
use super::row::{day, select_grants};
use super::{ACCESS_TOKEN, Grant, GrantCounts, REFRESH_TOKEN, place};
use crate::clock::Timestamp;
use crate::grant::GrantState;
use crate::ids::{GrantId, OAuthClientId, Sub, UserId};

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
    /// When the vault cannot be read or a row is damaged.
    pub async fn load_grants_of(&self, user: UserId) -> Result<Vec<Grant>, VaultError> {
        self.read(|conn| self.0.records.read_grants_of(conn, user))
    }

    /// As [`Vault::load_grants_of`], with the ids of damaged rows beside the sound ones.
    ///
    /// # Errors
    /// When the vault cannot be read.
    pub async fn sort_grants_of(&self, user: UserId) -> Result<(Vec<Grant>, Vec<GrantId>), VaultError> {
        let (mut sound, mut damaged) = (Vec::new(), Vec::new());
        for grant in self.read(|conn| self.0.records.select_grants_of(conn, user))? {
            match grant {
                Ok(grant) => sound.push(grant),
                Err(VaultError::Damaged { row, .. }) => damaged.push(GrantId(row)),
                Err(error) => return Err(error),
            }
        }
        Ok((sound, damaged))
    }

    /// Every grant of the person with this `sub`, in the order of the clients' ids, by one look-up:
    /// whoever is known has a grant. Nothing is opened.
    ///
    /// # Errors
    /// When the vault cannot be read or a row is damaged.
    pub async fn load_grants_by_sub(&self, sub: &Sub) -> Result<Vec<Grant>, VaultError> {
        let lookup = self.0.records.sub_lookup(sub);
        let cluster = Cluster::of_lookup(&lookup);
        let mut grants = self.read(|conn| {
            self.0.records.select_grants(
                conn,
                select_grants!("NOT INDEXED WHERE id BETWEEN ? AND ? AND sub_lookup = ?"),
                params![cluster.first(), cluster.last(), lookup],
            )
        })?;
        sort_by_client(&mut grants);
        grants.into_iter().collect()
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
        .map(sound)
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
        .map(sound)
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
    ) -> Result<Vec<Grant>, VaultError> {
        self.select_grants_of(conn, user)?.into_iter().collect()
    }

    fn select_grants_of(
        &self,
        conn: &Connection,
        user: UserId,
    ) -> Result<Vec<Result<Grant, VaultError>>, VaultError> {
        let cluster = Cluster::of_row(user.0);
        let mut grants = self.select_grants(
            conn,
            select_grants!("NOT INDEXED WHERE id BETWEEN ? AND ? AND user_id = ?"),
            [cluster.first(), cluster.last(), user.0],
        )?;
        sort_by_client(&mut grants);
        Ok(grants)
    }

    /// Whether the row is there and does not match its seal.
    pub(in super::super) fn is_damaged(&self, conn: &Connection, id: GrantId) -> Result<bool, VaultError> {
        let found = self.select_grants(conn, select_grants!("WHERE id = ?"), [id.0])?;
        Ok(found.iter().any(|grant| matches!(grant, Err(VaultError::Damaged { .. }))))
    }

    pub(super) fn select_grants(
        &self,
        conn: &Connection,
        statement: &str,
        arguments: impl rusqlite::Params,
    ) -> Result<Vec<Result<Grant, VaultError>>, VaultError> {
        let mut statement = conn.prepare_cached(statement).map_err(sql)?;
        let rows = statement.query_map(arguments, |row| Grant::from_sql(row, &self.keys)).map_err(sql)?;
        rows.map(|row| row.map_err(sql)).collect()
    }
}

/// Damaged rows first: nothing in them can be relied on.
fn sort_by_client(grants: &mut [Result<Grant, VaultError>]) {
    let client = |grant: &Result<Grant, VaultError>| grant.as_ref().ok().map(|grant| grant.client_id.clone());
    grants.sort_by_cached_key(client);
}

pub(super) fn sound(grants: Vec<Result<Grant, VaultError>>) -> Vec<Grant> {
    let log = |damage: &VaultError| tracing::error!(%damage, "a grant was left out");
    grants.into_iter().filter_map(|grant| grant.inspect_err(log).ok()).collect()
}

pub(super) fn to_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
