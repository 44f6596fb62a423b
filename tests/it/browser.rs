//! A browser as far as signing in needs one: cookies, redirects, forms. And a locum on a port for it.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::time::Duration;

use locum::emulator::Person;
use locum::outbound::{Limits, Outbound, TimeLimit};
use locum::server::{Listener, Listeners, RunningServer, Server};
use serde_json::Value;
use url::Url;

use crate::harness::{SCOPES, TestLocum};

/// A locum with an address of its own, and Google knows where it wants browsers back.
pub struct WebLocum {
    pub locum: TestLocum,
    pub base: Url,
    outbound: Outbound,
    _server: RunningServer,
}

pub const SITE: &str = "https://app.example.org/done";

impl WebLocum {
    pub async fn start() -> Self {
        Self::start_with("").await
    }

    /// `extra` goes before all sections.
    pub async fn start_with(extra: &str) -> Self {
        Self::start_as(None, extra).await
    }

    /// Under another public address than the one it listens on.
    pub async fn start_as(public_url: Option<&str>, extra: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let base: Url = format!("http://{}/", listener.local_addr().expect("bound")).parse().expect("a URL");
        let public_url = public_url.unwrap_or(base.as_str());
        let locum = TestLocum::start_with(&format!(
            "{extra}\n[server]\nworkers = 1\npublic_url = \"{public_url}\"\n[limits]\nenabled = false\n\
             [sign_in]\nreturn_to = [\"{SITE}\"]\n"
        ))
        .await;
        let callback = base.join("v1/sign-in/callback").expect("a URL").to_string();
        let id = &locum.seeded.web.client_id;
        assert!(locum.emulator.world.change_client(id, |client| client.redirect_uris.push(callback)));
        let listeners = Listeners { public: Some(Listener::Tcp(listener)), admin: None, metrics: None };
        let server = Server::start(locum.state.clone(), listeners).expect("a server");
        Self { locum, base, outbound: outbound(), _server: server }
    }

    pub fn url(&self, path: &str) -> String {
        self.base.join(path).expect("a path").to_string()
    }

    /// A call of a program's.
    pub async fn call(&self, method: &str, path: &str, key: Option<&str>, body: &Value) -> (u16, Value) {
        let client = self.outbound.client().expect("a client");
        let mut request = client.request(method.parse().expect("a method"), self.url(path));
        if !body.is_null() {
            request = request.json(body);
        }
        if let Some(key) = key {
            request = request.bearer_auth(key);
        }
        let answer = self.outbound.send(request).await.expect("an answer");
        (answer.status, serde_json::from_slice(&answer.body).unwrap_or(Value::Null))
    }
}

fn outbound() -> Outbound {
    Outbound::new(Limits { time: TimeLimit::Whole(Duration::from_secs(30)), ..Limits::default() })
}

/// What a browser shows.
#[derive(Debug)]
pub struct Seen {
    pub url: Url,
    pub status: u16,
    pub headers: http::HeaderMap,
    pub body: String,
}

impl Seen {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The heading of the page.
    pub fn title(&self) -> &str {
        self.body.split("<h1>").nth(1).and_then(|rest| rest.split("</h1>").next()).unwrap_or_default()
    }

    pub fn location(&self) -> Option<Url> {
        self.headers
            .get("location")
            .map(|value| self.url.join(value.to_str().expect("ASCII")).expect("a URL"))
    }

    /// Where the page goes on by itself.
    fn refresh(&self) -> Option<Url> {
        let target = self.body.split("content=\"0;url=").nth(1)?.split('"').next()?;
        Some(self.url.join(&target.replace("&amp;", "&")).expect("a URL"))
    }

    pub fn parameter(&self, name: &str) -> Option<String> {
        self.url.query_pairs().find(|(own, _)| own == name).map(|(_, value)| value.into_owned())
    }
}

/// One browser with its own cookies.
pub struct Browser {
    outbound: Outbound,
    pub cookies: BTreeMap<String, String>,
    /// Every `Set-Cookie` that came.
    pub cookies_set: Vec<String>,
    pub language: &'static str,
    pub accept: &'static str,
    /// The site whose page sends forms; else the one that they go to.
    pub origin: Option<&'static str>,
}

