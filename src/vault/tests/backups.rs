//! Copies: made beside live writes, verified, restored elsewhere, and never over anything.

use std::os::unix::fs::MetadataExt as _;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt as _;

use super::*;

fn elsewhere(home: &Home, name: &str) -> PathBuf {
    home.directory.path().join(name)
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("there").mode() & 0o777
}

/// Opens a vault at another path of the home's directory.
fn open_at(home: &Home, path: PathBuf) -> Result<Vault, VaultError> {
    let settings = VaultSettings { path, ..home.settings(root(1)) };
    Vault::open(settings, home.clock.clone(), home.rng.clone())
}

#[tokio::test]
async fn a_backup_holds_everything_and_is_restored_elsewhere() {
    let (home, contents) = Home::furnished(90).await;
    let vault = home.open();
    let copy = elsewhere(&home, "copy.db");
    let facts = vault.backup(&copy).await.expect("copied");
    let expected = BackupFacts {
        root_id: vault.root_id().to_string(),
        users: PEOPLE as u64,
        grants: PEOPLE as u64 + 1,
        api_keys: 2,
        size: std::fs::metadata(&copy).expect("there").len(),
    };
    assert_eq!(facts, expected);
    assert_eq!(vault.facts().await.expect("readable").last_backup, Some(START));
    assert_eq!(mode(&copy), 0o600);
    let beside: Vec<_> = files(home.directory.path()).into_keys().filter(|path| path != &copy).collect();
    assert!(beside.iter().all(|path| path.to_string_lossy().contains("vault.db")), "{beside:?}");

    let before = std::fs::read(&copy).expect("readable");
    let restored = elsewhere(&home, "new/home/vault.db");
    assert_eq!(Vault::restore(&copy, &restored, &root(1)), Ok(facts));
    assert!(std::fs::read(&copy).expect("readable") == before, "the backup stays as it is");
    let made: Vec<_> = files(restored.parent().expect("a directory")).into_keys().collect();
    assert!(made == std::slice::from_ref(&restored), "{made:?}");
    assert_eq!(mode(&restored), 0o600);
    let other = open_at(&home, restored).expect("opens");
    assert_eq!(read_all(&other).await, contents);
    // And it lives on: the copy is no read-only relic.
    connect(&other, 77).await;
    other.close().await;
}

type Copying = Pin<Box<dyn Future<Output = Result<(), VaultError>> + Send>>;

/// Writes of which each queues the next before it ends, so that the queue is never empty, until the
/// copy is done.
struct Chain {
    vault: Vault,
    left: AtomicUsize,
    copying: Mutex<Option<Copying>>,
}

impl Chain {
    fn link(self: Arc<Self>) -> Copying {
        Box::pin(async move {
            let vault = self.vault.clone();
            vault.write(move |_| self.step()).await
        })
    }

    fn step(self: Arc<Self>) -> Result<(), VaultError> {
        let mut copying = self.copying.lock().expect("no panic");
        if let Some(copied) = copying.as_mut().and_then(|copying| copying.now_or_never()) {
            *copying = None;
            return copied;
        }
        if self.left.fetch_sub(1, Ordering::SeqCst) > 1 {
            assert!(self.clone().link().now_or_never().is_none(), "queued");
        }
        Ok(())
    }
}

#[tokio::test]
async fn a_backup_gets_done_beside_writers_that_never_pause() {
    let home = Home::new(91);
    let vault = home.open();
    // Several steps' worth of pages.
    let blob = "INSERT INTO documents VALUES ('padding', randomblob(6000000), 1, 1, x'00')";
    vault.write(move |conn| conn.execute(blob, []).map(drop).map_err(sql)).await.expect("large");
    let release = hold(&vault).await;
    let copy = elsewhere(&home, "copy.db");
    let mut copying: Copying = Box::pin({
        let (vault, copy) = (vault.clone(), copy.clone());
        async move { vault.0.writer.backup(copy).await }
    });
    assert!(futures_util::poll!(copying.as_mut()).is_pending());
    let (left, copying) = (AtomicUsize::new(5_000), Mutex::new(Some(copying)));
    let chain = Arc::new(Chain { vault: vault.clone(), left, copying });
    let mut first = chain.clone().link();
    assert!(futures_util::poll!(first.as_mut()).is_pending());
    drop(release);
    first.await.expect("written");
    while chain.copying.lock().expect("no panic").is_some() {
        // Behind whatever the chain has queued by now.
        vault.write(|_| Ok(())).await.expect("written");
        assert!(chain.left.load(Ordering::SeqCst) > 0, "the copy waited until nothing was left to write");
    }
    assert!(std::fs::metadata(copy).expect("there").len() > 6_000_000);
}

#[tokio::test]
async fn a_write_during_a_backup_is_in_the_copy_or_not_but_never_by_halves() {
    let home = Home::new(92);
    let vault = home.open();
    let blob = "INSERT INTO documents VALUES ('padding', randomblob(6000000), 1, 1, x'00')";
    vault.write(move |conn| conn.execute(blob, []).map(drop).map_err(sql)).await.expect("large");
    let copies = [elsewhere(&home, "one"), elsewhere(&home, "two")];
    // Held, so that all of this is queued in this order before any of it begins.
    let release = hold(&vault).await;
    let people = futures_util::future::join_all((0..40).map(|n| connect(&vault, n)));
    let checkpoint = vault.checkpoint();
    let (one, two) = (vault.backup(&copies[0]), vault.backup(&copies[1]));
    let release = async { drop(release) };
    let (one, people, two, checkpoint, ()) = tokio::join!(one, people, two, checkpoint, release);
    assert_eq!(people.len(), 40);
    checkpoint.expect("not in the way");
    let facts = one.expect("copied");
    assert_eq!(facts.users, facts.grants);
    // One at a time; the one that came too early says so and leaves nothing.
    assert_eq!(two, Err(VaultError::Busy));
    assert!(!copies[1].exists());
    vault.backup(&copies[1]).await.expect("later");
    assert_eq!(vault.count_users().await, Ok(40));
}

