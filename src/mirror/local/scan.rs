//! What the folder holds: names, sizes, times, and the contents of what may have changed.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;

use md5::{Digest as _, Md5};
use rustix::fs::{AtFlags, Dir, FileType, Mode};
use rustix::io::Errno;

use super::super::path::{MARKER, PRIVATE, RelPath, is_reserved, take_tree};
use super::super::plan::{Agreed, AgreedTree, LocalNode, LocalTree};
use super::super::problem::{Matter, Problem};
use super::{Folder, Found, HERE, LocalError, READ, stat_file};
use crate::vault::{LocalMark, MirrorContent as Content};

/// A change so shortly before a look may share its time stamp with another one after it: two seconds is
/// the coarsest stamp of any file system in use (FAT).
pub(crate) const RECENT_NS: i64 = 2_000_000_000;

/// Folders within folders beyond this are left alone: each takes a file handle.
pub(crate) const DEEPEST: usize = 128;

/// How much of a file is read at a time.
const CHUNK: usize = 64 << 10;

/// What a scan cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ScanFacts {
    /// Files found.
    pub(crate) files: usize,
    /// Files read to know their content.
    pub(crate) hashed: usize,
}

/// Looks at everything in the folder. `seen_ns` is the file system's time of this look.
pub(in super::super) fn scan(
    folder: &Folder,
    agreed: &AgreedTree,
    seen_ns: i64,
) -> Result<(LocalTree, ScanFacts), LocalError> {
    let mut scan = Scan {
        device: folder.device,
        agreed,
        seen_ns,
        tree: LocalTree::default(),
        facts: ScanFacts::default(),
    };
    scan.visit(&folder.folder(None)?, None)?;
    Ok((scan.tree, scan.facts))
}

struct Scan<'a> {
    device: u64,
    agreed: &'a AgreedTree,
    seen_ns: i64,
    tree: LocalTree,
    facts: ScanFacts,
}

impl Scan<'_> {
    fn visit(&mut self, here: &OwnedFd, at: Option<&RelPath>) -> Result<(), LocalError> {
        for entry in Dir::read_from(here)? {
            let entry = entry?;
            let name = match entry.file_name().to_str() {
                Ok("." | "..") => continue,
                Ok(MARKER | PRIVATE) if at.is_none() => continue,
                Ok(name) => name,
                Err(_) => {
                    self.note_not_utf8(at, &entry.file_name().to_string_lossy());
                    continue;
                }
            };
            let path = RelPath::child(at, name);
            match rustix::fs::statat(here, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => self.look(here, path, Found::from(&stat)),
                // Deleted since the listing.
                Err(Errno::NOENT) => {}
                Err(error) => self.block(path, unreadable(&error.into())),
            }
        }
        Ok(())
    }

    fn look(&mut self, here: &OwnedFd, path: RelPath, found: Found) {
        match found.kind {
            _ if path.depth() == 1 && is_reserved(path.name()) => self.block(path, Matter::Reserved),
            FileType::Directory if found.device != self.device => {
                self.block(path, Matter::OtherFileSystem);
            }
            FileType::Directory => self.look_into(here, path, found),
            FileType::RegularFile => self.look_at(here, path, found),
            FileType::Symlink => self.block(path, Matter::SymbolicLink),
            _ => self.block(path, Matter::Special),
        }
    }

    fn look_into(&mut self, here: &OwnedFd, path: RelPath, found: Found) {
        if path.depth() > DEEPEST {
            return self.block(path, Matter::Unreadable("it lies too deep".into()));
        }
        let mark = LocalMark { inode: found.mark.inode, size: 0, mtime_ns: 0, ctime_ns: 0, seen_ns: 0 };
        self.tree.nodes.insert(path.clone(), LocalNode { content: Content::Folder, mark });
        let inside = rustix::fs::openat(here, path.name(), HERE, Mode::empty()).map_err(LocalError::from);
        if let Ok(inside) = &inside
            && rustix::fs::statat(inside, MARKER, AtFlags::SYMLINK_NOFOLLOW).is_ok()
        {
            self.tree.nodes.remove(&path);
            return self.block(path, Matter::OtherMirror);
        }
        // Half a listing must not pass for deletions.
        if let Err(error) = inside.and_then(|inside| self.visit(&inside, Some(&path))) {
            take_tree(&mut self.tree.nodes, &path);
            self.block(path, unreadable(&error));
        }
    }

    fn look_at(&mut self, here: &OwnedFd, path: RelPath, found: Found) {
        self.facts.files += 1;
        if let Some(known) = self.agreed.get(&path)
            && let Some(mark) = trusted(known, &found.mark)
        {
            self.tree.nodes.insert(path, LocalNode { content: known.content, mark });
            return;
        }
        self.facts.hashed += 1;
        let file = rustix::fs::openat(here, path.name(), READ, Mode::empty()).map(File::from);
        match file.map_err(LocalError::from).and_then(|file| measure(&file)) {
            Ok(Some((content, found))) => {
                let mark = LocalMark { seen_ns: self.seen_ns, ..found.mark };
                self.tree.nodes.insert(path, LocalNode { content, mark });
            }
            Ok(None) => self.block(path, Matter::Busy),
            Err(LocalError::Gone) => {}
            Err(LocalError::Changed) => self.block(path, Matter::Busy),
            Err(error) => self.block(path, unreadable(&error)),
        }
    }

    fn block(&mut self, path: RelPath, matter: Matter) {
        self.tree.blocked.insert(path, matter);
    }

    fn note_not_utf8(&mut self, at: Option<&RelPath>, name: &str) {
        let path = at.map_or_else(|| name.to_owned(), |at| format!("{at}/{name}"));
        self.tree.problems.push(Problem { path, matter: Matter::NotUtf8 });
        self.tree.opaque.extend(at.cloned());
    }
}

