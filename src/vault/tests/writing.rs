//! One thread that commits what has queued up together: each write fails alone, and nothing that was
//! acknowledged is lost.

use std::task::Poll;

use futures_util::future::join_all;

use super::*;

/// Commits in a log: frames that give the size of the database after them.
fn commits(home: &Home) -> usize {
    let log = std::fs::read(lock::beside(&home.path(), "-wal")).expect("readable");
    let (header, frame) = (32, 24 + 4_096);
    assert_eq!((log.len() - header) % frame, 0, "whole frames of 4,096-byte pages");
    log[header..].chunks(frame).filter(|frame| frame[4..8] != [0; 4]).count()
}

fn note(vault: &Vault, n: i64) -> impl Future<Output = Result<i64, VaultError>> {
    vault.write(move |conn| conn.execute("INSERT INTO notes (n) VALUES (?)", [n]).map(|_| n).map_err(sql))
}

async fn with_notes(home: &Home) -> Vault {
    let vault = home.open();
    let made = vault.write(|conn| conn.execute_batch("CREATE TABLE notes (n INTEGER) STRICT").map_err(sql));
    made.await.expect("a table to play with");
    vault.checkpoint().await.expect("an empty log");
    vault
}

fn notes(vault: &Vault) -> Vec<i64> {
    let read = vault.read(|conn| {
        let mut statement = conn.prepare("SELECT n FROM notes ORDER BY n").map_err(sql)?;
        let rows = statement.query_map([], |row| row.get(0)).map_err(sql)?;
        rows.collect::<Result<_, _>>().map_err(sql)
    });
    read.expect("readable")
}

#[tokio::test]
async fn what_has_queued_up_is_committed_together() {
    let home = Home::new(80);
    let vault = with_notes(&home).await;
    let release = hold(&vault).await;
    let mut writes: Vec<_> = (0..200).map(|n| Box::pin(note(&vault, n))).collect();
    for write in &mut writes {
        assert!(futures_util::poll!(write.as_mut()).is_pending());
    }
    drop(release);
    let answers = join_all(writes).await;
    assert_eq!(answers, (0..200).map(Ok).collect::<Vec<_>>());
    assert_eq!(notes(&vault), (0..200).collect::<Vec<_>>());
    // All of them fit into the group of the write that was held.
    assert_eq!(commits(&home), 1);
}

#[tokio::test]
async fn free_running_writers_share_commits() {
    let home = Home::new(81);
    let vault = with_notes(&home).await;
    let connects = (0..200).map(|n| connect(&vault, n));
    let people = join_all(connects).await;
    assert_eq!(people.len(), 200);
    let commits = commits(&home);
    assert!(commits <= 50, "{commits} commits for 200 writes");
    assert_eq!(vault.count_users().await, Ok(200));
}

#[tokio::test]
async fn a_failure_undoes_only_its_own_write() {
    let home = Home::new(82);
    let vault = with_notes(&home).await;
    let release = hold(&vault).await;
    let failing = vault.write(|conn| {
        conn.execute("INSERT INTO notes (n) VALUES (-1)", []).map_err(sql)?;
        Err::<(), _>(VaultError::Conflict)
    });
    let panicking = vault.write(|conn| {
        conn.execute("INSERT INTO notes (n) VALUES (-2)", []).map_err(sql)?;
        panic!("on purpose");
        #[expect(unreachable_code, reason = "gives the closure its type")]
        Ok(())
    });
    let broken = vault.write(|conn| conn.execute("INSERT INTO notes (n) VALUES ('text')", []).map_err(sql));
    let (failing, panicking, broken) = (Box::pin(failing), Box::pin(panicking), Box::pin(broken));
    let (before, after) = (Box::pin(note(&vault, 1)), Box::pin(note(&vault, 2)));
    let all = futures_util::future::join5(before, failing, panicking, broken, after);
    let mut all = Box::pin(all);
    assert!(futures_util::poll!(all.as_mut()).is_pending());
    drop(release);
    let (before, failed, panicked, refused, after) = all.await;
    assert_eq!((before, after), (Ok(1), Ok(2)));
    assert_eq!(failed, Err(VaultError::Conflict));
    assert!(matches!(panicked, Err(VaultError::Io(words)) if words.contains("panicked")));
    assert_eq!(refused, Err(VaultError::Conflict));
    assert_eq!(commits(&home), 1, "one group");
    assert_eq!(notes(&vault), [1, 2]);
    assert!(!vault.has_failed());
    assert_eq!(note(&vault, 3).await, Ok(3), "the thread goes on");
}

