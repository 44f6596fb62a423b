//! What locum counts, and the Prometheus text it becomes.
//!
//! Every metric's name, kind and words stand here. Each locum has a recorder of its own and no global
//! one, since a test process runs several. Handles are registered once; counting is an atomic addition
//! and allocates nothing. No label ever holds a person, an address or a secret, and every label has few
//! values, so that memory stays bounded.

mod tally;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder as _, Unit};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

pub use self::tally::Tally;

use crate::clock::Timestamp;
use crate::grant::GrantState;

const METADATA: Metadata<'static> = Metadata::new("locum", Level::INFO, None);

/// Upper bounds of the duration histogram in seconds: from a token out of memory to a slow Google.
const DURATION_BUCKETS: [f64; 12] =
    [0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

const REQUESTS: &str = "locum_http_requests_total";
const DURATION: &str = "locum_http_request_duration_seconds";
const GRANTS: &str = "locum_grants";
const PAUSED: &str = "locum_client_paused";

macro_rules! counted {
    ($($(#[$doc:meta])* $name:ident($metric:literal, $label:literal, $words:literal) {
        $($(#[$vdoc:meta])* $variant:ident = $value:literal),+ $(,)?
    })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            const METRIC: &'static str = $metric;
            const LABEL: &'static str = $label;
            const WORDS: &'static str = $words;
            const VALUES: &'static [&'static str] = &[$($value),+];
        }
    )+};
}

counted! {
    /// Where a handed token came from.
    TokenFrom("locum_token_reads_total", "source", "Access tokens handed out, by where they came from.") {
        /// The cache in memory.
        Memory = "memory",
        /// The vault.
        Vault = "vault",
        /// A refresh at Google.
        Google = "google",
        /// One with less life left than usual, because Google is down.
        Stale = "stale",
    }
    /// How a refresh at Google went.
    RefreshOutcome("locum_refreshes_total", "outcome", "Refreshes asked of Google, by outcome.") {
        /// A new access token.
        Refreshed = "refreshed",
        /// The grant is dead.
        Dead = "dead",
        /// The person must sign in again.
        NeedsConsent = "needs_consent",
        /// A setting at Google blocks the grant.
        Blocked = "blocked",
        /// The OAuth client is wrong.
        ClientFault = "client_fault",
        /// Google is unavailable.
        Unavailable = "unavailable",
        /// Google refused for another reason, or its answer could not be used.
        Refused = "refused",
        /// The outcome came for a refresh token that is no longer the stored one.
        Discarded = "discarded",
    }
    /// How an exchange went.
    ExchangeOutcome("locum_exchanges_total", "outcome", "Exchanges of authorization codes, by outcome.") {
        /// A grant was made or renewed, or the remembered answer was given again.
        Connected = "connected",
        /// The request or its code was refused.
        Refused = "refused",
        /// The person may not connect.
        NotAllowed = "not_allowed",
        /// The OAuth client is wrong.
        ClientFault = "client_fault",
        /// Google is unavailable.
        Unavailable = "unavailable",
        /// The vault failed.
        VaultFailed = "vault_failed",
    }
    /// What Drive's quota counts a call as.
    DriveUnits("locum_drive_units_total", "call", "Units of Drive's quota that calls have cost.") {
        /// Metadata of one file.
        Read = "read",
        /// A page of a list or of the changes.
        List = "list",
        /// Making, changing, deleting, uploading.
        Edit = "edit",
        /// Content.
        Download = "download",
        /// Anything else.
        Other = "other",
    }
    /// How a run of a mirror went.
    MirrorOutcome("locum_mirror_runs_total", "outcome", "Runs of mirrors, by outcome; dry runs apart.") {
        /// Nothing was left to do.
        Complete = "complete",
        /// Some files need their owner.
        Problems = "problems",
        /// It waits for a person to accept it.
        Held = "held",
        /// It ended early: an outage, a full disk or account, a person needed.
        Stopped = "stopped",
        /// Nothing could be compared.
        Failed = "failed",
    }
    /// What ran into a rate limit.
    Limited("locum_rate_limited_total", "by", "Requests refused by a rate limit.") {
        /// The limit for each client address.
        Address = "address",
        /// The limit for each API key.
        Key = "key",
    }
}

