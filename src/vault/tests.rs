//! The vault under test: a temporary home for one, people to put into it, and everything that can be
//! read back as one map, so that a test says "exactly the old values" in one line.
//!
//! A test that plays the stranger who can write the file does so through [`Home::stranger`], a plain
//! connection that knows nothing of seals.

mod backups;
mod counts;
mod crashes;
mod events;
mod flips;
mod links;
mod mirrors;
mod needles;
mod opening;
mod queries;
mod round_trips;
mod stored;
mod tampering;
mod writing;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};

use futures_util::future::poll_immediate;
use tempfile::TempDir;

use super::*;
use crate::clock::Timestamp;
use crate::grant::GrantState;
use crate::ids::{Email, GrantId, OAuthClientId, Sub, UserId};
use crate::scopes::ScopeSet;
use crate::secret::{AccessToken, RefreshToken, SecretKey, SecretText};

const START: Timestamp = Timestamp::from_unix(1_795_368_972);
const ISSUER: &str = "https://accounts.google.com";
const CLIENT: &str = "402839145520-one.apps.googleusercontent.com";
const OTHER_CLIENT: &str = "402839145520-two.apps.googleusercontent.com";

fn root(byte: u8) -> RootSecret {
    RootSecret::Key(SecretKey::new([byte; 32]))
}

/// A directory with a vault in it, a clock and a generator.
struct Home {
    directory: TempDir,
    clock: Clock,
    rng: Rng,
}

impl Home {
    fn new(seed: u64) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        Self { directory, clock: Clock::manual(START), rng: Rng::seeded(seed) }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("vault.db")
    }

    fn settings(&self, root: RootSecret) -> VaultSettings {
        VaultSettings { path: self.path(), root, issuer: ISSUER.into(), readers: 2 }
    }

    fn open_with(&self, root: RootSecret) -> Result<Vault, VaultError> {
        Vault::open(self.settings(root), self.clock.clone(), self.rng.clone())
    }

    fn open(&self) -> Vault {
        self.open_with(root(1)).expect("the vault opens")
    }

    /// The connection of somebody who can write the file and has no key.
    fn stranger(&self) -> rusqlite::Connection {
        let conn = rusqlite::Connection::open(self.path()).expect("a plain connection");
        conn.execute_batch(
            "PRAGMA foreign_keys = OFF; PRAGMA synchronous = OFF; PRAGMA busy_timeout = 5000;",
        )
        .expect("pragmas");
        conn
    }

    /// A vault with everything in it, closed, and what it holds.
    async fn furnished(seed: u64) -> (Self, Contents) {
        let home = Self::new(seed);
        let vault = home.open();
        furnish(&vault).await;
        let contents = read_all(&vault).await;
        vault.close().await;
        (home, contents)
    }
}

/// Makes an open vault see what a stranger wrote: it counts on being the only one that writes.
fn look_again(vault: &Vault) {
    vault.0.readers.committed();
}

fn client(id: &str) -> OAuthClientId {
    id.parse().expect("a client id")
}

fn sub(n: usize) -> Sub {
    format!("10820426803331137{n:04}").parse().expect("a sub")
}

fn email(n: usize) -> Email {
    format!("person{n}@example.org").parse().expect("an address")
}

fn profile(n: usize) -> Profile {
    Profile {
        sub: sub(n),
        email: Some(email(n)),
        email_verified: true,
        name: Some(format!("Person {n}")),
        given_name: Some("Person".into()),
        family_name: Some(n.to_string()),
        picture: Some(format!("https://lh3.example/{n}")),
        locale: Some("en".into()),
        hd: None,
        admitted_by: "anyone".into(),
    }
}

fn refresh_token(text: &str) -> RefreshChange {
    RefreshChange::Replace { token: RefreshToken::new(text), expires_at: Some(START.plus(604_800)) }
}

fn access_token(text: &str) -> AccessChange {
    AccessChange::Replace { token: AccessToken::new(text), expires_at: START.plus(3_600) }
}

/// What a first exchange brings for person `n`.
fn tokens(n: usize) -> GrantChange {
    GrantChange {
        state: Some(GrantState::Active),
        scopes: Some(ScopeSet::parse("openid email")),
        refresh: refresh_token(&format!("1//0refresh-{n}")),
        access: access_token(&format!("ya29.access-{n}")),
        refreshed: true,
        revoke_until: None,
    }
}

