//! Random histories: edits on both sides, between runs and during them, faults of Drive's, kills at any
//! step. The reference is a set of contents and what became of each.
//!
//! A history is made from its number alone, which every failure names: `LOCUM_MIRROR_HISTORY=17` tries
//! that one again and tells its steps, `LOCUM_MIRROR_HISTORIES=100000` tries so many.
//!
//! What is checked after every run, whatever ended it: no content is lost. A content is lost when it is
//! neither on a side nor kept, unless the last copy of it was destroyed by an edit and not by a run.
//! When all is quiet: what no edit has ever overwritten or deleted is on a side, and not only kept; both
//! sides are equal; a further run does nothing and asks twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use super::fake::Fault;
use super::*;
use crate::google::drive::{FileId, FileKind};

const HISTORIES: u64 = 3_000;

/// Small enough that names meet, with every kind of neighbour.
const PLACES: [&str; 16] = [
    "a", "b.txt", "B.txt", "\u{e9}", "e\u{301}", "d", "d/a", "d/b.txt", "d/e", "d/e/a", "f", "f/a", "a/x",
    "f/g/h", "no", "d (x)",
];
/// Names at Drive that no file here can have.
const BAD_NAMES: [&str; 3] = ["a/b", "..", ".locum-mirror"];

type Content = Vec<u8>;

/// One history under way.
struct Story {
    n: u64,
    folder: PathBuf,
    store: Option<PathBuf>,
    drive: FakeDrive,
    rng: Rng,
    /// Counts contents.
    made: u64,
    /// Contents that must be somewhere.
    owed: BTreeSet<Content>,
    /// Contents of which an edit has overwritten or deleted a copy.
    touched: BTreeSet<Content>,
    tale: Vec<String>,
    /// Steps until the run is killed, if it is to be.
    kill_in: Option<u64>,
    killed: bool,
    /// Chance in 64 of an edit at a step of a run.
    busy: u64,
    /// Chance in 256 of a fault at a request.
    faulty: u64,
}

type Shared = Arc<Mutex<Story>>;

