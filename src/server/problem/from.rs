//! From each error of the services to its problem.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use serde_json::{Value, json};

use super::{Code, Problem};
use crate::api_keys::{ApiKeysError, KeyRefused};
use crate::app_data::{AppDataError, SCOPE};
use crate::clients::ClientsError;
use crate::google::drive::DriveError;
use crate::google::{ClientFault, CodeRefusal};
use crate::ids::ClientName;
use crate::mirror::{MirrorError, RemoteError};
use crate::owner_sessions::SignInRefused;
use crate::sessions::SessionError;
use crate::sign_in::SignInError;
use crate::sign_in::own_account::OwnAccountError;
use crate::sign_in::web_flow::WebError;
use crate::tokens::{ResolveError, TokenError};
use crate::users::UsersError;
use crate::vault::VaultError;

/// A run of a mirror may take long; asking again costs little.
const MIRROR_BUSY: Duration = Duration::from_secs(10);

impl From<VaultError> for Problem {
    fn from(error: VaultError) -> Self {
        let code = match &error {
            VaultError::Conflict | VaultError::Gone => Code::VaultConflict,
            VaultError::Busy => Code::VaultBusy,
            VaultError::Full => Code::VaultFull,
            VaultError::ReadOnly => Code::VaultReadOnly,
            VaultError::DiskFailed(_) => Code::VaultFailed,
            VaultError::Damaged { .. } | VaultError::Corrupt(_) => Code::VaultDamaged,
            VaultError::Closed => Code::Stopping,
            VaultError::WrongRootKey { .. }
            | VaultError::UnusableRootKey(_)
            | VaultError::Newer { .. }
            | VaultError::NotAVault
            | VaultError::Missing(_)
            | VaultError::Exists(_)
            | VaultError::InUse { .. }
            | VaultError::Unsuitable { .. }
            | VaultError::Io(_) => Code::VaultUnavailable,
        };
        let problem = Self::new(code).because(error);
        if code.status() == StatusCode::SERVICE_UNAVAILABLE {
            // A full queue empties within a second; the rest needs the owner, or a restart.
            let seconds = if code == Code::VaultBusy { 1 } else { 30 };
            problem.header(header::RETRY_AFTER, HeaderValue::from(seconds))
        } else {
            problem
        }
    }
}

impl From<KeyRefused> for Problem {
    fn from(refused: KeyRefused) -> Self {
        Self::new(match refused {
            KeyRefused::Malformed | KeyRefused::Unknown => Code::ApiKeyInvalid,
            KeyRefused::Expired => Code::ApiKeyExpired,
            KeyRefused::Revoked => Code::ApiKeyRevoked,
        })
        .because(refused)
    }
}

impl From<ApiKeysError> for Problem {
    fn from(error: ApiKeysError) -> Self {
        match error {
            ApiKeysError::NotFound => Self::new(Code::ApiKeyNotFound),
            ApiKeysError::Ended => Self::new(Code::ApiKeyEnded),
            ApiKeysError::Invalid { what, problem } => {
                Self::new(Code::FieldInvalid).detail(format!("`{what}` {problem}.")).with("field", what)
            }
            ApiKeysError::Vault(error) => error.into(),
        }
    }
}

impl From<SessionError> for Problem {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Invalid => Self::new(Code::SessionInvalid),
            SessionError::Expired => Self::new(Code::SessionExpired),
            SessionError::Ended => Self::new(Code::SessionEnded),
            SessionError::NotAllowed => Self::new(Code::UserNotAllowed)
                .detail("The owner no longer lists this person in `allow_users`."),
            SessionError::Vault(error) => error.into(),
        }
    }
}

impl From<ResolveError> for Problem {
    fn from(error: ResolveError) -> Self {
        match error {
            ResolveError::NotFound => Self::new(Code::UserNotFound),
            ResolveError::Ambiguous => Self::new(Code::UserAmbiguous),
            ResolveError::Vault(error) => error.into(),
        }
    }
}

impl From<UsersError> for Problem {
    fn from(error: UsersError) -> Self {
        match error {
            UsersError::NotFound => Self::new(Code::UserNotFound),
            UsersError::NoGrant => Self::new(Code::GrantNotFound),
            UsersError::UnknownClient => Self::new(Code::ClientUnknown),
            UsersError::Mirror(error) => error.into(),
            UsersError::TooMany { .. } => Self::new(Code::TooManyPeople),
            UsersError::BadCursor => Self::new(Code::CursorInvalid),
            UsersError::Vault(error) => error.into(),
            UsersError::Interrupted => Self::new(Code::Interrupted)
                .detail("locum was interrupted. What was begun goes on after a restart; look at the user before you try again."),
        }
    }
}