fn newcomer(n: usize) -> NewConnection {
    NewConnection {
        profile: profile(n),
        grant: NewGrant { client_id: client(CLIENT), change: tokens(n) },
        redemption: None,
    }
}

/// Connects without asking who is there.
async fn connect_as(vault: &Vault, new: NewConnection) -> Result<Connected, VaultError> {
    let sub = new.profile.sub.clone();
    let connected = vault.connect(&sub, move |_| Ok::<_, std::convert::Infallible>((new, ()))).await?;
    connected.map(|(connected, ())| connected).map_err(|never| match never {})
}

fn redemption(vault: &Vault, n: usize) -> NewRedemption {
    let marks = vault.code_marks(&format!("4/0code-{n}"), Some(&format!("idempotency-{n}")), &[b"request"]);
    NewRedemption { marks, answer: Some(format!("answer {n}").into_bytes()) }
}

async fn connect(vault: &Vault, n: usize) -> Connected {
    connect_as(vault, newcomer(n)).await.expect("connects")
}

fn api_key(vault: &Vault, n: u8) -> ApiKeyRecord {
    ApiKeyRecord {
        id: format!("key{n:09}").parse().expect("an API key id"),
        name: format!("program {n}"),
        hash: vault.api_key_hash(&[n; 32]),
        actions: vec!["tokens:read".into(), "users:read".into()],
        users: UserBinding::All,
        clients: None,
        scopes: None,
        hosts: None,
        created_at: START,
        expires_at: Some(START.plus(1_000)),
        revoked_at: None,
        last_used_at: None,
    }
}

fn document(text: &str) -> StoredDocument {
    StoredDocument { body: text.into(), fetched_at: START, fresh_until: START.plus(3_600) }
}

fn signing_key(n: u8) -> SigningKeyRecord {
    SigningKeyRecord {
        kid: format!("kid-{n}"),
        private_key: zeroize::Zeroizing::new(vec![n; 138]),
        public_key: vec![n; 65],
        created_at: START.plus(n.into()),
    }
}

const PEOPLE: usize = 3;

/// At least two rows of everything; the first person has two grants.
async fn furnish(vault: &Vault) {
    let mut first = None;
    for n in 0..PEOPLE {
        let redemption = Some(redemption(vault, n));
        let connected =
            connect_as(vault, NewConnection { redemption, ..newcomer(n) }).await.expect("connects");
        first.get_or_insert(connected.user);
    }
    let user = first.expect("somebody");
    let (id, profile) = (user.id, user.profile.clone());
    let grant = NewGrant { client_id: client(OTHER_CLIENT), change: tokens(10) };
    let again = NewConnection { profile, grant, redemption: None };
    connect_as(vault, again).await.expect("the second client");
    let refused = vault.code_marks("4/0refused", None, &[b"other"]);
    vault
        .save_redemption(NewRedemption { marks: refused, answer: Some(b"no".to_vec()) })
        .await
        .expect("saved");

    let bound = ApiKeyRecord {
        users: UserBinding::Only(vec![id]),
        clients: Some(vec!["main".parse().expect("a name")]),
        scopes: Some(ScopeSet::parse("openid")),
        hosts: Some(vec!["www.googleapis.com".into()]),
        revoked_at: Some(START),
        ..api_key(vault, 2)
    };
    for key in [api_key(vault, 1), bound] {
        vault.save_api_key(&key).await.expect("saved");
    }
    vault.save_document(DocumentKind::Discovery, document("{\"issuer\":1}")).await.expect("saved");
    vault.save_document(DocumentKind::KeySet, document("{\"keys\":[]}")).await.expect("saved");
    for n in [1, 2] {
        vault.save_signing_key(&signing_key(n)).await.expect("saved");
        vault.save_connect_link(&link_secret(n.into()), connect_link(n.into())).await.expect("saved");
        vault.save_owner_session(&owner_session(vault, n.into()), vec![]).await.expect("saved");
    }
    vault.append_events(vec![event(1, Some(id)), event(2, None)]).await.expect("appended");
    vault.add_counts(vec![count(1), count(2)]).await.expect("added");
    for project in ["402839145520", "7"] {
        let mirror = vault.create_mirror(id, project, "both").await.expect("made");
        let mirror = Mirror { stage: MirrorStage::Settled, root: Some("root-id".into()), ..mirror };
        vault.save_mirror(&mirror, mirror_batch(project)).await.expect("saved");
    }
}

