//! `users::forget`: unusable at once, revoked at Google, then gone.

use std::time::Duration;

use locum::emulator::{Endpoint, Fault};
use locum::events::Actor;
use locum::grant::{DeathCause, GrantState};
use locum::ids::UserRef;
use locum::sessions::SessionError;
use locum::sign_in::SignInError;
use locum::tokens::{Reach, ResolveError, TokenError};
use locum::users::{Revoke, UsersError};
use serde_json::json;

use crate::harness::{TestLocum, client};

/// The seeded client, as "main", and a second one of its project.
pub async fn two_clients() -> TestLocum {
    with_clients(&["second"]).await
}

/// The seeded client, as "main", and more of its project.
pub async fn with_clients(more: &[&str]) -> TestLocum {
    let locum = TestLocum::start().await;
    let main = locum.seeded.web.clone();
    let others = more.iter().map(|name| {
        let id = format!("{}-{name}.apps.googleusercontent.com", main.client_id.project());
        let secret = locum::secret::ClientSecret::new(&*format!("GOCSPX-{name}"));
        let other = locum::emulator::RegisteredClient::web(id.parse().expect("an id"), secret);
        locum.emulator.world.add_client(other.clone());
        (*name, other)
    });
    let clients: Vec<_> = std::iter::once(("main", main.clone())).chain(others).collect();
    let sections = clients.iter().map(|(name, registered)| {
        format!(
            "[[clients]]\nname = {name:?}\nclient_id = {:?}\nclient_secret = {:?}\nsources = [\"ios\"]\nscopes = [\"openid\"]\n",
            registered.client_id.as_str(),
            registered.secrets[0].expose()
        )
    });
    let sections: String = sections.collect();
    locum.restart_with(&sections).await
}

pub async fn connect_to(locum: &TestLocum, name: &str) -> locum::ids::UserId {
    let configured = locum.state.config.client(&client(name)).expect("configured").client_id.clone();
    let code = locum.code_with(locum.alice(), |code| code.client_id = configured);
    let mut request = crate::harness::request(code);
    request.client = Some(client(name));
    locum.state.sign_in.redeem(request, &Actor::locum()).await.expect("a good code").user
}

#[actix_web::test]
async fn who_has_no_grant_with_a_client_is_still_somebody() {
    let locum = two_clients().await;
    let user = connect_to(&locum, "main").await;
    assert_eq!(locum.token_of(user, "second").await.expect_err("none"), TokenError::NoGrant);
    let second = client("second");
    let forgotten = locum.state.users.forget(user, Some(&second), Revoke::Auto, &Actor::locum()).await;
    assert_eq!(forgotten.expect_err("none"), UsersError::NoGrant);
    // To a caller that is bound to that client there is nobody.
    let bound = Reach { clients: Some(vec![second.clone()]), ..Reach::EVERYTHING };
    let refused = locum.state.tokens.refresh_now(user, Some(&second), &bound).await;
    assert_eq!(refused.expect_err("out of reach"), TokenError::NotFound);
    assert!(locum.token_of(user, "main").await.is_ok());
}

#[actix_web::test]
async fn a_forgotten_person_is_gone_here_and_at_google() {
    let locum = TestLocum::start().await;
    let user = locum.connect(locum.alice()).await;
    let token = locum.token(user).await.expect("a token").access_token;
    let forgotten = locum.state.users.forget(user, None, Revoke::Auto, &Actor::locum()).await.expect("known");
    assert_eq!(
        (forgotten.forgotten, forgotten.revoked, forgotten.pending),
        (vec!["main".to_owned()], true, false)
    );
    assert!(!locum.emulator.world.token_is_live(&token));
    assert_eq!(locum.token(user).await.expect_err("gone"), TokenError::NotFound);
    let name = UserRef::Sub(locum.alice().sub.clone());
    assert_eq!(locum.state.tokens.resolve(&name).await.expect_err("gone"), ResolveError::NotFound);
    assert_eq!(
        locum.state.users.forget(user, None, Revoke::Auto, &Actor::locum()).await.expect_err("gone"),
        UsersError::NotFound
    );
    assert_ne!(locum.connect(locum.alice()).await, user, "a person who comes back has a new row");
}

