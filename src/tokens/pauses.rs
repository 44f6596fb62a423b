//! Clients whose refreshes are paused, because Google refuses the client itself.
//!
//! That is the owner's to mend (a wrong secret, a deleted client) and no grant's fault, so every
//! refresh of the client waits. One refresh is let through as a probe after 1, 5 and 15 minutes, then
//! every hour. A pause lives in memory: a restart probes at once.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::google::ClientFault;
use crate::ids::OAuthClientId;

/// Seconds from one probe to the next.
const PROBES: [i64; 4] = [60, 300, 900, 3600];

/// One paused client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pause {
    pub(super) fault: ClientFault,
    pub(super) since: Timestamp,
    pub(super) next_probe: Timestamp,
    probes: usize,
}

impl Pause {
    pub(super) fn retry_after(&self, now: Timestamp) -> Duration {
        Duration::from_secs(self.next_probe.since(now).max(1).unsigned_abs())
    }
}

#[derive(Debug, Default)]
pub(super) struct Pauses(Mutex<HashMap<OAuthClientId, Pause>>);

impl Pauses {
    fn table(&self) -> std::sync::MutexGuard<'_, HashMap<OAuthClientId, Pause>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a refresh pass, or says why not. Who is let past a pause is its probe: the next one is
    /// already put off when this returns.
    pub(super) fn pass(&self, client: &OAuthClientId, now: Timestamp) -> Result<(), Pause> {
        match self.table().get_mut(client) {
            None => Ok(()),
            Some(pause) if now >= pause.next_probe => {
                pause.probes += 1;
                pause.next_probe = now.plus(PROBES[pause.probes.min(PROBES.len() - 1)]);
                Ok(())
            }
            Some(pause) => Err(*pause),
        }
    }

    /// Google refused the client.
    pub(super) fn begin(&self, client: &OAuthClientId, fault: ClientFault, now: Timestamp) -> Pause {
        let mut table = self.table();
        let pause = table.entry(client.clone()).or_insert_with(|| {
            tracing::error!(%client, %fault, "Google refuses the OAuth client; its refreshes are paused until that is mended");
            Pause { fault, since: now, next_probe: now.plus(PROBES[0]), probes: 0 }
        });
        pause.fault = fault;
        *pause
    }

    /// Google accepted the client.
    pub(super) fn end(&self, client: &OAuthClientId) {
        if self.table().remove(client).is_some() {
            tracing::info!(%client, "Google accepts the OAuth client again");
        }
    }

    pub(super) fn get(&self, client: &OAuthClientId) -> Option<Pause> {
        self.table().get(client).copied()
    }

    pub(super) fn all(&self) -> Vec<(OAuthClientId, Pause)> {
        let mut all: Vec<_> = self.table().iter().map(|(client, pause)| (client.clone(), *pause)).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_probe_at_1_5_15_and_then_every_60_minutes() {
        let (pauses, client) = (Pauses::default(), "1-a.example".parse().expect("id"));
        let start = Timestamp::from_unix(1_000_000);
        assert_eq!(pauses.pass(&client, start), Ok(()));
        pauses.begin(&client, ClientFault::WrongSecret, start);
        let mut passed = Vec::new();
        for minute in 0..=150 {
            let now = start.plus(minute * 60);
            for _ in 0..3 {
                if pauses.pass(&client, now).is_ok() {
                    passed.push(minute);
                    pauses.begin(&client, ClientFault::WrongSecret, now);
                }
            }
        }
        assert_eq!(passed, [1, 6, 21, 81, 141]);
        pauses.end(&client);
        assert_eq!(pauses.pass(&client, start), Ok(()));
    }
}
