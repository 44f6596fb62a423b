//! The device flow (RFC 8628, in Google's spelling): a code for the machine to poll with, a code for
//! the person to type, and the person's answer.

use std::collections::HashMap;

use serde_json::json;

use super::form::Form;
use super::grants::Code;
use super::oauth::invalid_scopes;
use super::pages;
use super::people::{CannotIssue, ClientKind, CodeRequest};
use super::reply::{Refusal, Reply};
use super::world::World;
use crate::clock::Timestamp;
use crate::ids::{OAuthClientId, Sub};
use crate::rng::Rng;
use crate::scopes::ScopeSet;

/// Seconds a device code lives.
const LIFETIME: i64 = 1800;
/// Seconds between polls.
const INTERVAL: i64 = 5;
/// What Google lets devices ask for.
const ALLOWED: &str = "openid email profile https://www.googleapis.com/auth/drive.appdata \
    https://www.googleapis.com/auth/drive.file https://www.googleapis.com/auth/youtube \
    https://www.googleapis.com/auth/youtube.readonly";
/// The letters of a user code: no vowels, nothing that looks like another letter.
const LETTERS: &[u8] = b"BCDFGHJKLMNPQRSTVWXZ";

/// One device waiting for its person.
#[derive(Debug)]
struct Device {
    client: u32,
    client_id: OAuthClientId,
    scopes: ScopeSet,
    expires: Timestamp,
    last_poll: Option<Timestamp>,
    answer: Answer,
}

#[derive(Debug)]
enum Answer {
    Pending,
    Denied,
    Approved { grant: u64, sub: Sub },
}

/// Every device that waits, by its code and by the code its person types.
#[derive(Debug, Default)]
pub(super) struct Devices {
    waiting: HashMap<String, Device>,
    by_user_code: HashMap<String, String>,
}

/// What the person is asked to agree to.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) client_id: OAuthClientId,
    pub(super) scopes: ScopeSet,
}

impl Devices {
    fn begin(&mut self, rng: &Rng, device: Device, now: Timestamp) -> (String, String) {
        self.waiting.retain(|_, device| device.expires > now);
        let waiting = &self.waiting;
        self.by_user_code.retain(|_, device_code| waiting.contains_key(device_code));
        let device_code = format!("AH-1Ng{}", rng.token(63));
        let user_code = loop {
            let letter = |_| char::from(LETTERS[usize::from(rng.bytes::<1>()[0]) % LETTERS.len()]);
            let half = || (0..4).map(letter).collect::<String>();
            let code = format!("{}-{}", half(), half());
            if !self.by_user_code.contains_key(&code) {
                break code;
            }
        };
        self.by_user_code.insert(user_code.clone(), device_code.clone());
        self.waiting.insert(device_code.clone(), device);
        (device_code, user_code)
    }

    /// The person's code as they may have typed it: any case, with or without the dash.
    fn by_typed(&mut self, typed: &str, now: Timestamp) -> Option<&mut Device> {
        let letters: String = typed.chars().filter(char::is_ascii_alphanumeric).collect();
        let (first, second) = letters.split_at_checked(4)?;
        let code = format!("{first}-{second}").to_uppercase();
        let device = self.waiting.get_mut(self.by_user_code.get(&code)?)?;
        (device.expires > now && matches!(device.answer, Answer::Pending)).then_some(device)
    }

    /// What the typed code stands for, while it waits for an answer.
    pub(super) fn asked(&mut self, typed: &str, now: Timestamp) -> Option<Asked> {
        let device = self.by_typed(typed, now)?;
        Some(Asked { client_id: device.client_id.clone(), scopes: device.scopes.clone() })
    }

    /// One poll of the device: the finished sign-in, or Google's word for why not yet.
    pub(super) fn poll(&mut self, device_code: &str, client: u32, now: Timestamp) -> Result<Code, Refusal> {
        let found = self
            .waiting
            .get_mut(device_code)
            .filter(|device| device.client == client && device.expires > now);
        let device = found.ok_or_else(|| Refusal::grant("Bad Request"))?;
        let early = device.last_poll.replace(now).is_some_and(|last| now.since(last) < INTERVAL);
        match &device.answer {
            Answer::Denied => {
                self.waiting.remove(device_code);
                Err(Refusal::new(403, "access_denied", "Forbidden"))
            }
            Answer::Pending if early => Err(Refusal::new(403, "slow_down", "Forbidden")),
            Answer::Pending => Err(Refusal::new(428, "authorization_pending", "Precondition Required")),
            Answer::Approved { grant, sub } => {
                let request = CodeRequest {
                    client_id: device.client_id.clone(),
                    sub: sub.clone(),
                    scopes: device.scopes.clone(),
                    redirect_uri: String::new(),
                    nonce: None,
                    code_challenge: None,
                    offline: true,
                    force_consent: true,
                };
                let code = Code { request, client, grant: *grant, consented: true, expires: device.expires };
                self.waiting.remove(device_code);
                Ok(code)
            }
        }
    }
}

