//! Logs: what is said, to whom, in which form.
//!
//! Logs go to standard error. Nothing secret and nothing personal is ever given to a log: users are
//! named by their row id, clients and keys by the names and ids the owner gave them. A failure is
//! logged once, at the boundary that turns it into an answer, with the request's id.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

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
    /// A level (`info`) or tracing directives (`info,locum::tokens=debug`).
    pub filter: String,
    /// Whether lines carry the time; the systemd journal adds its own.
    pub timestamps: bool,
    /// Whether standard error is a terminal that wants colour.
    pub colour: bool,
}

/// The filter text is not one.
#[derive(Debug, thiserror::Error)]
#[error(
    "the log filter is not a level or a list of tracing directives (try \"info\" or \"info,locum=debug\")"
)]
pub struct InvalidFilter;

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
    let filter: EnvFilter = settings.filter.parse().map_err(|_| InvalidFilter)?;
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(settings.colour);
    let outcome = match (settings.format, settings.timestamps) {
        (LogFormat::Human, true) => builder.try_init(),
        (LogFormat::Human, false) => builder.without_time().try_init(),
        (LogFormat::Json, true) => builder.json().flatten_event(true).try_init(),
        (LogFormat::Json, false) => builder.json().flatten_event(true).without_time().try_init(),
    };
    if outcome.is_err() {
        tracing::debug!("a log subscriber is already set; keeping it");
    }
    Ok(())
}
