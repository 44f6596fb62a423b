//! Who may call what: the table of routes, walked with every kind of caller.

use actix_web::http::Method;

use super::super::routes::{Access, TABLE};
use super::site::{Reply, Site};
use crate::api_keys::Action;
use crate::ids::{ClientName, UserId};
use crate::vault::UserBinding;

/// A path of the pattern that names somebody and something.
fn path(pattern: &str, user: &str) -> String {
    pattern
        .replace("{user}", user)
        .replace("{id}", "aaaaaaaaaaaa")
        .replace("{path:.*}", "notes/a.txt")
        .replace("{token}", "aaaa")
        .replace("{file:.*}", "dashboard.css")
        .replace("{name}", "main")
}

/// The code of a problem; an answer to a HEAD has no body to hold one.
fn refused<'a>(method: &Method, reply: &'a Reply, code: &'a str) -> &'a str {
    if *method == Method::HEAD && reply.text.is_empty() { code } else { reply.code() }
}

async fn ask(site: &Site, method: &Method, path: &str, bearer: Option<&str>) -> Reply {
    let request = site.request(method.as_str(), path).header("x-requested-with", "test");
    site.send(match bearer {
        Some(token) => request.bearer_auth(token),
        None => request,
    })
    .await
}

/// A call of the dashboard's page, in a browser that signed in just now.
async fn ask_by_cookie(site: &Site, method: &Method, path: &str) -> Reply {
    let cookie = site.signed_in().await;
    let request = site.request(method.as_str(), path).header("x-requested-with", "test");
    site.send(request.header("cookie", cookie).header("sec-fetch-site", "same-origin")).await
}

#[tokio::test]
async fn every_route_refuses_whom_its_row_refuses() {
    let site = Site::start_with("", "").await;
    let (answer, _) = site.connect(site.alice()).await;
    let session = answer["session"]["token"].as_str().expect("a session").to_owned();
    let sub = site.alice().sub.as_str();
    for resource in TABLE {
        for route in resource.routes {
            let path = path(resource.path, sub);
            let seen = format!("{} {path}", route.method);
            let nobody = ask(&site, &route.method, &path, None).await;
            let by_session = ask(&site, &route.method, &path, Some(&session)).await;
            match route.access {
                Access::Public => assert_ne!(nobody.status, 401, "{seen}"),
                Access::Dashboard => {
                    let code = refused(&route.method, &nobody, "credentials_missing");
                    assert_eq!((nobody.status, code), (401, "credentials_missing"), "{seen}");
                    let admin = site.key(&[Action::Admin]).await;
                    let by_key = ask(&site, &route.method, &path, Some(&admin)).await;
                    assert_eq!((by_key.status, by_key.code()), (401, "credentials_missing"), "{seen}");
                    let by_cookie = ask_by_cookie(&site, &route.method, &path).await;
                    assert_eq!(by_cookie.status, 200, "{seen} {}", by_cookie.text);
                }
                Access::Session => {
                    // A browser that is signed in is the owner, and nobody's app.
                    let by_cookie = ask_by_cookie(&site, &route.method, &path).await;
                    assert_eq!(by_cookie.status, 401, "{seen}");
                    let code = refused(&route.method, &nobody, "credentials_missing");
                    assert_eq!((nobody.status, code), (401, "credentials_missing"), "{seen}");
                    let admin = site.key(&[Action::Admin]).await;
                    let by_key = ask(&site, &route.method, &path, Some(&admin)).await;
                    let code = refused(&route.method, &by_key, "session_required");
                    assert_eq!((by_key.status, code), (401, "session_required"), "{seen}");
                }
                Access::Key(action) => {
                    let code = refused(&route.method, &nobody, "credentials_missing");
                    assert_eq!((nobody.status, code), (401, "credentials_missing"), "{seen}");
                    assert!(nobody.header("www-authenticate").starts_with("Bearer"), "{seen}");
                    let code = refused(&route.method, &by_session, "api_key_required");
                    assert_eq!((by_session.status, code), (401, "api_key_required"), "{seen}");
                    let others: Vec<_> = Action::ALL
                        .iter()
                        .copied()
                        .filter(|other| *other != action && *other != Action::Admin)
                        .collect();
                    let other = ask(&site, &route.method, &path, Some(&site.key(&others).await)).await;
                    let code = refused(&route.method, &other, "action_not_allowed");
                    assert_eq!((other.status, code), (403, "action_not_allowed"), "{seen}");
                    if !other.text.is_empty() {
                        assert_eq!(other.json["action"], action.code(), "{seen}");
                    }
                    let allowed = ask(&site, &route.method, &path, Some(&site.key(&[action]).await)).await;
                    assert!(!matches!(allowed.status, 401 | 403), "{seen} {}", allowed.text);
                    let by_cookie = ask_by_cookie(&site, &route.method, &path).await;
                    assert!(!matches!(by_cookie.status, 401 | 403), "{seen} {}", by_cookie.text);
                }
                Access::Owner => {
                    let code = refused(&route.method, &nobody, "credentials_missing");
                    assert_eq!((nobody.status, code), (401, "credentials_missing"), "{seen}");
                    assert_eq!(by_session.code(), "api_key_required", "{seen}");
                    let others: Vec<_> =
                        Action::ALL.iter().copied().filter(|other| *other != Action::Admin).collect();
                    let refused = ask(&site, &route.method, &path, Some(&site.key(&others).await)).await;
                    assert_eq!((refused.status, refused.code()), (403, "owner_required"), "{seen}");
                    // A bound key could make itself an unbound one.
                    let bound = site
                        .bound_key(&[Action::Admin], |new| new.users = UserBinding::Only(vec![UserId(1)]))
                        .await;
                    let refused = ask(&site, &route.method, &path, Some(&bound)).await;
                    assert_eq!((refused.status, refused.code()), (403, "owner_required"), "{seen}");
                    let admin = site.key(&[Action::Admin]).await;
                    let allowed = ask(&site, &route.method, &path, Some(&admin)).await;
                    assert!(!matches!(allowed.status, 401 | 403), "{seen} {}", allowed.text);
                    let by_cookie = ask_by_cookie(&site, &route.method, &path).await;
                    assert!(!matches!(by_cookie.status, 401 | 403), "{seen} {}", by_cookie.text);
                }
            }
        }
    }
}

