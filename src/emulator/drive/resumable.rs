//! Resumable uploads: begun, brought in pieces, asked about, given up.

use actix_web::web;
use futures_util::StreamExt as _;
use serde_json::Value;
use tokio::sync::Mutex;

use super::calls::{Call, Outcome, answer, drain, read_json};
use super::content::Sink;
use super::metadata::Metadata;
use super::plan::Plan;
use super::refusal::{Reason, Refused};
use super::schema;
pub(super) use super::sessions::Session;
use super::sessions::{ContentRange, Progress, Received};
use super::upload;
use crate::emulator::faults::Fault;
use crate::emulator::reply::Reply;
use crate::emulator::serving::Outgoing;

/// `POST` or `PATCH` with `uploadType=resumable`: gives the address that the content goes to.
pub(super) async fn start(call: &Call, id: Option<&str>, mut body: web::Payload) -> Outcome {
    let json = read_json(&mut body).await?;
    let (_, owner) = call.person()?;
    let mask = call.mask(&schema::FILE, schema::FILE_DEFAULT)?;
    let total = call.field("x-upload-content-length").map(|text| {
        text.parse::<u64>().map_err(|_| Refused::bad("X-Upload-Content-Length must be a number of bytes."))
    });
    let total = total.transpose()?;
    let media_type = call.field("x-upload-content-type").map(str::to_owned);
    let plan = Plan { media_type, ..upload::plan(call, id, Metadata::parse(&json)?) };

    let (now, state) = (call.world.now(), &mut *call.world.state());
    let room = state.drive.room(&owner.sub);
    let store = state.drive.store(call.world.rng(), now, &owner);
    plan.check(store, true)?;
    let old = id.and_then(|id| store.known(id)).map_or(0, super::file::File::size);
    if total.is_some_and(|total| room.is_some_and(|room| total > old + room)) {
        return Err(Reason::StorageQuotaExceeded.into());
    }
    let upload_id = call.world.rng().token(60);
    let mut location = call.world.url(call.request.path());
    location.query_pairs_mut().append_pair("uploadType", "resumable").append_pair("upload_id", &upload_id);
    let progress = Mutex::new(Progress { received: Received::Part(Box::default()), total });
    let session = Session { owner, plan, mask, started: now, progress };
    state.drive.sessions.insert(upload_id.clone(), session.into());
    let mut reply = Reply::empty(200);
    reply.headers.push(("location", location.into()));
    reply.headers.push(("x-guploader-uploadid", upload_id));
    Ok(reply.into())
}

/// The upload that a request names.
///
/// Its address alone opens it; a token is not needed, but one that is shown must be good.
fn find(call: &Call) -> Result<(&str, std::sync::Arc<Session>), Refused> {
    let gone = || Refused { location: None, ..Reason::NotFound.into() };
    let id = call.query.filled("upload_id").ok_or_else(gone)?;
    let session = call.world.upload(id).ok_or_else(gone)?;
    if call.field("authorization").is_some() {
        let (_, owner) = call.person()?;
        if owner != session.owner {
            return Err(gone());
        }
    }
    if call.content_fault(|fault| matches!(fault, Fault::ForgetUpload)).is_some() {
        call.world.state().drive.sessions.remove(id);
        return Err(gone());
    }
    Ok((id, session))
}

/// `DELETE`: gives the upload up.
pub(super) fn cancel(call: &Call) -> Outcome {
    let (id, _) = find(call)?;
    call.world.state().drive.sessions.remove(id);
    Ok(Reply::empty(499).into())
}

/// `PUT`: the whole, a chunk, or the question how far it is.
pub(super) async fn bring(call: &Call, mut body: web::Payload) -> Outcome {
    let outcome = brought(call, &mut body).await;
    if outcome.is_err() {
        // A caller that is still sending may never see the answer.
        drain(&mut body).await;
    }
    outcome
}

