//! Tokens that are rightly signed and say the wrong thing.

use super::*;

/// The usual claims with the text `from` replaced, so that a case can say what no map can hold.
fn replaced(from: &str, to: &str) -> String {
    let text = base_text();
    assert!(text.contains(from), "{from} is in the claims");
    sign(&text.replacen(from, to, 1))
}

fn table<'t>(
    name: &str,
    expected: Option<IdTokenError>,
    values: impl IntoIterator<Item = (&'t str, Value)>,
) -> Vec<(&'t str, String, Option<IdTokenError>)> {
    values.into_iter().map(|(what, value)| (what, claims_with(name, value), expected)).collect()
}

#[test]
fn claims_that_are_no_object_with_unique_names() {
    let text = base_text();
    let twice = |extra: &str| sign(&text.replacen('{', &format!("{{{extra},"), 1));
    let padded = {
        let claims = format!("{}==", URL_SAFE_NO_PAD.encode(&text));
        let message = format!("{}.{claims}", URL_SAFE_NO_PAD.encode(HEADER));
        let signature = TestKey::a().sign_with(&ring::signature::RSA_PKCS1_SHA256, &message);
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    };
    let table = vec![
        ("empty", sign(""), None),
        ("null", sign("null"), None),
        ("a list", sign(&format!("[{text}]")), None),
        ("a text", sign("\"claims\""), None),
        ("a number", sign("1"), None),
        ("an empty object", sign("{}"), None),
        ("cut off", sign(&text[..text.len() - 1]), None),
        ("something behind", sign(&format!("{text},")), None),
        ("a second object behind", sign(&format!("{text}{text}")), None),
        ("single quotes", sign(&text.replace('"', "'")), None),
        ("a byte order mark", sign(&format!("\u{feff}{text}")), None),
        ("not UTF-8", TestKey::a().sign(HEADER.as_bytes(), &[text.as_bytes(), &[0xFF]].concat()), None),
        ("too deep", sign(&format!("{{\"a\":{}{}}}", "[".repeat(500), "]".repeat(500))), None),
        ("a number out of range", replaced("\"name\":\"Alice Example\"", "\"name\":1e999"), None),
        ("padded", padded, None),
        ("sub twice", twice("\"sub\":\"1\""), None),
        ("sub twice, equal", twice("\"sub\":\"108204268033311374519\""), None),
        ("aud twice", twice("\"aud\":\"other-client\""), None),
        ("exp twice", twice("\"exp\":9999999999"), None),
        ("iss twice", twice("\"iss\":\"https://evil.example\""), None),
        ("email twice", twice("\"email\":\"mallory@example.org\""), None),
        ("sub twice by an escape", twice("\"s\\u0075b\":\"1\""), None),
        ("an unknown claim twice", twice("\"x\":1,\"x\":2"), None),
    ];
    assert_refused(table, 23);
}

#[test]
fn who_issued_it_and_for_whom() {
    let form = None;
    let issuer = Some(IdTokenError::WrongIssuer);
    let audience = Some(IdTokenError::WrongAudience);
    let party = Some(IdTokenError::WrongAuthorizedParty);
    let mut cases = vec![
        ("no iss", claims_without("iss"), form),
        ("no aud", claims_without("aud"), form),
        ("no sub", claims_without("sub"), form),
    ];
    cases.extend(table(
        "iss",
        form,
        [
            ("iss: null", Value::Null),
            ("iss: 1", json!(1)),
            ("iss: a list", json!([ISSUER])),
            ("iss: an object", json!({ "iss": ISSUER })),
        ],
    ));
    cases.extend(table(
        "iss",
        issuer,
        [
            ("iss: empty", json!("")),
            ("iss: plain http", json!("http://accounts.google.com")),
            ("iss: with a slash", json!("https://accounts.google.com/")),
            ("iss: a longer host", json!("https://accounts.google.com.evil.example")),
            ("iss: a path", json!("https://evil.example/accounts.google.com")),
            ("iss: with a space", json!("accounts.google.com ")),
            ("iss: in upper case", json!("https://ACCOUNTS.GOOGLE.COM")),
            ("iss: somebody else", json!("https://evil.example")),
            ("iss: a session of locum's", json!("https://locum.example.org")),
        ],
    ));
    cases.extend(table(
        "aud",
        form,
        [
            ("aud: null", Value::Null),
            ("aud: 1", json!(1)),
            ("aud: true", json!(true)),
            ("aud: an empty list", json!([])),
            ("aud: a list of ours", json!([CLIENT])),
            ("aud: a list of two of ours", json!([CLIENT, "other-client"])),
            ("aud: a list with another's", json!([CLIENT, FOREIGN_CLIENT])),
            ("aud: an object", json!({ "aud": CLIENT })),
        ],
    ));
    cases.extend(table(
        "aud",
        audience,
        [
            ("aud: empty", json!("")),
            ("aud: another project's", json!(FOREIGN_CLIENT)),
            ("aud: of the same project, not configured", json!(IOS_CLIENT)),
            ("aud: in upper case", json!(CLIENT.to_uppercase())),
            ("aud: with a space", json!(format!("{CLIENT} "))),
            ("aud: two in one text", json!(format!("{CLIENT} {FOREIGN_CLIENT}"))),
            ("aud: a prefix", json!(&CLIENT[..20])),
        ],
    ));
    cases.extend(table(
        "azp",
        form,
        [("azp: null", Value::Null), ("azp: 1", json!(1)), ("azp: a list", json!([CLIENT]))],
    ));
    cases.extend(table(
        "azp",
        party,
        [
            ("azp: empty", json!("")),
            ("azp: another project's", json!(FOREIGN_CLIENT)),
            ("azp: the number alone", json!("402839145521")),
            ("azp: a longer number", json!("4028391455201-r7d1s.apps.googleusercontent.com")),
            ("azp: not ASCII", json!("402839145520-ä")),
            ("azp: with a space", json!("402839145520-r7d1s .apps.googleusercontent.com")),
        ],
    ));
    cases.extend(table(
        "sub",
        form,
        [
            ("sub: null", Value::Null),
            ("sub: a number", json!(108_204_268_033_i64)),
            ("sub: empty", json!("")),
            ("sub: 256 characters", json!("s".repeat(256))),
            ("sub: not ASCII", json!("1082042680333113745١٩")),
            ("sub: a line end", json!("108204268033311374519\n")),
            ("sub: a list", json!(["108204268033311374519"])),
        ],
    ));
    assert_refused(cases, 47);
}

