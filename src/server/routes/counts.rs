//! `GET /v1/counts`: how often things happened, for charts.

use actix_web::{HttpRequest, HttpResponse, web};

use super::super::auth::AsOwner;
use super::super::context::Context;
use super::super::problem::Problem;
use super::super::query;
use crate::counts::Span;

pub(super) async fn chart(
    _: AsOwner,
    context: web::Data<Context>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let [span] = query::parameters(request.query_string(), ["span"])?;
    let span = match span.as_deref() {
        None => Span::Day,
        Some(code) => Span::from_code(code).ok_or_else(|| query::invalid("span", "must be day or month"))?,
    };
    super::ok(&context.state.counts.chart(span).await?)
}
