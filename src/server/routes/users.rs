//! The people: listed, shown, forgotten.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::super::auth::{Allowed, Caller, UsersRead, UsersWrite};
use super::super::context::Context;
use super::super::problem::{Code, Problem};
use super::super::query;
use super::tokens::within_reach;
use crate::grant::GrantState;
use crate::ids::{ClientName, UserId};
use crate::users::{Forgotten, Revoke, UserFilter, UsersError};

/// People on one page unless the caller says otherwise, and at most.
const PAGE: usize = 50;
const LARGEST_PAGE: usize = 500;

pub(super) async fn list(
    caller: Allowed<UsersRead>,
    context: web::Data<Context>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let [cursor, limit, state, email] =
        query::parameters(request.query_string(), ["cursor", "limit", "state", "email"])?;
    let limit = query::parsed("limit", limit.as_deref(), LIMIT)?.unwrap_or(PAGE);
    if !(1..=LARGEST_PAGE).contains(&limit) {
        return Err(query::invalid("limit", LIMIT));
    }
    if state.as_deref().is_some_and(|state| !GrantState::CODES.contains(&state)) {
        return Err(query::invalid("state", &format!("must be one of {}", GrantState::CODES.join(", "))));
    }
    let filter = UserFilter {
        state: state.map(Into::into),
        email: query::parsed("email", email.as_deref(), "must be an e-mail address")?,
        only: caller.only_users().map(<[UserId]>::to_vec),
    };
    super::ok(&context.state.users.list(cursor.as_deref(), limit, &filter, caller.reach()).await?)
}

const LIMIT: &str = "must be a whole number from 1 to 500";

/// With `preview=forget`, what forgetting would do and nothing else: whoever is about to do it is told.
pub(super) async fn show(
    caller: Allowed<UsersRead>,
    context: web::Data<Context>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let [preview, client, revoke] =
        query::parameters(request.query_string(), ["preview", "client", "revoke"])?;
    let user = query::user(&request)?;
    match preview.as_deref() {
        None if client.is_some() || revoke.is_some() => {
            Err(query::invalid("preview", "must be `forget` where `client` or `revoke` is given"))
        }
        None => {
            let user = caller.resolve(&context, &user).await?;
            super::ok(&context.state.users.show(user, caller.reach()).await?)
        }
        Some("forget") => {
            let user = caller.resolve(&context, &user).await?;
            let plan = Plan::new(&caller, &context, user, client.as_deref(), revoke.as_deref()).await?;
            super::ok(&context.state.users.preview_forget(user, plan.client.as_ref(), plan.revoke).await?)
        }
        Some(_) => Err(query::invalid("preview", "must be `forget`")),
    }
}

pub(super) async fn forget(
    caller: Allowed<UsersWrite>,
    context: web::Data<Context>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let [client, revoke] = query::parameters(request.query_string(), ["client", "revoke"])?;
    let user = caller.resolve(&context, &query::user(&request)?).await?;
    let plan = Plan::new(&caller, &context, user, client.as_deref(), revoke.as_deref()).await?;
    let actor = caller.actor(&context, &request);
    forgotten(&context.state.users.forget(user, plan.client.as_ref(), plan.revoke, &actor).await?)
}

/// 202 while Google still has to be told.
pub(super) fn forgotten(done: &Forgotten) -> Result<HttpResponse, Problem> {
    super::json(if done.pending { StatusCode::ACCEPTED } else { StatusCode::OK }, done)
}

/// What is to be forgotten, within the caller's reach.
struct Plan {
    client: Option<ClientName>,
    revoke: Revoke,
}

impl Plan {
    async fn new(
        caller: &Caller,
        context: &Context,
        user: UserId,
        client: Option<&str>,
        revoke: Option<&str>,
    ) -> Result<Self, Problem> {
        let revoke: Revoke =
            query::parsed("revoke", revoke, "must be auto, project or no")?.unwrap_or_default();
        let client = query::client(client)?;
        let Some(bound) = &caller.reach().clients else { return Ok(Self { client, revoke }) };
        // A bound caller forgets what it reaches and nothing else.
        within_reach(client.as_ref(), caller.reach())?;
        let client = match (client, bound.as_slice()) {
            (Some(client), _) => client,
            (None, [only]) => only.clone(),
            (None, several) => {
                let names: Vec<_> = several.iter().map(ClientName::as_str).collect();
                return Err(Problem::new(Code::ClientAmbiguous).with("clients", names));
            }
        };
        let preview = match context.state.users.preview_forget(user, Some(&client), revoke).await {
            // To a caller that is bound, what it does not reach does not exist.
            Err(UsersError::NoGrant) => return Err(UsersError::NotFound.into()),
            preview => preview?,
        };
        let reaches = |label: &String| bound.iter().any(|bound| bound.as_str() == label);
        if !preview.would_also_end.iter().all(reaches) {
            return Err(Problem::new(Code::RevokeReachesFurther));
        }
        Ok(Self { client: Some(client), revoke })
    }
}
