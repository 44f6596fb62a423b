//! `/v1/connect-links`: a program or the owner makes a link for somebody, sees which wait to be followed, and
//! withdraws one.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::auth::{Allowed, Caller, UsersRead, UsersWrite};
use super::super::body::{self, Expected, Fields};
use super::super::context::Context;
use super::super::problem::{Code, Problem};
use super::super::query;
use super::tokens::within_reach;
use crate::clock::Timestamp;
use crate::ids::{ClientName, Email, Sub, UserId, UserRef};
use crate::scopes::ScopeSet;
use crate::sign_in::NamedPerson;
use crate::sign_in::web_flow::{LinkId, LinkOrder, OpenLink};
use crate::tokens::ResolveError;

/// A day, unless the caller says otherwise; at most thirty.
const DEFAULT_LIFETIME: i64 = 86_400;
const LIFETIMES: std::ops::RangeInclusive<i64> = 60..=30 * 86_400;

static EXPECTED: Expected = Expected {
    fields: &[&["user"], &["email"], &["client"], &["scopes"], &["expires_in"]],
    forms: false,
    // A mistyped field would ask somebody for something else.
    lenient: false,
};

/// A link that was just made. The only time its address is shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConnectLinkMade {
    /// Its number, by which it can be withdrawn.
    pub id: String,
    /// The address to send to the person.
    pub url: String,
    /// The client.
    pub client: ClientName,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// The links that wait to be followed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConnectLinkList {
    /// The latest first; at most a thousand.
    pub links: Vec<ConnectLinkView>,
    /// How many more cannot be read because their records are damaged.
    pub damaged: u64,
}

/// A link that waits to be followed. Its address cannot be shown again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConnectLinkView {
    /// Its number, by which it can be withdrawn.
    pub id: String,
    /// Whom it is for.
    pub user: LinkedUser,
    /// The client.
    pub client: ClientName,
    /// What it asks for instead of the client's scopes, if it does.
    pub scopes: Option<ScopeSet>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// Whom a link is for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LinkedUser {
    /// Google's `sub`, where somebody who is known was named.
    pub id: Option<Sub>,
    /// The address it was made for.
    pub email: Option<Email>,
}

/// Links listed at the most.
const LISTED: usize = 1000;

pub(super) async fn list(
    caller: Allowed<UsersRead>,
    context: web::Data<Context>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let [] = query::parameters(request.query_string(), [])?;
    let (open, damaged) = context.state.web_flow.open_links(LISTED).await?;
    let mut links = Vec::with_capacity(open.len());
    for link in open {
        if reaches(&caller, &context, &link).await? {
            links.push(ConnectLinkView {
                id: link.id.to_string(),
                user: LinkedUser { id: link.person.sub, email: link.person.email },
                client: link.client,
                scopes: link.scopes,
                created_at: link.created_at,
                expires_at: link.expires_at,
            });
        }
    }
    // A bound caller is told of nothing that may be out of its reach.
    let damaged = if caller.is_bound_to_people_or_clients() { 0 } else { damaged };
    super::ok(&ConnectLinkList { links, damaged })
}

/// Whether the client and the person of a link are within reach. For a caller that is bound to people, one
/// who is not connected is nobody.
async fn reaches(caller: &Caller, context: &Context, link: &OpenLink) -> Result<bool, Problem> {
    if !caller.reach().includes(Some(&link.client)) {
        return Ok(false);
    }
    if caller.only_users().is_none() {
        return Ok(true);
    }
    let named = match (&link.person.sub, &link.person.email) {
        (Some(sub), _) => UserRef::Sub(sub.clone()),
        (None, Some(email)) => UserRef::Email(email.clone()),
        (None, None) => return Ok(false),
    };
    match named_person(caller, context, &named).await {
        Ok(_) => Ok(true),
        Err(problem) if matches!(problem.code(), Code::UserNotFound | Code::UserAmbiguous) => Ok(false),
        Err(problem) => Err(problem),
    }
}

