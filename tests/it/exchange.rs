//! `sign_in::redeem`: one code, one exchange, one commit.

use locum::emulator::{Endpoint, Fault};
use locum::events::Actor;
use locum::google::{CodeRefusal, IdTokenError};
use locum::secret::AuthorizationCode;
use locum::sign_in::SignInError;
use locum::vault::VaultError;

use crate::harness::{TestLocum, request};

#[actix_web::test]
async fn a_code_becomes_a_user_a_grant_and_a_token() {
    let locum = TestLocum::start().await;
    let exchanged = locum.redeem(locum.code(locum.alice())).await.expect("a good code");
    let answer = &exchanged.answer;
    assert_eq!(answer.user.email.as_ref().map(|email| email.as_str()), Some("alice@example.org"));
    assert!(answer.created && answer.offline_access && answer.missing_scopes.is_empty());
    assert!(answer.warnings.is_empty());

    let token = locum.token(exchanged.user).await.expect("a token");
    assert!(locum.emulator.world.token_is_live(&token.access_token));
    let counts = locum.emulator.world.counts();
    assert_eq!((counts.exchanges, counts.refreshes), (1, 0));
}

#[actix_web::test]
async fn a_code_is_exchanged_once_whatever_clients_do() {
    let locum = TestLocum::start().await;
    let code = locum.code(locum.alice());
    let hold = locum.emulator.world.faults().hold(Endpoint::Token);
    let posts = (0..100).map(|_| locum.redeem(code.clone()));
    let ((), outcomes) = futures_util::future::join(
        async {
            hold.reached(1).await;
            hold.release();
        },
        futures_util::future::join_all(posts),
    )
    .await;
    let good = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(good, 1);
    assert!(outcomes.iter().flat_map(|outcome| outcome.as_ref().err()).all(|e| *e == SignInError::CodeSpent));
    assert_eq!(locum.emulator.world.counts().exchanges, 1);
    assert_eq!(locum.redeem(code).await.expect_err("spent"), SignInError::CodeSpent);
    assert_eq!(locum.emulator.world.counts().exchanges, 1);
}

#[actix_web::test]
async fn the_same_key_gets_the_first_answer_again() {
    let locum = TestLocum::start().await;
    let mut ask = request(locum.code(locum.alice()));
    ask.idempotency_key = Some("key-1".into());
    let actor = Actor::locum();
    let posts = (0..20).map(|_| locum.state.sign_in.redeem(ask.clone(), &actor));
    for outcome in futures_util::future::join_all(posts).await {
        assert!(outcome.expect("the same answer").answer.created);
    }
    let mut other = request(locum.code(locum.bob()));
    other.idempotency_key = Some("key-1".into());
    let refused = locum.state.sign_in.redeem(other, &Actor::locum()).await.expect_err("another body");
    assert_eq!(refused, SignInError::IdempotencyKeyReused);
    assert_eq!(locum.emulator.world.counts().exchanges, 1);

    let locum = locum.restart().await;
    assert!(locum.state.sign_in.redeem(ask.clone(), &Actor::locum()).await.is_ok(), "also after a restart");
    locum.clock.advance(std::time::Duration::from_secs(601));
    assert_eq!(
        locum.state.sign_in.redeem(ask, &Actor::locum()).await.expect_err("too late"),
        SignInError::CodeSpent
    );
}

#[actix_web::test]
async fn a_refusal_is_remembered_and_an_outage_is_not() {
    let locum = TestLocum::start().await;
    let mut ask =
        request(AuthorizationCode::new("4/0Anot-a-code-of-this-emulator-but-of-its-shape-xxxxxxxxxxxx"));
    ask.idempotency_key = Some("key-1".into());
    let first = locum.state.sign_in.redeem(ask.clone(), &Actor::locum()).await.expect_err("unknown code");
    assert!(matches!(first, SignInError::CodeRefused(CodeRefusal::Malformed | CodeRefusal::SpentOrExpired)));
    assert_eq!(locum.state.sign_in.redeem(ask, &Actor::locum()).await.expect_err("the same"), first);
    assert_eq!(locum.emulator.world.counts().exchanges, 1);

    let faults = locum.emulator.world.faults();
    faults.once(Endpoint::Token, Fault::status(503));
    let code = locum.code(locum.alice());
    let outage = locum.redeem(code.clone()).await.expect_err("an outage");
    assert!(matches!(outage, SignInError::GoogleUnavailable { .. }), "{outage:?}");
    assert!(locum.redeem(code).await.is_ok(), "nothing is remembered of an outage");
}

#[actix_web::test]
async fn bad_codes_never_reach_google() {
    let locum = TestLocum::start().await;
    let refuse = async |code: &str| locum.redeem(AuthorizationCode::new(code)).await.expect_err("a bad code");
    assert_eq!(refuse("").await, SignInError::CodeMissing);
    assert_eq!(refuse("4%2F0Aabc").await, SignInError::CodeEncoded);
    assert!(matches!(refuse("4/0A bc").await, SignInError::CodeMalformed(_)));
    assert!(matches!(refuse(&"4".repeat(600)).await, SignInError::CodeMalformed(_)));
    assert_eq!(locum.emulator.world.counts().exchanges, 0);
}

