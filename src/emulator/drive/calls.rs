//! What every call has in common: counted, met by faults, and allowed by a token.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::StreamExt as _;
use serde_json::Value;

use super::counts::Kind;
use super::drives::Owner;
use super::fields::{Mask, Schema};
use super::refusal::{Reason, Refused};
use super::store::Store;
use crate::emulator::faults::{Endpoint, Fault};
use crate::emulator::form::{self, Form};
use crate::emulator::people::Person;
use crate::emulator::reply::Reply;
use crate::emulator::serving::{self, Outgoing};
use crate::emulator::world::World;

/// The most bytes of a JSON body.
const MAX_JSON: usize = 1 << 20;

/// A request that arrived.
pub(super) struct Call {
    pub(super) world: World,
    pub(super) request: HttpRequest,
    pub(super) query: Form,
    pub(super) kind: Kind,
}

/// What a call comes to.
pub(super) type Outcome = Result<Outgoing, Refused>;

impl Call {
    pub(super) fn new(world: &World, request: HttpRequest, kind: Kind) -> Self {
        let query = Form::parse(request.query_string().as_bytes());
        Self { world: world.clone(), request, query, kind }
    }

    /// A header field that is text.
    pub(super) fn field(&self, name: impl header::AsHeaderName) -> Option<&str> {
        self.request.headers().get(name)?.to_str().ok()
    }

    /// Whose access token this is.
    ///
    /// # Errors
    /// 401 without a token that lives, 403 without the scope.
    pub(super) fn person(&self) -> Result<(Person, Owner), Refused> {
        let Some(token) = self.field(header::AUTHORIZATION).and_then(form::bearer) else {
            return Err(Refused::no_login());
        };
        let access = self.world.access(token).ok_or(Reason::AuthError)?;
        if !access.scopes.contains("https://www.googleapis.com/auth/drive.appdata") {
            return Err(Reason::InsufficientPermissions.into());
        }
        let owner = Owner { sub: access.person.sub.clone(), project: access.client_id.project().into() };
        Ok((access.person, owner))
    }

    /// Looks at, or changes, the app data that the token opens.
    pub(super) fn on_store<T>(
        &self,
        work: impl FnOnce(&mut Store) -> Result<T, Refused>,
    ) -> Result<T, Refused> {
        let (_, owner) = self.person()?;
        self.world.on_app_data(&owner, work)
    }

    /// The mask that was asked for, or the default of the method.
    pub(super) fn mask(&self, schema: &Schema, unasked: &str) -> Result<Mask, Refused> {
        Mask::parse(self.query.filled("fields").unwrap_or(unasked), schema)
    }

    /// A number within bounds.
    pub(super) fn number(&self, name: &'static str, unasked: usize) -> Result<usize, Refused> {
        let Some(text) = self.query.filled(name) else { return Ok(unasked) };
        let number = text.parse().ok().filter(|number| (1..=1000).contains(number));
        number.ok_or_else(|| Refused {
            message: Some(format!("Invalid value '{text}'. Values must be within the range: [1, 1000]")),
            ..Refused::invalid(name)
        })
    }

    /// A parameter that is true or false.
    pub(super) fn flag(&self, name: &'static str, unasked: bool) -> Result<bool, Refused> {
        match self.query.filled(name) {
            None => Ok(unasked),
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(_) => Err(Refused::invalid(name)),
        }
    }

    /// Whether the hidden folder is among the spaces asked for; it is not unless it is named.
    pub(super) fn wants_app_data(&self, name: &'static str) -> Result<bool, Refused> {
        let mut spaces = self.query.filled(name).unwrap_or("drive").split(',').map(str::trim);
        if spaces.clone().all(|space| matches!(space, "drive" | "appDataFolder" | "photos")) {
            Ok(spaces.any(|space| space == "appDataFolder"))
        } else {
            Err(Refused::invalid(name))
        }
    }

    /// The next fault for what this call does with content.
    pub(super) fn content_fault(&self, fits: impl Fn(&Fault) -> bool) -> Option<Fault> {
        self.world.faults().take_where(&self.endpoints(), fits)
    }

    fn endpoints(&self) -> [Endpoint; 2] {
        self.kind.endpoints()
    }
}

/// A JSON answer under a mask.
pub(super) fn answer(mask: &Mask, body: &Value) -> Outgoing {
    Reply::private(200, &mask.apply(body)).into()
}

/// Counts a call, lets the next scripted fault have it, and carries it out.
pub(super) async fn carry(
    call: Call,
    mut body: web::Payload,
    work: impl AsyncFnOnce(Call, web::Payload) -> Outcome,
) -> HttpResponse {
    call.world.state().drive.counts.arrived(call.kind);
    let paged = call.query.filled("pageToken").is_some();
    let fault = call.world.faults().take_where(&call.endpoints(), |fault| match fault {
        Fault::Drive(Refused { reason: Reason::Invalid, .. }) => paged,
        fault => !fault.is_of_content(),
    });
    let request = call.request.clone();
    if fault.as_ref().is_some_and(Fault::answers) {
        // An answer to a request that is still being sent may never be read.
        drain(&mut body).await;
    }
    let work = async { work(call, body).await.unwrap_or_else(|refused| Reply::from(refused).into()) };
    match fault {
        None => work.await.send(&request),
        Some(fault) => serving::under(fault, &request, work).await,
    }
}

/// Reads a body to its end and forgets it.
pub(super) async fn drain(body: &mut web::Payload) {
    while let Some(Ok(_)) = body.next().await {}
}

/// A whole JSON body.
pub(super) async fn read_json(body: &mut web::Payload) -> Result<Vec<u8>, Refused> {
    let mut bytes = Vec::new();
    while let Some(piece) = body.next().await {
        bytes.extend_from_slice(&piece.map_err(|_| Refused::bad("The request's body broke off."))?);
        if bytes.len() > MAX_JSON {
            drain(body).await;
            return Err(Refused::bad("The metadata is too large."));
        }
    }
    Ok(bytes)
}
