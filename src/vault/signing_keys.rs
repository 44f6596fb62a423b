//! The keys that sign locum's own session tokens.

use rusqlite::params;
use zeroize::Zeroizing;

use super::keyring::Keyring;
use super::seal::{Place, RowFields, Sealed};
use super::{Vault, VaultError, sql, whole_row};
use crate::clock::Timestamp;

const TABLE: &str = "signing_keys";
const PRIVATE_KEY: &str = "private_key";

/// One ES256 key pair.
#[derive(Clone)]
pub struct SigningKeyRecord {
    /// The key's id in the published set.
    pub kid: String,
    /// PKCS#8.
    pub private_key: Zeroizing<Vec<u8>>,
    /// The uncompressed point, 65 bytes.
    pub public_key: Vec<u8>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl std::fmt::Debug for SigningKeyRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKeyRecord").field("kid", &self.kid).finish_non_exhaustive()
    }
}

fn fields(keys: &Keyring, id: i64, kid: &str, private: &Sealed, public: &[u8], created_at: i64) -> RowFields {
    keys.row(TABLE, id).text(kid).sealed(Some(private)).bytes(public).int(created_at)
}

impl Vault {
    /// Every signing key, oldest first.
    ///
    /// # Errors
    /// When the vault cannot be read or a row is damaged.
    pub async fn load_signing_keys(&self) -> Result<Vec<SigningKeyRecord>, VaultError> {
        self.read(|conn| Self::read_signing_keys(conn, &self.0.records.keys))
    }

    /// Reads and checks every signing key of a file.
    pub(super) fn read_signing_keys(
        conn: &rusqlite::Connection,
        keys: &Keyring,
    ) -> Result<Vec<SigningKeyRecord>, VaultError> {
        let mut statement = conn
            .prepare_cached(
                "SELECT id, kid, private_key, public_key, created_at, mac FROM signing_keys ORDER BY created_at",
            )
            .map_err(sql)?;
        let rows = statement
            .query_map([], |row| {
                whole_row(TABLE, row, |row| {
                    Ok((
                        row.get::<_, i64>(0)?,
                        row.get::<_, String>(1)?,
                        Sealed(row.get(2)?),
                        row.get::<_, Vec<u8>>(3)?,
                        row.get::<_, i64>(4)?,
                        row.get::<_, Vec<u8>>(5)?,
                    ))
                })
            })
            .map_err(sql)?;
        rows.map(|row| {
            let (id, kid, sealed, public_key, created_at, mac) = row.map_err(sql)??;
            keys.verify_row(TABLE, id, &fields(keys, id, &kid, &sealed, &public_key, created_at), &mac)?;
            let place = Place { table: TABLE, column: PRIVATE_KEY, row: id };
            Ok(SigningKeyRecord {
                kid,
                private_key: keys.open_sealed(place, &sealed)?,
                public_key,
                created_at: Timestamp::from_unix(created_at),
            })
        })
        .collect()
    }

    /// Adds a signing key.
    ///
    /// # Errors
    /// When the vault cannot be written.
    pub async fn save_signing_key(&self, key: &SigningKeyRecord) -> Result<(), VaultError> {
        let keys = &self.0.records.keys;
        let id = self.0.records.rng.row_id();
        let sealed = keys.seal(Place { table: TABLE, column: PRIVATE_KEY, row: id }, &key.private_key);
        let (kid, public, created_at) = (key.kid.clone(), key.public_key.clone(), key.created_at.unix());
        let mac = keys.row_mac(&fields(keys, id, &kid, &sealed, &public, created_at));
        self.write(move |conn| {
            conn.execute(
                "INSERT INTO signing_keys (id, kid, private_key, public_key, created_at, mac) \
                 VALUES (?, ?, ?, ?, ?, ?)",
                params![id, kid, sealed.0, public, created_at, mac],
            )
            .map(drop)
            .map_err(sql)
        })
        .await
    }
}
