//! The token endpoint: the table of errors row by row, the order of the checks, what success says.

use super::*;
use crate::secret::ClientSecret;

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

#[test]
fn a_code_becomes_tokens_of_googles_shape() {
    let seed = seed();
    let mut request = CodeRequest::mobile(seed.web(), seed.alice(), "openid email profile");
    request.nonce = Some("n-0S6".to_owned());
    let reply = seed.exchange(seed.world.issue_code(request).expose());
    let access_token = text(&reply, "access_token");
    assert!(access_token.starts_with("ya29.") && access_token.len() == 223);
    assert_eq!(text(&reply, "refresh_token").len(), 103);
    assert_eq!(reply.value()["expires_in"], 3599);
    assert_eq!(reply.value()["token_type"], "Bearer");
    assert_eq!(
        text(&reply, "scope"),
        "https://www.googleapis.com/auth/userinfo.email https://www.googleapis.com/auth/userinfo.profile openid"
    );
    assert_eq!(reply.header("Pragma"), Some("no-cache"));
    let claims = claims(&seed.world, &text(&reply, "id_token"));
    assert_eq!(claims["iss"], "https://accounts.google.com");
    assert_eq!(claims["aud"], seed.web().as_str());
    assert_eq!(claims["azp"], seed.web().as_str());
    assert_eq!(claims["sub"], seed.alice().as_str());
    assert_eq!(claims["hd"], "example.org");
    assert_eq!(claims["email_verified"], true);
    assert_eq!(claims["nonce"], "n-0S6");
    assert_eq!(claims["iat"], NOW);
    assert_eq!(claims["exp"], NOW + 3600);
    assert_eq!(claims["at_hash"], keys::at_hash(&access_token));
    assert!(seed.world.token_is_live(&crate::secret::AccessToken::new(access_token)));
}

#[test]
fn without_identity_scopes_there_is_no_id_token() {
    let seed = seed();
    let reply = seed.exchange(&seed.code("https://www.googleapis.com/auth/drive.appdata"));
    assert_eq!(reply.status, 200);
    assert!(reply.value().get("id_token").is_none());
}

#[test]
fn checks_come_in_googles_order() {
    let seed = seed();
    seed.world.change_client(seed.web(), |client| {
        client.redirect_uris = vec!["https://app.example.org/callback".to_owned()];
    });
    let mut asked = CodeRequest::mobile(seed.web(), seed.alice(), "openid");
    asked.redirect_uri = "https://app.example.org/callback".to_owned();
    asked.code_challenge = Some((ChallengeMethod::S256, CHALLENGE.to_owned()));
    let code = seed.world.issue_code(asked).expose().to_owned();
    // Each step mends the first thing that was wrong in the one before.
    let unknown_client = "402839145520-nobody.apps.googleusercontent.com";
    let never_issued = format!("4/0Ab{}", "x".repeat(68));
    let (web, secret) = (seed.web().as_str(), seed.secret());
    let steps: [(&str, &str, u16, &str, &str); 13] = [
        ("", "", 400, "unsupported_grant_type", "Invalid grant_type: "),
        ("grant_type", "foo", 400, "unsupported_grant_type", "Invalid grant_type: foo"),
        (
            "grant_type",
            "authorization_code",
            400,
            "invalid_request",
            "Could not determine client ID from request.",
        ),
        ("client_id", unknown_client, 400, "invalid_request", "client_secret is missing."),
        ("client_secret", "GOCSPX-wrong", 400, "invalid_request", "Missing parameter: redirect_uri"),
        ("redirect_uri", "", 400, "invalid_request", "Missing required parameter: code"),
        ("code", "4%2F0Aencoded", 400, "invalid_grant", "Malformed auth code."),
        ("code", &never_issued, 401, "invalid_client", "The OAuth client was not found."),
        ("client_id", web, 401, "invalid_client", "The provided client secret is invalid."),
        ("client_secret", secret, 400, "invalid_grant", "Bad Request"),
        ("code", &code, 400, "redirect_uri_mismatch", "Bad Request"),
        ("redirect_uri", "https://app.example.org/callback", 400, "invalid_grant", "Missing code verifier."),
        ("code_verifier", CHALLENGE, 400, "invalid_grant", "Invalid code verifier."),
    ];
    let mut form = std::collections::BTreeMap::new();
    for (name, value, status, error, description) in steps {
        if !name.is_empty() {
            form.insert(name, value);
        }
        assert_refused(&seed.token(request(&form)), status, error, description);
    }
    form.insert("code_verifier", VERIFIER);
    assert_eq!(seed.token(request(&form)).status, 200);
    assert_refused(&seed.token(request(&form)), 400, "invalid_grant", "Bad Request");
    assert_eq!(seed.world.counts().codes_redeemed, 1);
}