#[tokio::test]
async fn a_key_that_is_not_one_is_refused_alike() {
    let site = Site::start().await;
    let good = site.key(&[Action::UsersRead]).await;
    let mut wrong = good.clone();
    wrong.replace_range(20..21, if &good[20..21] == "a" { "b" } else { "a" });
    for bad in [&wrong, &good[..good.len() - 1], "locum_", "nonsense", "locum_ä", &"x".repeat(4000)] {
        let reply = site
            .send(site.get("/v1/users").header("authorization", format!("Bearer {bad}").as_bytes()))
            .await;
        let expected = if bad.is_ascii() { "api_key_invalid" } else { "credentials_missing" };
        assert_eq!((reply.status, reply.code()), (401, expected), "{bad}");
    }
    for scheme in ["Basic", "bearer-ish", ""] {
        let reply =
            site.send(site.get("/v1/users").header("authorization", format!("{scheme} {good}"))).await;
        assert_eq!(reply.code(), "credentials_missing", "{scheme}");
    }
    let request = site.get("/v1/users").header("authorization", format!("bEaReR {good}"));
    assert_eq!(site.send(request).await.status, 200);
    let twice = site.get("/v1/users").bearer_auth(&good).header("authorization", "Bearer x");
    assert_eq!(site.send(twice).await.code(), "bad_request");
}

#[tokio::test]
async fn ended_keys_say_how_they_ended() {
    let site = Site::start().await;
    let expiring =
        site.bound_key(&[Action::UsersRead], |new| new.expires_at = Some(super::site::START.plus(60))).await;
    site.clock.advance(std::time::Duration::from_secs(60));
    let reply = site.send(site.get("/v1/users").bearer_auth(&expiring)).await;
    assert_eq!((reply.status, reply.code()), (401, "api_key_expired"));

    let revoked = site.key(&[Action::UsersRead]).await;
    let id = revoked[6..18].parse().expect("an id");
    site.state.api_keys.revoke(&id).await.expect("revoked");
    let reply = site.send(site.get("/v1/users").bearer_auth(&revoked)).await;
    assert_eq!((reply.status, reply.code()), (401, "api_key_revoked"));
}

#[tokio::test]
async fn what_is_out_of_reach_looks_like_nothing() {
    let site = Site::start().await;
    let (_, alice) = site.connect(site.alice()).await;
    site.connect(site.bob()).await;
    let all = [Action::TokensRead, Action::UsersRead, Action::UsersWrite, Action::Admin];
    let bound = site.bound_key(&all, |new| new.users = UserBinding::Only(vec![alice])).await;
    let (bob, nobody) = (site.bob().sub.as_str(), "999999999999999999999");
    let bob_email = site.bob().email.clone();
    for (method, pattern) in [
        ("GET", "/v1/users/{}"),
        ("GET", "/v1/users/{}/token"),
        ("POST", "/v1/users/{}/refresh"),
        ("DELETE", "/v1/users/{}"),
        ("GET", "/v1/users/{}?preview=forget"),
    ] {
        let mut seen = Vec::new();
        for name in [bob, nobody, bob_email.as_str()] {
            let request = site.request(method, &pattern.replace("{}", name)).bearer_auth(&bound);
            let reply = site.send(request).await;
            assert_eq!(reply.status, 404, "{method} {pattern} {name}: {}", reply.text);
            seen.push(reply.problem());
        }
        assert_eq!(seen[0], seen[1], "{method} {pattern}");
        assert_eq!(seen[0], seen[2], "{method} {pattern}");
    }
    // The list, too, holds nobody else, and what is within reach is reached.
    let list = site.send(site.get("/v1/users").bearer_auth(&bound)).await;
    let ids: Vec<_> = list.json["users"].as_array().expect("a list").iter().map(|user| &user["id"]).collect();
    assert_eq!(ids, [site.alice().sub.as_str()]);
    let own = site.get(&format!("/v1/users/{}/token", site.alice().sub)).bearer_auth(&bound);
    assert_eq!(site.send(own).await.status, 200);

    // A client out of reach is none that the key knows of.
    let other = site.bound_key(&all, |new| new.clients = Some(vec!["other".parse().expect("a name")])).await;
    let path = format!("/v1/users/{}/token", site.alice().sub);
    assert_eq!(site.send(site.get(&path).bearer_auth(&other)).await.code(), "user_not_found");
    let named = site.send(site.get(&format!("{path}?client=main")).bearer_auth(&other)).await;
    let unknown = site.send(site.get(&format!("{path}?client=nothing")).bearer_auth(&other)).await;
    assert_eq!((named.status, named.problem()), (404, unknown.problem()));
}

