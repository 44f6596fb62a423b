//! The queue and its bounds, the feed's patience, and the documents.

use std::time::Duration;

use super::*;
use crate::config::Environment;
use crate::rng::Rng;
use crate::secret::SecretKey;
use crate::vault::{RootSecret, VaultSettings};

const START: Timestamp = Timestamp::from_unix(1_795_368_972);

struct Log {
    events: Events,
    clock: Clock,
    lifecycle: Lifecycle,
    directory: tempfile::TempDir,
}

async fn log() -> Log {
    let directory = tempfile::tempdir().expect("a directory");
    let clock = Clock::manual(START);
    let settings = VaultSettings {
        path: directory.path().join("locum.db"),
        root: RootSecret::Key(SecretKey::new([1; 32])),
        issuer: "https://accounts.google.com".into(),
        readers: 1,
    };
    let vault = Vault::open(settings, clock.clone(), Rng::seeded(1)).expect("a vault");
    let text = format!(
        "allow_users = \"anyone\"\n[vault]\nroot_key = \"{}\"\n[events]\nretention = \"2d\"\n[[clients]]\nname = \"main\"\n\
         client_id = \"1-a.apps.googleusercontent.com\"\nclient_secret = \"s\"\nsources = [\"ios\"]\n",
        "01".repeat(32)
    );
    let environment = Environment::given(directory.path(), Vec::<(String, String)>::new());
    let config = Config::parse(&text, &directory.path().join("locum.toml"), &environment);
    let config = Arc::new(config.expect("a configuration").config);
    let lifecycle = Lifecycle::new();
    let events = Events::load(config, vault, clock.clone(), Metrics::new(), lifecycle.clone());
    Log { events: events.await.expect("read"), clock, lifecycle, directory }
}

fn started() -> NewEvent {
    NewEvent::new(Kind::LocumStarted, &Actor::locum())
}

async fn count(log: &Log) -> usize {
    log.events.page(&Reading::default(), 0, i64::MAX, 1_000_000).await.expect("readable").events.len()
}

#[tokio::test]
async fn a_full_queue_loses_what_comes_and_says_so() {
    let log = log().await;
    for _ in 0..QUEUE + 7 {
        log.events.note(started());
    }
    assert_eq!(log.events.waiting().lost, 7);
    assert!(log.events.0.metrics.render().contains("\nlocum_events_lost_total 7\n"));
    assert_eq!(count(&log).await, 0);
    log.events.step().await.expect("written");
    assert_eq!(count(&log).await, QUEUE);
    assert_eq!(log.events.waiting().lost, 0);
    log.events.note(started());
    log.events.step().await.expect("written");
    assert_eq!(count(&log).await, QUEUE + 1);
}

#[tokio::test]
async fn what_cannot_be_written_waits_and_comes_in_its_order() {
    let log = log().await;
    log.events.note(started());
    log.events.0.vault.close().await;
    assert!(log.events.step().await.is_err());
    log.events.record(NewEvent::new(Kind::KeyCreated, &Actor::locum())).await;
    let waiting = log.events.waiting();
    let kinds: Vec<_> = waiting.events.iter().map(|event| &*event.kind).collect();
    assert_eq!(kinds, ["locum.started", "key.created"]);
}

#[tokio::test]
async fn a_stop_writes_what_was_noted_and_tells_of_itself_if_the_start_was_told() {
    let log = log().await;
    log.events.note(started());
    log.events.close().await;
    assert_eq!(count(&log).await, 1);
    log.events.started().await;
    log.events.note(NewEvent::new(Kind::KeyCreated, &Actor::locum()));
    log.events.close().await;
    let page = log.events.page(&Reading::default(), 0, i64::MAX, 10).await.expect("readable");
    let kinds: Vec<_> = page.events.iter().map(|event| &*event.kind).collect();
    assert_eq!(kinds, ["locum.stopped", "key.created", "locum.started", "locum.started"]);
}

#[tokio::test]
async fn old_events_go() {
    let log = log().await;
    log.events.record(started()).await;
    log.clock.advance(Duration::from_secs(2 * 86_400));
    log.events.record(started()).await;
    log.events.purge_step().await.expect("purged");
    assert_eq!(count(&log).await, 2);
    log.clock.advance(Duration::from_secs(1));
    log.events.purge_step().await.expect("purged");
    assert_eq!(count(&log).await, 1);
}

