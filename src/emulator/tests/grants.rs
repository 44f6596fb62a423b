//! How long grants and their tokens live, and what ends them.

use super::*;
use crate::scopes::ScopeSet;
use crate::secret::{AccessToken, ClientSecret, RefreshToken};

const DRIVE: &str = "openid email https://www.googleapis.com/auth/drive.appdata";
const GONE: &str = "Token has been expired or revoked.";

fn days(days: u64) -> Duration {
    Duration::from_secs(days * 86_400)
}

#[test]
fn only_the_first_consent_and_a_forced_one_bring_a_refresh_token() {
    let seed = seed();
    let first = seed.exchange(&seed.code(DRIVE));
    assert!(first.value()["refresh_token"].is_string());
    assert!(seed.exchange(&seed.code(DRIVE)).value().get("refresh_token").is_none());
    assert_eq!(seed.refresh_token(DRIVE).len(), 103);
    let wider = format!("{DRIVE} profile");
    assert!(seed.exchange(&seed.code(&wider)).value()["refresh_token"].is_string(), "a new scope asks again");
    let mut online = CodeRequest::mobile(seed.web(), seed.alice(), DRIVE);
    (online.offline, online.force_consent) = (false, true);
    let reply = seed.exchange(seed.world.issue_code(online).expose());
    assert!(reply.value().get("refresh_token").is_none(), "online access never has one");
}

#[test]
fn two_codes_of_the_first_consent_both_find_no_earlier_token() {
    let seed = seed();
    let (one, two) = (seed.code(DRIVE), seed.code(DRIVE));
    assert!(seed.exchange(&two).value()["refresh_token"].is_string());
    assert!(seed.exchange(&one).value()["refresh_token"].is_string());
}

#[test]
fn a_refresh_may_narrow_and_never_widen() {
    let seed = seed();
    let token = seed.refresh_token(DRIVE);
    let narrowed = |scope: &str| {
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", seed.web().as_str()),
            ("client_secret", seed.secret()),
            ("refresh_token", token.as_str()),
            ("scope", scope),
        ];
        seed.token(form.into())
    };
    let reply = narrowed("https://www.googleapis.com/auth/drive.appdata");
    assert_eq!(text(&reply, "scope"), "https://www.googleapis.com/auth/drive.appdata");
    assert!(reply.value().get("id_token").is_none());
    let access = seed.world.access(&text(&reply, "access_token")).expect("live");
    assert_eq!(access.scopes, ScopeSet::parse("https://www.googleapis.com/auth/drive.appdata"));
    let expected = "Some requested scopes were invalid. {invalid=[https://www.googleapis.com/auth/calendar]}";
    assert_refused(
        &narrowed("openid https://www.googleapis.com/auth/calendar"),
        400,
        "invalid_scope",
        expected,
    );
    assert_eq!(ScopeSet::parse(&text(&seed.refresh(&token), "scope")), ScopeSet::parse(DRIVE));
}

#[test]
fn access_tokens_end_by_the_clock_and_refreshes_bring_new_ones() {
    let seed = seed();
    seed.world.set_access_token_lifetime(60);
    let token = seed.refresh_token(DRIVE);
    let first = AccessToken::new(text(&seed.refresh(&token), "access_token"));
    seed.clock.advance(Duration::from_secs(59));
    assert!(seed.world.token_is_live(&first));
    seed.clock.advance(Duration::from_secs(1));
    assert!(!seed.world.token_is_live(&first));
    let reply = seed.refresh(&token);
    assert_eq!(reply.value()["expires_in"], 60);
    assert!(reply.value().get("refresh_token").is_none());
    let second = AccessToken::new(text(&reply, "access_token"));
    assert!(seed.world.token_is_live(&second));
    seed.world.end_access_token(&second);
    assert!(!seed.world.token_is_live(&second));
    assert_eq!(seed.world.refreshes_with(&RefreshToken::new(token)), Some(2));
}

#[test]
fn six_months_without_use_end_a_refresh_token() {
    let seed = seed();
    let token = seed.refresh_token(DRIVE);
    for _ in 0..3 {
        seed.clock.advance(days(180));
        assert_eq!(seed.refresh(&token).status, 200, "each use begins the time anew");
    }
    seed.clock.advance(days(183));
    assert!(!seed.world.refresh_token_is_live(&RefreshToken::new(token.as_str())));
    assert_refused(&seed.refresh(&token), 400, "invalid_grant", GONE);
}

