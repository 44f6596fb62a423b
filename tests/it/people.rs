//! People by search and order: the directory in memory against a scan of everything.

use std::cmp::Ordering;

use locum::clock::Timestamp;
use locum::grant::{BlockCause, ConsentCause, DeathCause, GrantState, StateCounts};
use locum::ids::{OAuthClientId, UserId};
use locum::rng::Rng;
use locum::scopes::ScopeSet;
use locum::secret::{AccessToken, RefreshToken};
use locum::tokens::Reach;
use locum::users::{PeoplePage, PeopleQuery, PeopleSort, UserFilter, UserView, UsersError};
use locum::vault::{
    AccessChange, FoundGrants, Grant, GrantChange, NewConnection, NewGrant, Profile, RefreshChange,
};

use crate::harness::{TestLocum, client};

const NAMES: [&str; 9] = [
    "Alice Example",
    "alice",
    "Bob",
    "Zoë Straße",
    "ZOE\u{308} STRASSE",
    "ליאת דוגמה",
    "\u{202e}ecila",
    "Ὀδυσσεύς",
    "",
];
const STATES: [GrantState; 5] = [
    GrantState::Active,
    GrantState::Dead(DeathCause::ExpiredOrRevoked),
    GrantState::NeedsConsent(ConsentCause::ReauthRequired),
    GrantState::Blocked(BlockCause::AdminPolicy),
    GrantState::Revoking,
];
const SORTS: [PeopleSort; 6] = [
    PeopleSort::Email,
    PeopleSort::Name,
    PeopleSort::ConnectedAt,
    PeopleSort::RefreshedAt,
    PeopleSort::State,
    PeopleSort::CreatedAt,
];

fn profile(n: u64, name: &str) -> Profile {
    Profile {
        sub: format!("1{n:0>20}").parse().expect("a sub"),
        email: (!n.is_multiple_of(7)).then(|| format!("person{n}@example.org").parse().expect("an address")),
        email_verified: n.is_multiple_of(2),
        name: (!name.is_empty()).then(|| name.to_owned()),
        given_name: None,
        family_name: None,
        picture: None,
        locale: None,
        hd: None,
        admitted_by: "anyone".to_owned(),
    }
}

async fn connect(locum: &TestLocum, profile: Profile, client_id: &OAuthClientId) -> UserId {
    let vault = &locum.state.vault;
    let now = locum.clock.now();
    let change = GrantChange {
        state: Some(GrantState::Active),
        scopes: Some(ScopeSet::parse("openid")),
        refresh: RefreshChange::Replace { token: RefreshToken::new("1//people-test"), expires_at: None },
        access: AccessChange::Replace { token: AccessToken::new("ya29.people"), expires_at: now.plus(3600) },
        ..GrantChange::default()
    };
    let grant = NewGrant { client_id: client_id.clone(), change };
    let sub = profile.sub.clone();
    let connection = NewConnection { profile, grant, redemption: None };
    let connected = vault.connect(&sub, |_| Ok::<_, ()>((connection, ()))).await.expect("the vault");
    connected.expect("connected").0.user.id
}

async fn grants(locum: &TestLocum, user: UserId) -> Vec<Grant> {
    locum.state.vault.load_grants_of(user).await.and_then(FoundGrants::whole).expect("the vault")
}

async fn everybody(locum: &TestLocum) -> Vec<(UserView, UserId)> {
    let users = &locum.state.users;
    let page = users.list(None, 500, &UserFilter::default(), &Reach::EVERYTHING).await.expect("a page");
    let mut all = Vec::new();
    for view in page.users {
        let id = locum.state.vault.find_user_by_sub(&view.id).await.expect("the vault").expect("listed");
        all.push((view, id));
    }
    all
}

/// A slow and simple fold that needs to be right for [`NAMES`] only.
fn plain(text: &str) -> String {
    text.to_lowercase().replace('ß', "ss").replace("e\u{308}", "\u{eb}").replace('ς', "σ")
}

