//! Contents that were kept before a run overwrote or deleted them, outside of the folder.
//!
//! A mirror's store is a directory of its own (0700) beside the vault; its files have random names, and
//! the vault's rows say what each is. What must stay true: a content is in the store, and its row is
//! committed, before the name it had is touched. So a file without a row is never the last of its
//! content but after a vault was put back from a backup, and is given a row all the same.

mod retention;
mod store;

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;

use super::MirrorError;
use super::hook::Hook;
use super::local::scan::sum;
use super::local::{Folder, Found, LocalError, is_same_file};
use super::path::RelPath;
use super::remote::{Remote, RemoteError};
use super::tree::RemoteNode;
use crate::clock::{Clock, Timestamp};
use crate::rng::Rng;
use crate::vault::{
    LocalMark, Mirror, MirrorBatch, MirrorContent as Content, MirrorVersion, NewMirrorVersion, Vault,
};

/// Seconds in which the same content of the same path is not kept a second time: an upload that is refused
/// time and again must not fill the store.
const RECENT: i64 = 3600;

pub use self::retention::Retention;
pub(super) use self::store::{Store, copy};

/// Why a content was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Another one was downloaded over it.
    ReplacedHere,
    /// It was deleted at Drive, and so here.
    DeletedHere,
    /// As [`Why::DeletedHere`], by a mirror that only pulls: the last one of a path is kept for ever.
    GoneAtDrive,
    /// Another one was uploaded over it.
    ReplacedAtDrive,
    /// It was deleted here, and so at Drive.
    DeletedAtDrive,
    /// It was found where a run was cut short.
    Recovered,
}

impl Why {
    /// The word for it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::ReplacedHere => "replaced_here",
            Self::DeletedHere => "deleted_here",
            Self::GoneAtDrive => "gone_at_drive",
            Self::ReplacedAtDrive => "replaced_at_drive",
            Self::DeletedAtDrive => "deleted_at_drive",
            Self::Recovered => "recovered",
        }
    }
}

/// Why a content could not be kept. Nothing was overwritten or deleted then.
#[derive(Debug)]
pub(super) enum KeepError {
    Local(LocalError),
    Remote(RemoteError),
    Vault(crate::vault::VaultError),
}

impl From<LocalError> for KeepError {
    fn from(error: LocalError) -> Self {
        Self::Local(error)
    }
}

impl From<std::io::Error> for KeepError {
    fn from(error: std::io::Error) -> Self {
        Self::Local(error.into())
    }
}

impl From<crate::vault::VaultError> for KeepError {
    fn from(error: crate::vault::VaultError) -> Self {
        Self::Vault(error)
    }
}

/// The kept contents of one mirror.
#[derive(Debug)]
pub(super) struct Versions {
    vault: Vault,
    mirror: Mirror,
    store: Arc<Store>,
    clock: Clock,
    rng: Rng,
    hook: Hook,
    /// What is in files of its own: path, size and MD5, with the file's name and when it was kept. Filled when
    /// first asked for.
    own: OnceCell<Mutex<HashMap<Kept, (String, Timestamp)>>>,
}

type Kept = (String, u64, [u8; 16]);

impl Versions {
    /// Opens the store of a mirror below `data`, making it if it is not there.
    pub(super) fn open(
        vault: &Vault,
        mirror: &Mirror,
        data: &Path,
        (clock, rng): (&Clock, &Rng),
        hook: &Hook,
    ) -> Result<Self, LocalError> {
        Ok(Self {
            vault: vault.clone(),
            mirror: mirror.clone(),
            store: Arc::new(Store::open(data, &mirror.store)?),
            clock: clock.clone(),
            rng: rng.clone(),
            hook: hook.clone(),
            own: OnceCell::new(),
        })
    }

    /// The same store for a later revision of the mirror. Not opened anew: it may have been forgotten meanwhile,
    /// and must not come back.
    pub(super) fn for_revision(self, mirror: &Mirror) -> Self {
        Self { mirror: mirror.clone(), ..self }
    }

    fn new_name(&self) -> String {
        self.rng.token(12)
    }

