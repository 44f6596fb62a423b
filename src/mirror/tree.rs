//! Drive's flat list of files as a tree of paths.
//!
//! At Drive a folder may hold two files of one name, and names that no file system has. Each file gets
//! one path here, always the same for the same list: the plain name goes to the file that has it by
//! agreement, else to the newest; the others of that name get a part of their id into it. What cannot
//! have a path is reported and left alone, and so is the folder that holds it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::path::{Likeness, RelPath, is_marker, is_reserved, name_problem, with_note};
use super::problem::{Matter, Problem};
use crate::google::drive::FileId;
use crate::vault::{MirrorContent as Content, RemoteRecord};

/// How much of an id stands in the name of a duplicate.
const ID_PART: usize = 8;

/// A file or folder at Drive, at the path it has here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteNode {
    /// Its id.
    pub id: FileId,
    /// The folder it is in.
    pub parent: FileId,
    /// What it is.
    pub content: Content,
    /// When its content last changed; Unix milliseconds.
    pub modified_ms: i64,
}

impl RemoteNode {
    /// Stands in a plan for a folder that the run will make, whose id nobody knows yet.
    pub(super) fn promised_folder() -> Self {
        let id: FileId = "-".parse().expect("a dash is a character of ids");
        Self { id: id.clone(), parent: id, content: Content::Folder, modified_ms: 0 }
    }
}

/// What Drive holds, by path.
#[derive(Clone, Debug, Default)]
pub(super) struct RemoteTree {
    /// Everything that has a path.
    pub nodes: BTreeMap<RelPath, RemoteNode>,
    /// Folders that hold something without a path, somewhere below: never to be deleted.
    pub opaque: BTreeSet<RelPath>,
    /// What has no path or not the plain one.
    pub problems: Vec<Problem>,
}

/// Everything Drive has said it holds, by id.
pub(super) type Listing = BTreeMap<String, RemoteRecord>;

impl RemoteTree {
    /// Gives every file of the listing its path. `agreed` is the path each id has by agreement.
    pub(super) fn resolve(
        listing: &Listing,
        root: &FileId,
        likeness: Likeness,
        agreed: &HashMap<&str, &RelPath>,
    ) -> Self {
        let mut children: HashMap<&str, Vec<&RemoteRecord>> = HashMap::new();
        for record in listing.values().filter(|record| record.id != root.as_str()) {
            children.entry(record.parent.as_deref().unwrap_or_default()).or_default().push(record);
        }
        let mut resolving =
            Resolving { children, likeness, agreed, tree: Self::default(), reached: HashSet::new() };
        let mut open = vec![(None, root.clone())];
        while let Some((path, id)) = open.pop() {
            resolving.folder(path.as_ref(), &id, &mut open);
        }
        let Resolving { mut tree, reached, .. } = resolving;
        let detached = listing
            .values()
            .filter(|record| record.id != root.as_str() && !reached.contains(record.id.as_str()));
        tree.problems
            .extend(detached.map(|record| Problem { path: record.name.clone(), matter: Matter::Detached }));
        tree.problems.sort();
        tree
    }
}

struct Resolving<'a> {
    children: HashMap<&'a str, Vec<&'a RemoteRecord>>,
    likeness: Likeness,
    agreed: &'a HashMap<&'a str, &'a RelPath>,
    tree: RemoteTree,
    reached: HashSet<&'a str>,
}