pub(super) async fn create(
    caller: Allowed<UsersWrite>,
    context: web::Data<Context>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let [] = query::parameters(request.query_string(), [])?;
    let mut fields = Fields::read(&EXPECTED, &context, &request, payload).await?;
    let user: Option<UserRef> = fields.parsed("user", "must be a user's id or e-mail address")?;
    let email: Option<Email> = fields.parsed("email", "must be an e-mail address")?;
    let client: Option<ClientName> =
        fields.parsed("client", "must be the name of a client: 1 to 40 characters of a-z, 0-9, - and _")?;
    let scopes = fields.take("scopes").map(|value| scopes(&value)).transpose()?;
    let lifetime = match fields.take("expires_in") {
        None => DEFAULT_LIFETIME,
        Some(value) => value.as_i64().filter(|seconds| LIFETIMES.contains(seconds)).ok_or_else(|| {
            body::invalid("expires_in", "must be a whole number of seconds from 60 to 2592000, thirty days")
        })?,
    };
    if let (Some(bound), Some(asked)) = (&caller.reach().scopes, &scopes)
        && !asked.is_subset(bound)
    {
        let missing: Vec<Value> = asked.minus(bound).iter().map(Value::from).collect();
        return Err(Problem::new(Code::ScopeMissing).with("missing_scopes", missing));
    }
    if caller.reach().scopes.is_some() && scopes.is_none() {
        return Err(body::missing("scopes").detail(
            "This key is bound to scopes: say in `scopes` which of them the person shall be asked for.",
        ));
    }
    let person = match (user, email) {
        (Some(user), None) => known(&caller, &context, &user).await?,
        (None, Some(email)) => addressed(&caller, &context, email).await?,
        (None, None) => {
            return Err(
                body::missing("email").detail("Send `email`, or `user` for somebody who is connected.")
            );
        }
        (Some(_), Some(_)) => return Err(body::invalid("email", "must not stand beside `user`")),
    };
    within_reach(client.as_ref(), caller.reach())?;
    let client = match (client, &caller.reach().clients) {
        (None, Some(bound)) if bound.len() == 1 => bound.first().cloned(),
        (client, _) => client,
    };
    let flow = &context.state.web_flow;
    let client = flow.client_of_link(client)?;
    within_reach(Some(&client), caller.reach())?;
    let made = flow
        .make_link(
            LinkOrder { person, client: Some(client), scopes, lifetime },
            &caller.actor(&context, &request),
        )
        .await?;
    tracing::info!(link = %made.id, client = %made.client, "a connect link was made");
    let made = ConnectLinkMade {
        id: made.id.to_string(),
        url: made.url.into(),
        client: made.client,
        expires_at: made.expires_at,
    };
    super::json(StatusCode::CREATED, &made)
}

/// To a caller that is bound, a link out of its reach is none.
pub(super) async fn withdraw(
    caller: Allowed<UsersWrite>,
    context: web::Data<Context>,
    request: HttpRequest,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let [] = query::parameters(request.query_string(), [])?;
    let gone = |_| Problem::new(Code::ConnectLinkNotFound);
    let id: LinkId = id.parse().map_err(gone)?;
    if caller.is_bound_to_people_or_clients() {
        let (open, _) = context.state.web_flow.open_links(usize::MAX).await?;
        match open.iter().find(|link| link.id == id) {
            Some(link) if reaches(&caller, &context, link).await? => {}
            _ => return Err(Problem::new(Code::ConnectLinkNotFound)),
        }
    }
    match context.state.web_flow.withdraw_link(id, &caller.actor(&context, &request)).await {
        Ok(()) => {
            tracing::info!(link = %id, "a connect link was withdrawn");
            super::ok(&serde_json::json!({ "withdrawn": id.to_string() }))
        }
        Err(crate::sign_in::web_flow::WebError::LinkGone) => Err(Problem::new(Code::ConnectLinkNotFound)),
        Err(error) => Err(error.into()),
    }
}

/// The person that a caller names. Whom a key is bound to by name it may also bring to a client that they have no
/// grant with yet.
async fn named_person(caller: &Caller, context: &Context, user: &UserRef) -> Result<UserId, Problem> {
    if caller.only_users().is_some() {
        return caller.resolve_person(context, user).await.map(|person| person.id);
    }
    caller.resolve(context, user).await
}

/// Somebody who is connected, within the caller's reach.
async fn known(caller: &Caller, context: &Context, user: &UserRef) -> Result<NamedPerson, Problem> {
    let id = named_person(caller, context, user).await?;
    let user =
        context.state.vault.load_user(id).await?.ok_or_else(|| Problem::from(ResolveError::NotFound))?;
    let email = user.profile.verified_email().cloned();
    Ok(NamedPerson::Sub(user.profile.sub, email))
}

/// Anybody with a Google account; for a caller that is bound to people, one of them.
async fn addressed(caller: &Caller, context: &Context, email: Email) -> Result<NamedPerson, Problem> {
    if caller.only_users().is_some() {
        return known(caller, context, &UserRef::Email(email)).await;
    }
    Ok(NamedPerson::Email(email))
}

/// A list of scope names (RFC 6749 §3.3).
fn scopes(value: &Value) -> Result<ScopeSet, Problem> {
    const WANTED: &str = "must be a list of 1 to 50 scopes, each without a space";
    let list: Vec<String> =
        serde_json::from_value(value.clone()).map_err(|_| body::invalid("scopes", WANTED))?;
    let word = |scope: &String| {
        (1..=200).contains(&scope.len())
            && scope.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\')
    };
    if (1..=50).contains(&list.len()) && list.iter().all(word) {
        Ok(list.iter().collect())
    } else {
        Err(body::invalid("scopes", WANTED))
    }
}
