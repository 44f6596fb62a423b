use serde_json::{Value, json};

use super::*;

const NOW: i64 = 1_795_368_972;

fn status(change: impl FnOnce(&mut Value)) -> Status {
    let now = Timestamp::from_unix(NOW);
    let mut status = json!({
        "version": "0.1.0", "started_at": now, "now": now, "users": 1, "grants": [],
        "next_refresh_token_expiry": null,
        "api_keys": { "active": 1, "damaged": 0, "next_expiry": null },
        "clients": [{ "name": "main", "client_id": "402839145520-x", "paused": null }],
        "google": { "keys_loaded": true, "keys_fetched_at": now, "keys_fresh_until": now.plus(3600),
                    "last_error": null, "clock_skew_seconds": 1 },
        "vault": { "root_id": "0011223344556677", "schema": 1, "data_key_term": 1,
                       "data_key_made_at": "2026-11-22T12:00:00Z", "size": 4096,
                   "last_backup": now.plus(-86_400), "failed": false, "checked_at": now, "damaged_people": 0 },
    });
    change(&mut status);
    serde_json::from_value(status).expect("a status")
}

fn count(client: Option<&str>, state: &str, count: u64) -> Value {
    json!({ "client": client, "client_id": "402839145520-x", "state": state, "cause": "c", "explanation": "e", "count": count })
}

fn look(status: &Status, keys: &[KeyFact], mirrors: &[MirrorFact]) -> (Vec<Found>, u64) {
    let in_need = GrantsInNeed::default();
    attention(&Facts { status, in_need: &in_need, name_of: &|_| None, keys, mirrors })
}

#[test]
fn a_healthy_locum_needs_nothing() {
    assert_eq!(look(&status(|_| {}), &[], &[]), (vec![], 0));
    // Nobody is connected, so there is nothing to lose yet.
    let fresh = status(|s| {
        s["users"] = 0.into();
        s["vault"]["last_backup"] = Value::Null;
    });
    assert_eq!(look(&fresh, &[], &[]), (vec![], 0));
}

#[test]
fn each_thing_is_told_once_with_what_ends_it() {
    use AttentionKind as K;
    type Change = fn(&mut Value);
    let cases: [(K, Severity, &str, Change); 11] = [
        (K::VaultFailed, Warning, "restart locum", |s| s["vault"]["failed"] = true.into()),
        (K::ClockSkew, Warning, "NTP", |s| s["google"]["clock_skew_seconds"] = (-90).into()),
        (K::KeysStale, Warning, "fetched (no network)", |s| {
            s["google"]["keys_loaded"] = false.into();
            s["google"]["last_error"] = "no network".into();
        }),
        (K::KeysStale, Notice, "(no network)", |s| {
            s["google"]["keys_fresh_until"] = json!(Timestamp::from_unix(NOW - 1));
            s["google"]["last_error"] = "no network".into();
        }),
        (K::BackupMissing, Notice, "locum vault backup", |s| s["vault"]["last_backup"] = Value::Null),
        (K::BackupMissing, Notice, "root key elsewhere", |s| {
            s["vault"]["last_backup"] = json!(Timestamp::from_unix(NOW - BACKUP_OLD - 1));
        }),
        (K::ClientPaused, Warning, "the client secret is wrong", |s| {
            let at = Timestamp::from_unix(NOW);
            s["clients"][0]["paused"] = json!({ "cause": "wrong_secret", "explanation": "the client secret is wrong", "since": at, "next_probe": at });
        }),
        (K::GrantBlocked, Warning, "402839145520-x", |s| {
            s["grants"] = json!([count(None, "blocked", 2), count(None, "blocked", 3)]);
        }),
        (K::PersonDamaged, Warning, "forget the person", |s| s["vault"]["damaged_people"] = 2.into()),
        (K::ApiKeyDamaged, Warning, "damaged", |s| s["api_keys"]["damaged"] = 1.into()),
        (K::ClockSkew, Warning, "NTP", |s| s["google"]["clock_skew_seconds"] = 31.into()),
    ];
    for (kind, severity, words, change) in cases {
        let (found, total) = look(&status(change), &[], &[]);
        assert!(found.len() == 1 && total == 1, "{kind:?} {found:?}");
        let entry = &found[0];
        assert!(
            entry.kind == kind && entry.severity == severity && entry.detail.contains(words),
            "{kind:?} {found:?}"
        );
    }
    let starting = status(|s| s["google"]["keys_loaded"] = false.into());
    assert_eq!(look(&starting, &[], &[]).1, 0, "they are being fetched");
    let fresh_error = status(|s| s["google"]["last_error"] = "no network".into());
    assert_eq!(look(&fresh_error, &[], &[]).1, 0, "keys that are fresh are good whatever failed since");
}

