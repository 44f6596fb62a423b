//! `/v1/events` and `/v1/counts`: told once by the real flows, read as pages, live and as a file.

use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::{Value, json};

use super::site::Site;
use crate::api_keys::Action;
use crate::events::{Actor, Kind, NewEvent};
use crate::ids::ApiKeyId;
use crate::vault::UserBinding;

/// What the owner sees, oldest first.
async fn told(site: &Site, query: &str) -> Vec<Value> {
    site.state.events.step().await.expect("written");
    let reply = site.send(site.as_owner("GET", &format!("/v1/events{query}"))).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let mut events = reply.json["events"].as_array().expect("a list").clone();
    events.reverse();
    events
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["kind"].as_str().expect("a kind")).collect()
}

/// A stream, with what has come of it.
struct Live {
    body: std::pin::Pin<Box<dyn futures_util::Stream<Item = reqwest::Result<bytes::Bytes>>>>,
    text: String,
}

impl Live {
    async fn open(request: reqwest::RequestBuilder) -> Self {
        let answer = request.header("accept", "text/event-stream").send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        assert_eq!(answer.headers()["cache-control"], "no-store");
        Self { body: Box::pin(answer.bytes_stream()), text: String::new() }
    }

    /// The next event: the id of its frame, and itself. `None` when the stream has ended.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((frame, rest)) = self.text.split_once("\n\n") {
                let frame = frame.to_owned();
                self.text = rest.to_owned();
                let field = |name: &str| {
                    frame
                        .lines()
                        .find_map(|line| line.strip_prefix(name))
                        .map(|value| value.trim().to_owned())
                };
                if let (Some(id), Some(data)) = (field("id:"), field("data:")) {
                    assert_eq!(field("event:").as_deref(), Some("event"));
                    return Some((id, serde_json::from_str(&data).expect("JSON")));
                }
                continue;
            }
            let piece = self.body.next().await?.expect("a piece");
            self.text.push_str(std::str::from_utf8(&piece).expect("UTF-8"));
        }
    }
}

#[tokio::test]
async fn what_the_owner_and_programs_do_is_told_once_and_by_whom() {
    let site = Site::start_with("public_url = \"https://locum.example.org\"", "").await;
    site.connect(site.alice()).await;
    let owner = async |method: &str, path: &str, body: Value| {
        let reply = site.send(site.as_owner(method, path).json(&body)).await;
        assert!((200..300).contains(&reply.status), "{method} {path}: {}", reply.text);
        reply.json
    };
    let email = site.alice().email.clone();
    let key =
        owner("POST", "/v1/keys", json!({ "name": "n", "actions": ["users:write"], "users": "all" })).await;
    let (id, text) = (key["id"].as_str().expect("an id"), key["key"].as_str().expect("a key"));
    let refresh = site.post(&format!("/v1/users/{email}/refresh")).bearer_auth(text);
    assert_eq!(site.send(refresh).await.status, 200);
    owner("POST", &format!("/v1/keys/{id}/rotate"), json!({ "overlap": 3600 })).await;
    owner("DELETE", &format!("/v1/keys/{id}"), json!({})).await;
    owner("DELETE", &format!("/v1/keys/{id}"), json!({})).await;
    assert!(!site.outbound_bytes("/v1/vault/backup").await.is_empty());
    let cookie = site.signed_in().await;
    let out =
        site.request("DELETE", "/v1/dashboard").header("cookie", &cookie).header("x-requested-with", "locum");
    let out = out.header("origin", format!("http://{}", site.address()));
    assert_eq!(site.send(out).await.status, 200);
    owner("DELETE", &format!("/v1/users/{email}?revoke=no"), json!({})).await;

    let events = told(&site, "").await;
    assert_eq!(
        kinds(&events),
        [
            "key.created",
            "grant.refreshed",
            "key.rotated",
            "key.revoked",
            "vault.backed_up",
            "dashboard.link_made",
            "dashboard.signed_in",
            "dashboard.signed_out",
            "user.forget_requested",
            "user.forgotten",
            // Noted rather than recorded, and so written last.
            "user.connected",
        ]
    );
    let by = |n: usize| (&events[n]["actor"]["kind"], &events[n]["actor"]["via"], &events[n]["from"]);
    assert_eq!(by(0), (&json!("owner"), &json!("socket"), &Value::Null));
    assert_eq!(by(1), (&json!("key"), &json!("key"), &Value::Null), "the address went with the person");
    assert_eq!(events[1]["actor"]["key"], id);
    assert_eq!(events[1]["actor"]["name"], "n");
    assert_eq!(by(6), (&json!("owner"), &json!("dashboard"), &json!("127.0.0.1")));
    assert_eq!(by(10), (&json!("user"), &Value::Null, &Value::Null), "written after the person was gone");
    assert_eq!(events[0]["details"], json!({ "key": id, "name": "n" }));
    assert_eq!(events[9]["details"], json!({ "revoked": false }));
    assert_eq!(events[10]["details"]["source"], "ios");
    for n in [1, 8, 9, 10] {
        assert_eq!(events[n]["user"], json!({ "forgotten": true }), "{}", events[n]);
    }
    for (n, event) in events.iter().enumerate() {
        assert_eq!(event["id"], (n + 1).to_string());
        let kind = Kind::from_code(event["kind"].as_str().expect("a kind")).expect("known");
        assert_eq!(event["severity"], kind.severity().code());
        assert_eq!(event["summary"], kind.words());
    }
    assert!(
        !events.iter().any(|event| event.to_string().contains(text) || event.to_string().contains("alice"))
    );
}

