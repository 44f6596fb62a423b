//! Tokens whose form, header or signature is wrong.

use ring::signature::{RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256};

use super::*;

/// A header with another value for one of its fields, given as JSON text.
fn with(name: &str, json: &str) -> String {
    let mut header: Map<String, Value> = serde_json::from_str(HEADER).expect("an object");
    header.insert(name.to_owned(), serde_json::from_str(json).expect("a value"));
    headed(&Value::Object(header).to_string())
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[test]
fn only_rs256() {
    let values = [
        r#""none""#,
        r#""None""#,
        r#""NONE""#,
        r#""""#,
        r#""HS256""#,
        r#""HS384""#,
        r#""HS512""#,
        r#""RS384""#,
        r#""RS512""#,
        r#""PS256""#,
        r#""PS384""#,
        r#""PS512""#,
        r#""ES256""#,
        r#""ES256K""#,
        r#""ES384""#,
        r#""ES512""#,
        r#""EdDSA""#,
        r#""Ed25519""#,
        r#""rs256""#,
        r#""RS256 ""#,
        r#"" RS256""#,
        r#""RS256\u0000""#,
        r#""RSA""#,
        r#""dir""#,
        "null",
        "256",
        "true",
        r#"["RS256"]"#,
        r#"{"RS256":1}"#,
    ];
    let mut table: Vec<_> =
        values.iter().map(|value| (*value, with("alg", value), Some(IdTokenError::WrongAlgorithm))).collect();
    table.push(("no alg", headed(r#"{"kid":"a","typ":"JWT"}"#), Some(IdTokenError::WrongAlgorithm)));

    let unsigned = format!("{}.{}.", encode(r#"{"alg":"none"}"#), encode(base_text()));
    table.push(("alg none without a signature", unsigned, Some(IdTokenError::WrongAlgorithm)));
    let message = format!("{}.{}", encode(r#"{"alg":"HS256","kid":"a"}"#), encode(base_text()));
    let secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, TestKey::a().public_der());
    let mac = encode(ring::hmac::sign(&secret, message.as_bytes()));
    let confused = format!("{message}.{mac}");
    table.push(("the public key as an HMAC secret", confused, Some(IdTokenError::WrongAlgorithm)));
    assert_refused(table, 32);
}

#[test]
fn other_signatures_under_an_rs256_header() {
    let message = format!("{}.{}", encode(HEADER), encode(base_text()));
    let signed = |signature: &[u8]| format!("{message}.{}", encode(signature));
    let right = TestKey::a().sign_with(&ring::signature::RSA_PKCS1_SHA256, &message);
    let altered = |at: usize| {
        let mut signature = right.clone();
        signature[at] ^= 1;
        signed(&signature)
    };
    let other_message = format!("{}.{}", encode(HEADER), encode(base_text().replace("Alice", "Mallory")));
    let text = encode(&right);
    let wrong = Some(IdTokenError::WrongSignature);
    let table = vec![
        ("PS256", signed(&TestKey::a().sign_with(&RSA_PSS_SHA256, &message)), wrong),
        ("RS384", signed(&TestKey::a().sign_with(&RSA_PKCS1_SHA384, &message)), wrong),
        ("RS512", signed(&TestKey::a().sign_with(&RSA_PKCS1_SHA512, &message)), wrong),
        ("another key of the set", TestKey::b().sign(HEADER.as_bytes(), base_text().as_bytes()), wrong),
        ("other claims", format!("{other_message}.{text}"), wrong),
        ("no signature", format!("{message}."), wrong),
        ("zeros", signed(&[0; 256]), wrong),
        ("ones", signed(&[0xFF; 256]), wrong),
        ("one byte", signed(&[1]), wrong),
        ("a byte less", signed(&right[1..]), wrong),
        ("a byte more in front", signed(&[&[0][..], &right].concat()), wrong),
        ("a byte more behind", signed(&[&right[..], &[0]].concat()), wrong),
        ("twice", signed(&[&right[..], &right].concat()), wrong),
        ("first byte", altered(0), wrong),
        ("middle byte", altered(128), wrong),
        ("last byte", altered(255), wrong),
        ("padding", format!("{message}.{text}=="), wrong),
        ("a line end", format!("{message}.{text}\n"), wrong),
        ("a space in front", format!("{message}. {text}"), wrong),
        ("standard base64", format!("{message}.{}+/", &text[..text.len() - 2]), wrong),
        ("not ASCII", format!("{message}.{}ää", &text[..text.len() - 4]), wrong),
    ];
    assert_refused(table, 21);
}

#[test]
fn headers_of_other_kinds() {
    let typ = Some(IdTokenError::WrongType);
    let unknown = Some(IdTokenError::UnknownKey);
    let table = vec![
        ("crit: []", with("crit", "[]"), None),
        ("crit: exp", with("crit", r#"["exp"]"#), None),
        ("crit: b64", with("crit", r#"["b64"]"#), None),
        ("crit: null", with("crit", "null"), None),
        ("crit: a text", with("crit", r#""exp""#), None),
        ("crit: an object", with("crit", "{}"), None),
        ("b64: false", with("b64", "false"), None),
        ("b64: true", with("b64", "true"), None),
        ("a security event", with("typ", r#""secevent+jwt""#), typ),
        ("an access token", with("typ", r#""at+jwt""#), typ),
        ("a session of locum's", with("typ", r#""locum-session+jwt""#), typ),
        ("a logout token", with("typ", r#""logout+jwt""#), typ),
        ("a media type", with("typ", r#""application/jwt""#), typ),
        ("typ in lower case", with("typ", r#""jwt""#), typ),
        ("JWS", with("typ", r#""JWS""#), typ),
        ("JOSE", with("typ", r#""JOSE""#), typ),
        ("an empty typ", with("typ", r#""""#), typ),
        ("typ: null", with("typ", "null"), typ),
        ("typ: 1", with("typ", "1"), typ),
        ("typ: a list", with("typ", r#"["JWT"]"#), typ),
        ("no kid", headed(r#"{"alg":"RS256","typ":"JWT"}"#), None),
        ("kid: null", with("kid", "null"), None),
        ("kid: 7", with("kid", "7"), None),
        ("kid: a list", with("kid", r#"["a"]"#), None),
        ("an empty kid", with("kid", r#""""#), unknown),
        ("an unknown kid", with("kid", r#""c""#), unknown),
        ("kid in upper case", with("kid", r#""A""#), unknown),
        ("kid with a space", with("kid", r#""a ""#), unknown),
        ("kid with a path", with("kid", r#""../a""#), unknown),
        ("kid with a zero", with("kid", r#""a\u0000""#), unknown),
        ("the other key's kid", with("kid", r#""b""#), Some(IdTokenError::WrongSignature)),
        ("alg twice", headed(r#"{"alg":"none","alg":"RS256","kid":"a"}"#), None),
        ("kid twice", headed(r#"{"alg":"RS256","kid":"b","kid":"a"}"#), None),
        ("alg twice by an escape", headed(r#"{"\u0061lg":"none","alg":"RS256","kid":"a"}"#), None),
        ("a list", headed(r#"["RS256"]"#), None),
        ("a text", headed(r#""RS256""#), None),
        ("null", headed("null"), None),
        ("empty", headed(""), None),
        ("cut off", headed(r#"{"alg":"RS256","kid":"a""#), None),
        ("something behind", headed(&format!("{HEADER}x")), None),
        ("a second object behind", headed(&format!("{HEADER}{HEADER}")), None),
        ("a byte order mark", headed(&format!("\u{feff}{HEADER}")), None),
    ];
    assert_refused(table, 42);
}

#[test]
fn forms_that_are_no_token() {
    let sound = sign(&base_text());
    let (message, signature) = sound.rsplit_once('.').expect("parts");
    let (header, claims) = message.split_once('.').expect("parts");
    let large = claims_with("name", json!("x".repeat(16 * 1024)));
    let table = vec![
        ("empty", String::new(), None),
        ("one dot", ".".to_owned(), None),
        ("two dots", "..".to_owned(), None),
        ("three dots", "...".to_owned(), None),
        ("no dot", header.to_owned(), None),
        ("two parts", message.to_owned(), None),
        ("four parts", format!("{sound}.{signature}"), None),
        ("five parts, as an encrypted token has", format!("{sound}.e30.e30"), None),
        ("a dot in front", format!(".{sound}"), None),
        ("a dot behind", format!("{sound}."), None),
        ("no header", format!(".{claims}.{signature}"), None),
        ("a space in front", format!(" {sound}"), None),
        ("quoted", format!("\"{sound}\""), None),
        ("with its scheme", format!("Bearer {sound}"), None),
        ("a padded header", format!("{header}=.{claims}.{signature}"), None),
        ("a line end in the header", format!("{header}\n.{claims}.{signature}"), None),
        ("not base64", format!("{{}}.{claims}.{signature}"), None),
        ("not ASCII", format!("ä{sound}"), None),
        ("claims left out", format!("{header}..{signature}"), Some(IdTokenError::WrongSignature)),
        ("parts exchanged", format!("{claims}.{header}.{signature}"), Some(IdTokenError::WrongAlgorithm)),
        ("more than 16 KiB", large, Some(IdTokenError::TooLarge)),
        ("a million dots", ".".repeat(1_000_000), Some(IdTokenError::TooLarge)),
        ("16 KiB of dots", ".".repeat(16 * 1024), None),
    ];
    assert_refused(table, 23);
}
