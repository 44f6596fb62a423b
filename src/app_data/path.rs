//! Where a file is in a person's app data: `notes/2026/a.txt`, parsed at the door.

use std::fmt;
use std::str::FromStr;

/// One name of a path: a file's or a folder's.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppDataName(Box<str>);

/// The way to a file: names with `/` between them. Names differ if their bytes differ; nothing is folded or
/// normalised, as Drive does neither. `Debug` shows its depth only: names are personal.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct AppDataPath(Vec<AppDataName>);

/// The most bytes of a path.
pub const MAX_PATH: usize = 1024;
/// The most bytes of a name.
pub const MAX_NAME: usize = 255;
/// The most names of a path.
pub const MAX_DEPTH: usize = 32;

/// Which rule a path breaks. Never repeats the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPath {
    /// There is no name at all.
    #[error("the path is empty")]
    Empty,
    /// Two slashes in a row, or one at the start or end.
    #[error(
        "a name in the path is empty: write a/b, without a slash at the start, the end or twice in a row"
    )]
    EmptyName,
    /// `.` or `..`.
    #[error("a name in the path is . or ..")]
    Dots,
    /// NUL, a line break, another control character.
    #[error("a name in the path has a control character")]
    Control,
    /// A name within which there is a slash; of single names only.
    #[error("the name has a slash")]
    Slash,
    /// More than [`MAX_NAME`] bytes.
    #[error("a name in the path is longer than 255 bytes of UTF-8")]
    LongName,
    /// More than [`MAX_PATH`] bytes.
    #[error("the path is longer than 1024 bytes of UTF-8")]
    Long,
    /// More than [`MAX_DEPTH`] names.
    #[error("the path has more than 32 names")]
    Deep,
}

impl FromStr for AppDataName {
    type Err = InvalidPath;

    fn from_str(text: &str) -> Result<Self, InvalidPath> {
        match text {
            "" => Err(InvalidPath::EmptyName),
            "." | ".." => Err(InvalidPath::Dots),
            _ if text.len() > MAX_NAME => Err(InvalidPath::LongName),
            _ if text.contains('/') => Err(InvalidPath::Slash),
            _ if text.chars().any(char::is_control) => Err(InvalidPath::Control),
            _ => Ok(Self(text.into())),
        }
    }
}

impl AppDataName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for AppDataName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AppDataName(…)")
    }
}

impl FromStr for AppDataPath {
    type Err = InvalidPath;

    fn from_str(text: &str) -> Result<Self, InvalidPath> {
        if text.is_empty() {
            return Err(InvalidPath::Empty);
        }
        if text.len() > MAX_PATH {
            return Err(InvalidPath::Long);
        }
        if text.split('/').count() > MAX_DEPTH {
            return Err(InvalidPath::Deep);
        }
        text.split('/').map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for AppDataPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, name) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str("/")?;
            }
            f.write_str(name.as_str())?;
        }
        Ok(())
    }
}

impl fmt::Debug for AppDataPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AppDataPath({} names)", self.0.len())
    }
}

impl AppDataPath {
    /// All names, the file's own last.
    pub fn names(&self) -> &[AppDataName] {
        &self.0
    }

    /// The folders on the way.
    pub fn folders(&self) -> &[AppDataName] {
        &self.0[..self.0.len() - 1]
    }

    /// The file's own name.
    pub fn name(&self) -> &AppDataName {
        self.0.last().expect("a path has at least one name: an empty text is none")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_rule_is_named() {
        let deep = vec!["a"; MAX_DEPTH + 1].join("/");
        let long = vec!["a".repeat(200); 6].join("/");
        for (text, rule) in [
            ("", InvalidPath::Empty),
            ("/a", InvalidPath::EmptyName),
            ("a/", InvalidPath::EmptyName),
            ("a//b", InvalidPath::EmptyName),
            ("..", InvalidPath::Dots),
            ("a/./b", InvalidPath::Dots),
            ("a/../b", InvalidPath::Dots),
            ("a\0b", InvalidPath::Control),
            ("a/b\r\n", InvalidPath::Control),
            ("a\u{85}b", InvalidPath::Control),
            (&"a".repeat(MAX_NAME + 1), InvalidPath::LongName),
            (&long, InvalidPath::Long),
            (&deep, InvalidPath::Deep),
        ] {
            assert_eq!(text.parse::<AppDataPath>(), Err(rule), "{text:?}");
        }
        assert_eq!("a/b".parse::<AppDataName>(), Err(InvalidPath::Slash));
    }

    #[test]
    fn what_keeps_the_rules_is_a_path() {
        let deep = vec!["a"; MAX_DEPTH].join("/");
        for text in ["a", "a/b c/ü😀.txt", "...", ".hidden", "a\\b", "%2e%2e", " ", &"ü".repeat(127), &deep]
        {
            let path: AppDataPath = text.parse().expect(text);
            assert_eq!(path.to_string(), text);
            assert_eq!(path.folders().len() + 1, path.names().len());
        }
        let path: AppDataPath = "diary/2026.txt".parse().expect("a path");
        assert_eq!(format!("{path:?}{:?}", path.name()), "AppDataPath(2 names)AppDataName(…)");
    }

    proptest! {
        #[test]
        fn a_path_is_its_text(text in "(.{0,4}/){0,4}.{0,4}") {
            if let Ok(path) = text.parse::<AppDataPath>() {
                prop_assert_eq!(path.to_string(), text);
                for name in path.names() {
                    prop_assert_eq!(name.as_str().parse::<AppDataName>(), Ok(name.clone()));
                }
            }
        }
    }
}
