use std::collections::BTreeSet;

use serde_json::json;

use super::*;
use crate::google::{ClientFault, CodeRefusal, IdTokenError};
use crate::grant::{BlockCause, DeathCause, GrantState};
use crate::sign_in::SignInError;
use crate::tokens::TokenError;
use crate::vault::VaultError;

/// `docs/errors.md`, as the table of codes has it.
fn page() -> String {
    let mut page = String::from(
        "# Problems\n\n\
         Every error answer is a problem (RFC 9457, `application/problem+json`) with `type` (`urn:locum:problem:` and \
         the code), `title`, `status`, `detail`, `code`, `request_id` and `retryable`; some have more members, which \
         their detail names. The `code` of a problem keeps its meaning; texts may be reworded. `retryable` says \
         whether the same request may succeed later with nothing changed; a `Retry-After` header says when, where \
         that is known. This page is tested to agree with the program.\n",
    );
    let mut codes = Code::ALL.iter();
    for (heading, count) in Code::HEADINGS {
        page.push_str(&format!("\n## {heading}\n\n| code | status | retryable | what it means and what to do |\n|---|---|---|---|\n"));
        for code in codes.by_ref().take(*count) {
            let other =
                code.other_status().map(|other| format!(" or {}", other.as_u16())).unwrap_or_default();
            page.push_str(&format!(
                "| `{}` | {}{other} | {} | {}. {} |\n",
                code.as_str(),
                code.status().as_u16(),
                if code.retryable() { "yes" } else { "no" },
                code.title(),
                code.detail(),
            ));
        }
    }
    page
}

#[test]
fn the_documentation_is_the_table_of_codes() {
    let written = include_str!("../../../docs/errors.md");
    assert!(written == page(), "docs/errors.md should be:\n{}", page());
}

#[test]
fn codes_are_unique_and_their_words_help() {
    let mut seen = BTreeSet::new();
    for code in Code::ALL {
        assert!(seen.insert(code.as_str()), "{}", code.as_str());
        assert!(code.as_str().bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'));
        assert!(code.detail().ends_with('.') && !code.title().ends_with('.'), "{}", code.as_str());
        assert!(code.status().is_client_error() || code.status().is_server_error());
    }
}

fn body(problem: &Problem) -> serde_json::Value {
    serde_json::from_slice(&problem.body("k3f9a2zq-000000001")).expect("JSON")
}

#[test]
fn a_problem_has_the_members_of_the_standard_and_its_own() {
    let dead = TokenError::ConsentRequired {
        client: Some("main".parse().expect("a name")),
        state: GrantState::Dead(DeathCause::AccessExpired),
        since: crate::clock::Timestamp::from_unix(1_795_368_972),
    };
    insta::assert_json_snapshot!("consent_required", body(&dead.into()));
    let paused = TokenError::ClientPaused {
        client: "main".parse().expect("a name"),
        fault: ClientFault::WrongSecret,
        retry_after: Duration::from_millis(1_500),
    };
    let paused: Problem = paused.into();
    insta::assert_json_snapshot!("client_paused", body(&paused));
    let rendered = paused.render("x").put_into(HttpResponse::new(StatusCode::OK));
    assert_eq!(rendered.status(), 503);
    assert_eq!(rendered.headers().get("retry-after").expect("when"), "2");
    assert_eq!(rendered.headers().get("content-type").expect("a type"), CONTENT_TYPE);
    insta::assert_json_snapshot!("credentials_missing", body(&Problem::new(Code::CredentialsMissing)));
    let source = SignInError::SourceRequired {
        client: "main".parse().expect("a name"),
        sources: vec![crate::config::Source::Ios, crate::config::Source::Web],
    };
    insta::assert_json_snapshot!("source_required", body(&source.into()));
}

#[test]
fn errors_become_the_codes_that_clients_know() {
    let main = || "main".parse().expect("a name");
    let cases: Vec<(Problem, u16, &str)> = vec![
        (SignInError::UnknownClient { known: vec![main()] }.into(), 400, "client_unknown"),
        (TokenError::UnknownClient.into(), 404, "client_unknown"),
        (SignInError::CodeRefused(CodeRefusal::SpentOrExpired).into(), 409, "code_spent"),
        (SignInError::CodeRefused(CodeRefusal::RedirectUriMismatch).into(), 400, "redirect_uri_mismatch"),
        (SignInError::IdTokenRefused(IdTokenError::Expired).into(), 401, "id_token_refused"),
        (SignInError::Blocked(BlockCause::AdminPolicy).into(), 403, "google_blocked"),
        (
            SignInError::ClientFault { client: main(), fault: ClientFault::Deleted }.into(),
            502,
            "client_misconfigured",
        ),
        (SignInError::GoogleRefused { error: "x".into() }.into(), 502, "google_refused"),
        (TokenError::ScopeWithheld.into(), 403, "scope_withheld"),
        (VaultError::Full.into(), 503, "vault_full"),
        (VaultError::DiskFailed("EIO".into()).into(), 503, "vault_failed"),
        (VaultError::Closed.into(), 503, "stopping"),
    ];
    for (problem, status, code) in cases {
        assert_eq!((problem.status_code().as_u16(), problem.code().as_str()), (status, code));
        let row = problem.code();
        assert!([Some(row.status()), row.other_status()].contains(&Some(problem.status_code())), "{code}");
    }
}

#[test]
fn the_text_of_an_error_stays_in_the_log() {
    let problem: Problem = VaultError::Io("/var/lib/locum/vault.db: needle".into()).into();
    assert!(!body(&problem).to_string().contains("needle"));
    assert!(format!("{problem:?}").contains("needle"));
    let transparent: Problem = TokenError::Vault(VaultError::Busy).into();
    assert_eq!(format!("{transparent:?}"), "Problem(vault_busy: too many writes are waiting)");
}

#[test]
fn an_outage_says_what_became_of_the_code() {
    let spent = |code_may_be_spent| {
        body(&SignInError::GoogleUnavailable { retry_after: None, code_may_be_spent }.into())
    };
    assert_eq!(spent(true)["code_may_be_spent"], json!(true));
    assert_ne!(spent(true)["detail"], spent(false)["detail"]);
}
