//! What the dashboard's pages are made of: people, overview, clients, configuration, open links.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::routes::{ClientList, ConnectLinkList, Overview};
use super::site::{START, Site};
use crate::api_keys::Action;
use crate::config::Effective;
use crate::emulator::{Endpoint, Fault};
use crate::secret::ClientSecret;
use crate::users::PeoplePage;
use crate::vault::UserBinding;

async fn get(site: &Site, path: &str) -> Value {
    let reply = site.send(site.as_owner("GET", path)).await;
    assert_eq!(reply.status, 200, "{path} {}", reply.text);
    reply.json
}

fn ids(page: &Value) -> Vec<&str> {
    page["people"].as_array().expect("people").iter().map(|p| p["id"].as_str().expect("an id")).collect()
}

#[tokio::test]
async fn people_are_searched_sorted_counted_and_paged() {
    let site = Site::start().await;
    let liat = site.seeded.people[2].clone();
    for person in [site.alice(), site.bob(), &liat] {
        site.connect(person).await;
        site.clock.advance(Duration::from_secs(1));
    }
    let (alice, bob, liat) = (site.alice().sub.as_str(), site.bob().sub.as_str(), liat.sub.as_str());
    for (query, expected) in [
        ("", vec![alice, bob, liat]),
        ("?sort=-connected_at", vec![liat, bob, alice]),
        ("?sort=created_at&limit=1&offset=1", vec![bob]),
        ("?q=ALICE", vec![alice]),
        ("?q=%D7%9C%D7%99%D7%90%D7%AA", vec![liat]),
        ("?q=gmail.com&sort=-email", vec![liat, bob]),
        ("?state=dead", vec![]),
        ("?client=main&state=active&q=example.org", vec![alice]),
        ("?offset=1000000", vec![]),
    ] {
        let page = get(&site, &format!("/v1/people{query}")).await;
        assert_eq!(ids(&page), expected, "{query}");
        serde_json::from_value::<PeoplePage>(page).expect("what readers read");
    }
    let by_sub = get(&site, &format!("/v1/people?q={bob}")).await;
    assert_eq!((ids(&by_sub), &by_sub["total"], &by_sub["all"]), (vec![bob], &json!(1), &json!(3)));

    // What happened a moment ago is seen.
    let project = site.seeded.web.client_id.project().to_owned();
    assert!(site.emulator.world.withdraw_consent(&site.alice().sub, &project));
    site.send(site.as_owner("POST", &format!("/v1/users/{alice}/refresh"))).await;
    let page = get(&site, "/v1/people?state=dead").await;
    assert_eq!(
        (ids(&page), &page["states"]["dead"], &page["states"]["active"]),
        (vec![alice], &json!(1), &json!(2))
    );
    assert_eq!(page["people"][0]["grants"][0]["cause"], "expired_or_revoked");
    site.send(site.as_owner("DELETE", &format!("/v1/users/{bob}"))).await;
    let page = get(&site, "/v1/people?q=bob").await;
    assert_eq!((&page["total"], &page["all"]), (&json!(0), &json!(2)));
}

#[tokio::test]
async fn a_mistyped_search_is_refused() {
    let site = Site::start().await;
    let long = format!("?q={}", "x".repeat(321));
    for (query, status, code) in [
        ("?state=sleepy", 400, "parameter_invalid"),
        ("?sort=age", 400, "parameter_invalid"),
        ("?sort=--email", 400, "parameter_invalid"),
        ("?limit=0", 400, "parameter_invalid"),
        ("?limit=201", 400, "parameter_invalid"),
        ("?offset=-1", 400, "parameter_invalid"),
        ("?client=NOT+A+NAME", 400, "parameter_invalid"),
        ("?client=other", 404, "client_unknown"),
        ("?query=x", 400, "parameter_unknown"),
        (long.as_str(), 400, "parameter_invalid"),
    ] {
        let reply = site.send(site.as_owner("GET", &format!("/v1/people{query}"))).await;
        assert_eq!((reply.status, reply.code()), (status, code), "{query}");
    }
}

