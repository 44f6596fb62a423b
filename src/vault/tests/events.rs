//! Events: in the order of their commits, found by what they are about, emptied with their person.

use super::*;

async fn find(vault: &Vault, query: EventQuery, order: Order) -> Vec<i64> {
    let (mut all, mut rest) = (Vec::new(), Some(if order == Order::OldestFirst { 0 } else { i64::MAX }));
    while let Some(edge) = rest {
        let (after, before) = if order == Order::OldestFirst { (edge, i64::MAX) } else { (0, edge) };
        let found = vault.find_events(&query, after, before, order, 2).await.expect("readable");
        all.extend(found.events.into_iter().map(|event| event.expect("sound").id));
        rest = found.rest;
    }
    all
}

fn everything() -> EventQuery {
    EventQuery::default()
}

#[tokio::test]
async fn an_event_is_read_as_it_was_written() {
    let home = Home::new(150);
    let vault = home.open();
    let person = connect(&vault, 1).await.user.id;
    assert_eq!(vault.newest_event().await, Ok(0));
    let bare =
        EventRecord { via: None, key: None, user: None, client_id: None, personal: None, ..event(0, None) };
    let events = vec![event(1, Some(person)), bare.clone(), event(2, None)];
    assert_eq!(vault.append_events(events).await, Ok(3));
    assert_eq!(vault.append_events(Vec::new()).await, Ok(0));
    let found =
        vault.find_events(&everything(), 0, i64::MAX, Order::OldestFirst, 10).await.expect("readable");
    let found: Vec<_> = found.events.into_iter().map(|event| event.expect("sound")).collect();
    let expected = [
        EventRecord { id: 1, ..event(1, Some(person)) },
        EventRecord { id: 2, ..bare },
        EventRecord { id: 3, ..event(2, None) },
    ];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn ids_grow_in_the_order_of_commits_and_are_never_given_again() {
    let home = Home::new(151);
    let vault = home.open();
    let release = hold(&vault).await;
    let writes = (0..100).map(|n| vault.append_events(vec![event(n, None), event(n, None)]));
    let mut writes = Box::pin(futures_util::future::join_all(writes));
    assert!(poll_immediate(writes.as_mut()).await.is_none());
    drop(release);
    let ids: Vec<_> = writes.await.into_iter().map(|id| id.expect("appended")).collect();
    assert_eq!(ids, (1..=100).map(|n| 2 * n).collect::<Vec<_>>());
    assert_eq!(find(&vault, everything(), Order::NewestFirst).await, (1..=200).rev().collect::<Vec<_>>());

    // Everything goes, and the next one still comes behind.
    assert_eq!(vault.purge_events(START.plus(1_000), i64::MAX, 1_000).await, Ok(200));
    assert_eq!(vault.newest_event().await, Ok(200));
    vault.close().await;
    drop(vault);
    let vault = home.open();
    assert_eq!(vault.append_events(vec![event(1, None)]).await, Ok(201));
}

#[tokio::test]
async fn events_are_found_by_what_they_are_about() {
    let home = Home::new(152);
    let vault = home.open();
    let (one, other) = (connect(&vault, 1).await.user.id, connect(&vault, 2).await.user.id);
    let kind = |kind: &str, event: EventRecord| EventRecord { kind: kind.into(), ..event };
    let events = vec![
        kind("grant.died", event(2, Some(one))),
        kind("grant.revived", EventRecord { client_id: Some(client(OTHER_CLIENT)), ..event(0, Some(other)) }),
        kind("grantor.x", EventRecord { actor: "locum".into(), client_id: None, ..event(1, None) }),
        kind("user.connected", event(0, Some(one))),
    ];
    vault.append_events(events).await.expect("appended");
    let kind = |kind: &str| EventQuery { kind: Some(kind.into()), ..everything() };
    let only = |users: &[UserId]| EventQuery { only_users: Some(users.to_vec()), ..everything() };
    let clients = |clients: &[&str]| EventQuery {
        only_clients: Some(clients.iter().map(|id| client(id)).collect()),
        ..everything()
    };
    for (query, expected) in [
        (everything(), vec![1, 2, 3, 4]),
        (kind("grant"), vec![1, 2]),
        (kind("grant.died"), vec![1]),
        (kind("grant."), vec![]),
        (kind("%"), vec![]),
        (EventQuery { user: Some(one), ..everything() }, vec![1, 4]),
        (EventQuery { user: Some(one), ..kind("user") }, vec![4]),
        (only(&[other, UserId(7)]), vec![2]),
        (only(&[one, other]), vec![1, 2, 4]),
        (only(&[]), vec![]),
        (EventQuery { user: Some(one), ..only(&[other]) }, vec![]),
        (clients(&[OTHER_CLIENT]), vec![2]),
        (clients(&[CLIENT, OTHER_CLIENT]), vec![1, 2, 4]),
        (EventQuery { actor: Some("locum"), ..everything() }, vec![3]),
        (EventQuery { severity: 1, ..everything() }, vec![1, 3]),
    ] {
        assert_eq!(find(&vault, query.clone(), Order::OldestFirst).await, expected, "{query:?}");
        let reversed: Vec<_> = expected.into_iter().rev().collect();
        assert_eq!(find(&vault, query.clone(), Order::NewestFirst).await, reversed, "{query:?}");
    }
}

#[tokio::test]
async fn a_narrow_question_looks_at_a_stretch_at_a_time() {
    let home = Home::new(153);
    let vault = home.open();
    let mut events: Vec<_> = (0..20_000).map(|_| EventRecord { personal: None, ..event(0, None) }).collect();
    for n in [0, 9_000, 19_999] {
        events[n].kind = "grant.died".into();
    }
    vault.append_events(events).await.expect("appended");
    let query = EventQuery { kind: Some("grant.died".into()), ..everything() };
    let first = vault.find_events(&query, 0, i64::MAX, Order::OldestFirst, 10).await.expect("readable");
    assert_eq!((first.events.len(), first.rest), (1, Some(8_192)));
    assert_eq!(find(&vault, query.clone(), Order::OldestFirst).await, [1, 9_001, 20_000]);
    assert_eq!(find(&vault, query, Order::NewestFirst).await, [20_000, 9_001, 1]);
}

#[tokio::test]
async fn old_events_go_and_so_do_too_many() {
    let home = Home::new(154);
    let vault = home.open();
    // In the order of time but for one: the clock was wrong.
    let at = [0, 10, 1_000, 20, 30];
    let events = at.map(|seconds| EventRecord { at: START.plus(seconds), ..event(0, None) });
    vault.append_events(events.into()).await.expect("appended");
    assert_eq!(vault.purge_events(START, 10, 100).await, Ok(0));
    assert_eq!(vault.purge_events(START.plus(21), 10, 2).await, Ok(2), "a batch at a time");
    assert_eq!(vault.purge_events(START.plus(21), 10, 2).await, Ok(1));
    assert_eq!(find(&vault, everything(), Order::OldestFirst).await, [3, 5]);
    assert_eq!(vault.purge_events(START, 1, 100).await, Ok(1));
    assert_eq!(find(&vault, everything(), Order::OldestFirst).await, [5]);
}

/// Deletes the person's only grant, with an event about it.
async fn forget(vault: &Vault, person: &Connected) {
    let change = GrantChange { state: Some(GrantState::Revoking), ..GrantChange::default() };
    vault.update_grant(&person.grant, change).await.expect("revoking");
    let told = EventRecord { kind: "user.forgotten".into(), ..event(1, Some(person.user.id)) };
    assert_eq!(vault.delete_grant(person.grant.id, Some(told)).await, Ok(true));
}

#[tokio::test]
async fn with_a_person_goes_what_is_personal_in_their_events() {
    let home = Home::new(155);
    let vault = home.open();
    let (one, other) = (connect(&vault, 1).await, connect(&vault, 2).await);
    let about = [Some(one.user.id), Some(other.user.id), Some(one.user.id), None];
    vault.append_events(about.map(|user| event(1, user)).into()).await.expect("appended");
    // One is damaged before.
    home.stranger().execute("UPDATE events SET actor = 'owner' WHERE id = 3", []).expect("edited");
    forget(&vault, &one).await;
    // What comes to be written after the person is gone.
    vault.append_events(vec![event(1, Some(one.user.id))]).await.expect("appended");

    let found =
        vault.find_events(&everything(), 0, i64::MAX, Order::OldestFirst, 10).await.expect("readable");
    let personal: Vec<_> =
        found.events.iter().map(|event| event.as_ref().map(|event| event.personal.is_some())).collect();
    let damaged = VaultError::damaged("events", 3);
    assert_eq!(
        personal,
        [Ok(false), Ok(true), Err(&damaged), Ok(true), Ok(false), Ok(false)],
        "the one about the forgetting is the fifth"
    );
    let left: i64 = home
        .stranger()
        .query_row("SELECT count(*) FROM events WHERE personal IS NOT NULL", [], |row| row.get(0))
        .expect("a count");
    assert_eq!(left, 2, "the damaged one's is gone, too");
    assert_eq!(found.events[4].as_ref().map(|event| &*event.kind), Ok("user.forgotten"));
}

#[tokio::test]
async fn what_cannot_be_deleted_is_not_told() {
    let home = Home::new(156);
    let vault = home.open();
    let person = connect(&vault, 1).await;
    let told = Some(event(1, Some(person.user.id)));
    assert_eq!(vault.delete_grant(person.grant.id, told).await, Err(VaultError::Conflict));
    assert_eq!(vault.newest_event().await, Ok(0));
}
