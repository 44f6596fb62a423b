//! kill -9 at any moment of a mirror's run loses no content, and the next run finishes what it was about.
//!
//! Three people have a mirror each, one in each direction, of 500 files and more. Between the kills
//! both sides change, so that there is always work, and what was cut short is changed once more.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use locum::clock::Clock;
use locum::emulator::{AppData, CodeRequest, Emulator, EmulatorSettings, Person};
use locum::rng::Rng;
use md5::{Digest as _, Md5};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::SCOPES;
use crate::program::{Folder, exchange, text, words};

/// Decides the changes and the moments of the kills.
const SEED: u64 = 5;
const KILLS: usize = 200;
const FILES: u64 = 500;
/// Changes before each run, at most.
const CHANGES: u64 = 12;

/// Every so many kills all mirrors run to their end, so that what comes after is about agreed states too.
const CATCH_UP: usize = 40;

const DIRECTIONS: [&str; 3] = ["push", "pull", "both"];

type Sum = [u8; 16];

fn sum(content: &[u8]) -> Sum {
    Md5::digest(content).into()
}

fn hex(sum: &Sum) -> String {
    format!("{:032x}", u128::from_be_bytes(*sum))
}

/// Every file below a folder, by its path.
fn read(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let (mut files, mut folders) = (BTreeMap::new(), vec![folder.to_owned()]);
    while let Some(at) = folders.pop() {
        for entry in std::fs::read_dir(&at).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).expect("below").to_str().expect("UTF-8");
                files.insert(name.to_owned(), std::fs::read(&path).expect("readable"));
            }
        }
    }
    files
}

/// A mirror and what must not be lost of it.
struct Mirror {
    person: Person,
    direction: &'static str,
    folder: PathBuf,
    theirs: AppData,
    /// Contents that somebody wrote and nobody deleted, with where they came from.
    owed: BTreeMap<Sum, String>,
    /// What may stay on the side that only follows: contents that somebody wrote there, and contents that the
    /// other side gave up before a run could record that it had brought them over. A change stays where
    /// the other side has deleted the file, and in one direction it goes nowhere.
    astray: BTreeSet<Sum>,
    /// Whether the last run was cut short.
    is_cut: bool,
}

impl Mirror {
    fn here(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = read(&self.folder);
        files.retain(|path, _| !path.starts_with(".locum-mirror"));
        files
    }

    fn there(&self) -> BTreeMap<String, Vec<u8>> {
        let files = self.theirs.files().into_iter().filter(|file| !file.is_folder);
        files.map(|file| (file.path.clone(), self.theirs.read(&file.path).expect("there").to_vec())).collect()
    }

    fn write(&self, path: &str, content: &[u8], in_place: bool) {
        let path = self.folder.join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        if in_place {
            std::fs::write(path, content).expect("written");
        } else {
            let aside = self.folder.with_extension("editor");
            std::fs::write(&aside, content).expect("written");
            std::fs::rename(aside, path).expect("renamed");
        }
    }

