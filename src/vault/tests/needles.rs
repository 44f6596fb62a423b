//! No token, address, name or code stands in clear in any file, and what was forgotten is not there
//! even sealed.

use std::collections::HashSet;

use super::*;

const NEEDLE: &str = "nEEdle";

/// Whether any file holds the bytes, in whatever case.
fn found(home: &Home, needle: &[u8]) -> Vec<PathBuf> {
    let needle = needle.to_ascii_lowercase();
    let holds =
        |bytes: &[u8]| bytes.to_ascii_lowercase().windows(needle.len()).any(|window| window == needle);
    files(home.directory.path()).into_iter().filter(|(_, bytes)| holds(bytes)).map(|(path, _)| path).collect()
}

/// The number first: a refresh token is looked up by its first 16 characters, which must differ.
fn marked(n: usize, what: &str) -> String {
    format!("{n:03}-{NEEDLE}-{what}")
}

fn marked_person(vault: &Vault, n: usize) -> NewConnection {
    let text = |what: &str| Some(marked(n, what));
    let profile = Profile {
        sub: marked(n, "sub").parse().expect("a sub"),
        email: Some(format!("{}@example.org", marked(n, "email")).parse().expect("an address")),
        email_verified: true,
        name: text("name"),
        given_name: text("given"),
        family_name: text("family"),
        picture: text("picture"),
        locale: text("locale"),
        hd: text("hd"),
        admitted_by: marked(n, "admitted"),
    };
    let change = GrantChange {
        refresh: refresh_token(&marked(n, "refresh")),
        access: access_token(&marked(n, "access")),
        ..tokens(n)
    };
    let code = marked(n, "code");
    let marks = vault.code_marks(&code, Some(&marked(n, "key")), &[code.as_bytes()]);
    let redemption = NewRedemption { marks, answer: Some(marked(n, "answer").into_bytes()) };
    let grant = NewGrant { client_id: client(CLIENT), change };
    NewConnection { profile, grant, redemption: Some(redemption) }
}

fn marked_event(n: usize, user: UserId) -> EventRecord {
    let (name, path) = (Some(marked(n, "owner")), Some(marked(n, "path")));
    EventRecord { personal: Some(PersonalFacts { from: None, name, path }), ..event(1, Some(user)) }
}

#[tokio::test]
async fn nothing_personal_stands_in_clear() {
    let home = Home::new(70);
    let vault = home.open();
    let key = SigningKeyRecord { private_key: zeroize::Zeroizing::new(NEEDLE.into()), ..signing_key(1) };
    vault.save_signing_key(&key).await.expect("saved");
    let secret = *b"nEEdle-api-key-secret-0123456789";
    vault
        .save_api_key(&ApiKeyRecord { hash: vault.api_key_hash(&secret), ..api_key(&vault, 1) })
        .await
        .expect("ok");
    for n in 0..50 {
        let person = connect_as(&vault, marked_person(&vault, n)).await.expect("connects");
        vault.append_events(vec![marked_event(n, person.user.id)]).await.expect("appended");
    }
    vault.backup(&home.directory.path().join("copy")).await.expect("copied");
    // Database, log, shared memory, lock, copy: while it is open, after a checkpoint, when it is closed.
    assert_eq!(files(home.directory.path()).len(), 5);
    assert_eq!(found(&home, NEEDLE.as_bytes()), [] as [PathBuf; 0]);
    vault.checkpoint().await.expect("checkpointed");
    assert_eq!(found(&home, NEEDLE.as_bytes()), [] as [PathBuf; 0]);
    vault.close().await;
    drop(vault);
    assert_eq!(found(&home, NEEDLE.as_bytes()), [] as [PathBuf; 0]);
    // The instrument works: what is plain is found, in the copy too.
    assert_eq!(found(&home, CLIENT.as_bytes()).len(), 2);
}

#[tokio::test]
async fn nothing_personal_is_printed() {
    let home = Home::new(71);
    let vault = home.open();
    let connection = marked_person(&vault, 1);
    let marks = connection.redemption.as_ref().expect("there").marks;
    let shown = format!("{connection:?}");
    let connected = connect_as(&vault, connection).await.expect("connects");
    let redemption = vault.load_redemption(&marks).await.expect("readable").expect("known");
    assert!(redemption.answer.is_some());
    let key = SigningKeyRecord { private_key: zeroize::Zeroizing::new(NEEDLE.into()), ..signing_key(1) };
    let settings = VaultSettings {
        root: RootSecret::Passphrase(crate::secret::SecretText::new(NEEDLE)),
        ..home.settings(root(1))
    };
    let event = marked_event(1, connected.user.id);
    let all =
        format!("{event:?} {shown} {connected:?} {redemption:?} {key:?} {settings:?} {vault:?} {marks:?}");
    assert!(!all.to_lowercase().contains(&NEEDLE.to_lowercase()), "{all}");
}

type Traces = HashSet<[u8; 32]>;

