//! A person's app data as a mirror sees it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use md5::{Digest as _, Md5};
use tokio::io::AsyncWriteExt as _;

use super::progress::Progress;
use super::remote::{Downloaded, NewRemoteFile, Outgoing, Remote, RemoteError};
use super::report::Done;
use super::tree::RemoteNode;
use crate::app_data::{AppData, Person, PersonBearer, SCOPE};
use crate::google::drive::{
    CallError, ChangePage, Content, Drive, DriveError, DriveFile, FileId, FileKind, MediaType, Move,
    NewContent, NewFile, Page, PageToken, Patience,
};
use crate::ids::UserId;
use crate::tokens::TokenError;
use crate::vault::{MirrorContent, VaultError};

/// How long to wait where nobody says.
const A_MINUTE: Duration = Duration::from_secs(60);
/// A project's daily cap is looked at again after this.
const AN_HOUR: Duration = Duration::from_secs(3600);

/// Reaches Drive on the person's behalf. Writes take turns with those of the person's other callers.
pub(super) struct OverDrive {
    app_data: AppData,
    drive: Drive,
    bearer: PersonBearer,
    user: UserId,
    progress: Arc<Progress>,
}

impl OverDrive {
    pub(super) fn new(app_data: &AppData, person: Person, progress: Arc<Progress>) -> Self {
        Self {
            app_data: app_data.clone(),
            drive: app_data.drive().with_patience(Patience::Background),
            user: person.user,
            bearer: app_data.bearer(person),
            progress,
        }
    }

    /// The content as it is sent, and the count of what has arrived of it.
    fn sent(&self, outgoing: Outgoing) -> (Content, Sent) {
        let arrived = Arc::new(AtomicU64::new(0));
        let sent = Sent { size: outgoing.size, arrived: arrived.clone(), progress: self.progress.clone() };
        let progress = self.progress.clone();
        let content = Content::file(outgoing.content, outgoing.size).watched(move |bytes| {
            arrived.fetch_add(bytes, Ordering::Relaxed);
            progress.moved(bytes);
        });
        (content, sent)
    }
}

/// How much of an outgoing content has been counted.
struct Sent {
    size: u64,
    arrived: Arc<AtomicU64>,
    progress: Arc<Progress>,
}

impl Sent {
    /// The file is there: what was not counted piece by piece is counted now.
    fn all(self) {
        self.progress.moved(self.size.saturating_sub(self.arrived.load(Ordering::Relaxed)));
        self.progress.file_moved();
    }
}

type Failure = CallError<TokenError>;

impl From<Failure> for RemoteError {
    fn from(error: Failure) -> Self {
        match error {
            CallError::Token(error) => error.into(),
            CallError::Drive(error) => error.into(),
        }
    }
}

impl From<TokenError> for RemoteError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::GoogleUnavailable { retry_after } | TokenError::ClientPaused { retry_after, .. } => {
                Self::TryLater { after: retry_after }
            }
            TokenError::Interrupted | TokenError::Vault(VaultError::Busy | VaultError::Conflict) => {
                Self::TryLater { after: A_MINUTE }
            }
            TokenError::ScopeMissing { .. } => Self::NeedsPerson(format!(
                "the grant does not cover app data: let the person sign in again and allow {SCOPE}"
            )),
            TokenError::ConsentRequired { state, .. } => {
                Self::NeedsPerson(format!("the grant cannot be used ({state}): let the person sign in again"))
            }
            TokenError::NotFound | TokenError::NoGrant => {
                Self::NeedsPerson("the person has no grant with this client: let them sign in".to_owned())
            }
            error @ (TokenError::UnknownClient
            | TokenError::ClientAmbiguous { .. }
            | TokenError::ScopeWithheld
            | TokenError::Vault(_)) => Self::NeedsPerson(error.to_string()),
        }
    }
}

impl From<DriveError> for RemoteError {
    fn from(error: DriveError) -> Self {
        match error {
            DriveError::NotFound => Self::Gone,
            DriveError::IdInUse => Self::Exists,
            DriveError::PageTokenRefused => Self::PageTokenRefused,
            DriveError::StorageFull => Self::Full,
            DriveError::Mismatch | DriveError::SourceChanged(_) => Self::Mismatch,
            DriveError::RateLimited { retry_after } | DriveError::Unavailable { retry_after, .. } => {
                Self::TryLater { after: retry_after.unwrap_or(A_MINUTE) }
            }
            DriveError::DailyLimit => Self::TryLater { after: AN_HOUR },
            DriveError::TokenRefused | DriveError::ScopeMissing => {
                Self::NeedsPerson(format!("{error}: let the person sign in again and allow {SCOPE}"))
            }
            DriveError::ApiDisabled => Self::NeedsPerson(format!(
                "{error}: switch it on at console.cloud.google.com under APIs & Services"
            )),
            DriveError::PolicyForbids => Self::NeedsPerson(format!("{error}: ask its administrator")),
            DriveError::RangeNotSatisfiable { .. }
            | DriveError::NotAllowed { .. }
            | DriveError::Refused { .. }
            | DriveError::NotAnAnswer => Self::Refused(error.to_string()),
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "used as a map_err argument")]
fn not_written(error: std::io::Error) -> RemoteError {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => RemoteError::LocalFull,
        _ => RemoteError::Refused(format!("its content cannot be written here ({error})")),
    }
}