#[tokio::test]
async fn a_full_queue_says_busy_and_loses_nothing() {
    let home = Home::new(83);
    let vault = with_notes(&home).await;
    let release = hold(&vault).await;
    let mut waiting = Vec::new();
    let refused = loop {
        let n = i64::try_from(waiting.len()).expect("small");
        let mut write = Box::pin(note(&vault, n));
        match futures_util::poll!(write.as_mut()) {
            Poll::Pending => waiting.push(write),
            Poll::Ready(answer) => break answer,
        }
        assert!(waiting.len() <= 10_000, "the queue has no end");
    };
    assert_eq!(refused, Err(VaultError::Busy));
    let connection = newcomer(1);
    assert_eq!(connect_as(&vault, connection).await.err(), Some(VaultError::Busy));
    // A stop that comes now waits for all of it.
    let mut close = Box::pin(vault.close());
    assert!(futures_util::poll!(close.as_mut()).is_pending());
    let count = waiting.len();
    drop(release);
    close.await;
    assert!(join_all(waiting).await.iter().all(Result::is_ok));
    assert_eq!(notes(&vault).len(), count);
    assert_eq!(note(&vault, 0).await, Err(VaultError::Closed));
    vault.close().await;
    assert_eq!(vault.checkpoint().await, Err(VaultError::Closed));
}

#[tokio::test]
async fn a_caller_that_goes_away_loses_nothing() {
    let home = Home::new(84);
    let vault = home.open();
    let release = hold(&vault).await;
    {
        let mut caller = Box::pin(connect_as(&vault, newcomer(1)));
        assert!(futures_util::poll!(caller.as_mut()).is_pending());
    }
    drop(release);
    vault.close().await;
    drop(vault);
    let vault = home.open();
    assert!(vault.find_user_by_sub(&sub(1)).await.expect("readable").is_some());
}

