//! Each request's own id: a random prefix of this process and a counter.

use std::sync::atomic::{AtomicU64, Ordering};

use actix_web::http::header::HeaderValue;

use crate::rng::Rng;

const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const PREFIX: usize = 8;
const COUNTER: usize = 9;

/// Gives out ids, none twice. Two processes' ids differ in 40 random bits.
pub(super) struct RequestIds {
    prefix: [u8; PREFIX],
    next: AtomicU64,
}

impl RequestIds {
    pub(super) fn new(rng: &Rng) -> Self {
        let prefix = rng.bytes::<PREFIX>().map(|byte| DIGITS[usize::from(byte % 32)]);
        Self { prefix, next: AtomicU64::new(1) }
    }

    pub(super) fn next(&self) -> RequestId {
        let mut text = [b'-'; PREFIX + 1 + COUNTER];
        text[..PREFIX].copy_from_slice(&self.prefix);
        let mut rest = self.next.fetch_add(1, Ordering::Relaxed);
        for digit in text[PREFIX + 1..].iter_mut().rev() {
            *digit = DIGITS[(rest % 32) as usize];
            rest /= 32;
        }
        RequestId(text)
    }
}

/// One request's id, `k3f9a2zq-00000001a`.
#[derive(Clone, Copy)]
pub(super) struct RequestId([u8; PREFIX + 1 + COUNTER]);

impl RequestId {
    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    pub(super) fn header(&self) -> HeaderValue {
        HeaderValue::from_bytes(&self.0).expect("digits, letters and a dash are a header value")
    }
}

/// The id a client or proxy gave the request, if it is fit for a log.
pub(super) fn sane(value: &HeaderValue) -> Option<&str> {
    let text = value.to_str().ok()?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    ((1..=128).contains(&text.len()) && text.bytes().all(plain)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_say_nothing_but_their_order() {
        let ids = RequestIds::new(&Rng::seeded(1));
        let (a, b) = (ids.next(), ids.next());
        assert_ne!(a.as_str(), b.as_str());
        assert_eq!(a.as_str()[..PREFIX + 1], b.as_str()[..PREFIX + 1]);
        assert!(a.as_str().ends_with("-000000001"), "{}", a.as_str());
        let other = RequestIds::new(&Rng::seeded(2)).next();
        assert_ne!(a.as_str(), other.as_str());
    }

    #[test]
    fn only_plain_foreign_ids_reach_a_log() {
        let value = |text: &str| HeaderValue::from_str(text).expect("a header value");
        assert_eq!(sane(&value("4bf92f35-77b3.x_1")), Some("4bf92f35-77b3.x_1"));
        for text in ["", "a b", "a\tb", "<script>", "x=1", "ä"] {
            assert_eq!(sane(&HeaderValue::from_bytes(text.as_bytes()).expect("bytes")), None, "{text}");
        }
        assert_eq!(sane(&value(&"a".repeat(129))), None);
    }
}
