//! Codes that were redeemed, and the answers that a lost one can be given again.
//!
//! A code is known by its keyed hash for an hour, its answer (sealed) for ten minutes. The row's MAC
//! ties the answer to the request it was given to: without it, whoever can write the file could hand
//! one person's answer, and with it a session, to another person's request. The answer itself stands
//! outside the MAC, since it is erased before the row; its seal names the row.

use std::fmt;
use std::sync::atomic::Ordering;

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::keyring::{Keyring, Lookup};
use super::records::Records;
use super::seal::{Place, RowFields, Sealed};
use super::{Vault, VaultError, sql, whole_row};
use crate::clock::Timestamp;
use crate::ids::UserId;

const TABLE: &str = "redemptions";
const ANSWER: &str = "answer";
/// How long the answer to an idempotent request is kept, in seconds.
pub(super) const ANSWER_LIFETIME: i64 = 600;
/// How long a code is known, in seconds. Google's own codes die after some ten minutes.
const CODE_LIFETIME: i64 = 3600;

/// Keyed hashes of one exchange request: what is compared instead of the code itself.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CodeMarks {
    /// Of the code.
    pub code: [u8; 32],
    /// Of the `Idempotency-Key`, if there is one.
    pub idempotency_key: Option<[u8; 32]>,
    /// Of the whole request.
    pub request: [u8; 32],
}

impl fmt::Debug for CodeMarks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CodeMarks(…)")
    }
}

/// An answer to remember: a success (with the grant, in one commit) or Google's final refusal.
#[derive(Clone)]
pub struct NewRedemption {
    /// Which request it answers.
    pub marks: CodeMarks,
    /// The answer, in the caller's own form; `None` where nobody can ask for it again.
    pub answer: Option<Vec<u8>>,
}

impl fmt::Debug for NewRedemption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewRedemption(…)")
    }
}

/// What is known of a code or an idempotency key.
pub struct Redemption {
    /// Whether the code of the asking request is this row's.
    pub same_code: bool,
    /// Whether the idempotency key is this row's; two absent keys are not the same.
    pub same_key: bool,
    /// Whether the whole request is this row's.
    pub same_request: bool,
    /// Whom the answer is about.
    pub user: Option<UserId>,
    /// The remembered answer, while it is kept.
    pub answer: Option<zeroize::Zeroizing<Vec<u8>>>,
}

/// An answer holds a profile, which has no place in logs.
impl fmt::Debug for Redemption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redemption")
            .field("same_code", &self.same_code)
            .field("same_key", &self.same_key)
            .field("same_request", &self.same_request)
            .finish_non_exhaustive()
    }
}

/// A row as it stands in the table.
struct RedemptionRow {
    id: i64,
    marks: CodeMarks,
    user: Option<i64>,
    answer: Option<Sealed>,
    answered_at: i64,
    mac: Vec<u8>,
}

/// The statement that selects whole rows, in the order in which [`RedemptionRow::from_sql`] takes their
/// columns.
macro_rules! select_redemptions {
    ($rest:literal) => {
        concat!(
            "SELECT id, code_lookup, idempotency_lookup, request, user_id, answer, answered_at, mac \
             FROM redemptions ",
            $rest
        )
    };
}

impl RedemptionRow {
    fn from_sql(row: &Row<'_>) -> rusqlite::Result<Result<Self, VaultError>> {
        whole_row(TABLE, row, |row| {
            Ok(Self {
                id: row.get(0)?,
                marks: CodeMarks { code: row.get(1)?, idempotency_key: row.get(2)?, request: row.get(3)? },
                user: row.get(4)?,
                answer: row.get::<_, Option<Vec<u8>>>(5)?.map(Sealed),
                answered_at: row.get(6)?,
                mac: row.get(7)?,
            })
        })
    }

