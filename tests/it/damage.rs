//! A grant whose row was altered behind locum's back: nothing in it counts, and nothing beside it suffers.

use std::time::Duration;

use locum::events::Actor;
use locum::ids::UserRef;
use locum::tokens::{Reach, ResolveError, TokenError, TokenRequest};
use locum::users::{Checked, Revoke, UserFilter, UsersError};
use locum::vault::VaultError;

use crate::forget::{connect_to, two_clients, with_clients};
use crate::harness::{TestLocum, client};

/// A locum in whose vault the grants with these clients were altered behind its back.
async fn with_damaged(locum: TestLocum, clients: &[&str]) -> TestLocum {
    locum.state.vault.close().await;
    let file = rusqlite::Connection::open(locum.state.vault.path()).expect("the file");
    for name in clients {
        let id = locum.state.config.client(&client(name)).expect("configured").client_id.clone();
        let edit = "UPDATE grants SET scopes = scopes || ' more' WHERE client_id = ?";
        assert_eq!(file.execute(edit, [id.as_str()]), Ok(1), "{name}");
    }
    drop(file);
    locum.restart().await
}

#[actix_web::test]
async fn damage_is_found_by_the_daily_look_at_everybody() {
    let locum = TestLocum::start().await;
    assert_eq!(locum.state.users.checked(), Checked::default());
    let user = locum.connect(locum.alice()).await;
    locum.state.users.check_step().await.expect("readable");
    let first = Checked { at: Some(locum.clock.now()), damaged: 0 };
    assert_eq!(locum.state.users.checked(), first);
    locum.clock.advance(Duration::from_secs(86_399));
    locum.state.users.check_step().await.expect("readable");
    assert_eq!(locum.state.users.checked(), first, "once a day will do");

    let locum = with_damaged(locum, &["main"]).await;
    let users = &locum.state.users;
    users.check_step().await.expect("readable");
    let found = Checked { at: Some(locum.clock.now()), damaged: 1 };
    assert_eq!(users.checked(), found);
    users.forget(user, None, Revoke::Auto, &Actor::locum()).await.expect("forgotten");
    assert_eq!(users.checked(), Checked { damaged: 0, ..found });
}

#[actix_web::test]
async fn a_sound_grant_gives_tokens_to_whoever_names_its_client() {
    let locum = two_clients().await;
    let user = connect_to(&locum, "main").await;
    connect_to(&locum, "second").await;
    let locum = with_damaged(locum, &["second"]).await;
    let damaged = |outcome| matches!(outcome, Err(TokenError::Vault(VaultError::Damaged { .. })));
    // From the vault, by either road to the person, and from memory.
    let name = UserRef::Sub(locum.alice().sub.clone());
    let person = locum.state.tokens.resolve(&name).await.expect("still found");
    assert_eq!(person.id, user);
    let (main, reach) = (client("main"), Reach::EVERYTHING);
    let request = TokenRequest {
        person,
        client: Some(&main),
        scopes: None,
        min_ttl: None,
        rejected: None,
        reach: &reach,
    };
    let token = locum.state.tokens.token(request).await.expect("sound").access_token;
    for _ in 0..2 {
        assert_eq!(locum.token_of(user, "main").await.expect("sound").access_token, token);
        assert!(damaged(locum.token_of(user, "second").await), "which client's it was nobody can tell");
        assert!(damaged(locum.token(user).await), "it may be the one that is meant");
    }
    // Another one from Google, too.
    locum.clock.advance(Duration::from_secs(3600));
    assert_ne!(locum.token_of(user, "main").await.expect("refreshed").access_token, token);
    let again = locum.state.tokens.refresh_now(user, Some(&main), &reach).await;
    assert!(again.is_ok(), "{again:?}");
}

