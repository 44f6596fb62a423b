//! Listings: what matches, in which order, page by page.
//!
//! A page token remembers the last file shown, so a file made or deleted between two pages moves none of
//! the others out of sight.

use std::cmp::Ordering;
use std::collections::{HashMap, VecDeque};

use super::file::File;
use super::query::Query;
use super::refusal::Refused;
use super::store::Store;
use crate::rng::Rng;

/// Page tokens kept; the oldest beyond this are refused.
const MAX_CURSORS: usize = 1000;

/// What a listing is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Listing {
    pub(super) query: Option<Query>,
    pub(super) order: Vec<(Key, bool)>,
}

/// A key of `orderBy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Name,
    Modified,
    Created,
    Folder,
    Bytes,
    /// A key by which all app data is alike.
    Same,
}

/// Page tokens given out.
#[derive(Debug, Default)]
pub(super) struct Cursors {
    known: HashMap<String, (Listing, File)>,
    ages: VecDeque<String>,
}

impl Cursors {
    /// Has every token given out so far refused.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn keep(&mut self, rng: &Rng, listing: Listing, last: File) -> String {
        let token = format!("~!!~{}", rng.token(48));
        self.known.insert(token.clone(), (listing, last));
        self.ages.push_back(token.clone());
        if self.ages.len() > MAX_CURSORS
            && let Some(oldest) = self.ages.pop_front()
        {
            self.known.remove(&oldest);
        }
        token
    }
}

impl Listing {
    /// Reads `q` and `orderBy`.
    ///
    /// # Errors
    /// 400 at the parameter that is wrong.
    pub(super) fn parse(query: Option<&str>, order: Option<&str>) -> Result<Self, Refused> {
        let query = query.map(Query::parse).transpose()?;
        let order = order.map(|order| order.split(',').map(key).collect::<Option<Vec<_>>>());
        let order = order.map(|order| order.ok_or_else(|| Refused::invalid("orderBy"))).transpose()?;
        Ok(Self { query, order: order.unwrap_or_default() })
    }

    fn compare(&self, a: &File, b: &File) -> Ordering {
        let by_key = self.order.iter().map(|(key, descending)| {
            let order = key.compare(a, b);
            if *descending { order.reverse() } else { order }
        });
        let first = by_key.into_iter().find(|order| order.is_ne());
        // Without an order the newest come first, as far as anybody has seen.
        first.unwrap_or_else(|| b.number.cmp(&a.number))
    }

    /// One page, and the token of the next.
    ///
    /// # Errors
    /// 400 at `pageToken` for a token of another listing, or none.
    pub(super) fn page(
        self,
        store: &mut Store,
        rng: &Rng,
        token: Option<&str>,
        size: usize,
    ) -> Result<(Vec<File>, Option<String>), Refused> {
        let after = match token {
            None => None,
            Some(token) => match store.cursors.known.get(token) {
                Some((listing, last)) if *listing == self => Some(last),
                _ => return Err(Refused::invalid("pageToken")),
            },
        };
        let wanted = |file: &&File| {
            let root: &str = &store.root;
            self.query.as_ref().is_none_or(|query| query.matches(file, root))
                && after.is_none_or(|last| self.compare(last, file).is_lt())
        };
        let mut found: Vec<&File> = store.files().filter(wanted).collect();
        found.sort_by(|a, b| self.compare(a, b));
        let more = found.len() > size;
        found.truncate(size);
        let page: Vec<File> = found.into_iter().cloned().collect();
        let last = page.last().filter(|_| more).cloned();
        let next = last.map(|last| store.cursors.keep(rng, self, last));
        Ok((page, next))
    }
}

fn key(text: &str) -> Option<(Key, bool)> {
    let mut words = text.split_whitespace();
    let key = match words.next()? {
        "name" | "name_natural" => Key::Name,
        "modifiedTime" | "modifiedByMeTime" | "recency" => Key::Modified,
        "createdTime" => Key::Created,
        "folder" => Key::Folder,
        "quotaBytesUsed" => Key::Bytes,
        "sharedWithMeTime" | "starred" | "viewedByMeTime" => Key::Same,
        _ => return None,
    };
    match (words.next(), words.next()) {
        (None, _) => Some((key, false)),
        (Some("desc"), None) => Some((key, true)),
        _ => None,
    }
}

