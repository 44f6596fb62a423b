//! The consent page and the device flow, followed as a browser and a device would.

use super::form::Form;
use super::*;
use crate::scopes::ScopeSet;

const CALLBACK: &str = "https://app.example.org/callback?kept=1";
const ASKED: &str =
    "openid email https://www.googleapis.com/auth/drive.appdata https://www.googleapis.com/auth/calendar";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

fn with_callback() -> Seed {
    let seed = seed();
    seed.world.change_client(seed.web(), |client| client.redirect_uris = vec![CALLBACK.to_owned()]);
    seed
}

/// A query of an authorization request, with some parameters changed; an empty value leaves one out.
fn query(seed: &Seed, changes: &[(&str, &str)]) -> Form {
    let mut pairs = vec![
        ("client_id", seed.web().as_str()),
        ("redirect_uri", CALLBACK),
        ("response_type", "code"),
        ("scope", ASKED),
        ("access_type", "offline"),
        ("state", "a b&c"),
        ("nonce", "n-1"),
    ];
    for (name, value) in changes {
        pairs.retain(|(known, _)| known != name);
        if !value.is_empty() {
            pairs.push((name, value));
        }
    }
    let mut text = url::form_urlencoded::Serializer::new(String::new());
    Form::parse(text.extend_pairs(pairs).finish().as_bytes())
}

/// Where a reply redirects to: the address without its query, and the parameters.
fn redirected(reply: &Reply) -> std::collections::HashMap<String, String> {
    assert_eq!(reply.status, 302, "{}", reply.body);
    let target = Url::parse(reply.header("Location").expect("a redirect")).expect("a URL");
    assert!(target.as_str().starts_with("https://app.example.org/callback?kept=1&"), "{target}");
    target.query_pairs().into_owned().collect()
}

fn allow(seed: &Seed, scopes: &[&str]) -> Form {
    let mut pairs = vec![("person", seed.alice().as_str()), ("decision", "allow")];
    pairs.extend(scopes.iter().map(|scope| ("scope", *scope)));
    let mut text = url::form_urlencoded::Serializer::new(String::new());
    Form::parse(text.extend_pairs(pairs).finish().as_bytes())
}

#[test]
fn the_page_offers_everybody_and_a_box_for_each_scope() {
    let seed = with_callback();
    let page = consent::show(&seed.world, &query(&seed, &[("login_hint", "bob.sample@gmail.com")]));
    assert_eq!(page.status, 200);
    for expected in ["Alice Example", "ליאת דוגמה", "dir=\"auto\"", "It is not Google", "/emulator.css"]
    {
        assert!(page.body.contains(expected), "{expected}");
    }
    assert_eq!(page.body.matches("type=\"checkbox\"").count(), 2, "signing in itself has no box");
    let bob = format!("value=\"{}\" checked", seed.seeded.people[1].sub);
    assert!(page.body.contains(&bob));
    assert!(!page.body.contains("style=") && !page.body.contains("<script"));
}

#[test]
fn allowing_leads_back_with_a_code_that_works() {
    let seed = with_callback();
    let asked = query(&seed, &[("code_challenge", CHALLENGE), ("code_challenge_method", "S256")]);
    let answer = allow(
        &seed,
        &["https://www.googleapis.com/auth/drive.appdata", "https://www.googleapis.com/auth/calendar"],
    );
    let back = redirected(&consent::submit(&seed.world, &asked, &answer));
    assert_eq!(back["state"], "a b&c");
    assert_eq!(back["iss"], "https://accounts.google.com");
    assert_eq!((back["prompt"].as_str(), back["hd"].as_str()), ("consent", "example.org"));
    assert_eq!(ScopeSet::parse(&back["scope"]), ScopeSet::parse(ASKED));
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", seed.web().as_str()),
        ("client_secret", seed.secret()),
        ("redirect_uri", CALLBACK),
        ("code", back["code"].as_str()),
        ("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
    ];
    let tokens = seed.token(form.into());
    assert_eq!(claims(&seed.world, &text(&tokens, "id_token"))["nonce"], "n-1");
    assert!(tokens.value()["refresh_token"].is_string());
}

