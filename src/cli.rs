//! The command line: the tree of commands, and what each outcome is as an exit code.
//!
//! Data goes to standard output and everything else to standard error, so that a command can stand in a
//! pipe. Secrets are never arguments: other users of the machine can read a process's arguments. This is
//! the only module that knows clap, and the only one where an error may be without a type.

mod admin;
mod assembly;
mod config;
mod connect;
mod dashboard;
mod demo;
mod drive;
mod emulator;
mod events;
mod init;
mod invite;
mod key;
mod output;
mod private_folder;
mod running;
mod serve;
mod status;
mod user;
mod vault;
mod words;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{ConfigError, Environment};

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All is done.
    Done,
    /// It failed.
    Failed,
    /// The command line or the configuration has to be mended.
    Usage,
    /// A person has to act: consent, sign in again, put a client right.
    NeedsPerson,
    /// The same command may succeed later (`EX_TEMPFAIL` of sysexits).
    TryLater,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::NeedsPerson => 3,
            Exit::TryLater => 75,
        })
    }
}

/// Why a command did not do its work, and the exit code that says so.
#[derive(Debug)]
struct Failure {
    exit: Exit,
    error: anyhow::Error,
    /// The server's own words for programs (RFC 9457), where it was the server that refused.
    problem: Option<serde_json::Value>,
}

impl Failure {
    fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self { exit: Exit::Usage, error: error.into(), problem: None }
    }

    fn later(error: impl Into<anyhow::Error>) -> Self {
        Self { exit: Exit::TryLater, error: error.into(), problem: None }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::usage(error)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self { exit: Exit::Failed, error, problem: None }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        anyhow::Error::from(error).into()
    }
}

/// Where help puts what every command takes.
const EVERYWHERE: &str = "Every command";

/// Stands in for people at Google while they are offline: codes in, fresh access tokens out.
#[derive(Debug, Parser)]
#[command(name = "locum", version, disable_help_subcommand = true, arg_required_else_help = true)]
struct Cli {
    /// The configuration file [default: $LOCUM_CONFIG, ./locum.toml, ~/.config/locum/config.toml,
    /// /etc/locum/config.toml]
    #[arg(long, value_name = "FILE", global = true, help_heading = EVERYWHERE)]
    config: Option<PathBuf>,
    /// Print JSON for programs instead of text for people
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    Serve,
    /// Tell how everybody is; the exit code tells a cron job
    Status(status::Arguments),
    /// Show everything on this machine, without a Google project
    Demo(demo::Arguments),
    /// Run the emulated Google alone, for an app's own tests
    Emulator(emulator::Arguments),
    /// Write a configuration and a root key, and say what to register at Google
    Init(init::Arguments),
    /// Show or check the configuration
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// See, refresh and forget the people who are connected
    #[command(subcommand)]
    User(user::UserCommand),
    /// Connect your own account, by a browser or by a code typed elsewhere
    Connect(connect::Arguments),
    /// Make a one-time link that leads a person through consent
    Invite(invite::Arguments),
    /// Make, list, rotate and revoke API keys for your programs
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// List, fetch, write and remove people's app data in Drive
    #[command(subcommand)]
    Drive(drive::DriveCommand),
    /// Tell what happened, and go on with what happens
    Events(events::Arguments),
    /// Open the dashboard in a browser, and sign browsers out of it
    #[command(subcommand)]
    Admin(dashboard::AdminCommand),
    /// Back up and restore the vault
    #[command(subcommand)]
    Vault(vault::VaultCommand),
}

/// What every command is given.
struct Context<'a> {
    environment: &'a Environment,
    config: Option<PathBuf>,
    json: bool,
    /// Say nothing that is not data or an error.
    quiet: bool,
}

/// Parses the arguments, the program's name first, and runs the command they name.
pub fn run(arguments: impl IntoIterator<Item = OsString>, environment: &Environment) -> Exit {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(message) => {
            // Help and the version are data, on standard output; a closed pipe there is no failure.
            let _ = message.print();
            return if message.use_stderr() { Exit::Usage } else { Exit::Done };
        }
    };
    let quiet = matches!(&cli.command, Command::Status(arguments) if arguments.quiet);
    let context = Context { environment, config: cli.config, json: cli.json, quiet };
    let outcome = match cli.command {
        Command::Serve => serve::run(&context),
        Command::Status(_) => status::run(&context),
        Command::Demo(arguments) => demo::run(&context, &arguments),
        Command::Emulator(arguments) => emulator::run(&context, arguments),
        Command::User(command) => user::run(&context, command),
        Command::Connect(arguments) => connect::run(&context, arguments),
        Command::Invite(arguments) => invite::run(&context, arguments),
        Command::Key(command) => key::run(&context, command),
        Command::Drive(command) => drive::run(&context, command),
        Command::Events(arguments) => events::run(&context, &arguments),
        Command::Admin(command) => dashboard::run(&context, command),
        Command::Vault(command) => vault::run(&context, command),
        Command::Init(arguments) => init::run(&context, arguments),
        Command::Config(command) => config::run(&context, &command),
    };
    match outcome {
        Ok(exit) => exit,
        Err(failure) if output::is_closed_pipe(&failure.error) => Exit::Done,
        Err(failure) => {
            // A program that reads JSON gets the problem as the server wrote it.
            if let (true, Some(problem)) = (context.json, &failure.problem) {
                let _ = output::json(problem);
            }
            output::note(&format!("locum: {:#}", failure.error));
            failure.exit
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_tree_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn outcomes_have_the_documented_exit_codes() {
        for (exit, code) in [
            (Exit::Done, 0),
            (Exit::Failed, 1),
            (Exit::Usage, 2),
            (Exit::NeedsPerson, 3),
            (Exit::TryLater, 75),
        ] {
            assert_eq!(format!("{:?}", ExitCode::from(exit)), format!("{:?}", ExitCode::from(code)));
        }
        let environment = Environment::given("/", [("HOME", "/")]);
        let run = |arguments: &[&str]| run(arguments.iter().map(OsString::from), &environment);
        assert_eq!(run(&["locum", "--version"]), Exit::Done);
        assert_eq!(run(&["locum", "nonsense"]), Exit::Usage);
        assert_eq!(run(&["locum", "config", "check"]), Exit::Usage);
    }
}
