//! Links that lead a named person through consent, once.

use std::time::Duration;

use locum::api_keys::{Action, NewApiKey};
use locum::events::Actor;
use locum::scopes::ScopeSet;
use locum::users::Revoke;
use locum::vault::{FoundGrants, UserBinding};
use serde_json::{Value, json};

use crate::browser::{Answer, Browser, WebLocum};
use crate::harness::SCOPES;

const CALENDAR: &str = "https://www.googleapis.com/auth/calendar.readonly";

impl WebLocum {
    async fn key(&self, bind: impl FnOnce(&mut NewApiKey)) -> String {
        let mut new = NewApiKey {
            name: "test".into(),
            actions: [Action::UsersWrite, Action::TokensRead].into_iter().collect(),
            users: UserBinding::All,
            clients: None,
            scopes: None,
            hosts: None,
            expires_at: None,
        };
        bind(&mut new);
        self.locum.state.api_keys.create(new).await.expect("a key").1.expose().to_string()
    }

    async fn link(&self, body: &Value) -> (String, String) {
        let key = self.key(|_| {}).await;
        let (status, made) = self.call("POST", "/v1/connect-links", Some(&key), body).await;
        assert_eq!(status, 201, "{made}");
        let text = |name: &str| made[name].as_str().expect("a text").to_owned();
        (text("url"), text("id"))
    }

    async fn connected(&self, email: &str) -> usize {
        let email = email.parse().expect("an address");
        self.locum.state.vault.find_users_by_email(&email).await.expect("readable").len()
    }
}

#[actix_web::test]
async fn a_link_leads_a_new_person_through_consent_once() {
    let web = WebLocum::start().await;
    let alice = web.locum.alice().clone();
    let (url, _) = web.link(&json!({ "email": "Alice@Example.org" })).await;
    assert!(url.starts_with(web.url("/v1/connect/").as_str()) && url.len() > 60, "{url}");
    // A chat's preview, and the person themselves, twice.
    let mut preview = Browser::new();
    for _ in 0..3 {
        assert_eq!(preview.get(&url).await.title(), "Connect your Google account");
    }
    assert!(preview.cookies.is_empty());
    let mut browser = Browser::new();
    let page = browser.get(&url).await;
    for text in ["<bdi>alice@example.org</bdi>", "keep its own data in your Drive", "2026-11-23 17:36:12 UTC"]
    {
        assert!(page.body.contains(text), "{text}: {}", page.body);
    }
    assert!(page.header("content-security-policy").contains("form-action 'self'"));
    assert_eq!((page.header("referrer-policy"), page.header("cache-control")), ("no-referrer", "no-store"));

    let step = browser.fetch("POST", &url, &[]).await;
    assert_eq!((step.status, step.title()), (200, "On to Google"), "{}", step.body);
    let google = browser.follow(step).await;
    assert_eq!(google.parameter("login_hint").as_deref(), Some("alice@example.org"));
    assert_eq!(google.parameter("prompt").as_deref(), Some("consent"));
    let back = browser.consent(&google, &alice, &Answer::All).await;
    let seen = browser.get(back.as_str()).await;
    assert_eq!((seen.status, seen.title()), (200, "You are connected"), "{}", seen.body);
    assert_eq!(web.connected("alice@example.org").await, 1);

    for _ in 0..2 {
        let again = Browser::new().get(&url).await;
        assert_eq!((again.status, again.title()), (410, "This link is no longer good"));
        assert_eq!(Browser::new().post(&url).await.status, 410);
    }
}

#[actix_web::test]
async fn of_two_that_press_the_button_at_once_one_goes_on() {
    let web = WebLocum::start().await;
    let (url, _) = web.link(&json!({ "email": "alice@example.org" })).await;
    let (mut one, mut other) = (Browser::new(), Browser::new());
    let (one, other) = tokio::join!(one.fetch("POST", &url, &[]), other.fetch("POST", &url, &[]));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 410]);
}

