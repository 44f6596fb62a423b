//! What somebody must look after: a pure function of the facts.
//!
//! Each entry says in words what it means and what ends it. The order is that of urgency: what stops
//! everybody, then what will stop by itself, then what stopped for one person.

use serde::{Deserialize, Serialize};

use super::super::status::Status;
use crate::clock::Timestamp;
use crate::config::MirrorSection;
use crate::grant::GrantState;
use crate::ids::{ClientName, OAuthClientId, UserId};
use crate::mirror::{MirrorError, MirrorState};
use crate::vault::{Grant, GrantsInNeed};

/// A refresh token that runs out within this many seconds is counted down: the week that a project in
/// Testing gives.
pub(super) const HORIZON: i64 = 7 * 86_400;
/// A backup that is older is missed: thirty days.
const BACKUP_OLD: i64 = 30 * 86_400;
/// An API key that ends within two days is urgent.
const KEY_URGENT: i64 = 2 * 86_400;

/// What kind of thing needs attention, the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttentionKind {
    /// The disk failed under the vault.
    VaultFailed,
    /// The clock is wrong.
    ClockSkew,
    /// Google refuses a client.
    ClientPaused,
    /// Google's keys are not at hand, or old.
    KeysStale,
    /// A mirror waits for the owner.
    MirrorHeld,
    /// A mirror does not get on.
    MirrorFailed,
    /// A refresh token runs out.
    GrantExpires,
    /// A person must go through consent.
    GrantNeedsConsent,
    /// Google no longer honours a refresh token.
    GrantDead,
    /// A grant is on hold.
    GrantSuspended,
    /// A set-up stands in the way of a grant.
    GrantBlocked,
    /// Some of a person's records are damaged.
    PersonDamaged,
    /// An API key admits nobody, since its record is damaged.
    ApiKeyDamaged,
    /// An API key ends.
    ApiKeyExpires,
    /// There is no recent backup.
    BackupMissing,
}

/// How bad it is; the worse first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something does not work, or will not in two days.
    Warning,
    /// Somebody should know.
    Notice,
}

/// All that decides.
pub(super) struct Facts<'a> {
    pub(super) status: &'a Status,
    /// Of the configured clients.
    pub(super) in_need: &'a GrantsInNeed,
    pub(super) name_of: &'a dyn Fn(&OAuthClientId) -> Option<ClientName>,
    /// The keys in force that end some time.
    pub(super) keys: &'a [KeyFact],
    pub(super) mirrors: &'a [MirrorFact],
}

/// An API key that ends.
pub(super) struct KeyFact {
    pub(super) name: String,
    pub(super) ends_at: Timestamp,
}

/// A configured mirror.
#[derive(Default)]
pub(super) struct MirrorFact {
    pub(super) client: Option<ClientName>,
    pub(super) user: Option<UserId>,
    pub(super) interval: i64,
    pub(super) held: Option<String>,
    pub(super) last_run_at: Option<Timestamp>,
    pub(super) last_ok_at: Option<Timestamp>,
    /// Why the last run failed or ended early, or why none can begin.
    pub(super) failed: Option<String>,
}

impl MirrorFact {
    pub(super) fn of((section, state): &(MirrorSection, Result<MirrorState, MirrorError>)) -> Self {
        let interval = i64::try_from(section.interval.as_secs()).unwrap_or(i64::MAX);
        let client = Some(section.client.clone());
        match state {
            Ok(state) => Self {
                client,
                user: Some(state.target.user),
                interval,
                held: state.held.clone(),
                last_run_at: state.last_run_at,
                last_ok_at: state.last_ok_at,
                failed: state.last_run.as_ref().and_then(|run| run.failed.clone().or(run.stopped.clone())),
            },
            Err(error) => Self { client, interval, failed: Some(error.to_string()), ..Self::default() },
        }
    }
}

/// An entry before it is known who the person is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) kind: AttentionKind,
    pub(super) severity: Severity,
    pub(super) title: String,
    pub(super) detail: String,
    pub(super) user: Option<UserId>,
    pub(super) client: Option<ClientName>,
    pub(super) since: Option<Timestamp>,
    pub(super) ends_at: Option<Timestamp>,
}

impl Found {
    fn new(
        kind: AttentionKind,
        severity: Severity,
        title: impl Into<String>,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            severity,
            title: title.into(),
            detail: detail.into(),
            user: None,
            client: None,
            since: None,
            ends_at: None,
        }
    }
}

use Severity::{Notice, Warning};

