//! `/v1/keys`: the owner makes, lists, rotates and revokes API keys.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::auth::{AsOwner, Caller, OwnerVia};
use super::super::body::{self, Expected, Fields};
use super::super::context::Context;
use super::super::problem::{Code, Problem};
use super::super::query;
use crate::api_keys::{
    Action, ApiKey, ApiKeysError, KeyRefused, NewApiKey, PlainApiKey, Rotated, UserBinding,
};
use crate::clock::Timestamp;
use crate::events::{Actor, Kind, NewEvent};
use crate::ids::{ApiKeyId, ClientName, Sub, UserRef};
use crate::scopes::ScopeSet;

/// How long a key lives unless the owner says otherwise: a year.
const DEFAULT_LIFETIME: i64 = 365 * 86_400;
/// The longest a lifetime in seconds may be: a hundred years, so that no sum overflows.
const LONGEST: i64 = 100 * 365 * 86_400;
/// How long a rotated key goes on working unless the owner says otherwise: a day.
const DEFAULT_OVERLAP: i64 = 86_400;

/// A key as the owner sees it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyView {
    /// The public half.
    pub id: ApiKeyId,
    /// The owner's name for it.
    pub name: String,
    /// `active`, `expired` or `revoked`.
    pub state: String,
    /// What it may be used for.
    pub actions: Vec<String>,
    /// Whose grants it reaches.
    pub users: KeyUsers,
    /// Which clients' grants it reaches; `null` for all.
    pub clients: Option<Vec<ClientName>>,
    /// The most its tokens may open; `null` for the whole grant.
    pub scopes: Option<ScopeSet>,
    /// Which Google hosts the proxy carries its calls to; `null` for all allowed ones.
    pub hosts: Option<Vec<String>>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it was last shown.
    pub last_used_at: Option<Timestamp>,
}

/// Whose grants a key reaches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyUsers {
    /// Everybody's.
    All,
    /// These people's.
    Only {
        /// Their ids.
        ids: Vec<Sub>,
        /// How many people it was bound to are forgotten by now. One who comes back is not reached.
        forgotten: usize,
    },
}

/// A key that was just made. The only time its text is shown.
#[derive(Serialize)]
struct Made<'a> {
    key: &'a str,
    #[serde(flatten)]
    view: KeyView,
    #[serde(skip_serializing_if = "Option::is_none")]
    replaces: Option<Replaced>,
}

/// The key that another was made in the place of.
#[derive(Serialize)]
struct Replaced {
    id: ApiKeyId,
    expires_at: Option<Timestamp>,
}

#[derive(Serialize)]
struct Listing {
    keys: Vec<KeyView>,
    damaged: usize,
}

static NEW_KEY: Expected = Expected {
    fields: &[&["name"], &["actions"], &["users"], &["clients"], &["scopes"], &["hosts"], &["expires_in"]],
    forms: false,
    // An unknown field may be a mistyped binding, without which the key would reach more.
    lenient: false,
};

static ROTATION: Expected = Expected { fields: &[&["overlap"]], forms: false, lenient: false };

pub(super) async fn list(_: AsOwner, context: web::Data<Context>) -> Result<HttpResponse, Problem> {
    let mut keys = Vec::new();
    for key in context.state.api_keys.list() {
        keys.push(view(&context, &key).await?);
    }
    super::ok(&Listing { keys, damaged: context.state.api_keys.damaged() })
}

pub(super) async fn create(
    owner: AsOwner,
    context: web::Data<Context>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let mut fields = Fields::read(&NEW_KEY, &context, &request, payload).await?;
    let name = fields.text("name")?.ok_or_else(|| body::missing("name"))?;
    let actions = fields.take("actions").ok_or_else(|| body::missing("actions"))?;
    let actions = texts("actions", actions)?
        .iter()
        .map(|text| text.parse::<Action>())
        .collect::<Result<_, _>>()
        .map_err(|unknown| body::invalid("actions", &format!("holds a text that is {unknown}")))?;
    let users = fields.take("users").ok_or_else(|| body::missing("users"))?;
    let users = bind_users(&context, users).await?;
    let clients = fields.take("clients").map(|value| bind_clients(&context, value)).transpose()?;
    let scopes = fields.take("scopes").map(|value| texts("scopes", value)).transpose()?;
    let hosts = fields.take("hosts").map(|value| texts("hosts", value)).transpose()?;
    let expires_in = match fields.take("expires_in") {
        None => Some(DEFAULT_LIFETIME),
        Some(Value::String(never)) if never == "never" => None,
        Some(value) => Some(seconds("expires_in", &value, 1, "or \"never\"")?),
    };
    let new = NewApiKey {
        name,
        actions,
        users,
        clients,
        scopes: scopes.map(|scopes| scopes.iter().collect::<ScopeSet>()),
        hosts,
        expires_at: expires_in.map(|seconds| context.state.clock.now().plus(seconds)),
    };
    let (state, actor) = (context.state.clone(), owner.actor(&context, &request));
    let work = async move {
        let (key, plain) = state.api_keys.create(new).await?;
        state.events.record(about_key(Kind::KeyCreated, &actor, &key)).await;
        Ok::<_, ApiKeysError>((key, plain))
    };
    let (key, plain) = context.to_the_end(work).await?;
    tracing::info!(key = %key.id, "an API key was made");
    made(&context, &key, &plain, None).await
}