#[actix_web::test]
async fn while_google_is_down_the_grant_is_unusable_and_revoked_later() {
    let locum = TestLocum::start().await;
    let user = locum.connect(locum.alice()).await;
    locum.emulator.world.faults().until_cleared(Endpoint::Revoke, Fault::status(503));
    let forgotten =
        locum.state.users.forget(user, None, Revoke::Project, &Actor::locum()).await.expect("known");
    assert!(forgotten.pending && !forgotten.revoked);
    let refused = locum.token(user).await.expect_err("unusable");
    assert!(
        matches!(refused, TokenError::ConsentRequired { state: GrantState::Revoking, .. }),
        "{refused:?}"
    );
    let locum = locum.restart().await;
    locum.state.users.revoke_step().await.expect("the vault works");
    assert_eq!(locum.state.vault.count_users().await, Ok(1), "still tried");
    locum.emulator.world.faults().clear_all();
    locum.state.users.revoke_step().await.expect("the vault works");
    assert_eq!(locum.state.vault.count_users().await, Ok(0));
}

#[actix_web::test]
async fn after_a_day_the_rows_go_although_google_never_answered() {
    let locum = TestLocum::start().await;
    let user = locum.connect(locum.alice()).await;
    locum.emulator.world.faults().until_cleared(Endpoint::Revoke, Fault::status(503));
    locum.state.users.forget(user, None, Revoke::Project, &Actor::locum()).await.expect("known");
    locum.clock.advance(Duration::from_secs(86_401));
    locum.state.users.revoke_step().await.expect("the vault works");
    assert_eq!(locum.state.vault.count_users().await, Ok(0));
}

#[actix_web::test]
async fn one_of_two_grants_of_a_project_is_forgotten_without_ending_the_other() {
    let locum = two_clients().await;
    let user = connect_to(&locum, "main").await;
    assert_eq!(connect_to(&locum, "second").await, user);
    let ambiguous = locum.token(user).await.expect_err("two clients");
    assert!(matches!(ambiguous, TokenError::ClientAmbiguous { ref clients } if clients.len() == 2));

    let main = client("main");
    let preview = locum.state.users.preview_forget(user, Some(&main), Revoke::Project).await.expect("known");
    assert_eq!(preview.would_also_end, ["second"]);
    let forgotten =
        locum.state.users.forget(user, Some(&main), Revoke::Auto, &Actor::locum()).await.expect("known");
    assert!(!forgotten.revoked && forgotten.also_ended.is_empty());
    assert!(locum.token(user).await.is_ok(), "the other grant lives on");
}

#[actix_web::test]
async fn a_revocation_for_the_project_ends_the_other_grant_and_says_so() {
    let locum = two_clients().await;
    let user = connect_to(&locum, "main").await;
    connect_to(&locum, "second").await;
    let forgotten = locum
        .state
        .users
        .forget(user, Some(&client("main")), Revoke::Project, &Actor::locum())
        .await
        .expect("known");
    assert_eq!(forgotten.also_ended, ["second"]);
    let view = locum.state.users.show(user, &Reach::EVERYTHING).await.expect("still known");
    assert_eq!(view.grants[0].cause.as_deref(), Some(DeathCause::ExpiredOrRevoked.code()));
}

#[actix_web::test]
async fn who_connects_again_while_being_forgotten_stays() {
    let locum = TestLocum::start().await;
    let user = locum.connect(locum.alice()).await;
    locum.emulator.world.faults().until_cleared(Endpoint::Revoke, Fault::status(503));
    locum.state.users.forget(user, None, Revoke::Auto, &Actor::locum()).await.expect("known");
    let code = locum.code_with(locum.alice(), |code| code.force_consent = true);
    let back = locum.redeem(code).await.expect("a good code");
    assert_eq!(back.user, user);
    locum.emulator.world.faults().clear_all();
    locum.state.users.revoke_step().await.expect("the vault works");
    assert!(locum.token(user).await.is_ok());
}

#[actix_web::test]
async fn who_connects_again_without_a_new_token_keeps_the_old_one() {
    let locum = TestLocum::start().await;
    let user = locum.connect(locum.alice()).await;
    locum.emulator.world.faults().until_cleared(Endpoint::Revoke, Fault::status(503));
    locum.state.users.forget(user, None, Revoke::Auto, &Actor::locum()).await.expect("known");
    // Google has ended nothing and so sends no refresh token.
    let back = locum.redeem(locum.code(locum.alice())).await.expect("a good code");
    assert!(back.answer.offline_access);
    locum.clock.advance(Duration::from_secs(3600));
    assert!(locum.token(user).await.is_ok());
}

