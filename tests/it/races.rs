//! `tokens` when something else happens at the same moment: a forget, a new sign-in, another caller.

use std::time::Duration;

use futures_util::future::{join, join_all};
use locum::emulator::{Endpoint, Fault, Hold};
use locum::events::Actor;
use locum::google::ClientFault;
use locum::grant::GrantState;
use locum::ids::UserId;
use locum::scopes::ScopeSet;
use locum::tokens::{HandedToken, Reach, TokenError};
use locum::users::Revoke;

use crate::harness::{SCOPES, START, TestLocum};

/// What a key that is bound to scopes is handed.
async fn narrowed(locum: &TestLocum, user: UserId, bound: &str) -> Result<HandedToken, TokenError> {
    let reach = Reach { clients: None, scopes: Some(ScopeSet::parse(bound)) };
    let request = locum::tokens::TokenRequest {
        person: user.into(),
        client: None,
        scopes: None,
        min_ttl: None,
        rejected: None,
        reach: &reach,
    };
    locum.state.tokens.token(request).await
}

/// Runs `meanwhile` while one request is held, lets it go on, and gives what `ask` brought.
async fn during<T>(hold: Hold, ask: impl Future<Output = T>, meanwhile: impl Future<Output = ()>) -> T {
    let release = async {
        hold.reached(1).await;
        meanwhile.await;
        hold.release();
    };
    join(ask, release).await.0
}

#[actix_web::test]
async fn who_is_forgotten_during_a_refresh_is_not_served_from_what_was_seen_before() {
    let locum = TestLocum::start().await;
    let user = locum.connect(locum.alice()).await;
    locum.clock.advance(Duration::from_secs(3400));
    locum.emulator.world.faults().until_cleared(Endpoint::Revoke, Fault::status(503));
    let hold = locum.emulator.world.faults().hold(Endpoint::Refresh);
    let asked = during(hold, locum.token(user), async {
        assert!(
            locum.state.users.forget(user, None, Revoke::Auto, &Actor::locum()).await.expect("known").pending
        );
    })
    .await;
    let refused = asked.expect_err("the old token lives on at Google, but is nobody's to hand out");
    assert!(
        matches!(refused, TokenError::ConsentRequired { state: GrantState::Revoking, .. }),
        "{refused:?}"
    );
}

#[actix_web::test]
async fn the_death_of_an_old_token_says_nothing_to_callers_of_the_new_one() {
    let locum = TestLocum::start().await;
    let user = locum.connect(locum.alice()).await;
    locum.clock.advance(Duration::from_secs(3600));
    let hold = locum.emulator.world.faults().hold(Endpoint::Refresh);
    let asked = during(hold, locum.token(user), async {
        let old = locum.emulator.world.refresh_tokens(&locum.alice().sub, &locum.seeded.web.client_id);
        let code = locum.code_with(locum.alice(), |code| code.force_consent = true);
        Box::pin(locum.redeem(code)).await.expect("a good code");
        old.iter().for_each(|token| locum.emulator.world.end_refresh_token(token));
    })
    .await;
    let token = asked.expect("the person has just connected");
    assert!(!token.stale && locum.emulator.world.token_is_live(&token.access_token));
    assert!(locum.token(user).await.is_ok());
}

#[actix_web::test]
async fn no_narrowed_token_outlives_the_sign_in_it_comes_from() {
    let locum = TestLocum::start().await;
    let user = locum.connect(locum.alice()).await;
    let before = narrowed(&locum, user, "openid email").await.expect("a token");
    locum.emulator.world.withdraw_consent(&locum.alice().sub, locum.seeded.web.client_id.project());
    locum.connect(locum.alice()).await;
    let after = narrowed(&locum, user, "openid email").await.expect("a token");
    assert_ne!(before.access_token, after.access_token);
    assert!(locum.emulator.world.token_is_live(&after.access_token));
}

#[actix_web::test]
async fn two_hundred_asks_for_one_narrowed_token_are_one_refresh() {
    let locum = TestLocum::start().await;
    let user = locum.connect(locum.alice()).await;
    let hold = locum.emulator.world.faults().hold(Endpoint::Refresh);
    let asks = join_all((0..200).map(|_| narrowed(&locum, user, "openid email")));
    let tokens = during(hold, asks, async {}).await;
    assert!(tokens.iter().all(Result::is_ok));
    assert_eq!(locum.emulator.world.counts().refreshes, 1);
}

#[actix_web::test]
async fn tokens_that_live_shorter_than_asked_are_not_refreshed_for_each_caller() {
    let locum = TestLocum::start().await;
    locum.emulator.world.set_access_token_lifetime(200);
    let user = locum.connect(locum.alice()).await;
    for _ in 0..50 {
        locum.token(user).await.expect("a token");
    }
    assert!(locum.state.lifecycle.stop(Duration::from_secs(10)).await);
    assert_eq!(locum.emulator.world.counts().refreshes, 0, "200 seconds are all there is");
    locum.clock.advance(Duration::from_secs(150));
    locum.token(user).await.expect("a token");
    assert_eq!(locum.emulator.world.counts().refreshes, 1);

    let hold = locum.emulator.world.faults().hold(Endpoint::Refresh);
    let asks = join_all((0..200).map(|_| locum.token_with(user, |ask| ask.min_ttl = Some(1800))));
    let tokens = during(hold, asks, async {}).await;
    assert!(tokens.iter().all(Result::is_ok), "the freshest there is");
    assert_eq!(locum.emulator.world.counts().refreshes, 2);
}