#[actix_web::test]
async fn another_account_is_refused_and_nothing_of_it_stays() {
    let web = WebLocum::start().await;
    let (url, _) = web.link(&json!({ "email": "alice@example.org" })).await;
    let mut browser = Browser::new();
    let google = browser.post(&url).await;
    let back = browser.consent(&google, web.locum.bob(), &Answer::All).await;
    let seen = browser.get(back.as_str()).await;
    assert_eq!((seen.status, seen.title()), (403, "That was another account"), "{}", seen.body);
    assert!(
        seen.body.contains("<bdi>alice@example.org</bdi>") && !seen.body.contains("bob"),
        "{}",
        seen.body
    );
    assert_eq!(web.locum.state.vault.count_users().await, Ok(0));
    // The right one may try again, in the same browser.
    let google = browser.post(seen.url.as_str()).await;
    let back = browser.consent(&google, web.locum.alice(), &Answer::All).await;
    assert_eq!(browser.get(back.as_str()).await.title(), "You are connected");
    web.locum.state.lifecycle.stop(Duration::from_secs(10)).await;
    assert_eq!(web.locum.emulator.world.counts().revokes, 1, "the newcomer's tokens were given back");
}

#[actix_web::test]
async fn somebody_who_is_connected_keeps_what_they_have_when_they_take_another_s_link() {
    let web = WebLocum::start().await;
    let mut browser = Browser::new();
    let bob = web.locum.bob().clone();
    browser.sign_in(&web.url("/v1/sign-in"), &bob, &Answer::All).await;
    let (url, _) = web.link(&json!({ "email": "alice@example.org" })).await;
    let google = browser.post(&url).await;
    let back = browser.consent(&google, &bob, &Answer::All).await;
    assert_eq!(browser.get(back.as_str()).await.title(), "That was another account");
    let (key, path) = (web.key(|_| {}).await, format!("/v1/users/{}/token", bob.sub));
    web.locum.clock.advance(Duration::from_secs(3600));
    assert_eq!(web.call("GET", &path, Some(&key), &Value::Null).await.0, 200);
    web.locum.state.lifecycle.stop(Duration::from_secs(10)).await;
    assert_eq!(web.locum.emulator.world.counts().revokes, 0);
}

#[actix_web::test]
async fn an_unverified_address_is_nobody_s() {
    let web = WebLocum::start().await;
    let mut mallory = locum::emulator::Person::new(
        "100000000000000000666".parse().expect("digits"),
        "wanted@example.org",
        "Mallory Example",
        None,
    );
    mallory.email_verified = false;
    web.locum.emulator.world.add_person(mallory.clone());
    let (url, _) = web.link(&json!({ "email": "wanted@example.org" })).await;
    let mut browser = Browser::new();
    let google = browser.post(&url).await;
    let back = browser.consent(&google, &mallory, &Answer::All).await;
    assert_eq!(browser.get(back.as_str()).await.title(), "That was another account");
    assert_eq!(web.locum.state.vault.count_users().await, Ok(0));
}

