//! Drive v3, as much of it as app data needs: the paths of `https://www.googleapis.com/`.
//!
//! Every person has one hidden folder per Google project, reached with an access token of the scope
//! `drive.appdata`. What is known of the live service decides checks and texts; there is no batch, no push
//! channel, no copy and no revision but the latest.
//!
//! Every request is counted once, when it arrives, and then meets the scripted faults before anything else.
//! The world's lock is never held while content is on its way.

mod about;
mod app_data;
mod calls;
mod content;
pub(super) mod control;
mod counts;
mod download;
mod drives;
mod feed;
mod fields;
mod file;
mod files;
mod listing;
mod metadata;
mod multipart;
mod plan;
mod query;
mod reason;
mod refusal;
mod resumable;
mod schema;
mod sessions;
mod store;
mod times;
mod upload;

use actix_web::{HttpRequest, HttpResponse, web};

use counts::Kind;

pub use app_data::{AppData, SeenFile};
pub use counts::DriveCounts;
pub(super) use download::Transfer;
pub(super) use drives::Drives;
pub use refusal::{Reason as DriveReason, Refused as DriveRefusal};

use calls::{Call, carry};

/// Whether an id is one of the names of the top folder.
fn is_alias(id: &str) -> bool {
    matches!(id, "appDataFolder" | "appfolder")
}

type World = web::Data<super::world::World>;

async fn list(world: World, request: HttpRequest, body: web::Payload) -> HttpResponse {
    carry(Call::new(&world, request, Kind::List), body, async |call, _| files::list(&call)).await
}

async fn create(world: World, request: HttpRequest, body: web::Payload) -> HttpResponse {
    carry(Call::new(&world, request, Kind::Create), body, async |call, body| {
        upload::metadata_only(&call, None, body).await
    })
    .await
}

async fn file(world: World, request: HttpRequest, body: web::Payload, id: web::Path<String>) -> HttpResponse {
    let call = Call::new(&world, request, Kind::Get);
    if call.query.field("alt") == Some("media") {
        let call = Call { kind: Kind::Download, ..call };
        return carry(call, body, async |call, _| files::content(&call, &id)).await;
    }
    carry(call, body, async |call, _| files::metadata(&call, &id)).await
}

async fn update(
    world: World,
    request: HttpRequest,
    body: web::Payload,
    id: web::Path<String>,
) -> HttpResponse {
    carry(Call::new(&world, request, Kind::Update), body, async |call, body| {
        upload::metadata_only(&call, Some(&id), body).await
    })
    .await
}

async fn delete(
    world: World,
    request: HttpRequest,
    body: web::Payload,
    id: web::Path<String>,
) -> HttpResponse {
    carry(Call::new(&world, request, Kind::Delete), body, async |call, _| files::delete(&call, &id)).await
}

async fn ids(world: World, request: HttpRequest, body: web::Payload) -> HttpResponse {
    carry(Call::new(&world, request, Kind::Ids), body, async |call, _| files::generate_ids(&call)).await
}

async fn start_token(world: World, request: HttpRequest, body: web::Payload) -> HttpResponse {
    carry(Call::new(&world, request, Kind::StartToken), body, async |call, _| about::start_token(&call)).await
}

async fn changes(world: World, request: HttpRequest, body: web::Payload) -> HttpResponse {
    carry(Call::new(&world, request, Kind::Changes), body, async |call, _| about::changes(&call)).await
}

async fn about_person(world: World, request: HttpRequest, body: web::Payload) -> HttpResponse {
    carry(Call::new(&world, request, Kind::About), body, async |call, _| about::about(&call)).await
}

/// Everything below `/upload`: new content (POST), replaced content (PATCH), and the requests to a
/// resumable upload, which carry its id.
async fn content(world: World, request: HttpRequest, body: web::Payload) -> HttpResponse {
    let id = request.match_info().get("id").map(str::to_owned);
    let kind = upload::kind(&request);
    let call = Call::new(&world, request, kind);
    carry(call, body, async |call, body| match call.kind {
        Kind::Chunk | Kind::Status => resumable::bring(&call, body).await,
        Kind::Cancel => resumable::cancel(&call),
        Kind::Start => resumable::start(&call, id.as_deref(), body).await,
        _ => upload::content(&call, id.as_deref(), body).await,
    })
    .await
}

/// Puts Drive's paths in place.
pub(super) fn configure(config: &mut web::ServiceConfig) {
    config
        .service(web::resource("/drive/v3/files").get(list).post(create))
        .service(web::resource("/drive/v3/files/generateIds").get(ids))
        .service(web::resource("/drive/v3/files/{id}").get(file).patch(update).delete(delete))
        .service(web::resource("/drive/v3/changes/startPageToken").get(start_token))
        .service(web::resource("/drive/v3/changes").get(changes))
        .service(web::resource("/drive/v3/about").get(about_person))
        .service(web::resource("/upload/drive/v3/files").post(content).put(content).delete(content))
        .service(
            web::resource("/upload/drive/v3/files/{id}")
                .patch(content)
                .post(content)
                .put(content)
                .delete(content),
        );
}

#[cfg(test)]
mod tests;