#[tokio::test]
async fn pages_are_narrowed_and_go_on() {
    let site = Site::start().await;
    let (_, alice) = site.connect(site.alice()).await;
    site.connect(site.bob()).await;
    site.state.events.step().await.expect("written");
    for _ in 0..5 {
        site.state.events.record(NewEvent::new(Kind::LocumStarted, &Actor::locum())).await;
    }
    site.state
        .events
        .record(NewEvent::new(Kind::GrantDied, &Actor::locum()).about(alice).with("cause", "x"))
        .await;
    let email = &site.alice().email;
    for (query, expected) in [
        (String::new(), vec!["8", "7", "6", "5", "4", "3", "2", "1"]),
        ("?limit=3".into(), vec!["8", "7", "6"]),
        ("?limit=3&before=6".into(), vec!["5", "4", "3"]),
        ("?after=6".into(), vec!["8", "7"]),
        ("?kind=user".into(), vec!["2", "1"]),
        ("?kind=grant.died".into(), vec!["8"]),
        (format!("?user={email}"), vec!["8", "1"]),
        ("?actor=user&client=main".into(), vec!["2", "1"]),
        ("?severity=warning".into(), vec!["8"]),
    ] {
        let reply = site.send(site.as_owner("GET", &format!("/v1/events{query}"))).await;
        let ids: Vec<_> = reply.json["events"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|e| e["id"].as_str().expect("an id"))
            .collect();
        assert_eq!(ids, expected, "{query}");
        let more = query.contains("limit=3");
        let next = if more { json!(expected[2]) } else { Value::Null };
        assert_eq!(reply.json["next"], next, "{query}");
    }
    let died = told(&site, "?kind=grant.died").await;
    assert_eq!(died[0]["summary"], "Google no longer honours the refresh token (x).");
    for bad in [
        "kind=grand",
        "kind=",
        "actor=me",
        "severity=3",
        "limit=0",
        "limit=501",
        "before=x",
        "after=-1",
        "format=csv",
        "user=me",
        "format=jsonl&limit=3",
        "kimd=user",
    ] {
        let reply = site.send(site.as_owner("GET", &format!("/v1/events?{bad}"))).await;
        assert_eq!(reply.status, 400, "{bad}: {}", reply.text);
    }
    let reply = site.send(site.as_owner("GET", "/v1/events?client=other")).await;
    assert_eq!((reply.status, reply.code()), (404, "client_unknown"));
    let reply = site.send(site.as_owner("GET", "/v1/events?user=1234")).await;
    assert_eq!((reply.status, reply.code()), (404, "user_not_found"));
}

