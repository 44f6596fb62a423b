//! Finding people and listing them.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::super::keyring::Keyring;
use super::super::records::Records;
use super::super::rows::Cluster;
use super::super::{Vault, VaultError, sql};
use super::row::{UserRow, select_users};
use super::{Grant, User};
use crate::ids::{Email, Sub, UserId};

/// A person and all their grants.
pub type WholePerson = (User, Vec<Grant>);

/// A person, or the damage to them.
pub type ReadPerson = Result<WholePerson, VaultError>;

impl Vault {
    /// The row id of the person with this `sub`. The row's MAC is checked; nothing is opened.
    ///
    /// # Errors
    /// When the vault cannot be read or the row is damaged.
    pub async fn find_user_by_sub(&self, sub: &Sub) -> Result<Option<UserId>, VaultError> {
        let keys = &self.0.records.keys;
        let row = self.read(|conn| Records::read_user_row(conn, &self.0.records.sub_lookup(sub)))?;
        row.map(|row| row.verify(keys).map(|()| UserId(row.id))).transpose()
    }

    /// The person with this `sub`, opened, and all their grants, by one look-up.
    ///
    /// # Errors
    /// When the vault cannot be read or a row is damaged.
    pub async fn load_connected(&self, sub: &Sub) -> Result<Option<WholePerson>, VaultError> {
        let lookup = self.0.records.sub_lookup(sub);
        self.read(|conn| self.0.records.read_connected(conn, &lookup))
    }

    /// The row ids of everybody whose latest verified address this is: none, one, or (after an
    /// address changed hands) several.
    ///
    /// # Errors
    /// When the vault cannot be read or a row is damaged.
    pub async fn find_users_by_email(&self, email: &Email) -> Result<Vec<UserId>, VaultError> {
        let (keys, lookup) = (&self.0.records.keys, self.0.records.email_lookup(email));
        self.read(|conn| {
            let mut statement = conn
                .prepare_cached(select_users!("WHERE email_lookup = ? ORDER BY created_at"))
                .map_err(sql)?;
            let rows = statement.query_map([lookup], UserRow::from_sql).map_err(sql)?;
            rows.map(|row| {
                let row = row.map_err(sql)??;
                row.verify(keys).map(|()| UserId(row.id))
            })
            .collect()
        })
    }

    /// One person, opened.
    ///
    /// # Errors
    /// When the vault cannot be read or the row is damaged.
    pub async fn load_user(&self, id: UserId) -> Result<Option<User>, VaultError> {
        self.read(|conn| {
            let mut statement = conn.prepare_cached(select_users!("WHERE id = ?")).map_err(sql)?;
            let row = statement.query_row([id.0], UserRow::from_sql).optional().map_err(sql)?;
            row.map(|row| row?.open(&self.0.records.keys)).transpose()
        })
    }

