//! The connections that read beside the writer.
//!
//! A reader keeps its snapshot for as long as nothing is committed: to begin and end one takes locks that all
//! connections to the file share, which costs as much as a look-up and makes the workers wait for each
//! other. What must stay true:
//!
//! - whoever was told that a write is done reads it: the writer says that it committed
//!   ([`Readers::committed`]) before it answers, and a snapshot from before that is not read again;
//! - no kept snapshot stands in the way of a checkpoint, which runs inside of
//!   [`Readers::without_snapshots`]: the log could else never begin anew.

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use rusqlite::Connection;

use super::{VaultError, schema, sql};

pub(super) struct Readers {
    readers: Vec<Mutex<Reader>>,
    /// Counts the writer's transactions.
    commits: AtomicU64,
    /// No snapshot is to be kept now.
    clearing: AtomicBool,
}

struct Reader {
    conn: Connection,
    /// How many commits there had been when the snapshot was begun that is kept.
    snapshot: Option<u64>,
}

impl Reader {
    /// Begins a snapshot, where none is kept that nothing was committed after.
    fn begin(&mut self, commits: u64) -> Result<(), VaultError> {
        if self.snapshot != Some(commits) {
            self.end();
            self.run("BEGIN").map_err(sql)?;
            self.snapshot = Some(commits);
        }
        Ok(())
    }

    fn end(&mut self) {
        if self.snapshot.take().is_some() {
            // Nothing was written, and a transaction that is over already is what is wanted.
            let _ = self.run("COMMIT");
        }
    }

    fn run(&self, statement: &str) -> rusqlite::Result<usize> {
        self.conn.prepare_cached(statement)?.execute([])
    }
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Readers({})", self.readers.len())
    }
}

impl Readers {
    pub(super) fn open(path: &Path, count: usize) -> Result<Self, VaultError> {
        let readers = (0..count.max(1))
            .map(|_| {
                let conn = schema::open_for_reading(path)?;
                Ok(Mutex::new(Reader { conn, snapshot: None }))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { readers, commits: AtomicU64::new(0), clearing: AtomicBool::new(false) })
    }

    /// Runs `query` on a connection of these, which sees the vault as of one moment. It runs on the calling
    /// thread: a read that hits the page cache takes less than handing it to another thread.
    pub(super) fn read<T>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, VaultError>,
    ) -> Result<T, VaultError> {
        let mut reader = self.free();
        // Before the snapshot is begun: one that turns out newer is only begun anew once too often.
        reader.begin(self.commits.load(Ordering::SeqCst))?;
        let outcome = query(&reader.conn);
        if outcome.is_err() || self.clearing.load(Ordering::SeqCst) {
            reader.end();
        }
        outcome
    }

    /// A transaction of the writer's is over.
    pub(super) fn committed(&self) {
        self.commits.fetch_add(1, Ordering::SeqCst);
    }

    /// Runs `work` while no reader keeps a snapshot beyond the read that it is for.
    pub(super) fn without_snapshots<T>(&self, work: impl FnOnce() -> T) -> T {
        self.end_snapshots();
        let done = work();
        self.clearing.store(false, Ordering::SeqCst);
        done
    }

    /// From now on no snapshot is kept.
    pub(super) fn end_snapshots(&self) {
        self.clearing.store(true, Ordering::SeqCst);
        for reader in &self.readers {
            // Waits for a read that did not see yet that it should end its snapshot.
            reader.lock().unwrap_or_else(PoisonError::into_inner).end();
        }
    }

    /// The reader of the thread's own, or else another one that nobody uses.
    fn free(&self) -> MutexGuard<'_, Reader> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local!(static HOME: usize = NEXT.fetch_add(1, Ordering::Relaxed));
        let home = HOME.with(|home| *home) % self.readers.len();
        for i in 0..self.readers.len() {
            match self.readers[(home + i) % self.readers.len()].try_lock() {
                Ok(reader) => return reader,
                Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => {}
            }
        }
        self.readers[home].lock().unwrap_or_else(PoisonError::into_inner)
    }
}