#[tokio::test]
async fn strangers_are_told_of_once_a_minute() {
    let log = log().await;
    let refused = || NewEvent::new(Kind::DashboardRefused, &Actor::user(None));
    for _ in 0..100 {
        log.events.note_seldom(refused());
    }
    log.clock.advance(Duration::from_secs(60));
    log.events.note_seldom(refused());
    log.clock.set(START);
    log.events.note_seldom(refused());
    log.events.step().await.expect("written");
    assert_eq!(count(&log).await, 3);
}

#[tokio::test(start_paused = true)]
async fn a_feed_says_that_it_is_still_there_and_ends_with_locum() {
    let log = log().await;
    let mut feed = log.events.feed(Reading::default(), None, None).expect("a place");
    let before = tokio::time::Instant::now();
    assert_eq!(feed.next().await, Ok(Some(Fed::Quiet)));
    assert_eq!(before.elapsed(), Duration::from_secs(15));
    log.events.record(started()).await;
    assert!(matches!(feed.next().await, Ok(Some(Fed::Event(event))) if event.id == "1"));
    // Behind an id that is yet to come nothing is hidden.
    let mut ahead = log.events.feed(Reading::default(), Some(500), None).expect("a place");
    log.events.record(started()).await;
    assert!(matches!(ahead.next().await, Ok(Some(Fed::Event(event))) if event.id == "2"));
    log.lifecycle.begin_stop();
    assert!(matches!(feed.next().await, Ok(None)));
}

#[tokio::test]
async fn nothing_personal_is_printed_or_kept_in_clear() {
    let log = log().await;
    let actor =
        Actor::owner(Via::Dashboard, Some("needle@example.org".into()), Some([203, 0, 113, 77].into()));
    let event = NewEvent::new(Kind::AppDataWritten, &actor).path("needle/path");
    let printed = format!("{event:?}");
    log.events.record(event).await;
    let page = log.events.page(&Reading::default(), 0, i64::MAX, 10).await.expect("readable");
    let event = &page.events[0];
    assert_eq!(event.actor.name.as_deref(), Some("needle@example.org"));
    assert_eq!(event.from, Some([203, 0, 113, 77].into()));
    assert_eq!(event.details["path"], "needle/path");
    let printed = format!("{printed} {page:?} {actor:?}");
    assert!(!printed.contains("needle") && !printed.contains("203.0"), "{printed}");
    for entry in std::fs::read_dir(log.directory.path()).expect("a folder") {
        let bytes = std::fs::read(entry.expect("an entry").path()).expect("readable");
        assert!(!bytes.windows(6).any(|window| window == b"needle"));
    }
}

#[test]
fn the_documents_name_every_kind_and_no_other() {
    let page = include_str!("../../docs/events.md");
    let mut rows = page.lines().filter(|line| line.starts_with("| `") && line.matches(" | ").count() >= 3);
    for kind in Kind::ALL {
        let row = rows.next().unwrap_or_default();
        let expected = format!("| `{}` | {} | {} |", kind.code(), kind.severity().code(), kind.words());
        assert!(row.starts_with(&expected), "docs/events.md should say {expected}, and says {row}");
        assert_eq!(Kind::from_code(kind.code()), Some(*kind));
    }
    assert_eq!(rows.next(), None);
}

#[test]
fn every_state_of_a_grant_is_told_of_but_the_one_that_is_asked_for() {
    use crate::grant::{BlockCause, ConsentCause, DeathCause, SuspendCause};
    for (state, kind) in [
        (GrantState::Active, Some(Kind::GrantRevived)),
        (GrantState::NeedsConsent(ConsentCause::ReauthRequired), Some(Kind::GrantNeedsConsent)),
        (GrantState::Dead(DeathCause::Rejected), Some(Kind::GrantDied)),
        (GrantState::Blocked(BlockCause::AdminPolicy), Some(Kind::GrantBlocked)),
        (GrantState::Suspended(SuspendCause::Hijacking), Some(Kind::GrantSuspended)),
        (GrantState::Revoking, None),
    ] {
        assert_eq!(Kind::of_state(state), kind);
    }
}
