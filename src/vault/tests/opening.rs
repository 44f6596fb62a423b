//! Every way in which a file, a lock, a place or a root key can be wrong has an error of its own, and
//! refusing changes nothing on disk.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use super::*;
use crate::secret::SecretText;

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("there").mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("permissions");
}

fn passphrase(text: &str) -> RootSecret {
    RootSecret::Passphrase(SecretText::new(text))
}

/// Opens a vault that must refuse, and finds every file as it was.
fn refusal(home: &Home, root: RootSecret) -> VaultError {
    let before = files(home.directory.path());
    let error = home.open_with(root).expect_err("must refuse");
    let after = files(home.directory.path());
    for (path, bytes) in &before {
        assert!(after.get(path) == Some(bytes), "{} changed", path.display());
    }
    let made: Vec<_> = after.keys().filter(|path| !before.contains_key(*path)).collect();
    assert!(made.iter().all(|path| path.ends_with("vault.db.lock")), "{made:?} left behind");
    error
}

fn problem(error: &VaultError) -> &str {
    match error {
        VaultError::Unsuitable { problem, .. } => problem,
        other => panic!("{other}"),
    }
}

/// A backup is in rollback mode, a live vault is not; refusing either must leave it so.
async fn in_both_modes(seed: u64) -> [Home; 2] {
    let [live, resting] = [Home::furnished(seed).await.0, Home::furnished(seed + 1).await.0];
    resting.stranger().pragma_update(None, "journal_mode", "DELETE").expect("rollback mode");
    [live, resting]
}

#[tokio::test]
async fn a_wrong_root_key_is_named_beside_the_right_one() {
    for home in in_both_modes(20).await {
        let [given, wanted] = [2, 1].map(|byte| RootId::of(&SecretKey::new([byte; 32])));
        let error = refusal(&home, root(2));
        assert_eq!(error, VaultError::WrongRootKey { given, wanted: Some(wanted) });
        let words = error.to_string();
        assert!(words.contains(&given.to_string()) && words.contains(&wanted.to_string()), "{words}");
        let error = refusal(&home, passphrase("correct horse"));
        assert!(matches!(&error, VaultError::UnusableRootKey(words) if words.contains("not a pass-phrase")));
        drop(home.open());
    }
}

#[tokio::test]
async fn a_pass_phrase_opens_its_vault_and_nothing_else_does() {
    let home = Home::new(22);
    let vault = home.open_with(passphrase("correct horse")).expect("made");
    let (id, user) = (vault.root_id(), connect(&vault, 1).await.user);
    vault.close().await;
    drop(vault);

    match refusal(&home, passphrase("battery staple")) {
        VaultError::WrongRootKey { given, wanted } => {
            assert_eq!(wanted, Some(id));
            assert_ne!(given, id);
        }
        other => panic!("{other}"),
    }
    let error = refusal(&home, root(1));
    assert!(matches!(&error, VaultError::UnusableRootKey(words) if words.contains("not a key")));
    let error = refusal(&home, passphrase(""));
    assert!(matches!(&error, VaultError::UnusableRootKey(words) if words.contains("empty")));

    let vault = home.open_with(passphrase("correct horse")).expect("opens");
    assert_eq!(vault.find_user_by_sub(&sub(1)).await, Ok(Some(user.id)));
}

#[tokio::test]
async fn a_newer_schema_is_left_to_the_newer_locum() {
    for home in in_both_modes(23).await {
        home.stranger().pragma_update(None, "user_version", 99).expect("set");
        assert_eq!(refusal(&home, root(1)), VaultError::Newer { found: 99, known: SCHEMA_VERSION });
        // Whoever has the wrong key as well hears of the schema: the newer locum may wrap keys otherwise.
        assert_eq!(refusal(&home, root(2)), VaultError::Newer { found: 99, known: SCHEMA_VERSION });
        for version in [0, -1] {
            home.stranger().pragma_update(None, "user_version", version).expect("set");
            assert!(matches!(refusal(&home, root(1)), VaultError::Corrupt(_)));
        }
    }
}

#[tokio::test]
async fn another_file_is_not_a_vault() {
    let texts: [&[u8]; 3] =
        [b"[server]\nlisten = \"127.0.0.1:8080\"\n", &[0x55; 20_000], b"SQLite format 3\0"];
    for text in texts {
        let home = Home::new(25);
        std::fs::write(home.path(), text).expect("written");
        set_mode(&home.path(), 0o600);
        assert_eq!(refusal(&home, root(1)), VaultError::NotAVault);
    }
    for journal in ["DELETE", "WAL"] {
        let home = Home::new(26);
        let conn = home.stranger();
        conn.pragma_update(None, "journal_mode", journal).expect("mode");
        conn.execute_batch("CREATE TABLE cookies (name TEXT); INSERT INTO cookies VALUES ('x');")
            .expect("made");
        drop(conn);
        set_mode(&home.path(), 0o600);
        assert_eq!(refusal(&home, root(1)), VaultError::NotAVault);
    }
}

