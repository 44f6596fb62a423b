//! Good days and bad ones, each by itself.

use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::fake::Fault;
use super::*;
use crate::vault::MirrorStage;

/// A mirror with a Drive, both sides in agreement on `a`, `d/b` and `d/c`.
struct Day {
    home: Home,
    drive: FakeDrive,
    target: Target,
}

const DRY: RunOptions = RunOptions { dry_run: true, accept: false };
const RUN: RunOptions = RunOptions { dry_run: false, accept: false };
const ACCEPT: RunOptions = RunOptions { dry_run: false, accept: true };

impl Day {
    async fn new(direction: Direction) -> Self {
        let home = Home::new().await;
        let target = home.target("mirror", direction);
        let day = Self { home, drive: FakeDrive::new(), target };
        for (path, content) in [("a", "one"), ("d/b", "two"), ("d/c", "three")] {
            day.drive.world().put(path, content.as_bytes());
            day.write(path, content);
        }
        let report = day.run(ACCEPT).await;
        assert_eq!((report.planned.len(), report.is_complete()), (0, true), "{report:?}");
        day.drive.take_requests();
        day
    }

    fn path(&self, path: &str) -> PathBuf {
        self.target.folder.join(path)
    }

    fn write(&self, path: &str, content: &str) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, content).expect("written");
    }

    fn remove(&self, path: &str) {
        std::fs::remove_file(self.path(path)).expect("removed");
    }

    fn mirrors(&self) -> Mirrors {
        self.home.mirrors(Hook::default())
    }

    async fn try_run(&self, options: RunOptions) -> Result<Report, MirrorError> {
        self.mirrors().run(&self.target, &self.drive, options).await
    }

    async fn run(&self, options: RunOptions) -> Report {
        self.try_run(options).await.expect("a report")
    }

    /// The paths here, and that both sides hold the same.
    fn agree(&self) -> Vec<String> {
        let here = tree(&self.target.folder);
        assert_eq!(Some(&here), self.drive.world().tree().as_ref());
        here.into_keys().collect()
    }

    async fn kept(&self) -> Vec<String> {
        let mut kept: Vec<_> = kept(&self.home, &self.target)
            .await
            .into_iter()
            .map(|content| String::from_utf8(content).expect("UTF-8"))
            .collect();
        kept.sort();
        kept
    }
}

fn problems(report: &Report) -> Vec<(&str, &Matter)> {
    report.problems.iter().map(|problem| (&*problem.path, &problem.matter)).collect()
}

use Direction::{Both, Pull, Push};

#[tokio::test]
async fn both_sides_come_together_and_a_quiet_run_asks_twice() {
    let day = Day::new(Both).await;
    day.write("new/file", "four");
    day.write("d/b", "two, changed");
    day.remove("a");
    day.drive.world().put("theirs", b"five");
    day.drive.world().put("d/c", b"three, changed");
    let report = day.run(RUN).await;
    assert!(report.is_complete(), "{report:?}");
    assert_eq!(day.agree(), ["d", "d/b", "d/c", "new", "new/file", "theirs"]);
    assert_eq!(day.kept().await, ["one", "three", "two"]);
    let done = report.done;
    assert_eq!((done.uploaded, done.downloaded, done.deleted_at_drive, done.folders), (2, 2, 1, 1));
    assert_eq!((done.uploaded_bytes, done.downloaded_bytes), (4 + 12, 4 + 14));
    day.drive.take_requests();
    for _ in 0..2 {
        let report = day.run(RUN).await;
        assert!(report.planned.is_empty() && report.is_complete(), "{report:?}");
        assert_eq!(day.drive.take_requests(), ["root", "changes"]);
    }
    let counted = day.home.metrics.render();
    assert!(counted.contains("locum_mirror_runs_total{outcome=\"complete\"} 4"), "{counted}");
    let (mirror, last) = day.mirrors().state(&day.target).await.expect("read").expect("there");
    assert_eq!((mirror.stage, mirror.last_ok_at), (MirrorStage::Settled, Some(START)));
    assert_eq!(last.expect("numbers").files, 4);
}

#[tokio::test]
async fn a_folder_on_another_disk_than_the_vault_is_kept_by_copies() {
    let mut day = Day::new(Both).await;
    // Where the two are one disk, this tries the same as the tests before.
    let elsewhere = tempfile::tempdir().expect("a folder");
    day.target.folder = elsewhere.path().join("mirror");
    day.target.project = "elsewhere".into();
    std::fs::create_dir(&day.target.folder).expect("a folder");
    assert!(day.run(ACCEPT).await.is_complete());
    day.drive.world().put("a", b"one, changed");
    let gone = day.drive.world().find("d/b").expect("there");
    day.drive.world().delete(&gone);
    assert!(day.run(RUN).await.is_complete());
    assert_eq!(day.agree(), ["a", "d", "d/c"]);
    assert_eq!(day.kept().await, ["one", "two"]);
    // And what somebody changes in the very moment is neither kept as what it was not, nor lost.
    let path = day.path("d/c");
    day.drive.world().put("d/c", b"three, changed");
    let hook = Hook::new(move |next| {
        if next == "keep local" {
            std::fs::write(&path, "edited").expect("written");
        }
        Box::pin(async {})
    });
    let report = day.home.mirrors(hook).run(&day.target, &day.drive, RUN).await.expect("a report");
    assert_eq!(problems(&report), [("d/c", &Matter::Changed)]);
    assert!(day.run(RUN).await.is_complete());
    assert_eq!(day.agree().len(), 4);
}

