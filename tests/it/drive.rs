//! The Drive client against the emulated Drive, on bad lines.

use locum::app_data::{Person, PersonBearer};
use locum::emulator::{AppData as Theirs, Endpoint, Fault};
use locum::google::drive::{
    CallError, ChangesEnd, Content, Drive, DriveError, DriveFile, FileId, FileKind, MediaType, NewContent,
    NewFile,
};
use locum::ids::UserId;
use locum::tokens::{Reach, TokenError};

use crate::harness::TestLocum;

/// More than Drive takes in one request.
const LARGE: usize = 6_000_000;
const PIECE: u64 = 256 << 10;

/// A locum with Alice connected, a Drive that sends pieces of 256 KiB, and her app data as she sees it.
struct Setting {
    locum: TestLocum,
    user: UserId,
    drive: Drive,
    bearer: PersonBearer,
    theirs: Theirs,
}

async fn setting() -> Setting {
    let locum = TestLocum::start().await;
    let user = locum.connect(locum.alice()).await;
    let person = Person { user, client: None, reach: Reach::EVERYTHING };
    let (drive, bearer) = (locum.state.app_data.drive().with_pieces(1), locum.state.app_data.bearer(person));
    let theirs = locum.emulator.world.app_data(&locum.alice().sub, locum.seeded.web.client_id.project());
    Setting { locum, user, drive, bearer, theirs }
}

/// Bytes of which no stretch is like another.
fn content(len: usize) -> Vec<u8> {
    let words = (0_u64..).flat_map(|n| n.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes());
    words.take(len).collect()
}

fn plain() -> MediaType {
    "text/plain".parse().expect("a media type")
}

fn once(bytes: &[u8]) -> Content {
    let bites: Vec<_> = bytes.chunks(70_001).map(|bite| Ok(bite.to_vec().into())).collect();
    Content::stream(None, futures_util::stream::iter(bites))
}

fn file(bytes: &[u8]) -> Content {
    use std::io::Write as _;
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(bytes).expect("written");
    Content::file(file, bytes.len() as u64)
}

impl Setting {
    fn fault(&self, endpoint: Endpoint, fault: Fault) {
        self.locum.emulator.world.faults().once(endpoint, fault);
    }

    async fn id(&self) -> FileId {
        self.drive.generate_ids(&self.bearer, 1).await.expect("ids").remove(0)
    }

    async fn create(
        &self,
        id: &FileId,
        name: &str,
        content: Content,
    ) -> Result<DriveFile, CallError<TokenError>> {
        let (parent, mime_type) = (FileId::app_data_folder(), plain());
        let new = NewFile {
            id,
            name,
            parent: &parent,
            mime_type: &mime_type,
            modified_ms: Some(1_700_000_000_123),
        };
        self.drive.create(&self.bearer, &new, content).await
    }

    async fn read(&self, id: &FileId) -> Result<Vec<u8>, CallError<TokenError>> {
        let mut download = self.drive.download(&self.bearer, id, None).await?;
        let mut read = Vec::new();
        while let Some(bytes) = download.chunk().await? {
            read.extend_from_slice(&bytes);
        }
        Ok(read)
    }

    /// Everything that was scripted has happened.
    fn all_met(&self) {
        let pending = self.locum.emulator.world.faults().pending();
        assert!(pending.is_empty(), "{pending:?}");
    }
}

#[tokio::test]
async fn a_file_comes_back_as_it_was_sent() {
    let s = setting().await;
    for len in [0, 1, 300_000, LARGE] {
        let (bytes, id) = (content(len), s.id().await);
        let made = s.create(&id, "a", once(&bytes)).await.expect("made");
        assert_eq!((made.modified_ms, &made.id), (1_700_000_000_123, &id));
        assert!(s.read(&id).await.expect("read") == bytes, "{len}");
        let (new, bytes) = (NewContent { mime_type: &plain(), modified_ms: None }, content(len + 7));
        let changed = s.drive.update(&s.bearer, &id, &new, file(&bytes)).await.expect("changed");
        assert_ne!(changed.kind, made.kind);
        assert!(s.read(&id).await.expect("read") == bytes, "{len}");
        s.drive.delete(&s.bearer, &id).await.expect("deleted");
    }
    let counts = s.locum.emulator.world.drive_counts();
    let sent: usize = [0, 1, 300_000, LARGE].iter().map(|len| 2 * len + 7).sum();
    assert_eq!(counts.upload_bytes, sent as u64, "nothing was sent twice");
    assert_eq!(counts.units, s.locum.state.app_data.units(s.user).total, "both count alike");
}

#[tokio::test]
async fn an_upload_survives_cuts_at_any_byte() {
    let bytes = content(LARGE);
    for at in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 70_000, LARGE as u64 - 1] {
        for is_file in [true, false] {
            let s = setting().await;
            s.fault(Endpoint::DriveChunk, Fault::CutUpload { at });
            let id = s.id().await;
            let content = if is_file { file(&bytes) } else { once(&bytes) };
            s.create(&id, "a", content).await.expect("made in spite of it");
            assert!(s.theirs.read("a").expect("there") == bytes, "cut at {at}");
            s.all_met();
        }
    }
}

