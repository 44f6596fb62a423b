//! The owner's way into the dashboard: with Google, across restarts, and from the shell.

use std::time::Duration;

use locum::config::Source;
use locum::emulator::Person;
use locum::events::Actor;
use locum::owner_sessions::SignedInBy;
use locum::sign_in::ExchangeRequest;
use serde_json::json;

use crate::browser::{Answer, Browser, Seen, WebLocum};
use crate::harness::{TestLocum, request};
use crate::program::{Folder, Program};

const IDENTITY: Answer<'static> = Answer::Only(&["openid", "email"]);
const COOKIE: &str = "locum_dashboard";

/// A locum whose dashboard these accounts may open.
async fn listing(emails: &str) -> WebLocum {
    WebLocum::start_with(&format!("[dashboard]\nemails = {emails}\nclient = \"main\"\n")).await
}

/// From the button of the sign-in page to Google's page and back.
async fn sign_in(web: &WebLocum, browser: &mut Browser, person: &Person) -> Seen {
    let google = browser.post(&web.url("/dashboard/sign-in")).await;
    let back = browser.consent(&google, person, &IDENTITY).await;
    browser.get(back.as_str()).await
}

#[actix_web::test]
async fn a_listed_account_opens_the_dashboard_and_connects_nobody() {
    let web = listing(r#"["Alice@Example.ORG"]"#).await;
    let mut browser = Browser::new();
    let page = browser.get(&web.url("/")).await;
    assert!(page.body.contains("action=\"dashboard/sign-in\""), "{}", page.body);
    let google = browser.post(&web.url("/dashboard/sign-in")).await;
    for (name, value) in [
        ("access_type", Some("online")),
        ("prompt", Some("select_account")),
        ("include_granted_scopes", None),
        ("login_hint", None),
        ("code_challenge_method", Some("S256")),
    ] {
        assert_eq!(google.parameter(name).as_deref(), value, "{name}");
    }
    let mut scopes: Vec<_> =
        google.parameter("scope").expect("scopes").split(' ').map(str::to_owned).collect();
    scopes.sort_unstable();
    assert_eq!(scopes.len(), 2, "{scopes:?}");
    assert!(google.parameter("nonce").is_some() && google.parameter("state").is_some());

    let alice = web.locum.alice().clone();
    let back = browser.consent(&google, &alice, &IDENTITY).await;
    let step = browser.fetch("GET", back.as_str(), &[]).await;
    assert_eq!(step.status, 200);
    assert_eq!((step.header("referrer-policy"), step.header("cache-control")), ("no-referrer", "no-store"));
    let set = browser.cookies_set.iter().find(|set| set.starts_with(COOKIE)).expect("a cookie");
    assert!(set.contains("; HttpOnly; SameSite=Strict"), "{set}");
    assert_eq!(browser.cookies.keys().collect::<Vec<_>>(), [COOKIE], "that of the sign-in is dropped");
    let home = browser.follow(step).await;
    assert_eq!(home.url.path(), "/");
    assert!(home.body.contains("/dashboard/assets/"), "{}", home.body);
    let me = browser.fetch("GET", &web.url("/v1/dashboard"), &[]).await;
    assert!(me.body.contains("\"signed_in_as\":\"alice@example.org\""), "{}", me.body);

    assert_eq!(web.locum.state.vault.count_users().await, Ok(0));
    let client = &web.locum.seeded.web.client_id;
    assert!(web.locum.emulator.world.refresh_tokens(&alice.sub, client).is_empty());
    // The same answer of Google's a second time opens nothing.
    let mut again = Browser::new();
    let replayed = again.fetch("GET", back.as_str(), &[]).await;
    assert!(!again.cookies.contains_key(COOKIE), "{}", replayed.body);
}

#[actix_web::test]
async fn nobody_else_opens_it_and_nothing_of_theirs_ends() {
    let web = listing(r#"["alice@example.org", "mallory@example.net"]"#).await;
    let bob = web.locum.bob().clone();
    let code = web.locum.code(&bob);
    let request = ExchangeRequest { source: Some(Source::Ios), ..request(code) };
    web.locum.state.sign_in.redeem(request, &Actor::locum()).await.expect("a good code");
    let mut unverified =
        Person::new("1".repeat(21).parse().expect("an id"), "mallory@example.net", "Mallory", None);
    unverified.email_verified = false;
    web.locum.emulator.world.add_person(unverified.clone());
    let client = web.locum.seeded.web.client_id.clone();
    let before = web.locum.emulator.world.refresh_tokens(&bob.sub, &client);
    assert_eq!(before.len(), 1);
    for person in [&bob, &unverified] {
        let mut browser = Browser::new();
        let seen = sign_in(&web, &mut browser, person).await;
        assert_eq!((seen.status, seen.title()), (403, "This account may not open the dashboard"));
        assert!(!browser.cookies.contains_key(COOKIE));
        assert!(!seen.body.contains(&person.email), "{}", seen.body);
        // The button on that page begins the same again, with another account.
        let google = browser.post(seen.url.as_str()).await;
        assert_eq!(google.parameter("access_type").as_deref(), Some("online"));
        let back = browser.consent(&google, web.locum.alice(), &IDENTITY).await;
        browser.get(back.as_str()).await;
        assert!(browser.cookies.contains_key(COOKIE));
    }
    assert_eq!(web.locum.emulator.world.refresh_tokens(&bob.sub, &client).len(), 1);
    assert!(web.locum.emulator.world.refresh_token_is_live(&before[0]));
    assert_eq!(web.locum.state.vault.count_users().await, Ok(1));

    // Whoever says no, and whoever signs in as a user at the ordinary door, is not the owner.
    let mut browser = Browser::new();
    let google = browser.post(&web.url("/dashboard/sign-in")).await;
    let back = browser.consent(&google, web.locum.alice(), &Answer::No).await;
    browser.get(back.as_str()).await;
    assert!(!browser.cookies.contains_key(COOKIE));
    let google = browser.get(&web.url("/v1/sign-in")).await;
    let back = browser.consent(&google, web.locum.alice(), &Answer::All).await;
    browser.get(back.as_str()).await;
    assert!(!browser.cookies.contains_key(COOKIE));
}

#[actix_web::test]
async fn a_sign_in_of_the_owner_ends_in_its_own_browser() {
    let web = listing(r#"["alice@example.org"]"#).await;
    let (mut own, mut foreign) = (Browser::new(), Browser::new());
    let google = own.post(&web.url("/dashboard/sign-in")).await;
    let back = own.consent(&google, web.locum.alice(), &IDENTITY).await;
    let seen = foreign.get(back.as_str()).await;
    assert_eq!(seen.title(), "This browser did not begin the sign-in");
    assert!(!foreign.cookies.contains_key(COOKIE));
    // Which has spoilt nothing.
    own.get(back.as_str()).await;
    assert!(own.cookies.contains_key(COOKIE));
    // Nor can another site begin one.
    foreign.origin = Some("https://evil.example");
    let refused = foreign.fetch("POST", &web.url("/dashboard/sign-in"), &[]).await;
    assert_eq!((refused.status, refused.title()), (403, "This came from somewhere else"));
    assert!(foreign.cookies.is_empty());
}

#[actix_web::test]
async fn without_a_list_there_is_no_sign_in_with_google() {
    let web = WebLocum::start().await;
    let mut browser = Browser::new();
    let page = browser.get(&web.url("/")).await;
    assert!(!page.body.contains("<form"), "{}", page.body);
    browser.accept = "application/json";
    let refused = browser.fetch("POST", &web.url("/dashboard/sign-in"), &[]).await;
    assert!(refused.status >= 400 && refused.body.contains("sign_in_not_configured"), "{}", refused.body);
}

const SETTINGS: &str = "[server]\npublic_url = \"http://127.0.0.1:8787\"\n[dashboard]\nclient = \"main\"\n";

fn with_emails(emails: &str) -> String {
    format!("{SETTINGS}emails = {emails}\n")
}

#[tokio::test]
async fn a_restart_signs_nobody_out_but_those_who_left_the_list() {
    let locum = TestLocum::start_with(&with_emails(r#"["alice@example.org"]"#)).await;
    let alice = SignedInBy::Google("alice@example.org".parse().expect("an address"));
    let by_link = locum.state.owner_sessions.make_link();
    let by_link = locum.state.owner_sessions.follow_link(&by_link.secret).await.expect("a good link");
    let by_google = locum.state.owner_sessions.sign_in(alice).await.expect("signed in");
    let waiting = locum.state.owner_sessions.make_link();
    locum.clock.advance(Duration::from_secs(1_800));
    assert!(locum.state.owner_sessions.verify(&by_link.secret, true).is_some());
    locum.state.owner_sessions.upkeep_step().await.expect("written");

    let locum = locum.restart().await;
    assert!(!locum.state.owner_sessions.link_is_good(&waiting.secret), "links are in memory only");
    locum.clock.advance(Duration::from_secs(1_800));
    let session = locum.state.owner_sessions.verify(&by_link.secret, true).expect("used half an hour ago");
    assert_eq!(session.signed_in_at, by_link.session.signed_in_at);
    assert!(locum.state.owner_sessions.verify(&by_google.secret, true).is_none(), "unused for an hour");

    let alice = SignedInBy::Google("alice@example.org".parse().expect("an address"));
    let by_google = locum.state.owner_sessions.sign_in(alice).await.expect("signed in");
    let locum = locum.restart_with(&with_emails(r#"["bob@example.org"]"#)).await;
    assert!(locum.state.owner_sessions.verify(&by_google.secret, true).is_none());
    assert!(!locum.state.owner_sessions.is_signed_in(by_google.session.id));
    assert!(locum.state.owner_sessions.verify(&by_link.secret, true).is_some());
    assert!(locum.state.owner_sessions.is_signed_in(by_link.session.id));
}

#[tokio::test]
async fn a_session_that_was_altered_in_the_file_admits_nobody() {
    for edit in [
        "UPDATE owner_sessions SET seen_at = seen_at + 600",
        "UPDATE owner_sessions SET signed_in_at = signed_in_at + 600",
        "UPDATE owner_sessions SET secret_lookup = zeroblob(32)",
        "INSERT INTO owner_sessions SELECT id + 1, zeroblob(32), signed_in_by, signed_in_at, seen_at, mac FROM owner_sessions",
    ] {
        let locum = TestLocum::start().await;
        let signed_in = locum.state.owner_sessions.sign_in(SignedInBy::Link).await.expect("signed in");
        locum.state.vault.close().await;
        let conn = rusqlite::Connection::open(locum.state.vault.path()).expect("the file");
        assert_eq!(conn.execute(edit, []), Ok(1), "{edit}");
        drop(conn);
        let locum = locum.restart().await;
        let admitted = locum.state.owner_sessions.verify(&signed_in.secret, true).is_some();
        // The inserted row is the one that is refused.
        assert_eq!(admitted, edit.starts_with("INSERT"), "{edit}");
        // Signing out everywhere clears such rows away, too.
        locum.state.owner_sessions.sign_out_all().await.expect("written");
        assert_eq!(locum.state.vault.load_owner_sessions().await.expect("readable"), []);
    }
}

#[tokio::test]
async fn at_most_fifty_browsers_are_signed_in() {
    let locum = TestLocum::start().await;
    let sessions = &locum.state.owner_sessions;
    let mut secrets = Vec::new();
    for _ in 0..52 {
        secrets.push(sessions.sign_in(SignedInBy::Link).await.expect("signed in").secret);
        locum.clock.advance(Duration::from_secs(1));
    }
    let live: Vec<bool> = secrets.iter().map(|secret| sessions.verify(secret, true).is_some()).collect();
    assert_eq!(live.iter().filter(|live| **live).count(), 50);
    assert_eq!(live[..3], [false, false, true], "those unused for longest made room");
    assert_eq!(locum.state.vault.load_owner_sessions().await.expect("readable").len(), 50);
}

#[test]
fn the_shell_makes_a_link_where_a_server_runs() {
    let folder = Folder::empty();
    let arguments = ["--json", "demo", "--listen", "127.0.0.1:0", "--emulator-listen", "127.0.0.1:0"];
    let demo = Program::start(&mut folder.locum(&arguments));
    let told = demo.facts.clone();
    let config = told["config_file"].as_str().expect("a path");
    let base = told["base_url"].as_str().expect("an address");
    let at_start = told["dashboard_url"].as_str().expect("an address");
    assert!(at_start.starts_with(&format!("{base}/dashboard/enter/")), "{at_start}");

    let made = folder.run(&["--config", config, "admin", "link", "--print"]).expect(0);
    assert!(made.stdout().starts_with(&format!("{base}/dashboard/enter/")), "{}", made.stdout());
    assert_ne!(made.stdout().trim(), at_start);
    let json = folder.run(&["--config", config, "--json", "admin", "link"]).expect(0);
    let json: serde_json::Value = serde_json::from_str(json.stdout()).expect("JSON");
    assert!(json["url"].is_string() && json["expires_at"].is_string());
    // A pipe may be a log.
    let refused = folder.run(&["--config", config, "admin", "link"]).expect(2);
    assert!(refused.stderr().contains("--print"), "{}", refused.stderr());
    let out = folder.run(&["--config", config, "--json", "admin", "sign-out"]).expect(0);
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(out.stdout()).expect("JSON"),
        json!({ "signed_out": 0 })
    );
    demo.stop();
    let nobody = folder.run(&["--config", config, "admin", "link", "--print"]);
    assert!(!nobody.stderr().is_empty() && nobody.stdout().is_empty());
}
