//! Who asks, and whether they may: the one place that reads `Authorization`, and the one that takes a
//! browser's session for the owner.
//!
//! A handler's signature says what authority it needs: [`Allowed`] with an action, [`AsOwner`],
//! [`OfSession`], [`OfDashboard`], or none of them for a public route. Each is proof: it cannot be built
//! elsewhere.

use std::future::{Future, Ready, ready};
use std::marker::PhantomData;
use std::net::IpAddr;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, web};

use super::admin_peer::AdminPeer;
use super::context::{Context, Door};
use super::dashboard;
use super::problem::{Code, Problem};
use crate::api_keys::{Action, ApiKey};
use crate::events::{Actor, Via};
use crate::ids::{ApiKeyId, UserId, UserRef};
use crate::owner_sessions::{OwnerSession, SignedInBy};
use crate::sessions::SessionUser;
use crate::tokens::{Person, Reach, ResolveError};
use crate::vault::UserBinding;

const KEY_PREFIX: &str = "locum_";

/// Who may do something on somebody's behalf.
#[derive(Clone, Debug)]
pub(super) enum Caller {
    /// The owner.
    Owner(OwnerVia),
    /// A program with an API key.
    Key(Arc<ApiKey>),
}

/// The owner's way in.
#[derive(Clone, Debug)]
pub(super) enum OwnerVia {
    /// The admin socket, or the metrics listener for what that serves.
    Socket,
    /// A browser that is signed in to the dashboard.
    Dashboard(OwnerSession),
}

impl Caller {
    /// Who it is that does something, for the log of events.
    pub(super) fn actor(&self, context: &Context, request: &HttpRequest) -> Actor {
        let from = || Some(context.client_address(request));
        match self {
            // Everybody there is on this machine.
            Self::Owner(OwnerVia::Socket) => Actor::owner(Via::Socket, None, None),
            Self::Owner(OwnerVia::Dashboard(session)) => owner_in_browser(session, from()),
            Self::Key(key) => Actor::key(key.id.clone(), key.name.clone(), from()),
        }
    }

    /// The caller's key; the owner has none.
    pub(super) fn key(&self) -> Option<&ApiKeyId> {
        match self {
            Self::Key(key) => Some(&key.id),
            Self::Owner(_) => None,
        }
    }

    /// The caller's key, where it does not reach everything.
    pub(super) fn bound_key(&self) -> Option<ApiKeyId> {
        match self {
            Self::Key(key) if key.is_bound() => Some(key.id.clone()),
            Self::Key(_) | Self::Owner(_) => None,
        }
    }

    /// Whether the caller would still be let in: what goes on for long asks again.
    pub(super) fn is_in_force(&self, context: &Context) -> bool {
        let state = &context.state;
        match self {
            Self::Owner(OwnerVia::Socket) => true,
            Self::Owner(OwnerVia::Dashboard(session)) => state.owner_sessions.is_signed_in(session.id),
            Self::Key(key) => {
                state.api_keys.find(&key.id).is_some_and(|now| now.ended(state.clock.now()).is_none())
            }
        }
    }

    fn may(&self, action: Action) -> bool {
        match self {
            Self::Owner(_) => true,
            Self::Key(key) => key.may(action),
        }
    }

    /// Which clients and scopes are within reach.
    pub(super) fn reach(&self) -> &Reach {
        match self {
            Self::Owner(_) => &Reach::EVERYTHING,
            Self::Key(key) => &key.reach,
        }
    }

    /// The rows the caller is bound to, if it is.
    pub(super) fn only_users(&self) -> Option<&[UserId]> {
        match self {
            Self::Key(key) => match &key.users {
                UserBinding::Only(users) => Some(users),
                UserBinding::All => None,
            },
            Self::Owner(_) => None,
        }
    }

    /// Whether there may be people whom the caller does not reach.
    pub(super) fn is_bound_to_people_or_clients(&self) -> bool {
        self.only_users().is_some() || self.reach().clients.is_some()
    }

