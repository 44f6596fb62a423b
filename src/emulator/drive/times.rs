//! Times as Drive writes and reads them: RFC 3339 with milliseconds in UTC.

/// `2026-11-22T17:36:12.000Z`.
pub(super) fn text(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms)
        .map(|time| time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
        .unwrap_or_else(|_| "1970-01-01T00:00:00.000Z".to_owned())
}

/// Unix milliseconds of an RFC 3339 time; without an offset it is UTC.
pub(super) fn parse(text: &str) -> Option<i64> {
    let with_offset = text.parse::<jiff::Timestamp>().ok();
    let time = with_offset.or_else(|| {
        let civil: jiff::civil::DateTime = text.parse().ok()?;
        civil.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|time| time.timestamp())
    })?;
    Some(time.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_back_with_their_milliseconds() {
        for ms in [0, 1_795_368_972_007, 951_782_400_120] {
            assert_eq!(parse(&text(ms)), Some(ms));
        }
        assert_eq!(text(1_795_368_972_007), "2026-11-22T17:36:12.007Z");
        assert_eq!(parse("2026-11-22T18:36:12.0079+01:00"), Some(1_795_368_972_007));
        assert_eq!(parse("2026-11-22T17:36:12"), Some(1_795_368_972_000));
        assert_eq!(parse("yesterday"), None);
    }
}
