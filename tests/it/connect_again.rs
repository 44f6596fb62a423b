//! What a repeated sign-in does to the stored refresh token, and sessions without a code.

use locum::emulator::{Endpoint, Fault};
use locum::google::IdTokenError;
use locum::grant::{ConsentCause, GrantState};
use locum::scopes::ScopeSet;
use locum::sessions::SessionError;
use locum::sign_in::SignInError;
use locum::tokens::TokenError;
use locum::users::Revoke;
use serde_json::json;
use std::time::Duration;

use crate::harness::{SCOPES, TestLocum};

#[actix_web::test]
async fn no_refresh_token_keeps_the_stored_one() {
    let locum = TestLocum::start().await;
    let user = locum.connect(locum.alice()).await;
    // A repeated sign-in without forced consent brings no refresh token.
    let again = locum.redeem(locum.code(locum.alice())).await.expect("a good code");
    assert!(again.answer.offline_access && !again.answer.created);
    locum.clock.advance(Duration::from_secs(3600));
    assert!(locum.token(user).await.is_ok(), "the stored refresh token still works");
}

#[actix_web::test]
async fn no_refresh_token_at_all_is_said_with_the_way_out() {
    let locum = TestLocum::start().await;
    let code = locum.code_with(locum.alice(), |code| code.offline = false);
    let exchanged = locum.redeem(code).await.expect("a good code");
    assert!(!exchanged.answer.offline_access);
    assert_eq!(exchanged.answer.warnings[0].code, "no_refresh_token");
    let refused = locum.token(exchanged.user).await.expect_err("no offline access");
    let TokenError::ConsentRequired { state, .. } = refused else { panic!("{refused:?}") };
    assert_eq!(state, GrantState::NeedsConsent(ConsentCause::NoRefreshToken));
    let code = locum.code_with(locum.alice(), |code| code.force_consent = true);
    assert!(locum.redeem(code).await.expect("a good code").answer.offline_access);
    assert!(locum.token(exchanged.user).await.is_ok());
}

#[actix_web::test]
async fn fewer_scopes_do_not_replace_a_token_that_works() {
    let locum = TestLocum::start().await;
    let user = locum.connect(locum.alice()).await;
    let fewer = |locum: &TestLocum| {
        locum.code_with(locum.alice(), |code| {
            code.scopes = ScopeSet::parse("openid email");
            code.force_consent = true;
        })
    };
    let exchanged = locum.redeem(fewer(&locum)).await.expect("a good code");
    assert_eq!(exchanged.answer.scopes, ScopeSet::parse(SCOPES), "the grant still opens everything");
    assert_eq!(locum.emulator.world.counts().revokes, 0, "the new token is dropped, not revoked");
    locum.clock.advance(Duration::from_secs(3600));
    let token = locum.token(user).await.expect("a token");
    assert_eq!(ScopeSet::parse(&token.scopes), ScopeSet::parse(SCOPES));

    for token in locum.emulator.world.refresh_tokens(&locum.alice().sub, &locum.seeded.web.client_id) {
        locum.emulator.world.end_refresh_token(&token);
    }
    let exchanged = locum.redeem(fewer(&locum)).await.expect("a good code");
    assert_eq!(exchanged.answer.scopes, ScopeSet::parse("openid email"), "a dead one is replaced");
    assert!(!exchanged.answer.missing_scopes.is_empty());
}

#[actix_web::test]
async fn the_seven_day_trap_is_said_in_words() {
    let locum = TestLocum::start().await;
    locum.emulator.world.set_refresh_token_expires_in(Some(604_799));
    let exchanged = locum.redeem(locum.code(locum.alice())).await.expect("a good code");
    assert!(exchanged.answer.refresh_token_expires_at.is_some());
    let warning = &exchanged.answer.warnings[0];
    assert!(warning.detail.contains("Testing") && warning.detail.contains("Publish"), "{}", warning.detail);
    let counts = locum.state.vault.count_grants().await.expect("the vault works");
    assert!(counts.next_expiry.is_some());
}

