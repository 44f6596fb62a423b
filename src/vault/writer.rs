//! The one thread that writes.
//!
//! A durable commit costs an fsync, so the thread commits what has queued up together: it takes the
//! first waiting write, opens a transaction, runs it and whatever else is waiting each in a savepoint
//! of its own, commits, and only then answers all of them. A failed commit fails them all. After a
//! disk error nothing more is written.

use std::cell::Cell;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{JoinHandle, current};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::hooks::Wal;
use rusqlite::wal::CheckpointMode;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::readers::Readers;
use super::{VaultError, sql};

/// Waiting writes before callers are told to come back: some 0.3 s of exchanges.
const QUEUE: usize = 4096;
/// Writes in one transaction. Larger groups gain little and make the first writer wait.
const GROUP: usize = 256;
/// Pages in the write-ahead log before it is folded into the file: 32 MiB. Folding syncs two files and writes
/// each changed page back; a longer log folds many changes of one page into one. What was deleted is
/// checkpointed away within a minute regardless.
const LOG_PAGES: i32 = 8192;
/// Pages copied by a backup between two commit groups: 2 MiB.
const BACKUP_STEP: i32 = 512;

/// How long a close waits for room in a full queue before it asks again.
const CLOSE_RETRY: Duration = Duration::from_millis(10);

/// A queued write: runs in the transaction, then hears how the commit went.
trait Job: Send {
    fn run(&mut self, conn: &Connection) -> Result<(), VaultError>;
    fn finish(self: Box<Self>, committed: &Result<(), VaultError>);
}

enum Command {
    Write(Box<dyn Job>),
    Checkpoint(oneshot::Sender<Result<(), VaultError>>),
    Backup(PathBuf, oneshot::Sender<Result<(), VaultError>>),
    Close(oneshot::Sender<()>),
}

struct Write<T, F, G> {
    job: Option<F>,
    outcome: Result<T, VaultError>,
    /// Called once the outcome is on disk, before the caller hears of it.
    then: G,
    reply: oneshot::Sender<Result<T, VaultError>>,
}

impl<T, F, G> Job for Write<T, F, G>
where
    T: Send,
    F: FnOnce(&Connection) -> Result<T, VaultError> + Send,
    G: FnOnce(&T) + Send,
{
    fn run(&mut self, conn: &Connection) -> Result<(), VaultError> {
        if let Some(job) = self.job.take() {
            self.outcome = job(conn);
        }
        self.outcome.as_ref().map(|_| ()).map_err(Clone::clone)
    }

    fn finish(self: Box<Self>, committed: &Result<(), VaultError>) {
        let outcome = match committed {
            Ok(()) => self.outcome,
            Err(error) => Err(error.clone()),
        };
        if let Ok(done) = &outcome {
            (self.then)(done);
        }
        // A caller that stopped waiting misses only the answer; the write stands.
        let _ = self.reply.send(outcome);
    }
}

/// The sending side of the writer thread. Dropping it waits until the thread has written what is
/// queued and closed its connection, so that the vault's lock can be let go after it.
pub(super) struct Writer {
    queue: Option<SyncSender<Command>>,
    thread: Option<JoinHandle<()>>,
    health: Arc<Health>,
}

#[derive(Default)]
struct Health {
    failed: CancellationToken,
    checkpoint_wanted: AtomicBool,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Writer(failed: {})", self.has_failed())
    }
}

impl Writer {
    /// Hands the connection to a new thread.
    pub(super) fn start(mut conn: Connection, readers: Arc<Readers>) -> Result<Self, VaultError> {
        let log_pages = Arc::new(AtomicI32::new(0));
        let length = log_pages.clone();
        // In place of SQLite's own checkpoints, which know nothing of the readers' snapshots.
        conn.wal_hook(Some(move |_: &mut Wal, pages| {
            length.store(pages, Ordering::Relaxed);
            Ok(())
        }))
        .map_err(sql)?;
        let (queue, commands) = sync_channel(QUEUE);
        let health = Arc::new(Health::default());
        // What was deleted just before a crash may still stand in the log.
        health.checkpoint_wanted.store(true, Ordering::SeqCst);
        let copying = Cell::new(false);
        let thread = Thread { readers, conn, commands, health: health.clone(), log_pages, copying };
        let thread = std::thread::Builder::new()
            .name("vault-writer".into())
            .spawn(move || thread.run())
            .map_err(|error| VaultError::io(&error))?;
        Ok(Self { queue: Some(queue), thread: Some(thread), health })
    }

    pub(super) fn has_failed(&self) -> bool {
        self.health.failed.is_cancelled()
    }

    pub(super) async fn failed(&self) {
        self.health.failed.cancelled().await;
    }

    pub(super) fn checkpoint_wanted(&self) -> bool {
        self.health.checkpoint_wanted.load(Ordering::SeqCst)
    }

