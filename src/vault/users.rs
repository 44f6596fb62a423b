//! People: who they are, how they are found again.

use rusqlite::{OptionalExtension as _, Row, params};
use serde::{Deserialize, Serialize};

use super::grants::{Grant, NewGrant};
use super::keyring::{Keyring, Lookup};
use super::redemptions::NewRedemption;
use super::seal::{Place, RowFields, Sealed};
use super::{Vault, VaultError, sql, whole_row};
use crate::clock::Timestamp;
use crate::ids::{Email, GrantId, Sub, UserId};

pub(super) const TABLE: &str = "users";
pub(super) const PROFILE: &str = "profile";

/// What Google last said of a person, and how they were let in. Sealed as a whole.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Google's id of the person.
    pub sub: Sub,
    /// The address, verified or not.
    pub email: Option<Email>,
    /// Whether Google has verified the address.
    pub email_verified: bool,
    /// The full name.
    pub name: Option<String>,
    /// The given name.
    pub given_name: Option<String>,
    /// The family name.
    pub family_name: Option<String>,
    /// Address of a picture.
    pub picture: Option<String>,
    /// BCP 47 language tag.
    pub locale: Option<String>,
    /// The Workspace or Cloud organisation's domain; absent for consumer accounts.
    pub hd: Option<String>,
    /// The entry of `allow_users` that admitted the person.
    pub admitted_by: String,
}

/// Personal data has no place in logs.
impl std::fmt::Debug for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Profile(…)")
    }
}

impl Profile {
    /// The address by which the person can be found, if Google verified it.
    pub fn verified_email(&self) -> Option<&Email> {
        self.email.as_ref().filter(|_| self.email_verified)
    }
}

/// A person who is or was connected.
#[derive(Clone, Debug)]
pub struct User {
    /// The vault's own id.
    pub id: UserId,
    /// Who they are.
    pub profile: Profile,
    /// Sessions carry the epoch they were made in; raising it ends all of them.
    pub session_epoch: i64,
    /// When they first connected.
    pub created_at: Timestamp,
    revision: i64,
    /// As it was made, under the issuer of that time: another issuer in the configuration must
    /// neither move a person to it nor unsettle the row's MAC.
    sub_lookup: [u8; 32],
}

/// All that one exchange writes, in one transaction.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The person's row: theirs if they are known, else one of [`Vault::new_user_id`].
    pub id: UserId,
    /// The person.
    pub profile: Profile,
    /// The grant as it should be from now on.
    pub grant: NewGrant,
    /// What the decision was based on; another revision in the vault is a [`VaultError::Conflict`].
    pub seen: Option<(User, Option<Grant>)>,
    /// The remembered answer.
    pub redemption: Option<NewRedemption>,
}

/// What [`Vault::connect`] wrote.
#[derive(Clone, Debug)]
pub struct Connected {
    /// The person.
    pub user: User,
    /// The grant.
    pub grant: Grant,
}

/// A row as it stands in the table.
struct UserRow {
    id: i64,
    sub_lookup: [u8; 32],
    email_lookup: Option<[u8; 32]>,
    profile: Sealed,
    session_epoch: i64,
    created_at: i64,
    revision: i64,
    mac: Vec<u8>,
}

const COLUMNS: &str = "id, sub_lookup, email_lookup, profile, session_epoch, created_at, revision, mac";

impl UserRow {
    fn from_sql(row: &Row<'_>) -> rusqlite::Result<Result<Self, VaultError>> {
        whole_row(TABLE, row, |row| {
            Ok(Self {
                id: row.get(0)?,
                sub_lookup: row.get(1)?,
                email_lookup: row.get(2)?,
                profile: Sealed(row.get(3)?),
                session_epoch: row.get(4)?,
                created_at: row.get(5)?,
                revision: row.get(6)?,
                mac: row.get(7)?,
            })
        })
    }

    fn fields(&self, keys: &Keyring) -> RowFields {
        keys.row(TABLE, self.id)
            .bytes(&self.sub_lookup)
            .maybe_bytes(self.email_lookup.as_ref().map(<[u8; 32]>::as_slice))
            .sealed(Some(&self.profile))
            .int(self.session_epoch)
            .int(self.created_at)
            .int(self.revision)
    }

    fn verify(&self, keys: &Keyring) -> Result<(), VaultError> {
        keys.verify_row(TABLE, self.id, &self.fields(keys), &self.mac)
    }

    fn open(self, keys: &Keyring) -> Result<User, VaultError> {
        self.verify(keys)?;
        let plaintext = keys.open_sealed(place(self.id), &self.profile)?;
        let profile = serde_json::from_slice(&plaintext).map_err(|_| VaultError::damaged(TABLE, self.id))?;
        Ok(User {
            id: UserId(self.id),
            profile,
            session_epoch: self.session_epoch,
            created_at: Timestamp::from_unix(self.created_at),
            revision: self.revision,
            sub_lookup: self.sub_lookup,
        })
    }
}

