//! Reading typed values off the merged layers, and noting every mistake on the way.
//!
//! A mistake never stops the reading: a key with a default falls back to it, so that one run tells all.
//! The outcome is used only when there is no mistake.

mod clients;
mod mirrors;
mod sections;

use figment::value::{Dict, Value};
use serde_json::Value as Json;

use super::environment::Environment;
use super::error::{Mistake, Origin};
use super::keys::{self, Absent, KEYS, SECRET_FORMS, SECTIONS};
use super::layers::Layers;
use super::secret_source::{RootKeySource, SecretSource};
use super::values::{Given, Setting};
use super::{Config, Place};
use crate::secret::SecretText;

/// One effective value, for `config show`. Secrets are only said to be set.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Shown {
    /// The key's path, such as `clients[main].sources`.
    pub key: String,
    /// The value as it is used; absent values are not shown.
    pub value: Json,
    /// Where it came from: a file, a variable, or `default`.
    pub source: String,
    /// Whether it is a secret, and `value` only words about it.
    pub secret: bool,
}

impl Shown {
    /// The source of what nobody wrote.
    pub(super) const DEFAULT: &str = "default";
}

/// The outcome of a reading without mistakes.
pub(super) struct Outcome {
    pub(super) config: Config,
    pub(super) warnings: Vec<String>,
    pub(super) shown: Vec<Shown>,
}

/// Reads everything.
pub(super) fn config(layers: &Layers, environment: &Environment) -> Result<Outcome, Vec<Mistake>> {
    let mut reading = Reading::new(layers, environment);
    let config = sections::config(&mut reading);
    match config {
        Some(config) if reading.mistakes.is_empty() => {
            Ok(Outcome { config, warnings: reading.warnings, shown: reading.shown })
        }
        _ => Err(reading.mistakes),
    }
}

/// Reads only where the root key comes from; `None` when that itself is missing or wrong.
pub(super) fn root_key(layers: &Layers, environment: &Environment) -> Option<RootKeySource> {
    sections::root_key(&mut Reading::new(layers, environment), &mut Vec::new())
}

/// Reads only where the vault and the admin socket are; mistakes elsewhere do not matter.
pub(super) fn place(layers: &Layers, environment: &Environment) -> Result<Place, Vec<Mistake>> {
    let mut reading = Reading::new(layers, environment);
    let vault = sections::vault_path(&mut reading);
    let admin_socket = sections::admin_socket(&mut reading, &vault);
    if reading.mistakes.is_empty() {
        Ok(Place { config_file: layers.file.clone(), vault, admin_socket })
    } else {
        Err(reading.mistakes)
    }
}

/// The layers with what was found in them so far.
struct Reading<'a> {
    layers: &'a Layers,
    environment: &'a Environment,
    mistakes: Vec<Mistake>,
    warnings: Vec<String>,
    shown: Vec<Shown>,
}

/// One table: a section, or one client.
#[derive(Clone)]
struct Table<'a> {
    section: &'static str,
    /// Its path in the tree of values.
    path: Vec<&'a str>,
    /// What its keys' paths begin with, for people.
    prefix: String,
    dict: Option<&'a Dict>,
}

impl Table<'_> {
    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

/// A secret as one of its keys gives it.
struct SecretGiven {
    key: String,
    origin: Origin,
    is_variable: bool,
    /// `None` when the value is of the wrong type; that is noted already.
    source: Option<SecretSource>,
}

impl<'a> Reading<'a> {
    fn new(layers: &'a Layers, environment: &'a Environment) -> Self {
        Self { layers, environment, mistakes: vec![], warnings: vec![], shown: vec![] }
    }

    fn mistake(&mut self, origin: Origin, key: String, problem: impl Into<String>) {
        self.mistakes.push(Mistake { origin, key, problem: problem.into() });
    }