/// By an account, or (an even number) by a link.
fn owner_session(vault: &Vault, n: usize) -> OwnerSessionRecord {
    let secret = SecretText::new(format!("secret-of-session-{n}"));
    OwnerSessionRecord {
        id: vault.new_owner_session_id(),
        lookup: vault.owner_session_lookup(&secret),
        signed_in_by: if n % 2 == 1 { SignedInBy::Google(email(n)) } else { SignedInBy::Link },
        signed_in_at: START,
        seen_at: START,
    }
}

/// Everything an event can have in it.
fn event(n: u8, user: Option<UserId>) -> EventRecord {
    EventRecord {
        id: 0,
        at: START.plus(n.into()),
        kind: "user.connected".into(),
        severity: n,
        actor: "key".into(),
        via: Some("key".into()),
        key: Some((format!("key{n:09}").parse().expect("an API key id"), format!("program {n}"))),
        user,
        client_id: Some(client(CLIENT)),
        details: format!("{{\"created\":{n}}}"),
        personal: Some(PersonalFacts {
            from: Some([192, 0, 2, n].into()),
            name: Some(format!("owner{n}@example.org")),
            path: Some(format!("notes/{n}.txt")),
        }),
    }
}

fn count(n: u8) -> HourCount {
    HourCount { hour: i64::from(n), what: "exchanges".into(), n: n.into() }
}

fn link_secret(n: usize) -> SecretText {
    SecretText::new(format!("secret-of-link-{n}"))
}

/// For somebody known by `sub` and address, or (an even number) by address alone.
fn connect_link(n: usize) -> ConnectLinkRecord {
    ConnectLinkRecord {
        id: 0,
        person: LinkedPerson { sub: (n % 2 == 1).then(|| sub(n)), email: Some(email(n)) },
        client_id: client(CLIENT),
        scopes: (n % 2 == 1).then(|| ScopeSet::parse("openid email")),
        created_at: START,
        expires_at: START.plus(86_400),
    }
}

/// Two rows in each of a mirror's tables.
fn mirror_batch(mark: &str) -> MirrorBatch {
    let content = |n: u8| match n {
        1 => MirrorContent::Folder,
        n => MirrorContent::File { size: 5, md5: [n; 16] },
    };
    let local = LocalMark { inode: 1, size: 5, mtime_ns: 1, ctime_ns: 2, seen_ns: 3 };
    MirrorBatch {
        put_entries: [1, 2]
            .map(|n| MirrorEntry {
                path: format!("{mark}/path {n}"),
                remote: format!("id-{n}"),
                content: content(n),
                local: Some(local),
            })
            .into(),
        put_remote: [1, 2]
            .map(|n| RemoteRecord {
                id: format!("id-{n}"),
                name: format!("{mark} path {n}"),
                parent: Some("root-id".into()),
                content: Some(content(n)),
                modified_ms: 1,
                created_ms: 2,
                version: 3,
            })
            .into(),
        put_versions: [1, 2]
            .map(|n| NewMirrorVersion {
                file: format!("{mark}-file-{n}"),
                path: format!("{mark}/path {n}"),
                md5: [n; 16],
                size: 5,
                why: "replaced".into(),
                kept_at: START,
                own: n == 1,
            })
            .into(),
        ..MirrorBatch::default()
    }
}

/// Everything that can be read, by what it is; a row that refuses is its error.
type Contents = BTreeMap<String, Result<String, VaultError>>;