fn unreadable(error: &LocalError) -> Matter {
    match error {
        LocalError::Changed | LocalError::Gone => Matter::Busy,
        error => Matter::Unreadable(error.to_string()),
    }
}

/// The agreed mark, if it shows that the file's content is the agreed one.
fn trusted(known: &Agreed, found: &LocalMark) -> Option<LocalMark> {
    let mark = known.mark?;
    let same = (found.inode, found.size, found.mtime_ns, found.ctime_ns)
        == (mark.inode, mark.size, mark.mtime_ns, mark.ctime_ns);
    let latest = mark.mtime_ns.max(mark.ctime_ns);
    (same && known.content != Content::Folder && latest.saturating_add(RECENT_NS) <= mark.seen_ns)
        .then_some(mark)
}

/// Reads a file to its end. `None` when it changed meanwhile.
pub(in super::super) fn measure(mut file: &File) -> Result<Option<(Content, Found)>, LocalError> {
    let before = stat_file(file)?;
    if before.kind != FileType::RegularFile {
        return Ok(None);
    }
    let (size, md5) = sum(&mut file)?;
    let after = stat_file(file)?;
    let same = before.mark == after.mark && size == after.mark.size;
    Ok(same.then_some((Content::File { size, md5 }, after)))
}

/// Size and MD5 of what is left to read.
pub(in super::super) fn sum(from: &mut impl Read) -> Result<(u64, [u8; 16]), LocalError> {
    let (mut md5, mut size, mut chunk) = (Md5::new(), 0, vec![0; CHUNK]);
    loop {
        let n = from.read(&mut chunk)?;
        if n == 0 {
            return Ok((size, md5.finalize().into()));
        }
        size += n as u64;
        md5.update(&chunk[..n]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_trusted_only_for_what_was_quiet_when_it_was_seen() {
        let mark = LocalMark { inode: 1, size: 5, mtime_ns: 10, ctime_ns: 20, seen_ns: 20 + RECENT_NS };
        let known = |mark| Agreed {
            remote: "id".into(),
            content: Content::File { size: 5, md5: [1; 16] },
            mark: Some(mark),
        };
        let found = LocalMark { seen_ns: 0, ..mark };
        assert_eq!(trusted(&known(mark), &found), Some(mark));
        assert_eq!(trusted(&Agreed { mark: None, ..known(mark) }, &found), None);
        assert_eq!(trusted(&known(LocalMark { seen_ns: mark.seen_ns - 1, ..mark }), &found), None);
        for other in [
            LocalMark { inode: 2, ..found },
            LocalMark { size: 6, ..found },
            LocalMark { mtime_ns: 11, ..found },
            LocalMark { ctime_ns: 21, ..found },
        ] {
            assert_eq!(trusted(&known(mark), &other), None);
        }
        let folder = Agreed { content: Content::Folder, ..known(mark) };
        assert_eq!(trusted(&folder, &found), None);
    }
}
