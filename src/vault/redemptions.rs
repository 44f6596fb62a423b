//! Codes that were redeemed, and the answers that a lost one can be given again.
//!
//! A code is known by its keyed hash for an hour, its answer (sealed) for ten minutes.

use std::fmt;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::keyring::Lookup;
use super::seal::{Place, Sealed};
use super::{Vault, VaultError, sql};
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
    /// The answer, in the caller's own form.
    pub answer: Vec<u8>,
}

impl fmt::Debug for NewRedemption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewRedemption(…)")
    }
}

/// What is known of a code or an idempotency key.
#[derive(Debug)]
pub struct Redemption {
    /// Whether the code of the asking request is this row's.
    pub same_code: bool,
    /// Whether the idempotency key is this row's; two absent keys are not the same.
    pub same_key: bool,
    /// Whether the whole request is this row's.
    pub same_request: bool,
    /// The remembered answer, while it is kept.
    pub answer: Option<zeroize::Zeroizing<Vec<u8>>>,
}

type WriteRedemption = Box<dyn FnOnce(&Connection) -> Result<(), VaultError> + Send>;

impl Vault {
    /// The keyed hashes of an exchange request.
    pub fn code_marks(&self, code: &str, idempotency_key: Option<&str>, request: &[&[u8]]) -> CodeMarks {
        let keys = &self.0.keys;
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
        let now = self.0.clock.now();
        type Found = (i64, [u8; 32], Option<[u8; 32]>, [u8; 32], Option<Vec<u8>>, i64);
        let found: Option<Found> = self.read(|conn| {
            conn.prepare_cached(
                "SELECT id, code_lookup, idempotency_lookup, request, answer, answered_at FROM redemptions \
                 WHERE (code_lookup = ?1 OR idempotency_lookup = ?2) AND answered_at > ?3 \
                 ORDER BY idempotency_lookup IS ?2 DESC LIMIT 1",
            )
            .and_then(|mut statement| {
                statement
                    .query_row(
                        params![marks.code, marks.idempotency_key, now.plus(-CODE_LIFETIME).unix()],
                        |row| {
                            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
                        },
                    )
                    .optional()
            })
            .map_err(sql)
        })?;
        let Some((id, code, key, request, answer, answered_at)) = found else { return Ok(None) };
        let answer = answer
            .filter(|_| now.since(Timestamp::from_unix(answered_at)) <= ANSWER_LIFETIME)
            .map(|sealed| {
                self.0.keys.open_sealed(Place { table: TABLE, column: ANSWER, row: id }, &Sealed(sealed))
            })
            .transpose()?;
        Ok(Some(Redemption {
            same_code: code == marks.code,
            same_key: key.is_some() && key == marks.idempotency_key,
            same_request: request == marks.request,
            answer,
        }))
    }

    /// The job that writes a redemption beside whatever else its transaction holds.
    pub(super) fn prepare_redemption(&self, new: NewRedemption, user: Option<UserId>) -> WriteRedemption {
        let id = self.0.rng.row_id();
        let answer = self.0.keys.seal(Place { table: TABLE, column: ANSWER, row: id }, &new.answer);
        let (marks, now) = (new.marks, self.0.clock.now().unix());
        Box::new(move |conn| {
            // A code Google gave out again after the hour, or a key used again after it, may find an old row.
            conn.prepare_cached(
                "DELETE FROM redemptions WHERE (code_lookup = ?1 OR idempotency_lookup = ?2) AND answered_at <= ?3",
            )
            .and_then(|mut s| s.execute(params![marks.code, marks.idempotency_key, now - CODE_LIFETIME]))
            .map_err(sql)?;
            conn.prepare_cached(
                "INSERT INTO redemptions \
                 (id, code_lookup, idempotency_lookup, request, user_id, answer, answered_at) \
                 VALUES (?, ?, ?, ?, ?, ?, ?)",
            )
            .and_then(|mut s| {
                s.execute(params![
                    id,
                    marks.code,
                    marks.idempotency_key,
                    marks.request,
                    user.map(|user| user.0),
                    answer.0,
                    now
                ])
            })
            .map(drop)
            .map_err(sql)
        })
    }

    /// Remembers Google's final refusal of a code.
    ///
    /// # Errors
    /// When the vault cannot be written.
    pub async fn save_redemption(&self, new: NewRedemption) -> Result<(), VaultError> {
        let write = self.prepare_redemption(new, None);
        self.write(write).await
    }

    /// Erases answers older than ten minutes and codes older than an hour.
    ///
    /// # Errors
    /// When the vault cannot be written.
    pub async fn purge_redemptions(&self) -> Result<(), VaultError> {
        let now = self.0.clock.now().unix();
        let purged = self
            .write(move |conn| {
                let answers = conn
                    .execute(
                        "UPDATE redemptions SET answer = NULL WHERE answer IS NOT NULL AND answered_at <= ?",
                        [now - ANSWER_LIFETIME],
                    )
                    .map_err(sql)?;
                let codes = conn
                    .execute("DELETE FROM redemptions WHERE answered_at <= ?", [now - CODE_LIFETIME])
                    .map_err(sql)?;
                Ok(answers + codes)
            })
            .await?;
        if purged > 0 {
            self.0.writer.want_checkpoint();
        }
        Ok(())
    }
}
