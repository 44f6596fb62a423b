//! Root key, data keys, index key.
//!
//! The root key wraps the data keys and nothing else. Each data key has a *term* (1, 2, …); new
//! values are sealed under the newest, older terms stay readable until nothing is sealed under them.
//! The index key makes the keyed lookups (HMAC-SHA-256) that find a row by a value the database
//! never holds in clear. Wrapped keys stand in the `data_keys` table, once per root key, with a check
//! value beside them since AES-GCM does not commit to its key.

use std::collections::BTreeMap;
use std::fmt;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use rusqlite::{Connection, OptionalExtension as _, params};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::seal::{Damaged, Place, RowFields, Sealed, TermKeys, derive, derive_public, push_part};
use super::{VaultError, sql};
use crate::clock::Timestamp;
use crate::rng::Rng;
use crate::secret::{SecretKey, SecretText};

/// What the owner keeps outside the vault to open it.
#[derive(Clone, Debug)]
pub enum RootSecret {
    /// Thirty-two random bytes.
    Key(SecretKey),
    /// A pass-phrase, stretched with Argon2id (64 MiB, three passes) and the vault's own salt.
    Passphrase(SecretText),
}

/// A short public name of a root key, derived from it: tells which root key a vault wants.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RootId([u8; 8]);

impl fmt::Display for RootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for RootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl RootId {
    /// The id of a root key, as `init` and `serve` show it.
    pub fn of(key: &SecretKey) -> Self {
        Self(derive_public(key, b"locum/1/root-id"))
    }
}

/// Which value a lookup is for. Each has its own label, so equal values in different columns do not
/// have equal lookups.
#[derive(Clone, Copy, Debug)]
pub(super) enum Lookup {
    Sub,
    Email,
    Code,
    IdempotencyKey,
    ExchangeRequest,
    ApiKey,
    RefreshTokenPrefix,
    RefreshTokenHash,
    MirrorPath,
    MirrorFile,
    ConnectLink,
    OwnerSession,
}

impl Lookup {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Sub => b"sub",
            Self::Email => b"email",
            Self::Code => b"code",
            Self::IdempotencyKey => b"idempotency-key",
            Self::ExchangeRequest => b"exchange-request",
            Self::ApiKey => b"api-key",
            Self::RefreshTokenPrefix => b"refresh-token-prefix",
            Self::RefreshTokenHash => b"refresh-token-hash",
            Self::MirrorPath => b"mirror-path",
            Self::MirrorFile => b"mirror-file",
            Self::ConnectLink => b"connect-link",
            Self::OwnerSession => b"owner-session",
        }
    }
}

/// The opened keys of one vault.
pub(super) struct Keyring {
    vault_id: [u8; 16],
    root_id: RootId,
    active: u32,
    terms: BTreeMap<u32, TermKeys>,
    index: hmac::Key,
    rng: Rng,
}

impl Keyring {
    /// Makes the keys of a new vault inside the caller's transaction.
    pub(super) fn create(
        conn: &Connection,
        secret: &RootSecret,
        rng: &Rng,
        now: Timestamp,
    ) -> Result<(), VaultError> {
        let vault_id: [u8; 16] = rng.bytes();
        let salt: Option<[u8; 16]> = matches!(secret, RootSecret::Passphrase(_)).then(|| rng.bytes());
        conn.execute(
            "INSERT INTO vault (id, vault_id, passphrase_salt, created_at) VALUES (1, ?, ?, ?)",
            params![vault_id, salt, now.unix()],
        )
        .map_err(sql)?;
        let root = root_key(secret, salt.as_ref())?;
        for purpose in [Purpose::Data, Purpose::Index] {
            let key = SecretKey::new(rng.bytes());
            let wrapped = wrap(rng, &root, &vault_id, purpose, 1, &key);
            conn.execute(
                "INSERT INTO data_keys (purpose, term, root_id, wrapped, check_value, created_at) \
                 VALUES (?, 1, ?, ?, ?, ?)",
                params![purpose.code(), RootId::of(&root).0, wrapped, check_value(&key), now.unix()],
            )
            .map_err(sql)?;
        }
        Ok(())
    }