async fn read_all(vault: &Vault) -> Contents {
    let mut all = Contents::new();
    match vault.list_users(None, 1_000).await {
        Ok(users) => {
            for (id, user) in users {
                let words = |user: User| {
                    let profile = serde_json::to_string(&user.profile).expect("JSON");
                    format!("{:?} {profile} {} {:?}", user.id, user.session_epoch, user.created_at)
                };
                all.insert(format!("user {}", id.0), user.map(words));
            }
        }
        Err(error) => drop(all.insert("users".into(), Err(error))),
    }
    for n in 0..PEOPLE {
        let found = vault.find_user_by_sub(&sub(n)).await;
        all.insert(format!("sub {n}"), found.map(|id| format!("{id:?}")));
        let found = vault.find_users_by_email(&email(n)).await;
        all.insert(format!("email {n}"), found.map(|ids| format!("{ids:?}")));
    }
    let mut codes: Vec<_> = (0..PEOPLE).map(|n| redemption(vault, n).marks).collect();
    codes.push(vault.code_marks("4/0refused", None, &[b"other"]));
    for (n, marks) in codes.iter().enumerate() {
        let found = vault.load_redemption(marks).await;
        let words = |found: Redemption| format!("{found:?} {:?}", found.answer.as_deref());
        all.insert(format!("code {n}"), found.map(|found| found.map_or("None".into(), words)));
    }
    let ids = vault.read(|conn| {
        let mut statement = conn.prepare("SELECT id FROM grants").map_err(sql)?;
        let ids = statement.query_map([], |row| row.get::<_, i64>(0)).map_err(sql)?;
        ids.collect::<Result<Vec<_>, _>>().map_err(sql)
    });
    match ids {
        Ok(ids) => {
            for id in ids {
                all.insert(format!("grant {id}"), open_grant(vault, GrantId(id)).await);
            }
        }
        Err(error) => drop(all.insert("grants".into(), Err(error))),
    }
    match vault.load_api_keys().await {
        Ok(keys) => {
            for (n, key) in keys.into_iter().enumerate() {
                let name = key.as_ref().map_or_else(|_| format!("at {n}"), |key| key.id.to_string());
                // The last use is a hint and may say anything.
                let words = |key| format!("{:?}", ApiKeyRecord { last_used_at: None, ..key });
                all.insert(format!("API key {name}"), key.map(words));
            }
        }
        Err(error) => drop(all.insert("API keys".into(), Err(error))),
    }
    for n in [1, 2] {
        let found = vault.load_connect_link(&link_secret(n)).await;
        let words = |link: ConnectLinkRecord| {
            format!("{link:?} {}", serde_json::to_string(&link.person).expect("JSON"))
        };
        all.insert(format!("link {n}"), found.map(|found| found.map_or("None".into(), words)));
    }
    match vault.load_owner_sessions().await {
        Ok(sessions) => {
            for (n, session) in sessions.into_iter().enumerate() {
                let name = session.as_ref().map_or_else(|_| format!("at {n}"), |own| own.id.to_string());
                let by = |own: &OwnerSessionRecord| serde_json::to_string(&own.signed_in_by).expect("JSON");
                let words = |own: OwnerSessionRecord| format!("{own:?} {}", by(&own));
                all.insert(format!("session {name}"), session.map(words));
            }
        }
        Err(error) => drop(all.insert("sessions".into(), Err(error))),
    }
    for kind in [DocumentKind::Discovery, DocumentKind::KeySet] {
        let found = vault.load_document(kind).await;
        all.insert(format!("document {kind:?}"), found.map(|found| format!("{found:?}")));
    }
    match vault.load_signing_keys().await {
        Ok(keys) => {
            for key in keys {
                let words = format!("{:?} {:?} {:?}", *key.private_key, key.public_key, key.created_at);
                all.insert(format!("signing key {}", key.kid), Ok(words));
            }
        }
        Err(error) => drop(all.insert("signing keys".into(), Err(error))),
    }
    read_mirrors(vault, &mut all).await;
    read_events(vault, &mut all).await;
    all
}

/// Every event and every count.
async fn read_events(vault: &Vault, all: &mut Contents) {
    let query = EventQuery::default();
    match vault.find_events(&query, i64::MIN, i64::MAX, Order::OldestFirst, 1_000).await {
        Ok(found) => {
            for (n, event) in found.events.into_iter().enumerate() {
                let name = event
                    .as_ref()
                    .map_or_else(|_| format!("event at {n}"), |event| format!("event {}", event.id));
                let words = |event: EventRecord| {
                    format!("{event:?} {}", serde_json::to_string(&event.personal).expect("JSON"))
                };
                all.insert(name, event.map(words));
            }
        }
        Err(error) => drop(all.insert("events".into(), Err(error))),
    }
    match vault.load_counts(i64::MIN, i64::MAX).await {
        Ok(counts) => {
            for (n, count) in counts.into_iter().enumerate() {
                let name = count
                    .as_ref()
                    .map_or_else(|_| format!("count at {n}"), |count| format!("count {}", count.hour));
                all.insert(name, count.map(|count| format!("{count:?}")));
            }
        }
        Err(error) => drop(all.insert("counts".into(), Err(error))),
    }
}