async fn brought(call: &Call, body: &mut web::Payload) -> Outcome {
    let (id, session) = find(call)?;
    let range = ContentRange::parse(call.field("content-range"))?;
    let length = call.field("content-length").and_then(|text| text.parse::<u64>().ok());
    let progress = &mut *session.progress.lock().await;
    if let Received::All(file) = &progress.received {
        drain(body).await;
        return Ok(answer(&session.mask, file));
    }
    progress.learn_total(range.total())?;
    let total = progress.total;
    let Received::Part(sink) = &mut progress.received else { return Err(Reason::InternalError.into()) };
    let (end, skip) = match range {
        ContentRange::Asks(_) => {
            drain(body).await;
            (sink.size(), 0)
        }
        ContentRange::Whole => {
            if length.is_some_and(|length| total.is_some_and(|total| total != length)) {
                return Err(Refused::bad("The body is not as long as X-Upload-Content-Length said."));
            }
            **sink = Sink::default();
            (length.or(total).unwrap_or(u64::MAX), 0)
        }
        ContentRange::Part(start, end, _) => {
            if length.is_some_and(|length| length != end - start) {
                return Err(Refused::bad("Content-Length does not fit Content-Range."));
            }
            // Bytes that are there already are passed over.
            let skip = sink.size().checked_sub(start);
            (end, skip.ok_or_else(|| Refused::bad("Content-Range leaves a gap."))?)
        }
    };
    let intake = if matches!(range, ContentRange::Asks(_)) {
        Intake::Whole
    } else {
        take_in(call, sink, body, skip, end).await?
    };
    let is_all = match range {
        ContentRange::Whole => true,
        _ => total == Some(sink.size()),
    };
    match intake {
        Intake::Broken => Ok(Outgoing::Cut),
        Intake::Whole if is_all => finish(call, id, &session, progress),
        _ => Ok(incomplete(sink)),
    }
}

/// How a body ended.
enum Intake {
    Whole,
    /// Some of it was dropped on purpose.
    Shortened,
    Broken,
}

/// Takes bytes in up to `end` of the whole, the first `skip` of them apart.
async fn take_in(
    call: &Call,
    sink: &mut Sink,
    body: &mut web::Payload,
    mut skip: u64,
    end: u64,
) -> Result<Intake, Refused> {
    let from = sink.size();
    let fault = call.content_fault(|fault| match fault {
        Fault::CutUpload { at } | Fault::KeepUpTo { at } => from <= *at && *at < end,
        _ => false,
    });
    let stop = match fault {
        Some(Fault::CutUpload { at } | Fault::KeepUpTo { at }) => at,
        _ => end,
    };
    while let Some(piece) = body.next().await {
        let Ok(mut piece) = piece else { return Ok(Intake::Broken) };
        call.world.state().drive.counts.upload_bytes += piece.len() as u64;
        let passed = usize::try_from(skip).unwrap_or(usize::MAX).min(piece.len());
        skip -= passed as u64;
        let mut piece = piece.split_off(passed);
        let room = usize::try_from(stop.saturating_sub(sink.size())).unwrap_or(usize::MAX);
        let surplus = piece.len() > room;
        piece.truncate(room);
        sink.push(&piece).map_err(|_| Reason::InternalError)?;
        match fault {
            Some(Fault::CutUpload { .. }) if sink.size() == stop => return Ok(Intake::Broken),
            None if surplus => return Err(Refused::bad("The body is longer than was announced.")),
            _ => {}
        }
    }
    Ok(match fault {
        None => Intake::Whole,
        Some(Fault::KeepUpTo { .. }) => Intake::Shortened,
        Some(_) => Intake::Broken,
    })
}

/// 308: what has come.
fn incomplete(sink: &Sink) -> Outgoing {
    let mut reply = Reply::empty(308);
    if let Some(last) = sink.size().checked_sub(1) {
        reply.headers.push(("range", format!("bytes=0-{last}")));
    }
    reply.into()
}

fn finish(call: &Call, id: &str, session: &Session, progress: &mut Progress) -> Outcome {
    let received = std::mem::replace(&mut progress.received, Received::All(Value::Null));
    let Received::Part(sink) = received else { return Err(Reason::InternalError.into()) };
    match call.world.write(&session.owner, &session.plan, Some(sink.finish())) {
        Ok(file) => {
            progress.received = Received::All(file.clone());
            Ok(answer(&session.mask, &file))
        }
        Err(refused) => {
            call.world.state().drive.sessions.remove(id);
            Err(refused)
        }
    }
}
