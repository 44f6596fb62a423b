//! The owner's way into the dashboard, tried from the front and from everywhere else.

use std::time::Duration;

use super::site::{Reply, Site};
use crate::api_keys::Action;

/// A request of a browser that has this cookie.
fn by(site: &Site, method: &str, path: &str, cookie: &str) -> reqwest::RequestBuilder {
    site.request(method, path).header("cookie", cookie)
}

async fn who(site: &Site, cookie: &str) -> Reply {
    site.send(by(site, "GET", "/v1/dashboard", cookie)).await
}

#[tokio::test]
async fn a_link_opens_the_dashboard_once() {
    let site = Site::start().await;
    let link = site.login_link().await;
    // Looking at it uses nothing up, whoever looks and however often.
    for method in ["GET", "HEAD", "GET"] {
        let seen = site.send(site.request(method, &link)).await;
        assert_eq!(seen.status, 200, "{method}");
        assert!(!seen.headers.contains_key("set-cookie"));
        // Otherwise browsers would send `Origin: null` with its form.
        assert_eq!(seen.header("referrer-policy"), "same-origin");
        assert!(seen.header("content-security-policy").contains("frame-ancestors 'none'"));
    }
    let entered = site.send(site.enter(&link)).await;
    assert_eq!(entered.status, 200);
    assert!(entered.text.contains("content=\"0;url=../../\""), "{}", entered.text);
    let cookie = entered.header("set-cookie");
    let (pair, attributes) = cookie.split_once("; ").expect("attributes");
    assert_eq!(attributes, "Path=/; Max-Age=604800; HttpOnly; SameSite=Strict");
    assert!(pair.starts_with("locum_dashboard=") && pair.len() == "locum_dashboard=".len() + 43);

    let me = who(&site, pair).await;
    assert_eq!((me.status, &me.json["signed_in_as"]), (200, &"link".into()));
    assert_eq!(me.json["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(me.json["signed_in_at"], super::site::START.to_string());
    assert_eq!(me.json["ends_at"], super::site::START.plus(7 * 86_400).to_string());
    assert_eq!(me.json["idle_ends_at"], super::site::START.plus(3_600).to_string());
    assert_eq!(site.send(by(&site, "GET", "/v1/users", pair)).await.status, 200);

    for again in [site.enter(&link), site.get(&link), site.enter("/dashboard/enter/aaaa")] {
        let reply = site.send(again.header("accept", "application/json")).await;
        assert_eq!((reply.status, reply.code()), (410, "login_link_gone"));
    }
    let page = site.send(site.get(&link)).await;
    assert!(page.text.contains("locum admin link"), "{}", page.text);
}

#[tokio::test]
async fn a_link_has_its_time_and_one_of_two_gets_it() {
    let site = Site::start().await;
    let (first, second) = (site.login_link().await, site.login_link().await);
    let both = tokio::join!(site.send(site.enter(&first)), site.send(site.enter(&first)));
    let mut statuses = [both.0.status, both.1.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 410]);
    site.clock.advance(Duration::from_secs(599));
    assert_eq!(site.send(site.get(&second)).await.status, 200);
    site.clock.advance(Duration::from_secs(1));
    assert_eq!(site.send(site.get(&second)).await.status, 410);
    assert_eq!(site.send(site.enter(&second)).await.status, 410);
}

/// Login CSRF: a page of somebody else signs a browser in as whom it likes.
#[tokio::test]
async fn no_other_site_can_press_the_button() {
    let site = Site::start().await;
    let link = site.login_link().await;
    let own = format!("http://{}", site.address());
    let foreign: &[&[(&str, &str)]] = &[
        &[],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[("origin", "http://127.0.0.1:1")],
        &[("origin", &own), ("sec-fetch-site", "cross-site")],
        &[("origin", &own), ("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "none")],
        &[("origin", &own), ("host", "evil.example")],
        &[("origin", "http://evil.example"), ("host", "evil.example")],
    ];
    for headers in foreign {
        let request =
            headers.iter().fold(site.post(&link), |request, (name, value)| request.header(*name, *value));
        let reply = site.send(request.header("accept", "application/json")).await;
        assert_eq!(reply.status, 403, "{headers:?}");
        assert!(matches!(reply.code(), "foreign_request" | "host_not_served"), "{headers:?}");
        assert!(!reply.headers.contains_key("set-cookie"));
    }
    // And none of it has used the link up.
    assert_eq!(site.send(site.enter(&link)).await.status, 200);
}

/// Every method, with and without what shows that a page of locum's own asks.
#[tokio::test]
async fn only_the_dashboards_own_page_acts_for_the_owner() {
    let site = Site::start().await;
    let cookie = site.signed_in().await;
    let own = format!("http://{}", site.address());
    let wanted = [("x-requested-with", "locum")];
    type Headers<'a> = &'a [(&'a str, &'a str)];
    let cases: &[(Headers<'_>, Headers<'_>, bool, bool)] = &[
        // headers of every kind of request; whether a read and a change are served with X-Requested-With
        (&[], &wanted, true, true),
        (&[("sec-fetch-site", "same-origin")], &wanted, true, true),
        (&[("sec-fetch-site", "same-origin"), ("origin", &own)], &wanted, true, true),
        (&[("sec-fetch-site", "none")], &wanted, true, false),
        (&[("sec-fetch-site", "same-site")], &wanted, false, false),
        (&[("sec-fetch-site", "cross-site")], &wanted, false, false),
        (&[("sec-fetch-site", "nonsense")], &wanted, false, false),
        (&[("origin", "null")], &wanted, false, false),
        (&[("origin", "https://evil.example")], &wanted, false, false),
        (&[("origin", "http://localhost:3000"), ("sec-fetch-site", "same-origin")], &wanted, false, false),
        (&[("host", "evil.example")], &wanted, false, false),
        (&[("host", "evil.example"), ("origin", "http://evil.example")], &wanted, false, false),
        (&[("host", "127.0.0.1.evil.example")], &wanted, false, false),
        (&[], &[], true, false),
        (&[("sec-fetch-site", "same-origin"), ("origin", &own)], &[], true, false),
    ];
    for (headers, more, reads, changes) in cases {
        for (method, path, served) in [
            ("GET", "/v1/users", reads),
            ("GET", "/v1/status", reads),
            ("GET", "/v1/dashboard", reads),
            ("POST", "/v1/keys", changes),
            ("DELETE", "/v1/keys/aaaaaaaaaaaa", changes),
            ("POST", "/v1/dashboard/links", changes),
            ("PUT", "/v1/users/nobody/app-data/a", changes),
        ] {
            let request = headers
                .iter()
                .chain(*more)
                .fold(by(&site, method, path, &cookie), |request, pair| request.header(pair.0, pair.1));
            let reply = site.send(request).await;
            let seen = format!("{method} {path} {headers:?} {more:?}: {} {}", reply.status, reply.text);
            assert_eq!(!matches!(reply.status, 401 | 403), *served, "{seen}");
            if !*served {
                let expected = ["foreign_request", "host_not_served", "missing_requested_with"];
                assert!(expected.contains(&reply.code()), "{seen}");
            }
            // Nobody else's page may read an answer.
            assert!(!reply.headers.contains_key("access-control-allow-origin"), "{seen}");
            assert!(!reply.headers.contains_key("access-control-allow-credentials"), "{seen}");
        }
    }
}

#[tokio::test]
async fn listed_web_origins_get_nothing_of_the_owners() {
    let site = Site::start_with("cors_origins = [\"https://app.example.org\"]", "").await;
    let cookie = site.signed_in().await;
    for path in ["/v1/users", "/v1/dashboard", "/v1/users/me"] {
        for method in ["GET", "OPTIONS"] {
            let request = by(&site, method, path, &cookie)
                .header("origin", "https://app.example.org")
                .header("access-control-request-method", "GET");
            let reply = site.send(request).await;
            assert!(!reply.headers.contains_key("access-control-allow-credentials"), "{method} {path}");
            if method == "GET" {
                assert!(matches!(reply.status, 401 | 403), "{path} {}", reply.text);
            }
        }
    }
}

#[tokio::test]
async fn a_cookie_that_a_browser_brings_along_is_never_made_a_session() {
    let site = Site::start().await;
    let planted = format!("locum_dashboard={}", "A".repeat(43));
    let reply = site.send(site.enter(&site.login_link().await).header("cookie", &planted)).await;
    let fresh = reply.header("set-cookie").split(';').next().expect("a cookie").to_owned();
    assert_ne!(fresh, planted);
    assert_eq!((who(&site, &planted).await.status, who(&site, &fresh).await.status), (401, 200));
    // Signing in anew gives another secret, and a session of before is not turned into it.
    let reply = site.send(site.enter(&site.login_link().await).header("cookie", &fresh)).await;
    let second = reply.header("set-cookie").split(';').next().expect("a cookie").to_owned();
    assert_ne!(second, fresh);
    // One that another port has planted beside it changes nothing.
    assert_eq!(who(&site, &format!("{planted}; {second}")).await.status, 200);
    // On plain http the name for https is nothing.
    let foreign = second.replace("locum_dashboard", "__Host-locum_dashboard");
    assert_eq!(who(&site, &foreign).await.code(), "credentials_missing");
}

/// On https the cookie cannot be set or seen without it, nor by another host of the domain.
#[tokio::test]
async fn on_https_the_cookie_is_a_host_cookie() {
    let site = Site::start_with("public_url = \"https://locum.example.org\"", "").await;
    let outside = |request: reqwest::RequestBuilder| {
        request.header("host", "locum.example.org").header("origin", "https://locum.example.org")
    };
    let reply = site.send(site.as_owner("POST", "/v1/dashboard/links")).await;
    let url = reply.json["url"].as_str().expect("an address");
    let path = url.strip_prefix("https://locum.example.org").expect("the public address").to_owned();
    let entered = site.send(outside(site.post(&path))).await;
    let (pair, attributes) = entered.header("set-cookie").split_once("; ").expect("attributes");
    assert!(pair.starts_with("__Host-locum_dashboard="), "{pair}");
    assert_eq!(attributes, "Path=/; Max-Age=604800; HttpOnly; SameSite=Strict; Secure");
    let asked = outside(by(&site, "GET", "/v1/dashboard", pair));
    assert_eq!(site.send(asked).await.status, 200);
    // The plain name, which plain http could have set, counts for nothing there.
    let plain = pair.replace("__Host-", "");
    let asked = outside(by(&site, "GET", "/v1/dashboard", &plain));
    assert_eq!(site.send(asked).await.code(), "credentials_missing");
    // A proxy that replaces the host by its own idea of it is told so, instead of losing `Secure` silently.
    let replaced = site.post(&site.login_link().await).header("origin", "https://locum.example.org");
    let reply = site.send(replaced.header("accept", "application/json")).await;
    assert_eq!((reply.status, reply.code()), (403, "foreign_request"));
    // What is forwarded about the host is not believed.
    let forwarded = by(&site, "GET", "/v1/dashboard", pair)
        .header("host", "evil.example")
        .header("x-forwarded-host", "locum.example.org");
    assert_eq!(site.send(forwarded).await.code(), "host_not_served");
    // From the machine itself it is reached as before.
    let local = site.send(site.enter(&site.login_link().await)).await;
    assert!(local.header("set-cookie").starts_with("locum_dashboard="));
}

#[tokio::test]
async fn a_session_ends_unused_and_at_last_in_any_case() {
    let site = Site::start_with("[dashboard]\nidle = \"30m\"\nabsolute = \"2h\"", "").await;
    let cookie = site.signed_in().await;
    for _ in 0..3 {
        site.clock.advance(Duration::from_secs(1_799));
        assert_eq!(who(&site, &cookie).await.status, 200);
    }
    let other = site.signed_in().await;
    site.clock.advance(Duration::from_secs(1_799));
    assert_eq!(who(&site, &cookie).await.status, 200);
    site.clock.advance(Duration::from_secs(4));
    assert_eq!(who(&site, &cookie).await.code(), "dashboard_session_over");
    // The other one lay unused.
    let reply = who(&site, &other).await;
    assert_eq!((reply.status, reply.code()), (401, "dashboard_session_over"));
    site.state.owner_sessions.upkeep_step().await.expect("written");
    assert_eq!(site.state.vault.load_owner_sessions().await.expect("readable"), []);
    let page = site.send(by(&site, "GET", "/", &cookie)).await;
    assert!(page.text.contains("locum admin link"), "{}", page.text);
}

#[tokio::test]
async fn a_page_that_was_left_open_keeps_no_session_alive() {
    let site = Site::start_with("[dashboard]\nidle = \"30m\"", "").await;
    let cookie = site.signed_in().await;
    for (name, word) in [("x-requested-with", "locum-unattended"), ("accept", "text/event-stream")] {
        site.clock.advance(Duration::from_secs(800));
        let asked = site.send(by(&site, "GET", "/v1/dashboard", &cookie).header(name, word)).await;
        assert_eq!(asked.status, 200);
        assert_eq!(asked.json["idle_ends_at"], super::site::START.plus(1_800).to_string());
    }
    site.clock.advance(Duration::from_secs(200));
    assert_eq!(who(&site, &cookie).await.code(), "dashboard_session_over");
}

#[tokio::test]
async fn signing_out_ends_it_here_and_everywhere() {
    let site = Site::start().await;
    let (one, two, three) = (site.signed_in().await, site.signed_in().await, site.signed_in().await);
    let out = |cookie: &str| by(&site, "DELETE", "/v1/dashboard", cookie).header("x-requested-with", "locum");
    let reply = site.send(out(&one)).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("set-cookie"), "locum_dashboard=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict");
    assert_eq!((who(&site, &one).await.status, who(&site, &two).await.status), (401, 200));
    assert_eq!(site.send(out(&one)).await.code(), "dashboard_session_over");
    let waiting = site.login_link().await;
    let all = site.send(site.as_owner("DELETE", "/v1/dashboard/sessions")).await;
    assert_eq!((all.status, &all.json["signed_out"]), (200, &2.into()));
    for cookie in [&two, &three] {
        assert_eq!(who(&site, cookie).await.status, 401);
    }
    assert_eq!(site.send(site.enter(&waiting)).await.status, 410, "a link that waited is over, too");
}

#[tokio::test]
async fn what_is_shown_by_name_counts_before_the_cookie() {
    let site = Site::start().await;
    let cookie = site.signed_in().await;
    let key = site.key(&[Action::TokensRead]).await;
    let reply = site.send(by(&site, "GET", "/v1/users", &cookie).bearer_auth(&key)).await;
    assert_eq!((reply.status, reply.code()), (403, "action_not_allowed"));
    let reply = site.send(by(&site, "GET", "/v1/users", &cookie).bearer_auth("locum_nonsense")).await;
    assert_eq!((reply.status, reply.code()), (401, "api_key_invalid"));
    let reply = site.send(by(&site, "GET", "/v1/dashboard", &cookie).bearer_auth(&key)).await;
    assert_eq!((reply.status, reply.code()), (401, "credentials_missing"));
}

#[tokio::test]
async fn a_page_load_is_no_flood_and_guessing_is() {
    let limits = "[limits]\naddress_per_second = 1\naddress_burst = 5\nkey_per_second = 100\nkey_burst = 100";
    let site = Site::start_with(limits, "").await;
    let cookie = site.signed_in().await;
    for path in ["/", "/v1/dashboard", "/dashboard/assets/dashboard.css", "/v1/status", "/v1/users"] {
        for _ in 0..4 {
            assert_eq!(site.send(by(&site, "GET", path, &cookie)).await.status, 200, "{path}");
        }
    }
    let mut limited = 0;
    for n in 0..10 {
        let guess = format!("locum_dashboard={n:043}");
        limited += u32::from(who(&site, &guess).await.status == 429);
    }
    assert!(limited >= 4, "{limited}");
    assert_eq!(who(&site, &cookie).await.status, 200, "the owner goes on from the same address");
}

#[tokio::test]
async fn the_page_at_the_root_is_the_dashboards_for_the_owner_alone() {
    let site = Site::start().await;
    let stranger = site.send(site.get("/")).await;
    assert_eq!(stranger.status, 200);
    assert!(stranger.text.contains("locum admin link") && !stranger.text.contains("dashboard/sign-in"));
    assert!(stranger.header("content-security-policy").contains("frame-ancestors 'none'"));
    let cookie = site.signed_in().await;
    let page = site.send(by(&site, "GET", "/", &cookie)).await;
    assert!(page.text.contains("/dashboard/assets/"), "{}", page.text);
    assert_eq!(
        page.header("content-security-policy"),
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
         base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
         trusted-types 'none'"
    );
    assert_eq!(page.header("x-frame-options"), "DENY");
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert_eq!(page.header("cache-control"), "no-store");
    // Under a name that is not ours there is no dashboard, cookie or not.
    let rebound = site.send(by(&site, "GET", "/", &cookie).header("host", "evil.example")).await;
    assert!(rebound.text.contains("locum admin link"));

    // Led here by another site a browser keeps the cookie back, until a page of ours leads on.
    let elsewhere =
        [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
    let led = elsewhere.iter().fold(site.get("/"), |request, (name, value)| request.header(*name, *value));
    let led = site.send(led).await;
    assert!(led.text.contains("content=\"0;url=./\""), "{}", led.text);
    // Neither the admin socket nor the page's address with a query leads anywhere else.
    assert_eq!(site.send(site.as_owner("GET", "/")).await.status, 404);
    for odd in ["/?to=https://evil.example", "//evil.example/", "/dashboard/enter/aa?next=//evil.example"] {
        let reply = site.send(site.get(odd)).await;
        assert!(!reply.headers.contains_key("location"), "{odd}");
        assert!(!reply.text.contains("evil.example"), "{odd}");
    }
}

#[tokio::test]
async fn files_are_served_as_they_are_asked_for() {
    let site = Site::start().await;
    let path = "/dashboard/assets/dashboard.css";
    let plain = site.send(site.get(path)).await;
    assert_eq!((plain.status, plain.header("content-encoding")), (200, ""));
    assert_eq!(plain.header("content-type"), "text/css; charset=utf-8");
    assert_eq!((plain.header("cache-control"), plain.header("vary")), ("no-cache", "accept-encoding"));
    let tag = plain.header("etag").to_owned();
    let small = site.send(site.get(path).header("accept-encoding", "gzip, br")).await;
    // What is too small to win by it is not compressed.
    if small.header("content-encoding") == "br" {
        assert_ne!(small.header("etag"), tag, "another form has another tag");
    } else {
        assert_eq!(small.header("etag"), tag);
    }
    for (sent, status) in [(tag.as_str(), 304), ("\"other\"", 200), ("*", 304), ("\"a\", W/", 200)] {
        let reply = site.send(site.get(path).header("if-none-match", sent)).await;
        assert_eq!((reply.status, reply.header("etag")), (status, &*tag), "{sent}");
        assert_eq!(reply.text.is_empty(), status == 304);
    }
    let version = tag.trim_matches('"');
    let kept = site.send(site.get(&format!("{path}?v={version}"))).await;
    assert_eq!(kept.header("cache-control"), "public, max-age=31536000, immutable");
    let stale = site.send(site.get(&format!("{path}?v=0000000000000000"))).await;
    assert_eq!((stale.status, stale.header("cache-control")), (200, "no-cache"));
    let head = site.send(site.request("HEAD", path)).await;
    assert_eq!((head.status, head.header("etag"), head.text.as_str()), (200, &*tag, ""));

    for nothing in [
        "/dashboard/assets/",
        "/dashboard/assets/nothing.js",
        "/dashboard/assets/index.html",
        "/dashboard/assets/dashboard.css.br",
        "/dashboard/assets/../dashboard.css",
        "/dashboard/assets/%2e%2e/Cargo.toml",
        "/dashboard/assets/..%2f..%2fCargo.toml",
        "/dashboard/assets//etc/passwd",
        "/dashboard/assets/%2fetc%2fpasswd",
        "/dashboard/assets/pages/..%2fdashboard.css",
        "/dashboard/assets/vendor/SHA256SUMS",
    ] {
        let reply = site.send(site.get(nothing)).await;
        assert_eq!((reply.status, reply.code()), (404, "not_found"), "{nothing}");
    }
}