/// The metrics of one locum. Cheap to clone; clones count together.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    token_reads: Vec<Counter>,
    refreshes: Vec<Counter>,
    exchanges: Vec<Counter>,
    limited: Vec<Counter>,
    drive_units: Vec<Counter>,
    mirror_runs: Vec<Counter>,
    events_lost: Counter,
    /// What the charts show; the recorder's own counters cannot be read back.
    tallies: [AtomicU64; Tally::ALL.len()],
    jwks_age: Gauge,
    next_refresh_expiry: Gauge,
    api_keys_damaged: Gauge,
    vault_failed: Gauge,
    /// Gauges whose labels come and go: one that is absent the next time falls to 0.
    changing: Mutex<HashMap<Key, Gauge>>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Metrics that have counted nothing yet.
    pub fn new() -> Self {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Full(DURATION.into()), &DURATION_BUCKETS)
            .expect("the buckets are not empty")
            .build_recorder();
        recorder.describe_counter(
            REQUESTS.into(),
            None,
            "HTTP requests by route and class of the status.".into(),
        );
        recorder.describe_histogram(
            DURATION.into(),
            Some(Unit::Seconds),
            "Time from a request's head to its answer's, by route.".into(),
        );
        describe_gauge(&recorder, GRANTS, "Grants by state, cause and client, at most ten seconds old.");
        describe_gauge(&recorder, PAUSED, "1 while refreshes of the client are paused.");
        let build = gauge(&recorder, "locum_build_info", "1, with the version as a label.", || {
            vec![Label::from_static_parts("version", env!("CARGO_PKG_VERSION"))]
        });
        build.set(1.0);
        let plain = |name, words| gauge(&recorder, name, words, Vec::new);
        Self(Arc::new(Inner {
            token_reads: counters(
                &recorder,
                TokenFrom::METRIC,
                TokenFrom::LABEL,
                TokenFrom::WORDS,
                TokenFrom::VALUES,
            ),
            refreshes: counters(
                &recorder,
                RefreshOutcome::METRIC,
                RefreshOutcome::LABEL,
                RefreshOutcome::WORDS,
                RefreshOutcome::VALUES,
            ),
            exchanges: counters(
                &recorder,
                ExchangeOutcome::METRIC,
                ExchangeOutcome::LABEL,
                ExchangeOutcome::WORDS,
                ExchangeOutcome::VALUES,
            ),
            limited: counters(&recorder, Limited::METRIC, Limited::LABEL, Limited::WORDS, Limited::VALUES),
            mirror_runs: counters(
                &recorder,
                MirrorOutcome::METRIC,
                MirrorOutcome::LABEL,
                MirrorOutcome::WORDS,
                MirrorOutcome::VALUES,
            ),
            drive_units: counters(
                &recorder,
                DriveUnits::METRIC,
                DriveUnits::LABEL,
                DriveUnits::WORDS,
                DriveUnits::VALUES,
            ),
            jwks_age: plain(
                "locum_jwks_age_seconds",
                "Age of Google's signing keys in memory; NaN while there are none.",
            ),
            next_refresh_expiry: plain(
                "locum_next_refresh_token_expiry_seconds",
                "Seconds until the next refresh token with an announced end runs out; NaN if none has one.",
            ),
            api_keys_damaged: plain(
                "locum_api_keys_damaged",
                "API keys that are not in force because their row does not match its seal.",
            ),
            vault_failed: plain("locum_vault_failed", "1 once the disk has failed under a write."),
            events_lost: {
                let (name, words) =
                    ("locum_events_lost_total", "Events lost because the vault took them too slowly.");
                recorder.describe_counter(name.into(), None, words.into());
                recorder.register_counter(&Key::from_static_name(name), &METADATA)
            },
            tallies: Default::default(),
            changing: Mutex::default(),
            handle: recorder.handle(),
            recorder,
        }))
    }

    /// A token was handed out.
    pub fn token_read(&self, from: TokenFrom) {
        self.0.token_reads[from as usize].increment(1);
        self.tally(Tally::Tokens);
    }

    /// A refresh ended.
    pub fn refreshed(&self, outcome: RefreshOutcome) {
        self.0.refreshes[outcome as usize].increment(1);
        match outcome {
            RefreshOutcome::Refreshed => self.tally(Tally::Refreshes),
            // Counted once already, by what Google said.
            RefreshOutcome::Discarded => {}
            _ => self.tally(Tally::RefreshesFailed),
        }
    }

    /// An exchange ended.
    pub fn exchanged(&self, outcome: ExchangeOutcome) {
        self.0.exchanges[outcome as usize].increment(1);
        self.tally(match outcome {
            ExchangeOutcome::Connected => Tally::Exchanges,
            _ => Tally::ExchangesFailed,
        });
    }

    fn tally(&self, what: Tally) {
        self.0.tallies[what as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How often it has happened since this locum was started.
    pub fn tallied(&self, what: Tally) -> u64 {
        self.0.tallies[what as usize].load(Ordering::Relaxed)
    }

    /// An event could not be kept.
    pub fn event_lost(&self) {
        self.0.events_lost.increment(1);
    }

    /// A run of a mirror ended.
    pub fn mirrored(&self, outcome: MirrorOutcome) {
        self.0.mirror_runs[outcome as usize].increment(1);
    }

    /// A rate limit refused a request.
    pub fn limited(&self, by: Limited) {
        self.0.limited[by as usize].increment(1);
    }

    /// A call to Drive was made that costs so many units.
    pub fn drive_called(&self, call: DriveUnits, units: u32) {
        self.0.drive_units[call as usize].increment(u64::from(units));
    }

    /// The counters of one route, to be kept by the server.
    pub fn route(&self, name: &'static str) -> RouteMetrics {
        let recorder = &self.0.recorder;
        let route = Label::from_static_parts("route", name);
        let by_class = ["1xx", "2xx", "3xx", "4xx", "5xx"].map(|class| {
            let labels = vec![route.clone(), Label::from_static_parts("status", class)];
            recorder.register_counter(&Key::from_parts(REQUESTS, labels), &METADATA)
        });
        let duration = recorder.register_histogram(&Key::from_parts(DURATION, vec![route]), &METADATA);
        RouteMetrics { by_class, duration }
    }

    /// Sets what is measured only when somebody looks.
    pub fn set_now(&self, facts: &ScrapeFacts<'_>) {
        let seconds = |value: Option<i64>| value.map_or(f64::NAN, |seconds| seconds as f64);
        self.0.jwks_age.set(seconds(facts.jwks_fetched_at.map(|at| facts.now.since(at))));
        self.0.next_refresh_expiry.set(seconds(facts.next_refresh_expiry.map(|at| at.since(facts.now))));
        self.0.api_keys_damaged.set(facts.api_keys_damaged as f64);
        self.0.vault_failed.set(if facts.vault_failed { 1.0 } else { 0.0 });

        let mut values: HashMap<Key, f64> = HashMap::new();
        for (state, client, count) in facts.grants {
            let labels = vec![
                Label::from_static_parts("state", state.code()),
                Label::from_static_parts("cause", state.cause().unwrap_or("")),
                Label::new("client", (*client).to_owned()),
            ];
            *values.entry(Key::from_parts(GRANTS, labels)).or_default() += *count as f64;
        }
        for (client, paused) in facts.clients {
            let labels = vec![Label::new("client", (*client).to_owned())];
            values.insert(Key::from_parts(PAUSED, labels), if *paused { 1.0 } else { 0.0 });
        }
        let mut changing = self.0.changing.lock().unwrap_or_else(PoisonError::into_inner);
        for key in values.keys() {
            changing
                .entry(key.clone())
                .or_insert_with_key(|key| self.0.recorder.register_gauge(key, &METADATA));
        }
        for (key, gauge) in changing.iter() {
            gauge.set(values.get(key).copied().unwrap_or(0.0));
        }
    }

    /// Everything in Prometheus' text format.
    pub fn render(&self) -> String {
        self.0.handle.render()
    }

    /// Sorts the measured durations into their buckets, which frees the memory they took. A job's
    /// step: once a second keeps that memory to a few hundred kilobytes on the busiest machine.
    pub fn upkeep(&self) {
        self.0.handle.run_upkeep();
    }
}

/// What [`Metrics::set_now`] shows.
#[derive(Clone, Copy, Debug)]
pub struct ScrapeFacts<'a> {
    /// The time of looking.
    pub now: Timestamp,
    /// When Google's keys were fetched.
    pub jwks_fetched_at: Option<Timestamp>,
    /// When the next refresh token with an announced end runs out.
    pub next_refresh_expiry: Option<Timestamp>,
    /// API keys whose rows are damaged.
    pub api_keys_damaged: usize,
    /// Whether the disk has failed.
    pub vault_failed: bool,
    /// Grants by state and client.
    pub grants: &'a [(GrantState, &'a str, u64)],
    /// Each configured client, and whether it is paused.
    pub clients: &'a [(&'a str, bool)],
}

