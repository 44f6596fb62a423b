//! Changing without content: folders, names and places, deleting.

use http::Method;
use serde_json::json;

use super::Drive;
use super::answers::{self, FILE_FIELDS, FOLDER};
use super::bearer::{Bearer, Cost};
use super::error::{CallError, DriveError};
use super::file::{DriveFile, FileId, FileKind};
use super::send::{Failure, Request};

/// Out of one folder into another.
#[derive(Clone, Copy, Debug)]
pub struct Move<'a> {
    /// Where it is.
    pub from: &'a FileId,
    /// Where it shall be.
    pub to: &'a FileId,
}

impl Drive {
    /// Makes a folder with an id of [`Drive::generate_ids`]. One call, 50 units. Repeating it is no mistake:
    /// a folder that has this id, name and parent already is returned.
    ///
    /// # Errors
    /// [`DriveError::IdInUse`] when the id is something else's. Else see [`CallError`].
    pub async fn create_folder<B: Bearer>(
        &self,
        bearer: &B,
        id: &FileId,
        name: &str,
        parent: &FileId,
    ) -> Result<DriveFile, CallError<B::Error>> {
        let url = self.url("drive/v3/files", &[("fields", FILE_FIELDS)]);
        let metadata =
            json!({"id": id.as_str(), "name": name, "mimeType": FOLDER, "parents": [parent.as_str()]});
        let request = Request::new(Cost::Edit, Method::POST, url).json(&metadata);
        match self.call(bearer, &request).await {
            Ok(answer) => Ok(answers::file(&answer.body)?),
            Err(Failure { error: CallError::Drive(DriveError::IdInUse), .. }) => {
                let there = self.file(bearer, id).await?;
                if there.kind == FileKind::Folder && there.is_at(name, parent) {
                    Ok(there)
                } else {
                    Err(DriveError::IdInUse.into())
                }
            }
            Err(failure) => Err(failure.into()),
        }
    }

    /// Gives a file or folder another name, another parent, or both. One call, 50 units. Its content and
    /// its revision stay as they are.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn relocate<B: Bearer>(
        &self,
        bearer: &B,
        id: &FileId,
        name: Option<&str>,
        parent: Option<Move<'_>>,
    ) -> Result<DriveFile, CallError<B::Error>> {
        let mut query = vec![("fields", FILE_FIELDS)];
        if let Some(Move { from, to }) = parent {
            query.extend([("addParents", to.as_str()), ("removeParents", from.as_str())]);
        }
        let url = self.url(&format!("drive/v3/files/{id}"), &query);
        let body = name.map_or_else(|| json!({}), |name| json!({"name": name}));
        let request = Request::new(Cost::Edit, Method::PATCH, url).json(&body);
        match self.call(bearer, &request).await {
            Ok(answer) => Ok(answers::file(&answer.body)?),
            // An attempt before may have moved it already, and then it is no longer where it was.
            Err(Failure { error, doubtful: true }) if error.drive().is_some_and(|e| !e.is_transient()) => {
                let there = self.file(bearer, id).await?;
                let named = name.is_none_or(|name| there.name == name);
                let placed = parent.is_none_or(|way| there.parent.as_ref() == Some(way.to));
                if named && placed { Ok(there) } else { Err(error) }
            }
            Err(failure) => Err(failure.into()),
        }
    }

    /// Deletes a file, or a folder with everything below it, for good: app data knows no trash. One call,
    /// 50 units.
    ///
    /// # Errors
    /// [`DriveError::NotFound`] when it was gone before. Else see [`CallError`].
    pub async fn delete<B: Bearer>(&self, bearer: &B, id: &FileId) -> Result<(), CallError<B::Error>> {
        let url = self.url(&format!("drive/v3/files/{id}"), &[]);
        match self.call(bearer, &Request::new(Cost::Edit, Method::DELETE, url)).await {
            Ok(_) => Ok(()),
            // An attempt before, whose answer was lost, did it.
            Err(Failure { error: CallError::Drive(DriveError::NotFound), doubtful: true }) => Ok(()),
            Err(failure) => Err(failure.into()),
        }
    }
}
