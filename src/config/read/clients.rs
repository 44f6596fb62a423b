//! The `[[clients]]` tables.

use figment::value::Value;

use super::super::client::{Client, Source};
use super::super::client_secret::{self, ClientFile, NO_SECRET};
use super::super::error::Origin;
use super::super::layers::client_name;
use super::super::secret_file;
use super::super::secret_source::{Openness, SecretSource};
use super::super::sections::GoogleSection;
use super::super::values::Setting as _;
use super::{Reading, Table};
use crate::ids::OAuthClientId;
use crate::secret::ClientSecret;

/// Every client that is right. `variables` collects the names that `_env` keys use.
pub(super) fn clients(
    reading: &mut Reading<'_>,
    google: &GoogleSection,
    has_own_sign_in: bool,
    variables: &mut Vec<String>,
) -> Vec<Client> {
    let layers = reading.layers;
    let tables = match layers.root.get("clients") {
        Some(Value::Dict(_, tables)) if !tables.is_empty() => tables,
        Some(Value::Dict(..)) | None => {
            let problem = "is missing: describe the OAuth client of your Google Cloud project under [[clients]], \
                           or let `locum init` do it";
            reading.mistake(layers.place(), "clients".to_owned(), problem);
            return vec![];
        }
        Some(other) => {
            let origin = layers.origin(other, &["clients"]);
            let problem = match origin {
                Origin::Variable(_) => "expected a key of a client, as in LOCUM_CLIENTS__NAME__CLIENT_ID",
                Origin::File(_) | Origin::Default => "expected tables, each under its own [[clients]]",
            };
            reading.mistake(origin, "clients".to_owned(), problem);
            return vec![];
        }
    };
    let mut clients: Vec<Client> = Vec::new();
    for (index, (place, value)) in tables.iter().enumerate() {
        let Some(dict) = value.as_dict() else {
            let origin = layers.origin(value, &["clients", place]);
            reading.mistake(origin, "clients".to_owned(), "expected tables, each under its own [[clients]]");
            continue;
        };
        // Only a name that is one is printed: anything may have slipped into the key.
        let prefix = match client_name(value).parse::<crate::ids::ClientName>() {
            Ok(name) => format!("clients[{name}]."),
            Err(_) => format!("clients[{}].", index + 1),
        };
        let table = Table { section: "clients", path: vec!["clients", place], prefix, dict: Some(dict) };
        reading.note_unknown(&table);
        let Some(client) = client(reading, &table, google, has_own_sign_in, variables) else { continue };
        if let Some(twin) = clients.iter().find(|other| other.name == client.name) {
            let problem = format!("two clients are named {}; names tell them apart", twin.name);
            reading.mistake(reading.place_of(&table), table.key("name"), problem);
        }
        if let Some(twin) = clients.iter().find(|other| other.client_id == client.client_id) {
            let problem = format!(
                "the client {} has the same client_id; one client at Google is one table here, with all its sources",
                twin.name
            );
            reading.mistake(reading.place_of(&table), table.key("client_id"), problem);
        }
        clients.push(client);
    }
    clients
}

