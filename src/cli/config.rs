//! `locum config show` and `locum config check`.

use std::fmt::Write as _;

use clap::Subcommand;
use serde_json::json;

use super::{Context, Exit, Failure, output};
use crate::config::{AllowUsers, Config, ConfigError, Loaded, RootSecret};
use crate::vault::RootId;

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Print every value in force and where it came from; secrets are only said to be set
    Show,
    /// Find every mistake, try every secret's place, and say what is configured
    Check,
}

pub(super) fn run(context: &Context<'_>, command: &ConfigCommand) -> Result<Exit, Failure> {
    match command {
        ConfigCommand::Show => show(context),
        ConfigCommand::Check => check(context),
    }
}

fn show(context: &Context<'_>) -> Result<Exit, Failure> {
    let loaded = Config::load(context.config.as_deref(), context.environment)?;
    if context.json {
        output::json(&loaded.effective())?;
    } else {
        let rows = loaded.effective().values.into_iter().map(|shown| {
            let value = match shown.value.as_str() {
                Some(words) if shown.secret => words.to_owned(),
                _ => shown.value.to_string(),
            };
            [shown.key, shown.place.unwrap_or(shown.source), value]
        });
        output::data(&output::table(["KEY", "SOURCE", "VALUE"], rows))?;
    }
    loaded.warnings.iter().for_each(|warning| output::warn(warning));
    Ok(Exit::Done)
}

fn check(context: &Context<'_>) -> Result<Exit, Failure> {
    let explicit = context.config.as_deref();
    let loaded = Config::load(explicit, context.environment);
    // The key is tried even where the rest is wrong: one run tells everything.
    let root_key = match &loaded {
        Ok(loaded) => Some(loaded.config.vault.root_key.clone()),
        Err(_) => Config::root_key_source(explicit, context.environment),
    };
    let root_key = root_key.map(|source| source.load(context.environment)).transpose();
    match (loaded, root_key) {
        (Ok(loaded), Ok(root_key)) => {
            let id = root_key.and_then(|secret| root_key_id(&secret));
            if context.json {
                output::json(&json!({
                    "ok": true, "file": loaded.path, "root_key_id": id, "warnings": loaded.warnings,
                }))?;
            } else {
                output::data(&facts(&loaded, id.as_deref()))?;
            }
            loaded.warnings.iter().for_each(|warning| output::warn(warning));
            Ok(Exit::Done)
        }
        (loaded, root_key) => {
            let errors: Vec<ConfigError> = loaded.err().into_iter().chain(root_key.err()).collect();
            if context.json {
                let mistakes: Vec<serde_json::Value> = errors.iter().flat_map(mistakes).collect();
                output::json(&json!({ "ok": false, "mistakes": mistakes }))?;
                return Ok(Exit::Usage);
            }
            let words: Vec<String> = errors.iter().map(ToString::to_string).collect();
            Err(Failure::usage(anyhow::anyhow!(words.join("\n"))))
        }
    }
}

/// The short id of the key; a pass-phrase has one only together with its vault.
pub(super) fn root_key_id(secret: &RootSecret) -> Option<String> {
    match secret {
        RootSecret::Key(key) => Some(RootId::of(key).to_string()),
        RootSecret::Passphrase(_) => None,
    }
}

/// What is configured, in a few lines.
fn facts(loaded: &Loaded, root_key_id: Option<&str>) -> String {
    let config = &loaded.config;
    let file = loaded.path.as_ref().map_or_else(
        || "the environment's variables are".to_owned(),
        |path| format!("{} is", path.display()),
    );
    let mut text = format!("ok: {file} valid\n");
    let mut fact = |name: &str, value: String| {
        writeln!(text, "{name:<16}{value}").expect("writing to a string does not fail");
    };
    fact("listens on", config.server.listen.to_string());
    if let Some(url) = &config.server.public_url {
        fact("public URL", url.to_string());
    }
    fact("provider", config.google.issuer.clone());
    for client in &config.clients {
        let sources: Vec<&str> = client.sources.iter().map(|source| source.as_str()).collect();
        let secrets = count(client.secrets.len(), "secret");
        fact(
            "client",
            format!(
                "{}: {}; {secrets}; project {}",
                client.name,
                sources.join(", "),
                client.client_id.project()
            ),
        );
    }
    fact("may connect", who(&config.allow_users));
    fact("vault", config.vault.path.display().to_string());
    let id = root_key_id.map(|id| format!("{id}, ")).unwrap_or_default();
    fact("root key", format!("{id}from {}", config.vault.root_key.source().place()));
    text
}

