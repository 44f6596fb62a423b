//! What a request demands of the file (RFC 9110 §13) and which part of it it wants (§14).

use actix_web::http::header::{self, HeaderMap, HeaderName};

use super::super::super::problem::Problem;
use super::invalid_header;
use crate::app_data::{ETag, Precondition};
use crate::google::drive::ByteRange;

/// `If-Match` and `If-None-Match`.
#[derive(Debug)]
pub(super) struct Conditions {
    matching: Option<Tags>,
    none_match: Option<Tags>,
}

#[derive(Debug, PartialEq, Eq)]
enum Tags {
    /// `*`
    Any,
    /// Each with whether it is weak.
    Listed(Vec<(bool, ETag)>),
}

/// What the conditions of a read come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Go,
    /// The caller has it already.
    NotModified,
    Failed,
}

impl Conditions {
    pub(super) fn read(headers: &HeaderMap) -> Result<Self, Problem> {
        Ok(Self {
            matching: tags(headers, &header::IF_MATCH, "If-Match")?,
            none_match: tags(headers, &header::IF_NONE_MATCH, "If-None-Match")?,
        })
    }

    /// As what a write demands. A condition that locum would have to ignore is refused instead: whoever
    /// sends one relies on it.
    pub(super) fn of_write(self) -> Result<Precondition, Problem> {
        match (self.matching, self.none_match) {
            (None, None) => Ok(Precondition::None),
            (Some(Tags::Any), None) => Ok(Precondition::Exists),
            // A weak tag never matches here (§13.1.1).
            (Some(Tags::Listed(tags)), None) => Ok(Precondition::Match(strong(tags))),
            (None, Some(Tags::Any)) => Ok(Precondition::Absent),
            (None, Some(Tags::Listed(_))) => {
                Err(invalid_header("If-None-Match", "must be `*` where something is written"))
            }
            (Some(_), Some(_)) => {
                Err(invalid_header("If-None-Match", "cannot be sent together with `If-Match` here"))
            }
        }
    }

    /// What comes of a read of a file with this tag.
    pub(super) fn of_read(&self, tag: Option<&ETag>) -> Verdict {
        let listed = |tags: &Tags, weakly: bool| match tags {
            Tags::Any => true,
            Tags::Listed(tags) => tags.iter().any(|(weak, one)| Some(one) == tag && (weakly || !weak)),
        };
        if self.matching.as_ref().is_some_and(|tags| !listed(tags, false)) {
            Verdict::Failed
        } else if self.none_match.as_ref().is_some_and(|tags| listed(tags, true)) {
            Verdict::NotModified
        } else {
            Verdict::Go
        }
    }
}

fn strong(tags: Vec<(bool, ETag)>) -> Vec<ETag> {
    tags.into_iter().filter(|(weak, _)| !weak).map(|(_, tag)| tag).collect()
}

/// The tags of a field, all its lines together.
fn tags(headers: &HeaderMap, field: &HeaderName, name: &'static str) -> Result<Option<Tags>, Problem> {
    let invalid =
        || invalid_header(name, "must be `*`, or entity tags as they were given, with their quotes");
    let mut listed = Vec::new();
    let mut any = false;
    let mut lines = 0;
    for value in headers.get_all(field) {
        lines += 1;
        let mut rest = value.to_str().map_err(|_| invalid())?.trim();
        if rest == "*" {
            any = true;
            continue;
        }
        loop {
            let weak = rest.starts_with("W/");
            rest = rest.strip_prefix("W/").unwrap_or(rest);
            // A comma may stand within the quotes.
            let end = rest.get(1..).and_then(|tail| tail.find('"')).ok_or_else(invalid)? + 2;
            listed.push((weak, rest[..end].parse().map_err(|_| invalid())?));
            rest = rest[end..].trim_start();
            match rest.strip_prefix(',') {
                Some(more) => rest = more.trim_start(),
                None if rest.is_empty() => break,
                None => return Err(invalid()),
            }
        }
    }
    match (lines, any) {
        (0, _) => Ok(None),
        (1, true) => Ok(Some(Tags::Any)),
        (_, true) => Err(invalid()),
        (_, false) => Ok(Some(Tags::Listed(listed))),
    }
}

/// The part that is wanted of a file with this tag; `None` for the whole. What is no single range of bytes
/// is ignored, as §14.2 allows, and so is a range for another content than this (`If-Range`, §13.1.5; a date
/// there never matches, since none was given).
pub(super) fn range(headers: &HeaderMap, tag: Option<&ETag>) -> Option<ByteRange> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let range = single_range(text(header::RANGE)?)?;
    match headers.get(header::IF_RANGE) {
        None => Some(range),
        Some(value) => {
            let given: Option<ETag> = value.to_str().ok().and_then(|text| text.trim().parse().ok());
            given.filter(|given| Some(given) == tag).map(|_| range)
        }
    }
}