#[tokio::test]
async fn a_first_sync_of_many_files_asks_no_more_than_it_must() {
    let home = Home::new().await;
    let target = home.target("mirror", Both);
    let drive = FakeDrive::new();
    for n in 0..1500 {
        std::fs::create_dir_all(target.folder.join(format!("here{}", n % 3))).expect("a folder");
        std::fs::write(target.folder.join(format!("here{}/{n}", n % 3)), n.to_string()).expect("written");
        drive.world().put(&format!("there{}/{n}", n % 2), format!("r{n}").as_bytes());
    }
    let report = home.mirrors(Hook::default()).run(&target, &drive, ACCEPT).await.expect("a report");
    assert!(report.is_complete(), "{report:?}");
    let requests = drive.take_requests();
    let count = |what: &str| requests.iter().filter(|request| **request == what).count();
    let counts = ["root", "start", "list", "changes", "ids", "folder", "create", "download"].map(count);
    assert_eq!(counts, [1, 1, 2, 1, 2, 3, 1500, 1500]);
    assert_eq!(requests.len(), counts.iter().sum::<usize>());
    assert_eq!(Some(tree(&target.folder)), drive.world().tree());
    // What the next run learns of its own changes asks for nothing more.
    let report = home.mirrors(Hook::default()).run(&target, &drive, RUN).await.expect("a report");
    assert!(report.planned.is_empty(), "{report:?}");
    assert_eq!(drive.take_requests().iter().filter(|request| **request != "changes").count(), 1);
}

#[tokio::test]
async fn the_first_run_in_both_directions_is_shown_and_asks() {
    let home = Home::new().await;
    let target = home.target("mirror", Both);
    let drive = FakeDrive::new();
    drive.world().put("theirs", b"one");
    std::fs::write(target.folder.join("ours"), "two").expect("written");
    let mirrors = home.mirrors(Hook::default());
    let dry = mirrors.run(&target, &drive, DRY).await.expect("a report");
    assert_eq!((dry.planned.len(), dry.held, dry.dry_run), (2, Some(Held::FirstSync), true));
    assert_eq!(std::fs::read_dir(&target.folder).expect("a folder").count(), 1, "not even a marker");
    let held = mirrors.run(&target, &drive, RUN).await.expect("a report");
    assert_eq!((held.planned.len(), held.held, held.done), (2, Some(Held::FirstSync), Done::default()));
    assert_eq!(tree(&target.folder).len(), 1);
    let (mirror, _) = mirrors.state(&target).await.expect("read").expect("there");
    assert_eq!(mirror.held.as_deref(), Some("first_sync"));
    // An accepted run that was cut short goes on without asking again.
    drive.fail(|request| {
        (request == "create").then_some(Fault::Before(RemoteError::TryLater { after: Duration::ZERO }))
    });
    let cut = mirrors.run(&target, &drive, ACCEPT).await.expect("a report");
    assert_eq!(cut.stopped, Some(Stop::TryLater { after: Duration::ZERO }));
    drive.fail(|_| None);
    let report = mirrors.run(&target, &drive, RUN).await.expect("a report");
    assert!(report.is_complete(), "{report:?}");
    assert_eq!(Some(tree(&target.folder)), drive.world().tree());
    let (mirror, _) = mirrors.state(&target).await.expect("read").expect("there");
    assert_eq!((mirror.stage, mirror.held), (MirrorStage::Settled, None));
}

#[tokio::test]
async fn a_pull_never_writes_and_keeps_the_last_version_for_ever() {
    let mut day = Day::new(Pull).await;
    day.write("a", "ours");
    day.write("extra", "more");
    day.remove("d/b");
    day.drive.world().put("a", b"theirs");
    let gone = day.drive.world().find("d/c").expect("there");
    day.drive.world().delete(&gone);
    let report = day.run(RUN).await;
    assert_eq!((report.done.conflicts, report.done.deleted_here), (1, 1), "{report:?}");
    let here = tree(&day.target.folder);
    assert_eq!(here["a"].as_deref(), Some(b"theirs".as_slice()));
    assert_eq!(here["a (conflict 2026-11-22 17.36.12)"].as_deref(), Some(b"ours".as_slice()));
    assert_eq!(here["d/b"].as_deref(), Some(b"two".as_slice()));
    assert!(here.contains_key("extra") && !here.contains_key("d/c"));
    let writes = ["create", "update", "delete", "folder", "relocate", "ids"];
    assert!(!day.drive.take_requests().iter().any(|request| writes.contains(request)));
    assert!(day.run(RUN).await.planned.is_empty());
    // Neither age nor size ends it.
    day.target.retention = Retention { age: Duration::from_secs(1), bytes: 0 };
    day.home.clock.advance(Duration::from_secs(1_000_000_000));
    assert_eq!(day.run(RUN).await.expired, 0);
    let versions = day.mirrors().versions(&day.target).await.expect("read");
    assert_eq!(
        versions.iter().map(|version| (&*version.path, &*version.why)).collect::<Vec<_>>(),
        [("d/c", "gone_at_drive")]
    );
}