/// Every mirror by what its row now says it is of, and the rows of whatever mirror they say is theirs.
async fn read_mirrors(vault: &Vault, all: &mut Contents) {
    let of = |statement: &'static str| {
        vault.read(|conn| {
            let mut statement = conn.prepare(statement).map_err(sql)?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(sql)?;
            rows.collect::<Result<Vec<(i64, String)>, _>>().map_err(sql)
        })
    };
    match of("SELECT user_id, project FROM mirrors") {
        Err(error) => drop(all.insert("mirrors".into(), Err(error))),
        Ok(mirrors) => {
            for (user, project) in mirrors {
                let found = vault.load_mirror(crate::ids::UserId(user), &project).await;
                let name = match &found {
                    Ok(_) => format!("mirror {project}"),
                    Err(_) => format!("mirror at {project}"),
                };
                all.insert(name, found.map(|mirror| format!("{mirror:?}")));
            }
        }
    }
    for table in ["mirror_entries", "mirror_remote", "mirror_versions"] {
        let ids = vault.read(|conn| {
            let mut statement =
                conn.prepare(&format!("SELECT DISTINCT mirror_id FROM {table}")).map_err(sql)?;
            let ids = statement.query_map([], |row| row.get(0)).map_err(sql)?;
            ids.collect::<Result<Vec<i64>, _>>().map_err(sql)
        });
        for id in ids.unwrap_or_default() {
            let mirror = crate::ids::MirrorId(id);
            let rows = match table {
                "mirror_entries" => vault.load_mirror_entries(mirror).await.map(|rows| {
                    rows.iter().map(|row| (row.path.clone(), format!("{row:?} {:?}", row.local))).collect()
                }),
                "mirror_remote" => vault.load_mirror_remote(mirror).await.map(|rows| {
                    rows.iter().map(|row| (row.name.clone(), format!("{row:?} {:?}", row.parent))).collect()
                }),
                _ => vault.load_mirror_versions(mirror).await.map(|rows| {
                    let words = |row: &MirrorVersion| format!("{row:?} {} {}", row.kept.path, row.kept.own);
                    rows.iter().map(|row| (row.kept.file.clone(), words(row))).collect::<Vec<_>>()
                }),
            };
            match rows {
                Ok(rows) => {
                    all.extend(rows.into_iter().map(|(name, words)| (format!("{table} {name}"), Ok(words))));
                }
                Err(error) => drop(all.insert(format!("{table} of {id}"), Err(error))),
            }
        }
    }
}

/// Whether a value says that something is not there (any more): what deleting a row by SQL, or a bit
/// that hides one, can bring about.
fn is_absence(what: &str, value: &str) -> bool {
    value == "None" || value == "[]" || (what.starts_with("code ") && value.ends_with(" None"))
}

/// A grant with its tokens in clear.
async fn open_grant(vault: &Vault, id: GrantId) -> Result<String, VaultError> {
    let Some(grant) = vault.load_grant(id).await? else { return Ok("None".into()) };
    let refresh = vault.open_refresh_token(&grant)?.map(|token| token.expose().to_owned());
    let access = vault.open_access_token(&grant)?.map(|token| token.expose().to_owned());
    Ok(format!(
        "{:?} {} {} {} since {:?}, generation {}, {refresh:?} until {:?}, {access:?} until {:?}, {:?} {:?} {:?}",
        grant.user,
        grant.client_id,
        grant.scopes,
        grant.state,
        grant.since,
        grant.token_generation,
        grant.refresh_expires_at,
        grant.access_expires_at,
        grant.connected_at,
        grant.refreshed_at,
        grant.revoke_until,
    ))
}

/// Stops the writer's thread inside a write until the sender is dropped or used.
async fn hold(vault: &Vault) -> Sender<()> {
    let (release, released) = channel::<()>();
    let (entered, entry) = tokio::sync::oneshot::channel();
    let held = vault.clone();
    let write = async move {
        held.write(move |_| {
            let _ = entered.send(());
            let _ = released.recv();
            Ok(())
        })
        .await
    };
    // Once polled, the write is queued, and goes on without its caller.
    assert!(poll_immediate(Box::pin(write)).await.is_none());
    entry.await.expect("the writer is in it");
    release
}

/// Every file below a directory with its bytes.
fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = std::fs::read_dir(directory).expect("a directory");
    entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_file())
        .map(|path| (path.clone(), std::fs::read(&path).expect("readable")))
        .collect()
}
