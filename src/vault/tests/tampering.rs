//! What somebody who can write the file, and has no key, can do to it: nothing that passes for locum's
//! own writing, except putting an old complete row back, which `docs/security.md` says aloud.

use rusqlite::Connection as Sqlite;
use rusqlite::types::Value;

use super::*;
use crate::grant::DeathCause;

/// Tables whose rows carry a MAC.
const GUARDED: [&str; 14] = [
    "users",
    "grants",
    "api_keys",
    "documents",
    "signing_keys",
    "redemptions",
    "mirrors",
    "mirror_entries",
    "mirror_remote",
    "mirror_versions",
    "connect_links",
    "owner_sessions",
    "events",
    "counts",
];

/// Columns that stand outside their row's MAC, each for a reason said in the schema.
const OUTSIDE: [(&str, &str); 2] = [("api_keys", "last_used_at"), ("redemptions", "answer")];

/// Every sealed column.
const SEALED: [(&str, &str); 11] = [
    ("users", "profile"),
    ("grants", "refresh_token"),
    ("grants", "access_token"),
    ("signing_keys", "private_key"),
    ("redemptions", "answer"),
    ("mirror_entries", "facts"),
    ("mirror_remote", "facts"),
    ("mirror_versions", "facts"),
    ("connect_links", "person"),
    ("owner_sessions", "signed_in_by"),
    ("events", "personal"),
];

/// The columns of a table: name, and whether it may be NULL.
fn columns(conn: &Sqlite, table: &str) -> Vec<(String, bool)> {
    let mut statement = conn.prepare(&format!("PRAGMA table_info({table})")).expect("a table");
    let rows = statement.query_map([], |row| Ok((row.get(1)?, !row.get::<_, bool>(3)?))).expect("columns");
    rows.collect::<Result<_, _>>().expect("columns")
}

fn rowids(conn: &Sqlite, table: &str) -> Vec<i64> {
    let mut statement = conn.prepare(&format!("SELECT rowid FROM {table} ORDER BY rowid")).expect("a table");
    let rows = statement.query_map([], |row| row.get(0)).expect("rows");
    rows.collect::<Result<_, _>>().expect("rows")
}

fn cell(conn: &Sqlite, table: &str, column: &str, row: i64) -> Value {
    conn.query_row(&format!("SELECT {column} FROM {table} WHERE rowid = ?"), [row], |row| row.get(0))
        .expect("a cell")
}

/// Sets one cell; false when a constraint of the table's forbids it.
fn set(conn: &Sqlite, table: &str, column: &str, row: i64, value: &Value) -> bool {
    match conn.execute(&format!("UPDATE {table} SET {column} = ? WHERE rowid = ?"), (value, row)) {
        Ok(changed) => changed == 1,
        Err(rusqlite::Error::SqliteFailure(failure, _)) => {
            use rusqlite::ErrorCode::{ConstraintViolation, TypeMismatch};
            assert!(matches!(failure.code, ConstraintViolation | TypeMismatch), "{table}.{column}");
            false
        }
        Err(other) => panic!("{other}"),
    }
}

/// Other values than `value` that the column's type allows.
fn edits(value: &Value, nullable: bool) -> Vec<Value> {
    let mut edits = match value {
        Value::Null => vec![Value::Integer(1), Value::Text("x".into()), Value::Blob(vec![7; 32])],
        Value::Integer(n) => [n + 1, n - 1, 0, i64::MAX, i64::MIN].into_iter().map(Value::Integer).collect(),
        Value::Text(text) => {
            let texts =
                [format!("{text}x"), format!("{text} "), String::new(), "all".into(), "active".into()];
            texts.into_iter().map(Value::Text).collect()
        }
        Value::Blob(bytes) => {
            let mut flipped = bytes.clone();
            let middle = flipped.len() / 2;
            flipped[middle] ^= 1;
            let shorter = bytes[..bytes.len() - 1].to_vec();
            [flipped, shorter, Vec::new(), [bytes.as_slice(), &[0]].concat()]
                .into_iter()
                .map(Value::Blob)
                .collect()
        }
        Value::Real(_) => panic!("no column holds reals"),
    };
    edits.retain(|edit| edit != value);
    if nullable && *value != Value::Null {
        edits.push(Value::Null);
    }
    edits
}

