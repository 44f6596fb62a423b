//! The process environment, read once. Nothing else in locum reads a variable.
//!
//! Every variable whose name begins with `LOCUM_` may hold a secret, so [`Environment::capture_and_clear_secrets`]
//! takes them all out of the process: children and libraries never see them. The kernel's own copy of
//! the initial environment (`/proc/PID/environ`) cannot be wiped from here: on Linux `main` closes it to
//! everybody but root, elsewhere the same user may read it. So a variable is the weakest place for a root key.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy as _;

/// The variables, the working directory and the places where a configuration file is looked for.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    not_text: Vec<String>,
    directory: PathBuf,
    places: Vec<PathBuf>,
}

/// Prints names only: values may be secrets.
impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Environment").field(&self.variables.keys()).finish()
    }
}

/// What every name of ours begins with.
pub(super) const PREFIX: &str = "LOCUM_";

impl Environment {
    /// The environment of this process.
    pub fn capture() -> Self {
        let mut captured = Self { directory: std::env::current_dir().unwrap_or_default(), ..Self::default() };
        for (name, value) in std::env::vars_os() {
            match (name.into_string(), value.into_string()) {
                (Ok(name), Ok(value)) => {
                    captured.variables.insert(name, value);
                }
                (Ok(name), Err(_)) => captured.not_text.push(name),
                (Err(_), _) => {}
            }
        }
        captured.places.push("locum.toml".into());
        if let Ok(xdg) = etcetera::base_strategy::Xdg::new() {
            captured.places.push(xdg.config_dir().join("locum/config.toml"));
        }
        captured.places.push("/etc/locum/config.toml".into());
        captured
    }

    /// As [`Environment::capture`], and removes every `LOCUM_` variable from the process. Call it first
    /// thing in `main`, before any thread exists.
    pub fn capture_and_clear_secrets() -> Self {
        let captured = Self::capture();
        for name in captured.variables.keys().chain(&captured.not_text) {
            if name.starts_with(PREFIX) {
                #[expect(unsafe_code, reason = "the standard library has no safe way to remove a variable")]
                // SAFETY: changing the environment is unsound only while another thread may read it.
                // `main` calls this before it has started a thread.
                unsafe {
                    std::env::remove_var(name);
                };
            }
        }
        captured
    }

    /// An environment of exactly these variables, in `directory`, that looks nowhere for a
    /// configuration file. For tests and the demo.
    pub fn given<N: Into<String>, V: Into<String>>(
        directory: impl Into<PathBuf>,
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self { variables, directory: directory.into(), ..Self::default() }
    }

    /// Looks for a configuration file in `places`, the first one that exists.
    #[must_use]
    pub fn looking_in(mut self, places: impl IntoIterator<Item = PathBuf>) -> Self {
        self.places = places.into_iter().collect();
        self
    }

    /// The value of a variable; an empty one counts as not set.
    pub fn var(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Where the process was started; relative paths in variables start here.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where short-lived files go: `$TMPDIR`, or `/tmp`.
    pub fn temporary(&self) -> &Path {
        Path::new(self.var("TMPDIR").unwrap_or("/tmp"))
    }

    /// Where a configuration file is looked for, best first.
    pub fn places(&self) -> &[PathBuf] {
        &self.places
    }

    /// Whether standard error goes to the systemd journal, which adds the time itself.
    pub fn is_journal(&self) -> bool {
        self.var("JOURNAL_STREAM").is_some()
    }

    /// Our variables that are set, by name.
    pub(super) fn ours(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables
            .iter()
            .filter(|(name, value)| name.starts_with(PREFIX) && !value.is_empty())
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Our variables whose values are not UTF-8.
    pub(super) fn ours_not_text(&self) -> impl Iterator<Item = &str> {
        self.not_text.iter().map(String::as_str).filter(|name| name.starts_with(PREFIX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_prints_names_and_no_values() {
        let environment = Environment::given("/", [("LOCUM_VAULT__ROOT_KEY", "needle")]);
        let text = format!("{environment:?}");
        assert!(text.contains("LOCUM_VAULT__ROOT_KEY") && !text.contains("needle"), "{text}");
    }

    #[test]
    fn an_empty_variable_is_not_set() {
        let environment = Environment::given("/", [("LOCUM_CONFIG", "")]);
        assert_eq!(environment.var("LOCUM_CONFIG"), None);
        assert_eq!(environment.ours().count(), 0);
    }
}