    /// Opens the keys of an existing vault.
    pub(super) fn open(conn: &Connection, secret: &RootSecret, rng: &Rng) -> Result<Self, VaultError> {
        let (vault_id, salt): ([u8; 16], Option<[u8; 16]>) = conn
            .query_row("SELECT vault_id, passphrase_salt FROM vault WHERE id = 1", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()
            .map_err(sql)?
            .ok_or(VaultError::NotAVault)?;
        let root = root_key(secret, salt.as_ref())?;
        let root_id = RootId::of(&root);
        let mut statement = conn
            .prepare("SELECT purpose, term, root_id, wrapped, check_value FROM data_keys ORDER BY term")
            .map_err(sql)?;
        let rows = statement
            .query_map([], |row| {
                Ok((
                    row.get::<_, String>(0)?,
                    row.get::<_, u32>(1)?,
                    row.get::<_, [u8; 8]>(2)?,
                    row.get::<_, Vec<u8>>(3)?,
                    row.get::<_, [u8; 16]>(4)?,
                ))
            })
            .map_err(sql)?;

        let (mut terms, mut index, mut wanted) = (BTreeMap::new(), None, None);
        for row in rows {
            let (purpose, term, wrapped_under, wrapped, check) = row.map_err(sql)?;
            wanted = Some(RootId(wrapped_under));
            if wrapped_under != root_id.0 {
                continue;
            }
            let damaged = |_| VaultError::damaged("data_keys", i64::from(term));
            let purpose = Purpose::from_code(&purpose).ok_or(Damaged).map_err(damaged)?;
            let key = unwrap(&root, &vault_id, purpose, term, &wrapped, &check).map_err(damaged)?;
            match purpose {
                Purpose::Data => {
                    terms.insert(term, TermKeys::new(term, &key));
                }
                Purpose::Index => index = Some(hmac::Key::new(hmac::HMAC_SHA256, key.expose())),
            }
        }
        match (terms.keys().next_back().copied(), index) {
            (Some(active), Some(index)) => {
                Ok(Self { vault_id, root_id, active, terms, index, rng: rng.clone() })
            }
            // The right root key, but a wrapped key is missing beside the others.
            (Some(_), None) | (None, Some(_)) => Err(VaultError::damaged("data_keys", 0)),
            (None, None) => match wanted {
                Some(_) => Err(VaultError::WrongRootKey { given: root_id, wanted }),
                None => Err(VaultError::damaged("data_keys", 0)),
            },
        }
    }

    pub(super) fn root_id(&self) -> RootId {
        self.root_id
    }

    pub(super) fn active_term(&self) -> u32 {
        self.active
    }

    fn newest(&self) -> &TermKeys {
        &self.terms[&self.active]
    }

    pub(super) fn seal(&self, place: Place, plaintext: &[u8]) -> Sealed {
        self.newest().seal(&self.rng, &self.vault_id, place, plaintext)
    }

    pub(super) fn open_sealed(
        &self,
        place: Place,
        sealed: &Sealed,
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        sealed
            .term()
            .and_then(|term| self.terms.get(&term))
            .ok_or(Damaged)
            .and_then(|keys| keys.open(&self.vault_id, place, sealed))
            .map_err(|Damaged| VaultError::damaged(place.table, place.row))
    }

    pub(super) fn row(&self, table: &'static str, row: i64) -> RowFields {
        RowFields::new(&self.vault_id, table, row)
    }

    pub(super) fn row_mac(&self, row: &RowFields) -> Vec<u8> {
        self.newest().row_mac(row)
    }

    pub(super) fn verify_row(
        &self,
        table: &'static str,
        id: i64,
        row: &RowFields,
        mac: &[u8],
    ) -> Result<(), VaultError> {
        mac.first_chunk()
            .and_then(|term| self.terms.get(&u32::from_be_bytes(*term)))
            .ok_or(Damaged)
            .and_then(|keys| keys.verify_row(row, mac))
            .map_err(|Damaged| VaultError::damaged(table, id))
    }

    /// HMAC-SHA-256 under the index key of the label and every part with its length.
    pub(super) fn lookup(&self, lookup: Lookup, parts: &[&[u8]]) -> [u8; 32] {
        let mut input = Vec::with_capacity(128);
        push_part(&mut input, lookup.label());
        for part in parts {
            push_part(&mut input, part);
        }
        let tag = hmac::sign(&self.index, &input);
        zeroize::Zeroize::zeroize(&mut input);
        tag.as_ref().try_into().expect("HMAC-SHA-256 has 32 bytes")
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyring(root {}, term {})", self.root_id, self.active)
    }
}

#[derive(Clone, Copy)]
enum Purpose {
    Data,
    Index,
}

impl Purpose {
    const fn code(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Index => "index",
        }
    }

