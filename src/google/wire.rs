//! Sending: one attempt or several, forms, and what an answer becomes.

use std::time::Duration;

use http::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Client, RequestBuilder};
use url::{Url, form_urlencoded};
use zeroize::Zeroizing;

use super::classify::classify;
use super::error::{Call, GoogleError, Outage};
use super::{Fetched, Google, freshness};
use crate::outbound::{Answer, OutboundError};

/// How often an idempotent call is repeated after an outage.
const RETRIES: u32 = 2;

/// The longest `Retry-After` that is waited for here; a longer one is the caller's to plan with.
const MAX_PAUSE: Duration = Duration::from_secs(3);

/// No attempt begins later than this after the first. A caller waits at most this long plus one
/// call's own time limit.
const RETRY_WINDOW: Duration = Duration::from_secs(5);

/// The first pause is this to twice this, the next four times as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

impl Google {
    /// One attempt. `Ok` is an answer with a success status.
    pub(super) async fn send_once(
        &self,
        call: Call,
        request: impl FnOnce(&Client) -> RequestBuilder,
    ) -> Result<Answer, GoogleError> {
        let client = self.outbound.client().map_err(failed)?;
        let answer = self.outbound.send(request(&client)).await.map_err(failed)?;
        let success = answer.status == 200 || (call == Call::Revoke && (200..300).contains(&answer.status));
        if success {
            return Ok(answer);
        }
        let retry_after = freshness::retry_after(&answer.headers, self.clock.now());
        Err(classify(call, answer.status, &answer.body, retry_after))
    }

    /// As [`Google::send_once`], and again after an outage that a moment may cure. Only for calls
    /// that may be carried out twice.
    pub(super) async fn send_repeatedly(
        &self,
        call: Call,
        request: impl Fn(&Client) -> RequestBuilder,
    ) -> Result<Answer, GoogleError> {
        let stopwatch = self.clock.stopwatch();
        let mut attempt = 0;
        loop {
            let error = match self.send_once(call, &request).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let pause =
                self.pause(&error, attempt).filter(|pause| stopwatch.elapsed() + *pause < RETRY_WINDOW);
            let Some(pause) = pause else { return Err(error) };
            tracing::debug!(attempt, %error, "asking Google again");
            self.clock.sleep(pause).await;
            attempt += 1;
        }
    }

    /// How long to wait before another attempt; `None` when there should be none. A call that ran
    /// into the time limit has used up the caller's patience, and a redirect does not go away.
    fn pause(&self, error: &GoogleError, attempt: u32) -> Option<Duration> {
        let GoogleError::Unavailable { retry_after, what, .. } = error else { return None };
        let hopeless = matches!(what, Outage::TimedOut | Outage::Redirected(_));
        let asked = retry_after.unwrap_or_default();
        if hopeless || attempt >= RETRIES || asked > MAX_PAUSE {
            return None;
        }
        let step = FIRST_PAUSE * 4_u32.pow(attempt);
        Some(asked.max(step + self.rng.jitter(step)))
    }

    /// A fetched document with what its headers say about keeping it.
    pub(super) fn fetched<T>(
        &self,
        answer: &Answer,
        parse: impl FnOnce(&[u8]) -> Result<T, GoogleError>,
    ) -> Result<Fetched<T>, GoogleError> {
        let value = parse(&answer.body)?;
        let fetched_at = self.clock.now();
        Ok(Fetched {
            value,
            raw: answer.body.to_vec(),
            fetched_at,
            fresh_until: freshness::fresh_until(&answer.headers, fetched_at),
            server_date: freshness::server_now(&answer.headers),
        })
    }
}

/// A POST of a form. Empty fields are sent: `redirect_uri=` must not be dropped.
pub(super) fn post_form(client: &Client, url: &Url, fields: &[(&str, &str)]) -> RequestBuilder {
    // Room for the worst case, three bytes for one, so that no outgrown buffer is left behind
    // unwiped. The finished one is moved into the request, not copied.
    let room = fields.iter().map(|(name, value)| 3 * (name.len() + value.len()) + 2).sum();
    let mut body = Zeroizing::new(String::with_capacity(room));
    form_urlencoded::Serializer::new(&mut *body).extend_pairs(fields);
    client
        .post(url.clone())
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(ACCEPT, "application/json")
        .body(std::mem::take(&mut *body))
}

fn failed(error: OutboundError) -> GoogleError {
    let outcome_unknown = !error.nothing_was_sent();
    let what = match error {
        OutboundError::Connect(reason) | OutboundError::Tls(reason) => Outage::Unreachable { reason },
        OutboundError::Timeout => Outage::TimedOut,
        OutboundError::Broken => Outage::ConnectionBroke,
        OutboundError::TooLarge(_) => return GoogleError::NotAnAnswer,
    };
    GoogleError::Unavailable { retry_after: None, outcome_unknown, what }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, Timestamp};
    use crate::outbound::{Limits, Outbound};
    use crate::rng::Rng;

    #[test]
    fn pauses_grow_and_obey_the_server() {
        let clock = Clock::manual(Timestamp::EPOCH);
        let google = Google::new(Outbound::new(Limits::default()), clock, Rng::seeded(1));
        let error = |seconds: Option<u64>| GoogleError::Unavailable {
            retry_after: seconds.map(Duration::from_secs),
            outcome_unknown: false,
            what: Outage::RateLimited,
        };
        let mut pauses = std::collections::BTreeSet::new();
        for _ in 0..100 {
            let first = google.pause(&error(None), 0).expect("a second attempt");
            let next = google.pause(&error(None), 1).expect("a third attempt");
            assert!((FIRST_PAUSE..FIRST_PAUSE * 2).contains(&first), "{first:?}");
            assert!((FIRST_PAUSE * 4..FIRST_PAUSE * 8).contains(&next), "{next:?}");
            pauses.insert(first);
        }
        assert!(pauses.len() > 10, "callers that failed together must not come back together");
        assert_eq!(google.pause(&error(None), 2), None);
        assert_eq!(google.pause(&error(Some(3)), 0), Some(Duration::from_secs(3)));
        assert_eq!(google.pause(&error(Some(4)), 0), None);
        assert_eq!(google.pause(&GoogleError::NotAnAnswer, 0), None);
    }
}