    /// The top of the file.
    fn top(&self) -> Table<'a> {
        Table { section: "", path: vec![], prefix: String::new(), dict: Some(&self.layers.root) }
    }

    /// A section, its unknown keys noted: open each once by this, and then by [`Reading::table`].
    fn section(&mut self, section: &'static str) -> Table<'a> {
        let table = self.table(section);
        if let (Some(value), None) = (self.layers.root.get(section), table.dict) {
            let origin = self.layers.origin(value, &[section]);
            let expected = format!("expected a section, [{section}] with keys under it");
            self.mistake(origin, section.to_owned(), expected);
        }
        self.note_unknown(&table);
        table
    }

    /// A section whose unknown keys are noted already.
    fn table(&self, section: &'static str) -> Table<'a> {
        let dict = self.layers.root.get(section).and_then(Value::as_dict);
        Table { section, path: vec![section], prefix: format!("{section}."), dict }
    }

    /// Where a key of a table is written, and its value.
    fn given(&self, table: &Table<'a>, name: &str) -> Option<(Given<'a>, Origin)> {
        let value = table.dict?.get(name)?;
        let mut path = table.path.clone();
        path.push(name);
        let origin = self.layers.origin(value, &path);
        let given = match value.as_str() {
            Some(text) if self.layers.is_variable(value) => Given::Text(text, self.environment.directory()),
            _ => Given::Typed(value, &self.layers.file_directory),
        };
        Some((given, origin))
    }

    /// Where a table is written, for what is missing in it: the file, unless variables alone make it up.
    fn place_of(&self, table: &Table<'a>) -> Origin {
        let names = table.dict.into_iter().flat_map(Dict::keys);
        let origins: Vec<Origin> = names.filter_map(|name| Some(self.given(table, name)?.1)).collect();
        let by_variables = origins.iter().all(|origin| matches!(origin, Origin::Variable(_)));
        let first = origins.into_iter().next();
        first.filter(|_| by_variables).unwrap_or_else(|| self.layers.place())
    }

    fn show(&mut self, key: String, value: Json, source: impl ToString) {
        self.shown.push(Shown { key, value, source: source.to_string(), secret: false });
    }

    /// The value of a key, if it is given and right.
    fn optional<T: Setting>(&mut self, table: &Table<'a>, name: &str) -> Option<T> {
        let kind = key_of(table.section, name).kind;
        let (given, origin) = self.given(table, name)?;
        let value = T::read(given, kind);
        match &value {
            Some(value) => self.show(table.key(name), value.show(), origin),
            None => self.mistake(origin, table.key(name), format!("expected {}", kind.expected())),
        }
        value
    }

    /// The value of a key that must be given.
    fn required<T: Setting>(&mut self, table: &Table<'a>, name: &str) -> Option<T> {
        if self.given(table, name).is_none() {
            let key = key_of(table.section, name);
            let problem = format!("is missing. {} Expected {}", key.words, key.kind.expected());
            self.mistake(self.layers.place(), table.key(name), problem);
            return None;
        }
        self.optional(table, name)
    }

    /// The value of a key that has a default.
    fn defaulted<T: Setting>(&mut self, table: &Table<'a>, name: &str) -> T {
        if let Some(value) = self.optional(table, name) {
            return value;
        }
        let key = key_of(table.section, name);
        let Absent::Default(text) = key.absent else { unreachable!("{}.{name} has no default", key.section) };
        let value = T::read(Given::Text(text, &self.layers.file_directory), key.kind)
            .expect("every default in the table is of its kind; a test reads the empty configuration");
        if self.given(table, name).is_none() {
            self.show(table.key(name), value.show(), Origin::Default);
        }
        value
    }

    /// The ways in which a secret is given. Where variables give it, what the file says does not count.
    fn secret_forms(&mut self, table: &Table<'a>, name: &str) -> Vec<SecretGiven> {
        let mut found = Vec::new();
        for (ending, expected) in SECRET_FORMS {
            let full = format!("{name}{ending}");
            let Some((given, origin)) = self.given(table, &full) else { continue };
            let text = || given.text().filter(|text| !text.is_empty()).map(str::to_owned);
            let source = match ending {
                "" => text().map(SecretText::new).map(SecretSource::Value),
                "_file" => given.path().map(SecretSource::File),
                // Checked here, so that a secret put in the place of a name is never printed as one.
                "_env" => text().filter(|name| is_our_variable(name)).map(SecretSource::Env),
                "_command" => given.list().filter(|argv| !argv.is_empty()).map(SecretSource::Command),
                _ => text().map(SecretSource::Credential),
            };
            if source.is_none() {
                self.mistake(origin.clone(), table.key(&full), format!("expected {expected}"));
            }
            let is_variable = matches!(origin, Origin::Variable(_));
            found.push(SecretGiven { key: table.key(&full), origin, is_variable, source });
        }
        found
    }

    /// The one way in which a secret is given; two ways are a mistake.
    fn only_one(&mut self, mut found: Vec<SecretGiven>) -> Option<SecretGiven> {
        if found.iter().any(|given| given.is_variable) {
            found.retain(|given| given.is_variable);
        }
        if let [first, _, ..] = &*found {
            let keys: Vec<&str> = found.iter().map(|given| given.key.as_str()).collect();
            let problem = format!("give exactly one of {}", keys.join(", "));
            self.mistake(first.origin.clone(), first.key.clone(), problem);
            return None;
        }
        let given = found.pop()?;
        if let Some(source) = &given.source {
            let place = match source {
                SecretSource::Value(_) => "set".to_owned(),
                other => format!("set (from {})", other.place()),
            };
            let (key, value) = (given.key.clone(), Json::String(place));
            self.shown.push(Shown { key, value, source: given.origin.to_string(), secret: true });
        }
        Some(given)
    }

    /// Notes the keys of a table that nobody knows, each with the nearest known one.
    fn note_unknown(&mut self, table: &Table<'a>) {
        let Some(dict) = table.dict else { return };
        for (name, value) in dict {
            let known = keys::find(table.section, name).is_some()
                || (table.section.is_empty() && SECTIONS.iter().any(|(section, _)| section == name));
            if !known {
                let mut path = table.path.clone();
                path.push(name);
                let origin = self.layers.origin(value, &path);
                let problem = unknown(table.section, name, matches!(origin, Origin::Variable(_)));
                self.mistake(origin, table.key(name), problem);
            }
        }
    }

    /// Notes variables that look like ours and are no setting, unless a `_env` key names them.
    fn note_loose_variables(&mut self, named: &[String]) {
        let layers = self.layers;
        for name in layers.loose.iter().filter(|name| !named.contains(name)) {
            let rest = name.trim_start_matches(super::environment::PREFIX).to_ascii_lowercase();
            let problem = unknown("", &rest, true);
            self.mistake(Origin::Variable(name.clone()), rest, problem);
        }
        for name in self.environment.ours_not_text() {
            let problem = "the variable is not UTF-8 text".to_owned();
            self.mistake(Origin::Variable(name.to_owned()), name.to_ascii_lowercase(), problem);
        }
    }
}

fn is_our_variable(name: &str) -> bool {
    name.strip_prefix(super::environment::PREFIX).is_some_and(|rest| {
        !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
    })
}

fn key_of(section: &str, name: &str) -> &'static keys::Key {
    keys::find(section, name).expect("the names read are those of the table; a test reads every section")
}

