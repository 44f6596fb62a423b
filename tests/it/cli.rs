//! The real binary: every command beside a running server and without one, and what goes wrong.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::program::{Ended, Folder, Google, Program, exchange, get, json as body, post_json, text, words};

const ALICE: &str = "alice@example.org";
const BOB: &str = "bob.sample@gmail.com";

/// A folder in which the people are connected, with its server still running.
async fn connected(google: &Google, people: &[&str]) -> (Folder, Program) {
    let folder = Folder::configured(google, "");
    let server = folder.serve();
    for person in people {
        let answer = exchange(server.base(), &google.code(person).await).await.expect("an answer");
        assert_eq!(answer.status, 200, "{}", words(&answer));
    }
    (folder, server)
}

#[actix_web::test]
async fn the_demos_lines_work_as_pasted() {
    let folder = Folder::empty();
    let arguments = ["demo", "--listen", "127.0.0.1:0", "--emulator-listen", "127.0.0.1:0"];
    let mut demo = Program::start(&mut folder.locum(&arguments));
    let told = demo.read_until(" status\n");
    let script = &told[told.find("echo '1.").expect("the first line to paste")..];
    assert!(!script.lines().any(|line| line.starts_with('#')), "no comment for an interactive zsh");
    let ended = Command::new("bash")
        .args(["-euo", "pipefail", "-c", script])
        .env_remove("LOCUM_CONFIG")
        .current_dir(folder.path())
        .output()
        .expect("bash is there");
    let ended = Ended(ended).expect(0);
    for words in [
        "\"created\":true",
        "\"access_token\":\"ya29.",
        "\"path\":\"notes/hello.txt\"",
        "\nHello from the back-end\n",
        "Alice Example",
        "notes/hello.txt",
        "1 active, client demo",
    ] {
        assert!(ended.stdout().contains(words), "{words}\n{ended:?}");
    }
    let (status, stderr) = demo.stop();
    assert!(status.success() && stderr.is_empty(), "{status} {stderr}");
    let left = std::fs::read_dir(folder.path()).expect("there").count();
    assert_eq!(left, 0, "the demo leaves nothing behind");
}

#[actix_web::test]
async fn the_demo_does_nothing_behind_the_readers_back() {
    let folder = Folder::empty();
    let arguments = ["--json", "demo", "--listen", "127.0.0.1:0", "--emulator-listen", "127.0.0.1:0"];
    let demo = Program::start(&mut folder.locum(&arguments));
    let facts = &demo.facts;
    let answer = get(text(&facts["base_url"]), "/v1/users", text(&facts["api_key"])).await;
    assert_eq!(body(&answer)["users"], json!([]), "nobody is connected yet");
    assert_eq!(facts["people"].as_array().map(Vec::len), Some(3));
}