impl Browser {
    pub fn new() -> Self {
        Self {
            outbound: outbound(),
            cookies: BTreeMap::new(),
            cookies_set: Vec::new(),
            language: "en",
            accept: "text/html,*/*;q=0.8",
            origin: None,
        }
    }

    /// One request, and no step further.
    pub async fn fetch(&mut self, method: &str, url: &str, form: &[(&str, &str)]) -> Seen {
        let client = self.outbound.client().expect("a client");
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request = client
            .request(method.parse().expect("a method"), url)
            .header("accept", self.accept)
            .header("accept-language", self.language);
        if !cookies.is_empty() {
            request = request.header("cookie", cookies.join("; "));
        }
        if method == "POST" {
            let own = Url::parse(url).expect("a URL").origin().ascii_serialization();
            request = request.form(form).header("origin", self.origin.unwrap_or(&own));
        }
        let answer = self.outbound.send(request).await.expect("an answer");
        for cookie in answer.headers.get_all("set-cookie") {
            let text = cookie.to_str().expect("ASCII").to_owned();
            let (name, value) = text.split(';').next().and_then(|pair| pair.split_once('=')).expect("a pair");
            if text.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
            self.cookies_set.push(text);
        }
        Seen {
            url: url.parse().expect("a URL"),
            status: answer.status,
            headers: answer.headers,
            body: String::from_utf8_lossy(&answer.body).into_owned(),
        }
    }

    /// Goes on to where the answer leads, up to a page, or to an address outside of this machine.
    pub async fn follow(&mut self, mut seen: Seen) -> Seen {
        for _ in 0..10 {
            let Some(next) = seen.location().or_else(|| seen.refresh()) else { return seen };
            if next.host_str() != Some("127.0.0.1") {
                return Seen { url: next, status: 0, headers: http::HeaderMap::new(), body: String::new() };
            }
            seen = self.fetch("GET", next.as_str(), &[]).await;
        }
        panic!("a circle of redirects, at last {}", seen.url);
    }

    pub async fn get(&mut self, url: &str) -> Seen {
        let seen = self.fetch("GET", url, &[]).await;
        self.follow(seen).await
    }

    pub async fn post(&mut self, url: &str) -> Seen {
        let seen = self.fetch("POST", url, &[]).await;
        self.follow(seen).await
    }

    /// Answers Google's page as a person would, and stops at the address that it leads back to.
    pub async fn consent(&mut self, google: &Seen, person: &Person, answer: &Answer<'_>) -> Url {
        assert!(google.body.contains("An app wants to act for you"), "{} {}", google.url, google.body);
        let mut form = vec![("person", person.sub.as_str())];
        match answer {
            Answer::All => {
                form.extend(SCOPES.split(' ').map(|scope| ("scope", scope)));
                form.push(("decision", "allow"));
            }
            Answer::Only(scopes) => {
                form.extend(scopes.iter().map(|scope| ("scope", *scope)));
                form.push(("decision", "allow"));
            }
            Answer::No => form.push(("decision", "deny")),
        }
        let back = self.fetch("POST", google.url.as_str(), &form).await;
        back.location().unwrap_or_else(|| panic!("Google keeps the browser: {}", back.body))
    }

    /// Presses the button of a link and goes on to the end.
    pub async fn sign_in_from(&mut self, link: &str, person: &Person) -> Seen {
        let google = self.post(link).await;
        let back = self.consent(&google, person, &Answer::All).await;
        self.get(back.as_str()).await
    }

    /// From the address of a sign-in through Google's page to where it ends.
    pub async fn sign_in(&mut self, url: &str, person: &Person, answer: &Answer<'_>) -> Seen {
        let google = self.get(url).await;
        let back = self.consent(&google, person, answer).await;
        self.get(back.as_str()).await
    }
}

/// What a person does at Google's page.
pub enum Answer<'a> {
    /// Ticks everything.
    All,
    /// Ticks these.
    Only(&'a [&'a str]),
    /// Says no.
    No,
}
