//! Grants: what a user gave a client, with its tokens.

use ring::digest::{SHA512, digest};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::keyring::{Keyring, Lookup};
use super::seal::{Place, RowFields, Sealed};
use super::{Vault, VaultError, sql, whole_row};
use crate::clock::Timestamp;
use crate::grant::GrantState;
use crate::ids::{GrantId, OAuthClientId, UserId};
use crate::scopes::ScopeSet;
use crate::secret::{AccessToken, RefreshToken};

pub(super) const TABLE: &str = "grants";
const REFRESH_TOKEN: &str = "refresh_token";
const ACCESS_TOKEN: &str = "access_token";

/// What one user gave one client. The tokens stay sealed until [`Vault::open_refresh_token`] or
/// [`Vault::open_access_token`].
#[derive(Clone, Debug)]
pub struct Grant {
    /// The vault's own id.
    pub id: GrantId,
    /// Whose it is.
    pub user: UserId,
    /// The OAuth client that issued it.
    pub client_id: OAuthClientId,
    /// What was granted.
    pub scopes: ScopeSet,
    /// Where it stands.
    pub state: GrantState,
    /// Since when it stands there.
    pub since: Timestamp,
    /// Counts the refresh tokens this grant has had; an outcome for another one is discarded.
    pub token_generation: i64,
    /// When the refresh token runs out, if Google said so.
    pub refresh_expires_at: Option<Timestamp>,
    /// When the stored access token runs out; `None` when none is stored.
    pub access_expires_at: Option<Timestamp>,
    /// The last sign-in.
    pub connected_at: Timestamp,
    /// When Google last accepted the refresh token.
    pub refreshed_at: Timestamp,
    /// While revoking: until when Google is asked again.
    pub revoke_until: Option<Timestamp>,
    revision: i64,
    sealed: SealedTokens,
}

#[derive(Clone, Debug, Default)]
struct SealedTokens {
    refresh: Option<Sealed>,
    prefix: Option<[u8; 32]>,
    hash: Option<[u8; 32]>,
    hash_b64: Option<[u8; 32]>,
    access: Option<Sealed>,
}

impl Grant {
    /// Whether a refresh token is stored.
    pub const fn has_refresh_token(&self) -> bool {
        self.sealed.refresh.is_some()
    }
}

/// What to do with the stored refresh token.
#[derive(Clone, Debug, Default)]
pub enum RefreshChange {
    /// Leave it.
    #[default]
    Keep,
    /// Put this one in its place: a new token generation.
    Replace {
        /// The new token.
        token: RefreshToken,
        /// When it runs out, if Google said so.
        expires_at: Option<Timestamp>,
    },
    /// Google repeated until when the stored one lives.
    Expires(Timestamp),
}

/// What to do with the stored access token.
#[derive(Clone, Debug, Default)]
pub enum AccessChange {
    /// Leave it.
    #[default]
    Keep,
    /// Put this one in its place.
    Replace {
        /// The new token.
        token: AccessToken,
        /// When it runs out.
        expires_at: Timestamp,
    },
    /// Erase it: an API refused it, or the grant is going away.
    Erase,
}

/// Changes to one grant, applied together.
#[derive(Clone, Debug, Default)]
pub struct GrantChange {
    /// A new state; its `since` is now unless it is the state already.
    pub state: Option<GrantState>,
    /// New scopes.
    pub scopes: Option<ScopeSet>,
    /// The refresh token.
    pub refresh: RefreshChange,
    /// The access token.
    pub access: AccessChange,
    /// Google just accepted the refresh token.
    pub refreshed: bool,
    /// Until when a revocation is tried.
    pub revoke_until: Option<Timestamp>,
}

/// The grant as an exchange leaves it.
#[derive(Clone, Debug)]
pub struct NewGrant {
    /// The OAuth client.
    pub client_id: OAuthClientId,
    /// State, scopes and tokens.
    pub change: GrantChange,
}

