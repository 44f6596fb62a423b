//! The decision about each path, once renames and clashes are out of the way.

use std::collections::BTreeSet;

use super::super::path::RelPath;
use super::{Action, Agreed, Planning, is_empty_below};
use crate::config::Direction;
use crate::vault::MirrorContent as Content;

/// What happens to a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Decision {
    /// Both sides have it.
    Agree,
    /// Nothing, and nothing is agreed on.
    Leave,
    Upload,
    Download,
    DeleteLocal,
    DeleteRemote,
}

impl Planning {
    pub(super) fn decide(&mut self) {
        let paths: BTreeSet<RelPath> =
            self.local.keys().chain(self.remote.keys()).chain(self.stored.keys()).cloned().collect();
        let mut folders = Vec::new();
        for path in paths {
            if self.made.contains(&path) {
                self.stays_local.insert(path.clone(), ());
                self.stays_remote.insert(path, ());
            } else if self.is_folder(&path) {
                folders.push(path);
            } else {
                self.decide_file(path);
            }
        }
        self.stays_local.extend(self.blocked.clone());
        self.stays_remote.extend(self.hidden_remote.clone());
        // The deepest first: what is in a folder decides whether it can go.
        for path in folders.into_iter().rev() {
            self.decide_folder(path);
        }
        self.plan.folders.sort_by(|a, b| a.path().cmp(b.path()));
    }

    fn is_folder(&self, path: &RelPath) -> bool {
        let here = self.local.get(path).map(|node| node.content);
        let there = self.remote.get(path).map(|node| node.content);
        here.or(there) == Some(Content::Folder)
    }

    fn decide_file(&mut self, path: RelPath) {
        let here = self.local.get(&path).copied();
        let there = self.remote.get(&path).cloned();
        let is_equal = here.map(|node| node.content) == there.as_ref().map(|node| node.content);
        let decision = match self.direction {
            _ if here.is_none() && there.is_none() => {
                return self.forget(path);
            }
            _ if is_equal => Decision::Agree,
            Direction::Both => self.decide_both(&path),
            Direction::Pull => self.decide_pull(&path),
            Direction::Push => self.decide_push(&path),
        };
        if here.is_some() && decision != Decision::DeleteLocal || decision == Decision::Download {
            self.stays_local.insert(path.clone(), ());
        }
        if there.is_some() && decision != Decision::DeleteRemote || decision == Decision::Upload {
            self.stays_remote.insert(path.clone(), ());
        }
        match (decision, here, there) {
            (Decision::Agree, ..) => self.agree(path),
            (Decision::Upload, Some(node), over) => {
                self.plan.transfers.push(Action::Upload { path, node, over });
            }
            (Decision::Download, over, Some(node)) => {
                self.plan.transfers.push(Action::Download { path, node, over });
            }
            (Decision::DeleteLocal, Some(node), _) => {
                self.plan.deletes.push(Action::DeleteLocal { path, node });
            }
            (Decision::DeleteRemote, _, Some(node)) => {
                self.plan.deletes.push(Action::DeleteRemote { path, node });
            }
            _ => self.forget(path),
        }
    }

    fn decide_both(&self, path: &RelPath) -> Decision {
        let (here, there) = (self.local.contains_key(path), self.remote.contains_key(path));
        let (same_here, same_there) = (self.is_same_local(path), self.is_same_remote(path));
        match (here, there) {
            (true, true) if same_here => Decision::Download,
            // Both changed was settled before: Drive is as agreed on.
            (true, true) => Decision::Upload,
            (true, false) if same_here => Decision::DeleteLocal,
            (true, false) => Decision::Upload,
            (false, _) if same_there => Decision::DeleteRemote,
            (false, _) => Decision::Download,
        }
    }

    fn decide_pull(&self, path: &RelPath) -> Decision {
        match (self.local.contains_key(path), self.remote.contains_key(path)) {
            (_, true) => Decision::Download,
            (true, false) if self.is_same_local(path) => Decision::DeleteLocal,
            (_, false) => Decision::Leave,
        }
    }

    fn decide_push(&self, path: &RelPath) -> Decision {
        match self.local.contains_key(path) {
            true => Decision::Upload,
            false if self.is_same_remote(path) => Decision::DeleteRemote,
            false => Decision::Leave,
        }
    }

    fn decide_folder(&mut self, path: RelPath) {
        let here = self.local.contains_key(&path);
        let there = self.remote.get(&path).cloned();
        let was = self.agreed.get(&path).is_some_and(|agreed| agreed.content == Content::Folder);
        let goes_here = was && is_empty_below(&self.stays_local, &path) && !self.opaque_local.contains(&path);
        let goes_there =
            was && is_empty_below(&self.stays_remote, &path) && !self.opaque_remote.contains(&path);
        let (mut stays_here, mut stays_there) = (here, there.is_some());
        match (here, there, self.direction) {
            (true, Some(_), _) => self.agree(path.clone()),
            (true, None, Direction::Both | Direction::Pull) if goes_here => {
                stays_here = false;
                self.plan.removals.push(Action::RemoveLocalFolder(path.clone()));
            }
            (false, Some(node), Direction::Both | Direction::Push) if goes_there => {
                stays_there = false;
                self.plan.removals.push(Action::RemoveRemoteFolder { path: path.clone(), node });
            }
            (true, None, Direction::Both | Direction::Push) => {
                stays_there = true;
                self.plan.folders.push(Action::MakeRemoteFolder(path.clone()));
            }
            (false, Some(_), Direction::Both | Direction::Pull) => {
                stays_here = true;
                self.plan.folders.push(Action::MakeLocalFolder(path.clone()));
            }
            (true, None, Direction::Pull) | (false, Some(_), Direction::Push) | (false, None, _) => {
                self.forget(path.clone());
            }
        }
        if stays_here {
            self.stays_local.insert(path.clone(), ());
        }
        if stays_there {
            self.stays_remote.insert(path, ());
        }
    }

    /// Both sides have the same at the path.
    fn agree(&mut self, path: RelPath) {
        let (Some(here), Some(there)) = (self.local.get(&path), self.remote.get(&path)) else { return };
        let agreed =
            Agreed { remote: there.id.as_str().to_owned(), content: here.content, mark: Some(here.mark) };
        if self.stored.get(&path).is_none_or(|stored| !is_current(stored, &agreed)) {
            self.plan.adopt.push((path, agreed));
        }
    }

    fn forget(&mut self, path: RelPath) {
        if self.stored.contains_key(&path) && !self.is_blocked(&path) {
            self.plan.forget.push(path);
        }
    }
}

/// Whether the stored entry says the same and spares as much reading. Of a folder only the inode is of use.
fn is_current(stored: &Agreed, now: &Agreed) -> bool {
    let mark = |agreed: &Agreed| match agreed.content {
        Content::Folder => agreed.mark.map(|mark| (mark.inode, 0, 0, 0, 0)),
        Content::File { .. } => agreed.mark.map(|m| (m.inode, m.size, m.mtime_ns, m.ctime_ns, m.seen_ns)),
    };
    stored.remote == now.remote && stored.content == now.content && mark(stored) == mark(now)
}
