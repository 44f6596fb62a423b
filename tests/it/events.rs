//! Events as the flows bring them about: each told once, by whom, about whom.

use std::time::Duration;

use locum::app_data::{AppDataPath, Person, Precondition, feed};
use locum::config::Source;
use locum::emulator::{Endpoint, Fault};
use locum::events::{Actor, Event, EventUser, Reading, Via};
use locum::google::drive::MediaType;
use locum::ids::UserId;
use locum::mirror::RunOptions;
use locum::secret::SecretText;
use locum::sign_in::NamedPerson;
use locum::sign_in::web_flow::LinkOrder;
use locum::tokens::Reach;
use locum::users::Revoke;

use crate::browser::WebLocum;
use crate::forget::{connect_to, two_clients};
use crate::harness::{TestLocum, client, request};
use crate::program::{Folder, Google, get, words};

/// Everything there is, oldest first.
async fn told(locum: &TestLocum) -> Vec<Event> {
    locum.state.events.step().await.expect("written");
    let page = locum.state.events.page(&Reading::default(), 0, i64::MAX, 1_000).await;
    let mut events = page.expect("readable").events;
    events.reverse();
    events
}

fn kinds(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| &*event.kind).collect()
}

/// Kinds and causes of what came behind the first `seen`.
async fn news(locum: &TestLocum, seen: usize) -> Vec<String> {
    let told = told(locum).await;
    let words = |event: &Event| match event.details.get("cause").or(event.details.get("why")) {
        Some(cause) => format!("{} {}", event.kind, cause.as_str().unwrap_or_default()),
        None => event.kind.clone(),
    };
    told.iter().skip(seen).map(words).collect()
}

fn owner() -> Actor {
    Actor::owner(Via::Socket, None, None)
}

#[actix_web::test]
async fn a_grant_that_changes_its_state_is_told_of_once() {
    let locum = TestLocum::start().await;
    let user = locum.connect(locum.alice()).await;
    let world = &locum.emulator.world;
    let (sub, project) = (&locum.alice().sub, locum.seeded.web.client_id.project());
    locum.clock.advance(Duration::from_secs(3600));
    assert!(world.withdraw_consent(sub, project));
    for _ in 0..3 {
        locum.token(user).await.expect_err("dead");
    }
    let by_hand = locum.state.tokens.refresh_by_hand(user, None, &Reach::EVERYTHING, &owner()).await;
    by_hand.expect_err("still dead");
    assert_eq!(news(&locum, 0).await, ["user.connected", "grant.died expired_or_revoked"]);

    // Signing in again tells of itself; what Google demands then is news.
    locum.connect(locum.alice()).await;
    locum.clock.advance(Duration::from_secs(3600));
    world.require_reauth(sub, true);
    locum.token(user).await.expect_err("consent");
    locum.token(user).await.expect_err("consent");
    world.require_reauth(sub, false);
    let by_hand = locum.state.tokens.refresh_by_hand(user, None, &Reach::EVERYTHING, &owner()).await;
    by_hand.expect("it works again");
    locum.clock.advance(Duration::from_secs(3600));
    world.enforce_admin_policy(sub, true);
    locum.token(user).await.expect_err("blocked");
    let expected = [
        "user.connected",
        "grant.refreshed",
        "grant.needs_consent reauth_required",
        "grant.revived",
        "grant.blocked admin_policy",
    ];
    let mut seen = news(&locum, 2).await;
    seen.sort_unstable();
    let mut sorted = expected.map(str::to_owned);
    sorted.sort_unstable();
    assert_eq!(seen, sorted);

    let events = told(&locum).await;
    let died = events.iter().find(|event| event.kind == "grant.died").expect("told");
    assert_eq!(died.summary, "Google no longer honours the refresh token (expired_or_revoked).");
    assert_eq!((died.actor.kind.as_str(), died.client.as_deref()), ("locum", Some("main")));
    assert!(matches!(&died.user, Some(EventUser::Known { id, .. }) if *id == *sub));
    let refreshed = events.iter().find(|event| event.kind == "grant.refreshed").expect("told");
    assert_eq!((refreshed.actor.kind.as_str(), refreshed.actor.via.as_deref()), ("owner", Some("socket")));
}