    pub(super) async fn write<T, F>(&self, job: F) -> Result<T, VaultError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, VaultError> + Send + 'static,
    {
        self.write_then(job, |_| {}).await
    }

    /// As [`Writer::write`]; `then` is called on the writer's thread when the outcome is on disk and before
    /// the caller hears of it, whether or not the caller still waits. It must be quick and must not panic.
    pub(super) async fn write_then<T, F, G>(&self, job: F, then: G) -> Result<T, VaultError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, VaultError> + Send + 'static,
        G: FnOnce(&T) + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Write(Box::new(Write {
            job: Some(job),
            // Stays only if the job panics.
            outcome: Err(VaultError::Io("a write panicked, and nothing of it was kept".into())),
            then,
            reply,
        })))?;
        answer.await.unwrap_or(Err(VaultError::Closed))
    }

    /// As [`Writer::write`], for a job that erases something: asks for a checkpoint, on the writer's
    /// thread, so that neither a caller that goes away nor a checkpoint just before the commit loses it.
    pub(super) async fn erase<T, F>(&self, job: F) -> Result<T, VaultError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, VaultError> + Send + 'static,
    {
        self.erase_then(job, |_| {}).await
    }

    /// As [`Writer::erase`], and as [`Writer::write_then`].
    pub(super) async fn erase_then<T, F, G>(&self, job: F, then: G) -> Result<T, VaultError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, VaultError> + Send + 'static,
        G: FnOnce(&T) + Send + 'static,
    {
        let health = self.health.clone();
        let job = move |conn: &Connection| {
            let before = conn.total_changes();
            let outcome = job(conn)?;
            if conn.total_changes() > before {
                health.checkpoint_wanted.store(true, Ordering::SeqCst);
            }
            Ok(outcome)
        };
        self.write_then(job, then).await
    }

    pub(super) async fn checkpoint(&self) -> Result<(), VaultError> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Checkpoint(reply))?;
        answer.await.unwrap_or(Err(VaultError::Closed))
    }

    /// Copies the database to a new file while writes go on.
    pub(super) async fn backup(&self, to: PathBuf) -> Result<(), VaultError> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Backup(to, reply))?;
        answer.await.unwrap_or(Err(VaultError::Closed))
    }

    pub(super) async fn close(&self) {
        loop {
            let (reply, answer) = oneshot::channel();
            match self.send(Command::Close(reply)) {
                // A full queue is no reason to leave without what is in it.
                Err(VaultError::Busy) => tokio::time::sleep(CLOSE_RETRY).await,
                Err(_) => return,
                Ok(()) => {
                    let _ = answer.await;
                    return;
                }
            }
        }
    }

    fn send(&self, command: Command) -> Result<(), VaultError> {
        let queue = self.queue.as_ref().ok_or(VaultError::Closed)?;
        queue.try_send(command).map_err(|error| match error {
            TrySendError::Full(_) => VaultError::Busy,
            TrySendError::Disconnected(_) => VaultError::Closed,
        })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        // No job should hold the last of the vault; if one does, its own thread cannot wait for itself.
        if let Some(thread) = self.thread.take().filter(|thread| thread.thread().id() != current().id()) {
            let _ = thread.join();
        }
    }
}

struct Thread {
    // Before the connection that writes, so that this one is closed last and empties the log.
    readers: Arc<Readers>,
    conn: Connection,
    commands: Receiver<Command>,
    health: Arc<Health>,
    /// Pages in the write-ahead log after the last commit.
    log_pages: Arc<AtomicI32>,
    /// Whether a backup is under way.
    copying: Cell<bool>,
}

impl Thread {
    fn run(self) {
        // Ends when every Writer is gone, or on Close.
        while let Ok(command) = self.commands.recv() {
            if let Some(closed) = self.obey(command) {
                self.readers.end_snapshots();
                let _ = self.conn.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
                drop(self.conn);
                let _ = closed.send(());
                return;
            }
        }
    }

    /// Carries out one command, and with a write all writes that wait behind it.
    fn obey(&self, command: Command) -> Option<oneshot::Sender<()>> {
        match command {
            Command::Write(first) => return self.commit_group(first),
            Command::Checkpoint(reply) => {
                let _ = reply.send(self.checkpoint().inspect_err(|error| self.note(error)));
            }
            Command::Backup(to, reply) => {
                let (outcome, close) = self.backup(&to);
                let _ = reply.send(outcome);
                return close;
            }
            Command::Close(reply) => return Some(reply),
        }
        None
    }