/// What the page should be, by looking at everybody.
fn naive(all: &[(UserView, UserId)], query: &PeopleQuery) -> (Vec<String>, u64, StateCounts) {
    let text = plain(query.text.trim());
    let counted = |view: &UserView| -> Vec<_> {
        let of = |name: &Option<_>| query.client.is_none() || *name == query.client;
        view.grants.iter().filter(|grant| of(&grant.client)).cloned().collect()
    };
    let mut states = StateCounts::default();
    let mut matching = Vec::new();
    for (view, id) in all {
        let grants = counted(view);
        let email = view.email.as_ref().map(|email| plain(email.as_str()));
        let name = view.name.as_deref().map(plain);
        let holds = |field: &Option<String>| field.as_ref().is_some_and(|field| field.contains(&text));
        let by_text = text.is_empty() || holds(&email) || holds(&name) || view.id.as_str() == text;
        if (grants.is_empty() && query.client.is_some()) || !by_text {
            continue;
        }
        for (place, state) in GrantState::CODES.into_iter().enumerate() {
            if grants.iter().any(|grant| grant.state == state) {
                let number = [
                    &mut states.active,
                    &mut states.needs_consent,
                    &mut states.dead,
                    &mut states.blocked,
                    &mut states.suspended,
                    &mut states.revoking,
                ];
                *number.into_iter().nth(place).expect("six states") += 1;
            }
        }
        if query.state.as_ref().is_none_or(|state| grants.iter().any(|grant| grant.state == *state)) {
            matching.push((view, id, email, name, grants));
        }
    }
    let none_last = |a: Option<String>, b: Option<String>| match (a, b) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(a), Some(b)) => a.cmp(&b),
    };
    matching.sort_by(|a, b| {
        let latest = |of: fn(&locum::users::GrantView) -> Timestamp, grants: &[locum::users::GrantView]| {
            grants.iter().map(of).max().map(|time| format!("{:020}", time.unix()))
        };
        let worst = |grants: &[locum::users::GrantView]| {
            let place =
                |state: &str| GrantState::CODES.iter().position(|code| *code == state).expect("a state");
            grants.iter().map(|grant| place(&grant.state)).max().map(|place| place.to_string())
        };
        let key = |(view, _, email, name, grants): &(
            &UserView,
            &UserId,
            Option<String>,
            Option<String>,
            Vec<locum::users::GrantView>,
        )| match query.sort {
            PeopleSort::Email => email.clone(),
            PeopleSort::Name => name.clone(),
            PeopleSort::ConnectedAt => latest(|grant| grant.connected_at, grants),
            PeopleSort::RefreshedAt => latest(|grant| grant.refreshed_at, grants),
            PeopleSort::State => worst(grants),
            PeopleSort::CreatedAt => Some(format!("{:020}", view.created_at.unix())),
        };
        let order = none_last(key(a), key(b))
            .then_with(|| none_last(a.2.clone(), b.2.clone()))
            .then_with(|| a.1.cmp(b.1));
        if query.descending { order.reverse() } else { order }
    });
    let total = matching.len() as u64;
    let page = matching.iter().skip(query.offset).take(query.limit).map(|found| found.0.id.to_string());
    (page.collect(), total, states)
}

fn pick<'a, T>(rng: &Rng, from: &'a [T]) -> &'a T {
    &from[usize::try_from(rng.below(from.len() as u64)).expect("small")]
}