fn lock(story: &Shared) -> MutexGuard<'_, Story> {
    story.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Story {
    fn pick<T: Copy>(&self, from: &[T]) -> T {
        from[usize::try_from(self.rng.below(from.len() as u64)).expect("small")]
    }

    fn chance(&self, n: u64, of: u64) -> bool {
        self.rng.below(of) < n
    }

    fn tell(&mut self, what: impl Into<String>) {
        self.tale.push(what.into());
    }

    /// A new content, or at times one that was there before.
    fn content(&mut self) -> Content {
        if self.made > 0 && self.chance(1, 6) {
            return format!("content {}", 1 + self.rng.below(self.made)).into_bytes();
        }
        self.made += 1;
        if self.chance(1, 40) { vec![] } else { format!("content {}", self.made).into_bytes() }
    }

    /// Every content that is on a side, kept, or on its way.
    fn existing(&self) -> BTreeSet<Content> {
        let mut all: BTreeSet<Content> = tree(&self.folder).into_values().flatten().collect();
        let world = self.drive.world();
        let files = world.files.values().filter(|(facts, _)| facts.kind != FileKind::Folder);
        all.extend(files.map(|(_, content)| content.clone()));
        drop(world);
        for folder in [Some(self.folder.join(path::PRIVATE)), self.store.clone()].into_iter().flatten() {
            let Ok(entries) = std::fs::read_dir(folder) else { continue };
            all.extend(entries.filter_map(|entry| {
                let (entry, unfinished) = (entry.expect("an entry"), ["tmp-", "new."]);
                let name = entry.file_name().to_string_lossy().into_owned();
                // What is half brought here is not here.
                let counts = !unfinished.iter().any(|mark| name.starts_with(mark)) && !entry.path().is_dir();
                if counts { std::fs::read(entry.path()).ok() } else { None }
            }));
        }
        all
    }

    /// An edit is about to destroy a copy of these; afterwards, what is nowhere else is owed no more.
    fn destroys(&mut self, contents: impl IntoIterator<Item = Content>) {
        self.touched.extend(contents);
    }

    fn settle_up(&mut self) {
        let existing = self.existing();
        let touched = &self.touched;
        self.owed.retain(|content| existing.contains(content) || !touched.contains(content));
    }

    fn local_contents(&self, at: &str) -> Vec<Content> {
        let path = self.folder.join(at);
        if path.is_dir() {
            tree(&path).into_values().flatten().collect()
        } else {
            std::fs::read(path).into_iter().collect()
        }
    }

    fn edit_here(&mut self) {
        let there_is: Vec<String> = tree(&self.folder).into_keys().collect();
        let (mut at, to) = (self.pick(&PLACES), self.pick(&PLACES));
        if !there_is.is_empty() && self.chance(3, 4) {
            let n = usize::try_from(self.rng.below(there_is.len() as u64)).expect("small");
            at = &there_is[n];
        }
        let (path, other) = (self.folder.join(at), self.folder.join(to));
        let parent_is_folder = path.parent().is_some_and(Path::is_dir);
        match self.rng.below(10) {
            0..=3 => {
                let content = self.content();
                if !parent_is_folder {
                    let _ = std::fs::create_dir_all(path.parent().expect("a folder"));
                }
                if path.is_dir() || !path.parent().is_some_and(Path::is_dir) {
                    return;
                }
                let old = self.local_contents(at);
                self.destroys(old);
                // In place, or as a new file in the place of the old one.
                let in_place = self.chance(1, 2);
                self.tell(format!("here: {at} = {} {in_place}", String::from_utf8_lossy(&content)));
                if in_place {
                    std::fs::write(&path, &content).expect("written");
                } else {
                    let temporary = self.folder.join(path::PRIVATE).with_extension("editor");
                    std::fs::write(&temporary, &content).expect("written");
                    std::fs::rename(&temporary, &path).expect("renamed");
                }
                self.owed.insert(content);
            }
            4 => {
                let old = self.local_contents(at);
                if path.is_file() {
                    self.destroys(old);
                    self.tell(format!("here: delete {at}"));
                    std::fs::remove_file(&path).expect("deleted");
                }
            }
            5 => {
                if path.is_dir() {
                    let old = self.local_contents(at);
                    self.destroys(old);
                    self.tell(format!("here: delete folder {at}"));
                    std::fs::remove_dir_all(&path).expect("deleted");
                }
            }
            6 | 7 => {
                let inside = other.starts_with(&path);
                if path.symlink_metadata().is_ok() && !inside && other.parent().is_some_and(Path::is_dir) {
                    let old = self.local_contents(to);
                    if std::fs::rename(&path, &other).is_ok() {
                        self.destroys(old);
                        self.tell(format!("here: rename {at} {to}"));
                    }
                }
            }
            8 => {
                if !path.exists() && parent_is_folder {
                    self.tell(format!("here: folder {at}"));
                    std::fs::create_dir(&path).expect("made");
                }
            }
            _ => {
                // A copy with its times, as `cp -p` makes it.
                if path.is_file() && other.parent().is_some_and(Path::is_dir) && !other.is_dir() {
                    let old = self.local_contents(to);
                    let content = std::fs::read(&path).expect("read");
                    self.destroys(old);
                    self.tell(format!("here: copy {at} {to}"));
                    let time = path.metadata().expect("there").modified().expect("a time");
                    std::fs::write(&other, content).expect("written");
                    let file = std::fs::File::options().write(true).open(&other).expect("there");
                    file.set_modified(time).expect("set");
                }
            }
        }
        self.settle_up();
    }

    /// Whether a folder is another one or lies below it.
    fn is_within(&self, folder: Option<&FileId>, top: &FileId) -> bool {
        let world = self.drive.world();
        let mut here = folder.cloned();
        while let Some(file) = here {
            if file == *top {
                return true;
            }
            here = world.files.get(&file).and_then(|(facts, _)| facts.parent.clone());
        }
        false
    }

    /// The contents of a file or folder at Drive.
    fn remote_contents(&self, file: &FileId) -> Vec<Content> {
        let world = self.drive.world();
        let mut found = Vec::new();
        let mut open = vec![file.clone()];
        while let Some(here) = open.pop() {
            if let Some((facts, content)) = world.files.get(&here)
                && facts.kind != FileKind::Folder
            {
                found.push(content.clone());
            }
            let inside = world.files.values().filter(|(facts, _)| facts.parent.as_ref() == Some(&here));
            open.extend(inside.map(|(facts, _)| facts.id.clone()));
        }
        found
    }

    fn edit_there(&mut self) {
        let (at, to) = (self.pick(&PLACES), self.pick(&PLACES));
        let mut found = self.drive.world().find(at);
        if self.chance(3, 4) {
            let there_is: Vec<FileId> = self.drive.world().files.keys().cloned().collect();
            let n = usize::try_from(self.rng.below(there_is.len().max(1) as u64)).expect("small");
            found = there_is.get(n).cloned();
        }
        let is_folder = |file: &FileId| self.drive.world().is_folder(file);
        let parent = match to.rsplit_once('/') {
            None => Some(None),
            Some((folder, _)) => {
                let found = self.drive.world().find(folder);
                found.filter(|folder| is_folder(folder)).map(Some)
            }
        };
        match (self.rng.below(11), found) {
            (0..=3, found) if found.as_ref().is_none_or(|file| !is_folder(file)) => {
                let content = self.content();
                if let Some(file) = &found {
                    let old = self.remote_contents(file);
                    self.destroys(old);
                }
                self.tell(format!("there: {at} {found:?} = {}", String::from_utf8_lossy(&content)));
                match found {
                    Some(file) => self.drive.world().write(&file, &content),
                    None => drop(self.drive.world().put(at, &content)),
                }
                self.owed.insert(content);
            }
            (4 | 5, Some(file)) => {
                let old = self.remote_contents(&file);
                self.destroys(old);
                self.tell(format!("there: delete {file:?}"));
                self.drive.world().delete(&file);
            }
            (6 | 7, Some(file)) => {
                if let Some(parent) = parent.filter(|parent| !self.is_within(parent.as_ref(), &file)) {
                    let name = to.rsplit_once('/').map_or(to, |(_, name)| name);
                    self.tell(format!("there: rename {file:?} {to}"));
                    self.drive.world().relocate(&file, name, parent.as_ref());
                }
            }
            (8, _) => {
                self.tell(format!("there: folder {at}"));
                self.drive.world().folder(at);
            }
            (9, _) => {
                if let Some(parent) = parent {
                    let content = self.content();
                    let name = to.rsplit_once('/').map_or(to, |(_, name)| name);
                    self.tell(format!("there: another {to} = {}", String::from_utf8_lossy(&content)));
                    self.drive.world().add(name, parent.as_ref(), Some(&content));
                    self.owed.insert(content);
                }
            }
            (10, _) if self.chance(1, 3) => {
                let (content, name) = (self.content(), self.pick(&BAD_NAMES));
                self.tell(format!("there: bad name {name}"));
                self.drive.world().add(name, None, Some(&content));
                self.owed.insert(content);
            }
            _ => {}
        }
        self.settle_up();
    }

    /// No edits during runs, no faults, no kills from here on. Returns what there was of them.
    fn calm(&mut self) -> (u64, u64) {
        self.kill_in = None;
        self.drive.world().lag = 0;
        self.tell("quiet");
        (std::mem::take(&mut self.busy), std::mem::take(&mut self.faulty))
    }

    fn resume(&mut self, (busy, faulty): (u64, u64)) {
        (self.busy, self.faulty) = (busy, faulty);
    }

    /// Edits between runs.
    fn edits(&mut self) {
        for _ in 0..self.rng.below(8) {
            if self.chance(1, 2) { self.edit_here() } else { self.edit_there() }
        }
    }

    /// What happens at a step of a run. Returns whether the run is killed there.
    fn step(&mut self, next: &'static str) -> bool {
        if let Some(left) = &mut self.kill_in {
            if *left == 0 {
                self.killed = true;
                self.tell(format!("killed before: {next}"));
                return true;
            }
            *left -= 1;
        }
        if self.chance(self.busy, 64) {
            self.tell(format!("before: {next}"));
            // Drive has no preconditions: what is changed there after a run has kept the old content is
            // out of anybody's reach. Until the run acts, and not after.
            let early = ["begin", "root", "list", "start page token", "save the listing", "scan", "accept"];
            if early.contains(&next) && self.chance(1, 2) {
                self.edit_there();
            } else {
                self.edit_here();
            }
        }
        false
    }

    fn fault(&mut self, request: &'static str) -> Option<Fault> {
        if !self.chance(self.faulty, 256) {
            return None;
        }
        let later = RemoteError::TryLater { after: Duration::ZERO };
        let fault = match self.rng.below(6) {
            0 | 1 => Fault::After(later),
            2 => Fault::Before(later),
            3 if ["create", "update", "download", "relocate", "delete", "folder"].contains(&request) => {
                Fault::Before(RemoteError::Refused("on purpose".into()))
            }
            4 if request == "changes" => Fault::Before(RemoteError::PageTokenRefused),
            5 if ["create", "update"].contains(&request) => Fault::After(RemoteError::Mismatch),
            _ => return None,
        };
        self.tell(format!("fault at {request}: {fault:?}"));
        Some(fault)
    }

    fn check_owed(&self) {
        let existing = self.existing();
        let lost: Vec<_> =
            self.owed.difference(&existing).map(|content| String::from_utf8_lossy(content)).collect();
        assert!(lost.is_empty(), "lost: {lost:?}");
    }
}