fn client<'a>(
    reading: &mut Reading<'a>,
    table: &Table<'a>,
    google: &GoogleSection,
    has_own_sign_in: bool,
    variables: &mut Vec<String>,
) -> Option<Client> {
    let name = reading.required(table, "name");
    let file = client_file(reading, table, google);
    let client_id = client_id(reading, table, google, file.as_ref());
    let secrets = secrets(reading, table, file.as_ref(), variables);
    let sources: Option<Vec<Source>> = reading.required(table, "sources");
    let redirect_uris =
        or_from_file(reading, table, "redirect_uris", file.as_ref(), |file| &file.redirect_uris);
    let javascript_origins =
        or_from_file(reading, table, "javascript_origins", file.as_ref(), |file| &file.javascript_origins);
    let popup_redirect_uri = reading.defaulted(table, "popup_redirect_uri");
    let scopes = reading.defaulted(table, "scopes");
    let authorized_parties: Vec<OAuthClientId> = reading.defaulted(table, "authorized_parties");
    if authorized_parties.iter().any(|id| !is_googles(id, google)) {
        let problem =
            "expected a list of client ids as Google shows them, ending in .apps.googleusercontent.com";
        let origin = origin(reading, table, "authorized_parties");
        reading.mistake(origin, table.key("authorized_parties"), problem);
    }
    let sources = sources?;
    // Nobody knows what an unreadable file would give.
    let unreadable = matches!(file, Some(Err(Noted)));
    if sources.contains(&Source::Web) && redirect_uris.is_empty() && !has_own_sign_in && !unreadable {
        let problem = "is missing: the source web needs the redirect URIs registered at Google, byte for byte, or \
                       server.public_url for locum's own sign-in";
        reading.mistake(reading.place_of(table), table.key("redirect_uris"), problem);
    }
    if file.is_some_and(|file| file.is_ok_and(|read| read.file.installed))
        && sources.iter().any(|source| !matches!(source, Source::Desktop | Source::Device))
    {
        reading.warnings.push(format!(
            "{}client_secret_json is a desktop client's: codes of ios, android, web and popup belong to the *Web application* client (the one in GIDServerClientID), and Google will refuse them here",
            table.prefix
        ));
    }
    Some(Client {
        name: name?,
        client_id: client_id?,
        secrets: secrets?,
        sources,
        redirect_uris,
        javascript_origins,
        popup_redirect_uri,
        scopes,
        authorized_parties,
    })
}

/// What is wrong with the file is noted, and then its values are not missed again.
struct Noted;

struct Read {
    file: ClientFile,
    /// Where the values in it come from, for `config show`.
    source: String,
}

type File = Result<Read, Noted>;

/// A list from the configuration, else the one in Google's file.
fn or_from_file<'a>(
    reading: &mut Reading<'a>,
    table: &Table<'a>,
    name: &str,
    file: Option<&File>,
    pick: fn(&ClientFile) -> &Vec<String>,
) -> Vec<String> {
    if let Some(list) = reading.optional(table, name) {
        return list;
    }
    let Some(Ok(read)) = file else { return vec![] };
    let list = pick(&read.file).clone();
    if !list.is_empty() {
        reading.show(table.key(name), list.show(), &read.source);
    }
    list
}

fn client_file<'a>(reading: &mut Reading<'a>, table: &Table<'a>, google: &GoogleSection) -> Option<File> {
    const NAME: &str = "client_secret_json";
    let origin = origin(reading, table, NAME);
    reading.given(table, NAME)?;
    let Some(path) = reading.optional::<std::path::PathBuf>(table, NAME) else { return Some(Err(Noted)) };
    let content = match secret_file::read(&path, Openness::Any) {
        Ok(content) => content,
        Err(problem) => {
            reading.mistake(origin, table.key(NAME), problem.to_string());
            return Some(Err(Noted));
        }
    };
    warn_open(reading, &path, content.readable_by_others);
    match client_secret::parse(&content.content, google.is_loopback()) {
        Ok(file) => Some(Ok(Read { file, source: path.display().to_string() })),
        Err(problem) => {
            let problem = format!("{}: {problem}", path.display());
            reading.mistake(origin, table.key(NAME), problem);
            Some(Err(Noted))
        }
    }
}

fn client_id<'a>(
    reading: &mut Reading<'a>,
    table: &Table<'a>,
    google: &GoogleSection,
    file: Option<&File>,
) -> Option<OAuthClientId> {
    let written: Option<OAuthClientId> = reading.optional(table, "client_id");
    let is_written = reading.given(table, "client_id").is_some();
    let place = origin(reading, table, if is_written { "client_id" } else { "client_secret_json" });
    let id = match (written, file) {
        (Some(written), Some(Ok(read))) if written != read.file.client_id => {
            let problem =
                "differs from the one in client_secret_json; leave it out, or name the file of this client";
            reading.mistake(place, table.key("client_id"), problem);
            return None;
        }
        (Some(written), _) => written,
        (None, Some(Ok(read))) => {
            let id = read.file.client_id.clone();
            reading.show(table.key("client_id"), id.show(), &read.source);
            id
        }
        (None, Some(Err(Noted))) => return None,
        (None, None) if is_written => return None,
        (None, None) => {
            let problem = format!(
                "is missing: name Google's file by client_secret_json, or give client_id and client_secret_file. {NO_SECRET}"
            );
            reading.mistake(reading.place_of(table), table.key("client_id"), problem);
            return None;
        }
    };
    if !is_googles(&id, google) {
        let problem = "expected a client id as Google shows it, ending in .apps.googleusercontent.com";
        reading.mistake(place, table.key("client_id"), problem);
        return None;
    }
    Some(id)
}