#[actix_web::test]
async fn a_person_whose_only_grant_is_damaged_can_be_forgotten() {
    let locum = TestLocum::start().await;
    let user = locum.connect(locum.alice()).await;
    let locum = with_damaged(locum, &["main"]).await;
    let name = UserRef::Sub(locum.alice().sub.clone());
    assert_eq!(locum.state.tokens.resolve(&name).await.expect("still found").id, user);
    let refused = locum.token(user).await.expect_err("damaged");
    assert!(matches!(refused, TokenError::Vault(VaultError::Damaged { .. })), "{refused:?}");
    let users = &locum.state.users;
    let shown = users.show(user, &Reach::EVERYTHING).await.expect("can be told");
    assert_eq!((shown.damaged, shown.grants.len()), (1, 0));
    let page = users.list(None, 10, &UserFilter::default(), &Reach::EVERYTHING).await.expect("a page");
    assert_eq!((page.damaged, page.users.len(), page.users[0].damaged), (1, 1, 1));
    let preview = users.preview_forget(user, None, Revoke::Auto).await.expect("known");
    assert_eq!((preview.would_delete_damaged, preview.would_revoke), (1, false));
    // Which client it was for nobody can tell.
    let named = users.forget(user, Some(&client("main")), Revoke::Auto, &Actor::locum()).await;
    let refused = named.expect_err("not by its client");
    assert!(matches!(refused, UsersError::Vault(VaultError::Damaged { .. })), "{refused:?}");

    let done = users.forget(user, None, Revoke::Auto, &Actor::locum()).await.expect("forgotten");
    assert_eq!((done.damaged, done.forgotten, done.revoked, done.pending), (1, vec![], false, false));
    assert_eq!(locum.state.vault.count_users().await, Ok(0));
    assert_eq!(locum.state.tokens.resolve(&name).await.expect_err("gone"), ResolveError::NotFound);
    // And may come again.
    locum.connect(locum.alice()).await;
    assert_eq!(locum.state.vault.count_users().await, Ok(1));
}

#[actix_web::test]
async fn beside_a_damaged_grant_the_sound_one_is_revoked_and_forgotten() {
    let locum = two_clients().await;
    let user = connect_to(&locum, "main").await;
    connect_to(&locum, "second").await;
    let locum = with_damaged(locum, &["second"]).await;
    let done = locum.state.users.forget(user, None, Revoke::Auto, &Actor::locum()).await.expect("forgotten");
    assert_eq!((done.damaged, done.forgotten, done.revoked), (1, vec!["main".to_owned()], true));
    assert_eq!(locum.state.vault.count_users().await, Ok(0));
}

#[actix_web::test]
async fn a_grant_beside_a_damaged_one_is_forgotten_by_its_client() {
    let locum = two_clients().await;
    let user = connect_to(&locum, "main").await;
    connect_to(&locum, "second").await;
    let locum = with_damaged(locum, &["second"]).await;
    let users = &locum.state.users;
    let done =
        users.forget(user, Some(&client("main")), Revoke::No, &Actor::locum()).await.expect("forgotten");
    assert_eq!((done.damaged, done.forgotten), (0, vec!["main".to_owned()]));
    assert_eq!(locum.state.vault.count_users().await, Ok(1), "the damaged one is left for a backup");
}

#[actix_web::test]
async fn a_damaged_grant_hides_no_sound_one_that_ends_with_a_revocation() {
    let locum = with_clients(&["second", "third"]).await;
    let user = connect_to(&locum, "main").await;
    connect_to(&locum, "second").await;
    connect_to(&locum, "third").await;
    let locum = with_damaged(locum, &["third"]).await;
    let users = &locum.state.users;
    let main = client("main");
    let done = users.forget(user, Some(&main), Revoke::Project, &Actor::locum()).await.expect("forgotten");
    assert_eq!((done.revoked, done.also_ended), (true, vec!["second".to_owned()]));
    let shown = users.show(user, &Reach::EVERYTHING).await.expect("can be told");
    assert_eq!((shown.grants[0].state.as_str(), shown.damaged), ("dead", 1));
}