/// The answer of a provider that has its own mind about scopes.
fn answer_with(scopes: &str) -> Fault {
    Fault::Status {
        code: 200,
        body: format!(
            r#"{{"access_token":"ya29.wide","expires_in":3599,"token_type":"Bearer","scope":"{scopes}"}}"#
        ),
        headers: Vec::new(),
    }
}

#[actix_web::test]
async fn a_grant_that_turns_out_wider_is_narrowed_for_a_bound_caller() {
    let locum = TestLocum::start().await;
    let code = locum.code_with(locum.alice(), |code| code.scopes = ScopeSet::parse("openid email"));
    let user = locum.redeem(code).await.expect("a good code").user;
    locum.clock.advance(Duration::from_secs(3600));
    locum.emulator.world.faults().once(Endpoint::Refresh, answer_with(SCOPES));
    let token = narrowed(&locum, user, "openid email").await.expect("a narrowed one");
    assert_eq!(token.scopes, ScopeSet::parse("openid email"));
    assert_ne!(token.access_token.expose(), "ya29.wide");

    locum.emulator.world.faults().until_cleared(Endpoint::Refresh, answer_with(SCOPES));
    let wide = narrowed(&locum, user, "openid").await.expect_err("the provider does not narrow");
    assert_eq!(wide, TokenError::ScopeWithheld);
}

#[actix_web::test]
async fn a_grant_that_turns_out_smaller_is_not_passed_off_as_what_was_asked_for() {
    let locum = TestLocum::start().await;
    let user = locum.connect(locum.alice()).await;
    locum.clock.advance(Duration::from_secs(3600));
    locum.emulator.world.faults().once(Endpoint::Refresh, answer_with("openid"));
    let asked = locum.token_with(user, |ask| ask.scopes = Some(ScopeSet::parse("openid email"))).await;
    let missing = asked.expect_err("it does not open what was asked for");
    assert_eq!(missing, TokenError::ScopeMissing { missing: ScopeSet::parse("email") });
}

#[actix_web::test]
async fn one_bad_grant_does_not_pause_its_client() {
    let locum = TestLocum::start().await;
    let (alice, bob) = (locum.connect(locum.alice()).await, locum.connect(locum.bob()).await);
    locum.clock.advance(Duration::from_secs(3600));
    locum
        .emulator
        .world
        .faults()
        .once(Endpoint::Refresh, Fault::oauth(401, "unauthorized_client", "Unauthorized"));
    for _ in 0..5 {
        let refused = locum.token(alice).await.expect_err("not authorised");
        let TokenError::ClientPaused { fault, .. } = refused else { panic!("{refused:?}") };
        assert_eq!(fault, ClientFault::Unauthorized);
    }
    assert_eq!(locum.emulator.world.counts().refreshes, 1, "it is not asked about again and again");
    assert!(locum.token(bob).await.is_ok(), "nobody else is held up");
    locum.clock.advance(Duration::from_secs(61));
    assert!(locum.token(alice).await.is_ok(), "nor is it forever");
}

#[actix_web::test]
async fn one_bad_grant_does_not_keep_the_idle_ones_waiting() {
    let locum = TestLocum::start().await;
    for n in 0..30 {
        let sub = format!("1{n:0>20}").parse().expect("digits");
        let person = locum::emulator::Person::new(sub, &format!("p{n}@example.org"), "P", None);
        locum.emulator.world.add_person(person.clone());
        locum.connect(&person).await;
    }
    locum.clock.advance(Duration::from_secs(8 * 86_400));
    let faults = locum.emulator.world.faults();
    faults.once(Endpoint::Refresh, Fault::oauth(400, "invalid_request", "Bad Request"));
    faults.once(Endpoint::Refresh, Fault::oauth(401, "unauthorized_client", "Unauthorized"));
    assert_eq!(locum.state.tokens.keep_alive_step().await, Ok(28));
    assert_eq!(locum.state.tokens.keep_alive_step().await, Ok(0), "the two wait for their turn");
    locum.clock.advance(Duration::from_secs(61));
    assert_eq!(locum.state.tokens.keep_alive_step().await, Ok(2));
}

#[actix_web::test]
async fn a_clock_that_was_put_back_makes_no_token_live_for_ever() {
    let locum = TestLocum::start().await;
    locum.clock.set(START.plus(365 * 86_400));
    let user = locum.connect(locum.alice()).await;
    locum.clock.set(START);
    let token = locum.token(user).await.expect("a token");
    assert_eq!(token.expires_at.since(START), 3599);
    assert_eq!(locum.emulator.world.counts().refreshes, 1);
    locum.token(user).await.expect("a token");
    assert_eq!(locum.emulator.world.counts().refreshes, 1);
}