/// Tells the history when it ends in a panic.
struct Teller(Shared);

impl Drop for Teller {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let story = lock(&self.0);
            eprintln!("history {}:\n  {}", story.n, story.tale.join("\n  "));
        }
    }
}

/// What a history showed, to see that histories show something.
#[derive(Clone, Copy, Debug, Default)]
struct Figures {
    kills: u64,
    faults: u64,
    edits_within: u64,
    conflicts: u64,
    deletions: u64,
    moves: u64,
    transfers: u64,
    runs: u64,
    /// Runs until nothing was left to do, after the last edit.
    slowest: u64,
}

async fn history(home: &Home, n: u64) -> Figures {
    let rng = Rng::seeded(n);
    let direction = [Direction::Both, Direction::Both, Direction::Pull, Direction::Push]
        [usize::try_from(rng.below(4)).expect("small")];
    let mut target = home.target(&format!("h{n}"), direction);
    let drive = FakeDrive::new();
    drive.world().page_size = 5;
    let story = Arc::new(Mutex::new(Story {
        n,
        folder: target.folder.clone(),
        store: None,
        drive: drive.clone(),
        busy: if rng.below(2) == 0 { 0 } else { rng.below(8) },
        faulty: if rng.below(3) == 0 { 0 } else { rng.below(64) },
        rng,
        made: 0,
        owed: BTreeSet::new(),
        touched: BTreeSet::new(),
        tale: vec![format!("{direction:?}")],
        kill_in: None,
        killed: false,
    }));
    let teller = Teller(story.clone());
    let hook = {
        let story = story.clone();
        Hook::new(move |next| {
            let is_over = lock(&story).step(next);
            Box::pin(async move {
                if is_over {
                    std::future::pending::<()>().await;
                }
            })
        })
    };
    {
        let story = story.clone();
        // The story's lock is taken before Drive's, never after it.
        drive.fail(move |request| story.try_lock().ok().and_then(|mut story| story.fault(request)));
    }
    let mirrors = home.mirrors(hook);
    let mut figures = Figures::default();
    let rounds = 1 + lock(&story).rng.below(6);
    if lock(&story).rng.below(4) > 0 {
        // Something to delete, to rename and to disagree about.
        let calm = lock(&story).calm();
        (0..12).for_each(|n| if n % 2 == 0 { lock(&story).edit_here() } else { lock(&story).edit_there() });
        settle(home, &mirrors, &target, &story, &mut figures).await;
        lock(&story).resume(calm);
    }
    for _ in 0..rounds {
        lock(&story).edits();
        storm(home, &mirrors, &mut target, &story, &mut figures).await;
    }
    lock(&story).calm();
    settle(home, &mirrors, &target, &story, &mut figures).await;
    check_rest(&target, &story);
    figures.faults = count(&story, "fault");
    figures.edits_within = count(&story, "before:");
    drop(teller);
    mirrors.forget(home.user, Some(&target.project)).await.expect("forgotten");
    std::fs::remove_dir_all(&target.folder).expect("removed");
    figures
}

