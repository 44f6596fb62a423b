//! One-time login links, in memory: a restart ends them, and no file or backup has ever held one. Only
//! hashes are kept, so a picture of the memory opens nothing.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::clock::Timestamp;
use crate::secret::SecretText;

/// Seconds a link is good for.
pub const LINK_LIFETIME: i64 = 600;
/// How many are kept; the oldest goes first. Only the owner makes them.
const MOST_LINKS: usize = 20;

type Hash = [u8; 32];

/// The links that wait to be followed, the oldest first.
#[derive(Default)]
pub(super) struct Links(Mutex<Vec<(Hash, Timestamp)>>);

/// A link's secret is 32 random bytes: its hash can neither be guessed nor be reversed.
fn hash(secret: &SecretText) -> Hash {
    let digest = ring::digest::digest(&ring::digest::SHA256, secret.expose().as_bytes());
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

impl Links {
    fn table(&self) -> MutexGuard<'_, Vec<(Hash, Timestamp)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a new link and says when it ends.
    pub(super) fn put(&self, secret: &SecretText, now: Timestamp) -> Timestamp {
        let expires_at = now.plus(LINK_LIFETIME);
        let mut table = self.table();
        table.retain(|(_, end)| now < *end);
        if table.len() >= MOST_LINKS {
            table.remove(0);
        }
        table.push((hash(secret), expires_at));
        expires_at
    }

    /// A link whose use came to nothing.
    pub(super) fn put_back(&self, secret: &SecretText, expires_at: Timestamp) {
        self.table().push((hash(secret), expires_at));
    }

    pub(super) fn is_good(&self, secret: &SecretText, now: Timestamp) -> bool {
        let hash = hash(secret);
        self.table().iter().any(|(own, end)| *own == hash && now < *end)
    }

    /// Uses a link up and says when it would have ended: of two that come at once, one gets it.
    pub(super) fn take(&self, secret: &SecretText, now: Timestamp) -> Option<Timestamp> {
        let hash = hash(secret);
        let mut table = self.table();
        let place = table.iter().position(|(own, _)| *own == hash)?;
        let (_, end) = table.remove(place);
        (now < end).then_some(end)
    }

    pub(super) fn clear(&self) {
        self.table().clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(n: usize) -> SecretText {
        SecretText::new(format!("link {n}"))
    }

    #[test]
    fn a_link_works_once_and_for_its_time() {
        let (links, start) = (Links::default(), Timestamp::from_unix(1_000));
        let end = links.put(&secret(1), start);
        links.put(&secret(2), start);
        assert_eq!(end, start.plus(LINK_LIFETIME));
        assert!(links.is_good(&secret(1), start) && links.is_good(&secret(1), end.plus(-1)));
        assert!(!links.is_good(&secret(3), start));
        assert_eq!(links.take(&secret(1), start), Some(end));
        assert_eq!(links.take(&secret(1), start), None);
        assert!(!links.is_good(&secret(2), end));
        assert_eq!(links.take(&secret(2), end), None);
        links.put_back(&secret(1), end);
        assert!(links.is_good(&secret(1), start));
        links.clear();
        assert!(!links.is_good(&secret(1), start));
    }

    #[test]
    fn the_oldest_makes_room() {
        let (links, start) = (Links::default(), Timestamp::from_unix(1_000));
        for n in 0..=MOST_LINKS {
            links.put(&secret(n), start);
        }
        let good = (0..=MOST_LINKS).filter(|n| links.is_good(&secret(*n), start)).count();
        assert_eq!((good, links.is_good(&secret(0), start)), (MOST_LINKS, false));
    }
}
