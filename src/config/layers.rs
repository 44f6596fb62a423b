//! The layers: a TOML file, and the environment above it. Defaults lie below both, in [`super::keys`].
//!
//! figment merges the layers and remembers which one a value came from. Clients, a list in the file, are
//! a table here, keyed by their place in the list, so that a variable can add to one of them:
//! `LOCUM_CLIENTS__MAIN__CLIENT_SECRET` belongs to the client named `main`, and makes it if the file has
//! none of that name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};
use zeroize::Zeroizing;

use super::environment::{Environment, PREFIX};
use super::error::{ConfigError, Origin};

/// The merged values and where each came from.
pub(super) struct Layers {
    pub(super) root: Dict,
    figment: Figment,
    /// The variable that gave a value, by the value's path.
    variables: BTreeMap<Vec<String>, String>,
    /// The file, if there is one.
    pub(super) file: Option<PathBuf>,
    /// Where relative paths in the file start.
    pub(super) file_directory: PathBuf,
    /// Variables of ours that are no setting: without `__`, and no key at the top.
    pub(super) loose: Vec<String>,
}

struct Layer {
    name: &'static str,
    dict: Dict,
}

const FILE: &str = "file";
const VARIABLES: &str = "environment";

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name)
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.dict.clone()))
    }
}

/// The configuration file to read, if there is one.
pub(super) fn locate(explicit: Option<&Path>, environment: &Environment) -> Option<PathBuf> {
    explicit.map(Path::to_owned).or_else(|| environment.var("LOCUM_CONFIG").map(PathBuf::from)).or_else(
        || environment.places().iter().find(|place| environment.directory().join(place).exists()).cloned(),
    )
}

/// Reads the file.
pub(super) fn text(path: &Path, environment: &Environment) -> Result<Zeroizing<String>, ConfigError> {
    std::fs::read_to_string(environment.directory().join(path))
        .map(Zeroizing::new)
        .map_err(|error| ConfigError::Unreadable { path: path.to_owned(), kind: error.kind() })
}

impl Layers {
    /// Merges the file's text, if there is one, with the environment.
    pub(super) fn merge(file: Option<(&Path, &str)>, environment: &Environment) -> Result<Self, ConfigError> {
        let mut dict = match file {
            Some((path, text)) => parse(path, text)?,
            None => Dict::new(),
        };
        number_tables(&mut dict, "clients");
        number_tables(&mut dict, "mirror");
        let (over, variables, loose) = variables(&dict, environment);
        let figment =
            Figment::new().merge(Layer { name: FILE, dict }).merge(Layer { name: VARIABLES, dict: over });
        let root = figment.find_value("").ok().and_then(Value::into_dict).unwrap_or_default();
        let file = file.map(|(path, _)| path.to_owned());
        let file_directory = file.as_deref().and_then(Path::parent).map_or_else(
            || environment.directory().to_owned(),
            |parent| environment.directory().join(parent),
        );
        Ok(Self { root, figment, variables, file, file_directory, loose })
    }

    /// Where the value at `path` was written.
    pub(super) fn origin(&self, value: &Value, path: &[&str]) -> Origin {
        if self.is_variable(value) {
            let path: Vec<String> = path.iter().map(ToString::to_string).collect();
            // A section that a variable made has no variable of its own: name one of those in it.
            if let Some(name) =
                self.variables.range(path.clone()..).next().filter(|(at, _)| at.starts_with(&path))
            {
                return Origin::Variable(name.1.clone());
            }
        }
        self.place()
    }

    /// Whether the value came from the environment.
    pub(super) fn is_variable(&self, value: &Value) -> bool {
        self.figment.get_metadata(value.tag()).is_some_and(|metadata| metadata.name == VARIABLES)
    }

    /// Where a missing value should be written.
    pub(super) fn place(&self) -> Origin {
        self.file.clone().map_or(Origin::Default, Origin::File)
    }
}

/// The parser's own rendering prints the line at fault, which may hold a secret: only its fixed words and
/// the place are kept.
fn parse(path: &Path, text: &str) -> Result<Dict, ConfigError> {
    let table = text.parse::<toml::Table>().map_err(|error| {
        let start = error.span().map_or(0, |span| span.start.min(text.len()));
        let before = text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        ConfigError::NotToml {
            path: path.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            problem: error.message().lines().next().unwrap_or_default().to_owned(),
        }
    })?;
    Ok(Value::serialize(table).ok().and_then(Value::into_dict).unwrap_or_default())
}