    fn reaches(&self, user: UserId) -> bool {
        match self {
            Self::Owner(_) => true,
            Self::Key(key) => key.reaches(user),
        }
    }

    /// The row of the user that the caller names. Whoever is out of reach looks like nobody.
    pub(super) async fn resolve(&self, context: &Context, user: &UserRef) -> Result<UserId, Problem> {
        let id = self.resolve_person(context, user).await?.id;
        if context.state.tokens.reaches(id, self.reach()).await? {
            Ok(id)
        } else {
            Err(ResolveError::NotFound.into())
        }
    }

    /// As [`Caller::resolve`], with what was read on the way to it; whether any grant of the person's is within
    /// reach is for [`crate::tokens`] to see.
    pub(super) async fn resolve_person(&self, context: &Context, user: &UserRef) -> Result<Person, Problem> {
        let person = match (context.state.tokens.resolve(user).await, user) {
            (_, UserRef::Me) => return Err(Problem::new(Code::SessionRequired)),
            (Ok(person), _) => person,
            // For a bound caller only the people within reach count.
            (Err(ResolveError::Ambiguous), UserRef::Email(email)) if self.is_bound_to_people_or_clients() => {
                let mut found = Vec::new();
                for id in context.state.vault.find_users_by_email(email).await? {
                    if self.reaches(id) && context.state.tokens.reaches(id, self.reach()).await? {
                        found.push(id);
                    }
                }
                match found.as_slice() {
                    [] => return Err(ResolveError::NotFound.into()),
                    [only] => (*only).into(),
                    _ => return Err(ResolveError::Ambiguous.into()),
                }
            }
            (Err(error), _) => return Err(error.into()),
        };
        if self.reaches(person.id) { Ok(person) } else { Err(ResolveError::NotFound.into()) }
    }
}

/// The owner in a browser that is signed in.
pub(super) fn owner_in_browser(session: &OwnerSession, from: Option<IpAddr>) -> Actor {
    let name = match &session.signed_in_by {
        SignedInBy::Link => None,
        SignedInBy::Google(email) => Some(email.to_string()),
    };
    Actor::owner(Via::Dashboard, name, from)
}

/// The key in force that a request shows, which is verified once. See [`shown_key`].
pub(super) struct ShownKey(pub(super) Arc<ApiKey>);

/// The bearer token of a request (RFC 6750 §2.1).
fn bearer(request: &HttpRequest) -> Result<&str, Problem> {
    let mut values = request.headers().get_all(header::AUTHORIZATION);
    let Some(value) = values.next() else { return Err(Problem::new(Code::CredentialsMissing)) };
    if values.next().is_some() {
        return Err(Problem::new(Code::BadRequest).detail("Send one Authorization header, not several."));
    }
    token_of(value).ok_or_else(|| Problem::new(Code::CredentialsMissing))
}

fn token_of(value: &HeaderValue) -> Option<&str> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim()).filter(|token| !token.is_empty())
}

/// The key in force that the request shows, under which it is counted, and not under its address.
pub(super) fn shown_key(context: &Context, request: &HttpRequest) -> Option<ShownKey> {
    let token = bearer(request).ok().filter(|token| token.starts_with(KEY_PREFIX))?;
    context.state.api_keys.verify(token).ok().map(ShownKey)
}

fn context(request: &HttpRequest) -> Result<&web::Data<Context>, Problem> {
    request.app_data::<web::Data<Context>>().ok_or_else(|| Problem::new(Code::Internal))
}