#[actix_web::test]
async fn a_session_ends_with_its_hour_its_person_and_their_entry() {
    let locum = TestLocum::start().await;
    let exchanged = locum.redeem(locum.code(locum.alice())).await.expect("a good code");
    let issue = |locum: &TestLocum, epoch| {
        locum.state.sessions.issue(exchanged.user, &locum.alice().sub, epoch, &locum.seeded.web.client_id)
    };
    let session = issue(&locum, exchanged.session_epoch);
    let verify = async |locum: &TestLocum| locum.state.sessions.verify(session.token.expose()).await;
    assert_eq!(verify(&locum).await.expect("fresh").user, exchanged.user);
    let locum = locum.restart().await;
    assert!(verify(&locum).await.is_ok(), "the key is kept");
    let strict = locum.restart_with("allow_users = [\"bob.sample@gmail.com\"]\n").await;
    assert_eq!(verify(&strict).await.expect_err("off the list"), SessionError::NotAllowed);
    let locum = strict.restart_with("").await;
    locum.state.vault.end_sessions(exchanged.user).await.expect("known");
    assert_eq!(verify(&locum).await.expect_err("ended"), SessionError::Ended);
    locum.state.users.forget(exchanged.user, None, Revoke::Auto).await.expect("known");
    assert_eq!(verify(&locum).await.expect_err("forgotten"), SessionError::Ended);
    locum.clock.advance(Duration::from_secs(3600));
    assert_eq!(verify(&locum).await.expect_err("late"), SessionError::Expired);
    for bent in
        ["", "a.b.c", &session.token.expose().replace('.', ""), &format!("{}x", session.token.expose())]
    {
        assert_eq!(locum.state.sessions.verify(bent).await.expect_err("bent"), SessionError::Invalid);
    }
}

#[actix_web::test]
async fn an_id_token_renews_a_session_and_nothing_else() {
    let locum = TestLocum::start().await;
    let claims = |locum: &TestLocum| json!({"sub": locum.alice().sub, "aud": locum.seeded.web.client_id, "azp": locum.seeded.web.client_id});
    let mint = |locum: &TestLocum| locum.emulator.world.mint_id_token(claims(locum), json!({}));
    let unknown = locum.state.sign_in.renew(mint(&locum)).await.expect_err("nobody yet");
    assert_eq!(unknown, SignInError::NotConnected);
    let user = locum.connect(locum.alice()).await;
    assert_eq!(locum.state.sign_in.renew(mint(&locum)).await.expect("connected").user, user);
    assert_eq!(locum.emulator.world.counts().exchanges, 1);

    let old = mint(&locum);
    locum.state.vault.end_sessions(user).await.expect("known");
    let ended = locum.state.sign_in.renew(old).await.expect_err("issued before the end");
    assert_eq!(ended, SignInError::IdTokenRefused(IdTokenError::Expired));
    locum.clock.advance(Duration::from_secs(10));
    assert!(locum.state.sign_in.renew(mint(&locum)).await.is_ok());
    let forged = locum.emulator.world.forge_id_token(claims(&locum), json!({}));
    assert!(matches!(locum.state.sign_in.renew(forged).await, Err(SignInError::IdTokenRefused(_))));
}

#[actix_web::test]
async fn random_key_ids_cause_one_fetch_a_cool_down() {
    let locum = TestLocum::start().await;
    locum.connect(locum.alice()).await;
    let fetched = locum.emulator.world.counts().jwks;
    for n in 0..1000 {
        let token = locum.emulator.world.mint_id_token(
            json!({"sub": locum.alice().sub, "aud": locum.seeded.web.client_id}),
            json!({"kid": format!("{n:0>40x}")}),
        );
        let refused = locum.state.sign_in.renew(token).await.expect_err("an unknown key");
        assert_eq!(refused, SignInError::IdTokenRefused(IdTokenError::UnknownKey));
    }
    assert_eq!(locum.emulator.world.counts().jwks, fetched + 1);
    locum.clock.advance(Duration::from_secs(121));
    locum.emulator.world.rotate_keys();
    assert!(locum.redeem(locum.code(locum.bob())).await.is_ok(), "a new key is found");
    assert_eq!(locum.emulator.world.counts().jwks, fetched + 2);
}

#[actix_web::test]
async fn a_restart_without_network_still_verifies() {
    let locum = TestLocum::start().await;
    locum.connect(locum.alice()).await;
    for endpoint in [Endpoint::Jwks, Endpoint::Discovery] {
        locum.emulator.world.faults().until_cleared(endpoint, Fault::Drop);
    }
    let locum = locum.restart().await;
    assert!(locum.redeem(locum.code(locum.bob())).await.is_ok());
    locum.clock.advance(Duration::from_secs(2 * 86_400));
    let mint = locum
        .emulator
        .world
        .mint_id_token(json!({"sub": locum.alice().sub, "aud": locum.seeded.web.client_id}), json!({}));
    assert!(locum.state.sign_in.renew(mint).await.is_ok(), "an old set serves on");
    locum.clock.advance(Duration::from_secs(2 * 86_400));
    let mint = locum
        .emulator
        .world
        .mint_id_token(json!({"sub": locum.alice().sub, "aud": locum.seeded.web.client_id}), json!({}));
    let late = locum.state.sign_in.renew(mint).await.expect_err("past the hard limit");
    assert!(matches!(late, SignInError::KeysUnavailable { .. }), "{late:?}");
}