/// Everything that needs attention, the most urgent first, and how much there is: of grants the facts may
/// hold only some.
pub(super) fn attention(facts: &Facts<'_>) -> (Vec<Found>, u64) {
    let mut found = Vec::new();
    this_machine(facts, &mut found);
    found.extend(clients(facts));
    found.extend(facts.mirrors.iter().filter_map(|mirror| of_mirror(mirror, facts.status.now)));
    found.extend(keys(facts));
    let others = found.len() as u64;
    let troubled = facts.in_need.troubled.iter().filter_map(|grant| of_troubled(grant, facts));
    found.extend(troubled);
    found.extend(facts.in_need.ending.iter().map(|grant| of_ending(grant, facts)));
    let troubled_total: u64 = facts
        .status
        .grants
        .iter()
        .filter(|grants| grants.client.is_some() && !matches!(grants.state.as_str(), "active" | "revoking"))
        .map(|grants| grants.count)
        .sum();
    // Times that lie ahead: the next first. Times that lie behind: the latest first.
    found.sort_by_key(|entry| {
        let ends = entry.ends_at.map_or(i64::MAX, Timestamp::unix);
        let since = std::cmp::Reverse(entry.since.map(Timestamp::unix));
        (entry.severity, entry.kind, ends, since)
    });
    (found, others + troubled_total + facts.in_need.ending_total)
}

fn this_machine(facts: &Facts<'_>, found: &mut Vec<Found>) {
    use AttentionKind::{BackupMissing, ClockSkew, KeysStale, PersonDamaged, VaultFailed};

    let (status, now) = (facts.status, facts.status.now);
    if status.vault.failed {
        found.push(Found::new(
            VaultFailed,
            Warning,
            "The disk failed under the vault",
            "locum writes no more, so nobody can connect and no refresh is kept. Look at the disk, then restart locum.",
        ));
    }
    if let Some(skew) = status.google.clock_skew_seconds.filter(|skew| skew.abs() > Status::SKEW_NOTICE) {
        found.push(Found::new(
            ClockSkew,
            Warning,
            format!("The clock is {} seconds {}", skew.abs(), if skew > 0 { "behind" } else { "ahead" }),
            "This machine's clock differs from Google's, and good sign-ins are refused. Let it set its time by NTP; this ends with the next look at Google's keys.",
        ));
    }
    let google = &status.google;
    let old = !google.keys_loaded || google.keys_fresh_until.is_some_and(|until| until < now);
    // Without an error they were not asked for yet, or are being fetched.
    if let Some(why) = google.last_error.as_ref().filter(|_| old) {
        let why = format!(" ({why})");
        let (severity, title, detail) = if google.keys_loaded {
            (
                Notice,
                "Google's keys are old",
                format!(
                    "They could not be fetched anew{why}. Sign-ins go on with the old ones for three days after they were fetched. locum tries again by itself; look at this machine's network if it lasts."
                ),
            )
        } else {
            (
                Warning,
                "Google's keys are not at hand",
                format!(
                    "Nobody can sign in before they are fetched{why}. locum tries again by itself; look at this machine's network and at `google.issuer` if it lasts."
                ),
            )
        };
        found.push(Found { since: google.keys_fetched_at, ..Found::new(KeysStale, severity, title, detail) });
    }
    let damaged = status.vault.damaged_people;
    if damaged > 0 {
        found.push(Found {
            since: status.vault.checked_at,
            ..Found::new(
                PersonDamaged,
                Warning,
                match damaged {
                    1 => "A person has a damaged record".to_owned(),
                    _ => format!("{damaged} people have a damaged record"),
                },
                "It was altered outside locum, or the disk did it. `locum user list` names who it is, as far as that can be told. Restore a backup, or forget the person, who can then connect again.",
            )
        });
    }
    let backup_is_old = status.vault.last_backup.is_none_or(|at| now.since(at) > BACKUP_OLD);
    if status.users > 0 && backup_is_old {
        let title = match status.vault.last_backup {
            None => "There is no backup",
            Some(_) => "The last backup is old",
        };
        found.push(Found {
            since: status.vault.last_backup,
            ..Found::new(
                BackupMissing,
                Notice,
                title,
                "If this disk is lost, everybody has to sign in again. Make one with `locum vault backup FILE`, and keep the root key elsewhere.",
            )
        });
    }
}

