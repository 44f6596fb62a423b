//! App data over HTTP, against the emulated Drive.

mod bad_days;
mod conditions;
mod paths;
mod raw;

use serde_json::{Value, json};

use super::site::{Reply, Site};
use crate::api_keys::{Action, NewApiKey};
use crate::emulator::{AppData as Theirs, Endpoint, Fault};
use crate::scopes::ScopeSet;
use crate::vault::UserBinding;

/// A site with Alice connected, a key for her app data, and what she keeps as another device sees it.
struct Stage {
    site: Site,
    key: String,
    session: String,
    theirs: Theirs,
}

const ALICE: &str = "alice@example.org";

async fn stage() -> Stage {
    stage_with("", "").await
}

async fn stage_with(server: &str, more: &str) -> Stage {
    let site = Site::start_with(server, more).await;
    let (answer, _) = site.connect(site.alice()).await;
    let session = answer["session"]["token"].as_str().expect("a session").to_owned();
    let key = site.key(&[Action::AppDataRead, Action::AppDataWrite]).await;
    let theirs = site.emulator.world.app_data(&site.alice().sub, site.seeded.web.client_id.project());
    Stage { site, key, session, theirs }
}

impl Stage {
    /// A request of the program's for what is behind `/app-data`.
    fn ask(&self, method: &str, rest: &str) -> reqwest::RequestBuilder {
        self.site.request(method, &format!("/v1/users/{ALICE}/app-data{rest}")).bearer_auth(&self.key)
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Reply {
        self.site.send(request).await
    }

    async fn put(&self, path: &str, content: impl Into<reqwest::Body>) -> Reply {
        self.send(self.ask("PUT", path).header("content-type", "text/plain").body(content)).await
    }

    async fn get(&self, path: &str) -> Reply {
        self.send(self.ask("GET", path)).await
    }

    fn fault(&self, endpoint: Endpoint, fault: Fault) {
        self.site.emulator.world.faults().once(endpoint, fault);
    }

    fn all_met(&self) {
        let pending = self.site.emulator.world.faults().pending();
        assert!(pending.is_empty(), "{pending:?}");
    }
}

/// Bytes of which no stretch is like another.
fn content(len: usize) -> Vec<u8> {
    (0_u64..).flat_map(|n| n.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes()).take(len).collect()
}

fn status_and_code(reply: &Reply) -> (u16, &str) {
    (reply.status, reply.code())
}

#[tokio::test]
async fn a_file_is_written_read_listed_and_removed() {
    let s = stage().await;
    let made = s.put("/notes/2026/a%20b.txt", "hello").await;
    assert_eq!((made.status, &made.json["created"]), (201, &json!(true)), "{}", made.text);
    let entry = &made.json["entry"];
    let mut shown = entry.clone();
    shown["id"] = "…".into();
    shown["etag"] = "…".into();
    assert_eq!(
        shown,
        json!({
            "path": "notes/2026/a b.txt", "id": "…", "kind": "file", "size": 5,
            "md5": "5d41402abc4b2a76b9719d911017c592", "mime_type": "text/plain",
            "modified": "2026-11-22T17:36:12.000Z", "etag": "…", "shadowed": false, "addressable": true,
        })
    );
    assert_eq!(made.header("etag"), entry["etag"].as_str().expect("a tag"));

    let read = s.get("/notes/2026/a%20b.txt").await;
    assert_eq!((read.status, read.text.as_str()), (200, "hello"));
    for (name, value) in [
        ("content-type", "text/plain"),
        ("content-length", "5"),
        ("x-content-type-options", "nosniff"),
        ("content-disposition", "attachment"),
        ("accept-ranges", "bytes"),
        ("cache-control", "no-store"),
        ("etag", made.header("etag")),
    ] {
        assert_eq!(read.header(name), value, "{name}");
    }
    let looked = s.send(s.ask("HEAD", "/notes/2026/a%20b.txt")).await;
    assert_eq!((looked.status, looked.text.as_str()), (200, ""));
    for name in ["content-type", "content-length", "etag", "accept-ranges", "content-disposition"] {
        assert_eq!(looked.header(name), read.header(name), "{name}");
    }

    let changed = s.put("/notes/2026/a%20b.txt", "hallo!").await;
    assert_eq!((changed.status, &changed.json["created"]), (200, &json!(false)));
    assert_eq!(changed.json["entry"]["id"], entry["id"]);
    assert_ne!(changed.header("etag"), made.header("etag"));

    let list = s.get("").await;
    let paths = |reply: &Reply| -> Vec<String> {
        let entries = reply.json["entries"].as_array().expect("a list");
        entries.iter().map(|entry| format!("{} {}", entry["kind"], entry["path"])).collect()
    };
    assert_eq!(
        paths(&list),
        [r#""folder" "notes""#, r#""folder" "notes/2026""#, r#""file" "notes/2026/a b.txt""#]
    );
    assert_eq!(list.json["entries"][0]["size"], Value::Null);

    let removed = s.send(s.ask("DELETE", "/notes/2026/a%20b.txt")).await;
    assert_eq!((removed.status, removed.text.as_str()), (204, ""));
    assert_eq!(status_and_code(&s.get("/notes/2026/a%20b.txt").await), (404, "file_not_found"));
    let again = s.send(s.ask("DELETE", "/notes/2026/a%20b.txt")).await;
    assert_eq!(status_and_code(&again), (404, "file_not_found"));
    assert_eq!(status_and_code(&s.get("/notes").await), (409, "is_folder"));
    assert_eq!(status_and_code(&s.put("/notes", "x").await), (409, "is_folder"));
}

#[tokio::test]
async fn empty_and_large_contents_come_back_as_they_were() {
    let s = stage().await;
    for len in [0, 1, 70_000, 9_000_000] {
        let bytes = content(len);
        let made = s.put("/a", bytes.clone()).await;
        assert!(matches!(made.status, 200 | 201), "{}", made.text);
        let chunked = futures_util::stream::iter(
            bytes.chunks(50_001).map(|piece| Ok::<_, std::io::Error>(piece.to_vec())).collect::<Vec<_>>(),
        );
        let made = s.put("/b", reqwest::Body::wrap_stream(chunked)).await;
        assert_eq!(made.json["entry"]["size"], len, "{}", made.text);
        for path in ["/a", "/b"] {
            let mut response = s.ask("GET", path).send().await.expect("an answer");
            assert_eq!(response.content_length(), Some(len as u64));
            let mut read = Vec::new();
            while let Some(piece) = response.chunk().await.expect("whole") {
                read.extend_from_slice(&piece);
            }
            assert!(read == bytes, "{path} {len}");
        }
    }
    let bare = s.site.request("PUT", &format!("/v1/users/{ALICE}/app-data/untold")).bearer_auth(&s.key);
    assert_eq!(s.send(bare).await.json["entry"]["mime_type"], "application/octet-stream");
}

#[tokio::test]
async fn a_person_reaches_their_own_app_data_with_a_session() {
    let s = stage().await;
    let own = |method: &str, rest: &str| {
        s.site.request(method, &format!("/v1/users/me/app-data{rest}")).bearer_auth(&s.session)
    };
    assert_eq!(s.send(own("PUT", "/mine").body("1")).await.status, 201);
    assert_eq!(s.get("/mine").await.text, "1");
    assert_eq!(s.send(own("GET", "/mine?client=main")).await.text, "1");
    assert_eq!(s.send(own("GET", "")).await.json["entries"].as_array().map(Vec::len), Some(1));
    // Not configured, and what would be of another app, look alike.
    assert_eq!(status_and_code(&s.send(own("GET", "?client=other")).await), (404, "client_unknown"));
    assert_eq!(s.send(own("DELETE", "/mine")).await.status, 204);
    assert_eq!(s.send(s.site.as_owner("GET", &format!("/v1/users/{ALICE}/app-data"))).await.status, 200);
}

#[tokio::test]
async fn a_key_reaches_what_it_is_bound_to() {
    let s = stage().await;
    s.put("/a", "1").await;
    let (_, bob) = s.site.connect(s.site.bob()).await;
    let actions = [Action::AppDataRead, Action::AppDataWrite];
    let bound = async |bind: fn(&mut NewApiKey)| s.site.bound_key(&actions, bind).await;
    let theirs = s.site.bound_key(&actions, |new| new.users = UserBinding::Only(vec![bob])).await;
    let other_client = bound(|new| new.clients = Some(vec!["other".parse().expect("a name")])).await;
    let other_scope = bound(|new| new.scopes = Some(ScopeSet::parse("openid email"))).await;
    let app_data_only = bound(|new| new.scopes = Some(ScopeSet::parse(crate::app_data::SCOPE))).await;
    for (key, method, expected) in [
        (&theirs, "GET", (404, "user_not_found")),
        (&theirs, "PUT", (404, "user_not_found")),
        (&theirs, "DELETE", (404, "user_not_found")),
        (&other_client, "GET", (404, "user_not_found")),
        (&other_client, "PUT", (404, "user_not_found")),
        (&other_scope, "GET", (403, "scope_missing")),
        (&other_scope, "PUT", (403, "scope_missing")),
        (&other_scope, "DELETE", (403, "scope_missing")),
        (&app_data_only, "PUT", (200, "")),
        (&app_data_only, "GET", (200, "")),
    ] {
        let request = s.site.request(method, &format!("/v1/users/{ALICE}/app-data/a")).bearer_auth(key);
        let reply = s.send(request).await;
        assert_eq!(status_and_code(&reply), expected, "{method} {}", reply.text);
    }
    assert_eq!(s.theirs.read("a").expect("there"), "", "written by the last key alone");
    let named = s.site.get(&format!("/v1/users/{ALICE}/app-data?client=main")).bearer_auth(&other_client);
    assert_eq!(status_and_code(&s.send(named).await), (404, "client_unknown"));
}

#[tokio::test]
async fn of_two_files_of_one_name_the_later_one_is_meant_and_both_are_shown() {
    let s = stage().await;
    s.theirs.put("a", "older").expect("made");
    s.theirs.put_another("a", "newer").expect("made");
    s.theirs.touch("a", 1_000_000_000_000).expect("there");
    assert_eq!(s.get("/a").await.text, "newer");
    let list = s.get("").await;
    let shown: Vec<_> =
        list.json["entries"].as_array().expect("a list").iter().map(|e| &e["shadowed"]).collect();
    assert_eq!(shown, [false, true]);
    let removed = s.send(s.ask("DELETE", "/a")).await;
    assert_eq!((removed.status, &removed.json["uncovered"]["size"]), (200, &json!(5)), "{}", removed.text);
    assert_eq!(s.get("/a").await.text, "older");
    assert_eq!(s.send(s.ask("DELETE", "/a")).await.status, 204);
}

#[tokio::test]
async fn a_listing_has_pages() {
    let s = stage().await;
    for n in 0..7 {
        s.theirs.put(&format!("d/{n}"), "x").expect("made");
    }
    let (mut cursor, mut seen) = (String::new(), Vec::new());
    loop {
        let page = s.get(&format!("?prefix=d/&limit=3{cursor}")).await;
        assert_eq!(page.status, 200, "{}", page.text);
        let entries = page.json["entries"].as_array().expect("a list");
        seen.extend(entries.iter().map(|entry| entry["path"].as_str().expect("a path").to_owned()));
        match page.json["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, (0..7).map(|n| format!("d/{n}")).collect::<Vec<_>>());
    for (query, code) in [
        ("?limit=0", "parameter_invalid"),
        ("?limit=1001", "parameter_invalid"),
        ("?cursor=nonsense", "cursor_invalid"),
        ("?perfix=a", "parameter_unknown"),
        ("?client=Main", "parameter_invalid"),
    ] {
        assert_eq!(status_and_code(&s.get(query).await), (400, code), "{query}");
    }
}

#[tokio::test]
async fn pages_of_listed_origins_may_reach_their_users_app_data() {
    let s = stage_with(r#"cors_origins = ["https://app.example.org"]"#, "").await;
    let origin = "https://app.example.org";
    for method in ["GET", "HEAD", "PUT", "DELETE"] {
        let preflight = s
            .site
            .request("OPTIONS", "/v1/users/me/app-data/a/b")
            .header("origin", origin)
            .header("access-control-request-method", method)
            .header(
                "access-control-request-headers",
                "authorization,content-type,if-match,if-none-match,range",
            );
        let reply = s.send(preflight).await;
        assert_eq!((reply.status, reply.header("access-control-allow-origin")), (200, origin), "{method}");
    }
    let put =
        s.site.request("PUT", "/v1/users/me/app-data/a").bearer_auth(&s.session).header("origin", origin);
    let reply = s.send(put.body("1")).await;
    assert_eq!((reply.status, reply.header("access-control-allow-origin")), (201, origin));
    assert!(reply.header("access-control-expose-headers").contains("etag"));
    let theirs = s.site.request("OPTIONS", &format!("/v1/users/{ALICE}/app-data/a")).header("origin", origin);
    let reply = s.send(theirs.header("access-control-request-method", "PUT")).await;
    assert_eq!((reply.status, reply.header("access-control-allow-origin")), (405, ""));
}