pub(super) async fn rotate(
    owner: AsOwner,
    context: web::Data<Context>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let id = key_id(&request)?;
    let mut fields = match Fields::read(&ROTATION, &context, &request, payload).await {
        Err(problem) if problem.code() == Code::BodyMissing => None,
        read => Some(read?),
    };
    let overlap = match fields.as_mut().and_then(|fields| fields.take("overlap")) {
        None => DEFAULT_OVERLAP,
        Some(value) => seconds("overlap", &value, 0, "")?,
    };
    let overlap = Duration::from_secs(overlap.unsigned_abs());
    let (state, actor, old) = (context.state.clone(), owner.actor(&context, &request), id.clone());
    let work = async move {
        let rotated = state.api_keys.rotate(&old, overlap).await?;
        let event = NewEvent::new(Kind::KeyRotated, &actor);
        let new = &rotated.new;
        let event =
            event.with("key", old.as_str()).with("new_key", new.id.as_str()).with("name", new.name.clone());
        state.events.record(event).await;
        Ok::<_, ApiKeysError>(rotated)
    };
    let Rotated { new, plain, old } = context.to_the_end(work).await?;
    tracing::info!(key = %id, new_key = %new.id, "an API key was rotated");
    let replaces = Replaced { id: old.id.clone(), expires_at: old.end() };
    made(&context, &new, &plain, Some(replaces)).await
}

pub(super) async fn revoke(
    owner: AsOwner,
    context: web::Data<Context>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let id = key_id(&request)?;
    let (state, actor, ended) = (context.state.clone(), owner.actor(&context, &request), id.clone());
    let work = async move {
        let now = state.clock.now();
        let before =
            state.api_keys.find(&ended).is_some_and(|key| key.ended(now) == Some(KeyRefused::Revoked));
        let key = state.api_keys.revoke(&ended).await?;
        if !before {
            state.events.record(about_key(Kind::KeyRevoked, &actor, &key)).await;
        }
        Ok::<_, ApiKeysError>(key)
    };
    let key = context.to_the_end(work).await?;
    tracing::info!(key = %id, "an API key was revoked");
    super::ok(&view(&context, &key).await?)
}

fn about_key(kind: Kind, actor: &Actor, key: &ApiKey) -> NewEvent {
    NewEvent::new(kind, actor).with("key", key.id.as_str()).with("name", key.name.clone())
}

/// What is not the form of an id belongs to no key.
fn key_id(request: &HttpRequest) -> Result<ApiKeyId, Problem> {
    let [] = query::parameters(request.query_string(), [])?;
    request.match_info().query("id").parse().map_err(|_| Problem::new(Code::ApiKeyNotFound))
}

async fn made(
    context: &Context,
    key: &ApiKey,
    plain: &PlainApiKey,
    replaces: Option<Replaced>,
) -> Result<HttpResponse, Problem> {
    let made = Made { key: &plain.expose(), view: view(context, key).await?, replaces };
    super::json(StatusCode::CREATED, &made)
}

async fn view(context: &Context, key: &ApiKey) -> Result<KeyView, Problem> {
    let users = match &key.users {
        UserBinding::All => KeyUsers::All,
        UserBinding::Only(rows) => {
            let mut ids = Vec::with_capacity(rows.len());
            for row in rows {
                ids.extend(context.state.vault.load_user(*row).await?.map(|user| user.profile.sub));
            }
            KeyUsers::Only { forgotten: rows.len() - ids.len(), ids }
        }
    };
    let state = match key.ended(context.state.clock.now()) {
        None => "active",
        Some(KeyRefused::Revoked) => "revoked",
        Some(_) => "expired",
    };
    Ok(KeyView {
        id: key.id.clone(),
        name: key.name.clone(),
        state: state.into(),
        actions: key.actions.iter().map(|action| action.code().to_owned()).collect(),
        users,
        clients: key.reach.clients.clone(),
        scopes: key.reach.scopes.clone(),
        hosts: key.hosts.clone(),
        created_at: key.created_at,
        expires_at: key.end(),
        revoked_at: key.revoked_at.filter(|_| state == "revoked"),
        last_used_at: key.last_used_at(),
    })
}

fn texts(name: &'static str, value: Value) -> Result<Vec<String>, Problem> {
    serde_json::from_value(value).map_err(|_| body::invalid(name, "must be a list of strings"))
}

fn seconds(name: &'static str, value: &Value, least: i64, or: &str) -> Result<i64, Problem> {
    value.as_i64().filter(|seconds| (least..=LONGEST).contains(seconds)).ok_or_else(|| {
        body::invalid(
            name,
            format!("must be a whole number of seconds from {least} to {LONGEST} {or}").trim_end(),
        )
    })
}

/// `"all"`, or a list of people who are connected, by id or address.
async fn bind_users(context: &Context, value: Value) -> Result<UserBinding, Problem> {
    const WANTED: &str = "must be \"all\" or a list of people, each by id or e-mail address";
    if value == "all" {
        return Ok(UserBinding::All);
    }
    let names: Vec<String> = serde_json::from_value(value).map_err(|_| body::invalid("users", WANTED))?;
    let mut rows = Vec::with_capacity(names.len());
    for name in names {
        let user: UserRef = name.parse().map_err(|_| body::invalid("users", WANTED))?;
        if user == UserRef::Me {
            return Err(body::invalid("users", WANTED));
        }
        rows.push(Caller::Owner(OwnerVia::Socket).resolve(context, &user).await?);
    }
    rows.sort_unstable();
    rows.dedup();
    Ok(UserBinding::Only(rows))
}

fn bind_clients(context: &Context, value: Value) -> Result<Vec<ClientName>, Problem> {
    texts("clients", value)?
        .iter()
        .map(|text| {
            let name =
                text.parse::<ClientName>().ok().filter(|name| context.state.config.client(name).is_some());
            name.ok_or_else(|| Problem::new(Code::ClientUnknown).status(StatusCode::BAD_REQUEST))
        })
        .collect()
}