impl Key {
    fn compare(self, a: &File, b: &File) -> Ordering {
        match self {
            Self::Name => a.name.to_lowercase().cmp(&b.name.to_lowercase()),
            Self::Modified => a.modified_ms.cmp(&b.modified_ms),
            Self::Created => a.created_ms.cmp(&b.created_ms),
            // Folders first.
            Self::Folder => b.is_folder().cmp(&a.is_folder()),
            Self::Bytes => a.size().cmp(&b.size()),
            Self::Same => Ordering::Equal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::emulator::drive::file::FOLDER;

    const NOW: Timestamp = Timestamp::from_unix(1_795_368_972);

    fn store(names: &[&str]) -> (Store, Rng) {
        let rng = Rng::seeded(1);
        let mut store = Store::new(&rng, NOW);
        names.iter().for_each(|name| add(&mut store, name));
        (store, rng)
    }

    fn add(store: &mut Store, name: &str) {
        let kind = if name.ends_with('/') { FOLDER } else { "text/plain" };
        let number = store.next_number();
        let mut file = File::new(format!("id{number}").into(), number, name.to_owned(), kind, number as i64);
        file.parent = Some(store.root.clone());
        store.put(file, NOW);
    }

    fn names(files: &[File]) -> Vec<&str> {
        files.iter().map(|file| file.name.as_str()).collect()
    }

    fn all(store: &mut Store, rng: &Rng, order: Option<&str>) -> Vec<String> {
        let listing = Listing::parse(None, order).expect("an order");
        let (page, next) = listing.page(store, rng, None, 1000).expect("a page");
        assert_eq!(next, None);
        page.into_iter().map(|file| file.name).collect()
    }

    #[test]
    fn files_come_in_the_order_asked_for() {
        let (mut store, rng) = store(&["b", "z/", "A", "c"]);
        assert_eq!(all(&mut store, &rng, None), ["c", "A", "z/", "b"]);
        assert_eq!(all(&mut store, &rng, Some("name")), ["A", "b", "c", "z/"]);
        assert_eq!(all(&mut store, &rng, Some("folder, name desc")), ["z/", "c", "b", "A"]);
        assert_eq!(all(&mut store, &rng, Some("createdTime")), ["b", "z/", "A", "c"]);
        assert_eq!(all(&mut store, &rng, Some("modifiedTime desc")), ["c", "A", "z/", "b"]);
        for wrong in ["", "size", "name up", "name desc desc", "name,,folder"] {
            assert_eq!(Listing::parse(None, Some(wrong)), Err(Refused::invalid("orderBy")), "{wrong}");
        }
    }

    #[test]
    fn changes_between_pages_hide_nothing_else() {
        let (mut store, rng) = store(&["a", "b", "c", "d", "e"]);
        let listing = || Listing::parse(None, Some("name")).expect("an order");
        let (page, next) = listing().page(&mut store, &rng, None, 2).expect("a page");
        assert_eq!(names(&page), ["a", "b"]);
        let (first, last) = (page[0].id.clone(), page[1].id.clone());
        store.remove(&first, NOW).expect("there");
        store.remove(&last, NOW).expect("there");
        add(&mut store, "aa");
        let (page, after) = listing().page(&mut store, &rng, next.as_deref(), 2).expect("a page");
        assert_eq!(names(&page), ["c", "d"]);
        let (page, end) = listing().page(&mut store, &rng, after.as_deref(), 2).expect("a page");
        assert_eq!((names(&page), end), (vec!["e"], None));
    }

    #[test]
    fn a_token_belongs_to_its_listing() {
        let (mut store, rng) = store(&["a", "b", "c"]);
        let (_, next) = Listing::default().page(&mut store, &rng, None, 1).expect("a page");
        let refused = Err(Refused::invalid("pageToken"));
        let other = Listing::parse(Some("trashed = false"), None).expect("a query");
        assert_eq!(other.page(&mut store, &rng, next.as_deref(), 1).map(|_| ()), refused);
        assert_eq!(Listing::default().page(&mut store, &rng, Some("x"), 1).map(|_| ()), refused);
        store.cursors.clear();
        assert_eq!(Listing::default().page(&mut store, &rng, next.as_deref(), 1).map(|_| ()), refused);
    }
}
