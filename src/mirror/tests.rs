//! The mirror as a whole: a real folder, a real vault, and a Drive in memory.

mod days;
mod fake;
mod model;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use self::fake::FakeDrive;
use super::hook::Hook;
use super::*;
use crate::clock::Timestamp;
use crate::ids::UserId;
use crate::secret::SecretKey;
use crate::vault::{GrantChange, NewConnection, NewGrant, Profile, RootSecret, VaultSettings};

const START: Timestamp = Timestamp::from_unix(1_795_368_972);

/// In memory where the system has such a place: what is tried here is order, not a disk.
fn directory() -> TempDir {
    let memory = Path::new("/dev/shm");
    let builder = tempfile::Builder::new();
    if memory.is_dir() { builder.tempdir_in(memory) } else { builder.tempdir() }
        .expect("a temporary directory")
}

/// A vault with one person in it, and a folder for mirrors.
struct Home {
    directory: TempDir,
    vault: Vault,
    clock: Clock,
    metrics: Metrics,
    user: UserId,
}

impl Home {
    async fn new() -> Self {
        let directory = directory();
        let clock = Clock::manual(START);
        let settings = VaultSettings {
            path: directory.path().join("data/vault.db"),
            root: RootSecret::Key(SecretKey::new([1; 32])),
            issuer: "https://accounts.google.com".into(),
            readers: 1,
        };
        let vault = Vault::open(settings, clock.clone(), Rng::system()).expect("a vault");
        let profile = Profile {
            sub: "108204268033311370001".parse().expect("a sub"),
            email: Some("alice@example.org".parse().expect("an address")),
            email_verified: true,
            name: None,
            given_name: None,
            family_name: None,
            picture: None,
            locale: None,
            hd: None,
            admitted_by: "anyone".into(),
        };
        let client_id = "402839145520-one.apps.googleusercontent.com".parse().expect("a client id");
        let change = GrantChange { state: Some(crate::grant::GrantState::Active), ..GrantChange::default() };
        let grant = NewGrant { client_id, change };
        let sub = profile.sub.clone();
        let connection = NewConnection { profile, grant, redemption: None };
        let connected = vault.connect(&sub, |_| Ok::<_, ()>((connection, ()))).await.expect("the vault");
        let user = connected.expect("connects").0.user.id;
        Self { directory, vault, clock, metrics: Metrics::new(), user }
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn mirrors(&self, hook: Hook) -> Mirrors {
        let metrics = self.metrics.clone();
        let mut mirrors =
            Mirrors::new(self.vault.clone(), self.clock.clone(), Rng::system(), metrics, &self.data());
        Arc::get_mut(&mut mirrors.0).expect("nobody else has it yet").hook = hook;
        mirrors
    }

    /// A mirror of a new folder.
    fn target(&self, name: &str, direction: Direction) -> Target {
        let folder = self.directory.path().join(name);
        std::fs::create_dir(&folder).expect("a folder");
        Target {
            user: self.user,
            project: name.to_owned(),
            folder,
            direction,
            retention: Retention { age: Duration::from_secs(90 * 86_400), bytes: 1 << 40 },
        }
    }
}

/// Every file below a folder with its content, and every folder with none; ours apart.
fn tree(folder: &Path) -> BTreeMap<String, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(here) = open.pop() {
        for entry in std::fs::read_dir(&here).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.strip_prefix(folder).expect("below").to_str().expect("UTF-8").to_owned();
            if [path::MARKER, path::PRIVATE].contains(&&*name) {
                continue;
            }
            let kind = path.symlink_metadata().expect("there").file_type();
            if kind.is_dir() {
                found.insert(name, None);
                open.push(path);
            } else if kind.is_file() {
                found.insert(name, Some(std::fs::read(&path).expect("readable")));
            }
        }
    }
    found
}

/// A run once the one before it, which was dropped, has ended its last operation, and no child process that
/// another test is just starting holds a copy of the lock.
async fn patient(
    mirrors: &Mirrors,
    target: &Target,
    drive: &FakeDrive,
    options: RunOptions,
) -> Result<Report, MirrorError> {
    loop {
        match mirrors.run(target, drive, options).await {
            Err(MirrorError::Busy) => tokio::task::yield_now().await,
            outcome => return outcome,
        }
    }
}

/// Every file in a mirror's version store, whatever the vault says of it.
async fn kept(home: &Home, target: &Target) -> Vec<Vec<u8>> {
    let Ok(Some(mirror)) = home.vault.load_mirror(target.user, &target.project).await else { return vec![] };
    let store = versions::Store::path(&home.data(), &mirror.store);
    let Ok(entries) = std::fs::read_dir(store) else { return vec![] };
    entries.map(|entry| std::fs::read(entry.expect("an entry").path()).expect("readable")).collect()
}
