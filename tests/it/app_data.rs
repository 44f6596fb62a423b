//! A person's app data by path, against the emulated Drive.

use futures_util::future::join_all;
use locum::app_data::{
    AppDataError, AppDataPath, ETag, Entry, InvalidPath, ListRequest, Person, Precondition, Written, feed,
};
use locum::emulator::{AppData as Theirs, DriveReason, Endpoint, Fault};
use locum::events::Actor;
use locum::google::drive::{ByteRange, Content, MediaType};
use locum::ids::UserId;
use locum::scopes::ScopeSet;
use locum::tokens::{Reach, TokenError};

use crate::harness::TestLocum;

struct Setting {
    locum: TestLocum,
    user: UserId,
    theirs: Theirs,
}

async fn setting() -> Setting {
    setting_with("").await
}

async fn setting_with(extra: &str) -> Setting {
    let locum = TestLocum::start_with(extra).await;
    let user = locum.connect(locum.alice()).await;
    let theirs = locum.emulator.world.app_data(&locum.alice().sub, locum.seeded.web.client_id.project());
    Setting { locum, user, theirs }
}

fn path(text: &str) -> AppDataPath {
    text.parse().expect("a path")
}

fn text() -> MediaType {
    "text/plain; charset=utf-8".parse().expect("a media type")
}

type Outcome<T> = Result<T, AppDataError>;

impl Setting {
    fn person(&self) -> Person {
        Person { user: self.user, client: None, reach: Reach::EVERYTHING }
    }

    async fn write_if(&self, at: &str, content: &str, condition: Precondition) -> Outcome<Written> {
        let content = Content::bytes(content.to_owned());
        self.locum
            .state
            .app_data
            .write(self.person(), path(at), content, text(), condition, &Actor::locum())
            .await
    }

    async fn write(&self, at: &str, content: &str) -> Outcome<Written> {
        self.write_if(at, content, Precondition::None).await
    }

    async fn stat(&self, at: &str) -> Outcome<Entry> {
        self.locum.state.app_data.stat(self.person(), &path(at)).await
    }

    async fn read(&self, at: &str, range: Option<ByteRange>) -> Outcome<String> {
        let mut reading = self.locum.state.app_data.read(self.person(), &path(at), range).await?;
        let mut bytes = Vec::new();
        while let Some(piece) = reading.download.chunk().await? {
            bytes.extend_from_slice(&piece);
        }
        Ok(String::from_utf8(bytes).expect("a text"))
    }

    async fn remove(&self, at: &str, condition: Precondition) -> Outcome<Option<Entry>> {
        let removed =
            self.locum.state.app_data.remove(self.person(), path(at), condition, &Actor::locum()).await?;
        Ok(removed.uncovered)
    }

    /// Paths of the listing, with what is marked.
    async fn list(&self, prefix: &str) -> Vec<String> {
        let request = ListRequest { prefix: prefix.to_owned(), ..ListRequest::default() };
        let listing = self.locum.state.app_data.list(self.person(), &request).await.expect("a listing");
        let mark = |entry: Entry| {
            let folder = if entry.is_folder() { "/" } else { "" };
            let shadowed = if entry.shadowed { " (shadowed)" } else { "" };
            format!("{}{folder}{shadowed}", entry.path)
        };
        listing.entries.into_iter().map(mark).collect()
    }

    fn fault(&self, endpoint: Endpoint, fault: Fault) {
        self.locum.emulator.world.faults().once(endpoint, fault);
    }

    /// What the calls since the last time cost.
    fn units(&self) -> u64 {
        let units = self.locum.emulator.world.drive_counts().units;
        self.locum.emulator.world.reset_drive_counts();
        units
    }
}

fn etag(entry: &Entry) -> ETag {
    entry.etag().expect("a file")
}

