//! `POST /emulator/drive`: app data written and looked at from outside, as another device or a test would.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::app_data::{AppData, SeenFile};
use crate::emulator::control::read;
use crate::emulator::reply::Reply;
use crate::emulator::world::World;

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    List,
    Read,
    Put,
    PutAnother,
    Folder,
    Rename,
    Remove,
    Erase,
    Quota,
    RefusePageTokens,
    ResetCounts,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    person: String,
    project: Option<String>,
    action: Action,
    #[serde(default)]
    path: String,
    #[serde(default)]
    to: String,
    text: Option<String>,
    base64: Option<String>,
    limit: Option<u64>,
}

fn refuse(code: &str, detail: &str) -> Reply {
    Reply::refuse(422, code, detail)
}

/// The project that was named, by number or client id, or the only one there is.
fn project(world: &World, named: Option<&str>) -> Result<String, Reply> {
    if let Some(named) = named {
        let id = named.parse::<crate::ids::OAuthClientId>();
        return Ok(id.map_or_else(|_| named.to_owned(), |id| id.project().to_owned()));
    }
    let mut projects: Vec<String> =
        world.clients().iter().map(|client| client.client_id.project().to_owned()).collect();
    projects.dedup();
    match projects.as_slice() {
        [only] => Ok(only.clone()),
        _ => Err(refuse(
            "project_ambiguous",
            "the clients are not all of one project, so name it with project: its number, or a client id",
        )),
    }
}

fn shown(file: &SeenFile) -> Value {
    json!({
        "id": file.id,
        "path": file.path,
        "folder": file.is_folder,
        "mime_type": file.mime_type,
        "size": file.size,
        "md5": file.md5,
        "modified": file.modified_time(),
        "version": file.version,
        "app_properties": file.app_properties,
    })
}

/// `POST /emulator/drive`.
pub(in crate::emulator) fn steer(world: &World, body: &[u8]) -> Reply {
    ordered(world, body).unwrap_or_else(|refusal| refusal)
}

fn ordered(world: &World, body: &[u8]) -> Result<Reply, Reply> {
    let order: Order = read(body)?;
    let person = world.person(&order.person).ok_or_else(|| {
        refuse("unknown_person", "nobody has this sub or e-mail address; GET /emulator/state lists everybody")
    })?;
    let project = project(world, order.project.as_deref())?;
    let app_data = world.app_data(&person.sub, &project);
    let content = match (&order.text, &order.base64) {
        (Some(text), None) => text.clone().into_bytes(),
        (None, Some(text)) => STANDARD
            .decode(text)
            .map_err(|_| Reply::refuse(400, "invalid_body", "base64 is not standard base64 with padding"))?,
        (None, None) => Vec::new(),
        _ => {
            return Err(Reply::refuse(
                400,
                "invalid_body",
                "give the content as text or as base64, not both",
            ));
        }
    };
    let done = |result: Result<String, super::DriveRefusal>| match result {
        Ok(id) => Ok(Reply::json(200, &json!({ "id": id }))),
        Err(refused) => Err(refused.into()),
    };
    match order.action {
        Action::List => Ok(listed(&app_data)),
        Action::Read => match app_data.read(&order.path) {
            Some(bytes) => Ok(Reply::json(
                200,
                &json!({ "text": std::str::from_utf8(&bytes).ok(), "base64": STANDARD.encode(&bytes) }),
            )),
            None => Err(refuse(
                "not_found",
                "there is no file with content at this path; the action list shows them",
            )),
        },
        Action::Put => done(app_data.put(&order.path, content)),
        Action::PutAnother => done(app_data.put_another(&order.path, content)),
        Action::Folder => done(app_data.folder(&order.path)),
        Action::Rename => done(app_data.rename(&order.path, &order.to)),
        Action::Remove => Ok(Reply::json(200, &json!({ "removed": app_data.remove(&order.path) }))),
        Action::Erase => {
            world.erase_app_data(&person.sub, &project);
            Ok(listed(&app_data))
        }
        Action::Quota => {
            world.set_drive_quota(&person.sub, order.limit);
            Ok(Reply::json(200, &json!({ "limit": order.limit })))
        }
        Action::RefusePageTokens => {
            app_data.refuse_page_tokens();
            Ok(Reply::json(200, &json!({})))
        }
        Action::ResetCounts => {
            world.reset_drive_counts();
            Ok(Reply::json(200, &world.drive_counts()))
        }
    }
}

fn listed(app_data: &AppData) -> Reply {
    let files: Vec<Value> = app_data.files().iter().map(shown).collect();
    Reply::json(200, &json!({ "root": app_data.root(), "files": files }))
}
