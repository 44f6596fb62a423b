//! Actions on names: folders, renames, and removals of folders.

use super::super::path::RelPath;
use super::super::problem::Matter;
use super::super::remote::{Remote, RemoteError};
use super::super::tree::RemoteNode;
use super::{Applier, Trouble};
use crate::vault::{LocalMark, MirrorContent as Content, RemoteRecord};

impl<R: Remote> Applier<'_, R> {
    pub(super) async fn make_local_folder(&self, path: &RelPath) -> Result<(), Trouble> {
        self.hook.at("make local folder").await;
        let found = self.folder.make_folder(path)?;
        let id = self.state().folders.get(path).cloned();
        if let Some(id) = id {
            let mark = LocalMark { inode: found.mark.inode, size: 0, mtime_ns: 0, ctime_ns: 0, seen_ns: 0 };
            self.record(path, &id, Content::Folder, Some(mark));
        }
        Ok(())
    }

    pub(super) async fn make_remote_folder(&self, path: &RelPath) -> Result<(), Trouble> {
        let (id, parent) = (self.next_id()?, self.parent_id(path)?);
        self.hook.at("make remote folder").await;
        match self.remote.create_folder(&id, path.name(), &parent).await {
            Ok(folder) => self.record_remote(&folder),
            // The id is this run's own: the answer to an earlier attempt was lost.
            Err(RemoteError::Exists) => self.state().batch.put_remote.push(RemoteRecord {
                id: id.to_string(),
                name: path.name().to_owned(),
                parent: Some(parent.to_string()),
                content: Some(Content::Folder),
                modified_ms: 0,
                created_ms: 0,
                version: 0,
            }),
            Err(error) => return Err(error.into()),
        }
        let found = self.folder.stat(path)?;
        let mark = found.map(|found| LocalMark {
            inode: found.mark.inode,
            size: 0,
            mtime_ns: 0,
            ctime_ns: 0,
            seen_ns: 0,
        });
        // A folder that went in the meantime is not agreed on: the next run takes it for a new one.
        if mark.is_some() {
            self.record(path, &id, Content::Folder, mark);
        }
        self.state().folders.insert(path.clone(), id);
        Ok(())
    }

    pub(super) async fn move_local(
        &self,
        from: &RelPath,
        to: &RelPath,
        seen: &LocalMark,
    ) -> Result<(), Trouble> {
        self.hook.at("rename").await;
        Ok(self.folder.rename(from, to, seen)?)
    }

    pub(super) async fn move_remote(
        &self,
        from: &RelPath,
        to: &RelPath,
        node: &RemoteNode,
    ) -> Result<(), Trouble> {
        let parent = self.parent_id(to)?;
        self.hook.at("relocate").await;
        let moved = self.remote.relocate(&node.id, to.name(), &node.parent, &parent).await?;
        self.record_remote(&moved);
        let mut state = self.state();
        let below: Vec<RelPath> = state.folders.keys().filter(|path| path.is_within(from)).cloned().collect();
        for path in below {
            if let Some(id) = state.folders.remove(&path) {
                state.folders.insert(path.moved(from, to), id);
            }
        }
        Ok(())
    }

    pub(super) async fn remove_local_folder(&self, path: &RelPath) -> Result<(), Trouble> {
        self.hook.at("remove local folder").await;
        self.folder.remove_folder(path)?;
        self.record_gone(path);
        Ok(())
    }

    pub(super) async fn remove_remote_folder(
        &self,
        path: &RelPath,
        node: &RemoteNode,
    ) -> Result<(), Trouble> {
        // Somebody made it again in the meantime.
        if self.folder.stat(path)?.is_some_and(|found| found.kind == rustix::fs::FileType::Directory) {
            return Err(Trouble::Here(Matter::Changed));
        }
        // Drive deletes a folder with everything in it, and may hold what neither the listing nor the feed has
        // shown so far.
        self.hook.at("is the remote folder empty").await;
        match self.remote.is_empty_folder(&node.id).await {
            Ok(true) => {
                self.hook.at("remove remote folder").await;
                self.remote.delete(node).await?;
            }
            Err(RemoteError::Gone) => {}
            Ok(false) => return Err(Trouble::Here(Matter::Changed)),
            Err(error) => return Err(error.into()),
        }
        self.record_remote_gone(&node.id);
        self.record_gone(path);
        self.state().folders.remove(path);
        Ok(())
    }
}
