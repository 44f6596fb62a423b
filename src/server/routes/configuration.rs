//! `GET /v1/configuration`: every value in force and where it came from, secrets only said to be set.

use actix_web::{HttpRequest, HttpResponse, web};

use super::super::auth::AsOwner;
use super::super::context::Context;
use super::super::problem::Problem;
use super::super::query;

pub(super) async fn show(
    _: AsOwner,
    context: web::Data<Context>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let [] = query::parameters(request.query_string(), [])?;
    super::ok(&*context.state.effective)
}