    /// Keeps the local file at the path, which must be the one that was seen and have that content.
    pub(super) async fn keep_local(
        &self,
        folder: &Arc<Folder>,
        path: &RelPath,
        seen: &LocalMark,
        content: Content,
        why: Why,
    ) -> Result<(), KeepError> {
        let Content::File { size, md5 } = content else { return Ok(()) };
        let (name, mark) = (self.new_name(), *seen);
        let (held, store, at, new) = (folder.clone(), self.store.clone(), path.clone(), name.clone());
        // By a second name where that can be had; the file's bytes may still be in memory only.
        let own = blocking(move || match held.link(&at, store.handle(), &new) {
            Ok(()) => {
                let found = store.stat(&new)?;
                if !is_same_file(&found.mark, &mark) {
                    store.remove(&new)?;
                    return Err(LocalError::Changed);
                }
                store.sync_file(&new)?;
                Ok(false)
            }
            Err(error @ (LocalError::Gone | LocalError::Changed | LocalError::Full)) => Err(error),
            Err(_) => store.copy(&held.open_file(&at, &mark)?, &new, Some((size, md5))).map(|_| true),
        })
        .await?;
        self.hook.at("keep local: row").await;
        self.add(NewMirrorVersion { own, ..self.version(name, path.as_str(), size, md5, why) }).await
    }

    /// Keeps the content of a file at Drive, which must be the one that was listed.
    pub(super) async fn keep_remote(
        &self,
        remote: &impl Remote,
        path: &RelPath,
        node: &RemoteNode,
        why: Why,
    ) -> Result<(), KeepError> {
        let Content::File { size, md5 } = node.content else { return Ok(()) };
        let (unfinished, file) = self.store.begin(&self.new_name())?;
        let mut file = tokio::fs::File::from_std(file);
        self.hook.at("keep remote: download").await;
        let arrived = remote.download(node, &mut file).await;
        let outcome = match arrived {
            Ok(arrived) if (arrived.size, arrived.md5) == (size, md5) => Ok(()),
            Ok(_) => Err(KeepError::Local(LocalError::Changed)),
            Err(error) => Err(KeepError::Remote(error)),
        };
        if let Err(error) = outcome {
            self.store.remove(&unfinished)?;
            return Err(error);
        }
        // Downloaded all the same: it shows that this is what Drive still has. But an upload that is refused
        // time and again must not fill the store.
        if self.is_kept(path, size, md5).await? {
            return Ok(self.store.remove(&unfinished)?);
        }
        let (store, name, from) = (self.store.clone(), self.new_name(), unfinished);
        let (file, new) = (file.into_std().await, name.clone());
        self.hook.at("keep remote: finish").await;
        blocking(move || store.finish(&file, &from, &new)).await?;
        self.hook.at("keep remote: row").await;
        self.add(self.version(name, path.as_str(), size, md5, why)).await
    }

    /// Keeps what an interrupted run left in the folder's private folder.
    pub(super) async fn keep_leftover(&self, folder: &Arc<Folder>, leftover: &str) -> Result<(), KeepError> {
        let name = self.new_name();
        let (held, store, from, new) =
            (folder.clone(), self.store.clone(), leftover.to_owned(), name.clone());
        let (size, md5, own) = blocking(move || match held.link_private(&from, store.handle(), &new) {
            Ok(()) => {
                store.sync_file(&new)?;
                let (size, md5) = sum(&mut store.open_file(&new)?)?;
                Ok((size, md5, false))
            }
            Err(_) => store.copy(&held.open_private(&from)?, &new, None).map(|(size, md5)| (size, md5, true)),
        })
        .await?;
        self.hook.at("keep leftover: row").await;
        let version = self.version(name, &format!("recovered/{leftover}"), size, md5, Why::Recovered);
        self.add(NewMirrorVersion { own, ..version }).await
    }

    /// Whether a file is in the store under another name, and its row says that it has this content.
    pub(super) async fn holds(&self, file: &Found, size: u64, md5: [u8; 16]) -> Result<bool, KeepError> {
        let Some(name) = self.store.name_of(file)? else { return Ok(false) };
        let versions = self.vault.load_mirror_versions(self.mirror.id).await?;
        let kept = versions.iter().map(|version| &version.kept).find(|kept| kept.file == name);
        Ok(kept.is_some_and(|kept| (kept.size, kept.md5) == (size, md5)))
    }

