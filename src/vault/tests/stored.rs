//! Vaults that were written once and must open for ever, under `tests/fixtures/`. When the schema gets
//! a new version, the old files stay and a new one joins them.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

const PASSPHRASE: &str = "a pass-phrase of the tests";

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// A home that holds a copy of a stored vault.
fn moved_in(name: &str) -> Home {
    let home = Home::new(130);
    std::fs::copy(fixture(name), home.path()).expect("copied");
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o600)).expect("permissions");
    home
}

#[tokio::test]
async fn a_vault_of_the_first_schema_opens() {
    let home = moved_in("vault-v1.db");
    let vault = home.open();
    furnished_as_ever(&vault).await;
    // It has the tables of today, too.
    let person = vault.find_user_by_sub(&sub(0)).await.expect("readable").expect("known");
    assert_eq!(vault.load_mirrors_of(person).await, Ok(vec![]));
    let mirror = vault.create_mirror(person, "1", "both").await.expect("made");
    vault.record_mirror(&mirror, mirror_batch("a")).await.expect("recorded");
    vault.close().await;
}

#[tokio::test]
async fn a_vault_of_the_second_schema_opens() {
    let home = moved_in("vault-v2.db");
    let vault = home.open();
    furnished_as_ever(&vault).await;
    mirrored_as_ever(&vault).await;
    vault.close().await;
}

#[tokio::test]
async fn a_vault_of_the_third_schema_opens() {
    let home = moved_in("vault-v3.db");
    let vault = home.open();
    furnished_as_ever(&vault).await;
    mirrored_as_ever(&vault).await;
    linked_as_ever(&vault).await;
    // It has no events yet, and takes them.
    assert_eq!(vault.newest_event().await, Ok(0));
    assert_eq!(vault.append_events(vec![event(1, None)]).await, Ok(1));
    vault.close().await;
}

#[tokio::test]
async fn a_vault_of_the_fourth_schema_opens() {
    let home = moved_in("vault-v4.db");
    let vault = home.open();
    furnished_as_ever(&vault).await;
    mirrored_as_ever(&vault).await;
    linked_as_ever(&vault).await;
    told_as_ever(&vault).await;
    assert_eq!(vault.load_owner_sessions().await, Ok(vec![]));
    vault.close().await;
}

#[tokio::test]
async fn a_vault_of_the_fifth_schema_opens() {
    let home = moved_in("vault-v5.db");
    let vault = home.open();
    furnished_as_ever(&vault).await;
    mirrored_as_ever(&vault).await;
    linked_as_ever(&vault).await;
    told_as_ever(&vault).await;
    let mut by: Vec<_> = vault.load_owner_sessions().await.expect("readable");
    by.sort_by_key(|session| session.as_ref().map(|session| session.signed_in_by == SignedInBy::Link).ok());
    let by: Vec<_> = by.into_iter().map(|session| session.expect("sound").signed_in_by).collect();
    assert_eq!(by, [SignedInBy::Google(email(1)), SignedInBy::Link]);
    vault.close().await;
}

async fn told_as_ever(vault: &Vault) {
    let person = vault.find_user_by_sub(&sub(0)).await.expect("readable").expect("known");
    let found = vault.find_events(&EventQuery::default(), 0, i64::MAX, Order::OldestFirst, 10).await;
    let found: Vec<_> =
        found.expect("readable").events.into_iter().map(|event| event.expect("sound")).collect();
    let expected = [EventRecord { id: 1, ..event(1, Some(person)) }, EventRecord { id: 2, ..event(2, None) }];
    assert_eq!(found, expected);
    let counts = vault.load_counts(1, 2).await.expect("readable");
    assert_eq!(counts, [Ok(count(1)), Ok(count(2))]);
    assert_eq!(vault.append_events(vec![event(1, None)]).await, Ok(3));
}

async fn linked_as_ever(vault: &Vault) {
    for n in [1, 2] {
        let link = vault.load_connect_link(&link_secret(n)).await.expect("readable").expect("known");
        assert_eq!(link, ConnectLinkRecord { id: link.id, ..connect_link(n) });
    }
}

/// What [`furnish`] put into the second schema's tables.
async fn mirrored_as_ever(vault: &Vault) {
    let person = vault.find_user_by_sub(&sub(0)).await.expect("readable").expect("known");
    let mirrors = vault.load_mirrors_of(person).await.expect("sound");
    assert_eq!(mirrors.len(), 2);
    for mirror in mirrors {
        assert_eq!((mirror.stage, mirror.root.as_deref()), (MirrorStage::Settled, Some("root-id")));
        let expected = mirror_batch(&mirror.project);
        let mut entries = vault.load_mirror_entries(mirror.id).await.expect("sound");
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        assert_eq!(entries, expected.put_entries);
        let mut remote = vault.load_mirror_remote(mirror.id).await.expect("sound");
        remote.sort_by(|a, b| a.id.cmp(&b.id));
        assert_eq!(remote, expected.put_remote);
        for version in vault.load_mirror_versions(mirror.id).await.expect("sound") {
            assert!(expected.put_versions.contains(&version.kept));
        }
    }
}