impl<'a> Resolving<'a> {
    /// Gives the children of one folder their paths; folders among them are left in `open`.
    fn folder(&mut self, path: Option<&RelPath>, id: &FileId, open: &mut Vec<(Option<RelPath>, FileId)>) {
        let mut named: BTreeMap<String, Vec<&'a RemoteRecord>> = BTreeMap::new();
        for child in self.children.remove(id.as_str()).unwrap_or_default() {
            let matter = match name_problem(&child.name) {
                Some(why) => Some(Matter::Unholdable(why)),
                // A marker below the top would make a mirror of its own of the folder.
                None if is_marker(&child.name) || path.is_none() && is_reserved(&child.name) => {
                    Some(Matter::Reserved)
                }
                None if child.content.is_none() || child.id.parse::<FileId>().is_err() => {
                    Some(Matter::NoContent)
                }
                None => None,
            };
            match matter {
                Some(matter) => self.leave_out(path, child, matter),
                None => named.entry(self.likeness.key(&child.name)).or_default().push(child),
            }
        }
        let mut taken: HashSet<String> = named.keys().cloned().collect();
        let mut duplicates = Vec::new();
        for group in named.into_values() {
            let first = group.iter().copied().max_by_key(|child| self.claim(path, child));
            for child in group {
                if first.is_some_and(|first| first.id == child.id) {
                    self.place(RelPath::child(path, &child.name), child, id, open);
                } else {
                    duplicates.push(child);
                }
            }
        }
        duplicates.sort_by_key(|child| &child.id);
        for child in duplicates {
            let part = &child.id[child.id.len().saturating_sub(ID_PART)..];
            let free = [part, &child.id]
                .map(|note| with_note(&child.name, note))
                .into_iter()
                .find(|name| name_problem(name).is_none() && taken.insert(self.likeness.key(name)));
            match free {
                Some(name) => {
                    let place = RelPath::child(path, &name);
                    self.tree.problems.push(Problem { path: place.to_string(), matter: Matter::Duplicate });
                    self.place(place, child, id, open);
                }
                None => self.leave_out(path, child, Matter::Unholdable("its name is taken")),
            }
        }
        self.note_alike(path);
    }

    /// What decides who has the plain name; the greatest does.
    fn claim(&self, folder: Option<&RelPath>, child: &'a RemoteRecord) -> (bool, i64, i64, &'a str) {
        let holds = self
            .agreed
            .get(child.id.as_str())
            .is_some_and(|path| path.name() == child.name && path.parent().as_ref() == folder);
        (holds, child.modified_ms, child.created_ms, &child.id)
    }

    fn place(
        &mut self,
        path: RelPath,
        child: &'a RemoteRecord,
        parent: &FileId,
        open: &mut Vec<(Option<RelPath>, FileId)>,
    ) {
        let (Ok(id), Some(content)) = (child.id.parse::<FileId>(), child.content) else { return };
        self.reached.insert(&child.id);
        if content == Content::Folder {
            open.push((Some(path.clone()), id.clone()));
        }
        let node = RemoteNode { id, parent: parent.clone(), content, modified_ms: child.modified_ms };
        self.tree.nodes.insert(path, node);
    }

    fn leave_out(&mut self, folder: Option<&RelPath>, child: &'a RemoteRecord, matter: Matter) {
        // What is in it is left out with it, and not called detached.
        let mut inside = vec![child.id.as_str()];
        while let Some(id) = inside.pop() {
            if self.reached.insert(id) {
                inside.extend(self.children.remove(id).unwrap_or_default().iter().map(|child| &*child.id));
            }
        }
        if let Some(folder) = folder {
            self.tree.opaque.extend(folder.ancestors().chain([folder.clone()]));
        }
        let path = folder.map_or_else(|| child.name.clone(), |folder| format!("{folder}/{}", child.name));
        self.tree.problems.push(Problem { path, matter });
    }

    /// Names that this file system tells apart and another would not.
    fn note_alike(&mut self, folder: Option<&RelPath>) {
        if self.likeness.ignores_case && self.likeness.ignores_form {
            return;
        }
        let loose = Likeness { ignores_case: true, ignores_form: true };
        let mut seen: HashMap<String, RelPath> = HashMap::new();
        let nodes = &self.tree.nodes;
        let siblings: Vec<&RelPath> = match folder {
            Some(folder) => super::path::below(nodes, folder)
                .map(|(path, _)| path)
                .filter(|path| path.depth() == folder.depth() + 1)
                .collect(),
            None => nodes.keys().filter(|path| path.depth() == 1).collect(),
        };
        for path in siblings {
            if let Some(other) = seen.insert(loose.key(path.name()), path.clone()) {
                let matter = Matter::Alike { other: other.to_string() };
                self.tree.problems.push(Problem { path: path.to_string(), matter });
            }
        }
    }
}
