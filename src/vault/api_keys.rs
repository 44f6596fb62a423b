//! API keys as they are kept: a keyed hash of the secret, and what the key may do.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::keyring::{Keyring, Lookup};
use super::seal::RowFields;
use super::{Vault, VaultError, sql, whole_row};
use crate::clock::Timestamp;
use crate::ids::{ApiKeyId, ClientName, UserId};
use crate::scopes::ScopeSet;

const TABLE: &str = "api_keys";

/// Which users a key reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserBinding {
    /// Every user.
    All,
    /// These rows; a user who is forgotten and comes back has another row.
    Only(Vec<UserId>),
}

/// A stored API key. The secret itself is nowhere; `hash` is its HMAC under the vault's index key.
#[derive(Clone, Debug)]
pub struct ApiKeyRecord {
    /// The public half of the key.
    pub id: ApiKeyId,
    /// What the owner calls it.
    pub name: String,
    /// Keyed hash of the secret half.
    pub hash: [u8; 32],
    /// Names of actions, as [`crate::api_keys`] reads them.
    pub actions: Vec<String>,
    /// Which users it reaches.
    pub users: UserBinding,
    /// Which clients' grants it reaches; `None` for all.
    pub clients: Option<Vec<ClientName>>,
    /// The most a token handed to it may open; `None` for the whole grant.
    pub scopes: Option<ScopeSet>,
    /// Which Google hosts the proxy carries its calls to; `None` for all allowed ones.
    pub hosts: Option<Vec<String>>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it was last shown, to the minute; a hint.
    pub last_used_at: Option<Timestamp>,
}

const COLUMNS: &str = "id, key_id, name, hash, actions, users, clients, scopes, hosts, created_at, expires_at, \
     revoked_at, mac, last_used_at";

/// The row's texts, exactly as stored.
struct ApiKeyRow {
    id: i64,
    key_id: String,
    name: String,
    hash: [u8; 32],
    actions: String,
    users: String,
    clients: Option<String>,
    scopes: Option<String>,
    hosts: Option<String>,
    created_at: i64,
    expires_at: Option<i64>,
    revoked_at: Option<i64>,
    mac: Vec<u8>,
    last_used_at: Option<i64>,
}

impl ApiKeyRow {
    fn from_sql(row: &Row<'_>) -> rusqlite::Result<Result<Self, VaultError>> {
        whole_row(TABLE, row, |row| {
            Ok(Self {
                id: row.get(0)?,
                key_id: row.get(1)?,
                name: row.get(2)?,
                hash: row.get(3)?,
                actions: row.get(4)?,
                users: row.get(5)?,
                clients: row.get(6)?,
                scopes: row.get(7)?,
                hosts: row.get(8)?,
                created_at: row.get(9)?,
                expires_at: row.get(10)?,
                revoked_at: row.get(11)?,
                mac: row.get(12)?,
                last_used_at: row.get(13)?,
            })
        })
    }

    fn from_record(id: i64, key: &ApiKeyRecord) -> Self {
        let words = |list: &Vec<String>| list.join(" ");
        Self {
            id,
            key_id: key.id.to_string(),
            name: key.name.clone(),
            hash: key.hash,
            actions: words(&key.actions),
            users: match &key.users {
                UserBinding::All => "all".into(),
                UserBinding::Only(ids) => words(&ids.iter().map(|id| id.0.to_string()).collect()),
            },
            clients: key.clients.as_ref().map(|list| words(&list.iter().map(ToString::to_string).collect())),
            scopes: key.scopes.as_ref().map(ToString::to_string),
            hosts: key.hosts.as_ref().map(words),
            created_at: key.created_at.unix(),
            expires_at: key.expires_at.map(Timestamp::unix),
            revoked_at: key.revoked_at.map(Timestamp::unix),
            mac: Vec::new(),
            last_used_at: key.last_used_at.map(Timestamp::unix),
        }
    }

    fn fields(&self, keys: &Keyring) -> RowFields {
        keys.row(TABLE, self.id)
            .text(&self.key_id)
            .text(&self.name)
            .bytes(&self.hash)
            .text(&self.actions)
            .text(&self.users)
            .maybe_text(self.clients.as_deref())
            .maybe_text(self.scopes.as_deref())
            .maybe_text(self.hosts.as_deref())
            .int(self.created_at)
            .maybe_int(self.expires_at)
            .maybe_int(self.revoked_at)
    }