#[actix_web::test]
async fn a_client_that_google_refuses_is_told_of_once_and_so_is_its_end() {
    let locum = TestLocum::start().await;
    let user = locum.connect(locum.alice()).await;
    locum.clock.advance(Duration::from_secs(3600));
    let faults = locum.emulator.world.faults();
    faults.until_cleared(Endpoint::Token, Fault::oauth(401, "invalid_client", "Unauthorized"));
    for _ in 0..3 {
        locum.token(user).await.expect_err("paused");
        locum.clock.advance(Duration::from_secs(61));
    }
    faults.clear_all();
    locum.clock.advance(Duration::from_secs(3600));
    locum.token(user).await.expect("accepted again");
    let news = news(&locum, 1).await;
    assert_eq!(news.len(), 2, "{news:?}");
    assert!(news[0].starts_with("client.paused ") && news[1] == "client.resumed", "{news:?}");
}

#[actix_web::test]
async fn an_outage_is_no_event() {
    let locum = TestLocum::start().await;
    let user = locum.connect(locum.alice()).await;
    locum.emulator.world.faults().until_cleared(Endpoint::Token, Fault::status(503));
    locum.clock.advance(Duration::from_secs(3600));
    locum.token(user).await.expect_err("an outage");
    assert_eq!(news(&locum, 0).await, ["user.connected"]);
}

#[actix_web::test]
async fn who_is_refused_and_from_where() {
    let locum = TestLocum::start_with("allow_users = [\"nobody@example.org\"]\n").await;
    let visitor = Actor::user(Some([203, 0, 113, 5].into()));
    let code = locum.code(locum.alice());
    locum.state.sign_in.redeem(request(code), &visitor).await.expect_err("not listed");
    let events = told(&locum).await;
    assert_eq!(kinds(&events), ["user.refused"]);
    assert_eq!(events[0].details["why"], "not_allowed");
    assert_eq!(events[0].details["source"], "ios");
    assert_eq!(events[0].from, Some([203, 0, 113, 5].into()));
    assert!(events[0].user.is_none(), "nothing of them is kept");
}

#[actix_web::test]
async fn a_replayed_answer_is_no_second_connection() {
    let locum = TestLocum::start().await;
    let mut ask = request(locum.code(locum.alice()));
    ask.idempotency_key = Some("once".into());
    let visitor = Actor::user(None);
    for _ in 0..2 {
        locum.state.sign_in.redeem(ask.clone(), &visitor).await.expect("the same answer");
    }
    locum.connect(locum.alice()).await;
    let events = told(&locum).await;
    assert_eq!(kinds(&events), ["user.connected", "user.connected"]);
    assert_eq!((&events[0].details["created"], &events[1].details["created"]), (&true.into(), &false.into()));
}

#[actix_web::test]
async fn with_a_person_goes_what_is_personal_and_the_rest_stays() {
    let locum = TestLocum::start().await;
    let visitor = Actor::user(Some([203, 0, 113, 5].into()));
    let user = locum.state.sign_in.redeem(request(locum.code(locum.alice())), &visitor).await;
    let user = user.expect("connected").user;
    let bob = locum.state.sign_in.redeem(request(locum.code(locum.bob())), &visitor).await;
    bob.expect("connected");
    assert!(told(&locum).await.iter().all(|event| event.from.is_some()));
    locum.emulator.world.faults().until_cleared(Endpoint::Revoke, Fault::status(503));
    let forgotten = locum.state.users.forget(user, None, Revoke::Auto, &visitor).await.expect("known");
    assert!(forgotten.pending);
    assert_eq!(news(&locum, 2).await, ["user.forget_requested"], "not done yet");
    locum.emulator.world.faults().clear_all();
    locum.state.users.revoke_step().await.expect("revoked");
    let events = told(&locum).await;
    assert_eq!(kinds(&events)[2..], ["user.forget_requested", "user.forgotten"]);
    assert_eq!(events[3].details["revoked"], true);
    assert_eq!((&*events[2].actor.kind, &*events[3].actor.kind), ("user", "locum"));
    for (n, event) in events.iter().enumerate() {
        let forgotten = matches!(event.user, Some(EventUser::Forgotten { forgotten: true }));
        assert_eq!((forgotten, event.from.is_none()), (n != 1, n != 1), "{n}");
    }
}

#[actix_web::test]
async fn a_grant_that_ends_with_another_one_is_told_of() {
    let locum = two_clients().await;
    let user = connect_to(&locum, "main").await;
    connect_to(&locum, "second").await;
    let main = client("main");
    let forgotten =
        locum.state.users.forget(user, Some(&main), Revoke::Project, &owner()).await.expect("known");
    assert!(!forgotten.also_ended.is_empty(), "{forgotten:?}");
    let mut news = news(&locum, 0).await;
    news.retain(|kind| !kind.starts_with("user.connected"));
    news.sort_unstable();
    assert_eq!(news, ["grant.died expired_or_revoked", "user.forget_requested", "user.forgotten"]);
}

