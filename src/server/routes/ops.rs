//! Health and metrics.

use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, web};
use serde_json::json;

use super::super::auth::{Allowed, MetricsRead};
use super::super::context::Context;
use super::super::problem::{Code, Problem};
use crate::metrics::ScrapeFacts;
use crate::vault::{GrantCounts, VaultError};

/// The process runs and answers.
pub(super) async fn alive() -> Result<HttpResponse, Problem> {
    super::ok(&json!({ "status": "ok" }))
}

/// Codes can be exchanged and tokens handed out.
pub(super) async fn ready(context: web::Data<Context>) -> Result<HttpResponse, Problem> {
    if context.state.vault.has_failed() {
        return Err(Problem::new(Code::VaultFailed));
    }
    if !context.state.provider.status().keys_loaded {
        return Err(Problem::new(Code::KeysUnavailable));
    }
    super::ok(&json!({ "status": "ready" }))
}

pub(super) async fn metrics(
    _: Allowed<MetricsRead>,
    context: web::Data<Context>,
) -> Result<HttpResponse, Problem> {
    let state = &context.state;
    let counts = counts(&context).await?;
    let name_of = |id| state.config.client_by_id(id).map(|client| client.name.as_str());
    let grants: Vec<_> = counts
        .by_state
        .iter()
        .map(|(grant, id, count)| {
            let (grant, name) = match name_of(id) {
                Some(name) => (*grant, name),
                None => (grant.seen_without_client(), id.as_str()),
            };
            (grant, name, *count)
        })
        .collect();
    let paused = state.tokens.paused_clients();
    let clients: Vec<_> = state
        .config
        .clients
        .iter()
        .map(|client| {
            (client.name.as_str(), paused.iter().any(|paused| paused.client_id == client.client_id))
        })
        .collect();
    state.metrics.set_now(&ScrapeFacts {
        now: state.clock.now(),
        jwks_fetched_at: state.provider.status().keys_fetched_at,
        next_refresh_expiry: counts.next_expiry,
        api_keys_damaged: state.api_keys.damaged(),
        vault_failed: state.vault.has_failed(),
        grants: &grants,
        clients: &clients,
    });
    Ok(HttpResponse::Ok()
        .insert_header((
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
        ))
        .body(state.metrics.render()))
}

/// The number of grants in each state; what was counted a few seconds ago will do while no grant has moved.
pub(super) async fn counts(context: &Context) -> Result<GrantCounts, VaultError> {
    let state = &context.state;
    context.counts.or_else(state, async || state.vault.count_grants().await).await
}
