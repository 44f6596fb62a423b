use tempfile::TempDir;

use super::*;
use crate::secret::SecretKey;
use crate::vault::{RootSecret, VaultSettings};

const NOW: Timestamp = Timestamp::from_unix(1_795_368_972);
const DAY: i64 = 86_400;

struct World {
    directory: TempDir,
    clock: Clock,
    rng: Rng,
}

impl World {
    fn new() -> Self {
        let directory = TempDir::new().expect("a directory");
        Self { directory, clock: Clock::manual(NOW), rng: Rng::seeded(11) }
    }

    fn path(&self) -> std::path::PathBuf {
        self.directory.path().join("vault").join("vault.db")
    }

    fn vault(&self) -> Vault {
        let settings = VaultSettings {
            path: self.path(),
            root: RootSecret::Key(SecretKey::new([1; 32])),
            issuer: "https://accounts.google.com".into(),
            readers: 1,
        };
        Vault::open(settings, self.clock.clone(), self.rng.clone()).expect("a vault")
    }

    async fn keys(&self, vault: &Vault) -> ApiKeys {
        ApiKeys::load(vault.clone(), self.clock.clone(), self.rng.clone()).await.expect("keys")
    }
}

fn new_key(name: &str) -> NewApiKey {
    NewApiKey {
        name: name.into(),
        actions: [Action::TokensRead].into_iter().collect(),
        users: UserBinding::All,
        clients: None,
        scopes: None,
        hosts: None,
        expires_at: Some(NOW.plus(90 * DAY)),
    }
}

#[tokio::test]
async fn a_key_admits_its_bearer_and_survives_a_restart() {
    let world = World::new();
    let vault = world.vault();
    let keys = world.keys(&vault).await;
    let bound = NewApiKey {
        users: UserBinding::Only(vec![UserId(9), UserId(3)]),
        clients: Some(vec!["main".parse().expect("a name")]),
        scopes: Some(ScopeSet::parse("openid")),
        hosts: Some(vec!["www.googleapis.com".into()]),
        ..new_key("nightly job")
    };
    let (made, plain) = keys.create(bound).await.expect("made");
    let verified = keys.verify(&plain.expose()).expect("in force");
    assert_eq!(verified.id, made.id);
    assert!(verified.is_bound());

    vault.close().await;
    drop((keys, vault));
    let vault = world.vault();
    let keys = world.keys(&vault).await;
    let again = keys.verify(&plain.expose()).expect("in force");
    assert_eq!(again.name, "nightly job");
    assert!(again.reaches(UserId(3)) && again.reaches(UserId(9)) && !again.reaches(UserId(4)));
    assert!(again.may(Action::TokensRead) && !again.may(Action::UsersRead));
    assert_eq!(again.reach.scopes, Some(ScopeSet::parse("openid")));
}

#[tokio::test]
async fn a_foreign_cut_or_wrong_key_admits_nobody() {
    let world = World::new();
    let vault = world.vault();
    let keys = world.keys(&vault).await;
    let (_, plain) = keys.create(new_key("a")).await.expect("made");
    let (_, other) = keys.create(new_key("b")).await.expect("made");
    let (text, foreign) = (plain.expose(), PlainApiKey::generate(&world.rng).expose());

    assert_eq!(keys.verify(&text[..text.len() - 1]).expect_err("cut"), KeyRefused::Malformed);
    assert_eq!(keys.verify("").expect_err("nothing"), KeyRefused::Malformed);
    assert_eq!(keys.verify(&foreign).expect_err("never made"), KeyRefused::Unknown);
    // One key's id with another's secret, and a checksum that fits.
    let crossed = PlainApiKey::crossed(&plain, &other).expose();
    assert_eq!(keys.verify(&crossed).expect_err("crossed"), KeyRefused::Unknown);
}

#[tokio::test]
async fn keys_end_by_expiry_and_by_revocation() {
    let world = World::new();
    let vault = world.vault();
    let keys = world.keys(&vault).await;
    let (first, plain) = keys.create(new_key("a")).await.expect("made");
    assert_eq!(keys.next_expiry(), Some(NOW.plus(90 * DAY)));

    world.clock.set(NOW.plus(90 * DAY - 1));
    assert!(keys.verify(&plain.expose()).is_ok());
    world.clock.set(NOW.plus(90 * DAY));
    assert_eq!(keys.verify(&plain.expose()).expect_err("over"), KeyRefused::Expired);
    assert_eq!(keys.rotate(&first.id, Duration::ZERO).await.expect_err("over"), ApiKeysError::Ended);

    world.clock.set(NOW);
    keys.revoke(&first.id).await.expect("revoked");
    assert_eq!(keys.verify(&plain.expose()).expect_err("revoked"), KeyRefused::Revoked);
    let again = keys.revoke(&first.id).await.expect("changes nothing");
    assert_eq!(again.revoked_at, Some(NOW));
    world.clock.set(NOW.plus(-DAY));
    assert_eq!(keys.find(&again.id).expect("there").ended(world.clock.now()), Some(KeyRefused::Revoked));
    world.clock.set(NOW);
    let unknown = "aaaaaaaaaaaa".parse().expect("an id");
    assert_eq!(keys.revoke(&unknown).await.expect_err("no such key"), ApiKeysError::NotFound);
}

