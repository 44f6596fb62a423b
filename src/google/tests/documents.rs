//! Discovery documents and key sets, sound and otherwise.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::key::TestKey;
use crate::google::{DiscoveryFault, Endpoints, KeySet, KeySetError};

const ISSUER: &str = "https://accounts.google.com";

fn google_discovery() -> Value {
    json!({
        "issuer": ISSUER,
        "authorization_endpoint": "https://accounts.google.com/o/oauth2/v2/auth",
        "device_authorization_endpoint": "https://oauth2.googleapis.com/device/code",
        "token_endpoint": "https://oauth2.googleapis.com/token",
        "userinfo_endpoint": "https://openidconnect.googleapis.com/v1/userinfo",
        "revocation_endpoint": "https://oauth2.googleapis.com/revoke",
        "jwks_uri": "https://www.googleapis.com/oauth2/v3/certs",
        "response_types_supported": ["code", "none"],
        "authorization_response_iss_parameter_supported": true,
    })
}

fn discovery_with(name: &str, value: Value) -> Result<Endpoints, DiscoveryFault> {
    let mut document = google_discovery();
    document[name] = value;
    Endpoints::parse(document.to_string().as_bytes(), ISSUER)
}

fn discovery_without(name: &str) -> Result<Endpoints, DiscoveryFault> {
    let mut document = google_discovery();
    document.as_object_mut().expect("an object").remove(name);
    Endpoints::parse(document.to_string().as_bytes(), ISSUER)
}

#[test]
fn googles_discovery_document() {
    let endpoints = Endpoints::parse(google_discovery().to_string().as_bytes(), ISSUER).expect("sound");
    assert_eq!(endpoints.issuer, ISSUER);
    assert_eq!(endpoints.token.as_str(), "https://oauth2.googleapis.com/token");
    assert_eq!(endpoints.jwks.as_str(), "https://www.googleapis.com/oauth2/v3/certs");
    assert_eq!(endpoints.revocation.expect("told").as_str(), "https://oauth2.googleapis.com/revoke");
    for name in ["revocation_endpoint", "userinfo_endpoint", "device_authorization_endpoint"] {
        assert!(discovery_without(name).is_ok(), "{name}");
    }
}

#[test]
fn a_document_on_this_machine_may_speak_for_google() {
    for host in ["127.0.0.1:4711", "127.9.9.9", "localhost:1", "[::1]:4711"] {
        let endpoints = discovery_with("token_endpoint", json!(format!("http://{host}/token")));
        assert_eq!(endpoints.expect("loopback").issuer, ISSUER, "{host}");
    }
}

#[test]
fn documents_that_are_refused() {
    for name in ["issuer", "authorization_endpoint", "token_endpoint", "jwks_uri"] {
        assert_eq!(discovery_without(name), Err(DiscoveryFault::Malformed), "{name}");
        assert_eq!(discovery_with(name, json!(1)), Err(DiscoveryFault::Malformed), "{name}");
        assert_eq!(discovery_with(name, Value::Null), Err(DiscoveryFault::Malformed), "{name}");
    }
    for issuer in ["", "https://accounts.google.com/", "http://accounts.google.com", "https://evil.example"] {
        assert_eq!(discovery_with("issuer", json!(issuer)), Err(DiscoveryFault::WrongIssuer), "{issuer}");
    }
    for url in [
        "http://oauth2.googleapis.com/token",
        "http://127.0.0.1.evil.example/token",
        "http://localhost.evil.example/token",
        "http://2130706433.example/",
        "https://user@oauth2.googleapis.com/token",
        "https://user:secret@oauth2.googleapis.com/token",
        "https://oauth2.googleapis.com/token#part",
        "ftp://127.0.0.1/token",
        "file:///etc/passwd",
        "data:,x",
        "/token",
        "",
    ] {
        let refused = |name| Err(DiscoveryFault::InsecureUrl(name));
        for name in ["token_endpoint", "jwks_uri", "revocation_endpoint"] {
            assert_eq!(discovery_with(name, json!(url)), refused(name), "{url}");
        }
    }
    let list = r#"["https://accounts.google.com","https://a/","https://b/",null,null,"https://c/",null]"#;
    for text in ["", "null", "[]", "<html>", "{\"issuer\":", "\"issuer\"", "{}", list] {
        assert_eq!(Endpoints::parse(text.as_bytes(), ISSUER), Err(DiscoveryFault::Malformed), "{text}");
    }
}

fn set(keys: &[Value]) -> Result<Vec<String>, KeySetError> {
    let set = KeySet::parse(json!({ "keys": keys }).to_string().as_bytes())?;
    Ok(set.kids().map(str::to_owned).collect())
}

fn altered(name: &str, value: Value) -> Value {
    let mut jwk = TestKey::b().jwk();
    jwk[name] = value;
    jwk
}

#[test]
fn googles_key_set() {
    let keys = [TestKey::a().jwk(), TestKey::b().jwk()];
    assert_eq!(set(&keys), Ok(vec!["a".to_owned(), "b".to_owned()]));
    let parsed = KeySet::parse(json!({ "keys": keys, "more": 1 }).to_string().as_bytes()).expect("sound");
    assert!(parsed.find("a").is_some() && parsed.find("c").is_none() && parsed.find("").is_none());
}