    fn from_code(code: &str) -> Option<Self> {
        [Self::Data, Self::Index].into_iter().find(|purpose| purpose.code() == code)
    }
}

fn root_key(secret: &RootSecret, salt: Option<&[u8; 16]>) -> Result<SecretKey, VaultError> {
    match (secret, salt) {
        (RootSecret::Key(key), None) => Ok(key.clone()),
        (RootSecret::Passphrase(phrase), Some(_)) if phrase.expose().is_empty() => {
            Err(VaultError::UnusableRootKey("the pass-phrase is empty; configure another"))
        }
        (RootSecret::Passphrase(phrase), Some(salt)) => {
            let params = argon2::Params::new(64 * 1024, 3, 1, Some(32)).expect("within Argon2's limits");
            let argon = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
            let mut key = Zeroizing::new([0; 32]);
            argon.hash_password_into(phrase.expose().as_bytes(), salt, &mut *key).map_err(|_| {
                VaultError::UnusableRootKey("the pass-phrase cannot be stretched; configure a shorter one")
            })?;
            Ok(SecretKey::new(*key))
        }
        (RootSecret::Key(_), Some(_)) => Err(VaultError::UnusableRootKey(
            "this vault was made with a pass-phrase; configure that, not a key",
        )),
        (RootSecret::Passphrase(_), None) => Err(VaultError::UnusableRootKey(
            "this vault was made with a root key; configure that, not a pass-phrase",
        )),
    }
}

fn check_value(key: &SecretKey) -> [u8; 16] {
    derive_public(key, b"locum/1/check")
}

fn wrapping(root: &SecretKey, vault_id: &[u8; 16], purpose: Purpose, term: u32) -> (LessSafeKey, Vec<u8>) {
    let key = derive(root, b"locum/1/wrap");
    let mut ad = Vec::new();
    push_part(&mut ad, purpose.code().as_bytes());
    push_part(&mut ad, &term.to_be_bytes());
    push_part(&mut ad, &RootId::of(root).0);
    push_part(&mut ad, vault_id);
    (LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.expose()).expect("32 bytes")), ad)
}

fn wrap(
    rng: &Rng,
    root: &SecretKey,
    vault_id: &[u8; 16],
    purpose: Purpose,
    term: u32,
    key: &SecretKey,
) -> Vec<u8> {
    let (wrapping, ad) = wrapping(root, vault_id, purpose, term);
    let nonce: [u8; NONCE_LEN] = rng.bytes();
    let mut body = key.expose().to_vec();
    wrapping
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(ad), &mut body)
        .expect("32 bytes are within AES-GCM's limit");
    [nonce.as_slice(), &body].concat()
}

fn unwrap(
    root: &SecretKey,
    vault_id: &[u8; 16],
    purpose: Purpose,
    term: u32,
    wrapped: &[u8],
    check: &[u8; 16],
) -> Result<SecretKey, Damaged> {
    let (wrapping, ad) = wrapping(root, vault_id, purpose, term);
    let (nonce, body) = wrapped.split_at_checked(NONCE_LEN).ok_or(Damaged)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Damaged)?;
    let mut body = Zeroizing::new(body.to_vec());
    let key = wrapping.open_in_place(nonce, Aad::from(ad), &mut body).map_err(|_| Damaged)?;
    let key = SecretKey::new(<[u8; 32]>::try_from(&*key).map_err(|_| Damaged)?);
    bool::from(check_value(&key).ct_eq(check)).then_some(key).ok_or(Damaged)
}
