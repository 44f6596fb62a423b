//! Where the two sides hold different things at one path, and neither can simply replace the other.
//!
//! After this no path has a file on one side and a folder on the other, and no file was changed on both.

use super::super::path::{RelPath, below, beside, move_tree, take_tree};
use super::super::problem::{Matter, Problem};
use super::{Action, Planning};
use crate::config::Direction;
use crate::vault::MirrorContent as Content;

/// Who gives way at a path.
enum GivesWay {
    Local,
    Remote,
    /// The local one, under another name.
    Renamed,
    /// Nobody can; the path is left alone.
    Nobody,
}

impl Planning {
    pub(super) fn settle_clashes(&mut self) {
        // Top down; what was settled takes what is below it out of the question.
        let mut from = None;
        while let Some(path) = self.next_clash(from.as_ref()) {
            match self.who_gives_way(&path) {
                Some(GivesWay::Local) => self.clear_local(&path),
                Some(GivesWay::Remote) => self.clear_remote(&path),
                Some(GivesWay::Renamed) => self.set_aside(&path),
                Some(GivesWay::Nobody) => self.leave_alone(&path),
                None => {}
            }
            from = Some(path);
        }
    }

    /// The next path after `from` that both sides hold with different contents.
    fn next_clash(&self, from: Option<&RelPath>) -> Option<RelPath> {
        let after = from.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        self.local
            .range::<RelPath, _>((after, std::ops::Bound::Unbounded))
            .find(|(path, node)| self.remote.get(path).is_some_and(|there| there.content != node.content))
            .map(|(path, _)| path.clone())
    }

    /// `None` when the one can replace the other's content in place.
    fn who_gives_way(&self, path: &RelPath) -> Option<GivesWay> {
        let (here, there) = (self.local[path].content, self.remote[path].content);
        let (same_here, same_there) = (self.is_same_local(path), self.is_same_remote(path));
        let both_files = here != Content::Folder && there != Content::Folder;
        let way = match self.direction {
            Direction::Both if same_here => GivesWay::Local,
            Direction::Both if same_there => GivesWay::Remote,
            Direction::Pull if same_here => GivesWay::Local,
            Direction::Push => GivesWay::Remote,
            Direction::Both | Direction::Pull => GivesWay::Renamed,
        };
        match way {
            GivesWay::Local | GivesWay::Remote if both_files => None,
            GivesWay::Local if !self.can_clear_local(path) => Some(GivesWay::Renamed),
            GivesWay::Remote if !self.can_clear_remote(path) => Some(match self.direction {
                Direction::Push => GivesWay::Nobody,
                Direction::Both | Direction::Pull => GivesWay::Renamed,
            }),
            way => Some(way),
        }
    }

    /// Whether everything here at and below the path is as agreed on, so that it may go.
    fn can_clear_local(&self, path: &RelPath) -> bool {
        !self.opaque_local.iter().any(|opaque| opaque.is_within(path))
            && below(&self.blocked, path).next().is_none()
            && below(&self.local, path).all(|(below, _)| self.is_same_local(below))
    }

    fn can_clear_remote(&self, path: &RelPath) -> bool {
        self.is_same_remote(path)
            && !self.opaque_remote.contains(path)
            && below(&self.hidden_remote, path).next().is_none()
            && below(&self.remote, path)
                .all(|(below, _)| self.is_same_remote(below) && !self.made.contains(below))
    }

    fn clear_local(&mut self, path: &RelPath) {
        let mut gone = take_tree(&mut self.local, path);
        take_tree(&mut self.agreed, path);
        gone.sort_by(|(a, _), (b, _)| b.cmp(a));
        for (path, node) in gone {
            self.plan.clearing.push(match node.content {
                Content::Folder => Action::RemoveLocalFolder(path),
                Content::File { .. } => Action::DeleteLocal { path, node },
            });
        }
    }

    fn clear_remote(&mut self, path: &RelPath) {
        let mut gone = take_tree(&mut self.remote, path);
        take_tree(&mut self.agreed, path);
        gone.sort_by(|(a, _), (b, _)| b.cmp(a));
        for (path, node) in gone {
            self.plan.clearing.push(match node.content {
                Content::Folder => Action::RemoveRemoteFolder { path, node },
                Content::File { .. } => Action::DeleteRemote { path, node },
            });
        }
    }

    /// From here on the path is one that only Drive has ever had.
    fn set_aside(&mut self, path: &RelPath) {
        let to = self.conflict_path(path);
        let node = self.local[path];
        move_tree(&mut self.local, path, &to);
        take_tree(&mut self.agreed, path);
        self.plan
            .problems
            .push(Problem { path: path.to_string(), matter: Matter::Conflict { kept_as: to.to_string() } });
        self.plan.renames.push(Action::SetAside { from: path.clone(), to, node });
    }

    fn conflict_path(&mut self, path: &RelPath) -> RelPath {
        beside(path, &format!("conflict {}", self.stamp))
            .find(|candidate| {
                !self.is_blocked(candidate) && self.taken.insert(self.likeness.key(candidate.as_str()))
            })
            .expect("of endlessly many names one is free")
    }

    fn leave_alone(&mut self, path: &RelPath) {
        self.plan.problems.push(Problem { path: path.to_string(), matter: Matter::InTheWay });
        take_tree(&mut self.local, path);
        take_tree(&mut self.agreed, path);
        let hidden = take_tree(&mut self.remote, path);
        self.hidden_remote.extend(hidden.into_iter().map(|(path, _)| (path, ())));
        self.blocked.insert(path.clone(), ());
    }
}
