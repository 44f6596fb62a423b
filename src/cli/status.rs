//! `locum status`: how everybody is, for people and for cron jobs.

use clap::Args;

use super::admin::{Admin, Vault};
use super::running::until_signalled;
use super::{Context, Exit, Failure, output, words};
use crate::clock::Timestamp;
use crate::server::{GrantCount, Status};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Print only what somebody must act on: nothing when all is well
    #[arg(long, short)]
    pub(super) quiet: bool,
}

pub(super) fn run(context: &Context<'_>) -> Result<Exit, Failure> {
    until_signalled(async {
        let admin = Admin::reach(context, Vault::MustExist).await?;
        let outcome = report(context, &admin).await;
        admin.leave().await;
        outcome
    })
}

async fn report(context: &Context<'_>, admin: &Admin) -> Result<Exit, Failure> {
    let answer = admin.get(&["v1", "status"]).send().await?;
    let status: Status = serde_json::from_value(answer.clone()).map_err(|_| {
        anyhow::anyhow!("the server's answer is not what this locum expects; is it another version?")
    })?;
    let running = admin.is_running();
    let wanted = wanted(&status, running);
    if context.json {
        let mut answer = answer;
        answer["running"] = running.into();
        answer["wanted"] = serde_json::json!(wanted);
        output::json(&answer)?;
    } else {
        if !context.quiet {
            output::data(&output::facts(facts(&status, running)))?;
        }
        for words in &wanted {
            output::data(&format!("! {}", output::plain(words)))?;
        }
    }
    Ok(match (status.vault.failed, wanted.is_empty()) {
        (true, _) => Exit::Failed,
        (false, true) => Exit::Done,
        (false, false) => Exit::NeedsPerson,
    })
}

/// What somebody must act on, a sentence each.
fn wanted(status: &Status, running: bool) -> Vec<String> {
    let now = status.now;
    let mut wanted = Vec::new();
    if !running {
        wanted.push(
            "No server runs, so nobody can sign in and no program gets a token: start one with `locum serve` or \
             your service manager."
                .to_owned(),
        );
    }
    if status.vault.failed {
        wanted.push(
            "The disk failed under the vault and locum writes no more: look at the disk, then restart locum."
                .to_owned(),
        );
    }
    if let Some(error) = status.google.last_error.as_ref().filter(|_| !status.google.keys_loaded) {
        wanted.push(format!(
            "Google's keys are not at hand, and nobody can sign in before they are fetched: {} It is tried again by \
             itself; look at this machine's network and at google.issuer if it lasts.",
            sentence(error)
        ));
    }
    for client in &status.clients {
        if let Some(pause) = &client.paused {
            wanted.push(format!(
                "The client {} is paused since {}: {}. The next try is {}.",
                client.name,
                words::relative(pause.since, now),
                pause.explanation,
                words::relative(pause.next_probe, now)
            ));
        }
    }
    for grants in status.grants.iter().filter(|grants| needs_somebody(grants)) {
        wanted.push(format!(
            "{} {} of {}: {} `locum user list --state {}` names them.",
            grants.count,
            if grants.count == 1 { "grant" } else { "grants" },
            client(grants),
            sentence(&grants.explanation),
            grants.state,
        ));
    }
    if let Some(end) = status.next_refresh_token_expiry.filter(|end| end.since(now) <= Status::GRANT_NOTICE) {
        wanted.push(format!(
            "A refresh token ends {}, and its person must sign in again. Is the Google project still in Testing? \
             There, every grant ends after seven days: publish the app.",
            words::relative(end, now)
        ));
    }
    if let Some(end) = status.api_keys.next_expiry.filter(|end| end.since(now) <= Status::KEY_NOTICE) {
        wanted.push(format!(
            "An API key ends {}: `locum key list` names it, `locum key rotate` replaces it.",
            words::relative(end, now)
        ));
    }
    if status.vault.damaged_people > 0 {
        wanted.push(format!(
            "{}, altered outside locum or by the disk: `locum user list` names who it is. Restore a backup, or forget \
             the person, who can then connect again.",
            match status.vault.damaged_people {
                1 => "A person has a damaged record".to_owned(),
                people => format!("{people} people have a damaged record"),
            }
        ));
    }
    if status.api_keys.damaged > 0 {
        wanted.push(format!(
            "{} API keys admit nobody, since their records are damaged: make new ones or restore a backup.",
            status.api_keys.damaged
        ));
    }
    if let Some(skew) = status.google.clock_skew_seconds.filter(|skew| skew.abs() > Status::SKEW_NOTICE) {
        wanted.push(format!(
            "This machine's clock differs from Google's by {} seconds: set it right, or good sign-ins are refused.",
            skew.abs()
        ));
    }
    wanted
}

fn needs_somebody(grants: &GrantCount) -> bool {
    matches!(grants.state.as_str(), "needs_consent" | "dead" | "blocked" | "suspended")
}

fn client(grants: &GrantCount) -> String {
    grants.client.as_ref().map_or_else(|| grants.client_id.to_string(), ToString::to_string)
}

fn sentence(text: &str) -> String {
    format!("{}.", text.trim_end_matches('.'))
}