    /// Changes both sides at random. The side that follows gets no new names: what it does not have to
    /// give up it would keep for itself.
    fn change(&mut self, rng: &Rng, store: &Path, next: &mut u64) {
        let mut names = [self.here(), self.there()].map(|files| files.into_keys().collect::<Vec<_>>());
        for _ in 0..=rng.below(CHANGES) {
            let remote = rng.below(2) == 1;
            let follows = remote && self.direction == "push" || !remote && self.direction == "pull";
            let content = new_content(rng, next);
            let new = format!("{}/new {next}", rng.below(12));
            let paths = &mut names[usize::from(remote)];
            if paths.is_empty() {
                continue;
            }
            let chosen = usize::try_from(rng.below(paths.len() as u64)).expect("small");
            if self.is_cut && !follows {
                let old = &paths[chosen];
                let old = if remote {
                    self.theirs.read(old).expect("there").to_vec()
                } else {
                    std::fs::read(self.folder.join(old)).expect("there")
                };
                self.astray.insert(sum(&old));
            }
            match (rng.below(10), remote) {
                (0 | 1, true) => {
                    assert!(self.theirs.remove(&paths.swap_remove(chosen)));
                    continue;
                }
                (0 | 1, false) => {
                    std::fs::remove_file(self.folder.join(paths.swap_remove(chosen))).expect("there");
                    continue;
                }
                (2 | 3, _) if !follows => {
                    let old = std::mem::replace(&mut paths[chosen], new.clone());
                    if remote {
                        self.theirs.rename(&old, &new).expect("room");
                    } else {
                        let to = self.folder.join(&new);
                        std::fs::create_dir_all(to.parent().expect("a folder")).expect("made");
                        std::fs::rename(self.folder.join(old), to).expect("renamed");
                    }
                    continue;
                }
                (4 | 5, _) if !follows => {
                    // Now and then with the same name on both sides.
                    if self.direction == "both" && rng.below(3) == 0 {
                        let other = new_content(rng, next);
                        self.theirs.put(&new, &other).expect("room");
                        self.write(&new, &content, true);
                        self.owed.insert(sum(&other), format!("{new} at Drive"));
                    } else if remote {
                        self.theirs.put(&new, &content).map(drop).expect("room");
                    } else {
                        self.write(&new, &content, true);
                    }
                }
                (_, true) => self.theirs.put(&paths[chosen], &content).map(drop).expect("room"),
                (way, false) => self.write(&paths[chosen], &content, way % 2 == 0),
            }
            if follows {
                self.astray.insert(sum(&content));
            }
            self.owed.insert(sum(&content), format!("change {next}, remote {remote}"));
        }
        // What somebody overwrote or deleted and nobody else had is what they wanted gone.
        let all = self.all(store);
        self.owed.retain(|sum, _| all.contains(sum));
    }

    /// What is on either side or kept.
    fn all(&self, store: &Path) -> BTreeSet<Sum> {
        let kept = read(store).into_iter().filter(|(name, _)| !name.contains("new."));
        let contents = self.here().into_values().chain(self.there().into_values());
        contents.chain(kept.map(|(_, content)| content)).map(|content| sum(&content)).collect()
    }
}

/// No two are equal. Mostly small.
fn new_content(rng: &Rng, next: &mut u64) -> Vec<u8> {
    *next += 1;
    let size = if rng.below(100) == 0 { 100_000 } else { 10 + rng.below(3_000) };
    let mut content = format!("content {next}\n").into_bytes();
    content.resize(content.len() + usize::try_from(size).expect("small"), b'0' + (*next % 64) as u8);
    content
}

/// The names in a folder; none where there is no folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// What happened so far, said when the test fails.
#[derive(Default)]
struct Log(Vec<String>);

impl Drop for Log {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "seed {SEED}; the last runs:\n{}",
                self.0[self.0.len().saturating_sub(12)..].join("\n")
            );
        }
    }
}

struct Storm {
    emulator: Emulator,
    clock: Clock,
    folder: Folder,
    mirrors: Vec<Mirror>,
    /// Where the mirrors' folders are.
    _disk: TempDir,
}