fn request(form: &std::collections::BTreeMap<&str, &str>) -> TokenRequest {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    let text = query.extend_pairs(form).finish();
    TokenRequest { form: form::Form::parse(text.as_bytes()), basic: None }
}

#[test]
fn malformed_codes_are_told_from_unknown_ones() {
    let seed = seed();
    let code = seed.code("openid");
    let encoded = code.replace('/', "%2F");
    let cut = &code[..code.len() - 1];
    for bad in [encoded.as_str(), cut, "x", "4/"] {
        assert_refused(&seed.exchange(bad), 400, "invalid_grant", "Malformed auth code.");
    }
    assert_eq!(seed.exchange(&code).status, 200, "the tries above did not spend it");
    assert_refused(&seed.exchange(&code), 400, "invalid_grant", "Bad Request");
}

#[test]
fn a_code_expires_and_belongs_to_one_client() {
    let seed = seed();
    let late = seed.code("openid");
    seed.clock.advance(Duration::from_secs(600));
    assert_refused(&seed.exchange(&late), 400, "invalid_grant", "Bad Request");
    let other =
        RegisteredClient::web(seed.world.new_client_id(seed.project()), ClientSecret::new("GOCSPX-other"));
    seed.world.add_client(other.clone());
    let foreign = seed.world.issue_code(CodeRequest::mobile(&other.client_id, seed.alice(), "openid"));
    assert_refused(&seed.exchange(foreign.expose()), 400, "invalid_grant", "Bad Request");
}

#[test]
fn the_redirect_uri_follows_the_source_of_the_code() {
    let seed = seed();
    seed.world.change_client(seed.web(), |client| {
        client.redirect_uris = vec!["https://app.example.org/callback".to_owned()];
        client.javascript_origins = vec!["https://app.example.org".to_owned()];
    });
    let try_with = |source: &str, shown: &str| {
        let mut request = CodeRequest::mobile(seed.web(), seed.alice(), "openid");
        request.redirect_uri = source.to_owned();
        let code = seed.world.issue_code(request);
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", seed.web().as_str()),
            ("client_secret", seed.secret()),
            ("redirect_uri", shown),
            ("code", code.expose()),
        ];
        refusal(&seed.token(form.into())).1
    };
    for (source, shown) in [
        ("", ""),
        ("", "https://app.example.org/callback"),
        ("postmessage", "postmessage"),
        ("postmessage", "https://app.example.org"),
        ("https://app.example.org/callback", "https://app.example.org/callback"),
    ] {
        assert_eq!(try_with(source, shown), "", "{source:?} {shown:?}");
    }
    for (source, shown) in [
        ("", "postmessage"),
        ("", "https://elsewhere.example.org"),
        ("postmessage", ""),
        ("https://app.example.org/callback", "https://app.example.org/callback/"),
        ("https://app.example.org/callback", ""),
    ] {
        assert_eq!(try_with(source, shown), "redirect_uri_mismatch", "{source:?} {shown:?}");
    }
}

