//! A live reader of the log.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, watch};

use super::{Event, Events, Reading};
use crate::ids::ApiKeyId;
use crate::turns::Turn;
use crate::vault::VaultError;

/// After so long without an event a reader hears that it is still connected.
const QUIET: Duration = Duration::from_secs(15);

/// So many read along already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many read along already")]
pub struct TooManyFeeds;

/// A reader of the log that waits for what comes. Its place is free again once it is dropped.
#[derive(Debug)]
pub struct Feed {
    events: Events,
    reading: Reading,
    /// Everything up to here was looked at.
    after: i64,
    ready: VecDeque<Event>,
    newest: watch::Receiver<i64>,
    _place: OwnedSemaphorePermit,
    _share: Option<Turn<ApiKeyId>>,
}

/// What a feed brings.
#[derive(Clone, Debug, PartialEq)]
pub enum Fed {
    /// The next event.
    Event(Box<Event>),
    /// Nothing happened for a while.
    Quiet,
}

impl Events {
    /// Reads along behind an id; without one, behind what there is now. The owner and keys do not take each
    /// other's places, and no key takes those of all.
    ///
    /// # Errors
    /// [`TooManyFeeds`].
    pub fn feed(
        &self,
        reading: Reading,
        after: Option<i64>,
        key: Option<ApiKeyId>,
    ) -> Result<Feed, TooManyFeeds> {
        let (places, share) = match key {
            None => (&self.0.feeds, None),
            Some(key) => {
                let share = self.0.feeds_of_key.try_take(key).ok_or(TooManyFeeds)?;
                (&self.0.feeds_of_keys, Some(share))
            }
        };
        let place = places.clone().try_acquire_owned().map_err(|_| TooManyFeeds)?;
        let newest = self.0.newest.subscribe();
        // An id that is yet to come would hide what comes before it.
        let now = *newest.borrow();
        let after = after.map_or(now, |after| after.min(now));
        Ok(Feed {
            events: self.clone(),
            reading,
            after,
            ready: VecDeque::new(),
            newest,
            _place: place,
            _share: share,
        })
    }
}

impl Feed {
    /// The next event, as soon as there is one; `None` once locum stops.
    ///
    /// # Errors
    /// When the vault cannot be read.
    pub async fn next(&mut self) -> Result<Option<Fed>, VaultError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(Fed::Event(Box::new(event))));
            }
            if self.events.0.lifecycle.is_stopping() {
                return Ok(None);
            }
            let newest = *self.newest.borrow_and_update();
            if self.after < newest {
                // Nothing behind `newest` is looked at, so `after` is never set past what was looked at.
                let (events, rest) = self.events.read_on(&self.reading, self.after, newest + 1).await?;
                self.ready.extend(events);
                self.after = rest.unwrap_or(newest);
                continue;
            }
            tokio::select! {
                biased;
                () = self.events.0.lifecycle.stopping() => return Ok(None),
                changed = self.newest.changed() => if changed.is_err() { return Ok(None) },
                () = tokio::time::sleep(QUIET) => return Ok(Some(Fed::Quiet)),
            }
        }
    }
}
