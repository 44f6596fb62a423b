//! Contents of files: small ones in memory, large ones in unnamed temporary files.
//!
//! The emulator shares its process with a locum whose memory tests measure, so nothing here ever holds
//! more of a large content than one piece. Reads and writes block: they go to the page cache of a
//! machine that runs tests, and an answer's order never depends on them.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use actix_web::web::Bytes;
use md5::{Digest as _, Md5};
use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};

/// The most of one content that stays in memory.
const IN_MEMORY: usize = 1 << 20;

/// A complete content with its checksums. Clones are the same content.
#[derive(Clone, Debug)]
pub(super) struct Content {
    bytes: Bytes,
    file: Option<Arc<File>>,
    /// In bytes.
    pub(super) size: u64,
    /// Hexadecimal.
    pub(super) md5: String,
    /// Hexadecimal.
    pub(super) sha1: String,
    /// Hexadecimal.
    pub(super) sha256: String,
}

impl Content {
    /// A content that is at hand.
    pub(super) fn from_bytes(bytes: &[u8]) -> io::Result<Self> {
        let mut sink = Sink::default();
        sink.push(bytes)?;
        Ok(sink.finish())
    }

    /// At most `length` bytes from `offset`; fewer only at the end.
    pub(super) fn piece(&self, offset: u64, length: usize) -> io::Result<Bytes> {
        let left = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let length = length.min(left);
        let Some(file) = &self.file else {
            let start = usize::try_from(offset).unwrap_or(usize::MAX).min(self.bytes.len());
            return Ok(self.bytes.slice(start..start + length));
        };
        let mut piece = vec![0; length];
        file.read_exact_at(&mut piece, offset)?;
        Ok(piece.into())
    }
}

/// A content on its way in.
pub(super) struct Sink {
    bytes: Vec<u8>,
    file: Option<File>,
    size: u64,
    md5: Md5,
    sha1: Context,
    sha256: Context,
}

impl Default for Sink {
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            file: None,
            size: 0,
            md5: Md5::new(),
            sha1: Context::new(&SHA1_FOR_LEGACY_USE_ONLY),
            sha256: Context::new(&SHA256),
        }
    }
}

impl std::fmt::Debug for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sink").field("size", &self.size).finish_non_exhaustive()
    }
}

impl Sink {
    /// Takes the next bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.file.is_none() && self.bytes.len() + bytes.len() > IN_MEMORY {
            let mut file = unnamed()?;
            file.write_all(&self.bytes)?;
            self.bytes = Vec::new();
            self.file = Some(file);
        }
        match &mut self.file {
            Some(file) => file.write_all(bytes)?,
            None => self.bytes.extend_from_slice(bytes),
        }
        self.size += bytes.len() as u64;
        self.md5.update(bytes);
        self.sha1.update(bytes);
        self.sha256.update(bytes);
        Ok(())
    }

    /// How many bytes have come.
    pub(super) const fn size(&self) -> u64 {
        self.size
    }

    /// The content as it is now.
    pub(super) fn finish(self) -> Content {
        Content {
            bytes: self.bytes.into(),
            file: self.file.map(Arc::new),
            size: self.size,
            md5: hex(&self.md5.finalize()),
            sha1: hex(self.sha1.finish().as_ref()),
            sha256: hex(self.sha256.finish().as_ref()),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)]))
        .collect()
}

/// A temporary file that has lost its name already, so that it goes with the last handle, even when the
/// process is killed.
fn unnamed() -> io::Result<File> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let folder = std::env::temp_dir();
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("locum-emulator-{}-{number}", std::process::id()));
        match OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path) {
            // Another process with this id may have died between the two steps.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
            Ok(file) => {
                std::fs::remove_file(&path)?;
                return Ok(file);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_bytes() {
        let content = Content::from_bytes(b"abc").expect("memory");
        assert_eq!(content.size, 3);
        assert_eq!(content.md5, "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(content.sha1, "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(content.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn large_contents_leave_the_memory_and_read_the_same() {
        let all: Vec<u8> = (0..3 * IN_MEMORY + 5).map(|n| (n % 251) as u8).collect();
        let mut sink = Sink::default();
        for part in all.chunks(100_003) {
            sink.push(part).expect("a temporary file");
        }
        assert!(sink.file.is_some() && sink.bytes.is_empty());
        let content = sink.finish();
        assert_eq!(content.size, all.len() as u64);
        for (offset, length) in [(0, 10), (IN_MEMORY - 3, 7), (all.len() - 4, 100), (all.len(), 9)] {
            let end = (offset + length).min(all.len());
            assert_eq!(content.piece(offset as u64, length).expect("a piece"), all[offset..end]);
        }
        let small = Content::from_bytes(&all[..1000]).expect("memory");
        assert_eq!(small.piece(990, 100).expect("a piece"), all[990..1000]);
        assert!(small.piece(5000, 100).expect("a piece").is_empty());
    }
}