impl Storm {
    async fn begin(rng: &Rng, next: &mut u64) -> Self {
        let clock = Clock::system();
        let settings = EmulatorSettings::new(clock.clone(), Rng::seeded(SEED + 1));
        let emulator = Emulator::start(settings).await.expect("a free loopback port");
        let seeded = emulator.world.seed_demo();
        let disk = tempfile::tempdir().expect("a folder");
        let (mut extra, mut mirrors) = (String::new(), Vec::new());
        for (person, direction) in seeded.people.iter().zip(DIRECTIONS) {
            let folder = disk.path().join(direction);
            std::fs::create_dir(&folder).expect("made");
            extra.push_str(&format!(
                "\n[[mirror]]\nuser = {:?}\nclient = \"main\"\nfolder = {folder:?}\ndirection = {direction:?}\n",
                person.email
            ));
            let theirs = emulator.world.app_data(&person.sub, seeded.web.client_id.project());
            let mut mirror = Mirror {
                person: person.clone(),
                direction,
                folder,
                theirs,
                owed: BTreeMap::new(),
                astray: BTreeSet::new(),
                is_cut: false,
            };
            for n in 0..FILES {
                let (path, content) = (format!("{}/{n}", n % 10), new_content(rng, next));
                match direction {
                    "push" => mirror.write(&path, &content, true),
                    "both" if n % 2 == 0 => mirror.write(&path, &content, true),
                    _ => drop(mirror.theirs.put(&path, &content).expect("room")),
                }
                mirror.owed.insert(sum(&content), path);
            }
            mirrors.push(mirror);
        }
        let facts = json!({
            "discovery_url": emulator.discovery_url().as_str(),
            "drive_url": emulator.base_url().as_str(),
            "client_id": seeded.web.client_id.to_string(),
            "client_secret": seeded.web.secrets[0].expose(),
        });
        let folder = Folder::configured_for(&facts, &extra);
        let server = folder.serve();
        for person in &seeded.people {
            let code = CodeRequest::mobile(&seeded.web.client_id, &person.sub, SCOPES);
            let code = emulator.world.issue_code(code);
            let answer = exchange(server.base(), code.expose()).await.expect("an answer");
            assert_eq!(answer.status, 200, "{}", words(&answer));
        }
        server.stop();
        Self { emulator, clock, folder, mirrors, _disk: disk }
    }

    fn stores(&self) -> PathBuf {
        self.folder.file("vault/versions")
    }