fn place(row: i64) -> Place {
    Place { table: TABLE, column: PROFILE, row }
}

impl Vault {
    fn seal_user(&self, user: &User) -> UserRow {
        let keys = &self.0.keys;
        let plaintext = zeroize::Zeroizing::new(
            serde_json::to_vec(&user.profile).expect("a profile is plain strings, which JSON can hold"),
        );
        let mut row = UserRow {
            id: user.id.0,
            sub_lookup: user.sub_lookup,
            email_lookup: user.profile.verified_email().map(|email| self.email_lookup(email)),
            profile: keys.seal(place(user.id.0), &plaintext),
            session_epoch: user.session_epoch,
            created_at: user.created_at.unix(),
            revision: user.revision,
            mac: Vec::new(),
        };
        row.mac = keys.row_mac(&row.fields(keys));
        row
    }

    fn sub_lookup(&self, sub: &Sub) -> [u8; 32] {
        self.0.keys.lookup(Lookup::Sub, &[self.0.issuer.as_bytes(), sub.as_str().as_bytes()])
    }

    fn email_lookup(&self, email: &Email) -> [u8; 32] {
        self.0.keys.lookup(Lookup::Email, &[self.0.issuer.as_bytes(), email.as_str().as_bytes()])
    }

    fn find_user_id(&self, lookup: &[u8; 32]) -> Result<Option<UserId>, VaultError> {
        let keys = &self.0.keys;
        self.read(|conn| {
            let mut statement = conn
                .prepare_cached(&format!("SELECT {COLUMNS} FROM users WHERE sub_lookup = ?"))
                .map_err(sql)?;
            let row = statement.query_row([lookup], UserRow::from_sql).optional().map_err(sql)?;
            row.map(|row| {
                let row = row?;
                row.verify(keys).map(|()| UserId(row.id))
            })
            .transpose()
        })
    }

    /// The row id of the person with this `sub`. The row's MAC is checked; nothing is opened.
    ///
    /// # Errors
    /// When the vault cannot be read or the row is damaged.
    pub async fn find_user_by_sub(&self, sub: &Sub) -> Result<Option<UserId>, VaultError> {
        self.find_user_id(&self.sub_lookup(sub))
    }

