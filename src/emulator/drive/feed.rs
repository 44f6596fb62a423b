//! The changes of one store: the set of files that are not as they were, in the order of their latest
//! change.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::refusal::Refused;
use crate::clock::Timestamp;

/// The feed. Tokens are positions in it.
#[derive(Debug)]
pub(super) struct Feed {
    /// The position after the latest change.
    next: u64,
    /// Tokens before this one are refused.
    oldest: u64,
    changes: BTreeMap<u64, (Arc<str>, Timestamp)>,
    latest: HashMap<Arc<str>, u64>,
}

/// One page: what changed, and where the feed goes on.
#[derive(Debug)]
pub(super) struct FeedPage {
    pub(super) changes: Vec<(Arc<str>, Timestamp)>,
    pub(super) next: u64,
    pub(super) is_last: bool,
}

impl Feed {
    /// A feed whose first change has this position.
    pub(super) fn new(first: u64) -> Self {
        Self { next: first, oldest: first, changes: BTreeMap::new(), latest: HashMap::new() }
    }

    /// Notes that a file changed or went away. An earlier change of it is no longer told.
    pub(super) fn note(&mut self, id: &Arc<str>, now: Timestamp) {
        if let Some(earlier) = self.latest.insert(id.clone(), self.next) {
            self.changes.remove(&earlier);
        }
        self.changes.insert(self.next, (id.clone(), now));
        self.next += 1;
    }

    /// The token of now.
    pub(super) fn token(&self) -> String {
        self.next.to_string()
    }

    /// Has every token given out so far refused.
    pub(super) const fn refuse_tokens(&mut self) {
        self.next += 1;
        self.oldest = self.next;
    }

    /// What changed since `token`, at most `size` files.
    ///
    /// # Errors
    /// 400 at `pageToken` for what is no token of this feed, or no longer one.
    pub(super) fn page(&self, token: &str, size: usize) -> Result<FeedPage, Refused> {
        let from = token.parse().ok().filter(|from| (self.oldest..=self.next).contains(from));
        let from: u64 = from.ok_or_else(|| Refused::invalid("pageToken"))?;
        let mut rest = self.changes.range(from..);
        let changes: Vec<_> = rest.by_ref().take(size).map(|(_, change)| change.clone()).collect();
        let following = rest.next().map(|(position, _)| *position);
        Ok(FeedPage { changes, next: following.unwrap_or(self.next), is_last: following.is_none() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(page: &FeedPage) -> Vec<&str> {
        page.changes.iter().map(|(id, _)| &**id).collect()
    }

    #[test]
    fn a_file_appears_once_with_its_latest_change() {
        let mut feed = Feed::new(1000);
        let start = feed.token();
        let now = Timestamp::from_unix(1_795_368_972);
        for id in ["a", "b", "a", "c"] {
            feed.note(&id.into(), now);
        }
        let page = feed.page(&start, 2).expect("a token");
        assert_eq!((ids(&page), page.is_last), (vec!["b", "a"], false));
        let page = feed.page(&page.next.to_string(), 2).expect("a token");
        assert_eq!((ids(&page), page.is_last), (vec!["c"], true));
        let page = feed.page(&page.next.to_string(), 2).expect("a token");
        assert!(ids(&page).is_empty() && page.is_last && page.next.to_string() == feed.token());
    }

    #[test]
    fn foreign_and_old_tokens_are_refused() {
        let mut feed = Feed::new(1000);
        let start = feed.token();
        for token in ["", "x", "-1", "999", "1001"] {
            assert_eq!(feed.page(token, 10).expect_err(token), Refused::invalid("pageToken"));
        }
        feed.refuse_tokens();
        assert!(feed.page(&start, 10).is_err());
        assert!(feed.page(&feed.token(), 10).is_ok());
    }
}