impl Remote for OverDrive {
    fn sets_out(&self, plan: &Done) {
        self.progress.set_out(plan);
    }

    async fn root(&self) -> Result<FileId, RemoteError> {
        Ok(self.drive.root(&self.bearer).await?)
    }

    async fn list(&self, page: Option<&PageToken>) -> Result<Page<DriveFile>, RemoteError> {
        Ok(self.drive.list(&self.bearer, page).await?)
    }

    async fn start_page_token(&self) -> Result<PageToken, RemoteError> {
        Ok(self.drive.start_page_token(&self.bearer).await?)
    }

    async fn changes(&self, from: &PageToken) -> Result<ChangePage, RemoteError> {
        Ok(self.drive.changes(&self.bearer, from).await?)
    }

    async fn generate_ids(&self, count: usize) -> Result<Vec<FileId>, RemoteError> {
        Ok(self.drive.generate_ids(&self.bearer, count).await?)
    }

    async fn create_folder(
        &self,
        id: &FileId,
        name: &str,
        parent: &FileId,
    ) -> Result<DriveFile, RemoteError> {
        let _turn = self.app_data.turn(self.user).await;
        Ok(self.drive.create_folder(&self.bearer, id, name, parent).await?)
    }

    async fn create(&self, new: &NewRemoteFile, content: Outgoing) -> Result<DriveFile, RemoteError> {
        let mime_type = MediaType::unknown();
        let file = NewFile {
            id: &new.id,
            name: &new.name,
            parent: &new.parent,
            mime_type: &mime_type,
            modified_ms: Some(new.modified_ms),
        };
        // No turn: a file that is new to Drive is in nobody's way, and it may take long.
        let (content, sent) = self.sent(content);
        let made = self.drive.create(&self.bearer, &file, content).await?;
        sent.all();
        Ok(made)
    }

    async fn update(&self, over: &RemoteNode, content: Outgoing) -> Result<DriveFile, RemoteError> {
        let _turn = self.app_data.turn(self.user).await;
        // The app that made the file has said what it is; and it is replaced only if it is what was kept.
        let there = self.drive.file(&self.bearer, &over.id).await?;
        let FileKind::File { size, md5, mime_type, .. } = there.kind else { return Err(RemoteError::Gone) };
        if over.content != (MirrorContent::File { size, md5 }) {
            return Err(RemoteError::Changed);
        }
        let mime_type = mime_type.parse().unwrap_or_else(|_| MediaType::unknown());
        let new = NewContent { mime_type: &mime_type, modified_ms: Some(content.modified_ms) };
        let (content, sent) = self.sent(content);
        let made = self.drive.update(&self.bearer, &over.id, &new, content).await?;
        sent.all();
        Ok(made)
    }

    async fn relocate(
        &self,
        id: &FileId,
        name: &str,
        from: &FileId,
        to: &FileId,
    ) -> Result<DriveFile, RemoteError> {
        let _turn = self.app_data.turn(self.user).await;
        let way = (from != to).then_some(Move { from, to });
        Ok(self.drive.relocate(&self.bearer, id, Some(name), way).await?)
    }

    async fn download(
        &self,
        node: &RemoteNode,
        into: &mut tokio::fs::File,
    ) -> Result<Downloaded, RemoteError> {
        let MirrorContent::File { size, md5 } = node.content else { return Err(RemoteError::Gone) };
        let kind = FileKind::File { size, md5, head_revision: None, mime_type: String::new() };
        let file = DriveFile {
            id: node.id.clone(),
            name: String::new(),
            parent: Some(node.parent.clone()),
            kind,
            modified_ms: node.modified_ms,
            created_ms: node.modified_ms,
            version: 0,
        };
        let mut download = self.drive.download_file(&self.bearer, file, None).await?;
        let (mut size, mut sum) = (0, Md5::new());
        while let Some(bytes) = download.chunk().await? {
            size += bytes.len() as u64;
            self.progress.moved(bytes.len() as u64);
            sum.update(&bytes);
            into.write_all(&bytes).await.map_err(not_written)?;
        }
        into.flush().await.map_err(not_written)?;
        self.progress.file_moved();
        Ok(Downloaded { size, md5: sum.finalize().into() })
    }

    async fn is_empty_folder(&self, id: &FileId) -> Result<bool, RemoteError> {
        let page = self.drive.list_children(&self.bearer, id, None).await?;
        Ok(page.items.is_empty() && page.next.is_none())
    }

    async fn delete(&self, node: &RemoteNode) -> Result<(), RemoteError> {
        // Looked at in the same turn in which it goes: what somebody wrote through locum since it was listed
        // and kept is not ours to delete.
        let _turn = self.app_data.turn(self.user).await;
        let is_it = match node.content {
            MirrorContent::Folder => self.is_empty_folder(&node.id).await,
            content => match self.drive.file(&self.bearer, &node.id).await {
                Ok(there) => Ok(matches!(there.kind, FileKind::File { size, md5, .. }
                    if content == (MirrorContent::File { size, md5 }))),
                Err(error) => Err(error.into()),
            },
        };
        match is_it {
            Ok(true) => {}
            Ok(false) => return Err(RemoteError::Changed),
            Err(RemoteError::Gone) => return Ok(()),
            Err(error) => return Err(error),
        }
        match self.drive.delete(&self.bearer, &node.id).await {
            Err(CallError::Drive(DriveError::NotFound)) => Ok(()),
            outcome => Ok(outcome?),
        }
    }
}
