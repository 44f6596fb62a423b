//! Single flight: many ask, one works, all get the answer.
//!
//! A flight is a task of its own, so a caller that goes away cancels nothing. Its place in the table
//! is freed when the work ends, by whatever way, a panic included: a crash leaves nothing to clear.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::lifecycle::{Lifecycle, TaskDied};

pub(super) struct Flights<K, V>(Arc<Mutex<HashMap<K, watch::Receiver<Option<V>>>>>);

/// Frees the flight's place however the work ends.
struct Place<K: Hash + Eq, V> {
    key: K,
    table: Arc<Mutex<HashMap<K, watch::Receiver<Option<V>>>>>,
}

impl<K: Hash + Eq, V> Drop for Place<K, V> {
    fn drop(&mut self) {
        self.table.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

impl<K, V> Flights<K, V>
where
    K: Hash + Eq + Clone + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub(super) fn new() -> Self {
        Self(Arc::default())
    }

    /// Joins the flight of `key` or starts one, and waits for its answer. `joined` says which.
    pub(super) async fn fly<F>(
        &self,
        lifecycle: &Lifecycle,
        key: K,
        work: impl FnOnce() -> F,
    ) -> (Joined, Result<V, TaskDied>)
    where
        F: Future<Output = V> + Send + 'static,
    {
        let (joined, mut answer) = self.join_or_start(lifecycle, key, work);
        let landed = answer.wait_for(Option::is_some).await.map_err(|_| TaskDied);
        (joined, landed.map(|value| value.clone().expect("waited until it is there")))
    }

    /// Starts the flight of `key` unless one is under way, and waits for nothing.
    pub(super) fn start<F>(&self, lifecycle: &Lifecycle, key: K, work: impl FnOnce() -> F)
    where
        F: Future<Output = V> + Send + 'static,
    {
        self.join_or_start(lifecycle, key, work);
    }

    fn join_or_start<F>(
        &self,
        lifecycle: &Lifecycle,
        key: K,
        work: impl FnOnce() -> F,
    ) -> (Joined, watch::Receiver<Option<V>>)
    where
        F: Future<Output = V> + Send + 'static,
    {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = match table.entry(key) {
            Entry::Occupied(under_way) => return (Joined::Other, under_way.get().clone()),
            Entry::Vacant(slot) => slot,
        };
        let (publish, answer) = watch::channel(None);
        let place = Place { key: slot.key().clone(), table: self.0.clone() };
        let work = work();
        lifecycle.spawn(async move {
            let value = work.await;
            // Freed first: who comes after the answer is out must not join the flight that gave it.
            drop(place);
            publish.send_replace(Some(value));
        });
        slot.insert(answer.clone());
        (Joined::Own, answer)
    }
}

/// Whose flight it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Joined {
    Own,
    Other,
}

impl<K, V> std::fmt::Debug for Flights<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Flights")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn many_callers_one_work() {
        let (lifecycle, flights) = (Lifecycle::new(), Flights::new());
        let worked = Arc::new(AtomicUsize::new(0));
        let callers = (0..50).map(|_| {
            let worked = worked.clone();
            flights.fly(&lifecycle, "key", move || async move {
                tokio::task::yield_now().await;
                worked.fetch_add(1, Ordering::SeqCst)
            })
        });
        let answers = futures_util::future::join_all(callers).await;
        assert_eq!(worked.load(Ordering::SeqCst), 1);
        assert!(answers.iter().all(|(_, answer)| *answer == Ok(0)));
        assert_eq!(answers.iter().filter(|(joined, _)| *joined == Joined::Own).count(), 1);
    }

    #[tokio::test]
    async fn a_panic_frees_the_place() {
        let (lifecycle, flights) = (Lifecycle::new(), Flights::<_, u8>::new());
        let (_, outcome) = flights.fly(&lifecycle, 1, || async { panic!("on purpose") }).await;
        assert_eq!(outcome, Err(TaskDied));
        assert_eq!(flights.fly(&lifecycle, 1, || async { 7 }).await, (Joined::Own, Ok(7)));
    }
}
