//! People: who they are, how they are found again.

mod find;
mod row;

use serde::{Deserialize, Serialize};

pub use self::find::{ReadPerson, WholePerson};

use self::row::{UserRow, place};
use super::events::EventRecord;
use super::grants::{Grant, NewGrant};
use super::keyring::Lookup;
use super::records::Records;
use super::redemptions::NewRedemption;
use super::rows::Cluster;
use super::{Vault, VaultError, sql};
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
    pub(super) sub_lookup: [u8; 32],
}

/// What an exchange makes of a person, in one transaction.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The person.
    pub profile: Profile,
    /// The grant as it should be from now on.
    pub grant: NewGrant,
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

impl Vault {
    /// All of an exchange, in one transaction: finds the person and their grants, lets `decide` say what
    /// becomes of them, and writes the person, the grant and the remembered answer. Where `decide` says no,
    /// its reason comes back and nothing is written. `decide` runs on the writer's thread, where everybody's
    /// writes wait for it: it must be quick, and hold no [`Vault`].
    ///
    /// # Errors
    /// When the vault cannot be written or a row of the person's is damaged; [`VaultError::Conflict`] when the
    /// code is known already, or a row id was drawn that is taken (the next try draws another).
    pub async fn connect<T, E>(
        &self,
        sub: &Sub,
        decide: impl FnOnce(Option<&WholePerson>) -> Result<(Connection, T), E> + Send + 'static,
    ) -> Result<Result<(Connected, T), E>, VaultError>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        let (records, changes) = (self.0.records.clone(), self.changes());
        let lookup = records.sub_lookup(sub);
        let job = move |conn: &rusqlite::Connection| {
            let known = records.read_connected(conn, &lookup)?;
            let (connection, told) = match decide(known.as_ref()) {
                Ok(decided) => decided,
                Err(reason) => return Ok(Err(reason)),
            };
            debug_assert_eq!(lookup, records.sub_lookup(&connection.profile.sub), "of somebody else");
            let connected = records.write_connection(conn, lookup, known, connection)?;
            Ok(Ok((connected, told)))
        };
        let then = move |outcome: &Result<(Connected, T), E>| {
            if let Ok((connected, _)) = outcome {
                changes.note(connected.user.id, true);
            }
        };
        self.0.writer.write_then(job, then).await
    }

    /// Ends every session of a person made so far.
    ///
    /// # Errors
    /// [`VaultError::Gone`] when there is no such person.
    pub async fn end_sessions(&self, id: UserId) -> Result<(), VaultError> {
        loop {
            let Some(mut user) = self.load_user(id).await? else { return Err(VaultError::Gone) };
            user.session_epoch = (user.session_epoch + 1).max(self.0.records.clock.now().unix());
            user.revision += 1;
            let row = self.0.records.seal_user(&user);
            match self.write(move |conn| row.update(conn)).await {
                Err(VaultError::Conflict) => {}
                outcome => return outcome,
            }
        }
    }

    /// Deletes a grant, and the person with it when it was their last one; with the person goes what is
    /// personal in the events about them. `event` says that it was done, in the same transaction. Returns
    /// whether the person is gone too.
    ///
    /// # Errors
    /// [`VaultError::Conflict`] when the grant has left the state `revoking` (the person connected
    /// again), [`VaultError::Gone`] when it is gone already.
    pub async fn delete_grant(&self, grant: GrantId, event: Option<EventRecord>) -> Result<bool, VaultError> {
        let (changes, records) = (self.changes(), self.0.records.clone());
        let job = move |conn: &rusqlite::Connection| {
            let found: (String, i64) = conn
                .prepare_cached("SELECT state, user_id FROM grants WHERE id = ?")
                .and_then(|mut s| s.query_row([grant.0], |row| Ok((row.get(0)?, row.get(1)?))))
                .map_err(sql)?;
            let (state, user) = found;
            if state != "revoking" {
                return Err(VaultError::Conflict);
            }
            let user = UserId(user);
            Ok((records.delete_grant_row(conn, grant, user, event)?, user))
        };
        let (gone, _) = self.0.writer.erase_then(job, move |(_, user)| changes.note(*user, true)).await?;
        Ok(gone)
    }

    /// As [`Vault::delete_grant`], for a row that does not match its seal and so cannot be in any state.
    ///
    /// # Errors
    /// [`VaultError::Gone`] when there is no damaged row of this id (any more).
    pub async fn delete_damaged_grant(
        &self,
        grant: GrantId,
        user: UserId,
        event: EventRecord,
    ) -> Result<bool, VaultError> {
        let (changes, records) = (self.changes(), self.0.records.clone());
        let job = move |conn: &rusqlite::Connection| {
            if !records.is_damaged(conn, grant)? {
                return Err(VaultError::Gone);
            }
            records.delete_grant_row(conn, grant, user, Some(event))
        };
        self.0.writer.erase_then(job, move |_| changes.note(user, true)).await
    }
}

impl Records {
    fn seal_user(&self, user: &User) -> UserRow {
        let keys = &self.keys;
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

    pub(super) fn sub_lookup(&self, sub: &Sub) -> [u8; 32] {
        self.keys.lookup(Lookup::Sub, &[self.issuer.as_bytes(), sub.as_str().as_bytes()])
    }

    pub(super) fn email_lookup(&self, email: &Email) -> [u8; 32] {
        self.keys.lookup(Lookup::Email, &[self.issuer.as_bytes(), email.as_str().as_bytes()])
    }

    fn write_connection(
        &self,
        conn: &rusqlite::Connection,
        sub_lookup: [u8; 32],
        known: Option<WholePerson>,
        new: Connection,
    ) -> Result<Connected, VaultError> {
        let Connection { profile, grant, redemption } = new;
        let now = self.clock.now();
        let (user, stored) = match known {
            None => {
                let id = UserId(Cluster::of_lookup(&sub_lookup).new_id(&self.rng));
                let user = User { id, profile, session_epoch: 0, created_at: now, revision: 1, sub_lookup };
                self.seal_user(&user).insert(conn)?;
                (user, None)
            }
            Some((old, grants)) => {
                let stored = grants.into_iter().find(|stored| stored.client_id == grant.client_id);
                if old.profile == profile {
                    (old, stored)
                } else {
                    let user = User { profile, revision: old.revision + 1, ..old };
                    self.seal_user(&user).update(conn)?;
                    (user, stored)
                }
            }
        };
        let grant = self.write_grant(conn, &user, stored.as_ref(), grant, now)?;
        if let Some(redemption) = redemption {
            self.write_redemption(conn, redemption, Some(user.id))?;
        }
        Ok(Connected { user, grant })
    }

    /// Whether the person went with it.
    fn delete_grant_row(
        &self,
        conn: &rusqlite::Connection,
        grant: GrantId,
        user: UserId,
        event: Option<EventRecord>,
    ) -> Result<bool, VaultError> {
        let (keys, now) = (&self.keys, self.clock.now());
        conn.execute("DELETE FROM grants WHERE id = ?", [grant.0]).map_err(sql)?;
        let gone = conn
            .execute(
                "DELETE FROM users WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM grants WHERE user_id = ?1)",
                [user.0],
            )
            .map_err(sql)?;
        // What was remembered of exchanges may hold the person's profile.
        super::redemptions::erase_answers_about(conn, user, now)?;
        if gone == 1 {
            super::events::erase_personal_of(conn, keys, user)?;
        }
        if let Some(event) = event {
            super::events::append(conn, keys, event)?;
        }
        Ok(gone == 1)
    }
}