#[tokio::test]
async fn a_push_never_writes_here() {
    let day = Day::new(Push).await;
    day.write("a", "ours");
    day.drive.world().put("a", b"theirs");
    day.drive.world().put("extra", b"more");
    day.drive.world().put("d/b", b"changed there");
    day.remove("d/c");
    let before = tree(&day.target.folder);
    let report = day.run(RUN).await;
    assert_eq!((report.done.uploaded, report.done.deleted_at_drive), (2, 1), "{report:?}");
    assert_eq!(tree(&day.target.folder), before);
    let there = day.drive.world().tree().expect("no duplicates");
    assert_eq!(there["d/b"].as_deref(), Some(b"two".as_slice()));
    assert!(there.contains_key("extra"));
    assert_eq!(day.kept().await, ["changed there", "theirs", "three"]);
}

#[tokio::test]
async fn a_folder_that_is_missing_empty_or_anothers_is_never_read_as_deletions() {
    let mut day = Day::new(Both).await;
    let (here, away) = (day.target.folder.clone(), day.target.folder.with_extension("away"));
    std::fs::rename(&here, &away).expect("moved");
    for options in [RUN, ACCEPT, DRY] {
        assert_eq!(day.try_run(options).await, Err(MirrorError::FolderMissing(here.clone())));
    }
    // The mount point without its disk.
    std::fs::create_dir(&here).expect("a folder");
    for options in [RUN, DRY] {
        assert_eq!(day.try_run(options).await, Err(MirrorError::NoMarker(here.clone())));
    }
    assert_eq!(std::fs::read_dir(&here).expect("a folder").count(), 0);
    let words = MirrorError::NoMarker(here.clone()).to_string();
    assert!(words.contains("not mounted") && words.contains("--accept"), "{words}");
    // The marker of another mirror, or none at all behind its name.
    for marker in ["locum-mirror somebody-elses\n", "", "nonsense"] {
        std::fs::write(here.join(".locum-mirror"), marker).expect("written");
        for options in [RUN, ACCEPT, DRY] {
            assert_eq!(day.try_run(options).await, Err(MirrorError::OtherMirror(here.clone())));
        }
    }
    assert_eq!(day.drive.world().tree().expect("no duplicates").len(), 4);
    assert_eq!(day.drive.take_requests(), [] as [&str; 0]);
    // A person takes the empty folder for a new start: everything comes, nothing goes.
    std::fs::remove_file(here.join(".locum-mirror")).expect("removed");
    let report = day.run(ACCEPT).await;
    assert_eq!((report.done.downloaded, report.done.deleted_at_drive), (3, 0));
    assert_eq!(day.agree().len(), 4);
    // The folder that was away knows another state, and is another one from now on.
    let new = here.with_extension("new");
    std::fs::rename(&here, &new).expect("moved");
    std::fs::rename(&away, &here).expect("moved back");
    assert_eq!(day.try_run(RUN).await, Err(MirrorError::OtherMirror(here.clone())));
    std::fs::remove_dir_all(&here).expect("removed");
    std::fs::rename(&new, &here).expect("moved back");
    assert!(day.run(RUN).await.is_complete());
    day.target.folder = here.join("a");
    assert!(matches!(day.try_run(RUN).await, Err(MirrorError::BadFolder { .. })), "a file");
}

#[tokio::test]
async fn a_folder_must_lie_where_a_mirror_can() {
    let day = Day::new(Both).await;
    std::fs::create_dir(day.home.data().join("inside")).expect("a folder");
    symlink(day.home.data(), day.home.directory.path().join("link")).expect("a link");
    for (folder, words) in [
        (PathBuf::from("relative"), "absolute"),
        (PathBuf::from("/"), "root of the file system"),
        (day.home.data().join("inside"), "vault's folder"),
        (day.home.directory.path().join("link/inside"), "vault's folder"),
        (day.home.directory.path().to_owned(), "vault's folder"),
        (day.path("d"), "another mirror"),
    ] {
        let target = Target { folder, project: "other".into(), ..day.target.clone() };
        let error = day.mirrors().run(&target, &day.drive, RUN).await.expect_err("refused");
        assert!(error.to_string().contains(words), "{error}");
    }
    // A mirror that was made inside of this one afterwards is left alone.
    day.write("d/.locum-mirror", "locum-mirror x");
    let report = day.run(RUN).await;
    assert_eq!(problems(&report), [("d", &Matter::OtherMirror)]);
    assert!(report.planned.is_empty());
}

#[tokio::test]
async fn deletions_beyond_a_few_wait_for_a_person() {
    let day = Day::new(Both).await;
    for path in ["a", "d/b", "d/c"] {
        day.remove(path);
    }
    for _ in 0..2 {
        let report = day.run(RUN).await;
        assert_eq!(report.held, Some(Held::Empties { side: Side::Remote, of: 3 }));
        assert_eq!(report.done, Done::default());
        assert_eq!(day.drive.world().tree().expect("no duplicates").len(), 4);
    }
    let (mirror, _) = day.mirrors().state(&day.target).await.expect("read").expect("there");
    assert_eq!(mirror.held.as_deref(), Some("empties"));
    let report = day.run(ACCEPT).await;
    assert_eq!(report.done.deleted_at_drive, 3, "{report:?}");
    assert_eq!(day.agree(), ["d"]);
    assert_eq!(day.kept().await, ["one", "three", "two"]);
    let (mirror, _) = day.mirrors().state(&day.target).await.expect("read").expect("there");
    assert_eq!(mirror.held, None);
}

