//! What is written is read back, found, changed by compare-and-set, and gone when it should be.

use std::time::Duration;

use super::*;
use crate::grant::DeathCause;

fn revoking() -> GrantChange {
    GrantChange {
        state: Some(GrantState::Revoking),
        revoke_until: Some(START.plus(86_400)),
        ..GrantChange::default()
    }
}

async fn user(vault: &Vault, n: usize) -> User {
    let id = vault.find_user_by_sub(&sub(n)).await.expect("readable").expect("known");
    vault.load_user(id).await.expect("readable").expect("there")
}

#[tokio::test]
async fn a_first_exchange_is_read_back_after_a_restart() {
    let home = Home::new(1);
    let vault = home.open();
    let Connected { user, grant } = connect(&vault, 1).await;
    vault.close().await;
    drop(vault);

    let vault = home.open();
    let loaded = vault.load_user(user.id).await.expect("readable").expect("there");
    assert!(loaded.profile == profile(1));
    assert_eq!((loaded.created_at, loaded.session_epoch), (START, 0));
    let loaded = vault.load_grant(grant.id).await.expect("readable").expect("there");
    assert_eq!(loaded.state, GrantState::Active);
    assert_eq!(loaded.scopes, ScopeSet::parse("email openid"));
    assert_eq!(loaded.token_generation, 1);
    assert_eq!(loaded.refresh_expires_at, Some(START.plus(604_800)));
    let token = vault.open_refresh_token(&loaded).expect("opens").expect("stored");
    assert_eq!(token.expose(), "1//0refresh-1");
    let token = vault.open_access_token(&loaded).expect("opens").expect("stored");
    assert_eq!(token.expose(), "ya29.access-1");
}

#[tokio::test]
async fn the_same_person_again_keeps_rows_and_token() {
    let home = Home::new(2);
    let vault = home.open();
    let first = connect(&vault, 1).await;
    home.clock.advance(Duration::from_secs(60));
    let change = GrantChange { refresh: RefreshChange::Keep, access: access_token("ya29.new"), ..tokens(1) };
    let again = NewConnection {
        profile: Profile { name: Some("Married".into()), ..profile(1) },
        grant: NewGrant { client_id: client(CLIENT), change },
        redemption: None,
    };
    let again = connect_as(&vault, again).await.expect("connects");
    assert_eq!((again.user.id, again.grant.id), (first.user.id, first.grant.id));
    let (user, grants) = (
        user(&vault, 1).await,
        vault.load_grants_of(first.user.id).await.and_then(FoundGrants::whole).expect("readable"),
    );
    assert_eq!(user.profile.name.as_deref(), Some("Married"));
    assert_eq!(user.created_at, START);
    let [grant] = grants.as_slice() else { panic!("one grant") };
    assert_eq!((grant.token_generation, grant.since), (1, START));
    assert_eq!(grant.connected_at, START.plus(60));
    let token = vault.open_refresh_token(grant).expect("opens").expect("kept");
    assert_eq!(token.expose(), "1//0refresh-1");

    assert_eq!(vault.count_users().await, Ok(1));
}

#[tokio::test]
async fn what_becomes_of_a_person_is_decided_on_what_is_stored_then() {
    let home = Home::new(3);
    let vault = home.open();
    let nobody = |known: Option<&WholePerson>| Err::<(NewConnection, ()), _>(known.is_none());
    assert_eq!(vault.connect(&sub(1), nobody).await.expect("the vault").err(), Some(true));
    assert_eq!(vault.count_users().await, Ok(0));

    let first = connect(&vault, 1).await;
    let dead = GrantChange { state: Some(GrantState::Dead(DeathCause::Rejected)), ..GrantChange::default() };
    vault.update_grant(&first.grant, dead).await.expect("the grant dies");
    let person = sub(1);
    let again = vault.connect(&person, |known| {
        let (user, grants) = known.expect("connected");
        let seen = (user.id, grants[0].state, grants[0].token_generation);
        Ok::<_, ()>((newcomer(1), seen))
    });
    let (again, seen) = again.await.expect("the vault").expect("connects");
    assert_eq!(seen, (first.user.id, GrantState::Dead(DeathCause::Rejected), 1));
    assert_eq!((again.grant.state, again.grant.token_generation), (GrantState::Active, 2));

    // Whoever decides otherwise leaves everything as it is.
    let stored = vault.load_grant(first.grant.id).await.expect("readable").expect("there");
    let no = vault.connect(&sub(1), |_| Err::<(NewConnection, ()), _>("no")).await;
    assert_eq!(no.expect("the vault").err(), Some("no"));
    let after = vault.load_grant(first.grant.id).await.expect("readable").expect("there");
    assert_eq!(format!("{after:?}"), format!("{stored:?}"));
}