/// How many grants stand where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantCounts {
    /// One entry for each state, cause and client that occurs.
    pub by_state: Vec<(GrantState, OAuthClientId, u64)>,
    /// The next refresh token that runs out by time.
    pub next_expiry: Option<Timestamp>,
}

const COLUMNS: &str = "id, user_id, client_id, scopes, state, cause, since, token_generation, revision, \
     refresh_token, refresh_expires_at, refresh_prefix, refresh_hash, refresh_hash_b64, \
     access_token, access_expires_at, connected_at, refreshed_at, revoke_until, mac";

impl Grant {
    /// Reads a row and checks its MAC. The outer error is SQLite's, the inner one a damaged row.
    fn from_sql(row: &Row<'_>, keys: &Keyring) -> rusqlite::Result<Result<Self, VaultError>> {
        Ok(whole_row(TABLE, row, Self::read)?.and_then(|(grant, scopes, mac)| {
            let grant = grant.ok_or_else(|| VaultError::damaged(TABLE, row.get(0).unwrap_or_default()))?;
            keys.verify_row(TABLE, grant.id.0, &grant.fields(keys, &scopes), &mac).map(|()| grant)
        }))
    }

    /// The row with its scopes as they are stored, and its MAC; no grant when the state or the client
    /// cannot be read.
    fn read(row: &Row<'_>) -> rusqlite::Result<(Option<Self>, String, Vec<u8>)> {
        let state: String = row.get(4)?;
        let cause: Option<String> = row.get(5)?;
        let client_id: String = row.get(2)?;
        let scopes: String = row.get(3)?;
        let mac = row.get(19)?;
        let time = |seconds: Option<i64>| seconds.map(Timestamp::from_unix);
        let (Some(state), Ok(client_id)) =
            (GrantState::from_codes(&state, cause.as_deref()), client_id.parse())
        else {
            return Ok((None, scopes, mac));
        };
        let grant = Self {
            id: GrantId(row.get(0)?),
            user: UserId(row.get(1)?),
            client_id,
            scopes: ScopeSet::parse(&scopes),
            state,
            since: Timestamp::from_unix(row.get(6)?),
            token_generation: row.get(7)?,
            refresh_expires_at: time(row.get(10)?),
            access_expires_at: time(row.get(15)?),
            connected_at: Timestamp::from_unix(row.get(16)?),
            refreshed_at: Timestamp::from_unix(row.get(17)?),
            revoke_until: time(row.get(18)?),
            revision: row.get(8)?,
            sealed: SealedTokens {
                refresh: row.get::<_, Option<Vec<u8>>>(9)?.map(Sealed),
                prefix: row.get(11)?,
                hash: row.get(12)?,
                hash_b64: row.get(13)?,
                access: row.get::<_, Option<Vec<u8>>>(14)?.map(Sealed),
            },
        };
        Ok((Some(grant), scopes, mac))
    }

    /// The columns in the order in which the MAC covers them. `scopes` is the column's own text: a
    /// later locum may normalise scopes differently and must still read old rows.
    fn fields(&self, keys: &Keyring, scopes: &str) -> RowFields {
        let time = |time: Option<Timestamp>| time.map(Timestamp::unix);
        let lookup = |lookup: &Option<[u8; 32]>| lookup.map(Vec::from);
        keys.row(TABLE, self.id.0)
            .int(self.user.0)
            .text(self.client_id.as_str())
            .text(scopes)
            .text(self.state.code())
            .maybe_text(self.state.cause())
            .int(self.since.unix())
            .int(self.token_generation)
            .int(self.revision)
            .sealed(self.sealed.refresh.as_ref())
            .maybe_int(time(self.refresh_expires_at))
            .maybe_bytes(lookup(&self.sealed.prefix).as_deref())
            .maybe_bytes(lookup(&self.sealed.hash).as_deref())
            .maybe_bytes(lookup(&self.sealed.hash_b64).as_deref())
            .sealed(self.sealed.access.as_ref())
            .maybe_int(time(self.access_expires_at))
            .int(self.connected_at.unix())
            .int(self.refreshed_at.unix())
            .maybe_int(time(self.revoke_until))
    }