#[test]
fn a_project_in_testing_ends_grants_after_seven_days() {
    let seed = seed();
    seed.world.change_client(seed.web(), |client| client.testing = true);
    let reply = seed.exchange(&seed.code(DRIVE));
    assert_eq!(reply.value()["refresh_token_expires_in"], 604_799);
    let token = text(&reply, "refresh_token");
    seed.clock.advance(days(6));
    assert_eq!(seed.refresh(&token).value()["refresh_token_expires_in"], 604_799 - 6 * 86_400);
    seed.clock.advance(days(1));
    assert_refused(&seed.refresh(&token), 400, "invalid_grant", GONE);

    let mut harmless = CodeRequest::mobile(seed.web(), seed.alice(), "openid email profile");
    harmless.force_consent = true;
    let reply = seed.exchange(seed.world.issue_code(harmless).expose());
    assert!(reply.value()["refresh_token"].is_string());
    assert!(reply.value().get("refresh_token_expires_in").is_none(), "names and addresses are exempt");
}

#[test]
fn time_based_access_can_be_set() {
    let seed = seed();
    seed.world.set_refresh_token_expires_in(Some(3600));
    let reply = seed.exchange(&seed.code(DRIVE));
    assert_eq!(reply.value()["refresh_token_expires_in"], 3600);
    seed.clock.advance(Duration::from_secs(3600));
    assert_refused(&seed.refresh(&text(&reply, "refresh_token")), 400, "invalid_grant", GONE);
}

#[test]
fn the_oldest_of_more_than_a_hundred_refresh_tokens_is_dropped() {
    let seed = seed();
    let tokens: Vec<String> =
        (0..101).map(|_| seed.refresh_token("https://www.googleapis.com/auth/drive")).collect();
    assert_refused(&seed.refresh(&tokens[0]), 400, "invalid_grant", GONE);
    assert_eq!(seed.refresh(&tokens[1]).status, 200);
    assert_eq!(seed.refresh(&tokens[100]).status, 200);
    assert_eq!(seed.world.refresh_tokens(seed.alice(), seed.web()).len(), 100);
}

#[test]
fn revoking_one_token_ends_the_grant_for_the_whole_project() {
    for by_access_token in [false, true] {
        let seed = seed();
        let sibling = RegisteredClient::web(
            seed.world.new_client_id(seed.project()),
            ClientSecret::new("GOCSPX-sibling"),
        );
        seed.world.add_client(sibling.clone());
        let token = seed.refresh_token(DRIVE);
        let access = text(&seed.refresh(&token), "access_token");
        let code = seed.world.issue_code(CodeRequest::mobile(&sibling.client_id, seed.alice(), DRIVE));
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", sibling.client_id.as_str()),
            ("client_secret", "GOCSPX-sibling"),
            ("redirect_uri", ""),
            ("code", code.expose()),
        ];
        let siblings = seed.token(form.into());
        let pending = seed.code(DRIVE);

        let bob = &seed.seeded.people[1].sub;
        let request = CodeRequest::mobile(seed.web(), bob, DRIVE);
        let bobs = text(&seed.exchange(seed.world.issue_code(request).expose()), "refresh_token");

        let shown = if by_access_token { &access } else { &token };
        assert_eq!(inspect::revoke(&seed.world, &[("token", shown.as_str())].into()).status, 200);
        for dead in [&access, &text(&siblings, "access_token")] {
            assert!(!seed.world.token_is_live(&AccessToken::new(dead.as_str())));
        }
        assert_refused(&seed.refresh(&token), 400, "invalid_grant", GONE);
        assert!(!seed.world.refresh_token_is_live(&RefreshToken::new(text(&siblings, "refresh_token"))));
        assert_refused(&seed.exchange(&pending), 400, "invalid_grant", "Bad Request");
        assert_eq!(seed.refresh(&bobs).status, 200, "another person's grant lives on");
        let again = inspect::revoke(&seed.world, &[("token", shown.as_str())].into());
        assert_refused(&again, 400, "invalid_token", "Token expired or revoked");
    }
}

#[test]
fn revoking_needs_a_token() {
    let seed = seed();
    assert_eq!(refusal(&inspect::revoke(&seed.world, &[("token", "")].into())).1, "invalid_request");
    assert_eq!(refusal(&inspect::revoke(&seed.world, &[("token", "x")].into())).1, "invalid_token");
}