#[tokio::test]
async fn rotation_overlaps_and_keeps_the_bindings() {
    let world = World::new();
    let vault = world.vault();
    let keys = world.keys(&vault).await;
    let bound = NewApiKey { users: UserBinding::Only(vec![UserId(5)]), ..new_key("a") };
    let (old, old_text) = keys.create(bound).await.expect("made");
    world.clock.set(NOW.plus(DAY));
    let Rotated { new, plain: new_text, .. } =
        keys.rotate(&old.id, Duration::from_secs(3600)).await.expect("rotated");
    assert_ne!(new.id, old.id);
    assert_eq!((&new.name, &new.users), (&old.name, &old.users));
    assert_eq!(new.expires_at, Some(NOW.plus(91 * DAY)));
    assert!(keys.verify(&old_text.expose()).is_ok());
    world.clock.advance(Duration::from_secs(3600));
    assert_eq!(keys.verify(&old_text.expose()).expect_err("over"), KeyRefused::Revoked);
    assert!(keys.verify(&new_text.expose()).is_ok());
}

#[tokio::test]
async fn a_second_rotation_lives_as_long_as_the_first() {
    let world = World::new();
    let vault = world.vault();
    let keys = world.keys(&vault).await;
    let ends = |end| NewApiKey { expires_at: end, ..new_key("a") };
    // Keys of the same name and rights that live longer, or for ever, change nothing.
    let ninety = (Some(NOW.plus(90 * DAY)), Some(NOW.plus(91 * DAY)));
    for (made, lives) in [(None, None), ninety, (None, None), ninety] {
        world.clock.set(NOW);
        let (old, _) = keys.create(ends(made)).await.expect("made");
        world.clock.set(NOW.plus(DAY));
        let day = Duration::from_secs(86_400);
        let first = keys.rotate(&old.id, day).await.expect("rotated");
        assert_eq!((first.new.end(), first.old.end()), (lives, Some(NOW.plus(2 * DAY))));
        // The first answer was lost.
        let second = keys.rotate(&old.id, 7 * day).await.expect("rotated");
        assert_eq!(second.new.end(), lives);
        assert_eq!(second.old.end(), first.old.end(), "no rotation puts an end off");
        // Somebody who is in a hurry need not wait for the overlap.
        keys.revoke(&old.id).await.expect("revoked");
        assert_eq!(keys.find(&old.id).expect("there").end(), Some(NOW.plus(DAY)));
    }
}

#[tokio::test]
async fn the_last_use_is_written_once_for_many() {
    let world = World::new();
    let vault = world.vault();
    let keys = world.keys(&vault).await;
    let (key, plain) = keys.create(new_key("a")).await.expect("made");
    assert_eq!(key.last_used_at(), None);
    world.clock.set(NOW.plus(30));
    keys.verify(&plain.expose()).expect("in force");
    keys.verify(&plain.expose()).expect("in force");
    // A reload in between does not forget it.
    keys.create(new_key("b")).await.expect("made");
    keys.save_last_uses().await.expect("written");
    assert_eq!(world.keys(&vault).await.find(&key.id).expect("there").last_used_at(), Some(NOW.plus(30)));
}

#[tokio::test]
async fn a_key_that_was_rotated_ends_without_alarm() {
    let world = World::new();
    let vault = world.vault();
    let keys = world.keys(&vault).await;
    let ends = |days| NewApiKey { expires_at: Some(NOW.plus(days * DAY)), ..new_key("a") };
    let (old, _) = keys.create(ends(90)).await.expect("made");
    // Within the same second, so that nothing but the end tells them apart.
    let new = keys.rotate(&old.id, Duration::from_secs(60)).await.expect("rotated").new;
    let told: Vec<_> = keys.expiring().into_iter().map(|(key, end)| (key.id.clone(), end)).collect();
    assert_eq!(told, [(new.id.clone(), NOW.plus(90 * DAY))]);
    keys.revoke(&new.id).await.expect("revoked");
    assert_eq!(keys.next_expiry(), Some(NOW.plus(60)), "now it is the last one");
}

#[tokio::test]
async fn an_altered_row_admits_nobody() {
    let world = World::new();
    let vault = world.vault();
    let (_, plain) = world.keys(&vault).await.create(new_key("needle")).await.expect("made");
    vault.close().await;
    drop(vault);
    let mut file = std::fs::read(world.path()).expect("the file");
    let place = file.windows(6).position(|window| window == b"needle").expect("the name is in clear");
    file[place] = b'N';
    std::fs::write(world.path(), file).expect("altered");

    let vault = world.vault();
    let keys = world.keys(&vault).await;
    assert_eq!((keys.list().len(), keys.damaged()), (0, 1));
    assert_eq!(keys.verify(&plain.expose()).expect_err("altered"), KeyRefused::Unknown);
}

#[tokio::test]
async fn a_key_that_would_mean_something_else_is_not_made() {
    let world = World::new();
    let vault = world.vault();
    let keys = world.keys(&vault).await;
    let bad = |change: fn(&mut NewApiKey)| {
        let mut new = new_key("a");
        change(&mut new);
        new
    };
    for new in [
        bad(|new| new.name = " a".into()),
        bad(|new| new.name = String::new()),
        bad(|new| new.name = "a\u{7}".into()),
        bad(|new| new.name = "é".repeat(101)),
        bad(|new| new.actions = Actions::default()),
        bad(|new| new.users = UserBinding::Only(vec![])),
        bad(|new| new.clients = Some(vec![])),
        bad(|new| new.scopes = Some(ScopeSet::default())),
        bad(|new| new.hosts = Some(vec!["a b".into()])),
        bad(|new| new.hosts = Some(vec![])),
        bad(|new| new.expires_at = Some(NOW)),
    ] {
        let refused = keys.create(new.clone()).await;
        assert!(matches!(refused, Err(ApiKeysError::Invalid { .. })), "{new:?}");
    }
    assert!(keys.list().is_empty());
}