#[tokio::test]
async fn a_file_is_written_read_and_removed_by_its_path() {
    let s = setting().await;
    for at in ["a.txt", "notes/2026/ä b.txt"] {
        s.units();
        let made = s.write(at, "hello").await.expect("written");
        let folders = at.matches('/').count() as u64;
        let search = if folders == 0 { 100 } else { 105 };
        assert_eq!(s.units(), search + 5 + 50 * (folders + 1), "{at}");
        assert!(made.created && made.entry.path == at);

        assert_eq!(s.stat(at).await, Ok(made.entry.clone()));
        assert_eq!(s.units(), search, "{at}");
        assert_eq!(s.read(at, None).await.as_deref(), Ok("hello"));
        assert_eq!(s.units(), search + 200, "{at}");
        assert_eq!(s.read(at, Some(ByteRange::Last(3))).await.as_deref(), Ok("llo"));
        let seen = s.theirs.file(at).expect("there");
        assert_eq!(seen.mime_type, text().as_str());

        let changed = s.write(at, "hallo!").await.expect("written");
        assert!(!changed.created && changed.entry.file.id == made.entry.file.id);
        assert_ne!(etag(&changed.entry), etag(&made.entry));
        s.units();
        assert_eq!(s.remove(at, Precondition::None).await, Ok(None));
        assert_eq!(s.units(), search + 50);
        assert_eq!(s.read(at, None).await, Err(AppDataError::NotFound));
        assert_eq!(s.remove(at, Precondition::None).await, Err(AppDataError::NotFound));
    }
    assert_eq!(s.list("").await, ["notes/", "notes/2026/"], "folders stay");
    let range = Some(ByteRange::From(5));
    s.write("b", "12345").await.expect("written");
    assert_eq!(s.read("b", range).await, Err(AppDataError::RangeNotSatisfiable { size: Some(5) }));
}

#[tokio::test]
async fn preconditions_bind() {
    let s = setting().await;
    let absent = || Precondition::Absent;
    let first = s.write_if("a", "1", absent()).await.expect("there was none");
    let tag = etag(&first.entry);
    let failed = || Err(AppDataError::PreconditionFailed { current: Some(tag.clone()) });
    assert_eq!(s.write_if("a", "2", absent()).await, failed());
    let other: ETag = "\"x.y\"".parse().expect("a tag");
    assert_eq!(s.write_if("a", "2", Precondition::Match(vec![other.clone()])).await, failed());
    assert_eq!(
        s.remove("a", Precondition::Match(vec![other.clone()])).await.map(drop),
        failed().map(drop::<Written>)
    );
    assert_eq!(s.theirs.read("a").expect("there"), "1");

    let matching = Precondition::Match(vec![other, tag.clone()]);
    let second = s.write_if("a", "2", matching.clone()).await.expect("the tag is the one given");
    let current = Some(etag(&second.entry));
    assert_eq!(s.write_if("a", "3", matching).await, Err(AppDataError::PreconditionFailed { current }));
    s.write_if("a", "3", Precondition::Exists).await.expect("there is one");
    let none = Err(AppDataError::PreconditionFailed { current: None });
    assert_eq!(s.write_if("b", "1", Precondition::Exists).await, none);
    assert_eq!(s.write_if("b", "1", Precondition::Match(vec![tag])).await, none);
    s.theirs.folder("d").expect("made");
    assert_eq!(s.write_if("d", "1", absent()).await, none);
}

#[tokio::test]
async fn of_many_that_write_at_once_one_makes_the_file_and_each_sees_the_one_before() {
    let s = setting().await;
    let writes = (0..8).map(|n| {
        let s = &s;
        async move { s.write_if("sub/a", &n.to_string(), Precondition::Absent).await }
    });
    let outcomes = join_all(writes).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
    let plain = (0..8).map(|n| {
        let s = &s;
        async move { s.write(&format!("other/{n}"), "x").await.expect("written").created }
    });
    assert!(join_all(plain).await.into_iter().all(|created| created));
    let folders = s.theirs.files().iter().filter(|file| file.is_folder).count();
    assert_eq!((folders, s.theirs.files().len()), (2, 11), "no folder was made twice");
}

