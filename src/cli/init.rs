//! `locum init`: a configuration and a root key, by questions on a terminal or by flags.
//!
//! Nothing that exists is ever overwritten: another root key would lock a vault for good.

mod questions;
mod words;

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use base64::Engine as _;
use clap::Args;
use serde_json::json;
use zeroize::Zeroizing;

use super::{Context, Exit, Failure, output};
use crate::config::{Admission, Config, ConfigError, Environment, Loaded, Source};
use crate::rng::Rng;
use crate::secret::SecretKey;
use crate::vault::RootId;

#[derive(Clone, Debug, Default, Args)]
pub(super) struct Arguments {
    /// Google's file of the Web application client (the one in GIDServerClientID)
    #[arg(long, value_name = "FILE")]
    pub(super) client_secret_json: Option<PathBuf>,
    /// Where codes come from: ios, android, web, popup, desktop, device [repeat or separate by commas]
    #[arg(long, value_name = "SOURCE", value_delimiter = ',')]
    pub(super) source: Vec<Source>,
    /// Who may connect: an e-mail address, a Workspace domain, or "anyone" [repeat or separate by commas]
    #[arg(long, value_name = "WHO", value_delimiter = ',')]
    pub(super) allow: Vec<Admission>,
    /// A scope wanted beside openid, email and profile [repeat or separate by commas]
    #[arg(long, value_name = "SCOPE", value_delimiter = ',')]
    pub(super) scope: Vec<String>,
    /// A redirect URI of the source web, where Google's file has none [repeat or separate by commas]
    #[arg(long, value_name = "URI", value_delimiter = ',')]
    pub(super) redirect_uri: Vec<String>,
    /// The address of locum as apps see it
    #[arg(long, value_name = "URL")]
    pub(super) public_url: Option<String>,
    /// The network of the reverse proxy in front of locum [repeat or separate by commas]
    #[arg(long, value_name = "NETWORK", value_delimiter = ',')]
    pub(super) trusted_proxy: Vec<String>,
    /// Your name for the client
    #[arg(long, value_name = "NAME", default_value = "main")]
    pub(super) name: String,
    /// Ask nothing: what is missing is a mistake
    #[arg(long)]
    pub(super) non_interactive: bool,
}

pub(super) fn run(context: &Context<'_>, mut arguments: Arguments) -> Result<Exit, Failure> {
    let directory = context.environment.directory();
    let config_file = directory.join(context.config.as_deref().unwrap_or(Path::new("locum.toml")));
    let plan = Plan::beside(&config_file)?;
    if !arguments.non_interactive && io::stdin().is_terminal() && io::stderr().is_terminal() {
        let judge = |arguments: &Arguments, key: &str| plan.problem(arguments, directory, key);
        questions::ask(
            &mut arguments,
            directory,
            &judge,
            &mut io::stdin().lock(),
            &mut anstream::stderr().lock(),
        )?;
    }
    let (loaded, root_key_id) = plan.write(&arguments, directory)?;
    if context.json {
        output::json(&json!({
            "config_file": plan.config_file, "root_key_file": plan.root_key_file,
            "root_key_id": root_key_id, "vault": loaded.config.vault.path, "warnings": loaded.warnings,
        }))?;
    } else {
        output::data(&format!("{}\n{}", plan.config_file.display(), plan.root_key_file.display()))?;
    }
    output::note(&words::afterwards(&loaded, &plan.root_key_file, &root_key_id));
    loaded.warnings.iter().for_each(|warning| output::warn(warning));
    Ok(Exit::Done)
}

/// The files to be written, none of which exists.
#[derive(Debug)]
struct Plan {
    config_file: PathBuf,
    root_key_file: PathBuf,
}

impl Plan {
    fn beside(config_file: &Path) -> Result<Self, Failure> {
        let plan = Self {
            config_file: config_file.to_owned(),
            root_key_file: config_file.with_file_name("root.key"),
        };
        let vault = config_file.with_file_name("vault");
        for (path, words) in [
            (&plan.config_file, "`locum config check` says how it is"),
            (
                &plan.root_key_file,
                "a vault may depend on it; move it to a safe place or name another folder by --config",
            ),
            (&vault, "a new root key would not open what is in it; name another folder by --config"),
        ] {
            if path.symlink_metadata().is_ok() {
                return Err(Failure::usage(anyhow::anyhow!(
                    "{} exists already and stays as it is: {words}",
                    path.display()
                )));
            }
        }
        Ok(plan)
    }

