//! What a repeated sign-in does to the stored refresh token, and sessions without a code.

use locum::emulator::{Endpoint, Fault};
use locum::events::Actor;
use locum::google::IdTokenError;
use locum::grant::{ConsentCause, DeathCause, GrantState};
use locum::ids::Email;
use locum::scopes::ScopeSet;
use locum::secret::AuthorizationCode;
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

/// A code of Alice's that opens less than she has granted.
fn fewer(locum: &TestLocum) -> AuthorizationCode {
    locum.code_with(locum.alice(), |code| {
        code.scopes = ScopeSet::parse("openid email");
        code.force_consent = true;
    })
}

#[actix_web::test]
async fn a_token_that_the_provider_replaced_when_it_was_tried_works() {
    let locum = TestLocum::start().await;
    let user = locum.connect(locum.alice()).await;
    locum.emulator.world.change_settings(|settings| settings.rotate_refresh_tokens = true);
    let exchanged = locum.redeem(fewer(&locum)).await.expect("a good code");
    assert_eq!(exchanged.answer.scopes, ScopeSet::parse(SCOPES), "the grant still opens everything");
    assert_eq!(locum.emulator.world.counts().refreshes, 1, "it is tried once");
    locum.clock.advance(Duration::from_secs(3600));
    assert_eq!(locum.token(user).await.expect("a token").scopes, ScopeSet::parse(SCOPES));
}