fn authenticate(request: &HttpRequest) -> Result<Caller, Problem> {
    let context = context(request)?;
    if request.app_data() == Some(&Door::Admin) {
        return match request.conn_data::<AdminPeer>() {
            Some(AdminPeer::Owner) => Ok(Caller::Owner(OwnerVia::Socket)),
            Some(AdminPeer::Stranger) | None => Err(Problem::new(Code::OwnerRequired).detail(
                "The admin socket serves root, the user locum runs as, and members of the socket's group.",
            )),
        };
    }
    if let Some(session) = dashboard::owner_of(request, context)? {
        return Ok(Caller::Owner(OwnerVia::Dashboard(session)));
    }
    if let Some(ShownKey(key)) = request.extensions().get() {
        return Ok(Caller::Key(key.clone()));
    }
    // None is in force, and on the public listener the request was counted under its address. What is wrong?
    let token = bearer(request)?;
    if !token.starts_with(KEY_PREFIX) {
        return Err(Problem::new(if token.split('.').count() == 3 {
            Code::ApiKeyRequired
        } else {
            Code::ApiKeyInvalid
        }));
    }
    Ok(Caller::Key(context.state.api_keys.verify(token)?))
}

/// An action as a type, for signatures.
pub(super) trait Right {
    const ACTION: Action;
}

macro_rules! rights {
    ($($name:ident),+) => {$(
        pub(super) struct $name;

        impl Right for $name {
            const ACTION: Action = Action::$name;
        }
    )+};
}

rights!(TokensRead, UsersRead, UsersWrite, AppDataRead, AppDataWrite, EventsRead, MetricsRead);

/// A caller who may do `R`.
pub(super) struct Allowed<R> {
    caller: Caller,
    right: PhantomData<R>,
}

impl<R> Deref for Allowed<R> {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}

impl<R: Right> FromRequest for Allowed<R> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let open_door = R::ACTION == Action::MetricsRead && request.app_data() == Some(&Door::Metrics);
        let caller = if open_door { Ok(Caller::Owner(OwnerVia::Socket)) } else { authenticate(request) };
        ready(caller.and_then(|caller| {
            if caller.may(R::ACTION) {
                Ok(Self { caller, right: PhantomData })
            } else {
                Err(Problem::new(Code::ActionNotAllowed)
                    .detail(format!("Use a key that allows `{}`.", R::ACTION))
                    .with("action", R::ACTION.code()))
            }
        }))
    }
}

/// The owner: on the admin socket, in a browser that is signed in, or by an API key that allows `admin` and is
/// bound to nothing. A bound one could otherwise make itself an unbound one.
pub(super) struct AsOwner(Caller);

impl Deref for AsOwner {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.0
    }
}

impl FromRequest for AsOwner {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(authenticate(request).and_then(|caller| match &caller {
            Caller::Owner(_) => Ok(Self(caller)),
            Caller::Key(key) if key.may(Action::Admin) && !key.is_bound() => Ok(Self(caller)),
            Caller::Key(_) => Err(Problem::new(Code::OwnerRequired)),
        }))
    }
}

/// A browser that is signed in to the dashboard, for what is about its own session.
pub(super) struct OfDashboard(OwnerSession);

impl Deref for OfDashboard {
    type Target = OwnerSession;

    fn deref(&self) -> &OwnerSession {
        &self.0
    }
}

impl FromRequest for OfDashboard {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let session = context(request).and_then(|context| dashboard::owner_of(request, context));
        ready(session.and_then(|session| {
            session.map(Self).ok_or_else(|| {
                Problem::new(Code::CredentialsMissing).detail(
                    "This is about a browser's own session: sign in to the dashboard, and send no Authorization.",
                )
            })
        }))
    }
}

/// The user of a session.
pub(super) struct OfSession(SessionUser);

impl Deref for OfSession {
    type Target = SessionUser;

    fn deref(&self) -> &SessionUser {
        &self.0
    }
}

impl FromRequest for OfSession {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let asked = (|| {
            let token = bearer(request)?;
            if token.starts_with(KEY_PREFIX) {
                return Err(Problem::new(Code::SessionRequired));
            }
            Ok((context(request)?.clone(), zeroize::Zeroizing::new(token.to_owned())))
        })();
        Box::pin(async move {
            let (context, token) = asked?;
            Ok(Self(context.state.sessions.verify(&token).await?))
        })
    }
}
