//! The client against a server that says exactly what a test wants, and against the emulated Drive.

mod calls;
mod downloads;
mod sessions;
mod uploads;

use std::sync::Mutex;

use md5::{Digest as _, Md5};
use url::Url;

use super::{Bearer, CallError, Cost, Drive, DriveError, FileId};
use crate::clock::Clock;
use crate::google::tests::NOW;
use crate::google::tests::server::{Request, Server, Step, answer};
use crate::outbound::{Limits, Outbound};
use crate::rng::Rng;
use crate::secret::AccessToken;

/// Gives `t1`, and after each refusal the next number.
#[derive(Default)]
struct Tokens {
    refused: Mutex<Vec<String>>,
    costs: Mutex<Vec<Cost>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no more tokens")]
struct Dry;

impl Bearer for Tokens {
    type Error = Dry;

    async fn token(&self, refused: Option<&AccessToken>) -> Result<AccessToken, Dry> {
        let mut list = self.refused.lock().expect("not poisoned");
        list.extend(refused.map(|token| token.expose().to_owned()));
        if list.len() > 3 { Err(Dry) } else { Ok(AccessToken::new(format!("t{}", list.len() + 1))) }
    }

    fn spent(&self, cost: Cost) {
        self.costs.lock().expect("not poisoned").push(cost);
    }
}

impl Tokens {
    fn units(&self) -> u32 {
        self.costs.lock().expect("not poisoned").iter().map(|cost| cost.units()).sum()
    }
}

fn drive(base: &Url) -> Drive {
    let calls = Outbound::new(Limits { max_body: 4 << 20, ..Limits::default() });
    let moving = Outbound::new(Limits::moving(std::time::Duration::from_secs(5)));
    Drive::new(calls, moving, Clock::manual(NOW), Rng::seeded(1), base.clone()).with_pieces(1)
}

/// A Drive whose server answers one request per step, in this order.
async fn scripted(steps: Vec<Step>) -> (Drive, Server, Tokens) {
    let server = Server::start(steps).await;
    (drive(&server.base), server, Tokens::default())
}

/// The connection breaks before an answer.
fn broken() -> Step {
    Step::Send(Vec::new())
}

fn ok(body: &str) -> Step {
    answer(200, &[("content-type", "application/json; charset=UTF-8")], body)
}

fn refused(status: u16, reason: &str) -> Step {
    let body = format!(r#"{{"error":{{"code":{status},"message":"M","errors":[{{"reason":"{reason}"}}]}}}}"#);
    answer(status, &[], &body)
}

fn id(text: &str) -> FileId {
    text.parse().expect("an id")
}

/// A file `f1` called `name` in `top` with this content, as Drive describes it.
fn described(content: &[u8], revision: &str) -> String {
    let md5: String = Md5::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        r#"{{"id":"f1","name":"name","mimeType":"text/plain","parents":["top"],"size":"{}","md5Checksum":"{md5}",
        "headRevisionId":"{revision}","version":"3","createdTime":"2026-11-22T17:36:12.000Z",
        "modifiedTime":"2026-11-22T17:36:12.000Z"}}"#,
        content.len()
    )
}

/// The first line of each request.
fn lines(server: &Server) -> Vec<String> {
    let first = |request: &Request| request.head.lines().next().unwrap_or_default().to_owned();
    server.requests().iter().map(first).collect()
}

/// The value of a header field.
fn field(request: &Request, name: &str) -> Option<String> {
    let mut fields = request.head.lines().filter_map(|line| line.split_once(':'));
    fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned())
}

/// How Drive failed.
fn failure<T: std::fmt::Debug>(outcome: Result<T, CallError<Dry>>) -> DriveError {
    match outcome {
        Err(CallError::Drive(error)) => error,
        other => panic!("{other:?}"),
    }
}
