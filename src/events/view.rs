//! An event as it is shown: the person by name while they are known, the client by the owner's name for it.

use std::collections::HashMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::kind::{Kind, Severity};
use super::{Events, Reading};
use crate::clock::Timestamp;
use crate::ids::{ApiKeyId, Email, Sub, UserId};
use crate::vault::{EventRecord, VaultError};

/// An event as it is shown. `Debug` leaves out what is personal.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its place in the order. A text: it may grow beyond what JSON's numbers hold everywhere.
    pub id: String,
    /// When it happened.
    pub at: Timestamp,
    /// What happened; see [`Kind`].
    pub kind: String,
    /// `info`, `notice` or `warning`.
    pub severity: String,
    /// One sentence.
    pub summary: String,
    /// Who did it.
    pub actor: ActorView,
    /// The address it came from.
    pub from: Option<IpAddr>,
    /// Whom it is about.
    pub user: Option<EventUser>,
    /// The client it is about.
    pub client: Option<String>,
    /// More, by the kind.
    pub details: Map<String, Value>,
}

impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Event").field("id", &self.id).field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// Who did it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorView {
    /// `owner`, `key`, `user` or `locum`.
    pub kind: String,
    /// `dashboard`, `socket` or `key`.
    pub via: Option<String>,
    /// The API key's id.
    pub key: Option<ApiKeyId>,
    /// The key's name, or the owner's address.
    pub name: Option<String>,
}

/// Whom an event is about.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum EventUser {
    /// Somebody who is connected.
    Known {
        /// Google's id.
        id: Sub,
        /// The latest address.
        email: Option<Email>,
    },
    /// Somebody who was.
    Forgotten {
        /// Always true.
        forgotten: bool,
    },
    /// Somebody whose row cannot be read.
    Damaged {
        /// Always true.
        damaged: bool,
    },
}

impl Events {
    /// Makes events readable for somebody; damaged ones are logged and left out.
    pub(super) async fn show(
        &self,
        found: Vec<Result<EventRecord, VaultError>>,
        reading: &Reading,
    ) -> Result<Vec<Event>, VaultError> {
        let mut people: HashMap<UserId, EventUser> = HashMap::new();
        let mut shown = Vec::with_capacity(found.len());
        for record in found {
            let record = match record {
                Ok(record) => record,
                Err(VaultError::Damaged { table, row }) => {
                    tracing::error!(
                        alarm = "event_damaged",
                        table,
                        row,
                        "an event does not match its seal and is left out"
                    );
                    continue;
                }
                Err(error) => return Err(error),
            };
            let user = match record.user {
                None => None,
                Some(id) => Some(match people.get(&id) {
                    Some(known) => known.clone(),
                    None => people.entry(id).or_insert(self.person(id).await?).clone(),
                }),
            };
            shown.push(self.view(record, user, reading));
        }
        Ok(shown)
    }

    async fn person(&self, id: UserId) -> Result<EventUser, VaultError> {
        match self.0.vault.load_user(id).await {
            Ok(Some(user)) => Ok(EventUser::Known { id: user.profile.sub, email: user.profile.email }),
            Ok(None) => Ok(EventUser::Forgotten { forgotten: true }),
            Err(VaultError::Damaged { .. }) => Ok(EventUser::Damaged { damaged: true }),
            Err(error) => Err(error),
        }
    }

    fn view(&self, record: EventRecord, user: Option<EventUser>, reading: &Reading) -> Event {
        let mut details: Map<String, Value> = serde_json::from_str(&record.details).unwrap_or_default();
        let personal = record.personal.unwrap_or_default();
        if let Some(path) = personal.path {
            details.insert("path".into(), path.into());
        }
        // Another program's key, and where the owner sits, are out of a bound key's reach.
        let named = |key: &Option<(ApiKeyId, String)>| match &reading.bound_key {
            None => true,
            Some(own) => key.as_ref().is_some_and(|(id, _)| id == own),
        };
        let named = named(&record.key);
        let (key, key_name) = record.key.filter(|_| named).unzip();
        Event {
            id: record.id.to_string(),
            at: record.at,
            summary: summary(&record.kind, &details),
            kind: record.kind,
            severity: Severity::from_rank(record.severity).code().to_owned(),
            actor: ActorView {
                kind: record.actor,
                via: record.via,
                key,
                name: key_name.or(personal.name.filter(|_| named)),
            },
            from: personal.from.filter(|_| named),
            user,
            client: record.client_id.map(|id| {
                let client = self.0.config.client_by_id(&id);
                client.map_or_else(|| id.to_string(), |client| client.name.to_string())
            }),
            details,
        }
    }
}

/// The kind's words, with the cause where there is one.
fn summary(kind: &str, details: &Map<String, Value>) -> String {
    let Some(known) = Kind::from_code(kind) else {
        return format!("Another version of locum wrote this ({kind}).");
    };
    let words = known.words();
    match details.get("cause").or_else(|| details.get("why")).and_then(Value::as_str) {
        Some(cause) => format!("{} ({cause}).", words.trim_end_matches('.')),
        None => words.to_owned(),
    }
}