fn count(story: &Shared, what: &str) -> u64 {
    lock(story).tale.iter().filter(|line| line.starts_with(what)).count() as u64
}

/// One run, which may be killed or meet faults and edits.
async fn storm(home: &Home, mirrors: &Mirrors, target: &mut Target, story: &Shared, figures: &mut Figures) {
    {
        let mut story = lock(story);
        story.killed = false;
        story.kill_in = if story.chance(1, 2) { Some(story.rng.below(32)) } else { None };
        let lag = usize::try_from(story.rng.below(4)).expect("small");
        story.drive.world().lag = lag;
        if story.chance(1, 16) {
            target.direction = [Direction::Both, Direction::Pull, Direction::Push]
                [usize::try_from(story.rng.below(3)).expect("small")];
            let direction = target.direction;
            story.tell(format!("now {direction:?}"));
        }
    }
    let options = RunOptions { dry_run: false, accept: lock(story).chance(9, 10) };
    let killed = {
        let story = story.clone();
        std::future::poll_fn(move |context| {
            if lock(&story).killed {
                std::task::Poll::Ready(())
            } else {
                // The run is polled first, and again whenever this is.
                let _ = context;
                std::task::Poll::Pending
            }
        })
    };
    let drive = lock(story).drive.clone();
    let run = patient(mirrors, target, &drive, options).await_or_killed(killed).await;
    figures.runs += 1;
    match run {
        None => {
            figures.kills += 1;
            // The last operation on the disk ends with the process; here it must be waited for.
            while mirrors.0.open_folder(&target.folder).is_err_and(|error| error == MirrorError::Busy) {
                tokio::task::yield_now().await;
            }
        }
        Some(Ok(report)) => note(figures, story, &report),
        Some(Err(error)) => {
            assert!(matches!(error, MirrorError::Remote(_)), "{error}");
            lock(story).tell(format!("ended: {error}"));
        }
    }
    find_store(home, target, story).await;
    let mut story = lock(story);
    story.kill_in = None;
    story.check_owed();
}