#[tokio::test]
async fn a_cut_file_is_corrupt_and_stays_as_it_is() {
    let (home, contents) = Home::furnished(27).await;
    let whole = std::fs::read(home.path()).expect("readable");
    let page = 4_096;
    for keep in [50, 100, 600, page, page + 7, whole.len() / 2, whole.len() - page, whole.len() - 1] {
        std::fs::write(home.path(), &whole[..keep]).expect("cut");
        match home.open_with(root(1)) {
            Err(VaultError::NotAVault | VaultError::Corrupt(_)) => {
                refusal(&home, root(1));
            }
            Err(other) => panic!("{keep} bytes: {other}"),
            // The missing pages are not among those that opening reads.
            Ok(vault) => {
                let cut = read_all(&vault).await;
                // SQLite reads the end of a half page as zeros, and it may have been nothing else.
                let noticed = cut.values().any(Result::is_err) || keep == whole.len() - 1;
                assert!(noticed, "{keep} of {} bytes", whole.len());
                for (what, value) in cut {
                    assert!(value.is_err() || contents.get(&what) == Some(&value), "{keep} bytes: {what}");
                }
            }
        }
    }
}

#[tokio::test]
async fn an_emptied_file_beside_a_full_log_keeps_the_log() {
    let home = Home::new(28);
    let vault = home.open();
    connect(&vault, 1).await;
    let log = std::fs::read(lock::beside(&home.path(), "-wal")).expect("readable");
    assert!(!log.is_empty());

    let crashed = Home::new(28);
    std::fs::write(crashed.path(), "").expect("emptied");
    set_mode(&crashed.path(), 0o600);
    std::fs::write(lock::beside(&crashed.path(), "-wal"), log).expect("copied");
    assert!(matches!(refusal(&crashed, root(1)), VaultError::Corrupt(_)));
}

#[tokio::test]
async fn missing_keys_are_damage_and_not_a_wrong_root_key() {
    for condition in ["purpose = 'index'", "purpose = 'data'", "1"] {
        let (home, _) = Home::furnished(29).await;
        home.stranger().execute(&format!("DELETE FROM data_keys WHERE {condition}"), []).expect("deleted");
        assert_eq!(refusal(&home, root(1)), VaultError::damaged("data_keys", 0), "{condition}");
    }
    let edits = [
        "UPDATE data_keys SET wrapped = zeroblob(60)",
        "UPDATE data_keys SET wrapped = x'00'",
        "UPDATE data_keys SET check_value = zeroblob(16)",
        "UPDATE data_keys SET term = 2 WHERE purpose = 'data'",
        "UPDATE data_keys SET wrapped = (SELECT wrapped FROM data_keys AS o WHERE o.purpose <> data_keys.purpose)",
        "UPDATE data_keys SET purpose = 'other' WHERE purpose = 'data'",
        "UPDATE vault SET vault_id = zeroblob(16)",
    ];
    for edit in edits {
        let (home, _) = Home::furnished(29).await;
        home.stranger().execute(edit, []).expect("edited");
        let error = refusal(&home, root(1));
        assert!(matches!(error, VaultError::Damaged { table: "data_keys", .. }), "{edit}: {error}");
    }
    let (home, _) = Home::furnished(29).await;
    home.stranger().execute("DELETE FROM vault", []).expect("deleted");
    assert_eq!(refusal(&home, root(1)), VaultError::NotAVault);
}

#[test]
fn a_second_opener_hears_who_holds_the_vault() {
    let home = Home::new(30);
    let vault = home.open();
    let error = home.open_with(root(1)).expect_err("held");
    let holder = std::process::id().to_string();
    assert_eq!(error, VaultError::InUse { path: home.path(), holder });
    assert!(error.to_string().contains(&std::process::id().to_string()));
    // Without a close too: dropping waits for the writer.
    drop(vault);
    drop(home.open());
}