    /// Writes the row: an insert for the first revision, else an update of the one before.
    fn write(&self, conn: &Connection, scopes: &str, mac: &[u8]) -> Result<(), VaultError> {
        let time = |time: Option<Timestamp>| time.map(Timestamp::unix);
        let statement = if self.revision == 1 {
            "INSERT INTO grants (id, user_id, client_id, scopes, state, cause, since, token_generation, revision, \
             refresh_token, refresh_expires_at, refresh_prefix, refresh_hash, refresh_hash_b64, \
             access_token, access_expires_at, connected_at, refreshed_at, revoke_until, mac) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20) \
             ON CONFLICT DO NOTHING"
        } else {
            "UPDATE grants SET scopes = ?4, state = ?5, cause = ?6, since = ?7, token_generation = ?8, \
             revision = ?9, refresh_token = ?10, refresh_expires_at = ?11, refresh_prefix = ?12, \
             refresh_hash = ?13, refresh_hash_b64 = ?14, access_token = ?15, access_expires_at = ?16, \
             connected_at = ?17, refreshed_at = ?18, revoke_until = ?19, mac = ?20 \
             WHERE id = ?1 AND user_id = ?2 AND client_id = ?3 AND revision = ?9 - 1"
        };
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
                ])
            })
            .map_err(sql)?;
        if changed == 1 { Ok(()) } else { Err(VaultError::Conflict) }
    }
}

type WriteGrant = Box<dyn FnOnce(&Connection) -> Result<(), VaultError> + Send>;

impl Vault {
    fn place(grant: GrantId, column: &'static str) -> Place {
        Place { table: TABLE, column, row: grant.0 }
    }

    /// Applies `change` in memory and seals what is new.
    fn apply(&self, grant: &mut Grant, change: GrantChange, now: Timestamp) {
        let keys = &self.0.keys;
        if let Some(state) = change.state
            && state != grant.state
        {
            grant.state = state;
            grant.since = now;
        }
        if let Some(scopes) = change.scopes {
            grant.scopes = scopes;
        }
        match change.refresh {
            RefreshChange::Keep => {}
            RefreshChange::Expires(at) => grant.refresh_expires_at = Some(at),
            RefreshChange::Replace { token, expires_at } => {
                let text = token.expose().as_bytes();
                let hashes = DoubleHashes::of(text);
                let lookup = |label, value: &[u8]| Some(keys.lookup(label, &[value]));
                grant.sealed.prefix = lookup(Lookup::RefreshTokenPrefix, &text[..text.len().min(16)]);
                grant.sealed.hash = lookup(Lookup::RefreshTokenHash, hashes.raw.as_ref());
                grant.sealed.hash_b64 = lookup(Lookup::RefreshTokenHash, hashes.base64.as_ref());
                grant.sealed.refresh = Some(keys.seal(Self::place(grant.id, REFRESH_TOKEN), text));
                grant.refresh_expires_at = expires_at;
                grant.token_generation += 1;
            }
        }
        match change.access {
            AccessChange::Keep => {}
            AccessChange::Erase => {
                grant.sealed.access = None;
                grant.access_expires_at = None;
            }
            AccessChange::Replace { token, expires_at } => {
                let place = Self::place(grant.id, ACCESS_TOKEN);
                grant.sealed.access = Some(keys.seal(place, token.expose().as_bytes()));
                grant.access_expires_at = Some(expires_at);
            }
        }
        if change.refreshed {
            grant.refreshed_at = now;
        }
        grant.revoke_until = change.revoke_until;
    }

