//! The control interface under `/emulator/`, for programs that cannot reach the [`World`] directly.
//! Bodies are JSON objects; an unknown member is an error that names it.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::fault_orders::pending;
use super::people::{ChallengeMethod, ClientKind, CodeRequest, Person, RegisteredClient};
use super::reply::Reply;
use super::world::World;
use crate::ids::OAuthClientId;
use crate::scopes::ScopeSet;
use crate::secret::ClientSecret;

/// A body, or the answer that says what is wrong with it.
pub(super) fn read<T: for<'de> Deserialize<'de>>(body: &[u8]) -> Result<T, Reply> {
    serde_json::from_slice(body).map_err(|error| {
        Reply::refuse(400, "invalid_body", &format!("the body is not the JSON expected here: {error}"))
    })
}

/// A list, or one text with spaces.
#[derive(Deserialize)]
#[serde(untagged)]
enum ScopesText {
    List(Vec<String>),
    Text(String),
}

impl From<ScopesText> for ScopeSet {
    fn from(scopes: ScopesText) -> Self {
        match scopes {
            ScopesText::List(list) => list.into_iter().collect(),
            ScopesText::Text(text) => Self::parse(&text),
        }
    }
}

const fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CodeOrder {
    client_id: Option<OAuthClientId>,
    person: String,
    scopes: Option<ScopesText>,
    #[serde(default)]
    redirect_uri: String,
    nonce: Option<String>,
    code_challenge: Option<String>,
    code_challenge_method: Option<String>,
    #[serde(default = "yes")]
    offline: bool,
    #[serde(default)]
    force_consent: bool,
}

/// `POST /emulator/codes`: what an SDK would hand to the app.
pub fn issue_code(world: &World, body: &[u8]) -> Reply {
    ordered_code(world, body).unwrap_or_else(|refusal| refusal)
}

fn ordered_code(world: &World, body: &[u8]) -> Result<Reply, Reply> {
    let order: CodeOrder = read(body)?;
    let client_id = match order.client_id {
        Some(id) => id,
        None => only_web_client(world)?,
    };
    let method = match order.code_challenge_method.as_deref() {
        None | Some("plain") => ChallengeMethod::Plain,
        Some("S256") => ChallengeMethod::S256,
        Some(_) => {
            return Err(Reply::refuse(400, "invalid_body", "code_challenge_method must be S256 or plain"));
        }
    };
    let person = world.person(&order.person).ok_or_else(unknown_person)?;
    let scopes = order.scopes.map_or_else(
        || ScopeSet::parse("openid email profile https://www.googleapis.com/auth/drive.appdata"),
        ScopeSet::from,
    );
    let request = CodeRequest {
        client_id,
        sub: person.sub,
        scopes,
        redirect_uri: order.redirect_uri,
        nonce: order.nonce,
        code_challenge: order.code_challenge.map(|challenge| (method, challenge)),
        offline: order.offline,
        force_consent: order.force_consent,
    };
    match world.try_issue_code(request) {
        Ok(code) => Ok(Reply::json(200, &json!({ "code": code.expose() }))),
        Err(error) => Err(Reply::refuse(422, "cannot_issue", &error.to_string())),
    }
}

fn only_web_client(world: &World) -> Result<OAuthClientId, Reply> {
    let web = |client: &RegisteredClient| client.kind == ClientKind::Web && !client.deleted;
    let mut web = world.clients().into_iter().filter(web);
    match (web.next(), web.next()) {
        (Some(only), None) => Ok(only.client_id),
        _ => Err(Reply::refuse(
            422,
            "client_ambiguous",
            "there is not exactly one web client, so name one with client_id; GET /emulator/state lists them",
        )),
    }
}