#[tokio::test]
async fn another_app_data_folder_is_a_first_sync_without_deletions() {
    for direction in [Both, Pull] {
        let day = Day::new(direction).await;
        {
            let mut world = day.drive.world();
            // The person disconnected the app at Google and connected again: everything there is gone.
            world.root = "root-2".parse().expect("an id");
            world.files.clear();
            world.put("theirs", b"new");
        }
        let report = day.run(RUN).await;
        if direction == Both {
            assert_eq!((report.held, report.done), (Some(Held::FirstSync), Done::default()));
            assert!(day.run(ACCEPT).await.is_complete());
            assert_eq!(day.agree().len(), 5);
        } else {
            assert_eq!((report.done.downloaded, report.done.deleted_here), (1, 0), "{report:?}");
            assert_eq!(tree(&day.target.folder).len(), 5);
        }
        assert!(day.run(RUN).await.planned.is_empty());
        assert_eq!(day.kept().await, [] as [&str; 0]);
    }
}

#[tokio::test]
async fn another_direction_starts_over_without_deletions() {
    let mut day = Day::new(Pull).await;
    day.write("extra", "ours");
    day.remove("a");
    day.target.direction = Both;
    assert_eq!(day.run(RUN).await.held, Some(Held::FirstSync));
    let report = day.run(ACCEPT).await;
    assert_eq!((report.done.uploaded, report.done.downloaded, report.done.deleted_at_drive), (1, 1, 0));
    assert_eq!(day.agree().len(), 5);
}

#[tokio::test]
async fn a_refused_page_token_means_a_whole_listing() {
    let day = Day::new(Both).await;
    day.drive.world().put("new", b"four");
    let gone = day.drive.world().find("a").expect("there");
    day.drive.world().delete(&gone);
    let first = AtomicUsize::new(0);
    day.drive.fail(move |request| {
        (request == "changes" && first.fetch_add(1, Ordering::SeqCst) == 0)
            .then_some(Fault::Before(RemoteError::PageTokenRefused))
    });
    let report = day.run(RUN).await;
    assert!(report.is_complete(), "{report:?}");
    let requests = day.drive.take_requests();
    // Twice, since something is missing that was there: see the next test.
    assert_eq!(requests[..6], ["root", "changes", "start", "list", "list", "changes"]);
    assert_eq!(day.agree(), ["d", "d/b", "d/c", "new"]);
    assert_eq!(day.run(RUN).await.planned, []);
}

#[tokio::test]
async fn what_falls_between_the_pages_of_a_listing_is_not_taken_for_deleted() {
    for hidden in ["a", "d"] {
        let day = Day::new(Both).await;
        let first = AtomicUsize::new(0);
        day.drive.fail(move |request| {
            (request == "changes" && first.fetch_add(1, Ordering::SeqCst) == 0)
                .then_some(Fault::Before(RemoteError::PageTokenRefused))
        });
        let file = day.drive.world().find(hidden);
        day.drive.world().hidden = file;
        let report = day.run(RUN).await;
        assert!(report.planned.is_empty() && report.is_complete(), "{hidden}: {report:?}");
        assert_eq!(day.agree(), ["a", "d", "d/b", "d/c"]);
    }
}

#[tokio::test]
async fn what_goes_under_our_feet_stops_nothing_else() {
    let day = Day::new(Both).await;
    let there = day.drive.world().put("gone", b"four");
    day.drive.world().put("stays", b"five");
    day.write("d/b", "two, changed");
    // Deleted between the listing and the download.
    let drive = day.drive.clone();
    let hook = Hook::new(move |next| {
        if next == "scan" {
            drive.world().delete(&there);
            let updated = drive.world().find("d/b").expect("there");
            drive.world().delete(&updated);
        }
        Box::pin(async {})
    });
    let report = day.home.mirrors(hook).run(&day.target, &day.drive, RUN).await.expect("a report");
    assert_eq!(problems(&report), [("d/b", &Matter::Changed), ("gone", &Matter::Changed)]);
    assert_eq!(report.done.downloaded, 1);
    assert!(day.run(RUN).await.is_complete());
    assert_eq!(day.agree(), ["a", "d", "d/b", "d/c", "stays"]);
}

#[tokio::test]
async fn one_refused_file_does_not_stop_the_others() {
    let day = Day::new(Both).await;
    for n in 0..20 {
        day.write(&format!("new/{n}"), &n.to_string());
    }
    let count = AtomicUsize::new(0);
    day.drive.fail(move |request| {
        (request == "create" && count.fetch_add(1, Ordering::SeqCst) == 7)
            .then(|| Fault::Before(RemoteError::Refused("no".into())))
    });
    let report = day.run(RUN).await;
    assert_eq!((report.done.uploaded, report.problems.len(), &report.stopped), (19, 1, &None));
    assert!(report.problems[0].to_string().contains("Drive refuses: no"), "{}", report.problems[0]);
    assert_eq!(day.run(RUN).await.done.uploaded, 1);
    day.agree();
}

#[tokio::test]
async fn a_file_that_is_refused_time_and_again_does_not_fill_the_store() {
    let day = Day::new(Both).await;
    day.write("a", "one, changed");
    day.drive.fail(|request| (request == "update").then(|| Fault::Before(RemoteError::Refused("no".into()))));
    for _ in 0..3 {
        assert_eq!(day.run(RUN).await.problems.len(), 1);
        assert_eq!(day.kept().await, ["one"]);
    }
    // What is kept under this name already is no reason not to look at what Drive has now.
    day.drive.fail(|_| None);
    let drive = day.drive.clone();
    let hook = Hook::new(move |next| {
        if next == "scan" {
            drive.world().put("a", b"one, changed there");
        }
        Box::pin(async {})
    });
    let report = day.home.mirrors(hook).run(&day.target, &day.drive, RUN).await.expect("a report");
    assert_eq!(problems(&report), [("a", &Matter::Changed)]);
    assert!(day.run(RUN).await.is_complete());
    assert_eq!(day.agree().len(), 5, "both versions");
}

