//! A graceful stop.

use serde_json::json;

use super::site::Site;
use crate::emulator::Endpoint;

#[tokio::test]
async fn a_stop_finishes_what_is_under_way_and_admits_nothing_more() {
    let mut site = Site::start().await;
    let server = site.server.take().expect("running");
    site.state.provider.refetch_step().await;
    let hold = site.emulator.world.faults().hold(Endpoint::Token);
    let exchange = site.send(site.exchange(&json!({ "code": site.code(site.alice()) })));
    let stop = async {
        hold.reached(1).await;
        // An open connection that has nothing under way.
        assert_eq!(site.send(site.get("/healthz")).await.status, 200);
        let late = async {
            site.state.lifecycle.stopping().await;
            let refused = site.send(site.get("/healthz")).await;
            assert_eq!((refused.status, refused.code()), (503, "stopping"));
            hold.release();
        };
        futures_util::future::join(server.stop(), late).await.0
    };
    let (answer, finished) = futures_util::future::join(exchange, stop).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(finished);
    assert_eq!(site.state.vault.count_users().await, Ok(1));
}

#[tokio::test]
async fn an_exchange_whose_caller_hung_up_is_finished_before_the_stop() {
    let mut site = Site::start().await;
    let server = site.server.take().expect("running");
    site.state.provider.refetch_step().await;
    let hold = site.emulator.world.faults().hold(Endpoint::Token);
    {
        let mut exchange = Box::pin(site.send(site.exchange(&json!({ "code": site.code(site.alice()) }))));
        futures_util::future::select(&mut exchange, Box::pin(hold.reached(1))).await;
        // Dropped here, and with it the connection.
    }
    let release = async {
        site.state.lifecycle.stopping().await;
        hold.release();
    };
    assert!(futures_util::future::join(server.stop(), release).await.0);
    assert_eq!(site.state.vault.count_users().await, Ok(1));
}

#[tokio::test]
async fn a_stop_does_not_wait_for_ever() {
    let mut site = Site::start_with("shutdown_timeout = \"1s\"", "").await;
    let server = site.server.take().expect("running");
    site.state.provider.refetch_step().await;
    let hold = site.emulator.world.faults().hold(Endpoint::Token);
    let exchange = site.exchange(&json!({ "code": site.code(site.alice()) }));
    let stop = async {
        hold.reached(1).await;
        server.stop().await
    };
    let (_, finished) = futures_util::future::join(exchange.send(), stop).await;
    assert!(!finished);
    hold.release();
}