#[tokio::test]
async fn dropping_the_vault_writes_what_is_queued() {
    let home = Home::new(85);
    let vault = home.open();
    let release = hold(&vault).await;
    let connection = newcomer(1);
    let mut caller = Box::pin({
        let vault = vault.clone();
        async move { connect_as(&vault, connection).await }
    });
    assert!(futures_util::poll!(caller.as_mut()).is_pending());
    drop(release);
    drop(caller);
    drop(vault);
    let vault = home.open();
    assert!(vault.find_user_by_sub(&sub(1)).await.expect("readable").is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_changes_to_one_grant_at_once_each_counts_once() {
    let home = Home::new(86);
    let vault = home.open();
    let id = connect(&vault, 1).await.grant.id;
    let lifecycle = crate::lifecycle::Lifecycle::new();
    let tasks: Vec<_> = (0..16)
        .map(|n| {
            let vault = vault.clone();
            lifecycle.spawn(async move {
                loop {
                    let grant = vault.load_grant(id).await.expect("readable").expect("there");
                    let refresh = refresh_token(&format!("1//0task-{n}"));
                    let change = GrantChange { refresh, ..GrantChange::default() };
                    match vault.update_grant(&grant, change).await {
                        Err(VaultError::Conflict) => {}
                        outcome => break outcome.expect("changed").token_generation,
                    }
                }
            })
        })
        .collect();
    let mut generations: Vec<_> =
        join_all(tasks).await.into_iter().map(|task| task.expect("no panic")).collect();
    generations.sort_unstable();
    assert_eq!(generations, (2..18).collect::<Vec<_>>());
    // Readers beside the writer always saw whole rows: every load above verified its MAC.
    assert!(open_grant(&vault, id).await.expect("sound").contains("generation 17"));
}

/// Lets the file grow by `pages` and no further: the same error as a full disk.
async fn limit(vault: &Vault, pages: i64) {
    let limited = vault.write(move |conn| {
        let now: i64 = conn.query_row("PRAGMA page_count", [], |row| row.get(0)).map_err(sql)?;
        conn.query_row(&format!("PRAGMA max_page_count = {}", now + pages), [], |_| Ok(())).map_err(sql)
    });
    limited.await.expect("limited");
}

#[tokio::test]
async fn a_full_disk_is_said_to_be_full_and_writing_goes_on_later() {
    let home = Home::new(87);
    let vault = home.open();
    limit(&vault, 2).await;
    let mut people = 0;
    let full = loop {
        match connect_as(&vault, newcomer(people)).await {
            Ok(_) => people += 1,
            Err(error) => break error,
        }
        assert!(people < 1_000, "the disk never fills");
    };
    assert_eq!(full, VaultError::Full);
    assert_eq!(vault.count_users().await, Ok(people as u64));
    assert!(!vault.has_failed(), "a full disk is no broken one");

    // A whole group at once: those acknowledged are there, all others were told.
    let release = hold(&vault).await;
    let mut writes: Vec<_> =
        (people..people + 20).map(|n| Box::pin(connect_as(&vault, newcomer(n)))).collect();
    for write in &mut writes {
        assert!(futures_util::poll!(write.as_mut()).is_pending());
    }
    drop(release);
    let answers = join_all(writes).await;
    let written = answers.iter().filter(|answer| answer.is_ok()).count();
    let refused = answers.iter().filter(|answer| matches!(answer, Err(VaultError::Full))).count();
    assert_eq!(written + refused, 20);
    assert!(refused > 0);
    assert_eq!(vault.count_users().await, Ok((people + written) as u64));

    limit(&vault, 1_000).await;
    for (n, answer) in answers.iter().enumerate() {
        if answer.is_err() {
            connect(&vault, people + n).await;
        }
    }
    vault.close().await;
    drop(vault);
    let vault = home.open();
    assert_eq!(vault.count_users().await, Ok((people + 20) as u64));
    for (_, user) in vault.list_users(None, 1_000).await.expect("readable") {
        user.expect("sound");
    }
}

fn log_size(home: &Home) -> u64 {
    std::fs::metadata(lock::beside(&home.path(), "-wal")).expect("a log").len()
}

#[tokio::test]
async fn the_log_begins_anew_although_readers_keep_their_snapshots() {
    let home = Home::new(88);
    let vault = with_notes(&home).await;
    let made = vault.write(|conn| conn.execute_batch("CREATE TABLE blobs (b BLOB) STRICT").map_err(sql));
    made.await.expect("a table for much");
    let mut longest = 0;
    for n in 0..24 {
        let fill = vault.write(|conn| {
            conn.execute("INSERT INTO blobs (b) VALUES (randomblob(4 << 20))", []).map(drop).map_err(sql)
        });
        fill.await.expect("4 MiB");
        note(&vault, n).await.expect("one more");
        // As of now, and kept: of this thread's reader, and of another one that never reads again.
        assert_eq!(notes(&vault).len(), usize::try_from(n + 1).expect("a small number"));
        if n == 2 {
            std::thread::scope(|scope| scope.spawn(|| notes(&vault).len()).join()).expect("read");
        }
        longest = longest.max(log_size(&home));
    }
    // 96 MiB were written. The log is folded at 32, and one write may stand behind that.
    assert!((32 << 20..45 << 20).contains(&longest), "{longest}");
}

#[tokio::test]
async fn a_kept_snapshot_is_in_no_checkpoints_way() {
    let home = Home::new(89);
    let vault = with_notes(&home).await;
    note(&vault, 1).await.expect("written");
    assert_eq!(notes(&vault), [1]);
    vault.checkpoint().await.expect("checkpointed");
    assert_eq!(log_size(&home), 0);
    assert_eq!(notes(&vault), [1]);
    note(&vault, 2).await.expect("written");
    assert_eq!(notes(&vault), [1, 2]);
    vault.close().await;
    assert!(!lock::beside(&home.path(), "-wal").exists() || log_size(&home) == 0, "emptied at the end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_was_told_of_a_write_reads_it_on_every_thread() {
    let home = Home::new(90);
    let vault = with_notes(&home).await;
    let lifecycle = crate::lifecycle::Lifecycle::new();
    let writers = (0..4).map(|writer: i64| {
        let vault = vault.clone();
        lifecycle.spawn(async move {
            for n in 0..100 {
                let mine = writer * 1_000 + n;
                note(&vault, mine).await.expect("written");
                if n % 25 == writer {
                    vault.checkpoint().await.expect("checkpointed");
                }
                // Perhaps on another thread than before, and with another reader.
                let seen = notes(&vault);
                let own = seen.iter().filter(|seen| **seen / 1_000 == writer).count();
                assert_eq!(i64::try_from(own), Ok(n + 1), "of {writer}");
            }
        })
    });
    for outcome in join_all(writers).await {
        outcome.expect("no reader was behind");
    }
}
