//! `files`: list, get, download, delete, generateIds.

use serde_json::json;

use super::calls::{Call, Outcome, answer};
use super::download::Transfer;
use super::file::File;
use super::listing::Listing;
use super::refusal::{Reason, Refused};
use super::schema;
use crate::emulator::faults::Fault;
use crate::emulator::reply::Reply;
use crate::emulator::serving::{Outgoing, Socket};

/// `GET /drive/v3/files`.
pub(super) fn list(call: &Call) -> Outcome {
    let mask = call.mask(&schema::FILE_LIST, schema::FILE_LIST_DEFAULT)?;
    let size = call.number("pageSize", 100)?;
    let app_data = call.wants_app_data("spaces")?;
    let listing = Listing::parse(call.query.filled("q"), call.query.filled("orderBy"))?;
    let token = call.query.filled("pageToken");
    let (page, next) = call.on_store(|store| {
        if app_data { listing.page(store, call.world.rng(), token, size) } else { Ok((Vec::new(), None)) }
    })?;
    let files: Vec<_> = page.iter().map(File::shown).collect();
    let mut body = json!({ "kind": "drive#fileList", "incompleteSearch": false, "files": files });
    if let Some(next) = next {
        body["nextPageToken"] = next.into();
    }
    Ok(answer(&mask, &body))
}

/// `GET /drive/v3/files/{id}`.
pub(super) fn metadata(call: &Call, id: &str) -> Outcome {
    let mask = call.mask(&schema::FILE, schema::FILE_DEFAULT)?;
    if !matches!(call.query.filled("alt"), None | Some("json")) {
        return Err(Refused::invalid("alt"));
    }
    let shown = call.on_store(|store| store.file(id).map(File::shown))?;
    Ok(answer(&mask, &shown))
}

/// `GET /drive/v3/files/{id}?alt=media`.
pub(super) fn content(call: &Call, id: &str) -> Outcome {
    let file = call.on_store(|store| store.file(id).cloned())?;
    let Some(content) = file.content else { return Err(Reason::FileNotDownloadable.into()) };
    let mut transfer = match Transfer::new(&call.world, content, &file.mime_type, call.field("range")) {
        Ok(transfer) => transfer,
        Err(reply) => return Ok(reply.into()),
    };
    let fault = call.content_fault(|fault| match fault {
        Fault::CutDownload { at } | Fault::FlipByte { at } => transfer.covers(*at),
        _ => false,
    });
    match (fault, Socket::of(&call.request)) {
        (Some(Fault::FlipByte { at }), _) => transfer.flip(at),
        (Some(Fault::CutDownload { at }), Some(socket)) => transfer.cut(at, socket),
        _ => {}
    }
    Ok(Outgoing::Content(Box::new(transfer)))
}

/// `DELETE /drive/v3/files/{id}`: for good, with everything in it.
pub(super) fn delete(call: &Call, id: &str) -> Outcome {
    let now = call.world.now();
    call.on_store(|store| store.remove(id, now))?;
    Ok(Reply::empty(204).into())
}

/// `GET /drive/v3/files/generateIds`.
pub(super) fn generate_ids(call: &Call) -> Outcome {
    let mask = call.mask(&schema::GENERATED_IDS, "*")?;
    let count = call.number("count", 10)?;
    let app_data = call.wants_app_data("space")?;
    let ids = call.on_store(|store| Ok(store.generate(call.world.rng(), count, app_data)))?;
    let space = if app_data { "appDataFolder" } else { "drive" };
    let body = json!({ "kind": "drive#generatedIds", "space": space, "ids": ids.iter().map(|id| &**id).collect::<Vec<_>>() });
    Ok(answer(&mask, &body))
}
