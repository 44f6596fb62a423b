//! The planner against two sides in memory: what it does in each case, and what holds in all of them.

use std::collections::BTreeSet;

use proptest::prelude::{Strategy, any, prop, prop_assert, prop_assert_eq, proptest};

use super::super::tree::Listing;
use super::*;
use crate::google::drive::FileId;
use crate::vault::RemoteRecord;

const STAMP: &str = "2026-11-22 14.03.07";
const ROOT: &str = "root";

/// Two sides and the agreed state. A content is its number.
#[derive(Clone, Debug, Default)]
struct World {
    local: LocalTree,
    listing: Listing,
    agreed: AgreedTree,
    /// Contents that were kept.
    kept: BTreeSet<u8>,
    made: u64,
}

fn path(text: &str) -> RelPath {
    RelPath::parse(text).expect("a path")
}

fn file(n: u8) -> Content {
    Content::File { size: 1 + u64::from(n), md5: [n; 16] }
}

fn number(content: Content) -> Option<u8> {
    match content {
        Content::File { md5, .. } => Some(md5[0]),
        Content::Folder => None,
    }
}

impl World {
    fn next(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    fn put(&mut self, at: &str, content: Content) {
        let at = path(at);
        let above: Vec<RelPath> = at.ancestors().collect();
        for folder in above {
            if self.local.nodes.get(&folder).is_none_or(|node| node.content != Content::Folder) {
                let mark = LocalMark { inode: self.next(), size: 0, mtime_ns: 0, ctime_ns: 0, seen_ns: 0 };
                self.local.nodes.insert(folder, LocalNode { content: Content::Folder, mark });
            }
        }
        let mark = LocalMark { inode: self.next(), size: 1, mtime_ns: 1, ctime_ns: 1, seen_ns: 1 };
        if content != Content::Folder {
            take_tree(&mut self.local.nodes, &at);
        }
        self.local.nodes.insert(at, LocalNode { content, mark });
    }

    fn take(&mut self, at: &str) {
        take_tree(&mut self.local.nodes, &path(at));
    }

    fn rename(&mut self, from: &str, to: &str) {
        super::super::path::move_tree(&mut self.local.nodes, &path(from), &path(to));
    }

    fn record(&mut self, name: &str, parent: &str, content: Content) -> String {
        let n = self.next();
        let id = format!("id-{n:08}");
        let record = RemoteRecord {
            id: id.clone(),
            name: name.to_owned(),
            parent: Some(parent.to_owned()),
            content: Some(content),
            modified_ms: i64::try_from(n).expect("small"),
            created_ms: 0,
            version: 1,
        };
        self.listing.insert(id.clone(), record);
        id
    }

    fn tree(&self) -> RemoteTree {
        let agreed = self.agreed.iter().map(|(path, agreed)| (agreed.remote.as_str(), path)).collect();
        RemoteTree::resolve(&self.listing, &root(), Likeness::EXACT, &agreed)
    }

    /// The folder at Drive at the path, made if it is not there.
    fn folder_id(&mut self, at: Option<&RelPath>) -> String {
        let Some(at) = at else { return ROOT.to_owned() };
        if let Some(node) = self.tree().nodes.get(at).filter(|node| node.content == Content::Folder) {
            return node.id.as_str().to_owned();
        }
        let parent = self.folder_id(at.parent().as_ref());
        self.record(at.name(), &parent, Content::Folder)
    }

    fn put_remote(&mut self, at: &str, content: Content) -> String {
        let at = path(at);
        let found = self.tree().nodes.get(&at).map(|node| node.id.as_str().to_owned());
        if let (Some(id), Content::File { .. }) = (found, content)
            && self.listing[&id].content != Some(Content::Folder)
        {
            let n = self.next();
            let record = self.listing.get_mut(&id).expect("listed");
            record.content = Some(content);
            record.modified_ms = i64::try_from(n).expect("small");
            return id;
        }
        let parent = self.folder_id(at.parent().as_ref());
        self.record(at.name(), &parent, content)
    }

    fn take_remote(&mut self, at: &str) {
        if let Some(node) = self.tree().nodes.get(&path(at)) {
            let id = node.id.as_str().to_owned();
            self.delete_id(&id);
        }
    }

    fn delete_id(&mut self, id: &str) {
        self.listing.remove(id);
        let inside: Vec<String> = self
            .listing
            .values()
            .filter(|record| record.parent.as_deref() == Some(id))
            .map(|record| record.id.clone())
            .collect();
        inside.iter().for_each(|id| self.delete_id(id));
    }

    fn move_remote(&mut self, from: &str, to: &str) {
        let Some(node) = self.tree().nodes.get(&path(from)).cloned() else { return };
        let to = path(to);
        let parent = self.folder_id(to.parent().as_ref());
        let record = self.listing.get_mut(node.id.as_str()).expect("listed");
        record.name = to.name().to_owned();
        record.parent = Some(parent);
    }

    fn plan(&self, direction: Direction) -> Plan {
        let remote = self.tree();
        let given = Given {
            local: &self.local,
            remote: &remote,
            agreed: &self.agreed,
            direction,
            likeness: Likeness::EXACT,
            stamp: STAMP,
        };
        let made = plan(given);
        assert_eq!(made, plan(given), "the same listings, the same plan");
        made
    }

    fn run(&mut self, direction: Direction) -> Plan {
        let plan = self.plan(direction);
        // The paths of the moment the plan was made, kept up with the actions.
        let mut ids: BTreeMap<RelPath, String> =
            self.tree().nodes.into_iter().map(|(path, node)| (path, node.id.to_string())).collect();
        let actions: Vec<Action> = plan.actions().cloned().collect();
        let renames = plan.renames.len();
        for action in &actions[..renames] {
            self.apply(action, &mut ids);
        }
        for (path, agreed) in &plan.adopt {
            self.agreed.insert(path.clone(), agreed.clone());
        }
        for path in &plan.forget {
            self.agreed.remove(path);
        }
        for action in &actions[renames..] {
            self.apply(action, &mut ids);
        }
        plan
    }

    fn agree(&mut self, path: &RelPath, remote: &str) {
        let node = self.local.nodes[path];
        let agreed = Agreed { remote: remote.to_owned(), content: node.content, mark: Some(node.mark) };
        self.agreed.insert(path.clone(), agreed);
    }

    fn apply(&mut self, action: &Action, ids: &mut BTreeMap<RelPath, String>) {
        let has_folder = |path: &RelPath, ids: &BTreeMap<RelPath, String>| match path.parent() {
            Some(parent) => ids.get(&parent).cloned().unwrap_or_else(|| panic!("no folder for {path}")),
            None => ROOT.to_owned(),
        };
        match action {
            Action::MakeLocalFolder(path) => {
                assert!(!self.local.nodes.contains_key(path), "{path} is there");
                self.put(path.as_str(), Content::Folder);
                self.agree(path, &ids[path]);
            }
            Action::MakeRemoteFolder(path) => {
                let parent = has_folder(path, ids);
                let id = self.record(path.name(), &parent, Content::Folder);
                assert_eq!(ids.insert(path.clone(), id.clone()), None, "{path} is at Drive");
                self.agree(path, &id);
            }
            Action::MoveLocal { from, to, node } | Action::SetAside { from, to, node } => {
                assert_eq!(self.local.nodes.get(from), Some(node));
                assert!(!self.local.nodes.contains_key(to), "{to} is there");
                assert!(to.parent().is_none_or(|parent| self.local.nodes.contains_key(&parent)), "{to}");
                self.rename(from.as_str(), to.as_str());
            }
            Action::MoveRemote { from, to, node } => {
                assert_eq!(ids[from], node.id.as_str());
                assert!(!ids.contains_key(to), "{to} is at Drive");
                let parent = has_folder(to, ids);
                super::super::path::move_tree(ids, from, to);
                let record = self.listing.get_mut(node.id.as_str()).expect("listed");
                record.name = to.name().to_owned();
                record.parent = Some(parent);
            }
            Action::Download { path, node, over } => {
                assert_eq!(self.local.nodes.get(path), over.as_ref());
                let parent = path.parent();
                assert!(parent.is_none_or(|parent| self.local.nodes.contains_key(&parent)), "{path}");
                self.kept.extend(over.and_then(|node| number(node.content)));
                self.put(path.as_str(), node.content);
                self.agree(path, node.id.as_str());
            }
            Action::Upload { path, node, over } => {
                assert_eq!(self.local.nodes.get(path), Some(node));
                let parent = has_folder(path, ids);
                let id = match over {
                    Some(over) => {
                        assert_eq!(ids[path], over.id.as_str());
                        let n = self.next();
                        let record = self.listing.get_mut(&ids[path]).expect("listed");
                        assert_eq!(record.content.replace(node.content), Some(over.content));
                        record.modified_ms = i64::try_from(n).expect("small");
                        self.kept.extend(number(over.content));
                        ids[path].clone()
                    }
                    None => {
                        let id = self.record(path.name(), &parent, node.content);
                        assert_eq!(ids.insert(path.clone(), id.clone()), None, "{path} is at Drive");
                        id
                    }
                };
                self.agree(path, &id);
            }
            Action::DeleteLocal { path, node } => {
                assert_eq!(self.local.nodes.remove(path), Some(*node));
                self.kept.extend(number(node.content));
                self.agreed.remove(path);
            }
            Action::DeleteRemote { path, node } => {
                let here = self.local.nodes.get(path);
                assert!(here.is_none_or(|here| here.content == Content::Folder));
                self.kept.extend(number(node.content));
                self.listing.remove(node.id.as_str()).expect("listed");
                ids.remove(path);
                self.agreed.remove(path);
            }
            Action::RemoveLocalFolder(path) => {
                assert!(is_empty_below(&self.local.nodes, path), "{path} is not empty");
                self.local.nodes.remove(path).expect("there");
                self.agreed.remove(path);
            }
            Action::RemoveRemoteFolder { path, node } => {
                let id = node.id.as_str();
                assert!(
                    !self.listing.values().any(|record| record.parent.as_deref() == Some(id)),
                    "{path} is not empty at Drive"
                );
                self.listing.remove(id).expect("listed");
                ids.remove(path);
                self.agreed.remove(path);
            }
        }
    }

    /// Runs until nothing is left to do.
    fn settle(&mut self, direction: Direction) {
        for _ in 0..3 {
            if self.run(direction).actions().next().is_none() {
                return;
            }
        }
        let plan = self.plan(direction);
        assert!(plan.actions().next().is_none(), "{:?} still has {:?}", paths(self), words(&plan));
    }

    fn contents(&self) -> BTreeSet<u8> {
        let local = self.local.nodes.values().filter_map(|node| number(node.content));
        let remote = self.listing.values().filter_map(|record| number(record.content?));
        local.chain(remote).chain(self.kept.iter().copied()).collect()
    }

    fn sides(&self) -> [BTreeMap<String, Content>; 2] {
        let local = self.local.nodes.iter().map(|(path, node)| (path.to_string(), node.content));
        let tree = self.tree();
        let remote = tree.nodes.iter().map(|(path, node)| (path.to_string(), node.content));
        [local.collect(), remote.collect()]
    }
}

fn root() -> FileId {
    ROOT.parse().expect("an id")
}

fn paths(world: &World) -> [Vec<String>; 2] {
    world.sides().map(|side| side.into_keys().collect())
}

/// The plan's actions in short words.
fn words(plan: &Plan) -> Vec<String> {
    plan.actions()
        .map(|action| {
            let path = action.path();
            match action {
                Action::MakeLocalFolder(_) => format!("mkdir here {path}"),
                Action::MakeRemoteFolder(_) => format!("mkdir there {path}"),
                Action::MoveLocal { from, .. } => format!("move here {from} {path}"),
                Action::MoveRemote { from, .. } => format!("move there {from} {path}"),
                Action::SetAside { from, .. } => format!("aside {from} {path}"),
                Action::Download { over, .. } => {
                    format!("{} {path}", if over.is_some() { "replace here" } else { "download" })
                }
                Action::Upload { over, .. } => {
                    format!("{} {path}", if over.is_some() { "replace there" } else { "upload" })
                }
                Action::DeleteLocal { .. } => format!("delete here {path}"),
                Action::DeleteRemote { .. } => format!("delete there {path}"),
                Action::RemoveLocalFolder(_) => format!("rmdir here {path}"),
                Action::RemoveRemoteFolder { .. } => format!("rmdir there {path}"),
            }
        })
        .collect()
}

/// A world where both sides agree on `a`, `d/b` and `d/c`.
fn agreed_world(direction: Direction) -> World {
    let mut world = World::default();
    for (at, n) in [("a", 1), ("d/b", 2), ("d/c", 3)] {
        world.put(at, file(n));
        world.put_remote(at, file(n));
    }
    let plan = world.run(direction);
    assert_eq!(words(&plan), [] as [String; 0], "equal contents are adopted");
    assert_eq!(world.agreed.len(), 4);
    world
}

/// What the plan is after `change`, and that it settles.
fn after(direction: Direction, change: impl Fn(&mut World)) -> Vec<String> {
    let mut world = agreed_world(direction);
    change(&mut world);
    let plan = world.plan(direction);
    world.settle(direction);
    if direction == Direction::Both {
        let [local, remote] = world.sides();
        assert_eq!(local, remote);
    }
    words(&plan)
}

use Direction::{Both, Pull, Push};

#[test]
fn one_side_changed() {
    assert_eq!(after(Both, |w| w.put("a", file(9))), ["replace there a"]);
    assert_eq!(after(Both, |w| drop(w.put_remote("a", file(9)))), ["replace here a"]);
    assert_eq!(after(Both, |w| w.take("a")), ["delete there a"]);
    assert_eq!(after(Both, |w| w.take_remote("a")), ["delete here a"]);
    assert_eq!(after(Both, |w| w.put("e/f", file(9))), ["mkdir there e", "upload e/f"]);
    assert_eq!(after(Both, |w| drop(w.put_remote("e/f", file(9)))), ["mkdir here e", "download e/f"]);
    assert_eq!(after(Both, |w| w.put("e", Content::Folder)), ["mkdir there e"]);
    assert_eq!(after(Both, |w| w.take("d")), ["delete there d/b", "delete there d/c", "rmdir there d"]);
    assert_eq!(after(Both, |w| w.take_remote("d")), ["delete here d/b", "delete here d/c", "rmdir here d"]);
}

#[test]
fn both_sides_changed() {
    let conflict = |w: &mut World| {
        w.put("d/b", file(8));
        w.put_remote("d/b", file(9));
    };
    let aside = format!("aside d/b d/b (conflict {STAMP})");
    let copy = format!("upload d/b (conflict {STAMP})");
    assert_eq!(after(Both, conflict), [aside.as_str(), "download d/b", &copy]);
    assert_eq!(after(Pull, conflict), [aside.as_str(), "download d/b"]);
    assert_eq!(after(Push, conflict), ["replace there d/b"]);
    let same = |w: &mut World| {
        w.put("a", file(9));
        w.put_remote("a", file(9));
    };
    assert_eq!(after(Both, same), [] as [&str; 0]);
}

#[test]
fn a_change_goes_before_a_delete() {
    let deleted_there = |w: &mut World| {
        w.put("a", file(9));
        w.take_remote("a");
    };
    assert_eq!(after(Both, deleted_there), ["upload a"]);
    assert_eq!(after(Pull, deleted_there), [] as [&str; 0]);
    assert_eq!(after(Push, deleted_there), ["upload a"]);
    let deleted_here = |w: &mut World| {
        w.put_remote("a", file(9));
        w.take("a");
    };
    assert_eq!(after(Both, deleted_here), ["download a"]);
    assert_eq!(after(Pull, deleted_here), ["download a"]);
    assert_eq!(after(Push, deleted_here), [] as [&str; 0]);
    let folder = |w: &mut World| {
        w.take("d");
        w.put_remote("d/b", file(9));
    };
    assert_eq!(after(Both, folder), ["mkdir here d", "download d/b", "delete there d/c"]);
}

#[test]
fn pull_never_writes_there_and_push_never_here() {
    assert_eq!(after(Pull, |w| w.take("a")), ["download a"]);
    assert_eq!(after(Pull, |w| w.put("new", file(9))), [] as [&str; 0]);
    let aside = format!("aside a a (conflict {STAMP})");
    assert_eq!(after(Pull, |w| w.put("a", file(9))), [aside.as_str(), "download a"]);
    assert_eq!(after(Pull, |w| w.take_remote("a")), ["delete here a"]);
    assert_eq!(after(Push, |w| w.take_remote("a")), ["upload a"]);
    assert_eq!(after(Push, |w| drop(w.put_remote("a", file(9)))), ["replace there a"]);
    assert_eq!(after(Push, |w| drop(w.put_remote("new", file(9)))), [] as [&str; 0]);
    assert_eq!(after(Push, |w| w.take("a")), ["delete there a"]);
}

#[test]
fn renames_move_nothing_but_names() {
    assert_eq!(after(Both, |w| w.rename("a", "z")), ["move there a z"]);
    assert_eq!(after(Both, |w| w.move_remote("a", "z")), ["move here a z"]);
    assert_eq!(after(Both, |w| w.rename("d", "e")), ["move there d e"]);
    assert_eq!(after(Both, |w| w.move_remote("d", "e")), ["move here d e"]);
    let into = |w: &mut World| {
        w.put("new", Content::Folder);
        w.rename("d/b", "new/b");
    };
    assert_eq!(after(Both, into), ["mkdir there new", "move there d/b new/b"]);
    assert_eq!(
        after(Both, |w| w.move_remote("d/b", "x/y/b")),
        ["mkdir here x", "mkdir here x/y", "move here d/b x/y/b"]
    );
    let chain = |w: &mut World| {
        w.move_remote("d/c", "z");
        w.move_remote("d/b", "d/c");
    };
    assert_eq!(after(Both, chain), ["move here d/c z", "move here d/b d/c"]);
    let renamed_and_changed = |w: &mut World| {
        w.move_remote("a", "z");
        w.put("a", file(9));
    };
    assert_eq!(after(Both, renamed_and_changed), ["move here a z", "replace there z"]);
    let twice = |w: &mut World| {
        w.rename("a", "y");
        w.move_remote("a", "z");
    };
    assert_eq!(after(Both, twice), ["upload y", "download z"]);
}

#[test]
fn a_swap_of_names_loses_nothing() {
    let mut world = agreed_world(Both);
    world.move_remote("d/b", "tmp");
    world.move_remote("d/c", "d/b");
    world.move_remote("tmp", "d/c");
    world.settle(Both);
    let [local, remote] = world.sides();
    assert_eq!(local, remote);
    assert_eq!((local["d/b"], local["d/c"]), (file(3), file(2)));
}

#[test]
fn a_file_that_became_a_folder_and_the_reverse() {
    let to_folder = |w: &mut World| {
        w.take("a");
        w.put("a/x", file(9));
    };
    assert_eq!(after(Both, to_folder), ["delete there a", "mkdir there a", "upload a/x"]);
    let to_file = |w: &mut World| {
        w.take("d");
        w.put("d", file(9));
    };
    assert_eq!(after(Both, to_file), ["delete there d/c", "delete there d/b", "rmdir there d", "upload d"]);
    let to_file_there = |w: &mut World| {
        w.take_remote("d");
        w.put_remote("d", file(9));
    };
    assert_eq!(
        after(Both, to_file_there),
        ["delete here d/c", "delete here d/b", "rmdir here d", "download d"]
    );
    let and_changed = |w: &mut World| {
        w.take_remote("d");
        w.put_remote("d", file(9));
        w.put("d/b", file(8));
    };
    let aside = format!("d (conflict {STAMP})");
    assert_eq!(
        after(Both, and_changed),
        [
            format!("aside d {aside}"),
            format!("mkdir there {aside}"),
            "download d".into(),
            format!("upload {aside}/b"),
            format!("upload {aside}/c"),
        ]
    );
}

#[test]
fn what_is_blocked_is_left_alone_on_both_sides() {
    for direction in [Both, Pull, Push] {
        let mut world = agreed_world(direction);
        world.take("d");
        world.local.blocked.insert(path("d"), Matter::SymbolicLink);
        let plan = world.plan(direction);
        assert_eq!(words(&plan), [] as [&str; 0]);
        assert!(plan.forget.is_empty() && plan.adopt.is_empty());
        assert_eq!(plan.problems.len(), 1);
    }
    // A folder stays for what is in it.
    let mut world = agreed_world(Both);
    world.take("d/b");
    world.local.blocked.insert(path("d/b"), Matter::Busy);
    world.take_remote("d");
    assert_eq!(words(&world.plan(Both)), ["mkdir there d", "delete here d/c"]);
}

#[test]
fn what_drive_holds_beside_is_not_deleted_with_its_folder() {
    let mut world = agreed_world(Both);
    let folder = world.folder_id(Some(&path("d")));
    world.record("no/name", &folder, file(7));
    world.take("d");
    assert_eq!(words(&world.plan(Both)), ["mkdir here d", "delete there d/b", "delete there d/c"]);
    world.settle(Both);
    assert!(world.contents().contains(&7));
}

#[test]
fn deletes_beyond_a_few_are_held() {
    let mut world = World::default();
    for n in 0..40 {
        world.put(&format!("f{n}"), file(n));
        world.put_remote(&format!("f{n}"), file(n));
    }
    world.run(Both);
    for n in 0..20 {
        world.take(&format!("f{n}"));
    }
    assert_eq!(world.plan(Both).held, None, "half of them");
    world.take("f20");
    let held = Some(Held::Deletes { side: Side::Remote, deletes: 21, of: 40 });
    assert_eq!(world.plan(Both).held, held);
    assert_eq!(world.plan(Push).held, held);
    assert_eq!(world.plan(Pull).held, None, "which would bring them back");

    let mut few = agreed_world(Both);
    few.take_remote("a");
    few.take_remote("d");
    assert_eq!(few.plan(Both).held, Some(Held::Empties { side: Side::Local, of: 3 }));
    few.put_remote("z", file(9));
    assert_eq!(few.plan(Both).held, None);
}

#[test]
fn a_first_sync_deletes_nothing() {
    let mut world = World::default();
    world.put("a", file(1));
    world.put("b", file(2));
    world.put("c", file(3));
    world.put_remote("b", file(2));
    world.put_remote("c", file(4));
    world.put_remote("d", file(5));
    let aside = format!("c (conflict {STAMP})");
    assert_eq!(
        words(&world.plan(Both)),
        [
            format!("aside c {aside}"),
            "upload a".into(),
            "download c".into(),
            format!("upload {aside}"),
            "download d".into()
        ]
    );
    assert_eq!(
        words(&world.plan(Pull)),
        [format!("aside c {aside}"), "download c".into(), "download d".into()]
    );
    assert_eq!(words(&world.plan(Push)), ["upload a", "replace there c"]);
}

#[test]
fn duplicates_each_have_a_name_and_keep_it() {
    let mut world = agreed_world(Both);
    let newer = world.record("a", ROOT, file(9));
    let alias = format!("a ({})", &newer[newer.len() - 8..]);
    assert_eq!(words(&world.plan(Both)), [format!("download {alias}")]);
    world.settle(Both);
    // An edit of either goes to the file it is of, and no name changes hands.
    world.put(&alias, file(10));
    assert_eq!(words(&world.plan(Both)), [format!("replace there {alias}")]);
    world.settle(Both);
    world.take("a");
    world.settle(Both);
    let [local, remote] = world.sides();
    assert_eq!(local, remote);
    assert_eq!(local["a"], file(10), "the other one has the name now");
    assert!(world.kept.contains(&1));
}

#[test]
fn of_new_duplicates_the_newest_has_the_name() {
    let mut world = World::default();
    world.record("x.txt", ROOT, file(1));
    let newest = world.record("x.txt", ROOT, file(2));
    let tree = world.tree();
    assert_eq!(tree.nodes[&path("x.txt")].id.as_str(), newest);
    assert_eq!(tree.nodes[&path("x (00000001).txt")].content, file(1));
    assert_eq!(tree.problems.len(), 1);
}

#[test]
fn names_that_no_file_can_have_are_reported() {
    let mut world = World::default();
    let folder = world.record("bad/folder", ROOT, Content::Folder);
    world.record("inside", &folder, file(1));
    world.record("..", ROOT, file(2));
    world.record(".Locum-Mirror", ROOT, file(3));
    world.record("lost", "nowhere", file(4));
    world.record("Ä", ROOT, file(5));
    world.record("a\u{308}", ROOT, file(6));
    let tree = world.tree();
    let names: Vec<_> = tree.nodes.keys().map(RelPath::as_str).collect();
    assert_eq!(names, ["a\u{308}", "Ä"]);
    let matters: Vec<_> = tree.problems.iter().map(|problem| (&*problem.path, &problem.matter)).collect();
    assert!(matches!(matters[0], ("..", Matter::Unholdable(_))), "{matters:?}");
    assert_eq!(matters[1], (".Locum-Mirror", &Matter::Reserved));
    assert!(matches!(matters[2], ("bad/folder", Matter::Unholdable(_))), "{matters:?}");
    assert_eq!(matters[3], ("lost", &Matter::Detached));
    assert!(matches!(matters[4], (_, Matter::Alike { .. })), "{matters:?}");
    assert_eq!(matters.len(), 5);
    // Where they are one name, the second has another.
    let tree = RemoteTree::resolve(&world.listing, &root(), Likeness::LOOSE, &HashMap::new());
    assert_eq!(tree.nodes.len(), 2);
    assert!(tree.nodes.contains_key(&path("a\u{308}")), "the newest");
    assert!(tree.nodes.keys().any(|path| path.as_str().starts_with("Ä (")));
}

#[test]
fn a_circle_of_folders_hangs_nobody() {
    let mut world = World::default();
    let one = world.record("one", "x", Content::Folder);
    let two = world.record("two", &one, Content::Folder);
    world.listing.get_mut(&one).expect("there").parent = Some(two);
    let tree = world.tree();
    assert_eq!((tree.nodes.len(), tree.problems.len()), (0, 2));
}

#[test]
fn another_spelling_of_a_name_is_the_same_file_where_the_disk_says_so() {
    let mut world = agreed_world(Both);
    world.rename("a", "A");
    world.rename("d", "D");
    let remote = world.tree();
    let given = Given {
        local: &world.local,
        remote: &remote,
        agreed: &world.agreed,
        direction: Both,
        likeness: Likeness::LOOSE,
        stamp: STAMP,
    };
    let plan = plan(given);
    assert_eq!(words(&plan), [] as [&str; 0]);
    assert!(plan.adopt.is_empty() && plan.forget.is_empty());
}

/// A step of a history: what, where, where to, which content.
type Step = (u8, usize, usize, u8);

const PLACES: [&str; 12] = ["a", "b", "c", "A", "d", "d/a", "d/b", "d/e", "d/e/a", "f", "f/a", "a/x"];

fn step(world: &mut World, (what, at, to, n): Step) {
    let (at, to) = (PLACES[at], PLACES[to]);
    let is_there = world.local.nodes.contains_key(&path(at));
    let free = |world: &World| {
        !world.local.nodes.contains_key(&path(to))
            && !path(to).is_within(&path(at))
            && path(to).parent().is_none_or(|parent| {
                world.local.nodes.get(&parent).is_some_and(|node| node.content == Content::Folder)
            })
    };
    let free_there = |world: &World| {
        let tree = world.tree();
        !path(to).is_within(&path(at))
            && path(to).parent().is_none_or(|parent| {
                tree.nodes.get(&parent).is_some_and(|node| node.content == Content::Folder)
            })
    };
    let above_are_folders = |world: &World| {
        path(at)
            .ancestors()
            .all(|above| world.local.nodes.get(&above).is_none_or(|node| node.content == Content::Folder))
    };
    match what {
        0 | 1 if above_are_folders(world) => world.put(at, file(n)),
        2 | 3 => drop(world.put_remote(at, file(n))),
        4 => world.take(at),
        5 => world.take_remote(at),
        6 if is_there && free(world) => world.rename(at, to),
        7 if free_there(world) => world.move_remote(at, to),
        8 if above_are_folders(world) && !is_there => world.put(at, Content::Folder),
        9 => drop(world.folder_id(Some(&path(at)))),
        10 => {
            let parent = path(at).parent();
            let parent = world.folder_id(parent.as_ref());
            world.record(path(at).name(), &parent, file(n));
        }
        _ => {}
    }
}

fn history() -> impl Strategy<Value = Vec<Vec<Step>>> {
    let step = (0u8..11, 0usize..12, 0usize..12, any::<u8>());
    prop::collection::vec(prop::collection::vec(step, 0..8), 1..4)
}

proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(1_000))]
    #[test]
    fn no_history_loses_a_content_and_each_comes_to_rest(history in history(), way in 0u8..3) {
        let direction = [Both, Pull, Push][usize::from(way)];
        let mut world = World::default();
        for steps in history {
            steps.into_iter().for_each(|taken| step(&mut world, taken));
            let before = world.contents();
            world.run(direction);
            prop_assert!(world.contents().is_superset(&before));
        }
        let before = world.contents();
        world.settle(direction);
        prop_assert!(world.contents().is_superset(&before));
        let [local, remote] = world.sides();
        match direction {
            Both => prop_assert_eq!(local, remote),
            Pull => prop_assert!(remote.iter().all(|(path, content)| local.get(path) == Some(content))),
            Push => {}
        }
        let plan = world.plan(direction);
        prop_assert!(plan.adopt.is_empty() && plan.forget.is_empty());
    }
}