fn single_range(text: &str) -> Option<ByteRange> {
    let (unit, range) = text.trim().split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = range.trim().split_once('-')?;
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        // More digits than a size can have lie behind any end.
        digits.then(|| text.parse().unwrap_or(u64::MAX))
    };
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => Some(ByteRange::FromTo(first, last)),
        (Some(first), None) if last.is_empty() => Some(ByteRange::From(first)),
        (None, Some(count)) if first.is_empty() => Some(ByteRange::Last(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn headers(lines: &[(HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name.clone(), HeaderValue::from_str(value).expect("a value"));
        }
        headers
    }

    fn tag(text: &str) -> ETag {
        text.parse().expect("a tag")
    }

    #[test]
    fn conditions_of_writes() {
        let read = |lines: &[(HeaderName, &str)]| {
            Conditions::read(&headers(lines)).and_then(Conditions::of_write).map_err(|problem| problem.code())
        };
        let (if_match, none) = (header::IF_MATCH, header::IF_NONE_MATCH);
        assert_eq!(read(&[]), Ok(Precondition::None));
        assert_eq!(read(&[(if_match.clone(), "*")]), Ok(Precondition::Exists));
        assert_eq!(read(&[(none.clone(), "*")]), Ok(Precondition::Absent));
        let two = Precondition::Match(vec![tag("\"a,b\""), tag("\"c\"")]);
        assert_eq!(read(&[(if_match.clone(), "\"a,b\" ,W/\"weak\", \"c\"")]), Ok(two.clone()));
        assert_eq!(read(&[(if_match.clone(), "\"a,b\""), (if_match.clone(), "\"c\"")]), Ok(two));
        assert_eq!(read(&[(if_match.clone(), "W/\"a\"")]), Ok(Precondition::Match(vec![])));
        for bad in ["", "a", "\"a", "\"a\" \"b\"", "\"a\",", "*, \"a\"", "\"", "\"\u{fc}\""] {
            assert!(read(&[(if_match.clone(), bad)]).is_err(), "{bad:?}");
        }
        assert!(read(&[(none.clone(), "\"a\"")]).is_err());
        assert!(read(&[(none.clone(), "*"), (if_match.clone(), "*")]).is_err());
        assert!(read(&[(if_match.clone(), "*"), (if_match, "\"a\"")]).is_err());
    }

    #[test]
    fn conditions_of_reads() {
        let verdict = |name: &HeaderName, value: &str| {
            let conditions = Conditions::read(&headers(&[(name.clone(), value)])).expect("well-formed");
            conditions.of_read(Some(&tag("\"a\"")))
        };
        for (value, expected) in
            [("*", Verdict::Go), ("\"b\", \"a\"", Verdict::Go), ("W/\"a\"", Verdict::Failed)]
        {
            assert_eq!(verdict(&header::IF_MATCH, value), expected, "{value}");
        }
        for (value, expected) in
            [("*", Verdict::NotModified), ("W/\"a\"", Verdict::NotModified), ("\"b\"", Verdict::Go)]
        {
            assert_eq!(verdict(&header::IF_NONE_MATCH, value), expected, "{value}");
        }
    }

    #[test]
    fn ranges_are_single_or_ignored() {
        for (text, expected) in [
            ("bytes=0-4", Some(ByteRange::FromTo(0, 4))),
            ("Bytes = 5-", Some(ByteRange::From(5))),
            ("bytes=-3", Some(ByteRange::Last(3))),
            ("bytes=0-99999999999999999999", Some(ByteRange::FromTo(0, u64::MAX))),
            ("bytes=4-0", None),
            ("bytes=0-1,3-4", None),
            ("bytes=-", None),
            ("bytes=a-b", None),
            ("bytes=+1-2", None),
            ("lines=0-1", None),
            ("bytes", None),
        ] {
            assert_eq!(single_range(text), expected, "{text}");
        }
        let conditional = |if_range: &str| {
            let headers = headers(&[(header::RANGE, "bytes=0-4"), (header::IF_RANGE, if_range)]);
            range(&headers, Some(&tag("\"a\""))).is_some()
        };
        assert!(conditional("\"a\""));
        for other in ["\"b\"", "W/\"a\"", "Sun, 22 Nov 2026 17:36:12 GMT", ""] {
            assert!(!conditional(other), "{other}");
        }
    }
}
