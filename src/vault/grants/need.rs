//! The grants that a person may have to look after: found by indexes, none of their tokens opened.

use rusqlite::params;

use super::super::{Vault, VaultError, sql};
use super::Grant;
use super::load::to_limit;
use super::row::select_grants;
use crate::clock::Timestamp;
use crate::ids::OAuthClientId;

/// Seconds by which a refresh token's life may differ from seven days and still be of a project in
/// Testing: Google announces a second less, and answers take their time.
const SEVEN_DAYS: std::ops::RangeInclusive<i64> = 7 * 86_400 - 600..=7 * 86_400 + 600;

/// What [`Vault::read_grants_in_need`] found.
#[derive(Clone, Debug, Default)]
pub struct GrantsInNeed {
    /// Those that give no tokens, the latest first in each state.
    pub troubled: Vec<Grant>,
    /// Those that do and whose refresh token runs out, the next first.
    pub ending: Vec<Grant>,
    /// How many of the latter there are.
    pub ending_total: u64,
}

impl Vault {
    /// Up to `limit` grants of these clients in each state that needs somebody, and up to `limit` whose
    /// refresh token runs out before `ends_before`. Damaged rows are logged and left out. Blocks: it costs a
    /// look at each grant in need, and nothing for the others.
    ///
    /// # Errors
    /// When the vault cannot be read.
    pub fn read_grants_in_need(
        &self,
        clients: &[OAuthClientId],
        ends_before: Timestamp,
        limit: usize,
    ) -> Result<GrantsInNeed, VaultError> {
        let limit = to_limit(limit);
        self.read(|conn| {
            let mut found = GrantsInNeed::default();
            for client in clients.iter().map(OAuthClientId::as_str) {
                for state in ["needs_consent", "dead", "blocked", "suspended"] {
                    let troubled = self.0.records.select_grants(
                        conn,
                        select_grants!(
                            "INDEXED BY grants_by_state WHERE state = ? AND client_id = ? \
                             ORDER BY since DESC, id LIMIT ?"
                        ),
                        params![state, client, limit],
                    )?;
                    found.troubled.extend(troubled.sound());
                }
                let ending = self.0.records.select_grants(
                    conn,
                    select_grants!(
                        "INDEXED BY grants_by_expiry WHERE refresh_expires_at IS NOT NULL \
                         AND refresh_expires_at <= ? AND state = 'active' AND client_id = ? \
                         ORDER BY refresh_expires_at, id LIMIT ?"
                    ),
                    params![ends_before.unix(), client, limit],
                )?;
                found.ending.extend(ending.sound());
                found.ending_total += conn
                    .prepare_cached(
                        "SELECT count(*) FROM grants INDEXED BY grants_by_expiry \
                         WHERE refresh_expires_at IS NOT NULL AND refresh_expires_at <= ? \
                         AND state = 'active' AND client_id = ?",
                    )
                    .and_then(|mut s| {
                        s.query_row(params![ends_before.unix(), client], |row| row.get::<_, i64>(0))
                    })
                    .map_err(sql)?
                    .unsigned_abs();
            }
            Ok(found)
        })
    }

    /// How many grants of a client were made for seven days, as Google makes them for a project in Testing.
    ///
    /// # Errors
    /// When the vault cannot be read.
    pub async fn count_seven_day_grants(&self, client: &OAuthClientId) -> Result<u64, VaultError> {
        self.read(|conn| {
            conn.prepare_cached(
                "SELECT count(*) FROM grants INDEXED BY grants_by_expiry \
                 WHERE refresh_expires_at IS NOT NULL AND client_id = ?1 AND state = 'active' \
                 AND refresh_expires_at - connected_at BETWEEN ?2 AND ?3",
            )
            .and_then(|mut s| {
                let arguments = params![client.as_str(), SEVEN_DAYS.start(), SEVEN_DAYS.end()];
                s.query_row(arguments, |row| row.get::<_, i64>(0)).map(i64::unsigned_abs)
            })
            .map_err(sql)
        })
    }
}
