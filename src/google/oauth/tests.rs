//! Token answers, as Google and others send them.

use serde_json::{Value, json};

use super::*;

fn parse_with(name: &str, value: Value) -> Option<TokenAnswer> {
    let mut body = json!({ "access_token": "ya29.EXAMPLE", "expires_in": 3599, "token_type": "Bearer" });
    body[name] = value;
    TokenAnswer::parse(body.to_string().as_bytes())
}

#[test]
fn the_least_that_is_an_answer() {
    let answer = parse_with("unknown", json!([1])).expect("an answer");
    assert_eq!(answer.expires_in, 3599);
    assert!(answer.refresh_token.is_none() && answer.scope.is_none() && answer.id_token.is_none());
    for token_type in ["bearer", "BEARER", "Bearer"] {
        assert!(parse_with("token_type", json!(token_type)).is_some(), "{token_type}");
    }
    let untold = TokenAnswer::parse(br#"{"access_token":"a","token_type":"Bearer"}"#).expect("an answer");
    assert_eq!(untold.expires_in, UNTOLD_LIFETIME);
}

#[test]
fn lifetimes_are_read_in_any_form_and_clamped() {
    let rows = [
        (json!(3920), 3920),
        (json!("3599"), 3599),
        (json!(" 3599 "), 3599),
        (json!(3599.9), 3599),
        (json!("3599.9"), 3599),
        (json!(0), 0),
        (json!(-5), 0),
        (json!(i64::MIN), 0),
        (json!(i64::MAX), MAX_LIFETIME),
        (json!(u64::MAX), MAX_LIFETIME),
        (json!(1e300), MAX_LIFETIME),
        (json!("99999999999999999999999999"), MAX_LIFETIME),
        (json!("inf"), MAX_LIFETIME),
        (Value::Null, UNTOLD_LIFETIME),
    ];
    for (given, expected) in rows {
        let answer = parse_with("expires_in", given.clone()).unwrap_or_else(|| panic!("{given}"));
        assert_eq!(answer.expires_in, expected, "{given}");
    }
    for given in [json!(""), json!("soon"), json!("NaN"), json!(true), json!([3599]), json!({})] {
        assert!(parse_with("expires_in", given.clone()).is_none(), "{given}");
    }
}

#[test]
fn what_is_only_nice_to_have_costs_no_answer() {
    let told =
        |value| parse_with("refresh_token_expires_in", value).expect("an answer").refresh_token_expires_in;
    assert_eq!(told(json!(604_799)), Some(604_799));
    assert_eq!(told(json!("604799")), Some(604_799));
    assert_eq!(told(json!(-1)), Some(0));
    assert_eq!(told(json!(i64::MAX)), Some(MAX_REFRESH_LIFETIME));
    for unreadable in [Value::Null, json!("soon"), json!([]), json!({ "a": 1 }), json!(false)] {
        assert_eq!(told(unreadable.clone()), None, "{unreadable}");
    }
    let scope = |value| parse_with("scope", value).expect("an answer").scope;
    assert_eq!(scope(json!("email openid")), Some(ScopeSet::parse("openid email")));
    for unreadable in [Value::Null, json!(["openid"]), json!(1)] {
        assert_eq!(scope(unreadable.clone()), None, "{unreadable}");
    }
}

#[test]
fn tokens_must_be_fit_to_be_sent_on() {
    for name in ["access_token", "refresh_token", "id_token"] {
        for bad in [
            json!(""),
            json!(" "),
            json!("a b"),
            json!("a\r\nX-Evil: 1"),
            json!("a\u{0}"),
            json!("ä"),
            json!("a".repeat(MAX_TOKEN + 1)),
            json!(1),
            json!(["a"]),
            json!({ "token": "a" }),
        ] {
            assert!(parse_with(name, bad.clone()).is_none(), "{name} {bad}");
        }
        assert!(parse_with(name, json!("a".repeat(MAX_TOKEN))).is_some(), "{name}");
    }
    assert!(parse_with("access_token", Value::Null).is_none());
    for token_type in [json!("mac"), json!("DPoP"), json!(""), json!("Bearer "), Value::Null, json!(1)] {
        assert!(parse_with("token_type", token_type.clone()).is_none(), "{token_type}");
    }
}

#[test]
fn what_is_no_answer() {
    for body in [
        "",
        "{}",
        "[]",
        "null",
        "<html>",
        "access_token=a&token_type=Bearer",
        r#"{"error":"invalid_grant"}"#,
        r#"{"access_token":"a"}"#,
        r#"{"token_type":"Bearer","expires_in":1}"#,
        r#"{"access_token":"a","token_type":"Bearer""#,
        r#"{"access_token":"a","token_type":"Bearer"}x"#,
        r#"{"access_token":"a","access_token":"b","token_type":"Bearer"}"#,
        r#"[{"access_token":"a","token_type":"Bearer"}]"#,
        r#"["a","Bearer",3599,null,null,null,null]"#,
    ] {
        assert!(TokenAnswer::parse(body.as_bytes()).is_none(), "{body}");
    }
}
