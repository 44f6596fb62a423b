//! Mirrors over the emulated Drive: what a run costs, what it leaves on both sides, and its bad days.

use std::collections::BTreeMap;
use std::path::Path;

use locum::emulator::{AppData as Theirs, DriveReason, Endpoint, Fault};
use locum::events::Actor;
use locum::ids::UserId;
use locum::mirror::{Held, MirrorError, Report, RunOptions, Stop};
use locum::users::Revoke;
use tempfile::TempDir;

use crate::harness::TestLocum;

struct Setting {
    locum: TestLocum,
    user: UserId,
    theirs: Theirs,
    folder: TempDir,
}

const NOW: RunOptions = RunOptions { dry_run: false, accept: false };
const ACCEPT: RunOptions = RunOptions { dry_run: false, accept: true };
const DRY: RunOptions = RunOptions { dry_run: true, accept: false };

async fn setting(direction: &str) -> Setting {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let extra = format!(
        "[[mirror]]\nuser = \"alice@example.org\"\nclient = \"main\"\nfolder = {:?}\ndirection = \"{direction}\"\n",
        folder.path()
    );
    let locum = TestLocum::start_with(&extra).await;
    assert_eq!(locum.alice().email, "alice@example.org");
    let user = locum.connect(locum.alice()).await;
    let theirs = locum.emulator.world.app_data(&locum.alice().sub, locum.seeded.web.client_id.project());
    Setting { locum, user, theirs, folder }
}

impl Setting {
    async fn run(&self, options: RunOptions) -> Result<Report, MirrorError> {
        self.locum.state.mirrors.run(self.user, None, options, &Actor::locum()).await
    }

    /// A run that brings both sides in step.
    async fn settle(&self, options: RunOptions) -> Report {
        let report = self.run(options).await.expect("runs");
        assert!(report.is_complete(), "{report:?}");
        report
    }

    fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.folder.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, content).expect("written");
    }

    fn here(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        read(self.folder.path(), self.folder.path(), &mut files);
        files
    }

    fn there(&self) -> BTreeMap<String, Vec<u8>> {
        let files = self.theirs.files().into_iter().filter(|file| !file.is_folder);
        files.map(|file| (file.path.clone(), self.theirs.read(&file.path).expect("there").to_vec())).collect()
    }

    fn assert_equal(&self) {
        assert_eq!(self.here(), self.there());
    }

    async fn kept(&self) -> Vec<String> {
        let kept = self.locum.state.mirrors.versions(self.user, None).await.expect("has run");
        kept.into_iter().map(|version| version.path).collect()
    }

    fn stores(&self) -> usize {
        let versions = self.locum.dir.path().join("versions");
        std::fs::read_dir(versions).map_or(0, Iterator::count)
    }
}

