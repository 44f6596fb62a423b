//! The codes that a site gets in its address and redeems from its back-end: they say who signed in.
//!
//! A code is good for a minute and once, and only together with the verifier of the challenge that the
//! site began with: whoever reads the address has nothing. Only its hash is kept, in memory like the
//! sign-in it belongs to.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq as _;

use super::super::Exchanged;
use super::WebError;
use super::recent::Recent;
use crate::clock::{Clock, Timestamp};
use crate::google::pkce;
use crate::rng::Rng;
use crate::secret::{CodeVerifier, SecretText};

/// Seconds a code is good for.
const LIFETIME: i64 = 60;
/// How many are kept; the oldest goes first. Each is a person who has just signed in.
const LIMIT: usize = 10_000;

struct Issued {
    challenge: String,
    exchanged: Exchanged,
}

/// The codes that wait for their site.
pub(super) struct Codes {
    table: Mutex<Recent<Issued>>,
    clock: Clock,
    rng: Rng,
}

impl fmt::Debug for Codes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Codes(…)")
    }
}

impl Codes {
    pub(super) fn new(clock: Clock, rng: Rng) -> Self {
        Self { table: Mutex::new(Recent::new(LIFETIME, LIMIT)), clock, rng }
    }

    fn table(&self) -> (MutexGuard<'_, Recent<Issued>>, Timestamp) {
        (self.table.lock().unwrap_or_else(PoisonError::into_inner), self.clock.now())
    }

    /// A new code for a person who has just signed in.
    pub(super) fn issue(&self, challenge: &str, exchanged: Exchanged) -> SecretText {
        let code = SecretText::new(self.rng.token(32));
        let (mut table, now) = self.table();
        table.put(&hash(code.expose()), Issued { challenge: challenge.to_owned(), exchanged }, now);
        code
    }

    /// Whose code it was. A wrong verifier spends it, too.
    pub(super) fn redeem(&self, code: &str, verifier: &CodeVerifier) -> Result<Exchanged, WebError> {
        let issued = {
            let (mut table, now) = self.table();
            table.take(&hash(code), now).ok_or(WebError::LocumCodeSpent)?
        };
        let challenge = pkce::challenge(verifier);
        if pkce::is_verifier(verifier.expose())
            && bool::from(challenge.as_bytes().ct_eq(issued.challenge.as_bytes()))
        {
            Ok(issued.exchanged)
        } else {
            Err(WebError::VerifierWrong)
        }
    }
}

fn hash(code: &str) -> String {
    URL_SAFE_NO_PAD.encode(ring::digest::digest(&ring::digest::SHA256, code.as_bytes()))
}