#[tokio::test]
async fn the_overview_says_what_needs_somebody_and_counts_down() {
    let site = Site::start().await;
    let first: Overview = serde_json::from_value(get(&site, "/v1/overview").await).expect("an overview");
    assert_eq!((first.people, first.attention_total, first.attention), (0, 0, vec![]));

    site.connect(site.alice()).await;
    site.emulator.world.change_settings(|settings| settings.refresh_token_expires_in = Some(604_799));
    site.connect(site.bob()).await;
    let overview = get(&site, "/v1/overview").await;
    let kinds = |overview: &Value| -> Vec<String> {
        let all = overview["attention"].as_array().expect("a list").clone();
        all.iter().map(|entry| entry["kind"].as_str().expect("a kind").to_owned()).collect()
    };
    assert_eq!(kinds(&overview), ["grant_expires", "backup_missing"]);
    let ending = &overview["attention"][0];
    assert_eq!(ending["user"], json!({ "id": site.bob().sub, "email": site.bob().email }));
    assert_eq!(ending["ends_at"], json!(START.plus(604_799)));
    assert_eq!((&ending["severity"], &ending["client"]), (&json!("notice"), &json!("main")));
    assert_eq!(overview["states"]["active"], 2);

    // A moment later Google honours Alice's no more: told at once, whatever was remembered.
    let project = site.seeded.web.client_id.project().to_owned();
    assert!(site.emulator.world.withdraw_consent(&site.alice().sub, &project));
    site.send(site.as_owner("POST", &format!("/v1/users/{}/refresh", site.alice().sub))).await;
    let overview = get(&site, "/v1/overview").await;
    assert_eq!(kinds(&overview), ["grant_dead", "grant_expires", "backup_missing"]);
    assert_eq!(overview["attention_total"], 3);
    assert_eq!(overview["attention"][0]["user"]["email"], site.alice().email);
    assert_eq!((&overview["states"]["dead"], &overview["states"]["active"]), (&json!(1), &json!(1)));
    site.clock.advance(Duration::from_secs(6 * 86_400));
    assert_eq!(get(&site, "/v1/overview").await["attention"][0]["severity"], "warning");

    // Whoever is forgotten is gone from here, too.
    site.send(site.as_owner("DELETE", &format!("/v1/users/{}", site.alice().sub))).await;
    let overview = get(&site, "/v1/overview").await;
    assert!(!overview.to_string().contains(site.alice().sub.as_str()), "{overview}");
    let status = get(&site, "/v1/status").await;
    for part in ["google", "clients", "vault", "api_keys"] {
        assert_eq!(overview[part], status[part], "{part}");
    }
}

#[tokio::test]
async fn a_client_says_what_to_register_and_how_it_is() {
    let site = Site::start().await;
    site.connect(site.alice()).await;
    let clients = get(&site, "/v1/clients").await;
    let list: ClientList = serde_json::from_value(clients.clone()).expect("a list");
    let client = &list.clients[0];
    assert_eq!((client.name.as_str(), client.grants.active), ("main", 1));
    assert!(client.register.iter().any(|entry| entry.value == client.client_id.as_str()), "{clients}");
    assert_eq!(clients["clients"][0]["sign_in_url"], Value::Null);
    assert!(client.sign_in_note.as_ref().is_some_and(|note| note.contains("web")), "{clients}");
    let check = |id: &str| client.checks.iter().find(|check| check.id == id).expect("checked").state;
    assert_eq!(serde_json::to_value(check("testing")).expect("JSON"), "ok");

    // A project in Testing is seen by its grants.
    site.emulator.world.change_settings(|settings| settings.refresh_token_expires_in = Some(604_799));
    site.connect(site.bob()).await;
    let clients = get(&site, "/v1/clients").await;
    let checks = clients["clients"][0]["checks"].as_array().expect("checks").clone();
    let testing = checks.iter().find(|check| check["id"] == "testing").expect("checked");
    assert_eq!(
        (&testing["state"], &testing["title"]),
        (&json!("warning"), &json!("Google ends a grant after seven days"))
    );
}

/// State and title of a check in an answer.
fn found<'a>(reply: &'a Value, id: &str) -> (&'a str, &'a str) {
    let checks = reply["checks"].as_array().expect("checks");
    let check = checks.iter().find(|check| check["id"] == id).unwrap_or_else(|| panic!("{id} in {reply}"));
    (check["state"].as_str().expect("a state"), check["title"].as_str().expect("a title"))
}