#[tokio::test]
async fn of_two_files_of_one_name_the_later_one_wins_and_both_are_shown() {
    let s = setting().await;
    s.theirs.put("d/a", "older").expect("made");
    let newer = s.theirs.put_another("d/a", "newer").expect("made");
    s.theirs.touch("d/a", 1_000_000_000_000).expect("there");
    assert_eq!(s.read("d/a", None).await.as_deref(), Ok("newer"));
    assert_eq!(s.list("").await, ["d/", "d/a", "d/a (shadowed)"]);
    let written = s.write("d/a", "newest").await.expect("written");
    assert_eq!(written.entry.file.id.as_str(), newer);
    let uncovered = s.remove("d/a", Precondition::None).await.expect("removed").expect("the other one");
    assert_eq!(s.stat("d/a").await.map(|entry| entry.file.id), Ok(uncovered.file.id));
    assert_eq!(s.read("d/a", None).await.as_deref(), Ok("older"));
}

#[tokio::test]
async fn files_and_folders_are_not_taken_for_each_other() {
    let s = setting().await;
    s.theirs.put("d/a", "1").expect("made");
    assert_eq!(s.read("d", None).await, Err(AppDataError::IsFolder));
    assert_eq!(s.write("d", "1").await, Err(AppDataError::IsFolder));
    assert_eq!(s.remove("d", Precondition::None).await, Err(AppDataError::IsFolder));
    assert_eq!(s.write("d/a/b", "1").await, Err(AppDataError::NotAFolder));
    assert_eq!(s.read("d/a/b", None).await, Err(AppDataError::NotFound));
    assert_eq!(s.theirs.files().len(), 2);
}

#[tokio::test]
async fn a_listing_has_pages_and_a_prefix() {
    let s = setting().await;
    for n in 0..25 {
        s.theirs.put(&format!("{}/{n:02}", if n % 2 == 0 { "even" } else { "odd" }), "x").expect("made");
    }
    let whole = s.list("").await;
    assert_eq!((whole.len(), whole[0].as_str(), whole[1].as_str()), (27, "even/", "even/00"));
    assert_eq!(s.list("odd/").await.len(), 12);
    let mut request = ListRequest { prefix: "even/".to_owned(), limit: 5, after: None };
    let mut sizes = Vec::new();
    loop {
        let page = s.locum.state.app_data.list(s.person(), &request).await.expect("a page");
        sizes.push(page.entries.len());
        request.after = page.next;
        if request.after.is_none() {
            break;
        }
    }
    assert_eq!(sizes, [5, 5, 3]);
}

#[tokio::test]
async fn more_than_a_page_of_drives_is_listed_and_found() {
    let s = setting().await;
    for n in 0..1005 {
        s.theirs.put_another(&format!("d{}/same", n % 3), n.to_string()).expect("made");
    }
    s.units();
    let mut request = ListRequest { prefix: "d1".to_owned(), ..ListRequest::default() };
    let page = s.locum.state.app_data.list(s.person(), &request).await.expect("a page");
    assert_eq!(s.units(), 300, "two pages and the folders");
    assert_eq!(page.entries.len(), 336);
    assert_eq!(page.entries.iter().filter(|entry| entry.shadowed).count(), 334);
    request.prefix = String::new();
    let page = s.locum.state.app_data.list(s.person(), &request).await.expect("a page");
    assert_eq!(page.entries.len(), 1000);
    assert!(page.next.is_some());
    // The search for its names finds more than a page, so the path is walked.
    s.units();
    assert_eq!(s.stat("d2/same").await.map(|entry| entry.path), Ok("d2/same".to_owned()));
    assert_eq!(s.units(), 305);
}

#[tokio::test]
async fn content_that_is_too_large_or_breaks_off_is_not_stored() {
    let s = setting_with("[app_data]\nmax_bytes = \"6MiB\"\n").await;
    let app_data = &s.locum.state.app_data;
    let actor = Actor::locum();
    let write =
        |content| app_data.write(s.person(), path("d/a"), content, text(), Precondition::None, &actor);
    let pieces = |count: usize| (0..count).map(|_| Ok(vec![7; 1 << 20].into()));
    for length in [Some(7 << 20), None] {
        let stream = futures_util::stream::iter(pieces(7).collect::<Vec<_>>());
        assert_eq!(write(Content::stream(length, stream)).await, Err(AppDataError::TooLarge));
    }
    for count in [1, 6] {
        let (feed, content) = feed(None);
        let bring = async move {
            for piece in pieces(count) {
                feed.send(piece.expect("a piece")).await.expect("wanted");
            }
        };
        let (outcome, ()) = futures_util::future::join(write(content), bring).await;
        assert_eq!(outcome, Err(AppDataError::ContentBroke), "{count}");
    }
    assert!(s.theirs.files().iter().all(|file| file.is_folder), "{:?}", s.theirs.files());
    let stream = futures_util::stream::iter(pieces(6).collect::<Vec<_>>());
    write(Content::stream(None, stream)).await.expect("just within the limit");
}