fn some_query(rng: &Rng) -> PeopleQuery {
    let texts =
        ["", "", "ALICE", " alice ", "person1", "straSSE", "zoë", "ליאת", "\u{202e}", "σσευσ", "zzz", "@"];
    let sub = format!("1{:0>20}", rng.below(25));
    let text = if rng.below(6) == 0 { sub } else { (*pick(rng, &texts)).to_owned() };
    let any_state = ["active", "dead", "blocked", "revoking", "needs_consent", "suspended"];
    PeopleQuery {
        text,
        state: (rng.below(3) == 0).then(|| (*pick(rng, &any_state)).to_owned()),
        client: (rng.below(3) == 0).then(|| client("main")),
        sort: *pick(rng, &SORTS),
        descending: rng.below(2) == 0,
        offset: usize::try_from(rng.below(6)).expect("small"),
        limit: usize::try_from(1 + rng.below(12)).expect("small"),
    }
}

fn shown(page: &PeoplePage) -> Vec<String> {
    page.people.iter().map(|person| person.id.to_string()).collect()
}

#[tokio::test]
async fn the_directory_says_what_a_scan_says_after_any_changes() {
    for seed in 1..=4 {
        let locum = TestLocum::start().await;
        let rng = Rng::seeded(seed);
        let gone: OAuthClientId = "777-gone.apps.googleusercontent.com".parse().expect("an id");
        let clients = [locum.seeded.web.client_id.clone(), gone];
        for step in 0..60 {
            locum.clock.advance(std::time::Duration::from_secs(rng.below(3)));
            let n = rng.below(25);
            let sub = format!("1{n:0>20}").parse().expect("a sub");
            let known = locum.state.vault.find_user_by_sub(&sub).await.expect("the vault");
            match (known, rng.below(5)) {
                (Some(user), 0 | 1) => {
                    let grants = grants(&locum, user).await;
                    let change = GrantChange {
                        state: Some(*pick(&rng, &STATES)),
                        refreshed: rng.below(2) == 0,
                        ..GrantChange::default()
                    };
                    locum.state.vault.update_grant(pick(&rng, &grants), change).await.expect("changed");
                }
                (Some(user), 2) => {
                    for grant in grants(&locum, user).await {
                        let change =
                            GrantChange { state: Some(GrantState::Revoking), ..GrantChange::default() };
                        let revoking = locum.state.vault.update_grant(&grant, change).await.expect("changed");
                        locum.state.vault.delete_grant(revoking.id, None).await.expect("deleted");
                    }
                }
                _ => {
                    connect(&locum, profile(n, pick::<&str>(&rng, &NAMES)), pick(&rng, &clients)).await;
                }
            }
            if rng.below(20) == 0 {
                locum.clock.advance(std::time::Duration::from_secs(601));
                locum.state.users.forget_idle_directory();
            }
            if rng.below(2) == 0 {
                continue;
            }
            let query = some_query(&rng);
            let all = everybody(&locum).await;
            let page = locum.state.users.people(query.clone()).await.expect("a page");
            let expected = naive(&all, &query);
            let told = (shown(&page), page.total, page.states);
            assert_eq!(told, expected, "seed {seed}, step {step}, {query:?}");
            assert_eq!((page.all, page.damaged), (all.len() as u64, 0), "seed {seed}, step {step}");
        }
    }
}

#[tokio::test]
async fn nothing_is_kept_when_nobody_looks() {
    let locum = TestLocum::start().await;
    let users = &locum.state.users;
    connect(&locum, profile(1, "Alice"), &locum.seeded.web.client_id).await;
    assert!(!users.forget_idle_directory(), "nobody has looked yet");
    assert_eq!(locum.state.vault.take_changed_people(), None, "so nothing is noted");
    let query = PeopleQuery { limit: 10, ..PeopleQuery::default() };
    users.people(query.clone()).await.expect("a page");
    locum.clock.advance(std::time::Duration::from_secs(599));
    assert!(users.forget_idle_directory());
    locum.clock.advance(std::time::Duration::from_secs(1));
    assert!(!users.forget_idle_directory());
    assert_eq!(locum.state.vault.take_changed_people(), None);
    // A clock that was put back does not keep it either.
    users.people(query).await.expect("a page");
    locum.clock.set(Timestamp::from_unix(1_000_000_000));
    assert!(!users.forget_idle_directory());
}