#[actix_web::test]
async fn fewer_scopes_do_not_replace_a_token_that_works() {
    let locum = TestLocum::start().await;
    let user = locum.connect(locum.alice()).await;
    let exchanged = locum.redeem(fewer(&locum)).await.expect("a good code");
    assert_eq!(exchanged.answer.scopes, ScopeSet::parse(SCOPES), "the grant still opens everything");
    assert_eq!(locum.emulator.world.counts().revokes, 0, "the new token is dropped, not revoked");
    locum.clock.advance(Duration::from_secs(3600));
    let token = locum.token(user).await.expect("a token");
    assert_eq!(token.scopes, ScopeSet::parse(SCOPES));

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
    locum.state.users.forget(exchanged.user, None, Revoke::Auto, &Actor::locum()).await.expect("known");
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

#[actix_web::test]
async fn a_sign_in_for_less_takes_nothing_away() {
    let locum = TestLocum::start().await;
    let user = locum.connect(locum.alice()).await;
    let code = locum.code_with(locum.alice(), |code| code.scopes = ScopeSet::parse("openid"));
    let exchanged = locum.redeem(code).await.expect("a good code");
    assert_eq!(exchanged.answer.scopes, ScopeSet::parse(SCOPES));
    let token = locum.token_with(user, |ask| ask.scopes = Some(ScopeSet::parse(SCOPES))).await;
    let opens = locum.emulator.world.access(token.expect("a token").access_token.expose());
    assert_eq!(opens.expect("alive").scopes, ScopeSet::parse(SCOPES));
    assert_eq!(locum.emulator.world.counts().refreshes, 0);

    // An ID token for `openid` alone names nobody; who it is is known.
    let person = locum.state.vault.load_user(user).await.expect("the vault").expect("connected").profile;
    let alice = locum.alice();
    let email: Email = alice.email.parse().expect("an address");
    assert_eq!((person.email.as_ref(), person.email_verified), (Some(&email), true));
    assert_eq!(person.name.as_deref(), Some(alice.name.as_str()));
    assert!(person.picture.is_some() && person.given_name.is_some());
    assert_eq!(exchanged.answer.user.name, person.name);
    let found = locum.state.vault.find_users_by_email(&email).await;
    assert_eq!(found, Ok(vec![user]), "programs still find her by her address");
}

#[actix_web::test]
async fn an_account_that_is_enabled_again_needs_no_forced_consent() {
    let locum = TestLocum::start().await;
    let user = locum.connect(locum.alice()).await;
    locum.emulator.world.disable_account(&locum.alice().sub, true);
    locum.clock.advance(Duration::from_secs(3600));
    let dead = locum.token(user).await.expect_err("disabled");
    let TokenError::ConsentRequired { state, .. } = dead else { panic!("{dead:?}") };
    assert_eq!(state, GrantState::Dead(DeathCause::AccountDisabled));
    locum.emulator.world.disable_account(&locum.alice().sub, false);
    // Google has a refresh token with this client on its list and so sends none.
    let exchanged = locum.redeem(locum.code(locum.alice())).await.expect("a good code");
    assert!(exchanged.answer.offline_access, "the stored one works again");
    assert!(locum.token(user).await.is_ok());
}

#[actix_web::test]
async fn a_stored_token_that_is_dead_does_not_count_as_offline_access() {
    let locum = TestLocum::start().await;
    let user = locum.connect(locum.alice()).await;
    for token in locum.emulator.world.refresh_tokens(&locum.alice().sub, &locum.seeded.web.client_id) {
        locum.emulator.world.end_refresh_token(&token);
    }
    locum.clock.advance(Duration::from_secs(3600));
    locum.token(user).await.expect_err("dead");
    let exchanged = locum.redeem(locum.code(locum.alice())).await.expect("a good code");
    assert!(!exchanged.answer.offline_access);
    assert_eq!(exchanged.answer.warnings[0].code, "no_refresh_token");
}

#[actix_web::test]
async fn who_is_forgotten_while_signing_in_for_less_is_connected_in_the_end() {
    let locum = TestLocum::start().await;
    let user = locum.connect(locum.alice()).await;
    locum.emulator.world.faults().until_cleared(Endpoint::Revoke, Fault::status(503));
    let code = locum.code_with(locum.alice(), |code| {
        code.scopes = ScopeSet::parse("openid email");
        code.force_consent = true;
    });
    let hold = locum.emulator.world.faults().hold(Endpoint::Refresh);
    let forget = async {
        hold.reached(1).await;
        locum.state.users.forget(user, None, Revoke::Auto, &Actor::locum()).await.expect("known");
        hold.release();
    };
    let (exchanged, ()) = futures_util::future::join(locum.redeem(code), forget).await;
    assert!(exchanged.expect("a good code").answer.offline_access);
    locum.emulator.world.faults().clear_all();
    locum.state.users.revoke_step().await.expect("the vault works");
    assert!(locum.token(user).await.is_ok(), "a new sign-in is the latest wish");
}

#[actix_web::test]
async fn a_sign_in_does_not_count_as_a_use_of_the_refresh_token() {
    let locum = TestLocum::start().await;
    locum.connect(locum.alice()).await;
    for _ in 0..3 {
        locum.clock.advance(Duration::from_secs(3 * 86_400));
        locum.connect(locum.alice()).await;
    }
    assert_eq!(locum.state.tokens.keep_alive_step().await, Ok(1), "Google has not seen it for nine days");
}

#[actix_web::test]
async fn a_session_is_renewed_only_where_it_will_be_accepted() {
    let locum = TestLocum::start().await;
    let user = locum.connect(locum.alice()).await;
    let locum = locum.restart_with("allow_users = [\"alice@example.org\"]\n").await;
    let mint = |locum: &TestLocum| {
        let claims = json!({
            "sub": locum.alice().sub, "aud": locum.seeded.web.client_id,
            "email": locum.alice().email, "email_verified": true,
        });
        locum.emulator.world.mint_id_token(claims, json!({}))
    };
    let refused = locum.state.sign_in.renew(mint(&locum)).await.expect_err("let in by another entry");
    assert_eq!(refused, SignInError::UserNotAllowed);
    assert_eq!(locum.connect(locum.alice()).await, user, "a sign-in finds the new entry");
    let renewed = locum.state.sign_in.renew(mint(&locum)).await.expect("listed");
    let session =
        locum.state.sessions.issue(user, &renewed.sub, renewed.session_epoch, &renewed.client_id).token;
    assert!(locum.state.sessions.verify(session.expose()).await.is_ok());
}
