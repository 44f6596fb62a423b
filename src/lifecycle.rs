//! The only module that spawns tasks, and the one way to stop them.
//!
//! Work that must not be cut short (an exchange, a refresh, a revocation) runs through
//! [`Lifecycle::run`]: the caller only waits for it, and a caller that goes away cancels nothing.
//! [`Lifecycle::stop`] lets such work finish within a limit. Background jobs are a `step` called in
//! a loop that ends with the process; tests call the step themselves.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// Tracks every task of one running locum. Cheap to clone; clones are the same lifecycle.
#[derive(Clone, Debug, Default)]
pub struct Lifecycle {
    tracker: TaskTracker,
    stopping: CancellationToken,
}

/// One type for all tasks of one result: tokio's machinery for each type of task weighs more than some of the tasks.
type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Work under way that is no task of its own, from [`Lifecycle::admit`].
#[derive(Debug)]
pub struct UnderWay {
    _token: TaskTrackerToken,
}

/// A task ended without a result: it panicked, or its runtime was torn down under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the task ended before it had a result")]
pub struct TaskDied;

impl Lifecycle {
    /// A lifecycle that nothing has stopped yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs `work` to its end whether or not the caller goes on waiting.
    ///
    /// # Errors
    /// [`TaskDied`] when the work panicked.
    pub async fn run<F>(&self, work: F) -> Result<F::Output, TaskDied>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.spawn(work).await.map_err(|_| TaskDied)
    }

    /// Starts `work` and returns at once. A graceful stop waits for it.
    pub fn spawn<F>(&self, work: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let work: Boxed<F::Output> = Box::pin(work);
        self.tracker.spawn(work)
    }

    /// Runs `work`, which computes or reads files, beside the threads that serve requests, and to its end
    /// whether or not the caller goes on waiting.
    ///
    /// # Errors
    /// [`TaskDied`] when the work panicked.
    pub async fn run_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, TaskDied> {
        self.tracker.spawn_blocking(work).await.map_err(|_| TaskDied)
    }

    /// Calls `step` every `period` until the process stops; the first call comes after `first`.
    /// A step that panics ends the job loudly and leaves the rest of the process alone.
    pub fn job<S, F>(&self, name: &'static str, first: Duration, period: Duration, mut step: S)
    where
        S: FnMut() -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        self.start_job(name, first, period, Box::new(move || Box::pin(step())));
    }

    fn start_job(
        &self,
        name: &'static str,
        first: Duration,
        period: Duration,
        mut step: Box<dyn FnMut() -> Boxed<()> + Send>,
    ) {
        let stopping = self.stopping.clone();
        let supervised = self.spawn(async move {
            let mut wait = first;
            while stopping.run_until_cancelled(tokio::time::sleep(wait)).await.is_some() {
                step().await;
                wait = period;
            }
        });
        self.spawn(async move {
            if supervised.await.is_err_and(|error| error.is_panic()) {
                tracing::error!(
                    job = name,
                    "a background job panicked and will not run again until locum is restarted"
                );
            }
        });
    }

    /// Counts the caller among the work under way, which a graceful stop waits for, until the returned
    /// value is dropped. `None` once a stop has begun.
    pub fn admit(&self) -> Option<UnderWay> {
        // First the token, then the look: a stop that begins in between waits for it.
        let token = self.tracker.token();
        (!self.is_stopping()).then_some(UnderWay { _token: token })
    }

    /// Whether a stop has begun.
    pub fn is_stopping(&self) -> bool {
        self.stopping.is_cancelled()
    }

    /// Resolves once a stop has begun.
    pub async fn stopping(&self) {
        self.stopping.cancelled().await;
    }

    /// Begins the stop: jobs end after their current step, [`Lifecycle::stopping`] resolves.
    pub fn begin_stop(&self) {
        self.stopping.cancel();
        self.tracker.close();
    }

    /// Begins the stop and waits up to `limit` for the work under way. Returns whether all of it
    /// finished.
    pub async fn stop(&self, limit: Duration) -> bool {
        self.begin_stop();
        tokio::time::timeout(limit, self.tracker.wait()).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn work_goes_on_without_its_caller() {
        let lifecycle = Lifecycle::new();
        let done = Arc::new(AtomicUsize::new(0));
        let (release, wait) = tokio::sync::oneshot::channel::<()>();
        let work = {
            let done = done.clone();
            async move {
                wait.await.expect("released");
                done.fetch_add(1, Ordering::SeqCst);
            }
        };
        {
            let mut caller = Box::pin(lifecycle.run(work));
            assert!(futures_util::poll!(caller.as_mut()).is_pending());
        }
        release.send(()).expect("the work outlives its caller");
        assert!(lifecycle.stop(Duration::from_secs(5)).await);
        assert_eq!(done.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_stop_waits_for_what_was_admitted_and_admits_nothing_more() {
        let lifecycle = Lifecycle::new();
        let under_way = lifecycle.admit().expect("nothing has stopped yet");
        let mut stop = Box::pin(lifecycle.stop(Duration::from_secs(60)));
        assert!(futures_util::poll!(stop.as_mut()).is_pending());
        assert!(lifecycle.admit().is_none());
        assert!(futures_util::poll!(stop.as_mut()).is_pending());
        drop(under_way);
        assert!(stop.await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_steps_until_the_stop() {
        let lifecycle = Lifecycle::new();
        let steps = Arc::new(AtomicUsize::new(0));
        let counted = steps.clone();
        lifecycle.job("count", Duration::ZERO, Duration::from_secs(10), move || {
            counted.fetch_add(1, Ordering::SeqCst);
            async {}
        });
        tokio::time::sleep(Duration::from_secs(25)).await;
        assert!(lifecycle.stop(Duration::from_secs(1)).await);
        assert_eq!(steps.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_not_an_end() {
        let lifecycle = Lifecycle::new();
        let outcome = lifecycle.run(async { panic!("on purpose") }).await;
        assert_eq!(outcome, Err::<(), _>(TaskDied));
        assert_eq!(lifecycle.run(async { 7 }).await, Ok(7));
    }
}