async fn find_store(home: &Home, target: &Target, story: &Shared) {
    if let Ok(Some(mirror)) = home.vault.load_mirror(target.user, &target.project).await {
        lock(story).store = Some(versions::Store::path(&home.data(), &mirror.store));
    }
}

fn note(figures: &mut Figures, story: &Shared, report: &Report) {
    figures.conflicts += report.done.conflicts;
    figures.deletions += report.done.deleted_here + report.done.deleted_at_drive;
    figures.moves += report.done.moved;
    figures.transfers += report.done.downloaded + report.done.uploaded;
    let planned: Vec<String> = report
        .planned
        .iter()
        .map(|action| {
            let debug = format!("{action:?}");
            let kind: String = debug.chars().take_while(|c| c.is_alphabetic()).collect();
            match action.source() {
                Some(from) => format!("{kind} {from} -> {}", action.path()),
                None => format!("{kind} {}", action.path()),
            }
        })
        .collect();
    let problems: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
    lock(story).tell(format!(
        "run: {planned:?}, held {:?}, stopped {:?}, {problems:?}",
        report.held, report.stopped
    ));
}

trait AwaitOrKilled: Future + Sized {
    async fn await_or_killed(self, killed: impl Future<Output = ()>) -> Option<Self::Output> {
        let (mut run, mut killed) = (Box::pin(self), Box::pin(killed));
        std::future::poll_fn(|context| {
            if let std::task::Poll::Ready(outcome) = run.as_mut().poll(context) {
                return std::task::Poll::Ready(Some(outcome));
            }
            killed.as_mut().poll(context).map(|()| None)
        })
        .await
    }
}

impl<F: Future> AwaitOrKilled for F {}

/// Runs until nothing is left to do.
async fn settle(home: &Home, mirrors: &Mirrors, target: &Target, story: &Shared, figures: &mut Figures) {
    let drive = lock(story).drive.clone();
    let options = RunOptions { dry_run: false, accept: true };
    for round in 1.. {
        let report = patient(mirrors, target, &drive, options).await.expect("a report");
        note(figures, story, &report);
        find_store(home, target, story).await;
        lock(story).check_owed();
        assert_eq!(report.stopped, None);
        if report.planned.is_empty() {
            figures.slowest = round;
            break;
        }
        assert!(round < 5, "no rest after {round} runs");
    }
    drive.take_requests();
    let report = patient(mirrors, target, &drive, RunOptions::default()).await.expect("a report");
    assert!(report.planned.is_empty() && report.done == Done::default(), "{report:?}");
    assert_eq!(drive.take_requests(), ["root", "changes"]);
}

