//! Mirrors over HTTP: how they stand, a run now, the versions that were kept.
//!
//! Which folder a mirror has is the configuration's to say: no request names one. What a run holds back
//! for a person to look at is accepted by the owner, not by a program.

mod view;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

pub use self::view::{MirrorList, MirrorView, ReportView, Restored, VersionList, VersionView};

use super::super::auth::{Allowed, AppDataRead, AppDataWrite, AsOwner, Caller};
use super::super::context::Context;
use super::super::problem::{Code, Problem};
use super::super::query;
use super::tokens::within_reach;
use crate::app_data::SCOPE;
use crate::ids::{ClientName, UserId};
use crate::mirror::{RelPath, RunOptions};
use crate::scopes::ScopeSet;

const FLAG: &str = "must be `true` or `false`";

/// Whose mirror with which client is meant, if the caller reaches it.
async fn target(
    caller: &Caller,
    context: &Context,
    request: &HttpRequest,
    client: Option<&str>,
) -> Result<(UserId, Option<ClientName>), Problem> {
    let client = query::client(client)?;
    let reach = caller.reach();
    within_reach(client.as_ref(), reach)?;
    let scope = ScopeSet::parse(SCOPE);
    if reach.scopes.as_ref().is_some_and(|bound| !scope.is_subset(bound)) {
        return Err(
            Problem::new(Code::ScopeMissing).with("missing_scopes", vec![serde_json::Value::from(SCOPE)])
        );
    }
    let user = caller.resolve(context, &query::user(request)?).await?;
    // A caller bound to one client means that one's mirror.
    let client = match (client, reach.clients.as_deref()) {
        (None, Some([only])) => Some(only.clone()),
        (client, _) => client,
    };
    let found = context.state.mirrors.find(user, client.as_ref()).await?;
    within_reach(Some(&found.client), reach).map_err(|_| Problem::new(Code::MirrorNotFound))?;
    Ok((user, Some(found.client)))
}

pub(super) async fn list(_owner: AsOwner, context: web::Data<Context>) -> Result<HttpResponse, Problem> {
    let mirrors = context.state.mirrors.list().await;
    let mirrors = mirrors.iter().map(|(section, state)| MirrorView::of(section, state.as_ref())).collect();
    super::ok(&MirrorList { mirrors })
}

pub(super) async fn show(
    caller: Allowed<AppDataRead>,
    context: web::Data<Context>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let [client] = query::parameters(request.query_string(), ["client"])?;
    let (user, client) = target(&caller, &context, &request, client.as_deref()).await?;
    let state = context.state.mirrors.find(user, client.as_ref()).await?;
    super::ok(&MirrorView::of_state(&state, caller.bound_key().is_none()))
}

/// 200 with what was done; 409 `mirror_held` when it waits for the owner.
pub(super) async fn run(
    caller: Allowed<AppDataWrite>,
    context: web::Data<Context>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let [client, dry_run, accept] =
        query::parameters(request.query_string(), ["client", "dry_run", "accept"])?;
    let dry_run = query::parsed("dry_run", dry_run.as_deref(), FLAG)?.unwrap_or(false);
    let accept = query::parsed("accept", accept.as_deref(), FLAG)?.unwrap_or(false);
    if accept && !matches!(*caller, Caller::Owner(_)) {
        return Err(Problem::new(Code::OwnerRequired).detail(
            "What a run holds back is looked at and accepted by the owner: `locum drive sync --accept`.",
        ));
    }
    let (user, client) = target(&caller, &context, &request, client.as_deref()).await?;
    let options = RunOptions { dry_run, accept };
    let report =
        context.state.mirrors.run(user, client.as_ref(), options, &caller.actor(&context, &request)).await?;
    let status = if report.held.is_some() && !dry_run { StatusCode::CONFLICT } else { StatusCode::OK };
    let view = ReportView::of(&report);
    if status == StatusCode::OK {
        return super::ok(&view);
    }
    let words = report.held.map(|held| held.to_string()).unwrap_or_default();
    let report = serde_json::to_value(view).map_err(|error| Problem::new(Code::Internal).because(error))?;
    Err(Problem::new(Code::MirrorHeld)
        .detail(format!("Nothing was changed: {words}."))
        .with("report", report))
}

pub(super) async fn versions(
    caller: Allowed<AppDataRead>,
    context: web::Data<Context>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let [client, path] = query::parameters(request.query_string(), ["client", "path"])?;
    let (user, client) = target(&caller, &context, &request, client.as_deref()).await?;
    let kept = context.state.mirrors.versions(user, client.as_ref()).await?;
    let wanted = |kept: &&crate::mirror::KeptVersion| path.as_deref().is_none_or(|path| kept.path == path);
    super::ok(&VersionList { versions: kept.iter().filter(wanted).map(VersionView::of).collect() })
}

pub(super) async fn restore(
    caller: Allowed<AppDataWrite>,
    context: web::Data<Context>,
    request: HttpRequest,
    place: web::Path<(String, i64)>,
) -> Result<HttpResponse, Problem> {
    const TO: &str = "must be a path below the folder: names with single slashes between them";
    let [client, to] = query::parameters(request.query_string(), ["client", "to"])?;
    let to = match to.as_deref() {
        None => None,
        Some(text) => Some(RelPath::parse(text).ok_or_else(|| query::invalid("to", TO))?),
    };
    let (user, client) = target(&caller, &context, &request, client.as_deref()).await?;
    let (_, version) = place.into_inner();
    let path = context
        .state
        .mirrors
        .restore(user, client.as_ref(), version, to, &caller.actor(&context, &request))
        .await?;
    super::ok(&Restored { path: path.as_str().to_owned() })
}
