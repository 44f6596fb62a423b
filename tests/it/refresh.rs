//! `tokens`: memory, single flight, refresh, and what Google's answers do to a grant.

use std::time::Duration;

use futures_util::future::{join, join_all};
use locum::emulator::{Endpoint, Fault};
use locum::events::Actor;
use locum::google::ClientFault;
use locum::grant::{DeathCause, GrantState};
use locum::scopes::ScopeSet;
use locum::secret::AccessToken;
use locum::tokens::{Reach, TokenError, TokenSource};
use ring::digest::{SHA256, digest};

use crate::harness::{TestLocum, client};

fn hash(token: &AccessToken) -> [u8; 32] {
    digest(&SHA256, token.expose().as_bytes()).as_ref().try_into().expect("32 bytes")
}

#[actix_web::test]
async fn a_fresh_token_comes_from_memory_and_after_a_restart_from_the_vault() {
    let locum = TestLocum::start().await;
    let user = locum.connect(locum.alice()).await;
    let first = locum.token(user).await.expect("a token");
    let second = locum.token(user).await.expect("a token");
    assert_eq!((first.source, second.source), (TokenSource::Vault, TokenSource::Memory));
    let locum = locum.restart().await;
    let third = locum.token(user).await.expect("a token");
    assert_eq!(third.source, TokenSource::Vault);
    assert_eq!(first.access_token, third.access_token);
    assert_eq!(locum.emulator.world.counts().refreshes, 0);
}

#[actix_web::test]
async fn two_hundred_asks_for_one_expired_token_are_one_refresh() {
    let locum = TestLocum::start().await;
    let user = locum.connect(locum.alice()).await;
    locum.clock.advance(Duration::from_secs(3600));
    let hold = locum.emulator.world.faults().hold(Endpoint::Token);
    let asks = (0..200).map(|_| locum.token(user));
    let release = async {
        hold.reached(1).await;
        hold.release();
    };
    let ((), tokens) = join(release, join_all(asks)).await;
    let first = tokens[0].as_ref().expect("a token").access_token.clone();
    assert!(tokens.iter().all(|token| token.as_ref().is_ok_and(|t| t.access_token == first)));
    assert_eq!(locum.emulator.world.counts().refreshes, 1);
}

#[actix_web::test]
async fn a_caller_that_hangs_up_cancels_nothing() {
    let locum = TestLocum::start().await;
    let user = locum.connect(locum.alice()).await;
    locum.clock.advance(Duration::from_secs(3600));
    let hold = locum.emulator.world.faults().hold(Endpoint::Token);
    {
        let ask = std::pin::pin!(locum.token(user));
        let reached = std::pin::pin!(hold.reached(1));
        futures_util::future::select(ask, reached).await;
    }
    hold.release();
    assert!(locum.state.lifecycle.stop(Duration::from_secs(10)).await);
    let locum = locum.restart().await;
    assert_eq!(locum.token(user).await.expect("stored").source, TokenSource::Vault);
    assert_eq!(locum.emulator.world.counts().refreshes, 1);
}

#[actix_web::test]
async fn an_outage_hands_out_the_living_token_as_stale_and_kills_nothing() {
    let locum = TestLocum::start().await;
    let user = locum.connect(locum.alice()).await;
    locum.emulator.world.faults().until_cleared(Endpoint::Token, Fault::status(503));
    locum.clock.advance(Duration::from_secs(3400));
    let token = locum.token(user).await.expect("it lives for some minutes");
    assert!(token.stale);
    let demanded = locum.token_with(user, |ask| ask.min_ttl = Some(600)).await;
    assert!(matches!(demanded, Err(TokenError::GoogleUnavailable { .. })), "{demanded:?}");
    locum.clock.advance(Duration::from_secs(600));
    let dead = locum.token(user).await.expect_err("it has run out");
    assert!(matches!(dead, TokenError::GoogleUnavailable { .. }));
    locum.emulator.world.faults().clear_all();
    assert!(!locum.token(user).await.expect("Google is back").stale);
}