#[tokio::test]
async fn nothing_is_ever_overwritten() {
    let (home, _) = Home::furnished(93).await;
    let vault = home.open();
    let copy = elsewhere(&home, "copy");
    vault.backup(&copy).await.expect("copied");
    let bytes = std::fs::read(&copy).expect("readable");
    for there in [copy.clone(), home.path()] {
        assert_eq!(vault.backup(&there).await, Err(VaultError::Exists(there)));
    }
    assert_eq!(Vault::restore(&copy, &home.path(), &root(1)), Err(VaultError::Exists(home.path())));
    assert!(std::fs::read(&copy).expect("readable") == bytes);

    // A log that waits where the vault would go: SQLite would apply it.
    let target = elsewhere(&home, "other.db");
    for suffix in ["-wal", "-journal", "-shm"] {
        let log = lock::beside(&target, suffix);
        std::fs::write(&log, "old").expect("written");
        assert_eq!(Vault::restore(&copy, &target, &root(1)), Err(VaultError::Exists(log.clone())));
        assert!(!target.exists());
        std::fs::remove_file(log).expect("removed");
    }
    Vault::restore(&copy, &target, &root(1)).expect("restored");
}

#[tokio::test]
async fn what_does_not_verify_leaves_nothing_behind() {
    let (home, _) = Home::furnished(94).await;
    let vault = home.open();
    let copy = elsewhere(&home, "copy");
    vault.backup(&copy).await.expect("copied");
    let before = files(home.directory.path()).into_keys().collect::<Vec<_>>();

    let nowhere = elsewhere(&home, "no/such/place");
    assert!(matches!(vault.backup(&nowhere).await, Err(VaultError::Io(_))));

    let target = elsewhere(&home, "restored.db");
    let restore = |from: &Path, key: RootSecret| {
        let error = Vault::restore(from, &target, &key).expect_err("must refuse");
        assert!(!target.exists());
        error
    };
    assert!(matches!(restore(&copy, root(2)), VaultError::WrongRootKey { .. }));
    let missing = elsewhere(&home, "missing");
    assert_eq!(restore(&missing, root(1)), VaultError::Missing(missing));

    let tried = home.directory.path().join("tried");
    let whole = std::fs::read(&copy).expect("readable");
    let with = |bytes: &[u8]| {
        std::fs::write(&tried, bytes).expect("written");
        restore(&tried, root(1))
    };
    assert_eq!(with(b"a text file, long enough to be read as a header"), VaultError::NotAVault);
    assert_eq!(with(b""), VaultError::NotAVault);
    assert!(matches!(with(&whole[..whole.len() / 2]), VaultError::Corrupt(_)));
    let conn = rusqlite::Connection::open(&tried).expect("a connection");
    std::fs::write(&tried, &whole).expect("written");
    conn.execute("UPDATE users SET session_epoch = 9", []).expect("edited");
    drop(conn);
    assert!(matches!(restore(&tried, root(1)), VaultError::Damaged { table: "users", .. }));
    std::fs::write(&tried, &whole).expect("written");
    let conn = rusqlite::Connection::open(&tried).expect("a connection");
    conn.pragma_update(None, "user_version", 9).expect("edited");
    drop(conn);
    assert!(matches!(restore(&tried, root(1)), VaultError::Newer { found: 9, .. }));

    std::fs::remove_file(tried).expect("removed");
    assert_eq!(files(home.directory.path()).into_keys().collect::<Vec<_>>(), before);
}

#[tokio::test]
async fn a_copy_is_checked_to_the_last_record() {
    for (table, edit) in [
        ("users", "UPDATE users SET profile = zeroblob(64) WHERE id = (SELECT max(id) FROM users)"),
        ("grants", "UPDATE grants SET access_token = NULL WHERE id = (SELECT max(id) FROM grants)"),
        ("api_keys", "UPDATE api_keys SET users = 'all'"),
        ("signing_keys", "UPDATE signing_keys SET public_key = zeroblob(65)"),
        ("documents", "UPDATE documents SET fresh_until = 9 WHERE kind = 'jwks'"),
        ("redemptions", "UPDATE redemptions SET answered_at = 9"),
        ("redemptions", "UPDATE redemptions SET answer = zeroblob(90)"),
    ] {
        let (home, _) = Home::furnished(95).await;
        let vault = home.open();
        home.stranger().execute(edit, []).expect("edited");
        let copy = elsewhere(&home, "copy");
        match vault.backup(&copy).await {
            Err(VaultError::Damaged { table: found, .. }) => assert_eq!(found, table, "{edit}"),
            other => panic!("{edit}: {other:?}"),
        }
        assert!(!copy.exists());
        assert_eq!(vault.facts().await.expect("readable").last_backup, None, "no verified backup was made");
    }
}