#[actix_web::test]
async fn a_known_person_is_asked_for_what_is_missing_only() {
    let web = WebLocum::start().await;
    let alice = web.locum.alice().clone();
    let mut browser = Browser::new();
    browser.sign_in(&web.url("/v1/sign-in"), &alice, &Answer::All).await;
    let body = json!({ "user": alice.sub, "scopes": ["openid", CALENDAR], "expires_in": 60 });
    let (url, _) = web.link(&body).await;
    let google = browser.post(&url).await;
    let asked = ScopeSet::parse(&google.parameter("scope").expect("scopes"));
    assert_eq!(asked, ScopeSet::parse(&format!("openid email {CALENDAR}")));
    assert_eq!(google.parameter("prompt"), None, "a refresh token is stored");
    let back = browser.consent(&google, &alice, &Answer::Only(&[CALENDAR])).await;
    assert_eq!(browser.get(back.as_str()).await.title(), "You are connected");
    let user = web.locum.state.vault.find_user_by_sub(&alice.sub).await.expect("readable").expect("known");
    let grants =
        web.locum.state.vault.load_grants_of(user).await.and_then(FoundGrants::whole).expect("readable");
    assert_eq!(grants[0].scopes, ScopeSet::parse(&format!("{SCOPES} {CALENDAR}")), "the union");

    // What Google ended is asked for as a whole, and anew.
    let project = web.locum.seeded.web.client_id.project();
    assert!(web.locum.emulator.world.withdraw_consent(&alice.sub, project));
    web.locum.clock.advance(Duration::from_secs(3600));
    let key = web.key(|_| {}).await;
    let path = format!("/v1/users/{}/token", alice.sub);
    let (status, problem) = web.call("GET", &path, Some(&key), &Value::Null).await;
    assert_eq!((status, &problem["code"]), (409, &json!("consent_required")), "{problem}");
    assert_eq!(problem["connect_url"], web.url("/v1/sign-in?client=main"));
    let files = web.key(|key| key.actions = [Action::AppDataRead].into_iter().collect()).await;
    let files =
        web.call("GET", &format!("/v1/users/{}/app-data", alice.sub), Some(&files), &Value::Null).await;
    assert_eq!((files.0, &files.1["connect_url"]), (409, &problem["connect_url"]));
    let (url, _) = web.link(&json!({ "user": "alice@example.org" })).await;
    let google = browser.post(&url).await;
    assert_eq!(google.parameter("prompt").as_deref(), Some("consent"));
    assert_eq!(ScopeSet::parse(&google.parameter("scope").expect("scopes")), ScopeSet::parse(SCOPES));
    let back = browser.consent(&google, &alice, &Answer::All).await;
    assert_eq!(browser.get(back.as_str()).await.title(), "You are connected");
    assert_eq!(web.call("GET", &path, Some(&key), &Value::Null).await.0, 200);
}

#[actix_web::test]
async fn a_link_ends_by_time_by_its_maker_and_with_its_person() {
    let web = WebLocum::start().await;
    let key = web.key(|_| {}).await;
    let mut browser = Browser::new();
    let (url, _) = web.link(&json!({ "email": "alice@example.org", "expires_in": 3600 })).await;
    web.locum.clock.advance(Duration::from_secs(3599));
    assert_eq!(browser.get(&url).await.status, 200);
    web.locum.clock.advance(Duration::from_secs(1));
    assert_eq!((browser.get(&url).await.status, browser.post(&url).await.status), (410, 410));

    let (url, id) = web.link(&json!({ "email": "alice@example.org" })).await;
    let path = format!("/v1/connect-links/{id}");
    assert_eq!(web.call("DELETE", &path, Some(&key), &Value::Null).await.0, 200);
    assert_eq!(browser.get(&url).await.status, 410);
    for path in [path.as_str(), "/v1/connect-links/x", "/v1/connect-links/-000000000000001"] {
        let (status, problem) = web.call("DELETE", path, Some(&key), &Value::Null).await;
        assert_eq!((status, &problem["code"]), (404, &json!("connect_link_not_found")), "{path}");
    }

    let alice = web.locum.alice().clone();
    browser.sign_in(&web.url("/v1/sign-in"), &alice, &Answer::All).await;
    let (by_sub, _) = web.link(&json!({ "user": alice.sub })).await;
    let (by_address, _) = web.link(&json!({ "email": "alice@example.org" })).await;
    let (bobs, _) = web.link(&json!({ "email": web.locum.bob().email })).await;
    let user = web.locum.state.vault.find_user_by_sub(&alice.sub).await.expect("readable").expect("known");
    web.locum.state.users.forget(user, None, Revoke::Auto, &Actor::locum()).await.expect("known");
    for (url, status) in [(by_sub, 410), (by_address, 410), (bobs, 200)] {
        assert_eq!(browser.get(&url).await.status, status);
    }
    for nonsense in ["x", "%00", "..%2f..", "%FF", "a%2Fb"] {
        assert_eq!(browser.get(&web.url(&format!("/v1/connect/{nonsense}"))).await.status, 410, "{nonsense}");
    }
}

