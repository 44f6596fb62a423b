//! Query parameters and path segments, each parsed once and refused if it could mean something else.

use std::borrow::Cow;

use actix_web::HttpRequest;

use super::problem::{Code, Problem};
use crate::ids::{ClientName, UserRef};

/// The values of the parameters named, in their order. Copies nothing that is not percent-encoded.
pub(super) fn parameters<'q, const N: usize>(
    query: &'q str,
    names: [&'static str; N],
) -> Result<[Option<Cow<'q, str>>; N], Problem> {
    let mut values = [const { None }; N];
    if query.is_empty() {
        return Ok(values);
    }
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let Some(index) = names.iter().position(|known| *known == name) else {
            let known = names.map(|name| format!("`{name}`")).join(", ");
            let words = if N == 0 { "This route has none.".into() } else { format!("Known are {known}.") };
            return Err(Problem::new(Code::ParameterUnknown)
                .detail(format!("The query has an unknown parameter, and a mistyped one would change what is asked for. {words}")));
        };
        // Decoding puts this character where the bytes are no UTF-8.
        if value.contains('\u{FFFD}') {
            return Err(invalid(names[index], "is not UTF-8"));
        }
        if values[index].replace(value).is_some() {
            return Err(Problem::new(Code::DuplicateField)
                .detail(format!("The parameter `{}` is given twice. Give it once.", names[index]))
                .with("field", names[index]));
        }
    }
    Ok(values)
}

/// A parameter that does not hold what it should.
pub(super) fn invalid(name: &'static str, wanted: &str) -> Problem {
    Problem::new(Code::ParameterInvalid).detail(format!("`{name}` {wanted}.")).with("parameter", name)
}

/// A parameter that is a type of its own.
pub(super) fn parsed<T: std::str::FromStr>(
    name: &'static str,
    value: Option<&str>,
    wanted: &str,
) -> Result<Option<T>, Problem> {
    value.map(|text| text.parse().map_err(|_| invalid(name, wanted))).transpose()
}

/// The `client` parameter.
pub(super) fn client(value: Option<&str>) -> Result<Option<ClientName>, Problem> {
    parsed("client", value, "must be the name of a client: 1 to 40 characters of a-z, 0-9, - and _")
}

/// The user a path names: the segment after `/v1/users/`, percent-decoded exactly once from the path as it
/// was sent. actix decodes what it matches on, all but `%`, `/` and `+`, so its own value is in between.
pub(super) fn user(request: &HttpRequest) -> Result<UserRef, Problem> {
    let invalid = || Problem::new(Code::UserInvalid);
    let segment = request.uri().path().split('/').nth(3).ok_or_else(invalid)?;
    decode(segment).ok_or_else(invalid)?.parse().map_err(|_| invalid())
}

/// Percent-decodes once; `None` for a `%` without two hex digits behind it, or bytes that are no UTF-8.
pub(super) fn decode(segment: &str) -> Option<Cow<'_, str>> {
    if !segment.contains('%') {
        return Some(segment.into());
    }
    let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
    let mut bytes = segment.bytes();
    let mut decoded = Vec::with_capacity(segment.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => u8::try_from(digit(bytes.next())? << 4 | digit(bytes.next())?).ok()?,
            other => other,
        });
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_decoded_once() {
        for (segment, decoded) in [
            ("alice@example.org", Some("alice@example.org")),
            ("alice%40example.org", Some("alice@example.org")),
            ("alice%2540example.org", Some("alice%40example.org")),
            ("a+b%2Bc@x", Some("a+b+c@x")),
            ("a%2Fb", Some("a/b")),
            ("%C3%A9", Some("é")),
            ("%FF", None),
            ("%", None),
            ("%4", None),
            ("%zz", None),
            ("%+4", None),
        ] {
            assert_eq!(decode(segment).as_deref(), decoded, "{segment}");
        }
    }

    #[test]
    fn a_query_is_refused_rather_than_guessed() {
        let read = |query| parameters(query, ["client", "scope"]).map_err(|problem| problem.code());
        assert_eq!(read(""), Ok([None, None]));
        assert_eq!(read("scope=a+b&client=x"), Ok([Some("x".into()), Some("a b".into())]));
        assert_eq!(read("client="), Ok([Some("".into()), None]));
        assert_eq!(read("client=a&client=a"), Err(Code::DuplicateField));
        assert_eq!(read("cliemt=a"), Err(Code::ParameterUnknown));
        assert_eq!(read("client=%FF"), Err(Code::ParameterInvalid));
        assert!(matches!(read("client=a"), Ok([Some(Cow::Borrowed("a")), None])));
    }
}
