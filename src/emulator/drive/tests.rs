//! Drive as its clients meet it, over real connections.

mod changes;
mod errors;
mod faults;
mod files;
mod large;
mod resumable;
mod transfers;

use http::Method;
use serde_json::{Value, json};
use url::Url;

use super::AppData;
use crate::clock::{Clock, Timestamp};
use crate::emulator::{CodeRequest, Emulator, EmulatorSettings, Seeded};
use crate::outbound::{Answer, Limits, Outbound, OutboundError};
use crate::rng::Rng;
use crate::secret::AccessToken;

const NOW: i64 = 1_795_368_972;
const SCOPE: &str = "openid https://www.googleapis.com/auth/drive.appdata";
const FILES: &str = "/drive/v3/files";
const UPLOAD: &str = "/upload/drive/v3/files";
/// The size that chunks are multiples of.
const GRAIN: usize = 256 * 1024;

struct Drive {
    emulator: Emulator,
    clock: Clock,
    seeded: Seeded,
    outbound: Outbound,
    token: String,
}

async fn start() -> Drive {
    let clock = Clock::manual(Timestamp::from_unix(NOW));
    let settings = EmulatorSettings::new(clock.clone(), Rng::seeded(1));
    let emulator = Emulator::start(settings).await.expect("loopback is there");
    let seeded = emulator.world.seed_demo();
    let outbound = Outbound::new(Limits { max_body: 64 << 20, ..Limits::default() });
    let mut drive = Drive { emulator, clock, seeded, outbound, token: String::new() };
    drive.token = drive.token_of(0, SCOPE).await;
    drive
}

impl Drive {
    /// An access token of the n-th person.
    async fn token_of(&self, person: usize, scopes: &str) -> String {
        let web = &self.seeded.web;
        let request = CodeRequest::mobile(&web.client_id, &self.seeded.people[person].sub, scopes);
        let code = self.emulator.world.issue_code(request);
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", web.client_id.as_str()),
            ("client_secret", web.secrets[0].expose()),
            ("redirect_uri", ""),
            ("code", code.expose()),
        ];
        let client = self.outbound.client().expect("TLS roots");
        let request = client.post(self.url("/token")).form(&form);
        let answer = self.outbound.send(request).await.expect("an answer");
        value(&answer)["access_token"].as_str().expect("a token").to_owned()
    }

    fn url(&self, path: &str) -> Url {
        self.emulator.base_url().join(path).expect("a path")
    }

    /// What the first person keeps.
    fn app_data(&self) -> AppData {
        let sub = &self.seeded.people[0].sub;
        self.emulator.world.app_data(sub, self.seeded.web.client_id.project())
    }

    /// A request with the token of the first person.
    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let client = self.outbound.client().expect("TLS roots");
        client.request(method, self.url(path)).bearer_auth(&self.token)
    }

    async fn try_send(&self, request: reqwest::RequestBuilder) -> Result<Answer, OutboundError> {
        self.outbound.send(request).await
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        self.try_send(request).await.expect("an answer")
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        seen(&self.send(self.request(Method::GET, path)).await)
    }

    async fn create(&self, query: &str, metadata: &Value) -> (u16, Value) {
        seen(&self.send(self.request(Method::POST, &format!("{FILES}{query}")).json(metadata)).await)
    }

    async fn update(&self, id: &str, query: &str, metadata: &Value) -> (u16, Value) {
        seen(&self.send(self.request(Method::PATCH, &format!("{FILES}/{id}{query}")).json(metadata)).await)
    }

    async fn delete(&self, id: &str) -> (u16, Value) {
        seen(&self.send(self.request(Method::DELETE, &format!("{FILES}/{id}"))).await)
    }

    /// Creates or replaces with `uploadType=multipart`.
    fn multipart(&self, id: Option<&str>, metadata: &Value, content: &[u8]) -> reqwest::RequestBuilder {
        let (method, path) = match id {
            None => (Method::POST, UPLOAD.to_owned()),
            Some(id) => (Method::PATCH, format!("{UPLOAD}/{id}")),
        };
        let head = format!(
            "--B\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{metadata}\r\n--B\r\n\
             Content-Type: text/plain\r\n\r\n"
        );
        let body = [head.as_bytes(), content, b"\r\n--B--"].concat();
        self.request(method, &format!("{path}?uploadType=multipart&fields=*"))
            .header("Content-Type", "multipart/related; boundary=B")
            .body(body)
    }

    async fn download(&self, id: &str, range: Option<&str>) -> Result<Answer, OutboundError> {
        let mut request = self.request(Method::GET, &format!("{FILES}/{id}?alt=media"));
        if let Some(range) = range {
            request = request.header("Range", range);
        }
        self.try_send(request).await
    }

    /// Starts a resumable upload of a new file and gives its address.
    async fn begin(&self, name: &str, total: Option<usize>) -> Url {
        let metadata = json!({ "name": name, "parents": ["appDataFolder"] });
        let mut request =
            self.request(Method::POST, &format!("{UPLOAD}?uploadType=resumable")).json(&metadata);
        if let Some(total) = total {
            request = request.header("X-Upload-Content-Length", total);
        }
        let answer = self.send(request.header("X-Upload-Content-Type", "text/csv")).await;
        assert_eq!(answer.status, 200, "{}", value(&answer));
        assert!(answer.body.is_empty());
        field(&answer, "location").parse().expect("an address")
    }

    /// A request to a resumable upload, without a token.
    async fn put(&self, address: &Url, range: Option<&str>, body: &[u8]) -> Result<Answer, OutboundError> {
        let client = self.outbound.client().expect("TLS roots");
        let mut request = client.put(address.clone()).body(body.to_vec());
        if let Some(range) = range {
            request = request.header("Content-Range", range);
        }
        self.try_send(request).await
    }
}

fn value(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or(Value::Null)
}

fn seen(answer: &Answer) -> (u16, Value) {
    (answer.status, value(answer))
}

fn field<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.headers.get(name).map_or("", |value| value.to_str().expect("text"))
}

/// The reason of a refusal.
fn reason(body: &Value) -> &str {
    body["error"]["errors"][0]["reason"].as_str().unwrap_or("no reason")
}

fn names(list: &Value) -> Vec<&str> {
    let files = list["files"].as_array().expect("files");
    files.iter().map(|file| file["name"].as_str().expect("a name")).collect()
}

/// Bytes that differ from place to place.
fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|n| (n % 251) as u8).collect()
}