#[actix_web::test]
async fn an_outage_costs_nobody_their_link() {
    use locum::emulator::{Endpoint, Fault};

    let web = WebLocum::start().await;
    let (url, _) = web.link(&json!({ "email": "alice@example.org" })).await;
    web.locum.emulator.world.faults().times(20, Endpoint::Discovery, Fault::status(503));
    let mut browser = Browser::new();
    let seen = browser.post(&url).await;
    assert_eq!((seen.status, seen.title()), (503, "Not at the moment"), "{}", seen.body);
    web.locum.emulator.world.faults().clear_all();
    web.locum.clock.advance(Duration::from_secs(120));
    assert!(browser.post(&url).await.body.contains("An app wants to act for you"));
}

#[actix_web::test]
async fn an_order_for_a_link_is_checked() {
    let web = WebLocum::start_with("allow_users = [\"alice@example.org\"]\n").await;
    let ask = async |key: &str, body: Value| {
        let (status, problem) = web.call("POST", "/v1/connect-links", Some(key), &body).await;
        (status, problem["code"].as_str().unwrap_or_default().to_owned())
    };
    let key = web.key(|_| {}).await;
    for (body, status, code) in [
        (json!({}), 400, "field_missing"),
        (json!({ "email": "x" }), 400, "field_invalid"),
        (json!({ "email": "a@b", "user": "a@b" }), 400, "field_invalid"),
        (json!({ "email": "bob.sample@gmail.com" }), 403, "user_not_allowed"),
        (json!({ "user": "bob.sample@gmail.com" }), 404, "user_not_found"),
        (json!({ "email": "alice@example.org", "client": "nobody" }), 400, "client_unknown"),
        (json!({ "email": "alice@example.org", "expires_in": 59 }), 400, "field_invalid"),
        (json!({ "email": "alice@example.org", "expires_in": 2_592_001 }), 400, "field_invalid"),
        (json!({ "email": "alice@example.org", "expires_in": "1d" }), 400, "field_invalid"),
        (json!({ "email": "alice@example.org", "scopes": [] }), 400, "field_invalid"),
        (json!({ "email": "alice@example.org", "scopes": ["a b"] }), 400, "field_invalid"),
        (json!({ "email": "alice@example.org", "scope": ["openid"] }), 400, "field_unknown"),
        (json!({ "email": "alice@example.org", "client": null, "expires_in": 2_592_000 }), 201, ""),
    ] {
        assert_eq!(ask(&key, body.clone()).await, (status, code.to_owned()), "{body}");
    }
    // A bound key invites nobody that it does not reach.
    let alice = json!({ "email": "alice@example.org" });
    let bound = web.key(|new| new.users = UserBinding::Only(vec![locum::ids::UserId(1)])).await;
    assert_eq!(ask(&bound, alice.clone()).await, (404, "user_not_found".into()));
    let bound = web.key(|new| new.clients = Some(vec!["other".parse().expect("a name")])).await;
    assert_eq!(ask(&bound, json!({ "email": "alice@example.org", "client": "main" })).await.0, 404);
    assert_ne!(ask(&bound, alice).await.0, 201);
    let bound = web.key(|new| new.scopes = Some(ScopeSet::parse("openid"))).await;
    let wide = json!({ "email": "alice@example.org", "scopes": ["openid", CALENDAR] });
    assert_eq!(ask(&bound, wide).await, (403, "scope_missing".into()));
    // Saying nothing would ask for all that the client wants.
    assert_eq!(ask(&bound, json!({ "email": "alice@example.org" })).await.0, 400);
    assert_eq!(web.connected("alice@example.org").await, 0);
}
