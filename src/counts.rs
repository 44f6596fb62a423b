//! How often things happened, by the hour in UTC: what the dashboard's charts show.
//!
//! [`crate::metrics`] counts in memory; a step adds what has come since the last one to the vault, and so
//! does a graceful stop. A crash loses a minute of it. No person is in any of it.

use std::sync::Arc;

use serde::Serialize;
use tokio::sync::Mutex;

use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::metrics::{Metrics, Tally};
use crate::vault::{HourCount, Vault, VaultError};

const HOUR: i64 = 3_600;

/// What a chart covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// The last 24 hours, by the hour.
    Day,
    /// The last 30 days, by the day.
    Month,
}

impl Span {
    /// The stable name.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// Reads a name.
    pub fn from_code(code: &str) -> Option<Self> {
        [Self::Day, Self::Month].into_iter().find(|span| span.code() == code)
    }

    /// Hours in one entry, and how many entries there are.
    const fn shape(self) -> (i64, usize) {
        match self {
            Self::Day => (1, 24),
            Self::Month => (24, 30),
        }
    }
}

/// The numbers of a chart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Chart {
    /// What it covers.
    pub span: &'static str,
    /// Seconds in one entry.
    pub step: i64,
    /// When the first entry begins; the last one is running.
    pub from: Timestamp,
    /// The numbers, by what was counted.
    pub series: Series,
}

/// A list of numbers for each of [`Tally`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series(Vec<(Tally, Vec<u64>)>);

impl Serialize for Series {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(tally, numbers)| (tally.code(), numbers)))
    }
}

/// The counts. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Counts(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Arc<Config>,
    vault: Vault,
    clock: Clock,
    metrics: Metrics,
    /// What of each tally is in the vault already. Held while more is written.
    written: Mutex<[u64; Tally::ALL.len()]>,
}

impl Counts {
    /// Nothing is written yet.
    pub fn new(config: Arc<Config>, vault: Vault, clock: Clock, metrics: Metrics) -> Self {
        Self(Arc::new(Inner { config, vault, clock, metrics, written: Mutex::default() }))
    }

    /// Adds what was counted since the last time to the running hour. A job's step.
    ///
    /// # Errors
    /// When the vault cannot be written; nothing is lost by it.
    pub async fn step(&self) -> Result<(), VaultError> {
        let inner = &self.0;
        let mut written = inner.written.lock().await;
        let seen = Tally::ALL.map(|tally| inner.metrics.tallied(tally));
        let hour = inner.clock.now().unix().div_euclid(HOUR);
        let more: Vec<_> = Tally::ALL
            .iter()
            .zip(seen.iter().zip(written.iter()))
            .filter(|(_, (seen, written))| seen > written)
            .map(|(tally, (seen, written))| HourCount { hour, what: tally.code().into(), n: seen - written })
            .collect();
        if !more.is_empty() {
            inner.vault.add_counts(more).await?;
            *written = seen;
        }
        Ok(())
    }

    /// Forgets what is older than `events.retention`. A job's step.
    ///
    /// # Errors
    /// When the vault cannot be written.
    pub async fn purge_step(&self) -> Result<(), VaultError> {
        let oldest = self.0.clock.now() - self.0.config.events.retention;
        self.0.vault.purge_counts(oldest.unix().div_euclid(HOUR)).await
    }

    /// The numbers of a chart that ends now, what is not written yet among them.
    ///
    /// # Errors
    /// When the vault cannot be read or written.
    pub async fn chart(&self, span: Span) -> Result<Chart, VaultError> {
        self.step().await?;
        let (hours, entries) = span.shape();
        let running = self.0.clock.now().unix().div_euclid(HOUR * hours);
        let first = running - i64::try_from(entries).unwrap_or(i64::MAX) + 1;
        let mut series = Tally::ALL.map(|tally| (tally, vec![0_u64; entries]));
        for count in self.0.vault.load_counts(first * hours, (running + 1) * hours - 1).await? {
            let count = match count {
                Ok(count) => count,
                Err(error) => {
                    tracing::error!(alarm = "count_damaged", %error, "a count is left out of the charts");
                    continue;
                }
            };
            let place = usize::try_from(count.hour.div_euclid(hours) - first).ok();
            let numbers = series.iter_mut().find(|(tally, _)| tally.code() == count.what);
            // What another version counts is no part of this one's charts.
            if let Some(number) = numbers.zip(place).and_then(|((_, numbers), place)| numbers.get_mut(place))
            {
                *number = number.saturating_add(count.n);
            }
        }
        Ok(Chart {
            span: span.code(),
            step: hours * HOUR,
            from: Timestamp::from_unix(first * hours * HOUR),
            series: Series(series.into()),
        })
    }
}
