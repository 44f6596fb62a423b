//! `provider`: what is kept, what is fetched, and when.

use std::time::Duration;

use locum::clock::Clock;
use locum::emulator::{Emulator, EmulatorSettings, Endpoint, Fault};
use locum::rng::Rng;
use locum::sign_in::SignInError;
use serde_json::json;

use crate::harness::{START, TestLocum};

#[actix_web::test]
async fn a_first_start_without_network_fails_quickly_and_recovers_soon() {
    let locum = TestLocum::start().await;
    let faults = locum.emulator.world.faults();
    faults.until_cleared(Endpoint::Discovery, Fault::Drop);
    let code = locum.code(locum.alice());
    for _ in 0..20 {
        let refused = locum.redeem(code.clone()).await.expect_err("offline");
        assert!(matches!(refused, SignInError::GoogleUnavailable { code_may_be_spent: false, .. }));
    }
    assert!(locum.emulator.world.counts().discovery <= 3, "one fetch with its retries");
    faults.clear_all();
    locum.clock.advance(Duration::from_secs(11));
    assert!(locum.redeem(code).await.is_ok());
}

#[actix_web::test]
async fn who_can_be_served_with_what_is_there_does_not_wait_for_a_fetch() {
    let locum = TestLocum::start().await;
    let user = locum.connect(locum.alice()).await;
    locum.clock.advance(Duration::from_secs(2 * 86_400));
    let hold = locum.emulator.world.faults().hold(Endpoint::Discovery);
    let fetch = locum.state.provider.refetch_step();
    let ask = async {
        hold.reached(1).await;
        let token = locum.token(user).await;
        assert_eq!(hold.waiting(), 1, "the fetch is still under way");
        hold.release();
        token
    };
    let ((), token) = futures_util::future::join(fetch, ask).await;
    assert!(token.is_ok());
}

#[actix_web::test]
async fn a_clock_that_was_put_back_does_not_keep_old_documents() {
    let locum = TestLocum::start().await;
    locum.clock.set(START.plus(365 * 86_400));
    locum.connect(locum.alice()).await;
    let mint = |locum: &TestLocum, header| {
        let claims = json!({"sub": locum.alice().sub, "aud": locum.seeded.web.client_id});
        locum.emulator.world.mint_id_token(claims, header)
    };
    // An unknown key in the future begins a cool-down there.
    let unknown = mint(&locum, json!({"kid": "0".repeat(40)}));
    locum.state.sign_in.renew(unknown).await.expect_err("unknown");
    locum.clock.set(START);
    locum.emulator.world.keep_keys(1);
    locum.emulator.world.rotate_keys();
    locum.state.provider.refetch_step().await;
    assert!(locum.state.sign_in.renew(mint(&locum, json!({}))).await.is_ok());
}

#[actix_web::test]
async fn what_another_place_published_is_not_used() {
    let mut locum = TestLocum::start().await;
    locum.connect(locum.alice()).await;
    let elsewhere = EmulatorSettings::new(Clock::manual(START), Rng::seeded(77));
    let elsewhere = Emulator::start(elsewhere).await.expect("a free loopback port");
    let seeded = elsewhere.world.seed_demo();
    let before = std::mem::replace(&mut locum.emulator, elsewhere);
    locum.seeded = seeded;
    let locum = locum.restart().await;
    let asked = before.world.counts();
    assert!(locum.redeem(locum.code(locum.bob())).await.is_ok());
    assert_eq!(before.world.counts(), asked, "no code goes where the configuration does not point");
}
