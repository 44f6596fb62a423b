//! Mirrors: rows written in batches, fenced by the revision, gone with their user.

use super::*;
use crate::ids::UserId;

const TABLES: [&str; 4] = ["mirrors", "mirror_entries", "mirror_remote", "mirror_versions"];

async fn user(vault: &Vault, n: usize) -> (UserId, Grant) {
    let connected = connect(vault, n).await;
    (connected.user.id, connected.grant)
}

fn counts(home: &Home) -> [i64; 4] {
    let stranger = home.stranger();
    TABLES.map(|table| {
        let count = format!("SELECT count(*) FROM {table}");
        stranger.query_row(&count, [], |row| row.get(0)).expect("counted")
    })
}

fn paths(entries: &[MirrorEntry]) -> Vec<&str> {
    let mut paths: Vec<_> = entries.iter().map(|entry| entry.path.as_str()).collect();
    paths.sort_unstable();
    paths
}

#[tokio::test]
async fn what_a_mirror_knows_comes_back() {
    let home = Home::new(140);
    let vault = home.open();
    let (person, _) = user(&vault, 1).await;
    assert_eq!(vault.load_mirror(person, "1").await, Ok(None));
    let made = vault.create_mirror(person, "1", "pull").await.expect("made");
    assert_eq!(vault.create_mirror(person, "1", "pull").await, Err(VaultError::Conflict), "one a project");
    let mut mirror = made.clone();
    mirror.stage = MirrorStage::Accepted;
    mirror.page_token = Some("17".into());
    mirror.held = Some("deletes".into());
    mirror.last_run_at = Some(START);
    let saved = vault.save_mirror(&mirror, mirror_batch("a")).await.expect("saved");
    assert_eq!(saved, Mirror { revision: 2, ..mirror });
    assert_eq!(vault.load_mirrors_of(person).await, Ok(vec![saved.clone()]));
    let batch = mirror_batch("a");
    assert_eq!(paths(&vault.load_mirror_entries(saved.id).await.expect("read")), ["a/path 1", "a/path 2"]);
    let mut remote = vault.load_mirror_remote(saved.id).await.expect("read");
    remote.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(remote, batch.put_remote);
    let versions = vault.load_mirror_versions(saved.id).await.expect("read");
    assert_eq!(versions.len(), 2);
    assert!(batch.put_versions.contains(&versions[0].kept));

    let change = MirrorBatch {
        drop_entries: vec!["a/path 1".into(), "never there".into()],
        put_entries: vec![MirrorEntry { remote: "other".into(), ..batch.put_entries[1].clone() }],
        clear_remote: true,
        drop_versions: vec![versions[0].id],
        ..MirrorBatch::default()
    };
    vault.record_mirror(&saved, change).await.expect("recorded");
    let entries = vault.load_mirror_entries(saved.id).await.expect("read");
    assert_eq!((paths(&entries), entries[0].remote.as_str()), (vec!["a/path 2"], "other"));
    assert_eq!(counts(&home), [1, 1, 0, 1]);
    assert_eq!(vault.load_mirror_version_files(saved.id).await, Ok(vec![versions[1].kept.file.clone()]));
}

#[tokio::test]
async fn a_run_that_was_overtaken_writes_nothing_more() {
    let home = Home::new(141);
    let vault = home.open();
    let (person, _) = user(&vault, 1).await;
    let old = vault.create_mirror(person, "1", "both").await.expect("made");
    let new = vault.save_mirror(&old, MirrorBatch::default()).await.expect("saved");
    assert_eq!(vault.record_mirror(&old, mirror_batch("a")).await, Err(VaultError::Conflict));
    assert_eq!(vault.save_mirror(&old, mirror_batch("a")).await, Err(VaultError::Conflict));
    assert_eq!(counts(&home), [1, 0, 0, 0], "nothing of a refused batch stays");
    vault.record_mirror(&new, mirror_batch("a")).await.expect("recorded");
    vault.delete_mirror(new.id).await.expect("deleted");
    assert_eq!(counts(&home), [0; 4]);
    assert_eq!(vault.record_mirror(&new, mirror_batch("a")).await, Err(VaultError::Conflict));
}

#[tokio::test]
async fn the_rows_go_with_their_user_and_no_other() {
    let home = Home::new(142);
    let vault = home.open();
    let mut grants = Vec::new();
    for n in [1, 2] {
        let (person, grant) = user(&vault, n).await;
        let mirror = vault.create_mirror(person, "1", "both").await.expect("made");
        vault.record_mirror(&mirror, mirror_batch(&n.to_string())).await.expect("recorded");
        grants.push(grant);
    }
    assert_eq!(counts(&home), [2, 4, 4, 4]);
    let change = GrantChange { state: Some(GrantState::Revoking), ..GrantChange::default() };
    vault.update_grant(&grants[0], change).await.expect("revoking");
    assert_eq!(vault.delete_grant(grants[0].id, None).await, Ok(true));
    assert_eq!(counts(&home), [1, 2, 2, 2]);
    assert_eq!(vault.load_mirrors_of(grants[1].user).await.expect("read").len(), 1);
}

#[tokio::test]
async fn names_do_not_stand_in_clear() {
    let home = Home::new(143);
    let vault = home.open();
    let (person, _) = user(&vault, 1).await;
    let mirror = vault.create_mirror(person, "1", "both").await.expect("made");
    let mut batch = mirror_batch("nEEdle");
    batch.put_versions.iter_mut().for_each(|version| version.file = version.md5[0].to_string());
    let shown = format!("{batch:?}");
    vault.record_mirror(&mirror, batch).await.expect("recorded");
    assert!(!shown.contains("nEEdle"), "{shown}");
    assert!(paths(&vault.load_mirror_entries(mirror.id).await.expect("read"))[0].contains("nEEdle"));
    vault.checkpoint().await.expect("checkpointed");
    for (path, bytes) in files(home.directory.path()) {
        assert!(!bytes.windows(6).any(|window| window == b"nEEdle"), "{}", path.display());
    }
}