fn unknown_person() -> Reply {
    Reply::refuse(
        422,
        "unknown_person",
        "nobody has this sub or e-mail address; GET /emulator/state lists everybody, POST /emulator/people adds a person",
    )
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PersonOrder {
    sub: Option<crate::ids::Sub>,
    email: String,
    name: String,
    hd: Option<String>,
    email_verified: Option<bool>,
    given_name: Option<String>,
    family_name: Option<String>,
    picture: Option<String>,
    locale: Option<String>,
}

/// `POST /emulator/people`: adds a person, or changes the one with the same `sub`.
pub fn add_person(world: &World, body: &[u8]) -> Reply {
    let order: PersonOrder = match read(body) {
        Ok(order) => order,
        Err(refusal) => return refusal,
    };
    let sub = order.sub.unwrap_or_else(|| world.new_sub());
    let mut person = Person::new(sub, &order.email, &order.name, order.hd.as_deref());
    person.email_verified = order.email_verified.unwrap_or(true);
    let texts = [
        (&mut person.given_name, order.given_name),
        (&mut person.family_name, order.family_name),
        (&mut person.picture, order.picture),
        (&mut person.locale, order.locale),
    ];
    for (place, text) in texts {
        if let Some(text) = text {
            *place = text;
        }
    }
    world.add_person(person.clone());
    Reply::json(200, &person)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClientOrder {
    client_id: Option<OAuthClientId>,
    project: Option<String>,
    kind: Option<ClientKind>,
    secrets: Option<Vec<ClientSecret>>,
    redirect_uris: Option<Vec<String>>,
    javascript_origins: Option<Vec<String>>,
    testing: Option<bool>,
    deleted: Option<bool>,
    disabled: Option<bool>,
}

/// `POST /emulator/clients`: registers a client, or changes what is named of the one with this id.
pub fn add_client(world: &World, body: &[u8]) -> Reply {
    let order: ClientOrder = match read(body) {
        Ok(order) => order,
        Err(refusal) => return refusal,
    };
    let known = order
        .client_id
        .as_ref()
        .and_then(|id| world.clients().into_iter().find(|client| client.client_id == *id));
    let mut client = known.unwrap_or_else(|| {
        let project = order.project.clone().unwrap_or_else(|| world.new_project());
        let id = order.client_id.clone().unwrap_or_else(|| world.new_client_id(&project));
        let mut client = RegisteredClient::web(id, world.new_secret());
        if order.kind.is_some_and(ClientKind::is_public) {
            client.secrets.clear();
        }
        client
    });
    client.kind = order.kind.unwrap_or(client.kind);
    client.secrets = order.secrets.unwrap_or(client.secrets);
    client.redirect_uris = order.redirect_uris.unwrap_or(client.redirect_uris);
    client.javascript_origins = order.javascript_origins.unwrap_or(client.javascript_origins);
    client.testing = order.testing.unwrap_or(client.testing);
    client.deleted = order.deleted.unwrap_or(client.deleted);
    client.disabled = order.disabled.unwrap_or(client.disabled);
    world.add_client(client.clone());
    Reply::json(200, &shown(&client))
}

/// A client as the control interface shows it: with its secrets, which are the emulator's own and open
/// nothing at Google.
fn shown(client: &RegisteredClient) -> Value {
    json!({
        "client_id": client.client_id,
        "project": client.client_id.project(),
        "kind": client.kind,
        "secrets": client.secrets.iter().map(ClientSecret::expose).collect::<Vec<_>>(),
        "redirect_uris": client.redirect_uris,
        "javascript_origins": client.javascript_origins,
        "testing": client.testing,
        "deleted": client.deleted,
        "disabled": client.disabled,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Withdrawal {
    person: String,
    project: String,
}

/// `POST /emulator/withdraw`: the person ends the grant on their account page.
pub fn withdraw(world: &World, body: &[u8]) -> Reply {
    let order: Withdrawal = match read(body) {
        Ok(order) => order,
        Err(refusal) => return refusal,
    };
    let Some(person) = world.person(&order.person) else { return unknown_person() };
    // A client id is taken too, since that is what people have at hand.
    let project = order.project.parse::<OAuthClientId>().map(|id| id.project().to_owned());
    let withdrawn = project.is_ok_and(|project| world.withdraw_consent(&person.sub, &project));
    Reply::json(200, &json!({ "withdrawn": withdrawn }))
}

/// `POST /emulator/keys/rotate`.
pub fn rotate_keys(world: &World) -> Reply {
    world.rotate_keys();
    Reply::json(200, &json!({ "kids": world.key_ids() }))
}

/// `POST /emulator/settings`: lays the members of the body over the settings.
pub fn change_settings(world: &World, body: &[u8]) -> Reply {
    let change: Map<String, Value> = match read(body) {
        Ok(change) => change,
        Err(refusal) => return refusal,
    };
    match world.change_settings_json(change) {
        Ok(()) => Reply::json(200, &world.settings()),
        Err(problem) => Reply::refuse(400, "invalid_setting", &problem),
    }
}

/// `GET /emulator/state`.
pub fn state(world: &World) -> Reply {
    let clients: Vec<Value> = world.clients().iter().map(shown).collect();
    let live_refresh_tokens = world.state().grants.live_refresh_tokens();
    Reply::json(
        200,
        &json!({
            "discovery_url": world.url("/.well-known/openid-configuration").as_str(),
            "people": world.people(),
            "clients": clients,
            "kids": world.key_ids(),
            "counts": world.counts(),
            "drive_counts": world.drive_counts(),
            "live_refresh_tokens": live_refresh_tokens,
            "faults": pending(world),
            "settings": world.settings(),
        }),
    )
}