    /// What the configuration that these answers make would have against one of its keys; with others it waits
    /// for their answers.
    fn problem(&self, arguments: &Arguments, directory: &Path, key: &str) -> Option<String> {
        let mut whole = arguments.clone();
        if whole.source.is_empty() {
            whole.source.push(Source::Ios);
        }
        if whole.allow.is_empty() {
            whole.allow.push(Admission::Anyone);
        }
        let folder = self.config_file.parent().unwrap_or(directory);
        let text = text(&whole, directory, folder).ok()?;
        let nothing = Environment::given(directory, Vec::<(String, String)>::new());
        match Config::parse(&text, &self.config_file, &nothing) {
            Err(ConfigError::Mistakes(mistakes)) => {
                mistakes.into_iter().find(|mistake| mistake.key.contains(key)).map(|mistake| mistake.problem)
            }
            _ => None,
        }
    }

    /// Writes both files, after the text has been read as a configuration. Returns the root key's id too.
    fn write(&self, arguments: &Arguments, directory: &Path) -> Result<(Loaded, String), Failure> {
        let folder = self.config_file.parent().unwrap_or(directory);
        let text = text(arguments, directory, folder)?;
        // No variable of this shell may make the file look better than it is.
        let nothing = Environment::given(directory, Vec::<(String, String)>::new());
        let loaded = Config::parse(&text, &self.config_file, &nothing)?;
        std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be created", folder.display()))?;
        let key = SecretKey::new(Rng::system().bytes());
        let id = RootId::of(&key).to_string();
        let key = Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(key.expose()) + "\n");
        create(&self.root_key_file, key.as_bytes())?;
        if let Err(error) = create(&self.config_file, text.as_bytes()) {
            // This key was made a moment ago and nothing is sealed under it yet.
            let _ = std::fs::remove_file(&self.root_key_file);
            return Err(error.into());
        }
        File::open(folder).and_then(|folder| folder.sync_all())?;
        Ok((loaded, id))
    }
}

/// Writes a new file that only its owner may read, durably.
fn create(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(content)?;
        file.sync_all()
    };
    write().with_context(|| format!("{} cannot be written", path.display()))
}

/// The configuration file's text.
fn text(arguments: &Arguments, directory: &Path, folder: &Path) -> Result<String, Failure> {
    let mut missing = Vec::new();
    if arguments.client_secret_json.is_none() {
        missing.push(format!("--client-secret-json FILE: {}", words::WHICH_FILE));
    }
    if arguments.source.is_empty() {
        missing.push(
            "--source SOURCE: where codes come from (ios, android, web, popup, desktop, device)".to_owned(),
        );
    }
    if arguments.allow.is_empty() {
        missing.push("--allow WHO: who may connect (addresses, Workspace domains, or anyone)".to_owned());
    }
    let (Some(json), true) = (&arguments.client_secret_json, missing.is_empty()) else {
        return Err(Failure::usage(anyhow::anyhow!("init needs\n  {}", missing.join("\n  "))));
    };
    let anyone = arguments.allow.contains(&Admission::Anyone);
    if anyone && arguments.allow.len() > 1 {
        return Err(Failure::usage(anyhow::anyhow!("--allow anyone stands alone: it lets everybody in")));
    }
    let json = directory.join(json);
    let json = json.strip_prefix(folder).unwrap_or(&json);
    let allow = if anyone { quoted("anyone") } else { list(arguments.allow.iter().map(ToString::to_string)) };

    let mut text = format!(
        "# Written by `locum init`. config.toml.example and docs/configuration.md show every key.\n\n\
         # Who may connect: addresses, Workspace domains, or \"anyone\".\nallow_users = {allow}\n"
    );
    if arguments.public_url.is_some() || !arguments.trusted_proxy.is_empty() {
        text.push_str("\n[server]\n");
    }
    if let Some(url) = &arguments.public_url {
        text += &format!("public_url = {}\n", quoted(url));
    }
    if !arguments.trusted_proxy.is_empty() {
        text += &format!("trusted_proxies = {}\n", list(&arguments.trusted_proxy));
    }
    text += &format!(
        "\n[vault]\n# Without this key the vault can't be opened by anybody: keep a copy elsewhere.\nroot_key_file = \"root.key\"\n\n\
         [[clients]]\nname = {}\nclient_secret_json = {}\nsources = {}\n",
        quoted(&arguments.name),
        quoted(&json.display().to_string()),
        list(arguments.source.iter().map(ToString::to_string)),
    );
    if !arguments.redirect_uri.is_empty() {
        text += &format!("redirect_uris = {}\n", list(&arguments.redirect_uri));
    }
    if !arguments.scope.is_empty() {
        let scopes = ["openid", "email", "profile"].into_iter().map(str::to_owned);
        text += &format!("scopes = {}\n", list(scopes.chain(arguments.scope.iter().cloned())));
    }
    Ok(text)
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn list(items: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| quoted(item.as_ref())).collect();
    format!("[{}]", items.join(", "))
}

#[cfg(test)]
mod tests;