async fn read_anew(vault: &Vault) -> Contents {
    look_again(vault);
    read_all(vault).await
}

/// What reads differently from before: refused as damage, or gone. Anything else is a forgery.
async fn differences(vault: &Vault, before: &Contents, what: &str) -> Vec<String> {
    let after = read_anew(vault).await;
    let mut changed = Vec::new();
    for (name, value) in &after {
        match value {
            Ok(_) if before.get(name) == Some(value) => {}
            Ok(value) if is_absence(name, value) => changed.push(format!("{name} not found")),
            Ok(other) => panic!("{what}: {name} now reads {other}"),
            Err(VaultError::Damaged { table, .. }) => changed.push(format!("{table} damaged")),
            Err(other) => panic!("{what}: {name}: {other}"),
        }
    }
    changed
        .extend(before.keys().filter(|name| !after.contains_key(*name)).map(|name| format!("{name} gone")));
    changed
}

#[tokio::test]
async fn every_edit_of_every_guarded_cell_is_refused() {
    let (home, before) = Home::furnished(40).await;
    let (vault, stranger) = (home.open(), home.stranger());
    let (mut tried, mut refused) = (0, 0);
    for table in GUARDED {
        let key = columns(&stranger, table)[0].0.clone();
        for (column, nullable) in columns(&stranger, table) {
            for row in rowids(&stranger, table) {
                let old = cell(&stranger, table, &column, row);
                for edit in edits(&old, nullable) {
                    if !set(&stranger, table, &column, row, &edit) {
                        continue;
                    }
                    let what = format!("{table}.{column} of {row}: {old:?} -> {edit:?}");
                    let changed = differences(&vault, &before, &what).await;
                    tried += 1;
                    if OUTSIDE.contains(&(table, &*column)) {
                        // A hint may say anything; an erased answer is one that is not given again.
                        assert!(changed.len() <= 1, "{what}: {changed:?}");
                    } else {
                        let damaged = changed.contains(&format!("{table} damaged"));
                        // A row under another primary key or lookup, or one that is over, is a row that
                        // is gone.
                        let gone = column == key || column.ends_with("_lookup") || column == "answered_at";
                        assert!(damaged || (gone && !changed.is_empty()), "{what}: {changed:?}");
                        refused += 1;
                    }
                    let moved = if column == "id" { rowid_of(&edit) } else { row };
                    assert!(set(&stranger, table, &column, moved, &old), "{what}: put back");
                }
            }
        }
    }
    assert!(refused > 500 && tried > refused, "{refused} of {tried}");
    assert_eq!(read_anew(&vault).await, before, "everything was put back");
}