#[tokio::test]
async fn a_write_that_has_all_of_its_content_is_finished_whoever_hangs_up() {
    let s = setting().await;
    let hold = s.locum.emulator.world.faults().hold(Endpoint::DriveUpload);
    {
        let mut caller = Box::pin(s.write("a", "kept"));
        // The upload is under way, and its caller goes away.
        tokio::select! {
            outcome = &mut caller => panic!("{outcome:?}"),
            () = hold.reached(1) => {}
        }
    }
    let faults = s.locum.emulator.world.faults();
    faults.clear(Endpoint::DriveUpload);
    hold.release();
    assert!(s.locum.state.lifecycle.stop(std::time::Duration::from_secs(10)).await);
    assert_eq!(s.theirs.read("a").expect("there"), "kept");
}

#[tokio::test]
async fn what_stands_in_the_way_is_told() {
    let s = setting().await;
    for (reason, matches) in [
        (DriveReason::StorageQuotaExceeded, "StorageFull"),
        (DriveReason::InsufficientPermissions, "ConsentNeeded"),
        (DriveReason::AccessNotConfigured, "SettingNeeded"),
        (DriveReason::DomainPolicy, "SettingNeeded"),
        (DriveReason::DailyLimitExceeded, "SettingNeeded"),
        (DriveReason::NotSupportedForAppDataFolderFiles, "Refused"),
    ] {
        s.fault(Endpoint::DriveUpload, Fault::drive(reason));
        let error = s.write("a", "1").await.expect_err("refused");
        assert!(format!("{error:?}").starts_with(matches), "{error:?}");
    }
    s.locum.emulator.world.faults().until_cleared(Endpoint::DriveList, Fault::retry_after(503, 120));
    let Err(AppDataError::DriveUnavailable { retry_after, .. }) = s.stat("a").await else {
        panic!("an outage")
    };
    assert_eq!(retry_after.as_secs(), 120);
}

#[tokio::test]
async fn a_grant_without_the_scope_never_comes_to_drive() {
    let locum = TestLocum::start().await;
    let code = locum.code_with(locum.alice(), |request| request.scopes = ScopeSet::parse("openid email"));
    let user = locum.redeem(code).await.expect("connected").user;
    let person = Person { user, client: None, reach: Reach::EVERYTHING };
    let error = locum.state.app_data.stat(person, &path("a")).await.expect_err("no scope");
    assert!(matches!(error, AppDataError::Token(TokenError::ScopeMissing { .. })), "{error:?}");
    assert_eq!(locum.emulator.world.drive_counts().requests(), 0);
}

#[test]
fn a_bad_path_says_which_rule_it_breaks() {
    assert_eq!("a/../b".parse::<AppDataPath>(), Err(InvalidPath::Dots));
}

#[tokio::test]
async fn one_person_who_sends_slowly_keeps_nobody_else_waiting() {
    let setting = setting().await;
    let bob = setting.locum.connect(setting.locum.bob()).await;
    let person = |user| Person { user, client: None, reach: Reach::EVERYTHING };
    let app_data = &setting.locum.state.app_data;
    let actor = Actor::locum();
    let (mut feeds, mut slow) = (Vec::new(), Vec::new());
    for n in 0..20 {
        let (feed, content) = feed(None);
        let at = path(&format!("slow {n}"));
        let mut write =
            Box::pin(app_data.write(person(bob), at, content, text(), Precondition::None, &actor));
        assert!(futures_util::poll!(write.as_mut()).is_pending());
        feeds.push(feed);
        slow.push(write);
    }
    // However long he takes: without a share of his own nothing would be left for her.
    tokio::task::yield_now().await;
    assert!(setting.write("fast", "content").await.expect("written").created);
    drop(feeds);
    for write in join_all(slow).await {
        assert_eq!(write.map(|written| written.created), Err(AppDataError::ContentBroke));
    }
}
