//! What is said about the service and its tokens: discovery, keys, tokeninfo, userinfo, revocation.

use serde_json::{Map, Value, json};

use super::form::Form;
use super::id_tokens;
use super::reply::{Refusal, Reply};
use super::world::World;

/// `GET /.well-known/openid-configuration`.
pub fn discovery(world: &World) -> Reply {
    let settings = world.settings();
    let mut document = json!({
        "issuer": settings.issuer,
        "authorization_endpoint": world.url("/o/oauth2/v2/auth").as_str(),
        "device_authorization_endpoint": world.url("/device/code").as_str(),
        "token_endpoint": world.url("/token").as_str(),
        "userinfo_endpoint": world.url("/v1/userinfo").as_str(),
        "revocation_endpoint": world.url("/revoke").as_str(),
        "jwks_uri": world.url("/oauth2/v3/certs").as_str(),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "authorization_response_iss_parameter_supported": true,
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "scopes_supported": ["openid", "email", "profile"],
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
        "claims_supported": [
            "aud", "email", "email_verified", "exp", "family_name", "given_name", "iat", "iss", "locale", "name",
            "picture", "sub"
        ],
        "code_challenge_methods_supported": ["plain", "S256"],
        "grant_types_supported": ["authorization_code", "refresh_token", super::oauth::DEVICE_GRANT],
    })
    .as_object()
    .cloned()
    .unwrap_or_default();
    id_tokens::overlay(&mut document, &Value::Object(settings.discovery_changes));
    Reply::cacheable(world.now(), settings.discovery_max_age, 0, &document)
}

/// `GET /oauth2/v3/certs`: a JWK set.
pub fn jwks(world: &World) -> Reply {
    let keys = world.keys().jwks();
    let settings = world.settings();
    Reply::cacheable(world.now(), settings.jwks_max_age, settings.jwks_age, &keys)
}

/// `GET /oauth2/v1/certs`: the same keys as certificates.
pub fn certificates(world: &World) -> Reply {
    let keys = world.keys().certificates();
    let settings = world.settings();
    Reply::cacheable(world.now(), settings.jwks_max_age, settings.jwks_age, &keys)
}

/// `POST /revoke`: ends the whole grant of the person for the project, whichever of its tokens is shown.
pub fn revoke(world: &World, form: &Form) -> Reply {
    let Some(token) = form.filled("token") else {
        return Refusal::request("Missing required parameter: token").into();
    };
    let now = world.now();
    let opens = world.sealer().open(token).filter(|opens| opens.expires > now);
    let state = &mut *world.state();
    let refresh =
        state.grants.refresh(token).filter(|refresh| !refresh.is_over(now)).map(|found| found.grant);
    let grant = refresh.or(opens.map(|opens| opens.grant)).filter(|id| state.grants.grant(*id).is_some());
    match grant {
        Some(id) if !state.grants.ended.contains(token) => {
            state.grants.end(id);
            Reply::private(200, &json!({}))
        }
        _ => Refusal::new(400, "invalid_token", "Token expired or revoked").into(),
    }
}

/// `/tokeninfo`: what a token says, every value a string.
pub fn tokeninfo(world: &World, form: &Form, bearer: Option<&str>) -> Reply {
    let invalid = || Refusal::new(400, "invalid_token", "Invalid Value");
    let now = world.now();
    if let Some(id_token) = form.filled("id_token") {
        let opened = world.keys().open(id_token);
        let live = opened.filter(|(_, claims)| claims["exp"].as_i64().is_some_and(|exp| exp > now.unix()));
        let Some((header, Value::Object(mut claims))) = live else { return invalid().into() };
        id_tokens::overlay(&mut claims, &header);
        let texts: Map<String, Value> =
            claims.into_iter().map(|(name, value)| (name, as_text(value))).collect();
        return Reply::private(200, &texts);
    }
    let Some(token) = form.filled("access_token").or(bearer) else {
        return Refusal::request("either access_token, id_token, or token_handle required").into();
    };
    let Some(access) = world.access(token) else { return invalid().into() };
    let mut info = json!({
        "azp": access.client_id,
        "aud": access.client_id,
        "sub": access.person.sub,
        "scope": access.scopes.to_string(),
        "exp": access.expires.unix().to_string(),
        "expires_in": access.expires.since(now).to_string(),
        "access_type": "offline",
    });
    if access.scopes.contains("email") {
        info["email"] = access.person.email.into();
        info["email_verified"] = access.person.email_verified.to_string().into();
    }
    Reply::private(200, &info)
}

fn as_text(value: Value) -> Value {
    match value {
        Value::String(_) => value,
        other => other.to_string().into(),
    }
}

/// `GET /v1/userinfo`.
pub fn userinfo(world: &World, bearer: Option<&str>) -> Reply {
    if let Some(access) = bearer.and_then(|token| world.access(token)).filter(|a| a.scopes.has_identity()) {
        return Reply::private(200, &id_tokens::identity(&access.person, &access.scopes));
    }
    let mut reply = Reply::from(Refusal::new(401, "invalid_request", "Invalid Credentials"));
    let challenge = r#"Bearer realm="https://accounts.google.com/", error="invalid_token""#;
    reply.headers.push(("www-authenticate", challenge.to_owned()));
    reply
}
