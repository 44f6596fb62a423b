//! A disk that fails under a commit: who is told, what is kept, and how locum ends.

use std::process::Command;

use serde_json::json;

use crate::program::{Folder, Google, Program, exchange, get, json as body, text, words};

/// Far more than fit below the limit.
const MOST: usize = 400;

/// The command in a shell that lets no file grow past a megabyte or half of one (shells count differently):
/// a write beyond it fails as on a broken disk, and unlike a full one.
fn on_a_failing_disk(command: &Command) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "trap '' XFSZ; ulimit -f 1024; exec \"$0\" \"$@\""]);
    shell.arg(command.get_program()).args(command.get_args()).env_clear();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            shell.env(name, value);
        }
    }
    shell.current_dir(command.get_current_dir().expect("a folder"));
    shell
}

#[actix_web::test]
async fn a_failing_disk_is_told_ends_the_server_and_takes_nothing_acknowledged() {
    let google = Google::start();
    let folder = Folder::configured(&google, "");
    let mut server = Program::start(&mut on_a_failing_disk(&folder.locum(&["--json", "serve"])));
    let base = server.base().to_owned();
    let mut acknowledged = Vec::new();
    loop {
        let n = acknowledged.len();
        assert!(n < MOST, "the disk did not fail");
        let person = json!({ "email": format!("person-{n}@example.org"), "name": format!("Person {n}") });
        let made = crate::program::post_json(&format!("{}/emulator/people", google.base), &person).await;
        assert_eq!(made.status, 200, "{}", words(&made));
        let code = google.code(text(&person["email"])).await;
        // Whoever writes first finds it: mostly an exchange, at times a job, and then this one may come too late.
        let Ok(answer) = exchange(&base, &code).await else { break };
        if answer.status != 200 {
            let problem = body(&answer);
            let code = text(&problem["code"]);
            assert!(
                answer.status == 503 && ["vault_failed", "stopping"].contains(&code),
                "{}",
                words(&answer)
            );
            assert_eq!(problem["retryable"], true);
            break;
        }
        acknowledged.push(text(&body(&answer)["user"]["id"]).to_owned());
    }
    let (status, stderr) = server.wait();
    assert_eq!(status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("needs a restart"), "{stderr}");

    // On a disk that works again.
    let server = folder.serve();
    let key = folder.run(&["key", "create", "k", "--allow", "tokens:read", "--user", "all"]).expect(0);
    assert!(acknowledged.len() > 3, "{acknowledged:?}");
    for id in &acknowledged {
        let token = get(server.base(), &format!("/v1/users/{id}/token"), key.stdout().trim_end()).await;
        assert_eq!(token.status, 200, "{}", words(&token));
    }
}