    /// Removes what no keep has finished, and gives a row to each file that has none.
    pub(super) async fn tidy(&self) -> Result<(), KeepError> {
        let known: std::collections::HashSet<String> =
            self.vault.load_mirror_version_files(self.mirror.id).await?.into_iter().collect();
        for name in self.store.names()? {
            if store::is_unfinished(&name) {
                self.store.remove(&name)?;
            } else if !known.contains(&name) {
                let (store, file) = (self.store.clone(), name.clone());
                let (size, md5) = blocking(move || sum(&mut store.open_file(&file)?)).await?;
                let version = self.version(name, "recovered/version", size, md5, Why::Recovered);
                self.add(NewMirrorVersion { own: false, ..version }).await?;
            }
        }
        Ok(())
    }

    /// Whether this very content of the path is in the store, in a file that nobody else can write to.
    async fn is_kept(&self, path: &RelPath, size: u64, md5: [u8; 16]) -> Result<bool, KeepError> {
        let own = self
            .own
            .get_or_try_init(async || {
                let versions = self.vault.load_mirror_versions(self.mirror.id).await?;
                let own = versions.into_iter().map(|version| version.kept).filter(|kept| kept.own);
                let own =
                    own.map(|kept| ((kept.path, kept.size, kept.md5), (kept.file, kept.kept_at))).collect();
                Ok::<_, crate::vault::VaultError>(Mutex::new(own))
            })
            .await?;
        let kept = lock(own).get(&(path.to_string(), size, md5)).cloned();
        // An older one may be past its time before its owner misses what goes now.
        let recent = |kept_at: Timestamp| self.clock.now().since(kept_at) < RECENT;
        Ok(kept.is_some_and(|(file, kept_at)| {
            recent(kept_at) && self.store.stat(&file).is_ok_and(|found| found.mark.size == size)
        }))
    }

    fn version(&self, file: String, path: &str, size: u64, md5: [u8; 16], why: Why) -> NewMirrorVersion {
        let (path, why, kept_at) = (path.to_owned(), why.code().to_owned(), self.clock.now());
        NewMirrorVersion { file, path, md5, size, why, kept_at, own: true }
    }

    async fn add(&self, version: NewMirrorVersion) -> Result<(), KeepError> {
        let batch = MirrorBatch { put_versions: vec![version.clone()], ..MirrorBatch::default() };
        self.vault.record_mirror(&self.mirror, batch).await?;
        if let (true, Some(own)) = (version.own, self.own.get()) {
            lock(own).insert((version.path, version.size, version.md5), (version.file, version.kept_at));
        }
        Ok(())
    }

    /// Every kept content, oldest first.
    pub(super) async fn list(&self) -> Result<Vec<MirrorVersion>, MirrorError> {
        Ok(self.vault.load_mirror_versions(self.mirror.id).await?)
    }

    /// Opens a kept content for reading.
    pub(super) fn open_version(&self, version: &MirrorVersion) -> Result<File, LocalError> {
        self.store.open_file(&version.kept.file)
    }

    /// Removes versions that are past their time, or too many.
    pub(super) async fn expire(&self, retention: Retention) -> Result<usize, KeepError> {
        let versions = self.vault.load_mirror_versions(self.mirror.id).await?;
        let expired = retention.expired(&versions, self.clock.now());
        if expired.is_empty() {
            return Ok(0);
        }
        let drop_versions = expired.iter().map(|version| version.id).collect();
        let batch = MirrorBatch { drop_versions, ..MirrorBatch::default() };
        self.vault.record_mirror(&self.mirror, batch).await?;
        for version in &expired {
            self.store.remove(&version.kept.file)?;
        }
        Ok(expired.len())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs what may take long on a thread that may wait.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LocalError> + Send + 'static,
) -> Result<T, LocalError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(LocalError::Io(error.to_string())))
}