fn clients(facts: &Facts<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for client in &facts.status.clients {
        let Some(pause) = &client.paused else { continue };
        found.push(Found {
            client: Some(client.name.clone()),
            since: Some(pause.since),
            ..Found::new(
                AttentionKind::ClientPaused,
                Warning,
                "Google refuses an OAuth client",
                format!(
                    "Its refreshes are paused: {}. No grant is lost. Check the client, compare its id and secret with Google's console, and restart locum with the right ones; locum tries again by itself from {} on.",
                    pause.explanation, pause.next_probe
                ),
            )
        });
    }
    // Of a client that is gone there is no list to act on: one entry says it for all.
    let mut gone: Vec<(&OAuthClientId, u64)> = Vec::new();
    for grants in &facts.status.grants {
        if grants.client.is_some() || grants.state != "blocked" {
            continue;
        }
        match gone.iter_mut().find(|(id, _)| *id == &grants.client_id) {
            Some((_, count)) => *count += grants.count,
            None => gone.push((&grants.client_id, grants.count)),
        }
    }
    found.extend(gone.into_iter().map(|(id, count)| {
        Found::new(
            AttentionKind::GrantBlocked,
            Warning,
            format!("{} of a client that is not configured", plural(count, "grant")),
            format!("No tokens can be had with {id}. Put the client back into the configuration, or let these people sign in again with another one."),
        )
    }));
    found
}

fn of_mirror(mirror: &MirrorFact, now: Timestamp) -> Option<Found> {
    let at = |entry: Found| Found { client: mirror.client.clone(), user: mirror.user, ..entry };
    if let Some(held) = &mirror.held {
        let why = match held.as_str() {
            "first_sync" => "It is the first run in both directions.",
            "deletes" => "It would delete many files.",
            "empties" => "It would empty one side.",
            _ => "It would do something that a person should see first.",
        };
        return Some(at(Found {
            since: mirror.last_run_at,
            ..Found::new(
                AttentionKind::MirrorHeld,
                Warning,
                "A mirror waits for you",
                format!(
                    "{why} Nothing is changed until you look at what it would do (`locum drive sync --dry-run`) and accept it (`locum drive sync --accept`)."
                ),
            )
        }));
    }
    let why = mirror.failed.as_ref()?;
    // One run that ended early is made up for by the next.
    let late = mirror.interval.saturating_mul(3).max(3600);
    let lasts = mirror.last_ok_at.is_none_or(|ok| now.since(ok) > late);
    Some(at(Found {
        since: mirror.last_ok_at,
        ..Found::new(
            AttentionKind::MirrorFailed,
            if lasts { Warning } else { Notice },
            "A mirror does not get on",
            format!("{}. It is tried again by itself; nothing is lost meanwhile.", why.trim_end_matches('.')),
        )
    }))
}

fn keys(facts: &Facts<'_>) -> Vec<Found> {
    let now = facts.status.now;
    let ends_soon = |key: &&KeyFact| key.ends_at.since(now) <= Status::KEY_NOTICE;
    let mut found: Vec<_> = facts
        .keys
        .iter()
        .filter(ends_soon)
        .map(|key| Found {
            ends_at: Some(key.ends_at),
            ..Found::new(
                AttentionKind::ApiKeyExpires,
                if key.ends_at.since(now) <= KEY_URGENT { Warning } else { Notice },
                format!("The API key {} ends", key.name),
                "Whoever uses it gets no tokens from then on. Rotate it, and give the program the new one.",
            )
        })
        .collect();
    if facts.status.api_keys.damaged > 0 {
        found.push(Found::new(
            AttentionKind::ApiKeyDamaged,
            Warning,
            format!("{} admit nobody", plural(facts.status.api_keys.damaged as u64, "API key")),
            "Their records are damaged. Make new keys, or restore a backup.",
        ));
    }
    found
}

fn of_troubled(grant: &Grant, facts: &Facts<'_>) -> Option<Found> {
    let (kind, title) = match grant.state {
        GrantState::NeedsConsent(_) => (AttentionKind::GrantNeedsConsent, "Somebody has to consent again"),
        GrantState::Dead(_) => (AttentionKind::GrantDead, "Google no longer honours a grant"),
        GrantState::Suspended(_) => (AttentionKind::GrantSuspended, "A grant is on hold"),
        GrantState::Blocked(_) => (AttentionKind::GrantBlocked, "A setting blocks a grant"),
        GrantState::Active | GrantState::Revoking => return None,
    };
    Some(Found {
        user: Some(grant.user),
        client: (facts.name_of)(&grant.client_id),
        since: Some(grant.since),
        ..Found::new(kind, Warning, title, grant.state.words())
    })
}

fn of_ending(grant: &Grant, facts: &Facts<'_>) -> Found {
    let ends_at = grant.refresh_expires_at.unwrap_or(facts.status.now);
    let soon = ends_at.since(facts.status.now) <= Status::GRANT_NOTICE;
    Found {
        user: Some(grant.user),
        client: (facts.name_of)(&grant.client_id),
        since: Some(grant.connected_at),
        ends_at: Some(ends_at),
        ..Found::new(
            AttentionKind::GrantExpires,
            if soon { Warning } else { Notice },
            "A grant ends at a time that Google set",
            "The person must sign in again then. If every grant ends after seven days, the Google project is in Testing: publish the app (Google Cloud console, Audience, \"Publish app\").",
        )
    }
}

fn plural(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests;
