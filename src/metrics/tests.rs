//! What is counted is shown, and falls when it is gone.

use super::*;
use crate::grant::DeathCause;

fn facts<'a>(grants: &'a [(GrantState, &'a str, u64)]) -> ScrapeFacts<'a> {
    ScrapeFacts {
        now: Timestamp::from_unix(1_000),
        jwks_fetched_at: Some(Timestamp::from_unix(400)),
        next_refresh_expiry: None,
        api_keys_damaged: 0,
        vault_failed: false,
        grants,
        clients: &[("main", true)],
    }
}

fn has(text: &str, line: &str) -> bool {
    text.lines().any(|found| found == line)
}

#[test]
fn what_is_counted_is_shown_and_every_outcome_from_the_start() {
    let metrics = Metrics::new();
    metrics.token_read(TokenFrom::Memory);
    metrics.token_read(TokenFrom::Memory);
    metrics.clone().refreshed(RefreshOutcome::Dead);
    metrics.exchanged(ExchangeOutcome::VaultFailed);
    metrics.limited(Limited::Key);
    let route = metrics.route("/v1/users/{user}/token");
    route.answered(200, Duration::from_micros(300));
    route.answered(503, Duration::from_secs(3));
    let text = metrics.render();
    for line in [
        r#"locum_token_reads_total{source="memory"} 2"#,
        r#"locum_token_reads_total{source="stale"} 0"#,
        r#"locum_refreshes_total{outcome="dead"} 1"#,
        r#"locum_exchanges_total{outcome="vault_failed"} 1"#,
        r#"locum_rate_limited_total{by="key"} 1"#,
        r#"locum_http_requests_total{route="/v1/users/{user}/token",status="2xx"} 1"#,
        r#"locum_http_requests_total{route="/v1/users/{user}/token",status="5xx"} 1"#,
        r#"locum_http_request_duration_seconds_bucket{route="/v1/users/{user}/token",le="0.0005"} 1"#,
        r#"locum_http_request_duration_seconds_count{route="/v1/users/{user}/token"} 2"#,
        concat!(r#"locum_build_info{version=""#, env!("CARGO_PKG_VERSION"), r#""} 1"#),
    ] {
        assert!(has(&text, line), "{line}\n{text}");
    }
}

#[test]
fn a_grant_that_is_gone_falls_to_nothing() {
    let metrics = Metrics::new();
    let dead = GrantState::Dead(DeathCause::Rejected);
    metrics.set_now(&facts(&[(GrantState::Active, "main", 3), (dead, "main", 1)]));
    let text = metrics.render();
    assert!(has(&text, r#"locum_grants{state="active",cause="",client="main"} 3"#), "{text}");
    assert!(has(&text, r#"locum_grants{state="dead",cause="rejected",client="main"} 1"#), "{text}");
    assert!(has(&text, r#"locum_client_paused{client="main"} 1"#), "{text}");
    assert!(has(&text, "locum_jwks_age_seconds 600"), "{text}");

    metrics.set_now(&facts(&[(GrantState::Active, "main", 4)]));
    let text = metrics.render();
    assert!(has(&text, r#"locum_grants{state="active",cause="",client="main"} 4"#), "{text}");
    assert!(has(&text, r#"locum_grants{state="dead",cause="rejected",client="main"} 0"#), "{text}");
}

#[test]
fn two_locums_in_one_process_count_apart() {
    let (one, other) = (Metrics::new(), Metrics::new());
    one.token_read(TokenFrom::Vault);
    assert!(has(&other.render(), r#"locum_token_reads_total{source="vault"} 0"#));
}
