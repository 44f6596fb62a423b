//! Connect links: found by their secret, taken once, gone with their time and their person.

use std::time::Duration;

use super::*;

#[tokio::test]
async fn a_link_is_found_by_its_secret_and_taken_once() {
    let home = Home::new(140);
    let vault = home.open();
    let made = vault.save_connect_link(&link_secret(1), connect_link(1)).await.expect("saved");
    assert!(made.id > 0);
    assert_eq!(vault.load_connect_link(&link_secret(1)).await, Ok(Some(made.clone())));
    assert_eq!(vault.load_connect_link(&link_secret(2)).await, Ok(None));
    assert_eq!(vault.load_connect_link(&SecretText::new("")).await, Ok(None));
    let (one, other) = tokio::join!(vault.delete_connect_link(made.id), vault.delete_connect_link(made.id));
    assert_eq!([one, other].into_iter().filter(|taken| *taken == Ok(true)).count(), 1);
    assert_eq!(vault.load_connect_link(&link_secret(1)).await, Ok(None));
}

#[tokio::test]
async fn a_link_goes_with_its_time() {
    let home = Home::new(141);
    let vault = home.open();
    for (n, seconds) in [(1, 60), (2, 61)] {
        let link = ConnectLinkRecord { expires_at: START.plus(seconds), ..connect_link(n) };
        vault.save_connect_link(&link_secret(n), link).await.expect("saved");
    }
    home.clock.advance(Duration::from_secs(60));
    assert_eq!(vault.load_connect_link(&link_secret(1)).await, Ok(None));
    assert!(vault.load_connect_link(&link_secret(2)).await.expect("readable").is_some());
    vault.purge_connect_links().await.expect("written");
    let left: i64 = vault
        .read(|conn| conn.query_row("SELECT count(*) FROM connect_links", [], |row| row.get(0)).map_err(sql))
        .expect("readable");
    assert_eq!(left, 1);
}

#[tokio::test]
async fn a_link_goes_with_its_person_by_any_name() {
    let home = Home::new(142);
    let vault = home.open();
    let link = |n: usize, sub: Option<Sub>, email: Option<Email>, id: &str| ConnectLinkRecord {
        person: LinkedPerson { sub, email },
        client_id: client(id),
        ..connect_link(n)
    };
    for (n, link) in [
        (0, link(0, Some(sub(1)), None, CLIENT)),
        (1, link(1, None, Some(email(1)), OTHER_CLIENT)),
        (2, link(2, Some(sub(1)), Some(email(1)), CLIENT)),
        (3, link(3, Some(sub(2)), Some(email(2)), CLIENT)),
    ] {
        vault.save_connect_link(&link_secret(n), link).await.expect("saved");
    }
    let left = async || {
        let mut left = Vec::new();
        for n in 0..4 {
            if vault.load_connect_link(&link_secret(n)).await.expect("readable").is_some() {
                left.push(n);
            }
        }
        left
    };
    let person = LinkedPerson { sub: Some(sub(1)), email: Some(email(1)) };
    let other = client(OTHER_CLIENT);
    vault.delete_connect_links_of(&person, Some(&other)).await.expect("written");
    assert_eq!(left().await, [0, 2, 3]);
    vault.delete_connect_links_of(&person, None).await.expect("written");
    assert_eq!(left().await, [3]);
    let nobody = LinkedPerson { sub: None, email: None };
    vault.delete_connect_links_of(&nobody, None).await.expect("written");
    assert_eq!(left().await, [3]);
}