fn rowid_of(value: &Value) -> i64 {
    match value {
        Value::Integer(id) => *id,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_edit_of_a_closed_file_is_refused_when_it_is_opened() {
    let (home, before) = Home::furnished(41).await;
    home.stranger().execute("UPDATE api_keys SET users = 'all'", []).expect("edited");
    let vault = home.open();
    assert_eq!(
        differences(&vault, &before, "api_keys").await.iter().filter(|d| d.contains("damaged")).count(),
        1
    );
    let keys = vault.load_api_keys().await.expect("the others can still be listed");
    assert_eq!(keys.iter().filter(|key| key.is_ok()).count(), 1, "the row that said 'all' before");
}

#[tokio::test]
async fn no_sealed_value_opens_in_anothers_place() {
    let (home, before) = Home::furnished(42).await;
    let (vault, stranger) = (home.open(), home.stranger());
    let mut cells = Vec::new();
    for (table, column) in SEALED {
        let stored = |row: &i64| cell(&stranger, table, column, *row) != Value::Null;
        cells.extend(
            rowids(&stranger, table).into_iter().filter(stored).take(2).map(|row| (table, column, row)),
        );
    }
    assert_eq!(cells.len(), 22);
    let mut swaps = 0;
    for (i, &(table, column, row)) in cells.iter().enumerate() {
        for &(other_table, other_column, other_row) in &cells[..i] {
            let what = format!("{table}.{column} of {row} <-> {other_table}.{other_column} of {other_row}");
            let one = cell(&stranger, table, column, row);
            let other = cell(&stranger, other_table, other_column, other_row);
            assert!(set(&stranger, table, column, row, &other));
            assert!(set(&stranger, other_table, other_column, other_row, &one));
            let changed = differences(&vault, &before, &what).await;
            // Of redemptions only those that somebody asks for are opened; both tables otherwise.
            for table in [table, other_table].into_iter().filter(|table| *table != "redemptions") {
                assert!(changed.contains(&format!("{table} damaged")), "{what}: {changed:?}");
            }
            assert!(!changed.is_empty(), "{what}");
            assert!(set(&stranger, table, column, row, &one));
            assert!(set(&stranger, other_table, other_column, other_row, &other));
            swaps += 1;
        }
    }
    assert_eq!(swaps, 231);
    assert_eq!(read_anew(&vault).await, before);
}

/// Swaps whole rows' worth of columns between two rows of a table, all but the id.
#[tokio::test]
async fn rows_cannot_trade_places_with_their_macs() {
    let (home, before) = Home::furnished(43).await;
    let (vault, stranger) = (home.open(), home.stranger());
    for table in GUARDED {
        let rows = rowids(&stranger, table);
        let (one, other) = (rows[0], rows[1]);
        // By way of an id that nobody has.
        let id = if table == "documents" { "kind" } else { "id" };
        let ids = [one, other].map(|row| cell(&stranger, table, id, row));
        let spare = if id == "kind" { Value::Text("spare".into()) } else { Value::Integer(3) };
        let trade = |from: &Value, to: &Value| {
            let statement = format!("UPDATE {table} SET {id} = ? WHERE {id} = ?");
            assert_eq!(stranger.execute(&statement, (to, from)).expect("moved"), 1);
        };
        for _ in 0..2 {
            trade(&ids[0], &spare);
            trade(&ids[1], &ids[0]);
            trade(&spare, &ids[1]);
            if read_anew(&vault).await != before {
                let changed = differences(&vault, &before, table).await;
                assert!(changed.contains(&format!("{table} damaged")), "{table}: {changed:?}");
            }
        }
        assert_eq!(read_anew(&vault).await, before, "{table} was put back");
    }
}

#[tokio::test]
async fn rows_of_another_vault_are_refused_even_under_the_same_root_key() {
    let (foreign, _) = Home::furnished(45).await;
    let foreign = foreign.path().to_str().expect("UTF-8").to_owned();
    for table in GUARDED {
        let (home, before) = Home::furnished(44).await;
        let (vault, stranger) = (home.open(), home.stranger());
        stranger.execute("ATTACH ? AS foreigner", [&foreign]).expect("attached");
        let copy = format!("INSERT OR REPLACE INTO {table} SELECT * FROM foreigner.{table}");
        assert!(stranger.execute(&copy, []).expect("copied") >= 2, "{table}");
        let changed = differences(&vault, &before, table).await;
        // The lookups are another vault's too, so nobody asks for its redemptions and links.
        if ["redemptions", "connect_links"].contains(&table) {
            assert!(changed.is_empty(), "{changed:?}");
        } else {
            assert!(changed.contains(&format!("{table} damaged")), "{table}: {changed:?}");
        }
    }
}

#[tokio::test]
async fn what_is_inserted_by_sql_is_refused() {
    let (home, _) = Home::furnished(46).await;
    let (vault, stranger) = (home.open(), home.stranger());
    let known = [9; 32];
    stranger
        .execute(
            "INSERT INTO api_keys (id, key_id, name, hash, actions, users, created_at, mac) \
             SELECT 5, 'intruder0000', 'x', ?1, 'tokens:read', 'all', created_at, mac FROM api_keys LIMIT 1",
            [known],
        )
        .expect("inserted");
    look_again(&vault);
    let keys = vault.load_api_keys().await.expect("the others can still be listed");
    let refused: Vec<_> = keys.into_iter().filter_map(Result::err).collect();
    assert_eq!(refused, [VaultError::Damaged { table: "api_keys", row: 5 }]);

    stranger
        .execute(
            "INSERT INTO signing_keys (id, kid, private_key, public_key, created_at, mac) \
             SELECT 5, 'intruder', private_key, public_key, created_at, mac FROM signing_keys LIMIT 1",
            [],
        )
        .expect("inserted");
    look_again(&vault);
    let error = vault.load_signing_keys().await.expect_err("signs nobody in");
    assert_eq!(error, VaultError::Damaged { table: "signing_keys", row: 5 });
    // A copy that somebody tried to restore says so as well.
    let copy = home.directory.path().join("copy");
    let error = vault.backup(&copy).await.expect_err("verified");
    assert!(matches!(error, VaultError::Damaged { table: "api_keys", row: 5 }), "{error}");
}

#[tokio::test]
async fn no_answer_is_given_to_another_request() {
    let home = Home::new(47);
    let vault = home.open();
    let [victim, thief] = [1, 2].map(|n| redemption(&vault, n));
    for redemption in [&victim, &thief] {
        vault.save_redemption(redemption.clone()).await.expect("saved");
    }
    // The thief's own lookups on the victim's row: its answer would come with the victim's session.
    let stranger = home.stranger();
    let marks = thief.marks;
    stranger.execute("DELETE FROM redemptions WHERE code_lookup = ?", [marks.code]).expect("deleted");
    stranger
        .execute(
            "UPDATE redemptions SET code_lookup = ?, idempotency_lookup = ?, request = ?",
            (marks.code, marks.idempotency_key, marks.request),
        )
        .expect("edited");
    look_again(&vault);
    let error = vault.load_redemption(&marks).await.expect_err("refused");
    assert!(matches!(error, VaultError::Damaged { table: "redemptions", .. }), "{error}");
}

#[tokio::test]
async fn a_dead_grant_is_not_revived_by_sql() {
    let home = Home::new(48);
    let vault = home.open();
    let grant = connect(&vault, 1).await.grant;
    let dead = GrantState::Dead(DeathCause::Rejected);
    let change = GrantChange { state: Some(dead), ..GrantChange::default() };
    let grant = vault.update_grant(&grant, change).await.expect("dead");
    let stranger = home.stranger();
    stranger.execute("UPDATE grants SET state = 'active', cause = NULL", []).expect("edited");
    look_again(&vault);
    let damaged = VaultError::Damaged { table: "grants", row: grant.id.0 };
    assert_eq!(vault.load_grant(grant.id).await.err(), Some(damaged.clone()));
    assert_eq!(vault.load_grants_of(grant.user).await.and_then(FoundGrants::whole).err(), Some(damaged));
    // Jobs go past it.
    let other = connect(&vault, 2).await.grant;
    let idle = vault.load_idle_grants(&client(CLIENT), START.plus(60), 10).await.expect("the others");
    assert_eq!(idle.iter().map(|grant| grant.id).collect::<Vec<_>>(), [other.id]);
    stranger.execute("UPDATE grants SET state = 'revoking'", []).expect("edited");
    look_again(&vault);
    assert!(vault.load_revoking_grants(10).await.expect("no error").is_empty());
}

#[tokio::test]
async fn an_old_complete_row_is_not_detected() {
    let home = Home::new(49);
    let vault = home.open();
    let key = api_key(&vault, 1);
    vault.save_api_key(&key).await.expect("saved");
    let stranger = home.stranger();
    stranger.execute("CREATE TABLE old AS SELECT * FROM api_keys", []).expect("kept");
    vault.end_api_key(&key.id, key.expires_at, Some(START)).await.expect("revoked");
    stranger.execute("REPLACE INTO api_keys SELECT * FROM old", []).expect("put back");
    look_again(&vault);
    let keys = vault.load_api_keys().await.expect("readable");
    // The documents promise nothing here; should this ever be detected, they can say more.
    assert_eq!(keys[0].as_ref().map(|key| key.revoked_at), Ok(None));
}

#[tokio::test]
async fn triggers_and_views_do_nothing() {
    let home = Home::new(50);
    let vault = home.open();
    let grant = connect(&vault, 1).await.grant;
    let stranger = home.stranger();
    stranger
        .execute_batch(
            "CREATE TRIGGER hold BEFORE DELETE ON grants BEGIN SELECT RAISE(IGNORE); END;
             CREATE TRIGGER spy AFTER UPDATE ON grants BEGIN DELETE FROM users; END;",
        )
        .expect("planted");
    let change = GrantChange { state: Some(GrantState::Revoking), ..GrantChange::default() };
    vault.update_grant(&grant, change).await.expect("revoking");
    assert_eq!(vault.count_users().await, Ok(1));
    assert_eq!(vault.delete_grant(grant.id, None).await, Ok(true));
    assert!(rowids(&stranger, "grants").is_empty());
}
