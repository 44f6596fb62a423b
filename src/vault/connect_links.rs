//! One-time links that lead a named person through consent. The secret of a link is kept as a keyed hash
//! only; whom it is for is sealed.

use std::fmt;

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::{Deserialize, Serialize};

use super::keyring::{Keyring, Lookup};
use super::seal::{Place, RowFields, Sealed};
use super::{Vault, VaultError, sql, whole_row};
use crate::clock::Timestamp;
use crate::ids::{Email, OAuthClientId, Sub};
use crate::scopes::ScopeSet;
use crate::secret::SecretText;

/// The schema that first has the table.
pub(super) const SINCE: i64 = 3;

const TABLE: &str = "connect_links";
const PERSON: &str = "person";

/// Whom a link is for: by `sub` where the owner named somebody who is known, else by address.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkedPerson {
    /// Google's id.
    pub sub: Option<Sub>,
    /// The address.
    pub email: Option<Email>,
}

/// Personal data has no place in logs.
impl fmt::Debug for LinkedPerson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkedPerson(…)")
    }
}

/// A link as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectLinkRecord {
    /// The vault's own number of it, which opens nothing.
    pub id: i64,
    /// Whom it is for.
    pub person: LinkedPerson,
    /// The OAuth client.
    pub client_id: OAuthClientId,
    /// What to ask for instead of the client's scopes.
    pub scopes: Option<ScopeSet>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// The row, exactly as stored.
struct LinkRow {
    id: i64,
    secret_lookup: [u8; 32],
    sub_lookup: Option<[u8; 32]>,
    email_lookup: Option<[u8; 32]>,
    client_id: String,
    scopes: Option<String>,
    person: Sealed,
    created_at: i64,
    expires_at: i64,
    mac: Vec<u8>,
}

const COLUMNS: &str =
    "id, secret_lookup, sub_lookup, email_lookup, client_id, scopes, person, created_at, expires_at, mac";

const fn place(row: i64) -> Place {
    Place { table: TABLE, column: PERSON, row }
}

impl LinkRow {
    fn from_sql(row: &Row<'_>) -> rusqlite::Result<Result<Self, VaultError>> {
        whole_row(TABLE, row, |row| {
            Ok(Self {
                id: row.get(0)?,
                secret_lookup: row.get(1)?,
                sub_lookup: row.get(2)?,
                email_lookup: row.get(3)?,
                client_id: row.get(4)?,
                scopes: row.get(5)?,
                person: Sealed(row.get(6)?),
                created_at: row.get(7)?,
                expires_at: row.get(8)?,
                mac: row.get(9)?,
            })
        })
    }

    fn fields(&self, keys: &Keyring) -> RowFields {
        keys.row(TABLE, self.id)
            .bytes(&self.secret_lookup)
            .maybe_bytes(self.sub_lookup.as_ref().map(<[u8; 32]>::as_slice))
            .maybe_bytes(self.email_lookup.as_ref().map(<[u8; 32]>::as_slice))
            .text(&self.client_id)
            .maybe_text(self.scopes.as_deref())
            .sealed(Some(&self.person))
            .int(self.created_at)
            .int(self.expires_at)
    }

    fn open(self, keys: &Keyring) -> Result<ConnectLinkRecord, VaultError> {
        keys.verify_row(TABLE, self.id, &self.fields(keys), &self.mac)?;
        let damaged = || VaultError::damaged(TABLE, self.id);
        let person = keys.open_sealed(place(self.id), &self.person)?;
        Ok(ConnectLinkRecord {
            id: self.id,
            person: serde_json::from_slice(&person).map_err(|_| damaged())?,
            client_id: self.client_id.parse().map_err(|_| damaged())?,
            scopes: self.scopes.as_deref().map(ScopeSet::parse),
            created_at: Timestamp::from_unix(self.created_at),
            expires_at: Timestamp::from_unix(self.expires_at),
        })
    }
}

impl Vault {
    fn link_lookup(&self, secret: &SecretText) -> [u8; 32] {
        self.0.records.keys.lookup(Lookup::ConnectLink, &[secret.expose().as_bytes()])
    }