/// Everything but what the mirror keeps for itself.
fn read(root: &Path, folder: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.strip_prefix(root).expect("below").to_str().expect("UTF-8").to_owned();
        if name.starts_with(".locum-mirror") {
            continue;
        }
        if path.is_dir() {
            read(root, &path, files);
        } else {
            files.insert(name, std::fs::read(&path).expect("readable"));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_run_asks_drive_no_more_than_it_must_and_a_quiet_one_twice() {
    const FILES: usize = 2_000;
    const FOLDERS: usize = 20;
    let setting = setting("push").await;
    for n in 0..FILES {
        setting.write(&format!("folder {}/file {n}.txt", n % FOLDERS), format!("content {n}"));
    }
    setting.locum.emulator.world.reset_drive_counts();
    let report = setting.settle(NOW).await;
    assert_eq!((report.done.uploaded, report.done.folders), (FILES as u64, FOLDERS as u64));
    let counts = setting.locum.emulator.world.drive_counts();
    let new = FILES + FOLDERS;
    assert_eq!((counts.start_tokens, counts.lists, counts.changes), (1, 1, 1), "{counts:?}");
    assert_eq!(counts.id_calls, new.div_ceil(1_000) as u64, "{counts:?}");
    assert_eq!((counts.files_made, counts.folders_made), (FILES as u64, FOLDERS as u64), "{counts:?}");
    // One for the top folder's own id beside them.
    assert_eq!(counts.requests(), 1 + 1 + 1 + 1 + 3 + new as u64, "{counts:?}");
    setting.assert_equal();

    // The feed tells of what the run itself has made, a page for each thousand, once.
    assert_eq!(setting.settle(NOW).await.planned, []);
    setting.locum.emulator.world.reset_drive_counts();
    assert_eq!(setting.settle(NOW).await.planned, []);
    let counts = setting.locum.emulator.world.drive_counts();
    assert!(counts.requests() <= 2, "{counts:?}");
}

#[tokio::test]
async fn a_pull_brings_every_file_with_one_request_and_keeps_what_it_replaces() {
    let setting = setting("pull").await;
    for n in 0..30 {
        setting.theirs.put(&format!("a/{n}"), format!("content {n}")).expect("room");
    }
    setting.locum.emulator.world.reset_drive_counts();
    setting.settle(NOW).await;
    setting.assert_equal();
    let counts = setting.locum.emulator.world.drive_counts();
    assert_eq!((counts.downloads, counts.gets), (30, 1), "{counts:?}");

    setting.theirs.put("a/0", "another").expect("room");
    assert!(setting.theirs.remove("a/1"));
    setting.write("a/2", "an edit here");
    let report = setting.run(NOW).await.expect("runs");
    assert_eq!(setting.locum.emulator.world.drive_counts().contents_replaced, 0, "a pull never writes");
    assert_eq!(setting.there().len(), 29);
    let here = setting.here();
    assert_eq!(here["a/0"], b"another");
    assert!(!here.contains_key("a/1"));
    assert_eq!(here["a/2"], b"content 2");
    let conflicts: Vec<_> = here.iter().filter(|(path, _)| path.contains("conflict")).collect();
    assert_eq!(conflicts.len(), 1, "{report:?}");
    assert_eq!(conflicts[0].1, b"an edit here");
    let kept = setting.kept().await;
    assert!(kept.contains(&"a/0".to_owned()) && kept.contains(&"a/1".to_owned()), "{kept:?}");
}

#[tokio::test]
async fn both_directions_wait_for_a_person_and_then_agree() {
    let setting = setting("both").await;
    setting.write("here.txt", "from here");
    setting.write("same.txt", "the same");
    setting.theirs.put("there.txt", "from there").expect("room");
    setting.theirs.put("same.txt", "the same").expect("room");
    let held = setting.run(NOW).await.expect("runs");
    assert_eq!(held.held, Some(Held::FirstSync));
    assert_eq!(setting.there().len(), 2, "nothing is done");
    let dry = setting.run(DRY).await.expect("runs");
    assert_eq!((dry.planned.len(), held.planned.len()), (2, 2));
    let report = setting.settle(ACCEPT).await;
    assert_eq!((report.done.uploaded, report.done.downloaded), (1, 1), "{report:?}");
    setting.assert_equal();

    setting.write("here.txt", "edited here");
    setting.theirs.put("here.txt", "edited there").expect("room");
    setting.theirs.put("new/deep.txt", "x").expect("room");
    assert!(setting.theirs.remove("same.txt"));
    let report = setting.run(NOW).await.expect("runs");
    assert_eq!(report.done.conflicts, 1, "{report:?}");
    setting.assert_equal();
    let contents: Vec<_> = setting.here().into_values().collect();
    for content in ["edited here", "edited there", "from there", "x"] {
        assert!(contents.iter().any(|found| found == content.as_bytes()), "{content}");
    }
    assert_eq!(setting.kept().await.iter().filter(|path| *path == "same.txt").count(), 1);

    let kept = setting.locum.state.mirrors.versions(setting.user, None).await.expect("kept");
    let same = kept.iter().find(|version| version.path == "same.txt").expect("kept");
    let back = setting
        .locum
        .state
        .mirrors
        .restore(setting.user, None, same.id, None, &Actor::locum())
        .await
        .expect("restored");
    assert_eq!(back.as_str(), "same.txt");
    setting.settle(NOW).await;
    setting.assert_equal();
    assert_eq!(setting.there()["same.txt"], b"the same");
}

#[tokio::test]
async fn what_would_delete_much_waits_and_a_lost_folder_deletes_nothing() {
    let setting = setting("push").await;
    for n in 0..30 {
        setting.write(&format!("{n}"), format!("content {n}"));
    }
    setting.settle(NOW).await;
    for n in 0..20 {
        std::fs::remove_file(setting.folder.path().join(format!("{n}"))).expect("removed");
    }
    let held = setting.run(NOW).await.expect("runs");
    assert!(matches!(held.held, Some(Held::Deletes { deletes: 20, .. })), "{held:?}");
    assert_eq!(setting.there().len(), 30);
    let state = setting.locum.state.mirrors.find(setting.user, None).await.expect("a mirror");
    assert_eq!(state.held.as_deref(), Some("deletes"));
    assert!(setting.locum.state.metrics.render().contains(r#"locum_mirror_runs_total{outcome="held"} 1"#));

    // The disk is not mounted: an empty folder stands in its place.
    let marker = setting.folder.path().join(".locum-mirror");
    let aside = setting.folder.path().with_extension("aside");
    std::fs::rename(setting.folder.path(), &aside).expect("moved away");
    assert!(matches!(setting.run(NOW).await, Err(MirrorError::FolderMissing(_))));
    std::fs::create_dir(setting.folder.path()).expect("made");
    assert!(matches!(setting.run(NOW).await, Err(MirrorError::NoMarker(_))));
    assert_eq!(setting.there().len(), 30);
    std::fs::remove_dir(setting.folder.path()).expect("removed");
    std::fs::rename(&aside, setting.folder.path()).expect("back");
    assert!(marker.exists());
    setting.settle(ACCEPT).await;
    setting.assert_equal();
    assert_eq!(setting.kept().await.len(), 20, "the contents are kept");
}

#[tokio::test]
async fn bad_days_end_a_run_and_the_next_one_goes_on() {
    let setting = setting("push").await;
    let (world, sub) = (&setting.locum.emulator.world, setting.locum.alice().sub.clone());
    for n in 0..5 {
        setting.write(&format!("{n}"), "x".repeat(1_000));
    }
    world.set_drive_quota(&sub, Some(2_500));
    let report = setting.run(NOW).await.expect("runs");
    assert_eq!(report.stopped, Some(Stop::RemoteFull), "{report:?}");
    assert_eq!(setting.there().len(), 2);
    world.set_drive_quota(&sub, None);
    // A token that Drive refuses is refreshed on the way.
    world.faults().once(Endpoint::Drive, Fault::drive(DriveReason::AuthError));
    setting.settle(NOW).await;
    setting.assert_equal();

    setting.theirs.refuse_page_tokens();
    setting.write("new", "new");
    setting.settle(NOW).await;
    setting.assert_equal();

    // The person's other device took a file that the run wants to replace.
    setting.write("0", "edited");
    assert!(setting.theirs.remove("0"));
    setting.run(NOW).await.expect("runs");
    setting.settle(NOW).await;
    setting.assert_equal();
    assert_eq!(setting.here()["0"], b"edited");

    // All app data gone and a new top folder: nothing is deleted here for it.
    world.erase_app_data(&sub, setting.locum.seeded.web.client_id.project());
    setting.settle(NOW).await;
    setting.assert_equal();
    assert_eq!(setting.here().len(), 6);

    world.withdraw_consent(&sub, setting.locum.seeded.web.client_id.project());
    setting.write("late", "late");
    let stopped = match setting.run(NOW).await {
        Ok(report) => report.stopped.map(|stopped| stopped.to_string()),
        Err(error) => Some(error.to_string()),
    };
    assert!(stopped.as_deref().is_some_and(|words| words.contains("sign in again")), "{stopped:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_while_a_run_is_about_to_delete_it_stays() {
    let setting = setting("push").await;
    for name in ["a", "b", "f"] {
        setting.write(name, "old");
    }
    setting.settle(NOW).await;
    std::fs::remove_file(setting.folder.path().join("f")).expect("removed");
    // The run has the old content for its version store, and waits for its turn to delete.
    let turn = setting.locum.state.app_data.turn(setting.user).await;
    let hold = setting.locum.emulator.world.faults().hold_answer(Endpoint::DriveDownload);
    let (mirrors, user) = (setting.locum.state.mirrors.clone(), setting.user);
    let run = setting
        .locum
        .state
        .lifecycle
        .spawn(async move { mirrors.run(user, None, NOW, &Actor::locum()).await });
    hold.reached(1).await;
    setting.theirs.put("f", "written meanwhile").expect("room");
    hold.release();
    drop(turn);
    let report = run.await.expect("no panic").expect("runs");
    assert_eq!(report.done.deleted_at_drive, 0, "{report:?}");
    assert_eq!(setting.there()["f"], b"written meanwhile");
}

#[tokio::test]
async fn a_forgotten_persons_versions_go_and_the_folder_stays() {
    let setting = setting("pull").await;
    setting.theirs.put("a", "one").expect("room");
    setting.settle(NOW).await;
    setting.theirs.put("a", "two").expect("room");
    setting.settle(NOW).await;
    assert_eq!((setting.stores(), setting.kept().await.len()), (1, 1));
    setting
        .locum
        .state
        .users
        .forget(setting.user, None, Revoke::Auto, &Actor::locum())
        .await
        .expect("forgotten");
    assert_eq!(setting.stores(), 0);
    assert_eq!(setting.here()["a"], b"two");
    assert!(matches!(setting.run(NOW).await, Err(MirrorError::NotFound(_))));
}

#[tokio::test]
async fn a_mirror_runs_when_it_is_due_and_not_before() {
    let setting = setting("pull").await;
    let mirrors = &setting.locum.state.mirrors;
    let run_due = async || {
        let runs = mirrors.run_due();
        let count = runs.len();
        for run in runs {
            run.await.expect("no panic");
        }
        count
    };
    setting.theirs.put("a", "one").expect("room");
    assert_eq!(run_due().await, 1);
    setting.assert_equal();
    assert_eq!(run_due().await, 0);
    let interval = mirrors.find(setting.user, None).await.expect("a mirror").interval;
    setting.locum.clock.advance(interval);
    assert_eq!(run_due().await, 1);
    // Google asks for patience that is longer than the interval.
    setting
        .locum
        .emulator
        .world
        .end_access_token(&setting.locum.token(setting.user).await.expect("a token").access_token);
    setting.locum.emulator.world.faults().until_cleared(Endpoint::Refresh, Fault::status(503));
    setting.locum.clock.advance(interval);
    assert_eq!(run_due().await, 1);
    assert_eq!(run_due().await, 0);
}

/// A SIGKILL in the few instructions in which a first run writes the marker file.
#[tokio::test]
async fn a_first_run_cut_short_at_its_marker_does_not_keep_the_next_one_out() {
    let setting = setting("pull").await;
    setting.theirs.put("a", "one").expect("room");
    std::fs::create_dir(setting.folder.path().join(".locum-mirror.d")).expect("made");
    setting.write(".locum-mirror.d/tmp-0", "locum-mir");
    setting.settle(NOW).await;
    setting.assert_equal();
    let left = std::fs::read_dir(setting.folder.path().join(".locum-mirror.d")).expect("there");
    assert_eq!(left.count(), 0);
}
