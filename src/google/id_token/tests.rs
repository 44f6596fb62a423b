//! Tokens that pass, and what does not. The refused ones stand in tables by what is wrong with them.

mod claims;
mod header;

use serde_json::{Map, Value, json};

use super::*;
use crate::google::tests::NOW;
use crate::google::tests::key::TestKey;

const CLIENT: &str = "402839145520-r7d1s.apps.googleusercontent.com";
const IOS_CLIENT: &str = "402839145520-9f2kq.apps.googleusercontent.com";
const FOREIGN_CLIENT: &str = "998877665544-zzzzz.apps.googleusercontent.com";
const ISSUER: &str = "https://accounts.google.com";
const ACCESS_TOKEN: &str = "ya29.locum-test-vector";
const NONCE: &str = "n-0S6_WzA2Mj";
const HEADER: &str = r#"{"alg":"RS256","kid":"a","typ":"JWT"}"#;

fn base_claims() -> Map<String, Value> {
    let Value::Object(claims) = json!({
        "iss": ISSUER, "aud": CLIENT, "azp": IOS_CLIENT, "sub": "108204268033311374519",
        "hd": "Example.org", "email": "Alice@example.org", "email_verified": true,
        "at_hash": "501mbqe8n7HrJjOjMgZn7g", "nonce": NONCE, "name": "Alice Example",
        "picture": "https://lh3.googleusercontent.com/a/EXAMPLE=s96-c", "given_name": "Alice",
        "family_name": "Example", "iat": NOW.unix(), "exp": NOW.unix() + 3600,
    }) else {
        unreachable!("an object")
    };
    claims
}

/// The claims with one of them set to `value`.
fn claims_with(name: &str, value: Value) -> String {
    let mut claims = base_claims();
    claims.insert(name.to_owned(), value);
    sign(&Value::Object(claims).to_string())
}

fn claims_without(name: &str) -> String {
    let mut claims = base_claims();
    claims.remove(name).expect("a claim of the base");
    sign(&Value::Object(claims).to_string())
}

fn base_text() -> String {
    Value::Object(base_claims()).to_string()
}

/// A token of exactly these claims under the usual header.
fn sign(claims: &str) -> String {
    TestKey::a().sign(HEADER.as_bytes(), claims.as_bytes())
}

/// A token of the usual claims under exactly this header.
fn headed(header: &str) -> String {
    TestKey::a().sign(header.as_bytes(), base_text().as_bytes())
}

fn keys() -> KeySet {
    let document = json!({ "keys": [TestKey::a().jwk(), TestKey::b().jwk()] });
    KeySet::parse(document.to_string().as_bytes()).expect("a key set")
}

struct Setting {
    audiences: Vec<OAuthClientId>,
    parties: Vec<OAuthClientId>,
    access_token: AccessToken,
}

impl Setting {
    fn new() -> Self {
        Self {
            audiences: vec!["other-client".parse().expect("an id"), CLIENT.parse().expect("an id")],
            parties: Vec::new(),
            access_token: AccessToken::new(ACCESS_TOKEN),
        }
    }

    fn expectation(&self) -> Expectation<'_> {
        Expectation {
            audiences: &self.audiences,
            authorized_parties: &self.parties,
            issuer: ISSUER,
            nonce: Some(NONCE),
            access_token: Some(&self.access_token),
        }
    }

    fn verify(&self, token: &str) -> Result<IdClaims, IdTokenError> {
        verify(&IdToken::new(token), &keys(), &self.expectation(), NOW)
    }
}

/// Asserts that every token of the table is refused for the reason it stands with. `None` accepts
/// any complaint about the form.
fn assert_refused(table: Vec<(&str, String, Option<IdTokenError>)>, at_least: usize) {
    let setting = Setting::new();
    assert!(setting.verify(&sign(&base_text())).is_ok(), "the base of every case is sound");
    assert!(table.len() >= at_least, "{} cases", table.len());
    for (what, token, expected) in table {
        let outcome = setting.verify(&token);
        match expected {
            Some(error) => assert_eq!(outcome, Err(error), "{what}"),
            None => assert!(matches!(outcome, Err(IdTokenError::Malformed(_))), "{what}: {outcome:?}"),
        }
    }
}

