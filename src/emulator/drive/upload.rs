//! Creates and updates, without content or with content in the same request.

use actix_web::{HttpRequest, web};
use futures_util::StreamExt as _;
use serde_json::Value;

use super::calls::{Call, Outcome, answer, drain, read_json};
use super::content::{Content, Sink};
use super::counts::Kind;
use super::drives::Owner;
use super::file::File;
use super::metadata::Metadata;
use super::multipart::Multipart;
use super::plan::{Plan, Target};
use super::refusal::{Reason, Refused};
use super::schema;
use crate::emulator::faults::Fault;
use crate::emulator::form::Form;
use crate::emulator::serving::Outgoing;
use crate::emulator::world::World;

/// What a request below `/upload` is.
pub(super) fn kind(request: &HttpRequest) -> Kind {
    let query = Form::parse(request.query_string().as_bytes());
    if query.filled("upload_id").is_none() {
        return if query.field("uploadType") == Some("resumable") { Kind::Start } else { Kind::Upload };
    }
    if request.method() == actix_web::http::Method::DELETE {
        return Kind::Cancel;
    }
    let range = request.headers().get("content-range").and_then(|range| range.to_str().ok());
    if range.is_some_and(|range| range.starts_with("bytes */")) { Kind::Status } else { Kind::Chunk }
}

impl World {
    /// Carries a write out and gives the file as it is then.
    pub(super) fn write(
        &self,
        owner: &Owner,
        plan: &Plan,
        content: Option<Content>,
    ) -> Result<Value, Refused> {
        let (now, state) = (self.now(), &mut *self.state());
        let room = state.drive.room(&owner.sub);
        let replaced = content.is_some();
        let store = state.drive.store(self.rng(), now, owner);
        let written = plan.carry_out(store, self.rng(), now, content, room)?;
        let shown = store.file(&written.id).map(File::shown)?;
        let counts = &mut state.drive.counts;
        match (written.made, written.is_folder) {
            (true, true) => counts.folders_made += 1,
            (true, false) => counts.files_made += 1,
            (false, _) => counts.contents_replaced += u64::from(replaced),
        }
        Ok(shown)
    }
}

/// The write that a request describes, its content apart.
pub(super) fn plan(call: &Call, id: Option<&str>, metadata: Metadata) -> Plan {
    let ids = |name| {
        let ids = call.query.filled(name).unwrap_or_default().split(',').map(|id| id.trim().to_owned());
        ids.filter(|id| !id.is_empty()).collect::<Vec<_>>()
    };
    let target = id.map_or(Target::New, |id| Target::Existing(id.to_owned()));
    Plan { target, metadata, moves: (ids("addParents"), ids("removeParents")), media_type: None }
}

/// `POST /drive/v3/files`, `PATCH /drive/v3/files/{id}`.
pub(super) async fn metadata_only(call: &Call, id: Option<&str>, mut body: web::Payload) -> Outcome {
    let json = read_json(&mut body).await?;
    let (_, owner) = call.person()?;
    let mask = call.mask(&schema::FILE, schema::FILE_DEFAULT)?;
    let plan = plan(call, id, Metadata::parse(&json)?);
    let shown = call.world.write(&owner, &plan, None)?;
    Ok(answer(&mask, &shown))
}

/// What a body brought.
enum Brought {
    Whole { metadata: Vec<u8>, media_type: Option<String>, content: Content },
    Broken,
}

/// `POST /upload/drive/v3/files`, `PATCH /upload/drive/v3/files/{id}` with `uploadType` `media` or
/// `multipart`.
///
/// The body is read to its end before anything is refused: a caller that is still sending may never see an
/// answer.
pub(super) async fn content(call: &Call, id: Option<&str>, mut body: web::Payload) -> Outcome {
    let cut = call.content_fault(|fault| matches!(fault, Fault::CutUpload { .. }));
    let cut = match cut {
        Some(Fault::CutUpload { at }) => Some(at),
        _ => None,
    };
    let checked = call.person().and_then(|(_, owner)| {
        let mask = call.mask(&schema::FILE, schema::FILE_DEFAULT)?;
        let parts = match call.query.field("uploadType") {
            Some("media") => None,
            Some("multipart") => Some(Multipart::new(call.field("content-type"))?),
            _ => return Err(Refused::invalid("uploadType")),
        };
        Ok((owner, mask, parts))
    });
    let (owner, mask, parts) = match checked {
        Ok(checked) => checked,
        Err(refused) => {
            drain(&mut body).await;
            return Err(refused);
        }
    };
    match receive(call, parts, &mut body, cut).await {
        Ok(Brought::Broken) => Ok(Outgoing::Cut),
        Ok(Brought::Whole { metadata, media_type, content }) => {
            let plan = Plan { media_type, ..plan(call, id, Metadata::parse(&metadata)?) };
            let shown = call.world.write(&owner, &plan, Some(content))?;
            Ok(answer(&mask, &shown))
        }
        Err(refused) => {
            drain(&mut body).await;
            Err(refused)
        }
    }
}

async fn receive(
    call: &Call,
    mut parts: Option<Multipart>,
    body: &mut web::Payload,
    cut: Option<u64>,
) -> Result<Brought, Refused> {
    let mut sink = Sink::default();
    while let Some(piece) = body.next().await {
        let Ok(piece) = piece else { return Ok(Brought::Broken) };
        let unpacked = parts.as_mut().map(|parts| parts.push(&piece)).transpose()?;
        let piece = unpacked.as_deref().unwrap_or(&piece);
        call.world.state().drive.counts.upload_bytes += piece.len() as u64;
        sink.push(piece).map_err(|_| Reason::InternalError)?;
        if cut.is_some_and(|cut| sink.size() >= cut) {
            return Ok(Brought::Broken);
        }
    }
    if cut.is_some() {
        return Ok(Brought::Broken);
    }
    let (metadata, media_type) = match parts {
        Some(parts) => parts.finish()?,
        None => (Vec::new(), call.field("content-type").map(str::to_owned)),
    };
    Ok(Brought::Whole { metadata, media_type, content: sink.finish() })
}