#[actix_web::test]
async fn links_are_told_of_with_their_person() {
    let web = WebLocum::start().await;
    let locum = &web.locum;
    let mut ask = request(locum.code(locum.alice()));
    ask.source = Some(Source::Ios);
    let user = locum.state.sign_in.redeem(ask, &owner()).await.expect("a good code").user;
    let (sub, flow) = (locum.alice().sub.clone(), &locum.state.web_flow);
    let order = |person| LinkOrder { person, client: None, scopes: None, lifetime: 600 };
    let visitor = Actor::user(Some([203, 0, 113, 5].into()));
    let known = flow.make_link(order(NamedPerson::Sub(sub.clone(), None)), &owner()).await.expect("made");
    let nobody = NamedPerson::Email("nobody@example.org".parse().expect("an address"));
    let stranger = flow.make_link(order(nobody), &owner()).await.expect("made");
    flow.withdraw_link(stranger.id, &owner()).await.expect("withdrawn");
    flow.withdraw_link(stranger.id, &owner()).await.expect_err("gone");
    let secret = known.url.path_segments().and_then(|mut parts| parts.next_back()).expect("a secret");
    let secret = SecretText::new(secret);
    flow.look_at_link(&secret).await.expect("there");
    assert!(flow.follow_link(&secret, &visitor).await.is_ok());
    assert!(flow.follow_link(&secret, &visitor).await.is_err(), "spent");
    let events = told(locum).await;
    let links: Vec<_> = events.iter().filter(|event| event.kind.starts_with("connect_link")).collect();
    let kinds: Vec<_> = links.iter().map(|event| &*event.kind).collect();
    assert_eq!(
        kinds,
        ["connect_link.created", "connect_link.created", "connect_link.withdrawn", "connect_link.followed"]
    );
    let is_alice = |event: &Event| matches!(&event.user, Some(EventUser::Known { id, .. }) if *id == sub);
    assert!(is_alice(links[0]) && links[1].user.is_none() && is_alice(links[3]));
    assert_eq!((&*links[3].actor.kind, links[3].from), ("user", Some([203, 0, 113, 5].into())));
    assert_eq!(links[3].details["link"], known.id.to_string());
    let all = serde_json::to_string(&events).expect("JSON");
    assert!(!all.contains(secret.expose()) && !all.contains("nobody@example.org"));
    assert!(locum.state.vault.load_user(user).await.expect("readable").is_some());
}

#[actix_web::test]
async fn files_are_told_of_where_the_owner_touched_them() {
    let locum = TestLocum::start().await;
    let user = locum.connect(locum.alice()).await;
    let app_data = &locum.state.app_data;
    let person = || Person { user, client: None, reach: Reach::EVERYTHING };
    let path: AppDataPath = "notes/a.txt".parse().expect("a path");
    let program = Actor::key("aaaaaaaaaaaa".parse().expect("an id"), "p".into(), None);
    for actor in [&owner(), &program, &Actor::user(None)] {
        let (feed, content) = feed(Some(2));
        let sending = async {
            feed.send("hi".into()).await.expect("taken");
            feed.finish().await.expect("taken");
        };
        let mime: MediaType = "text/plain".parse().expect("a media type");
        let writing = app_data.write(person(), path.clone(), content, mime, Precondition::None, actor);
        futures_util::future::join(writing, sending).await.0.expect("written");
        app_data.remove(person(), path.clone(), Precondition::None, actor).await.expect("removed");
    }
    let events = told(&locum).await;
    let files: Vec<_> = events.iter().filter(|event| event.kind.starts_with("app_data")).collect();
    let kinds: Vec<_> = files.iter().map(|event| &*event.kind).collect();
    assert_eq!(kinds, ["app_data.written", "app_data.deleted"]);
    assert_eq!(
        (&files[0].details["path"], &files[0].details["created"]),
        (&"notes/a.txt".into(), &true.into())
    );
}

async fn mirrored() -> (TestLocum, UserId, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let extra = format!(
        "[[mirror]]\nuser = \"alice@example.org\"\nclient = \"main\"\nfolder = {:?}\ndirection = \"both\"\n",
        folder.path()
    );
    let locum = TestLocum::start_with(&extra).await;
    let user = locum.connect(locum.alice()).await;
    (locum, user, folder)
}

