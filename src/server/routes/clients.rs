//! `/v1/clients`: the OAuth clients with what to register at Google and how they are, and a check of one at
//! Google.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::super::auth::AsOwner;
use super::super::context::Context;
use super::super::problem::{Code, Problem};
use super::super::query;
use super::status::{Pause, pause_of};
use crate::clients::{Check, ClientsError, Registration, registrations};
use crate::config::{Client, Source};
use crate::events::{Kind, NewEvent};
use crate::grant::StateCounts;
use crate::ids::{ClientName, OAuthClientId};
use crate::scopes::ScopeSet;

/// The clients in the order of the configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClientList {
    /// Each of them.
    pub clients: Vec<ClientView>,
}

/// One client.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClientView {
    /// Its name.
    pub name: ClientName,
    /// Its id at Google.
    pub client_id: OAuthClientId,
    /// The number of its Google Cloud project.
    pub project: String,
    /// Where its codes come from.
    pub sources: Vec<String>,
    /// The scopes wanted from everybody.
    pub scopes: ScopeSet,
    /// Why its refreshes are paused, if they are.
    pub paused: Option<Pause>,
    /// How many of its grants stand where.
    pub grants: StateCounts,
    /// What to register at Google and in the apps.
    pub register: Vec<Registration>,
    /// What can be told without asking Google.
    pub checks: Vec<Check>,
    /// Where a browser begins to sign in with it; `null` where none can.
    pub sign_in_url: Option<String>,
    /// Why none can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sign_in_note: Option<String>,
}

pub(super) async fn list(
    _: AsOwner,
    context: web::Data<Context>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let [] = query::parameters(request.query_string(), [])?;
    let mut clients = Vec::new();
    for client in &context.state.config.clients {
        clients.push(view(&context, client).await?);
    }
    super::ok(&ClientList { clients })
}

async fn view(context: &Context, client: &Client) -> Result<ClientView, Problem> {
    let state = &context.state;
    let mut grants = StateCounts::default();
    for (grant, id, count) in &super::ops::counts(context).await?.by_state {
        if *id == client.client_id {
            grants.add(*grant, *count);
        }
    }
    let in_browsers = client.sources.contains(&Source::Web);
    let public = state.config.server.public_url.is_some();
    let note = match (in_browsers, public) {
        (true, true) => None,
        (false, _) => {
            Some("Add the source web to this client's `sources`, so that people can sign in by a browser.")
        }
        (true, false) => Some("Set `server.public_url`, so that people can sign in by a browser."),
    };
    Ok(ClientView {
        name: client.name.clone(),
        client_id: client.client_id.clone(),
        project: client.client_id.project().to_owned(),
        sources: client.sources.iter().map(|source| source.as_str().to_owned()).collect(),
        scopes: client.scopes.clone(),
        paused: pause_of(context, &client.client_id),
        grants,
        register: registrations(client, &state.config.server),
        checks: state.clients.look_at(client).await?,
        sign_in_url: note.is_none().then(|| format!("/v1/sign-in?client={}", client.name)),
        sign_in_note: note.map(str::to_owned),
    })
}

/// Asks Google. Touches no grant and pauses nothing.
pub(super) async fn check(
    owner: AsOwner,
    context: web::Data<Context>,
    request: HttpRequest,
    name: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let [] = query::parameters(request.query_string(), [])?;
    let name: ClientName = name.parse().map_err(|_| Problem::new(Code::ClientUnknown))?;
    let (state, actor) = (context.state.clone(), owner.actor(&context, &request));
    let asked = name.clone();
    let work = async move {
        let checks = state.clients.check(&asked).await?;
        if let Some(client) = state.config.client(&asked) {
            state.events.record(NewEvent::new(Kind::ClientChecked, &actor).client(&client.client_id)).await;
        }
        Ok::<_, ClientsError>(checks)
    };
    let checks = context.to_the_end(work).await?;
    tracing::info!(client = %name, "a client was checked at Google");
    super::ok(&json!({ "checks": checks }))
}