#[tokio::test]
async fn a_bound_key_sees_its_people_and_clients_and_nobody_elses_hand() {
    let site = Site::start().await;
    let (_, alice) = site.connect(site.alice()).await;
    let (_, bob) = site.connect(site.bob()).await;
    site.state.events.step().await.expect("written");
    let client = site.state.config.clients[0].client_id.clone();
    let other =
        Actor::key("aaaaaaaaaaaa".parse().expect("an id"), "other".into(), Some([192, 0, 2, 7].into()));
    for event in [
        NewEvent::new(Kind::GrantRefreshed, &other).about(alice),
        NewEvent::new(Kind::GrantRefreshed, &other).about(bob).client(&client),
        NewEvent::new(Kind::KeyCreated, &other),
        NewEvent::new(Kind::ClientPaused, &Actor::locum()).client(&client),
    ] {
        site.state.events.record(event).await;
    }
    let read = async |key: &str| {
        let reply = site.send(site.get("/v1/events").bearer_auth(key)).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        reply.json["events"].as_array().expect("a list").clone()
    };
    let all = read(&site.key(&[Action::EventsRead]).await).await;
    assert_eq!(all.len(), 6);
    assert_eq!((&all[3]["actor"]["key"], &all[3]["from"]), (&json!("aaaaaaaaaaaa"), &json!("192.0.2.7")));

    let key = site.bound_key(&[Action::EventsRead], |new| new.users = UserBinding::Only(vec![alice])).await;
    let seen = read(&key).await;
    assert_eq!(kinds(&seen), ["grant.refreshed", "user.connected"]);
    assert_eq!((&seen[0]["actor"]["key"], &seen[0]["actor"]["name"]), (&Value::Null, &Value::Null));
    assert_eq!((&seen[0]["from"], &seen[1]["from"]), (&Value::Null, &Value::Null));
    let foreign = site.send(site.get(&format!("/v1/events?user={}", site.bob().sub)).bearer_auth(&key)).await;
    let nobody = site.send(site.get("/v1/events?user=999").bearer_auth(&key)).await;
    assert_eq!((foreign.status, foreign.problem()), (404, nobody.problem()));
    // The other forms keep to it, too.
    let lines = site.send(site.get("/v1/events?format=jsonl").bearer_auth(&key)).await;
    assert_eq!(lines.text.lines().count(), 2);

    let main = || Some(vec!["main".parse().expect("a name")]);
    let of_client = site.bound_key(&[Action::EventsRead], |new| new.clients = main()).await;
    let seen = read(&of_client).await;
    assert_eq!(kinds(&seen), ["client.paused", "grant.refreshed", "user.connected", "user.connected"]);
    let nothing = site
        .bound_key(&[Action::EventsRead], |new| new.clients = Some(vec!["gone".parse().expect("a name")]))
        .await;
    assert_eq!(read(&nothing).await, [] as [Value; 0]);
}

