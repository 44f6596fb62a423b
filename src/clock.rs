//! The only module that reads the time.
//!
//! A [`Clock`] is a concrete type with two forms: the system's clock, and a manual one that tests
//! move by hand. Everything that compares, stores or prints a time takes it from a `Clock`, so a
//! test decides what "now" is. Waiting is done with `tokio::time`, or with [`Clock::sleep`] where a
//! test with a manual clock must not wait for real (back-off between retries).

use std::fmt;
use std::ops::{Add, Sub};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A point in time in whole seconds since 1970-01-01T00:00:00Z, as JWTs and the vault keep it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The start of the Unix epoch.
    pub const EPOCH: Self = Self(0);

    /// From seconds since the Unix epoch.
    pub const fn from_unix(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Seconds since the Unix epoch.
    pub const fn unix(self) -> i64 {
        self.0
    }

    /// This time plus `seconds`, stopping at the ends of the range instead of overflowing.
    pub const fn plus(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// Seconds from `earlier` to this time; negative when `earlier` is later.
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, rhs: Duration) -> Self {
        self.plus(i64::try_from(rhs.as_secs()).unwrap_or(i64::MAX))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;
    fn sub(self, rhs: Duration) -> Self {
        self.plus(i64::try_from(rhs.as_secs()).map_or(i64::MIN, |s| -s))
    }
}

/// RFC 3339 in UTC, for example `2026-11-22T09:30:00Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_second(self.0) {
            Ok(time) => write!(f, "{time}"),
            Err(_) => write!(f, "{}s", self.0),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// RFC 3339 in UTC, the form of every time in locum's answers.
impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let time: jiff::Timestamp = text.parse().map_err(serde::de::Error::custom)?;
        Ok(Self(time.as_second()))
    }
}

/// Where the time comes from. Cheap to clone; clones of a manual clock move together.
#[derive(Clone, Debug)]
pub struct Clock(Form);

#[derive(Clone, Debug)]
enum Form {
    System,
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The machine's own clock.
    pub const fn system() -> Self {
        Self(Form::System)
    }

    /// A clock that stands at `start` until [`Clock::advance`] or [`Clock::set`] moves it.
    pub fn manual(start: Timestamp) -> Self {
        Self(Form::Manual(Arc::new(AtomicI64::new(start.0))))
    }

    /// The time now, in whole seconds.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Form::System => {
                let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Timestamp(i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX))
            }
            Form::Manual(seconds) => Timestamp(seconds.load(Ordering::SeqCst)),
        }
    }

    /// A running stopwatch for measuring how long something takes. It always runs on the
    /// machine's monotonic clock: a duration is never part of a decision that a test checks.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the monotonic clock")]
    pub fn stopwatch(&self) -> Stopwatch {
        Stopwatch(Instant::now())
    }

    /// Moves a manual clock forward.
    ///
    /// # Panics
    /// On the system clock, which nothing here may move.
    pub fn advance(&self, by: Duration) {
        match &self.0 {
            Form::System => panic!("the system clock cannot be moved"),
            Form::Manual(seconds) => {
                seconds.fetch_add(i64::try_from(by.as_secs()).unwrap_or(i64::MAX), Ordering::SeqCst);
            }
        }
    }

    /// Puts a manual clock at `time`, backwards too.
    ///
    /// # Panics
    /// On the system clock, which nothing here may move.
    pub fn set(&self, time: Timestamp) {
        match &self.0 {
            Form::System => panic!("the system clock cannot be moved"),
            Form::Manual(seconds) => seconds.store(time.0, Ordering::SeqCst),
        }
    }

    /// Waits for `duration` on the system clock. On a manual clock it only yields, so that a
    /// retry's back-off costs a test no time.
    pub async fn sleep(&self, duration: Duration) {
        match &self.0 {
            Form::System => tokio::time::sleep(duration).await,
            Form::Manual(_) => tokio::task::yield_now().await,
        }
    }
}

/// A running measurement, from [`Clock::stopwatch`].
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Time since the stopwatch was started.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_of_a_manual_clock_move_together() {
        let clock = Clock::manual(Timestamp::from_unix(1_795_368_972));
        let other = clock.clone();
        other.advance(Duration::from_secs(60));
        assert_eq!(clock.now().unix(), 1_795_369_032);
        assert_eq!(clock.now().to_string(), "2026-11-22T17:37:12Z");
    }

    #[test]
    fn timestamps_survive_json() {
        let time = Timestamp::from_unix(1_795_368_972);
        let json = serde_json::to_string(&time).expect("a string");
        assert_eq!(serde_json::from_str::<Timestamp>(&json).expect("RFC 3339"), time);
    }
}
