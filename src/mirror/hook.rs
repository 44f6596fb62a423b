//! A place between any two operations of a run, where a test can stop it for good, as a crash would.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

type Wait = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Called between operations with the name of what comes next. Does nothing unless a test says otherwise.
#[derive(Clone, Default)]
pub(super) struct Hook(Option<Arc<dyn Fn(&'static str) -> Wait + Send + Sync>>);

impl Hook {
    /// A hook that waits for what `call` returns; for ever, to let the run be dropped there.
    #[cfg(test)]
    pub(super) fn new(call: impl Fn(&'static str) -> Wait + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(call)))
    }

    pub(super) async fn at(&self, next: &'static str) {
        if let Some(call) = &self.0 {
            call(next).await;
        }
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Hook(set)" } else { "Hook" })
    }
}
