//! How far a run has come, for whoever looks.

use std::sync::atomic::{AtomicU64, Ordering};

use super::report::Done;

/// What a run moves, counted as it goes. Nothing waits for it.
#[derive(Debug, Default)]
pub(super) struct Progress {
    files: AtomicU64,
    of_files: AtomicU64,
    bytes: AtomicU64,
    of_bytes: AtomicU64,
}

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct MirrorProgress {
    /// Files whose content was moved, either way.
    pub files: u64,
    /// Of how many; 0 while both sides are still compared.
    pub of_files: u64,
    /// Bytes that have moved.
    pub bytes: u64,
    /// Of how many.
    pub of_bytes: u64,
}

impl Progress {
    pub(super) fn set_out(&self, plan: &Done) {
        self.of_files.store(plan.downloaded + plan.uploaded, Ordering::Relaxed);
        self.of_bytes.store(plan.downloaded_bytes + plan.uploaded_bytes, Ordering::Relaxed);
    }

    pub(super) fn moved(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn file_moved(&self) {
        self.files.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn now(&self) -> MirrorProgress {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let (of_files, of_bytes) = (read(&self.of_files), read(&self.of_bytes));
        // What is kept as a version is brought here too and is not in the plan.
        let (files, bytes) = (read(&self.files).min(of_files), read(&self.bytes).min(of_bytes));
        MirrorProgress { files, of_files, bytes, of_bytes }
    }
}