    fn parse(self, keys: &Keyring) -> Result<ApiKeyRecord, VaultError> {
        keys.verify_row(TABLE, self.id, &self.fields(keys), &self.mac)?;
        let damaged = || VaultError::damaged(TABLE, self.id);
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let users = if self.users == "all" {
            UserBinding::All
        } else {
            let ids = self.users.split_whitespace().map(|id| id.parse().map(UserId));
            UserBinding::Only(ids.collect::<Result<_, _>>().map_err(|_| damaged())?)
        };
        let clients = self.clients.as_ref().map(|list| list.split_whitespace().map(str::parse).collect());
        Ok(ApiKeyRecord {
            id: self.key_id.parse().map_err(|_| damaged())?,
            hash: self.hash,
            actions: words(&self.actions),
            users,
            clients: clients.transpose().map_err(|_| damaged())?,
            scopes: self.scopes.as_deref().map(ScopeSet::parse),
            hosts: self.hosts.as_deref().map(words),
            created_at: Timestamp::from_unix(self.created_at),
            expires_at: self.expires_at.map(Timestamp::from_unix),
            revoked_at: self.revoked_at.map(Timestamp::from_unix),
            last_used_at: self.last_used_at.map(Timestamp::from_unix),
            name: self.name,
        })
    }
}

impl Vault {
    /// The keyed hash of an API key's secret half.
    pub fn api_key_hash(&self, secret: &[u8; 32]) -> [u8; 32] {
        self.0.records.keys.lookup(Lookup::ApiKey, &[secret])
    }

    /// Every API key, newest first, each with its own error if its row is damaged.
    ///
    /// # Errors
    /// When the vault cannot be read.
    pub async fn load_api_keys(&self) -> Result<Vec<Result<ApiKeyRecord, VaultError>>, VaultError> {
        self.read(|conn| Self::read_api_keys(conn, &self.0.records.keys))
    }

    /// Reads the API keys of a file.
    pub(super) fn read_api_keys(
        conn: &Connection,
        keys: &Keyring,
    ) -> Result<Vec<Result<ApiKeyRecord, VaultError>>, VaultError> {
        let mut statement = conn
            .prepare_cached(&format!("SELECT {COLUMNS} FROM api_keys ORDER BY created_at DESC, key_id"))
            .map_err(sql)?;
        let rows = statement.query_map([], ApiKeyRow::from_sql).map_err(sql)?;
        rows.map(|row| Ok(row.map_err(sql)?.and_then(|row| row.parse(keys)))).collect()
    }

    /// Adds a key.
    ///
    /// # Errors
    /// [`VaultError::Conflict`] when the id exists.
    pub async fn save_api_key(&self, key: &ApiKeyRecord) -> Result<(), VaultError> {
        let keys = &self.0.records.keys;
        let mut row = ApiKeyRow::from_record(self.0.records.rng.row_id(), key);
        row.mac = keys.row_mac(&row.fields(keys));
        self.write(move |conn| {
            conn.execute(
                &format!(
                    "INSERT INTO api_keys ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                ),
                params![
                    row.id,
                    row.key_id,
                    row.name,
                    row.hash,
                    row.actions,
                    row.users,
                    row.clients,
                    row.scopes,
                    row.hosts,
                    row.created_at,
                    row.expires_at,
                    row.revoked_at,
                    row.mac,
                    row.last_used_at
                ],
            )
            .map(drop)
            .map_err(sql)
        })
        .await
    }

    /// Sets when a key ends or that it is revoked.
    ///
    /// # Errors
    /// [`VaultError::Gone`] when there is no such key.
    pub async fn end_api_key(
        &self,
        id: &ApiKeyId,
        expires_at: Option<Timestamp>,
        revoked_at: Option<Timestamp>,
    ) -> Result<(), VaultError> {
        let found = self.read(|conn| {
            conn.query_row(
                &format!("SELECT {COLUMNS} FROM api_keys WHERE key_id = ?"),
                [id.as_str()],
                ApiKeyRow::from_sql,
            )
            .optional()
            .map_err(sql)
        })?;
        let Some(mut row) = found.transpose()? else { return Err(VaultError::Gone) };
        let keys = &self.0.records.keys;
        keys.verify_row(TABLE, row.id, &row.fields(keys), &row.mac)?;
        row.expires_at = expires_at.map(Timestamp::unix);
        row.revoked_at = revoked_at.map(Timestamp::unix);
        let mac = keys.row_mac(&row.fields(keys));
        let seen = row.mac;
        self.write(move |conn| {
            let changed = conn
                .execute(
                    "UPDATE api_keys SET expires_at = ?, revoked_at = ?, mac = ? WHERE id = ? AND mac = ?",
                    params![row.expires_at, row.revoked_at, mac, row.id, seen],
                )
                .map_err(sql)?;
            if changed == 1 { Ok(()) } else { Err(VaultError::Conflict) }
        })
        .await
    }

    /// Notes when keys were last shown. A hint, written for many keys at once.
    ///
    /// # Errors
    /// When the vault cannot be written.
    pub async fn note_api_key_use(&self, uses: Vec<(ApiKeyId, Timestamp)>) -> Result<(), VaultError> {
        self.write(move |conn| {
            let mut statement =
                conn.prepare_cached("UPDATE api_keys SET last_used_at = ? WHERE key_id = ?").map_err(sql)?;
            for (id, at) in uses {
                statement.execute(params![at.unix(), id.as_str()]).map_err(sql)?;
            }
            Ok(())
        })
        .await
    }
}
