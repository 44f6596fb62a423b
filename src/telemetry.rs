//! Logs: what is said, to whom, in which form.
//!
//! Logs go to standard error. Nothing secret and nothing personal is ever given to a log: users are
//! named by their row id, clients and keys by the names and ids the owner gave them. A failure is
//! logged once, at the boundary that turns it into an answer, with the request's id.

use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, registry};

/// The form of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people: one readable line.
    #[default]
    Human,
    /// One JSON object a line, for collectors.
    Json,
}

/// What `init` needs to know.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// The form of a line.
    pub format: LogFormat,
    /// A level (`info`), or levels by module (`info,locum::tokens=debug`).
    pub filter: String,
    /// Whether lines carry the time; the systemd journal adds its own.
    pub timestamps: bool,
    /// Whether standard error is a terminal that wants colour.
    pub colour: bool,
}

/// The filter text is not one.
#[derive(Debug, thiserror::Error)]
#[error("the log filter is not a level or a list of levels by module (try \"info\" or \"info,locum=debug\")")]
pub struct InvalidFilter;

/// Whether a text can be the filter of [`LogSettings`].
pub fn is_filter(text: &str) -> bool {
    text.parse::<Targets>().is_ok()
}

/// Sends logs to standard error from now on. Does nothing when a subscriber is already set, as in
/// tests that start several servers in one process.
///
/// # Errors
/// [`InvalidFilter`] when the filter cannot be parsed.
pub fn init(settings: &LogSettings) -> Result<(), InvalidFilter> {
    init_with_writer(settings, std::io::stderr)
}

/// As [`init`], to another writer: tests search what was written for secrets.
///
/// # Errors
/// [`InvalidFilter`] when the filter cannot be parsed.
pub fn init_with_writer<W>(settings: &LogSettings, writer: W) -> Result<(), InvalidFilter>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter: Targets = settings.filter.parse().map_err(|_| InvalidFilter)?;
    let lines = fmt::layer().with_writer(writer).with_ansi(settings.colour);
    let lines = match (settings.format, settings.timestamps) {
        (LogFormat::Human, true) => lines.boxed(),
        (LogFormat::Human, false) => lines.without_time().boxed(),
        (LogFormat::Json, true) => lines.json().flatten_event(true).boxed(),
        (LogFormat::Json, false) => lines.json().flatten_event(true).without_time().boxed(),
    };
    if registry().with(lines).with(filter).try_init().is_err() {
        tracing::debug!("a log subscriber is already set; keeping it");
    }
    Ok(())
}