#[tokio::test]
async fn of_many_sign_ins_at_once_each_sees_the_one_before() {
    let home = Home::new(4);
    let vault = home.open();
    let sign_ins = (0..20).map(|_| {
        let vault = vault.clone();
        async move {
            let sub = sub(1);
            let found = vault.connect(&sub, |known| {
                let generation = known.map_or(0, |(_, grants)| grants[0].token_generation);
                Ok::<_, ()>((newcomer(1), generation))
            });
            let (connected, generation) = found.await.expect("the vault").expect("connects");
            assert_eq!(connected.grant.token_generation, generation + 1);
            generation
        }
    });
    let mut generations = futures_util::future::join_all(sign_ins).await;
    generations.sort_unstable();
    assert_eq!(generations, (0..20).collect::<Vec<i64>>());
    assert_eq!(vault.count_users().await, Ok(1));
}

#[tokio::test]
async fn a_second_client_is_a_second_grant() {
    let home = Home::new(3);
    let vault = home.open();
    let first = connect(&vault, 1).await;
    let second = NewConnection {
        grant: NewGrant { client_id: client(OTHER_CLIENT), change: tokens(2) },
        ..newcomer(1)
    };
    connect_as(&vault, second).await.expect("connects");
    let grants = vault.load_grants_of(first.user.id).await.and_then(FoundGrants::whole).expect("readable");
    let clients: Vec<_> = grants.iter().map(|grant| grant.client_id.as_str()).collect();
    assert_eq!(clients, [CLIENT, OTHER_CLIENT]);
}

#[tokio::test]
async fn a_conflict_undoes_the_whole_exchange() {
    let home = Home::new(4);
    let vault = home.open();
    let spent = redemption(&vault, 1);
    vault.save_redemption(spent.clone()).await.expect("saved");
    let connection = NewConnection { redemption: Some(spent), ..newcomer(1) };
    assert_eq!(connect_as(&vault, connection).await.err(), Some(VaultError::Conflict));
    assert_eq!(vault.count_users().await, Ok(0));
    assert_eq!(vault.count_grants().await.expect("readable").by_state, []);
}

#[tokio::test]
async fn of_two_changes_to_one_grant_the_second_is_a_conflict() {
    let home = Home::new(5);
    let vault = home.open();
    let seen = connect(&vault, 1).await.grant;
    home.clock.advance(Duration::from_secs(5));
    let dead = GrantState::Dead(DeathCause::Rejected);
    let change = GrantChange { state: Some(dead), access: AccessChange::Erase, ..GrantChange::default() };
    let changed = vault.update_grant(&seen, change.clone()).await.expect("the first");
    assert_eq!(vault.update_grant(&seen, change).await.err(), Some(VaultError::Conflict));

    let loaded = vault.load_grant(seen.id).await.expect("readable").expect("there");
    assert_eq!((loaded.state, loaded.since), (dead, START.plus(5)));
    assert_eq!((loaded.access_expires_at, vault.open_access_token(&loaded)), (None, Ok(None)));
    assert!(loaded.has_refresh_token(), "a dead grant keeps its token");

    let expiry = GrantChange { refresh: RefreshChange::Expires(START.plus(9)), ..GrantChange::default() };
    let changed = vault.update_grant(&changed, expiry).await.expect("the next");
    assert_eq!((changed.refresh_expires_at, changed.token_generation), (Some(START.plus(9)), 1));
    let replaced = GrantChange { refresh: refresh_token("1//0new"), ..GrantChange::default() };
    let changed = vault.update_grant(&changed, replaced).await.expect("the next");
    assert_eq!(changed.token_generation, 2);
    let mut gone = changed;
    gone.id = GrantId(12);
    assert_eq!(vault.update_grant(&gone, GrantChange::default()).await.err(), Some(VaultError::Conflict));
}

