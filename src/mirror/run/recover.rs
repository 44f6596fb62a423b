//! What a run that was cut short left in the private folder.

use rustix::fs::FileType;

use super::super::MirrorError;
use super::super::local::LocalError;
use super::super::local::scan::sum;
use super::super::path::{RelPath, beside};
use super::super::state::RemoteState;
use super::super::versions::{KeepError, Versions, blocking};
use super::{Run, keep_error, stamp};
use crate::vault::MirrorContent as Content;

impl Run<'_> {
    /// Takes care of what a run that was cut short left behind.
    pub(super) async fn recover(&self, versions: &Versions, state: &RemoteState) -> Result<(), MirrorError> {
        let what = "what an interrupted run left cannot be kept";
        let leftovers = self.folder.leftovers().map_err(MirrorError::local(what))?;
        for name in &leftovers {
            let Some(called) = ["swap-", "out-"].iter().find_map(|kind| name.strip_prefix(kind)) else {
                continue;
            };
            self.inner.hook.at("recover").await;
            if self.is_kept_or_at_drive(versions, state, name).await.map_err(keep_error(what))? {
                self.folder.drop_private(name).map_err(MirrorError::local(what))?;
                continue;
            }
            // Somebody put it in the place of another file just when that one went. It is seen again.
            let called = called.split_once('-').map_or(called, |(_, called)| called);
            let place = RelPath::parse(called).ok_or(LocalError::Changed).and_then(|called| {
                let note = format!("recovered {}", stamp(self.inner.clock.now()));
                self.folder.place_first(name, beside(&called, &note))
            });
            place.map_err(MirrorError::local(what))?;
        }
        versions.tidy().await.map_err(keep_error(what))
    }

    /// Whether a leftover is in the version store: what was replaced or deleted is there already, and what
    /// came from Drive is put there.
    async fn is_kept_or_at_drive(
        &self,
        versions: &Versions,
        state: &RemoteState,
        name: &str,
    ) -> Result<bool, KeepError> {
        let found = self.folder.stat_private(name)?;
        if found.kind != FileType::RegularFile {
            return Ok(false);
        }
        let file = self.folder.open_private(name)?;
        let (size, md5) = blocking(move || sum(&mut &file)).await?;
        if versions.holds(&found, size, md5).await? {
            return Ok(true);
        }
        let content = Some(Content::File { size, md5 });
        if !state.listing.values().any(|record| record.content == content) {
            return Ok(false);
        }
        versions.keep_leftover(self.folder, name).await?;
        Ok(true)
    }
}