/// Another provider's ids may look like anything.
fn is_googles(id: &OAuthClientId, google: &GoogleSection) -> bool {
    google.issuer != GoogleSection::GOOGLE
        || google.is_loopback()
        || id.as_str().ends_with(".apps.googleusercontent.com")
}

fn secrets<'a>(
    reading: &mut Reading<'a>,
    table: &Table<'a>,
    file: Option<&File>,
    variables: &mut Vec<String>,
) -> Option<Vec<ClientSecret>> {
    let first = reading.secret_forms(table, "client_secret");
    let second = reading.secret_forms(table, "second_client_secret");
    let mut secrets = Vec::new();
    match (file, first.first()) {
        (Some(_), Some(also)) => {
            let problem = "client_secret_json gives the secret already; a second one while rotating is second_client_secret";
            reading.mistake(also.origin.clone(), also.key.clone(), problem);
        }
        (Some(file), None) => secrets.extend(file.as_ref().ok().map(|read| read.file.secret.clone())),
        (None, None) => {
            // A client without an id is told so already, in the same words.
            if reading.given(table, "client_id").is_some() {
                let problem = format!("is missing. {NO_SECRET}");
                reading.mistake(reading.place_of(table), table.key("client_secret_file"), problem);
            }
            return None;
        }
        (None, Some(_)) => secrets.extend(load(reading, first, variables)),
    }
    let again = second.first().map(|given| (given.key.clone(), given.origin.clone()));
    if !second.is_empty() {
        secrets.extend(load(reading, second, variables));
    }
    let [first, rest @ ..] = &*secrets else { return None };
    if rest.contains(first) {
        let problem = "is the same as the first secret; it is for another one, while one replaces the other";
        let (key, origin) =
            again.unwrap_or_else(|| (table.key("second_client_secret"), reading.place_of(table)));
        reading.mistake(origin, key, problem);
    }
    Some(secrets)
}

fn load(
    reading: &mut Reading<'_>,
    found: Vec<super::SecretGiven>,
    variables: &mut Vec<String>,
) -> Option<ClientSecret> {
    let given = reading.only_one(found)?;
    let source = given.source?;
    if let SecretSource::Env(name) = &source {
        variables.push(name.clone());
    }
    if let SecretSource::File(path) = &source
        && let Ok(file) = secret_file::read(path, Openness::Any)
    {
        warn_open(reading, path, file.readable_by_others);
    }
    match source.load(reading.environment, Openness::Any) {
        // RFC 6749 appendix A.2: printable ASCII.
        Ok(text) if text.expose().bytes().all(|b| (0x20..0x7f).contains(&b)) => {
            Some(ClientSecret::new(text.expose()))
        }
        Ok(_) => {
            let problem = format!("{} gives more than one line of printable ASCII", source.place());
            reading.mistake(given.origin, given.key, problem);
            None
        }
        Err(problem) => {
            reading.mistake(given.origin, given.key, problem.to_string());
            None
        }
    }
}

fn warn_open(reading: &mut Reading<'_>, path: &std::path::Path, readable_by_others: bool) {
    if readable_by_others {
        let path = path.display();
        reading.warnings.push(format!(
            "every user of this machine may read {path}, which holds a secret; run `chmod 600 {path}`"
        ));
    }
}

fn origin<'a>(reading: &Reading<'a>, table: &Table<'a>, name: &str) -> Origin {
    reading.given(table, name).map_or_else(|| reading.place_of(table), |(_, origin)| origin)
}