/// Who may connect, in a few words.
pub(super) fn who(allowed: &AllowUsers) -> String {
    match allowed {
        AllowUsers::Anyone => "anyone with a Google account".to_owned(),
        AllowUsers::Listed { emails, domains } => {
            format!("{} and {}", count(emails.len(), "address"), count(domains.len(), "domain"))
        }
    }
}

pub(super) fn count(number: usize, noun: &str) -> String {
    match (number, noun.ends_with('s')) {
        (1, _) => format!("1 {noun}"),
        (_, true) => format!("{number} {noun}es"),
        (_, false) => format!("{number} {noun}s"),
    }
}

fn mistakes(error: &ConfigError) -> Vec<serde_json::Value> {
    match error {
        ConfigError::Mistakes(mistakes) => mistakes
            .iter()
            .map(|mistake| {
                json!({
                    "source": mistake.origin.to_string(), "key": mistake.key, "problem": mistake.problem,
                })
            })
            .collect(),
        ConfigError::RootKey { key, problem } => vec![json!({ "key": key, "problem": problem.to_string() })],
        other => vec![json!({ "problem": other.to_string() })],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;

    fn environment(folder: &std::path::Path) -> Environment {
        Environment::given(
            folder,
            [
                ("LOCUM_ALLOW_USERS", "alice@example.org, example.com"),
                ("LOCUM_VAULT__ROOT_KEY_FILE", "root.key"),
                ("LOCUM_CLIENTS__MAIN__CLIENT_ID", "402839145520-x.apps.googleusercontent.com"),
                ("LOCUM_CLIENTS__MAIN__CLIENT_SECRET", "GOCSPX-EXAMPLE-needle"),
                ("LOCUM_CLIENTS__MAIN__SOURCES", "ios"),
            ],
        )
    }

    fn run_in(folder: &std::path::Path, command: &ConfigCommand) -> Result<Exit, Failure> {
        run(&Context { environment: &environment(folder), config: None, json: false, quiet: false }, command)
    }

    #[test]
    fn a_check_tries_the_root_key_and_a_show_does_not() {
        let folder = tempfile::tempdir().expect("folder");
        assert_eq!(run_in(folder.path(), &ConfigCommand::Show).expect("shown"), Exit::Done);
        let failure = run_in(folder.path(), &ConfigCommand::Check).expect_err("no root key yet");
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.error.to_string().starts_with("vault.root_key_file: the file"), "{}", failure.error);
    }

    #[test]
    fn a_check_tells_of_the_root_key_beside_other_mistakes() {
        let folder = tempfile::tempdir().expect("folder");
        let environment = Environment::given(
            folder.path(),
            [("LOCUM_ALLOW_USERS", "nonsense nonsense"), ("LOCUM_VAULT__ROOT_KEY_FILE", "root.key")],
        );
        let context = Context { environment: &environment, config: None, json: false, quiet: false };
        let told = run(&context, &ConfigCommand::Check).expect_err("wrong").error.to_string();
        assert!(told.contains("allow_users") && told.contains("vault.root_key_file: the file"), "{told}");
    }

    #[test]
    fn facts_and_values_hold_no_secret() {
        let folder = tempfile::tempdir().expect("folder");
        let loaded = Config::load(None, &environment(folder.path())).expect("valid");
        let facts = facts(&loaded, Some("0011223344556677"));
        for words in ["main: ios; 1 secret; project 402839145520", "1 address and 1 domain", "127.0.0.1:8787"]
        {
            assert!(facts.contains(words), "{words}\n{facts}");
        }
        let told = format!("{facts}{loaded:?}{}", serde_json::to_string(&loaded.shown).expect("json"));
        assert!(!told.contains("needle"), "{told}");
        assert!(loaded.shown.iter().any(|shown| shown.secret && shown.value == "set"));
    }
}