#[test]
fn grants_that_are_not_in_the_list_are_counted() {
    let counted = status(|s| {
        s["grants"] = json!([
            count(Some("main"), "active", 100),
            count(Some("main"), "dead", 70),
            count(Some("main"), "revoking", 9),
            count(None, "revoking", 9),
            count(None, "blocked", 5),
        ]);
    });
    let (found, total) = look(&counted, &[], &[]);
    assert_eq!((found.len(), total), (1, 71));
    assert!(found[0].title.starts_with("5 grants"), "{found:?}");
}

#[test]
fn keys_are_counted_down_two_weeks_ahead() {
    let key = |name: &str, days: i64| KeyFact {
        name: name.into(),
        ends_at: Timestamp::from_unix(NOW + days * 86_400),
    };
    let (found, total) = look(&status(|_| {}), &[key("b", 14), key("c", 15), key("a", 2)], &[]);
    let told: Vec<_> = found.iter().map(|entry| (entry.title.as_str(), entry.severity)).collect();
    assert_eq!(told, [("The API key a ends", Warning), ("The API key b ends", Notice)]);
    assert_eq!((total, found[0].ends_at), (2, Some(Timestamp::from_unix(NOW + 2 * 86_400))));
}

#[test]
fn a_mirror_that_waits_or_does_not_get_on_is_told() {
    let now = Timestamp::from_unix(NOW);
    let fact = |held: Option<&str>, failed: Option<&str>, ok: Option<i64>| MirrorFact {
        client: Some("main".parse().expect("a name")),
        user: Some(UserId(1)),
        interval: 900,
        held: held.map(Into::into),
        last_run_at: Some(now),
        last_ok_at: ok.map(|ago| now.plus(-ago)),
        failed: failed.map(Into::into),
    };
    for (fact, expected) in [
        (fact(None, None, Some(10)), None),
        (fact(Some("deletes"), None, Some(10)), Some((AttentionKind::MirrorHeld, Warning, "delete many"))),
        (fact(Some("first_sync"), Some("x"), None), Some((AttentionKind::MirrorHeld, Warning, "first run"))),
        (
            fact(None, Some("no disk."), Some(10)),
            Some((AttentionKind::MirrorFailed, Notice, "no disk. It is")),
        ),
        (fact(None, Some("no disk"), Some(3601)), Some((AttentionKind::MirrorFailed, Warning, "no disk"))),
        (fact(None, Some("nobody"), None), Some((AttentionKind::MirrorFailed, Warning, "nobody"))),
    ] {
        let (found, _) = look(&status(|_| {}), &[], &[fact]);
        match expected {
            None => assert_eq!(found, []),
            Some((kind, severity, words)) => {
                let entry = &found[0];
                assert!(
                    entry.kind == kind && entry.severity == severity && entry.detail.contains(words),
                    "{entry:?}"
                );
                assert_eq!(entry.user, Some(UserId(1)));
            }
        }
    }
}

#[test]
fn what_stops_everybody_comes_first() {
    let all = status(|s| {
        s["vault"]["failed"] = true.into();
        s["vault"]["last_backup"] = Value::Null;
        s["google"]["clock_skew_seconds"] = 99.into();
        s["google"]["keys_loaded"] = false.into();
        s["google"]["last_error"] = "no network".into();
        s["grants"] = json!([count(None, "blocked", 1)]);
    });
    let held = MirrorFact { held: Some("deletes".into()), ..MirrorFact::default() };
    let (found, _) = look(&all, &[], &[held]);
    let kinds: Vec<_> = found.iter().map(|entry| serde_json::to_value(entry.kind).expect("JSON")).collect();
    assert_eq!(
        kinds,
        ["vault_failed", "clock_skew", "keys_stale", "mirror_held", "grant_blocked", "backup_missing"]
    );
}