/// The counters of one route.
#[derive(Clone)]
pub struct RouteMetrics {
    by_class: [Counter; 5],
    duration: Histogram,
}

impl RouteMetrics {
    /// A request of this route was answered.
    pub fn answered(&self, status: u16, after: Duration) {
        let class = usize::from(status / 100).clamp(1, 5) - 1;
        self.by_class[class].increment(1);
        self.duration.record(after.as_secs_f64());
    }
}

impl fmt::Debug for RouteMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RouteMetrics")
    }
}

fn describe_gauge(recorder: &PrometheusRecorder, name: &'static str, words: &'static str) {
    recorder.describe_gauge(name.into(), None, words.into());
}

fn gauge(
    recorder: &PrometheusRecorder,
    name: &'static str,
    words: &'static str,
    labels: impl FnOnce() -> Vec<Label>,
) -> Gauge {
    describe_gauge(recorder, name, words);
    recorder.register_gauge(&Key::from_parts(name, labels()), &METADATA)
}

fn counters(
    recorder: &PrometheusRecorder,
    name: &'static str,
    label: &'static str,
    words: &'static str,
    values: &[&'static str],
) -> Vec<Counter> {
    recorder.describe_counter(name.into(), None, words.into());
    let labels = values.iter().map(|value| vec![Label::from_static_parts(label, value)]);
    labels.map(|labels| recorder.register_counter(&Key::from_parts(name, labels), &METADATA)).collect()
}