#[tokio::test]
async fn an_address_finds_only_whom_google_verified_it_for() {
    let home = Home::new(6);
    let vault = home.open();
    let unverified = Profile { email_verified: false, ..profile(1) };
    connect_as(&vault, NewConnection { profile: unverified, ..newcomer(1) }).await.expect("connects");
    assert_eq!(vault.find_users_by_email(&email(1)).await, Ok(vec![]));

    let first = connect(&vault, 1).await;
    assert_eq!(vault.find_users_by_email(&email(1)).await, Ok(vec![first.user.id]));

    // The address changes hands: until its first owner signs in again, both are found, eldest first.
    home.clock.advance(Duration::from_secs(1));
    let heir = Profile { email: Some(email(1)), ..profile(2) };
    let heir = NewConnection { profile: heir, ..newcomer(2) };
    let second = connect_as(&vault, heir).await.expect("connects");
    let both = vault.find_users_by_email(&email(1)).await;
    assert_eq!(both, Ok(vec![first.user.id, second.user.id]));

    let moved = Profile { email: Some(email(9)), ..profile(1) };
    connect_as(&vault, NewConnection { profile: moved, ..newcomer(1) }).await.expect("connects");
    assert_eq!(vault.find_users_by_email(&email(1)).await, Ok(vec![second.user.id]));
    assert_eq!(vault.find_users_by_email(&email(9)).await, Ok(vec![first.user.id]));
    assert_eq!(vault.find_user_by_sub(&sub(9)).await, Ok(None));
}

#[tokio::test]
async fn a_list_is_read_page_by_page() {
    let home = Home::new(7);
    let vault = home.open();
    let mut expected = Vec::new();
    for n in 0..7 {
        expected.push(connect(&vault, n).await.user.id);
    }
    expected.sort();
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = vault.list_users(after, 3).await.expect("readable");
        assert!(page.len() <= 3);
        let Some((last, _)) = page.last() else { break };
        after = Some(*last);
        listed.extend(page.into_iter().map(|(id, user)| {
            assert_eq!(user.expect("sound").id, id);
            id
        }));
    }
    assert_eq!(listed, expected);
}

#[tokio::test]
async fn a_grant_is_deleted_only_while_it_is_revoking_and_the_last_takes_the_person() {
    let home = Home::new(8);
    let vault = home.open();
    let redemption = redemption(&vault, 1);
    let marks = redemption.marks;
    let first = NewConnection { redemption: Some(redemption), ..newcomer(1) };
    let first = connect_as(&vault, first).await.expect("connects");
    let second = NewConnection {
        grant: NewGrant { client_id: client(OTHER_CLIENT), change: tokens(2) },
        ..newcomer(1)
    };
    let second = connect_as(&vault, second).await.expect("connects");

    assert_eq!(vault.delete_grant(first.grant.id, None).await, Err(VaultError::Conflict));
    vault.update_grant(&first.grant, revoking()).await.expect("revoking");
    let leaving = vault.load_revoking_grants(10).await.expect("readable");
    assert_eq!(leaving.iter().map(|grant| grant.id).collect::<Vec<_>>(), [first.grant.id]);
    assert_eq!(leaving[0].revoke_until, Some(START.plus(86_400)));
    assert_eq!(vault.delete_grant(first.grant.id, None).await, Ok(false));
    assert_eq!(vault.delete_grant(first.grant.id, None).await, Err(VaultError::Gone));
    assert_eq!(vault.count_users().await, Ok(1));
    let known = vault.load_redemption(&marks).await.expect("readable").expect("the code stays known");
    assert!(known.answer.is_none(), "the answer held the person's profile");

    vault.update_grant(&second.grant, revoking()).await.expect("revoking");
    assert_eq!(vault.delete_grant(second.grant.id, None).await, Ok(true));
    assert!(vault.load_user(first.user.id).await.expect("readable").is_none());
    assert_eq!(vault.find_user_by_sub(&sub(1)).await, Ok(None));
    assert_eq!(vault.find_users_by_email(&email(1)).await, Ok(vec![]));
    assert_eq!(vault.end_sessions(first.user.id).await, Err(VaultError::Gone));
    // Coming back makes another row, to which nothing old is bound.
    let returning = connect(&vault, 1).await;
    assert_ne!(returning.user.id, first.user.id);
}

