//! `GET /v1/people`: everybody by search, state, client and order, a page at a time, for the owner.

use actix_web::{HttpRequest, HttpResponse, web};

use super::super::auth::AsOwner;
use super::super::context::Context;
use super::super::problem::Problem;
use super::super::query;
use crate::grant::GrantState;
use crate::users::{PeopleQuery, PeopleSort};

/// People on one page unless the caller says otherwise, and at most.
const PAGE: usize = 50;
const LARGEST_PAGE: usize = 200;
/// Nobody's address is longer.
const LONGEST_TEXT: usize = 320;

pub(super) async fn list(
    _: AsOwner,
    context: web::Data<Context>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    const LIMIT: &str = "must be a whole number from 1 to 200";
    let [q, state, client, sort, offset, limit] =
        query::parameters(request.query_string(), ["q", "state", "client", "sort", "offset", "limit"])?;
    let text = q.unwrap_or_default();
    if text.chars().count() > LONGEST_TEXT {
        return Err(query::invalid("q", "must have at most 320 characters"));
    }
    if state.as_deref().is_some_and(|state| !GrantState::CODES.contains(&state)) {
        return Err(query::invalid("state", &format!("must be one of {}", GrantState::CODES.join(", "))));
    }
    let limit = query::parsed("limit", limit.as_deref(), LIMIT)?.unwrap_or(PAGE);
    if !(1..=LARGEST_PAGE).contains(&limit) {
        return Err(query::invalid("limit", LIMIT));
    }
    let (sort, descending) = match sort.as_deref().map(|sort| sort.strip_prefix('-').ok_or(sort)) {
        Some(Ok(sort)) => (Some(sort), true),
        Some(Err(sort)) => (Some(sort), false),
        None => (None, false),
    };
    let wanted = format!("must be one of {}, with - before it to turn it round", PeopleSort::WORDS);
    let people = PeopleQuery {
        text: text.into_owned(),
        state: state.map(Into::into),
        client: query::client(client.as_deref())?,
        sort: query::parsed("sort", sort, &wanted)?.unwrap_or_default(),
        descending,
        offset: query::parsed("offset", offset.as_deref(), "must be a whole number, 0 or more")?.unwrap_or(0),
        limit,
    };
    super::ok(&context.state.users.people(people).await?)
}
