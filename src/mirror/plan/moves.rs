//! Renames: found by id when they were made at Drive, by inode and content when they were made here.
//!
//! A rename that cannot be seen as one is a file that goes and a file that comes, which loses nothing.
//! So only the plain case is taken: the old place is free on the side that renamed, the new place is
//! free on the other.

use std::collections::HashMap;

use super::super::path::{RelPath, move_tree};
use super::super::tree::RemoteNode;
use super::{Action, Agreed, LocalNode, Planning, is_empty_below};
use crate::vault::{LocalMark, MirrorContent as Content};

impl Planning {
    /// Renames made at Drive, to be made here.
    pub(super) fn find_local_moves(&mut self) {
        self.see_what_moved_already();
        loop {
            let moves = self.moved_ids();
            let before = self.plan.renames.len();
            for (from, to) in moves {
                if self.can_move_here(&from, &to) {
                    self.make_folders_for(&to, true);
                    let node = self.local[&from];
                    move_tree(&mut self.local, &from, &to);
                    move_tree(&mut self.agreed, &from, &to);
                    self.taken.insert(self.likeness.key(to.as_str()));
                    self.plan.renames.push(Action::MoveLocal { from, to, node });
                }
            }
            // A move frees a place that another one may want.
            if self.plan.renames.len() == before {
                return;
            }
        }
    }

    /// Agreed paths whose id has another path at Drive now, the topmost first.
    fn moved_ids(&self) -> Vec<(RelPath, RelPath)> {
        let at: HashMap<&str, &RelPath> =
            self.remote.iter().map(|(path, node)| (node.id.as_str(), path)).collect();
        let moved = self.agreed.iter().filter_map(|(from, agreed)| {
            let to = *at.get(agreed.remote.as_str())?;
            (to != from).then(|| (from.clone(), to.clone()))
        });
        moved.collect()
    }

    /// A run that was cut short has renamed, and could not say so.
    fn see_what_moved_already(&mut self) {
        for (from, to) in self.moved_ids() {
            let Some(agreed) = self.agreed.get(&from) else { continue };
            let is_there = self.local.get(&to).is_some_and(|node| {
                node.content == agreed.content || agreed.mark.is_some_and(|mark| is_inode(&mark, node))
            });
            if is_there && !self.local.contains_key(&from) && !self.agreed.contains_key(&to) {
                let agreed = self.agreed.remove(&from);
                self.agreed.extend(agreed.map(|agreed| (to, agreed)));
            }
        }
    }

    fn can_move_here(&self, from: &RelPath, to: &RelPath) -> bool {
        let (Some(node), Some(agreed)) = (self.local.get(from), self.agreed.get(from)) else { return false };
        let is_folder = |content: Content| content == Content::Folder;
        is_folder(node.content) == is_folder(agreed.content)
            && self.remote.get(to).is_some_and(|there| is_folder(there.content) == is_folder(node.content))
            && !self.local.contains_key(to)
            && is_empty_below(&self.local, to)
            && !self.agreed.contains_key(to)
            && is_empty_below(&self.agreed, to)
            && !to.is_below(from)
            && is_empty_below(&self.blocked, from)
            && !self.is_blocked(to)
            && to.ancestors().all(|above| self.local.get(&above).is_none_or(|node| is_folder(node.content)))
    }

    /// Renames made here, to be made at Drive.
    pub(super) fn find_remote_moves(&mut self) {
        if self.direction == crate::config::Direction::Push {
            self.see_what_moved_already();
        }
        let new = self.new_here();
        loop {
            let before = self.plan.renames.len();
            let gone: Vec<RelPath> =
                self.agreed.keys().filter(|path| !self.local.contains_key(path)).cloned().collect();
            for from in gone {
                let Some(agreed) = self.agreed.get(&from) else { continue };
                let Some(to) = new.find(agreed).filter(|to| self.can_move_there(&from, to)) else { continue };
                self.make_folders_for(&to, false);
                let node = self.remote[&from].clone();
                move_tree(&mut self.remote, &from, &to);
                move_tree(&mut self.agreed, &from, &to);
                self.taken.insert(self.likeness.key(to.as_str()));
                self.plan.renames.push(Action::MoveRemote { from, to, node });
            }
            if self.plan.renames.len() == before {
                return;
            }
        }
    }

    fn can_move_there(&self, from: &RelPath, to: &RelPath) -> bool {
        let Some(agreed) = self.agreed.get(from) else { return false };
        self.remote.get(from).is_some_and(|node| {
            node.id.as_str() == agreed.remote
                && (node.content == Content::Folder) == (agreed.content == Content::Folder)
        }) && !self.remote.contains_key(to)
            && is_empty_below(&self.remote, to)
            && is_empty_below(&self.agreed, to)
            && !to.is_below(from)
            && is_empty_below(&self.hidden_remote, from)
            && to
                .ancestors()
                .all(|above| self.remote.get(&above).is_none_or(|node| node.content == Content::Folder))
    }

    /// What is here and was never agreed on.
    fn new_here(&self) -> NewHere {
        let mut new = NewHere::default();
        for (path, node) in &self.local {
            if self.agreed.contains_key(path) || self.remote.contains_key(path) || self.made.contains(path) {
                continue;
            }
            new.by_inode.insert(node.mark.inode, (path.clone(), *node));
            if let Content::File { size, md5 } = node.content
                && size > 0
            {
                new.by_content.entry((size, md5)).or_default().push(path.clone());
            }
        }
        new
    }

    /// The folders above a new place that are not there yet.
    fn make_folders_for(&mut self, path: &RelPath, local: bool) {
        let mut above: Vec<RelPath> = path.ancestors().collect();
        above.reverse();
        for folder in above {
            if local && !self.local.contains_key(&folder) {
                let mark = LocalMark { inode: 0, size: 0, mtime_ns: 0, ctime_ns: 0, seen_ns: 0 };
                self.local.insert(folder.clone(), LocalNode { content: Content::Folder, mark });
                self.made.insert(folder.clone());
                self.plan.renames.push(Action::MakeLocalFolder(folder));
            } else if !local && !self.remote.contains_key(&folder) {
                self.remote.insert(folder.clone(), RemoteNode::promised_folder());
                self.made.insert(folder.clone());
                self.plan.renames.push(Action::MakeRemoteFolder(folder));
            }
        }
    }
}

fn is_inode(mark: &LocalMark, node: &LocalNode) -> bool {
    mark.inode == node.mark.inode
}

/// New local paths, by what shows where they came from.
#[derive(Default)]
struct NewHere {
    by_inode: HashMap<u64, (RelPath, LocalNode)>,
    by_content: HashMap<(u64, [u8; 16]), Vec<RelPath>>,
}

impl NewHere {
    fn find(&self, agreed: &Agreed) -> Option<RelPath> {
        let same_inode = agreed
            .mark
            .and_then(|mark| self.by_inode.get(&mark.inode))
            .filter(|(_, node)| node.content == agreed.content)
            .map(|(path, _)| path.clone());
        same_inode.or_else(|| match agreed.content {
            // Copied and the original deleted; of several copies none is the one.
            Content::File { size, md5 } => match self.by_content.get(&(size, md5)).map(Vec::as_slice) {
                Some([only]) => Some(only.clone()),
                _ => None,
            },
            Content::Folder => None,
        })
    }
}
