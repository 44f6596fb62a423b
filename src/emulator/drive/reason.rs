//! Why Drive refuses: one table of reasons with their status, domain and message.

use serde::{Deserialize, Serialize};

/// Why Drive refuses, by the name it has on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reason {
    /// The request is malformed.
    BadRequest,
    /// A parameter has an impossible value; as a scripted fault, a page token that is refused.
    Invalid,
    /// The field mask names something that is not there.
    InvalidParameter,
    /// A parameter is missing; without any token, the login.
    Required,
    /// The body is no JSON.
    ParseError,
    /// The access token is dead.
    AuthError,
    /// Too many requests of the project.
    RateLimitExceeded,
    /// Too many requests of this person.
    UserRateLimitExceeded,
    /// The cap that the project's owner set is reached.
    DailyLimitExceeded,
    /// Too much was shared.
    SharingRateLimitExceeded,
    /// The person's storage is full.
    StorageQuotaExceeded,
    /// The access token lacks the scope.
    InsufficientPermissions,
    /// The file may not be changed.
    InsufficientFilePermissions,
    /// The parent may not be written to.
    InsufficientParentPermissions,
    /// The app was not given this file.
    AppNotAuthorizedToFile,
    /// An administrator disabled Drive apps.
    DomainPolicy,
    /// The Drive API is not enabled in the project.
    AccessNotConfigured,
    /// Trash, sharing and Google documents are not for app data.
    NotSupportedForAppDataFolderFiles,
    /// The account has as many files as it may.
    ActiveItemCreationLimitExceeded,
    /// The folder has as many children as it may.
    NumChildrenInNonRootLimitExceeded,
    /// The file was downloaded too often.
    DownloadQuotaExceeded,
    /// The file has no content.
    FileNotDownloadable,
    /// A field that only the server sets.
    FieldNotWritable,
    /// A file has one parent.
    CannotAddParent,
    /// The parent is a file.
    ParentNotAFolder,
    /// Missing, or not visible.
    NotFound,
    /// The id belongs to a file, or once did.
    FileIdInUse,
    /// No byte of the content is in the range.
    RequestedRangeNotSatisfiable,
    /// Google's own trouble.
    BackendError,
    /// Google's own trouble, too.
    InternalError,
}

/// Reason, status, domain, name on the wire, message.
const TABLE: &[(Reason, u16, &str, &str, &str)] = {
    use Reason as R;
    &[
        (R::BadRequest, 400, "global", "badRequest", "Bad Request"),
        (R::Invalid, 400, "global", "invalid", "Invalid Value"),
        (R::InvalidParameter, 400, "global", "invalidParameter", "Invalid field selection"),
        (R::Required, 400, "global", "required", "Required"),
        (R::ParseError, 400, "global", "parseError", "Parse Error"),
        (R::AuthError, 401, "global", "authError", "Invalid Credentials"),
        (R::RateLimitExceeded, 403, "usageLimits", "rateLimitExceeded", "Rate Limit Exceeded"),
        (R::UserRateLimitExceeded, 403, "usageLimits", "userRateLimitExceeded", "User Rate Limit Exceeded"),
        (R::DailyLimitExceeded, 403, "usageLimits", "dailyLimitExceeded", "Daily Limit Exceeded"),
        (
            R::SharingRateLimitExceeded,
            403,
            "global",
            "sharingRateLimitExceeded",
            "Rate limit exceeded. User message: \"Sorry, you have exceeded your sharing quota.\"",
        ),
        (
            R::StorageQuotaExceeded,
            403,
            "global",
            "storageQuotaExceeded",
            "The user's Drive storage quota has been exceeded.",
        ),
        (R::InsufficientPermissions, 403, "global", "insufficientPermissions", "Insufficient Permission"),
        (
            R::InsufficientFilePermissions,
            403,
            "global",
            "insufficientFilePermissions",
            "The user does not have sufficient permissions for this file.",
        ),
        (
            R::InsufficientParentPermissions,
            403,
            "global",
            "insufficientParentPermissions",
            "Insufficient permissions for the specified parent.",
        ),
        (
            R::AppNotAuthorizedToFile,
            403,
            "global",
            "appNotAuthorizedToFile",
            "The user has not granted the app access to the file.",
        ),
        (
            R::DomainPolicy,
            403,
            "global",
            "domainPolicy",
            "The domain administrators have disabled Drive apps.",
        ),
        (
            R::AccessNotConfigured,
            403,
            "usageLimits",
            "accessNotConfigured",
            "Google Drive API has not been used in this project before or it is disabled.",
        ),
        (
            R::NotSupportedForAppDataFolderFiles,
            403,
            "global",
            "notSupportedForAppDataFolderFiles",
            "Method not supported for files within the Application Data folder.",
        ),
        (
            R::ActiveItemCreationLimitExceeded,
            403,
            "global",
            "activeItemCreationLimitExceeded",
            "This account has exceeded the creation limit for items.",
        ),
        (
            R::NumChildrenInNonRootLimitExceeded,
            403,
            "global",
            "numChildrenInNonRootLimitExceeded",
            "The limit for this folder's number of children (files and folders) has been exceeded.",
        ),
        (
            R::DownloadQuotaExceeded,
            403,
            "global",
            "downloadQuotaExceeded",
            "The download quota for this file has been exceeded.",
        ),
        (
            R::FileNotDownloadable,
            403,
            "global",
            "fileNotDownloadable",
            "Only files with binary content can be directly downloaded. Use Export with Docs Editors files.",
        ),
        (
            R::FieldNotWritable,
            403,
            "global",
            "fieldNotWritable",
            "The resource body includes fields which are not directly writable.",
        ),
        (
            R::CannotAddParent,
            403,
            "global",
            "cannotAddParent",
            "Increasing the number of parents is not allowed",
        ),
        (R::ParentNotAFolder, 403, "global", "parentNotAFolder", "The specified parent is not a folder."),
        (R::NotFound, 404, "global", "notFound", "Not Found"),
        (R::FileIdInUse, 409, "global", "fileIdInUse", "A file already exists with the provided ID."),
        (
            R::RequestedRangeNotSatisfiable,
            416,
            "global",
            "requestedRangeNotSatisfiable",
            "Request range not satisfiable",
        ),
        (R::BackendError, 503, "global", "backendError", "Backend Error"),
        (R::InternalError, 500, "global", "internalError", "Internal Error"),
    ]
};

impl Reason {
    /// Status, domain, name on the wire, and the usual message.
    pub(super) fn words(self) -> (u16, &'static str, &'static str, &'static str) {
        let line = TABLE.iter().find(|(reason, ..)| *reason == self);
        let (_, status, domain, name, message) =
            line.expect("every reason is in the table, which a test checks");
        (*status, domain, name, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_one_line_and_its_own_name() {
        for (reason, _, _, name, _) in TABLE {
            assert_eq!(serde_json::to_value(reason).expect("text"), *name);
            assert_eq!(TABLE.iter().filter(|(other, ..)| other == reason).count(), 1, "{name}");
        }
        // The last variant's number is the count of lines less one, so none is left out.
        assert_eq!(Reason::InternalError as usize + 1, TABLE.len());
    }
}
