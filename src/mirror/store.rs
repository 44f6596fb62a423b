//! Looking into the kept versions, bringing one back, and forgetting all of them.

use std::io::Seek as _;
use std::sync::Arc;

use super::local::scan::DEEPEST;
use super::path::{RelPath, beside, is_marker, is_reserved};
use super::run::{keep_error, stamp};
use super::versions::{KeepError, Store, Versions, blocking, copy};
use super::{MirrorError, Mirrors, Target};
use crate::clock::Timestamp;
use crate::ids::UserId;
use crate::vault::{Mirror, MirrorBatch, MirrorVersion};

/// A content that was kept. `Debug` leaves the path out: it is personal.
#[derive(Clone, PartialEq, Eq)]
pub struct KeptVersion {
    /// By which it is asked for.
    pub id: i64,
    /// Where it was, below the folder.
    pub path: String,
    /// In bytes.
    pub size: u64,
    /// Of the content.
    pub md5: [u8; 16],
    /// When it was kept.
    pub kept_at: Timestamp,
    /// Why, as a word: see [`super::Why::code`].
    pub why: String,
}

impl std::fmt::Debug for KeptVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeptVersion").field("id", &self.id).field("why", &self.why).finish_non_exhaustive()
    }
}

impl From<MirrorVersion> for KeptVersion {
    fn from(version: MirrorVersion) -> Self {
        let MirrorVersion { id, kept } = version;
        Self { id, path: kept.path, size: kept.size, md5: kept.md5, kept_at: kept.kept_at, why: kept.why }
    }
}

impl Mirrors {
    /// Every kept version of a mirror, oldest first.
    ///
    /// # Errors
    /// [`MirrorError::NotFound`] when the mirror has never run.
    pub async fn versions(&self, target: &Target) -> Result<Vec<KeptVersion>, MirrorError> {
        let mirror = self.mirror(target).await?;
        Ok(self.0.vault.load_mirror_versions(mirror.id).await?.into_iter().map(Into::into).collect())
    }

    /// Opens a kept version for reading.
    ///
    /// # Errors
    /// [`MirrorError::NotFound`] when there is none of this id.
    pub async fn open_version(
        &self,
        target: &Target,
        id: i64,
    ) -> Result<(KeptVersion, std::fs::File), MirrorError> {
        let (versions, version) = self.version(&self.mirror(target).await?, id).await?;
        let file =
            versions.open_version(&version).map_err(MirrorError::local("the kept version cannot be read"))?;
        Ok((version.into(), file))
    }

    /// Puts a copy of a kept version back into the folder: at its path, or where `to` says. What stands
    /// there stays, and the copy gets a name beside it. Returns where it is now.
    ///
    /// # Errors
    /// [`MirrorError::NotFound`] when there is none of this id, [`MirrorError::Busy`] during a run.
    pub async fn restore(
        &self,
        target: &Target,
        id: i64,
        to: Option<&RelPath>,
    ) -> Result<RelPath, MirrorError> {
        let folder = self.0.open_folder(&target.folder)?;
        let mirror = self.mirror(target).await?;
        let marker = folder.marker().map_err(MirrorError::local("the marker file cannot be read"))?;
        match marker {
            Some(marker) if marker == mirror.marker => {}
            Some(_) => return Err(MirrorError::OtherMirror(target.folder.clone())),
            None => return Err(MirrorError::NoMarker(target.folder.clone())),
        }
        let (versions, version) = self.version(&mirror, id).await?;
        let wanted = to.cloned().or_else(|| RelPath::parse(&version.kept.path));
        let wanted = wanted.ok_or(MirrorError::NotFound("path to restore it to"))?;
        let mut names = wanted.as_str().split('/');
        if names.clone().any(is_marker) || names.next().is_some_and(is_reserved) {
            return Err(MirrorError::NotFound("path to restore it to: the name is the mirror's own"));
        }
        // What no run would look at is no place for it.
        if wanted.parent().is_some_and(|folder| folder.depth() > DEEPEST) {
            return Err(MirrorError::NotFound("path to restore it to: it has too many folders"));
        }
        let stamp = stamp(version.kept.kept_at);
        let expected = (version.kept.size, version.kept.md5);
        let work = move || {
            folder.prepare()?;
            let (name, mut copied) = folder.temporary()?;
            let mut put = || {
                let mut source = versions.open_version(&version)?;
                source.rewind()?;
                if copy(&mut source, &mut copied)? != expected {
                    // A second name of a file that somebody went on writing to. It is all there is.
                    tracing::warn!(
                        version = version.id,
                        "a kept version is not what it was when it was kept"
                    );
                }
                copied.sync_all()?;
                let mut above: Vec<RelPath> = wanted.ancestors().collect();
                above.reverse();
                for parent in &above {
                    folder.make_folder(parent)?;
                }
                let places =
                    std::iter::once(wanted.clone()).chain(beside(&wanted, &format!("restored {stamp}")));
                folder.place_first(&name, places)
            };
            let place = put().inspect_err(|_| {
                // The failure is what counts; a run sweeps up what is left.
                let _ = folder.drop_private(&name);
            })?;
            folder.sync()?;
            Ok(place)
        };
        blocking(work).await.map_err(MirrorError::local("the kept version cannot be put back"))
    }

    /// Forgets the mirrors of a person, of one project or of all: the kept versions and everything the
    /// vault knows. The folders stay as they are. To be called before the person's rows are deleted.
    ///
    /// # Errors
    /// When the store or the rows cannot be deleted; calling it again goes on.
    pub async fn forget(&self, user: UserId, project: Option<&str>) -> Result<(), MirrorError> {
        let mirrors = self.0.vault.load_mirrors_of(user).await?;
        for mirror in
            mirrors.into_iter().filter(|mirror| project.is_none_or(|wanted| mirror.project == wanted))
        {
            // A run that is under way cannot record anything any more.
            let mirror = self.0.vault.save_mirror(&mirror, MirrorBatch::default()).await?;
            let store = Store::path(&self.0.data, &mirror.store);
            let remove = move || match std::fs::remove_dir_all(store) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
                outcome => Ok(outcome?),
            };
            blocking(remove).await.map_err(MirrorError::local("the kept versions cannot be deleted"))?;
            self.0.vault.delete_mirror(mirror.id).await?;
        }
        Ok(())
    }

    async fn mirror(&self, target: &Target) -> Result<Mirror, MirrorError> {
        let found = self.0.vault.load_mirror(target.user, &target.project).await?;
        found.ok_or(MirrorError::NotFound("mirror: it has not run yet"))
    }

    async fn version(&self, mirror: &Mirror, id: i64) -> Result<(Arc<Versions>, MirrorVersion), MirrorError> {
        let inner = &self.0;
        let versions =
            Versions::open(&inner.vault, mirror, &inner.data, (&inner.clock, &inner.rng), &inner.hook)
                .map_err(|error| keep_error("the kept versions cannot be opened")(KeepError::Local(error)))?;
        let found = versions.list().await?.into_iter().find(|version| version.id == id);
        Ok((Arc::new(versions), found.ok_or(MirrorError::NotFound("version"))?))
    }
}
