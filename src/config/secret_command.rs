//! A secret that a program prints, such as a password manager's command line.
//!
//! The program is started without a shell, with an environment of a few harmless variables and in a
//! process group of its own, so that the time limit also ends what it started.

use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use zeroize::Zeroizing;

use super::environment::Environment;
use super::secret_file;
use super::secret_source::SecretProblem;

/// How long a program may take. A person may have to touch a hardware key.
pub(super) const LIMIT: Duration = Duration::from_secs(10);

/// What password managers need to find themselves; none of it is a secret.
const KEPT: [&str; 8] =
    ["PATH", "HOME", "USER", "LANG", "XDG_RUNTIME_DIR", "GNUPGHOME", "GPG_TTY", "PASSWORD_STORE_DIR"];

/// Runs the program and returns what it prints.
pub(super) fn run(argv: &[String], environment: &Environment) -> Result<Zeroizing<Vec<u8>>, SecretProblem> {
    run_within(argv, environment, LIMIT)
}

fn run_within(
    argv: &[String],
    environment: &Environment,
    limit: Duration,
) -> Result<Zeroizing<Vec<u8>>, SecretProblem> {
    let [program, arguments @ ..] = argv else {
        return Err(SecretProblem::NotStarted(std::io::ErrorKind::InvalidInput));
    };
    let kept = KEPT.iter().filter_map(|name| environment.var(name).map(|value| (name, value)));
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(kept)
        .current_dir(environment.directory())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .process_group(0)
        .spawn()
        .map_err(|error| SecretProblem::NotStarted(error.kind()))?;
    let group = rustix::process::Pid::from_child(&child);
    let (send, receive) = channel();
    // A thread, since a pipe has no time limit of its own; it ends with the program.
    std::thread::spawn(move || {
        let mut content = Zeroizing::new(Vec::with_capacity(secret_file::LIMIT + 1));
        let read = child
            .stdout
            .take()
            .map(|stdout| stdout.take(secret_file::LIMIT as u64 + 1).read_to_end(&mut content));
        let ended = child.wait();
        // The receiver is gone when the limit has passed; then nobody wants the answer.
        let _ = send.send((content, read, ended));
    });
    match receive.recv_timeout(limit) {
        Ok((content, Some(Ok(_)), Ok(status))) if status.success() => {
            if content.len() > secret_file::LIMIT {
                return Err(SecretProblem::TooLong("the program".to_owned()));
            }
            Ok(content)
        }
        Ok((_, _, Ok(status))) => Err(SecretProblem::Failed(status.to_string())),
        Ok((_, _, Err(error))) => Err(SecretProblem::Failed(error.kind().to_string())),
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
            // It may have ended in this very moment; either way it is gone.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            Err(SecretProblem::TooSlow)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> Result<String, SecretProblem> {
        let argv = ["/bin/sh", "-c", script].map(str::to_owned);
        let environment = Environment::given("/", [("HOME", "/home/x"), ("LOCUM_SECRET", "needle")]);
        run_within(&argv, &environment, limit).map(|out| String::from_utf8_lossy(&out).into_owned())
    }

    #[test]
    fn a_program_sees_a_clean_environment() {
        let out = shell("echo \"$HOME:$LOCUM_SECRET:$CARGO_PKG_NAME\"", LIMIT);
        assert_eq!(out.as_deref(), Ok("/home/x::\n"));
    }

    #[test]
    fn a_program_that_fails_or_hangs_gives_nothing() {
        assert!(matches!(shell("echo x; exit 3", LIMIT), Err(SecretProblem::Failed(_))));
        assert_eq!(
            shell("exec cat /dev/zero", LIMIT)
                .err()
                .map(|e| matches!(e, SecretProblem::Failed(_) | SecretProblem::TooLong(_))),
            Some(true)
        );
        // The pipe is held by a child of the child, which the group's end must reach.
        assert_eq!(shell("sleep 600 & wait", Duration::from_millis(50)).err(), Some(SecretProblem::TooSlow));
        assert_eq!(
            run(&["/nonexistent/program".to_owned()], &Environment::default()).err(),
            Some(SecretProblem::NotStarted(std::io::ErrorKind::NotFound))
        );
    }
}