#[actix_web::test]
async fn a_withdrawn_consent_kills_the_grant_and_a_new_sign_in_revives_it() {
    let locum = TestLocum::start().await;
    let user = locum.connect(locum.alice()).await;
    locum.emulator.world.withdraw_consent(&locum.alice().sub, locum.seeded.web.client_id.project());
    locum.clock.advance(Duration::from_secs(3600));
    let refused = locum.token(user).await.expect_err("withdrawn");
    let TokenError::ConsentRequired { state, .. } = refused else { panic!("{refused:?}") };
    assert_eq!(state, GrantState::Dead(DeathCause::ExpiredOrRevoked));
    let asked = locum.emulator.world.counts().refreshes;
    locum.token(user).await.expect_err("still dead");
    assert_eq!(locum.emulator.world.counts().refreshes, asked, "a dead grant is not tried again");
    let again = locum.connect(locum.alice()).await;
    assert_eq!(again, user);
    assert!(locum.token(user).await.is_ok());
}

#[actix_web::test]
async fn a_refused_client_pauses_and_kills_nothing() {
    let locum = TestLocum::start().await;
    let user = locum.connect(locum.alice()).await;
    locum.emulator.world.faults().until_cleared(
        Endpoint::Token,
        Fault::oauth(401, "invalid_client", "The provided client secret is invalid."),
    );
    locum.clock.advance(Duration::from_secs(3600));
    for _ in 0..5 {
        let paused = locum.token(user).await.expect_err("paused");
        assert!(matches!(paused, TokenError::ClientPaused { .. }), "{paused:?}");
    }
    assert_eq!(locum.emulator.world.counts().refreshes, 1);
    assert_eq!(locum.state.tokens.paused_clients().len(), 1);
    locum.emulator.world.faults().clear_all();
    locum.clock.advance(Duration::from_secs(61));
    assert!(locum.token(user).await.is_ok(), "the probe ends the pause");
    assert!(locum.state.tokens.paused_clients().is_empty());
}

#[actix_web::test]
async fn a_client_that_is_refused_at_a_sign_in_is_known_to_be_refused() {
    let locum = TestLocum::start().await;
    let actor = Actor::locum();
    let exchange = |code| locum.state.sign_in.redeem(crate::harness::request(code), &actor);
    locum.emulator.world.faults().times(
        1,
        Endpoint::Token,
        Fault::oauth(401, "invalid_client", "The provided client secret is invalid."),
    );
    // Nobody has a grant yet, so that no refresh could tell.
    exchange(locum.code(locum.alice())).await.expect_err("refused");
    let [paused] = locum.state.tokens.paused_clients().try_into().expect("one client");
    assert_eq!((paused.fault, paused.client), (ClientFault::WrongSecret, Some(client("main"))));
    exchange(locum.code(locum.alice())).await.expect("right again");
    assert!(locum.state.tokens.paused_clients().is_empty());
    // What may be said of a code of another client is no fault of this one.
    locum.emulator.world.faults().times(
        1,
        Endpoint::Token,
        Fault::oauth(401, "unauthorized_client", "Unauthorized"),
    );
    exchange(locum.code(locum.alice())).await.expect_err("refused");
    assert!(locum.state.tokens.paused_clients().is_empty());
}

#[actix_web::test]
async fn a_refused_token_is_never_handed_out_again() {
    let locum = TestLocum::start().await;
    let user = locum.connect(locum.alice()).await;
    let first = locum.token(user).await.expect("a token").access_token;
    let second = locum.token_with(user, |ask| ask.rejected = Some(hash(&first))).await.expect("another");
    assert_ne!(second.access_token, first);
    let same = locum.token_with(user, |ask| ask.rejected = Some(hash(&first))).await.expect("still another");
    assert_eq!(same.access_token, second.access_token, "a report of an old token refreshes nothing");
    assert_eq!(locum.emulator.world.counts().refreshes, 1);

    locum.emulator.world.faults().until_cleared(Endpoint::Token, Fault::status(503));
    let refused = hash(&second.access_token);
    locum.token_with(user, |ask| ask.rejected = Some(refused)).await.expect_err("no other to be had");
    locum.token(user).await.expect_err("nor is anybody else handed the refused one");
}

