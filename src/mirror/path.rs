//! Paths below a mirror's folder, parsed, and the names made for conflicts and duplicates.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use unicode_normalization::UnicodeNormalization as _;

/// The longest name that Linux and macOS file systems hold, in bytes.
const LONGEST_NAME: usize = 255;
/// The longest ending that still counts as one when a note is put into a name.
const LONGEST_EXTENSION: usize = 16;

/// The file that says whose mirror a folder is.
pub(super) const MARKER: &str = ".locum-mirror";
/// Where unfinished files lie, inside the folder so that a rename never crosses file systems.
pub(super) const PRIVATE: &str = ".locum-mirror.d";

/// A path below the folder: one or more names between `/`, none of them empty, `.` or `..`, and none
/// with a NUL. `Debug` leaves the names out: they are personal.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelPath(Arc<str>);

impl RelPath {
    /// Reads a path; `None` when it could lead anywhere but below the folder.
    pub fn parse(text: &str) -> Option<Self> {
        text.split('/').all(|name| name_problem(name).is_none()).then(|| Self(text.into()))
    }

    /// `name` in the folder `parent`, or at the top.
    pub(super) fn child(parent: Option<&Self>, name: &str) -> Self {
        debug_assert!(name_problem(name).is_none());
        match parent {
            Some(parent) => Self(format!("{parent}/{name}").into()),
            None => Self(name.into()),
        }
    }

    /// The text, names between `/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last name.
    pub fn name(&self) -> &str {
        self.0.rsplit_once('/').map_or(&*self.0, |(_, name)| name)
    }

    /// The folder it is in; `None` at the top.
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(parent.into()))
    }

    /// The folders above it, the nearest first.
    pub(super) fn ancestors(&self) -> impl Iterator<Item = Self> {
        std::iter::successors(self.parent(), Self::parent)
    }

    /// How many names it has.
    pub(super) fn depth(&self) -> usize {
        self.0.split('/').count()
    }

    /// Whether it lies below `folder`.
    pub(super) fn is_below(&self, folder: &Self) -> bool {
        self.0.strip_prefix(&*folder.0).is_some_and(|rest| rest.starts_with('/'))
    }

    /// Whether it is `top` or lies below it.
    pub(super) fn is_within(&self, top: &Self) -> bool {
        self == top || self.is_below(top)
    }

    /// The same place below `to` that this has below `from`, which it must be within.
    pub(super) fn moved(&self, from: &Self, to: &Self) -> Self {
        Self(format!("{to}{}", &self.0[from.0.len()..]).into())
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RelPath({} names)", self.depth())
    }
}

/// Everything below `folder`, itself apart.
pub(super) fn below<'m, T>(
    map: &'m BTreeMap<RelPath, T>,
    folder: &RelPath,
) -> impl DoubleEndedIterator<Item = (&'m RelPath, &'m T)> {
    let from = RelPath(format!("{folder}/").into());
    // The character after the slash: every path below the folder sorts before it.
    let to = RelPath(format!("{folder}0").into());
    map.range((Bound::Included(from), Bound::Excluded(to)))
}

/// Takes `top` and everything below it out of the map.
pub(super) fn take_tree<T>(map: &mut BTreeMap<RelPath, T>, top: &RelPath) -> Vec<(RelPath, T)> {
    let mut paths: Vec<RelPath> = below(map, top).map(|(path, _)| path.clone()).collect();
    paths.push(top.clone());
    paths.into_iter().filter_map(|path| map.remove_entry(&path)).collect()
}

/// Moves `from` and everything below it to `to`.
pub(super) fn move_tree<T>(map: &mut BTreeMap<RelPath, T>, from: &RelPath, to: &RelPath) {
    for (path, value) in take_tree(map, from) {
        map.insert(path.moved(from, to), value);
    }
}

/// Why a name cannot be that of a local file; `None` when it can.
pub(super) fn name_problem(name: &str) -> Option<&'static str> {
    match name {
        "" => Some("it has no name"),
        "." | ".." => Some("its name stands for a folder's own place"),
        _ if name.contains('/') => Some("its name has a slash"),
        _ if name.contains('\0') => Some("its name has a NUL character"),
        _ if name.len() > LONGEST_NAME => Some("its name is longer than 255 bytes"),
        _ => None,
    }
}

/// Whether the name is that of a mirror's marker, which no folder below the top may have.
pub(super) fn is_marker(name: &str) -> bool {
    name.eq_ignore_ascii_case(MARKER)
}

/// Whether the name at the top of the folder is one of ours.
pub(super) fn is_reserved(name: &str) -> bool {
    [MARKER, PRIVATE].iter().any(|ours| name.eq_ignore_ascii_case(ours))
}

