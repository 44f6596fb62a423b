//! The only module that draws randomness.
//!
//! [`Rng::system`] draws from the operating system through ring. [`Rng::seeded`] is for tests and
//! the emulator: the same seed gives the same bytes in the same order, so a failure can be
//! repeated. A seeded generator must never make a key that protects anybody.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom as _, SystemRandom};

/// Where random bytes come from. Cheap to clone; clones of a seeded generator share its position.
#[derive(Clone)]
pub struct Rng(Form);

#[derive(Clone)]
enum Form {
    System(SystemRandom),
    Seeded { key: ring::hmac::Key, position: Arc<AtomicU64> },
}

impl Rng {
    /// The operating system's generator.
    pub fn system() -> Self {
        Self(Form::System(SystemRandom::new()))
    }

    /// A repeatable generator for tests and the emulator: HMAC-SHA-256 of a counter under the seed.
    pub fn seeded(seed: u64) -> Self {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &seed.to_be_bytes());
        Self(Form::Seeded { key, position: Arc::new(AtomicU64::new(0)) })
    }

    /// Fills `buffer` with random bytes.
    ///
    /// # Panics
    /// When the operating system has no randomness to give. Nothing here can go on without it,
    /// and a weaker source must not be taken instead.
    pub fn fill(&self, buffer: &mut [u8]) {
        match &self.0 {
            Form::System(random) => {
                random.fill(buffer).expect("the operating system's random generator failed");
            }
            Form::Seeded { key, position } => {
                for chunk in buffer.chunks_mut(32) {
                    let block = position.fetch_add(1, Ordering::SeqCst);
                    let bytes = ring::hmac::sign(key, &block.to_be_bytes());
                    chunk.copy_from_slice(&bytes.as_ref()[..chunk.len()]);
                }
            }
        }
    }

    /// `N` random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// `n` random bytes as unpadded base64url text.
    pub fn token(&self, n: usize) -> String {
        let mut bytes = zeroize::Zeroizing::new(vec![0; n]);
        self.fill(&mut bytes);
        URL_SAFE_NO_PAD.encode(&*bytes)
    }

    /// A random positive row id (63 bits, never 0).
    pub fn row_id(&self) -> i64 {
        i64::from_be_bytes(self.bytes()) & i64::MAX | 1
    }

    /// A number in `0..bound`, close enough to even for jitter; 0 when `bound` is 0.
    pub fn below(&self, bound: u64) -> u64 {
        u64::from_be_bytes(self.bytes()).checked_rem(bound).unwrap_or(0)
    }

    /// A random duration in `0..limit`, to spread retries and jobs.
    pub fn jitter(&self, limit: Duration) -> Duration {
        Duration::from_millis(self.below(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX)))
    }
}

impl fmt::Debug for Rng {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Form::System(_) => "Rng(system)",
            Form::Seeded { .. } => "Rng(seeded)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_itself_and_another_differs() {
        let (a, b, c) = (Rng::seeded(7), Rng::seeded(7), Rng::seeded(8));
        assert_eq!(a.bytes::<40>(), b.bytes::<40>());
        assert_ne!(a.bytes::<32>(), c.bytes::<32>());
        assert!(a.row_id() > 0);
        assert!(a.below(10) < 10);
        assert_eq!(a.below(0), 0);
    }
}