#[test]
fn what_is_not_ticked_or_not_asked_for_is_not_granted() {
    let seed = with_callback();
    let ticked = ["https://www.googleapis.com/auth/drive.appdata", "https://mail.google.com/"];
    let back = redirected(&consent::submit(&seed.world, &query(&seed, &[]), &allow(&seed, &ticked)));
    let expected = ScopeSet::parse("openid email https://www.googleapis.com/auth/drive.appdata");
    assert_eq!(ScopeSet::parse(&back["scope"]), expected);
    // The next sign-in may take what was granted before along.
    let more = query(&seed, &[("scope", "openid"), ("include_granted_scopes", "true")]);
    let back = redirected(&consent::submit(&seed.world, &more, &allow(&seed, &[])));
    assert_eq!(ScopeSet::parse(&back["scope"]), expected);
    assert_eq!(back["prompt"], "none");
}

#[test]
fn denying_leads_back_without_a_code() {
    let seed = with_callback();
    let deny = [("person", seed.alice().as_str()), ("decision", "deny")].into();
    let back = redirected(&consent::submit(&seed.world, &query(&seed, &[]), &deny));
    assert_eq!((back["error"].as_str(), back["state"].as_str()), ("access_denied", "a b&c"));
    assert!(!back.contains_key("code"));
    let drive = query(&seed, &[("scope", "https://www.googleapis.com/auth/drive")]);
    let back = redirected(&consent::submit(&seed.world, &drive, &allow(&seed, &[])));
    assert_eq!(back["error"], "access_denied", "nothing ticked is a denial");
}

#[test]
fn a_wrong_request_is_a_page_and_never_a_redirect() {
    let seed = with_callback();
    let cases = [
        (("client_id", ""), 400, "invalid_request"),
        (("client_id", "1-x.apps.googleusercontent.com"), 401, "invalid_client"),
        (("redirect_uri", "https://app.example.org/callback"), 400, "redirect_uri_mismatch"),
        (("redirect_uri", "http://127.0.0.1:4000/"), 400, "redirect_uri_mismatch"),
        (("response_type", "token"), 400, "invalid_request"),
        (("scope", ""), 400, "invalid_request"),
        (("scope", "openid foo"), 400, "invalid_scope"),
        (("prompt", "none consent"), 400, "invalid_request"),
        (("access_type", "forever"), 400, "invalid_request"),
        (("code_challenge_method", "S512"), 400, "invalid_request"),
        (("code_challenge", "short"), 400, "invalid_request"),
        (("response_mode", "fragment"), 400, "invalid_request"),
    ];
    for (change, status, error) in cases {
        for reply in [
            consent::show(&seed.world, &query(&seed, &[change])),
            consent::submit(&seed.world, &query(&seed, &[change]), &allow(&seed, &[])),
        ] {
            assert_eq!(reply.status, status, "{change:?}");
            assert!(reply.body.contains(&format!("<code>{error}</code>")), "{change:?}");
            assert_eq!(reply.header("Location"), None);
        }
    }
}

#[test]
fn pages_escape_what_they_are_given() {
    let seed = with_callback();
    let odd = query(&seed, &[("response_type", "<script>alert(1)</script>")]);
    let page = consent::show(&seed.world, &odd);
    assert!(page.body.contains("&lt;script&gt;") && !page.body.contains("<script>"));
}

#[test]
fn a_desktop_app_may_listen_on_any_loopback_port() {
    let seed = with_callback();
    seed.world.change_client(seed.web(), |client| client.kind = ClientKind::Desktop);
    for (uri, status) in [
        ("http://127.0.0.1:53682/x", 200),
        ("http://[::1]:9", 200),
        ("http://localhost:1", 200),
        ("https://127.0.0.1:1", 400),
        ("http://192.168.1.4:1", 400),
    ] {
        let page = consent::show(&seed.world, &query(&seed, &[("redirect_uri", uri)]));
        assert_eq!(page.status, status, "{uri}");
    }
}

#[test]
fn without_a_page_only_an_earlier_consent_counts() {
    let seed = with_callback();
    let silent = |changes: &[(&str, &str)]| {
        let mut all = vec![("prompt", "none")];
        all.extend_from_slice(changes);
        redirected(&consent::show(&seed.world, &query(&seed, &all)))
    };
    assert_eq!(silent(&[])["error"], "interaction_required");
    assert_eq!(silent(&[("login_hint", "nobody@example.org")])["error"], "login_required");
    let alice = [("login_hint", "alice@example.org")];
    assert_eq!(silent(&alice)["error"], "consent_required");
    seed.code(ASKED);
    let back = silent(&alice);
    assert_eq!(back["prompt"], "none");
    assert!(back["code"].starts_with("4/0A"));
}

