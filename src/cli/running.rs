//! How a command runs: one runtime, and what the signals that end it do.

use std::future::Future;
use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Exit, Failure};

/// Runs `work` on this thread to its end. Workers of servers have threads of their own.
pub(super) fn to_the_end<F>(work: F) -> Result<Exit, Failure>
where
    F: Future<Output = Result<Exit, Failure>>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(work);
    // A thread may still wait for a line of standard input; it ends with the process.
    runtime.shutdown_background();
    outcome
}

/// As [`to_the_end`], for work that a signal may cut short at any point: what it holds is cleared away
/// by being dropped.
pub(super) fn until_signalled<F>(work: F) -> Result<Exit, Failure>
where
    F: Future<Output = Result<Exit, Failure>>,
{
    to_the_end(async {
        let mut signals = Signals::listen()?;
        tokio::select! {
            outcome = work => outcome,
            () = signals.next() => Err(anyhow::anyhow!("interrupted").into()),
        }
    })
}

/// The signals that ask a program to end.
#[derive(Debug)]
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From now on the signals end nothing by themselves.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Resolves at the next one.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
