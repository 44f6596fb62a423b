//! What Google publishes and locum keeps: the discovery document and the key set, so that a restart
//! without network still verifies. Public, but guarded by a MAC: whoever could put a key set of
//! their own here could sign anybody in.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::keyring::Keyring;
use super::seal::RowFields;
use super::{Vault, VaultError, sql};
use crate::clock::Timestamp;

const TABLE: &str = "documents";

/// Which document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DocumentKind {
    /// The OpenID Connect discovery document.
    Discovery,
    /// The JSON Web Key Set that signs ID tokens.
    KeySet,
}

impl DocumentKind {
    const fn code(self) -> &'static str {
        match self {
            Self::Discovery => "discovery",
            Self::KeySet => "jwks",
        }
    }
}

/// A document as it was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDocument {
    /// The exact body.
    pub body: Vec<u8>,
    /// When it came.
    pub fetched_at: Timestamp,
    /// Until when its cache headers call it fresh.
    pub fresh_until: Timestamp,
}

impl StoredDocument {
    fn fields(&self, keys: &Keyring, kind: DocumentKind) -> RowFields {
        keys.row(TABLE, 0)
            .text(kind.code())
            .bytes(&self.body)
            .int(self.fetched_at.unix())
            .int(self.fresh_until.unix())
    }
}

impl Vault {
    /// The stored document, if there is one.
    ///
    /// # Errors
    /// When the vault cannot be read or the row is damaged.
    pub async fn load_document(&self, kind: DocumentKind) -> Result<Option<StoredDocument>, VaultError> {
        self.read(|conn| Self::read_document(conn, &self.0.records.keys, kind))
    }

    fn read_document(
        conn: &Connection,
        keys: &Keyring,
        kind: DocumentKind,
    ) -> Result<Option<StoredDocument>, VaultError> {
        let found = conn
            .prepare_cached("SELECT body, fetched_at, fresh_until, mac FROM documents WHERE kind = ?")
            .and_then(|mut statement| {
                statement
                    .query_row([kind.code()], |row| {
                        let document = StoredDocument {
                            body: row.get(0)?,
                            fetched_at: Timestamp::from_unix(row.get(1)?),
                            fresh_until: Timestamp::from_unix(row.get(2)?),
                        };
                        Ok((document, row.get::<_, Vec<u8>>(3)?))
                    })
                    .optional()
            })
            .map_err(sql)?;
        let Some((document, mac)) = found else { return Ok(None) };
        keys.verify_row(TABLE, 0, &document.fields(keys, kind), &mac)?;
        Ok(Some(document))
    }

    /// Checks every document of a file.
    pub(super) fn verify_documents(conn: &Connection, keys: &Keyring) -> Result<(), VaultError> {
        for kind in [DocumentKind::Discovery, DocumentKind::KeySet] {
            Self::read_document(conn, keys, kind)?;
        }
        Ok(())
    }

    /// Puts a document in the place of the stored one.
    ///
    /// # Errors
    /// When the vault cannot be written.
    pub async fn save_document(
        &self,
        kind: DocumentKind,
        document: StoredDocument,
    ) -> Result<(), VaultError> {
        let mac = self.0.records.keys.row_mac(&document.fields(&self.0.records.keys, kind));
        self.write(move |conn| {
            conn.prepare_cached(
                "INSERT INTO documents (kind, body, fetched_at, fresh_until, mac) VALUES (?1, ?2, ?3, ?4, ?5) \
                 ON CONFLICT (kind) DO UPDATE SET body = ?2, fetched_at = ?3, fresh_until = ?4, mac = ?5",
            )
            .and_then(|mut statement| {
                statement.execute(params![
                    kind.code(),
                    document.body,
                    document.fetched_at.unix(),
                    document.fresh_until.unix(),
                    mac
                ])
            })
            .map(drop)
            .map_err(sql)
        })
        .await
    }
}