#[tokio::test]
async fn an_outage_a_full_account_or_a_lost_consent_stops_the_run_and_says_what_to_do() {
    let later = Duration::from_secs(30);
    for (error, stop, words) in [
        (RemoteError::TryLater { after: later }, Stop::TryLater { after: later }, "next run goes on"),
        (RemoteError::Full, Stop::RemoteFull, "free some space"),
        (
            RemoteError::NeedsPerson("consent, please".into()),
            Stop::NeedsPerson("consent, please".into()),
            "please",
        ),
    ] {
        let day = Day::new(Both).await;
        for n in 0..20 {
            day.write(&format!("new/{n:02}"), &n.to_string());
        }
        let (count, failing) = (AtomicUsize::new(0), error.clone());
        day.drive.fail(move |request| {
            (request == "create" && count.fetch_add(1, Ordering::SeqCst) >= 7)
                .then(|| Fault::Before(failing.clone()))
        });
        let report = day.run(RUN).await;
        assert_eq!(report.stopped.as_ref(), Some(&stop));
        assert!(stop.to_string().contains(words) && !report.is_complete());
        assert_eq!(report.done.uploaded, 7);
        assert!(day.drive.take_requests().iter().filter(|r| **r == "create").count() <= 11);
        // An error before there is a plan is the whole outcome.
        let failing = error.clone();
        day.drive.fail(move |_| Some(Fault::Before(failing.clone())));
        assert_eq!(day.try_run(RUN).await, Err(MirrorError::Remote(error)));
        day.drive.fail(|_| None);
        assert!(day.run(RUN).await.is_complete());
        assert_eq!(day.agree().len(), 25);
    }
}

#[tokio::test]
async fn an_answer_that_was_lost_is_no_second_file() {
    let day = Day::new(Both).await;
    day.write("new", "four");
    day.write("a", "one, changed");
    day.drive.world().lag = 3;
    day.drive.fail(|request| {
        ["create", "update"]
            .contains(&request)
            .then_some(Fault::After(RemoteError::TryLater { after: Duration::ZERO }))
    });
    assert!(day.run(RUN).await.stopped.is_some());
    day.drive.fail(|_| None);
    day.drive.world().lag = 0;
    let report = day.run(RUN).await;
    assert!(report.is_complete() && report.done.conflicts == 0, "{report:?}");
    assert_eq!(day.agree(), ["a", "d", "d/b", "d/c", "new"]);
}

#[tokio::test]
async fn a_feed_that_lags_is_no_deletion() {
    let day = Day::new(Both).await;
    day.drive.world().lag = 100;
    day.write("new", "four");
    assert!(day.run(RUN).await.is_complete());
    let report = day.run(RUN).await;
    assert!(report.planned.is_empty(), "{report:?}");
    day.agree();
}

#[tokio::test]
async fn a_full_disk_stops_the_run_and_leaves_nothing_half_done() {
    let day = Day::new(Both).await;
    assert!(Stop::LocalFull.to_string().contains("free some space"));
    day.drive.world().put("big", &vec![7; 100_000]);
    day.drive.world().put("small", b"x");
    day.drive.world().disk = 1000;
    let report = day.run(RUN).await;
    assert_eq!(report.stopped, Some(Stop::LocalFull), "{report:?}");
    day.drive.world().disk = usize::MAX;
    assert!(!day.path("big").exists());
    assert_eq!(std::fs::read_dir(day.path(".locum-mirror.d")).expect("a folder").count(), 0);
    assert!(day.run(RUN).await.is_complete());
    assert_eq!(day.agree().len(), 6);
}

