//! Why a person's app data could not be read or written, by what the caller can do.

use std::time::Duration;

use super::entry::ETag;
use crate::google::drive::{CallError, DriveError, SourceFault};
use crate::lifecycle::TaskDied;
use crate::tokens::TokenError;

/// How long to wait where Drive does not say.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// Why a person's app data could not be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppDataError {
    /// There is no such file.
    #[error("there is no such file")]
    NotFound,
    /// The path leads to a folder.
    #[error("the path leads to a folder")]
    IsFolder,
    /// A name on the way is a file's.
    #[error("a name on the way is a file and no folder")]
    NotAFolder,
    /// The file is not as the caller demands. Read it again and decide anew.
    #[error("the file is not as the precondition demands")]
    PreconditionFailed {
        /// The tag of the file there is, if there is one.
        current: Option<ETag>,
    },
    /// The content is larger than `app_data.max_bytes` allows ([`super::AppData::max_bytes`]).
    #[error("the content is larger than the configuration allows")]
    TooLarge,
    /// The content broke off, or was not as long as was said. Nothing was stored; send it again.
    #[error("the content did not arrive whole")]
    ContentBroke,
    /// The range begins behind the end.
    #[error("the range lies outside of the content")]
    RangeNotSatisfiable {
        /// How long the content is.
        size: Option<u64>,
    },
    /// Somebody else changed the file meanwhile, or it did not arrive as it was sent. Try again.
    #[error("the file was changed meanwhile")]
    Changed,
    /// There is more than one call can look through. Ask with less.
    #[error("there are more than {limit} files and folders")]
    TooMany {
        /// How many are looked through.
        limit: usize,
    },
    /// Too much is being read or written at the moment. Try again later.
    #[error("too many reads or writes are waiting")]
    Busy {
        /// When.
        retry_after: Duration,
    },
    /// Drive asks for patience or cannot be reached. Try again later.
    #[error("Drive is not available: {error}")]
    DriveUnavailable {
        /// When.
        retry_after: Duration,
        /// What happened.
        error: DriveError,
    },
    /// The person's Google storage is full. They have to make room.
    #[error("the person's Google storage is full")]
    StorageFull,
    /// The person has to sign in again and consent to app data.
    #[error("Drive does not let the token in ({0})")]
    ConsentNeeded(DriveError),
    /// The owner of the Google Cloud project or an administrator has to change something at Google.
    #[error("a setting at Google stands in the way ({0})")]
    SettingNeeded(DriveError),
    /// Drive refused for another reason; repeating does not help.
    #[error("Drive refused ({0})")]
    Refused(DriveError),
    /// There is no token to be had.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The work was torn down; try again.
    #[error("the work was interrupted")]
    Interrupted,
}

impl From<CallError<TokenError>> for AppDataError {
    fn from(error: CallError<TokenError>) -> Self {
        match error {
            CallError::Token(error) => Self::Token(error),
            CallError::Drive(error) => error.into(),
        }
    }
}

impl From<TaskDied> for AppDataError {
    fn from(_: TaskDied) -> Self {
        Self::Interrupted
    }
}

impl From<DriveError> for AppDataError {
    fn from(error: DriveError) -> Self {
        match error {
            DriveError::NotFound => Self::NotFound,
            DriveError::RangeNotSatisfiable { size } => Self::RangeNotSatisfiable { size },
            // Ids and page tokens are made and used within one call here: somebody was faster.
            DriveError::IdInUse | DriveError::PageTokenRefused | DriveError::Mismatch => Self::Changed,
            DriveError::SourceChanged(SourceFault::Spent) => {
                Self::DriveUnavailable { retry_after: RETRY_AFTER, error }
            }
            DriveError::SourceChanged(SourceFault::TooLong) => Self::TooLarge,
            DriveError::SourceChanged(_) => Self::ContentBroke,
            DriveError::RateLimited { retry_after } | DriveError::Unavailable { retry_after, .. } => {
                Self::DriveUnavailable { retry_after: retry_after.unwrap_or(RETRY_AFTER), error }
            }
            DriveError::StorageFull => Self::StorageFull,
            DriveError::TokenRefused | DriveError::ScopeMissing => Self::ConsentNeeded(error),
            DriveError::ApiDisabled | DriveError::PolicyForbids | DriveError::DailyLimit => {
                Self::SettingNeeded(error)
            }
            DriveError::NotAllowed { .. } | DriveError::Refused { .. } | DriveError::NotAnAnswer => {
                Self::Refused(error)
            }
        }
    }
}
