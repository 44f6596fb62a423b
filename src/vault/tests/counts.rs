//! Counts: added up by the hour, gone with their time.

use super::*;

fn counted(hour: i64, what: &str, n: u64) -> HourCount {
    HourCount { hour, what: what.into(), n }
}

async fn all(vault: &Vault) -> Vec<HourCount> {
    let counts = vault.load_counts(0, i64::MAX).await.expect("readable");
    let mut counts: Vec<_> = counts.into_iter().map(|count| count.expect("sound")).collect();
    counts.sort_by(|a, b| (a.hour, &a.what).cmp(&(b.hour, &b.what)));
    counts
}

#[tokio::test]
async fn what_is_counted_adds_up() {
    let home = Home::new(160);
    let vault = home.open();
    vault.add_counts(vec![counted(5, "a", 2), counted(5, "b", 1), counted(6, "a", 1)]).await.expect("added");
    vault.add_counts(vec![counted(5, "a", 3)]).await.expect("added");
    assert_eq!(all(&vault).await, [counted(5, "a", 5), counted(5, "b", 1), counted(6, "a", 1)]);
    assert_eq!(vault.load_counts(6, 6).await, Ok(vec![Ok(counted(6, "a", 1))]));
    vault.purge_counts(6).await.expect("purged");
    assert_eq!(all(&vault).await, [counted(6, "a", 1)]);
}

#[tokio::test]
async fn nothing_is_added_to_what_is_damaged() {
    let home = Home::new(161);
    let vault = home.open();
    vault.add_counts(vec![counted(5, "a", 2), counted(6, "a", 1)]).await.expect("added");
    home.stranger().execute("UPDATE counts SET n = 700 WHERE hour = 5", []).expect("edited");
    let damaged = vault.add_counts(vec![counted(6, "a", 1), counted(5, "a", 3)]).await;
    assert!(matches!(damaged, Err(VaultError::Damaged { table: "counts", .. })), "{damaged:?}");
    assert_eq!(vault.load_counts(6, 6).await, Ok(vec![Ok(counted(6, "a", 1))]));
}