#[test]
fn a_sound_token_tells_who_signed_in() {
    let claims = Setting::new().verify(&sign(&base_text())).expect("sound");
    assert_eq!(claims.sub.as_str(), "108204268033311374519");
    assert_eq!(claims.audience.as_str(), CLIENT);
    assert_eq!(claims.azp.as_ref().map(OAuthClientId::as_str), Some(IOS_CLIENT));
    assert_eq!(claims.email.as_ref().map(Email::as_str), Some("alice@example.org"));
    assert!(claims.email_verified);
    assert_eq!(claims.hd.as_deref(), Some("example.org"));
    assert_eq!(claims.name.as_deref(), Some("Alice Example"));
    assert_eq!((claims.issued_at, claims.expires_at), (NOW, NOW.plus(3600)));
    let printed = format!("{claims:?}");
    for personal in ["alice", "Alice", "108204268033311374519", "example.org", "lh3"] {
        assert!(!printed.contains(personal), "{printed}");
    }
}

#[test]
fn the_at_hash_vector() {
    assert_eq!(access_token_hash(&AccessToken::new(ACCESS_TOKEN)), "501mbqe8n7HrJjOjMgZn7g");
}

#[test]
fn what_passes_beside_the_usual() {
    let unix = NOW.unix();
    let table = [
        ("the short issuer", claims_with("iss", json!("accounts.google.com"))),
        ("no typ", headed(r#"{"alg":"RS256","kid":"a"}"#)),
        (
            "unknown header fields",
            headed(r#"{"alg":"RS256","kid":"a","x5t":"e","jku":"https://evil.example"}"#),
        ),
        ("no azp", claims_without("azp")),
        ("azp is aud", claims_with("azp", json!(CLIENT))),
        ("no at_hash", claims_without("at_hash")),
        ("an unknown claim", claims_with("events", json!({ "a": [1, 2, { "b": null }] }))),
        ("jti and nbf", claims_with("nbf", json!(unix - 300))),
        ("nbf within the leeway", claims_with("nbf", json!(unix + 60))),
        ("iat within the leeway", claims_with("iat", json!(unix + 60))),
        ("exp a day after iat", claims_with("exp", json!(unix + 86_460))),
        ("email_verified as a text", claims_with("email_verified", json!("true"))),
        ("no personal data", claims_without("name")),
        ("a name of another type", claims_with("name", json!(["Alice"]))),
        ("a name with control characters", claims_with("name", json!("A\u{0}\u{1b}[2J\n"))),
        ("an address that is none", claims_with("email", json!("not an address"))),
        ("a sub of 255 characters", claims_with("sub", json!("s".repeat(255)))),
        ("a sub that is no number", claims_with("sub", json!("auth0|5f7c8ec7c33c6c004bbafe82"))),
    ];
    let setting = Setting::new();
    for (what, token) in table {
        assert!(setting.verify(&token).is_ok(), "{what}: {:?}", setting.verify(&token));
    }
}

#[test]
fn data_is_passed_on_as_it_is() {
    let setting = Setting::new();
    let name = |value| setting.verify(&claims_with("name", value)).expect("sound").name;
    assert_eq!(name(json!("A\u{0}\u{1b}[2J\n")).as_deref(), Some("A\u{0}\u{1b}[2J\n"));
    assert_eq!(name(json!(["Alice"])), None);
    assert_eq!(name(json!("")), None);
    let verified =
        |value| setting.verify(&claims_with("email_verified", value)).expect("sound").email_verified;
    assert!(verified(json!("true")) && verified(json!(true)));
    assert!(!verified(json!("false")) && !verified(json!(false)));
    assert!(!setting.verify(&claims_without("email_verified")).expect("sound").email_verified);
    assert!(!setting.verify(&claims_without("email")).expect("sound").email_verified);
    let unreadable = setting.verify(&claims_with("email", json!("nobody"))).expect("sound");
    assert_eq!((unreadable.email, unreadable.email_verified), (None, false));
}

#[test]
fn an_authorized_party_of_another_project_must_be_configured() {
    let mut setting = Setting::new();
    let token = claims_with("azp", json!(FOREIGN_CLIENT));
    assert_eq!(setting.verify(&token), Err(IdTokenError::WrongAuthorizedParty));
    setting.parties.push(FOREIGN_CLIENT.parse().expect("an id"));
    assert_eq!(setting.verify(&token).expect("configured").azp, Some(setting.parties[0].clone()));
}

#[test]
fn nonce_and_access_token_count_only_when_they_are_expected() {
    let setting = Setting::new();
    let relaxed = Expectation { nonce: None, access_token: None, ..setting.expectation() };
    for token in
        [claims_with("nonce", json!("another")), claims_with("at_hash", json!("AAAAAAAAAAAAAAAAAAAAAA"))]
    {
        assert!(setting.verify(&token).is_err());
        assert!(verify(&IdToken::new(token), &keys(), &relaxed, NOW).is_ok());
    }
}

#[test]
fn another_issuer_has_one_form() {
    let setting = Setting::new();
    let check = |configured, signed| {
        let expectation = Expectation { issuer: configured, ..setting.expectation() };
        verify(&IdToken::new(claims_with("iss", json!(signed))), &keys(), &expectation, NOW).map(|_| ())
    };
    assert_eq!(check("http://127.0.0.1:4711", "http://127.0.0.1:4711"), Ok(()));
    assert_eq!(check("accounts.google.com", ISSUER), Ok(()));
    for (configured, signed) in [
        ("https://id.example.org", "id.example.org"),
        ("id.example.org", "https://id.example.org"),
        ("https://id.example.org/", "https://id.example.org"),
        ("https://id.example.org", ISSUER),
        (ISSUER, "https://id.example.org"),
    ] {
        assert_eq!(check(configured, signed), Err(IdTokenError::WrongIssuer), "{configured} {signed}");
    }
}

#[test]
fn the_edges_of_the_leeway() {
    let setting = Setting::new();
    let token = IdToken::new(sign(&base_text()));
    let at = |seconds| verify(&token, &keys(), &setting.expectation(), NOW.plus(seconds)).map(|_| ());
    assert_eq!(at(-61), Err(IdTokenError::NotYetValid));
    assert_eq!(at(-60), Ok(()));
    assert_eq!(at(3659), Ok(()));
    assert_eq!(at(3660), Err(IdTokenError::Expired));
    assert_eq!(at(i64::MAX), Err(IdTokenError::Expired));
    assert_eq!(at(i64::MIN), Err(IdTokenError::NotYetValid));
}

mod arbitrary {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

        #[test]
        fn no_text_panics(text in ".{0,200}") {
            prop_assert!(Setting::new().verify(&text).is_err());
        }

        #[test]
        fn no_three_parts_panic(header in any::<Vec<u8>>(), claims in any::<Vec<u8>>(), signature in any::<Vec<u8>>()) {
            let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
            let text = format!("{}.{}.{}", encode(&header), encode(&claims), encode(&signature));
            prop_assert!(Setting::new().verify(&text).is_err());
        }

        #[test]
        fn no_signed_claims_panic(claims in any::<Vec<u8>>()) {
            prop_assert!(Setting::new().verify(&TestKey::a().sign(HEADER.as_bytes(), &claims)).is_err());
        }

        #[test]
        fn no_signed_claim_of_any_type_panics(
            name in prop::sample::select(base_claims().keys().cloned().collect::<Vec<_>>()),
            value in prop_oneof![
                any::<i64>().prop_map(|n| json!(n)),
                any::<f64>().prop_map(|n| json!(n)),
                any::<String>().prop_map(|s| json!(s)),
                any::<bool>().prop_map(|b| json!(b)),
                Just(Value::Null),
                any::<Vec<u8>>().prop_map(|list| json!(list)),
            ],
        ) {
            if let Ok(claims) = Setting::new().verify(&claims_with(&name, value)) {
                prop_assert_eq!(claims.audience.as_str(), CLIENT);
            }
        }

        #[test]
        fn no_altered_character_passes(position in any::<prop::sample::Index>(), new in "[A-Za-z0-9_=. -]") {
            let token = sign(&base_text());
            let at = position.index(token.len());
            let altered = format!("{}{new}{}", &token[..at], &token[at + 1..]);
            prop_assume!(altered != token);
            prop_assert!(Setting::new().verify(&altered).is_err());
        }
    }
}