#[test]
fn withdrawing_consent_ends_it_and_a_new_one_starts_afresh() {
    let seed = seed();
    let token = seed.refresh_token(DRIVE);
    assert!(!seed.world.withdraw_consent(seed.alice(), "1"));
    assert!(seed.world.withdraw_consent(seed.alice(), seed.project()));
    assert_refused(&seed.refresh(&token), 400, "invalid_grant", GONE);
    assert!(!seed.world.withdraw_consent(seed.alice(), seed.project()));
    assert!(seed.exchange(&seed.code(DRIVE)).value()["refresh_token"].is_string());
}

#[test]
fn refresh_tokens_can_be_made_to_rotate() {
    let seed = seed();
    seed.world.change_settings(|settings| settings.rotate_refresh_tokens = true);
    let old = seed.refresh_token(DRIVE);
    let new = text(&seed.refresh(&old), "refresh_token");
    assert_ne!(old, new);
    assert_refused(&seed.refresh(&old), 400, "invalid_grant", GONE);
    assert_eq!(seed.refresh(&new).status, 200);
}

#[test]
fn tokeninfo_and_userinfo_say_what_a_token_opens() {
    let seed = seed();
    let tokens = seed.exchange(&seed.code(DRIVE));
    let (access, id_token) = (text(&tokens, "access_token"), text(&tokens, "id_token"));
    let info = inspect::tokeninfo(&seed.world, &[("access_token", access.as_str())].into(), None).value();
    assert_eq!(info["sub"], seed.alice().as_str());
    assert_eq!(info["expires_in"], "3599");
    assert_eq!(info["email_verified"], "true");
    let info = inspect::tokeninfo(&seed.world, &[("id_token", id_token.as_str())].into(), None).value();
    assert_eq!(info["alg"], "RS256");
    assert_eq!(info["exp"], (NOW + 3600).to_string());
    let user = inspect::userinfo(&seed.world, Some(&access)).value();
    assert_eq!(user["email"], "alice@example.org");
    assert_eq!(user["email_verified"], true);
    assert!(user.get("name").is_none(), "the profile was not granted");

    seed.clock.advance(Duration::from_secs(3600));
    for name in ["access_token", "id_token"] {
        let shown = if name == "id_token" { &id_token } else { &access };
        let reply = inspect::tokeninfo(&seed.world, &[(name, shown.as_str())].into(), None);
        assert_refused(&reply, 400, "invalid_token", "Invalid Value");
    }
    let reply = inspect::userinfo(&seed.world, Some(&access));
    assert_refused(&reply, 401, "invalid_request", "Invalid Credentials");
    assert!(reply.header("WWW-Authenticate").is_some_and(|challenge| challenge.contains("invalid_token")));
}

#[test]
fn cached_id_tokens_are_signed_once() {
    let seed = seed();
    let token = seed.refresh_token(DRIVE);
    seed.world.set_cached_id_tokens(true);
    let id_token = || text(&seed.refresh(&token), "id_token");
    let first = id_token();
    assert!(claims(&seed.world, &first).get("at_hash").is_none());
    seed.clock.advance(Duration::from_secs(299));
    assert_eq!(id_token(), first);
    seed.clock.advance(Duration::from_secs(1));
    let second = id_token();
    assert_ne!(second, first);
    seed.world.rotate_keys();
    assert_ne!(id_token(), second);
}

#[test]
fn minted_tokens_say_what_the_test_wants() {
    let seed = seed();
    let bob = &seed.seeded.people[1];
    let minted = seed.world.mint_id_token(
        serde_json::json!({ "sub": bob.sub, "exp": null, "azp": "another", "extra": [1] }),
        serde_json::json!({ "typ": null, "crit": ["b64"] }),
    );
    let (header, claims) = seed.world.keys().open(minted.expose()).expect("signed");
    assert_eq!(claims["email"], bob.email.as_str());
    assert_eq!(claims["aud"], seed.web().as_str());
    assert_eq!((&claims["azp"], &claims["extra"]), (&"another".into(), &serde_json::json!([1])));
    assert!(claims.get("exp").is_none() && header.get("typ").is_none());
    assert_eq!(header["crit"], serde_json::json!(["b64"]));
    let none = seed.world.mint_id_token(Value::Null, serde_json::json!({ "alg": "none" }));
    assert!(none.expose().ends_with('.'));
    let forged = seed.world.forge_id_token(Value::Null, Value::Null);
    assert!(seed.world.keys().open(forged.expose()).is_none());
}