#[tokio::test]
async fn an_upload_survives_what_drive_forgets() {
    let bytes = content(LARGE);
    let s = setting().await;
    s.fault(Endpoint::DriveChunk, Fault::KeepUpTo { at: 100_000 });
    s.fault(Endpoint::DriveChunk, Fault::Html(502));
    s.fault(Endpoint::DriveChunk, Fault::DropAfterDoing);
    s.fault(Endpoint::DriveStatus, Fault::Drop);
    s.create(&s.id().await, "stream", once(&bytes)).await.expect("made in spite of it");
    assert!(s.theirs.read("stream").expect("there") == bytes);
    s.all_met();

    s.fault(Endpoint::DriveChunk, Fault::KeepUpTo { at: 700_000 });
    s.fault(Endpoint::DriveChunk, Fault::ForgetUpload);
    s.create(&s.id().await, "file", file(&bytes)).await.expect("begun again");
    assert!(s.theirs.read("file").expect("there") == bytes);
    s.all_met();
}

#[tokio::test]
async fn a_lost_answer_makes_no_second_file() {
    let s = setting().await;
    for (len, endpoint) in [(5, Endpoint::DriveUpload), (LARGE, Endpoint::DriveStart)] {
        s.fault(endpoint, Fault::DropAfterDoing);
        s.create(&s.id().await, "a", once(&content(len))).await.expect("made");
        s.all_met();
    }
    assert_eq!(s.theirs.files().len(), 2);
    // A run that was killed after its upload begins again with the id it had planned.
    let id = s.id().await;
    for _ in 0..2 {
        s.create(&id, "b", file(&content(LARGE))).await.expect("made, and found");
    }
    let other = s.create(&id, "b", file(&content(LARGE + 1))).await;
    assert_eq!(other.expect_err("another content").drive(), Some(&DriveError::IdInUse));
    assert_eq!(s.theirs.files().len(), 3);
}

#[tokio::test]
async fn a_token_that_is_refused_on_the_way_is_replaced() {
    let s = setting().await;
    let refused = || Fault::drive(locum::emulator::DriveReason::AuthError);
    s.fault(Endpoint::DriveChunk, refused());
    let id = s.id().await;
    s.create(&id, "a", once(&content(LARGE))).await.expect("made with the second token");
    s.fault(Endpoint::DriveDownload, refused());
    assert!(s.read(&id).await.expect("read") == content(LARGE));
    s.all_met();
    assert_eq!(s.locum.emulator.world.refreshes_of(&s.locum.alice().sub), 2);
}

#[tokio::test]
async fn a_download_survives_cuts_and_sees_damage() {
    let s = setting().await;
    let bytes = content(3_000_000);
    let id: FileId = s.theirs.put("a", &bytes).expect("there").parse().expect("an id");
    for at in [0, 1, 1_500_000, 2_999_999] {
        s.fault(Endpoint::DriveDownload, Fault::CutDownload { at });
        assert!(s.read(&id).await.expect("resumed") == bytes, "cut at {at}");
        s.all_met();
    }
    for at in [0, 2_999_999] {
        s.fault(Endpoint::DriveDownload, Fault::FlipByte { at });
        let error = s.read(&id).await.expect_err("a wrong byte");
        assert_eq!(error.drive(), Some(&DriveError::Mismatch));
    }
    // Cut, and changed before it is resumed.
    s.fault(Endpoint::DriveDownload, Fault::CutDownload { at: 1_000_000 });
    let mut download = s.drive.download(&s.bearer, &id, None).await.expect("opened");
    download.chunk().await.expect("the first bytes");
    s.theirs.put("a", content(3_000_001)).expect("changed");
    let error = loop {
        match download.chunk().await {
            Ok(bytes) => assert!(bytes.is_some(), "two revisions are mixed"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.drive(), Some(&DriveError::Mismatch));
}

#[tokio::test]
async fn full_storage_is_told() {
    let s = setting().await;
    s.locum.emulator.world.set_drive_quota(&s.locum.alice().sub, Some(1_000_000));
    for len in [2_000_000, LARGE] {
        let error = s.create(&s.id().await, "a", once(&content(len))).await.expect_err("no room");
        assert_eq!(error.drive(), Some(&DriveError::StorageFull), "{len}");
    }
    let quota = s.drive.quota(&s.bearer).await.expect("a quota");
    assert_eq!(quota.limit, Some(1_000_000));
}

#[tokio::test]
async fn the_feed_tells_what_changed() {
    let s = setting().await;
    s.theirs.put("old", "1").expect("there");
    let from = s.drive.start_page_token(&s.bearer).await.expect("a token");
    assert_eq!(s.drive.list(&s.bearer, None).await.expect("a page").items.len(), 1);
    let id = s.theirs.put("sub/new", "22").expect("made");
    s.theirs.remove("old");
    let page = s.drive.changes(&s.bearer, &from).await.expect("changes");
    let ChangesEnd::Done(next) = page.end else { panic!("one page") };
    assert_eq!(page.changes.len(), 3);
    assert_eq!(page.changes.iter().filter(|change| change.file.is_none()).count(), 1);
    let new = page.changes.iter().find(|change| change.id.as_str() == id).expect("the new file");
    assert!(matches!(new.file.as_ref().expect("a file").kind, FileKind::File { size: 2, .. }));
    assert!(s.drive.changes(&s.bearer, &next).await.expect("a page").changes.is_empty());
    s.theirs.refuse_page_tokens();
    let error = s.drive.changes(&s.bearer, &next).await.expect_err("refused");
    assert_eq!(error.drive(), Some(&DriveError::PageTokenRefused));
}