#[test]
fn a_key_of_another_kind_is_left_out() {
    let encode = |bytes: &[u8]| json!(URL_SAFE_NO_PAD.encode(bytes));
    let modulus = |bytes: usize, first: u8, last: u8| {
        let mut n = vec![0xA5; bytes];
        n[0] = first;
        n[bytes - 1] = last;
        encode(&n)
    };
    let unusable = [
        altered("kty", json!("oct")),
        altered("kty", json!("EC")),
        altered("kty", json!("rsa")),
        altered("kty", Value::Null),
        altered("use", json!("enc")),
        altered("use", Value::Null),
        altered("alg", json!("RS384")),
        altered("alg", json!("PS256")),
        altered("alg", json!("HS256")),
        altered("alg", Value::Null),
        altered("key_ops", json!(["sign"])),
        altered("key_ops", json!("verify")),
        altered("kid", json!("")),
        altered("kid", json!(7)),
        altered("kid", Value::Null),
        altered("kid", json!("k".repeat(257))),
        altered("d", json!("AQAB")),
        altered("k", json!("AQAB")),
        altered("p", Value::Null),
        altered("e", json!("")),
        altered("e", json!("AQ")),
        altered("e", json!("AA")),
        altered("e", json!("Ag")),
        altered("e", json!("AQAAAAE")),
        altered("e", json!("AQAB=")),
        altered("e", json!(65537)),
        altered("n", json!("")),
        altered("n", json!("!")),
        altered("n", Value::Null),
        altered("n", modulus(128, 0xFF, 1)),
        altered("n", modulus(256, 0x7F, 1)),
        altered("n", modulus(1025, 0x01, 1)),
        altered("n", modulus(256, 0xFF, 2)),
        altered("n", encode(&[0; 256])),
    ];
    for jwk in unusable {
        assert_eq!(set(&[TestKey::a().jwk(), jwk.clone()]), Ok(vec!["a".to_owned()]), "{jwk}");
        assert_eq!(set(std::slice::from_ref(&jwk)), Err(KeySetError::NoUsableKey), "{jwk}");
    }
}

#[test]
fn what_may_be_absent_or_odd_in_a_key() {
    let mut bare = TestKey::b().jwk();
    for name in ["use", "alg"] {
        bare.as_object_mut().expect("an object").remove(name);
    }
    let n = URL_SAFE_NO_PAD.decode(bare["n"].as_str().expect("a text")).expect("base64url");
    let padded = URL_SAFE_NO_PAD.encode([&[0][..], &n].concat());
    for jwk in [
        bare,
        altered("n", json!(padded)),
        altered("e", json!("Aw")),
        altered("key_ops", json!(["verify"])),
        altered("x5c", json!([])),
    ] {
        assert_eq!(set(std::slice::from_ref(&jwk)), Ok(vec!["b".to_owned()]), "{jwk}");
    }
}

#[test]
fn of_two_keys_with_one_id_neither_wins() {
    let (a, b) = (TestKey::a().jwk(), TestKey::b().jwk());
    let impostor = altered("kid", json!("a"));
    let unusable = json!({ "kty": "oct", "kid": "a", "k": "c2VjcmV0" });
    for twin in [&impostor, &a, &unusable] {
        assert_eq!(set(&[a.clone(), twin.clone(), b.clone()]), Ok(vec!["b".to_owned()]), "{twin}");
        assert_eq!(set(&[twin.clone(), b.clone(), a.clone()]), Ok(vec!["b".to_owned()]), "{twin}");
        assert_eq!(set(&[a.clone(), twin.clone(), a.clone()]), Err(KeySetError::NoUsableKey), "{twin}");
    }
}

#[test]
fn a_poisoned_document_is_an_error() {
    assert_eq!(set(&[]), Err(KeySetError::NoUsableKey));
    let many: Vec<_> = (0..33).map(|i| altered("kid", json!(format!("k{i}")))).collect();
    assert_eq!(set(&many), Err(KeySetError::TooManyKeys));
    assert_eq!(set(&many[..32]).map(|kids| kids.len()), Ok(32));
    let large = json!({ "keys": [TestKey::a().jwk()], "padding": "x".repeat(64 * 1024) }).to_string();
    assert_eq!(KeySet::parse(large.as_bytes()).err(), Some(KeySetError::TooLarge));
    let repeated = TestKey::a().jwk().to_string().replacen('{', "{\"n\":\"AQAB\",", 1);
    for text in [
        "",
        "null",
        "[]",
        "{}",
        "<html>",
        "{\"keys\":{}}",
        &format!("[[{}]]", TestKey::a().jwk()),
        "{\"keys\":[null]}",
        "{\"keys\":[1]}",
        "{\"keys\":[",
        "{\"keys\":[],\"keys\":[]}",
        &format!("{{\"keys\":[{repeated}]}}"),
        &format!("{{\"keys\":[{}]}} x", TestKey::a().jwk()),
    ] {
        assert_eq!(KeySet::parse(text.as_bytes()).err(), Some(KeySetError::Malformed), "{text}");
    }
}