    /// Keeps a new link and returns it with its number.
    ///
    /// # Errors
    /// When the vault cannot be written.
    pub async fn save_connect_link(
        &self,
        secret: &SecretText,
        link: ConnectLinkRecord,
    ) -> Result<ConnectLinkRecord, VaultError> {
        let keys = &self.0.records.keys;
        let link = ConnectLinkRecord { id: self.0.records.rng.row_id(), ..link };
        let person = zeroize::Zeroizing::new(
            serde_json::to_vec(&link.person).expect("a person is plain strings, which JSON can hold"),
        );
        let mut row = LinkRow {
            id: link.id,
            secret_lookup: self.link_lookup(secret),
            sub_lookup: link.person.sub.as_ref().map(|sub| self.0.records.sub_lookup(sub)),
            email_lookup: link.person.email.as_ref().map(|email| self.0.records.email_lookup(email)),
            client_id: link.client_id.to_string(),
            scopes: link.scopes.as_ref().map(ToString::to_string),
            person: keys.seal(place(link.id), &person),
            created_at: link.created_at.unix(),
            expires_at: link.expires_at.unix(),
            mac: Vec::new(),
        };
        row.mac = keys.row_mac(&row.fields(keys));
        self.write(move |conn| {
            conn.execute(
                &format!("INSERT INTO connect_links ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"),
                params![
                    row.id,
                    row.secret_lookup,
                    row.sub_lookup,
                    row.email_lookup,
                    row.client_id,
                    row.scopes,
                    row.person.0,
                    row.created_at,
                    row.expires_at,
                    row.mac
                ],
            )
            .map(drop)
            .map_err(sql)
        })
        .await?;
        Ok(link)
    }

    /// The link with this secret, while its time is not over.
    ///
    /// # Errors
    /// When the vault cannot be read or the row is damaged.
    pub async fn load_connect_link(
        &self,
        secret: &SecretText,
    ) -> Result<Option<ConnectLinkRecord>, VaultError> {
        let (keys, lookup) = (&self.0.records.keys, self.link_lookup(secret));
        let found = self.read(|conn| {
            conn.query_row(
                &format!("SELECT {COLUMNS} FROM connect_links WHERE secret_lookup = ?"),
                [lookup],
                LinkRow::from_sql,
            )
            .optional()
            .map_err(sql)
        })?;
        let link = found.transpose()?.map(|row| row.open(keys)).transpose()?;
        Ok(link.filter(|link| self.0.records.clock.now() < link.expires_at))
    }

    /// Every link whose time is not over, the latest first, at most `limit`. A damaged row comes as its error
    /// in its place.
    ///
    /// # Errors
    /// When the vault cannot be read.
    pub async fn list_connect_links(
        &self,
        limit: usize,
    ) -> Result<Vec<Result<ConnectLinkRecord, VaultError>>, VaultError> {
        let (keys, now) = (&self.0.records.keys, self.0.records.clock.now().unix());
        self.read(|conn| {
            let mut statement = conn
                .prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM connect_links WHERE expires_at > ? ORDER BY created_at DESC, id LIMIT ?"
                ))
                .map_err(sql)?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let rows = statement.query_map(params![now, limit], LinkRow::from_sql).map_err(sql)?;
            rows.map(|row| Ok(row.map_err(sql)?.and_then(|row| row.open(keys)))).collect()
        })
    }

    /// Takes a link away. Whether this call did: of two that come at once, one is told so.
    ///
    /// # Errors
    /// When the vault cannot be written.
    pub async fn delete_connect_link(&self, id: i64) -> Result<bool, VaultError> {
        self.0
            .writer
            .erase(move |conn| {
                conn.execute("DELETE FROM connect_links WHERE id = ?", [id])
                    .map(|deleted| deleted == 1)
                    .map_err(sql)
            })
            .await
    }

    /// Takes every link away that was made for this person, by `sub` or by address: all, or those of one
    /// client.
    ///
    /// # Errors
    /// When the vault cannot be written.
    pub async fn delete_connect_links_of(
        &self,
        person: &LinkedPerson,
        client: Option<&OAuthClientId>,
    ) -> Result<(), VaultError> {
        let sub = person.sub.as_ref().map(|sub| self.0.records.sub_lookup(sub));
        let email = person.email.as_ref().map(|email| self.0.records.email_lookup(email));
        let client = client.map(ToString::to_string);
        self.0
            .writer
            .erase(move |conn| {
                conn.execute(
                    "DELETE FROM connect_links WHERE (sub_lookup = ?1 OR email_lookup = ?2) \
                     AND (?3 IS NULL OR client_id = ?3)",
                    params![sub, email, client],
                )
                .map(drop)
                .map_err(sql)
            })
            .await
    }

    /// Erases links whose time is over.
    ///
    /// # Errors
    /// When the vault cannot be written.
    pub async fn purge_connect_links(&self) -> Result<(), VaultError> {
        let now = self.0.records.clock.now().unix();
        self.0
            .writer
            .erase(move |conn| {
                conn.execute("DELETE FROM connect_links WHERE expires_at <= ?", [now]).map(drop).map_err(sql)
            })
            .await
    }

    /// Checks every link of a file and opens whom it is for.
    pub(super) fn verify_connect_links(conn: &Connection, keys: &Keyring) -> Result<(), VaultError> {
        let mut statement =
            conn.prepare(&format!("SELECT {COLUMNS} FROM connect_links ORDER BY id")).map_err(sql)?;
        let mut rows = statement.query([]).map_err(sql)?;
        while let Some(row) = rows.next().map_err(sql)? {
            LinkRow::from_sql(row).map_err(sql)??.open(keys)?;
        }
        Ok(())
    }
}
