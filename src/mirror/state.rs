//! What Drive holds, kept between runs and brought up to date by the changes feed.
//!
//! The listing and the page token it belongs to are committed together. What a run does at Drive is
//! written into the listing with it, so that a feed that lags behind cannot pass for a deletion; for the
//! same reason a change older than what is known is passed over.

use super::MirrorError;
use super::hook::Hook;
use super::remote::{Remote, RemoteError};
use super::tree::Listing;
use crate::google::drive::{Change, ChangesEnd, DriveFile, FileId, FileKind, PageToken};
use crate::vault::{Mirror, MirrorBatch, MirrorContent as Content, RemoteRecord, Vault};

/// Rows written in one transaction: other writers wait for it.
const ROWS: usize = 1000;

/// Drive as of a page token.
#[derive(Debug)]
pub(super) struct RemoteState {
    pub(super) root: FileId,
    pub(super) listing: Listing,
    pub(super) token: PageToken,
    /// The appDataFolder is another one than before: what was agreed on was about another place.
    pub(super) is_new_root: bool,
    /// What differs from the stored listing.
    unsaved: MirrorBatch,
}

impl RemoteState {
    /// Asks Drive what it holds: two requests where the feed goes on, else a whole listing.
    pub(super) async fn fetch(
        vault: &Vault,
        mirror: &Mirror,
        remote: &impl Remote,
        hook: &Hook,
    ) -> Result<Self, MirrorError> {
        hook.at("root").await;
        let root = remote.root().await?;
        let is_new_root = mirror.root.as_deref().is_some_and(|known| known != root.as_str());
        if let (Some(token), false) = (&mirror.page_token, is_new_root) {
            let rows = vault.load_mirror_remote(mirror.id).await?;
            let listing = rows.into_iter().map(|record| (record.id.clone(), record)).collect();
            let token = PageToken(token.clone());
            let mut state =
                Self { root: root.clone(), listing, token, is_new_root, unsaved: MirrorBatch::default() };
            match state.follow(remote, hook).await {
                Err(RemoteError::PageTokenRefused) => {}
                outcome => return Ok(outcome.map(|()| state)?),
            }
        }
        // The token first: what changes during the listing is in the feed after it.
        hook.at("start page token").await;
        let token = remote.start_page_token().await?;
        let unsaved = MirrorBatch { clear_remote: true, ..MirrorBatch::default() };
        let mut state = Self { root, listing: Listing::new(), token, is_new_root, unsaved };
        let known: Vec<String> = if is_new_root {
            vec![]
        } else {
            let entries = vault.load_mirror_entries(mirror.id).await?;
            entries.into_iter().map(|entry| entry.remote).collect()
        };
        state.list(remote, hook).await?;
        // Pages are no snapshot: what is made or deleted between two of them can make a third file fall between
        // them, and a file that is missing here would be deleted in the folder. It must be missing twice.
        if !state.is_whole(&known) {
            state.list(remote, hook).await?;
        }
        state.follow(remote, hook).await?;
        Ok(state)
    }

    /// Adds what one whole listing shows.
    async fn list(&mut self, remote: &impl Remote, hook: &Hook) -> Result<(), RemoteError> {
        let mut page = None;
        loop {
            hook.at("list").await;
            let found = remote.list(page.as_ref()).await?;
            found.items.iter().for_each(|file| self.put(file));
            match found.next {
                Some(next) => page = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// Whether all that was agreed on is in the listing, and the folder of each of its files.
    fn is_whole(&self, known: &[String]) -> bool {
        let is_there = |id: &str| id == self.root.as_str() || self.listing.contains_key(id);
        known.iter().all(|id| is_there(id))
            && self.listing.values().all(|record| record.parent.as_deref().is_none_or(is_there))
    }

    async fn follow(&mut self, remote: &impl Remote, hook: &Hook) -> Result<(), RemoteError> {
        loop {
            hook.at("changes").await;
            let page = remote.changes(&self.token).await?;
            for Change { id, file } in page.changes {
                match file {
                    Some(file) => self.put(&file),
                    None => {
                        if self.listing.remove(id.as_str()).is_some() {
                            self.unsaved.drop_remote.push(id.to_string());
                            self.unsaved.put_remote.retain(|record| record.id != id.as_str());
                        }
                    }
                }
            }
            match page.end {
                ChangesEnd::More(next) => self.token = next,
                ChangesEnd::Done(next) => {
                    self.token = next;
                    return Ok(());
                }
            }
        }
    }

    fn put(&mut self, file: &DriveFile) {
        let record = record_of(file);
        let known = self.listing.get(&record.id);
        if known.is_some_and(|known| known.version > record.version || *known == record) {
            return;
        }
        self.unsaved.put_remote.push(record.clone());
        self.listing.insert(record.id.clone(), record);
    }

    /// Commits the listing with its token. Returns the mirror as it is stored from then on.
    pub(super) async fn save(
        &mut self,
        vault: &Vault,
        mirror: Mirror,
        hook: &Hook,
    ) -> Result<Mirror, MirrorError> {
        let mut batch = std::mem::take(&mut self.unsaved);
        let mut next = mirror;
        let is_current = next.root.as_deref() == Some(self.root.as_str())
            && next.page_token.as_deref() == Some(&*self.token.0);
        if is_current && batch.is_empty() {
            return Ok(next);
        }
        if batch.put_remote.len() > ROWS {
            // Until the last of them is written there is no token, and a crash means a new listing.
            next.page_token = None;
            while batch.put_remote.len() > ROWS {
                let rest = batch.put_remote.split_off(ROWS);
                let part =
                    std::mem::replace(&mut batch, MirrorBatch { put_remote: rest, ..MirrorBatch::default() });
                hook.at("save part of the listing").await;
                next = vault.save_mirror(&next, part).await?;
            }
        }
        next.root = Some(self.root.to_string());
        next.page_token = Some(self.token.0.clone());
        hook.at("save the listing").await;
        Ok(vault.save_mirror(&next, batch).await?)
    }
}

/// A file of Drive's as it is kept.
pub(super) fn record_of(file: &DriveFile) -> RemoteRecord {
    RemoteRecord {
        id: file.id.to_string(),
        name: file.name.clone(),
        parent: file.parent.as_ref().map(ToString::to_string),
        content: match file.kind {
            FileKind::Folder => Some(Content::Folder),
            FileKind::File { size, md5, .. } => Some(Content::File { size, md5 }),
            FileKind::Other => None,
        },
        modified_ms: file.modified_ms,
        created_ms: file.created_ms,
        version: file.version,
    }
}