#[tokio::test]
async fn a_redemption_is_remembered_for_ten_minutes_and_its_code_for_an_hour() {
    let home = Home::new(9);
    let vault = home.open();
    let new = redemption(&vault, 1);
    let marks = new.marks;
    vault.save_redemption(new.clone()).await.expect("saved");
    assert_eq!(vault.save_redemption(new.clone()).await, Err(VaultError::Conflict));

    let stored = || {
        vault.read(|conn| {
            conn.query_row("SELECT count(*), count(answer) FROM redemptions", [], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
            })
            .map_err(sql)
        })
    };
    for (seconds, answered, known, rows) in [
        (0, true, true, (1, 1)),
        (599, true, true, (1, 1)),
        (600, false, true, (1, 0)),
        (3_599, false, true, (1, 0)),
        (3_600, false, false, (0, 0)),
    ] {
        home.clock.set(START.plus(seconds));
        // The same before and after the purge: what is over is over without it.
        for _ in 0..2 {
            let found = vault.load_redemption(&marks).await.expect("readable");
            assert_eq!(found.is_some(), known, "after {seconds} s");
            let answer = found.and_then(|found| found.answer);
            assert_eq!(answer.is_some(), answered, "after {seconds} s");
            vault.purge_redemptions().await.expect("purged");
        }
        assert_eq!(stored(), Ok(rows), "after {seconds} s");
    }
    // After the hour code and key are free again, purged or not.
    vault.save_redemption(new.clone()).await.expect("free again");
    home.clock.set(START.plus(7_200));
    vault.save_redemption(new).await.expect("free again");
    assert_eq!(stored(), Ok((1, 1)));
}

#[tokio::test]
async fn a_request_is_known_by_code_key_and_whole() {
    let home = Home::new(10);
    let vault = home.open();
    let (code, key, whole): (_, _, &[&[u8]]) = ("4/0code", Some("key"), &[b"ab", b"c"]);
    let marks = vault.code_marks(code, key, whole);
    vault.save_redemption(NewRedemption { marks, answer: Some(b"yes".to_vec()) }).await.expect("saved");
    let facts = async |code: &str, key: Option<&str>, whole: &[&[u8]]| {
        let marks = vault.code_marks(code, key, whole);
        let found = vault.load_redemption(&marks).await.expect("readable");
        found.map(|found| (found.same_code, found.same_key, found.same_request))
    };
    assert_eq!(facts(code, key, whole).await, Some((true, true, true)));
    assert_eq!(facts(code, None, whole).await, Some((true, false, true)));
    assert_eq!(facts(code, Some("other"), whole).await, Some((true, false, true)));
    assert_eq!(facts("4/0other", key, whole).await, Some((false, true, true)));
    assert_eq!(facts(code, key, &[b"a", b"bc"]).await, Some((true, true, false)));
    assert_eq!(facts("4/0other", Some("other"), whole).await, None);

    // Two absent keys are not the same key.
    let marks = vault.code_marks("4/0keyless", None, whole);
    vault.save_redemption(NewRedemption { marks, answer: Some(b"no".to_vec()) }).await.expect("saved");
    assert_eq!(facts("4/0keyless", None, whole).await, Some((true, false, true)));
    // A key known from one code is preferred to another row that knows the code.
    assert_eq!(facts("4/0keyless", key, whole).await, Some((false, true, true)));
}

#[tokio::test]
async fn api_keys_keep_every_binding() {
    let home = Home::new(11);
    let vault = home.open();
    let bound = ApiKeyRecord {
        users: UserBinding::Only(vec![]),
        clients: Some(vec![]),
        scopes: Some(ScopeSet::default()),
        hosts: Some(vec![]),
        expires_at: None,
        ..api_key(&vault, 2)
    };
    for key in [&api_key(&vault, 1), &bound] {
        vault.save_api_key(key).await.expect("saved");
    }
    assert_eq!(vault.save_api_key(&bound).await, Err(VaultError::Conflict));
    let load = async || {
        let keys = vault.load_api_keys().await.expect("readable");
        keys.into_iter().map(|key| key.expect("sound")).collect::<Vec<_>>()
    };
    let words = |key: &ApiKeyRecord| format!("{key:?}");
    // "None of them" must never be read back as "all of them".
    assert_eq!(words(&load().await[1]), words(&bound));

    vault.note_api_key_use(vec![(bound.id.clone(), START.plus(60))]).await.expect("noted");
    vault.end_api_key(&bound.id, Some(START.plus(5)), Some(START.plus(1))).await.expect("ended");
    let ended = ApiKeyRecord {
        expires_at: Some(START.plus(5)),
        revoked_at: Some(START.plus(1)),
        last_used_at: Some(START.plus(60)),
        ..bound
    };
    assert_eq!(words(&load().await[1]), words(&ended));
    let unknown = "nosuchkey000".parse().expect("an id");
    assert_eq!(vault.end_api_key(&unknown, None, None).await, Err(VaultError::Gone));
    assert_ne!(vault.api_key_hash(&[1; 32]), vault.api_key_hash(&[2; 32]));
}