#[test]
fn a_failed_try_spends_the_code_only_where_that_is_set() {
    let seed = seed();
    let wrong = |code: &str| {
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", seed.web().as_str()),
            ("client_secret", seed.secret()),
            ("redirect_uri", "postmessage"),
            ("code", code),
        ];
        assert_refused(&seed.token(form.into()), 400, "redirect_uri_mismatch", "Bad Request");
    };
    let kept = seed.code("openid");
    wrong(&kept);
    assert_eq!(seed.exchange(&kept).status, 200);
    seed.world.change_settings(|settings| settings.failed_tries_spend_codes = true);
    let spent = seed.code("openid");
    wrong(&spent);
    assert_refused(&seed.exchange(&spent), 400, "invalid_grant", "Bad Request");
}

#[test]
fn pkce_plain_and_a_verifier_that_is_too_short() {
    let seed = seed();
    let with = |challenge: &str, verifier: &str| {
        let mut request = CodeRequest::mobile(seed.web(), seed.alice(), "openid");
        request.code_challenge = Some((ChallengeMethod::Plain, challenge.to_owned()));
        let code = seed.world.issue_code(request);
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", seed.web().as_str()),
            ("client_secret", seed.secret()),
            ("redirect_uri", ""),
            ("code", code.expose()),
            ("code_verifier", verifier),
        ];
        seed.token(form.into())
    };
    assert_eq!(with(VERIFIER, VERIFIER).status, 200);
    assert_refused(&with(VERIFIER, CHALLENGE), 400, "invalid_grant", "Invalid code verifier.");
    assert_refused(&with("short", "short"), 400, "invalid_grant", "Invalid code verifier.");
}

#[test]
fn a_client_in_trouble_is_refused_before_its_code() {
    let seed = seed();
    let code = seed.code("openid");
    seed.world.change_client(seed.web(), |client| client.disabled = true);
    assert_refused(&seed.exchange(&code), 401, "disabled_client", "The OAuth client was disabled.");
    seed.world.change_client(seed.web(), |client| client.deleted = true);
    assert_refused(&seed.exchange(&code), 401, "deleted_client", "The OAuth client was deleted.");
    seed.world.change_client(seed.web(), |client| (client.deleted, client.disabled) = (false, false));
    assert_eq!(seed.exchange(&code).status, 200);
}

#[test]
fn two_secrets_are_accepted_while_one_is_rotated() {
    let seed = seed();
    seed.world.change_client(seed.web(), |client| client.secrets.insert(0, ClientSecret::new("GOCSPX-new")));
    assert_eq!(seed.exchange(&seed.code("openid")).status, 200);
    seed.world.change_client(seed.web(), |client| client.secrets.truncate(1));
    assert_refused(
        &seed.exchange(&seed.code("openid")),
        401,
        "invalid_client",
        "The provided client secret is invalid.",
    );
}

#[test]
fn basic_authentication_works_and_both_at_once_does_not() {
    let seed = seed();
    let basic = Some((seed.web().to_string(), seed.secret().to_owned()));
    let code = seed.code("openid");
    let pairs = [("grant_type", "authorization_code"), ("redirect_uri", ""), ("code", code.as_str())];
    let both = [
        ("grant_type", "authorization_code"),
        ("redirect_uri", ""),
        ("code", code.as_str()),
        ("client_secret", seed.secret()),
    ];
    let refused = seed.token(TokenRequest { form: both.into(), basic: basic.clone() });
    assert_eq!(refusal(&refused).1, "invalid_request");
    assert_eq!(seed.token(TokenRequest { form: pairs.into(), basic }).status, 200);
}

#[test]
fn phones_have_no_secret_and_need_none() {
    let seed = seed();
    let ios = RegisteredClient {
        kind: ClientKind::Ios,
        secrets: Vec::new(),
        ..RegisteredClient::web(seed.world.new_client_id(seed.project()), ClientSecret::new(""))
    };
    seed.world.add_client(ios.clone());
    let code = seed.world.issue_code(CodeRequest::mobile(&ios.client_id, seed.alice(), "openid"));
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", ios.client_id.as_str()),
        ("redirect_uri", ""),
        ("code", code.expose()),
    ];
    assert_eq!(seed.token(form.into()).status, 200);
}