#[tokio::test]
async fn whoever_cannot_be_read_is_counted_and_the_others_are_found() {
    let locum = TestLocum::start().await;
    let id = &locum.seeded.web.client_id;
    let one = connect(&locum, profile(1, "Alice"), id).await;
    let other = connect(&locum, profile(2, "Alice"), id).await;
    connect(&locum, profile(3, "Alice"), id).await;
    let raw = rusqlite::Connection::open(locum.state.vault.path()).expect("the file");
    raw.execute("UPDATE users SET session_epoch = 7 WHERE id = ?", [one.0]).expect("altered");
    raw.execute("UPDATE grants SET state = 'dead', cause = 'rejected' WHERE user_id = ?", [other.0])
        .expect("altered");
    let query = PeopleQuery { text: "alice".to_owned(), limit: 10, ..PeopleQuery::default() };
    let page = locum.state.users.people(query.clone()).await.expect("a page");
    assert_eq!((page.total, page.all, page.damaged), (1, 3, 2));
    assert_eq!(shown(&page), [profile(3, "").sub.to_string()]);
    // Put right again, it is seen at the next change of that person, as everything is.
    raw.execute("UPDATE users SET session_epoch = 0 WHERE id = ?", [one.0]).expect("put right");
    connect(&locum, profile(1, "Alice Again"), id).await;
    let page = locum.state.users.people(query).await.expect("a page");
    assert_eq!((page.total, page.all, page.damaged), (2, 3, 1));
}

#[tokio::test]
async fn a_client_that_is_not_configured_is_unknown() {
    let locum = TestLocum::start().await;
    let query = PeopleQuery { client: Some(client("other")), limit: 1, ..PeopleQuery::default() };
    let refused = locum.state.users.people(query).await.expect_err("refused");
    assert_eq!(refused, UsersError::UnknownClient);
}

/// Prints how long searches take. `LOCUM_TEST_PEOPLE` says among how many people.
#[tokio::test]
#[ignore = "measures, and asserts no time"]
async fn searching_among_many_people() {
    #[expect(clippy::disallowed_methods, reason = "a switch for whoever runs this by hand")]
    let people = std::env::var("LOCUM_TEST_PEOPLE");
    let people: u64 = people.ok().and_then(|text| text.parse().ok()).unwrap_or(10_000);
    let locum = TestLocum::start().await;
    let client_id = locum.seeded.web.client_id.clone();
    let all: Vec<u64> = (0..people).collect();
    for chunk in all.chunks(200) {
        let connections = chunk.iter().map(|n| {
            let name = format!("{} {n}", NAMES[usize::try_from(n % 8).expect("small")]);
            connect(&locum, profile(*n, &name), &client_id)
        });
        futures_util::future::join_all(connections).await;
    }
    let watch = locum::clock::Clock::system();
    for (what, query) in [
        ("the first question, everybody is read", PeopleQuery { limit: 50, ..PeopleQuery::default() }),
        ("the first page", PeopleQuery { limit: 50, ..PeopleQuery::default() }),
        ("a part of a name", PeopleQuery { text: "strasse".into(), limit: 50, ..PeopleQuery::default() }),
        ("a part of an address", PeopleQuery { text: "9@ex".into(), limit: 50, ..PeopleQuery::default() }),
        ("nobody", PeopleQuery { text: "nobody at all".into(), limit: 50, ..PeopleQuery::default() }),
        (
            "the last page of 200 by name",
            PeopleQuery {
                sort: PeopleSort::Name,
                descending: true,
                offset: usize::try_from(people).expect("small").saturating_sub(200),
                limit: 200,
                ..PeopleQuery::default()
            },
        ),
    ] {
        let stopwatch = watch.stopwatch();
        let page = locum.state.users.people(query).await.expect("a page");
        eprintln!("{people} people, {what}: {:?}, {} found", stopwatch.elapsed(), page.total);
    }
}