#[tokio::test]
async fn documents_are_replaced_and_signing_keys_collected() {
    let home = Home::new(12);
    let vault = home.open();
    assert_eq!(vault.load_document(DocumentKind::KeySet).await, Ok(None));
    for text in ["old", "new"] {
        vault.save_document(DocumentKind::KeySet, document(text)).await.expect("saved");
    }
    assert_eq!(vault.load_document(DocumentKind::KeySet).await, Ok(Some(document("new"))));
    assert_eq!(vault.load_document(DocumentKind::Discovery).await, Ok(None));

    for n in [2, 1] {
        vault.save_signing_key(&signing_key(n)).await.expect("saved");
    }
    assert_eq!(vault.save_signing_key(&signing_key(1)).await, Err(VaultError::Conflict));
    let kids: Vec<_> =
        vault.load_signing_keys().await.expect("readable").into_iter().map(|key| key.kid).collect();
    assert_eq!(kids, ["kid-1", "kid-2"], "oldest first");
}

#[tokio::test]
async fn grants_are_counted_by_state_and_found_when_idle() {
    let home = Home::new(13);
    let vault = home.open();
    let mut grants = Vec::new();
    for n in 0..4 {
        grants.push(connect(&vault, n).await.grant);
        home.clock.advance(Duration::from_secs(86_400));
    }
    let dead = GrantState::Dead(DeathCause::AccessExpired);
    let dying = GrantChange { state: Some(dead), ..GrantChange::default() };
    vault.update_grant(&grants[1], dying).await.expect("changed");
    let counts = vault.count_grants().await.expect("readable");
    assert_eq!(counts.by_state, [(GrantState::Active, client(CLIENT), 3), (dead, client(CLIENT), 1)]);
    assert_eq!(counts.next_expiry, Some(START.plus(604_800)));

    let idle =
        vault.load_idle_grants(&client(CLIENT), START.plus(2 * 86_400 + 1), 10).await.expect("readable");
    assert_eq!(idle.iter().map(|grant| grant.id).collect::<Vec<_>>(), [grants[0].id, grants[2].id]);
    let idle = vault.load_idle_grants(&client(CLIENT), START.plus(9 * 86_400), 1).await.expect("readable");
    assert_eq!(idle.iter().map(|grant| grant.id).collect::<Vec<_>>(), [grants[0].id]);
    assert!(
        vault
            .load_idle_grants(&client(OTHER_CLIENT), START.plus(9 * 86_400), 9)
            .await
            .expect("ok")
            .is_empty()
    );
}

#[tokio::test]
async fn ending_sessions_raises_the_epoch_every_time() {
    let home = Home::new(14);
    let vault = home.open();
    let id = connect(&vault, 1).await.user.id;
    vault.end_sessions(id).await.expect("ended");
    assert_eq!(user(&vault, 1).await.session_epoch, START.unix());
    vault.end_sessions(id).await.expect("ended");
    assert_eq!(user(&vault, 1).await.session_epoch, START.unix() + 1, "within the same second too");
    // All at once: each of them counts.
    let ends = (0..8).map(|_| vault.end_sessions(id));
    assert!(futures_util::future::join_all(ends).await.iter().all(Result::is_ok));
    assert!(user(&vault, 1).await.session_epoch > START.unix() + 1);
}

#[tokio::test]
async fn another_issuer_finds_nobody_and_ruins_nothing() {
    let home = Home::new(15);
    let vault = home.open();
    let connected = connect(&vault, 1).await;
    vault.close().await;
    drop(vault);

    let elsewhere = VaultSettings { issuer: "https://login.example".into(), ..home.settings(root(1)) };
    let vault = Vault::open(elsewhere, home.clock.clone(), home.rng.clone()).expect("opens");
    assert_eq!(vault.find_user_by_sub(&sub(1)).await, Ok(None));
    vault.end_sessions(connected.user.id).await.expect("ended");
    vault.close().await;
    drop(vault);

    let vault = home.open();
    assert_eq!(user(&vault, 1).await.session_epoch, START.unix());
}

#[tokio::test]
async fn facts_say_what_the_vault_is() {
    let home = Home::new(16);
    let vault = home.open();
    let facts = vault.facts().await.expect("readable");
    assert_eq!(facts.root_id, RootId::of(&SecretKey::new([1; 32])).to_string());
    assert_eq!((facts.schema, facts.data_key_term, facts.last_backup), (SCHEMA_VERSION, 1, None));
    vault.checkpoint().await.expect("checkpointed");
    let facts = vault.facts().await.expect("readable");
    assert_eq!(facts.size, std::fs::metadata(home.path()).expect("there").len());
    assert!(facts.size > 0);
}