#[test]
fn a_code_of_an_account_closed_since_is_refused() {
    let seed = seed();
    let code = seed.code("openid");
    seed.world.disable_account(seed.alice(), true);
    assert_refused(&seed.exchange(&code), 400, "invalid_grant", "Account disabled");
    seed.world.delete_account(seed.alice());
    assert_refused(&seed.exchange(&code), 400, "invalid_grant", "Account has been deleted");
}

#[test]
fn a_parameter_may_not_come_twice() {
    let seed = seed();
    let code = seed.code("openid");
    let form = [("grant_type", "authorization_code"), ("code", code.as_str()), ("code", "x")];
    let expected = "OAuth 2 parameters can only have a single value: code";
    assert_refused(&seed.token(form.into()), 400, "invalid_request", expected);
}

#[test]
fn refreshes_are_refused_as_google_does() {
    let seed = seed();
    let (world, alice) = (&seed.world, seed.alice().clone());
    let token = seed.refresh_token("openid email");
    let gone = "Token has been expired or revoked.";
    assert_refused(&seed.refresh(""), 400, "invalid_request", "Missing required parameter: refresh_token");
    assert_refused(&seed.refresh("nonsense"), 400, "invalid_grant", "Bad Request");
    assert_refused(&seed.refresh("1//0unknown"), 400, "invalid_grant", gone);

    world.disable_account(&alice, true);
    assert_refused(&seed.refresh(&token), 400, "invalid_grant", "Account disabled");
    world.disable_account(&alice, false);

    world.require_reauth(&alice, true);
    let reauth = seed.refresh(&token);
    assert_refused(&reauth, 400, "invalid_grant", "reauth related error (invalid_rapt)");
    assert_eq!(reauth.value()["error_subtype"], "invalid_rapt");
    assert_eq!(reauth.value()["error_uri"], "https://support.google.com/a/answer/9368756");
    world.require_reauth(&alice, false);

    world.enforce_admin_policy(&alice, true);
    assert_refused(&seed.refresh(&token), 400, "admin_policy_enforced", oauth::ADMIN_POLICY);
    world.enforce_admin_policy(&alice, false);

    world.restrict_to_organisation(seed.web(), Some("elsewhere.example"));
    assert_refused(&seed.refresh(&token), 403, "org_internal", oauth::ORG_INTERNAL);
    world.restrict_to_organisation(seed.web(), Some("example.org"));
    assert_eq!(seed.refresh(&token).status, 200);
    world.restrict_to_organisation(seed.web(), None);

    world.delete_account(&alice);
    assert_refused(&seed.refresh(&token), 400, "invalid_grant", "Account has been deleted");
    assert_eq!(world.counts().refreshes_answered, 1);
    assert_eq!(world.refreshes_of(&alice), 6, "only those that showed a live token");
}

#[test]
fn a_refresh_token_of_another_client_is_refused() {
    let seed = seed();
    let token = seed.refresh_token("openid");
    let other =
        RegisteredClient::web(seed.world.new_client_id(seed.project()), ClientSecret::new("GOCSPX-other"));
    seed.world.add_client(other.clone());
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", other.client_id.as_str()),
        ("client_secret", "GOCSPX-other"),
        ("refresh_token", token.as_str()),
    ];
    assert_refused(&seed.token(form.into()), 400, "invalid_grant", "Bad Request");
}

#[test]
fn a_client_may_use_only_the_grants_of_its_type() {
    let seed = seed();
    let device = &seed.seeded.device;
    let code = seed.world.issue_code(CodeRequest::mobile(&device.client_id, seed.alice(), "openid"));
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", device.client_id.as_str()),
        ("client_secret", device.secrets[0].expose()),
        ("redirect_uri", ""),
        ("code", code.expose()),
    ];
    assert_refused(&seed.token(form.into()), 401, "unauthorized_client", "Unauthorized");
    let form = [
        ("grant_type", oauth::DEVICE_GRANT),
        ("client_id", seed.web().as_str()),
        ("client_secret", seed.secret()),
        ("device_code", "AH-1Ng"),
    ];
    assert_refused(&seed.token(form.into()), 401, "invalid_client", "Invalid client type.");
}