#[tokio::test]
async fn a_check_tells_a_good_secret_from_a_bad_one_and_touches_nothing() {
    let site = Site::start().await;
    site.connect(site.alice()).await;
    let check = async || site.send(site.as_owner("POST", "/v1/clients/main/check")).await;
    let good = check().await;
    assert_eq!(good.status, 200, "{}", good.text);
    for id in ["discovery", "keys", "clock", "secret"] {
        assert_eq!(found(&good.json, id).0, "ok", "{id} {}", good.text);
    }
    let again = check().await;
    assert_eq!((again.status, again.code()), (429, "rate_limited"));
    assert_eq!(again.header("retry-after"), "10");
    let unknown = site.send(site.as_owner("POST", "/v1/clients/other/check")).await;
    assert_eq!((unknown.status, unknown.code()), (404, "client_unknown"));
    let told = get(&site, "/v1/events?kind=client.checked").await;
    assert_eq!(told["events"].as_array().expect("a list").len(), 1, "what was refused was not done: {told}");

    // The owner changed the secret at Google and not here.
    let mut client = site.seeded.web.clone();
    client.secrets = vec![ClientSecret::new("GOCSPX-another")];
    site.emulator.world.add_client(client);
    site.clock.advance(Duration::from_secs(10));
    let bad = check().await;
    assert_eq!(found(&bad.json, "secret"), ("failed", "The secret is wrong"), "{}", bad.text);
    assert!(!bad.text.contains("GOCSPX"), "{}", bad.text);
    let status = get(&site, "/v1/status").await;
    assert_eq!(status["clients"][0]["paused"], Value::Null, "a check pauses nothing");
    assert_eq!((&status["grants"][0]["state"], &status["grants"][0]["count"]), (&json!("active"), &json!(1)));

    site.emulator.world.faults().until_cleared(Endpoint::Token, Fault::status(503));
    site.clock.advance(Duration::from_secs(10));
    assert_eq!(found(&check().await.json, "secret"), ("warning", "The secret could not be tried"));
}

#[tokio::test]
async fn each_of_two_secrets_is_tried() {
    let more = "[[clients]]\nname = \"two\"\nclient_id = \"777000777000-two.apps.googleusercontent.com\"\n\
                client_secret = \"GOCSPX-old\"\nsecond_client_secret = \"GOCSPX-new\"\nsources = [\"web\"]\nscopes = [\"openid\"]\n";
    let site = Site::start_with("public_url = \"https://locum.example.org\"", more).await;
    let mut registered = site.seeded.web.clone();
    registered.client_id = "777000777000-two.apps.googleusercontent.com".parse().expect("an id");
    registered.secrets = vec![ClientSecret::new("GOCSPX-new")];
    site.emulator.world.add_client(registered);
    let reply = site.send(site.as_owner("POST", "/v1/clients/two/check")).await;
    assert_eq!(found(&reply.json, "secret"), ("failed", "The first secret is wrong"), "{}", reply.text);
    assert_eq!(found(&reply.json, "second_secret").0, "ok", "{}", reply.text);
    let clients = get(&site, "/v1/clients").await;
    let two =
        clients["clients"].as_array().expect("a list").iter().find(|c| c["name"] == "two").expect("two");
    assert_eq!(two["sign_in_url"], "/v1/sign-in?client=two");
    let own = "https://locum.example.org/v1/sign-in/callback";
    assert!(two["register"].as_array().expect("a list").iter().any(|entry| entry["value"] == own), "{two}");
}

#[tokio::test]
async fn the_configuration_is_shown_without_its_secrets() {
    let site = Site::start().await;
    let shown = get(&site, "/v1/configuration").await;
    let effective: Effective = serde_json::from_value(shown.clone()).expect("what commands read");
    assert_eq!(effective.file, Some(site.dir.path().join("locum.toml")));
    let value = |key: &str| effective.values.iter().find(|value| value.key == key).expect("shown");
    assert_eq!(
        (value("server.workers").value.clone(), value("server.workers").source.as_str()),
        (json!(1), "file")
    );
    assert_eq!(value("server.listen").source, "default");
    assert!(value("clients[main].client_secret").secret && value("vault.root_key").secret);
    for secret in [site.seeded.web.secrets[0].expose(), "5a5a5a5a"] {
        assert!(!shown.to_string().contains(secret));
    }
}