impl From<SignInRefused> for Problem {
    fn from(error: SignInRefused) -> Self {
        match error {
            SignInRefused::LinkGone => Self::new(Code::LoginLinkGone),
            SignInRefused::Vault(error) => error.into(),
            SignInRefused::Interrupted => Self::new(Code::Interrupted),
        }
    }
}

impl From<ClientsError> for Problem {
    fn from(error: ClientsError) -> Self {
        match error {
            ClientsError::UnknownClient => Self::new(Code::ClientUnknown),
            ClientsError::TooSoon { after } => Self::new(Code::RateLimited)
                .detail("This client was checked a moment ago. Wait as long as the Retry-After header says.")
                .retry_after(after),
            ClientsError::Vault(error) => error.into(),
            ClientsError::Interrupted => Self::new(Code::Interrupted)
                .detail("locum was interrupted while it asked Google. Nothing was changed; ask again."),
        }
    }
}

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::NotFound => Self::new(Code::UserNotFound),
            TokenError::NoGrant => Self::new(Code::GrantNotFound),
            TokenError::UnknownClient => Self::new(Code::ClientUnknown),
            TokenError::ConsentRequired { client, state, since } => Self::new(Code::ConsentRequired)
                .detail(state.words())
                .with("client", name(client.as_ref()))
                .with("state", state.code())
                .with("cause", state.cause().map_or(Value::Null, Value::from))
                .with("since", since.to_string()),
            TokenError::ClientAmbiguous { clients } => {
                Self::new(Code::ClientAmbiguous).with("clients", names(&clients))
            }
            TokenError::ScopeMissing { missing } => Self::new(Code::ScopeMissing)
                .with("missing_scopes", missing.iter().map(Value::from).collect::<Vec<_>>()),
            TokenError::ScopeWithheld => Self::new(Code::ScopeWithheld),
            TokenError::GoogleUnavailable { retry_after } => {
                Self::new(Code::GoogleUnavailable).retry_after(retry_after)
            }
            TokenError::ClientPaused { client, fault, retry_after } => Self::new(Code::ClientPaused)
                .with("client", client.as_str())
                .with("cause", fault_code(fault))
                .retry_after(retry_after),
            TokenError::Vault(error) => error.into(),
            TokenError::Interrupted => Self::new(Code::Interrupted),
        }
    }
}

impl From<MirrorError> for Problem {
    fn from(error: MirrorError) -> Self {
        // These words are written for the owner, and say what to do.
        let said = |code: Code, error: &MirrorError| Self::new(code).detail(sentence(&error.to_string()));
        match error {
            MirrorError::NotFound(_) => Self::new(Code::MirrorNotFound),
            MirrorError::Busy => Self::new(Code::MirrorBusy).retry_after(MIRROR_BUSY),
            MirrorError::Ambiguous { clients } => Self::new(Code::ClientAmbiguous)
                .detail("The user has mirrors with several clients. Send `client` with one of `clients`.")
                .with("clients", names(&clients)),
            MirrorError::Interrupted => Self::new(Code::Interrupted)
                .detail("locum is stopping. What the run was about is finished by the next one."),
            MirrorError::UnknownUser(_) => said(Code::UserNotFound, &error),
            MirrorError::FolderMissing(_)
            | MirrorError::BadFolder { .. }
            | MirrorError::NoMarker(_)
            | MirrorError::OtherMirror(_)
            | MirrorError::Local { .. } => said(Code::MirrorFolder, &error),
            MirrorError::Remote(RemoteError::TryLater { after }) => {
                Self::new(Code::DriveUnavailable).retry_after(after)
            }
            MirrorError::Remote(RemoteError::Full) => Self::new(Code::StorageFull),
            MirrorError::Remote(RemoteError::NeedsPerson(_)) => said(Code::MirrorNeedsPerson, &error),
            MirrorError::Remote(_) => said(Code::MirrorFailed, &error),
            MirrorError::Vault(error) => error.into(),
        }
    }
}

/// With a capital letter and a full stop.
fn sentence(words: &str) -> String {
    let mut chars = words.chars();
    let first: String = chars.next().map(|c| c.to_uppercase().collect()).unwrap_or_default();
    format!("{first}{}.", chars.as_str().trim_end_matches('.'))
}

