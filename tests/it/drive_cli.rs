//! `locum drive` as people and scripts use it: files, pipes, refusals, and nothing half done.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::program::{Ended, Folder, Google, Program, exchange, post_json, text, words};

const ALICE: &str = "alice@example.org";
const BOB: &str = "bob.sample@gmail.com";

async fn connected(google: &Google, people: &[&str], extra: &str) -> (Folder, Program) {
    let folder = Folder::configured(google, extra);
    let server = folder.serve();
    for person in people {
        let answer = exchange(server.base(), &google.code(person).await).await.expect("an answer");
        assert_eq!(answer.status, 200, "{}", words(&answer));
    }
    (folder, server)
}

/// What another device of Alice's does to her app data.
async fn elsewhere(google: &Google, order: &Value) {
    let answer = post_json(&format!("{}/emulator/drive", google.base), order).await;
    assert_eq!(answer.status, 200, "{}", words(&answer));
}

async fn fault(google: &Google, order: &Value) {
    let answer = post_json(&format!("{}/emulator/faults", google.base), order).await;
    assert_eq!(answer.status, 200, "{}", words(&answer));
}

/// Runs it with this on standard input, in pieces.
fn piped(folder: &Folder, arguments: &[&str], input: &[u8]) -> Ended {
    let mut child = folder
        .locum(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut stdin = child.stdin.take().expect("piped");
    for piece in input.chunks(100_000) {
        // One that was refused reads no further.
        if stdin.write_all(piece).is_err() {
            break;
        }
    }
    drop(stdin);
    Ended(child.wait_with_output().expect("it ends"))
}

fn content(len: usize) -> Vec<u8> {
    (0_u64..).flat_map(|n| n.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes()).take(len).collect()
}

fn names(folder: &Folder) -> Vec<String> {
    let files = std::fs::read_dir(folder.path()).expect("there").flatten();
    let mut names: Vec<_> = files.map(|file| file.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Everything once beside the running server and once with none.
#[actix_web::test]
async fn files_go_there_and_come_back_with_and_without_a_server() {
    let google = Google::start();
    let (folder, server) = connected(&google, &[ALICE], "").await;
    there_and_back(&folder);
    elsewhere(&google, &json!({ "person": ALICE, "action": "erase" })).await;
    server.stop();
    there_and_back(&folder);
}

fn there_and_back(folder: &Folder) {
    let large = content(6_000_001);
    std::fs::write(folder.file("large.bin"), &large).expect("written");
    let empty = folder.run(&["drive", "ls"]).expect(0);
    assert_eq!(empty.stdout(), "");
    assert!(empty.stderr().contains("Only files that apps of this Google project have written"), "{empty:?}");
    assert_eq!(folder.run(&["--json", "drive", "ls", ALICE]).json(0), json!({ "entries": [] }));

    let put = ["--json", "drive", "put", ALICE, "large.bin", "notes/a b%2e.bin", "--type", "image/png"];
    let made = folder.run(&put).json(0);
    assert_eq!((&made["created"], &made["entry"]["size"]), (&json!(true), &json!(6_000_001)));
    assert_eq!(made["entry"]["path"], "notes/a b%2e.bin");
    let tag = text(&made["entry"]["etag"]).to_owned();

    // Its own name, here; and nothing is overwritten unless that is said.
    let got = folder.run(&["drive", "get", ALICE, "notes/a b%2e.bin"]).expect(0);
    assert!(got.stdout().is_empty() && got.stderr().contains("6000001 bytes"), "{got:?}");
    assert!(!got.stderr().contains('\u{1b}'), "no progress where nobody looks: {got:?}");
    assert!(std::fs::read(folder.file("a b%2e.bin")).expect("there") == large);
    std::fs::write(folder.file("a b%2e.bin"), "mine").expect("written");
    let refused = folder.run(&["drive", "get", ALICE, "notes/a b%2e.bin"]).expect(2);
    assert!(refused.stderr().contains("--force"), "{refused:?}");
    assert_eq!(std::fs::read(folder.file("a b%2e.bin")).expect("there"), b"mine");
    let forced = folder.run(&["--json", "drive", "get", ALICE, "notes/a b%2e.bin", "--force"]).json(0);
    assert_eq!((text(&forced["etag"]), text(&forced["mime_type"])), (&*tag, "image/png"));
    assert!(std::fs::read(folder.file("a b%2e.bin")).expect("there") == large);

    // Pipes: nothing is added and nothing is lost.
    for input in [&large[..], b"no newline", b""] {
        piped(folder, &["drive", "put", ALICE, "-", "piped"], input).expect(0);
        let out = folder.run(&["drive", "get", ALICE, "piped", "-"]);
        assert!(out.code() == Some(0) && out.0.stdout == input, "{}", input.len());
    }
    folder.run(&["--json", "drive", "get", ALICE, "piped", "-"]).expect(2);

    let wrong =
        folder.run(&["drive", "put", ALICE, "large.bin", "notes/a b%2e.bin", "--if-absent"]).expect(1);
    assert!(wrong.stderr().contains("precondition_failed"), "{wrong:?}");
    let other = ["drive", "rm", ALICE, "notes/a b%2e.bin", "--if-match", "other"];
    folder.run(&other).expect(1);
    let bare = tag.trim_matches('"');
    let put =
        ["drive", "put", ALICE, "locum.toml", "notes/a b%2e.bin", "--if-match", bare, "--client", "main"];
    let replaced = folder.run(&put).expect(0);
    assert!(replaced.stderr().contains("Replaced: notes/a b%2e.bin"), "{replaced:?}");

    let list = folder.run(&["drive", "ls", ALICE, "notes"]).expect(0);
    assert!(list.stdout().contains("notes/\n") && list.stdout().contains("notes/a b%2e.bin"), "{list:?}");
    let gone = folder.run(&["drive", "rm", ALICE, "notes/a b%2e.bin"]).expect(0);
    assert!(gone.stderr().contains("Removed: notes/a b%2e.bin."), "{gone:?}");
    folder.run(&["drive", "rm", ALICE, "piped"]).expect(0);
    let missing = folder.run(&["drive", "get", ALICE, "piped"]).expect(1);
    assert!(missing.stderr().contains("file_not_found"), "{missing:?}");
    // Folders stay, as they do over HTTP.
    assert_eq!(folder.run(&["drive", "ls", ALICE]).expect(0).stdout().lines().count(), 2);
    let client = folder.run(&["drive", "ls", ALICE, "--client", "nothing"]).expect(2);
    assert!(client.stderr().contains("client_unknown"), "{client:?}");
    for name in ["a b%2e.bin", "large.bin"] {
        std::fs::remove_file(folder.file(name)).expect("there");
    }
}

#[actix_web::test]
async fn a_fetched_file_is_there_whole_or_not_at_all() {
    let google = Google::start();
    let (folder, _server) = connected(&google, &[ALICE], "").await;
    let large = content(3_000_000);
    piped(&folder, &["drive", "put", ALICE, "-", "a"], &large).expect(0);
    let before = names(&folder);
    fault(&google, &json!({ "endpoint": "drive_download", "fault": "flip_byte", "at": 1_000_000 })).await;
    let broken = folder.run(&["drive", "get", ALICE, "a", "copy"]).expect(75);
    assert!(broken.stderr().contains("broke off"), "{broken:?}");
    assert_eq!(names(&folder), before, "neither the file nor a part of it");
    folder.run(&["drive", "get", ALICE, "a", "copy"]).expect(0);
    assert!(std::fs::read(folder.file("copy")).expect("there") == large);
    // Into a folder, under its own name.
    std::fs::create_dir(folder.file("sub")).expect("made");
    folder.run(&["drive", "get", ALICE, "a", "sub"]).expect(0);
    assert!(std::fs::read(folder.file("sub/a")).expect("there") == large);
    let device = folder.run(&["drive", "get", ALICE, "a", "/dev/null", "--force"]).expect(2);
    assert!(device.stderr().contains("no regular file"), "{device:?}");
}

#[actix_web::test]
async fn what_goes_wrong_says_so_with_its_exit_code() {
    let google = Google::start();
    let (folder, _server) = connected(&google, &[ALICE, BOB], "\n[app_data]\nmax_bytes = \"1MiB\"\n").await;
    let several = folder.run(&["drive", "ls"]).expect(2);
    assert!(several.stderr().contains("several people"), "{several:?}");
    for path in ["../a", "a//b", "/a", "a/", "."] {
        let refused = folder.run(&["drive", "get", ALICE, path]).expect(2);
        assert!(refused.stderr().contains("name in the path"), "{path}: {refused:?}");
    }
    folder.run(&["drive", "put", ALICE, "no such file", "a"]).expect(2);
    folder.run(&["drive", "put", ALICE, "vault", "a"]).expect(2);
    let nobody = folder.run(&["drive", "ls", "nobody@example.org"]).expect(1);
    assert!(nobody.stderr().contains("user_not_found"), "{nobody:?}");

    // However it comes, and however much more of it there would be.
    std::fs::write(folder.file("large"), content(20_000_000)).expect("written");
    let large = folder.run(&["drive", "put", ALICE, "large", "a"]).expect(1);
    assert!(large.stderr().contains("content_too_large"), "{large:?}");
    let large = piped(&folder, &["drive", "put", ALICE, "-", "a"], &content(20_000_000)).expect(1);
    assert!(large.stderr().contains("content_too_large"), "{large:?}");

    fault(
        &google,
        &json!({ "endpoint": "drive_upload", "fault": "drive", "reason": "storageQuotaExceeded" }),
    )
    .await;
    let full = piped(&folder, &["drive", "put", ALICE, "-", "a"], b"1").expect(3);
    assert!(full.stderr().contains("storage_full"), "{full:?}");
    let order = json!({
        "endpoint": "drive_list", "fault": "status", "status": 503, "headers": { "Retry-After": "60" }, "until_cleared": true,
    });
    fault(&google, &order).await;
    let down = folder.run(&["--json", "drive", "ls", ALICE]).json(75);
    assert_eq!(down["code"], "drive_unavailable");
}

#[actix_web::test]
async fn names_that_others_gave_do_not_steer_the_terminal() {
    let google = Google::start();
    let (folder, _server) = connected(&google, &[ALICE], "").await;
    for name in ["a\u{1b}[2Jb", "exe\u{202e}gpj", "two\nlines"] {
        elsewhere(&google, &json!({ "person": ALICE, "action": "put", "path": name, "text": "x" })).await;
    }
    let list = folder.run(&["drive", "ls", ALICE]).expect(0);
    for shown in [r"a\u{1b}[2Jb", r"exe\u{202e}gpj", r"two\u{a}lines"] {
        assert!(list.stdout().contains(shown), "{shown}: {list:?}");
    }
    assert_eq!(list.stdout().lines().count(), 4, "{list:?}");
    let exact = folder.run(&["--json", "drive", "ls", ALICE]).json(0);
    assert_eq!(exact["entries"][2]["path"], "two\nlines");
}

/// A mirror of Alice's in `mirrored`, and one of Bob's in a folder that nobody made.
fn mirrors(direction: &str, folder: &std::path::Path) -> String {
    let mirrored = folder.join("mirrored");
    let missing = folder.join("missing");
    format!(
        "\n[[mirror]]\nuser = {ALICE:?}\nclient = \"main\"\nfolder = {mirrored:?}\ndirection = {direction:?}\ninterval = \"1d\"\n\
         \n[[mirror]]\nuser = {BOB:?}\nclient = \"main\"\nfolder = {missing:?}\n"
    )
}

#[actix_web::test]
async fn mirrors_are_run_by_hand_with_and_without_a_server() {
    for with_server in [true, false] {
        // Another one each time: it gives a refresh token with the first consent only.
        let google = Google::start();
        let disk = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(disk.path().join("mirrored")).expect("made");
        let (folder, server) = connected(&google, &[ALICE, BOB], "").await;
        server.stop();
        let config = std::fs::read_to_string(folder.file("locum.toml")).expect("there");
        folder.write_private("locum.toml", &(config + &mirrors("both", disk.path())));
        std::fs::write(disk.path().join("mirrored/here.txt"), "from here").expect("written");
        elsewhere(&google, &json!({ "person": ALICE, "action": "put", "path": "a/there.txt", "text": "x" }))
            .await;
        let server = with_server.then(|| folder.serve());
        by_hand(&folder, &google, disk.path()).await;
        drop(server);
    }
}

async fn by_hand(folder: &Folder, google: &Google, disk: &std::path::Path) {
    let file = |name: &str| disk.join("mirrored").join(name);
    // A server runs its mirrors when it starts, and two runs do not overlap.
    let unhindered = |arguments: &[&str]| {
        let mut runs = (0..20).map(|_| folder.run(arguments));
        runs.find(|ended| !ended.stderr().contains("mirror_busy")).expect("the server's own run ends")
    };
    // It says by its exit code that a run would wait.
    let dry = unhindered(&["drive", "sync", ALICE, "--dry-run"]).expect(3);
    assert!(dry.stdout().contains("WOULD") && dry.stdout().contains("here.txt"), "{dry:?}");
    assert!(dry.stdout().contains("a/there.txt") && dry.stderr().contains("It waits"), "{dry:?}");
    assert!(!file("a/there.txt").exists(), "a dry run changes nothing");

    // Nobody can be asked, so it waits.
    let held = unhindered(&["drive", "sync", ALICE]).expect(3);
    assert!(held.stderr().contains("mirror_held"), "{held:?}");
    let held = folder.run(&["--json", "drive", "sync", ALICE]).json(3);
    assert_eq!((&held["code"], &held["report"]["held"]), (&json!("mirror_held"), &json!("first_sync")));
    assert!(!file("a/there.txt").exists());

    let done = folder.run(&["drive", "sync", ALICE, "--accept"]).expect(0);
    assert!(done.stderr().contains("1 brought here, 1 brought to Drive"), "{done:?}");
    assert_eq!(std::fs::read(file("a/there.txt")).expect("there"), b"x");
    let quiet = folder.run(&["drive", "sync", ALICE]).expect(0);
    assert!(quiet.stderr().contains("nothing to do, 2 files agree"), "{quiet:?}");
    assert!(folder.run(&["drive", "versions", ALICE]).expect(0).stderr().contains("No version is kept"));

    // What was replaced is kept, and comes back.
    elsewhere(google, &json!({ "person": ALICE, "action": "put", "path": "a/there.txt", "text": "yy" }))
        .await;
    let report = folder.run(&["--json", "drive", "sync", ALICE]).json(0);
    assert_eq!((&report["complete"], &report["done"]["downloaded"]), (&json!(true), &json!(1)));
    let list = folder.run(&["--json", "drive", "versions", ALICE, "a/there.txt"]).json(0);
    let version = &list["versions"][0];
    assert_eq!((text(&version["why"]), &version["size"]), ("replaced_here", &json!(1)));
    let id = text(&version["id"]);
    let shown = folder.run(&["drive", "versions", ALICE]).expect(0);
    assert!(shown.stdout().contains(id) && shown.stdout().contains("replaced here"), "{shown:?}");
    let restored = folder.run(&["--json", "drive", "restore", ALICE, id, "--to", "old.txt"]).json(0);
    assert_eq!(restored["path"], "old.txt");
    assert_eq!(std::fs::read(file("old.txt")).expect("there"), b"x");
    let beside = folder.run(&["drive", "restore", ALICE, id]).expect(0);
    assert!(beside.stderr().contains("Restored: a/there ("), "{beside:?}");
    assert_eq!(std::fs::read(file("a/there.txt")).expect("there"), b"yy");
    folder.run(&["drive", "restore", ALICE, "1"]).expect(1);
    folder.run(&["drive", "restore", ALICE, id, "--to", "../out"]).expect(2);
    assert!(!disk.join("out").exists());

    // One mirror's trouble does not keep the other waiting, and is not hidden by it.
    let missing = folder.run(&["drive", "sync", BOB]);
    assert!(missing.code() != Some(0) && missing.stderr().contains("make the folder first"), "{missing:?}");
    let both = folder.run(&["drive", "sync"]);
    assert_eq!(both.code(), missing.code(), "{both:?}");
    assert!(both.stderr().contains("make the folder first"), "{both:?}");
    assert!(both.stderr().contains("2 brought to Drive"), "{both:?}");
}

#[actix_web::test]
async fn without_a_mirror_there_is_nothing_to_run() {
    let google = Google::start();
    let (folder, server) = connected(&google, &[ALICE], "").await;
    let nothing_to_run = || {
        let none = folder.run(&["drive", "sync"]).expect(2);
        assert!(none.stderr().contains("no mirror is configured; add a [[mirror]]"), "{none:?}");
        for command in ["sync", "versions"] {
            let none = folder.run(&["drive", command, ALICE]).expect(1);
            assert!(none.stderr().contains("mirror_not_found"), "{none:?}");
        }
    };
    nothing_to_run();
    server.stop();
    nothing_to_run();
}
