//! What Drive says when it refuses: one table of reasons, and the body of errors around them.
//!
//! The bodies are those of the older form (`errors` with domain and reason), with `status` and `details`
//! added where newer front ends add them.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::emulator::reply::Reply;

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

/// One refusal of Drive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub reason: Reason,
    /// Another status than the reason's usual one: 429 with [`Reason::RateLimitExceeded`].
    pub status: Option<u16>,
    /// Another message than the reason's usual one.
    pub message: Option<String>,
    /// What is wrong: its type (`parameter`, `header`) and its name.
    pub location: Option<(&'static str, &'static str)>,
    /// Seconds in a `Retry-After`, which Drive does not promise to send.
    pub retry_after: Option<u64>,
}

impl From<Reason> for Refused {
    fn from(reason: Reason) -> Self {
        let location = match reason {
            Reason::AuthError => Some(("header", "Authorization")),
            Reason::Invalid => Some(("parameter", "pageToken")),
            Reason::InvalidParameter => Some(("parameter", "fields")),
            Reason::NotFound => Some(("parameter", "fileId")),
            Reason::FileNotDownloadable => Some(("parameter", "alt")),
            Reason::RequestedRangeNotSatisfiable => Some(("header", "Range")),
            _ => None,
        };
        Self { reason, status: None, message: None, location, retry_after: None }
    }
}

impl Refused {
    /// The file, or what stands for it, is not there.
    pub(super) fn no_file(id: &str) -> Self {
        Self { message: Some(format!("File not found: {id}.")), ..Reason::NotFound.into() }
    }

    /// A parameter with an impossible value.
    pub(super) fn invalid(parameter: &'static str) -> Self {
        Self { location: Some(("parameter", parameter)), ..Reason::Invalid.into() }
    }

    /// A parameter that has to be there.
    pub(super) fn required(parameter: &'static str) -> Self {
        Self {
            message: Some(format!("Required parameter: {parameter}")),
            location: Some(("parameter", parameter)),
            ..Reason::Required.into()
        }
    }

    /// A malformed request, with what is wrong with it.
    pub(super) fn bad(message: &str) -> Self {
        Self { message: Some(message.to_owned()), ..Reason::BadRequest.into() }
    }

    /// No token was shown.
    pub(super) fn no_login() -> Self {
        Self {
            status: Some(401),
            message: Some("Login Required.".to_owned()),
            location: Some(("header", "Authorization")),
            ..Reason::Required.into()
        }
    }

    /// The same with another status.
    #[must_use]
    pub fn with_status(self, status: u16) -> Self {
        Self { status: Some(status), ..self }
    }
}

/// What newer front ends add to the error, and the sentence they put beside the older one.
fn newer(reason: Reason) -> Option<(&'static str, &'static str, Option<&'static str>)> {
    match reason {
        Reason::AuthError => Some((
            "UNAUTHENTICATED",
            "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or \
             other valid authentication credential.",
            None,
        )),
        Reason::InsufficientPermissions => Some((
            "PERMISSION_DENIED",
            "Request had insufficient authentication scopes.",
            Some("ACCESS_TOKEN_SCOPE_INSUFFICIENT"),
        )),
        Reason::AccessNotConfigured => Some((
            "PERMISSION_DENIED",
            "Google Drive API has not been used in this project before or it is disabled.",
            Some("SERVICE_DISABLED"),
        )),
        _ => None,
    }
}

impl From<Refused> for Reply {
    fn from(refused: Refused) -> Self {
        let (_, status, domain, name, usual) = TABLE
            .iter()
            .find(|(reason, ..)| *reason == refused.reason)
            .expect("every reason is in the table, which a test checks");
        let status = refused.status.unwrap_or(*status);
        let message = refused.message.as_deref().unwrap_or(usual);
        let mut item = json!({ "message": message, "domain": domain, "reason": name });
        if let Some((kind, name)) = refused.location {
            item["location"] = name.into();
            item["locationType"] = kind.into();
        }
        let mut error = json!({ "code": status, "message": message, "errors": [item] });
        if let Some((word, sentence, detail)) = newer(refused.reason) {
            error["status"] = word.into();
            error["message"] = sentence.into();
            if let Some(detail) = detail {
                error["details"] = json!([{
                    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                    "reason": detail,
                    "domain": "googleapis.com",
                    "metadata": { "service": "drive.googleapis.com" },
                }]);
            }
        }
        let mut reply = Self::private(status, &json!({ "error": error }) as &Value);
        let realm = r#"Bearer realm="https://accounts.google.com/""#;
        let scopes = "https://www.googleapis.com/auth/drive.appdata";
        match (refused.reason, status) {
            (Reason::AuthError, _) => {
                reply.headers.push(("www-authenticate", format!("{realm}, error=\"invalid_token\"")));
            }
            (Reason::Required, 401) => reply.headers.push(("www-authenticate", realm.to_owned())),
            (Reason::InsufficientPermissions, _) => reply.headers.push((
                "www-authenticate",
                format!("{realm}, error=\"insufficient_scope\", scope=\"{scopes}\""),
            )),
            _ => {}
        }
        if let Some(seconds) = refused.retry_after {
            reply.headers.push(("retry-after", seconds.to_string()));
        }
        reply
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

    #[test]
    fn bodies_are_those_of_google() {
        let reply = Reply::from(Refused::no_file("1AbC"));
        assert_eq!(reply.status, 404);
        let expected = json!({"error":{"code":404,"message":"File not found: 1AbC.","errors":[{"message":
            "File not found: 1AbC.","domain":"global","reason":"notFound","location":"fileId",
            "locationType":"parameter"}]}});
        assert_eq!(reply.value(), expected);

        let reply = Reply::from(Refused::from(Reason::InsufficientPermissions));
        assert_eq!(reply.value()["error"]["details"][0]["reason"], "ACCESS_TOKEN_SCOPE_INSUFFICIENT");
        assert_eq!(reply.value()["error"]["errors"][0]["reason"], "insufficientPermissions");
        assert!(reply.header("www-authenticate").is_some_and(|text| text.contains("insufficient_scope")));

        let reply = Reply::from(Refused::from(Reason::RateLimitExceeded).with_status(429));
        assert_eq!((reply.status, &reply.value()["error"]["code"]), (429, &429.into()));
    }
}