    fn fields(&self, keys: &Keyring) -> RowFields {
        keys.row(TABLE, self.id)
            .bytes(&self.marks.code)
            .maybe_bytes(self.marks.idempotency_key.as_ref().map(<[u8; 32]>::as_slice))
            .bytes(&self.marks.request)
            .maybe_int(self.user)
            .int(self.answered_at)
    }

    fn verify(&self, keys: &Keyring) -> Result<(), VaultError> {
        keys.verify_row(TABLE, self.id, &self.fields(keys), &self.mac)
    }

    /// Whether nothing stood in the way.
    fn insert(&self, conn: &Connection) -> Result<bool, VaultError> {
        conn.prepare_cached(
            "INSERT INTO redemptions \
             (id, code_lookup, idempotency_lookup, request, user_id, answer, answered_at, mac) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        )
        .and_then(|mut s| {
            s.execute(params![
                self.id,
                self.marks.code,
                self.marks.idempotency_key,
                self.marks.request,
                self.user,
                self.answer.as_ref().map(|answer| &answer.0),
                self.answered_at,
                self.mac
            ])
        })
        .map(|inserted| inserted == 1)
        .map_err(sql)
    }

    fn open_answer(&self, keys: &Keyring) -> Result<Option<zeroize::Zeroizing<Vec<u8>>>, VaultError> {
        self.answer.as_ref().map(|answer| keys.open_sealed(place(self.id), answer)).transpose()
    }
}

fn place(row: i64) -> Place {
    Place { table: TABLE, column: ANSWER, row }
}

/// Ids begin with the second of the answer, so that rows of one commit share their pages and the table
/// is in the order of age. Below that a counter, which starts anywhere.
const COUNTER_BITS: u32 = 30;

/// The lowest id of what was answered at `time` or later.
const fn first_id_at(time: i64) -> i64 {
    time << COUNTER_BITS
}

/// Erases what was remembered of exchanges about a person. Older answers are gone already, or will be
/// with the next purge.
pub(super) fn erase_answers_about(conn: &Connection, user: UserId, now: Timestamp) -> Result<(), VaultError> {
    conn.prepare_cached("UPDATE redemptions SET answer = NULL WHERE id >= ? AND user_id = ?")
        .and_then(|mut s| s.execute([first_id_at(now.unix() - CODE_LIFETIME), user.0]))
        .map(drop)
        .map_err(sql)
}

impl Records {
    fn new_redemption_id(&self, now: i64) -> i64 {
        let count = self.redemptions.fetch_add(1, Ordering::Relaxed);
        first_id_at(now) | count & ((1 << COUNTER_BITS) - 1)
    }

    /// Writes a redemption beside whatever else its transaction holds.
    pub(super) fn write_redemption(
        &self,
        conn: &Connection,
        new: NewRedemption,
        user: Option<UserId>,
    ) -> Result<(), VaultError> {
        let (now, keys) = (self.clock.now().unix(), &self.keys);
        let id = self.new_redemption_id(now);
        let mut row = RedemptionRow {
            id,
            marks: new.marks,
            user: user.map(|user| user.0),
            answer: new.answer.map(|answer| keys.seal(place(id), &answer)),
            answered_at: now,
            mac: Vec::new(),
        };
        row.mac = keys.row_mac(&row.fields(keys));
        if row.insert(conn)? {
            return Ok(());
        }
        // A code Google gave out again after the hour, or a key used again after it.
        conn.prepare_cached(
            "DELETE FROM redemptions WHERE (code_lookup = ?1 OR idempotency_lookup = ?2) AND id < ?3",
        )
        .and_then(|mut s| {
            let known_from = first_id_at(now - CODE_LIFETIME + 1);
            s.execute(params![row.marks.code, row.marks.idempotency_key, known_from])
        })
        .map_err(sql)?;
        if row.insert(conn)? { Ok(()) } else { Err(VaultError::Conflict) }
    }
}

impl Vault {
    /// The keyed hashes of an exchange request.
    pub fn code_marks(&self, code: &str, idempotency_key: Option<&str>, request: &[&[u8]]) -> CodeMarks {
        let keys = &self.0.records.keys;
        CodeMarks {
            code: keys.lookup(Lookup::Code, &[code.as_bytes()]),
            idempotency_key: idempotency_key
                .map(|key| keys.lookup(Lookup::IdempotencyKey, &[key.as_bytes()])),
            request: keys.lookup(Lookup::ExchangeRequest, request),
        }
    }

