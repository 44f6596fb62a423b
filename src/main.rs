//! The `locum` program: parse, run, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    // First of all, while there is one thread: the variables that may hold secrets leave the process.
    let environment = locum::config::Environment::capture_and_clear_secrets();
    // Whatever locum creates belongs to its user alone.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    leave_no_core();
    locum::cli::run(std::env::args_os(), &environment).into()
}

/// A core file would hold every secret in memory. Not dumpable also closes `/proc/PID/environ` and
/// `/proc/PID/mem` to other programs of the same user. Where the system refuses, locum runs all the same.
fn leave_no_core() {
    use rustix::process::{Resource, Rlimit, setrlimit};

    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}
