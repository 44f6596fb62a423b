//! What header fields say about time: how long a document stays fresh, how long to wait, what time
//! it is over there.
//!
//! A header is anybody's text. Every number here saturates, every result has a cap, and what cannot
//! be read makes a document stale rather than fresh.

use std::time::Duration;

use http::HeaderMap;
use http::header::{AGE, CACHE_CONTROL, DATE, EXPIRES, HeaderName, RETRY_AFTER};

use crate::clock::Timestamp;

/// The longest a document stays fresh, whatever its headers say. Google's keys say about six hours.
const MAX_FRESH: i64 = 24 * 60 * 60;

/// How long a document stays fresh that says nothing about it.
const DEFAULT_FRESH: i64 = 5 * 60;

/// The longest wait that is passed on; more would only be a mistake over there.
const MAX_WAIT: i64 = 24 * 60 * 60;

/// Until when a document received at `now` may be used without asking again: `max-age − Age`, else
/// `Expires − Date − Age` (RFC 9111 §4.2), else five minutes; not at all under `no-store` or
/// `no-cache`.
pub(super) fn fresh_until(headers: &HeaderMap, now: Timestamp) -> Timestamp {
    let lifetime = match cache_control(headers) {
        CacheControl::Never => 0,
        CacheControl::MaxAge(seconds) => seconds,
        CacheControl::Silent => expires(headers, now).unwrap_or(DEFAULT_FRESH),
    };
    let age = field(headers, &AGE).and_then(seconds).unwrap_or(0);
    now.plus(lifetime.saturating_sub(age).clamp(0, MAX_FRESH))
}

/// The server's clock (`Date`).
pub(super) fn server_date(headers: &HeaderMap) -> Option<Timestamp> {
    field(headers, &DATE).and_then(http_date)
}

/// The server's clock as the answer came: a copy out of a cache carries the date it was made, and its age
/// (RFC 9111 §4.2.3).
pub(super) fn server_now(headers: &HeaderMap) -> Option<Timestamp> {
    let age = field(headers, &AGE).and_then(seconds).unwrap_or(0);
    server_date(headers).map(|date| date.plus(age))
}

/// How long the server asks to wait (RFC 9110 §10.2.3): seconds, or a date on the server's own clock.
pub(super) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = field(headers, &RETRY_AFTER)?;
    let wait = seconds(text).or_else(|| Some(http_date(text)?.since(server_date(headers).unwrap_or(now))))?;
    Some(Duration::from_secs(wait.clamp(0, MAX_WAIT).unsigned_abs()))
}

enum CacheControl {
    Never,
    MaxAge(i64),
    Silent,
}

/// The directives of all `Cache-Control` fields. Of several `max-age` the smallest counts, and one
/// that is no number counts as 0 (RFC 9111 §4.2.1: invalid freshness is staleness).
fn cache_control(headers: &HeaderMap) -> CacheControl {
    let mut max_age = None::<i64>;
    let fields = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    for directive in fields.flat_map(|field| field.split(',')) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        match name.trim().to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" => return CacheControl::Never,
            "max-age" => {
                let given = seconds(value.trim().trim_matches('"')).unwrap_or(0);
                max_age = Some(max_age.map_or(given, |least| least.min(given)));
            }
            _ => {}
        }
    }
    max_age.map_or(CacheControl::Silent, CacheControl::MaxAge)
}

/// `Expires − Date`, with our clock for a missing `Date`; 0 when `Expires` is no date, as in
/// `Expires: 0` (RFC 9111 §5.3). `None` without the field.
fn expires(headers: &HeaderMap, now: Timestamp) -> Option<i64> {
    headers.get(EXPIRES)?;
    let lifetime = field(headers, &EXPIRES)
        .and_then(http_date)
        .map_or(0, |expires| expires.since(server_date(headers).unwrap_or(now)));
    Some(lifetime.max(0))
}

fn field<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// Digits only; a number too large for the type is as good as the largest.
fn seconds(text: &str) -> Option<i64> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(i64::MAX))
}

/// An HTTP date in any of its three forms (RFC 9110 §5.6.7).
fn http_date(text: &str) -> Option<Timestamp> {
    use jiff::fmt::{rfc2822, strtime};

    if !text.ends_with("GMT") {
        let date = strtime::parse("%a %b %e %H:%M:%S %Y", text).ok()?.to_datetime().ok()?;
        return utc(date);
    }
    match rfc2822::DateTimeParser::new().parse_timestamp(text) {
        Ok(time) => Some(Timestamp::from_unix(time.as_second())),
        Err(_) => utc(strtime::parse("%A, %d-%b-%y %H:%M:%S GMT", text).ok()?.to_datetime().ok()?),
    }
}

