//! What a run will do: a pure function of the local listing, Drive's listing and the last agreed state.
//!
//! Each path is decided by three questions: what is here, what is at Drive, what was agreed on. A file
//! that differs from the agreed state on one side was changed there, one that is missing was deleted
//! there. Renames are found first and applied to the three listings as if they had happened, so that
//! the decisions after them see plain paths; then whatever cannot stand where it is gives way.
//!
//! What must stay true:
//!
//! - both sides changed: both versions stay, the local one under a name that says so;
//! - changed here and deleted there, or the reverse: the change stays;
//! - without an agreed state nothing is deleted;
//! - what is blocked (a symbolic link, an unreadable file) is neither touched nor taken for deleted;
//! - the same listings give the same plan.

mod action;
mod clash;
mod decide;
mod moves;

pub use self::action::{Action, Held, Side};

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::path::{Likeness, RelPath, below, take_tree};
use super::problem::{Matter, Problem};
use super::tree::{RemoteNode, RemoteTree};
use crate::config::Direction;
use crate::vault::{LocalMark, MirrorContent as Content};

/// Deletes that a run may make without asking, however few files there are.
const FEW_DELETES: usize = 10;

/// A local file or folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalNode {
    /// What it is.
    pub content: Content,
    /// By what it is known again.
    pub mark: LocalMark,
}

/// What the folder holds.
#[derive(Clone, Debug, Default)]
pub(super) struct LocalTree {
    /// Every file and folder that can be mirrored.
    pub nodes: BTreeMap<RelPath, LocalNode>,
    /// What must not be touched, with everything below it.
    pub blocked: BTreeMap<RelPath, Matter>,
    /// Folders that hold a name no path can say, directly.
    pub opaque: BTreeSet<RelPath>,
    /// Such names.
    pub problems: Vec<Problem>,
}

/// What both sides agreed on at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Agreed {
    /// Drive's id.
    pub remote: String,
    /// What was there.
    pub content: Content,
    /// The local file then.
    pub mark: Option<LocalMark>,
}

/// The agreed state.
pub(super) type AgreedTree = BTreeMap<RelPath, Agreed>;

/// Everything a run will do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// To be done first and in this order: renames, and the folders they need.
    pub renames: Vec<Action>,
    /// To be done in this order: what must be gone before something else takes its place.
    pub clearing: Vec<Action>,
    /// To be done in this order: new folders.
    pub folders: Vec<Action>,
    /// In any order: contents that move.
    pub transfers: Vec<Action>,
    /// In any order: files that go.
    pub deletes: Vec<Action>,
    /// To be done in this order: folders that go.
    pub removals: Vec<Action>,
    /// Paths on which both sides agree, other than was known.
    pub adopt: Vec<(RelPath, Agreed)>,
    /// Paths that are nowhere any more.
    pub forget: Vec<RelPath>,
    /// What is worth a word to the owner.
    pub problems: Vec<Problem>,
    /// Why all this waits for a person.
    pub held: Option<Held>,
}

impl Plan {
    /// Every action in its order.
    pub(super) fn actions(&self) -> impl Iterator<Item = &Action> {
        [&self.renames, &self.clearing, &self.folders, &self.transfers, &self.deletes, &self.removals]
            .into_iter()
            .flatten()
    }
}

/// What a plan is made from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Given<'a> {
    /// The folder.
    pub local: &'a LocalTree,
    /// Drive.
    pub remote: &'a RemoteTree,
    /// The agreed state; empty for a first sync.
    pub agreed: &'a AgreedTree,
    /// Which way contents go.
    pub direction: Direction,
    /// Which names the local file system takes for one another.
    pub likeness: Likeness,
    /// Now, as it stands in the names of conflict copies: `2026-11-22 14.03.07`.
    pub stamp: &'a str,
}

/// Makes the plan.
pub(super) fn plan(given: Given<'_>) -> Plan {
    let mut planning = Planning::new(given);
    if given.direction != Direction::Push {
        planning.find_local_moves();
    }
    if given.direction != Direction::Pull {
        planning.find_remote_moves();
    }
    planning.settle_clashes();
    planning.decide();
    planning.finish(given)
}

/// The three listings as they will be, with what was decided so far.
struct Planning {
    direction: Direction,
    likeness: Likeness,
    stamp: String,
    local: BTreeMap<RelPath, LocalNode>,
    remote: BTreeMap<RelPath, RemoteNode>,
    agreed: AgreedTree,
    /// The agreed state as it is stored.
    stored: AgreedTree,
    /// Blocked paths; nothing within them is in the three listings.
    blocked: BTreeMap<RelPath, ()>,
    /// What Drive holds within blocked paths.
    hidden_remote: BTreeMap<RelPath, ()>,
    opaque_local: BTreeSet<RelPath>,
    opaque_remote: BTreeSet<RelPath>,
    /// Keys of every path in use on either side.
    taken: HashSet<String>,
    /// Folders that an action makes, so that nothing more is to be decided about them.
    made: HashSet<RelPath>,
    /// What will be there after the run, on each side.
    stays_local: BTreeMap<RelPath, ()>,
    stays_remote: BTreeMap<RelPath, ()>,
    plan: Plan,
}

