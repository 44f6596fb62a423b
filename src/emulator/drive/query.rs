//! The search terms of `files.list` (`q`), as far as they make sense for app data.
//!
//! Reads into a [`Query`], which is asked file by file. What Drive knows and this does not (full text,
//! sharing) is refused like any other invalid term.

mod reader;

use super::file::File;
use super::refusal::Refused;

/// A search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Query {
    /// All of them.
    And(Vec<Query>),
    /// Any of them.
    Or(Vec<Query>),
    /// Not this.
    Not(Box<Query>),
    /// One comparison.
    Term(Term),
}

/// A comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Term {
    /// The file's name.
    Name(Operator, String),
    /// The media type.
    MimeType(Operator, String),
    /// Unix milliseconds.
    Modified(Operator, i64),
    /// Unix milliseconds.
    Created(Operator, i64),
    /// Nothing in the app data is ever in the trash, or starred: true when it matches every file.
    Constant(bool),
    /// The folder, by id or alias.
    InParents(String),
    /// `properties` (false) or `appProperties` (true) hold key and value.
    Property(bool, String, String),
}

/// How values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `contains`
    Contains,
}

impl Operator {
    fn holds<T: PartialOrd>(self, left: &T, right: &T) -> bool {
        match self {
            Self::Equal => left == right,
            Self::NotEqual => left != right,
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
            Self::Contains => false,
        }
    }
}

/// Whether `text` has a word that begins with `start`, letters of either case.
fn has_word(text: &str, start: &str) -> bool {
    let (text, start) = (text.to_lowercase(), start.to_lowercase());
    let mut before = None;
    text.char_indices().any(|(place, letter)| {
        let begins = !before.is_some_and(char::is_alphanumeric);
        before = Some(letter);
        begins && text[place..].starts_with(&start)
    })
}

impl Query {
    /// Reads `q`.
    ///
    /// # Errors
    /// 400 `invalid` at `q`.
    pub(super) fn parse(text: &str) -> Result<Self, Refused> {
        reader::read(text).ok_or_else(|| Refused::invalid("q"))
    }

    /// Whether a file matches. `root` is what the aliases of the top folder stand for.
    pub(super) fn matches(&self, file: &File, root: &str) -> bool {
        match self {
            Self::And(all) => all.iter().all(|query| query.matches(file, root)),
            Self::Or(any) => any.iter().any(|query| query.matches(file, root)),
            Self::Not(query) => !query.matches(file, root),
            Self::Term(term) => term.matches(file, root),
        }
    }
}

impl Term {
    fn matches(&self, file: &File, root: &str) -> bool {
        match self {
            Self::Name(Operator::Contains, start) => has_word(&file.name, start),
            Self::Name(operator, name) => operator.holds(&file.name, name),
            Self::MimeType(Operator::Contains, start) => file.mime_type.starts_with(start.as_str()),
            Self::MimeType(operator, kind) => operator.holds(&file.mime_type, kind),
            Self::Modified(operator, ms) => operator.holds(&file.modified_ms, ms),
            Self::Created(operator, ms) => operator.holds(&file.created_ms, ms),
            Self::Constant(always) => *always,
            Self::InParents(id) => {
                let id = if super::is_alias(id) { root } else { id };
                file.parent.as_deref() == Some(id)
            }
            Self::Property(private, key, value) => {
                let properties = if *private { &file.app_properties } else { &file.properties };
                properties.get(key) == Some(value)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> File {
        let mut file =
            File::new("f1".into(), 1, "Level 3 notes.json".to_owned(), "application/json", 1_795_368_972_000);
        file.parent = Some("folder".into());
        file.app_properties.insert("gen".to_owned(), "7".to_owned());
        file
    }

    fn matches(q: &str) -> bool {
        Query::parse(q).unwrap_or_else(|refused| panic!("{q}: {refused:?}")).matches(&file(), "root")
    }

    #[test]
    fn terms_match() {
        for q in [
            "name = 'Level 3 notes.json'",
            "name != 'x'",
            "name contains 'lev'",
            "name contains 'NOTES'",
            "name contains 'json'",
            "mimeType = 'application/json'",
            "mimeType != 'application/vnd.google-apps.folder'",
            "mimeType contains 'application/'",
            "'folder' in parents",
            "trashed = false",
            "trashed=false and 'folder' in parents",
            "not trashed = true",
            "modifiedTime > '2026-11-01T00:00:00'",
            "modifiedTime <= '2026-11-22T18:36:12+01:00'",
            "modifiedTime = '2026-11-22T17:36:12.000Z'",
            "(name = 'x' or name contains 'Level') and not (mimeType = 'a')",
            "name = 'x' and name = 'y' or trashed = false",
            "appProperties has { key='gen' and value='7' }",
            "  ( ( trashed != true ) )  ",
        ] {
            assert!(matches(q), "{q}");
        }
        for q in [
            "name = 'level 3 notes.json'",
            "name contains 'evel'",
            "'appDataFolder' in parents",
            "trashed = true",
            "modifiedTime > '2026-11-22T17:36:12Z'",
            "name = 'x' and (name = 'y' or trashed = false)",
            "properties has { key='gen' and value='7' }",
        ] {
            assert!(!matches(q), "{q}");
        }
    }

    #[test]
    fn both_aliases_stand_for_the_top_folder() {
        let mut file = file();
        file.parent = Some("root".into());
        for q in ["'appDataFolder' in parents", "'appfolder' in parents", "'root' in parents"] {
            assert!(Query::parse(q).expect(q).matches(&file, "root"), "{q}");
        }
    }

    #[test]
    fn quotes_are_escaped_with_a_backslash() {
        let query = Query::parse(r"name = 'it\'s a \\ path'").expect("a query");
        assert_eq!(query, Query::Term(Term::Name(Operator::Equal, r"it's a \ path".to_owned())));
    }

    #[test]
    fn what_is_no_query_is_refused() {
        let deep = "(".repeat(10_000);
        let nots = "not ".repeat(10_000);
        for q in [
            "",
            "name",
            "name =",
            "name = x",
            "name = 'x",
            "= 'x'",
            "name = 'x' and",
            "or name = 'x'",
            "name = 'x' name = 'y'",
            "(name = 'x'",
            "name = 'x')",
            "nonsense = 'x'",
            "'x' in",
            "'x' in owners",
            "modifiedTime > 'yesterday'",
            "modifiedTime contains '2026'",
            "trashed = 'false'",
            "trashed > false",
            r"name = 'a\b'",
            "fullText contains 'x'",
            "appProperties has { key='a' }",
            "name = \"x\"",
        ]
        .into_iter()
        .chain([deep.as_str(), nots.as_str()])
        {
            let refused = Query::parse(q).expect_err(q);
            assert_eq!(refused.location, Some(("parameter", "q")), "{q}");
        }
    }
}