#[actix_web::test]
async fn a_mirror_is_told_of_when_it_changes_and_when_somebody_runs_it() {
    let (locum, user, folder) = mirrored().await;
    std::fs::write(folder.path().join("here"), "a").expect("written");
    let theirs = locum.emulator.world.app_data(&locum.alice().sub, locum.seeded.web.client_id.project());
    theirs.put("there", "b").expect("put");
    let run = async |dry_run, accept, actor: &Actor| {
        let _ = locum.state.mirrors.run(user, None, RunOptions { dry_run, accept }, actor).await;
    };
    let by_itself = async || futures_util::future::join_all(locum.state.mirrors.run_due()).await;
    run(true, false, &owner()).await;
    by_itself().await;
    run(false, false, &owner()).await;
    run(false, true, &owner()).await;
    run(false, false, &owner()).await;
    let away = folder.path().with_extension("away");
    std::fs::rename(folder.path(), &away).expect("moved");
    run(false, false, &owner()).await;
    run(false, false, &owner()).await;
    std::fs::rename(&away, folder.path()).expect("moved back");
    run(false, false, &owner()).await;
    run(false, false, &owner()).await;
    let events = told(&locum).await;
    let mirror: Vec<_> = events.iter().filter(|event| event.kind.starts_with("mirror")).collect();
    let mut kinds: Vec<_> = mirror.iter().map(|event| &*event.kind).collect();
    kinds.sort_unstable();
    // What was held back, only shown, or failed has not run, and what runs by itself is nobody's doing.
    let ran = ["mirror.ran"; 4];
    assert_eq!(
        kinds,
        [&["mirror.accepted", "mirror.failed", "mirror.held"][..], &ran, &["mirror.recovered"]].concat()
    );
    let of = |kind: &str| mirror.iter().find(|event| event.kind == kind).expect("told");
    assert_eq!((&*of("mirror.accepted").actor.kind, &*of("mirror.ran").actor.kind), ("owner", "owner"));
    let first = &of("mirror.ran").details;
    assert_eq!((&first["downloaded"], &first["uploaded"]), (&1.into(), &1.into()));
    assert_eq!(of("mirror.failed").details["cause"], "folder_missing");
    assert_eq!(of("mirror.held").details["why"], of("mirror.accepted").details["why"]);
    assert!(mirror.iter().all(|event| event.client.as_deref() == Some("main")));
}

#[actix_web::test]
async fn what_was_recorded_is_there_after_a_restart_and_ids_go_on() {
    let locum = TestLocum::start().await;
    locum.state.events.started().await;
    let locum = locum.restart().await;
    locum.state.events.started().await;
    let events = told(&locum).await;
    assert_eq!(kinds(&events), ["locum.started", "locum.started"]);
    assert_eq!((&*events[0].id, &*events[1].id), ("1", "2"));
}

/// The kinds in the log of a running server, oldest first.
async fn log_of(base: &str, key: &str) -> Vec<String> {
    let answer = get(base, "/v1/events?format=jsonl", key).await;
    assert_eq!(answer.status, 200, "{}", words(&answer));
    let text = String::from_utf8(answer.body.to_vec()).expect("UTF-8");
    let kind = |line: &str| {
        let event: serde_json::Value = serde_json::from_str(line).expect("JSON");
        event["kind"].as_str().expect("a kind").to_owned()
    };
    text.lines().map(kind).collect()
}

#[actix_web::test]
async fn kill_9_loses_nothing_that_the_owner_did() {
    let google = Google::start();
    let folder = Folder::configured(&google, "");
    let server = folder.serve();
    let made =
        folder.run(&["--json", "key", "create", "watch", "--allow", "events:read", "--user", "all"]).json(0);
    let key = made["key"].as_str().expect("a key");
    folder.run(&["--json", "key", "create", "other", "--allow", "events:read", "--user", "all"]).json(0);
    // At once: what was acknowledged is on disk.
    server.kill();
    let server = folder.serve();
    assert_eq!(
        log_of(server.base(), key).await,
        ["locum.started", "key.created", "key.created", "locum.started"],
        "no word of a stop"
    );
    server.stop();
    let server = folder.serve();
    let log = log_of(server.base(), key).await;
    assert_eq!(log[4..], ["locum.stopped", "locum.started"]);
}