/// `POST /device/code`.
pub fn request_code(world: &World, form: &Form) -> Reply {
    begin(world, form).unwrap_or_else(Reply::from)
}

fn begin(world: &World, form: &Form) -> Result<Reply, Refusal> {
    form.single_valued()?;
    let client_id = form.required("client_id")?;
    let scope = form.required("scope")?;
    let (now, state) = (world.now(), &mut *world.state());
    let (position, client) = state
        .clients
        .find(client_id)
        .ok_or_else(|| Refusal::new(401, "invalid_client", "The OAuth client was not found."))?;
    if client.kind != ClientKind::Device || client.deleted || client.disabled {
        return Err(Refusal::new(401, "invalid_client", "Invalid client type."));
    }
    let scopes = ScopeSet::parse(scope);
    let foreign = scopes.minus(&ScopeSet::parse(ALLOWED));
    if !foreign.is_empty() {
        return Err(invalid_scopes(foreign.iter()));
    }
    let device = Device {
        client: position,
        client_id: client.client_id.clone(),
        scopes,
        expires: now.plus(LIFETIME),
        last_poll: None,
        answer: Answer::Pending,
    };
    let (device_code, user_code) = state.devices.begin(world.rng(), device, now);
    Ok(Reply::private(
        200,
        &json!({
            "device_code": device_code,
            "user_code": user_code,
            "verification_url": world.url("/device").as_str(),
            "expires_in": LIFETIME,
            "interval": INTERVAL,
        }),
    ))
}

impl World {
    /// Agrees to a waiting device as `sub`. Returns whether such a code waits.
    ///
    /// # Errors
    /// When nobody has that `sub` or their account is closed.
    pub fn approve_device(&self, user_code: &str, sub: &Sub) -> Result<bool, CannotIssue> {
        let (now, state) = (self.now(), &mut *self.state());
        let account = state.people.account(sub).ok_or(CannotIssue::UnknownPerson)?;
        if account.trouble.deleted || account.trouble.disabled {
            return Err(CannotIssue::AccountClosed);
        }
        let Some(device) = state.devices.by_typed(user_code, now) else { return Ok(false) };
        let (grant, _) = state.grants.consent(sub, &device.client_id, &device.scopes);
        device.answer = Answer::Approved { grant, sub: sub.clone() };
        Ok(true)
    }

    /// Refuses a waiting device. Returns whether such a code waits.
    pub fn deny_device(&self, user_code: &str) -> bool {
        let (now, state) = (self.now(), &mut *self.state());
        state.devices.by_typed(user_code, now).map(|device| device.answer = Answer::Denied).is_some()
    }
}

/// `GET /device`: asks for the code, or for the answer to it.
pub fn show(world: &World, query: &Form) -> Reply {
    let Some(user_code) = query.filled("user_code") else {
        return Reply::page(200, pages::device_entry(None));
    };
    let asked = world.state().devices.asked(user_code, world.now());
    match asked {
        Some(asked) => Reply::page(200, pages::device_consent(user_code, &asked, &world.people())),
        None => Reply::page(404, pages::device_entry(Some(NO_SUCH_CODE))),
    }
}

const NO_SUCH_CODE: &str = "No device waits with this code. Codes last half an hour and work once.";

/// `POST /device`: `user_code`, `person`, `decision`.
pub fn submit(world: &World, answer: &Form) -> Reply {
    let user_code = answer.filled("user_code").unwrap_or_default();
    let allowed = answer.field("decision") == Some("allow");
    let found = if allowed {
        let Some(person) = answer.filled("person").and_then(|who| world.person(who)) else {
            return Reply::page(400, pages::device_entry(Some("Nobody was picked: enter the code again.")));
        };
        match world.approve_device(user_code, &person.sub) {
            Ok(found) => found,
            Err(error) => return Reply::page(403, pages::device_entry(Some(&error.to_string()))),
        }
    } else {
        world.deny_device(user_code)
    };
    if found {
        Reply::page(200, pages::device_done(allowed))
    } else {
        Reply::page(404, pages::device_entry(Some(NO_SUCH_CODE)))
    }
}