#[actix_web::test]
async fn whoever_is_being_forgotten_has_no_session_and_gets_none() {
    let locum = TestLocum::start().await;
    let mut ask = crate::harness::request(locum.code(locum.alice()));
    ask.idempotency_key = Some("key-1".into());
    let exchanged = locum.state.sign_in.redeem(ask.clone(), &Actor::locum()).await.expect("a good code");
    let sub = locum.alice().sub.clone();
    let client = &locum.seeded.web.client_id;
    let session = locum.state.sessions.issue(exchanged.user, &sub, exchanged.session_epoch, client).token;
    assert!(locum.state.sessions.verify(session.expose()).await.is_ok());

    locum.emulator.world.faults().until_cleared(Endpoint::Revoke, Fault::status(503));
    locum.state.users.forget(exchanged.user, None, Revoke::Auto, &Actor::locum()).await.expect("known");
    assert_eq!(locum.state.sessions.verify(session.expose()).await.expect_err("ended"), SessionError::Ended);
    let again =
        locum.state.sign_in.redeem(ask, &Actor::locum()).await.expect_err("an answer is a session, too");
    assert_eq!(again, SignInError::CodeSpent);
    locum.clock.advance(Duration::from_secs(10));
    let fresh = locum.emulator.world.mint_id_token(json!({"sub": sub, "aud": client}), json!({}));
    let refused = locum.state.sign_in.renew(fresh).await.expect_err("only a new sign-in comes back");
    assert_eq!(refused, SignInError::NotConnected);
}

#[actix_web::test]
async fn a_pending_revocation_does_not_end_what_was_granted_since() {
    let locum = two_clients().await;
    let user = connect_to(&locum, "main").await;
    locum.emulator.world.faults().until_cleared(Endpoint::Revoke, Fault::status(503));
    let forgotten = locum.state.users.forget(user, None, Revoke::Auto, &Actor::locum()).await.expect("known");
    assert!(forgotten.pending);
    locum.clock.advance(Duration::from_secs(60));
    assert_eq!(connect_to(&locum, "second").await, user);
    let token = locum.token(user).await.expect("the one that is being forgotten gives way");
    locum.emulator.world.faults().clear_all();
    locum.state.users.revoke_step().await.expect("the vault works");
    assert!(locum.emulator.world.token_is_live(&token.access_token), "one project, one consent");
    let view = locum.state.users.show(user, &Reach::EVERYTHING).await.expect("known");
    assert_eq!(view.grants.iter().map(|grant| grant.state.as_str()).collect::<Vec<_>>(), ["active"]);
}

#[actix_web::test]
async fn a_revocation_that_comes_late_says_whom_it_ended() {
    let locum = two_clients().await;
    let user = connect_to(&locum, "main").await;
    connect_to(&locum, "second").await;
    locum.token_of(user, "second").await.expect("a token");
    locum.emulator.world.faults().until_cleared(Endpoint::Revoke, Fault::status(503));
    let main = client("main");
    locum.clock.advance(Duration::from_secs(60));
    let forgotten =
        locum.state.users.forget(user, Some(&main), Revoke::Project, &Actor::locum()).await.expect("known");
    assert!(forgotten.pending && forgotten.also_ended.is_empty());
    assert!(locum.token_of(user, "second").await.is_ok(), "Google has ended nothing yet");
    locum.emulator.world.faults().clear_all();
    locum.state.users.revoke_step().await.expect("the vault works");
    let ended = locum.token_of(user, "second").await.expect_err("it ended with the project");
    assert!(matches!(ended, TokenError::ConsentRequired { state: GrantState::Dead(_), .. }), "{ended:?}");
}

#[actix_web::test]
async fn a_dead_refresh_token_does_not_hide_a_living_access_token() {
    let locum = TestLocum::start().await;
    let user = locum.connect(locum.alice()).await;
    let token = locum.token(user).await.expect("a token").access_token;
    for token in locum.emulator.world.refresh_tokens(&locum.alice().sub, &locum.seeded.web.client_id) {
        locum.emulator.world.end_refresh_token(&token);
    }
    let forgotten = locum.state.users.forget(user, None, Revoke::Auto, &Actor::locum()).await.expect("known");
    assert!(forgotten.revoked);
    assert!(!locum.emulator.world.token_is_live(&token));
}

#[actix_web::test]
async fn a_token_that_was_dead_already_ends_nobody_else() {
    let locum = two_clients().await;
    let user = connect_to(&locum, "main").await;
    connect_to(&locum, "second").await;
    let main = client("main");
    for token in locum.emulator.world.refresh_tokens(&locum.alice().sub, &locum.seeded.web.client_id) {
        locum.emulator.world.end_refresh_token(&token);
    }
    locum.clock.advance(Duration::from_secs(3600));
    locum.token_of(user, "main").await.expect_err("dead");
    let forgotten =
        locum.state.users.forget(user, Some(&main), Revoke::Project, &Actor::locum()).await.expect("known");
    assert!(forgotten.also_ended.is_empty(), "Google had nothing left to revoke by it");
    assert!(locum.token_of(user, "second").await.is_ok());
}