/// `report (NOTE).pdf` for `report.pdf`, cut where it would be too long for a file system.
pub(super) fn with_note(name: &str, note: &str) -> String {
    let (stem, extension) = match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() && extension.len() <= LONGEST_EXTENSION => {
            (stem, format!(".{extension}"))
        }
        _ => (name, String::new()),
    };
    let room = LONGEST_NAME.saturating_sub(note.len() + extension.len() + " ()".len());
    let stem = &stem[..boundary(stem, room)];
    format!("{stem} ({note}){extension}")
}

/// Where a file may go that should be at `path`: the same name with a note, then with a number as well.
pub(super) fn beside(path: &RelPath, note: &str) -> impl Iterator<Item = RelPath> + use<> {
    let (parent, name, note) = (path.parent(), path.name().to_owned(), note.to_owned());
    (1..).map(move |n: u32| {
        let note = if n == 1 { note.clone() } else { format!("{note} {n}") };
        RelPath::child(parent.as_ref(), &with_note(&name, &note))
    })
}

/// The name, cut where it would be too long for a file system.
pub(super) fn shortened(mut name: String) -> String {
    name.truncate(boundary(&name, LONGEST_NAME));
    name
}

/// The last place not after `at` where the text can be cut.
fn boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// Which names a file system takes for one another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Likeness {
    /// `a` and `A`.
    pub(super) ignores_case: bool,
    /// `é` in one character and in two.
    pub(super) ignores_form: bool,
}

impl Likeness {
    /// Of a file system on which no two names are alike.
    pub(super) const EXACT: Self = Self { ignores_case: false, ignores_form: false };
    /// Of one on which as many names are alike as anywhere.
    #[cfg(test)]
    pub(super) const LOOSE: Self = Self { ignores_case: true, ignores_form: true };

    /// What all names that are alike have in common.
    pub(super) fn key(self, text: &str) -> String {
        let formed: String = if self.ignores_form { text.nfc().collect() } else { text.to_owned() };
        if self.ignores_case { formed.to_lowercase() } else { formed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::parse(text).expect("a path")
    }

    #[test]
    fn a_path_stays_below_its_folder() {
        for bad in ["", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "./a", "a/.", "a\0b"] {
            assert_eq!(RelPath::parse(bad), None, "{bad:?}");
        }
        assert_eq!(RelPath::parse(&"x".repeat(256)), None);
        let deep = path("a/b.c/…d");
        assert_eq!((deep.name(), deep.depth()), ("…d", 3));
        assert_eq!(deep.ancestors().map(|p| p.to_string()).collect::<Vec<_>>(), ["a/b.c", "a"]);
        assert!(deep.is_below(&path("a")) && !path("ab").is_below(&path("a")) && !deep.is_below(&deep));
        assert_eq!(format!("{deep:?}"), "RelPath(3 names)");
    }

    #[test]
    fn a_tree_is_taken_and_moved_whole_and_alone() {
        let mut map: BTreeMap<RelPath, u8> = ["a", "a b", "a-", "a/x", "a/y/z", "a0", "b"]
            .iter()
            .zip(0..)
            .map(|(p, n)| (path(p), n))
            .collect();
        assert_eq!(below(&map, &path("a")).count(), 2);
        move_tree(&mut map, &path("a"), &path("c/d"));
        let paths: Vec<_> = map.keys().map(RelPath::as_str).collect();
        assert_eq!(paths, ["a b", "a-", "a0", "b", "c/d", "c/d/x", "c/d/y/z"]);
        assert_eq!(take_tree(&mut map, &path("c")).len(), 3);
    }

    #[test]
    fn a_note_goes_before_the_ending() {
        assert_eq!(with_note("report.pdf", "x"), "report (x).pdf");
        assert_eq!(with_note("report", "x"), "report (x)");
        assert_eq!(with_note(".profile", "x"), ".profile (x)");
        assert_eq!(with_note("a.not an ending at all", "x"), "a.not an ending at all (x)");
        let long = with_note(&format!("{}.txt", "é".repeat(127)), "note");
        assert!(long.len() <= 255 && long.ends_with("é (note).txt"), "{long}");
    }

    #[test]
    fn likeness_is_that_of_the_file_system() {
        assert_ne!(Likeness::EXACT.key("A"), Likeness::EXACT.key("a"));
        assert_eq!(Likeness::LOOSE.key("E\u{301}T\u{c9}"), Likeness::LOOSE.key("\u{e9}te\u{301}"));
        let form_only = Likeness { ignores_case: false, ignores_form: true };
        assert_ne!(form_only.key("A"), form_only.key("a"));
    }
}