fn number_tables(dict: &mut Dict, section: &str) {
    if let Some(Value::Array(tag, clients)) = dict.remove(section).map(|clients| match clients {
        Value::Array(tag, list) if list.iter().all(|client| client.as_dict().is_some()) => {
            Value::Array(tag, list)
        }
        // Anything else stays as it is, and is a mistake of type later on.
        other => {
            dict.insert(section.to_owned(), other);
            Value::Array(figment::value::Tag::Default, vec![])
        }
    }) && !clients.is_empty()
    {
        let numbered = clients.into_iter().enumerate().map(|(i, client)| (place(i), client)).collect();
        dict.insert(section.to_owned(), Value::Dict(tag, numbered));
    }
}

/// Sorts as the list did.
fn place(index: usize) -> String {
    format!("{index:06}")
}

type Variables = (Dict, BTreeMap<Vec<String>, String>, Vec<String>);

/// The environment as a layer over `file`.
fn variables(file: &Dict, environment: &Environment) -> Variables {
    let (mut dict, mut names, mut loose) = (Dict::new(), BTreeMap::new(), Vec::new());
    let mut clients: Vec<String> = file
        .get("clients")
        .and_then(Value::as_dict)
        .map(|clients| clients.values().map(|client| variable_form(client_name(client))).collect())
        .unwrap_or_default();
    for (variable, value) in environment.ours() {
        let rest = variable.trim_start_matches(PREFIX);
        if variable == "LOCUM_CONFIG" {
            continue;
        }
        let mut path: Vec<String> = match rest.split_once("__") {
            Some(("CLIENTS", rest)) => match rest.rsplit_once("__") {
                Some((client, key)) => {
                    let index = clients.iter().position(|known| known == client).unwrap_or_else(|| {
                        clients.push(client.to_owned());
                        clients.len() - 1
                    });
                    vec!["clients".to_owned(), place(index), key.to_owned()]
                }
                None => vec!["clients".to_owned(), rest.to_owned()],
            },
            Some(("MIRROR", rest)) => match rest.split_once("__").map(|(n, key)| (n.parse::<usize>(), key)) {
                Some((Ok(n @ 1..), key)) => vec!["mirror".to_owned(), place(n - 1), key.to_owned()],
                _ => vec!["mirror".to_owned(), rest.to_owned()],
            },
            Some((section, key)) => vec![section.to_owned(), key.to_owned()],
            None if super::keys::find("", &rest.to_ascii_lowercase()).is_some() => vec![rest.to_owned()],
            None => {
                loose.push(variable.to_owned());
                continue;
            }
        };
        for part in &mut path {
            part.make_ascii_lowercase();
        }
        insert(&mut dict, &path, value);
        if let [section, index, _] = &*path
            && section == "clients"
        {
            // A client that only variables describe takes its name from them.
            let place_of = |dict: &Dict| {
                dict.get(section)
                    .and_then(Value::as_dict)
                    .and_then(|clients| clients.get(index))
                    .is_some_and(|client| client.as_dict().is_some_and(|client| client.contains_key("name")))
            };
            if !place_of(file) && !place_of(&dict) {
                let position = index.parse::<usize>().unwrap_or_default();
                let name = clients.get(position).map(|name| name.to_ascii_lowercase()).unwrap_or_default();
                let name_path = vec![section.clone(), index.clone(), "name".to_owned()];
                if !name.is_empty() {
                    insert(&mut dict, &name_path, &name);
                    names.insert(name_path, variable.to_owned());
                }
            }
        }
        names.insert(path, variable.to_owned());
    }
    (dict, names, loose)
}

fn insert(dict: &mut Dict, path: &[String], text: &str) {
    match path {
        [] => {}
        [last] => {
            dict.insert(last.clone(), Value::from(text));
        }
        [first, rest @ ..] => {
            let inner = dict.entry(first.clone()).or_insert_with(|| Value::from(Dict::new()));
            if let Value::Dict(_, inner) = inner {
                insert(inner, rest, text);
            }
        }
    }
}

/// A client's name as far as it is known before anything is checked.
pub(super) fn client_name(client: &Value) -> &str {
    client.as_dict().and_then(|client| client.get("name")).and_then(Value::as_str).unwrap_or_default()
}

/// A client's name in the name of a variable, where no dash can stand.
fn variable_form(name: &str) -> String {
    name.to_ascii_uppercase().replace('-', "_")
}