fn facts(status: &Status, running: bool) -> Vec<[String; 2]> {
    let now = status.now;
    let relative = |time: Timestamp| words::relative(time, now);
    let or = |time: Option<Timestamp>, otherwise: &str| time.map_or(otherwise.to_owned(), relative);
    let mut facts = Vec::new();
    let mut fact = |name: &str, value: String| facts.push([name.to_owned(), value]);
    let started = || format!("started {}", relative(status.started_at));
    let state = if running { started() } else { "not running".to_owned() };
    fact("locum", format!("{}, {state}", status.version));
    fact("people", status.users.to_string());
    for (i, grants) in status.grants.iter().enumerate() {
        let cause = grants.cause.as_ref().map(|cause| format!(" ({cause})")).unwrap_or_default();
        let name = if i == 0 { "grants" } else { "" };
        fact(name, format!("{} {}{cause}, client {}", grants.count, grants.state, client(grants)));
    }
    fact("next grant end", or(status.next_refresh_token_expiry, "none announced"));
    fact(
        "API keys",
        format!("{} in force, next end {}", status.api_keys.active, or(status.api_keys.next_expiry, "never")),
    );
    fact(
        "paused clients",
        match status.clients.iter().filter(|client| client.paused.is_some()).count() {
            0 => "none".to_owned(),
            paused => paused.to_string(),
        },
    );
    fact(
        "Google's keys",
        match (&status.google.keys_fetched_at, &status.google.last_error) {
            (Some(fetched), None) => format!("fetched {}", relative(*fetched)),
            (Some(fetched), Some(error)) => format!("fetched {}; since then: {error}", relative(*fetched)),
            (None, Some(error)) => format!("not fetched: {error}"),
            (None, None) => "not fetched yet".to_owned(),
        },
    );
    fact(
        "clock",
        status
            .google
            .clock_skew_seconds
            .map_or("not compared yet".to_owned(), |skew| format!("{} seconds from Google's", skew.abs())),
    );
    fact("vault", format!("{} KiB, root key {}", status.vault.size / 1024, status.vault.root_id));
    fact("last backup", or(status.vault.last_backup, "never"));
    facts
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn status(change: impl FnOnce(&mut Value)) -> Status {
        let mut status = json!({
            "version": "0.1.0", "started_at": "2026-11-22T10:00:00Z", "now": "2026-11-22T12:00:00Z", "users": 1,
            "grants": [{ "client": "main", "client_id": "402839145520-x", "state": "active", "cause": null,
                         "explanation": "works", "count": 1 }],
            "next_refresh_token_expiry": null,
            "api_keys": { "active": 1, "damaged": 0, "next_expiry": "2027-11-22T12:00:00Z" },
            "clients": [{ "name": "main", "client_id": "402839145520-x", "paused": null }],
            "google": { "keys_loaded": true, "keys_fetched_at": "2026-11-22T11:00:00Z", "keys_fresh_until": null,
                        "last_error": null, "clock_skew_seconds": 1 },
            "vault": { "root_id": "0011223344556677", "schema": 1, "data_key_term": 1,
                       "data_key_made_at": "2026-11-22T12:00:00Z", "size": 4096,
                       "last_backup": null, "failed": false, "checked_at": null, "damaged_people": 0 },
        });
        change(&mut status);
        serde_json::from_value(status).expect("a status")
    }

    #[test]
    fn a_healthy_locum_wants_nothing() {
        assert_eq!(wanted(&status(|_| {}), true), Vec::<String>::new());
        let told = output::facts(facts(&status(|_| {}), true));
        for words in
            ["1 active, client main", "fetched 60 minutes ago", "root key 0011223344556677", "in 365 days"]
        {
            assert!(told.contains(words), "{words}\n{told}");
        }
    }

    #[test]
    fn each_thing_for_a_person_is_told() {
        type Change = fn(&mut Value);
        let cases: [(&str, Change); 9] = [
            ("publish the app", |s| s["next_refresh_token_expiry"] = json!("2026-11-23T12:00:00Z")),
            ("An API key ends in 10 days", |s| s["api_keys"]["next_expiry"] = json!("2026-12-02T12:00:00Z")),
            ("3 API keys admit nobody", |s| s["api_keys"]["damaged"] = json!(3)),
            ("2 people have a damaged record", |s| s["vault"]["damaged_people"] = json!(2)),
            ("keys are not at hand, and nobody can sign in before they are fetched: no network. It", |s| {
                s["google"]["keys_loaded"] = json!(false);
                s["google"]["last_error"] = json!("no network");
            }),
            ("by 90 seconds", |s| s["google"]["clock_skew_seconds"] = json!(-90)),
            ("--state dead", |s| s["grants"][0]["state"] = json!("dead")),
            ("The disk failed", |s| s["vault"]["failed"] = json!(true)),
            ("The client main is paused", |s| {
                s["clients"][0]["paused"] = json!({
                    "cause": "c", "explanation": "e", "since": "2026-11-22T11:00:00Z", "next_probe": "2026-11-22T12:05:00Z",
                });
            }),
        ];
        for (words, change) in cases {
            let wanted = wanted(&status(change), true);
            assert!(wanted.len() == 1 && wanted[0].contains(words), "{words}: {wanted:?}");
        }
        let stopped = wanted(&status(|_| {}), false);
        assert!(stopped.len() == 1 && stopped[0].starts_with("No server runs"), "{stopped:?}");
        assert!(output::facts(facts(&status(|_| {}), false)).contains("not running"));
    }
}