#[actix_web::test]
async fn a_scope_bound_caller_gets_a_narrower_token() {
    let locum = TestLocum::start().await;
    let user = locum.connect(locum.alice()).await;
    let reach = Reach { clients: None, scopes: Some(ScopeSet::parse("openid email")) };
    let ask = |min_ttl| {
        let reach = reach.clone();
        let locum = &locum;
        async move {
            let request = locum::tokens::TokenRequest {
                person: user.into(),
                client: None,
                scopes: None,
                min_ttl,
                rejected: None,
                reach: &reach,
            };
            locum.state.tokens.token(request).await
        }
    };
    let narrow = ask(None).await.expect("a narrowed token");
    assert_eq!(narrow.scopes, ScopeSet::parse("openid email"));
    let again = ask(None).await.expect("from memory");
    assert_eq!(narrow.access_token, again.access_token);
    assert_eq!(locum.emulator.world.counts().refreshes, 1);
    let whole = locum.token(user).await.expect("the whole grant");
    assert!(whole.scopes.contains("https://www.googleapis.com/auth/drive.appdata"));
    let missing = locum
        .token_with(user, |request| {
            request.scopes = Some(ScopeSet::parse("https://www.googleapis.com/auth/drive"));
        })
        .await;
    assert!(matches!(missing, Err(TokenError::ScopeMissing { .. })));
}

#[actix_web::test]
async fn an_unconfigured_client_blocks_without_asking_google() {
    let locum = TestLocum::start().await;
    let user = locum.connect(locum.alice()).await;
    let other = "[[clients]]\nname = \"main\"\nclient_id = \"402839145520-other.apps.googleusercontent.com\"\n\
                 client_secret = \"GOCSPX-x\"\nsources = [\"ios\"]\nscopes = [\"openid\"]\n";
    let locum = locum.restart_with(other).await;
    let blocked = locum.token(user).await.expect_err("its client is gone");
    let TokenError::ConsentRequired { state, .. } = blocked else { panic!("{blocked:?}") };
    assert_eq!(state.cause(), Some("client_changed"));
    let unknown = locum.token_with(user, |ask| {
        // A leaked name lives as long as the request that borrows it.
        ask.client = Some(Box::leak(Box::new(client("nobody"))));
    });
    assert_eq!(unknown.await.expect_err("no such client"), TokenError::UnknownClient);
    let locum = locum.restart_with("").await;
    assert!(locum.token(user).await.is_ok(), "and back");
    assert_eq!(locum.emulator.world.counts().refreshes, 0);
}

#[actix_web::test]
async fn idle_grants_are_kept_alive() {
    let locum = TestLocum::start().await;
    let (alice, bob) = (locum.connect(locum.alice()).await, locum.connect(locum.bob()).await);
    assert_eq!(locum.state.tokens.keep_alive_step().await, Ok(0));
    locum.clock.advance(Duration::from_secs(6 * 86_400));
    locum.token(bob).await.expect("in use");
    locum.clock.advance(Duration::from_secs(86_401));
    assert_eq!(locum.state.tokens.keep_alive_step().await, Ok(1));
    assert_eq!(locum.state.tokens.keep_alive_step().await, Ok(0));
    assert_eq!(locum.emulator.world.refreshes_of(&locum.alice().sub), 1);
    assert!(locum.token(alice).await.is_ok());
}

#[actix_web::test]
async fn a_token_in_use_is_refreshed_ahead_of_its_end() {
    let locum = TestLocum::start().await;
    let user = locum.connect(locum.alice()).await;
    locum.token(user).await.expect("a token");
    locum.clock.advance(Duration::from_secs(3600 - 550));
    let early = locum.token(user).await.expect("the old one still does");
    assert!(locum.state.lifecycle.stop(Duration::from_secs(10)).await, "the refresh runs behind it");
    assert_eq!(locum.emulator.world.counts().refreshes, 1);
    let late = locum.token(user).await.expect("the new one");
    assert_ne!(early.access_token, late.access_token);
}

#[actix_web::test]
async fn ten_thousand_expired_grants_are_ten_thousand_refreshes() {
    const GRANTS: u64 = 10_000;
    let locum = TestLocum::start().await;
    locum.emulator.world.set_cached_id_tokens(true);
    let mut users = Vec::new();
    for start in (0..GRANTS).step_by(100) {
        let connects = (start..start + 100).map(|n| {
            let sub = format!("1{n:0>20}").parse().expect("digits");
            let person = locum::emulator::Person::new(sub, &format!("p{n}@example.org"), "P", None);
            locum.emulator.world.add_person(person.clone());
            let locum = &locum;
            async move { locum.connect(&person).await }
        });
        users.extend(join_all(connects).await);
    }
    locum.clock.advance(Duration::from_secs(3600));
    let asks = users.iter().flat_map(|user| [locum.token(*user), locum.token(*user)]);
    let tokens = join_all(asks).await;
    assert!(tokens.iter().all(Result::is_ok));
    assert_eq!(locum.emulator.world.counts().refreshes, GRANTS);
}