    /// The command that brings a mirror in step.
    fn command<'a>(&self, mirror: &'a Mirror) -> Vec<&'a str> {
        let mut command = vec!["--json", "drive", "sync", &mirror.person.email];
        if mirror.direction == "both" {
            command.push("--accept");
        }
        command
    }

    /// Runs a mirror for at most that long. Returns how long it took if it came to its end.
    async fn run_for(&self, mirror: &Mirror, moment: Duration) -> Option<Duration> {
        let mut command = tokio::process::Command::from(self.folder.locum(&self.command(mirror)));
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let watch = self.clock.stopwatch();
        let child = command.kill_on_drop(true).spawn().expect("it starts");
        let id = i32::try_from(child.id().expect("it runs")).expect("a process id");
        let id = rustix::process::Pid::from_raw(id).expect("not zero");
        let mut end = std::pin::pin!(child.wait_with_output());
        let ended = match tokio::time::timeout(moment, &mut end).await {
            Ok(ended) => ended,
            Err(_) => {
                // Nobody has waited for it yet, so the id is its own even if it has ended.
                rustix::process::kill_process(id, rustix::process::Signal::KILL).expect("our child");
                end.await
            }
        };
        let ended = ended.expect("it ends");
        // One that was killed has no exit code.
        ended.status.code().map(|code| {
            assert_eq!(code, 0, "{}", String::from_utf8_lossy(&ended.stderr));
            watch.elapsed()
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_during_a_run_loses_no_content_and_the_next_run_ends_it() {
    let (rng, mut next, mut log) = (Rng::seeded(SEED), 0, Log::default());
    let mut storm = Storm::begin(&rng, &mut next).await;
    // Long enough for a quiet run here, however slow the machine is.
    let mut whole = Duration::from_millis(200);
    let (mut hits, mut at_work) = (0, 0);
    for round in 0..KILLS {
        let which = round % storm.mirrors.len();
        if round % CATCH_UP == CATCH_UP - 1 {
            for at in 0..storm.mirrors.len() {
                let ended = storm.run_for(&storm.mirrors[at], Duration::from_secs(60)).await;
                whole = ended.expect("a run takes less than a minute");
                storm.mirrors[at].is_cut = false;
            }
        }
        let stores = storm.stores();
        storm.mirrors[which].change(&rng, &stores, &mut next);
        let mirror = &storm.mirrors[which];
        storm.emulator.world.reset_drive_counts();
        let moment = whole.mul_f64(0.2 + rng.below(1_000) as f64 / 1_000.0);
        let ended = storm.run_for(mirror, moment).await;
        let asked = storm.emulator.world.drive_counts().requests();
        log.0.push(format!("{round} {}: {moment:?}, {asked} requests, ended {ended:?}", mirror.direction));
        storm.mirrors[which].is_cut = ended.is_none();
        match ended {
            Some(took) => whole = (whole + took) / 2,
            None => {
                hits += 1;
                at_work += usize::from(asked > 0);
                // Slowly longer, so that some runs come to their end however much there is to do.
                whole = whole.mul_f64(1.01);
            }
        }
    }
    println!(
        "{KILLS} kills, {hits} of them of a running process, {at_work} after its first request to Drive"
    );
    assert!(hits >= KILLS / 3 && at_work >= KILLS / 4, "{hits} hits, {at_work} at work");

    let mut versions = 0;
    for mirror in &storm.mirrors {
        versions += finish(&storm, mirror).await;
    }
    let stored = read(&storm.stores());
    assert!(
        stored.len() == versions && stored.keys().all(|name| !name.contains("new.")),
        "{versions} {:?}",
        stored.keys()
    );
    let known = ["locum.db", "locum.db-shm", "locum.db-wal", "locum.db.lock", "versions"];
    let left = names(&storm.folder.file("vault"));
    assert!(left.iter().all(|name| known.contains(&name.as_str())), "{left:?}");
}

/// The run after the last kill, and what there must be then.
/// Returns how many versions are kept.
async fn finish(storm: &Storm, mirror: &Mirror) -> usize {
    let run = async |arguments: &[&str]| -> Value {
        let mut command = tokio::process::Command::from(storm.folder.locum(arguments));
        let ended = command.stdin(Stdio::null()).output().await.expect("it runs");
        assert_eq!(ended.status.code(), Some(0), "{}: {ended:?}", mirror.direction);
        serde_json::from_slice(&ended.stdout).expect("JSON")
    };
    let first = run(&storm.command(mirror)).await;
    assert_eq!(first["complete"], true, "{}: {first}", mirror.direction);

    let (mut here, mut there) = (mirror.here(), mirror.there());
    match mirror.direction {
        "push" => {
            there.retain(|path, content| here.contains_key(path) || !mirror.astray.contains(&sum(content)))
        }
        "pull" => {
            here.retain(|path, content| there.contains_key(path) || !mirror.astray.contains(&sum(content)))
        }
        _ => {}
    }
    let differ = here.iter().filter(|(path, content)| there.get(*path) != Some(*content));
    let differ: Vec<_> = differ.chain(there.iter().filter(|(path, _)| !here.contains_key(*path))).collect();
    let differ: Vec<_> = differ.into_iter().map(|(path, _)| path).collect();
    assert!(differ.is_empty(), "{}: {differ:?}", mirror.direction);
    assert!(there.len() >= 400, "{}", there.len());

    let list = run(&["--json", "drive", "versions", &mirror.person.email]).await;
    let listed = list["versions"].as_array().expect("a list");
    let kept: BTreeSet<&str> = listed.iter().map(|version| text(&version["md5"])).collect();
    let sides = mirror.there().into_values().chain(mirror.here().into_values());
    let mut contents: BTreeSet<Sum> = sides.map(|content| sum(&content)).collect();
    let stored: BTreeSet<Sum> = read(&storm.stores()).values().map(|content| sum(content)).collect();
    contents.extend(stored.into_iter().filter(|sum| kept.contains(&*hex(sum))));
    let lost: Vec<_> = mirror.owed.iter().filter(|(sum, _)| !contents.contains(*sum)).collect();
    assert!(lost.is_empty(), "{}: {} of {} lost: {lost:?}", mirror.direction, lost.len(), mirror.owed.len());
    println!(
        "{}: {} files, {} contents owed, {} versions",
        mirror.direction,
        there.len(),
        mirror.owed.len(),
        listed.len()
    );

    let left = names(&mirror.folder.join(".locum-mirror.d"));
    assert!(left.is_empty(), "{}: {left:?}", mirror.direction);

    let second = run(&storm.command(mirror)).await;
    assert_eq!((&second["planned_total"], &second["complete"]), (&json!(0), &json!(true)), "{second}");
    listed.len()
}