impl From<AppDataError> for Problem {
    fn from(error: AppDataError) -> Self {
        match error {
            AppDataError::NotFound => Self::new(Code::FileNotFound),
            AppDataError::IsFolder => Self::new(Code::IsFolder),
            AppDataError::NotAFolder => Self::new(Code::NotAFolder),
            AppDataError::PreconditionFailed { current } => {
                let current = current.map(|tag| tag.to_string());
                // For a HEAD, whose answer has no body.
                let tag = current.as_ref().and_then(|tag| HeaderValue::from_str(tag).ok());
                let problem = Self::new(Code::PreconditionFailed).with("current", current);
                match tag {
                    Some(tag) => problem.header(header::ETAG, tag),
                    None => problem,
                }
            }
            AppDataError::TooLarge => Self::new(Code::ContentTooLarge),
            AppDataError::ContentBroke => Self::new(Code::ContentBroke),
            AppDataError::RangeNotSatisfiable { size } => {
                let problem = Self::new(Code::RangeNotSatisfiable);
                let range = size.and_then(|size| HeaderValue::try_from(format!("bytes */{size}")).ok());
                match range {
                    Some(range) => problem.header(header::CONTENT_RANGE, range),
                    None => problem,
                }
            }
            AppDataError::Changed => Self::new(Code::AppDataChanged),
            AppDataError::TooMany { limit } => Self::new(Code::TooManyFiles).with("limit", limit),
            AppDataError::Busy { retry_after } => Self::new(Code::AppDataBusy).retry_after(retry_after),
            AppDataError::DriveUnavailable { retry_after, error } => {
                Self::new(Code::DriveUnavailable).retry_after(retry_after).because(error)
            }
            AppDataError::StorageFull => Self::new(Code::StorageFull),
            // The grant says that it covers app data, and Drive says that it does not.
            AppDataError::ConsentNeeded(error @ DriveError::ScopeMissing) => {
                Self::new(Code::ScopeMissing).with("missing_scopes", vec![Value::from(SCOPE)]).because(error)
            }
            AppDataError::ConsentNeeded(error) => Self::new(Code::ConsentRequired)
                .detail("Drive refuses every access token of this grant, a fresh one too. Let the person sign in again; their organisation may have to allow the app.")
                .with("cause", "drive_refuses_tokens")
                .because(error),
            AppDataError::SettingNeeded(error) => {
                let (cause, detail) = match error {
                    DriveError::ApiDisabled => ("api_disabled", "The Google Drive API is not enabled in the Google Cloud project. The owner enables it in Google's console, under APIs and services; it takes some minutes to come into force."),
                    DriveError::PolicyForbids => ("domain_policy", "The person's organisation forbids apps in Drive. An administrator of theirs has to allow this app."),
                    DriveError::DailyLimit => ("daily_limit", "The daily limit that the owner set for Drive in the Google Cloud project is used up. Wait until tomorrow, or raise it in Google's console."),
                    _ => ("other", Code::DriveSettingNeeded.detail()),
                };
                Self::new(Code::DriveSettingNeeded).detail(detail).with("cause", cause).because(error)
            }
            AppDataError::Refused(error) => Self::new(Code::DriveRefused).because(error),
            AppDataError::Token(error) => error.into(),
            AppDataError::Interrupted => Self::new(Code::Interrupted),
        }
    }
}

impl From<SignInError> for Problem {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::CodeMissing => Self::new(Code::CodeMissing),
            SignInError::CodeEncoded => Self::new(Code::CodeEncoded),
            SignInError::CodeMalformed(_) => Self::new(Code::CodeMalformed).because(error),
            SignInError::UnknownClient { known } => {
                Self::new(Code::ClientUnknown).status(StatusCode::BAD_REQUEST).with("clients", names(&known))
            }
            SignInError::ClientRequired { clients } => {
                Self::new(Code::ClientRequired).with("clients", names(&clients))
            }
            SignInError::SourceRequired { client, sources } => Self::new(Code::SourceRequired)
                .with("client", client.as_str())
                .with("sources", json!(sources)),
            SignInError::SourceNotAllowed { client, sources } => Self::new(Code::SourceNotAllowed)
                .with("client", client.as_str())
                .with("sources", json!(sources)),
            SignInError::RedirectUriNotAllowed => Self::new(Code::RedirectUriNotAllowed),
            SignInError::IdempotencyKeyReused => Self::new(Code::IdempotencyKeyReused),
            SignInError::CodeSpent => Self::new(Code::CodeSpent),
            SignInError::CodeRefused(refusal) => Self::new(match refusal {
                CodeRefusal::Malformed => Code::CodeMalformed,
                CodeRefusal::SpentOrExpired => Code::CodeSpent,
                CodeRefusal::VerifierMissing => Code::VerifierMissing,
                CodeRefusal::VerifierWrong => Code::VerifierWrong,
                CodeRefusal::RedirectUriMismatch => Code::RedirectUriMismatch,
            })
            .because(refusal),
            SignInError::NoIdToken => Self::new(Code::IdTokenMissing),
            // The variants hold nothing of the token, and each is a sentence about what is wrong with it.
            SignInError::IdTokenRefused(reason) => Self::new(Code::IdTokenRefused)
                .detail(format!("Refused: {reason}. {}", Code::IdTokenRefused.detail()))
                .because(reason),
            SignInError::UserNotAllowed => Self::new(Code::UserNotAllowed),
            SignInError::OwnerNotListed => Self::new(Code::OwnerNotListed),
            SignInError::WrongAccount => Self::new(Code::WrongAccount),
            SignInError::NotConnected => Self::new(Code::NotConnected),
            SignInError::Blocked(cause) => {
                Self::new(Code::GoogleBlocked).detail(cause.words()).with("cause", cause.code())
            }
            SignInError::ClientFault { client, fault } => Self::new(Code::ClientMisconfigured)
                .with("client", client.as_str())
                .with("cause", fault_code(fault))
                .because(fault),
            SignInError::GoogleRefused { error } => {
                Self::new(Code::GoogleRefused).with("google_error", error)
            }
            SignInError::GoogleUnavailable { retry_after, code_may_be_spent } => {
                let problem = Self::new(Code::GoogleUnavailable)
                    .with("code_may_be_spent", code_may_be_spent)
                    .retry_after(retry_after.unwrap_or(GOOGLE_RETRY));
                problem.detail(if code_may_be_spent {
                    "Google gave no usable answer and may have used up the code. Try again with the same code; if it is then spent, sign in again."
                } else {
                    "Google gave no usable answer and the code is not used up. Send it again after the time in the Retry-After header, within ten minutes of the sign-in."
                })
            }
            SignInError::KeysUnavailable { code_spent } => {
                let problem = Self::new(Code::KeysUnavailable)
                    .with("code_may_be_spent", code_spent)
                    .retry_after(GOOGLE_RETRY);
                if code_spent {
                    problem.detail("Google's signing keys could not be fetched, so nobody knows who signed in and nothing was stored. The code is used up: sign in again in a moment.")
                } else {
                    problem
                }
            }
            SignInError::Vault(error) => error.into(),
            SignInError::Interrupted => Self::new(Code::Interrupted).detail(
                "locum was interrupted. Send the request again; if the code is then spent, sign in again.",
            ),
        }
    }
}