    /// Seals and MACs the grant for writing.
    fn writing(&self, grant: Grant) -> WriteGrant {
        let scopes = grant.scopes.to_string();
        let mac = self.0.keys.row_mac(&grant.fields(&self.0.keys, &scopes));
        Box::new(move |conn| grant.write(conn, &scopes, &mac))
    }

    /// The grant an exchange leaves, and the job that writes it.
    pub(super) fn prepare_grant(
        &self,
        user: UserId,
        old: Option<&Grant>,
        new: NewGrant,
        now: Timestamp,
    ) -> (Grant, WriteGrant) {
        let mut grant = match old {
            Some(old) => Grant { revision: old.revision + 1, ..old.clone() },
            None => Grant {
                id: GrantId(self.0.rng.row_id()),
                user,
                client_id: new.client_id,
                scopes: ScopeSet::default(),
                state: GrantState::Active,
                since: now,
                token_generation: 0,
                refresh_expires_at: None,
                access_expires_at: None,
                connected_at: now,
                refreshed_at: now,
                revoke_until: None,
                revision: 1,
                sealed: SealedTokens::default(),
            },
        };
        grant.connected_at = now;
        self.apply(&mut grant, new.change, now);
        let write = self.writing(grant.clone());
        (grant, write)
    }

    /// Changes a grant if it is still as `seen`.
    ///
    /// # Errors
    /// [`VaultError::Conflict`] when somebody else changed or deleted it first.
    pub async fn update_grant(&self, seen: &Grant, change: GrantChange) -> Result<Grant, VaultError> {
        let mut grant = Grant { revision: seen.revision + 1, ..seen.clone() };
        let erases =
            matches!(change.access, AccessChange::Erase) || change.state == Some(GrantState::Revoking);
        self.apply(&mut grant, change, self.0.clock.now());
        let write = self.writing(grant.clone());
        if erases {
            self.0.writer.erase(write).await?;
        } else {
            self.write(write).await?;
        }
        Ok(grant)
    }