/// A backup that was made by an older locum is verified by the tables that it has.
#[test]
fn a_backup_of_an_older_schema_is_restored() {
    for version in 1..=SCHEMA_VERSION {
        let home = Home::new(133);
        let copy = fixture(&format!("vault-v{version}.db"));
        let facts = Vault::restore(&copy, &home.path(), &root(1)).expect("sound");
        assert_eq!((facts.users, facts.api_keys), (3, 2), "{version}");
    }
}

/// Everything that [`furnish`] put into the first schema's tables.
async fn furnished_as_ever(vault: &Vault) {
    assert_eq!(vault.root_id().to_string(), "fe7e1d8379dda54c");
    assert_eq!(vault.count_users().await, Ok(3));
    for n in 0..PEOPLE {
        let id = vault.find_user_by_sub(&sub(n)).await.expect("readable").expect("known");
        assert_eq!(vault.find_users_by_email(&email(n)).await, Ok(vec![id]));
        let user = vault.load_user(id).await.expect("readable").expect("there");
        assert!(user.profile == profile(n));
        assert_eq!((user.session_epoch, user.created_at), (0, START));
        let grants = vault.load_grants_of(id).await.and_then(FoundGrants::whole).expect("sound");
        let expected: &[(&str, usize)] =
            if n == 0 { &[(CLIENT, 0), (OTHER_CLIENT, 10)] } else { &[(CLIENT, n)] };
        assert_eq!(grants.len(), expected.len());
        for (grant, (client, n)) in grants.iter().zip(expected) {
            assert_eq!(grant.client_id.as_str(), *client);
            assert_eq!((grant.state, grant.token_generation), (GrantState::Active, 1));
            assert_eq!(grant.scopes, ScopeSet::parse("openid email"));
            assert_eq!(grant.refresh_expires_at, Some(START.plus(604_800)));
            let token = vault.open_refresh_token(grant).expect("opens").expect("stored");
            assert_eq!(token.expose(), format!("1//0refresh-{n}"));
            let token = vault.open_access_token(grant).expect("opens").expect("stored");
            assert_eq!(token.expose(), format!("ya29.access-{n}"));
        }
        let found =
            vault.load_redemption(&redemption(vault, n).marks).await.expect("readable").expect("known");
        assert!(found.same_code && found.same_key && found.same_request);
        assert_eq!(found.answer.as_deref(), Some(&format!("answer {n}").into_bytes()));
    }
    let keys = vault.load_api_keys().await.expect("readable");
    let keys: Vec<_> = keys.into_iter().map(|key| key.expect("sound")).collect();
    assert_eq!(format!("{:?}", keys[0]), format!("{:?}", api_key(vault, 1)));
    assert!(matches!(&keys[1].users, UserBinding::Only(ids) if ids.len() == 1));
    assert_eq!((&keys[1].scopes, keys[1].revoked_at), (&Some(ScopeSet::parse("openid")), Some(START)));
    let stored = vault.load_document(DocumentKind::KeySet).await.expect("sound");
    assert_eq!(stored, Some(document("{\"keys\":[]}")));
    let keys = vault.load_signing_keys().await.expect("sound");
    for (key, n) in keys.iter().zip([1, 2]) {
        assert_eq!((&key.kid, &*key.private_key), (&signing_key(n).kid, &*signing_key(n).private_key));
    }
    // It is not only readable.
    connect(vault, 50).await;
}

#[tokio::test]
async fn a_vault_with_a_pass_phrase_opens() {
    for version in 1..=SCHEMA_VERSION {
        let name = &format!("vault-v{version}-passphrase.db");
        let home = moved_in(name);
        let root = RootSecret::Passphrase(SecretText::new(PASSPHRASE));
        let vault = home.open_with(root).expect("opens");
        assert_eq!(vault.count_users().await, Ok(0));
    }
}

/// Writes the files. Run by hand when a version of the schema is new, before it is released:
/// `cargo test --lib -- --ignored the_stored_vaults_are_made`.
#[tokio::test]
#[ignore = "makes the fixtures, which must never change again"]
async fn the_stored_vaults_are_made() {
    let (home, _) = Home::furnished(131).await;
    let name = format!("vault-v{SCHEMA_VERSION}");
    home.open().backup(&fixture(&format!("{name}.db"))).await.expect("written once");
    let (home, root) = (Home::new(132), RootSecret::Passphrase(SecretText::new(PASSPHRASE)));
    let vault = home.open_with(root.clone()).expect("made");
    vault.backup(&fixture(&format!("{name}-passphrase.db"))).await.expect("written once");
}