    fn commit_group(&self, first: Box<dyn Job>) -> Option<oneshot::Sender<()>> {
        let mut group = Vec::with_capacity(16);
        let mut after = None;
        let committed = if self.health.failed.is_cancelled() {
            group.push(first);
            Err(VaultError::DiskFailed("an earlier write failed".into()))
        } else {
            self.transact(first, &mut group, &mut after)
        };
        if let Err(error) = &committed {
            self.note(error);
        }
        for job in group {
            job.finish(&committed);
        }
        if committed.is_ok() && self.log_pages.load(Ordering::Relaxed) >= LOG_PAGES {
            self.fold_log();
        }
        after.and_then(|command| self.obey(command))
    }

    /// After an fsync that failed, nobody knows what the disk holds: no more writes.
    fn note(&self, error: &VaultError) {
        if matches!(error, VaultError::DiskFailed(_)) {
            self.health.failed.cancel();
        }
    }

    fn transact(
        &self,
        first: Box<dyn Job>,
        group: &mut Vec<Box<dyn Job>>,
        after: &mut Option<Command>,
    ) -> Result<(), VaultError> {
        let begun = self.execute("BEGIN IMMEDIATE");
        let mut next = Some(first);
        let mut outcome = begun;
        while let Some(mut job) = next.take() {
            if outcome.is_ok() {
                outcome = self.savepoint(&mut *job);
            }
            group.push(job);
            if group.len() < GROUP {
                match self.commands.try_recv() {
                    Ok(Command::Write(job)) => next = Some(job),
                    Ok(other) => *after = Some(other),
                    Err(_) => {}
                }
            }
        }
        let outcome = outcome.and_then(|()| self.execute("COMMIT"));
        self.readers.committed();
        if outcome.is_err() && !self.conn.is_autocommit() {
            let _ = self.execute("ROLLBACK");
        }
        outcome
    }

    /// One write. Its own failure undoes only itself; a failure of the transaction is returned.
    fn savepoint(&self, job: &mut dyn Job) -> Result<(), VaultError> {
        self.execute("SAVEPOINT job")?;
        let succeeded = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job.run(&self.conn)))
            .is_ok_and(|ran| ran.is_ok());
        if !succeeded {
            if self.conn.is_autocommit() {
                // SQLite rolled the whole transaction back by itself (full disk, I/O error). A job that
                // has run only repeats its outcome.
                return Err(job.run(&self.conn).err().unwrap_or(VaultError::Closed));
            }
            self.execute("ROLLBACK TO job")?;
        }
        self.execute("RELEASE job")
    }

    fn execute(&self, statement: &str) -> Result<(), VaultError> {
        self.conn.prepare_cached(statement).and_then(|mut s| s.execute([])).map(drop).map_err(sql)
    }

    /// Moves what the log holds into the file, so that it can begin anew with the next commit. Waits for
    /// nobody: what a reader is still in the way of is moved after one of the next commits.
    fn fold_log(&self) {
        let fold = || self.conn.wal_checkpoint_v2(None::<&str>, CheckpointMode::PASSIVE);
        match self.readers.without_snapshots(fold).map_err(sql) {
            Ok(_) | Err(VaultError::Busy) => {}
            Err(error) => {
                // It is all in the log still.
                tracing::error!(%error, "the vault's log could not be moved into its file");
                self.note(&error);
            }
        }
    }

    fn checkpoint(&self) -> Result<(), VaultError> {
        self.health.checkpoint_wanted.store(false, Ordering::SeqCst);
        let truncate = || self.conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0));
        let busy: i64 = self.readers.without_snapshots(truncate).map_err(sql)?;
        if busy != 0 {
            self.health.checkpoint_wanted.store(true, Ordering::SeqCst);
        }
        Ok(())
    }

    /// Steps the copy on this connection, so that writes in between do not restart it.
    fn backup(&self, to: &std::path::Path) -> (Result<(), VaultError>, Option<oneshot::Sender<()>>) {
        let mut close = None;
        if self.copying.replace(true) {
            return (Err(VaultError::Busy), None);
        }
        let outcome = (|| {
            let mut copy = Connection::open(to).map_err(sql)?;
            {
                let backup = Backup::new(&self.conn, &mut copy).map_err(sql)?;
                loop {
                    match backup.step(BACKUP_STEP).map_err(sql)? {
                        StepResult::Done => break,
                        // A reader is in the way for a moment. This is a thread of its own and may sleep.
                        StepResult::Busy | StepResult::Locked => std::thread::sleep(Duration::from_millis(5)),
                        _ => {}
                    }
                    // One group, then the next step: writers that never pause must not stop the copy.
                    if close.is_none()
                        && let Ok(command) = self.commands.try_recv()
                    {
                        close = self.obey(command);
                    }
                }
            }
            // One file without a log beside it, whole in itself.
            copy.pragma_update(None, "journal_mode", "DELETE").map_err(sql)
        })();
        self.copying.set(false);
        (outcome, close)
    }
}
