//! What went wrong at Drive, as what the caller can do about it.

use std::time::Duration;

use super::super::error::Outage;

/// Why Drive did not do what was asked. No message holds a name, an id or a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DriveError {
    /// There is no such file, or this app cannot see it; Drive never tells which.
    #[error("Drive has no such file")]
    NotFound,
    /// Another file has this id already. Take a new id.
    #[error("the id is in use already")]
    IdInUse,
    /// Drive does not know the page token any more: list everything anew.
    #[error("Drive no longer accepts the page token")]
    PageTokenRefused,
    /// The range begins after the end of the content.
    #[error("the range lies outside of the content")]
    RangeNotSatisfiable {
        /// How long the content is, if Drive says so.
        size: Option<u64>,
    },
    /// The person's storage is full. Somebody has to make room.
    #[error("the person's Google storage is full")]
    StorageFull,
    /// Too many calls for now. Try again later.
    #[error("Drive asks for fewer calls")]
    RateLimited {
        /// How long Drive asks to wait, if it does.
        retry_after: Option<Duration>,
    },
    /// Drive cannot be reached or fails. Try again later.
    #[error("Drive is unavailable: {what}")]
    Unavailable {
        /// How long Drive asks to wait, if it does.
        retry_after: Option<Duration>,
        /// What happened.
        what: Outage,
    },
    /// The owner's own daily cap on calls is used up. Try again tomorrow, or raise it.
    #[error("the daily limit that the Google Cloud project sets is used up")]
    DailyLimit,
    /// Drive refused two tokens, the second one fresh. The person may have to sign in again.
    #[error("Drive refuses the access token, a fresh one too")]
    TokenRefused,
    /// The grant does not cover app data. The person has to consent to `drive.appdata`.
    #[error("the grant does not cover app data (drive.appdata)")]
    ScopeMissing,
    /// The Drive API is not switched on in the Google Cloud project. The owner has to do so.
    #[error("the Google Drive API is not enabled in the Google Cloud project")]
    ApiDisabled,
    /// An administrator of the person's organisation forbids apps in Drive.
    #[error("the person's organisation forbids apps in Drive")]
    PolicyForbids,
    /// The file cannot be used in this way, whoever asks.
    #[error("Drive does not allow this ({reason})")]
    NotAllowed {
        /// Drive's word for it, letters only.
        reason: String,
    },
    /// What arrived is not what was sent: size or MD5 differ, or the file was changed in between. What
    /// was made of it is gone again; try again.
    #[error("what arrived differs in size or checksum from what was sent")]
    Mismatch,
    /// The content to be uploaded could not be read to its end, or has another size than was said.
    /// Nothing was stored of it.
    #[error("the content to upload could not be read as announced: {0}")]
    SourceChanged(SourceFault),
    /// Drive refused for a reason that has no meaning of its own here. Not worth repeating.
    #[error("Drive refused the request (HTTP status {status}, {reason})")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Drive's word for it, letters only; `unknown` where there is none.
        reason: String,
    },
    /// A success whose content is not what the protocol says, or is too large.
    #[error("Drive's answer is not one that the protocol allows")]
    NotAnAnswer,
}

/// What is wrong with the content that was to be uploaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceFault {
    /// It has more bytes than was said.
    #[error("it is longer than announced")]
    Longer,
    /// It has more bytes than are allowed.
    #[error("it is longer than allowed")]
    TooLong,
    /// It ended before the size that was said.
    #[error("it is shorter than announced")]
    Shorter,
    /// Reading it failed: the disk, or whoever sends it, broke off.
    #[error("reading it failed")]
    Unreadable,
    /// Drive has lost bytes that it had acknowledged, and this source cannot be read twice.
    #[error("it would have to be read again from an earlier place")]
    Spent,
}

impl DriveError {
    /// Whether the same call may succeed later with nothing changed.
    pub const fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::RateLimited { .. }
                | Self::Unavailable { .. }
                | Self::Mismatch
                | Self::SourceChanged(SourceFault::Spent)
        )
    }
}

/// Why a call on a person's behalf failed: there was no token, or Drive did not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError<E> {
    /// There is no token to be had.
    #[error("no access token: {0}")]
    Token(E),
    /// Drive did not do what was asked.
    #[error(transparent)]
    Drive(#[from] DriveError),
}

impl<E> CallError<E> {
    /// Drive's part, if it was Drive that failed.
    pub const fn drive(&self) -> Option<&DriveError> {
        match self {
            Self::Drive(error) => Some(error),
            Self::Token(_) => None,
        }
    }
}