    /// The row ids of everybody whose latest verified address this is: none, one, or (after an
    /// address changed hands) several.
    ///
    /// # Errors
    /// When the vault cannot be read or a row is damaged.
    pub async fn find_users_by_email(&self, email: &Email) -> Result<Vec<UserId>, VaultError> {
        let (keys, lookup) = (&self.0.keys, self.email_lookup(email));
        self.read(|conn| {
            let mut statement = conn
                .prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM users WHERE email_lookup = ? ORDER BY created_at"
                ))
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
            let mut statement =
                conn.prepare_cached(&format!("SELECT {COLUMNS} FROM users WHERE id = ?")).map_err(sql)?;
            let row = statement.query_row([id.0], UserRow::from_sql).optional().map_err(sql)?;
            row.map(|row| row?.open(&self.0.keys)).transpose()
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
            let mut statement = conn
                .prepare_cached(&format!("SELECT {COLUMNS} FROM users WHERE id > ? ORDER BY id LIMIT ?"))
                .map_err(sql)?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let rows = statement
                .query_map(params![after.map_or(0, |id| id.0), limit], |row| {
                    Ok((UserId(row.get(0)?), UserRow::from_sql(row)?))
                })
                .map_err(sql)?;
            rows.map(|row| {
                let (id, row) = row.map_err(sql)?;
                Ok((id, row.and_then(|row| row.open(&self.0.keys))))
            })
            .collect()
        })
    }

    /// An unused row id for somebody new.
    pub fn new_user_id(&self) -> UserId {
        UserId(self.0.rng.row_id())
    }

    /// Everything an exchange writes, in one commit: the person, the grant, the remembered answer.
    ///
    /// # Errors
    /// [`VaultError::Conflict`] when the person or the grant changed since `seen`, or appeared.
    pub async fn connect(&self, connection: Connection) -> Result<Connected, VaultError> {
        let Connection { id, profile, grant, seen, redemption } = connection;
        let now = self.0.clock.now();
        let (old_user, old_grant) = match seen {
            Some((user, grant)) => (Some(user), grant),
            None => (None, None),
        };
        let user = match &old_user {
            Some(old) => User { profile, revision: old.revision + 1, ..old.clone() },
            None => {
                let sub_lookup = self.sub_lookup(&profile.sub);
                User { id, profile, session_epoch: 0, created_at: now, revision: 1, sub_lookup }
            }
        };
        let unchanged = old_user.as_ref().is_some_and(|old| old.profile == user.profile);
        let user = if unchanged { old_user.clone().unwrap_or(user) } else { user };
        let user_row = (!unchanged).then(|| self.seal_user(&user));
        let user_exists = old_user.is_some();
        let (grant, write_grant) = self.prepare_grant(user.id, old_grant.as_ref(), grant, now);
        let write_redemption =
            redemption.map(|redemption| self.prepare_redemption(redemption, Some(user.id)));
        let expected = old_user.map(|old| (old.id, old.revision));

        self.write(move |conn| {
            if let Some(row) = user_row {
                if user_exists { row.update(conn)? } else { row.insert(conn)? }
            } else if let Some((id, revision)) = expected {
                // The row stays as it is, but it must still be there: a forget may have come between.
                let mut statement =
                    conn.prepare_cached("SELECT 1 FROM users WHERE id = ? AND revision = ?").map_err(sql)?;
                if !statement.exists(params![id.0, revision]).map_err(sql)? {
                    return Err(VaultError::Conflict);
                }
            }
            write_grant(conn)?;
            if let Some(write) = write_redemption {
                write(conn)?;
            }
            Ok(Connected { user, grant })
        })
        .await
    }

    /// Ends every session of a person made so far.
    ///
    /// # Errors
    /// [`VaultError::Gone`] when there is no such person.
    pub async fn end_sessions(&self, id: UserId) -> Result<(), VaultError> {
        loop {
            let Some(mut user) = self.load_user(id).await? else { return Err(VaultError::Gone) };
            user.session_epoch = (user.session_epoch + 1).max(self.0.clock.now().unix());
            user.revision += 1;
            let row = self.seal_user(&user);
            match self.write(move |conn| row.update(conn)).await {
                Err(VaultError::Conflict) => {}
                outcome => return outcome,
            }
        }
    }

    /// Deletes a grant, and the person with it when it was their last one. Returns whether the person
    /// is gone too.
    ///
    /// # Errors
    /// [`VaultError::Conflict`] when the grant has left the state `revoking` (the person connected
    /// again), [`VaultError::Gone`] when it is gone already.
    pub async fn delete_grant(&self, grant: GrantId) -> Result<bool, VaultError> {
        let kept_since = super::redemptions::codes_known_since(self.0.clock.now()).unix();
        self.0
            .writer
            .erase(move |conn| {
                let found: (String, i64) = conn
                    .prepare_cached("SELECT state, user_id FROM grants WHERE id = ?")
                    .and_then(|mut s| s.query_row([grant.0], |row| Ok((row.get(0)?, row.get(1)?))))
                    .map_err(sql)?;
                let (state, user) = found;
                if state != "revoking" {
                    return Err(VaultError::Conflict);
                }
                conn.execute("DELETE FROM grants WHERE id = ?", [grant.0]).map_err(sql)?;
                let gone = conn
                    .execute(
                        "DELETE FROM users WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM grants WHERE user_id = ?1)",
                        [user],
                    )
                    .map_err(sql)?;
                // What was remembered of exchanges may hold the person's profile.
                // Older ones have lost their answers already, or will with the next purge.
                conn.execute(
                    "UPDATE redemptions SET answer = NULL WHERE answered_at > ? AND user_id = ?",
                    params![kept_since, user],
                )
                .map_err(sql)?;
                Ok(gone == 1)
            })
            .await
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

    /// Opens a grant's user row for [`super::backup`]'s check of a whole file.
    pub(super) fn verify_users(conn: &rusqlite::Connection, keys: &Keyring) -> Result<u64, VaultError> {
        let mut statement = conn.prepare(&format!("SELECT {COLUMNS} FROM users")).map_err(sql)?;
        let mut rows = statement.query([]).map_err(sql)?;
        let mut count = 0;
        while let Some(row) = rows.next().map_err(sql)? {
            UserRow::from_sql(row).map_err(sql)??.open(keys)?;
            count += 1;
        }
        Ok(count)
    }
}

impl UserRow {
    fn insert(&self, conn: &rusqlite::Connection) -> Result<(), VaultError> {
        let mut statement = conn
            .prepare_cached(
                "INSERT INTO users (id, sub_lookup, email_lookup, profile, session_epoch, created_at, revision, mac) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            )
            .map_err(sql)?;
        let inserted = statement
            .execute(params![
                self.id,
                self.sub_lookup,
                self.email_lookup,
                self.profile.0,
                self.session_epoch,
                self.created_at,
                self.revision,
                self.mac
            ])
            .map_err(sql)?;
        if inserted == 1 { Ok(()) } else { Err(VaultError::Conflict) }
    }

    fn update(&self, conn: &rusqlite::Connection) -> Result<(), VaultError> {
        let mut statement = conn
            .prepare_cached(
                "UPDATE users SET email_lookup = ?, profile = ?, session_epoch = ?, revision = ?, mac = ? \
                 WHERE id = ? AND revision = ?",
            )
            .map_err(sql)?;
        let updated = statement
            .execute(params![
                self.email_lookup,
                self.profile.0,
                self.session_epoch,
                self.revision,
                self.mac,
                self.id,
                self.revision - 1
            ])
            .map_err(sql)?;
        if updated == 1 { Ok(()) } else { Err(VaultError::Conflict) }
    }
}
