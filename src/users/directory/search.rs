//! The search itself: pure, over what is in memory.

use std::cmp::Ordering;
use std::str::FromStr;

use super::Found;
use super::entry::{Clients, Entry, GrantEntry, fold};
use crate::clock::Timestamp;
use crate::config::Config;
use crate::grant::GrantState;
use crate::ids::ClientName;

/// What people are sorted by. Who has no such thing comes last where the smallest comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PeopleSort {
    /// The e-mail address.
    #[default]
    Email,
    /// The name.
    Name,
    /// The latest sign-in.
    ConnectedAt,
    /// When Google last accepted a refresh token.
    RefreshedAt,
    /// The state of the grant that is worst off, in the order of [`GrantState::CODES`].
    State,
    /// The first sign-in.
    CreatedAt,
}

/// The text names nothing to sort by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not one of {}", PeopleSort::WORDS)]
pub struct UnknownSort;

impl PeopleSort {
    /// The words for it.
    pub const WORDS: &'static str = "email, name, connected_at, refreshed_at, state, created_at";
}

impl FromStr for PeopleSort {
    type Err = UnknownSort;

    fn from_str(text: &str) -> Result<Self, UnknownSort> {
        Ok(match text {
            "email" => Self::Email,
            "name" => Self::Name,
            "connected_at" => Self::ConnectedAt,
            "refreshed_at" => Self::RefreshedAt,
            "state" => Self::State,
            "created_at" => Self::CreatedAt,
            _ => return Err(UnknownSort),
        })
    }
}

/// Which people, and which page of them.
#[derive(Clone, Debug, Default)]
pub struct PeopleQuery {
    /// A part of the address or the name, or a whole `sub`; empty is everybody.
    pub text: String,
    /// Only people with a grant in the state of this name.
    pub state: Option<String>,
    /// Only people with a grant of this client; what is said of grants is then said of that one.
    pub client: Option<ClientName>,
    /// In which order.
    pub sort: PeopleSort,
    /// The other way round.
    pub descending: bool,
    /// How many to pass over.
    pub offset: usize,
    /// How many at the most.
    pub limit: usize,
}

/// The people that `query` means. What belongs to all of them, whatever it asks, is left open.
pub(super) fn search(entries: &[Entry], clients: &Clients, config: &Config, query: &PeopleQuery) -> Found {
    let names = clients.names(config);
    let text = query.text.trim();
    let folded = fold(text);
    let state = query.state.as_deref();
    let mut found = Found::default();
    let mut matching: Vec<(&Entry, Seen)> = Vec::new();
    for entry in entries {
        let by_text = || {
            folded.is_empty()
                || entry.email.contains(&folded)
                || entry.name.contains(&folded)
                || *entry.sub == *text
        };
        let Some(seen) = Seen::of(entry, &names, query.client.as_ref()) else { continue };
        if !by_text() {
            continue;
        }
        for state in seen.states.into_iter().flatten() {
            found.states.add(state, 1);
        }
        if state.is_none_or(|code| seen.states.into_iter().flatten().any(|state| state.code() == code)) {
            matching.push((entry, seen));
        }
    }
    found.total = matching.len() as u64;
    let order = |a: &(&Entry, Seen), b: &(&Entry, Seen)| {
        let order = compare(query.sort, a, b).then(a.0.id.cmp(&b.0.id));
        if query.descending { order.reverse() } else { order }
    };
    let end = query.offset.saturating_add(query.limit);
    if end < matching.len() && end > 0 {
        // Only what is on the page or before it has to be in order.
        matching.select_nth_unstable_by(end - 1, order);
        matching.truncate(end);
    }
    matching.sort_unstable_by(order);
    found.page = matching.iter().skip(query.offset).take(query.limit).map(|(entry, _)| entry.id).collect();
    found
}

/// What a person's grants that count look like together.
#[derive(Clone, Copy)]
struct Seen {
    /// A state of each kind that occurs, at its place.
    states: [Option<GrantState>; GrantState::CODES.len()],
    connected_at: Option<Timestamp>,
    refreshed_at: Option<Timestamp>,
}

impl Seen {
    /// `None` for whoever has no grant of the client that is asked for.
    fn of(entry: &Entry, names: &[Option<&ClientName>], client: Option<&ClientName>) -> Option<Self> {
        let name_of = |grant: &GrantEntry| names.get(usize::from(grant.client)).copied().flatten();
        let mut seen = Self { states: [None; _], connected_at: None, refreshed_at: None };
        let mut any = false;
        for grant in &entry.grants {
            let name = name_of(grant);
            if client.is_some() && name != client {
                continue;
            }
            any = true;
            let state = if name.is_some() { grant.state } else { grant.state.seen_without_client() };
            seen.states[state.place()] = Some(state);
            seen.connected_at = seen.connected_at.max(Some(grant.connected_at));
            seen.refreshed_at = seen.refreshed_at.max(Some(grant.refreshed_at));
        }
        (any || client.is_none()).then_some(seen)
    }

    fn worst(&self) -> Option<usize> {
        self.states.iter().rposition(Option::is_some)
    }
}

fn compare(sort: PeopleSort, (a, of_a): &(&Entry, Seen), (b, of_b): &(&Entry, Seen)) -> Ordering {
    let text = |a: &str, b: &str| a.is_empty().cmp(&b.is_empty()).then_with(|| a.cmp(b));
    let by = match sort {
        PeopleSort::Email => Ordering::Equal,
        PeopleSort::Name => text(&a.name, &b.name),
        PeopleSort::ConnectedAt => last_if_none(of_a.connected_at, of_b.connected_at),
        PeopleSort::RefreshedAt => last_if_none(of_a.refreshed_at, of_b.refreshed_at),
        PeopleSort::State => last_if_none(of_a.worst(), of_b.worst()),
        PeopleSort::CreatedAt => a.created_at.cmp(&b.created_at),
    };
    by.then_with(|| text(&a.email, &b.email))
}

fn last_if_none<T: Ord>(a: Option<T>, b: Option<T>) -> Ordering {
    a.is_none().cmp(&b.is_none()).then_with(|| a.cmp(&b))
}