    /// Up to `limit` people in the order of their row ids, starting after `after`. A damaged row comes
    /// as its error in its place, so that one bad row does not hide the others.
    ///
    /// # Errors
    /// When the vault cannot be read.
    pub async fn list_users(
        &self,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<(UserId, Result<User, VaultError>)>, VaultError> {
        self.read(|conn| {
            each_row(conn, after, limit, |_, row| Ok(row.and_then(|row| row.open(&self.0.records.keys))))
        })
    }

    /// Up to `limit` people with all their grants in the order of their row ids, starting after `after`, as
    /// of one moment. Whoever cannot be read whole comes as the error in their place. Blocks: some 15 µs a
    /// person.
    ///
    /// # Errors
    /// When the vault cannot be read.
    pub fn read_people(
        &self,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<(UserId, ReadPerson)>, VaultError> {
        self.read(|conn| each_row(conn, after, limit, |id, row| self.0.records.whole(conn, id, row)))
    }

    /// One person with all their grants, as of one moment. Blocks, as [`Vault::read_people`].
    ///
    /// # Errors
    /// When the vault cannot be read or a row of theirs is damaged.
    pub fn read_person(&self, id: UserId) -> Result<Option<WholePerson>, VaultError> {
        self.read(|conn| {
            let mut statement = conn.prepare_cached(select_users!("WHERE id = ?")).map_err(sql)?;
            let row = statement.query_row([id.0], UserRow::from_sql).optional().map_err(sql)?;
            row.map(|row| self.0.records.whole(conn, id, row)?).transpose()
        })
    }

    /// How many people there are.
    ///
    /// # Errors
    /// When the vault cannot be read.
    pub async fn count_users(&self) -> Result<u64, VaultError> {
        self.read(|conn| {
            conn.prepare_cached("SELECT count(*) FROM users")
                .and_then(|mut s| s.query_row([], |row| row.get::<_, i64>(0)).map(i64::unsigned_abs))
                .map_err(sql)
        })
    }

    /// Opens a grant's user row for [`super::super::backup`]'s check of a whole file.
    pub(in super::super) fn verify_users(conn: &Connection, keys: &Keyring) -> Result<u64, VaultError> {
        let mut statement = conn.prepare(select_users!("")).map_err(sql)?;
        let mut rows = statement.query([]).map_err(sql)?;
        let mut count = 0;
        while let Some(row) = rows.next().map_err(sql)? {
            UserRow::from_sql(row).map_err(sql)??.open(keys)?;
            count += 1;
        }
        Ok(count)
    }
}

impl Records {
    fn read_user_row(conn: &Connection, lookup: &[u8; 32]) -> Result<Option<UserRow>, VaultError> {
        let cluster = Cluster::of_lookup(lookup);
        conn.prepare_cached(select_users!("NOT INDEXED WHERE id BETWEEN ? AND ? AND sub_lookup = ?"))
            .and_then(|mut statement| {
                let arguments = params![cluster.first(), cluster.last(), lookup];
                statement.query_row(arguments, UserRow::from_sql).optional()
            })
            .map_err(sql)?
            .transpose()
    }

    pub(super) fn read_connected(
        &self,
        conn: &Connection,
        lookup: &[u8; 32],
    ) -> Result<Option<WholePerson>, VaultError> {
        let Some(row) = Self::read_user_row(conn, lookup)? else { return Ok(None) };
        let grants = self.read_grants_of(conn, UserId(row.id))?.whole()?;
        Ok(Some((row.open(&self.keys)?, grants)))
    }

    /// A person opened, with their grants. The inner error is damage to them alone.
    fn whole(
        &self,
        conn: &Connection,
        id: UserId,
        row: Result<UserRow, VaultError>,
    ) -> Result<ReadPerson, VaultError> {
        let whole = row
            .and_then(|row| row.open(&self.keys))
            .and_then(|user| Ok((user, self.read_grants_of(conn, id)?.whole()?)));
        match whole {
            Err(error @ VaultError::Damaged { .. }) => Ok(Err(error)),
            Err(error) => Err(error),
            Ok(whole) => Ok(Ok(whole)),
        }
    }
}

/// Makes something of up to `limit` rows in the order of their ids, starting after `after`.
fn each_row<T>(
    conn: &Connection,
    after: Option<UserId>,
    limit: usize,
    made: impl Fn(UserId, Result<UserRow, VaultError>) -> Result<T, VaultError>,
) -> Result<Vec<(UserId, T)>, VaultError> {
    let mut statement =
        conn.prepare_cached(select_users!("WHERE id > ? ORDER BY id LIMIT ?")).map_err(sql)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement
        .query_map(params![after.map_or(0, |id| id.0), limit], |row| {
            Ok((UserId(row.get(0)?), UserRow::from_sql(row)?))
        })
        .map_err(sql)?;
    rows.map(|row| {
        let (id, row) = row.map_err(sql)?;
        Ok((id, made(id, row)?))
    })
    .collect()
}
