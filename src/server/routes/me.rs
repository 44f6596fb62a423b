//! `/v1/users/me`: what a session's user sees and ends of their own.

use actix_web::{HttpRequest, HttpResponse, web};

use super::super::auth::OfSession;
use super::super::context::Context;
use super::super::problem::Problem;
use super::super::query;
use crate::tokens::Reach;
use crate::users::Revoke;

pub(super) async fn show(
    session: OfSession,
    context: web::Data<Context>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let [] = query::parameters(request.query_string(), [])?;
    super::ok(&context.state.users.show(session.user, &Reach::EVERYTHING).await?)
}

/// Disconnecting is the person's own wish, so it goes as far as Google lets it: the whole project.
pub(super) async fn disconnect(
    session: OfSession,
    context: web::Data<Context>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let [] = query::parameters(request.query_string(), [])?;
    let forgotten =
        context.state.users.forget(session.user, None, Revoke::Project, &context.visitor(&request)).await?;
    super::users::forgotten(&forgotten)
}