#[tokio::test]
async fn a_stream_is_live_and_goes_on_without_loss_or_doubles() {
    let site = Site::start().await;
    let event = |n: u32| NewEvent::new(Kind::LocumStarted, &Actor::locum()).with("n", n);
    site.state.events.record(event(0)).await;
    let mut live = Live::open(site.as_owner("GET", "/v1/events")).await;
    for n in 1..=3 {
        site.state.events.record(event(n)).await;
        let (id, seen) = live.next().await.expect("an event");
        assert_eq!((&*id, &seen["details"]["n"]), (&*(n + 1).to_string(), &json!(n)), "from now on");
    }
    drop(live);
    // While nobody reads, and while somebody does, by two ways at once.
    for n in 4..=1_000 {
        site.state.events.note(event(n));
    }
    let request = site.as_owner("GET", "/v1/events?after=1").header("last-event-id", "4");
    let mut live = Live::open(request).await;
    site.state.events.step().await.expect("written");
    let records = futures_util::future::join_all((1_001..=1_200).map(|n| site.state.events.record(event(n))));
    let reading = async {
        let mut seen = Vec::new();
        while seen.len() < 1_197 {
            let (id, event) = live.next().await.expect("an event");
            assert_eq!(event["id"], id);
            seen.push(id.parse::<u32>().expect("a number"));
        }
        seen
    };
    let (seen, _) = futures_util::future::join(reading, records).await;
    assert_eq!(seen, (5..=1_201).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_stream_is_narrowed_and_ends_with_its_reader_and_with_locum() {
    let mut site = Site::start().await;
    let (key, owner) = (site.key(&[Action::EventsRead]).await, Actor::locum());
    let mut live = Live::open(site.get("/v1/events?kind=key").bearer_auth(&key)).await;
    let mut whole = Live::open(site.as_owner("GET", "/v1/events")).await;
    site.state.events.record(NewEvent::new(Kind::LocumStarted, &owner)).await;
    site.state.events.record(NewEvent::new(Kind::KeyCreated, &owner)).await;
    assert_eq!(live.next().await.expect("an event").0, "2");
    site.state.api_keys.revoke(&key[6..18].parse().expect("an id")).await.expect("revoked");
    site.state.events.record(NewEvent::new(Kind::KeyRevoked, &owner)).await;
    assert_eq!(live.next().await, None, "who may not read any more learns nothing more");
    for n in ["1", "2", "3"] {
        assert_eq!(whole.next().await.expect("an event").0, n);
    }
    let server = site.server.take().expect("running");
    let (finished, end) = futures_util::future::join(server.stop(), whole.next()).await;
    assert!(finished, "a stream does not hold a stop up");
    assert_eq!(end, None);
}

#[tokio::test]
async fn there_are_so_many_streams_and_no_more() {
    let site = Site::start().await;
    let events = &site.state.events;
    let mut feeds: Vec<_> =
        (0..16).map(|_| events.feed(Default::default(), None, None).expect("a place")).collect();
    let request = || site.as_owner("GET", "/v1/events").header("accept", "text/event-stream");
    let refused = site.send(request()).await;
    assert_eq!((refused.status, refused.code()), (503, "too_many_streams"));
    assert_eq!(refused.header("retry-after"), "30");
    // Keys have places of their own, and each a share of them.
    let keys: Vec<ApiKeyId> =
        (b'a'..=b'g').map(|c| char::from(c).to_string().repeat(12).parse().expect("an id")).collect();
    let mut of_keys = Vec::new();
    for key in &keys[..6] {
        let open = || events.feed(Default::default(), None, Some(key.clone()));
        of_keys.extend((0..8).map(|_| open().expect("a place")));
        assert!(open().is_err(), "a ninth one of one key");
    }
    assert!(events.feed(Default::default(), None, Some(keys[6].clone())).is_err(), "the last one is taken");
    of_keys.pop();
    assert!(events.feed(Default::default(), None, Some(keys[6].clone())).is_ok());
    feeds.pop();
    drop(Live::open(request()).await);
    let bad = site.send(request().header("last-event-id", "x")).await;
    assert_eq!((bad.status, bad.code()), (400, "header_invalid"));
}

#[tokio::test]
async fn a_file_holds_all_that_match_oldest_first() {
    let site = Site::start().await;
    for n in 0..1_203 {
        let kind = if n % 2 == 0 { Kind::LocumStarted } else { Kind::KeyCreated };
        site.state.events.note(NewEvent::new(kind, &Actor::locum()));
    }
    site.state.events.step().await.expect("written");
    let request = site.as_owner("GET", "/v1/events").header("accept", "application/x-ndjson");
    let reply = site.send(request).await;
    assert_eq!(reply.header("content-type"), "application/x-ndjson");
    assert_eq!(reply.header("content-disposition"), "attachment; filename=\"locum-events.jsonl\"");
    let ids = |text: &str| -> Vec<String> {
        let event = |line: &str| serde_json::from_str::<Value>(line).expect("JSON");
        text.lines().map(|line| event(line)["id"].as_str().expect("an id").to_owned()).collect()
    };
    assert_eq!(ids(&reply.text), (1..=1_203).map(|n| n.to_string()).collect::<Vec<_>>());
    let reply =
        site.send(site.as_owner("GET", "/v1/events?format=jsonl&kind=key&after=1199&before=1203")).await;
    assert_eq!(ids(&reply.text), ["1200", "1202"]);
}

#[tokio::test]
async fn counts_are_kept_by_the_hour_and_shown_for_a_day_and_a_month() {
    let site = Site::start().await;
    let chart = async |query: &str| {
        let reply = site.send(site.as_owner("GET", &format!("/v1/counts{query}"))).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        reply.json
    };
    let last = |chart: &Value, name: &str, n: usize| {
        let numbers = chart["series"][name].as_array().expect("numbers");
        (numbers[numbers.len() - 1].clone(), numbers[numbers.len() - 1 - n].clone(), numbers.len())
    };
    site.connect(site.alice()).await;
    site.send(site.exchange(&json!({ "code": "4/0nonsense" }))).await;
    let path = format!("/v1/users/{}/token", site.alice().sub);
    for _ in 0..3 {
        assert_eq!(site.send(site.as_owner("GET", &path)).await.status, 200);
    }
    let day = chart("").await;
    assert_eq!((&day["span"], &day["step"]), (&json!("day"), &json!(3600)));
    // 2026-11-22T17:36:12Z is the time of the tests.
    assert_eq!(day["from"], "2026-11-21T18:00:00Z");
    assert_eq!(last(&day, "exchanges", 1), (json!(1), json!(0), 24));
    assert_eq!(last(&day, "exchanges_failed", 1), (json!(1), json!(0), 24));
    assert_eq!(last(&day, "tokens", 1), (json!(3), json!(0), 24));

    site.clock.advance(Duration::from_secs(2 * 3600));
    assert_eq!(site.send(site.as_owner("GET", &path)).await.status, 200);
    let day = chart("?span=day").await;
    assert_eq!(last(&day, "tokens", 2), (json!(1), json!(3), 24));
    assert_eq!(last(&day, "refreshes", 2), (json!(1), json!(0), 24));
    let month = chart("?span=month").await;
    assert_eq!((&month["step"], &month["from"]), (&json!(86_400), &json!("2026-10-24T00:00:00Z")));
    assert_eq!(last(&month, "tokens", 1), (json!(4), json!(0), 30));
    site.clock.advance(Duration::from_secs(86_400));
    assert_eq!(last(&chart("?span=month").await, "tokens", 1), (json!(0), json!(4), 30));
    // Older than they are kept.
    site.clock.advance(Duration::from_secs(400 * 86_400));
    site.state.counts.purge_step().await.expect("written");
    assert_eq!(site.state.vault.load_counts(0, i64::MAX).await, Ok(vec![]));
    let reply = site.send(site.as_owner("GET", "/v1/counts?span=week")).await;
    assert_eq!((reply.status, reply.code()), (400, "parameter_invalid"));
}