fn check_rest(target: &Target, story: &Shared) {
    let story = lock(story);
    story.check_owed();
    let here = tree(&target.folder);
    let world = story.drive.world();
    let there: BTreeMap<_, _> = match world.tree() {
        Some(names) => names
            .into_iter()
            .filter(|(path, _)| {
                !BAD_NAMES.iter().any(|bad| path == bad || path.starts_with(&format!("{bad}/")))
            })
            .collect(),
        // With two files of one name at Drive the names differ; contents and their number do not.
        None => BTreeMap::new(),
    };
    let bad = |name: &str| BAD_NAMES.contains(&name);
    let contents_there: Vec<Content> = {
        let files = world.files.values().filter(|(facts, _)| facts.kind != FileKind::Folder);
        let mut all: Vec<_> =
            files.filter(|(facts, _)| !bad(&facts.name)).map(|(_, content)| content.clone()).collect();
        all.sort();
        all
    };
    let mut contents_here: Vec<Content> = here.values().flatten().cloned().collect();
    contents_here.sort();
    match target.direction {
        Direction::Both => {
            assert_eq!(contents_here, contents_there, "both sides hold the same contents");
            if world.tree().is_some() {
                assert_eq!(here, there, "under the same names");
            }
        }
        Direction::Pull => {
            assert!(
                there.iter().all(|(path, content)| here.get(path) == Some(content)),
                "all of Drive is here"
            );
        }
        Direction::Push if world.tree().is_some() => {
            let is_there = |(path, content): (&String, &Option<Content>)| {
                there.get(path) == Some(content)
                    // A folder at Drive with files of others is not replaced.
                    || Path::new(path).ancestors().any(|above| {
                        there.get(above.to_str().expect("UTF-8")).is_some_and(|content| {
                            content.is_none() == target.folder.join(above).is_file()
                        })
                    })
            };
            assert!(here.iter().all(is_there), "all of the folder is at Drive");
        }
        Direction::Push => {}
    }
    if target.direction != Direction::Push {
        let files = world.files.values().filter(|(facts, _)| facts.kind != FileKind::Folder);
        let all_there = files.map(|(_, content)| content);
        let on_a_side: BTreeSet<&Content> = contents_here.iter().chain(all_there).collect();
        let hidden: Vec<_> = story
            .owed
            .iter()
            .filter(|content| !story.touched.contains(*content) && !on_a_side.contains(content))
            .map(|content| String::from_utf8_lossy(content))
            .collect();
        assert!(
            hidden.is_empty() || story.tale.iter().any(|line| line == "Push" || line == "now Push"),
            "only kept, though nobody touched it: {hidden:?}"
        );
    }
    let private = std::fs::read_dir(target.folder.join(path::PRIVATE)).expect("a folder").count();
    assert_eq!(private, 0, "temporary files stay");
}

/// Histories of one thread, in one vault.
fn histories(numbers: impl Iterator<Item = u64>) -> Figures {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let home = Home::new().await;
        let mut all = Figures::default();
        for n in numbers {
            let one = Box::pin(history(&home, n)).await;
            all.kills += one.kills;
            all.faults += one.faults;
            all.edits_within += one.edits_within;
            all.conflicts += one.conflicts;
            all.deletions += one.deletions;
            all.moves += one.moves;
            all.transfers += one.transfers;
            all.runs += one.runs;
            all.slowest = all.slowest.max(one.slowest);
        }
        all
    })
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a longer run is asked for by a variable")]
fn no_history_loses_a_content() {
    let number = |name: &str| std::env::var(name).ok().map(|n| n.parse::<u64>().expect("a number"));
    if let Some(n) = number("LOCUM_MIRROR_HISTORY") {
        eprintln!("{:?}", histories(std::iter::once(n)));
        return;
    }
    let count = number("LOCUM_MIRROR_HISTORIES").unwrap_or(HISTORIES);
    let threads: Vec<_> = (0..2)
        .map(|odd| std::thread::spawn(move || histories((0..count).filter(|n| n % 2 == odd))))
        .collect();
    let figures: Vec<_> = threads
        .into_iter()
        .map(|thread| thread.join().expect("a history failed; it is told above"))
        .collect();
    let sum = |of: fn(&Figures) -> u64| figures.iter().map(of).sum::<u64>();
    // The instrument works: the histories are not idle ones.
    for (what, n, least) in [
        ("kills", sum(|f| f.kills), count / 3),
        ("faults", sum(|f| f.faults), count / 3),
        ("edits during runs", sum(|f| f.edits_within), count / 2),
        ("conflicts", sum(|f| f.conflicts), count / 8),
        ("deletions", sum(|f| f.deletions), count / 4),
        ("moves", sum(|f| f.moves), count / 10),
        ("transfers", sum(|f| f.transfers), count),
    ] {
        eprintln!("{what}: {n}");
        assert!(n >= least, "{n} {what} in {count} histories");
    }
    eprintln!("{count} histories, {} stormy runs", sum(|f| f.runs));
    eprintln!("runs until rest, at most: {}", figures.iter().map(|f| f.slowest).max().unwrap_or_default());
}