/// Everything an owner does, once beside the running server and once with none.
#[actix_web::test]
async fn every_command_works_with_and_without_a_server() {
    let google = Google::start();
    let (folder, server) = connected(&google, &[ALICE, BOB]).await;
    let whose = |ended: &Ended| ended.stderr().lines().next().unwrap_or_default().to_owned();

    let with = folder.run(&["user", "list"]).expect(0);
    assert!(whose(&with).contains("the server at"), "{}", with.stderr());
    people_and_keys(&folder, true);
    server.stop();
    let without = folder.run(&["user", "list"]).expect(0);
    assert!(whose(&without).contains("no server is running"), "{}", without.stderr());
    // Not the times, which are said in seconds ago.
    let people = |ended: &Ended| -> Vec<String> {
        ended.stdout().lines().map(|line| line.split("  ").next().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(people(&with), people(&without));
    people_and_keys(&folder, false);

    let vault = folder.file("vault");
    let left: Vec<_> =
        std::fs::read_dir(&vault).expect("there").flatten().map(|file| file.file_name()).collect();
    assert!(
        left.iter().all(|name| name.to_str().is_some_and(|name| name.starts_with("locum.db"))),
        "{left:?}"
    );
    let temporary = std::fs::read_dir(folder.path()).expect("there").flatten();
    assert!(temporary.into_iter().all(|file| !file.file_name().to_string_lossy().starts_with("locum-")));
}

fn people_and_keys(folder: &Folder, running: bool) {
    let list = folder.run(&["--json", "user", "list"]).json(0);
    assert_eq!(list["users"].as_array().map(Vec::len), Some(2));
    let shown = folder.run(&["user", "show", ALICE]).expect(0);
    assert!(shown.stdout().contains("Alice Example") && shown.stdout().contains("offline access"));
    assert_eq!(text(&folder.run(&["--json", "user", "show", ALICE]).json(0)["email"]), ALICE);

    let token = folder.run(&["user", "token", ALICE, "--min-ttl", "60"]).expect(0);
    assert!(token.stdout().starts_with("ya29.") && !token.stdout().ends_with('\n'), "{}", token.stdout());
    let answer = folder.run(&["--json", "user", "token", ALICE, "--client", "main"]).json(0);
    assert_eq!(text(&answer["access_token"]), token.stdout());
    folder.run(&["user", "refresh", ALICE]).expect(0);
    let fresh = folder.run(&["user", "token", ALICE]).expect(0);
    assert_ne!(fresh.stdout(), token.stdout());

    let mut create = vec!["key", "create", "reports", "--allow", "tokens:read", "--user"];
    create.extend([ALICE, "--client", "main", "--expires", "90d", "--output", "reports.key"]);
    folder.run(&create).expect(0);
    let file = folder.file("reports.key");
    assert_eq!(std::fs::metadata(&file).expect("written").permissions().mode() & 0o777, 0o600);
    assert!(std::fs::read_to_string(&file).expect("text").starts_with("locum_"));
    folder.run(&create).expect(1);
    let again = [&create[..], &["--if-absent"]].concat();
    assert!(folder.run(&again).expect(0).stderr().contains("nothing was made"));
    let same = folder.run(&[&["--json"], &again[..]].concat()).json(0);
    assert_eq!((&same["created"], text(&same["name"])), (&json!(false), "reports"));
    // A script must not go on with a key that may do something else, or that it does not have.
    let mut other = again.clone();
    other[4] = "users:read";
    assert!(folder.run(&other).expect(1).stderr().contains("has other rights"));
    other[4] = "tokens:read";
    other[6] = "all";
    assert!(folder.run(&other).expect(1).stderr().contains("has other rights"));
    std::fs::remove_file(&file).expect("removed");
    assert!(folder.run(&again).expect(1).stderr().contains("no key can be shown again"));
    assert!(!file.exists());

    let keys = folder.run(&["--json", "key", "list"]).json(0);
    let keys = keys["keys"].as_array().expect("a list");
    let id = keys.iter().find(|key| key["state"] == "active").map(|key| text(&key["id"])).expect("made");
    assert!(folder.run(&["key", "list"]).expect(0).stdout().contains("reports"));
    let rotating = folder.run(&["--json", "key", "rotate", id, "--overlap", "1h"]);
    assert!(rotating.stderr().contains(&format!("The old key {id} ends in ")), "{}", rotating.stderr());
    let rotated = rotating.json(0);
    assert!(text(&rotated["key"]).starts_with("locum_"));
    assert_eq!(text(&rotated["replaces"]["id"]), id);
    for id in [id, text(&rotated["id"])] {
        folder.run(&["key", "revoke", id]).expect(0);
    }
    let keys = folder.run(&["--json", "key", "list"]).json(0);
    assert!(keys["keys"].as_array().expect("a list").iter().all(|key| key["state"] == "revoked"));

    // Without a server somebody has to start one, and that is all.
    let (code, wanted) = if running { (0, 0) } else { (3, 1) };
    let status = folder.run(&["status"]).expect(code);
    assert!(status.stdout().contains("2 active, client main"), "{}", status.stdout());
    let status = folder.run(&["--json", "status"]).json(code);
    assert_eq!(
        (status["wanted"].as_array().map(Vec::len), &status["running"]),
        (Some(wanted), &json!(running))
    );
    let quiet = folder.run(&["status", "--quiet"]).expect(code);
    assert_eq!((quiet.stdout().lines().count(), quiet.stderr()), (wanted, ""));
}

#[actix_web::test]
async fn a_key_reaches_what_it_was_made_for() {
    let google = Google::start();
    let (folder, server) = connected(&google, &[ALICE, BOB]).await;
    let made = folder.run(&["key", "create", "one", "--allow", "tokens:read", "--user", ALICE]).expect(0);
    let key = made.stdout().trim_end();
    let token = |who| format!("/v1/users/{who}/token");
    assert_eq!(get(server.base(), &token(ALICE), key).await.status, 200);
    assert_eq!(get(server.base(), &token(BOB), key).await.status, 404);
    assert_eq!(get(server.base(), "/v1/users", key).await.status, 403);
}

#[actix_web::test]
async fn exit_codes_say_who_has_to_act() {
    let google = Google::start();
    let (folder, server) = connected(&google, &[ALICE, BOB]).await;
    folder.run(&["user", "token", "nobody@example.org"]).expect(1);
    folder.run(&["user", "token", "not a user"]).expect(2);
    folder.run(&["user", "token", ALICE, "--min-ttl", "1801"]).expect(2);
    folder.run(&["key", "create", "x", "--user", "all"]).expect(2);
    folder.run(&["key", "create", "x", "--allow", "tokens:read"]).expect(2);
    folder
        .run(&["key", "create", "x", "--allow", "tokens:read", "--user", "all,alice@example.org"])
        .expect(2);

    let asked = folder.run(&["user", "forget", BOB]).expect(2);
    assert!(asked.stderr().contains("Google will be asked to revoke") && asked.stderr().contains("--yes"));
    let done = folder.run(&["--json", "user", "forget", BOB, "--yes"]).json(0);
    assert_eq!((&done["revoked"], &done["forgotten"]), (&json!(true), &json!(["main"])));

    let withdrawal = json!({ "person": ALICE, "project": google.facts["client_id"] });
    let answer = post_json(&format!("{}/emulator/withdraw", google.base), &withdrawal).await;
    assert_eq!(body(&answer)["withdrawn"], true);
    let refused = folder.run(&["--json", "user", "refresh", ALICE]).expect(3);
    assert!(refused.stderr().contains("(consent_required)"), "{}", refused.stderr());
    let problem: Value = serde_json::from_str(refused.stdout()).expect("the problem");
    assert_eq!(problem["code"], "consent_required");
    let status = folder.run(&["status", "--quiet"]).expect(3);
    assert!(status.stdout().contains("locum user list --state dead"), "{}", status.stdout());

    let answer = exchange(server.base(), &google.code(BOB).await).await.expect("an answer");
    assert_eq!(answer.status, 200, "{}", words(&answer));
    google.program.kill();
    let later = folder.run(&["user", "refresh", BOB]).expect(75);
    assert!(later.stderr().contains("(google_unavailable)"), "{}", later.stderr());
}

#[actix_web::test]
async fn one_server_at_a_time_holds_a_vault() {
    let google = Google::start();
    let (folder, server) = connected(&google, &[ALICE]).await;
    let second = folder.run(&["serve"]).expect(1);
    let holder = format!("another locum (process {}) holds the vault", server.id());
    assert!(second.stderr().contains(&holder), "{}", second.stderr());
    folder.run(&["user", "list"]).expect(0);

    // A killed server leaves its socket behind; nobody answers there.
    server.kill();
    assert!(folder.file("vault/admin.sock").exists());
    // And so does a killed command that was its own server: the next one takes its place and tidies up.
    let own = folder.file("vault/command.sock");
    drop(std::os::unix::net::UnixListener::bind(&own).expect("bound"));
    assert!(folder.run(&["user", "list"]).expect(0).stdout().contains(ALICE));
    assert!(!own.exists());
    let (status, stderr) = folder.serve().stop();
    assert!(status.success(), "{status} {stderr}");
    assert!(!folder.file("vault/admin.sock").exists());
}

#[actix_web::test]
async fn a_wrong_root_key_opens_nothing_and_says_which_is_right() {
    let google = Google::start();
    let (folder, server) = connected(&google, &[ALICE]).await;
    let id = text(&server.facts["root_key_id"]).to_owned();
    server.stop();
    folder.write_private("root.key", &"77".repeat(32));
    for command in ["serve", "status"] {
        let ended = folder.run(&[command]).expect(1);
        assert!(ended.stderr().contains(&format!("the vault wants {id}")), "{}", ended.stderr());
    }
    folder.write_private("root.key", "short");
    folder.run(&["serve"]).expect(2);
    folder.write_private("root.key", &"5a".repeat(32));
    let status = folder.run(&["status"]).expect(3);
    assert!(status.stdout().contains(", not running\n"), "{}", status.stdout());
    let wanted = "! No server runs, so nobody can sign in and no program gets a token";
    assert!(status.stdout().contains(wanted), "{}", status.stdout());
    assert!(folder.run(&["status", "--quiet"]).expect(3).stdout().starts_with(wanted));
    assert_eq!(folder.run(&["--json", "status"]).json(3)["running"], false);
}

#[actix_web::test]
async fn a_backup_goes_where_no_vault_is() {
    let google = Google::start();
    let (folder, server) = connected(&google, &[ALICE]).await;
    let id = text(&server.facts["root_key_id"]).to_owned();
    let made = folder.run(&["--json", "vault", "backup", "copy.db"]).json(0);
    assert_eq!((&made["backup"]["users"], text(&made["backup"]["root_id"])), (&json!(1), id.as_str()));
    let again = folder.run(&["vault", "backup", "copy.db"]).expect(1);
    assert!(again.stderr().contains("nothing is ever overwritten"), "{}", again.stderr());
    let piped = folder.run(&["vault", "backup", "-"]).expect(0);
    assert!(piped.0.stdout.starts_with(b"SQLite format 3\0") && piped.stderr().contains(&id));
    assert!(folder.run(&["status"]).expect(0).stdout().contains("last backup"));
    folder.run(&["vault", "restore", "copy.db"]).expect(2);

    server.stop();
    assert!(folder.run(&["vault", "restore", "copy.db"]).expect(1).stderr().contains("exists already"));
    std::fs::rename(folder.file("vault"), folder.file("old")).expect("moved away");
    assert!(folder.run(&["vault", "restore", "copy.db"]).expect(0).stderr().contains(&id));
    let token = folder.run(&["user", "token", ALICE]).expect(0);
    assert!(token.stdout().starts_with("ya29."));
}

#[test]
fn commands_do_not_make_a_vault_by_accident() {
    let google = Google::start();
    let folder = Folder::configured(&google, "");
    for command in [&["user", "list"][..], &["status"], &["key", "list"]] {
        let ended = folder.run(command).expect(2);
        assert!(ended.stderr().contains("`locum serve` makes it"), "{}", ended.stderr());
    }
    assert!(!folder.file("vault").exists());
    folder.run(&["key", "create", "first", "--allow", "tokens:read", "--user", "all"]).expect(0);
    assert!(folder.file("vault/locum.db").exists());
}

#[test]
fn a_newcomer_is_told_what_to_do() {
    let folder = Folder::empty();
    for command in ["serve", "status"] {
        let ended = folder.run(&[command]).expect(2);
        if !std::path::Path::new("/etc/locum/config.toml").exists() {
            assert_eq!(ended.stderr().lines().count(), 3, "{}", ended.stderr());
        }
    }
}

#[test]
fn broken_configurations_are_told_in_one_go() {
    let google = Google::start();
    let folder = Folder::configured(&google, "\n[tokens]\nrefresh_ahed = \"10m\"\n");
    std::fs::remove_file(folder.file("root.key")).expect("removed");
    let ended = folder.run(&["config", "check"]).expect(2);
    for words in ["locum.toml", "refresh_ahed", "refresh_ahead", "vault.root_key_file"] {
        assert!(ended.stderr().contains(words), "{words}: {}", ended.stderr());
    }
    let mistakes = folder.run(&["--json", "config", "check"]).json(2);
    assert_eq!(mistakes["mistakes"].as_array().map(Vec::len), Some(2), "{mistakes}");

    folder.write_private("locum.toml", "allow_users = \n");
    let ended = folder.run(&["config", "check"]).expect(2);
    assert!(ended.stderr().contains("locum.toml:1:"), "{}", ended.stderr());
}

#[test]
fn secrets_in_variables_do_not_reach_children() {
    let google = Google::start();
    let folder = Folder::configured(&google, "");
    let text = std::fs::read_to_string(folder.file("locum.toml")).expect("text");
    let command = "root_key_command = [\"/bin/sh\", \"-c\", \"env > seen; cat root.key\"]";
    folder.write_private("locum.toml", &text.replace("root_key_file = \"root.key\"", command));
    let mut serve = folder.locum(&["--json", "serve"]);
    serve.env("LOCUM_SERVER__PUBLIC_URL", "https://needle.example.org").env("HARMLESS", "stays");
    let server = Program::start(&mut serve);
    let seen = std::fs::read_to_string(folder.file("seen")).expect("the command ran");
    assert!(!seen.contains("LOCUM_") && !seen.contains("needle"), "{seen}");
    // Not dumpable: the kernel's copy of the first environment belongs to root then.
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::fs::MetadataExt as _;
        let environ = std::fs::metadata(format!("/proc/{}/environ", server.id())).expect("it runs");
        assert_eq!(environ.uid(), 0);
    }
    drop(server);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let google = Google::start();
    let folder = Folder::configured(&google, "");
    for arguments in [&["config", "show"][..], &["--help"], &["--json", "config", "show"]] {
        let mut child =
            folder.locum(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        drop(child.stdout.take());
        let ended = Ended(child.wait_with_output().expect("it ends")).expect(0);
        assert_eq!(ended.stderr(), "");
    }
}

#[test]
fn the_emulator_is_for_this_machine_and_for_no_real_secret() {
    let folder = Folder::empty();
    for address in ["0.0.0.0:0", "192.0.2.1:9090", "[::]:0"] {
        let ended = folder.run(&["emulator", "--listen", address]).expect(2);
        assert!(ended.stderr().contains("loopback"), "{}", ended.stderr());
    }
    let ended =
        folder.run(&["emulator", "--listen", "127.0.0.1:0", "--client-secret", "GOCSPX-needle"]).expect(2);
    assert!(!ended.stderr().contains("needle"), "{}", ended.stderr());
    let (status, stderr) = Google::start().program.stop();
    assert!(status.success() && stderr.is_empty(), "{status} {stderr}");
}

#[test]
fn an_invitation_is_a_link_on_standard_output() {
    let google = Google::start();
    let folder = Folder::configured(&google, "");
    let refused = folder.run(&["--json", "invite", ALICE]).json(1);
    assert_eq!(text(&refused["code"]), "sign_in_not_configured");
    let config = std::fs::read_to_string(folder.file("locum.toml")).expect("written");
    let config = config
        .replace("workers = 1", "workers = 1\npublic_url = \"https://locum.example.org\"")
        .replace("[\"ios\"]", "[\"ios\", \"web\"]");
    folder.write_private("locum.toml", &config);
    let made = folder.run(&["invite", ALICE, "--client", "main", "--expires", "7d"]).expect(0);
    let link = made.stdout().trim_end().to_owned();
    assert!(link.starts_with("https://locum.example.org/v1/connect/") && !link.contains('\n'), "{link}");
    assert!(made.stderr().contains(ALICE) && !made.stderr().contains(&link), "{}", made.stderr());
    let made = folder.run(&["--json", "invite", BOB, "--scopes", "openid,email"]).json(0);
    assert!(text(&made["url"]).starts_with("https://locum.example.org/v1/connect/"));
    assert_eq!(text(&made["id"]).len(), 16);
    for wrong in [&["invite", "nobody"][..], &["invite", ALICE, "--expires", "31d"], &["invite"]] {
        assert!(!folder.run(wrong).0.status.success(), "{wrong:?}");
    }
}

#[actix_web::test]
async fn events_are_told_and_followed() {
    use std::io::{BufRead as _, BufReader};
    let google = Google::start();
    let (folder, server) = connected(&google, &["alice@example.org"]).await;
    // A sign-in is written within a second; a key at once, and what waited before it is no later.
    folder.run(&["key", "create", "one", "--allow", "tokens:read", "--user", "all"]).expect(0);
    let told = folder.run(&["events"]).expect(0);
    let line = told.stdout().lines().last().expect("a line");
    assert!(line.contains("  notice   key.created  ") && line.contains("(owner by socket; "), "{line}");
    let one = folder.run(&["--json", "events", "--kind", "key", "-n", "1"]).expect(0);
    let event: Value = serde_json::from_str(one.stdout()).expect("one object a line");
    assert_eq!(event["kind"], "key.created");
    let none = folder.run(&["events", "--kind", "key.revoked"]).expect(0);
    assert!(none.stdout().is_empty() && none.stderr().contains("Nothing has happened"), "{none:?}");
    let wrong = folder.run(&["events", "--kind", "nonsense"]).expect(2);
    assert!(wrong.stderr().contains("docs/events.md"), "{wrong:?}");

    let mut command = folder.locum(&["--json", "events", "--follow", "--kind", "key", "-n", "1"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut next = || -> Value {
        serde_json::from_str(&lines.next().expect("goes on").expect("text")).expect("an event")
    };
    assert_eq!(next()["id"], event["id"]);
    for name in ["two", "three"] {
        folder.run(&["key", "create", name, "--allow", "tokens:read", "--user", "all"]).expect(0);
        let event = next();
        assert_eq!(
            (&event["kind"], &event["details"]["name"]),
            (&"key.created".into(), &name.into()),
            "{event}"
        );
    }
    let pid =
        rustix::process::Pid::from_raw(i32::try_from(child.id()).expect("a process id")).expect("not zero");
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it runs");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    server.kill();
    // Without a server the log can be read, and nothing followed.
    assert!(folder.run(&["events", "-n", "1"]).expect(0).stdout().contains("key.created"));
    let alone = folder.run(&["events", "--follow"]).expect(1);
    assert!(alone.stderr().contains("locum serve"), "{alone:?}");
}
