//! Actions on contents: downloads, uploads and deletions of files.

use super::super::local::{LocalError, is_same_file, set_mode, set_modified, stat_file};
use super::super::path::{RelPath, beside};
use super::super::plan::LocalNode;
use super::super::problem::Matter;
use super::super::remote::{NewRemoteFile, Outgoing, Remote, RemoteError};
use super::super::tree::RemoteNode;
use super::super::versions::{Why, blocking};
use super::{Applier, Trouble};
use crate::config::Direction;
use crate::google::drive::{DriveFile, FileKind};
use crate::vault::MirrorContent as Content;

impl<R: Remote> Applier<'_, R> {
    pub(super) async fn download(
        &self,
        path: &RelPath,
        node: &RemoteNode,
        over: Option<&LocalNode>,
    ) -> Result<(), Trouble> {
        let name = self.fetch(path, node).await?;
        let outcome = match over {
            None => self.install_new(&name, path).await,
            Some(over) => self.install_over(&name, path, over).await,
        };
        if outcome.is_err() {
            self.folder.drop_private(&name)?;
        }
        outcome?;
        let found = self.folder.stat(path)?.ok_or(LocalError::Changed)?;
        // Only what was brought here is agreed on: another file at the path is a change.
        let mark = (Content::File { size: found.mark.size, md5: md5_of(node) } == node.content)
            .then_some(found.mark);
        self.record(path, &node.id, node.content, mark.filter(|mark| mark.mtime_ns == stamp(node)));
        Ok(())
    }

    /// Brings a content into the private folder, whole and on disk. Returns its name there.
    async fn fetch(&self, path: &RelPath, node: &RemoteNode) -> Result<String, Trouble> {
        self.hook.at("temporary").await;
        let (name, file) = self.folder.temporary()?;
        let mut file = tokio::fs::File::from_std(file);
        self.hook.at("download").await;
        let arrived = self.remote.download(node, &mut file).await;
        let file = file.into_std().await;
        let outcome = match arrived {
            Ok(arrived) if Content::File { size: arrived.size, md5: arrived.md5 } == node.content => Ok(()),
            // Changed at Drive since it was listed.
            Ok(_) => Err(Trouble::Here(Matter::Changed)),
            Err(error) => Err(error.into()),
        };
        let outcome = match outcome {
            Ok(()) => {
                self.hook.at("sync download").await;
                let (folder, path, modified_ms) = (self.folder.clone(), path.clone(), node.modified_ms);
                blocking(move || {
                    if let Some(there) = folder.stat(&path)? {
                        set_mode(&file, there.mode)?;
                    }
                    set_modified(&file, modified_ms)?;
                    Ok(file.sync_all()?)
                })
                .await
                .map_err(Trouble::from)
            }
            Err(trouble) => Err(trouble),
        };
        match outcome {
            Ok(()) => Ok(name),
            Err(trouble) => {
                self.folder.drop_private(&name)?;
                Err(trouble)
            }
        }
    }

    async fn install_new(&self, name: &str, path: &RelPath) -> Result<(), Trouble> {
        self.hook.at("install").await;
        Ok(self.folder.place(name, path)?)
    }

    async fn install_over(&self, name: &str, path: &RelPath, over: &LocalNode) -> Result<(), Trouble> {
        self.hook.at("keep local").await;
        self.versions.keep_local(self.folder, path, &over.mark, over.content, Why::ReplacedHere).await?;
        self.hook.at("promote").await;
        let swap = self.folder.promote(name, path)?;
        let new = self.folder.stat_private(&swap)?.mark;
        self.hook.at("exchange").await;
        if let Err(error) = self.folder.exchange(&swap, path) {
            self.folder.drop_private(&swap)?;
            return Err(error.into());
        }
        self.hook.at("look at what was replaced").await;
        let replaced = self.folder.stat_private(&swap)?;
        if is_same_file(&replaced.mark, &over.mark) {
            self.hook.at("drop what was replaced").await;
            return Ok(self.folder.drop_private(&swap)?);
        }
        // Another file by then: it goes back, and what came from Drive comes again with the next run.
        self.hook.at("exchange back").await;
        self.folder.exchange(&swap, path)?;
        // Unless somebody wrote into what came, in these few microseconds: then that is theirs.
        if is_same_file(&self.folder.stat_private(&swap)?.mark, &new) {
            self.folder.drop_private(&swap)?;
        } else {
            self.place_beside(&swap, path)?;
        }
        Err(Trouble::Here(Matter::Changed))
    }

    pub(super) async fn upload(
        &self,
        path: &RelPath,
        node: &LocalNode,
        over: Option<&RemoteNode>,
    ) -> Result<(), Trouble> {
        let parent = self.parent_id(path)?;
        if let Some(over) = over {
            self.hook.at("keep remote").await;
            self.versions.keep_remote(self.remote, path, over, Why::ReplacedAtDrive).await?;
        }
        self.hook.at("open").await;
        let content = self.folder.open_file(path, &node.mark)?;
        let watched = content.try_clone()?;
        let modified_ms = node.mark.mtime_ns.div_euclid(1_000_000);
        let outgoing = Outgoing { content, size: node.mark.size, modified_ms };
        self.hook.at("upload").await;
        let answer = match over {
            Some(over) => self.remote.update(over, outgoing).await,
            None => {
                let (id, name) = (self.next_id()?, path.name().to_owned());
                let new = NewRemoteFile { id, name, parent, modified_ms };
                self.remote.create(&new, outgoing).await
            }
        };
        let file = match answer {
            Ok(file) => file,
            // Done before, by an attempt whose answer was lost; the next run sees that both are equal.
            Err(RemoteError::Exists) if over.is_none() => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        self.record_remote(&file);
        let Some(sent) = content_of(&file) else {
            return Err(Trouble::Here(Matter::Failed("Drive made no file of it".into())));
        };
        let after = stat_file(&watched)?;
        let still_there = self.folder.stat(path)?.is_some_and(|found| found.mark == after.mark);
        let unchanged = sent == node.content && still_there && is_same_file(&after.mark, &node.mark);
        // Without its mark the file is read again by the next run, and is a change then.
        self.record(path, &file.id, sent, unchanged.then_some(after.mark));
        if unchanged { Ok(()) } else { Err(Trouble::Here(Matter::Changed)) }
    }

    pub(super) async fn delete_local(&self, path: &RelPath, node: &LocalNode) -> Result<(), Trouble> {
        let why = if self.direction == Direction::Pull { Why::GoneAtDrive } else { Why::DeletedHere };
        self.hook.at("keep local").await;
        self.versions.keep_local(self.folder, path, &node.mark, node.content, why).await?;
        self.hook.at("take").await;
        let taken = self.folder.take(path)?;
        self.hook.at("look at what was taken").await;
        if is_same_file(&self.folder.stat_private(&taken)?.mark, &node.mark) {
            self.hook.at("drop what was taken").await;
            self.folder.drop_private(&taken)?;
            self.record_gone(path);
            return Ok(());
        }
        // Another file by then, which nobody deleted.
        self.hook.at("put back").await;
        if self.folder.place(&taken, path).is_err() {
            self.place_beside(&taken, path)?;
        }
        Err(Trouble::Here(Matter::Changed))
    }

    /// Gives a file that somebody else just made a name beside the one that is taken.
    fn place_beside(&self, name: &str, path: &RelPath) -> Result<(), Trouble> {
        let note = format!("conflict {}", self.stamp);
        Ok(self.folder.place_first(name, beside(path, &note)).map(drop)?)
    }

    pub(super) async fn delete_remote(&self, path: &RelPath, node: &RemoteNode) -> Result<(), Trouble> {
        self.refuse_if_here(path)?;
        self.hook.at("keep remote").await;
        self.versions.keep_remote(self.remote, path, node, Why::DeletedAtDrive).await?;
        // It may have come back while its content was brought here.
        self.refuse_if_here(path)?;
        self.hook.at("delete remote").await;
        self.remote.delete(node).await?;
        self.record_remote_gone(&node.id);
        self.record_gone(path);
        Ok(())
    }

    fn refuse_if_here(&self, path: &RelPath) -> Result<(), Trouble> {
        match self.folder.stat(path) {
            Ok(None) => Ok(()),
            // A folder in its place, or a file in the place of a folder above it: that is why it goes.
            Ok(Some(found)) if found.kind == rustix::fs::FileType::Directory => Ok(()),
            Err(LocalError::Changed) => Ok(()),
            Ok(Some(_)) => Err(Trouble::Here(Matter::Changed)),
            Err(error) => Err(error.into()),
        }
    }
}

fn md5_of(node: &RemoteNode) -> [u8; 16] {
    match node.content {
        Content::File { md5, .. } => md5,
        Content::Folder => [0; 16],
    }
}

/// The mtime that a downloaded file is given.
fn stamp(node: &RemoteNode) -> i64 {
    node.modified_ms.saturating_mul(1_000_000)
}

fn content_of(file: &DriveFile) -> Option<Content> {
    match file.kind {
        FileKind::File { size, md5, .. } => Some(Content::File { size, md5 }),
        FileKind::Folder | FileKind::Other => None,
    }
}
