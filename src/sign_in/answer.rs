//! What an app is told of an exchange.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::google::CodeRefusal;
use crate::ids::{ClientName, Email, Sub};
use crate::scopes::ScopeSet;
use crate::vault::{CodeMarks, NewRedemption, Profile};

/// Refresh tokens of a project in Testing live seven days; the announced lifetime is a little less.
const SEVEN_DAYS: i64 = 604_800;

/// The answer to `POST /v1/exchange`, apart from the session.
#[derive(Clone, Serialize, Deserialize)]
pub struct ExchangeAnswer {
    /// Who signed in.
    pub user: AnswerUser,
    /// The client.
    pub client: ClientName,
    /// What was granted.
    pub scopes: ScopeSet,
    /// What the configuration wants and the person did not grant.
    pub missing_scopes: ScopeSet,
    /// Whether locum can act for the person while they are offline.
    pub offline_access: bool,
    /// When the refresh token runs out, if Google said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token_expires_at: Option<Timestamp>,
    /// What the owner should know.
    pub warnings: Vec<Warning>,
    /// Whether the person is new here.
    pub created: bool,
}

/// The person, as apps see them.
#[derive(Clone, Serialize, Deserialize)]
pub struct AnswerUser {
    /// Google's `sub`.
    pub id: Sub,
    /// The address.
    pub email: Option<Email>,
    /// Whether Google has verified it.
    pub email_verified: bool,
    /// The full name.
    pub name: Option<String>,
    /// Address of a picture.
    pub picture: Option<String>,
    /// BCP 47 language tag.
    pub locale: Option<String>,
    /// The given name.
    pub given_name: Option<String>,
    /// The family name.
    pub family_name: Option<String>,
    /// The organisation's domain.
    pub hd: Option<String>,
}

/// Something that works now and will not later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// A stable name.
    pub code: String,
    /// What it means and what cures it.
    pub detail: String,
}

/// Personal data has no place in logs.
impl std::fmt::Debug for ExchangeAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExchangeAnswer").field("client", &self.client).finish_non_exhaustive()
    }
}

impl From<&Profile> for AnswerUser {
    fn from(profile: &Profile) -> Self {
        Self {
            id: profile.sub.clone(),
            email: profile.email.clone(),
            email_verified: profile.email_verified,
            name: profile.name.clone(),
            picture: profile.picture.clone(),
            locale: profile.locale.clone(),
            given_name: profile.given_name.clone(),
            family_name: profile.family_name.clone(),
            hd: profile.hd.clone(),
        }
    }
}

/// Everything worth warning of.
pub(super) fn warnings(offline: bool, expires_in: Option<i64>) -> Vec<Warning> {
    let warning = |code: &str, detail: &str| Warning { code: code.into(), detail: detail.into() };
    let mut warnings = Vec::new();
    match expires_in {
        Some(seconds) if seconds <= SEVEN_DAYS => warnings.push(warning(
            "grant_expires_in_seven_days",
            "Google ends this grant within seven days, as it does for every project whose publishing status is \
             Testing. Publish the app (Google Cloud console, Google Auth Platform, Audience, Publish app), then let \
             the person sign in again.",
        )),
        Some(_) => warnings.push(warning(
            "grant_expires",
            "The person granted access for a limited time; they have to sign in again before \
             refresh_token_expires_at.",
        )),
        None => {}
    }
    if !offline {
        warnings.push(warning(
            "no_refresh_token",
            "Google sent no refresh token and none is stored, so locum cannot act for this person while they are \
             offline. Sign in again with forced consent: prompt=consent and access_type=offline on the web, \
             requestOfflineAccess(id, true) on Android; on iOS call disconnect() first.",
        ));
    }
    warnings
}

/// What is remembered of a code, sealed in the vault.
#[derive(Serialize, Deserialize)]
pub(super) enum Remembered {
    Success { answer: Box<ExchangeAnswer>, session_epoch: i64 },
    Refused(RememberedRefusal),
}

impl Remembered {
    pub(super) fn success(answer: ExchangeAnswer, session_epoch: i64) -> Self {
        Self::Success { answer: Box::new(answer), session_epoch }
    }
}

/// What is remembered of a code. The answer only where it has a key to ask for it by.
pub(super) fn redemption(marks: CodeMarks, answer: impl FnOnce() -> Remembered) -> NewRedemption {
    let answer = marks
        .idempotency_key
        .map(|_| serde_json::to_vec(&answer()).expect("an answer is plain strings and numbers"));
    NewRedemption { marks, answer }
}

/// Google's final refusals, and ours after the code was spent.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) enum RememberedRefusal {
    Malformed,
    Spent,
    VerifierMissing,
    VerifierWrong,
    RedirectUriMismatch,
    UserNotAllowed,
    WrongAccount,
    NoIdToken,
}

impl RememberedRefusal {
    pub(super) const fn from_google(refusal: CodeRefusal) -> Self {
        match refusal {
            CodeRefusal::Malformed => Self::Malformed,
            CodeRefusal::SpentOrExpired => Self::Spent,
            CodeRefusal::VerifierMissing => Self::VerifierMissing,
            CodeRefusal::VerifierWrong => Self::VerifierWrong,
            CodeRefusal::RedirectUriMismatch => Self::RedirectUriMismatch,
        }
    }
}

impl From<RememberedRefusal> for super::SignInError {
    fn from(refusal: RememberedRefusal) -> Self {
        let refused = Self::CodeRefused;
        match refusal {
            RememberedRefusal::Malformed => refused(CodeRefusal::Malformed),
            RememberedRefusal::Spent => refused(CodeRefusal::SpentOrExpired),
            RememberedRefusal::VerifierMissing => refused(CodeRefusal::VerifierMissing),
            RememberedRefusal::VerifierWrong => refused(CodeRefusal::VerifierWrong),
            RememberedRefusal::RedirectUriMismatch => refused(CodeRefusal::RedirectUriMismatch),
            RememberedRefusal::UserNotAllowed => Self::UserNotAllowed,
            RememberedRefusal::WrongAccount => Self::WrongAccount,
            RememberedRefusal::NoIdToken => Self::NoIdToken,
        }
    }
}
