//! A refusal of Drive, and the body of errors around its reason.
//!
//! The bodies are those of the older form (`errors` with domain and reason), with `status` and `details`
//! added where newer front ends add them.

use serde_json::{Value, json};

pub use super::reason::Reason;
use crate::emulator::reply::Reply;

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
        let (status, domain, name, usual) = refused.reason.words();
        let status = refused.status.unwrap_or(status);
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