#[tokio::test]
async fn open_links_are_listed_within_reach_until_they_are_over() {
    const CLIENT: &str = "[[clients]]\nname = \"site\"\nclient_id = \"777000777000-site.apps.googleusercontent.com\"\n\
                          client_secret = \"GOCSPX-x\"\nsources = [\"web\"]\nscopes = [\"openid\"]\n";
    let site = Site::start_with("public_url = \"https://locum.example.org\"", CLIENT).await;
    let body = json!({ "code": site.code(site.alice()), "client": "main" });
    assert_eq!(site.send(site.exchange(&body)).await.status, 200);
    let alice = site.state.vault.find_user_by_sub(&site.alice().sub).await;
    let alice = alice.expect("the vault").expect("connected");
    let make = async |body: Value| {
        let reply = site.send(site.as_owner("POST", "/v1/connect-links").json(&body)).await;
        assert_eq!(reply.status, 201, "{}", reply.text);
        reply.json
    };
    let known = make(json!({ "user": site.alice().sub, "client": "site" })).await;
    site.clock.advance(Duration::from_secs(1));
    let new =
        make(json!({ "email": "new@example.org", "client": "site", "scopes": ["openid"], "expires_in": 60 }))
            .await;

    let list: ConnectLinkList =
        serde_json::from_value(get(&site, "/v1/connect-links").await).expect("what readers read");
    assert_eq!(
        list.links.iter().map(|link| link.id.as_str()).collect::<Vec<_>>(),
        [new["id"].as_str(), known["id"].as_str()].map(|id| id.expect("an id"))
    );
    assert_eq!(list.links[0].user.email.as_ref().map(|email| email.as_str()), Some("new@example.org"));
    assert_eq!(list.links[1].user.id.as_ref(), Some(&site.alice().sub));
    assert!(!serde_json::to_string(&list).expect("JSON").contains("/v1/connect/"), "no address");

    let seen = async |key: &str| {
        let reply = site.send(site.get("/v1/connect-links").bearer_auth(key)).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        reply.json["links"].as_array().map_or(0, Vec::len)
    };
    let read = [Action::UsersRead];
    assert_eq!(seen(&site.key(&read).await).await, 2);
    assert_eq!(seen(&site.bound_key(&read, |new| new.users = UserBinding::Only(vec![alice])).await).await, 1);
    let elsewhere =
        |new: &mut crate::api_keys::NewApiKey| new.clients = Some(vec!["main".parse().expect("a name")]);
    assert_eq!(seen(&site.bound_key(&read, elsewhere).await).await, 0);

    // Nor does such a key withdraw what it does not see, whatever number it learns.
    let write = [Action::UsersWrite];
    let withdraw = async |key: String, link: &Value| {
        let path = format!("/v1/connect-links/{}", link["id"].as_str().expect("an id"));
        let request = site.request("DELETE", &path).header("x-requested-with", "test").bearer_auth(key);
        site.send(request).await.status
    };
    assert_eq!(withdraw(site.bound_key(&write, elsewhere).await, &known).await, 404);
    let only_alice = |new: &mut crate::api_keys::NewApiKey| new.users = UserBinding::Only(vec![alice]);
    assert_eq!(withdraw(site.bound_key(&write, only_alice).await, &new).await, 404);
    assert_eq!(get(&site, "/v1/connect-links").await["links"].as_array().map(Vec::len), Some(2));

    site.clock.advance(Duration::from_secs(60));
    assert_eq!(get(&site, "/v1/connect-links").await["links"].as_array().map(Vec::len), Some(1));
    let path = format!("/v1/connect-links/{}", known["id"].as_str().expect("an id"));
    site.send(site.as_owner("DELETE", &path)).await;
    assert_eq!(get(&site, "/v1/connect-links").await["links"], json!([]));
}

#[tokio::test]
async fn a_person_is_shown_with_what_comes_next_and_in_words() {
    let site = Site::start().await;
    site.connect(site.alice()).await;
    let path = format!("/v1/users/{}", site.alice().sub);
    let shown = get(&site, &path).await;
    let grant = &shown["grants"][0];
    let keep_alive = i64::try_from(site.state.config.tokens.keep_alive.as_secs()).expect("small");
    let ahead = i64::try_from(site.state.config.tokens.refresh_ahead.as_secs()).expect("small");
    assert_eq!(grant["next_refresh_at"], json!(START.plus(keep_alive)));
    let end: crate::clock::Timestamp =
        serde_json::from_value(grant["access_token_expires_at"].clone()).expect("a time");
    assert_eq!(grant["refresh_ahead_from"], json!(end.plus(-ahead)));
    assert_eq!(grant["missing_scopes"], json!([]));
    let words = grant["scopes_in_words"].to_string();
    assert!(words.contains("See, create and delete its own data in Drive (app data)"), "{words}");
    // The list stays short.
    assert_eq!(get(&site, "/v1/users").await["users"][0]["grants"][0].get("scopes_in_words"), None);

    let project = site.seeded.web.client_id.project().to_owned();
    assert!(site.emulator.world.withdraw_consent(&site.alice().sub, &project));
    site.send(site.as_owner("POST", &format!("{path}/refresh"))).await;
    let grant = &get(&site, &path).await["grants"][0];
    assert_eq!(
        (&grant["state"], &grant["next_refresh_at"], &grant["refresh_ahead_from"]),
        (&json!("dead"), &Value::Null, &Value::Null)
    );
}