#[actix_web::test]
async fn a_person_who_is_not_listed_leaves_no_trace() {
    let locum = TestLocum::start_with("allow_users = [\"bob.sample@gmail.com\", \"example.com\"]\n").await;
    let refused = locum.redeem(locum.code(locum.alice())).await.expect_err("not listed");
    assert_eq!(refused, SignInError::UserNotAllowed);
    assert_eq!(locum.state.vault.count_users().await, Ok(0));
    assert!(locum.state.lifecycle.stop(std::time::Duration::from_secs(10)).await);
    assert_eq!(locum.emulator.world.counts().revokes, 1, "the tokens just received are given back");
}

#[actix_web::test]
async fn a_vault_that_cannot_be_written_still_refuses_and_gives_back() {
    let locum = TestLocum::start_with("allow_users = [\"bob.sample@gmail.com\"]\n").await;
    // From now on it can only be read.
    locum.state.vault.close().await;
    let refused = locum.redeem(locum.code(locum.alice())).await.expect_err("not listed");
    assert_eq!(refused, SignInError::UserNotAllowed);
    let failed = locum.redeem(locum.code(locum.bob())).await.expect_err("nothing can be stored");
    assert_eq!(failed, SignInError::Vault(VaultError::Closed));
    assert!(locum.state.lifecycle.stop(std::time::Duration::from_secs(10)).await);
    assert_eq!(locum.emulator.world.counts().revokes, 1, "hers, and not those of somebody who is listed");
}

#[actix_web::test]
async fn an_entry_that_is_taken_off_the_list_shuts_the_door() {
    let locum = TestLocum::start_with("allow_users = [\"alice@example.org\"]\n").await;
    locum.connect(locum.alice()).await;
    let locum = locum.restart_with("allow_users = [\"bob.sample@gmail.com\"]\n").await;
    let refused = locum.redeem(locum.code(locum.alice())).await.expect_err("no longer listed");
    assert_eq!(refused, SignInError::UserNotAllowed);
    assert_eq!(locum.emulator.world.counts().revokes, 0, "what is stored is not revoked");
}

#[actix_web::test]
async fn an_outage_is_the_outcome_of_everybody_who_waited() {
    let locum = TestLocum::start().await;
    let mut ask = request(locum.code(locum.alice()));
    ask.idempotency_key = Some("key-1".into());
    locum.emulator.world.faults().until_cleared(Endpoint::Exchange, Fault::status(503));
    let actor = Actor::locum();
    let posts = (0..20).map(|_| locum.state.sign_in.redeem(ask.clone(), &actor));
    for outcome in futures_util::future::join_all(posts).await {
        assert!(matches!(outcome, Err(SignInError::GoogleUnavailable { .. })), "{outcome:?}");
    }
    assert_eq!(locum.emulator.world.counts().exchanges, 1);
    locum.emulator.world.faults().clear_all();
    assert!(locum.state.sign_in.redeem(ask, &Actor::locum()).await.is_ok(), "who comes later may try again");
}

#[actix_web::test]
async fn a_code_whose_id_token_was_refused_does_not_go_to_google_again() {
    let locum = TestLocum::start().await;
    let mut ask = request(locum.code_with(locum.alice(), |code| code.nonce = Some("theirs".into())));
    ask.nonce = Some("ours".into());
    ask.idempotency_key = Some("key-1".into());
    let refused =
        locum.state.sign_in.redeem(ask.clone(), &Actor::locum()).await.expect_err("another sign-in's");
    assert_eq!(refused, SignInError::IdTokenRefused(IdTokenError::NonceMismatch));
    let again = locum.state.sign_in.redeem(ask, &Actor::locum()).await.expect_err("spent");
    assert_eq!(again, SignInError::CodeRefused(CodeRefusal::SpentOrExpired));
    assert_eq!(locum.emulator.world.counts().exchanges, 1);
    assert_eq!(locum.state.vault.count_users().await, Ok(0));
}

#[actix_web::test]
async fn no_code_is_spent_while_there_are_no_keys() {
    let locum = TestLocum::start().await;
    locum.emulator.world.faults().until_cleared(Endpoint::Jwks, Fault::status(503));
    let code = locum.code(locum.alice());
    let refused = locum.redeem(code.clone()).await.expect_err("nobody could tell who it is");
    assert_eq!(refused, SignInError::KeysUnavailable { code_spent: false });
    assert_eq!(locum.emulator.world.counts().exchanges, 0);
    locum.emulator.world.faults().clear_all();
    locum.clock.advance(std::time::Duration::from_secs(11));
    assert!(locum.redeem(code).await.is_ok());
}