#[test]
fn an_organisation_and_an_administrator_can_bar_the_way() {
    let seed = with_callback();
    let answer = || consent::submit(&seed.world, &query(&seed, &[]), &allow(&seed, &[]));
    seed.world.restrict_to_organisation(seed.web(), Some("elsewhere.example"));
    assert!(answer().status == 403 && answer().body.contains("org_internal"));
    seed.world.restrict_to_organisation(seed.web(), None);
    seed.world.enforce_admin_policy(seed.alice(), true);
    assert!(answer().status == 400 && answer().body.contains("admin_policy_enforced"));
    seed.world.enforce_admin_policy(seed.alice(), false);
    seed.world.disable_account(seed.alice(), true);
    assert!(answer().status == 403 && answer().header("Location").is_none());
}

struct Device {
    seed: Seed,
    device_code: String,
    user_code: String,
}

fn device() -> Device {
    let seed = seed();
    let form = [
        ("client_id", seed.seeded.device.client_id.as_str()),
        ("scope", "openid email https://www.googleapis.com/auth/drive.appdata"),
    ];
    let reply = device::request_code(&seed.world, &form.into());
    assert_eq!(reply.value()["verification_url"], "http://127.0.0.1:1/device");
    assert_eq!((&reply.value()["expires_in"], &reply.value()["interval"]), (&1800.into(), &5.into()));
    Device { device_code: text(&reply, "device_code"), user_code: text(&reply, "user_code"), seed }
}

impl Device {
    fn poll(&self) -> Reply {
        let client = &self.seed.seeded.device;
        let form = [
            ("grant_type", oauth::DEVICE_GRANT),
            ("client_id", client.client_id.as_str()),
            ("client_secret", client.secrets[0].expose()),
            ("device_code", self.device_code.as_str()),
        ];
        self.seed.token(form.into())
    }

    fn answer(&self, decision: &str) -> Reply {
        let typed = self.user_code.to_lowercase().replace('-', " ");
        let form =
            [("user_code", typed.as_str()), ("person", "bob.sample@gmail.com"), ("decision", decision)];
        device::submit(&self.seed.world, &form.into())
    }
}

#[test]
fn a_device_waits_until_its_person_agrees() {
    let device = device();
    assert_refused(&device.poll(), 428, "authorization_pending", "Precondition Required");
    assert_refused(&device.poll(), 403, "slow_down", "Forbidden");
    let page = device::show(&device.seed.world, &[("user_code", device.user_code.as_str())].into());
    assert!(page.status == 200 && page.body.contains("drive.appdata"));
    assert_eq!(device.answer("allow").status, 200);
    let tokens = device.poll();
    assert!(tokens.value()["refresh_token"].is_string());
    let claims = claims(&device.seed.world, &text(&tokens, "id_token"));
    assert_eq!(claims["email"], "bob.sample@gmail.com");
    assert_refused(&device.poll(), 400, "invalid_grant", "Bad Request");
    assert_eq!(device.answer("allow").status, 404, "a code works once");
}

#[test]
fn a_device_is_told_of_a_denial_and_its_code_expires() {
    let denied = device();
    assert_eq!(denied.answer("deny").status, 200);
    assert_refused(&denied.poll(), 403, "access_denied", "Forbidden");
    let late = device();
    late.seed.clock.advance(Duration::from_secs(1800));
    assert_eq!(late.answer("allow").status, 404);
    assert_refused(&late.poll(), 400, "invalid_grant", "Bad Request");
}

#[test]
fn consent_withdrawn_before_the_poll_leaves_the_device_without_tokens() {
    let device = device();
    assert_eq!(device.answer("allow").status, 200);
    let bob = &device.seed.seeded.people[1].sub;
    assert!(device.seed.world.withdraw_consent(bob, device.seed.project()));
    assert_refused(&device.poll(), 400, "invalid_grant", "Bad Request");
}

#[test]
fn a_device_may_not_ask_for_everything_nor_may_every_client_be_one() {
    let seed = seed();
    let ask = |client: &OAuthClientId, scope: &str| {
        refusal(&device::request_code(
            &seed.world,
            &[("client_id", client.as_str()), ("scope", scope)].into(),
        ))
        .1
    };
    let device = &seed.seeded.device.client_id;
    assert_eq!(ask(device, "openid https://www.googleapis.com/auth/drive"), "invalid_scope");
    assert_eq!(ask(seed.web(), "openid"), "invalid_client");
    assert_eq!(ask(device, ""), "invalid_request");
}
