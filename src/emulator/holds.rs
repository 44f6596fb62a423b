//! Requests that wait for a test: how a test makes concurrency certain without waiting for time to pass.

use tokio::sync::watch;

/// The inside of a hold: requests wait here.
#[derive(Clone, Debug)]
pub struct Gate {
    open: watch::Receiver<bool>,
    waiting: watch::Sender<usize>,
}

impl Gate {
    /// Waits until the handle releases or is dropped.
    pub async fn pass(&self) {
        self.waiting.send_modify(|count| *count += 1);
        let _counted = Counted(&self.waiting);
        let mut open = self.open.clone();
        // An error means that the handle is gone, which releases too.
        let _released = open.wait_for(|open| *open).await;
    }
}

/// Takes a held request out of the count even when its client hangs up and the wait is dropped.
struct Counted<'a>(&'a watch::Sender<usize>);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// The outside of a hold. Dropping it releases, so that a failing test does not hang.
#[derive(Debug)]
pub struct Hold {
    open: watch::Sender<bool>,
    waiting: watch::Receiver<usize>,
}

impl Hold {
    /// A hold and the gate it opens.
    pub(super) fn pair() -> (Self, Gate) {
        let (open, opened) = watch::channel(false);
        let (count, waiting) = watch::channel(0);
        (Self { open, waiting }, Gate { open: opened, waiting: count })
    }

    /// Lets every held request go on, and those that come later.
    pub fn release(&self) {
        self.open.send_replace(true);
    }

    /// How many requests are held right now.
    pub fn waiting(&self) -> usize {
        *self.waiting.borrow()
    }

    /// Resolves once at least `count` requests are held. Never resolves if so many never come.
    pub async fn reached(&self, count: usize) {
        let mut waiting = self.waiting.clone();
        if waiting.wait_for(|held| *held >= count).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
