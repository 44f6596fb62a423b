//! Events found again: by their order, narrowed by what they are about.
//!
//! A narrow question over a long log would read all of it in one go, on a thread that has requests to
//! serve. So a question looks at a limited stretch of ids, and says where the next one begins.

use rusqlite::types::Value;

use super::row::{COLUMNS, EventRow};
use super::{EventRecord, Vault, VaultError};
use crate::ids::{OAuthClientId, UserId};
use crate::vault::sql;

/// Ids looked at in one go: some milliseconds of work.
const STRETCH: i64 = 8192;

/// Which events.
#[derive(Clone, Debug, Default)]
pub struct EventQuery {
    /// A kind, or what stands before its dot.
    pub kind: Option<String>,
    /// About this person.
    pub user: Option<UserId>,
    /// About these people and nobody else.
    pub only_users: Option<Vec<UserId>>,
    /// About these clients and nothing else.
    pub only_clients: Option<Vec<OAuthClientId>>,
    /// By whom, as a word.
    pub actor: Option<&'static str>,
    /// At least as grave.
    pub severity: u8,
}

/// In which order they are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Towards newer ones.
    OldestFirst,
    /// Towards older ones.
    NewestFirst,
}

/// What a look brought.
#[derive(Debug, Default)]
pub struct FoundEvents {
    /// In the order asked for; an error stands for a row that is damaged.
    pub events: Vec<Result<EventRecord, VaultError>>,
    /// Behind which id there may be more, in the same order; `None` when there is none.
    pub rest: Option<i64>,
}

impl EventQuery {
    /// The conditions behind those on the id, with their values.
    fn conditions(&self) -> (String, Vec<Value>) {
        let (mut text, mut values) = (String::new(), Vec::new());
        let mut add = |condition: &str, given: &[Value]| {
            text.push_str(condition);
            values.extend_from_slice(given);
        };
        if let Some(kind) = &self.kind {
            let kind = Value::Text(kind.clone());
            add(
                " AND (kind = ? OR substr(kind, 1, length(?) + 1) = ? || '.')",
                &[kind.clone(), kind.clone(), kind],
            );
        }
        if let Some(user) = self.user {
            add(" AND user_id = ?", &[Value::Integer(user.0)]);
        }
        if let Some(users) = &self.only_users {
            let users: Vec<_> = users.iter().map(|user| Value::Integer(user.0)).collect();
            add(&among("user_id", &users), &users);
        }
        if let Some(clients) = &self.only_clients {
            let clients: Vec<_> = clients.iter().map(|id| Value::Text(id.to_string())).collect();
            add(&among("client_id", &clients), &clients);
        }
        if let Some(actor) = self.actor {
            add(" AND actor = ?", &[Value::Text(actor.to_owned())]);
        }
        if self.severity > 0 {
            add(" AND severity >= ?", &[Value::Integer(self.severity.into())]);
        }
        (text, values)
    }
}

/// No value at all makes a list that nothing is in.
fn among(column: &str, values: &[Value]) -> String {
    format!(" AND {column} IN ({})", vec!["?"; values.len()].join(", "))
}

impl Vault {
    /// Up to `limit` events with ids between the two, which are not among them; at most [`STRETCH`] ids are
    /// looked at, so that there may be more although few, or none, were found.
    ///
    /// # Errors
    /// When the vault cannot be read.
    pub async fn find_events(
        &self,
        query: &EventQuery,
        after: i64,
        before: i64,
        order: Order,
        limit: usize,
    ) -> Result<FoundEvents, VaultError> {
        let (first, last) = self.ids_between(after, before).await?;
        if first > last {
            return Ok(FoundEvents::default());
        }
        // A person's events are found by an index of their own.
        let indexed = query.user.is_some() || query.only_users.is_some();
        let (low, high) = match order {
            _ if indexed => (first, last),
            Order::OldestFirst => (first, last.min(first.saturating_add(STRETCH - 1))),
            Order::NewestFirst => (first.max(last - (STRETCH - 1)), last),
        };
        let mut statement = format!("SELECT {COLUMNS} FROM events WHERE id >= ? AND id <= ?");
        let mut values = vec![Value::Integer(low), Value::Integer(high)];
        let (conditions, given) = query.conditions();
        statement.push_str(&conditions);
        values.extend(given);
        statement.push_str(match order {
            Order::OldestFirst => " ORDER BY id LIMIT ?",
            Order::NewestFirst => " ORDER BY id DESC LIMIT ?",
        });
        values.push(Value::Integer(i64::try_from(limit).unwrap_or(i64::MAX)));
        let rows = self.read(|conn| {
            let mut statement = conn.prepare_cached(&statement).map_err(sql)?;
            let rows = statement
                .query_map(rusqlite::params_from_iter(values), |row| {
                    Ok((row.get::<_, i64>(0)?, EventRow::from_sql(row)?))
                })
                .map_err(sql)?;
            rows.collect::<Result<Vec<_>, _>>().map_err(sql)
        })?;
        let reached = match rows.last() {
            Some((id, _)) if rows.len() == limit => *id,
            _ if order == Order::OldestFirst => high,
            _ => low,
        };
        let more = match order {
            Order::OldestFirst => reached < last,
            Order::NewestFirst => reached > first,
        };
        let events =
            rows.into_iter().map(|(_, row)| row.and_then(|row| row.open(&self.0.records.keys))).collect();
        Ok(FoundEvents { events, rest: more.then_some(reached) })
    }

    /// The lowest and the highest id there are between the two.
    async fn ids_between(&self, after: i64, before: i64) -> Result<(i64, i64), VaultError> {
        self.read(|conn| {
            let end = |statement: &str, bound: i64, none: i64| {
                let mut statement = conn.prepare_cached(statement)?;
                let mut rows = statement.query([bound])?;
                rows.next()?.map_or(Ok(none), |row| row.get(0))
            };
            let first = end("SELECT id FROM events WHERE id > ? ORDER BY id LIMIT 1", after, i64::MAX);
            let last = end("SELECT id FROM events WHERE id < ? ORDER BY id DESC LIMIT 1", before, i64::MIN);
            Ok((first.map_err(sql)?, last.map_err(sql)?))
        })
    }
}