#[test]
fn when_it_is_valid() {
    let unix = NOW.unix();
    let expired = Some(IdTokenError::Expired);
    let early = Some(IdTokenError::NotYetValid);
    let old = |exp: i64| {
        let mut claims = base_claims();
        claims.insert("iat".to_owned(), json!(exp - 3600));
        claims.insert("exp".to_owned(), json!(exp));
        sign(&Value::Object(claims).to_string())
    };
    let ahead = |iat: i64| old(iat + 3600);
    let number = |name: &str, text: &str| {
        let value = base_claims()[name].to_string();
        replaced(&format!("\"{name}\":{value}"), &format!("\"{name}\":{text}"))
    };
    let mut cases = vec![
        ("expired by the leeway", old(unix - 60), expired),
        ("expired for a year", old(unix - 31_536_000), expired),
        ("expired in 1970", old(3600), expired),
        ("issued beyond the leeway", ahead(unix + 61), early),
        ("issued in a year", ahead(unix + 31_536_000), early),
        ("issued in 9999", ahead(253_402_290_000), early),
        ("nbf beyond the leeway", claims_with("nbf", json!(unix + 61)), early),
        ("no exp", claims_without("exp"), None),
        ("no iat", claims_without("iat"), None),
        ("exp before iat", claims_with("exp", json!(unix - 1)), None),
        ("iat after exp", claims_with("iat", json!(unix + 3601)), None),
        ("a day and the leeway", claims_with("exp", json!(unix + 86_461)), None),
        ("a year", claims_with("exp", json!(unix + 31_536_000)), None),
        ("exp too large for the type", number("exp", "99999999999999999999"), None),
        ("exp as 1e10", number("exp", "1e10"), None),
        ("exp as 1e999", number("exp", "1e999"), None),
        ("exp: minus zero point five", number("exp", "-0.5"), None),
        ("exp: NaN", number("exp", "NaN"), None),
        ("iat too large for the type", number("iat", "99999999999999999999"), None),
    ];
    for name in ["exp", "iat", "nbf"] {
        cases.extend(table(
            name,
            None,
            [
                ("null", Value::Null),
                ("a text", json!(unix.to_string())),
                ("a fraction", json!(unix as f64 + 0.5)),
                ("true", json!(true)),
                ("a list", json!([unix])),
                ("negative", json!(-1)),
                ("the largest", json!(i64::MAX)),
                ("the smallest", json!(i64::MIN)),
                ("milliseconds", json!(unix * 1000)),
            ],
        ));
    }
    assert_refused(cases, 46);
}

#[test]
fn which_sign_in_it_belongs_to_and_whom_it_names() {
    let nonce = Some(IdTokenError::NonceMismatch);
    let access = Some(IdTokenError::AccessTokenMismatch);
    let whole = ring::digest::digest(&ring::digest::SHA256, ACCESS_TOKEN.as_bytes());
    let mut cases = vec![("no nonce", claims_without("nonce"), nonce)];
    cases.extend(table(
        "nonce",
        nonce,
        [
            ("nonce: another", json!("another")),
            ("nonce: empty", json!("")),
            ("nonce: a prefix", json!(&NONCE[..5])),
            ("nonce: longer", json!(format!("{NONCE}x"))),
            ("nonce: in upper case", json!(NONCE.to_uppercase())),
        ],
    ));
    cases.extend(table(
        "nonce",
        None,
        [("nonce: null", Value::Null), ("nonce: 1", json!(1)), ("nonce: a list", json!([NONCE]))],
    ));
    cases.extend(table(
        "at_hash",
        access,
        [
            ("at_hash: of another token", json!("AAAAAAAAAAAAAAAAAAAAAA")),
            ("at_hash: empty", json!("")),
            ("at_hash: the whole hash", json!(URL_SAFE_NO_PAD.encode(whole.as_ref()))),
            ("at_hash: padded", json!("501mbqe8n7HrJjOjMgZn7g==")),
            ("at_hash: in hexadecimal", json!("e74d666ea7bc9fb1eb2633a3320667ee")),
        ],
    ));
    cases.extend(table("at_hash", None, [("at_hash: null", Value::Null), ("at_hash: 1", json!(1))]));
    cases.extend(table(
        "email",
        None,
        [
            ("email: null", Value::Null),
            ("email: 1", json!(1)),
            ("email: a list", json!(["alice@example.org"])),
        ],
    ));
    cases.extend(table(
        "email_verified",
        None,
        [
            ("email_verified: 1", json!(1)),
            ("email_verified: yes", json!("yes")),
            ("email_verified: TRUE", json!("TRUE")),
            ("email_verified: empty", json!("")),
            ("email_verified: null", Value::Null),
            ("email_verified: a list", json!([true])),
        ],
    ));
    cases.extend(table(
        "hd",
        None,
        [("hd: null", Value::Null), ("hd: 1", json!(1)), ("hd: a list", json!(["example.org"]))],
    ));
    assert_refused(cases, 28);
}
