//! Which codes are being redeemed right now.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::{Exchanged, SignInError};
use crate::vault::CodeMarks;

pub(super) type Outcome = Result<Exchanged, SignInError>;

/// The exchanges under way. A few dozen at most, so a list is searched faster than two maps are kept.
#[derive(Debug, Default)]
pub(super) struct Claims(Arc<Mutex<Vec<Claimed>>>);

#[derive(Debug)]
struct Claimed {
    marks: CodeMarks,
    outcome: watch::Receiver<Option<Outcome>>,
}

/// What a request finds.
pub(super) enum Claim {
    /// The code is this request's, until the claim is dropped.
    Mine(Held),
    /// The same request with the same idempotency key is under way; its outcome is this one's too.
    Same(First),
    /// Another request is redeeming this code.
    TakenCode,
    /// Another request is under way with this idempotency key.
    TakenKey,
}

/// Ends the claim when dropped, however the exchange ends.
pub(super) struct Held {
    marks: CodeMarks,
    table: Arc<Mutex<Vec<Claimed>>>,
    outcome: watch::Sender<Option<Outcome>>,
}

impl Held {
    /// Tells everybody who waits how it ended.
    pub(super) fn settle(self, outcome: Outcome) {
        self.outcome.send_replace(Some(outcome));
    }
}

/// The request that came first.
pub(super) struct First(watch::Receiver<Option<Outcome>>);

impl First {
    /// How it ended. An outage is everybody's: if each of those who wait tried again on its own, one
    /// code would go to Google again and again.
    pub(super) async fn outcome(mut self) -> Outcome {
        match self.0.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().unwrap_or(Err(SignInError::Interrupted)),
            Err(_) => Err(SignInError::Interrupted),
        }
    }
}

impl Claims {
    pub(super) fn claim(&self, marks: &CodeMarks) -> Claim {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same_key = |other: &CodeMarks| {
            marks.idempotency_key.is_some() && marks.idempotency_key == other.idempotency_key
        };
        for claimed in &*table {
            match (same_key(&claimed.marks), claimed.marks.code == marks.code) {
                (true, _) if claimed.marks.request == marks.request => {
                    return Claim::Same(First(claimed.outcome.clone()));
                }
                (true, _) => return Claim::TakenKey,
                (false, true) => return Claim::TakenCode,
                (false, false) => {}
            }
        }
        let (sender, outcome) = watch::channel(None);
        table.push(Claimed { marks: *marks, outcome });
        Claim::Mine(Held { marks: *marks, table: self.0.clone(), outcome: sender })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.retain(|claimed| claimed.marks != self.marks);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(code: u8, key: Option<u8>, request: u8) -> CodeMarks {
        CodeMarks { code: [code; 32], idempotency_key: key.map(|k| [k; 32]), request: [request; 32] }
    }

    #[tokio::test]
    async fn an_exchange_that_dies_leaves_nobody_waiting() {
        let claims = Claims::default();
        let Claim::Mine(held) = claims.claim(&marks(1, Some(1), 1)) else { panic!("free") };
        let Claim::Same(first) = claims.claim(&marks(1, Some(1), 1)) else { panic!("under way") };
        drop(held);
        assert_eq!(first.outcome().await.expect_err("no outcome"), SignInError::Interrupted);
    }

    #[test]
    fn a_code_has_one_holder_and_its_retries_wait() {
        let claims = Claims::default();
        let Claim::Mine(held) = claims.claim(&marks(1, Some(1), 1)) else { panic!("free") };
        assert!(matches!(claims.claim(&marks(1, Some(1), 1)), Claim::Same(_)));
        assert!(matches!(claims.claim(&marks(1, None, 1)), Claim::TakenCode));
        assert!(matches!(claims.claim(&marks(1, Some(2), 1)), Claim::TakenCode));
        assert!(matches!(claims.claim(&marks(2, Some(1), 2)), Claim::TakenKey));
        assert!(matches!(claims.claim(&marks(2, None, 2)), Claim::Mine(_)));
        drop(held);
        assert!(matches!(claims.claim(&marks(1, None, 1)), Claim::Mine(_)));
    }
}