/// What to say of an unknown key: the nearest known one of its section, or the section it belongs to.
fn unknown(section: &str, name: &str, variable: bool) -> String {
    let written = |section: &str, key: &str| match (variable, section) {
        (true, "") => format!("LOCUM_{}", key.to_ascii_uppercase()),
        (true, "clients") => format!("LOCUM_CLIENTS__NAME__{}", key.to_ascii_uppercase()),
        (true, "mirror") => format!("LOCUM_MIRROR__1__{}", key.to_ascii_uppercase()),
        (true, section) => format!("LOCUM_{}__{}", section.to_ascii_uppercase(), key.to_ascii_uppercase()),
        (false, "") => format!("`{key}`"),
        (false, section) => format!("`{key}` in the section `{section}`"),
    };
    if section.is_empty() && SECTIONS.iter().any(|(known, _)| *known == name) {
        return format!("a section and not a key: its keys are {}", written(name, "…"));
    }
    let all = || KEYS.iter().flat_map(|key| key.names().map(move |name| (key.section, name)));
    let nearest = |candidates: Vec<(&'static str, String)>, least: f64| {
        candidates
            .into_iter()
            .map(|(section, known)| (strsim::jaro_winkler(name, &known), section, known))
            .filter(|(likeness, ..)| *likeness >= least)
            .max_by(|a, b| a.0.total_cmp(&b.0))
    };
    let mut here: Vec<_> = all().filter(|(known, _)| *known == section).collect();
    if section.is_empty() {
        here.extend(
            SECTIONS.iter().filter(|(name, _)| !name.is_empty()).map(|(name, _)| ("", (*name).to_owned())),
        );
    }
    // Near in its own section, else nearly equal in another one.
    let found = nearest(here, 0.8).or_else(|| nearest(all().collect(), 0.93));
    match found {
        Some((_, "", known)) if variable && SECTIONS.iter().any(|(name, _)| *name == known) => {
            format!("unknown; did you mean {}?", written(&known, "…"))
        }
        Some((_, "", known)) if SECTIONS.iter().any(|(name, _)| *name == known) => {
            format!("unknown; did you mean the section [{known}]?")
        }
        Some((_, known_section, known)) if known_section == section && !variable => {
            format!("unknown; did you mean `{known}`?")
        }
        Some((_, known_section, known)) => {
            format!("unknown; did you mean {}?", written(known_section, &known))
        }
        None => "unknown; config.toml.example shows every key".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::keys::Kind;

    #[test]
    fn an_unknown_key_names_the_nearest_one() {
        for (section, name, variable, expected) in [
            ("server", "lisen", false, "unknown; did you mean `listen`?"),
            ("", "sever", false, "unknown; did you mean the section [server]?"),
            ("", "alow_users", false, "unknown; did you mean `allow_users`?"),
            ("", "session", true, "unknown; did you mean LOCUM_SESSIONS__…?"),
            ("", "alow_users", true, "unknown; did you mean LOCUM_ALLOW_USERS?"),
            (
                "server",
                "root_key_file",
                false,
                "unknown; did you mean `root_key_file` in the section `vault`?",
            ),
            ("vault", "root_key_flie", true, "unknown; did you mean LOCUM_VAULT__ROOT_KEY_FILE?"),
            ("clients", "scope", false, "unknown; did you mean `scopes`?"),
            ("server", "zzz", false, "unknown; config.toml.example shows every key"),
        ] {
            assert_eq!(unknown(section, name, variable), expected);
        }
        assert_eq!(key_of("vault", "root_key_credential").kind, Kind::Secret);
    }
}
