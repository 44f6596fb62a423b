//! API keys over HTTP.

use serde_json::{Value, json};

use super::site::{START, Site};
use crate::api_keys::Action;

async fn create(site: &Site, body: &Value) -> super::site::Reply {
    site.send(site.as_owner("POST", "/v1/keys").json(body)).await
}

#[tokio::test]
async fn a_key_is_made_shown_once_used_rotated_and_revoked() {
    let site = Site::start().await;
    site.connect(site.alice()).await;
    let made = create(
        &site,
        &json!({ "name": "nightly", "actions": ["tokens:read"], "users": [site.alice().email], "clients": ["main"],
                 "scopes": ["openid"], "expires_in": 86_400 }),
    )
    .await;
    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!(made.json["users"]["only"]["ids"], json!([site.alice().sub.as_str()]));
    assert_eq!(made.json["expires_at"], START.plus(86_400).to_string());
    let key = made.json["key"].as_str().expect("shown once").to_owned();
    let id = made.json["id"].as_str().expect("an id").to_owned();
    let token = format!("/v1/users/{}/token", site.alice().sub);
    assert_eq!(site.send(site.get(&token).bearer_auth(&key)).await.status, 200);

    let list = site.send(site.as_owner("GET", "/v1/keys")).await;
    assert_eq!(list.json["keys"][0]["state"], "active");
    assert_eq!(list.json["keys"][0]["last_used_at"], START.to_string());
    assert!(!list.text.contains(&key[20..]), "the secret is never shown again");

    let rotated = site
        .send(site.as_owner("POST", &format!("/v1/keys/{id}/rotate")).json(&json!({ "overlap": 60 })))
        .await;
    assert_eq!(rotated.status, 201, "{}", rotated.text);
    let new = rotated.json["key"].as_str().expect("a new key").to_owned();
    assert_eq!(site.send(site.get(&token).bearer_auth(&key)).await.status, 200);
    site.clock.advance(std::time::Duration::from_secs(60));
    assert_eq!(site.send(site.get(&token).bearer_auth(&key)).await.code(), "api_key_revoked");
    let again = site.send(site.as_owner("POST", &format!("/v1/keys/{id}/rotate"))).await;
    assert_eq!((again.status, again.code()), (409, "api_key_ended"));

    let new_id = rotated.json["id"].as_str().expect("an id");
    let revoked = site.send(site.as_owner("DELETE", &format!("/v1/keys/{new_id}"))).await;
    assert_eq!((revoked.status, &revoked.json["state"]), (200, &json!("revoked")));
    assert_eq!(site.send(site.get(&token).bearer_auth(&new)).await.code(), "api_key_revoked");
    for id in ["aaaaaaaaaaaa", "nonsense", "%20"] {
        let reply = site.send(site.as_owner("DELETE", &format!("/v1/keys/{id}"))).await;
        assert_eq!((reply.status, reply.code()), (404, "api_key_not_found"), "{id}");
    }
}

#[tokio::test]
async fn without_bindings_a_key_lives_a_year_and_never_must_be_said() {
    let site = Site::start().await;
    let body = json!({ "name": "a", "actions": ["users:read"], "users": "all" });
    let made = create(&site, &body).await;
    assert_eq!(made.json["expires_at"], START.plus(365 * 86_400).to_string());
    assert_eq!((&made.json["users"], &made.json["clients"]), (&json!("all"), &Value::Null));
    let mut never = body;
    never["expires_in"] = "never".into();
    assert_eq!(create(&site, &never).await.json["expires_at"], Value::Null);
}

#[tokio::test]
async fn a_key_that_is_not_fully_described_is_not_made() {
    let site = Site::start().await;
    let good = json!({ "name": "a", "actions": ["users:read"], "users": "all" });
    let with = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body
    };
    let without = |name: &str| {
        let mut body = good.clone();
        body.as_object_mut().expect("an object").remove(name);
        body
    };
    for (body, status, code) in [
        (without("name"), 400, "field_missing"),
        (without("actions"), 400, "field_missing"),
        (without("users"), 400, "field_missing"),
        (with("users", Value::Null), 400, "field_missing"),
        (with("name", json!("")), 400, "field_invalid"),
        (with("actions", json!([])), 400, "field_invalid"),
        (with("actions", json!(["root"])), 400, "field_invalid"),
        (with("actions", json!("tokens:read")), 400, "field_invalid"),
        (with("users", json!([])), 400, "field_invalid"),
        (with("users", json!("everybody")), 400, "field_invalid"),
        (with("users", json!(["me"])), 400, "field_invalid"),
        (with("users", json!(["nobody@example.org"])), 404, "user_not_found"),
        (with("clients", json!(["other"])), 400, "client_unknown"),
        (with("clients", json!([])), 400, "field_invalid"),
        (with("scopes", json!([])), 400, "field_invalid"),
        (with("hosts", json!(["Not A Host"])), 400, "field_invalid"),
        (with("expires_in", json!(0)), 400, "field_invalid"),
        (with("expires_in", json!(-5)), 400, "field_invalid"),
        (with("expires_in", json!(1.5)), 400, "field_invalid"),
        (with("expires_in", json!("soon")), 400, "field_invalid"),
        (with("expires_in", json!(9_000_000_000_000_000_000_i64)), 400, "field_invalid"),
        // One letter missing, and the key would reach every client.
        (with("client", json!(["main"])), 400, "field_unknown"),
    ] {
        let reply = create(&site, &body).await;
        assert_eq!((reply.status, reply.code()), (status, code), "{body} {}", reply.text);
    }
    assert!(site.state.api_keys.list().is_empty());
    let admin = site.key(&[Action::Admin]).await;
    let by_key = site.send(site.post("/v1/keys").bearer_auth(&admin).json(&good)).await;
    assert_eq!(by_key.status, 201, "{}", by_key.text);
}
