//! Tokens and people, as programs ask for them.

use serde_json::{Value, json};

use super::site::{SCOPES, Site};
use crate::api_keys::Action;
use crate::scopes::ScopeSet;

#[tokio::test]
async fn a_token_answer_is_exactly_what_is_promised() {
    let site = Site::start().await;
    site.connect(site.alice()).await;
    let key = site.key(&[Action::TokensRead]).await;
    for who in
        [site.alice().sub.to_string(), site.alice().email.clone(), site.alice().email.replace('@', "%40")]
    {
        let reply = site.send(site.get(&format!("/v1/users/{who}/token")).bearer_auth(&key)).await;
        assert_eq!(reply.status, 200, "{who} {}", reply.text);
        let mut names: Vec<_> = reply.json.as_object().expect("an object").keys().cloned().collect();
        names.sort();
        assert_eq!(names, ["access_token", "expires_at", "expires_in", "scope", "token_type"]);
        assert_eq!(reply.json["token_type"], "Bearer");
        assert_eq!(ScopeSet::parse(reply.json["scope"].as_str().expect("text")), ScopeSet::parse(SCOPES));
        assert!(reply.json["expires_in"].as_i64().is_some_and(|seconds| (1..=3600).contains(&seconds)));
        assert_eq!(reply.header("cache-control"), "no-store");
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
        assert_eq!(reply.header("referrer-policy"), "no-referrer");
    }
    assert!(site.state.metrics.render().contains(r#"locum_token_reads_total{source="memory"} 2"#));
}

#[tokio::test]
async fn a_mistyped_question_gets_no_token() {
    let site = Site::start().await;
    site.connect(site.alice()).await;
    let key = site.key(&[Action::TokensRead]).await;
    let sub = &site.alice().sub;
    let digest = "00".repeat(32);
    for (path, status, code) in [
        (format!("{sub}/token?cliemt=main"), 400, "parameter_unknown"),
        (format!("{sub}/token?client=main&client=main"), 400, "duplicate_field"),
        (format!("{sub}/token?client=NOT+A+NAME"), 400, "parameter_invalid"),
        (format!("{sub}/token?client=other"), 404, "client_unknown"),
        (format!("{sub}/token?min_ttl=-1"), 400, "parameter_invalid"),
        (format!("{sub}/token?min_ttl=1801"), 400, "parameter_invalid"),
        (format!("{sub}/token?min_ttl=1e2"), 400, "parameter_invalid"),
        (format!("{sub}/token?min_ttl="), 400, "parameter_invalid"),
        (format!("{sub}/token?rejected=abc"), 400, "parameter_invalid"),
        (format!("{sub}/token?scope=https://www.googleapis.com/auth/calendar"), 403, "scope_missing"),
        (format!("{sub}/token?client=main&min_ttl=1800&scope=openid&rejected={digest}"), 200, ""),
        ("me/token".into(), 401, "session_required"),
        ("%6De/token".into(), 401, "session_required"),
        ("nobody%40example.org/token".into(), 404, "user_not_found"),
        ("%FF/token".into(), 400, "user_invalid"),
        ("%zz/token".into(), 400, "user_invalid"),
        (format!("{}/token", "9".repeat(256)), 400, "user_invalid"),
        // A slash in the name is part of the name, and makes this another route.
        (format!("{sub}%2Ftoken"), 403, "action_not_allowed"),
        (format!("{sub}/token/"), 404, "not_found"),
        // Decoded once, not twice.
        (format!("{}/token", site.alice().email.replace('@', "%2540")), 404, "user_not_found"),
    ] {
        let reply = site.send(site.get(&format!("/v1/users/{path}")).bearer_auth(&key)).await;
        assert_eq!((reply.status, reply.code()), (status, code), "{path} {}", reply.text);
    }
}

#[tokio::test]
async fn a_dead_grant_is_a_problem_to_act_on() {
    let site = Site::start().await;
    site.connect(site.alice()).await;
    let key = site.key(&[Action::TokensRead, Action::UsersRead, Action::UsersWrite]).await;
    let sub = &site.alice().sub;
    let refreshed = site.send(site.post(&format!("/v1/users/{sub}/refresh")).bearer_auth(&key)).await;
    assert_eq!((refreshed.status, &refreshed.json["refreshed"]), (200, &json!(true)), "{}", refreshed.text);
    assert!(!refreshed.text.contains("ya29."), "no token in it: {}", refreshed.text);

    let project = site.seeded.web.client_id.project().to_owned();
    assert!(site.emulator.world.withdraw_consent(sub, &project));
    site.clock.advance(std::time::Duration::from_secs(3600));
    let reply = site.send(site.get(&format!("/v1/users/{sub}/token")).bearer_auth(&key)).await;
    assert_eq!((reply.status, reply.code()), (409, "consent_required"));
    insta::assert_json_snapshot!(reply.problem());
    let shown = site.send(site.get(&format!("/v1/users/{sub}")).bearer_auth(&key)).await;
    assert_eq!(shown.json["grants"][0]["state"], "dead");
    let listed = site.send(site.get("/v1/users?state=dead&limit=1").bearer_auth(&key)).await;
    assert_eq!(listed.json["users"].as_array().map(Vec::len), Some(1), "{}", listed.text);
}

#[tokio::test]
async fn lists_page_and_filter_and_refuse_what_they_do_not_know() {
    let site = Site::start().await;
    site.connect(site.alice()).await;
    site.connect(site.bob()).await;
    let key = site.key(&[Action::UsersRead]).await;
    let list = async |query: &str| site.send(site.get(&format!("/v1/users{query}")).bearer_auth(&key)).await;
    let first = list("?limit=1").await;
    let cursor = first.json["next"].as_str().expect("another page");
    let second = list(&format!("?limit=1&cursor={cursor}")).await;
    assert_ne!(first.json["users"][0]["id"], second.json["users"][0]["id"]);
    let by_email = list(&format!("?email={}", site.bob().email)).await;
    assert_eq!(by_email.json["users"][0]["id"], site.bob().sub.as_str());
    for (query, code) in [
        ("?limit=0", "parameter_invalid"),
        ("?limit=501", "parameter_invalid"),
        ("?state=sleepy", "parameter_invalid"),
        ("?email=nobody", "parameter_invalid"),
        ("?cursor=!", "cursor_invalid"),
        ("?page=2", "parameter_unknown"),
    ] {
        let reply = list(query).await;
        assert_eq!((reply.status, reply.code()), (400, code), "{query}");
    }
}

#[tokio::test]
async fn forgetting_says_what_it_would_do_and_then_does_it() {
    let site = Site::start().await;
    site.connect(site.alice()).await;
    let key = site.key(&[Action::UsersRead, Action::UsersWrite]).await;
    let path = format!("/v1/users/{}", site.alice().sub);
    let ask = async |method: &str, query: &str| {
        site.send(site.request(method, &format!("{path}{query}")).bearer_auth(&key)).await
    };
    let preview = ask("GET", "?preview=forget&revoke=auto").await;
    assert_eq!(preview.json["would_forget"], json!(["main"]), "{}", preview.text);
    for query in ["?revoke=auto", "?preview=everything", "?preview=forget&revoke=maybe"] {
        assert_eq!(ask("GET", query).await.code(), "parameter_invalid", "{query}");
    }
    // A mistyped `revoke` must not revoke.
    for query in ["?revok=no", "?revoke=NO", "?revoke="] {
        assert_eq!(ask("DELETE", query).await.status, 400, "{query}");
    }
    assert_eq!(ask("DELETE", "?client=other").await.status, 404);
    assert_eq!(site.state.vault.count_users().await, Ok(1));
    let gone = ask("DELETE", "?revoke=no").await;
    assert_eq!((gone.status, &gone.json["forgotten"]), (200, &json!(["main"])), "{}", gone.text);
    assert_eq!(gone.json["revoked"], false);
    assert_eq!(ask("GET", "").await.code(), "user_not_found");
}

#[tokio::test]
async fn forgetting_while_google_is_down_is_accepted_and_pending() {
    use crate::emulator::{Endpoint, Fault};

    let site = Site::start().await;
    site.connect(site.alice()).await;
    site.emulator.world.faults().until_cleared(Endpoint::Revoke, Fault::status(503));
    let key = site.key(&[Action::UsersWrite]).await;
    let path = format!("/v1/users/{}", site.alice().sub);
    let reply = site.send(site.request("DELETE", &path).bearer_auth(&key)).await;
    assert_eq!((reply.status, &reply.json["pending"]), (202, &Value::Bool(true)), "{}", reply.text);
}
