//! No secret and nothing personal in clear in any file or log line, at the most talkative level.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use locum::emulator::{Endpoint, Fault, Person};
use locum::events::{Actor, Kind, NewEvent, Via};
use locum::sign_in::NamedPerson;
use locum::sign_in::web_flow::LinkOrder;
use locum::telemetry::{LogFormat, LogSettings, init_with_writer};
use locum::users::Revoke;

use crate::browser::{Answer, Browser, SITE, WebLocum};
use crate::harness::TestLocum;

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Anything of these in what was written is a leak. Google's own prefixes cover every token.
const NEEDLES: [&str; 5] = ["needle", "ya29.", "1//0", "4/0A", "GOCSPX-"];

fn assert_clean(what: &str, bytes: &[u8], subs: &[String]) {
    let lower = bytes.to_ascii_lowercase();
    let needles = NEEDLES.iter().map(|needle| needle.to_lowercase()).chain(subs.iter().cloned());
    for needle in needles {
        let found = lower.windows(needle.len()).position(|window| window == needle.as_bytes());
        if let Some(at) = found {
            let around = &bytes[at.saturating_sub(80)..(at + 80).min(bytes.len())];
            panic!("{needle} stands in {what}: {}", String::from_utf8_lossy(around));
        }
    }
}

/// Sign-ins by a browser that end in every way; whatever opens anything on the way joins `secrets`.
async fn browse(web: &WebLocum, secrets: &mut Vec<String>) {
    let sub = "177700000000000009999".parse().expect("digits");
    let person = Person::new(sub, "needle@needle.example", "Needle Web", None);
    secrets.push(person.sub.to_string());
    web.locum.emulator.world.add_person(person.clone());
    let challenge = "x".repeat(43);
    let site = web.url(&format!("/v1/sign-in?return_to={SITE}&challenge={challenge}"));
    for (answer, stranger) in
        [(Answer::All, false), (Answer::Only(&[]), false), (Answer::No, false), (Answer::All, true)]
    {
        let mut browser = Browser::new();
        let google = browser.get(&site).await;
        let state = google.parameter("state").expect("a state");
        secrets.extend(state.split('.').nth(1).map(str::to_lowercase));
        secrets.extend(browser.cookies.values().map(|value| value.to_lowercase()));
        let back = browser.consent(&google, &person, &answer).await;
        if stranger {
            browser.cookies.clear();
        }
        let seen = browser.get(back.as_str()).await;
        if let Some(code) = seen.parameter("locum_code") {
            let body = serde_json::json!({ "locum_code": code, "code_verifier": "needle".repeat(10) });
            assert_eq!(web.call("POST", "/v1/session", None, &body).await.0, 400);
            secrets.push(code.to_lowercase());
        }
    }
    let order = LinkOrder {
        person: NamedPerson::Email("needle@needle.example".parse().expect("an address")),
        client: None,
        scopes: None,
        lifetime: 600,
    };
    for followed in [false, true] {
        let link = web.locum.state.web_flow.make_link(order.clone(), &Actor::locum()).await.expect("made");
        let token = link.url.path_segments().and_then(|mut segments| segments.next_back()).expect("a token");
        secrets.push(token.to_lowercase());
        let mut browser = Browser::new();
        browser.get(link.url.as_str()).await;
        if followed {
            browser.sign_in_from(link.url.as_str(), &person).await;
        }
    }
}

#[actix_web::test]
async fn nothing_in_clear_in_files_and_logs() {
    let log = Sink::default();
    let settings =
        LogSettings { format: LogFormat::Json, filter: "trace".into(), timestamps: true, colour: false };
    let writer = log.clone();
    init_with_writer(&settings, move || writer.clone()).expect("a filter");

    let locum = TestLocum::start().await;
    let mut subs = Vec::new();
    for n in 0..20_u64 {
        let sub = format!("1{:0>20}", 777_000_000 + n);
        subs.push(sub.clone());
        let sub = sub.parse().expect("digits");
        let person = Person::new(sub, &format!("needle{n}@needle.example"), &format!("Needle Nr{n}"), None);
        locum.emulator.world.add_person(person.clone());
        let code = locum.code(&person);
        let user = locum.redeem(code.clone()).await.expect("a good code").user;
        locum.redeem(code).await.expect_err("spent");
        locum.token(user).await.expect("a token");
        locum.clock.advance(std::time::Duration::from_secs(3600));
        match n % 4 {
            0 => locum.emulator.world.faults().once(Endpoint::Token, Fault::Malformed),
            1 => locum.emulator.world.faults().times(5, Endpoint::Token, Fault::status(500)),
            2 => locum.emulator.world.faults().once(Endpoint::Token, Fault::Drop),
            _ => {}
        }
        let _ = locum.token(user).await;
        locum.emulator.world.faults().clear_all();
        if n % 3 == 0 {
            locum.state.users.forget(user, None, Revoke::Auto, &Actor::locum()).await.expect("known");
        }
    }
    let actor = Actor::owner(Via::Dashboard, Some("needle@needle.example".into()), None);
    locum.state.events.record(NewEvent::new(Kind::AppDataWritten, &actor).path("needle/path")).await;
    let web = WebLocum::start().await;
    browse(&web, &mut subs).await;
    for state in [&locum.state, &web.locum.state] {
        state.events.step().await.expect("written");
        assert!(state.vault.newest_event().await.expect("readable") > 5);
    }
    let folders = [locum.dir.path(), web.locum.dir.path()];
    for entry in folders.iter().flat_map(|folder| std::fs::read_dir(folder).expect("a directory")) {
        let path = entry.expect("an entry").path();
        assert_clean(&path.display().to_string(), &std::fs::read(&path).expect("a file"), &subs);
    }
    let written = log.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert!(!written.is_empty(), "the log was listened to");
    assert_clean("the log", &written, &subs);
}
