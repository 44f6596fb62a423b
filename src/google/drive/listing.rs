//! Asking: lists, metadata, changes, ids, quota. Nothing here changes anything.

use super::Drive;
use super::answers::{self, FILE_FIELDS, Quota};
use super::bearer::{Bearer, Cost};
use super::error::CallError;
use super::file::{ChangePage, DriveFile, FileId, Page, PageToken};
use super::names::{in_folder, quoted};
use super::send::Request;

/// The most entries of one page that Drive gives.
const PAGE: &str = "1000";

/// The most ids Drive makes in one call.
pub(super) const MAX_IDS: usize = 1000;

impl Drive {
    /// The app data folder itself, whose real id everything at its top has as its parent. One call, 5 units.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn root<B: Bearer>(&self, bearer: &B) -> Result<FileId, CallError<B::Error>> {
        // The alias is no id: Drive never returns it.
        let url = self.url("drive/v3/files/appDataFolder", &[("fields", FILE_FIELDS)]);
        let answer = self.call(bearer, &Request::get(Cost::Read, url)).await?;
        Ok(answers::file(&answer.body)?.id)
    }

    /// The metadata of one file. One call, 5 units.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn file<B: Bearer>(&self, bearer: &B, id: &FileId) -> Result<DriveFile, CallError<B::Error>> {
        let url = self.url(&format!("drive/v3/files/{id}"), &[("fields", FILE_FIELDS)]);
        let answer = self.call(bearer, &Request::get(Cost::Read, url)).await?;
        Ok(answers::file(&answer.body)?)
    }

    /// A page of everything in the app data folder and below, at most 1000 entries, in no order. One call,
    /// 100 units.
    ///
    /// # Errors
    /// [`super::DriveError::PageTokenRefused`]: begin again without one. Else see [`CallError`].
    pub async fn list<B: Bearer>(
        &self,
        bearer: &B,
        page: Option<&PageToken>,
    ) -> Result<Page<DriveFile>, CallError<B::Error>> {
        self.search(bearer, None, page).await
    }

    /// A page of what is in one folder, without what is below its folders. One call, 100 units.
    ///
    /// # Errors
    /// As [`Drive::list`].
    pub async fn list_children<B: Bearer>(
        &self,
        bearer: &B,
        parent: &FileId,
        page: Option<&PageToken>,
    ) -> Result<Page<DriveFile>, CallError<B::Error>> {
        self.search(bearer, Some(&in_folder(parent)), page).await
    }

    /// Everything of exactly this name in one folder: Drive allows several. A call of 100 units for each
    /// thousand.
    ///
    /// # Errors
    /// As [`Drive::list`].
    pub async fn find<B: Bearer>(
        &self,
        bearer: &B,
        name: &str,
        parent: &FileId,
    ) -> Result<Vec<DriveFile>, CallError<B::Error>> {
        let query = format!("name = {} and {}", quoted(name), in_folder(parent));
        let (mut found, mut next) = (Vec::new(), None);
        loop {
            let page = self.search(bearer, Some(&query), next.as_ref()).await?;
            // Drive's comparison of names is looser than ours.
            found.extend(page.items.into_iter().filter(|file| file.name == name));
            next = page.next;
            if next.is_none() {
                return Ok(found);
            }
        }
    }

    /// Whatever has one of these names, in any folder. `None` when that is more than a page. One call, 100 units.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn find_named<B: Bearer>(
        &self,
        bearer: &B,
        names: &[&str],
    ) -> Result<Option<Vec<DriveFile>>, CallError<B::Error>> {
        let terms: Vec<String> = names.iter().map(|name| format!("name = {}", quoted(name))).collect();
        let mut page = self.search(bearer, Some(&terms.join(" or ")), None).await?;
        page.items.retain(|file| names.contains(&file.name.as_str()));
        Ok(page.next.is_none().then_some(page.items))
    }

    /// A page of all folders. One call, 100 units.
    ///
    /// # Errors
    /// As [`Drive::list`].
    pub async fn list_folders<B: Bearer>(
        &self,
        bearer: &B,
        page: Option<&PageToken>,
    ) -> Result<Page<DriveFile>, CallError<B::Error>> {
        self.search(bearer, Some(&format!("mimeType = {}", quoted(answers::FOLDER))), page).await
    }

    async fn search<B: Bearer>(
        &self,
        bearer: &B,
        query: Option<&str>,
        page: Option<&PageToken>,
    ) -> Result<Page<DriveFile>, CallError<B::Error>> {
        let fields = format!("nextPageToken,incompleteSearch,files({FILE_FIELDS})");
        let mut parameters = vec![("spaces", "appDataFolder"), ("pageSize", PAGE), ("fields", &fields)];
        parameters.extend(query.map(|query| ("q", query)));
        let request = Request::get(Cost::List, self.url("drive/v3/files", &parameters)).page(page);
        let answer = self.call(bearer, &request).await?;
        Ok(answers::list(&answer.body)?)
    }

    /// Ids for files that are yet to be made, so that making one can be repeated. One call, 5 units.
    /// At least one and at most 1000 are asked for, whatever `count` says.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn generate_ids<B: Bearer>(
        &self,
        bearer: &B,
        count: usize,
    ) -> Result<Vec<FileId>, CallError<B::Error>> {
        let count = count.clamp(1, MAX_IDS);
        let number = count.to_string();
        let parameters = [("count", &*number), ("space", "appDataFolder"), ("fields", "ids")];
        let url = self.url("drive/v3/files/generateIds", &parameters);
        let answer = self.call(bearer, &Request::get(Cost::Other, url)).await?;
        Ok(answers::ids(&answer.body, count)?)
    }

    /// Where the changes from now on begin. Take it before a listing, so that no change is missed. One call,
    /// 5 units.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn start_page_token<B: Bearer>(&self, bearer: &B) -> Result<PageToken, CallError<B::Error>> {
        let parameters = [("spaces", "appDataFolder"), ("fields", "startPageToken")];
        let url = self.url("drive/v3/changes/startPageToken", &parameters);
        let answer = self.call(bearer, &Request::get(Cost::Other, url)).await?;
        Ok(answers::start_page_token(&answer.body)?)
    }

    /// A page of the files that changed since `from`, each once, in its latest state. One call, 100 units.
    ///
    /// # Errors
    /// [`super::DriveError::PageTokenRefused`]: list everything. Else see [`CallError`].
    pub async fn changes<B: Bearer>(
        &self,
        bearer: &B,
        from: &PageToken,
    ) -> Result<ChangePage, CallError<B::Error>> {
        let fields =
            format!("nextPageToken,newStartPageToken,changes(changeType,removed,fileId,file({FILE_FIELDS}))");
        let parameters = [
            ("spaces", "appDataFolder"),
            ("includeRemoved", "true"),
            ("pageSize", PAGE),
            ("fields", &*fields),
        ];
        let request = Request::get(Cost::List, self.url("drive/v3/changes", &parameters)).page(Some(from));
        let answer = self.call(bearer, &request).await?;
        Ok(answers::changes(&answer.body)?)
    }

    /// How full the person's storage is. One call, 5 units.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn quota<B: Bearer>(&self, bearer: &B) -> Result<Quota, CallError<B::Error>> {
        let fields = "storageQuota(limit,usage,usageInDrive)";
        let request = Request::get(Cost::Other, self.url("drive/v3/about", &[("fields", fields)]));
        let answer = self.call(bearer, &request).await?;
        Ok(answers::quota(&answer.body)?)
    }
}
