//! Times in words.

use crate::clock::Timestamp;

/// `in 6 days`, `3 hours ago`, `now`.
pub(super) fn relative(time: Timestamp, now: Timestamp) -> String {
    match time.since(now) {
        0 => "now".to_owned(),
        ahead @ 1.. => format!("in {}", span(ahead.unsigned_abs())),
        behind => format!("{} ago", span(behind.unsigned_abs())),
    }
}

/// `6 days`: the largest unit of which there are at least two, rounded down.
fn span(seconds: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(86_400, "days"), (3_600, "hours"), (60, "minutes")];
    for (length, name) in UNITS {
        if seconds >= 2 * length {
            return format!("{} {name}", seconds / length);
        }
    }
    if seconds == 1 { "1 second".to_owned() } else { format!("{seconds} seconds") }
}

/// Seconds of a text such as `90d`, `24h`, `10m` or `30s`.
pub(super) fn duration(text: &str) -> Result<i64, &'static str> {
    const EXPECTED: &str = "a number with d, h, m or s, such as 90d or 24h";
    let unit = match text.chars().last() {
        Some('d') => 86_400,
        Some('h') => 3_600,
        Some('m') => 60,
        Some('s') => 1,
        _ => return Err(EXPECTED),
    };
    let number = &text[..text.len() - 1];
    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
        return Err(EXPECTED);
    }
    number.parse::<i64>().ok().and_then(|number| number.checked_mul(unit)).ok_or("too long")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_from_now() {
        let now = Timestamp::from_unix(1_000_000);
        for (seconds, words) in [
            (0, "now"),
            (1, "in 1 second"),
            (119, "in 119 seconds"),
            (120, "in 2 minutes"),
            (7_199, "in 119 minutes"),
            (-7_200, "2 hours ago"),
            (6 * 86_400 + 5, "in 6 days"),
        ] {
            assert_eq!(relative(now.plus(seconds), now), words);
        }
    }

    #[test]
    fn a_duration_has_its_unit() {
        assert_eq!(duration("90d"), Ok(90 * 86_400));
        assert_eq!(duration("24h"), Ok(86_400));
        assert_eq!(duration("0s"), Ok(0));
        for bad in ["", "d", "90", "-1d", "1.5h", "1w", "ד", "9999999999999999999d", "999999999999999999d"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
