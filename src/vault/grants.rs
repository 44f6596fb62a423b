//! Grants: what a user gave a client, with its tokens.

mod load;
mod need;
mod refresh_hashes;
mod row;

use rusqlite::Connection;

pub use self::load::FoundGrants;
pub use self::need::GrantsInNeed;

use self::refresh_hashes::DoubleHashes;
use super::keyring::Lookup;
use super::records::Records;
use super::rows::Cluster;
use super::seal::{Place, Sealed};
use super::users::User;
use super::{Vault, VaultError};
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
    /// The user's, so that a person's grants are found without their own row.
    sub_lookup: [u8; 32],
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

    /// Whether `other` is this grant, and nothing about it was written in between.
    pub fn is_unchanged(&self, other: &Self) -> bool {
        (self.id, self.revision) == (other.id, other.revision)
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

fn place(grant: GrantId, column: &'static str) -> Place {
    Place { table: TABLE, column, row: grant.0 }
}

impl Records {
    /// Applies `change` in memory and seals what is new.
    fn apply(&self, grant: &mut Grant, change: GrantChange, now: Timestamp) {
        let keys = &self.keys;
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
                grant.sealed.refresh = Some(keys.seal(place(grant.id, REFRESH_TOKEN), text));
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
                let place = place(grant.id, ACCESS_TOKEN);
                grant.sealed.access = Some(keys.seal(place, token.expose().as_bytes()));
                grant.access_expires_at = Some(expires_at);
            }
        }
        if change.refreshed {
            grant.refreshed_at = now;
        }
        grant.revoke_until = change.revoke_until;
    }

    /// The job that writes the grant in the place of `old` and gives it back. It is MACed here.
    fn writing(
        &self,
        grant: Grant,
        old: Option<&Grant>,
    ) -> impl FnOnce(&Connection) -> Result<Grant, VaultError> + use<> {
        let mac = self.keys.row_mac(&grant.fields(&self.keys, grant.scopes.as_str()));
        let write = match old {
            None => Grant::insert,
            Some(old) if old.is_indexed_as(&grant) => Grant::update_unindexed,
            Some(_) => Grant::update,
        };
        move |conn| write(&grant, conn, grant.scopes.as_str(), &mac).map(|()| grant)
    }

    /// Writes the grant an exchange leaves.
    pub(super) fn write_grant(
        &self,
        conn: &Connection,
        user: &User,
        old: Option<&Grant>,
        new: NewGrant,
        now: Timestamp,
    ) -> Result<Grant, VaultError> {
        let mut grant = match old {
            Some(old) => Grant { revision: old.revision + 1, ..old.clone() },
            None => Grant {
                id: GrantId(Cluster::of_row(user.id.0).new_id(&self.rng)),
                user: user.id,
                sub_lookup: user.sub_lookup,
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
        self.writing(grant, old)(conn)
    }
}

impl Vault {
    /// Changes a grant if it is still as `seen`.
    ///
    /// # Errors
    /// [`VaultError::Conflict`] when somebody else changed or deleted it first.
    pub async fn update_grant(&self, seen: &Grant, change: GrantChange) -> Result<Grant, VaultError> {
        let mut grant = Grant { revision: seen.revision + 1, ..seen.clone() };
        let erases =
            matches!(change.access, AccessChange::Erase) || change.state == Some(GrantState::Revoking);
        let records = &self.0.records;
        records.apply(&mut grant, change, records.clock.now());
        let (changes, user, moved) = (self.changes(), grant.user, !seen.is_indexed_as(&grant));
        let write = records.writing(grant, Some(seen));
        let then = move |_: &Grant| changes.note(user, moved);
        if erases {
            self.0.writer.erase_then(write, then).await
        } else {
            self.0.writer.write_then(write, then).await
        }
    }

    /// The refresh token in clear, for the one call that uses it.
    ///
    /// # Errors
    /// [`VaultError::Damaged`] when it does not open in its place.
    pub fn open_refresh_token(&self, grant: &Grant) -> Result<Option<RefreshToken>, VaultError> {
        let place = place(grant.id, REFRESH_TOKEN);
        let token = self.open_token(place, grant.sealed.refresh.as_ref())?;
        Ok(token.map(RefreshToken::new))
    }

    /// The stored access token in clear.
    ///
    /// # Errors
    /// [`VaultError::Damaged`] when it does not open in its place.
    pub fn open_access_token(&self, grant: &Grant) -> Result<Option<AccessToken>, VaultError> {
        let place = place(grant.id, ACCESS_TOKEN);
        let token = self.open_token(place, grant.sealed.access.as_ref())?;
        Ok(token.map(AccessToken::new))
    }

    fn open_token(&self, place: Place, sealed: Option<&Sealed>) -> Result<Option<String>, VaultError> {
        let Some(sealed) = sealed else { return Ok(None) };
        let mut plaintext = self.0.records.keys.open_sealed(place, sealed)?;
        String::from_utf8(std::mem::take(&mut *plaintext))
            .map(Some)
            .map_err(|_| VaultError::damaged(place.table, place.row))
    }
}
