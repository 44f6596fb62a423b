//! What is wrong with a configuration, in words that say where and what to write instead.
//!
//! No message holds a value that somebody wrote: it could be a secret that slipped into the wrong key.

use std::fmt;
use std::path::{Path, PathBuf};

use super::secret_source::SecretProblem;

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In this file.
    File(PathBuf),
    /// In this environment variable.
    Variable(String),
    /// Nowhere: the default.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Default => f.write_str(super::Shown::DEFAULT),
        }
    }
}

/// One thing to mend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where it was written, or where it should be.
    pub origin: Origin,
    /// The key's path, such as `server.listen` or `clients[main].sources`.
    pub key: String,
    /// What is expected there.
    pub problem: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::File(path) => write!(f, "{}: {}: {}", path.display(), self.key, self.problem),
            Origin::Variable(name) => write!(f, "{name} ({}): {}", self.key, self.problem),
            Origin::Default => write!(f, "configuration: {}: {}", self.key, self.problem),
        }
    }
}

/// Why there is no configuration to work with.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is no file and no variable: the reader is new here.
    #[error(
        "nothing is configured yet.\n  \
         `locum demo` shows everything on this machine, without a Google project.\n  \
         `locum init` sets up a real one; then `locum serve` runs it."
    )]
    NothingConfigured,
    /// The file cannot be read.
    #[error("{}: {}", path.display(), reading(path, *kind))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        kind: std::io::ErrorKind,
    },
    /// The file is not TOML, so nothing in it could be understood.
    #[error("{}:{line}:{column}: not valid TOML here{}", path.display(), because(problem))]
    NotToml {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column in characters, from 1.
        column: usize,
        /// What the parser expected, in its own fixed words.
        problem: String,
    },
    /// Every mistake that was found.
    #[error("{}", lines(.0))]
    Mistakes(Vec<Mistake>),
    /// The root key cannot be had from where the configuration says.
    #[error("{key}: {problem}")]
    RootKey {
        /// The key that says where.
        key: String,
        /// What is wrong there.
        problem: SecretProblem,
    },
}

fn reading(path: &Path, kind: std::io::ErrorKind) -> String {
    match kind {
        std::io::ErrorKind::NotFound => "no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => format!(
            "locum may not read this file; run the command as its owner, or see `ls -l {}`",
            path.display()
        ),
        std::io::ErrorKind::InvalidData => "not UTF-8 text".to_owned(),
        std::io::ErrorKind::IsADirectory => "a directory, not a file".to_owned(),
        other => format!("cannot be read: {other}"),
    }
}

fn because(problem: &str) -> String {
    if problem.is_empty() { String::new() } else { format!(" ({problem})") }
}

fn lines(mistakes: &[Mistake]) -> String {
    match mistakes {
        [only] => only.to_string(),
        many => {
            let lines: String = many.iter().map(|mistake| format!("\n  {mistake}")).collect();
            format!("{} mistakes in the configuration:{lines}", many.len())
        }
    }
}