#[tokio::test]
async fn links_and_special_files_are_reported_and_never_followed() {
    let day = Day::new(Both).await;
    let outside = day.home.directory.path().join("outside");
    std::fs::create_dir(&outside).expect("a folder");
    std::fs::write(outside.join("secret"), "not yours").expect("written");
    symlink(&outside, day.path("link")).expect("a link");
    symlink(outside.join("secret"), day.path("file-link")).expect("a link");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        day.path("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .expect("a pipe");
    let not_utf8 = std::os::unix::ffi::OsStrExt::from_bytes(b"bad\xff");
    std::fs::write(day.target.folder.join::<&std::ffi::OsStr>(not_utf8), "x").expect("written");
    // A folder at Drive by the name of the link.
    day.drive.world().put("link/secret", b"theirs");
    let report = day.run(RUN).await;
    assert_eq!(
        problems(&report),
        [
            ("bad\u{fffd}", &Matter::NotUtf8),
            ("file-link", &Matter::SymbolicLink),
            ("link", &Matter::SymbolicLink),
            ("pipe", &Matter::Special),
        ]
    );
    assert_eq!(std::fs::read(outside.join("secret")).expect("readable"), b"not yours");
    assert!(report.planned.is_empty(), "{report:?}");
}

#[tokio::test]
async fn a_folder_swapped_for_a_link_leads_nowhere() {
    let day = Day::new(Both).await;
    let outside = day.home.directory.path().join("outside");
    std::fs::create_dir(&outside).expect("a folder");
    for name in ["b", "c"] {
        std::fs::write(outside.join(name), "not yours").expect("written");
    }
    day.drive.world().put("d/b", b"two, changed");
    day.drive.world().put("d/new", b"four");
    let gone = day.drive.world().find("d/c").expect("there");
    day.drive.world().delete(&gone);
    let (folder, link) = (day.path("d"), outside.clone());
    let hook = Hook::new(move |next| {
        if next == "temporary" && !folder.is_symlink() {
            std::fs::rename(&folder, folder.with_extension("moved")).expect("moved");
            symlink(&link, &folder).expect("a link");
        }
        Box::pin(async {})
    });
    let report = day.home.mirrors(hook).run(&day.target, &day.drive, RUN).await.expect("a report");
    assert_eq!(report.problems.len(), 3, "{report:?}");
    assert_eq!(tree(&outside).len(), 2);
    assert!(tree(&outside).values().all(|content| content.as_deref() == Some(b"not yours")));
}

#[tokio::test]
async fn what_changes_in_the_very_moment_is_not_lost() {
    // At each of these places another program puts a new file in the place of the one at stake.
    for (place, path) in [
        ("temporary", "a"),
        ("install", "new"),
        ("keep local", "a"),
        ("keep local", "d/b"),
        ("keep local: row", "a"),
        ("keep local: row", "d/b"),
        ("promote", "a"),
        ("exchange", "a"),
        ("take", "d/b"),
    ] {
        let day = Day::new(Both).await;
        day.drive.world().put("a", b"one, changed there");
        day.drive.world().put("new", b"new there");
        let gone = day.drive.world().find("d/b").expect("there");
        day.drive.world().delete(&gone);
        let folder = day.target.folder.clone();
        let edited = std::sync::atomic::AtomicBool::new(false);
        let hook = Hook::new(move |next| {
            if next == place && !edited.swap(true, Ordering::SeqCst) {
                std::fs::write(folder.join("tmp"), "edited").expect("written");
                std::fs::rename(folder.join("tmp"), folder.join(path)).expect("renamed");
            }
            Box::pin(async {})
        });
        let report = day.home.mirrors(hook).run(&day.target, &day.drive, RUN).await.expect("a report");
        assert_eq!(report.problems.iter().filter(|p| p.matter == Matter::Changed).count(), 1, "{place}");
        for _ in 0..2 {
            assert_eq!(day.run(RUN).await.stopped, None);
        }
        day.agree();
        let here = tree(&day.target.folder);
        for content in ["one, changed there", "new there", "edited"] {
            assert!(
                here.values().flatten().any(|found| found == content.as_bytes()),
                "{place} {path}: {content}"
            );
        }
    }
}

#[tokio::test]
async fn what_is_written_into_a_file_that_goes_back_is_not_lost() {
    let day = Day::new(Both).await;
    day.drive.world().put("a", b"one, changed there");
    let path = day.path("a");
    let hook = Hook::new(move |next| {
        match next {
            // Another file in the place of the one at stake, so that the exchange is undone.
            "exchange" => {
                std::fs::write(path.with_extension("new"), "edited").expect("written");
                std::fs::rename(path.with_extension("new"), &path).expect("renamed");
            }
            // And before that, a program writes into what came from Drive, which has the name just now.
            "exchange back" => std::fs::write(&path, "edited again").expect("written"),
            _ => {}
        }
        Box::pin(async {})
    });
    let report = day.home.mirrors(hook).run(&day.target, &day.drive, RUN).await.expect("a report");
    assert_eq!(problems(&report), [("a", &Matter::Changed)]);
    for _ in 0..2 {
        assert!(day.run(RUN).await.stopped.is_none());
    }
    day.agree();
    let here = tree(&day.target.folder);
    for content in ["one, changed there", "edited", "edited again"] {
        assert!(here.values().flatten().any(|found| found == content.as_bytes()), "{content}");
    }
}

#[tokio::test]
async fn a_file_that_comes_back_is_not_deleted_at_drive() {
    let day = Day::new(Both).await;
    let id = day.drive.world().find("a").expect("there");
    day.remove("a");
    let path = day.path("a");
    let hook = Hook::new(move |next| {
        if next == "keep remote: row" {
            std::fs::write(&path, "one").expect("written");
        }
        Box::pin(async {})
    });
    let report = day.home.mirrors(hook).run(&day.target, &day.drive, RUN).await.expect("a report");
    assert_eq!(problems(&report), [("a", &Matter::Changed)]);
    assert!(day.run(RUN).await.is_complete());
    assert_eq!(day.drive.world().find("a"), Some(id));
    assert_eq!(day.agree(), ["a", "d", "d/b", "d/c"]);
}

#[tokio::test]
async fn a_rename_that_fails_is_not_agreed_on() {
    let day = Day::new(Both).await;
    let file = day.drive.world().find("a").expect("there");
    day.drive.world().relocate(&file, "z", None);
    let path = day.path("z");
    let hook = Hook::new(move |next| {
        if next == "rename" {
            std::fs::write(&path, "ours").expect("written");
        }
        Box::pin(async {})
    });
    let report = day.home.mirrors(hook).run(&day.target, &day.drive, RUN).await.expect("a report");
    assert_eq!(problems(&report), [("a", &Matter::Changed)]);
    for _ in 0..2 {
        assert!(day.run(RUN).await.stopped.is_none());
    }
    day.agree();
    let here = tree(&day.target.folder);
    assert_eq!(here["z"].as_deref(), Some(b"one".as_slice()), "Drive's own was not overwritten");
    assert!(here.values().flatten().any(|found| found == b"ours"));
}

#[tokio::test]
async fn a_file_that_is_written_while_it_is_sent_is_sent_again() {
    let day = Day::new(Both).await;
    day.write("a", "first version");
    let path = day.path("a");
    let hook = Hook::new(move |next| {
        if next == "upload" {
            std::fs::write(&path, "second versio").expect("written");
        }
        Box::pin(async {})
    });
    let report = day.home.mirrors(hook).run(&day.target, &day.drive, RUN).await.expect("a report");
    assert_eq!(problems(&report), [("a", &Matter::Changed)]);
    assert!(day.run(RUN).await.is_complete());
    day.agree();
    assert_eq!(tree(&day.target.folder)["a"].as_deref(), Some(b"second versio".as_slice()));
    assert_eq!(tree(&day.target.folder).len(), 4, "no conflict with itself");
}

#[tokio::test]
async fn a_folder_that_got_something_is_not_deleted_at_drive() {
    let day = Day::new(Both).await;
    std::fs::remove_dir_all(day.path("d")).expect("removed");
    let drive = day.drive.clone();
    let hook = Hook::new(move |next| {
        if next == "keep remote: row" && drive.world().find("d/late").is_none() {
            drive.world().put("d/late", b"four");
        }
        Box::pin(async {})
    });
    day.home.mirrors(hook).run(&day.target, &day.drive, RUN).await.expect("a report");
    assert!(day.run(RUN).await.is_complete());
    assert_eq!(day.agree(), ["a", "d", "d/late"]);
}

#[tokio::test]
async fn two_runs_never_overlap() {
    let day = Day::new(Both).await;
    let (reached, arrived) = tokio::sync::mpsc::channel::<()>(1);
    let mut arrived = arrived;
    let hook = Hook::new(move |next| {
        let reached = reached.clone();
        Box::pin(async move {
            if next == "scan" {
                reached.send(()).await.expect("somebody waits");
                std::future::pending::<()>().await;
            }
        })
    });
    let (slow, mirrors) = (day.home.mirrors(hook), day.mirrors());
    {
        let mut first = Box::pin(slow.run(&day.target, &day.drive, RUN));
        tokio::select! {
            _ = &mut first => panic!("it waits for ever"),
            _ = arrived.recv() => {}
        }
        assert_eq!(mirrors.run(&day.target, &day.drive, RUN).await, Err(MirrorError::Busy));
        assert_eq!(mirrors.restore(&day.target, 1, None).await, Err(MirrorError::Busy));
    }
    // A run that is dropped lets go, and what it had queued does not trouble the next one.
    for _ in 0..20 {
        let mut cut = Box::pin(mirrors.run(&day.target, &day.drive, RUN));
        let _ = futures_util::poll!(cut.as_mut());
        drop(cut);
        assert!(patient(&mirrors, &day.target, &day.drive, RUN).await.expect("free again").is_complete());
    }
}

#[tokio::test]
async fn versions_are_listed_restored_and_forgotten() {
    let day = Day::new(Both).await;
    day.write("d/b", "two, changed");
    assert!(day.run(RUN).await.is_complete());
    day.remove("a");
    assert!(day.run(RUN).await.is_complete());
    let mirrors = day.mirrors();
    let versions = mirrors.versions(&day.target).await.expect("read");
    let of = |path: &str| versions.iter().find(|version| version.path == path).expect("kept");
    assert_eq!(versions.len(), 2);
    assert_eq!((&*of("a").why, of("a").size), ("deleted_at_drive", 3));
    assert_eq!((&*of("d/b").why, of("d/b").kept_at), ("replaced_at_drive", START));
    assert!(!format!("{versions:?}").contains("d/b"), "a name in the log");
    let (_, mut file) = mirrors.open_version(&day.target, of("a").id).await.expect("there");
    let mut text = String::new();
    std::io::Read::read_to_string(&mut file, &mut text).expect("readable");
    assert_eq!(text, "one");
    // At its place if that is free, beside what stands there if not.
    let place = mirrors.restore(&day.target, of("a").id, None).await.expect("restored");
    assert_eq!(place.as_str(), "a");
    for expected in ["d/b (restored 2026-11-22 17.36.12)", "d/b (restored 2026-11-22 17.36.12 2)"] {
        let place = mirrors.restore(&day.target, of("d/b").id, None).await.expect("restored");
        assert_eq!(place.as_str(), expected);
    }
    let to = RelPath::parse("x/y").expect("a path");
    mirrors.restore(&day.target, of("d/b").id, Some(&to)).await.expect("restored");
    // Where a file stands in the way, or no run would look, nothing is left behind.
    for to in ["a/below".to_owned(), "x/y/below".to_owned(), format!("{}file", "d/".repeat(129))] {
        let to = RelPath::parse(&to).expect("a path");
        mirrors.restore(&day.target, of("d/b").id, Some(&to)).await.expect_err("no place");
        let private = day.target.folder.join(crate::mirror::path::PRIVATE);
        assert_eq!(std::fs::read_dir(private).expect("a folder").count(), 0);
        assert!(!day.target.folder.join("d/d").exists());
    }
    assert!(day.run(RUN).await.is_complete());
    assert_eq!(day.agree().len(), 8);
    assert_eq!(mirrors.restore(&day.target, 1, None).await, Err(MirrorError::NotFound("version")));

    // Nobody else can look into the store.
    use std::os::unix::fs::PermissionsExt as _;
    let stores = day.home.data().join("versions");
    let mode = stores.metadata().expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    mirrors.forget(day.home.user, Some("another")).await.expect("nothing to forget");
    assert_eq!(std::fs::read_dir(&stores).expect("a folder").count(), 1);
    mirrors.forget(day.home.user, None).await.expect("forgotten");
    assert_eq!(std::fs::read_dir(&stores).expect("a folder").count(), 0);
    assert_eq!(day.agree().len(), 8, "the folder stays");
    assert_eq!(mirrors.state(&day.target).await, Ok(None));
    assert_eq!(
        mirrors.versions(&day.target).await.expect_err("none").to_string(),
        "there is no such mirror: it has not run yet"
    );
}

#[tokio::test]
async fn versions_end_with_their_time() {
    let day = Day::new(Both).await;
    day.write("a", "one, changed");
    assert!(day.run(RUN).await.is_complete());
    assert_eq!(day.kept().await, ["one"]);
    day.home.clock.advance(Duration::from_secs(91 * 86_400));
    assert_eq!(day.run(RUN).await.expired, 1);
    assert_eq!(day.kept().await, [] as [&str; 0]);
    assert_eq!(day.mirrors().versions(&day.target).await, Ok(vec![]));
}

#[tokio::test]
async fn a_version_without_a_row_is_given_one() {
    let day = Day::new(Both).await;
    day.write("a", "one, changed");
    assert!(day.run(RUN).await.is_complete());
    // The vault was put back from a backup of before.
    let mirror = day.home.vault.load_mirror(day.home.user, "mirror").await.expect("read").expect("there");
    let versions = day.home.vault.load_mirror_versions(mirror.id).await.expect("read");
    let drop_versions = versions.iter().map(|version| version.id).collect();
    let batch = crate::vault::MirrorBatch { drop_versions, ..Default::default() };
    day.home.vault.record_mirror(&mirror, batch).await.expect("recorded");
    assert_eq!(day.mirrors().versions(&day.target).await, Ok(vec![]));
    day.run(RUN).await;
    let versions = day.mirrors().versions(&day.target).await.expect("read");
    assert_eq!((versions.len(), &*versions[0].why, versions[0].size), (1, "recovered", 3));
}

#[tokio::test]
async fn a_quiet_file_is_not_read_again() {
    let day = Day::new(Both).await;
    assert_eq!(day.run(RUN).await.hashed, 3, "the last change is too recent to trust a time stamp");
    // Long ago, as far as the stored marks say.
    let mirror = day.home.vault.load_mirror(day.home.user, "mirror").await.expect("read").expect("there");
    let mut entries = day.home.vault.load_mirror_entries(mirror.id).await.expect("read");
    for entry in &mut entries {
        entry.local.as_mut().expect("a mark").seen_ns += 10_000_000_000;
    }
    let batch = crate::vault::MirrorBatch { put_entries: entries, ..Default::default() };
    day.home.vault.record_mirror(&mirror, batch).await.expect("recorded");
    assert_eq!(day.run(RUN).await.hashed, 0);
    // The same size, and the old time put back by a program that copies times.
    let before = day.path("a").metadata().expect("there").modified().expect("a time");
    day.write("a", "eno");
    std::fs::File::options()
        .write(true)
        .open(day.path("a"))
        .expect("there")
        .set_modified(before)
        .expect("set");
    let report = day.run(RUN).await;
    assert_eq!((report.hashed, report.done.uploaded), (1, 1));
    day.agree();
}

#[tokio::test]
async fn a_person_is_found_by_address_or_id() {
    let day = Day::new(Both).await;
    let client = Client {
        name: "main".parse().expect("a name"),
        client_id: "402839145520-one.apps.googleusercontent.com".parse().expect("an id"),
        ..client()
    };
    let section = |user: &str| MirrorSection {
        user: user.parse().expect("a user"),
        client: client.name.clone(),
        folder: day.target.folder.clone(),
        direction: Both,
        interval: Duration::from_secs(300),
        keep_versions: Duration::from_secs(90 * 86_400),
        versions_size: 1 << 40,
    };
    for user in ["Alice@example.org", "108204268033311370001"] {
        let target = day.mirrors().resolve(&section(user), &client).await.expect("found");
        assert_eq!(target, Target { project: "402839145520".into(), ..day.target.clone() });
    }
    let error = day.mirrors().resolve(&section("bob@example.org"), &client).await.expect_err("nobody");
    assert!(error.to_string().contains("locum invite"), "{error}");
}

fn client() -> Client {
    Client {
        name: "x".parse().expect("a name"),
        client_id: "x".parse().expect("an id"),
        secrets: vec![],
        sources: vec![],
        redirect_uris: vec![],
        javascript_origins: vec![],
        popup_redirect_uri: "postmessage".into(),
        scopes: crate::scopes::ScopeSet::parse("openid"),
        authorized_parties: vec![],
    }
}

#[tokio::test]
async fn a_run_says_nothing_personal_to_a_log() {
    let day = Day::new(Both).await;
    day.write("nEEdle", "x");
    let shared = Arc::new(std::sync::Mutex::new(Vec::new()));
    let hook = {
        let shared = shared.clone();
        Hook::new(move |next| {
            shared.lock().expect("unpoisoned").push(next);
            Box::pin(async {})
        })
    };
    let report = day.home.mirrors(hook).run(&day.target, &day.drive, RUN).await.expect("a report");
    assert!(!format!("{report:?}").contains("nEEdle"));
    assert!(shared.lock().expect("unpoisoned").contains(&"upload"), "the hook is called");
}