    /// One grant.
    ///
    /// # Errors
    /// When the vault cannot be read or the row is damaged.
    pub async fn load_grant(&self, id: GrantId) -> Result<Option<Grant>, VaultError> {
        self.read(|conn| {
            let mut statement =
                conn.prepare_cached(&format!("SELECT {COLUMNS} FROM grants WHERE id = ?")).map_err(sql)?;
            let grant = statement
                .query_row([id.0], |row| Grant::from_sql(row, &self.0.keys))
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
        self.select_grants("WHERE user_id = ? ORDER BY client_id", [user.0])?.into_iter().collect()
    }

    /// A client's active grants that Google last saw before `before`, longest idle first. Damaged rows
    /// are logged and left out: one of them must not keep the others from being refreshed.
    ///
    /// # Errors
    /// When the vault cannot be read.
    pub async fn load_idle_grants(
        &self,
        client: &OAuthClientId,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<Grant>, VaultError> {
        let grants = self.select_grants(
            "WHERE state = 'active' AND client_id = ? AND refreshed_at < ? ORDER BY refreshed_at LIMIT ?",
            params![client.as_str(), before.unix(), to_limit(limit)],
        )?;
        Ok(sound(grants))
    }

    /// Grants on their way out, to be revoked at Google and deleted. Damaged rows are logged and left
    /// out: one of them must not keep the others from being forgotten.
    ///
    /// # Errors
    /// When the vault cannot be read.
    pub async fn load_revoking_grants(&self, limit: usize) -> Result<Vec<Grant>, VaultError> {
        Ok(sound(self.select_grants("WHERE state = 'revoking' LIMIT ?", [to_limit(limit)])?))
    }

    fn select_grants(
        &self,
        condition: &str,
        arguments: impl rusqlite::Params,
    ) -> Result<Vec<Result<Grant, VaultError>>, VaultError> {
        self.read(|conn| {
            let mut statement =
                conn.prepare_cached(&format!("SELECT {COLUMNS} FROM grants {condition}")).map_err(sql)?;
            let rows =
                statement.query_map(arguments, |row| Grant::from_sql(row, &self.0.keys)).map_err(sql)?;
            rows.map(|row| row.map_err(sql)).collect()
        })
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

    /// The refresh token in clear, for the one call that uses it.
    ///
    /// # Errors
    /// [`VaultError::Damaged`] when it does not open in its place.
    pub fn open_refresh_token(&self, grant: &Grant) -> Result<Option<RefreshToken>, VaultError> {
        let place = Self::place(grant.id, REFRESH_TOKEN);
        let token = self.open_token(place, grant.sealed.refresh.as_ref())?;
        Ok(token.map(RefreshToken::new))
    }

    /// The stored access token in clear.
    ///
    /// # Errors
    /// [`VaultError::Damaged`] when it does not open in its place.
    pub fn open_access_token(&self, grant: &Grant) -> Result<Option<AccessToken>, VaultError> {
        let place = Self::place(grant.id, ACCESS_TOKEN);
        let token = self.open_token(place, grant.sealed.access.as_ref())?;
        Ok(token.map(AccessToken::new))
    }

    fn open_token(&self, place: Place, sealed: Option<&Sealed>) -> Result<Option<String>, VaultError> {
        let Some(sealed) = sealed else { return Ok(None) };
        let mut plaintext = self.0.keys.open_sealed(place, sealed)?;
        String::from_utf8(std::mem::take(&mut *plaintext))
            .map(Some)
            .map_err(|_| VaultError::damaged(place.table, place.row))
    }

    /// Checks every grant of a file and opens its tokens.
    pub(super) fn verify_grants(conn: &Connection, keys: &Keyring) -> Result<u64, VaultError> {
        let mut statement = conn.prepare(&format!("SELECT {COLUMNS} FROM grants")).map_err(sql)?;
        let mut rows = statement.query([]).map_err(sql)?;
        let mut count = 0;
        while let Some(row) = rows.next().map_err(sql)? {
            let grant = Grant::from_sql(row, keys).map_err(sql)??;
            let sealed = [(REFRESH_TOKEN, &grant.sealed.refresh), (ACCESS_TOKEN, &grant.sealed.access)];
            for (column, sealed) in sealed {
                if let Some(sealed) = sealed {
                    keys.open_sealed(Self::place(grant.id, column), sealed)?;
                }
            }
            count += 1;
        }
        Ok(count)
    }
}

fn sound(grants: Vec<Result<Grant, VaultError>>) -> Vec<Grant> {
    let log = |damage: &VaultError| tracing::error!(%damage, "a grant was left out");
    grants.into_iter().filter_map(|grant| grant.inspect_err(log).ok()).collect()
}

fn to_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// SHA-512 applied twice to a refresh token, the form `hash_base64_sha512_sha512` of Google's
/// security events. Whether the inner result is hashed raw or in base64 is not documented, so both
/// are kept.
struct DoubleHashes {
    raw: ring::digest::Digest,
    base64: ring::digest::Digest,
}

impl DoubleHashes {
    fn of(token: &[u8]) -> Self {
        use base64::Engine as _;
        let inner = digest(&SHA512, token);
        let text = base64::engine::general_purpose::STANDARD.encode(inner.as_ref());
        Self { raw: digest(&SHA512, inner.as_ref()), base64: digest(&SHA512, text.as_bytes()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;

    #[test]
    fn double_hashes_match_the_vectors() {
        let hashes = DoubleHashes::of(b"1//0EXAMPLE-locum-test-vector");
        let text =
            |digest: &ring::digest::Digest| base64::engine::general_purpose::STANDARD.encode(digest.as_ref());
        assert!(text(&hashes.raw).starts_with("Xowu7gvyDuWBoj8Jw+ssiH7u"));
        assert!(text(&hashes.base64).starts_with("ixHUELzb8mmaGmuvuKHwDTzG"));
    }
}
