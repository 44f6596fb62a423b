//! The owner's way into the dashboard, tried from the front and from everywhere else.

use super::site::{Reply, Site};

/// What a browser sends with the calls of the dashboard's page.
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
    assert_eq!(site.send(by(&site, "GET", "/v1/users", pair)).await.status, 200);

    for again in [site.enter(&link), site.get(&link), site.enter("/dashboard/enter/aaaa")] {
        let reply = site.send(again.header("accept", "application/json")).await;
        assert_eq!((reply.status, reply.code()), (410, "login_link_gone"));
    }
    let page = site.send(site.get(&link)).await;
    assert!(page.text.contains("locum admin link"), "{}", page.text);
}