impl From<WebError> for Problem {
    fn from(error: WebError) -> Self {
        match error {
            WebError::NotConfigured => Self::new(Code::SignInNotConfigured),
            WebError::ReturnToNotAllowed => Self::new(Code::ReturnToNotAllowed),
            WebError::ChallengeUnusable => Self::new(Code::ChallengeUnusable),
            WebError::Expired => Self::new(Code::SignInExpired),
            WebError::OtherBrowser => Self::new(Code::SignInOtherBrowser),
            WebError::Denied => Self::new(Code::ConsentDenied),
            WebError::LinkGone => Self::new(Code::ConnectLinkGone),
            WebError::LocumCodeSpent => Self::new(Code::LocumCodeSpent),
            WebError::VerifierWrong => Self::new(Code::VerifierWrong)
                .detail("Send the `code_verifier` whose S256 was the `challenge` of the same sign-in. The code is spent: begin again at `/v1/sign-in`."),
            WebError::SignIn(error) => error.into(),
        }
    }
}

impl From<OwnAccountError> for Problem {
    fn from(error: OwnAccountError) -> Self {
        match error {
            OwnAccountError::NoClientFor(source) => Self::new(Code::SourceNotAllowed).detail(format!(
                "No such client has the source `{source}`. Make a client of the type for it at Google, and give it a `[[clients]]` table with `sources = [\"{source}\"]`."
            )),
            OwnAccountError::ScopesRefused(scopes) => Self::new(Code::DeviceScopesRefused)
                .detail(format!("Refused: {scopes}. {}", Code::DeviceScopesRefused.detail()))
                .with("scopes", json!(scopes)),
            OwnAccountError::WrongClientType(client) => Self::new(Code::ClientMisconfigured)
                .detail("Google refuses this client for the device flow. It needs a client of the type \"TVs and Limited Input devices\".")
                .with("client", client.as_str())
                .with("cause", "wrong_type"),
            OwnAccountError::NoDeviceFlow => Self::new(Code::GoogleRefused)
                .detail("The provider names no device endpoint. Use `locum connect`, or `locum connect --paste`."),
            OwnAccountError::Denied => Self::new(Code::ConsentDenied),
            OwnAccountError::SignIn(error) => error.into(),
        }
    }
}

/// Where Google says nothing of it: long enough for a hiccup to pass, short enough for a person to wait.
const GOOGLE_RETRY: std::time::Duration = std::time::Duration::from_secs(10);

/// The stable name of what Google has against a client.
pub(in crate::server) const fn fault_code(fault: ClientFault) -> &'static str {
    fault.code()
}

fn name(client: Option<&ClientName>) -> Value {
    client.map_or(Value::Null, |client| client.as_str().into())
}

fn names(clients: &[ClientName]) -> Vec<Value> {
    clients.iter().map(|client| client.as_str().into()).collect()
}