impl Planning {
    fn new(given: Given<'_>) -> Self {
        let spelling = Spelling::of(given);
        let mut local = spelling.respell(&given.local.nodes);
        let mut remote = given.remote.nodes.clone();
        let stored = given.agreed.clone();
        let mut agreed = spelling.respell(given.agreed);
        let blocked: BTreeMap<RelPath, ()> =
            given.local.blocked.keys().map(|path| (spelling.path(path), ())).collect();
        let mut hidden_remote = BTreeMap::new();
        for path in blocked.keys() {
            take_tree(&mut local, path);
            take_tree(&mut agreed, path);
            hidden_remote.extend(take_tree(&mut remote, path).into_iter().map(|(path, _)| (path, ())));
        }
        let taken = local.keys().chain(remote.keys()).map(|path| given.likeness.key(path.as_str())).collect();
        let mut problems = given.local.problems.clone();
        problems.extend(given.remote.problems.iter().cloned());
        problems.extend(
            given
                .local
                .blocked
                .iter()
                .map(|(path, matter)| Problem { path: path.to_string(), matter: matter.clone() }),
        );
        Self {
            direction: given.direction,
            likeness: given.likeness,
            stamp: given.stamp.to_owned(),
            local,
            remote,
            agreed,
            stored,
            blocked,
            hidden_remote,
            opaque_local: given.local.opaque.iter().map(|path| spelling.path(path)).collect(),
            opaque_remote: given.remote.opaque.clone(),
            taken,
            made: HashSet::new(),
            stays_local: BTreeMap::new(),
            stays_remote: BTreeMap::new(),
            plan: Plan { problems, ..Plan::default() },
        }
    }

    fn is_blocked(&self, path: &RelPath) -> bool {
        self.blocked.contains_key(path) || path.ancestors().any(|above| self.blocked.contains_key(&above))
    }

    /// Whether the file or folder here is as it was agreed on.
    fn is_same_local(&self, path: &RelPath) -> bool {
        match (self.local.get(path), self.agreed.get(path)) {
            (Some(node), Some(agreed)) => node.content == agreed.content,
            _ => false,
        }
    }

    /// Whether the file or folder at Drive is as it was agreed on.
    fn is_same_remote(&self, path: &RelPath) -> bool {
        match (self.remote.get(path), self.agreed.get(path)) {
            (Some(node), Some(agreed)) => node.content == agreed.content,
            _ => false,
        }
    }

    fn finish(mut self, given: Given<'_>) -> Plan {
        let files = |local: bool| {
            let is_file = |content: Content| content != Content::Folder;
            if local {
                given.local.nodes.values().filter(|node| is_file(node.content)).count()
            } else {
                given.remote.nodes.values().filter(|node| is_file(node.content)).count()
            }
        };
        let count = |wanted: fn(&Action) -> bool| self.plan.actions().filter(|action| wanted(action)).count();
        let sides = [
            (
                Side::Local,
                files(true),
                count(|action| matches!(action, Action::DeleteLocal { .. })),
                count(|action| matches!(action, Action::Download { over: None, .. })),
            ),
            (
                Side::Remote,
                files(false),
                count(|action| matches!(action, Action::DeleteRemote { .. })),
                count(|action| matches!(action, Action::Upload { over: None, .. })),
            ),
        ];
        self.plan.held = sides.into_iter().find_map(|(side, of, deletes, new)| {
            if deletes > FEW_DELETES.max(of / 2) {
                Some(Held::Deletes { side, deletes, of })
            } else if deletes > 0 && deletes == of && new == 0 {
                Some(Held::Empties { side, of })
            } else {
                None
            }
        });
        self.plan.problems.sort();
        self.plan.problems.dedup();
        self.plan
    }
}

/// How the two sides and the agreed state spell paths that the file system takes for one.
struct Spelling {
    likeness: Likeness,
    by_key: HashMap<String, RelPath>,
}

impl Spelling {
    /// Drive's spelling goes before the agreed one, and that before the local one.
    fn of(given: Given<'_>) -> Self {
        let mut by_key = HashMap::new();
        if given.likeness != Likeness::EXACT {
            for path in given.remote.nodes.keys().chain(given.agreed.keys()) {
                by_key.entry(given.likeness.key(path.as_str())).or_insert_with(|| path.clone());
            }
        }
        Self { likeness: given.likeness, by_key }
    }

    fn path(&self, path: &RelPath) -> RelPath {
        if self.by_key.is_empty() {
            return path.clone();
        }
        if let Some(spelled) = self.by_key.get(&self.likeness.key(path.as_str())) {
            return spelled.clone();
        }
        let parent = path.parent().map(|parent| self.path(&parent));
        RelPath::child(parent.as_ref(), path.name())
    }

    fn respell<T: Clone>(&self, map: &BTreeMap<RelPath, T>) -> BTreeMap<RelPath, T> {
        map.iter().map(|(path, value)| (self.path(path), value.clone())).collect()
    }
}

fn is_empty_below<T>(map: &BTreeMap<RelPath, T>, folder: &RelPath) -> bool {
    below(map, folder).next().is_none()
}

#[cfg(test)]
mod tests;