/// The beginnings of one person's sealed values, and their lookups, as they stand in the file. Not the
/// whole values: long ones lie over several pages.
fn traces(home: &Home, user: i64) -> Traces {
    let stranger = home.stranger();
    let mut traces = Traces::new();
    for (table, condition, columns) in [
        ("users", "id", "profile, sub_lookup, email_lookup"),
        ("grants", "user_id", "refresh_token, access_token, refresh_prefix, refresh_hash, refresh_hash_b64"),
        ("redemptions", "user_id", "answer"),
        ("events", "user_id", "personal"),
    ] {
        let select = format!("SELECT {columns} FROM {table} WHERE {condition} = ?");
        let mut statement = stranger.prepare(&select).expect("a table");
        let count = statement.column_count();
        let mut rows = statement.query([user]).expect("rows");
        while let Some(row) = rows.next().expect("a row") {
            for column in 0..count {
                let blob: Vec<u8> = row.get(column).expect("a blob");
                traces.insert(*blob.first_chunk().expect("32 bytes"));
            }
        }
    }
    assert_eq!(traces.len(), 10);
    traces
}

/// Which of the traces are anywhere in the files.
fn left(home: &Home, traces: &Traces) -> Traces {
    // Two bytes that are random in each trace spare hashing every window.
    let pick = |window: &[u8]| usize::from(window[6]) << 8 | usize::from(window[7]);
    let mut likely = vec![false; 1 << 16];
    traces.iter().for_each(|trace| likely[pick(trace)] = true);
    let mut left = Traces::new();
    for bytes in files(home.directory.path()).values() {
        for window in bytes.windows(32).filter(|window| likely[pick(window)]) {
            left.extend(window.first_chunk().filter(|window| traces.contains(*window)));
        }
    }
    left
}

async fn forget(vault: &Vault, grant: &Grant) {
    let change = GrantChange {
        state: Some(GrantState::Revoking),
        access: AccessChange::Erase,
        ..GrantChange::default()
    };
    vault.update_grant(grant, change).await.expect("revoking");
    assert_eq!(vault.delete_grant(grant.id, None).await, Ok(true));
}

#[tokio::test]
async fn what_was_forgotten_is_not_in_the_files_even_sealed() {
    let home = Home::new(72);
    let vault = home.open();
    // Enough for trees of several pages, which are rebalanced as rows go.
    let connects = (0..200).map(|n| connect_as(&vault, marked_person(&vault, n)));
    let people: Vec<_> = futures_util::future::join_all(connects).await;
    let people: Vec<_> = people.into_iter().map(|person| person.expect("connects")).collect();
    let events = people.iter().enumerate().map(|(n, person)| marked_event(n, person.user.id)).collect();
    vault.append_events(events).await.expect("appended");
    let (leaving, staying): (Vec<_>, Vec<_>) =
        people.into_iter().partition(|person| person.user.id.0 % 3 > 0);
    let gone: Traces = leaving.iter().flat_map(|person| traces(&home, person.user.id.0)).collect();
    assert!(gone.len() > 100 * 10);
    assert_eq!(left(&home, &gone).len(), gone.len(), "the instrument works");
    for person in &leaving {
        forget(&vault, &person.grant).await;
    }
    vault.checkpoint_if_wanted().await.expect("checkpointed");
    assert_eq!(left(&home, &gone).len(), 0, "of {}", gone.len());
    // The others are all still there.
    for person in &staying {
        open_grant(&vault, person.grant.id).await.expect("sound");
    }
    let kept: Traces = staying.iter().flat_map(|person| traces(&home, person.user.id.0)).collect();
    assert_eq!(left(&home, &kept).len(), kept.len());
}

#[tokio::test]
async fn a_checkpoint_is_wanted_by_what_erases_and_by_nothing_else() {
    let home = Home::new(73);
    let vault = home.open();
    let wanted = || vault.0.writer.checkpoint_wanted();
    assert!(wanted(), "what was deleted before a crash may stand in the log");
    vault.checkpoint_if_wanted().await.expect("checkpointed");
    assert!(!wanted());

    let Connected { grant, .. } = connect_as(&vault, marked_person(&vault, 1)).await.expect("connects");
    vault.purge_redemptions().await.expect("nothing to purge");
    assert!(!wanted());
    home.clock.set(START.plus(600));
    vault.purge_redemptions().await.expect("purged");
    assert!(wanted());
    vault.checkpoint_if_wanted().await.expect("checkpointed");
    let erase = GrantChange { access: AccessChange::Erase, ..GrantChange::default() };
    let grant = vault.update_grant(&grant, erase.clone()).await.expect("erased");
    assert!(wanted());
    vault.checkpoint_if_wanted().await.expect("checkpointed");

    // Nor does a caller that goes away at once take the wish with it.
    let revoking = GrantChange { state: Some(GrantState::Revoking), ..erase };
    {
        let mut caller = Box::pin(vault.update_grant(&grant, revoking));
        assert!(futures_util::poll!(caller.as_mut()).is_pending());
    }
    assert_eq!(vault.delete_grant(grant.id, None).await, Ok(true));
    assert!(wanted());
}
