//! A copy of the files of a live vault, taken at any moment, is what a crash leaves: it opens, and
//! everything that was acknowledged before is in it.

use std::sync::Mutex as StdMutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

fn copy(home: &Home, to: &Path, suffix: &str) {
    let from = lock::beside(&home.path(), suffix);
    let to = lock::beside(&to.join("vault.db"), suffix);
    std::fs::copy(from, to).expect("copied");
}

/// Opens the copy and looks for everybody.
async fn everybody_is_there(home: &Home, copy: &Path, people: &[(usize, String)]) {
    let settings = VaultSettings { path: copy.join("vault.db"), ..home.settings(root(1)) };
    let vault = Vault::open(settings, home.clock.clone(), home.rng.clone()).expect("opens");
    for (n, grant) in people {
        let user = vault.find_user_by_sub(&sub(*n)).await.expect("readable").expect("acknowledged");
        let grants = vault.load_grants_of(user).await.and_then(FoundGrants::whole).expect("sound");
        assert_eq!(&open_grant(&vault, grants[0].id).await.expect("sound"), grant, "person {n}");
    }
    // Whatever else is there is whole.
    for (_, user) in vault.list_users(None, 10_000).await.expect("readable") {
        let user = user.expect("sound");
        let grants = vault.load_grants_of(user.id).await.and_then(FoundGrants::whole).expect("sound");
        assert_eq!(grants.len(), 1, "no person without the grant of the same commit");
    }
    vault.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_a_crash_at_any_moment() {
    let home = Home::new(100);
    let vault = home.open();
    let acknowledged = Arc::new(StdMutex::new(Vec::new()));
    let stop = Arc::new(AtomicBool::new(false));
    let lifecycle = crate::lifecycle::Lifecycle::new();
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let (vault, acknowledged, stop) = (vault.clone(), acknowledged.clone(), stop.clone());
            lifecycle.spawn(async move {
                for n in (0..1_000).map(|n| writer * 1_000 + n) {
                    if stop.load(Ordering::SeqCst) {
                        break;
                    }
                    let id = connect(&vault, n).await.grant.id;
                    let words = open_grant(&vault, id).await.expect("sound");
                    acknowledged.lock().expect("no panic").push((n, words));
                }
            })
        })
        .collect();

    let mut copies = Vec::new();
    for n in 0..12 {
        let directory = tempfile::tempdir().expect("a directory");
        // Copied on the writer's thread, inside a transaction: no checkpoint can come between the two
        // files, as none can while a machine stands still, and half of the copies hold a write that is
        // not committed.
        let (from, to, seen) = (home.path(), directory.path().join("vault.db"), acknowledged.clone());
        let people = vault
            .write(move |conn| {
                let people = seen.lock().expect("no panic").clone();
                if n % 2 == 0 {
                    conn.execute("UPDATE vault SET last_backup_at = 1", []).map_err(sql)?;
                }
                for suffix in ["", "-wal"] {
                    let (from, to) = (lock::beside(&from, suffix), lock::beside(&to, suffix));
                    std::fs::copy(from, to).map_err(|error| VaultError::io(&error))?;
                }
                Ok(people)
            })
            .await
            .expect("copied");
        copies.push((directory, people));
        if n % 4 == 3 {
            // So that some copies come after the log has been emptied.
            vault.checkpoint().await.expect("checkpointed");
        }
    }
    stop.store(true, Ordering::SeqCst);
    for writer in writers {
        writer.await.expect("no panic");
    }
    assert!(copies.last().expect("copies").1.len() > copies[0].1.len(), "writes went on meanwhile");
    for (directory, people) in copies {
        everybody_is_there(&home, directory.path(), &people).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_cut_in_the_middle_of_a_write_loses_only_that_write() {
    let home = Home::new(101);
    let vault = home.open();
    vault.checkpoint().await.expect("the schema is in the file");
    // Few enough that no checkpoint comes by itself: the file stands still, the log only grows.
    let mut people = Vec::new();
    let mut lengths = Vec::new();
    for n in 0..20 {
        let id = connect(&vault, n).await.grant.id;
        people.push((n, open_grant(&vault, id).await.expect("sound")));
        lengths.push(std::fs::metadata(lock::beside(&home.path(), "-wal")).expect("there").len());
    }
    assert!(lengths.windows(2).all(|pair| pair[0] < pair[1]), "{lengths:?}");
    let rng = Rng::seeded(102);
    for _ in 0..15 {
        let cut = rng.below(lengths[19] + 1);
        let directory = tempfile::tempdir().expect("a directory");
        copy(&home, directory.path(), "");
        copy(&home, directory.path(), "-wal");
        let log = std::fs::OpenOptions::new().write(true).open(directory.path().join("vault.db-wal"));
        log.and_then(|log| log.set_len(cut)).expect("cut");
        let whole = lengths.iter().filter(|length| **length <= cut).count();
        everybody_is_there(&home, directory.path(), &people[..whole]).await;
    }
}