/// The route has a short way of its own (`configure`), and the way of all others behind it.
#[tokio::test]
async fn a_token_is_found_however_its_path_is_written() {
    let site = Site::start().await;
    site.connect(site.alice()).await;
    let key = site.key(&[Action::TokensRead, Action::MetricsRead]).await;
    let user = site.alice().sub.as_str();
    for (method, path, status) in [
        ("GET", format!("/v1/users/{user}/token"), 200),
        ("GET", format!("/v1/users/{user}/token?min_ttl=60"), 200),
        ("GET", format!("/v1/users/{user}/%74oken"), 200),
        ("POST", format!("/v1/users/{user}/token"), 405),
        ("HEAD", format!("/v1/users/{user}/token"), 405),
        ("GET", format!("/v1/users/{user}/token/"), 404),
        ("GET", format!("/v1/users/{user}/tokens"), 404),
        ("GET", "/v1/users//token".to_owned(), 404),
        ("GET", format!("/v1/users{user}/token"), 404),
        // Without the last segment it is another route, and this key does not allow it.
        ("GET", format!("/v1/users/{user}"), 403),
        ("GET", "/v1/users/token".to_owned(), 403),
    ] {
        let reply = ask(&site, &method.parse().expect("a method"), &path, Some(&key)).await;
        assert_eq!(reply.status, status, "{method} {path}: {}", reply.text);
        if status == 405 {
            assert_eq!(reply.header("allow"), "GET", "{method} {path}");
        }
    }
    // One name for all of them.
    let metrics = site.send(site.get("/metrics").bearer_auth(&key)).await.text;
    let counted = r#"route="/v1/users/{user}/token",status="2xx""#;
    let line = metrics.lines().find(|line| line.contains("requests_total") && line.contains(counted));
    assert!(line.is_some_and(|line| line.ends_with(" 3")), "{line:?}");
}

/// By person or by client: whoever is out of a key's reach looks like nobody, on every route.
#[tokio::test]
async fn whoever_is_out_of_reach_is_nobody() {
    let site = Site::start_with("", "").await;
    site.connect(site.alice()).await;
    let (_, bob) = site.connect(site.bob()).await;
    let elsewhere: ClientName = "elsewhere".parse().expect("a name");
    let every: Vec<_> = Action::ALL.to_vec();
    let keys = [
        site.bound_key(&every, |new| new.clients = Some(vec![elsewhere])).await,
        site.bound_key(&every, |new| new.users = UserBinding::Only(vec![bob])).await,
    ];
    let nobody = "100000000000000000001";
    for key in &keys {
        let keyed = TABLE.iter().flat_map(|row| row.routes.iter().map(move |route| (row.path, route)));
        for (pattern, route) in keyed.filter(|(path, _)| path.contains("{user}")) {
            if !matches!(route.access, Access::Key(_)) {
                continue;
            }
            let mut told = Vec::new();
            for user in [site.alice().sub.as_str(), nobody] {
                let path = path(&pattern.replace("versions/{id}", "versions/1"), user);
                let reply = ask(&site, &route.method, &path, Some(key)).await;
                told.push((reply.status, refused(&route.method, &reply, "user_not_found").to_owned()));
            }
            assert_eq!(told, vec![(404, "user_not_found".to_owned()); 2], "{} {pattern}", route.method);
        }
        let mut told = Vec::new();
        for user in [site.alice().sub.as_str(), nobody] {
            let link = site.request("POST", "/v1/connect-links").bearer_auth(key);
            let link = link.header("x-requested-with", "test");
            let reply = site.send(link.json(&serde_json::json!({ "user": user }))).await;
            let events = ask(&site, &Method::GET, &format!("/v1/events?user={user}"), Some(key)).await;
            told.push((reply.status, reply.code().to_owned(), events.status));
        }
        assert_eq!(told, vec![(404, "user_not_found".to_owned(), 404); 2]);
    }
}