fn utc(date: jiff::civil::DateTime) -> Option<Timestamp> {
    let time = date.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(Timestamp::from_unix(time.timestamp().as_second()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_795_368_972);

    type Fields<'t> = &'t [(&'static str, &'static str)];

    fn headers(fields: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(
                name.parse::<HeaderName>().expect("a name"),
                http::HeaderValue::from_bytes(value.as_bytes()).expect("a value"),
            );
        }
        map
    }

    #[test]
    fn a_cached_answer_tells_the_time_by_its_age() {
        let date = ("date", "Sun, 22 Nov 2026 17:35:12 GMT");
        let fresh = server_now(&headers(&[date])).expect("a date");
        let cached = server_now(&headers(&[date, ("age", "1234")])).expect("a date");
        assert_eq!(cached.since(fresh), 1234);
        assert_eq!(server_now(&headers(&[("age", "1234")])), None);
    }

    #[test]
    fn freshness() {
        let date = ("date", "Sun, 22 Nov 2026 17:36:12 GMT");
        let table: &[(Fields<'_>, i64)] = &[
            (&[], 300),
            (&[("cache-control", "public, max-age=23641, must-revalidate, no-transform")], 23_641),
            (&[("cache-control", "public, max-age=23641"), ("age", "1234")], 22_407),
            (&[("cache-control", "max-age=100"), ("age", "101")], 0),
            (&[("cache-control", "max-age=100"), ("age", "99999999999999999999999")], 0),
            (&[("cache-control", "max-age=100"), ("age", "-5")], 100),
            (&[("cache-control", "max-age=100"), ("age", "old")], 100),
            (&[("cache-control", "MAX-AGE=100")], 100),
            (&[("cache-control", "max-age=\"100\"")], 100),
            (&[("cache-control", " max-age = 100 ")], 100),
            (&[("cache-control", "max-age=99999999999999999999999999")], MAX_FRESH),
            (&[("cache-control", "max-age=9223372036854775807"), ("age", "9223372036854775807")], 0),
            (&[("cache-control", "max-age=-1")], 0),
            (&[("cache-control", "max-age=soon")], 0),
            (&[("cache-control", "max-age")], 0),
            (&[("cache-control", "max-age=500"), ("cache-control", "max-age=60")], 60),
            (&[("cache-control", "max-age=500, no-store")], 0),
            (&[("cache-control", "no-cache"), ("expires", "Sun, 22 Nov 2026 18:36:12 GMT")], 0),
            (&[("cache-control", "public"), date, ("expires", "Sun, 22 Nov 2026 18:36:12 GMT")], 3600),
            (&[date, ("expires", "Sun, 22 Nov 2026 18:36:12 GMT"), ("age", "600")], 3000),
            (&[date, ("expires", "Sunday, 22-Nov-26 18:36:12 GMT")], 3600),
            (&[date, ("expires", "Sun Nov 22 18:36:12 2026")], 3600),
            (&[date, ("expires", "Sun, 22 Nov 2026 10:00:00 GMT")], 0),
            (&[date, ("expires", "0")], 0),
            (&[date, ("expires", "-1")], 0),
            (&[("date", "today"), ("expires", "Sun, 22 Nov 2026 17:37:12 GMT")], 60),
            (&[("expires", "Sun, 22 Nov 2026 17:36:13 GMT")], 1),
            (&[("expires", "Thu, 01 Jan 2099 00:00:00 GMT")], MAX_FRESH),
            // Past the end of the calendar: unreadable, so stale.
            (&[("expires", "Fri, 31 Dec 9999 23:59:59 GMT")], 0),
            (&[("cache-control", "max-age=60"), date, ("expires", "Sun, 22 Nov 2026 18:36:12 GMT")], 60),
        ];
        for (fields, expected) in table {
            let got = fresh_until(&headers(fields), NOW).since(NOW);
            assert_eq!(got, *expected, "{fields:?}");
        }
    }

    #[test]
    fn waiting() {
        let date = ("date", "Sun, 22 Nov 2026 17:36:12 GMT");
        let table: &[(Fields<'_>, Option<u64>)] = &[
            (&[], None),
            (&[("retry-after", "2")], Some(2)),
            (&[("retry-after", "0")], Some(0)),
            (&[("retry-after", "999999999999999999999")], Some(86_400)),
            (&[("retry-after", "-1")], None),
            (&[("retry-after", "1.5")], None),
            (&[("retry-after", "soon")], None),
            (&[date, ("retry-after", "Sun, 22 Nov 2026 17:36:42 GMT")], Some(30)),
            (&[date, ("retry-after", "Sun, 22 Nov 2026 17:00:00 GMT")], Some(0)),
            (&[("retry-after", "Sun, 22 Nov 2026 17:36:22 GMT")], Some(10)),
        ];
        for (fields, expected) in table {
            let got = retry_after(&headers(fields), NOW);
            assert_eq!(got, expected.map(Duration::from_secs), "{fields:?}");
        }
    }
}