#[test]
fn files_are_for_their_owner_alone() {
    let home = Home::new(31);
    let settings =
        VaultSettings { path: home.directory.path().join("a/b/vault.db"), ..home.settings(root(1)) };
    let path = settings.path.clone();
    let vault = Vault::open(settings, home.clock.clone(), home.rng.clone()).expect("made");
    let directory = path.parent().expect("a directory");
    assert_eq!(mode(directory), 0o700);
    let made: Vec<_> = files(directory).into_keys().collect();
    assert_eq!(made.len(), 4, "database, log, shared memory, lock: {made:?}");
    for file in made {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    drop(vault);
}

#[tokio::test]
async fn a_place_that_others_can_reach_is_refused() {
    let (home, _) = Home::furnished(32).await;
    for bits in [0o604, 0o640, 0o620, 0o602, 0o601] {
        set_mode(&home.path(), bits);
        assert!(problem(&refusal(&home, root(1))).contains("chmod 600"), "{bits:o}");
    }
    set_mode(&home.path(), 0o600);
    for bits in [0o770, 0o707, 0o777] {
        set_mode(home.directory.path(), bits);
        assert!(problem(&refusal(&home, root(1))).contains("chmod 700"), "{bits:o}");
    }
    set_mode(home.directory.path(), 0o755);
    drop(home.open());
}

#[tokio::test]
async fn what_is_not_a_regular_file_is_refused() {
    let (real, _) = Home::furnished(33).await;
    let link = Home::new(33);
    symlink(real.path(), link.path()).expect("linked");
    assert!(problem(&refusal(&link, root(1))).contains("not a regular file"));

    let directory = Home::new(34);
    std::fs::create_dir(directory.path()).expect("made");
    assert!(problem(&refusal(&directory, root(1))).contains("not a regular file"));

    // The lock file's own path: a link would have another file truncated.
    let (home, _) = Home::furnished(35).await;
    let lock = lock::beside(&home.path(), ".lock");
    let precious = home.directory.path().join("precious");
    std::fs::write(&precious, "keep me").expect("written");
    std::fs::remove_file(&lock).expect("removed");
    symlink(&precious, &lock).expect("linked");
    assert!(problem(&refusal(&home, root(1))).contains("vault.db.lock"));
    std::fs::remove_file(&lock).expect("removed");
    std::fs::create_dir(&lock).expect("made");
    assert!(problem(&refusal(&home, root(1))).contains("vault.db.lock"));
}

/// Permissions do not bind root, so a test run by root runs itself again as somebody else.
fn as_a_mere_user(test: &str) -> bool {
    use std::os::unix::process::CommandExt as _;
    const NOBODY: u32 = 65_534;
    if !rustix::process::geteuid().is_root() {
        return false;
    }
    let program = if cfg!(target_os = "linux") {
        // Reached through the process itself, since the build directory may be root's alone.
        PathBuf::from("/proc/self/exe")
    } else {
        std::env::current_exe().expect("a program")
    };
    let output = std::process::Command::new(program)
        .args(["--exact", &format!("vault::tests::opening::{test}")])
        .current_dir("/")
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .expect("runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    true
}

#[tokio::test]
async fn a_read_only_place_is_said_to_be_one() {
    if as_a_mere_user("a_read_only_place_is_said_to_be_one") {
        return;
    }
    let (home, _) = Home::furnished(36).await;
    for bits in [0o400, 0o200, 0o000] {
        set_mode(&home.path(), bits);
        let error = home.open_with(root(1)).expect_err("must refuse");
        assert_eq!(error, VaultError::ReadOnly, "{bits:o}");
    }
    set_mode(&home.path(), 0o600);
    set_mode(home.directory.path(), 0o500);
    assert_eq!(refusal(&home, root(1)), VaultError::ReadOnly);
    // Nothing can be made below it either.
    let path = home.directory.path().join("deeper/vault.db");
    let deeper = VaultSettings { path, ..home.settings(root(1)) };
    let error = Vault::open(deeper, home.clock.clone(), home.rng.clone()).expect_err("must refuse");
    assert!(problem(&error).contains("cannot be made"), "{error}");
    set_mode(home.directory.path(), 0o700);
    drop(home.open());
}

#[tokio::test]
async fn root_is_told_whose_vault_it_is() {
    if !rustix::process::geteuid().is_root() {
        // Nobody else can give a file away.
        return;
    }
    let (home, _) = Home::furnished(37).await;
    std::fs::remove_file(lock::beside(&home.path(), ".lock")).expect("removed");
    std::os::unix::fs::chown(home.path(), Some(65_534), Some(65_534)).expect("given away");
    assert!(problem(&refusal(&home, root(1))).contains("sudo -u '#65534'"));
    // A lock file of root's would keep the owner out.
    assert!(!lock::beside(&home.path(), ".lock").exists());
}