    /// What is known of the request's idempotency key or, failing that, of its code.
    ///
    /// # Errors
    /// When the vault cannot be read or the answer is damaged.
    pub async fn load_redemption(&self, marks: &CodeMarks) -> Result<Option<Redemption>, VaultError> {
        let now = self.0.records.clock.now();
        let keys = &self.0.records.keys;
        let found = self.read(|conn| {
            let known_from = first_id_at(now.unix() - CODE_LIFETIME + 1);
            if marks.idempotency_key.is_none() {
                let mut statement = conn
                    .prepare_cached(select_redemptions!("WHERE code_lookup = ? AND id >= ?"))
                    .map_err(sql)?;
                let arguments = params![marks.code, known_from];
                return statement.query_row(arguments, RedemptionRow::from_sql).optional().map_err(sql);
            }
            let mut statement = conn
                .prepare_cached(select_redemptions!(
                    "WHERE (code_lookup = ?1 OR idempotency_lookup = ?2) AND id >= ?3 \
                     ORDER BY idempotency_lookup IS ?2 DESC LIMIT 1"
                ))
                .map_err(sql)?;
            let arguments = params![marks.code, marks.idempotency_key, known_from];
            statement.query_row(arguments, RedemptionRow::from_sql).optional().map_err(sql)
        })?;
        let Some(mut row) = found.transpose()? else { return Ok(None) };
        row.verify(keys)?;
        if now.since(Timestamp::from_unix(row.answered_at)) >= ANSWER_LIFETIME {
            row.answer = None;
        }
        Ok(Some(Redemption {
            same_code: row.marks.code == marks.code,
            same_key: row.marks.idempotency_key.is_some()
                && row.marks.idempotency_key == marks.idempotency_key,
            same_request: row.marks.request == marks.request,
            user: row.user.map(UserId),
            answer: row.open_answer(keys)?,
        }))
    }

    /// Remembers Google's final refusal of a code.
    ///
    /// # Errors
    /// When the vault cannot be written.
    pub async fn save_redemption(&self, new: NewRedemption) -> Result<(), VaultError> {
        let records = self.0.records.clone();
        self.write(move |conn| records.write_redemption(conn, new, None)).await
    }

    /// Erases answers older than ten minutes and codes older than an hour.
    ///
    /// # Errors
    /// When the vault cannot be written.
    pub async fn purge_redemptions(&self) -> Result<(), VaultError> {
        let now = self.0.records.clock.now().unix();
        self.0
            .writer
            .erase(move |conn| {
                conn.execute(
                    "UPDATE redemptions SET answer = NULL WHERE answer IS NOT NULL AND id < ?",
                    [first_id_at(now - ANSWER_LIFETIME + 1)],
                )
                .map_err(sql)?;
                let forgotten = first_id_at(now - CODE_LIFETIME + 1);
                conn.execute("DELETE FROM redemptions WHERE id < ?", [forgotten]).map_err(sql)?;
                Ok(())
            })
            .await
    }

    /// Checks every redemption of a file and opens its answer.
    pub(super) fn verify_redemptions(conn: &Connection, keys: &Keyring) -> Result<(), VaultError> {
        let mut statement = conn.prepare(select_redemptions!("")).map_err(sql)?;
        let mut rows = statement.query([]).map_err(sql)?;
        while let Some(row) = rows.next().map_err(sql)? {
            let row = RedemptionRow::from_sql(row).map_err(sql)??;
            row.verify(keys)?;
            row.open_answer(keys)?;
        }
        Ok(())
    }
}
